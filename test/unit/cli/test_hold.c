/* A pipeline that ended for want of room: what of it holds for the next start of the whole instance. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "cli/hold.h"

#include "base/log.h"
#include "test.h"
#include "test/unit/remove_dir.h"

#include <unistd.h>

static unsigned carried_after(struct gate *g, const char *dir, enum err_code code)
{
    const struct config c = {.reserve_bytes = 1 << 20, .limits.memory = 64 << 20};
    struct err *e = err_new(code, "no room");
    hold_begin(g, &c, dir, e, 1 << 20, "");
    err_free(e);
    CHECK(atomic_load(&g->pause.carried) == 1);
    hold_retry(g);
    CHECK(atomic_load(&g->pause.carried) == (atomic_load(&g->pause.reason) != PAUSE_NONE));
    return atomic_load(&g->pause.carried);
}

/* That of memory is over only with another limit, or with other views: those may have come with the start. */
static void memory_is_tried_again(void)
{
    char dir[] = "/tmp/penstock-test-XXXXXX";
    struct gate *g;
    bool fresh;
    volatile int stop = 0;
    CHECK(mkdtemp(dir) != NULL);
    struct err *e = gate_open(dir, &g, &fresh);
    ASSERT(!e);
    const struct config c = {.reserve_bytes = 1 << 20, .limits.memory = 64 << 20};
    unsigned carried = carried_after(g, dir, ERR_MEMORY);
    CHECK(carried == 0);
    if (!carried)
        hold_wait(g, &c, dir, &stop); /* comes back */
    CHECK(carried_after(g, dir, ERR_SPACE) == 1);
    CHECK(carried_after(g, dir, ERR_MAP) == 1);
    gate_close(g);
    CHECK(test_remove_dir(dir));
}

int main(void)
{
    log_setup(LOG_ERROR, LOG_FORMAT_TEXT, "test");
    RUN(memory_is_tried_again);
    TEST_END();
}
