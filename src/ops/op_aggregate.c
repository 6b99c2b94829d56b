/* Aggregate (GROUP BY) and DISTINCT: one state per group, the net change put out at the end of the epoch.
 *
 * A group is found by its key encoding (NULLs equal, 1.0 and 1.00 equal). Every change updates the group's
 * accumulators by its weight; groups touched in the epoch are on a list; at close each yields its new row, which
 * replaces the row it put out before if they differ. MIN and MAX read the ends of an ordered multiset shared by all
 * groups of the operator (key: group number, call, value, look), string_agg and its like walk their part of it; DISTINCT calls count values in a hash multiset and pass
 * only the first and the last copy on.
 *
 * Equal values may look different: 1.0 and 1.00, 0 and -0, 1 day and 24 hours. What is shown must depend on the
 * multiset alone, never on the order of arrival: state is rebuilt from mirrors after a restart, and must then retract the very row
 * that was stored. So where a type allows several looks they are all counted (in the ordered map, by their row bytes), and the
 * smallest one stands for the value. */
#include "base/hash.h"
#include "ops/bytemap.h"
#include "ops/op_errors.h"
#include "ops/ordmap.h"
#include "types/agg_walk.h"

#include <stdlib.h>
#include <string.h>

struct bytes { /* a malloc'ed row; NULL: none */
    uint8_t *p;
    uint32_t len;
};
struct group {
    struct bytemap_entry map; /* key bytes follow the calls */
    uint64_t number;          /* names the group in the multisets */
    int64_t weight;           /* rows in it */
    struct bytes key_row;     /* row codec of the key columns: the smallest look */
    struct bytes shown;       /* the row put out */
    bool dirty;
    bool failed; /* its row cannot be computed (sum overflow): counted as an error row */
    struct agg_state calls[];
};
struct distinct_value {
    struct bytemap_entry map; /* key: group number, call, value key */
    int64_t count;
    struct bytes value; /* row codec of the value as first seen: what was added is what is taken away */
};
/* A call whose value is made by walking all values in order. In the ordered map its keys are group, call, order keys and
 * row bytes of the arguments; the payload is the length of the row bytes. */
struct walked_call {
    uint32_t key_count;
    struct key_column *keys; /* owned: ORDER BY, then the arguments if equal ones must be neighbours */
    enum type_id types[AGG_ARGS_MAX];
};
struct aggregate_state {
    uint32_t key_count, call_count;
    struct key_column *key;
    struct schema key_schema;    /* of the key part of the output */
    struct vec *key_vecs;        /* scratch: the key columns of a batch */
    struct schema *value_schema; /* per call: its arguments */
    struct walked_call *walked;  /* per call */
    bool *looks;                 /* per call: some argument's type allows several looks of one value */
    bool key_looks;              /* some key column's type allows several looks of one value */
    struct bytemap groups;
    struct bytemap distinct;
    struct ordmap ordered;
    struct group **dirty; /* owned array of borrowed groups */
    uint32_t dirty_count, dirty_capacity;
    uint64_t next_number;
    struct buf key_bytes, value_bytes, row;
    struct arena arena; /* decoding and results of one close or one row */
    struct fn_ctx ctx;
    uint32_t failed_call;   /* the one that ctx.error is of */
    struct bytes *old_rows; /* rows put out with weight -1, freed after the flush */
    uint32_t old_count, old_capacity;
    size_t bytes;
};

static struct bytes bytes_copy(const void *p, size_t len)
{
    struct bytes b = {xmalloc(len), (uint32_t)len};
    if (len)
        memcpy(b.p, p, len);
    return b;
}

static void *grow_array(void *array, uint32_t count, uint32_t *capacity, size_t item_bytes)
{
    if (count < *capacity)
        return array;
    *capacity = *capacity ? *capacity * 2 : 64;
    return xrealloc(array, *capacity * item_bytes);
}

/* ---- looks ---- */

#define LOOKS_OF_KEY 0xffff /* in place of a call number */

static void put_be64(struct buf *b, uint64_t v)
{
    v = __builtin_bswap64(v);
    buf_put(b, &v, 8);
}

