/* What the files of the flow layer share. The protocol is described in README.md. */
#ifndef PENSTOCK_FLOW_INTERNAL_H
#define PENSTOCK_FLOW_INTERNAL_H

#include "base/buf.h"
#include "base/clock.h"
#include "base/numa.h"
#include "flow/pipeline.h"
#include "flow/pool.h"
#include "flow/ring.h"
#include "flow/wake.h"
#include "store/epoch_log.h"

#include <pthread.h>

#define LANES_MAX  (GATE_SOURCES_MAX * SOURCE_LANES_MAX)
#define LANE_TIMES 64 /* more chunks than can be on their way: each takes a message of every ring */

struct chunk_position { /* what a chunk of lane 0 says about its source; malloc'ed, ends on shard 0 */
    uint32_t source;
    uint32_t len; /* 0: position unchanged */
    uint8_t bytes[SOURCE_POSITION_MAX];
    char text[64];
    int64_t commit_us;
    uint8_t snapshot; /* 1: the source's tables are incomplete */
};

struct chunk_end { /* with it what the chunk holds */
    struct chunk_position position;
    struct epoch_transactions done;
};

/* ---- sources' side ---- */
struct lane_slot { /* rows being collected for one (table, shard) */
    struct batch *batch;
    uint32_t committed_rows;
    bool touched; /* since the last commit */
};
struct lane_queue { /* full batches of the chunk for one shard, until it is handed over */
    struct msg *msgs;
    uint32_t count, capacity, committed;
    uint32_t sent; /* while it is being handed over */
};
struct sink_lane {
    struct sink *sink;
    uint32_t number;         /* over all lanes of the pipeline */
    uint32_t in_sink;        /* 0: carries the position */
    struct lane_slot *slots; /* [table * shard_count + shard] */
    uint32_t *touched;       /* slots with rows since the last commit */
    uint32_t touched_count;
    struct lane_queue *queues; /* per shard */
    struct ring *rings;        /* per shard, consumer: the shard */
    struct ring *returns;      /* per shard, consumer: this lane: batches coming home */
    struct pool pool;
    struct buf key;
    bool open;           /* the chunk has begun (in the counters) */
    bool in_transaction; /* changes since the last commit */
    bool has_commit;     /* a transaction has ended in this chunk */
    bool eager;          /* rows of the current, unfinished transaction were already handed over */
    uint64_t chunk_rows, committed_rows, queued_batches, moves;
    int64_t chunk_us; /* steady: when the first commit of the chunk was made */
    int64_t first_us; /* Unix: of that commit at the source, or when it was taken in */
    uint64_t chunk_commits;
    bool time_known;                /* the chunk's entry in `times` is that of its first commit */
    atomic_llong waiting_us;        /* first_us of a chunk that is not in the rings yet; 0: none */
    atomic_llong times[LANE_TIMES]; /* Unix, by chunk: when it was committed at the source */
    struct chunk_position position;
    uint32_t transaction;           /* its number at the source, if that has any, of the one under way; 0 */
    struct epoch_transactions done; /* in this chunk */
    _Alignas(CACHE_LINE_BYTES) atomic_ullong begun; /* chunks whose first message may be in the rings */
    atomic_ullong ended;                            /* chunks handed over whole */
    atomic_uint blocked; /* waits for room: the coordinator should claim the open chunk */
    _Alignas(CACHE_LINE_BYTES)
        atomic_ullong visible; /* newest chunk in a visible epoch; written by the coordinator */
};
struct sink {
    struct pipeline *pipeline;
    uint32_t source;
    uint32_t lane_count;
    struct sink_lane *lanes; /* borrowed from the pipeline */
    atomic_uint snapshot;    /* between snapshot_begin and snapshot_end */
    struct gate_source *status;
    bool away; /* not followed since the connection was lost or could not be made; of the source's thread */
    pthread_mutex_t lock; /* durable position */
    pthread_cond_t changed;
    uint8_t durable[SOURCE_POSITION_MAX];
    size_t durable_len;
    pthread_t thread;
    bool has_thread;
    uint8_t resume[SOURCE_POSITION_MAX];
    size_t resume_len;
    bool *wanted;
    void (*on_wait)(void *ctx); /* see sink_on_wait */
    void *on_wait_ctx;
    int64_t on_wait_us; /* steady: when it was called last */
    atomic_bool
        *stopped; /* per table: can no longer be followed; set by the source's threads, never taken back */
    atomic_ullong *bad_rows; /* owned, per table: rows that cannot be read; written by the coordinator */
    atomic_bool asked;       /* the source has looked at its tables in this run, and follows them */
    char **stop_reasons;     /* owned, per table, NULL: not stopped; guarded by lock */
};

