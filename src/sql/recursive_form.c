/* WITH RECURSIVE before names are resolved: who mentions whom, and whether a recursive query has a form that can be
 * computed round by round. The rules and the texts are those of PostgreSQL's parse_cte.c. */
#include "sql/bind.h"

#include <string.h>

enum place { /* where the reference stands */
             PLACE_FINE,
             PLACE_BASE,
             PLACE_SUBQUERY,
             PLACE_OUTER_JOIN,
             PLACE_INTERSECT,
             PLACE_EXCEPT,
             PLACE_WITH
};
struct search {
    struct bind *b; /* NULL: only count */
    const char *name;
    enum place place;
    uint32_t count;
    bool bad;
};

static void search_query(struct search *s, const struct ast_query *q);
static void search_expr(struct search *s, const struct ast *a);

static void search_query_at(struct search *s, const struct ast_query *q, enum place place)
{
    enum place before = s->place;
    s->place = before == PLACE_FINE ? place : before;
    search_query(s, q);
    s->place = before;
}

static void found(struct search *s, struct sql_pos pos)
{
    static const char *const places[] = {[PLACE_BASE] = "its non-recursive term",
                                         [PLACE_SUBQUERY] = "a subquery",
                                         [PLACE_OUTER_JOIN] = "an outer join",
                                         [PLACE_INTERSECT] = "INTERSECT",
                                         [PLACE_EXCEPT] = "EXCEPT"};
    s->count++;
    if (!s->b || s->bad)
        return;
    s->bad = s->place != PLACE_FINE || s->count > 1;
    if (s->place == PLACE_WITH)
        bind_error(s->b, ERR_UNSUPPORTED, pos, "write the query of that WITH into FROM",
                   "a recursive reference to query \"%s\" within another WITH query is not supported yet",
                   s->name);
    else if (s->place != PLACE_FINE)
        bind_error(s->b, ERR_CONFIG, pos, NULL,
                   "recursive reference to query \"%s\" must not appear within %s", s->name,
                   places[s->place]);
    else if (s->count > 1)
        bind_error(s->b, ERR_CONFIG, pos, NULL,
                   "recursive reference to query \"%s\" must not appear more than once", s->name);
}

static void search_exprs(struct search *s, uint32_t count, struct ast *const *items)
{
    for (uint32_t i = 0; i < count; i++)
        search_expr(s, items[i]);
}

static void search_sorts(struct search *s, uint32_t count, const struct ast_sort *sorts)
{
    for (uint32_t i = 0; i < count; i++)
        search_expr(s, sorts[i].expr);
}

static void search_window(struct search *s, const struct ast_window *w)
{
    if (!w)
        return;
    search_exprs(s, w->partition_count, w->partition);
    search_sorts(s, w->sort_count, w->sorts);
}

static void search_group(struct search *s, const struct ast_group *g)
{
    if (!g)
        return;
    search_expr(s, g->expr);
    for (uint32_t i = 0; i < g->count; i++)
        search_group(s, g->items[i]);
}

static void search_expr(struct search *s, const struct ast *a)
{
    if (!a)
        return;
    search_exprs(s, a->arg_count, a->args);
    search_expr(s, a->filter);
    search_sorts(s, a->order_count, a->order);
    search_window(s, a->over);
    if (a->query)
        search_query_at(s, a->query, PLACE_SUBQUERY);
}

static void search_from(struct search *s, const struct ast_from *f)
{
    if (!f)
        return;
    if (f->kind == AST_FROM_TABLE && !f->source && strcmp(f->table, s->name) == 0)
        found(s, f->pos);
    if (f->kind == AST_FROM_QUERY && f->query)
        search_query(s, f->query);
    for (uint32_t i = 0; i < f->function_count; i++)
        search_expr(s, f->functions[i].call);
    if (f->kind != AST_FROM_JOIN)
        return;
    enum place before = s->place, nullable = before == PLACE_FINE ? PLACE_OUTER_JOIN : before;
    s->place = f->join == AST_JOIN_RIGHT || f->join == AST_JOIN_FULL ? nullable : before;
    search_from(s, f->left);
    s->place = f->join == AST_JOIN_LEFT || f->join == AST_JOIN_FULL ? nullable : before;
    search_from(s, f->right);
    s->place = before;
    search_expr(s, f->on);
}

/* Searches the queries of WITH; true when one of them hides the name from the query itself. */
static bool search_ctes(struct search *s, const struct ast_query *q)
{
    bool hidden = false;
    for (uint32_t i = 0; q->recursive && i < q->cte_count; i++)
        hidden |= strcmp(q->ctes[i].name, s->name) == 0;
    for (uint32_t i = 0; i < q->cte_count && !hidden; i++) {
        search_query_at(s, q->ctes[i].query, PLACE_WITH);
        hidden = strcmp(q->ctes[i].name, s->name) == 0;
    }
    return hidden;
}

