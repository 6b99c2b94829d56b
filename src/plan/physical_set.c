/* INTERSECT and EXCEPT as plan nodes: equal rows of both sides have to meet on one shard.
 *
 * Equal rows agree on every column, so any columns will do to spread them by: those that one side is spread by
 * already, else all. */
#include "plan/planner.h"

static struct port side(struct planner *p, struct rel *r)
{
    struct port in = physical(p, r);
    ASSERT(in.node->schema.column_count == r->attr_count);
    return in;
}

static uint32_t columns_of_part(struct planner *p, const struct plan_node *in, uint32_t *cols)
{
    const struct node_info *info = node_info(p, in);
    if (!info->is_partitioned)
        return 0;
    for (uint32_t i = 0; i < info->part.count; i++)
        cols[i] = info->part.sets[i].cols[0];
    return info->part.count;
}

static struct plan_node **partitioned_alike(struct planner *p, struct plan_node *left,
                                            struct plan_node *right)
{
    struct plan_node **inputs = ARENA_ARRAY(p->arena, struct plan_node *, 2);
    uint32_t all = left->schema.column_count;
    uint32_t *cols = ARENA_ARRAY(p->arena, uint32_t,
                                 all + node_info(p, left)->part.count + node_info(p, right)->part.count + 1);
    uint32_t n = columns_of_part(p, left, cols);
    n = n ? n : columns_of_part(p, right, cols);
    for (uint32_t i = 0; n == 0 && i < all; i++)
        cols[i] = i;
    n = n ? n : all;
    inputs[0] = partition_exactly(p, left, n, cols);
    inputs[1] = partition_exactly(p, right, n, cols);
    return inputs;
}

struct port physical_set(struct planner *p, struct rel *r)
{
    struct plan_node n = {.kind = PLAN_SET, .input_count = 2};
    struct port left = side(p, r->inputs[0]), right = side(p, r->inputs[1]);
    bool intersect = r->u.set.kind == REL_INTERSECT;
    n.u.set.kind = intersect ? SET_INTERSECT : SET_EXCEPT;
    n.u.set.all = r->u.set.all;
    n.schema.column_count = r->attr_count;
    n.schema.columns = ARENA_ARRAY(p->arena, struct column, r->attr_count + 1);
    for (uint32_t i = 0; i < r->attr_count; i++) {
        const struct attr *a = &p->s->attrs[r->attrs[i]];
        const struct column *l = &left.node->schema.columns[i], *o = &right.node->schema.columns[i];
        n.schema.columns[i] = (struct column){
            .name = a->name, .type = a->type, .not_null = l->not_null || (intersect && o->not_null)};
    }
    n.inputs = partitioned_alike(p, left.node, right.node);
    return (struct port){node_get(p, n), r->attrs};
}
