/* A running postgres source: what its parts (session, slot, snapshot, stream) share. Used by the source's thread; a
 * snapshot's workers only read it.
 *
 * A session is one attempt: read the catalogue, open the replication connection, take a snapshot unless the position can
 * be gone on from, stream until something breaks. pg_source.c repeats sessions. */
#ifndef PENSTOCK_SOURCE_POSTGRES_PG_RUN_H
#define PENSTOCK_SOURCE_POSTGRES_PG_RUN_H

#include "source/postgres/pg_catalog.h"
#include "base/clock.h"
#include "types/func.h"

/* A leaf of a partitioned table. */
struct pg_part {
    uint32_t oid, file;
    uint64_t links; /* hash of the catalogue rows that make it a partition */
};
/* One table of the pipeline, as it stands on the server now. */
struct pg_table {
    const struct table_def *def;
    const struct pg_relation *rel;
    uint32_t index;                   /* among the source's tables */
    const struct pg_column **columns; /* per column of def; NULL: no view reads it */
    bool *in_key;                     /* per column of def */
    bool stop_on_error;            /* a value that cannot be read stops the table; else its row is left out */
    uint64_t quarantine_limit;     /* rows left out so at which it stops all the same; 0: none */
    struct pg_position_table seen; /* relid and hashes, as pg_check.c saw them last */
    /* Of a partitioned table (pg_partition.c): its leaves by oid as they were seen last, how far the log went then, the last
     * TRUNCATE of it all that came, and how far the log went when a leaf's file was first seen to be another (0: not so). */
    struct pg_part *parts;
    uint32_t part_count;
    pg_lsn parts_at, truncated_at, suspect_at;
};
/* A transaction whose first changes were handed over before the connection broke: the server sends it again from its
 * start, and the changes already handed over are passed by. */
struct pg_partial {
    uint32_t xid;
    pg_lsn lsn;
    uint64_t changes;
    int64_t cut_us; /* when the connection was lost */
};
/* On whose account the server keeps more log than retained_warning. */
enum pg_retainer {
    PG_RETAINED_LITTLE,
    PG_RETAINED_US,
    PG_RETAINED_PREPARED,
    PG_RETAINED_OPEN,
    PG_RETAINED_UNKNOWN,
    PG_RETAINED_ENDING /* more than the server will go on keeping */
};
struct pg_run {
    const struct pg_conf *conf; /* never changes */
    struct sink *sink;
    struct sink_lane *lane; /* lane 0 */
    struct gate_source *status;
    const struct table_def *defs;
    uint32_t def_count;
    const bool *wanted;
    struct pg_stop stop;
    bool has_position; /* position is valid: all before position.lsn is with the pipeline */
    struct pg_position position;
    struct pg_partial partial;
    const char
        *snapshot_reason; /* constant text: the next session must take a snapshot, and why; NULL: not so */
    bool *stopped;        /* owned, per def: changed at the server, no longer followed */
    enum pg_retainer
        retained_warned; /* used by one thread at a time: before streaming the session's, then the watch */
    bool stuck;          /* rows of a cut-off snapshot cannot be taken back: the pipeline must start over */
    bool streamed;       /* this session got as far as streaming */
    bool in_parts;       /* this session takes large transactions before they end (pg_spool.h) */
    bool spool_full;     /* they could not be kept: they come whole from now on */
    /* Of this session: */
    bool unchecked; /* the server does not check that texts are UTF-8, see pg_bad.h */
    struct arena arena;
    struct pg_catalog *catalog;
    struct pg_table *tables; /* the wanted ones */
    uint32_t table_count;
    pg_lsn checked;      /* tables that are announced for the first time below it were checked before */
    int64_t answered_us; /* steady: when the newest answer that the tables were judged by was there */
};

/* pg_table.c: finds the wanted tables on the server; an error (ERR_STATE) when they are not what was planned on. */
NODISCARD struct err *pg_tables_map(struct pg_run *run);
const struct pg_table *pg_table_by_relid(const struct pg_run *run, uint32_t relid);
/* What was seen of a table goes on to the same one of a newer reading of the catalogue. */
void pg_table_seen(struct pg_table *t, const struct pg_table *before);
/* Of a partitioned table a TRUNCATE came. */
void pg_table_truncated(struct pg_run *run, const struct pg_table *t);
/* Whether another type modifier means other values. */
bool pg_typmod_matters(enum type_id id);
/* Records in the position which tables are held. */
void pg_tables_record(struct pg_run *run);
/* Why the position does not hold them all, as a constant text; NULL: it does. */
const char *pg_tables_gap(struct pg_run *run);
/* A table that is no longer what was planned on, as `e` says: it alone is no longer followed (NULL) where the pipeline
 * can do that and others remain; else e, which stops the source. Takes e. */
NODISCARD struct err *pg_table_stop(struct pg_run *run, uint32_t index, struct err *e);
/* pg_enum.c: whether the column's type is what was planned with; ERR_RESTART: it has new labels, ERR_STATE: it is another. */
NODISCARD struct err *pg_enum_check(const struct pg_table *t, const struct pg_column *c);
/* A value of an enum column could not be read: the same question to the server. */
NODISCARD struct err *pg_enum_unknown(const struct pg_run *run, const struct pg_table *t,
                                      const struct pg_column *c);

