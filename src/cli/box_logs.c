/* `logs`: lines of BOX_LOG/box.log and of what it was before (init/log_ring.h has their form): "TIME UNIT TEXT". */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "cli/box_commands.h"

#include "box/program.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define FILES_MAX     64
#define LINES_DEFAULT 200
#define LINES_MAX     1000000
#define LOOK_MS       250
#define PART_BYTES    65536
#define STAMP_BYTES   20 /* of a time to the second: what --since compares */

struct logs {
    bool follow;
    long lines; /* the last so many of those that match */
    const char *unit, *dir;
    char since[STAMP_BYTES];
    bool failed; /* standard output takes no more */
};

/* ---- one line ---- */

static bool matches(const struct logs *l, const char *line, size_t len)
{
    const char *unit = memchr(line, ' ', len);
    if (l->since[0] && (len < strlen(l->since) || memcmp(line, l->since, strlen(l->since)) < 0))
        return false;
    if (!l->unit)
        return true;
    size_t n = strlen(l->unit);
    if (!unit++)
        return false;
    size_t left = len - (size_t)(unit - line);
    return left > n && memcmp(unit, l->unit, n) == 0 && unit[n] == ' ';
}

/* Whole lines of the part; how many bytes they are. */
typedef void line_fn(struct logs *l, const char *line, size_t len, void *arg);
static size_t each_line(struct logs *l, const char *p, size_t len, line_fn *fn, void *arg)
{
    size_t at = 0;
    for (const char *stop; (stop = memchr(p + at, '\n', len - at)); at = (size_t)(stop - p) + 1)
        if (matches(l, p + at, (size_t)(stop - p) - at))
            fn(l, p + at, (size_t)(stop - p) - at + 1, arg);
    return at;
}

static void count_line(struct logs *l, const char *line, size_t len, void *arg)
{
    (void)l, (void)line, (void)len;
    ++*(long *)arg;
}

/* Skips the first *arg lines. */
static void print_line(struct logs *l, const char *line, size_t len, void *arg)
{
    long *skip = arg;
    if (*skip > 0)
        --*skip;
    else if (!l->failed && fwrite(line, 1, len, stdout) != len)
        l->failed = true;
}

/* ---- files ---- */

/* From where fd stands to its end; a part of a line at the end is left for the next time. */
static void each_of_file(struct logs *l, int fd, line_fn *fn, void *arg)
{
    char part[PART_BYTES];
    size_t have = 0;
    ssize_t n;
    while (!l->failed && (n = read(fd, part + have, sizeof part - have)) > 0) {
        have += (size_t)n;
        size_t done = each_line(l, part, have, fn, arg);
        if (!done && have == sizeof part) /* no line of ours is so long */
            done = have;
        memmove(part, part + done, have - done);
        have -= done;
    }
    if (have)
        lseek(fd, -(off_t)have, SEEK_CUR);
}

static int open_log(const struct logs *l, unsigned n)
{
    char *path = n ? xprintf("%s/box.log.%u", l->dir, n) : xprintf("%s/box.log", l->dir);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    free(path);
    return fd;
}

/* The oldest first, all opened at once, so that a rotation meanwhile takes nothing away. */
static unsigned open_all(const struct logs *l, int fds[FILES_MAX])
{
    unsigned count = 0;
    int found[FILES_MAX];
    for (unsigned n = 0; n < FILES_MAX; n++)
        if ((found[count] = open_log(l, n)) >= 0)
            count++;
        else if (n)
            break;
    for (unsigned i = 0; i < count; i++)
        fds[i] = found[count - 1 - i];
    return count;
}

static bool same_file(int fd, int other)
{
    struct stat a, b;
    return fstat(fd, &a) == 0 && fstat(other, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* Until standard output is closed or a signal ends it. */
static void follow(struct logs *l, int fd)
{
    long none = 0;
    while (!l->failed && !ferror(stdout)) {
        struct pollfd p = {.fd = STDOUT_FILENO};
        if (poll(&p, 1, LOOK_MS) > 0 && p.revents & (POLLERR | POLLHUP))
            return;
        each_of_file(l, fd, print_line, &none);
        fflush(stdout);
        int now = open_log(l, 0);
        if (now >= 0 && !same_file(fd, now)) {
            each_of_file(l, fd, print_line, &none);
            dup3(now, fd, O_CLOEXEC);
        }
        if (now >= 0)
            close(now);
    }
}

static struct err *show(struct logs *l)
{
    int fds[FILES_MAX];
    unsigned count = open_all(l, fds);
    long all = 0;
    if (!count)
        return err_new(ERR_STATE, "there is no log yet in %s", l->dir);
    for (unsigned i = 0; i < count; i++)
        each_of_file(l, fds[i], count_line, &all);
    long skip = all > l->lines ? all - l->lines : 0;
    for (unsigned i = 0; i < count; i++) {
        lseek(fds[i], 0, SEEK_SET);
        each_of_file(l, fds[i], print_line, &skip);
    }
    fflush(stdout);
    if (l->follow)
        follow(l, fds[count - 1]);
    for (unsigned i = 0; i < count; i++)
        close(fds[i]);
    return NULL;
}

/* ---- options ---- */

/* "2026-11-28", "2026-11-28T05:00", "...:00", or how long ago: 30s, 15m, 2h, 1d. */
static bool read_since(struct logs *l, const char *text)
{
    char *end;
    long n = strtol(text, &end, 10);
    const char *unit = *end ? strchr("smhd", *end) : NULL;
    if (unit && !end[1] && n >= 0 && n < 100000000) {
        static const long seconds[] = {1, 60, 3600, 86400};
        time_t at = time(NULL) - n * seconds[*end == 's' ? 0 : *end == 'm' ? 1 : *end == 'h' ? 2 : 3];
        struct tm tm;
        return strftime(l->since, sizeof l->since, "%Y-%m-%dT%H:%M:%S", gmtime_r(&at, &tm)) > 0;
    }
    size_t len = strlen(text);
    len -= len && text[len - 1] == 'Z';
    if (len < 10 || len >= sizeof l->since || strspn(text, "0123456789-T:") < len)
        return false;
    memcpy(l->since, text, len);
    l->since[len] = 0;
    return true;
}

static bool read_lines(struct logs *l, const char *text)
{
    char *end;
    l->lines = strtol(text, &end, 10);
    return *text && !*end && l->lines >= 0 && l->lines <= LINES_MAX;
}

static bool read_options(struct logs *l, int argc, char **argv)
{
    bool counted = false;
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(argv[i], "-f") == 0) {
            l->follow = true;
            continue;
        }
        bool ok = value != NULL;
        if (strcmp(argv[i], "-n") == 0)
            ok = ok && (counted = read_lines(l, value));
        else if (strcmp(argv[i], "--unit") == 0)
            l->unit = value;
        else if (strcmp(argv[i], "--since") == 0)
            ok = ok && read_since(l, value);
        else
            ok = false;
        if (!ok)
            return false;
        i++;
    }
    if (!counted && l->since[0])
        l->lines = LINES_MAX;
    return true;
}

int box_logs(int argc, char **argv)
{
    struct logs l = {.lines = LINES_DEFAULT};
    if (!read_options(&l, argc, argv)) {
        fputs("usage: logs [-f] [-n N] [--unit U] [--since T]\n"
              "  T: 15m, 2h, 1d ago, or a time in UTC such as 2026-11-28T05:00\n",
              stderr);
        return EXIT_USAGE;
    }
    char *dir = box_file(BOX_LOG);
    l.dir = dir;
    struct err *e = show(&l);
    free(dir);
    return cli_report(e);
}
