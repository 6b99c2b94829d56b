/* What a resume position of the postgres source holds, as bytes.
 *
 * Besides the LSN it says which server, history and tables it is about, so that a restart can tell whether going on
 * from it would miss anything. */
#ifndef PENSTOCK_SOURCE_POSTGRES_PG_POSITION_H
#define PENSTOCK_SOURCE_POSTGRES_PG_POSITION_H

#include "source/postgres/pgoutput.h"
#include "source/source.h"

#define PG_NAME_MAX            63 /* NAMEDATALEN - 1 */
#define PG_POSITION_TABLES_MAX 26 /* what fits in SOURCE_POSITION_MAX beside the longest slot name */

enum pg_phase { PG_PHASE_SNAPSHOT = 1, PG_PHASE_STREAMING = 2 };
/* A table by its identity. A column that was dropped and added again under its old name has a new number, so numbers
 * tell whether a snapshot held a column. */
struct pg_position_table {
    uint32_t relid;
    uint16_t attnum_max;  /* newest column the table had (listed) */
    uint16_t attnum_used; /* newest column that is read (compared, and what the hash is over) */
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
};
size_t pg_position_encode(const struct pg_position *p, uint8_t out[SOURCE_POSITION_MAX]);
NODISCARD bool pg_position_decode(const void *bytes, size_t len, struct pg_position *out);
/* Records `tables` (sorted here) in p. */
void pg_position_set_tables(struct pg_position *p, struct pg_position_table *tables, uint32_t count);
/* Whether all of `tables` were taken by the snapshot behind p, with all columns up to their attnum_used. */
bool pg_position_covers(const struct pg_position *p, struct pg_position_table *tables, uint32_t count);

#endif
