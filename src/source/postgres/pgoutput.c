/* Decoder of the logical replication stream. */
#include "source/postgres/pgoutput.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* A reader whose error sticks: after the first short read everything reads as zero, so that callers check once. */
struct reader {
    const uint8_t *p, *end;
    bool bad;
};

static uint64_t take_uint(struct reader *r, size_t bytes)
{
    if ((size_t)(r->end - r->p) < bytes) {
        r->bad = true;
        r->p = r->end;
        return 0;
    }
    uint64_t v = 0;
    for (size_t i = 0; i < bytes; i++)
        v = v << 8 | r->p[i];
    r->p += bytes;
    return v;
}
static uint8_t take_u8(struct reader *r)
{
    return (uint8_t)take_uint(r, 1);
}
static uint32_t take_u32(struct reader *r)
{
    return (uint32_t)take_uint(r, 4);
}
static const char *take_string(struct reader *r)
{
    const uint8_t *nul = r->p < r->end ? memchr(r->p, 0, (size_t)(r->end - r->p)) : NULL;
    if (!nul) {
        r->bad = true;
        r->p = r->end;
        return "";
    }
    const char *s = (const char *)r->p;
    r->p = nul + 1;
    return s;
}

const char *pgo_frame_decode(const uint8_t *p, size_t len, struct pgo_frame *out)
{
    struct reader r = {p, p + len, false};
    *out = (struct pgo_frame){.kind = (enum pgo_frame_kind)take_u8(&r)};
    switch (out->kind) {
    case PGO_WAL:
        out->wal_start = take_uint(&r, 8);
        out->wal_end = take_uint(&r, 8);
        out->sent_us = (int64_t)take_uint(&r, 8);
        out->p = r.p;
        out->len = (size_t)(r.end - r.p);
        break;
    case PGO_KEEPALIVE:
        out->wal_end = take_uint(&r, 8);
        out->sent_us = (int64_t)take_uint(&r, 8);
        out->reply_requested = take_u8(&r) != 0;
        break;
    default: return "unknown kind of frame in the replication stream";
    }
    return r.bad ? "short frame in the replication stream" : NULL;
}

/* The hot loop of the stream: one field is a kind byte and, for text, a length and its bytes. */
static void take_tuple(struct reader *r, struct pgo_tuple *t)
{
    uint32_t count = (uint32_t)take_uint(r, 2);
    t->field_count = count;
    if (count > COLUMNS_MAX) {
        t->field_count = 0;
        r->bad = true;
        return;
    }
    for (uint32_t i = 0; i < count && !r->bad; i++) {
        struct pgo_field *f = &t->fields[i];
        f->kind = take_u8(r);
        f->len = 0;
        f->p = NULL;
        if (f->kind == PGO_TEXT) {
            f->len = take_u32(r);
            if (f->len > (size_t)(r->end - r->p)) {
                r->bad = true;
                return;
            }
            f->p = r->p;
            r->p += f->len;
        } else if (f->kind != PGO_NULL && f->kind != PGO_UNCHANGED) {
            r->bad = true; /* 'b', binary, is never asked for */
        }
    }
}

static void take_relation(struct reader *r, struct pgo_message *m)
{
    m->relid = take_u32(r);
    m->schema = take_string(r);
    m->name = take_string(r);
    m->replica_identity = take_u8(r);
    m->column_count = (uint32_t)take_uint(r, 2);
    if (m->column_count > COLUMNS_MAX) {
        m->column_count = 0;
        r->bad = true;
    }
    for (uint32_t i = 0; i < m->column_count && !r->bad; i++) {
        struct pgo_column *c = &m->columns[i];
        c->in_key = take_u8(r) & 1;
        c->name = take_string(r);
        c->type_oid = take_u32(r);
        c->typmod = (int32_t)take_u32(r);
    }
}

static void take_change(struct reader *r, struct pgo_message *m)
{
    m->relid = take_u32(r);
    uint8_t part = take_u8(r);
    m->old_kind = 0;
    m->old_row.field_count = m->new_row.field_count = 0;
    if (part == 'K' || part == 'O') {
        if (m->kind == PGO_INSERT)
            r->bad = true;
        m->old_kind = part;
        take_tuple(r, &m->old_row);
        if (m->kind == PGO_DELETE)
            return;
        part = take_u8(r);
    }
    if (part != 'N' || m->kind == PGO_DELETE)
        r->bad = true;
    else
        take_tuple(r, &m->new_row);
}

