/* See console_route.h. */
#include "serve/console_route.h"
#include "serve/out.h"

#include <string.h>

#define SHORT_S 20
#define LONG_S  900

#define JSON(method, path, words, flags)                                             \
    {                                                                                \
        method, path, words, flags, CONSOLE_IN_NONE, CONSOLE_OUT_JSON, SHORT_S, NULL \
    }
const struct console_route console_routes[] = {
    /* who one is */
    JSON("GET", "state", "claim --status --json", CONSOLE_OPEN),
    {"POST", "claim", "claim {code}", CONSOLE_OPEN | CONSOLE_TRY, CONSOLE_IN_JSON, CONSOLE_OUT_TEXT, SHORT_S,
     "password"},
    {"POST", "login", "login", CONSOLE_OPEN | CONSOLE_TRY | CONSOLE_LOGIN, CONSOLE_IN_JSON, CONSOLE_OUT_TEXT,
     SHORT_S, "password"},
    {"POST", "logout", "logout", CONSOLE_LOGOUT, CONSOLE_IN_NONE, CONSOLE_OUT_TEXT, SHORT_S, NULL},
    JSON("GET", "session", "time --json",
         0), /* whether the cookie's session holds: PID 1 looks before it runs anything */
    {"POST", "password", "password", CONSOLE_TRY, CONSOLE_IN_JSON, CONSOLE_OUT_TEXT, SHORT_S,
     "passwords"}, /* the present one and the new one, a line each */
    /* how it is */
    JSON("GET", "status", "status --json", 0),
    JSON("GET", "dataflow", "explain --json", 0),
    JSON("GET", "why", "why --json {api} {key0} [{key1}] [{key2}] [{key3}]", 0),
    {"GET", "logs", "logs -n {lines} [--unit {unit}]", 0, CONSOLE_IN_NONE, CONSOLE_OUT_TEXT, SHORT_S, NULL},
    {"GET", "support-bundle", "support-bundle", 0, CONSOLE_IN_NONE, CONSOLE_OUT_FILE, LONG_S,
     "penstock-support.tar"},
    /* its configuration */
    {"GET", "configuration", "configuration export", 0, CONSOLE_IN_NONE, CONSOLE_OUT_FILE, SHORT_S,
     "penstock-configuration.tar"},
    {"POST", "check", "check --json", 0, CONSOLE_IN_FILES, CONSOLE_OUT_LINES, LONG_S, NULL},
    {"POST", "apply", "apply --json [?breaking --breaking]", CONSOLE_FINISH, CONSOLE_IN_FILES,
     CONSOLE_OUT_LINES, LONG_S, NULL},
    {"POST", "revert", "apply --previous --json", CONSOLE_FINISH, CONSOLE_IN_NONE, CONSOLE_OUT_LINES, LONG_S,
     NULL},
    JSON("GET", "versions", "version list --json", 0),
    {"POST", "versions/{number}/switch", "version switch {number}", CONSOLE_FINISH, CONSOLE_IN_NONE,
     CONSOLE_OUT_TEXT, SHORT_S, NULL},
    {"POST", "versions/{number}/retire", "version retire {number}", CONSOLE_FINISH, CONSOLE_IN_NONE,
     CONSOLE_OUT_TEXT, SHORT_S, NULL},
    JSON("GET", "contract", "contract --json", 0),
    JSON("GET", "tokens", "token list --json", 0),
    {"POST", "tokens", "token create --role {role} [--ttl {ttl}] [--name {name}]", 0, CONSOLE_IN_JSON,
     CONSOLE_OUT_TEXT, SHORT_S, NULL},
    {"DELETE", "tokens/{id}", "token revoke {id}", 0, CONSOLE_IN_NONE, CONSOLE_OUT_TEXT, SHORT_S, NULL},
    /* how it is reached */
    JSON("GET", "certificate", "certificate show --json", 0),
    {"POST", "certificate/csr", "certificate csr [--name {name}]", 0, CONSOLE_IN_JSON, CONSOLE_OUT_TEXT,
     SHORT_S, NULL},
    {"POST", "certificate/install", "certificate install", CONSOLE_FINISH, CONSOLE_IN_JSON, CONSOLE_OUT_TEXT,
     SHORT_S, "pem"},
    {"POST", "certificate/self-signed", "certificate self-signed", CONSOLE_FINISH, CONSOLE_IN_NONE,
     CONSOLE_OUT_TEXT, SHORT_S, NULL},
    JSON("GET", "ssh-keys", "ssh-key list --json", 0),
    {"POST", "ssh-keys", "ssh-key add", 0, CONSOLE_IN_JSON, CONSOLE_OUT_TEXT, SHORT_S, "key"},
    {"DELETE", "ssh-keys", "ssh-key remove {fingerprint} [?force --force]", 0, CONSOLE_IN_NONE,
     CONSOLE_OUT_TEXT, SHORT_S, NULL},
    JSON("GET", "network", "network show --json", 0),
    {"PUT", "network", "network set", CONSOLE_FINISH, CONSOLE_IN_JSON, CONSOLE_OUT_TEXT, SHORT_S, "settings"},
    {"POST", "network/confirm", "network confirm", 0, CONSOLE_IN_NONE, CONSOLE_OUT_TEXT, SHORT_S, NULL},
    JSON("GET", "time", "time --json", 0),
    /* the box itself */
    JSON("GET", "slot", "slot --json", 0),
    {"POST", "upgrade", "upgrade", CONSOLE_FINISH | CONSOLE_TELL_OUT, CONSOLE_IN_STREAM, CONSOLE_OUT_LINES,
     3600, NULL},
    {"POST", "rollback", "rollback", CONSOLE_FINISH, CONSOLE_IN_NONE, CONSOLE_OUT_TEXT, SHORT_S, NULL},
    {"POST", "reboot", "reboot", CONSOLE_FINISH, CONSOLE_IN_NONE, CONSOLE_OUT_TEXT, SHORT_S, NULL},
    {"POST", "factory-reset", "factory-reset --yes {hostname}", CONSOLE_FINISH, CONSOLE_IN_JSON,
     CONSOLE_OUT_TEXT, SHORT_S, NULL},
};
const uint32_t console_route_count = ARRAY_COUNT(console_routes);

