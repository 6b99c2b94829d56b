/* The last INGEST_KEYS_MAX Idempotency-Keys of a source: a ring in the order of coming, found by hash. */
#include "source/ingest/ingest.h"

#include <stdlib.h>

#define BUCKETS 16384

static uint32_t *bucket_of(const struct ingest_keys *k, const struct ingest_key *key)
{
    return &k->buckets[(key->key[0] | (uint32_t)key->key[1] << 8) % BUCKETS]; /* a digest: even bits */
}

void ingest_keys_init(struct ingest_keys *k)
{
    *k = (struct ingest_keys){xcalloc(INGEST_KEYS_MAX, sizeof *k->ring), xcalloc(BUCKETS, sizeof *k->buckets),
                              0, 0};
}

void ingest_keys_fini(struct ingest_keys *k)
{
    free(k->ring);
    free(k->buckets);
}

/* The link to the entry, or to where one would hang. */
static uint32_t *link_of(const struct ingest_keys *k, const struct ingest_key *key)
{
    uint32_t *link = bucket_of(k, key);
    while (*link && memcmp(k->ring[*link - 1].key.key, key->key, sizeof key->key) != 0)
        link = &k->ring[*link - 1].next;
    return link;
}

struct ingest_seen *ingest_keys_find(struct ingest_keys *k, const struct ingest_key *key)
{
    uint32_t at = *link_of(k, key);
    return at ? &k->ring[at - 1] : NULL;
}

void ingest_keys_remove(struct ingest_keys *k, const struct ingest_key *key)
{
    uint32_t *link = link_of(k, key);
    if (!*link)
        return;
    struct ingest_seen *s = &k->ring[*link - 1];
    *link = s->next;
    *s = (struct ingest_seen){0}; /* its place in the ring stays empty until it is overwritten */
}

static bool is_empty(const struct ingest_seen *s)
{
    static const struct ingest_seen none;
    return memcmp(&s->key, &none.key, sizeof s->key) == 0;
}

struct ingest_seen *ingest_keys_add(struct ingest_keys *k, const struct ingest_key *key, uint64_t end,
                                    uint32_t row_count)
{
    struct ingest_seen *s = &k->ring[k->at];
    if (k->count == INGEST_KEYS_MAX && !is_empty(s)) {
        struct ingest_key oldest = s->key;
        ingest_keys_remove(k, &oldest);
    }
    uint32_t *bucket = bucket_of(k, key);
    *s = (struct ingest_seen){*key, end, row_count, *bucket};
    *bucket = k->at + 1;
    k->at = (k->at + 1) % INGEST_KEYS_MAX;
    k->count += k->count < INGEST_KEYS_MAX;
    return s;
}

void ingest_keys_put(const struct ingest_keys *k, struct buf *b)
{
    uint32_t first = k->count < INGEST_KEYS_MAX ? 0 : k->at;
    for (uint32_t i = 0; i < k->count; i++) {
        const struct ingest_seen *s = &k->ring[(first + i) % INGEST_KEYS_MAX];
        if (!s->end || is_empty(s))
            continue;
        buf_put(b, &s->key, sizeof s->key);
        buf_put_varint(b, s->end);
        buf_put_varint(b, s->row_count);
    }
}

bool ingest_keys_get(struct ingest_keys *k, const uint8_t *p, size_t len)
{
    const uint8_t *end = p + len;
    while (p < end) {
        struct ingest_key key;
        uint64_t at, rows;
        if ((size_t)(end - p) < sizeof key)
            return false;
        memcpy(&key, p, sizeof key);
        p += sizeof key;
        if (!varint_get(&p, end, &at) || !varint_get(&p, end, &rows) || rows > UINT32_MAX)
            return false;
        if (!ingest_keys_find(k, &key))
            ingest_keys_add(k, &key, at, (uint32_t)rows);
    }
    return true;
}
