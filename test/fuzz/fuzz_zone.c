/* Any bytes as a time zone's file or POSIX rule, as they stand behind SET TIME ZONE and AT TIME ZONE; what is loaded is asked for
 * offsets all over time. */
#include "types/datetime.h"
#include "types/zone_impl.h"

#include <stdlib.h>
#include <string.h>

static void ask(struct zone *z)
{
    static const int64_t moments[] = {
        INT64_MIN / 2, -INT64_C(4000000000000000), 0, INT64_C(1700000000000000), INT64_C(9000000000000000),
        INT64_MAX / 2};
    if (!z)
        return;
    for (size_t i = 0; i < ARRAY_COUNT(moments); i++)
        (void)zone_offset_utc(z, moments[i]);
    for (uint32_t i = 0; i < z->transition_count; i++)
        ASSERT(z->type_of[i] < z->type_count && (!i || z->at[i] > z->at[i - 1]));
    zone_free(z);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || size > 65536)
        return 0;
    size_t len = size - 1;
    char *copy = malloc(len + 1);
    memcpy(copy, data + 1, len);
    copy[len] = 0;
    switch (data[0] % 3) {
    case 0: ask(zone_from_posix(copy)); break;
    case 1: ask(zone_from_tzif((const uint8_t *)copy, len)); break;
    default: ask(zone_from_tzif_block((const uint8_t *)copy, len)); break;
    }
    free(copy);
    return 0;
}
