/*
 * PID 1 of the test machine that scripts/qemu-run boots: loads the listed modules, brings up the network, runs the unit
 * tests, then (if the kernel command line says penstock.serve=1) starts Penstock for the host to test, and powers off.
 *
 * It speaks on the console, one line each: `ok NAME` and `not ok NAME ...`, as every test here does; QEMU-SERVING when
 * Penstock was started; QEMU-DONE at the end. A line without QEMU-DONE after it means that the machine died.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <net/route.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TEST_LIMIT_S  600
#define WORKERS       2           /* tests at a time, one for each processor of the machine */
#define OUTPUT_MAX    (256 << 10) /* of a test; the rest is only counted */
#define SERVE_LIMIT_S 3600        /* the host ends the machine long before */

static void mount_all(void)
{
    mkdir("/proc", 0755);
    mkdir("/sys", 0755);
    mkdir("/data", 0755);
    mkdir("/tmp", 0777);
    mkdir("/run", 0755);
    mount("proc", "/proc", "proc", 0, NULL);
    mount("sysfs", "/sys", "sysfs", 0, NULL);
    mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
    mkdir("/dev/shm", 0777);
    mount("tmpfs", "/dev/shm", "tmpfs", 0, NULL);
    mount("tmpfs", "/tmp", "tmpfs", 0, NULL);
    mount("tmpfs", "/run", "tmpfs", 0, NULL);
    mount("tmpfs", "/data", "tmpfs", 0, "size=60%");
}

static void use_console(void)
{
    int fd = open("/dev/console", O_RDWR | O_NOCTTY);
    if (fd < 0)
        return;
    dup2(fd, 0);
    dup2(fd, 1);
    dup2(fd, 2);
    if (fd > 2)
        close(fd);
}

/* /lib/modules/list names the modules in the order in which they load: the host has worked out the dependencies. */
static void load_modules(void)
{
    FILE *list = fopen("/lib/modules/list", "re");
    char line[256];
    while (list && fgets(line, sizeof line, list)) {
        line[strcspn(line, "\n")] = 0;
        int fd = open(line, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || (syscall(SYS_finit_module, fd, "", 0) && errno != EEXIST))
            printf("not ok module %s: %s\n", line, strerror(errno));
        if (fd >= 0)
            close(fd);
    }
    if (list)
        fclose(list);
}

static void set_address(struct sockaddr *to, const char *address)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = inet_addr(address)};
    memcpy(to, &a, sizeof a);
}

static bool interface_up(const char *name, const char *address)
{
    int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq r = {0};
    strncpy(r.ifr_name, name, sizeof r.ifr_name - 1);
    if (address) {
        set_address(&r.ifr_addr, address);
        ioctl(s, SIOCSIFADDR, &r);
        set_address(&r.ifr_netmask, "255.255.255.0");
        ioctl(s, SIOCSIFNETMASK, &r);
    }
    bool ok = ioctl(s, SIOCGIFFLAGS, &r) == 0;
    r.ifr_flags = (short)(r.ifr_flags | IFF_UP | IFF_RUNNING);
    ok = ok && ioctl(s, SIOCSIFFLAGS, &r) == 0;
    if (ok && address) {
        struct rtentry route = {.rt_flags = RTF_UP | RTF_GATEWAY};
        set_address(&route.rt_gateway, "10.0.2.2"); /* QEMU's user network */
        set_address(&route.rt_dst, "0.0.0.0");
        set_address(&route.rt_genmask, "0.0.0.0");
        ioctl(s, SIOCADDRT, &route);
    }
    close(s);
    return ok;
}

/* Output of a test: kept until its end, then put on the console in one piece; its result lines are counted. */
struct result {
    char line[16]; /* the start of the current line */
    size_t at;
    int ok, bad;
    char *text; /* OUTPUT_MAX, and room for the last line */
    size_t size;
};

static void scan(struct result *r, const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (p[i] == '\n') {
            r->line[r->at] = 0;
            r->ok += strncmp(r->line, "ok ", 3) == 0;
            r->bad += strncmp(r->line, "not ok ", 7) == 0;
            r->at = 0;
        } else if (r->at < sizeof r->line - 1) {
            r->line[r->at++] = p[i];
        }
    }
}

static void keep(struct result *r, const char *p, size_t n)
{
    scan(r, p, n);
    size_t room = OUTPUT_MAX - r->size;
    memcpy(r->text + r->size, p, n < room ? n : room);
    r->size += n < room ? n : room;
}

static pid_t start(char *const argv[], int output)
{
    pid_t pid = fork();
    if (pid == 0) {
        setsid();
        if (output >= 0) {
            dup2(output, 1);
            dup2(output, 2);
        }
        execv(argv[0], argv);
        _exit(127);
    }
    return pid;
}

/* Runs one program to its end; false when it took too long and was killed. */
static bool run(char *const argv[], struct result *r, int *status)
{
    int out[2];
    if (pipe2(out, O_CLOEXEC))
        return false;
    pid_t pid = start(argv, out[1]);
    close(out[1]);
    time_t end = time(NULL) + TEST_LIMIT_S;
    bool in_time = true;
    for (;;) {
        struct pollfd wait = {.fd = out[0], .events = POLLIN};
        int ready = poll(&wait, 1, 1000);
        char buf[4096];
        ssize_t n = ready > 0 ? read(out[0], buf, sizeof buf) : -1;
        if (ready > 0 && n <= 0)
            break;
        if (n > 0)
            keep(r, buf, (size_t)n);
        if (time(NULL) > end) {
            in_time = false;
            kill(-pid, SIGKILL);
            break;
        }
    }
    close(out[0]);
    waitpid(pid, status, 0);
    return in_time;
}

