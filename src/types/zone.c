/* Time zones: offsets at an instant or at a local time, from the embedded tz database and POSIX rules.
 *
 * Sources, in order: the zones that scripts/embed-zones put into the program, then the name itself read as a POSIX rule
 * ("FOO5BAR", "<+03>-3"), as PostgreSQL does. The system's files are never read: a retraction must find the row that it
 * takes back, so a zone has to mean the same on every machine, in every process and for as long as a program is not
 * replaced (zone_data_hash then has views filled anew). What a local time means when clocks change follows PostgreSQL:
 * in a gap the offset before, in an overlap the one after.
 *
 * Loaded zones are kept for ever in a hash of append-only lists: finding one takes no lock, loading one does. */
#include "types/zone_impl.h"
#include "base/hash.h"
#include "types/datetime_impl.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#define ZONE_NAME_MAX 255
#define ZONES_MAX     4096 /* names that come from data may not fill memory; beyond, a zone is unknown */

/* ---- offsets ---- */

struct zone_state {
    int offset;
    bool is_dst;
    const char *abbrev;
};
struct zone_change { /* the first change after an instant; at is INT64_MAX when there is none */
    int64_t at;
    struct zone_state before, after;
};

static struct zone_state state_of_type(const struct zone *z, uint8_t type)
{
    const struct zone_type *t = &z->types[type];
    return (struct zone_state){t->offset, t->is_dst, z->abbrevs + t->abbrev};
}

static struct zone_state state_of_rule(const struct posix_rule *r, bool is_dst)
{
    return (struct zone_state){is_dst ? r->dst_offset : r->std_offset, is_dst,
                               is_dst ? r->dst_name : r->std_name};
}

/* UTC second at which the rule's date falls in `year`, clocks standing at `offset`. */
static int64_t rule_date_at(const struct posix_date *d, int64_t year, int offset)
{
    int64_t first = date_from_civil(year, 1, 1), day;
    bool leap = days_in_month(year, 2) == 29;
    if (d->kind == RULE_JULIAN) {
        day = first + d->day - 1 + (leap && d->day >= 60);
    } else if (d->kind == RULE_DAY) {
        day = first + d->day;
    } else {
        int64_t month = date_from_civil(year, d->month, 1);
        day = month + floor_mod(d->day - day_of_week(month), 7) + (d->week - 1) * 7;
        if (day >= month + days_in_month(year, d->month))
            day -= 7;
    }
    return day * SECS_PER_DAY + UNIX_TO_PG_SECS + d->seconds - offset;
}

/* The changes of the years around `at`, found by trying each: the first one after it. */
static struct zone_change rule_next_change(const struct posix_rule *r, int64_t at)
{
    struct zone_change c = {INT64_MAX, state_of_rule(r, false), state_of_rule(r, false)};
    if (!r->has_dst)
        return c;
    int64_t year;
    int month, day;
    date_to_civil(floor_div(at - UNIX_TO_PG_SECS, SECS_PER_DAY), &year, &month, &day);
    for (int64_t y = year - 1; y <= year + 1; y++) {
        int64_t starts = rule_date_at(&r->start, y, r->std_offset);
        int64_t ends = rule_date_at(&r->end, y, r->dst_offset);
        if (starts > at && starts < c.at)
            c = (struct zone_change){starts, state_of_rule(r, false), state_of_rule(r, true)};
        if (ends > at && ends < c.at)
            c = (struct zone_change){ends, state_of_rule(r, true), state_of_rule(r, false)};
    }
    return c;
}

/* Index of the first transition after `at`. */
static uint32_t transition_after(const struct zone *z, int64_t at)
{
    uint32_t lo = 0, hi = z->transition_count;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (z->at[mid] > at)
            hi = mid;
        else
            lo = mid + 1;
    }
    return lo;
}

static struct zone_state zone_state_utc(const struct zone *z, int64_t at)
{
    uint32_t i = transition_after(z, at);
    if (i == z->transition_count && z->has_rule)
        return rule_next_change(&z->rule, at).before;
    return state_of_type(z, i == 0 ? z->first_type : z->type_of[i - 1]);
}

static struct zone_change zone_next_change(const struct zone *z, int64_t at)
{
    uint32_t i = transition_after(z, at);
    if (i == z->transition_count) {
        if (z->has_rule)
            return rule_next_change(&z->rule, at);
        struct zone_state s = zone_state_utc(z, at);
        return (struct zone_change){INT64_MAX, s, s};
    }
    return (struct zone_change){z->at[i], zone_state_utc(z, at), state_of_type(z, z->type_of[i])};
}

int zone_offset_utc(const void *zone, int64_t utc_usecs)
{
    if (!zone)
        return 0;
    return zone_state_utc(zone, floor_div(utc_usecs, USECS_PER_SEC) + UNIX_TO_PG_SECS).offset;
}

const char *zone_abbrev_utc(const void *zone, int64_t utc_unix_secs)
{
    return zone_state_utc(zone, utc_unix_secs).abbrev;
}

/* Changes lie more than two days apart, so the first after a day earlier is the one that matters. */
int zone_offset_local(const void *zone, int64_t local_unix_secs)
{
    if (!zone)
        return 0;
    struct zone_change c = zone_next_change(zone, local_unix_secs - SECS_PER_DAY);
    if (c.at == INT64_MAX)
        return c.before.offset;
    int64_t if_before = local_unix_secs - c.before.offset, if_after = local_unix_secs - c.after.offset;
    if (if_before < c.at && if_after < c.at)
        return c.before.offset;
    if (if_before > c.at && if_after >= c.at)
        return c.after.offset;
    return if_before > if_after ? c.before.offset : c.after.offset;
}

