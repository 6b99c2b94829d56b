/* Claim code and password; see admin.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "box/admin.h"

#include "base/text.h"
#include "box/admin_impl.h"
#include "box/audit.h"
#include "box/box.h"
#include "box/put.h"
#include "box/secret.h"
#include "box/tries.h"
#include "store/small_file.h"

#include <errno.h>
#include <fcntl.h>
#include <mbedtls/base64.h>
#include <mbedtls/pkcs5.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <yyjson.h>

#define SALT_BYTES      16
#define HASH_BYTES      64
#define JSON_BYTES_MAX  4096
#define CODE_CHARACTERS 8
static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"; /* Crockford's: no I, L, O, U */

struct verifier {
    uint32_t rounds;
    uint8_t salt[SALT_BYTES], hash[HASH_BYTES];
};

struct admin admin_here(const char *root)
{
    return (struct admin){.root = root, .now_ms = tries_now_ms()};
}

void admin_random(void *p, size_t len)
{
    /* Waits until the kernel has been seeded. Without randomness there are no secrets. */
    if (getrandom(p, len, 0) != (ssize_t)len)
        PANIC("no random numbers: %s", strerror(errno));
}

static bool is_there(const char *root, const char *path)
{
    struct stat st;
    char *full = xprintf("%s%s", root, path);
    bool there = stat(full, &st) == 0 && S_ISREG(st.st_mode);
    free(full);
    return there;
}

bool admin_has_password(const char *root)
{
    return is_there(root, BOX_ADMIN);
}

bool admin_is_claimed(const char *root)
{
    return admin_has_password(root) || is_there(root, BOX_SSH_KEYS);
}

static struct err *put(const char *root, const char *name, const void *p, size_t len)
{
    char *dir = xprintf("%s" BOX_DIR, root);
    struct err *e = put_file(dir, name, p, len, (struct put){0600, (uid_t)-1, (gid_t)-1});
    free(dir);
    return e;
}

/* ---- the code ---- */

bool admin_code_read(const char *typed, char out[ADMIN_CODE_BYTES])
{
    int n = 0;
    for (const char *p = typed; *p; p++) {
        char c = *p;
        if (c == '-' || c == ' ')
            continue;
        if (c >= 'a' && c <= 'z')
            c = (char)(c - 'a' + 'A');
        c = c == 'O' ? '0' : c == 'I' || c == 'L' ? '1' : c;
        if (n == CODE_CHARACTERS || !strchr(alphabet, c))
            return false;
        out[n + (n >= 4)] = c;
        n++;
    }
    out[4] = '-';
    out[ADMIN_CODE_BYTES - 1] = 0;
    return n == CODE_CHARACTERS;
}

static struct err *code_load(const char *root, char out[ADMIN_CODE_BYTES], bool *found)
{
    char *path = xprintf("%s" BOX_CLAIM, root), *text;
    size_t len;
    *found = false;
    struct err *e = small_file_read(path, 64, &text, &len);
    free(path);
    if (e || !text)
        return e;
    text[strcspn(text, "\n")] = 0;
    *found = admin_code_read(text, out);
    free(text);
    return NULL;
}

static struct err *code_make(const char *root, char out[ADMIN_CODE_BYTES])
{
    uint8_t bits[CODE_CHARACTERS];
    char line[ADMIN_CODE_BYTES + 1];
    admin_random(bits, sizeof bits);
    for (int i = 0; i < CODE_CHARACTERS; i++)
        out[i + (i >= 4)] = alphabet[bits[i] & 31];
    out[4] = '-';
    out[ADMIN_CODE_BYTES - 1] = 0;
    int len = snprintf(line, sizeof line, "%s\n", out);
    return put(root, "claim", line, (size_t)len);
}

static struct err *code_remove(const char *root)
{
    char *dir = xprintf("%s" BOX_DIR, root);
    struct err *e = put_away(dir, "claim");
    free(dir);
    return e;
}

struct err *admin_code(const char *root, char out[ADMIN_CODE_BYTES])
{
    bool found;
    out[0] = 0;
    if (admin_is_claimed(root))
        return code_remove(root);
    TRY(code_load(root, out, &found));
    return found ? NULL : code_make(root, out);
}

/* ---- the password ---- */

