/* The control sockets: who may ask, what comes back, what is cancelled, and requests that are none. The program that answers is this test
 * itself, started again with the words that PID 1 gives. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "test.h"
#include "remove_tree.h"

#include "box/request.h"
#include "init/control.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[] = "/tmp/penstock-control-XXXXXX";
static char path[128], console_path[128];

/* ---- this program as /bin/penstock ---- */

static int answers(int argc, char **argv)
{
    const char *word = argc > 4 ? argv[4] : "";
    if (strcmp(word, "say") == 0) {
        const char *token = getenv(REQUEST_TOKEN);
        printf("%s %s [%s] %d\n", argv[3], argc > 5 ? argv[5] : "", token ? token : "(none)",
               (int)getpgrp() == (int)getpid());
        return 3;
    }
    if (strcmp(word, "refuse") == 0)
        return REQUEST_REFUSED;
    if (strcmp(word, "copy") == 0) {
        char bytes[64];
        ssize_t n = read(0, bytes, sizeof bytes);
        return n > 0 && write(1, bytes, (size_t)n) == n ? 0 : 1;
    }
    if (strcmp(word, "die") == 0)
        raise(SIGKILL);
    if (strcmp(word, "sleep") == 0) { /* until it is told to end, which it notes */
        FILE *f = fopen(argv[5], "w");
        fprintf(f, "%d\n", (int)getpid());
        fclose(f);
        while (pause() != 0)
            continue;
    }
    return 1;
}

/* ---- PID 1, in a process of its own ---- */

static bool never(void *arg)
{
    (void)arg;
    return false;
}

static pid_t serve(void)
{
    pid_t pid = fork();
    if (pid)
        return pid;
    static struct loop l;
    static struct log_hub hub;
    static uint32_t running;
    loop_init(&l, NULL, NULL);
    log_hub_init(&hub, &l, -1);
    struct control shell = {
        .loop = &l, .log = &hub, .program = "/proc/self/exe", .peer = BOX_ADMIN_USER, .running = &running};
    struct control console = shell;
    console.peer = BOX_PENSTOCK;
    console.console = true;
    if (!control_open(&shell, path) || !control_open(&console, console_path))
        _exit(1);
    /* Whoever is not its peer may come in here and be refused by what they are. */
    chmod(path, 0666);
    loop_until(&l, never, NULL, 120000);
    _exit(0);
}

/* ---- asking ---- */

static int dial(const char *to)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    snprintf(a.sun_path, sizeof a.sun_path, "%s", to);
    for (int i = 0; i < 500; i++) {
        int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        if (connect(fd, (struct sockaddr *)&a, sizeof a) == 0)
            return fd;
        close(fd);
        usleep(10000);
    }
    return -1;
}

static void send_request(int fd, const void *bytes, size_t len, int fd_count, const int *fds)
{
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(8 * sizeof(int))];
    } room = {0};
    struct iovec v = {(void *)bytes, len};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
    if (fd_count) {
        m.msg_control = &room;
        m.msg_controllen = (socklen_t)CMSG_SPACE((size_t)fd_count * sizeof(int));
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = (socklen_t)CMSG_LEN((size_t)fd_count * sizeof(int));
        memcpy(CMSG_DATA(c), fds, (size_t)fd_count * sizeof(int));
    }
    CHECK(sendmsg(fd, &m, MSG_NOSIGNAL) == (ssize_t)len);
}

static int get_answer(int fd)
{
    uint8_t a[4];
    struct timeval most = {30, 0};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &most, sizeof most);
    if (recv(fd, a, sizeof a, 0) != sizeof a)
        return -99;
    return (int)((uint32_t)a[0] | (uint32_t)a[1] << 8 | (uint32_t)a[2] << 16 | (uint32_t)a[3] << 24);
}

/* words: with NULs between them. What it wrote is put into out. */
static int ask(const char *to, const char *words, size_t len, const char *in, char out[256])
{
    int from[2], back[2], null = open("/dev/null", O_RDWR);
    char message[512];
    CHECK(pipe(from) == 0 && pipe(back) == 0);
    memcpy(message, "PBOX0001", 8);
    memcpy(message + 8, words, len);
    CHECK(write(from[1], in, strlen(in)) == (ssize_t)strlen(in));
    int fd = dial(to), fds[3] = {from[0], back[1], back[1]};
    CHECK(fd >= 0);
    send_request(fd, message, 8 + len, 3, fds);
    close(back[1]);
    close(from[0]);
    close(from[1]);
    int status = get_answer(fd);
    size_t n = 0;
    for (ssize_t r; n < 255 && (r = read(back[0], out + n, 255 - n)) > 0;)
        n += (size_t)r;
    out[n] = 0;
    close(back[0]);
    close(fd);
    close(null);
    return status;
}

static void commands_run(void)
{
    char out[256];
    CHECK(ask(path, "say\0hello", 10, "", out) == 3);
    CHECK_STR(out, "shell hello [] 1\n");
    CHECK(ask(path, "copy", 5, "from the caller", out) == 0);
    CHECK_STR(out, "from the caller");
    CHECK(ask(path, "refuse", 7, "", out) == -1);
    CHECK(ask(path, "die", 4, "", out) == 128 + SIGKILL);
    CHECK(ask(console_path, "token\0say\0x", 12, "", out) == 3);
    CHECK_STR(out, "console x [token] 1\n");
    CHECK(ask(console_path, "\0say\0x", 7, "", out) == 3);
    CHECK_STR(out, "console x [] 1\n");
}