/* ---- shards ---- */
struct shard_measure { /* see measure.c */
    uint64_t most[GATE_QUEUES];
    uint64_t *op_ticks;         /* owned; per node, already written */
    uint64_t first_ticks;       /* read at the same time as */
    int64_t first_us, space_us; /* steady; when the store's sizes were last looked at */
    uint64_t txn_behind;        /* of the oldest foreign snapshot at the last look; 0: none */
};
enum shard_phase { SHARD_IDLE, SHARD_WORKING };
struct moved_row {
    uint64_t number;
    struct batch *batch;
};
struct out_queue { /* messages that found the ring full */
    struct msg *msgs;
    uint32_t first, count, capacity;
};
struct shard {
    struct pipeline *pipeline;
    uint32_t index;
    struct store_shard *store; /* NULL without a store */
    struct graph *graph;
    enum shard_phase phase;
    uint64_t epoch;
    struct ring *in;         /* from each shard; this shard consumes */
    struct ring *returns;    /* from each shard: my batches coming home */
    struct msg *ring_memory; /* of both */
    size_t ring_bytes;
    struct out_queue *out;
    uint32_t out_waiting; /* messages in all out queues */
    struct pool pool;
    uint32_t *markers; /* per node, this epoch */
    bool *marker_sent;
    uint64_t *lane_chunk; /* newest chunk end seen, per lane */
    struct moved_row *moved;
    uint32_t moved_count, moved_capacity;
    uint32_t replay_node; /* next table node to replay while rebuilding */
    uint32_t expire_node; /* next table node whose rows may be over by the clock */
    uint64_t rows_in;
    int64_t began_us;     /* the epoch at hand, */
    int64_t inputs_us;    /* its input had ended (0: not yet), and */
    int64_t stats_us;     /* sizes were last written; all steady */
    uint64_t stats_epoch; /* and after which epoch */
    uint64_t busy_us, commit_us;
    struct shard_measure measure;
    pthread_t thread;
    bool has_thread;
    struct wake wake;
    atomic_ullong beats;                                /* +1 per turn of its thread, also of an idle one */
    _Alignas(CACHE_LINE_BYTES) atomic_ullong committed; /* newest epoch committed here */
};

struct room {                               /* the coordinator's knowledge of it, see pause.c */
    int64_t looked_us, memory_us, views_us; /* steady: the last looks */
    int64_t memory;                         /* used then */
    bool paused;
};
struct source_track { /* shard 0's knowledge of a source, as of the epoch being worked on */
    struct chunk_position now;
    struct epoch_transactions done; /* in this epoch */
    bool known;                     /* a position was ever stored */
    bool changed;                   /* in this epoch */
};
struct checkpointer {
    pthread_t thread;
    bool has_thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct store_pin *pin; /* handed over by the coordinator; NULL: idle */
    bool busy, stop;
    bool failing;                     /* a checkpoint has failed: there is no other one in this process */
    struct chunk_position *positions; /* of the pinned epoch, per source */
};
/* What pipeline_forget asks: set by its thread while idle, carried out in one epoch by all shards. */
enum forget_state { FORGET_IDLE, FORGET_ASKED, FORGET_OPEN, FORGET_DONE };
struct forget {
    atomic_uint state; /* enum forget_state; ASKED to OPEN to DONE by the coordinator */
    uint32_t node;
    bool has_key;
    uint8_t key[QUARANTINE_KEY_BYTES];
    int64_t until_us;
    atomic_ullong rows;
};
struct pipeline {
    struct forget forget;
    struct shard_watch *watch; /* by shard; see watch.c */
    struct pipeline_options o;
    struct shard *shards;
    struct sink *sinks;
    uint32_t lane_count;
    struct sink_lane *lanes;
    struct msg **lane_rings; /* by shard: memory of the lanes' rings to it */
    uint32_t **table_node;   /* [source][table]: node id or UINT32_MAX */
    uint32_t *lane_source;   /* per lane */
    uint64_t *
        *view_nodes; /* [view]: bit set of the nodes below it, for error rows; NULL when not published */
    struct source_track *tracks;
    bool rebuilding; /* the epoch at hand rebuilds state from the mirrors */
    bool rebuilt;
    uint64_t *claimed;        /* per lane: chunks of the open epoch; written before epoch_open */
    int64_t epoch_started_us; /* steady */
    int64_t clock_us; /* what now() is in the open epoch; written before epoch_open. Never falls in a run */
    int64_t due_us;   /* when the clock alone changes a row; INT64_MAX: not at all, or an epoch is open */
    bool has_clock;   /* some view compares with now() */
    bool clock_known; /* clock_us was stored by the last epoch of an earlier run */
    int64_t checkpoint_us, stats_us, heartbeat_us; /* steady: when each was last */
    uint64_t checkpointed_epoch;
    struct room room;
    atomic_llong memory_limit; /* 0: none */
    atomic_bool tight;         /* memory is near its limit: chunks are kept small */
    uint64_t rows_seen;        /* changes taken in up to the last epoch, all shards */
    struct checkpointer checkpointer;
    atomic_uint stopping, halt; /* stop sources; stop shards */
    atomic_bool any_stopped;    /* some source's table can no longer be followed */
    atomic_uint hungry;         /* the coordinator has nothing to do: chunks should end early */
    pthread_mutex_t failure_lock;
    pthread_cond_t failed;
    struct err *failure;
    _Alignas(CACHE_LINE_BYTES) atomic_ullong epoch_open; /* newest epoch that may be worked on */
    _Alignas(CACHE_LINE_BYTES) atomic_ullong epoch_done; /* newest epoch committed everywhere */
};

