/* The grammar of PostgREST's read parameters: select, order, and which query a parameter belongs to; see query.h.
 * Recursive descent with a sticky error in the problem. */
#include "serve/query_parse.h"

bool parse_fail(struct parser *ps, const char *expected)
{
    char near[24] = "end of input";
    if (ps->p < ps->end) {
        struct slice rest = {ps->p, (size_t)(ps->end - ps->p)};
        snprintf(near, sizeof near, "\"%.*s\"", TEXT_QUOTED(rest, 16));
    }
    problem_set(ps->problem, 400, "PGRST100", "\"failed to parse %s (%.*s)\" (line 1, column %d)", ps->what,
                TEXT_QUOTED(ps->all, 200), (int)(ps->p - ps->all.p) + 1);
    return problem_details(ps->problem, "unexpected %s expecting %s", near, expected);
}

bool parse_unsupported(struct parser *ps, const char *what, struct slice name)
{
    return problem_set(ps->problem, 400, "PENSTOCK_UNSUPPORTED", "%s \"%.*s\" is not supported", what,
                       TEXT_QUOTED(name, 100));
}

void parse_start(struct parser *ps, const char *what, struct slice text)
{
    ps->what = what;
    ps->all = text;
    ps->p = text.p;
    ps->end = text.p + text.len;
}

bool parse_take_word(struct parser *ps, const char *word)
{
    size_t n = strlen(word);
    if ((size_t)(ps->end - ps->p) < n || memcmp(ps->p, word, n) != 0)
        return false;
    ps->p += n;
    return true;
}

/* "text with \" and \\ inside"; the opening quote is at p. */
static bool quoted(struct parser *ps, struct slice *out)
{
    const uint8_t *from = ++ps->p;
    while (ps->p < ps->end && *ps->p != '"')
        ps->p += *ps->p == '\\' && ps->end - ps->p > 1 ? 2 : 1;
    if (ps->p >= ps->end)
        return parse_fail(ps, "closing \"");
    size_t raw = (size_t)(ps->p - from), n = 0;
    ps->p++;
    *out = (struct slice){from, raw};
    if (raw == 0 || !memchr(from, '\\', raw))
        return true;
    uint8_t *to = arena_alloc(ps->arena, raw);
    for (size_t i = 0; i < raw; i++) {
        if (from[i] == '\\')
            i++;
        to[n++] = from[i];
    }
    *out = (struct slice){to, n};
    return true;
}

bool parse_value(struct parser *ps, const char *stops, struct slice *out)
{
    if (parse_at(ps, '"'))
        return quoted(ps, out);
    const uint8_t *from = ps->p;
    while (ps->p < ps->end && !strchr(stops, *ps->p))
        ps->p++;
    *out = (struct slice){from, (size_t)(ps->p - from)};
    return true;
}

bool parse_name(struct parser *ps, const char *stops, struct slice *out)
{
    if (parse_at(ps, '"'))
        return quoted(ps, out);
    const uint8_t *from = ps->p;
    while (ps->p < ps->end && !parse_at_arrow(ps) && !strchr(stops, *ps->p))
        ps->p++;
    *out = (struct slice){from, (size_t)(ps->p - from)};
    return true;
}

/* ---- JSON paths ---- */

/* A whole operand of digits is an element's number, counted from the end when negative. */
static bool step_index(struct slice text, int32_t *out)
{
    bool minus = text.len > 1 && text.p[0] == '-';
    uint64_t v;
    if (minus || (text.len > 1 && text.p[0] == '+'))
        text.p++, text.len--;
    if (!slice_u64(text, INT32_MAX, &v))
        return false;
    *out = minus ? -(int32_t)v : (int32_t)v;
    return true;
}

static bool path_step(struct parser *ps, const char *stops, struct json_step *step)
{
    ps->p += 2;
    step->text = parse_take(ps, '>');
    bool in_quotes = parse_at(ps, '"');
    if (!parse_name(ps, stops, &step->key))
        return false;
    if (step->key.len == 0 && !in_quotes)
        return parse_fail(ps, "a key or an index");
    step->is_index = !in_quotes && step_index(step->key, &step->index);
    return true;
}