/* Key of a value (all arguments) in the multisets: group, call, value. */
static void value_key(struct aggregate_state *s, const struct group *g, uint32_t call, const union val *v)
{
    buf_reset(&s->value_bytes);
    put_be64(&s->value_bytes, g->number);
    buf_put_u8(&s->value_bytes, (uint8_t)(call >> 8));
    buf_put_u8(&s->value_bytes, (uint8_t)call);
    for (uint32_t i = 0; v && i < s->value_schema[call].column_count; i++)
        key_put(&s->value_bytes, s->value_schema[call].columns[i].type.id, &v[i], VAL_OK, false, false);
}

/* Counts a look (row bytes in s->row) under the prefix in s->value_bytes, which is left as it is. */
static void count_look(struct aggregate_state *s, int64_t weight)
{
    size_t prefix = s->value_bytes.len;
    buf_put(&s->value_bytes, s->row.p, s->row.len);
    ordmap_add(&s->ordered, s->value_bytes.p, s->value_bytes.len, s->row.p, s->row.len, weight);
    s->value_bytes.len = prefix;
}

/* ---- groups ---- */

/* Row codec of the key columns into s->row. */
static void key_row(struct aggregate_state *s, const struct batch *b, uint32_t r)
{
    for (uint32_t k = 0; k < s->key_count; k++)
        s->key_vecs[k] = b->cols[s->key[k].column];
    buf_reset(&s->row);
    row_encode_vecs(&s->row, &s->key_schema, s->key_vecs, r);
}

/* The smallest look of the group's key becomes its row. */
static void count_key_look(struct aggregate_state *s, struct group *g, const struct batch *b, uint32_t r)
{
    key_row(s, b, r);
    value_key(s, g, LOOKS_OF_KEY, NULL);
    count_look(s, b->weight[r]);
    const struct ordmap_node *n = ordmap_first(&s->ordered, s->value_bytes.p, s->value_bytes.len);
    if (!n ||
        (n->payload_len == g->key_row.len && memcmp(ordmap_payload(n), g->key_row.p, n->payload_len) == 0))
        return;
    s->bytes += n->payload_len;
    s->bytes -= g->key_row.len;
    free(g->key_row.p);
    g->key_row = bytes_copy(ordmap_payload(n), n->payload_len);
}

static struct group *group_new(struct aggregate_state *s, const struct batch *b, uint32_t r, uint64_t hash)
{
    size_t fixed = sizeof(struct group) + s->call_count * sizeof(struct agg_state);
    struct group *g = xcalloc(1, fixed + s->key_bytes.len);
    g->map = (struct bytemap_entry){hash, (uint8_t *)g + fixed, (uint32_t)s->key_bytes.len};
    if (s->key_bytes.len)
        memcpy((uint8_t *)g + fixed, s->key_bytes.p, s->key_bytes.len);
    g->number = s->next_number++;
    for (uint32_t c = 0; c < s->call_count; c++)
        agg_state_init(&g->calls[c]);
    key_row(s, b, r);
    g->key_row = bytes_copy(s->row.p, s->row.len);
    bytemap_insert(&s->groups, &g->map);
    s->bytes += fixed + s->key_bytes.len + g->key_row.len;
    return g;
}

static void group_free(struct aggregate_state *s, struct group *g)
{
    for (uint32_t c = 0; c < s->call_count; c++) {
        s->bytes -= g->calls[c].ext ? agg_state_ext_bytes(&g->calls[c]) : 0;
        agg_state_fini(&g->calls[c]);
    }
    s->bytes -=
        sizeof *g + s->call_count * sizeof(struct agg_state) + g->map.key_len + g->key_row.len + g->shown.len;
    free(g->key_row.p);
    free(g->shown.p);
    free(g);
}

static void mark_dirty(struct aggregate_state *s, struct group *g)
{
    if (g->dirty)
        return;
    g->dirty = true;
    s->dirty = grow_array(s->dirty, s->dirty_count, &s->dirty_capacity, sizeof *s->dirty);
    s->dirty[s->dirty_count++] = g;
}

/* ---- one value of one call ---- */

static void value_row(struct aggregate_state *s, uint32_t call, const union val *v)
{
    static const uint8_t states[AGG_ARGS_MAX] = {VAL_OK};
    buf_reset(&s->row);
    row_encode(&s->row, &s->value_schema[call], v, states);
}

