/* What the pipeline tells the serve process about the stored views: DATA/catalog.json, replaced by rename.
 * No secrets. The serve process reads it again at each new gate generation. */
#ifndef PENSTOCK_STORE_CATALOG_H
#define PENSTOCK_STORE_CATALOG_H

#include "base/err.h"
#include "data/key.h"
#include "data/schema.h"
#include "store/field_numbers.h"

struct catalog_index {
    char *name;
    uint32_t column_count;
    struct key_column *columns;
};
struct catalog_view {
    char *name;
    uint32_t
        slot; /* index into gate->views, and the number in database names (see view_store.h); kept for as long as
                      the view is the same, whatever others come and go */
    struct schema schema; /* with comments */
    uint32_t key_count;   /* 0: keyless */
    uint32_t *key;
    uint32_t index_count;
    struct catalog_index *indexes;
    char *comment;    /* may be NULL */
    char *definition; /* SQL */
    uint64_t fingerprint;
    uint32_t source_count; /* indexes into gate->sources of everything it reads */
    uint32_t *sources;
    uint32_t error_node_count; /* operators whose error rows the view lacks; see error_store.h */
    uint32_t *error_nodes;
};
struct catalog_reference { /* columns that hold the key of a row of another api */
    char *name;
    uint32_t api;          /* index into apis */
    uint32_t column_count; /* as many as that one's key has, in its order */
    uint32_t *columns;
};
struct catalog_api {
    char *path;
    uint32_t view; /* index into views */
    uint32_t reference_count;
    struct catalog_reference *references;
};
struct
    catalog_edition { /* the apis of one version, as one configuration has made them; they stand together */
    uint32_t edition; /* never given again */
    uint32_t number;  /* of the version; two editions have it while one is to take the other's place */
    uint32_t first_api, api_count;
};
struct catalog {
    struct arena arena;
    uint32_t shard_count;
    uint32_t version;    /* number of the newest version */
    uint64_t run;        /* of the pipeline that wrote it: tells whose operators' numbers these are */
    uint32_t error_rows; /* that a view's list of error rows shows */
    uint32_t view_count;
    struct catalog_view *views;
    uint32_t api_count; /* of all editions */
    struct catalog_api *apis;
    uint32_t edition_count;
    struct catalog_edition *editions;
    uint32_t fields_count; /* of every path that ever was an api */
    struct api_fields *fields;
};

/* Atomic: write, fsync, rename. Numbers of fields that stand in the one before are carried over, missing ones given. */
NODISCARD struct err *catalog_save(const struct catalog *c, const char *dir);
/* *out NULL when there is none yet. Free with catalog_free. */
NODISCARD struct err *catalog_load(const char *dir, struct catalog **out);
void catalog_free(struct catalog *c);
/* Some api shows the view; the others stand in the catalog as blanks. */
bool catalog_publishes(const struct catalog *c, uint32_t view);

#endif
