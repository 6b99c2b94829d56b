/* A request as the payload of one record: who sent it with which key, and its rows. */
#include "source/ingest/ingest.h"

void ingest_payload_put(struct buf *b, const struct ingest_payload *p)
{
    buf_put_u8(b, p->has_key);
    if (p->has_key)
        buf_put(b, &p->key, sizeof p->key);
    buf_put_varint(b, (uint64_t)p->received_us);
    buf_put_varint(b, p->table);
    buf_put_varint(b, p->row_count);
}

bool ingest_payload_get(const uint8_t *p, size_t len, struct ingest_payload *out)
{
    const uint8_t *end = p + len;
    uint64_t received, table, rows;
    *out = (struct ingest_payload){0};
    if (p == end || *p > 1)
        return false;
    out->has_key = *p++ != 0;
    if (out->has_key) {
        if ((size_t)(end - p) < sizeof out->key)
            return false;
        memcpy(&out->key, p, sizeof out->key);
        p += sizeof out->key;
    }
    if (!varint_get(&p, end, &received) || !varint_get(&p, end, &table) || !varint_get(&p, end, &rows) ||
        table > UINT32_MAX || rows > UINT32_MAX)
        return false;
    out->received_us = (int64_t)received;
    out->table = (uint32_t)table;
    out->row_count = (uint32_t)rows;
    out->rows = p;
    out->rows_len = (size_t)(end - p);
    return true;
}

bool ingest_payload_row(const uint8_t **p, const uint8_t *end, enum row_op *op, const uint8_t **row,
                        size_t *row_len)
{
    const uint8_t *at = *p;
    uint64_t len;
    if (at == end || *at > ROW_DELETE)
        return false;
    *op = (enum row_op) * at++;
    if (!varint_get(&at, end, &len) || len > (size_t)(end - at))
        return false;
    *row = at;
    *row_len = (size_t)len;
    *p = at + len;
    return true;
}
