/* Reads of one api, by key and as a list; see rest_read.h. */
#include "serve/rest_read.h"
#include "serve/ws.h"
#include "data/row.h"
#include "serve/embed.h"
#include "serve/grant.h"
#include "serve/page.h"
#include "serve/out.h"
#include "serve/why_service.h"

/* ---- Penstock-Wait ---- */

/* "16/B374D848" as 64 bits, or a plain decimal number. */
static bool position_parse(struct slice s, uint64_t *out)
{
    struct slice low = s;
    struct slice high = slice_cut(&low, '/');
    if (!low.p)
        return slice_u64(s, UINT64_MAX, out);
    uint64_t part[2] = {0, 0};
    struct slice both[2] = {high, low};
    for (int k = 0; k < 2; k++) {
        if (both[k].len == 0 || both[k].len > 8)
            return false;
        for (size_t i = 0; i < both[k].len; i++) {
            uint8_t c = both[k].p[i] | 0x20;
            if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
                return false;
            part[k] = part[k] * 16 + (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
        }
    }
    *out = part[0] << 32 | part[1];
    return true;
}

static int wait_one(struct rest *r, struct slice source, struct slice position, struct problem *p)
{
    uint64_t want, have;
    char text[64];
    if (!position_parse(position, &want)) {
        problem_set(p, 400, "PENSTOCK_WAIT", "Penstock-Wait wants SOURCE=LSN, such as core=0/16B3748");
        return -1;
    }
    for (uint32_t i = 0; i < r->gate->source_count && i < GATE_SOURCES_MAX; i++) {
        struct gate_source *s = &r->gate->sources[i];
        if (!slice_is(source, s->name))
            continue;
        gate_text_get(s->position, sizeof text, &s->position_seq, text);
        return position_parse(slice_of(text), &have) && have >= want;
    }
    problem_set(p, 400, "PENSTOCK_WAIT", "Penstock-Wait names an unknown source \"%.*s\"",
                TEXT_QUOTED(source, 64));
    if (r->gate->source_count)
        problem_hint(p, "Name a source of penstock.yaml, such as %.*s=%s.",
                     TEXT_QUOTED_CSTR(r->gate->sources[0].name, 64), "0/16B3748");
    return -1;
}

int wait_check(struct rest *r, struct slice wait, struct problem *p)
{
    int all = 1;
    while (wait.p) {
        struct slice position = slice_trim(slice_cut(&wait, ','));
        struct slice source = slice_cut(&position, '=');
        int one = wait_one(r, source, position, p);
        if (one < 0)
            return one;
        all &= one;
    }
    return all;
}

/* ---- Penstock-At-Least ---- */

static bool epoch_parse(struct slice text, uint64_t *epoch, struct slice *timeline)
{
    *timeline = text;
    struct slice number = slice_cut(timeline, '-');
    return slice_u64(number, UINT64_MAX, epoch) && (!timeline->p || timeline->len == 8);
}

int at_least_check(struct rest *r, struct slice at_least, struct problem *p)
{
    uint64_t epoch;
    struct slice timeline;
    char own[12];
    snprintf(own, sizeof own, "%08x", (unsigned)rest_timeline(r));
    if (!epoch_parse(slice_trim(at_least), &epoch, &timeline)) {
        problem_set(p, 400, "PENSTOCK_AT_LEAST", "Penstock-At-Least wants EPOCH-TIMELINE, such as 4711-%s",
                    own);
        problem_hint(p, "The numbers are in each answer's Penstock-Epoch and Penstock-Timeline.");
        return -1;
    }
    if (r->gate->generation != r->world->generation)
        return 0; /* the epochs of the next world are other ones: it is being opened */
    if (timeline.p && !slice_is(timeline, own)) {
        problem_set(p, 412, "PENSTOCK_TIMELINE",
                    "the epoch asked for is of another timeline than this instance's, %s", own);
        problem_hint(
            p, "The instance was restarted or restored since: read without Penstock-At-Least, and go on "
               "from the epoch of that answer.");
        return -1;
    }
    return r->gate->epoch >= epoch;
}

/* ---- ETag ---- */

/* *weak: the client has a compressed one, whose bytes are others. */
static bool etag_listed(struct slice list, uint64_t etag, bool *weak)
{
    char text[24];
    snprintf(text, sizeof text, "\"%016llx\"", (unsigned long long)etag);
    while (list.p) {
        struct slice one = slice_trim(slice_cut(&list, ','));
        *weak = one.len > 2 && one.p[0] == 'W' && one.p[1] == '/';
        if (*weak)
            one.p += 2, one.len -= 2;
        if (slice_is(one, text) || slice_is(one, "*"))
            return true;
    }
    return false;
}

void etag_check(struct answer *a, const struct http_request *req, uint64_t etag)
{
    a->has_etag = true;
    a->etag = etag;
    bool weak = false;
    if (LIKELY(!req->if_none_match.p) || a->status >= 300 || !etag_listed(req->if_none_match, etag, &weak))
        return;
    a->etag_weak = weak && coding_choose(req->accept_encoding) != CODING_NONE;
    a->status = 304;
    a->content_type = NULL;
    buf_reset(a->body);
}

/* ---- what is asked for ---- */

static const char *media_type(enum media m)
{
    static const char *const names[] = {
        [MEDIA_JSON] = "application/json; charset=utf-8",
        [MEDIA_OBJECT] = "application/vnd.pgrst.object+json; charset=utf-8",
        [MEDIA_CSV] = "text/csv; charset=utf-8",
        [MEDIA_NDJSON] = "application/x-ndjson; charset=utf-8",
        [MEDIA_EVENTS] = "text/event-stream",
    };
    return names[m];
}

static const char *media_type_stripped(enum media m)
{
    return m == MEDIA_OBJECT ? "application/vnd.pgrst.object+json;nulls=stripped; charset=utf-8"
                             : "application/vnd.pgrst.array+json;nulls=stripped; charset=utf-8";
}

struct form { /* what the answer is to look like */
    enum media media;
    bool strip; /* fields that are NULL */
    struct prefer prefer;
};

static const char *form_type(const struct form *f)
{
    return f->strip ? media_type_stripped(f->media) : media_type(f->media);
}

bool key_from_segments(struct rest *r, const struct world_view *v, const struct slice *segments,
                       uint32_t *shard, struct problem *p)
{
    uint32_t digits = 0;
    buf_reset(&r->key);
    for (uint32_t i = 0; i < v->key_count; i++) {
        struct type t = {v->schema->columns[v->row_key[i].column].type.id, -1};
        union val val;
        if (!query_digits(t.id, segments[i], &digits, p))
            return false;
        if (!type_input(&r->bind_fn, t, (const char *)segments[i].p, segments[i].len, &val))
            return problem_from_fn(p, &r->bind_fn);
        key_put(&r->key, t.id, &val, VAL_OK, false, false);
    }
    *shard = hash_shard(hash_bytes(r->key.p, r->key.len), r->world->shard_count);
    key_shorten(&r->key, 0);
    return true;
}

static bool wrong_key(const struct world_view *v, uint32_t given, const char *api, struct problem *p)
{
    if (v->key_count == 0) {
        problem_set(p, 404, "PENSTOCK_NO_KEY", "api '%s' has no key: its rows are read as a list", api);
        return problem_hint(p, "GET /api/%s", api);
    }
    problem_set(p, 404, "PENSTOCK_KEY", "the key of api '%s' has %u column%s, not %u", api, v->key_count,
                v->key_count == 1 ? "" : "s", given);
    char names[512] = "";
    for (uint32_t i = 0; i < v->key_count && strlen(names) < 400; i++) {
        size_t n = strlen(names);
        snprintf(names + n, sizeof names - n, "/{%.*s}",
                 TEXT_QUOTED_CSTR(v->schema->columns[v->row_key[i].column].name, 64));
    }
    return problem_hint(p, "GET /api/%s%s", api, names);
}

static bool key_shape(const struct url *u, uint32_t used, const struct world_api *api, const struct grant *g,
                      struct problem *p)
{
    uint32_t given = u->segment_count - used;
    const struct world_view *v = api->view;
    if (!grant_key(g, v)) {
        problem_set(p, 404, "PENSTOCK_NO_KEY", "api '%s' has no key: its rows are read as a list", api->path);
        return problem_hint(p, "GET /api/%s", api->path);
    }
    if (given == v->key_count && given)
        return true;
    return wrong_key(v, given, api->path, p);
}

static bool parse(struct rest *r, struct arena *a, const struct url *u, bool embeds, struct read *out,
                  struct problem *p)
{
    uint32_t used;
    struct fn_ctx fn = {.arena = a};
    const struct world_api *api = rest_find_api(r, u, &used, p);
    if (!api)
        return p->status ? false
                         : problem_set(p, 400, "PENSTOCK_LIVE", "the list of apis is not a live query");
    *out = (struct read){.api = api, .view = api->view, .by_key = u->segment_count > used};
    if (!grant_of(r, a, api, &out->grant, p) || (out->by_key && !key_shape(u, used, api, &out->grant, p)))
        return false;
    if (!query_parse(a, u, &out->query, p))
        return false;
    if (out->query.embed_count && !embeds) {
        problem_set(p, 400, "PENSTOCK_UNSUPPORTED", "embedding \"%.*s\" is not supported here",
                    TEXT_QUOTED(out->query.embeds[0]->name, 100));
        return problem_hint(p, "Embedded views are read as JSON or CSV: GET without live or typed answers.");
    }
    return embed_bind(r, a, &fn, out, p);
}

bool read_parse(struct rest *r, struct arena *a, const struct url *u, struct read *out, struct problem *p)
{
    return parse(r, a, u, false, out, p);
}

/* ---- one row by key ---- */

static bool key_get(struct rest *r, const struct world_view *v, uint32_t shard, struct problem *p)
{
    store_db db;
    struct slice value, row;
    uint64_t multiplicity;
    if (!rest_db(r, v, WORLD_DB_ROWS, shard, &db) ||
        !store_snapshot_get(r->snapshot, shard, db, (struct slice){r->key.p, r->key.len}, &value))
        return false;
    arena_reset(&r->rows);
    if (!view_row_parse(value, &multiplicity, &row) ||
        !row_decode(&r->rows, v->schema, row.p, row.len, r->vals, r->states))
        return problem_set(p, 500, "XX001", "view %s: the stored data fails a check", v->cv->name);
    return true;
}

static bool render_one(struct rest *r, const struct form *form, const struct read *rd, struct answer *a)
{
    bool ok;
    if (form->media == MEDIA_CSV) {
        embed_csv_head(rd, a->body);
        buf_put_u8(a->body, '\n');
        ok = embed_csv_row(r, rd, a->body, &a->problem);
    } else {
        ok = embed_json_row(r, rd, a->body, &a->problem);
    }
    if (ok && form->strip)
        render_strip_nulls(a->body, 0);
    if (ok && form->media == MEDIA_NDJSON)
        buf_put_u8(a->body, '\n');
    return ok;
}

static void not_found(enum media media, struct answer *a)
{
    if (media == MEDIA_OBJECT) {
        problem_set(&a->problem, 406, "PGRST116", "JSON object requested, multiple (or no) rows returned");
        problem_details(&a->problem, "The result contains 0 rows");
    } else {
        problem_set(&a->problem, 404, "PENSTOCK_NOT_FOUND", "no row has this key");
    }
}

/* Of the shard alone, unless there are other views in it. */
static bool snapshot_begin(struct rest *r, int shard, const struct read *rd, struct answer *a)
{
    if (!rest_snapshot_begin(r, rd->query.embed_count ? -1 : shard, rd->view, &a->problem))
        return false;
    if (!embed_still_ready(r, rd, &a->problem)) {
        rest_snapshot_end(r);
        return false;
    }
    rest_mark_snapshot(r, rd->view, a);
    embed_mark(r, rd, a);
    r->embed_left = (uint64_t)r->limits->scan_rows;
    return true;
}

bool read_key_begin(struct rest *r, const struct read *rd, const struct slice *key, struct answer *a)
{
    uint32_t shard;
    if (!key_from_segments(r, rd->view, key, &shard, &a->problem) ||
        !rest_snapshot_begin(r, (int)shard, rd->view, &a->problem))
        return false;
    rest_mark_snapshot(r, rd->view, a);
    if (key_get(r, rd->view, shard, &a->problem) && read_match(r, rd, r->vals, r->states))
        return true;
    rest_snapshot_end(r);
    return problem_set(&a->problem, 404, "PENSTOCK_NOT_FOUND", "no row has this key");
}

static void read_key(struct rest *r, const struct http_request *req, const struct read *rd,
                     const struct slice *key, const struct form *form, struct answer *a)
{
    uint32_t shard;
    if (!key_from_segments(r, rd->view, key, &shard, &a->problem) || !snapshot_begin(r, (int)shard, rd, a))
        return;
    if (key_get(r, rd->view, shard, &a->problem) && read_match(r, rd, r->vals, r->states) &&
        embed_match(r, rd, &a->problem)) {
        a->content_type = form_type(form);
        render_one(r, form, rd, a);
    } else if (!a->problem.status) {
        not_found(form->media, a);
    }
    rest_snapshot_end(r);
    if (!a->problem.status)
        etag_check(a, req, hash_bytes(a->body->p, a->body->len));
}

/* ---- lists ---- */

struct list_sink {
    struct select_sink sink;
    struct rest *rest;
    struct answer *answer;
    const struct read *read;
    const struct form *form;
    uint64_t rows;
};

static bool list_row(struct select_sink *sink, const union val *vals, const uint8_t *states)
{
    struct list_sink *s = (struct list_sink *)sink;
    struct buf *b = s->answer->body;
    (void)vals, (void)states; /* they are the loop's */
    enum media media = s->form->media;
    bool ok;
    if (s->rows++ && media != MEDIA_NDJSON && media != MEDIA_CSV)
        buf_put_u8(b, ',');
    size_t from = b->len;
    if (media == MEDIA_CSV) {
        buf_put_u8(b, '\n');
        ok = embed_csv_row(s->rest, s->read, b, &s->answer->problem);
    } else {
        ok = embed_json_row(s->rest, s->read, b, &s->answer->problem);
    }
    if (ok && s->form->strip)
        render_strip_nulls(b, from);
    if (media == MEDIA_NDJSON)
        buf_put_u8(b, '\n');
    if (!ok)
        return false;
    if (b->len <= (uint64_t)s->rest->limits->answer_bytes)
        return true;
    problem_set(&s->answer->problem, 400, "PENSTOCK_ANSWER_LIMIT", "the answer is larger than %lld bytes",
                (long long)s->rest->limits->answer_bytes);
    return problem_hint(&s->answer->problem,
                        "Ask for fewer rows with limit, or for fewer columns with select.");
}

static void list_reset(struct select_sink *sink)
{
    struct list_sink *s = (struct list_sink *)sink;
    buf_reset(s->answer->body);
    s->rows = 0;
    if (s->form->media == MEDIA_JSON)
        buf_put_u8(s->answer->body, '[');
    if (s->form->media == MEDIA_CSV)
        embed_csv_head(s->read, s->answer->body);
}

/* Range: 0-9 or 5- in rows; what limit and offset say comes first. */
static bool range_apply(const struct http_request *req, struct query *q, struct problem *p)
{
    struct slice high = slice_trim(req->range);
    if (high.len > 6 && slice_is_nocase((struct slice){high.p, 6}, "items="))
        high.p += 6, high.len -= 6;
    struct slice low = slice_cut(&high, '-');
    uint64_t from, to;
    if (!high.p || !slice_u64(low, INT64_MAX / 2, &from) ||
        (high.len && !slice_u64(high, INT64_MAX / 2, &to)))
        return true; /* bytes=0-99 or nonsense: ignored, as RFC 9110 asks for */
    if (high.len && to < from) {
        problem_set(p, 416, "PGRST103", "Requested range not satisfiable");
        return problem_details(p,
                               "The lower boundary must be lower than or equal to the upper boundary in the "
                               "Range header.");
    }
    if (!q->has_offset)
        q->offset = (int64_t)from;
    if (!q->has_limit && high.len)
        q->limit = (int64_t)(to - from) + 1;
    return true;
}

static bool content_range(struct rest *r, const struct read *rd, const struct select_result *res,
                          struct answer *a)
{
    char total[24] = "*";
    if (res->has_total)
        snprintf(total, sizeof total, "%llu", (unsigned long long)res->total);
    if (res->has_total && res->offset > 0 && (uint64_t)res->offset > res->total) {
        problem_set(&a->problem, 416, "PGRST103", "Requested range not satisfiable");
        return problem_details(&a->problem, "An offset of %lld was requested, but there are only %s rows.",
                               (long long)res->offset, total);
    }
    if (res->row_count && !rd->after) /* how many are before a cursor is not known */
        a->content_range = arena_printf(&r->arena, "%lld-%lld/%s", (long long)res->offset,
                                        (long long)res->offset + (long long)res->row_count - 1, total);
    else
        a->content_range = arena_printf(&r->arena, "*/%s", total);
    if (res->has_total && res->row_count < res->total)
        a->status = 206;
    return true;
}

static bool one_object(const struct select_result *res, struct answer *a)
{
    if (res->row_count == 1)
        return true;
    problem_set(&a->problem, 406, "PGRST116", "JSON object requested, multiple (or no) rows returned");
    return problem_details(&a->problem, "The result contains %llu rows", (unsigned long long)res->row_count);
}

static bool run_list(struct rest *r, const struct read *rd, const struct form *form, struct slice target,
                     struct answer *a)
{
    struct list_sink s = {{list_row, list_reset}, r, a, rd, form, 0};
    struct select_result res;
    list_reset(&s.sink);
    if (!select_run(r, rd, form->prefer.count, &s.sink, &res, &a->problem))
        return false;
    if (form->media == MEDIA_JSON)
        buf_put_u8(a->body, ']');
    a->content_type = form_type(form);
    return (form->media != MEDIA_OBJECT || one_object(&res, a)) && content_range(r, rd, &res, a) &&
           page_end(r, rd, &res, target, a);
}

static void read_list(struct rest *r, const struct http_request *req, struct read *rd,
                      const struct form *form, struct answer *a)
{
    if (req->range.p && req->method == HTTP_M_GET && !range_apply(req, &rd->query, &a->problem))
        return;
    if (!page_begin(r, rd, &a->problem) || !snapshot_begin(r, -1, rd, a))
        return;
    bool ok = run_list(r, rd, form, req->target, a);
    rest_snapshot_end(r);
    if (ok)
        etag_check(a, req, hash_bytes(a->body->p, a->body->len));
}

/* ---- together ---- */

/* The hot path: a row by key without parameters needs no query. */
static bool plain_key(struct rest *r, const struct world_api *api, uint32_t used, struct read *rd,
                      struct problem *p)
{
    if (r->url.param_count || r->url.segment_count == used ||
        r->url.segment_count - used != api->view->key_count)
        return false;
    *rd = (struct read){.api = api, .view = api->view, .by_key = true};
    if (!grant_of(r, &r->arena, api, &rd->grant, p) || !grant_key(&rd->grant, api->view))
        return false;
    rd->projection = *grant_all(&rd->grant, api->view);
    rd->query.select = (struct select_item *)(uintptr_t)rd->projection.items; /* read alone */
    rd->query.select_count = rd->projection.count;
    return true;
}

bool read_waits(struct rest *r, const struct http_request *req, bool waited, struct problem *p)
{
    int position = req->wait.p ? wait_check(r, req->wait, p) : 1;
    int epoch = req->at_least.p && position >= 0 ? at_least_check(r, req->at_least, p) : 1;
    if (position < 0 || epoch < 0 || (position && epoch))
        return false;
    if (!waited)
        return true;
    problem_set(p, 504, "PENSTOCK_WAIT_TIMEOUT", "the view does not include the %s asked for yet",
                position ? "epoch" : "position");
    p->retry_after_s = 1;
    return problem_hint(p, "Ask again, or without %s to get the present state.",
                        position ? "Penstock-At-Least" : "Penstock-Wait");
}

static enum rest_next ask_why(struct rest *r, const struct http_request *req, const struct world_api *api,
                              bool waited, struct answer *a)
{
    if (!why_is_allowed(r, api, &a->problem) || !rest_ready(r, api->view, &a->problem))
        return REST_DONE;
    if (read_waits(r, req, waited, &a->problem))
        return REST_WAIT;
    return a->problem.status ? REST_DONE : why_accept(r, req, a);
}

bool read_open(struct rest *r, const struct world_api *api, uint32_t used, struct read *out,
               struct problem *p)
{
    return plain_key(r, api, used, out, p) || (!p->status && read_parse(r, &r->arena, &r->url, out, p));
}

enum rest_next read_answer(struct rest *r, const struct http_request *req, const struct world_api *api,
                           uint32_t used, bool waited, struct answer *a)
{
    struct read rd;
    struct form form;
    form.media = media_choose_with(req->accept, &form.strip);
    if (ws_asked(req))
        form.media = MEDIA_EVENTS;
    rest_mark(r, api->view, a);
    a->epoch = r->gate->epoch;
    a->timeline = rest_timeline(r);
    if (why_is_asked(r, api, used))
        return ask_why(r, req, api, waited, a);
    if (form.media == MEDIA_NONE) {
        problem_set(&a->problem, 406, "PGRST107", "None of these media types are available: %.*s",
                    TEXT_QUOTED(req->accept, 200));
        return REST_DONE;
    }
    if (!prefer_parse(&r->arena, req->prefer, &form.prefer, &a->problem))
        return REST_DONE;
    a->preference_applied = form.prefer.applied;
    bool live = form.media == MEDIA_EVENTS;
    if (!plain_key(r, api, used, &rd, &a->problem) &&
        (a->problem.status || !parse(r, &r->arena, &r->url, !live, &rd, &a->problem)))
        return REST_DONE;
    if (!rest_ready(r, api->view, &a->problem) || !embed_ready(r, &rd, &a->problem))
        return REST_DONE;
    if (read_waits(r, req, waited, &a->problem))
        return REST_WAIT;
    if (a->problem.status)
        return REST_DONE;
    if (form.media == MEDIA_EVENTS)
        return REST_LIVE;
    if (rd.by_key)
        read_key(r, req, &rd, r->url.segments + used, &form, a);
    else
        read_list(r, req, &rd, &form, a);
    return REST_DONE;
}
