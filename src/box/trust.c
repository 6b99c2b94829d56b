/* See trust.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "box/trust.h"
#include "base/file.h"
#include "base/text.h"
#include "store/small_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <mbedtls/base64.h>
#include <mbedtls/sha256.h>
#include <sodium/crypto_sign_ed25519.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PUBLIC_WORD "penstock-key-1"
#define SECRET_WORD "penstock-secret-key-1"

void key_wipe(void *p, size_t len)
{
    explicit_bzero(p, len);
}

void key_public_of(const uint8_t secret[KEY_SECRET_BYTES], uint8_t public_key[KEY_PUBLIC_BYTES])
{
    memcpy(public_key, secret + KEY_SECRET_BYTES - KEY_PUBLIC_BYTES, KEY_PUBLIC_BYTES);
}

void key_fingerprint(const uint8_t public_key[KEY_PUBLIC_BYTES], char out[KEY_FINGERPRINT_BYTES])
{
    uint8_t sum[32];
    unsigned char text[48];
    size_t n = 0;
    if (mbedtls_sha256(public_key, KEY_PUBLIC_BYTES, sum, 0) ||
        mbedtls_base64_encode(text, sizeof text, &n, sum, sizeof sum))
        PANIC("a key has no fingerprint");
    while (n && text[n - 1] == '=')
        n--;
    snprintf(out, KEY_FINGERPRINT_BYTES, "SHA256:%.*s", (int)n, text);
}

void key_sign(const uint8_t secret[KEY_SECRET_BYTES], const void *p, size_t len,
              uint8_t signature[KEY_SIGNATURE_BYTES])
{
    if (crypto_sign_ed25519_detached(signature, NULL, p, len, secret))
        PANIC("signing failed");
}

bool key_verify(const uint8_t public_key[KEY_PUBLIC_BYTES], const void *p, size_t len,
                const uint8_t signature[KEY_SIGNATURE_BYTES])
{
    return crypto_sign_ed25519_verify_detached(signature, p, len, public_key) == 0;
}

/* ---- the line of a key ---- */

static const char *word_end(const char *p, const char *end)
{
    while (p < end && *p != ' ')
        p++;
    return p;
}

/* "WORD BASE64[ COMMENT]" with exactly `bytes` bytes in it. */
static bool line_parse(const char *text, size_t len, const char *word, uint8_t *out, size_t bytes,
                       char comment[KEY_COMMENT_BYTES_MAX + 1])
{
    while (len && (text[len - 1] == '\n' || text[len - 1] == '\r' || text[len - 1] == ' '))
        len--;
    const char *end = text + len, *first = word_end(text, end), *key = first < end ? first + 1 : end,
               *second = word_end(key, end), *rest = second < end ? second + 1 : end;
    size_t got = 0, rest_len = (size_t)(end - rest);
    if ((size_t)(first - text) != strlen(word) || memcmp(text, word, strlen(word)) != 0)
        return false;
    if (mbedtls_base64_decode(out, bytes, &got, (const unsigned char *)key, (size_t)(second - key)) ||
        got != bytes || rest_len > KEY_COMMENT_BYTES_MAX || !utf8_valid((const uint8_t *)rest, rest_len))
        return false;
    for (size_t i = 0; i < rest_len; i++)
        if ((unsigned char)rest[i] < 32 || rest[i] == 127)
            return false;
    memcpy(comment, rest, rest_len);
    comment[rest_len] = 0;
    return true;
}

struct err *key_parse(const char *name, const char *text, size_t len, struct key *out)
{
    uint8_t doubled[KEY_PUBLIC_BYTES];
    if (len > KEY_FILE_BYTES_MAX ||
        !line_parse(text, len, PUBLIC_WORD, doubled, sizeof doubled, out->comment))
        return err_hint(err_new(ERR_CONFIG, "%s is no public key", name),
                        "expected one line: " PUBLIC_WORD
                        " BASE64 COMMENT, as `penstock keys create` makes it");
    memcpy(out->public_key, doubled, sizeof doubled);
    return NULL;
}

struct err *key_load(const char *path, struct key *out)
{
    char *text;
    size_t len;
    TRY(small_file_read(path, KEY_FILE_BYTES_MAX, &text, &len));
    if (!text)
        return err_new(ERR_CONFIG, "there is no key %s", path);
    struct err *e = key_parse(path, text, len, out);
    free(text);
    return e;
}

