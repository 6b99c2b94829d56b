/* TLS 1.2 and 1.3 by mbedTLS, non-blocking.
 *
 * struct tls_server: certificate, ciphersuites, session tickets; made once, shared by all loops (mbedTLS locks inside).
 * struct tls_conn: one connection. Between events an established connection gives its two record buffers back to the
 * loop's pool (tls_park), so that an idle one costs a few KB; the next event takes a pair again. */
#ifndef PENSTOCK_SERVE_TLS_H
#define PENSTOCK_SERVE_TLS_H

#include "base/err.h"
#include <mbedtls/ssl.h>

struct tls_server;
/* Whether clients show a certificate. Sessions are not resumed then: a resumed one would not show it again. */
enum tls_client_auth { TLS_CLIENT_NONE, TLS_CLIENT_REQUEST, TLS_CLIENT_REQUIRE };
/* client_ca: PEM file of those who vouch for clients; NULL with TLS_CLIENT_NONE. */
NODISCARD struct err *tls_server_new(const char *data_dir, const char *certificate, const char *key,
                                     const char *client_ca, enum tls_client_auth client_auth,
                                     struct tls_server **out);
NODISCARD struct err *tls_check_client_ca(const char *path); /* it can be read, and is what it should be */
void tls_server_free(struct tls_server *s);
const mbedtls_ssl_config *tls_server_config(const struct tls_server *s);
uint64_t
tls_server_resumed(const struct tls_server *s); /* sessions taken up again from tickets; any thread */

#define TLS_EXPIRY_WARN_DAYS 30 /* before its end a certificate is spoken of in the log, once a day */
struct tls_validity {
    int64_t from_s, until_s; /* Unix time */
};
struct tls_validity
tls_server_validity(const struct tls_server *s);         /* of the server's certificate; any thread */
bool tls_server_self_signed(const struct tls_server *s); /* nobody else vouches for it */

/* Takes up another certificate in DATA/tls/cert.pem (with its key in the same file, as a box puts it there) when that was replaced: new
 * handshakes get it, connections go on. One thread; others may serve meanwhile. On error the former one stays, and the file is looked
 * at again when it is replaced again. */
NODISCARD struct err *tls_server_look(struct tls_server *s, bool *renewed);

/* Self-signed pair in dir/tls, made when absent; one that holds its key in cert.pem is somebody else's to renew; once it has expired, a new certificate is made for the same key. Paths are malloc'ed. */
NODISCARD struct err *tls_self_signed(const char *data_dir, char **certificate, char **key);

#define TLS_READ_BYTES (64u << 10) /* taken from a socket at a time */
struct tls_pool {                  /* of one loop */
    uint32_t free_count, free_room;
    uint8_t **free_in, **free_out;
    size_t in_bytes, out_bytes; /* of every pooled buffer; 0 until the first one comes */
    uint8_t *rx;                /* TLS_READ_BYTES: bytes from the socket of the connection being served */
};
void tls_pool_init(struct tls_pool *p);
void tls_pool_fini(struct tls_pool *p);

struct tls_conn {
    mbedtls_ssl_context ssl;
    struct tls_pool *pool;
    int fd;
    bool parked;
    bool drained; /* the socket gave less than was asked for: nothing more until the next event */
    bool eof;
    uint8_t in_counter[8]; /* while parked */
    const uint8_t *rx;     /* in pool->rx during an event, in kept between events */
    size_t rx_len;
    uint8_t *kept; /* owned: bytes read but not taken up before the event ended (rare) */
    uint64_t bytes_out;
};
NODISCARD bool tls_open(struct tls_conn *t, const struct tls_server *s, struct tls_pool *pool, int fd);
void tls_close(struct tls_conn *t); /* frees; does not close the socket */
void tls_wake(struct tls_conn *t);  /* at the start of an event: takes buffers */
void tls_park(struct tls_conn *t);  /* at its end: gives them back if nothing is under way */

bool tls_speaks(const struct tls_conn *t, const char *protocol); /* what ALPN chose */

enum tls_result { TLS_OK, TLS_WANT_READ, TLS_WANT_WRITE, TLS_CLOSED, TLS_FAILED };
enum tls_result tls_handshake(struct tls_conn *t);
/* After the handshake: the client showed a certificate that nobody who is known vouches for, or that is not valid now. */
bool tls_peer_refused(const struct tls_conn *t);
enum tls_result tls_read(struct tls_conn *t, uint8_t *p, size_t size_bytes, size_t *got);
/* After TLS_WANT_WRITE the same bytes and length must be offered again. */
enum tls_result tls_write(struct tls_conn *t, const uint8_t *p, size_t len, size_t *put);
void tls_goodbye(struct tls_conn *t); /* close_notify, if it can be sent at once */
/* Bytes wait inside that no event of the socket will announce. */
bool tls_pending(const struct tls_conn *t);

#endif
