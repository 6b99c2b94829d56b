/* DATA/operators: one shared page or more of what each operator of the running pipeline holds, on each shard. The pipeline
 * makes the file at its start, replacing the one before by rename, and each shard writes its own numbers, about
 * every 100 ms; whoever wants to know maps it read-only (`penstock explain`). It says which plan its operators are numbered by. */
#ifndef PENSTOCK_STORE_OP_STATS_H
#define PENSTOCK_STORE_OP_STATS_H

#include "base/err.h"
#include <stdatomic.h>

#define OP_STATS_LAYOUT 1

struct op_stat {
    atomic_ullong state_bytes;  /* memory */
    atomic_ullong state_rows;   /* rows or groups in it; of tables and views: rows stored */
    atomic_ullong stored_bytes; /* in the store */
    atomic_ullong rows_in, rows_out;
};
struct op_stats {
    char magic[8]; /* "PENSTOPS" */
    uint32_t layout, shard_count, node_count;
    uint32_t pid;           /* of the pipeline */
    uint64_t plan_hash;     /* as whoever made it counts */
    struct op_stat stats[]; /* [shard * node_count + node] */
};

NODISCARD struct err *op_stats_create(const char *dir, uint32_t shard_count, uint32_t node_count,
                                      uint64_t plan_hash, struct op_stats **out);
/* *out NULL: there is none, or of another layout. */
NODISCARD struct err *op_stats_open(const char *dir, const struct op_stats **out);
void op_stats_close(const struct op_stats *s); /* NULL is fine */
static inline const struct op_stat *op_stat_of(const struct op_stats *s, uint32_t shard, uint32_t node)
{
    return &s->stats[(size_t)shard * s->node_count + node];
}

#endif
