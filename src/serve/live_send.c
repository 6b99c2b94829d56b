/* Handing out events: into each subscriber's queue at once, onto the wire in turns, and a sign of life to those for whom
 * nothing came.
 *
 * Events go into queues while the logs are read; sockets are written to after that, LIVE_FLUSHES_MAX subscribers in a round of
 * the loop, so that one change that ten thousand wait for does not keep everybody else's answers. A subscriber whose queue is
 * over its limit after it was given the chance to send is dropped. */
#include "serve/live.h"

static void unsent_put(struct subscriber *s)
{
    struct live *v = s->live;
    if (s->unsent)
        return;
    s->unsent = true;
    s->unsent_next = NULL;
    s->unsent_prev = v->unsent_last;
    *(v->unsent_last ? &v->unsent_last->unsent_next : &v->unsent_first) = s;
    v->unsent_last = s;
}

static void unsent_remove(struct subscriber *s)
{
    struct live *v = s->live;
    if (!s->unsent)
        return;
    s->unsent = false;
    *(s->unsent_prev ? &s->unsent_prev->unsent_next : &v->unsent_first) = s->unsent_next;
    *(s->unsent_next ? &s->unsent_next->unsent_prev : &v->unsent_last) = s->unsent_prev;
}

/* ---- heartbeats: in the order in which they are due ---- */

static void beat_remove(struct subscriber *s)
{
    struct live *v = s->live;
    *(s->beat_prev ? &s->beat_prev->beat_next : &v->beat_first) = s->beat_next;
    *(s->beat_next ? &s->beat_next->beat_prev : &v->beat_last) = s->beat_prev;
}

void live_beat_start(struct subscriber *s)
{
    struct live *v = s->live;
    s->beat_us = v->loop->now_us + v->loop->options->limits.heartbeat_us;
    s->beat_next = NULL;
    s->beat_prev = v->beat_last;
    *(v->beat_last ? &v->beat_last->beat_next : &v->beat_first) = s;
    v->beat_last = s;
}

void live_send_forget(struct subscriber *s)
{
    unsent_remove(s);
    beat_remove(s);
}

/* Everything up to the feed's epoch was handed out, and nothing of it concerned this subscriber since its last event. */
static void beat(struct subscriber *s)
{
    struct live *v = s->live;
    uint64_t epoch = s->query->feed ? s->query->feed->epoch : 0;
    beat_remove(s);
    live_beat_start(s);
    if (!live_may_go_on(s))
        return;
    if (s->to->alive && !s->to->alive(s)) {
        live_doom(s, LIVE_STALLED);
        return;
    }
    if (s->to->pending(s) > 0) { /* it took not even what it had */
        if (s->stalled)
            live_doom(s, LIVE_STALLED);
        s->stalled = true;
        return;
    }
    s->stalled = false;
    if (!s->query->feed || epoch == UINT64_MAX)
        return; /* between two worlds */
    buf_reset(&v->scratch);
    s->rendition->how->mark(LIVE_HEARTBEAT, live_point_at(v, epoch > s->since ? epoch : s->since),
                            &v->scratch);
    s->to->put(s, v->scratch.p, v->scratch.len);
    unsent_put(s);
}

int64_t live_due_us(const struct live *v)
{
    return v->beat_first ? v->beat_first->beat_us : INT64_MAX;
}

void live_beat(struct live *v)
{
    for (int i = 0; i < LIVE_FLUSHES_MAX && v->beat_first && v->beat_first->beat_us <= v->loop->now_us; i++)
        beat(v->beat_first);
}

/* ---- events ---- */

void live_send(struct subscriber *s, const struct buf *events)
{
    if (s->why != LIVE_STAYS || s->query->failed ||
        s->caller->expires_s <= s->live->loop->rest.now_us / 1000000)
        return; /* the next heartbeat ends those whose credentials have expired; nothing goes out to them until then */
    if (s->to->pending(s) == 0)
        s->allow = 0;
    s->to->put(s, events->p, events->len);
    s->stalled = false;
    counter_add(&s->live->loop->stats->events, 1);
    beat_remove(s);
    live_beat_start(s);
    unsent_put(s);
}

void live_doom(struct subscriber *s, enum live_why why)
{
    if (s->why == LIVE_STAYS)
        s->why = why;
    unsent_put(s);
}

void live_stop(struct live *v)
{
    for (struct subscriber *s = v->beat_first; s; s = s->beat_next)
        live_doom(s, LIVE_STOPPED);
}

static void drop(struct subscriber *s)
{
    if (s->why == LIVE_SLOW || s->why == LIVE_STALLED)
        counter_add(&s->live->loop->stats->dropped, 1);
    s->to->drop(s, s->why);
}

static void flush_one(struct live *v, struct subscriber *s)
{
    v->flushing = s;
    if (s->why == LIVE_STAYS)
        s->to->flush(s);
    if (v->flushing != s) /* it ended */
        return;
    v->flushing = NULL;
    if (s->why == LIVE_STAYS &&
        s->to->pending(s) > (size_t)v->loop->options->limits.live_queue_bytes + s->allow)
        s->why = LIVE_SLOW;
    if (s->why != LIVE_STAYS)
        drop(s);
}

/* One at a time from the head: flushing may end others, on the same connection or of the same query. */
void live_flush(struct live *v)
{
    for (int i = 0; i < LIVE_FLUSHES_MAX && v->unsent_first; i++) {
        struct subscriber *s = v->unsent_first;
        unsent_remove(s);
        flush_one(v, s);
    }
}
