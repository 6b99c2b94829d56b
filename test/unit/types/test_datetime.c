/* Dates, times, zones and intervals where PostgreSQL's answer is known: calendar edges, clocks that change, limits.
 * The wide comparison with a real PostgreSQL is test/e2e/test_functions.py. */
#include "test.h"
#include "types/datetime_impl.h"
#include "types/zone_impl.h"

static struct arena arena;
static struct fn_ctx ctx = {.arena = &arena};

static const char *show(enum type_id t, const union val *v)
{
    struct str s = type_output(&ctx, t, v);
    return arena_strndup(&arena, (const char *)s.p, s.len);
}

/* Reads and prints; an error as its SQLSTATE. */
static const char *through(enum type_id t, int typmod, const char *text)
{
    union val v;
    if (!type_input(&ctx, (struct type){t, typmod}, text, strlen(text), &v))
        return fn_error_sqlstate(ctx.error);
    return show(t, &v);
}

static const struct fn *row(const char *name, bool is_operator, enum type_id a, enum type_id b)
{
    const struct fn *rows[256];
    uint32_t n = fn_find(name, is_operator, rows, 256);
    for (uint32_t i = 0; i < n; i++)
        if (rows[i]->arg_count == 2 && rows[i]->args[0] == a && rows[i]->args[1] == b)
            return rows[i];
    return NULL;
}

static const char *apply(const char *name, bool is_operator, enum type_id a, const char *x, enum type_id b,
                         const char *y)
{
    const struct fn *fn = row(name, is_operator, a, b);
    union val args[2], out;
    bool null[2] = {false, false}, out_null = false;
    if (!fn || !type_input(&ctx, (struct type){a, -1}, x, strlen(x), &args[0]) ||
        !type_input(&ctx, (struct type){b, -1}, y, strlen(y), &args[1]))
        return "bad test";
    if (!fn->eval(&ctx, args, null, 2, &out, &out_null))
        return fn_error_sqlstate(ctx.error);
    return out_null ? "NULL" : show(fn->result, &out);
}

static void calendar_round_trip(void)
{
    for (int64_t days = -2451545; days < 2145031949; days += 9973) {
        int64_t year;
        int month, day;
        date_to_civil(days, &year, &month, &day);
        CHECK(date_from_civil(year, month, day) == days);
        CHECK(month >= 1 && month <= 12 && day >= 1 && day <= days_in_month(year, month));
    }
    CHECK(date_from_civil(2000, 1, 1) == 0);
    CHECK(date_from_civil(-4713, 11, 24) == -2451545);
}

static void date_input(void)
{
    CHECK_STR(through(T_DATE, -1, "2024-02-29"), "2024-02-29");
    CHECK_STR(through(T_DATE, -1, "2024-02-30"), "22008");
    CHECK_STR(through(T_DATE, -1, "1/2/2024"), "2024-01-02");
    CHECK_STR(through(T_DATE, -1, "0044-03-15 BC"), "0044-03-15 BC");
    CHECK_STR(through(T_DATE, -1, "-infinity"), "-infinity");
    CHECK_STR(through(T_DATE, -1, "5874897-12-31"), "5874897-12-31");
    CHECK_STR(through(T_DATE, -1, "5874898-01-01"), "22008");
    CHECK_STR(through(T_DATE, -1, "4714-11-24 BC"), "4714-11-24 BC");
    CHECK_STR(through(T_DATE, -1, "4714-11-23 BC"), "22008");
    CHECK_STR(through(T_DATE, -1, "today"), "0A000");
    CHECK_STR(through(T_DATE, -1, ""), "22007");
}

static void timestamp_input(void)
{
    CHECK_STR(through(T_TIMESTAMPTZ, -1, "2024-07-01T12:00:00.5+02:30"), "2024-07-01 09:30:00.5+00");
    CHECK_STR(through(T_TIMESTAMPTZ, -1, "2024-07-01 12:00 Europe/Berlin"), "2024-07-01 10:00:00+00");
    CHECK_STR(through(T_TIMESTAMPTZ, -1, "2024-07-01 12:00 nowhere/at"), "22023");
    CHECK_STR(through(T_TIMESTAMPTZ, -1, "2024-07-01 12:00 ../../etc/passwd"), "22007");
    CHECK_STR(through(T_TIMESTAMP, 3, "2024-01-01 00:00:00.0005"), "2024-01-01 00:00:00.001");
    CHECK_STR(through(T_TIMESTAMP, -1, "294276-12-31 23:59:59.999999"), "294276-12-31 23:59:59.999999");
    CHECK_STR(through(T_TIMESTAMP, -1, "294277-01-01"), "22008");
    CHECK_STR(through(T_TIME, -1, "24:00:00"), "24:00:00");
    CHECK_STR(through(T_TIME, -1, "24:00:00.000001"), "22008");
    CHECK_STR(through(T_TIME, -1, "120000.4e99999"), "22007"); // no int holds its microseconds
    CHECK_STR(through(T_TIME, -1, "120000.4e99"), "22007");
}

