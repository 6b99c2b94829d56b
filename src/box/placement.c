/* Reading it from /proc and /sys; see placement.h. The files are the kernel's, but names in them are chosen by processes. */
#include "box/placement.h"

#include "base/file.h"
#include "base/text.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STATUS_BYTES 8192
#define LINE_BYTES   8192

struct look {
    const char *proc, *sys;
    bool isolate;
    struct placement_view *v;
    int cpu_node[PLACEMENT_CPUS_MAX];
};

static void problem(struct placement_view *v, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void problem(struct placement_view *v, const char *fmt, ...)
{
    char text[256];
    va_list args;
    if (v->problem_count == PLACEMENT_PROBLEMS_MAX) {
        v->problem_dropped++;
        return;
    }
    va_start(args, fmt);
    text_vfill(text, sizeof text, fmt, args);
    va_end(args);
    v->problems[v->problem_count++] = xstrdup(text);
}

static bool has_cpu(const struct placement_cpus *c, uint32_t cpu)
{
    return cpu < PLACEMENT_CPUS_MAX && c->bits[cpu / 64] >> (cpu % 64) & 1;
}

bool placement_cpus_parse(const char *text, struct placement_cpus *out, uint32_t *count)
{
    memset(out, 0, sizeof *out);
    *count = 0;
    while (isdigit((unsigned char)*text)) {
        char *end;
        unsigned long from = strtoul(text, &end, 10), to = from;
        if (*end == '-')
            to = strtoul(end + 1, &end, 10);
        for (unsigned long c = from; c <= to && c < PLACEMENT_CPUS_MAX; c++)
            if (!has_cpu(out, (uint32_t)c)) {
                out->bits[c / 64] |= UINT64_C(1) << (c % 64);
                (*count)++;
            }
        text = *end == ',' ? end + 1 : end;
    }
    return *text == '\n' || *text == 0;
}

static int only_cpu(const struct placement_cpus *c)
{
    for (uint32_t i = 0; i < PLACEMENT_CPUS_MAX; i++)
        if (has_cpu(c, i))
            return (int)i;
    return -1;
}

/* Calls `each` with the name of every entry of a directory that is a number. */
static void each_number(const char *dir, void (*each)(struct look *l, const char *dir, long number),
                        struct look *l)
{
    DIR *d = opendir(dir);
    for (struct dirent *e; d && (e = readdir(d));) {
        char *end;
        long n = strtol(e->d_name, &end, 10);
        if (end != e->d_name && !*end && n >= 0)
            each(l, dir, n);
    }
    if (d)
        closedir(d);
}

/* ---- nodes ---- */

static void read_hugepages(struct look *l, uint32_t node)
{
    char *dir = xprintf("%s/devices/system/node/node%u/hugepages", l->sys, node), text[64];
    DIR *d = opendir(dir);
    for (struct dirent *e; d && (e = readdir(d));) {
        unsigned long long kib = 0;
        if (sscanf(e->d_name, "hugepages-%llukB", &kib) != 1)
            continue;
        for (int is_free = 0; is_free < 2; is_free++) {
            char *path = xprintf("%s/%s/%s", dir, e->d_name, is_free ? "free_hugepages" : "nr_hugepages");
            uint64_t pages = file_text(path, text, sizeof text) ? strtoull(text, NULL, 10) : 0;
            *(is_free ? &l->v->hugepages_free[node] : &l->v->hugepages[node]) += pages * kib;
            free(path);
        }
    }
    if (d)
        closedir(d);
    free(dir);
}

static void read_node(struct look *l, const char *text, uint32_t node)
{
    struct placement_cpus cpus;
    uint32_t count;
    if (!placement_cpus_parse(text, &cpus, &count))
        return;
    for (uint32_t c = 0; c < PLACEMENT_CPUS_MAX; c++)
        if (has_cpu(&cpus, c))
            l->cpu_node[c] = (int)node;
    l->v->node_count = node + 1;
}

static void read_nodes(struct look *l)
{
    char text[4096];
    for (uint32_t c = 0; c < PLACEMENT_CPUS_MAX; c++)
        l->cpu_node[c] = 0;
    l->v->node_count = 1;
    for (uint32_t n = 0; n < PLACEMENT_NODES_MAX; n++) {
        char *path = xprintf("%s/devices/system/node/node%u/cpulist", l->sys, n);
        if (file_text(path, text, sizeof text)) {
            read_node(l, text, n);
            read_hugepages(l, n);
        }
        free(path);
    }
}

/* ---- processes and threads ---- */

static void find_process(struct look *l, const char *dir, long pid)
{
    char words[256];
    char *path = xprintf("%s/%ld/cmdline", dir, pid);
    size_t len = file_text(path, words, sizeof words);
    free(path);
    const char *first_end = len ? memchr(words, 0, len) : NULL;
    if (!first_end || strcmp(words, "penstock") != 0)
        return;
    if (strcmp(first_end + 1, "pipeline-process") == 0)
        l->v->pipeline_pid = (uint32_t)pid;
    if (strcmp(first_end + 1, "serve-process") == 0)
        l->v->serve_pid = (uint32_t)pid;
}

/* The text behind "KEY:" and blanks, up to the line's end; NULL. */
static char *status_value(char *status, const char *key)
{
    for (char *line = status; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        size_t len = strlen(key);
        if (strncmp(line, key, len) != 0 || line[len] != ':')
            continue;
        line += len + 1;
        return line + strspn(line, " \t");
    }
    return NULL;
}

static bool read_thread(const char *dir, long tid, struct placement_thread *t)
{
    char status[STATUS_BYTES];
    char *path = xprintf("%s/%ld/status", dir, tid);
    size_t len = file_text(path, status, sizeof status);
    free(path);
    char *cpus = len ? status_value(status, "Cpus_allowed_list") : NULL,
         *name = len ? status_value(status, "Name") : NULL;
    if (!cpus || !name)
        return false;
    cpus[strcspn(cpus, "\n")] = 0;
    name[strcspn(name, "\n")] = 0;
    text_fill(t->name, sizeof t->name, "%s", name);
    return placement_cpus_parse(cpus, &t->allowed, &t->allowed_count);
}

/* "shard 3": 3. -1: another name. */
static int number_after(const char *name, const char *word)
{
    size_t len = strlen(word);
    char *end;
    if (strncmp(name, word, len) != 0 || !isdigit((unsigned char)name[len]))
        return -1;
    long n = strtol(name + len, &end, 10);
    return *end || n >= PLACEMENT_SHARDS_MAX ? -1 : (int)n;
}

static void add_thread(struct look *l, const char *dir, long tid, const char *process)
{
    struct placement_view *v = l->v;
    struct placement_thread *t = &v->threads[v->thread_count];
    if (v->thread_count == PLACEMENT_THREADS_MAX || !read_thread(dir, tid, t))
        return;
    bool pipeline = strcmp(process, "pipeline") == 0;
    text_fill(t->process, sizeof t->process, "%s", process);
    t->shard = pipeline ? number_after(t->name, "shard ") : -1;
    t->loop = pipeline ? -1 : number_after(t->name, "serve ");
    v->thread_count++;
    if (t->shard < 0)
        return;
    struct placement_shard *s = &v->shards[t->shard];
    s->there = true;
    s->cpu = t->allowed_count == 1 ? only_cpu(&t->allowed) : -1;
    s->node = s->cpu >= 0 ? l->cpu_node[s->cpu] : -1;
    if ((uint32_t)t->shard + 1 > v->shard_count)
        v->shard_count = (uint32_t)t->shard + 1;
}

static void add_pipeline_thread(struct look *l, const char *dir, long tid)
{
    add_thread(l, dir, tid, "pipeline");
}

static void add_serve_thread(struct look *l, const char *dir, long tid)
{
    add_thread(l, dir, tid, "serve");
}

static void read_threads(struct look *l)
{
    char *dir = xprintf("%s/%u/task", l->proc, l->v->pipeline_pid);
    each_number(dir, add_pipeline_thread, l);
    free(dir);
    if (!l->v->serve_pid)
        return;
    dir = xprintf("%s/%u/task", l->proc, l->v->serve_pid);
    each_number(dir, add_serve_thread, l);
    free(dir);
}

/* ---- memory ---- */

/* Starts of the mappings that are named "[anon:penstock shard N]". */
struct named {
    uint32_t count, cap;
    struct {
        uint64_t start;
        int shard;
    } * items; /* owned */
};

static void read_names(const char *path, struct named *out)
{
    static const char mark[] = "[anon:penstock shard ";
    char line[LINE_BYTES];
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof line, f)) {
        char *name = strstr(line, mark);
        int shard = name ? atoi(name + strlen(mark)) : -1;
        if (shard < 0 || shard >= PLACEMENT_SHARDS_MAX)
            continue;
        if (out->count == out->cap) {
            out->cap = out->cap ? out->cap * 2 : 64;
            out->items = xrealloc(out->items, out->cap * sizeof *out->items);
        }
        out->items[out->count].start = strtoull(line, NULL, 16);
        out->items[out->count++].shard = shard;
    }
    if (f)
        fclose(f);
}

