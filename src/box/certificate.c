/* Making and judging certificates; see certificate.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "box/certificate.h"

#include "base/clock.h"
#include "base/text.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <mbedtls/base64.h>
#include <mbedtls/ctr_drbg.h>
#include <mbedtls/ecp.h>
#include <mbedtls/entropy.h>
#include <mbedtls/error.h>
#include <mbedtls/sha256.h>
#include <mbedtls/x509_crt.h>
#include <mbedtls/x509_csr.h>
#include <net/if.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define VALID_YEARS 10
#define PEM_ROOM    16384
#define DAY_S       86400
/* A machine without a battery begins in 1970: no certificate that ends before it is used, or begins after it is. */
#define VALID_FROM     INT64_C(1577836800) /* 2020-01-01 */
#define LEAST_NOW      INT64_C(1767225600) /* 2026-01-01 */
#define CLOCK_SANE     LEAST_NOW           /* before it the clock is not set, and dates say nothing */
#define RSA_BITS_LEAST 2048

struct maker {
    mbedtls_entropy_context entropy;
    mbedtls_ctr_drbg_context random;
    mbedtls_pk_context key;
    mbedtls_x509_san_list san[CERTIFICATE_NAMES_MAX], *first;
    uint8_t address[CERTIFICATE_NAMES_MAX][16];
    char subject[320];
    unsigned char pem[PEM_ROOM];
};

static struct err *failed(int rc, const char *what)
{
    char text[128];
    mbedtls_strerror(rc, text, sizeof text);
    return err_new(ERR_CONFIG, "%s: %s", what, text);
}

/* ---- names ---- */

static void add_name(struct certificate_names *n, const char *name)
{
    for (uint32_t i = 0; i < n->count; i++)
        if (strcasecmp(n->name[i], name) == 0)
            return;
    if (n->count < CERTIFICATE_NAMES_MAX && *name && strlen(name) < CERTIFICATE_NAME_BYTES)
        snprintf(n->name[n->count++], CERTIFICATE_NAME_BYTES, "%s", name);
}

static bool is_lasting(const struct sockaddr *a, char out[INET6_ADDRSTRLEN])
{
    if (a->sa_family == AF_INET) {
        const struct in_addr *v4 = &((const struct sockaddr_in *)(const void *)a)->sin_addr;
        uint32_t host = ntohl(v4->s_addr);
        return host >> 16 != 0xa9fe && inet_ntop(AF_INET, v4, out, INET6_ADDRSTRLEN);
    }
    if (a->sa_family != AF_INET6)
        return false;
    const struct in6_addr *v6 = &((const struct sockaddr_in6 *)(const void *)a)->sin6_addr;
    return !IN6_IS_ADDR_LINKLOCAL(v6) && inet_ntop(AF_INET6, v6, out, INET6_ADDRSTRLEN);
}

void certificate_names_here(struct certificate_names *out)
{
    char text[INET6_ADDRSTRLEN], host[256] = "";
    struct ifaddrs *all = NULL;
    out->count = 0;
    if (gethostname(host, sizeof host - 1) != 0 || !host[0])
        snprintf(host, sizeof host, "penstock");
    add_name(out, host);
    add_name(out, "localhost");
    if (getifaddrs(&all) != 0)
        all = NULL;
    for (struct ifaddrs *i = all; i; i = i->ifa_next)
        if (i->ifa_addr && !(i->ifa_flags & IFF_LOOPBACK) && is_lasting(i->ifa_addr, text))
            add_name(out, text);
    freeifaddrs(all);
    add_name(out, "127.0.0.1");
    add_name(out, "::1");
}

static size_t address_of(const char *name, uint8_t out[16])
{
    return inet_pton(AF_INET, name, out) == 1 ? 4 : inet_pton(AF_INET6, name, out) == 1 ? 16 : 0;
}

