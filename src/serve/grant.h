/* What a caller may see: the one place that every path asks, be it by key, as a list, counted, live, over gRPC, in a batch
 * or as a why.
 *
 * A path finds its api, fills `struct read` with read_parse (or gives it a grant with grant_of itself), and passes
 * every row that it decodes through read_match before anything about the row leaves the process: its values, its number,
 * its key. Columns that are not granted do not exist for the caller: they cannot be selected, filtered or ordered by;
 * names are looked up in grant_schema, where such a column has the empty name. */
#ifndef PENSTOCK_SERVE_GRANT_H
#define PENSTOCK_SERVE_GRANT_H

#include "serve/policy.h"
#include "serve/rest.h"

/* What r->caller may see of the api; the grant's parts live in `a` and in the world. False: nothing, and p says so: 401 for
 * who has not said who it is, else 403. */
bool grant_of(struct rest *r, struct arena *a, const struct world_api *api, struct grant *out,
              struct problem *p);
/* Whether r->caller may see anything of it: for lists of apis and hints. */
bool grant_shows(const struct rest *r, const struct world_api *api);
/* Whether r->caller knows every api with every column by name: for documents that show all of them. False: p says so. */
bool grant_everything(const struct rest *r, struct problem *p);
/* Two that let the same rows and columns through: what is made of one may be given to the other. */
bool grant_same(const struct grant *a, const struct grant *b);
/* Whether the grant lets this row through, whatever the query asks for. */
bool grant_row(struct rest *r, const struct grant *g, const union val *vals, const uint8_t *states);
/* A row of the answer: granted, and matched by the query's filter. */
bool read_match(struct rest *r, const struct read *rd, const union val *vals, const uint8_t *states);
/* The query as far as the choice of an index goes: its filter and what the grant's condition binds. In `a`. */
struct query grant_narrowed(struct arena *a, const struct read *rd);
static inline bool grant_column(const struct grant *g, uint32_t column)
{
    return !g->columns || (g->columns[column / 64] >> (column % 64) & 1);
}
/* The columns that the caller knows by name. */
static inline const struct schema *grant_schema(const struct grant *g, const struct world_view *v)
{
    return g->rule ? g->rule->schema : v->schema;
}
static inline const struct projection *grant_all(const struct grant *g, const struct world_view *v)
{
    return g->rule ? &g->rule->all : &v->all;
}
/* No row can be left out by it. */
static inline bool grant_every_row(const struct grant *g)
{
    return !g->rule || !g->rule->has_rows;
}
/* Every column of the key is shown: only then there are rows by key for the caller. */
bool grant_key(const struct grant *g, const struct world_view *v);

/* Of one loop and world. */
void grant_evaluators_free(struct rest *r);

#endif
