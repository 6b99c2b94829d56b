/* to_date and to_timestamp: reads a text by a pattern (DCH_from_char and do_to_timestamp in PostgreSQL's formatting.c
 * are the description: what is skipped, how many digits a field takes, which fields win over which). */
#include "types/datetime_pattern.h"
#include "types/datetime_tokens.h"
#include "types/func_datetime.h"
#include "types/utf8.h"
#include <limits.h>
#include <stdio.h>

#define ZONE_HOUR_MAX   15 /* PostgreSQL's MAX_TZDISP_HOUR */
#define FIELD_MAX_BYTES 12 /* that a keyword without FM takes: Y,YYY and room */

/* ---- the pattern ---- */

enum item_kind { ITEM_END, ITEM_KEYWORD, ITEM_TEXT, ITEM_SPACE, ITEM_SEPARATOR };
struct item {
    enum item_kind kind;
    const struct dt_keyword *keyword;
    struct dt_affixes a;
    bool is_digit;   /* of ITEM_TEXT */
    struct str text; /* of what is no keyword: a character */
};

static bool is_separator(uint8_t c)
{
    return c > ' ' && c < 0x7f && !ascii_alpha((char)c) && !ascii_digit((char)c);
}

static struct item *text_item(struct pattern *t, struct item *to)
{
    to->kind = ITEM_TEXT;
    uint32_t len = utf8_len((const uint8_t *)t->p, (const uint8_t *)t->end);
    to->is_digit = ascii_digit(*t->p);
    to->text = (struct str){(const uint8_t *)t->p, len, 0};
    t->p += len;
    return to + 1;
}

static struct item *quoted_items(struct pattern *t, struct item *to)
{
    for (t->p++; t->p < t->end && *t->p != '"';) {
        if (*t->p == '\\' && t->p + 1 < t->end)
            t->p++;
        to = text_item(t, to);
    }
    t->p += t->p < t->end;
    return to;
}

static struct item *literal_items(struct pattern *t, struct item *to)
{
    if (*t->p == '"')
        return quoted_items(t, to);
    if (*t->p == '\\' && t->p + 1 < t->end && t->p[1] == '"')
        t->p++;
    enum item_kind kind = is_separator((uint8_t)*t->p) ? ITEM_SEPARATOR
                          : ascii_space(*t->p)         ? ITEM_SPACE
                                                       : ITEM_TEXT;
    to = text_item(t, to);
    to[-1].kind = kind;
    return to;
}

/* Of SQL/JSON's templates: these separators and quoted text. NULL after fn_fail. */
static struct item *std_items(struct fn_ctx *ctx, struct pattern *t, struct item *to)
{
    if (*t->p == '"')
        return quoted_items(t, to);
    if (!*t->p || !strchr("-./,':; ", *t->p)) {
        fn_fail(ctx, FN_BAD_DATETIME, "invalid datetime format separator: \"%.*s\"",
                (int)utf8_len((const uint8_t *)t->p, (const uint8_t *)t->end), t->p);
        return NULL;
    }
    to = text_item(t, to);
    to[-1].kind = *to[-1].text.p == ' ' ? ITEM_SPACE : ITEM_SEPARATOR;
    return to;
}

/* NULL after fn_fail, which only SQL/JSON's (`std`) may come to. */
static const struct item *items_read(struct fn_ctx *ctx, const struct str *format, bool std)
{
    struct item *items = arena_alloc(ctx->arena, ((size_t)format->len + 1) * sizeof *items), *to = items;
    struct pattern t = {(const char *)format->p, (const char *)format->p + format->len};
    while (t.p < t.end) {
        *to = (struct item){.kind = ITEM_END};
        to->keyword = pattern_keyword(&t, &to->a);
        if (to->keyword)
            (to++)->kind = ITEM_KEYWORD;
        else if (t.p < t.end)
            to = std ? std_items(ctx, &t, to) : literal_items(&t, to);
        if (!to)
            return NULL;
    }
    *to = (struct item){.kind = ITEM_END};
    return items;
}

