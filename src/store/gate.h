/* The epoch gate: one shared-memory file (DATA/gate) through which pipeline and serve processes meet.
 *
 * Single-writer fields: everything is written by the pipeline except the reader slots, each written by its serve
 * loop alone. All fields are naturally aligned and accessed with C11 atomics. The file is made anew when its
 * layout version or the machine's boot differs.
 *
 * Reading protocol (serve): gate_read_enter(slot) -> use LMDB snapshots -> gate_read_leave(slot). Before the pipeline puts a
 * snapshot back after a crash it sets `recovering` and waits until every slot of a living process is idle; a
 * reader that finds `recovering` set leaves at once and answers 503. A snapshot is therefore never held while
 * waiting for a client. */
#ifndef PENSTOCK_STORE_GATE_H
#define PENSTOCK_STORE_GATE_H

#include "base/err.h"
#include "store/gate_stats.h"
#include <stdatomic.h>

#define GATE_LAYOUT      11
#define GATE_READERS_MAX 256 /* serve loops and other readers over all processes */
#define GATE_SOURCES_MAX 64
#define GATE_VIEWS_MAX   1024
#define GATE_BAD_TABLES_MAX \
    128 /* tables of which some row could not be read since the start, by name; of more the sum is told */
#define GATE_SHARDS_MAX   256
#define GATE_LOOPS_MAX    256
#define GATE_VERSIONS_MAX 16

enum pipeline_state {
    PIPELINE_DOWN,
    PIPELINE_RECOVERING,
    PIPELINE_REBUILDING,
    PIPELINE_RUNNING,
    PIPELINE_PAUSED,
    PIPELINE_STATES
};
enum source_state {
    SOURCE_OFF,
    SOURCE_CONNECTING,
    SOURCE_SNAPSHOT,
    SOURCE_STREAMING,
    SOURCE_RETRYING,
    SOURCE_FAILED,
    SOURCE_STATES
};
enum view_state { VIEW_BUILDING, VIEW_READY, VIEW_STOPPED, VIEW_STATES };
/* In words: "running", "streaming", "ready"; "unknown" for what is no state. */
const char *pipeline_state_name(unsigned state);
const char *source_state_name(unsigned state);
const char *view_state_name(unsigned state);

/* Why nothing new is taken in; see pause.h. */
enum pause_reason { PAUSE_NONE, PAUSE_DISK, PAUSE_MAP, PAUSE_MEMORY };

#define GATE_READER_CLAIMED UINT32_MAX

struct gate_reader {
    _Alignas(CACHE_LINE_BYTES) atomic_uint pid; /* 0: free; GATE_READER_CLAIMED while it is being taken */
    atomic_uint active;                         /* 1 between enter and leave */
    atomic_ullong started;                      /* start time of the process: ids are used again */
};
struct gate_source {
    char name[64];
    atomic_uint state;                           /* enum source_state */
    atomic_ullong rows;                          /* changes taken in since start */
    atomic_ullong snapshot_done, snapshot_total; /* rows (estimate) */
    atomic_llong lag_bytes;                      /* behind the source's log, -1 unknown */
    atomic_llong retained_bytes;                 /* of its log, kept by the source for us; -1 unknown */
    atomic_llong log_bytes;                      /* of its own log on this machine; 0: it has none */
    atomic_ullong accepted;                      /* rows that clients pushed, since start */
    atomic_ullong refused;                       /* requests that were refused, since start */
    atomic_ullong expired;                       /* rows that went by retention, since start */
    atomic_ullong late;                          /* rows that were over when they came, likewise */
    atomic_ullong bad_rows;                      /* rows that cannot be read, and are left out now */
    atomic_llong last_change_us;  /* commit time at the source of the newest visible transaction, Unix us */
    atomic_llong last_contact_us; /* Unix us of the last message from the source */
    char position[64];            /* newest visible position as text (an LSN); guarded by position_seq */
    atomic_uint position_seq;     /* seqlock */
    char error[256];              /* last error, no secrets; guarded by error_seq */
    atomic_uint error_seq;
    struct gate_source_stats stats;
};
struct gate_view {
    atomic_uint state; /* enum view_state */
    atomic_uint
        fills; /* +1 whenever the slot's rows are to be replaced, perhaps by another view's: who read the
                                 catalog before must not take them for those that it describes */
    atomic_uint hides;         /* +1 after each change of state to VIEW_BUILDING */
    atomic_ullong rows;        /* rows stored over all shards */
    atomic_ullong state_bytes; /* memory of the operators below it; those that views share count for each */
    atomic_ullong error_rows; /* rows left out because an expression fails for them: the view is incomplete */
    char error[192];          /* one of those errors */
    atomic_uint error_seq;
};
struct gate_bad_table { /* a table of which some row could not be read since the start */
    char name[64];      /* as cut; written before bad_table_count covers it */
    atomic_uint source; /* index into sources */
    atomic_ullong rows; /* that are left out now */
};
struct gate_shard {
    _Alignas(CACHE_LINE_BYTES) atomic_ullong rows_in;
    atomic_ullong busy_us, commit_us, epochs, state_bytes, dirty_bytes, cpu;
    atomic_ullong rebuilt_rows,
        rebuild_rows; /* mirrored rows read while state is rebuilt, and how many there are */
    struct gate_shard_stats stats;
};

