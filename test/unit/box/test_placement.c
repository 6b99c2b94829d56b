/* Placement read from a made-up /proc and /sys: two nodes of four cores, two shards. */
#include "box/placement.h"

#include "../remove_tree.h"
#include "../test.h"

#include <errno.h>
#include <sys/stat.h>
#include <yyjson.h>

static char root[] = "/tmp/test-placement-XXXXXX";
static struct placement_view v;

static void put_bytes(const char *name, const char *text, size_t len)
{
    char *path = xprintf("%s/%s", root, name);
    for (char *slash = path + strlen(root) + 1; (slash = strchr(slash, '/')); *slash++ = '/') {
        *slash = 0;
        CHECK(mkdir(path, 0700) == 0 || errno == EEXIST);
    }
    FILE *f = fopen(path, "we");
    CHECK(f != NULL);
    if (f) {
        fwrite(text, 1, len, f);
        fclose(f);
    }
    free(path);
}

static void put(const char *name, const char *text)
{
    put_bytes(name, text, strlen(text));
}

static void put_thread(int pid, int tid, const char *name, const char *cpus)
{
    char path[64], text[128];
    for (int as_process = pid == tid; as_process >= 0; as_process--) {
        snprintf(path, sizeof path, as_process ? "proc/%d/status" : "proc/%d/task/%d/status", pid, tid);
        snprintf(
            text, sizeof text,
            "Name:\t%s\nUmask:\t0022\nCpus_allowed:\tff\nCpus_allowed_list:\t%s\nMems_allowed_list:\t0-1\n",
            name, cpus);
        put(path, text);
    }
    snprintf(path, sizeof path, "proc/%d/task/%d/cmdline", pid, tid);
    put(path, "x");
}

static void make_machine(void)
{
    put("sys/devices/system/node/node0/cpulist", "0-3\n");
    put("sys/devices/system/node/node1/cpulist", "4-7\n");
    put("sys/devices/system/node/node1/hugepages/hugepages-2048kB/nr_hugepages", "10\n");
    put("sys/devices/system/node/node1/hugepages/hugepages-2048kB/free_hugepages", "4\n");
    put_bytes("proc/50/cmdline", "penstock\0pipeline-process\0-c\0x\0", 31);
    put_bytes("proc/51/cmdline", "penstock\0serve-process\0", 23);
    put_thread(50, 50, "pipeline", "0,4");
    put_thread(50, 60, "shard 0", "1");
    put_thread(50, 61, "shard 1", "5");
    put_thread(50, 62, "bank", "0-7");
    put_thread(51, 51, "serve", "0,4");
    put_thread(51, 70, "serve 0", "2");
    put("proc/50/maps", "7f0000000000-7f0000010000 rw-p 00000000 00:00 0   [anon:penstock shard 0]\n"
                        "7f0000020000-7f0000030000 rw-p 00000000 00:00 0   [anon:penstock shard 1]\n"
                        "7f0000040000-7f0000050000 rw-p 00000000 00:00 0\n");
    put("proc/50/numa_maps",
        "7f0000000000 prefer:0 anon=16 dirty=16 N0=16 kernelpagesize_kB=4\n"
        "7f0000020000 prefer:1 anon=16 dirty=16 N0=1 N1=15 kernelpagesize_kB=4\n"
        "7f0000040000 default anon=100 dirty=100 N0=60 N1=40 kernelpagesize_kB=4\n"
        "7f0000060000 default file=/data/store/shard-000/data.mdb mapped=50 N0=50 kernelpagesize_kB=4\n"
        "7f0000080000 default file=/data/store/shard-001/data.mdb mapped=50 N1=50 kernelpagesize_kB=4\n"
        "7f00000a0000 default file=/bin/penstock mapped=50 N0=50 kernelpagesize_kB=4\n"
        "7f00000c0000 default file=/anon_hugepage\\040(deleted) huge anon=2 N1=2 kernelpagesize_kB=2048\n");
    put("proc/50/smaps_rollup", "7f0000000000-7fff00000000 ---p 00000000 00:00 0 [rollup]\nRss: 100 "
                                "kB\nAnonHugePages:      4096 kB\n");
    put("proc/51/numa_maps",
        "7f0000060000 default file=/data/store/shard-001/data.mdb mapped=50 N0=50 kernelpagesize_kB=4\n"
        "7f0000040000 default anon=10 N1=10 kernelpagesize_kB=4\n");
    put("proc/irq/30/effective_affinity_list", "0\n");
    put("proc/irq/31/effective_affinity_list", "0-7\n");
}

static bool look(bool isolate)
{
    char *proc = xprintf("%s/proc", root), *sys = xprintf("%s/sys", root);
    placement_fini(&v);
    struct err *e = placement_look(proc, sys, isolate, &v);
    bool good = !e;
    err_free(e);
    free(proc);
    free(sys);
    return good;
}

static bool said(const char *text)
{
    for (uint32_t i = 0; i < v.problem_count; i++)
        if (strstr(v.problems[i], text))
            return true;
    return false;
}

