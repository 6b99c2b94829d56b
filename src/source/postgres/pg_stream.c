/* Streaming: START_REPLICATION, messages to the pipeline, positions back to the server.
 *
 * What the server is told to be flushed is only ever a position that is durable here; while the tables are idle, the
 * position itself moves on with the server's keepalives, so that WAL never piles up behind a quiet table. */
#include "source/postgres/pg_apply.h"
#include "source/postgres/pg_spool.h"
#include "base/log.h"
#include <inttypes.h>
#include <stdlib.h>

#define POLL_MS              250      /* how soon a stop or a newly durable position is seen while idle */
#define STATUS_EVERY_US      10000000 /* tell the server where we are at least so often */
#define STATUS_DURABLE_US    200000   /* and on newly durable positions, but not more often than this */
#define KEEP_ALIVE_US        1000000  /* likewise while the pipeline takes nothing, or much is to be taken */
#define IDLE_COMMIT_US       250000   /* how often the position alone is committed */
#define SILENCE_ASK_US       30000000 /* a silent server is asked for a keepalive, */
#define SILENCE_LOST_US      75000000 /* and given up */
#define SPOOL_LOOK_US        1000000  /* how often the spool looks whether the store needs its room */
#define CLOCK_EVERY_MESSAGES 256      /* how often the clock is looked at under load */

/* In the spool, in place of changes that nobody here reads: this byte, and how many. They are counted among a transaction's
 * changes, as they are when it comes whole: it may have been begun the one way and come again the other. */
#define PASSED       '#'
#define PASSED_BYTES (1 + sizeof(uint64_t))

struct stream {
    struct pg_run *run;
    PGconn *conn;
    struct pg_apply *apply;
    struct pgo_message *message; /* owned: too large for the stack */
    struct arena arena;
    /* The open transaction: */
    bool open, repeated;   /* repeated: it was taken before the connection broke */
    uint64_t skip_changes; /* the first ones of it were taken */
    int64_t commit_us;
    /* Transactions that come in parts: between a start and a stop of one, and which. */
    struct pg_spool *spool; /* owned; NULL: none do */
    bool in_part;
    uint32_t part_xid;
    uint32_t replayed;
    uint64_t passed;        /* changes in a row that nobody reads and that are not in the spool yet, */
    uint32_t passed_subxid; /* by this subtransaction */
    int64_t spool_look_us;
    /* Where things stand: */
    pg_lsn server_end, flushed;
    bool reply_due;
    struct pg_watch *watch;
    int64_t now_us, status_us, idle_commit_us, heard_us, asked_us; /* steady */
};

struct err *pg_position_commit(struct pg_run *run, int64_t commit_us)
{
    uint8_t bytes[SOURCE_POSITION_MAX];
    char text[PG_LSN_TEXT];
    size_t len = pg_position_encode(&run->position, bytes);
    pg_lsn_format(run->position.lsn, text);
    return sink_commit(run->lane, bytes, len, text, commit_us) ? NULL : pg_stopping();
}

/* ---- feedback ---- */

static pg_lsn durable_lsn(struct stream *s)
{
    uint8_t bytes[SOURCE_POSITION_MAX];
    struct pg_position p;
    size_t len = sink_durable_position(s->run->sink, bytes, sizeof bytes);
    /* A position of an earlier snapshot or server says nothing about this slot. */
    if (len == 0 || !pg_position_decode(bytes, len, &p) || p.phase != PG_PHASE_STREAMING ||
        p.system_identifier != s->run->position.system_identifier || p.lsn > s->run->position.lsn)
        return 0;
    return p.lsn;
}

static struct err *status_send(struct stream *s, bool ask)
{
    uint8_t bytes[PGO_STATUS_BYTES];
    pg_lsn durable = durable_lsn(s);
    if (durable > s->flushed)
        s->flushed = durable;
    pg_lsn written = s->open || s->server_end < s->run->position.lsn ? s->run->position.lsn : s->server_end;
    pgo_status_encode(bytes, written, s->flushed, unix_us() - PG_EPOCH_US, ask);
    if (PQputCopyData(s->conn, (const char *)bytes, sizeof bytes) < 0 || PQflush(s->conn) < 0)
        return pg_error(s->run->conf, s->conn, NULL, "replication broken off");
    s->status_us = s->now_us;
    s->reply_due = false;
    return NULL;
}

