/* What is known of a node's rows: which columns decide their shard, and which columns no two of them share.
 *
 * Both are lists of column sets; a set's columns are equal in every row (an inner join makes its keys equal), so
 * any one of them serves. Equal means equal key encoding. */
#include "plan/planner.h"

bool colset_has(const struct colset *s, uint32_t col)
{
    for (uint32_t i = 0; i < s->count; i++)
        if (s->cols[i] == col)
            return true;
    return false;
}

static bool is_integer(enum type_id id)
{
    return id == T_INT2 || id == T_INT4 || id == T_INT8;
}

bool types_share_encoding(struct type a, struct type b)
{
    bool text_a = a.id == T_TEXT || a.id == T_VARCHAR, text_b = b.id == T_TEXT || b.id == T_VARCHAR;
    return a.id == b.id || (is_integer(a.id) && is_integer(b.id)) || (text_a && text_b);
}

const struct expr *strip_widening(const struct expr *e)
{
    while (e->kind == EX_CAST && is_integer(e->type.id) && is_integer(e->args[0]->type.id) &&
           e->args[0]->type.id < e->type.id)
        e = e->args[0];
    return e;
}

static struct colset single(struct planner *p, uint32_t col)
{
    struct colset s = {1, ARENA_ARRAY(p->arena, uint32_t, 1)};
    s.cols[0] = col;
    return s;
}

static struct collist list_of(struct planner *p, uint32_t count, const uint32_t *cols)
{
    struct collist l = {count, ARENA_ARRAY(p->arena, struct colset, count + 1)};
    for (uint32_t i = 0; i < count; i++)
        l.sets[i] = single(p, cols ? cols[i] : i);
    return l;
}

static void put_key(struct node_info *info, struct collist key)
{
    if (info->key_count < NODE_KEYS_MAX)
        info->keys[info->key_count++] = key;
}

static void colset_add(struct planner *p, struct colset *s, uint32_t col)
{
    if (colset_has(s, col))
        return;
    uint32_t *more = ARENA_ARRAY(p->arena, uint32_t, s->count + 1);
    if (s->count)
        memcpy(more, s->cols, s->count * sizeof(*more));
    more[s->count++] = col;
    s->cols = more;
}

/* ---- one input ---- */

static void derive_table(struct planner *p, const struct plan_node *n, struct node_info *info)
{
    const struct table_def *t = n->u.table;
    info->is_partitioned = true;
    info->part = t->key_count ? list_of(p, t->key_count, t->key) : list_of(p, t->schema.column_count, NULL);
    if (t->key_count)
        put_key(info, list_of(p, t->key_count, t->key));
}

/* VALUES of more rows are not looked through for keys: it costs the square of their number. */
#define KEYED_VALUES_MAX 1000

static bool values_differ(const struct plan_node *n, uint32_t column)
{
    uint32_t columns = n->schema.column_count, rows = n->u.values.row_count;
    const enum type_id t = n->schema.columns[column].type.id;
    if (rows > KEYED_VALUES_MAX || !type_info(t)->comparable)
        return false;
    for (uint32_t i = 0; i < rows; i++) {
        const struct expr *a = n->u.values.cells[i * columns + column];
        for (uint32_t k = 0; k < i; k++) {
            const struct expr *b = n->u.values.cells[k * columns + column];
            bool both_null = a->u.konst.is_null && b->u.konst.is_null;
            bool one_null = a->u.konst.is_null != b->u.konst.is_null;
            if (both_null || (!one_null && val_cmp(t, &a->u.konst.v, &b->u.konst.v) == 0))
                return false;
        }
    }
    return true;
}

static void derive_values(struct planner *p, const struct plan_node *n, struct node_info *info)
{
    info->is_partitioned = true;
    info->part = list_of(p, 0, NULL);
    if (n->u.values.row_count <= 1)
        put_key(info, list_of(p, 0, NULL));
    for (uint32_t c = 0; c < n->schema.column_count; c++)
        if (values_differ(n, c))
            put_key(info, list_of(p, 1, &c));
}

