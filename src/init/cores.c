/* See cores.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "init/cores.h"

#include "base/file.h"
#include "init/mounts.h"

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NODES_MAX        64
#define NO_SETAFFINITY   0x04000000u /* PF_NO_SETAFFINITY: a thread of one core */
#define STAT_FLAGS_FIELD 9
#define HUGEPAGE_KIB     2048

bool cores_parse(const char *text, cpu_set_t *out)
{
    CPU_ZERO(out);
    const char *p = text;
    while (*p && *p != '\n') {
        char *end;
        if (!isdigit((unsigned char)*p))
            return false;
        unsigned long first = strtoul(p, &end, 10), last = first;
        if (*end == '-' && isdigit((unsigned char)end[1]))
            last = strtoul(end + 1, &end, 10);
        if (first > last || last >= CPU_SETSIZE || (*end != ',' && *end != '\n' && *end != 0) ||
            (*end == ',' && !isdigit((unsigned char)end[1])))
            return false;
        for (unsigned long c = first; c <= last; c++)
            CPU_SET(c, out);
        p = *end == ',' ? end + 1 : end;
    }
    return true;
}

void cores_list(const cpu_set_t *set, char *out, size_t size)
{
    size_t n = 0;
    out[0] = 0;
    for (int c = 0; c < CPU_SETSIZE; c++) {
        if (!CPU_ISSET(c, set))
            continue;
        int last = c;
        while (last + 1 < CPU_SETSIZE && CPU_ISSET(last + 1, set))
            last++;
        int w = last > c ? snprintf(out + n, size - n, "%s%d-%d", n ? "," : "", c, last)
                         : snprintf(out + n, size - n, "%s%d", n ? "," : "", c);
        if (w < 0 || (size_t)w >= size - n)
            return;
        n += (size_t)w;
        c = last;
    }
}

void cores_mask(const cpu_set_t *set, const cpu_set_t *online, char *out, size_t size)
{
    int words = 1;
    size_t n = 0;
    for (int c = 0; c < CPU_SETSIZE; c++)
        if (CPU_ISSET(c, online))
            words = c / 32 + 1;
    out[0] = 0;
    for (int w = words - 1; w >= 0 && n + 12 < size; w--) {
        uint32_t bits = 0;
        for (int b = 0; b < 32; b++)
            bits |= (uint32_t)(CPU_ISSET(w * 32 + b, set) ? 1 : 0) << b;
        n += (size_t)snprintf(out + n, size - n, n ? ",%08x" : "%x", bits);
    }
}

bool cores_online(const char *root, cpu_set_t *out)
{
    char *path = xprintf("%s/sys/devices/system/cpu/online", root), text[1024];
    bool ok = file_text(path, text, sizeof text) && cores_parse(text, out) && CPU_COUNT(out) > 0;
    free(path);
    return ok;
}

/* ---- interrupts ---- */

static void move_irqs(const char *root, const char *list, struct cores_done *out)
{
    char *path = xprintf("%s/proc/irq", root);
    DIR *d = opendir(path);
    for (struct dirent *e; d && (e = readdir(d));) {
        if (!isdigit((unsigned char)e->d_name[0]))
            continue;
        char *file = xprintf("%s/%s/smp_affinity_list", path, e->d_name);
        if (kernel_put(file, list))
            out->irqs++;
        else
            out->irqs_refused++;
        free(file);
    }
    if (d)
        closedir(d);
    free(path);
}

/* ---- processes ---- */

/* Whether a task may be moved: its flags, the ninth field of its stat, which begins behind its name. */
static bool may_move(const char *stat)
{
    const char *p = strrchr(stat, ')');
    for (int field = 2; p && field < STAT_FLAGS_FIELD; field++)
        p = strchr(p + 1, ' ');
    return p && !(strtoul(p, NULL, 10) & NO_SETAFFINITY);
}

static void move_task(const char *root, const char *pid, const cpu_set_t *others, uint32_t not_uid,
                      struct cores_done *out)
{
    char *dir = xprintf("%s/proc/%s", root, pid), *file = xprintf("%s/stat", dir), text[1024];
    struct stat st;
    if (stat(dir, &st) == 0 && st.st_uid != not_uid && file_text(file, text, sizeof text) && may_move(text)) {
        if (!root[0] && sched_setaffinity(atoi(pid), sizeof *others, others) != 0)
            out->threads_refused++;
        else
            out->threads++;
    }
    free(dir);
    free(file);
}

static void move_tasks(const char *root, const cpu_set_t *others, uint32_t not_uid, struct cores_done *out)
{
    char *path = xprintf("%s/proc", root);
    DIR *d = opendir(path);
    for (struct dirent *e; d && (e = readdir(d));)
        if (isdigit((unsigned char)e->d_name[0]))
            move_task(root, e->d_name, others, not_uid, out);
    if (d)
        closedir(d);
    free(path);
}

void cores_apply(const char *root, const cpu_set_t *others, const cpu_set_t *online, uint32_t not_uid,
                 struct cores_done *out)
{
    char list[2048], mask[512];
    cores_list(others, list, sizeof list);
    cores_mask(others, online, mask, sizeof mask);
    *out = (struct cores_done){0};
    char *irqs = xprintf("%s/proc/irq/default_smp_affinity", root),
         *queues = xprintf("%s/sys/devices/virtual/workqueue/cpumask", root);
    kernel_put(irqs, mask);
    out->workqueues = kernel_put(queues, mask);
    free(irqs);
    free(queues);
    move_irqs(root, list, out);
    move_tasks(root, others, not_uid, out);
}

/* ---- huge pages ---- */

/* "Node 0 MemTotal:  1234 kB". */
static uint64_t node_kib(const char *text)
{
    const char *p = strstr(text, "MemTotal:");
    return p ? strtoull(p + 9, NULL, 10) : 0;
}

uint64_t hugepages_reserve(const char *root, uint32_t share, uint64_t *wanted)
{
    uint64_t have = 0;
    *wanted = 0;
    for (int n = 0; n < NODES_MAX; n++) {
        char *dir = xprintf("%s/sys/devices/system/node/node%d", root, n), text[4096], number[32];
        char *info = xprintf("%s/meminfo", dir),
             *pages = xprintf("%s/hugepages/hugepages-2048kB/nr_hugepages", dir);
        if (file_text(info, text, sizeof text)) {
            uint64_t want = node_kib(text) * share / 100 / HUGEPAGE_KIB;
            snprintf(number, sizeof number, "%llu", (unsigned long long)want);
            *wanted += want;
            if (kernel_put(pages, number) && file_text(pages, text, sizeof text))
                have += strtoull(text, NULL, 10);
        }
        free(dir);
        free(info);
        free(pages);
    }
    return have;
}
