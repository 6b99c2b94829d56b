/* jsonpath's datetime(): strings to dates, times and timestamps, their order, and how they print.
 *
 * What it makes is a string for whoever takes the path's result, with the moment beside it for what comes after it in the
 * path. As PostgreSQL's executeDateTimeMethod and compareDatetime. */
#include "types/func_datetime.h"
#include "types/jsonpath_run_impl.h"
#include <stdio.h>

/* What is tried without a template, in this order. */
static const char *const formats[] = {
    "yyyy-mm-dd",
    "HH24:MI:SS.USTZH:TZM",
    "HH24:MI:SS.USTZH",
    "HH24:MI:SSTZH:TZM",
    "HH24:MI:SSTZH",
    "HH24:MI:SS.US",
    "HH24:MI:SS",
    "yyyy-mm-dd HH24:MI:SS.USTZH:TZM",
    "yyyy-mm-dd HH24:MI:SS.USTZH",
    "yyyy-mm-dd HH24:MI:SSTZH:TZM",
    "yyyy-mm-dd HH24:MI:SSTZH",
    "yyyy-mm-dd\"T\"HH24:MI:SS.USTZH:TZM",
    "yyyy-mm-dd\"T\"HH24:MI:SS.USTZH",
    "yyyy-mm-dd\"T\"HH24:MI:SSTZH:TZM",
    "yyyy-mm-dd\"T\"HH24:MI:SSTZH",
    "yyyy-mm-dd HH24:MI:SS.US",
    "yyyy-mm-dd HH24:MI:SS",
    "yyyy-mm-dd\"T\"HH24:MI:SS.US",
    "yyyy-mm-dd\"T\"HH24:MI:SS",
};

/* ---- as text: ISO 8601 ---- */

/* "+02:00", with seconds where there are any. Returns what was written. */
static int print_offset(char *to, size_t size, int offset)
{
    int s = offset < 0 ? -offset : offset;
    return snprintf(to, size, s % 60 ? "%c%02d:%02d:%02d" : "%c%02d:%02d", offset < 0 ? '-' : '+', s / 3600,
                    s / 60 % 60, s % 60);
}

static struct str moment_text(struct fn_ctx *ctx, const struct std_moment *m)
{
    char zone[16] = "";
    union val v = m->v;
    if (m->type == T_DATE || m->type == T_TIME)
        return type_output(ctx, m->type, &v);
    if (m->type == T_TIMETZ) {
        v.i = m->v.iv.usecs;
        print_offset(zone, sizeof zone, m->offset);
        struct str time = type_output(ctx, T_TIME, &v);
        char *text = arena_printf(ctx->arena, "%.*s%s", (int)time.len, (const char *)time.p, zone);
        return (struct str){(uint8_t *)text, (uint32_t)strlen(text), 0};
    }
    if (m->type == T_TIMESTAMPTZ) {
        v.i += m->offset * USECS_PER_SEC;
        print_offset(zone, sizeof zone, m->offset);
    }
    struct str s = timestamp_json(ctx, T_TIMESTAMP, v.i);
    bool bc = s.len > 3 && memcmp(s.p + s.len - 3, " BC", 3) == 0;
    char *text = arena_printf(ctx->arena, "%.*s%s%s", (int)(s.len - (bc ? 3 : 0)), (const char *)s.p, zone,
                              bc ? " BC" : "");
    return (struct str){(uint8_t *)text, (uint32_t)strlen(text), 0};
}

static struct json_node *moment_node(struct jp_run *r, const struct std_moment *m)
{
    struct json_node *n = ARENA_NEW(r->ctx->arena, struct json_node);
    struct json_out o = {.arena = r->ctx->arena};
    n->kind = JSON_STRING;
    n->moment = arena_memdup(r->ctx->arena, m, sizeof *m);
    n->text = moment_text(r->ctx, m);
    json_put_string(&o, &n->text);
    n->source = (struct str){(uint8_t *)o.p, (uint32_t)o.len, 0};
    return n;
}

