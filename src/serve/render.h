/* Rows as JSON, CSV or NDJSON, the way PostgREST prints them. */
#ifndef PENSTOCK_SERVE_RENDER_H
#define PENSTOCK_SERVE_RENDER_H

#include "serve/query.h"

/* What is selected, with the JSON keys spelled out ("{\"id\":", ",\"name\":"). Immutable, shared. */
struct projection {
    uint32_t count;
    const struct select_item *items;
    struct slice *labels;
};
void projection_init(struct arena *a, const struct select_item *items, uint32_t count,
                     struct projection *out);

/* One value, not NULL. fn->arena gets scratch. */
void render_json_value(struct fn_ctx *fn, enum type_id t, const union val *v, struct buf *out);
/* The value of one item of the row, NULL included; into a CSV field, nothing when it is NULL. False: see below. */
bool render_json_item(struct fn_ctx *fn, const struct select_item *it, const union val *vals,
                      const uint8_t *states, struct buf *out);
bool render_csv_item(struct fn_ctx *fn, const struct select_item *it, const union val *vals,
                     const uint8_t *states, struct buf *out);
void render_csv_field(struct buf *out, const uint8_t *p, size_t len);
/* What is selected by an item: the column itself or its cast. *null tells. False: the cast failed (fn says why). */
bool select_item_value(struct fn_ctx *fn, const struct select_item *it, const union val *vals,
                       const uint8_t *states, union val *out, bool *null);
/* One row as a JSON object. False: a cast failed (fn says why). */
bool render_json_row(struct fn_ctx *fn, const struct projection *p, const union val *vals,
                     const uint8_t *states, struct buf *out);
/* Fields that are NULL taken out of the JSON text from `from` on, as json_strip_nulls does; blanks go too. */
void render_strip_nulls(struct buf *out, size_t from);
void render_csv_head(const struct projection *p, struct buf *out);
bool render_csv_row(struct fn_ctx *fn, const struct projection *p, const union val *vals,
                    const uint8_t *states, struct buf *out);

#endif
