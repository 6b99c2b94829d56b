/* From the kernel's start to a mounted /data: see init.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "init/init.h"

#include "base/text.h"
#include "init/clock_floor.h"
#include "init/cores.h"
#include "init/entropy.h"
#include "init/log_ring.h"
#include "init/mounts.h"
#include "init/uevent.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

static int64_t up_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- devices ---- */

static void watchdog_try(struct init *i)
{
    bool had = i->watchdog.fd >= 0;
    if (watchdog_open(&i->watchdog, "/dev/watchdog0") && !had)
        log_hub_say(&i->log, "watchdog %s: resets the box after %d s without a sign of life",
                    i->watchdog.identity, i->watchdog.timeout_s);
}

static void on_uevent(void *arg, int fd, short events)
{
    struct init *i = arg;
    static char buffer[UEVENT_BYTES_MAX];
    struct uevent u;
    (void)events;
    for (int n = 0; n < 64 && uevent_next(fd, buffer, &u); n++) {
        if (strcmp(u.action, "add") != 0)
            continue;
        if (u.modalias[0] && i->modules)
            modules_match(i->modules, u.modalias);
        if (strcmp(u.subsystem, "watchdog") == 0)
            watchdog_try(i);
        if (strcmp(u.subsystem, "block") == 0)
            init_provision_sticks(i);
    }
}

static void load_modules(struct init *i)
{
    /* What no device asks for by its modalias. */
    static const char *const wanted[] = {"ext4",     "vfat",     "nls_cp437", "nls_ascii",
                                         "nls_utf8", "efivarfs", "8021q"};
    struct utsname name;
    uname(&name);
    char *dir = xprintf("/lib/modules/%s", name.release);
    struct err *e = modules_open(dir, NULL, NULL, &i->modules);
    free(dir);
    if (e) {
        log_hub_say(&i->log, "kernel modules: %s", e->message);
        err_free(e);
        return;
    }
    modules_coldplug(i->modules, "/sys/devices");
    watchdog_try(i);
    for (size_t k = 0; k < ARRAY_COUNT(wanted); k++)
        modules_load(i->modules, wanted[k]);
    log_hub_say(&i->log, "%u kernel modules are loaded, %u failed%s%s", modules_loaded(i->modules),
                modules_failed(i->modules), modules_failed(i->modules) ? ": " : "",
                modules_failure(i->modules));
}

/* ---- the disk ---- */

struct disk_wait {
    struct init *i;
    const char *guid;
    int64_t guid_until_ms;
};

static bool disk_is_there(void *arg)
{
    struct disk_wait *w = arg;
    return disk_find("/sys", "/dev", w->guid, &w->i->storage.disk);
}

static bool find_disk(struct init *i)
{
    char guid[37];
    struct disk_wait w = {i, disk_loader_guid("/sys/firmware/efi/efivars", guid) ? guid : NULL, 0};
    int64_t end = loop_now_ms() + INIT_DISK_WAIT_MS;
    bool found = disk_is_there(&w);
    while (!found && loop_now_ms() < end) {
        loop_turn(&i->loop, 100); /* its driver may just be looking for it */
        found = disk_is_there(&w);
    }
    if (found || !w.guid)
        return found;
    /* Firmware that gives another GUID than the table's: better any disk of ours than none. */
    w.guid = NULL;
    found = disk_is_there(&w);
    if (found)
        log_hub_say(&i->log, "no disk has the partition %s that the loader names; %s is used", guid,
                    i->storage.disk.device);
    return found;
}

static void mount_data(struct init *i)
{
    struct storage *s = &i->storage;
    s->loop = &i->loop;
    s->log = &i->log;
    s->mke2fs = "/bin/mke2fs";
    s->e2fsck = "/bin/e2fsck";
    bool found = find_disk(i);
    i->times.disk_ms = up_ms();
    if (found)
        log_hub_say(&i->log, "the box's disk is %s, slot %s", s->disk.device,
                    s->disk.running == 'a'   ? "A"
                    : s->disk.running == 'b' ? "B"
                                             : "unknown");
    storage_mount(s, found);
    mkdir(BOX_DIR, 0700);
    storage_restore_identity(s, s->disk.identity.device, BOX_DIR);
    uint32_t bad = storage_folders(BOX_DATA);
    if (bad)
        log_hub_say(&i->log, "%u folders of /data could not be given their owner or mode", bad);
    i->times.data_ms = up_ms();
}

