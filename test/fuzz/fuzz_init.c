/* What PID 1 reads that others write, in any bytes; the first byte says as what: a partition table, the identity partition, a request on a
 * control socket, the lists of kernel modules, a message of the kernel's. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "box/gpt.h"
#include "box/identity.h"
#include "box/request.h"
#include "init/cores.h"
#include "init/log_hub.h"
#include "init/modules.h"
#include "init/uevent.h"

#include <stdlib.h>
#include <string.h>

#define SECTORS 256

struct bytes {
    uint8_t p[SECTORS * 512];
};

static bool disk_read(void *arg, uint64_t lba, void *p, uint32_t count)
{
    if (lba >= SECTORS || count > SECTORS - lba)
        return false;
    memcpy(p, ((struct bytes *)arg)->p + lba * 512, (size_t)count * 512);
    return true;
}

static bool disk_write(void *arg, uint64_t lba, const void *p, uint32_t count)
{
    if (lba >= SECTORS || count > SECTORS - lba)
        return false;
    memcpy(((struct bytes *)arg)->p + lba * 512, p, (size_t)count * 512);
    return true;
}

static bool disk_flush(void *arg)
{
    (void)arg;
    return true;
}

static uint32_t sum(const uint8_t *p, size_t n)
{
    uint32_t c = ~UINT32_C(0);
    while (n--) {
        c ^= *p++;
        for (int k = 0; k < 8; k++)
            c = c >> 1 ^ (UINT32_C(0xedb88320) & -(c & 1));
    }
    return ~c;
}

/* With right sums, so that what stands in it is looked at. */
static void as_table(const uint8_t *data, size_t size)
{
    static struct bytes b;
    static struct gpt g;
    struct gpt_io io = {&b, SECTORS, 512, disk_read, disk_write, disk_flush};
    memset(&b, 0, sizeof b);
    memcpy(b.p + 512, data, size < sizeof b - 512 ? size : sizeof b - 512);
    uint8_t *h = b.p + 512;
    static const uint8_t shape[] = {128, 0, 0, 0, 128, 0, 0, 0};
    memcpy(h, "EFI PART", 8);
    memcpy(h + 12, "\x5c\0\0\0\0\0\0\0", 8);
    memcpy(h + 24, "\1\0\0\0\0\0\0\0", 8);
    memcpy(h + 72, "\2\0\0\0\0\0\0\0", 8);
    memcpy(h + 80, shape, sizeof shape);
    uint32_t entries = sum(b.p + 1024, GPT_ENTRIES_MAX * GPT_ENTRY_BYTES);
    memcpy(h + 88, &entries, 4);
    uint32_t own = sum(h, 92);
    memcpy(h + 16, &own, 4);
    struct err *e = gpt_read(&io, &g);
    if (!e) {
        struct gpt_part p;
        for (uint32_t i = 0; i < GPT_ENTRIES_MAX; i++)
            if (gpt_part_at(&g, i, &p)) {
                ASSERT(p.first <= p.last && p.last < SECTORS && strlen(p.name) <= GPT_NAME_MAX);
                gpt_grow(&g, &io, i);
            }
        e = gpt_write(&io, &g);
    }
    err_free(e);
}

static void as_identity(const uint8_t *data, size_t size)
{
    static struct identity id;
    if (identity_unpack(data, size, &id))
        for (uint32_t i = 0; i < id.count; i++)
            ASSERT(id.files[i].path[0] != '/' && !strstr(id.files[i].path, "../"));
    identity_fini(&id);
}

static void as_request(const uint8_t *data, size_t size)
{
    static struct request r;
    for (int console = 0; console < 2; console++) {
        char *copy = xmalloc(size + 1);
        memcpy(copy, data, size);
        size_t all = 0;
        if (request_parse(copy, size, console, &r)) {
            for (int i = 0; i < r.count; i++)
                all += strlen(r.words[i]) + 1;
            ASSERT(r.count > 0 && all <= size && r.words[r.count] == NULL);
        }
        free(copy);
    }
}

static int load(void *arg, const char *path)
{
    (void)arg;
    return strlen(path) & 1 ? 0 : 8;
}

/* Three texts, divided by bytes of 0xff. */
static void as_modules(const uint8_t *data, size_t size)
{
    const uint8_t *part[3] = {data, data + size, data + size}, *end = data + size;
    size_t len[3] = {size, 0, 0};
    for (int i = 0; i < 2 && size < 4096; i++) {
        const uint8_t *cut = memchr(part[i], 0xff, (size_t)(end - part[i]));
        if (!cut)
            break;
        len[i] = (size_t)(cut - part[i]);
        part[i + 1] = cut + 1;
        len[i + 1] = (size_t)(end - cut - 1);
    }
    struct modules *m = modules_parse((const char *)part[0], len[0], (const char *)part[1], len[1],
                                      (const char *)part[2], len[2], load, NULL);
    modules_load(m, "a");
    modules_load(m, "b-c");
    modules_match(m, "pci:v1");
    modules_match(m, "x");
    modules_free(m);
}

static void as_kernel(const uint8_t *data, size_t size)
{
    struct uevent u;
    cpu_set_t set;
    char out[64], list[2048], *copy = xmalloc(size + 1);
    memcpy(copy, data, size);
    copy[size] = 0;
    uevent_parse(copy, size, &u);
    log_kernel_text(copy, size, out, sizeof out);
    if (cores_parse(copy, &set))
        cores_list(&set, list, sizeof list);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const ways[])(const uint8_t *data, size_t size) = {as_table, as_identity, as_request,
                                                                     as_modules, as_kernel};
    if (size)
        ways[data[0] % ARRAY_COUNT(ways)](data + 1, size - 1);
    return 0;
}
