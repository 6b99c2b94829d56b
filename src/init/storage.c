/* See storage.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "init/storage.h"

#include "base/text.h"
#include "box/box.h"
#include "box/reset.h"
#include "init/child.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/blkpg.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXT4_RESIZE  _IOW('f', 16, uint64_t) /* EXT4_IOC_RESIZE_FS: blocks, while mounted */
#define DATA_FLAGS   (MS_NOATIME | MS_NOSUID | MS_NODEV | MS_NOEXEC)
#define RESIZE_LEAST (UINT64_C(64) << 20) /* smaller differences are rounding */

/* ---- the table ---- */

static struct err *table_open(const char *device, bool write, int *fd, struct gpt_io *io,
                              struct gpt_fd *state, struct gpt *g)
{
    *fd = open(device, (write ? O_RDWR : O_RDONLY) | O_CLOEXEC);
    if (*fd < 0)
        return err_errno(ERR_IO, "%s", device);
    struct err *e = gpt_io_fd(io, state, *fd);
    return e ? e : gpt_read(io, g);
}

/* The kernel keeps its own view of the partition, which is in use by nobody yet. */
static struct err *tell_kernel(int fd, const struct gpt_part *p, uint32_t sector_bytes)
{
    struct blkpg_partition part = {.start = (long long)(p->first * sector_bytes),
                                   .length = (long long)((p->last - p->first + 1) * sector_bytes),
                                   .pno = (int)p->index + 1};
    struct blkpg_ioctl_arg arg = {.op = BLKPG_RESIZE_PARTITION, .datalen = sizeof part, .data = &part};
    return ioctl(fd, BLKPG, &arg) == 0 ? NULL : err_errno(ERR_IO, "telling the kernel the partition's size");
}

struct err *storage_table(const char *device, const char *part_name, bool kernel, bool *grown, bool *fresh,
                          struct gpt_part *part)
{
    struct gpt *g = xmalloc(sizeof *g);
    struct gpt_io io;
    struct gpt_fd state;
    int fd;
    *grown = *fresh = false;
    struct err *e = table_open(device, true, &fd, &io, &state, g);
    if (!e && !gpt_part_named(g, part_name, part))
        e = err_new(ERR_CORRUPT, "%s has no partition %s", device, part_name);
    if (!e) {
        *fresh = part->attributes & GPT_ATTRIBUTE_FRESH;
        *grown = gpt_grow(g, &io, part->index);
        if (*grown || !g->primary_ok || !g->backup_ok)
            e = gpt_write(&io, g);
        gpt_part_at(g, part->index, part);
        if (!e && *grown && kernel)
            e = tell_kernel(fd, part, io.sector_bytes);
    }
    if (fd >= 0)
        close(fd);
    free(g);
    return e;
}

struct err *storage_mark_fresh(const char *device, const char *part_name, bool fresh)
{
    struct gpt *g = xmalloc(sizeof *g);
    struct gpt_io io;
    struct gpt_fd state;
    struct gpt_part part;
    int fd;
    struct err *e = table_open(device, true, &fd, &io, &state, g);
    if (!e && !gpt_part_named(g, part_name, &part))
        e = err_new(ERR_CORRUPT, "%s has no partition %s", device, part_name);
    if (!e) {
        uint64_t a = part.attributes & ~GPT_ATTRIBUTE_FRESH;
        gpt_set_attributes(g, part.index, fresh ? a | GPT_ATTRIBUTE_FRESH : a);
        e = gpt_write(&io, g);
    }
    if (fd >= 0)
        close(fd);
    free(g);
    return e;
}

/* ---- programs ---- */

static int run(struct storage *s, const char *name, int64_t most_ms, const char *const *argv)
{
    int out = log_hub_source(s->log, name);
    bool late;
    struct child c = {.argv = argv, .in = -1, .out = out, .err = out};
    int status = child_wait(s->loop, &c, most_ms, &late);
    if (late)
        log_hub_say(s->log, "%s took longer than %lld minutes and was ended", name,
                    (long long)(most_ms / 60000));
    return status;
}

enum storage_check storage_check_result(int status)
{
    if (status < 0 || !WIFEXITED(status) || (WEXITSTATUS(status) & ~3))
        return STORAGE_BROKEN;
    return WEXITSTATUS(status) ? STORAGE_REPAIRED : STORAGE_CLEAN;
}

enum storage_check storage_fsck(struct storage *s, const char *device)
{
    static const char *const ways[] = {"-p", "-y"};
    enum storage_check result = STORAGE_BROKEN;
    for (size_t i = 0; i < ARRAY_COUNT(ways) && result == STORAGE_BROKEN; i++) {
        const char *argv[] = {s->e2fsck, ways[i], device, NULL};
        int status = run(s, "e2fsck", STORAGE_FSCK_MS, argv);
        result = storage_check_result(status);
        if (result != STORAGE_CLEAN)
            log_hub_say(s->log, "e2fsck %s %s: %s", ways[i], device, child_end_text(status));
    }
    return result;
}

