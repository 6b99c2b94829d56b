/* How a view lies in a shard's environment, and the one writer of it.
 *
 * Databases, N being the view's index in the catalog (decimal):
 *   "v:N"    rows.       key: key codec of the key columns (ASC NULLS LAST each; keyless: of all columns), shortened
 *                        by key_shorten when long.  value: varint multiplicity (1 for keyed views), then the row codec of all columns.
 *   "i:N:K"  index K.    key: key codec of its columns (with DESC / NULLS FIRST as declared), shortened to at most
 *                        KEY_STORED_MAX/2 bytes when long, then the stored row key; the whole shortened
 *                        again to KEY_STORED_MAX if needed.  value: the stored row key.
 *   "l:N"    change log. key: epoch (8 bytes big-endian), sequence within epoch and shard (4 bytes big-endian).
 *                        value: 1 byte op ('i','u','d'), varint length of old row, old row, varint length of new
 *                        row, new row (row codec; absent side has length 0). Keyless views: 'i'/'d' per copy count
 *                        with the multiplicity as varint before the rows (1 for keyed): op, multiplicity, old
 *                        length, old row, new length, new row.
 *   "meta"               key "log:N": 8 bytes big-endian: epochs <= this are no longer complete in the log (trimmed).
 *                        Absent: complete from the beginning.  key "rows:N" (keyless): sum of multiplicities.
 * A row lives on shard hash_shard(hash_bytes(unshortened key encoding), shard_count). */
#ifndef PENSTOCK_STORE_VIEW_STORE_H
#define PENSTOCK_STORE_VIEW_STORE_H

#include "data/key.h"
#include "data/row.h"
#include "store/catalog.h"
#include "store/store.h"

struct view_writer; /* one per (shard, view); owner thread */
/* Opens the view's databases (making them: between epochs or inside one). v is borrowed until view_writer_close.
 * The log keeps about log_rows entries (0: no log at all, < 0: no limit) of about the last log_us microseconds (<= 0:
 * no limit), in this shard. */
NODISCARD struct err *view_writer_open(struct store_shard *sh, const struct catalog_view *v, int64_t log_rows,
                                       int64_t log_us, struct view_writer **out);
void view_writer_close(struct view_writer *w);
/* Off between epochs while nobody can follow the view (it is being built): changes are then not logged, and the log says
 * that it is not complete up to those epochs. */
void view_writer_log(struct view_writer *w, bool on);
/* Drop all stored rows, indexes and log of the view in this shard (before a rebuild). */
NODISCARD struct err *view_writer_clear(struct view_writer *w);
/* One net change, inside the epoch's transaction. Keyed: weight_delta is ignored; old_row absent = insert,
 * new_row absent = delete, both = update (their keys are equal). `key` is the unshortened key encoding.
 * The stored row is compared with old_row; a mismatch is ERR_INTERNAL (it would be a lost or doubled change).
 * Keyless: new_row is the row, weight_delta what to add to its multiplicity (never below 0: ERR_INTERNAL). */
NODISCARD struct err *view_writer_apply(struct view_writer *w, uint64_t epoch, struct slice key,
                                        const struct slice *old_row, const struct slice *new_row,
                                        int64_t weight_delta);
/* At the end of every epoch: trims the log within bounded work. */
NODISCARD struct err *view_writer_end_epoch(struct view_writer *w, uint64_t epoch, int64_t now_us);
uint64_t view_writer_rows(const struct view_writer *w);
uint64_t view_writer_bytes(const struct view_writer *w); /* in the store: rows, indexes and change log */

/* Reading helpers shared by serve and tools. */
/* Appends the key that a row has in index `index`: of its values, and of the key that it is stored under. */
void view_index_key(struct buf *b, const struct catalog_view *v, uint32_t index, const union val *vals,
                    const uint8_t *states, struct slice row_key);
bool view_row_parse(struct slice value, uint64_t *multiplicity, struct slice *row);
struct view_change {
    uint64_t epoch;
    uint32_t sequence;
    char op; /* 'i' 'u' 'd' */
    uint64_t multiplicity;
    struct slice old_row, new_row; /* len 0: absent */
};
bool view_change_parse(struct slice key, struct slice value, struct view_change *out);

#endif
