/* Joins: equality conditions become key columns (computed by a map in front where they are expressions), the
 * rest a residual; both sides are brought to shards by the same key columns. */
#include "plan/planner.h"

struct join_draft {
    struct planner *p;
    struct port sides[2];
    uint32_t column_counts[2]; /* before helper columns */
    uint32_t key_count;
    struct expr **keys[2]; /* over each side's columns */
    struct expr *residual; /* over attributes */
};

/* ---- keys ---- */

static struct expr *cast_key(struct planner *p, struct expr *e, const struct cast *c, enum type_id to)
{
    struct type plain = {to, -1};
    struct expr *x = expr_new(p->arena, EX_CAST, plain, 1);
    if (!c->eval && to != T_BPCHAR) { /* another name for the same value; char(n) has another key encoding */
        x = arena_memdup(p->arena, e, sizeof(*e));
        x->type = plain;
        return x;
    }
    x->args[0] = e;
    x->u.cast = c;
    return x;
}

/* Brings both sides to one encoding of equal values; false when no implicit cast does. */
static bool meet(struct planner *p, struct expr **l, struct expr **r)
{
    *l = (struct expr *)strip_widening(*l);
    *r = (struct expr *)strip_widening(*r);
    if (types_share_encoding((*l)->type, (*r)->type))
        return (*l)->type.id != T_JSONB; /* equal documents may differ as text */
    struct expr **sides[2] = {l, r};
    for (uint32_t i = 0; i < 2; i++) {
        enum type_id from = (*sides[i])->type.id, to = (*sides[1 - i])->type.id;
        const struct cast *c = cast_find(from, to);
        if (!c || c->context != CAST_IMPLICIT)
            continue;
        *sides[i] = cast_key(p, *sides[i], c, to);
        return true;
    }
    return false;
}

static void split(struct join_draft *d, const struct rel *r)
{
    struct attrset sets[2] = {{0}, {0}};
    const struct expr *on = r->u.join.on;
    uint32_t n = conjunct_count(on);
    for (uint32_t i = 0; i < 2; i++) {
        attrset_add_rel(d->p, &sets[i], r->inputs[i]);
        d->keys[i] = ARENA_ARRAY(d->p->arena, struct expr *, n + 1);
    }
    for (uint32_t i = 0; i < n; i++) {
        struct expr *c = conjunct_at(on, i), *left, *right;
        if (equi_condition(c, &sets[0], &sets[1], &left, &right) && meet(d->p, &left, &right)) {
            d->keys[0][d->key_count] = port_expr(d->p, &d->sides[0], left);
            d->keys[1][d->key_count++] = port_expr(d->p, &d->sides[1], right);
        } else {
            d->residual = expr_and(d->p->arena, d->residual, c);
        }
    }
}

/* The column of the side that holds key i; a helper column is added when it has to be computed. */
static uint32_t *key_columns(struct join_draft *d, uint32_t side)
{
    struct planner *p = d->p;
    struct port *in = &d->sides[side];
    uint32_t n = in->node->schema.column_count, total = n;
    d->column_counts[side] = n;
    struct expr **exprs = ARENA_ARRAY(p->arena, struct expr *, n + d->key_count + 1);
    const char **names = ARENA_ARRAY(p->arena, const char *, n + d->key_count + 1);
    uint32_t *attrs = ARENA_ARRAY(p->arena, uint32_t, n + d->key_count + 1);
    uint32_t *columns = ARENA_ARRAY(p->arena, uint32_t, d->key_count + 1);
    for (uint32_t i = 0; i < n; i++) {
        exprs[i] = expr_column(p->arena, i, in->node->schema.columns[i].type);
        names[i] = in->node->schema.columns[i].name;
        attrs[i] = in->attrs[i];
    }
    for (uint32_t k = 0; k < d->key_count; k++) {
        struct expr *e = d->keys[side][k];
        columns[k] = total;
        if (e->kind == EX_COLUMN &&
            types_share_encoding(e->type, in->node->schema.columns[e->u.column].type)) {
            columns[k] = e->u.column;
            continue;
        }
        for (uint32_t i = n; i < total; i++)
            if (expr_equal(exprs[i], e))
                columns[k] = i;
        if (columns[k] < total)
            continue;
        exprs[total] = e;
        names[total] = "key";
        attrs[total++] = REL_NO_ATTR;
    }
    if (total > n)
        *in = port_map(p, *in, total, exprs, attrs, names);
    return columns;
}

/* ---- partitioning ---- */

/* Which join keys the side's rows are placed by, as indexes into the key list; false if by anything else. */
static bool placed_by_keys(struct planner *p, const struct plan_node *in, uint32_t key_count,
                           const uint32_t *columns, uint32_t *order, uint32_t *count)
{
    const struct node_info *info = node_info(p, in);
    if (!info->is_partitioned ||
        (info->part.count == 0 && key_count > 0)) /* one shard: better spread by key */
        return false;
    for (uint32_t i = 0; i < info->part.count; i++) {
        uint32_t k = 0;
        while (k < key_count && !colset_has(&info->part.sets[i], columns[k]))
            k++;
        if (k == key_count)
            return false;
        order[i] = k;
    }
    *count = info->part.count;
    return true;
}

static struct plan_node *place_like(struct planner *p, struct plan_node *in, const uint32_t *columns,
                                    const uint32_t *order, uint32_t count)
{
    uint32_t *keys = ARENA_ARRAY(p->arena, uint32_t, count + 1);
    for (uint32_t i = 0; i < count; i++)
        keys[i] = columns[order[i]];
    return partition_exactly(p, in, count, keys);
}

