/* Reading bundles; see bundle.h. Nothing here trusts a length before it is bounded, or a byte before it is verified. */
#include "box/bundle.h"
#include "box/bundle_manifest.h"

#include <errno.h>
#include <mbedtls/sha256.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

struct signature {
    uint8_t public_key[KEY_PUBLIC_BYTES], bytes[KEY_SIGNATURE_BYTES];
};
_Static_assert(sizeof(struct signature) == 96, "as in the file");

struct bundle {
    struct bundle_input in;
    uint32_t signature_count;
    struct signature signatures[BUNDLE_SIGNATURES_MAX];
    struct buf signed_bytes; /* prefix and manifest */
    struct bundle_manifest manifest;
    bool has_signer;
    struct key signer;
    uint32_t next; /* chunk */
    mbedtls_sha256_context sha;
    ZSTD_DCtx *zstd;
    uint8_t *stored, *plain;
};

static ssize_t fd_read(void *ctx, void *p, size_t len)
{
    ssize_t n;
    do
        n = read(*(const int *)ctx, p, len);
    while (n < 0 && errno == EINTR);
    return n;
}

struct bundle_input bundle_input_fd(const int *fd)
{
    return (struct bundle_input){fd_read, (void *)fd};
}

bool bundle_is(const void *p, size_t len)
{
    return len >= BUNDLE_MAGIC_BYTES && memcmp(p, BUNDLE_MAGIC, BUNDLE_MAGIC_BYTES) == 0;
}

static struct err *damaged(const char *what)
{
    return err_hint(err_new(ERR_CORRUPT, "the bundle is damaged: %s", what), "transfer it again");
}

static struct err *read_exactly(struct bundle *b, void *p, size_t len)
{
    for (size_t at = 0; at < len;) {
        ssize_t n = b->in.read(b->in.ctx, (uint8_t *)p + at, len - at);
        if (n < 0)
            return err_errno(ERR_IO, "cannot read the bundle");
        if (n == 0)
            return damaged("it ends in the middle");
        at += (size_t)n;
    }
    return NULL;
}

