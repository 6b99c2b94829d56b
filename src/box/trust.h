/* Keys that sign images and configurations (Ed25519), and sets of them that a box trusts.
 *
 * A public key is a file of one line, NAME.pub: "penstock-key-1 BASE64 COMMENT". The secret one, NAME.key (mode 0600), stays on the
 * operator's machine: "penstock-secret-key-1 BASE64 COMMENT" with the seed and the public key. Secrets are wiped from
 * memory after use, and no message holds one. Any thread. */
#ifndef PENSTOCK_BOX_TRUST_H
#define PENSTOCK_BOX_TRUST_H

#include "base/err.h"

#define KEY_PUBLIC_BYTES      32
#define KEY_SECRET_BYTES      64 /* seed, public key */
#define KEY_SIGNATURE_BYTES   64
#define KEY_COMMENT_BYTES_MAX 100
#define KEY_FILE_BYTES_MAX    1024
#define KEY_FINGERPRINT_BYTES 52 /* "SHA256:" and 43 characters of base64, and the final zero */
#define TRUST_KEYS_MAX        64

struct key {
    uint8_t public_key[KEY_PUBLIC_BYTES];
    char comment[KEY_COMMENT_BYTES_MAX + 1];
};
struct trust {
    uint32_t count;
    struct key keys[TRUST_KEYS_MAX];
};

/* One line, with or without its end. ERR_CONFIG: what is wrong with it, after `name`. */
NODISCARD struct err *key_parse(const char *name, const char *text, size_t len, struct key *out);
NODISCARD struct err *key_load(const char *path, struct key *out);
/* Makes PATH.key and PATH.pub, durable. ERR_STATE: one of them is there already. */
NODISCARD struct err *key_create(const char *path, const char *comment, struct key *out);
/* ERR_AUTH: others may read the file. The caller wipes `secret` (key_wipe). */
NODISCARD struct err *key_load_secret(const char *path, uint8_t secret[KEY_SECRET_BYTES]);
void key_wipe(void *p, size_t len);
void key_public_of(const uint8_t secret[KEY_SECRET_BYTES], uint8_t public_key[KEY_PUBLIC_BYTES]);
void key_fingerprint(const uint8_t public_key[KEY_PUBLIC_BYTES], char out[KEY_FINGERPRINT_BYTES]);
void key_sign(const uint8_t secret[KEY_SECRET_BYTES], const void *p, size_t len,
              uint8_t signature[KEY_SIGNATURE_BYTES]);
NODISCARD bool key_verify(const uint8_t public_key[KEY_PUBLIC_BYTES], const void *p, size_t len,
                          const uint8_t signature[KEY_SIGNATURE_BYTES]);

/* Adds the keys of DIR's *.pub files, in the order of their names; a directory that is not there has none. A file that is no key is an
 * error: a set with less than what was meant is no set to go on with. */
NODISCARD struct err *trust_load(struct trust *t, const char *dir);
const struct key *trust_find(const struct trust *t, const uint8_t public_key[KEY_PUBLIC_BYTES]); /* or NULL */

#endif
