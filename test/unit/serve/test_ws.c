/* WebSocket's handshake and frames: what the standard allows passes, whole or in pieces; what it forbids has its close code. */
#include "serve/ws.h"
#include "serve/out.h"
#include "test.h"

static uint64_t random_state = 0x2545F4914F6CDD1Du;
static uint32_t random_below(uint32_t n)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 20) % n;
}

static void test_accept(void)
{
    char out[29];
    ws_accept(slice_of("dGhlIHNhbXBsZSBub25jZQ=="), out); /* RFC 6455, 1.3 */
    CHECK_STR(out, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

static struct http_request asked(const char *const *headers, uint32_t count)
{
    struct http_request req;
    memset(&req, 0, sizeof req);
    http_request_init(&req);
    for (uint32_t i = 0; i + 1 < 2 * count; i += 2)
        http_add_header(&req, slice_of(headers[i]), slice_of(headers[i + 1]));
    return req;
}

static void test_handshake(void)
{
    const char *h[] = {"Upgrade",
                       "h2c, WebSocket",
                       "Connection",
                       "keep-alive, Upgrade",
                       "Sec-WebSocket-Key",
                       "dGhlIHNhbXBsZSBub25jZQ==",
                       "Sec-WebSocket-Version",
                       "13",
                       "Sec-WebSocket-Protocol",
                       "chat, penstock.bearer.a.b-c_d",
                       "Sec-WebSocket-Protocol",
                       "penstock.live.v1"};
    struct http_request req = asked(h, 6);
    int status;
    CHECK(ws_asked(&req) && !ws_refused(&req, &status) && ws_offers_protocol(&req));
    CHECK(slice_is(ws_token(&req), "a.b-c_d"));
    req.http2 = true;
    CHECK(!ws_asked(&req) && !ws_token(&req).p);
    req.http2 = false;
    req.has_length = true;
    CHECK(ws_refused(&req, &status) && status == 400);
    h[7] = "8";
    req = asked(h, 6);
    CHECK(ws_refused(&req, &status) && status == 426);
    h[7] = "13";
    const char *const bad_keys[] = {"", "short", "dGhlIHNhbXBsZSBub25jZQ=!",
                                    "dGhlIHNhbXBsZSBub25jZTEyMzQ1Ng==", "dGhlIHNhbXBsZSBub25jZXh4"};
    for (size_t i = 0; i < ARRAY_COUNT(bad_keys); i++) {
        h[5] = bad_keys[i];
        req = asked(h, 6);
        CHECK(ws_refused(&req, &status) && status == 400);
    }
    req = asked(h, 1);
    CHECK(!ws_asked(&req)); /* Connection does not say so */
    req = asked(h + 2, 1);
    CHECK(!ws_asked(&req));
}

/* ---- frames ---- */

static void put(struct buf *b, uint8_t first, const void *p, size_t len, uint8_t masked)
{
    uint8_t head[10], mask[4] = {0x12, 0x34, 0x56, (uint8_t)random_below(256)};
    size_t n = ws_head(WS_TEXT, len, head);
    head[0] = first;
    head[1] |= masked;
    buf_put(b, head, n);
    if (masked)
        buf_put(b, mask, 4);
    for (size_t i = 0; i < len; i++)
        buf_put_u8(b, ((const uint8_t *)p)[i] ^ (masked ? mask[i & 3] : 0));
}

static void frame(struct buf *b, uint8_t first, const char *text)
{
    put(b, first, text, strlen(text), 0x80);
}

/* What comes of the bytes given in pieces: a letter each, ending with the code of a failure or a close. */
static void run(const struct buf *b, uint32_t piece, char *out, size_t size)
{
    static const char letters[] = "-piMCF";
    struct ws_parser w = {0};
    size_t at = 0, n = 0;
    while (at < b->len) {
        size_t used, len = b->len - at < piece ? b->len - at : piece;
        enum ws_event e = ws_parse(&w, b->p + at, len, &used);
        CHECK(used <= len && (e != WS_MORE || used == len));
        at += used;
        if (e == WS_MORE)
            continue;
        if (n + 8 < size)
            out[n++] = letters[e];
        if (e == WS_CLOSED || e == WS_FAILED) {
            n += (size_t)snprintf(out + n, size - n, "%u", (unsigned)w.code);
            break;
        }
    }
    out[n] = 0;
}

static void expect(struct buf *b, const char *want)
{
    static const uint32_t pieces[] = {1, 2, 3, 7, 1000, 1u << 20};
    for (size_t i = 0; i < ARRAY_COUNT(pieces); i++) {
        char got[200];
        run(b, pieces[i], got, sizeof got);
        CHECK_STR(got, want);
    }
    buf_reset(b);
}

static void test_frames(void)
{
    struct buf b = {0};
    char *big = xmalloc(WS_MESSAGE_MAX + 2);
    memset(big, 'x', WS_MESSAGE_MAX + 1);
    big[WS_MESSAGE_MAX + 1] = 0;
    frame(&b, 0x81, "hello");
    frame(&b, 0x81, "");
    frame(&b, 0x89, "are you there");
    frame(&b, 0x8A, "");
    expect(&b, "MMpi");
    frame(&b, 0x01, "\xe2");
    frame(&b, 0x89, "between");
    frame(&b, 0x00, "\x82");
    frame(&b, 0x80, "\xac");
    expect(&b, "pM");
    put(&b, 0x81, big, WS_MESSAGE_MAX, 0x80);
    expect(&b, "M");
    put(&b, 0x81, big, WS_MESSAGE_MAX + 1, 0x80);
    expect(&b, "F1009");
    put(&b, 0x01, big, WS_MESSAGE_MAX, 0x80);
    frame(&b, 0x80, "y");
    expect(&b, "F1009");
    frame(&b, 0x88, "");
    expect(&b, "C1005");
    frame(&b, 0x88, "\x03\xe8 bye");
    expect(&b, "C1000");
    frame(&b, 0x88, "\x0f\xa0");
    expect(&b, "C4000");
    free(big);
    buf_fini(&b);
}

static void test_forbidden(void)
{
    struct buf b = {0};
    static const uint8_t long_form[] = {0x81, 0xFE, 0, 5, 1, 2, 3, 4},
                         longer[] = {0x81, 0xFF, 0, 0, 0, 0, 0, 0, 255, 255, 1, 2, 3, 4},
                         top_bit[] = {0x81, 0xFF, 0x80, 0, 0, 0, 0, 1, 0, 0, 1, 2, 3, 4},
                         long_ping[] = {0x89, 0xFE, 0, 200, 1, 2, 3, 4};
    const struct {
        const uint8_t *p;
        size_t len;
    } raw[] = {{long_form, sizeof long_form},
               {longer, sizeof longer},
               {top_bit, sizeof top_bit},
               {long_ping, sizeof long_ping}};
    for (size_t i = 0; i < ARRAY_COUNT(raw); i++) {
        buf_put(&b, raw[i].p, raw[i].len);
        expect(&b, "F1002");
    }
    put(&b, 0x81, "not masked", 10, 0);
    expect(&b, "F1002");
    static const uint8_t firsts[] = {0xC1, 0xA1, 0x91, 0x83, 0x87, 0x8B, 0x8F, 0x09, 0x08, 0x80, 0x00};
    for (size_t i = 0; i < sizeof firsts; i++) {
        frame(&b, firsts[i], "x");
        expect(&b, "F1002");
    }
    frame(&b, 0x01, "a");
    frame(&b, 0x81, "b"); /* a message within a message */
    expect(&b, "F1002");
    frame(&b, 0x82, "binary");
    expect(&b, "F1003");
    static const char *const codes[] = {"\x03",     "\x03\xe7", "\x03\xec", "\x03\xed",
                                        "\x03\xee", "\x03\xf7", "\x07\xd0", "\x13\x88"};
    for (size_t i = 0; i < ARRAY_COUNT(codes); i++) {
        frame(&b, 0x88, codes[i]);
        expect(&b, "F1002");
    }
    frame(&b, 0x88, "\x03\xe8\xff");
    expect(&b, "F1007");
    static const char *const texts[] = {"\x80",
                                        "\xc0\xaf",
                                        "\xc1\x80",
                                        "\xe0\x9f\xbf",
                                        "\xed\xa0\x80",
                                        "\xf0\x8f\xbf\xbf",
                                        "\xf4\x90\x80\x80",
                                        "\xf5",
                                        "\xe2\x82",
                                        "\xe2(",
                                        "ok\xff"};
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        frame(&b, 0x81, texts[i]);
        expect(&b, "F1007");
    }
    frame(&b, 0x81, "\xf4\x8f\xbf\xbf \xed\x9f\xbf \xee\x80\x80 \xf0\x90\x80\x80 \xc2\x80 \xe0\xa0\x80");
    expect(&b, "M");
    buf_fini(&b);
}

static void test_out(void)
{
    static const struct {
        size_t len, head;
    } rows[] = {{0, 2}, {125, 2}, {126, 4}, {65535, 4}, {65536, 10}};
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        uint8_t head[10];
        CHECK(ws_head(WS_TEXT, rows[i].len, head) == rows[i].head && head[0] == 0x81);
    }
    struct buf b = {0};
    ws_close_frame(WS_POLICY, "why", &b);
    CHECK(b.len == 7 && b.p[0] == 0x88 && b.p[1] == 5 && b.p[2] == 3 && b.p[3] == 0xF0);
    buf_fini(&b);
}

int main(void)
{
    RUN(test_accept);
    RUN(test_handshake);
    RUN(test_frames);
    RUN(test_forbidden);
    RUN(test_out);
    TEST_END();
}