/* What follows the field cannot be part of its number. */
static bool ends_at_other(const struct item *it)
{
    const struct item *next = it + 1;
    if (it->a.ordinal || next->kind == ITEM_END)
        return true;
    return next->kind == ITEM_KEYWORD ? !next->keyword->is_digits : !next->is_digit;
}

/* ---- reading ---- */

struct fields {
    enum date_convention convention;
    bool clock_12;
    int hh, pm, mi, ss, ssss, ms, us, ff;
    int d, dd, ddd, mm, year, year_digits, bc, ww, w, cc, j;
    int zone_sign, zone_hour, zone_minute;
};
struct reader {
    struct fn_ctx *ctx;
    const char *p, *end;
    bool exact; /* FX */
    bool std;   /* SQL/JSON's */
    int skipped;
    const struct item *item;
    struct fields f;
};

static bool fail_conflict(struct reader *r)
{
    return fn_fail(r->ctx, FN_BAD_DATETIME, "conflicting values for \"%s\" field in formatting string",
                   r->item->keyword->text);
}

static bool set_field(struct reader *r, int *field, int value)
{
    if (*field != 0 && *field != value)
        return fail_conflict(r);
    *field = value;
    return true;
}

static const char *skip_spaces(const char *p, const char *end)
{
    while (p < end && ascii_space(*p))
        p++;
    return p;
}

/* As strtol does: blanks, a sign, digits. Returns the end of the number, NULL if there is none; saturates. */
static const char *read_long(const char *p, const char *end, int64_t *out)
{
    p = skip_spaces(p, end);
    bool neg = p < end && *p == '-';
    p += p < end && (*p == '-' || *p == '+');
    if (p >= end || !ascii_digit(*p))
        return NULL;
    int64_t v = 0;
    bool overflow = false;
    for (; p < end && ascii_digit(*p); p++)
        overflow |= __builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, *p - '0', &v);
    *out = overflow ? (neg ? INT64_MIN : INT64_MAX) : neg ? -v : v;
    return p;
}

static bool fail_value(struct reader *r, const char *p, size_t len)
{
    size_t rest = (size_t)(r->end - p);
    while (len > 0 && len < rest && ((uint8_t)p[len] & 0xc0) == 0x80) /* whole characters */
        len--;
    return fn_fail(r->ctx, FN_BAD_DATETIME, "invalid value \"%.*s\" for \"%s\"",
                   (int)(len < rest ? len : rest), p, r->item->keyword->text);
}

/* The number of a field of `len` digits into *field (NULL: nowhere); *used are the bytes it took. */
static bool read_number(struct reader *r, int *field, size_t len, size_t *used)
{
    const char *begin = r->p, *p = skip_spaces(begin, r->end);
    int64_t v = 0;
    if (r->item->a.fill_mode || ends_at_other(r->item)) {
        const char *after = read_long(begin, r->end, &v);
        r->p = after ? after : begin;
    } else {
        if ((size_t)(r->end - p) < len)
            return fn_fail(r->ctx, FN_BAD_DATETIME, "source string too short for \"%s\" formatting field",
                           r->item->keyword->text);
        const char *after = read_long(p, p + len, &v);
        if (after && after < p + len)
            return fail_value(r, p, len);
        r->p = after ? after : p;
    }
    *used = (size_t)(r->p - begin);
    if (*used == 0)
        return fail_value(r, p, len);
    if (v < INT_MIN || v > INT_MAX)
        return fn_fail(r->ctx, FN_DATETIME_RANGE, "value for \"%s\" in source string is out of range",
                       r->item->keyword->text);
    return !field || set_field(r, field, (int)v);
}

static bool read_int_field(struct reader *r, int *field, size_t len)
{
    size_t used;
    return read_number(r, field, len, &used);
}

static size_t word_match(const struct reader *r, const char *word)
{
    const char *p = r->p;
    for (; *word; word++, p++)
        if (p >= r->end || ascii_lower(*p) != ascii_lower(*word))
            return 0;
    return (size_t)(p - r->p);
}