static void search_sides(struct search *s, const struct ast_query *q)
{
    enum place left = q->kind == AST_INTERSECT_ALL ? PLACE_INTERSECT
                      : q->kind == AST_EXCEPT_ALL  ? PLACE_EXCEPT
                                                   : PLACE_FINE;
    enum place right = q->kind == AST_INTERSECT_ALL                         ? PLACE_INTERSECT
                       : q->kind == AST_EXCEPT || q->kind == AST_EXCEPT_ALL ? PLACE_EXCEPT
                                                                            : PLACE_FINE;
    if (q->left)
        search_query_at(s, q->left, left);
    if (q->right)
        search_query_at(s, q->right, right);
}

static void search_query(struct search *s, const struct ast_query *q)
{
    if (search_ctes(s, q))
        return;
    search_sides(s, q);
    for (uint32_t i = 0; i < q->target_count; i++)
        search_expr(s, q->targets[i].expr);
    for (uint32_t i = 0; i < q->from_count; i++)
        search_from(s, q->from[i]);
    search_expr(s, q->where);
    search_group(s, q->group);
    search_expr(s, q->having);
    for (uint32_t i = 0; i < q->window_count; i++)
        search_window(s, q->windows[i]);
    search_exprs(s, q->distinct_on_count, q->distinct_on);
    search_sorts(s, q->sort_count, q->sorts);
    search_expr(s, q->limit);
    search_expr(s, q->offset);
    for (uint32_t i = 0; i < q->row_count; i++)
        search_exprs(s, q->rows[i].count, q->rows[i].items);
}

bool query_mentions(const struct ast_query *q, const char *name)
{
    struct search s = {.name = name};
    search_query(&s, q);
    return s.count > 0;
}

/* ---- the order of the items ---- */

static bool waits(const struct ast_query *q, uint32_t item, const bool *done)
{
    for (uint32_t i = 0; i < q->cte_count; i++)
        if (i != item && !done[i] && query_mentions(q->ctes[item].query, q->ctes[i].name))
            return true;
    return false;
}

const uint32_t *order_ctes(struct bind *b, const struct ast_query *q)
{
    uint32_t *order = ARENA_ARRAY(b->arena, uint32_t, q->cte_count + 1);
    bool *done = ARENA_ARRAY(b->arena, bool, q->cte_count + 1);
    for (uint32_t n = 0; n < q->cte_count; n++) {
        uint32_t i = 0;
        while (i < q->cte_count && (done[i] || waits(q, i, done)))
            i++;
        if (i == q->cte_count) {
            for (i = 0; done[i]; i++)
                ;
            bind_error(b, ERR_UNSUPPORTED, q->ctes[i].pos, NULL,
                       "mutual recursion between WITH items is not implemented");
            return NULL;
        }
        done[i] = true;
        order[n] = i;
    }
    return order;
}

/* ---- the form ---- */

static bool check_decoration(struct bind *b, const struct ast_query *q)
{
    const char *what = q->sort_count ? "ORDER BY" : q->offset ? "OFFSET" : q->limit ? "LIMIT" : NULL;
    const struct ast *at = q->sort_count ? q->sorts[0].expr : q->offset ? q->offset : q->limit;
    if (what)
        bind_error(b, ERR_UNSUPPORTED, at ? at->pos : q->pos, NULL,
                   "%s in a recursive query is not implemented", what);
    return !what;
}

bool check_recursive_form(struct bind *b, const struct ast_cte *cte)
{
    const struct ast_query *q = cte->query;
    struct search s = {.b = b, .name = cte->name, .place = PLACE_BASE};
    if ((q->kind != AST_UNION && q->kind != AST_UNION_ALL) || !q->left || !q->right) {
        bind_error(
            b, ERR_CONFIG, cte->pos, NULL,
            "recursive query \"%s\" does not have the form non-recursive-term UNION [ALL] recursive-term",
            cte->name);
        return false;
    }
    search_query(&s, q->left);
    s.place = PLACE_FINE;
    s.count = 0;
    if (!s.bad)
        search_query(&s, q->right);
    uint32_t count = s.count;
    s.place = PLACE_SUBQUERY;
    for (uint32_t i = 0; i < q->cte_count && !s.bad; i++)
        search_query(&s, q->ctes[i].query);
    if (s.bad || !check_decoration(b, q))
        return false;
    if (count == 0)
        bind_error(b, ERR_CONFIG, cte->pos, NULL, "recursive query \"%s\" lacks its recursive reference",
                   cte->name);
    return count == 1;
}
