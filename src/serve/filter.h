/* Filters over one decoded row, with SQL's three truth values. */
#ifndef PENSTOCK_SERVE_FILTER_H
#define PENSTOCK_SERVE_FILTER_H

#include "serve/query.h"

enum truth { IS_FALSE_ROW, IS_TRUE_ROW, IS_UNKNOWN_ROW };
/* c NULL: true. `fn` gives scratch memory to LIKE. */
enum truth filter_eval(struct fn_ctx *fn, const struct cond *c, const union val *vals, const uint8_t *states);
static inline bool filter_match(struct fn_ctx *fn, const struct cond *c, const union val *vals,
                                const uint8_t *states)
{
    return !c || filter_eval(fn, c, vals, states) == IS_TRUE_ROW;
}

#endif