static int shard_of_mapping(const struct named *names, uint64_t start)
{
    for (uint32_t i = 0; i < names->count; i++)
        if (names->items[i].start == start)
            return names->items[i].shard;
    return -1;
}

/* Where a line's pages belong: rings of a shard, its store, or the process as a whole; NULL: other files. */
static uint64_t *place_of(struct look *l, const char *line, const struct named *names, uint64_t *whole)
{
    const char *file = strstr(line, " file=");
    if (!file) {
        int shard = shard_of_mapping(names, strtoull(line, NULL, 16));
        return shard >= 0 ? l->v->shards[shard].rings_kib : whole;
    }
    const char *name = strstr(file, "/shard-");
    int shard = name && strstr(name, "/data.mdb") ? atoi(name + 7) : -1;
    return shard >= 0 && shard < PLACEMENT_SHARDS_MAX ? l->v->shards[shard].store_kib : NULL;
}

static void take_pages(const char *line, uint64_t *to)
{
    const char *size = strstr(line, "kernelpagesize_kB=");
    uint64_t kib = size ? strtoull(size + 18, NULL, 10) : 4;
    for (const char *p = line; (p = strstr(p, " N"));) {
        char *end;
        p += 2;
        unsigned long node = strtoul(p, &end, 10);
        if (end != p && *end == '=' && node < PLACEMENT_NODES_MAX)
            to[node] += strtoull(end + 1, NULL, 10) * kib;
    }
}

