/* See scrub.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "box/scrub.h"

#include "base/arena.h"
#include "config/yaml.h"
#include "store/small_file.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define FILE_BYTES_MAX (64u << 10) /* of a file that ${file:...} names */

void scrub_fini(struct scrub *s)
{
    for (uint32_t i = 0; i < s->count; i++) {
        explicit_bzero(s->secrets[i].p, s->secrets[i].len);
        buf_fini(&s->secrets[i]);
    }
    s->count = 0;
}

void scrub_add(struct scrub *s, const void *p, size_t len)
{
    if (len < SCRUB_BYTES_MIN)
        return;
    for (uint32_t i = 0; i < s->count; i++)
        if (s->secrets[i].len == len && memcmp(s->secrets[i].p, p, len) == 0)
            return;
    s->full |= s->count == SCRUB_SECRETS_MAX;
    if (s->full)
        return;
    buf_put(&s->secrets[s->count++], p, len);
}

/* ---- what looks like a secret ---- */

struct text {
    const char *p;
    size_t len;
};

static bool starts(struct text t, size_t at, const char *with)
{
    size_t n = strlen(with);
    return t.len - at >= n && strncasecmp(t.p + at, with, n) == 0;
}

static bool is_token_char(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '-';
}

static size_t token_len(struct text t, size_t at)
{
    size_t n = 0;
    while (at + n < t.len && is_token_char(t.p[at + n]))
        n++;
    return n;
}

/* "://USER:PASSWORD@": the password's place. */
static size_t of_url(struct text t, size_t at, size_t *from)
{
    if (!starts(t, at, "://"))
        return 0;
    size_t colon = 0, last = 0, i = at + 3;
    for (; i < t.len && (unsigned char)t.p[i] > ' ' && !strchr("/\"'<>?#", t.p[i]); i++) {
        if (t.p[i] == ':' && !colon)
            colon = i;
        if (t.p[i] == '@')
            last = i;
    }
    if (!colon || last <= colon + 1)
        return 0;
    *from = colon + 1;
    return last - colon - 1;
}

/* "password=VALUE", "password: VALUE", "password='V A L'", in JSON too. */
static size_t of_assignment(struct text t, size_t at, size_t *from)
{
    static const char *const names[] = {"password", "passwd", "passphrase", "secret", "authorization"};
    size_t i = 0;
    for (size_t k = 0; k < ARRAY_COUNT(names) && !i; k++)
        if (starts(t, at, names[k]))
            i = at + strlen(names[k]);
    if (!i)
        return 0;
    while (i < t.len && (t.p[i] == '"' || t.p[i] == '\'' || t.p[i] == ' '))
        i++;
    if (i == t.len || (t.p[i] != '=' && t.p[i] != ':'))
        return 0;
    for (i++; i < t.len && t.p[i] == ' ';)
        i++;
    char quote = i < t.len && (t.p[i] == '"' || t.p[i] == '\'') ? t.p[i++] : 0;
    bool bearer = starts(t, i, "bearer ") || starts(t, i, "basic ");
    *from = i;
    if (bearer)
        i = (size_t)((const char *)memchr(t.p + i, ' ', t.len - i) - t.p) + 1;
    while (i < t.len && (quote ? t.p[i] != quote && t.p[i] != '\n'
                               : (unsigned char)t.p[i] > ' ' && !strchr(",;&\"'", t.p[i]))) {
        i += quote && t.p[i] == '\\' && i + 1 < t.len && t.p[i + 1] != '\n';
        i++;
    }
    return i - *from;
}

/* A private key in PEM, whole, or up to the end of the text. */
static size_t of_pem(struct text t, size_t at, size_t *from)
{
    if (!starts(t, at, "-----BEGIN "))
        return 0;
    const char *head_end = memmem(t.p + at + 11, t.len - at - 11, "-----", 5);
    if (!head_end || head_end - (t.p + at) > 60 ||
        !memmem(t.p + at, (size_t)(head_end - t.p) - at, "PRIVATE", 7))
        return 0;
    const char *tail = memmem(head_end + 5, t.len - (size_t)(head_end + 5 - t.p), "-----END ", 9);
    const char *end = tail ? memmem(tail + 9, t.len - (size_t)(tail + 9 - t.p), "-----", 5) : NULL;
    *from = at;
    return end ? (size_t)(end + 5 - t.p) - at : t.len - at;
}

