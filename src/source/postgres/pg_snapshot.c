/* The snapshot: every wanted table as of the moment the slot begins at, read by several connections at once.
 *
 * Tables are cut into ranges of pages (ctid), which the workers take in turn, largest tables first. All connections
 * import the snapshot that the slot's creation exported, so together they read one state, and the stream goes on
 * exactly from it: no gap, no overlap. Rows are taken unbuffered from the socket into the worker's own lane. */
#include "source/postgres/pg_bad.h"
#include "source/postgres/pg_copy.h"
#include "base/log.h"
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>

#define COMMIT_ROWS        8192 /* bounds what a lane holds open; views are hidden meanwhile */
#define PROGRESS_ROWS      1024
#define WORKER_STACK_BYTES (512u << 10) /* musl's default is too small for libpq with TLS */
#define STOP_POLL_MS       200

struct chunk {
    const struct pg_table *table;
    int64_t from_page, to_page; /* to_page -1: to the end, however far it has grown */
};
struct snapshot {
    struct pg_run *run;
    const char *name;
    struct chunk *chunks;
    uint32_t chunk_count;
    atomic_uint next;
    atomic_bool failed;
    atomic_bool stuck; /* a worker's rows could not be taken back */
    pthread_mutex_t lock;
    struct err *error; /* owned, guarded by lock: the first one */
};
struct worker {
    struct snapshot *snapshot;
    pthread_t thread;
    bool started;
    struct sink_lane *lane;
    /* Scratch of the row loop: */
    struct arena arena, text_arena;
    struct pg_reader reader;
    struct pg_copy_field *fields;
    uint32_t *columns; /* per field: column of the table */
    uint32_t field_count;
    union val *vals;
    uint8_t *states;
    uint64_t rows;
};

static bool snapshot_stopped(void *arg)
{
    struct snapshot *s = arg;
    return atomic_load_explicit(&s->failed, memory_order_relaxed) || pg_stop_wanted(&s->run->stop);
}

/* ---- the work list ---- */

static int by_size_desc(const void *a, const void *b)
{
    int64_t x = (*(const struct pg_table *const *)a)->rel->bytes,
            y = (*(const struct pg_table *const *)b)->rel->bytes;
    return x < y ? 1 : x > y ? -1 : 0;
}

static void table_cut(struct snapshot *s, const struct pg_table *t, bool splittable)
{
    int64_t pages = t->rel->bytes / s->run->catalog->block_bytes,
            step = s->run->conf->snapshot_chunk_bytes / s->run->catalog->block_bytes;
    int64_t from = 0;
    for (; splittable && from + step + step / 2 < pages; from += step)
        s->chunks[s->chunk_count++] = (struct chunk){t, from, from + step};
    s->chunks[s->chunk_count++] = (struct chunk){t, from, -1};
}

/* Scans of a ctid range read only that range from PostgreSQL 14 on. */
static void chunks_make(struct snapshot *s, bool splittable)
{
    struct pg_run *run = s->run;
    const struct pg_table **order = ARENA_ARRAY(&run->arena, const struct pg_table *, run->table_count + 1);
    uint64_t room = 0;
    double rows = 0;
    for (uint32_t i = 0; i < run->table_count; i++) {
        const struct pg_relation *rel = run->tables[i].rel;
        order[i] = &run->tables[i];
        room += 2 + (uint64_t)(rel->bytes / run->conf->snapshot_chunk_bytes);
        rows += rel->rows >= 0 ? rel->rows : (double)rel->bytes / 100;
    }
    qsort(order, run->table_count, sizeof(struct pg_table *), by_size_desc);
    s->chunks = ARENA_ARRAY(&run->arena, struct chunk, room + 1);
    for (uint32_t i = 0; i < run->table_count; i++)
        table_cut(s, order[i], splittable);
    atomic_store(&run->status->snapshot_done, 0);
    atomic_store(&run->status->snapshot_total, (uint64_t)rows);
}

/* ---- one chunk ---- */

static const char *copy_sql(struct worker *w, const struct chunk *c)
{
    struct arena *a = &w->text_arena;
    const struct pg_table *t = c->table;
    const char *list = "";
    w->field_count = 0;
    for (uint32_t i = 0; i < t->def->schema.column_count; i++) {
        w->states[i] = VAL_NULL;
        if (!t->columns[i])
            continue;
        list = arena_printf(a, "%s%s%s", list, w->field_count ? ", " : "",
                            pg_quote_ident(a, t->columns[i]->name));
        w->columns[w->field_count++] = i;
    }
    const char *where = "";
    if (c->from_page > 0)
        where = arena_printf(a, " WHERE ctid >= '(%" PRId64 ",0)'::tid", c->from_page);
    if (c->to_page >= 0)
        where = arena_printf(a, "%s %s ctid < '(%" PRId64 ",0)'::tid", where, *where ? "AND" : "WHERE",
                             c->to_page);
    if (t->rel->row_filter)
        where = arena_printf(a, "%s %s (%s)", where, *where ? "AND" : "WHERE", t->rel->row_filter);
    return arena_printf(a, "COPY (SELECT %s FROM %s%s%s) TO STDOUT", list, t->rel->kind == 'p' ? "" : "ONLY ",
                        t->rel->quoted, where);
}