/* The columns of a map that pass on one of these columns as it is. */
static struct colset through_map(struct planner *p, const struct plan_node *map, const struct colset *s)
{
    struct colset out = {0};
    for (uint32_t i = 0; i < map->schema.column_count; i++) {
        const struct expr *e = strip_widening(map->u.exprs[i]);
        const struct schema *in = &map->inputs[0]->schema;
        if (e->kind == EX_COLUMN && colset_has(s, e->u.column) &&
            types_share_encoding(e->type, in->columns[e->u.column].type))
            colset_add(p, &out, i);
    }
    return out;
}

static bool list_through_map(struct planner *p, const struct plan_node *map, const struct collist *l,
                             struct collist *out)
{
    *out = (struct collist){l->count, ARENA_ARRAY(p->arena, struct colset, l->count + 1)};
    for (uint32_t i = 0; i < l->count; i++) {
        out->sets[i] = through_map(p, map, &l->sets[i]);
        if (!out->sets[i].count)
            return false;
    }
    return true;
}

static void derive_map(struct planner *p, const struct plan_node *n, struct node_info *info)
{
    const struct node_info *in = node_info(p, n->inputs[0]);
    struct collist l;
    if (in->is_partitioned && list_through_map(p, n, &in->part, &l)) {
        info->is_partitioned = true;
        info->part = l;
    }
    for (uint32_t i = 0; i < in->key_count; i++)
        if (list_through_map(p, n, &in->keys[i], &l))
            put_key(info, l);
}

static void inherit(struct planner *p, const struct plan_node *n, struct node_info *info)
{
    const struct node_info *in = node_info(p, n->inputs[0]);
    char *canonical = info->canonical;
    *info = *in;
    info->canonical = canonical;
}

static void derive_exchange(struct planner *p, const struct plan_node *n, struct node_info *info)
{
    inherit(p, n, info);
    info->is_partitioned = !n->u.exchange.everywhere;
    info->part = list_of(p, n->u.exchange.key_count, n->u.exchange.keys);
    /* columns equal to the exchange's key serve as well */
    for (uint32_t i = 0; i < info->key_count; i++)
        for (uint32_t k = 0; k < info->keys[i].count; k++)
            for (uint32_t x = 0; x < info->part.count; x++)
                if (colset_has(&info->keys[i].sets[k], info->part.sets[x].cols[0]))
                    info->part.sets[x] = info->keys[i].sets[k];
}

/* ---- aggregates ---- */

static bool list_through_group(struct planner *p, const struct plan_node *n, const struct collist *l,
                               struct collist *out)
{
    *out = (struct collist){l->count, ARENA_ARRAY(p->arena, struct colset, l->count + 1)};
    for (uint32_t i = 0; i < l->count; i++) {
        for (uint32_t k = 0; k < n->u.agg.key_count; k++)
            if (colset_has(&l->sets[i], n->u.agg.keys[k]))
                colset_add(p, &out->sets[i], k);
        if (!out->sets[i].count)
            return false;
    }
    return true;
}

static void derive_aggregate(struct planner *p, const struct plan_node *n, struct node_info *info)
{
    const struct node_info *in = node_info(p, n->inputs[0]);
    struct collist l;
    if (in->is_partitioned && list_through_group(p, n, &in->part, &l)) {
        info->is_partitioned = true;
        info->part = l;
    }
    /* A key of the input among the group's columns decides the group alone. */
    for (uint32_t k = 0; k < in->key_count; k++)
        if (list_through_group(p, n, &in->keys[k], &l))
            put_key(info, l);
    put_key(info, list_of(p, n->u.agg.group_count, NULL));
}

