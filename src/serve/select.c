/* List reads: the rows of a bound query in its order, out of one consistent snapshot.
 *
 * Either the access path walks in the order asked for and rows stream out until the limit, or the matching rows are
 * sorted in memory (a heap of offset + limit rows when that is less). What a read may look at is bounded by
 * limits.scan_rows; past it the answer is the CREATE INDEX line that would serve it. */
#include "data/row.h"
#include "serve/access.h"
#include "serve/embed.h"
#include "serve/grant.h"
#include "serve/json_path.h"
#include "serve/page.h"
#include "serve/scan.h"

#include <math.h>
#include <stdlib.h>

struct sorted {
    struct slice key, row;
    uint64_t multiplicity;
};
struct run {
    struct rest *rest;
    const struct read *read;
    struct select_sink *sink;
    struct select_result *out;
    struct problem *problem;
    struct access access;
    uint64_t view_rows; /* stored entries */
    uint64_t examined, examined_max;
    uint64_t skip, left; /* rows still to skip, rows that may still go out */
    uint64_t matched;
    bool filters; /* rows may be left out */
    enum count_mode count;
    uint64_t count_more; /* entries to look at past the limit, to count */
    bool ended;          /* every row has been looked at */
    struct sorted *rows; /* heap or list of the sort */
    uint32_t row_count, row_room;
    uint64_t row_max;     /* offset + limit */
    uint64_t available;   /* copies of rows that a sort has found for offset and limit */
    struct query ordered; /* read->query in an order that tells rows apart */
    bool has_end;         /* that order is one of columns: pages have ends */
    struct buf *end;      /* position of the last row; scratch */
};

/* All that is embedded in one answer shares one limit, with an index or without. */
static bool refuse_embedding(struct run *run, const char *line)
{
    problem_set(run->problem, 400, "PENSTOCK_SCAN_LIMIT",
                "embedding \"%s\" looks at more than the %lld rows that may be scanned for one answer",
                run->read->api->path, (long long)run->rest->limits->scan_rows);
    if (line && !access_serves(&run->access))
        return problem_hint(run->problem, "%s", line);
    return problem_hint(run->problem, "Ask for fewer rows with limit, here or of the embedded view.");
}

static bool refuse_scan(struct run *run)
{
    struct rest *r = run->rest;
    const struct read *rd = run->read; /* a cursor's order has columns of the key, which may be hidden */
    const char *line = access_index_hint(&r->arena, rd->view, grant_schema(&rd->grant, rd->view), &rd->query);
    if (r->depth)
        return refuse_embedding(run, line);
    problem_set(run->problem, 400, "PENSTOCK_SCAN_LIMIT",
                "no index serves this query, and the view is larger than the %lld rows that may be scanned",
                (long long)r->limits->scan_rows);
    if (line)
        return problem_hint(run->problem, "%s", line);
    return problem_hint(run->problem,
                        "Bind an indexed column with eq, in or a range, or use a smaller offset.");
}

static bool broken(struct run *run)
{
    return problem_set(run->problem, 500, "XX001", "view %s: the stored data fails a check",
                       run->read->view->cv->name);
}

static uint64_t stored_rows(struct rest *r, const struct world_view *v)
{
    uint64_t n = 0;
    store_db db;
    for (uint32_t i = 0; i < r->world->shard_count; i++)
        if (rest_db(r, v, WORLD_DB_ROWS, i, &db))
            n += store_snapshot_entries(r->snapshot, i, db);
    return n;
}

/* Decodes into the loop's value arrays. */
static bool decode(struct run *run, struct slice row)
{
    struct rest *r = run->rest;
    arena_reset(&r->rows);
    if (row_decode(&r->rows, run->read->view->schema, row.p, row.len, r->vals, r->states))
        return true;
    return broken(run);
}

static bool matches(struct run *run)
{
    struct rest *r = run->rest;
    return read_match(r, run->read, r->vals, r->states) && embed_match(r, run->read, run->problem);
}

/* ---- what rows are sorted by ---- */

