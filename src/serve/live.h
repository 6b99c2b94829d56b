/* Live queries: the rows of a query, then every change of exactly that query, each as an event.
 *
 * A live query (struct live_query) is identified by its target and grant. Its filter is evaluated once per change, and its
 * events are written once per *rendering* (server-sent events, WebSocket messages, protobuf messages), however many
 * subscribers take them. A *transport* carries the bytes of one subscriber: a connection, or a stream on one.
 *
 * Who adds a rendering fills a struct live_rendering; who adds a transport fills a struct live_transport, calls
 * live_subscribe, sends the first events itself, and calls live_end when its side goes away. Everything belongs to the
 * loop's thread.
 *
 * A subscriber never ends while events are handed out: what must go is marked (live_doom) and put on the list of those with
 * bytes to send, which live_flush works off. So lists of queries and subscribers hold still while they are walked. */
#ifndef PENSTOCK_SERVE_LIVE_H
#define PENSTOCK_SERVE_LIVE_H

#include "serve/live_index.h"
#include "serve/live_window.h"
#include "serve/loop.h"

#define LIVE_FLUSHES_MAX \
    256 /* subscribers written to in one round of the loop: others get their turn between */

enum live_event {
    LIVE_INSERT, /* with the row */
    LIVE_UPDATE, /* with the row as it is now */
    LIVE_DELETE, /* with the row as it was */
    LIVE_RESET,  /* everything before is void; the rows follow */
    LIVE_EPOCH,  /* all changes up to it came before; resumes after it */
    LIVE_HEARTBEAT
};
const char *live_event_name(enum live_event e);

/* A point in the history of epochs. The timeline is boot and generation: epochs that a crash took back are never mistaken for
 * those that replaced them. */
struct live_point {
    uint64_t epoch;
    uint32_t timeline;
};
void live_point_text(struct live_point at, struct buf *out); /* "123-0a1b2c3d" */

struct live_rendering {
    const char *name;
    /* What it has to know of a bound query, once for each: allocated in `a`, *state may stay NULL. False: p says why the
     * query cannot be shown like this. May be NULL. */
    bool (*prepare)(struct arena *a, const struct read *rd, const void **state, struct problem *p);
    /* One insert, update or delete, appended to out. The same row must always give the same bytes: an update that changes
     * none of them is no event. False: fn says what failed. */
    bool (*row)(struct fn_ctx *fn, const struct read *rd, const void *state, enum live_event e,
                const union val *vals, const uint8_t *states, struct buf *out);
    void (*mark)(enum live_event e, struct live_point at, struct buf *out); /* reset, epoch, heartbeat */
};
extern const struct live_rendering live_sse; /* server-sent events */

enum live_why {
    LIVE_STAYS,
    LIVE_SLOW,    /* it does not take its events */
    LIVE_STALLED, /* it took nothing at all for two heartbeats */
    LIVE_AGAIN,   /* its log is gone or an expression failed: it asks again and is told, or is reset */
    LIVE_GONE,    /* the api is no more, or is another now */
    LIVE_STOPPED, /* the server stops */
    LIVE_ENDED    /* its credentials have expired or were revoked, or it may see something else now */
};
struct live_transport {
    /* Appends to the subscriber's queue; sends nothing and ends nothing. */
    void (*put)(struct subscriber *s, const uint8_t *p, size_t n);
    size_t (*pending)(const struct subscriber *s); /* bytes not sent */
    void (*flush)(struct subscriber *s);           /* sends what goes at once; may end subscribers */
    void (*drop)(struct subscriber *s,
                 enum live_why why);     /* says goodbye if it can, and ends it with live_end */
    bool (*alive)(struct subscriber *s); /* at each heartbeat: false drops it. NULL: yes */
};

