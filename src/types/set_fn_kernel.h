/* Shorthand for the files of set-returning functions, and the sections that set_fn.c joins. */
#ifndef PENSTOCK_TYPES_SET_FN_KERNEL_H
#define PENSTOCK_TYPES_SET_FN_KERNEL_H

#include "types/array.h"
#include "types/func_kernel.h"
#include "types/set_fn.h"

#define SET_KERNEL(name)                                                                       \
    static bool name(struct set_rows *rows KERNEL_UNUSED, const union val *args KERNEL_UNUSED, \
                     const bool *null KERNEL_UNUSED, uint32_t arg_count KERNEL_UNUSED)

/* A row of the table whose one column is called as the function is, and one with named columns. */
#define SET_ROW(fname, fnflags, argc, tr, k, setflags, text, ...)                                        \
    {                                                                                                    \
        .fn = {fname, fnflags, argc, {__VA_ARGS__}, tr, NULL, NULL, text}, .eval = k, .flags = setflags, \
        .column_count = 1, .columns = {                                                                  \
            {NULL, tr}                                                                                   \
        }                                                                                                \
    }
#define SET_NAMED(fname, argc, k, setflags, text, n1, t1, ...)                                             \
    {                                                                                                      \
        .fn = {fname, FN_STRICT, argc, {__VA_ARGS__}, t1, NULL, NULL, text}, .eval = k, .flags = setflags, \
        .column_count = 1, .columns = {                                                                    \
            {n1, t1}                                                                                       \
        }                                                                                                  \
    }
#define SET_PAIR(fname, argc, k, setflags, text, n1, t1, n2, t2, ...)                                      \
    {                                                                                                      \
        .fn = {fname, FN_STRICT, argc, {__VA_ARGS__}, t1, NULL, NULL, text}, .eval = k, .flags = setflags, \
        .column_count = 2, .columns = {                                                                    \
            {n1, t1},                                                                                      \
            {n2, t2}                                                                                       \
        }                                                                                                  \
    }

/* A row for each element. */
bool set_rows_add_array(struct set_rows *r, const struct array *a);

extern const struct set_fn_list
    set_fn_series;                            /* set_series.c: generate_series, unnest, generate_subscripts */
extern const struct set_fn_list set_fn_regex; /* func_regex.c: regexp_split_to_table, regexp_matches */
extern const struct set_fn_list set_fn_parts; /* func_array_edit.c: string_to_table */
extern const struct set_fn_list set_fn_citext;   /* func_citext.c: regular expressions whatever the case */
extern const struct set_fn_list set_fn_json;     /* set_json.c: elements and members */
extern const struct set_fn_list set_fn_record;   /* set_record.c: json as rows of stated columns */
extern const struct set_fn_list set_fn_range;    /* func_range.c: unnest of a multirange */
extern const struct set_fn_list set_fn_window;   /* set_window.c: tumble and hop */
extern const struct set_fn_list set_fn_jsonpath; /* func_jsonpath.c: jsonb_path_query */

#endif
