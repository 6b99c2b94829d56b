/* See why.h: what is asked, the view's row, and the answer's frame. */
#include "serve/why.h"
#include "base/clock.h"
#include "base/hash.h"
#include "serve/grant.h"
#include "serve/out.h"
#include "serve/rest_read.h"

#include <stdlib.h>

bool why_is_asked(const struct rest *r, const struct world_api *api, uint32_t used)
{
    const struct url *u = &r->url;
    return u->segment_count == used + api->view->key_count + 1 &&
           slice_is(u->segments[u->segment_count - 1], "why");
}

/* Who may see the whole api without a role may ask if access.why says so; a role needs its rule's leave. */
bool why_is_allowed(struct rest *r, const struct world_api *api, struct problem *p)
{
    struct grant g;
    if (!grant_of(r, &r->arena, api, &g, p))
        return false;
    if (g.rule ? g.rule->why : r->why_read)
        return true;
    problem_set(p, r->caller->kind == CALLER_ANONYMOUS ? 401 : 403, "PENSTOCK_WHY",
                "the source rows of api %s are not shown to you", api->path);
    return problem_hint(p,
                        "A role may ask why with access: { roles: { ROLE: { %.*s: { why: true } } } }, "
                        "everybody with access: { why: "
                        "read }; `penstock why` on the machine in any case.",
                        TEXT_QUOTED_CSTR(api->path, 100));
}

/* ---- what is asked ---- */

struct asked {
    struct read rd;
    uint32_t used; /* segments before the key */
    bool has_cursor;
    uint64_t epoch, digest, from; /* of the cursor */
    struct slice value, row;      /* of the view's row, as stored */
};

static bool hex_u64(struct slice s, uint64_t *out)
{
    *out = 0;
    for (size_t i = 0; i < s.len; i++) {
        uint8_t c = s.p[i];
        bool digit = c >= '0' && c <= '9', letter = c >= 'a' && c <= 'f';
        if (!digit && !letter)
            return false;
        *out = *out << 4 | (uint64_t)(digit ? c - '0' : c - 'a' + 10);
    }
    return s.len == 16;
}

static bool parse_cursor(struct slice text, struct asked *q, struct problem *p)
{
    uint64_t *parts[] = {&q->epoch, &q->digest, &q->from};
    bool ok = text.len == 48;
    for (size_t i = 0; ok && i < ARRAY_COUNT(parts); i++)
        ok = hex_u64((struct slice){text.p + 16 * i, 16}, parts[i]);
    q->has_cursor = ok;
    return ok || problem_set(p, 400, "PENSTOCK_WHY_CURSOR", "this is no cursor of a why");
}

/* The url without the cursor and the last segment is a read of the api, by key or as a list. */
static bool parse(struct rest *r, struct slice target, struct asked *q, struct problem *p)
{
    struct url *u = &r->url;
    const char *wrong = url_parse(&r->arena, target, u);
    if (wrong)
        return problem_set(p, 400, "PENSTOCK_URL", "%s", wrong);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < u->param_count; i++)
        if (!slice_is(u->params[i].name, "cursor"))
            u->params[kept++] = u->params[i];
        else if (!parse_cursor(u->params[i].value, q, p))
            return false;
    u->param_count = kept;
    const struct world_api *api = rest_find_api(r, u, &q->used, p);
    if (!api || !why_is_asked(r, api, q->used))
        return p->status ? false : problem_set(p, 404, "PENSTOCK_WHY", "this is no row's why");
    u->segment_count--;
    return read_parse(r, &r->arena, u, &q->rd, p);
}

/* ---- the view's row ---- */

static bool take_row(struct rest *r, const struct world_view *v, struct slice value, struct slice *row,
                     struct problem *p)
{
    uint64_t multiplicity;
    arena_reset(&r->rows);
    if (!view_row_parse(value, &multiplicity, row) ||
        !row_decode(&r->rows, v->schema, row->p, row->len, r->vals, r->states))
        return problem_set(p, 500, "XX001", "view %s: the stored data fails a check", v->cv->name);
    return true;
}

static bool not_found(struct problem *p)
{
    return problem_set(p, 404, "PENSTOCK_NOT_FOUND", "no row has this key");
}

static bool row_by_key(struct rest *r, struct asked *q, uint32_t *shard, struct problem *p)
{
    store_db db;
    struct slice key = {r->key.p, r->key.len};
    if (!rest_db(r, q->rd.view, WORLD_DB_ROWS, *shard, &db) ||
        !store_snapshot_get(r->snapshot, *shard, db, key, &q->value))
        return not_found(p);
    return take_row(r, q->rd.view, q->value, &q->row, p) &&
           (read_match(r, &q->rd, r->vals, r->states) || not_found(p));
}

/* A view without a key: the filters have to leave one row, in however many copies. */
struct only_row {
    struct select_sink sink;
    struct rest *r;
    const struct schema *schema;
    struct buf row, other;
    bool several;
};

