/* TLS for libpq through mbedTLS: the backend that libpq knows as pgtls_*, in the place of its OpenSSL one.
 *
 * Compiled as part of libpq (deps/recipes/libpq.sh), so it sees libpq's private structs; its own state hangs on
 * conn->pgtls. What the connection options mean (sslmode, sslrootcert, sslcert, sslsni, ...) follows libpq's
 * documentation, so that a url works here as it does with psql. Not offered: sslcrldir, sslkeylogfile, engines.
 *
 * libpq drives the connection with a non-blocking socket: every function here either finishes or says what it waits
 * for, and all socket traffic goes through libpq's pqsecure_raw_read and pqsecure_raw_write. */
#include "postgres_fe.h"

#include "fe-secure-common.h"
#include "libpq-int.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <mbedtls/error.h>
#include <mbedtls/md.h>
#include <mbedtls/oid.h>
#include <mbedtls/psa_util.h>
#include <mbedtls/ssl.h>
#include <mbedtls/x509_crl.h>
#include <mbedtls/x509_crt.h>
#include <psa/crypto.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_BYTES 1024

struct pgtls {
    mbedtls_ssl_context ssl;
    mbedtls_ssl_config conf;
    mbedtls_x509_crt roots, own_chain;
    mbedtls_x509_crl crl;
    mbedtls_pk_context own_key;
    size_t unsent_len; /* of the write that mbedTLS wants repeated with the very same length; 0: none */
    bool io_failed;    /* the socket failed, and libpq has said why */
    bool closed;       /* the peer closed the socket */
};

static const char *const alpn_protocols[] = {"postgresql", NULL};

/* ---- errors ---- */

static void tls_error(PGconn *conn, const char *what, int code)
{
    char why[160];
    mbedtls_strerror(code, why, sizeof why);
    libpq_append_conn_error(conn, "%s: %s", what, why);
}

/* What is wrong with the server's certificate, in words. */
static void verify_error(PGconn *conn, uint32_t flags)
{
    char why[400];
    if (mbedtls_x509_crt_verify_info(why, sizeof why, "", flags) < 0)
        why[0] = 0;
    for (char *c = why; *c; c++)
        if (*c == '\n')
            *c = c[1] ? ';' : 0;
    libpq_append_conn_error(conn, "SSL error: certificate verify failed: %s", why);
}

/* ---- the socket ---- */

static bool would_block(int error)
{
    return error == EAGAIN || error == EWOULDBLOCK || error == EINTR;
}

static int socket_read(void *arg, unsigned char *to, size_t len)
{
    PGconn *conn = arg;
    struct pgtls *t = conn->pgtls;
    ssize_t n = pqsecure_raw_read(conn, to, len > INT_MAX ? INT_MAX : len);
    if (n > 0) {
        conn->ssl_handshake_started = true;
        return (int)n;
    }
    if (n < 0 && would_block(errno))
        return MBEDTLS_ERR_SSL_WANT_READ;
    t->closed = n == 0;
    t->io_failed = n < 0;
    return n == 0 ? 0 : MBEDTLS_ERR_SSL_INTERNAL_ERROR;
}

static int socket_write(void *arg, const unsigned char *from, size_t len)
{
    ssize_t n = pqsecure_raw_write(arg, from, len > INT_MAX ? INT_MAX : len);
    if (n >= 0) /* a dead socket counts as written: libpq reports it later, with what the server said last */
        return (int)n;
    return would_block(errno) ? MBEDTLS_ERR_SSL_WANT_WRITE : MBEDTLS_ERR_SSL_INTERNAL_ERROR;
}

/* ---- files ---- */

/* `given`, or the file of that name in the user's home directory; empty when neither is known. */
static void path_choose(const char *given, const char *home_file, char out[PATH_BYTES])
{
    char home[MAXPGPATH];
    out[0] = 0;
    if (given && given[0])
        strlcpy(out, given, PATH_BYTES);
    else if (pqGetHomeDirectory(home, sizeof home))
        snprintf(out, PATH_BYTES, "%s/%s", home, home_file);
}

static bool file_exists(const char *path)
{
    struct stat st;
    return path[0] && stat(path, &st) == 0;
}

