/* Room: whether the next epoch may be opened. Part of the coordinator.
 *
 * Between epochs every shard's state and store are at one epoch, so that standing still there needs nothing to be undone:
 * no epoch is opened, the sources wait for room in their rings, checkpoints and reads go on. That is why there is a reserve:
 * what an epoch may take is still to be had when it is opened. One that runs into the end all the same (a single transaction
 * larger than the reserve, a rebuild) has moved operators' state ahead of the store, which nothing can take back: the
 * process ends, and the next one waits for room before it opens its sources (src/cli/cmd_pipeline.c). */
#include "flow/internal.h"

#include "base/log.h"
#include "base/resources.h"
#include "store/pause.h"

#include <stdlib.h>

#define LOOK_US        10000  /* between two looks while all is well */
#define VIEWS_US       500000 /* between two sums over the operators of each view */
#define LOOK_PAUSED_US 200000 /* and while ingest stands still */

static const char disk_advice[] = "make room on the disk that holds the data directory, or take views out: "
                                  "it goes on by itself";

/* ---- memory ---- */

/* Bytes that the operators of a view hold, those shared with other views too. */
static uint64_t view_bytes(const struct pipeline *p, uint32_t v, uint32_t *largest)
{
    const struct op_stats *stats = p->o.op_stats;
    uint64_t sum = 0, most = 0;
    for (uint32_t n = 0; n < stats->node_count; n++) {
        uint64_t bytes = 0;
        if (!(p->view_nodes[v][n / 64] >> (n % 64) & 1))
            continue;
        for (uint32_t s = 0; s < stats->shard_count; s++)
            bytes += atomic_load_explicit(&op_stat_of(stats, s, n)->state_bytes, memory_order_relaxed);
        sum += bytes;
        if (bytes >= most) {
            most = bytes;
            *largest = n;
        }
    }
    return sum;
}

void pause_publish_views(struct pipeline *p, int64_t now)
{
    if (!p->o.op_stats || !p->o.catalog || now - p->room.views_us < VIEWS_US)
        return;
    p->room.views_us = now;
    for (uint32_t v = 0; v < p->o.plan->view_count; v++) {
        uint32_t largest;
        if (p->view_nodes[v])
            atomic_store_explicit(&p->o.gate->views[p->o.catalog->views[v].slot].state_bytes,
                                  view_bytes(p, v, &largest), memory_order_relaxed);
    }
}

/* "a 12.0 MiB (#4 join), ...", of at most three views. */
static void name_largest(const struct pipeline *p, char *out, size_t size)
{
    uint32_t taken[3], count = 0;
    size_t len = 0;
    out[0] = 0;
    while (p->o.op_stats && count < ARRAY_COUNT(taken) && count < p->o.plan->view_count) {
        uint64_t most = 0;
        uint32_t best = UINT32_MAX, node = 0;
        for (uint32_t v = 0; v < p->o.plan->view_count; v++) {
            bool done = !p->view_nodes[v];
            for (uint32_t i = 0; i < count; i++)
                done |= taken[i] == v;
            uint32_t largest = 0;
            uint64_t bytes = done ? 0 : view_bytes(p, v, &largest);
            if (bytes > most) {
                most = bytes;
                best = v;
                node = largest;
            }
        }
        if (best == UINT32_MAX || len >= size)
            return;
        char text[32];
        len += (size_t)snprintf(out + len, size - len, "%s%s %s (#%u %s)", count ? ", " : "",
                                p->o.plan->views[best]->name, size_text((int64_t)most, text), node,
                                plan_kind_name(p->o.plan->nodes[node]->kind));
        taken[count++] = best;
    }
}

void pause_memory_advice(const struct pipeline *p, char out[PAUSE_ADVICE_BYTES])
{
    char largest[160];
    name_largest(p, largest, sizeof largest);
    snprintf(out, PAUSE_ADVICE_BYTES,
             "raise limits.memory and apply; views go with the version that is retired%s%s",
             largest[0] ? "; largest views: " : "", largest);
}

static int64_t memory_now(const struct pipeline *p)
{
    return p->o.memory_used ? p->o.memory_used(p->o.room_ctx) : memory_used();
}

/* While an epoch is open: state that grows past all bounds ends the process before the kernel does. */
/* Any shard, in the middle of an operator too: a join that multiplies rows fills the queues to others in a single step, which
 * the coordinator may be in itself. Past the bound the epoch fails, and what is still put out is dropped (send_msg). */
