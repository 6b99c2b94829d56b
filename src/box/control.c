/* The asking side of control.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "box/control.h"

#include "base/buf.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define MAGIC "PBOX0001"

static struct err *no_answer(const char *what)
{
    return err_hint(err_errno(ERR_STATE, "PID 1 of the box does not answer: %s", what),
                    "these commands are for a Penstock box; on other machines call penstock itself");
}

static struct err *send_request(int fd, const struct buf *b, const int fds[3])
{
    struct iovec iov = {b->p, b->len};
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(3 * sizeof(int))];
    } control = {0};
    struct msghdr m = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(3 * sizeof(int));
    memcpy(CMSG_DATA(c), fds, 3 * sizeof(int));
    ssize_t n;
    do
        n = sendmsg(fd, &m, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n == (ssize_t)b->len ? NULL : no_answer("sending");
}

static struct err *receive_status(int fd, int *status)
{
    uint8_t answer[4];
    ssize_t n;
    do
        n = recv(fd, answer, sizeof answer, 0);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return no_answer("waiting");
    if (n != sizeof answer)
        return err_new(ERR_STATE, "PID 1 of the box has ended the connection before the command's end");
    *status = (int)((uint32_t)answer[0] | (uint32_t)answer[1] << 8 | (uint32_t)answer[2] << 16 |
                    (uint32_t)answer[3] << 24);
    return NULL;
}

static struct err *ask(int fd, const char *path, const struct buf *b, const int fds[3], int *status)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof to.sun_path)
        return err_new(ERR_STATE, "the path of a socket is too long: %s", path);
    memcpy(to.sun_path, path, strlen(path) + 1);
    if (connect(fd, (struct sockaddr *)&to, sizeof to) != 0)
        return no_answer(path);
    TRY(send_request(fd, b, fds));
    return receive_status(fd, status);
}

struct err *control_run(const char *socket_path, const char *token, int count, char *const *words,
                        const int fds[3], int *status)
{
    struct buf b = {0};
    *status = -1;
    buf_put(&b, MAGIC, strlen(MAGIC));
    if (token)
        buf_put(&b, token, strlen(token) + 1);
    for (int i = 0; i < count; i++)
        buf_put(&b, words[i], strlen(words[i]) + 1);
    struct err *e = NULL;
    if (b.len > CONTROL_REQUEST_BYTES_MAX)
        e = err_new(ERR_LIMIT, "a command of more than %d bytes", CONTROL_REQUEST_BYTES_MAX);
    int fd = e ? -1 : socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (!e)
        e = fd < 0 ? no_answer("no socket") : ask(fd, socket_path, &b, fds, status);
    if (fd >= 0)
        close(fd);
    explicit_bzero(b.p, b.len);
    buf_fini(&b);
    return e;
}
