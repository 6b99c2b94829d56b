/* Error rows in the store; see error_store.h. */
#include "store/error_store.h"

#include <string.h>

static const uint8_t run_key[4] = {0xff, 0xff, 0xff, 0xff};

static void put_be(uint8_t *p, uint64_t v, int bytes)
{
    for (int i = bytes - 1; i >= 0; i--, v >>= 8)
        p[i] = (uint8_t)v;
}

static struct slice make_key(uint8_t key[ERROR_KEY_BYTES], uint32_t node, uint64_t number)
{
    put_be(key, node, 4);
    put_be(key + 4, number, 8);
    return (struct slice){key, ERROR_KEY_BYTES};
}

/* ---- writing ---- */

struct err *error_store_begin(struct store_shard *sh, struct error_dbs *out)
{
    TRY(store_db_open(sh, "errors", &out->lists));
    TRY(store_db_open(sh, "incomplete", &out->totals));
    return store_clear(sh, out->lists);
}

struct err *error_store_complete(struct store_shard *sh, store_db lists, uint64_t run)
{
    uint8_t value[8];
    put_be(value, run, 8);
    return store_put(sh, lists, (struct slice){run_key, sizeof run_key}, (struct slice){value, sizeof value});
}

struct err *error_store_set_total(struct store_shard *sh, store_db totals, uint32_t slot, uint64_t rows)
{
    uint8_t key[4], value[8];
    struct slice k = {key, sizeof key};
    put_be(key, slot, 4);
    put_be(value, rows, 8);
    return rows ? store_put(sh, totals, k, (struct slice){value, sizeof value}) : store_del(sh, totals, k);
}

static uint64_t get_be(const uint8_t *p, int bytes)
{
    uint64_t v = 0;
    for (int i = 0; i < bytes; i++)
        v = v << 8 | p[i];
    return v;
}

static struct err *add_totals(struct store_shard *sh, uint64_t *by_slot)
{
    store_db totals;
    struct store_scan *scan;
    struct slice key, value;
    TRY(store_db_open(sh, "incomplete", &totals));
    TRY(store_scan_open(sh, totals, &scan));
    while (store_scan_next(scan, &key, &value)) {
        uint64_t slot = key.len == 4 ? get_be(key.p, 4) : GATE_VIEWS_MAX;
        if (slot < GATE_VIEWS_MAX && value.len == 8)
            by_slot[slot] += get_be(value.p, 8);
    }
    store_scan_close(scan);
    return NULL;
}

struct err *error_store_restore(struct store *s, struct gate *gate)
{
    uint64_t by_slot[GATE_VIEWS_MAX] = {0};
    struct err *e = NULL;
    for (uint32_t i = 0; i < store_shard_count(s) && !e; i++) {
        e = store_begin(store_shard(s, i));
        if (e)
            break;
        e = add_totals(store_shard(s, i), by_slot);
        store_abort(store_shard(s, i));
    }
    for (uint32_t slot = 0; slot < GATE_VIEWS_MAX && !e; slot++)
        atomic_store(&gate->views[slot].error_rows, by_slot[slot]);
    return e;
}

struct err *error_store_put(struct store_shard *sh, store_db db, uint32_t node, uint64_t number,
                            int64_t weight, struct slice json)
{
    uint8_t key[ERROR_KEY_BYTES];
    struct buf value = {0};
    buf_put_varint(&value, weight > 0 ? (uint64_t)weight : 0);
    buf_put(&value, json.p, json.len);
    struct err *e = store_put(sh, db, make_key(key, node, number), (struct slice){value.p, value.len});
    buf_fini(&value);
    return e;
}

struct err *error_store_del(struct store_shard *sh, store_db db, uint32_t node, uint64_t number)
{
    uint8_t key[ERROR_KEY_BYTES];
    return store_del(sh, db, make_key(key, node, number));
}

/* ---- reading ---- */

static bool is_of_run(struct store_snapshot *s, uint32_t shard, store_db db, uint64_t run)
{
    uint8_t want[8];
    struct slice found;
    put_be(want, run, 8);
    return store_snapshot_get(s, shard, db, (struct slice){run_key, sizeof run_key}, &found) &&
           found.len == sizeof want && memcmp(found.p, want, sizeof want) == 0;
}

struct listing {
    struct buf *out;
    uint64_t most, count;
    struct error_summary *summary;
};

static void take(struct listing *l, bool is_total, struct slice value)
{
    uint64_t weight;
    const uint8_t *p = value.p, *end = value.p + value.len;
    if (!varint_get(&p, end, &weight))
        return;
    if (is_total) {
        l->summary->rows += weight;
        return;
    }
    if (l->count == l->most || p == end)
        return;
    buf_printf(l->out, "%s{\"rows\":%llu,", l->count++ ? "," : "", (unsigned long long)weight);
    buf_put(l->out, p + 1, (size_t)(end - p) - 1); /* the object goes on without its brace */
    l->summary->listed += weight;
}

static void read_node(struct listing *l, struct store_cursor *c, uint32_t node)
{
    uint8_t first[ERROR_KEY_BYTES];
    struct slice at = make_key(first, node, 0), key, value;
    for (bool more = store_cursor_seek(c, &at, &key, &value); more;
         more = store_cursor_next(c, &key, &value)) {
        if (key.len != ERROR_KEY_BYTES || memcmp(key.p, first, 4) != 0)
            return;
        take(l, memcmp(key.p, first, ERROR_KEY_BYTES) == 0, value);
    }
}

void error_store_read(struct store_snapshot *s, const struct catalog *c, const struct catalog_view *v,
                      bool whole, struct buf *out, struct error_summary *summary)
{
    struct listing l = {out, c->error_rows, 0, summary};
    *summary = (struct error_summary){.known = whole};
    size_t from = out->len;
    buf_put_u8(out, '[');
    for (uint32_t shard = 0; shard < c->shard_count && summary->known; shard++) {
        store_db db;
        summary->known = store_snapshot_db(s, shard, "errors", &db) && is_of_run(s, shard, db, c->run);
        struct store_cursor *cursor = summary->known ? store_cursor_open(s, shard, db) : NULL;
        for (uint32_t i = 0; cursor && i < v->error_node_count; i++)
            read_node(&l, cursor, v->error_nodes[i]);
    }
    if (!summary->known) {
        *summary = (struct error_summary){0};
        out->len = from;
        buf_put_u8(out, '[');
    }
    buf_put_u8(out, ']');
}

void error_summary_put(struct buf *out, const struct error_summary *s)
{
    if (!s->known)
        buf_put_str(out, "\"known\":false,\"incomplete\":null,\"rows\":null,\"listed\":0");
    else
        buf_printf(out, "\"known\":true,\"incomplete\":%s,\"rows\":%llu,\"listed\":%llu",
                   s->rows ? "true" : "false", (unsigned long long)s->rows, (unsigned long long)s->listed);
}
