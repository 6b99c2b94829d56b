/* The sections of the function table: one per file of kernels, joined by func.c. */
#ifndef PENSTOCK_TYPES_FUNC_SECTIONS_H
#define PENSTOCK_TYPES_FUNC_SECTIONS_H

#include "types/func.h"

extern const struct fn_list fn_compare; /* func_compare.c: = <> < <= > >= of numbers, bool, strings, bytea */
extern const struct fn_list fn_int;     /* func_int.c: integer arithmetic and bits */
extern const struct fn_list fn_float;   /* func_float.c: float4 and float8 arithmetic and functions */
extern const struct fn_list fn_degrees; /* func_degrees.c: trigonometry in degrees */
extern const struct fn_list fn_numeric; /* func_numeric.c: numeric arithmetic and functions */
extern const struct fn_list fn_text;    /* func_text.c: strings */
extern const struct fn_list fn_like;    /* func_like.c: LIKE and ILIKE */
extern const struct fn_list fn_regex;   /* func_regex.c: regular expressions and SIMILAR TO */
extern const struct fn_list fn_bytea;   /* func_bytea.c: bytea, encode and decode, digests */
extern const struct fn_list
    fn_datetime;                     /* func_datetime.c: dates and times, their operators and comparisons */
extern const struct fn_list fn_json; /* func_json.c: json and jsonb, their operators and comparisons */
extern const struct fn_list
    fn_json_build;                       /* func_json_build.c: json_build_object and its like, jsonb_pretty */
extern const struct fn_list fn_json_set; /* func_json_set.c: jsonb_set and its like, json_object */
extern const struct fn_list fn_encoding; /* func_encoding.c: encodings, Unicode escapes, identifiers, sizes */
extern const struct fn_list fn_jsonpath; /* func_jsonpath.c: jsonb_path_exists and its like */
extern const struct fn_list fn_overlaps; /* func_overlaps.c: OVERLAPS */
extern const struct fn_list fn_format;   /* func_format.c: format(), num_nulls */
extern const struct fn_list fn_to_char_number; /* func_to_char_number.c: to_char of numbers, to_number */
extern const struct fn_list fn_misc;           /* func_misc.c: uuid and the rest, with their comparisons */
extern const struct fn_list fn_citext;         /* func_citext.c: text that compares by its lower case */
extern const struct fn_list fn_timetz;         /* func_timetz.c: time with time zone */
extern const struct fn_list fn_inet;           /* func_inet.c: inet, cidr and macaddr */
extern const struct fn_list fn_normalize;      /* func_normalize.c: Unicode's normalization forms */
extern const struct fn_list fn_range;          /* func_range.c: ranges and multiranges */
extern const struct fn_list fn_enum;           /* func_enum.c: enums' comparisons, enum_range and its like */
extern const struct fn_list fn_array;          /* func_array.c: arrays' comparisons, containment and bounds */
extern const struct fn_list
    fn_array_json; /* func_array_json.c: arrays as json, json's operators with text[] */
extern const struct fn_list fn_array_edit; /* func_array_edit.c: arrays made of arrays and of text */

#endif
