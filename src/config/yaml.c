/* YAML into a tree with places, through libyaml's event parser; see yaml.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "config/yaml.h"

#include "base/buf.h"
#include "base/nearest.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <yaml.h>

#define SECRET_FILE_BYTES_MAX 65536

struct reader {
    struct arena *arena;
    const char *file;
    bool substitute;
    yaml_parser_t parser;
    yaml_event_t event;
    bool has_event;
    int depth;
};

static struct err *error_at(const struct reader *r, yaml_mark_t at, const char *what)
{
    return err_at(ERR_CONFIG, r->file, (int)at.line + 1, (int)at.column + 1, "%s", what);
}

static struct err *next_event(struct reader *r)
{
    if (r->has_event)
        yaml_event_delete(&r->event);
    r->has_event = false;
    if (!yaml_parser_parse(&r->parser, &r->event)) {
        yaml_mark_t at = r->parser.problem_mark;
        if (r->parser.error == YAML_READER_ERROR)
            return err_at(ERR_CONFIG, r->file, (int)at.line + 1, (int)at.column + 1, "not valid UTF-8 text: %s",
                          r->parser.problem ? r->parser.problem : "cannot be read");
        return error_at(r, at, r->parser.problem ? r->parser.problem : "not valid YAML");
    }
    r->has_event = true;
    return NULL;
}

/* ---- ${...} ---- */

static struct err *read_secret_file(struct yaml_node *at, const char *path, struct buf *out)
{
    FILE *f = fopen(path, "re");
    if (!f)
        return err_at(ERR_CONFIG, at->file, at->line, at->column, "cannot read %s: %s", path, strerror(errno));
    uint8_t *room = buf_room(out, SECRET_FILE_BYTES_MAX);
    size_t n = fread(room, 1, SECRET_FILE_BYTES_MAX, f);
    fclose(f);
    while (n && (room[n - 1] == '\n' || room[n - 1] == '\r'))
        n--; /* an editor's last line end is not part of the secret */
    out->len += n;
    return NULL;
}

static bool is_name(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!isalnum((unsigned char)s[i]) && s[i] != '_')
            return false;
    return len > 0 && !isdigit((unsigned char)s[0]);
}

/* What stands between ${ and }. */
static struct err *put_variable(struct reader *r, struct yaml_node *n, const char *text, size_t len, struct buf *out)
{
    char *inner = arena_strndup(r->arena, text, len);
    if (strncmp(inner, "file:", 5) == 0)
        return read_secret_file(n, inner + 5, out);
    char *fallback = strstr(inner, ":-");
    size_t name_len = fallback ? (size_t)(fallback - inner) : len;
    if (!is_name(inner, name_len))
        return err_hint(yaml_error(n, "${%s}: not a variable name", inner),
                        "write ${NAME}, ${NAME:-default} or ${file:/path}; $${ for a literal ${");
    inner[name_len] = 0;
    const char *value = getenv(inner);
    if ((!value || !*value) && fallback)
        value = fallback + 2;
    if (!value)
        return err_hint(yaml_error(n, "the environment variable %s is not set", inner),
                        "set it, or give a default: ${%s:-default}", inner);
    buf_put_str(out, value);
    return NULL;
}

static struct err *expand(struct reader *r, struct yaml_node *n, struct buf *out)
{
    for (const char *p = n->text; *p;) {
        if (strncmp(p, "$${", 3) == 0) {
            buf_put_str(out, "${");
            p += 3;
        } else if (strncmp(p, "${", 2) == 0) {
            const char *end = strchr(p, '}');
            if (!end)
                return yaml_error(n, "${ without }");
            n->secret = true;
            TRY(put_variable(r, n, p + 2, (size_t)(end - p - 2), out));
            p = end + 1;
        } else {
            buf_put_u8(out, (uint8_t)*p++);
        }
    }
    return NULL;
}

static struct err *substitute(struct reader *r, struct yaml_node *n)
{
    if (!r->substitute || !strstr(n->text, "${"))
        return NULL;
    struct buf b = {0};
    struct err *e = expand(r, n, &b);
    if (!e)
        n->text = arena_strndup(r->arena, b.p ? (const char *)b.p : "", b.len);
    buf_fini(&b);
    return e;
}

/* ---- the tree ---- */

static struct err *read_node(struct reader *r, struct yaml_node **out);

static struct yaml_node *node_new(struct reader *r, enum yaml_kind kind)
{
    struct yaml_node *n = ARENA_NEW(r->arena, struct yaml_node);
    n->kind = kind;
    n->line = (int)r->event.start_mark.line + 1;
    n->column = (int)r->event.start_mark.column + 1;
    n->file = r->file;
    return n;
}