/* "ADDRESS prefer:1 anon=...": 1. -1: the mapping has no policy of its own. */
static int bound_to(const char *line)
{
    const char *policy = strchr(line, ' ');
    if (!policy || strncmp(policy, " prefer:", 8) != 0 || !isdigit((unsigned char)policy[8]))
        return -1;
    unsigned long node = strtoul(policy + 8, NULL, 10);
    return node < PLACEMENT_NODES_MAX ? (int)node : -1;
}

static void read_memory(struct look *l, uint32_t pid, uint64_t *whole)
{
    char *maps = xprintf("%s/%u/maps", l->proc, pid), *numa = xprintf("%s/%u/numa_maps", l->proc, pid);
    char line[LINE_BYTES];
    struct named names = {0};
    read_names(maps, &names);
    FILE *f = fopen(numa, "re");
    while (f && fgets(line, sizeof line, f)) {
        uint64_t *to = place_of(l, line, &names, whole);
        if (to)
            take_pages(line, to);
        if (to && pid == l->v->pipeline_pid && bound_to(line) >= 0)
            take_pages(line, l->v->bound_kib[bound_to(line)]);
    }
    if (f)
        fclose(f);
    free(names.items);
    free(maps);
    free(numa);
}

static void read_huge(struct look *l)
{
    char text[4096];
    char *path = xprintf("%s/%u/smaps_rollup", l->proc, l->v->pipeline_pid);
    char *value = file_text(path, text, sizeof text) ? status_value(text, "AnonHugePages") : NULL;
    l->v->huge_kib = value ? strtoull(value, NULL, 10) : 0;
    free(path);
}