struct gate_version {    /* a version of the contracts that is served; see versions.h */
    atomic_uint number;  /* 0: this place is free */
    atomic_uint edition; /* of the catalog: whose apis its paths are */
};
struct gate_pause {
    atomic_uint reason;   /* enum pause_reason */
    atomic_uint carried;  /* 1: an epoch ran into the end; the next start waits before it opens its sources */
    atomic_uint failures; /* such epochs one after the other */
    atomic_uint advice_seq;
    atomic_llong since_us; /* Unix us */
    atomic_llong need_bytes,
        have_bytes;          /* free on the disk, or in the map; memory: the limit, and what is used */
    atomic_ullong count;     /* pauses in this boot */
    atomic_ullong map_bytes; /* what the next start maps at least, per shard; 0: the usual */
    char advice[256];        /* what to do; guarded by advice_seq */
};

struct gate {
    char magic[8]; /* "PENSTOCK" */
    uint32_t layout, size_bytes;
    char boot_id[40];
    atomic_uint
        generation; /* +1 whenever stores were put back or the catalog was replaced: readers re-read */
    atomic_uint recovering; /* also from the making of the file until the first recovery */
    atomic_uint
        unrecovered; /* since this boot began, or a sync failed, no store was recovered: what is in the
                                   files may not be whole. Set when made, cleared by store_open; what fresh_boot
                                   tells, so that a recovery that was interrupted is not taken for a process crash */
    atomic_uint pipeline_state; /* enum pipeline_state */
    atomic_uint pipeline_pid;
    atomic_ullong pipeline_starts, serve_starts; /* by the supervisor, in this boot */
    atomic_uint pipeline_sandbox,
        serve_sandbox; /* enum sandbox_part: what confines each. Written by the process itself */
    atomic_uint shard_count;
    atomic_ullong epoch; /* newest epoch committed on every shard; what readers may show */
    atomic_ullong durable_epoch;
    atomic_llong epoch_us;     /* Unix us when `epoch` became visible */
    atomic_llong heartbeat_us; /* Unix us, written at least once a second while the pipeline lives */
    atomic_uint wake;          /* futex word: +1 at every visible epoch (FUTEX_WAKE, shared) */
    atomic_uint source_count, view_count;
    atomic_uint version;         /* of paths that name none; 0: not known yet */
    atomic_uint version_last;    /* the highest number that ever was complete */
    atomic_uint version_changes; /* +1 after each change of it or of `versions` */
    struct gate_version versions[GATE_VERSIONS_MAX];
    struct gate_pause pause;
    atomic_llong memory_bytes, memory_limit; /* of the pipeline's own; the limit -1: none */
    atomic_llong disk_free, disk_reserve;    /* where the data lies; -1 unknown */
    struct gate_process processes[GATE_PROCESSES];
    struct gate_pipeline_stats stats;
    atomic_uint bad_table_count;
    struct gate_bad_table bad_tables[GATE_BAD_TABLES_MAX];
    struct gate_source sources[GATE_SOURCES_MAX];
    struct gate_view views[GATE_VIEWS_MAX]; /* by catalog view index */
    struct gate_shard shards[GATE_SHARDS_MAX];
    struct gate_loop loops[GATE_LOOPS_MAX];
    struct gate_reader readers[GATE_READERS_MAX];
};

/* Maps DATA/gate, making it when absent or from another boot (*fresh_boot tells: then files on disk may have lost
 * whatever was not durable). Any process. */
NODISCARD struct err *gate_open(const char *dir, struct gate **out, bool *fresh_boot);
void gate_close(struct gate *g);

/* Reader slots: -1 when none is free. Slots of dead processes are taken over. */
int gate_reader_attach(struct gate *g);
void gate_reader_detach(struct gate *g, int slot);
/* Frees the slots of processes that are dead. For a process that will not be able to see others. */
void gate_readers_reap(struct gate *g);
/* False while recovering: nothing may be read. */
bool gate_read_enter(struct gate *g, int slot);
void gate_read_leave(struct gate *g, int slot);
/* Pipeline: set recovering and wait until no living reader is active (bounded by timeout_ms: then a reader that
 * still is, is killed with SIGKILL, as it must be stuck). */
void gate_recovery_begin(struct gate *g, int timeout_ms);
void gate_recovery_end(struct gate *g); /* generation + 1 */

/* Pipeline: the slot's view is not complete from now on, until its state is set to VIEW_READY. Before a snapshot that
 * shows so is published. */
bool gate_view_hide(struct gate *g, uint32_t slot); /* false: it was not shown before */
/* Pipeline: as that, and nobody who read `fills` before may show the slot at all. */
void gate_view_replace(struct gate *g, uint32_t slot);

void gate_publish(struct gate *g, uint64_t epoch); /* visible: epoch, time, wake */
/* Waits until epoch > seen, generation changes or timeout; returns the visible epoch. Any thread of any process. */
uint64_t gate_wait(struct gate *g, uint64_t seen, int timeout_ms);
void gate_text_set(char *field, size_t size_bytes, atomic_uint *seq, const char *text);
void gate_text_get(const char *field, size_t size_bytes, const atomic_uint *seq, char *out);

#endif