static bool system_roots_load(PGconn *conn, struct pgtls *t)
{
    static const char *const bundles[] = {"/etc/ssl/certs/ca-certificates.crt",
                                          "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem",
                                          "/etc/ssl/ca-bundle.pem"};
    const char *named = getenv("SSL_CERT_FILE");
    if (named && named[0] && mbedtls_x509_crt_parse_file(&t->roots, named) >= 0)
        return true;
    for (size_t i = 0; i < lengthof(bundles); i++)
        /* Positive: so many certificates of kinds that mbedTLS lacks were left out. */
        if (mbedtls_x509_crt_parse_file(&t->roots, bundles[i]) >= 0)
            return true;
    libpq_append_conn_error(conn,
                            "root certificate file of the system not found (looked for %s and others; set "
                            "SSL_CERT_FILE, or name a file with sslrootcert)",
                            bundles[0]);
    return false;
}

static bool crl_load(PGconn *conn, struct pgtls *t)
{
    char path[PATH_BYTES];
    if (conn->sslcrldir && conn->sslcrldir[0]) {
        libpq_append_conn_error(conn, "sslcrldir is not supported: name one file with sslcrl");
        return false;
    }
    path_choose(conn->sslcrl, ROOT_CRL_FILE, path);
    if (!file_exists(path) && !(conn->sslcrl && conn->sslcrl[0]))
        return true;
    int rc = mbedtls_x509_crl_parse_file(&t->crl, path);
    if (rc != 0) {
        libpq_append_conn_error(conn, "could not read certificate revocation list \"%s\"", path);
        return false;
    }
    return true;
}

/* Loads what the server's certificate is checked against; *verify tells whether it will be. A root file that exists is
 * used in every sslmode, as libpq documents. */
static bool roots_load(PGconn *conn, struct pgtls *t, bool *verify)
{
    char path[PATH_BYTES];
    bool must = strncmp(conn->sslmode, "verify-", 7) == 0;
    *verify = true;
    if (conn->sslrootcert && strcmp(conn->sslrootcert, "system") == 0)
        return system_roots_load(conn, t) && crl_load(conn, t);
    path_choose(conn->sslrootcert, ROOT_CERT_FILE, path);
    if (file_exists(path)) {
        int rc = mbedtls_x509_crt_parse_file(&t->roots, path);
        if (rc != 0) {
            char why[160];
            if (rc < 0)
                mbedtls_strerror(rc, why, sizeof why);
            else
                snprintf(why, sizeof why, "%d of its certificates cannot be read", rc);
            libpq_append_conn_error(conn, "could not read root certificate file \"%s\": %s", path, why);
            return false;
        }
        return crl_load(conn, t);
    }
    *verify = false;
    if (must)
        libpq_append_conn_error(conn, "root certificate file \"%s\" does not exist",
                                path[0] ? path : ROOT_CERT_FILE);
    return !must;
}

/* Others than its owner must not be able to read the key; a key of root may be readable to a group. */
static bool key_file_safe(PGconn *conn, const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0) {
        libpq_append_conn_error(conn, "certificate present, but not private key file \"%s\"", path);
        return false;
    }
    mode_t forbidden = st.st_uid == 0 ? S_IWGRP | S_IXGRP | S_IRWXO : S_IRWXG | S_IRWXO;
    if (!S_ISREG(st.st_mode) || (st.st_mode & forbidden)) {
        libpq_append_conn_error(
            conn, "private key file \"%s\" must be a regular file that others cannot read (chmod 0600)",
            path);
        return false;
    }
    return true;
}

/* The client's own certificate, when there is one. */
static bool own_certificate_load(PGconn *conn, struct pgtls *t)
{
    char path[PATH_BYTES];
    if (conn->sslcertmode && conn->sslcertmode[0] == 'd')
        return true;
    path_choose(conn->sslcert, USER_CERT_FILE, path);
    if (!file_exists(path)) {
        if (conn->sslcert && conn->sslcert[0])
            libpq_append_conn_error(conn, "certificate file \"%s\" does not exist", path);
        return !(conn->sslcert && conn->sslcert[0]);
    }
    if (mbedtls_x509_crt_parse_file(&t->own_chain, path) != 0) {
        libpq_append_conn_error(conn, "could not read certificate file \"%s\"", path);
        return false;
    }
    path_choose(conn->sslkey, USER_KEY_FILE, path);
    if (!key_file_safe(conn, path))
        return false;
    int rc = mbedtls_pk_parse_keyfile(&t->own_key, path, conn->sslpassword, mbedtls_psa_get_random,
                                      MBEDTLS_PSA_RANDOM_STATE);
    if (rc == 0)
        rc = mbedtls_pk_check_pair(&t->own_chain.pk, &t->own_key, mbedtls_psa_get_random,
                                   MBEDTLS_PSA_RANDOM_STATE);
    if (rc == 0)
        rc = mbedtls_ssl_conf_own_cert(&t->conf, &t->own_chain, &t->own_key);
    if (rc != 0)
        tls_error(conn, "could not use the client certificate's private key", rc);
    return rc == 0;
}

