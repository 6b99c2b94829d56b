/* The embedded time zones: each one loads, and says what the machine's zone files say (where the machine has them; the
 * program itself never reads one). The files may be of another release than the build's: then only loading is checked. */
#include "base/base.h"
#include "types/datetime.h"
#include "types/datetime_impl.h"
#include "types/zone_impl.h"
#include "test.h"

#define ZONE_DIR "/usr/share/zoneinfo"
#define FIRST    INT64_C(-4000000000) /* 1843, before any zone's first change */
#define LAST     INT64_C(4200000000)  /* 2103 */
#define STEP     (11 * 86400 + 4321)

static void all_load(void)
{
    CHECK(zones_count >= 400);
    for (uint32_t i = 0; i < zones_count; i++) {
        struct zone *z = zone_from_tzif_block(zones_data + zones[i].at, zones[i].size_bytes);
        const void *found = zone_find(zones[i].name, strlen(zones[i].name));
        if (!z || !found)
            printf("# %s\n", zones[i].name);
        CHECK(z && found);
        if (z && found && strcmp(zones[i].name, "GMT") != 0)
            CHECK(zone_offset_utc(z, 0) == zone_offset_utc(found, 0));
        if (z)
            zone_free(z);
    }
}

static int offset_at(const char *name, int64_t unix_secs)
{
    const void *z = zone_find(name, strlen(name));
    CHECK(z != NULL);
    return z ? zone_offset_utc(z, (unix_secs - UNIX_TO_PG_SECS) * USECS_PER_SEC) : -1;
}

static void known_offsets(void)
{
    CHECK(offset_at("Europe/Berlin", 1751328000) == 7200);
    CHECK(offset_at("europe/BERLIN", 1735689600) == 3600);
    CHECK(offset_at("posix/Europe/Berlin", 1735689600) == 3600);
    CHECK(offset_at("US/Eastern", 1735689600) == -18000);
    CHECK(offset_at("Asia/Kathmandu", 1735689600) == 20700);
    CHECK(offset_at("Europe/Berlin", 4086201600) == 7200);       /* July 2099: by the rule */
    CHECK(offset_at("America/New_York", -3000000000) == -17762); /* local mean time */
    CHECK(offset_at("FOO5", 0) == -18000);
    CHECK(zone_data_hash() == zone_data_hash() && zone_data_hash() != 0);
}

static void names_that_are_none(void)
{
    static const char *const names[] = {"Europe",       "Europe/",        "Europe/Berlin/", "/Europe/Berlin",
                                        "posix/",       "right/UTC",      "localtime",      "posixrules",
                                        "Europe/Berli", "Europe/Berlinn", "../etc/passwd/", "Europe//Berlin"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        bool unknown = !zone_find(names[i], strlen(names[i]));
        if (!unknown)
            printf("# %s\n", names[i]);
        CHECK(unknown);
    }
}

/* ---- against the files ---- */

static struct zone *read_file_zone(const char *name)
{
    static uint8_t bytes[1 << 18];
    char path[300];
    snprintf(path, sizeof path, ZONE_DIR "/%s", name);
    FILE *f = fopen(path, "rb");
    size_t n = f ? fread(bytes, 1, sizeof bytes, f) : 0;
    if (f)
        fclose(f);
    return n ? zone_from_tzif(bytes, n) : NULL;
}

static bool same_release(void)
{
    char text[64] = "";
    FILE *f = fopen(ZONE_DIR "/tzdata.zi", "r");
    bool read = f && fgets(text, sizeof text, f);
    if (f)
        fclose(f);
    text[strcspn(text, "\n")] = '\0';
    const char *version = strrchr(text, ' ');
    return read && version && strcmp(version + 1, zones_version) == 0;
}

static bool agree_at(const struct zone *a, const struct zone *b, int64_t unix_secs)
{
    int64_t usecs = (unix_secs - UNIX_TO_PG_SECS) * USECS_PER_SEC;
    const char *abbrev = zone_abbrev_utc(b, unix_secs);
    char lower[ZONE_ABBREV_MAX + 1];
    size_t n = 0;
    for (; abbrev[n] && n < ZONE_ABBREV_MAX; n++)
        lower[n] = ascii_lower(abbrev[n]);
    lower[n] = '\0';
    return zone_offset_utc(a, usecs) == zone_offset_utc(b, usecs) &&
           zone_offset_local(a, unix_secs) == zone_offset_local(b, unix_secs) &&
           strcmp(zone_abbrev_utc(a, unix_secs), abbrev) == 0 &&
           zone_offset_abbrev_utc(a, lower, unix_secs + STEP) ==
               zone_offset_abbrev_utc(b, lower, unix_secs + STEP) &&
           zone_offset_abbrev_local(a, lower, unix_secs - STEP) ==
               zone_offset_abbrev_local(b, lower, unix_secs - STEP);
}

static bool agree(const struct zone *a, const struct zone *b)
{
    bool same = true;
    int fixed_a, fixed_b;
    for (int64_t t = FIRST; t < LAST; t += STEP)
        same = same && agree_at(a, b, t);
    for (uint32_t i = 0; i < b->transition_count; i++) /* around each change, and its gap or overlap */
        for (int64_t d = -7300; d <= 7300; d += 3650)
            same = same && agree_at(a, b, b->at[i] + d) && agree_at(a, b, b->at[i] + d + (d <= 0) - 1);
    return same && zone_fixed_offset(a, &fixed_a) == zone_fixed_offset(b, &fixed_b) && fixed_a == fixed_b;
}

static void agree_with_files(void)
{
    uint32_t compared = 0;
    if (!same_release())
        return;
    for (uint32_t i = 0; i < zones_count; i++) {
        struct zone *file = read_file_zone(zones[i].name);
        struct zone *own = zone_from_tzif_block(zones_data + zones[i].at, zones[i].size_bytes);
        if (file && own) {
            bool same = agree(own, file);
            if (!same)
                printf("# %s\n", zones[i].name);
            CHECK(same);
            compared++;
        }
        if (file)
            zone_free(file);
        if (own)
            zone_free(own);
    }
    CHECK(compared > 300);
}

int main(void)
{
    RUN(all_load);
    RUN(known_offsets);
    RUN(names_that_are_none);
    RUN(agree_with_files);
    TEST_END();
}
