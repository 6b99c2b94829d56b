/* Choice of the stored order that serves a query; see access.h. */
#include "serve/access.h"
#include "base/hash.h"
#include "serve/out.h"
#include "serve/page.h"

#include <stdlib.h>

#define INDEX_PART_MAX (KEY_STORED_MAX / 2)

struct chooser {
    struct arena *arena;
    const struct world_view *view;
    const struct query *query;
    uint32_t cond_count;
    const struct cond **conds; /* plain tests that every row of the answer passes */
};

static void collect(struct chooser *ch, const struct cond *c)
{
    if (c->negate)
        return;
    if (c->kind == COND_TEST && (c->path || (c->quant && c->op != OP_IN)))
        return; /* indexes are of columns */
    if (c->kind == COND_TEST)
        ch->conds[ch->cond_count++] = c;
    else if (c->kind == COND_AND || c->arg_count == 1)
        for (uint32_t i = 0; i < c->arg_count; i++)
            collect(ch, c->args[i]);
}

static uint32_t count_conds(const struct cond *c)
{
    uint32_t n = 1;
    for (uint32_t i = 0; i < c->arg_count; i++)
        n += count_conds(c->args[i]);
    return n;
}

static const struct cond *find_eq(const struct chooser *ch, uint32_t column)
{
    for (uint32_t i = 0; i < ch->cond_count; i++) {
        const struct cond *c = ch->conds[i];
        if (c->column != column)
            continue;
        if (c->op == OP_EQ || (c->op == OP_IN && c->value_count == 1) || (c->op == OP_IS && c->is == IS_NULL))
            return c;
    }
    return NULL;
}

static const struct cond *find_op(const struct chooser *ch, uint32_t column, enum cond_op a, enum cond_op b)
{
    for (uint32_t i = 0; i < ch->cond_count; i++)
        if (ch->conds[i]->column == column && (ch->conds[i]->op == a || ch->conds[i]->op == b))
            return ch->conds[i];
    return NULL;
}

/* The columns of a candidate as it is stored: an index's own, then the row key's. */
static uint32_t candidate_columns(const struct chooser *ch, int index, const struct key_column **out)
{
    const struct world_view *v = ch->view;
    if (index < 0) {
        *out = v->row_key;
        return v->row_key_count;
    }
    const struct catalog_index *ix = &v->cv->indexes[index];
    *out = ix->columns;
    return ix->column_count;
}

static bool order_fits(const struct chooser *ch, const struct order_item *o, const struct key_column *k,
                       bool reverse)
{
    if (o->path || o->embed || o->column != k->column || o->desc != (k->desc != reverse))
        return false;
    return ch->view->schema->columns[k->column].not_null || o->nulls_first == (k->nulls_first != reverse);
}

/* Columns that the entries of an index have behind its own: the row's key. */
static const struct key_column *walk_column(const struct chooser *ch, int index, uint32_t i)
{
    const struct key_column *cols;
    uint32_t count = candidate_columns(ch, index, &cols);
    if (i < count)
        return &cols[i];
    i -= count;
    return index >= 0 && i < ch->view->row_key_count ? &ch->view->row_key[i] : NULL;
}

/* A column that is walked by already is constant from there on. */
static bool walked_before(const struct chooser *ch, int index, uint32_t at, uint32_t column)
{
    for (uint32_t i = 0; i < at; i++)
        if (walk_column(ch, index, i)->column == column)
            return true;
    return false;
}

/* Whether walking the candidate (from column `from` on, the earlier ones being constant) gives the order. */
static bool order_served(const struct chooser *ch, int index, uint32_t from, bool reverse)
{
    const struct query *q = ch->query;
    uint32_t at = from;
    const struct key_column *k;
    for (uint32_t i = 0; i < q->order_count; i++) {
        if (!q->order[i].path && !q->order[i].embed && find_eq(ch, q->order[i].column))
            continue;
        if (walked_before(ch, index, at, q->order[i].column))
            continue;
        while ((k = walk_column(ch, index, at)) &&
               (find_eq(ch, k->column) || walked_before(ch, index, at, k->column)))
            at++;
        if (!k || !order_fits(ch, &q->order[i], k, reverse))
            return false;
        at++;
    }
    return true;
}

