/* What the server and libpq say, made into errors that name the remedy.
 *
 * Classified by SQLSTATE where there is one (texts depend on the server's language), else by libpq's English texts. */
#include "source/postgres/pg_conn.h"
#include "base/buf.h"
#include "base/log.h"
#include <stdlib.h>
#include <string.h>

struct remedy {
    const char *sqlstate; /* NULL: any */
    const char *text;     /* must occur in the message; NULL: any */
    enum err_code code;
    const char *hint; /* {user}, {database}, {source}, {slot} are put in */
};

#define HBA_HINT_PLAIN                                                                                      \
    "the server takes no connection without TLS from here: use sslmode=require, or better verify-full, in " \
    "url:; or add to pg_hba.conf on the server, then reload it (SELECT pg_reload_conf()): hostssl "         \
    "{database} {user} ADDRESS/32 scram-sha-256"
#define SLOT_LOST_HINT                                                                                       \
    "the server no longer has the log that the slot {slot} needs: a new snapshot is taken; to keep more of " \
    "it run on the server: ALTER SYSTEM SET max_slot_wal_keep_size = '...'; SELECT pg_reload_conf()"
#define POOLER_HINT                                                                                    \
    "replication does not go through a connection pooler: name the database server itself in url: of " \
    "source {source}"
#define STANDBY_HINT                                                                                        \
    "none of the hosts in url: is a primary now: check them (SELECT pg_is_in_recovery()), or promote one: " \
    "SELECT pg_promote()"