void pause_check_queues(struct pipeline *p)
{
    int64_t limit = atomic_load_explicit(&p->memory_limit, memory_order_relaxed);
    int64_t used = limit > 0 ? memory_now(p) : 0;
    if (limit > 0 && used > limit + limit / 8)
        pipeline_fail(
            p, err_new(ERR_MEMORY,
                       "rows between shards need more memory than limits.memory allows: %lld MiB are used",
                       (long long)used >> 20));
}

void pause_watch_memory(struct pipeline *p, int64_t now)
{
    int64_t limit = atomic_load_explicit(&p->memory_limit, memory_order_relaxed);
    if (now - p->room.memory_us < LOOK_US)
        return;
    p->room.memory_us = now;
    pause_publish_views(p, now);
    int64_t used = memory_now(p);
    atomic_store_explicit(&p->o.gate->memory_bytes, used, memory_order_relaxed);
    p->room.memory = used;
    atomic_store_explicit(&p->tight, limit > 0 && used > limit - limit / 8, memory_order_relaxed);
    if (limit <= 0 || used <= limit + limit / 8 || atomic_load(&p->epoch_open) == atomic_load(&p->epoch_done))
        return;
    pipeline_fail(p, err_new(ERR_MEMORY,
                             "an epoch needs more memory than limits.memory allows: %lld MiB are used",
                             (long long)used >> 20));
}

/* ---- the disk ---- */

static int64_t disk_now(const struct pipeline *p)
{
    return p->o.disk_free ? p->o.disk_free(p->o.room_ctx) : disk_free(store_dir(p->o.store));
}

/* Room on the disk, and when that is short, room inside the files too: deleted rows leave pages there. */
static int64_t room_now(struct pipeline *p, int64_t need)
{
    int64_t room = disk_now(p);
    atomic_store_explicit(&p->o.gate->disk_free, room, memory_order_relaxed);
    return room < 0 ? INT64_MAX : room >= need ? room : room + (int64_t)store_inside_free(p->o.store);
}

static bool disk_short(struct pipeline *p)
{
    struct gate *g = p->o.gate;
    int64_t reserve = p->o.reserve_bytes;
    bool paused = atomic_load(&g->pause.reason) == PAUSE_DISK;
    if (!p->o.store || reserve <= 0)
        return false;
    int64_t need = paused ? reserve + reserve / 4 : reserve; /* not to and fro at the edge */
    int64_t room = room_now(p, need);
    if (room < need)
        pause_begin(g, PAUSE_DISK, reserve + reserve / 4, room, disk_advice);
    return room < need;
}

static bool memory_short(struct pipeline *p)
{
    struct gate *g = p->o.gate;
    int64_t limit = atomic_load_explicit(&p->memory_limit, memory_order_relaxed);
    bool paused = atomic_load(&g->pause.reason) == PAUSE_MEMORY;
    pause_watch_memory(p, steady_us());
    if (limit <= 0 || p->room.memory <= (paused ? limit - limit / 16 : limit))
        return false;
    char advice[PAUSE_ADVICE_BYTES] = "";
    if (!paused)
        pause_memory_advice(p, advice);
    if (paused)
        pause_update(g, p->room.memory);
    else
        pause_begin(g, PAUSE_MEMORY, limit, p->room.memory, advice);
    return true;
}

bool pause_holds(struct pipeline *p, int64_t now)
{
    struct gate *g = p->o.gate;
    struct room *r = &p->room;
    if (now - r->looked_us < (r->paused ? LOOK_PAUSED_US : LOOK_US))
        return r->paused;
    r->looked_us = now;
    bool was = r->paused;
    r->paused = disk_short(p) || memory_short(p);
    if (r->paused && !was)
        atomic_store(&g->pipeline_state, PIPELINE_PAUSED);
    if (!r->paused && was) {
        atomic_store(&g->pipeline_state, PIPELINE_RUNNING);
        pause_end(g);
    }
    return r->paused;
}

/* Rows that go by the clock free memory; on a full disk they would need pages first. */
bool pause_allows_clock(const struct pipeline *p)
{
    return atomic_load(&p->o.gate->pause.reason) == PAUSE_MEMORY;
}

void pipeline_set_memory(struct pipeline *p, int64_t bytes)
{
    atomic_store(&p->memory_limit, bytes);
    atomic_store(&p->o.gate->memory_limit, bytes > 0 ? bytes : -1);
}
