/* See epoch_log.h. */
#include "store/epoch_log.h"

#include <string.h>

void epoch_transactions_add(struct epoch_transactions *t, uint32_t id, int64_t commit_us,
                            const char *position)
{
    struct epoch_transactions one = {
        .count = 1, .first_id = id, .last_id = id, .first_us = commit_us, .last_us = commit_us};
    snprintf(one.first_text, sizeof one.first_text, "%s", position);
    memcpy(one.last_text, one.first_text, sizeof one.last_text);
    epoch_transactions_join(t, &one);
}

void epoch_transactions_join(struct epoch_transactions *t, const struct epoch_transactions *more)
{
    if (!more->count)
        return;
    if (!t->count) {
        *t = *more;
        return;
    }
    t->count += more->count;
    t->last_id = more->last_id;
    t->last_us = more->last_us;
    memcpy(t->last_text, more->last_text, sizeof t->last_text);
}

static void put_u64(struct buf *b, uint64_t v)
{
    uint64_t big = __builtin_bswap64(v);
    buf_put(b, &big, sizeof big);
}

static void put_text(struct buf *b, const char *text)
{
    size_t len = strlen(text);
    buf_put_varint(b, len);
    buf_put(b, text, len);
}

static void key_of(uint64_t epoch, uint8_t key[4])
{
    uint32_t slot = __builtin_bswap32((uint32_t)(epoch % EPOCH_LOG_ENTRIES));
    memcpy(key, &slot, sizeof slot);
}

struct err *epoch_log_put(struct store_shard *sh, struct buf *b, uint64_t epoch, int64_t now_us,
                          const struct epoch_source *sources, uint32_t count)
{
    uint8_t key[4];
    store_db db;
    key_of(epoch, key);
    buf_reset(b);
    put_u64(b, epoch);
    put_u64(b, (uint64_t)now_us);
    for (uint32_t i = 0; i < count; i++) {
        const struct epoch_transactions *t = sources[i].done;
        put_text(b, sources[i].name);
        buf_put_varint(b, t->count);
        buf_put_varint(b, t->first_id);
        buf_put_varint(b, t->last_id);
        put_u64(b, (uint64_t)t->first_us);
        put_u64(b, (uint64_t)t->last_us);
        put_text(b, t->first_text);
        put_text(b, t->last_text);
    }
    TRY(store_db_open(sh, EPOCH_LOG_DB, &db));
    return store_put(sh, db, (struct slice){key, sizeof key}, (struct slice){b->p, b->len});
}

/* ---- reading: what is stored is checked ---- */

struct reader {
    const uint8_t *p, *end;
    bool bad;
};

static uint64_t get_u64(struct reader *r)
{
    uint64_t big = 0;
    r->bad |= (size_t)(r->end - r->p) < sizeof big;
    if (r->bad)
        return 0;
    memcpy(&big, r->p, sizeof big);
    r->p += sizeof big;
    return __builtin_bswap64(big);
}

static uint64_t get_varint(struct reader *r)
{
    uint64_t v = 0;
    r->bad = r->bad || !varint_get(&r->p, r->end, &v);
    return r->bad ? 0 : v;
}

static struct slice get_text(struct reader *r)
{
    uint64_t len = get_varint(r);
    r->bad |= len > (uint64_t)(r->end - r->p);
    struct slice s = {r->p, r->bad ? 0 : (size_t)len};
    r->p += s.len;
    return s;
}

static void get_position(struct reader *r, char *out)
{
    struct slice s = get_text(r);
    size_t len = s.len < EPOCH_POSITION_MAX ? s.len : EPOCH_POSITION_MAX - 1;
    memcpy(out, s.p, len);
    out[len] = 0;
}

static void get_source(struct reader *r, struct arena *a, struct epoch_source *out)
{
    struct epoch_transactions *t = ARENA_NEW(a, struct epoch_transactions);
    struct slice name = get_text(r);
    out->name = arena_strndup(a, (const char *)name.p, name.len);
    out->done = t;
    t->count = get_varint(r);
    t->first_id = (uint32_t)get_varint(r);
    t->last_id = (uint32_t)get_varint(r);
    t->first_us = (int64_t)get_u64(r);
    t->last_us = (int64_t)get_u64(r);
    get_position(r, t->first_text);
    get_position(r, t->last_text);
}

bool epoch_log_get(struct store_snapshot *s, struct arena *a, uint64_t epoch, struct epoch_entry *out)
{
    uint8_t key[4];
    store_db db;
    struct slice value;
    key_of(epoch, key);
    if (!store_snapshot_db(s, 0, EPOCH_LOG_DB, &db) ||
        !store_snapshot_get(s, 0, db, (struct slice){key, sizeof key}, &value))
        return false;
    struct reader r = {value.p, value.p + value.len, false};
    *out = (struct epoch_entry){0};
    if (get_u64(&r) != epoch || r.bad)
        return false; /* the slot has another's by now, or still */
    out->at_us = (int64_t)get_u64(&r);
    out->sources = ARENA_ARRAY(a, struct epoch_source, GATE_SOURCES_MAX);
    while (!r.bad && r.p < r.end && out->source_count < GATE_SOURCES_MAX)
        get_source(&r, a, &out->sources[out->source_count++]);
    return !r.bad;
}
