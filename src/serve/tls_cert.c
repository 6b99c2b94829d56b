/* The self-signed certificate of a box without one: ECDSA P-256, made once, kept in DATA/tls with mode 0600. */
#include "serve/tls.h"
#include "base/clock.h"
#include "base/log.h"
#include "store/small_file.h"

#include <errno.h>
#include <fcntl.h>
#include <mbedtls/ctr_drbg.h>
#include <mbedtls/ecp.h>
#include <mbedtls/entropy.h>
#include <mbedtls/x509_crt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define VALID_YEARS 10
/* A machine without a battery begins in 1970: no certificate that ends before it is used, or begins after it is. */
#define VALID_FROM INT64_C(1577836800) /* 2020-01-01 */
#define LEAST_NOW  INT64_C(1767225600) /* 2026-01-01 */

struct maker {
    mbedtls_entropy_context entropy;
    mbedtls_ctr_drbg_context random;
    mbedtls_pk_context key;
    mbedtls_x509write_cert cert;
    char host[256];
};

static struct err *file_write(const char *path, const char *text)
{
    char *temporary = xprintf("%s.new", path);
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    size_t n = strlen(text);
    struct err *e = NULL;
    if (fd < 0 || write(fd, text, n) != (ssize_t)n || fsync(fd) != 0 || rename(temporary, path) != 0)
        e = err_errno(ERR_IO, "write %s", path);
    if (fd >= 0)
        close(fd);
    free(temporary);
    return e;
}

static void san_dns(mbedtls_x509_san_list *l, char *name, mbedtls_x509_san_list *next)
{
    l->node.type = MBEDTLS_X509_SAN_DNS_NAME;
    l->node.san.unstructured_name.p = (unsigned char *)name;
    l->node.san.unstructured_name.len = strlen(name);
    l->next = next;
}

static void san_ip(mbedtls_x509_san_list *l, uint8_t *address, size_t len, mbedtls_x509_san_list *next)
{
    l->node.type = MBEDTLS_X509_SAN_IP_ADDRESS;
    l->node.san.unstructured_name.p = address;
    l->node.san.unstructured_name.len = len;
    l->next = next;
}

static int set_names(struct maker *m)
{
    static char localhost[] = "localhost";
    static uint8_t ip4[] = {127, 0, 0, 1}, ip6[16] = {[15] = 1};
    mbedtls_x509_san_list names[4];
    memset(names, 0, sizeof names);
    if (gethostname(m->host, sizeof m->host - 1) != 0 || m->host[0] == 0)
        snprintf(m->host, sizeof m->host, "penstock");
    san_dns(&names[0], localhost, &names[1]);
    san_dns(&names[1], m->host, &names[2]);
    san_ip(&names[2], ip4, sizeof ip4, &names[3]);
    san_ip(&names[3], ip6, sizeof ip6, NULL);
    char subject[320];
    snprintf(subject, sizeof subject, "CN=%.60s,O=Penstock", m->host);
    int rc = mbedtls_x509write_crt_set_subject_alternative_name(&m->cert, names);
    if (!rc)
        rc = mbedtls_x509write_crt_set_subject_name(&m->cert, subject);
    return rc ? rc : mbedtls_x509write_crt_set_issuer_name(&m->cert, subject);
}

static int set_validity(struct maker *m)
{
    char from[16], to[16];
    time_t start = VALID_FROM, now = (time_t)(unix_us() / 1000000);
    struct tm tm;
    gmtime_r(&start, &tm);
    strftime(from, sizeof from, "%Y%m%d%H%M%S", &tm);
    now = now < LEAST_NOW ? LEAST_NOW : now;
    gmtime_r(&now, &tm);
    tm.tm_year += VALID_YEARS;
    tm.tm_mday = tm.tm_mon == 1 && tm.tm_mday == 29 ? 28 : tm.tm_mday;
    strftime(to, sizeof to, "%Y%m%d%H%M%S", &tm);
    return mbedtls_x509write_crt_set_validity(&m->cert, from, to);
}

static int set_serial(struct maker *m)
{
    uint8_t serial[16];
    int rc = mbedtls_ctr_drbg_random(&m->random, serial, sizeof serial);
    serial[0] = (uint8_t)((serial[0] & 0x7F) | 1); /* positive, and of full length */
    return rc ? rc : mbedtls_x509write_crt_set_serial_raw(&m->cert, serial, sizeof serial);
}

/* key_file: of a certificate that was made before, so that who trusts the key goes on to; NULL: another key. */
static int make_key(struct maker *m, const char *key_file)
{
    if (key_file)
        return mbedtls_pk_parse_keyfile(&m->key, key_file, NULL, mbedtls_ctr_drbg_random, &m->random);
    int rc = mbedtls_pk_setup(&m->key, mbedtls_pk_info_from_type(MBEDTLS_PK_ECKEY));
    return rc ? rc
              : mbedtls_ecp_gen_key(MBEDTLS_ECP_DP_SECP256R1, mbedtls_pk_ec(m->key), mbedtls_ctr_drbg_random,
                                    &m->random);
}