static bool put_order_path(struct run *run, const struct order_item *o)
{
    struct rest *r = run->rest;
    union val v = r->vals[o->column];
    bool null = r->states[o->column] != VAL_OK;
    if (!null && !json_path_eval(&r->fn, o->path, o->from, &v, &null))
        return problem_from_fn(run->problem, &r->fn);
    key_put(&r->key, o->type, &v, null ? VAL_NULL : VAL_OK, o->desc, o->nulls_first);
    return true;
}

/* What the decoded row is sorted by, into r->key: the order, then the row's key, so that no two rows are alike. */
static bool put_sort_key(struct run *run)
{
    struct rest *r = run->rest;
    const struct query *q = &run->read->query;
    const struct world_view *v = run->read->view;
    buf_reset(&r->key);
    for (uint32_t i = 0; i < q->order_count; i++) {
        const struct order_item *o = &q->order[i];
        const struct key_column k = {o->column, o->desc, o->nulls_first};
        if (o->embed) {
            if (!embed_order(r, o, &r->key, run->problem))
                return false;
        } else if (!o->path) {
            key_encode(&r->key, v->schema, r->vals, r->states, &k, 1);
        } else if (!put_order_path(run, o)) {
            return false;
        }
    }
    key_encode(&r->key, v->schema, r->vals, r->states, v->row_key, v->row_key_count);
    return true;
}

static int bytes_cmp(struct slice x, struct slice y)
{
    size_t n = x.len < y.len ? x.len : y.len;
    int c = memcmp(x.p, y.p, n);
    return c ? c : (x.len > y.len) - (x.len < y.len);
}

/* How many copies of the decoded row are behind the position: all, or those that were shown already. */
static bool behind(struct run *run, uint64_t copies, uint64_t *out)
{
    const struct position *at = run->read->after;
    *out = 0;
    if (!at)
        return true;
    if (!put_sort_key(run))
        return false;
    int c = bytes_cmp((struct slice){run->rest->key.p, run->rest->key.len}, at->key);
    *out = c < 0 ? copies : c == 0 && at->copies < copies ? at->copies : c == 0 ? copies : 0;
    return true;
}

/* ---- rows out ---- */

/* Hands the decoded row out `copies` times, as far as offset and limit let it; `before` more are behind the page. */
static bool emit(struct run *run, uint64_t copies, uint64_t before)
{
    uint64_t skipped = copies < run->skip ? copies : run->skip, had = copies;
    run->skip -= skipped;
    copies -= skipped;
    if (!copies || !run->left)
        return true;
    for (; copies && run->left; copies--, run->left--) {
        if (!run->sink->row(run->sink, run->rest->vals, run->rest->states))
            return false;
        run->out->row_count++;
    }
    if (run->left == 0 && run->has_end) {
        buf_reset(run->end);
        page_encode(run->rest, run->read, &run->ordered, before + had - copies, run->end);
        run->out->more = copies > 0;
    }
    return true;
}

static bool stream(struct run *run)
{
    struct scan scan;
    struct scan_entry e;
    uint64_t before;
    bool asks = !run->filters && !run->read->after; /* entries are rows */
    scan_open(run->rest, run->read->view, &run->access, &scan);
    while (run->left || run->count_more) {
        if (!scan_next(&scan, &e)) {
            run->ended = true;
            break;
        }
        run->count_more -= run->left == 0;
        if (++run->examined > run->examined_max)
            return refuse_scan(run);
        if (asks && e.multiplicity <= run->skip) {
            run->skip -= e.multiplicity;
            run->matched += e.multiplicity;
            continue;
        }
        if (!decode(run, e.row))
            return false;
        if (!matches(run)) {
            if (run->problem->status)
                return false;
            continue;
        }
        run->matched += e.multiplicity;
        if (!run->left) {
            run->out->more = true;
            continue;
        }
        if (!behind(run, e.multiplicity, &before) || !emit(run, e.multiplicity - before, before))
            return false;
    }
    if (!run->left && run->has_end && !run->ended)
        run->out->more |= scan_next(&scan, &e);
    run->access.ordered = run->access.ordered && !scan.inexact;
    return scan.broken ? broken(run) : true;
}

/* ---- sorting ---- */

static int sorted_cmp(const void *a, const void *b)
{
    return bytes_cmp(((const struct sorted *)a)->key, ((const struct sorted *)b)->key);
}

