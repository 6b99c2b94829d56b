/* EFI variables, and boot options in them; see efivar.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "box/efivar.h"
#include "box/gpt.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define ATTRIBUTES    7 /* non-volatile, and seen by boot and run time */
#define OPTION_ACTIVE 1
#define OPTION_NUMBER_OUR \
    0x0050 /* from here on a free number is looked for: low ones are the firmware's own */

/* ---- the files of efivarfs ---- */

static ssize_t directory_read(void *ctx, const char *name, void *out, size_t size)
{
    uint8_t bytes[4 + EFI_VARIABLE_BYTES_MAX];
    char *path = xprintf("%s/%s", (const char *)ctx, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    free(path);
    if (fd < 0)
        return -1;
    ssize_t n = read(fd, bytes, sizeof bytes);
    int saved = errno;
    close(fd);
    if (n < 4) {
        errno = n < 0 ? saved : EIO;
        return -1;
    }
    n -= 4;
    if ((size_t)n > size)
        n = (ssize_t)size;
    memcpy(out, bytes + 4, (size_t)n);
    return n;
}

/* The kernel marks variables immutable that a careless rm would take away. A file system without flags has none. */
static void let_change(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC), flags = 0;
    if (fd < 0)
        return;
    if (ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0 && flags & FS_IMMUTABLE_FL) {
        flags &= ~FS_IMMUTABLE_FL;
        (void)!ioctl(fd, FS_IOC_SETFLAGS, &flags); /* what follows fails then, and says so */
    }
    close(fd);
}

/* One write(2) is one call of the firmware, which replaces a variable as a whole. */
static int put(const char *path, const void *p, size_t len)
{
    uint8_t bytes[4 + EFI_VARIABLE_BYTES_MAX] = {ATTRIBUTES};
    if (len > EFI_VARIABLE_BYTES_MAX)
        return E2BIG;
    memcpy(bytes + 4, p, len);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0)
        return errno;
    ssize_t n = write(fd, bytes, len + 4);
    int failed = n < 0 ? errno : (size_t)n == len + 4 ? 0 : EIO;
    close(fd);
    return failed;
}

static int directory_write(void *ctx, const char *name, const void *p, size_t len)
{
    char *path = xprintf("%s/%s", (const char *)ctx, name);
    let_change(path);
    int failed = p ? put(path, p, len) : unlink(path) ? errno : 0;
    free(path);
    return failed;
}

static int directory_list(void *ctx, void (*fn)(void *arg, const char *name), void *arg)
{
    DIR *d = opendir(ctx);
    if (!d)
        return errno;
    for (const struct dirent *e; (e = readdir(d));)
        if (e->d_name[0] != '.')
            fn(arg, e->d_name);
    closedir(d);
    return 0;
}

struct efi efi_directory(const char *dir)
{
    return (struct efi){(void *)dir, directory_read, directory_write, directory_list};
}

static void seen(void *arg, const char *name)
{
    (void)name;
    *(bool *)arg = true;
}

bool efi_present(const struct efi *v)
{
    bool any = false;
    return v->list(v->ctx, seen, &any) == 0 && any;
}

/* Writes what is not there already; p NULL: removes what is there. */
static struct err *change(const struct efi *v, const char *name, const void *p, size_t len)
{
    uint8_t now[EFI_VARIABLE_BYTES_MAX];
    ssize_t n = v->read(v->ctx, name, now, sizeof now);
    if (p ? n == (ssize_t)len && memcmp(now, p, len) == 0 : n < 0 && errno == ENOENT)
        return NULL;
    errno = v->write(v->ctx, name, p, len);
    return errno ? err_errno(ERR_IO, "cannot write the firmware's variable %s", name) : NULL;
}

/* ---- options ---- */

static void put_le(uint8_t *p, uint64_t v, int bytes)
{
    for (int i = 0; i < bytes; i++)
        p[i] = (uint8_t)(v >> 8 * i);
}

static uint64_t get_le(const uint8_t *p, int bytes)
{
    uint64_t v = 0;
    for (int i = bytes; i--;)
        v = v << 8 | p[i];
    return v;
}

/* UTF-16 with its 0. */
static size_t put_text(uint8_t *p, const char *text)
{
    size_t n = strlen(text) + 1;
    for (size_t i = 0; i < n; i++)
        put_le(p + 2 * i, (uint8_t)text[i], 2);
    return 2 * n;
}

