/* The ingest source's inside: rows that clients push, logged before they are acknowledged.
 *
 * A request's way: ingest_server.c takes it in (HTTP on a unix socket, from the serve process), ingest_parse.c makes rows of
 * its body, ingest_source.c appends them to the log as one record and answers once that is on disk. The source's own
 * thread reads the log on from the position that the store has and hands each record to the sink as one transaction.
 * So what was acknowledged is in the log or in the store, and in the views once. */
#ifndef PENSTOCK_SOURCE_INGEST_INGEST_H
#define PENSTOCK_SOURCE_INGEST_INGEST_H

#include "source/ingest/ingest_log.h"
#include "source/source.h"

#include <pthread.h>

#define INGEST_TABLES_MAX      256
#define INGEST_KEYS_MAX        10000              /* Idempotency-Keys remembered by a source */
#define INGEST_KEY_BYTES_MAX   255                /* of an Idempotency-Key */
#define INGEST_LOG_BYTES       (INT64_C(1) << 30) /* default of log_bytes */
#define INGEST_TOKEN_BYTES_MIN 16
#define INGEST_DIGITS_MAX      1000000 /* that the exponents of one request may ask for */
#define INGEST_KEEP_US_MAX     (INT64_C(36500) * 86400 * 1000000)

struct ingest_table {
    const char *name;
    struct schema schema;
    uint32_t key_count;
    uint32_t *key;
    int64_t retention_us; /* see data/table.h */
    uint32_t retention_column;
};
struct ingest; /* of a running source */
struct ingest_conf {
    const char *source_name;
    const char *data_dir; /* set before run; NULL: there is no data directory (check) */
    uint32_t table_count;
    struct ingest_table *tables;
    const char *token;       /* what a client must show; NULL: none will do */
    int64_t log_bytes;       /* of the log that may wait for the store to be durable */
    size_t segment_bytes;    /* 0: the default; tests have less, */
    const struct log_io *io; /* and another file system. NULL: the real one */
    /* The running source, or NULL; under the lock, as requests come from other threads. */
    pthread_mutex_t lock;
    struct ingest *running;
};

/* ---- ingest_conf.c ---- */
NODISCARD struct err *ingest_configure(struct arena *arena, const char *source_name,
                                       const struct yaml_node *node, void **out);
NODISCARD struct err *ingest_describe(struct arena *arena, void *conf, int timeout_ms,
                                      struct table_def **tables, uint32_t *table_count);
/* "numeric(10,2)", "text[]", "timestamp(3) with time zone". False: not a type, or its modifiers are wrong. */
bool ingest_type_parse(const char *text, struct type *out);

/* ---- ingest_schema.c: the tables as stored in the log ---- */
void ingest_schema_put(struct buf *b, const struct ingest_conf *conf);
/* How the rows of a log are read with the tables of today. */
struct ingest_mapped {
    uint32_t table; /* of today; UINT32_MAX: it is gone, its rows are dropped */
    struct schema was;
    uint32_t *column; /* of today by the log's; UINT32_MAX: gone */
    const char *name;
};
struct ingest_map {
    uint32_t count;
    struct ingest_mapped *tables;
};
/* An error when a column has another type than the log's rows. */
NODISCARD struct err *ingest_schema_map(struct arena *arena, const struct ingest_conf *conf, const uint8_t *p,
                                        size_t len, struct ingest_map *out);

/* ---- ingest_work.c: memory of a request's way ----
 * Requests are served by many threads in turn. If each thread kept memory of its own, the process would grow until every one of
 * them had met its largest request, so it is lent by the request: there is as much as requests were ever under way at once. */
struct yyjson_alc;
struct ingest_work {
    struct buf body, rows, record; /* as received; the rows of it; with the record's head */
    struct buf text, row;          /* of a value and a row while they are parsed */
    struct arena arena;            /* of one row */
    struct yyjson_alc *json;       /* of documents; yyjson's growing allocator */
    struct ingest_work *next;
};
#define INGEST_WORK_KEPT_BYTES (256u << 10) /* what took more is freed after its request */
struct ingest_work *ingest_work_take(void); /* any thread */
void ingest_work_give(struct ingest_work *w);
void ingest_works_free(void); /* those that nobody holds */

