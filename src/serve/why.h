/* GET /api/NAME/KEY.../why: the rows of the sources that one row of an api was made of, and its last changes.
 *
 *   view's row, mirrors and change log are read in one snapshot: the answer is exact for its epoch
 *   it shows columns of source rows that the api may not show, so it is allowed apart (access.why)
 *
 * The work is bounded but long for a loop (up to limits.why_rows rows are looked at), so that it is done by a thread of
 * civetweb's: why_service.h. The command `penstock why` calls why_answer itself. */
#ifndef PENSTOCK_SERVE_WHY_H
#define PENSTOCK_SERVE_WHY_H

#include "lineage/lineage.h"
#include "lineage/plan_file.h"
#include "serve/cursor.h"
#include "serve/rest.h"
#include "store/epoch_log.h"

#define WHY_PAGE_DEFAULT 100
#define WHY_PAGE_MAX     1000 /* source rows of one answer */
#define WHY_CHANGES      10   /* last changes of the row that an answer has, if the log has them */
#define WHY_THROUGH_MAX  100  /* columns of views that one column comes through; further ones are not told */
#define WHY_LOG_ROWS     100000 /* entries of the change log that are looked at for them, from the newest on */
#define WHY_BYTES_MAX    (UINT64_C(256) << 20) /* kept while a row is traced */

/* Whether the path is that of a why: the rest after the api's name (segments from `used` on) is a key and "why", or for a
 * view without a key "why" alone. */
bool why_is_asked(const struct rest *r, const struct world_api *api, uint32_t used);
/* What r->caller may not: problem set, false. */
bool why_is_allowed(struct rest *r, const struct world_api *api, struct problem *p);

/* Answers in the calling thread: r has the world, the arena and the caller. target: as of the request. Whether r->caller may
 * ask is not asked here (why_is_allowed), which rows and columns it sees is. cancelled: see lineage.h. */
struct why_ask {
    struct slice target;
    const struct stored_plan *plan;
    const struct cursor_key *cursors; /* NULL: the machine's own operator asks, who may see everything */
    bool (*cancelled)(void *ctx);
    void *ctx;
};
void why_answer(struct rest *r, const struct why_ask *ask, struct answer *a);

/* ---- between why*.c ---- */
struct why { /* one question, in the open snapshot */
    struct rest *r;
    struct answer *a;
    const struct read *rd;
    const struct plan *plan;
    const struct plan_view *view;
    const union val *vals; /* the view's row */
    const uint8_t *states;
    struct slice row; /* as stored */
    uint32_t shard;   /* that it is on */
    struct lineage lineage;
    struct arena scratch;    /* of one value's text */
    struct fn_ctx fn;        /* on scratch */
    struct why_shown *shown; /* of tables, a list; NULL with all_shown */
    bool all_shown;
    uint32_t limit;
    uint64_t from;   /* first source row of the page */
    uint64_t digest; /* of everything that is answered but the page */
};
/* The columns of tables that the caller's columns of the view are computed from, when it may not see all of them. */
void why_find_shown(struct why *w);
bool why_shows(const struct why *w, uint32_t column); /* of the view */
/* A row's columns as an object; which: NULL: all. */
void why_put_row(struct why *w, const struct schema *schema, const union val *vals, const uint8_t *states,
                 bool (*shows)(const struct why *w, const void *ctx, uint32_t column), const void *ctx);
void why_put_changes(struct why *w); /* "changes": [...], "changes_since": epoch */
void why_put_columns(struct why *w); /* "columns": [...] */
void why_put_sources(struct why *w);
uint64_t why_digest(struct why *w);

#endif
