/* Fingerprints: what decides a view's rows and how they are stored, as a hash that is the same in every run.
 *
 * Each node has a hash of which rows it lets through and one for each column it yields. Tables enter by name,
 * key and the columns that are really read, so that a column added to a table leaves the views alone that do not
 * read it; numbers of nodes and columns never enter. Exchanges do not count. */
#include "plan/planner.h"

#include "base/buf.h"
#include "base/hash.h"

struct names {
    char (*text)[17]; /* hexadecimal column hashes of the input(s) */
};

static const char *column_name(const void *context, uint32_t column)
{
    return ((const struct names *)context)->text[column];
}

static uint64_t finish(struct buf *b)
{
    uint64_t h = hash_bytes(b->p, b->len);
    buf_reset(b);
    return h;
}

static struct names names_of(struct planner *p, uint32_t count, const uint64_t *hashes)
{
    struct names n = {arena_alloc(p->arena, sizeof(*n.text) * (count + 1))};
    for (uint32_t i = 0; i < count; i++)
        snprintf(n.text[i], sizeof(n.text[i]), "%016llx", (unsigned long long)hashes[i]);
    return n;
}

static void put_type(struct buf *b, struct type t)
{
    buf_printf(b, ":%s/%d", type_info(t.id)->pg_name, (int)t.typmod);
}

static void put_hash(struct buf *b, uint64_t h)
{
    buf_printf(b, " %016llx", (unsigned long long)h);
}

static void hash_table(struct buf *b, const struct plan_node *n, struct node_info *info)
{
    const struct table_def *t = n->u.table;
    buf_printf(b, "table %s.%s key", t->source, t->name);
    for (uint32_t i = 0; i < t->key_count; i++)
        buf_printf(b, " %s", t->schema.columns[t->key[i]].name);
    info->row_hash = finish(b);
    for (uint32_t i = 0; i < t->schema.column_count; i++) {
        put_hash(b, info->row_hash);
        buf_printf(b, " column %s", t->schema.columns[i].name);
        put_type(b, t->schema.columns[i].type);
        info->column_hash[i] = finish(b);
    }
}

static void hash_map(struct planner *p, struct buf *b, const struct plan_node *n, struct node_info *info)
{
    const struct node_info *in = node_info(p, n->inputs[0]);
    struct names names = names_of(p, n->inputs[0]->schema.column_count, in->column_hash);
    info->row_hash = in->row_hash;
    for (uint32_t i = 0; i < n->schema.column_count; i++) {
        const struct expr *e = n->u.exprs[i];
        const struct type from =
            e->kind == EX_COLUMN ? n->inputs[0]->schema.columns[e->u.column].type : e->type;
        if (e->kind == EX_COLUMN && from.id == e->type.id && from.typmod == e->type.typmod) {
            info->column_hash[i] = in->column_hash[e->u.column];
            continue;
        }
        expr_canonical(b, e, column_name, &names);
        info->column_hash[i] = finish(b);
    }
}

static void hash_filter(struct planner *p, struct buf *b, const struct plan_node *n, struct node_info *info)
{
    const struct node_info *in = node_info(p, n->inputs[0]);
    struct names names = names_of(p, n->schema.column_count, in->column_hash);
    memcpy(info->column_hash, in->column_hash, n->schema.column_count * sizeof(uint64_t));
    put_hash(b, in->row_hash);
    buf_put_str(b, " filter ");
    expr_canonical(b, n->u.filter, column_name, &names);
    info->row_hash = finish(b);
}

static void hash_temporal(struct planner *p, struct buf *b, const struct plan_node *n, struct node_info *info)
{
    const struct node_info *in = node_info(p, n->inputs[0]);
    uint32_t count = n->inputs[0]->schema.column_count;
    struct names names = names_of(p, count, in->column_hash);
    memcpy(info->column_hash, in->column_hash, count * sizeof(uint64_t));
    put_hash(b, in->row_hash);
    buf_printf(b, " temporal %d ", (int)n->u.temporal.op);
    expr_canonical(b, n->u.temporal.key, column_name, &names);
    expr_canonical(b, n->u.temporal.clock, NULL, NULL);
    uint64_t hash = finish(b);
    info->row_hash = n->u.temporal.is_filter ? hash : in->row_hash;
    if (!n->u.temporal.is_filter)
        info->column_hash[count] = hash;
}

