/* The epoch gate; see gate.h. A file that is mapped by every process; made anew under another name and renamed, so
 * that nobody ever maps a half-made one. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "store/gate.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "base/clock.h"
#include "store/store_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define COMPONENT "gate"
static const char gate_magic[8] = {'P', 'E', 'N', 'S', 'T', 'O', 'C', 'K'};

/* ---- the file ---- */

/* Empty when the kernel does not say: then no file ever matches, and every start counts as a fresh boot. */
static void boot_id(char out[40])
{
    size_t n = file_text("/proc/sys/kernel/random/boot_id", out, 40);
    while (n > 0 && (out[n - 1] == '\n' || out[n - 1] == ' '))
        out[--n] = 0;
}

static bool gate_fits(const struct gate *g, const char *boot)
{
    return memcmp(g->magic, gate_magic, sizeof gate_magic) == 0 && g->layout == GATE_LAYOUT &&
           g->size_bytes == sizeof *g && boot[0] && strncmp(g->boot_id, boot, sizeof g->boot_id) == 0;
}

/* 0, or errno. *out NULL: the file is too short. */
static int gate_map(int fd, struct gate **out)
{
    struct stat st;
    *out = NULL;
    if (fstat(fd, &st))
        return errno;
    if (st.st_size < (off_t)sizeof(struct gate))
        return 0;
    void *p = mmap(NULL, sizeof(struct gate), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED)
        return errno;
    *out = p;
    return 0;
}

/* *out NULL: there is none of this boot. One that cannot be opened just now is an error: readers may have it mapped, who
 * would not see that the store is put back through a new one. */
static struct err *gate_open_existing(const char *path, const char *boot, struct gate **out)
{
    *out = NULL;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? NULL : err_errno(ERR_IO, "cannot open %s", path);
    errno = gate_map(fd, out);
    struct err *e = errno ? err_errno(ERR_IO, "cannot map %s", path) : NULL;
    close(fd);
    if (*out && !gate_fits(*out, boot)) {
        munmap(*out, sizeof **out);
        *out = NULL;
    }
    return e;
}

