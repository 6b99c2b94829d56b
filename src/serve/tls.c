/* What all TLS connections share: certificate, versions, ciphersuites, session tickets; see tls.h. */
#define _GNU_SOURCE /* timegm */
#include "serve/tls.h"

#include "base/clock.h"
#include "store/small_file.h"

#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/error.h>
#include <mbedtls/ssl_ticket.h>
#include <psa/crypto.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FORMER_US      (INT64_C(3600) * 1000000) /* a handshake has ended long before */
#define TICKET_SECONDS (12 * 3600) /* keys rotate at this age; the one before stays valid for as long again */

/* A certificate and its key. Handshakes that began with one may still look at it when another has taken its place. */
struct tls_pair {
    mbedtls_x509_crt chain;
    mbedtls_pk_context key;
    struct tls_pair *former; /* owned */
    int64_t replaced_us;     /* steady */
};

struct tls_server {
    mbedtls_ssl_config config;
    mbedtls_x509_crt client_ca;
    enum tls_client_auth client_auth;
    _Atomic(struct tls_pair *) pair; /* owned, with those before it */
    char *own_certificate;           /* owned; NULL: the configuration names one */
    int64_t own_stamp;
    mbedtls_entropy_context entropy;
    mbedtls_ctr_drbg_context random;
    mbedtls_ssl_ticket_context tickets;
    atomic_ullong resumed;
};

/* ECDHE and AEAD alone. AES-128 first: the list decides for TLS 1.2; in 1.3 it is the client's that does. */
static const int suites[] = {
    MBEDTLS_TLS1_3_AES_128_GCM_SHA256,
    MBEDTLS_TLS1_3_AES_256_GCM_SHA384,
    MBEDTLS_TLS1_3_CHACHA20_POLY1305_SHA256,
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    MBEDTLS_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    MBEDTLS_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    MBEDTLS_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    0,
};
static const uint16_t groups[] = {
    MBEDTLS_SSL_IANA_TLS_GROUP_X25519,
    MBEDTLS_SSL_IANA_TLS_GROUP_SECP256R1,
    MBEDTLS_SSL_IANA_TLS_GROUP_SECP384R1,
    MBEDTLS_SSL_IANA_TLS_GROUP_NONE,
};
static const char *protocols[] = {"h2", "http/1.1", NULL};

static struct err *tls_err(int rc, const char *what, const char *name)
{
    char text[160];
    mbedtls_strerror(rc, text, sizeof text);
    return err_new(ERR_CONFIG, "%s%s%s: %s", what, name ? " " : "", name ? name : "", text);
}

static void pair_free(struct tls_pair *p)
{
    while (p) {
        struct tls_pair *former = p->former;
        mbedtls_x509_crt_free(&p->chain);
        mbedtls_pk_free(&p->key);
        free(p);
        p = former;
    }
}

static struct err *pair_fill(struct tls_server *s, struct tls_pair *p, const char *certificate,
                             const char *key)
{
    int rc = mbedtls_x509_crt_parse_file(&p->chain, certificate);
    if (rc)
        return tls_err(rc, "TLS certificate", certificate);
    rc = mbedtls_pk_parse_keyfile(&p->key, key, NULL, mbedtls_ctr_drbg_random, &s->random);
    if (rc)
        return tls_err(rc, "TLS key", key);
    if (mbedtls_pk_check_pair(&p->chain.pk, &p->key, mbedtls_ctr_drbg_random, &s->random))
        return err_new(ERR_CONFIG, "TLS key %s does not belong to certificate %s", key, certificate);
    return NULL;
}

static struct err *load(struct tls_server *s, const char *certificate, const char *key)
{
    struct tls_pair *p = xcalloc(1, sizeof *p), *former = atomic_load(&s->pair);
    mbedtls_x509_crt_init(&p->chain);
    mbedtls_pk_init(&p->key);
    struct err *e = pair_fill(s, p, certificate, key);
    if (e) {
        pair_free(p);
        return e;
    }
    p->former = former;
    if (former)
        former->replaced_us = steady_us();
    atomic_store(&s->pair, p);
    return NULL;
}