static bool only_row(struct select_sink *sink, const union val *vals, const uint8_t *states)
{
    struct only_row *o = (struct only_row *)sink;
    struct buf *b = o->row.len ? &o->other : &o->row;
    buf_reset(b);
    row_encode(b, o->schema, vals, states);
    if (b == &o->other)
        o->several |= o->row.len != b->len || memcmp(o->row.p, b->p, b->len) != 0;
    return true;
}

static void only_reset(struct select_sink *sink)
{
    struct only_row *o = (struct only_row *)sink;
    buf_reset(&o->row);
    o->several = false;
}

static bool row_by_filter(struct rest *r, struct asked *q, uint32_t *shard, struct problem *p)
{
    struct only_row o = {.sink = {only_row, only_reset}, .r = r, .schema = q->rd.view->schema};
    struct select_result result;
    struct read rd = q->rd;
    rd.query.has_limit = true;
    rd.query.limit = 1000; /* copies of one row, or soon another */
    bool ok = select_run(r, &rd, false, &o.sink, &result, p);
    if (ok && !o.row.len)
        ok = problem_set(p, 404, "PENSTOCK_NOT_FOUND", "no row passes the filters");
    if (ok && o.several) {
        problem_set(p, 400, "PENSTOCK_WHY_ROWS", "several rows pass the filters; why is about one");
        ok = problem_hint(
            p, "The view has no key: name the row by its values, such as ?name=eq.value for each column.");
    }
    if (ok) {
        q->row = (struct slice){arena_memdup(&r->arena, o.row.p, o.row.len), o.row.len};
        arena_reset(&r->rows);
        ok = row_decode(&r->rows, q->rd.view->schema, q->row.p, q->row.len, r->vals, r->states);
    }
    if (ok) { /* the key of a keyless row: all its columns, then its bytes */
        buf_reset(&r->key);
        key_encode(&r->key, q->rd.view->schema, r->vals, r->states, q->rd.view->row_key,
                   q->rd.view->row_key_count);
        buf_put(&r->key, q->row.p, q->row.len);
        *shard = hash_shard(hash_bytes(r->key.p, r->key.len), r->world->shard_count);
    }
    buf_fini(&o.row);
    buf_fini(&o.other);
    return ok;
}

/* ---- the answer ---- */

bool why_shows(const struct why *w, uint32_t column)
{
    return grant_column(&w->rd->grant, column);
}

static bool shows(const struct why *w, const void *ctx, uint32_t column)
{
    (void)ctx;
    return why_shows(w, column);
}

void why_put_row(struct why *w, const struct schema *schema, const union val *vals, const uint8_t *states,
                 bool (*show)(const struct why *w, const void *ctx, uint32_t column), const void *ctx)
{
    struct buf *b = w->a->body;
    bool first = true;
    OUT_LIT(b, "{");
    for (uint32_t c = 0; c < schema->column_count; c++) {
        if (show && !show(w, ctx, c))
            continue;
        if (!first)
            OUT_LIT(b, ",");
        first = false;
        out_json_cstr(b, schema->columns[c].name);
        OUT_LIT(b, ":");
        if (states[c] != VAL_OK) {
            OUT_LIT(b, "null");
            continue;
        }
        arena_reset(&w->scratch);
        render_json_value(&w->fn, schema->columns[c].type.id, &vals[c], b);
    }
    OUT_LIT(b, "}");
}

static void put_notes(struct why *w)
{
    struct buf *b = w->a->body;
    OUT_LIT(b, ",\"notes\":[");
    for (uint32_t i = 0; i < w->lineage.note_count; i++) {
        if (i)
            OUT_LIT(b, ",");
        out_json_cstr(b, w->lineage.notes[i]);
    }
    OUT_LIT(b, "]");
}

static const char *cut_text(enum lineage_cut cut)
{
    static const char *const texts[] = {[LINEAGE_WHOLE] = "",
                                        [LINEAGE_ROWS] = "limits.why_rows",
                                        [LINEAGE_BYTES] = "WHY_BYTES_MAX",
                                        [LINEAGE_TIME] = "limits.why_time",
                                        [LINEAGE_CANCELLED] = ""};
    return texts[cut];
}

static void put_answer(struct why *w)
{
    struct buf *b = w->a->body;
    const struct lineage *l = &w->lineage;
    bool complete = l->cut == LINEAGE_WHOLE && l->found;
    OUT_LIT(b, "{\"api\":");
    out_json_cstr(b, w->rd->api->path);
    OUT_LIT(b, ",\"view\":");
    out_json_cstr(b, w->rd->view->cv->name);
    buf_printf(b, ",\"epoch\":%llu,\"row\":", (unsigned long long)w->a->epoch);
    why_put_row(w, w->rd->view->schema, w->vals, w->states, shows, NULL);
    buf_printf(b, ",\"complete\":%s,\"cut_by\":", complete ? "true" : "false");
    if (l->cut != LINEAGE_WHOLE)
        out_json_cstr(b, cut_text(l->cut));
    else
        OUT_LIT(b, "null");
    buf_printf(b, ",\"recomputed\":%s,\"rows_examined\":%llu,\"source_count\":%u",
               l->equal ? "true" : "false", (unsigned long long)l->examined, l->source_count);
    why_put_columns(w);
    why_put_sources(w);
    put_notes(w);
    why_put_changes(w);
    OUT_LIT(b, "}");
}

