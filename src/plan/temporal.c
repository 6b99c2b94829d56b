/* now(): an expression of a view may compare a time of the row with the clock, and nothing else, because only a comparison
 * changes at instants that can be known beforehand.
 *
 * Every comparison `key op clock`, where only the clock's side mentions now() and only the key's side mentions
 * columns, becomes a PLAN_TEMPORAL node: a filter where it is a condition of its own, else a column of truth values
 * that stands in for it (OR, CASE, FILTER, SELECT list). now() - key op interval is the same with its sides moved.
 * The clock's side is built of what keeps order: casts between date and timestamps, whole intervals added, truncation. Months
 * and time zones may step back now and then; the operator knows how far and when (steps_back). */
#include "plan/planner.h"

#include <stdlib.h>

#define QUARTERS_BACK_DAYS 5   /* a month's end cut off by at most 3 days, a zone's change by less than 2 */
#define TRUNC_BACK_DAYS    400 /* a truncation makes a year of a step */
#define DAY_US             INT64_C(86400000000)

static const struct type boolean = {T_BOOL, -1};

bool has_now(const struct expr *e)
{
    if (e->kind == EX_NOW)
        return true;
    for (uint32_t i = 0; i < e->arg_count; i++)
        if (has_now(e->args[i]))
            return true;
    return false;
}

static void note_column(void *context, uint32_t column)
{
    (void)column;
    *(bool *)context = true;
}

static bool has_columns(const struct expr *e)
{
    bool any = false;
    expr_columns(e, note_column, &any);
    return any;
}

/* ---- the clock's side ---- */

struct clock_shape {
    bool steps_back, truncates;
};

static bool is_time(enum type_id t)
{
    return t == T_DATE || t == T_TIMESTAMP || t == T_TIMESTAMPTZ;
}

static bool is_fn(const struct expr *e, const char *name)
{
    return e->kind == EX_FN && strcmp(e->u.fn->name, name) == 0;
}

static bool is_known(const struct expr *e)
{
    return !has_now(e) && !has_columns(e);
}

static void note_shift(const struct expr *by, struct clock_shape *shape)
{
    if (by->type.id == T_INTERVAL && (by->kind != EX_CONST || by->u.konst.is_null || by->u.konst.v.iv.months))
        shape->steps_back = true;
}

/* Whether e never falls while now() rises, but for what shape says. */
static bool keeps_order(const struct expr *e, struct clock_shape *shape)
{
    if (e->kind == EX_NOW)
        return true;
    if (!is_time(e->type.id))
        return false;
    if (e->kind == EX_CAST || e->kind == EX_TYPMOD)
        return keeps_order(e->args[0], shape);
    if (e->kind != EX_FN)
        return false;
    if (e->arg_count == 2 && (is_fn(e, "+") || is_fn(e, "-"))) {
        uint32_t moving = is_fn(e, "+") && has_now(e->args[1]);
        note_shift(e->args[1 - moving], shape);
        return is_known(e->args[1 - moving]) && keeps_order(e->args[moving], shape);
    }
    bool trunc = is_fn(e, "date_trunc"), zone = is_fn(e, "timezone");
    if (!trunc && !zone && !is_fn(e, "date_bin"))
        return false;
    for (uint32_t i = 0; i < e->arg_count; i++)
        if (i != 1 && !is_known(e->args[i]))
            return false;
    shape->truncates |= !zone;
    shape->steps_back |= zone || (trunc && e->arg_count == 3);
    return keeps_order(e->args[1], shape);
}

static struct expr *now_to_column(void *context, const struct expr *e)
{
    struct planner *p = context;
    return e->kind == EX_NOW ? expr_column(p->arena, 0, e->type) : NULL;
}

/* ---- comparisons ---- */

struct comparison {
    struct expr *key, *clock;
    enum comparison_op op;
};

static bool comparison_op(const char *name, enum comparison_op *out)
{
    static const char *const names[] = {"<", "<=", "=", "<>", ">=", ">"};
    for (uint32_t i = 0; i < ARRAY_COUNT(names); i++)
        if (strcmp(name, names[i]) == 0) {
            *out = (enum comparison_op)i;
            return true;
        }
    return false;
}

/* a op b as b op' a */
static enum comparison_op mirrored(enum comparison_op op)
{
    static const enum comparison_op other[] = {COMPARE_GT, COMPARE_GE, COMPARE_EQ,
                                               COMPARE_NE, COMPARE_LE, COMPARE_LT};
    return other[op];
}

