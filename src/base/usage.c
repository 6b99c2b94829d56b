/* What this process uses; see usage.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "base/usage.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int stat_fd = -1, statm_fd = -1;
static DIR *files;

static uint64_t count_files(void)
{
    uint64_t n = 0;
    rewinddir(files);
    for (const struct dirent *d; (d = readdir(files));)
        n += d->d_name[0] != '.';
    return n;
}

static bool text_of(const char *path, int *fd, char *out, size_t size)
{
    if (*fd < 0)
        *fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = *fd < 0 ? -1 : pread(*fd, out, size - 1, 0);
    out[n > 0 ? n : 0] = 0;
    return n > 0;
}

/* "pid (name) state ...": the number of threads is field 20. The name may hold anything. */
static bool read_stat(struct usage *out)
{
    char text[512];
    unsigned long long threads;
    const char *p = text_of("/proc/self/stat", &stat_fd, text, sizeof text) ? strrchr(text, ')') : NULL;
    if (!p || sscanf(p + 1, " %*c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu",
                     &threads) != 1)
        return false;
    out->threads = threads;
    return true;
}

/* Pages: "size resident shared ...". */
static bool read_statm(struct usage *out)
{
    char text[160];
    long long size, resident, shared, page = sysconf(_SC_PAGESIZE);
    if (!text_of("/proc/self/statm", &statm_fd, text, sizeof text) ||
        sscanf(text, "%lld %lld %lld", &size, &resident, &shared) != 3)
        return false;
    out->resident_bytes = (uint64_t)(resident * page);
    out->own_bytes = (resident > shared ? resident - shared : 0) * page;
    return true;
}

bool usage_read(struct usage *out)
{
    struct timespec cpu;
    if (!files)
        files = opendir("/proc/self/fd");
    if (!files || clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu) != 0)
        return false;
    out->cpu_us = (uint64_t)cpu.tv_sec * 1000000 + (uint64_t)cpu.tv_nsec / 1000;
    out->open_files = count_files();
    return read_stat(out) && read_statm(out);
}
