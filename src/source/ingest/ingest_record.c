/* Records of the append log as bytes; see ingest_log.h. No files here. */
#include "source/ingest/ingest_log.h"

#include "base/crc32c.h"

static const uint8_t magic[8] = {'P', 'S', 'T', 'K', 'I', 'N', 'G', '1'};

static void put_u32(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> 8 * i);
}

static void put_u64(uint8_t *p, uint64_t v)
{
    for (int i = 0; i < 8; i++)
        p[i] = (uint8_t)(v >> 8 * i);
}

static uint64_t get_le(const uint8_t *p, int bytes)
{
    uint64_t v = 0;
    for (int i = 0; i < bytes; i++)
        v |= (uint64_t)p[i] << 8 * i;
    return v;
}

static uint32_t checksum(uint64_t id, const uint8_t *head, const void *payload, size_t len)
{
    uint8_t seed[8];
    put_u64(seed, head[24] == LOG_HEAD ? 0 : id);
    uint32_t crc = crc32c(crc32c(0, seed, sizeof seed), head, 4);
    return crc32c(crc32c(crc, head + 8, INGEST_RECORD_HEAD - 8), payload, len);
}

void ingest_record_put(struct buf *b, uint64_t id, enum log_kind kind, uint64_t offset, uint64_t synced,
                       const void *payload, size_t len)
{
    ASSERT(len <= INGEST_RECORD_BYTES_MAX);
    uint8_t head[INGEST_RECORD_HEAD];
    put_u32(head, (uint32_t)len);
    put_u64(head + 8, offset);
    put_u64(head + 16, synced);
    head[24] = (uint8_t)kind;
    put_u32(head + 4, checksum(id, head, payload, len));
    buf_put(b, head, sizeof head);
    buf_put(b, payload, len);
}

size_t ingest_record_check(const uint8_t *p, size_t len, uint64_t id, uint64_t offset, struct log_record *out,
                           uint64_t *synced)
{
    if (len < INGEST_RECORD_HEAD || get_le(p + 8, 8) != offset)
        return 0;
    size_t size = (size_t)get_le(p, 4);
    if (size > INGEST_RECORD_BYTES_MAX || len - INGEST_RECORD_HEAD < size ||
        checksum(id, p, p + INGEST_RECORD_HEAD, size) != get_le(p + 4, 4))
        return 0;
    *out = (struct log_record){.kind = (enum log_kind)p[24],
                               .offset = offset,
                               .end = offset + INGEST_RECORD_HEAD + size,
                               .payload = p + INGEST_RECORD_HEAD,
                               .len = size};
    *synced = get_le(p + 16, 8);
    return INGEST_RECORD_HEAD + size;
}

size_t ingest_segment_check(const uint8_t *p, size_t len, uint64_t offset, bool *damaged)
{
    struct log_record r;
    uint64_t synced, id;
    const uint8_t *schema;
    size_t n, schema_len, whole = ingest_record_check(p, len, 0, offset, &r, &synced);
    *damaged = !whole || !ingest_head_get(&r, &id, &schema, &schema_len);
    if (*damaged)
        return 0;
    while ((n = ingest_record_check(p + whole, len - whole, id, offset + whole, &r, &synced)))
        whole += n;
    for (size_t at = whole + 1; at < len && !*damaged; at++)
        *damaged = ingest_record_check(p + at, len - at, id, offset + at, &r, &synced) &&
                   r.kind != LOG_HEAD && synced > offset + whole;
    return whole;
}

void ingest_head_put(struct buf *b, uint64_t id, const uint8_t *schema, size_t schema_len)
{
    uint8_t bytes[8];
    put_u64(bytes, id);
    buf_put(b, magic, sizeof magic);
    buf_put(b, bytes, sizeof bytes);
    buf_put(b, schema, schema_len);
}

bool ingest_head_get(const struct log_record *r, uint64_t *id, const uint8_t **schema, size_t *schema_len)
{
    if (r->kind != LOG_HEAD || r->len < sizeof magic + 8 || memcmp(r->payload, magic, sizeof magic) != 0)
        return false;
    *id = get_le(r->payload + sizeof magic, 8);
    *schema = r->payload + sizeof magic + 8;
    *schema_len = r->len - sizeof magic - 8;
    return true;
}