static void run_test(const char *path)
{
    static char text[OUTPUT_MAX + 400];
    struct result r = {.text = text};
    char last[380] = "";
    int status = 0;
    char *const argv[] = {(char *)path, NULL};
    bool in_time = run(argv, &r, &status);
    if (!in_time)
        snprintf(last, sizeof last, "not ok %s: no end within %d s\n", path, TEST_LIMIT_S);
    else if (status && !r.bad)
        snprintf(last, sizeof last, "not ok %s: status %#x\n", path, (unsigned)status);
    else if (!r.ok && !r.bad)
        snprintf(last, sizeof last, "ok %s\n", path);
    if (r.size && text[r.size - 1] != '\n')
        text[r.size++] = '\n';
    memcpy(text + r.size, last, strlen(last));
    r.size += strlen(last);
    for (size_t at = 0;
         at < r.size;) { /* a console's driver keeps other writers out for the length of one write */
        ssize_t n = write(1, text + at, r.size - at);
        if (n <= 0)
            break;
        at += (size_t)n;
    }
}

/* Takes the next test until there is none. */
static void work(atomic_int *next)
{
    struct dirent **names = NULL;
    int n = scandir("/tests", &names, NULL, alphasort);
    for (int i; (i = atomic_fetch_add(next, 1)) < n;) {
        char path[300];
        snprintf(path, sizeof path, "/tests/%s", names[i]->d_name);
        if (names[i]->d_name[0] != '.')
            run_test(path);
    }
}

static void run_tests(void)
{
    atomic_int *next = mmap(NULL, sizeof *next, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t workers[WORKERS];
    for (int i = 0; i < WORKERS; i++) {
        workers[i] = fork();
        if (workers[i] == 0) {
            work(next);
            _exit(0);
        }
    }
    for (int i = 0; i < WORKERS; i++) {
        int status = 0;
        if (workers[i] < 0 || waitpid(workers[i], &status, 0) != workers[i] || status)
            printf("not ok a worker of the tests ended early: status %#x\n", (unsigned)status);
    }
}

static bool asked_to_serve(void)
{
    char line[4096] = "";
    int fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, line, sizeof line - 1);
    if (fd >= 0)
        close(fd);
    return n > 0 && strstr(line, "penstock.serve=1");
}

/* One run of everything: generator, views over views, store, TLS. The total is 0 in every epoch. */
static const char box_config[] =
    "penstock: 1\n"
    "sources: { bank: { generator: { workload: bank, rate: 200, accounts: 50 } } }\n"
    "sql: |\n"
    "  CREATE VIEW balances AS SELECT a.id, a.owner, sum(e.amount) AS balance\n"
    "    FROM bank.accounts a JOIN bank.entries e ON e.account_id = a.id GROUP BY a.id;\n"
    "  CREATE VIEW total AS SELECT sum(balance) AS total, count(*) AS accounts FROM balances;\n"
    "apis: { balances: , total: }\n"
    "access: { anonymous: read }\n"
    "server: { listen: \"0.0.0.0:8443\" }\n";

static bool write_config(void)
{
    mkdir("/data/box", 0700);
    int fd = open("/data/box/penstock.yaml", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool ok = fd >= 0 && write(fd, box_config, sizeof box_config - 1) == (ssize_t)sizeof box_config - 1;
    if (fd >= 0)
        close(fd);
    return ok;
}

static void serve(void)
{
    int status = 0;
    if (!write_config()) {
        printf("not ok the configuration cannot be written\n");
        return;
    }
    char *const serve_args[] = {
        "/bin/penstock", "run", "-c", "/data/box/penstock.yaml", "--data", "/data/store",
        "--shards",      "2",   NULL};
    pid_t pid = start(serve_args, -1);
    printf("QEMU-SERVING\n");
    for (int s = 0; s < SERVE_LIMIT_S; s++) {
        if (waitpid(pid, &status, WNOHANG) == pid) {
            printf("not ok penstock run ended: status %#x\n", (unsigned)status);
            return;
        }
        sleep(1);
    }
}

int main(void)
{
    mount_all();
    use_console();
    setvbuf(stdout, NULL, _IONBF, 0);
    putenv("PATH=/bin");
    putenv("HOME=/data");
    putenv("PENSTOCK_TEST_SCALE=10"); /* emulated: a tenth of the random rounds */
    putenv("STORE_KILLS=8");
    putenv("STORE_CRASH_POINTS=40");
    load_modules();
    interface_up("lo", NULL);
    printf("%s network\n", interface_up("eth0", "10.0.2.15") ? "ok" : "not ok");
    if (chdir("/repo") == 0)
        run_tests();
    if (asked_to_serve())
        serve();
    printf("QEMU-DONE\n");
    sync();
    reboot(RB_POWER_OFF);
    return 1;
}
