/* `backup` and `restore` on a box: tar archives of what `penstock backup` makes, on standard output and input.
 *
 * A backup is staged beside the store, as all of it has to be of one epoch; it needs room for a second copy, which is looked at before, and
 * each file is removed once it was sent. A restore is staged beside it as well, made a store there, and exchanged with the present
 * one while that one's lock is held, so that no instance runs on either; the former one comes back if PID 1 cannot start the
 * new one. Staged folders of interrupted runs are removed by the next. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "cli/box_commands.h"
#include "cli/instance.h"

#include "base/clock.h"
#include "box/program.h"
#include "box/scratch.h"
#include "box/tar_stream.h"
#include "store/still.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define PART_BYTES    (1 << 20)
#define FILES_MAX     2000
#define SPARED_BYTES  (512ull << 20) /* of the disk, which a restore leaves free for the running instance */
#define STOP_WAIT_MS  60000
#define START_WAIT_MS 180000
#define STOP_TRIES    10

static volatile sig_atomic_t stopped;

static void on_signal(int sig)
{
    (void)sig;
    stopped = 1;
}

/* What is staged is removed when the session ends. */
static void catch_signals(void)
{
    struct sigaction sa = {.sa_handler = on_signal};
    sigaction(SIGTERM, &sa, NULL);
    sigaction(SIGHUP, &sa, NULL);
    sigaction(SIGINT, &sa, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static struct err *interrupted(void)
{
    return err_new(ERR_STATE, "interrupted");
}

static bool as_box(void)
{
    return geteuid() == 0 && !box_root[0];
}

static struct err *give_to_penstock(const char *path)
{
    return as_box() && chown(path, BOX_PENSTOCK, BOX_PENSTOCK) != 0
               ? err_errno(ERR_IO, "cannot give %s away", path)
               : NULL;
}

/* One of the program's own commands as the pipeline's user; what it says goes to standard error. */
static struct err *run_own(const char *const *argv, int *status)
{
    struct buf said = {0};
    struct program p = {.argv = argv, .as = BOX_PENSTOCK, .out = &said, .most = 65536};
    struct err *e = program_run(&p, status);
    if (!e && said.len)
        fwrite(said.p, 1, said.len, stderr);
    buf_fini(&said);
    return e;
}

/* ---- backup ---- */

static struct err *send_content(int fd, const char *name, uint64_t size)
{
    static uint8_t part[PART_BYTES];
    for (uint64_t left = size; left;) {
        size_t want = left < sizeof part ? (size_t)left : sizeof part;
        ssize_t n = read(fd, part, want);
        if (stopped)
            return interrupted();
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return err_errno(ERR_IO, "cannot read %s", name);
        TRY(box_write_all(part, (size_t)n));
        left -= (uint64_t)n;
    }
    memset(part, 0, TAR_BLOCK_BYTES);
    return box_write_all(part, (TAR_BLOCK_BYTES - size % TAR_BLOCK_BYTES) % TAR_BLOCK_BYTES);
}

static struct err *send_file(const char *dir, const char *name)
{
    uint8_t header[TAR_BLOCK_BYTES];
    char *path = xprintf("%s/%s", dir, name);
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    struct err *e = fd < 0 || fstat(fd, &st) != 0 ? err_errno(ERR_IO, "cannot open %s", path) : NULL;
    if (!e)
        e = tar_stream_header(header, name, (uint64_t)st.st_size);
    if (!e)
        e = box_write_all(header, sizeof header);
    if (!e)
        e = send_content(fd, path, (uint64_t)st.st_size);
    if (fd >= 0)
        close(fd);
    if (!e)
        unlink(path);
    free(path);
    return e;
}

/* below: "" or the folder's name and a slash. */
static struct err *send_folder(const char *dir, const char *below)
{
    char *path = xprintf("%s/%s", dir, below);
    DIR *d = opendir(path);
    struct err *e = d ? NULL : err_errno(ERR_IO, "cannot list %s", path);
    for (struct dirent *entry; !e && d && (entry = readdir(d));) {
        if (entry->d_name[0] == '.')
            continue;
        char *name = xprintf("%s%s", below, entry->d_name), *deeper = xprintf("%s/", name);
        bool folder = entry->d_type == DT_DIR;
        e = !folder ? send_file(dir, name) : *below ? NULL : send_folder(dir, deeper);
        free(name);
        free(deeper);
    }
    if (d)
        closedir(d);
    free(path);
    return e;
}

static struct err *backup(const char *timeout, int *status)
{
    static const uint8_t end[2 * TAR_BLOCK_BYTES];
    struct scratch s;
    char *data = box_file(BOX_DATA), *store = box_file(BOX_STORE), *dir = NULL;
    struct err *e = scratch_make(&s, data, "backup");
    if (!e)
        e = give_to_penstock(s.path);
    if (!e) {
        dir = xprintf("%s/backup", s.path);
        const char *argv[] = {"penstock", "backup", "--data", store, "--timeout", timeout, dir, NULL};
        e = run_own(argv, status);
    }
    if (!e && *status == EXIT_DONE) {
        e = send_folder(dir, "");
        if (!e)
            e = box_write_all(end, sizeof end);
    }
    scratch_remove(&s);
    free(dir);
    free(store);
    free(data);
    return e;
}

int box_backup(int argc, char **argv)
{
    int status = EXIT_FAILED;
    const char *timeout = "3600";
    bool given =
        argc == 3 && strcmp(argv[1], "--timeout") == 0 && strspn(argv[2], "0123456789") == strlen(argv[2]);
    if (argc != 1 && !given) {
        fputs("usage: backup [--timeout S] >FILE\n", stderr);
        return EXIT_USAGE;
    }
    if (isatty(STDOUT_FILENO))
        return cli_report(err_hint(err_new(ERR_CONFIG, "an archive is nothing for a terminal"),
                                   "ssh admin@BOX backup >backup.tar"));
    catch_signals();
    struct err *e = backup(given ? argv[2] : timeout, &status);
    return e ? cli_report(e) : status;
}

/* ---- restore: taking the archive in ---- */

static struct err *read_block(void *p, size_t len, bool *ended)
{
    size_t at = 0;
    *ended = false;
    while (at < len) {
        ssize_t n = read(STDIN_FILENO, (char *)p + at, len - at);
        if (stopped)
            return interrupted();
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(ERR_IO, "cannot read standard input");
        if (n == 0)
            break;
        at += (size_t)n;
    }
    *ended = at == 0;
    return at == 0 || at == len ? NULL : err_new(ERR_CONFIG, "the archive is cut off");
}

static struct err *check_room(int fd)
{
    struct statvfs fs;
    if (fstatvfs(fd, &fs) != 0 || (uint64_t)fs.f_bavail * fs.f_frsize >= SPARED_BYTES)
        return NULL;
    return err_hint(err_new(ERR_SPACE, "the disk has no room for the backup beside the present store"),
                    "a restore needs twice the room of the backup until it is done");
}

static struct err *take_content(int fd, const struct tar_stream_entry *entry)
{
    static uint8_t part[PART_BYTES];
    bool ended;
    uint64_t padded = (entry->size_bytes + TAR_BLOCK_BYTES - 1) / TAR_BLOCK_BYTES * TAR_BLOCK_BYTES;
    uint64_t left = entry->size_bytes;
    while (padded) {
        size_t want = padded < sizeof part ? (size_t)padded : sizeof part;
        TRY(read_block(part, want, &ended));
        if (ended)
            return err_new(ERR_CONFIG, "the archive is cut off");
        TRY(check_room(fd));
        size_t keep = left < want ? (size_t)left : want;
        for (size_t at = 0; at < keep;) {
            ssize_t n = write(fd, part + at, keep - at);
            if (n <= 0 && errno != EINTR)
                return err_errno(ERR_IO, "cannot write %s", entry->path);
            at += n > 0 ? (size_t)n : 0;
        }
        padded -= want;
        left -= keep;
    }
    return NULL;
}

static struct err *make_folder(int dir_fd, const char *name)
{
    if (mkdirat(dir_fd, name, 0700) == 0)
        return as_box() && fchownat(dir_fd, name, BOX_PENSTOCK, BOX_PENSTOCK, AT_SYMLINK_NOFOLLOW) != 0
                   ? err_errno(ERR_IO, "cannot give %s away", name)
                   : NULL;
    return errno == EEXIST ? NULL : err_errno(ERR_IO, "cannot make %s", name);
}

static struct err *take_file(int dir_fd, const struct tar_stream_entry *entry)
{
    char folder[TAR_PATH_BYTES_MAX + 1];
    size_t n = strcspn(entry->path, "/");
    if (entry->path[n]) {
        memcpy(folder, entry->path, n);
        folder[n] = 0;
        TRY(make_folder(dir_fd, folder));
    }
    int fd = openat(dir_fd, entry->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return errno == EEXIST ? err_new(ERR_CONFIG, "the archive holds %s twice", entry->path)
                               : err_errno(ERR_IO, "cannot make %s", entry->path);
    struct err *e = take_content(fd, entry);
    if (!e && as_box() && fchown(fd, BOX_PENSTOCK, BOX_PENSTOCK) != 0)
        e = err_errno(ERR_IO, "cannot give %s away", entry->path);
    close(fd);
    return e;
}

static struct err *unpack(int dir_fd)
{
    uint8_t header[TAR_BLOCK_BYTES];
    struct tar_stream_entry entry;
    bool ended;
    for (int count = 0;; count++) {
        TRY(read_block(header, sizeof header, &ended));
        if (ended)
            return err_new(ERR_CONFIG, count ? "the archive is cut off" : "no backup came on standard input");
        TRY(tar_stream_read(header, &entry));
        if (entry.end)
            return NULL;
        if (count == FILES_MAX)
            return err_new(ERR_LIMIT, "more than %d files in the archive", FILES_MAX);
        if (entry.folder && entry.path[0] && !strchr(entry.path, '/'))
            TRY(make_folder(dir_fd, entry.path));
        else if (!entry.folder)
            TRY(take_file(dir_fd, &entry));
    }
}

static struct err *unpack_into(const char *dir)
{
    if (mkdir(dir, 0700) != 0)
        return err_errno(ERR_IO, "cannot make %s", dir);
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct err *e = fd < 0 ? err_errno(ERR_IO, "cannot open %s", dir) : unpack(fd);
    if (fd >= 0)
        close(fd);
    return e ? e : give_to_penstock(dir);
}

/* ---- restore: exchanging the stores ---- */

static unsigned supervisor_of(const char *store)
{
    struct instance i;
    struct err *e = instance_peek(store, &i);
    unsigned pid = e ? 0 : i.supervisor;
    if (!e)
        instance_close(&i);
    err_free(e);
    return pid;
}

static void wait_for_end(unsigned pid)
{
    int64_t until = steady_us() + STOP_WAIT_MS * 1000LL;
    while (kill((pid_t)pid, 0) == 0 && steady_us() < until)
        poll(NULL, 0, 2);
}

/* Ends the instance, if one lives. PID 1 starts the next one a tenth of a second after the last has ended. */
static void end_instance(const char *store)
{
    for (int tries = 0; tries < STOP_TRIES; tries++) {
        unsigned pid = supervisor_of(store);
        if (!pid)
            return;
        if (kill((pid_t)pid, SIGTERM) == 0)
            wait_for_end(pid);
    }
}

/* The lock of the present store, and no instance: one that PID 1 has started meanwhile cannot open the store, and ends too. */
static struct err *hold(const char *store, int *lock_fd)
{
    for (int tries = 1;; tries++) {
        end_instance(store);
        struct err *e = store_still_lock(store, lock_fd);
        if (!e)
            end_instance(store);
        if (!e || tries == STOP_TRIES)
            return e;
        err_free(e);
        poll(NULL, 0, 20);
    }
}

static struct err *exchange(const char *store, const char *other)
{
    int lock_fd = -1;
    TRY(hold(store, &lock_fd));
    struct err *e = renameat2(AT_FDCWD, other, AT_FDCWD, store, RENAME_EXCHANGE) == 0
                        ? NULL
                        : err_errno(ERR_IO, "cannot put %s in the place of %s", other, store);
    char *above = xprintf("%.*s", (int)(strrchr(store, '/') - store), store);
    int fd = open(above, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
    free(above);
    close(lock_fd);
    return e;
}

static bool comes_up(const char *store)
{
    int64_t until = steady_us() + START_WAIT_MS * 1000LL;
    while (steady_us() < until) {
        struct instance i;
        struct err *e = instance_open(store, &i);
        uint32_t state = !e && i.gate && i.pipeline ? atomic_load(&i.gate->pipeline_state) : PIPELINE_DOWN;
        if (!e)
            instance_close(&i);
        err_free(e);
        if (state == PIPELINE_RUNNING || state == PIPELINE_PAUSED || state == PIPELINE_REBUILDING)
            return true;
        poll(NULL, 0, 100);
    }
    return false;
}

static struct err *put_in_place(const char *store, const char *fresh)
{
    mkdir(store, 0700); /* of a box that never had one */
    TRY(give_to_penstock(store));
    fputs("the pipeline is stopped, and started with the restored store\n", stderr);
    TRY(exchange(store, fresh));
    if (comes_up(store))
        return NULL;
    struct err *e = err_hint(
        err_new(ERR_STATE, "the pipeline does not start with the restored store: the former one is back"),
        "`logs --unit penstock` says why");
    err_append(&e, exchange(store, fresh));
    return e;
}

static struct err *restore(int *status)
{
    struct scratch s;
    char *data = box_file(BOX_DATA), *store = box_file(BOX_STORE), *from = NULL, *fresh = NULL;
    struct err *e = scratch_make(&s, data, "restore");
    if (!e) {
        from = xprintf("%s/backup", s.path);
        fresh = xprintf("%s/store", s.path);
        e = unpack_into(from);
    }
    if (!e)
        e = give_to_penstock(s.path);
    if (!e) {
        const char *argv[] = {"penstock", "restore", "--data", fresh, from, NULL};
        e = run_own(argv, status);
    }
    if (!e && *status == EXIT_DONE) {
        err_free(scratch_remove_tree(from)); /* its room is needed */
        signal(SIGTERM, SIG_IGN);            /* from here on it is finished, or taken back */
        signal(SIGHUP, SIG_IGN);
        e = put_in_place(store, fresh);
    }
    scratch_remove(&s);
    free(from);
    free(fresh);
    free(store);
    free(data);
    return e;
}

int box_restore(int argc, char **argv)
{
    int status = EXIT_FAILED;
    if (argc != 2 || strcmp(argv[1], "--yes") != 0) {
        fputs("usage: restore --yes <FILE\n  hint: the present store is replaced by the backup, and is gone "
              "then\n",
              stderr);
        return EXIT_USAGE;
    }
    if (isatty(STDIN_FILENO))
        return cli_report(err_hint(err_new(ERR_CONFIG, "no backup comes on standard input"),
                                   "ssh admin@BOX restore --yes <backup.tar"));
    catch_signals();
    struct err *e = restore(&status);
    if (e)
        return cli_report(e);
    if (status == EXIT_DONE)
        puts("restored");
    return status;
}