/* One of `words`, or only the first `letters` of each when that is not 0; its index into *index. */
static bool read_word(struct reader *r, const char *const *words, int count, size_t letters, int *index)
{
    for (int i = 0; i < count; i++) {
        char word[FIELD_MAX_BYTES];
        snprintf(word, sizeof word, "%.*s", letters ? (int)letters : FIELD_MAX_BYTES, words[i]);
        size_t len = word_match(r, word);
        if (len > 0) {
            r->p += len;
            *index = i;
            return true;
        }
    }
    const char *stop = r->p;
    while (stop < r->end && !ascii_space(*stop))
        stop++;
    return fail_value(r, r->p, (size_t)(stop - r->p));
}

static bool read_either(struct reader *r, const char *first, const char *second, int *field)
{
    const char *const words[] = {first, second};
    int index;
    return read_word(r, words, 2, 0, &index) && set_field(r, field, index);
}

static bool read_roman_month(struct reader *r)
{
    for (int month = MONTHS; month > 0; month--) { /* VIII before V */
        size_t len = word_match(r, roman_months[month - 1]);
        if (len > 0) {
            r->p += len;
            return set_field(r, &r->f.mm, month);
        }
    }
    return read_word(r, NULL, 0, 0, NULL);
}

static bool read_fraction_field(struct reader *r, int *field, size_t digits, size_t full)
{
    size_t used;
    if (!read_number(r, field, digits, &used))
        return false;
    for (; used < full; used++)
        *field = (int)((unsigned)*field * 10);
    return true;
}

/* Years of fewer than four digits are the nearest to 2020. */
static int full_year(int year)
{
    return year < 70     ? year + 2000
           : year < 100  ? year + 1900
           : year < 520  ? year + 2000
           : year < 1000 ? year + 1000
                         : year;
}

static bool read_year(struct reader *r, int digits)
{
    size_t used;
    if (!read_number(r, &r->f.year, (size_t)digits, &used))
        return false;
    if (digits < 4 && used < 4)
        r->f.year = full_year(r->f.year);
    r->f.year_digits = digits;
    return true;
}

static bool read_year_with_comma(struct reader *r)
{
    int64_t thousands, rest;
    const char *p = read_long(r->p, r->end, &thousands);
    const char *after = NULL;
    if (p && p < r->end && *p == ',') {
        p = skip_spaces(p + 1, r->end);
        after = read_long(p, r->end - p > 3 ? p + 3 : r->end, &rest);
    }
    if (!after)
        return fn_fail(r->ctx, FN_BAD_DATETIME, "invalid input string for \"Y,YYY\"");
    r->p = after;
    r->f.year_digits = 4;
    return set_field(r, &r->f.year, (int)((uint32_t)rest + (uint32_t)thousands * 1000));
}

/* The minus of a zone may have been taken for a separator. */
static bool read_zone_hour(struct reader *r)
{
    if (r->p < r->end && (*r->p == '+' || *r->p == '-' || *r->p == ' ')) {
        r->f.zone_sign = *r->p == '-' ? -1 : 1;
        r->p++;
    } else {
        r->f.zone_sign = r->skipped > 0 && r->p[-1] == '-' ? -1 : 1;
    }
    return read_int_field(r, &r->f.zone_hour, 2);
}

static bool read_name_keyword(struct reader *r, enum keyword_id id)
{
    struct fields *f = &r->f;
    int index;
    switch (id) {
    case K_AM:
    case K_AM_DOTS:
        f->clock_12 = true;
        return id == K_AM ? read_either(r, "am", "pm", &f->pm) : read_either(r, "a.m.", "p.m.", &f->pm);
    case K_AD: return read_either(r, "ad", "bc", &f->bc);
    case K_AD_DOTS: return read_either(r, "a.d.", "b.c.", &f->bc);
    case K_MON:
    case K_MONTH:
        return read_word(r, month_names, MONTHS, id == K_MON ? 3 : 0, &index) &&
               set_field(r, &f->mm, index + 1);
    case K_DY:
    case K_DAY: /* Sunday is compared as 0 but kept as 1 */
        if (!read_word(r, day_names, WEEKDAYS, id == K_DY ? 3 : 0, &index) || !set_field(r, &f->d, index))
            return false;
        f->d++;
        return true;
    default: return read_roman_month(r);
    }
}

