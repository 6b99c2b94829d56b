/* The calls that reach the disk, the clock and memory, as the linker redirects them to here (--wrap, mk/test.mk).
 *
 * Before each one that changes something the life may end (a crash, or a power cut); each one may fail, or do a part of
 * what it was asked for. Only files below the simulated DATA count, and only what a life does itself (sim_on, sim_host). */
#ifndef PENSTOCK_SIM_CALLS_H
#define PENSTOCK_SIM_CALLS_H

#include "test/unit/sim/disk.h"

#include "store/mdb_private.h"
#include <sys/uio.h>
#include <time.h>

#define SIM_FDS_MAX 1024

struct sim_fd {
    int file;                /* SIM_NONE: not ours; SIM_DIRECTORY */
    char path[SIM_PATH_MAX]; /* below the root */
};
static struct sim_fd sim_fds[SIM_FDS_MAX]; /* of this process */
static void (*sim_at_point)(void);         /* the world goes on while the call is under way */

int __real_open(const char *path, int flags, ...);
int __real_close(int fd);
ssize_t __real_read(int fd, void *p, size_t n);
ssize_t __real_pread(int fd, void *p, size_t n, off_t at);
ssize_t __real_write(int fd, const void *p, size_t n);
ssize_t __real_pwrite(int fd, const void *p, size_t n, off_t at);
ssize_t __real_pwritev(int fd, const struct iovec *v, int n, off_t at);
int __real_fsync(int fd);
int __real_fdatasync(int fd);
int __real_sync_file_range(int fd, off_t at, off_t n, unsigned flags);
int __real_fallocate(int fd, int mode, off_t at, off_t n);
int __real_ftruncate(int fd, off_t size);
int __real_rename(const char *from, const char *to);
int __real_unlink(const char *path);
int __real_mkdir(const char *path, mode_t mode);
int __real_clock_gettime(clockid_t clock, struct timespec *t);
int __real_nanosleep(const struct timespec *t, struct timespec *left);
int __real_usleep(useconds_t us);
ssize_t __real_getrandom(void *p, size_t n, unsigned flags);
void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void __real_free(void *p);
void *__real_realloc(void *p, size_t n);
int __real_mdbp_env_open(const char *dir, enum mdbp_role role, unsigned identity, size_t map_bytes,
                         uint32_t max_dbs, uint32_t max_readers, MDB_env **out);
int __real_mdb_put(MDB_txn *txn, MDB_dbi dbi, MDB_val *k, MDB_val *v, unsigned flags);
int __real_mdb_del(MDB_txn *txn, MDB_dbi dbi, MDB_val *k, MDB_val *v);
int __real_mdb_txn_commit(MDB_txn *txn);

static bool sim_is_life(void)
{
    return sim_on && !sim_host;
}

/* Below the root, without "..", good until the call after the next; NULL when it is elsewhere. */
static const char *sim_path(const char *path)
{
    static char below[2][SIM_PATH_MAX];
    static unsigned turn;
    size_t n = sim_is_life() ? strlen(sim->root) : 0, len = 0;
    if (!n || strncmp(path, sim->root, n) != 0 || (path[n] && path[n] != '/'))
        return NULL;
    char *out = below[turn++ % 2];
    for (const char *p = path + n; *p;) {
        size_t part = strcspn(++p, "/");
        if (part == 2 && strncmp(p, "..", 2) == 0) {
            if (!len)
                return NULL;
            while (len && out[--len] != '/')
                ;
        } else {
            len += (size_t)snprintf(out + len, SIM_PATH_MAX - len, "%s%.*s", len ? "/" : "", (int)part, p);
            ASSERT(len < SIM_PATH_MAX);
        }
        p += part;
    }
    out[len] = 0;
    return out;
}

static struct sim_fd *sim_fd(int fd)
{
    return sim_is_life() && fd >= 0 && fd < SIM_FDS_MAX && sim_fds[fd].file != SIM_NONE ? &sim_fds[fd] : NULL;
}

