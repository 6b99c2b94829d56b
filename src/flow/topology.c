/* Topology from /sys and the placement of threads; see topology.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "flow/topology.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

#define SERVE_SHARE 4 /* one serve core for so many cores that are not the system's */

static bool read_text(const char *root, const char *path, char *out, size_t size)
{
    char *name = xprintf("%s/%s", root, path);
    FILE *f = fopen(name, "re");
    free(name);
    if (!f)
        return false;
    size_t n = fread(out, 1, size - 1, f);
    fclose(f);
    out[n] = 0;
    return true;
}

/* "0-3,8,10-11" into a bit set. False when malformed. */
static bool parse_list(const char *text, bool *set)
{
    memset(set, 0, TOPOLOGY_CPUS_MAX * sizeof *set);
    while (*text && *text != '\n') {
        char *end;
        unsigned long from = strtoul(text, &end, 10), to = from;
        if (end == text)
            return false;
        if (*end == '-')
            to = strtoul(end + 1, &end, 10);
        for (unsigned long c = from; c <= to && c < TOPOLOGY_CPUS_MAX; c++)
            set[c] = true;
        text = *end == ',' ? end + 1 : end;
    }
    return true;
}

static uint32_t first_of(const bool *set, uint32_t fallback)
{
    for (uint32_t c = 0; c < TOPOLOGY_CPUS_MAX; c++)
        if (set[c])
            return c;
    return fallback;
}

static void read_siblings(const char *root, struct topology_cpu *c)
{
    char path[96], text[4096];
    bool set[TOPOLOGY_CPUS_MAX];
    snprintf(path, sizeof path, "devices/system/cpu/cpu%u/topology/thread_siblings_list", c->cpu);
    c->core = c->cpu;
    if (read_text(root, path, text, sizeof text) && parse_list(text, set))
        c->core = first_of(set, c->cpu);
}

static void read_nodes(const char *root, struct topology *t)
{
    char path[96], text[4096];
    bool nodes[TOPOLOGY_CPUS_MAX] = {0}, cpus[TOPOLOGY_CPUS_MAX];
    t->node_count = 1;
    if (!read_text(root, "devices/system/node/online", text, sizeof text) || !parse_list(text, nodes))
        return;
    for (uint32_t n = 0; n < TOPOLOGY_CPUS_MAX; n++) {
        snprintf(path, sizeof path, "devices/system/node/node%u/cpulist", n);
        if (!nodes[n] || !read_text(root, path, text, sizeof text) || !parse_list(text, cpus))
            continue;
        for (uint32_t i = 0; i < t->cpu_count; i++)
            if (cpus[t->cpus[i].cpu])
                t->cpus[i].node = n;
        if (n + 1 > t->node_count)
            t->node_count = n + 1;
    }
}

struct err *topology_read(const char *sys_root, bool use_affinity, struct topology *out)
{
    char text[4096];
    bool online[TOPOLOGY_CPUS_MAX], isolated[TOPOLOGY_CPUS_MAX] = {0};
    memset(out, 0, sizeof *out);
    /* /sys, not sysconf: musl's sysconf counts the affinity mask. */
    if (!read_text(sys_root, "devices/system/cpu/online", text, sizeof text) || !parse_list(text, online))
        return err_new(ERR_IO, "cannot read the list of CPUs below %s", sys_root);
    if (read_text(sys_root, "devices/system/cpu/isolated", text, sizeof text) && !parse_list(text, isolated))
        return err_new(ERR_IO, "cannot read the list of isolated CPUs below %s", sys_root);
    cpu_set_t mask;
    CPU_ZERO(&mask);
    bool masked = use_affinity && sched_getaffinity(0, sizeof mask, &mask) == 0;
    for (uint32_t c = 0; c < TOPOLOGY_CPUS_MAX; c++) {
        if (!online[c])
            continue;
        struct topology_cpu *cpu = &out->cpus[out->cpu_count++];
        *cpu = (struct topology_cpu){.cpu = c,
                                     .isolated = isolated[c],
                                     .allowed = !masked || (c < CPU_SETSIZE && CPU_ISSET(c, &mask))};
        read_siblings(sys_root, cpu);
    }
    read_nodes(sys_root, out);
    return NULL;
}

/* ---- placement ---- */

static uint32_t usable(const struct topology *t, bool isolated, uint32_t node, uint32_t *out)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < t->cpu_count; i++) {
        const struct topology_cpu *c = &t->cpus[i];
        if (c->allowed && c->core == c->cpu && c->isolated == isolated && c->node == node)
            out[n++] = c->cpu;
    }
    return n;
}

static uint32_t node_cpus(const struct topology *t, uint32_t node, bool isolated, uint32_t *out)
{
    return usable(t, isolated, node, out);
}

static void add(uint32_t *list, uint32_t *count, uint32_t cpu)
{
    if (*count < 256)
        list[(*count)++] = cpu;
}

static void place_node(const uint32_t *cpus, uint32_t n, struct placement *out, uint32_t *system)
{
    if (!n)
        return;
    *system = cpus[0];
    uint32_t serve = (n - 1) / SERVE_SHARE;
    for (uint32_t i = 1; i < n; i++)
        if (i <= serve)
            add(out->serve, &out->serve_count, cpus[i]);
        else
            add(out->shards, &out->shard_count, cpus[i]);
}