/* Up to and with its 0, which must come: bytes used, 0 when it does not, or is longer than out. What is not ASCII shows as '?'. */
static size_t get_text(const uint8_t *p, size_t len, char *out, size_t size)
{
    for (size_t i = 0; 2 * i + 1 < len && i < size; i++) {
        const uint64_t c = get_le(p + 2 * i, 2);
        out[i] = (char)(c == 0 || (c >= 32 && c < 127) ? c : '?');
        if (!c)
            return 2 * (i + 1);
    }
    return 0;
}

size_t efi_option_encode(const struct efi_option *o, uint8_t out[EFI_OPTION_BYTES_MAX])
{
    size_t at = 6;
    at += put_text(out + at, o->description);
    const size_t list = at;
    static const uint8_t disk_node[4] = {4, 1, 42, 0}, end_node[4] = {0x7f, 0xff, 4, 0};
    memcpy(out + at, disk_node, 4);
    put_le(out + at + 4, o->part_number, 4);
    put_le(out + at + 8, o->part_first, 8);
    put_le(out + at + 16, o->part_sectors, 8);
    memcpy(out + at + 24, o->part_guid, 16);
    out[at + 40] = 2; /* of a GUID partition table, */
    out[at + 41] = 2; /* named by a GUID */
    at += 42;
    const size_t text = put_text(out + at + 4, o->file);
    out[at] = 4;
    out[at + 1] = 4;
    put_le(out + at + 2, 4 + text, 2);
    at += 4 + text;
    memcpy(out + at, end_node, 4);
    at += 4;
    put_le(out, o->active ? OPTION_ACTIVE : 0, 4);
    put_le(out + 4, at - list, 2);
    return at;
}

static bool get_disk_node(const uint8_t *p, size_t len, struct efi_option *out)
{
    if (len != 42 || p[40] != 2 || p[41] != 2)
        return false;
    out->part_number = (uint32_t)get_le(p + 4, 4);
    out->part_first = get_le(p + 8, 8);
    out->part_sectors = get_le(p + 16, 8);
    memcpy(out->part_guid, p + 24, 16);
    return true;
}

bool efi_option_decode(const uint8_t *p, size_t len, struct efi_option *out)
{
    bool disk = false, file = false;
    *out = (struct efi_option){0};
    if (len < 6)
        return false;
    out->active = get_le(p, 4) & OPTION_ACTIVE;
    const size_t list_bytes = (size_t)get_le(p + 4, 2);
    char description[EFI_VARIABLE_BYTES_MAX / 2];
    size_t at = 6, text = get_text(p + at, len - at, description, sizeof description);
    if (!text || list_bytes > len - at - text)
        return false;
    snprintf(out->description, sizeof out->description, "%.*s", EFI_DESCRIPTION_MAX, description);
    at += text;
    for (const size_t end = at + list_bytes; at < end;) {
        if (end - at < 4)
            return false;
        const size_t node = (size_t)get_le(p + at + 2, 2);
        if (node < 4 || node > end - at)
            return false;
        if (p[at] == 0x7f)
            return disk && file;
        if (p[at] == 4 && p[at + 1] == 1 && !disk)
            disk = get_disk_node(p + at, node, out);
        else if (p[at] == 4 && p[at + 1] == 4 && !file)
            file = get_text(p + at + 4, node - 4, out->file, sizeof out->file) != 0;
        else
            return false;
        at += node;
    }
    return false;
}

/* ---- their numbers ---- */

struct numbers {
    uint8_t used[65536 / 8];
};

