/* See netlink.h. */
#include "init/netlink.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define ALIGNED(len) (((len) + 3u) & ~(size_t)3u)

struct err *netlink_open(struct netlink *n, uint32_t groups)
{
    *n = (struct netlink){
        .fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | (groups ? SOCK_NONBLOCK : 0), NETLINK_ROUTE)};
    if (n->fd < 0)
        return err_errno(ERR_IO, "cannot open the kernel's routing socket");
    struct sockaddr_nl self = {.nl_family = AF_NETLINK, .nl_groups = groups};
    struct timeval limit = {.tv_sec = NETLINK_TIMEOUT_S};
    if (bind(n->fd, (struct sockaddr *)&self, sizeof self) != 0 ||
        setsockopt(n->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) != 0) {
        struct err *e = err_errno(ERR_IO, "cannot use the kernel's routing socket");
        netlink_close(n);
        return e;
    }
    n->in = xmalloc(NETLINK_READ_BYTES);
    return NULL;
}

void netlink_close(struct netlink *n)
{
    if (n->fd >= 0)
        close(n->fd);
    n->fd = -1;
    free(n->in);
    n->in = NULL;
    buf_fini(&n->out);
}

/* ---- requests ---- */

static void put_padded(struct netlink *n, const void *p, size_t len)
{
    static const uint8_t zero[4];
    buf_put(&n->out, p, len);
    buf_put(&n->out, zero, ALIGNED(len) - len);
}

void netlink_begin(struct netlink *n, uint16_t type, uint16_t flags, const void *header, size_t len)
{
    struct nlmsghdr h = {.nlmsg_type = type, .nlmsg_flags = flags | NLM_F_REQUEST, .nlmsg_seq = ++n->seq};
    buf_reset(&n->out);
    put_padded(n, &h, sizeof h);
    put_padded(n, header, len);
}

void netlink_put(struct netlink *n, uint16_t type, const void *p, size_t len)
{
    ASSERT(len < 4096);
    struct rtattr a = {.rta_len = (unsigned short)(sizeof a + len), .rta_type = type};
    put_padded(n, &a, sizeof a);
    put_padded(n, p, len);
}

void netlink_put_u32(struct netlink *n, uint16_t type, uint32_t v)
{
    netlink_put(n, type, &v, sizeof v);
}

size_t netlink_nest(struct netlink *n, uint16_t type)
{
    size_t at = n->out.len;
    netlink_put(n, type, NULL, 0);
    return at;
}

void netlink_nest_end(struct netlink *n, size_t at)
{
    unsigned short len = (unsigned short)(n->out.len - at);
    memcpy(n->out.p + at + offsetof(struct rtattr, rta_len), &len, sizeof len);
}

static int send_request(struct netlink *n, uint16_t more_flags)
{
    struct nlmsghdr h;
    memcpy(&h, n->out.p, sizeof h);
    h.nlmsg_len = (uint32_t)n->out.len;
    h.nlmsg_flags |= more_flags;
    memcpy(n->out.p, &h, sizeof h);
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    ssize_t sent;
    do
        sent = sendto(n->fd, n->out.p, n->out.len, 0, (struct sockaddr *)&kernel, sizeof kernel);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? errno : 0;
}

/* Bytes of one message of the kernel's; -errno. What other processes send is dropped. */
static ssize_t receive(struct netlink *n)
{
    for (;;) {
        struct sockaddr_nl from = {0};
        socklen_t from_len = sizeof from;
        ssize_t len =
            recvfrom(n->fd, n->in, NETLINK_READ_BYTES, MSG_TRUNC, (struct sockaddr *)&from, &from_len);
        if (len < 0 && errno == EINTR)
            continue;
        if (len < 0)
            return errno == EAGAIN ? -ETIMEDOUT : -errno;
        if (len > NETLINK_READ_BYTES)
            return -EMSGSIZE;
        if (from.nl_pid == 0)
            return len;
    }
}

/* Goes through the messages of a datagram. True: the answer is complete, *result is its errno. */
static bool take_answer(struct netlink *n, size_t len, netlink_each *each, void *context, int *result)
{
    const struct nlmsghdr *h = (const struct nlmsghdr *)n->in;
    for (; NLMSG_OK(h, len); h = NLMSG_NEXT(h, len)) {
        if (h->nlmsg_seq != n->seq)
            continue; /* of a request that was given up */
        if (h->nlmsg_type == NLMSG_ERROR || h->nlmsg_type == NLMSG_DONE) {
            int code = 0;
            if (h->nlmsg_len >= NLMSG_LENGTH(sizeof code))
                memcpy(&code, NLMSG_DATA(h), sizeof code);
            *result = code < 0 ? -code : 0;
            return true;
        }
        if (each)
            each(context, h);
    }
    return false;
}

static int run(struct netlink *n, uint16_t flags, netlink_each *each, void *context)
{
    int result = send_request(n, flags);
    if (result)
        return result;
    for (;;) {
        ssize_t len = receive(n);
        if (len < 0)
            return (int)-len;
        if (take_answer(n, (size_t)len, each, context, &result))
            return result;
    }
}

int netlink_do(struct netlink *n)
{
    return run(n, NLM_F_ACK, NULL, NULL);
}

struct err *netlink_dump(struct netlink *n, netlink_each *each, void *context)
{
    errno = run(n, NLM_F_DUMP, each, context);
    return errno ? err_errno(ERR_IO, "the kernel does not tell its network state") : NULL;
}

/* ---- answers ---- */

void netlink_attributes(const void *p, size_t len, const struct rtattr **table, uint16_t most)
{
    memset(table, 0, (most + 1u) * sizeof(const struct rtattr *));
    const struct rtattr *a = p;
    for (; RTA_OK(a, len); a = RTA_NEXT(a, len))
        if ((a->rta_type & NLA_TYPE_MASK) <= most)
            table[a->rta_type & NLA_TYPE_MASK] = a;
}

void netlink_message_attributes(const struct nlmsghdr *h, size_t header, const struct rtattr **table,
                                uint16_t most)
{
    size_t before = NLMSG_SPACE(header);
    size_t len = h->nlmsg_len > before ? h->nlmsg_len - before : 0;
    netlink_attributes((const uint8_t *)h + before, len, table, most);
}

uint32_t netlink_u32(const struct rtattr *a)
{
    uint32_t v = 0;
    if (a && RTA_PAYLOAD(a) >= sizeof v)
        memcpy(&v, RTA_DATA(a), sizeof v);
    return v;
}

void netlink_text(const struct rtattr *a, char *out, size_t size)
{
    size_t len = a ? RTA_PAYLOAD(a) : 0;
    len = len < size ? len : size - 1;
    if (len)
        memcpy(out, RTA_DATA(a), len);
    out[len] = 0;
}

bool netlink_drain(struct netlink *n)
{
    bool any = false;
    for (;;) {
        ssize_t len = recv(n->fd, n->in, NETLINK_READ_BYTES, MSG_DONTWAIT);
        if (len < 0 && errno == EINTR)
            continue;
        if (len < 0 && errno != ENOBUFS) /* ENOBUFS: some were lost, so look */
            return any;
        any = true;
    }
}
