/* The machine's side: cores, interrupts and huge pages on a made-up /proc and /sys, the seed, sticks, disks with a table, what the
 * data partition needs, and the mirror of the box's own files. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "test.h"
#include "remove_tree.h"

#include "base/file.h"
#include "box/box.h"
#include "init/cores.h"
#include "init/entropy.h"
#include "init/mirror.h"
#include "init/provisioning.h"
#include "init/storage.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[] = "/tmp/penstock-machine-XXXXXX";

static char *at(const char *name)
{
    static char paths[8][300];
    static int next;
    char *p = paths[next++ & 7];
    snprintf(p, sizeof paths[0], "%s/%s", dir, name);
    return p;
}

static void put(const char *name, const char *text)
{
    char path[300];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    for (char *p = path + strlen(dir) + 1; (p = strchr(p, '/')); p++) {
        *p = 0;
        mkdir(path, 0755);
        *p = '/';
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
}

static const char *get(const char *name)
{
    static char text[4096];
    return file_text(at(name), text, sizeof text) ? text : "";
}

static void lists_of_cores(void)
{
    static const char *const wrong[] = {"x",  "1-",    "-1",  "3-2",   "1,,2",
                                        "1,", "99999", "1 2", "1-2-3", "4294967296"};
    cpu_set_t set, online;
    char text[256];
    CHECK(cores_parse("0-3,8,40-41\n", &set) && CPU_COUNT(&set) == 7 && CPU_ISSET(40, &set));
    cores_list(&set, text, sizeof text);
    CHECK_STR(text, "0-3,8,40-41");
    CHECK(cores_parse("0-63", &online));
    cores_mask(&set, &online, text, sizeof text);
    CHECK_STR(text, "300,0000010f");
    CHECK(cores_parse("", &set) && CPU_COUNT(&set) == 0);
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++)
        CHECK(!cores_parse(wrong[i], &set));
}

static void the_rest_goes_to_other_cores(void)
{
    cpu_set_t online, others;
    struct cores_done done;
    put("sys/devices/system/cpu/online", "0-7\n");
    put("sys/devices/virtual/workqueue/cpumask", "ff\n");
    put("proc/irq/default_smp_affinity", "ff\n");
    put("proc/irq/12/smp_affinity_list", "0-7\n");
    mkdir(at("proc/irq/13"), 0755); /* one without */
    put("proc/1/stat", "1 (init) S 0 1 1 0 -1 4194560 0 0\n");
    put("proc/20/stat", "20 (kworker) 0) I 2 0 0 0 -1 69238880 0\n"); /* bound to its core */
    put("proc/30/stat", "30 (a ) b) S 1 1 1 0 -1 4194560 0\n");
    put("proc/self", "");
    CHECK(cores_online(dir, &online) && CPU_COUNT(&online) == 8);
    CHECK(cores_parse("0-1,4", &others));
    cores_apply(dir, &others, &online, 99999, &done);
    CHECK(done.irqs == 1 && done.irqs_refused == 1 && done.workqueues);
    CHECK(done.threads == 2);
    CHECK(strncmp(get("proc/irq/12/smp_affinity_list"), "0-1,4", 5) == 0);
    CHECK(strncmp(get("proc/irq/default_smp_affinity"), "13", 2) == 0);
    CHECK(strncmp(get("sys/devices/virtual/workqueue/cpumask"), "13", 2) == 0);
    cores_apply(dir, &others, &online, getuid(), &done);
    CHECK(done.threads == 0); /* all are this user's, who is left alone */
}

static void huge_pages(void)
{
    uint64_t wanted;
    put("sys/devices/system/node/node0/meminfo", "Node 0 MemTotal:       2097152 kB\nNode 0 MemFree: 5 kB\n");
    put("sys/devices/system/node/node0/hugepages/hugepages-2048kB/nr_hugepages", "0\n");
    put("sys/devices/system/node/node1/meminfo", "Node 1 MemTotal:       1048576 kB\n");
    put("sys/devices/system/node/node1/hugepages/hugepages-2048kB/nr_hugepages", "0\n");
    CHECK(hugepages_reserve(dir, 50, &wanted) == 768 && wanted == 768);
    CHECK(strncmp(get("sys/devices/system/node/node0/hugepages/hugepages-2048kB/nr_hugepages"), "512", 3) ==
          0);
}

