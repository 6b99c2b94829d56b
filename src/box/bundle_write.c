/* Writing bundles; see bundle.h. The compressed payload is held in memory until the manifest, which stands before it, is known. */
#include "base/file.h"
#include "box/bundle_manifest.h"

#include <errno.h>
#include <mbedtls/sha256.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#define LEVEL 12 /* most of an image is compressed already */

struct writer {
    struct bundle_manifest *m;
    struct buf payload;
    ZSTD_CCtx *zstd;
    mbedtls_sha256_context sha;
    uint8_t *plain;
};

static struct err *fill(const struct bundle_input *in, uint8_t *p, size_t *len)
{
    *len = 0;
    while (*len < BUNDLE_CHUNK_BYTES) {
        ssize_t n = in->read(in->ctx, p + *len, BUNDLE_CHUNK_BYTES - *len);
        if (n < 0)
            return err_errno(ERR_IO, "cannot read what is to be bundled");
        if (n == 0)
            break;
        *len += (size_t)n;
    }
    return NULL;
}

static void put_chunk(struct writer *w, size_t len)
{
    struct bundle_manifest *m = w->m;
    uint8_t *out = buf_room(&w->payload, BUNDLE_CHUNK_STORED_MAX);
    const size_t n = ZSTD_compress2(w->zstd, out, BUNDLE_CHUNK_STORED_MAX, w->plain, len);
    if (ZSTD_isError(n))
        PANIC("a chunk does not compress: %s", ZSTD_getErrorName(n));
    m->chunks = xrealloc(m->chunks, (m->chunk_count + 1) * sizeof *m->chunks);
    struct bundle_chunk *c = &m->chunks[m->chunk_count++];
    c->stored_bytes = (uint32_t)n;
    if (mbedtls_sha256(out, n, c->sha256, 0) || mbedtls_sha256_update(&w->sha, w->plain, len))
        PANIC("SHA-256 does not go on");
    w->payload.len += n;
    m->payload_bytes += len;
}

static struct err *compress_all(struct writer *w, const struct bundle_input *in)
{
    const uint64_t most = w->m->kind == BUNDLE_IMAGE ? BUNDLE_IMAGE_BYTES_MAX : BUNDLE_CONFIG_BYTES_MAX;
    w->m->payload_bytes = 0;
    for (;;) {
        size_t len;
        TRY(fill(in, w->plain, &len));
        if (len)
            put_chunk(w, len);
        if (w->m->payload_bytes > most)
            return err_new(ERR_LIMIT, "a bundle of an %s holds at most %llu bytes",
                           bundle_kind_name(w->m->kind), (unsigned long long)most);
        if (len < BUNDLE_CHUNK_BYTES)
            break;
    }
    if (mbedtls_sha256_finish(&w->sha, w->m->sha256))
        PANIC("SHA-256 does not end");
    return w->m->payload_bytes ? NULL : err_new(ERR_CONFIG, "there is nothing to be bundled");
}

static void put_u32(struct buf *b, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        buf_put_u8(b, (uint8_t)(v >> 8 * i));
}

static void put_head(struct buf *head, const struct bundle_manifest *m, const struct bundle_secret *keys,
                     uint32_t key_count)
{
    size_t len;
    char *text = bundle_manifest_text(m, &len);
    struct buf to_sign = {0};
    buf_put_str(&to_sign, BUNDLE_SIGNED_PREFIX);
    buf_put(&to_sign, text, len);
    buf_put_str(head, BUNDLE_MAGIC);
    put_u32(head, BUNDLE_FORMAT);
    put_u32(head, key_count);
    put_u32(head, (uint32_t)len);
    put_u32(head, 0);
    for (uint32_t i = 0; i < key_count; i++) {
        uint8_t public_key[KEY_PUBLIC_BYTES], signature[KEY_SIGNATURE_BYTES];
        key_public_of(keys[i].key, public_key);
        key_sign(keys[i].key, to_sign.p, to_sign.len, signature);
        buf_put(head, public_key, sizeof public_key);
        buf_put(head, signature, sizeof signature);
    }
    buf_put(head, text, len);
    buf_fini(&to_sign);
    free(text);
}

static struct err *write_out(int fd, const struct buf *head, const struct buf *payload)
{
    errno = file_write_at(fd, head->p, head->len, 0);
    if (!errno)
        errno = file_write_at(fd, payload->p, payload->len, (off_t)head->len);
    return errno ? err_errno(ERR_IO, "cannot write the bundle") : NULL;
}

struct err *bundle_write(struct bundle_manifest *m, const struct bundle_input *payload,
                         const struct bundle_secret *keys, uint32_t key_count, int out_fd)
{
    struct writer w = {.m = m, .zstd = ZSTD_createCCtx(), .plain = xmalloc(BUNDLE_CHUNK_BYTES)};
    struct buf head = {0};
    ASSERT(key_count <= BUNDLE_SIGNATURES_MAX);
    bundle_manifest_fini(m);
    mbedtls_sha256_init(&w.sha);
    if (!w.zstd || mbedtls_sha256_starts(&w.sha, 0) ||
        ZSTD_isError(ZSTD_CCtx_setParameter(w.zstd, ZSTD_c_compressionLevel, LEVEL)))
        PANIC("out of memory");
    struct err *e = compress_all(&w, payload);
    if (!e) {
        put_head(&head, m, keys, key_count);
        e = write_out(out_fd, &head, &w.payload);
    }
    ZSTD_freeCCtx(w.zstd);
    mbedtls_sha256_free(&w.sha);
    buf_fini(&head);
    buf_fini(&w.payload);
    free(w.plain);
    return e;
}