/* ---- fields ---- */

const struct console_field *console_field_find(const struct console_fields *f, const char *name,
                                               size_t name_len)
{
    for (uint32_t i = 0; i < f->count; i++)
        if (strlen(f->list[i].name) == name_len && memcmp(f->list[i].name, name, name_len) == 0)
            return &f->list[i];
    return NULL;
}

bool console_field_put(struct console_fields *f, const char *name, const char *value, size_t len)
{
    if (f->count == CONSOLE_FIELDS_MAX || console_field_find(f, name, strlen(name)))
        return false;
    f->list[f->count++] = (struct console_field){name, value, len};
    return true;
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* NULL: it is cut short, or has a NUL. */
static const char *decoded(struct arena *a, struct slice s, size_t *len)
{
    char *out = arena_alloc(a, s.len + 1);
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++) {
        char c = (char)s.p[i];
        if (c == '%') {
            int high = i + 2 < s.len ? hex_digit((char)s.p[i + 1]) : -1,
                low = high < 0 ? -1 : hex_digit((char)s.p[i + 2]);
            if (low < 0)
                return NULL;
            c = (char)(high << 4 | low);
            i += 2;
        } else if (c == '+') {
            c = ' ';
        }
        if (!c)
            return NULL;
        out[n++] = c;
    }
    out[n] = 0;
    *len = n;
    return out;
}

bool console_query(struct arena *a, const char *query, struct console_fields *f, struct problem *p)
{
    struct slice rest = slice_of(query ? query : "");
    while (rest.p && rest.len) {
        struct slice value = slice_cut(&rest, '&');
        struct slice name = slice_cut(&value, '=');
        size_t name_len, value_len = 0;
        const char *n = decoded(a, name, &name_len), *v = value.p ? decoded(a, value, &value_len) : "";
        if (!n || !v || !console_field_put(f, n, v, value_len))
            return problem_set(p, 400, "PENSTOCK_URL", "the query of this address cannot be read");
    }
    return true;
}

/* ---- routes ---- */