static void candidate(const struct chooser *ch, int index, struct access *a)
{
    const struct key_column *cols;
    uint32_t count = candidate_columns(ch, index, &cols);
    *a = (struct access){.index = index};
    while (a->eq_count < count && find_eq(ch, cols[a->eq_count].column))
        a->eq_count++;
    if (a->eq_count < count) {
        uint32_t next = cols[a->eq_count].column;
        a->has_range = find_op(ch, next, OP_GT, OP_GTE) || find_op(ch, next, OP_LT, OP_LTE) ||
                       find_op(ch, next, OP_IN, OP_IN);
    }
    if (order_served(ch, index, a->eq_count, false))
        a->ordered = true;
    else if (order_served(ch, index, a->eq_count, true))
        a->ordered = a->reverse = true;
    a->whole_key = index < 0 && ch->view->key_count && a->eq_count == count;
}

static uint32_t score(const struct access *a, const struct query *q)
{
    return (a->whole_key ? 100000u : 0) + a->eq_count * 100 + (a->has_range ? 50u : 0) +
           (a->ordered && q->order_count ? 10u : 0) + (a->index < 0);
}

/* The bytes after every key that starts with `prefix`; len 0 when there are none such. */
static struct slice successor(struct arena *arena, struct slice prefix)
{
    uint8_t *p = arena_memdup(arena, prefix.p, prefix.len);
    size_t n = prefix.len;
    while (n && p[n - 1] == 0xFF)
        n--;
    if (n)
        p[n - 1]++;
    return (struct slice){p, n};
}

/* A bound made of whole encodings, cut to what stored keys keep of a long key. */
static struct slice bound(struct arena *arena, const struct buf *b, size_t keep, bool is_high)
{
    struct slice s = {b->p, b->len};
    if (s.len > keep) {
        s.len = keep;
        if (is_high)
            return successor(arena, s);
    }
    return (struct slice){arena_memdup(arena, s.len ? (const void *)s.p : "", s.len), s.len};
}

struct ranger { /* makes the ranges of the chosen candidate */
    const struct chooser *ch;
    struct access *access;
    struct buf *prefix, *edge; /* scratch */
    size_t keep;
};

static void put_value(struct buf *b, const struct cond *c, uint32_t i, const struct key_column *k)
{
    uint8_t state = c->op == OP_IS ? VAL_NULL : VAL_OK;
    union val none = {0};
    key_put(b, c->type, state == VAL_OK ? &c->vals[i] : &none, state, k->desc, k->nulls_first);
}

static struct slice edge(struct ranger *r, const struct cond *c, uint32_t i, const struct key_column *k,
                         bool after, bool is_high)
{
    buf_reset(r->edge);
    buf_put(r->edge, r->prefix->p, r->prefix->len);
    put_value(r->edge, c, i, k);
    if (after)
        buf_put_u8(r->edge, 0xFF);
    return bound(r->ch->arena, r->edge, r->keep, is_high);
}

static struct slice marker_edge(struct ranger *r, uint8_t marker, bool is_high)
{
    buf_reset(r->edge);
    buf_put(r->edge, r->prefix->p, r->prefix->len);
    buf_put_u8(r->edge, marker);
    return bound(r->ch->arena, r->edge, r->keep, is_high);
}

/* col > a and col < b: values only, no NULLs. In a DESC column the sides change places. */
static void make_range(struct ranger *r, const struct key_column *k)
{
    const struct cond *gt = find_op(r->ch, k->column, OP_GT, OP_GTE);
    const struct cond *lt = find_op(r->ch, k->column, OP_LT, OP_LTE);
    const struct cond *low = k->desc ? lt : gt, *high = k->desc ? gt : lt;
    struct access_range *out = ARENA_NEW(r->ch->arena, struct access_range);
    out->low =
        low ? edge(r, low, 0, k, low->op == OP_GT || low->op == OP_LT, false) : marker_edge(r, 0x02, false);
    out->high = high ? edge(r, high, 0, k, high->op == OP_GTE || high->op == OP_LTE, true)
                     : marker_edge(r, 0x03, true);
    r->access->ranges = out;
    r->access->range_count = 1;
}

static int slice_cmp(struct slice a, struct slice b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int c = n ? memcmp(a.p, b.p, n) : 0;
    return c ? c : (a.len > b.len) - (a.len < b.len);
}

