/* HTTP/2 sessions: frames in, the connection's end; see h2.h. What streams send is in h2_out.c. */
#include "serve/h2_impl.h"

#include <stdlib.h>

#define REFILL_SHARE      10         /* a tenth of a burst comes back each second */
#define CONTROL_BYTES     (4u << 10) /* moved, that pay for one control frame */
#define CONTROL_PER_DATA  3          /* control frames that one DATA frame of ours pays for */
#define STREAMS_KEPT      256        /* for the next requests of the loop */
#define STREAM_KEEP_BYTES 4096       /* of a buffer, with a stream that is kept */

struct h2_stream *h2_stream_of(const struct stream *s)
{
    return (struct h2_stream *)(void *)((uint8_t *)(uintptr_t)s - offsetof(struct h2_stream, s));
}

/* ---- streams ---- */

static struct h2_stream *stream_new(struct h2 *h, int32_t id)
{
    struct conn *c = h->conn;
    struct h2_shared *sh = c->loop->h2;
    struct h2_stream *hs = sh->spare;
    if (hs) {
        sh->spare = hs->next;
        sh->spare_count--;
        struct buf head = hs->s.head, out = hs->out, trailers = hs->trailers;
        memset(hs, 0, sizeof *hs);
        hs->s.head = head;
        hs->out = out;
        hs->trailers = trailers;
    } else {
        hs = xcalloc(1, sizeof *hs);
    }
    hs->s.conn = c;
    hs->s.id = id;
    hs->h2 = h;
    hs->next = h->streams;
    if (hs->next)
        hs->next->prev = hs;
    h->streams = hs;
    h->count++;
    return hs;
}

static void forget_out(struct h2_stream *hs)
{
    size_t n = hs->out.len - hs->out_at;
    hs->s.conn->loop->pending_bytes -= n;
    hs->h2->pending -= n;
    hs->out.len = hs->out_at = 0;
}

void h2_forget_out(struct h2_stream *hs)
{
    forget_out(hs);
}

/* Ends; the memory stays until the end of the round. */
static void stream_free(struct h2_stream *hs)
{
    struct h2 *h = hs->h2;
    struct loop *l = h->conn->loop;
    stream_drop(&hs->s);
    hs->s.mode = STREAM_GONE;
    forget_out(hs);
    *(hs->prev ? &hs->prev->next : &h->streams) = hs->next;
    if (hs->next)
        hs->next->prev = hs->prev;
    h->count--;
    hs->next = l->h2->dead;
    l->h2->dead = hs;
}

static void keep_small(struct buf *b)
{
    b->len = 0;
    if (b->cap > STREAM_KEEP_BYTES) {
        buf_fini(b);
        *b = (struct buf){0};
    }
}

static void stream_fini(struct h2_stream *hs)
{
    buf_fini(&hs->s.head);
    buf_fini(&hs->out);
    buf_fini(&hs->trailers);
    free(hs);
}

void h2_free_dead(struct loop *l)
{
    struct h2_shared *sh = l->h2;
    while (sh->dead) {
        struct h2_stream *hs = sh->dead;
        sh->dead = hs->next;
        if (sh->spare_count == STREAMS_KEPT) {
            stream_fini(hs);
            continue;
        }
        keep_small(&hs->s.head);
        keep_small(&hs->out);
        keep_small(&hs->trailers);
        hs->next = sh->spare;
        sh->spare = hs;
        sh->spare_count++;
    }
}

/* ---- what a client may do how often ---- */

/* What a client says to the data it gets, it may say: some open the window anew and measure the way with a ping each time. */
static void budget_refill(struct h2 *h)
{
    const struct serve_limits *m = &h->conn->loop->options->limits;
    int64_t now = h->conn->loop->now_us, most = m->h2_control_frames;
    if (now - h->refilled_us < 100000 && h->budget > 0)
        return;
    h->budget += (int64_t)((double)(now - h->refilled_us) / 1e6 * (double)most / REFILL_SHARE);
    h->budget += (int64_t)(h->moved / CONTROL_BYTES + h->answered * CONTROL_PER_DATA);
    h->moved %= CONTROL_BYTES;
    h->answered = 0;
    h->budget = h->budget < most ? h->budget : most;
    h->refilled_us = now;
}

/* Frames that ask for work and bring nothing. False: too many. */
static bool budget_take(struct h2 *h)
{
    budget_refill(h);
    if (h->budget > 0) {
        h->budget--;
        return true;
    }
    if (!h->refused)
        loop_over_limit("h2_control_frames", h->conn->loop->options->limits.h2_control_frames);
    h->refused = true;
    nghttp2_session_terminate_session(h->session, NGHTTP2_ENHANCE_YOUR_CALM);
    return false;
}

/* ---- frames in ---- */

