/* to_char of timestamps and intervals: a pattern is cut into keywords and literal text, each keyword prints a field.
 *
 * Keywords are case-sensitive where case decides the output's (MONTH, Month, month); the first that matches in the
 * order of the table is taken, so longer ones come first. Names are English (lc_time C). */
#include "types/func_datetime.h"
#include <stdio.h>

#define ITEM_MAX_BYTES 32 /* one keyword's output: a 64-bit number, its suffix, room to spare */

enum letters { UPPER, CAPITAL, LOWER };
enum keyword_id {
    K_AD,
    K_AD_DOTS,
    K_AM,
    K_AM_DOTS,
    K_CC,
    K_D,
    K_DAY,
    K_DD,
    K_DDD,
    K_DY,
    K_FF1,
    K_FF2,
    K_FF3,
    K_FF4,
    K_FF5,
    K_FF6,
    K_FX,
    K_HH12,
    K_HH24,
    K_I,
    K_ID,
    K_IDDD,
    K_IW,
    K_IY,
    K_IYY,
    K_IYYY,
    K_J,
    K_MI,
    K_MM,
    K_MON,
    K_MONTH,
    K_MS,
    K_OF,
    K_Q,
    K_RM,
    K_SS,
    K_SSSS,
    K_TZ,
    K_TZH,
    K_TZM,
    K_US,
    K_W,
    K_WW,
    K_Y,
    K_YY,
    K_YYY,
    K_YYYY,
    K_Y_YYY
};
struct keyword {
    const char *text;
    uint8_t id, letters;
};
/* clang-format off */
static const struct keyword keywords[] = {
    {"A.D.", K_AD_DOTS, UPPER}, {"A.M.", K_AM_DOTS, UPPER}, {"AD", K_AD, UPPER}, {"AM", K_AM, UPPER},
    {"B.C.", K_AD_DOTS, UPPER}, {"BC", K_AD, UPPER}, {"CC", K_CC, UPPER}, {"DAY", K_DAY, UPPER},
    {"DDD", K_DDD, UPPER}, {"DD", K_DD, UPPER}, {"DY", K_DY, UPPER}, {"Day", K_DAY, CAPITAL},
    {"Dy", K_DY, CAPITAL}, {"D", K_D, UPPER}, {"FF1", K_FF1, UPPER}, {"FF2", K_FF2, UPPER},
    {"FF3", K_FF3, UPPER}, {"FF4", K_FF4, UPPER}, {"FF5", K_FF5, UPPER}, {"FF6", K_FF6, UPPER},
    {"FX", K_FX, UPPER}, {"HH24", K_HH24, UPPER}, {"HH12", K_HH12, UPPER}, {"HH", K_HH12, UPPER},
    {"IDDD", K_IDDD, UPPER}, {"ID", K_ID, UPPER}, {"IW", K_IW, UPPER}, {"IYYY", K_IYYY, UPPER},
    {"IYY", K_IYY, UPPER}, {"IY", K_IY, UPPER}, {"I", K_I, UPPER}, {"J", K_J, UPPER}, {"MI", K_MI, UPPER},
    {"MM", K_MM, UPPER}, {"MONTH", K_MONTH, UPPER}, {"MON", K_MON, UPPER}, {"MS", K_MS, UPPER},
    {"Month", K_MONTH, CAPITAL}, {"Mon", K_MON, CAPITAL}, {"OF", K_OF, UPPER}, {"P.M.", K_AM_DOTS, UPPER},
    {"PM", K_AM, UPPER}, {"Q", K_Q, UPPER}, {"RM", K_RM, UPPER}, {"SSSSS", K_SSSS, UPPER},
    {"SSSS", K_SSSS, UPPER}, {"SS", K_SS, UPPER}, {"TZH", K_TZH, UPPER}, {"TZM", K_TZM, UPPER},
    {"TZ", K_TZ, UPPER}, {"US", K_US, UPPER}, {"WW", K_WW, UPPER}, {"W", K_W, UPPER},
    {"Y,YYY", K_Y_YYY, UPPER}, {"YYYY", K_YYYY, UPPER}, {"YYY", K_YYY, UPPER}, {"YY", K_YY, UPPER},
    {"Y", K_Y, UPPER}, {"a.d.", K_AD_DOTS, LOWER}, {"a.m.", K_AM_DOTS, LOWER}, {"ad", K_AD, LOWER},
    {"am", K_AM, LOWER}, {"b.c.", K_AD_DOTS, LOWER}, {"bc", K_AD, LOWER}, {"cc", K_CC, LOWER},
    {"day", K_DAY, LOWER}, {"ddd", K_DDD, LOWER}, {"dd", K_DD, LOWER}, {"dy", K_DY, LOWER},
    {"d", K_D, LOWER}, {"ff1", K_FF1, LOWER}, {"ff2", K_FF2, LOWER}, {"ff3", K_FF3, LOWER},
    {"ff4", K_FF4, LOWER}, {"ff5", K_FF5, LOWER}, {"ff6", K_FF6, LOWER}, {"fx", K_FX, LOWER},
    {"hh24", K_HH24, LOWER}, {"hh12", K_HH12, LOWER}, {"hh", K_HH12, LOWER}, {"iddd", K_IDDD, LOWER},
    {"id", K_ID, LOWER}, {"iw", K_IW, LOWER}, {"iyyy", K_IYYY, LOWER}, {"iyy", K_IYY, LOWER},
    {"iy", K_IY, LOWER}, {"i", K_I, LOWER}, {"j", K_J, LOWER}, {"mi", K_MI, LOWER}, {"mm", K_MM, LOWER},
    {"month", K_MONTH, LOWER}, {"mon", K_MON, LOWER}, {"ms", K_MS, LOWER}, {"of", K_OF, LOWER},
    {"p.m.", K_AM_DOTS, LOWER}, {"pm", K_AM, LOWER}, {"q", K_Q, LOWER}, {"rm", K_RM, LOWER},
    {"sssss", K_SSSS, LOWER}, {"ssss", K_SSSS, LOWER}, {"ss", K_SS, LOWER}, {"tzh", K_TZH, LOWER},
    {"tzm", K_TZM, LOWER}, {"tz", K_TZ, LOWER}, {"us", K_US, LOWER}, {"ww", K_WW, LOWER}, {"w", K_W, LOWER},
    {"y,yyy", K_Y_YYY, LOWER}, {"yyyy", K_YYYY, LOWER}, {"yyy", K_YYY, LOWER}, {"yy", K_YY, LOWER},
    {"y", K_Y, LOWER},
};
static const char *const month_names[] = {"January", "February", "March", "April", "May", "June", "July", "August",
    "September", "October", "November", "December"};