/* A row's copies are told apart by any constant that differs from set to set. */
static void derive_expand(struct planner *p, const struct plan_node *n, struct node_info *info)
{
    const struct node_info *in = node_info(p, n->inputs[0]);
    uint32_t constants = n->u.expand.constant_count, sets = n->u.expand.set_count;
    info->is_partitioned = in->is_partitioned;
    info->part = in->part;
    for (uint32_t c = 0; c < constants; c++) {
        bool differs = true;
        for (uint32_t i = 0; i < sets && differs; i++)
            for (uint32_t k = 0; k < i && differs; k++)
                differs =
                    n->u.expand.constants[i * constants + c] != n->u.expand.constants[k * constants + c];
        for (uint32_t i = 0; differs && i < in->key_count; i++) {
            const struct collist *key = &in->keys[i];
            struct collist more = {key->count + 1, ARENA_ARRAY(p->arena, struct colset, key->count + 1)};
            memcpy(more.sets, key->sets, key->count * sizeof(*more.sets));
            more.sets[key->count] = single(p, n->schema.column_count - constants + c);
            put_key(info, more);
        }
    }
}

/* ---- top ---- */

/* The first row of each partition: its columns tell the rows apart. */
static void derive_top(struct planner *p, const struct plan_node *n, struct node_info *info)
{
    inherit(p, n, info);
    if (n->u.top.limit == 1 && !n->u.top.with_ties && n->u.top.partition_count && !n->u.top.is_local)
        put_key(info, list_of(p, n->u.top.partition_count, n->u.top.partition));
}

/* ---- set-returning functions ---- */

/* A column more in every key. */
static void put_longer_keys(struct planner *p, const struct plan_node *n, struct node_info *info,
                            uint32_t column)
{
    const struct node_info *in = node_info(p, n->inputs[0]);
    for (uint32_t i = 0; i < in->key_count; i++) {
        const struct collist *key = &in->keys[i];
        struct collist longer = {key->count + 1, ARENA_ARRAY(p->arena, struct colset, key->count + 1)};
        memcpy(longer.sets, key->sets, key->count * sizeof(*key->sets));
        longer.sets[key->count] = single(p, column);
        put_key(info, longer);
    }
}

/* An input row stands in many rows, which the ordinality tells apart, or values that differ. */
static void derive_flatmap(struct planner *p, const struct plan_node *n, struct node_info *info)
{
    const struct node_info *in = node_info(p, n->inputs[0]);
    const struct plan_set_call *only = n->u.flatmap.call_count == 1 ? &n->u.flatmap.calls[0] : NULL;
    info->is_partitioned = in->is_partitioned;
    info->part = in->part;
    if (only && (only->fn->flags & SET_AT_MOST_ONE))
        for (uint32_t i = 0; i < in->key_count; i++)
            put_key(info, in->keys[i]);
    else if (n->u.flatmap.ordinality)
        put_longer_keys(p, n, info, n->schema.column_count - 1);
    if (only && (only->fn->flags & SET_DISTINCT) && !(only->fn->flags & SET_AT_MOST_ONE))
        put_longer_keys(p, n, info, n->inputs[0]->schema.column_count);
}

/* ---- unions ---- */

static struct colset common(struct planner *p, const struct colset *a, const struct colset *b)
{
    struct colset out = {0};
    for (uint32_t i = 0; i < a->count; i++)
        if (colset_has(b, a->cols[i]))
            colset_add(p, &out, a->cols[i]);
    return out;
}

static void derive_union(struct planner *p, const struct plan_node *n, struct node_info *info)
{
    const struct node_info *first = node_info(p, n->inputs[0]);
    if (!first->is_partitioned)
        return;
    struct collist l = {first->part.count, arena_memdup(p->arena, first->part.sets,
                                                        (first->part.count + 1) * sizeof(struct colset))};
    for (uint32_t i = 1; i < n->input_count; i++) {
        const struct node_info *in = node_info(p, n->inputs[i]);
        if (!in->is_partitioned || in->part.count != l.count)
            return;
        for (uint32_t k = 0; k < l.count; k++) {
            l.sets[k] = common(p, &l.sets[k], &in->part.sets[k]);
            if (!l.sets[k].count)
                return;
        }
    }
    info->is_partitioned = true;
    info->part = l;
}

/* ---- recursion ---- */

static void derive_recurse(struct planner *p, const struct plan_node *n, struct node_info *info)
{
    info->is_partitioned = true;
    info->part = list_of(p, 0, NULL);
    if (n->kind == PLAN_RECURSE && !n->u.recurse.all)
        put_key(info, list_of(p, n->schema.column_count, NULL));
}

