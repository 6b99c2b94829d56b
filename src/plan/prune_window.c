/* Window functions: calls that nobody reads are dropped, and where only the first rows of each partition are asked for
 * (row_number() <= k, rank() <= k), the others are left out before the calls are computed.
 *
 * That is right where every call that is read looks at no row behind its own, or behind its own peers if those that
 * stand level with the last one stay. The rows are cut by REL_TOP, whose order is the window's and whose columns are the
 * window's input's, so that rows which the order leaves equal stand as they would without it. */
#include "plan/planner.h"

struct cut {
    int64_t rows;
    bool with_ties;
    bool is_whole;  /* the cut says all that the condition says */
    uint32_t index; /* of the conjunct */
};

/* ---- conditions that bound a place ---- */

static bool is_integer(const struct expr *e)
{
    enum type_id t = e->type.id;
    return e->kind == EX_CONST && !e->u.konst.is_null && (t == T_INT2 || t == T_INT4 || t == T_INT8);
}

/* `column op constant`, turned round where it was written the other way. */
static bool compares(const struct expr *e, uint32_t *attr, const char **op, int64_t *value)
{
    static const char *const names[] = {"<", "<=", "=", ">=", ">"};
    if (e->kind != EX_FN || e->arg_count != 2)
        return false;
    for (uint32_t side = 0; side < 2; side++) {
        const struct expr *column = e->args[side], *constant = e->args[1 - side];
        if (column->kind != EX_COLUMN || !is_integer(constant))
            continue;
        for (uint32_t i = 0; i < ARRAY_COUNT(names); i++)
            if (strcmp(e->u.fn->name, names[i]) == 0) {
                *op = names[side ? ARRAY_COUNT(names) - 1 - i : i];
                *attr = column->u.column;
                *value = constant->u.konst.v.i;
                return true;
            }
    }
    return false;
}

static const struct rel_window_call *call_of(const struct rel *r, uint32_t attr)
{
    uint32_t own = r->attr_count - r->u.window.call_count;
    for (uint32_t i = 0; i < r->u.window.call_count; i++)
        if (r->attrs[own + i] == attr)
            return &r->u.window.calls[i];
    return NULL;
}

static bool cut_by(const struct rel *r, const struct expr *condition, struct cut *out)
{
    uint32_t attr;
    const char *op;
    int64_t k;
    if (!compares(condition, &attr, &op, &k) || *op == '>')
        return false;
    const struct rel_window_call *c = call_of(r, attr);
    if (!c)
        return false;
    if (strcmp(op, "<") == 0)
        k = k > 0 ? k - 1 : 0;
    k = k > 0 ? k : 0;
    if (c->kind == WINDOW_DENSE_RANK && k > 1) /* that many groups, not rows */
        return false;
    if (c->kind < WINDOW_ROW_NUMBER || c->kind > WINDOW_DENSE_RANK)
        return false;
    out->rows = k;
    out->with_ties = c->kind != WINDOW_ROW_NUMBER;
    out->is_whole = *op == '<' || k <= 1;
    return true;
}

/* ---- calls that see no later row ---- */

/* `1 month -30 days` PRECEDING is allowed, since it is none together, and may lie behind the row. */
static bool ends_before(struct planner *p, const struct rel *r, const struct window_frame *f)
{
    if (!f->end_range.text)
        return true;
    const struct interval *iv = &f->end_range.v.iv;
    enum type_id column = p->s->attrs[r->u.window.order[0].attr].type.id;
    return range_offset_type(column) != T_INTERVAL || (iv->months >= 0 && iv->days >= 0 && iv->usecs >= 0);
}

static bool looks_back(struct planner *p, const struct rel *r, const struct rel_window_call *c,
                       bool with_ties)
{
    const struct window_frame *f = &c->frame;
    switch (c->kind) {
    case WINDOW_ROW_NUMBER:
    case WINDOW_RANK:
    case WINDOW_DENSE_RANK: return true;
    case WINDOW_LAG: return c->arg_count == 1;
    case WINDOW_AGGREGATE:
    case WINDOW_FIRST_VALUE:
    case WINDOW_LAST_VALUE:
    case WINDOW_NTH_VALUE:
        return (f->end == FRAME_CURRENT || (f->end == FRAME_PRECEDING && ends_before(p, r, f))) &&
               (f->mode == FRAME_ROWS || with_ties);
    default: return false;
    }
}

static struct expr *without(struct planner *p, const struct expr *filter, const struct cut *cut)
{
    struct expr *rest = NULL;
    for (uint32_t i = 0; i < conjunct_count(filter); i++)
        if (i != cut->index || !cut->is_whole)
            rest = expr_and(p->arena, rest, conjunct_at(filter, i));
    return rest;
}