static int range_cmp(const void *a, const void *b)
{
    return slice_cmp(((const struct access_range *)a)->low, ((const struct access_range *)b)->low);
}

static void make_in_list(struct ranger *r, const struct cond *c, const struct key_column *k)
{
    struct access_range *out = ARENA_ARRAY(r->ch->arena, struct access_range, c->value_count + 1);
    for (uint32_t i = 0; i < c->value_count; i++) {
        out[i].low = edge(r, c, i, k, false, false);
        out[i].high = edge(r, c, i, k, true, true);
    }
    qsort(out, c->value_count, sizeof *out, range_cmp);
    uint32_t n = 0;
    for (uint32_t i = 0; i < c->value_count; i++)
        if (n == 0 || slice_cmp(out[n - 1].low, out[i].low) != 0)
            out[n++] = out[i];
    r->access->ranges = out;
    r->access->range_count = n;
}

static void make_prefix_range(struct ranger *r)
{
    struct access_range *out = ARENA_NEW(r->ch->arena, struct access_range);
    out->low = bound(r->ch->arena, r->prefix, r->keep, false);
    if (r->prefix->len) {
        buf_put_u8(r->prefix, 0xFF);
        out->high = bound(r->ch->arena, r->prefix, r->keep, true);
    }
    r->access->ranges = out;
    r->access->range_count = 1;
}

static void make_ranges(const struct chooser *ch, struct buf *scratch, uint32_t shard_count, struct access *a)
{
    const struct key_column *cols;
    uint32_t count = candidate_columns(ch, a->index, &cols);
    a->plain_bytes = a->index < 0 ? KEY_STORED_MAX : INDEX_PART_MAX;
    struct ranger r = {.ch = ch,
                       .access = a,
                       .keep = a->plain_bytes - HASH_TAIL_BYTES,
                       .prefix = &scratch[0],
                       .edge = &scratch[1]};
    buf_reset(r.prefix);
    for (uint32_t i = 0; i < a->eq_count; i++)
        put_value(r.prefix, find_eq(ch, cols[i].column), 0, &cols[i]);
    if (a->whole_key)
        a->shard = hash_shard(hash_bytes(r.prefix->p, r.prefix->len), shard_count);
    const struct cond *in = a->eq_count < count ? find_op(ch, cols[a->eq_count].column, OP_IN, OP_IN) : NULL;
    if (!a->has_range)
        make_prefix_range(&r);
    else if (in)
        make_in_list(&r, in, &cols[a->eq_count]);
    else
        make_range(&r, &cols[a->eq_count]);
}

void access_choose(struct arena *a, struct buf *scratch, const struct world_view *v, uint32_t shard_count,
                   const struct query *q, struct access *out)
{
    struct chooser ch = {.arena = a, .view = v, .query = q};
    if (q->filter) {
        ch.conds = ARENA_ARRAY(a, const struct cond *, count_conds(q->filter));
        collect(&ch, q->filter);
    }
    candidate(&ch, -1, out);
    for (uint32_t i = 0; i < v->cv->index_count; i++) {
        struct access other;
        candidate(&ch, (int)i, &other);
        if (score(&other, q) > score(out, q))
            *out = other;
    }
    make_ranges(&ch, scratch, shard_count, out);
}

/* ---- from a position on ---- */

/* The walk's columns as far as their values are known: those of the position, and what equalities bind. */
static void position_prefix(const struct chooser *ch, const struct position *at, int index, struct buf *out)
{
    const struct key_column *k;
    for (uint32_t i = 0; (k = walk_column(ch, index, i)); i++) {
        const struct cond *eq = find_eq(ch, k->column);
        uint32_t p = 0;
        while (p < at->count && at->order[p].column != k->column)
            p++;
        if (p < at->count)
            key_put(out, at->order[p].type, &at->vals[p], at->states[p], k->desc, k->nulls_first);
        else if (eq)
            put_value(out, eq, 0, k);
        else
            return;
    }
}