static uint32_t u32_at(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* ---- who has signed ---- */

static struct err *find_signer(struct bundle *b, const struct trust *trust)
{
    bool forged = false;
    for (uint32_t i = 0; i < b->signature_count && !b->has_signer; i++) {
        const struct signature *s = &b->signatures[i];
        const struct key *key = trust_find(trust, s->public_key);
        if (!key)
            continue;
        if (key_verify(s->public_key, b->signed_bytes.p, b->signed_bytes.len, s->bytes)) {
            b->has_signer = true;
            b->signer = *key;
        } else {
            forged = true;
        }
    }
    if (b->has_signer)
        return NULL;
    if (forged)
        return err_hint(
            err_new(ERR_AUTH, "the bundle's signature is wrong: it was changed after it was signed"),
            "transfer it again, or have it signed anew");
    return err_hint(err_new(ERR_AUTH, "the bundle is not signed by a key that is trusted here"),
                    "sign it with one of the %u trusted keys, or provision the public key of who signed it",
                    trust->count);
}

static struct err *read_head(struct bundle *b, const struct trust *trust)
{
    uint8_t head[BUNDLE_MAGIC_BYTES + 16];
    TRY(read_exactly(b, head, sizeof head));
    if (!bundle_is(head, sizeof head))
        return err_new(ERR_CONFIG, "this is no bundle");
    if (u32_at(head + 8) != BUNDLE_FORMAT)
        return err_new(ERR_UNSUPPORTED, "the bundle has format %u, this program reads format %d",
                       u32_at(head + 8), BUNDLE_FORMAT);
    const uint32_t manifest_bytes = u32_at(head + 16);
    b->signature_count = u32_at(head + 12);
    if (b->signature_count > BUNDLE_SIGNATURES_MAX || manifest_bytes == 0 ||
        manifest_bytes > BUNDLE_MANIFEST_MAX || u32_at(head + 20) != 0)
        return damaged("its head");
    TRY(read_exactly(b, b->signatures, b->signature_count * sizeof b->signatures[0]));
    buf_put_str(&b->signed_bytes, BUNDLE_SIGNED_PREFIX);
    TRY(read_exactly(b, buf_room(&b->signed_bytes, manifest_bytes), manifest_bytes));
    b->signed_bytes.len += manifest_bytes;
    if (trust)
        TRY(find_signer(b, trust));
    const size_t prefix = strlen(BUNDLE_SIGNED_PREFIX);
    return bundle_manifest_parse(b->signed_bytes.p + prefix, manifest_bytes, &b->manifest);
}

struct err *bundle_open(const struct bundle_input *in, const struct trust *trust, struct bundle **out)
{
    struct bundle *b = xcalloc(1, sizeof *b);
    b->in = *in;
    mbedtls_sha256_init(&b->sha);
    struct err *e = read_head(b, trust);
    if (!e && mbedtls_sha256_starts(&b->sha, 0))
        PANIC("SHA-256 does not start");
    if (!e) {
        b->zstd = ZSTD_createDCtx();
        if (!b->zstd)
            PANIC("out of memory");
        b->stored = xmalloc(BUNDLE_CHUNK_STORED_MAX);
        b->plain = xmalloc(BUNDLE_CHUNK_BYTES);
        *out = b;
        return NULL;
    }
    bundle_close(b);
    *out = NULL;
    return e;
}

void bundle_close(struct bundle *b)
{
    if (!b)
        return;
    bundle_manifest_fini(&b->manifest);
    buf_fini(&b->signed_bytes);
    mbedtls_sha256_free(&b->sha);
    ZSTD_freeDCtx(b->zstd);
    free(b->stored);
    free(b->plain);
    free(b);
}

const struct bundle_manifest *bundle_manifest(const struct bundle *b)
{
    return &b->manifest;
}

const struct key *bundle_signer(const struct bundle *b)
{
    return b->has_signer ? &b->signer : NULL;
}

uint32_t bundle_signature_count(const struct bundle *b)
{
    return b->signature_count;
}

bool bundle_signature(const struct bundle *b, uint32_t i, uint8_t public_key[KEY_PUBLIC_BYTES])
{
    const struct signature *s = &b->signatures[i];
    memcpy(public_key, s->public_key, KEY_PUBLIC_BYTES);
    return key_verify(s->public_key, b->signed_bytes.p, b->signed_bytes.len, s->bytes);
}

/* ---- the payload ---- */

static struct err *end_check(struct bundle *b)
{
    uint8_t sum[BUNDLE_SHA256_BYTES], one;
    mbedtls_sha256_context copy;
    mbedtls_sha256_init(&copy);
    mbedtls_sha256_clone(&copy, &b->sha);
    int rc = mbedtls_sha256_finish(&copy, sum);
    mbedtls_sha256_free(&copy);
    if (rc || memcmp(sum, b->manifest.sha256, sizeof sum) != 0)
        return damaged("the payload's SHA-256");
    ssize_t n = b->in.read(b->in.ctx, &one, 1);
    if (n < 0)
        return err_errno(ERR_IO, "cannot read the bundle");
    return n ? damaged("something follows its end") : NULL;
}

static struct err *next_chunk(struct bundle *b, size_t *len)
{
    const struct bundle_chunk *c = &b->manifest.chunks[b->next];
    uint8_t sum[BUNDLE_SHA256_BYTES];
    TRY(read_exactly(b, b->stored, c->stored_bytes));
    if (mbedtls_sha256(b->stored, c->stored_bytes, sum, 0) || memcmp(sum, c->sha256, sizeof sum) != 0)
        return err_wrap(damaged("its SHA-256"), "chunk %u of %u", b->next + 1, b->manifest.chunk_count);
    const size_t want = bundle_chunk_plain(&b->manifest, b->next);
    if (ZSTD_decompressDCtx(b->zstd, b->plain, want, b->stored, c->stored_bytes) != want)
        return err_wrap(damaged("it does not decompress to its size"), "chunk %u of %u", b->next + 1,
                        b->manifest.chunk_count);
    if (mbedtls_sha256_update(&b->sha, b->plain, want))
        PANIC("SHA-256 does not go on");
    b->next++;
    *len = want;
    return NULL;
}

struct err *bundle_next(struct bundle *b, const uint8_t **p, size_t *len)
{
    *p = b->plain;
    *len = 0;
    return b->next == b->manifest.chunk_count ? end_check(b) : next_chunk(b, len);
}

struct err *bundle_read_all(struct bundle *b, struct buf *out)
{
    for (;;) {
        const uint8_t *p;
        size_t len;
        TRY(bundle_next(b, &p, &len));
        if (!len)
            return NULL;
        buf_put(out, p, len);
    }
}
