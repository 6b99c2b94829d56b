/* What a sender of scp's protocol may say: names that come out are plain, files have the bytes that were announced, folders are left as
 * often as they were entered. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "box/scp.h"

#include "base/text.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct seen {
    uint64_t announced, got;
    int depth, files;
    bool open;
};

static void check_name(const char *name)
{
    ASSERT(*name && strcmp(name, ".") != 0 && strcmp(name, "..") != 0 && !strchr(name, '/'));
    ASSERT(strlen(name) <= SCP_NAME_BYTES_MAX && utf8_valid((const uint8_t *)name, strlen(name)));
}

static struct err *on_folder(void *ctx, const char *name)
{
    struct seen *s = ctx;
    check_name(name);
    ASSERT(!s->open && ++s->depth <= SCP_DEPTH_MAX);
    return NULL;
}

static struct err *on_leave(void *ctx)
{
    struct seen *s = ctx;
    ASSERT(!s->open && --s->depth >= 0);
    return NULL;
}

static struct err *on_file(void *ctx, const char *name, uint64_t size)
{
    struct seen *s = ctx;
    check_name(name);
    ASSERT(!s->open);
    s->open = true;
    s->announced = size;
    s->got = 0;
    return NULL;
}

static struct err *on_data(void *ctx, const void *p, size_t len)
{
    struct seen *s = ctx;
    (void)p;
    s->got += len;
    ASSERT(s->open && len && s->got <= s->announced);
    return NULL;
}

static struct err *on_done(void *ctx)
{
    struct seen *s = ctx;
    ASSERT(s->open && s->got == s->announced && ++s->files <= SCP_ENTRIES_MAX);
    s->open = false;
    return NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int in = -1, out;
    struct seen seen = {0};
    struct scp_receiver r = {&seen, on_folder, on_leave, on_file, on_data, on_done};
    if (in < 0) {
        in = memfd_create("in", MFD_CLOEXEC);
        out = memfd_create("out", MFD_CLOEXEC);
    }
    if (ftruncate(in, 0) != 0 || ftruncate(out, 0) != 0 || pwrite(in, data, size, 0) != (ssize_t)size)
        return 0;
    lseek(in, 0, SEEK_SET);
    lseek(out, 0, SEEK_SET);
    struct err *e = scp_receive(in, out, &r);
    ASSERT(e || (!seen.depth && !seen.open));
    err_free(e);
    return 0;
}
