/* The source rows of an answer, a page of them; see why.h. */
#include "serve/why.h"
#include "base/hash.h"
#include "lineage/origin.h"
#include "serve/grant.h"
#include "serve/out.h"

static uint64_t mix(uint64_t h, const void *p, size_t len)
{
    return (h ^ hash_bytes(p, len)) * UINT64_C(0x9E3779B97F4A7C15);
}

uint64_t why_digest(struct why *w)
{
    uint64_t h = mix(w->lineage.cut, w->row.p, w->row.len);
    for (uint32_t i = 0; i < w->lineage.source_count; i++) {
        const struct lineage_source *s = w->lineage.sources[i];
        h = mix(h, s->table->source, strlen(s->table->source));
        h = mix(h, s->table->name, strlen(s->table->name));
        h = mix(h, s->key.p, s->key.len);
        h = mix(h, s->row.p, s->row.len);
        h = mix(h, &s->roles, sizeof s->roles);
    }
    return h;
}

struct why_shown {
    const struct table_def *table;
    uint8_t *columns;
    struct why_shown *next;
};

static void show(void *ctx, const struct table_def *table, uint32_t column)
{
    struct why *w = ctx;
    struct why_shown *s = w->shown;
    while (s && s->table != table)
        s = s->next;
    if (!s) {
        s = ARENA_NEW(&w->lineage.arena, struct why_shown);
        *s = (struct why_shown){
            table, ARENA_ARRAY(&w->lineage.arena, uint8_t, table->schema.column_count + 1), w->shown};
        w->shown = s;
    }
    s->columns[column] = 1;
}

void why_find_shown(struct why *w)
{
    w->all_shown = !w->rd->grant.columns;
    for (uint32_t c = 0; c < w->view->schema.column_count && !w->all_shown; c++)
        if (why_shows(w, c))
            column_origins(&w->lineage.arena, w->view, c, show, w);
}

static bool is_key(const struct why *w, const void *ctx, uint32_t column)
{
    const struct table_def *t = ctx;
    (void)w;
    for (uint32_t k = 0; k < t->key_count; k++)
        if (t->key[k] == column)
            return true;
    return false;
}

/* The key names the row; of the rest a caller who may not see all of the view sees what it sees the results of. */
static bool is_shown(const struct why *w, const void *ctx, uint32_t column)
{
    const struct why_shown *s = w->shown;
    while (s && s->table != ctx)
        s = s->next;
    return w->all_shown || (s && s->columns[column]) || is_key(w, ctx, column);
}

static void put_words(struct buf *b, const struct lineage_source *s)
{
    OUT_LIT(b, ",\"as\":[");
    if (s->roles & LINEAGE_ROW)
        OUT_LIT(b, "\"row\"");
    if (s->roles & LINEAGE_WINDOW)
        buf_put_str(b, s->roles & LINEAGE_ROW ? ",\"window\"" : "\"window\"");
    OUT_LIT(b, "]");
    for (uint32_t i = 0; i < s->note_count; i++) {
        buf_put_str(b, i ? "," : ",\"attains\":[");
        out_json_cstr(b, s->notes[i]);
    }
    if (s->note_count)
        OUT_LIT(b, "]");
}

static void put_source(struct why *w, const struct lineage_source *s)
{
    struct buf *b = w->a->body;
    struct arena *a = &w->lineage.arena;
    const struct schema *schema = &s->table->schema;
    union val *vals = ARENA_ARRAY(a, union val, schema->column_count + 1);
    uint8_t *states = ARENA_ARRAY(a, uint8_t, schema->column_count + 1);
    char *name = arena_printf(a, "%s.%s", s->table->source, s->table->name);
    OUT_LIT(b, "{\"table\":");
    out_json_cstr(b, name);
    if (!row_decode(a, schema, s->row.p, s->row.len, vals, states)) {
        problem_set(&w->a->problem, 500, "XX001", "mirror of %s: the stored data fails a check", name);
        return;
    }
    OUT_LIT(b, ",\"key\":");
    if (s->table->key_count)
        why_put_row(w, schema, vals, states, is_key, s->table);
    else
        OUT_LIT(b, "null");
    OUT_LIT(b, ",\"row\":");
    why_put_row(w, schema, vals, states, is_shown, s->table);
    if (s->copies > 1)
        buf_printf(b, ",\"copies\":%llu", (unsigned long long)s->copies);
    put_words(b, s);
    OUT_LIT(b, "}");
}

void why_put_sources(struct why *w)
{
    struct buf *b = w->a->body;
    uint64_t count = w->lineage.source_count, from = w->from < count ? w->from : count;
    uint64_t until = count - from > w->limit ? from + w->limit : count;
    size_t most = b->len + (size_t)w->r->limits->answer_bytes;
    OUT_LIT(b, ",\"sources\":[");
    for (uint64_t i = from; i < until; i++) {
        if (i > from)
            OUT_LIT(b, ",");
        put_source(w, w->lineage.sources[i]);
        if (b->len > most)
            until = i + 1;
    }
    OUT_LIT(b, "],\"next\":");
    if (until < count)
        buf_printf(b, "\"%016llx%016llx%016llx\"", (unsigned long long)w->a->epoch,
                   (unsigned long long)w->digest, (unsigned long long)until);
    else
        OUT_LIT(b, "null");
}
