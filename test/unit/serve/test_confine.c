/* The serve process's sandbox from the inside: each child enters it as the process does, and tries one thing. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "base/crash.h"
#include "base/sandbox.h"
#include "remove_tree.h"
#include "serve/confine.h"
#include "test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static char data[] = "/tmp/penstock-confine-XXXXXX";
static char path_buf[256];
static int tcp, listener; /* made before the sandbox is entered */
static struct sockaddr_in address;
static unsigned parts; /* that this kernel has */

static const char *in_data(const char *name)
{
    snprintf(path_buf, sizeof path_buf, "%s/%s", data, name);
    return path_buf;
}

static void file_make(const char *name)
{
    int fd = open(in_data(name), O_RDWR | O_CREAT, 0600);
    CHECK(fd >= 0 && write(fd, "0123456789", 10) == 10);
    close(fd);
}

/* What a child's attempt came to: 0, or errno. */
static int opened(const char *path, int flags)
{
    int fd = open(path, flags, 0600);
    return fd < 0 ? errno : 0;
}
static int result(long rc)
{
    return rc < 0 ? errno : 0;
}

enum outcome { WORKS, DENIED, TRAPPED };
struct attempt {
    const char *name;
    int (*run)(void);
    enum outcome outcome;
    unsigned part; /* that is responsible: without it nothing is promised */
};

static int read_data(void)
{
    return opened(in_data("shard-000/data.mdb"), O_RDONLY);
}
static int write_table(void)
{
    return opened(in_data("readers/shard-000.mdb"), O_RDWR | O_CREAT);
}
static int read_catalog(void)
{
    return opened(in_data("catalog.json"), O_RDONLY);
}
static int make_report(void)
{
    return opened(in_data("crash/serve-1-2.txt"), O_WRONLY | O_CREAT | O_EXCL);
}
static int read_self(void)
{
    return opened("/proc/self/stat", O_RDONLY);
}
static int write_data(void)
{
    return opened(in_data("shard-000/data.mdb"), O_RDWR);
}
static int empty_data(void)
{
    return opened(in_data("shard-000/data.mdb"), O_WRONLY | O_TRUNC);
}
static int write_catalog(void)
{
    return opened(in_data("catalog.json"), O_WRONLY);
}
static int make_file(void)
{
    return opened(in_data("made"), O_WRONLY | O_CREAT);
}
static int make_table(void)
{
    return opened(in_data("readers/shard-001.mdb"), O_RDWR | O_CREAT);
}
static int remove_table(void)
{
    return result(unlink(in_data("readers/shard-000.mdb")));
}
static int remove_other_socket(void)
{
    return result(unlink(in_data("run/ingest.sock")));
}
static int read_outside(void)
{
    return opened("/proc/version", O_RDONLY);
}
static int read_root(void)
{
    return opened("/", O_RDONLY | O_DIRECTORY);
}
static int read_parent(void)
{
    snprintf(path_buf, sizeof path_buf, "/proc/%d/stat", (int)getppid());
    return opened(path_buf, O_RDONLY);
}
static int make_socket(void)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    snprintf(a.sun_path, sizeof a.sun_path, "%s/run/serve/console.sock", data);
    return result(fd < 0 ? fd : bind(fd, (struct sockaddr *)&a, sizeof a));
}
static void *nothing(void *arg)
{
    return arg;
}
static int start_thread(void)
{
    pthread_t t;
    return pthread_create(&t, NULL, nothing, NULL) || pthread_join(t, NULL);
}
static int find_node(void)
{
    unsigned cpu, node;
    return result(syscall(SYS_getcpu, &cpu, &node, NULL));
}
static int accept_none(void)
{
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    return fd < 0 && errno == EAGAIN ? 0 : 1;
}
static int connect_out(void)
{
    return result(connect(tcp, (struct sockaddr *)&address, sizeof address));
}
static int bind_port(void)
{
    struct sockaddr_in any = {.sin_family = AF_INET};
    return result(bind(tcp, (struct sockaddr *)&any, sizeof any));
}
static int signal_parent(void)
{
    return result(syscall(SYS_tkill, getppid(), 0));
}
static int execute(void)
{
    char *const none[] = {NULL};
    return result(execve("/bin/true", none, none));
}
static int make_process(void)
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    return result(pid);
}
static int trace(void)
{
    return result(ptrace(PTRACE_SEIZE, getppid(), NULL, NULL));
}
static int read_memory(void)
{
    char byte;
    struct iovec here = {&byte, 1}, there = {&tcp, 1};
    return result(process_vm_readv(getppid(), &here, 1, &there, 1, 0));
}
static int kill_parent(void)
{
    return result(kill(getppid(), 0));
}
static int internet_socket(void)
{
    return result(socket(AF_INET, SOCK_STREAM, 0));
}
static int packet_socket(void)
{
    return result(socket(AF_PACKET, SOCK_RAW, 0));
}
static int map_code(void)
{
    return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED;
}
static int make_code(void)
{
    void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return result(mprotect(p, 4096, PROT_READ | PROT_EXEC));
}
static int become_root(void)
{
    return result(setuid(0));
}
static int rename_data(void)
{
    return result(renameat(AT_FDCWD, in_data("catalog.json"), AT_FDCWD, in_data("x")));
}
static int rings(void)
{
    return result(syscall(425 /* io_uring_setup */, 1, NULL));
}
static int namespaces(void)
{
    return result(syscall(SYS_unshare, 0));
}