/* For each handshake, whatever the client names. */
static int choose(mbedtls_ssl_context *ssl)
{
    /* Our own configuration, which is not constant; mbedTLS hands it out so. */
    mbedtls_ssl_config *c = (mbedtls_ssl_config *)(uintptr_t)mbedtls_ssl_context_get_config(ssl);
    struct tls_server *s = mbedtls_ssl_conf_get_user_data_p(c);
    struct tls_pair *p = atomic_load(&s->pair);
    return mbedtls_ssl_set_hs_own_cert(ssl, &p->chain, &p->key);
}

static int ticket_parse(void *ctx, mbedtls_ssl_session *session, unsigned char *p, size_t len)
{
    struct tls_server *s = ctx;
    int rc = mbedtls_ssl_ticket_parse(&s->tickets, session, p, len);
    if (rc == 0)
        atomic_fetch_add_explicit(&s->resumed, 1, memory_order_relaxed);
    return rc;
}

static int ticket_write(void *ctx, const mbedtls_ssl_session *session, unsigned char *start,
                        const unsigned char *end, size_t *len, uint32_t *lifetime)
{
    struct tls_server *s = ctx;
    return mbedtls_ssl_ticket_write(&s->tickets, session, start, end, len, lifetime);
}

static struct err *configure(struct tls_server *s)
{
    mbedtls_ssl_config *c = &s->config;
    int rc = mbedtls_ssl_config_defaults(c, MBEDTLS_SSL_IS_SERVER, MBEDTLS_SSL_TRANSPORT_STREAM,
                                         MBEDTLS_SSL_PRESET_DEFAULT);
    if (rc)
        return tls_err(rc, "TLS configuration", NULL);
    mbedtls_ssl_conf_min_tls_version(c, MBEDTLS_SSL_VERSION_TLS1_2);
    mbedtls_ssl_conf_max_tls_version(c, MBEDTLS_SSL_VERSION_TLS1_3);
    mbedtls_ssl_conf_ciphersuites(c, suites);
    mbedtls_ssl_conf_groups(c, groups);
    mbedtls_ssl_conf_rng(c, mbedtls_ctr_drbg_random, &s->random);
    mbedtls_ssl_conf_authmode(c, s->client_auth == TLS_CLIENT_REQUIRE   ? MBEDTLS_SSL_VERIFY_REQUIRED
                                 : s->client_auth == TLS_CLIENT_REQUEST ? MBEDTLS_SSL_VERIFY_OPTIONAL
                                                                        : MBEDTLS_SSL_VERIFY_NONE);
    if (s->client_auth != TLS_CLIENT_NONE)
        mbedtls_ssl_conf_ca_chain(c, &s->client_ca, NULL);
    mbedtls_ssl_conf_renegotiation(c, MBEDTLS_SSL_RENEGOTIATION_DISABLED);
    mbedtls_ssl_conf_new_session_tickets(c, s->client_auth == TLS_CLIENT_NONE ? 1 : 0);
    if ((rc = mbedtls_ssl_conf_alpn_protocols(c, protocols)) != 0)
        return tls_err(rc, "TLS protocols", NULL);
    mbedtls_ssl_conf_set_user_data_p(c, s);
    mbedtls_ssl_conf_cert_cb(c, choose);
    if (s->client_auth != TLS_CLIENT_NONE)
        return NULL;
    rc = mbedtls_ssl_ticket_setup(&s->tickets, mbedtls_ctr_drbg_random, &s->random,
                                  MBEDTLS_CIPHER_AES_256_GCM, TICKET_SECONDS);
    if (rc)
        return tls_err(rc, "TLS session tickets", NULL);
    mbedtls_ssl_conf_session_tickets_cb(c, ticket_write, ticket_parse, s);
    return NULL;
}

static void server_init(struct tls_server *s)
{
    mbedtls_ssl_config_init(&s->config);
    mbedtls_x509_crt_init(&s->client_ca);
    mbedtls_entropy_init(&s->entropy);
    mbedtls_ctr_drbg_init(&s->random);
    mbedtls_ssl_ticket_init(&s->tickets);
}

