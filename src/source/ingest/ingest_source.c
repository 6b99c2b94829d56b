/* The ingest source's thread: from the log to the sink, one record a transaction; see ingest.h.
 *
 * A position is a format byte, the log's id and the offset of the next record. */
#include "source/ingest/ingest.h"

#include "base/hash.h"
#include "base/log.h"
#include "base/clock.h"
#include "data/row.h"

#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#define POSITION_FORMAT 1
#define POSITION_BYTES  17
#define RETRY_MS        1000
#define IDLE_MS         200 /* how often the end of the pipeline and what became durable are looked at */

struct position {
    uint64_t id, offset;
};

static void position_put(uint8_t *out, struct position p)
{
    out[0] = POSITION_FORMAT;
    for (int i = 0; i < 8; i++) {
        out[1 + i] = (uint8_t)(p.id >> 8 * i);
        out[9 + i] = (uint8_t)(p.offset >> 8 * i);
    }
}

static bool position_get(const uint8_t *p, size_t len, struct position *out)
{
    *out = (struct position){0};
    if (len != POSITION_BYTES || p[0] != POSITION_FORMAT)
        return false;
    for (int i = 0; i < 8; i++) {
        out->id |= (uint64_t)p[1 + i] << 8 * i;
        out->offset |= (uint64_t)p[9 + i] << 8 * i;
    }
    return true;
}

/* ---- opening the log ---- */

static void keys_record(void *ctx, struct buf *out)
{
    struct ingest *g = ctx;
    pthread_mutex_lock(&g->lock);
    ingest_keys_put(&g->keys, out);
    pthread_mutex_unlock(&g->lock);
}

static struct err *open_log(struct ingest *g, uint64_t start)
{
    struct buf schema = {0};
    uint64_t cut;
    char *dir = xprintf("%s/ingest/%s", g->conf->data_dir, g->conf->source_name);
    ingest_schema_put(&schema, g->conf);
    struct log_options o = {.dir = dir,
                            .schema = schema.p,
                            .schema_len = schema.len,
                            .start = start,
                            .keys = keys_record,
                            .ctx = g,
                            .io = g->conf->io,
                            .segment_bytes = g->conf->segment_bytes};
    g->schema = schema; /* the log borrows it */
    struct err *e = ingest_log_open(&o, &g->log, &cut);
    if (!e && cut)
        log_warn("ingest", "a torn end of the log is cut off; it was never acknowledged",
                 "source=%s bytes=%" PRIu64, g->conf->source_name, cut);
    free(dir);
    return e;
}

/* A disk that is full or away comes back. g->log NULL: the pipeline is stopping. */
static struct err *open_with_patience(struct ingest *g, uint64_t start)
{
    while (!sink_stopping(g->sink)) {
        struct err *e = open_log(g, start);
        if (!e || (e->code != ERR_IO && e->code != ERR_SPACE))
            return e;
        char *text = err_text(e);
        err_free(e);
        log_warn("ingest", "the log cannot be opened; trying again", "source=%s error=\"%s\"",
                 g->conf->source_name, text);
        sink_set_state(g->sink, SOURCE_RETRYING, text);
        free(text);
        buf_fini(&g->schema);
        g->schema = (struct buf){0};
        sink_wait(g->sink, RETRY_MS);
    }
    return NULL;
}

/* The log that the store's position is of goes on there; a new one, as the folder was taken away, too. */
static struct err *check_position(struct ingest *g, bool known, struct position *at)
{
    uint64_t start = ingest_log_start(g->log), end = ingest_log_end(g->log);
    if (!known) {
        *at = (struct position){ingest_log_id(g->log), start};
        return NULL;
    }
    if (at->id != ingest_log_id(g->log) && start == at->offset) {
        log_warn("ingest", "the log is new: rows that only the former one held are gone", "source=%s",
                 g->conf->source_name);
        at->id = ingest_log_id(g->log);
        return NULL;
    }
    if (at->id == ingest_log_id(g->log) && at->offset >= start && at->offset <= end)
        return NULL;
    return err_hint(err_new(ERR_CORRUPT,
                            "source %s: its log (bytes %" PRIu64 " to %" PRIu64
                            ") does not hold the position that the store has (%" PRIu64 ")",
                            g->conf->source_name, start, end, at->offset),
                    "put back DATA/ingest/%s as it was; or move it away to go on without what it held",
                    g->conf->source_name);
}