static struct h2_stream *find(nghttp2_session *session, int32_t id)
{
    return nghttp2_session_get_stream_user_data(session, id);
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct h2 *h = user;
    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    struct h2_stream *hs = stream_new(h, frame->hd.stream_id);
    nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, hs);
    stream_timer(&hs->s, TIMER_HEAD);
    return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags, void *user)
{
    struct h2 *h = user;
    (void)flags;
    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0; /* trailers are not looked at */
    struct h2_stream *hs = find(session, frame->hd.stream_id);
    if (!hs)
        return 0;
    hs->head_bytes += name_len + value_len + 32; /* as SETTINGS_MAX_HEADER_LIST_SIZE counts */
    hs->fields++;
    if (hs->head_bytes <= (size_t)h->conn->loop->options->limits.header_bytes &&
        hs->fields <= HTTP_HEADERS_MAX)
        http_keep_field(&hs->s.head, (struct slice){name, name_len}, (struct slice){value, value_len});
    else
        hs->too_large = true;
    return 0;
}

static bool refused(struct h2_stream *hs, const struct http_request *req)
{
    const struct serve_limits *m = &hs->s.conn->loop->options->limits;
    struct stream *s = &hs->s;
    if (hs->too_large)
        stream_problem(s, 431, "PENSTOCK_HTTP", "the request's headers are larger than limits.header_bytes",
                       true);
    else if (!req->target.len || req->method == HTTP_M_OTHER)
        stream_problem(s, 405, "PENSTOCK_HTTP", "this method is not supported", true);
    else if (req->target.len > (size_t)m->target_bytes)
        stream_problem(s, 414, "PENSTOCK_HTTP", "the request target is longer than limits.target_bytes",
                       true);
    else if (req->content_length > stream_body_most(s, req))
        stream_problem(s, 413, "PENSTOCK_BODY", "the request body is larger than limits.body_bytes", true);
    else
        return false;
    return true;
}

static void request(struct h2_stream *hs)
{
    struct loop *l = hs->s.conn->loop;
    struct http_request *req = &l->req;
    stream_timer(&hs->s, TIMER_NONE);
    hs->s.in_body = !hs->peer_done;
    if (hs->h2->pending > (size_t)l->options->limits.h2_pending_bytes) { /* it may be asked again */
        loop_over_limit("h2_pending_bytes", l->options->limits.h2_pending_bytes);
        nghttp2_submit_rst_stream(hs->h2->session, NGHTTP2_FLAG_NONE, hs->s.id, NGHTTP2_REFUSED_STREAM);
        return;
    }
    http_kept(&hs->s.head, req);
    req->chunked = hs->s.in_body && !req->has_length;
    arena_reset(&l->rest.arena);
    if (!refused(hs, req))
        stream_run(&hs->s, req);
}

static void body_done(struct h2_stream *hs)
{
    hs->peer_done = true;
    if (hs->s.in_body)
        stream_body_end(&hs->s);
}

/* Also of frames that nghttp2 passes over without a word. */
static int on_begin_frame(nghttp2_session *session, const nghttp2_frame_hd *hd, void *user)
{
    (void)session;
    if (hd->type != NGHTTP2_HEADERS && (hd->type != NGHTTP2_DATA || (hd->length == 0 && hd->flags == 0)))
        (void)budget_take(user);
    return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct h2 *h = user;
    bool end = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    if (h->conn->mode == CONN_DEAD)
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    if (frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA) {
        struct h2_stream *hs = find(session, frame->hd.stream_id);
        if (!hs || stream_gone(&hs->s))
            return 0;
        if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
            hs->peer_done = end;
            request(hs);
        } else if (end) {
            body_done(hs);
        }
    }
    return 0;
}

static int on_chunk(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *p, size_t n,
                    void *user)
{
    struct h2 *h = user;
    struct h2_stream *hs = find(session, id);
    (void)flags;
    h->moved += n;
    nghttp2_session_consume_connection(session, n);
    if (!hs || stream_gone(&hs->s))
        return 0;
    hs->held += n;
    if (hs->ended && (hs->dropped += n) > H2_DROP_BYTES)
        h2_break(&hs->s);
    else if (hs->s.in_body && !hs->ended)
        stream_body(&hs->s, p, n);
    h2_consume(hs);
    return 0;
}

/* Opens the stream's window again for what was taken in. */
void h2_consume(struct h2_stream *hs)
{
    if (!hs->held || stream_gone(&hs->s) || (hs->s.in_body && !stream_takes_body(&hs->s)))
        return;
    nghttp2_session_consume_stream(hs->h2->session, hs->s.id, hs->held);
    hs->held = 0;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t error, void *user)
{
    struct h2_stream *hs = find(session, id);
    (void)error, (void)user;
    if (hs)
        stream_free(hs);
    return 0;
}

/* The answer is complete. What the client still sends is dropped for a while: many do not read an answer whose stream is
 * reset before they have sent all. */
