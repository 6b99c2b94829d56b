/* See provisioning.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "init/provisioning.h"

#include "base/file.h"
#include "base/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define FLAGS (MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOSYMFOLLOW)
#ifndef MS_NOSYMFOLLOW
#define MS_NOSYMFOLLOW 256
#endif

bool provision_has_content(const char *folder)
{
    DIR *d = opendir(folder);
    bool has = false;
    for (struct dirent *e; d && !has && (e = readdir(d));)
        has = strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 &&
              strcasecmp(e->d_name, PROVISION_RESULT) != 0;
    if (d)
        closedir(d);
    return has;
}

static int run_program(const struct provision_from *f, const char *folder)
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        execl(f->program, f->program, "box", "provision", folder, (char *)NULL);
        dprintf(2, "%s: %s\n", f->program, strerror(errno));
        _exit(127);
    }
    while (pid > 0 && waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return 127;
    return pid > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : 127;
}

int provision_run(const void *from)
{
    const struct provision_from *f = from;
    int result = 0;
    mkdir(f->mount, 0700);
    /* Read-only until something is there: most starts never write. */
    if (mount(f->device, f->mount, "vfat", FLAGS | MS_RDONLY, "umask=0077,errors=remount-ro") != 0) {
        if (errno != EINVAL) /* no FAT */
            dprintf(2, "%s: %s\n", f->device, strerror(errno));
        return 0;
    }
    char *folder = xprintf("%s/penstock", f->mount);
    if (provision_has_content(folder)) {
        dprintf(2, "%s has a folder penstock/\n", f->device);
        if (mount(NULL, f->mount, NULL, FLAGS | MS_REMOUNT, NULL) != 0)
            dprintf(2, "%s: cannot be written: %s\n", f->device, strerror(errno));
        result = run_program(f, folder) + 1;
    }
    free(folder);
    if (umount(f->mount) != 0)
        umount2(f->mount, MNT_DETACH);
    return result;
}

/* Removable, or behind USB. */
static bool is_stick(const char *sys, const char *disk)
{
    char *link = xprintf("%s/block/%s", sys, disk), *flag = xprintf("%s/removable", link), text[8],
         target[PATH_MAX];
    ssize_t n = readlink(link, target, sizeof target - 1);
    target[n > 0 ? n : 0] = 0;
    bool is = strstr(target, "/usb") != NULL || (file_text(flag, text, sizeof text) && text[0] == '1');
    free(link);
    free(flag);
    return is;
}

static uint32_t parts_of(const char *sys, const char *disk, char (*names)[64], uint32_t most)
{
    char *path = xprintf("%s/block/%s", sys, disk);
    uint32_t n = 0;
    DIR *d = opendir(path);
    for (struct dirent *e; d && n < most && (e = readdir(d));)
        if (strncmp(e->d_name, disk, strlen(disk)) == 0 && strlen(e->d_name) < 64)
            text_fill(names[n++], 64, "%s", e->d_name);
    if (d)
        closedir(d);
    free(path);
    if (n == 0 && most) /* the whole stick is one file system */
        text_fill(names[n++], 64, "%s", disk);
    return n;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

uint32_t provision_sticks(const char *sys, const char *own, char (*names)[64], uint32_t most)
{
    char *path = xprintf("%s/block", sys);
    uint32_t n = 0;
    DIR *d = opendir(path);
    for (struct dirent *e; d && n < most && (e = readdir(d));)
        if (e->d_name[0] != '.' && strlen(e->d_name) < 64 && strcmp(e->d_name, own) != 0 &&
            is_stick(sys, e->d_name))
            n += parts_of(sys, e->d_name, names + n, most - n);
    if (d)
        closedir(d);
    free(path);
    qsort(names, n, 64, by_name);
    return n;
}
