/* REL_TOP and REL_WINDOW to plan nodes.
 *
 * Partitions are gathered on their shards by an exchange. Without partitions everything would go to one shard, so
 * each shard first leaves out what cannot be among the first offset + limit rows: only those travel, and the shard
 * that decides keeps that many of each other one. */
#include "plan/planner.h"

static struct plan_node *top_node(struct planner *p, struct plan_node draft, struct plan_node *in)
{
    draft.schema = in->schema;
    draft.input_count = 1;
    draft.inputs = ARENA_ARRAY(p->arena, struct plan_node *, 1);
    draft.inputs[0] = in;
    return node_get(p, draft);
}

static struct plan_node *cut_locally(struct planner *p, struct plan_node draft, struct plan_node *in)
{
    int64_t rows;
    if (draft.u.top.limit == INT64_MAX ||
        __builtin_add_overflow(draft.u.top.limit, draft.u.top.offset, &rows))
        return in;
    draft.u.top.limit = rows;
    draft.u.top.offset = 0;
    draft.u.top.is_local = true;
    return top_node(p, draft, in);
}

static uint32_t *columns_of(struct planner *p, const struct port *in, uint32_t count, const uint32_t *attrs)
{
    uint32_t *columns = ARENA_ARRAY(p->arena, uint32_t, count + 1);
    for (uint32_t i = 0; i < count; i++)
        columns[i] = port_column(in, attrs[i]);
    return columns;
}

static struct key_column *order_of(struct planner *p, const struct port *in, uint32_t count,
                                   const struct rel_order *order)
{
    struct key_column *out = ARENA_ARRAY(p->arena, struct key_column, count + 1);
    for (uint32_t i = 0; i < count; i++)
        out[i] = (struct key_column){port_column(in, order[i].attr), order[i].desc, order[i].nulls_first};
    return out;
}

struct port physical_top(struct planner *p, struct rel *r)
{
    struct port in = physical(p, r->inputs[0]);
    struct plan_node n = {.kind = PLAN_TOP};
    uint32_t parts = n.u.top.partition_count = r->u.top.partition_count;
    n.u.top.partition = columns_of(p, &in, parts, r->u.top.partition);
    n.u.top.order_count = r->u.top.order_count;
    n.u.top.order = order_of(p, &in, r->u.top.order_count, r->u.top.order);
    n.u.top.limit = r->u.top.limit;
    n.u.top.offset = r->u.top.offset;
    n.u.top.with_ties = r->u.top.with_ties;
    struct plan_node *input = in.node;
    if (!is_partitioned_within(p, input, parts, n.u.top.partition)) {
        if (parts == 0)
            input = cut_locally(p, n, input);
        input = node_exchange(p, input, parts, n.u.top.partition);
    }
    in.node = top_node(p, n, input);
    return in;
}

static void put_window_columns(struct planner *p, struct plan_node *n, const struct rel *r,
                               const struct schema *in)
{
    n->schema.column_count = in->column_count + r->u.window.call_count;
    n->schema.columns = ARENA_ARRAY(p->arena, struct column, n->schema.column_count + 1);
    memcpy(n->schema.columns, in->columns, in->column_count * sizeof(*in->columns));
    for (uint32_t i = 0; i < r->u.window.call_count; i++) {
        const struct plan_window_call *c = &n->u.window.calls[i];
        const struct attr *a = &p->s->attrs[r->attrs[r->attr_count - r->u.window.call_count + i]];
        bool is_count = c->agg && (c->agg->kind == AGG_COUNT || c->agg->kind == AGG_COUNT_STAR);
        bool not_null = is_count || (c->kind >= WINDOW_ROW_NUMBER && c->kind <= WINDOW_CUME_DIST);
        n->schema.columns[in->column_count + i] =
            (struct column){.name = a->name, .type = a->type, .not_null = not_null};
    }
}

/* first_value from UNBOUNDED PRECEDING: the partition's first row, wherever the frame ends behind it. */
static bool looks_at_first(const struct rel_window_call *c)
{
    const struct window_frame *f = &c->frame;
    return c->kind == WINDOW_FIRST_VALUE && f->start == FRAME_UNBOUNDED_PRECEDING &&
           f->exclude == EXCLUDE_NOTHING && f->end != FRAME_PRECEDING && !frame_has_range_offset(f);
}

struct port physical_window(struct planner *p, struct rel *r)
{
    struct rel *simpler = without_whole_partitions(p, r);
    if (simpler != r)
        return physical(p, simpler);
    r = turned_round(p, r);
    struct port in = physical(p, r->inputs[0]);
    struct plan_node n = {.kind = PLAN_WINDOW, .input_count = 1};
    uint32_t parts = n.u.window.partition_count = r->u.window.partition_count, calls = r->u.window.call_count;
    n.u.window.partition = columns_of(p, &in, parts, r->u.window.partition);
    n.u.window.order_count = r->u.window.order_count;
    n.u.window.order = order_of(p, &in, r->u.window.order_count, r->u.window.order);
    n.u.window.call_count = calls;
    n.u.window.calls = ARENA_ARRAY(p->arena, struct plan_window_call, calls + 1);
    for (uint32_t i = 0; i < calls; i++) {
        const struct rel_window_call *c = &r->u.window.calls[i];
        struct plan_window_call *out = &n.u.window.calls[i];
        *out = (struct plan_window_call){.kind = c->kind,
                                         .agg = c->agg,
                                         .arg_count = c->arg_count,
                                         .frame = c->frame,
                                         .has_offset = c->has_offset,
                                         .offset = c->offset,
                                         .place = c->place};
        if (looks_at_first(c)) {
            out->frame.mode = FRAME_ROWS;
            out->frame.end = FRAME_CURRENT;
        }
        for (uint32_t k = 0; k < c->arg_count; k++)
            out->args[k] = port_column(&in, c->args[k]);
        out->filter = c->filter == REL_NO_ATTR ? PLAN_NO_COLUMN : port_column(&in, c->filter);
    }
    put_window_columns(p, &n, r, &in.node->schema);
    uint32_t own = in.node->schema.column_count;
    uint32_t *attrs = ARENA_ARRAY(p->arena, uint32_t, own + calls + 1);
    for (uint32_t i = 0; i < own + calls; i++)
        attrs[i] = i < own ? in.attrs[i] : r->attrs[r->attr_count - calls + (i - own)];
    n.inputs = ARENA_ARRAY(p->arena, struct plan_node *, 1);
    n.inputs[0] = is_partitioned_within(p, in.node, parts, n.u.window.partition)
                      ? in.node
                      : node_exchange(p, in.node, parts, n.u.window.partition);
    return (struct port){node_get(p, n), attrs};
}
