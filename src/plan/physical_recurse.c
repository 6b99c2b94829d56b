/* WITH RECURSIVE as plan nodes. Both terms' rows go to one shard, for a round ends when all its rows are known, and that
 * is known without asking other shards there. What does not depend on the recursion is planned like anything else. */
#include "plan/planner.h"

struct port physical_loop(struct rel *r)
{
    struct plan_node *loop = r->u.recursion->plan;
    ASSERT(loop && loop->schema.column_count == r->attr_count);
    return (struct port){loop, r->attrs};
}

static struct plan_node *loop_node(struct planner *p, const struct rel *r, const struct plan_node *base,
                                   const bool *not_null)
{
    uint32_t n = r->attr_count;
    struct plan_node loop = {.kind = PLAN_LOOP};
    loop.u.loop.number = p->loop_count++;
    loop.u.loop.base = base;
    loop.schema.column_count = n + 1;
    loop.schema.columns = ARENA_ARRAY(p->arena, struct column, n + 1);
    for (uint32_t i = 0; i < n; i++) {
        const struct attr *a = &p->s->attrs[r->attrs[i]];
        loop.schema.columns[i] = (struct column){.name = a->name, .type = a->type, .not_null = not_null[i]};
    }
    loop.schema.columns[n] = (struct column){.name = "depth", .type = {T_INT8, -1}, .not_null = true};
    return node_get(p, loop);
}

/* The recursive term's node. A column is never NULL if it is not in the non-recursive term, and then not in the recursive
 * one either: that is supposed of all and taken back as long as it turns out to be wrong. */
static struct plan_node *step_node(struct planner *p, const struct rel *r, const struct plan_node *base,
                                   bool *not_null)
{
    for (;;) {
        r->u.recursion->plan = loop_node(p, r, base, not_null);
        struct plan_node *step = partition_exactly(p, physical(p, r->inputs[1]).node, 0, NULL);
        ASSERT(step->schema.column_count == r->attr_count + 1);
        bool holds = true;
        for (uint32_t i = 0; i < r->attr_count; i++) {
            bool may_be_null = not_null[i] && !step->schema.columns[i].not_null;
            not_null[i] &= !may_be_null;
            holds &= !may_be_null;
        }
        if (holds)
            return step;
    }
}

/* The same recursion planned before, for another view; NULL: none. */
static struct plan_node *planned_before(struct planner *p, const struct plan_node *n)
{
    for (uint32_t i = 0; i < n->id; i++) {
        struct plan_node *other = p->plan->nodes[i];
        if (other->kind == PLAN_RECURSE && p->infos[i].row_hash == node_info(p, n)->row_hash)
            return other;
    }
    return NULL;
}

struct port physical_recurse(struct planner *p, struct rel *r)
{
    struct plan_node *base = partition_exactly(p, physical(p, r->inputs[0]).node, 0, NULL);
    bool *not_null = ARENA_ARRAY(p->arena, bool, r->attr_count + 1);
    ASSERT(base->schema.column_count == r->attr_count);
    for (uint32_t i = 0; i < r->attr_count; i++)
        not_null[i] = base->schema.columns[i].not_null;
    struct plan_node n = {.kind = PLAN_RECURSE, .input_count = 2};
    n.inputs = ARENA_ARRAY(p->arena, struct plan_node *, 2);
    n.inputs[0] = base;
    n.inputs[1] = step_node(p, r, base, not_null);
    n.u.recurse.all = r->u.recursion->all;
    n.u.recurse.loop = r->u.recursion->plan;
    n.schema = (struct schema){r->attr_count, n.u.recurse.loop->schema.columns};
    struct plan_node *node = node_get(p, n), *before = planned_before(p, node);
    return (struct port){before ? before : node, r->attrs};
}
