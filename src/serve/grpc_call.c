/* Calls of the services on the wire: from messages that come (grpc_wire.h) to answers that were made (grpc_service.h), sent as
 * fast as the client takes them.
 *
 * An answer is complete before its first message is sent. What the client has no room for yet is kept with the call and
 * counted among limits.pending_bytes of the loop; no snapshot waits for it. */
#include "serve/grpc_service.h"
#include "base/clock.h"
#include "serve/out.h"
#include "serve/proto_row.h"

#include <stdlib.h>

enum call_mode {
    CALL_ASKED,  /* messages are taken in */
    CALL_WAITS,  /* for an epoch, or for a world */
    CALL_SENDS,  /* the answer, then the end */
    CALL_LIVE,   /* Watch */
    CALL_HEALTH, /* Watch of health */
};
struct grpc_state {
    struct grpc_method method;
    enum call_mode mode;
    char path[256];     /* what the method's name borrows from */
    uint32_t count;     /* request messages so far */
    bool counted;       /* the present one was counted among its caller's requests */
    struct buf request; /* the message, until it is answered */
    size_t held;        /* of it, counted in the loop's held_bytes */
    struct buf out;     /* messages behind their prefixes, not sent yet */
    size_t at;          /* sent of it */
    int64_t asked_us, wait_until_us;
    struct subscriber *sub;
    uint8_t health; /* what was last told */
    struct grpc_state *next;
};

#define IDLE_KEEP_BYTES (64u << 10) /* buffers of a call that is over: larger ones are given back */

static struct grpc_state *state_of(const struct grpc_call *call)
{
    return call->state;
}

static struct grpc_state *state_get(struct loop *l)
{
    struct grpc_state *st = l->grpc_idle;
    if (!st)
        return xcalloc(1, sizeof *st);
    l->grpc_idle = st->next;
    l->grpc_idle_count--;
    return st;
}

static void buf_trim(struct buf *b)
{
    buf_reset(b);
    if (b->cap > IDLE_KEEP_BYTES)
        buf_fini(b);
}

static void state_free(struct grpc_state *st)
{
    buf_fini(&st->request);
    buf_fini(&st->out);
    free(st);
}

static void state_put(struct loop *l, struct grpc_state *st)
{
    struct buf request = st->request, out = st->out;
    if (l->grpc_idle_count >= GRPC_IDLE_MAX) {
        state_free(st);
        return;
    }
    buf_trim(&request);
    buf_trim(&out);
    *st = (struct grpc_state){.request = request, .out = out, .next = l->grpc_idle};
    l->grpc_idle = st;
    l->grpc_idle_count++;
}

void grpc_calls_free(struct loop *l)
{
    while (l->grpc_idle) {
        struct grpc_state *st = l->grpc_idle;
        l->grpc_idle = st->next;
        state_free(st);
    }
}

/* False: the loop holds too many requests. */
static bool request_keep(struct grpc_call *call, struct slice message)
{
    struct grpc_state *st = state_of(call);
    struct loop *l = call->loop;
    l->held_bytes -= st->held;
    st->held = 0;
    buf_reset(&st->request);
    if (l->held_bytes + message.len > PROXY_HELD_MAX)
        return false;
    buf_put(&st->request, message.p, message.len);
    st->held = message.len;
    l->held_bytes += st->held;
    return true;
}

/* ---- sending ---- */

static struct slice next_message(const uint8_t *p)
{
    size_t len = (size_t)p[1] << 24 | (size_t)p[2] << 16 | (size_t)p[3] << 8 | p[4];
    return (struct slice){p + 5, len};
}

/* Sends whole messages of b from *at on, as long as there is room. False: something is left. */
static bool send_some(struct grpc_call *call, const uint8_t *p, size_t len, size_t *at)
{
    while (*at < len && !call->finished) {
        struct slice m = next_message(p + *at);
        if (grpc_room(call) == 0)
            return false;
        *at += 5 + m.len;
        grpc_send(call, m);
    }
    return true;
}

static void queue(struct grpc_call *call, const uint8_t *p, size_t n)
{
    buf_put(&state_of(call)->out, p, n);
    call->loop->pending_bytes += n;
}

static void queue_clear(struct grpc_call *call)
{
    struct grpc_state *st = state_of(call);
    call->loop->pending_bytes -= st->out.len - st->at;
    buf_reset(&st->out);
    st->at = 0;
}

/* What waits, as far as it goes; then the end, if this was all. */
static void send_queue(struct grpc_call *call)
{
    struct grpc_state *st = state_of(call);
    size_t before = st->at;
    bool all = send_some(call, st->out.p, st->out.len, &st->at);
    call->loop->pending_bytes -= st->at - before;
    if (!all)
        return;
    queue_clear(call);
    if (st->mode == CALL_SENDS && !call->finished)
        grpc_finish(call, GRPC_OK, NULL, (struct slice){0});
}

