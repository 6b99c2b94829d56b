/* What crosses threads, by itself: ring, wake-up, pool. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "test/unit/test.h"

#include "flow/pool.h"
#include "flow/ring.h"
#include "flow/wake.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#define MESSAGES 200000
#define LOST_US  100000000

struct pair {
    struct ring ring;
    struct wake producer, consumer;
    uint64_t wrong;
    atomic_uint slept;
};

static void ring_holds_its_capacity_and_no_more(void)
{
    struct ring r;
    struct msg m = {.kind = MSG_MARKER};
    ring_init(&r, 8);
    CHECK(ring_peek(&r) == NULL && !ring_full(&r));
    for (int round = 0; round < 5; round++) {
        for (m.number = 0; m.number < 8; m.number++)
            CHECK(ring_push(&r, &m));
        CHECK(!ring_push(&r, &m) && ring_full(&r));
        for (uint64_t n = 0; n < 8; n++) {
            CHECK(ring_peek(&r)->number == n && ring_peek(&r)->number == n);
            ring_drop(&r);
        }
        CHECK(ring_peek(&r) == NULL && !ring_full(&r));
    }
    m = (struct msg){.kind = MSG_ROWS, .batch = batch_new(1)}; /* what is left in it is freed with it */
    CHECK(ring_push(&r, &m));
    m = (struct msg){.kind = MSG_MOVE, .batch = batch_new(1), .other = batch_new(1)};
    CHECK(ring_push(&r, &m));
    m = (struct msg){.kind = MSG_CHUNK_END, .other = malloc(8)};
    CHECK(ring_push(&r, &m));
    ring_fini(&r);
}

static void *consume(void *arg)
{
    struct pair *p = arg;
    for (uint64_t n = 0; n < MESSAGES;) {
        const struct msg *m = ring_peek(&p->ring);
        if (!m) {
            unsigned ticket = wake_prepare(&p->consumer);
            if (ring_peek(&p->ring)) {
                wake_cancel(&p->consumer);
            } else {
                wake_wait(&p->consumer, ticket, LOST_US);
                atomic_fetch_add(&p->slept, 1);
            }
            continue;
        }
        p->wrong += m->number != n || m->target != (uint32_t)(n * 7) || *(uint64_t *)m->other != n;
        free(m->other);
        ring_drop(&p->ring);
        n++;
        wake_up(&p->producer);
    }
    return NULL;
}

/* Both sides sleep whenever they can; one lost wake-up costs five seconds, so the time tells. */
static void two_threads_lose_neither_message_nor_wake_up(void)
{
    struct pair *p = aligned_alloc(CACHE_LINE_BYTES, sizeof *p);
    struct timespec from, to;
    pthread_t thread;
    memset(p, 0, sizeof *p);
    ring_init(&p->ring, 16);
    clock_gettime(CLOCK_MONOTONIC, &from);
    CHECK(pthread_create(&thread, NULL, consume, p) == 0);
    for (uint64_t n = 0; n < MESSAGES; n++) {
        uint64_t *number = xmalloc(sizeof *number);
        *number = n;
        struct msg m = {.number = n, .target = (uint32_t)(n * 7), .other = number};
        while (!ring_push(&p->ring, &m)) {
            unsigned ticket = wake_prepare(&p->producer);
            if (ring_full(&p->ring))
                wake_wait(&p->producer, ticket, LOST_US);
            else
                wake_cancel(&p->producer);
        }
        wake_up(&p->consumer);
        if (n % 20000 == 0)
            nanosleep(&(struct timespec){0, 1000000}, NULL); /* so that the other side does fall asleep */
    }
    pthread_join(thread, NULL);
    clock_gettime(CLOCK_MONOTONIC, &to);
    CHECK(p->wrong == 0);
    CHECK(atomic_load(&p->slept) > 0);
    CHECK(to.tv_sec - from.tv_sec < LOST_US / 1000000); /* a wake-up that is lost costs as much */
    ring_fini(&p->ring);
    free(p);
}

static void wait_ends_at_its_time(void)
{
    struct wake w = {0};
    struct timespec from, to;
    clock_gettime(CLOCK_MONOTONIC, &from);
    wake_wait(&w, wake_prepare(&w), 20000);
    clock_gettime(CLOCK_MONOTONIC, &to);
    CHECK((to.tv_sec - from.tv_sec) * 1000000000 + to.tv_nsec - from.tv_nsec >= 19000000);
    unsigned ticket = wake_prepare(&w);
    wake_up(&w); /* between announcement and sleep: the sleep does not happen */
    wake_wait(&w, ticket, 10000000);
    clock_gettime(CLOCK_MONOTONIC, &from);
    CHECK(from.tv_sec - to.tv_sec < 5);
}

static void pool_keeps_batches_by_width_up_to_its_limit(void)
{
    struct pool p = {0};
    struct batch *taken[POOL_BATCHES_MAX + 1], *other = pool_get(&p, 3);
    for (int i = 0; i <= POOL_BATCHES_MAX; i++)
        taken[i] = pool_get(&p, 2);
    taken[0]->row_count = 5;
    for (int i = 0; i <= POOL_BATCHES_MAX; i++) /* one more than it keeps */
        pool_put(&p, taken[i]);
    pool_put(&p, other);
    CHECK(p.stack_count == 2);
    for (int i = 0; i < POOL_BATCHES_MAX; i++) {
        struct batch *b = pool_get(&p, 2);
        CHECK(b->row_count == 0 && b->column_count == 2);
        batch_free(b);
    }
    CHECK(pool_get(&p, 3) == other);
    batch_free(other);
    pool_fini(&p);
}

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    RUN(ring_holds_its_capacity_and_no_more);
    RUN(two_threads_lose_neither_message_nor_wake_up);
    RUN(wait_ends_at_its_time);
    RUN(pool_keeps_batches_by_width_up_to_its_limit);
    TEST_END();
}