/* `timeout_ms` from now for a condition made by condition_init, which waits by the steady clock. */
struct timespec steady_after(int timeout_ms);
void condition_init(pthread_cond_t *c);
void pipeline_fail(struct pipeline *p, struct err *e); /* keeps the first; takes e; halts */

/* sink.c */
void lane_init(struct sink_lane *l, struct sink *s, uint32_t number, uint32_t in_sink);
void lane_fini(struct sink_lane *l);
/* The source has ended: hands over what is complete. False when a lane is in the middle of a transaction of which
 * a part was handed over already. */
bool sink_end(struct sink *s);
/* shard.c */
int shard_node(const struct pipeline *p, uint32_t index); /* NUMA_ANY: nothing is said about it */
/* What mappings of a shard's are called; box/placement.c reads it. */
#define SHARD_MEMORY_NAME_BYTES 32
const char *shard_memory_name(uint32_t index, char out[SHARD_MEMORY_NAME_BYTES]);
void shard_init(struct shard *s, struct pipeline *p, uint32_t index);
void shard_fini(struct shard *s);
struct err *shard_open(struct shard *s, uint64_t epoch); /* the set-up epoch */
bool shard_step(struct shard *s);
int shard_sleep_us(const struct shard *s); /* at most, of one that finds nothing to do */
void *shard_thread(void *arg);
/* measure.c: a shard's numbers in the gate and in DATA/operators */
void measure_init(struct shard *s);
void measure_fini(struct shard *s);
void measure_commit(struct shard *s, int64_t from, int64_t to); /* steady: the commit just done */
void measure_idle(struct shard *s);                             /* in a step that found nothing to do */
void measure_working(struct shard *s);                          /* in a step inside an epoch */
void measure_given_up(struct shard *s); /* of an epoch that ends there: what was held by then may be why */
static inline void measure_queue(struct shard *s, enum gate_queue q, uint64_t depth)
{
    if (UNLIKELY(depth > s->measure.most[q]))
        s->measure.most[q] = depth;
}
/* lag.c: how far behind its sources the pipeline is; by the coordinator */
void lag_publish(struct pipeline *p); /* the oldest change of each source that is not visible */
void lag_visible(struct pipeline *p, uint32_t lane); /* before the lane's claimed chunks become visible */
/* coordinator.c */
bool coordinator_step(struct pipeline *p);
bool coordinator_clock_due(const struct pipeline *p); /* between epochs: the clock has come to change a row */
void coordinator_publish_views(struct pipeline *p);   /* which views may be served */
struct err *coordinator_load_positions(struct pipeline *p);
/* Inside shard 0's transaction: positions of the epoch at hand. */
struct err *coordinator_store_positions(struct pipeline *p, uint64_t epoch);
void coordinator_forget(struct pipeline *p,
                        struct shard *s); /* by each shard, at the beginning of an epoch */
/* pause.c */
#define PAUSE_ADVICE_BYTES 256
bool pause_holds(struct pipeline *p, int64_t now); /* between epochs: there is no room for another one */
bool pause_allows_clock(const struct pipeline *p); /* though it holds */
void pause_check_queues(struct pipeline *p);       /* any shard; may fail the pipeline */
void pause_publish_views(struct pipeline *p, int64_t now); /* memory by view, into the gate */
void pause_watch_memory(struct pipeline *p, int64_t now);  /* at any time; may fail the pipeline */
/* checkpointer.c */
void checkpointer_start(struct pipeline *p);
void checkpointer_stop(struct pipeline *p); /* after a last checkpoint */
bool checkpointer_idle(struct pipeline *p);
void checkpointer_give(struct pipeline *p, struct store_pin *pin);
void checkpoint_now(struct pipeline *p, struct store_pin *pin);

#endif
