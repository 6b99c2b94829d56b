/* See mounts.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "init/mounts.h"

#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define HARD (MS_NOSUID | MS_NOEXEC | MS_NODEV)

static const struct {
    const char *type, *path, *data;
    unsigned long flags;
    mode_t mode; /* of the folder, where it has to be made */
} early[] = {
    {"devtmpfs", "/dev", "mode=0755", MS_NOSUID | MS_NOEXEC, 0755},
    /* Nobody but root sees another user's processes, and so their command lines; but penstock's group does, as the commands that run as
     * it (status, apply, ...) have to find the instance's processes, which cannot be looked into (no dumps), and would be hidden too. */
    {"proc", "/proc", "hidepid=2,gid=100", HARD, 0555},
    {"sysfs", "/sys", NULL, HARD, 0555},
    {"devpts", "/dev/pts", "mode=0620,gid=0,ptmxmode=0666", MS_NOSUID | MS_NOEXEC, 0755},
    {"tmpfs", "/dev/shm", "mode=1777,size=25%", HARD, 01777},
    {"tmpfs", "/run", "mode=0755,size=64m", MS_NOSUID | MS_NODEV | MS_NOEXEC, 0755},
    {"tmpfs", "/tmp", "mode=1777,size=10%", HARD, 01777},
    {"cgroup2", "/sys/fs/cgroup", NULL, HARD, 0755},
};

static bool mount_one(const char *type, const char *path, unsigned long flags, const char *data)
{
    return mount(type, path, type, flags, data) == 0 || errno == EBUSY;
}

uint32_t mounts_early(char *failed, size_t size)
{
    uint32_t bad = 0;
    failed[0] = 0;
    umask(0);
    for (size_t i = 0; i < ARRAY_COUNT(early); i++) {
        mkdir(early[i].path, early[i].mode);
        if (!mount_one(early[i].type, early[i].path, early[i].flags, early[i].data)) {
            size_t n = strlen(failed);
            text_fill(failed + n, size - n, "%s%s (%s)", n ? ", " : "", early[i].path, strerror(errno));
            bad++;
        }
    }
    umask(022);
    return bad;
}

bool mounts_efivars(void)
{
    return mount_one("efivarfs", "/sys/firmware/efi/efivars", HARD, NULL);
}

bool mounts_root_read_only(void)
{
    return mount(NULL, "/", NULL, MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV, NULL) == 0;
}

int mounts_console(void)
{
    int fd = open("/dev/console", O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (fd < 0)
        fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return -1;
    for (int i = 0; i < 3; i++)
        dup2(fd, i);
    if (fd > 2)
        close(fd);
    return console_open();
}

int console_open(void)
{
    return open("/dev/console", O_WRONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
}

/* ---- settings ---- */

static const struct {
    const char *path, *text;
} settings[] = {
    {"/proc/sys/kernel/panic", "10"}, /* seconds, then a reboot: a slot that panics falls back */
    {"/proc/sys/kernel/panic_on_oops", "1"},
    {"/proc/sys/kernel/sysrq", "0"},
    {"/proc/sys/kernel/core_pattern", "|/bin/false"}, /* a dump would hold secrets */
    {"/proc/sys/kernel/core_uses_pid", "0"},
    {"/proc/sys/fs/suid_dumpable", "0"},
    {"/proc/sys/kernel/kptr_restrict", "2"},
    {"/proc/sys/kernel/dmesg_restrict", "1"},
    {"/proc/sys/kernel/unprivileged_bpf_disabled", "1"},
    {"/proc/sys/kernel/kexec_load_disabled", "1"},
    {"/proc/sys/kernel/perf_event_paranoid", "3"},
    {"/proc/sys/kernel/yama/ptrace_scope", "2"},
    {"/proc/sys/kernel/ctrl-alt-del", "0"}, /* SIGINT to PID 1 */
    {"/proc/sys/kernel/printk", "4 4 1 4"}, /* the console is ours: warnings alone */
    {"/proc/sys/fs/protected_symlinks", "1"},
    {"/proc/sys/fs/protected_hardlinks", "1"},
    {"/proc/sys/fs/protected_fifos", "2"},
    {"/proc/sys/fs/protected_regular", "2"},
    {"/proc/sys/vm/overcommit_memory", "0"},
    {"/proc/sys/vm/swappiness", "0"},
    {"/proc/sys/vm/max_map_count", "262144"},
    {"/proc/sys/net/core/somaxconn", "4096"},
    {"/proc/sys/net/ipv4/ip_unprivileged_port_start",
     "80"}, /* the user penstock serves HTTPS on 443, ACME on 80 */
    {"/proc/sys/net/ipv4/tcp_syncookies", "1"},
    {"/proc/sys/net/ipv4/conf/all/accept_redirects", "0"},
    {"/proc/sys/net/ipv4/conf/all/send_redirects", "0"},
    {"/proc/sys/net/ipv6/conf/all/accept_redirects", "0"},
};

bool kernel_put(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    int why = errno;
    if (fd >= 0)
        close(fd);
    errno = why;
    return ok;
}

uint32_t kernel_settings(const char *root, char *failed, size_t size)
{
    uint32_t bad = 0;
    failed[0] = 0;
    for (size_t i = 0; i < ARRAY_COUNT(settings); i++) {
        char *path = xprintf("%s%s", root, settings[i].path);
        /* A kernel without one of them is no fault of the box. */
        if (!kernel_put(path, settings[i].text) && errno != ENOENT && bad++ == 0)
            text_fill(failed, size, "%s (%s)", settings[i].path, strerror(errno));
        free(path);
    }
    return bad;
}