static void interval_text(void)
{
    CHECK_STR(through(T_INTERVAL, -1, "1 year 2 mons 3 days 04:05:06.789"),
              "1 year 2 mons 3 days 04:05:06.789");
    CHECK_STR(through(T_INTERVAL, -1, "P1Y2M"), "1 year 2 mons");
    CHECK_STR(through(T_INTERVAL, -1, "1.5 days"), "1 day 12:00:00");
    CHECK_STR(through(T_INTERVAL, -1, "-1 day +02:03"), "-1 days +02:03:00");
    CHECK_STR(through(T_INTERVAL, -1, "2 weeks ago"), "-14 days");
    CHECK_STR(through(T_INTERVAL, -1, "2147483648 days"), "22015");
    CHECK_STR(through(T_INTERVAL, 0x7fff << 16 | 1, "1.26 s"), "00:00:01.3");
}

/* Berlin's clocks: 02:30 does not exist on 31 March 2024 and comes twice on 27 October. */
static void changing_clocks(void)
{
    CHECK_STR(apply("timezone", false, T_TEXT, "Europe/Berlin", T_TIMESTAMP, "2024-03-31 02:30"),
              "2024-03-31 01:30:00+00");
    CHECK_STR(apply("timezone", false, T_TEXT, "Europe/Berlin", T_TIMESTAMP, "2024-10-27 02:30"),
              "2024-10-27 01:30:00+00");
    CHECK_STR(apply("timezone", false, T_TEXT, "Europe/Berlin", T_TIMESTAMPTZ, "2024-10-27 00:30+00"),
              "2024-10-27 02:30:00");
    CHECK_STR(apply("timezone", false, T_TEXT, "Europe/Berlin", T_TIMESTAMPTZ, "2100-07-01 00:00+00"),
              "2100-07-01 02:00:00");
    CHECK_STR(apply("timezone", false, T_TEXT, "<+03>-3", T_TIMESTAMPTZ, "2024-01-01 00:00+00"),
              "2024-01-01 03:00:00");
    ctx.zone = zone_find("Europe/Berlin", 13);
    CHECK_STR(apply("+", true, T_TIMESTAMPTZ, "2024-03-30 12:00", T_INTERVAL, "1 day"),
              "2024-03-31 12:00:00+02");
    CHECK_STR(apply("+", true, T_TIMESTAMPTZ, "2024-03-30 12:00", T_INTERVAL, "24:00"),
              "2024-03-31 13:00:00+02");
    ctx.zone = NULL;
}

static void arithmetic(void)
{
    CHECK_STR(apply("+", true, T_TIMESTAMP, "2024-01-31", T_INTERVAL, "1 month"), "2024-02-29 00:00:00");
    CHECK_STR(apply("-", true, T_TIMESTAMP, "2024-03-01", T_TIMESTAMP, "2024-02-28 12:00"), "1 day 12:00:00");
    CHECK_STR(apply("age", false, T_TIMESTAMP, "2024-03-01", T_TIMESTAMP, "2023-01-31"),
              "1 year 1 mon 1 day");
    CHECK_STR(apply("*", true, T_INTERVAL, "1 mon", T_FLOAT8, "1.5"), "1 mon 15 days");
    CHECK_STR(apply("/", true, T_INTERVAL, "1 day", T_FLOAT8, "0"), "22012");
    CHECK_STR(apply("extract", false, T_TEXT, "epoch", T_TIMESTAMP, "2024-01-01 00:00:00.5"),
              "1704067200.500000");
    CHECK_STR(apply("extract", false, T_TEXT, "second", T_TIMESTAMP, "2024-01-01 00:00:07"), "7.000000");
    CHECK_STR(apply("extract", false, T_TEXT, "week", T_DATE, "2021-01-03"), "53");
    CHECK_STR(apply("date_trunc", false, T_TEXT, "week", T_TIMESTAMP, "2024-02-29 10:00"),
              "2024-02-26 00:00:00");
    CHECK_STR(
        apply("to_char", false, T_TIMESTAMP, "2024-02-29 15:04:05", T_TEXT, "FMDDth Month YYYY HH12:MI pm"),
        "29th February  2024 03:04 pm");
    CHECK_STR(apply("<", true, T_DATE, "5874897-12-31", T_TIMESTAMP, "infinity"), "t");
}

