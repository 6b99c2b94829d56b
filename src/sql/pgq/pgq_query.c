/* SELECT, UNION and its like, WITH and FROM: PostgreSQL's raw nodes to struct ast_query and struct ast_from. */
#include "sql/pgq/pgq.h"

#include <string.h>

/* ---- FROM ---- */

static void put_alias(struct pgq *c, struct ast_from *f, Alias *alias)
{
    if (!alias)
        return;
    f->alias = pgq_str(c, alias->aliasname);
    f->alias_columns = pgq_names(c, alias->colnames, &f->alias_column_count);
}

static struct ast_from *from_new(struct pgq *c, enum ast_from_kind kind, int location)
{
    struct ast_from *f = ARENA_NEW(c->arena, struct ast_from);
    f->kind = kind;
    f->pos = pgq_pos(c, location);
    return f;
}

static struct ast_from *from_table(struct pgq *c, RangeVar *r)
{
    struct ast_from *f = from_new(c, AST_FROM_TABLE, r->location);
    if (r->catalogname)
        pgq_error(c, ERR_CONFIG, f->pos, "a table is named source.table; \"%s.%s.%s\" has too many parts",
                  r->catalogname, r->schemaname ? r->schemaname : "", r->relname);
    if (!r->inh)
        pgq_unsupported(c, r->location, "FROM ONLY");
    f->source = pgq_str(c, r->schemaname);
    f->table = pgq_str(c, r->relname);
    put_alias(c, f, r->alias);
    return f;
}

static int query_location(Node *n);

static struct ast_from *from_query(struct pgq *c, RangeSubselect *r)
{
    struct ast_from *f = from_new(c, AST_FROM_QUERY, query_location(r->subquery));
    f->lateral = r->lateral;
    f->query = pgq_query(c, r->subquery);
    put_alias(c, f, r->alias);
    return f;
}

static struct ast_column_def *column_defs(struct pgq *c, List *defs, uint32_t *count)
{
    struct ast_column_def *out = ARENA_ARRAY(c->arena, struct ast_column_def, list_length(defs) + 1);
    ListCell *cell;
    *count = 0;
    foreach (cell, defs) {
        ColumnDef *d = lfirst(cell);
        struct ast_column_def *to = &out[(*count)++];
        if (d->collClause)
            pgq_unsupported(c, d->location, "COLLATE");
        to->pos = pgq_pos(c, d->location);
        to->name = pgq_str(c, d->colname);
        to->type = pgq_type(c, d->typeName);
    }
    return out;
}

/* An item of r->functions: the call, and the columns that ROWS FROM states for it. */
static struct ast_from *from_function(struct pgq *c, RangeFunction *r)
{
    struct ast_from *f = from_new(c, AST_FROM_FUNCTION, pgq_location(linitial(linitial(r->functions))));
    f->functions = ARENA_ARRAY(c->arena, struct ast_function, list_length(r->functions) + 1);
    f->lateral = true;
    f->ordinality = r->ordinality;
    ListCell *cell;
    foreach (cell, r->functions) {
        List *item = lfirst(cell);
        struct ast_function *to = &f->functions[f->function_count++];
        List *defs = (List *)lsecond(item);
        to->call = pgq_expr(c, linitial(item));
        to->columns = column_defs(c, defs ? defs : r->coldeflist, &to->column_count);
    }
    put_alias(c, f, r->alias);
    return f;
}

static int from_location(Node *n)
{
    switch (nodeTag(n)) {
    case T_RangeVar: return ((RangeVar *)n)->location;
    case T_JoinExpr: return from_location(((JoinExpr *)n)->larg);
    case T_RangeSubselect: return query_location(((RangeSubselect *)n)->subquery);
    case T_RangeTableSample: return ((RangeTableSample *)n)->location;
    case T_RangeFunction: {
        List *first = ((RangeFunction *)n)->functions;
        return first ? pgq_location(linitial(linitial(first))) : -1;
    }
    default: return -1;
    }
}

static struct ast_from *from_join(struct pgq *c, JoinExpr *j)
{
    struct ast_from *f = from_new(c, AST_FROM_JOIN, from_location((Node *)j));
    switch (j->jointype) {
    case JOIN_LEFT: f->join = AST_JOIN_LEFT; break;
    case JOIN_RIGHT: f->join = AST_JOIN_RIGHT; break;
    case JOIN_FULL: f->join = AST_JOIN_FULL; break;
    default: f->join = AST_JOIN_INNER;
    }
    if (j->join_using_alias)
        f->using_alias = pgq_str(c, j->join_using_alias->aliasname);
    f->natural = j->isNatural;
    f->left = pgq_from(c, j->larg);
    f->right = pgq_from(c, j->rarg);
    f->using_names = pgq_names(c, j->usingClause, &f->using_count);
    f->on = pgq_expr(c, j->quals);
    put_alias(c, f, j->alias);
    return f;
}

