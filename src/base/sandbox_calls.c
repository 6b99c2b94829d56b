/* The system calls of the processes, as a seccomp filter: a list of what is allowed, in the order of use. What reads no
 * argument is decided by the kernel's own cache of the filter's answers. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "base/sandbox.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#endif

#define FILTER_MAX       512
#define PR_SET_VMA_CALLS 0x53564d41 /* names of mappings, set by allocators */

enum argument_test { ANY, IS, HAS, HAS_NOT, IS_SELF };
struct call {
    int number;
    enum argument_test test;
    unsigned argument;
    uint32_t value; /* the lower half of an argument: flags and small numbers */
};
#define CALL(name)            \
    {                         \
        SYS_##name, ANY, 0, 0 \
    }
#define CALL_IF(name, test, ...)      \
    {                                 \
        SYS_##name, test, __VA_ARGS__ \
    }

/* What every thread of the program and of the C library needs. */
static const struct call common[] = {
    CALL(futex),
    CALL(read),
    CALL(write),
    CALL(readv),
    CALL(writev),
    CALL(pread64),
    CALL(epoll_pwait),
    CALL(epoll_ctl),
    CALL(sendto),
    CALL(recvfrom),
    CALL(sendmsg),
    CALL(recvmsg),
    CALL(close),
    CALL(clock_gettime),
    CALL(clock_nanosleep),
    CALL(nanosleep),
    CALL(madvise),
    CALL(munmap),
    CALL_IF(mmap, HAS_NOT, 2, PROT_EXEC),
    CALL_IF(mprotect, HAS_NOT, 2, PROT_EXEC),
    CALL(mremap),
    CALL(brk),
    CALL(accept),
    CALL(accept4),
    CALL(connect),
    CALL(bind),
    CALL(listen),
    CALL(shutdown),
    CALL(getsockname),
    CALL(getpeername),
    CALL(getsockopt),
    CALL(setsockopt),
    CALL_IF(socket, IS, 0, AF_UNIX),
    CALL(epoll_create1),
    CALL(eventfd2),
    CALL(pipe2), /* to and from a command that PID 1 of a box runs for the console */
    CALL(ppoll),
    CALL(pselect6),
    CALL(openat),
    CALL(fstat),
    CALL(newfstatat),
    CALL(faccessat),
    CALL(readlinkat),
    CALL(lseek),
    CALL(fcntl),
    CALL(getdents64),
    CALL(unlinkat),
    CALL(mkdirat), /* of what may be there already: Landlock judges it */
    CALL(fsync),
    CALL(fallocate), /* a reader table that a power cut left empty */
    CALL(statfs),
    CALL(fstatfs),
    CALL(uname),
    CALL(getcwd),
    CALL(sysinfo),
    CALL(getrusage),
    CALL_IF(prlimit64, IS, 0, 0), /* the process itself */
    CALL(getrandom),
    CALL(getpid),
    CALL(getppid),
    CALL(gettid),
    CALL(getuid),
    CALL(geteuid),
    CALL(getgid),
    CALL(getegid),
    CALL(gettimeofday),
    CALL(clock_getres),
    CALL(sched_yield),
    CALL(sched_getaffinity),
    CALL(getcpu),        /* mimalloc asks for the memory node, on machines with several */
    CALL(set_mempolicy), /* its own pages: numa.h */
    CALL(mbind),
    CALL_IF(sched_setaffinity, IS, 0, 0),
    CALL_IF(clone, HAS, 0, CLONE_THREAD),
    CALL(set_robust_list),
    CALL(get_robust_list),
    CALL(set_tid_address),
    CALL(membarrier),
    CALL(exit),
    CALL(exit_group),
    CALL(restart_syscall),
    CALL(rt_sigaction),
    CALL(rt_sigprocmask),
    CALL(rt_sigreturn),
    CALL(rt_sigsuspend),
    CALL(sigaltstack),
    CALL(tkill), /* threads of the process: for others, Landlock's scope and the permissions */
    CALL_IF(tgkill, IS_SELF, 0, 0),
    CALL_IF(process_vm_readv, IS_SELF, 0, 0), /* of a crash report: its own stack */
    CALL_IF(prctl, IS, 0, PR_SET_NAME),
    CALL_IF(prctl, IS, 0, PR_GET_NAME),
    CALL_IF(prctl, IS, 0, PR_SET_VMA_CALLS),
    CALL_IF(ioctl, IS, 1, TIOCGWINSZ), /* stdio asks whether it writes to a terminal */
    CALL_IF(ioctl, IS, 1, FIONREAD),
#if defined(__x86_64__) /* calls that newer architectures know only under their newer names */
    CALL(open),
    CALL(stat),
    CALL(lstat),
    CALL(access),
    CALL(readlink),
    CALL(unlink),
    CALL(mkdir),
    CALL(poll),
    CALL(select),
    CALL(epoll_wait),
    CALL(pause),
    CALL(time),
    CALL(arch_prctl),
#endif
};

