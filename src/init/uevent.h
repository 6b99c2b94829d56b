/* The kernel's messages about devices that come and go (NETLINK_KOBJECT_UEVENT). */
#ifndef PENSTOCK_INIT_UEVENT_H
#define PENSTOCK_INIT_UEVENT_H

#include "base/base.h"

#define UEVENT_BYTES_MAX 8192

struct uevent {
    const char *action, *devpath, *subsystem, *devname, *devtype,
        *modalias; /* "" when not given; borrowed from the message */
};

/* A message: "add@/devices/...", and NAME=VALUE after it, each ended by a NUL. False: it is none. */
bool uevent_parse(const char *message, size_t len, struct uevent *out);
/* A non-blocking socket, -1: none (errno). */
int uevent_open(void);
/* The next message of the kernel's own, into the buffer. False: there is none now. */
bool uevent_next(int fd, char buffer[UEVENT_BYTES_MAX], struct uevent *out);

#endif
