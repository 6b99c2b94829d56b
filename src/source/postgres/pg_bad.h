/* Values that cannot be read, and the rows that have them: what becomes of a row is decided here, for COPY and the stream
 * alike.
 *
 * Such a row goes to its table's list (store/quarantine.h) in the place that it has among the changes. Its identity there is its
 * key; of a key that cannot be read, and of tables without a key, the bytes of the key or of the whole row, which PostgreSQL prints
 * the same whenever the row comes again. */
#ifndef PENSTOCK_SOURCE_POSTGRES_PG_BAD_H
#define PENSTOCK_SOURCE_POSTGRES_PG_BAD_H

#include "source/postgres/pg_run.h"

/* Reads values; one per thread that does. */
struct pg_reader {
    const struct pg_run *run;
    struct fn_ctx ctx; /* the arena is the caller's */
    /* The last label of an enum that the server does not know either, so that it is asked once: */
    const struct pg_column *asked;
    uint64_t asked_hash;
};
/* Why a row cannot be read: its first value that cannot. */
struct pg_bad {
    uint32_t column; /* UINT32_MAX: every value can be read */
    char sqlstate[6];
    char message[168];
};

/* One value as the server printed it: *state is VAL_OK, or VAL_ERROR with *bad set unless it was already. An error (ERR_STATE,
 * names table and column) where the table is to stop then; ERR_RESTART: see pg_enum.c. */
NODISCARD struct err *pg_value_read(struct pg_reader *r, const struct pg_table *t, uint32_t column,
                                    const char *text, size_t len, union val *out, uint8_t *state,
                                    struct pg_bad *bad);

/* A row as it was delivered and as far as it was read. */
struct pg_bad_row {
    const struct pg_table *table;
    const union val *vals;
    const uint8_t *states;          /* per column */
    const struct pgo_field *fields; /* per column; kind 0: not asked for */
    const struct pg_bad *bad;
};
/* Whether the columns of the key could be read; tables without a key have none that can be. */
bool pg_bad_key_reads(const struct pg_table *t, const uint8_t *states);
/* op as in struct quarantine_entry. position: in the source's log. ERR_STATE: the table has more of them than it may. */
NODISCARD struct err *pg_bad_send(const struct pg_run *run, struct sink_lane *lane,
                                  const struct pg_bad_row *row, char op, const char *position);
/* A row that was sent so, by its bytes, is gone. Only where pg_bad_key_reads is false. */
NODISCARD struct err *pg_bad_gone(struct sink_lane *lane, const struct pg_table *t,
                                  const struct pgo_field *fields);

/* Texts are not checked by a server whose database has the encoding SQL_ASCII: it sends them as they are, and pg_value_read
 * looks whether they are UTF-8. Before data is asked for through the connection. */
NODISCARD struct err *pg_data_encoding(const struct pg_run *run, PGconn *conn, const struct pg_stop *stop);
bool pg_data_unchecked(const PGconn *conn);

#endif
