/* Futex-based wake-ups; see wake.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "flow/wake.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

unsigned wake_prepare(struct wake *w)
{
    unsigned ticket = atomic_load(&w->word);
    atomic_store(&w->sleeping, 1);
    atomic_thread_fence(memory_order_seq_cst);
    return ticket;
}

void wake_cancel(struct wake *w)
{
    atomic_store(&w->sleeping, 0);
}

void wake_wait(struct wake *w, unsigned ticket, int timeout_us)
{
    struct timespec timeout = {timeout_us / 1000000, (timeout_us % 1000000) * 1000L};
    syscall(SYS_futex, &w->word, FUTEX_WAIT_PRIVATE, ticket, &timeout, NULL, 0);
    atomic_store(&w->sleeping, 0);
}

void wake_up(struct wake *w)
{
    atomic_thread_fence(memory_order_seq_cst);
    if (!atomic_load_explicit(&w->sleeping, memory_order_relaxed))
        return;
    atomic_fetch_add(&w->word, 1);
    syscall(SYS_futex, &w->word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}
