/* gzip and zstd of answers; see compress.h. */
#include "serve/compress.h"
#include "serve/out.h"
#include "serve/rest.h"

#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

/* The levels that cost a loop least. JSON of rows repeats itself so much that higher ones gain little: of 1 MB of rows gzip
 * leaves 17 % at level 1, 14 % at levels 4 and 6, at some 200, 120 and 30 MB/s. */
#define GZIP_LEVEL       1
#define GZIP_WINDOW_BITS (15 + 16) /* 32 KiB, with gzip's frame */
#define GZIP_MEM_LEVEL   8
#define ZSTD_LEVEL       1
#define ZSTD_WINDOW_LOG  20 /* 1 MiB: RFC 9659 lets a browser refuse more than 8 */

struct compressor {
    z_stream gzip;
    bool has_gzip;
    ZSTD_CCtx *zstd; /* owned; NULL until needed */
    struct buf out;
};

struct compressor *compressor_new(void)
{
    return xcalloc(1, sizeof(struct compressor));
}

void compressor_free(struct compressor *c)
{
    if (!c)
        return;
    if (c->has_gzip)
        deflateEnd(&c->gzip);
    ZSTD_freeCCtx(c->zstd);
    buf_fini(&c->out);
    free(c);
}

/* ---- what the client takes ---- */

const char *coding_name(enum coding c)
{
    static const char *const names[] = {[CODING_GZIP] = "gzip", [CODING_ZSTD] = "zstd"};
    return names[c];
}

enum coding coding_choose(struct slice accept)
{
    int q[] = {[CODING_NONE] = -1, [CODING_GZIP] = -1, [CODING_ZSTD] = -1}, star = 0;
    while (accept.p) {
        struct slice params = slice_cut(&accept, ',');
        struct slice name = slice_trim(slice_cut(&params, ';'));
        int quality = header_quality(params);
        if (slice_is_nocase(name, "gzip") || slice_is_nocase(name, "x-gzip"))
            q[CODING_GZIP] = quality;
        else if (slice_is_nocase(name, "zstd"))
            q[CODING_ZSTD] = quality;
        else if (slice_is_nocase(name, "identity"))
            q[CODING_NONE] = quality;
        else if (slice_is(name, "*"))
            star = quality;
    }
    for (int k = CODING_GZIP; k <= CODING_ZSTD; k++)
        q[k] = q[k] < 0 ? star : q[k];
    enum coding best = q[CODING_ZSTD] >= q[CODING_GZIP] ? CODING_ZSTD : CODING_GZIP;
    return q[best] > 0 && q[best] >= q[CODING_NONE] ? best : CODING_NONE;
}

/* ---- bytes ---- */

/* out has room for one byte less than the input: what does not get smaller fails, and costs no more room. */
static bool gzip_bytes(struct compressor *c, const uint8_t *in, size_t len)
{
    if (!c->has_gzip)
        c->has_gzip = deflateInit2(&c->gzip, GZIP_LEVEL, Z_DEFLATED, GZIP_WINDOW_BITS, GZIP_MEM_LEVEL,
                                   Z_DEFAULT_STRATEGY) == Z_OK;
    if (!c->has_gzip || deflateReset(&c->gzip) != Z_OK || len > UINT32_MAX)
        return false;
    c->gzip.next_in = (Bytef *)in;
    c->gzip.avail_in = (uInt)len;
    c->gzip.next_out = buf_room(&c->out, len);
    c->gzip.avail_out = (uInt)len - 1;
    if (deflate(&c->gzip, Z_FINISH) != Z_STREAM_END)
        return false;
    c->out.len = c->gzip.total_out;
    return true;
}

static bool zstd_open(struct compressor *c)
{
    if (c->zstd)
        return true;
    c->zstd = ZSTD_createCCtx();
    return c->zstd && !ZSTD_isError(ZSTD_CCtx_setParameter(c->zstd, ZSTD_c_compressionLevel, ZSTD_LEVEL)) &&
           !ZSTD_isError(ZSTD_CCtx_setParameter(c->zstd, ZSTD_c_windowLog, ZSTD_WINDOW_LOG));
}

static bool zstd_bytes(struct compressor *c, const uint8_t *in, size_t len)
{
    if (!zstd_open(c))
        return false;
    size_t n = ZSTD_compress2(c->zstd, buf_room(&c->out, len), len - 1, in, len);
    if (ZSTD_isError(n))
        return false;
    c->out.len = n;
    return true;
}

bool compress_bytes(struct compressor *c, enum coding coding, const uint8_t *in, size_t len,
                    struct slice *out)
{
    buf_reset(&c->out);
    if (len == 0 || coding == CODING_NONE)
        return false;
    if (coding == CODING_GZIP ? !gzip_bytes(c, in, len) : !zstd_bytes(c, in, len))
        return false;
    *out = (struct slice){c->out.p, c->out.len};
    return true;
}

/* ---- answers ---- */

/* Who can have a victim's browser ask, with text of his choice in the answer, and sees how long the answers are, may learn
 * what else is in them. He cannot where the request shows a token, which browsers do not add by themselves. */
static bool chosen_by_others(const struct http_request *req)
{
    return req->fetch_site.p && !slice_is(req->fetch_site, "same-origin") &&
           !slice_is(req->fetch_site, "none") && !req->authorization.p;
}

void compress_answer(struct compressor *c, const struct serve_limits *limits, const struct http_request *req,
                     struct answer *a)
{
    struct slice out;
    size_t len = a->body->len;
    if (len < (size_t)limits->compress_bytes || len > (size_t)limits->compress_max_bytes ||
        a->status >= 300 || !a->content_type)
        return;
    a->vary_encoding = true;
    enum coding coding = req->accept_encoding.p ? coding_choose(req->accept_encoding) : CODING_NONE;
    if (coding == CODING_NONE || chosen_by_others(req) || !compress_bytes(c, coding, a->body->p, len, &out))
        return;
    struct buf plain = *a->body; /* they change places: nothing is copied */
    *a->body = c->out;
    c->out = plain;
    a->coding = coding;
    a->etag_weak = true;
}