/* ---- set operations ---- */

/* Both sides are partitioned alike (physical_set.c). No row comes out more often than it stands on the left, nor,
 * of INTERSECT, on the right, so their keys hold. */
static void derive_set(struct planner *p, const struct plan_node *n, struct node_info *info)
{
    const struct node_info *l = node_info(p, n->inputs[0]), *r = node_info(p, n->inputs[1]);
    info->is_partitioned = l->is_partitioned;
    info->part = l->part;
    if (!n->u.set.all)
        put_key(info, list_of(p, n->schema.column_count, NULL));
    for (uint32_t i = 0; i < l->key_count; i++)
        put_key(info, l->keys[i]);
    for (uint32_t i = 0; n->u.set.kind == SET_INTERSECT && i < r->key_count; i++)
        put_key(info, r->keys[i]);
}

/* ---- joins ---- */

/* A list of one side's columns as columns of the join; equal columns of the other side join the sets. */
static struct collist lift(struct planner *p, const struct plan_node *n, const struct collist *l,
                           uint32_t side, bool equate)
{
    uint32_t left_count = n->inputs[0]->schema.column_count;
    const uint32_t *mine = side ? n->u.join.right_keys : n->u.join.left_keys;
    const uint32_t *other = side ? n->u.join.left_keys : n->u.join.right_keys;
    struct collist out = {l->count, ARENA_ARRAY(p->arena, struct colset, l->count + 1)};
    for (uint32_t i = 0; i < l->count; i++) {
        for (uint32_t k = 0; k < l->sets[i].count; k++)
            colset_add(p, &out.sets[i], l->sets[i].cols[k] + (side ? left_count : 0));
        for (uint32_t k = 0; equate && k < n->u.join.key_count; k++)
            if (colset_has(&l->sets[i], mine[k]))
                colset_add(p, &out.sets[i], other[k] + (side ? 0 : left_count));
    }
    return out;
}

/* No two rows of that side have the same join key. */
static bool is_unique_on_keys(struct planner *p, const struct plan_node *n, uint32_t side)
{
    const struct node_info *in = node_info(p, n->inputs[side]);
    const uint32_t *keys = side ? n->u.join.right_keys : n->u.join.left_keys;
    for (uint32_t i = 0; i < in->key_count; i++) {
        bool all = true;
        for (uint32_t k = 0; k < in->keys[i].count && all; k++) {
            all = false;
            for (uint32_t j = 0; j < n->u.join.key_count; j++)
                all |= colset_has(&in->keys[i].sets[k], keys[j]);
        }
        if (all)
            return true;
    }
    return false;
}

static void put_side_keys(struct planner *p, const struct plan_node *n, struct node_info *info, uint32_t side,
                          bool equate)
{
    const struct node_info *in = node_info(p, n->inputs[side]);
    for (uint32_t i = 0; i < in->key_count; i++)
        put_key(info, lift(p, n, &in->keys[i], side, equate));
}

static bool has_not_null(const struct plan_node *input, const struct collist *key)
{
    for (uint32_t i = 0; i < key->count; i++)
        for (uint32_t c = 0; c < key->sets[i].count; c++)
            if (input->schema.columns[key->sets[i].cols[c]].not_null)
                return true;
    return false;
}

static bool is_never_all_null(const struct plan_node *in, const struct collist *key)
{
    for (uint32_t i = 0; i < key->count; i++)
        for (uint32_t k = 0; k < key->sets[i].count; k++)
            if (in->schema.columns[key->sets[i].cols[k]].not_null)
                return true;
    return false;
}

/* The keys of both sides together. A full join has rows without a left side and rows without a right side: they
 * look alike if both keys may be NULL. */
