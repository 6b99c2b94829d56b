/* See audit.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "store/audit.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* ASCII alone, whatever the value is: the file is read by machines of all kinds. */
static void put_string(struct buf *b, const char *s)
{
    buf_put_u8(b, '"');
    for (; *s; s++) {
        uint8_t c = (uint8_t)*s;
        if (c == '"' || c == '\\')
            buf_printf(b, "\\%c", c);
        else if (c < ' ' || c >= 0x7F)
            buf_printf(b, "\\u%04x", c);
        else
            buf_put_u8(b, c);
    }
    buf_put_u8(b, '"');
}

static void put_time(struct buf *b)
{
    char text[40];
    int64_t us = unix_us();
    time_t t = (time_t)(us / 1000000);
    struct tm tm;
    if (!gmtime_r(&t, &tm) || !strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm))
        text[0] = 0;
    buf_printf(b, "{\"time\":\"%s.%03dZ\",\"event\":", text, (int)(us / 1000 % 1000));
}

static bool make_file(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

/* The new file is there before the old one goes: the server may write files, but makes none. */
void audit_turn(const char *data_dir)
{
    struct stat st;
    char *path = xprintf("%s/" AUDIT_DIR "/audit.jsonl", data_dir),
         *old = xprintf("%s/" AUDIT_DIR "/audit.1.jsonl", data_dir), *made = xprintf("%s.new", path);
    if (stat(path, &st) == 0 && st.st_size > AUDIT_FILE_BYTES &&
        (!make_file(made) || rename(path, old) != 0 || rename(made, path) != 0))
        log_warn("audit", "cannot turn the file over", "path=%s error=\"%s\"", path, strerror(errno));
    free(made);
    free(old);
    free(path);
}

static void append(const char *data_dir, const struct buf *line)
{
    struct stat st;
    char *dir = xprintf("%s/" AUDIT_DIR, data_dir), *path = xprintf("%s/audit.jsonl", dir);
    bool room = stat(path, &st) != 0 || st.st_size < 2 * (off_t)AUDIT_FILE_BYTES;
    if (!room) { /* nobody turns it over: it does not grow for ever */
        free(path);
        free(dir);
        return;
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 || write(fd, line->p, line->len) != (ssize_t)line->len)
        log_warn("audit", "a line of the audit is lost", "path=%s error=\"%s\"", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    free(path);
    free(dir);
}

void audit_prepare(const char *data_dir)
{
    char *dir = xprintf("%s/" AUDIT_DIR, data_dir);
    char *path = xprintf("%s/audit.jsonl", dir);
    (void)mkdir(dir, 0700);
    (void)make_file(path);
    free(path);
    free(dir);
}

void audit_write(const char *data_dir, const char *event, const struct audit_pair *pairs, uint32_t count)
{
    struct buf b = {0};
    put_time(&b);
    put_string(&b, event);
    for (uint32_t i = 0; i < count && b.len < AUDIT_LINE_BYTES; i++) {
        if (!pairs[i].value)
            continue;
        char cut[512];
        text_fill(cut, sizeof cut, "%s", pairs[i].value);
        buf_printf(&b, ",\"%s\":", pairs[i].name);
        put_string(&b, cut);
    }
    buf_put_str(&b, "}\n");
    append(data_dir, &b);
    buf_fini(&b);
}

void audit_command(const char *data_dir, const char *event, const struct audit_pair *pairs, uint32_t count)
{
    char user[24];
    struct audit_pair all[16];
    ASSERT(count < ARRAY_COUNT(all));
    snprintf(user, sizeof user, "%u", (unsigned)getuid());
    all[0] = (struct audit_pair){"uid", user};
    for (uint32_t i = 0; i < count; i++)
        all[i + 1] = pairs[i];
    audit_prepare(data_dir);
    audit_write(data_dir, event, all, count + 1);
}
