/* Crash reports; see crash.h. What runs in the signal handler uses nothing but what a handler may: write(2), the unwinder of
 * the compiler's library, memory that was prepared before. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "base/crash.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>
#include <unwind.h>

#define STACK_BYTES   65536 /* of a report's stack */
#define MESSAGE_BYTES 1024
#define PATH_BYTES    512
#define BUILD_ID_MAX  64
#define SCAN_PAGES    4 /* of a stack, for return addresses */

struct frames {
    unsigned count;
    uintptr_t at[CRASH_FRAMES_MAX];
};

static struct {
    const char *process;
    char dir[PATH_BYTES];
    char build_id[BUILD_ID_MAX * 2 + 1];
    uintptr_t base, text_start, text_end; /* where the program was loaded, and its code */
    struct timespec started;
    struct {
        const char *name;
        const atomic_ullong *value;
    } notes[CRASH_NOTES_MAX];
    atomic_uint note_count;
} crash;

static atomic_uint reporting; /* thread id of who writes the report; it is written once */
static char message[MESSAGE_BYTES];
static struct frames message_frames; /* of who panicked: abort() has no unwind tables */
static atomic_uint has_message;
static _Thread_local void *report_stack;

static _Unwind_Reason_Code frame(struct _Unwind_Context *context, void *ctx)
{
    struct frames *f = ctx;
    int before = 0;
    uintptr_t ip = _Unwind_GetIPInfo(context, &before);
    if (ip == 0 || f->count == CRASH_FRAMES_MAX)
        return _URC_END_OF_STACK;
    f->at[f->count++] = ip - (before ? 0 : 1); /* the call, not what follows it */
    return _URC_NO_REASON;
}

