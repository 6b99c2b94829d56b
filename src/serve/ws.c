/* See ws.h. */
#include "serve/ws.h"
#include "serve/out.h"

#include <mbedtls/base64.h>
#include <mbedtls/sha1.h>

/* ---- handshake ---- */

static struct slice header(const struct http_request *req, const char *name)
{
    for (uint32_t i = 0; i < req->header_count; i++)
        if (slice_is_nocase(req->headers[i].name, name))
            return slice_trim(req->headers[i].value);
    return (struct slice){NULL, 0};
}

/* The next element of a list that may be spread over several headers of one name. */
struct tokens {
    const struct http_request *req;
    const char *name;
    uint32_t header; /* next one */
    struct slice rest;
};
static bool token_next(struct tokens *t, struct slice *out)
{
    for (;;) {
        while (t->rest.p) {
            *out = slice_trim(slice_cut(&t->rest, ','));
            if (out->len)
                return true;
        }
        while (t->header < t->req->header_count && !slice_is_nocase(t->req->headers[t->header].name, t->name))
            t->header++;
        if (t->header >= t->req->header_count)
            return false;
        t->rest = t->req->headers[t->header++].value;
    }
}

static bool lists(const struct http_request *req, const char *name, const char *wanted)
{
    struct tokens t = {.req = req, .name = name};
    struct slice s;
    while (token_next(&t, &s))
        if (slice_is_nocase(s, wanted))
            return true;
    return false;
}

bool ws_asked(const struct http_request *req)
{
    return UNLIKELY(req->upgrade.p != NULL) && !req->http2 && req->method == HTTP_M_GET &&
           lists(req, "upgrade", "websocket") && lists(req, "connection", "upgrade");
}

static bool key_ok(struct slice key)
{
    uint8_t bytes[18];
    size_t n;
    return key.len == 24 && mbedtls_base64_decode(bytes, sizeof bytes, &n, key.p, key.len) == 0 && n == 16;
}

const char *ws_refused(const struct http_request *req, int *status)
{
    *status = 400;
    if (req->has_length || req->chunked)
        return "a WebSocket handshake has no body";
    if (!key_ok(header(req, "sec-websocket-key")))
        return "Sec-WebSocket-Key is not the base64 of 16 bytes";
    if (!slice_is(header(req, "sec-websocket-version"), "13")) {
        *status = 426;
        return "version 13 of WebSocket is spoken here";
    }
    return NULL;
}

bool ws_offers_protocol(const struct http_request *req)
{
    return lists(req, "sec-websocket-protocol", WS_PROTOCOL);
}

struct slice ws_token(const struct http_request *req)
{
    static const size_t n = sizeof WS_BEARER - 1;
    struct tokens t = {.req = req, .name = "sec-websocket-protocol"};
    struct slice s;
    while (ws_asked(req) && token_next(&t, &s))
        if (s.len > n && memcmp(s.p, WS_BEARER, n) == 0)
            return (struct slice){s.p + n, s.len - n};
    return (struct slice){NULL, 0};
}

