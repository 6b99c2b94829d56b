/* The explicit table of source kinds: adding one is its folder and a line here. */
#include "source/source.h"

static const struct source_kind *const kinds[] = {
    &source_kind_postgres,
    &source_kind_generator,
    &source_kind_ingest,
};

const struct source_kind *source_kind_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++)
        if (strcmp(kinds[i]->name, name) == 0)
            return kinds[i];
    return NULL;
}

uint32_t source_kind_count(void)
{
    return (uint32_t)ARRAY_COUNT(kinds);
}

const struct source_kind *source_kind_at(uint32_t i)
{
    return i < ARRAY_COUNT(kinds) ? kinds[i] : NULL;
}
