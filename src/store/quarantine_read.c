/* Reading lists of quarantined rows from a snapshot, and as JSON; see quarantine.h. */
#include "store/quarantine.h"

#include "base/text.h"

#include <stdlib.h>

bool quarantine_read_sum(struct store_snapshot *s, uint32_t shard_count, const char *source,
                         const char *table, struct quarantine_sum *out)
{
    static const uint8_t sum_key[1] = {'#'};
    char *name = quarantine_db_name(source, table);
    bool found = false;
    *out = (struct quarantine_sum){0};
    for (uint32_t shard = 0; shard < shard_count; shard++) {
        struct quarantine_sum sum;
        struct slice value;
        store_db db;
        if (!store_snapshot_db(s, shard, name, &db))
            continue;
        found = true;
        if (!store_snapshot_get(s, shard, db, (struct slice){sum_key, sizeof sum_key}, &value) ||
            !quarantine_sum_get(value, &sum))
            continue;
        out->rows += sum.rows;
        out->entries += sum.entries;
        out->full += sum.full;
    }
    free(name);
    return found;
}

/* ---- JSON ---- */

static void put_text(struct buf *b, struct str s)
{
    buf_put_u8(b, '"');
    for (uint32_t i = 0; i < s.len; i++) {
        uint8_t c = s.p[i];
        bool is_c1 = c == 0xc2 && i + 1 < s.len && s.p[i + 1] < 0xa0; /* a terminal may obey it */
        if (is_c1)
            buf_printf(b, "\\u%04x", s.p[++i]);
        else if (c == '"' || c == '\\')
            buf_printf(b, "\\%c", c);
        else if (c < 0x20 || c == 0x7f)
            buf_printf(b, "\\u%04x", c);
        else
            buf_put_u8(b, c);
    }
    buf_put_u8(b, '"');
}

static void put_hex(struct buf *b, struct str s)
{
    buf_put_u8(b, '"');
    for (uint32_t i = 0; i < s.len; i++)
        buf_printf(b, "%02x", s.p[i]);
    buf_put_u8(b, '"');
}

static void put_member(struct buf *b, const char *name, struct str s)
{
    buf_printf(b, ",\"%s\":", name);
    if (utf8_valid(s.p, s.len))
        put_text(b, s);
    else
        put_hex(b, s);
}

static void put_field(struct buf *b, const struct quarantine_field *f)
{
    bool cut = f->bytes > f->text.len;
    struct str text = f->text;
    if (cut)
        text.len = (uint32_t)text_whole(text.p, text.len);
    buf_put_str(b, "{\"column\":");
    put_text(b, f->name);
    if (f->kind == QUARANTINE_NULL)
        buf_put_str(b, ",\"null\":true");
    else if (f->kind == QUARANTINE_UNCHANGED)
        buf_put_str(b, ",\"unchanged\":true");
    else if (utf8_valid(text.p, text.len))
        put_member(b, "text", text);
    else {
        buf_put_str(b, ",\"hex\":");
        put_hex(b, f->text);
    }
    if (cut)
        buf_printf(b, ",\"bytes\":%llu", (unsigned long long)f->bytes);
    buf_put_u8(b, '}');
}

static void put_raw(struct buf *b, const struct quarantine_entry *e)
{
    struct quarantine_field f;
    size_t at = 0;
    buf_printf(b, ",\"bytes\":%llu,\"hash\":", (unsigned long long)e->raw_bytes);
    put_hex(b, (struct str){e->raw_hash, sizeof e->raw_hash, 0});
    buf_put_str(b, ",\"fields\":[");
    for (bool first = true; quarantine_raw_next(e->raw, &at, &f); first = false) {
        buf_put_str(b, first ? "" : ",");
        put_field(b, &f);
    }
    buf_put_u8(b, ']');
}

static const char *op_name(char op)
{
    switch (op) {
    case 'i': return "insert";
    case 'u': return "update";
    case 'd': return "delete";
    case 's': return "snapshot";
    default: return "?";
    }
}

static void put_entry(struct buf *b, struct slice key, const struct quarantine_entry *e)
{
    char id[QUARANTINE_ID_TEXT];
    quarantine_id_text(key.p, id);
    buf_printf(b, "{\"id\":\"%s\",\"rows\":%llu,\"operation\":\"%s\"", id, (unsigned long long)e->rows,
               op_name(e->op));
    put_member(b, "position", e->position);
    put_member(b, "sqlstate", e->sqlstate);
    put_member(b, "message", e->message);
    if (e->column.len)
        put_member(b, "column", e->column);
    buf_printf(b, ",\"first_us\":%lld,\"last_us\":%lld", (long long)e->first_us, (long long)e->last_us);
    if (e->raw.len)
        put_raw(b, e);
    buf_put_u8(b, '}');
}

/* ---- the newest ones ---- */

struct found {
    struct slice key;
    struct quarantine_entry entry;
};
struct newest { /* a heap whose first is the oldest */
    struct found *list;
    uint32_t count;
};

static void sift_down(struct newest *n, uint32_t at)
{
    for (;;) {
        uint32_t least = at, left = 2 * at + 1;
        for (uint32_t c = left; c < left + 2 && c < n->count; c++)
            if (n->list[c].entry.last_us < n->list[least].entry.last_us)
                least = c;
        if (least == at)
            return;
        struct found f = n->list[at];
        n->list[at] = n->list[least];
        n->list[least] = f;
        at = least;
    }
}

static void offer(struct newest *n, struct slice key, const struct quarantine_entry *e)
{
    if (n->count < QUARANTINE_LIST_ROWS) {
        n->list[n->count++] = (struct found){key, *e};
        if (n->count == QUARANTINE_LIST_ROWS)
            for (uint32_t i = n->count / 2; i-- > 0;)
                sift_down(n, i);
        return;
    }
    if (e->last_us <= n->list[0].entry.last_us)
        return;
    n->list[0] = (struct found){key, *e};
    sift_down(n, 0);
}

static int by_time_desc(const void *a, const void *b)
{
    const struct found *x = a, *y = b;
    if (x->entry.last_us != y->entry.last_us)
        return x->entry.last_us < y->entry.last_us ? 1 : -1;
    return memcmp(x->key.p, y->key.p, QUARANTINE_KEY_BYTES);
}

uint64_t quarantine_read_list(struct store_snapshot *s, uint32_t shard_count, const char *source,
                              const char *table, struct buf *out)
{
    struct newest n = {.list = xcalloc(QUARANTINE_LIST_ROWS, sizeof *n.list)};
    char *name = quarantine_db_name(source, table);
    uint64_t rows = 0;
    for (uint32_t shard = 0; shard < shard_count; shard++) {
        struct quarantine_entry e;
        struct slice key, value;
        store_db db;
        if (!store_snapshot_db(s, shard, name, &db))
            continue;
        struct store_cursor *c = store_cursor_open(s, shard, db);
        for (bool more = store_cursor_seek(c, NULL, &key, &value); more;
             more = store_cursor_next(c, &key, &value))
            if (key.len == QUARANTINE_KEY_BYTES && quarantine_get(value, &e))
                offer(&n, key, &e);
    }
    if (n.count)
        qsort(n.list, n.count, sizeof *n.list, by_time_desc);
    buf_put_u8(out, '[');
    for (uint32_t i = 0; i < n.count; i++) {
        buf_put_str(out, i ? "," : "");
        put_entry(out, n.list[i].key, &n.list[i].entry);
        rows += n.list[i].entry.rows;
    }
    buf_put_u8(out, ']');
    free(name);
    free(n.list);
    return rows;
}