/* ---- who else may run on a shard's core ---- */

static struct placement_shard *shard_on(struct placement_view *v, const struct placement_cpus *cpus,
                                        uint32_t from)
{
    for (uint32_t i = from; i < v->shard_count; i++)
        if (v->shards[i].cpu >= 0 && has_cpu(cpus, (uint32_t)v->shards[i].cpu))
            return &v->shards[i];
    return NULL;
}

static bool read_cpus(const char *dir, long irq, const char *name, struct placement_cpus *out,
                      uint32_t *count)
{
    char text[4096];
    char *path = xprintf("%s/%ld/%s", dir, irq, name);
    bool good = file_text(path, text, sizeof text) && placement_cpus_parse(text, out, count);
    free(path);
    return good;
}

static bool may_go_elsewhere(const struct placement_view *v, const struct placement_cpus *allowed)
{
    for (uint32_t c = 0; c < PLACEMENT_CPUS_MAX; c++) {
        bool shards = false;
        for (uint32_t i = 0; i < v->shard_count; i++)
            shards |= v->shards[i].cpu == (int)c;
        if (has_cpu(allowed, c) && !shards)
            return true;
    }
    return false;
}

/* One that goes to a single core. Those of all cores (timers) are each core's own; so is the queue of a disk or an adapter that its
 * driver gave to this core, which is used by the core's own requests alone. */
static void look_at_irq(struct look *l, const char *dir, long irq)
{
    struct placement_cpus now, allowed;
    uint32_t count, allowed_count;
    if (!read_cpus(dir, irq, "effective_affinity_list", &now, &count) || count != 1 ||
        !read_cpus(dir, irq, "smp_affinity_list", &allowed, &allowed_count))
        return;
    struct placement_shard *s = shard_on(l->v, &now, 0);
    if (s && may_go_elsewhere(l->v, &allowed))
        s->irqs++;
    else if (s)
        s->irqs_bound++;
}

static bool is_kernels(const char *dir, long pid)
{
    char text[8];
    char *path = xprintf("%s/%ld/cmdline", dir, pid);
    bool none = file_text(path, text, sizeof text) == 0;
    free(path);
    return none;
}

static void look_at_other(struct look *l, const char *dir, long tid)
{
    struct placement_thread t;
    bool kernels = is_kernels(dir, tid);
    /* A thread of the kernel that is bound to a core is a part of that core. */
    if (!read_thread(dir, tid, &t) || (kernels && t.allowed_count == 1))
        return;
    for (struct placement_shard *s = l->v->shards;
         (s = shard_on(l->v, &t.allowed, (uint32_t)(s - l->v->shards))); s++) {
        if (kernels) {
            s->kernel_threads++;
            continue;
        }
        s->others++;
        memcpy(s->other, t.name, sizeof s->other);
    }
}

static void look_at_process(struct look *l, const char *dir, long pid)
{
    if ((uint32_t)pid == l->v->pipeline_pid)
        return; /* its sources go where there is room; that each shard has its own core is judged by itself */
    char *tasks = xprintf("%s/%ld/task", dir, pid);
    each_number(tasks, look_at_other, l);
    free(tasks);
}

/* ---- the verdict ---- */