static const struct attempt attempts[] = {
    {"read the store", read_data, WORKS, 0},
    {"write the reader table", write_table, WORKS, 0},
    {"read the catalog", read_catalog, WORKS, 0},
    {"leave a crash report", make_report, WORKS, 0},
    {"look at itself", read_self, WORKS, 0},
    {"make the console's socket", make_socket, WORKS, 0},
    {"start a thread", start_thread, WORKS, 0},
    {"find the memory node, as malloc does on machines with several", find_node, WORKS, 0},
    {"accept a connection", accept_none, WORKS, 0},
    {"write the store", write_data, DENIED, SANDBOX_FILES},
    {"empty the store", empty_data, DENIED, SANDBOX_FILES},
    {"write the catalog", write_catalog, DENIED, SANDBOX_FILES},
    {"make a file", make_file, DENIED, SANDBOX_FILES},
    {"write another reader table", make_table, DENIED, SANDBOX_FILES},
    {"remove the reader table", remove_table, DENIED, SANDBOX_FILES},
    {"remove the pipeline's socket", remove_other_socket, DENIED, SANDBOX_FILES},
    {"read a file outside", read_outside, DENIED, SANDBOX_FILES},
    {"list a directory outside", read_root, DENIED, SANDBOX_FILES},
    {"look at another process", read_parent, DENIED, SANDBOX_FILES},
    {"connect to a port", connect_out, DENIED, SANDBOX_NETWORK},
    {"bind a port", bind_port, DENIED, SANDBOX_NETWORK},
    {"signal another process", signal_parent, DENIED, SANDBOX_SCOPE},
    {"execute a program", execute, TRAPPED, SANDBOX_CALLS},
    {"make a process", make_process, TRAPPED, SANDBOX_CALLS},
    {"trace another process", trace, TRAPPED, SANDBOX_CALLS},
    {"read another process's memory", read_memory, TRAPPED, SANDBOX_CALLS},
    {"kill another process", kill_parent, TRAPPED, SANDBOX_CALLS},
    {"make an internet socket", internet_socket, TRAPPED, SANDBOX_CALLS},
    {"make a packet socket", packet_socket, TRAPPED, SANDBOX_CALLS},
    {"map memory as code", map_code, TRAPPED, SANDBOX_CALLS},
    {"make memory code", make_code, TRAPPED, SANDBOX_CALLS},
    {"become root", become_root, TRAPPED, SANDBOX_CALLS},
    {"rename a file", rename_data, TRAPPED, SANDBOX_CALLS},
    {"make io_uring rings", rings, TRAPPED, SANDBOX_CALLS},
    {"leave namespaces", namespaces, TRAPPED, SANDBOX_CALLS},
};

static unsigned enter(void)
{
    char console[256];
    snprintf(console, sizeof console, "%s/run/serve", data);
    unsigned got = 0;
    struct err *e = confine_enter(data, console, &got);
    if (e) {
        err_print(stdout, e);
        fflush(stdout);
        _exit(99);
    }
    return got;
}

/* Status of a child that does this inside. log: where its standard error goes; NULL: as it is. */
static int child_logging(const char *log, int (*run)(void))
{
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        if (log && dup2(open(log, O_WRONLY | O_APPEND), STDERR_FILENO) < 0)
            _exit(98);
        enter();
        _exit(run());
    }
    int status;
    CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
    return status;
}

static int child(int (*run)(void))
{
    return child_logging(NULL, run);
}

static void test_parts(void)
{
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        _exit((int)enter());
    }
    int status;
    waitpid(pid, &status, 0);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) & SANDBOX_ENTERED);
    parts = (unsigned)WEXITSTATUS(status);
    char missing[96];
    printf("# this kernel and build lack: %s\n", sandbox_missing(parts, missing, sizeof missing));
}