static struct err *derive(const char *password, uint32_t rounds, const uint8_t salt[SALT_BYTES],
                          uint8_t hash[HASH_BYTES])
{
    int rc = mbedtls_pkcs5_pbkdf2_hmac_ext(MBEDTLS_MD_SHA512, (const unsigned char *)password,
                                           strlen(password), salt, SALT_BYTES, rounds, HASH_BYTES, hash);
    return rc ? err_new(ERR_INTERNAL, "cannot derive a key from the password (mbedTLS -0x%04x)",
                        (unsigned)-rc)
              : NULL;
}

static bool get_bytes(yyjson_val *root, const char *key, uint8_t *out, size_t bytes)
{
    yyjson_val *v = yyjson_obj_get(root, key);
    size_t got = 0;
    return yyjson_is_str(v) &&
           mbedtls_base64_decode(out, bytes, &got, (const unsigned char *)yyjson_get_str(v),
                                 yyjson_get_len(v)) == 0 &&
           got == bytes;
}

/* *found false: there is none. */
static struct err *verifier_load(const char *root, struct verifier *out, bool *found)
{
    char *path = xprintf("%s" BOX_ADMIN, root), *text;
    size_t len;
    *found = false;
    struct err *e = small_file_read(path, JSON_BYTES_MAX, &text, &len);
    free(path);
    if (e || !text)
        return e;
    yyjson_doc *doc = yyjson_read(text, len, 0);
    yyjson_val *v = yyjson_doc_get_root(doc), *rounds = yyjson_obj_get(v, "rounds");
    const char *kdf = yyjson_get_str(yyjson_obj_get(v, "kdf"));
    *found = kdf && strcmp(kdf, "pbkdf2-sha512") == 0 && yyjson_is_uint(rounds) &&
             yyjson_get_uint(rounds) > 0 && yyjson_get_uint(rounds) <= ADMIN_ROUNDS_MAX &&
             get_bytes(v, "salt", out->salt, SALT_BYTES) && get_bytes(v, "hash", out->hash, HASH_BYTES);
    out->rounds = (uint32_t)yyjson_get_uint(rounds);
    yyjson_doc_free(doc);
    explicit_bzero(text, len);
    free(text);
    return *found ? NULL
                  : err_hint(err_new(ERR_CORRUPT, "the administrator's password cannot be read"),
                             "set another one over SSH: password-reset");
}

static struct err *verifier_store(const struct admin *a, const char *password)
{
    struct verifier v = {.rounds = a->rounds ? a->rounds : ADMIN_ROUNDS};
    unsigned char salt[32], hash[96];
    size_t n;
    char json[512], at[32];
    time_t now = time(NULL);
    struct tm tm;
    admin_random(v.salt, sizeof v.salt);
    TRY(derive(password, v.rounds, v.salt, v.hash));
    if (mbedtls_base64_encode(salt, sizeof salt, &n, v.salt, SALT_BYTES) ||
        mbedtls_base64_encode(hash, sizeof hash, &n, v.hash, HASH_BYTES) || !gmtime_r(&now, &tm) ||
        !strftime(at, sizeof at, "%Y-%m-%dT%H:%M:%SZ", &tm))
        PANIC("a password does not fit");
    int len = snprintf(
        json, sizeof json,
        "{\"kdf\":\"pbkdf2-sha512\",\"rounds\":%u,\"salt\":\"%s\",\"hash\":\"%s\",\"set_at\":\"%s\"}\n",
        v.rounds, (char *)salt, (char *)hash, at);
    struct err *e = put(a->root, "admin.json", json, (size_t)len);
    explicit_bzero(json, sizeof json);
    explicit_bzero(hash, sizeof hash);
    explicit_bzero(&v, sizeof v);
    return e;
}

/* As long whether there is a password or not. *right false: it is another one, or none is set. */
static struct err *check_password(const struct admin *a, const char *password, bool *right)
{
    struct verifier v = {.rounds = a->rounds ? a->rounds : ADMIN_ROUNDS};
    uint8_t hash[HASH_BYTES];
    bool found;
    *right = false;
    TRY(verifier_load(a->root, &v, &found));
    TRY(derive(password, v.rounds, v.salt, hash));
    *right = secret_same(hash, v.hash, HASH_BYTES) && found;
    explicit_bzero(&v, sizeof v);
    explicit_bzero(hash, sizeof hash);
    return NULL;
}