static void place_auto(const struct topology *t, struct placement *out)
{
    uint32_t cpus[TOPOLOGY_CPUS_MAX], system = t->cpu_count ? t->cpus[0].cpu : 0;
    for (int isolated = 0; isolated < 2 && !out->shard_count && !out->serve_count; isolated++)
        for (uint32_t node = t->node_count; node-- > 0;)
            place_node(cpus, node_cpus(t, node, isolated, cpus), out, &system);
    if (!out->serve_count)
        add(out->serve, &out->serve_count, system);
    if (!out->shard_count)
        add(out->shards, &out->shard_count, system);
}

static const struct topology_cpu *find_cpu(const struct topology *t, uint32_t cpu)
{
    for (uint32_t i = 0; i < t->cpu_count; i++)
        if (t->cpus[i].cpu == cpu)
            return &t->cpus[i];
    return NULL;
}

static struct err *check_list(const struct topology *t, const char *what, const struct core_request *r)
{
    for (uint32_t i = 0; i < r->cpu_count; i++) {
        const struct topology_cpu *c = find_cpu(t, r->cpus[i]);
        if (!c)
            return err_hint(err_new(ERR_CONFIG, "cores.%s: CPU %u is not online", what, r->cpus[i]),
                            "/sys/devices/system/cpu/online lists those that are");
        for (uint32_t j = 0; j < i; j++)
            if (find_cpu(t, r->cpus[j])->core == c->core)
                return err_new(ERR_CONFIG, "cores.%s: CPUs %u and %u are one core", what, r->cpus[j],
                               r->cpus[i]);
    }
    return NULL;
}

/* A count: the cores chosen by auto first; more than there are share cores, and nothing is pinned. */
static void resize(const struct core_request *r, uint32_t *list, uint32_t *count, bool *shared)
{
    if (r->cpu_count) {
        *count = r->cpu_count < 256 ? r->cpu_count : 256;
        memcpy(list, r->cpus, *count * sizeof *list);
        return;
    }
    if (r->is_auto)
        return;
    uint32_t have = *count, want = r->count < 256 ? r->count : 256;
    *shared |= want > have;
    for (uint32_t i = have; i < want; i++)
        list[i] = list[i % have];
    *count = want;
}

static bool uses_core(const struct topology *t, const uint32_t *list, uint32_t count, uint32_t core)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct topology_cpu *c = find_cpu(t, list[i]);
        if (c && c->core == core)
            return true;
    }
    return false;
}

static void leave_the_rest(const struct topology *t, struct placement *out)
{
    for (uint32_t i = 0; i < t->cpu_count; i++) {
        const struct topology_cpu *c = &t->cpus[i];
        if (c->allowed && !c->isolated && !uses_core(t, out->shards, out->shard_count, c->core) &&
            !uses_core(t, out->serve, out->serve_count, c->core))
            out->system[out->system_count++] = c->cpu;
    }
}

uint32_t topology_node(const struct topology *t, uint32_t cpu)
{
    const struct topology_cpu *c = find_cpu(t, cpu);
    return c ? c->node : 0;
}

bool topology_stay_on(const uint32_t *cpus, uint32_t count)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    for (uint32_t i = 0; i < count; i++)
        if (cpus[i] < CPU_SETSIZE)
            CPU_SET(cpus[i], &set);
    return CPU_COUNT(&set) > 0 && sched_setaffinity(0, sizeof set, &set) == 0;
}

struct err *topology_place(const struct topology *t, const struct core_request *shards,
                           const struct core_request *serve, struct placement *out)
{
    memset(out, 0, sizeof *out);
    TRY(check_list(t, "shards", shards));
    TRY(check_list(t, "serve", serve));
    place_auto(t, out);
    resize(shards, out->shards, &out->shard_count, &out->shared);
    resize(serve, out->serve, &out->serve_count, &out->shared);
    for (uint32_t i = 0; i < out->serve_count; i++)
        for (uint32_t j = 0; j < out->shard_count; j++)
            out->shared |= out->serve[i] == out->shards[j];
    if (!out->shared)
        leave_the_rest(t, out);
    return NULL;
}

static void print_list(const char *label, const struct topology *t, uint32_t node, const uint32_t *list,
                       uint32_t count, FILE *to)
{
    bool any = false;
    for (uint32_t i = 0; i < count; i++) {
        const struct topology_cpu *c = find_cpu(t, list[i]);
        if (!c || c->node != node)
            continue;
        fprintf(to, any ? ",%u" : label, list[i]);
        any = true;
    }
}

void topology_print(const struct topology *t, const struct placement *p, FILE *to)
{
    for (uint32_t node = 0; node < t->node_count; node++) {
        fprintf(to, "node %u:", node);
        print_list(" serve %u", t, node, p->serve, p->serve_count, to);
        print_list(" shards %u", t, node, p->shards, p->shard_count, to);
        print_list(" others %u", t, node, p->system, p->system_count, to);
        fputs(p->shared ? " (shared, not pinned)\n" : "\n", to);
    }
}
