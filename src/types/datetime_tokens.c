/* Words and fields of date, time and interval literals: the part that their readers share.
 *
 * A literal is cut into fields by their first characters and separators alone (as PostgreSQL's accepted formats
 * demand: "1/2/2024" is one field, "12:30" another, "Europe/Berlin" a third); what a field means is decided by
 * the readers in datetime_io.c and interval.c. */
#include "types/datetime_tokens.h"
#include <errno.h>
#include <stdlib.h>

#define WORD_MAX 10 /* characters of a word that count */

/* clang-format off */
static const struct word date_words[] = { /* sorted */
    {"-infinity", WORD_RESERVED, RESERVED_EARLY},
    {"ad", WORD_ERA, 0}, {"allballs", WORD_RESERVED, RESERVED_MIDNIGHT_UTC}, {"am", WORD_MERIDIAN, 1},
    {"apr", WORD_MONTH, 4}, {"april", WORD_MONTH, 4}, {"at", WORD_IGNORED, 0}, {"aug", WORD_MONTH, 8},
    {"august", WORD_MONTH, 8}, {"bc", WORD_ERA, 1}, {"d", WORD_UNIT, UNIT_DAY}, {"dec", WORD_MONTH, 12},
    {"december", WORD_MONTH, 12}, {"dow", WORD_UNIT, UNIT_DOW}, {"doy", WORD_UNIT, UNIT_DOY},
    {"dst", WORD_DST_MODIFIER, 3600}, {"epoch", WORD_RESERVED, RESERVED_EPOCH}, {"feb", WORD_MONTH, 2},
    {"february", WORD_MONTH, 2}, {"fri", WORD_WEEKDAY, 5}, {"friday", WORD_WEEKDAY, 5},
    {"h", WORD_UNIT, UNIT_HOUR}, {"infinity", WORD_RESERVED, RESERVED_LATE}, {"isodow", WORD_UNIT, UNIT_ISODOW},
    {"isoyear", WORD_UNIT, UNIT_ISOYEAR}, {"j", WORD_UNIT, UNIT_JULIAN}, {"jan", WORD_MONTH, 1},
    {"january", WORD_MONTH, 1}, {"jd", WORD_UNIT, UNIT_JULIAN}, {"jul", WORD_MONTH, 7},
    {"julian", WORD_UNIT, UNIT_JULIAN}, {"july", WORD_MONTH, 7}, {"jun", WORD_MONTH, 6}, {"june", WORD_MONTH, 6},
    {"m", WORD_UNIT, UNIT_MONTH}, {"mar", WORD_MONTH, 3}, {"march", WORD_MONTH, 3}, {"may", WORD_MONTH, 5},
    {"mm", WORD_UNIT, UNIT_MINUTE}, {"mon", WORD_WEEKDAY, 1}, {"monday", WORD_WEEKDAY, 1},
    {"nov", WORD_MONTH, 11}, {"november", WORD_MONTH, 11}, {"now", WORD_RESERVED, RESERVED_NOT_PURE},
    {"oct", WORD_MONTH, 10}, {"october", WORD_MONTH, 10}, {"on", WORD_IGNORED, 0}, {"pm", WORD_MERIDIAN, 2},
    {"s", WORD_UNIT, UNIT_SECOND}, {"sat", WORD_WEEKDAY, 6}, {"saturday", WORD_WEEKDAY, 6},
    {"sep", WORD_MONTH, 9}, {"sept", WORD_MONTH, 9}, {"september", WORD_MONTH, 9}, {"sun", WORD_WEEKDAY, 0},
    {"sunday", WORD_WEEKDAY, 0}, {"t", WORD_ISO_TIME, UNIT_TIME}, {"thu", WORD_WEEKDAY, 4},
    {"thur", WORD_WEEKDAY, 4}, {"thurs", WORD_WEEKDAY, 4}, {"thursday", WORD_WEEKDAY, 4},
    {"today", WORD_RESERVED, RESERVED_NOT_PURE}, {"tomorrow", WORD_RESERVED, RESERVED_NOT_PURE},
    {"tue", WORD_WEEKDAY, 2}, {"tues", WORD_WEEKDAY, 2}, {"tuesday", WORD_WEEKDAY, 2},
    {"wed", WORD_WEEKDAY, 3}, {"wednesday", WORD_WEEKDAY, 3}, {"weds", WORD_WEEKDAY, 3},
    {"y", WORD_UNIT, UNIT_YEAR}, {"yesterday", WORD_RESERVED, RESERVED_NOT_PURE},
};
static const struct word unit_words[] = { /* sorted; longer words end at ten characters */
    {"c", WORD_UNIT, UNIT_CENTURY}, {"cent", WORD_UNIT, UNIT_CENTURY}, {"centuries", WORD_UNIT, UNIT_CENTURY},
    {"century", WORD_UNIT, UNIT_CENTURY}, {"d", WORD_UNIT, UNIT_DAY}, {"day", WORD_UNIT, UNIT_DAY},
    {"days", WORD_UNIT, UNIT_DAY}, {"dec", WORD_UNIT, UNIT_DECADE}, {"decade", WORD_UNIT, UNIT_DECADE},
    {"decades", WORD_UNIT, UNIT_DECADE}, {"decs", WORD_UNIT, UNIT_DECADE}, {"h", WORD_UNIT, UNIT_HOUR},
    {"hour", WORD_UNIT, UNIT_HOUR}, {"hours", WORD_UNIT, UNIT_HOUR}, {"hr", WORD_UNIT, UNIT_HOUR},
    {"hrs", WORD_UNIT, UNIT_HOUR}, {"m", WORD_UNIT, UNIT_MINUTE}, {"microsecon", WORD_UNIT, UNIT_MICROSECOND},
    {"mil", WORD_UNIT, UNIT_MILLENNIUM}, {"millennia", WORD_UNIT, UNIT_MILLENNIUM},
    {"millennium", WORD_UNIT, UNIT_MILLENNIUM}, {"millisecon", WORD_UNIT, UNIT_MILLISECOND},
    {"mils", WORD_UNIT, UNIT_MILLENNIUM}, {"min", WORD_UNIT, UNIT_MINUTE}, {"mins", WORD_UNIT, UNIT_MINUTE},
    {"minute", WORD_UNIT, UNIT_MINUTE}, {"minutes", WORD_UNIT, UNIT_MINUTE}, {"mon", WORD_UNIT, UNIT_MONTH},
    {"mons", WORD_UNIT, UNIT_MONTH}, {"month", WORD_UNIT, UNIT_MONTH}, {"months", WORD_UNIT, UNIT_MONTH},
    {"ms", WORD_UNIT, UNIT_MILLISECOND}, {"msec", WORD_UNIT, UNIT_MILLISECOND},
    {"msecond", WORD_UNIT, UNIT_MILLISECOND}, {"mseconds", WORD_UNIT, UNIT_MILLISECOND},
    {"msecs", WORD_UNIT, UNIT_MILLISECOND}, {"qtr", WORD_UNIT, UNIT_QUARTER},
    {"quarter", WORD_UNIT, UNIT_QUARTER}, {"s", WORD_UNIT, UNIT_SECOND}, {"sec", WORD_UNIT, UNIT_SECOND},
    {"second", WORD_UNIT, UNIT_SECOND}, {"seconds", WORD_UNIT, UNIT_SECOND}, {"secs", WORD_UNIT, UNIT_SECOND},
    {"timezone", WORD_UNIT, UNIT_TIMEZONE}, {"timezone_h", WORD_UNIT, UNIT_TIMEZONE_HOUR},
    {"timezone_m", WORD_UNIT, UNIT_TIMEZONE_MINUTE}, {"us", WORD_UNIT, UNIT_MICROSECOND},
    {"usec", WORD_UNIT, UNIT_MICROSECOND}, {"usecond", WORD_UNIT, UNIT_MICROSECOND},
    {"useconds", WORD_UNIT, UNIT_MICROSECOND}, {"usecs", WORD_UNIT, UNIT_MICROSECOND},
    {"w", WORD_UNIT, UNIT_WEEK}, {"week", WORD_UNIT, UNIT_WEEK}, {"weeks", WORD_UNIT, UNIT_WEEK},
    {"y", WORD_UNIT, UNIT_YEAR}, {"year", WORD_UNIT, UNIT_YEAR}, {"years", WORD_UNIT, UNIT_YEAR},
    {"yr", WORD_UNIT, UNIT_YEAR}, {"yrs", WORD_UNIT, UNIT_YEAR},
};
/* clang-format on */

