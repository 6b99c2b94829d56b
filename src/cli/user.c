/* Becoming another user; see user.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "cli/user.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A directory that we make as root is the only one whose owner we change: in another, links may lie that lead elsewhere. */
static struct err *give_directory(const char *data, const struct passwd *u)
{
    struct stat st;
    if (mkdir(data, 0700) == 0)
        return chown(data, u->pw_uid, u->pw_gid) == 0
                   ? NULL
                   : err_errno(ERR_IO, "cannot give %s to user %s", data, u->pw_name);
    if (errno != EEXIST || stat(data, &st) != 0)
        return err_errno(ERR_IO, "cannot make the data directory %s", data);
    if (st.st_uid == u->pw_uid)
        return NULL;
    return err_hint(err_new(ERR_STATE, "the data directory %s does not belong to user %s (server.user)", data,
                            u->pw_name),
                    "stop penstock, and as root: chown -R %s %s", u->pw_name, data);
}

static struct err *keep_port(void)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    uint32_t bit = UINT32_C(1) << CAP_NET_BIND_SERVICE;
    struct __user_cap_data_struct keep[_LINUX_CAPABILITY_U32S_3] = {{bit, bit, bit}};
    if (syscall(SYS_capset, &head, keep) != 0 ||
        prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_BIND_SERVICE, 0, 0) != 0)
        return err_errno(ERR_IO, "cannot keep the right to bind a port below 1024");
    return NULL;
}

static struct err *switch_to(const struct passwd *u, bool low_port)
{
    if (setgroups(1, &u->pw_gid) != 0 || setgid(u->pw_gid) != 0 ||
        prctl(PR_SET_KEEPCAPS, low_port, 0, 0, 0) != 0 || setuid(u->pw_uid) != 0)
        return err_errno(ERR_IO, "cannot become user %s", u->pw_name);
    if (low_port)
        TRY(keep_port());
    ASSERT(getuid() == u->pw_uid && geteuid() == u->pw_uid && setuid(0) != 0);
    return NULL;
}

/* The processes of root give up its right to pass over permissions: the directory must let root in as it stands. */
static struct err *check_entry(const char *data)
{
    struct stat st;
    if (geteuid() != 0 || stat(data, &st) != 0 || st.st_uid == 0)
        return NULL;
    unsigned granted = st.st_gid == getegid() ? st.st_mode >> 3 : st.st_mode;
    if ((granted & 7) == 7)
        return NULL;
    const struct passwd *u = getpwuid(st.st_uid);
    return err_hint(
        err_new(ERR_STATE,
                "the data directory %s belongs to user %s (%u), and penstock as root gives up the "
                "right to write there",
                data, u ? u->pw_name : "?", (unsigned)st.st_uid),
        "name the user in server.user, or as root: chown -R root %s", data);
}

struct err *user_become(const char *name, const char *data, int port)
{
    if (!name)
        return check_entry(data);
    const struct passwd *u = getpwnam(name);
    if (!u)
        return err_hint(err_new(ERR_CONFIG, "server.user: there is no user %s on this machine", name),
                        "make it: useradd --system %s", name);
    if (u->pw_uid == 0)
        return err_new(ERR_CONFIG, "server.user: %s is root", name);
    if (geteuid() == u->pw_uid)
        return NULL;
    if (geteuid() != 0)
        return err_hint(err_new(ERR_CONFIG, "server.user: only root can become user %s", name),
                        "start penstock as root or as %s", name);
    TRY(give_directory(data, u));
    return switch_to(u, port < 1024);
}