static struct err *status_maybe_send(struct stream *s)
{
    int64_t age = s->now_us - s->status_us;
    bool silent = s->now_us - s->heard_us > SILENCE_ASK_US && s->now_us - s->asked_us > SILENCE_ASK_US;
    if (silent)
        s->asked_us = s->now_us;
    if (s->reply_due || silent || age >= STATUS_EVERY_US ||
        (age >= STATUS_DURABLE_US && durable_lsn(s) > s->flushed))
        return status_send(s, silent);
    return NULL;
}

/* The server's question whether we are alive may stand behind much that is not read yet. */
static void busy(struct stream *s)
{
    s->reply_due = s->reply_due || s->now_us - s->status_us >= KEEP_ALIVE_US;
}

static void gauges_update(struct stream *s)
{
    struct gate_source *g = s->run->status;
    pg_lsn taken = s->run->position.lsn;
    int64_t lag = s->server_end > taken ? (int64_t)(s->server_end - taken) : 0;
    atomic_store_explicit(&g->lag_bytes, lag, memory_order_relaxed);
    if (lag == 0)
        atomic_store_explicit(&g->stats.caught_up_us, unix_us(), memory_order_relaxed);
    if (s->spool)
        atomic_store_explicit(&g->log_bytes, pg_spool_bytes(s->spool), memory_order_relaxed);
    atomic_store_explicit(&g->last_contact_us, unix_us() - (s->now_us - s->heard_us), memory_order_relaxed);
}

/* ---- transactions ---- */

static struct err *begin(struct stream *s, const struct pgo_message *m)
{
    struct pg_partial *partial = &s->run->partial;
    s->open = true;
    s->repeated = m->lsn < s->run->position.lsn;
    s->skip_changes = 0;
    if (s->repeated)
        return NULL;
    if (partial->changes && (partial->xid != m->xid || partial->lsn != m->lsn)) {
        s->run->snapshot_reason = "a transaction that was cut off by a lost connection did not come again";
        return err_new(ERR_SOURCE, "%s", s->run->snapshot_reason);
    }
    s->skip_changes = partial->changes;
    partial->xid = m->xid;
    partial->lsn = m->lsn;
    s->commit_us = m->commit_us + PG_EPOCH_US;
    return NULL;
}

static struct err *commit(struct stream *s, const struct pgo_message *m)
{
    s->open = false;
    if (s->repeated)
        return NULL;
    if (s->skip_changes) {
        s->run->snapshot_reason = "a transaction that was cut off by a lost connection came back shorter";
        return err_new(ERR_SOURCE, "%s", s->run->snapshot_reason);
    }
    if (m->end_lsn > s->run->position.lsn)
        s->run->position.lsn = m->end_lsn;
    sink_transaction(s->run->lane, s->run->partial.xid);
    TRY(pg_position_commit(s->run, s->commit_us));
    s->run->partial = (struct pg_partial){0};
    return NULL;
}

static void changes_pass(struct stream *s, uint64_t count)
{
    uint64_t skipped = count < s->skip_changes ? count : s->skip_changes;
    if (s->repeated)
        return;
    s->skip_changes -= skipped;
    s->run->partial.changes += count - skipped;
}

static struct err *change(struct stream *s, const struct pgo_message *m)
{
    if (!s->open)
        return err_new(ERR_SOURCE, "the replication stream has a change outside of a transaction");
    if (s->repeated)
        return NULL;
    if (s->skip_changes) {
        s->skip_changes--;
        return NULL;
    }
    TRY(pg_apply_change(s->apply, m));
    s->run->partial.changes++;
    return NULL;
}

/* ---- transactions that come in parts ---- */

/* The server keeps them itself where we cannot. */
static struct err *kept(struct stream *s, struct err *e)
{
    if (!e || (e->code != ERR_LIMIT && e->code != ERR_IO && e->code != ERR_SPACE))
        return e;
    char *text = err_text(e);
    log_warn("source", "transactions in progress cannot be kept here: the server keeps them from now on",
             "source=%s error=\"%s\"", s->run->conf->source_name, text);
    free(text);
    s->run->spool_full = true;
    e->code = ERR_SOURCE;
    return e;
}

