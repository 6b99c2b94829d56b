/* Edit distance with transpositions (optimal string alignment), ignoring ASCII case. A name is near enough
 * when at most a third of the wanted name's letters would have to change. */
#include "base/nearest.h"

#include <string.h>
#include <strings.h>

static uint32_t min3(uint32_t a, uint32_t b, uint32_t c)
{
    uint32_t m = a < b ? a : b;
    return m < c ? m : c;
}

static bool same_letter(char a, char b)
{
    return strncasecmp(&a, &b, 1) == 0;
}

static uint32_t edit_distance(const char *a, size_t la, const char *b, size_t lb)
{
    uint32_t rows[3][NEAREST_LEN_MAX + 1];
    uint32_t *before = rows[0], *last = rows[1], *now = rows[2];
    for (uint32_t j = 0; j <= lb; j++)
        last[j] = j;
    for (uint32_t i = 1; i <= la; i++) {
        now[0] = i;
        for (uint32_t j = 1; j <= lb; j++) {
            uint32_t change = same_letter(a[i - 1], b[j - 1]) ? 0 : 1;
            now[j] = min3(last[j] + 1, now[j - 1] + 1, last[j - 1] + change);
            if (i > 1 && j > 1 && same_letter(a[i - 1], b[j - 2]) && same_letter(a[i - 2], b[j - 1]) &&
                before[j - 2] + 1 < now[j])
                now[j] = before[j - 2] + 1;
        }
        uint32_t *spare = before;
        before = last;
        last = now;
        now = spare;
    }
    return last[lb];
}

void nearest_init(struct nearest *n, const char *wanted)
{
    *n = (struct nearest){wanted, NULL, 0};
    size_t len = strlen(wanted);
    n->distance = len > NEAREST_LEN_MAX ? 0 : (uint32_t)len / 3 + 1; /* one more than allowed */
    if (len == 2 || len == 1)
        n->distance = 2;
}

void nearest_offer(struct nearest *n, const char *name)
{
    size_t lw = strlen(n->wanted), ln = strlen(name);
    if (lw > NEAREST_LEN_MAX || ln > NEAREST_LEN_MAX || ln == 0)
        return;
    uint32_t d = edit_distance(n->wanted, lw, name, ln);
    if (d < n->distance && d < ln) {
        n->distance = d;
        n->best = name;
    }
}