static void seeds_are_used_once(void)
{
    CHECK(!entropy_load(at("seed"), at("random")));
    CHECK(entropy_save(at("seed")));
    put("random", "");
    CHECK(entropy_load(at("seed"), at("random")));
    struct stat st;
    CHECK(stat(at("random"), &st) == 0 && st.st_size == ENTROPY_SEED_BYTES);
    CHECK(!entropy_load(at("seed"), at("random")));
    put("seed", "short");
    CHECK(!entropy_load(at("seed"), at("random")) && access(at("seed"), F_OK) != 0);
}

static void sticks_are_told_from_disks(void)
{
    char names[8][64];
    put("s/devices/pci0/usb1/1-1/block/sda/sda1/uevent", "");
    put("s/devices/pci0/ata1/block/sdb/sdb1/uevent", "");
    put("s/devices/pci0/ata1/block/sdb/removable", "0\n");
    put("s/devices/virtual/block/mmc/removable", "1\n");
    mkdir(at("s/block"), 0755);
    CHECK(symlink("../devices/pci0/usb1/1-1/block/sda", at("s/block/sda")) == 0);
    CHECK(symlink("../devices/pci0/ata1/block/sdb", at("s/block/sdb")) == 0);
    CHECK(symlink("../devices/virtual/block/mmc", at("s/block/mmc")) == 0);
    CHECK(provision_sticks(at("s"), "vda", names, 8) == 2);
    CHECK_STR(names[0], "mmc");
    CHECK_STR(names[1], "sda1");
    CHECK(provision_sticks(at("s"), "sda", names, 8) == 1); /* booted from a stick */
    mkdir(at("folder"), 0755);
    CHECK(!provision_has_content(at("folder")));
    put("folder/penstock-result.txt", "done");
    CHECK(!provision_has_content(at("folder")));
    put("folder/box.yaml", "box: 1\n");
    CHECK(provision_has_content(at("folder")) && !provision_has_content(at("nowhere")));
}

/* ---- a disk ---- */

#define DISK_SECTORS (24 * 2048)

static void entry_set(struct gpt *g, uint32_t i, uint64_t first, uint64_t last, const char *name)
{
    uint8_t *e = g->entries + i * GPT_ENTRY_BYTES;
    memset(e, 0x11, 16);
    memset(e + 16, (int)(0xa0 + i), 16);
    for (int k = 0; k < 8; k++) {
        e[32 + k] = (uint8_t)(first >> (8 * k));
        e[40 + k] = (uint8_t)(last >> (8 * k));
    }
    for (int k = 0; name[k]; k++)
        e[56 + 2 * k] = (uint8_t)name[k];
}

static void disk_make(const char *name, uint8_t guid)
{
    struct gpt *g = xcalloc(1, sizeof *g);
    struct gpt_io io;
    struct gpt_fd state;
    put(name, "");
    int fd = open(at(name), O_RDWR);
    CHECK(ftruncate(fd, DISK_SECTORS * 512) == 0 && gpt_io_fd(&io, &state, fd) == NULL);
    g->entry_count = GPT_ENTRIES_MAX;
    g->first_usable = 34;
    entry_set(g, 0, 2048, 4095, BOX_PART_A);
    entry_set(g, 1, 4096, 6143, BOX_PART_B);
    entry_set(g, 3, 8192, 10239, BOX_PART_DATA);
    memset(g->entries + GPT_ENTRY_BYTES + 16, guid, 16);
    gpt_set_attributes(g, 3, GPT_ATTRIBUTE_FRESH);
    CHECK(gpt_write(&io, g) == NULL);
    close(fd);
    free(g);
}