static struct err *read_scalar(struct reader *r, struct yaml_node **out)
{
    struct yaml_node *n = node_new(r, YAML_SCALAR);
    const char *value = (const char *)r->event.data.scalar.value;
    size_t len = r->event.data.scalar.length;
    if (memchr(value, 0, len))
        return error_at(r, r->event.start_mark, "a text may not hold a NUL character");
    n->text = arena_strndup(r->arena, value, len);
    n->plain = r->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    *out = n;
    return substitute(r, n);
}

static struct err *read_sequence(struct reader *r, struct yaml_node **out)
{
    struct yaml_node *n = node_new(r, YAML_SEQUENCE);
    uint32_t capacity = 0;
    for (;;) {
        TRY(next_event(r));
        if (r->event.type == YAML_SEQUENCE_END_EVENT)
            break;
        if (n->count == capacity) {
            capacity = capacity ? capacity * 2 : 4;
            struct yaml_node **grown = ARENA_ARRAY(r->arena, struct yaml_node *, capacity);
            memcpy(grown, n->items, n->count * sizeof *grown);
            n->items = grown;
        }
        TRY(read_node(r, &n->items[n->count]));
        n->count++;
    }
    *out = n;
    return NULL;
}

static struct err *check_key(const struct yaml_node *n, const struct yaml_node *key)
{
    if (key->kind != YAML_SCALAR)
        return yaml_error(key, "a key must be a plain text");
    const struct yaml_node *twice = yaml_get(n, key->text);
    return twice ? yaml_error(key, "'%s' stands here twice", key->text) : NULL;
}

static struct err *read_mapping(struct reader *r, struct yaml_node **out)
{
    struct yaml_node *n = node_new(r, YAML_MAPPING);
    uint32_t capacity = 0;
    for (;;) {
        TRY(next_event(r));
        if (r->event.type == YAML_MAPPING_END_EVENT)
            break;
        struct yaml_pair pair;
        TRY(read_node(r, &pair.key));
        TRY(check_key(n, pair.key));
        TRY(next_event(r));
        TRY(read_node(r, &pair.value));
        if (n->count == capacity) {
            capacity = capacity ? capacity * 2 : 4;
            struct yaml_pair *grown = ARENA_ARRAY(r->arena, struct yaml_pair, capacity);
            memcpy(grown, n->pairs, n->count * sizeof *grown);
            n->pairs = grown;
        }
        n->pairs[n->count++] = pair;
    }
    *out = n;
    return NULL;
}

/* The node that the current event begins. */
static struct err *read_node(struct reader *r, struct yaml_node **out)
{
    if (r->depth >= YAML_DEPTH_MAX)
        return error_at(r, r->event.start_mark, "nested too deeply");
    r->depth++;
    struct err *e;
    switch (r->event.type) {
    case YAML_SCALAR_EVENT: e = read_scalar(r, out); break;
    case YAML_SEQUENCE_START_EVENT: e = read_sequence(r, out); break;
    case YAML_MAPPING_START_EVENT: e = read_mapping(r, out); break;
    case YAML_ALIAS_EVENT: e = error_at(r, r->event.start_mark, "aliases (*name) are not supported"); break;
    default: e = error_at(r, r->event.start_mark, "a value is missing here"); break;
    }
    r->depth--;
    return e;
}

static struct err *read_document(struct reader *r, struct yaml_node **out)
{
    TRY(next_event(r)); /* stream start */
    TRY(next_event(r));
    if (r->event.type == YAML_STREAM_END_EVENT)
        return err_at(ERR_CONFIG, r->file, 1, 1, "the file is empty");
    TRY(next_event(r)); /* after document start */
    TRY(read_node(r, out));
    TRY(next_event(r)); /* document end */
    TRY(next_event(r));
    if (r->event.type != YAML_STREAM_END_EVENT)
        return error_at(r, r->event.start_mark, "more than one document");
    return NULL;
}

struct err *yaml_load(struct arena *arena, const char *file, const char *text, size_t len, bool do_substitute,
                      struct yaml_node **out)
{
    if (len > YAML_BYTES_MAX)
        return err_at(ERR_LIMIT, file, 1, 1, "larger than %u bytes", YAML_BYTES_MAX);
    struct reader r = {.arena = arena, .file = file, .substitute = do_substitute};
    if (!yaml_parser_initialize(&r.parser))
        PANIC("out of memory");
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, len);
    struct err *e = read_document(&r, out);
    if (r.has_event)
        yaml_event_delete(&r.event);
    yaml_parser_delete(&r.parser);
    return e;
}

struct yaml_node *yaml_get(const struct yaml_node *mapping, const char *key)
{
    if (!mapping || mapping->kind != YAML_MAPPING)
        return NULL;
    for (uint32_t i = 0; i < mapping->count; i++)
        if (strcmp(mapping->pairs[i].key->text, key) == 0)
            return mapping->pairs[i].value;
    return NULL;
}

