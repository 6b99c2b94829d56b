/* The lists of error rows in the store: the rows that views leave out because an expression fails for them.
 *
 * Database "errors" of each shard. Keys are the operator's number in the plan (4 bytes big-endian) and a number in order of
 * arrival (8 bytes big-endian); values a varint weight and a JSON object that describes the row. Under number 0 stands the
 * weight of all the operator's error rows, listed or not, alone. Under the key of 4 bytes of 0xff stands which run of
 * the pipeline the numbers belong to (8 bytes, struct catalog's `run`): a plan numbers its operators anew. It is written
 * with the epoch that has rebuilt state, and until then nothing is known.
 *
 * Database "incomplete" of each shard: how many rows (8 bytes big-endian) the view of a slot (4 bytes big-endian) lacks.
 * It outlives restarts, so that a view is known to be incomplete before its state is rebuilt. */
#ifndef PENSTOCK_STORE_ERROR_STORE_H
#define PENSTOCK_STORE_ERROR_STORE_H

#include "base/buf.h"
#include "store/catalog.h"
#include "store/store.h"

#define ERROR_KEY_BYTES 12

/* ---- the writer: a shard's thread, inside its transaction ---- */
struct error_dbs {
    store_db lists, totals;
};
/* Opens the databases and empties the lists. */
NODISCARD struct err *error_store_begin(struct store_shard *sh, struct error_dbs *out);
/* The lists are now whole, and those of this run. */
NODISCARD struct err *error_store_complete(struct store_shard *sh, store_db lists, uint64_t run);
/* How many rows the view of the slot lacks on this shard. */
NODISCARD struct err *error_store_set_total(struct store_shard *sh, store_db totals, uint32_t slot,
                                            uint64_t rows);
NODISCARD struct err *error_store_put(struct store_shard *sh, store_db db, uint32_t node, uint64_t number,
                                      int64_t weight, struct slice json);
NODISCARD struct err *error_store_del(struct store_shard *sh, store_db db, uint32_t node, uint64_t number);

/* What views lack by the stored totals, into the gate, before the first transaction of a run. */
NODISCARD struct err *error_store_restore(struct store *s, struct gate *gate);

/* ---- readers ---- */
struct error_summary {
    uint64_t rows;   /* by weight */
    uint64_t listed; /* by weight, of those in the JSON */
    bool known;      /* false: state or the view is being built, nothing is known yet */
};
/* The error rows of a view in the open snapshot (of all shards), at most catalog->error_rows of them, as a JSON array
 * into out. whole: the view is not being built, as the gate said before the snapshot was taken. */
void error_store_read(struct store_snapshot *s, const struct catalog *c, const struct catalog_view *v,
                      bool whole, struct buf *out, struct error_summary *summary);
/* "known":..,"incomplete":..,"rows":..,"listed":.. of a JSON object; null is what is not known. */
void error_summary_put(struct buf *out, const struct error_summary *s);

#endif