void crash_message(const char *text)
{
    unsigned no = 0;
    if (!atomic_compare_exchange_strong(&has_message, &no, 1))
        return;
    memcpy(message, text, strnlen(text, sizeof message - 1));
    if (crash.process)
        _Unwind_Backtrace(frame, &message_frames);
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HAS_REPORTS false
#else
#define HAS_REPORTS true
#endif

/* ---- writing, inside the handler ---- */

struct text {
    int fd;
    size_t len;
    char bytes[2048];
};

static void flush(struct text *t)
{
    for (size_t done = 0; done < t->len;) {
        ssize_t n = write(t->fd, t->bytes + done, t->len - done);
        if (n <= 0 && errno != EINTR)
            break;
        done += n > 0 ? (size_t)n : 0;
    }
    t->len = 0;
}

static void put(struct text *t, const char *s)
{
    for (; *s; s++) {
        if (t->len == sizeof t->bytes)
            flush(t);
        t->bytes[t->len++] = *s;
    }
}

static void put_number(struct text *t, unsigned long long v, unsigned base, unsigned width)
{
    char digits[24];
    unsigned n = sizeof digits - 1;
    digits[n] = 0;
    do {
        digits[--n] = "0123456789abcdef"[v % base];
        v /= base;
    } while (v || sizeof digits - 1 - n < width);
    put(t, digits + n);
}

static void put_hex(struct text *t, uintptr_t v)
{
    put(t, "0x");
    put_number(t, v, 16, 1);
}

static void line(struct text *t, const char *key, unsigned long long v)
{
    put(t, key);
    put(t, ": ");
    put_number(t, v, 10, 1);
    put(t, "\n");
}

/* Unix seconds as UTC (days to civil date: H. Hinnant, "chrono-Compatible Low-Level Date Algorithms"). */
static void put_time(struct text *t, int64_t seconds)
{
    int64_t day = seconds / 86400, second = seconds % 86400;
    int64_t z = day + 719468, era = z / 146097, doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365,
            doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153, d = doy - (153 * mp + 2) / 5 + 1, m = mp < 10 ? mp + 3 : mp - 9;
    const int64_t parts[] = {yoe + era * 400 + (m <= 2), m, d, second / 3600, second / 60 % 60, second % 60};
    for (int i = 0; i < 6; i++) {
        put(t, i == 0 ? "" : i < 3 ? "-" : i == 3 ? "T" : ":");
        put_number(t, (unsigned long long)parts[i], 10, i ? 2 : 4);
    }
    put(t, "Z\n");
}

static const char *signal_name(int sig)
{
    switch (sig) {
    case SIGSEGV: return "SIGSEGV (memory that is not there)";
    case SIGBUS: return "SIGBUS (memory that cannot be read: perhaps the disk)";
    case SIGABRT: return "SIGABRT (a panic, or a watchdog)";
    case SIGFPE: return "SIGFPE (arithmetic)";
    case SIGILL: return "SIGILL (no such instruction)";
    case SIGSYS: return "SIGSYS (a system call that is not allowed)";
    default: return "SIGTRAP";
    }
}

static void put_signal(struct text *t, int sig, const siginfo_t *info)
{
    put(t, "signal: ");
    put_number(t, (unsigned)sig, 10, 1);
    put(t, " ");
    put(t, signal_name(sig));
    if (info->si_code <= 0) {
        put(t, ", sent by process ");
        put_number(t, (unsigned)info->si_pid, 10, 1);
    } else {
        put(t, ", code ");
        put_number(t, (unsigned)info->si_code, 10, 1);
        put(t, sig == SIGSYS ? ", call " : ", address ");
        if (sig == SIGSYS)
            put_number(t, (unsigned)info->si_syscall, 10, 1);
        else
            put_hex(t, (uintptr_t)info->si_addr);
    }
    put(t, "\n");
}

/* Its stack pointer. */
static uintptr_t put_registers(struct text *t, const ucontext_t *u)
{
#if defined(__x86_64__)
    const uintptr_t r[] = {(uintptr_t)u->uc_mcontext.gregs[REG_RIP], (uintptr_t)u->uc_mcontext.gregs[REG_RSP],
                           (uintptr_t)u->uc_mcontext.gregs[REG_RBP]};
#elif defined(__aarch64__)
    const uintptr_t r[] = {(uintptr_t)u->uc_mcontext.pc, (uintptr_t)u->uc_mcontext.sp,
                           (uintptr_t)u->uc_mcontext.regs[30]};
#endif
    put(t, "at: program+");
    put_hex(t, r[0] - crash.base);
    put(t, "\nstack pointer: ");
    put_hex(t, r[1]);
    put(t, "\n");
    return r[1];
}

static void put_address(struct text *t, uintptr_t address)
{
    put(t, "  ");
    put_hex(t, address - crash.base);
    put(t, "\n");
}

/* Whether what stands before the address is a call. */
static bool follows_call(uintptr_t address)
{
    if (address < crash.text_start + 8 || address >= crash.text_end)
        return false;
#if defined(__x86_64__)
    const uint8_t *p = (const uint8_t *)address;
    return p[-5] == 0xe8 || (p[-2] == 0xff && (p[-1] & 0x38) == 0x10) ||
           (p[-3] == 0xff && (p[-2] & 0x38) == 0x10) || (p[-6] == 0xff && (p[-5] & 0x38) == 0x10);
#else
    uint32_t before;
    if (address % 4)
        return false;
    memcpy(&before, (const void *)(address - 4), sizeof before);
    return (before & 0xfc000000) == 0x94000000 || (before & 0xfffffc1f) == 0xd63f0000;
#endif
}

/* The C library's functions have no tables: behind them the walk ends, and what looks like return addresses must do. Read
 * by the kernel, which does not mind where the stack ends. */
static void scan(struct text *t, uintptr_t sp)
{
    static uintptr_t words[512];
    unsigned found = 0;
    for (unsigned page = 0; page < SCAN_PAGES && found < CRASH_FRAMES_MAX; page++) {
        struct iovec here = {words, sizeof words}, there = {(void *)(sp + page * sizeof words), sizeof words};
        ssize_t n = process_vm_readv(getpid(), &here, 1, &there, 1, 0);
        for (size_t i = 0; n > 0 && i < (size_t)n / sizeof *words && found < CRASH_FRAMES_MAX; i++)
            if (follows_call(words[i])) {
                put_address(t, words[i] - 1);
                found++;
            }
        if (n < (ssize_t)sizeof words)
            return;
    }
}

static int report_open(int64_t seconds)
{
    static struct text path; /* the handler's alone */
    path.fd = -1;
    put(&path, crash.dir);
    put(&path, "/");
    put(&path, crash.process);
    put(&path, "-");
    put_number(&path, (unsigned long long)seconds, 10, 1);
    put(&path, "-");
    put_number(&path, (unsigned)getpid(), 10, 1);
    put(&path, ".txt");
    path.bytes[path.len] = 0;
    return open(path.bytes, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
}

static void report(int sig, const siginfo_t *info, const ucontext_t *u)
{
    static struct text t;
    struct timespec now, steady;
    char name[17] = {0};
    clock_gettime(CLOCK_REALTIME, &now);
    clock_gettime(CLOCK_MONOTONIC, &steady);
    t.fd = report_open(now.tv_sec);
    if (t.fd < 0)
        t.fd = 2;
    prctl(PR_GET_NAME, name);
    put(&t, "penstock crash report\nprocess: ");
    put(&t, crash.process);
    put(&t, "\nbuild: ");
    put(&t, crash.build_id);
    put(&t, "\ntime: ");
    put_time(&t, now.tv_sec);
    line(&t, "ran for seconds", (unsigned long long)(steady.tv_sec - crash.started.tv_sec));
    line(&t, "pid", (unsigned)getpid());
    put(&t, "thread: ");
    put_number(&t, (unsigned)syscall(SYS_gettid), 10, 1);
    put(&t, " ");
    put(&t, name);
    put(&t, "\n");
    put_signal(&t, sig, info);
    if (atomic_load(&has_message)) {
        put(&t, "message: ");
        put(&t, message);
        put(&t, "\n");
    }
    for (unsigned i = 0; i < atomic_load(&crash.note_count); i++)
        line(&t, crash.notes[i].name, atomic_load(crash.notes[i].value));
    uintptr_t sp = put_registers(&t, u);
    put(&t, "frames (addr2line -fpe penstock.debug ADDRESS):\n");
    for (unsigned i = 0; i < message_frames.count; i++)
        put_address(&t, message_frames.at[i]);
    flush(&t); /* the walk itself may fail: what stands above is kept */
    static struct frames walked;
    if (!message_frames.count)
        _Unwind_Backtrace(frame, &walked);
    for (unsigned i = 0; i < walked.count; i++)
        put_address(&t, walked.at[i]);
    put(&t, "calls seen on the stack, some of them over already:\n");
    flush(&t);
    scan(&t, sp);
    put(&t, "end of report\n");
    flush(&t);
    if (t.fd != 2) {
        fsync(t.fd);
        close(t.fd);
    }
}

static void on_crash(int sig, siginfo_t *info, void *context)
{
    unsigned nobody = 0, me = (unsigned)syscall(SYS_gettid);
    if (atomic_compare_exchange_strong(&reporting, &nobody, me))
        report(sig, info, context);
    else if (nobody != me)
        for (;;)
            pause(); /* another thread reports, and ends the process */
    signal(sig, SIG_DFL);
    syscall(SYS_tgkill, getpid(), me, sig); /* delivered when the handler returns */
}

/* ---- before ---- */

#ifndef __GLIBC__
/* glibc's, which the compiler's unwinder was built to ask for the tables of the object that an address lies in. Here
 * there is one object, and nothing to lock. */
struct dl_find_object {
    unsigned long long flags;
    void *map_start, *map_end, *link_map, *eh_frame;
    unsigned long long reserved[7];
};
int _dl_find_object(void *address, struct dl_find_object *out);
static struct dl_find_object whole_program;
/* The unwinder names it weakly, and would call nothing if nobody else needed it. */
__attribute__((used)) static int (*const keep_once)(pthread_once_t *, void (*)(void)) = pthread_once;

int _dl_find_object(void *address, struct dl_find_object *out)
{
    if (!whole_program.eh_frame || address < whole_program.map_start || address >= whole_program.map_end)
        return -1;
    *out = whole_program;
    return 0;
}

static void find_tables(const struct dl_phdr_info *info)
{
    uintptr_t end = 0;
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *h = &info->dlpi_phdr[i];
        uintptr_t last = info->dlpi_addr + h->p_vaddr + h->p_memsz;
        if (h->p_type == PT_LOAD && last > end)
            end = last;
        if (h->p_type == PT_GNU_EH_FRAME)
            whole_program.eh_frame = (void *)(info->dlpi_addr + h->p_vaddr);
    }
    whole_program.map_start = (void *)info->dlpi_addr;
    whole_program.map_end = (void *)end;
}
#else
static void find_tables(const struct dl_phdr_info *info)
{
    (void)info;
}
#endif

static int program_header(struct dl_phdr_info *info, size_t size_bytes, void *ctx)
{
    (void)size_bytes;
    (void)ctx;
    crash.base = info->dlpi_addr;
    find_tables(info);
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        if (info->dlpi_phdr[i].p_type == PT_LOAD && info->dlpi_phdr[i].p_flags & PF_X) {
            crash.text_start = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
            crash.text_end = crash.text_start + info->dlpi_phdr[i].p_filesz;
        }
        if (info->dlpi_phdr[i].p_type != PT_NOTE)
            continue;
        const ElfW(Nhdr) *n = (const void *)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr);
        if (n->n_type != NT_GNU_BUILD_ID || n->n_descsz > BUILD_ID_MAX)
            continue;
        const uint8_t *id = (const uint8_t *)(n + 1) + (n->n_namesz + 3) / 4 * 4;
        for (unsigned b = 0; b < n->n_descsz; b++)
            snprintf(crash.build_id + 2 * b, 3, "%02x", id[b]);
    }
    return 1; /* the first is the program */
}