static void set_names(struct maker *m, const struct certificate_names *n)
{
    for (uint32_t i = 0; i < n->count; i++) {
        mbedtls_x509_san_list *l = &m->san[i];
        size_t len = address_of(n->name[i], m->address[i]);
        l->node.type = len ? MBEDTLS_X509_SAN_IP_ADDRESS : MBEDTLS_X509_SAN_DNS_NAME;
        l->node.san.unstructured_name.p = len ? m->address[i] : (unsigned char *)(uintptr_t)n->name[i];
        l->node.san.unstructured_name.len = len ? len : strlen(n->name[i]);
        l->next = i ? &m->san[i - 1] : NULL; /* mbedTLS writes them from the last one on */
        m->first = l;
    }
    char common[65] = "";
    for (size_t i = 0; n->name[0][i] && i < sizeof common - 1; i++) { /* "," and "=" would be syntax */
        char c = n->name[0][i];
        common[i] = c == ',' || c == '=' || c == '\\' || c == '+' || (unsigned char)c < 33 ? '-' : c;
    }
    snprintf(m->subject, sizeof m->subject, "CN=%s,O=Penstock", common);
}

/* ---- making ---- */

static struct maker *maker_new(int *rc)
{
    struct maker *m = xcalloc(1, sizeof *m);
    mbedtls_entropy_init(&m->entropy);
    mbedtls_ctr_drbg_init(&m->random);
    mbedtls_pk_init(&m->key);
    *rc = mbedtls_ctr_drbg_seed(&m->random, mbedtls_entropy_func, &m->entropy,
                                (const uint8_t *)"penstock-cert", 13);
    return m;
}

static void maker_free(struct maker *m)
{
    mbedtls_pk_free(&m->key);
    mbedtls_ctr_drbg_free(&m->random);
    mbedtls_entropy_free(&m->entropy);
    explicit_bzero(m, sizeof *m);
    free(m);
}

static int make_key(struct maker *m)
{
    int rc = mbedtls_pk_setup(&m->key, mbedtls_pk_info_from_type(MBEDTLS_PK_ECKEY));
    return rc ? rc
              : mbedtls_ecp_gen_key(MBEDTLS_ECP_DP_SECP256R1, mbedtls_pk_ec(m->key), mbedtls_ctr_drbg_random,
                                    &m->random);
}

/* mbedTLS wants the 0 byte behind a PEM counted. */
static char *terminated(const void *p, size_t len)
{
    char *text = xmalloc(len + 1);
    memcpy(text, p, len);
    text[len] = 0;
    return text;
}

static int read_key(struct maker *m, const void *p, size_t len)
{
    char *text = terminated(p, len);
    int rc = mbedtls_pk_parse_key(&m->key, (unsigned char *)text, len + 1, NULL, 0, mbedtls_ctr_drbg_random,
                                  &m->random);
    explicit_bzero(text, len);
    free(text);
    return rc;
}

static void put_date(int64_t unix_s, char out[16])
{
    time_t t = (time_t)unix_s;
    struct tm tm;
    if (!gmtime_r(&t, &tm) || !strftime(out, 16, "%Y%m%d%H%M%S", &tm))
        snprintf(out, 16, "20200101000000");
}

static int fill_certificate(struct maker *m, mbedtls_x509write_cert *c)
{
    char from[16], to[16];
    uint8_t serial[16];
    int64_t now = unix_us() / 1000000;
    now = now < LEAST_NOW ? LEAST_NOW : now;
    put_date(VALID_FROM, from);
    put_date(now + (int64_t)VALID_YEARS * 365 * DAY_S, to);
    mbedtls_x509write_crt_set_version(c, MBEDTLS_X509_CRT_VERSION_3);
    mbedtls_x509write_crt_set_md_alg(c, MBEDTLS_MD_SHA256);
    mbedtls_x509write_crt_set_subject_key(c, &m->key);
    mbedtls_x509write_crt_set_issuer_key(c, &m->key);
    int rc = mbedtls_ctr_drbg_random(&m->random, serial, sizeof serial);
    serial[0] = (uint8_t)((serial[0] & 0x7F) | 1); /* positive, and of full length */
    if (!rc)
        rc = mbedtls_x509write_crt_set_serial_raw(c, serial, sizeof serial);
    if (!rc)
        rc = mbedtls_x509write_crt_set_subject_name(c, m->subject);
    if (!rc)
        rc = mbedtls_x509write_crt_set_issuer_name(c, m->subject);
    if (!rc)
        rc = mbedtls_x509write_crt_set_subject_alternative_name(c, m->first);
    if (!rc)
        rc = mbedtls_x509write_crt_set_validity(c, from, to);
    /* A leaf that is its own authority: clients that pin or import it accept it for these names. */
    return rc ? rc : mbedtls_x509write_crt_set_basic_constraints(c, 1, 0);
}

