/* Replacing a whole store by another one; see swap.h for the order of steps and why each may be interrupted. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "store/swap.h"
#include "store/store_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define SWAP_DIR      "repartition"
#define COMPLETE_FILE "COMPLETE"
#define OLD_DIR       "old"

char *store_swap_dir(const char *dir)
{
    return xprintf("%s/" SWAP_DIR, dir);
}

static bool exists(const char *dir, const char *name)
{
    char *path = xprintf("%s/%s", dir, name);
    bool there = access(path, F_OK) == 0;
    free(path);
    return there;
}

bool store_swap_pending(const char *dir)
{
    return exists(dir, SWAP_DIR "/" COMPLETE_FILE);
}

struct err *store_swap_commit(const char *dir)
{
    char *made = store_swap_dir(dir), *path = xprintf("%s/" COMPLETE_FILE, made);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    struct err *e = fd < 0 || fsync(fd) ? err_errno(ERR_IO, "cannot make %s", path) : NULL;
    if (fd >= 0)
        close(fd);
    if (!e)
        e = store_directory_sync(made);
    if (!e)
        e = store_directory_sync(dir);
    free(made);
    free(path);
    return e;
}

/* ---- moving ---- */

static struct err *move(const char *from_dir, const char *to_dir, const char *name)
{
    char *from = xprintf("%s/%s", from_dir, name), *to = xprintf("%s/%s", to_dir, name);
    struct err *e = rename(from, to) ? err_errno(ERR_IO, "cannot move %s to %s", from, to) : NULL;
    free(from);
    free(to);
    return e;
}

static struct err *sync_both(const char *a, const char *b)
{
    TRY(store_directory_sync(a));
    return store_directory_sync(b);
}

/* The reader table that stands for a shard which comes or goes. Who still has it open reads the old shard; the new one gets
 * a new table. */
static struct err *forget_readers(const char *dir, const char *name)
{
    char *shard = xprintf("%s/%s", dir, name), *table = mdbp_reader_table(shard);
    struct err *e =
        table && unlink(table) && errno != ENOENT ? err_errno(ERR_IO, "cannot remove %s", table) : NULL;
    free(table);
    free(shard);
    return e;
}

/* Whatever of the old store still stands in the new one's places, or behind its last shard. */
static struct err *move_old_away(const char *dir, const char *made, const char *old, uint32_t shard_count)
{
    if (mkdir(old, 0700) && errno != EEXIST)
        return err_errno(ERR_IO, "cannot make %s", old);
    TRY(store_directory_sync(made));
    for (uint32_t i = 0; i < GATE_SHARDS_MAX; i++) {
        char name[24];
        snprintf(name, sizeof name, "shard-%03u", i);
        bool is_old = i >= shard_count || exists(made, name);
        if (!is_old || !exists(dir, name))
            continue;
        TRY(forget_readers(dir, name));
        TRY(move(dir, old, name));
    }
    return sync_both(old, dir);
}

static struct err *move_new_in(const char *dir, const char *made, uint32_t shard_count)
{
    for (uint32_t i = 0; i < shard_count; i++) {
        char name[24];
        snprintf(name, sizeof name, "shard-%03u", i);
        if (!exists(made, name))
            continue;
        TRY(forget_readers(dir, name));
        TRY(move(made, dir, name));
    }
    TRY(sync_both(dir, made));
    TRY(move(made, dir, STORE_MARKER_FILE));
    return sync_both(dir, made);
}

static struct err *put_in_place(const char *dir, const char *made)
{
    uint32_t shard_count;
    uint64_t epoch;
    if (!exists(made, STORE_MARKER_FILE))
        return NULL; /* it is: only the clearing away was interrupted */
    TRY(store_inspect(made, &shard_count, &epoch));
    ASSERT(shard_count > 0);
    char *old = xprintf("%s/" OLD_DIR, made);
    struct err *e = move_old_away(dir, made, old, shard_count);
    free(old);
    return e ? e : move_new_in(dir, made, shard_count);
}

/* ---- clearing away ---- */

static int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st, (void)at;
    return kind == FTW_DP ? rmdir(path) : unlink(path);
}

/* COMPLETE first: without it the rest is rubbish, whatever is left of it. */
static struct err *clear_away(const char *made)
{
    char *complete = xprintf("%s/" COMPLETE_FILE, made);
    bool was_there = unlink(complete) == 0;
    struct err *e = !was_there && errno != ENOENT ? err_errno(ERR_IO, "cannot remove %s", complete) : NULL;
    free(complete);
    if (!e && was_there)
        e = store_directory_sync(made);
    if (!e && nftw(made, remove_entry, 16, FTW_DEPTH | FTW_PHYS))
        e = err_errno(ERR_IO, "cannot remove %s", made);
    return e;
}

struct err *store_swap_discard(const char *dir)
{
    if (!exists(dir, SWAP_DIR))
        return NULL;
    if (store_swap_pending(dir))
        return err_new(ERR_INTERNAL, "the store %s is to be replaced, and in use", dir);
    char *made = store_swap_dir(dir);
    struct err *e = clear_away(made);
    free(made);
    return e;
}

struct err *store_swap_finish(const char *dir)
{
    int lock_fd;
    if (!exists(dir, SWAP_DIR))
        return NULL;
    TRY(store_lock_take(dir, &lock_fd));
    char *made = store_swap_dir(dir);
    struct err *e = store_swap_pending(dir) ? put_in_place(dir, made) : NULL;
    if (!e)
        e = clear_away(made);
    free(made);
    close(lock_fd);
    return e;
}
