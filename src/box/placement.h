/* Where the pipeline and the server really run, and where their memory lies: what the kernel says of the running processes, held against
 * what was planned (one core for each shard and serve loop, a shard's memory on the node of its core, nothing else on its core).
 * Linux: proc_pid_numa_maps(5), proc_pid_status(5), /proc/irq. */
#ifndef PENSTOCK_BOX_PLACEMENT_H
#define PENSTOCK_BOX_PLACEMENT_H

#include "base/buf.h"
#include "base/err.h"

#define PLACEMENT_CPUS_MAX      1024
#define PLACEMENT_NODES_MAX     64
#define PLACEMENT_SHARDS_MAX    256
#define PLACEMENT_THREADS_MAX   2048 /* of pipeline and server; further ones are not looked at */
#define PLACEMENT_PROBLEMS_MAX  32   /* further ones are counted */
#define PLACEMENT_NEAR_PER_CENT 90   /* of a shard's memory on its node: less is not as planned */

struct placement_cpus {
    uint64_t bits[PLACEMENT_CPUS_MAX / 64];
};
struct placement_thread {
    char process[12]; /* "pipeline" or "serve" */
    char name[16];
    struct placement_cpus allowed;
    uint32_t allowed_count;
    int shard, loop; /* whose it is; -1 */
};
struct placement_shard {
    bool there; /* its thread was found */
    int cpu;    /* -1: it is not pinned to one */
    int node;   /* of that core; -1 */
    uint64_t rings_kib[PLACEMENT_NODES_MAX], store_kib[PLACEMENT_NODES_MAX];
    uint32_t irqs_bound; /* interrupts on its core that can go to no core but shards' */
    uint32_t irqs, others,
        kernel_threads; /* that may run on its core: interrupts, threads of others, unbound threads of the kernel */
    char other[16]; /* the name of one */
};
struct placement_view {
    uint32_t node_count, pipeline_pid, serve_pid; /* pid 0: does not run */
    uint32_t thread_count, shard_count, problem_count, problem_dropped;
    struct placement_thread threads[PLACEMENT_THREADS_MAX];
    struct placement_shard shards[PLACEMENT_SHARDS_MAX];
    uint64_t private_kib[PLACEMENT_NODES_MAX]; /* of the pipeline: all that is no file's */
    /* Of the pipeline, by the node that a mapping's own policy names, and by where its pages are: the shards' rings, all of a node's
     * shards together, as not every kernel tells names of mappings. */
    uint64_t bound_kib[PLACEMENT_NODES_MAX][PLACEMENT_NODES_MAX];
    uint64_t serve_kib[PLACEMENT_NODES_MAX];
    uint64_t huge_kib; /* of the pipeline, in transparent huge pages */
    uint64_t hugepages[PLACEMENT_NODES_MAX],
        hugepages_free[PLACEMENT_NODES_MAX]; /* kept back, of all sizes, KiB */
    char *problems[PLACEMENT_PROBLEMS_MAX];  /* owned */
};
/* proc, sys: "/proc", "/sys". isolate: that nothing else is on the shards' cores was planned too. ERR_STATE: no pipeline runs. */
NODISCARD struct err *placement_look(const char *proc, const char *sys, bool isolate,
                                     struct placement_view *out);
void placement_fini(struct placement_view *v);
void placement_json(const struct placement_view *v, struct buf *out);
void placement_text(const struct placement_view *v, struct buf *out);

/* "0-3,8": false when it is not such a list. */
bool placement_cpus_parse(const char *text, struct placement_cpus *out, uint32_t *count);

int cmd_placement(int argc, char **argv);

#endif