/* Heap with the last row of the order on top. */
static void heap_down(struct run *run, uint32_t i)
{
    for (;;) {
        uint32_t top = i;
        for (uint32_t child = 2 * i + 1; child <= 2 * i + 2; child++)
            if (child < run->row_count && sorted_cmp(&run->rows[child], &run->rows[top]) > 0)
                top = child;
        if (top == i)
            return;
        struct sorted t = run->rows[i];
        run->rows[i] = run->rows[top];
        run->rows[top] = t;
        i = top;
    }
}

static void rows_grow(struct run *run)
{
    uint32_t room = run->row_room ? run->row_room * 2 : 256;
    struct sorted *grown = arena_alloc(&run->rest->arena, room * sizeof *grown);
    if (run->row_count)
        memcpy(grown, run->rows, run->row_count * sizeof *grown);
    run->rows = grown;
    run->row_room = room;
}

static void keep_row(struct run *run, struct slice key, const struct scan_entry *e)
{
    struct sorted s = {.key = key, .row = e->row, .multiplicity = e->multiplicity};
    bool full = run->row_count >= run->row_max;
    if (full && (run->row_max == 0 || sorted_cmp(&s, &run->rows[0]) >= 0))
        return;
    s.key.p = arena_memdup(&run->rest->arena, key.p, key.len);
    if (full) {
        run->rows[0] = s;
        heap_down(run, 0);
        return;
    }
    if (run->row_count == run->row_room)
        rows_grow(run);
    run->rows[run->row_count++] = s;
    if (run->row_count == run->row_max)
        for (uint32_t i = run->row_count / 2; i-- > 0;)
            heap_down(run, i);
}

static bool gather(struct run *run)
{
    uint64_t before;
    struct rest *r = run->rest;
    struct scan scan;
    struct scan_entry e;
    scan_open(r, run->read->view, &run->access, &scan);
    while (scan_next(&scan, &e)) {
        if (++run->examined > run->examined_max)
            return refuse_scan(run);
        if (!decode(run, e.row))
            return false;
        if (!matches(run)) {
            if (run->problem->status)
                return false;
            continue;
        }
        run->matched += e.multiplicity;
        if (!put_sort_key(run) || !behind(run, e.multiplicity, &before))
            return false;
        e.multiplicity -= before;
        run->available += e.multiplicity;
        if (e.multiplicity)
            keep_row(run, (struct slice){r->key.p, r->key.len}, &e);
    }
    run->ended = true;
    return scan.broken ? broken(run) : true;
}

/* What the page's end is told in: the walk's order, or the sort's. */
static void end_order(struct run *run)
{
    if (run->read->pages) /* a read within a read has none, and must leave the outer one's alone */
        buf_reset(run->end);
    run->has_end = run->read->pages && page_order(&run->rest->arena, run->read->view, &run->read->query,
                                                  &run->access, &run->ordered);
}

static bool sort(struct run *run)
{
    end_order(run);
    if (!gather(run))
        return false;
    if (run->row_count)
        qsort(run->rows, run->row_count, sizeof *run->rows, sorted_cmp);
    const struct position *at = run->read->after;
    for (uint32_t i = 0; i < run->row_count && run->left; i++) {
        uint64_t before = at && bytes_cmp(run->rows[i].key, at->key) == 0 ? at->copies : 0;
        if (!decode(run, run->rows[i].row) || !emit(run, run->rows[i].multiplicity, before))
            return false;
    }
    run->out->more = run->available > (uint64_t)run->read->query.offset + run->out->row_count;
    return true;
}

/* ---- together ---- */

static void run_start(struct run *run)
{
    const struct query *q = &run->read->query;
    const struct serve_limits *l = run->rest->limits;
    uint64_t page = (uint64_t)l->page_rows;
    run->left = q->limit >= 0 && (uint64_t)q->limit < page ? (uint64_t)q->limit : page;
    run->skip = (uint64_t)q->offset;
    run->row_max = run->left + run->skip < UINT32_MAX ? run->left + run->skip : UINT32_MAX;
    run->count_more = run->count == COUNT_EXACT  ? UINT64_MAX
                      : run->count != COUNT_NONE ? COUNT_SAMPLE_ROWS
                                                 : 0;
    bool pays = run->filters || run->count != COUNT_NONE;
    run->examined_max =
        run->rest->depth ? run->rest->embed_left : (uint64_t)l->scan_rows + (pays ? 0 : run->left);
    run->ended = false;
    run->examined = run->matched = 0;
    run->available = 0;
    run->row_count = run->row_room = 0;
    run->out->more = false;
    run->out->row_count = 0;
}