/* now() of the snapshot's epoch. */
static int64_t clock_of(struct rest *r)
{
    static const char key[] = "clock:epoch";
    int64_t us = r->now_us;
    store_db db;
    struct slice value;
    if (store_snapshot_db(r->snapshot, 0, "meta", &db) &&
        store_snapshot_get(r->snapshot, 0, db, (struct slice){(const uint8_t *)key, sizeof key - 1},
                           &value) &&
        value.len == sizeof us)
        memcpy(&us, value.p, sizeof us);
    return us;
}

static bool trace(struct why *w, const struct why_ask *ask, struct problem *p)
{
    struct rest *r = w->r;
    const struct lineage_ask q = {
        .view = w->view,
        .snapshot = r->snapshot,
        .shard_count = r->world->shard_count,
        .clock_us = clock_of(r),
        .vals = w->vals,
        .states = w->states,
        .limits = {(uint64_t)r->limits->why_rows, WHY_BYTES_MAX, steady_us() + r->limits->why_time_us},
        .cancelled = ask->cancelled,
        .ctx = ask->ctx};
    struct err *e = lineage_find(&q, &w->lineage);
    if (e) {
        problem_set(p, 500, "XX000", "%s", e->message);
        err_free(e);
        return false;
    }
    if (w->lineage.cut != LINEAGE_CANCELLED)
        return true;
    problem_set(p, 503, "PENSTOCK_WHY_AGAIN",
                "the store is put back, or the configuration changes: nothing was found out");
    p->retry_after_s = 1;
    return false;
}

static void answer_row(struct why *w, const struct why_ask *ask, const struct asked *q)
{
    struct problem *p = &w->a->problem;
    if (!trace(w, ask, p))
        return;
    w->digest = why_digest(w); /* of hidden columns too: it goes out in the cursor, so not as it is */
    if (ask->cursors)
        w->digest = cursor_mark(ask->cursors, w->digest);
    why_find_shown(w);
    if (q->has_cursor && q->digest != w->digest) {
        problem_set(
            p, 409, "PENSTOCK_WHY_CHANGED",
            "the row or its sources have changed since the first page: it is of epoch %llu, now it is %llu",
            (unsigned long long)q->epoch, (unsigned long long)w->a->epoch);
        problem_hint(p, "Begin again without the cursor.");
    } else {
        w->from = q->from;
        put_answer(w);
        w->a->content_type = "application/json; charset=utf-8";
    }
    lineage_fini(&w->lineage);
}

static const struct plan_view *find_plan(const struct why_ask *ask, const struct world_view *v,
                                         struct problem *p)
{
    const struct plan_view *found = ask->plan ? stored_plan_view(ask->plan, v->cv->name) : NULL;
    while (found && found->same) /* a version that shares the rows of an earlier one is made as that is */
        found = found->same;
    if (found && found->sink && found->schema.column_count == v->schema->column_count &&
        found->key_count == v->key_count)
        return found;
    problem_set(p, 503, "PENSTOCK_WHY_PLAN", "the plan of view %s is not known now", v->cv->name);
    p->retry_after_s = 1;
    return NULL;
}

void why_answer(struct rest *r, const struct why_ask *ask, struct answer *a)
{
    struct asked q = {0};
    struct problem *p = &a->problem;
    struct why w = {.r = r, .a = a, .rd = &q.rd};
    uint32_t shard = 0;
    if (!parse(r, ask->target, &q, p))
        return;
    const struct world_view *v = q.rd.view;
    if (v->key_count && !key_from_segments(r, v, r->url.segments + q.used, &shard, p))
        return;
    w.view = find_plan(ask, v, p);
    w.plan = ask->plan ? ask->plan->plan : NULL;
    if (!w.view || !rest_ready(r, v, p) || !rest_snapshot_begin(r, -1, v, p))
        return;
    rest_mark(r, v, a);
    rest_mark_snapshot(r, v, a);
    if (v->key_count ? row_by_key(r, &q, &shard, p) : row_by_filter(r, &q, &shard, p)) {
        arena_init(&w.scratch);
        w.fn.arena = &w.scratch;
        w.vals = r->vals;
        w.states = r->states;
        w.row = q.row;
        w.shard = shard;
        w.limit = q.rd.query.has_limit && q.rd.query.limit >= 0
                      ? (uint32_t)(q.rd.query.limit < WHY_PAGE_MAX ? q.rd.query.limit : WHY_PAGE_MAX)
                      : WHY_PAGE_DEFAULT;
        answer_row(&w, ask, &q);
        arena_fini(&w.scratch);
    }
    store_snapshot_end(r->snapshot);
}