static int make(struct maker *m, const char *key_file)
{
    int rc = mbedtls_ctr_drbg_seed(&m->random, mbedtls_entropy_func, &m->entropy,
                                   (const uint8_t *)"penstock-cert", 13);
    if (!rc)
        rc = make_key(m, key_file);
    if (rc)
        return rc;
    mbedtls_x509write_crt_set_version(&m->cert, MBEDTLS_X509_CRT_VERSION_3);
    mbedtls_x509write_crt_set_md_alg(&m->cert, MBEDTLS_MD_SHA256);
    mbedtls_x509write_crt_set_subject_key(&m->cert, &m->key);
    mbedtls_x509write_crt_set_issuer_key(&m->cert, &m->key);
    if ((rc = set_names(m)) || (rc = set_validity(m)) || (rc = set_serial(m)))
        return rc;
    /* A leaf that is its own authority: clients that pin or import it accept it for these names. */
    return mbedtls_x509write_crt_set_basic_constraints(&m->cert, 1, 0);
}

static struct err *store(struct maker *m, const char *certificate, const char *key)
{
    unsigned char pem[4096];
    struct err *e = NULL;
    if (mbedtls_pk_write_key_pem(&m->key, pem, sizeof pem))
        e = err_new(ERR_INTERNAL, "cannot write the TLS key");
    else
        e = file_write(key, (char *)pem);
    if (!e && mbedtls_x509write_crt_pem(&m->cert, pem, sizeof pem, mbedtls_ctr_drbg_random, &m->random))
        e = err_new(ERR_INTERNAL, "cannot write the TLS certificate");
    else if (!e)
        e = file_write(certificate, (char *)pem);
    memset(pem, 0, sizeof pem);
    return e;
}

static struct err *make_and_store(const char *certificate, const char *key, bool keep_key)
{
    struct maker m;
    memset(&m, 0, sizeof m);
    mbedtls_entropy_init(&m.entropy);
    mbedtls_ctr_drbg_init(&m.random);
    mbedtls_pk_init(&m.key);
    mbedtls_x509write_crt_init(&m.cert);
    int rc = make(&m, keep_key ? key : NULL);
    struct err *e =
        rc ? err_new(ERR_INTERNAL, "cannot make a TLS certificate (mbedTLS -0x%04x)", (unsigned)-rc)
           : store(&m, certificate, key);
    mbedtls_x509write_crt_free(&m.cert);
    mbedtls_pk_free(&m.key);
    mbedtls_ctr_drbg_free(&m.random);
    mbedtls_entropy_free(&m.entropy);
    return e;
}

static bool has_expired(const char *certificate)
{
    mbedtls_x509_crt c;
    mbedtls_x509_crt_init(&c);
    time_t now = (time_t)(unix_us() / 1000000);
    struct tm tm;
    bool over = false;
    if (mbedtls_x509_crt_parse_file(&c, certificate) == 0 && gmtime_r(&now, &tm)) {
        const mbedtls_x509_time *t = &c.valid_to;
        int end[] = {t->year, t->mon, t->day, t->hour, t->min, t->sec};
        int is[] = {tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec};
        size_t i = 0;
        while (i < ARRAY_COUNT(end) - 1 && end[i] == is[i])
            i++;
        over = is[i] > end[i];
    }
    mbedtls_x509_crt_free(&c);
    return over;
}

/* A box's (box/certificate.h), which looks after it itself. */
static bool is_whole(const char *certificate)
{
    char *text;
    size_t len;
    err_free(small_file_read(certificate, 256 << 10, &text, &len));
    bool whole = text && strstr(text, "PRIVATE KEY-----");
    if (text)
        explicit_bzero(text, len);
    free(text);
    return whole;
}

static struct err *dir_make(const char *dir)
{
    if (mkdir(dir, 0700) == 0 || errno == EEXIST)
        return NULL;
    return err_errno(ERR_IO, "make directory %s", dir);
}

struct err *tls_self_signed(const char *data_dir, char **certificate, char **key)
{
    char *dir = xprintf("%s/tls", data_dir);
    struct err *e = dir_make(data_dir);
    if (!e)
        e = dir_make(dir);
    free(dir);
    if (e)
        return e;
    *certificate = xprintf("%s/tls/cert.pem", data_dir);
    *key = xprintf("%s/tls/key.pem", data_dir);
    if (access(*certificate, F_OK) != 0 || access(*key, F_OK) != 0) {
        e = make_and_store(*certificate, *key, false);
    } else if (!is_whole(*certificate) && has_expired(*certificate)) {
        e = make_and_store(*certificate, *key, true);
        if (!e)
            log_event(EVENT_TLS_RENEWED, LOG_WARN, "serve",
                      "the self-signed certificate had expired: a new one was made for its key", "file=%s",
                      *certificate);
    }
    if (e) {
        free(*certificate);
        free(*key);
    }
    return e;
}