bool storage_mkfs(struct storage *s, const char *device)
{
    /* lazy_itable_init=0 would write gigabytes at the first boot; the kernel does it beside what runs. */
    const char *argv[] = {s->mke2fs, "-q",   "-F", "-t",        "ext4", "-L", "penstock-data", "-m", "1",
                          "-b",      "4096", "-E", "nodiscard", device, NULL};
    int status = run(s, "mke2fs", STORAGE_MKFS_MS, argv);
    if (status == 0)
        return true;
    log_hub_say(s->log, "mke2fs %s: %s", device, child_end_text(status));
    return false;
}

/* ---- mounting ---- */

static uint64_t device_bytes(const char *device)
{
    uint64_t bytes = 0;
    int fd = open(device, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        if (ioctl(fd, BLKGETSIZE64, &bytes) != 0)
            bytes = 0;
        close(fd);
    }
    return bytes;
}

/* A file system that is smaller than its partition grows while it is mounted. In a child: a large one takes a while. */
static int resize_run(void *arg)
{
    struct storage *s = arg;
    struct statvfs v;
    int fd = open(BOX_DATA, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fstatvfs(fd, &v) != 0)
        return 1;
    uint64_t blocks = s->bytes / v.f_bsize;
    if (ioctl(fd, EXT4_RESIZE, &blocks) != 0) {
        dprintf(2, "growing the file system to %llu blocks: %s\n", (unsigned long long)blocks,
                strerror(errno));
        return 1;
    }
    return 0;
}

static void resize(struct storage *s)
{
    struct statvfs v;
    if (statvfs(BOX_DATA, &v) != 0 || !s->bytes)
        return;
    uint64_t now = (uint64_t)v.f_blocks * v.f_frsize;
    if (s->formatted || (!s->grown && now + now / 16 + RESIZE_LEAST > s->bytes))
        return;
    struct child c = {
        .in = -1, .out = -1, .err = log_hub_source(s->log, "resize"), .run = resize_run, .arg = s};
    int status = child_wait(s->loop, &c, STORAGE_MKFS_MS, NULL);
    log_hub_say(s->log, "the data partition's file system %s %llu MiB",
                status == 0 ? "has grown to" : "did not grow to", (unsigned long long)(s->bytes >> 20));
}

static bool mount_data(struct storage *s)
{
    /* An error of the disk makes it read-only; the store then says so, and nothing is written that cannot be kept. */
    if (mount(s->disk.data.device, BOX_DATA, "ext4", DATA_FLAGS, "errors=remount-ro") == 0)
        return true;
    text_fill(s->reason, sizeof s->reason, "the data partition cannot be mounted: %s", strerror(errno));
    return false;
}

/* The data partition, checked and mounted. False: s->reason says why not. */
static bool data_ready(struct storage *s)
{
    struct gpt_part part;
    bool fresh;
    const char *device = s->disk.data.device;
    struct err *e = storage_table(s->disk.device, BOX_PART_DATA, true, &s->grown, &fresh, &part);
    if (e) {
        log_hub_say(s->log, "partition table: %s", e->message);
        err_free(e);
        fresh = false;
    }
    if (s->grown)
        log_hub_say(s->log, "the data partition was grown to the disk's end");
    s->bytes = device_bytes(device);
    if (fresh) {
        log_hub_say(s->log, "making the data partition's file system on %s (%llu MiB)", device,
                    (unsigned long long)(s->bytes >> 20));
        if (!storage_mkfs(s, device)) {
            text_fill(s->reason, sizeof s->reason, "no file system could be made on the data partition");
            return false;
        }
        s->formatted = true;
        s->check = STORAGE_CLEAN;
    } else {
        s->check = storage_fsck(s, device);
    }
    if (s->check == STORAGE_BROKEN) {
        text_fill(s->reason, sizeof s->reason, "the data partition is damaged beyond repair by e2fsck");
        return false;
    }
    if (!mount_data(s))
        return false;
    if (fresh && (e = storage_mark_fresh(s->disk.device, BOX_PART_DATA, false))) {
        log_hub_say(s->log, "partition table: %s", e->message);
        err_free(e);
    }
    resize(s);
    return true;
}

/* In a child: a disk may take its time to forget. */
static int discard_run(void *arg)
{
    struct storage *s = arg;
    uint64_t range[2] = {0, device_bytes(s->disk.data.device)};
    int fd = open(s->disk.data.device, O_WRONLY | O_CLOEXEC);
    return fd >= 0 && ioctl(fd, BLKDISCARD, range) == 0 ? 0 : 1;
}

