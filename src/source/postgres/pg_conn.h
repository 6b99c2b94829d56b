/* Connections to the server: opened without ever hanging, with fixed session settings, and errors that say what to do. */
#ifndef PENSTOCK_SOURCE_POSTGRES_PG_CONN_H
#define PENSTOCK_SOURCE_POSTGRES_PG_CONN_H

#include "source/postgres/pg_conf.h"
#include <libpq-fe.h>

/* Called between waits; true ends them. NULL: never stops. */
struct pg_stop {
    bool (*wanted)(void *arg);
    void *arg;
};
/* As an error when a wait was ended by pg_stop; run() returns success then. */
bool pg_stop_wanted(const struct pg_stop *stop);

enum pg_conn_kind { PG_CONN_SQL, PG_CONN_REPLICATION };
/* Opens within timeout_ms and applies the session settings. *out must be ended with PQfinish. */
NODISCARD struct err *pg_connect(const struct pg_conf *conf, enum pg_conn_kind kind, int timeout_ms,
                                 const struct pg_stop *stop, PGconn **out);
/* Waits for the socket at most timeout_ms; false when it is neither readable nor (if asked) writable by then. */
bool pg_wait(const PGconn *conn, bool for_write, int timeout_ms);

/* Runs SQL; the result has the status wanted (PGRES_TUPLES_OK, ...) or an error is returned that names `what`.
 * Ended early when stop says so. */
NODISCARD struct err *pg_exec(const struct pg_conf *conf, PGconn *conn, const struct pg_stop *stop,
                              const char *what, ExecStatusType wanted, const char *sql, int param_count,
                              const char *const *params, PGresult **out);
/* For statements without a result of interest. */
NODISCARD struct err *pg_do(const struct pg_conf *conf, PGconn *conn, const struct pg_stop *stop,
                            const char *what, const char *sql);
/* What the server or libpq said last, classified by SQLSTATE, with the remedy as hint. `result` may be NULL. */
/* What a server says, as one line (malloc'ed) of printable characters, without the source's secrets: a server may well quote
 * what it was sent. */
char *pg_clean(const struct pg_conf *conf, const char *said);
/* libpq's notice processor, for what a server says unasked: to the debug log. conf: struct pg_conf. */
void pg_notice(void *conf, const char *said);
NODISCARD struct err *pg_error(const struct pg_conf *conf, const PGconn *conn, const PGresult *result,
                               const char *what);
/* The SQLSTATE behind an error made by pg_error from `result`; "" if none. */
const char *pg_sqlstate(const PGresult *result);

/* "name" and 'literal', in arena. */
const char *pg_quote_ident(struct arena *arena, const char *name);
const char *pg_quote_literal(struct arena *arena, const char *text);
/* "schema"."name" */
const char *pg_quote_table(struct arena *arena, const char *schema, const char *name);
/* A text[] literal of the names, for = ANY($1). */
const char *pg_text_array(struct arena *arena, const char *const *names, uint32_t count);

#endif
