/* LMDB's file looked at page by page, without trusting any of it: is what hangs below a snapshot's root a forest of sound
 * trees? Only then may LMDB itself be let loose on it, which follows every page number and offset that it finds.
 *
 * Checked: each page has its own number and the kind that its level wants, lies within the file and is used once; nodes
 * lie within their page; keys ascend and stay between those of the branches above; values on pages of their own have as
 * many as they need; each tree has the depth, the pages and the entries that its record says; no page in use is in
 * the free list. */
#ifndef PENSTOCK_STORE_MDB_PAGES_H
#define PENSTOCK_STORE_MDB_PAGES_H

#include "store/mdb_private.h"

struct mdb_pages_check {
    /* One fault, in words. `database`: the named one, "main" or "free". */
    void (*fault)(void *ctx, const char *database, const char *text);
    bool (*tick)(void *ctx, uint64_t pages); /* so many more were looked at; false: stop */
    void *ctx;
    /* results */
    uint64_t faults;
    uint64_t used, free,
        lost; /* pages: in a tree, in the free list, in neither (a waste of space, no fault) */
    bool stopped;
};

/* map: the file, at least (last_page + 1) * page_bytes long. Memory: two bits a page. After the first
 * MDB_PAGES_FAULTS_MAX faults it ends. */
#define MDB_PAGES_FAULTS_MAX 100
void mdb_pages_check(const uint8_t *map, const struct mdbp_roots *roots, struct mdb_pages_check *c);

#endif
