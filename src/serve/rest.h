/* REST reads: from a parsed request to an answer. One struct rest per loop; no sockets here, so that tests can call it.
 *
 * rest_answer fills the answer's head fields and body and says what is to happen: send it, wait for an epoch, go on as a live
 * query, hand the request on (to civetweb, to the pipeline), or collect its body first. The snapshot is never held past the call. */
#ifndef PENSTOCK_SERVE_REST_H
#define PENSTOCK_SERVE_REST_H

#include "serve/caller.h"
#include "serve/compress.h"
#include "serve/http.h"
#include "serve/prefer.h"
#include "serve/serve.h"
#include "serve/stats.h"
#include "serve/world.h"

struct rest_frame { /* what a read within a read works with, in place of the loop's own; see embed.c */
    struct arena arena, rows;
    union val *vals;
    uint8_t *states;
    struct buf key;
};

struct rest {
    const struct serve_limits *limits;
    bool anonymous_read, errors_read, why_read; /* of apis; of lists of error rows; of source rows */
    enum serve_ingest ingest;
    struct gate *gate;
    struct world *world; /* borrowed; the version that the request is about. NULL: nothing to serve yet */
    uint32_t pinned;     /* the version that its path names; 0: none */
    struct store_snapshot *snapshot; /* of this loop in world->reader; NULL with world */
    uint32_t *dbs;                   /* handle + 1 by (database, shard); 0 not looked up yet */
    struct arena arena;              /* of the request */
    struct arena rows;               /* of one row: reset after each */
    struct fn_ctx fn;                /* on `rows` */
    struct fn_ctx bind_fn;           /* on `arena` */
    union val *vals;                 /* COLUMNS_MAX */
    uint8_t *states;
    struct buf key, scratch[2];
    struct buf page_end;                              /* position of the last row of the page being made */
    uint32_t depth;                                   /* of embedded views, while one is read */
    struct rest_frame *frames[QUERY_EMBED_DEPTH_MAX]; /* owned; NULL until used */
    struct cursor_sealer *cursors;                    /* borrowed; NULL: lists have no cursors */
    uint64_t embed_left; /* rows that embedding may still look at in this request */
    struct url url;
    struct compressor *compressor;      /* owned */
    const struct caller *caller;        /* of the request: set by the transport before each; never NULL */
    struct grant_evaluator *evaluators; /* owned; of the world's rules: see grant.c */
    struct multi *multi;                /* owned; NULL until one came */
    /* While a snapshot is held: of each view hides + 1 when it began, 0 if it was not complete. NULL: none is held. */
    uint32_t *held;
    struct world *held_world; /* what unpinned paths show meanwhile */
    uint32_t hides;           /* of the view that rest_ready has just found complete */
    bool trusted;             /* the machine's own operator, who sees everything */
    struct why_service *why;  /* borrowed; NULL: nobody answers whys */
    uint64_t why_job;         /* of the request that rest_answer has just handed on; 0: it is no why */
    int64_t now_us;           /* Unix; set by the caller before each request */
};
void rest_init(struct rest *r, const struct serve_limits *limits, struct gate *gate, bool anonymous_read);
void rest_fini(struct rest *r);
/* Take up a world (or NULL: let go). Fails when no reader slot is free. */
NODISCARD struct err *rest_use(struct rest *r, struct world *w);

/* BODY: call again once the whole request body is there (req->body_whole); it is at most limits.body_bytes. */
enum rest_next { REST_DONE, REST_WAIT, REST_LIVE, REST_BACK, REST_INGEST, REST_BODY };
struct answer {
    int status;
    const char *content_type; /* NULL: no body */
    bool head_only;           /* HEAD: length without body */
    uint32_t version;         /* of the contracts; 0: of none */
    bool api;                 /* answer of an api: epoch, lag and so on are sent */
    uint64_t epoch;
    uint64_t incomplete; /* rows that the view lacks because an expression fails for them */
    uint32_t timeline;   /* of the epoch */
    int64_t lag_ms;      /* -1 unknown */
    int64_t stale_s;     /* -1: the pipeline lives */
    bool has_etag, etag_weak;
    uint64_t etag;
    const char *etag_text;     /* instead of etag, quoted */
    const char *allow;         /* Allow header */
    const char *content_range; /* in the request's arena, as the next two */
    const char *preference_applied;
    const char *link;
    enum coding coding; /* of the body */
    bool vary_encoding; /* another client may get it compressed, or plain */
    int retry_after_s;
    bool upgrade;     /* another version of WebSocket was asked for: the one that is spoken is sent */
    uint32_t stat;    /* api number for counters, API_STATS_MAX: none */
    struct buf *body; /* borrowed from the loop */
    struct problem problem;
};
/* waited: the request has waited long enough for Penstock-Wait (then 504 instead of REST_WAIT). */
enum rest_next rest_answer(struct rest *r, const struct http_request *req, bool waited, struct answer *a);
/* Fills body and head fields from a->problem. */
void answer_problem(struct answer *a);
void answer_init(struct answer *a, struct arena *arena, struct buf *body);
/* Media type of an answer by the Accept header, best first. */
enum media { MEDIA_JSON, MEDIA_OBJECT, MEDIA_CSV, MEDIA_NDJSON, MEDIA_EVENTS, MEDIA_NONE };
enum media media_choose(struct slice accept);
/* The same; *strip: without the fields that are NULL (;nulls=stripped). */
enum media media_choose_with(struct slice accept, bool *strip);
/* Of one element of such a header, behind its name: q=0.5 is 500, none 1000. */
int header_quality(struct slice params);
/* Serialises status line and headers (a->body's length included). */
void answer_head(const struct answer *a, const struct http_request *req, struct slice date, bool close,
                 struct buf *out);

