/* Requests to forget rows that cannot be read; see forget.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "cli/forget.h"
#include "store/audit.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINE_BYTES 1024
#define POLL_MS    50

static char *path_of(const char *data)
{
    return xprintf("%s/run/forget", data);
}

static struct err *write_line(const char *data, const char *line)
{
    char *path = path_of(data), *fresh = xprintf("%s.%d", path, (int)getpid());
    FILE *f = fopen(fresh, "we");
    bool good = f && fputs(line, f) >= 0;
    good = f && fclose(f) == 0 && good && rename(fresh, path) == 0;
    struct err *e = good ? NULL : err_errno(ERR_IO, "cannot write %s", path);
    if (e)
        unlink(fresh);
    free(path);
    free(fresh);
    return e;
}

/* The first line, without its end. */
static bool read_line(const char *data, char line[LINE_BYTES])
{
    char *path = path_of(data);
    FILE *f = fopen(path, "re");
    bool found = f && fgets(line, LINE_BYTES, f);
    if (f)
        fclose(f);
    free(path);
    if (found)
        line[strcspn(line, "\n")] = 0;
    return found;
}

/* ---- the pipeline ---- */

/* "ask TOKEN UNTIL_US ID SOURCE.TABLE"; ID "*": all. The token is taken note of in any case. */
static bool begin(struct forget_watch *w, struct pipeline *p, char *line)
{
    char *at = line;
    (void)strsep(&at, " ");
    const char *token = strsep(&at, " "), *until = strsep(&at, " "), *id = strsep(&at, " ");
    uint8_t key[QUARANTINE_KEY_BYTES];
    snprintf(w->token, sizeof w->token, "%s", token ? token : "-");
    if (!until || !id || !at)
        return false;
    const char *source = strsep(&at, ".");
    bool one = strcmp(id, "*") != 0;
    return at && (!one || quarantine_id_parse(id, key)) &&
           pipeline_forget(p, source, at, one ? key : NULL, strtoll(until, NULL, 10));
}

static void answer(struct forget_watch *w, const char *data, bool done, uint64_t rows)
{
    char *text = xprintf("%s %s %llu\n", done ? "done" : "failed", w->token, (unsigned long long)rows);
    err_free(write_line(data, text));
    free(text);
}

void forget_look(struct forget_watch *w, struct pipeline *p, const char *data)
{
    char line[LINE_BYTES];
    uint64_t rows = 0;
    if (w->asked && pipeline_forgotten(p, &rows)) {
        w->asked = false;
        log_info("source", "rows that could not be read are taken off the list on request", "rows=%llu",
                 (unsigned long long)rows);
        answer(w, data, true, rows);
    }
    if (w->asked || !read_line(data, line) || strncmp(line, "ask ", 4) != 0)
        return;
    w->asked = begin(w, p, line);
    if (!w->asked)
        answer(w, data, false, 0);
}

/* ---- the command ---- */

static struct err *wait_answer(const char *data, const char *token, uint64_t *rows)
{
    char line[LINE_BYTES];
    for (int ms = 0; ms < FORGET_WAIT_S * 1000; ms += POLL_MS) {
        nanosleep(&(struct timespec){0, POLL_MS * 1000000L}, NULL);
        if (!read_line(data, line) || strncmp(line, "ask ", 4) == 0)
            continue;
        char *at = line;
        const char *verdict = strsep(&at, " "), *of = strsep(&at, " ");
        if (!of || strcmp(of, token) != 0 || !at)
            return err_new(ERR_STATE, "another command asked the instance at the same time; ask again");
        *rows = strtoull(at, NULL, 10);
        return strcmp(verdict, "done") == 0
                   ? NULL
                   : err_new(ERR_STATE,
                             "the instance could not do it: no view reads the table, or it is busy");
    }
    return err_hint(err_new(ERR_STATE, "no answer from the instance in %d s", FORGET_WAIT_S),
                    "penstock status tells whether its pipeline runs");
}

struct err *forget_ask(const char *data, const char *source, const char *table, const char *id,
                       uint64_t *rows)
{
    char *token = xprintf("%d-%lld", (int)getpid(), (long long)steady_us());
    char *line = xprintf("ask %s %lld %s %s.%s\n", token, (long long)unix_us(), id ? id : "*", source, table);
    char *path = path_of(data);
    struct err *e = write_line(data, line);
    if (!e) {
        e = wait_answer(data, token, rows);
        const char *what = id ? id : "all";
        const struct audit_pair pairs[] = {{"source", source}, {"table", table}, {"id", what}};
        if (!e)
            audit_command(data, "errors.forgotten", pairs, ARRAY_COUNT(pairs));
        unlink(path); /* answered, or nobody is to find it later */
    }
    free(path);
    free(line);
    free(token);
    return e;
}