/* A box without a clock of its own starts in 1970, one with an empty battery anywhere. */
static void set_clock(struct init *i)
{
    struct err *e = clock_floor_apply(clock_floor(BOX_IMAGE_JSON, BOX_CLOCK),
                                      clock_ceiling(clock_build_time(BOX_IMAGE_JSON)));
    if (e)
        log_hub_say(&i->log, "%s", e->message);
    err_free(e);
}

static void reserve_hugepages(struct init *i)
{
    uint64_t wanted, have;
    if (i->settings.hugepages_share <= 0)
        return;
    have = hugepages_reserve("", (uint32_t)i->settings.hugepages_share, &wanted);
    log_hub_say(&i->log, "huge pages: %llu of %llu that hugepages.share asks for", (unsigned long long)have,
                (unsigned long long)wanted);
}

static void on_identity_changed(void *arg)
{
    struct init *i = arg;
    init_services_look(i);
}

static void start_mirror(struct init *i)
{
    struct mirror *m = &i->mirror;
    *m = (struct mirror){.loop = &i->loop,
                         .log = &i->log,
                         .inotify = -1,
                         .flags = i->storage.rescue ? IDENTITY_FROM_RESCUE : 0,
                         .changed = on_identity_changed,
                         .arg = i};
    text_fill(m->device, sizeof m->device, "%s", i->storage.disk.identity.device);
    text_fill(m->dir, sizeof m->dir, "%s", BOX_DIR);
    mirror_start(m);
}

void init_boot(struct init *i)
{
    char failed[256];
    i->times.started_ms = up_ms();
    sched_getaffinity(0, sizeof i->every_core, &i->every_core);
    uint32_t bad = mounts_early(failed, sizeof failed);
    i->console_fd = mounts_console();
    log_hub_init(&i->log, &i->loop, i->console_fd);
    log_hub_say(&i->log, "Penstock box: %s", box_board() ? box_board() : "of no board");
    if (bad)
        log_hub_say(&i->log, "not mounted: %s", failed);
    watchdog_init(&i->watchdog, &i->loop);
    watchdog_try(i);
    bad = kernel_settings("", failed, sizeof failed);
    if (bad)
        log_hub_say(&i->log, "%u kernel settings were refused: %s, ...", bad, failed);
    log_hub_kernel(&i->log, open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    mkdir(BOX_RUN, 0755);
    i->uevents = uevent_open();
    if (i->uevents >= 0)
        loop_add(&i->loop, i->uevents, POLLIN, on_uevent, i);
    load_modules(i);
    i->times.modules_ms = up_ms();
    if (!mounts_efivars())
        log_hub_say(&i->log, "no EFI variables: %s", strerror(errno));
    mount_data(i);
    log_hub_files(&i->log, BOX_LOG, i->storage.rescue ? LOG_RING_FILE_BYTES_RESCUE : LOG_RING_FILE_BYTES);
    struct err *e = settings_load(BOX_SETTINGS, &i->settings);
    for (struct err *one = e; one; one = one->next)
        log_hub_say(&i->log, "settings: line %d: %s", one->line, one->message);
    err_free(e);
    set_clock(i);
    if (entropy_load(ENTROPY_SEED, "/dev/urandom"))
        log_hub_say(&i->log, "the random generator was given the seed of the last run");
    reserve_hugepages(i);
    start_mirror(i);
    init_trial_begin(i); /* its record is mirrored, too */
    if (!mounts_root_read_only())
        log_hub_say(&i->log, "root stays writable: %s", strerror(errno));
    init_facts_write(i);
}