/* What the accumulator holds outside of the group is counted as well. */
static void update(struct aggregate_state *s, const struct agg *agg, struct agg_state *call,
                   const union val *v, int64_t weight)
{
    s->bytes -= call->ext ? agg_state_ext_bytes(call) : 0;
    agg_update(agg, call, v, weight);
    s->bytes += call->ext ? agg_state_ext_bytes(call) : 0;
}

/* v: the call's arguments */
static void apply_value(struct aggregate_state *s, struct group *g, const struct plan_call *call,
                        uint32_t index, const union val *v, int64_t weight)
{
    if (!call->agg->ordered) {
        update(s, call->agg, &g->calls[index], v, weight);
        return;
    }
    bool by_look = call->agg->kind == AGG_SINGLE_VALUE; /* its type may have no order */
    value_key(s, g, index, by_look ? NULL : v);
    value_row(s, index, v);
    count_look(s, weight);
    g->calls[index].count += weight;
}

static struct distinct_value *distinct_new(struct aggregate_state *s, uint32_t index, const union val *v,
                                           uint64_t hash)
{
    struct distinct_value *d = xcalloc(1, sizeof *d + s->value_bytes.len);
    d->map = (struct bytemap_entry){hash, (uint8_t *)(d + 1), (uint32_t)s->value_bytes.len};
    memcpy(d + 1, s->value_bytes.p, s->value_bytes.len);
    value_row(s, index, v);
    d->value = bytes_copy(s->row.p, s->row.len);
    bytemap_insert(&s->distinct, &d->map);
    s->bytes += sizeof *d + d->map.key_len + d->value.len;
    return d;
}

static void distinct_drop(struct aggregate_state *s, struct distinct_value *d)
{
    s->bytes -= sizeof *d + d->map.key_len + d->value.len;
    bytemap_remove(&s->distinct, &d->map);
    free(d->value.p);
    free(d);
}

/* The smallest look under the prefix in s->value_bytes that is present; copied, as counting may free it. */
static bool smallest_look(struct aggregate_state *s, uint32_t index, union val *out)
{
    uint8_t states[AGG_ARGS_MAX];
    const struct ordmap_node *n = ordmap_first(&s->ordered, s->value_bytes.p, s->value_bytes.len);
    if (!n || n->count <= 0)
        return false;
    const uint8_t *copy = arena_memdup(&s->arena, ordmap_payload(n), n->payload_len);
    ASSERT(row_decode(&s->arena, &s->value_schema[index], copy, n->payload_len, out, states));
    return true;
}

/* DISTINCT: the accumulator sees a value when its first copy comes and when its last one goes. */
static void apply_distinct(struct aggregate_state *s, struct group *g, const struct plan_call *call,
                           uint32_t index, const union val *v, int64_t weight)
{
    value_key(s, g, index, v);
    uint64_t hash = hash_bytes(s->value_bytes.p, s->value_bytes.len);
    struct distinct_value *d =
        (struct distinct_value *)bytemap_find(&s->distinct, hash, s->value_bytes.p, s->value_bytes.len);
    if (!d)
        d = distinct_new(s, index, v, hash);
    int64_t before = d->count;
    weight_add(&d->count, weight);
    if ((before > 0) != (d->count > 0)) {
        union val first[AGG_ARGS_MAX];
        uint8_t states[AGG_ARGS_MAX];
        ASSERT(row_decode(&s->arena, &s->value_schema[index], d->value.p, d->value.len, first, states));
        apply_value(s, g, call, index, first, d->count > 0 ? 1 : -1);
    }
    if (d->count == 0)
        distinct_drop(s, d);
}

/* The same for types with looks: the accumulator holds the smallest look present. */
static void apply_distinct_look(struct aggregate_state *s, struct group *g, const struct plan_call *call,
                                uint32_t index, const union val *v, int64_t weight)
{
    union val before[AGG_ARGS_MAX], after[AGG_ARGS_MAX];
    value_key(s, g, index, v);
    value_row(s, index, v);
    bool had = smallest_look(s, index, before);
    count_look(s, weight);
    bool has = smallest_look(s, index, after);
    if (had)
        update(s, call->agg, &g->calls[index], before, -1);
    if (has)
        update(s, call->agg, &g->calls[index], after, 1);
}

