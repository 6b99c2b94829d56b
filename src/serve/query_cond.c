/* Conditions of the query grammar: operators, values, lists, and trees of and and or; see query_parse.h. */
#include "serve/query_parse.h"

static const struct {
    const char *name;
    enum cond_op op;
    bool quantified; /* (any) and (all) may follow */
} operators[] = {
    {"eq", OP_EQ, true},
    {"neq", OP_NEQ, false},
    {"gt", OP_GT, true},
    {"gte", OP_GTE, true},
    {"lt", OP_LT, true},
    {"lte", OP_LTE, true},
    {"like", OP_LIKE, true},
    {"ilike", OP_ILIKE, true},
    {"match", OP_MATCH, true},
    {"imatch", OP_IMATCH, true},
    {"in", OP_IN, false},
    {"is", OP_IS, false},
    {"isdistinct", OP_ISDISTINCT, false},
    {"cs", OP_CS, false},
    {"cd", OP_CD, false},
    {"ov", OP_OV, false},
    {"sl", OP_SL, false},
    {"sr", OP_SR, false},
    {"nxr", OP_NXR, false},
    {"nxl", OP_NXL, false},
    {"adj", OP_ADJ, false},
};

static bool no_text_search(struct parser *ps, struct slice name)
{
    static const char *const names[] = {"fts", "plfts", "phfts", "wfts"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        if (slice_is(name, names[i])) {
            parse_unsupported(ps, "text search operator", name);
            problem_hint(ps->problem,
                         "Use ilike, match or imatch, or filter by a column that a view computes.");
            return true;
        }
    return false;
}

/* "(any)" or "(all)" after the operator that is named. */
static bool quantifier(struct parser *ps, struct cond *c, bool allowed)
{
    if (!parse_at(ps, '('))
        return true;
    if (allowed && parse_take_word(ps, "(any)"))
        c->quant = QUANT_ANY;
    else if (allowed && parse_take_word(ps, "(all)"))
        c->quant = QUANT_ALL;
    return c->quant != QUANT_NONE ||
           parse_fail(ps, allowed ? "(any) or (all)" : "\".\", for this operator takes neither any nor all");
}

static bool operator_find(struct parser *ps, struct cond *c)
{
    const uint8_t *from = ps->p;
    while (ps->p < ps->end && *ps->p >= 'a' && *ps->p <= 'z')
        ps->p++;
    struct slice name = {from, (size_t)(ps->p - from)};
    if (no_text_search(ps, name))
        return false;
    for (size_t i = 0; i < ARRAY_COUNT(operators); i++) {
        if (!slice_is(name, operators[i].name))
            continue;
        c->op = operators[i].op;
        return quantifier(ps, c, operators[i].quantified) &&
               (parse_take(ps, '.') || parse_fail(ps, "\".\" after the operator"));
    }
    ps->p = from;
    return parse_fail(ps,
                      "\"not\" or operator (eq, gt, gte, lt, lte, neq, like, ilike, match, imatch, in, is, "
                      "isdistinct, cs, cd, ov, sl, sr, nxr, nxl, adj)");
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
    return parse_fail(ps, "null, not_null, true, false or unknown");
}

static bool in_values(struct parser *ps, struct cond *c)
{
    if (!parse_take(ps, '('))
        return parse_fail(ps, "\"(\"");
    uint32_t room = 0;
    while (!parse_take(ps, ')')) {
        if (c->text_count && !parse_take(ps, ','))
            return parse_fail(ps, "\",\" or \")\"");
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
        if (!parse_value(ps, ",)", &c->texts[c->text_count++]))
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
    if (parse_take(ps, '{')) {
        while (ps->p < ps->end && *ps->p != '{' && *ps->p != '}')
            ps->p++;
        *out = (struct slice){from, (size_t)(ps->p - from) + 1};
        if (parse_take(ps, '}'))
            return true;
        ps->p = from;
    }
    return parse_value(ps, ",)", out);
}

/* [not.]op.value; in a tree the value ends at "," or ")", else with the text. */
static bool test(struct parser *ps, struct cond *c, bool in_tree)
{
    struct slice text;
    if (parse_take_word(ps, "not."))
        c->negate = !c->negate;
    if (!operator_find(ps, c))
        return false;
    if (c->op == OP_IN)
        return in_values(ps, c) && (in_tree || ps->p == ps->end || parse_fail(ps, "end of input"));
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
    if (!parse_take(ps, '(')) {
        parse_fail(ps, "\"(\"");
        return NULL;
    }
    do {
        struct cond *item = tree_item(ps, depth);
        if (!item)
            return NULL;
        list_add(ps->arena, &list, item);
    } while (parse_take(ps, ','));
    if (!parse_take(ps, ')')) {
        parse_fail(ps, "\",\" or \")\"");
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
    *negate = parse_take_word(ps, "not.");
    if (parse_take_word(ps, "and") && parse_at(ps, '(')) {
        *kind = COND_AND;
        return true;
    }
    if (parse_take_word(ps, "or") && parse_at(ps, '(')) {
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
    while (parse_take(ps, ' '))
        ;
    if (tree_start(ps, &kind, &negate))
        return tree(ps, kind, negate, depth + 1);
    struct cond *c = cond_new(ps, COND_TEST);
    if (!c || !parse_name(ps, ".,()", &c->name))
        return NULL;
    if (c->name.len == 0) {
        parse_fail(ps, "a column, \".\", and an operator, or and(...) or or(...)");
        return NULL;
    }
    if (!parse_path(ps, ".,()", &c->path))
        return NULL;
    if (!parse_take(ps, '.')) {
        parse_fail(ps, "a column, \".\", and an operator, or and(...) or or(...)");
        return NULL;
    }
    return test(ps, c, true) ? c : NULL;
}

struct cond *parse_filter(struct parser *ps, struct slice name, const struct json_path *path,
                          struct slice text)
{
    struct cond *c = cond_new(ps, COND_TEST);
    if (!c)
        return NULL;
    c->name = name;
    c->path = path;
    parse_start(ps, "filter", text);
    return test(ps, c, false) ? c : NULL;
}

struct cond *parse_logic(struct parser *ps, struct slice text, enum cond_kind kind, bool negate)
{
    parse_start(ps, "logic tree", text);
    struct cond *c = tree(ps, kind, negate, 1);
    if (c && ps->p < ps->end) {
        parse_fail(ps, "end of input");
        return NULL;
    }
    return c;
}
