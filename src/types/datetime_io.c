/* Reading date, time, timestamp and timestamptz literals as PostgreSQL does (DateStyle ISO, MDY).
 *
 * Fields are taken left to right; what a number means depends on which parts are already known (`seen`, one bit
 * each), and a part given twice is an error. Values are checked at the end, when all parts are there. The words
 * 'now', 'today' and so on are refused: their meaning changes, so a row could not be taken back. */
#include "types/datetime_tokens.h"
#include "types/text_io.h"
#include <limits.h>
#include <math.h>
#include <stdlib.h>

enum {
    PART_YEAR = 1,
    PART_MONTH = 2,
    PART_DAY = 4,
    PART_HOUR = 8,
    PART_MINUTE = 16,
    PART_SECOND = 32,
    PART_SUBSECOND = 64,
    PART_DAY_OF_YEAR = 128,
    PART_ZONE = 256,
    PART_DST = 512,
    PART_DST_MODIFIER = 1024,
    PART_MERIDIAN = 2048,
    PART_ERA = 4096,
    PART_WEEKDAY = 8192,
    PART_RESERVED = 16384,
    PARTS_DATE = PART_YEAR | PART_MONTH | PART_DAY,
    PARTS_SECONDS = PART_SECOND | PART_SUBSECOND,
    PARTS_TIME = PART_HOUR | PART_MINUTE | PARTS_SECONDS
};
#define ZONE_HOUR_MAX 15

struct reader {
    struct field_list fields;
    uint32_t at;    /* field being taken */
    bool time_only; /* input of type time: the date is optional, and assumed known for run-together digits */
    unsigned seen, now; /* parts taken so far, and by this field */
    int year, month, day, day_of_year, hour, minute, second, usec;
    int meridian;
    bool bc, text_month, two_digit_year, is_julian;
    enum unit label; /* of a labelled number ("y2001", "j2451187") or T before a time; UNIT_UNKNOWN: none */
    int offset;
    const void *zone;        /* named zone, its offset found at the end */
    const void *abbrev_zone; /* abbreviation whose meaning depends on the date */
    const char *abbrev;
    bool is_reserved;
    int reserved; /* enum reserved_word */
    const char *bad_zone;
};

static enum dt_result read_subseconds(const char *point, int *usec)
{
    double fraction;
    if (!read_fraction(point, &fraction))
        return DT_BAD_FORMAT;
    *usec = (int)rint(fraction * 1000000);
    return DT_OK;
}

static int digits_value(const char *p, size_t n)
{
    int64_t v = 0;
    for (size_t i = 0; i < n && ascii_digit(p[i]); i++)
        v = v > INT_MAX ? v : v * 10 + (p[i] - '0');
    return v > INT_MAX ? INT_MAX : (int)v;
}

/* "+02", "-0330", "+01:30:15". */
enum dt_result offset_parse(const char *text, int *offset)
{
    char *p = (char *)text + 1;
    int hour, minute = 0, second = 0;
    if (*text != '+' && *text != '-')
        return DT_BAD_FORMAT;
    if (!read_int(&p, &hour))
        return DT_ZONE_OVERFLOW;
    if (*p == ':') {
        p++;
        if (!read_int(&p, &minute))
            return DT_ZONE_OVERFLOW;
        if (*p == ':') {
            p++;
            if (!read_int(&p, &second))
                return DT_ZONE_OVERFLOW;
        }
    } else if (*p == '\0' && strlen(text) > 3) {
        minute = hour % 100;
        hour /= 100;
    }
    if (hour < 0 || hour > ZONE_HOUR_MAX || minute < 0 || minute >= 60 || second < 0 || second >= 60)
        return DT_ZONE_OVERFLOW;
    *offset = (hour * 60 + minute) * 60 + second;
    if (*text == '-')
        *offset = -*offset;
    return *p ? DT_BAD_FORMAT : DT_OK;
}