static bool sim_point_dies(const char *what, uint64_t a)
{
    sim_trace(what, sim->points, a);
    if (sim_at_point) {
        sim_host++;
        sim_at_point();
        sim_host--;
    }
    return ++sim->points == sim->faults.crash_at;
}

static bool sim_call_dies(const char *what, uint64_t a)
{
    bool dies = ++sim->calls == sim->faults.crash_at_call;
    return sim_point_dies(what, a) || dies;
}

static void sim_die(void)
{
    sim_trace("dies", sim->faults.crash_how, sim->points);
    _exit(sim->faults.crash_how);
}

static void sim_point(const char *what, uint64_t a)
{
    if (sim_call_dies(what, a))
        sim_die();
}

static void sim_name_point(const char *what)
{
    bool dies = ++sim->names == sim->faults.crash_at_name;
    if (sim_call_dies(what, 0) || dies)
        sim_die();
}

/* Whether this call fails, and how; `grows`: it needs room on the disk. */
static bool sim_fails(bool grows, const int *errors, uint32_t count)
{
    struct sim_faults *f = &sim->faults;
    int error = 0;
    if (grows && f->disk_full)
        error = ENOSPC;
    else if (f->errors_left && sim_random(f->error_one_in) == 0) {
        f->errors_left--;
        error = errors[sim_random(count)];
    }
    if (!error)
        return false;
    sim->injected++;
    sim_trace("fails", (uint64_t)error, sim->points);
    errno = error;
    return true;
}
#define SIM_FAILS(grows, ...) \
    sim_fails((grows), (const int[]){__VA_ARGS__}, sizeof((const int[]){__VA_ARGS__}) / sizeof(int))

/* A part of the bytes, at least one: short reads and writes. */
static size_t sim_short(size_t n)
{
    struct sim_faults *f = &sim->faults;
    if (n < 2 || !f->errors_left || sim_random(f->error_one_in) != 0)
        return n;
    f->errors_left--;
    sim->injected++;
    size_t part = 1 + sim_random((uint32_t)n - 1);
    sim_trace("short", part, n);
    return part;
}

/* ---- names ---- */

int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
    va_end(args);
    char boot[160];
    const char *below = sim_path(path);
    if (sim_is_life() && strcmp(path, "/proc/sys/kernel/random/boot_id") == 0) {
        snprintf(boot, sizeof boot, "%s/boot", sim->base);
        path = boot;
    }
    if (!below)
        return __real_open(path, flags, mode);
    bool makes = (flags & O_CREAT) && name_file(below) == SIM_NONE;
    makes ? sim_name_point("make") : sim_point("open", 0);
    if (SIM_FAILS(makes, EIO, EMFILE, EINTR))
        return -1;
    int fd = __real_open(path, flags, mode);
    if (fd < 0)
        return fd;
    ASSERT(fd < SIM_FDS_MAX);
    if (makes)
        change_note(SIM_ADD, below, NULL, file_new());
    struct sim_fd *f = &sim_fds[fd];
    f->file = *below ? name_file(below) : SIM_DIRECTORY;
    ASSERT(f->file != SIM_NONE);
    snprintf(f->path, sizeof f->path, "%s", below);
    if ((flags & O_TRUNC) && f->file >= 0)
        file_resized(&sim_disk->files[f->file], 0);
    return fd;
}

int __wrap_close(int fd);
int __wrap_close(int fd)
{
    if (sim_fd(fd))
        sim_fds[fd].file = SIM_NONE;
    return __real_close(fd);
}

int __wrap_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to)
{
    const char *a = sim_path(from), *b = sim_path(to);
    if (!a || !b)
        return __real_rename(from, to);
    sim_name_point("rename");
    if (SIM_FAILS(false, EIO, ENOSPC))
        return -1;
    int rc = __real_rename(from, to);
    if (rc == 0)
        change_note(SIM_RENAME, a, b, name_file(a));
    return rc;
}

