/* See console_ask.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "serve/console_ask.h"
#include "base/clock.h"
#include "box/control.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define STEP_BYTES     (64u << 10)
#define CONNECT_WAIT_S 5

struct talk {
    const struct console_ask *ask;
    int control, in, out, err; /* ours; -1: closed */
    struct slice left;         /* of what is to be pushed */
    uint8_t *step;             /* owned: STEP_BYTES */
    int64_t until_us;
    bool input_done;
};

static void shut(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static enum console_end reach(const char *path, int *out)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    struct timeval wait = {CONNECT_WAIT_S, 0};
    if (!path || strlen(path) >= sizeof to.sun_path)
        return CONSOLE_NONE;
    strcpy(to.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return CONSOLE_AWAY;
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
    if (connect(fd, (struct sockaddr *)&to, sizeof to) != 0) {
        enum console_end end = errno == ENOENT || errno == EACCES ? CONSOLE_NONE : CONSOLE_AWAY;
        close(fd);
        return end;
    }
    *out = fd;
    return CONSOLE_ENDED;
}

static bool send_request(int control, const struct console_ask *a, const int fds[3])
{
    struct buf b = {0};
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(3 * sizeof(int))];
    } rights = {0};
    buf_put_str(&b, "PBOX0001");
    buf_put(&b, a->token, strlen(a->token) + 1);
    for (uint32_t i = 0; i < a->word_count; i++)
        buf_put(&b, a->words[i], strlen(a->words[i]) + 1);
    struct iovec part = {b.p, b.len};
    struct msghdr m = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &rights, .msg_controllen = sizeof rights.room};
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(3 * sizeof(int));
    memcpy(CMSG_DATA(c), fds, 3 * sizeof(int));
    bool ok = b.len <= CONTROL_REQUEST_BYTES_MAX && sendmsg(control, &m, MSG_NOSIGNAL) == (ssize_t)b.len;
    buf_fini(&b);
    return ok;
}

/* Three pipes: theirs[0..3) for the command, ours in the talk. */
static bool open_pipes(struct talk *t, int theirs[3])
{
    int *ours[3] = {&t->in, &t->out, &t->err};
    for (int i = 0; i < 3; i++) {
        int ends[2];
        if (pipe2(ends, O_CLOEXEC) != 0)
            return false;
        *ours[i] = ends[i == 0];
        theirs[i] = ends[i != 0];
        if (fcntl(*ours[i], F_SETFL, O_NONBLOCK) != 0)
            return false;
    }
    return true;
}

static enum console_end begin(struct talk *t)
{
    int theirs[3] = {-1, -1, -1};
    enum console_end end = reach(t->ask->socket_path, &t->control);
    if (end == CONSOLE_ENDED && (!open_pipes(t, theirs) || !send_request(t->control, t->ask, theirs)))
        end = CONSOLE_AWAY;
    for (int i = 0; i < 3; i++)
        shut(&theirs[i]);
    return end;
}

/* ---- both directions ---- */

/* Pushes what there is; a command that takes no more input (it has ended, or has seen enough) is no error. */
static void push(struct talk *t)
{
    while (t->left.len && t->in >= 0) {
        ssize_t n = write(t->in, t->left.p, t->left.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return;
        if (n < 0) {
            t->left.len = 0;
            t->input_done = true;
            break;
        }
        t->left.p += n;
        t->left.len -= (size_t)n;
    }
    if (!t->left.len && t->input_done)
        shut(&t->in);
}

static bool refill(struct talk *t)
{
    if (t->left.len || t->input_done)
        return true;
    long n = t->ask->more ? t->ask->more(t->ask->ctx, t->step, STEP_BYTES) : 0;
    if (n < 0)
        return false;
    t->input_done = n == 0;
    t->left = (struct slice){t->step, (size_t)n};
    push(t);
    return true;
}

/* False: nobody listens. */
static bool drain(struct talk *t, int *fd, enum console_stream which)
{
    uint8_t bytes[16 << 10];
    while (*fd >= 0) {
        ssize_t n = read(*fd, bytes, sizeof bytes);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return true;
        if (n <= 0)
            shut(fd);
        else if (!t->ask->take(t->ask->ctx, which, bytes, (size_t)n))
            return false;
    }
    return true;
}

static bool drain_both(struct talk *t)
{
    return drain(t, &t->out, CONSOLE_STDOUT) && drain(t, &t->err, CONSOLE_STDERR);
}

/* True: PID 1 has answered, or went away. */
static bool answered(struct talk *t, enum console_end *end, int *status)
{
    uint8_t answer[8];
    ssize_t n = recv(t->control, answer, sizeof answer, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (n != 4) {
        *end = CONSOLE_AWAY;
        return true;
    }
    uint32_t v = (uint32_t)answer[0] | (uint32_t)answer[1] << 8 | (uint32_t)answer[2] << 16 |
                 (uint32_t)answer[3] << 24;
    *status = (int32_t)v;
    *end = *status < 0 ? CONSOLE_REFUSED : CONSOLE_ENDED;
    return true;
}

static int wait_for(struct talk *t, bool has_input)
{
    struct pollfd fds[4] = {{t->control, POLLIN, 0},
                            {t->out, POLLIN, 0},
                            {t->err, POLLIN, 0},
                            {t->left.len ? t->in : -1, POLLOUT, 0}};
    int64_t left_ms = (t->until_us - steady_us()) / 1000;
    int most = left_ms > CONSOLE_TICK_MS ? CONSOLE_TICK_MS : left_ms < 0 ? 0 : (int)left_ms;
    return poll(fds, 4, has_input ? 0 : most);
}

static enum console_end pump(struct talk *t, int *status)
{
    enum console_end end = CONSOLE_LATE;
    while (steady_us() < t->until_us) {
        push(t);
        bool has_input = !t->left.len && !t->input_done;
        int ready = wait_for(t, has_input);
        bool over = answered(t, &end, status); /* before the last of its output is read: it has written all */
        if (!drain_both(t) ||
            (ready == 0 && !has_input && !t->ask->take(t->ask->ctx, CONSOLE_STDERR, NULL, 0)))
            return CONSOLE_BROKEN;
        if (over)
            return end;
        if (has_input && !refill(t))
            return CONSOLE_BROKEN;
    }
    return end;
}

enum console_end console_ask(const struct console_ask *a, int *status)
{
    struct talk t = {.ask = a,
                     .control = -1,
                     .in = -1,
                     .out = -1,
                     .err = -1,
                     .left = a->input,
                     .input_done = !a->more,
                     .until_us = steady_us() + (int64_t)a->timeout_s * 1000000};
    t.step = xcalloc(1, STEP_BYTES);
    enum console_end end = begin(&t);
    if (end == CONSOLE_ENDED)
        end = pump(&t, status);
    shut(&t.control);
    shut(&t.in);
    shut(&t.out);
    shut(&t.err);
    free(t.step);
    return end;
}