static struct err *server_fill(struct tls_server *s, const char *data_dir, const char *certificate,
                               const char *key)
{
    int rc = psa_crypto_init() == PSA_SUCCESS ? 0 : MBEDTLS_ERR_ERROR_GENERIC_ERROR;
    if (!rc)
        rc = mbedtls_ctr_drbg_seed(&s->random, mbedtls_entropy_func, &s->entropy, (const uint8_t *)"penstock",
                                   8);
    if (rc)
        return tls_err(rc, "random numbers", NULL);
    if (certificate) {
        TRY(load(s, certificate, key ? key : certificate));
        return configure(s);
    }
    char *own_key;
    TRY(tls_self_signed(data_dir, &s->own_certificate, &own_key));
    s->own_stamp = small_file_stamp(s->own_certificate); /* before it is read */
    struct err *e = load(s, s->own_certificate, own_key);
    free(own_key);
    return e ? e : configure(s);
}

/* Those whose handshakes have long ended, one way or the other. */
static void sweep(struct tls_pair *p)
{
    struct tls_pair **at = &p->former;
    while (*at && steady_us() - (*at)->replaced_us < FORMER_US)
        at = &(*at)->former;
    pair_free(*at);
    *at = NULL;
}

struct err *tls_server_look(struct tls_server *s, bool *renewed)
{
    *renewed = false;
    int64_t stamp = s->own_certificate ? small_file_stamp(s->own_certificate) : s->own_stamp;
    if (stamp == s->own_stamp || !stamp)
        return NULL;
    s->own_stamp = stamp;
    sweep(atomic_load(&s->pair));
    TRY(load(s, s->own_certificate, s->own_certificate));
    *renewed = true;
    return NULL;
}

static struct err *load_client_ca(mbedtls_x509_crt *out, const char *path)
{
    int rc = mbedtls_x509_crt_parse_file(out, path);
    return rc ? tls_err(rc, "server.tls.client_ca", path) : NULL;
}

struct err *tls_check_client_ca(const char *path)
{
    mbedtls_x509_crt ca;
    mbedtls_x509_crt_init(&ca);
    struct err *e = load_client_ca(&ca, path);
    mbedtls_x509_crt_free(&ca);
    return e;
}

struct err *tls_server_new(const char *data_dir, const char *certificate, const char *key,
                           const char *client_ca, enum tls_client_auth client_auth, struct tls_server **out)
{
    struct tls_server *s = xcalloc(1, sizeof *s);
    server_init(s);
    s->client_auth = client_auth;
    struct err *e = client_auth != TLS_CLIENT_NONE ? load_client_ca(&s->client_ca, client_ca) : NULL;
    if (!e)
        e = server_fill(s, data_dir, certificate, key);
    if (e) {
        tls_server_free(s);
        return e;
    }
    *out = s;
    return NULL;
}

void tls_server_free(struct tls_server *s)
{
    if (!s)
        return;
    mbedtls_ssl_config_free(&s->config);
    mbedtls_ssl_ticket_free(&s->tickets);
    mbedtls_x509_crt_free(&s->client_ca);
    pair_free(atomic_load(&s->pair));
    free(s->own_certificate);
    mbedtls_ctr_drbg_free(&s->random);
    mbedtls_entropy_free(&s->entropy);
    free(s);
}

const mbedtls_ssl_config *tls_server_config(const struct tls_server *s)
{
    return &s->config;
}

static int64_t unix_of(const mbedtls_x509_time *t)
{
    struct tm tm = {.tm_year = t->year - 1900,
                    .tm_mon = t->mon - 1,
                    .tm_mday = t->day,
                    .tm_hour = t->hour,
                    .tm_min = t->min,
                    .tm_sec = t->sec};
    return timegm(&tm);
}

struct tls_validity tls_server_validity(const struct tls_server *s)
{
    const mbedtls_x509_crt *c = &atomic_load(&s->pair)->chain;
    return (struct tls_validity){unix_of(&c->valid_from), unix_of(&c->valid_to)};
}

bool tls_server_self_signed(const struct tls_server *s)
{
    const mbedtls_x509_crt *c = &atomic_load(&s->pair)->chain;
    const mbedtls_x509_buf *issuer = &c->issuer_raw, *subject = &c->subject_raw;
    return issuer->len == subject->len && memcmp(issuer->p, subject->p, issuer->len) == 0;
}

uint64_t tls_server_resumed(const struct tls_server *s)
{
    return atomic_load_explicit(&s->resumed, memory_order_relaxed);
}
