/* Plan nodes, made once: the canonical text of kind, inputs and parameters finds the node that is there already. */
#include "plan/planner.h"

#include "base/buf.h"
#include "base/hash.h"
#include "data/record.h"
#include "types/array.h"

struct node_info *node_info(struct planner *p, const struct plan_node *n)
{
    return &p->infos[n->id];
}

/* ---- canonical text ---- */

static void put_u32s(struct buf *b, const char *what, uint32_t count, const uint32_t *v)
{
    buf_printf(b, " %s", what);
    for (uint32_t i = 0; i < count; i++)
        buf_printf(b, ",%u", (unsigned)v[i]);
}

static void put_expr(struct buf *b, const struct expr *e)
{
    if (e)
        expr_canonical(b, e, NULL, NULL);
}

static void put_calls(struct buf *b, const struct plan_node *n)
{
    for (uint32_t i = 0; i < n->u.agg.call_count; i++) {
        const struct plan_call *c = &n->u.agg.calls[i];
        buf_printf(b, " %s/%u/%u(%u,%u,%d)", c->agg->name, (unsigned)c->agg->arg, (unsigned)c->agg->kind,
                   (unsigned)c->arg, (unsigned)c->filter, c->distinct);
        if (c->more_count)
            put_u32s(b, "more", c->more_count, c->more);
        for (uint32_t k = 0; k < c->order_count; k++)
            buf_printf(b, " order,%u,%d,%d", (unsigned)c->order[k].column, c->order[k].desc,
                       c->order[k].nulls_first);
        if (agg_is_ordered_set(c->agg))
            buf_printf(b, " at %.17g", c->fraction);
    }
}

static void put_order(struct buf *b, uint32_t count, const struct key_column *order)
{
    for (uint32_t i = 0; i < count; i++)
        buf_printf(b, " %u/%d/%d", (unsigned)order[i].column, order[i].desc, order[i].nulls_first);
}

static void put_expand(struct buf *b, const struct plan_node *n)
{
    uint32_t keys = n->u.expand.key_count, constants = n->u.expand.constant_count;
    put_u32s(b, "k", keys, n->u.expand.sources);
    for (uint32_t i = 0; i < n->u.expand.set_count; i++) {
        buf_put_str(b, " ");
        for (uint32_t k = 0; k < keys; k++)
            buf_put_str(b, n->u.expand.present[(size_t)i * keys + k] ? "1" : "0");
        for (uint32_t c = 0; c < constants; c++)
            buf_printf(b, "/%d", (int)n->u.expand.constants[(size_t)i * constants + c]);
    }
}

static void put_top(struct buf *b, const struct plan_node *n)
{
    put_u32s(b, "p", n->u.top.partition_count, n->u.top.partition);
    put_order(b, n->u.top.order_count, n->u.top.order);
    buf_printf(b, " %lld+%lld/%d/%d", (long long)n->u.top.offset, (long long)n->u.top.limit,
               n->u.top.with_ties, n->u.top.is_local);
}

static void put_window(struct buf *b, const struct plan_node *n)
{
    put_u32s(b, "p", n->u.window.partition_count, n->u.window.partition);
    put_order(b, n->u.window.order_count, n->u.window.order);
    for (uint32_t i = 0; i < n->u.window.call_count; i++) {
        const struct plan_window_call *c = &n->u.window.calls[i];
        const struct window_frame *f = &c->frame;
        buf_printf(b, " %d/%s/%u/%u/%u", (int)c->kind, c->agg ? c->agg->name : "",
                   c->agg ? (unsigned)c->agg->arg : 0, c->agg ? (unsigned)c->agg->kind : 0,
                   (unsigned)c->filter);
        put_u32s(b, "a", c->arg_count, c->args);
        buf_printf(b, " %d/%d/%d/%d/%lld/%lld", (int)f->mode, (int)f->start, (int)f->end, (int)f->exclude,
                   (long long)f->start_offset, (long long)f->end_offset);
        buf_printf(b, " %s/%s", f->start_range.text ? f->start_range.text : "",
                   f->end_range.text ? f->end_range.text : "");
    }
}