static struct err *check_new(const char *password)
{
    size_t bytes = strlen(password), characters = 0;
    bool text = utf8_valid((const uint8_t *)password, bytes);
    for (size_t i = 0; i < bytes; i++) {
        characters += (password[i] & 0xc0) != 0x80;
        text = text && (unsigned char)password[i] >= 32 && password[i] != 127;
    }
    if (!text)
        return err_new(ERR_CONFIG, "the password is no text");
    if (characters < ADMIN_PASSWORD_CHARS_MIN || bytes > ADMIN_PASSWORD_BYTES_MAX)
        return err_hint(err_new(ERR_CONFIG, "the password has %zu characters", characters),
                        "take at least %d characters and at most %d bytes: a few words",
                        ADMIN_PASSWORD_CHARS_MIN, ADMIN_PASSWORD_BYTES_MAX);
    return NULL;
}

/* ---- what is done with them ---- */

static struct err *claim(const struct admin *a, const char *code, const char *password)
{
    char typed[ADMIN_CODE_BYTES] = "", kept[ADMIN_CODE_BYTES] = "";
    bool found;
    if (admin_is_claimed(a->root))
        return err_hint(err_new(ERR_STATE, "this box is claimed already"),
                        "log in; who has lost the password sets another one over SSH: password-reset");
    TRY(check_new(password));
    TRY(tries_take(a->root, "claim", a->now_ms));
    TRY(code_load(a->root, kept, &found));
    bool read = admin_code_read(code, typed);
    if (!read)
        memset(typed, 0, sizeof typed);
    if (!secret_same(typed, kept, sizeof typed) || !read || !found) {
        audit(a->root, "claim refused: a wrong code");
        return err_hint(err_new(ERR_AUTH, "the claim code is not right"),
                        "it stands on the serial console and in the log: XXXX-XXXX");
    }
    TRY(verifier_store(a, password));
    TRY(code_remove(a->root));
    tries_forget(a->root, "claim");
    audit(a->root, "the box was claimed by its code; an administrator's password is set");
    return NULL;
}

/* One at a time: of two with the right code, the second finds the box claimed. */
struct err *admin_claim(const struct admin *a, const char *code, const char *password)
{
    char *dir = xprintf("%s" BOX_DIR, a->root);
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(dir);
    struct err *e = fd < 0 || flock(fd, LOCK_EX) != 0 ? err_errno(ERR_IO, "cannot lock the box's folder")
                                                      : claim(a, code, password);
    if (fd >= 0)
        close(fd);
    return e;
}

struct err *admin_login(const struct admin *a, const char *password, char token[ADMIN_TOKEN_BYTES])
{
    bool right;
    TRY(tries_take(a->root, "login", a->now_ms));
    TRY(check_password(a, password, &right));
    if (!right) {
        audit(a->root, "login refused: a wrong password");
        return err_hint(err_new(ERR_AUTH, "the password is not right"),
                        "one is set by claiming the box, or over SSH: password-reset");
    }
    TRY(session_new(a, token));
    tries_forget(a->root, "login");
    audit(a->root, "login: a session of the administrator has begun");
    return NULL;
}

struct err *admin_password(const struct admin *a, const char *old, const char *password)
{
    bool right;
    if (!admin_is_claimed(a->root))
        return err_hint(err_new(ERR_STATE, "this box is not claimed"), "claim it first");
    TRY(check_new(password));
    if (admin_has_password(a->root)) {
        TRY(tries_take(a->root, "login", a->now_ms));
        TRY(check_password(a, old, &right));
        if (!right) {
            audit(a->root, "change of password refused: a wrong password");
            return err_new(ERR_AUTH, "the present password is not right");
        }
        tries_forget(a->root, "login");
    }
    return admin_password_reset(a, password);
}

struct err *admin_password_reset(const struct admin *a, const char *password)
{
    TRY(check_new(password));
    TRY(verifier_store(a, password));
    TRY(code_remove(a->root));
    admin_logout_all(a);
    audit(a->root, "the administrator's password was set; all sessions have ended");
    return NULL;
}
