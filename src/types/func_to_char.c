/* to_char of timestamps and intervals: a pattern is cut into keywords and literal text, each keyword prints a field.
 *
 * Keywords are case-sensitive where case decides the output's (MONTH, Month, month); the first that matches in the
 * order of the table is taken, so longer ones come first. Names are English (lc_time C). */
#include "types/datetime_pattern.h"
#include "types/func_datetime.h"
#include <stdio.h>

#define ITEM_MAX_BYTES 32 /* one keyword's output: a 64-bit number, its suffix, room to spare */

/* What is printed: of a timestamp its local time, of an interval its fields. */
struct moment {
    bool is_interval;
    int64_t year, hour;
    int month, day, minute, second, usec;
    int day_of_week, day_of_year;
    int offset;
    const char *abbrev; /* NULL: no zone */
};

struct printer {
    struct fn_ctx *ctx;
    const struct moment *m;
    char *out; /* room for ITEM_MAX_BYTES more at each item */
    size_t len;
    struct dt_affixes a;
};

static bool append_ordinal(struct printer *p, size_t from)
{
    static const char *const suffixes[] = {"th", "st", "nd", "rd"};
    size_t digits = p->len - from;
    char last = digits ? p->out[p->len - 1] : '\0';
    if (!ascii_digit(last))
        return fn_fail(p->ctx, FN_BAD_TEXT, "\"%.*s\" is not a number", (int)digits, p->out + from);
    bool teen = digits > 1 && p->out[p->len - 2] == '1';
    const char *suffix = suffixes[!teen && last >= '1' && last <= '3' ? last - '0' : 0];
    for (; *suffix; suffix++)
        p->out[p->len++] = p->a.ordinal == 'T' ? ascii_upper(*suffix) : *suffix;
    return true;
}

static bool put_number(struct printer *p, int width, int64_t v)
{
    size_t from = p->len;
    int pad = p->a.fill_mode ? 0 : width;
    p->len += (size_t)snprintf(p->out + from, ITEM_MAX_BYTES, "%0*lld", pad, (long long)v);
    return !p->a.ordinal || append_ordinal(p, from);
}

/* A width that a minus sign widens. */
static bool put_signed(struct printer *p, int width, int64_t v)
{
    return put_number(p, v >= 0 ? width : width + 1, v);
}

/* Filled up with blanks to `width`, unless by FM. */
static bool put_word(struct printer *p, const char *word, size_t len, size_t width, enum letters letters)
{
    for (size_t i = 0; i < len; i++) {
        char c = word[i];
        p->out[p->len++] = letters == UPPER ? ascii_upper(c) : letters == LOWER ? ascii_lower(c) : c;
    }
    for (size_t i = len; i < width && !p->a.fill_mode; i++)
        p->out[p->len++] = ' ';
    return true;
}

static bool put_text(struct printer *p, const char *word, enum letters letters)
{
    return put_word(p, word, strlen(word), 0, letters);
}

static int64_t shown_year(const struct moment *m, int64_t year)
{
    return m->is_interval || year > 0 ? year : 1 - year;
}

static bool put_year(struct printer *p, enum keyword_id id)
{
    const struct moment *m = p->m;
    bool iso = id == K_IYYY || id == K_IYY || id == K_IY || id == K_I;
    int64_t y = shown_year(m, iso ? iso_year(m->year, m->month, m->day) : m->year);
    int sign_width = shown_year(m, m->year) < 0; /* by the plain year, as PostgreSQL has it */
    switch (id) {
    case K_YYYY:
    case K_IYYY: return put_number(p, 4 + sign_width, y);
    case K_YYY:
    case K_IYY: return put_number(p, 3 + sign_width, y % 1000);
    case K_YY:
    case K_IY: return put_number(p, 2 + sign_width, y % 100);
    default: return put_number(p, 1, y % 10);
    }
}

static bool put_year_with_comma(struct printer *p)
{
    int64_t y = shown_year(p->m, p->m->year), thousands = y / 1000;
    size_t from = p->len;
    p->len += (size_t)snprintf(p->out + from, ITEM_MAX_BYTES, "%lld,%03lld", (long long)thousands,
                               (long long)(y - thousands * 1000));
    return !p->a.ordinal || append_ordinal(p, from);
}

static bool put_century(struct printer *p)
{
    int64_t y = p->m->year;
    int64_t century = p->m->is_interval ? y / 100 : y > 0 ? (y - 1) / 100 + 1 : y / 100 - 1;
    if (century > 99 || century < -99)
        return put_number(p, 0, century);
    return put_signed(p, 2, century);
}

static bool put_roman_month(struct printer *p, enum letters letters)
{
    int month = p->m->month;
    if (month == 0 && p->m->year == 0)
        return true;
    if (month == 0)
        month = p->m->year >= 0 ? 12 : 1;
    else if (month < 0)
        month += 13;
    const char *text = roman_months[month - 1];
    return put_word(p, text, strlen(text), 4, letters);
}

