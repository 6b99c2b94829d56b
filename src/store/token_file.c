/* DATA/tokens; see token_file.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "store/token_file.h"
#include "store/small_file.h"

#include <errno.h>
#include <fcntl.h>
#include <mbedtls/platform_util.h>
#include <mbedtls/sha256.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <unistd.h>
#include <yyjson.h>

#define TOKEN_FILE_FORMAT 1
#define RANDOM_BYTES      32

void token_hash(const void *text, size_t len, uint8_t hash[TOKEN_HASH_BYTES])
{
    if (mbedtls_sha256(text, len, hash, 0))
        PANIC("SHA-256 failed");
}

/* 32 bytes as 43 characters: the last stands for 4 bits. */
static void base64url(const uint8_t p[RANDOM_BYTES], char *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint32_t bits = 0;
    int have = 0;
    for (int i = 0; i < RANDOM_BYTES; i++) {
        bits = bits << 8 | p[i];
        for (have += 8; have >= 6; have -= 6)
            *out++ = digits[bits >> (have - 6) & 63];
    }
    *out++ = digits[bits << (6 - have) & 63];
    *out = 0;
}

struct err *token_make(char text[TOKEN_TEXT_BYTES + 1], uint8_t hash[TOKEN_HASH_BYTES])
{
    uint8_t random[RANDOM_BYTES];
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
        return err_errno(ERR_IO, "cannot get random numbers");
    memcpy(text, TOKEN_PREFIX, sizeof TOKEN_PREFIX - 1);
    base64url(random, text + sizeof TOKEN_PREFIX - 1);
    mbedtls_platform_zeroize(random, sizeof random);
    token_hash(text, TOKEN_TEXT_BYTES, hash);
    return NULL;
}

/* ---- writing ---- */

static void put_hex(char *out, const uint8_t *p, size_t n)
{
    static const char hex[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        *out++ = hex[p[i] >> 4];
        *out++ = hex[p[i] & 15];
    }
    *out = 0;
}

static void put_token(yyjson_mut_doc *d, yyjson_mut_val *o, const struct token *t)
{
    char hash[2 * TOKEN_HASH_BYTES + 1];
    put_hex(hash, t->hash, TOKEN_HASH_BYTES);
    yyjson_mut_obj_add_uint(d, o, "id", t->id);
    yyjson_mut_obj_add_strcpy(d, o, "sha256", hash);
    yyjson_mut_obj_add_str(d, o, "role", t->role);
    yyjson_mut_obj_add_str(d, o, "name", t->name);
    yyjson_mut_val *claims = yyjson_mut_obj_add_obj(d, o, "claims");
    for (uint32_t i = 0; i < t->claim_count; i++)
        yyjson_mut_obj_add_str(d, claims, t->claims[i].name, t->claims[i].value);
    yyjson_mut_obj_add_sint(d, o, "created", t->created_s);
    if (t->expires_s != INT64_MAX)
        yyjson_mut_obj_add_sint(d, o, "expires", t->expires_s);
}

struct err *token_file_save(const struct token_file *f, const char *dir)
{
    size_t len;
    yyjson_mut_doc *d = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(d);
    yyjson_mut_doc_set_root(d, root);
    yyjson_mut_obj_add_uint(d, root, "format", TOKEN_FILE_FORMAT);
    yyjson_mut_obj_add_uint(d, root, "next_id", f->next_id);
    yyjson_mut_val *tokens = yyjson_mut_obj_add_arr(d, root, "tokens");
    for (uint32_t i = 0; i < f->token_count; i++)
        put_token(d, yyjson_mut_arr_add_obj(d, tokens), &f->tokens[i]);
    char *text = yyjson_mut_write(d, YYJSON_WRITE_PRETTY, &len);
    yyjson_mut_doc_free(d);
    if (!text)
        return err_new(ERR_CONFIG, "tokens: a name or a claim is no UTF-8");
    struct err *e = small_file_replace(dir, TOKEN_FILE, text, len);
    free(text);
    return e;
}

/* ---- reading: one surprise refuses the file ---- */

struct loader {
    struct arena *arena;
    bool bad;
};

static const char *get_text(struct loader *l, yyjson_val *v, size_t most)
{
    const char *s = yyjson_get_str(v);
    size_t len = yyjson_get_len(v);
    if (!s || len > most || memchr(s, 0, len)) {
        l->bad = true;
        return "";
    }
    return arena_strndup(l->arena, s, len);
}