static bool read_time_keyword(struct reader *r, const struct dt_keyword *k)
{
    struct fields *f = &r->f;
    switch (k->id) {
    case K_HH12: f->clock_12 = true; return read_int_field(r, &f->hh, 2);
    case K_HH24: return read_int_field(r, &f->hh, 2);
    case K_MI: return read_int_field(r, &f->mi, 2);
    case K_SS: return read_int_field(r, &f->ss, 2);
    case K_SSSS: return read_int_field(r, &f->ssss, strlen(k->text));
    case K_MS: return read_fraction_field(r, &f->ms, 3, 3);
    case K_US: return read_fraction_field(r, &f->us, 6, 6);
    default: f->ff = k->id - K_FF1 + 1; return read_fraction_field(r, &f->us, (size_t)f->ff, 6);
    }
}

static bool read_date_keyword(struct reader *r, const struct dt_keyword *k)
{
    struct fields *f = &r->f;
    switch (k->id) {
    case K_MM: return read_int_field(r, &f->mm, 2);
    case K_DD: return read_int_field(r, &f->dd, 2);
    case K_DDD:
    case K_IDDD: return read_int_field(r, &f->ddd, 3);
    case K_D: return read_int_field(r, &f->d, 1);
    case K_ID: /* Monday is 1, of D it is 2 */
        if (!read_int_field(r, &f->d, 1))
            return false;
        f->d = f->d >= 7 ? 1 : f->d + 1;
        return true;
    case K_WW:
    case K_IW: return read_int_field(r, &f->ww, 2);
    case K_W: return read_int_field(r, &f->w, 1);
    case K_Q: return read_int_field(r, NULL, 1);
    case K_CC: return read_int_field(r, &f->cc, 2);
    case K_J: return read_int_field(r, &f->j, 1);
    case K_Y_YYY: return read_year_with_comma(r);
    case K_TZH: return read_zone_hour(r);
    case K_TZM:
        if (!f->zone_sign)
            f->zone_sign = 1;
        return read_int_field(r, &f->zone_minute, 2);
    default: return read_year(r, (int)strlen(k->text));
    }
}

static bool read_keyword(struct reader *r)
{
    const struct dt_keyword *k = r->item->keyword;
    if (k->convention != DATES_NONE && r->f.convention != DATES_NONE && k->convention != r->f.convention)
        return fn_fail(r->ctx, FN_BAD_DATETIME, "invalid combination of date conventions");
    if (k->convention != DATES_NONE)
        r->f.convention = k->convention;
    switch (k->id) {
    case K_FX: r->exact = true; return true;
    case K_TZ:
    case K_OF:
        return fn_fail(r->ctx, FN_UNSUPPORTED, "formatting field \"%s\" is only supported in to_char",
                       k->text);
    case K_AM:
    case K_AM_DOTS:
    case K_AD:
    case K_AD_DOTS:
    case K_MON:
    case K_MONTH:
    case K_DY:
    case K_DAY:
    case K_RM: return read_name_keyword(r, k->id);
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
    case K_FF6: return read_time_keyword(r, k);
    default: return read_date_keyword(r, k);
    }
}

static void skip_char(struct reader *r)
{
    if (r->p < r->end)
        r->p += utf8_len((const uint8_t *)r->p, (const uint8_t *)r->end);
}

static void skip_blanks(struct reader *r)
{
    for (; r->p < r->end && ascii_space(*r->p); r->p++)
        r->skipped++;
}