struct err *certificate_self_signed(const struct certificate_names *names, const struct buf *old,
                                    struct buf *pair)
{
    int rc;
    mbedtls_x509write_cert c;
    struct maker *m = maker_new(&rc);
    mbedtls_x509write_crt_init(&c);
    set_names(m, names);
    if (!rc)
        rc = old ? read_key(m, old->p, old->len) : make_key(m);
    if (!rc)
        rc = fill_certificate(m, &c);
    if (!rc)
        rc = mbedtls_pk_write_key_pem(&m->key, m->pem, sizeof m->pem);
    buf_reset(pair);
    if (!rc) {
        buf_put_str(pair, (char *)m->pem);
        rc = mbedtls_x509write_crt_pem(&c, m->pem, sizeof m->pem, mbedtls_ctr_drbg_random, &m->random);
    }
    if (!rc)
        buf_put_str(pair, (char *)m->pem);
    mbedtls_x509write_crt_free(&c);
    maker_free(m);
    return rc ? failed(rc, "cannot make a certificate") : NULL;
}

struct err *certificate_request(const struct certificate_names *names, struct buf *request, struct buf *key)
{
    int rc;
    mbedtls_x509write_csr c;
    struct maker *m = maker_new(&rc);
    mbedtls_x509write_csr_init(&c);
    set_names(m, names);
    if (!rc && !(rc = make_key(m)) && !(rc = mbedtls_x509write_csr_set_subject_name(&c, m->subject)))
        rc = mbedtls_x509write_csr_set_subject_alternative_name(&c, m->first);
    mbedtls_x509write_csr_set_md_alg(&c, MBEDTLS_MD_SHA256);
    mbedtls_x509write_csr_set_key(&c, &m->key);
    if (!rc)
        rc = mbedtls_pk_write_key_pem(&m->key, m->pem, sizeof m->pem);
    if (!rc) {
        buf_put_str(key, (char *)m->pem);
        rc = mbedtls_x509write_csr_pem(&c, m->pem, sizeof m->pem, mbedtls_ctr_drbg_random, &m->random);
    }
    if (!rc)
        buf_put_str(request, (char *)m->pem);
    mbedtls_x509write_csr_free(&c);
    maker_free(m);
    return rc ? failed(rc, "cannot make a request") : NULL;
}

/* ---- looking at one ---- */

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

static void take_names(const mbedtls_x509_crt *c, struct certificate_names *out)
{
    for (const mbedtls_x509_sequence *s = &c->subject_alt_names; s && s->buf.p; s = s->next) {
        mbedtls_x509_subject_alternative_name san;
        char text[CERTIFICATE_NAME_BYTES] = "";
        memset(&san, 0, sizeof san);
        if (mbedtls_x509_parse_subject_alt_name(&s->buf, &san) != 0)
            continue;
        const mbedtls_x509_buf *v = &san.san.unstructured_name;
        if (san.type == MBEDTLS_X509_SAN_DNS_NAME && v->len < sizeof text)
            memcpy(text, v->p, v->len);
        else if (san.type == MBEDTLS_X509_SAN_IP_ADDRESS && (v->len == 4 || v->len == 16) &&
                 !inet_ntop(v->len == 4 ? AF_INET : AF_INET6, v->p, text, sizeof text))
            text[0] = 0;
        for (char *p = text; *p; p++)
            if ((unsigned char)*p < 33 || (unsigned char)*p > 126)
                *p = '?';
        add_name(out, text);
        mbedtls_x509_free_subject_alt_name(&san);
    }
}

