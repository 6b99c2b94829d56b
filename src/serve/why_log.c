/* The row's last changes, from the view's change log; see why.h. */
#include "serve/why.h"
#include "serve/grant.h"
#include "serve/out.h"
#include "store/epoch_log.h"
#include "types/datetime_impl.h"

#define UNIX_TO_PG_US (UNIX_TO_PG_SECS * 1000000)

struct log_reader {
    struct why *w;
    union val *vals;
    uint8_t *states;
    struct buf key, other;
    uint32_t count;
};

static bool is_of_row(struct log_reader *l, struct slice row)
{
    const struct world_view *v = l->w->rd->view;
    if (!v->key_count)
        return row.len == l->w->row.len && memcmp(row.p, l->w->row.p, row.len) == 0;
    arena_reset(&l->w->scratch);
    if (!row_decode(&l->w->scratch, v->schema, row.p, row.len, l->vals, l->states))
        return false;
    buf_reset(&l->other);
    key_encode(&l->other, v->schema, l->vals, l->states, v->row_key, v->row_key_count);
    return l->key.len == l->other.len && memcmp(l->key.p, l->other.p, l->key.len) == 0;
}

static bool shows(const struct why *w, const void *ctx, uint32_t column)
{
    (void)ctx;
    return why_shows(w, column);
}

/* A side of a change that the caller may not see is as if it were not there: the row came into view, or went. */
static bool is_shown(struct log_reader *l, struct slice row, struct arena *a)
{
    const struct why *w = l->w;
    return row.len && row_decode(a, w->rd->view->schema, row.p, row.len, l->vals, l->states) &&
           grant_row(w->r, &w->rd->grant, l->vals, l->states);
}

static void put_side(struct log_reader *l, const char *name, struct slice row, bool shown)
{
    struct why *w = l->w;
    struct arena *a = &w->lineage.arena;
    buf_printf(w->a->body, ",\"%s\":", name);
    if (shown && is_shown(l, row, a))
        why_put_row(w, w->rd->view->schema, l->vals, l->states, shows, NULL);
    else
        OUT_LIT(w->a->body, "null");
}

/* "core": one transaction, or from which to which. A row's own among several is not known: those of the epoch are told. */
static void put_transactions(struct buf *b, const struct epoch_source *s, struct fn_ctx *fn)
{
    const struct epoch_transactions *t = s->done;
    bool one = t->count == 1;
    OUT_LIT(b, "{\"source\":");
    out_json_cstr(b, s->name);
    buf_printf(b, ",\"transactions\":%llu", (unsigned long long)t->count);
    if (t->first_id && one)
        buf_printf(b, ",\"transaction\":%u", t->first_id);
    else if (t->first_id)
        buf_printf(b, ",\"first_transaction\":%u,\"last_transaction\":%u", t->first_id, t->last_id);
    if (*t->first_text && !one) {
        OUT_LIT(b, ",\"first_position\":");
        out_json_cstr(b, t->first_text);
    }
    if (*t->last_text) {
        buf_put_str(b, one ? ",\"position\":" : ",\"last_position\":");
        out_json_cstr(b, t->last_text);
    }
    if (t->last_us) {
        union val at = {.i = t->last_us - UNIX_TO_PG_US};
        buf_put_str(b, ",\"committed_at\":");
        render_json_value(fn, T_TIMESTAMPTZ, &at, b);
    }
    OUT_LIT(b, "}");
}

static bool reads(const struct why *w, const char *source)
{
    const struct catalog_view *v = w->rd->view->cv;
    for (uint32_t i = 0; i < v->source_count; i++)
        if (v->sources[i] < GATE_SOURCES_MAX && strcmp(w->r->gate->sources[v->sources[i]].name, source) == 0)
            return true;
    return false;
}