static size_t of_token(struct text t, size_t at, size_t *from)
{
    if (at && is_token_char(t.p[at - 1]))
        return 0;
    size_t n = token_len(t, at);
    *from = at;
    if (starts(t, at, "pst_") && n >= 20)
        return n;
    if (starts(t, at, "eyJ") && n >= 16) { /* a JSON web token: three parts with dots */
        while (at + n < t.len && (is_token_char(t.p[at + n]) || t.p[at + n] == '.'))
            n++;
        return n;
    }
    if (starts(t, at, "penstock-secret-key-1")) {
        const char *end = memchr(t.p + at, '\n', t.len - at);
        return end ? (size_t)(end - t.p) - at : t.len - at;
    }
    return 0;
}

static size_t of_known(const struct scrub *s, struct text t, size_t at, size_t *from)
{
    size_t longest = 0;
    for (uint32_t i = 0; i < s->count; i++) {
        const struct buf *b = &s->secrets[i];
        if (b->len > longest && t.len - at >= b->len && memcmp(t.p + at, b->p, b->len) == 0)
            longest = b->len;
    }
    *from = at;
    return longest;
}

/* What is secret at or soon after `at`: its length, and where it begins. Each form begins with few characters: logs are long. */
static size_t find(const struct scrub *s, struct text t, size_t at, size_t *from)
{
    size_t n = s->count ? of_known(s, t, at, from) : 0;
    switch (n ? 0 : t.p[at] | 0x20) {
    case '-': return of_pem(t, at, from);
    case ':': return of_url(t, at, from);
    case 'e': return of_token(t, at, from);
    case 'p': n = of_token(t, at, from); return n ? n : of_assignment(t, at, from);
    case 's':
    case 'a': return of_assignment(t, at, from);
    default: return n;
    }
}

/* What stands before the secret (a URL's user, a name) may hold a known one, and a known one may begin in either and go on behind it.
 * Returns where to go on. */
static size_t blank(const struct scrub *s, struct text t, size_t at, size_t from, size_t n, struct buf *out)
{
    size_t end = from + n, i = at, place;
    while (i < from) {
        size_t known = of_known(s, t, i, &place);
        if (known)
            buf_put_str(out, SCRUB_BLANK);
        else
            buf_put_u8(out, (uint8_t)t.p[i]);
        i += known ? known : 1;
    }
    if (i == from)
        buf_put_str(out, SCRUB_BLANK);
    end = i > end ? i : end;
    for (; s->count && i < end; i++) {
        size_t known = of_known(s, t, i, &place);
        end = i + known > end ? i + known : end;
    }
    return end;
}

void scrub_text(const struct scrub *s, const void *p, size_t len, struct buf *out)
{
    struct text t = {p, len};
    for (size_t at = 0; at < len;) {
        size_t from = at, n = find(s, t, at, &from);
        if (n)
            at = blank(s, t, at, from, n, out);
        else
            buf_put_u8(out, (uint8_t)t.p[at++]);
    }
}

/* ---- configurations ---- */

struct writer {
    struct scrub *s;
    struct buf *out;
    bool add; /* the first time through: secrets are learnt, and nothing is written */
};

static bool is_secret_key(const char *key)
{
    static const char *const parts[] = {"password",   "passwd", "passphrase", "secret",
                                        "credential", "token",  "private"};
    for (size_t i = 0; i < ARRAY_COUNT(parts); i++)
        if (strcasestr(key, parts[i]))
            return true;
    return false;
}

/* A value that says where the secret is, and holds none itself. */
static bool is_reference(const char *text)
{
    size_t len = strlen(text);
    return len > 3 && strncmp(text, "${", 2) == 0 && strchr(text, '}') == text + len - 1 &&
           !strstr(text, ":-");
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : isxdigit((unsigned char)c) ? tolower(c) - 'a' + 10 : -1;
}

/* As it stands, and as a server would report it. */
static void learn_encoded(struct scrub *s, const char *p, size_t len)
{
    struct buf b = {0};
    scrub_add(s, p, len);
    for (size_t i = 0; i < len; i++)
        if (p[i] == '%' && i + 2 < len && hex_digit(p[i + 1]) >= 0 && hex_digit(p[i + 2]) >= 0) {
            buf_put_u8(&b, (uint8_t)(hex_digit(p[i + 1]) << 4 | hex_digit(p[i + 2])));
            i += 2;
        } else {
            buf_put_u8(&b, (uint8_t)p[i]);
        }
    scrub_add(s, b.p, b.len);
    buf_fini(&b);
}

static void learn_lines(struct scrub *s, const char *text, size_t len)
{
    for (size_t at = 0; at < len;) {
        const char *stop = memchr(text + at, '\n', len - at);
        size_t n = (stop ? (size_t)(stop - text) : len) - at;
        scrub_add(s, text + at, n && text[at + n - 1] == '\r' ? n - 1 : n);
        at += n + 1;
    }
}