static void put_header(void *ctx, const char *name, struct slice value)
{
    grpc_header(ctx, name, value);
}

static void fail(struct grpc_call *call, const struct problem *p)
{
    struct buf *b = &call->loop->head;
    buf_reset(b);
    grpc_details(p, b);
    grpc_finish(call, grpc_status_of(p), p->message, (struct slice){b->p, b->len});
}

static void answer_send(struct grpc_call *call, const struct answer *a)
{
    struct loop *l = call->loop;
    size_t at = 0;
    grpc_metadata_of(a, put_header, call);
    bool all = send_some(call, a->body->p, a->body->len, &at);
    if (!all)
        queue(call, a->body->p + at, a->body->len - at);
    else if (state_of(call)->mode == CALL_SENDS && !call->finished)
        grpc_finish(call, GRPC_OK, NULL, (struct slice){0});
    if (l->body.cap > (4u << 20))
        buf_fini(&l->body);
}

/* ---- Watch ---- */

static void to_put(struct subscriber *s, const uint8_t *p, size_t n)
{
    queue(s->owner, p, n);
}

static size_t to_pending(const struct subscriber *s)
{
    const struct grpc_state *st = state_of(s->owner);
    return st->out.len - st->at;
}

static void to_flush(struct subscriber *s)
{
    struct grpc_call *call = s->owner;
    send_queue(call);
    stream_flush(call->stream);
}

static void to_drop(struct subscriber *s, enum live_why why)
{
    struct grpc_call *call = s->owner;
    struct problem p;
    problem_init(&p, &call->loop->rest.arena);
    if (why == LIVE_GONE)
        problem_set(&p, 404, "PENSTOCK_GONE", "the api is no more, or is another now");
    else if (why == LIVE_ENDED)
        problem_set(&p, 401, "PENSTOCK_ENDED",
                    "the credentials do not hold any more, or show something else now");
    else if (why == LIVE_AGAIN)
        problem_set(&p, 503, "PENSTOCK_AGAIN", "the events cannot go on: watch again");
    else
        problem_set(&p, 429, "PENSTOCK_SLOW", "the events were not taken fast enough");
    problem_hint(&p, "Watch again with the resume of the last event.");
    state_of(call)->sub = NULL;
    live_end(s);
    queue_clear(call);
    if (!call->finished)
        fail(call, &p);
}

static const struct live_transport to_call = {to_put, to_pending, to_flush, to_drop, NULL};

/* A generic row is a list of values: the first event says of what. */
static void columns_send(struct grpc_call *call, const struct subscriber *s)
{
    struct buf *b = &call->loop->head;
    buf_reset(b);
    proto_put_columns(s->query->read.view, &s->query->read.projection, 5, b);
    grpc_send(call, (struct slice){b->p, b->len});
}

static void watch(struct grpc_call *call, struct answer *a)
{
    struct loop *l = call->loop;
    struct grpc_state *st = state_of(call);
    struct live_ask ask;
    if (!grpc_watch(&l->rest, &st->method, (struct slice){st->request.p, st->request.len}, &ask, &a->problem))
        return;
    ask.to = &to_call;
    ask.owner = call;
    buf_reset(&l->body);
    st->sub = live_subscribe(l->live, &ask, &l->body, a);
    if (!st->sub)
        return;
    st->mode = CALL_LIVE;
    grpc_metadata_of(a, put_header, call);
    if (st->method.service == SERVICE_VIEWS)
        columns_send(call, st->sub);
    queue(call, l->body.p, l->body.len);
    send_queue(call);
}

/* ---- answering ---- */

static bool put_off(struct grpc_call *call, struct problem *p)
{
    struct loop *l = call->loop;
    struct grpc_state *st = state_of(call);
    if (st->mode != CALL_WAITS) {
        if (l->waiting >= LOOP_WAITING_MAX)
            return problem_set(p, 503, "PENSTOCK_OVERLOADED", "too many reads are waiting already");
        l->waiting++;
        st->wait_until_us = l->now_us + l->options->limits.wait_us;
        stream_timer(call->stream, TIMER_WAIT);
    }
    st->mode = CALL_WAITS;
    call->wants_epochs = true;
    return true;
}

static void wait_over(struct grpc_call *call)
{
    struct grpc_state *st = state_of(call);
    if (st->mode != CALL_WAITS)
        return;
    call->loop->waiting--;
    call->wants_epochs = false;
    stream_timer(call->stream, call->half_closed ? TIMER_NONE : TIMER_BODY);
    st->mode = CALL_ASKED;
}

/* Of health, only what is news. */
static void health_send(struct grpc_call *call, const struct answer *a)
{
    struct grpc_state *st = state_of(call);
    uint8_t now = a->body->p[a->body->len - 1];
    size_t at = 0;
    st->mode = CALL_HEALTH;
    call->wants_epochs = true;
    if (now != st->health && send_some(call, a->body->p, a->body->len, &at))
        st->health = now;
}