/* Brings rows with equal keys together: a side that is placed by (some of) its keys stays, the other follows. */
static void place(struct join_draft *d, uint32_t *const columns[2])
{
    struct planner *p = d->p;
    uint32_t cap = d->key_count;
    for (uint32_t s = 0; s < 2; s++) {
        uint32_t parts = node_info(p, d->sides[s].node)->part.count;
        cap = parts > cap ? parts : cap;
    }
    uint32_t *order = ARENA_ARRAY(p->arena, uint32_t, cap + 1), count = d->key_count;
    for (uint32_t s = 0; s < 2; s++) {
        if (!placed_by_keys(p, d->sides[s].node, d->key_count, columns[s], order, &count))
            continue;
        d->sides[1 - s].node = place_like(p, d->sides[1 - s].node, columns[1 - s], order, count);
        return;
    }
    for (uint32_t i = 0; i < d->key_count; i++)
        order[i] = i;
    for (uint32_t s = 0; s < 2; s++)
        d->sides[s].node = place_like(p, d->sides[s].node, columns[s], order, d->key_count);
}

/* ---- the node ---- */

/* An inner join's keys are never NULL: NULL equals nothing. */
static void keys_not_null(struct plan_node *n)
{
    uint32_t left = n->inputs[0]->schema.column_count;
    for (uint32_t i = 0; n->u.join.kind == JOIN_INNER && i < n->u.join.key_count; i++) {
        n->schema.columns[n->u.join.left_keys[i]].not_null = true;
        n->schema.columns[left + n->u.join.right_keys[i]].not_null = true;
    }
}

static struct schema join_schema(struct planner *p, const struct plan_node *l, const struct plan_node *r,
                                 enum join_kind kind)
{
    uint32_t n = l->schema.column_count, m = r->schema.column_count;
    struct schema s = {n + m, ARENA_ARRAY(p->arena, struct column, n + m + 1)};
    memcpy(s.columns, l->schema.columns, n * sizeof(*s.columns));
    memcpy(s.columns + n, r->schema.columns, m * sizeof(*s.columns));
    for (uint32_t i = 0; i < n; i++)
        s.columns[i].not_null &= kind != JOIN_FULL && kind != JOIN_RIGHT;
    for (uint32_t i = n; i < n + m; i++)
        s.columns[i].not_null &= kind == JOIN_INNER || kind == JOIN_RIGHT;
    return s;
}

static struct port join_port(struct join_draft *d, struct plan_node *node)
{
    uint32_t n = d->sides[0].node->schema.column_count, m = d->sides[1].node->schema.column_count;
    struct port out = {node, ARENA_ARRAY(d->p->arena, uint32_t, n + m + 1)};
    memcpy(out.attrs, d->sides[0].attrs, n * sizeof(*out.attrs));
    memcpy(out.attrs + n, d->sides[1].attrs, m * sizeof(*out.attrs));
    return out;
}

/* A map that drops the helper columns, if there are any. */
static struct port without_helpers(struct join_draft *d, struct port in, const struct rel *r)
{
    struct planner *p = d->p;
    if (in.node->schema.column_count == d->column_counts[0] + d->column_counts[1])
        return in;
    struct expr **exprs = ARENA_ARRAY(p->arena, struct expr *, r->attr_count + 1);
    const char **names = ARENA_ARRAY(p->arena, const char *, r->attr_count + 1);
    for (uint32_t i = 0; i < r->attr_count; i++) {
        uint32_t column = port_column(&in, r->attrs[i]);
        exprs[i] = expr_column(p->arena, column, in.node->schema.columns[column].type);
        names[i] = in.node->schema.columns[column].name;
    }
    return port_map(p, in, r->attr_count, exprs, r->attrs, names);
}

struct port physical_join(struct planner *p, struct rel *r)
{
    static const enum join_kind kinds[] = {
        [REL_INNER] = JOIN_INNER, [REL_LEFT] = JOIN_LEFT, [REL_RIGHT] = JOIN_RIGHT, [REL_FULL] = JOIN_FULL};
    struct join_draft d = {.p = p};
    for (uint32_t i = 0; i < 2; i++)
        d.sides[i] = physical(p, r->inputs[i]);
    split(&d, r);
    uint32_t *columns[2];
    for (uint32_t i = 0; i < 2; i++)
        columns[i] = key_columns(&d, i);
    place(&d, columns);
    struct plan_node n = {.kind = PLAN_JOIN, .input_count = 2};
    n.inputs = ARENA_ARRAY(p->arena, struct plan_node *, 2);
    n.inputs[0] = d.sides[0].node;
    n.inputs[1] = d.sides[1].node;
    n.u.join.kind = kinds[r->u.join.kind];
    n.u.join.key_count = d.key_count;
    n.u.join.left_keys = columns[0];
    n.u.join.right_keys = columns[1];
    n.schema = join_schema(p, n.inputs[0], n.inputs[1], n.u.join.kind);
    keys_not_null(&n);
    struct port both = join_port(&d, NULL);
    both.node = &n; /* only its schema is looked at */
    n.u.join.residual = d.residual ? port_expr(p, &both, d.residual) : NULL;
    both.node = node_get(p, n);
    return without_helpers(&d, both, r);
}
