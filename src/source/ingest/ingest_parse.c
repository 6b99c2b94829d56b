/* A request's body as rows: JSON read by yyjson, each value by its column type's input function, as json_populate_record
 * does in PostgreSQL: a string by its content, everything else by its JSON text, a JSON array of an array column as an
 * array. Numbers keep every digit. */
#include "source/ingest/ingest.h"

#include "base/nearest.h"
#include "data/row.h"
#include "types/array.h"
#include "types/func.h"
#include "types/numeric.h"

#include <stdarg.h>
#include <stdlib.h>
#include <yyjson.h>

#define READ_FLAGS YYJSON_READ_NUMBER_AS_RAW

struct parser {
    const struct ingest_table *table;
    bool deletes;
    struct ingest_work *work; /* its arena: of one row */
    struct fn_ctx fn;
    union val *vals;
    uint8_t *states;
    bool *given;
    struct buf *out;
    uint32_t row_count;
    uint32_t digits; /* that exponents have asked for */
    struct ingest_refusal *refusal;
};

void ingest_refuse(struct ingest_refusal *r, int status, const char *code, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(r->message, sizeof r->message, fmt, args);
    va_end(args);
    r->status = status;
    r->code = code;
    r->hint[0] = 0;
}

static bool refuse_row(struct parser *p, const char *column, const char *why)
{
    ingest_refuse(p->refusal, 400, "PENSTOCK_INGEST_ROW", "row %u%s%.63s: %s", p->row_count + 1,
                  column ? ", column " : "", column ? column : "", why);
    return false;
}

/* ---- values as text ---- */

static bool put_json(struct parser *p, yyjson_val *v)
{
    size_t len;
    char *text = yyjson_val_write(v, YYJSON_WRITE_NOFLAG, &len);
    if (!text)
        return false;
    buf_put(&p->work->text, text, len);
    free(text);
    return true;
}

static void put_quoted(struct buf *b, const char *s, size_t len)
{
    buf_put_u8(b, '"');
    for (size_t i = 0; i < len; i++) {
        if (s[i] == '"' || s[i] == '\\')
            buf_put_u8(b, '\\');
        buf_put_u8(b, (uint8_t)s[i]);
    }
    buf_put_u8(b, '"');
}

/* An element that is no array itself. */
static bool put_element(struct parser *p, yyjson_val *v)
{
    if (yyjson_is_null(v)) {
        buf_put_str(&p->work->text, "NULL");
        return true;
    }
    if (yyjson_is_str(v)) {
        put_quoted(&p->work->text, yyjson_get_str(v), yyjson_get_len(v));
        return true;
    }
    size_t len;
    char *text = yyjson_val_write(v, YYJSON_WRITE_NOFLAG, &len);
    if (!text)
        return false;
    put_quoted(&p->work->text, text, len);
    free(text);
    return true;
}

/* {{1,2},{3,4}}: what array_in reads. Its own limit on dimensions comes first. */
static bool put_array(struct parser *p, yyjson_val *v, int depth)
{
    size_t i, max;
    yyjson_val *e;
    if (depth > ARRAY_DIMS_MAX)
        return false;
    buf_put_u8(&p->work->text, '{');
    yyjson_arr_foreach(v, i, max, e)
    {
        if (i)
            buf_put_u8(&p->work->text, ',');
        if (yyjson_is_arr(e) ? !put_array(p, e, depth + 1) : !put_element(p, e))
            return false;
    }
    buf_put_u8(&p->work->text, '}');
    return true;
}