static void done(struct grpc_call *call, const struct answer *a)
{
    struct grpc_state *st = state_of(call);
    if (a->stat < API_STATS_MAX)
        stats_request(call->loop->stats, a->stat, a->problem.status ? a->problem.status : 200,
                      steady_us() - st->asked_us);
    if (a->problem.status) {
        fail(call, &a->problem);
        return;
    }
    if (st->method.service != SERVICE_REFLECTION || call->half_closed)
        st->mode = CALL_SENDS;
    answer_send(call, a);
}

static void answer(struct grpc_call *call)
{
    struct loop *l = call->loop;
    struct grpc_state *st = state_of(call);
    struct answer a;
    enum rest_next next = REST_DONE;
    arena_reset(&l->rest.arena);
    answer_init(&a, &l->rest.arena, &l->body);
    bool waited = st->mode == CALL_WAITS && l->now_us >= st->wait_until_us;
    struct slice message = {st->request.p, st->request.len};
    if (l->pending_bytes > (size_t)l->options->limits.pending_bytes) {
        loop_over_limit("pending_bytes", l->options->limits.pending_bytes);
        problem_set(&a.problem, 503, "PENSTOCK_OVERLOADED", "too many answers are waiting for their clients");
        a.problem.retry_after_s = 1;
    } else if (l->swapping && !waited) {
        next = REST_WAIT;
    } else {
        const struct http_request *req = grpc_metadata(call);
        l->rest.caller = (st->counted ? auth_caller_again : auth_caller)(&l->auth, req, l->rest.now_us);
        st->counted = true;
        next = grpc_answer(&l->rest, &st->method, req, message, waited, &a);
    }
    if (next == REST_WAIT && put_off(call, &a.problem))
        return;
    wait_over(call);
    if (next == REST_LIVE && st->method.service == SERVICE_HEALTH) {
        health_send(call, &a);
        return;
    }
    if (next == REST_LIVE) {
        watch(call, &a);
        if (!a.problem.status)
            return;
    }
    done(call, &a);
}

/* ---- what the wire says ---- */

static void refuse(struct grpc_call *call, enum grpc_status status, const char *message)
{
    grpc_finish(call, status, message, (struct slice){0});
}

void grpc_open(struct grpc_call *call, const struct http_request *req)
{
    struct grpc_state *st = state_get(call->loop);
    call->state = st;
    call->method = &st->method;
    st->asked_us = steady_us();
    struct slice path = req->target;
    if (path.len < sizeof st->path) {
        memcpy(st->path, path.p, path.len);
        path.p = (const uint8_t *)st->path;
        if (grpc_method_parse(path, &st->method) && grpc_method_known(&call->loop->rest, &st->method))
            return;
    }
    refuse(call, GRPC_UNIMPLEMENTED,
           "unknown method: reflection and /api/penstock.proto tell which there are");
}

void grpc_message(struct grpc_call *call, struct slice message)
{
    struct grpc_state *st = state_of(call);
    st->count++;
    if (st->method.service != SERVICE_REFLECTION && st->count > 1) {
        refuse(call, GRPC_INVALID_ARGUMENT, "the method takes one request message");
        return;
    }
    if (st->count > GRPC_REFLECT_MAX || st->out.len > st->at) {
        refuse(call, GRPC_RESOURCE_EXHAUSTED, "too many questions, or answers that are not taken");
        return;
    }
    if (st->mode == CALL_WAITS || !request_keep(call, message)) {
        refuse(call, GRPC_UNAVAILABLE, "the server is busy: ask again");
        return;
    }
    st->counted = false;
    if (st->method.service == SERVICE_REFLECTION)
        answer(call);
}

void grpc_half_close(struct grpc_call *call)
{
    struct grpc_state *st = state_of(call);
    if (st->mode == CALL_WAITS) /* reflection's last question: the end follows its answer */
        return;
    if (st->method.service == SERVICE_REFLECTION) {
        st->mode = CALL_SENDS;
        send_queue(call);
    } else if (st->count == 0) {
        refuse(call, GRPC_INVALID_ARGUMENT, "the method takes one request message");
    } else {
        answer(call);
    }
}

void grpc_writable(struct grpc_call *call)
{
    struct grpc_state *st = state_of(call);
    if (st->out.len > st->at)
        send_queue(call);
}

void grpc_epoch(struct grpc_call *call)
{
    struct grpc_state *st = state_of(call);
    if (st->mode == CALL_WAITS || st->mode == CALL_HEALTH)
        answer(call);
}

void grpc_closed(struct grpc_call *call)
{
    struct grpc_state *st = state_of(call);
    if (!st)
        return;
    if (st->sub)
        live_end(st->sub);
    st->sub = NULL;
    wait_over(call);
    queue_clear(call);
    call->loop->held_bytes -= st->held;
    st->held = 0;
    call->state = NULL;
    state_put(call->loop, st);
}