bool zone_fixed_offset(const void *zone, int *offset)
{
    const struct zone *z = zone;
    *offset = 0;
    if (!z)
        return true;
    if (z->has_rule && z->rule.has_dst)
        return false;
    *offset = zone_state_utc(z, INT64_MAX / 2).offset;
    for (uint32_t i = 0; i < z->type_count; i++)
        if (z->types[i].offset != *offset)
            return false;
    return true;
}

/* The meaning of an abbreviation in a zone: the latest use before `at`, else the first after it. */
static bool zone_abbrev_meaning(const struct zone *z, const char *abbrev_lower, int64_t at, int *offset)
{
    uint32_t cut = transition_after(z, at);
    for (uint32_t k = 0; k < z->transition_count; k++) {
        uint32_t i = k < cut ? cut - 1 - k : k;
        struct zone_state s = state_of_type(z, z->type_of[i]);
        size_t n = 0;
        while (s.abbrev[n] && ascii_lower(s.abbrev[n]) == abbrev_lower[n])
            n++;
        if (s.abbrev[n] || abbrev_lower[n])
            continue;
        *offset = s.offset;
        return true;
    }
    return false;
}

int zone_offset_abbrev_utc(const void *zone, const char *abbrev_lower, int64_t utc_unix_secs)
{
    int offset;
    if (zone_abbrev_meaning(zone, abbrev_lower, utc_unix_secs, &offset))
        return offset;
    return zone_state_utc(zone, utc_unix_secs).offset;
}

int zone_offset_abbrev_local(const void *zone, const char *abbrev_lower, int64_t local_unix_secs)
{
    int zone_offset = zone_offset_local(zone, local_unix_secs), offset;
    if (zone_abbrev_meaning(zone, abbrev_lower, local_unix_secs - zone_offset, &offset))
        return offset;
    return zone_offset;
}

/* ---- finding and loading ---- */

struct zone_entry {
    struct zone_entry *next;
    struct zone *zone; /* owned */
    char name[];       /* upper case */
};
static _Atomic(struct zone_entry *) zone_buckets[256];
static pthread_mutex_t zone_load_lock = PTHREAD_MUTEX_INITIALIZER;
static uint32_t zone_entry_count; /* under the lock */

static uint32_t name_bucket(const char *upper)
{
    uint32_t h = 2166136261u;
    for (; *upper; upper++)
        h = (h ^ (uint8_t)*upper) * 16777619u;
    return (h ^ (h >> 15)) % (uint32_t)ARRAY_COUNT(zone_buckets);
}

static const struct zone *cached_zone(const char *upper)
{
    struct zone_entry *e = atomic_load_explicit(&zone_buckets[name_bucket(upper)], memory_order_acquire);
    for (; e; e = e->next)
        if (strcmp(e->name, upper) == 0)
            return e->zone;
    return NULL;
}

static int compare_zone_name(const void *upper, const void *embedded)
{
    const char *a = upper, *b = ((const struct zone_embedded *)embedded)->name;
    while (*a && *a == ascii_upper(*b))
        a++, b++;
    return (uint8_t)*a - (uint8_t)ascii_upper(*b);
}

/* Debian's tzdata has every zone under posix/ too. */
static struct zone *zone_from_embedded(const char *upper)
{
    if (strncmp(upper, "POSIX/", 6) == 0)
        upper += 6;
    const struct zone_embedded *e = bsearch(upper, zones, zones_count, sizeof *zones, compare_zone_name);
    return e ? zone_from_tzif_block(zones_data + e->at, e->size_bytes) : NULL;
}

uint64_t zone_data_hash(void)
{
    const struct zone_embedded *last = &zones[zones_count - 1];
    uint64_t h = 0;
    for (const struct zone_embedded *e = zones; e <= last; e++)
        h = (h ^ hash_bytes(e->name, strlen(e->name)) ^ hash_bytes(zones_data + e->at, e->size_bytes)) *
            UINT64_C(0x9E3779B97F4A7C15);
    return h;
}

static struct zone *zone_load(const char *upper)
{
    struct zone *z = strcmp(upper, "GMT") == 0 ? zone_from_posix("GMT0") : zone_from_embedded(upper);
    return z ? z : zone_from_posix(upper);
}

static const struct zone *zone_load_and_keep(const char *upper)
{
    pthread_mutex_lock(&zone_load_lock);
    const struct zone *known = cached_zone(upper);
    struct zone *z = known || zone_entry_count >= ZONES_MAX ? NULL : zone_load(upper);
    if (z) {
        struct zone_entry *e = xmalloc(sizeof *e + strlen(upper) + 1);
        _Atomic(struct zone_entry *) *bucket = &zone_buckets[name_bucket(upper)];
        e->zone = z;
        strcpy(e->name, upper);
        e->next = atomic_load_explicit(bucket, memory_order_relaxed);
        atomic_store_explicit(bucket, e, memory_order_release);
        zone_entry_count++;
    }
    pthread_mutex_unlock(&zone_load_lock);
    return known ? known : z;
}

const void *zone_find(const char *name, size_t len)
{
    char upper[ZONE_NAME_MAX + 1];
    if (len == 0 || len > ZONE_NAME_MAX)
        return NULL;
    for (size_t i = 0; i < len; i++) {
        if (name[i] == '\0')
            return NULL;
        upper[i] = ascii_upper(name[i]);
    }
    upper[len] = '\0';
    const struct zone *z = cached_zone(upper);
    return z ? z : zone_load_and_keep(upper);
}