static struct err *bad_row_take(struct worker *w, const struct pg_table *t, const struct pg_bad *bad)
{
    char lsn[PG_LSN_TEXT], position[PG_LSN_TEXT + 16];
    struct pgo_field *fields = ARENA_ARRAY(&w->arena, struct pgo_field, t->def->schema.column_count + 1);
    for (uint32_t f = 0; f < w->field_count; f++)
        fields[w->columns[f]] = (struct pgo_field){.kind = w->fields[f].p ? PGO_TEXT : PGO_NULL,
                                                   .len = (uint32_t)w->fields[f].len,
                                                   .p = (const uint8_t *)w->fields[f].p};
    snprintf(position, sizeof position, "snapshot at %s", pg_lsn_format(w->snapshot->run->position.lsn, lsn));
    struct pg_bad_row row = {t, w->vals, w->states, fields, bad};
    return pg_bad_send(w->snapshot->run, w->lane, &row, 's', position);
}

static struct err *row_take(struct worker *w, const struct pg_table *t, char *row, size_t len)
{
    if (pg_copy_split(row, len, w->fields, w->field_count) != w->field_count)
        return err_new(ERR_SOURCE, "table %s: a row of COPY has the wrong number of columns", t->rel->quoted);
    struct pg_bad bad = {.column = UINT32_MAX};
    for (uint32_t f = 0; f < w->field_count; f++) {
        uint32_t column = w->columns[f];
        w->states[column] = VAL_NULL;
        if (w->fields[f].p)
            TRY(pg_value_read(&w->reader, t, column, w->fields[f].p, w->fields[f].len, &w->vals[column],
                              &w->states[column], &bad));
    }
    if (UNLIKELY(bad.column != UINT32_MAX))
        TRY(bad_row_take(w, t, &bad));
    else if (!sink_row(w->lane, t->index, ROW_INSERT, w->vals, w->states))
        return pg_stopping();
    if (w->arena.used_bytes)
        arena_reset(&w->arena);
    w->rows++;
    if (w->rows % PROGRESS_ROWS == 0)
        atomic_fetch_add_explicit(&w->snapshot->run->status->snapshot_done, PROGRESS_ROWS,
                                  memory_order_relaxed);
    if (w->rows % COMMIT_ROWS == 0 && !sink_commit(w->lane, NULL, 0, NULL, 0))
        return pg_stopping();
    return NULL;
}

/* Until the copy's end: NULL then. */
static struct err *rows_take(struct worker *w, const struct pg_table *t, PGconn *conn)
{
    for (;;) {
        char *row = NULL;
        int len = PQgetCopyData(conn, &row, 1);
        if (len > 0) {
            struct err *e = row_take(w, t, row, (size_t)len);
            PQfreemem(row);
            TRY(e);
            continue;
        }
        if (len == -1)
            return NULL;
        if (len < -1)
            return pg_error(w->snapshot->run->conf, conn, NULL, "snapshot broken off");
        if (snapshot_stopped(w->snapshot))
            return pg_stopping();
        if (pg_wait(conn, false, STOP_POLL_MS) && !PQconsumeInput(conn))
            return pg_error(w->snapshot->run->conf, conn, NULL, "snapshot broken off");
    }
}

static struct err *copy_end(struct worker *w, PGconn *conn, const struct pg_table *t)
{
    struct err *e = NULL;
    for (PGresult *r; (r = PQgetResult(conn)); PQclear(r))
        if (PQresultStatus(r) != PGRES_COMMAND_OK && !e)
            e = err_wrap(pg_error(w->snapshot->run->conf, conn, r, "snapshot broken off"), "table %s",
                         t->rel->quoted);
    return e;
}

static struct err *chunk_copy(struct worker *w, PGconn *conn, const struct chunk *c)
{
    struct pg_run *run = w->snapshot->run;
    struct pg_stop stop = {snapshot_stopped, w->snapshot};
    uint32_t columns = c->table->def->schema.column_count;
    arena_reset(&w->text_arena);
    w->fields = ARENA_ARRAY(&w->text_arena, struct pg_copy_field, columns + 1);
    w->columns = ARENA_ARRAY(&w->text_arena, uint32_t, columns + 1);
    w->vals = ARENA_ARRAY(&w->text_arena, union val, columns + 1);
    w->states = ARENA_ARRAY(&w->text_arena, uint8_t, columns + 1);
    PGresult *r = NULL;
    struct err *e =
        pg_exec(run->conf, conn, &stop, "cannot read the table", PGRES_COPY_OUT, copy_sql(w, c), 0, NULL, &r);
    if (e)
        return err_wrap(e, "table %s", c->table->rel->quoted);
    PQclear(r);
    TRY(rows_take(w, c->table, conn));
    TRY(copy_end(w, conn, c->table));
    return sink_commit(w->lane, NULL, 0, NULL, 0) ? NULL : pg_stopping();
}