static struct expr *binary(struct planner *p, const char *op, struct expr *a, struct expr *b)
{
    const struct fn *rows[256];
    uint32_t n = fn_find(op, true, rows, ARRAY_COUNT(rows));
    for (uint32_t i = 0; i < n; i++) {
        if (rows[i]->arg_count != 2 || rows[i]->args[0] != a->type.id || rows[i]->args[1] != b->type.id)
            continue;
        struct expr *e = expr_new(p->arena, EX_FN, (struct type){rows[i]->result, -1}, 2);
        e->u.fn = rows[i];
        e->args[0] = a;
        e->args[1] = b;
        return e;
    }
    return NULL;
}

/* Intervals are compared by their spans, a month for 30 days and a day for 24 hours. */
static struct expr *span_of(struct planner *p, const struct expr *e)
{
    struct expr *k = arena_memdup(p->arena, e, sizeof(*e));
    const struct interval *iv = &e->u.konst.v.iv;
    int64_t days = (int64_t)iv->months * 30 + iv->days, us;
    if (__builtin_mul_overflow(days, DAY_US, &us) || __builtin_add_overflow(us, iv->usecs, &us))
        return NULL;
    k->u.konst.v.iv = (struct interval){.usecs = us};
    return k;
}

/* The key itself, by way of a difference: as the difference with now() would, it fails for infinity. */
static struct expr *finite_key(struct planner *p, struct expr *key)
{
    struct expr *start = expr_new(p->arena, EX_CONST, key->type, 0); /* 2000-01-01, value 0 */
    struct expr *difference = binary(p, "-", key, start);
    return difference ? binary(p, "+", start, difference) : NULL;
}

/* now() - key op limit, key - now() op limit, as a comparison of times. */
static bool move_sides(struct planner *p, struct expr *difference, struct expr *limit, enum comparison_op op,
                       struct comparison *out)
{
    bool is_span = limit->type.id == T_INTERVAL;
    if (!is_fn(difference, "-") || difference->arg_count != 2 || limit->kind != EX_CONST ||
        limit->u.konst.is_null || (!is_span && limit->type.id != T_INT4))
        return false;
    struct expr *a = difference->args[0], *b = difference->args[1];
    if (!is_time(a->type.id) || !is_time(b->type.id) || has_now(a) == has_now(b))
        return false;
    limit = is_span ? span_of(p, limit) : limit;
    if (!limit)
        return false;
    bool now_first =
        has_now(a); /* now - key < limit: key > now - limit; key - now < limit: key < now + limit */
    out->key = finite_key(p, now_first ? b : a);
    out->clock = binary(p, now_first ? "-" : "+", now_first ? a : b, limit);
    out->op = now_first ? mirrored(op) : op;
    return out->key && out->clock;
}

static bool to_type(struct planner *p, struct expr **e, enum type_id to)
{
    if ((*e)->type.id == to)
        return true;
    const struct cast *c = cast_find((*e)->type.id, to);
    if (!c || !c->eval)
        return false;
    struct expr *x = expr_new(p->arena, EX_CAST, (struct type){to, -1}, 1);
    x->args[0] = *e;
    x->u.cast = c;
    *e = x;
    return true;
}

/* date < timestamp < timestamptz: the operators between two of them convert to the later one. */
static bool same_type(struct planner *p, struct comparison *c)
{
    enum type_id a = c->key->type.id, b = c->clock->type.id;
    if (!is_time(a) || !is_time(b))
        return false;
    enum type_id to = a == T_TIMESTAMPTZ || b == T_TIMESTAMPTZ ? T_TIMESTAMPTZ
                      : a == T_TIMESTAMP || b == T_TIMESTAMP   ? T_TIMESTAMP
                                                               : T_DATE;
    return to_type(p, &c->key, to) && to_type(p, &c->clock, to);
}

static bool read_comparison(struct planner *p, const struct expr *e, struct comparison *c)
{
    enum comparison_op op;
    if (e->kind != EX_FN || e->arg_count != 2 || !comparison_op(e->u.fn->name, &op))
        return false;
    uint32_t now = has_now(e->args[1]);
    if (has_now(e->args[1 - now]))
        return false;
    *c = (struct comparison){e->args[1 - now], e->args[now], now ? op : mirrored(op)};
    if (!is_time(c->clock->type.id) && !move_sides(p, c->clock, c->key, mirrored(c->op), c))
        return false;
    return !has_columns(c->clock) && same_type(p, c);
}

