/* Frames of a WebSocket client: in two pieces they must come to the same as in one. */
#include "serve/ws.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define EVENTS_MAX 4096

struct story {
    uint32_t count;
    uint16_t events[EVENTS_MAX]; /* with the code of the last */
};

static void tell(struct story *s, const uint8_t *p, size_t len, size_t piece)
{
    struct ws_parser w = {0};
    s->count = 0;
    for (size_t at = 0; at < len;) {
        size_t used, n = len - at < piece ? len - at : piece;
        enum ws_event e = ws_parse(&w, p + at, n, &used);
        ASSERT(used <= n && (used || e != WS_MORE));
        ASSERT(w.control_len <= WS_CONTROL_MAX && w.message_bytes <= WS_MESSAGE_MAX);
        at += used;
        if (e != WS_MORE && s->count < EVENTS_MAX)
            s->events[s->count++] = (uint16_t)(e == WS_CLOSED || e == WS_FAILED ? e << 13 | w.code : e);
        if (e == WS_CLOSED || e == WS_FAILED)
            return;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct story whole, pieces;
    if (size < 1)
        return 0;
    tell(&whole, data + 1, size - 1, size);
    tell(&pieces, data + 1, size - 1, 1 + data[0] % 32);
    ASSERT(whole.count == pieces.count);
    ASSERT(memcmp(whole.events, pieces.events, whole.count * sizeof whole.events[0]) == 0);
    return 0;
}