int __wrap_unlink(const char *path);
int __wrap_unlink(const char *path)
{
    const char *below = sim_path(path);
    if (!below)
        return __real_unlink(path);
    sim_name_point("unlink");
    if (SIM_FAILS(false, EIO))
        return -1;
    int rc = __real_unlink(path);
    if (rc == 0)
        change_note(SIM_REMOVE, below, NULL, name_file(below));
    return rc;
}

int __wrap_mkdir(const char *path, mode_t mode);
int __wrap_mkdir(const char *path, mode_t mode)
{
    const char *below = sim_path(path);
    if (!below || !*below)
        return __real_mkdir(path, mode);
    sim_name_point("mkdir");
    if (SIM_FAILS(true, EIO))
        return -1;
    int rc = __real_mkdir(path, mode);
    if (rc == 0)
        change_note(SIM_ADD, below, NULL, SIM_DIRECTORY);
    return rc;
}

/* ---- bytes ---- */

ssize_t __wrap_read(int fd, void *p, size_t n);
ssize_t __wrap_read(int fd, void *p, size_t n)
{
    if (!sim_fd(fd))
        return __real_read(fd, p, n);
    if (SIM_FAILS(false, EIO, EINTR))
        return -1;
    return __real_read(fd, p, sim_short(n));
}

ssize_t __wrap_pread(int fd, void *p, size_t n, off_t at);
ssize_t __wrap_pread(int fd, void *p, size_t n, off_t at)
{
    if (!sim_fd(fd))
        return __real_pread(fd, p, n, at);
    if (SIM_FAILS(false, EIO, EINTR))
        return -1;
    return __real_pread(fd, p, sim_short(n), at);
}

/* A life that ends inside a write leaves a part of it. */
ssize_t __wrap_pwrite(int fd, const void *p, size_t n, off_t at);
ssize_t __wrap_pwrite(int fd, const void *p, size_t n, off_t at)
{
    struct sim_fd *f = sim_fd(fd);
    if (!f)
        return __real_pwrite(fd, p, n, at);
    bool dies = sim_call_dies("pwrite", (uint64_t)at);
    if (!dies && SIM_FAILS((size_t)at + n > sim_disk->files[f->file].size, EIO, ENOSPC, EINTR))
        return -1;
    size_t part = dies ? sim_random((uint32_t)n + 1) : sim_short(n);
    ssize_t done = __real_pwrite(fd, p, part, at);
    if (done > 0)
        file_wrote(f->file, (size_t)at, p, (size_t)done);
    if (dies)
        sim_die();
    return done;
}

ssize_t __wrap_write(int fd, const void *p, size_t n);
ssize_t __wrap_write(int fd, const void *p, size_t n)
{
    if (!sim_fd(fd))
        return __real_write(fd, p, n);
    off_t at = lseek(fd, 0, SEEK_CUR);
    ssize_t done = __wrap_pwrite(fd, p, n, at);
    if (done > 0)
        lseek(fd, at + done, SEEK_SET);
    return done;
}

ssize_t __wrap_pwritev(int fd, const struct iovec *v, int n, off_t at);
ssize_t __wrap_pwritev(int fd, const struct iovec *v, int n, off_t at)
{
    if (!sim_fd(fd))
        return __real_pwritev(fd, v, n, at);
    ssize_t sum = 0;
    for (int i = 0; i < n; i++) {
        ssize_t done = __wrap_pwrite(fd, v[i].iov_base, v[i].iov_len, at + sum);
        if (done < 0)
            return sum ? sum : -1;
        sum += done;
        if ((size_t)done < v[i].iov_len)
            break;
    }
    return sum;
}

static int sim_sync(int fd, const char *what)
{
    struct sim_fd *f = sim_fd(fd);
    if (sim_random(8) == 0)
        sim_disk_observe();
    if (f->file >= 0 && strstr(f->path, sim->faults.sync_of) && ++sim->syncs == sim->faults.crash_at_sync)
        sim_die();
    f->file >= 0 ? sim_point(what, (uint64_t)f->file) : sim_name_point("sync names");
    if (SIM_FAILS(false, EIO, EIO, ENOSPC, EINTR)) {
        if (f->file >= 0 && errno != EINTR)
            file_sync_failed(f->file);
        return -1;
    }
    if (f->file >= 0)
        file_synced(f->file);
    else
        directory_synced(f->path);
    return 0;
}