static struct plan_node *put_comparison(struct planner *p, struct plan_node *in, const struct comparison *c,
                                        bool is_filter, const struct clock_shape *shape)
{
    struct plan_node draft = {.kind = PLAN_TEMPORAL};
    int64_t days = shape->truncates ? TRUNC_BACK_DAYS : QUARTERS_BACK_DAYS;
    draft.u.temporal.key = c->key;
    draft.u.temporal.clock = expr_rewrite(p->arena, c->clock, now_to_column, p);
    draft.u.temporal.op = c->op;
    draft.u.temporal.is_filter = is_filter;
    draft.u.temporal.steps_back = shape->steps_back;
    draft.u.temporal.slack = !shape->steps_back ? 0 : c->key->type.id == T_DATE ? days : days * DAY_US;
    return node_temporal(p, in, &draft);
}

/* ---- refusing ---- */

static const struct expr *find_now(const struct expr *e)
{
    if (e->kind == EX_NOW)
        return e;
    for (uint32_t i = 0; i < e->arg_count; i++) {
        const struct expr *found = find_now(e->args[i]);
        if (found)
            return found;
    }
    return NULL;
}

struct expr *temporal_refuse(struct planner *p, struct expr *e, const char *why)
{
    const struct expr *now = find_now(e);
    struct err *err = now->file ? err_at(ERR_UNSUPPORTED, now->file, now->line, now->position,
                                         "now() cannot be used here: %s", why)
                                : err_new(ERR_UNSUPPORTED, "now() cannot be used here: %s", why);
    err_append(p->errs, err_hint(err, "compare a date or timestamp with it, as in WHERE created_at > now() - "
                                      "interval '1 hour'; intervals, casts between dates and timestamps, "
                                      "date_trunc, date_bin and AT TIME ZONE may be applied to it"));
    struct expr *null = expr_new(p->arena, EX_CONST, e->type, 0);
    null->u.konst.is_null = true;
    return null;
}

/* ---- what the rest of the planner calls ---- */

struct replacing {
    struct planner *p;
    struct plan_node **in;
};

static struct expr *replace_comparison(void *context, const struct expr *e)
{
    struct replacing *r = context;
    struct comparison c;
    struct clock_shape shape = {0};
    if (e->kind == EX_NOW)
        return temporal_refuse(r->p, (struct expr *)e,
                               "a view changes with the clock only where a time of its rows "
                               "passes it");
    if (!has_now(e) || !read_comparison(r->p, e, &c))
        return NULL;
    if (!keeps_order(c.clock, &shape))
        return temporal_refuse(r->p, (struct expr *)e,
                               "it is not known when this side of the comparison changes");
    *r->in = put_comparison(r->p, *r->in, &c, false, &shape);
    return expr_column(r->p->arena, (*r->in)->schema.column_count - 1, boolean);
}

struct expr *temporal_columns(struct planner *p, struct plan_node **in, struct expr *e)
{
    struct replacing r = {p, in};
    return has_now(e) ? expr_rewrite(p->arena, e, replace_comparison, &r) : e;
}

/* Conditions without now() come first: what they drop need not wait for its time. */
struct plan_node *temporal_filter(struct planner *p, struct plan_node *in, struct expr *filter)
{
    struct expr *plain = NULL, *rest = NULL;
    for (uint32_t i = 0; i < conjunct_count(filter); i++)
        if (!has_now(conjunct_at(filter, i)))
            plain = expr_and(p->arena, plain, conjunct_at(filter, i));
    in = plain ? node_filter(p, in, plain) : in;
    for (uint32_t i = 0; i < conjunct_count(filter); i++) {
        struct expr *e = conjunct_at(filter, i);
        struct comparison c;
        struct clock_shape shape = {0};
        if (!has_now(e))
            continue;
        if (read_comparison(p, e, &c) && keeps_order(c.clock, &shape))
            in = put_comparison(p, in, &c, true, &shape);
        else
            rest = expr_and(p->arena, rest, e);
    }
    if (!rest)
        return in;
    rest = temporal_columns(p, &in, rest);
    return node_filter(p, in, rest);
}

/* ---- what has to do with the clock ---- */

void plan_clock_views(const struct plan *p, bool *uses)
{
    bool *below = xcalloc(p->node_count, sizeof *below);
    for (uint32_t i = 0; i < p->node_count; i++) { /* inputs come before what reads them */
        const struct plan_node *n = p->nodes[i];
        below[i] = n->kind == PLAN_TEMPORAL;
        for (uint32_t k = 0; k < n->input_count; k++)
            below[i] |= below[n->inputs[k]->id];
    }
    for (uint32_t v = 0; v < p->view_count; v++)
        uses[v] = p->views[v]->sink && below[p->views[v]->sink->id];
    free(below);
}