static const char *read_by(const char *text, const char *pattern)
{
    return apply("to_timestamp", false, T_TEXT, text, T_TEXT, pattern);
}

static void read_by_pattern(void)
{
    CHECK_STR(apply("to_date", false, T_TEXT, "29 Feb 2024", T_TEXT, "DD Mon YYYY"), "2024-02-29");
    CHECK_STR(apply("to_date", false, T_TEXT, "2024-W09-4", T_TEXT, "IYYY-\"W\"IW-ID"), "2024-02-29");
    CHECK_STR(apply("to_date", false, T_TEXT, "44-03-15 BC", T_TEXT, "YYYY-MM-DD BC"), "0044-03-15 BC");
    CHECK_STR(apply("to_date", false, T_TEXT, "0", T_TEXT, ""), "0001-01-01 BC");
    CHECK_STR(read_by("2024-02-29 11:59:01.25 pm -05:30", "YYYY-MM-DD HH12:MI:SS.MS pm TZH:TZM"),
              "2024-03-01 05:29:01.25+00");
    CHECK_STR(read_by("20240229", "FXYYYYMMDD"), "2024-02-29 00:00:00+00");
    CHECK_STR(read_by("1.9", "SS.FF1"), "0001-01-01 00:00:01.9+00 BC");
    CHECK_STR(read_by("2024-02-30", "YYYY-MM-DD"), "22008");
    CHECK_STR(read_by("13:00", "HH12:MI"), "22007");
    CHECK_STR(read_by("2024 1", "YYYY IW"), "22007");
    CHECK_STR(read_by("UTC", "TZ"), "0A000");
    CHECK_STR(read_by("0 +16", "J TZH"), "22009");
    CHECK_STR(read_by("300000", "FMYYYY"), "22008");
    CHECK_STR(apply("to_date", false, T_TEXT, "5874898", T_TEXT, "FMYYYY"), "22008");
}

/* A zone file is data from outside: every cut and every damaged byte must be refused or read safely. */
static void damaged_zone_files(void)
{
    uint8_t bytes[64 * 1024], copy[64 * 1024];
    FILE *f = fopen("/usr/share/zoneinfo/Europe/Berlin", "rb");
    if (!f)
        return;
    size_t n = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    struct zone *whole = zone_from_tzif(bytes, n);
    CHECK(whole && zone_offset_utc(whole, 0) == 3600);
    zone_free(whole);
    for (size_t cut = 0; cut < n; cut++) {
        struct zone *z = zone_from_tzif(bytes, cut);
        CHECK(!z);
    }
    for (size_t i = 0; i < n; i++) {
        memcpy(copy, bytes, n);
        copy[i] ^= 0x5a;
        struct zone *z = zone_from_tzif(copy, n);
        if (z) {
            zone_offset_utc(z, 0);
            zone_offset_local(z, 4102444800);
            zone_free(z);
        }
    }
}

static void json_text(void)
{
    union val v;
    CHECK(type_input(&ctx, (struct type){T_TIMESTAMPTZ, -1}, "2026-01-02 03:04:05.678+00", 26, &v));
    struct str s = timestamp_json(&ctx, T_TIMESTAMPTZ, v.i);
    CHECK_STR(arena_strndup(&arena, (const char *)s.p, s.len), "2026-01-02T03:04:05.678+00:00");
    s = timestamp_json(&ctx, T_TIMESTAMP, v.i);
    CHECK_STR(arena_strndup(&arena, (const char *)s.p, s.len), "2026-01-02T03:04:05.678");
}

int main(void)
{
    arena_init(&arena);
    RUN(calendar_round_trip);
    RUN(date_input);
    RUN(timestamp_input);
    RUN(interval_text);
    RUN(changing_clocks);
    RUN(arithmetic);
    RUN(read_by_pattern);
    RUN(damaged_zone_files);
    RUN(json_text);
    arena_fini(&arena);
    TEST_END();
}