static bool go(struct run *run)
{
    const struct query *q = &run->read->query;
    bool unserved =
        (run->filters || (q->order_count && !run->access.ordered)) && !access_serves(&run->access);
    run_start(run);
    if (unserved && run->view_rows > (uint64_t)run->rest->limits->scan_rows)
        return refuse_scan(run);
    if (q->order_count && !run->access.ordered)
        return sort(run);
    bool ordered = run->access.ordered;
    end_order(run);
    if (!stream(run))
        return false;
    if (!q->order_count && !run->access.ordered)
        run->has_end = false; /* entries with long keys lie in no order of values */
    if (!q->order_count || run->access.ordered || !ordered)
        return true;
    run->sink->reset(run->sink); /* keys too long for exact byte order: once more, by value */
    run_start(run);
    return sort(run);
}

/* Past the sample: as many of the others match as in it. Where an index bounds the walk, how many entries lie within is
 * not known: between those seen and all, in proportion. */
static uint64_t estimate(const struct run *run)
{
    if (run->ended || run->examined == 0)
        return run->matched;
    double seen = (double)run->matched, share = seen / (double)run->examined;
    double all = share * (double)run->view_rows;
    if (all < seen)
        all = seen;
    return (uint64_t)(access_serves(&run->access) ? sqrt(seen * all) : all);
}

static uint64_t total(const struct run *run, bool by_entries)
{
    if (by_entries)
        return run->view_rows;
    uint64_t known = (uint64_t)run->read->query.offset + run->out->row_count, n = estimate(run);
    return run->count == COUNT_EXACT || run->out->row_count == 0 || n > known ? n : known;
}

/* A walk without an order asked for has one all the same, which the pages after it keep. */
static void own_order(struct run *run, struct read *own)
{
    const struct read *rd = run->read;
    if (!rd->pages || !rd->query.has_cursor || rd->query.order_count)
        return;
    *own = *rd;
    if (page_order(&run->rest->arena, rd->view, &rd->query, &run->access, &own->query))
        run->read = own;
}

static void end_of_page(struct run *run)
{
    struct select_result *out = run->out;
    out->more = out->more && run->left == 0 && out->row_count;
    if (out->more && run->has_end && run->end->len)
        out->next =
            (struct slice){arena_memdup(&run->rest->arena, run->end->p, run->end->len), run->end->len};
}

bool select_run(struct rest *r, const struct read *rd, enum count_mode count, struct select_sink *sink,
                struct select_result *out, struct problem *p)
{
    struct run run = {.rest = r, .read = rd, .sink = sink, .out = out, .problem = p, .end = &r->page_end};
    struct read own;
    run.filters = rd->query.filter || rd->query.embed_filter || !grant_every_row(&rd->grant);
    bool by_entries = !run.filters && rd->view->key_count;
    *out = (struct select_result){.offset = rd->query.offset};
    struct query narrowed = grant_narrowed(&r->arena, rd);
    access_choose(&r->arena, r->scratch, rd->view, r->world->shard_count, &narrowed, &run.access);
    own_order(&run, &own);
    if (!r->depth)
        r->embed_left = (uint64_t)r->limits->scan_rows;
    if (count != COUNT_NONE || !access_serves(&run.access))
        run.view_rows = stored_rows(r, rd->view);
    run.count = by_entries ? COUNT_NONE : count;
    if (rd->after && run.access.ordered && run.count == COUNT_NONE)
        access_after(&r->arena, r->scratch, rd->view, &narrowed, rd->after, &run.access);
    bool ok = go(&run);
    end_of_page(&run);
    if (!ok)
        return false;
    if (r->depth)
        r->embed_left -= run.examined < r->embed_left ? run.examined : r->embed_left;
    if (count != COUNT_NONE) {
        out->has_total = true;
        out->total = total(&run, by_entries);
    }
    return true;
}
