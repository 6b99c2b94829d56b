/* Any bytes as a tar archive: every entry has a path below the top and its data inside the archive. The header sums are made right, as a
 * fuzzer does not guess them, unless the first byte says otherwise. */
#include "box/tar.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void sums(uint8_t *p, size_t len)
{
    for (size_t at = 0; at + 512 <= len; at += 512) {
        unsigned sum = 0;
        if (memcmp(p + at + 257, "ustar", 5) != 0)
            continue;
        memset(p + at + 148, ' ', 8);
        for (int i = 0; i < 512; i++)
            sum += p[at + (size_t)i];
        snprintf((char *)p + at + 148, 8, "%06o", sum);
    }
}

static void check(const struct tar_entry *t, const uint8_t *p, size_t len)
{
    char *copy = strdup(t->path), *rest = copy;
    ASSERT(t->path[0] && t->path[0] != '/' && strlen(t->path) <= TAR_PATH_BYTES_MAX);
    for (char *part; (part = strsep(&rest, "/"));)
        ASSERT(part[0] && strcmp(part, ".") != 0 && strcmp(part, "..") != 0);
    ASSERT(t->folder ? t->len == 0 : t->data >= p && t->data + t->len <= p + len);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tar_reader r;
    struct tar_entry t;
    bool more = true;
    struct err *e = NULL;
    if (size == 0 || size > 100000)
        return 0;
    uint8_t *copy = malloc(size);
    memcpy(copy, data + 1, size - 1);
    if (data[0] & 1)
        sums(copy, size - 1);
    tar_open(&r, copy, size - 1);
    for (int n = 0; !e && more; n++) {
        ASSERT(n <= TAR_ENTRIES_MAX);
        e = tar_next(&r, &t, &more);
        if (!e && more)
            check(&t, copy, size - 1);
    }
    err_free(e);
    free(copy);
    return 0;
}