static bool put_offset_keyword(struct printer *p, enum keyword_id id)
{
    int offset = p->m->offset, secs = offset < 0 ? -offset : offset;
    char *to = p->out + p->len, sign = offset >= 0 ? '+' : '-';
    int n;
    if (id == K_TZM)
        n = snprintf(to, ITEM_MAX_BYTES, "%02d", secs % 3600 / 60);
    else
        n = snprintf(to, ITEM_MAX_BYTES, "%c%0*d", sign, id == K_OF && p->a.fill_mode ? 0 : 2, secs / 3600);
    if (id == K_OF && secs % 3600)
        n += snprintf(to + n, ITEM_MAX_BYTES - (size_t)n, ":%02d", secs % 3600 / 60);
    p->len += (size_t)n;
    return true;
}

static bool put_fraction_keyword(struct printer *p, int digits)
{
    static const int scales[] = {1000000, 100000, 10000, 1000, 100, 10, 1};
    bool fill = p->a.fill_mode;
    p->a.fill_mode = false;
    bool ok = put_number(p, digits, p->m->usec / scales[digits]);
    p->a.fill_mode = fill;
    return ok;
}

static bool put_name(struct printer *p, const struct dt_keyword *k)
{
    const struct moment *m = p->m;
    bool is_day = k->id == K_DAY || k->id == K_DY;
    const char *name = is_day ? day_names[m->day_of_week] : month_names[m->month - 1];
    if (k->id == K_DY || k->id == K_MON)
        return put_word(p, name, 3, 0, k->letters);
    return put_word(p, name, strlen(name), p->a.translated ? 0 : 9, k->letters);
}

static bool put_meridian_or_era(struct printer *p, const struct dt_keyword *k)
{
    bool pm = p->m->hour % 24 >= 12, bc = p->m->year <= 0;
    switch (k->id) {
    case K_AM: return put_text(p, pm ? "pm" : "am", k->letters);
    case K_AM_DOTS: return put_text(p, pm ? "p.m." : "a.m.", k->letters);
    case K_AD: return put_text(p, bc ? "bc" : "ad", k->letters);
    default: return put_text(p, bc ? "b.c." : "a.d.", k->letters);
    }
}

static bool put_time_keyword(struct printer *p, const struct dt_keyword *k)
{
    const struct moment *m = p->m;
    switch (k->id) {
    case K_HH12: return put_number(p, m->hour >= 0 ? 2 : 3, m->hour % 12 == 0 ? 12 : m->hour % 12);
    case K_HH24: return put_signed(p, 2, m->hour);
    case K_MI: return put_signed(p, 2, m->minute);
    case K_SS: return put_signed(p, 2, m->second);
    case K_SSSS: return put_number(p, 0, m->hour * 3600 + m->minute * 60 + m->second);
    case K_MS: return put_fraction_keyword(p, 3);
    case K_US: return put_fraction_keyword(p, 6);
    default: return put_fraction_keyword(p, k->id - K_FF1 + 1);
    }
}

static int64_t iso_day_of_year(const struct moment *m)
{
    int64_t start = iso_week_monday(iso_year(m->year, m->month, m->day), 1);
    return date_from_civil(m->year, m->month, m->day) - start + 1;
}

static bool put_date_keyword(struct printer *p, const struct dt_keyword *k)
{
    const struct moment *m = p->m;
    switch (k->id) {
    case K_CC: return put_century(p);
    case K_MM: return put_signed(p, 2, m->month);
    case K_RM: return put_roman_month(p, k->letters);
    case K_DD: return put_number(p, 2, m->day);
    case K_DDD: return put_number(p, 3, m->day_of_year);
    case K_IDDD: return put_number(p, 3, iso_day_of_year(m));
    case K_D: return put_number(p, 0, m->day_of_week + 1);
    case K_ID: return put_number(p, 0, m->day_of_week == 0 ? 7 : m->day_of_week);
    case K_WW: return put_number(p, 2, (m->day_of_year - 1) / 7 + 1);
    case K_IW: return put_number(p, 2, iso_week(m->year, m->month, m->day));
    case K_W: return put_number(p, 0, (m->day - 1) / 7 + 1);
    case K_Q: return m->month == 0 || put_number(p, 0, (m->month - 1) / 3 + 1);
    case K_J: return put_number(p, 0, date_from_civil(m->year, m->month, m->day) + PG_EPOCH_JULIAN);
    case K_Y_YYY: return put_year_with_comma(p);
    default: return put_year(p, k->id);
    }
}

