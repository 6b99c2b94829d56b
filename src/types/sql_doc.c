/* The SQL reference as Markdown, generated from the tables that the binder resolves against, so that it cannot
 * promise what is not there. Rows of one name stand together, in alphabetical order. */
#include "types/sql_doc.h"
#include "types/agg.h"
#include "types/func.h"
#include "types/set_fn.h"
#include <stdlib.h>
#include <string.h>

static const char *type_name(uint8_t t)
{
    return t == T_UNKNOWN ? "any" : type_info((enum type_id)t)->name;
}

/* Inside a table a bar ends the cell. */
static void put_cell(FILE *to, const char *s)
{
    for (; *s; s++) {
        if (*s == '|')
            fputc('\\', to);
        fputc(*s, to);
    }
}

static void put_types(FILE *to)
{
    fputs("## Types\n\n| type | also written | PostgreSQL's oid |\n| --- | --- | --- |\n", to);
    for (int i = T_UNKNOWN + 1; i < T_SCALAR_COUNT; i++) {
        const struct type_info *t = type_info((enum type_id)i);
        bool same = strcmp(t->name, t->pg_name) == 0;
        fprintf(to, "| %s | %s |", t->name, same ? "" : t->pg_name);
        if (t->oid)
            fprintf(to, " %u |\n", t->oid);
        else
            fputs(" of an extension |\n", to);
    }
    fputs("\nOf each there are arrays: `integer[]`.\n", to);
}

/* All rows of all sections, functions or operators, sorted by name; *count of them, malloc'ed. */
struct doc_row {
    const struct fn *fn;
    uint32_t place; /* in the tables: keeps rows of one name in their order */
};
static int compare_rows(const void *a, const void *b)
{
    const struct doc_row *x = a, *y = b;
    int r = strcmp(x->fn->name, y->fn->name);
    return r ? r : (x->place > y->place) - (x->place < y->place);
}
static struct doc_row *sorted_rows(bool operators, uint32_t *count)
{
    uint32_t total = 0, n = 0;
    for (uint32_t s = 0; s < fn_section_count(); s++)
        total += fn_section(s).count;
    struct doc_row *rows = xcalloc(total + 1, sizeof *rows);
    for (uint32_t s = 0; s < fn_section_count(); s++) {
        struct fn_list list = fn_section(s);
        for (uint32_t i = 0; i < list.count; i++)
            if (((list.rows[i].flags & FN_OPERATOR) != 0) == operators) {
                rows[n] = (struct doc_row){&list.rows[i], n};
                n++;
            }
    }
    qsort(rows, n, sizeof *rows, compare_rows);
    *count = n;
    return rows;
}

static void put_operators(FILE *to)
{
    uint32_t n;
    struct doc_row *rows = sorted_rows(true, &n);
    fputs("\n## Operators\n\n`~~` is LIKE, `~~*` is ILIKE; `!~~` and `!~~*` are their negations.\n\n"
          "| operator | left | right | result |\n| --- | --- | --- | --- |\n",
          to);
    for (uint32_t i = 0; i < n; i++) {
        const struct fn *f = rows[i].fn;
        bool prefix = f->flags & FN_PREFIX;
        fputs("| `", to);
        put_cell(to, f->name);
        fprintf(to, "` | %s | %s | %s |\n", prefix ? "" : type_name(f->args[0]),
                type_name(f->args[prefix ? 0 : 1]), type_name(f->result));
    }
    free(rows);
}

static void put_functions(FILE *to)
{
    uint32_t n;
    struct doc_row *rows = sorted_rows(false, &n);
    fputs("\n## Functions\n\nThe elementary functions of double precision are the C library's: as with "
          "PostgreSQL itself, "
          "their last digit\nmay differ between builds. Everything else agrees with PostgreSQL to the "
          "digit.\n\n| function | result | |\n| --- | --- | --- |\n",
          to);
    for (uint32_t i = 0; i < n; i++) {
        const struct fn *f = rows[i].fn;
        fprintf(to, "| `%s(", f->name);
        for (unsigned a = 0; a < f->arg_count; a++)
            fprintf(to, "%s%s", a ? ", " : "", type_name(f->args[a]));
        fprintf(to, "%s)` | %s | ", f->flags & FN_VARIADIC ? ", ..." : "", type_name(f->result));
        put_cell(to, f->doc ? f->doc : "");
        fputs(" |\n", to);
    }
    free(rows);
}

