/* Connecting, and running statements, without blocking past a stop request. */
#include "source/postgres/pg_conn.h"
#include "base/clock.h"
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <time.h>

#define POLL_SLICE_MS 100 /* how soon a stop request is seen */

/* What every session needs whatever its role's or database's defaults are: texts must read the same everywhere, and
 * long snapshots must not be cut off. Settings that this server version lacks are passed over. */
static const char settings_sql[] =
    "SELECT pg_catalog.set_config(s.name, v.value, false), pg_catalog.version() FROM (VALUES"
    " ('search_path', 'pg_catalog'), ('TimeZone', 'UTC'), ('DateStyle', 'ISO, MDY'), ('IntervalStyle', "
    "'postgres'),"
    " ('bytea_output', 'hex'), ('extra_float_digits', '3'), ('client_encoding', 'UTF8'), "
    "('statement_timeout', '0'),"
    " ('lock_timeout', '0'), ('idle_in_transaction_session_timeout', '0'), ('idle_session_timeout', '0'),"
    " ('transaction_timeout', '0'), ('row_security', 'off'), ('default_transaction_read_only', 'off'),"
    " ('quote_all_identifiers', 'off'), ('xmloption', 'content')"
    ") v (name, value) JOIN pg_catalog.pg_settings s ON lower(s.name) = lower(v.name)";

bool pg_stop_wanted(const struct pg_stop *stop)
{
    return stop && stop->wanted && stop->wanted(stop->arg);
}

static int64_t now_ms(void)
{
    return steady_us() / 1000;
}

bool pg_wait(const PGconn *conn, bool for_write, int timeout_ms)
{
    struct pollfd pfd = {.fd = PQsocket(conn), .events = (short)(POLLIN | (for_write ? POLLOUT : 0))};
    if (pfd.fd < 0)
        return false;
    int n = poll(&pfd, 1, timeout_ms);
    return n > 0 || (n < 0 && errno == EINTR);
}

/* ---- opening ---- */

struct option {
    const char *keyword, *value;
};

/* The url's options (libpq expands `dbname` when it is an address), then ours for what it leaves open. */
static PGconn *start(const struct pg_conf *conf, enum pg_conn_kind kind, const char *application)
{
    const struct option defaults[] = {
        {"keepalives_idle", "30"},
        {"keepalives_interval", "10"},
        {"keepalives_count", "3"},
        {"tcp_user_timeout", "30000"},
        {"fallback_application_name", application},
    };
    const char *keywords[64], *values[64];
    int n = 0;
    keywords[n] = "dbname", values[n++] = conf->url;
    PQconninfoOption *given = PQconninfoParse(conf->url, NULL);
    for (size_t i = 0; i < ARRAY_COUNT(defaults); i++) {
        bool set = false;
        for (const PQconninfoOption *o = given; o && o->keyword; o++)
            set = set || (o->val && strcmp(o->keyword, defaults[i].keyword) == 0);
        if (!set)
            keywords[n] = defaults[i].keyword, values[n++] = defaults[i].value;
    }
    PQconninfoFree(given);
    if (conf->password)
        keywords[n] = "password", values[n++] = conf->password;
    if (kind == PG_CONN_REPLICATION)
        keywords[n] = "replication", values[n++] = "database";
    keywords[n] = "client_encoding", values[n++] = "UTF8";
    keywords[n] = NULL, values[n] = NULL;
    return PQconnectStartParams(keywords, values, 1);
}

static struct err *finish_connecting(const struct pg_conf *conf, PGconn *conn, int64_t deadline_ms,
                                     const struct pg_stop *stop)
{
    PostgresPollingStatusType wants = PGRES_POLLING_WRITING;
    while (wants != PGRES_POLLING_OK) {
        if (wants == PGRES_POLLING_FAILED)
            return pg_error(conf, conn, NULL, "cannot connect");
        if (pg_stop_wanted(stop))
            return err_new(ERR_SOURCE, "stopped while connecting");
        int64_t left = deadline_ms - now_ms();
        if (left <= 0)
            return err_hint(err_new(ERR_SOURCE, "cannot connect: no answer from %s in time",
                                    PQhost(conn) ? PQhost(conn) : "the server"),
                            "check host and port in url, and firewalls between here and there");
        struct pollfd pfd = {.fd = PQsocket(conn),
                             .events = wants == PGRES_POLLING_READING ? POLLIN : POLLOUT};
        if (poll(&pfd, 1, left < POLL_SLICE_MS ? (int)left : POLL_SLICE_MS) != 0)
            wants = PQconnectPoll(conn);
    }
    return NULL;
}

/* Others speak the protocol and name a version of PostgreSQL, but replicate in ways of their own or not at all. */
static struct err *server_judge(const struct pg_conf *conf, const PGresult *r)
{
    const char *version = PQntuples(r) > 0 && PQnfields(r) > 1 ? PQgetvalue(r, 0, 1) : "";
    static const char *const others[] = {"-YB-",       "Greenplum", "Redshift", "CockroachDB", "Materialize",
                                         "RisingWave", "openGauss", "QuestDB",  "CrateDB",     "Cloudberry"};
    bool known = strncmp(version, "PostgreSQL ", 11) == 0;
    for (size_t i = 0; i < ARRAY_COUNT(others); i++)
        known = known && !strstr(version, others[i]);
    if (known)
        return NULL;
    char *line = pg_clean(conf, version);
    struct err *e = err_new(ERR_UNSUPPORTED, "the server is not PostgreSQL but says: %.100s", line);
    free(line);
    return err_hint(
        e, "its logical replication is not PostgreSQL's; name a PostgreSQL server, 12 or newer, in url:");
}