bool parse_path(struct parser *ps, const char *stops, const struct json_path **out)
{
    *out = NULL;
    if (LIKELY(!parse_at_arrow(ps)))
        return true;
    struct json_path *path = ARENA_NEW(ps->arena, struct json_path);
    path->steps = ARENA_ARRAY(ps->arena, struct json_step, QUERY_STEPS_MAX);
    for (; parse_at_arrow(ps); path->count++) {
        if (path->count == QUERY_STEPS_MAX)
            return problem_set(ps->problem, 400, "PENSTOCK_LIMIT", "a JSON path of more than %d steps",
                               QUERY_STEPS_MAX);
        if (!path_step(ps, stops, &path->steps[path->count]))
            return false;
    }
    *out = path;
    return true;
}

/* ---- select ---- */

static bool items_room(struct parser *ps)
{
    return ++ps->items <= QUERY_ITEMS_MAX ||
           problem_set(ps->problem, 400, "PENSTOCK_LIMIT", "more than %d items in select and order",
                       QUERY_ITEMS_MAX);
}

/* One more at the end of an array that doubles in the arena: its room is the next power of two. */
static void *push(struct arena *a, void *items, uint32_t count, size_t size_bytes)
{
    if (count & (count - 1) || count == 1)
        return items;
    void *grown = arena_zalloc(a, size_bytes * (count ? (size_t)count * 2 : 2));
    if (count)
        memcpy(grown, items, size_bytes * count);
    return grown;
}

static bool no_aggregates(struct parser *ps)
{
    problem_set(ps->problem, 400, "PGRST123", "Use of aggregate functions is not allowed");
    return problem_hint(ps->problem,
                        "Aggregate in a view, which is kept up to date as its tables change: CREATE "
                        "VIEW ... AS SELECT ..., sum(...) FROM ... GROUP BY ...;");
}

/* At ".name()" after a column or its cast. */
static bool is_aggregate(struct parser *ps)
{
    static const char *const calls[] = {".avg()", ".count()", ".max()", ".min()", ".sum()"};
    for (size_t i = 0; i < ARRAY_COUNT(calls); i++)
        if (parse_take_word(ps, calls[i]))
            return true;
    return false;
}

static bool select_list(struct parser *ps, struct query *q, bool nested, int depth);

/* !hint, !inner, !left and the list in parentheses. */
static bool embed(struct parser *ps, struct query *q, struct select_item *item, bool spread, int depth)
{
    struct query_embed *e = item->embed = ARENA_NEW(ps->arena, struct query_embed);
    e->name = item->name;
    e->alias = item->alias;
    e->spread = spread;
    e->query.limit = -1;
    while (parse_take(ps, '!')) {
        struct slice word;
        if (!parse_value(ps, ",:()!.", &word))
            return false;
        if (slice_is(word, "inner"))
            e->join = EMBED_INNER;
        else if (slice_is(word, "left"))
            e->join = EMBED_LEFT;
        else if (word.len && !e->hint.len)
            e->hint = word;
        else
            return parse_fail(ps, "one hint, inner or left");
    }
    if (!parse_take(ps, '('))
        return parse_fail(ps, "\"(\"");
    if (++ps->embeds > QUERY_EMBEDS_MAX || depth >= QUERY_EMBED_DEPTH_MAX)
        return problem_set(ps->problem, 400, "PENSTOCK_LIMIT",
                           "more than %d embedded views, or nested deeper than %d", QUERY_EMBEDS_MAX,
                           QUERY_EMBED_DEPTH_MAX);
    q->embeds = push(ps->arena, q->embeds, q->embed_count, sizeof *q->embeds);
    q->embeds[q->embed_count++] = e;
    if (parse_take(ps, ')')) {
        e->query.select_none = true;
        return true;
    }
    return select_list(ps, &e->query, true, depth + 1) &&
           (parse_take(ps, ')') || parse_fail(ps, "\",\" or \")\""));
}

static bool column(struct parser *ps, struct select_item *item)
{
    item->star = slice_is(item->name, "*");
    if (!parse_path(ps, ",:().!", &item->path))
        return false;
    if (is_aggregate(ps))
        return no_aggregates(ps);
    if (parse_take_word(ps, "::") && !parse_value(ps, ",:.()", &item->cast))
        return false;
    if (is_aggregate(ps))
        return no_aggregates(ps);
    return !(item->star && (item->path || item->cast.len || item->alias.len)) ||
           parse_fail(ps, "* without alias, path or cast");
}