static void put_set_result(FILE *to, const struct set_fn *f)
{
    if (f->flags & SET_RECORD)
        fputs("the stated columns", to);
    for (unsigned c = 0; c < f->column_count; c++)
        fprintf(to, "%s%s%s%s", c ? ", " : "", f->columns[c].name ? f->columns[c].name : "",
                f->columns[c].name ? " " : "", type_name(f->columns[c].type));
}

static int compare_set_rows(const void *a, const void *b)
{
    const struct set_fn *x = *(const struct set_fn *const *)a, *y = *(const struct set_fn *const *)b;
    int r = strcmp(x->fn.name, y->fn.name);
    return r ? r : (x > y) - (x < y); /* rows of one name are of one table */
}

static void put_set_functions(FILE *to)
{
    uint32_t total = 0, n = 0;
    for (uint32_t s = 0; s < set_fn_section_count(); s++)
        total += set_fn_section(s).count;
    const struct set_fn **rows = xcalloc(total + 1, sizeof(*rows));
    for (uint32_t s = 0; s < set_fn_section_count(); s++)
        for (uint32_t i = 0; i < set_fn_section(s).count; i++)
            rows[n++] = &set_fn_section(s).rows[i];
    qsort(rows, n, sizeof(*rows), compare_set_rows);
    fputs("\n## Set-returning functions\n\n| function | columns | |\n| --- | --- | --- |\n", to);
    for (uint32_t i = 0; i < n; i++) {
        const struct set_fn *f = rows[i];
        fprintf(to, "| `%s(%s", f->fn.name, f->flags & SET_OF_TABLE ? "table, " : "");
        for (unsigned a = 0; a < f->fn.arg_count; a++)
            fprintf(to, "%s%s", a ? ", " : "", type_name(f->fn.args[a]));
        fputs(")` | ", to);
        put_set_result(to, f);
        fputs(" | ", to);
        put_cell(to, f->fn.doc);
        fputs(" |\n", to);
    }
    free(rows);
}

static void put_aggregates(FILE *to)
{
    fputs("\n## Aggregates\n\n| aggregate | result | |\n| --- | --- | --- |\n", to);
    for (uint32_t i = 0; i < agg_count(); i++) {
        const struct agg *a = agg_at(i);
        if (agg_is_ordered_set(a))
            fprintf(to, "| `%s(%s) WITHIN GROUP (ORDER BY %s)` | %s | ", a->name,
                    a->kind == AGG_MODE ? "" : "fraction", type_name(a->arg), type_name(a->result));
        else
            fprintf(to, "| `%s(%s%s%s)` | %s | ", a->name, a->arg_count ? type_name(a->arg) : "*",
                    a->arg_count == 2 ? ", " : "", a->arg_count == 2 ? type_name(a->arg2) : "",
                    type_name(a->result));
        put_cell(to, a->doc);
        fputs(" |\n", to);
    }
}

static void put_casts(FILE *to)
{
    static const char *const contexts[] = {"implicit", "in assignments", "explicit"};
    fputs("\n## Casts\n\nAn implicit cast is also one in assignments, and both can be written out. Arrays "
          "are cast as\n"
          "their elements are, to text in assignments and from text explicitly.\n\n"
          "| from | to | |\n| --- | --- | --- |\n",
          to);
    for (uint32_t i = 0; i < cast_count(); i++) {
        const struct cast *c = cast_at(i);
        if (c->from != c->to)
            fprintf(to, "| %s | %s | %s |\n", type_name(c->from), type_name(c->to), contexts[c->context]);
    }
}

void sql_doc_write(FILE *to)
{
    put_types(to);
    put_operators(to);
    put_functions(to);
    put_set_functions(to);
    put_aggregates(to);
    put_casts(to);
}
