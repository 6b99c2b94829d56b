/* Values and rows that cannot be read; see pg_bad.h. */
#include "source/postgres/pg_bad.h"
#include "base/hash.h"
#include "base/text.h"
#include "source/postgres/pg_value.h"

/* ---- values ---- */

static struct err *value_error(const struct pg_table *t, uint32_t column, const char *why)
{
    return err_hint(
        err_new(ERR_STATE, "table %s: a value of column %s cannot be read: %s", t->rel->quoted,
                t->def->schema.columns[column].name, why),
        "mend the row at the source and apply the configuration again, or set on_error: quarantine "
        "to go on without such rows");
}

/* Of an enum: the server may have new labels, which a new start learns. */
static struct err *ask_server(struct pg_reader *r, const struct pg_table *t, uint32_t column,
                              const char *text, size_t len)
{
    const struct pg_column *c = t->columns[column];
    uint64_t hash = hash_bytes(text, len);
    if (!c || !c->enum_type || (r->asked == c && r->asked_hash == hash))
        return NULL;
    TRY(pg_enum_unknown(r->run, t, c));
    r->asked = c;
    r->asked_hash = hash;
    return NULL;
}

static bool read_value(struct pg_reader *r, struct type type, const char *text, size_t len, union val *out)
{
    if (r->run->unchecked && !utf8_valid((const uint8_t *)text, len))
        return fn_fail(&r->ctx, FN_BAD_CHARACTER, "invalid byte sequence for encoding \"UTF8\"");
    return pg_value_decode(&r->ctx, type, text, len, out);
}

struct err *pg_value_read(struct pg_reader *r, const struct pg_table *t, uint32_t column, const char *text,
                          size_t len, union val *out, uint8_t *state, struct pg_bad *bad)
{
    *state = VAL_OK;
    if (LIKELY(read_value(r, t->def->schema.columns[column].type, text, len, out)))
        return NULL;
    TRY(ask_server(r, t, column, text, len));
    if (t->stop_on_error)
        return value_error(t, column, r->ctx.error_text);
    *state = VAL_ERROR;
    if (bad->column != UINT32_MAX)
        return NULL;
    bad->column = column;
    snprintf(bad->sqlstate, sizeof bad->sqlstate, "%s", fn_error_sqlstate(r->ctx.error));
    text_fill(bad->message, sizeof bad->message, "%s", r->ctx.error_text);
    return NULL;
}

/* ---- rows ---- */

bool pg_bad_key_reads(const struct pg_table *t, const uint8_t *states)
{
    for (uint32_t k = 0; k < t->def->key_count; k++)
        if (states[t->def->key[k]] > VAL_NULL)
            return false;
    return t->def->key_count > 0;
}

static void put_field(struct buf *b, const struct pgo_field *f)
{
    buf_put_u8(b, f->kind);
    buf_put_varint(b, f->len);
    buf_put(b, f->p, f->len);
}

/* The bytes of the key, or of all of the row. */
static void make_identity(const struct pg_table *t, const struct pgo_field *fields,
                          uint8_t out[QUARANTINE_ID_BYTES])
{
    struct buf b = {0};
    uint32_t count = t->def->key_count ? t->def->key_count : t->def->schema.column_count;
    for (uint32_t i = 0; i < count; i++) {
        const struct pgo_field *f = &fields[t->def->key_count ? t->def->key[i] : i];
        if (f->kind)
            put_field(&b, f);
    }
    hash_bytes128(b.p, b.len, out);
    buf_fini(&b);
}

static struct str str_of(const char *text)
{
    return (struct str){(const uint8_t *)text, (uint32_t)strlen(text), 0};
}

static void put_raw(struct buf *raw, uint64_t *bytes, const struct pg_bad_row *row, uint32_t column)
{
    const struct pgo_field *f = &row->fields[column];
    struct quarantine_field field = {.name = str_of(row->table->def->schema.columns[column].name),
                                     .kind = (char)f->kind,
                                     .text = {f->p, f->len, 0}};
    if (f->kind)
        quarantine_raw_put(raw, bytes, &field);
}

/* The bad value first: what is kept of the row may be cut. */
static void make_raw(struct buf *raw, const struct pg_bad_row *row, struct quarantine_entry *e)
{
    struct buf all = {0};
    uint32_t count = row->table->def->schema.column_count;
    put_raw(raw, &e->raw_bytes, row, row->bad->column);
    for (uint32_t c = 0; c < count; c++) {
        if (c != row->bad->column)
            put_raw(raw, &e->raw_bytes, row, c);
        if (row->fields[c].kind)
            put_field(&all, &row->fields[c]);
    }
    hash_bytes128(all.p, all.len, e->raw_hash);
    buf_fini(&all);
}

static struct err *handed(bool accepted)
{
    return accepted ? NULL : pg_stopping();
}

/* What is known of the number is a few epochs old at most. */
static struct err *check_limit(const struct pg_run *run, const struct pg_bad_row *row)
{
    const struct pg_table *t = row->table;
    if (!t->quarantine_limit || sink_bad_rows(run->sink, t->index) < t->quarantine_limit)
        return NULL;
    return err_hint(
        err_new(ERR_STATE,
                "table %s: %llu rows cannot be read, as many as quarantine_limit allows; column %s: %s",
                t->rel->quoted, (unsigned long long)sink_bad_rows(run->sink, t->index),
                t->def->schema.columns[row->bad->column].name, row->bad->message),
        "penstock errors --source %s.%s lists them; mend them, or raise quarantine_limit, and apply the "
        "configuration again",
        t->def->source, t->def->name);
}

struct err *pg_bad_send(const struct pg_run *run, struct sink_lane *lane, const struct pg_bad_row *row,
                        char op, const char *position)
{
    const struct pg_table *t = row->table;
    struct buf raw = {0};
    uint8_t identity[QUARANTINE_ID_BYTES];
    bool by_key = pg_bad_key_reads(t, row->states);
    TRY(check_limit(run, row));
    struct quarantine_entry e = {.op = op,
                                 .last_us = unix_us(),
                                 .position = str_of(position),
                                 .sqlstate = str_of(row->bad->sqlstate),
                                 .message = str_of(row->bad->message),
                                 .column = str_of(t->def->schema.columns[row->bad->column].name)};
    make_raw(&raw, row, &e);
    e.raw = (struct str){raw.p, (uint32_t)raw.len, 0};
    if (!by_key)
        make_identity(t, row->fields, identity);
    bool accepted = sink_bad_row(lane, t->index, &e, by_key ? NULL : identity, row->vals, row->states);
    buf_fini(&raw);
    return handed(accepted);
}

struct err *pg_bad_gone(struct sink_lane *lane, const struct pg_table *t, const struct pgo_field *fields)
{
    uint8_t identity[QUARANTINE_ID_BYTES];
    make_identity(t, fields, identity);
    return handed(sink_bad_gone(lane, t->index, identity));
}

/* ---- encodings ---- */

bool pg_data_unchecked(const PGconn *conn)
{
    const char *encoding = PQparameterStatus(conn, "server_encoding");
    return encoding && strcmp(encoding, "SQL_ASCII") == 0;
}

struct err *pg_data_encoding(const struct pg_run *run, PGconn *conn, const struct pg_stop *stop)
{
    PGresult *r = NULL;
    if (!pg_data_unchecked(conn))
        return NULL;
    struct err *e =
        pg_exec(run->conf, conn, stop, "cannot set up the session", PGRES_TUPLES_OK,
                "SELECT pg_catalog.set_config('client_encoding', 'SQL_ASCII', false)", 0, NULL, &r);
    PQclear(r);
    return e;
}
