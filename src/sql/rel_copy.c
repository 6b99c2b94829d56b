/* A copy of a relation under new attributes: for what is read twice but cannot be a view, since it mentions columns of an
 * outer query. */
#include "sql/bind.h"

#include <stdlib.h>
#include <string.h>

struct copying {
    struct sql_bound *s;
    uint32_t count;
    uint32_t *to; /* by attribute: its copy, or REL_NO_ATTR for one that the relation does not make */
    const struct copied_recursion *recursions; /* that are being copied, innermost first */
};
struct copied_recursion {
    const struct rel_recursion *from;
    struct rel_recursion *to;
    const struct copied_recursion *outer;
};

static uint32_t copy_of(const struct copying *c, uint32_t attr)
{
    bool made = attr < c->count && c->to[attr] != REL_NO_ATTR;
    return made ? c->to[attr] : attr;
}

static void name_made(struct copying *c, const struct rel *r)
{
    for (uint32_t i = 0; i < r->attr_count; i++) {
        uint32_t attr = r->attrs[i];
        if (attr < c->count && c->to[attr] == REL_NO_ATTR)
            c->to[attr] = attr_new(c->s, c->s->attrs[attr].name, c->s->attrs[attr].type);
    }
    for (uint32_t i = 0; i < r->input_count; i++)
        name_made(c, r->inputs[i]);
}

static struct expr *renamed(void *context, const struct expr *e)
{
    const struct copying *c = context;
    if (e->kind != EX_COLUMN)
        return NULL;
    struct expr *copy = arena_memdup(c->s->arena, e, sizeof(*e));
    copy->u.column = copy_of(c, e->u.column);
    return copy;
}

static struct expr *copy_expr(struct copying *c, const struct expr *e)
{
    return e ? expr_rewrite(c->s->arena, e, renamed, c) : NULL;
}

static struct rel_call copy_call(struct copying *c, struct rel_call call)
{
    uint32_t *more = ARENA_ARRAY(c->s->arena, uint32_t, call.more_count + 1);
    for (uint32_t i = 0; i < call.more_count; i++)
        more[i] = copy_of(c, call.more[i]);
    struct agg_order *order = ARENA_ARRAY(c->s->arena, struct agg_order, call.order_count + 1);
    for (uint32_t i = 0; i < call.order_count; i++) {
        order[i] = call.order[i];
        order[i].column = copy_of(c, order[i].column);
    }
    call.more = more;
    call.order = order;
    call.arg = copy_of(c, call.arg);
    call.filter = copy_of(c, call.filter);
    return call;
}

static void copy_top(struct copying *c, const struct rel *r, struct rel *to)
{
    uint32_t parts = r->u.top.partition_count, orders = r->u.top.order_count;
    to->u.top.partition = ARENA_ARRAY(c->s->arena, uint32_t, parts + 1);
    to->u.top.order = ARENA_ARRAY(c->s->arena, struct rel_order, orders + 1);
    for (uint32_t i = 0; i < parts; i++)
        to->u.top.partition[i] = copy_of(c, r->u.top.partition[i]);
    for (uint32_t i = 0; i < orders; i++) {
        to->u.top.order[i] = r->u.top.order[i];
        to->u.top.order[i].attr = copy_of(c, r->u.top.order[i].attr);
    }
}

static void copy_window(struct copying *c, const struct rel *r, struct rel *to)
{
    uint32_t parts = r->u.window.partition_count, orders = r->u.window.order_count,
             n = r->u.window.call_count;
    to->u.window.partition = ARENA_ARRAY(c->s->arena, uint32_t, parts + 1);
    to->u.window.order = ARENA_ARRAY(c->s->arena, struct rel_order, orders + 1);
    to->u.window.calls = ARENA_ARRAY(c->s->arena, struct rel_window_call, n + 1);
    for (uint32_t i = 0; i < parts; i++)
        to->u.window.partition[i] = copy_of(c, r->u.window.partition[i]);
    for (uint32_t i = 0; i < orders; i++) {
        to->u.window.order[i] = r->u.window.order[i];
        to->u.window.order[i].attr = copy_of(c, r->u.window.order[i].attr);
    }
    for (uint32_t i = 0; i < n; i++) {
        struct rel_window_call *call = &to->u.window.calls[i];
        *call = r->u.window.calls[i];
        for (uint32_t k = 0; k < call->arg_count; k++)
            call->args[k] = copy_of(c, call->args[k]);
        call->filter = copy_of(c, call->filter);
    }
}