int __wrap_fsync(int fd);
int __wrap_fsync(int fd)
{
    return sim_fd(fd) ? sim_sync(fd, "fsync") : sim_is_life() ? 0 : __real_fsync(fd);
}

int __wrap_fdatasync(int fd);
int __wrap_fdatasync(int fd)
{
    return sim_fd(fd) ? sim_sync(fd, "fdatasync") : sim_is_life() ? 0 : __real_fdatasync(fd);
}

int __wrap_sync_file_range(int fd, off_t at, off_t n, unsigned flags);
int __wrap_sync_file_range(int fd, off_t at, off_t n, unsigned flags)
{
    if (!sim_fd(fd))
        return __real_sync_file_range(fd, at, n, flags);
    sim_point("sync_file_range", 0);
    return SIM_FAILS(false, EIO) ? -1 : 0;
}

int __wrap_fallocate(int fd, int mode, off_t at, off_t n);
int __wrap_fallocate(int fd, int mode, off_t at, off_t n)
{
    struct sim_fd *f = sim_fd(fd);
    if (!f)
        return __real_fallocate(fd, mode, at, n);
    sim_point("fallocate", (uint64_t)n);
    if (SIM_FAILS(true, EIO, ENOSPC, EINTR))
        return -1;
    int rc = __real_fallocate(fd, mode, at, n);
    struct sim_file *file = &sim_disk->files[f->file];
    if (rc == 0 && (size_t)(at + n) > file->size)
        file_resized(file, (size_t)(at + n));
    return rc;
}

int __wrap_ftruncate(int fd, off_t size);
int __wrap_ftruncate(int fd, off_t size)
{
    struct sim_fd *f = sim_fd(fd);
    if (!f)
        return __real_ftruncate(fd, size);
    sim_point("ftruncate", (uint64_t)size);
    if (SIM_FAILS((size_t)size > sim_disk->files[f->file].size, EIO, EINTR))
        return -1;
    int rc = __real_ftruncate(fd, size);
    if (rc == 0)
        file_resized(&sim_disk->files[f->file], (size_t)size);
    return rc;
}

/* ---- the store's steps inside a transaction: pages change without a call ---- */

/* Every transaction of LMDB has room for all databases that there may be: so many make up most of the time here. */
#define SIM_DBS_MAX 96

int __wrap_mdbp_env_open(const char *dir, enum mdbp_role role, unsigned identity, size_t map_bytes,
                         uint32_t max_dbs, uint32_t max_readers, MDB_env **out);
int __wrap_mdbp_env_open(const char *dir, enum mdbp_role role, unsigned identity, size_t map_bytes,
                         uint32_t max_dbs, uint32_t max_readers, MDB_env **out)
{
    max_dbs = max_dbs < SIM_DBS_MAX ? max_dbs : SIM_DBS_MAX;
    return __real_mdbp_env_open(dir, role, identity, map_bytes, max_dbs, max_readers, out);
}

static void sim_mapped_point(const char *what)
{
    if (!sim_is_life())
        return;
    if (sim_random(400) == 0)
        sim_disk_observe(); /* the kernel writes pages when it likes */
    if (sim_point_dies(what, 0))
        sim_die();
}

int __wrap_mdb_put(MDB_txn *txn, MDB_dbi dbi, MDB_val *k, MDB_val *v, unsigned flags);
int __wrap_mdb_put(MDB_txn *txn, MDB_dbi dbi, MDB_val *k, MDB_val *v, unsigned flags)
{
    sim_mapped_point("put");
    return __real_mdb_put(txn, dbi, k, v, flags);
}

int __wrap_mdb_del(MDB_txn *txn, MDB_dbi dbi, MDB_val *k, MDB_val *v);
int __wrap_mdb_del(MDB_txn *txn, MDB_dbi dbi, MDB_val *k, MDB_val *v)
{
    sim_mapped_point("del");
    return __real_mdb_del(txn, dbi, k, v);
}

