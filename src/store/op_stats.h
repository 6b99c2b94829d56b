/* DATA/operators: one shared page or more of what each operator of the running pipeline holds, on each shard. The pipeline
 * makes the file at its start, replacing the one before by rename, and each shard writes its own numbers, about
 * every 100 ms; whoever wants to know maps it read-only (`penstock explain`). It says which plan its operators are numbered by. */
#ifndef PENSTOCK_STORE_OP_STATS_H
#define PENSTOCK_STORE_OP_STATS_H

#include "base/err.h"
#include <stdatomic.h>

#define OP_STATS_LAYOUT 2

struct op_stat {
    atomic_ullong state_bytes;  /* memory */
    atomic_ullong state_rows;   /* rows or groups in it; of tables and views: rows stored */
    atomic_ullong stored_bytes; /* in the store */
    atomic_ullong rows_in, rows_out;
    atomic_ullong busy_ns; /* its own time, without that of the operators it hands rows to */
};
struct op_name { /* written before the shards start, never changed */
    char kind[24];
    char of[168]; /* the view that it belongs to (of several the first), or the table; cut */
    uint8_t is_view;
};
struct op_stats {
    char magic[8]; /* "PENSTOPS" */
    uint32_t layout, shard_count, node_count;
    uint32_t pid;           /* of the pipeline */
    uint64_t plan_hash;     /* as whoever made it counts */
    atomic_uint named;      /* 1: the names are written */
    struct op_stat stats[]; /* [shard * node_count + node]; behind them node_count names */
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
static inline struct op_name *op_name_of(const struct op_stats *s, uint32_t node)
{
    return (struct op_name *)(uintptr_t)&s->stats[(size_t)s->shard_count * s->node_count] + node;
}
/* Cuts what does not fit. */
void op_name_set(struct op_stats *s, uint32_t node, const char *kind, const char *of, bool is_view);

#endif