static bool select_item(struct parser *ps, struct query *q, struct select_item *item, int depth)
{
    bool spread = parse_take_word(ps, "...");
    while (parse_take(ps, ' '))
        ;
    if (!parse_name(ps, ",:().!", &item->name))
        return false;
    if (!spread && parse_at(ps, ':') && !(ps->end - ps->p > 1 && ps->p[1] == ':')) {
        ps->p++;
        item->alias = item->name;
        if (!parse_name(ps, ",:().!", &item->name))
            return false;
    }
    if (item->name.len == 0)
        return parse_fail(ps, "a column name or *");
    if (slice_is(item->name, "count") && parse_take_word(ps, "()"))
        return no_aggregates(ps);
    if (spread || parse_at(ps, '(') || parse_at(ps, '!'))
        return embed(ps, q, item, spread, depth);
    return column(ps, item);
}

static bool select_list(struct parser *ps, struct query *q, bool nested, int depth)
{
    do {
        if (!items_room(ps))
            return false;
        q->select = push(ps->arena, q->select, q->select_count, sizeof *q->select);
        if (!select_item(ps, q, &q->select[q->select_count++], depth))
            return false;
    } while (parse_take(ps, ','));
    return nested || ps->p == ps->end || parse_fail(ps, "\",\" or end of input");
}

static bool select_param(struct parser *ps, struct slice text, struct query *q)
{
    parse_start(ps, "select parameter", text);
    q->select = NULL;
    q->embeds = NULL;
    q->select_count = q->embed_count = 0;
    return text.len == 0 || select_list(ps, q, false, 0);
}

/* ---- order ---- */

/* view(column): by a column of an embedded view. */
static bool order_field(struct parser *ps, struct order_item *item)
{
    if (!parse_name(ps, ".,()", &item->name))
        return false;
    if (parse_take(ps, '(')) {
        item->embed_name = item->name;
        if (!parse_name(ps, ".,()", &item->name))
            return false;
    }
    if (item->name.len == 0)
        return parse_fail(ps, "a column name");
    return parse_path(ps, ".,()", &item->path) &&
           (item->embed_name.len == 0 || parse_take(ps, ')') || parse_fail(ps, "\")\""));
}

static bool order_item(struct parser *ps, struct order_item *item)
{
    bool nulls_stated = false;
    if (!order_field(ps, item))
        return false;
    if (parse_take_word(ps, ".desc"))
        item->desc = true;
    else
        parse_take_word(ps, ".asc");
    if (parse_take_word(ps, ".nullsfirst"))
        nulls_stated = item->nulls_first = true;
    else
        nulls_stated = parse_take_word(ps, ".nullslast");
    if (!nulls_stated)
        item->nulls_first = item->desc;
    if (ps->p < ps->end && !parse_at(ps, ','))
        return parse_fail(ps, "asc, desc, nullsfirst, nullslast, \",\" or end of input");
    return true;
}

static bool order_param(struct parser *ps, struct slice text, struct query *q)
{
    parse_start(ps, "order", text);
    q->order = NULL;
    q->order_count = 0;
    if (text.len == 0)
        return true;
    do {
        if (!items_room(ps))
            return false;
        q->order = push(ps->arena, q->order, q->order_count, sizeof *q->order);
        if (!order_item(ps, &q->order[q->order_count++]))
            return false;
    } while (parse_take(ps, ','));
    return true;
}

/* ---- parameters ---- */

static bool number_param(struct parser *ps, const char *name, struct slice text, int64_t *out)
{
    uint64_t v;
    if (!slice_u64(text, INT64_MAX / 2, &v))
        return problem_set(ps->problem, 400, "PGRST100", "%s must be a number of rows, not \"%.*s\"", name,
                           TEXT_QUOTED(text, 40));
    *out = (int64_t)v;
    return true;
}

/* The name of a parameter taken apart: the embedded views that lead to its query, and what it is of that. */
struct param_name {
    struct slice path[QUERY_EMBED_DEPTH_MAX + 2];
    uint32_t path_count;
    struct slice name;
    bool in_quotes;
    const struct json_path *json;
};

static bool param_name(struct parser *ps, struct slice text, struct param_name *out)
{
    *out = (struct param_name){.path_count = 0};
    parse_start(ps, "filter", text);
    for (;;) {
        out->in_quotes = parse_at(ps, '"');
        if (!parse_name(ps, ".", &out->name))
            return false;
        if (!parse_take(ps, '.'))
            break;
        if (out->path_count == ARRAY_COUNT(out->path))
            return parse_fail(ps, "fewer embedded views before the column");
        out->path[out->path_count++] = out->name;
    }
    return parse_path(ps, "", &out->json) && (ps->p == ps->end || parse_fail(ps, "end of input"));
}

