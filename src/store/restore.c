/* Putting a backup into a data directory; see backup.h.
 *
 * The copy is made where a re-partitioned store would be (swap.h) and put in place in the same way. RESTORE_FILE, made
 * first and removed last, tells that the directory is ours: a start does not take what is there for a new store, and
 * another restore may clear it away. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "store/backup_impl.h"
#include "store/store_impl.h"
#include "store/swap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define COPY_STEP_BYTES ((size_t)1 << 20)

bool backup_restore_pending(const char *data)
{
    char *path = xprintf("%s/" RESTORE_FILE, data);
    bool there = access(path, F_OK) == 0;
    free(path);
    return there;
}

/* ---- the directory ---- */

/* A mount point has a directory of its own. */
static bool is_nothing(const char *name)
{
    return strcmp(name, "lost+found") == 0;
}

static bool is_ours(const char *name)
{
    static const char *const names[] = {RESTORE_FILE,    "repartition",   STORE_MARKER_FILE,
                                        "lock",          "catalog.json",  "tables.json",
                                        "versions.json", "versions.lock", "readers"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return is_nothing(name) || backup_is_shard(name);
}

static struct err *check_empty(const char *data)
{
    bool pending = backup_restore_pending(data);
    char *foreign;
    TRY(backup_find_foreign(data, pending ? is_ours : is_nothing, &foreign));
    if (!foreign)
        return NULL;
    struct err *e =
        err_hint(err_new(ERR_STATE, "the data directory %s is not empty: it holds %s", data, foreign),
                 "a restore needs an empty one: stop the instance and move the directory away");
    free(foreign);
    return e;
}

static struct err *claim(const char *data, int *fd)
{
    char *path = xprintf("%s/" RESTORE_FILE, data);
    *fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    struct err *e = NULL;
    if (*fd < 0 || fsync(*fd))
        e = err_errno(ERR_IO, "cannot write %s", path);
    else if (flock(*fd, LOCK_EX | LOCK_NB))
        e = err_new(ERR_STATE, "another restore into %s is under way", data);
    free(path);
    return e ? e : store_directory_sync(data);
}

static struct err *clear_left(const char *data)
{
    struct err *e = NULL;
    DIR *d = opendir(data);
    if (!d)
        return err_errno(ERR_IO, "cannot list %s", data);
    for (struct dirent *entry; !e && (entry = readdir(d));) {
        if (!is_ours(entry->d_name) || is_nothing(entry->d_name) || strcmp(entry->d_name, RESTORE_FILE) == 0)
            continue;
        char *path = xprintf("%s/%s", data, entry->d_name);
        e = backup_remove_tree(path);
        free(path);
    }
    closedir(d);
    return e;
}

/* ---- copying ---- */

static struct err *copy_bytes(int from, int to, const char *path, struct backup_meter *meter)
{
    uint8_t *block = xmalloc(COPY_STEP_BYTES);
    struct err *e = NULL;
    for (ssize_t n = 1; n > 0 && !e;) {
        n = read(from, block, COPY_STEP_BYTES);
        if (n < 0)
            e = err_errno(ERR_IO, "cannot read what goes to %s", path);
        for (ssize_t at = 0; at < n && !e;) {
            ssize_t done = write(to, block + at, (size_t)(n - at));
            if (done <= 0)
                e = err_errno(ERR_IO, "cannot write %s", path);
            at += done;
        }
        if (!e && !backup_meter_tick(meter, (uint64_t)(n > 0 ? n : 0)))
            e = err_new(ERR_STATE, "stopped");
    }
    free(block);
    return e;
}

/* One file, synced, and what the disk then has compared with the manifest. */
static struct err *copy_file(const struct manifest_file *f, const char *dir, const char *to_dir,
                             struct backup_meter *meter)
{
    char *from_path = xprintf("%s/%s", dir, f->path), *path = xprintf("%s/%s", to_dir, f->path);
    struct hash_tick tick = {backup_meter_tick, meter};
    int from = open(from_path, O_RDONLY | O_CLOEXEC);
    int to = from < 0 ? -1 : open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    struct err *e = NULL;
    if (from < 0 || to < 0)
        e = err_errno(ERR_IO, "cannot open %s", from < 0 ? from_path : path);
    if (!e)
        e = copy_bytes(from, to, path, meter);
    if (!e && fsync(to))
        e = err_errno(ERR_IO, "cannot sync %s", path);
    if (from >= 0)
        close(from);
    if (to >= 0)
        close(to);
    free(from_path);
    free(path);
    return e ? e : manifest_check_file(f, to_dir, &tick);
}

static bool belongs_to_store(const char *path)
{
    return strcmp(path, STORE_MARKER_FILE) == 0 || strncmp(path, "shard-", 6) == 0;
}

static struct err *make_shard_dirs(const char *made, uint32_t count, bool sync)
{
    struct err *e = NULL;
    for (uint32_t i = 0; i < count && !e; i++) {
        char *dir = xprintf("%s/shard-%03u", made, i);
        if (sync)
            e = store_directory_sync(dir);
        else if (mkdir(dir, 0700))
            e = err_errno(ERR_IO, "cannot make %s", dir);
        free(dir);
    }
    return e;
}

static struct err *copy_all(const char *dir, const char *data, const char *made, const struct manifest *m,
                            struct backup_meter *meter)
{
    TRY(make_shard_dirs(made, m->shard_count, false));
    for (uint32_t i = 0; i < m->file_count; i++) {
        const struct manifest_file *f = &m->files[i];
        TRY(copy_file(f, dir, belongs_to_store(f->path) ? made : data, meter));
    }
    TRY(make_shard_dirs(made, m->shard_count, true));
    return store_directory_sync(made);
}

static struct err *check_all(const char *dir, const struct manifest *m, struct backup_meter *meter)
{
    struct hash_tick tick = {backup_meter_tick, meter};
    for (uint32_t i = 0; i < m->file_count; i++)
        TRY(manifest_check_file(&m->files[i], dir, &tick));
    return NULL;
}

/* The files that make a store, as many as the manifest says. */
static struct err *check_list(const char *dir, const struct manifest *m)
{
    uint32_t shards = 0, markers = 0;
    for (uint32_t i = 0; i < m->file_count; i++) {
        const char *path = m->files[i].path;
        char name[32];
        snprintf(name, sizeof name, "shard-%03u/data.mdb", shards);
        bool known = strcmp(path, "catalog.json") == 0 || strcmp(path, "tables.json") == 0 ||
                     strcmp(path, "versions.json") == 0;
        if (strcmp(path, name) == 0)
            shards++;
        else if (strcmp(path, STORE_MARKER_FILE) == 0)
            markers++;
        else if (!known)
            return err_new(ERR_CORRUPT, "%s: a backup has no file %s", dir, path);
    }
    if (shards != m->shard_count || markers != 1)
        return err_new(ERR_CORRUPT, "%s: its manifest does not list all files of a store", dir);
    return NULL;
}

static struct err *fill(const char *dir, const char *data, const struct manifest *m,
                        struct backup_meter *meter)
{
    char *made = store_swap_dir(data), *path = xprintf("%s/" RESTORE_FILE, data);
    struct err *e = clear_left(data);
    if (!e)
        e = backup_check_room(data, manifest_bytes(m));
    if (!e && mkdir(made, 0700))
        e = err_errno(ERR_IO, "cannot make %s", made);
    if (!e)
        e = copy_all(dir, data, made, m, meter);
    if (!e)
        e = store_swap_commit(data);
    if (!e)
        e = store_swap_finish(data);
    if (!e && unlink(path))
        e = err_errno(ERR_IO, "cannot remove %s", path);
    free(made);
    free(path);
    return e ? e : store_directory_sync(data);
}

struct err *backup_restore(const char *dir, const char *data, const struct manifest *m,
                           const struct backup_progress *progress)
{
    struct backup_meter meter = {.progress = progress, .total = 3 * manifest_bytes(m)};
    int fd = -1;
    TRY(check_list(dir, m));
    if (mkdir(data, 0700) && errno != EEXIST)
        return err_errno(ERR_IO, "cannot make the data directory %s", data);
    TRY(check_empty(data));
    struct err *e = check_all(dir, m, &meter);
    if (!e)
        e = claim(data, &fd);
    if (!e)
        e = fill(dir, data, m, &meter);
    if (fd >= 0)
        close(fd);
    return backup_meter_end(&meter, e);
}
