/* One TLS connection over a non-blocking socket, and how it lends its record buffers to others while idle; see tls.h.
 *
 * mbedTLS has no public call for that: two 16 KB buffers hang on every context for life. The private fields used here
 * are those of 3.6 (an LTS branch, whose layout is kept). While a connection is parked the buffers' pointers are NULL, which
 * mbedtls_ssl_free accepts; of their content only the 8 bytes of the incoming record counter matter. */
#define MBEDTLS_ALLOW_PRIVATE_ACCESS
#include "serve/tls.h"

#include <errno.h>
#include <mbedtls/build_info.h>
#include <mbedtls/error.h>
#include <mbedtls/platform.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

_Static_assert(MBEDTLS_VERSION_MAJOR == 3 && MBEDTLS_VERSION_MINOR == 6,
               "tls_park knows mbedTLS 3.6's context");

/* ---- socket ---- */

static int bio_send(void *ctx, const unsigned char *p, size_t len)
{
    struct tls_conn *t = ctx;
    ssize_t n = send(t->fd, p, len, MSG_NOSIGNAL);
    if (n >= 0) {
        t->bytes_out += (uint64_t)n;
        return (int)n;
    }
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? MBEDTLS_ERR_SSL_WANT_WRITE
                                                                     : MBEDTLS_ERR_SSL_CONN_EOF;
}

/* Fills the loop's read buffer: mbedTLS asks for 5 bytes and then the rest, which would be two calls a record. */
static int bio_fill(struct tls_conn *t)
{
    if (t->eof)
        return MBEDTLS_ERR_SSL_CONN_EOF;
    if (t->drained)
        return MBEDTLS_ERR_SSL_WANT_READ;
    free(t->kept);
    t->kept = NULL;
    ssize_t n = recv(t->fd, t->pool->rx, TLS_READ_BYTES, 0);
    if (n < 0) {
        t->drained = true;
        return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? MBEDTLS_ERR_SSL_WANT_READ
                                                                         : MBEDTLS_ERR_SSL_CONN_EOF;
    }
    t->drained = (size_t)n < TLS_READ_BYTES;
    t->eof = n == 0;
    t->rx = t->pool->rx;
    t->rx_len = (size_t)n;
    return n ? 0 : MBEDTLS_ERR_SSL_CONN_EOF;
}

static int bio_recv(void *ctx, unsigned char *p, size_t len)
{
    struct tls_conn *t = ctx;
    if (t->rx_len == 0) {
        int rc = bio_fill(t);
        if (rc)
            return rc;
    }
    size_t n = len < t->rx_len ? len : t->rx_len;
    memcpy(p, t->rx, n);
    t->rx += n;
    t->rx_len -= n;
    return (int)n;
}

/* ---- buffers ---- */

void tls_pool_init(struct tls_pool *p)
{
    memset(p, 0, sizeof *p);
    p->rx = xmalloc(TLS_READ_BYTES);
}

void tls_pool_fini(struct tls_pool *p)
{
    for (uint32_t i = 0; i < p->free_count; i++) {
        mbedtls_free(p->free_in[i]);
        mbedtls_free(p->free_out[i]);
    }
    free(p->free_in);
    free(p->free_out);
    free(p->rx);
}

#define POOL_KEEP 64 /* pairs kept for the next events; beyond that they go back to the system */

static void pool_put(struct tls_pool *p, uint8_t *in, uint8_t *out)
{
    if (p->free_count == POOL_KEEP) {
        mbedtls_free(in);
        mbedtls_free(out);
        return;
    }
    if (p->free_count == p->free_room) {
        p->free_room = p->free_room ? p->free_room * 2 : 8;
        p->free_in = xrealloc(p->free_in, p->free_room * sizeof *p->free_in);
        p->free_out = xrealloc(p->free_out, p->free_room * sizeof *p->free_out);
    }
    p->free_in[p->free_count] = in;
    p->free_out[p->free_count++] = out;
}

static void pool_get(struct tls_pool *p, uint8_t **in, uint8_t **out)
{
    if (p->free_count) {
        *in = p->free_in[--p->free_count];
        *out = p->free_out[p->free_count];
        return;
    }
    *in = mbedtls_calloc(1, p->in_bytes);
    *out = mbedtls_calloc(1, p->out_bytes);
    if (!*in || !*out)
        PANIC("out of memory for TLS buffers");
}

#define MOVE(field, from, to) (ssl->field = ssl->field ? (to) + (ssl->field - (from)) : NULL)

static void in_move(mbedtls_ssl_context *ssl, unsigned char *to)
{
    unsigned char *from = ssl->in_buf;
    MOVE(in_ctr, from, to);
    MOVE(in_hdr, from, to);
    MOVE(in_cid, from, to);
    MOVE(in_len, from, to);
    MOVE(in_iv, from, to);
    MOVE(in_msg, from, to);
    ssl->in_buf = to;
}

static void out_move(mbedtls_ssl_context *ssl, unsigned char *to)
{
    unsigned char *from = ssl->out_buf;
    MOVE(out_ctr, from, to);
    MOVE(out_hdr, from, to);
    MOVE(out_cid, from, to);
    MOVE(out_len, from, to);
    MOVE(out_iv, from, to);
    MOVE(out_msg, from, to);
    ssl->out_buf = to;
}

