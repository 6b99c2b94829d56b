/* Cursors sealed with AES-256-GCM; see cursor.h. */
#include "serve/cursor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define NONCE_BYTES 12
#define TAG_BYTES   16

/* ---- the key ---- */

static void derive(const uint8_t secret[32], const char *what, uint8_t out[32])
{
    int rc = mbedtls_md_hmac(mbedtls_md_info_from_type(MBEDTLS_MD_SHA256), secret, 32, (const uint8_t *)what,
                             strlen(what), out);
    ASSERT(rc == 0);
}

void cursor_key_from(const uint8_t secret[32], struct cursor_key *out)
{
    derive(secret, "penstock cursor seal", out->seal);
    derive(secret, "penstock cursor nonce", out->nonce);
}

uint64_t cursor_mark(const struct cursor_key *k, uint64_t of)
{
    static const char what[] = "penstock mark";
    uint8_t text[sizeof what + sizeof of], hash[32];
    memcpy(text, what, sizeof what);
    memcpy(text + sizeof what, &of, sizeof of);
    int rc = mbedtls_md_hmac(mbedtls_md_info_from_type(MBEDTLS_MD_SHA256), k->nonce, sizeof k->nonce, text,
                             sizeof text, hash);
    ASSERT(rc == 0);
    memcpy(&of, hash, sizeof of);
    return of;
}

static bool key_read(const char *path, uint8_t secret[32])
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    bool ok = fd >= 0 && read(fd, secret, 32) == 32;
    if (fd >= 0)
        close(fd);
    return ok;
}

static struct err *key_make(const char *path, uint8_t secret[32])
{
    char *made = xprintf("%s.new", path);
    struct err *e = NULL;
    int fd = -1;
    if (getrandom(secret, 32, 0) != 32)
        e = err_errno(ERR_IO, "random bytes for cursors");
    if (!e)
        fd = open(made, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (!e && (fd < 0 || write(fd, secret, 32) != 32 || fsync(fd) != 0 || rename(made, path) != 0))
        e = err_errno(ERR_IO, "write %s", path);
    if (fd >= 0)
        close(fd);
    free(made);
    return e;
}

struct err *cursor_key_load(const char *data_dir, struct cursor_key *out)
{
    uint8_t secret[32];
    struct err *e = NULL;
    char *dir = xprintf("%s/tls", data_dir), *path = xprintf("%s/cursor.key", dir);
    if (mkdir(dir, 0700) != 0 && errno != EEXIST)
        e = err_errno(ERR_IO, "make directory %s", dir);
    if (!e && !key_read(path, secret))
        e = key_make(path, secret);
    if (!e)
        cursor_key_from(secret, out);
    mbedtls_platform_zeroize(secret, sizeof secret);
    free(dir);
    free(path);
    return e;
}

/* ---- base64url ---- */

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static void text_put(struct buf *out, const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i += 3) {
        uint32_t v =
            (uint32_t)p[i] << 16 | (i + 1 < n ? (uint32_t)p[i + 1] << 8 : 0) | (i + 2 < n ? p[i + 2] : 0);
        for (size_t k = 0; k < 4 && i + k <= n; k++)
            buf_put_u8(out, (uint8_t)digits[v >> (18 - 6 * k) & 63]);
    }
}

static int digit(uint8_t c)
{
    const char *at = c ? strchr(digits, c) : NULL;
    return at ? (int)(at - digits) : -1;
}

/* Bits left over at the end must be 0: a text has one meaning, and a meaning one text. */
static bool text_get(struct slice text, uint8_t *out, size_t *len)
{
    uint32_t v = 0, bits = 0;
    size_t n = 0;
    for (size_t i = 0; i < text.len; i++) {
        int d = digit(text.p[i]);
        if (d < 0)
            return false;
        v = v << 6 | (uint32_t)d;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            out[n++] = (uint8_t)(v >> bits);
            v &= (1u << bits) - 1;
        }
    }
    *len = n;
    return bits < 6 && v == 0;
}

/* ---- sealing ---- */

void cursor_sealer_init(struct cursor_sealer *s, const struct cursor_key *k)
{
    mbedtls_gcm_init(&s->seal);
    mbedtls_md_init(&s->nonce);
    int rc = mbedtls_gcm_setkey(&s->seal, MBEDTLS_CIPHER_ID_AES, k->seal, 256);
    rc = rc ? rc : mbedtls_md_setup(&s->nonce, mbedtls_md_info_from_type(MBEDTLS_MD_SHA256), 1);
    rc = rc ? rc : mbedtls_md_hmac_starts(&s->nonce, k->nonce, sizeof k->nonce);
    if (rc)
        PANIC("the ciphers of cursors cannot be set up: %d", rc);
}

void cursor_sealer_fini(struct cursor_sealer *s)
{
    mbedtls_gcm_free(&s->seal);
    mbedtls_md_free(&s->nonce);
}

bool cursor_seal(struct cursor_sealer *k, struct slice plain, struct buf *out)
{
    uint8_t hash[32], sealed[CURSOR_BYTES_MAX];
    size_t n = NONCE_BYTES + plain.len + TAG_BYTES;
    if ((n + 2) / 3 * 4 > CURSOR_BYTES_MAX)
        return false;
    int rc = mbedtls_md_hmac_reset(&k->nonce);
    rc = rc ? rc : mbedtls_md_hmac_update(&k->nonce, plain.p, plain.len);
    rc = rc ? rc : mbedtls_md_hmac_finish(&k->nonce, hash);
    memcpy(sealed, hash, NONCE_BYTES);
    rc = rc ? rc
            : mbedtls_gcm_crypt_and_tag(&k->seal, MBEDTLS_GCM_ENCRYPT, plain.len, sealed, NONCE_BYTES, NULL,
                                        0, plain.p, sealed + NONCE_BYTES, TAG_BYTES,
                                        sealed + NONCE_BYTES + plain.len);
    ASSERT(rc == 0);
    text_put(out, sealed, n);
    return true;
}

bool cursor_open(struct cursor_sealer *k, struct arena *a, struct slice text, struct slice *plain)
{
    size_t n = 0;
    if (text.len > CURSOR_BYTES_MAX)
        return false;
    uint8_t *sealed = arena_alloc(a, text.len);
    if (!text_get(text, sealed, &n) || n < NONCE_BYTES + TAG_BYTES)
        return false;
    n -= NONCE_BYTES + TAG_BYTES;
    uint8_t *out = arena_alloc(a, n);
    *plain = (struct slice){out, n};
    return mbedtls_gcm_auth_decrypt(&k->seal, n, sealed, NONCE_BYTES, NULL, 0, sealed + NONCE_BYTES + n,
                                    TAG_BYTES, sealed + NONCE_BYTES, out) == 0;
}
