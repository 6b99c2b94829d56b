/* Where a page of a list ended, and how the next one goes on from there: keyset paging.
 *
 * A position is an order of columns that tells all rows apart (the order asked for, then what the walk adds to it, the row's
 * key in the end) and the values in it of the last row of the page. What comes after a position is decided by these values
 * alone: rows that change or go meanwhile neither move nor hide the others, whichever index then serves the query. Of rows
 * without a key there may be copies: the position counts those that are behind it. */
#ifndef PENSTOCK_SERVE_PAGE_H
#define PENSTOCK_SERVE_PAGE_H

#include "serve/access.h"
#include "serve/rest.h"

struct position {
    uint32_t count;
    struct order_item *order; /* count of them */
    union val *vals;          /* by place in the order */
    uint8_t *states;
    uint64_t copies;  /* of the row itself that are behind it */
    struct slice key; /* what rows are sorted by, see page_sort_key: this row's */
};
/* Rows of the query in an order that tells them apart: of the walk when access is ordered, else of a sort. False: it is
 * ordered by what is no column of the view. In `a`. */
bool page_order(struct arena *a, const struct world_view *v, const struct query *q,
                const struct access *access, struct query *out);
/* The row in r->vals as a position in that order, appended to out. */
void page_encode(struct rest *r, const struct read *rd, const struct query *ordered, uint64_t copies,
                 struct buf *out);
/* False: not of this api, or malformed. In `a`. */
bool page_decode(struct arena *a, const struct read *rd, struct slice plain, struct position *out);
/* The order asked for is the beginning of the position's. */
bool page_fits(const struct query *q, const struct position *at);

/* ---- requests and answers ---- */
/* Takes the cursor of the request, if there is one; rd->pages and rd->after. */
bool page_begin(struct rest *r, struct read *rd, struct problem *p);
/* Link: rel="next" when there may be more; target: the request's. False: a problem of the answer's. */
bool page_end(struct rest *r, const struct read *rd, const struct select_result *res, struct slice target,
              struct answer *a);

#endif
