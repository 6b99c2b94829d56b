/* Rows that cannot be read, in the store; see quarantine.h. */
#include "store/quarantine.h"

#include "base/hash.h"

#include <stdlib.h>

#define VERSION 1

static const uint8_t sum_key[1] = {'#'};

/* ---- values ---- */

static void put_str(struct buf *b, struct str s)
{
    buf_put_varint(b, s.len);
    buf_put(b, s.p, s.len);
}

static void put_fixed(struct buf *b, uint64_t v)
{
    for (int i = 0; i < 8; i++)
        buf_put_u8(b, (uint8_t)(v >> 8 * i));
}

void quarantine_put(struct buf *b, const struct quarantine_entry *e)
{
    buf_put_u8(b, VERSION);
    buf_put_u8(b, (uint8_t)e->op);
    put_fixed(b, e->home);
    buf_put_varint(b, e->rows);
    put_fixed(b, (uint64_t)e->first_us);
    put_fixed(b, (uint64_t)e->last_us);
    put_str(b, e->position);
    put_str(b, e->sqlstate);
    put_str(b, e->message);
    put_str(b, e->column);
    buf_put_varint(b, e->raw_bytes);
    buf_put(b, e->raw_hash, sizeof e->raw_hash);
    put_str(b, e->raw);
    put_str(b, e->known);
    put_str(b, e->row);
}

struct reader { /* an error sticks */
    const uint8_t *p, *end;
    bool bad;
};

static const uint8_t *take(struct reader *r, uint64_t len)
{
    const uint8_t *p = r->p;
    if (r->bad || len > (uint64_t)(r->end - r->p)) {
        r->bad = true;
        return NULL;
    }
    r->p += len;
    return p;
}

static uint64_t take_varint(struct reader *r)
{
    uint64_t v = 0;
    if (!r->bad && !varint_get(&r->p, r->end, &v))
        r->bad = true;
    return r->bad ? 0 : v;
}

static uint64_t take_fixed(struct reader *r)
{
    const uint8_t *p = take(r, 8);
    uint64_t v = 0;
    for (int i = 7; p && i >= 0; i--)
        v = v << 8 | p[i];
    return v;
}

static struct str take_str(struct reader *r)
{
    uint64_t len = take_varint(r);
    const uint8_t *p = len <= UINT32_MAX ? take(r, len) : NULL;
    r->bad |= !p;
    return p ? (struct str){p, (uint32_t)len, 0} : (struct str){0};
}

static char take_char(struct reader *r)
{
    const uint8_t *p = take(r, 1);
    return p ? (char)*p : 0;
}

bool quarantine_get(struct slice value, struct quarantine_entry *out)
{
    struct reader r = {value.p, value.p + value.len, false};
    *out = (struct quarantine_entry){0};
    r.bad = take_char(&r) != VERSION;
    out->op = take_char(&r);
    out->home = take_fixed(&r);
    out->rows = take_varint(&r);
    out->first_us = (int64_t)take_fixed(&r);
    out->last_us = (int64_t)take_fixed(&r);
    out->position = take_str(&r);
    out->sqlstate = take_str(&r);
    out->message = take_str(&r);
    out->column = take_str(&r);
    out->raw_bytes = take_varint(&r);
    const uint8_t *hash = take(&r, sizeof out->raw_hash);
    if (hash)
        memcpy(out->raw_hash, hash, sizeof out->raw_hash);
    out->raw = take_str(&r);
    out->known = take_str(&r);
    out->row = take_str(&r);
    return !r.bad && r.p == r.end && out->rows > 0;
}

/* ---- raw bytes ---- */

void quarantine_raw_put(struct buf *raw, uint64_t *bytes, const struct quarantine_field *f)
{
    *bytes += f->text.len;
    size_t room = raw->len < QUARANTINE_RAW_BYTES ? QUARANTINE_RAW_BYTES - raw->len : 0;
    if (!room)
        return;
    uint32_t kept = f->text.len < room ? f->text.len : (uint32_t)room;
    put_str(raw, f->name);
    buf_put_u8(raw, (uint8_t)f->kind);
    buf_put_varint(raw, f->text.len);
    put_str(raw, (struct str){f->text.p, kept, 0});
}