/* ---- calls that are made of all values in order ---- */

static void make_walked(struct aggregate_state *s, const struct plan_call *call, uint32_t index)
{
    struct walked_call *w = &s->walked[index];
    w->keys = xcalloc(call->order_count + AGG_ARGS_MAX, sizeof *w->keys);
    for (uint32_t i = 0; i < call->order_count; i++) {
        const struct agg_order *o = &call->order[i];
        w->keys[w->key_count++] = (struct key_column){o->column, o->desc, o->nulls_first};
    }
    bool by_value = call->distinct || call->order_count == 0;
    for (uint32_t i = 0; i < 1 + call->more_count; i++) {
        w->types[i] = s->value_schema[index].columns[i].type.id;
        if (by_value)
            w->keys[w->key_count++] = (struct key_column){i ? call->more[i - 1] : call->arg, false, false};
    }
}

static void apply_walked(struct op *op, struct group *g, uint32_t index, const struct batch *b, uint32_t r)
{
    struct aggregate_state *s = op->state;
    const struct plan_call *call = &op->node->u.agg.calls[index];
    const struct walked_call *w = &s->walked[index];
    union val v[AGG_ARGS_MAX];
    uint8_t states[AGG_ARGS_MAX];
    for (uint32_t i = 0; i < 1 + call->more_count; i++) {
        const struct vec *arg = &b->cols[i ? call->more[i - 1] : call->arg];
        v[i] = arg->v[r];
        states[i] = arg->state[r];
    }
    if (states[0] != VAL_OK && !agg_sees_nulls(call->agg))
        return;
    value_key(s, g, index, NULL);
    key_encode_vecs(&s->value_bytes, &op->node->inputs[0]->schema, b->cols, r, w->keys, w->key_count);
    buf_reset(&s->row);
    row_encode(&s->row, &s->value_schema[index], v, states);
    buf_put(&s->value_bytes, s->row.p, s->row.len);
    uint32_t row_len = (uint32_t)s->row.len;
    ordmap_add(&s->ordered, s->value_bytes.p, s->value_bytes.len, (const uint8_t *)&row_len, sizeof row_len,
               b->weight[r]);
    weight_add(&g->calls[index].count, b->weight[r]);
}

static uint32_t walked_row_len(const struct ordmap_node *n)
{
    uint32_t len;
    memcpy(&len, ordmap_payload(n), sizeof len);
    return len;
}

/* Equal but for the looks. */
static bool same_keys(const struct ordmap_node *a, const struct ordmap_node *b)
{
    uint32_t len_a = a->key_len - walked_row_len(a), len_b = b->key_len - walked_row_len(b);
    return len_a == len_b && memcmp(ordmap_key(a), ordmap_key(b), len_a) == 0;
}

static bool walk_node(struct aggregate_state *s, uint32_t index, struct agg_walk *w,
                      const struct ordmap_node *n, int64_t count, bool same)
{
    union val v[AGG_ARGS_MAX];
    uint8_t states[AGG_ARGS_MAX];
    uint32_t len = walked_row_len(n);
    ASSERT(row_decode(&s->arena, &s->value_schema[index], ordmap_key(n) + n->key_len - len, len, v, states));
    return agg_walk_add(w, v, states, count, same);
}

static bool walked_result(struct aggregate_state *s, const struct group *g, const struct plan_call *call,
                          uint32_t index, union val *out, uint8_t *state)
{
    const struct ordmap_node *before = NULL;
    struct agg_walk w;
    agg_walk_begin(&w, call->agg, s->walked[index].types, call->fraction, g->calls[index].count, &s->ctx);
    value_key(s, g, index, NULL);
    size_t prefix = s->value_bytes.len;
    const struct ordmap_node *n = ordmap_first(&s->ordered, s->value_bytes.p, prefix);
    for (; n && !w.done; before = n, n = n->next[0]) {
        if (n->key_len < prefix || memcmp(ordmap_key(n), s->value_bytes.p, prefix) != 0)
            break;
        bool same = before && same_keys(before, n);
        if (same && call->distinct)
            continue;
        if (!walk_node(s, index, &w, n, call->distinct ? 1 : n->count, same))
            return false;
    }
    bool is_null = false;
    if (!agg_walk_end(&w, out, &is_null))
        return false;
    *state = is_null ? VAL_NULL : VAL_OK;
    return true;
}

