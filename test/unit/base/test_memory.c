/* memcpy, memmove and memcmp against plain loops: every length to 300, every overlap of either direction. */
#include "test/unit/test.h"

#include <stdint.h>

static uint8_t area[2048], want[2048];

static void fill(unsigned seed)
{
    for (size_t i = 0; i < sizeof area; i++) {
        seed = seed * 1103515245u + 12345u;
        area[i] = want[i] = (uint8_t)(seed >> 16);
    }
}

static void move_by_bytes(uint8_t *d, const uint8_t *s, size_t n)
{
    static uint8_t copy[1024];
    for (size_t i = 0; i < n; i++)
        copy[i] = s[i];
    for (size_t i = 0; i < n; i++)
        d[i] = copy[i];
}

static void moves_of_every_overlap(void)
{
    void *(*volatile move)(void *, const void *, size_t) = memmove; /* not the compiler's own */
    int wrong = 0;
    for (size_t n = 0; n <= 300; n++)
        for (int shift = -310; shift <= 310; shift += n < 80 ? 1 : 7) {
            uint8_t *s = area + 700, *d = s + shift;
            fill((unsigned)n);
            move_by_bytes(want + 700 + shift, want + 700, n);
            wrong += move(d, s, n) != d;
            for (size_t i = 0; i < sizeof area; i++)
                wrong += area[i] != want[i];
        }
    CHECK(wrong == 0);
}

static void copies_of_every_length(void)
{
    void *(*volatile copy)(void *restrict, const void *restrict, size_t) = memcpy;
    int wrong = 0;
    for (size_t n = 0; n <= 600; n++) {
        fill((unsigned)n);
        move_by_bytes(want + 1000, want + 3, n);
        wrong += copy(area + 1000, area + 3, n) != area + 1000;
        for (size_t i = 0; i < sizeof area; i++)
            wrong += area[i] != want[i];
    }
    CHECK(wrong == 0);
}

static int sign(int v)
{
    return (v > 0) - (v < 0);
}

static void comparisons_are_of_unsigned_bytes(void)
{
    int (*volatile compare)(const void *, const void *, size_t) = memcmp;
    for (size_t n = 0; n <= 80; n++) {
        fill(7);
        memcpy(area + 1000, area, n);
        CHECK(compare(area, area + 1000, n) == 0);
        for (size_t at = 0; at < n; at++) {
            area[1000 + at] ^= 0x80; /* the sign bit: bytes are unsigned */
            int expected = area[at] < area[1000 + at] ? -1 : 1;
            CHECK(sign(compare(area, area + 1000, n)) == expected);
            CHECK(sign(compare(area + 1000, area, n)) == -expected);
            area[1000 + at] ^= 0x80;
        }
    }
}

int main(void)
{
    RUN(moves_of_every_overlap);
    RUN(copies_of_every_length);
    RUN(comparisons_are_of_unsigned_bytes);
    TEST_END();
}
