/* See disk.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "init/disk.h"

#include "base/file.h"
#include "base/text.h"
#include "box/box.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOADER_GUID "-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"
#define DISKS_MAX   64

static bool guid_variable(const char *efivars, const char *name, char out[37])
{
    uint8_t raw[4 + 2 * 40], guid[16];
    char *path = xprintf("%s/%s" LOADER_GUID, efivars, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    free(path);
    ssize_t n = fd < 0 ? -1 : read(fd, raw, sizeof raw);
    if (fd >= 0)
        close(fd);
    if (n < 4 + 2 * 36)
        return false;
    /* Four bytes of attributes, then UTF-16. */
    for (int i = 0; i < 36; i++)
        out[i] = raw[5 + 2 * i] ? '?' : (char)tolower(raw[4 + 2 * i]);
    out[36] = 0;
    return gpt_guid_parse(out, guid);
}

bool disk_loader_guid(const char *efivars, char out[37])
{
    /* A boot loader before the stub says of the other variable which partition it came from itself. */
    return guid_variable(efivars, "StubDevicePartUUID", out) ||
           guid_variable(efivars, "LoaderDevicePartUUID", out);
}

/* The value of NAME= in a uevent file. */
static bool uevent_value(const char *text, const char *name, char *out, size_t size)
{
    size_t n = strlen(name);
    for (const char *line = text; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
        if (strncmp(line, name, n) == 0) {
            text_fill(out, size, "%.*s", (int)strcspn(line + n, "\n"), line + n);
            return true;
        }
    return false;
}

static void take_part(const char *dev, const char *part, const char *uevent, struct disk *d)
{
    static const struct {
        const char *name;
        size_t at;
    } parts[] = {{BOX_PART_A, offsetof(struct disk, slot_a)},
                 {BOX_PART_B, offsetof(struct disk, slot_b)},
                 {BOX_PART_IDENTITY, offsetof(struct disk, identity)},
                 {BOX_PART_DATA, offsetof(struct disk, data)}};
    char name[64], number[16];
    if (!uevent_value(uevent, "PARTNAME=", name, sizeof name) ||
        !uevent_value(uevent, "PARTN=", number, sizeof number))
        return;
    for (size_t i = 0; i < ARRAY_COUNT(parts); i++)
        if (strcmp(name, parts[i].name) == 0) {
            struct disk_part *p = (struct disk_part *)(void *)((char *)d + parts[i].at);
            text_fill(p->device, sizeof p->device, "%s/%s", dev, part);
            p->number = (uint32_t)atoi(number);
        }
}

/* The partitions of a disk, as the kernel names them. */
static void read_parts(const char *sys, const char *dev, struct disk *d)
{
    char *path = xprintf("%s/block/%s", sys, d->name), uevent[1024];
    DIR *dir = opendir(path);
    for (struct dirent *e; dir && (e = readdir(dir));) {
        if (strncmp(e->d_name, d->name, strlen(d->name)) != 0)
            continue;
        char *file = xprintf("%s/%s/uevent", path, e->d_name);
        if (file_text(file, uevent, sizeof uevent))
            take_part(dev, e->d_name, uevent, d);
        free(file);
    }
    if (dir)
        closedir(dir);
    free(path);
}

/* Whether the disk's table has that GUID; which slot it is. */
static bool has_guid(struct disk *d, const char *guid)
{
    uint8_t want[16];
    struct gpt_io io;
    struct gpt_fd state;
    struct gpt *g = xmalloc(sizeof *g);
    struct gpt_part p;
    bool found = false;
    int fd = open(d->device, O_RDONLY | O_CLOEXEC);
    struct err *e = fd < 0 ? NULL : gpt_io_fd(&io, &state, fd);
    if (fd >= 0 && !e && !(e = gpt_read(&io, g)) && gpt_guid_parse(guid, want))
        for (uint32_t i = 0; i < GPT_ENTRIES_MAX && !found; i++)
            if (gpt_part_at(g, i, &p) && memcmp(p.guid, want, 16) == 0) {
                found = true;
                d->running = strcmp(p.name, BOX_PART_A) == 0   ? 'a'
                             : strcmp(p.name, BOX_PART_B) == 0 ? 'b'
                                                               : 0;
            }
    err_free(e);
    if (fd >= 0)
        close(fd);
    free(g);
    return found;
}

static bool is_candidate(const char *sys, const char *dev, const char *name, struct disk *d)
{
    if (name[0] == '.' || strlen(name) >= DISK_NAME_BYTES || strncmp(name, "loop", 4) == 0 ||
        strncmp(name, "ram", 3) == 0)
        return false;
    memset(d, 0, sizeof *d);
    text_fill(d->name, sizeof d->name, "%s", name);
    text_fill(d->device, sizeof d->device, "%s/%s", dev, name);
    read_parts(sys, dev, d);
    return d->data.device[0] != 0;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(a, b);
}

bool disk_find(const char *sys, const char *dev, const char *guid, struct disk *out)
{
    char(*names)[DISK_NAME_BYTES] = xcalloc(DISKS_MAX, DISK_NAME_BYTES);
    uint32_t count = 0;
    char *path = xprintf("%s/block", sys);
    DIR *dir = opendir(path);
    for (struct dirent *e; dir && (e = readdir(dir)) && count < DISKS_MAX;)
        if (e->d_name[0] != '.' && strlen(e->d_name) < DISK_NAME_BYTES)
            text_fill(names[count++], DISK_NAME_BYTES, "%s", e->d_name);
    if (dir)
        closedir(dir);
    free(path);
    qsort(names, count, DISK_NAME_BYTES, by_text);
    bool found = false;
    for (uint32_t i = 0; i < count && !found; i++)
        found = is_candidate(sys, dev, names[i], out) && (!guid || has_guid(out, guid));
    if (!found)
        memset(out, 0, sizeof *out);
    free(names);
    return found;
}
