/* The tables with which a log segment's rows were written, so that rows that wait in it can be read after the
 * configuration changed: columns are matched by name. */
#include "source/ingest/ingest.h"

static void text_put(struct buf *b, const char *s)
{
    buf_put_varint(b, strlen(s));
    buf_put(b, s, strlen(s));
}

void ingest_schema_put(struct buf *b, const struct ingest_conf *conf)
{
    buf_put_varint(b, conf->table_count);
    for (uint32_t i = 0; i < conf->table_count; i++) {
        const struct schema *s = &conf->tables[i].schema;
        text_put(b, conf->tables[i].name);
        buf_put_varint(b, s->column_count);
        for (uint32_t c = 0; c < s->column_count; c++) {
            text_put(b, s->columns[c].name);
            text_put(b, type_info(s->columns[c].type.id)->name);
            buf_put_varint(b, (uint32_t)s->columns[c].type.typmod);
        }
    }
}

/* ---- reading; the first surprise is kept ---- */

struct reader {
    struct arena *arena;
    const uint8_t *p, *end;
    bool bad;
};

static uint32_t number_get(struct reader *r, uint32_t most)
{
    uint64_t v = 0;
    r->bad |= !varint_get(&r->p, r->end, &v) || v > most;
    return r->bad ? 0 : (uint32_t)v;
}

static const char *text_get(struct reader *r)
{
    uint32_t len = number_get(r, TYPE_NAME_MAX);
    r->bad |= len > (size_t)(r->end - r->p);
    if (r->bad)
        return "";
    r->p += len;
    return arena_strndup(r->arena, (const char *)r->p - len, len);
}

static void column_get(struct reader *r, struct column *c)
{
    c->name = text_get(r);
    const struct type_info *info = type_by_name(text_get(r));
    r->bad |= !info;
    c->type = (struct type){info ? info->id : T_UNKNOWN, (int32_t)number_get(r, UINT32_MAX)};
}

static uint32_t column_of(const struct schema *s, const char *name)
{
    for (uint32_t c = 0; c < s->column_count; c++)
        if (strcmp(s->columns[c].name, name) == 0)
            return c;
    return UINT32_MAX;
}

static uint32_t table_of(const struct ingest_conf *conf, const char *name)
{
    for (uint32_t t = 0; t < conf->table_count; t++)
        if (strcmp(conf->tables[t].name, name) == 0)
            return t;
    return UINT32_MAX;
}

static NODISCARD struct err *columns_match(struct arena *arena, const struct ingest_conf *conf,
                                           struct ingest_mapped *m)
{
    const struct schema *now = &conf->tables[m->table].schema;
    m->column = ARENA_ARRAY(arena, uint32_t, m->was.column_count + 1);
    for (uint32_t c = 0; c < m->was.column_count; c++) {
        const struct column *was = &m->was.columns[c];
        m->column[c] = column_of(now, was->name);
        if (m->column[c] < UINT32_MAX && now->columns[m->column[c]].type.id != was->type.id)
            return err_hint(
                err_new(ERR_STATE, "table %s.%s: rows that wait in the log have column %s as %s",
                        conf->source_name, m->name, was->name, type_info(was->type.id)->name),
                "start once with that type, until `penstock status` shows no unapplied bytes; or give "
                "the column another name");
    }
    return NULL;
}

struct err *ingest_schema_map(struct arena *arena, const struct ingest_conf *conf, const uint8_t *p,
                              size_t len, struct ingest_map *out)
{
    struct reader r = {arena, p, p + len, false};
    out->count = number_get(&r, INGEST_TABLES_MAX);
    out->tables = ARENA_ARRAY(arena, struct ingest_mapped, out->count + 1);
    for (uint32_t t = 0; t < out->count && !r.bad; t++) {
        struct ingest_mapped *m = &out->tables[t];
        m->name = text_get(&r);
        m->table = table_of(conf, m->name);
        m->was.column_count = number_get(&r, COLUMNS_MAX);
        m->was.columns = ARENA_ARRAY(arena, struct column, m->was.column_count + 1);
        for (uint32_t c = 0; c < m->was.column_count; c++)
            column_get(&r, &m->was.columns[c]);
        if (!r.bad && m->table < UINT32_MAX)
            TRY(columns_match(arena, conf, m));
    }
    if (r.bad || r.p != r.end)
        return err_new(ERR_CORRUPT, "source %s: the log says of its tables what cannot be read",
                       conf->source_name);
    return NULL;
}