static void put_flatmap(struct buf *b, const struct plan_node *n)
{
    buf_printf(b, " %d/%d", n->u.flatmap.ordinality, n->u.flatmap.keeps_empty);
    for (uint32_t i = 0; i < n->u.flatmap.call_count; i++) {
        const struct plan_set_call *c = &n->u.flatmap.calls[i];
        buf_printf(b, " %s", c->fn->fn.name);
        put_u32s(b, "a", c->arg_count, c->args);
        for (uint32_t k = 0; k < c->column_count; k++)
            buf_printf(b, " %s/%d:%zu:%s", type_info(c->types[k].id)->pg_name, (int)c->types[k].typmod,
                       strlen(c->names[k]), c->names[k]);
    }
}

static void put_parameters(struct buf *b, const struct plan_node *n)
{
    switch (n->kind) {
    case PLAN_TABLE:
        buf_printf(b, " %u.%u %s.%s", (unsigned)n->u.table->source_index, (unsigned)n->u.table->table_index,
                   n->u.table->source, n->u.table->name);
        return;
    case PLAN_VALUES:
        buf_printf(b, " %u/%u", (unsigned)n->u.values.row_count, (unsigned)n->schema.column_count);
        for (uint32_t i = 0; i < n->u.values.row_count * n->schema.column_count; i++)
            put_expr(b, n->u.values.cells[i]);
        return;
    case PLAN_FILTER: put_expr(b, n->u.filter); return;
    case PLAN_TEMPORAL:
        buf_printf(b, " %d %d", (int)n->u.temporal.op, n->u.temporal.is_filter);
        put_expr(b, n->u.temporal.key);
        put_expr(b, n->u.temporal.clock);
        return;
    case PLAN_MAP:
        for (uint32_t i = 0; i < n->schema.column_count; i++)
            put_expr(b, n->u.exprs[i]);
        return;
    case PLAN_JOIN:
        buf_printf(b, " %d", (int)n->u.join.kind);
        put_u32s(b, "l", n->u.join.key_count, n->u.join.left_keys);
        put_u32s(b, "r", n->u.join.key_count, n->u.join.right_keys);
        for (uint32_t i = 0; i < n->u.join.key_count; i++)
            buf_put_str(b, n->u.join.null_safe[i] ? "n" : "-");
        buf_put_str(b, n->u.join.three_valued ? " three" : "");
        for (uint32_t i = 0; i < n->u.join.range_count; i++)
            buf_printf(b, " range,%u,%d,%u", (unsigned)n->u.join.ranges[i].left, (int)n->u.join.ranges[i].op,
                       (unsigned)n->u.join.ranges[i].right);
        put_expr(b, n->u.join.residual);
        return;
    case PLAN_AGGREGATE:
        put_u32s(b, "k", n->u.agg.key_count, n->u.agg.keys);
        buf_printf(b, "/%u", (unsigned)n->u.agg.group_count);
        put_calls(b, n);
        return;
    case PLAN_SET: buf_printf(b, " %d %d", (int)n->u.set.kind, n->u.set.all); return;
    case PLAN_TOP: put_top(b, n); return;
    case PLAN_EXPAND: put_expand(b, n); return;
    case PLAN_FLATMAP: put_flatmap(b, n); return;
    case PLAN_WINDOW: put_window(b, n); return;
    case PLAN_EXCHANGE:
        buf_put_str(b, n->u.exchange.everywhere ? " everywhere" : "");
        put_u32s(b, "x", n->u.exchange.key_count, n->u.exchange.keys);
        return;
    case PLAN_VIEW: buf_printf(b, " %s", n->u.view->name); return;
    case PLAN_LOOP: buf_printf(b, " %u", (unsigned)n->u.loop.number); return;
    case PLAN_RECURSE: buf_printf(b, " %d", n->u.recurse.all); return;
    case PLAN_UNION_ALL: return;
    }
}

