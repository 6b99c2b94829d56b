/* Writing backups; see backup.h. The other way is restore.c. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "store/backup.h"
#include "store/backup_impl.h"
#include "store/store_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define LOCK_FILE   "lock"
#define ROOM_SPARED (UINT64_C(4) << 20) /* for manifest, marker, directories, the file system's own */

struct backup {
    char *dir, *tmp; /* owned */
    int lock_fd;
    bool renamed;
};

/* ---- progress ---- */

void backup_meter_add(struct backup_meter *m, uint64_t bytes)
{
    m->done += bytes;
    if (!m->stopped && m->progress && m->progress->fn)
        m->stopped = m->progress->fn(m->progress->ctx, m->done, m->total);
}

bool backup_meter_tick(void *ctx, uint64_t bytes)
{
    struct backup_meter *m = ctx;
    backup_meter_add(m, bytes);
    return m->stopped == NULL;
}

struct err *backup_meter_end(struct backup_meter *m, struct err *e)
{
    if (!m->stopped)
        return e;
    err_free(e); /* only says that it was told to stop */
    e = m->stopped;
    m->stopped = NULL;
    return e;
}

/* ---- directories ---- */

static int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st, (void)at;
    return kind == FTW_DP ? rmdir(path) : unlink(path);
}

struct err *backup_remove_tree(const char *path)
{
    if (nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS) && errno != ENOENT)
        return err_errno(ERR_IO, "cannot remove %s", path);
    return NULL;
}

bool backup_is_shard(const char *name)
{
    return strncmp(name, "shard-", 6) == 0 && strlen(name) == 9 && strspn(name + 6, "0123456789") == 3;
}

/* A name that a backup under way may have in its directory. */
static bool is_ours(const char *name)
{
    static const char *const names[] = {LOCK_FILE,      STORE_MARKER_FILE, STORE_MARKER_FILE ".new",
                                        MANIFEST_FILE,  MANIFEST_SUM_FILE, "versions.json",
                                        "catalog.json", "tables.json"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return backup_is_shard(name);
}

struct err *backup_find_foreign(const char *dir, bool (*known)(const char *name), char **foreign)
{
    *foreign = NULL;
    DIR *d = opendir(dir);
    if (!d)
        return err_errno(ERR_IO, "cannot list %s", dir);
    for (struct dirent *e; !*foreign && (e = readdir(d));)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 && !known(e->d_name))
            *foreign = xstrdup(e->d_name);
    closedir(d);
    return NULL;
}

/* What an interrupted backup left goes, except for the lock that is held meanwhile. */
static struct err *clear_left(const char *tmp)
{
    struct err *e = NULL;
    DIR *d = opendir(tmp);
    if (!d)
        return err_errno(ERR_IO, "cannot list %s", tmp);
    for (struct dirent *entry; !e && (entry = readdir(d));) {
        if (!is_ours(entry->d_name) || strcmp(entry->d_name, LOCK_FILE) == 0)
            continue;
        char *path = xprintf("%s/%s", tmp, entry->d_name);
        e = backup_remove_tree(path);
        free(path);
    }
    closedir(d);
    return e;
}

static struct err *take_tmp(struct backup *b, bool *cleared)
{
    bool made = mkdir(b->tmp, 0700) == 0;
    char *foreign = NULL;
    if (!made && errno != EEXIST)
        return err_errno(ERR_IO, "cannot make %s", b->tmp);
    TRY(backup_find_foreign(b->tmp, is_ours, &foreign));
    if (foreign) {
        struct err *e = err_hint(err_new(ERR_STATE, "%s holds %s, which is of no backup", b->tmp, foreign),
                                 "move it away: a backup is made under this name first");
        free(foreign);
        return e;
    }
    struct err *e = store_lock_take(b->tmp, &b->lock_fd);
    if (e)
        return err_wrap(e, "another backup is under way");
    *cleared = !made;
    return made ? NULL : clear_left(b->tmp);
}

struct err *backup_begin(const char *dir, bool *cleared, struct backup **out)
{
    *cleared = false;
    if (access(dir, F_OK) == 0)
        return err_hint(err_new(ERR_STATE, "%s exists", dir),
                        "a backup is never written over: name another directory");
    struct backup *b = xcalloc(1, sizeof *b);
    b->dir = xstrdup(dir);
    for (size_t n = strlen(b->dir); n > 1 && b->dir[n - 1] == '/'; n--)
        b->dir[n - 1] = 0;
    b->tmp = xprintf("%s.tmp", b->dir);
    b->lock_fd = -1;
    struct err *e = take_tmp(b, cleared);
    if (e)
        backup_free(b);
    else
        *out = b;
    return e;
}

void backup_free(struct backup *b)
{
    if (!b)
        return;
    if (b->lock_fd >= 0 && !b->renamed)
        err_free(backup_remove_tree(b->tmp)); /* what cannot be removed, the next backup finds */
    if (b->lock_fd >= 0)
        close(b->lock_fd);
    free(b->dir);
    free(b->tmp);
    free(b);
}

/* ---- copying ---- */

struct err *backup_check_room(const char *dir, uint64_t bytes)
{
    struct statvfs fs;
    if (statvfs(dir, &fs))
        return err_errno(ERR_IO, "cannot look at the file system of %s", dir);
    uint64_t room = (uint64_t)fs.f_bavail * fs.f_frsize;
    if (room >= bytes + ROOM_SPARED)
        return NULL;
    return err_hint(err_new(ERR_LIMIT, "%s: %llu MiB are free, %llu MiB are needed", dir,
                            (unsigned long long)(room >> 20),
                            (unsigned long long)((bytes + ROOM_SPARED) >> 20) + 1),
                    "make room, or name a directory on another disk");
}

