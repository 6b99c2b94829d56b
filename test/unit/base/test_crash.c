/* Crash reports: what stands in them for each way to die, and that a process still dies of the signal. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "base/crash.h"
#include "remove_tree.h"
#include "test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

#define NOINLINE __attribute__((noinline, noclone, aligned(256)))
static char dir[] = "/tmp/penstock-crash-XXXXXX";
static volatile int sink;
static int *volatile nowhere;
static char text[65536];

/* Not tail calls: something is left to do after each. */
NOINLINE static void level_three(void)
{
    *nowhere = 1;
    sink++;
}
NOINLINE static void level_two(void)
{
    level_three();
    sink++;
}
NOINLINE static void level_one(void)
{
    level_two();
    sink++;
}
NOINLINE static int overflow(int depth)
{
    volatile char page[4096];
    page[0] = (char)depth;
    return (sink < 0 ? 0 : overflow(depth + 1)) + page[0]; /* never below zero */
}
NOINLINE static void *in_thread(void *arg)
{
    (void)arg;
    crash_thread("worker %d", 7);
    sink = overflow(0);
    return NULL;
}

static void die_of_memory(void)
{
    level_one();
}
NOINLINE static void level_panic(int n)
{
    if (n == 42)
        PANIC("the number is %d", n);
    sink++;
}
static void die_of_panic(void)
{
    level_panic(42 + sink);
    sink++;
}
NOINLINE static void level_asleep(void)
{
    pause();
    sink++;
}
static void *watchdog(void *sleeper)
{
    usleep(100000);
    pthread_kill(*(pthread_t *)sleeper, SIGABRT);
    return NULL;
}
static void die_asleep(void)
{
    pthread_t me = pthread_self(), t;
    pthread_create(&t, NULL, watchdog, &me);
    level_asleep();
    sink++;
}
static void die_of_overflow(void)
{
    pthread_t t;
    pthread_create(&t, NULL, in_thread, NULL);
    pthread_join(t, NULL);
}
static void die_of_others(void)
{
    raise(SIGABRT);
}
static void die_of_main_overflow(void)
{
    crash_thread("main");
    sink = overflow(0);
}

static int find_base(struct dl_phdr_info *info, size_t size, void *out)
{
    (void)size;
    *(uintptr_t *)out = info->dlpi_addr;
    return 1;
}

/* The report of a child that dies so, in `text`; its status. */
static int report_of(void (*die)(void), pid_t *child)
{
    static atomic_ullong epoch = 4711;
    pid_t pid = fork();
    if (pid == 0) {
        close(2);
        setrlimit(RLIMIT_STACK, &(struct rlimit){1 << 20, RLIM_INFINITY});
        if (!crash_install("pipeline", dir))
            _exit(9);
        crash_note("epoch", &epoch);
        crash_no_dumps();
        die();
        _exit(0);
    }
    int status;
    waitpid(pid, &status, 0);
    char *path = crash_report_of(dir, pid);
    text[0] = 0;
    if (path) {
        int fd = open(path, O_RDONLY);
        ssize_t n = read(fd, text, sizeof text - 1);
        text[n > 0 ? n : 0] = 0;
        close(fd);
    }
    free(path);
    *child = pid;
    return status;
}

/* How many frames lie in the function, which is no longer than 256 bytes. */
static int frames_in(const void *function)
{
    uintptr_t base = 0, start;
    dl_iterate_phdr(find_base, &base);
    start = (uintptr_t)function - base;
    int n = 0;
    for (const char *at = strstr(text, "frames "); at && (at = strstr(at, "\n  0x")); at++) {
        uintptr_t a = strtoull(at + 3, NULL, 16);
        n += a >= start && a < start + 256;
    }
    return n;
}

static bool died_of(int status, int sig)
{
    return WIFSIGNALED(status) && WTERMSIG(status) == sig && !WCOREDUMP(status);
}