/* TLS 1.3 keeps ssl->handshake for the connection's life; it points to neither buffer. */
static bool can_park(const struct tls_conn *t)
{
    const mbedtls_ssl_context *ssl = &t->ssl;
    return ssl->state == MBEDTLS_SSL_HANDSHAKE_OVER && ssl->in_left == 0 && ssl->in_offt == NULL &&
           ssl->in_msglen == 0 && ssl->in_hslen == 0 && ssl->out_left == 0 && !ssl->keep_current_message;
}

static bool pool_fits(struct tls_pool *p, const mbedtls_ssl_context *ssl)
{
    if (p->in_bytes == 0) {
        p->in_bytes = ssl->in_buf_len;
        p->out_bytes = ssl->out_buf_len;
    }
    return p->in_bytes == ssl->in_buf_len && p->out_bytes == ssl->out_buf_len;
}

void tls_park(struct tls_conn *t)
{
    mbedtls_ssl_context *ssl = &t->ssl;
    if (t->rx_len && !t->kept) { /* the loop's buffer is the next connection's */
        t->kept = xmalloc(t->rx_len);
        memcpy(t->kept, t->rx, t->rx_len);
        t->rx = t->kept;
    }
    if (t->parked || !can_park(t) || !pool_fits(t->pool, ssl))
        return;
    memcpy(t->in_counter, ssl->in_ctr, sizeof t->in_counter);
    pool_put(t->pool, ssl->in_buf, ssl->out_buf);
    t->parked = true;
}

void tls_wake(struct tls_conn *t)
{
    uint8_t *in, *out;
    t->drained = false;
    if (!t->parked)
        return;
    /* in_buf still holds the lent address: only differences to it are used. */
    pool_get(t->pool, &in, &out);
    in_move(&t->ssl, in);
    out_move(&t->ssl, out);
    memcpy(t->ssl.in_ctr, t->in_counter, sizeof t->in_counter);
    t->parked = false;
}

/* ---- connection ---- */

bool tls_open(struct tls_conn *t, const struct tls_server *s, struct tls_pool *pool, int fd)
{
    memset(t, 0, sizeof *t);
    t->fd = fd;
    t->pool = pool;
    mbedtls_ssl_init(&t->ssl);
    if (mbedtls_ssl_setup(&t->ssl, tls_server_config(s)) != 0) {
        mbedtls_ssl_free(&t->ssl);
        return false;
    }
    mbedtls_ssl_set_bio(&t->ssl, t, bio_send, bio_recv, NULL);
    return true;
}

void tls_close(struct tls_conn *t)
{
    if (t->parked)
        t->ssl.in_buf = t->ssl.out_buf = NULL;
    mbedtls_ssl_free(&t->ssl);
    free(t->kept);
    t->kept = NULL;
}

static enum tls_result result_of(int rc)
{
    switch (rc) {
    case MBEDTLS_ERR_SSL_WANT_READ: return TLS_WANT_READ;
    case MBEDTLS_ERR_SSL_WANT_WRITE: return TLS_WANT_WRITE;
    case MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY:
    case MBEDTLS_ERR_SSL_CONN_EOF: return TLS_CLOSED;
    default: return TLS_FAILED;
    }
}

enum tls_result tls_handshake(struct tls_conn *t)
{
    int rc = mbedtls_ssl_handshake(&t->ssl);
    return rc == 0 ? TLS_OK : result_of(rc);
}

bool tls_peer_refused(const struct tls_conn *t)
{
    return mbedtls_ssl_get_peer_cert(&t->ssl) && mbedtls_ssl_get_verify_result(&t->ssl) != 0;
}

enum tls_result tls_read(struct tls_conn *t, uint8_t *p, size_t size_bytes, size_t *got)
{
    int rc = mbedtls_ssl_read(&t->ssl, p, size_bytes);
    *got = rc > 0 ? (size_t)rc : 0;
    if (rc > 0)
        return TLS_OK;
    return rc == 0 ? TLS_CLOSED : result_of(rc);
}

enum tls_result tls_write(struct tls_conn *t, const uint8_t *p, size_t len, size_t *put)
{
    int rc = mbedtls_ssl_write(&t->ssl, p, len);
    *put = rc > 0 ? (size_t)rc : 0;
    return rc > 0 ? TLS_OK : result_of(rc);
}

bool tls_speaks(const struct tls_conn *t, const char *protocol)
{
    const char *chosen = mbedtls_ssl_get_alpn_protocol(&t->ssl);
    return chosen && strcmp(chosen, protocol) == 0;
}

void tls_goodbye(struct tls_conn *t)
{
    if (t->ssl.state == MBEDTLS_SSL_HANDSHAKE_OVER && t->ssl.out_left == 0)
        mbedtls_ssl_close_notify(&t->ssl);
}

bool tls_pending(const struct tls_conn *t)
{
    return t->rx_len > 0 || mbedtls_ssl_check_pending(&t->ssl) != 0;
}