/* ---- setting up ---- */

/* Host names are libpq's business (pq_verify_peer_name_matches_certificate): mbedTLS gets the name for SNI only, and
 * what it thinks of it is dropped. */
static int chain_check(void *arg, mbedtls_x509_crt *crt, int depth, uint32_t *flags)
{
    (void)arg;
    (void)crt;
    if (depth == 0)
        *flags &= ~(uint32_t)MBEDTLS_X509_BADCERT_CN_MISMATCH;
    return 0;
}

static bool is_ip_address(const char *host)
{
    struct in_addr v4;
    unsigned char v6[16];
    return inet_aton(host, &v4) || inet_pton(AF_INET6, host, v6) == 1;
}

/* Below 1.2 nothing is spoken; libpq has checked that the names are known ones. */
static bool versions_set(PGconn *conn, struct pgtls *t)
{
    const char *min = conn->ssl_min_protocol_version, *max = conn->ssl_max_protocol_version;
    bool min_13 = min && pg_strcasecmp(min, "TLSv1.3") == 0;
    mbedtls_ssl_conf_min_tls_version(&t->conf,
                                     min_13 ? MBEDTLS_SSL_VERSION_TLS1_3 : MBEDTLS_SSL_VERSION_TLS1_2);
    if (!max || !max[0] || pg_strcasecmp(max, "TLSv1.3") == 0)
        return true;
    if (pg_strcasecmp(max, "TLSv1.2") != 0) {
        libpq_append_conn_error(
            conn, "ssl_max_protocol_version %s is older than TLSv1.2, the oldest supported", max);
        return false;
    }
    mbedtls_ssl_conf_max_tls_version(&t->conf, MBEDTLS_SSL_VERSION_TLS1_2);
    return true;
}

static bool config_set(PGconn *conn, struct pgtls *t)
{
    bool verify;
    int rc = mbedtls_ssl_config_defaults(&t->conf, MBEDTLS_SSL_IS_CLIENT, MBEDTLS_SSL_TRANSPORT_STREAM,
                                         MBEDTLS_SSL_PRESET_DEFAULT);
    if (rc == 0)
        rc = mbedtls_ssl_conf_alpn_protocols(&t->conf, (const char **)(uintptr_t)alpn_protocols);
    if (rc != 0) {
        tls_error(conn, "could not set up TLS", rc);
        return false;
    }
    mbedtls_ssl_conf_rng(&t->conf, mbedtls_psa_get_random, MBEDTLS_PSA_RANDOM_STATE);
    if (!versions_set(conn, t) || !roots_load(conn, t, &verify) || !own_certificate_load(conn, t))
        return false;
    mbedtls_ssl_conf_authmode(&t->conf, verify ? MBEDTLS_SSL_VERIFY_REQUIRED : MBEDTLS_SSL_VERIFY_NONE);
    mbedtls_ssl_conf_verify(&t->conf, chain_check, NULL);
    mbedtls_ssl_conf_ca_chain(&t->conf, &t->roots, &t->crl);
    return true;
}

static bool session_set(PGconn *conn, struct pgtls *t)
{
    const char *host = conn->connhost[conn->whichhost].host;
    bool sni = conn->sslsni && conn->sslsni[0] == '1' && host && host[0] && !is_ip_address(host);
    int rc = mbedtls_ssl_setup(&t->ssl, &t->conf);
    if (rc == 0)
        rc = mbedtls_ssl_set_hostname(&t->ssl, sni ? host : NULL);
    if (rc != 0) {
        tls_error(conn, "could not set up TLS", rc);
        return false;
    }
    mbedtls_ssl_set_bio(&t->ssl, conn, socket_write, socket_read, NULL);
    return true;
}

