/* See ssh_keys.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "box/ssh_keys.h"

#include "base/text.h"
#include "box/audit.h"
#include "box/box.h"
#include "box/put.h"
#include "store/small_file.h"

#include <fcntl.h>
#include <mbedtls/base64.h>
#include <mbedtls/sha256.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define BLOB_MAX     (SSH_KEY_LINE_MAX / 4 * 3)
#define RSA_BITS_MIN 2048
#define RSA_BITS_MAX 8192

/* A key as it goes over the wire (RFC 4253, 6.6): fields with their length before them. The first one is the type's name. */
struct ssh_type {
    const char *name;
    const char *curve;    /* the second field, of ECDSA */
    uint32_t point_bytes; /* of the key itself; 0: RSA's e and n */
    uint32_t bits;
};
static const struct ssh_type types[] = {
    {"ssh-ed25519", NULL, 32, 256},
    {"ecdsa-sha2-nistp256", "nistp256", 65, 256},
    {"ecdsa-sha2-nistp384", "nistp384", 97, 384},
    {"ecdsa-sha2-nistp521", "nistp521", 133, 521},
    {"ssh-rsa", NULL, 0, 0},
};
/* They take away alone. dropbear knows all of them. */
static const char *const options[] = {"restrict", "no-pty", "no-port-forwarding", "no-agent-forwarding",
                                      "no-X11-forwarding"};

struct span {
    const char *p;
    size_t len;
};

static bool span_is(struct span s, const char *text)
{
    return s.len == strlen(text) && memcmp(s.p, text, s.len) == 0;
}

static struct span next_word(const char **p, const char *end)
{
    while (*p < end && (**p == ' ' || **p == '\t'))
        (*p)++;
    struct span w = {*p, 0};
    while (*p < end && **p != ' ' && **p != '\t')
        (*p)++;
    w.len = (size_t)(*p - w.p);
    return w;
}

static const struct ssh_type *type_named(struct span s)
{
    for (size_t i = 0; i < ARRAY_COUNT(types); i++)
        if (span_is(s, types[i].name))
            return &types[i];
    return NULL;
}

/* ---- the key's bytes ---- */

static bool field(const uint8_t **p, const uint8_t *end, struct span *out)
{
    if (end - *p < 4)
        return false;
    uint32_t len = (uint32_t)(*p)[0] << 24 | (uint32_t)(*p)[1] << 16 | (uint32_t)(*p)[2] << 8 | (*p)[3];
    *p += 4;
    if (len > (size_t)(end - *p))
        return false;
    *out = (struct span){(const char *)*p, len};
    *p += len;
    return true;
}

static uint32_t bits_of(struct span n)
{
    const uint8_t *p = (const uint8_t *)n.p;
    size_t len = n.len;
    if (len && p[0] & 0x80)
        return 0; /* negative */
    while (len && !*p) {
        p++;
        len--;
    }
    uint32_t bits = (uint32_t)len * 8;
    for (unsigned top = len ? *p : 0x80; len && !(top & 0x80); top <<= 1)
        bits--;
    return bits;
}

/* NULL, or what is wrong with it. */
static const char *blob_check(const struct ssh_type *t, const uint8_t *p, size_t len, uint32_t *bits)
{
    const uint8_t *end = p + len;
    struct span name, curve, key, n;
    if (!field(&p, end, &name) || !span_is(name, t->name))
        return "the key is not of the type that stands before it";
    if (t->curve && (!field(&p, end, &curve) || !span_is(curve, t->curve)))
        return "the key is of another curve";
    if (!field(&p, end, &key))
        return "the key is cut off";
    *bits = t->bits;
    if (t->point_bytes) {
        if (key.len != t->point_bytes || (t->curve && key.p[0] != 4))
            return "the key has not the length of its type";
    } else if (!field(&p, end, &n) || bits_of(key) < 2 || bits_of(key) > 64) {
        return "the key is no RSA key";
    } else {
        *bits = bits_of(n);
        if (*bits < RSA_BITS_MIN || *bits > RSA_BITS_MAX)
            return "an RSA key has 2048 to 8192 bits";
    }
    return p == end ? NULL : "something follows the key";
}

static void fingerprint(const uint8_t *p, size_t len, char out[SSH_KEY_FINGERPRINT_BYTES])
{
    uint8_t sum[32];
    unsigned char text[48];
    size_t n = 0;
    if (mbedtls_sha256(p, len, sum, 0) || mbedtls_base64_encode(text, sizeof text, &n, sum, sizeof sum))
        PANIC("a key has no fingerprint");
    while (n && text[n - 1] == '=')
        n--;
    snprintf(out, SSH_KEY_FINGERPRINT_BYTES, "SHA256:%.*s", (int)n, text);
}

/* ---- lines ---- */