static struct ast_from *from_by_tag(struct pgq *c, Node *n)
{
    switch (nodeTag(n)) {
    case T_RangeVar: return from_table(c, (RangeVar *)n);
    case T_RangeSubselect: return from_query(c, (RangeSubselect *)n);
    case T_JoinExpr: return from_join(c, (JoinExpr *)n);
    case T_RangeFunction: return from_function(c, (RangeFunction *)n);
    case T_RangeTableSample: pgq_unsupported(c, from_location(n), "TABLESAMPLE"); return NULL;
    default: pgq_unsupported(c, from_location(n), "+XMLTABLE and JSON_TABLE"); return NULL;
    }
}

struct ast_from *pgq_from(struct pgq *c, Node *n)
{
    if (!pgq_enter(c, from_location(n)))
        return NULL;
    struct ast_from *f = from_by_tag(c, n);
    pgq_leave(c);
    return f;
}

/* ---- SELECT ---- */

static int first_location(List *targets)
{
    return targets ? ((ResTarget *)linitial(targets))->location : -1;
}

static int query_location(Node *n)
{
    SelectStmt *s = (SelectStmt *)n;
    while (IsA(s, SelectStmt) && s->op != SETOP_NONE)
        s = s->larg;
    if (!IsA(s, SelectStmt))
        return -1;
    if (s->valuesLists && linitial(s->valuesLists))
        return pgq_location(linitial(linitial(s->valuesLists)));
    return first_location(s->targetList);
}

/* Clauses that no view has. */
static void refuse_clauses(struct pgq *c, SelectStmt *s)
{
    int at = query_location((Node *)s);
    if (s->intoClause)
        pgq_unsupported(c, s->intoClause->rel->location, "SELECT INTO");
    if (s->lockingClause)
        pgq_unsupported(c, at, "+FOR UPDATE and FOR SHARE");
}

static void put_targets(struct pgq *c, struct ast_query *q, List *targets)
{
    q->targets = ARENA_ARRAY(c->arena, struct ast_target, list_length(targets) + 1);
    ListCell *cell;
    foreach (cell, targets) {
        ResTarget *r = lfirst(cell);
        struct ast_target *t = &q->targets[q->target_count++];
        t->pos = pgq_pos(c, r->location);
        t->alias = pgq_str(c, r->name);
        t->expr = pgq_expr(c, r->val);
    }
}

static void put_from(struct pgq *c, struct ast_query *q, List *from)
{
    q->from = ARENA_ARRAY(c->arena, struct ast_from *, list_length(from) + 1);
    ListCell *cell;
    foreach (cell, from) {
        struct ast_from *f = pgq_from(c, lfirst(cell));
        if (f)
            q->from[q->from_count++] = f;
    }
}

/* ---- ORDER BY, LIMIT, DISTINCT ON ---- */

struct ast_sort *pgq_sorts(struct pgq *c, List *sorts, uint32_t *count)
{
    struct ast_sort *out = ARENA_ARRAY(c->arena, struct ast_sort, list_length(sorts) + 1);
    *count = 0;
    ListCell *cell;
    foreach (cell, sorts) {
        SortBy *s = lfirst(cell);
        struct ast_sort *to = &out[(*count)++];
        if (s->sortby_dir == SORTBY_USING)
            pgq_unsupported(c, pgq_location(s->node), "ORDER BY with USING");
        to->expr = pgq_expr(c, s->node);
        to->desc = s->sortby_dir == SORTBY_DESC;
        to->nulls_first =
            s->sortby_nulls == SORTBY_NULLS_DEFAULT ? to->desc : s->sortby_nulls == SORTBY_NULLS_FIRST;
    }
    return out;
}

static void put_distinct_on(struct pgq *c, struct ast_query *q, List *distinct)
{
    q->distinct = distinct && !linitial(distinct);
    q->has_distinct_on = distinct && linitial(distinct);
    if (!q->has_distinct_on)
        return;
    q->distinct_on = ARENA_ARRAY(c->arena, struct ast *, list_length(distinct) + 1);
    ListCell *cell;
    foreach (cell, distinct)
        q->distinct_on[q->distinct_on_count++] = pgq_expr(c, lfirst(cell));
}

static void put_windows(struct pgq *c, struct ast_query *q, List *windows)
{
    q->windows = ARENA_ARRAY(c->arena, struct ast_window *, list_length(windows) + 1);
    ListCell *cell;
    foreach (cell, windows)
        q->windows[q->window_count++] = pgq_window(c, lfirst(cell));
}

static void put_limit(struct pgq *c, struct ast_query *q, SelectStmt *s)
{
    q->limit = pgq_expr(c, s->limitCount);
    q->offset = pgq_expr(c, s->limitOffset);
    q->with_ties = s->limitOption == LIMIT_OPTION_WITH_TIES;
}