void access_after(struct arena *a, struct buf *scratch, const struct world_view *v, const struct query *q,
                  const struct position *at, struct access *out)
{
    struct chooser ch = {.arena = a, .view = v, .query = q};
    struct buf *prefix = &scratch[0];
    buf_reset(prefix);
    if (q->filter) {
        ch.conds = ARENA_ARRAY(a, const struct cond *, count_conds(q->filter));
        collect(&ch, q->filter);
    }
    position_prefix(&ch, at, out->index, prefix);
    size_t keep = out->plain_bytes - HASH_TAIL_BYTES;
    if (out->reverse && prefix->len)
        buf_put_u8(prefix, 0xFF);
    struct slice edge = prefix->len ? bound(a, prefix, keep, out->reverse) : (struct slice){NULL, 0};
    uint32_t n = 0;
    for (uint32_t i = 0; edge.len && i < out->range_count; i++) {
        struct access_range r = out->ranges[i];
        if (!out->reverse && slice_cmp(r.low, edge) < 0)
            r.low = edge;
        if (out->reverse && (r.high.len == 0 || slice_cmp(r.high, edge) > 0))
            r.high = edge;
        if (r.high.len == 0 || slice_cmp(r.low, r.high) < 0)
            out->ranges[n++] = r;
    }
    if (edge.len)
        out->range_count = n;
}

/* ---- the hint ---- */

struct hint {
    struct buf b;
    uint64_t seen[(COLUMNS_MAX + 63) / 64];
    const struct schema *schema;
};

static bool name_is_plain(const char *s)
{
    for (const char *p = s; *p; p++)
        if (!((*p >= 'a' && *p <= 'z') || *p == '_' || (p > s && *p >= '0' && *p <= '9')))
            return false;
    return true;
}

static void put_name(struct buf *b, const char *name)
{
    bool plain = name_is_plain(name);
    if (!plain)
        buf_put_u8(b, '"');
    for (const char *p = name; *p; p++) {
        if (*p == '"')
            buf_put_u8(b, '"');
        buf_put_u8(b, (uint8_t)*p);
    }
    if (!plain)
        buf_put_u8(b, '"');
}

static void hint_add(struct hint *h, uint32_t column, bool desc, bool nulls_stated, bool nulls_first)
{
    if (h->seen[column / 64] >> (column % 64) & 1 || !*h->schema->columns[column].name)
        return;
    h->seen[column / 64] |= UINT64_C(1) << (column % 64);
    if (h->b.p[h->b.len - 1] != '(')
        OUT_LIT(&h->b, ", ");
    put_name(&h->b, h->schema->columns[column].name);
    if (desc)
        OUT_LIT(&h->b, " DESC");
    if (nulls_stated && nulls_first != desc)
        buf_put_str(&h->b, nulls_first ? " NULLS FIRST" : " NULLS LAST");
}

static bool is_eq(const struct cond *c)
{
    return c->op == OP_EQ || (c->op == OP_IN && c->value_count == 1) || (c->op == OP_IS && c->is == IS_NULL);
}

static bool is_range(const struct cond *c)
{
    return (c->op >= OP_GT && c->op <= OP_LTE) || c->op == OP_IN;
}

const char *access_index_hint(struct arena *a, const struct world_view *v, const struct schema *shown,
                              const struct query *q)
{
    struct hint h = {.schema = shown};
    struct chooser ch = {.arena = a, .view = v, .query = q};
    if (q->filter) {
        ch.conds = ARENA_ARRAY(a, const struct cond *, count_conds(q->filter));
        collect(&ch, q->filter);
    }
    OUT_LIT(&h.b, "CREATE INDEX ON ");
    put_name(&h.b, v->cv->name);
    OUT_LIT(&h.b, " (");
    size_t empty = h.b.len;
    for (uint32_t i = 0; i < ch.cond_count; i++)
        if (is_eq(ch.conds[i]))
            hint_add(&h, ch.conds[i]->column, false, false, false);
    for (uint32_t i = 0, done = 0; i < ch.cond_count && !done; i++)
        if (is_range(ch.conds[i]))
            hint_add(&h, ch.conds[i]->column, false, false, false), done = 1;
    for (uint32_t i = 0; i < q->order_count && !q->order[i].path && !q->order[i].embed; i++)
        hint_add(&h, q->order[i].column, q->order[i].desc, true, q->order[i].nulls_first);
    bool any = h.b.len > empty;
    OUT_LIT(&h.b, ");");
    char *line = any ? arena_strndup(a, (const char *)h.b.p, h.b.len) : NULL;
    buf_fini(&h.b);
    return line;
}
