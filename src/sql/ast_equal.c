/* Equality of expressions as written, wherever they stand: what tells that an item of ORDER BY, GROUP BY or DISTINCT ON is
 * an entry of the select list. Bound expressions cannot tell where they hold subqueries or window functions, whose
 * results are new attributes each time.
 *
 * Every field of ast.h but positions is compared; a kind that is not known here equals nothing. */
#include "sql/ast.h"

#include <string.h>

static bool equal_names(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool equal_lists(uint32_t count, const char *const *a, const char *const *b)
{
    for (uint32_t i = 0; i < count; i++)
        if (!equal_names(a[i], b[i]))
            return false;
    return true;
}

static bool equal_types(const struct ast_type *a, const struct ast_type *b)
{
    if (!a || !b)
        return a == b;
    return a->is_array == b->is_array && a->mod_count == b->mod_count && equal_names(a->name, b->name) &&
           memcmp(a->mods, b->mods, a->mod_count * sizeof(*a->mods)) == 0;
}

static bool equal_exprs(uint32_t count, struct ast *const *a, struct ast *const *b)
{
    for (uint32_t i = 0; i < count; i++)
        if (!ast_equal(a[i], b[i]))
            return false;
    return true;
}

static bool equal_sorts(uint32_t count, const struct ast_sort *a, const struct ast_sort *b)
{
    for (uint32_t i = 0; i < count; i++)
        if (a[i].desc != b[i].desc || a[i].nulls_first != b[i].nulls_first ||
            !ast_equal(a[i].expr, b[i].expr))
            return false;
    return true;
}

static bool equal_frames(const struct window_frame *a, const struct window_frame *b)
{
    return a->mode == b->mode && a->start == b->start && a->end == b->end && a->exclude == b->exclude &&
           a->start_offset == b->start_offset && a->end_offset == b->end_offset;
}

static bool equal_windows(const struct ast_window *a, const struct ast_window *b)
{
    if (!a || !b)
        return a == b;
    return equal_names(a->name, b->name) && equal_names(a->base, b->base) && a->has_frame == b->has_frame &&
           a->partition_count == b->partition_count && a->sort_count == b->sort_count &&
           equal_exprs(a->partition_count, a->partition, b->partition) &&
           equal_sorts(a->sort_count, a->sorts, b->sorts) && equal_frames(&a->frame, &b->frame) &&
           ast_equal(a->start_offset, b->start_offset) && ast_equal(a->end_offset, b->end_offset);
}

/* ---- queries ---- */

static bool equal_queries(const struct ast_query *a, const struct ast_query *b);

static bool equal_joins(const struct ast_from *a, const struct ast_from *b);

static bool equal_functions(const struct ast_from *a, const struct ast_from *b)
{
    if (a->function_count != b->function_count || a->ordinality != b->ordinality)
        return false;
    for (uint32_t i = 0; i < a->function_count; i++) {
        const struct ast_function *x = &a->functions[i], *y = &b->functions[i];
        if (x->column_count != y->column_count || !ast_equal(x->call, y->call))
            return false;
        for (uint32_t c = 0; c < x->column_count; c++)
            if (!equal_names(x->columns[c].name, y->columns[c].name) ||
                !equal_types(x->columns[c].type, y->columns[c].type))
                return false;
    }
    return true;
}

static bool equal_from(const struct ast_from *a, const struct ast_from *b)
{
    if (a->kind != b->kind || a->lateral != b->lateral || !equal_names(a->alias, b->alias) ||
        a->alias_column_count != b->alias_column_count ||
        !equal_lists(a->alias_column_count, a->alias_columns, b->alias_columns))
        return false;
    switch (a->kind) {
    case AST_FROM_TABLE: return equal_names(a->source, b->source) && equal_names(a->table, b->table);
    case AST_FROM_QUERY: return equal_queries(a->query, b->query);
    case AST_FROM_JOIN: return equal_joins(a, b);
    case AST_FROM_FUNCTION: return equal_functions(a, b);
    default: return false;
    }
}

static bool equal_joins(const struct ast_from *a, const struct ast_from *b)
{
    return a->join == b->join && a->natural == b->natural && a->using_count == b->using_count &&
           equal_lists(a->using_count, a->using_names, b->using_names) &&
           equal_names(a->using_alias, b->using_alias) && equal_from(a->left, b->left) &&
           equal_from(a->right, b->right) && ast_equal(a->on, b->on);
}

static bool equal_groups(const struct ast_group *a, const struct ast_group *b)
{
    if (!a || !b)
        return a == b;
    if (a->kind != b->kind || a->count != b->count || !ast_equal(a->expr, b->expr))
        return false;
    for (uint32_t i = 0; i < a->count; i++)
        if (!equal_groups(a->items[i], b->items[i]))
            return false;
    return true;
}

static bool equal_targets(const struct ast_query *a, const struct ast_query *b)
{
    if (a->target_count != b->target_count)
        return false;
    for (uint32_t i = 0; i < a->target_count; i++)
        if (!equal_names(a->targets[i].alias, b->targets[i].alias) ||
            !ast_equal(a->targets[i].expr, b->targets[i].expr))
            return false;
    return true;
}

static bool equal_searches(const struct ast_search *a, const struct ast_search *b)
{
    if (!a || !b)
        return a == b;
    return a->breadth_first == b->breadth_first && a->column_count == b->column_count &&
           equal_lists(a->column_count, a->columns, b->columns) && equal_names(a->sequence, b->sequence);
}

static bool equal_cycles(const struct ast_cycle *a, const struct ast_cycle *b)
{
    if (!a || !b)
        return a == b;
    return a->column_count == b->column_count && equal_lists(a->column_count, a->columns, b->columns) &&
           equal_names(a->mark, b->mark) && equal_names(a->path, b->path) && ast_equal(a->value, b->value) &&
           ast_equal(a->otherwise, b->otherwise);
}

static bool equal_ctes(const struct ast_query *a, const struct ast_query *b)
{
    if (a->cte_count != b->cte_count || a->recursive != b->recursive)
        return false;
    for (uint32_t i = 0; i < a->cte_count; i++) {
        const struct ast_cte *x = &a->ctes[i], *y = &b->ctes[i];
        if (!equal_names(x->name, y->name) || x->column_count != y->column_count ||
            !equal_lists(x->column_count, x->columns, y->columns) || !equal_queries(x->query, y->query) ||
            !equal_searches(x->search, y->search) || !equal_cycles(x->cycle, y->cycle))
            return false;
    }
    return true;
}

static bool equal_rows(const struct ast_query *a, const struct ast_query *b)
{
    if (a->row_count != b->row_count)
        return false;
    for (uint32_t i = 0; i < a->row_count; i++)
        if (a->rows[i].count != b->rows[i].count ||
            !equal_exprs(a->rows[i].count, a->rows[i].items, b->rows[i].items))
            return false;
    return true;
}

static bool equal_bodies(const struct ast_query *a, const struct ast_query *b)
{
    if (!equal_targets(a, b) || a->from_count != b->from_count || a->window_count != b->window_count)
        return false;
    for (uint32_t i = 0; i < a->from_count; i++)
        if (!equal_from(a->from[i], b->from[i]))
            return false;
    for (uint32_t i = 0; i < a->window_count; i++)
        if (!equal_windows(a->windows[i], b->windows[i]))
            return false;
    return ast_equal(a->where, b->where) && ast_equal(a->having, b->having) && a->grouped == b->grouped &&
           a->group_distinct == b->group_distinct && equal_groups(a->group, b->group);
}

static bool equal_queries(const struct ast_query *a, const struct ast_query *b)
{
    if (!a || !b)
        return a == b;
    return a->kind == b->kind && a->distinct == b->distinct && a->has_distinct_on == b->has_distinct_on &&
           a->distinct_on_count == b->distinct_on_count && a->sort_count == b->sort_count &&
           a->with_ties == b->with_ties && equal_ctes(a, b) && equal_bodies(a, b) && equal_rows(a, b) &&
           equal_exprs(a->distinct_on_count, a->distinct_on, b->distinct_on) &&
           equal_sorts(a->sort_count, a->sorts, b->sorts) && ast_equal(a->limit, b->limit) &&
           ast_equal(a->offset, b->offset) && equal_queries(a->left, b->left) &&
           equal_queries(a->right, b->right);
}

/* ---- expressions ---- */

bool ast_equal(const struct ast *a, const struct ast *b)
{
    if (!a || !b)
        return a == b;
    return a->kind == b->kind && a->kind != AST_BAD && a->flag == b->flag && a->symmetric == b->symmetric &&
           a->star == b->star && a->distinct == b->distinct && a->within_group == b->within_group &&
           equal_names(a->name, b->name) && a->name_count == b->name_count && a->arg_count == b->arg_count &&
           a->order_count == b->order_count && equal_lists(a->name_count, a->names, b->names) &&
           equal_exprs(a->arg_count, a->args, b->args) && ast_equal(a->filter, b->filter) &&
           equal_sorts(a->order_count, a->order, b->order) && equal_types(a->type, b->type) &&
           equal_queries(a->query, b->query) && equal_windows(a->over, b->over);
}