/* "04:05", "04:05:06.789", and mm:ss.fff. */
static enum dt_result take_clock(struct reader *r, char *text)
{
    char *p = text;
    enum dt_result res = DT_OK;
    r->now = PARTS_TIME;
    r->second = r->usec = 0;
    if (!read_int(&p, &r->hour))
        return DT_FIELD_OVERFLOW;
    if (*p++ != ':')
        return DT_BAD_FORMAT;
    if (!read_int(&p, &r->minute))
        return DT_FIELD_OVERFLOW;
    if (*p == '.') {
        r->second = r->minute;
        r->minute = r->hour;
        r->hour = 0;
        res = read_subseconds(p, &r->usec);
    } else if (*p == ':') {
        p++;
        if (!read_int(&p, &r->second))
            return DT_FIELD_OVERFLOW;
        if (*p == '.')
            res = read_subseconds(p, &r->usec);
        else if (*p)
            return DT_BAD_FORMAT;
    } else if (*p) {
        return DT_BAD_FORMAT;
    }
    if (res != DT_OK)
        return res;
    bool fine = r->hour >= 0 && r->minute >= 0 && r->minute <= 59 && r->second >= 0 && r->second <= 60;
    return fine && r->usec >= 0 && r->usec <= USECS_PER_SEC ? DT_OK : DT_FIELD_OVERFLOW;
}

/* Digits run together: [yy]yymmdd, hhmmss[.fff], hhmm. */
static enum dt_result take_run(struct reader *r, char *text, unsigned seen)
{
    char *point = strchr(text, '.');
    if (point) {
        double usec = rint(strtod(point, NULL) * 1000000);
        if (!(fabs(usec) <= INT_MAX)) // An exponent may follow: '000000.1e99'.
            return DT_BAD_FORMAT;
        r->usec = (int)usec;
        *point = '\0';
    }
    size_t len = strlen(text);
    if (!point && (seen & PARTS_DATE) != PARTS_DATE && len >= 6) {
        r->now = PARTS_DATE;
        r->day = digits_value(text + len - 2, 2);
        r->month = digits_value(text + len - 4, 2);
        r->year = digits_value(text, len - 4);
        if (len - 4 == 2)
            r->two_digit_year = true;
        return DT_OK;
    }
    if ((seen & PARTS_TIME) == PARTS_TIME || (len != 6 && len != 4))
        return DT_BAD_FORMAT;
    r->now = PARTS_TIME;
    r->hour = digits_value(text, 2);
    r->minute = digits_value(text + 2, 2);
    r->second = len == 6 ? digits_value(text + 4, 2) : 0;
    return DT_OK;
}

/* Which part of a date the next number is, in the order month, day, year. */
static enum dt_result place_number(struct reader *r, size_t len, int v, unsigned seen)
{
    switch (seen & PARTS_DATE) {
    case 0: r->now = len >= 3 ? PART_YEAR : PART_MONTH; break;
    case PART_YEAR:
    case PART_DAY: r->now = PART_MONTH; break;
    case PART_MONTH: r->now = r->text_month && len >= 3 ? PART_YEAR : PART_DAY; break;
    case PART_MONTH | PART_DAY: r->now = PART_YEAR; break;
    case PART_YEAR | PART_MONTH:
        r->now = PART_DAY;
        if (r->text_month && len >= 3 && r->two_digit_year) { /* 02-Jan-2024: the first was the day */
            r->day = r->year;
            r->year = v;
            r->two_digit_year = false;
            return DT_OK;
        }
        break;
    default: return DT_BAD_FORMAT;
    }
    if (r->now == PART_YEAR) {
        r->year = v;
        r->two_digit_year = len <= 2;
    } else if (r->now == PART_MONTH) {
        r->month = v;
    } else {
        r->day = v;
    }
    return DT_OK;
}