/* ---- what the last segment remembers of Idempotency-Keys ---- */

static struct err *bad_record(const struct ingest *g, const struct log_record *r)
{
    return err_new(ERR_CORRUPT, "source %s: the record at offset %" PRIu64 " of its log cannot be read",
                   g->conf->source_name, r->offset);
}

static struct err *remember(struct ingest *g, const struct log_record *r)
{
    struct ingest_payload p;
    if (r->kind == LOG_KEYS && !ingest_keys_get(&g->keys, r->payload, r->len))
        return bad_record(g, r);
    if (r->kind != LOG_ROWS)
        return NULL;
    if (!ingest_payload_get(r->payload, r->len, &p))
        return bad_record(g, r);
    if (p.has_key && !ingest_keys_find(&g->keys, &p.key))
        ingest_keys_add(&g->keys, &p.key, r->end, p.row_count);
    return NULL;
}

/* From the segment in which applying goes on: its LOG_KEYS record has those before. */
static struct err *load_keys(struct ingest *g, uint64_t from)
{
    struct log_record r;
    bool found;
    for (uint64_t at = ingest_log_segment(g->log, from);; at = r.end) {
        TRY(ingest_log_read(g->log, at, &r, &found));
        if (!found)
            return NULL;
        TRY(remember(g, &r));
    }
}

/* ---- applying ---- */

struct apply {
    struct ingest *g;
    struct sink_lane *lane;
    struct arena schema_arena, row_arena;
    struct ingest_map map;
    bool has_map;
    union val *vals, *was_vals; /* COLUMNS_MAX */
    uint8_t *states, *was_states;
    struct position at;
    int64_t received_us; /* of the newest request */
};

static struct err *take_head(struct apply *a, const struct log_record *r)
{
    uint64_t id;
    const uint8_t *schema;
    size_t len;
    if (!ingest_head_get(r, &id, &schema, &len))
        return bad_record(a->g, r);
    arena_reset(&a->schema_arena);
    TRY(ingest_schema_map(&a->schema_arena, a->g->conf, schema, len, &a->map));
    a->has_map = true;
    return NULL;
}

/* Reading begins in the middle of a segment: its head first. */
static struct err *find_head(struct apply *a)
{
    struct log_record r;
    bool found;
    uint64_t start = ingest_log_segment(a->g->log, a->at.offset);
    TRY(ingest_log_read(a->g->log, start, &r, &found));
    return found ? take_head(a, &r) : NULL;
}

/* The row as the table is today. Columns that came since are NULL. */
static void map_row(struct apply *a, const struct ingest_mapped *m)
{
    memset(a->states, VAL_NULL, a->g->conf->tables[m->table].schema.column_count);
    for (uint32_t c = 0; c < m->was.column_count; c++) {
        if (m->column[c] == UINT32_MAX)
            continue;
        a->states[m->column[c]] = a->was_states[c];
        a->vals[m->column[c]] = a->was_vals[c];
    }
}

static struct str str_of(const char *text)
{
    return (struct str){(const uint8_t *)text, (uint32_t)strlen(text), 0};
}

/* A row of a record that is whole by its checksum: it was acknowledged so, and what is wrong with it concerns no other. Its place
 * in the log is its identity, so that it stays on the list until somebody takes it off. */
