/* The wire format of logical replication: frames of the copy stream and, inside them, messages of the pgoutput
 * plug-in at proto_version 1, and 2 with streaming (PostgreSQL documentation, "Logical Replication Message Formats").
 *
 * Pure decoding: no connection, no allocation, every length checked; what it points to is the caller's buffer. */
#ifndef PENSTOCK_SOURCE_POSTGRES_PGOUTPUT_H
#define PENSTOCK_SOURCE_POSTGRES_PGOUTPUT_H

#include "data/schema.h"

typedef uint64_t pg_lsn;

/* One message of the copy stream. */
enum pgo_frame_kind { PGO_WAL = 'w', PGO_KEEPALIVE = 'k' };
struct pgo_frame {
    enum pgo_frame_kind kind;
    pg_lsn wal_start;     /* PGO_WAL: where the message stands */
    pg_lsn wal_end;       /* the server's end of WAL as it knows it */
    int64_t sent_us;      /* server clock, microseconds since 2000-01-01 */
    bool reply_requested; /* PGO_KEEPALIVE: answer at once or be cut off */
    const uint8_t *p;     /* PGO_WAL: the pgoutput message */
    size_t len;
};
/* NULL, or what is wrong with the bytes (a constant text). */
const char *pgo_frame_decode(const uint8_t *p, size_t len, struct pgo_frame *out);

enum pgo_kind {
    PGO_BEGIN = 'B',
    PGO_COMMIT = 'C',
    PGO_ORIGIN = 'O',
    PGO_RELATION = 'R',
    PGO_TYPE = 'Y',
    PGO_INSERT = 'I',
    PGO_UPDATE = 'U',
    PGO_DELETE = 'D',
    PGO_TRUNCATE = 'T',
    PGO_LOGICAL = 'M',
    /* proto_version 2: parts of transactions in progress, each between a start and a stop, and how those end. */
    PGO_STREAM_START = 'S',
    PGO_STREAM_STOP = 'E',
    PGO_STREAM_COMMIT = 'c',
    PGO_STREAM_ABORT = 'A'
};
enum pgo_field_kind { PGO_NULL = 'n', PGO_UNCHANGED = 'u', PGO_TEXT = 't' };
struct pgo_field {
    uint8_t kind; /* enum pgo_field_kind */
    uint32_t len;
    const uint8_t *p;
};
struct pgo_tuple {
    uint32_t field_count;
    struct pgo_field fields[COLUMNS_MAX];
};
struct pgo_column {
    bool in_key;      /* part of the replica identity */
    const char *name; /* NUL-terminated, in the buffer */
    uint32_t type_oid;
    int32_t typmod;
};
struct pgo_message {
    enum pgo_kind kind;
    /* PGO_BEGIN: lsn is the commit record's; PGO_COMMIT, PGO_STREAM_COMMIT: the same, and end_lsn is where the next transaction may start. */
    pg_lsn lsn, end_lsn;
    int64_t commit_us; /* since 2000-01-01 */
    uint32_t xid; /* of the transaction; within a stream, of the subtransaction that a message belongs to */
    uint32_t subxid; /* PGO_STREAM_ABORT: what is taken back; the same as xid: all of it */
    /* PGO_RELATION and row changes */
    uint32_t relid;
    const char *schema, *name; /* schema is "" for pg_catalog */
    uint8_t replica_identity;  /* pg_class.relreplident */
    uint32_t column_count;
    struct pgo_column columns[COLUMNS_MAX];
    /* Row changes: old_kind is 'K' (key columns only), 'O' (all columns) or 0 (none). */
    uint8_t old_kind;
    struct pgo_tuple old_row, new_row;
    /* PGO_TRUNCATE: relids as they stand in the buffer, see pgo_truncate_relid. */
    uint32_t relid_count;
    const uint8_t *relids;
};
/* Decodes one message into *m (large: keep one per stream). NULL, or what is wrong. Unknown kinds are an error.
 * streamed: it came between PGO_STREAM_START and PGO_STREAM_STOP, where messages name a transaction. */
const char *pgo_message_decode(const uint8_t *p, size_t len, bool streamed, struct pgo_message *m);
uint32_t pgo_u32(const uint8_t *p); /* four bytes as they stand in a message */
uint32_t pgo_truncate_relid(const struct pgo_message *m, uint32_t i);

/* "16/B3748" */
#define PG_LSN_TEXT 20
const char *pg_lsn_format(pg_lsn lsn, char out[PG_LSN_TEXT]);
bool pg_lsn_parse(const char *text, pg_lsn *out);
/* Standby status update, PGO_STATUS_BYTES long. */
#define PGO_STATUS_BYTES 34
void pgo_status_encode(uint8_t out[PGO_STATUS_BYTES], pg_lsn written, pg_lsn flushed, int64_t now_us,
                       bool reply);

#endif
