/* Requests to the kernel's routing socket (rtnetlink): built in a buffer, sent, answered. Not for PID 1's own loop: each call waits for
 * the kernel's answer, at most NETLINK_TIMEOUT_S. One thread at a time. See rtnetlink(7), include/uapi/linux/rtnetlink.h. */
#ifndef PENSTOCK_INIT_NETLINK_H
#define PENSTOCK_INIT_NETLINK_H

#include "base/buf.h"
#include "base/err.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#define NETLINK_TIMEOUT_S  5
#define NETLINK_READ_BYTES 65536 /* the kernel's messages are shorter */

struct netlink {
    int fd; /* -1: not open */
    uint32_t seq;
    struct buf out;
    uint8_t *in; /* owned, NETLINK_READ_BYTES */
};
/* groups: RTMGRP_* to be told of; 0 for requests. */
NODISCARD struct err *netlink_open(struct netlink *n, uint32_t groups);
void netlink_close(struct netlink *n);

/* Starts a request: header (struct ifinfomsg, ...) of `len` bytes behind nlmsghdr. Flags without NLM_F_REQUEST. */
void netlink_begin(struct netlink *n, uint16_t type, uint16_t flags, const void *header, size_t len);
void netlink_put(struct netlink *n, uint16_t type, const void *p, size_t len);
void netlink_put_u32(struct netlink *n, uint16_t type, uint32_t v);
size_t netlink_nest(struct netlink *n, uint16_t type); /* returns what netlink_nest_end wants */
void netlink_nest_end(struct netlink *n, size_t at);
/* Sends it and waits for the acknowledgement: 0, or the kernel's errno; ETIMEDOUT. */
NODISCARD int netlink_do(struct netlink *n);
/* Sends it as a dump, and calls `each` with every message of the answer. */
typedef void netlink_each(void *context, const struct nlmsghdr *h);
NODISCARD struct err *netlink_dump(struct netlink *n, netlink_each *each, void *context);

/* Attributes of a message into table[0..most]: NULL where absent. Of several of a type the last. */
void netlink_attributes(const void *p, size_t len, const struct rtattr **table, uint16_t most);
/* What stands behind a header of `header` bytes. */
void netlink_message_attributes(const struct nlmsghdr *h, size_t header, const struct rtattr **table,
                                uint16_t most);
uint32_t netlink_u32(const struct rtattr *a); /* 0: absent or too short */
/* The text, cut to size - 1; "" when absent. */
void netlink_text(const struct rtattr *a, char *out, size_t size);

/* Reads away what a socket with groups was told. True: something was. */
bool netlink_drain(struct netlink *n);

#endif