static struct err *secret_read(int fd, const char *path, uint8_t secret[KEY_SECRET_BYTES])
{
    struct stat st;
    char text[KEY_FILE_BYTES_MAX], comment[KEY_COMMENT_BYTES_MAX + 1];
    if (fstat(fd, &st))
        return err_errno(ERR_IO, "cannot look at %s", path);
    if (st.st_mode & 077)
        return err_hint(err_new(ERR_AUTH, "others may read the secret key %s", path), "chmod 600 %s", path);
    ssize_t n = file_read_at(fd, text, sizeof text, 0);
    struct err *e = n < 0 ? err_errno(ERR_IO, "cannot read %s", path) : NULL;
    if (!e && !line_parse(text, (size_t)n, SECRET_WORD, secret, KEY_SECRET_BYTES, comment))
        e = err_new(ERR_CONFIG, "%s is no secret key", path);
    key_wipe(text, sizeof text);
    return e;
}

struct err *key_load_secret(const char *path, uint8_t secret[KEY_SECRET_BYTES])
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return err_errno(ERR_CONFIG, "cannot open the secret key %s", path);
    struct err *e = secret_read(fd, path, secret);
    close(fd);
    return e;
}

/* ---- making one ---- */

static struct err *line_write(const char *path, mode_t mode, const char *word, const uint8_t *key,
                              size_t bytes, const char *comment)
{
    unsigned char text[128];
    char line[KEY_FILE_BYTES_MAX];
    size_t n;
    if (mbedtls_base64_encode(text, sizeof text, &n, key, bytes))
        PANIC("a key does not fit");
    int len = snprintf(line, sizeof line, "%s %s%s%s\n", word, (char *)text, *comment ? " " : "", comment);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    struct err *e = NULL;
    if (fd < 0)
        e = errno == EEXIST ? err_hint(err_new(ERR_STATE, "%s is there already", path),
                                       "take another name; a key is never overwritten")
                            : err_errno(ERR_IO, "cannot make %s", path);
    else if ((errno = file_write_at(fd, line, (size_t)len, 0)) != 0 || fsync(fd))
        e = err_errno(ERR_IO, "cannot write %s", path);
    if (fd >= 0)
        close(fd);
    key_wipe(text, sizeof text);
    key_wipe(line, sizeof line);
    return e;
}

static bool comment_valid(const char *comment)
{
    size_t len = strlen(comment);
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)comment[i] < 32 || comment[i] == 127)
            return false;
    return len <= KEY_COMMENT_BYTES_MAX && utf8_valid((const uint8_t *)comment, len);
}

struct err *key_create(const char *path, const char *comment, struct key *out)
{
    uint8_t secret[KEY_SECRET_BYTES];
    if (!comment_valid(comment))
        return err_new(ERR_CONFIG, "a key's comment is at most %d bytes of text", KEY_COMMENT_BYTES_MAX);
    char *secret_path = xprintf("%s.key", path), *public_path = xprintf("%s.pub", path);
    if (crypto_sign_ed25519_keypair(out->public_key, secret))
        PANIC("no key pair");
    snprintf(out->comment, sizeof out->comment, "%s", comment);
    struct err *e = line_write(secret_path, 0600, SECRET_WORD, secret, sizeof secret, comment);
    if (!e)
        e = line_write(public_path, 0644, PUBLIC_WORD, out->public_key, sizeof out->public_key, comment);
    key_wipe(secret, sizeof secret);
    free(secret_path);
    free(public_path);
    return e;
}

/* ---- sets ---- */

const struct key *trust_find(const struct trust *t, const uint8_t public_key[KEY_PUBLIC_BYTES])
{
    for (uint32_t i = 0; i < t->count; i++)
        if (memcmp(t->keys[i].public_key, public_key, KEY_PUBLIC_BYTES) == 0)
            return &t->keys[i];
    return NULL;
}

static int is_public(const struct dirent *d)
{
    size_t len = strlen(d->d_name);
    return d->d_name[0] != '.' && len > 4 && strcmp(d->d_name + len - 4, ".pub") == 0;
}

static struct err *trust_add(struct trust *t, const char *dir, const char *name)
{
    struct key key;
    char *path = xprintf("%s/%s", dir, name);
    struct err *e = key_load(path, &key);
    free(path);
    if (e || trust_find(t, key.public_key))
        return e;
    if (t->count == TRUST_KEYS_MAX)
        return err_new(ERR_LIMIT, "%s: more than %d keys", dir, TRUST_KEYS_MAX);
    t->keys[t->count++] = key;
    return NULL;
}

struct err *trust_load(struct trust *t, const char *dir)
{
    struct dirent **list = NULL;
    int n = scandir(dir, &list, is_public, alphasort);
    if (n < 0)
        return errno == ENOENT ? NULL : err_errno(ERR_IO, "cannot list the keys of %s", dir);
    struct err *e = NULL;
    for (int i = 0; i < n; i++) {
        if (!e)
            e = trust_add(t, dir, list[i]->d_name);
        free(list[i]);
    }
    free(list);
    return e;
}
