/* The lists of error rows in the store: the rows that views leave out because an expression fails for them.
 *
 * Database "errors" of each shard. Keys are the operator's number in the plan (4 bytes big-endian) and a number in order of
 * arrival (8 bytes big-endian); values a varint weight and a JSON object that describes the row. Under number 0 stands the
 * weight of all the operator's error rows, listed or not, alone. Under the key of 4 bytes of 0xff stands which run of
 * the pipeline the numbers belong to (8 bytes, struct catalog's `run`): a plan numbers its operators anew. */
#ifndef PENSTOCK_STORE_ERROR_STORE_H
#define PENSTOCK_STORE_ERROR_STORE_H

#include "base/buf.h"
#include "store/catalog.h"
#include "store/store.h"

#define ERROR_KEY_BYTES 12

/* ---- the writer: a shard's thread, inside its transaction ---- */
/* Opens the database, empties it, and says which run it is now of. */
NODISCARD struct err *error_store_begin(struct store_shard *sh, uint64_t run, store_db *out);
NODISCARD struct err *error_store_put(struct store_shard *sh, store_db db, uint32_t node, uint64_t number,
                                      int64_t weight, struct slice json);
NODISCARD struct err *error_store_del(struct store_shard *sh, store_db db, uint32_t node, uint64_t number);

/* ---- readers ---- */
struct error_summary {
    uint64_t rows;   /* by weight */
    uint64_t listed; /* by weight, of those in the JSON */
    bool known;      /* false: the pipeline is only starting, nothing is known yet */
};
/* The error rows of a view in the open snapshot (of all shards), at most catalog->error_rows of them, as a JSON array
 * into out. */
void error_store_read(struct store_snapshot *s, const struct catalog *c, const struct catalog_view *v,
                      struct buf *out, struct error_summary *summary);

#endif
