/* What is used and what there is; see resources.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "base/resources.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* /proc/self/statm: pages "size resident shared ..."; what is resident and not shared is ours alone. */
int64_t memory_used(void)
{
    char text[160];
    long long size, resident, shared;
    if (!file_text("/proc/self/statm", text, sizeof text) ||
        sscanf(text, "%lld %lld %lld", &size, &resident, &shared) != 3)
        return -1;
    return (resident > shared ? resident - shared : 0) * (int64_t)sysconf(_SC_PAGESIZE);
}

/* ---- the machine ---- */

static int64_t meminfo_total(void)
{
    char text[512];
    long long kib;
    const char *at = file_text("/proc/meminfo", text, sizeof text) ? strstr(text, "MemTotal:") : NULL;
    return at && sscanf(at, "MemTotal: %lld kB", &kib) == 1 ? kib * 1024 : -1;
}

static int64_t lesser(int64_t a, int64_t b)
{
    return a < 0 ? b : b < 0 || a < b ? a : b;
}

/* "max", or a number of bytes; version 1 has a number beyond any machine instead. */
static int64_t limit_in(const char *dir, const char *file)
{
    char path[600], text[64];
    long long v;
    snprintf(path, sizeof path, "%s/%s", dir, file);
    return file_text(path, text, sizeof text) && sscanf(text, "%lld", &v) == 1 && v > 0 ? v : -1;
}

/* A limit of any group above counts too. */
static int64_t limit_upwards(const char *root, const char *group, const char *file)
{
    char dir[512];
    int64_t least = -1;
    size_t root_len = strlen(root);
    if ((size_t)snprintf(dir, sizeof dir, "%s%s", root, strcmp(group, "/") == 0 ? "" : group) >= sizeof dir)
        return -1;
    for (;;) {
        least = lesser(least, limit_in(dir, file));
        char *cut = strrchr(dir + root_len, '/');
        if (!cut)
            return least;
        *cut = 0;
    }
}

/* Lines "0::/group" (version 2) and "N:memory:/group" (version 1). */
static int64_t group_limit(void)
{
    char text[4096], *rest = text;
    int64_t least = -1;
    if (!file_text("/proc/self/cgroup", text, sizeof text))
        return -1;
    for (char *line; (line = strsep(&rest, "\n"));) {
        char *names = strchr(line, ':'), *group = names ? strchr(names + 1, ':') : NULL;
        if (!group)
            continue;
        *group++ = 0;
        if (!names[1])
            least = lesser(least, limit_upwards("/sys/fs/cgroup", group, "memory.max"));
        else if (strcmp(names + 1, "memory") == 0)
            least = lesser(least, limit_upwards("/sys/fs/cgroup/memory", group, "memory.limit_in_bytes"));
    }
    return least;
}

int64_t memory_of_machine(void)
{
    return lesser(meminfo_total(), group_limit());
}

/* ---- the disk ---- */

int64_t disk_free(const char *dir)
{
    struct statvfs v;
    if (statvfs(dir, &v))
        return -1;
    return (int64_t)v.f_bavail * (int64_t)v.f_frsize;
}

/* A file without a name, soon. */
static int file_for_trial(const char *dir)
{
    char *path = xprintf("%s/room", dir);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd >= 0)
        unlink(path);
    free(path);
    return fd;
}

bool disk_syncs(const char *dir)
{
    static const char bytes[4096] = {1};
    int fd = file_for_trial(dir);
    bool done = fd >= 0 && write(fd, bytes, sizeof bytes) == (ssize_t)sizeof bytes && fsync(fd) == 0;
    if (fd >= 0)
        close(fd);
    return done;
}

bool disk_has(const char *dir, int64_t bytes)
{
    int fd = file_for_trial(dir), rc;
    if (fd < 0)
        return false;
    do
        rc = fallocate(fd, 0, 0, bytes) ? errno : 0;
    while (rc == EINTR);
    close(fd);
    return rc == 0 || rc == EOPNOTSUPP || rc == ENOSYS; /* there what statvfs says has to do */
}

const char *size_text(int64_t bytes, char buf[32])
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
    double v = (double)bytes;
    unsigned u = 0;
    for (; v >= 1024 && u + 1 < ARRAY_COUNT(units); u++)
        v /= 1024;
    snprintf(buf, 32, bytes < 0 ? "unknown" : u ? "%.1f %s" : "%.0f %s", v, units[u]);
    return buf;
}