static bool send_bad(struct apply *a, const struct log_record *r, uint32_t table, uint32_t number,
                     enum row_op op, struct str bytes)
{
    char position[48];
    uint8_t identity[QUARANTINE_ID_BYTES];
    struct buf raw = {0};
    uint64_t place[3] = {ingest_log_id(a->g->log), r->offset, number};
    struct quarantine_field f = {.name = str_of("row"), .kind = QUARANTINE_TEXT, .text = bytes};
    snprintf(position, sizeof position, "%" PRIu64 "#%" PRIu32, r->offset, number);
    struct quarantine_entry e = {.op = op == ROW_DELETE ? 'd' : 'i',
                                 .last_us = unix_us(),
                                 .position = str_of(position),
                                 .sqlstate = str_of("XX001"),
                                 .message = str_of("the row's bytes in the log do not decode")};
    quarantine_raw_put(&raw, &e.raw_bytes, &f);
    e.raw = (struct str){raw.p, (uint32_t)raw.len, 0};
    hash_bytes128(bytes.p, bytes.len, e.raw_hash);
    hash_bytes128(place, sizeof place, identity);
    memset(a->states, VAL_ERROR, a->g->conf->tables[table].schema.column_count);
    bool accepted = sink_bad_row(a->lane, table, &e, identity, a->vals, a->states);
    buf_fini(&raw);
    return accepted;
}

/* *stopping: the pipeline is. */
static struct err *apply_rows(struct apply *a, const struct log_record *r, bool *stopping)
{
    struct ingest_payload p;
    if (!a->has_map || !ingest_payload_get(r->payload, r->len, &p) || p.table >= a->map.count)
        return bad_record(a->g, r);
    const struct ingest_mapped *m = &a->map.tables[p.table];
    const uint8_t *at = p.rows, *end = p.rows + p.rows_len, *row;
    size_t len;
    enum row_op op;
    for (uint32_t number = 1;
         m->table < UINT32_MAX && !*stopping && ingest_payload_row(&at, end, &op, &row, &len); number++) {
        arena_reset(&a->row_arena);
        if (UNLIKELY(!row_decode(&a->row_arena, &m->was, row, len, a->was_vals, a->was_states))) {
            *stopping = !send_bad(a, r, m->table, number, op, (struct str){row, (uint32_t)len, 0});
            continue;
        }
        map_row(a, m);
        *stopping = !sink_row(a->lane, m->table, op, a->vals, a->states);
    }
    if (m->table < UINT32_MAX && !*stopping && at != end)
        return bad_record(a->g, r);
    a->received_us = p.received_us;
    return NULL;
}

static bool commit(struct apply *a, uint64_t offset)
{
    uint8_t bytes[POSITION_BYTES];
    char text[24];
    a->at.offset = offset;
    position_put(bytes, a->at);
    snprintf(text, sizeof text, "%" PRIu64, offset);
    return sink_commit(a->lane, bytes, sizeof bytes, text, a->received_us);
}

static struct err *apply_one(struct apply *a, const struct log_record *r, bool *stopping)
{
    if (r->kind == LOG_HEAD)
        TRY(take_head(a, r));
    if (r->kind == LOG_ROWS)
        TRY(apply_rows(a, r, stopping));
    *stopping = *stopping || !commit(a, r->end);
    return NULL;
}

static void tell(struct apply *a)
{
    struct ingest *g = a->g;
    uint8_t durable[SOURCE_POSITION_MAX];
    struct position p;
    size_t len = sink_durable_position(g->sink, durable, sizeof durable);
    if (position_get(durable, len, &p) && p.id == a->at.id && p.offset > atomic_load(&g->released)) {
        atomic_store(&g->released, p.offset);
        ingest_log_release(g->log, p.offset);
    }
    uint64_t end = ingest_log_end(g->log);
    atomic_store_explicit(&g->status->last_contact_us, unix_us(), memory_order_relaxed);
    atomic_store_explicit(&g->status->lag_bytes, (int64_t)(end - a->at.offset), memory_order_relaxed);
    atomic_store_explicit(&g->status->log_bytes, (int64_t)(end - ingest_log_start(g->log)),
                          memory_order_relaxed);
}

#define TELL_RECORDS 256 /* under load, what became durable is looked at this often */

