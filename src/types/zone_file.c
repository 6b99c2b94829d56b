/* Reading zones: the TZif format (RFC 8536), whole or the part of it that is embedded, and POSIX TZ rules
 * ("CET-1CEST,M3.5.0,M10.5.0/3").
 *
 * Bytes are checked, never trusted: a malformed file gives no zone rather than a wrong one. */
#include "types/datetime_impl.h"
#include "types/zone_impl.h"
#include <stdlib.h>
#include <string.h>

/* ---- POSIX rules ---- */

/* PostgreSQL takes any characters but those that begin an offset; so "FOO/BAR+3" is a zone. */
static bool posix_name(const char **pp, char *name)
{
    const char *p = *pp;
    size_t n = 0;
    bool quoted = *p == '<';
    p += quoted;
    while (*p && (quoted ? *p != '>' : !ascii_digit(*p) && !strchr(",-+", *p))) {
        if (n + 1 < ZONE_ABBREV_MAX)
            name[n++] = *p;
        p++;
    }
    if (quoted && *p++ != '>')
        return false;
    name[n] = '\0';
    *pp = p;
    return true;
}

static bool posix_number(const char **pp, int least, int most, int *out)
{
    const char *p = *pp;
    int v = 0;
    if (!ascii_digit(*p))
        return false;
    for (; ascii_digit(*p); p++) {
        v = v * 10 + (*p - '0');
        if (v > most)
            return false;
    }
    *pp = p;
    *out = v;
    return v >= least;
}

/* [+-]h[:m[:s]] in seconds */
static bool posix_time(const char **pp, int *out)
{
    bool neg = **pp == '-';
    int h, m = 0, s = 0;
    if (**pp == '-' || **pp == '+')
        (*pp)++;
    if (!posix_number(pp, 0, 24 * 7 - 1, &h))
        return false;
    if (**pp == ':') {
        (*pp)++;
        if (!posix_number(pp, 0, 59, &m))
            return false;
        if (**pp == ':') {
            (*pp)++;
            if (!posix_number(pp, 0, 60, &s))
                return false;
        }
    }
    *out = (h * 60 + m) * 60 + s;
    if (neg)
        *out = -*out;
    return true;
}

static bool posix_weekday(const char **pp, struct posix_date *d)
{
    d->kind = RULE_WEEKDAY;
    if (!posix_number(pp, 1, 12, &d->month) || *(*pp)++ != '.')
        return false;
    if (!posix_number(pp, 1, 5, &d->week) || *(*pp)++ != '.')
        return false;
    return posix_number(pp, 0, 6, &d->day);
}

static bool posix_date(const char **pp, struct posix_date *d)
{
    bool ok;
    char first = **pp;
    if (first == 'M' || first == 'J')
        (*pp)++;
    if (first == 'M') {
        ok = posix_weekday(pp, d);
    } else {
        d->kind = first == 'J' ? RULE_JULIAN : RULE_DAY;
        ok = posix_number(pp, first == 'J', 365, &d->day);
    }
    if (!ok)
        return false;
    d->seconds = 2 * 3600;
    if (**pp != '/')
        return true;
    (*pp)++;
    return posix_time(pp, &d->seconds);
}

bool posix_rule_parse(const char *spec, struct posix_rule *out)
{
    const char *p = spec;
    memset(out, 0, sizeof *out);
    if (!posix_name(&p, out->std_name) || !posix_time(&p, &out->std_offset))
        return false;
    out->std_offset = -out->std_offset;
    if (!*p)
        return true;
    out->has_dst = true;
    if (!posix_name(&p, out->dst_name) || !out->dst_name[0])
        return false;
    out->dst_offset = out->std_offset + 3600;
    if (*p && *p != ',') {
        if (!posix_time(&p, &out->dst_offset))
            return false;
        out->dst_offset = -out->dst_offset;
    }
    if (!*p)
        p = ",M3.2.0,M11.1.0"; /* what PostgreSQL takes when the rule gives no dates */
    if (*p++ != ',' || !posix_date(&p, &out->start) || *p++ != ',' || !posix_date(&p, &out->end))
        return false;
    return *p == '\0';
}

void zone_free(struct zone *z)
{
    free(z->at);
    free(z->type_of);
    free(z->types);
    free(z->abbrevs);
    free(z);
}

struct zone *zone_from_posix(const char *spec)
{
    struct zone *z = xcalloc(1, sizeof *z);
    if (!posix_rule_parse(spec, &z->rule)) {
        free(z);
        return NULL;
    }
    z->has_rule = true;
    z->type_count = 1;
    z->types = xcalloc(1, sizeof *z->types);
    z->types[0].offset = z->rule.std_offset;
    z->abbrevs = xstrdup(z->rule.std_name);
    return z;
}

