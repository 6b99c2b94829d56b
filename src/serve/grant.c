/* See grant.h. */
#include "serve/grant.h"
#include "serve/filter.h"

bool grant_row(struct rest *r, const struct grant *g, const union val *vals, const uint8_t *states)
{
    return !g->rows || filter_eval(&r->fn, g->rows, vals, states) == IS_TRUE_ROW;
}

bool read_match(struct rest *r, const struct read *rd, const union val *vals, const uint8_t *states)
{
    return grant_row(r, &rd->grant, vals, states) && filter_match(&r->fn, rd->query.filter, vals, states);
}