static void copy_flatmap(struct copying *c, const struct rel *r, struct rel *to)
{
    uint32_t n = r->u.flatmap.call_count;
    struct rel_set_call *calls = ARENA_ARRAY(c->s->arena, struct rel_set_call, n + 1);
    for (uint32_t i = 0; i < n; i++) {
        calls[i] = r->u.flatmap.calls[i];
        uint32_t *args = ARENA_ARRAY(c->s->arena, uint32_t, calls[i].arg_count + 1);
        for (uint32_t k = 0; k < calls[i].arg_count; k++)
            args[k] = copy_of(c, calls[i].args[k]);
        calls[i].args = args;
    }
    to->u.flatmap.calls = calls;
}

/* The loop of a copy refers to the copy. */
static void copy_loop(struct copying *c, struct rel *to)
{
    for (const struct copied_recursion *x = c->recursions; x; x = x->outer)
        if (x->from == to->u.recursion) {
            x->to->loop = to;
            to->u.recursion = x->to;
            return;
        }
}

static bool copy_parameters(struct copying *c, const struct rel *r, struct rel *to)
{
    switch (r->kind) {
    case REL_VALUES:
    case REL_TABLE:
    case REL_VIEW:
    case REL_UNION_ALL:
    case REL_SET: return true;
    case REL_LOOP: copy_loop(c, to); return true;
    case REL_FILTER: to->u.filter = copy_expr(c, r->u.filter); return true;
    case REL_MAP:
        to->u.exprs = ARENA_ARRAY(c->s->arena, struct expr *, r->attr_count + 1);
        for (uint32_t i = 0; i < r->attr_count; i++)
            to->u.exprs[i] = copy_expr(c, r->u.exprs[i]);
        return true;
    case REL_JOIN:
    case REL_APPLY: to->u.join.on = copy_expr(c, r->u.join.on); return true;
    case REL_FLATMAP: copy_flatmap(c, r, to); return true;
    case REL_WINDOW: copy_window(c, r, to); return true;
    case REL_TOP: copy_top(c, r, to); return true;
    case REL_EXPAND:
        to->u.expand.sources = ARENA_ARRAY(c->s->arena, uint32_t, r->u.expand.key_count + 1);
        for (uint32_t i = 0; i < r->u.expand.key_count; i++)
            to->u.expand.sources[i] = copy_of(c, r->u.expand.sources[i]);
        return true;
    case REL_AGGREGATE:
        to->u.agg.calls = ARENA_ARRAY(c->s->arena, struct rel_call, r->u.agg.call_count + 1);
        for (uint32_t i = 0; i < r->u.agg.call_count; i++)
            to->u.agg.calls[i] = copy_call(c, r->u.agg.calls[i]);
        return true;
    default: return false;
    }
}

static struct rel *copied(struct copying *c, const struct rel *r);

static struct rel *copied_recursion(struct copying *c, const struct rel *r)
{
    struct rel_recursion *x = arena_memdup(c->s->arena, r->u.recursion, sizeof(*x));
    struct copied_recursion inside = {r->u.recursion, x, c->recursions};
    struct rel *to = rel_new(c->s, REL_RECURSE, 2, r->attr_count);
    to->u.recursion = x;
    for (uint32_t i = 0; i < r->attr_count; i++)
        to->attrs[i] = copy_of(c, r->attrs[i]);
    c->recursions = &inside;
    for (uint32_t i = 0; i < 2; i++)
        to->inputs[i] = copied(c, r->inputs[i]);
    c->recursions = inside.outer;
    if (!to->inputs[0] || !to->inputs[1])
        return NULL;
    rel_seal(to);
    return to;
}

static struct rel *copied(struct copying *c, const struct rel *r)
{
    if (r->kind == REL_RECURSE)
        return copied_recursion(c, r);
    struct rel *to = rel_new(c->s, r->kind, r->input_count, r->attr_count);
    to->u = r->u;
    for (uint32_t i = 0; i < r->attr_count; i++)
        to->attrs[i] = copy_of(c, r->attrs[i]);
    for (uint32_t i = 0; i < r->input_count; i++) {
        to->inputs[i] = copied(c, r->inputs[i]);
        if (!to->inputs[i])
            return NULL;
    }
    if (!copy_parameters(c, r, to))
        return NULL;
    if (r->input_count)
        rel_seal(to);
    else
        to->stateful = r->stateful;
    return to;
}

struct rel *rel_copy(struct sql_bound *s, const struct rel *r)
{
    struct copying c = {s, s->attr_count, xcalloc(s->attr_count + 1, sizeof(uint32_t)), NULL};
    for (uint32_t i = 0; i < c.count; i++)
        c.to[i] = REL_NO_ATTR;
    name_made(&c, r);
    struct rel *copy = copied(&c, r);
    free(c.to);
    return copy;
}
