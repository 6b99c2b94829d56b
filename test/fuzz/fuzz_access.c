/* What vouches for callers, in any bytes: the first says what the rest is taken for. A key set, the file of tokens, the rules'
 * document, a condition of a rule, or a token: as it came, and signed with a key that is known, so that what stands in it is read. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "serve/jwt.h"
#include "sql/predicate.h"
#include "store/token_file.h"

#include <mbedtls/md.h>
#include <stdlib.h>

static const char key_set[] =
    "{\"keys\":[{\"kty\":\"oct\",\"k\":\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\"}]}";

static size_t put(char *out, size_t at, const uint8_t *p, size_t n)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint32_t bits = 0;
    int have = 0;
    for (size_t i = 0; i < n; i++) {
        bits = bits << 8 | p[i];
        for (have += 8; have >= 6; have -= 6)
            out[at++] = digits[bits >> (have - 6) & 63];
    }
    if (have)
        out[at++] = digits[bits << (6 - have) & 63];
    return at;
}

static void read_token(struct arena *a, struct slice token)
{
    static const char *audience[] = {"penstock"};
    const struct access_doc_jwt rules = {.used = true,
                                         .issuer = "i",
                                         .audience_count = 1,
                                         .audiences = audience,
                                         .algorithms = JWT_RS256 | JWT_ES256 | JWT_EDDSA | JWT_HS256,
                                         .role_claim = "role",
                                         .leeway_s = 30};
    struct jwks *keys;
    struct caller c;
    struct err *e = jwks_parse(key_set, sizeof key_set - 1, &keys);
    if (e)
        abort();
    if (!jwt_read(a, keys, &rules, token, 1000000, &c))
        caller_drop(caller_keep(&c));
    jwks_free(keys);
}

/* The rest is a payload: signed. */
static void sign(struct arena *a, const uint8_t *p, size_t n)
{
    static const char header[] = "{\"alg\":\"HS256\"}";
    uint8_t secret[32], mac[32];
    char *text = arena_alloc(a, n * 2 + 200);
    for (size_t i = 0; i < sizeof secret; i++)
        secret[i] = (uint8_t)i;
    size_t at = put(text, 0, (const uint8_t *)header, sizeof header - 1);
    text[at++] = '.';
    at = put(text, at, p, n);
    if (mbedtls_md_hmac(mbedtls_md_info_from_type(MBEDTLS_MD_SHA256), secret, sizeof secret,
                        (const uint8_t *)text, at, mac))
        abort();
    text[at++] = '.';
    at = put(text, at, mac, sizeof mac);
    read_token(a, (struct slice){(const uint8_t *)text, at});
}

static void condition(struct arena *a, const uint8_t *p, size_t n)
{
    static const struct column columns[] = {{"id", {T_INT8, -1}, true, NULL},
                                            {"owner", {T_TEXT, -1}, false, NULL}};
    const struct schema schema = {2, (struct column *)(uintptr_t)columns};
    struct predicate_text text = {"fuzz.yaml", arena_strndup(a, (const char *)p, n), 3, 7};
    struct predicate out;
    struct err *errs = NULL;
    bool ok = !memchr(p, 0, n) && predicate_bind(a, "acc", &schema, &text, &out, &errs);
    if (ok && !out.expr)
        abort();
    err_free(errs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    struct jwks *keys = NULL;
    struct token_file *tokens = NULL;
    struct access_doc *doc = NULL;
    if (!size)
        return 0;
    arena_init(&a);
    const uint8_t *p = data + 1;
    size_t n = size - 1;
    switch (data[0]) {
    case 'k': err_free(jwks_parse((const char *)p, n, &keys)); break;
    case 't': err_free(token_file_parse((const char *)p, n, &tokens)); break;
    case 'd': err_free(access_doc_parse((const char *)p, n, &doc)); break;
    case 'c': condition(&a, p, n); break;
    case 's': sign(&a, p, n); break;
    default: read_token(&a, (struct slice){p, n}); break;
    }
    jwks_free(keys);
    token_file_free(tokens);
    access_doc_free(doc);
    arena_fini(&a);
    return 0;
}
