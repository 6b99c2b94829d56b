/* See rate.h. */
#include "serve/rate.h"

#include <stdlib.h>

#define WAYS 4
#define ONE  INT64_C(1000000)

void rate_init(struct rate *r, int64_t count, int64_t period_s)
{
    *r = (struct rate){0};
    if (count <= 0)
        return;
    r->slots = xcalloc(RATE_KEYS, sizeof *r->slots);
    r->per_us = count * ONE / period_s; /* a millionth of a millionth: a million of them is one millionth */
    r->most = count * ONE;
}

void rate_fini(struct rate *r)
{
    free(r->slots);
    r->slots = NULL;
}

/* Filled up to now. */
static struct rate_slot *find(struct rate *r, uint64_t key, int64_t now_us)
{
    struct rate_slot *set = &r->slots[(key % (RATE_KEYS / WAYS)) * WAYS], *oldest = set;
    for (int i = 0; i < WAYS; i++) {
        if (set[i].key == key) {
            int64_t past = now_us - set[i].at_us;
            int64_t full_us = r->most / (r->per_us ? r->per_us : 1) * ONE + ONE;
            set[i].left = past < 0 || past > full_us ? r->most : set[i].left + past * r->per_us / ONE;
            set[i].left = set[i].left > r->most ? r->most : set[i].left;
            set[i].at_us = now_us;
            return &set[i];
        }
        oldest = set[i].at_us < oldest->at_us ? &set[i] : oldest;
    }
    *oldest = (struct rate_slot){key, r->most, now_us};
    return oldest;
}

static int wait_of(const struct rate *r, const struct rate_slot *s)
{
    if (s->left >= ONE)
        return 0;
    int64_t us = (ONE - s->left) * ONE / (r->per_us ? r->per_us : 1);
    return (int)(us / 1000000 + 1);
}

int rate_look(struct rate *r, uint64_t key, int64_t now_us)
{
    return r->slots ? wait_of(r, find(r, key ? key : 1, now_us)) : 0;
}

int rate_take(struct rate *r, uint64_t key, int64_t now_us)
{
    if (!r->slots)
        return 0;
    struct rate_slot *s = find(r, key ? key : 1, now_us);
    int wait = wait_of(r, s);
    s->left -= wait ? 0 : ONE;
    return wait;
}
