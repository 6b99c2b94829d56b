/* Any bytes as a boot option that the firmware or another system has left, and as the file system of a slot that is half written. What is
 * understood of an option is written the same again. The first byte picks. */
#include "box/efivar.h"
#include "box/fat.h"
#include "box/slot.h"

#include <stdlib.h>
#include <string.h>

struct memory {
    const uint8_t *p;
    size_t len;
};

static bool memory_read(void *ctx, uint64_t at, void *p, size_t len)
{
    const struct memory *m = ctx;
    memset(p, 0, len);
    if (at < m->len)
        memcpy(p, m->p + at, len < m->len - at ? len : m->len - at);
    return true;
}

static void option(const uint8_t *p, size_t len)
{
    struct efi_option o, again;
    uint8_t bytes[EFI_OPTION_BYTES_MAX];
    if (!efi_option_decode(p, len, &o))
        return;
    const size_t n = efi_option_encode(&o, bytes);
    ASSERT(n <= sizeof bytes && efi_option_decode(bytes, n, &again));
    ASSERT(strcmp(o.file, again.file) == 0 && memcmp(o.part_guid, again.part_guid, 16) == 0);
}

/* The bytes are the start of a partition whose rest is zeros. */
static void content(const uint8_t *p, size_t len)
{
    struct memory m = {p, len};
    const struct slot_io io = {.ctx = &m, .size_bytes = 4u << 20, .sector_bytes = 512, .read = memory_read};
    struct slot_content c;
    slot_look(&io, &c);
    ASSERT(!c.named || c.image.version[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || size > 100000)
        return 0;
    uint8_t *copy = malloc(size);
    memcpy(copy, data + 1, size - 1);
    if (data[0] & 1)
        option(copy, size - 1);
    else
        content(copy, size - 1);
    free(copy);
    return 0;
}