static void the_disk_is_found(void)
{
    struct disk d;
    put("sys/block/vda/vda4/uevent", "MAJOR=1\nPARTN=4\nPARTNAME=penstock-data\n");
    put("sys/block/vda/vda1/uevent", "PARTN=1\nPARTNAME=penstock-a\n");
    put("sys/block/vdb/vdb4/uevent", "PARTN=4\nPARTNAME=penstock-data\n");
    put("sys/block/vdb/vdb3/uevent", "PARTN=3\nPARTNAME=penstock-identity\n");
    put("sys/block/vdc/vdc1/uevent", "PARTN=1\nPARTNAME=other\n");
    disk_make("dev/vda", 0x21);
    disk_make("dev/vdb", 0x22);
    CHECK(disk_find(at("sys"), at("dev"), NULL, &d));
    CHECK_STR(d.name, "vda");
    CHECK(disk_find(at("sys"), at("dev"), "22222222-2222-2222-2222-222222222222", &d) && d.running == 'b');
    CHECK_STR(d.name, "vdb");
    CHECK_STR(d.data.device, at("dev/vdb4"));
    CHECK_STR(d.identity.device, at("dev/vdb3"));
    CHECK(!d.slot_a.device[0] && d.data.number == 4);
    CHECK(!disk_find(at("sys"), at("dev"), "33333333-2222-2222-2222-222222222222", &d) && !d.name[0]);
    char guid[37];
    static const char variable[] = "\6\0\0\0A\0";
    CHECK(!disk_loader_guid(dir, guid));
    uint8_t bytes[4 + 74] = {6};
    static const char text[] = "4A67B082-0A4C-41CF-B6C7-440B29BB8C4F";
    for (int i = 0; i < 36; i++)
        bytes[4 + 2 * i] = (uint8_t)text[i];
    put("LoaderDevicePartUUID-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f", "");
    int fd = open(at("LoaderDevicePartUUID-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"), O_WRONLY);
    CHECK(write(fd, variable, sizeof variable) > 0 && !disk_loader_guid(dir, guid)); /* too short */
    CHECK(pwrite(fd, bytes, sizeof bytes, 0) == (ssize_t)sizeof bytes);
    close(fd);
    CHECK(disk_loader_guid(dir, guid));
    CHECK_STR(guid, "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f");
}

static void the_data_partition_grows_once(void)
{
    struct gpt_part p;
    bool grown, fresh;
    disk_make("disk", 0x21);
    CHECK(storage_table(at("disk"), BOX_PART_DATA, false, &grown, &fresh, &p) == NULL);
    CHECK(grown && fresh && p.last == DISK_SECTORS - 2049);
    CHECK(storage_mark_fresh(at("disk"), BOX_PART_DATA, false) == NULL);
    CHECK(storage_table(at("disk"), BOX_PART_DATA, false, &grown, &fresh, &p) == NULL && !grown && !fresh);
    CHECK(storage_mark_fresh(at("disk"), BOX_PART_DATA, true) == NULL);
    CHECK(storage_table(at("disk"), BOX_PART_DATA, false, &grown, &fresh, &p) == NULL && !grown && fresh);
    struct err *e = storage_table(at("disk"), "penstock-none", false, &grown, &fresh, &p);
    CHECK(e && e->code == ERR_CORRUPT && !fresh);
    err_free(e);
    /* e2fsck's exit status, as waitpid gives it. */
    CHECK(storage_check_result(0) == STORAGE_CLEAN && storage_check_result(1 << 8) == STORAGE_REPAIRED);
    CHECK(storage_check_result(3 << 8) == STORAGE_REPAIRED && storage_check_result(4 << 8) == STORAGE_BROKEN);
    CHECK(storage_check_result(8 << 8) == STORAGE_BROKEN && storage_check_result(9) == STORAGE_BROKEN);
    CHECK(storage_check_result(-1) == STORAGE_BROKEN);
}

/* ---- folders, identity ---- */

static struct loop l;
static struct log_hub hub;

