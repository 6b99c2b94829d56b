/* See uevent.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "init/uevent.h"

#include <errno.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

bool uevent_parse(const char *message, size_t len, struct uevent *out)
{
    static const struct {
        const char *key;
        size_t at;
    } keys[] = {
        {"ACTION=", offsetof(struct uevent, action)},       {"DEVPATH=", offsetof(struct uevent, devpath)},
        {"SUBSYSTEM=", offsetof(struct uevent, subsystem)}, {"DEVNAME=", offsetof(struct uevent, devname)},
        {"DEVTYPE=", offsetof(struct uevent, devtype)},     {"MODALIAS=", offsetof(struct uevent, modalias)}};
    *out = (struct uevent){"", "", "", "", "", ""};
    /* A word that the message's end cuts is none. */
    const char *end = memrchr(message, 0, len);
    if (len == 0 || !end || !memchr(message, '@', strlen(message)))
        return false;
    for (const char *p = message + strlen(message) + 1; p < end; p += strlen(p) + 1)
        for (size_t i = 0; i < ARRAY_COUNT(keys); i++)
            if (strncmp(p, keys[i].key, strlen(keys[i].key)) == 0)
                *(const char **)(void *)((char *)out + keys[i].at) = p + strlen(keys[i].key);
    return out->action[0] && out->devpath[0];
}

int uevent_open(void)
{
    struct sockaddr_nl a = {.nl_family = AF_NETLINK, .nl_groups = 1};
    int bytes = 1 << 20;
    int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT);
    if (fd < 0)
        return -1;
    if (bind(fd, (struct sockaddr *)&a, sizeof a) != 0) {
        close(fd);
        return -1;
    }
    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes);
    return fd;
}

bool uevent_next(int fd, char buffer[UEVENT_BYTES_MAX], struct uevent *out)
{
    for (;;) {
        struct sockaddr_nl from = {0};
        struct iovec v = {buffer, UEVENT_BYTES_MAX};
        struct msghdr m = {.msg_name = &from, .msg_namelen = sizeof from, .msg_iov = &v, .msg_iovlen = 1};
        ssize_t n = recvmsg(fd, &m, MSG_DONTWAIT);
        if (n < 0 && (errno == EINTR || errno == ENOBUFS))
            continue;
        if (n <= 0)
            return false;
        /* Processes may send here, too. */
        if (from.nl_pid == 0 && !(m.msg_flags & MSG_TRUNC) && uevent_parse(buffer, (size_t)n, out))
            return true;
    }
}