static void bad_requests_are_refused(void)
{
    static const struct {
        const char *bytes;
        size_t len;
        int fds;
    } bad[] = {{"PBOX0001say\0", 12, 2},
               {"PBOX0001say\0", 12, 0},
               {"PBOX0001say\0", 12, 4},
               {"PBOX0001say", 11, 3},
               {"PBOX0002say\0", 12, 3},
               {"PBOX0001", 8, 3},
               {"P", 1, 3}};
    int null = open("/dev/null", O_RDWR), fds[4] = {null, null, null, null};
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        int fd = dial(path);
        send_request(fd, bad[i].bytes, bad[i].len, bad[i].fds, fds);
        CHECK(get_answer(fd) == -1);
        close(fd);
    }
    char *large = xcalloc(1, CONTROL_REQUEST_BYTES_MAX + 1);
    memcpy(large, "PBOX0001say", 11);
    int fd = dial(path);
    send_request(fd, large, CONTROL_REQUEST_BYTES_MAX + 1, 3, fds);
    CHECK(get_answer(fd) == -1);
    close(fd);
    free(large);
    close(null);
}

static void other_users_are_refused(void)
{
    if (geteuid() != 0)
        return; /* only root can be somebody else */
    static const struct {
        uid_t uid;
        int want;
    } users[] = {{BOX_ADMIN_USER, 3}, {BOX_PENSTOCK, -1}, {65534, -1}};
    chmod(dir, 0755);
    for (size_t i = 0; i < ARRAY_COUNT(users); i++) {
        fflush(stdout);
        pid_t pid = fork();
        if (pid == 0) {
            char out[256];
            _exit(setuid(users[i].uid) == 0 ? ask(path, "say", 4, "", out) + 10 : 99);
        }
        int status;
        CHECK(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == users[i].want + 10);
    }
}

static pid_t pid_in(const char *file)
{
    char text[32] = "";
    for (int i = 0; i < 1000; i++) {
        int fd = open(file, O_RDONLY);
        if (fd >= 0) {
            ssize_t n = read(fd, text, sizeof text - 1);
            close(fd);
            if (n > 1)
                return atoi(text);
        }
        usleep(10000);
    }
    return -1;
}

static int start_sleeper(int number, char file[256])
{
    char message[400];
    int null = open("/dev/null", O_RDWR), fds[3] = {null, null, null};
    snprintf(file, 256, "%s/sleep%d", dir, number);
    unlink(file);
    int n = snprintf(message, sizeof message, "PBOX0001sleep%c%s", 0, file);
    int fd = dial(path);
    send_request(fd, message, (size_t)n + 1, 3, fds);
    close(null);
    return fd;
}

static bool ends_soon(pid_t pid)
{
    for (int i = 0; i < 1000; i++) {
        if (kill(pid, 0) != 0 && errno == ESRCH)
            return true;
        usleep(10000);
    }
    return false;
}

static void a_caller_that_goes_ends_it(void)
{
    char file[256];
    int fd = start_sleeper(0, file);
    pid_t pid = pid_in(file);
    CHECK(pid > 1 && kill(pid, 0) == 0);
    close(fd);
    CHECK(ends_soon(pid));
}

static void so_many_at_a_time(void)
{
    int fds[CONTROL_RUNNING_MAX];
    char files[CONTROL_RUNNING_MAX][256], out[256];
    pid_t pids[CONTROL_RUNNING_MAX];
    for (int i = 0; i < CONTROL_RUNNING_MAX; i++)
        fds[i] = start_sleeper(i, files[i]);
    for (int i = 0; i < CONTROL_RUNNING_MAX; i++)
        CHECK((pids[i] = pid_in(files[i])) > 1);
    CHECK(ask(path, "say", 4, "", out) == -1);
    CHECK(strncmp(out, "penstock: 16 commands are running already\n", 42) == 0);
    close(fds[0]);
    CHECK(ends_soon(pids[0]));
    int status = -1;
    for (int i = 0; i < 200 && status != 3; i++) { /* the worker is reaped a moment later */
        status = ask(path, "say", 4, "", out);
        usleep(10000);
    }
    CHECK(status == 3);
    for (int i = 1; i < CONTROL_RUNNING_MAX; i++)
        close(fds[i]);
    for (int i = 1; i < CONTROL_RUNNING_MAX; i++)
        CHECK(ends_soon(pids[i]));
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "box") == 0)
        return answers(argc, argv);
    if (!mkdtemp(dir))
        return 1;
    snprintf(path, sizeof path, "%s/control", dir);
    snprintf(console_path, sizeof console_path, "%s/console", dir);
    pid_t server = serve();
    RUN(commands_run);
    RUN(bad_requests_are_refused);
    RUN(other_users_are_refused);
    RUN(a_caller_that_goes_ends_it);
    RUN(so_many_at_a_time);
    kill(server, SIGKILL);
    waitpid(server, NULL, 0);
    remove_tree(dir);
    TEST_END();
}