static struct err *passed_put(struct stream *s)
{
    uint8_t note[PASSED_BYTES] = {PASSED};
    if (!s->passed)
        return NULL;
    memcpy(note + 1, &s->passed, sizeof s->passed);
    s->passed = 0;
    return kept(s, pg_spool_put(s->spool, s->part_xid, s->passed_subxid, note, sizeof note));
}

static struct err *pass(struct stream *s, uint32_t subxid)
{
    if (s->passed && s->passed_subxid != subxid)
        TRY(passed_put(s));
    s->passed_subxid = subxid;
    s->passed++;
    return NULL;
}

/* A message between start and stop: kept as it is, unless nothing here reads it. */
static struct err *part_put(struct stream *s, const uint8_t *p, size_t len)
{
    if (len == 1 && *p == PGO_STREAM_STOP) {
        s->in_part = false;
        return passed_put(s);
    }
    if (len && (*p == PGO_ORIGIN || *p == PGO_TYPE || *p == PGO_LOGICAL))
        return NULL;
    if (len < 9 || !memchr("RIUDT", *p, 5))
        return err_new(ERR_SOURCE,
                       "the replication stream has a strange message within a transaction in progress");
    uint32_t subxid = pgo_u32(p + 1);
    if (*p != PGO_RELATION && *p != PGO_TRUNCATE && !pg_table_by_relid(s->run, pgo_u32(p + 5)))
        return pass(s, subxid);
    TRY(passed_put(s));
    return kept(s, pg_spool_put(s->spool, s->part_xid, subxid, p, len));
}

/* A long one must not look like silence to the server. */
static struct err *replay_pause(struct stream *s)
{
    s->now_us = s->heard_us = steady_us();
    busy(s);
    TRY(status_maybe_send(s));
    gauges_update(s);
    return sink_stopping(s->run->sink) ? pg_stopping() : NULL;
}

static struct err *replay_message(void *arg, const uint8_t *p, size_t len)
{
    struct stream *s = arg;
    struct pgo_message *m = s->message;
    if (++s->replayed % CLOCK_EVERY_MESSAGES == 0)
        TRY(replay_pause(s));
    if (len == PASSED_BYTES && *p == PASSED) {
        uint64_t count;
        memcpy(&count, p + 1, sizeof count);
        changes_pass(s, count);
        return NULL;
    }
    const char *wrong = pgo_message_decode(p, len, true, m);
    if (wrong)
        return err_new(ERR_SOURCE, "%s", wrong);
    return m->kind == PGO_RELATION ? pg_apply_relation(s->apply, m, s->server_end) : change(s, m);
}

/* It counts from here on as if it had come whole. What it announces of tables must be read even when its rows are not. */
static struct err *part_commit(struct stream *s, const struct pgo_message *m)
{
    struct pgo_message *end = s->message;
    pg_lsn lsn = m->lsn, end_lsn = m->end_lsn;
    TRY(begin(s, m));
    TRY(kept(s, pg_spool_commit(s->spool, m->xid, replay_message, s)));
    end->lsn = lsn;
    end->end_lsn = end_lsn;
    return commit(s, end);
}

static struct err *part_message(struct stream *s, const struct pgo_message *m)
{
    if (!s->spool || s->open)
        return err_new(ERR_SOURCE,
                       "the replication stream has a transaction in progress, which was not asked for");
    switch (m->kind) {
    case PGO_STREAM_START:
        s->in_part = true;
        s->part_xid = m->xid;
        return NULL;
    case PGO_STREAM_COMMIT: return part_commit(s, m);
    case PGO_STREAM_ABORT: return kept(s, pg_spool_abort(s->spool, m->xid, m->subxid));
    default: return err_new(ERR_SOURCE, "the replication stream has a stop without a start");
    }
}

