/* The rows of a mirror in the order in which their time is over; see retention.h. */
#include "ops/retention.h"

#include "types/datetime_impl.h"

#include <stdlib.h>
#include <string.h>

#define UNIX_TO_PG_US (UNIX_TO_PG_SECS * 1000000)
#define END_BYTES     8
#define ALWAYS        (INT64_MIN / 2) /* the end of -infinity: whatever the clock says, and room for arithmetic */

char *retention_db_name(const struct table_def *t)
{
    return xprintf("t:%s.%s:%s", t->source, t->name, t->schema.columns[t->retention_column].name);
}

struct err *retention_open(struct retention *r, const struct table_def *t, struct store_shard *sh)
{
    *r = (struct retention){.table = t, .due = INT64_MAX, .on = t->retention_us > 0};
    if (!r->on)
        return NULL;
    r->type = t->schema.columns[t->retention_column].type.id;
    char *name = retention_db_name(t);
    struct err *e = store_db_open(sh, name, &r->db);
    free(name);
    return e;
}

void retention_fini(struct retention *r)
{
    buf_fini(&r->entry);
}

int64_t retention_end(const struct retention *r, union val v, uint8_t state)
{
    int64_t us = v.i, end;
    if (state != VAL_OK)
        return INT64_MAX;
    if (r->type == T_DATE) {
        if (v.i == INT32_MAX)
            return INT64_MAX;
        if (v.i == INT32_MIN || __builtin_mul_overflow(v.i, USECS_PER_DAY, &us))
            return ALWAYS;
    }
    if (us == INT64_MAX || us == INT64_MIN)
        return us == INT64_MAX ? INT64_MAX : ALWAYS;
    if (__builtin_add_overflow(us, UNIX_TO_PG_US, &end) ||
        __builtin_add_overflow(end, r->table->retention_us, &end))
        return INT64_MAX;
    return end;
}

/* The time alone is stored: another `keep` finds the same order. */
static struct slice entry_make(struct retention *r, int64_t end, const struct buf *key)
{
    uint64_t u = (uint64_t)(end - r->table->retention_us) ^ (UINT64_C(1) << 63);
    buf_reset(&r->entry);
    for (int i = 56; i >= 0; i -= 8)
        buf_put_u8(&r->entry, (uint8_t)(u >> i));
    buf_put(&r->entry, key->p, key->len);
    return (struct slice){r->entry.p, r->entry.len};
}

static int64_t entry_end(const struct retention *r, struct slice entry)
{
    uint64_t u = 0;
    for (int i = 0; i < END_BYTES; i++)
        u = u << 8 | entry.p[i];
    return (int64_t)(u ^ (UINT64_C(1) << 63)) + r->table->retention_us;
}

struct err *retention_add(struct retention *r, struct store_shard *sh, int64_t end, const struct buf *key)
{
    if (end == INT64_MAX)
        return NULL;
    return store_put(sh, r->db, entry_make(r, end, key), (struct slice){(const uint8_t *)"", 0});
}

struct err *retention_remove(struct retention *r, struct store_shard *sh, int64_t end, const struct buf *key)
{
    return end == INT64_MAX ? NULL : store_del(sh, r->db, entry_make(r, end, key));
}

static struct err *collect(struct retention *r, struct store_shard *sh, int64_t clock_us, uint64_t rows,
                           struct buf *entries, uint64_t *count)
{
    struct store_scan *scan;
    struct slice key, value;
    *count = 0;
    TRY(store_scan_open(sh, r->db, &scan));
    while (*count < rows && store_scan_next(scan, &key, &value) && entry_end(r, key) <= clock_us) {
        buf_put_varint(entries, key.len);
        buf_put(entries, key.p, key.len);
        ++*count;
    }
    store_scan_close(scan);
    return NULL;
}

struct err *retention_take(struct retention *r, struct store_shard *sh, int64_t clock_us, uint64_t rows,
                           struct buf *keys, uint64_t *taken)
{
    struct buf entries = {0};
    struct err *e = collect(r, sh, clock_us, rows, &entries, taken);
    const uint8_t *p = entries.p, *end = entries.p + entries.len;
    uint64_t len;
    while (!e && p < end) {
        ASSERT(varint_get(&p, end, &len) && len >= END_BYTES);
        e = store_del(sh, r->db, (struct slice){p, (size_t)len});
        buf_put_varint(keys, len - END_BYTES);
        buf_put(keys, p + END_BYTES, (size_t)len - END_BYTES);
        p += len;
    }
    buf_fini(&entries);
    return e;
}

struct err *retention_find_due(struct retention *r, struct store_shard *sh)
{
    struct store_scan *scan;
    struct slice key, value;
    TRY(store_scan_open(sh, r->db, &scan));
    r->due = store_scan_next(scan, &key, &value) ? entry_end(r, key) : INT64_MAX;
    store_scan_close(scan);
    return NULL;
}