static int word_compare(const void *key, const void *row)
{
    return strcmp(key, ((const struct word *)row)->text);
}

static const struct word *word_find(const struct word *words, size_t count, const char *lower, size_t len)
{
    char key[WORD_MAX + 1];
    size_t n = len < WORD_MAX ? len : WORD_MAX;
    memcpy(key, lower, n);
    key[n] = '\0';
    return bsearch(key, words, count, sizeof *words, word_compare);
}

const struct word *date_word_find(const char *lower)
{
    return word_find(date_words, ARRAY_COUNT(date_words), lower, strlen(lower));
}

enum unit unit_find(const char *lower, size_t len)
{
    const struct word *w = word_find(unit_words, ARRAY_COUNT(unit_words), lower, len);
    return w ? (enum unit)w->value : UNIT_UNKNOWN;
}

enum unit unit_find_field(const char *lower, size_t len)
{
    enum unit u = unit_find(lower, len);
    if (u != UNIT_UNKNOWN)
        return u;
    const struct word *w = word_find(date_words, ARRAY_COUNT(date_words), lower, len);
    if (w && w->kind == WORD_UNIT)
        return (enum unit)w->value;
    if (!w || w->kind != WORD_RESERVED)
        return UNIT_UNKNOWN;
    return w->value == RESERVED_EPOCH ? UNIT_EPOCH : UNIT_RESERVED;
}