/* pg_partition.c: remembers how the leaves are; then judges what has become of them (ERR_STATE: rows came or went unseen).
 * columns_changed: so did the table's columns. */
NODISCARD struct err *pg_parts_begin(struct pg_run *run, struct pg_table *t, const PGresult *parts);
NODISCARD struct err *pg_parts_since(struct pg_run *run, struct pg_table *t, const PGresult *parts,
                                     bool columns_changed);
uint32_t pg_parts_hash(const struct pg_table *t);

/* pg_check.c: asks what has become of the tables (any thread; the tables must not change meanwhile). */
struct pg_answer {
    PGresult *tables, *parts; /* parts: NULL without partitioned tables */
    int64_t asked_us, had_us; /* steady: when it was asked for, and there */
};
NODISCARD struct err *pg_check_ask(const struct pg_run *run, PGconn *sql, const struct pg_stop *stop,
                                   struct pg_answer *out);
void pg_answer_clear(struct pg_answer *a);
/* At the beginning of a session: remembers how the tables are. */
NODISCARD struct err *pg_check_begin(struct pg_run *run, PGconn *sql);
/* Afterwards: stops the tables that changed (ERR_STATE when none is left), or ends the session (ERR_SOURCE) with
 * run->snapshot_reason. Within a transaction only the table in question may be stopped: `only`, else NULL. An answer that may be
 * older than what the tables were judged by last says nothing: what came since would look as if it had gone. */
NODISCARD struct err *pg_check_since(struct pg_run *run, const struct pg_answer *answer,
                                     const struct pg_table *only);

/* pg_watch.c: a thread that asks the server now and then, beside the stream. */
struct pg_watch;
struct pg_watch *pg_watch_start(struct pg_run *run); /* NULL: no thread to be had */
void pg_watch_stop(struct pg_watch *w);              /* NULL is allowed */
/* The newest answer of pg_check_ask, if there is a new one (else tables is NULL); ended with pg_answer_clear. */
struct pg_answer pg_watch_take(struct pg_watch *w);
/* pg_retained.c: how much log the server keeps for the slot: told to the status, and warned of. */
NODISCARD struct err *pg_retained_look(struct pg_run *run, PGconn *sql, const struct pg_stop *stop);

/* pg_slot.c */
struct pg_identity {
    uint64_t system_identifier;
    uint32_t timeline;
    pg_lsn wal_end;
};
struct pg_slot {
    bool exists, active;
    int active_pid;
    const char *lost; /* why the server invalidated it, constant text; NULL: it did not */
    pg_lsn confirmed;
};
NODISCARD struct err *pg_identify(struct pg_run *run, PGconn *replication, struct pg_identity *out);
NODISCARD struct err *pg_slot_read(struct pg_run *run, PGconn *sql, struct pg_slot *out);
/* Both connections must reach one server: an address may stand for several. */
NODISCARD struct err *pg_same_server(struct pg_run *run, PGconn *sql, PGconn *replication);
NODISCARD struct err *pg_slot_drop(struct pg_run *run, PGconn *sql, const struct pg_slot *slot);
/* Makes the slot; *consistent is where streaming will start, *snapshot_name lives while `replication` is idle. */
NODISCARD struct err *pg_slot_create(struct pg_run *run, PGconn *replication, pg_lsn *consistent,
                                     const char **snapshot_name);
/* Makes the publication or adds tables to it; *changed tells whether it had to. */
NODISCARD struct err *pg_publication_ensure(struct pg_run *run, PGconn *sql, bool *changed);
/* Why the position cannot be gone on from, as a constant text; NULL: it can. */
NODISCARD struct err *pg_resume_check(struct pg_run *run, PGconn *replication, const struct pg_slot *slot,
                                      const struct pg_identity *id, const char **reason);

/* pg_snapshot.c: reads all wanted tables as of the exported snapshot, several connections at once. */
NODISCARD struct err *pg_snapshot_take(struct pg_run *run, const char *snapshot_name);

/* pg_stream.c: starts to stream from run->position: from then on the slot is ours. sql: looks at it once more. */
NODISCARD struct err *pg_stream_start(struct pg_run *run, PGconn *replication, PGconn *sql);
/* Streams until the connection breaks, the source must stop (ERR_STATE), or a stop is asked for. */
NODISCARD struct err *pg_stream_run(struct pg_run *run, PGconn *replication);
/* Commits run->position on lane 0. */
NODISCARD struct err *pg_position_commit(struct pg_run *run, int64_t commit_us);

struct err *pg_stopping(void); /* what ends a session when the pipeline stops; never shown */
/* pg_source.c: Unix microseconds. */
#define PG_EPOCH_US           INT64_C(946684800000000) /* 2000-01-01 in Unix microseconds */
#define PG_CONNECT_TIMEOUT_MS 15000

#endif
