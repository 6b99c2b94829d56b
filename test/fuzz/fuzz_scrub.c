/* Any text without its secrets: a known one is never left, neither in it nor in a configuration, and nothing is read beyond the end. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "box/scrub.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct scrub s = {0};
    struct buf out = {0}, yaml = {0};
    char *copy = xmalloc(size + 1);
    memcpy(copy, data, size);
    scrub_add(&s, "sesame", 6);
    scrub_text(&s, copy, size, &out);
    ASSERT(!memmem(out.p ? (char *)out.p : "", out.len, "sesame", 6));
    if (size < 65536 && !memmem(copy, size, "${file:", 7)) {
        struct err *e = scrub_yaml(&s, copy, size, &yaml);
        ASSERT(e || !yaml.len || !memmem(yaml.p, yaml.len, "sesame", 6));
        err_free(e);
    }
    scrub_fini(&s);
    buf_fini(&out);
    buf_fini(&yaml);
    free(copy);
    return 0;
}