static enum dt_result take_number(struct reader *r, char *text, unsigned seen)
{
    char *p = text;
    int v;
    size_t len = strlen(text);
    r->now = 0;
    if (!read_int(&p, &v))
        return DT_FIELD_OVERFLOW;
    if (p == text)
        return DT_BAD_FORMAT;
    if (*p == '.') {
        if (p - text > 2)
            return take_run(r, text, seen | PARTS_DATE);
        enum dt_result res = read_subseconds(p, &r->usec);
        if (res != DT_OK)
            return res;
    } else if (*p) {
        return DT_BAD_FORMAT;
    }
    if (len == 3 && (seen & PARTS_DATE) == PART_YEAR && v >= 1 && v <= 366) {
        r->now = PART_DAY_OF_YEAR | PART_MONTH | PART_DAY;
        r->day_of_year = v;
        return DT_OK;
    }
    if ((seen & PARTS_DATE) == PARTS_DATE)
        return take_run(r, text, seen);
    return place_number(r, len, v, seen);
}

struct date_pieces {
    uint32_t count;
    char *text[FIELD_MAX];
};

/* Cuts at anything that is neither digit nor letter, and between the two. False when it ends in a separator. */
static bool cut_date(char *p, struct date_pieces *d)
{
    d->count = 0;
    while (*p && d->count < FIELD_MAX) {
        while (*p && !ascii_digit(*p) && !ascii_alpha(*p))
            p++;
        if (!*p)
            return false;
        d->text[d->count++] = p;
        bool digits = ascii_digit(*p);
        while (digits ? ascii_digit(*p) : ascii_alpha(*p))
            p++;
        if (*p)
            *p++ = '\0';
    }
    return true;
}

/* Month names among the pieces are taken first: they leave no doubt. */
static enum dt_result take_month_names(struct reader *r, struct date_pieces *d, unsigned *taken)
{
    for (uint32_t i = 0; i < d->count; i++) {
        if (!ascii_alpha(d->text[i][0]))
            continue;
        const struct word *w = date_word_find(d->text[i]);
        if (w && w->kind == WORD_IGNORED)
            continue;
        if (!w || w->kind != WORD_MONTH || ((r->seen | *taken) & PART_MONTH))
            return DT_BAD_FORMAT;
        r->month = w->value;
        r->text_month = true;
        *taken |= PART_MONTH;
        d->text[i] = NULL;
    }
    return DT_OK;
}

static enum dt_result take_date(struct reader *r, char *text)
{
    struct date_pieces d;
    unsigned taken = 0;
    bool text_month_before = r->text_month;
    if (!cut_date(text, &d))
        return DT_BAD_FORMAT;
    r->text_month = false;
    enum dt_result res = take_month_names(r, &d, &taken);
    for (uint32_t i = 0; res == DT_OK && i < d.count; i++) {
        if (!d.text[i])
            continue;
        res = take_number(r, d.text[i], r->seen | taken);
        if (res == DT_OK && ((r->seen | taken) & r->now))
            res = DT_BAD_FORMAT;
        taken |= r->now;
    }
    r->text_month = text_month_before;
    r->now = taken;
    if (res == DT_OK && ((r->seen | taken) & ~(unsigned)(PART_DAY_OF_YEAR | PART_ZONE)) != PARTS_DATE)
        return DT_BAD_FORMAT;
    return res;
}

/* hhmmss-zz: a run-together time with an offset. */
static enum dt_result take_run_with_offset(struct reader *r, char *text)
{
    char *minus = strchr(text, '-');
    if ((r->seen & PARTS_TIME) == PARTS_TIME || !minus)
        return DT_BAD_FORMAT;
    enum dt_result res = offset_parse(minus, &r->offset);
    if (res != DT_OK)
        return res;
    *minus = '\0';
    res = take_run(r, text, r->time_only ? r->seen | PARTS_DATE : r->seen);
    r->now |= PART_ZONE;
    return res;
}

static enum dt_result take_zone_name(struct reader *r, char *text, enum dt_result if_unknown)
{
    r->zone = zone_find(text, strlen(text));
    r->now = PART_ZONE;
    if (!r->zone)
        r->bad_zone = text;
    return r->zone ? DT_OK : if_unknown;
}

static void set_julian(struct reader *r, int v)
{
    int64_t year;
    date_to_civil((int64_t)v - PG_EPOCH_JULIAN, &year, &r->month, &r->day);
    r->year = (int)year;
    r->is_julian = true;
}

