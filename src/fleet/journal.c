/* See journal.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "fleet/journal.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <yyjson.h>

struct err *journal_prepare(const char *state)
{
    if (mkdir(state, 0700) == 0 || errno == EEXIST)
        return NULL;
    return err_hint(err_errno(ERR_IO, "cannot make the folder %s", state),
                    "state: in the inventory names the folder of the log and of roll-outs");
}

const char *journal_user(void)
{
    static char name[160];
    const char *sudo = getenv("SUDO_USER");
    struct passwd *p = getpwuid(getuid());
    if (*name)
        return name;
    if (p)
        text_fill(name, sizeof name, "%s%s%.64s", p->pw_name, sudo ? " for " : "", sudo ? sudo : "");
    else
        text_fill(name, sizeof name, "%u", (unsigned)getuid());
    return name;
}

void journal_time(char out[32])
{
    time_t now = time(NULL);
    struct tm tm;
    *out = 0;
    if (gmtime_r(&now, &tm))
        (void)!strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

static void put(yyjson_mut_doc *d, yyjson_mut_val *o, const char *key, const char *text)
{
    /* What a box says may be anything; JSON is UTF-8. */
    char *cut = xprintf("%.*s", TEXT_QUOTED_CSTR(text, 2000));
    if (!utf8_valid((const uint8_t *)cut, strlen(cut)))
        for (char *c = cut; *c; c++)
            if (*c & 0x80)
                *c = '?';
    yyjson_mut_obj_add_strcpy(d, o, key, cut);
    free(cut);
}

static char *line_of(const char *box, const char *command, const char *result, const char *detail,
                     size_t *len)
{
    yyjson_mut_doc *d = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *o = yyjson_mut_obj(d);
    char now[32];
    journal_time(now);
    yyjson_mut_doc_set_root(d, o);
    put(d, o, "time", now);
    put(d, o, "user", journal_user());
    put(d, o, "box", box);
    put(d, o, "command", command);
    put(d, o, "result", result);
    if (detail && *detail)
        put(d, o, "detail", detail);
    char *text = yyjson_mut_write(d, YYJSON_WRITE_NEWLINE_AT_END, len);
    yyjson_mut_doc_free(d);
    return text;
}

void journal_write(const char *state, const char *box, const char *command, const char *result,
                   const char *detail)
{
    static bool told;
    struct stat st;
    size_t len = 0;
    char *path = xprintf("%s/log.jsonl", state), *old = xprintf("%s/log.1.jsonl", state);
    char *line = line_of(box, command, result, detail, &len);
    if (stat(path, &st) == 0 && st.st_size > (off_t)FLEET_LOG_BYTES)
        (void)rename(path, old);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if ((fd < 0 || !line || write(fd, line, len) != (ssize_t)len) && !told) {
        fprintf(stderr, "penstock: cannot write %s: %s\n", path, strerror(errno));
        told = true;
    }
    if (fd >= 0)
        close(fd);
    free(line);
    free(old);
    free(path);
}
