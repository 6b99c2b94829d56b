/* Cursors in requests and in Link headers; see page.h. */
#include "serve/cursor.h"
#include "serve/out.h"
#include "serve/page.h"

static bool bad_cursor(struct problem *p, const char *message)
{
    problem_set(p, 400, "PENSTOCK_CURSOR", "%s", message);
    return problem_hint(
        p, "Begin anew with cursor= and follow the Link header; the parameters stay as they are.");
}

bool page_begin(struct rest *r, struct read *rd, struct problem *p)
{
    struct query *q = &rd->query;
    struct slice plain;
    rd->pages = r->cursors != NULL && !rd->by_key;
    if (!q->has_cursor)
        return true;
    if (!rd->pages)
        return bad_cursor(p, "only lists have cursors");
    for (uint32_t i = 0; i < q->order_count; i++)
        if (q->order[i].path || q->order[i].embed)
            return bad_cursor(p, "a cursor goes with an order by columns of the view alone");
    if (q->cursor.len == 0)
        return true;
    struct position *at = ARENA_NEW(&r->arena, struct position);
    if (!cursor_open(r->cursors, &r->arena, q->cursor, &plain))
        return bad_cursor(p, "the cursor has been altered, or comes from another place");
    if (!page_decode(&r->arena, rd, plain, at))
        return bad_cursor(p, "the cursor belongs to another api or to another version of it");
    if (!page_fits(q, at))
        return bad_cursor(p, "the cursor belongs to another order");
    rd->after = at;
    q->order = at->order;
    q->order_count = at->count;
    return true;
}

/* What was escaped stays so; the rest cannot end the link before its time. */
static void put_uri(struct buf *b, struct slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.p[i] == '<' || s.p[i] == '>' || s.p[i] == '"')
            buf_printf(b, "%%%02X", s.p[i]);
        else
            buf_put_u8(b, s.p[i]);
    }
}

static bool is_param(struct slice param, const char *name)
{
    struct slice value = param;
    return slice_is(slice_cut(&value, '='), name);
}

/* "scheme://host" does not belong to the path. */
static struct slice without_origin(struct slice target)
{
    for (size_t i = 0; target.len && target.p[0] != '/' && i + 2 < target.len; i++)
        if (target.p[i] == '/' && target.p[i + 1] == '/') {
            struct slice rest = {target.p + i + 2, target.len - i - 2};
            while (rest.len && rest.p[0] != '/' && rest.p[0] != '?')
                rest.p++, rest.len--;
            return rest;
        }
    return target;
}

/* The same request with this cursor. The limit may have come with Range. */
static void put_link(struct buf *b, struct slice target, const struct query *q, struct slice cursor)
{
    struct slice query = without_origin(target), path = slice_cut(&query, '?');
    char mark = '?';
    buf_put_u8(b, '<');
    put_uri(b, path);
    while (query.p) {
        struct slice param = slice_cut(&query, '&');
        bool filter =
            is_param(param, "cursor") && (memchr(param.p, '.', param.len) || memchr(param.p, '%', param.len));
        if (param.len == 0 || is_param(param, "offset") || (is_param(param, "cursor") && !filter))
            continue;
        buf_put_u8(b, (uint8_t)mark);
        mark = '&';
        put_uri(b, param);
    }
    if (!q->has_limit && q->limit >= 0)
        buf_printf(b, "%climit=%lld", mark, (long long)q->limit), mark = '&';
    buf_printf(b, "%ccursor=", mark);
    out_slice(b, cursor);
    buf_put_str(b, ">; rel=\"next\"");
}

bool page_end(struct rest *r, const struct read *rd, const struct select_result *res, struct slice target,
              struct answer *a)
{
    struct buf *cursor = &r->scratch[0], *link = &r->scratch[1];
    if (!res->more || !rd->pages)
        return true;
    buf_reset(cursor);
    buf_reset(link);
    bool ok = res->next.len && cursor_seal(r->cursors, res->next, cursor);
    if (ok) {
        put_link(link, target, &rd->query, (struct slice){cursor->p, cursor->len});
        a->link = arena_strndup(&r->arena, (const char *)link->p, link->len);
    }
    /* Who walks by cursors takes an answer without a link for the last one. */
    if (!ok && rd->query.has_cursor) {
        problem_set(&a->problem, 400, "PENSTOCK_CURSOR", "the last row's values are too long for a cursor");
        return problem_hint(&a->problem, "Order by shorter columns, or use offset.");
    }
    return true;
}
