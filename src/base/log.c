/* Log lines: one write(2) each, so lines of several processes do not mix. */
#include "base/log.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/text.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#define LOG_LINE_MAX 4096 /* a longer line is cut */

static enum log_level log_least = LOG_INFO;
static enum log_format log_as = LOG_FORMAT_TEXT;
static char log_process[32];
static const char *const level_names[] = {"debug", "info", "warn", "error"};

/* Ends a pair while a line is put together. Of the process's own choice, as values hold what others choose. */
#define PAIR_END_BYTES 9
static char pair_end[PAIR_END_BYTES + 1] = "\x1f--------";

static void choose_pair_end(void)
{
    unsigned char bytes[PAIR_END_BYTES - 1];
    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
        return;
    for (size_t i = 0; i < sizeof bytes; i++)
        pair_end[i + 1] = (char)('A' + (bytes[i] & 31));
}

void log_setup(enum log_level least, enum log_format format, const char *process_name)
{
    choose_pair_end();
    log_least = least;
    log_as = format;
    snprintf(log_process, sizeof log_process, "%s", process_name);
}

#define X(id, name, fields, meaning) name,
static const char *const event_names[] = {NULL, EVENTS(X)};
#undef X

const char *event_name(enum log_event event)
{
    return event < EVENT_COUNT ? event_names[event] : NULL;
}

/* ---- repeats ---- */

#define REPEAT_SLOTS \
    512 /* events and subjects that are told apart; one that comes into another's slot begins anew */
struct repeat {
    uint64_t key;
    int64_t since_us;
    unsigned count, dropped;
};
static struct repeat repeats[REPEAT_SLOTS];
static pthread_mutex_t repeats_lock = PTHREAD_MUTEX_INITIALIZER;

/* False: not to be written. *dropped: lines before this one that were not. */
static bool may_write(enum log_event event, const char *pairs, unsigned *dropped)
{
    const char *end = strstr(pairs, pair_end);
    uint64_t key =
        hash_bytes(pairs, end ? (size_t)(end - pairs) : strlen(pairs)) + event * UINT64_C(0x9e3779b97f4a7c15);
    struct repeat *r = &repeats[key % REPEAT_SLOTS];
    int64_t now = steady_us();
    pthread_mutex_lock(&repeats_lock);
    if (r->key != key || now - r->since_us > LOG_REPEATS_S * INT64_C(1000000)) {
        *dropped = r->key == key ? r->dropped : 0;
        *r = (struct repeat){.key = key, .since_us = now};
    } else {
        *dropped = 0;
    }
    bool write = r->count++ < LOG_REPEATS_MAX;
    r->dropped += !write;
    pthread_mutex_unlock(&repeats_lock);
    return write;
}

/* ---- lines ---- */

bool log_is_json(void)
{
    return log_as == LOG_FORMAT_JSON;
}

struct line {
    char text[LOG_LINE_MAX];
    size_t len;
};

static void put_char(struct line *l, char c)
{
    if (l->len < sizeof l->text - 2)
        l->text[l->len++] = c;
}

/* Values end some way before the line does, so that the quotes and the brace that belong to them still fit. */
static bool has_room(const struct line *l)
{
    return l->len < sizeof l->text - 64;
}

static void put_text(struct line *l, const char *s)
{
    while (*s)
        put_char(l, *s++);
}

static void put_escaped(struct line *l, const char *s, size_t len)
{
    for (size_t i = 0; i < len && has_room(l); i++) {
        unsigned char c = (unsigned char)s[i];
        char code[8];
        if (c == '"' || c == '\\') {
            put_char(l, '\\');
            put_char(l, (char)c);
        } else if (c < 0x20 || c == 0x7f) {
            snprintf(code, sizeof code, "\\u%04x", c);
            put_text(l, code);
        } else {
            put_char(l, (char)c);
        }
    }
    l->len = text_whole(l->text, l->len);
}

/* Marks the ends of pairs in the caller's format, so that values may hold quotes, blanks and '=' as they like:
 * `a=%s b="%s"` becomes `a=%s` END `b=%s` END. */
static size_t put_end(char *out)
{
    memcpy(out, pair_end, PAIR_END_BYTES);
    return PAIR_END_BYTES;
}

