/* SSH public keys that may log in: BOX_SSH_KEYS, a file as OpenSSH's authorized_keys (sshd(8)), of which less is allowed.
 *
 * A line is TYPE BASE64 [COMMENT], after options that only take away (restrict, no-pty, no-port-forwarding, ...). Everything else is
 * refused with its line: options that give or that the box's SSH server does not know, types it does not take, RSA below 2048 bits,
 * a key whose bytes are not of its type. Comments (#) and empty lines are allowed. Foreign input. Any thread. */
#ifndef PENSTOCK_BOX_SSH_KEYS_H
#define PENSTOCK_BOX_SSH_KEYS_H

#include "base/buf.h"
#include "base/err.h"

#define SSH_KEYS_FILE_MAX   65536u
#define SSH_KEYS_MAX        64
#define SSH_KEY_LINE_MAX    4000 /* what dropbear reads */
#define SSH_KEY_COMMENT_MAX 100
#define SSH_KEY_FINGERPRINT_BYTES \
    52 /* "SHA256:", 43 characters of base64, and a 0: as ssh-keygen -l shows it */

struct ssh_key {
    const char *type; /* static */
    uint32_t bits;
    char fingerprint[SSH_KEY_FINGERPRINT_BYTES];
    char comment[SSH_KEY_COMMENT_MAX + 1]; /* printable; "": none */
    uint32_t line;                         /* 1-based */
    size_t at, len;                        /* the line in the text, without its end */
};
struct ssh_keys {
    uint32_t count;
    struct ssh_key keys[SSH_KEYS_MAX];
};

/* All errors at once, with their lines in `file`. A key that stands there twice is taken once. */
NODISCARD struct err *ssh_keys_parse(const char *file, const char *text, size_t len, struct ssh_keys *out);

/* root: "" on a box. A file that is not there has no keys. */
NODISCARD struct err *ssh_keys_load(const char *root, struct ssh_keys *out);
/* Adds those that are not there yet. *added: how many. */
NODISCARD struct err *ssh_keys_add(const char *root, const char *text, size_t len, uint32_t *added);
/* by: its fingerprint. ERR_STATE: there is none, or it is the last one and not `force`. */
NODISCARD struct err *ssh_keys_remove(const char *root, const char *by, bool force);

#endif