static void learn_file(struct scrub *s, const char *reference)
{
    char *text = NULL, *path = xprintf("%.*s", (int)strcspn(reference, "}"), reference);
    size_t len = 0;
    err_free(small_file_read(path, FILE_BYTES_MAX, &text, &len));
    if (text)
        learn_lines(s, text, len);
    free(text);
    free(path);
}

/* Of a value whose key says nothing: what its form says, and the files that it names. */
static void learn_value(struct scrub *s, const char *text)
{
    struct text t = {text, strlen(text)};
    for (size_t at = 0; at < t.len; at++) {
        size_t from, n = of_url(t, at, &from);
        n = n ? n : of_assignment(t, at, &from);
        if (n)
            learn_encoded(s, text + from, n);
    }
    for (const char *file = text; (file = strstr(file, "${file:"));)
        learn_file(s, file += 7);
}

static void put_quoted(struct buf *out, const void *p, size_t len)
{
    buf_put_u8(out, '"');
    for (size_t i = 0; i < len; i++) {
        uint8_t c = ((const uint8_t *)p)[i];
        if (c == '"' || c == '\\')
            buf_printf(out, "\\%c", c);
        else if (c == '\n')
            buf_put_str(out, "\\n");
        else if (c < 0x20 || c == 0x7f)
            buf_printf(out, "\\x%02x", c);
        else
            buf_put_u8(out, c);
    }
    buf_put_u8(out, '"');
}

static bool is_simple(const char *text)
{
    for (const char *c = text; *c; c++)
        if (!isalnum((unsigned char)*c) && !strchr("_./-", *c))
            return false;
    return *text && *text != '-' && *text != '.';
}

static void put_scalar(struct writer *w, const struct yaml_node *n, bool secret)
{
    struct buf clean = {0};
    secret &= n->text && *n->text && !is_reference(n->text);
    if (w->add && secret) {
        learn_lines(w->s, n->text, strlen(n->text));
        learn_encoded(w->s, n->text, strlen(n->text));
    }
    if (w->add) {
        learn_value(w->s, n->text ? n->text : "");
    } else if (secret) {
        buf_put_str(w->out, "\"" SCRUB_BLANK "\"");
    } else {
        scrub_text(w->s, n->text, n->text ? strlen(n->text) : 0, &clean);
        buf_put_u8(&clean, 0);
        if (n->plain && is_simple((char *)clean.p))
            buf_put_str(w->out, (char *)clean.p);
        else if (n->plain && clean.len == 1)
            buf_put_str(w->out, "null");
        else
            put_quoted(w->out, clean.p, clean.len - 1);
    }
    buf_fini(&clean);
}

static void indent(struct writer *w, int depth)
{
    for (int i = 0; i < depth && !w->add; i++)
        buf_put_str(w->out, "  ");
}

static void say(struct writer *w, const char *text)
{
    if (!w->add)
        buf_put_str(w->out, text);
}

/* secret: the key above says so, for all that is below it. */
static void put_node(struct writer *w, const struct yaml_node *n, int depth, bool secret)
{
    if (n->kind == YAML_SCALAR) {
        say(w, " ");
        put_scalar(w, n, secret);
        say(w, "\n");
        return;
    }
    if (!n->count) {
        say(w, n->kind == YAML_MAPPING ? " {}\n" : " []\n");
        return;
    }
    say(w, depth ? "\n" : "");
    for (uint32_t i = 0; i < n->count; i++) {
        const struct yaml_node *key = n->kind == YAML_MAPPING ? n->pairs[i].key : NULL;
        indent(w, depth);
        if (key)
            put_scalar(w, key, false);
        say(w, key ? ":" : "-");
        put_node(w, key ? n->pairs[i].value : n->items[i], depth + 1,
                 secret || (key && key->text && is_secret_key(key->text)));
    }
}

struct err *scrub_yaml(struct scrub *s, const char *text, size_t len, struct buf *out)
{
    struct arena arena;
    struct yaml_node *root = NULL;
    arena_init(&arena);
    struct err *e = yaml_load(&arena, "penstock.yaml", text, len, false, &root);
    if (!e && root) {
        struct writer w = {s, out, true};
        put_node(&w, root, 0, false);
        w.add = false;
        put_node(&w, root, 0, false);
    }
    if (!e && s->full)
        e = err_new(ERR_LIMIT, "more than %d secrets", SCRUB_SECRETS_MAX);
    arena_fini(&arena);
    return e;
}
