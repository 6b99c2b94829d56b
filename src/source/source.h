/* Sources: where tables come from. One table entry per kind; everything else is behind this interface.
 *
 * A source runs on threads of its own (its client library may block on DNS, TLS or a slow server, and a shard
 * must never wait), decodes the wire's bytes into rows and hands them to the shards through a `sink`: bounded
 * single-producer rings, one per lane and shard. When the pipeline is slower than the source, sink calls block;
 * that is the back-pressure.
 *
 * The sink is implemented by src/flow/sink.c; tests may implement it as they like. */
#ifndef PENSTOCK_SOURCE_SOURCE_H
#define PENSTOCK_SOURCE_SOURCE_H

#include "base/arena.h"
#include "base/err.h"
#include "config/yaml.h"
#include "data/table.h"
#include "store/quarantine.h"

struct sink;      /* one source's way into the pipeline (flow/sink.c) */
struct sink_lane; /* one producer thread of it */

/* Lane 0 belongs to the thread that runs source_kind.run; lanes 1.. to snapshot workers, each used by one thread at
 * a time. */
#define SOURCE_LANES_MAX 9
struct sink_lane *sink_lane_get(struct sink *s, uint32_t lane);

/* One row change of table `table_index`. vals/states have one entry per column of the table's schema (and are
 * copied). ROW_DELETE of a keyed table needs only the key columns. False: the pipeline is stopping, return soon. */
NODISCARD bool sink_row(struct sink_lane *l, uint32_t table_index, enum row_op op, const union val *vals,
                        const uint8_t *states);
/* An update that changes the key: old_vals holds the old key columns (or the full old row). Columns of the new row may
 * be VAL_UNCHANGED even when old and new key live on different shards. */
NODISCARD bool sink_move(struct sink_lane *l, uint32_t table_index, const union val *old_vals,
                         const uint8_t *old_states, const union val *new_vals, const uint8_t *new_states);
/* A row that cannot be read: what of it can be is in vals, VAL_ERROR for what cannot; at least one column has that. why: op,
 * position, sqlstate, message, column, last_us, raw, raw_bytes and raw_hash are the source's to set. It goes on the table's list (ops/op_quarantine.h), and
 * an earlier version of it goes from the mirror.
 * identity NULL: the key columns are VAL_OK or VAL_NULL, and later rows of the key take its place. Else, and always of tables
 * without a key: a hash of what tells it from others, and that is the same whenever the row comes again. */
NODISCARD bool sink_bad_row(struct sink_lane *l, uint32_t table_index, const struct quarantine_entry *why,
                            const uint8_t *identity, const union val *vals, const uint8_t *states);
/* How many rows of the table are on the list, as of the newest visible epoch. The sources' own definition says 0; those of the
 * two around it panic. */
uint64_t sink_bad_rows(const struct sink *s, uint32_t table_index);
/* Such a row has been deleted at the source, or changed to another identity. */
NODISCARD bool sink_bad_gone(struct sink_lane *l, uint32_t table_index,
                             const uint8_t identity[QUARANTINE_ID_BYTES]);
/* Every row of the table goes (TRUNCATE, or before a snapshot is taken anew). */
NODISCARD bool sink_truncate(struct sink_lane *l, uint32_t table_index);
/* End of a source transaction: everything since the last one becomes visible together. On lane 0 `position` (opaque
 * bytes, at most SOURCE_POSITION_MAX, lane > 0: NULL) is what run() gets back as `resume` after a restart; it is stored in the
 * same epoch as the rows. position_text is shown to people and compared by Penstock-Wait (an LSN), may be NULL.
 * commit_us: commit time at the source, Unix us; 0 unknown. */
#define SOURCE_POSITION_MAX 1024
/* Before the sink_commit that ends it: the source's own number of the transaction, to be told with its changes. */
void sink_transaction(struct sink_lane *l, uint32_t number);
NODISCARD bool sink_commit(struct sink_lane *l, const void *position, size_t position_len,
                           const char *position_text, int64_t commit_us);
/* The connection was lost inside a transaction: forget the rows since the last sink_commit of this lane (the source will
 * send them again). False when that is no longer possible, because a very large transaction was already being
 * worked on: the source must return an error, and the pipeline restarts from its last epoch. */
