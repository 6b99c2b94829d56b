/* Operators: the running form of plan nodes on one shard.
 *
 * A graph holds one operator per plan node. Deltas are pushed through it: op_emit lends a batch to every reader for
 * the length of the call; a reader that needs the rows later copies them. An operator is closed for an epoch once
 * all its inputs are; whoever only knows its net change then (aggregate, view) emits or writes it at that time.
 * Everything here belongs to one shard's thread.
 *
 * Values of an emitted batch live at least until op_emit returns; state rows that a pending output batch still
 * refers to are freed only after it was emitted. */
#ifndef PENSTOCK_OPS_OP_H
#define PENSTOCK_OPS_OP_H

#include "base/ticks.h"
#include "data/batch.h"
#include "plan/plan.h"
#include "store/error_store.h"
#include "store/store.h"
#include "store/view_store.h"

struct graph;
struct op;

struct op_class {
    const char *name;
    void (*open)(struct op *op); /* allocate state */
    void (*push)(struct op *op, uint32_t input, const struct batch *b);
    void (*close)(struct op *op); /* end of epoch: all inputs are closed; may emit */
    void (*fini)(struct op *op);
    /* Between epochs as well; all may be NULL. Memory of the state, rows (or groups) in it, bytes in the store. */
    size_t (*state_bytes)(const struct op *op);
    uint64_t (*state_rows)(const struct op *op);
    uint64_t (*stored_bytes)(const struct op *op);
};

struct op_reader {
    struct op *op;
    uint32_t input;
};
struct op {
    const struct plan_node *node;
    const struct op_class *klass;
    struct graph *graph;
    void *state;       /* owned, of the class */
    struct batch *out; /* owned; output under construction */
    uint32_t reader_count;
    struct op_reader *readers;
    bool closed;               /* for the current epoch */
    int64_t error_rows;        /* rows (by weight) now left out because an expression fails for them */
    struct error_list *errors; /* owned, see op_errors.h; NULL before the first */
    uint64_t rows_in, rows_out;
    uint64_t ticks; /* its own time: see op_enter */
};

/* How a graph reaches the world. The flow layer fills it in. */
struct graph_env {
    uint32_t shard, shard_count;
    uint32_t recursion_rounds; /* 0: RECURSION_ROUNDS_MAX */
    uint64_t recursion_bytes;  /* 0: RECURSION_BYTES_MAX */
    struct store_shard *store; /* NULL: operators in memory only (benchmarks, unit tests) */
    struct gate *gate; /* tells which views are being built, is told what retention did; may be NULL */
    const struct catalog *catalog; /* of the published views, by view_index; NULL without store */
    bool *view_fill;               /* by view_index: rebuild writes its rows (new or changed view) */
    int64_t log_rows, log_us;      /* change log retention */
    uint32_t error_rows;           /* that a view's list shows; 0: the default; see op_errors.h */
    /* Rows for another shard; `to` != shard. The batch is lent. */
    void (*send)(void *ctx, uint32_t node_id, uint32_t to, struct batch *moved);
    struct batch *(*batch_get)(void *ctx, uint32_t to, uint32_t column_count); /* an empty batch to be sent */
    void *ctx;
    void *view_ctx;
    /* What a view's sink gets, stored or not (unit tests, benchmarks). May be NULL. */
    void (*view_out)(void *ctx, const struct plan_view *view, const struct batch *b);
};

struct graph {
    const struct plan *plan;
    struct graph_env env;
    uint32_t op_count;
    struct op *ops; /* by node id */
    uint64_t epoch; /* being worked on */
    int64_t now_us; /* when the shard began the epoch */
    int64_t
        clock_us; /* what now() is in the epoch: Unix microseconds, the same on all shards, never falling */
    struct op *running;  /* whose time it is; NULL between operators */
    uint64_t ticks_from; /* since when */
    bool rebuilding;     /* state is being rebuilt from mirrors: views are not written, except view_fill */
    bool first_epoch;    /* no epoch was closed yet since the graph was made */
    bool errors_changed; /* some operator's error rows; whoever publishes them clears it */
    struct error_dbs errors; /* with a store and a catalog */
    struct err
        *failure; /* first error that makes the epoch impossible to commit (store full, broken invariant) */
};