static struct err *message(struct stream *s, const uint8_t *p, size_t len)
{
    struct pgo_message *m = s->message;
    if (s->in_part)
        return part_put(s, p, len);
    const char *wrong = pgo_message_decode(p, len, false, m);
    if (wrong)
        return err_new(ERR_SOURCE, "%s", wrong);
    switch (m->kind) {
    case PGO_STREAM_START:
    case PGO_STREAM_STOP:
    case PGO_STREAM_COMMIT:
    case PGO_STREAM_ABORT: return part_message(s, m);
    case PGO_BEGIN: return begin(s, m);
    case PGO_COMMIT: return commit(s, m);
    case PGO_RELATION: return pg_apply_relation(s->apply, m, s->server_end);
    case PGO_INSERT:
    case PGO_UPDATE:
    case PGO_DELETE:
    case PGO_TRUNCATE: return change(s, m);
    case PGO_ORIGIN:
    case PGO_TYPE:
    case PGO_LOGICAL: return NULL;
    }
    return NULL;
}

static struct err *frame(struct stream *s, const uint8_t *p, size_t len)
{
    struct pgo_frame f;
    const char *wrong = pgo_frame_decode(p, len, &f);
    if (wrong)
        return err_new(ERR_SOURCE, "%s", wrong);
    if (f.wal_end > s->server_end)
        s->server_end = f.wal_end;
    if (f.kind == PGO_WAL)
        return message(s, f.p, f.len);
    s->reply_due = s->reply_due || f.reply_requested;
    return NULL;
}

/* Between transactions everything before the server's end of WAL has been sent: the position may follow it, though
 * no change of ours did. */
static struct err *idle_commit(struct stream *s)
{
    struct pg_run *run = s->run;
    if (s->open || s->in_part || run->partial.changes || s->server_end <= run->position.lsn ||
        s->now_us - s->idle_commit_us < IDLE_COMMIT_US)
        return NULL;
    s->idle_commit_us = s->now_us;
    run->position.lsn = s->server_end;
    return pg_position_commit(run, 0);
}

/* What the watch has found out. Not within a transaction: the tables that a position holds change between them. */
static struct err *watched_take(struct stream *s)
{
    if (s->open || s->in_part || s->run->partial.changes)
        return NULL;
    struct pg_answer answer = pg_watch_take(s->watch);
    if (!answer.tables)
        return NULL;
    struct err *e = pg_check_since(s->run, &answer, NULL);
    pg_answer_clear(&answer);
    return e;
}

/* The store comes first on their disk: without room it takes nothing in, and what is kept here could never end. */
static struct err *spool_look(struct stream *s)
{
    if (!s->spool || s->now_us - s->spool_look_us < SPOOL_LOOK_US)
        return NULL;
    s->spool_look_us = s->now_us;
    return kept(s, pg_spool_look(s->spool));
}

/* ---- the loop ---- */

static struct err *stream_end(struct stream *s)
{
    struct err *e = NULL;
    PGresult *r = PQgetResult(s->conn);
    e = pg_error(s->run->conf, s->conn, PQresultStatus(r) == PGRES_FATAL_ERROR ? r : NULL,
                 "replication broken off");
    PQclear(r);
    return e;
}

/* Takes what has come in; *taken tells whether there was anything. */
static struct err *take_available(struct stream *s, bool *taken)
{
    *taken = false;
    for (uint32_t n = 0; n < CLOCK_EVERY_MESSAGES; n++) {
        char *bytes = NULL;
        int len = PQgetCopyData(s->conn, &bytes, 1);
        if (len == 0)
            return NULL;
        if (len < 0)
            return stream_end(s);
        *taken = true;
        struct err *e = frame(s, (const uint8_t *)bytes, (size_t)len);
        PQfreemem(bytes);
        TRY(e);
    }
    return NULL;
}

static struct err *wait_for_more(struct stream *s)
{
    int unsent = PQflush(s->conn);
    if (unsent < 0)
        return pg_error(s->run->conf, s->conn, NULL, "replication broken off");
    sink_flush(s->run->lane);
    if (pg_wait(s->conn, unsent > 0, POLL_MS) && !PQconsumeInput(s->conn))
        return pg_error(s->run->conf, s->conn, NULL, "replication broken off");
    return NULL;
}

/* While the pipeline takes nothing the server still hears of us, or it would give the connection up (wal_sender_timeout). A
 * failure is found again by whoever reads next. */
static void keep_alive(void *ctx)
{
    struct stream *s = ctx;
    s->now_us = steady_us();
    s->reply_due = true;
    if (s->now_us - s->status_us >= KEEP_ALIVE_US)
        err_free(status_maybe_send(s));
}