static struct err *gate_make(const char *path, const char *boot, struct gate **out)
{
    char *made = xprintf("%s.new", path);
    struct err *e = NULL;
    int fd = open(made, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    struct gate *g = NULL;
    int rc = fd < 0 ? errno : store_allocate(fd, 0, (off_t)sizeof *g);
    if (rc == 0)
        rc = gate_map(fd, &g);
    if (rc == 0) {
        g->layout = GATE_LAYOUT;
        g->size_bytes = sizeof *g;
        memcpy(g->boot_id, boot, sizeof g->boot_id);
        atomic_store(&g->unrecovered, 1);
        atomic_store(&g->recovering, 1); /* nothing may be read before the pipeline has put the store right */
        atomic_store(&g->generation, 1);
        memcpy(g->magic, gate_magic, sizeof g->magic);
        rc = rename(made, path) ? errno : 0;
    }
    if (rc) {
        errno = rc;
        e = err_errno(ERR_IO, "cannot make %s", path);
        if (g)
            munmap(g, sizeof *g);
    } else {
        *out = g;
    }
    if (fd >= 0)
        close(fd);
    free(made);
    return e;
}

struct err *gate_open(const char *dir, struct gate **out, bool *fresh_boot)
{
    char boot[40], *path = xprintf("%s/gate", dir);
    struct err *e = NULL;
    boot_id(boot);
    if (mkdir(dir, 0700) && errno != EEXIST)
        e = err_errno(ERR_IO, "cannot make %s", dir);
    /* Two processes that start at once must not both make it. */
    int dir_fd = e ? -1 : open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (!e && (dir_fd < 0 || flock(dir_fd, LOCK_EX)))
        e = err_errno(ERR_IO, "cannot lock %s", dir);
    *out = NULL;
    if (!e)
        e = gate_open_existing(path, boot, out);
    if (!e && !*out)
        e = gate_make(path, boot, out);
    if (!e)
        *fresh_boot = atomic_load(&(*out)->unrecovered) != 0;
    if (dir_fd >= 0)
        close(dir_fd);
    free(path);
    return e;
}

void gate_close(struct gate *g)
{
    if (g)
        munmap(g, sizeof *g);
}

/* ---- who lives ---- */

#define PROCESS_HIDDEN UINT64_MAX /* from this one: it counts as alive */

/* Whether there may be such a process though /proc does not show it: this one is confined, has no descriptor left, or the machine hides
 * processes from each other (hidepid, ProtectProc). Signal 0 finds these, too. */
static bool is_hidden(unsigned pid, int error)
{
    if (error != ENOENT && error != ESRCH)
        return error != 0;
    return syscall(SYS_tkill, pid, 0) == 0 || errno == EPERM;
}

/* Start time of a process in clock ticks since boot (with its id, its identity); 0 when it is dead, a zombie or unknown.
 * /proc/PID/stat: "pid (name) state ppid ...", the start time being field 22; the name may hold anything. */
static uint64_t process_start(unsigned pid)
{
    char path[32], text[512];
    snprintf(path, sizeof path, "/proc/%u/stat", pid);
    errno = 0;
    if (file_text(path, text, sizeof text) == 0)
        return is_hidden(pid, errno) ? PROCESS_HIDDEN : 0;
    const char *p = strrchr(text, ')');
    if (!p || p[1] != ' ' || p[2] == 'Z' || p[2] == 'X')
        return 0;
    p += 2;
    for (int field = 3; field < 22 && p; field++)
        p = (p = strchr(p, ' ')) ? p + 1 : NULL;
    return p ? strtoull(p, NULL, 10) : 0;
}

static bool reader_lives(const struct gate_reader *r)
{
    unsigned pid = atomic_load(&r->pid);
    uint64_t started = pid ? process_start(pid) : 0;
    return started == PROCESS_HIDDEN || (started != 0 && started == atomic_load(&r->started));
}

/* ---- reader slots ---- */

static bool slot_claim(struct gate_reader *r, unsigned expected, unsigned pid, uint64_t started)
{
    if (!atomic_compare_exchange_strong(&r->pid, &expected, GATE_READER_CLAIMED))
        return false;
    atomic_store(&r->active, 0);
    atomic_store(&r->started, started);
    atomic_store(&r->pid, pid);
    return true;
}

int gate_reader_attach(struct gate *g)
{
    unsigned pid = (unsigned)getpid();
    uint64_t started = process_start(pid);
    for (int i = 0; i < GATE_READERS_MAX; i++)
        if (atomic_load(&g->readers[i].pid) == 0 && slot_claim(&g->readers[i], 0, pid, started))
            return i;
    for (int i = 0; i < GATE_READERS_MAX; i++) {
        unsigned holder = atomic_load(&g->readers[i].pid);
        if (holder != pid && holder != GATE_READER_CLAIMED && !reader_lives(&g->readers[i]) &&
            slot_claim(&g->readers[i], holder, pid, started))
            return i;
    }
    return -1;
}

void gate_reader_detach(struct gate *g, int slot)
{
    ASSERT(slot >= 0 && slot < GATE_READERS_MAX);
    atomic_store(&g->readers[slot].active, 0);
    atomic_store(&g->readers[slot].pid, 0);
}

void gate_readers_reap(struct gate *g)
{
    for (int i = 0; i < GATE_READERS_MAX; i++) {
        unsigned holder = atomic_load(&g->readers[i].pid);
        if (holder && holder != GATE_READER_CLAIMED && !reader_lives(&g->readers[i]) &&
            slot_claim(&g->readers[i], holder, GATE_READER_CLAIMED, 0))
            atomic_store(&g->readers[i].pid, 0);
    }
}

/* Store, then load, both sequentially consistent, against the same in gate_recovery_begin: one of the two sides sees
 * the other. */
bool gate_read_enter(struct gate *g, int slot)
{
    atomic_store(&g->readers[slot].active, 1);
    if (LIKELY(!atomic_load(&g->recovering)))
        return true;
    atomic_store(&g->readers[slot].active, 0);
    return false;
}

void gate_read_leave(struct gate *g, int slot)
{
    atomic_store_explicit(&g->readers[slot].active, 0, memory_order_release);
}

/* ---- recovery ---- */

static int reader_active(const struct gate *g)
{
    for (int i = 0; i < GATE_READERS_MAX; i++)
        if (atomic_load(&g->readers[i].active) && reader_lives(&g->readers[i]))
            return i;
    return -1;
}

static void reader_kill(struct gate_reader *r)
{
    unsigned pid = atomic_load(&r->pid);
    if (pid == (unsigned)getpid()) {
        PANIC("a reader of this very process holds a snapshot over recovery");
    }
    log_event(EVENT_READER_KILLED, LOG_ERROR, COMPONENT, "a stuck reader is killed before recovery", "pid=%u",
              pid);
    if (reader_lives(r))
        kill((pid_t)pid, SIGKILL);
    while (reader_lives(r))
        usleep(1000);
}

void gate_recovery_begin(struct gate *g, int timeout_ms)
{
    atomic_store(&g->recovering, 1);
    int64_t deadline = steady_us() + (int64_t)timeout_ms * 1000;
    for (int slot; (slot = reader_active(g)) >= 0;) {
        if (steady_us() >= deadline)
            reader_kill(&g->readers[slot]);
        else
            usleep(100);
    }
}

static void gate_wake(struct gate *g)
{
    atomic_fetch_add(&g->wake, 1);
    syscall(SYS_futex, &g->wake, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

void gate_recovery_end(struct gate *g)
{
    atomic_fetch_add(&g->generation, 1);
    atomic_store(&g->recovering, 0);
    gate_wake(g);
}

/* ---- views ---- */

/* State first: a reader that sees the new count sees the state as well, and one that saw the view ready before will
 * find another count once it has a snapshot. */
bool gate_view_hide(struct gate *g, uint32_t slot)
{
    bool was_shown = atomic_exchange(&g->views[slot].state, VIEW_BUILDING) != VIEW_BUILDING;
    if (was_shown)
        atomic_fetch_add(&g->views[slot].hides, 1);
    return was_shown;
}

void gate_view_replace(struct gate *g, uint32_t slot)
{
    gate_view_hide(g, slot);
    atomic_fetch_add(&g->views[slot].fills, 1);
}

/* ---- epochs ---- */

void gate_publish(struct gate *g, uint64_t epoch)
{
    atomic_store(&g->epoch_us, unix_us());
    atomic_store(&g->epoch, epoch);
    gate_wake(g);
}

uint64_t gate_wait(struct gate *g, uint64_t seen, int timeout_ms)
{
    unsigned generation = atomic_load(&g->generation);
    int64_t deadline = steady_us() + (int64_t)timeout_ms * 1000;
    for (;;) {
        unsigned wake = atomic_load(&g->wake);
        uint64_t epoch = atomic_load(&g->epoch);
        int64_t left = deadline - steady_us();
        if (epoch > seen || atomic_load(&g->generation) != generation || left <= 0)
            return epoch;
        struct timespec wait = {.tv_sec = left / 1000000, .tv_nsec = left % 1000000 * 1000};
        syscall(SYS_futex, &g->wake, FUTEX_WAIT, wake, &wait, NULL, 0);
    }
}

/* ---- texts ---- */

/* A seqlock per text: odd while it is written. One writer. Bytes are copied one by one as relaxed atomics, since a
 * reader may well look at them meanwhile. */
void gate_text_set(char *field, size_t size_bytes, atomic_uint *seq, const char *text)
{
    size_t len = (size_t)text_fit(text, strlen(text), size_bytes - 1);
    unsigned before =
        atomic_load_explicit(seq, memory_order_relaxed) & ~1u; /* a writer may have died at odd */
    atomic_store_explicit(seq, before + 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    for (size_t i = 0; i <= len; i++)
        __atomic_store_n(&field[i], i < len ? text[i] : 0, __ATOMIC_RELAXED);
    atomic_store_explicit(seq, before + 2, memory_order_release);
}

void gate_text_get(const char *field, size_t size_bytes, const atomic_uint *seq, char *out)
{
    for (int tries = 0; tries < 1000; tries++) {
        unsigned before = atomic_load_explicit(seq, memory_order_acquire);
        for (size_t i = 0; i < size_bytes; i++)
            out[i] = __atomic_load_n(&field[i], __ATOMIC_RELAXED);
        out[size_bytes - 1] = 0;
        atomic_thread_fence(memory_order_acquire);
        if (!(before & 1) && atomic_load_explicit(seq, memory_order_relaxed) == before)
            return;
    }
    out[0] = 0; /* the writer died in the middle */
}
