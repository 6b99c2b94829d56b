/* Cursors that clients hand back, and the positions within them, whole or not: no input may crash, and what is sealed opens.
 * Positions are sealed, so their bytes are our own: of arrays, ranges and json the insides are trusted as those of stored
 * rows are, and are left out here. */
#include "serve/cursor.h"
#include "serve/page.h"

static const struct column columns[] = {
    {"id", {T_INT8, -1}, true, NULL},        {"name", {T_TEXT, -1}, false, NULL},
    {"price", {T_NUMERIC, -1}, false, NULL}, {"at", {T_INTERVAL, -1}, false, NULL},
    {"ok", {T_BOOL, -1}, false, NULL},
};

/* The rest of the input behind the head that page_encode makes: of this api, and of an order of one column. */
static void positions(struct arena *a, const uint8_t *data, size_t size)
{
    static struct schema schema = {ARRAY_COUNT(columns), (struct column *)columns};
    static struct key_column key[] = {{0, false, false}};
    static struct catalog_view cv = {.name = "x"};
    static struct world_view view = {
        .cv = &cv, .schema = &schema, .key_count = 1, .row_key_count = 1, .row_key = key};
    static struct world_api api = {.path = "x", .view = &view};
    struct rest rest = {.arena = *a};
    struct order_item order = {.column = 0, .type = T_INT8, .from = T_INT8};
    struct query ordered = {.order_count = 1, .order = &order};
    struct read rd = {.api = &api, .view = &view};
    union val vals[ARRAY_COUNT(columns)] = {{.i = 7}};
    uint8_t states[ARRAY_COUNT(columns)] = {VAL_OK};
    struct position at;
    struct buf b = {0};
    rest.vals = vals;
    rest.states = states;
    page_encode(&rest, &rd, &ordered, 1, &b);
    *a = rest.arena;
    ASSERT(page_decode(a, &rd, (struct slice){b.p, b.len}, &at) && at.count == 1 && at.copies == 1);
    b.len = 9; /* format and tag */
    buf_put(&b, data, size);
    if (page_decode(a, &rd, (struct slice){b.p, b.len}, &at))
        ASSERT(at.count && at.count <= ARRAY_COUNT(columns) && at.key.len);
    buf_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct arena arena;
    static struct cursor_sealer sealer;
    struct cursor_key key;
    struct slice plain;
    if (!arena.chunks) {
        arena_init(&arena);
        cursor_key_from((const uint8_t *)"a secret of 32 bytes............", &key);
        cursor_sealer_init(&sealer, &key);
    }
    arena_reset(&arena);
    struct slice input = {arena_memdup(&arena, size ? data : (const uint8_t *)"", size), size};
    ASSERT(!cursor_open(&sealer, &arena, input, &plain)); /* nobody guesses a tag */
    struct buf text = {0};
    if (cursor_seal(&sealer, input, &text))
        ASSERT(cursor_open(&sealer, &arena, (struct slice){text.p, text.len}, &plain) && plain.len == size &&
               memcmp(plain.p, input.p, size) == 0);
    buf_fini(&text);
    positions(&arena, data, size);
    return 0;
}
