/* See jwks.h. */
#include "serve/jwks.h"
#include "base/hash.h"
#include "serve/out.h"

#include <mbedtls/constant_time.h>
#include <mbedtls/ecdsa.h>
#include <mbedtls/md.h>
#include <mbedtls/rsa.h>
#include <mbedtls/sha256.h>
#include <sodium/crypto_sign_ed25519.h>
#include <stdlib.h>
#include <yyjson.h>

#define SHA256_BYTES 32
#define P256_BYTES   32

/* ---- base64url ---- */

static int digit(uint8_t c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '-' ? 62 : c == '_' ? 63 : -1;
}

ssize_t base64url_decode(struct slice text, uint8_t *out, size_t room)
{
    uint32_t bits = 0;
    int have = 0;
    size_t n = 0;
    if (text.len % 4 == 1)
        return -1;
    for (size_t i = 0; i < text.len; i++) {
        int d = digit(text.p[i]);
        if (d < 0)
            return -1;
        bits = bits << 6 | (uint32_t)d;
        have += 6;
        if (have < 8)
            continue;
        if (n == room)
            return -1;
        have -= 8;
        out[n++] = (uint8_t)(bits >> have);
    }
    return bits & ((1u << have) - 1) ? -1
                                     : (ssize_t)n; /* bits that say nothing are 0: one text for one value */
}

/* ---- reading ---- */

struct reader {
    struct arena *arena;
    struct err *error;
    uint32_t at; /* the key's place, for messages */
};

static void refuse(struct reader *r, const char *why)
{
    if (!r->error)
        r->error = err_new(ERR_CONFIG, "JWKS: key %u: %s", r->at + 1, why);
}

static bool text_is(yyjson_val *v, const char *want)
{
    return yyjson_is_str(v) &&
           slice_is((struct slice){(const uint8_t *)yyjson_get_str(v), yyjson_get_len(v)}, want);
}

static struct slice get_bytes(struct reader *r, yyjson_val *o, const char *field)
{
    yyjson_val *v = yyjson_obj_get(o, field);
    struct slice text = {(const uint8_t *)yyjson_get_str(v), yyjson_get_len(v)};
    uint8_t *out = arena_alloc(r->arena, text.len + 1);
    ssize_t n = text.p ? base64url_decode(text, out, text.len + 1) : -1;
    if (n > 0)
        return (struct slice){out, (size_t)n};
    refuse(r, "a member is missing or is no base64url");
    return (struct slice){(const uint8_t *)"", 0};
}

static unsigned bits_of(struct slice n)
{
    size_t zeros = 0;
    while (zeros < n.len && n.p[zeros] == 0)
        zeros++;
    unsigned bits = (unsigned)(n.len - zeros) * 8;
    for (uint8_t top = zeros < n.len ? n.p[zeros] : 0xFF; !(top & 0x80); top = (uint8_t)(top << 1))
        bits--;
    return bits;
}

static void read_rsa(struct reader *r, yyjson_val *o, struct jwk *k)
{
    k->algorithm = JWT_RS256;
    k->a = get_bytes(r, o, "n");
    k->b = get_bytes(r, o, "e");
    if (!r->error && (bits_of(k->a) < JWKS_RSA_BITS_MIN || bits_of(k->a) > JWKS_RSA_BITS_MAX || k->b.len > 8))
        refuse(r, "RSA keys have 2048 to 8192 bits, and a small exponent");
}

static void read_ec(struct reader *r, yyjson_val *o, struct jwk *k)
{
    k->algorithm = JWT_ES256;
    k->a = get_bytes(r, o, "x");
    k->b = get_bytes(r, o, "y");
    if (!r->error && (k->a.len != P256_BYTES || k->b.len != P256_BYTES))
        refuse(r, "the coordinates of P-256 have 32 bytes each");
}