/* RFC 6455, 4.2.2: SHA-1 ties the answer to the question, no more. */
void ws_accept(struct slice key, char out[29])
{
    static const char salt[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    uint8_t text[24 + sizeof salt - 1], hash[20];
    size_t n;
    ASSERT(key.len == 24);
    memcpy(text, key.p, 24);
    memcpy(text + 24, salt, sizeof salt - 1);
    int rc = mbedtls_sha1(text, sizeof text, hash);
    rc |= mbedtls_base64_encode((uint8_t *)out, 29, &n, hash, sizeof hash);
    ASSERT(rc == 0 && n == 28);
}

/* ---- out ---- */

size_t ws_head(enum ws_opcode op, uint64_t len, uint8_t out[10])
{
    uint32_t bytes = len < 126 ? 0 : len < 65536 ? 2 : 8;
    out[0] = (uint8_t)(0x80 | op);
    out[1] = (uint8_t)(bytes == 0 ? len : bytes == 2 ? 126 : 127);
    for (uint32_t i = 0; i < bytes; i++)
        out[2 + i] = (uint8_t)(len >> (8 * (bytes - 1 - i)));
    return 2 + bytes;
}

void ws_frame(enum ws_opcode op, const void *p, size_t len, struct buf *out)
{
    uint8_t head[10];
    buf_put(out, head, ws_head(op, len, head));
    buf_put(out, p, len);
}

void ws_close_frame(enum ws_code code, const char *reason, struct buf *out)
{
    uint8_t text[WS_CONTROL_MAX];
    size_t n = strlen(reason);
    n = n < sizeof text - 2 ? n : sizeof text - 2;
    text[0] = (uint8_t)(code >> 8);
    text[1] = (uint8_t)code;
    memcpy(text + 2, reason, n);
    if (code == WS_NO_CODE)
        ws_frame(WS_CLOSE, "", 0, out);
    else
        ws_frame(WS_CLOSE, text, n + 2, out);
}

/* ---- in: UTF-8 ---- */

/* Unicode's table 3-7: after the first byte, where the second one may lie. */
static bool utf8_first(struct utf8_check *u, uint8_t c)
{
    u->low = 0x80;
    u->high = 0xBF;
    if (c < 0x80)
        return true;
    if (c < 0xC2 || c > 0xF4)
        return false;
    u->need = c < 0xE0 ? 1 : c < 0xF0 ? 2 : 3;
    if (c == 0xE0)
        u->low = 0xA0;
    if (c == 0xED)
        u->high = 0x9F;
    if (c == 0xF0)
        u->low = 0x90;
    if (c == 0xF4)
        u->high = 0x8F;
    return true;
}

static bool utf8_byte(struct utf8_check *u, uint8_t c)
{
    if (!u->need)
        return utf8_first(u, c);
    if (c < u->low || c > u->high)
        return false;
    u->need--;
    u->low = 0x80;
    u->high = 0xBF;
    return true;
}

/* ---- in: frames ---- */

static enum ws_event fail(struct ws_parser *w, enum ws_code code)
{
    w->code = (uint16_t)code;
    return WS_FAILED;
}

static bool is_control(uint8_t op)
{
    return op >= WS_CLOSE;
}

/* The first two bytes say how long the head is. */
static bool head_begin(struct ws_parser *w)
{
    uint8_t op = w->head[0] & 0x0F, len = w->head[1] & 0x7F;
    bool known = op <= WS_BINARY || (op >= WS_CLOSE && op <= WS_PONG);
    bool fin = w->head[0] & 0x80;
    if ((w->head[0] & 0x70) || !known || !(w->head[1] & 0x80))
        return false;
    if (is_control(op) && (!fin || len > WS_CONTROL_MAX))
        return false;
    if (op == WS_CONTINUE ? !w->message : !is_control(op) && w->message)
        return false;
    w->op = op;
    w->fin = fin;
    w->head_need = 6 + (len == 126 ? 2 : len == 127 ? 8 : 0);
    return true;
}

static uint64_t head_length(const struct ws_parser *w)
{
    uint32_t bytes = w->head_need - 6;
    uint64_t n = 0;
    if (!bytes)
        return w->head[1] & 0x7F;
    for (uint32_t i = 0; i < bytes; i++)
        n = n << 8 | w->head[2 + i];
    return n;
}

static enum ws_event head_end(struct ws_parser *w)
{
    uint32_t bytes = w->head_need - 6;
    w->left = head_length(w);
    if ((bytes == 2 && w->left < 126) || (bytes == 8 && (w->left < 65536 || w->left >> 63)))
        return fail(w, WS_PROTOCOL_ERROR);
    memcpy(w->mask, w->head + w->head_need - 4, 4);
    w->mask_at = 0;
    w->control_len = 0;
    if (is_control(w->op))
        return WS_MORE;
    if (w->op != WS_CONTINUE) {
        w->message = w->op;
        w->message_bytes = 0;
        w->utf8 = (struct utf8_check){0};
    }
    if (w->message == WS_BINARY)
        return fail(w, WS_UNSUPPORTED);
    if (w->left > WS_MESSAGE_MAX - w->message_bytes)
        return fail(w, WS_TOO_BIG);
    w->message_bytes += w->left;
    return WS_MORE;
}

static bool code_ok(uint16_t code)
{
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}

static enum ws_event closed(struct ws_parser *w)
{
    struct utf8_check u = {0};
    bool text = true;
    w->code = WS_NO_CODE;
    if (w->control_len == 0)
        return WS_CLOSED;
    uint16_t code = (uint16_t)(w->control[0] << 8 | w->control[1]);
    if (w->control_len < 2 || !code_ok(code))
        return fail(w, WS_PROTOCOL_ERROR);
    for (uint32_t i = 2; i < w->control_len; i++)
        text = text && utf8_byte(&u, w->control[i]);
    if (!text || u.need)
        return fail(w, WS_INVALID);
    w->code = code;
    return WS_CLOSED;
}

static enum ws_event frame_end(struct ws_parser *w)
{
    w->head_len = 0;
    switch (w->op) {
    case WS_CLOSE: return closed(w);
    case WS_PING: return WS_PINGED;
    case WS_PONG: return WS_PONGED;
    default: break;
    }
    if (!w->fin)
        return WS_MORE;
    w->message = 0;
    return w->utf8.need ? fail(w, WS_INVALID) : WS_MESSAGE;
}

static enum ws_event take_payload(struct ws_parser *w, const uint8_t *p, size_t len, size_t *used)
{
    size_t n = len < w->left ? len : (size_t)w->left;
    for (size_t i = 0; i < n; i++) {
        uint8_t c = p[i] ^ w->mask[w->mask_at++ & 3];
        if (is_control(w->op))
            w->control[w->control_len++] = c;
        else if (!utf8_byte(&w->utf8, c))
            return fail(w, WS_INVALID);
    }
    *used += n;
    w->left -= n;
    return w->left ? WS_MORE : frame_end(w);
}

static enum ws_event take_head(struct ws_parser *w, uint8_t c)
{
    w->head[w->head_len++] = c;
    if (w->head_len == 2 && !head_begin(w))
        return fail(w, WS_PROTOCOL_ERROR);
    if (w->head_len < 2 || w->head_len < w->head_need)
        return WS_MORE;
    enum ws_event e = head_end(w);
    return e == WS_MORE && !w->left ? frame_end(w) : e;
}

enum ws_event ws_parse(struct ws_parser *w, const uint8_t *p, size_t len, size_t *used)
{
    enum ws_event e = WS_MORE;
    *used = 0;
    while (*used < len && e == WS_MORE) {
        bool in_head = w->head_len < 2 || w->head_len < w->head_need;
        e = in_head ? take_head(w, p[(*used)++]) : take_payload(w, p + *used, len - *used, used);
    }
    return e;
}