/* The store's writer, and the sources' connections. */
static const struct call pipeline[] = {
    CALL(pwrite64),
    CALL(pwritev),
    CALL(preadv),
    CALL(fdatasync),
    CALL(ftruncate),
    CALL(msync),
    CALL(sync_file_range),
    CALL(fadvise64),
    CALL(flock),
    CALL(renameat),
    CALL(renameat2),
    CALL(kill), /* a reader that is stuck while the store has to be put back */
    CALL_IF(socket, IS, 0, AF_INET),
    CALL_IF(socket, IS, 0, AF_INET6),
    CALL_IF(ioctl, IS, 1, SIOCGIFINDEX), /* fe80::1%eth0, of a source or of a name server */
#if defined(__x86_64__)
    CALL(rename),
    CALL(rmdir),
#endif
};

struct filter {
    struct sock_filter code[FILTER_MAX];
    unsigned short len;
};

static void emit(struct filter *f, uint16_t code, uint32_t k, uint8_t if_true, uint8_t if_false)
{
    ASSERT(f->len < FILTER_MAX);
    f->code[f->len++] = (struct sock_filter){code, if_true, if_false, k};
}

static void load(struct filter *f, size_t offset)
{
    emit(f, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0);
}

static void answer(struct filter *f, uint32_t what)
{
    emit(f, BPF_RET | BPF_K, what, 0, 0);
}

/* The number is in the accumulator before and after. Both architectures are little-endian: the lower half comes first. */
static void allow(struct filter *f, const struct call *c)
{
    if (c->test == ANY) {
        emit(f, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)c->number, 0, 1);
        answer(f, SECCOMP_RET_ALLOW);
        return;
    }
    bool by_bits = c->test == HAS || c->test == HAS_NOT;
    uint32_t value = c->test == IS_SELF ? (uint32_t)getpid() : c->value;
    emit(f, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)c->number, 0, 4);
    load(f, offsetof(struct seccomp_data, args) + 8 * c->argument);
    emit(f, by_bits ? BPF_JMP | BPF_JSET | BPF_K : BPF_JMP | BPF_JEQ | BPF_K, value, c->test == HAS_NOT,
         c->test != HAS_NOT);
    answer(f, SECCOMP_RET_ALLOW);
    load(f, offsetof(struct seccomp_data, nr));
}

static void build(struct filter *f, enum sandbox_calls calls)
{
    load(f, offsetof(struct seccomp_data, arch));
    emit(f, BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0);
    answer(f, SECCOMP_RET_KILL_PROCESS); /* as 32-bit code, whose numbers mean other calls */
    load(f, offsetof(struct seccomp_data, nr));
    for (size_t i = 0; i < ARRAY_COUNT(common); i++)
        allow(f, &common[i]);
    for (size_t i = 0; calls == SANDBOX_CALLS_PIPELINE && i < ARRAY_COUNT(pipeline); i++)
        allow(f, &pipeline[i]);
    answer(f, SECCOMP_RET_TRAP);
}

struct err *sandbox_calls_restrict(enum sandbox_calls calls, bool *done)
{
    static struct filter f;
    f.len = 0;
    build(&f, calls);
    struct sock_fprog program = {f.len, f.code};
    *done = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0;
    if (*done || errno == ENOSYS || errno == EINVAL || errno == EPERM)
        return NULL; /* EPERM is never the kernel's own answer: a container's filter, or a unit's SystemCallFilter */
    return err_errno(ERR_IO, "cannot restrict the process's system calls");
}