/* ---- cutting into fields ---- */

struct cutter {
    struct field_list *f;
    const char *p, *end;
    bool full; /* the literal is longer than any can be */
};

static char peek(const struct cutter *s)
{
    return s->p < s->end ? *s->p : '\0';
}

static void put(struct cutter *s, char c)
{
    if (s->f->used + 1 >= s->f->room)
        s->full = true;
    else
        s->f->bytes[s->f->used++] = c;
}

static void take(struct cutter *s)
{
    put(s, ascii_lower(*s->p++));
}

static void take_digits(struct cutter *s)
{
    while (ascii_digit(peek(s)))
        take(s);
}

static void take_letters(struct cutter *s)
{
    while (ascii_alpha(peek(s)))
        take(s);
}

static bool one_of(char c, const char *set)
{
    return c && strchr(set, c);
}

static void take_digits_and(struct cutter *s, const char *set)
{
    while (ascii_digit(peek(s)) || one_of(peek(s), set))
        take(s);
}

/* A date whose first part is a number: 2024-01-02, 1/2/2024, 2-Jan-2024, 2024.002. */
static enum field_kind take_delimited(struct cutter *s)
{
    char delimiter = peek(s), set[2] = {delimiter, '\0'};
    take(s);
    if (!ascii_digit(peek(s))) {
        while (ascii_digit(peek(s)) || ascii_alpha(peek(s)) || peek(s) == delimiter)
            take(s);
        return FIELD_DATE;
    }
    take_digits(s);
    if (peek(s) != delimiter)
        return delimiter == '.' ? FIELD_NUMBER : FIELD_DATE;
    take_digits_and(s, set);
    return FIELD_DATE;
}

static enum field_kind take_number_field(struct cutter *s)
{
    take_digits(s);
    if (peek(s) == ':') {
        take_digits_and(s, ":.");
        return FIELD_TIME;
    }
    return one_of(peek(s), "-/.") ? take_delimited(s) : FIELD_NUMBER;
}

/* A word, or a date or zone name that begins with one: Jan-2-2024, Europe/Berlin, Etc/GMT+3. */
static enum field_kind take_word_field(struct cutter *s)
{
    size_t start = s->f->used;
    take_letters(s);
    bool is_date = one_of(peek(s), "-/.");
    if (!is_date && (peek(s) == '+' || ascii_digit(peek(s)))) {
        s->f->bytes[s->f->used] = '\0';
        is_date = !date_word_find(s->f->bytes + start);
    }
    while (is_date && (ascii_digit(peek(s)) || ascii_alpha(peek(s)) || one_of(peek(s), "+-/_.:")))
        take(s);
    return is_date ? FIELD_DATE : FIELD_STRING;
}