static int64_t get_time(struct loader *l, yyjson_val *v)
{
    if (!yyjson_is_int(v) || yyjson_get_sint(v) < 0)
        l->bad = true;
    return yyjson_get_sint(v);
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void get_hash(struct loader *l, yyjson_val *v, uint8_t out[TOKEN_HASH_BYTES])
{
    const char *s = yyjson_get_str(v);
    l->bad |= !s || yyjson_get_len(v) != 2 * TOKEN_HASH_BYTES;
    for (size_t i = 0; !l->bad && i < TOKEN_HASH_BYTES; i++) {
        int high = hex_digit(s[2 * i]), low = hex_digit(s[2 * i + 1]);
        l->bad |= high < 0 || low < 0;
        out[i] = (uint8_t)((unsigned)high << 4 | (unsigned)low);
    }
}

static void get_claims(struct loader *l, yyjson_val *o, struct token *t)
{
    size_t i, n;
    yyjson_val *k, *v;
    if (!yyjson_is_obj(o) || yyjson_obj_size(o) > TOKEN_CLAIMS_MAX) {
        l->bad = true;
        return;
    }
    t->claims = ARENA_ARRAY(l->arena, struct token_claim, yyjson_obj_size(o) + 1);
    yyjson_obj_foreach(o, i, n, k, v) t->claims[t->claim_count++] =
        (struct token_claim){get_text(l, k, TOKEN_CLAIM_BYTES_MAX), get_text(l, v, TOKEN_CLAIM_BYTES_MAX)};
}

static void get_token(struct loader *l, yyjson_val *o, struct token *t)
{
    yyjson_val *expires = yyjson_obj_get(o, "expires");
    l->bad |= !yyjson_is_uint(yyjson_obj_get(o, "id"));
    t->id = yyjson_get_uint(yyjson_obj_get(o, "id"));
    get_hash(l, yyjson_obj_get(o, "sha256"), t->hash);
    t->role = get_text(l, yyjson_obj_get(o, "role"), TOKEN_NAME_BYTES_MAX);
    t->name = get_text(l, yyjson_obj_get(o, "name"), TOKEN_NAME_BYTES_MAX);
    get_claims(l, yyjson_obj_get(o, "claims"), t);
    t->created_s = get_time(l, yyjson_obj_get(o, "created"));
    t->expires_s = expires ? get_time(l, expires) : INT64_MAX;
}

static void get_file(struct loader *l, yyjson_val *root, struct token_file *f)
{
    yyjson_val *tokens = yyjson_obj_get(root, "tokens"), *v;
    size_t i, n;
    l->bad |= yyjson_get_uint(yyjson_obj_get(root, "format")) != TOKEN_FILE_FORMAT ||
              !yyjson_is_arr(tokens) || yyjson_arr_size(tokens) > TOKENS_MAX ||
              !yyjson_is_uint(yyjson_obj_get(root, "next_id"));
    if (l->bad)
        return;
    f->next_id = yyjson_get_uint(yyjson_obj_get(root, "next_id"));
    f->tokens = ARENA_ARRAY(l->arena, struct token, yyjson_arr_size(tokens) + 1); /* room for a new one */
    yyjson_arr_foreach(tokens, i, n, v)
    {
        if (l->bad)
            break;
        get_token(l, v, &f->tokens[i]);
        l->bad |= (i && f->tokens[i].id <= f->tokens[i - 1].id) || f->tokens[i].id >= f->next_id;
        f->token_count++;
    }
}

static struct token_file *empty(void)
{
    struct token_file *f = xcalloc(1, sizeof *f);
    arena_init(&f->arena);
    f->next_id = 1;
    f->tokens = ARENA_ARRAY(&f->arena, struct token, 1);
    return f;
}

struct err *token_file_parse(const char *text, size_t len, struct token_file **out)
{
    yyjson_doc *d = yyjson_read(text, len, 0);
    struct token_file *f = empty();
    struct loader l = {.arena = &f->arena};
    get_file(&l, yyjson_doc_get_root(d), f);
    yyjson_doc_free(d);
    *out = f;
    if (!l.bad)
        return NULL;
    token_file_free(f);
    *out = NULL;
    return err_new(ERR_CORRUPT, TOKEN_FILE ": the file is not as it was written");
}

struct err *token_file_load(const char *dir, struct token_file **out)
{
    char *path = xprintf("%s/" TOKEN_FILE, dir), *text;
    size_t len;
    struct err *e = small_file_read(path, TOKEN_FILE_BYTES_MAX, &text, &len);
    *out = NULL;
    free(path);
    if (e)
        return e;
    if (!text) {
        *out = empty();
        return NULL;
    }
    e = token_file_parse(text, len, out);
    free(text);
    return e;
}

void token_file_free(struct token_file *f)
{
    if (!f)
        return;
    arena_fini(&f->arena);
    free(f);
}

/* The lock goes with the process: nobody has to let it go. */
struct err *token_file_lock(const char *dir)
{
    char *path = xprintf("%s/" TOKEN_FILE ".lock", dir);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    struct err *e = fd < 0 || flock(fd, LOCK_EX) ? err_errno(ERR_IO, "cannot lock %s", path) : NULL;
    if (e && fd >= 0)
        close(fd);
    free(path);
    return e;
}