/* j2451187-08: a Julian day with an offset. */
static enum dt_result take_julian_with_offset(struct reader *r, char *text)
{
    char *p = text;
    int v;
    if (!read_int(&p, &v) || v < 0)
        return DT_FIELD_OVERFLOW;
    set_julian(r, v);
    r->now = PARTS_DATE | PARTS_TIME | PART_ZONE;
    r->label = UNIT_UNKNOWN;
    return offset_parse(p, &r->offset);
}

static enum dt_result take_date_field(struct reader *r, char *text)
{
    if (r->time_only) {
        const struct field_list *f = &r->fields;
        if (r->at == 0 && f->count >= 2 && (f->kind[f->count - 1] == FIELD_DATE || f->kind[1] == FIELD_TIME))
            return take_date(r, text);
    } else {
        if (r->label == UNIT_JULIAN)
            return take_julian_with_offset(r, text);
        unsigned month_and_day = PART_MONTH | PART_DAY; /* once these are known it is a time or a zone */
        if ((r->seen & month_and_day) != month_and_day && r->label == UNIT_UNKNOWN)
            return take_date(r, text);
        if (r->label != UNIT_UNKNOWN && r->label != UNIT_TIME)
            return DT_BAD_FORMAT;
        if (r->label == UNIT_TIME || ascii_digit(*text)) {
            r->label = UNIT_UNKNOWN;
            return take_run_with_offset(r, text);
        }
    }
    if (ascii_digit(*text))
        return take_run_with_offset(r, text);
    return take_zone_name(r, text, DT_BAD_ZONE);
}

static enum dt_result take_time_field(struct reader *r, char *text)
{
    if (!r->time_only && r->label != UNIT_UNKNOWN) {
        if (r->label != UNIT_TIME)
            return DT_BAD_FORMAT;
        r->label = UNIT_UNKNOWN;
    }
    enum dt_result res = take_clock(r, text);
    if (res == DT_OK && !r->time_only && !time_fields_valid(r->hour, r->minute, r->second, r->usec))
        return DT_FIELD_OVERFLOW;
    return res;
}

static enum dt_result take_julian(struct reader *r, int v, char *rest)
{
    double fraction;
    if (v < 0)
        return DT_FIELD_OVERFLOW;
    set_julian(r, v);
    r->now = PARTS_DATE;
    if (*rest != '.')
        return DT_OK;
    if (!read_fraction(rest, &fraction))
        return DT_BAD_FORMAT;
    struct civil c;
    civil_from_ts((int64_t)(fraction * (double)USECS_PER_DAY), &c);
    r->hour = c.hour;
    r->minute = c.minute;
    r->second = c.second;
    r->usec = c.usec;
    r->now |= PARTS_TIME;
    return DT_OK;
}

static enum dt_result take_labelled_time(struct reader *r, char *text)
{
    enum dt_result res = take_run(r, text, r->seen | PARTS_DATE);
    return res == DT_OK && r->now != PARTS_TIME ? DT_BAD_FORMAT : res;
}

/* y2001m02d04, h04m05s06.7, j2451187.5, T040506: numbers after a letter. */
static enum dt_result take_labelled(struct reader *r, char *text)
{
    enum unit label = r->label;
    char *p = text;
    int v;
    if (!read_int(&p, &v))
        return DT_FIELD_OVERFLOW;
    bool fraction_allowed = label == UNIT_JULIAN || label == UNIT_TIME || label == UNIT_SECOND;
    if (*p && (*p != '.' || !fraction_allowed))
        return DT_BAD_FORMAT;
    r->label = UNIT_UNKNOWN;
    r->is_reserved = false;
    switch (label) {
    case UNIT_YEAR:
        r->year = v;
        r->now = PART_YEAR;
        return DT_OK;
    case UNIT_MONTH: /* or minutes, after an hour */
        r->now = (r->seen & PART_MONTH) && (r->seen & PART_HOUR) ? PART_MINUTE : PART_MONTH;
        *(r->now == PART_MINUTE ? &r->minute : &r->month) = v;
        return DT_OK;
    case UNIT_DAY:
        r->day = v;
        r->now = PART_DAY;
        return DT_OK;
    case UNIT_HOUR:
        r->hour = v;
        r->now = PART_HOUR;
        return DT_OK;
    case UNIT_MINUTE:
        r->minute = v;
        r->now = PART_MINUTE;
        return DT_OK;
    case UNIT_SECOND:
        r->second = v;
        r->now = *p == '.' ? PARTS_SECONDS : PART_SECOND;
        return *p == '.' ? read_subseconds(p, &r->usec) : DT_OK;
    case UNIT_JULIAN: return take_julian(r, v, p);
    case UNIT_TIME: return take_labelled_time(r, text);
    default: return DT_BAD_FORMAT;
    }
}

