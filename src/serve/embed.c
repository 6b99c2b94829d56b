/* Rows with other views in them; see embed.h. */
#include "serve/embed.h"
#include "serve/filter.h"
#include "serve/json_path.h"
#include "serve/out.h"

#include <stdlib.h>

/* ---- a read within a read ---- */

void embed_frame_free(struct rest_frame *f)
{
    if (!f)
        return;
    arena_fini(&f->arena);
    arena_fini(&f->rows);
    buf_fini(&f->key);
    free(f->vals);
    free(f->states);
    free(f);
}

static struct rest_frame *frame_new(void)
{
    struct rest_frame *f = xcalloc(1, sizeof *f);
    arena_init(&f->arena);
    arena_init(&f->rows);
    f->vals = xcalloc(ROW_ROOM, sizeof *f->vals);
    f->states = xcalloc(ROW_ROOM, sizeof *f->states);
    return f;
}

/* What the outer read works with goes into the frame, and comes back by the same way. */
static void frame_swap(struct rest *r, struct rest_frame *f)
{
    struct rest_frame outer = {r->arena, r->rows, r->vals, r->states, r->key};
    r->arena = f->arena;
    r->rows = f->rows;
    r->vals = f->vals;
    r->states = f->states;
    r->key = f->key;
    *f = outer;
}

/* The outer row's values into the conditions; false: one is NULL, which nothing equals. */
static bool bind_row(const struct rest *r, const struct query_embed *e)
{
    for (uint32_t i = 0; i < e->relation->count; i++) {
        uint32_t own = e->relation->own[i];
        if (r->states[own] != VAL_OK)
            return false;
        e->eq[i]->vals[0] = r->vals[own];
    }
    return true;
}

static bool run(struct rest *r, const struct query_embed *e, const struct read *rd, struct select_sink *sink,
                struct problem *p)
{
    struct select_result res;
    if (!bind_row(r, e))
        return true;
    ASSERT(r->depth < QUERY_EMBED_DEPTH_MAX);
    struct rest_frame **f = &r->frames[r->depth];
    if (!*f)
        *f = frame_new();
    uint32_t mark = store_cursor_mark(r->snapshot);
    frame_swap(r, *f);
    arena_reset(&r->arena);
    arena_reset(&r->rows);
    r->depth++;
    bool ok = select_run(r, rd, COUNT_NONE, sink, &res, p);
    r->depth--;
    frame_swap(r, *f);
    store_cursor_release(r->snapshot, mark);
    return ok;
}

/* ---- whether there is one ---- */

struct probe_sink {
    struct select_sink sink;
    bool found;
};

static bool probe_row(struct select_sink *sink, const union val *vals, const uint8_t *states)
{
    (void)vals, (void)states;
    ((struct probe_sink *)sink)->found = true;
    return true;
}

static void probe_reset(struct select_sink *sink)
{
    ((struct probe_sink *)sink)->found = false;
}

bool embed_match(struct rest *r, const struct read *rd, struct problem *p)
{
    const struct query *q = &rd->query;
    if (LIKELY(!q->embed_filter))
        return true;
    for (uint32_t i = 0; i < q->embed_count; i++) {
        if (!q->embeds[i]->asked)
            continue;
        struct probe_sink s = {{probe_row, probe_reset}, false};
        if (!run(r, q->embeds[i], q->embeds[i]->probe, &s.sink, p))
            return false;
        r->states[rd->view->schema->column_count + i] = s.found ? VAL_OK : VAL_NULL;
    }
    return filter_match(&r->fn, q->embed_filter, r->vals, r->states);
}

/* ---- order ---- */

struct order_sink {
    struct select_sink sink;
    struct rest *rest;
    const struct order_item *order;
    struct buf *key;
    size_t start;
    bool found;
    struct problem *problem;
};

static bool order_row(struct select_sink *sink, const union val *vals, const uint8_t *states)
{
    struct order_sink *s = (struct order_sink *)sink;
    const struct order_item *o = s->order;
    union val v = vals[o->column];
    bool null = states[o->column] != VAL_OK;
    if (o->path && !null && !json_path_eval(&s->rest->fn, o->path, o->from, &v, &null))
        return problem_from_fn(s->problem, &s->rest->fn);
    key_put(s->key, o->type, &v, null ? VAL_NULL : VAL_OK, o->desc, o->nulls_first);
    s->found = true;
    return true;
}

static void order_reset(struct select_sink *sink)
{
    struct order_sink *s = (struct order_sink *)sink;
    s->key->len = s->start;
    s->found = false;
}

/* The key may be the loop's own, which the other read uses meanwhile: it is made apart. */
bool embed_order(struct rest *r, const struct order_item *o, struct buf *key, struct problem *p)
{
    struct buf own = {0};
    const union val none = {0};
    struct order_sink s = {{order_row, order_reset}, r, o, &own, 0, false, p};
    bool ok = run(r, o->embed, o->embed->read, &s.sink, p);
    if (ok && !s.found)
        key_put(&own, o->type, &none, VAL_NULL, o->desc, o->nulls_first);
    if (ok)
        buf_put(key, own.p, own.len);
    buf_fini(&own);
    return ok;
}

/* ---- rows ---- */

struct row_sink {
    struct select_sink sink;
    struct rest *rest;
    const struct read *read;
    struct buf *out;
    size_t start;
    uint64_t rows;
    bool spread, *first, was_first; /* fields go into the outer object, whose first one may still come */
    struct problem *problem;
};

static bool put_fields(struct rest *r, const struct read *rd, bool *first, struct buf *out,
                       struct problem *p);