static void test_attempts(void)
{
    for (size_t i = 0; i < ARRAY_COUNT(attempts); i++) {
        const struct attempt *a = &attempts[i];
        if (a->part && !(parts & a->part))
            continue; /* and test_parts has seen that it is said */
        int status = child(a->run);
        bool right = a->outcome == TRAPPED ? WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS
                     : a->outcome == WORKS ? WIFEXITED(status) && WEXITSTATUS(status) == 0
                                           : WIFEXITED(status) && (WEXITSTATUS(status) == EACCES ||
                                                                   WEXITSTATUS(status) == EPERM);
        if (!right)
            printf("# %s: status 0x%x\n", a->name, (unsigned)status);
        CHECK(right);
    }
}

/* Each of them works for this process itself: the refusals above are the sandbox's. */
static void test_free(void)
{
    CHECK(read_outside() == 0 && read_root() == 0 && write_data() == 0 && internet_socket() == 0);
    CHECK(map_code() == 0 && make_process() == 0 && kill_parent() == 0);
}

static int read_status(void)
{
    char text[4096];
    int fd = open("/proc/self/status", O_RDONLY);
    ssize_t n = read(fd, text, sizeof text - 1);
    text[n > 0 ? n : 0] = 0;
    return !(strstr(text, "\nCapPrm:\t0000000000000000") && strstr(text, "\nCapEff:\t0000000000000000") &&
             strstr(text, "\nCapAmb:\t0000000000000000") && strstr(text, "\nNoNewPrivs:\t1"));
}

static int write_much(void)
{
    static char block[65536];
    signal(SIGXFSZ, SIG_IGN);
    int fd = open(in_data("crash/serve-3-4.txt"), O_WRONLY | O_CREAT | O_EXCL, 0600);
    for (size_t sum = 0; sum < 2 * CONFINE_FILE_BYTES; sum += sizeof block)
        if (write(fd, block, sizeof block) < 0)
            return errno != EFBIG || sum != CONFINE_FILE_BYTES;
    return 1;
}

static void test_privileges(void)
{
    if (!(parts & SANDBOX_PRIVILEGES))
        return;
    CHECK(child(read_status) == 0);
    CHECK(child_logging("/dev/null", write_much) == 0);
}

static int write_log(void)
{
    return write(STDERR_FILENO, "line\n", 5) != 5;
}

/* A log that is a file has no bound: the line past it would end the process. */
static void test_long_log(void)
{
    char log[256];
    file_make("log");
    snprintf(log, sizeof log, "%s", in_data("log"));
    CHECK(truncate(log, 2 * CONFINE_FILE_BYTES) == 0);
    CHECK(child_logging(log, write_log) == 0);
}

/* The report of a call that is not allowed names it. */
static void test_report(void)
{
    if (!(parts & SANDBOX_CALLS))
        return;
    char crash_dir[256], wanted[64], text[8192] = {0};
    snprintf(crash_dir, sizeof crash_dir, "%s/crash", data);
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        if (!crash_install("serve", crash_dir))
            _exit(9);
        enter();
        _exit(trace());
    }
    int status;
    waitpid(pid, &status, 0);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
    char *path = crash_report_of(crash_dir, pid);
    CHECK(path != NULL);
    FILE *f = path ? fopen(path, "r") : NULL;
    CHECK(f && fread(text, 1, sizeof text - 1, f) > 0);
    if (f)
        fclose(f);
    snprintf(wanted, sizeof wanted, "SIGSYS (a system call that is not allowed), code 1, call %d\n",
             SYS_ptrace);
    CHECK(strstr(text, wanted) && strstr(text, "end of report"));
    free(path);
}

static void prepare(void)
{
    static const char *const dirs[] = {"shard-000", "readers", "crash", "run", "run/serve"};
    CHECK(mkdtemp(data) != NULL);
    for (size_t i = 0; i < ARRAY_COUNT(dirs); i++)
        CHECK(mkdir(in_data(dirs[i]), 0700) == 0);
    file_make("shard-000/data.mdb");
    file_make("readers/shard-000.mdb");
    file_make("catalog.json");
    file_make("run/ingest.sock");
    socklen_t len = sizeof address;
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    tcp = socket(AF_INET, SOCK_STREAM, 0);
    listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    CHECK(bind(listener, (struct sockaddr *)&address, sizeof address) == 0 && listen(listener, 4) == 0);
    CHECK(getsockname(listener, (struct sockaddr *)&address, &len) == 0);
}

int main(void)
{
    prepare();
    RUN(test_parts);
    RUN(test_free);
    RUN(test_attempts);
    RUN(test_privileges);
    RUN(test_long_log);
    RUN(test_report);
    remove_tree(data);
    TEST_END();
}
