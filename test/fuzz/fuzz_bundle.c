/* Any bytes as a bundle whose signature does not matter (who has signed may be wrong too), as its manifest, as a public key's
 * line, and as an image's description. The first byte picks. */
#include "box/bundle_manifest.h"
#include "box/image.h"

#include <stdlib.h>
#include <string.h>

struct memory {
    const uint8_t *p;
    size_t len;
};

static ssize_t memory_read(void *ctx, void *p, size_t len)
{
    struct memory *m = ctx;
    size_t n = len < m->len ? len : m->len;
    memcpy(p, m->p, n);
    m->p += n;
    m->len -= n;
    return (ssize_t)n;
}

static void whole(const uint8_t *p, size_t len)
{
    struct memory m = {p, len};
    const struct bundle_input in = {memory_read, &m};
    struct bundle *b;
    struct buf out = {0};
    struct err *e = bundle_open(&in, NULL, &b);
    ASSERT(e ? b == NULL : b != NULL);
    if (b) {
        uint8_t key[KEY_PUBLIC_BYTES];
        for (uint32_t i = 0; i < bundle_signature_count(b); i++)
            (void)bundle_signature(b, i, key);
        if (bundle_manifest(b)->payload_bytes < 8u << 20)
            e = bundle_read_all(b, &out);
        ASSERT(e || bundle_manifest(b)->payload_bytes >= 8u << 20 ||
               out.len == bundle_manifest(b)->payload_bytes);
    }
    bundle_close(b);
    buf_fini(&out);
    err_free(e);
}

static void manifest(const uint8_t *p, size_t len)
{
    struct bundle_manifest m, again;
    struct err *e = bundle_manifest_parse(p, len, &m);
    if (!e) { /* what is understood is written the same */
        size_t n;
        char *text = bundle_manifest_text(&m, &n);
        struct err *bad = bundle_manifest_parse(text, n, &again);
        ASSERT(!bad && again.chunk_count == m.chunk_count &&
               memcmp(again.sha256, m.sha256, sizeof m.sha256) == 0);
        bundle_manifest_fini(&again);
        free(text);
    }
    bundle_manifest_fini(&m);
    err_free(e);
}

static void key(const uint8_t *p, size_t len)
{
    struct key k;
    err_free(key_parse("x.pub", (const char *)p, len, &k));
}

static void image(const uint8_t *p, size_t len)
{
    struct image_info i;
    err_free(image_info_parse("image.json", p, len, &i));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const targets[])(const uint8_t *, size_t) = {whole, manifest, key, image};
    if (size == 0 || size > 300000)
        return 0;
    uint8_t *copy = malloc(size);
    memcpy(copy, data + 1, size - 1);
    targets[data[0] % ARRAY_COUNT(targets)](copy, size - 1);
    free(copy);
    return 0;
}
