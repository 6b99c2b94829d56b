/* Rows of a table that the source delivered and that cannot be read: the writer of store/quarantine.h's list, and the rows'
 * place among the error rows of the table's operator, so that every view that reads the table is incomplete by them.
 *
 * Of a row whose key can be read, either the mirror has it or the list, never both. It leaves the list when a change of its
 * key can be read, or deletes it. Everything here belongs to the shard's thread. */
#ifndef PENSTOCK_OPS_OP_QUARANTINE_H
#define PENSTOCK_OPS_OP_QUARANTINE_H

#include "ops/op_errors.h"
#include "store/quarantine.h"

#define QUARANTINE_LOG_US \
    10000000 /* least time between two lines in the log about one table, in each shard */

struct quarantine {
    struct op *op;
    const struct table_def *table;
    bool is_open; /* there is a store */
    store_db db;
    struct quarantine_sum sum;
    bool sum_changed;
    int64_t told_us;
    /* The row at hand: */
    struct key_column *key_columns; /* of tables with a key */
    uint8_t key[QUARANTINE_KEY_BYTES];
    uint64_t home;
    bool is_held;                  /* the list has it: */
    struct buf held;               /* its bytes, */
    struct quarantine_entry entry; /* of held, */
    struct batch *known;           /* and row 0: what is known of it, VAL_UNCHANGED for what is not */
    struct buf key_bytes, known_bits, row, value, raw;
};

NODISCARD struct err *quarantine_open(struct quarantine *q, struct op *op, const struct table_def *t);
void quarantine_fini(struct quarantine *q);
static inline bool quarantine_any(const struct quarantine *q)
{
    return UNLIKELY(q->sum.entries > 0);
}

/* All of these return false after graph_fail. */

/* Makes row r of b, by its key, the row at hand; q->is_held then tells whether the list has it. */
NODISCARD bool quarantine_find(struct quarantine *q, const struct batch *b, uint32_t r);
/* Likewise by the identity that the source gives. */
NODISCARD bool quarantine_find_raw(struct quarantine *q, const uint8_t identity[QUARANTINE_ID_BYTES]);
/* Keeps what is known of row r of b (states VAL_OK and VAL_NULL) for quarantine_hold; before the values go. */
void quarantine_note_row(struct quarantine *q, const struct batch *b, uint32_t r);
void quarantine_note_nothing(struct quarantine *q);
/* Row r of b as fields, where nobody has its raw bytes: e's raw, in q->raw. */
void quarantine_print_row(struct quarantine *q, const struct batch *b, uint32_t r,
                          struct quarantine_entry *e);
/* The row at hand is on the list from now on, with what was noted of it; why is the cause's. rows: +1 another equal row. */
bool quarantine_hold(struct quarantine *q, const struct quarantine_entry *why);
/* One such row is gone from it, if it is there at all. */
bool quarantine_release(struct quarantine *q);
/* The table is empty. */
NODISCARD bool quarantine_clear(struct quarantine *q);
/* In the first epoch of a run: the list's rows become error rows. */
NODISCARD bool quarantine_replay(struct quarantine *q);
/* An operator has seen them: the entry of the key, or (key NULL) all that were last delivered by `until_us`. *rows: + how many. */
bool quarantine_forget(struct quarantine *q, const uint8_t *key, int64_t until_us, uint64_t *rows);
/* At the end of an epoch. */
void quarantine_close(struct quarantine *q);

/* What crosses from the source's thread inside a batch, as the value of the row's first VAL_ERROR column: the identity (NULL:
 * the row's key is readable) and the cause. */
void quarantine_message_put(struct buf *b, const uint8_t *identity, const struct quarantine_entry *e);
NODISCARD bool quarantine_message_get(struct str message, bool *has_identity,
                                      uint8_t identity[QUARANTINE_ID_BYTES], struct quarantine_entry *out);

#endif
