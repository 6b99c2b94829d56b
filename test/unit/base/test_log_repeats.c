/* Events that repeat: so many lines, then none, then one that says how many were left out; other subjects are not touched. */
#define LOG_REPEATS_S 1
#include "base/log.c"

#include "test/unit/test.h"

#include <fcntl.h>
#include <stdlib.h>

static char text[1 << 16];

/* Standard error goes into a file meanwhile. */
static void caught(void (*fn)(void))
{
    char path[] = "/tmp/penstock-log-XXXXXX";
    int fd = mkstemp(path), was = dup(2);
    CHECK(fd >= 0 && was >= 0 && dup2(fd, 2) == 2);
    fn();
    CHECK(dup2(was, 2) == 2);
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    text[n > 0 ? n : 0] = 0;
    close(fd);
    close(was);
    unlink(path);
}

static int lines_with(const char *what)
{
    int n = 0;
    for (const char *p = text; (p = strstr(p, what)); p++)
        n++;
    return n;
}

static void away(const char *source)
{
    log_event(EVENT_SOURCE_AWAY, LOG_WARN, "source", "away", "source=%s error=\"%s\"", source, "no");
}

static void many(void)
{
    for (int i = 0; i < LOG_REPEATS_MAX + 7; i++)
        away("one");
    away("two");
    log_event(EVENT_SOURCE_STREAMING, LOG_INFO, "source", "followed", "source=%s", "one");
    log_info("source", "a detail", "source=%s", "one");
}

static void one_more(void)
{
    away("one");
    away("two");
}

static void repeats_are_counted(void)
{
    log_setup(LOG_INFO, LOG_FORMAT_TEXT, "test");
    caught(many);
    CHECK(lines_with("event=source.away") == LOG_REPEATS_MAX + 1);
    CHECK(lines_with("source=two") == 1 && lines_with("event=source.streaming") == 1);
    CHECK(lines_with("msg=\"a detail\"") == 1 && lines_with("event=") == LOG_REPEATS_MAX + 2);
    CHECK(lines_with("repeats_dropped") == 0);
    usleep(1100000);
    caught(one_more);
    CHECK(lines_with("repeats_dropped=7 source=one") == 1);
    CHECK(lines_with("repeats_dropped") == 1 && lines_with("\n") == 2);
}

static void forged(void)
{
    away("x\x1f"
         "forged=1\x1f--------forged=2");
}

/* A value's bytes make no pair of their own. */
static void values_stay_values(void)
{
    log_setup(LOG_INFO, LOG_FORMAT_TEXT, "test");
    caught(forged);
    CHECK(lines_with("source=\"x\\u001fforged=1\\u001f--------forged=2\" error=no\n") == 1);
}

static void as_json(void)
{
    log_setup(LOG_INFO, LOG_FORMAT_JSON, "test");
    caught(one_more);
    CHECK(lines_with("\"event\":\"source.away\",\"msg\":\"away\",\"source\":\"one\"") == 1);
    log_setup(LOG_ERROR, LOG_FORMAT_TEXT, "test");
    caught(one_more);
    CHECK(text[0] == 0);
}

int main(void)
{
    RUN(repeats_are_counted);
    RUN(values_stay_values);
    RUN(as_json);
    CHECK(strcmp(event_name(EVENT_VIEW_READY), "view.ready") == 0);
    CHECK(!event_name(EVENT_NONE) && !event_name(EVENT_COUNT));
    TEST_END();
}