static void apply_call(struct op *op, struct group *g, uint32_t index, const struct batch *b, uint32_t r)
{
    struct aggregate_state *s = op->state;
    const struct plan_call *call = &op->node->u.agg.calls[index];
    if (call->filter != PLAN_NO_COLUMN) {
        const struct vec *f = &b->cols[call->filter];
        if (f->state[r] != VAL_OK || !f->v[r].i)
            return;
    }
    if (call->arg == PLAN_NO_COLUMN) {
        weight_add(&g->calls[index].count, b->weight[r]);
        return;
    }
    if (s->walked[index].key_count) {
        apply_walked(op, g, index, b, r);
        return;
    }
    if (b->cols[call->arg].state[r] != VAL_OK)
        return;
    const union val *v = &b->cols[call->arg].v[r];
    union val pair[AGG_ARGS_MAX];
    if (call->more_count) {
        const struct vec *second = &b->cols[call->more[0]];
        if (second->state[r] != VAL_OK)
            return;
        pair[0] = *v;
        pair[1] = second->v[r];
        v = pair;
    }
    if (call->distinct && !call->agg->ordered && s->looks[index])
        apply_distinct_look(s, g, call, index, v, b->weight[r]);
    else if (call->distinct && !call->agg->ordered)
        apply_distinct(s, g, call, index, v, b->weight[r]);
    else
        apply_value(s, g, call, index, v, b->weight[r]);
}

static void aggregate_push(struct op *op, uint32_t input, const struct batch *b)
{
    (void)input;
    struct aggregate_state *s = op->state;
    const struct schema *schema = &op->node->inputs[0]->schema;
    for (uint32_t r = 0; r < b->row_count; r++) {
        buf_reset(&s->key_bytes);
        key_encode_vecs(&s->key_bytes, schema, b->cols, r, s->key, s->key_count);
        uint64_t hash = hash_bytes(s->key_bytes.p, s->key_bytes.len);
        struct group *g = (struct group *)bytemap_find(&s->groups, hash, s->key_bytes.p, s->key_bytes.len);
        if (!g)
            g = group_new(s, b, r, hash);
        weight_add(&g->weight, b->weight[r]);
        if (s->key_looks)
            count_key_look(s, g, b, r);
        mark_dirty(s, g);
        for (uint32_t c = 0; c < s->call_count; c++)
            apply_call(op, g, c, b, r);
    }
    arena_reset(&s->arena);
}

/* ---- what a group shows ---- */

static bool extreme_result(struct aggregate_state *s, const struct group *g, const struct plan_call *call,
                           uint32_t index, union val *out, uint8_t *state)
{
    value_key(s, g, index, NULL);
    const struct ordmap_node *n = call->agg->kind == AGG_MAX
                                      ? ordmap_last(&s->ordered, s->value_bytes.p, s->value_bytes.len)
                                      : ordmap_first(&s->ordered, s->value_bytes.p, s->value_bytes.len);
    *state = VAL_NULL;
    return !n ||
           row_decode(&s->arena, &s->value_schema[index], ordmap_payload(n), n->payload_len, out, state);
}

static bool call_result(struct aggregate_state *s, const struct group *g, const struct plan_call *call,
                        uint32_t index, union val *out, uint8_t *state)
{
    if (agg_is_walked(call->agg))
        return walked_result(s, g, call, index, out, state);
    if (call->agg->ordered)
        return extreme_result(s, g, call, index, out, state);
    bool is_null = false;
    if (!agg_result(call->agg, &g->calls[index], &s->ctx, out, &is_null))
        return false;
    *state = is_null ? VAL_NULL : VAL_OK;
    return true;
}

