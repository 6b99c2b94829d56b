/* REL_TOP to plan nodes.
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

struct port physical_top(struct planner *p, struct rel *r)
{
    struct port in = physical(p, r->inputs[0]);
    struct plan_node n = {.kind = PLAN_TOP};
    uint32_t parts = n.u.top.partition_count = r->u.top.partition_count;
    n.u.top.partition = ARENA_ARRAY(p->arena, uint32_t, parts + 1);
    for (uint32_t i = 0; i < parts; i++)
        n.u.top.partition[i] = port_column(&in, r->u.top.partition[i]);
    n.u.top.order_count = r->u.top.order_count;
    n.u.top.order = ARENA_ARRAY(p->arena, struct key_column, r->u.top.order_count + 1);
    for (uint32_t i = 0; i < r->u.top.order_count; i++) {
        const struct rel_order *o = &r->u.top.order[i];
        n.u.top.order[i] = (struct key_column){port_column(&in, o->attr), o->desc, o->nulls_first};
    }
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