/* A factory reset that was asked for: what was there goes, as far as the disk can forget, and the file system is made anew. */
static void begin_reset(struct storage *s)
{
    log_hub_say(s->log, "factory reset: the data partition is made anew");
    struct err *e = storage_mark_fresh(s->disk.device, BOX_PART_DATA, true);
    if (e)
        log_hub_say(s->log, "partition table: %s", e->message);
    err_free(e);
    struct child c = {.in = -1, .out = -1, .err = -1, .run = discard_run, .arg = s};
    if (child_wait(s->loop, &c, STORAGE_MKFS_MS, NULL) != 0)
        log_hub_say(s->log, "the disk does not discard blocks: former data may still lie on it");
}

void storage_mount(struct storage *s, bool have_disk)
{
    if (have_disk && s->disk.identity.device[0] && reset_is_pending(s->disk.identity.device))
        begin_reset(s);
    if (!have_disk)
        text_fill(s->reason, sizeof s->reason, "no data partition was found");
    if (have_disk && data_ready(s))
        return;
    s->rescue = true;
    log_hub_say(s->log, "RESCUE: %s; /data is in memory, and the box can be reached", s->reason);
    char size[32];
    snprintf(size, sizeof size, "mode=0755,size=%dm", STORAGE_RESCUE_MB);
    if (mount("tmpfs", BOX_DATA, "tmpfs", DATA_FLAGS, size) != 0)
        log_hub_say(s->log, "/data: %s", strerror(errno));
}

/* ---- folders ---- */

uint32_t storage_folders(const char *data)
{
    static const struct {
        const char *path; /* below /data */
        mode_t mode;
        uid_t user;
        gid_t group;
    } folders[] = {
        {"", 0755, BOX_ROOT, BOX_ROOT},
        {"/box", 0700, BOX_ROOT, BOX_ROOT},
        {"/config", 0750, BOX_ROOT, BOX_PENSTOCK}, /* written by root's commands, read by the pipeline */
        {"/store", 0700, BOX_PENSTOCK, BOX_PENSTOCK},
        {"/log", 0750, BOX_ROOT, BOX_PENSTOCK},
    };
    uint32_t bad = 0;
    for (size_t i = 0; i < ARRAY_COUNT(folders); i++) {
        char *path = xprintf("%s%s", data, folders[i].path);
        struct stat st;
        int fd = -1;
        bool ok = (mkdir(path, 0700) == 0 || errno == EEXIST) &&
                  (fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) >= 0 &&
                  fstat(fd, &st) == 0;
        if (ok && (st.st_uid != folders[i].user || st.st_gid != folders[i].group))
            ok = fchown(fd, folders[i].user, folders[i].group) == 0;
        if (ok && (st.st_mode & 07777) != folders[i].mode)
            ok = fchmod(fd, folders[i].mode) == 0;
        if (fd >= 0)
            close(fd);
        free(path);
        bad += !ok;
    }
    return bad;
}

/* ---- identity ---- */

static bool is_empty(const char *dir)
{
    struct identity *there = xcalloc(1, sizeof *there);
    struct err *e = identity_collect(dir, there);
    bool empty = e ? true : there->count == 0;
    err_free(e);
    identity_fini(there);
    free(there);
    return empty;
}

void storage_restore_identity(struct storage *s, const char *device, const char *dir)
{
    struct identity *id = xcalloc(1, sizeof *id);
    bool damaged = false;
    int fd = device[0] ? open(device, O_RDONLY | O_CLOEXEC) : -1;
    struct err *e = fd < 0 ? NULL : identity_read(fd, id, &damaged);
    if (fd >= 0)
        close(fd);
    if (fd < 0 || e || damaged)
        log_hub_say(s->log, "identity partition: %s",
                    e        ? e->message
                    : fd < 0 ? "not found"
                             : "both copies are damaged");
    err_free(e);
    bool newer = id->flags & IDENTITY_FROM_RESCUE; /* settings changed while the data partition was away */
    if (id->generation && (s->rescue || newer || is_empty(dir))) {
        e = identity_restore(dir, id, newer && !s->rescue);
        log_hub_say(s->log, "the box's identity was restored from its partition (%u files)%s%s", id->count,
                    e ? ": " : "", e ? e->message : "");
        err_free(e);
    }
    if (id->generation && (id->flags & IDENTITY_RESET) && s->formatted) {
        e = reset_done(device);
        log_hub_say(s->log, "factory reset: %s", e ? e->message : "complete");
        err_free(e);
    }
    identity_fini(id);
    free(id);
}
