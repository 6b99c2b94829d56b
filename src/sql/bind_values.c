/* VALUES: constant rows are one relation; a row with an expression that is not a constant (it fails, or mentions an
 * outer query) is a SELECT of its own without FROM, and the whole their UNION ALL. */
#include "sql/bind.h"

#include <string.h>

struct rel *bind_one_row(struct bind *b)
{
    static const char *const name[] = {"row"};
    struct expr **cells = ARENA_ARRAY(b->arena, struct expr *, 1);
    cells[0] = expr_true(b->arena);
    return rel_values(b->out, 1, 1, cells, name);
}

static bool check_size(struct bind *b, const struct ast_query *q)
{
    uint32_t n = q->rows[0].count;
    for (uint32_t i = 1; i < q->row_count; i++) {
        if (q->rows[i].count == n)
            continue;
        bind_error(b, ERR_CONFIG, q->rows[i].pos, NULL, "VALUES lists must all be the same length");
        return false;
    }
    if (q->row_count > VALUES_ROWS_MAX) {
        bind_error(b, ERR_LIMIT, q->pos, "put the rows into a table", "VALUES can have at most %d rows",
                   VALUES_ROWS_MAX);
        return false;
    }
    if (n > COLUMNS_MAX) {
        bind_error(b, ERR_LIMIT, q->pos, NULL, "target lists can have at most %d entries", COLUMNS_MAX);
        return false;
    }
    return true;
}

/* All cells, row by row. */
static struct expr **bind_cells(struct bind *b, const struct ast_query *q)
{
    struct scope scope = {.outer = b->outer};
    struct expr_env env = {.b = b, .scope = &scope, .clause = "VALUES"};
    uint32_t n = q->rows[0].count;
    struct expr **cells = ARENA_ARRAY(b->arena, struct expr *, (size_t)n * q->row_count + 1);
    bool ok = true;
    for (uint32_t i = 0; i < q->row_count; i++)
        for (uint32_t c = 0; c < n; c++) {
            cells[i * n + c] = bind_expr(&env, q->rows[i].items[c]);
            ok &= cells[i * n + c] != NULL;
        }
    return ok ? cells : NULL;
}

/* Every column's cells get one type. */
static bool meet_cells(struct bind *b, const struct ast_query *q, struct expr **cells)
{
    uint32_t n = q->rows[0].count;
    struct expr **column = ARENA_ARRAY(b->arena, struct expr *, q->row_count);
    bool ok = true;
    for (uint32_t c = 0; c < n; c++) {
        struct type common;
        for (uint32_t i = 0; i < q->row_count; i++)
            column[i] = cells[i * n + c];
        if (!coerce_common(b, q->row_count, column, "VALUES", q->pos, true, &common)) {
            ok = false;
            continue;
        }
        for (uint32_t i = 0; i < q->row_count; i++) {
            cells[i * n + c] = coerce(b, column[i], common, CAST_IMPLICIT, q->rows[i].pos);
            ok &= cells[i * n + c] != NULL;
        }
    }
    return ok;
}

static bool is_constant_row(uint32_t count, struct expr **cells)
{
    for (uint32_t i = 0; i < count; i++)
        if (cells[i]->kind != EX_CONST)
            return false;
    return true;
}

static const char **column_names(struct bind *b, uint32_t count)
{
    const char **names = ARENA_ARRAY(b->arena, const char *, count + 1);
    for (uint32_t i = 0; i < count; i++)
        names[i] = arena_printf(b->arena, "column%u", (unsigned)i + 1);
    return names;
}

static struct query_branch constant_branch(struct bind *b, uint32_t rows, uint32_t n, struct expr **cells,
                                           const char **names)
{
    struct rel *r = rel_values(b->out, rows, n, cells, names);
    struct query_branch br = {r, ARENA_ARRAY(b->arena, struct expr *, n + 1)};
    for (uint32_t c = 0; c < n; c++)
        br.exprs[c] = attr_expr(b->out, r->attrs[c]);
    return br;
}

static bool put_branches(struct bind *b, const struct ast_query *q, struct expr **cells,
                         struct bound_query *out)
{
    uint32_t n = q->rows[0].count, constants = 0, computed = 0;
    struct expr **kept = ARENA_ARRAY(b->arena, struct expr *, (size_t)n * q->row_count + 1);
    out->column_count = n;
    out->names = column_names(b, n);
    out->branches = ARENA_ARRAY(b->arena, struct query_branch, VALUES_COMPUTED_MAX + 1);
    for (uint32_t i = 0; i < q->row_count; i++) {
        struct expr **row = cells + (size_t)i * n;
        if (is_constant_row(n, row)) {
            memcpy(kept + (size_t)constants++ * n, row, n * sizeof(*row));
            continue;
        }
        if (computed++ == VALUES_COMPUTED_MAX) {
            bind_error(b, ERR_LIMIT, q->rows[i].pos, NULL,
                       "VALUES can have at most %d rows with expressions that are not constants",
                       VALUES_COMPUTED_MAX);
            return false;
        }
        out->branches[out->branch_count++] = (struct query_branch){bind_one_row(b), row};
    }
    if (constants)
        out->branches[out->branch_count++] = constant_branch(b, constants, n, kept, out->names);
    return true;
}

bool bind_values(struct bind *b, const struct ast_query *q, struct bound_query *out)
{
    if (!check_size(b, q))
        return false;
    struct expr **cells = bind_cells(b, q);
    return cells && meet_cells(b, q, cells) && put_branches(b, q, cells, out);
}