static enum dt_result take_number_of_time(struct reader *r, char *text)
{
    const struct field_list *f = &r->fields;
    char *point = strchr(text, '.');
    unsigned seen = r->seen | PARTS_DATE;
    if (point) {
        if (r->at == 0 && f->count >= 2 && f->kind[f->count - 1] == FIELD_DATE)
            return take_date(r, text);
        return point - text > 2 ? take_run(r, text, seen) : DT_BAD_FORMAT;
    }
    return strlen(text) > 4 ? take_run(r, text, seen) : take_number(r, text, seen);
}

static enum dt_result take_number_field_of(struct reader *r, char *text)
{
    if (r->label != UNIT_UNKNOWN)
        return take_labelled(r, text);
    if (r->time_only)
        return take_number_of_time(r, text);
    char *point = strchr(text, '.');
    size_t len = strlen(text);
    if (point && !(r->seen & PARTS_DATE))
        return take_date(r, text);
    if (point && point - text > 2)
        return take_run(r, text, r->seen);
    if (len >= 6 && (!(r->seen & PARTS_DATE) || !(r->seen & PARTS_TIME)))
        return take_run(r, text, r->seen);
    return take_number(r, text, r->seen);
}

static enum dt_result take_reserved(struct reader *r, int word)
{
    if (word == RESERVED_NOT_PURE)
        return DT_NOT_PURE;
    if (word == RESERVED_MIDNIGHT_UTC) {
        r->now = PARTS_TIME | PART_ZONE;
        r->is_reserved = false;
        r->hour = r->minute = r->second = r->offset = 0;
        return DT_OK;
    }
    if (r->time_only)
        return DT_BAD_FORMAT;
    r->now = PART_RESERVED; /* a date or time beside it is checked and ignored */
    r->is_reserved = true;
    r->reserved = word;
    return DT_OK;
}

static void take_month(struct reader *r, int month)
{
    r->now = PART_MONTH;
    /* A number came first and was taken for the month: it is the day. */
    if ((r->seen & PART_MONTH) && !r->text_month && !(r->seen & PART_DAY) && r->month >= 1 &&
        r->month <= 31) {
        r->day = r->month;
        r->now = PART_DAY;
    }
    r->text_month = true;
    r->month = month;
}

static enum dt_result take_iso_time_label(struct reader *r)
{
    const struct field_list *f = &r->fields;
    if (!r->time_only && (r->seen & PARTS_DATE) != PARTS_DATE)
        return DT_BAD_FORMAT;
    if (r->at + 1 >= f->count)
        return DT_BAD_FORMAT;
    enum field_kind next = f->kind[r->at + 1];
    if (next != FIELD_NUMBER && next != FIELD_TIME && next != FIELD_DATE)
        return DT_BAD_FORMAT;
    r->label = UNIT_TIME;
    return DT_OK;
}

