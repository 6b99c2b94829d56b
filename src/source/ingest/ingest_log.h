/* The append log of an ingest source: what was acknowledged, until the store holds it durably.
 *
 * Segment files DATA/ingest/SOURCE/OFFSET.log (16 hex digits: the offset of their first byte) lie end to end in one
 * space of offsets that only grows. A segment is a sequence of records; the first one (LOG_HEAD) names the log and
 * says how the rows in it are to be read. A record, little-endian:
 *
 *     u32 length of the payload   u32 CRC-32C of all that follows and of the length
 *     u64 offset of this record   u64 synced   u8 kind   payload
 *
 * `synced` is the end of the log that was known to be on disk when the record was written. It tells a torn tail from
 * damage: a record that was written after the bad one had been synced proves that the bad one was acknowledged.
 *
 * Appends of all threads that wait at the same time are written and synced together by one of them (group commit), and
 * return when that is done. One thread reads. */
#ifndef PENSTOCK_SOURCE_INGEST_LOG_H
#define PENSTOCK_SOURCE_INGEST_LOG_H

#include "base/buf.h"
#include "base/err.h"

#include <sys/types.h>

#define INGEST_SEGMENT_BYTES    (64u << 20) /* a new segment is begun past it */
#define INGEST_RECORD_BYTES_MAX (256u << 20)
#define INGEST_RECORD_HEAD      25

enum log_kind { LOG_HEAD = 1, LOG_KEYS, LOG_ROWS };
enum log_result {
    LOG_DONE,   /* on disk */
    LOG_FULL,   /* no space on the disk; nothing of it is left there */
    LOG_BROKEN, /* the disk failed: nothing more is taken before the log is opened anew */
    LOG_CLOSED
};

/* The file system, for tests that make it fail. All as the system calls: -1 and errno. */
struct log_io {
    ssize_t (*pwrite)(int fd, const void *p, size_t len, off_t at);
    int (*sync)(int fd);
    int (*truncate)(int fd, off_t size);
};

struct log_options {
    const char *dir;       /* made when absent; its parent too */
    size_t segment_bytes;  /* 0: INGEST_SEGMENT_BYTES */
    const uint8_t *schema; /* how rows are to be read: stored in every segment's head */
    size_t schema_len;
    uint64_t start; /* where reading will begin: the first offset of a new log */
    /* Payload of the LOG_KEYS record that every segment begins with, behind its head; may be NULL. Called by an
     * appending thread. */
    void (*keys)(void *ctx, struct buf *out);
    void *ctx;
    const struct log_io *io; /* NULL: the real one */
};

struct ingest_log;
/* Opens what is there and cuts off a torn tail (*cut_bytes of it), or makes a new log. ERR_CORRUPT: damage. A new segment is
 * begun when the last one has another schema. */
NODISCARD struct err *ingest_log_open(const struct log_options *o, struct ingest_log **out,
                                      uint64_t *cut_bytes);
void ingest_log_close(struct ingest_log *l); /* no thread may be in it any more */
uint64_t ingest_log_id(const struct ingest_log *l);
uint64_t ingest_log_start(struct ingest_log *l);                    /* of the oldest segment */
uint64_t ingest_log_end(struct ingest_log *l);                      /* what is on disk ends here */
uint64_t ingest_log_segment(struct ingest_log *l, uint64_t offset); /* start of the one that holds it */
uint64_t ingest_log_syncs(struct ingest_log *l);                    /* how many there were; for tests */

/* Any thread. Returns when the record is on disk; *end is the offset behind it. */
NODISCARD enum log_result ingest_log_append(struct ingest_log *l, enum log_kind kind, const void *payload,
                                            size_t len, uint64_t *end);
/* Waits until the log ends behind `offset`, at most timeout_ms, or ingest_log_stop. */
void ingest_log_wait(struct ingest_log *l, uint64_t offset, int timeout_ms);
/* Appends end with LOG_CLOSED from now on, those under way are finished. */
void ingest_log_stop(struct ingest_log *l);

/* One reading thread. The record at *offset (which must be one's start), which moves behind it; *found false at the
 * end. Payload into `out`. */
struct log_record {
    enum log_kind kind;
    uint64_t offset, end;
    const uint8_t *payload; /* valid until the next read */
    size_t len;
};
NODISCARD struct err *ingest_log_read(struct ingest_log *l, uint64_t offset, struct log_record *out,
                                      bool *found);
/* Segments that end at or before `offset` are deleted, but for the last one. */
void ingest_log_release(struct ingest_log *l, uint64_t offset);

/* ---- pure, for tests and fuzzers ---- */
/* The checksum of every record but heads begins with the log's id, so that no row can hold what passes for a record of
 * this log. Length of the record at p, which would stand at `offset`; 0: none that is whole. */
size_t ingest_record_check(const uint8_t *p, size_t len, uint64_t id, uint64_t offset, struct log_record *out,
                           uint64_t *synced);
/* How much of a segment is whole records. *damaged: what follows was acknowledged once, or the head is not whole (segments
 * come into being with it, by rename). */
size_t ingest_segment_check(const uint8_t *p, size_t len, uint64_t offset, bool *damaged);
void ingest_record_put(struct buf *b, uint64_t id, enum log_kind kind, uint64_t offset, uint64_t synced,
                       const void *payload, size_t len);
/* A segment's head: what log it is of, and the schema in it. */
void ingest_head_put(struct buf *b, uint64_t id, const uint8_t *schema, size_t schema_len);
NODISCARD bool ingest_head_get(const struct log_record *r, uint64_t *id, const uint8_t **schema,
                               size_t *schema_len);

#endif
