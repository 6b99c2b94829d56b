/* gRPC's header fields as text, and gzip'ed messages; see grpc_impl.h. */
#include "serve/grpc_impl.h"

#include <stdlib.h>
#include <zlib.h>

struct slice grpc_text_header(const struct http_request *req, const char *name)
{
    for (uint32_t i = 0; i < req->header_count; i++)
        if (slice_is(req->headers[i].name, name))
            return slice_trim(req->headers[i].value);
    return (struct slice){NULL, 0};
}

bool grpc_text_lists(struct slice list, const char *what)
{
    while (list.p)
        if (slice_is(slice_trim(slice_cut(&list, ',')), what))
            return true;
    return false;
}

bool grpc_text_timeout(struct slice text, int64_t *us)
{
    static const struct {
        char unit;
        int64_t us;
    } units[] = {{'H', INT64_C(3600000000)}, {'M', 60000000}, {'S', 1000000}, {'m', 1000}, {'u', 1}};
    uint64_t n;
    if (text.len < 2 || text.len > 9 || !slice_u64((struct slice){text.p, text.len - 1}, 99999999, &n))
        return false;
    char unit = (char)text.p[text.len - 1];
    if (unit == 'n') {
        *us = (int64_t)n / 1000;
        return true;
    }
    for (size_t i = 0; i < ARRAY_COUNT(units); i++)
        if (unit == units[i].unit) {
            *us = (int64_t)n * units[i].us;
            return true;
        }
    return false;
}

static void put_percent(struct buf *b, const char *text)
{
    static const char hex[] = "0123456789ABCDEF";
    for (const uint8_t *p = (const uint8_t *)text; *p; p++) {
        if (*p >= 0x20 && *p <= 0x7E && *p != '%') {
            buf_put_u8(b, *p);
            continue;
        }
        buf_put_u8(b, '%');
        buf_put_u8(b, (uint8_t)hex[*p >> 4]);
        buf_put_u8(b, (uint8_t)hex[*p & 15]);
    }
}

static void put_base64(struct buf *b, struct slice s)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < s.len; i += 3) {
        uint32_t v = (uint32_t)s.p[i] << 16 | (i + 1 < s.len ? (uint32_t)s.p[i + 1] << 8 : 0) |
                     (i + 2 < s.len ? s.p[i + 2] : 0);
        size_t n = s.len - i >= 3 ? 4 : s.len - i + 1; /* no padding, as gRPC prefers */
        for (size_t j = 0; j < n; j++)
            buf_put_u8(b, (uint8_t)digits[v >> (18 - 6 * j) & 63]);
    }
}

void grpc_text_status(struct buf *b, enum grpc_status status, const char *message, struct slice details)
{
    OUT_LIT(b, "grpc-status: ");
    out_u64(b, (uint64_t)status);
    OUT_LIT(b, "\r\n");
    if (message && *message) {
        OUT_LIT(b, "grpc-message: ");
        put_percent(b, message);
        OUT_LIT(b, "\r\n");
    }
    if (details.len) {
        OUT_LIT(b, "grpc-status-details-bin: ");
        put_base64(b, details);
        OUT_LIT(b, "\r\n");
    }
}

/* ---- gzip ---- */

static bool inflate_open(struct grpc_shared *sh)
{
    if (sh->zlib)
        return inflateReset(sh->zlib) == Z_OK;
    sh->zlib = xcalloc(1, sizeof(z_stream));
    if (inflateInit2((z_stream *)sh->zlib, 15 + 16) == Z_OK)
        return true;
    free(sh->zlib);
    sh->zlib = NULL;
    return false;
}

void grpc_inflate_fini(struct grpc_shared *sh)
{
    if (sh->zlib)
        inflateEnd(sh->zlib);
    free(sh->zlib);
    sh->zlib = NULL;
}

enum grpc_inflated grpc_inflate(struct grpc_shared *sh, struct slice in, size_t most)
{
    buf_reset(&sh->plain);
    if (!inflate_open(sh))
        return GRPC_BROKEN;
    z_stream *z = sh->zlib;
    z->next_in = (Bytef *)(uintptr_t)in.p;
    z->avail_in = (uInt)in.len;
    for (;;) {
        z->next_out = buf_room(&sh->plain, 16384);
        z->avail_out = 16384;
        int rc = inflate(z, Z_NO_FLUSH);
        sh->plain.len += 16384 - z->avail_out;
        if (sh->plain.len > most)
            return GRPC_TOO_LARGE;
        if (rc == Z_STREAM_END)
            return z->avail_in == 0 ? GRPC_INFLATED : GRPC_BROKEN;
        if (rc != Z_OK || (z->avail_in == 0 && z->avail_out != 0))
            return GRPC_BROKEN;
    }
}