static enum dt_result take_known_word(struct reader *r, const struct word *w)
{
    switch (w->kind) {
    case WORD_IGNORED: return DT_OK;
    case WORD_RESERVED: return take_reserved(r, w->value);
    case WORD_MONTH:
        if (r->time_only)
            return DT_BAD_FORMAT;
        take_month(r, w->value);
        return DT_OK;
    case WORD_WEEKDAY: r->now = PART_WEEKDAY; return r->time_only ? DT_BAD_FORMAT : DT_OK;
    case WORD_MERIDIAN:
        r->meridian = w->value;
        r->now = PART_MERIDIAN;
        return DT_OK;
    case WORD_ERA:
        r->bc = w->value == 1;
        r->now = PART_ERA;
        return DT_OK;
    case WORD_DST_MODIFIER:
        r->now = PART_DST_MODIFIER | PART_DST;
        r->offset += w->value;
        return DT_OK;
    case WORD_UNIT: r->label = (enum unit)w->value; return DT_OK;
    case WORD_ISO_TIME: return take_iso_time_label(r);
    }
    return DT_BAD_FORMAT;
}

static enum dt_result take_word(struct reader *r, char *text)
{
    int offset;
    bool is_dst;
    const void *zone;
    if (zone_abbrev_find(text, strlen(text), &offset, &is_dst, &zone)) {
        r->now = PART_ZONE | (is_dst ? PART_DST : 0);
        if (zone) {
            r->abbrev_zone = zone;
            r->abbrev = text;
        } else {
            r->offset = offset;
        }
        return DT_OK;
    }
    const struct word *w = date_word_find(text);
    return w ? take_known_word(r, w) : take_zone_name(r, text, DT_BAD_FORMAT);
}

static enum dt_result take_field(struct reader *r)
{
    char *text = r->fields.text[r->at];
    r->now = 0;
    switch (r->fields.kind[r->at]) {
    case FIELD_DATE: return take_date_field(r, text);
    case FIELD_TIME: return take_time_field(r, text);
    case FIELD_ZONE: r->now = PART_ZONE; return offset_parse(text, &r->offset);
    case FIELD_NUMBER: return take_number_field_of(r, text);
    case FIELD_STRING:
    case FIELD_SPECIAL: return take_word(r, text);
    }
    return DT_BAD_FORMAT;
}

static enum dt_result check_year(struct reader *r)
{
    if (r->is_julian)
        return DT_OK;
    if (r->bc) {
        if (r->year <= 0)
            return DT_FIELD_OVERFLOW;
        r->year = -(r->year - 1);
        return DT_OK;
    }
    if (r->two_digit_year) {
        if (r->year < 0)
            return DT_FIELD_OVERFLOW;
        r->year += r->year < 70 ? 2000 : r->year < 100 ? 1900 : 0;
        return DT_OK;
    }
    return r->year <= 0 ? DT_FIELD_OVERFLOW : DT_OK;
}

static enum dt_result check_date(struct reader *r)
{
    if (r->seen & PART_YEAR) {
        enum dt_result res = check_year(r);
        if (res != DT_OK)
            return res;
    }
    if (r->seen & PART_DAY_OF_YEAR) {
        int64_t year;
        date_to_civil(date_from_civil(r->year, 1, 1) + r->day_of_year - 1, &year, &r->month, &r->day);
        r->year = (int)year;
    }
    if ((r->seen & PART_MONTH) && (r->month < 1 || r->month > 12))
        return DT_FIELD_OVERFLOW;
    if ((r->seen & PART_DAY) && (r->day < 1 || r->day > 31))
        return DT_FIELD_OVERFLOW;
    if ((r->seen & PARTS_DATE) == PARTS_DATE && r->day > days_in_month(r->year, r->month))
        return DT_FIELD_OVERFLOW;
    return DT_OK;
}

static enum dt_result apply_meridian(struct reader *r)
{
    if (r->meridian && r->hour > 12)
        return DT_FIELD_OVERFLOW;
    if (r->meridian == 1 && r->hour == 12)
        r->hour = 0;
    else if (r->meridian == 2 && r->hour != 12)
        r->hour += 12;
    return DT_OK;
}