static void read_okp(struct reader *r, yyjson_val *o, struct jwk *k)
{
    k->algorithm = JWT_EDDSA;
    k->a = get_bytes(r, o, "x");
    if (!r->error && k->a.len != crypto_sign_ed25519_PUBLICKEYBYTES)
        refuse(r, "Ed25519 keys have 32 bytes");
}

static void read_oct(struct reader *r, yyjson_val *o, struct jwk *k)
{
    k->algorithm = JWT_HS256;
    k->a = get_bytes(r, o, "k");
    if (!r->error && k->a.len < JWKS_SECRET_BYTES)
        refuse(r, "a secret for HS256 has at least 32 bytes");
}

static const char *algorithm_name(enum jwt_algorithm a)
{
    return a == JWT_RS256 ? "RS256" : a == JWT_ES256 ? "ES256" : a == JWT_EDDSA ? "EdDSA" : "HS256";
}

/* False: not for us. */
static bool read_key(struct reader *r, yyjson_val *o, struct jwk *k)
{
    yyjson_val *kty = yyjson_obj_get(o, "kty"), *crv = yyjson_obj_get(o, "crv"),
               *use = yyjson_obj_get(o, "use"), *alg = yyjson_obj_get(o, "alg"),
               *kid = yyjson_obj_get(o, "kid");
    if (use && !text_is(use, "sig"))
        return false;
    if (text_is(kty, "RSA"))
        read_rsa(r, o, k);
    else if (text_is(kty, "EC") && text_is(crv, "P-256"))
        read_ec(r, o, k);
    else if (text_is(kty, "OKP") && text_is(crv, "Ed25519"))
        read_okp(r, o, k);
    else if (text_is(kty, "oct"))
        read_oct(r, o, k);
    else
        return false;
    if (alg && !text_is(alg, algorithm_name(k->algorithm)))
        return r->error != NULL; /* for another algorithm: PS256, RS512, ... */
    if (kid && (!yyjson_is_str(kid) || memchr(yyjson_get_str(kid), 0, yyjson_get_len(kid))))
        refuse(r, "kid is no text");
    else if (kid)
        k->kid = arena_strndup(r->arena, yyjson_get_str(kid), yyjson_get_len(kid));
    k->id = hash_bytes(k->a.p, k->a.len) ^ hash_bytes(k->b.p, k->b.len) * 3 ^
            (k->kid ? hash_bytes(k->kid, strlen(k->kid)) * 5 : 0);
    return true;
}

struct err *jwks_parse(const char *text, size_t len, struct jwks **out)
{
    yyjson_doc *d = len <= JWKS_BYTES_MAX ? yyjson_read(text, len, 0) : NULL;
    yyjson_val *keys = yyjson_obj_get(yyjson_doc_get_root(d), "keys"), *v;
    struct jwks *k = xcalloc(1, sizeof *k);
    size_t i, n;
    arena_init(&k->arena);
    struct reader r = {.arena = &k->arena};
    *out = NULL;
    if (!yyjson_is_arr(keys) || yyjson_arr_size(keys) > JWKS_KEYS_MAX)
        r.error =
            err_new(ERR_CONFIG, "JWKS: expected {\"keys\": [...]}, with at most %d keys", JWKS_KEYS_MAX);
    k->keys = ARENA_ARRAY(&k->arena, struct jwk, JWKS_KEYS_MAX);
    yyjson_arr_foreach(keys, i, n, v)
    {
        r.at = (uint32_t)i;
        k->keys[k->key_count] = (struct jwk){0};
        if (r.error)
            break;
        k->key_count += read_key(&r, v, &k->keys[k->key_count]);
    }
    yyjson_doc_free(d);
    if (!r.error && !k->key_count)
        r.error = err_new(ERR_CONFIG, "JWKS: there is no key for RS256, ES256, EdDSA or HS256 in it");
    if (r.error)
        jwks_free(k);
    else
        *out = k;
    return r.error;
}

void jwks_free(struct jwks *k)
{
    if (!k)
        return;
    arena_fini(&k->arena);
    free(k);
}

