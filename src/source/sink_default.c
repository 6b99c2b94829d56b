/* What a sink need not define: weak, so that the pipeline's own definition takes its place. */
#include "source/source.h"

__attribute__((weak)) bool sink_column_wanted(const struct sink *s, uint32_t table_index, uint32_t column)
{
    (void)s;
    (void)table_index;
    (void)column;
    return true;
}

__attribute__((weak)) bool sink_table_stop(struct sink *s, uint32_t table_index, const char *reason)
{
    (void)s;
    (void)table_index;
    (void)reason;
    return false;
}

__attribute__((weak)) void sink_on_wait(struct sink *s, void (*fn)(void *ctx), void *ctx)
{
    (void)s;
    (void)fn;
    (void)ctx;
}

__attribute__((weak)) uint64_t sink_bad_rows(const struct sink *s, uint32_t table_index)
{
    (void)s;
    (void)table_index;
    return 0;
}

__attribute__((weak)) bool sink_bad_row(struct sink_lane *l, uint32_t table_index,
                                        const struct quarantine_entry *why, const uint8_t *identity,
                                        const union val *vals, const uint8_t *states)
{
    (void)l, (void)identity, (void)vals, (void)states;
    PANIC("this sink takes no rows that cannot be read: table %u, %.*s", table_index, (int)why->message.len,
          (const char *)why->message.p);
}

__attribute__((weak)) bool sink_bad_gone(struct sink_lane *l, uint32_t table_index,
                                         const uint8_t identity[QUARANTINE_ID_BYTES])
{
    (void)l, (void)identity;
    PANIC("this sink takes no rows that cannot be read: table %u", table_index);
}
