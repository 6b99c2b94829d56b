/* Credentials without a server: the standards' own signatures, rates at their edge, and callers that outlive what they came
 * from. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "serve/jwt.h"
#include "serve/out.h"
#include "serve/peer_certificate.h"
#include "serve/rate.h"
#include "test.h"

#include <mbedtls/md.h>

static struct jwks *keys_of(const char *text)
{
    struct jwks *k = NULL;
    struct err *e = jwks_parse(text, strlen(text), &k);
    if (e)
        printf("# %s\n", e->message);
    err_free(e);
    return k;
}

static bool verifies(const char *set, const char *token)
{
    struct jwks *k = keys_of(set);
    uint8_t signature[512];
    const char *dot = strrchr(token, '.');
    ssize_t n = base64url_decode(slice_of(dot + 1), signature, sizeof signature);
    struct slice text = {(const uint8_t *)token, (size_t)(dot - token)};
    bool ok = k && n > 0 && jwk_verify(&k->keys[0], text, (struct slice){signature, (size_t)n});
    signature[n / 2] ^= 1;
    CHECK(!k || n <= 0 || !jwk_verify(&k->keys[0], text, (struct slice){signature, (size_t)n}));
    CHECK(!k || n <= 0 || !jwk_verify(&k->keys[0], text, (struct slice){signature, (size_t)n - 1}));
    jwks_free(k);
    return ok;
}

/* RFC 7515 A.1 to A.3, RFC 8037 A.4. */
static void test_standards(void)
{
    CHECK(verifies("{\"keys\":[{\"kty\":\"oct\",\"k\":\"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-"
                   "1qS0gZH75aKtMN3Yj0iPS4hc"
                   "gUuTwjAzZr1Z9CAow\"}]}",
                   "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9."
                   "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leG"
                   "FtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"));
    CHECK(verifies("{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":"
                   "\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\",\"y\":"
                   "\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}]}",
                   "eyJhbGciOiJFUzI1NiJ9."
                   "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb2"
                   "90Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-"
                   "F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"));
    CHECK(verifies("{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_"
                   "7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}",
                   "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-"
                   "09PGcvMg3AIbQR6dWb"
                   "hijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"));
}

static bool refused(const char *text)
{
    struct jwks *k = NULL;
    struct err *e = jwks_parse(text, strlen(text), &k);
    bool ok = e && !k;
    jwks_free(k);
    err_free(e);
    return ok;
}

static void test_weak_keys(void)
{
    CHECK(refused("") && refused("[]") && refused("{\"keys\":5}") && refused("{\"keys\":[]}"));
    CHECK(refused("{\"keys\":[{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}]}"));
    CHECK(refused("{\"keys\":[{\"kty\":\"oct\",\"k\":\"c2hvcnQ\"}]}"));
    CHECK(refused("{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AAAA\",\"y\":\"AAAA\"}]}"));
    CHECK(refused("{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_"
                  "7TyWQHOg7hcvPapiMlrwIaaPcHUR==\"}]}"));
    CHECK(refused("{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"X25519\",\"x\":\"11qYAYKxCrfVS_"
                  "7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}"));
    CHECK(refused("{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"use\":\"enc\",\"x\":"
                  "\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}"));
}

static void test_base64url(void)
{
    uint8_t out[8];
    CHECK(base64url_decode(slice_of(""), out, 8) == 0 && base64url_decode(slice_of("AQ"), out, 8) == 1 &&
          out[0] == 1);
    CHECK(base64url_decode(slice_of("A"), out, 8) < 0 && base64url_decode(slice_of("AR"), out, 8) < 0);
    CHECK(base64url_decode(slice_of("A+"), out, 8) < 0 && base64url_decode(slice_of("AA=="), out, 8) < 0);
    CHECK(base64url_decode(slice_of("AAAAAAAAAAA"), out, 8) == 8 &&
          base64url_decode(slice_of("AAAAAAAAAAAA"), out, 8) < 0);
}

static void test_rates(void)
{
    struct rate r;
    int64_t now = INT64_C(1000000000);
    rate_init(&r, 3, 1);
    for (int i = 0; i < 3; i++)
        CHECK(rate_take(&r, 7, now) == 0);
    CHECK(rate_take(&r, 7, now) == 1 && rate_look(&r, 7, now) == 1 && rate_take(&r, 8, now) == 0);
    CHECK(rate_take(&r, 7, now + 333000) == 1 && rate_take(&r, 7, now + 334000) == 0 &&
          rate_take(&r, 7, now + 334001) == 1);
    CHECK(rate_take(&r, 7, now + 10000000) == 0); /* never more than a second's worth */
    CHECK(rate_take(&r, 7, now + 10000000) == 0 && rate_take(&r, 7, now + 10000000) == 0 &&
          rate_take(&r, 7, now + 10000000) > 0);
    CHECK(rate_take(&r, 7, now - 5000000) == 0); /* a clock that is set back lets nobody wait for it */
    for (uint64_t k = 1; k < 100000; k++)
        CHECK(rate_take(&r, k * UINT64_C(0x9E3779B97F4A7C15), now + 20000000) == 0);
    rate_fini(&r);
    rate_init(&r, 1000000, 1);
    CHECK(rate_take(&r, 1, now) == 0 && rate_take(&r, 1, INT64_MAX / 2) == 0);
    rate_fini(&r);
    rate_init(&r, 60, 60);
    for (int i = 0; i < 60; i++)
        CHECK(rate_take(&r, 1, now) == 0);
    CHECK(rate_take(&r, 1, now) == 2 && rate_take(&r, 1, now + 1000001) == 0);
    rate_fini(&r);
    rate_init(&r, 0, 1);
    for (int i = 0; i < 100; i++)
        CHECK(rate_take(&r, 1, now) == 0);
    rate_fini(&r);
}

