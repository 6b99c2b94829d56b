/* What a caller may see: the one place that every path asks, be it by key, as a list, counted, live, over gRPC, in a batch
 * or as a why.
 *
 * A path finds its api, fills `struct read` with read_parse (or read_open), which gives it the caller's grant, and passes
 * every row that it decodes through read_match before anything about the row leaves the process: its values, its number,
 * its key. Columns that are not granted do not exist for the caller: they cannot be selected, filtered or ordered by. */
#ifndef PENSTOCK_SERVE_GRANT_H
#define PENSTOCK_SERVE_GRANT_H

#include "serve/rest.h"

/* Whether the grant lets this row through, whatever the query asks for. */
bool grant_row(struct rest *r, const struct grant *g, const union val *vals, const uint8_t *states);
/* A row of the answer: granted, and matched by the query's filter. */
bool read_match(struct rest *r, const struct read *rd, const union val *vals, const uint8_t *states);
static inline bool grant_column(const struct grant *g, uint32_t column)
{
    return !g->columns || (g->columns[column / 64] >> (column % 64) & 1);
}
/* No row can be left out by it. */
static inline bool grant_every_row(const struct grant *g)
{
    return !g->rows;
}

#endif