static void take_truncate(struct reader *r, struct pgo_message *m)
{
    m->relid_count = take_u32(r);
    (void)take_u8(r); /* CASCADE, RESTART IDENTITY: the server has listed every table concerned */
    m->relids = r->p;
    if (m->relid_count > (size_t)(r->end - r->p) / 4) {
        m->relid_count = 0;
        r->bad = true;
        return;
    }
    r->p += 4 * (size_t)m->relid_count;
}

static void take_begin_or_commit(struct reader *r, struct pgo_message *m)
{
    if (m->kind == PGO_STREAM_COMMIT)
        m->xid = take_u32(r);
    if (m->kind != PGO_BEGIN)
        (void)take_u8(r); /* flags, unused */
    m->lsn = take_uint(r, 8);
    if (m->kind != PGO_BEGIN)
        m->end_lsn = take_uint(r, 8);
    m->commit_us = (int64_t)take_uint(r, 8);
    if (m->kind == PGO_BEGIN)
        m->xid = take_u32(r);
}

static void take_stream_start_or_abort(struct reader *r, struct pgo_message *m)
{
    m->xid = take_u32(r);
    if (m->kind == PGO_STREAM_ABORT)
        m->subxid = take_u32(r);
    else
        (void)take_u8(r); /* whether it is the first part */
}

/* What may stand in a stream names the subtransaction that it belongs to, but for those two. */
static bool names_transaction(enum pgo_kind kind)
{
    return kind != PGO_STREAM_STOP && kind != PGO_ORIGIN;
}

const char *pgo_message_decode(const uint8_t *p, size_t len, bool streamed, struct pgo_message *m)
{
    struct reader r = {p, p + len, false};
    m->kind = (enum pgo_kind)take_u8(&r);
    if (streamed && names_transaction(m->kind))
        m->xid = take_u32(&r);
    switch (m->kind) {
    case PGO_STREAM_START:
    case PGO_STREAM_ABORT: take_stream_start_or_abort(&r, m); break;
    case PGO_STREAM_STOP: break;
    case PGO_STREAM_COMMIT:
    case PGO_BEGIN:
    case PGO_COMMIT: take_begin_or_commit(&r, m); break;
    case PGO_RELATION: take_relation(&r, m); break;
    case PGO_INSERT:
    case PGO_UPDATE:
    case PGO_DELETE: take_change(&r, m); break;
    case PGO_TRUNCATE: take_truncate(&r, m); break;
    case PGO_ORIGIN:
    case PGO_TYPE:
    case PGO_LOGICAL: return NULL; /* nothing in them matters here */
    default: return "unknown kind of message in the replication stream";
    }
    return r.bad ? "malformed message in the replication stream" : NULL;
}

uint32_t pgo_u32(const uint8_t *p)
{
    struct reader r = {p, p + 4, false};
    return take_u32(&r);
}

uint32_t pgo_truncate_relid(const struct pgo_message *m, uint32_t i)
{
    ASSERT(i < m->relid_count);
    return pgo_u32(m->relids + 4 * (size_t)i);
}

/* Once per transaction, hence without printf. */
static char *put_hex(char *p, uint32_t v)
{
    static const char digits[] = "0123456789ABCDEF";
    int shift = 28;
    while (shift > 0 && v >> shift == 0)
        shift -= 4;
    for (; shift >= 0; shift -= 4)
        *p++ = digits[(v >> shift) & 15];
    return p;
}

const char *pg_lsn_format(pg_lsn lsn, char out[PG_LSN_TEXT])
{
    char *p = put_hex(out, (uint32_t)(lsn >> 32));
    *p++ = '/';
    p = put_hex(p, (uint32_t)lsn);
    *p = 0;
    return out;
}

bool pg_lsn_parse(const char *text, pg_lsn *out)
{
    uint32_t hi, lo;
    char rest;
    if (!text || sscanf(text, "%8" SCNx32 "/%8" SCNx32 "%c", &hi, &lo, &rest) != 2)
        return false;
    *out = (pg_lsn)hi << 32 | lo;
    return true;
}

static uint8_t *put_u64(uint8_t *p, uint64_t v)
{
    for (int i = 0; i < 8; i++)
        p[i] = (uint8_t)(v >> (56 - 8 * i));
    return p + 8;
}

void pgo_status_encode(uint8_t out[PGO_STATUS_BYTES], pg_lsn written, pg_lsn flushed, int64_t now_us,
                       bool reply)
{
    uint8_t *p = out;
    *p++ = 'r';
    p = put_u64(p, written);
    p = put_u64(p, flushed);
    p = put_u64(p, flushed); /* applied */
    p = put_u64(p, (uint64_t)now_us);
    *p++ = reply;
    ASSERT(p == out + PGO_STATUS_BYTES);
}
