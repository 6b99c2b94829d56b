/* session(table, column, gap [, partition columns...]) in FROM: the table's columns and the bounds of the session that a
 * row is in, as window_start and window_end.
 *
 * A row's time opens the interval [time, time + gap); rows of a partition whose intervals overlap, also by way of others, are
 * a session, which begins with its first row and ends a gap after its last (as in Flink and Beam). It is made of window
 * functions whose results settle, so that a change costs the rows whose session changes and not the partition:
 *
 *   first: the time, where the row before is not less than a gap before; its running max is the session's begin
 *   last:  the time, where the row after is not less than a gap after; its running min from the end is the session's end */
#include "sql/bind.h"
#include "types/datetime.h"
#include "types/set_fn.h"

#include <string.h>

struct session {
    struct bind *b;
    const struct ast *call;
    struct expr *time, *gap;
    uint32_t part_count;
    struct expr **parts;
};

/* ---- arguments ---- */

static bool is_time(enum type_id id)
{
    return id == T_TIMESTAMP || id == T_TIMESTAMPTZ || id == T_DATE;
}

static bool bind_gap(struct session *s)
{
    static const struct scope nothing;
    const struct ast *at = s->call->args[2];
    struct expr_env env = {.b = s->b, .scope = &nothing, .clause = "the gap of sessions"};
    struct fn_ctx ctx = {.arena = s->b->arena};
    int64_t width;
    s->gap = bind_expr(&env, at);
    s->gap = s->gap ? coerce(s->b, s->gap, (struct type){T_INTERVAL, -1}, CAST_IMPLICIT, at->pos) : NULL;
    if (!s->gap)
        return false;
    if (s->gap->kind != EX_CONST)
        bind_error(s->b, ERR_UNSUPPORTED, at->pos, NULL,
                   "a gap of sessions that is not a constant is not supported yet");
    else if (s->gap->u.konst.is_null)
        bind_error(s->b, ERR_CONFIG, at->pos, NULL, "the gap of sessions must not be NULL");
    else if (!set_window_width(&ctx, &s->gap->u.konst.v.iv, "the gap of sessions", &width))
        bind_error(s->b, ERR_CONFIG, at->pos, NULL, "%s", ctx.error_text);
    else if (s->time->type.id == T_DATE && width % USECS_PER_DAY)
        bind_error(s->b, ERR_CONFIG, at->pos, NULL,
                   "the gap of sessions must be whole days for a column of type date");
    else
        return true;
    return false;
}

static bool bind_parts(struct session *s, const struct scope *table)
{
    const struct ast *a = s->call;
    s->parts = ARENA_ARRAY(s->b->arena, struct expr *, a->arg_count);
    for (uint32_t i = 3; i < a->arg_count; i++) {
        if (a->args[i]->kind != AST_COLUMN || a->args[i]->name_count != 1) {
            bind_error(s->b, ERR_CONFIG, a->args[i]->pos, NULL,
                       "session() takes columns of its table to partition by");
            return false;
        }
        struct expr *e = scope_find(s->b, table, a->args[i]);
        if (!e)
            return false;
        if (!type_info(e->type.id)->comparable) {
            bind_error(s->b, ERR_CONFIG, a->args[i]->pos, NULL,
                       "could not identify an equality operator for type %s", type_info(e->type.id)->name);
            return false;
        }
        s->parts[s->part_count++] = e;
    }
    return true;
}

static bool bind_session_arguments(struct session *s, const struct scope *table)
{
    const struct ast *at = s->call->args[1];
    s->time = scope_find(s->b, table, at);
    if (!s->time)
        return false;
    if (!is_time(s->time->type.id)) {
        bind_error(s->b, ERR_CONFIG, at->pos, NULL,
                   "session() is about a column of type timestamp, timestamp with time zone or date, not %s",
                   type_info(s->time->type.id)->name);
        return false;
    }
    bool ok = bind_gap(s);
    return bind_parts(s, table) && ok;
}

/* ---- expressions ---- */

static struct expr *apply(struct session *s, const char *operator, struct expr * left, struct expr *right)
{
    struct expr *args[2] = {left, right};
    return left && right ? resolve_operator(s->b, operator, 2, args, s->call->pos) : NULL;
}

/* A gap after the time, in the time's type. */
static struct expr *gap_after(struct session *s, struct expr *time)
{
    struct expr *e = apply(s, "+", time, s->gap);
    return e ? coerce(s->b, e, s->time->type, CAST_ASSIGNMENT, s->call->pos) : NULL;
}

/* The time, unless the earlier one is less than a gap before the later one. */
static struct expr *unless_near(struct session *s, struct expr *earlier, struct expr *later)
{
    struct expr *near = apply(s, "<", later, gap_after(s, earlier));
    struct expr *e = expr_new(s->b->arena, EX_CASE, s->time->type, 3);
    if (!near)
        return NULL;
    e->args[0] = near;
    e->args[1] = expr_new(s->b->arena, EX_CONST, s->time->type, 0);
    e->args[1]->u.konst.is_null = true;
    e->args[2] = s->time;
    return e;
}

/* ---- relations ---- */