/* Keywords that are an error for an interval. */
static bool check_interval_keyword(struct printer *p, enum keyword_id id)
{
    switch (id) {
    case K_AD:
    case K_AD_DOTS:
    case K_D:
    case K_ID:
    case K_DAY:
    case K_DY:
    case K_MON:
    case K_MONTH:
    case K_TZ:
    case K_TZH:
    case K_TZM:
    case K_OF: return fn_fail(p->ctx, FN_BAD_DATETIME, "invalid format specification for an interval value");
    default: return true;
    }
}

static bool put_keyword(struct printer *p, const struct dt_keyword *k)
{
    if (p->m->is_interval && !check_interval_keyword(p, k->id))
        return false;
    switch (k->id) {
    case K_FX: return true;
    case K_AD:
    case K_AD_DOTS:
    case K_AM:
    case K_AM_DOTS: return put_meridian_or_era(p, k);
    case K_DAY:
    case K_DY:
    case K_MON:
    case K_MONTH: return put_name(p, k);
    case K_TZ: return put_text(p, p->m->abbrev ? p->m->abbrev : "", k->letters == LOWER ? LOWER : CAPITAL);
    case K_OF:
    case K_TZH:
    case K_TZM: return put_offset_keyword(p, k->id);
    case K_HH12:
    case K_HH24:
    case K_MI:
    case K_SS:
    case K_SSSS:
    case K_MS:
    case K_US:
    case K_FF1:
    case K_FF2:
    case K_FF3:
    case K_FF4:
    case K_FF5:
    case K_FF6: return put_time_keyword(p, k);
    default: return put_date_keyword(p, k);
    }
}

/* ---- the pattern ---- */

static void put_quoted(struct printer *p, struct pattern *t)
{
    for (t->p++; t->p < t->end && *t->p != '"'; t->p++) {
        if (*t->p == '\\' && t->p + 1 < t->end)
            t->p++;
        p->out[p->len++] = *t->p;
    }
    t->p += t->p < t->end;
}

static void put_literal(struct printer *p, struct pattern *t)
{
    if (*t->p == '"') {
        put_quoted(p, t);
        return;
    }
    if (*t->p == '\\' && t->p + 1 < t->end && t->p[1] == '"')
        t->p++;
    p->out[p->len++] = *t->p++;
}

static bool print_pattern(struct fn_ctx *ctx, const struct moment *m, const struct str *format,
                          union val *out)
{
    const char *start = (const char *)format->p;
    struct pattern t = {start, start + format->len};
    struct printer p = {.ctx = ctx, .m = m};
    p.out = arena_alloc(ctx->arena, (size_t)format->len * ITEM_MAX_BYTES + ITEM_MAX_BYTES);
    while (t.p < t.end) {
        const struct dt_keyword *k = pattern_keyword(&t, &p.a);
        if (k) {
            if (!put_keyword(&p, k))
                return false;
        } else if (t.p < t.end) {
            put_literal(&p, &t);
        }
    }
    return ret_str(out, p.out, p.len);
}

static bool to_char_civil(struct fn_ctx *ctx, const struct civil *c, const struct str *format, union val *out)
{
    struct moment m = {
        .year = c->year, .month = c->month, .day = c->day, .hour = c->hour, .minute = c->minute};
    m.second = c->second;
    m.usec = c->usec;
    m.offset = c->offset;
    m.abbrev = c->abbrev;
    m.day_of_week = day_of_week(date_from_civil(c->year, c->month, c->day));
    m.day_of_year = day_of_year(c->year, c->month, c->day);
    return print_pattern(ctx, &m, format, out);
}

DT_KERNEL(fn_to_char_ts)
{
    struct civil c;
    *out_null = args[1].s.len == 0 || !ts_is_finite(args[0].i);
    if (*out_null)
        return true;
    civil_from_ts(args[0].i, &c);
    return to_char_civil(ctx, &c, &args[1].s, out);
}

DT_KERNEL(fn_to_char_tstz)
{
    struct civil c;
    *out_null = args[1].s.len == 0 || !ts_is_finite(args[0].i);
    if (*out_null)
        return true;
    civil_from_tstz(args[0].i, ctx->zone, &c);
    return to_char_civil(ctx, &c, &args[1].s, out);
}

DT_KERNEL(fn_to_char_interval)
{
    const struct interval *iv = &args[0].iv;
    struct moment m = {
        .is_interval = true, .year = iv->months / 12, .month = iv->months % 12, .day = iv->days};
    *out_null = args[1].s.len == 0;
    if (*out_null)
        return true;
    m.hour = iv->usecs / USECS_PER_HOUR;
    m.minute = (int)(iv->usecs / USECS_PER_MINUTE % 60);
    m.second = (int)(iv->usecs / USECS_PER_SEC % 60);
    m.usec = (int)(iv->usecs % USECS_PER_SEC);
    m.day_of_year = (int)((uint32_t)iv->months * 30 + (uint32_t)iv->days);
    return print_pattern(ctx, &m, &args[1].s, out);
}