static enum dt_result check_time_only(const struct reader *r)
{
    int ignored;
    if (!time_fields_valid(r->hour, r->minute, r->second, r->usec))
        return DT_FIELD_OVERFLOW;
    if ((r->seen & PARTS_TIME) != PARTS_TIME)
        return DT_BAD_FORMAT;
    if ((r->zone || !(r->seen & PART_ZONE)) && (r->seen & PART_DST_MODIFIER))
        return DT_BAD_FORMAT;
    if (r->zone) {
        /* The zone does not matter to the result, but PostgreSQL asks for a date when it would. */
        if (!zone_fixed_offset(r->zone, &ignored) && (r->seen & PARTS_DATE) != PARTS_DATE)
            return DT_BAD_FORMAT;
    }
    return DT_OK;
}

static enum dt_result read_literal(struct reader *r, bool time_only, const char *text, size_t len)
{
    memset(r, 0, sizeof *r);
    r->time_only = time_only;
    r->label = UNIT_UNKNOWN;
    enum dt_result res = field_list_parse(&r->fields, FIELD_ROOM_DATE, text, len);
    for (r->at = 0; res == DT_OK && r->at < r->fields.count; r->at++) {
        res = take_field(r);
        if (res == DT_OK && (r->seen & r->now))
            res = DT_BAD_FORMAT;
        r->seen |= r->now;
    }
    if (res == DT_OK)
        res = check_date(r);
    if (res == DT_OK)
        res = apply_meridian(r);
    if (res != DT_OK)
        return res;
    if (time_only)
        return check_time_only(r);
    if (!r->is_reserved && (r->seen & PARTS_DATE) != PARTS_DATE)
        return DT_BAD_FORMAT;
    if (!r->is_reserved && (r->zone || !(r->seen & PART_ZONE)) && (r->seen & PART_DST_MODIFIER))
        return DT_BAD_FORMAT;
    return DT_OK;
}

/* A failed read: the text as reported is the literal's, of an unknown zone the zone's. */
static bool read_fail(struct fn_ctx *ctx, const struct reader *r, enum dt_result res, const char *type,
                      const char *text, size_t len)
{
    if (res == DT_BAD_ZONE)
        return dt_fail(ctx, res, type, r->bad_zone, strlen(r->bad_zone));
    return dt_fail(ctx, res, type, text, len);
}

static void reader_civil(const struct reader *r, struct civil *c)
{
    *c = (struct civil){r->year, r->month, r->day, r->hour, r->minute, r->second, r->usec, r->offset, NULL};
}

bool input_date(struct fn_ctx *ctx, struct type t, const char *text, size_t len, union val *out)
{
    struct reader r;
    (void)t;
    enum dt_result res = read_literal(&r, false, text, len);
    if (res != DT_OK)
        return read_fail(ctx, &r, res, "date", text, len);
    if (r.is_reserved) {
        out->i = r.reserved == RESERVED_LATE    ? DATE_INFINITY
                 : r.reserved == RESERVED_EARLY ? DATE_NEG_INFINITY
                                                : -UNIX_TO_PG_SECS / SECS_PER_DAY;
        return true;
    }
    out->i = date_from_civil(r.year, r.month, r.day);
    if (!civil_date_valid(r.year, r.month) || !date_in_range(out->i))
        return dt_fail(ctx, DT_RANGE, "date", text, len);
    return true;
}

bool input_time(struct fn_ctx *ctx, struct type t, const char *text, size_t len, union val *out)
{
    struct reader r;
    struct civil c;
    enum dt_result res = read_literal(&r, true, text, len);
    if (res != DT_OK)
        return read_fail(ctx, &r, res, "time", text, len);
    reader_civil(&r, &c);
    out->i = civil_time_of_day(&c);
    return t.typmod < 0 || typmod_datetime(ctx, t, out);
}

static int64_t reserved_ts(int word)
{
    return word == RESERVED_LATE    ? TS_INFINITY
           : word == RESERVED_EARLY ? TS_NEG_INFINITY
                                    : -UNIX_TO_PG_SECS * USECS_PER_SEC;
}

