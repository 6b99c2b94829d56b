/* See console_request.h. */
#include "serve/console_request.h"
#include "base/text.h"
#include "serve/out.h"

#include <yyjson.h>

#define TAR_BLOCK 512

/* ---- cookies ---- */

bool console_token_ok(const char *text, size_t len)
{
    if (len != CONSOLE_TOKEN_BYTES)
        return false;
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
              c == '_'))
            return false;
    }
    return true;
}

void console_session(const char *cookies, char token[CONSOLE_TOKEN_BYTES + 1])
{
    struct slice rest = slice_of(cookies ? cookies : "");
    uint32_t found = 0;
    token[0] = 0;
    while (rest.p && rest.len) {
        struct slice value = slice_cut(&rest, ';');
        struct slice name = slice_trim(slice_cut(&value, '='));
        if (!slice_is(name, CONSOLE_COOKIE))
            continue;
        value = slice_trim(value);
        found++;
        if (found == 1 && console_token_ok((const char *)value.p, value.len)) {
            memcpy(token, value.p, value.len);
            token[value.len] = 0;
        }
    }
    if (found > 1)
        token[0] = 0;
}

/* ---- whose page ---- */

static bool same_origin(const char *origin, const char *host)
{
    static const char scheme[] = "https://";
    return host && strncmp(origin, scheme, sizeof scheme - 1) == 0 &&
           slice_is_nocase(slice_of(origin + sizeof scheme - 1), host);
}

bool console_own_page(const struct console_marks *m, struct problem *p)
{
    bool changes = strcmp(m->method, "GET") != 0;
    bool foreign = (m->origin && !same_origin(m->origin, m->host)) ||
                   (m->fetch_site && strcmp(m->fetch_site, "same-origin") != 0 &&
                    (changes || strcmp(m->fetch_site, "none") != 0));
    bool marked = m->mark && strcmp(m->mark, "1") == 0;
    if (!foreign && (!changes || marked))
        return true;
    problem_set(p, 403, "PENSTOCK_CONSOLE_ORIGIN",
                foreign ? "this request comes from another site's page"
                        : "this request does not come from the console");
    return problem_hint(p,
                        "Requests of the console carry X-Penstock-Console: 1, and no other site's Origin.");
}

/* ---- JSON ---- */

static yyjson_doc *read_object(const uint8_t *p, size_t len, struct problem *problem)
{
    yyjson_read_err wrong;
    yyjson_doc *d = yyjson_read_opts((char *)(uintptr_t)p, len, 0, NULL, &wrong);
    if (d && yyjson_is_obj(yyjson_doc_get_root(d)))
        return d;
    if (d)
        problem_set(problem, 400, "PENSTOCK_JSON", "the request's body is no JSON object");
    else
        problem_set(problem, 400, "PENSTOCK_JSON", "the request's body is no JSON: %s at byte %zu", wrong.msg,
                    wrong.pos);
    yyjson_doc_free(d);
    return NULL;
}

static const char *member(struct arena *a, yyjson_val *v, size_t *len)
{
    if (yyjson_is_str(v)) {
        *len = yyjson_get_len(v);
        return memchr(yyjson_get_str(v), 0, *len) ? NULL : arena_strndup(a, yyjson_get_str(v), *len);
    }
    const char *text =
        yyjson_is_uint(v) ? arena_printf(a, "%llu", (unsigned long long)yyjson_get_uint(v)) : NULL;
    *len = text ? strlen(text) : 0;
    return text;
}

bool console_json(struct arena *a, const uint8_t *p, size_t len, struct console_fields *f,
                  struct problem *problem)
{
    yyjson_doc *d = read_object(p, len, problem);
    size_t i, count;
    yyjson_val *k, *v;
    bool ok = true;
    if (!d)
        return false;
    yyjson_obj_foreach(yyjson_doc_get_root(d), i, count, k, v)
    {
        size_t name_len, value_len = 0;
        const char *name = member(a, k, &name_len),
                   *value = name && !yyjson_is_null(v) ? member(a, v, &value_len) : NULL;
        if (name && yyjson_is_null(v)) /* as if it were not there */
            continue;
        ok = ok && value && console_field_put(f, name, value, value_len);
    }
    yyjson_doc_free(d);
    return ok ||
           problem_set(
               problem, 400, "PENSTOCK_FIELD",
               "the members of the request's JSON are at most %d different ones, texts or whole numbers",
               CONSOLE_FIELDS_MAX);
}

/* ---- a configuration's files ---- */

static bool name_ok(const char *name, size_t len)
{
    bool ok = len > 0 && len <= CONSOLE_FILE_NAME_BYTES;
    size_t part = 0;
    for (size_t i = 0; ok && i <= len; i++) {
        char c = i < len ? name[i] : '/';
        if (c != '/') {
            ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
                 c == '-' || c == '_';
            part++;
            continue;
        }
        const char *from = name + i - part;
        ok =
            part > 0 && from[0] != '.' && from[0] != '-'; /* no . and no .., no hidden files, nothing empty */
        part = 0;
    }
    return ok;
}