static void take_info(const mbedtls_x509_crt *c, struct certificate_info *out)
{
    uint8_t sum[32];
    unsigned char text[48];
    size_t n = 0;
    memset(out, 0, sizeof *out);
    if (mbedtls_x509_dn_gets(out->subject, sizeof out->subject, &c->subject) < 0)
        snprintf(out->subject, sizeof out->subject, "?");
    if (mbedtls_x509_dn_gets(out->issuer, sizeof out->issuer, &c->issuer) < 0)
        snprintf(out->issuer, sizeof out->issuer, "?");
    snprintf(out->key, sizeof out->key, "%s %zu bit", mbedtls_pk_get_name(&c->pk),
             mbedtls_pk_get_bitlen(&c->pk));
    take_names(c, &out->names);
    out->from_s = unix_of(&c->valid_from);
    out->until_s = unix_of(&c->valid_to);
    out->self_signed = c->subject_raw.len == c->issuer_raw.len &&
                       memcmp(c->subject_raw.p, c->issuer_raw.p, c->issuer_raw.len) == 0;
    if (mbedtls_sha256(c->raw.p, c->raw.len, sum, 0) ||
        mbedtls_base64_encode(text, sizeof text, &n, sum, sizeof sum))
        PANIC("a certificate has no fingerprint");
    while (n && text[n - 1] == '=')
        n--;
    snprintf(out->fingerprint, sizeof out->fingerprint, "SHA256:%.*s", (int)n, text);
}

static struct err *parse_chain(const void *p, size_t len, mbedtls_x509_crt *out)
{
    if (len > CERTIFICATE_PEM_MAX)
        return err_new(ERR_LIMIT, "the certificates have more than %u bytes", CERTIFICATE_PEM_MAX);
    char *text = terminated(p, len);
    int rc = strlen(text) != len || !strstr(text, "-----BEGIN CERTIFICATE-----")
                 ? MBEDTLS_ERR_X509_CERT_UNKNOWN_FORMAT
                 : mbedtls_x509_crt_parse(out, (unsigned char *)text, len + 1);
    explicit_bzero(text, len);
    free(text);
    if (rc)
        return err_hint(rc < 0 ? failed(rc, "the certificate cannot be read")
                               : err_new(ERR_CONFIG, "%d of the certificates cannot be read", rc),
                        "expected PEM: the box's certificate, and then those of its authorities");
    return NULL;
}

struct err *certificate_read(const void *text, size_t len, struct certificate_info *out)
{
    mbedtls_x509_crt c;
    mbedtls_x509_crt_init(&c);
    struct err *e = parse_chain(text, len, &c);
    if (!e)
        take_info(&c, out);
    mbedtls_x509_crt_free(&c);
    return e;
}

/* Each signed by the next. */
static struct err *check_order(mbedtls_x509_crt *chain)
{
    uint32_t count = 1;
    for (mbedtls_x509_crt *c = chain; c->next; c = c->next, count++) {
        mbedtls_x509_crt top, one;
        uint32_t flags = 0;
        if (count == CERTIFICATE_CHAIN_MAX)
            return err_new(ERR_LIMIT, "the chain has more than %d certificates", CERTIFICATE_CHAIN_MAX);
        mbedtls_x509_crt_init(&top);
        mbedtls_x509_crt_init(&one);
        int rc = mbedtls_x509_crt_parse_der(&one, c->raw.p, c->raw.len);
        if (!rc)
            rc = mbedtls_x509_crt_parse_der(&top, c->next->raw.p, c->next->raw.len);
        if (!rc) {
            (void)mbedtls_x509_crt_verify(&one, &top, NULL, NULL, &flags, NULL, NULL);
            flags &= MBEDTLS_X509_BADCERT_NOT_TRUSTED;
        }
        mbedtls_x509_crt_free(&top);
        mbedtls_x509_crt_free(&one);
        if (rc || flags)
            return err_hint(
                err_new(ERR_CONFIG, "certificate %u of the chain is not signed by the next one", count),
                "the order: the box's own certificate, then each authority that signed the one before");
    }
    return NULL;
}