static void put_canonical(struct buf *b, const struct plan_node *n)
{
    buf_printf(b, "%s", plan_kind_name(n->kind));
    for (uint32_t i = 0; i < n->input_count; i++)
        buf_printf(b, " #%u", (unsigned)n->inputs[i]->id);
    put_parameters(b, n);
    if (n->late)
        buf_put_str(b, " late");
    buf_put_u8(b, 0);
}

/* ---- the table of nodes ---- */

static uint32_t *slot_of(struct planner *p, const char *canonical, size_t len)
{
    uint32_t at = (uint32_t)hash_bytes(canonical, len) & (p->table_cap - 1);
    while (p->table[at] && strcmp(p->infos[p->table[at] - 1].canonical, canonical) != 0)
        at = (at + 1) & (p->table_cap - 1);
    return &p->table[at];
}

static void grow(struct planner *p)
{
    struct plan *plan = p->plan;
    uint32_t cap = p->node_cap ? p->node_cap * 2 : 64;
    struct plan_node **nodes = ARENA_ARRAY(p->arena, struct plan_node *, cap);
    struct node_info *infos = ARENA_ARRAY(p->arena, struct node_info, cap);
    if (plan->node_count) {
        memcpy(nodes, plan->nodes, plan->node_count * sizeof(*nodes));
        memcpy(infos, p->infos, plan->node_count * sizeof(*infos));
    }
    plan->nodes = nodes;
    p->infos = infos;
    p->node_cap = cap;
    p->table_cap = cap * 2;
    p->table = ARENA_ARRAY(p->arena, uint32_t, p->table_cap);
    for (uint32_t i = 0; i < plan->node_count; i++)
        *slot_of(p, infos[i].canonical, strlen(infos[i].canonical)) = i + 1;
}

struct plan_node *node_get(struct planner *p, struct plan_node draft)
{
    struct plan *plan = p->plan;
    struct buf text = {0};
    draft.late = p->late && draft.kind != PLAN_TABLE;
    put_canonical(&text, &draft);
    if (plan->node_count == p->node_cap)
        grow(p);
    uint32_t *slot = slot_of(p, (const char *)text.p, text.len - 1);
    if (!*slot) {
        struct plan_node *n = arena_memdup(p->arena, &draft, sizeof(draft));
        n->id = plan->node_count;
        struct node_info *info = &p->infos[n->id];
        info->canonical = arena_strndup(p->arena, (const char *)text.p, text.len - 1);
        plan->nodes[plan->node_count++] = n;
        *slot = plan->node_count;
        props_derive(p, n, info);
        info->in_loop = n->kind == PLAN_LOOP;
        for (uint32_t i = 0; i < n->input_count && n->kind != PLAN_RECURSE; i++)
            info->in_loop |= p->infos[n->inputs[i]->id].in_loop;
        fingerprint_node(p, n, info);
    }
    buf_fini(&text);
    return plan->nodes[*slot - 1];
}

/* ---- nodes with one input ---- */

static bool is_not_null(const struct expr *e, const struct schema *in);

static struct plan_node draft_of(struct planner *p, enum plan_kind kind, struct plan_node *in)
{
    struct plan_node n = {.kind = kind, .input_count = 1, .schema = in->schema};
    n.inputs = ARENA_ARRAY(p->arena, struct plan_node *, 1);
    n.inputs[0] = in;
    return n;
}

struct plan_node *node_filter(struct planner *p, struct plan_node *in, struct expr *filter)
{
    struct plan_node n = draft_of(p, PLAN_FILTER, in);
    n.u.filter = filter;
    return node_get(p, n);
}

