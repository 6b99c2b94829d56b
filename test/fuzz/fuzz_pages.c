/* LMDB's file as damage may have left it: the checker of pages ends, stays inside the file, and names what it finds. Input: the
 * two roots' records, then pages of 4096 bytes. */
#include "store/mdb_pages.h"

#include <stdlib.h>
#include <string.h>

#define PAGE_BYTES 4096u
#define PAGES_MAX  32u

static void fault(void *ctx, const char *database, const char *text)
{
    (void)ctx;
    ASSERT(database && text && *text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mdbp_roots roots = {.page_bytes = PAGE_BYTES};
    size_t head = sizeof roots.free_pages.record + sizeof roots.main_db.record;
    if (size < head + 2 * PAGE_BYTES || size > head + PAGES_MAX * PAGE_BYTES)
        return 0;
    memcpy(roots.free_pages.record, data, sizeof roots.free_pages.record);
    memcpy(roots.main_db.record, data + sizeof roots.free_pages.record, sizeof roots.main_db.record);
    size_t pages = (size - head) / PAGE_BYTES;
    roots.last_page = pages - 1;
    uint8_t *map = malloc(pages * PAGE_BYTES);
    memcpy(map, data + head, pages * PAGE_BYTES);
    struct mdb_pages_check c = {.fault = fault};
    mdb_pages_check(map, &roots, &c);
    ASSERT(c.used + c.free + c.lost <= pages + c.faults);
    free(map);
    return 0;
}
