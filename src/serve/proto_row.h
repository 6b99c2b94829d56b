/* Rows as Protocol Buffers messages: typed ones, with a field for each column, and generic ones, a list of values.
 *
 * A value that is NULL is absent (typed) or a Value without a kind (generic). Types without a counterpart are text, the same
 * that REST prints, without its quotes. */
#ifndef PENSTOCK_SERVE_PROTO_ROW_H
#define PENSTOCK_SERVE_PROTO_ROW_H

#include "serve/proto.h"
#include "serve/world.h"

struct proto_column {
    uint32_t column, number;
    enum type_id type;
};
struct proto_columns { /* what a typed message takes of a row */
    uint32_t count;
    const struct proto_column *items;
};
/* For the columns that the projection selects. False: it renames or casts one, which a typed message cannot show. */
bool proto_columns_init(struct arena *a, const struct world_api *api, const struct projection *pr,
                        struct proto_columns *out, struct problem *p);
/* The fields of one typed row. */
void proto_put_row(struct fn_ctx *fn, const struct proto_columns *c, const union val *vals,
                   const uint8_t *states, struct buf *out);
/* The fields of a penstock.v1.Row. False: a cast failed (fn says why). */
bool proto_put_values(struct fn_ctx *fn, const struct projection *pr, const union val *vals,
                      const uint8_t *states, struct buf *out);
/* penstock.v1.Column messages, one for each selected column, as field `number`. */
void proto_put_columns(const struct world_view *v, const struct projection *pr, uint32_t number,
                       struct buf *out);

#endif