struct query_embed *query_embed_find(const struct query *q, struct slice name)
{
    for (uint32_t i = 0; i < q->embed_count; i++)
        if (slice_eq(q->embeds[i]->alias.len ? q->embeds[i]->alias : q->embeds[i]->name, name))
            return q->embeds[i];
    for (uint32_t i = 0; i < q->embed_count; i++)
        if (slice_eq(q->embeds[i]->name, name))
            return q->embeds[i];
    return NULL;
}

static struct query *param_query(struct parser *ps, const struct param_name *n, struct query *q)
{
    for (uint32_t i = 0; i < n->path_count; i++) {
        struct query_embed *e = query_embed_find(q, n->path[i]);
        if (!e) {
            problem_set(ps->problem, 400, "PGRST108", "'%.*s' is not an embedded resource in this request",
                        TEXT_QUOTED(n->path[i], 100));
            problem_hint(ps->problem, "Verify that '%.*s' is included in the 'select' query parameter.",
                         TEXT_QUOTED(n->path[i], 100));
            return NULL;
        }
        q = &e->query;
    }
    return q;
}

static void filter_add(struct parser *ps, struct query *q, struct cond *c)
{
    q->params = push(ps->arena, q->params, q->param_count, sizeof(struct cond *));
    q->params[q->param_count++] = c;
}

/* Parameters of the request as a whole: true when it was one. */
static bool root_param(const struct url_param *u, struct query *q)
{
    if (slice_is(u->name, "select") || slice_is(u->name, "last_event_id") || slice_is(u->name, "apikey"))
        return true;
    /* Every filter has a point, and no cursor has: a column may have this name. */
    if (!slice_is(u->name, "cursor") || (u->value.len && memchr(u->value.p, '.', u->value.len)))
        return false;
    q->has_cursor = true;
    q->cursor = u->value;
    return true;
}

static bool filter_param(struct parser *ps, struct param_name *n, struct slice text, struct query *root)
{
    bool plain = !n->in_quotes && !n->json, negate = false;
    bool logic = plain && (slice_is(n->name, "and") || slice_is(n->name, "or"));
    if (logic && n->path_count && slice_is(n->path[n->path_count - 1], "not")) {
        negate = true;
        n->path_count--;
    }
    struct query *q = param_query(ps, n, root);
    if (!q)
        return false;
    if (plain && slice_is(n->name, "order"))
        return order_param(ps, text, q);
    if (plain && slice_is(n->name, "limit"))
        return q->has_limit = true, number_param(ps, "limit", text, &q->limit);
    if (plain && slice_is(n->name, "offset"))
        return q->has_offset = true, number_param(ps, "offset", text, &q->offset);
    struct cond *c = logic ? parse_logic(ps, text, n->name.p[0] == 'a' ? COND_AND : COND_OR, negate)
                           : parse_filter(ps, n->name, n->json, text);
    if (c)
        filter_add(ps, q, c);
    return c != NULL;
}

/* The parameters of a query are one condition. */
static void filters_join(struct arena *a, struct query *q)
{
    if (q->param_count == 1) {
        q->filter = q->params[0];
    } else if (q->param_count > 1) {
        q->filter = ARENA_NEW(a, struct cond);
        *q->filter = (struct cond){.kind = COND_AND, .arg_count = q->param_count, .args = q->params};
    }
    for (uint32_t i = 0; i < q->embed_count; i++)
        filters_join(a, &q->embeds[i]->query);
}

bool query_parse(struct arena *a, const struct url *u, struct query *out, struct problem *p)
{
    struct parser ps = {.arena = a, .problem = p};
    *out = (struct query){.limit = -1};
    for (uint32_t i = 0; i < u->param_count; i++) /* first: it names what the others may be about */
        if (slice_is(u->params[i].name, "select") && !select_param(&ps, u->params[i].value, out))
            return false;
    for (uint32_t i = 0; i < u->param_count; i++) {
        const struct url_param *param = &u->params[i];
        struct param_name name;
        if (root_param(param, out))
            continue;
        if (!param_name(&ps, param->name, &name) || !filter_param(&ps, &name, param->value, out))
            return false;
    }
    filters_join(a, out);
    return true;
}
