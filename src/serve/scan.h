/* Stored rows of all shards in one order: an access path walked on every shard, merged by key.
 *
 * Entries of one order have comparable keys (the key codec's byte order is SQL order and ends in the row key), so the
 * merge compares bytes only. Everything borrowed from LMDB is valid until the snapshot ends. */
#ifndef PENSTOCK_SERVE_SCAN_H
#define PENSTOCK_SERVE_SCAN_H

#include "serve/access.h"
#include "serve/rest.h"

struct scan_entry {
    struct slice key; /* as stored in the order walked */
    struct slice row; /* encoded */
    uint64_t multiplicity;
};
struct scan_shard {
    uint32_t shard;
    store_db db, rows; /* order walked; rows (the same when walking by key) */
    struct store_cursor *cursor;
    uint32_t range; /* being walked, counted in walking direction */
    bool open;      /* cursor stands inside a range */
    struct slice key, value;
};
struct scan {
    struct rest *rest;
    const struct world_view *view;
    const struct access *access;
    uint32_t live_count; /* shards with entries left: a heap by key, next first */
    struct scan_shard *shards;
    struct scan_shard **heap;
    bool inexact; /* met a shortened key: byte order may not be SQL order there */
    bool broken;  /* an entry without its row, or a malformed one: the scan ended early */
};
void scan_open(struct rest *r, const struct world_view *v, const struct access *a, struct scan *out);
/* False at the end, and when the store is found broken (out->broken). */
bool scan_next(struct scan *s, struct scan_entry *out);

#endif