static const struct remedy remedies[] = {
    {"28P01", NULL, ERR_AUTH,
     "check password: and the user in url: of source {source} in penstock.yaml, or run on the server: ALTER "
     "ROLE "
     "\"{user}\" LOGIN REPLICATION PASSWORD '...'"},
    /* The server was reached without TLS, and its rules may well ask for it. */
    {"28000", "no encryption", ERR_AUTH, HBA_HINT_PLAIN},
    {"28000", "SSL off", ERR_AUTH, HBA_HINT_PLAIN},
    {"28000", "pg_hba.conf", ERR_AUTH,
     "add to pg_hba.conf on the server, then reload it (SELECT pg_reload_conf()): hostssl {database} {user} "
     "ADDRESS/32 "
     "scram-sha-256"},
    {"28000", "not permitted to log in", ERR_AUTH, "run on the server: ALTER ROLE \"{user}\" LOGIN"},
    {"28000", NULL, ERR_AUTH,
     "create the user on the server: CREATE ROLE \"{user}\" LOGIN REPLICATION PASSWORD '...'"},
    {"3D000", NULL, ERR_SOURCE,
     "name an existing database at the end of url: of source {source} (SELECT datname FROM pg_database), or "
     "run on "
     "the server: CREATE DATABASE \"{database}\""},
    {"42501", "row-level security", ERR_AUTH,
     "its policies would hide rows from the snapshot, but not from the stream: run on the server: ALTER ROLE "
     "\"{user}\" BYPASSRLS"},
    {"42501", "permission denied for database", ERR_AUTH,
     "run on the server: GRANT CONNECT ON DATABASE \"{database}\" TO \"{user}\""},
    {"42501", "permission denied for", ERR_AUTH,
     "run on the server: GRANT USAGE ON SCHEMA ... TO \"{user}\"; GRANT SELECT ON ... TO \"{user}\""},
    {"42501", "replication", ERR_AUTH, "run on the server: ALTER ROLE \"{user}\" REPLICATION"},
    {"42501", "WAL sender", ERR_AUTH, "run on the server: ALTER ROLE \"{user}\" REPLICATION"},
    {"42501", "walsender", ERR_AUTH, "run on the server: ALTER ROLE \"{user}\" REPLICATION"},
    {"53300", "max_wal_senders", ERR_SOURCE,
     "run on the server: ALTER SYSTEM SET max_wal_senders = NUMBER, then restart it; or end a replication "
     "connection "
     "that is not needed (SELECT * FROM pg_stat_replication; SELECT pg_terminate_backend(PID))"},
    {"53300", "too many connections for role", ERR_SOURCE,
     "run on the server: ALTER ROLE \"{user}\" CONNECTION LIMIT -1, or lower snapshot_connections of source "
     "{source}"},
    {"53300", "too many connections for database", ERR_SOURCE,
     "run on the server: ALTER DATABASE \"{database}\" CONNECTION LIMIT -1, or lower snapshot_connections of "
     "source "
     "{source}"},
    {"53300", NULL, ERR_SOURCE,
     "run on the server: ALTER SYSTEM SET max_connections = NUMBER, then restart it; or lower "
     "snapshot_connections of "
     "source {source}"},
    {"55000", "wal_level", ERR_SOURCE,
     "run on the server: ALTER SYSTEM SET wal_level = 'logical', then restart PostgreSQL"},
    {"53400", NULL, ERR_SOURCE,
     "run on the server: ALTER SYSTEM SET max_replication_slots = NUMBER, then restart it; or drop a slot "
     "that is not "
     "needed: SELECT slot_name, active FROM pg_replication_slots; SELECT pg_drop_replication_slot('NAME')"},
    {"55006", NULL, ERR_SOURCE,
     "another process reads this slot: stop it, or give source {source} a slot of its own with slot: NAME; "
     "if it is a "
     "leftover, run on the server: SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE "
     "slot_name "
     "= '{slot}'"},
    {"55000", "replication slot", ERR_SOURCE, SLOT_LOST_HINT},
    {"58P01", "has already been removed", ERR_SOURCE, SLOT_LOST_HINT},
    {"57P03", NULL, ERR_SOURCE,
     "nothing to do while it starts, stops or recovers: it is tried again; if it stays so, read the server's "
     "log"},
    {"57P01", NULL, ERR_SOURCE, "the server ended the connection; it is tried again"},
    {"57P02", NULL, ERR_SOURCE,
     "the server crashed; it is tried again once it is back: read the server's log"},
    /* A pooler speaks for the server, but not the replication protocol. */
    {NULL, "unsupported startup parameter: replication", ERR_SOURCE, POOLER_HINT},
    {"08P01", "replication", ERR_SOURCE, POOLER_HINT},
    {NULL, "no password supplied", ERR_AUTH,
     "set password: of source {source} in penstock.yaml, e.g. ${PASSWORD}"},
    {NULL, "does not match host name", ERR_AUTH,
     "the server's certificate is for another name: use that name as host in url:, or have a certificate "
     "made for this "
     "one (subjectAltName)"},
    {NULL, "certificate verif", ERR_AUTH,
     "name the CA that signed the server's certificate with sslrootcert=FILE in url: (or "
     "sslrootcert=system)"},
    {NULL, "root certificate file", ERR_AUTH,
     "name the CA file with sslrootcert=FILE in url:, or sslrootcert=system for the system's, or "
     "sslmode=require to "
     "encrypt without checking who answers"},
    {NULL, "does not support SSL", ERR_SOURCE,
     "switch TLS on at the server (ALTER SYSTEM SET ssl = on; SELECT pg_reload_conf()), or use "
     "sslmode=disable on a "
     "network you trust"},
    {NULL, "session is read-only", ERR_SOURCE, STANDBY_HINT},
    {NULL, "session is not read-only", ERR_SOURCE, STANDBY_HINT},
    {NULL, "server is in hot standby mode", ERR_SOURCE, STANDBY_HINT},
    {NULL, "server is not in hot standby mode", ERR_SOURCE, STANDBY_HINT},
    {NULL, "Connection refused", ERR_SOURCE,
     "check host and port in url:, and listen_addresses on the server: ALTER SYSTEM SET listen_addresses = "
     "'*', then "
     "restart it"},
    {NULL, "could not translate host name", ERR_SOURCE, "check the host in url:, and name resolution here"},
};

const char *pg_sqlstate(const PGresult *result)
{
    const char *state = result ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
    return state ? state : "";
}