static int on_sent(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    (void)user;
    if ((frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) ||
        !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
        return 0;
    struct h2_stream *hs = find(session, frame->hd.stream_id);
    if (hs)
        hs->sent_end = true;
    return 0;
}

/* ---- of a loop ---- */

struct h2_shared *h2_shared_new(const struct serve_limits *m)
{
    struct h2_shared *sh = xcalloc(1, sizeof *sh);
    h2_memory_init(&sh->memory);
    if (nghttp2_session_callbacks_new(&sh->callbacks) != 0 || nghttp2_option_new(&sh->option) != 0)
        PANIC("out of memory for HTTP/2");
    nghttp2_session_callbacks_set_on_begin_frame_callback(sh->callbacks, on_begin_frame);
    nghttp2_session_callbacks_set_on_begin_headers_callback(sh->callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(sh->callbacks, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(sh->callbacks, on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(sh->callbacks, on_chunk);
    nghttp2_session_callbacks_set_on_stream_close_callback(sh->callbacks, on_stream_close);
    nghttp2_session_callbacks_set_on_frame_send_callback(sh->callbacks, on_sent);
    h2_out_callbacks(sh->callbacks);
    nghttp2_option_set_no_auto_window_update(sh->option, 1);
    nghttp2_option_set_max_deflate_dynamic_table_size(sh->option, H2_TABLE_BYTES);
    nghttp2_option_set_max_send_header_block_length(sh->option, 64u << 10);
    nghttp2_option_set_max_outbound_ack(sh->option, 100);
    nghttp2_option_set_max_settings(sh->option, 16);
    nghttp2_option_set_max_continuations(sh->option, 4);
    nghttp2_option_set_stream_reset_rate_limit(sh->option, (uint64_t)m->h2_resets,
                                               (uint64_t)m->h2_resets / REFILL_SHARE + 1);
    return sh;
}

void h2_shared_free(struct h2_shared *sh)
{
    if (!sh)
        return;
    while (sh->spare) {
        struct h2_stream *hs = sh->spare;
        sh->spare = hs->next;
        stream_fini(hs);
    }
    nghttp2_session_callbacks_del(sh->callbacks);
    nghttp2_option_del(sh->option);
    h2_memory_fini(&sh->memory);
    free(sh);
}

/* ---- a connection ---- */

bool h2_start(struct conn *c)
{
    const struct serve_limits *m = &c->loop->options->limits;
    struct h2 *h = xcalloc(1, sizeof *h);
    h->conn = c;
    h->budget = m->h2_control_frames;
    h->refilled_us = c->loop->now_us;
    if (nghttp2_session_server_new3(&h->session, c->loop->h2->callbacks, h, c->loop->h2->option,
                                    &c->loop->h2->memory.calls) != 0) {
        free(h);
        return false;
    }
    c->h2 = h;
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, (uint32_t)m->h2_streams},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, H2_WINDOW_BYTES},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, (uint32_t)m->header_bytes},
        {NGHTTP2_SETTINGS_HEADER_TABLE_SIZE, H2_TABLE_BYTES},
        {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
    };
    return nghttp2_submit_settings(h->session, NGHTTP2_FLAG_NONE, settings, ARRAY_COUNT(settings)) == 0 &&
           nghttp2_session_set_local_window_size(h->session, NGHTTP2_FLAG_NONE, 0, 4 * H2_WINDOW_BYTES) == 0;
}

void h2_close(struct conn *c)
{
    while (c->h2->streams) {
        struct h2_stream *hs = c->h2->streams;
        nghttp2_session_set_stream_user_data(c->h2->session, hs->s.id, NULL);
        stream_free(hs);
    }
}

void h2_free(struct conn *c)
{
    if (!c->h2)
        return;
    nghttp2_session_del(c->h2->session);
    free(c->h2);
    c->h2 = NULL;
}

bool h2_input(struct conn *c, const uint8_t *p, size_t n)
{
    return nghttp2_session_mem_recv2(c->h2->session, p, n) == (nghttp2_ssize)n;
}

bool h2_idle(const struct conn *c)
{
    return c->h2->count == 0;
}

void h2_goaway(struct conn *c)
{
    struct h2 *h = c->h2;
    if (h->going)
        return;
    h->going = true;
    nghttp2_submit_goaway(h->session, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(h->session),
                          NGHTTP2_NO_ERROR, NULL, 0);
    for (struct h2_stream *hs = h->streams, *next; hs; hs = next) {
        next = hs->next;
        if (hs->s.mode == STREAM_LIVE || hs->s.mode == STREAM_TUNNEL)
            stream_break(&hs->s);
        else if (hs->s.mode == STREAM_GRPC)
            grpc_wire_stop(&hs->s);
    }
}

void h2_input_end(struct conn *c)
{
    for (struct h2_stream *hs = c->h2->streams, *next; hs; hs = next) {
        next = hs->next;
        if (hs->s.in_body && !hs->ended)
            h2_break(&hs->s);
    }
    h2_goaway(c);
}

bool h2_sent(const struct stream *s)
{
    return h2_stream_of(s)->sent_end;
}

bool h2_stalled(struct stream *s)
{
    struct h2_stream *hs = h2_stream_of(s);
    bool stalled = hs->was_pending && hs->taken == hs->taken_mark;
    hs->taken_mark = hs->taken;
    hs->was_pending =
        h2_pending(s) > 0 || (hs->ended && !hs->sent_end); /* the end alone wants a window, too */
    return stalled;
}