static void mark_pairs(const char *fmt, char *out, size_t size_bytes)
{
    bool quoted = false;
    size_t n = 0;
    for (const char *p = fmt; *p && n + 2 * PAIR_END_BYTES + 1 < size_bytes; p++) {
        if (!quoted && *p == '"' && p > fmt && p[-1] == '=')
            quoted = true;
        else if (quoted && *p == '"')
            quoted = false;
        else if (!quoted && *p == ' ')
            n += put_end(out + n);
        else
            out[n++] = *p;
    }
    n += put_end(out + n);
    out[n] = 0;
}

static const char *split_pair(const char *p, const char **key, size_t *key_len, const char **value,
                              size_t *value_len)
{
    const char *end = strstr(p, pair_end);
    bool cut = !end; /* for its length */
    if (cut)
        end = p + strlen(p);
    const char *equals = memchr(p, '=', (size_t)(end - p));
    *key = p;
    *key_len = (size_t)((equals ? equals : end) - p);
    *value = equals ? equals + 1 : end;
    *value_len = (size_t)(end - *value);
    return cut ? end : end + PAIR_END_BYTES;
}

static bool needs_quotes(const char *v, size_t len)
{
    if (!len)
        return true;
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)v[i] <= ' ' || v[i] == 0x7f || v[i] == '"' || v[i] == '\\' || v[i] == '=')
            return true;
    return false;
}

static void put_pair(struct line *l, const char *key, size_t key_len, const char *value, size_t value_len)
{
    bool json = log_as == LOG_FORMAT_JSON;
    put_text(l, json ? ",\"" : " ");
    put_escaped(l, key, key_len);
    put_text(l, json ? "\":" : "=");
    bool quoted = json || needs_quotes(value, value_len);
    if (quoted)
        put_char(l, '"');
    if (quoted)
        put_escaped(l, value, value_len);
    else
        for (size_t i = 0; i < value_len && has_room(l); i++)
            put_char(l, value[i]);
    l->len = text_whole(l->text, l->len);
    if (quoted)
        put_char(l, '"');
}

static void put_time(struct line *l)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    struct tm tm;
    gmtime_r(&now.tv_sec, &tm);
    char text[96];
    snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ", tm.tm_year + 1900, tm.tm_mon + 1,
             tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, now.tv_nsec / 1000000);
    put_text(l, text);
}

static void put_named(struct line *l, const char *key, const char *value)
{
    put_pair(l, key, strlen(key), value, strlen(value));
}

static void put_head(struct line *l, enum log_event event, enum log_level level, const char *component,
                     const char *msg)
{
    bool json = log_as == LOG_FORMAT_JSON;
    if (json)
        put_text(l, "{\"time\":\"");
    put_time(l);
    put_char(l, json ? '"' : ' ');
    if (json)
        put_named(l, "level", level_names[level]);
    else
        put_text(l, level_names[level]);
    put_named(l, "process", log_process);
    put_named(l, "component", component);
    if (event != EVENT_NONE)
        put_named(l, "event", event_names[event]);
    put_named(l, "msg", msg);
}

static void put_pairs(struct line *l, const char *pairs)
{
    for (const char *p = pairs; *p && has_room(l);) {
        const char *key, *value;
        size_t key_len, value_len;
        p = split_pair(p, &key, &key_len, &value, &value_len);
        if (key_len)
            put_pair(l, key, key_len, value, value_len);
    }
}

static void write_line(enum log_event event, enum log_level level, const char *component, const char *msg,
                       const char *fmt, va_list args)
{
    if (level < log_least)
        return;
    char marked[1024], pairs[LOG_LINE_MAX], number[16];
    unsigned dropped = 0;
    mark_pairs(fmt, marked, sizeof marked);
    vsnprintf(pairs, sizeof pairs, marked, args);
    if (event != EVENT_NONE && !may_write(event, pairs, &dropped))
        return;
    struct line l = {.len = 0};
    put_head(&l, event, level, component, msg);
    snprintf(number, sizeof number, "%u", dropped);
    if (dropped)
        put_named(&l, "repeats_dropped", number);
    put_pairs(&l, pairs);
    if (log_as == LOG_FORMAT_JSON)
        put_char(&l, '}');
    l.text[l.len++] = '\n';
    ssize_t written = write(2, l.text, l.len);
    (void)written;
}

void log_line(enum log_level level, const char *component, const char *msg, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    write_line(EVENT_NONE, level, component, msg, fmt, args);
    va_end(args);
}

void log_event(enum log_event event, enum log_level level, const char *component, const char *msg,
               const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    write_line(event, level, component, msg, fmt, args);
    va_end(args);
}