static bool take_signed_field(struct cutter *s, enum field_kind *kind)
{
    take(s);
    while (ascii_space(peek(s)))
        s->p++;
    if (ascii_digit(peek(s))) {
        *kind = FIELD_ZONE;
        take_digits_and(s, ":.-");
        return true;
    }
    *kind = FIELD_SPECIAL;
    if (!ascii_alpha(peek(s)))
        return false;
    take_letters(s);
    return true;
}

static bool is_punctuation(char c)
{
    return c > ' ' && c < 127;
}

enum dt_result field_list_parse(struct field_list *f, size_t room, const char *text, size_t len)
{
    struct cutter s = {f, text, text + len, false};
    f->count = 0;
    f->used = 0;
    f->room = room < sizeof f->bytes ? room : sizeof f->bytes;
    while (s.p < s.end) {
        char c = peek(&s);
        enum field_kind kind;
        size_t start = f->used;
        bool ok = true;
        if (ascii_space(c)) {
            s.p++;
            continue;
        }
        if (ascii_digit(c)) {
            kind = take_number_field(&s);
        } else if (c == '.') {
            kind = FIELD_NUMBER;
            take(&s);
            take_digits(&s);
        } else if (ascii_alpha(c)) {
            kind = take_word_field(&s);
        } else if (c == '+' || c == '-') {
            ok = take_signed_field(&s, &kind);
        } else if (is_punctuation(c)) {
            s.p++;
            continue;
        } else {
            ok = false;
        }
        if (!ok || s.full || f->count >= FIELD_MAX)
            return DT_BAD_FORMAT;
        f->text[f->count] = f->bytes + start;
        f->kind[f->count++] = kind;
        put(&s, '\0');
        if (s.full)
            return DT_BAD_FORMAT;
    }
    return DT_OK;
}

bool read_i64(char **p, int64_t *out)
{
    char *stop;
    errno = 0;
    long long v = strtoll(*p, &stop, 10);
    *p = stop;
    *out = v;
    return errno != ERANGE; /* musl alone sets EINVAL where there are no digits */
}

bool read_int(char **p, int *out)
{
    int64_t v;
    if (!read_i64(p, &v) || v < INT32_MIN || v > INT32_MAX)
        return false;
    *out = (int)v;
    return true;
}

bool read_fraction(const char *p, double *out)
{
    char *stop;
    *out = 0;
    if (p[1] == '\0')
        return true;
    errno = 0;
    *out = strtod(p, &stop);
    return *stop == '\0' && errno != ERANGE;
}

bool dt_fail(struct fn_ctx *ctx, enum dt_result r, const char *type, const char *text, size_t len)
{
    int n = text_fit(text, len, 100);
    switch (r) {
    case DT_FIELD_OVERFLOW:
        return fn_fail(ctx, FN_DATETIME_RANGE, "date/time field value out of range: \"%.*s\"", n, text);
    case DT_INTERVAL_OVERFLOW:
        return fn_fail(ctx, FN_INTERVAL_RANGE, "interval field value out of range: \"%.*s\"", n, text);
    case DT_ZONE_OVERFLOW:
        return fn_fail(ctx, FN_ZONE_RANGE, "time zone displacement out of range: \"%.*s\"", n, text);
    case DT_RANGE: return fn_fail(ctx, FN_DATETIME_RANGE, "%s out of range: \"%.*s\"", type, n, text);
    case DT_BAD_ZONE: return fn_fail(ctx, FN_BAD_ARGUMENT, "time zone \"%.*s\" not recognized", n, text);
    case DT_NOT_PURE:
        return fn_fail(ctx, FN_UNSUPPORTED, "%s literal depends on the current time: \"%.*s\"", type, n,
                       text);
    default:
        return fn_fail(ctx, FN_BAD_DATETIME, "invalid input syntax for type %s: \"%.*s\"", type, n, text);
    }
}