static void put_epoch(struct log_reader *l, uint64_t epoch)
{
    struct why *w = l->w;
    struct buf *b = w->a->body;
    struct epoch_entry e;
    buf_printf(b, "{\"epoch\":%llu", (unsigned long long)epoch);
    if (!epoch_log_get(w->r->snapshot, &w->lineage.arena, epoch, &e)) {
        OUT_LIT(b, ",\"at\":null,\"sources\":null");
        return;
    }
    union val at = {.i = e.at_us - UNIX_TO_PG_US};
    OUT_LIT(b, ",\"at\":");
    render_json_value(&w->fn, T_TIMESTAMPTZ, &at, b);
    OUT_LIT(b, ",\"sources\":[");
    bool first = true;
    for (uint32_t i = 0; i < e.source_count; i++) {
        if (!reads(w, e.sources[i].name))
            continue;
        if (!first)
            OUT_LIT(b, ",");
        first = false;
        put_transactions(b, &e.sources[i], &w->fn);
    }
    OUT_LIT(b, "]");
}

static void put_change(struct log_reader *l, const struct view_change *c)
{
    struct why *w = l->w;
    struct buf *b = w->a->body;
    struct arena *a = &w->lineage.arena;
    bool old_shown = is_shown(l, c->old_row, a), new_shown = is_shown(l, c->new_row, a);
    if (!old_shown && !new_shown)
        return;
    if (l->count++)
        OUT_LIT(b, ",");
    put_epoch(l, c->epoch);
    buf_printf(b, ",\"op\":\"%s\"", !old_shown ? "insert" : new_shown ? "update" : "delete");
    if (c->multiplicity > 1)
        buf_printf(b, ",\"copies\":%llu", (unsigned long long)c->multiplicity);
    put_side(l, "old", c->old_row, old_shown);
    put_side(l, "new", c->new_row, new_shown);
    OUT_LIT(b, "}");
}

/* Epochs up to this one are no longer complete in the log. */
static uint64_t trimmed(struct why *w)
{
    char key[32];
    store_db db;
    struct slice value;
    uint64_t big = 0;
    int len = snprintf(key, sizeof key, "log:%u", w->rd->view->cv->slot);
    if (store_snapshot_db(w->r->snapshot, w->shard, "meta", &db) &&
        store_snapshot_get(w->r->snapshot, w->shard, db, (struct slice){(const uint8_t *)key, (size_t)len},
                           &value) &&
        value.len == sizeof big)
        memcpy(&big, value.p, sizeof big);
    return __builtin_bswap64(big);
}

/* From the newest on. The epoch after which all of the row's changes were seen. */
static uint64_t read_log(struct log_reader *l)
{
    struct why *w = l->w;
    store_db db;
    struct slice key, value;
    struct view_change c;
    uint64_t looked = 0, since = trimmed(w);
    if (!rest_db(w->r, w->rd->view, WORLD_DB_LOG, w->shard, &db))
        return w->a->epoch; /* it keeps none */
    struct store_cursor *at = store_cursor_open(w->r->snapshot, w->shard, db);
    for (bool more = store_cursor_seek_before(at, NULL, &key, &value); more;
         more = store_cursor_prev(at, &key, &value)) {
        if (!view_change_parse(key, value, &c))
            break;
        if (l->count == WHY_CHANGES || ++looked > WHY_LOG_ROWS)
            return c.epoch > since ? c.epoch : since;
        if (is_of_row(l, c.new_row.len ? c.new_row : c.old_row))
            put_change(l, &c);
    }
    return since;
}

void why_put_changes(struct why *w)
{
    const struct world_view *v = w->rd->view;
    struct log_reader l = {.w = w};
    l.vals = ARENA_ARRAY(&w->lineage.arena, union val, v->schema->column_count + 1);
    l.states = ARENA_ARRAY(&w->lineage.arena, uint8_t, v->schema->column_count + 1);
    key_encode(&l.key, v->schema, w->vals, w->states, v->row_key, v->row_key_count);
    OUT_LIT(w->a->body, ",\"changes\":[");
    uint64_t since = read_log(&l);
    buf_printf(w->a->body, "],\"changes_since\":%llu", (unsigned long long)since);
    buf_fini(&l.key);
    buf_fini(&l.other);
}
