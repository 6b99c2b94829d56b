/* See control.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "init/control.h"

#include "base/text.h"
#include "box/request.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- the worker ---- */

struct work {
    int connection;
    int fds[3];
    bool ended, gone; /* the command; the caller */
    pid_t pid;
    int status;
};

static void answer(int connection, int status)
{
    uint8_t a[4];
    for (int i = 0; i < 4; i++)
        a[i] = (uint8_t)((uint32_t)status >> (8 * i));
    if (send(connection, a, sizeof a, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)sizeof a)
        return; /* it has gone */
}

/* Takes the descriptors out of a message; all that came are closed unless they are three. */
static bool take_fds(struct msghdr *m, int fds[3])
{
    int got = 0;
    bool right = !(m->msg_flags & MSG_CTRUNC);
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < n; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
            if (got < 3)
                fds[got++] = fd;
            else {
                close(fd);
                right = false;
            }
        }
    }
    right = right && got == 3;
    for (int i = 0; !right && i < got; i++)
        close(fds[i]);
    return right;
}

static ssize_t receive(int connection, char *message, int fds[3])
{
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(8 * sizeof(int))];
    } control = {0};
    struct iovec v = {message, CONTROL_REQUEST_BYTES_MAX};
    struct msghdr m = {
        .msg_iov = &v, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    struct pollfd p = {.fd = connection, .events = POLLIN};
    if (poll(&p, 1, CONTROL_REQUEST_MS) != 1)
        return -1;
    ssize_t n = recvmsg(connection, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (n < 0 || !take_fds(&m, fds) || n == 0 || (m.msg_flags & MSG_TRUNC))
        return -1;
    return n;
}

static bool peer_right(int connection, uid_t peer)
{
    struct ucred who;
    socklen_t len = sizeof who;
    return getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0 &&
           (who.uid == 0 || who.uid == peer);
}

static void on_caller(void *arg, int fd, short events)
{
    struct work *w = arg;
    char byte;
    (void)events;
    /* Nothing is to come any more but the end. */
    if (recv(fd, &byte, 1, MSG_DONTWAIT) >= 0 || errno != EAGAIN)
        w->gone = true;
}

static void on_end(void *arg, pid_t pid, int status)
{
    struct work *w = arg;
    (void)pid;
    w->ended = true;
    w->status = status;
}

static bool is_over(void *arg)
{
    struct work *w = arg;
    return w->ended || w->gone;
}

static bool has_ended(void *arg)
{
    return ((struct work *)arg)->ended;
}

/* Runs the command until its end or the caller's. */
static int supervise(struct work *w, const struct child *c)
{
    static struct loop l;
    loop_init(&l, NULL, NULL);
    if (!loop_add(&l, w->connection, POLLIN, on_caller, w) || (w->pid = child_start(c)) < 0 ||
        !loop_child(&l, w->pid, on_end, w))
        return -1;
    for (int i = 0; i < 3; i++)
        close(w->fds[i]);
    while (!loop_until(&l, is_over, w, 3600 * 1000))
        continue;
    if (!w->ended) {
        loop_remove(&l, w->connection);
        kill(-w->pid, SIGTERM);
        if (!loop_until(&l, has_ended, w, CONTROL_CANCEL_MS))
            kill(-w->pid, SIGKILL);
        loop_until(&l, has_ended, w, CONTROL_CANCEL_MS);
        return -1;
    }
    kill(-w->pid, SIGKILL); /* what the command left behind in its group */
    if (WIFSIGNALED(w->status))
        return 128 + WTERMSIG(w->status);
    return WEXITSTATUS(w->status) == REQUEST_REFUSED ? -1 : WEXITSTATUS(w->status);
}

static int run_request(struct work *w, const char *program, bool console, const struct request *r)
{
    const char *argv[REQUEST_WORDS_MAX + 6] = {program, "box", "--from", console ? "console" : "shell"};
    char env[sizeof REQUEST_TOKEN + 260];
    for (int i = 0; i < r->count; i++)
        argv[4 + i] = r->words[i];
    snprintf(env, sizeof env, "%s=%s", REQUEST_TOKEN, r->token ? r->token : "");
    struct child c = {.argv = argv, .in = w->fds[0], .out = w->fds[1], .err = w->fds[2], .env = env};
    /* For the audit: the command's name alone, as words may hold secrets. */
    char name[48];
    text_fill(name, sizeof name, "%s", r->words[0]);
    fputs(console ? "console: " : "shell: ", stderr);
    text_print(stderr, name);
    int status = supervise(w, &c);
    fprintf(stderr, ": %d%s\n", status, w->gone ? " (the caller went)" : "");
    return status;
}

int control_serve(int connection, const char *program, uid_t peer, bool console, bool busy)
{
    static char message[CONTROL_REQUEST_BYTES_MAX];
    struct work w = {.connection = connection};
    struct request r;
    /* Taken in first: an answer on a connection with something unread in it would be lost. */
    ssize_t n = receive(connection, message, w.fds);
    if (!peer_right(connection, peer)) {
        fputs("a request of another user was refused\n", stderr);
        answer(connection, -1);
        return 1;
    }
    if (n < 0 || !request_parse(message, (size_t)n, console, &r)) {
        fputs("a malformed request was refused\n", stderr);
        if (n >= 0)
            dprintf(w.fds[2], "penstock: the request is malformed\n");
        answer(connection, -1);
        return 1;
    }
    if (busy) {
        dprintf(w.fds[2], "penstock: %d commands are running already\n  hint: wait for one of them\n",
                CONTROL_RUNNING_MAX);
        answer(connection, -1);
        return 1;
    }
    answer(connection, run_request(&w, program, console, &r));
    explicit_bzero(message, sizeof message);
    return 0;
}

/* ---- PID 1 ---- */

struct accepted { /* what the worker gets; the fork copies it */
    const struct control *c;
    int connection;
    bool busy;
};

static int worker_run(void *arg)
{
    const struct accepted *a = arg;
    /* Nothing of PID 1's: neither the watchdog nor anybody's pipes. */
    int connection = fcntl(a->connection, F_DUPFD, 3);
    if (connection < 0 || (connection != 3 && dup2(connection, 3) != 3))
        return 1;
    child_close_from(4);
    fcntl(3, F_SETFD, FD_CLOEXEC);
    setvbuf(stderr, NULL, _IOLBF, 512);
    return control_serve(3, a->c->program, (uid_t)a->c->peer, a->c->console, a->busy);
}

static void worker_ended(void *arg, pid_t pid, int status)
{
    struct control *c = arg;
    (void)pid;
    (void)status;
    (*c->running)--;
}

static void on_connection(void *arg, int fd, short events)
{
    struct control *c = arg;
    (void)events;
    int connection = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
    if (connection < 0)
        return;
    struct accepted a = {c, connection, *c->running >= CONTROL_RUNNING_MAX};
    struct child worker = {
        .in = -1, .out = -1, .err = log_hub_source(c->log, "control"), .run = worker_run, .arg = &a};
    pid_t pid = *c->running < CONTROL_RUNNING_MAX + CONTROL_WAITING_MAX ? child_start(&worker) : -1;
    close(connection);
    if (pid < 0)
        return;
    if (loop_child(c->loop, pid, worker_ended, c))
        (*c->running)++;
}

bool control_open(struct control *c, const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    ASSERT(strlen(path) < sizeof a.sun_path);
    memcpy(a.sun_path, path, strlen(path) + 1);
    unlink(path);
    c->socket = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    mode_t old = umask(0177);
    bool ok = c->socket >= 0 && bind(c->socket, (struct sockaddr *)&a, sizeof a) == 0;
    umask(old);
    ok = ok && (geteuid() != 0 || chown(path, BOX_ROOT, (gid_t)c->peer) == 0) && chmod(path, 0660) == 0 &&
         listen(c->socket, 64) == 0 && loop_add(c->loop, c->socket, POLLIN, on_connection, c);
    if (!ok)
        log_hub_say(c->log, "%s: %s", path, strerror(errno));
    return ok;
}

void control_close(struct control *c)
{
    loop_remove(c->loop, c->socket);
    if (c->socket >= 0)
        close(c->socket);
    c->socket = -1;
}