static bool tls_start(PGconn *conn)
{
    struct pgtls *t = calloc(1, sizeof *t);
    if (!t || psa_crypto_init() != PSA_SUCCESS) {
        free(t);
        libpq_append_conn_error(conn, "could not set up TLS: no memory or no randomness");
        return false;
    }
    mbedtls_ssl_init(&t->ssl);
    mbedtls_ssl_config_init(&t->conf);
    mbedtls_x509_crt_init(&t->roots);
    mbedtls_x509_crt_init(&t->own_chain);
    mbedtls_x509_crl_init(&t->crl);
    mbedtls_pk_init(&t->own_key);
    conn->pgtls = t;
    conn->ssl_in_use = true;
    return config_set(conn, t) && session_set(conn, t);
}

/* ---- the handshake ---- */

static void handshake_error(PGconn *conn, struct pgtls *t, int rc)
{
    uint32_t flags = mbedtls_ssl_get_verify_result(&t->ssl);
    if (rc == MBEDTLS_ERR_X509_CERT_VERIFY_FAILED && flags != 0 && flags != UINT32_MAX)
        verify_error(conn, flags);
    else if (t->closed)
        libpq_append_conn_error(conn, "SSL error: the server closed the connection during the handshake");
    else if (!t->io_failed)
        tls_error(conn, "SSL error", rc);
}

/* A server that took the handshake directly, without libpq's question before it, must have meant this protocol. */
static bool alpn_accepted(PGconn *conn, struct pgtls *t)
{
    if (conn->sslnegotiation[0] != 'd' || mbedtls_ssl_get_alpn_protocol(&t->ssl))
        return true;
    libpq_append_conn_error(
        conn, "direct SSL connection was established without ALPN protocol negotiation extension");
    return false;
}

static PostgresPollingStatusType handshake(PGconn *conn)
{
    struct pgtls *t = conn->pgtls;
    int rc = mbedtls_ssl_handshake(&t->ssl);
    if (rc == MBEDTLS_ERR_SSL_WANT_READ)
        return PGRES_POLLING_READING;
    if (rc == MBEDTLS_ERR_SSL_WANT_WRITE)
        return PGRES_POLLING_WRITING;
    if (rc != 0) {
        handshake_error(conn, t, rc);
        return PGRES_POLLING_FAILED;
    }
    if (!alpn_accepted(conn, t) || !pq_verify_peer_name_matches_certificate(conn))
        return PGRES_POLLING_FAILED;
    return PGRES_POLLING_OK;
}

PostgresPollingStatusType pgtls_open_client(PGconn *conn)
{
    if (!conn->pgtls && !tls_start(conn)) {
        pgtls_close(conn);
        return PGRES_POLLING_FAILED;
    }
    PostgresPollingStatusType status = handshake(conn);
    if (status == PGRES_POLLING_FAILED)
        pgtls_close(conn);
    return status;
}

void pgtls_close(PGconn *conn)
{
    struct pgtls *t = conn->pgtls;
    if (!t)
        return;
    if (mbedtls_ssl_is_handshake_over(&t->ssl) && !t->closed && !t->io_failed)
        (void)mbedtls_ssl_close_notify(&t->ssl); /* a courtesy: libpq ends its protocol by itself */
    mbedtls_ssl_free(&t->ssl);
    mbedtls_ssl_config_free(&t->conf);
    mbedtls_x509_crt_free(&t->roots);
    mbedtls_x509_crt_free(&t->own_chain);
    mbedtls_x509_crl_free(&t->crl);
    mbedtls_pk_free(&t->own_key);
    free(t);
    conn->pgtls = NULL;
    conn->ssl_in_use = false;
    conn->ssl_handshake_started = false;
}

/* ---- data ---- */

static ssize_t broken(PGconn *conn, struct pgtls *t, int rc, const char *what)
{
    if (rc == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY)
        libpq_append_conn_error(conn, "SSL connection has been closed unexpectedly");
    else if (rc == MBEDTLS_ERR_SSL_CONN_EOF || t->closed)
        libpq_append_conn_error(conn, "server closed the connection unexpectedly\n"
                                      "\tThis probably means the server terminated abnormally\n"
                                      "\tbefore or while processing the request.");
    else if (!t->io_failed)
        tls_error(conn, what, rc);
    errno = ECONNRESET;
    return -1;
}