static void tar_octal(uint8_t *at, size_t digits, uint64_t v)
{
    for (size_t i = digits; i-- > 0; v >>= 3)
        at[i] = (uint8_t)('0' + (v & 7));
}

/* POSIX.1-1988, ustar. */
static void tar_put(struct buf *tar, const char *name, size_t name_len, const char *text, size_t len)
{
    uint8_t *h = buf_room(tar, TAR_BLOCK);
    uint64_t sum = 0;
    memset(h, 0, TAR_BLOCK);
    memcpy(h, name, name_len);
    tar_octal(h + 100, 7, 0640);
    tar_octal(h + 108, 7, 0);
    tar_octal(h + 116, 7, 0);
    tar_octal(h + 124, 11, len);
    tar_octal(h + 136, 11, 0);
    memset(h + 148, ' ', 8);
    h[156] = '0';
    memcpy(h + 257, "ustar\00000", 8);
    for (int i = 0; i < TAR_BLOCK; i++)
        sum += h[i];
    tar_octal(h + 148, 6, sum);
    h[154] = 0;
    tar->len += TAR_BLOCK;
    buf_put(tar, text, len);
    size_t over = len % TAR_BLOCK, pad = over ? TAR_BLOCK - over : 0;
    memset(buf_room(tar, pad), 0, pad);
    tar->len += pad;
}

static bool put_file(struct buf *tar, yyjson_val *name, yyjson_val *text, struct problem *p)
{
    const char *n = yyjson_get_str(name);
    if (!name_ok(n, yyjson_get_len(name)))
        return problem_set(p, 400, "PENSTOCK_FILE", "a file cannot be called '%.*s'",
                           TEXT_QUOTED_CSTR(n, 100)) ||
               problem_hint(p,
                            "Names are letters, digits, '.', '-' and '_', at most %d bytes; folders are "
                            "parted by '/'.",
                            CONSOLE_FILE_NAME_BYTES);
    if (!yyjson_is_str(text))
        return problem_set(p, 400, "PENSTOCK_FILE", "the file '%s' has no text", n);
    tar_put(tar, n, yyjson_get_len(name), yyjson_get_str(text), yyjson_get_len(text));
    return true;
}

bool console_files(const uint8_t *p, size_t len, struct buf *tar, struct problem *problem)
{
    yyjson_doc *d = read_object(p, len, problem);
    yyjson_val *files = d ? yyjson_obj_get(yyjson_doc_get_root(d), "files") : NULL, *k, *v;
    size_t i, count = yyjson_obj_size(files);
    bool ok = d != NULL;
    if (ok && (count == 0 || count > CONSOLE_FILES_MAX))
        ok = problem_set(problem, 400, "PENSTOCK_FILE", "\"files\" is an object of 1 to %d files",
                         CONSOLE_FILES_MAX);
    if (ok)
        yyjson_obj_foreach(files, i, count, k, v) ok = ok && put_file(tar, k, v, problem);
    memset(buf_room(tar, (size_t)2 * TAR_BLOCK), 0, (size_t)2 * TAR_BLOCK);
    tar->len += (size_t)2 * TAR_BLOCK;
    yyjson_doc_free(d);
    return ok;
}

/* ---- what a command says ---- */

char *console_text(struct arena *a, const uint8_t *p, size_t len)
{
    char *out = arena_strndup(a, (const char *)p, len);
    bool whole = utf8_valid((const uint8_t *)out, len);
    for (size_t i = 0; i < len; i++)
        if (!out[i] || (!whole && (unsigned char)out[i] >= 128))
            out[i] = '?';
    return out;
}

static bool cut_prefix(struct slice *s, const char *prefix)
{
    size_t n = strlen(prefix);
    if (s->len < n || memcmp(s->p, prefix, n) != 0)
        return false;
    *s = (struct slice){s->p + n, s->len - n};
    return true;
}

/* The last error is the one that ended it; a hint belongs to the line before. */
struct console_said console_said(struct arena *a, const uint8_t *p, size_t len)
{
    struct console_said said = {0};
    struct slice rest = {p, len}, last = {0};
    while (rest.p && rest.len) {
        struct slice line = slice_cut(&rest, '\n');
        if (line.len)
            last = line;
        if (cut_prefix(&line, "penstock: "))
            said = (struct console_said){console_text(a, line.p, line.len), NULL};
        else if (said.text && !said.hint && cut_prefix(&line, "  hint: "))
            said.hint = console_text(a, line.p, line.len);
    }
    if (!said.text && last.len)
        said.text = console_text(a, last.p, last.len);
    return said;
}