/* GET /admin/views/NAME/errors */
void errors_answer(struct rest *r, struct slice view, struct answer *a);
void bad_rows_answer(struct rest *r, struct slice source, struct slice table, struct answer *a);

/* ---- shared with live queries and status ---- */
/* What a caller may see of one api; see grant.h. All zero: everything. */
struct grant {
    const struct policy_rule *rule; /* NULL: everything */
    const uint64_t *columns;        /* bit set by column; NULL: all */
    const union val *claims;        /* of the rule's condition, in the arena that was given */
    const uint8_t *claim_states;
    struct cond
        *narrow; /* what every granted row passes, for the choice of an index; NULL: nothing is known */
};
struct position;
struct read { /* one bound read of an api */
    const struct world_api *api;
    const struct world_view *view;
    struct grant grant; /* of who asks */
    bool by_key;        /* one row by key */
    struct query query;
    struct projection projection;
    bool pages;                   /* the end of a page is wanted: see page.h */
    const struct position *after; /* rows after it alone; NULL: from the beginning */
};
bool rest_db(struct rest *r, const struct world_view *v, uint32_t db, uint32_t shard, store_db *out);
/* Path segments after /api[/vN] and parameters into a bound read. a: where it lives. */
bool read_parse(struct rest *r, struct arena *a, const struct url *u, struct read *out, struct problem *p);
/* The OpenAPI document of what r->caller may see; the world's. */
const struct buf *openapi_for(const struct rest *r);
/* Takes up the version that unpinned paths show now: once, at the start of every request, so that all of it is of one version
 * even if another becomes current meanwhile. */
void rest_unpin(struct rest *r);
/* After /api: strips "v1" and takes up that version, finds the api. *used counts the segments up to and with its name. */
const struct world_api *rest_find_api(struct rest *r, const struct url *u, uint32_t *used, struct problem *p);
bool rest_may_enter(const struct rest *r, struct problem *p); /* the caller may ask for apis at all */
bool rest_has_world(struct rest *r, struct problem *p); /* and takes up the current version: see rest_unpin */
bool rest_holds(const struct rest *r, const struct world_view *v); /* its slot still has the world's view */
bool rest_ready(struct rest *r, const struct world_view *v, struct problem *p); /* view may be shown */
int64_t rest_lag_ms(const struct rest *r, const struct world_view *v);
int64_t rest_stale_s(const struct rest *r);
void rest_mark(const struct rest *r, const struct world_view *v, struct answer *a); /* lag, stale */
/* Inside the open snapshot: its epoch, and how many rows the view lacks in it. */
void rest_mark_snapshot(const struct rest *r, const struct world_view *v, struct answer *a);
uint64_t rest_incomplete(const struct rest *r, const struct world_view *v); /* how many rows the view lacks */
/* In the open snapshot: the view has not been hidden since rest_ready found it complete, with `hides` as it was then. */
bool rest_still_ready(struct rest *r, const struct world_view *v, uint32_t hides, struct problem *p);
/* Of the shard, or of all (-1), to show the view, which rest_ready has just found complete; v may be NULL for what is of
 * no view. False: the store cannot be read now, or the view was taken away before the snapshot, and p says so. */
bool rest_snapshot_begin(struct rest *r, int shard, const struct world_view *v, struct problem *p);

/* Ends what rest_snapshot_begin began. */
void rest_snapshot_end(struct rest *r);
/* One snapshot of all shards for several reads: until rest_unhold, rest_snapshot_begin and _end use it. */
bool rest_hold(struct rest *r, struct problem *p);
void rest_unhold(struct rest *r);
/* Names the sequence of epochs that the world's belong to: another one after each recovery. */
static inline uint32_t rest_timeline(const struct rest *r)
{
    return (uint32_t)(r->world->tag >> 32);
}

/* select.c: runs a list read in the open snapshot. */
struct select_result {
    uint64_t total; /* rows that match, when has_total; about, when it is an estimate */
    bool has_total;
    uint64_t row_count; /* emitted */
    int64_t offset;
    bool more;         /* there may be more rows after the last one */
    struct slice next; /* then its position, in the request's arena; len 0: it has none */
};
struct select_sink {
    bool (*row)(struct select_sink *s, const union val *vals,
                const uint8_t *states);   /* false: stops, with a problem */
    void (*reset)(struct select_sink *s); /* forget the rows so far: they come again in another order */
};
bool select_run(struct rest *r, const struct read *rd, enum count_mode count, struct select_sink *sink,
                struct select_result *out, struct problem *p);

#endif
