/* Placement of threads on machines that are only described: trees like /sys in a temporary directory. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "flow/topology.h"
#include "test.h"

#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

static char root[64];
static struct topology t;
static struct placement p;
static const struct core_request automatic = {.is_auto = true};

/* ---- making trees ---- */

static void make_root(void)
{
    snprintf(root, sizeof root, "/tmp/penstock-topology-XXXXXX");
    if (!mkdtemp(root))
        abort();
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static void remove_root(void)
{
    nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void put(const char *path, const char *text)
{
    char name[256];
    snprintf(name, sizeof name, "%s/%s", root, path);
    for (char *s = name + strlen(root) + 1; (s = strchr(s, '/')); s++) {
        *s = 0;
        mkdir(name, 0755);
        *s = '/';
    }
    FILE *f = fopen(name, "w");
    if (!f)
        abort();
    fprintf(f, "%s\n", text);
    fclose(f);
}

static void put_siblings(unsigned cpu, const char *list)
{
    char path[96];
    snprintf(path, sizeof path, "devices/system/cpu/cpu%u/topology/thread_siblings_list", cpu);
    put(path, list);
}

/* `count` CPUs, `threads` to a core (cpu and cpu + count / threads), `nodes` nodes of consecutive cores. */
static void make_machine(unsigned count, unsigned threads, unsigned nodes, const char *isolated)
{
    char text[64];
    unsigned cores = count / threads, per_node = cores / nodes;
    make_root();
    snprintf(text, sizeof text, count > 1 ? "0-%u" : "0", count - 1);
    put("devices/system/cpu/online", text);
    put("devices/system/cpu/isolated", isolated);
    for (unsigned c = 0; c < count; c++) {
        unsigned core = c % cores;
        snprintf(text, sizeof text, threads == 2 ? "%u,%u" : "%u", core, core + cores);
        put_siblings(c, text);
    }
    snprintf(text, sizeof text, nodes > 1 ? "0-%u" : "0", nodes - 1);
    put("devices/system/node/online", text);
    for (unsigned n = 0; n < nodes; n++) {
        char path[64];
        unsigned first = n * per_node, last = first + per_node - 1;
        snprintf(path, sizeof path, "devices/system/node/node%u/cpulist", n);
        if (threads == 2)
            snprintf(text, sizeof text, "%u-%u,%u-%u", first, last, first + cores, last + cores);
        else
            snprintf(text, sizeof text, first == last ? "%u" : "%u-%u", first, last);
        put(path, text);
    }
}

static bool read_machine(void)
{
    struct err *e = topology_read(root, false, &t);
    bool read = !e;
    CHECK(read);
    err_free(e);
    remove_root();
    return read;
}

static void place(const struct core_request *shards, const struct core_request *serve)
{
    struct err *e = topology_place(&t, shards, serve, &p);
    CHECK(!e);
    err_free(e);
}

/* "1-3,5": the CPUs of a placement, sorted. */
static const char *list_of(const uint32_t *cpus, uint32_t count)
{
    static char text[512];
    bool set[TOPOLOGY_CPUS_MAX + 1] = {0};
    size_t len = 0;
    for (uint32_t i = 0; i < count; i++)
        set[cpus[i]] = true;
    text[0] = 0;
    for (uint32_t c = 0; c < TOPOLOGY_CPUS_MAX; c++) {
        uint32_t last = c;
        if (!set[c])
            continue;
        while (set[last + 1])
            last++;
        len += (size_t)snprintf(text + len, sizeof text - len, last > c ? "%s%u-%u" : "%s%u", len ? "," : "",
                                c, last);
        c = last;
    }
    return text;
}

static void expect(const char *shards, const char *serve, bool shared)
{
    CHECK_STR(list_of(p.shards, p.shard_count), shards);
    CHECK_STR(list_of(p.serve, p.serve_count), serve);
    CHECK(p.shared == shared);
}

static void expect_auto(unsigned cpus, unsigned threads, unsigned nodes, const char *isolated,
                        const char *shards, const char *serve, bool shared)
{
    make_machine(cpus, threads, nodes, isolated);
    if (!read_machine())
        return;
    CHECK(t.cpu_count == cpus && t.node_count == nodes);
    place(&automatic, &automatic);
    expect(shards, serve, shared);
}

/* ---- auto ---- */

static void one_core(void)
{
    expect_auto(1, 1, 1, "", "0", "0", true);
}

static void two_cores(void)
{
    expect_auto(2, 1, 1, "", "1", "0", false);
}

static void four_cores(void)
{
    expect_auto(4, 1, 1, "", "1-3", "0", false);
}

static void eight_cores_on_two_nodes(void)
{
    expect_auto(8, 1, 2, "", "1-3,5-7", "0", false);
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);
    topology_print(&t, &p, f);
    fclose(f);
    CHECK_STR(text, "node 0: serve 0 shards 1,2,3\nnode 1: shards 5,6,7 others 4\n");
    free(text);
    CHECK(topology_node(&t, 5) == 1 && topology_node(&t, 3) == 0 && topology_node(&t, 99) == 0);
}

/* What is left for other threads is no sibling of a core that is used. */
static void the_rest(void)
{
    expect_auto(16, 2, 1, "", "2-7", "1", false);
    CHECK(p.system_count == 2 && p.system[0] == 0 && p.system[1] == 8);
    expect_auto(4, 1, 1, "", "1-3", "0", false);
    CHECK(p.system_count == 0);
    expect_auto(1, 1, 1, "", "0", "0", true);
    CHECK(p.system_count == 0);
    CHECK(!topology_stay_on(NULL, 0));
}

static void smt_siblings_stay_free(void)
{
    expect_auto(16, 2, 1, "", "2-7", "1", false);
    CHECK(t.cpus[8].core == 0 && t.cpus[15].core == 7);
}

static void isolated_cores_stay_free(void)
{
    expect_auto(8, 1, 1, "4-7", "1-3", "0", false);
    CHECK(t.cpus[4].isolated && !t.cpus[3].isolated);
}

static void isolated_cores_when_nothing_else_is_there(void)
{
    expect_auto(8, 1, 1, "0-7", "2-7", "1", false);
    expect_auto(8, 1, 1, "1-7", "3-7", "2", false); /* the only other core is the system's */
}

static void eighty_cores(void)
{
    expect_auto(80, 1, 1, "", "20-79", "1-19", false);
}

static void hundred_and_ninety_two_cores_on_two_nodes(void)
{
    expect_auto(192, 1, 2, "", "24-95,120-191", "1-23,97-119", false);
    CHECK(p.shard_count == 144 && p.serve_count == 46);
}

static void as_many_as_are_looked_at(void)
{
    expect_auto(1024, 1, 1, "", "256-511", "1-255", false);
    CHECK(p.shard_count == 256 && p.serve_count == 255);
}

/* ---- counts and lists ---- */

static void counts_take_the_first_of_auto(void)
{
    struct core_request two = {.count = 2}, one = {.count = 1};
    make_machine(16, 1, 1, "");
    if (!read_machine())
        return;
    place(&two, &one);
    expect("4-5", "1", false);
    place(&two, &automatic);
    expect("4-5", "1-3", false);
}

static void more_shards_than_cores_share(void)
{
    struct core_request four = {.count = 4};
    make_machine(2, 1, 1, "");
    if (!read_machine())
        return;
    place(&four, &automatic);
    CHECK(p.shard_count == 4 && p.shared);
    for (uint32_t i = 0; i < 4; i++)
        CHECK(p.shards[i] == 1);
}

static void lists_are_taken_as_they_are(void)
{
    static const uint32_t first[] = {6, 4, 5}, second[] = {1}, both[] = {4};
    struct core_request shards = {.cpu_count = 3, .cpus = first}, serve = {.cpu_count = 1, .cpus = second};
    make_machine(8, 1, 2, "6");
    if (!read_machine())
        return;
    place(&shards, &serve);
    expect("4-6", "1", false);
    CHECK(p.shards[0] == 6 && p.shards[1] == 4); /* in the order given, isolated or not */
    serve.cpus = both;
    place(&shards, &serve);
    expect("4-6", "4", true); /* one core for both is allowed, but then nothing is pinned */
}

static void refused(const struct core_request *shards, const struct core_request *serve, const char *message)
{
    struct err *e = topology_place(&t, shards, serve, &p);
    CHECK(e && e->code == ERR_CONFIG);
    CHECK_STR(e ? e->message : NULL, message);
    err_free(e);
}

static void bad_lists_are_refused(void)
{
    static const uint32_t absent[] = {1, 16}, twice[] = {2, 2}, siblings[] = {3, 11};
    struct core_request r = {.cpu_count = 2, .cpus = absent};
    make_machine(16, 2, 1, "");
    if (!read_machine())
        return;
    refused(&r, &automatic, "cores.shards: CPU 16 is not online");
    refused(&automatic, &r, "cores.serve: CPU 16 is not online");
    r.cpus = twice;
    refused(&r, &automatic, "cores.shards: CPUs 2 and 2 are one core");
    r.cpus = siblings;
    refused(&automatic, &r, "cores.serve: CPUs 3 and 11 are one core");
}

/* ---- odd trees ---- */

static void gaps_in_the_numbers(void)
{
    make_root();
    put("devices/system/cpu/online", "0,2-3,10-11");
    if (!read_machine())
        return;
    CHECK(t.cpu_count == 5 && t.node_count == 1); /* no siblings, no nodes: each its own core on node 0 */
    place(&automatic, &automatic);
    expect("3,10-11", "2", false);
}

static void nodes_without_cpus(void)
{
    make_machine(4, 1, 1, "");
    put("devices/system/node/online", "0-1");
    put("devices/system/node/node1/cpulist", "");
    if (!read_machine())
        return;
    place(&automatic, &automatic);
    expect("1-3", "0", false);
}

static void numbers_past_the_limit_are_ignored(void)
{
    make_root();
    put("devices/system/cpu/online", "0-1,1023-4000000000");
    if (!read_machine())
        return;
    CHECK(t.cpu_count == 3 && t.cpus[2].cpu == 1023);
}

static void unreadable_trees_are_errors(void)
{
    make_root();
    struct err *e = topology_read(root, false, &t);
    CHECK(e && e->code == ERR_IO);
    err_free(e);
    put("devices/system/cpu/online", "zero");
    e = topology_read(root, false, &t);
    CHECK(e && e->code == ERR_IO);
    err_free(e);
    put("devices/system/cpu/online", "0-3");
    put("devices/system/cpu/isolated", "x");
    e = topology_read(root, false, &t);
    CHECK(e && e->code == ERR_IO);
    err_free(e);
    remove_root();
}

/* This machine, whatever it is: somewhere to run both. */
static void this_machine(void)
{
    struct err *e = topology_read("/sys", true, &t);
    CHECK(!e);
    err_free(e);
    place(&automatic, &automatic);
    CHECK(p.shard_count && p.serve_count);
}

int main(void)
{
    RUN(one_core);
    RUN(two_cores);
    RUN(four_cores);
    RUN(eight_cores_on_two_nodes);
    RUN(smt_siblings_stay_free);
    RUN(the_rest);
    RUN(isolated_cores_stay_free);
    RUN(isolated_cores_when_nothing_else_is_there);
    RUN(eighty_cores);
    RUN(hundred_and_ninety_two_cores_on_two_nodes);
    RUN(as_many_as_are_looked_at);
    RUN(counts_take_the_first_of_auto);
    RUN(more_shards_than_cores_share);
    RUN(lists_are_taken_as_they_are);
    RUN(bad_lists_are_refused);
    RUN(gaps_in_the_numbers);
    RUN(nodes_without_cpus);
    RUN(numbers_past_the_limit_are_ignored);
    RUN(unreadable_trees_are_errors);
    RUN(this_machine);
    TEST_END();
}
