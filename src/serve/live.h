/* The parts of live queries; internal to live*.c. See live.c for how they fit together. */
#ifndef PENSTOCK_SERVE_LIVE_H
#define PENSTOCK_SERVE_LIVE_H

#include "serve/loop.h"

struct feed;
struct live_query;

struct subscriber {
    struct live *live;
    struct live_query *query;
    struct conn *conn;
    uint64_t epoch; /* has everything up to it */
    struct subscriber *prev, *next;
};
struct live_query {
    struct slice target; /* what identifies it: the request target */
    char *target_text;   /* owned */
    struct arena arena;  /* of everything bound */
    struct read read;
    struct feed *feed;       /* NULL while orphaned */
    struct live_query *next; /* in the feed, or among the orphans */
    struct subscriber *subscribers;
    struct buf events; /* of the epoch being delivered */
    bool in_delivery;  /* keep the query though its last subscriber went */
    bool failed;       /* a cast failed for a changed row: its subscribers are dropped */
};
struct feed {
    const struct world_view *view;
    uint64_t epoch; /* changes up to it were delivered; UINT64_MAX: not started */
    struct live_query *queries;
    struct feed *next;
};
struct live {
    struct loop *loop;
    struct feed *feeds;
    struct live_query *orphans; /* waiting for a world in which they can be bound */
    uint64_t count;             /* subscribers */
    bool behind;                /* more changes wait than one step delivers */
    union val *vals;            /* old rows; new ones use the loop's arrays */
    uint8_t *states;
    struct buf rows, scratch;
};

void live_id(const struct live *v, uint64_t epoch, struct buf *out);
void live_epoch_event(const struct live *v, const char *event, uint64_t epoch, struct buf *out);
bool live_row_event(struct live *v, const struct live_query *q, const char *event, const union val *vals,
                    const uint8_t *states, struct buf *out);
void live_query_free(struct live_query *q); /* off every list */
void live_send(struct subscriber *s, const struct buf *events, uint64_t epoch);

/* live_feed.c: what a subscriber gets first: changes after `from` when it can resume, else (after `reset` when it had
 * something before) all rows. Opens its own snapshot; *epoch is what it shows. */
bool live_first(struct live *v, struct live_query *q, bool resume, uint64_t from, bool reset, struct buf *out,
                uint64_t *epoch, struct problem *p);

#endif