NODISCARD bool sink_rollback(struct sink_lane *l);
/* No further input is at hand just now: hand over at once what is complete (called before the source would wait). */
void sink_flush(struct sink_lane *l);
/* Waits until everything committed so far on every lane of this source is visible. False: stopping. */
NODISCARD bool sink_barrier(struct sink *s);
/* Between begin and end, views over this source's tables are not served (they are building). Stored durably with
 * the next epoch: a restart finds resume positions as committed, and views stay hidden until end. */
void sink_snapshot_begin(struct sink *s);
void sink_snapshot_end(struct sink *s);
/* The newest position that is durable on disk, to be acknowledged to the source. Returns its length, 0 if none yet. */
size_t sink_durable_position(struct sink *s, void *out, size_t size_bytes);
bool sink_stopping(const struct sink *s);
/* Waits up to timeout_ms for stop or a newly durable position (whichever first); for idle loops without a socket. */
void sink_wait(struct sink *s, int timeout_ms);
/* `fn` is called about once a second, by lane 0's thread, while a call of the sink waits for room: what keeps a connection
 * alive is sent then, however long ingest stands still. It must not call the sink but for sink_durable_position. NULL: none.
 * The sources' own definition does nothing. */
void sink_on_wait(struct sink *s, void (*fn)(void *ctx), void *ctx);
/* Whether any view reads this column of a wanted table. Columns that none does are not asked of the server and come as
 * VAL_NULL (key columns always come), and a change of theirs at the source does not stop it. The sources' own
 * definition, for sinks that keep everything, says true. */
bool sink_column_wanted(const struct sink *s, uint32_t table_index, uint32_t column);
/* The table can no longer be followed (its columns changed at the source): views that read it stop with the reason and go
 * on serving what they have, the others go on. No more rows of it come, and the position says that it is not held, so
 * that a restart takes it anew. False: not possible, then the source stops as a whole. The sources' own definition
 * says false. */
NODISCARD bool sink_table_stop(struct sink *s, uint32_t table_index, const char *reason);
/* State, counters and error texts shown by status, metrics and the console. Never pass secrets. */
struct gate_source *sink_status(struct sink *s);
void sink_set_state(struct sink *s, enum source_state state, const char *error);

struct source_kind {
    const char *name; /* the key of its section in penstock.yaml */
    const char *help;
    /* Checks the section, without connecting. *conf lives in arena. */
    struct err *(*configure)(struct arena *arena, const char *source_name, const struct yaml_node *node,
                             void **conf);
    /* The tables it offers, with types and keys; connects if it must, bounded by timeout_ms. May return the same tables
     * as at an earlier start from `DATA` knowledge only through the caller (catalogue cache), never by guessing.
     * table_def.source_index is set by the caller. Tables live in arena. */
    struct err *(*describe)(struct arena *arena, void *conf, int timeout_ms, struct table_def **tables,
                            uint32_t *table_count);
    /* Where the source may keep files of its own, told before run(); borrowed. With less than reserve_bytes free there the
     * pipeline takes nothing in. NULL: it keeps none. */
    void (*data_dir)(void *conf, const char *dir, int64_t reserve_bytes);
    /* How many lanes run() will use (1 + snapshot workers). */
    uint32_t (*lane_count)(const void *conf);
    /* Runs on its own thread until sink_stopping or an error that retrying cannot mend. Reconnects with backoff by
     * itself. tables/table_count: those of describe (indexes are table_index); wanted[i]: some view reads table i (others need not be read).
     * resume_len 0: from the start (snapshot first). */
    struct err *(*run)(void *conf, struct sink *sink, const struct table_def *tables, uint32_t table_count,
                       const bool *wanted, const void *resume, size_t resume_len);
};
/* The explicit table of kinds (source_table.c). */
extern const struct source_kind source_kind_postgres;
extern const struct source_kind source_kind_generator;
extern const struct source_kind source_kind_ingest;
const struct source_kind *source_kind_find(const char *name); /* NULL if unknown */
uint32_t source_kind_count(void);
const struct source_kind *source_kind_at(uint32_t i);

#endif
