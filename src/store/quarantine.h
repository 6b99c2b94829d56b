/* Rows that a source delivered and that cannot be read, in the store: one list per table and shard, database
 * "q:SOURCE.TABLE" beside the table's mirror, written in the epoch's own transaction. So it is exactly as current as the
 * mirror and the source's position, after whatever restart.
 *
 * Keys: a letter and 16 bytes of hash. 'k': of the row's key (the mirror's whole key encoding); as long as such an entry
 * stands, the mirror has no row of that key. 'r': of the bytes of a key that cannot be read, or of the whole row of a table
 * without a key. Values: see quarantine_put. Under the single byte '#' stand the sums of all entries (struct quarantine_sum).
 *
 * Every row has its entry, however many there are, since only so is known when it is whole again; the raw bytes and the
 * text are kept of so many entries as the limits below say. */
#ifndef PENSTOCK_STORE_QUARANTINE_H
#define PENSTOCK_STORE_QUARANTINE_H

#include "base/buf.h"
#include "data/table.h"
#include "store/store.h"

#define QUARANTINE_KEY_BYTES  17
#define QUARANTINE_ID_BYTES   16
#define QUARANTINE_ID_TEXT    34   /* "k" and 32 hexadecimal digits, and the NUL */
#define QUARANTINE_RAW_BYTES  4096 /* of a row's raw bytes; they are cut */
#define QUARANTINE_FULL_ROWS  1000 /* entries of a table and shard that keep raw bytes */
#define QUARANTINE_LIST_ROWS  1000 /* entries that a list shows */
#define QUARANTINE_TEXT_BYTES 400  /* of a message */

enum quarantine_field_kind { QUARANTINE_TEXT = 't', QUARANTINE_NULL = 'n', QUARANTINE_UNCHANGED = 'u' };

struct quarantine_entry {
    char op;             /* 'i' insert, 'u' update, 'd' delete, 's' snapshot */
    uint64_t home;       /* hash that its shard is chosen by */
    uint64_t rows;       /* equal rows; 1 in tables with a key */
    int64_t first_us;    /* Unix: when the row came to be unreadable, */
    int64_t last_us;     /* and when it was last delivered */
    struct str position; /* in the source: "16/B3748#2", change 2 of the transaction that ends there */
    struct str sqlstate, message, column; /* column: "" when it is about none in particular */
    uint64_t raw_bytes;                   /* as delivered, before it was cut */
    uint8_t raw_hash[16];                 /* of all of them */
    struct str raw;                       /* its fields, see quarantine_raw_next; "": not kept */
    /* What could be read of it, to complete it with: a bit per column (1: known), and the row with NULL for the others.
     * "" both: nothing. */
    struct str known, row;
};
/* Appends the entry. */
void quarantine_put(struct buf *b, const struct quarantine_entry *e);
/* Borrows from p. False when malformed. */
NODISCARD bool quarantine_get(struct slice value, struct quarantine_entry *out);

/* One field of a row as it was delivered. */
struct quarantine_field {
    struct str name; /* of the column */
    char kind;       /* enum quarantine_field_kind */
    struct str text; /* cut to what is kept */
    uint64_t bytes;  /* of the whole text */
};
/* Adds f, whose text is whole, to *raw, of which QUARANTINE_RAW_BYTES are kept; *bytes counts all of the texts. */
void quarantine_raw_put(struct buf *raw, uint64_t *bytes, const struct quarantine_field *f);
/* The next one; *at starts as 0. False at the end, or when malformed. */
NODISCARD bool quarantine_raw_next(struct str raw, size_t *at, struct quarantine_field *out);

static inline bool quarantine_knows(const struct quarantine_entry *e, uint32_t column)
{
    return column / 8 < e->known.len && (e->known.p[column / 8] >> (column % 8) & 1);
}

struct quarantine_sum {
    uint64_t rows; /* by weight */
    uint64_t entries;
    uint64_t full; /* entries that keep raw bytes */
};
char *quarantine_db_name(const char *source, const char *table); /* malloc'ed */
bool quarantine_is_sum(struct slice key);
void quarantine_key(uint8_t key[QUARANTINE_KEY_BYTES], char letter, const void *identity, size_t len);
/* "k0f3a..." of a key, and back; false: not of that form. */
void quarantine_id_text(const uint8_t key[QUARANTINE_KEY_BYTES], char out[QUARANTINE_ID_TEXT]);
NODISCARD bool quarantine_id_parse(const char *text, uint8_t key[QUARANTINE_KEY_BYTES]);

/* The writer, inside its transaction: the sums as stored, counted anew where there are none. */
NODISCARD struct err *quarantine_sum_load(struct store_shard *sh, store_db db, struct quarantine_sum *out);
NODISCARD struct err *quarantine_sum_store(struct store_shard *sh, store_db db,
                                           const struct quarantine_sum *sum);
bool quarantine_sum_get(struct slice value, struct quarantine_sum *out);
void quarantine_sum_add(struct quarantine_sum *sum, const struct quarantine_entry *e, int sign);

/* Readers: the sum of all shards, and whether the table has a list at all. */
bool quarantine_read_sum(struct store_snapshot *s, uint32_t shard_count, const char *source,
                         const char *table, struct quarantine_sum *out);
/* Entries of all shards as a JSON array, newest first, at most QUARANTINE_LIST_ROWS of them; returns the number of rows
 * that they stand for. */
uint64_t quarantine_read_list(struct store_snapshot *s, uint32_t shard_count, const char *source,
                              const char *table, struct buf *out);

#endif