/* The text for the type's input function: of the document, or made in p->work->text. */
static bool value_text(struct parser *p, const struct column *c, yyjson_val *v, const char **text,
                       size_t *len)
{
    enum type_id id = c->type.id;
    bool is_json = id == T_JSON || id == T_JSONB;
    if (yyjson_is_str(v) && !is_json) {
        *text = yyjson_get_str(v);
        *len = yyjson_get_len(v);
        return memchr(*text, 0, *len) == NULL ||
               refuse_row(p, c->name, "\\u0000 cannot be converted to text");
    }
    if (yyjson_is_raw(v)) {
        *text = yyjson_get_raw(v);
        *len = yyjson_get_len(v);
        return true;
    }
    buf_reset(&p->work->text);
    bool array = yyjson_is_arr(v) && type_is_array(id);
    if (array ? !put_array(p, v, 1) : !put_json(p, v))
        return refuse_row(p, c->name, "its value is nested too deep");
    *text = (const char *)p->work->text.p;
    *len = p->work->text.len;
    return !array || memchr(*text, 0, *len) == NULL ||
           refuse_row(p, c->name, "\\u0000 cannot be converted to text");
}

/* ---- rows ---- */

static bool refuse_name(struct parser *p, const char *name, size_t len)
{
    struct nearest near;
    char text[64];
    snprintf(text, sizeof text, "%.*s", (int)(len < 63 ? len : 63), name);
    nearest_init(&near, text);
    for (uint32_t c = 0; c < p->table->schema.column_count; c++)
        nearest_offer(&near, p->table->schema.columns[c].name);
    refuse_row(p, text, "the table has no such column");
    if (near.best)
        snprintf(p->refusal->hint, sizeof p->refusal->hint, "Perhaps you meant %s.", near.best);
    return false;
}

/* Rows of one body mostly name the columns in the order of the table, so the search begins behind the last one. */
static bool column_find(const struct ingest_table *t, const char *name, size_t len, uint32_t from,
                        uint32_t *out)
{
    for (uint32_t i = 0; i < t->schema.column_count; i++) {
        uint32_t c = (from + i) % t->schema.column_count;
        const char *have = t->schema.columns[c].name;
        if (strlen(have) == len && memcmp(have, name, len) == 0) {
            *out = c;
            return true;
        }
    }
    return false;
}

static bool is_key(const struct ingest_table *t, uint32_t column)
{
    for (uint32_t k = 0; k < t->key_count; k++)
        if (t->key[k] == column)
            return true;
    return false;
}

static bool member(struct parser *p, uint32_t column, yyjson_val *v)
{
    const struct column *c = &p->table->schema.columns[column];
    const char *text = NULL;
    size_t len = 0;
    if (p->deletes && p->table->key_count && !is_key(p->table, column))
        return refuse_row(p, c->name, "it is not of the key, which alone says what to delete");
    p->given[column] = true;
    p->states[column] = VAL_NULL;
    if (yyjson_is_null(v))
        return true;
    if (!value_text(p, c, v, &text, &len))
        return false;
    p->digits += type_digits_asked(c->type.id, text, len, INGEST_DIGITS_MAX);
    if (p->digits > INGEST_DIGITS_MAX) {
        ingest_refuse(p->refusal, 413, "PENSTOCK_BODY",
                      "row %u, column %.63s: exponents ask for more than %d digits", p->row_count + 1,
                      c->name, INGEST_DIGITS_MAX);
        return false;
    }
    p->fn.error = FN_OK;
    if (!type_input(&p->fn, c->type, text, len, &p->vals[column]))
        return refuse_row(p, c->name, p->fn.error_text);
    p->states[column] = VAL_OK;
    return true;
}

static bool key_given(struct parser *p)
{
    for (uint32_t k = 0; k < p->table->key_count; k++)
        if (p->states[p->table->key[k]] != VAL_OK)
            return refuse_row(p, p->table->schema.columns[p->table->key[k]].name,
                              "it is of the key and has no value");
    return true;
}

static bool put_row(struct parser *p)
{
    buf_reset(&p->work->row);
    row_encode(&p->work->row, &p->table->schema, p->vals, p->states);
    buf_put_u8(p->out, p->deletes ? ROW_DELETE : ROW_INSERT);
    buf_put_varint(p->out, p->work->row.len);
    buf_put(p->out, p->work->row.p, p->work->row.len);
    if (p->out->len > INGEST_RECORD_BYTES_MAX - 1024) {
        ingest_refuse(p->refusal, 413, "PENSTOCK_BODY",
                      "the rows take more than %u MiB in the log: send them in several requests",
                      INGEST_RECORD_BYTES_MAX >> 20);
        return false;
    }
    p->row_count++;
    return true;
}