static const char *const day_names[] = {"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"};
static const char *const roman_months[] = {"I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"};
/* clang-format on */

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
    bool fill_mode, translated; /* FM, TM before the keyword: no padding */
    char ordinal;               /* 'T' or 't' after it: TH, th */
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
        p->out[p->len++] = p->ordinal == 'T' ? ascii_upper(*suffix) : *suffix;
    return true;
}

static bool put_number(struct printer *p, int width, int64_t v)
{
    size_t from = p->len;
    int pad = p->fill_mode ? 0 : width;
    p->len += (size_t)snprintf(p->out + from, ITEM_MAX_BYTES, "%0*lld", pad, (long long)v);
    return !p->ordinal || append_ordinal(p, from);
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
    for (size_t i = len; i < width && !p->fill_mode; i++)
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
    return !p->ordinal || append_ordinal(p, from);
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
        n = snprintf(to, ITEM_MAX_BYTES, "%c%0*d", sign, id == K_OF && p->fill_mode ? 0 : 2, secs / 3600);
    if (id == K_OF && secs % 3600)
        n += snprintf(to + n, ITEM_MAX_BYTES - (size_t)n, ":%02d", secs % 3600 / 60);
    p->len += (size_t)n;
    return true;
}

static bool put_fraction_keyword(struct printer *p, int digits)
{
    static const int scales[] = {1000000, 100000, 10000, 1000, 100, 10, 1};
    bool fill = p->fill_mode;
    p->fill_mode = false;
    bool ok = put_number(p, digits, p->m->usec / scales[digits]);
    p->fill_mode = fill;
    return ok;
}

static bool put_name(struct printer *p, const struct keyword *k)
{
    const struct moment *m = p->m;
    bool is_day = k->id == K_DAY || k->id == K_DY;
    const char *name = is_day ? day_names[m->day_of_week] : month_names[m->month - 1];
    if (k->id == K_DY || k->id == K_MON)
        return put_word(p, name, 3, 0, k->letters);
    return put_word(p, name, strlen(name), p->translated ? 0 : 9, k->letters);
}

static bool put_meridian_or_era(struct printer *p, const struct keyword *k)
{
    bool pm = p->m->hour % 24 >= 12, bc = p->m->year <= 0;
    switch (k->id) {
    case K_AM: return put_text(p, pm ? "pm" : "am", k->letters);
    case K_AM_DOTS: return put_text(p, pm ? "p.m." : "a.m.", k->letters);
    case K_AD: return put_text(p, bc ? "bc" : "ad", k->letters);
    default: return put_text(p, bc ? "b.c." : "a.d.", k->letters);
    }
}

static bool put_time_keyword(struct printer *p, const struct keyword *k)
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

static bool put_date_keyword(struct printer *p, const struct keyword *k)
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

static bool put_keyword(struct printer *p, const struct keyword *k)
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

struct pattern {
    const char *p, *end;
};

static bool at_text(const struct pattern *t, const char *word)
{
    size_t n = strlen(word);
    return (size_t)(t->end - t->p) >= n && memcmp(t->p, word, n) == 0;
}

static const struct keyword *keyword_at(const struct pattern *t)
{
    for (size_t i = 0; i < ARRAY_COUNT(keywords); i++)
        if (keywords[i].text[0] == *t->p && at_text(t, keywords[i].text))
            return &keywords[i];
    return NULL;
}

static void read_prefix(struct printer *p, struct pattern *t)
{
    p->fill_mode = at_text(t, "FM") || at_text(t, "fm");
    p->translated = at_text(t, "TM") || at_text(t, "tm");
    if (p->fill_mode || p->translated)
        t->p += 2;
}

static void read_suffix(struct printer *p, struct pattern *t)
{
    p->ordinal = at_text(t, "TH") ? 'T' : at_text(t, "th") ? 't' : '\0';
    if (p->ordinal || at_text(t, "SP"))
        t->p += 2;
}

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
        read_prefix(&p, &t);
        const struct keyword *k = t.p < t.end ? keyword_at(&t) : NULL;
        if (k) {
            t.p += strlen(k->text);
            read_suffix(&p, &t);
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