static struct err *check_dates(const mbedtls_x509_crt *c, int64_t now_s)
{
    if (now_s < CLOCK_SANE)
        return NULL;
    if (now_s > unix_of(&c->valid_to))
        return err_new(ERR_CONFIG, "the certificate has expired");
    if (now_s < unix_of(&c->valid_from))
        return err_hint(err_new(ERR_CONFIG, "the certificate is not valid yet"), "is the clock right?");
    return NULL;
}

static struct err *check_key(struct maker *m, mbedtls_x509_crt *leaf, const void *key, size_t len)
{
    int rc = read_key(m, key, len);
    if (rc)
        return err_hint(failed(rc, "the private key cannot be read"), "expected PEM without a password");
    if (mbedtls_pk_check_pair(&leaf->pk, &m->key, mbedtls_ctr_drbg_random, &m->random))
        return err_new(ERR_CONFIG, "the private key is not that of the certificate");
    if (mbedtls_pk_get_type(&leaf->pk) == MBEDTLS_PK_RSA && mbedtls_pk_get_bitlen(&leaf->pk) < RSA_BITS_LEAST)
        return err_new(ERR_CONFIG, "an RSA key has at least %d bits", RSA_BITS_LEAST);
    rc = mbedtls_pk_write_key_pem(&m->key, m->pem, sizeof m->pem);
    return rc ? failed(rc, "the private key cannot be written") : NULL;
}

/* Certificates alone, as they were parsed: what else stood in the text is left out. */
static struct err *put_pair(struct maker *m, const mbedtls_x509_crt *chain, struct buf *pair)
{
    buf_reset(pair);
    buf_put_str(pair, (char *)m->pem);
    for (const mbedtls_x509_crt *c = chain; c; c = c->next) {
        unsigned char text[PEM_ROOM];
        size_t n;
        if (mbedtls_base64_encode(text, sizeof text, &n, c->raw.p, c->raw.len))
            return err_new(ERR_LIMIT, "a certificate is too large");
        buf_put_str(pair, "-----BEGIN CERTIFICATE-----\n");
        for (size_t i = 0; i < n; i += 64)
            buf_printf(pair, "%.*s\n", (int)(n - i < 64 ? n - i : 64), (char *)text + i);
        buf_put_str(pair, "-----END CERTIFICATE-----\n");
    }
    return NULL;
}

struct err *certificate_check(const void *chain, size_t chain_len, const void *key, size_t key_len,
                              int64_t now_s, struct buf *pair, struct certificate_info *info)
{
    int rc;
    mbedtls_x509_crt c;
    struct maker *m = maker_new(&rc);
    mbedtls_x509_crt_init(&c);
    struct err *e = rc ? failed(rc, "random numbers") : parse_chain(chain, chain_len, &c);
    if (!e && key_len > CERTIFICATE_PEM_MAX)
        e = err_new(ERR_LIMIT, "the key has more than %u bytes", CERTIFICATE_PEM_MAX);
    if (!e)
        e = check_key(m, &c, key ? key : chain, key ? key_len : chain_len);
    if (!e)
        e = check_order(&c);
    if (!e)
        e = check_dates(&c, now_s);
    if (!e)
        e = put_pair(m, &c, pair);
    if (!e && info)
        take_info(&c, info);
    mbedtls_x509_crt_free(&c);
    maker_free(m);
    return e;
}

void certificate_warning(const struct certificate_info *info, int64_t now_s, char out[128])
{
    out[0] = 0;
    if (now_s < CLOCK_SANE)
        return;
    if (now_s > info->until_s)
        snprintf(out, 128, "the certificate has expired");
    else if (info->until_s - now_s < (int64_t)CERTIFICATE_WARN_DAYS * DAY_S)
        snprintf(out, 128, "the certificate expires in %lld days",
                 (long long)((info->until_s - now_s) / DAY_S));
}
