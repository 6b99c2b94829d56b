/* The grammar of PostgREST's read parameters; see query.h. Recursive descent with a sticky error in the problem. */
#include "serve/query.h"
#include "serve/out.h"

struct parser {
    struct arena *arena;
    struct problem *problem;
    const char *what; /* "filter", "logic tree", "select parameter", "order" */
    struct slice all; /* the whole text, for messages */
    const uint8_t *p, *end;
    uint32_t conds, values; /* used up so far by the whole query */
};

static bool fail(struct parser *ps, const char *expected)
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

static bool not_supported(struct parser *ps, const char *fmt_what, struct slice name)
{
    return problem_set(ps->problem, 400, "PENSTOCK_UNSUPPORTED", "%s \"%.*s\" is not supported yet", fmt_what,
                       TEXT_QUOTED(name, 100));
}

static void start(struct parser *ps, const char *what, struct slice text)
{
    ps->what = what;
    ps->all = text;
    ps->p = text.p;
    ps->end = text.p + text.len;
}

static bool at(const struct parser *ps, char c)
{
    return ps->p < ps->end && *ps->p == (uint8_t)c;
}

static bool take(struct parser *ps, char c)
{
    if (!at(ps, c))
        return false;
    ps->p++;
    return true;
}

static bool take_word(struct parser *ps, const char *word)
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
        return fail(ps, "closing \"");
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

/* A name or bare text up to one of the stop characters. */
static bool word(struct parser *ps, const char *stops, struct slice *out)
{
    if (at(ps, '"'))
        return quoted(ps, out);
    const uint8_t *from = ps->p;
    while (ps->p < ps->end && !strchr(stops, *ps->p))
        ps->p++;
    *out = (struct slice){from, (size_t)(ps->p - from)};
    return true;
}

static bool name_check(struct parser *ps, struct slice name)
{
    for (size_t i = 0; i + 1 < name.len; i++)
        if (name.p[i] == '-' && name.p[i + 1] == '>')
            return not_supported(ps, "JSON path", name);
    return true;
}

static const struct {
    const char *name;
    enum cond_op op;
} operators[] = {
    {"eq", OP_EQ},
    {"neq", OP_NEQ},
    {"gt", OP_GT},
    {"gte", OP_GTE},
    {"lt", OP_LT},
    {"lte", OP_LTE},
    {"like", OP_LIKE},
    {"ilike", OP_ILIKE},
    {"in", OP_IN},
    {"is", OP_IS},
    {"isdistinct", OP_ISDISTINCT},
    {"cs", OP_CS},
    {"cd", OP_CD},
    {"ov", OP_OV},
};
static const char *const later_operators[] = {"match", "imatch", "fts", "plfts", "phfts", "wfts",
                                              "sl",    "sr",     "nxr", "nxl",   "adj"};

static bool operator_find(struct parser *ps, struct cond *c)
{
    const uint8_t *from = ps->p;
    while (ps->p < ps->end && *ps->p >= 'a' && *ps->p <= 'z')
        ps->p++;
    struct slice name = {from, (size_t)(ps->p - from)};
    for (size_t i = 0; i < ARRAY_COUNT(later_operators); i++)
        if (slice_is(name, later_operators[i]))
            return not_supported(ps, "operator", name);
    for (size_t i = 0; i < ARRAY_COUNT(operators); i++) {
        if (!slice_is(name, operators[i].name))
            continue;
        c->op = operators[i].op;
        if (at(ps, '('))
            return not_supported(ps, "operator modifier", (struct slice){from, (size_t)(ps->end - from)});
        return take(ps, '.') || fail(ps, "\".\" after the operator");
    }
    ps->p = from;
    return fail(
        ps, "\"not\" or operator (eq, neq, gt, gte, lt, lte, like, ilike, in, is, isdistinct, cs, cd, ov)");
}

