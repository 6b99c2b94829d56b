/* One generation of what is served: the catalog, the store opened for reading, and what can be worked out beforehand.
 *
 * Immutable and shared by all loops. LMDB must not be open twice in one process (closing one environment would drop
 * the other's locks), so a new world is made only after every loop has let go of the old one (see serve.c). */
#ifndef PENSTOCK_SERVE_WORLD_H
#define PENSTOCK_SERVE_WORLD_H

#include "serve/policy.h"
#include "serve/query.h"
#include "serve/render.h"
#include "store/view_store.h"

struct world_view {
    const struct catalog_view *cv;
    const struct schema *schema;
    uint32_t key_count;         /* keyless: 0 */
    uint32_t row_key_count;     /* keyless: every column */
    struct key_column *row_key; /* ASC NULLS LAST */
    struct projection all;      /* select=* */
    uint32_t fills;             /* of its slot at the gate, when the catalog was read */
    uint32_t db_first;          /* number of its first database: rows, change log, then the indexes */
};
enum world_db { WORLD_DB_ROWS, WORLD_DB_LOG, WORLD_DB_INDEX };
struct world_api;
struct world_relation { /* a reference, seen from the api that makes it or from the one that it leads to */
    const char *name;   /* of the reference */
    const struct world_api *target;
    bool inverse;   /* seen from the other end */
    bool many;      /* a row may have several in the target */
    uint32_t count; /* of columns that are equal */
    const uint32_t *own, *other;
};
struct world_api {
    const char *path;
    uint32_t index; /* in the catalog's apis, of all editions */
    uint32_t segment_count;
    const struct world_view *view;
    const char *service;           /* of gRPC: see proto_api.h */
    const uint32_t *field_numbers; /* by column: see store/field_numbers.h */
    uint32_t stat;                 /* number in the counters, the same for a path over all worlds */
    uint32_t relation_count;
    struct world_relation *relations;
};
/* One edition of one version. All of a generation are made, shared and let go together: they have catalog, reader, views and
 * numbers of databases in common, so that a request takes up another version by another pointer alone. */
struct world {
    struct world_set *set;    /* all of them; freed with the first */
    uint32_t edition, number; /* number: the version that clients know */
    unsigned generation;
    uint64_t tag;                /* of this timeline of epochs: boot and generation */
    struct catalog *catalog;     /* of the set: apis of all editions */
    struct store_reader *reader; /* of the set */
    struct gate *gate;           /* borrowed */
    uint32_t shard_count, view_count, api_count, db_count;
    struct world_view *views;
    struct world_api *apis;
    uint32_t slot_mask;
    uint32_t *slots;       /* hash of path -> api + 1 */
    struct policy *policy; /* of the set: who may see what of the catalog's apis */
    struct buf openapi;    /* for who may see everything */
    char openapi_etag[24];
    struct buf proto, proto_pinned;    /* texts of the .proto file: see proto_api.h */
    _Atomic(struct buf *) *openapi_of; /* by role, and behind them who has none: made when first asked for */
    struct arena arena;
};

struct openapi_for {                /* whose document */
    const struct policy_role *role; /* may be NULL */
    bool everything;                /* apis that no rule speaks of are open too */
};
struct world_set {
    uint32_t count;
    struct world *worlds;
};

/* Names of apis over the life of the process, for counters. One writer: the notifier thread. */
#define API_STATS_MAX 1024
struct api_names {
    _Atomic uint32_t count;
    char *names[API_STATS_MAX];
};

/* *out NULL when there is no catalog yet. */
NODISCARD struct err *world_open(const char *data_dir, struct gate *gate, struct api_names *names,
                                 struct world **out);
void world_close(struct world *w); /* any of the set: all of it */
/* What unpinned paths show now; never NULL. Any thread; so are the others. */
struct world *world_current(const struct world *w);
/* The version of that number, if it is served now; else NULL. */
struct world *world_numbered(const struct world *w, uint32_t number);
/* Whether this version shows the view; whether some version that is served does. */
bool world_shows(const struct world *w, uint32_t view);
bool world_serves(const struct world *w, uint32_t view);
/* The api whose name is the longest run of leading segments; *used says how many. NULL: none. */
const struct world_api *world_find(const struct world *w, const struct slice *segments, uint32_t count,
                                   uint32_t *used);
/* The api whose name is nearest to what was asked, for hints; NULL if none is near. Only those that are `shown`. */
const char *world_nearest(const struct world *w, const struct slice *segments, uint32_t count,
                          bool (*shown)(const void *context, const struct world_api *api),
                          const void *context);
/* Numbers of an api's columns by the catalog; all of a catalog that was saved are there. */
const uint32_t *world_field_numbers(struct arena *a, const struct catalog *c, const char *path,
                                    const struct schema *schema);
const char *world_db_name(const struct world_view *v, uint32_t db, char *buf, size_t size_bytes);
/* The document for the role (of w->policy), or for who has none; NULL: of everything. */
/* Whether the columns hold v's whole key: then no two rows have the same. */
bool world_is_key(const struct world_view *v, const uint32_t *columns, uint32_t count);
void openapi_write(const struct world *w, const struct openapi_for *who, struct buf *out);

#endif
