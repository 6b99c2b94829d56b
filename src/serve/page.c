/* Positions in lists; see page.h. */
#include "serve/page.h"
#include "base/hash.h"
#include "data/row.h"

#define PAGE_FORMAT 1

static bool listed(const struct query *q, uint32_t column)
{
    for (uint32_t i = 0; i < q->order_count; i++)
        if (q->order[i].column == column)
            return true;
    return false;
}

static void add(const struct world_view *v, struct query *q, const struct key_column *k, bool reverse)
{
    if (listed(q, k->column))
        return;
    enum type_id t = v->schema->columns[k->column].type.id;
    q->order[q->order_count++] = (struct order_item){.column = k->column,
                                                     .desc = k->desc != reverse,
                                                     .nulls_first = k->nulls_first != reverse,
                                                     .from = t,
                                                     .type = t};
}

bool page_order(struct arena *a, const struct world_view *v, const struct query *q,
                const struct access *access, struct query *out)
{
    const struct catalog_index *ix =
        access->ordered && access->index >= 0 ? &v->cv->indexes[access->index] : NULL;
    bool reverse = access->ordered && access->reverse;
    uint32_t room = q->order_count + v->row_key_count + (ix ? ix->column_count : 0);
    *out = *q;
    out->order = ARENA_ARRAY(a, struct order_item, room + 1);
    out->order_count = 0;
    for (uint32_t i = 0; i < q->order_count; i++) {
        if (q->order[i].path || q->order[i].embed)
            return false;
        if (!listed(out, q->order[i].column))
            out->order[out->order_count++] = q->order[i];
    }
    for (uint32_t i = 0; ix && i < ix->column_count; i++)
        add(v, out, &ix->columns[i], reverse);
    for (uint32_t i = 0; i < v->row_key_count; i++)
        add(v, out, &v->row_key[i], reverse);
    return true;
}

/* Of the api and of what its rows are: columns have other numbers in another version. */
static uint64_t tag(const struct read *rd)
{
    return hash_bytes(rd->api->path, strlen(rd->api->path)) ^
           rd->view->cv->fingerprint * UINT64_C(0x9E3779B97F4A7C15);
}

static struct schema order_schema(struct arena *a, const struct schema *of, const struct order_item *order,
                                  uint32_t count)
{
    struct schema s = {count, ARENA_ARRAY(a, struct column, count + 1)};
    for (uint32_t i = 0; i < count; i++)
        s.columns[i] = of->columns[order[i].column];
    return s;
}

void page_encode(struct rest *r, const struct read *rd, const struct query *ordered, uint64_t copies,
                 struct buf *out)
{
    struct arena *a = &r->arena;
    uint32_t n = ordered->order_count;
    union val *vals = ARENA_ARRAY(a, union val, n + 1);
    uint8_t *states = ARENA_ARRAY(a, uint8_t, n + 1);
    uint64_t of = tag(rd);
    buf_put_u8(out, PAGE_FORMAT);
    buf_put(out, &of, sizeof of);
    buf_put_varint(out, n);
    for (uint32_t i = 0; i < n; i++) {
        const struct order_item *o = &ordered->order[i];
        buf_put_varint(out, (uint64_t)o->column << 2 | (o->desc ? 2u : 0) | o->nulls_first);
        vals[i] = r->vals[o->column];
        states[i] = r->states[o->column];
    }
    buf_put_varint(out, copies);
    struct schema s = order_schema(a, rd->view->schema, ordered->order, n);
    row_encode(out, &s, vals, states);
}

static bool order_decode(struct arena *a, const struct schema *schema, const uint8_t **p, const uint8_t *end,
                         struct position *out)
{
    uint64_t n, v;
    if (!varint_get(p, end, &n) || n == 0 || n > schema->column_count)
        return false;
    out->count = (uint32_t)n;
    out->order = ARENA_ARRAY(a, struct order_item, n);
    for (uint32_t i = 0; i < out->count; i++) {
        if (!varint_get(p, end, &v) || v >> 2 >= schema->column_count)
            return false;
        enum type_id t = schema->columns[v >> 2].type.id;
        if (!type_info(t)->comparable)
            return false;
        out->order[i] = (struct order_item){
            .column = (uint32_t)(v >> 2), .desc = v & 2, .nulls_first = v & 1, .from = t, .type = t};
    }
    return varint_get(p, end, &out->copies);
}

static int place(const struct position *at, uint32_t column)
{
    for (uint32_t i = 0; i < at->count; i++)
        if (at->order[i].column == column)
            return (int)i;
    return -1;
}

static bool make_key(struct arena *a, const struct world_view *v, struct position *out)
{
    struct buf b = {0};
    bool ok = true;
    for (uint32_t i = 0; i < out->count; i++)
        key_put(&b, out->order[i].type, &out->vals[i], out->states[i], out->order[i].desc,
                out->order[i].nulls_first);
    for (uint32_t i = 0; i < v->row_key_count && ok; i++) {
        const struct key_column *k = &v->row_key[i];
        int at = place(out, k->column);
        ok = at >= 0;
        if (ok)
            key_put(&b, out->order[at].type, &out->vals[at], out->states[at], k->desc, k->nulls_first);
    }
    out->key = (struct slice){arena_memdup(a, b.len ? (const void *)b.p : "", b.len), b.len};
    buf_fini(&b);
    return ok;
}

bool page_decode(struct arena *a, const struct read *rd, struct slice plain, struct position *out)
{
    const struct schema *schema = rd->view->schema;
    const uint8_t *p = plain.p, *end = plain.p + plain.len;
    uint64_t of = tag(rd);
    *out = (struct position){.count = 0};
    if (plain.len < 1 + sizeof of || *p != PAGE_FORMAT || memcmp(p + 1, &of, sizeof of) != 0)
        return false;
    p += 1 + sizeof of;
    if (!order_decode(a, schema, &p, end, out))
        return false;
    struct schema s = order_schema(a, schema, out->order, out->count);
    out->vals = ARENA_ARRAY(a, union val, out->count);
    out->states = ARENA_ARRAY(a, uint8_t, out->count);
    return row_decode(a, &s, p, (size_t)(end - p), out->vals, out->states) && make_key(a, rd->view, out);
}

bool page_fits(const struct query *q, const struct position *at)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < q->order_count; i++) {
        const struct order_item *o = &q->order[i], *k = n < at->count ? &at->order[n] : NULL;
        if (o->path || o->embed)
            return false;
        bool before = false; /* a column that is ordered by twice counts once */
        for (uint32_t j = 0; j < i; j++)
            before |= q->order[j].column == o->column;
        if (before)
            continue;
        if (!k || k->column != o->column || k->desc != o->desc || k->nulls_first != o->nulls_first)
            return false;
        n++;
    }
    return true;
}