/* ---- workers ---- */

static struct err *chunks_copy(struct worker *w, PGconn *conn)
{
    struct snapshot *s = w->snapshot;
    struct pg_stop stop = {snapshot_stopped, s};
    const struct pg_conf *conf = s->run->conf;
    TRY(pg_do(conf, conn, &stop, "cannot begin the snapshot",
              "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"));
    const char *import = arena_printf(&w->text_arena, "SET TRANSACTION SNAPSHOT %s",
                                      pg_quote_literal(&w->text_arena, s->name));
    TRY(pg_do(conf, conn, &stop, "cannot import the snapshot", import));
    for (;;) {
        uint32_t i = atomic_fetch_add(&s->next, 1);
        if (i >= s->chunk_count)
            break;
        TRY(chunk_copy(w, conn, &s->chunks[i]));
    }
    sink_flush(w->lane);
    return pg_do(conf, conn, &stop, "cannot end the snapshot", "COMMIT");
}

static void snapshot_fail(struct snapshot *s, struct err *e)
{
    pthread_mutex_lock(&s->lock);
    if (s->error)
        err_free(e);
    else
        s->error = e;
    pthread_mutex_unlock(&s->lock);
    atomic_store(&s->failed, true);
}

static void *worker_main(void *arg)
{
    struct worker *w = arg;
    struct pg_stop stop = {snapshot_stopped, w->snapshot};
    arena_init(&w->arena);
    arena_init(&w->text_arena);
    w->reader = (struct pg_reader){.run = w->snapshot->run, .ctx = {.arena = &w->arena}};
    PGconn *conn = NULL;
    struct err *e = pg_connect(w->snapshot->run->conf, PG_CONN_SQL, PG_CONNECT_TIMEOUT_MS, &stop, &conn);
    if (!e) {
        e = pg_data_encoding(w->snapshot->run, conn, &stop);
        if (!e)
            e = chunks_copy(w, conn);
        PQfinish(conn);
    }
    if (e) {
        /* What it has of a chunk must not be committed with the rows of the next snapshot. */
        if (!sink_rollback(w->lane))
            atomic_store(&w->snapshot->stuck, true);
        snapshot_fail(w->snapshot, e);
    }
    atomic_fetch_add_explicit(&w->snapshot->run->status->snapshot_done, w->rows % PROGRESS_ROWS,
                              memory_order_relaxed);
    arena_fini(&w->arena);
    arena_fini(&w->text_arena);
    return NULL;
}

static void worker_start(struct snapshot *s, struct worker *w, uint32_t lane)
{
    w->snapshot = s;
    w->lane = sink_lane_get(s->run->sink, lane);
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, WORKER_STACK_BYTES);
    int rc = pthread_create(&w->thread, &attr, worker_main, w);
    pthread_attr_destroy(&attr);
    w->started = rc == 0;
    if (rc)
        snapshot_fail(s, err_new(ERR_LIMIT, "cannot start a thread for the snapshot: %s", strerror(rc)));
}

struct err *pg_snapshot_take(struct pg_run *run, const char *snapshot_name)
{
    struct snapshot s = {.run = run, .name = snapshot_name, .lock = PTHREAD_MUTEX_INITIALIZER};
    chunks_make(&s, run->catalog->server_version >= 140000);
    uint32_t count =
        run->conf->snapshot_connections < s.chunk_count ? run->conf->snapshot_connections : s.chunk_count;
    struct worker *workers = ARENA_ARRAY(&run->arena, struct worker, count + 1);
    int64_t began_us = steady_us();
    log_info("source", "snapshot begins", "source=%s tables=%" PRIu32 " connections=%" PRIu32,
             run->conf->source_name, run->table_count, count);
    for (uint32_t i = 0; i < count; i++)
        worker_start(&s, &workers[i], i + 1);
    uint64_t rows = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (workers[i].started)
            pthread_join(workers[i].thread, NULL);
        rows += workers[i].rows;
    }
    pthread_mutex_destroy(&s.lock);
    if (s.error) {
        run->stuck = atomic_load(&s.stuck);
        /* All that was committed comes before the next snapshot empties the tables, whatever the lane. */
        if (sink_barrier(run->sink))
            return s.error;
        err_free(s.error);
        return pg_stopping();
    }
    log_info("source", "snapshot read", "source=%s rows=%" PRIu64 " seconds=%.1f", run->conf->source_name,
             rows, (double)(steady_us() - began_us) / 1e6);
    return NULL;
}