/* Seconds and process id from a report's name; false when it is none. */
static bool report_name(const char *name, long long *seconds, int *pid)
{
    const char *at = strchr(name, '-');
    int used = 0;
    return at && sscanf(at, "-%lld-%d.txt%n", seconds, pid, &used) == 2 && used > 0 && at[used] == 0;
}

char *crash_report_of(const char *dir, int pid)
{
    DIR *d = opendir(dir);
    char *found = NULL;
    long long newest = -1;
    for (struct dirent *e; d && (e = readdir(d));) {
        long long seconds;
        int of;
        if (!report_name(e->d_name, &seconds, &of) || of != pid || seconds <= newest)
            continue;
        newest = seconds;
        free(found);
        found = xprintf("%s/%s", dir, e->d_name);
    }
    if (d)
        closedir(d);
    return found;
}

/* Removes the oldest report while there are more than `keep`. */
static void prune(const char *dir, unsigned keep)
{
    for (;;) {
        DIR *d = opendir(dir);
        char *oldest = NULL;
        long long least = INT64_MAX;
        unsigned count = 0;
        for (struct dirent *e; d && (e = readdir(d));) {
            long long seconds;
            int pid;
            if (!report_name(e->d_name, &seconds, &pid))
                continue;
            count++;
            if (seconds >= least)
                continue;
            least = seconds;
            free(oldest);
            oldest = xprintf("%s/%s", dir, e->d_name);
        }
        if (d)
            closedir(d);
        bool done = count <= keep || !oldest || unlink(oldest) != 0;
        free(oldest);
        if (done)
            return;
    }
}

