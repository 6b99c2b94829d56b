/* See waves.h. */
#include "fleet/waves.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

struct err *waves_plan(const char *size, uint32_t canary, uint32_t box_count, struct wave_plan *out)
{
    char *end;
    bool digits = *size >= '0' && *size <= '9' && strlen(size) < 8;
    unsigned long n = digits ? strtoul(size, &end, 10) : 0;
    bool percent = n && *end == '%' && !end[1];
    if (!n || (!percent && *end) || (percent && n > 100))
        return err_new(ERR_CONFIG,
                       "--waves: expected a share such as 25%% or a number of boxes, found '%.*s'",
                       TEXT_QUOTED_CSTR(size, 20));
    *out = (struct wave_plan){.box_count = box_count, .canary = canary < box_count ? canary : box_count};
    out->size = (uint32_t)(percent ? ((uint64_t)box_count * n + 99) / 100 : n);
    if (!out->size)
        out->size = 1;
    return NULL;
}

uint32_t waves_of(const struct wave_plan *p, uint32_t box)
{
    if (box < p->canary)
        return 0;
    return (p->canary > 0) + (box - p->canary) / p->size;
}

uint32_t waves_count(const struct wave_plan *p)
{
    return p->box_count ? waves_of(p, p->box_count - 1) + 1 : 0;
}

bool waves_go_on(const struct wave_plan *p, uint32_t failed, uint32_t failed_canaries, uint32_t max_unhealthy)
{
    return failed <= max_unhealthy && !(p->canary && failed_canaries);
}
