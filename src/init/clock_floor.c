/* See clock_floor.h. */
#include "init/clock_floor.h"

#include "base/file.h"
#include "init/net_lease.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <yyjson.h>

#define YEAR_S INT64_C(31557600)

/* "2026-11-28T05:00:00Z". 0: it is none. */
static int64_t parse_time(const char *text)
{
    struct tm t = {0};
    char zone = 0, more = 0;
    int n = sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d%c%c", &t.tm_year, &t.tm_mon, &t.tm_mday, &t.tm_hour,
                   &t.tm_min, &t.tm_sec, &zone, &more);
    if (n != 7 || zone != 'Z')
        return 0;
    t.tm_year -= 1900;
    t.tm_mon -= 1;
    return (int64_t)timegm(&t);
}

int64_t clock_build_time(const char *image_json)
{
    char text[4096];
    size_t len = file_text(image_json, text, sizeof text);
    yyjson_doc *doc = len ? yyjson_read(text, len, 0) : NULL;
    const char *created = yyjson_get_str(yyjson_obj_get(yyjson_doc_get_root(doc), "created"));
    int64_t t = created ? parse_time(created) : 0;
    yyjson_doc_free(doc);
    return t > CLOCK_LEAST_S ? t : CLOCK_LEAST_S;
}

int64_t clock_ceiling(int64_t build_s)
{
    return build_s + CLOCK_YEARS_AFTER_BUILD * YEAR_S;
}

int64_t clock_floor(const char *image_json, const char *clock_file)
{
    char text[32], *end;
    int64_t build = clock_build_time(image_json);
    if (file_text(clock_file, text, sizeof text) == 0)
        return build;
    long long saved = strtoll(text, &end, 10);
    bool good = end != text && (*end == '\n' || *end == 0) && saved <= clock_ceiling(build);
    return good && saved > build ? saved : build;
}

struct err *clock_floor_apply(int64_t floor_s, int64_t ceiling_s)
{
    struct timespec now, floor = {.tv_sec = (time_t)floor_s};
    if (clock_gettime(CLOCK_REALTIME, &now) == 0 && now.tv_sec >= floor_s && now.tv_sec <= ceiling_s)
        return NULL;
    return clock_settime(CLOCK_REALTIME, &floor) == 0 ? NULL : err_errno(ERR_IO, "cannot set the clock");
}

struct err *clock_save(const char *clock_file, int64_t now_s)
{
    char text[32];
    int len = snprintf(text, sizeof text, "%lld\n", (long long)now_s);
    return net_file_replace(clock_file, text, (size_t)len, true);
}