static bool is_value(struct parser *ps, struct cond *c, struct slice text)
{
    static const char *const names[] = {[IS_NULL] = "null",
                                        [IS_NOT_NULL] = "not_null",
                                        [IS_TRUE] = "true",
                                        [IS_FALSE] = "false",
                                        [IS_UNKNOWN] = "unknown"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        if (slice_is_nocase(text, names[i])) {
            c->is = (enum is_what)i;
            return true;
        }
    ps->p = text.p;
    return fail(ps, "null, not_null, true, false or unknown");
}

static bool in_values(struct parser *ps, struct cond *c)
{
    if (!take(ps, '('))
        return fail(ps, "\"(\"");
    uint32_t room = 0;
    while (!take(ps, ')')) {
        if (c->text_count && !take(ps, ','))
            return fail(ps, "\",\" or \")\"");
        if (++ps->values > QUERY_VALUES_MAX)
            return problem_set(ps->problem, 400, "PENSTOCK_LIMIT", "more than %d values in in.(...) lists",
                               QUERY_VALUES_MAX);
        if (c->text_count == room) {
            struct slice *grown = ARENA_ARRAY(ps->arena, struct slice, room ? room * 2 : 8);
            if (room)
                memcpy(grown, c->texts, room * sizeof *grown);
            c->texts = grown;
            room = room ? room * 2 : 8;
        }
        if (!word(ps, ",)", &c->texts[c->text_count++]))
            return false;
    }
    return true;
}

static void one_text(struct parser *ps, struct cond *c, struct slice text)
{
    c->texts = ARENA_NEW(ps->arena, struct slice);
    c->texts[0] = text;
    c->text_count = 1;
}

static struct cond *cond_new(struct parser *ps, enum cond_kind kind)
{
    if (++ps->conds > QUERY_CONDS_MAX) {
        problem_set(ps->problem, 400, "PENSTOCK_LIMIT", "more than %d conditions", QUERY_CONDS_MAX);
        return NULL;
    }
    struct cond *c = ARENA_NEW(ps->arena, struct cond);
    c->kind = kind;
    return c;
}

/* A value inside a tree. The commas of {1,2} are its own, as in PostgREST. */
static bool tree_value(struct parser *ps, struct slice *out)
{
    const uint8_t *from = ps->p;
    if (take(ps, '{')) {
        while (ps->p < ps->end && *ps->p != '{' && *ps->p != '}')
            ps->p++;
        *out = (struct slice){from, (size_t)(ps->p - from) + 1};
        if (take(ps, '}'))
            return true;
        ps->p = from;
    }
    return word(ps, ",)", out);
}

/* [not.]op.value; in a tree the value ends at "," or ")", else with the text. */
static bool test(struct parser *ps, struct cond *c, bool in_tree)
{
    struct slice text;
    if (take_word(ps, "not."))
        c->negate = !c->negate;
    if (!operator_find(ps, c))
        return false;
    if (c->op == OP_IN)
        return in_values(ps, c) && (in_tree || ps->p == ps->end || fail(ps, "end of input"));
    if (in_tree) {
        if (!tree_value(ps, &text))
            return false;
    } else {
        text = (struct slice){ps->p, (size_t)(ps->end - ps->p)};
        ps->p = ps->end;
    }
    if (c->op == OP_IS)
        return is_value(ps, c, text);
    one_text(ps, c, text);
    return true;
}

struct cond_list { /* grows by doubling in the arena */
    uint32_t count, room;
    struct cond **items;
};

static void list_add(struct arena *a, struct cond_list *l, struct cond *c)
{
    if (l->count == l->room) {
        struct cond **grown = ARENA_ARRAY(a, struct cond *, l->room ? l->room * 2 : 4);
        if (l->count)
            memcpy(grown, l->items, l->count * sizeof *grown);
        l->items = grown;
        l->room = l->room ? l->room * 2 : 4;
    }
    l->items[l->count++] = c;
}

static struct cond *tree_item(struct parser *ps, int depth);

/* (item,item,...) */
static struct cond *tree(struct parser *ps, enum cond_kind kind, bool negate, int depth)
{
    if (depth > QUERY_DEPTH_MAX) {
        problem_set(ps->problem, 400, "PENSTOCK_LIMIT", "conditions nested deeper than %d", QUERY_DEPTH_MAX);
        return NULL;
    }
    struct cond *c = cond_new(ps, kind);
    struct cond_list list = {0};
    if (!c)
        return NULL;
    if (!take(ps, '(')) {
        fail(ps, "\"(\"");
        return NULL;
    }
    do {
        struct cond *item = tree_item(ps, depth);
        if (!item)
            return NULL;
        list_add(ps->arena, &list, item);
    } while (take(ps, ','));
    if (!take(ps, ')')) {
        fail(ps, "\",\" or \")\"");
        return NULL;
    }
    c->negate = negate;
    c->args = list.items;
    c->arg_count = list.count;
    return c;
}

/* "and(" or "or(", perhaps with "not." before: *kind and *negate, p at the parenthesis. */
static bool tree_start(struct parser *ps, enum cond_kind *kind, bool *negate)
{
    const uint8_t *from = ps->p;
    *negate = take_word(ps, "not.");
    if (take_word(ps, "and") && at(ps, '(')) {
        *kind = COND_AND;
        return true;
    }
    if (take_word(ps, "or") && at(ps, '(')) {
        *kind = COND_OR;
        return true;
    }
    ps->p = from;
    return false;
}

static struct cond *tree_item(struct parser *ps, int depth)
{
    enum cond_kind kind;
    bool negate;
    while (take(ps, ' '))
        ;
    if (tree_start(ps, &kind, &negate))
        return tree(ps, kind, negate, depth + 1);
    struct cond *c = cond_new(ps, COND_TEST);
    if (!c || !word(ps, ".,()", &c->name) || !name_check(ps, c->name))
        return NULL;
    if (c->name.len == 0 || !take(ps, '.')) {
        fail(ps, "a column, \".\", and an operator, or and(...) or or(...)");
        return NULL;
    }
    return test(ps, c, true) ? c : NULL;
}

/* col=op.value */
static struct cond *filter_param(struct parser *ps, const struct url_param *param)
{
    struct cond *c = cond_new(ps, COND_TEST);
    if (!c)
        return NULL;
    start(ps, "filter", param->name);
    if (!word(ps, "", &c->name) || !name_check(ps, c->name))
        return NULL;
    start(ps, "filter", param->value);
    return test(ps, c, false) ? c : NULL;
}

static struct cond *logic_param(struct parser *ps, const struct url_param *param, enum cond_kind kind,
                                bool negate)
{
    start(ps, "logic tree", param->value);
    struct cond *c = tree(ps, kind, negate, 1);
    if (c && ps->p < ps->end) {
        fail(ps, "end of input");
        return NULL;
    }
    return c;
}

static bool select_item(struct parser *ps, struct select_item *item)
{
    struct slice first;
    if (take_word(ps, "...") || !word(ps, ",:().", &first))
        return not_supported(ps, "spreading", ps->all);
    if (at(ps, ':') && !(ps->end - ps->p > 1 && ps->p[1] == ':')) {
        ps->p++;
        item->alias = first;
        if (!word(ps, ",:().", &first))
            return false;
    }
    if (at(ps, '('))
        return not_supported(ps, "embedding", first);
    if (at(ps, '.'))
        return not_supported(ps, "aggregate or nested name",
                             (struct slice){ps->p, (size_t)(ps->end - ps->p)});
    if (take_word(ps, "::") && !word(ps, ",:.", &item->cast))
        return false;
    item->name = first;
    item->star = slice_is(first, "*");
    if (first.len == 0)
        return fail(ps, "a column name or *");
    if (ps->p < ps->end && !at(ps, ','))
        return fail(ps, "\",\" or end of input");
    return name_check(ps, first);
}

static uint32_t comma_count(struct slice s)
{
    uint32_t n = 1;
    for (size_t i = 0; i < s.len; i++)
        n += s.p[i] == ',';
    return n;
}

static bool items_room(struct parser *ps, uint32_t n)
{
    return n <= QUERY_ITEMS_MAX || problem_set(ps->problem, 400, "PENSTOCK_LIMIT", "more than %d items in %s",
                                               QUERY_ITEMS_MAX, ps->what);
}

static bool select_param(struct parser *ps, struct slice text, struct query *q)
{
    uint32_t n = comma_count(text);
    start(ps, "select parameter", text);
    if (text.len == 0)
        return true;
    if (!items_room(ps, n))
        return false;
    q->select = ARENA_ARRAY(ps->arena, struct select_item, n);
    q->select_count = 0;
    do {
        if (!select_item(ps, &q->select[q->select_count++]))
            return false;
    } while (take(ps, ','));
    return true;
}

static bool order_item(struct parser *ps, struct order_item *item)
{
    bool nulls_stated = false;
    if (!word(ps, ".,(", &item->name) || !name_check(ps, item->name))
        return false;
    if (at(ps, '('))
        return not_supported(ps, "ordering by", item->name);
    if (item->name.len == 0)
        return fail(ps, "a column name");
    if (take_word(ps, ".desc"))
        item->desc = true;
    else
        take_word(ps, ".asc");
    if (take_word(ps, ".nullsfirst"))
        nulls_stated = item->nulls_first = true;
    else
        nulls_stated = take_word(ps, ".nullslast");
    if (!nulls_stated)
        item->nulls_first = item->desc;
    if (ps->p < ps->end && !at(ps, ','))
        return fail(ps, "asc, desc, nullsfirst, nullslast, \",\" or end of input");
    return true;
}

static bool order_param(struct parser *ps, struct slice text, struct query *q)
{
    uint32_t n = comma_count(text);
    start(ps, "order", text);
    if (text.len == 0)
        return true;
    if (!items_room(ps, n))
        return false;
    q->order = ARENA_ARRAY(ps->arena, struct order_item, n);
    q->order_count = 0;
    do {
        if (!order_item(ps, &q->order[q->order_count++]))
            return false;
    } while (take(ps, ','));
    return true;
}

static bool number_param(struct parser *ps, const char *name, struct slice text, int64_t *out)
{
    uint64_t v;
    if (!slice_u64(text, INT64_MAX / 2, &v))
        return problem_set(ps->problem, 400, "PGRST100", "%s must be a number of rows, not \"%.*s\"", name,
                           TEXT_QUOTED(text, 40));
    *out = (int64_t)v;
    return true;
}

/* One parameter: 1 done, 0 failed; a filter is handed back in *cond. */
static bool param(struct parser *ps, const struct url_param *u, struct query *q, struct cond **cond)
{
    *cond = NULL;
    if (slice_is(u->name, "select"))
        return select_param(ps, u->value, q);
    if (slice_is(u->name, "order"))
        return order_param(ps, u->value, q);
    if (slice_is(u->name, "limit"))
        return q->has_limit = true, number_param(ps, "limit", u->value, &q->limit);
    if (slice_is(u->name, "offset"))
        return q->has_offset = true, number_param(ps, "offset", u->value, &q->offset);
    if (slice_is(u->name, "last_event_id") || slice_is(u->name, "apikey"))
        return true;
    if (slice_is(u->name, "and") || slice_is(u->name, "not.and"))
        *cond = logic_param(ps, u, COND_AND, u->name.p[0] == 'n');
    else if (slice_is(u->name, "or") || slice_is(u->name, "not.or"))
        *cond = logic_param(ps, u, COND_OR, u->name.p[0] == 'n');
    else
        *cond = filter_param(ps, u);
    return *cond != NULL;
}

bool query_parse(struct arena *a, const struct url *u, struct query *out, struct problem *p)
{
    struct parser ps = {.arena = a, .problem = p};
    struct cond_list list = {0};
    *out = (struct query){.limit = -1};
    for (uint32_t i = 0; i < u->param_count; i++) {
        struct cond *c;
        if (!param(&ps, &u->params[i], out, &c))
            return false;
        if (c)
            list_add(a, &list, c);
    }
    if (list.count == 1) {
        out->filter = list.items[0];
    } else if (list.count > 1) {
        out->filter = ARENA_NEW(a, struct cond);
        *out->filter = (struct cond){.kind = COND_AND, .arg_count = list.count, .args = list.items};
    }
    return true;
}