static bool read_literal(struct reader *r)
{
    bool is_text = r->item->kind == ITEM_TEXT;
    const struct str *want = &r->item->text;
    if (r->std && ((size_t)(r->end - r->p) < want->len || memcmp(r->p, want->p, want->len) != 0))
        return fn_fail(r->ctx, FN_BAD_DATETIME, "unmatched format %s \"%.*s\"",
                       is_text ? "character" : "separator", (int)want->len, (const char *)want->p);
    if (r->exact) {
        skip_char(r);
    } else if (!is_text) {
        r->skipped--;
        if (r->p < r->end && (ascii_space(*r->p) || is_separator((uint8_t)*r->p))) {
            r->p++;
            r->skipped++;
        }
    } else if (r->skipped > 0) { /* blanks too many have been skipped in its place */
        r->skipped--;
    } else {
        skip_char(r);
    }
    return true;
}

static bool takes_suffix(enum keyword_id id)
{
    switch (id) {
    case K_FX:
    case K_AM:
    case K_AM_DOTS:
    case K_AD:
    case K_AD_DOTS:
    case K_MON:
    case K_MONTH:
    case K_DY:
    case K_DAY:
    case K_RM:
    case K_TZH:
    case K_TZM: return false;
    default: return true;
    }
}

static bool read_items(struct reader *r, const struct item *items)
{
    for (r->item = items; r->item->kind != ITEM_END && r->p < r->end; r->item++) {
        bool keyword = r->item->kind == ITEM_KEYWORD;
        if (!r->exact && (keyword ? r->item->keyword->id != K_FX : r->item == items))
            skip_blanks(r);
        if (!keyword) {
            if (!read_literal(r))
                return false;
            continue;
        }
        if (!read_keyword(r))
            return false;
        if (r->item->a.ordinal && takes_suffix(r->item->keyword->id)) {
            skip_char(r);
            skip_char(r);
        }
        if (!r->exact) {
            r->skipped = 0;
            skip_blanks(r);
        }
    }
    if (!r->std)
        return true;
    if (r->item->kind != ITEM_END)
        return fn_fail(r->ctx, FN_BAD_DATETIME, "input string is too short for datetime format");
    r->p = skip_spaces(r->p, r->end);
    return r->p == r->end || fn_fail(r->ctx, FN_BAD_DATETIME,
                                     "trailing characters remain in input string after datetime format");
}

/* ---- fields to a moment ---- */

enum { HAS_YEAR = 1, HAS_MONTH = 2, HAS_DAY = 4, HAS_DATE = 7 };

static int wrap(int64_t v) /* PostgreSQL's ints, for what is out of range in the end */
{
    return (int)(uint32_t)v;
}

static void year_of_century(const struct fields *f, int cc, struct civil *c)
{
    c->year = f->year % 100;
    if (c->year == 0)
        c->year = (int64_t)cc * 100 + (cc >= 0 ? 0 : 1);
    else if (cc >= 0)
        c->year += ((int64_t)cc - 1) * 100;
    else
        c->year = ((int64_t)cc + 1) * 100 - c->year + 1;
}

static unsigned set_year(const struct fields *f, struct civil *c)
{
    int cc = f->bc ? wrap(-(int64_t)f->cc) : f->cc;
    if (f->year && f->cc && f->year_digits <= 2) {
        year_of_century(f, cc, c);
    } else if (f->year) {
        c->year = f->bc ? -(int64_t)f->year : f->year;
        c->year += c->year < 0;
    } else if (f->cc) {
        c->year = cc >= 0 ? ((int64_t)cc - 1) * 100 + 1 : (int64_t)cc * 100 + 1;
    } else {
        return 0;
    }
    return HAS_YEAR;
}

static unsigned set_iso_week(const struct fields *f, struct civil *c)
{
    int64_t date = iso_week_monday(c->year, 1) + ((int64_t)f->ww - 1) * 7;
    if (f->d)
        date += f->d > 1 ? f->d - 2 : 6;
    date_to_civil(date, &c->year, &c->month, &c->day);
    return HAS_DATE;
}

static void set_day_of_year(int ddd, struct civil *c)
{
    int month = 1, before = 0;
    while (month <= MONTHS && ddd > before + days_in_month(c->year, month))
        before += days_in_month(c->year, month++);
    if (c->month <= 1)
        c->month = month;
    if (c->day <= 1)
        c->day = ddd - before;
}

