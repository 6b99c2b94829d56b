/* The state of a window operator: what op_window.c keeps and window_run.c brings up to date. Nobody else includes this. */
#ifndef PENSTOCK_OPS_WINDOW_OP_H
#define PENSTOCK_OPS_WINDOW_OP_H

#include "ops/bytemap.h"
#include "ops/op.h"
#include "ops/window.h"

struct shown { /* of a node: its rows' results, one after the other */
    uint32_t count, len;
    struct shown *next; /* taken back, until that was read */
    uint8_t bytes[];    /* each: length (RESULT_FAILED: none), row codec of the calls */
};
#define RESULT_FAILED UINT32_MAX
struct window_checkpoint { /* a node's `mark`: the carries of the rows before it */
    uint32_t count;
    struct window_carry carries[]; /* by call; empty for calls that do not run */
};
struct partition {
    struct bytemap_entry map; /* key bytes follow */
    int64_t weight;
    struct rank_node *touched;
    uint32_t touched_count;
    bool dirty;
    bool computed; /* its rows have results, of an epoch before */
    struct partition *next_dirty;
};
struct window_failure {
    enum fn_error code;
    char text[160];
};
struct window_state {
    uint32_t own; /* columns of the input */
    uint32_t partition_count, order_count, tie_count;
    struct key_column *partition, *order, *tie;
    struct schema results; /* of the calls; borrowed from the node's schema */
    struct window_reach reach;
    struct window_carry *carries; /* by call, of a run */
    struct bytemap partitions;
    struct ranklist rows;
    struct partition *dirty;
    struct rank_node *removed;
    struct shown *taken_back;
    struct buf key, line;
    struct arena arena;
    struct fn_ctx ctx;
    struct window_failure *failures; /* by call: the last error of the stretch at hand */
    uint32_t failed_call;            /* the first that fails for the row at hand */
    size_t bytes;
};

/* op_window.c: the node's rows have these results now (NULL: none); true if they differ from what was put out. The
 * state takes `new`. */
bool window_show(struct op *op, struct rank_node *n, struct shown *new);

/* window_run.c: puts the results of a partition right, whose touched nodes are in p->touched, linked by `chain`; those
 * without rows are out of the list but not freed yet. */
void window_run(struct op *op, struct partition *p);
void window_checkpoint_free(struct window_state *s, struct rank_node *n);

#endif