/* 0 means that nothing has come yet: libpq asks again when the socket is readable. It cannot be told to wait for
 * writability here (an answer to a key update that does not fit the socket's buffer), hence the loop. */
ssize_t pgtls_read(PGconn *conn, void *ptr, size_t len)
{
    struct pgtls *t = conn->pgtls;
    int rc;
    do
        rc = mbedtls_ssl_read(&t->ssl, ptr, len);
    while (rc == MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET || rc == MBEDTLS_ERR_SSL_WANT_WRITE);
    errno = 0;
    if (rc > 0)
        return rc;
    if (rc == MBEDTLS_ERR_SSL_WANT_READ)
        return 0;
    return broken(conn, t, rc ? rc : MBEDTLS_ERR_SSL_CONN_EOF, "SSL error while reading");
}

/* mbedTLS reads exactly one record from the socket: what is left over is decrypted and needs no further reading. */
ssize_t pgtls_bytes_pending(PGconn *conn)
{
    struct pgtls *t = conn->pgtls;
    size_t pending = mbedtls_ssl_get_bytes_avail(&t->ssl);
    return pending > SSIZE_MAX ? SSIZE_MAX : (ssize_t)pending;
}

/* A write that could not be finished has been taken into a record already, and must be repeated with its length; libpq
 * offers the same bytes again, but maybe more of them. */
ssize_t pgtls_write(PGconn *conn, const void *ptr, size_t len)
{
    struct pgtls *t = conn->pgtls;
    if (t->unsent_len && t->unsent_len < len)
        len = t->unsent_len;
    int rc = mbedtls_ssl_write(&t->ssl, ptr, len);
    errno = 0;
    if (rc >= 0) {
        t->unsent_len = 0;
        return rc;
    }
    if (rc == MBEDTLS_ERR_SSL_WANT_WRITE || rc == MBEDTLS_ERR_SSL_WANT_READ) {
        t->unsent_len = len;
        return 0;
    }
    return broken(conn, t, rc, "SSL error while writing");
}

/* ---- the server's certificate ---- */

/* RFC 5929, tls-server-end-point: hashed as its signature is, but with SHA-256 where that is MD5 or SHA-1. */
char *pgtls_get_peer_certificate_hash(PGconn *conn, size_t *len)
{
    struct pgtls *t = conn->pgtls;
    const mbedtls_x509_crt *peer = mbedtls_ssl_get_peer_cert(&t->ssl);
    *len = 0;
    if (!peer) {
        libpq_append_conn_error(conn, "the server sent no certificate to bind the channel to");
        return NULL;
    }
    mbedtls_md_type_t type = peer->MBEDTLS_PRIVATE(sig_md);
    if (type == MBEDTLS_MD_MD5 || type == MBEDTLS_MD_SHA1)
        type = MBEDTLS_MD_SHA256;
    const mbedtls_md_info_t *md = mbedtls_md_info_from_type(type);
    char *hash = md ? malloc(mbedtls_md_get_size(md)) : NULL;
    if (!hash || mbedtls_md(md, peer->raw.p, peer->raw.len, (unsigned char *)hash) != 0) {
        free(hash);
        libpq_append_conn_error(conn, "could not hash the server's certificate for channel binding");
        return NULL;
    }
    *len = mbedtls_md_get_size(md);
    return hash;
}

/* Counts a name of the certificate and keeps the first one for messages. */
static int name_examined(int match, char *name, int *names_examined, char **first_name)
{
    if (name) {
        (*names_examined)++;
        if (!*first_name)
            *first_name = name;
        else
            free(name);
    }
    return match;
}