static bool set_date(struct fn_ctx *ctx, const struct fields *f, struct civil *c, unsigned *has)
{
    int ddd = f->ddd;
    *has = set_year(f, c);
    if (f->j) {
        date_to_civil((int64_t)f->j - PG_EPOCH_JULIAN, &c->year, &c->month, &c->day);
        *has |= HAS_DATE;
    }
    if (f->ww && f->convention == DATES_ISO)
        *has |= set_iso_week(f, c);
    else if (f->ww)
        ddd = wrap(((int64_t)f->ww - 1) * 7 + 1);
    int dd = f->w ? wrap(((int64_t)f->w - 1) * 7 + 1) : f->dd;
    if (dd) {
        c->day = dd;
        *has |= HAS_DAY;
    }
    if (f->mm) {
        c->month = f->mm;
        *has |= HAS_MONTH;
    }
    if (!ddd || (c->month > 1 && c->day > 1))
        return true;
    if (!c->year && !f->bc)
        return fn_fail(ctx, FN_BAD_DATETIME, "cannot calculate day of year without year information");
    if (f->convention == DATES_ISO) {
        date_to_civil(iso_week_monday(c->year, 1) + ddd - 1, &c->year, &c->month, &c->day);
        *has |= HAS_DATE;
    } else {
        set_day_of_year(ddd, c);
        *has |= HAS_MONTH | HAS_DAY;
    }
    return true;
}

static bool set_time(struct fn_ctx *ctx, const struct fields *f, struct civil *c, int64_t *usecs)
{
    c->hour = f->hh ? f->hh : f->ssss / 3600;
    c->minute = f->mi ? f->mi : f->ssss % 3600 / 60;
    c->second = f->ss ? f->ss : f->ssss % 60;
    *usecs = (int64_t)wrap((int64_t)f->ms * 1000) + f->us;
    if (!f->clock_12)
        return true;
    if (c->hour < 1 || c->hour > 12)
        return fn_fail(ctx, FN_BAD_DATETIME, "hour \"%d\" is invalid for the 12-hour clock", c->hour);
    c->hour = c->hour % 12 + (f->pm ? 12 : 0);
    return true;
}

static bool date_valid(const struct civil *c, unsigned has)
{
    if ((has & HAS_MONTH) && (c->month < 1 || c->month > MONTHS))
        return false;
    if ((has & HAS_DAY) && (c->day < 1 || c->day > 31))
        return false;
    return has != HAS_DATE || c->day <= days_in_month(c->year, c->month);
}

static bool read_moment(struct fn_ctx *ctx, const struct str *from, const struct item *items, bool std,
                        struct civil *c, struct fields *f)
{
    const char *text = (const char *)from->p;
    struct reader r = {.ctx = ctx, .p = text, .end = text + from->len, .exact = std, .std = std};
    unsigned has;
    int64_t usecs;
    *c = (struct civil){.month = 1, .day = 1};
    if (!read_items(&r, items))
        return false;
    if (!set_time(ctx, &r.f, c, &usecs) || !set_date(ctx, &r.f, c, &has))
        return false;
    if (!date_valid(c, has) || c->hour < 0 || c->hour > 23 || c->minute < 0 || c->minute > 59 ||
        c->second < 0 || c->second > 59 || usecs < 0 || usecs >= USECS_PER_SEC)
        return dt_fail(ctx, DT_FIELD_OVERFLOW, "timestamp", text, from->len);
    c->usec = (int)usecs;
    if (r.f.zone_sign &&
        (r.f.zone_hour < 0 || r.f.zone_hour > ZONE_HOUR_MAX || r.f.zone_minute < 0 || r.f.zone_minute > 59))
        return dt_fail(ctx, DT_ZONE_OVERFLOW, "timestamp", text, from->len);
    c->offset = r.f.zone_sign * (r.f.zone_hour * 3600 + r.f.zone_minute * 60);
    *f = r.f;
    return true;
}