static void hash_join(struct planner *p, struct buf *b, const struct plan_node *n, struct node_info *info)
{
    const struct node_info *in[2] = {node_info(p, n->inputs[0]), node_info(p, n->inputs[1])};
    uint32_t left = n->inputs[0]->schema.column_count, count = left + n->inputs[1]->schema.column_count;
    uint64_t *columns =
        ARENA_ARRAY(p->arena, uint64_t, count + 1); /* of both sides, which the residual may mention */
    for (uint32_t i = 0; i < count; i++) {          /* a self-join's sides differ */
        uint32_t side = i >= left;
        buf_printf(b, "side %u", (unsigned)side);
        put_hash(b, in[side]->column_hash[side ? i - left : i]);
        columns[i] = finish(b);
    }
    buf_printf(b, "join %d", (int)n->u.join.kind);
    for (uint32_t i = 0; i < 2; i++)
        put_hash(b, in[i]->row_hash);
    for (uint32_t i = 0; i < n->u.join.key_count; i++) {
        put_hash(b, columns[n->u.join.left_keys[i]]);
        put_hash(b, columns[left + n->u.join.right_keys[i]]);
        if (n->u.join.null_safe[i])
            buf_put_str(b, " null safe");
    }
    if (n->u.join.three_valued)
        buf_put_str(b, " three values");
    for (uint32_t i = 0; i < n->u.join.range_count; i++) {
        buf_printf(b, " range %d", (int)n->u.join.ranges[i].op);
        put_hash(b, columns[n->u.join.ranges[i].left]);
        put_hash(b, columns[left + n->u.join.ranges[i].right]);
    }
    struct names names = names_of(p, count, columns);
    if (n->u.join.residual)
        expr_canonical(b, n->u.join.residual, column_name, &names);
    info->row_hash = finish(b);
    for (uint32_t i = 0; i < n->schema.column_count; i++)
        info->column_hash[i] = i < count ? columns[i] : 0;
    if (n->u.join.kind != JOIN_MARK)
        return;
    buf_put_str(b, "mark");
    put_hash(b, info->row_hash);
    info->column_hash[left] = finish(b);
}

static void hash_aggregate(struct planner *p, struct buf *b, const struct plan_node *n,
                           struct node_info *info)
{
    const struct node_info *in = node_info(p, n->inputs[0]);
    buf_put_str(b, "aggregate");
    put_hash(b, in->row_hash);
    for (uint32_t i = 0; i < n->u.agg.key_count; i++) {
        info->column_hash[i] = in->column_hash[n->u.agg.keys[i]];
        put_hash(b, info->column_hash[i]);
    }
    info->row_hash = finish(b);
    for (uint32_t i = 0; i < n->u.agg.call_count; i++) {
        const struct plan_call *c = &n->u.agg.calls[i];
        put_hash(b, info->row_hash);
        buf_printf(b, " %s/%u %d", c->agg->name, (unsigned)c->agg->kind, c->distinct);
        if (c->arg != PLAN_NO_COLUMN)
            put_hash(b, in->column_hash[c->arg]);
        for (uint32_t k = 0; k < c->more_count; k++)
            put_hash(b, in->column_hash[c->more[k]]);
        for (uint32_t k = 0; k < c->order_count; k++) {
            buf_printf(b, " order %d %d", c->order[k].desc, c->order[k].nulls_first);
            put_hash(b, in->column_hash[c->order[k].column]);
        }
        if (agg_is_ordered_set(c->agg))
            buf_printf(b, " at %.17g", c->fraction);
        if (c->filter != PLAN_NO_COLUMN) {
            buf_put_str(b, " filter");
            put_hash(b, in->column_hash[c->filter]);
        }
        info->column_hash[n->u.agg.key_count + i] = finish(b);
    }
}