struct graph *graph_new(const struct plan *plan, const struct graph_env *env);
/* Opens databases inside the store's current write transaction. */
NODISCARD struct err *graph_open(struct graph *g);
void graph_free(struct graph *g);
/* clock_us is now_us until the caller says otherwise. */
void graph_begin(struct graph *g, uint64_t epoch, int64_t now_us, bool rebuilding);
/* Closes operators in topological order as far as `ready` allows: for PLAN_TABLE and PLAN_EXCHANGE nodes it tells
 * whether their outside input has ended. Returns true when every operator is closed. `on_exchange_input` is called once
 * an exchange's own inputs are closed and its last rows were sent (time for markers). */
bool graph_close(struct graph *g, bool (*ready)(void *ctx, const struct plan_node *n),
                 void (*on_exchange_input)(void *ctx, const struct plan_node *n), void *ctx);
/* The next time (Unix microseconds) at which some row enters or leaves by the clock; INT64_MAX: none. Between epochs. */
int64_t graph_due(const struct graph *g);
size_t graph_state_bytes(const struct graph *g);

/* Around whatever an operator does: its own time, without that of the operators it hands rows to meanwhile. Two readings of
 * the processor's counter for each batch, none for a row. Returns what op_leave is to be given. */
static inline struct op *op_enter(struct op *op)
{
    struct graph *g = op->graph;
    struct op *outer = g->running;
    uint64_t now = ticks_now();
    if (outer)
        outer->ticks += now - g->ticks_from;
    g->ticks_from = now;
    g->running = op;
    return outer;
}
static inline void op_leave(struct op *op, struct op *outer)
{
    struct graph *g = op->graph;
    uint64_t now = ticks_now();
    op->ticks += now - g->ticks_from;
    g->ticks_from = now;
    g->running = outer;
}

void op_close(struct op *op); /* klass->close, timed */
/* Lend a batch to all readers. */
void op_emit(struct op *op, const struct batch *b);
/* Emit op->out if it has rows, and empty it. */
void op_flush(struct op *op);
/* Room for one row in op->out (flushes when full); returns its row number. Row count is raised; weight is set. */
uint32_t op_out_row(struct op *op, int64_t weight);
/* A weight that no longer fits is a broken invariant, not a row to be wrong about. */
static inline void weight_add(int64_t *to, int64_t more)
{
    ASSERT(!__builtin_add_overflow(*to, more, to));
}
void graph_fail(struct graph *g, struct err *e); /* keeps the first; takes e */

/* ---- entry points of the flow layer ---- */
/* Changes from a source for a PLAN_TABLE node: weight[r] holds enum row_op. */
void op_table_changes(struct op *op, const struct batch *changes);
/* Takes every row out of the mirror, at most `rows` of them now; true once none is left (or the graph failed). */
bool op_table_truncate(struct op *op, uint64_t rows);
/* Takes the old row of `old_key` (row 0 of `old`) out of the mirror and completes VAL_UNCHANGED columns of `row` (row 0) from it. */
void op_table_move_out(struct op *op, const struct batch *old, struct batch *row);
/* Emits the next `rows` rows of the mirror; true once every row was emitted. The mirror must not change meanwhile. */
bool op_table_replay(struct op *op, uint64_t rows);
/* Rows whose retention is over at the epoch's time go, about `rows` of them now; true once none is left. Before any change of
 * the epoch; not while rebuilding. */
bool op_table_expire(struct op *op, uint64_t rows);
int64_t op_table_due(const struct op *op); /* when the next one does */
/* Entries of the mirror. */
uint64_t op_table_rows(const struct op *op);
/* Leaves off an unfinished replay; before its transaction ends. */
void op_table_replay_end(struct op *op);
/* Rows of the table that cannot be read, in this shard; between epochs as well. */
uint64_t op_table_bad_rows(const struct op *op);
/* An operator has seen them: the entry of the key (store/quarantine.h), or with NULL all that were last delivered by then. Adds
 * to *rows. At the beginning of an epoch. */
void op_table_forget(struct op *op, const uint8_t *key, int64_t until_us, uint64_t *rows);
/* Rows now stored of a published view in this shard. */
uint64_t op_view_rows(const struct op *op);
/* When the next row of a PLAN_TEMPORAL node changes. */
int64_t op_temporal_due(const struct op *op);
/* Rows received from another shard for a PLAN_EXCHANGE node. */
void op_exchange_receive(struct op *op, const struct batch *b);

extern const struct op_class op_class_table, op_class_filter, op_class_map, op_class_join, op_class_aggregate,
    op_class_temporal, op_class_top, op_class_flatmap, op_class_expand, op_class_window, op_class_values,
    op_class_union, op_class_set, op_class_exchange, op_class_view, op_class_loop, op_class_recurse;

#endif