static void put_both_keys(struct planner *p, const struct plan_node *n, struct node_info *info, bool equate)
{
    const struct node_info *l = node_info(p, n->inputs[0]), *r = node_info(p, n->inputs[1]);
    if (!l->key_count || !r->key_count)
        return;
    if (n->u.join.kind == JOIN_FULL && !is_never_all_null(n->inputs[0], &l->keys[0]) &&
        !is_never_all_null(n->inputs[1], &r->keys[0]))
        return;
    /* (left row with a NULL key, padded) and (padded, right row with a NULL key) would look the same */
    if (n->u.join.kind == JOIN_FULL && !has_not_null(n->inputs[0], &l->keys[0]) &&
        !has_not_null(n->inputs[1], &r->keys[0]))
        return;
    struct collist a = lift(p, n, &l->keys[0], 0, equate), b = lift(p, n, &r->keys[0], 1, equate);
    struct collist both = {0, ARENA_ARRAY(p->arena, struct colset, a.count + b.count + 1)};
    memcpy(both.sets, a.sets, a.count * sizeof(*both.sets));
    both.count = a.count;
    for (uint32_t i = 0; i < b.count; i++) { /* a column equal to one that is in the key adds nothing */
        bool there = false;
        for (uint32_t k = 0; k < a.count; k++)
            there |= colset_has(&a.sets[k], b.sets[i].cols[0]);
        if (!there)
            both.sets[both.count++] = b.sets[i];
    }
    put_key(info, both);
}

static bool is_everywhere(const struct plan_node *n)
{
    return n->kind == PLAN_EXCHANGE && n->u.exchange.everywhere;
}

static void derive_join(struct planner *p, const struct plan_node *n, struct node_info *info)
{
    enum join_kind kind = n->u.join.kind;
    const struct node_info *l = node_info(p, n->inputs[0]);
    bool inner = kind == JOIN_INNER;
    /* rows stay where the left side's are; after a full join they may have come from the right side */
    if (l->is_partitioned && (kind != JOIN_FULL || l->part.count == 0)) {
        info->is_partitioned = true;
        info->part = lift(p, n, &l->part, 0, inner);
    }
    const struct node_info *r = node_info(p, n->inputs[1]);
    if (inner && is_everywhere(n->inputs[0]) && r->is_partitioned) {
        info->is_partitioned = true;
        info->part = lift(p, n, &r->part, 1, true);
    }
    if (join_outputs_left(kind)) { /* rows of the left side, as they are */
        put_side_keys(p, n, info, 0, false);
        return;
    }
    if (is_unique_on_keys(p, n, 1) && kind != JOIN_FULL)
        put_side_keys(p, n, info, 0, inner);
    if (inner && is_unique_on_keys(p, n, 0))
        put_side_keys(p, n, info, 1, true);
    if (!info->key_count)
        put_both_keys(p, n, info, inner);
}

void props_derive(struct planner *p, struct plan_node *n, struct node_info *info)
{
    switch (n->kind) {
    case PLAN_TABLE: derive_table(p, n, info); return;
    case PLAN_VALUES: derive_values(p, n, info); return;
    case PLAN_TEMPORAL:
    case PLAN_FILTER:
    case PLAN_VIEW: inherit(p, n, info); return;
    case PLAN_MAP: derive_map(p, n, info); return;
    case PLAN_JOIN: derive_join(p, n, info); return;
    case PLAN_FLATMAP: derive_flatmap(p, n, info); return;
    case PLAN_WINDOW: inherit(p, n, info); return;
    case PLAN_EXPAND: derive_expand(p, n, info); return;
    case PLAN_TOP: derive_top(p, n, info); return;
    case PLAN_AGGREGATE: derive_aggregate(p, n, info); return;
    case PLAN_UNION_ALL: derive_union(p, n, info); return;
    case PLAN_SET: derive_set(p, n, info); return;
    case PLAN_EXCHANGE: derive_exchange(p, n, info); return;
    case PLAN_LOOP:
    case PLAN_RECURSE: derive_recurse(p, n, info); return;
    }
}

struct plan_node *partition_exactly(struct planner *p, struct plan_node *in, uint32_t count,
                                    const uint32_t *cols)
{
    const struct node_info *info = node_info(p, in);
    bool same = info->is_partitioned && info->part.count == count;
    for (uint32_t i = 0; same && i < count; i++)
        same = colset_has(&info->part.sets[i], cols[i]);
    return same ? in : node_exchange(p, in, count, cols);
}