static uint64_t sum(const uint64_t *by_node)
{
    uint64_t total = 0;
    for (uint32_t n = 0; n < PLACEMENT_NODES_MAX; n++)
        total += by_node[n];
    return total;
}

static void judge_memory(struct placement_view *v, uint32_t i, const uint64_t *by_node, const char *what)
{
    const struct placement_shard *s = &v->shards[i];
    uint64_t total = sum(by_node);
    if (s->node >= 0 && total && by_node[s->node] * 100 < total * PLACEMENT_NEAR_PER_CENT)
        problem(v, "shard %u: %llu of %llu KiB of its %s are on another node than its core's (%d)", i,
                (unsigned long long)(total - by_node[s->node]), (unsigned long long)total, what, s->node);
}

static void judge_shard(struct look *l, uint32_t i)
{
    struct placement_view *v = l->v;
    struct placement_shard *s = &v->shards[i];
    if (!s->there || s->cpu < 0) {
        problem(v, "shard %u: %s", i, s->there ? "it has no core of its own" : "its thread is not there");
        return;
    }
    judge_memory(v, i, s->rings_kib, "rings");
    judge_memory(v, i, s->store_kib, "store");
    for (uint32_t k = 0; k < i; k++)
        if (v->shards[k].cpu == s->cpu)
            problem(v, "shard %u: shard %u has the same core", i, k);
    if (l->isolate && s->others)
        problem(v, "shard %u: %u other threads may run on its core, %s for one", i, s->others, s->other);
    if (l->isolate && s->irqs)
        problem(v, "shard %u: %u interrupts go to its core", i, s->irqs);
}

static void judge_bound(struct placement_view *v)
{
    for (uint32_t n = 0; n < v->node_count; n++) {
        uint64_t total = sum(v->bound_kib[n]), near = v->bound_kib[n][n];
        if (near * 100 < total * PLACEMENT_NEAR_PER_CENT)
            problem(v, "node %u: %llu of %llu KiB of the shards' rings are on another node", n,
                    (unsigned long long)(total - near), (unsigned long long)total);
    }
}

static void judge_loops(struct placement_view *v)
{
    for (uint32_t i = 0; i < v->thread_count; i++)
        if (v->threads[i].loop >= 0 && v->threads[i].allowed_count != 1)
            problem(v, "serve loop %d: it has no core of its own", v->threads[i].loop);
}

struct err *placement_look(const char *proc, const char *sys, bool isolate, struct placement_view *out)
{
    static struct look l;
    memset(out, 0, sizeof *out);
    l = (struct look){.proc = proc, .sys = sys, .isolate = isolate, .v = out};
    for (uint32_t i = 0; i < PLACEMENT_SHARDS_MAX; i++)
        out->shards[i].cpu = out->shards[i].node = -1;
    read_nodes(&l);
    each_number(proc, find_process, &l);
    if (!out->pipeline_pid)
        return err_hint(err_new(ERR_STATE, "no pipeline runs"), "`status` says why");
    read_threads(&l);
    read_memory(&l, out->pipeline_pid, out->private_kib);
    if (out->serve_pid) {
        /* Its maps of the stores show the same pages again: the shards' numbers are the pipeline's alone. */
        static struct placement_shard kept[PLACEMENT_SHARDS_MAX];
        memcpy(kept, out->shards, sizeof kept);
        read_memory(&l, out->serve_pid, out->serve_kib);
        memcpy(out->shards, kept, sizeof kept);
    }
    read_huge(&l);
    char *irqs = xprintf("%s/irq", proc);
    each_number(irqs, look_at_irq, &l);
    free(irqs);
    each_number(proc, look_at_process, &l);
    for (uint32_t i = 0; i < out->shard_count; i++)
        judge_shard(&l, i);
    judge_bound(out);
    judge_loops(out);
    return NULL;
}

void placement_fini(struct placement_view *v)
{
    for (uint32_t i = 0; i < v->problem_count; i++)
        free(v->problems[i]);
    v->problem_count = 0;
}
