/* Waiting for room at a start; see hold.h and src/flow/pause.c.
 *
 * An epoch that ran into the end is not tried again in place: operators' state is ahead of the store then. Each one that
 * does so after the other doubles what has to be free, so that a transaction that is larger than the disk leads to longer
 * and longer waits and not to a loop. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "cli/hold.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/resources.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LOOK_MS      250
#define DOUBLED_MOST 10 /* 64 MiB: 64 GiB */
#define AUTO_PERCENT 70 /* of the machine's memory; the rest is the server's and the page cache's */

int64_t hold_memory_limit(const struct config *c)
{
    if (c->limits.memory != CONFIG_MEMORY_AUTO)
        return c->limits.memory;
    int64_t all = memory_of_machine();
    return all > 0 ? all / 100 * AUTO_PERCENT : 0;
}

bool hold_is_due(const struct err *e)
{
    return e && (e->code == ERR_SPACE || e->code == ERR_MAP || e->code == ERR_MEMORY);
}

static void begin_disk(struct gate *g, const struct config *c, const char *data)
{
    unsigned failures = atomic_fetch_add(&g->pause.failures, 1);
    int64_t need = c->reserve_bytes << (failures < DOUBLED_MOST ? failures : DOUBLED_MOST);
    pause_begin(g, PAUSE_DISK, need, disk_free(data),
                "make room on the disk that holds the data directory: it goes on by itself");
}

static void begin_map(struct gate *g, uint64_t map_bytes)
{
    atomic_store(&g->pause.map_bytes, 2 * map_bytes);
    pause_begin(
        g, PAUSE_MAP, (int64_t)(2 * map_bytes), (int64_t)map_bytes,
        "one epoch needs more address space: it goes on with a larger map; store.map sets the first one");
}

void hold_begin(struct gate *g, const struct config *c, const char *data, const struct err *e,
                uint64_t map_bytes, const char *advice)
{
    if (e->code == ERR_SPACE)
        begin_disk(g, c, data);
    else if (e->code == ERR_MAP)
        begin_map(g, map_bytes);
    else
        pause_begin(g, PAUSE_MEMORY, hold_memory_limit(c), memory_used(), advice);
    atomic_store(&g->pause.carried, 1);
    atomic_store(&g->pipeline_state, PIPELINE_PAUSED);
}

static bool has_room(struct gate *g, const struct config *c, const char *data)
{
    int64_t need = atomic_load(&g->pause.need_bytes), have;
    switch ((enum pause_reason)atomic_load(&g->pause.reason)) {
    case PAUSE_NONE:
    case PAUSE_MAP: return true; /* a larger one is tried */
    case PAUSE_DISK:
        have = disk_free(data);
        pause_update(g, have);
        atomic_store(&g->disk_free, have);
        return (have < 0 || have >= need) && disk_has(data, c->reserve_bytes);
    case PAUSE_MEMORY: return hold_memory_limit(c) > need;
    }
    return true;
}

static void look_again(struct gate *g)
{
    atomic_store(&g->heartbeat_us, unix_us());
    nanosleep(&(struct timespec){0, LOOK_MS * 1000000}, NULL);
}

void hold_wait(struct gate *g, const struct config *c, const char *data, const volatile int *stop)
{
    if (!atomic_load(&g->pause.carried)) {
        pause_end(g); /* of a pipeline that ended while it stood still between two epochs */
        return;
    }
    atomic_store(&g->pipeline_state, PIPELINE_PAUSED);
    while (!*stop && !has_room(g, c, data))
        look_again(g);
    if (*stop)
        return;
    if (atomic_load(&g->pause.reason) != PAUSE_MAP)
        pause_end(g);
    atomic_store(&g->pipeline_state, PIPELINE_RECOVERING);
}

void hold_retry(struct gate *g)
{
    if (atomic_load(&g->pause.reason) == PAUSE_MEMORY)
        pause_end(g);
}

void hold_check_map(struct gate *g, uint64_t map_bytes, const volatile int *stop)
{
    if (atomic_load(&g->pause.reason) != PAUSE_MAP)
        return;
    while (!*stop && map_bytes < atomic_load(&g->pause.map_bytes)) {
        atomic_store(&g->pipeline_state, PIPELINE_PAUSED);
        look_again(g);
    }
    if (!*stop)
        pause_end(g);
}

/* ---- ballast ---- */

static void make_ballast(const char *path)
{
    struct stat st;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return;
    if (fstat(fd, &st) == 0 && st.st_size < HOLD_BALLAST_BYTES &&
        fallocate(fd, 0, 0, HOLD_BALLAST_BYTES) != 0)
        unlink(path);
    close(fd);
}

void hold_ballast(const char *data)
{
    char *path = xprintf("%s/ballast", data);
    int64_t have = disk_free(data);
    if (have > 2 * HOLD_BALLAST_BYTES)
        make_ballast(path);
    else if (have >= 0 && have < HOLD_BALLAST_BYTES && unlink(path) == 0)
        log_warn("supervisor", "the disk is full: what was kept for a start is given up", "bytes=%d",
                 HOLD_BALLAST_BYTES);
    free(path);
}