static bool path_matches(struct arena *a, const char *pattern, const char *path, struct console_fields *f)
{
    struct slice want = slice_of(pattern), have = slice_of(path);
    struct console_fields found = *f;
    for (;;) {
        struct slice w = slice_cut(&want, '/'), h = slice_cut(&have, '/');
        bool field = w.len > 2 && w.p[0] == '{';
        if (field ? h.len == 0 : !slice_eq(w, h))
            return false;
        if (field && !console_field_put(&found, arena_strndup(a, (const char *)w.p + 1, w.len - 2),
                                        arena_strndup(a, (const char *)h.p, h.len), h.len))
            return false;
        if (!want.p || !have.p)
            break;
    }
    if (want.p || have.p)
        return false;
    *f = found;
    return true;
}

const struct console_route *console_route_find(struct arena *a, const char *method, const char *path,
                                               struct console_fields *f, const char **allow,
                                               struct problem *p)
{
    const char *others = NULL;
    for (uint32_t i = 0; i < console_route_count; i++) {
        const struct console_route *r = &console_routes[i];
        struct console_fields with = *f;
        if (!path_matches(a, r->path, path, &with))
            continue;
        if (strcmp(r->method, method) == 0) {
            *f = with;
            return r;
        }
        others = others ? arena_printf(a, "%s, %s", others, r->method) : r->method;
    }
    *allow = others;
    if (others)
        problem_set(p, 405, "PENSTOCK_METHOD", "this is asked with %s", others);
    else
        problem_set(p, 404, "PENSTOCK_NOT_FOUND", "the console has nothing of this name");
    return NULL;
}

/* ---- words ---- */

static bool word_ok(const struct console_field *v)
{
    bool ok = v->len > 0 && v->len <= CONSOLE_WORD_BYTES && v->value[0] != '-' &&
              utf8_valid((const uint8_t *)v->value, v->len);
    for (size_t i = 0; i < v->len; i++)
        ok &= (unsigned char)v->value[i] >= ' ' && v->value[i] != 127;
    return ok;
}

/* One word of the row. 1: taken, 0: its field is not there, -1: p says why it cannot be one. */
static int take_word(struct arena *a, struct slice word, const struct console_fields *f, uint32_t *count,
                     char *words[CONSOLE_WORDS_MAX], struct problem *p)
{
    ASSERT(*count < CONSOLE_WORDS_MAX);
    if (word.p[0] == '?') {
        const struct console_field *said = console_field_find(f, (const char *)word.p + 1, word.len - 1);
        return said && said->len;
    }
    if (word.p[0] != '{') {
        words[(*count)++] = arena_strndup(a, (const char *)word.p, word.len);
        return 1;
    }
    const struct console_field *v = console_field_find(f, (const char *)word.p + 1, word.len - 2);
    if (!v || !v->len)
        return 0;
    if (!word_ok(v)) {
        problem_set(p, 400, "PENSTOCK_FIELD", "'%s' has a value that cannot be used", v->name);
        problem_hint(p, "At most %d bytes of text, without control characters, not beginning with a hyphen.",
                     CONSOLE_WORD_BYTES);
        return -1;
    }
    words[(*count)++] = arena_strndup(a, v->value, v->len);
    return 1;
}

/* Words up to the end of `text`. */
static int take_words(struct arena *a, struct slice text, const struct console_fields *f, uint32_t *count,
                      char *words[CONSOLE_WORDS_MAX], struct slice *missing, struct problem *p)
{
    while (text.p && text.len) {
        *missing = slice_cut(&text, ' ');
        int taken = missing->len ? take_word(a, *missing, f, count, words, p) : 1;
        if (taken <= 0)
            return taken;
    }
    return 1;
}

bool console_words(struct arena *a, const struct console_route *r, const struct console_fields *f,
                   uint32_t *count, char *words[CONSOLE_WORDS_MAX], struct problem *p)
{
    struct slice rest = slice_of(r->words);
    *count = 0;
    while (rest.p && rest.len) {
        struct slice plain = slice_cut(&rest, '['), missing = {0};
        struct slice optional = rest.p ? slice_cut(&rest, ']') : (struct slice){0};
        int taken = take_words(a, plain, f, count, words, &missing, p);
        if (taken == 0)
            return problem_set(p, 400, "PENSTOCK_FIELD", "'%.*s' is missing", (int)missing.len - 2,
                               (const char *)missing.p + 1);
        uint32_t before = *count;
        if (taken > 0)
            taken = take_words(a, optional, f, count, words, &missing, p);
        if (taken < 0)
            return false;
        if (taken == 0)
            *count = before;
    }
    return true;
}