/* ---- TZif ---- */

struct tzif_counts {
    uint32_t isut, isstd, leap, time, type, chars;
};
#define TZIF_HEADER_BYTES 44

static uint32_t be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static int64_t be64(const uint8_t *p)
{
    return (int64_t)((uint64_t)be32(p) << 32 | be32(p + 4));
}

static bool tzif_header(const uint8_t *p, size_t len, struct tzif_counts *c)
{
    if (len < TZIF_HEADER_BYTES || memcmp(p, "TZif", 4) != 0 || p[4] < '2')
        return false;
    *c = (struct tzif_counts){be32(p + 20), be32(p + 24), be32(p + 28),
                              be32(p + 32), be32(p + 36), be32(p + 40)};
    return c->isut <= 256 && c->isstd <= 256 && c->leap <= 1000 && c->time <= 10000 && c->type >= 1 &&
           c->type <= 256 && c->chars >= 1 && c->chars <= 256;
}

static size_t tzif_body_bytes(const struct tzif_counts *c, size_t time_bytes)
{
    return c->time * (time_bytes + 1) + c->type * 6 + c->chars + c->leap * (time_bytes + 4) + c->isstd +
           c->isut;
}

static bool tzif_read_types(struct zone *z, const uint8_t *types, const uint8_t *chars, uint32_t char_count)
{
    z->abbrevs = xcalloc(char_count + 1, 1);
    memcpy(z->abbrevs, chars, char_count);
    z->types = xcalloc(z->type_count, sizeof *z->types);
    for (uint32_t i = 0; i < z->type_count; i++) {
        const uint8_t *p = types + i * 6;
        int32_t offset = (int32_t)be32(p);
        if (offset <= -SECS_PER_DAY || offset >= SECS_PER_DAY || p[5] >= char_count)
            return false;
        z->types[i] = (struct zone_type){offset, p[4] != 0, p[5]};
    }
    return true;
}

/* body: the 64-bit data block, of the size that the counts give. */
static bool tzif_read_body(struct zone *z, const uint8_t *body, const struct tzif_counts *c)
{
    const uint8_t *indexes = body + c->time * 8, *types = indexes + c->time;
    z->transition_count = c->time;
    z->type_count = c->type;
    z->at = xcalloc(c->time + 1, sizeof *z->at);
    z->type_of = xcalloc(c->time + 1, 1);
    for (uint32_t i = 0; i < c->time; i++) {
        z->at[i] = be64(body + i * 8);
        z->type_of[i] = indexes[i];
        if (indexes[i] >= c->type || (i > 0 && z->at[i] <= z->at[i - 1]))
            return false;
    }
    return tzif_read_types(z, types, types + c->type * 6, c->chars);
}

/* "\n<rule>\n" after the data; an empty rule means none. */
static bool tzif_read_footer(struct zone *z, const uint8_t *p, const uint8_t *end)
{
    char rule[128];
    if (end - p < 2 || *p != '\n')
        return false;
    const uint8_t *stop = memchr(p + 1, '\n', (size_t)(end - p - 1));
    if (!stop || (size_t)(stop - p - 1) >= sizeof rule)
        return false;
    size_t n = (size_t)(stop - p - 1);
    memcpy(rule, p + 1, n);
    rule[n] = '\0';
    z->has_rule = n > 0;
    return n == 0 || posix_rule_parse(rule, &z->rule);
}

struct zone *zone_from_tzif_block(const uint8_t *p, size_t len)
{
    struct tzif_counts c;
    const uint8_t *end = p + len;
    if (!tzif_header(p, len, &c))
        return NULL;
    p += TZIF_HEADER_BYTES;
    size_t body = tzif_body_bytes(&c, 8);
    if (body > (size_t)(end - p))
        return NULL;
    struct zone *z = xcalloc(1, sizeof *z);
    if (tzif_read_body(z, p, &c) && tzif_read_footer(z, p + body, end))
        return z;
    zone_free(z);
    return NULL;
}

struct zone *zone_from_tzif(const uint8_t *p, size_t len)
{
    struct tzif_counts c;
    if (!tzif_header(p, len, &c))
        return NULL;
    size_t skip = TZIF_HEADER_BYTES + tzif_body_bytes(&c, 4);
    return skip > len ? NULL : zone_from_tzif_block(p + skip, len - skip);
}