int __wrap_mdb_txn_commit(MDB_txn *txn);
int __wrap_mdb_txn_commit(MDB_txn *txn)
{
    sim_mapped_point("commit");
    int rc = __real_mdb_txn_commit(txn);
    sim_mapped_point("committed");
    return rc;
}

/* ---- memory ---- */

static bool sim_no_memory(void)
{
    if (!sim_is_life() || ++sim->allocs != sim->faults.alloc_at)
        return false;
    sim->panic_is_fine = true;
    sim->injected++;
    sim_trace("no memory", sim->allocs, sim->points);
    errno = ENOMEM;
    return true;
}

/* LMDB's list of dirty pages has room for 2 MiB of them, of which a life here touches next to nothing: what is mapped need not be
 * zeroed. Never given back. */
#define SIM_LARGE_BYTES ((size_t)1 << 20)
#define SIM_LARGE_ROOM  ((size_t)256 << 20)

static uint8_t *sim_large;
static size_t sim_large_used;

static void *sim_large_calloc(size_t bytes)
{
    if (!sim_large)
        sim_large = mmap(NULL, SIM_LARGE_ROOM, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    ASSERT(sim_large != MAP_FAILED && sim_large_used + bytes <= SIM_LARGE_ROOM);
    void *p = sim_large + sim_large_used;
    sim_large_used += (bytes + 63) & ~(size_t)63;
    return p;
}

void __wrap_free(void *p);
void __wrap_free(void *p)
{
    if (!sim_large || (uint8_t *)p < sim_large || (uint8_t *)p >= sim_large + SIM_LARGE_ROOM)
        __real_free(p);
}

void *__wrap_malloc(size_t n);
void *__wrap_malloc(size_t n)
{
    return sim_no_memory() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size)
{
    if (sim_no_memory())
        return NULL;
    /* struct MDB_ID2 */
    return sim_is_life() && n >= SIM_LARGE_BYTES / 16 && size == 16 ? sim_large_calloc(n * size)
                                                                    : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n);
void *__wrap_realloc(void *p, size_t n)
{
    return sim_no_memory() ? NULL : __real_realloc(p, n);
}

/* What stops a life by itself: only for want of memory. */
void __wrap_panic_at(const char *file, int line, const char *fmt, ...) PRINTF_LIKE(3, 4)
    __attribute__((noreturn));
void __wrap_panic_at(const char *file, int line, const char *fmt, ...)
{
    char text[500];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (!sim_on || !sim->panic_is_fine)
        sim_wrong("panic at %s:%d: %s", file, line, text);
    fprintf(stderr, "panic at %s:%d: %s\n", file, line, text);
    abort();
}

/* ---- time and chance ---- */

int __wrap_clock_gettime(clockid_t clock, struct timespec *t);
int __wrap_clock_gettime(clockid_t clock, struct timespec *t)
{
    if (!sim_on)
        return __real_clock_gettime(clock, t);
    int64_t us = clock == CLOCK_REALTIME ? sim->unix_us : sim->steady_us;
    *t = (struct timespec){.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};
    return 0;
}

int __wrap_nanosleep(const struct timespec *t, struct timespec *left);
int __wrap_nanosleep(const struct timespec *t, struct timespec *left)
{
    if (!sim_on)
        return __real_nanosleep(t, left);
    sim_pass((int64_t)t->tv_sec * 1000000 + t->tv_nsec / 1000);
    return 0;
}

int __wrap_usleep(useconds_t us);
int __wrap_usleep(useconds_t us)
{
    if (!sim_on)
        return __real_usleep(us);
    sim_pass(us);
    return 0;
}

ssize_t __wrap_getrandom(void *p, size_t n, unsigned flags);
ssize_t __wrap_getrandom(void *p, size_t n, unsigned flags)
{
    if (!sim_on)
        return __real_getrandom(p, n, flags);
    for (size_t i = 0; i < n; i++)
        ((uint8_t *)p)[i] = (uint8_t)sim_random(256);
    return (ssize_t)n;
}

#endif
