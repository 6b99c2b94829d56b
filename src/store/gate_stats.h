/* Numbers about how the instance does, in the gate's shared memory; /metrics and `penstock status` show them. Each is written
 * by one thread: of the pipeline unless it says otherwise. Counts are since the file was made (the host's start), so that a
 * restart of a process does not take them back; a pipeline that starts anew goes on with them. */
#ifndef PENSTOCK_STORE_GATE_STATS_H
#define PENSTOCK_STORE_GATE_STATS_H

#include "base/histogram.h"
#include "base/base.h"

enum gate_process_kind { GATE_SUPERVISOR, GATE_PIPELINE, GATE_SERVE, GATE_PROCESSES };
struct gate_process { /* by the process itself, once a second */
    atomic_uint pid;
    atomic_llong started_us, seen_us; /* Unix */
    atomic_ullong resident_bytes, cpu_us, open_files, threads;
    atomic_llong own_bytes; /* memory of its own, without pages of files; -1 unknown */
};

struct gate_source_stats {
    atomic_ullong transactions; /* taken in */
    atomic_ullong reconnects;   /* times that the connection was lost or could not be made */
    atomic_ullong blocked_us;   /* that its threads waited for room: back-pressure; several writers */
    atomic_llong oldest_us;     /* Unix: commit of the oldest change at hand that is not visible; 0: none */
    atomic_llong caught_up_us;  /* Unix: when the source last had nothing that was not taken in; 0: never */
    struct histogram delay;     /* from a chunk's first commit at the source until it was visible */
};

enum epoch_phase {
    EPOCH_START,  /* opened, until the shard began it */
    EPOCH_WORK,   /* until its input had ended */
    EPOCH_CLOSE,  /* until its operators were closed */
    EPOCH_COMMIT, /* of its store */
    EPOCH_SHARD_PHASES
};
enum gate_queue {
    GATE_QUEUE_LANES,  /* rings from sources: messages, the fullest one */
    GATE_QUEUE_SHARDS, /* rings from other shards, likewise */
    GATE_QUEUE_OUT,    /* messages that found a ring full, all together */
    GATE_QUEUE_POOL,   /* batches kept for the next use */
    GATE_QUEUES
};
struct gate_shard_stats {
    struct histogram phase[EPOCH_SHARD_PHASES];
    struct {
        atomic_ullong now, most; /* most: since the pipeline's start */
    } queue[GATE_QUEUES];
    atomic_ullong file_bytes, map_bytes, used_bytes, free_bytes; /* of the store; free: inside of used */
    atomic_llong
        reader_us; /* Unix: since when the oldest snapshot of another process is not the newest; 0: none */
};

struct gate_loop {                                   /* by the serve loop itself */
    _Alignas(CACHE_LINE_BYTES) atomic_ullong rounds; /* of events; at least one a second while it gets on */
};

enum checkpoint_phase { CHECKPOINT_SYNC, CHECKPOINT_MARKER, CHECKPOINT_PHASES };
struct gate_pipeline_stats {
    struct histogram epoch, publish; /* opened until visible; committed by all until visible */
    struct histogram epoch_rows;
    struct histogram checkpoint[CHECKPOINT_PHASES];
    atomic_ullong checkpoint_failures;
    atomic_ullong disk_bytes;                        /* of the file system of the data directory */
    atomic_ullong reloads_accepted, reloads_refused; /* by the supervisor */
    atomic_ullong stuck_shards, stuck_loops,
        stuck_processes; /* watchdogs that bit; the second by the supervisor */
};

struct gate;
/* Writes the calling process's numbers; to be called once a second by one of its threads. */
void gate_measure_process(struct gate *g, enum gate_process_kind kind);

#endif