static int hex(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static void take_number(void *arg, const char *name)
{
    struct numbers *n = arg;
    unsigned v = 0;
    if (strncmp(name, "Boot", 4) != 0 || strlen(name) != 8 + strlen(EFI_GLOBAL) ||
        strcmp(name + 8, EFI_GLOBAL) != 0)
        return;
    for (int i = 4; i < 8; i++) {
        if (hex(name[i]) < 0)
            return;
        v = v << 4 | (unsigned)hex(name[i]);
    }
    n->used[v / 8] |= (uint8_t)(1 << v % 8);
}

static void option_name(uint16_t number, char out[64])
{
    snprintf(out, 64, "Boot%04X" EFI_GLOBAL, number);
}

static bool same_start(const struct efi_option *a, const struct efi_option *b)
{
    return memcmp(a->part_guid, b->part_guid, sizeof a->part_guid) == 0 && strcasecmp(a->file, b->file) == 0;
}

static bool read_option(const struct efi *v, unsigned number, struct efi_option *out)
{
    uint8_t bytes[EFI_VARIABLE_BYTES_MAX];
    char name[64];
    option_name((uint16_t)number, name);
    ssize_t len = v->read(v->ctx, name, bytes, sizeof bytes);
    return len > 0 && efi_option_decode(bytes, (size_t)len, out);
}

bool efi_option_starts(const struct efi *v, int number, const struct efi_option *o)
{
    struct efi_option got;
    return number >= 0 && number < 65536 && read_option(v, (unsigned)number, &got) && got.active &&
           same_start(&got, o);
}

/* The lowest number of an option with the same start, active or not; -1: there is none. */
static int find(const struct efi *v, const struct numbers *n, const struct efi_option *o)
{
    struct efi_option got;
    for (unsigned i = 0; i < 65536; i++)
        if (n->used[i / 8] & 1 << i % 8 && read_option(v, i, &got) && same_start(&got, o))
            return (int)i;
    return -1;
}

struct err *efi_option_ensure(const struct efi *v, const struct efi_option *o, uint16_t *number)
{
    struct numbers n = {0};
    uint8_t bytes[EFI_OPTION_BYTES_MAX];
    char name[64];
    errno = v->list(v->ctx, take_number, &n);
    if (errno)
        return err_errno(ERR_IO, "cannot list the firmware's variables");
    int i = find(v, &n, o);
    for (unsigned k = 0; i < 0 && k < 65536; k++) {
        const unsigned free_one = (k + OPTION_NUMBER_OUR) % 65536;
        if (!(n.used[free_one / 8] & 1 << free_one % 8))
            i = (int)free_one;
    }
    if (i < 0)
        return err_new(ERR_LIMIT, "the firmware has no room for a boot option");
    *number = (uint16_t)i;
    option_name(*number, name);
    return change(v, name, bytes, efi_option_encode(o, bytes));
}

/* ---- order, next ---- */

uint32_t efi_order_read(const struct efi *v, uint16_t out[EFI_ORDER_MAX])
{
    uint8_t bytes[2 * EFI_ORDER_MAX];
    ssize_t len = v->read(v->ctx, "BootOrder" EFI_GLOBAL, bytes, sizeof bytes);
    uint32_t n = len > 0 ? (uint32_t)len / 2 : 0;
    for (uint32_t i = 0; i < n; i++)
        out[i] = (uint16_t)get_le(bytes + 2 * i, 2);
    return n;
}

struct err *efi_order_put_first(const struct efi *v, uint16_t first, uint16_t second)
{
    uint16_t now[EFI_ORDER_MAX];
    uint8_t bytes[2 * (EFI_ORDER_MAX + 2)];
    const uint32_t count = efi_order_read(v, now);
    size_t n = 0;
    put_le(bytes + 2 * n++, first, 2);
    put_le(bytes + 2 * n++, second, 2);
    for (uint32_t i = 0; i < count; i++)
        if (now[i] != first && now[i] != second)
            put_le(bytes + 2 * n++, now[i], 2);
    return change(v, "BootOrder" EFI_GLOBAL, bytes, 2 * n);
}

int efi_next_read(const struct efi *v)
{
    uint8_t bytes[2];
    return v->read(v->ctx, "BootNext" EFI_GLOBAL, bytes, sizeof bytes) == 2 ? (int)get_le(bytes, 2) : -1;
}

struct err *efi_next_write(const struct efi *v, uint16_t number)
{
    uint8_t bytes[2];
    put_le(bytes, number, 2);
    return change(v, "BootNext" EFI_GLOBAL, bytes, sizeof bytes);
}

struct err *efi_next_remove(const struct efi *v)
{
    return change(v, "BootNext" EFI_GLOBAL, NULL, 0);
}

bool efi_loader_part(const struct efi *v, uint8_t guid[16])
{
    uint8_t bytes[128];
    char text[64];
    ssize_t len = v->read(v->ctx, "StubDevicePartUUID" EFI_LOADER, bytes, sizeof bytes);
    if (len <= 0)
        len = v->read(v->ctx, "LoaderDevicePartUUID" EFI_LOADER, bytes, sizeof bytes);
    return len > 0 && get_text(bytes, (size_t)len, text, sizeof text) && gpt_guid_parse(text, guid);
}