bool crash_install(const char *process, const char *dir)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL, SIGSYS, SIGTRAP};
    if (!HAS_REPORTS)
        return true;
    if (strlen(dir) >= sizeof crash.dir) {
        errno = ENAMETOOLONG;
        return false;
    }
    if (mkdir(dir, 0700) != 0 && errno != EEXIST)
        return false;
    crash.process = process;
    memcpy(crash.dir, dir, strlen(dir) + 1);
    clock_gettime(CLOCK_MONOTONIC, &crash.started);
    dl_iterate_phdr(program_header, NULL);
    prune(dir, CRASH_REPORTS_MAX - 1);
    struct sigaction sa = {.sa_sigaction = on_crash, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigfillset(&sa.sa_mask);
    for (size_t i = 0; i < ARRAY_COUNT(signals);
         i++) { /* a fault of the report itself must not wait for its end */
        sigdelset(&sa.sa_mask, signals[i]);
    }
    for (size_t i = 0; i < ARRAY_COUNT(signals); i++)
        sigaction(signals[i], &sa, NULL);
    struct frames nothing = {.count = CRASH_FRAMES_MAX};
    _Unwind_Backtrace(frame, &nothing); /* whatever it prepares at its first call is prepared now */
    return true;
}

void crash_note(const char *name, const atomic_ullong *value)
{
    unsigned i = atomic_load(&crash.note_count);
    ASSERT(i < CRASH_NOTES_MAX);
    crash.notes[i].name = name;
    crash.notes[i].value = value;
    atomic_store(&crash.note_count, i + 1);
}

void crash_thread(const char *fmt, ...)
{
    char name[16];
    va_list args;
    va_start(args, fmt);
    vsnprintf(name, sizeof name, fmt, args);
    va_end(args);
    prctl(PR_SET_NAME, name);
    if (!HAS_REPORTS || report_stack)
        return;
    report_stack = xmalloc(STACK_BYTES);
    stack_t s = {.ss_sp = report_stack, .ss_size = STACK_BYTES};
    sigaltstack(&s, NULL);
}

void crash_thread_end(void)
{
    if (!report_stack)
        return;
    stack_t off = {.ss_flags = SS_DISABLE};
    sigaltstack(&off, NULL);
    free(report_stack);
    report_stack = NULL;
}

void crash_no_dumps(void)
{
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    prctl(PR_SET_DUMPABLE, 0);
}
