/* DATA/versions.json: which versions of the contracts are kept, and what made each of them.
 *
 * A version is what clients know by its number. An edition is one configuration's making of it: SQL, apis and the contract
 * that they gave. Of a version there is one complete edition, and perhaps another that is being built to take its place; a
 * change that breaks clients is built as an edition of a new version. At most one edition is being built at a time: the
 * configuration's own.
 *
 * The file is the truth about them; the gate tells the same to readers, by atomic words. Whoever changes it (the pipeline, and
 * commands) does so under a lock, and tells the gate before letting go of it; a change that was cut short in between is told
 * by the next versions_publish. Databases and catalog follow: what no edition in the file needs is nobody's. */
#ifndef PENSTOCK_STORE_VERSIONS_H
#define PENSTOCK_STORE_VERSIONS_H

#include "store/catalog.h"
#include "store/gate.h"

#define VERSIONS_KEEP_MAX 12 /* complete editions; what versions.keep may be at most */

struct version_sql { /* as struct sql_text */
    char *file, *text;
    int first_line;
};
struct version_reference { /* as struct api_request_reference */
    char *name, *api;
    uint32_t column_count;
    char **columns;
};
struct version_api { /* as it was asked for */
    char *path, *view;
    uint32_t key_count;
    char **key;
    uint32_t reference_count;
    struct version_reference *references;
};
struct edition {
    uint32_t edition; /* never given again */
    uint32_t number;  /* of the version */
    bool complete;    /* served; else it is being built */
    int64_t made_us;  /* Unix */
    uint64_t config;  /* hash of the SQL and the apis */
    uint32_t sql_count;
    struct version_sql *sql;
    uint32_t api_count;
    struct version_api *apis;
    struct catalog *contract; /* owned: its apis, and the views that they show */
};
struct versions {
    struct arena arena;
    uint32_t current;                   /* version of unpinned paths; 0: none is complete yet */
    uint32_t last_edition, last_number; /* ever given; a version's number when it was complete */
    uint32_t edition_count;             /* ascending by edition */
    struct edition *editions[VERSIONS_KEEP_MAX + 1];
};

struct versions *versions_new(void);
void versions_free(struct versions *v);
/* *out NULL: there is no such file. */
NODISCARD struct err *versions_load(const char *dir, struct versions **out);
NODISCARD struct err *versions_save(const struct versions *v, const char *dir);

/* The lock of those who change the file. Waits for another holder. *fd is to be given to versions_unlock. */
NODISCARD struct err *versions_lock(const char *dir, int *fd);
void versions_unlock(int fd);
/* Tells the gate what readers are to be served. Under the lock. True: something changed. */
bool versions_publish(const struct versions *v, struct gate *gate);

struct edition *versions_find(const struct versions *v, uint32_t number); /* its complete edition, or NULL */
struct edition *versions_newest(const struct versions *v);   /* of the highest number; NULL: none */
struct edition *versions_building(const struct versions *v); /* NULL: none */
uint32_t versions_complete(const struct versions *v);        /* how many editions are complete */
/* A new edition, at the end of the list, with nothing in it; not more than VERSIONS_KEEP_MAX + 1 at once. */
struct edition *versions_add(struct versions *v, uint32_t number);
void versions_remove(struct versions *v, const struct edition *e);
/* The edition becomes its version's; the one before it goes. The first one of all becomes current. */
void versions_finish(struct versions *v, struct edition *e);

#endif
