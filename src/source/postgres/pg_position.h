/* What a resume position of the postgres source holds, as bytes.
 *
 * Besides the LSN it says which server, history and tables it is about, so that a restart can tell whether going on
 * from it would miss anything. */
#ifndef PENSTOCK_SOURCE_POSTGRES_PG_POSITION_H
#define PENSTOCK_SOURCE_POSTGRES_PG_POSITION_H

#include "source/postgres/pgoutput.h"
#include "source/source.h"

#define PG_NAME_MAX            63 /* NAMEDATALEN - 1 */
#define PG_POSITION_TABLES_MAX 48 /* what fits in SOURCE_POSITION_MAX beside the longest slot name */

enum pg_phase { PG_PHASE_SNAPSHOT = 1, PG_PHASE_STREAMING = 2 };
/* A table by its identity. A column that was dropped and added again under its old name has a new number, so numbers
 * tell whether a snapshot held a column. */
struct pg_position_table {
    uint32_t relid;
    uint16_t attnum_max;  /* newest column the table had (listed) */
    uint16_t attnum_used; /* newest column that is read (compared, and what the hash is over) */
    /* Hashes; 0: not known. */
    uint32_t
        published; /* of how the table is published: its catalogue rows, so that a change and back shows too */
    uint32_t columns; /* of the catalogue rows of the columns that are read */
    uint32_t
        file; /* of the table's file: another one after a rewrite, but also after TRUNCATE or VACUUM FULL */
};
struct pg_position {
    enum pg_phase phase;
    char slot[PG_NAME_MAX + 1];
    uint64_t system_identifier;
    uint32_t timeline;
    pg_lsn lsn; /* everything that committed before it has been taken */
    /* The tables taken, in ascending relid order; when they are too many to list, only their hash. */
    bool listed;
    uint32_t table_count;
    struct pg_position_table tables[PG_POSITION_TABLES_MAX];
    uint64_t tables_hash;
    uint64_t columns_hash, file_hash; /* of those fields of all tables, when they are not listed */
};
size_t pg_position_encode(const struct pg_position *p, uint8_t out[SOURCE_POSITION_MAX]);
NODISCARD bool pg_position_decode(const void *bytes, size_t len, struct pg_position *out);
/* Records `tables` (sorted here) in p. */
void pg_position_set_tables(struct pg_position *p, struct pg_position_table *tables, uint32_t count);
/* What the stream since p lacks of `tables` (sorted here) as they are now, as a constant text: a table or column that the
 * snapshot did not hold, changes while they were published in another way, or values that a rewrite changed (rewrites are not
 * replicated). NULL: nothing. */
const char *pg_position_gap(const struct pg_position *p, struct pg_position_table *tables, uint32_t count);
/* Whether a table's values were changed by a rewrite between `then` and `now`. */
bool pg_position_rewritten(const struct pg_position_table *then, const struct pg_position_table *now);

#endif
