/* The sections of the function table: one per file of kernels, joined by func.c. */
#ifndef PENSTOCK_TYPES_FUNC_SECTIONS_H
#define PENSTOCK_TYPES_FUNC_SECTIONS_H

#include "types/func.h"

extern const struct fn_list fn_math;     /* func_math.c: arithmetic, rounding, float functions */
extern const struct fn_list fn_compare;  /* func_compare.c: = <> < <= > >= of all but the date and json types */
extern const struct fn_list fn_text;     /* func_text.c: strings and bytea */
extern const struct fn_list fn_datetime; /* func_datetime.c: dates and times, their operators and comparisons */
extern const struct fn_list fn_json;     /* func_json.c: json and jsonb, their operators and comparisons */
extern const struct fn_list fn_misc;     /* func_misc.c: uuid and the rest, with their comparisons */

#endif