static bool sink_row(struct select_sink *sink, const union val *vals, const uint8_t *states)
{
    struct row_sink *s = (struct row_sink *)sink;
    (void)vals, (void)states; /* they are the loop's present ones */
    if (s->spread) {
        s->rows++;
        return put_fields(s->rest, s->read, s->first, s->out, s->problem);
    }
    if (s->rows++)
        buf_put_u8(s->out, ',');
    return embed_json_row(s->rest, s->read, s->out, s->problem);
}

static void sink_reset(struct select_sink *sink)
{
    struct row_sink *s = (struct row_sink *)sink;
    s->out->len = s->start;
    s->rows = 0;
    if (s->spread)
        *s->first = s->was_first;
}

static void put_label(struct slice label, bool *first, struct buf *out)
{
    if (!*first)
        buf_put_u8(out, ',');
    *first = false;
    out_json_string(out, label.p, label.len);
    buf_put_u8(out, ':');
}

/* Where there is no row to spread, its fields are NULL all the same. */
static void put_nulls(const struct read *rd, bool *first, struct buf *out)
{
    for (uint32_t i = 0; i < rd->query.select_count; i++) {
        const struct select_item *it = &rd->query.select[i];
        if (it->embed && it->embed->spread) {
            put_nulls(it->embed->read, first, out);
        } else if (!it->embed || !it->embed->read->query.select_none) {
            put_label(it->label, first, out);
            OUT_LIT(out, "null");
        }
    }
}

static bool put_spread(struct rest *r, const struct query_embed *e, bool *first, struct buf *out,
                       struct problem *p)
{
    struct row_sink s = {{sink_row, sink_reset}, r, e->read, out, out->len, 0, true, first, *first, p};
    if (!run(r, e, e->read, &s.sink, p))
        return false;
    if (s.rows == 0)
        put_nulls(e->read, first, out);
    return true;
}

static bool put_embed(struct rest *r, const struct query_embed *e, struct buf *out, struct problem *p)
{
    if (e->relation->many)
        buf_put_u8(out, '[');
    struct row_sink s = {{sink_row, sink_reset}, r, e->read, out, out->len, 0, false, NULL, false, p};
    if (!run(r, e, e->read, &s.sink, p))
        return false;
    if (e->relation->many)
        buf_put_u8(out, ']');
    else if (s.rows == 0)
        OUT_LIT(out, "null");
    if (out->len <= (uint64_t)r->limits->answer_bytes)
        return true;
    problem_set(p, 400, "PENSTOCK_ANSWER_LIMIT", "the answer is larger than %lld bytes",
                (long long)r->limits->answer_bytes);
    return problem_hint(p, "Ask for fewer rows with limit, or for fewer columns with select.");
}

static bool put_fields(struct rest *r, const struct read *rd, bool *first, struct buf *out, struct problem *p)
{
    for (uint32_t i = 0; i < rd->query.select_count; i++) {
        const struct select_item *it = &rd->query.select[i];
        if (it->embed && it->embed->spread) {
            if (!put_spread(r, it->embed, first, out, p))
                return false;
            continue;
        }
        if (it->embed && it->embed->read->query.select_none)
            continue;
        put_label(it->label, first, out);
        if (it->embed ? !put_embed(r, it->embed, out, p)
                      : !render_json_item(&r->fn, it, r->vals, r->states, out) && !problem_from_fn(p, &r->fn))
            return false;
    }
    return true;
}

bool embed_json_row(struct rest *r, const struct read *rd, struct buf *out, struct problem *p)
{
    bool first = true;
    if (!rd->query.embed_count)
        return render_json_row(&r->fn, &rd->projection, r->vals, r->states, out) ||
               problem_from_fn(p, &r->fn);
    buf_put_u8(out, '{');
    if (!put_fields(r, rd, &first, out, p))
        return false;
    buf_put_u8(out, '}');
    return true;
}

/* ---- CSV: what is embedded is JSON in a field ---- */

static bool spreads(const struct read *rd, struct problem *p)
{
    for (uint32_t i = 0; i < rd->query.select_count; i++)
        if (rd->query.select[i].embed && rd->query.select[i].embed->spread)
            return problem_set(p, 400, "PENSTOCK_UNSUPPORTED", "spreading is not supported in CSV");
    return true;
}

void embed_csv_head(const struct read *rd, struct buf *out)
{
    bool first = true;
    for (uint32_t i = 0; i < rd->query.select_count; i++) {
        const struct select_item *it = &rd->query.select[i];
        if (it->embed && it->embed->read->query.select_none)
            continue;
        if (!first)
            buf_put_u8(out, ',');
        first = false;
        render_csv_field(out, it->label.p, it->label.len);
    }
}

bool embed_csv_row(struct rest *r, const struct read *rd, struct buf *out, struct problem *p)
{
    struct buf json = {0};
    bool first = true, ok = spreads(rd, p);
    for (uint32_t i = 0; ok && i < rd->query.select_count; i++) {
        const struct select_item *it = &rd->query.select[i];
        if (it->embed && it->embed->read->query.select_none)
            continue;
        if (!first)
            buf_put_u8(out, ',');
        first = false;
        if (!it->embed) {
            ok = render_csv_item(&r->fn, it, r->vals, r->states, out) || problem_from_fn(p, &r->fn);
            continue;
        }
        buf_reset(&json);
        ok = put_embed(r, it->embed, &json, p);
        if (ok && !(json.len == 4 && memcmp(json.p, "null", 4) == 0))
            render_csv_field(out, json.p, json.len);
    }
    buf_fini(&json);
    return ok;
}
