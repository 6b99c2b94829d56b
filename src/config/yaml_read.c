/* Typed reads of YAML values: each error names the place, the key, and what was expected there. */
#include "config/yaml.h"

#include "base/nearest.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>

struct yaml_node *yaml_get(const struct yaml_node *mapping, const char *key)
{
    if (!mapping || mapping->kind != YAML_MAPPING)
        return NULL;
    for (uint32_t i = 0; i < mapping->count; i++)
        if (strcmp(mapping->pairs[i].key->text, key) == 0)
            return mapping->pairs[i].value;
    return NULL;
}

bool yaml_is_null(const struct yaml_node *n)
{
    return n->kind == YAML_SCALAR && n->plain && !n->secret &&
           (!*n->text || strcmp(n->text, "~") == 0 || strcmp(n->text, "null") == 0);
}

struct err *yaml_error(const struct yaml_node *at, const char *fmt, ...)
{
    char message[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(message, sizeof(message), fmt, ap);
    va_end(ap);
    return err_at(ERR_CONFIG, at->file, at->line, at->column, "%s", message);
}

/* "what: expected ..., found ..." */
static struct err *unexpected(const struct yaml_node *n, const char *what, const char *expected)
{
    if (n->kind != YAML_SCALAR)
        return yaml_error(n, "%s: expected %s, found a %s", what, expected,
                          n->kind == YAML_MAPPING ? "mapping" : "list");
    if (n->secret)
        return yaml_error(n, "%s: expected %s (the value comes from a variable and is not shown)", what,
                          expected);
    if (yaml_is_null(n))
        return yaml_error(n, "%s: expected %s, found nothing", what, expected);
    return yaml_error(n, "%s: expected %s, found \"%.*s\"", what, expected, TEXT_QUOTED_CSTR(n->text, 60));
}

struct err *yaml_string(const struct yaml_node *n, const char *what, const char **out)
{
    if (n->kind != YAML_SCALAR || yaml_is_null(n))
        return unexpected(n, what, "text");
    *out = n->text;
    return NULL;
}

struct err *yaml_int(const struct yaml_node *n, const char *what, int64_t min, int64_t max, int64_t *out)
{
    char expected[96];
    snprintf(expected, sizeof(expected), "a whole number from %lld to %lld", (long long)min, (long long)max);
    if (n->kind != YAML_SCALAR || !n->plain)
        return unexpected(n, what, expected);
    char *end;
    errno = 0;
    long long v = strtoll(n->text, &end, 10);
    if (end == n->text || *end || errno || isspace((unsigned char)*n->text) || v < min || v > max)
        return unexpected(n, what, expected);
    *out = v;
    return NULL;
}

struct err *yaml_bool(const struct yaml_node *n, const char *what, bool *out)
{
    if (n->kind == YAML_SCALAR && n->plain) {
        bool yes = strcmp(n->text, "true") == 0;
        if (yes || strcmp(n->text, "false") == 0) {
            *out = yes;
            return NULL;
        }
    }
    return unexpected(n, what, "true or false");
}

struct unit {
    const char *name;
    int64_t factor;
};

/* Digits at *at, moved past; false when there are none or too many. */
static bool digits(const char **at, int64_t *out)
{
    const char *s = *at;
    int64_t v = 0;
    while (isdigit((unsigned char)*s)) {
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, *s - '0', &v))
            return false;
        s++;
    }
    *out = v;
    bool any = s != *at;
    *at = s;
    return any;
}

static const struct unit *find_unit(const char *s, size_t len, const struct unit *units)
{
    for (; units->name; units++)
        if (strlen(units->name) == len && strncmp(units->name, s, len) == 0)
            return units;
    return NULL;
}

/* "1m30s" as a sum of numbers with units. */
static bool sum_of_units(const char *s, const struct unit *units, int64_t *out)
{
    int64_t total = 0;
    do {
        int64_t v = 0;
        if (!digits(&s, &v))
            return false;
        while (*s == ' ')
            s++;
        size_t len = 0;
        while (isalpha((unsigned char)s[len]))
            len++;
        const struct unit *u = find_unit(s, len, units);
        if (!u || __builtin_mul_overflow(v, u->factor, &v) || __builtin_add_overflow(total, v, &total))
            return false;
        s += len;
    } while (*s);
    *out = total;
    return true;
}

struct err *yaml_duration_us(const struct yaml_node *n, const char *what, int64_t *out)
{
    static const struct unit units[] = {{"us", 1},
                                        {"ms", 1000},
                                        {"s", 1000000},
                                        {"m", 60000000},
                                        {"min", 60000000},
                                        {"h", INT64_C(3600000000)},
                                        {"d", INT64_C(86400000000)},
                                        {NULL, 0}};
    if (n->kind == YAML_SCALAR && sum_of_units(n->text, units, out))
        return NULL;
    return unexpected(n, what, "a duration such as 5ms, 1s, 10m or 30d");
}

struct err *yaml_size_bytes(const struct yaml_node *n, const char *what, int64_t *out)
{
    static const struct unit units[] = {{"", 1},
                                        {"B", 1},
                                        {"KiB", 1 << 10},
                                        {"MiB", 1 << 20},
                                        {"GiB", 1 << 30},
                                        {"TiB", INT64_C(1) << 40},
                                        {"kB", 1000},
                                        {"KB", 1000},
                                        {"MB", 1000000},
                                        {"GB", 1000000000},
                                        {"TB", INT64_C(1000000000000)},
                                        {NULL, 0}};
    if (n->kind == YAML_SCALAR && sum_of_units(n->text, units, out))
        return NULL;
    return unexpected(n, what, "a size such as 16KiB, 64MiB or 1GB");
}

struct err *yaml_known_keys(const struct yaml_node *mapping, const char *what, const char *const *known)
{
    struct err *errs = NULL;
    for (uint32_t i = 0; i < mapping->count; i++) {
        const struct yaml_node *key = mapping->pairs[i].key;
        struct nearest near;
        bool found = false;
        nearest_init(&near, key->text);
        for (uint32_t k = 0; known[k]; k++) {
            found |= strcmp(known[k], key->text) == 0;
            nearest_offer(&near, known[k]);
        }
        if (found)
            continue;
        struct err *e = yaml_error(key, "%s: unknown key \"%.*s\"", what, TEXT_QUOTED_CSTR(key->text, 60));
        err_append(&errs, near.best ? err_hint(e, "did you mean %s?", near.best) : e);
    }
    return errs;
}