/* Encodes the group's row into s->row; false when a result fails. */
static bool group_row(struct op *op, struct group *g)
{
    struct aggregate_state *s = op->state;
    uint32_t columns = op->node->schema.column_count;
    union val *vals = ARENA_ARRAY(&s->arena, union val, columns);
    uint8_t *states = ARENA_ARRAY(&s->arena, uint8_t, columns);
    ASSERT(row_decode(&s->arena, &s->key_schema, g->key_row.p, g->key_row.len, vals, states));
    for (uint32_t c = 0; c < s->call_count; c++)
        if (!call_result(s, g, &op->node->u.agg.calls[c], c, &vals[s->key_count + c],
                         &states[s->key_count + c])) {
            s->failed_call = c;
            return false;
        }
    buf_reset(&s->row);
    row_encode(&s->row, &op->node->schema, vals, states);
    return true;
}

static void put_out(struct op *op, const struct bytes *row, int64_t weight)
{
    uint32_t n = op_out_row(op, weight);
    ASSERT(row_decode_at(op->out, n, 0, &op->node->schema, row->p, row->len));
}

static void take_back(struct op *op, struct group *g)
{
    struct aggregate_state *s = op->state;
    if (!g->shown.p)
        return;
    put_out(op, &g->shown, -1);
    s->old_rows = grow_array(s->old_rows, s->old_count, &s->old_capacity, sizeof *s->old_rows);
    s->old_rows[s->old_count++] = g->shown;
    s->bytes -= g->shown.len;
    g->shown = (struct bytes){NULL, 0};
}

/* The group's key stands for its row. */
static void describe_group(struct op *op, const struct group *g)
{
    struct aggregate_state *s = op->state;
    struct batch *key = batch_new(s->key_count);
    struct buf text = {0};
    const struct plan_call *call = &op->node->u.agg.calls[s->failed_call];
    plan_call_text(&text, call, &op->node->inputs[0]->schema);
    buf_put_u8(&text, 0);
    struct error_cause cause = {.sqlstate = fn_error_sqlstate(s->ctx.error),
                                .message = s->ctx.error_text,
                                .expression = (const char *)text.p,
                                .place = call->place};
    ASSERT(row_decode_append(key, &s->key_schema, g->key_row.p, g->key_row.len, 1, false));
    op_error_describe(op, &s->key_schema, key->cols, 0, 1, &cause);
    batch_free(key);
    buf_fini(&text);
}

/* A group that goes on failing may do so in another call. */
static void set_failed(struct op *op, struct group *g, bool failed)
{
    struct aggregate_state *s = op->state;
    if (g->failed)
        op_error_uncount(op, g->map.key, g->map.key_len);
    if (failed && op_error_count(op, g->map.key, g->map.key_len, 1))
        describe_group(op, g);
    g->failed = failed;
    s->ctx.error = FN_OK;
}

static void show_group(struct op *op, struct group *g)
{
    struct aggregate_state *s = op->state;
    bool ok = group_row(op, g);
    set_failed(op, g, !ok);
    if (!ok) {
        take_back(op, g);
        return;
    }
    if (g->shown.p && g->shown.len == s->row.len && memcmp(g->shown.p, s->row.p, s->row.len) == 0)
        return; /* changes that cancel say nothing */
    take_back(op, g);
    g->shown = bytes_copy(s->row.p, s->row.len);
    s->bytes += g->shown.len;
    put_out(op, &g->shown, 1);
}

static void drop_group(struct op *op, struct group *g)
{
    struct aggregate_state *s = op->state;
    set_failed(op, g, false);
    take_back(op, g);
    bytemap_remove(&s->groups, &g->map);
    group_free(s, g);
}

/* A global aggregate shows its one row even over nothing, on the shard of the empty key alone. */
static void ensure_global_group(struct op *op)
{
    struct aggregate_state *s = op->state;
    if (s->key_count || !s->call_count || s->groups.count)
        return;
    buf_reset(&s->key_bytes);
    uint64_t hash = hash_bytes("", 0);
    if (hash_shard(hash, op->graph->env.shard_count) == op->graph->env.shard)
        mark_dirty(s, group_new(s, NULL, 0, hash));
}

static void aggregate_close(struct op *op)
{
    struct aggregate_state *s = op->state;
    bool keyed = s->key_count > 0 || s->call_count == 0;
    ensure_global_group(op);
    for (uint32_t i = 0; i < s->dirty_count; i++) {
        struct group *g = s->dirty[i];
        g->dirty = false;
        if (g->weight < 0)
            graph_fail(op->graph, err_new(ERR_INTERNAL, "an aggregate's group has fewer than no rows"));
        else if (keyed && g->weight == 0)
            drop_group(op, g);
        else
            show_group(op, g);
        arena_reset(&s->arena);
    }
    s->dirty_count = 0;
    op_flush(op);
    while (s->old_count)
        free(s->old_rows[--s->old_count].p);
}