struct reader {
    const char *file;
    uint32_t line;
    struct err *errors;
    uint32_t error_count;
};

#define ERRORS_MAX 20

static void wrong(struct reader *r, const char *what, const char *hint)
{
    if (r->error_count++ >= ERRORS_MAX)
        return;
    struct err *e = err_at(ERR_CONFIG, r->file, (int)r->line, 1, "%s", what);
    err_append(&r->errors, hint ? err_hint(e, "%s", hint) : e);
}

static bool options_allowed(struct span s)
{
    for (const char *p = s.p, *end = s.p + s.len; p <= end;) {
        const char *comma = memchr(p, ',', (size_t)(end - p));
        struct span one = {p, (size_t)((comma ? comma : end) - p)};
        bool known = false;
        for (size_t i = 0; i < ARRAY_COUNT(options); i++)
            known = known || span_is(one, options[i]);
        if (!known)
            return false;
        p = comma ? comma + 1 : end + 1;
    }
    return true;
}

/* Control characters and bytes that are no text end it: it is shown on terminals. */
static void take_comment(const char *p, const char *end, char out[SSH_KEY_COMMENT_MAX + 1])
{
    while (p < end && (*p == ' ' || *p == '\t'))
        p++;
    while (end > p && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    size_t len = (size_t)text_fit(p, (size_t)(end - p), SSH_KEY_COMMENT_MAX);
    if (!utf8_valid((const uint8_t *)p, len))
        len = 0;
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)p[i] < 32 || p[i] == 127)
            len = i;
    memcpy(out, p, len);
    out[len] = 0;
}

static bool take_key(struct reader *r, const char *p, const char *end, struct ssh_key *out)
{
    static const char hint[] = "expected: TYPE BASE64 COMMENT, as it stands in ~/.ssh/id_ed25519.pub";
    uint8_t blob[BLOB_MAX];
    size_t blob_len = 0;
    const char *what = NULL;
    struct span word = next_word(&p, end);
    const struct ssh_type *t = type_named(word);
    if (!t && options_allowed(word)) {
        word = next_word(&p, end);
        t = type_named(word);
    }
    if (!t) {
        wrong(r, "the line begins with neither a type of key that is taken nor options that only restrict",
              "types: ssh-ed25519, ecdsa-sha2-nistp256 (384, 521), ssh-rsa; options: restrict, no-pty, "
              "no-port-forwarding, no-agent-forwarding, no-X11-forwarding");
        return false;
    }
    struct span text = next_word(&p, end);
    if (!text.len ||
        mbedtls_base64_decode(blob, sizeof blob, &blob_len, (const unsigned char *)text.p, text.len))
        what = "the key is no base64";
    else
        what = blob_check(t, blob, blob_len, &out->bits);
    if (what) {
        wrong(r, what, hint);
        return false;
    }
    out->type = t->name;
    fingerprint(blob, blob_len, out->fingerprint);
    take_comment(p, end, out->comment);
    return true;
}

static bool has_key(const struct ssh_keys *k, const char *by)
{
    for (uint32_t i = 0; i < k->count; i++)
        if (strcmp(k->keys[i].fingerprint, by) == 0)
            return true;
    return false;
}

static void take_line(struct reader *r, const char *text, const char *p, const char *end,
                      struct ssh_keys *out)
{
    struct ssh_key key = {.line = r->line, .at = (size_t)(p - text)};
    if (end > p && end[-1] == '\r')
        end--;
    key.len = (size_t)(end - p);
    while (p < end && (*p == ' ' || *p == '\t'))
        p++;
    if (p == end || *p == '#')
        return;
    if (key.len > SSH_KEY_LINE_MAX) {
        wrong(r, "the line is too long for a key", NULL);
        return;
    }
    for (const char *c = p; c < end; c++)
        if (((unsigned char)*c < 32 && *c != '\t') || *c == 127) {
            wrong(r, "the line holds a control character", NULL);
            return;
        }
    if (!take_key(r, p, end, &key) || has_key(out, key.fingerprint))
        return;
    if (out->count == SSH_KEYS_MAX)
        wrong(r, "there are more keys than a box takes (64)", NULL);
    else
        out->keys[out->count++] = key;
}

struct err *ssh_keys_parse(const char *file, const char *text, size_t len, struct ssh_keys *out)
{
    struct reader r = {.file = file};
    out->count = 0;
    if (len > SSH_KEYS_FILE_MAX)
        return err_new(ERR_LIMIT, "%s is larger than %u bytes", file, SSH_KEYS_FILE_MAX);
    for (const char *p = text, *end = text + len; p < end;) {
        const char *newline = memchr(p, '\n', (size_t)(end - p));
        r.line++;
        take_line(&r, text, p, newline ? newline : end, out);
        p = newline ? newline + 1 : end;
    }
    if (r.errors)
        out->count = 0;
    return r.errors;
}