bool jwks_holds(const struct jwks *k, uint64_t id)
{
    for (uint32_t i = 0; k && i < k->key_count; i++)
        if (k->keys[i].id == id)
            return true;
    return false;
}

/* ---- verifying: contexts of its own for each, as mbedTLS keeps results of computations in them. Answers are remembered, so
 * this is rare. ---- */

static bool sha256(struct slice text, uint8_t hash[SHA256_BYTES])
{
    return mbedtls_sha256(text.p, text.len, hash, 0) == 0;
}

static bool verify_rsa(const struct jwk *k, const uint8_t *hash, struct slice signature)
{
    mbedtls_rsa_context rsa;
    mbedtls_rsa_init(&rsa);
    bool ok =
        mbedtls_rsa_import_raw(&rsa, k->a.p, k->a.len, NULL, 0, NULL, 0, NULL, 0, k->b.p, k->b.len) == 0 &&
        mbedtls_rsa_complete(&rsa) == 0 && mbedtls_rsa_check_pubkey(&rsa) == 0 &&
        signature.len == mbedtls_rsa_get_len(&rsa) &&
        mbedtls_rsa_pkcs1_verify(&rsa, MBEDTLS_MD_SHA256, SHA256_BYTES, hash, signature.p) == 0;
    mbedtls_rsa_free(&rsa);
    return ok;
}

static bool verify_ec(const struct jwk *k, const uint8_t *hash, struct slice signature)
{
    uint8_t point[1 + 2 * P256_BYTES] = {4};
    mbedtls_ecp_group group;
    mbedtls_ecp_point q;
    mbedtls_mpi r, s;
    memcpy(point + 1, k->a.p, P256_BYTES);
    memcpy(point + 1 + P256_BYTES, k->b.p, P256_BYTES);
    mbedtls_ecp_group_init(&group);
    mbedtls_ecp_point_init(&q);
    mbedtls_mpi_init(&r);
    mbedtls_mpi_init(&s);
    bool ok = signature.len == 2 * (size_t)P256_BYTES &&
              mbedtls_ecp_group_load(&group, MBEDTLS_ECP_DP_SECP256R1) == 0 &&
              mbedtls_ecp_point_read_binary(&group, &q, point, sizeof point) == 0 &&
              mbedtls_ecp_check_pubkey(&group, &q) == 0 &&
              mbedtls_mpi_read_binary(&r, signature.p, P256_BYTES) == 0 &&
              mbedtls_mpi_read_binary(&s, signature.p + P256_BYTES, P256_BYTES) == 0 &&
              mbedtls_ecdsa_verify(&group, hash, SHA256_BYTES, &q, &r, &s) == 0;
    mbedtls_mpi_free(&s);
    mbedtls_mpi_free(&r);
    mbedtls_ecp_point_free(&q);
    mbedtls_ecp_group_free(&group);
    return ok;
}

static bool verify_hmac(const struct jwk *k, struct slice text, struct slice signature)
{
    uint8_t mac[SHA256_BYTES];
    return mbedtls_md_hmac(mbedtls_md_info_from_type(MBEDTLS_MD_SHA256), k->a.p, k->a.len, text.p, text.len,
                           mac) == 0 &&
           signature.len == sizeof mac && mbedtls_ct_memcmp(mac, signature.p, sizeof mac) == 0;
}

bool jwk_verify(const struct jwk *k, struct slice text, struct slice signature)
{
    uint8_t hash[SHA256_BYTES];
    switch (k->algorithm) {
    case JWT_RS256: return sha256(text, hash) && verify_rsa(k, hash, signature);
    case JWT_ES256: return sha256(text, hash) && verify_ec(k, hash, signature);
    case JWT_EDDSA:
        return signature.len == crypto_sign_ed25519_BYTES &&
               crypto_sign_ed25519_verify_detached(signature.p, text.p, text.len, k->a.p) == 0;
    case JWT_HS256: return verify_hmac(k, text, signature);
    }
    return false;
}