struct err *yaml_error(const struct yaml_node *at, const char *fmt, ...)
{
    char *text = NULL;
    va_list args;
    va_start(args, fmt);
    if (vasprintf(&text, fmt, args) < 0)
        PANIC("out of memory");
    va_end(args);
    struct err *e = err_at(ERR_CONFIG, at->file, at->line, at->column, "%s", text);
    free(text);
    return e;
}

/* ---- typed reads ---- */

/* What stands there, for messages; secrets and structures are not shown. */
static const char *shown(const struct yaml_node *n, char *out, size_t size)
{
    if (n->kind == YAML_SEQUENCE)
        return "a list";
    if (n->kind == YAML_MAPPING)
        return "a mapping";
    if (n->secret)
        return "a substituted value";
    snprintf(out, size, "'%.60s'", n->text);
    return out;
}

static struct err *expected(const struct yaml_node *n, const char *what, const char *type)
{
    char text[80];
    return yaml_error(n, "%s: expected %s, not %s", what, type, shown(n, text, sizeof text));
}

struct err *yaml_string(const struct yaml_node *n, const char *what, const char **out)
{
    if (n->kind != YAML_SCALAR)
        return expected(n, what, "a text");
    *out = n->text;
    return NULL;
}

struct err *yaml_int(const struct yaml_node *n, const char *what, int64_t min, int64_t max, int64_t *out)
{
    char *end = NULL;
    errno = 0;
    int64_t v = n->kind == YAML_SCALAR ? strtoll(n->text, &end, 10) : 0;
    if (n->kind != YAML_SCALAR || end == n->text || *end || errno)
        return expected(n, what, "a whole number");
    if (v < min || v > max)
        return yaml_error(n, "%s: %lld is out of range: %lld to %lld", what, (long long)v, (long long)min,
                          (long long)max);
    *out = v;
    return NULL;
}

struct err *yaml_bool(const struct yaml_node *n, const char *what, bool *out)
{
    if (n->kind == YAML_SCALAR && (strcmp(n->text, "true") == 0 || strcmp(n->text, "false") == 0)) {
        *out = n->text[0] == 't';
        return NULL;
    }
    return expected(n, what, "true or false");
}

struct unit {
    const char *name;
    double factor;
};

static bool read_with_unit(const struct yaml_node *n, const struct unit *units, size_t count, int64_t *out)
{
    char *end;
    if (n->kind != YAML_SCALAR || !isdigit((unsigned char)n->text[0]))
        return false;
    double v = strtod(n->text, &end);
    while (*end == ' ')
        end++;
    for (size_t i = 0; i < count; i++)
        if (strcmp(end, units[i].name) == 0 && v * units[i].factor < 9e18) {
            *out = (int64_t)llround(v * units[i].factor);
            return true;
        }
    return false;
}

struct err *yaml_duration_us(const struct yaml_node *n, const char *what, int64_t *out)
{
    static const struct unit units[] = {{"us", 1}, {"ms", 1e3}, {"s", 1e6}, {"min", 60e6}, {"m", 60e6},
                                        {"h", 3600e6}, {"d", 86400e6}};
    if (read_with_unit(n, units, ARRAY_COUNT(units), out))
        return NULL;
    return expected(n, what, "a duration such as 5ms, 1s, 10min, 1h or 30d");
}

struct err *yaml_size_bytes(const struct yaml_node *n, const char *what, int64_t *out)
{
    static const struct unit units[] = {{"", 1}, {"B", 1}, {"kB", 1e3}, {"KB", 1e3}, {"KiB", 1024}, {"MB", 1e6},
                                        {"MiB", 1048576}, {"GB", 1e9}, {"GiB", 1073741824.0}};
    if (read_with_unit(n, units, ARRAY_COUNT(units), out))
        return NULL;
    return expected(n, what, "a size such as 64KiB, 128MiB or 1GB");
}

static struct err *unknown_key(const struct yaml_node *key, const char *what, const char *const *known)
{
    struct nearest n;
    struct buf list = {0};
    nearest_init(&n, key->text);
    for (size_t i = 0; known[i]; i++) {
        nearest_offer(&n, known[i]);
        buf_printf(&list, "%s%s", i ? ", " : "", known[i]);
    }
    struct err *e = yaml_error(key, "%s: unknown key '%s'", what, key->text);
    e = n.best ? err_hint(e, "did you mean '%s'?", n.best) : err_hint(e, "known: %.*s", (int)list.len, list.p);
    buf_fini(&list);
    return e;
}

struct err *yaml_known_keys(const struct yaml_node *mapping, const char *what, const char *const *known)
{
    if (mapping->kind != YAML_MAPPING)
        return expected(mapping, what, "a mapping (key: value lines)");
    struct err *errors = NULL;
    for (uint32_t i = 0; i < mapping->count; i++) {
        const struct yaml_node *key = mapping->pairs[i].key;
        size_t k = 0;
        while (known[k] && strcmp(known[k], key->text) != 0)
            k++;
        if (!known[k])
            err_append(&errors, unknown_key(key, what, known));
    }
    return errors;
}
