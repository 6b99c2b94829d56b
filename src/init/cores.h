/* Keeping the shards' cores for the shards: PID 1 and its other children, kernel threads that may be moved, interrupts and unbound
 * work queues go to the other cores. penstock itself is started with all of them, as it places its threads by itself.
 *
 * Which cores are the shards': `penstock box cores` says so ("2-3,6"; empty: they are shared, and nothing is kept off). Everything under
 * `root` ("" on a box), so that it can be tested. */
#ifndef PENSTOCK_INIT_CORES_H
#define PENSTOCK_INIT_CORES_H

#include "base/base.h"

#include <sched.h>

/* "0-3,8": false when malformed, or beyond CPU_SETSIZE. An empty list is none at all. */
bool cores_parse(const char *text, cpu_set_t *out);
void cores_list(const cpu_set_t *set, char *out, size_t size); /* "0-3,8" */
void cores_mask(const cpu_set_t *set, const cpu_set_t *online, char *out,
                size_t size); /* "f,ffffffff": the kernel's words of 32 */

/* The online cores. False: /sys does not say. */
bool cores_online(const char *root, cpu_set_t *out);

struct cores_done {
    uint32_t irqs, irqs_refused; /* refused: bound by hardware or to every core */
    uint32_t threads, threads_refused;
    bool workqueues;
};
/* Everything onto `others`, but the processes of user `not_uid`. The calling process is among those that are moved. */
void cores_apply(const char *root, const cpu_set_t *others, const cpu_set_t *online, uint32_t not_uid,
                 struct cores_done *out);

/* Huge pages: share per cent of each node's memory in pages of 2 MiB. Returns how many there are then; *wanted: how many were asked
 * for. */
uint64_t hugepages_reserve(const char *root, uint32_t share, uint64_t *wanted);

#endif