/* ---- the box's file ---- */

static struct err *read_file(const char *root, char **text, size_t *len)
{
    char *path = xprintf("%s" BOX_SSH_KEYS, root);
    struct err *e = small_file_read(path, SSH_KEYS_FILE_MAX, text, len);
    free(path);
    return e;
}

struct err *ssh_keys_load(const char *root, struct ssh_keys *out)
{
    char *text;
    size_t len;
    out->count = 0;
    TRY(read_file(root, &text, &len));
    struct err *e = text ? ssh_keys_parse("authorized_keys", text, len, out) : NULL;
    free(text);
    return e;
}

static struct err *write_file(const char *root, const struct buf *b)
{
    char *dir = xprintf("%s" BOX_DIR, root);
    struct err *e = put_file(dir, "authorized_keys", b->p, b->len, (struct put){0600, (uid_t)-1, (gid_t)-1});
    free(dir);
    return e;
}

/* Reads, lets `change` make the new text, writes; one at a time. */
static int lock(const char *root)
{
    char *dir = xprintf("%s" BOX_DIR, root);
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(dir);
    if (fd >= 0 && flock(fd, LOCK_EX) != 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

static struct err *add(const char *root, const char *text, const struct ssh_keys *news, uint32_t *added)
{
    struct ssh_keys *have = xcalloc(1, sizeof *have);
    struct buf b = {0};
    char *old;
    size_t len;
    struct err *e = read_file(root, &old, &len);
    if (!e && old)
        e = ssh_keys_parse("authorized_keys", old, len, have);
    if (!e && old)
        buf_put(&b, old, len);
    if (b.len && b.p[b.len - 1] != '\n')
        buf_put_u8(&b, '\n');
    for (uint32_t i = 0; !e && i < news->count; i++) {
        const struct ssh_key *k = &news->keys[i];
        if (has_key(have, k->fingerprint))
            continue;
        if (have->count + *added == SSH_KEYS_MAX || b.len + k->len + 1 > SSH_KEYS_FILE_MAX)
            e = err_new(ERR_LIMIT, "a box takes %d keys at most", SSH_KEYS_MAX);
        buf_put(&b, text + k->at, k->len);
        buf_put_u8(&b, '\n');
        (*added)++;
    }
    if (!e && *added)
        e = write_file(root, &b);
    for (uint32_t i = 0; !e && i < news->count; i++)
        if (!has_key(have, news->keys[i].fingerprint))
            audit(root, "the SSH key %s was added", news->keys[i].fingerprint);
    free(old);
    free(have);
    buf_fini(&b);
    return e;
}

struct err *ssh_keys_add(const char *root, const char *text, size_t len, uint32_t *added)
{
    struct ssh_keys *news = xcalloc(1, sizeof *news);
    *added = 0;
    struct err *e = ssh_keys_parse("standard input", text, len, news);
    if (!e && !news->count)
        e = err_new(ERR_CONFIG, "no key came on standard input");
    int fd = e ? -1 : lock(root);
    if (!e)
        e = fd < 0 ? err_errno(ERR_IO, "cannot lock the box's folder") : add(root, text, news, added);
    if (fd >= 0)
        close(fd);
    free(news);
    return e;
}

static struct err *take_out(const char *root, const char *by, bool force)
{
    struct ssh_keys *have = xcalloc(1, sizeof *have);
    struct buf b = {0};
    char *old;
    size_t len;
    struct err *e = read_file(root, &old, &len);
    if (!e && old)
        e = ssh_keys_parse("authorized_keys", old, len, have);
    if (!e && !has_key(have, by))
        e = err_hint(err_new(ERR_STATE, "no SSH key has this fingerprint"), "`ssh-key list` shows them");
    if (!e && have->count == 1 && !force)
        e = err_hint(err_new(ERR_STATE, "this is the last key: nobody could log in over SSH any more"),
                     "add another one first, or say --force");
    for (uint32_t i = 0; !e && i < have->count; i++) {
        if (strcmp(have->keys[i].fingerprint, by) == 0)
            continue;
        buf_put(&b, old + have->keys[i].at, have->keys[i].len);
        buf_put_u8(&b, '\n');
    }
    /* An empty file stays: a box that was claimed by a key does not become anybody's when its last one goes. */
    if (!e)
        e = write_file(root, &b);
    if (!e)
        audit(root, "the SSH key %s was removed", by);
    free(old);
    free(have);
    buf_fini(&b);
    return e;
}

struct err *ssh_keys_remove(const char *root, const char *by, bool force)
{
    int fd = lock(root);
    struct err *e = fd < 0 ? err_errno(ERR_IO, "cannot lock the box's folder") : take_out(root, by, force);
    if (fd >= 0)
        close(fd);
    return e;
}