struct plan_node *node_temporal(struct planner *p, struct plan_node *in, const struct plan_node *draft)
{
    struct plan_node n = draft_of(p, PLAN_TEMPORAL, in);
    n.u.temporal = draft->u.temporal;
    if (n.u.temporal.is_filter)
        return node_get(p, n);
    uint32_t count = in->schema.column_count;
    n.schema.columns = ARENA_ARRAY(p->arena, struct column, count + 1);
    memcpy(n.schema.columns, in->schema.columns, count * sizeof(struct column));
    n.schema.columns[count] = (struct column){
        .name = "now", .type = {T_BOOL, -1}, .not_null = is_not_null(n.u.temporal.key, &in->schema)};
    n.schema.column_count = count + 1;
    return node_get(p, n);
}

struct plan_node *node_exchange(struct planner *p, struct plan_node *in, uint32_t count, const uint32_t *keys)
{
    if (node_info(p, in)->in_loop)
        return in; /* all of a recursion is on one shard */
    struct plan_node n = draft_of(p, PLAN_EXCHANGE, in);
    n.u.exchange.key_count = count;
    n.u.exchange.keys = ARENA_ARRAY(p->arena, uint32_t, count + 1);
    if (count)
        memcpy(n.u.exchange.keys, keys, count * sizeof(*keys));
    return node_get(p, n);
}

/* Strict operators that give NULL for NULL arguments alone. */
static bool is_null_only_for_null(const struct fn *f)
{
    static const char *const names[] = {"=", "<>", "<", "<=", ">",  ">=", "+",
                                        "-", "*",  "/", "%",  "||", "~~", "!~~"};
    if ((f->flags & (FN_STRICT | FN_OPERATOR)) != (FN_STRICT | FN_OPERATOR))
        return false;
    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        if (strcmp(f->name, names[i]) == 0)
            return true;
    return false;
}

static bool all_not_null(const struct expr *e, const struct schema *in);
static bool is_not_null(const struct expr *e, const struct schema *in)
{
    switch (e->kind) {
    case EX_COLUMN: return in->columns[e->u.column].not_null;
    case EX_CONST: return !e->u.konst.is_null;
    case EX_FN:
        if (e->u.fn == &fn_array_construct || e->u.fn == &fn_record)
            return true;
        return is_null_only_for_null(e->u.fn) && all_not_null(e, in);
    case EX_CAST:
    case EX_TYPMOD:
    case EX_AND:
    case EX_OR:
    case EX_NOT:
    case EX_IN: return all_not_null(e, in);
    case EX_CASE:
        for (uint32_t i = 1; i < e->arg_count; i += 2)
            if (!is_not_null(e->args[i], in))
                return false;
        return is_not_null(e->args[e->arg_count - 1], in);
    case EX_COALESCE:
    case EX_GREATEST:
    case EX_LEAST:
        for (uint32_t i = 0; i < e->arg_count; i++)
            if (is_not_null(e->args[i], in))
                return true;
        return false;
    case EX_NULLIF:
    case EX_ANY: /* an element may be NULL, whether or not the array is */
    case EX_ALL: return false;
    default: /* the tests: IS NULL, IS TRUE, IS DISTINCT FROM, ... */ return true;
    }
}

static bool all_not_null(const struct expr *e, const struct schema *in)
{
    for (uint32_t i = 0; i < e->arg_count; i++)
        if (!is_not_null(e->args[i], in))
            return false;
    return true;
}

struct plan_node *node_map(struct planner *p, struct plan_node *in, uint32_t count, struct expr **exprs,
                           const char *const *names)
{
    struct plan_node n = draft_of(p, PLAN_MAP, in);
    n.u.exprs = exprs;
    n.schema.column_count = count;
    n.schema.columns = ARENA_ARRAY(p->arena, struct column, count + 1);
    for (uint32_t i = 0; i < count; i++)
        n.schema.columns[i] = (struct column){
            .name = names[i], .type = exprs[i]->type, .not_null = is_not_null(exprs[i], &in->schema)};
    return node_get(p, n);
}

struct plan_node *node_everywhere(struct planner *p, struct plan_node *in)
{
    struct plan_node n = draft_of(p, PLAN_EXCHANGE, in);
    n.u.exchange.everywhere = true;
    return node_get(p, n);
}