struct shard_copy {
    struct backup_meter *meter;
    uint64_t told;
};

static int copy_tick(void *ctx, uint64_t bytes)
{
    struct shard_copy *c = ctx;
    bool go_on = backup_meter_tick(c->meter, bytes - c->told);
    c->told = bytes;
    return go_on ? 0 : ECANCELED;
}

static struct err *copy_shard(struct backup *b, struct store_still *s, uint32_t shard, struct mdbp_meta *meta,
                              struct backup_meter *meter)
{
    char *dir = xprintf("%s/shard-%03u", b->tmp, shard), *path = xprintf("%s/data.mdb", dir);
    struct shard_copy c = {.meter = meter};
    struct err *e = NULL;
    int fd = -1;
    if (mkdir(dir, 0700))
        e = err_errno(ERR_IO, "cannot make %s", dir);
    else if ((fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600)) < 0)
        e = err_errno(ERR_IO, "cannot make %s", path);
    int rc = e ? 0 : mdbp_copy(store_snapshot_txn(s->snapshot, shard), fd, copy_tick, &c, meta);
    if (rc)
        e = err_new(rc < 0 ? ERR_CORRUPT : ERR_IO, "copying shard %u to %s: %s", shard, path,
                    mdb_strerror(rc));
    if (!e && fsync(fd))
        e = err_errno(ERR_IO, "cannot sync %s", path);
    if (fd >= 0)
        close(fd);
    e = backup_meter_end(meter, e);
    if (!e)
        e = store_directory_sync(dir);
    free(dir);
    free(path);
    return e;
}

static struct err *put_extra(const struct backup *b, const struct backup_extra *x)
{
    char *path = xprintf("%s/%s", b->tmp, x->name);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    struct err *e = NULL;
    if (fd < 0 || write(fd, x->bytes, x->len) != (ssize_t)x->len || fsync(fd))
        e = err_errno(ERR_IO, "cannot write %s", path);
    if (fd >= 0)
        close(fd);
    free(path);
    return e;
}

struct err *backup_copy(struct backup *b, struct store_still *s, const struct backup_extra *extras,
                        uint32_t extra_count, const struct backup_progress *progress)
{
    struct backup_meter meter = {.progress = progress};
    TRY(clear_left(b->tmp)); /* of an attempt before */
    for (uint32_t i = 0; i < s->shard_count; i++)
        meter.total += mdbp_txn_used_bytes(store_snapshot_txn(s->snapshot, i));
    TRY(backup_check_room(b->tmp, meter.total));
    struct marker *m = xcalloc(1, sizeof *m);
    m->epoch = s->epoch;
    m->shard_count = s->shard_count;
    struct err *e = NULL;
    for (uint32_t i = 0; i < s->shard_count && !e; i++)
        e = copy_shard(b, s, i, &m->shards[i], &meter);
    for (uint32_t i = 0; i < extra_count && !e; i++)
        e = put_extra(b, &extras[i]);
    if (!e)
        e = marker_create(b->tmp, m, false);
    free(m);
    return e;
}

/* ---- the end ---- */

static struct err *add_files(const struct backup *b, struct manifest *m, struct backup_meter *meter)
{
    static const char *const small[] = {"catalog.json", "tables.json", "versions.json"};
    struct hash_tick tick = {backup_meter_tick, meter};
    for (uint32_t i = 0; i < m->shard_count; i++) {
        char name[32];
        snprintf(name, sizeof name, "shard-%03u/data.mdb", i);
        TRY(manifest_add_file(m, b->tmp, name, &tick));
    }
    TRY(manifest_add_file(m, b->tmp, STORE_MARKER_FILE, &tick));
    for (size_t i = 0; i < ARRAY_COUNT(small); i++) {
        char *path = xprintf("%s/%s", b->tmp, small[i]);
        bool there = access(path, F_OK) == 0;
        free(path);
        if (there)
            TRY(manifest_add_file(m, b->tmp, small[i], &tick));
    }
    return NULL;
}

static struct err *sync_parent(const char *dir)
{
    char *copy = xstrdup(dir);
    struct err *e = store_directory_sync(dirname(copy));
    free(copy);
    return e;
}

static struct err *put_in_place(struct backup *b)
{
    char *lock = xprintf("%s/" LOCK_FILE, b->tmp);
    struct err *e = unlink(lock) ? err_errno(ERR_IO, "cannot remove %s", lock) : NULL;
    free(lock);
    if (!e)
        e = store_directory_sync(b->tmp);
    if (!e && renameat2(AT_FDCWD, b->tmp, AT_FDCWD, b->dir, RENAME_NOREPLACE))
        e = err_errno(errno == EEXIST ? ERR_STATE : ERR_IO, "cannot rename %s to %s", b->tmp, b->dir);
    if (e)
        return e;
    b->renamed = true;
    return sync_parent(b->dir);
}

struct err *backup_finish(struct backup *b, struct manifest *m, const struct backup_progress *progress)
{
    struct backup_meter meter = {.progress = progress};
    struct err *e = backup_meter_end(&meter, add_files(b, m, &meter));
    if (!e)
        e = manifest_save(m, b->tmp);
    return e ? e : put_in_place(b);
}
