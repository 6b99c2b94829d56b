/* Opaque texts for clients to hand back: a position in a list, sealed so that it can neither be read nor altered.
 *
 * It holds values of rows, of columns too that the caller may not see, and whoever could make one up could feel his way
 * along those by what comes after it. The nonce is derived from what is sealed, so that the same position has the same
 * text. The key lies in DATA/tls: cursors stay good over restarts. A key is for any thread once loaded, a sealer for
 * one: it holds what the ciphers work out of the key, so that sealing allocates nothing. */
#ifndef PENSTOCK_SERVE_CURSOR_H
#define PENSTOCK_SERVE_CURSOR_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "store/store.h"

#include <mbedtls/gcm.h>
#include <mbedtls/md.h>

#define CURSOR_BYTES_MAX 4096 /* of the text */

struct cursor_key {
    uint8_t seal[32], nonce[32];
};
/* Read, or made with mode 0600. */
NODISCARD struct err *cursor_key_load(const char *data_dir, struct cursor_key *out);
void cursor_key_from(const uint8_t secret[32], struct cursor_key *out);
/* Of a number made of what a client may not see: the same for the same, and nothing that it could work the number out of, or try
 * guesses against. */
uint64_t cursor_mark(const struct cursor_key *k, uint64_t of);
struct cursor_sealer {
    mbedtls_gcm_context seal;
    mbedtls_md_context_t nonce;
};
void cursor_sealer_init(struct cursor_sealer *s, const struct cursor_key *k);
void cursor_sealer_fini(struct cursor_sealer *s);
/* Appends the text (A-Z a-z 0-9 - _). False: longer than CURSOR_BYTES_MAX; nothing is appended. */
bool cursor_seal(struct cursor_sealer *k, struct slice plain, struct buf *out);
/* False: not one of ours, or altered. */
bool cursor_open(struct cursor_sealer *k, struct arena *a, struct slice text, struct slice *plain);

#endif