static void test_callers(void)
{
    const struct claim claims[] = {
        {slice_of("a"), slice_of("1")}, {slice_of("b"), {NULL, 0}}, {slice_of("c"), slice_of("")}};
    const struct caller c = {.kind = CALLER_JWT,
                             .role = slice_of("r"),
                             .name = slice_of("n"),
                             .claim_count = 3,
                             .claims = claims,
                             .expires_s = 9,
                             .credential = 5};
    const struct caller *k = caller_keep(&c);
    CHECK(k != &c && k->claims != claims && k->role.p != c.role.p);
    CHECK(slice_is(caller_claim(k, "a"), "1") && !caller_claim(k, "b").p && caller_claim(k, "c").p &&
          !caller_claim(k, "d").p);
    CHECK(slice_is(k->role, "r") && slice_is(k->name, "n") && k->expires_s == 9 && k->credential == 5);
    caller_drop(k);
    CHECK(caller_keep(&caller_anonymous) == &caller_anonymous);
    caller_drop(&caller_anonymous);
}

static void put_base64url(char *out, const void *from, size_t n)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const uint8_t *p = from;
    out += strlen(out);
    for (size_t bit = 0; bit < n * 8; bit += 6) {
        unsigned two = (unsigned)p[bit / 8] << 8 | (bit / 8 + 1 < n ? p[bit / 8 + 1] : 0);
        *out++ = digits[two >> (10 - bit % 8) & 63];
    }
    *out = 0;
}

/* Signed with 32 times 'a'. What is wrong with it; "" nothing. *role: by app.role. */
static const char *judged(const char *payload, char role[32])
{
    static const char header[] = "{\"alg\":\"HS256\"}";
    const struct access_doc_jwt rules = {.used = true, .algorithms = JWT_HS256, .role_claim = "app.role"};
    char token[1024] = "";
    uint8_t mac[32];
    struct caller c;
    struct arena a;
    struct jwks *k =
        keys_of("{\"keys\":[{\"kty\":\"oct\",\"k\":\"YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE\"}]}");
    arena_init(&a);
    put_base64url(token, header, strlen(header));
    strcat(token, ".");
    put_base64url(token, payload, strlen(payload));
    CHECK(mbedtls_md_hmac(mbedtls_md_info_from_type(MBEDTLS_MD_SHA256),
                          (const uint8_t *)"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 32, (uint8_t *)token,
                          strlen(token), mac) == 0);
    strcat(token, ".");
    put_base64url(token, mac, sizeof mac);
    const char *wrong = jwt_read(&a, k, &rules, slice_of(token), 1000, &c);
    snprintf(role, 32, "%.*s", wrong ? 0 : (int)c.role.len, (const char *)c.role.p);
    arena_fini(&a);
    jwks_free(k);
    return wrong ? wrong : "";
}

/* A claim's name says one thing: of two it is not left to chance which counts, and none is cut into another one's. */
static void test_claim_names(void)
{
    char role[32];
    CHECK_STR(judged("{\"exp\":2000,\"app\":{\"role\":\"clerk\",\"roles\":1}}", role), "");
    CHECK_STR(role, "clerk");
    static const char *const twice[] = {"{\"exp\":2000,\"app.role\":\"chief\",\"app\":{\"role\":\"clerk\"}}",
                                        "{\"exp\":2000,\"app\":{\"role\":\"chief\",\"role\":\"clerk\"}}",
                                        "{\"exp\":2000,\"exp\":500}",
                                        "{\"exp\":2000,\"sub\":\"a\",\"sub\":\"b\"}"};
    for (size_t i = 0; i < ARRAY_COUNT(twice); i++)
        CHECK_STR(judged(twice[i], role), "JWT has two claims of the same name");
    CHECK_STR(judged("{\"exp\":2000,\"app\":{\"role\\u0000x\":\"chief\"}}", role),
              "JWT holds a NUL character");
    CHECK_STR(judged("{\"exp\":2000,\"\\u0000\":1}", role), "JWT holds a NUL character");
}

/* A connection outlives the document that its certificate was judged by: the files are read again, and say the same. */
static void test_certificate_outlives_document(void)
{
    char role[] = "teller";
    struct access_doc_certificate entry = {"CN=till", role}, again = {"CN=till", "teller"};
    struct access_doc first = {.certificate_count = 1, .certificates = &entry},
                      second = {.certificate_count = 1, .certificates = &again};
    struct peer_certificate *c = xcalloc(1, sizeof *c);
    arena_init(&c->arena);
    c->names[c->name_count++] = "CN=till";
    c->subject = "CN=till";
    CHECK(slice_is(peer_certificate_caller(c, &first, 7)->role, "teller"));
    memcpy(role, "admin!", sizeof role); /* what was its memory is another's now */
    CHECK(slice_is(peer_certificate_caller(c, &second, 7)->role, "teller"));
    CHECK(!peer_certificate_caller(c, NULL, 9)->role.p);
    CHECK(slice_is(peer_certificate_caller(c, &second, 11)->role, "teller"));
    peer_certificate_free(c);
}

int main(void)
{
    RUN(test_standards);
    RUN(test_weak_keys);
    RUN(test_base64url);
    RUN(test_rates);
    RUN(test_callers);
    RUN(test_claim_names);
    RUN(test_certificate_outlives_document);
    TEST_END();
}
