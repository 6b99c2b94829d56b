/* Views embedded in the rows of another: select=*,orders(*) along the references that the configuration declares.
 *
 * An embedded view is a read of its own within the request's snapshot: its filter, order and limit, its caller's grant, and
 * conditions on the columns of the relation, whose values come from each row of the outer view. So every row goes through
 * read_match, indexes are chosen as for any list, and embeds nest. What all of them look at in one request is bounded by
 * limits.scan_rows (r->embed_left).
 *
 * Whether a row has any is a value too: of a column behind the view's own, NULL when there is none, for is.null and !inner. */
#ifndef PENSTOCK_SERVE_EMBED_H
#define PENSTOCK_SERVE_EMBED_H

#include "serve/rest.h"

#define ROW_ROOM (COLUMNS_MAX + QUERY_EMBEDS_MAX) /* values of a decoded row */

/* Which api each embed is, by name, alias, hint and relations, and its query bound to it; then rd's own conditions and
 * order that ask for them. After rd->query has been parsed, in place of query_bind. fn->arena must be `a`. */
bool embed_bind(struct rest *r, struct arena *a, struct fn_ctx *fn, struct read *rd, struct problem *p);
/* All embedded views are complete; and, in the snapshot, have been since. */
bool embed_ready(struct rest *r, const struct read *rd, struct problem *p);
bool embed_still_ready(struct rest *r, const struct read *rd, struct problem *p);
/* The answer is as late and as incomplete as the worst of them. */
void embed_mark(struct rest *r, const struct read *rd, struct answer *a);

/* For the row that is decoded in r: */
/* rd->query.embed_filter. False, with a problem or without: not a row of the answer. */
bool embed_match(struct rest *r, const struct read *rd, struct problem *p);
/* The value of a column of the embedded row, as an order's key; NULL if there is none. */
bool embed_order(struct rest *r, const struct order_item *o, struct buf *key, struct problem *p);
/* The row with what is embedded. False: p. */
bool embed_json_row(struct rest *r, const struct read *rd, struct buf *out, struct problem *p);
bool embed_csv_row(struct rest *r, const struct read *rd, struct buf *out, struct problem *p);
void embed_csv_head(const struct read *rd, struct buf *out);

void embed_frame_free(struct rest_frame *f);

#endif
