/* Joins the sections of the function table, finds rows by name, and reports the errors of kernels. */
#include "types/func.h"
#include "types/func_sections.h"
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct fn_list *const sections[] = {
    &fn_compare,    &fn_encoding,   &fn_jsonpath,   &fn_int,       &fn_float,    &fn_numeric,
    &fn_text,       &fn_like,       &fn_regex,      &fn_bytea,     &fn_datetime, &fn_json,
    &fn_json_build, &fn_overlaps,   &fn_format,     &fn_degrees,   &fn_misc,     &fn_to_char_number,
    &fn_array,      &fn_array_edit, &fn_array_json, &fn_json_set,  &fn_enum,     &fn_citext,
    &fn_timetz,     &fn_inet,       &fn_range,      &fn_normalize,
};

uint32_t fn_section_count(void)
{
    return ARRAY_COUNT(sections);
}

struct fn_list fn_section(uint32_t i)
{
    ASSERT(i < ARRAY_COUNT(sections));
    return *sections[i];
}

/* Name index: chained buckets, rows of one name in table order. Built once, then read by all threads. */
#define BUCKETS 1024 /* about one row each; a power of two */
struct index_entry {
    const struct fn *fn;
    uint32_t next; /* entry index + 1; 0 ends */
};
static struct {
    uint32_t head[BUCKETS];
    struct index_entry *entries;
} fn_index;
static pthread_once_t fn_index_once = PTHREAD_ONCE_INIT;

static uint32_t name_bucket(const char *name, bool is_operator)
{
    uint32_t h = is_operator ? 0x9e3779b9u : 0x811c9dc5u; /* FNV-1a */
    for (; *name; name++)
        h = (h ^ (uint8_t)*name) * 0x01000193u;
    return (h ^ h >> 15) % BUCKETS;
}

static void fn_index_build(void)
{
    size_t total = 0;
    for (size_t s = 0; s < ARRAY_COUNT(sections); s++)
        total += sections[s]->count;
    fn_index.entries = xcalloc(total + 1, sizeof *fn_index.entries); /* kept for the process */
    uint32_t used = (uint32_t)total;
    for (size_t s = ARRAY_COUNT(sections); s-- > 0;) /* backwards, so that chains run in table order */
        for (uint32_t i = sections[s]->count; i-- > 0;) {
            const struct fn *fn = &sections[s]->rows[i];
            uint32_t *head = &fn_index.head[name_bucket(fn->name, fn->flags & FN_OPERATOR)];
            fn_index.entries[used - 1] = (struct index_entry){fn, *head};
            *head = used--;
        }
}

uint32_t fn_find(const char *name, bool is_operator, const struct fn **out, uint32_t max)
{
    pthread_once(&fn_index_once, fn_index_build);
    uint32_t n = 0;
    for (uint32_t e = fn_index.head[name_bucket(name, is_operator)]; e && n < max;
         e = fn_index.entries[e - 1].next) {
        const struct fn *fn = fn_index.entries[e - 1].fn;
        if (is_operator == ((fn->flags & FN_OPERATOR) != 0) && strcmp(fn->name, name) == 0)
            out[n++] = fn;
    }
    return n;
}

const char *fn_error_sqlstate(enum fn_error e)
{
    static const char *const states[FN_ERROR_COUNT] = {
        [FN_OK] = "00000",
        [FN_DIVISION_BY_ZERO] = "22012",
        [FN_OUT_OF_RANGE] = "22003",
        [FN_BAD_TEXT] = "22P02",
        [FN_BAD_ARGUMENT] = "22023",
        [FN_STRING_TOO_LONG] = "22001",
        [FN_TOO_MANY_ROWS] = "21000",
        [FN_UNSUPPORTED] = "0A000",
        [FN_BAD_DATETIME] = "22007",
        [FN_DATETIME_RANGE] = "22008",
        [FN_BAD_LOGARITHM] = "2201E",
        [FN_BAD_POWER] = "2201F",
        [FN_BAD_SUBSTRING] = "22011",
        [FN_BAD_BUCKET] = "2201G",
        [FN_BAD_INDEX] = "2202E",
        [FN_BAD_ESCAPE] = "22025",
        [FN_BAD_CHARACTER] = "22021",
        [FN_TOO_LARGE] = "54000",
        [FN_INTERVAL_RANGE] = "22015",
        [FN_ZONE_RANGE] = "22009",
        [FN_NULL_NOT_ALLOWED] = "22004",
        [FN_BAD_TEMPLATE] = "42601",
        [FN_BAD_REGEX] = "2201B",
        [FN_BAD_ESCAPE_USE] = "2200C",
        [FN_BAD_UNICODE] = "22P05",
        [FN_BAD_DATA] = "22000",
        [FN_BAD_PATH] = "42601",
        [FN_UNDEFINED_OBJECT] = "42704",
        [FN_JSON_DATETIME] = "22031",
        [FN_JSON_SUBSCRIPT] = "22033",
        [FN_JSON_NON_NUMERIC] = "22036",
        [FN_JSON_SINGLETON] = "22038",
        [FN_JSON_ARRAY_NOT_FOUND] = "22039",
        [FN_JSON_MEMBER_NOT_FOUND] = "2203A",
        [FN_JSON_NUMBER_NOT_FOUND] = "2203B",
        [FN_JSON_OBJECT_NOT_FOUND] = "2203C",
        [FN_BAD_STATE] = "55000",
    };
    return (unsigned)e < FN_ERROR_COUNT && states[e] ? states[e] : "XX000";
}

bool fn_fail(struct fn_ctx *ctx, enum fn_error error, const char *fmt, ...)
{
    va_list ap;
    ctx->error = error;
    va_start(ap, fmt);
    text_vfill(ctx->error_text, sizeof ctx->error_text, fmt, ap);
    va_end(ap);
    return false;
}