bool quarantine_raw_next(struct str raw, size_t *at, struct quarantine_field *out)
{
    if (*at >= raw.len)
        return false;
    struct reader r = {raw.p + *at, raw.p + raw.len, false};
    out->name = take_str(&r);
    out->kind = take_char(&r);
    out->bytes = take_varint(&r);
    out->text = take_str(&r);
    *at = (size_t)(r.p - raw.p);
    return !r.bad;
}

/* ---- keys ---- */

char *quarantine_db_name(const char *source, const char *table)
{
    return xprintf("q:%s.%s", source, table);
}

bool quarantine_is_sum(struct slice key)
{
    return key.len == sizeof sum_key && key.p[0] == sum_key[0];
}

void quarantine_key(uint8_t key[QUARANTINE_KEY_BYTES], char letter, const void *identity, size_t len)
{
    key[0] = (uint8_t)letter;
    hash_bytes128(identity, len, key + 1);
}

void quarantine_id_text(const uint8_t key[QUARANTINE_KEY_BYTES], char out[QUARANTINE_ID_TEXT])
{
    out[0] = (char)key[0];
    for (int i = 1; i < QUARANTINE_KEY_BYTES; i++)
        snprintf(out + 2 * i - 1, 3, "%02x", key[i]);
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool quarantine_id_parse(const char *text, uint8_t key[QUARANTINE_KEY_BYTES])
{
    if (strlen(text) != QUARANTINE_ID_TEXT - 1 || (text[0] != 'k' && text[0] != 'r'))
        return false;
    key[0] = (uint8_t)text[0];
    for (int i = 1; i < QUARANTINE_KEY_BYTES; i++) {
        int hi = hex_digit(text[2 * i - 1]), lo = hex_digit(text[2 * i]);
        if (hi < 0 || lo < 0)
            return false;
        key[i] = (uint8_t)(hi << 4 | lo);
    }
    return true;
}

/* ---- sums ---- */

void quarantine_sum_add(struct quarantine_sum *sum, const struct quarantine_entry *e, int sign)
{
    uint64_t one = sign < 0 ? UINT64_MAX : 1; /* modulo 2^64 */
    sum->rows += one * e->rows;
    sum->entries += one;
    sum->full += e->raw.len ? one : 0;
}

bool quarantine_sum_get(struct slice value, struct quarantine_sum *out)
{
    struct reader r = {value.p, value.p + value.len, false};
    out->rows = take_varint(&r);
    out->entries = take_varint(&r);
    out->full = take_varint(&r);
    return !r.bad && r.p == r.end;
}

static struct err *sum_count(struct store_shard *sh, store_db db, struct quarantine_sum *out)
{
    struct store_scan *scan;
    struct slice key, value;
    struct quarantine_entry e;
    bool good = true;
    *out = (struct quarantine_sum){0};
    TRY(store_scan_open(sh, db, &scan));
    while (good && store_scan_next(scan, &key, &value)) {
        if (quarantine_is_sum(key))
            continue;
        good = quarantine_get(value, &e);
        if (good)
            quarantine_sum_add(out, &e, 1);
    }
    store_scan_close(scan);
    return good ? NULL : err_new(ERR_CORRUPT, "a quarantined row cannot be read");
}

struct err *quarantine_sum_load(struct store_shard *sh, store_db db, struct quarantine_sum *out)
{
    struct slice value;
    *out = (struct quarantine_sum){0};
    if (store_entries(sh, db) == 0)
        return NULL;
    if (store_get(sh, db, (struct slice){sum_key, sizeof sum_key}, &value))
        return quarantine_sum_get(value, out)
                   ? NULL
                   : err_new(ERR_CORRUPT, "sums of quarantined rows cannot be read");
    return sum_count(sh, db, out);
}

struct err *quarantine_sum_store(struct store_shard *sh, store_db db, const struct quarantine_sum *sum)
{
    struct buf value = {0};
    struct slice key = {sum_key, sizeof sum_key};
    if (!sum->entries)
        return store_del(sh, db, key);
    buf_put_varint(&value, sum->rows);
    buf_put_varint(&value, sum->entries);
    buf_put_varint(&value, sum->full);
    struct err *e = store_put(sh, db, key, (struct slice){value.p, value.len});
    buf_fini(&value);
    return e;
}
