/* What HTTP/2 streams send: heads as header fields, bytes as DATA frames when windows and socket let them; see h2.h. */
#include "serve/h2_impl.h"

#define ROUNDS_MAX 4 /* of filling and flushing in one event: others get their turn */

/* ---- heads ---- */

static bool of_http1(struct slice name)
{
    static const char *const names[] = {"connection", "keep-alive", "transfer-encoding", "upgrade",
                                        "proxy-connection"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        if (slice_is_nocase(name, names[i]))
            return true;
    return false;
}

static void lower(struct slice name)
{
    uint8_t *p = (uint8_t *)(uintptr_t)name.p; /* a scratch buffer of ours */
    for (size_t i = 0; i < name.len; i++)
        if (p[i] >= 'A' && p[i] <= 'Z')
            p[i] = (uint8_t)(p[i] + 32);
}

static nghttp2_nv field(struct slice name, struct slice value)
{
    return (nghttp2_nv){.name = (uint8_t *)(uintptr_t)name.p,
                        .namelen = name.len,
                        .value = (uint8_t *)(uintptr_t)value.p,
                        .valuelen = value.len};
}

static struct slice take_line(struct slice *rest)
{
    struct slice line = slice_cut(rest, '\n');
    if (line.len && line.p[line.len - 1] == '\r')
        line.len--;
    return line;
}

/* "Name: value" lines into fields, names in lower case in place. */
static size_t fields_of(struct slice lines, nghttp2_nv *nv, size_t n)
{
    while (lines.p && lines.len && n < H2_FIELDS_MAX) {
        struct slice value = take_line(&lines);
        struct slice name = slice_cut(&value, ':');
        if (!name.len || !value.p || of_http1(name))
            continue;
        lower(name);
        nv[n++] = field(name, slice_trim(value));
    }
    return n;
}

/* ---- DATA ---- */

static nghttp2_ssize on_read(nghttp2_session *session, int32_t id, uint8_t *buf, size_t room, uint32_t *flags,
                             nghttp2_data_source *source, void *user)
{
    struct h2_stream *hs = source->ptr;
    size_t left = hs->out.len - hs->out_at, n = left < room ? left : room;
    (void)session, (void)id, (void)buf, (void)user;
    if (n == 0 && !hs->ended) {
        hs->deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    if (n)
        *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (!hs->ended || n < left)
        return (nghttp2_ssize)n;
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (hs->trailers.len) {
        nghttp2_nv nv[H2_FIELDS_MAX];
        size_t count = fields_of((struct slice){hs->trailers.p, hs->trailers.len}, nv, 0);
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
        if (nghttp2_submit_trailer(session, id, nv, count) != 0)
            return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    return (nghttp2_ssize)n;
}

static void taken(struct h2_stream *hs, size_t n)
{
    struct h2 *h = hs->h2;
    hs->out_at += n;
    hs->taken += n;
    hs->drained = h->any_drained = true;
    h->pending -= n;
    h->moved += n;
    h->conn->loop->pending_bytes -= n;
    if (hs->out_at == hs->out.len) {
        hs->out.len = hs->out_at = 0;
        if (hs->out.cap > 64u << 10) {
            buf_fini(&hs->out);
            hs->out = (struct buf){0};
        }
    } else if (hs->out_at > (1u << 20)) {
        memmove(hs->out.p, hs->out.p + hs->out_at, hs->out.len - hs->out_at);
        hs->out.len -= hs->out_at;
        hs->out_at = 0;
    }
}

static bool full(const struct conn *c)
{
    return conn_pending(c) + c->loop->out.len >= CONN_FLUSH_BYTES;
}

static int on_send_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *head, size_t n,
                        nghttp2_data_source *source, void *user)
{
    struct h2 *h = user;
    struct h2_stream *hs = source->ptr;
    (void)session, (void)frame;
    if (hs->broken) /* while the frame waited for room: its bytes are gone */
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    if (full(h->conn))
        return NGHTTP2_ERR_WOULDBLOCK;
    h->sent += n + 9;
    h->answered++;
    conn_put(h->conn, head, 9);
    conn_put(h->conn, hs->out.p + hs->out_at, n);
    taken(hs, n);
    return 0;
}

static nghttp2_ssize on_send(nghttp2_session *session, const uint8_t *p, size_t n, int flags, void *user)
{
    struct h2 *h = user;
    (void)session, (void)flags;
    if (full(h->conn))
        return NGHTTP2_ERR_WOULDBLOCK;
    h->sent += n;
    conn_put(h->conn, p, n);
    return (nghttp2_ssize)n;
}

void h2_out_callbacks(nghttp2_session_callbacks *callbacks)
{
    nghttp2_session_callbacks_set_send_callback2(callbacks, on_send);
    nghttp2_session_callbacks_set_send_data_callback(callbacks, on_send_data);
}

/* Tells those who have room again; they may put more. */
static void tell_drained(struct h2 *h)
{
    h->any_drained = false;
    for (struct h2_stream *hs = h->streams, *next; hs; hs = next) {
        next = hs->next;
        if (!hs->drained)
            continue;
        hs->drained = false;
        stream_drained(&hs->s);
    }
}

bool h2_send(struct conn *c)
{
    struct h2 *h = c->h2;
    c->wants_turn = false;
    for (int i = 0; i < ROUNDS_MAX; i++) {
        uint64_t before = h->sent;
        for (struct h2_stream *hs = h->streams; hs; hs = hs->next)
            h2_consume(hs);
        if (nghttp2_session_send(h->session) != 0)
            return false;
        if (!nghttp2_session_want_read(h->session) && !nghttp2_session_want_write(h->session))
            return false;
        if (h->any_drained)
            tell_drained(h);
        bool more = full(c);
        conn_flush(c);
        if (c->mode != CONN_OPEN || conn_pending(c) || h->sent == before ||
            (!more && !nghttp2_session_want_write(h->session)))
            return true;
    }
    c->wants_turn = true;
    return true;
}

/* ---- the calls of streams ---- */

/* Something is to be sent: at the end of the connection's event, or of the round when none is under way. */
static void due(struct conn *c)
{
    struct loop *l = c->loop;
    if (l->current == c || c->unflushed)
        return;
    c->unflushed = true;
    c->unflushed_next = l->unflushed;
    l->unflushed = c;
}

void h2_head(struct stream *s, struct slice head, bool body)
{
    struct h2_stream *hs = h2_stream_of(s);
    struct loop *l = s->conn->loop;
    nghttp2_nv nv[H2_FIELDS_MAX];
    nghttp2_data_provider2 provider = {.source.ptr = hs, .read_callback = on_read};
    nghttp2_extpri fair = {.urgency = NGHTTP2_EXTPRI_DEFAULT_URGENCY, .inc = 1};
    if (hs->head_sent || hs->broken || head.len < 12)
        return;
    struct slice status = {head.p + 9, 3};
    if (status.p[0] == '1') /* interim: "100 Continue" */
        return;
    if (head.p != l->head.p) { /* to be changed */
        buf_reset(&l->head);
        buf_put(&l->head, head.p, head.len);
        head = (struct slice){l->head.p, head.len};
        status.p = head.p + 9;
    }
    (void)take_line(&head);
    nv[0] = field(slice_of(":status"), status);
    size_t n = fields_of(head, nv, 1);
    due(s->conn);
    hs->head_sent = true;
    hs->ended = !body;
    /* Streams share the connection evenly; a large answer does not hold up the small ones behind it. */
    nghttp2_session_change_extpri_stream_priority(hs->h2->session, s->id, &fair, 0);
    nghttp2_submit_response2(hs->h2->session, s->id, nv, n, body ? &provider : NULL);
    if (body && (s->mode == STREAM_IDLE || s->deadline.kind == TIMER_NONE))
        stream_timer(s, TIMER_DRAIN);
}

void h2_put(struct stream *s, const void *p, size_t n)
{
    struct h2_stream *hs = h2_stream_of(s);
    if (hs->broken || hs->ended || !n)
        return;
    due(s->conn);
    buf_put(&hs->out, p, n);
    hs->h2->pending += n;
    s->conn->loop->pending_bytes += n;
    if (hs->deferred) {
        hs->deferred = false;
        nghttp2_session_resume_data(hs->h2->session, s->id);
    }
}

static void answer_body(struct h2_stream *hs, struct buf *body)
{
    /* The room of a compressed answer is that of its text: unsent answers are counted by their length. */
    if (body->len < 16u << 10 || hs->out.len || body->cap / 2 > body->len) {
        h2_put(&hs->s, body->p, body->len);
        return;
    }
    struct buf had = hs->out; /* a large one changes hands */
    hs->out = *body;
    *body = had;
    hs->h2->pending += hs->out.len;
    hs->s.conn->loop->pending_bytes += hs->out.len;
}

void h2_answer(struct stream *s, const struct answer *a, const struct http_request *req)
{
    struct loop *l = s->conn->loop;
    struct h2_stream *hs = h2_stream_of(s);
    if (hs->head_sent || hs->broken)
        return;
    bool body = !a->head_only && l->body.len > 0 && a->status != 304 && a->status != 204;
    buf_reset(&l->head);
    answer_head(a, req, slice_of(l->date), false, &l->head);
    h2_head(s, (struct slice){l->head.p, l->head.len}, body);
    if (body) {
        answer_body(hs, &l->body);
        hs->ended = true;
    }
}

void h2_end(struct stream *s, bool whole)
{
    struct h2_stream *hs = h2_stream_of(s);
    if (!whole || !hs->head_sent) {
        h2_break(s);
        return;
    }
    due(s->conn);
    hs->ended = true;
    if (hs->deferred) {
        hs->deferred = false;
        nghttp2_session_resume_data(hs->h2->session, s->id);
    }
    stream_timer(s, TIMER_DRAIN);
}

void h2_trailers(struct stream *s, struct slice lines)
{
    buf_put(&h2_stream_of(s)->trailers, lines.p, lines.len);
}

void h2_break(struct stream *s)
{
    struct h2_stream *hs = h2_stream_of(s);
    if (hs->broken || stream_gone(s))
        return;
    due(s->conn);
    hs->broken = true;
    stream_drop(s);
    h2_forget_out(hs);
    nghttp2_submit_rst_stream(hs->h2->session, NGHTTP2_FLAG_NONE, s->id,
                              hs->sent_end    ? NGHTTP2_NO_ERROR
                              : hs->head_sent ? NGHTTP2_INTERNAL_ERROR
                                              : NGHTTP2_CANCEL);
}

size_t h2_pending(const struct stream *s)
{
    const struct h2_stream *hs = h2_stream_of(s);
    return hs->out.len - hs->out_at;
}

bool h2_answered(const struct stream *s)
{
    return h2_stream_of(s)->head_sent;
}