static void folders_have_their_owners(void)
{
    struct stat st;
    CHECK(storage_folders(at("data")) == (geteuid() == 0 ? 0 : 5) || geteuid() != 0);
    if (geteuid() != 0)
        return;
    CHECK(stat(at("data/box"), &st) == 0 && (st.st_mode & 07777) == 0700 && st.st_uid == 0);
    CHECK(stat(at("data/store"), &st) == 0 && (st.st_mode & 07777) == 0700 && st.st_uid == BOX_PENSTOCK);
    CHECK(stat(at("data/config"), &st) == 0 && st.st_uid == 0 && st.st_gid == BOX_PENSTOCK);
    CHECK(chmod(at("data/box"), 0777) == 0 && storage_folders(at("data")) == 0);
    CHECK(stat(at("data/box"), &st) == 0 && (st.st_mode & 07777) == 0700);
    CHECK(rmdir(at("data/log")) == 0 && symlink("../folder", at("data/log")) == 0);
    CHECK(storage_folders(at("data")) == 1); /* never through a link */
}

static bool saved_once(void *arg)
{
    struct mirror *m = arg;
    return m->saves > 0 && mirror_is_idle(m);
}

static uint32_t files_kept(void)
{
    struct identity *id = xcalloc(1, sizeof *id);
    bool damaged;
    int fd = open(at("identity"), O_RDONLY);
    CHECK(identity_read(fd, id, &damaged) == NULL);
    uint32_t n = id->count;
    close(fd);
    identity_fini(id);
    free(id);
    return n;
}

static void changes_are_mirrored(void)
{
    put("own/a", "1");
    put("identity", "");
    CHECK(truncate(at("identity"), 4 << 20) == 0);
    struct mirror m = {.loop = &l, .log = &hub, .inotify = -1};
    snprintf(m.device, sizeof m.device, "%s", at("identity"));
    snprintf(m.dir, sizeof m.dir, "%s", at("own"));
    mirror_start(&m);
    CHECK(loop_until(&l, saved_once, &m, 20000) && files_kept() == 1);
    m.saves = 0;
    put("own/b", "2");
    CHECK(loop_until(&l, saved_once, &m, 20000) && files_kept() == 2);
    m.saves = 0;
    put("own/keys/c", "3"); /* a folder that is new, and a file in it */
    CHECK(loop_until(&l, saved_once, &m, 20000));
    m.saves = 0;
    put("own/keys/d", "4");
    CHECK(loop_until(&l, saved_once, &m, 20000) && files_kept() == 5);
    mirror_stop(&m);
}

static void identity_comes_back(void)
{
    struct storage s = {.loop = &l, .log = &hub};
    /* A new data partition: from its copy. */
    storage_restore_identity(&s, at("identity"), at("back"));
    CHECK_STR(get("back/keys/d"), "4");
    /* One that has files has the truth ... */
    put("back/a", "newer");
    storage_restore_identity(&s, at("identity"), at("back"));
    CHECK_STR(get("back/a"), "newer");
    /* ... unless it was away when they were last changed. */
    put("own/a", "in rescue");
    CHECK(identity_save(at("identity"), at("own"), IDENTITY_FROM_RESCUE, NULL) == NULL);
    storage_restore_identity(&s, at("identity"), at("back"));
    CHECK_STR(get("back/a"), "in rescue");
    storage_restore_identity(&s, "", at("back"));
}

int main(void)
{
    if (!mkdtemp(dir))
        return 1;
    loop_init(&l, NULL, NULL);
    log_hub_init(&hub, &l, -1);
    RUN(lists_of_cores);
    RUN(the_rest_goes_to_other_cores);
    RUN(huge_pages);
    RUN(seeds_are_used_once);
    RUN(sticks_are_told_from_disks);
    RUN(the_disk_is_found);
    RUN(the_data_partition_grows_once);
    RUN(folders_have_their_owners);
    RUN(changes_are_mirrored);
    RUN(identity_comes_back);
    remove_tree(dir);
    TEST_END();
}