struct err *pg_connect(const struct pg_conf *conf, enum pg_conn_kind kind, int timeout_ms,
                       const struct pg_stop *stop, PGconn **out)
{
    char application[96];
    snprintf(application, sizeof application, "penstock_%s", conf->source_name);
    PGconn *conn = start(conf, kind, application);
    if (!conn)
        PANIC("out of memory");
    /* Verbose errors carry the SQLSTATE, by which they are classified whatever the server's language. */
    PQsetErrorVerbosity(conn, PQERRORS_VERBOSE);
    PQsetNoticeProcessor(conn, pg_notice, (void *)conf); /* libpq's own writes to standard error */
    struct err *e = PQstatus(conn) == CONNECTION_BAD
                        ? pg_error(conf, conn, NULL, "cannot connect")
                        : finish_connecting(conf, conn, now_ms() + timeout_ms, stop);
    PQsetErrorVerbosity(conn, PQERRORS_DEFAULT);
    if (!e && PQserverVersion(conn) < 120000)
        e = err_hint(err_new(ERR_UNSUPPORTED, "the server is PostgreSQL %s; 12 or newer is needed",
                             PQparameterStatus(conn, "server_version")),
                     "upgrade the server, or follow a newer one that it is replicated to");
    if (!e && PQsetnonblocking(conn, 1) != 0)
        e = pg_error(conf, conn, NULL, "cannot set up the connection");
    PGresult *result = NULL;
    if (!e)
        e = pg_exec(conf, conn, stop, "cannot set up the session", PGRES_TUPLES_OK, settings_sql, 0, NULL,
                    &result);
    if (!e)
        e = server_judge(conf, result);
    PQclear(result);
    if (e) {
        PQfinish(conn);
        return e;
    }
    *out = conn;
    return NULL;
}

/* ---- statements ---- */

/* One result, waiting in slices. NULL with *stopped when a stop was asked for. */
static PGresult *next_result(PGconn *conn, const struct pg_stop *stop, bool *stopped)
{
    for (;;) {
        int unsent = PQflush(conn);
        if (unsent < 0 || !PQisBusy(conn))
            return PQgetResult(conn);
        if (pg_stop_wanted(stop)) {
            *stopped = true;
            return NULL;
        }
        if (pg_wait(conn, unsent > 0, POLL_SLICE_MS) && !PQconsumeInput(conn))
            return PQgetResult(conn);
    }
}

static bool is_last(ExecStatusType status)
{
    return status != PGRES_COPY_OUT && status != PGRES_COPY_BOTH && status != PGRES_COPY_IN;
}

struct err *pg_exec(const struct pg_conf *conf, PGconn *conn, const struct pg_stop *stop, const char *what,
                    ExecStatusType wanted, const char *sql, int param_count, const char *const *params,
                    PGresult **out)
{
    /* The replication protocol knows the simple query protocol only. */
    int sent = param_count ? PQsendQueryParams(conn, sql, param_count, NULL, params, NULL, NULL, 0)
                           : PQsendQuery(conn, sql);
    if (!sent)
        return pg_error(conf, conn, NULL, what);
    bool stopped = false;
    PGresult *first = next_result(conn, stop, &stopped);
    if (first && is_last(PQresultStatus(first))) {
        for (PGresult *rest; (rest = next_result(conn, stop, &stopped));)
            PQclear(rest);
    }
    if (stopped) {
        PQclear(first);
        return err_new(ERR_SOURCE, "%s: stopped", what);
    }
    if (PQresultStatus(first) != wanted) {
        struct err *e = pg_error(conf, conn, first, what);
        PQclear(first);
        return e;
    }
    *out = first;
    return NULL;
}

struct err *pg_do(const struct pg_conf *conf, PGconn *conn, const struct pg_stop *stop, const char *what,
                  const char *sql)
{
    PGresult *result = NULL;
    struct err *e = pg_exec(conf, conn, stop, what, PGRES_COMMAND_OK, sql, 0, NULL, &result);
    PQclear(result);
    return e;
}

/* ---- quoting (of names and texts that are valid UTF-8, as configuration and catalogue hold them) ---- */

static const char *quote_with(struct arena *arena, const char *text, char quote)
{
    char *out = arena_alloc(arena, 2 * strlen(text) + 4), *o = out;
    bool escape = quote == '\'' && strchr(text, '\\');
    if (escape)
        *o++ = 'E';
    *o++ = quote;
    for (; *text; text++) {
        if (*text == quote || (escape && *text == '\\'))
            *o++ = *text;
        *o++ = *text;
    }
    *o++ = quote;
    *o = 0;
    return out;
}

const char *pg_quote_ident(struct arena *arena, const char *name)
{
    return quote_with(arena, name, '"');
}

const char *pg_quote_literal(struct arena *arena, const char *text)
{
    return quote_with(arena, text, '\'');
}

const char *pg_quote_table(struct arena *arena, const char *schema, const char *name)
{
    return arena_printf(arena, "%s.%s", pg_quote_ident(arena, schema), pg_quote_ident(arena, name));
}

const char *pg_text_array(struct arena *arena, const char *const *names, uint32_t count)
{
    size_t room = 3;
    for (uint32_t i = 0; i < count; i++)
        room += 2 * strlen(names[i]) + 3;
    char *out = arena_alloc(arena, room), *o = out;
    *o++ = '{';
    for (uint32_t i = 0; i < count; i++) {
        if (i)
            *o++ = ',';
        *o++ = '"';
        for (const char *c = names[i]; *c; c++) {
            if (*c == '"' || *c == '\\')
                *o++ = '\\';
            *o++ = *c;
        }
        *o++ = '"';
    }
    *o++ = '}';
    *o = 0;
    return out;
}