static struct err *apply_all(struct apply *a)
{
    bool stopping = false, found;
    struct log_record r;
    TRY(find_head(a));
    stopping =
        !commit(a, a->at.offset); /* a source that has none yet gets a position: its views are complete */
    sink_flush(a->lane);
    for (uint32_t n = 0; !stopping && !sink_stopping(a->g->sink); n++) {
        if (atomic_load(&a->g->failed))
            return err_new(ERR_RESTART, "the disk failed under the log: opening it anew");
        TRY(ingest_log_read(a->g->log, a->at.offset, &r, &found));
        if (found)
            TRY(apply_one(a, &r, &stopping));
        if (!found || n % TELL_RECORDS == 0)
            tell(a);
        if (!found) {
            sink_flush(a->lane);
            ingest_log_wait(a->g->log, a->at.offset, IDLE_MS);
        }
    }
    return NULL;
}

static void apply_init(struct apply *a, struct ingest *g, struct position at)
{
    *a = (struct apply){.g = g, .lane = sink_lane_get(g->sink, 0), .at = at};
    arena_init(&a->schema_arena);
    arena_init(&a->row_arena);
    a->vals = xcalloc(COLUMNS_MAX, sizeof *a->vals);
    a->was_vals = xcalloc(COLUMNS_MAX, sizeof *a->was_vals);
    a->states = xcalloc(COLUMNS_MAX, 1);
    a->was_states = xcalloc(COLUMNS_MAX, 1);
}

static void apply_fini(struct apply *a)
{
    arena_fini(&a->schema_arena);
    arena_fini(&a->row_arena);
    free(a->vals);
    free(a->was_vals);
    free(a->states);
    free(a->was_states);
}

/* ---- beginning and ending ---- */

static void take_requests(struct ingest *g)
{
    pthread_mutex_lock(&g->conf->lock);
    g->conf->running = g;
    pthread_mutex_unlock(&g->conf->lock);
}

/* Those that are under way are let finish: their rows are in the log, and applied after the next start. */
static void end_requests(struct ingest *g)
{
    if (g->log)
        ingest_log_stop(g->log);
    pthread_mutex_lock(&g->conf->lock);
    g->conf->running = NULL;
    while (g->inside)
        pthread_cond_wait(&g->left, &g->conf->lock);
    pthread_mutex_unlock(&g->conf->lock);
}

static struct err *run(struct ingest *g, const void *resume, size_t resume_len)
{
    struct position at;
    bool known = position_get(resume, resume_len, &at);
    TRY(open_with_patience(g, known ? at.offset : 0));
    if (!g->log)
        return NULL; /* stopping */
    TRY(check_position(g, known, &at));
    TRY(load_keys(g, at.offset));
    atomic_store(&g->released, at.offset);
    struct apply a;
    apply_init(&a, g, at);
    tell(&a);
    sink_set_state(g->sink, SOURCE_STREAMING, NULL);
    take_requests(g);
    struct err *e = apply_all(&a);
    apply_fini(&a);
    return e;
}

struct err *ingest_run(void *conf, struct sink *sink, const struct table_def *tables, uint32_t table_count,
                       const bool *wanted, const void *resume, size_t resume_len)
{
    (void)tables, (void)table_count, (void)wanted;
    struct ingest g = {.conf = conf, .sink = sink, .status = sink_status(sink)};
    pthread_mutex_init(&g.lock, NULL);
    pthread_cond_init(&g.changed, NULL);
    pthread_cond_init(&g.left, NULL);
    ingest_keys_init(&g.keys);
    struct err *e = run(&g, resume, resume_len);
    end_requests(&g);
    ingest_log_close(g.log);
    ingest_keys_fini(&g.keys);
    buf_fini(&g.schema);
    pthread_mutex_destroy(&g.lock);
    pthread_cond_destroy(&g.changed);
    pthread_cond_destroy(&g.left);
    return e;
}

static uint32_t ingest_lane_count(const void *conf)
{
    (void)conf;
    return 1;
}

static void ingest_data_dir(void *conf, const char *dir, int64_t reserve_bytes)
{
    (void)reserve_bytes;
    ((struct ingest_conf *)conf)->data_dir = dir;
}

const struct source_kind source_kind_ingest = {
    .name = "ingest",
    .help = "rows pushed over HTTP, logged durably before they are acknowledged",
    .configure = ingest_configure,
    .describe = ingest_describe,
    .data_dir = ingest_data_dir,
    .lane_count = ingest_lane_count,
    .run = ingest_run,
};