struct subscriber {
    struct live *live;
    struct live_query *query;
    struct rendition *rendition;
    const struct live_transport *to;
    const struct caller *caller;    /* kept: judged again now and then, and in another world */
    void *owner;                    /* the transport's: a stream */
    uint64_t since;                 /* what it was given at its start holds all changes up to this epoch */
    size_t allow;                   /* bytes of the first rows, not counted against the queue's limit */
    enum live_why why;              /* not LIVE_STAYS: to be dropped at the next flush */
    bool unsent;                    /* on the list of those with bytes to send */
    bool stalled;                   /* took not all it had from one heartbeat to the next */
    int64_t beat_us;                /* when its next heartbeat is due */
    struct subscriber *prev, *next; /* of its rendition */
    struct subscriber *unsent_prev, *unsent_next;
    struct subscriber *beat_prev, *beat_next;
};
struct rendition { /* of one query */
    const struct live_rendering *how;
    const void *state; /* in the query's arena */
    struct subscriber *subscribers;
    struct buf events; /* of the epoch being delivered */
    struct rendition *next;
};
struct live_query {
    char *target; /* owned: what identifies it, with read.grant */
    uint64_t hash;
    struct live_query *hash_next;
    struct arena arena; /* of everything bound */
    struct read read;
    bool
        identifies; /* its events show which row they are of: an update need not be told as delete and insert */
    const struct world *world;      /* that it is bound in */
    uint32_t pinned;                /* the version that its path names; 0: none */
    struct feed *feed;              /* NULL while orphaned */
    struct live_query *prev, *next; /* in the feed, or among the orphans */
    struct rendition *renditions;
    bool failed;                     /* an expression failed for a changed row: its subscribers are dropped */
    bool touched;                    /* has events of the epoch being delivered */
    bool stale;                      /* its window is to be filled again */
    struct live_query *touched_next; /* or stale ones */
    struct live_top *top;            /* a window: it has a limit; else NULL */
    struct index_part part;          /* its place in the feed's index */
};
struct feed { /* of one view: its change logs, read once for all queries on it */
    const struct world_view *view;
    uint64_t epoch; /* changes up to it were delivered; UINT64_MAX: not started */
    struct live_query *queries;
    struct live_index index;
    struct feed *next;
};
struct live {
    struct loop *loop;
    struct feed *feeds;
    struct live_query *orphans; /* waiting for a world in which they can be bound */
    struct live_query **table;  /* by hash */
    uint32_t table_mask, query_count;
    uint64_t count;      /* subscribers */
    uint64_t epoch_seen; /* of the gate, when logs were last followed */
    bool behind;         /* more changes wait than one step delivers */
    struct live_query *touched, *stale;
    int64_t step_end_us; /* of this step's time for reading windows and starting queries over */
    size_t top_bytes;    /* held by all windows */
    struct subscriber *unsent_first, *unsent_last;
    struct subscriber *beat_first, *beat_last;
    struct subscriber *flushing; /* being written to; NULL once it ended */
    union val *vals;             /* old rows; new ones use the loop's arrays */
    uint8_t *states;
    struct url url;
    struct arena arena; /* while logs are followed */
    struct buf rows, scratch, key, row_key;
};

struct live_ask {
    struct slice target;  /* "/api/balances?branch=eq.7" */
    struct slice last_id; /* what the client saw last; p NULL: nothing */
    const struct live_rendering *how;
    const struct live_transport *to;
    void *owner;
};
/* Its first events go to `first`, the answer's epoch and the like to `a`. NULL: a->problem says why not. */
struct subscriber *live_subscribe(struct live *v, const struct live_ask *ask, struct buf *first,
                                  struct answer *a);
void live_end(struct subscriber *s); /* its side is closing */

/* Target and last id of a request. how, to and owner are still to be set. */
struct live_ask live_ask_of(struct live *v, const struct http_request *req);
/* live_ws.c: as live_start, for a request that asks for WebSocket. */
bool live_ws_start(struct live *v, struct stream *st, const struct http_request *req, struct answer *a);

/* ---- between live*.c ---- */
struct live_point live_point_at(const struct live *v, uint64_t epoch);
void live_query_touch(struct live *v, struct live_query *q);
/* Whether its caller's credentials hold; else it is doomed. */
bool live_may_go_on(struct subscriber *s);
void live_query_stale(struct live *v, struct live_query *q);
/* Reading rows anew for many queries is done in steps of limits.live_step, so that the loop's other clients are answered between
 * them: begun by each round; one query is read in any case. */
void live_step_begin(struct live *v);
bool live_step_over(const struct live *v);
void live_query_fail(struct live_query *q); /* drops all its subscribers, who ask again */
/* live_send.c */
void live_send(struct subscriber *s, const struct buf *events);
void live_doom(struct subscriber *s, enum live_why why);
void live_beat_start(struct subscriber *s);
void live_send_forget(struct subscriber *s); /* off the lists */
void live_beat(struct live *v);              /* to those for whom nothing came for limits.heartbeat */
void live_flush(struct live *v);
/* live_feed.c: what a subscriber gets first: changes after `from` when it can resume, else (after `reset` when it had
 * something before) all rows. Opens its own snapshot; *epoch is what it shows. */
struct live_start {
    bool resume, reset;
    uint64_t from;
};
bool live_first(struct live *v, struct live_query *q, struct rendition *rn, struct live_start start,
                struct buf *out, uint64_t *epoch, struct problem *p);
void live_follow(struct live *v);

#endif