static struct err *stream_loop(struct stream *s)
{
    while (!sink_stopping(s->run->sink)) {
        bool taken;
        TRY(take_available(s, &taken));
        s->now_us = steady_us();
        if (taken) {
            s->heard_us = s->now_us;
            busy(s);
        } else if (s->now_us - s->heard_us > SILENCE_LOST_US) {
            return err_new(ERR_SOURCE, "replication broken off: the server has been silent for %d s",
                           SILENCE_LOST_US / 1000000);
        }
        TRY(watched_take(s));
        TRY(spool_look(s));
        TRY(idle_commit(s));
        TRY(status_maybe_send(s));
        gauges_update(s);
        if (!taken)
            TRY(wait_for_more(s));
    }
    return pg_stopping();
}

/* Another reader may have moved the slot on between the look at it and the start, and the server then skips what lies
 * between without a word. Now that the slot is ours nobody else can. */
static struct err *check_slot(struct pg_run *run, PGconn *sql)
{
    struct pg_slot slot;
    TRY(pg_slot_read(run, sql, &slot));
    if (slot.exists && slot.confirmed <= run->position.lsn)
        return NULL;
    return err_new(ERR_SOURCE, "replication slot %s was moved on by another reader just now",
                   run->conf->slot);
}

struct err *pg_stream_start(struct pg_run *run, PGconn *replication, PGconn *sql)
{
    struct arena *a = &run->arena;
    char lsn[PG_LSN_TEXT];
    /* The option's value is a list of identifiers inside a literal: quoted twice. */
    const char *names = pg_quote_literal(a, pg_quote_ident(a, run->conf->publication));
    /* Version 2 and streaming came with PostgreSQL 14. */
    run->in_parts =
        run->conf->streaming && run->conf->data_dir && !run->spool_full && PQserverVersion(sql) >= 140000;
    const char *text =
        arena_printf(a, "START_REPLICATION SLOT %s LOGICAL %s (proto_version '%s', publication_names %s)",
                     pg_quote_ident(a, run->conf->slot), pg_lsn_format(run->position.lsn, lsn),
                     run->in_parts ? "2', streaming 'on" : "1", names);
    PGresult *r = NULL;
    TRY(pg_exec(run->conf, replication, &run->stop, "cannot start replication", PGRES_COPY_BOTH, text, 0,
                NULL, &r));
    PQclear(r);
    TRY(check_slot(run, sql));
    log_info("source", "streaming", "source=%s slot=%s from=%s in_parts=%d", run->conf->source_name,
             run->conf->slot, lsn, run->in_parts);
    sink_set_state(run->sink, SOURCE_STREAMING, NULL);
    run->streamed = true;
    return NULL;
}

/* The rows of a transaction that was cut off: back out of the lane, or else remembered to be passed by next time. */
static void cut_off(struct stream *s)
{
    struct pg_run *run = s->run;
    if (run->partial.changes && sink_rollback(run->lane))
        run->partial = (struct pg_partial){0};
}

struct err *pg_stream_run(struct pg_run *run, PGconn *replication)
{
    struct stream s = {.run = run,
                       .conn = replication,
                       .apply = pg_apply_new(run),
                       .message = xcalloc(1, sizeof *s.message),
                       .now_us = steady_us()};
    s.heard_us = s.status_us = s.now_us;
    arena_init(&s.arena);
    if (run->in_parts) {
        struct pg_spool_conf c = {.dir = run->conf->data_dir,
                                  .name = run->conf->source_name,
                                  .limit_bytes = run->conf->spool_bytes,
                                  .reserve_bytes = run->conf->spool_reserve_bytes};
        s.spool = pg_spool_new(&c);
    }
    s.watch = pg_watch_start(run);
    sink_on_wait(run->sink, keep_alive, &s);
    struct err *e = stream_loop(&s);
    sink_on_wait(run->sink, NULL, NULL);
    pg_watch_stop(s.watch);
    cut_off(&s);
    pg_spool_free(s.spool);
    atomic_store_explicit(&run->status->log_bytes, 0, memory_order_relaxed);
    arena_fini(&s.arena);
    free(s.message);
    pg_apply_free(s.apply);
    return e;
}
