/* A request to push rows: parsed, appended, answered once on disk; see ingest.h. Any thread. */
#include "source/ingest/ingest.h"
#include "base/clock.h"
#include "base/nearest.h"

#include "types/digest.h"

#include <time.h>

static bool refuse(struct ingest_result *out, int status, const char *code, const char *message,
                   const char *hint)
{
    ingest_refuse(&out->refusal, status, code, "%s", message);
    snprintf(out->refusal.hint, sizeof out->refusal.hint, "%s", hint ? hint : "");
    return false;
}

static bool refuse_unavailable(struct ingest_result *out)
{
    return refuse(out, 503, "PENSTOCK_INGEST_AWAY", "the source does not take rows at this moment",
                  "Nothing was stored: send it again in a moment.");
}

/* ---- the running source ---- */

static struct ingest *enter(struct ingest_conf *conf)
{
    pthread_mutex_lock(&conf->lock);
    struct ingest *g = conf->running;
    if (g)
        g->inside++;
    pthread_mutex_unlock(&conf->lock);
    return g;
}

static void leave(struct ingest_conf *conf, struct ingest *g)
{
    pthread_mutex_lock(&conf->lock);
    if (--g->inside == 0)
        pthread_cond_broadcast(&g->left); /* the source may be waiting to end */
    pthread_mutex_unlock(&conf->lock);
}

/* ---- Idempotency-Key ---- */

static void key_make(const struct ingest_request *q, struct ingest_key *out)
{
    struct buf b = {0};
    uint8_t digest[32];
    buf_printf(&b, "%s %s %s", q->deletes ? "delete" : "post", q->table, q->key);
    digest_sha2(b.p, b.len, 256, digest);
    memcpy(out->key, digest, sizeof out->key);
    digest_sha2(q->body, q->body_len, 256, digest);
    memcpy(out->body, digest, sizeof out->body);
    buf_fini(&b);
}

enum claim { CLAIM_NEW, CLAIM_REPEATED, CLAIM_OTHER };

/* New: the key is now this request's, in the making. Otherwise waits until the earlier request with it is through. */
static enum claim key_claim(struct ingest *g, const struct ingest_key *key, struct ingest_result *out)
{
    enum claim claim = CLAIM_NEW;
    pthread_mutex_lock(&g->lock);
    struct ingest_seen *seen;
    while ((seen = ingest_keys_find(&g->keys, key)) && !seen->end)
        pthread_cond_wait(&g->changed, &g->lock);
    if (!seen) {
        ingest_keys_add(&g->keys, key, 0, 0);
    } else if (memcmp(seen->key.body, key->body, sizeof key->body) != 0) {
        claim = CLAIM_OTHER;
    } else {
        claim = CLAIM_REPEATED;
        out->repeated = true;
        out->row_count = seen->row_count;
        out->position = seen->end;
    }
    pthread_mutex_unlock(&g->lock);
    return claim;
}

static void key_settle(struct ingest *g, const struct ingest_key *key, uint64_t end, uint32_t row_count)
{
    pthread_mutex_lock(&g->lock);
    struct ingest_seen *seen = ingest_keys_find(&g->keys, key);
    if (seen && end) {
        seen->end = end;
        seen->row_count = row_count;
    } else if (seen) {
        ingest_keys_remove(&g->keys, key);
    }
    pthread_cond_broadcast(&g->changed);
    pthread_mutex_unlock(&g->lock);
}

/* ---- appending ---- */

static bool refuse_append(enum log_result result, struct ingest_result *out)
{
    if (result == LOG_FULL)
        return refuse(out, 507, "PENSTOCK_INGEST_FULL", "the disk is full: nothing was stored",
                      "Send it again once there is space.");
    if (result == LOG_CLOSED)
        return refuse_unavailable(out);
    return refuse(out, 503, "PENSTOCK_INGEST_DISK",
                  "the disk failed while the rows were written; whether they are stored is not known",
                  "Send it again with the same Idempotency-Key.");
}

