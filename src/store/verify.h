/* Checking everything that a store says about itself, from a snapshot that is held still: nothing is trusted, nothing is
 * written. What is found wrong is told fault by fault; an error is returned only when the check itself cannot go on.
 *
 * In this order, each part only when the ones before found nothing that makes it senseless:
 *   marker   DATA/checkpoint can be read
 *   pages    LMDB's trees (mdb_pages.h)
 *   epoch    all shards are of one epoch, not below the checkpoint's
 *   mirror   rows decode, stand under their key, on their shard
 *   row      a view's rows likewise
 *   index    each row has its entry in each index, each entry its row; and as many of them
 *   log      entries parse and ascend without a gap; the newest of each row agrees with the row
 *   count    what the meta database counts
 *   errors   the lists of error rows parse, and do not exceed their totals
 *   quarantine  lists of rows that cannot be read: entries parse, stand on their shard and under their key, beside no row of
 *            the mirror with that key, and their sums agree
 * That views are what their SQL gives is for the caller, which can run the operators (cli/verify_views.h): "view".
 *
 * Not checked, because nothing stored tells: a keyless view's rows' shards; entries of a log from before it was complete. */
#ifndef PENSTOCK_STORE_VERIFY_H
#define PENSTOCK_STORE_VERIFY_H

#include "base/buf.h"
#include "data/table.h"
#include "store/catalog.h"
#include "store/still.h"

#define VERIFY_FAULTS_SHOWN 100 /* of one kind; further ones are only counted */

enum verify_kind {
    VERIFY_FILE, /* a backup's file and its checksum */
    VERIFY_MARKER,
    VERIFY_PAGES,
    VERIFY_EPOCH,
    VERIFY_MIRROR,
    VERIFY_ROW,
    VERIFY_INDEX,
    VERIFY_LOG,
    VERIFY_COUNT,
    VERIFY_ERRORS,
    VERIFY_QUARANTINE,
    VERIFY_VIEW,
    VERIFY_KINDS
};
const char *verify_kind_name(enum verify_kind k);

struct verify_fault {
    enum verify_kind kind;
    int shard;         /* -1: none in particular */
    const char *where; /* view, table, database or file; "" */
    const char *text;
    const char *key, *expected, *found; /* of VERIFY_VIEW; NULL: not there */
};
struct verify {
    void (*fault)(void *ctx, const struct verify_fault *f);
    /* Entries or pages looked at, of about so many; an error ends the check. May be NULL. */
    struct err *(*progress)(void *ctx, uint64_t done, uint64_t total);
    void *ctx;
    /* results */
    uint64_t faults[VERIFY_KINDS];
    uint64_t pages, lost_pages, rows, index_entries, log_entries, mirror_rows;
    /* the module's */
    uint64_t done, total;
    struct err *stopped;
};

void verify_fault(struct verify *v, enum verify_kind kind, int shard, const char *where, const char *fmt, ...)
    PRINTF_LIKE(5, 6);
/* A view's row that is not what its SQL gives: key, expected and found as JSON, NULL for no row. */
void verify_view_fault(struct verify *v, const char *view, const char *key, const char *expected,
                       const char *found);
uint64_t verify_faults(const struct verify *v); /* of all kinds */
/* So many more were looked at; the error to end with, or NULL. */
NODISCARD struct err *verify_tick(struct verify *v, uint64_t more);

/* Marker, pages and epoch of a store that nobody has open; *out is open when *sound. lock_fd: of store_still_lock, which it
 * takes, also on error; -1 for a backup. */
NODISCARD struct err *verify_open_still(struct verify *v, const char *dir, int lock_fd, bool fresh_boot,
                                        struct store_still *out, bool *sound);
/* The pages of a snapshot that is open already. */
NODISCARD struct err *verify_pages(struct verify *v, const char *dir, struct store_still *s);

/* Everything from `mirror` to `errors`. tables: those that the mirrors were written with, to be checked against; a
 * mirror of another table is left out. */
NODISCARD struct err *verify_content(struct verify *v, struct store_still *s, const struct catalog *c,
                                     const struct table_def *const *tables, uint32_t table_count);

/* Row values of these columns as JSON, values cut after 200 bytes, for messages. columns NULL: all. */
void verify_row_text(struct buf *out, const struct schema *schema, const union val *vals,
                     const uint8_t *states, const uint32_t *columns, uint32_t count);
/* Whether the view's rows are stored (a view that nothing published needs has none). */
bool verify_view_stored(struct store_still *s, const struct catalog_view *v);

#endif