static void make_value_schema(struct op *op, struct aggregate_state *s, uint32_t index)
{
    const struct plan_call *call = &op->node->u.agg.calls[index];
    const struct column *in = op->node->inputs[0]->schema.columns;
    if (call->arg == PLAN_NO_COLUMN)
        return;
    ASSERT(call->more_count < AGG_ARGS_MAX);
    struct schema *v = &s->value_schema[index];
    v->columns = xcalloc(call->more_count + 1, sizeof *v->columns);
    v->columns[v->column_count++] = in[call->arg];
    for (uint32_t i = 0; i < call->more_count; i++)
        v->columns[v->column_count++] = in[call->more[i]];
    for (uint32_t i = 0; i < v->column_count; i++)
        s->looks[index] |= type_has_looks(v->columns[i].type.id);
    if (agg_is_walked(call->agg))
        make_walked(s, call, index);
}

static void make_schemas(struct op *op, struct aggregate_state *s)
{
    s->key_schema = (struct schema){s->key_count, op->node->schema.columns};
    for (uint32_t k = 0; k < s->key_count; k++)
        s->key_looks |= type_has_looks(s->key_schema.columns[k].type.id);
    s->value_schema = xcalloc(s->call_count, sizeof *s->value_schema);
    s->walked = xcalloc(s->call_count, sizeof *s->walked);
    s->looks = xcalloc(s->call_count, sizeof *s->looks);
    for (uint32_t c = 0; c < s->call_count; c++)
        make_value_schema(op, s, c);
}

static void aggregate_open(struct op *op)
{
    struct aggregate_state *s = xcalloc(1, sizeof *s);
    s->key_count = op->node->u.agg.key_count;
    s->call_count = op->node->u.agg.call_count;
    s->key = xcalloc(s->key_count, sizeof *s->key);
    for (uint32_t k = 0; k < s->key_count; k++)
        s->key[k].column = op->node->u.agg.keys[k];
    s->key_vecs = xcalloc(s->key_count, sizeof *s->key_vecs);
    make_schemas(op, s);
    bytemap_init(&s->groups);
    bytemap_init(&s->distinct);
    ordmap_init(&s->ordered);
    arena_init(&s->arena);
    s->ctx.arena = &s->arena;
    op->state = s;
}

static void aggregate_fini(struct op *op)
{
    struct aggregate_state *s = op->state;
    struct bytemap_entry *e;
    for (size_t at = 0; (e = bytemap_next(&s->groups, &at));)
        group_free(s, (struct group *)e);
    for (size_t at = 0; (e = bytemap_next(&s->distinct, &at));) {
        free(((struct distinct_value *)e)->value.p);
        free(e);
    }
    bytemap_fini(&s->groups);
    bytemap_fini(&s->distinct);
    ordmap_fini(&s->ordered);
    arena_fini(&s->arena);
    buf_fini(&s->key_bytes);
    buf_fini(&s->value_bytes);
    buf_fini(&s->row);
    free(s->key);
    free(s->key_vecs);
    for (uint32_t c = 0; c < s->call_count; c++)
        free(s->value_schema[c].columns);
    for (uint32_t c = 0; c < s->call_count; c++)
        free(s->walked[c].keys);
    free(s->walked);
    free(s->value_schema);
    free(s->looks);
    free(s->dirty);
    free(s->old_rows);
    free(s);
}

static size_t aggregate_bytes(const struct op *op)
{
    const struct aggregate_state *s = op->state;
    return s->bytes + bytemap_bytes(&s->groups) + bytemap_bytes(&s->distinct) + s->ordered.bytes;
}

static uint64_t aggregate_rows(const struct op *op)
{
    const struct aggregate_state *s = op->state;
    return s->groups.count;
}

const struct op_class op_class_aggregate = {"aggregate",    aggregate_open,  aggregate_push, aggregate_close,
                                            aggregate_fini, aggregate_bytes, aggregate_rows, NULL};
