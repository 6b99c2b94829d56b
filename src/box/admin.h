/* Whose box this is: the claim code, the administrator's password, and the console's sessions.
 *
 * A box that nobody has claimed shows a code on its serial console and in its log (BOX_CLAIM; the file is there exactly while the box is
 * unclaimed). Who types it, with a password, has claimed the box: BOX_ADMIN keeps the password's PBKDF2-HMAC-SHA512. SSH keys claim a
 * box as well. Sessions are files of BOX_RUN named by the SHA-256 of their token, so that who reads them cannot use them; a
 * restart of the box ends them all.
 *
 * Everything here runs as root, in a process of its own, with no state but these files. Files are locked where two could meet. */
#ifndef PENSTOCK_BOX_ADMIN_H
#define PENSTOCK_BOX_ADMIN_H

#include "base/err.h"

#define ADMIN_CODE_BYTES         10 /* "XXXX-XXXX" and a 0: 40 bits in Crockford's alphabet */
#define ADMIN_PASSWORD_CHARS_MIN 12
#define ADMIN_PASSWORD_BYTES_MAX 256
#define ADMIN_ROUNDS             210000 /* of PBKDF2-HMAC-SHA512: OWASP's */
#define ADMIN_ROUNDS_MAX         10000000
#define ADMIN_TOKEN_BYTES        44 /* base64url of 32 random bytes, and a 0 */
#define ADMIN_SESSIONS_MAX       32 /* beyond them the one that was unused for longest ends */
#define ADMIN_SESSION_IDLE_MS    (30 * 60 * 1000)
#define ADMIN_SESSION_MS         (12 * 3600 * 1000)

struct admin {
    const char *root; /* borrowed; "" on a box */
    uint32_t rounds;  /* for new passwords; 0: ADMIN_ROUNDS */
    int64_t now_ms;   /* of CLOCK_BOOTTIME */
};
struct admin admin_here(const char *root);

bool admin_is_claimed(const char *root);

/* The code that claims the box, made and kept when there is none; "": it is claimed (then a code that was left is removed). */
NODISCARD struct err *admin_code(const char *root, char out[ADMIN_CODE_BYTES]);
/* What a person typed, without blanks and hyphens, O as 0, I and L as 1: "XXXX-XXXX". False: it cannot be a code. */
bool admin_code_read(const char *typed, char out[ADMIN_CODE_BYTES]);

/* All of these count as tries, and are spoken of in the log. ERR_AUTH: it is not right; ERR_LIMIT: too many tries; ERR_STATE: the box is
 * claimed already, or has no password; ERR_CONFIG: the new password will not do. */
NODISCARD struct err *admin_claim(const struct admin *a, const char *code, const char *password);
NODISCARD struct err *admin_login(const struct admin *a, const char *password, char token[ADMIN_TOKEN_BYTES]);
/* old: ignored while there is no password. All sessions end. */
NODISCARD struct err *admin_password(const struct admin *a, const char *old, const char *password);
/* Whoever calls this has shown otherwise that the box is his. */
NODISCARD struct err *admin_password_reset(const struct admin *a, const char *password);
bool admin_has_password(const char *root);

/* Whether the token's session is good; it is in use from now on. */
bool admin_session(const struct admin *a, const char *token);
void admin_logout(const struct admin *a, const char *token);
void admin_logout_all(const struct admin *a);

#endif
