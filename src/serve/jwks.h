/* The keys of an identity provider: a JSON Web Key Set (RFC 7517), parsed to what verifying needs. Immutable, any thread.
 *
 * A key serves the one algorithm of its type: RSA is RS256, P-256 is ES256, Ed25519 is EdDSA, a secret (oct) is HS256. What a
 * token's header says is only compared with that, so no public key is ever taken for a secret. */
#ifndef PENSTOCK_SERVE_JWKS_H
#define PENSTOCK_SERVE_JWKS_H

#include "base/arena.h"
#include "base/err.h"
#include "store/access_doc.h"
#include "store/store.h"

#define JWKS_FILE         "jwks.json"
#define JWKS_BYTES_MAX    (1u << 20)
#define JWKS_KEYS_MAX     100
#define JWKS_RSA_BITS_MIN 2048
#define JWKS_RSA_BITS_MAX 8192
#define JWKS_SECRET_BYTES 32 /* least of an HS256 secret */

struct jwk {
    enum jwt_algorithm algorithm;
    const char *kid;   /* NULL: none */
    uint64_t id;       /* hash of the key and its kid: tells whether it is still there */
    struct slice a, b; /* RSA: n, e. EC: x, y, 32 bytes each. OKP: x. oct: k */
};
struct jwks {
    struct arena arena;
    uint32_t key_count;
    struct jwk *keys;
};

/* Keys of other types and uses are passed over; one of ours that is malformed or too weak refuses the file, as does a file without
 * any that can be used. */
NODISCARD struct err *jwks_parse(const char *text, size_t len, struct jwks **out);
void jwks_free(struct jwks *k);
bool jwks_holds(const struct jwks *k, uint64_t id);
/* Whether the signature over the text is the key's. */
bool jwk_verify(const struct jwk *k, struct slice text, struct slice signature);

/* Strict base64url without padding, at most `room` bytes into out; -1: it is none. */
ssize_t base64url_decode(struct slice text, uint8_t *out, size_t room);

#endif