/* `input` with the calls over its rows by time. */
static struct rel *windows(struct session *s, struct rel *input, bool desc, uint32_t count,
                           const struct rel_window_call *calls, const uint32_t *attrs)
{
    struct rel *r = rel_new(s->b->out, REL_WINDOW, 1, input->attr_count + count);
    r->inputs[0] = input;
    memcpy(r->attrs, input->attrs, input->attr_count * sizeof(*attrs));
    memcpy(r->attrs + input->attr_count, attrs, count * sizeof(*attrs));
    r->u.window.partition = ARENA_ARRAY(s->b->arena, uint32_t, s->part_count + 1);
    for (uint32_t i = 0; i < s->part_count; i++)
        r->u.window.partition[r->u.window.partition_count++] = s->parts[i]->u.column;
    r->u.window.order = ARENA_NEW(s->b->arena, struct rel_order);
    r->u.window.order[0] = (struct rel_order){s->time->u.column, desc, desc};
    r->u.window.order_count = 1;
    r->u.window.call_count = count;
    r->u.window.calls = arena_memdup(s->b->arena, calls, count * sizeof(*calls));
    rel_seal(r);
    return r;
}

static struct rel *with_neighbours(struct session *s, struct rel *input, struct expr **before,
                                   struct expr **after)
{
    uint32_t attrs[2];
    struct rel_window_call calls[2];
    for (int i = 0; i < 2; i++) {
        calls[i] = (struct rel_window_call){.kind = i ? WINDOW_LEAD : WINDOW_LAG,
                                            .arg_count = 1,
                                            .args = {s->time->u.column},
                                            .filter = REL_NO_ATTR,
                                            .has_offset = true,
                                            .offset = 1};
        attrs[i] = attr_new(s->b->out, i ? "lead" : "lag", s->time->type);
    }
    *before = attr_expr(s->b->out, attrs[0]);
    *after = attr_expr(s->b->out, attrs[1]);
    return windows(s, input, false, 2, calls, attrs);
}

/* The input with a running max, or (from the end) min, of its last column but `back`. */
static struct rel *with_running(struct session *s, struct rel *input, bool from_end, uint32_t attr,
                                uint32_t *out)
{
    struct expr *arg = attr_expr(s->b->out, attr);
    struct rel_window_call call = {
        .kind = WINDOW_AGGREGATE,
        .agg = resolve_aggregate(s->b, from_end ? "min" : "max", false, 1, &arg, s->call->pos),
        .arg_count = 1,
        .args = {attr},
        .filter = REL_NO_ATTR,
        .frame = {.mode = FRAME_RANGE, .start = FRAME_UNBOUNDED_PRECEDING, .end = FRAME_CURRENT}};
    *out = attr_new(s->b->out, from_end ? "last" : "window_start", s->time->type);
    return call.agg ? windows(s, input, from_end, 1, &call, out) : NULL;
}

/* The input's columns and two more. */
static struct rel *with_two(struct session *s, struct rel *input, uint32_t keep, struct expr *one,
                            struct expr *two, const char *const *names)
{
    struct rel *map = rel_new(s->b->out, REL_MAP, 1, keep + 2);
    map->inputs[0] = input;
    map->u.exprs = ARENA_ARRAY(s->b->arena, struct expr *, keep + 2);
    for (uint32_t i = 0; i < keep; i++) {
        map->attrs[i] = input->attrs[i];
        map->u.exprs[i] = attr_expr(s->b->out, input->attrs[i]);
    }
    map->u.exprs[keep] = one;
    map->u.exprs[keep + 1] = two;
    for (uint32_t i = 0; i < 2; i++)
        map->attrs[keep + i] = attr_new(s->b->out, names[i], s->time->type);
    rel_seal(map);
    return map;
}

static struct rel *session_rel(struct session *s, struct rel *input)
{
    static const char *const ends[] = {"first", "last"}, *const bounds[] = {"window_start", "window_end"};
    uint32_t own = input->attr_count, begin, last;
    struct expr *before, *after, *finite = s->time;
    finite = resolve_function(s->b, "isfinite", 1, &finite, s->call->pos);
    if (!finite)
        return NULL;
    struct rel *r = with_neighbours(s, rel_filter(s->b->out, input, finite), &before, &after);
    struct expr *first = unless_near(s, before, s->time), *final = unless_near(s, s->time, after);
    if (!first || !final)
        return NULL;
    r = with_two(s, r, own, first, final, ends);
    uint32_t first_attr = r->attrs[own], last_attr = r->attrs[own + 1];
    r = with_running(s, r, false, first_attr, &begin);
    r = r ? with_running(s, r, true, last_attr, &last) : NULL;
    struct expr *end = r ? gap_after(s, attr_expr(s->b->out, last)) : NULL;
    return end ? with_two(s, r, own, attr_expr(s->b->out, begin), end, bounds) : NULL;
}

/* Columns of a table, view or subquery are attributes; others become such. */
static struct rel *plain_columns(struct bind *b, struct rel *input, struct scope_item *item)
{
    bool plain = true;
    for (uint32_t i = 0; i < item->column_count; i++)
        plain &= item->columns[i].expr->kind == EX_COLUMN;
    if (plain)
        return input;
    struct expr **exprs = ARENA_ARRAY(b->arena, struct expr *, item->column_count);
    const char **names = ARENA_ARRAY(b->arena, const char *, item->column_count);
    for (uint32_t i = 0; i < item->column_count; i++) {
        exprs[i] = item->columns[i].expr;
        names[i] = item->columns[i].name;
    }
    struct rel *map = rel_map(b->out, input, item->column_count, exprs, names);
    for (uint32_t i = 0; i < item->column_count; i++)
        item->columns[i].expr = attr_expr(b->out, map->attrs[i]);
    return map;
}

struct rel *bind_session(struct bind *b, const struct ast *call, struct rel *input, struct scope *table)
{
    struct session s = {.b = b, .call = call};
    input = plain_columns(b, input, &table->items[0]);
    return bind_session_arguments(&s, table) ? session_rel(&s, input) : NULL;
}