/* ---- reading ---- */

/* The reader's error becomes the path's: one that a predicate may hide, unless the template itself is bad. */
static struct json_node *reading_failed(struct jp_run *r, bool bad_template)
{
    r->failed |= bad_template || r->throws;
    if (!r->failed)
        r->ctx->error = FN_OK;
    return NULL;
}

struct json_node *jp_datetime(struct jp_run *r, const struct jp_item *it, const struct json_node *n)
{
    struct std_moment m;
    bool bad_template;
    if (it->has_text)
        return std_moment_read(r->ctx, &n->text, &it->text, &m, &bad_template)
                   ? moment_node(r, &m)
                   : reading_failed(r, bad_template);
    for (size_t i = 0; i < ARRAY_COUNT(formats); i++) {
        const struct str format = {(const uint8_t *)formats[i], (uint32_t)strlen(formats[i]), 0};
        r->ctx->error = FN_OK;
        if (std_moment_read(r->ctx, &n->text, &format, &m, &bad_template))
            return moment_node(r, &m);
    }
    r->ctx->error = FN_OK;
    jp_error(r, FN_JSON_DATETIME, "datetime format is not recognized: \"%.*s\"", TEXT_QUOTED(n->text, 100));
    return NULL;
}

/* ---- order ---- */

static bool is_time(const struct std_moment *m)
{
    return m->type == T_TIME || m->type == T_TIMETZ;
}

static bool has_zone(const struct std_moment *m)
{
    return m->type == T_TIMETZ || m->type == T_TIMESTAMPTZ;
}

/* Microseconds, also of dates that no timestamp reaches; the session's zone is UTC where it is not told. */
static __int128 instant(const struct jp_run *r, const struct std_moment *m, bool in_zone)
{
    int64_t at = m->v.i;
    if (m->type == T_DATE && (at < DATE_FIRST || at >= DATE_TS_END))
        return (__int128)at * USECS_PER_DAY;
    at = m->type == T_DATE ? at * USECS_PER_DAY : at;
    if (in_zone && !has_zone(m)) {
        int overflow = 0;
        return ts_to_tstz(at, r->ctx->zone, &overflow);
    }
    return at;
}

static int64_t time_rank(const struct std_moment *m)
{
    const struct interval in_utc = {m->v.i, 0, 0};
    return timetz_rank(m->type == T_TIMETZ ? &m->v.iv : &in_utc);
}

const char *jp_datetime_type(const struct json_node *n)
{
    switch (n->moment->type) {
    case T_DATE: return "\"date\"";
    case T_TIME: return "\"time without time zone\"";
    case T_TIMETZ: return "\"time with time zone\"";
    case T_TIMESTAMP: return "\"timestamp without time zone\"";
    default: return "\"timestamp with time zone\"";
    }
}

static bool zone_not_used(struct jp_run *r, const struct std_moment *a, const struct std_moment *b)
{
    const struct std_moment *from = has_zone(a) ? b : a, *to = has_zone(a) ? a : b;
    char text[128];
    snprintf(text, sizeof text, "cannot convert value from %s to %s without time zone usage",
             type_info(from->type)->pg_name, type_info(to->type)->pg_name);
    return jp_hard_error(r, FN_UNSUPPORTED, text) != JP_FAILED;
}

bool jp_datetime_cmp(struct jp_run *r, const struct json_node *a, const struct json_node *b, int *order)
{
    const struct std_moment *x = a->moment, *y = b->moment;
    if (is_time(x) != is_time(y))
        return false;
    bool in_zone = has_zone(x) || has_zone(y);
    if (has_zone(x) != has_zone(y) && !r->use_zone)
        return zone_not_used(r, x, y);
    __int128 v, w;
    if (is_time(x)) {
        v = in_zone ? time_rank(x) : x->v.i;
        w = in_zone ? time_rank(y) : y->v.i;
    } else {
        v = instant(r, x, in_zone);
        w = instant(r, y, in_zone);
    }
    *order = (v > w) - (v < w);
    return true;
}
