/* Sets of characters of regular expressions: ranges while a set is read, then a bitmap for ASCII and ranges for the
 * rest. Classes hold ASCII characters only, as PostgreSQL's do under collation C. */
#include "types/regex_impl.h"

#include <stdlib.h>

#define CHAR_LAST 0x7ffffffeu

void rx_ranges_add(struct rx_ranges *r, uint32_t from, uint32_t to)
{
    if (r->count == r->cap) {
        r->cap = r->cap ? r->cap * 2 : 8;
        struct rx_range *more = arena_alloc(r->arena, r->cap * sizeof *more);
        if (r->count)
            memcpy(more, r->items, r->count * sizeof *more);
        r->items = more;
    }
    r->items[r->count++] = (struct rx_range){from, to};
}

static void add_other_case(struct rx_ranges *r, struct rx_range have, uint32_t first, uint32_t other)
{
    uint32_t from = have.from > first ? have.from : first, last = first + 25;
    uint32_t to = have.to < last ? have.to : last;
    if (from <= to)
        rx_ranges_add(r, from - first + other, to - first + other);
}

void rx_ranges_fold(struct rx_ranges *r)
{
    for (uint32_t i = 0, n = r->count; i < n; i++) {
        add_other_case(r, r->items[i], 'a', 'A');
        add_other_case(r, r->items[i], 'A', 'a');
    }
}

static int range_cmp(const void *a, const void *b)
{
    uint32_t x = ((const struct rx_range *)a)->from, y = ((const struct rx_range *)b)->from;
    return (x > y) - (x < y);
}

/* In order, without overlaps. */
static void settle(struct rx_ranges *r)
{
    if (r->count < 2)
        return;
    qsort(r->items, r->count, sizeof *r->items, range_cmp);
    uint32_t kept = 0;
    for (uint32_t i = 1; i < r->count; i++) {
        struct rx_range *last = &r->items[kept], *next = &r->items[i];
        if (next->from > last->to + 1)
            r->items[++kept] = *next;
        else if (next->to > last->to)
            last->to = next->to;
    }
    r->count = kept + 1;
}

void rx_ranges_invert(struct rx_ranges *r)
{
    struct rx_ranges out = {.arena = r->arena};
    uint32_t from = 0;
    settle(r);
    for (uint32_t i = 0; i < r->count; i++) {
        if (r->items[i].from > from)
            rx_ranges_add(&out, from, r->items[i].from - 1);
        from = r->items[i].to + 1;
    }
    if (from <= CHAR_LAST)
        rx_ranges_add(&out, from, CHAR_LAST);
    *r = out;
}

void rx_ranges_remove(struct rx_ranges *r, uint32_t c)
{
    for (uint32_t i = 0, n = r->count; i < n; i++) {
        struct rx_range had = r->items[i];
        if (c < had.from || c > had.to)
            continue;
        r->items[i] = (struct rx_range){had.from, c - 1};
        if (c == had.from) /* an empty range would not be one: c may be 0 */
            r->items[i] = had.to > c ? (struct rx_range){c + 1, had.to} : r->items[--r->count];
        else if (c < had.to)
            rx_ranges_add(r, c + 1, had.to);
        return;
    }
}

static const struct {
    const char *name;
    struct rx_range ranges[4];
    uint32_t count;
} classes[] = {
    {"alnum", {{'0', '9'}, {'A', 'Z'}, {'a', 'z'}}, 3},
    {"alpha", {{'A', 'Z'}, {'a', 'z'}}, 2},
    {"ascii", {{0, 127}}, 1},
    {"blank", {{' ', ' '}, {'\t', '\t'}}, 2},
    {"cntrl", {{0, 31}, {127, 127}}, 2},
    {"digit", {{'0', '9'}}, 1},
    {"graph", {{33, 126}}, 1},
    {"lower", {{'a', 'z'}}, 1},
    {"print", {{32, 126}}, 1},
    {"punct", {{33, 47}, {58, 64}, {91, 96}, {123, 126}}, 4},
    {"space", {{'\t', '\r'}, {' ', ' '}}, 2},
    {"upper", {{'A', 'Z'}}, 1},
    {"xdigit", {{'0', '9'}, {'A', 'F'}, {'a', 'f'}}, 3},
    {"word", {{'0', '9'}, {'A', 'Z'}, {'a', 'z'}, {'_', '_'}}, 4},
};

bool rx_ranges_add_class(struct rx_ranges *r, const char *name, size_t len, bool fold, bool complement)
{
    struct rx_ranges found = {.arena = r->arena};
    bool known = false;
    for (size_t i = 0; i < ARRAY_COUNT(classes); i++) {
        if (strlen(classes[i].name) != len || memcmp(classes[i].name, name, len) != 0)
            continue;
        known = true;
        for (uint32_t k = 0; k < classes[i].count; k++)
            rx_ranges_add(&found, classes[i].ranges[k].from, classes[i].ranges[k].to);
    }
    if (fold) /* lower and upper are all letters then */
        rx_ranges_fold(&found);
    if (complement)
        rx_ranges_invert(&found);
    for (uint32_t i = 0; i < found.count; i++)
        rx_ranges_add(r, found.items[i].from, found.items[i].to);
    return known;
}

const struct rx_set *rx_set_make(struct rx_ranges *r)
{
    struct rx_set *s = ARENA_NEW(r->arena, struct rx_set);
    struct rx_range *high = arena_alloc(r->arena, r->count * sizeof *high);
    settle(r);
    for (uint32_t i = 0; i < r->count; i++) {
        struct rx_range x = r->items[i];
        for (uint32_t c = x.from; c <= x.to && c < 128; c++)
            s->low[c >> 6] |= UINT64_C(1) << (c & 63);
        if (x.to >= 128)
            high[s->count++] = (struct rx_range){x.from < 128 ? 128 : x.from, x.to};
    }
    s->ranges = high;
    return s;
}
