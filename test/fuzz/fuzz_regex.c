/* Any bytes as a regular expression, and on a text: compiling and searching must end in a match, none, or an error of
 * the row. Input: the pattern, a newline, the text. */
#include "types/regex.h"
#include "types/utf8.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct arena arena;
    if (!arena.chunks)
        arena_init(&arena);
    arena_reset(&arena);
    if (size == 0 || size > 300)
        return 0;
    uint8_t *copy = arena_memdup(&arena, data, size);
    uint8_t *line = memchr(copy, '\n', size);
    struct str pattern = {copy, line ? (uint32_t)(line - copy) : (uint32_t)size, 0};
    struct str subject = {line ? line + 1 : copy, line ? (uint32_t)(size - pattern.len - 1) : 0, 0};
    struct fn_ctx ctx = {.arena = &arena};
    struct regex *re = regex_compile(&ctx, &pattern, size & REGEX_FOLD);
    ASSERT((re == NULL) == (ctx.error != FN_OK));
    if (!re)
        return 0;
    struct regex_text text;
    struct regex_span spans[10];
    regex_text_init(&text, &arena, &subject);
    enum regex_result all = regex_search(&ctx, re, &text, 0, ARRAY_COUNT(spans), spans);
    if (all == REGEX_FOUND)
        for (size_t i = 0; i < ARRAY_COUNT(spans); i++)
            ASSERT(spans[i].from <= spans[i].to && spans[i].to <= (int32_t)text.count);
    enum regex_result any = regex_search(&ctx, re, &text, 0, 0, NULL);
    ASSERT(any == all || any == REGEX_FAILED || all == REGEX_FAILED);
    regex_free(re);
    return 0;
}