DT_KERNEL(fn_to_date)
{
    struct civil c;
    struct fields f;
    if (!read_moment(ctx, &args[0].s, items_read(ctx, &args[1].s, false), false, &c, &f))
        return false;
    out->i = civil_date_valid(c.year, c.month) ? date_from_civil(c.year, c.month, c.day) : DATE_END;
    return date_in_range(out->i) || dt_fail(ctx, DT_RANGE, "date", (const char *)args[0].s.p, args[0].s.len);
}

DT_KERNEL(fn_to_timestamp_text)
{
    struct civil c;
    struct fields f;
    if (!read_moment(ctx, &args[0].s, items_read(ctx, &args[1].s, false), false, &c, &f))
        return false;
    bool ok = f.zone_sign ? civil_to_tstz_offset(&c, &out->i) : civil_to_tstz(&c, ctx->zone, &out->i);
    if (!ok)
        return ts_out_of_range(ctx);
    if (f.ff)
        out->i = round_usecs(out->i, f.ff);
    return true;
}

/* ---- SQL/JSON ---- */

enum { IS_DATED = 1, IS_TIMED = 2, IS_ZONED = 4 };

static unsigned keyword_part(enum keyword_id id)
{
    switch (id) {
    case K_FX: return 0;
    case K_AM:
    case K_AM_DOTS:
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
    case K_FF6: return IS_TIMED;
    case K_TZ:
    case K_OF:
    case K_TZH:
    case K_TZM: return IS_ZONED;
    default: return IS_DATED;
    }
}

static bool make_date(struct fn_ctx *ctx, const struct str *text, const struct civil *c,
                      struct std_moment *out)
{
    out->type = T_DATE;
    out->v.i = civil_date_valid(c->year, c->month) ? date_from_civil(c->year, c->month, c->day) : DATE_END;
    return date_in_range(out->v.i) || dt_fail(ctx, DT_RANGE, "date", (const char *)text->p, text->len);
}

static bool make_moment(struct fn_ctx *ctx, const struct str *text, const struct civil *c, unsigned parts,
                        int digits, struct std_moment *out)
{
    bool zoned = parts & IS_ZONED;
    out->offset = c->offset;
    if (!(parts & IS_TIMED) && zoned)
        return fn_fail(ctx, FN_BAD_DATETIME, "datetime format is zoned but not timed");
    if (!(parts & (IS_TIMED | IS_DATED)))
        return fn_fail(ctx, FN_BAD_DATETIME, "datetime format is not dated and not timed");
    if (!(parts & IS_TIMED))
        return make_date(ctx, text, c, out);
    if (!(parts & IS_DATED)) {
        int64_t usecs = civil_time_of_day(c);
        usecs = digits ? round_usecs(usecs, digits) : usecs;
        out->type = zoned ? T_TIMETZ : T_TIME;
        if (zoned)
            out->v.iv = (struct interval){usecs, c->offset, 0};
        else
            out->v.i = usecs;
        return true;
    }
    out->type = zoned ? T_TIMESTAMPTZ : T_TIMESTAMP;
    if (!(zoned ? civil_to_tstz_offset : civil_to_ts)(c, &out->v.i))
        return fn_fail(ctx, FN_DATETIME_RANGE, "%s out of range", zoned ? "timestamptz" : "timestamp");
    if (digits)
        out->v.i = round_usecs(out->v.i, digits);
    return true;
}

bool std_moment_read(struct fn_ctx *ctx, const struct str *text, const struct str *template,
                     struct std_moment *out, bool *bad_template)
{
    struct civil c;
    struct fields f;
    unsigned parts = 0;
    const struct item *items = items_read(ctx, template, true);
    *bad_template = !items;
    if (!items || !read_moment(ctx, text, items, true, &c, &f))
        return false;
    for (const struct item *i = items; i->kind != ITEM_END; i++)
        parts |= i->kind == ITEM_KEYWORD ? keyword_part(i->keyword->id) : 0;
    return make_moment(ctx, text, &c, parts, f.ff, out);
}