/* While connecting there is no result: the verbose text reads "FATAL:  28P01: password ...\nLOCATION: ...". */
static void sqlstate_take(char *message, char state[6])
{
    state[0] = 0;
    for (char *c = strchr(message, ':'); c; c = strchr(c + 1, ':')) {
        const char *p = c + 1 + strspn(c + 1, " ");
        /* The severity before it ("FATAL", "PANIC") looks alike but for the digits. */
        if (strspn(p, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") != 5 || p[5] != ':' ||
            strcspn(p, "0123456789") > 4)
            continue;
        memcpy(state, p, 5);
        state[5] = 0;
        memmove(c + 2, p + 7, strlen(p + 7) + 1);
        break;
    }
    char *location = strstr(message, "\nLOCATION:");
    if (state[0] && location)
        *location = 0;
}

/* Shorter ones would stand in every text. */
#define SECRET_BYTES_MIN 3

/* Length of the longest secret that the text begins with; 0: with none. */
static size_t secret_at(const struct pg_conf *conf, const char *text)
{
    size_t longest = 0;
    for (size_t i = 0; i < PG_SECRETS; i++) {
        size_t len = conf->secrets[i] ? strlen(conf->secrets[i]) : 0;
        if (len >= SECRET_BYTES_MIN && len > longest && strncmp(text, conf->secrets[i], len) == 0)
            longest = len;
    }
    return longest;
}

char *pg_clean(const struct pg_conf *conf, const char *said)
{
    struct buf out = {0};
    while (*said) {
        size_t secret = secret_at(conf, said);
        bool blank = (unsigned char)*said <= ' ' || *said == 0x7f;
        if (secret)
            buf_put_str(&out, "***");
        else if (!blank)
            buf_put_u8(&out, (uint8_t)*said);
        else if (out.len && out.p[out.len - 1] != ' ')
            buf_put_u8(&out, ' ');
        said += secret ? secret : 1;
    }
    while (out.len && (out.p[out.len - 1] == ' ' || out.p[out.len - 1] == '.'))
        out.len--;
    char *line = xprintf("%.*s", (int)out.len, (const char *)out.p);
    buf_fini(&out);
    return line;
}

void pg_notice(void *conf, const char *said)
{
    char *line = pg_clean(conf, said);
    log_debug("source", "the server says", "source=%s text=\"%s\"",
              ((const struct pg_conf *)conf)->source_name, line);
    free(line);
}

static const struct remedy *remedy_find(const char *state, const char *message)
{
    for (size_t i = 0; i < ARRAY_COUNT(remedies); i++) {
        const struct remedy *r = &remedies[i];
        if ((!r->sqlstate || strcmp(r->sqlstate, state) == 0) && (!r->text || strstr(message, r->text)))
            return r;
    }
    return NULL;
}

static NODISCARD struct err *remedy_hint(struct err *e, const char *hint, const char *user,
                                         const char *database, const struct pg_conf *conf)
{
    const struct {
        const char *name, *value;
    } words[] = {{"{user}", user ? user : "USER"},
                 {"{database}", database ? database : "DATABASE"},
                 {"{source}", conf->source_name},
                 {"{slot}", conf->slot}};
    struct buf text = {0};
    while (*hint) {
        size_t i = 0;
        while (i < ARRAY_COUNT(words) && strncmp(hint, words[i].name, strlen(words[i].name)) != 0)
            i++;
        if (i < ARRAY_COUNT(words)) {
            buf_put_str(&text, words[i].value);
            hint += strlen(words[i].name);
        } else {
            buf_put_u8(&text, (uint8_t)*hint++);
        }
    }
    e = err_hint(e, "%.*s", (int)text.len, (const char *)text.p);
    buf_fini(&text);
    return e;
}

struct err *pg_error(const struct pg_conf *conf, const PGconn *conn, const PGresult *result, const char *what)
{
    char state[6];
    const char *said = result ? PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY) : NULL;
    bool from_result = said != NULL;
    char *raw = xstrdup(said ? said : PQerrorMessage(conn));
    if (from_result)
        snprintf(state, sizeof state, "%s", pg_sqlstate(result));
    else
        sqlstate_take(raw, state);
    char *message = pg_clean(conf, raw);
    free(raw);
    const struct remedy *r = remedy_find(state, message);
    struct err *e = err_new(r ? r->code : ERR_SOURCE, "%s: %s", what, *message ? message : "connection lost");
    const char *hint = from_result ? PQresultErrorField(result, PG_DIAG_MESSAGE_HINT) : NULL;
    if (r) {
        e = remedy_hint(e, r->hint, PQuser(conn), PQdb(conn), conf);
    } else if (hint) {
        char *line = pg_clean(conf, hint);
        e = err_hint(e, "%s", line);
        free(line);
    }
    free(message);
    return e;
}
