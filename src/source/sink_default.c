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