static bool append(struct ingest *g, const struct ingest_payload *head, struct ingest_work *w,
                   struct ingest_result *out)
{
    struct buf *b = &w->record;
    buf_reset(b);
    ingest_payload_put(b, head);
    buf_put(b, w->rows.p, w->rows.len);
    uint64_t end = 0;
    enum log_result result = ingest_log_append(g->log, LOG_ROWS, b->p, b->len, &end);
    if (head->has_key)
        key_settle(g, &head->key, result == LOG_DONE ? end : 0, head->row_count);
    if (result == LOG_BROKEN)
        atomic_store(&g->failed, true);
    if (result != LOG_DONE)
        return refuse_append(result, out);
    out->row_count = head->row_count;
    out->position = end;
    return true;
}

static const struct ingest_table *table_find(const struct ingest_conf *conf, const char *name,
                                             uint32_t *index)
{
    for (uint32_t t = 0; t < conf->table_count; t++)
        if (strcmp(conf->tables[t].name, name) == 0) {
            *index = t;
            return &conf->tables[t];
        }
    return NULL;
}

static void refuse_table(const struct ingest_conf *conf, const char *name, struct ingest_refusal *r)
{
    struct nearest near;
    nearest_init(&near, name);
    for (uint32_t t = 0; t < conf->table_count; t++)
        nearest_offer(&near, conf->tables[t].name);
    ingest_refuse(r, 404, "PENSTOCK_NOT_FOUND", "source %s has no table %.63s", conf->source_name, name);
    if (near.best)
        snprintf(r->hint, sizeof r->hint, "Perhaps you meant %s.", near.best);
}

static bool key_ok(const struct ingest_request *q, struct ingest_result *out)
{
    if (!q->key || (*q->key && strlen(q->key) <= INGEST_KEY_BYTES_MAX))
        return true;
    return refuse(out, 400, "PENSTOCK_INGEST_KEY", "Idempotency-Key: expected 1 to 255 characters", NULL);
}

/* Rows that the store has not made durable yet stay in the log: its size is the bound. */
static bool room_ok(struct ingest *g, struct ingest_result *out)
{
    uint64_t waiting = ingest_log_end(g->log) - atomic_load(&g->released);
    if (waiting <= (uint64_t)g->conf->log_bytes)
        return true;
    return refuse(out, 503, "PENSTOCK_INGEST_BEHIND",
                  "more rows wait to be applied than log_bytes allows: nothing was stored",
                  "Send it again in a moment; `penstock status` shows how much waits.");
}

static bool push(struct ingest *g, const struct ingest_request *q, struct ingest_result *out)
{
    struct ingest_payload head = {.received_us = unix_us(), .has_key = q->key != NULL};
    const struct ingest_table *t = table_find(g->conf, q->table, &head.table);
    if (!t) {
        refuse_table(g->conf, q->table, &out->refusal);
        return false;
    }
    if (!key_ok(q, out) || !room_ok(g, out) ||
        !ingest_parse(q->work, t, q->form, q->deletes, q->body, q->body_len, &q->work->rows, &head.row_count,
                      &out->refusal))
        return false;
    if (q->key) {
        key_make(q, &head.key);
        enum claim claim = key_claim(g, &head.key, out);
        if (claim == CLAIM_OTHER)
            return refuse(out, 422, "PENSTOCK_INGEST_KEY",
                          "this Idempotency-Key was sent before with another body: nothing was stored",
                          "A key belongs to one request; take another one for other rows.");
        if (claim == CLAIM_REPEATED)
            return true;
    }
    if (head.row_count == 0 && !q->key) {
        out->position = ingest_log_end(g->log);
        return true;
    }
    return append(g, &head, q->work, out);
}

bool ingest_push(struct ingest_conf *conf, const struct ingest_request *q, struct ingest_result *out)
{
    *out = (struct ingest_result){0};
    struct ingest *g = enter(conf);
    if (!g)
        return refuse_unavailable(out);
    bool ok = push(g, q, out);
    struct gate_source *s = g->status;
    if (ok && !out->repeated)
        atomic_fetch_add_explicit(&s->accepted, out->row_count, memory_order_relaxed);
    if (!ok)
        atomic_fetch_add_explicit(&s->refused, 1, memory_order_relaxed);
    leave(conf, g);
    return ok;
}