static bool object(struct parser *p, yyjson_val *v)
{
    size_t i, max;
    yyjson_val *name, *value;
    uint32_t column = 0;
    if (!yyjson_is_obj(v))
        return refuse_row(p, NULL, "it is not a JSON object");
    arena_reset(&p->work->arena);
    memset(p->states, VAL_NULL, p->table->schema.column_count);
    memset(p->given, 0, p->table->schema.column_count);
    yyjson_obj_foreach(v, i, max, name, value)
    {
        const char *s = yyjson_get_str(name);
        if (!column_find(p->table, s, yyjson_get_len(name), column, &column))
            return refuse_name(p, s, yyjson_get_len(name));
        if (p->given[column])
            return refuse_row(p, p->table->schema.columns[column].name, "it stands twice");
        if (!member(p, column, value))
            return false;
        column++;
    }
    return key_given(p) && put_row(p);
}

/* ---- bodies ---- */

static bool refuse_json(struct parser *p, const yyjson_read_err *err, const char *where,
                        unsigned long long at)
{
    if (err->code == YYJSON_READ_ERROR_MEMORY_ALLOCATION)
        PANIC("out of memory");
    ingest_refuse(p->refusal, 400, "PENSTOCK_INGEST_BODY", "the body is not JSON: %s at %s %llu", err->msg,
                  where, at);
    return false;
}

static bool json_body(struct parser *p, const uint8_t *body, size_t len)
{
    yyjson_read_err err;
    yyjson_doc *doc = yyjson_read_opts((char *)(uintptr_t)body, len, READ_FLAGS, p->work->json, &err);
    if (!doc)
        return refuse_json(p, &err, "byte", err.pos + 1);
    yyjson_val *root = yyjson_doc_get_root(doc), *v;
    size_t i, max;
    bool ok = true;
    if (yyjson_is_arr(root)) {
        yyjson_arr_foreach(root, i, max, v)
        {
            ok = object(p, v);
            if (!ok)
                break;
        }
    } else {
        ok = object(p, root);
    }
    yyjson_doc_free(doc);
    return ok;
}

static bool is_blank(const uint8_t *p, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (p[i] != ' ' && p[i] != '\t' && p[i] != '\r')
            return false;
    return true;
}

static bool ndjson_body(struct parser *p, const uint8_t *body, size_t len)
{
    unsigned long long line = 0;
    for (size_t at = 0; at < len;) {
        const uint8_t *newline = memchr(body + at, '\n', len - at);
        size_t n = newline ? (size_t)(newline - body) - at : len - at;
        const uint8_t *text = body + at;
        yyjson_read_err err;
        line++;
        at += n + 1;
        if (is_blank(text, n))
            continue;
        yyjson_doc *doc = yyjson_read_opts((char *)(uintptr_t)text, n, READ_FLAGS, p->work->json, &err);
        if (!doc)
            return refuse_json(p, &err, "line", line);
        bool ok = object(p, yyjson_doc_get_root(doc));
        yyjson_doc_free(doc);
        if (!ok)
            return false;
    }
    return true;
}

bool ingest_parse(struct ingest_work *w, const struct ingest_table *t, enum ingest_form form, bool deletes,
                  const uint8_t *body, size_t len, struct buf *out, uint32_t *row_count,
                  struct ingest_refusal *r)
{
    uint32_t columns = t->schema.column_count;
    struct parser p = {.work = w, .table = t, .deletes = deletes, .out = out, .refusal = r};
    arena_reset(&w->arena);
    p.fn.arena = &w->arena;
    p.vals = xcalloc(columns, sizeof *p.vals);
    p.states = xcalloc(columns, 1);
    p.given = xcalloc(columns, sizeof *p.given);
    bool ok = form == FORM_JSON ? json_body(&p, body, len) : ndjson_body(&p, body, len);
    *row_count = p.row_count;
    free(p.vals);
    free(p.states);
    free(p.given);
    return ok;
}
