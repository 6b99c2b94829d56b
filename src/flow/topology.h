/* Which core does what: reads the machine's topology and chooses cores for shards and serve loops.
 *
 * Rules for `auto`: online cores within the process's affinity mask; of SMT siblings only the first; isolated cores only
 * when nothing else is there; core 0 of each node is left to the system (and to sources and checkpoints); of the others
 * about a quarter serve, the rest are shards, taken node by node. On a machine of one or two cores shards and serve share.
 * The root of /sys is a parameter, so that any machine can be tested. */
#ifndef PENSTOCK_FLOW_TOPOLOGY_H
#define PENSTOCK_FLOW_TOPOLOGY_H

#include "base/err.h"

#define TOPOLOGY_CPUS_MAX 1024

struct topology_cpu {
    uint32_t cpu, node, core; /* core: the first of its SMT siblings */
    bool isolated, allowed;
};
struct topology {
    uint32_t cpu_count, node_count;
    struct topology_cpu cpus[TOPOLOGY_CPUS_MAX]; /* online, ascending */
};
struct placement {
    uint32_t shard_count, serve_count;
    uint32_t shards[256], serve[256];   /* CPU of each */
    bool shared;                        /* several threads share a core: nothing is pinned */
    uint32_t system_count;              /* 0: none is left over, or shared */
    uint32_t system[TOPOLOGY_CPUS_MAX]; /* for all other threads: neither these CPUs nor siblings of theirs */
};
struct core_request { /* one side's wish: auto, a count, or a list */
    bool is_auto;
    uint32_t count;
    uint32_t cpu_count;
    const uint32_t *cpus;
};

NODISCARD struct err *topology_read(const char *sys_root, bool use_affinity, struct topology *out);
/* A list of CPUs or SMT siblings used twice, or one that is not online, is an error. */
NODISCARD struct err *topology_place(const struct topology *t, const struct core_request *shards,
                                     const struct core_request *serve, struct placement *out);
uint32_t topology_node(const struct topology *t, uint32_t cpu); /* 0 for one that is not there */
/* The calling thread, and those that it starts from now on, run on these CPUs alone. False: not permitted, or no CPU is named. */
bool topology_stay_on(const uint32_t *cpus, uint32_t count);
/* "node 0: system 0 | serve 1 | shards 2-3": one line per node. */
void topology_print(const struct topology *t, const struct placement *p, FILE *to);

#endif