/* ---- ingest_parse.c: a body as rows ---- */
enum ingest_form { FORM_JSON, FORM_NDJSON }; /* an object or an array of objects; an object per line */
struct ingest_refusal {
    int status;
    const char *code;
    char message[400], hint[200];
};
void ingest_refuse(struct ingest_refusal *r, int status, const char *code, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
/* Appends each row of the body: a byte of enum row_op, a varint length, the row (data/row.h). With `deletes`, objects of key
 * columns alone. False: r says which row, which column, why; nothing of `out` counts. */
NODISCARD bool ingest_parse(struct ingest_work *w, const struct ingest_table *t, enum ingest_form form,
                            bool deletes, const uint8_t *body, size_t len, struct buf *out,
                            uint32_t *row_count, struct ingest_refusal *r);

/* ---- ingest_payload.c: a LOG_ROWS record ---- */
struct ingest_key { /* of an Idempotency-Key, and of what was sent with it */
    uint8_t key[16], body[16];
};
struct ingest_payload {
    bool has_key;
    struct ingest_key key;
    int64_t received_us; /* Unix */
    uint32_t table;      /* in the order of the log's schema */
    uint32_t row_count;
    const uint8_t *rows;
    size_t rows_len;
};
void ingest_payload_put(struct buf *b, const struct ingest_payload *p); /* all but the rows, which follow */
NODISCARD bool ingest_payload_get(const uint8_t *p, size_t len, struct ingest_payload *out);
/* The next row at *p, which moves behind it. False: none, or malformed (then *p is not end). */
NODISCARD bool ingest_payload_row(const uint8_t **p, const uint8_t *end, enum row_op *op, const uint8_t **row,
                                  size_t *row_len);

/* ---- ingest_keys.c: the window of Idempotency-Keys; callers hold a lock ---- */
struct ingest_seen {
    struct ingest_key key;
    uint64_t end; /* of its record; 0: it is being written */
    uint32_t row_count;
    uint32_t next; /* of the same bucket, + 1 */
};
struct ingest_keys {
    struct ingest_seen *ring; /* INGEST_KEYS_MAX, oldest overwritten first */
    uint32_t *buckets;
    uint32_t at, count;
};
void ingest_keys_init(struct ingest_keys *k);
void ingest_keys_fini(struct ingest_keys *k);
struct ingest_seen *ingest_keys_find(struct ingest_keys *k, const struct ingest_key *key);
struct ingest_seen *ingest_keys_add(struct ingest_keys *k, const struct ingest_key *key, uint64_t end,
                                    uint32_t row_count);
void ingest_keys_remove(struct ingest_keys *k, const struct ingest_key *key); /* writing it failed */
void ingest_keys_put(const struct ingest_keys *k, struct buf *b);             /* those that were written */
NODISCARD bool ingest_keys_get(struct ingest_keys *k, const uint8_t *p, size_t len);

/* ---- ingest_source.c ---- */
NODISCARD struct err *ingest_run(void *conf, struct sink *sink, const struct table_def *tables,
                                 uint32_t table_count, const bool *wanted, const void *resume,
                                 size_t resume_len);

/* ---- ingest_push.c: a request, on any thread ---- */
struct ingest_request {
    struct ingest_work *work; /* rows and record are made in it */
    const char *table;
    bool deletes;
    enum ingest_form form;
    const uint8_t *body;
    size_t body_len;
    const char *key; /* Idempotency-Key, or NULL */
};
struct ingest_result {
    uint32_t row_count;
    uint64_t position; /* for Penstock-Wait */
    bool repeated;     /* it had been taken before: the Idempotency-Key is known */
    struct ingest_refusal refusal;
};
/* Returns once the rows are on disk. False: refused, nothing is stored. */
NODISCARD bool ingest_push(struct ingest_conf *conf, const struct ingest_request *q,
                           struct ingest_result *out);

struct ingest {
    struct ingest_conf *conf;
    struct sink *sink;
    struct gate_source *status;
    struct ingest_log *log;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct ingest_keys keys; /* under the lock */
    struct buf schema;       /* as the log has it */
    pthread_cond_t left;     /* with conf->lock: */
    uint32_t inside;         /* requests under way */
    atomic_ullong released;  /* the store is durable up to here */
    atomic_bool failed;      /* the log is broken */
};

#endif