static void test_as_planned(void)
{
    CHECK(look(true));
    CHECK(v.problem_count == 0);
    for (uint32_t i = 0; i < v.problem_count; i++)
        printf("# %s\n", v.problems[i]);
    CHECK(v.node_count == 2 && v.shard_count == 2 && v.thread_count == 6);
    CHECK(v.shards[0].cpu == 1 && v.shards[0].node == 0 && v.shards[1].cpu == 5 && v.shards[1].node == 1);
    CHECK(v.shards[1].rings_kib[1] == 60 && v.shards[1].store_kib[1] == 200 && v.shards[1].store_kib[0] == 0);
    CHECK(v.private_kib[0] == 240 && v.private_kib[1] == 160 && v.serve_kib[1] == 40);
    CHECK(v.bound_kib[0][0] == 64 && v.bound_kib[0][1] == 0 && v.bound_kib[1][0] == 4 &&
          v.bound_kib[1][1] == 60);
    CHECK(v.huge_kib == 4096 && v.hugepages[1] == 20480 && v.hugepages_free[1] == 8192);
}

static void test_printed(void)
{
    struct buf b = {0};
    CHECK(look(true));
    placement_json(&v, &b);
    yyjson_doc *doc = yyjson_read((const char *)b.p, b.len, 0);
    yyjson_val *o = yyjson_doc_get_root(doc), *shard = yyjson_arr_get(yyjson_obj_get(o, "shards"), 1);
    CHECK(yyjson_get_bool(yyjson_obj_get(o, "ok")) && yyjson_get_int(yyjson_obj_get(shard, "node")) == 1);
    CHECK(yyjson_arr_size(yyjson_obj_get(o, "threads")) == 6);
    yyjson_doc_free(doc);
    buf_reset(&b);
    placement_text(&v, &b);
    buf_put_u8(&b, 0);
    CHECK(strstr((char *)b.p, "placement             as planned\n") &&
          strstr((char *)b.p, "pipeline  bank              0-7\n"));
    buf_fini(&b);
}

static void test_far_memory(void)
{
    put("proc/50/numa_maps",
        "7f0000000000 prefer:0 anon=16 N0=14 N1=2 kernelpagesize_kB=4\n"
        "7f0000020000 prefer:1 anon=16 N1=16 kernelpagesize_kB=4\n"
        "7f0000080000 default file=/data/store/shard-001/data.mdb mapped=50 N0=50 kernelpagesize_kB=4\n");
    CHECK(look(true) && v.problem_count == 3);
    CHECK(said("node 0: 8 of 64 KiB of the shards' rings"));
    CHECK(said("shard 0: 8 of 64 KiB of its rings are on another node than its core's (0)"));
    CHECK(said("shard 1: 200 of 200 KiB of its store"));
    put("proc/50/numa_maps",
        "7f0000000000 prefer:0 anon=10 N0=9 N1=1 kernelpagesize_kB=4\n"); /* just enough */
    CHECK(look(true) && v.problem_count == 0);
}

static void test_others_on_a_core(void)
{
    put_thread(90, 90, "evil\"name", "4-7");
    put("proc/90/cmdline", "evil");
    put_thread(91, 91, "kworker/u8:1", "0-7");
    put("proc/91/cmdline", "");
    put("proc/91/task/91/cmdline", "");
    put_thread(92, 92, "migration/5", "5");
    put("proc/92/task/92/cmdline", "");
    put("proc/irq/32/effective_affinity_list", "1\n");
    put("proc/irq/32/smp_affinity_list", "0-7\n");
    put("proc/irq/33/effective_affinity_list", "1\n"); /* a disk's queue of this core */
    put("proc/irq/33/smp_affinity_list", "1\n");
    CHECK(look(false) && v.problem_count == 0); /* not planned */
    CHECK(look(true) && v.problem_count == 2);
    CHECK(said("shard 1: 1 other threads may run on its core, evil\"name for one") &&
          said("shard 0: 1 interrupts"));
    CHECK(v.shards[0].irqs_bound == 1);
    CHECK(v.shards[0].kernel_threads == 1 && v.shards[1].kernel_threads == 1);
}

static void test_not_pinned(void)
{
    put_thread(50, 61, "shard 1", "0-7");
    put_thread(51, 70, "serve 0", "0-7");
    CHECK(look(false) && said("shard 1: it has no core of its own") && said("serve loop 0: it has no core"));
    put_thread(50, 61, "shard 1", "1");
    CHECK(look(false) && said("shard 1: shard 0 has the same core"));
}

static void test_nobody(void)
{
    put_bytes("proc/50/cmdline", "penstock\0run\0", 13);
    CHECK(!look(false));
}

static void test_lists(void)
{
    struct placement_cpus c;
    uint32_t n;
    CHECK(placement_cpus_parse("0-3,8,8,1023\n", &c, &n) && n == 6);
    CHECK(placement_cpus_parse("\n", &c, &n) && n == 0);
    CHECK(placement_cpus_parse("0-999999999", &c, &n) && n == PLACEMENT_CPUS_MAX);
    CHECK(!placement_cpus_parse("0-x", &c, &n) && !placement_cpus_parse("a", &c, &n));
}

int main(void)
{
    if (!mkdtemp(root))
        return 1;
    make_machine();
    RUN(test_as_planned);
    RUN(test_printed);
    RUN(test_far_memory);
    RUN(test_others_on_a_core);
    RUN(test_not_pinned);
    RUN(test_nobody);
    RUN(test_lists);
    placement_fini(&v);
    remove_tree(root);
    TEST_END();
}