/* subjectAltName: 1 a match, 0 none, -1 error. *same_kind: there was a name of the kind that the host is. */
static int alternative_names_match(PGconn *conn, const mbedtls_x509_crt *peer, bool host_is_ip,
                                   bool *same_kind, int *names_examined, char **first_name)
{
    int match = 0;
    for (const mbedtls_x509_sequence *s = &peer->subject_alt_names; s && match == 0; s = s->next) {
        mbedtls_x509_subject_alternative_name san;
        char *name = NULL;
        if (s->buf.len == 0 || mbedtls_x509_parse_subject_alt_name(&s->buf, &san) != 0)
            continue;
        const mbedtls_x509_buf *value = &san.san.unstructured_name;
        if (san.type == MBEDTLS_X509_SAN_DNS_NAME) {
            *same_kind = *same_kind || !host_is_ip;
            match =
                pq_verify_peer_name_matches_certificate_name(conn, (const char *)value->p, value->len, &name);
        } else if (san.type == MBEDTLS_X509_SAN_IP_ADDRESS) {
            *same_kind = *same_kind || host_is_ip;
            match = pq_verify_peer_name_matches_certificate_ip(conn, value->p, value->len, &name);
        }
        match = name_examined(match, name, names_examined, first_name);
        mbedtls_x509_free_subject_alt_name(&san);
    }
    return match;
}

static int common_name_match(PGconn *conn, const mbedtls_x509_crt *peer, int *names_examined,
                             char **first_name)
{
    for (const mbedtls_x509_name *n = &peer->subject; n; n = n->next) {
        if (!n->oid.p || MBEDTLS_OID_CMP(MBEDTLS_OID_AT_CN, &n->oid) != 0)
            continue;
        char *name = NULL;
        int match =
            pq_verify_peer_name_matches_certificate_name(conn, (const char *)n->val.p, n->val.len, &name);
        return name_examined(match, name, names_examined, first_name);
    }
    return 0;
}

/* The common name counts only when the certificate has no alternative name of the host's kind, as in libpq. */
int pgtls_verify_peer_name_matches_certificate_guts(PGconn *conn, int *names_examined, char **first_name)
{
    struct pgtls *t = conn->pgtls;
    const mbedtls_x509_crt *peer = mbedtls_ssl_get_peer_cert(&t->ssl);
    const char *host = conn->connhost[conn->whichhost].host;
    bool same_kind = false;
    if (!peer || !host)
        return 0;
    int match =
        alternative_names_match(conn, peer, is_ip_address(host), &same_kind, names_examined, first_name);
    if (match != 0 || same_kind)
        return match;
    return common_name_match(conn, peer, names_examined, first_name);
}

/* ---- attributes ---- */

void *PQgetssl(PGconn *conn)
{
    (void)conn; /* by definition a struct of OpenSSL */
    return NULL;
}

void *PQsslStruct(PGconn *conn, const char *struct_name)
{
    struct pgtls *t = conn ? conn->pgtls : NULL;
    return t && strcmp(struct_name, "mbedTLS") == 0 ? &t->ssl : NULL;
}

const char *const *PQsslAttributeNames(PGconn *conn)
{
    static const char *const names[] = {"library",  "key_bits", "cipher", "compression",
                                        "protocol", "alpn",     NULL};
    static const char *const none[] = {NULL};
    return !conn || conn->pgtls ? names : none;
}

const char *PQsslAttribute(PGconn *conn, const char *attribute_name)
{
    struct pgtls *t = conn ? conn->pgtls : NULL;
    if (strcmp(attribute_name, "library") == 0)
        return !conn || t ? "mbedTLS" : NULL;
    if (!t)
        return NULL;
    if (strcmp(attribute_name, "key_bits") == 0) {
        const mbedtls_ssl_ciphersuite_t *suite =
            mbedtls_ssl_ciphersuite_from_id(mbedtls_ssl_get_ciphersuite_id_from_ssl(&t->ssl));
        return suite && mbedtls_ssl_ciphersuite_get_cipher_key_bitlen(suite) == 128 ? "128" : "256";
    }
    if (strcmp(attribute_name, "cipher") == 0)
        return mbedtls_ssl_get_ciphersuite(&t->ssl);
    if (strcmp(attribute_name, "compression") == 0)
        return "off";
    if (strcmp(attribute_name, "protocol") == 0)
        return mbedtls_ssl_get_version(&t->ssl);
    if (strcmp(attribute_name, "alpn") == 0) {
        const char *alpn = mbedtls_ssl_get_alpn_protocol(&t->ssl);
        return alpn ? alpn : "";
    }
    return NULL;
}