static void hash_expand(struct planner *p, struct buf *b, const struct plan_node *n, struct node_info *info)
{
    const struct node_info *in = node_info(p, n->inputs[0]);
    uint32_t own = n->inputs[0]->schema.column_count, keys = n->u.expand.key_count,
             constants = n->u.expand.constant_count, sets = n->u.expand.set_count;
    memcpy(info->column_hash, in->column_hash, own * sizeof(uint64_t));
    put_hash(b, in->row_hash);
    buf_printf(b, " expand %u", (unsigned)sets);
    info->row_hash = finish(b);
    for (uint32_t k = 0; k < keys; k++) {
        put_hash(b, info->row_hash);
        put_hash(b, in->column_hash[n->u.expand.sources[k]]);
        for (uint32_t i = 0; i < sets; i++)
            buf_put_u8(b, n->u.expand.present[(size_t)i * keys + k] ? '1' : '0');
        info->column_hash[own + k] = finish(b);
    }
    for (uint32_t c = 0; c < constants; c++) {
        put_hash(b, info->row_hash);
        for (uint32_t i = 0; i < sets; i++)
            buf_printf(b, " %d", (int)n->u.expand.constants[(size_t)i * constants + c]);
        info->column_hash[own + keys + c] = finish(b);
    }
}

static void put_sort(struct buf *b, const struct node_info *in, uint32_t count,
                     const struct key_column *order)
{
    for (uint32_t i = 0; i < count; i++) {
        put_hash(b, in->column_hash[order[i].column]);
        buf_printf(b, "/%d/%d", order[i].desc, order[i].nulls_first);
    }
}

/* All columns decide, for they tell rows apart; what leaves out on one shard what the others know better does not. */
static void hash_top(struct planner *p, struct buf *b, const struct plan_node *n, struct node_info *info)
{
    const struct node_info *in = node_info(p, n->inputs[0]);
    memcpy(info->column_hash, in->column_hash, n->schema.column_count * sizeof(uint64_t));
    info->row_hash = in->row_hash;
    if (n->u.top.is_local)
        return;
    buf_printf(b, "top %lld+%lld %d by", (long long)n->u.top.offset, (long long)n->u.top.limit,
               n->u.top.with_ties);
    put_hash(b, in->row_hash);
    for (uint32_t i = 0; i < n->u.top.partition_count; i++)
        put_hash(b, in->column_hash[n->u.top.partition[i]]);
    buf_put_str(b, " order");
    put_sort(b, in, n->u.top.order_count, n->u.top.order);
    buf_put_str(b, " columns");
    for (uint32_t i = 0; i < n->schema.column_count; i++)
        put_hash(b, in->column_hash[i]);
    info->row_hash = finish(b);
}

static void hash_window(struct planner *p, struct buf *b, const struct plan_node *n, struct node_info *info)
{
    const struct node_info *in = node_info(p, n->inputs[0]);
    uint32_t own = n->inputs[0]->schema.column_count;
    memcpy(info->column_hash, in->column_hash, own * sizeof(uint64_t));
    info->row_hash = in->row_hash;
    buf_put_str(b, "window by");
    put_hash(b, in->row_hash);
    for (uint32_t i = 0; i < n->u.window.partition_count; i++)
        put_hash(b, in->column_hash[n->u.window.partition[i]]);
    buf_put_str(b, " order");
    put_sort(b, in, n->u.window.order_count, n->u.window.order);
    buf_put_str(b, " columns");
    for (uint32_t i = 0; i < own; i++) /* they tell rows apart */
        put_hash(b, in->column_hash[i]);
    uint64_t window = finish(b);
    for (uint32_t i = 0; i < n->u.window.call_count; i++) {
        const struct plan_window_call *c = &n->u.window.calls[i];
        const struct window_frame *f = &c->frame;
        put_hash(b, window);
        buf_printf(b, " %d %s %d/%d/%d/%d/%lld/%lld", (int)c->kind, c->agg ? c->agg->name : "", (int)f->mode,
                   (int)f->start, (int)f->end, (int)f->exclude, (long long)f->start_offset,
                   (long long)f->end_offset);
        if (frame_has_range_offset(f))
            buf_printf(b, " range %s/%s", f->start_range.text ? f->start_range.text : "",
                       f->end_range.text ? f->end_range.text : "");
        for (uint32_t k = 0; k < c->arg_count; k++)
            put_hash(b, in->column_hash[c->args[k]]);
        if (c->filter != PLAN_NO_COLUMN) {
            buf_put_str(b, " filter");
            put_hash(b, in->column_hash[c->filter]);
        }
        info->column_hash[own + i] = finish(b);
    }
}

