/* Ordered scans and trimming on the writing side. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "store/store_impl.h"

#include <stdlib.h>

struct store_scan {
    struct store_shard *shard; /* borrowed */
    MDB_txn *own;              /* a read transaction of its own, or NULL inside the write transaction */
    MDB_cursor *cursor;
    bool positioned; /* the next entry is the cursor's current one */
    bool ended;
};

struct err *store_scan_open(struct store_shard *sh, store_db db, struct store_scan **out)
{
    struct store_scan *sc = xcalloc(1, sizeof *sc);
    sc->shard = sh;
    int rc = sh->txn ? 0 : mdb_txn_begin(sh->env, NULL, MDB_RDONLY, &sc->own);
    if (!rc)
        rc = mdb_cursor_open(sc->own ? sc->own : sh->txn, db, &sc->cursor);
    if (rc) {
        mdb_txn_abort(sc->own);
        free(sc);
        return store_error(sh, rc, "opening a scan");
    }
    sh->own_scans += sc->own != NULL;
    *out = sc;
    return NULL;
}

static void scan_failed(const struct store_scan *sc, int rc)
{
    if (rc != MDB_NOTFOUND)
        PANIC("shard %u: scanning: %s", sc->shard->index, mdb_strerror(rc));
}

void store_scan_seek(struct store_scan *sc, struct slice key)
{
    MDB_val k = {.mv_size = key.len, .mv_data = (void *)key.p}, v;
    int rc = key.len ? mdb_cursor_get(sc->cursor, &k, &v, MDB_SET_RANGE)
                     : mdb_cursor_get(sc->cursor, &k, &v, MDB_FIRST);
    if (rc)
        scan_failed(sc, rc);
    sc->ended = rc != 0;
    sc->positioned = rc == 0;
}

bool store_scan_next(struct store_scan *sc, struct slice *key, struct slice *value)
{
    MDB_val k, v;
    if (sc->ended)
        return false;
    int rc = mdb_cursor_get(sc->cursor, &k, &v, sc->positioned ? MDB_GET_CURRENT : MDB_NEXT);
    sc->positioned = false;
    if (rc) {
        scan_failed(sc, rc);
        sc->ended = true;
        return false;
    }
    *key = (struct slice){k.mv_data, k.mv_size};
    *value = (struct slice){v.mv_data, v.mv_size};
    return true;
}

void store_scan_close(struct store_scan *sc)
{
    if (!sc)
        return;
    mdb_cursor_close(sc->cursor);
    sc->shard->own_scans -= sc->own != NULL;
    mdb_txn_abort(sc->own);
    free(sc);
}

struct err *store_trim(struct store_shard *sh, store_db db, uint64_t max,
                       bool (*drop)(void *ctx, struct slice key, struct slice value), void *ctx)
{
    ASSERT(sh->txn != NULL);
    MDB_cursor *cursor;
    MDB_val k, v;
    struct err *e = NULL;
    int rc = mdb_cursor_open(sh->txn, db, &cursor);
    if (rc)
        return store_error(sh, rc, "opening a cursor");
    for (uint64_t n = 0; n < max && !e; n++) {
        rc = mdb_cursor_get(cursor, &k, &v, MDB_FIRST);
        if (rc || !drop(ctx, (struct slice){k.mv_data, k.mv_size}, (struct slice){v.mv_data, v.mv_size}))
            break;
        e = store_space_change(sh, 0);
        if (!e && (rc = mdb_cursor_del(cursor, 0)) != 0)
            break;
    }
    mdb_cursor_close(cursor);
    return e || rc == 0 || rc == MDB_NOTFOUND ? e : store_error(sh, rc, "trimming");
}