bool input_timestamp(struct fn_ctx *ctx, struct type t, const char *text, size_t len, union val *out)
{
    struct reader r;
    struct civil c;
    enum dt_result res = read_literal(&r, false, text, len);
    if (res != DT_OK)
        return read_fail(ctx, &r, res, "timestamp", text, len);
    reader_civil(&r, &c);
    if (r.is_reserved)
        out->i = reserved_ts(r.reserved);
    else if (!civil_to_ts(&c, &out->i))
        return dt_fail(ctx, DT_RANGE, "timestamp", text, len);
    return t.typmod < 0 || typmod_datetime(ctx, t, out);
}

/* Offset in force at the local time that was read. */
static void reader_offset(const struct reader *r, const void *session_zone, struct civil *c)
{
    int64_t local = date_from_civil(c->year, c->month, c->day) * SECS_PER_DAY +
                    floor_div(civil_time_of_day(c), USECS_PER_SEC) + UNIX_TO_PG_SECS;
    if (r->abbrev_zone)
        c->offset = zone_offset_abbrev_local(r->abbrev_zone, r->abbrev, local);
    else if (r->zone)
        c->offset = zone_offset_local(r->zone, local);
    else if (!(r->seen & PART_ZONE))
        c->offset = zone_offset_local(session_zone, local);
}

/* Without a date only an offset that no date changes will do. */
static bool timetz_offset(struct fn_ctx *ctx, const struct reader *r, struct civil *c)
{
    if ((r->seen & PARTS_DATE) == PARTS_DATE) {
        reader_offset(r, ctx->zone, c);
        return true;
    }
    const void *zone = r->seen & PART_ZONE ? r->zone : ctx->zone;
    if (!r->abbrev_zone && (!zone || zone_fixed_offset(zone, &c->offset)))
        return true;
    return fn_fail(ctx, FN_UNSUPPORTED, "the time zone's offset depends on the date: write an offset");
}

bool input_timetz(struct fn_ctx *ctx, struct type t, const char *text, size_t len, union val *out)
{
    struct reader r;
    struct civil c;
    enum dt_result res = read_literal(&r, true, text, len);
    if (res != DT_OK)
        return read_fail(ctx, &r, res, "time with time zone", text, len);
    reader_civil(&r, &c);
    if (!timetz_offset(ctx, &r, &c))
        return false;
    if (c.offset <= -TIMETZ_OFFSET_END || c.offset >= TIMETZ_OFFSET_END)
        return fn_fail(ctx, FN_ZONE_RANGE, "time zone displacement out of range: \"%.*s\"", (int)len, text);
    out->iv = (struct interval){civil_time_of_day(&c), c.offset, 0};
    return t.typmod < 0 || typmod_datetime(ctx, t, out);
}

bool input_timestamptz(struct fn_ctx *ctx, struct type t, const char *text, size_t len, union val *out)
{
    struct reader r;
    struct civil c;
    enum dt_result res = read_literal(&r, false, text, len);
    if (res != DT_OK)
        return read_fail(ctx, &r, res, "timestamp with time zone", text, len);
    reader_civil(&r, &c);
    if (r.is_reserved) {
        out->i = reserved_ts(r.reserved);
    } else {
        reader_offset(&r, ctx->zone, &c);
        if (!civil_to_tstz_offset(&c, &out->i))
            return dt_fail(ctx, DT_RANGE, "timestamp", text, len);
    }
    return t.typmod < 0 || typmod_datetime(ctx, t, out);
}

bool typmod_datetime(struct fn_ctx *ctx, struct type t, union val *v)
{
    if (t.typmod < 0)
        return true;
    if (t.id == T_INTERVAL)
        return interval_apply_typmod(ctx, t.typmod, &v->iv);
    if (t.id == T_DATE)
        return true;
    if (t.typmod > TIME_PRECISION_MAX) {
        if (t.id == T_TIME || t.id == T_TIMETZ)
            return true;
        return fn_fail(ctx, FN_BAD_ARGUMENT, "timestamp(%d) precision must be between 0 and 6", t.typmod);
    }
    if (t.id == T_TIMETZ)
        v->iv.usecs = round_usecs(v->iv.usecs, t.typmod);
    else if (t.id == T_TIME || ts_is_finite(v->i))
        v->i = round_usecs(v->i, t.typmod);
    return true;
}