static void hash_flatmap(struct planner *p, struct buf *b, const struct plan_node *n, struct node_info *info)
{
    const struct node_info *in = node_info(p, n->inputs[0]);
    uint32_t own = n->inputs[0]->schema.column_count;
    memcpy(info->column_hash, in->column_hash, own * sizeof(uint64_t));
    buf_printf(b, "flatmap %d %d", n->u.flatmap.ordinality, n->u.flatmap.keeps_empty);
    put_hash(b, in->row_hash);
    for (uint32_t i = 0; i < n->u.flatmap.call_count; i++) {
        const struct plan_set_call *c = &n->u.flatmap.calls[i];
        buf_printf(b, " %s", c->fn->fn.name);
        for (uint32_t k = 0; k < c->arg_count; k++) {
            put_hash(b, in->column_hash[c->args[k]]);
            put_type(b, n->schema.columns[c->args[k]].type);
        }
        for (uint32_t k = 0; k < c->column_count; k++) {
            put_type(b, c->types[k]);
            buf_printf(b, " %s", c->fn->flags & SET_RECORD ? c->names[k] : "");
        }
    }
    info->row_hash = finish(b);
    for (uint32_t i = own; i < n->schema.column_count; i++) {
        put_hash(b, info->row_hash);
        buf_printf(b, " flatmap column %u", (unsigned)(i - own));
        info->column_hash[i] = finish(b);
    }
}

static void hash_union(struct planner *p, struct buf *b, const struct plan_node *n, struct node_info *info)
{
    buf_put_str(b, "union all");
    for (uint32_t i = 0; i < n->input_count; i++)
        put_hash(b, node_info(p, n->inputs[i])->row_hash);
    info->row_hash = finish(b);
    for (uint32_t c = 0; c < n->schema.column_count; c++) {
        buf_put_str(b, "union column");
        for (uint32_t i = 0; i < n->input_count; i++)
            put_hash(b, node_info(p, n->inputs[i])->column_hash[c]);
        info->column_hash[c] = finish(b);
    }
}

static void hash_values(struct buf *b, const struct plan_node *n, struct node_info *info)
{
    uint32_t columns = n->schema.column_count;
    buf_printf(b, "values %u of %u", (unsigned)n->u.values.row_count, (unsigned)columns);
    for (uint32_t i = 0; i < n->u.values.row_count * columns; i++)
        expr_canonical(b, n->u.values.cells[i], NULL, NULL);
    info->row_hash = finish(b);
    for (uint32_t c = 0; c < columns; c++) {
        put_hash(b, info->row_hash);
        buf_printf(b, " values column %u", (unsigned)c);
        put_type(b, n->schema.columns[c].type);
        info->column_hash[c] = finish(b);
    }
}

static void hash_set(struct planner *p, struct buf *b, const struct plan_node *n, struct node_info *info)
{
    buf_printf(b, "set %d %d", (int)n->u.set.kind, n->u.set.all);
    for (uint32_t i = 0; i < n->input_count; i++) {
        const struct node_info *in = node_info(p, n->inputs[i]);
        put_hash(b, in->row_hash);
        for (uint32_t c = 0; c < n->schema.column_count; c++)
            put_hash(b, in->column_hash[c]);
    }
    info->row_hash = finish(b);
    for (uint32_t c = 0; c < n->schema.column_count; c++) {
        put_hash(b, info->row_hash); /* the look of equal values is chosen among all rows */
        buf_printf(b, " set column %u", (unsigned)c);
        info->column_hash[c] = finish(b);
    }
}

