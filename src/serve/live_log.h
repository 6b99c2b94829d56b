/* Change logs as live queries read them; internal to live*.c. All within the open snapshot and the loop's request arena. */
#ifndef PENSTOCK_SERVE_LIVE_LOG_H
#define PENSTOCK_SERVE_LIVE_LOG_H

#include "serve/live.h"

struct log_shard {
    struct store_cursor *cursor;
    bool open;
    struct view_change change; /* next one */
};
struct log_reader {
    struct live *live;
    const struct world_view *view;
    uint32_t count;
    struct log_shard *shards;
    bool broken;
};
void live_log_open(struct log_reader *r, struct live *v, const struct world_view *view, uint64_t after);
/* The oldest epoch that has changes left, up to `last`; 0 when there is none. */
uint64_t live_log_epoch(const struct log_reader *r, uint64_t last);
/* Next change of that epoch on any shard. Those of one row come in their order. */
bool live_log_next(struct log_reader *r, uint64_t epoch, struct view_change *out);
/* Epochs up to this are not complete in the log of some shard. */
uint64_t live_log_trimmed(struct live *v, const struct world_view *view);

/* ---- one change, one query ---- */

struct change_rows { /* decoded once for all queries: the old row in live->vals, the new one in the loop's */
    bool has_old, has_new;
    uint64_t multiplicity;
    struct slice old_row, new_row;
};
bool live_decode(struct live *v, const struct world_view *view, const struct view_change *c,
                 struct change_rows *out);
/* Whether the query holds the change's old row, and its new one. False: neither. */
bool live_concerns(struct live *v, struct live_query *q, const struct change_rows *c, bool *was, bool *is);

struct change_sink { /* one query's events of one rendering */
    struct live *live;
    struct live_query *query;
    struct rendition *rendition;
    struct buf *out;
};
/* The events of the decoded change. False: an expression failed, or there are too many. */
bool live_put_change(struct change_sink *s, const struct change_rows *c, bool was, bool is);

/* ---- live_top.c: queries with a limit ---- */
#define LIVE_UNDO_MAX \
    10000 /* changes that are taken back to find what a window showed; further behind starts over */

bool live_top_prepare(struct live *v, struct live_query *q,
                      struct problem *p); /* sets q->top if it has a limit */
void live_top_drop(struct live *v, struct live_query *q);
uint64_t live_top_epoch(const struct live_query *q); /* what is shown is of this epoch; 0: not filled */
bool live_top_first(struct change_sink *to, struct live_start start, uint64_t *epoch, struct problem *p);
void live_top_change(struct live *v, struct live_query *q, const struct change_rows *c, bool was, bool is);
/* At the end of an epoch: events of what changed in its rendition's buffers. False: to be filled again first. */
bool live_top_settle(struct live *v, struct live_query *q);
void live_top_refill(struct live *v,
                     struct live_query *q); /* in the open snapshot, which is at the feed's epoch */

#endif
