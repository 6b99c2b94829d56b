/* Command lines of SSH sessions: any bytes end in words that, quoted again, are the same words, or in an error that a terminal can show. */
#include "box/words.h"

#include "base/buf.h"
#include "base/text.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct words w, again;
    struct buf line = {0};
    char *copy = xmalloc(size + 1); /* its own memory: reading beyond it is found */
    memcpy(copy, data, size);
    struct err *e = words_split(copy, size, &w);
    if (e) {
        ASSERT(w.count == 0 && utf8_valid((const uint8_t *)e->message, strlen(e->message)));
        for (const char *c = e->message; *c; c++)
            ASSERT((unsigned char)*c >= 0x20 || *c == '\n');
        err_free(e);
        free(copy);
        return 0;
    }
    ASSERT(w.count <= WORDS_MAX && !w.word[w.count]);
    for (int i = 0; i < w.count; i++) {
        buf_put_str(&line, i ? " \"" : "\"");
        for (const char *c = w.word[i]; *c; c++) {
            if (*c == '"' || *c == '\\')
                buf_put_u8(&line, '\\');
            buf_put_u8(&line, (uint8_t)*c);
        }
        buf_put_u8(&line, '"');
    }
    if (line.len <= WORDS_LINE_BYTES_MAX) {
        e = words_split(line.p ? (char *)line.p : "", line.len, &again);
        ASSERT(!e && again.count == w.count);
        for (int i = 0; i < w.count; i++)
            ASSERT(strcmp(w.word[i], again.word[i]) == 0);
        words_free(&again);
    }
    words_free(&w);
    buf_fini(&line);
    free(copy);
    return 0;
}