static void put_rows(struct planner *p, struct buf *b, const struct plan_node *n)
{
    const struct node_info *info = node_info(p, n);
    put_hash(b, info->row_hash);
    for (uint32_t c = 0; c < n->schema.column_count; c++)
        put_hash(b, info->column_hash[c]);
}

static void number_columns(struct buf *b, const struct plan_node *n, struct node_info *info, const char *what)
{
    for (uint32_t c = 0; c < n->schema.column_count; c++) {
        put_hash(b, info->row_hash);
        buf_printf(b, " %s column %u", what, (unsigned)c);
        put_type(b, n->schema.columns[c].type);
        info->column_hash[c] = finish(b);
    }
}

/* What the recursive term does with it enters with the recursion. */
static void hash_loop(struct planner *p, struct buf *b, const struct plan_node *n, struct node_info *info)
{
    buf_put_str(b, "loop");
    put_rows(p, b, n->u.loop.base);
    info->row_hash = finish(b);
    number_columns(b, n, info, "loop");
}

static void hash_recurse(struct planner *p, struct buf *b, const struct plan_node *n, struct node_info *info)
{
    buf_printf(b, "recurse %d", n->u.recurse.all);
    for (uint32_t i = 0; i < n->input_count; i++)
        put_rows(p, b, n->inputs[i]);
    info->row_hash = finish(b);
    number_columns(b, n, info, "recurse");
}

void fingerprint_node(struct planner *p, struct plan_node *n, struct node_info *info)
{
    struct buf b = {0};
    info->column_hash = ARENA_ARRAY(p->arena, uint64_t, n->schema.column_count + 1);
    switch (n->kind) {
    case PLAN_TABLE: hash_table(&b, n, info); break;
    case PLAN_VALUES: hash_values(&b, n, info); break;
    case PLAN_FILTER: hash_filter(p, &b, n, info); break;
    case PLAN_TEMPORAL: hash_temporal(p, &b, n, info); break;
    case PLAN_MAP: hash_map(p, &b, n, info); break;
    case PLAN_JOIN: hash_join(p, &b, n, info); break;
    case PLAN_AGGREGATE: hash_aggregate(p, &b, n, info); break;
    case PLAN_TOP: hash_top(p, &b, n, info); break;
    case PLAN_EXPAND: hash_expand(p, &b, n, info); break;
    case PLAN_FLATMAP: hash_flatmap(p, &b, n, info); break;
    case PLAN_WINDOW: hash_window(p, &b, n, info); break;
    case PLAN_UNION_ALL: hash_union(p, &b, n, info); break;
    case PLAN_SET: hash_set(p, &b, n, info); break;
    case PLAN_LOOP: hash_loop(p, &b, n, info); break;
    case PLAN_RECURSE: hash_recurse(p, &b, n, info); break;
    case PLAN_EXCHANGE:
    case PLAN_VIEW:
        info->row_hash = node_info(p, n->inputs[0])->row_hash;
        info->column_hash = node_info(p, n->inputs[0])->column_hash;
        break;
    }
    buf_fini(&b);
}

uint64_t fingerprint_view(struct planner *p, const struct plan_view *v)
{
    struct buf b = {0};
    const struct node_info *info = node_info(p, v->output);
    buf_put_str(&b, "view");
    put_hash(&b, info->row_hash);
    for (uint32_t i = 0; i < v->schema.column_count; i++) {
        put_hash(&b, info->column_hash[i]);
        buf_printf(&b, "%s", v->schema.columns[i].name);
        put_type(&b, v->schema.columns[i].type);
    }
    for (uint32_t i = 0; i < v->key_count; i++)
        buf_printf(&b, " key %u", (unsigned)v->key[i]);
    for (uint32_t i = 0; i < v->index_count; i++) {
        buf_printf(&b, " index %s", v->indexes[i].name);
        for (uint32_t k = 0; k < v->indexes[i].column_count; k++) {
            const struct key_column *c = &v->indexes[i].columns[k];
            buf_printf(&b, " %u/%d/%d", (unsigned)c->column, c->desc, c->nulls_first);
        }
    }
    uint64_t h = finish(&b);
    buf_fini(&b);
    return h;
}
