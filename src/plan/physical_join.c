/* Joins: equality conditions become key columns (computed by a map in front where they are expressions), the
 * rest a residual; both sides are brought to shards by the same key columns. */
#include "plan/planner.h"

struct join_draft {
    struct planner *p;
    struct port sides[2];
    uint32_t column_counts[2]; /* before helper columns */
    uint32_t key_count;
    struct expr **keys[2]; /* over each side's columns */
    bool *null_safe;       /* by key: stated with IS NOT DISTINCT FROM */
    uint32_t range_count;  /* further entries of keys, after key_count: the sides of ranges */
    enum comparison_op range_ops[JOIN_RANGES_MAX];
    struct expr *residual; /* over attributes */
    struct expr *above; /* over attributes: what an inner join leaves to a filter (comparisons with now()) */
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
        return true;
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

/* Where NULL is not false, a condition of the subquery's own must not say NULL. */
static struct expr *for_mark(struct join_draft *d, const struct rel *r, struct expr *c, bool is_equality)
{
    if (!r->u.join.three_valued || !is_equality)
        return c;
    struct expr *e = expr_new(d->p->arena, EX_IS_TRUE, (struct type){T_BOOL, -1}, 1);
    e->args[0] = c;
    return e;
}

/* The condition about one side alone as an attribute of that side. */
static struct expr *as_attribute(struct join_draft *d, uint32_t side, struct expr *c)
{
    struct planner *p = d->p;
    struct port *in = &d->sides[side];
    uint32_t n = in->node->schema.column_count;
    struct expr *e = temporal_columns(p, &in->node, port_expr(p, in, c));
    struct expr **exprs = ARENA_ARRAY(p->arena, struct expr *, n + 1);
    const char **names = ARENA_ARRAY(p->arena, const char *, n + 1);
    uint32_t *attrs = ARENA_ARRAY(p->arena, uint32_t, n + 2);
    for (uint32_t i = 0; i < n; i++) {
        exprs[i] = expr_column(p->arena, i, in->node->schema.columns[i].type);
        names[i] = in->node->schema.columns[i].name;
        attrs[i] = in->attrs[i];
    }
    exprs[n] = e;
    names[n] = "condition";
    attrs[n] = attr_new(p->s, "condition", e->type);
    *in = port_map(p, *in, n + 1, exprs, attrs, names);
    return attr_expr(p->s, attrs[n]);
}

/* now() is compared before the join where a side alone says with what, or after it. */
static void put_residual(struct join_draft *d, const struct rel *r, const struct attrset *sets,
                         struct expr *c)
{
    bool now = has_now(c);
    if (now && r->u.join.kind == REL_INNER) {
        d->above = expr_and(d->p->arena, d->above, c);
        return;
    }
    if (now && (attrset_covers(&sets[0], c) || attrset_covers(&sets[1], c)))
        c = as_attribute(d, attrset_covers(&sets[0], c) ? 0 : 1, c);
    else if (now)
        c = temporal_refuse(d->p, c,
                            "an outer join or a subquery compares columns of both its sides with it");
    d->residual = expr_and(d->p->arena, d->residual, c);
}

/* ---- ranges ---- */

struct range { /* left op right, each side's expression over its attributes */
    struct expr *sides[2];
    enum comparison_op op;
    const struct expr *from;
};

static bool range_condition(const struct expr *e, const struct attrset *sets, struct range *out)
{
    static const struct {
        const char *name;
        enum comparison_op op, mirrored;
    } ops[] = {{"<", COMPARE_LT, COMPARE_GT},
               {"<=", COMPARE_LE, COMPARE_GE},
               {">", COMPARE_GT, COMPARE_LT},
               {">=", COMPARE_GE, COMPARE_LE}};
    for (uint32_t i = 0; e->kind == EX_FN && e->arg_count == 2 && i < ARRAY_COUNT(ops); i++) {
        for (uint32_t left = 0; strcmp(e->u.fn->name, ops[i].name) == 0 && left < 2; left++) {
            struct expr *l = e->args[left], *r = e->args[1 - left];
            if (!attrset_meets(&sets[0], l) || !attrset_covers(&sets[0], l) || !attrset_meets(&sets[1], r) ||
                !attrset_covers(&sets[1], r))
                continue;
            *out = (struct range){{l, r}, left ? ops[i].mirrored : ops[i].op, e};
            return true;
        }
    }
    return false;
}

static bool is_less(enum comparison_op op)
{
    return op == COMPARE_LT || op == COMPARE_LE;
}

/* Together they bound one side's expression from both ends. */
static bool are_partners(const struct range *a, const struct range *b)
{
    return is_less(a->op) != is_less(b->op) &&
           (expr_equal(a->sides[0], b->sides[0]) || expr_equal(a->sides[1], b->sides[1]));
}

/* Times of different types are compared by operators that take what a cast would refuse. */
static bool may_be_range(enum type_id l, enum type_id r)
{
    bool times = l == T_DATE || l == T_TIMESTAMP || l == T_TIMESTAMPTZ;
    return l == r || !times;
}

/* The condition that the join's rows are to stand by, one with a partner before others; NULL if there is none. */
static const struct expr *find_range(struct join_draft *d, const struct rel *r, const struct attrset *sets,
                                     struct range *first, struct range *second)
{
    const struct expr *on = r->u.join.on;
    uint32_t n = conjunct_count(on), count = 0;
    struct range *all = ARENA_ARRAY(d->p->arena, struct range, n + 1);
    for (uint32_t i = 0; i < n && !r->u.join.three_valued; i++) {
        struct expr *c = conjunct_at(on, i);
        if (has_now(c) || !range_condition(c, sets, &all[count]))
            continue;
        struct range *x = &all[count];
        count += may_be_range(x->sides[0]->type.id, x->sides[1]->type.id) &&
                 meet(d->p, &x->sides[0], &x->sides[1]);
    }
    if (!count)
        return NULL;
    *first = all[0];
    second->from = NULL;
    for (uint32_t i = 0; i < count && !second->from; i++)
        for (uint32_t k = 0; k < count && !second->from; k++)
            if (are_partners(&all[i], &all[k])) {
                *first = all[i];
                *second = all[k];
            }
    return first->from;
}

/* The ranges' sides come after the keys'. */
static void put_range(struct join_draft *d, const struct range *x)
{
    uint32_t at = d->key_count + d->range_count;
    for (uint32_t s = 0; s < 2; s++)
        d->keys[s][at] = port_expr(d->p, &d->sides[s], x->sides[s]);
    d->range_ops[d->range_count++] = x->op;
}

static void split(struct join_draft *d, const struct rel *r)
{
    struct range first, second;
    struct attrset sets[2] = {{0}, {0}};
    const struct expr *on = r->u.join.on;
    uint32_t n = conjunct_count(on);
    d->null_safe = ARENA_ARRAY(d->p->arena, bool, n + 1);
    for (uint32_t i = 0; i < 2; i++) {
        attrset_add_rel(d->p, &sets[i], r->inputs[i]);
        d->keys[i] = ARENA_ARRAY(d->p->arena, struct expr *, n + 1 + JOIN_RANGES_MAX);
    }
    const struct expr *range = find_range(d, r, sets, &first, &second);
    for (uint32_t i = 0; i < n; i++) {
        struct expr *c = conjunct_at(on, i), *left, *right;
        bool equality = equi_condition(c, &sets[0], &sets[1], &left, &right);
        if (equality && meet(d->p, &left, &right)) {
            d->null_safe[d->key_count] = c->kind == EX_NOT_DISTINCT;
            d->keys[0][d->key_count] = port_expr(d->p, &d->sides[0], left);
            d->keys[1][d->key_count++] = port_expr(d->p, &d->sides[1], right);
        } else if (c != range) {
            put_residual(d, r, sets, for_mark(d, r, c, equality));
        }
    }
    if (range)
        put_range(d, &first);
    if (range && second.from)
        put_range(d, &second);
}

/* The column of the side that holds key i, or range i after the keys; a helper column is added when it has to be computed. */
static uint32_t *key_columns(struct join_draft *d, uint32_t side)
{
    struct planner *p = d->p;
    struct port *in = &d->sides[side];
    uint32_t n = in->node->schema.column_count, total = n, count = d->key_count + d->range_count;
    d->column_counts[side] = n;
    struct expr **exprs = ARENA_ARRAY(p->arena, struct expr *, n + count + 1);
    const char **names = ARENA_ARRAY(p->arena, const char *, n + count + 1);
    uint32_t *attrs = ARENA_ARRAY(p->arena, uint32_t, n + count + 1);
    uint32_t *columns = ARENA_ARRAY(p->arena, uint32_t, count + 1);
    for (uint32_t i = 0; i < n; i++) {
        exprs[i] = expr_column(p->arena, i, in->node->schema.columns[i].type);
        names[i] = in->node->schema.columns[i].name;
        attrs[i] = in->attrs[i];
    }
    for (uint32_t k = 0; k < count; k++) {
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

/* It never has more than one row: a global aggregate, or DISTINCT of a constant. */
static bool has_one_row(const struct plan_node *n)
{
    while (n->kind == PLAN_FILTER || n->kind == PLAN_MAP || n->kind == PLAN_EXCHANGE)
        n = n->inputs[0];
    if (n->kind != PLAN_AGGREGATE)
        return false;
    if (n->u.agg.key_count == 0)
        return true;
    const struct plan_node *in = n->inputs[0];
    in = in->kind == PLAN_EXCHANGE ? in->inputs[0] : in;
    return n->u.agg.key_count == 1 && in->kind == PLAN_MAP && in->u.exprs[n->u.agg.keys[0]]->kind == EX_CONST;
}

static bool is_on_one_shard(struct planner *p, const struct plan_node *n)
{
    const struct node_info *info = node_info(p, n);
    return info->is_partitioned && info->part.count == 0;
}

/* Without keys all rows would have to meet on one shard. A single row goes to the others instead. */
static bool place_everywhere(struct join_draft *d, enum rel_join_kind kind)
{
    for (uint32_t one = 2; one-- > 0;) {
        struct plan_node **n = &d->sides[one].node;
        if (kind == REL_FULL || (one == 0 && kind != REL_INNER))
            return false; /* what it preserves it would preserve on every shard */
        if (!has_one_row(*n) || is_on_one_shard(d->p, d->sides[1 - one].node))
            continue;
        *n = node_everywhere(d->p, *n);
        return true;
    }
    return false;
}

/* Brings rows with equal keys together: a side that is placed by (some of) its keys stays, the other follows. */
static void place(struct join_draft *d, enum rel_join_kind kind, uint32_t *const columns[2])
{
    struct planner *p = d->p;
    if (node_info(p, d->sides[0].node)->in_loop || node_info(p, d->sides[1].node)->in_loop) {
        for (uint32_t s = 0; s < 2; s++) /* all of a recursion is on one shard */
            d->sides[s].node = partition_exactly(p, d->sides[s].node, 0, NULL);
        return;
    }
    if (d->key_count == 0 && place_everywhere(d, kind))
        return;
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
        if (n->u.join.null_safe[i])
            continue;
        n->schema.columns[n->u.join.left_keys[i]].not_null = true;
        n->schema.columns[left + n->u.join.right_keys[i]].not_null = true;
    }
}

/* NULL need not equal NULL where one side has none. */
static void only_nullable(struct join_draft *d, uint32_t *const columns[2])
{
    for (uint32_t i = 0; i < d->key_count; i++)
        for (uint32_t s = 0; s < 2; s++)
            d->null_safe[i] &= !d->sides[s].node->schema.columns[columns[s][i]].not_null;
}

static struct schema both_schemas(struct planner *p, const struct plan_node *l, const struct plan_node *r)
{
    uint32_t n = l->schema.column_count, m = r->schema.column_count;
    struct schema s = {n + m, ARENA_ARRAY(p->arena, struct column, n + m + 1)};
    memcpy(s.columns, l->schema.columns, n * sizeof(*s.columns));
    memcpy(s.columns + n, r->schema.columns, m * sizeof(*s.columns));
    return s;
}

/* Of a semi, anti or mark join. */
static struct schema left_schema(struct planner *p, const struct plan_node *l, const struct rel *r)
{
    uint32_t n = l->schema.column_count, more = r->u.join.kind == REL_MARK;
    struct schema s = {n + more, ARENA_ARRAY(p->arena, struct column, n + more + 1)};
    memcpy(s.columns, l->schema.columns, n * sizeof(*s.columns));
    if (more)
        s.columns[n] =
            (struct column){.name = "mark", .type = {T_BOOL, -1}, .not_null = !r->u.join.three_valued};
    return s;
}

static struct schema join_schema(struct planner *p, const struct plan_node *l, const struct plan_node *r,
                                 enum join_kind kind)
{
    uint32_t n = l->schema.column_count, m = r->schema.column_count;
    struct schema s = both_schemas(p, l, r);
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
    if (in.node->schema.column_count == r->attr_count)
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

static struct port filter_above(struct join_draft *d, struct port in)
{
    uint32_t before = in.node->schema.column_count;
    in.node = temporal_filter(d->p, in.node, port_expr(d->p, &in, d->above));
    uint32_t *attrs = ARENA_ARRAY(d->p->arena, uint32_t, in.node->schema.column_count + 1);
    for (uint32_t i = 0; i < in.node->schema.column_count; i++)
        attrs[i] = i < before ? in.attrs[i] : REL_NO_ATTR;
    in.attrs = attrs;
    return in;
}

/* ---- semi, anti and mark joins ---- */

static bool is_false(const struct expr *e)
{
    return e->kind == EX_CONST && e->type.id == T_BOOL && (e->u.konst.is_null || !e->u.konst.v.i);
}

/* x IS NULL of a column that never is, or false */
static bool never_holds(const struct expr *e, const struct schema *s)
{
    if (e->kind == EX_IS_NULL && e->args[0]->kind == EX_COLUMN)
        return s->columns[e->args[0]->u.column].not_null;
    return is_false(e);
}

static bool some_never_holds(const struct expr *filter, const struct schema *s)
{
    for (uint32_t i = 0; i < conjunct_count(filter); i++)
        if (never_holds(conjunct_at(filter, i), s))
            return true;
    return false;
}

/* No row can come out of it, whatever the tables hold. */
static bool is_empty(const struct plan_node *n)
{
    for (;; n = n->inputs[0]) {
        if (n->kind == PLAN_FILTER && some_never_holds(n->u.filter, &n->schema))
            return true;
        bool groups = n->kind == PLAN_AGGREGATE && n->u.agg.key_count > 0;
        if (n->kind != PLAN_FILTER && n->kind != PLAN_MAP && n->kind != PLAN_EXCHANGE && !groups)
            return false;
    }
}

static struct expr *constant(struct planner *p, bool value)
{
    struct expr *e = expr_true(p->arena);
    e->u.konst.v.i = value;
    return e;
}

/* What is left of the join when nothing matches. */
static struct port without_match(struct planner *p, struct port left, const struct rel *r)
{
    if (r->u.join.kind == REL_ANTI)
        return left;
    if (r->u.join.kind == REL_SEMI) {
        left.node = node_filter(p, left.node, constant(p, false));
        return left;
    }
    const char **names = ARENA_ARRAY(p->arena, const char *, r->attr_count);
    struct expr **exprs = ARENA_ARRAY(p->arena, struct expr *, r->attr_count);
    for (uint32_t i = 0; i + 1 < r->attr_count; i++) {
        uint32_t c = port_column(&left, r->attrs[i]);
        exprs[i] = expr_column(p->arena, c, left.node->schema.columns[c].type);
        names[i] = left.node->schema.columns[c].name;
    }
    exprs[r->attr_count - 1] = constant(p, false);
    names[r->attr_count - 1] = "mark";
    return port_map(p, left, r->attr_count, exprs, r->attrs, names);
}

static bool never_matches(struct join_draft *d, const struct rel *r)
{
    if (is_empty(d->sides[1].node))
        return true;
    struct plan_node both = {.schema = both_schemas(d->p, d->sides[0].node, d->sides[1].node)};
    struct port in = join_port(d, &both);
    for (uint32_t i = 0; i < conjunct_count(r->u.join.on); i++)
        if (never_holds(port_expr(d->p, &in, conjunct_at(r->u.join.on, i)), &both.schema))
            return true;
    return false;
}

/* The left side's attributes, and the mark's. */
static struct port left_port(struct join_draft *d, struct plan_node *node, const struct rel *r)
{
    uint32_t n = d->sides[0].node->schema.column_count;
    struct port out = {node, ARENA_ARRAY(d->p->arena, uint32_t, n + 2)};
    memcpy(out.attrs, d->sides[0].attrs, n * sizeof(*out.attrs));
    out.attrs[n] = r->attrs[r->attr_count - 1];
    return out;
}

static struct port physical_left_only(struct join_draft *d, struct plan_node n, const struct rel *r)
{
    struct planner *p = d->p;
    struct plan_node both = {.schema = both_schemas(p, n.inputs[0], n.inputs[1])};
    struct port in = join_port(d, &both);
    n.u.join.residual = d->residual ? port_expr(p, &in, d->residual) : NULL;
    n.u.join.three_valued = r->u.join.three_valued;
    n.schema = left_schema(p, n.inputs[0], r);
    return without_helpers(d, left_port(d, node_get(p, n), r), r);
}

/* ---- the whole ---- */

static void put_ranges(const struct join_draft *d, struct plan_node *n, uint32_t *const columns[2])
{
    n->u.join.range_count = d->range_count;
    for (uint32_t i = 0; i < d->range_count; i++)
        n->u.join.ranges[i] =
            (struct plan_range){columns[0][d->key_count + i], columns[1][d->key_count + i], d->range_ops[i]};
}

struct port physical_join(struct planner *p, struct rel *r)
{
    static const enum join_kind kinds[] = {
        [REL_INNER] = JOIN_INNER, [REL_LEFT] = JOIN_LEFT, [REL_RIGHT] = JOIN_RIGHT, [REL_FULL] = JOIN_FULL,
        [REL_SEMI] = JOIN_SEMI,   [REL_ANTI] = JOIN_ANTI, [REL_MARK] = JOIN_MARK};
    struct join_draft d = {.p = p};
    for (uint32_t i = 0; i < 2; i++)
        d.sides[i] = physical(p, r->inputs[i]);
    bool left_only = join_keeps_left_only(r->u.join.kind);
    if (left_only && never_matches(&d, r))
        return without_match(p, d.sides[0], r);
    split(&d, r);
    uint32_t *columns[2];
    for (uint32_t i = 0; i < 2; i++)
        columns[i] = key_columns(&d, i);
    only_nullable(&d, columns);
    place(&d, r->u.join.kind, columns);
    struct plan_node n = {.kind = PLAN_JOIN, .input_count = 2};
    n.inputs = ARENA_ARRAY(p->arena, struct plan_node *, 2);
    n.inputs[0] = d.sides[0].node;
    n.inputs[1] = d.sides[1].node;
    n.u.join.kind = kinds[r->u.join.kind];
    n.u.join.key_count = d.key_count;
    n.u.join.left_keys = columns[0];
    n.u.join.right_keys = columns[1];
    n.u.join.null_safe = d.null_safe;
    put_ranges(&d, &n, columns);
    if (left_only)
        return physical_left_only(&d, n, r);
    n.schema = join_schema(p, n.inputs[0], n.inputs[1], n.u.join.kind);
    keys_not_null(&n);
    struct port both = join_port(&d, NULL);
    both.node = &n; /* only its schema is looked at */
    n.u.join.residual = d.residual ? port_expr(p, &both, d.residual) : NULL;
    both.node = node_get(p, n);
    return without_helpers(&d, d.above ? filter_above(&d, both) : both, r);
}