static bool all_look_back(struct planner *p, const struct rel *r, const struct expr *rest,
                          const struct attrset *need, bool with_ties)
{
    struct attrset asked = {0};
    uint32_t own = r->attr_count - r->u.window.call_count;
    attrset_add_expr(p, &asked, rest);
    for (uint32_t i = 0; i < r->u.window.call_count; i++) {
        uint32_t attr = r->attrs[own + i];
        bool is_read = attrset_has(need, attr) || attrset_has(&asked, attr);
        if (is_read && !looks_back(p, r, &r->u.window.calls[i], with_ties))
            return false;
    }
    return true;
}

/* The tightest cut that the filter allows; what is left of the filter goes to *rest. */
static bool find_cut(struct planner *p, const struct rel *r, struct expr *filter, const struct attrset *need,
                     struct cut *out, struct expr **rest)
{
    bool found = false;
    for (uint32_t i = 0; i < conjunct_count(filter); i++) {
        struct cut c = {.index = i};
        if (!cut_by(r, conjunct_at(filter, i), &c) || (found && c.rows >= out->rows))
            continue;
        struct expr *left = without(p, filter, &c);
        if (!all_look_back(p, r, left, need, c.with_ties))
            continue;
        found = true;
        *out = c;
        *rest = left;
    }
    return found;
}

/* ---- the node ---- */

static void add_places(struct planner *p, struct attrset *s, const struct rel *r)
{
    for (uint32_t i = 0; i < r->u.window.partition_count; i++)
        attrset_add(p, s, r->u.window.partition[i]);
    for (uint32_t i = 0; i < r->u.window.order_count; i++)
        attrset_add(p, s, r->u.window.order[i].attr);
}

static struct rel *cut_rows(struct planner *p, const struct rel *r, struct rel *in, const struct cut *cut)
{
    struct rel *top = rel_top(p->s, in);
    top->u.top.partition_count = r->u.window.partition_count;
    top->u.top.partition = r->u.window.partition;
    top->u.top.order_count = r->u.window.order_count;
    top->u.top.order = r->u.window.order;
    top->u.top.limit = cut->rows;
    top->u.top.with_ties = cut->with_ties;
    return top;
}

/* The window with only the calls in `need`, over its input pruned and (cut not NULL) cut. */
static struct rel *pruned(struct planner *p, struct rel *r, const struct cut *cut, const struct attrset *need)
{
    uint32_t n = r->u.window.call_count, own = r->attr_count - n, calls = 0;
    struct attrset below = {0};
    struct rel_window_call *kept = ARENA_ARRAY(p->arena, struct rel_window_call, n + 1);
    uint32_t *attrs = ARENA_ARRAY(p->arena, uint32_t, n + 1);
    for (uint32_t i = 0; i < own; i++)
        if (attrset_has(need, r->attrs[i]))
            attrset_add(p, &below, r->attrs[i]);
    for (uint32_t i = 0; i < n; i++) {
        if (!attrset_has(need, r->attrs[own + i]))
            continue;
        const struct rel_window_call *c = &r->u.window.calls[i];
        attrs[calls] = r->attrs[own + i];
        kept[calls++] = *c;
        for (uint32_t k = 0; k < c->arg_count; k++)
            attrset_add(p, &below, c->args[k]);
        if (c->filter != REL_NO_ATTR)
            attrset_add(p, &below, c->filter);
    }
    if (calls || cut)
        add_places(p, &below, r);
    struct rel *in = prune(p, r->inputs[0], &below);
    if (cut)
        in = cut_rows(p, r, in, cut);
    if (!calls)
        return in;
    struct rel *out = rel_new(p->s, REL_WINDOW, 1, in->attr_count + calls);
    out->inputs[0] = in;
    out->u.window = r->u.window;
    out->u.window.calls = kept;
    out->u.window.call_count = calls;
    memcpy(out->attrs, in->attrs, in->attr_count * sizeof(*attrs));
    memcpy(out->attrs + in->attr_count, attrs, calls * sizeof(*attrs));
    rel_seal(out);
    return out;
}

struct rel *prune_window(struct planner *p, struct rel *r, struct expr *filter, const struct attrset *need)
{
    struct cut cut = {0};
    bool is_cut = find_cut(p, r, filter, need, &cut, &filter);
    struct attrset inside = {0};
    for (uint32_t i = 0; i < r->attr_count; i++)
        if (attrset_has(need, r->attrs[i]))
            attrset_add(p, &inside, r->attrs[i]);
    attrset_add_expr(p, &inside, filter);
    struct rel *out = pruned(p, r, is_cut ? &cut : NULL, &inside);
    if (filter)
        out = rel_filter(p->s, out, filter);
    return prune_narrow(p, out, need);
}