static struct ast_search *search_of(struct pgq *c, CTESearchClause *from)
{
    if (!from)
        return NULL;
    struct ast_search *s = ARENA_NEW(c->arena, struct ast_search);
    s->pos = pgq_pos(c, from->location);
    s->breadth_first = from->search_breadth_first;
    s->columns = pgq_names(c, from->search_col_list, &s->column_count);
    s->sequence = pgq_str(c, from->search_seq_column);
    return s;
}

static struct ast_cycle *cycle_of(struct pgq *c, CTECycleClause *from)
{
    if (!from)
        return NULL;
    struct ast_cycle *s = ARENA_NEW(c->arena, struct ast_cycle);
    s->pos = pgq_pos(c, from->location);
    s->columns = pgq_names(c, from->cycle_col_list, &s->column_count);
    s->mark = pgq_str(c, from->cycle_mark_column);
    s->path = pgq_str(c, from->cycle_path_column);
    s->value = pgq_expr(c, from->cycle_mark_value);
    s->otherwise = pgq_expr(c, from->cycle_mark_default);
    return s;
}

static void put_ctes(struct pgq *c, struct ast_query *q, WithClause *with)
{
    if (!with)
        return;
    q->recursive = with->recursive;
    q->ctes = ARENA_ARRAY(c->arena, struct ast_cte, list_length(with->ctes) + 1);
    ListCell *cell;
    foreach (cell, with->ctes) {
        CommonTableExpr *e = lfirst(cell);
        if (!IsA(e->ctequery, SelectStmt)) {
            pgq_unsupported(c, e->location, "WITH of a statement that is not a SELECT");
            continue;
        }
        struct ast_cte *cte = &q->ctes[q->cte_count++];
        cte->pos = pgq_pos(c, e->location);
        cte->name = pgq_str(c, e->ctename);
        cte->columns = pgq_names(c, e->aliascolnames, &cte->column_count);
        cte->query = pgq_query(c, e->ctequery);
        cte->search = search_of(c, e->search_clause);
        cte->cycle = cycle_of(c, e->cycle_clause);
    }
}

static void put_set_operation(struct pgq *c, struct ast_query *q, SelectStmt *s)
{
    switch (s->op) {
    case SETOP_INTERSECT: q->kind = s->all ? AST_INTERSECT_ALL : AST_INTERSECT; break;
    case SETOP_EXCEPT: q->kind = s->all ? AST_EXCEPT_ALL : AST_EXCEPT; break;
    default: q->kind = s->all ? AST_UNION_ALL : AST_UNION;
    }
    q->left = pgq_query(c, (Node *)s->larg);
    q->right = pgq_query(c, (Node *)s->rarg);
}

static void put_select(struct pgq *c, struct ast_query *q, SelectStmt *s)
{
    q->kind = AST_SELECT;
    put_distinct_on(c, q, s->distinctClause);
    put_targets(c, q, s->targetList);
    put_from(c, q, s->fromClause);
    q->where = pgq_expr(c, s->whereClause);
    pgq_group(c, q, s->groupClause, s->groupDistinct);
    q->having = pgq_expr(c, s->havingClause);
    put_windows(c, q, s->windowClause);
}

static void put_values(struct pgq *c, struct ast_query *q, List *rows)
{
    q->kind = AST_VALUES;
    q->rows = ARENA_ARRAY(c->arena, struct ast_row, list_length(rows) + 1);
    ListCell *cell, *item;
    foreach (cell, rows) {
        List *list = lfirst(cell);
        struct ast_row *row = &q->rows[q->row_count++];
        row->pos = pgq_pos(c, pgq_location(linitial(list)));
        row->items = ARENA_ARRAY(c->arena, struct ast *, list_length(list) + 1);
        foreach (item, list)
            row->items[row->count++] = pgq_expr(c, lfirst(item));
    }
}

struct ast_query *pgq_query(struct pgq *c, Node *n)
{
    struct ast_query *q = ARENA_NEW(c->arena, struct ast_query);
    if (!n || !IsA(n, SelectStmt)) {
        pgq_unsupported(c, -1, "a query that is not a SELECT");
        return q;
    }
    SelectStmt *s = (SelectStmt *)n;
    int at = query_location(n);
    q->pos = pgq_pos(c, at);
    if (!pgq_enter(c, at))
        return q;
    refuse_clauses(c, s);
    put_ctes(c, q, s->withClause);
    q->sorts = pgq_sorts(c, s->sortClause, &q->sort_count);
    put_limit(c, q, s);
    if (s->op != SETOP_NONE)
        put_set_operation(c, q, s);
    else if (s->valuesLists)
        put_values(c, q, s->valuesLists);
    else
        put_select(c, q, s);
    pgq_leave(c);
    return q;
}
