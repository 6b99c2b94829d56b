/* The running dataflow: sources, shards, epochs, checkpoints.
 *
 * pipeline_new builds it; then either pipeline_start runs it on threads of its own, or a test calls
 * pipeline_step(shard) itself, in any order: the result must not depend on it. */
#ifndef PENSTOCK_FLOW_PIPELINE_H
#define PENSTOCK_FLOW_PIPELINE_H

#include "ops/op.h"
#include "source/source.h"
#include "store/op_stats.h"

struct pipeline_source {
    const char *name;
    const struct source_kind *kind; /* NULL: driven by a test through pipeline_sink */
    void *conf;
    const struct table_def *tables;
    uint32_t table_count;
};
struct pipeline_options {
    const struct plan *plan;
    const struct catalog *catalog; /* published views by view_index; NULL without a store */
    struct store *store;           /* NULL: views in memory only (benchmarks) */
    struct gate *gate;             /* never NULL; a private one without a store */
    bool *view_fill;               /* by view index: to be written anew from the mirrors */
    uint32_t shard_count;
    /* Where the checkpoint thread runs: not on the shards' cores. Sources go where there is room. 0: anywhere. */
    const uint32_t *other_cpus;
    uint32_t other_cpu_count;
    const uint32_t *cpus; /* one per shard to pin to, or NULL: not pinned */
    const uint32_t
        *nodes; /* the memory node of each of these; NULL: the machine has one, or nothing is pinned */
    struct pipeline_source *sources;
    uint32_t source_count;
    int64_t epoch_us, checkpoint_us, checkpoint_bytes;
    int64_t log_us, log_rows;
    /* Changes to a shard's store before its operators open it, in the same epoch on all shards; may be NULL. */
    struct err *(*setup)(void *ctx, uint32_t shard, struct store_shard *sh);
    void *setup_ctx;
    struct op_stats *op_stats; /* what operators hold is written there; may be NULL */
    void (*view_out)(void *ctx, const struct plan_view *view, const struct batch *b); /* see op.h */
    void *view_ctx;
    bool
        clock_anew; /* pipeline_clock_lost: the stored views that compare with now() are filled, at the present time */
    int64_t reserve_bytes;           /* free on the disk below which no epoch is opened; 0: not looked at */
    int64_t memory_bytes;            /* most of the process's own memory, likewise; 0: no limit */
    int64_t (*disk_free)(void *ctx); /* tests: instead of the file system's word */
    int64_t (*memory_used)(void *ctx);
    void *room_ctx;
    int64_t (*clock)(void *ctx); /* what now() is, Unix microseconds; NULL: the host's clock */
    void *clock_ctx;
    void (*wait)(
        void *ctx); /* instead of sleeping while a source waits for room: tests with one thread step shards */
    void *wait_ctx;
};

/* Whether the host's clock is so far behind the one that stored views were made by that now() cannot wait for it. */
bool pipeline_clock_is_back(int64_t stored_us, int64_t now_us);
/* The same of the clock in the store, before the pipeline is made: then views that compare with now() (plan_clock_views) are
 * to be in view_fill, and clock_anew set. */
NODISCARD struct err *pipeline_clock_lost(struct store *store, int64_t now_us, bool *lost);

struct pipeline;
/* What to do about memory, with the views that hold the most. Any thread. */
void pause_memory_advice(const struct pipeline *p, char out[256]);
struct pipeline *pipeline_new(const struct pipeline_options *o);
NODISCARD struct err *
pipeline_open(struct pipeline *p); /* opens databases on every shard; before start or step */
void pipeline_start(struct pipeline *p);
/* Ends sources, finishes the epoch at hand, checkpoints, joins all threads. */
void pipeline_stop(struct pipeline *p);
void pipeline_free(struct pipeline *p);
/* Waits up to timeout_ms for a failure that cannot be mended in place; NULL if none. Takes nothing: stays owned. */
const struct err *pipeline_failure(struct pipeline *p, int timeout_ms);
/* To be called about once a second, as long as the pipeline runs, by the thread that owns it. A shard whose thread neither got
 * on nor used a processor for `stuck_looks` calls one after the other (0: any number) is stuck: it gets SIGABRT, which ends
 * the process with a crash report of that thread. Calls are counted, not time, so that a host that was suspended wakes no
 * watchdog. One that works on a single step for long is told of in the log. */
void pipeline_watch(struct pipeline *p, unsigned stuck_looks);
/* Another limit than memory_bytes from now on. */
void pipeline_set_memory(struct pipeline *p, int64_t bytes);
/* An operator has seen rows of the table that cannot be read: the entry of the key (store/quarantine.h), or with NULL all that
 * were last delivered by until_us, are to be on its list no longer. Done in an epoch to come. False: there is no such table that
 * a view reads, or one is asked for already. */
bool pipeline_forget(struct pipeline *p, const char *source, const char *table,
                     const uint8_t key[QUARANTINE_KEY_BYTES], int64_t until_us);
/* Whether the last one is done and visible; then the number of rows, and another may be asked for. By the same thread. */
bool pipeline_forgotten(struct pipeline *p, uint64_t *rows);
uint64_t pipeline_epoch(const struct pipeline *p); /* newest visible */
/* One step of a shard (shard 0 also coordinates). True if it did something. For tests, instead of start. */
bool pipeline_step(struct pipeline *p, uint32_t shard);
struct sink *pipeline_sink(struct pipeline *p, uint32_t source);
/* The text of a position as it is stored (key "position:SOURCE" of shard 0's "meta"); "" when there is none. */
void pipeline_position_text(struct slice stored, char out[64]);
struct graph *pipeline_graph(struct pipeline *p, uint32_t shard);

/* ---- limits (docs/limits.md) ---- */
#define LANE_RING_MSGS    16   /* batches between a source and a shard */
#define SHARD_RING_MSGS   64   /* batches between two shards */
#define SHARD_QUEUE_CHECK 16   /* batches that a shard queues for others between two looks at the memory */
#define CHUNK_ROWS_TIGHT  2048 /* and after so many when memory is near its limit */
#define TIGHT_EPOCH_MS    20   /* least time between epochs then */
#define CHECKPOINT_BEHIND \
    4 /* times checkpoint_bytes written while a checkpoint lasts: no further epoch before its end */
#define CHUNK_ROWS_MAX     32768 /* a chunk ends at the first transaction end after so many rows */
#define LANE_QUEUE_BATCHES 48    /* a larger transaction is worked on before it has ended */
#define REPLAY_ROWS        8192  /* rows of a mirror replayed, or taken out by TRUNCATE, per step */
#define CLOCK_STEP_MS      10    /* least time between epochs that only the clock asks for */
#define CLOCK_BACK_MS \
    10000 /* the host's clock set back by more: views that compare with now() are filled anew */

#endif