static void a_wild_pointer(void)
{
    pid_t pid;
    char expected[64];
    CHECK(died_of(report_of(die_of_memory, &pid), SIGSEGV));
    snprintf(expected, sizeof expected, "\npid: %d\n", (int)pid);
    CHECK(strstr(text, "process: pipeline\n") && strstr(text, expected));
    CHECK(strstr(text, "signal: 11 SIGSEGV") && strstr(text, "address 0x0\n"));
    CHECK(strstr(text, "\nepoch: 4711\n") && strstr(text, "end of report\n"));
    CHECK(!strstr(text, "message:"));
    CHECK(strstr(text, "\ntime: 2") && strstr(text, "\nat: program+0x"));
    CHECK(frames_in((const void *)level_three) >= 1 && frames_in((const void *)level_two) >= 1 &&
          frames_in((const void *)level_one) >= 1);
}

static void a_panic(void)
{
    pid_t pid;
    CHECK(died_of(report_of(die_of_panic, &pid), SIGABRT));
    CHECK(strstr(text, "message: penstock: panic at ") && strstr(text, ": the number is 42\n"));
    CHECK(strstr(text, "end of report\n"));
    CHECK(frames_in((const void *)level_panic) >= 1); /* though abort() leads nowhere */
}

/* In a function of the C library, which has no unwind tables. */
static void asleep(void)
{
    pid_t pid;
    CHECK(died_of(report_of(die_asleep, &pid), SIGABRT));
    CHECK(strstr(text, "end of report\n") && frames_in((const void *)level_asleep) >= 1);
}

static void an_overflown_stack(void)
{
    pid_t pid;
    CHECK(died_of(report_of(die_of_overflow, &pid), SIGSEGV));
    CHECK(strstr(text, "\nthread: ") && strstr(text, " worker 7\n"));
    CHECK(frames_in((const void *)overflow) == CRASH_FRAMES_MAX || strstr(text, "frames ") != NULL);
    CHECK(strstr(text, "end of report\n") && frames_in((const void *)overflow) > 10);
    CHECK(died_of(report_of(die_of_main_overflow, &pid), SIGSEGV));
    CHECK(strstr(text, "end of report\n") && frames_in((const void *)overflow) > 10);
}

static void from_outside(void)
{
    pid_t pid;
    char expected[64];
    CHECK(died_of(report_of(die_of_others, &pid), SIGABRT));
    snprintf(expected, sizeof expected, "sent by process %d\n", (int)pid);
    CHECK(strstr(text, expected) && strstr(text, "end of report\n"));
}

static unsigned reports(void)
{
    unsigned n = 0;
    DIR *d = opendir(dir);
    for (struct dirent *e; d && (e = readdir(d));)
        n += e->d_name[0] != '.';
    if (d)
        closedir(d);
    return n;
}

static void old_reports_go(void)
{
    pid_t pid;
    char path[128];
    for (int i = 0; i < 40; i++) {
        snprintf(path, sizeof path, "%s/serve-%d-%d.txt", dir, 1000 + i, i + 1);
        close(open(path, O_CREAT | O_WRONLY, 0600));
    }
    snprintf(path, sizeof path, "%s/notes.txt", dir); /* not ours */
    close(open(path, O_CREAT | O_WRONLY, 0600));
    CHECK(died_of(report_of(die_of_panic, &pid), SIGABRT));
    CHECK(reports() == CRASH_REPORTS_MAX + 1 && access(path, F_OK) == 0);
    CHECK(crash_report_of(dir, 1) == NULL); /* the oldest */
    CHECK(crash_report_of(dir, pid) != NULL);
}

static void without_a_place(void)
{
    errno = 0;
    CHECK(!crash_install("pipeline", "/proc/nowhere") && errno != 0);
}

int main(void)
{
    CHECK(mkdtemp(dir) != NULL);
    RUN(a_wild_pointer);
    RUN(a_panic);
    RUN(asleep);
    RUN(an_overflown_stack);
    RUN(from_outside);
    RUN(old_reports_go);
    RUN(without_a_place);
    remove_tree(dir);
    TEST_END();
}

#else

/* The sanitizer's own reports stay. */
static void nothing_is_installed(void)
{
    struct sigaction before, after;
    sigaction(SIGSEGV, NULL, &before);
    CHECK(crash_install("pipeline", "/tmp"));
    sigaction(SIGSEGV, NULL, &after);
    CHECK(before.sa_sigaction == after.sa_sigaction);
}

int main(void)
{
    RUN(nothing_is_installed);
    TEST_END();
}

#endif
