/* The table of set-returning functions, and the rows that a call yields. */
#include "types/set_fn_kernel.h"

#include <stdlib.h>

static const struct set_fn_list *const sections[] = {
    &set_fn_series, &set_fn_regex,  &set_fn_parts,    &set_fn_citext, &set_fn_json,
    &set_fn_record, &set_fn_window, &set_fn_jsonpath, &set_fn_range,
};

uint32_t set_fn_section_count(void)
{
    return ARRAY_COUNT(sections);
}

struct set_fn_list set_fn_section(uint32_t i)
{
    ASSERT(i < ARRAY_COUNT(sections));
    return *sections[i];
}

uint32_t set_fn_find(const char *name, const struct set_fn **out, uint32_t max)
{
    uint32_t n = 0;
    for (size_t s = 0; s < ARRAY_COUNT(sections); s++)
        for (uint32_t i = 0; i < sections[s]->count && n < max; i++)
            if (strcmp(sections[s]->rows[i].fn.name, name) == 0)
                out[n++] = &sections[s]->rows[i];
    return n;
}

bool is_set_fn_name(const char *name)
{
    const struct set_fn *first;
    return set_fn_find(name, &first, 1) > 0;
}

/* ---- rows ---- */

#define KEPT_CELLS_MAX 65536 /* room that is kept for the next call */

void set_rows_fini(struct set_rows *r)
{
    free(r->v);
    free(r->null);
    r->v = NULL;
    r->null = NULL;
    r->count = r->cap = 0;
}

void set_rows_reset(struct set_rows *r)
{
    if ((size_t)r->cap * r->column_count > KEPT_CELLS_MAX)
        set_rows_fini(r);
    r->count = 0;
    r->bytes = 0;
    r->arena_from = r->ctx->arena ? r->ctx->arena->used_bytes : 0;
}

static size_t bytes_of(const struct set_rows *r, const union val *v, const bool *null)
{
    size_t bytes = r->column_count * sizeof *v;
    for (uint32_t c = 0; r->types && c < r->column_count; c++) {
        enum phys phys = type_phys(r->types[c].id);
        if (null[c])
            continue;
        if (phys == PHYS_STR)
            bytes += v[c].s.len;
        else if (phys == PHYS_NUM && v[c].n.kind == NUM_BIG)
            bytes += v[c].n.hi * sizeof(uint32_t);
    }
    return bytes;
}

bool set_rows_add(struct set_rows *r, const union val *v, const bool *null)
{
    size_t n = r->column_count;
    size_t computed = r->ctx->arena ? r->ctx->arena->used_bytes - r->arena_from : 0;
    r->bytes += bytes_of(r, v, null);
    if (r->bytes > SET_BYTES_MAX || computed > SET_BYTES_MAX)
        return fn_fail(r->ctx, FN_TOO_LARGE, "a set-returning function yields more than %u MiB",
                       SET_BYTES_MAX >> 20);
    if (r->count == SET_ROWS_MAX)
        return fn_fail(r->ctx, FN_TOO_LARGE, "a set-returning function yields more than %d rows",
                       SET_ROWS_MAX);
    if (r->count == r->cap) {
        r->cap = r->cap ? r->cap * 2 : 16;
        r->v = xrealloc(r->v, r->cap * n * sizeof(*r->v));
        r->null = xrealloc(r->null, r->cap * n * sizeof(*r->null));
    }
    if (n) {
        memcpy(r->v + r->count * n, v, n * sizeof(*v));
        memcpy(r->null + r->count * n, null, n * sizeof(*null));
    }
    r->count++;
    return true;
}

bool set_rows_add_one(struct set_rows *r, union val v, bool is_null)
{
    return set_rows_add(r, &v, &is_null);
}

bool set_rows_add_array(struct set_rows *r, const struct array *a)
{
    for (uint32_t i = 0; i < a->count; i++)
        if (!set_rows_add_one(r, a->v[i], a->null[i]))
            return false;
    return true;
}

/* ---- one value ---- */

SET_KERNEL(one_value)
{
    return set_rows_add_one(rows, args[0], null[0]);
}

const struct set_fn set_fn_value =
    SET_ROW("value", 0, 1, T_ANYELEMENT, one_value, SET_AT_MOST_ONE, NULL, T_ANYELEMENT);
