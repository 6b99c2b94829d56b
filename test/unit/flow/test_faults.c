/* The pipeline under faults, on one thread: real shards, exchanges, epochs, mirrors, stored views, checkpoints and recovery, and
 * an append log beside them, on a simulated disk, clock and source (test/unit/sim).
 *
 * A seed is a story of several lives. Each ends by itself, by a crash at any call that reaches the disk or changes the store, by a
 * power cut there, by an allocation that fails, or by an error of the disk; the next one opens what is left. Meanwhile the source
 * is slow, loses its connection in the middle of transactions, sends again what was taken, and forgets what was
 * acknowledged. In every visible epoch every view must hold what a recomputation gives from the rows of the
 * transactions that the stored position says; nothing acknowledged may be gone; nothing visible may go back while the machine is up;
 * and in the end everything must be there.
 *
 *   test_faults                  500 seeds, the planted bugs, and that seeds repeat exactly
 *   FAULT_SEEDS=N test_faults    N seeds alone, from FAULT_START (1): make soak SEEDS=N
 *   test_faults SEED [PLANT]     one seed again; SIM_TRACE=1 tells every event
 *
 * That the simulation can fail is a test of its own: each planted bug (enum plant) must be found. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "test/unit/flow/faults_life.h"
#include "test/unit/flow/faults_plant.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define LIVES_MAX      8   /* with faults; then one without must come to the end */
#define LIFE_SECONDS   60  /* of the host */
#define PLANT_SEEDS    200 /* within so many a planted bug must be found */
#define CHECKPOINT_US  4000
#define DONE_PASSES    1000
#define REPEATED_SEEDS 4u
#define WORKERS        2u

/* ---- a life ---- */

static void catalog_make(void)
{
    static uint32_t sources[VIEWS][2] = {{0}, {0}, {1}, {0, 1}};
    static struct catalog_view views[VIEWS];
    life.catalog =
        (struct catalog){.shard_count = model->shards, .version = 1, .view_count = VIEWS, .views = views};
    for (uint32_t v = 0; v < VIEWS; v++) {
        const struct plan_view *p = view_plan->views[v];
        views[v] = (struct catalog_view){.name = (char *)(uintptr_t)p->name,
                                         .slot = v,
                                         .schema = p->schema,
                                         .key_count = p->key_count,
                                         .key = p->key,
                                         .fingerprint = p->fingerprint,
                                         .source_count = v == 3 ? 2 : 1,
                                         .sources = sources[v]};
    }
}

/* A view whose rows the store has not as they are defined now is filled. */
static struct err *fills_find(void)
{
    struct store_shard *sh = store_shard(life.store, 0);
    store_db meta;
    TRY(store_begin(sh));
    struct err *e = store_db_open(sh, "meta", &meta);
    for (uint32_t v = 0; !e && v < VIEWS; v++) {
        char key[32];
        struct slice value;
        snprintf(key, sizeof key, "fingerprint:%u", v);
        life.fill[v] = !store_get(sh, meta, (struct slice){(const uint8_t *)key, strlen(key)}, &value);
    }
    store_abort(sh);
    return e;
}

static int64_t disk_told(void *ctx)
{
    (void)ctx;
    return sim->faults.disk_full ? 0 : (int64_t)1 << 40;
}

static int64_t memory_told(void *ctx)
{
    (void)ctx;
    return 1 << 20;
}

static void pipeline_make(void)
{
    life.sources[0] = (struct pipeline_source){.name = "t", .tables = fault_tables, .table_count = 3};
    life.sources[1] = (struct pipeline_source){.name = "i", .tables = &fault_tables[3], .table_count = 1};
    struct pipeline_options o = {.plan = view_plan,
                                 .catalog = &life.catalog,
                                 .store = life.store,
                                 .gate = life.gate,
                                 .view_fill = life.fill,
                                 .shard_count = model->shards,
                                 .sources = life.sources,
                                 .source_count = 2,
                                 .epoch_us = 2000,
                                 .checkpoint_us = CHECKPOINT_US * model->checkpoint_each,
                                 .checkpoint_bytes = 1 << 30,
                                 .log_us = SECOND,
                                 .log_rows = 20,
                                 .clock = on_clock,
                                 .wait = on_wait,
                                 .reserve_bytes = model->reserves ? 1 << 20 : 0,
                                 .disk_free = disk_told,
                                 .memory_used = memory_told};
    life.pipeline = pipeline_new(&o);
    try(pipeline_open(life.pipeline), "opening the pipeline");
}

static void reader_open(void)
{
    sim_host++;
    must(store_reader_open(sim->root, life.gate, model->shards, &life.reader));
    must(store_snapshot_new(life.reader, &life.snapshot));
    sim_host--;
}

static uint64_t resume_of(uint32_t source, bool *known)
{
    const struct sink *s = pipeline_sink(life.pipeline, source);
    uint64_t position = 0;
    *known = s->resume_len == sizeof position;
    if (*known)
        memcpy(&position, s->resume, sizeof position);
    return position;
}

static void life_open(void)
{
    bool fresh, known;
    struct store_options o = {
        .shard_count = model->shards, .map_bytes = 4 << 20, .no_write_map = model->plain_writes};
    try(gate_open(sim->root, &life.gate, &fresh), "opening the gate");
    if (fresh)
        model->shown = model->shown_log =
            0; /* nobody has seen anything since the machine, or its disk, failed */
    try(store_open(sim->root, life.gate, fresh, &o, &life.store), "opening the store");
    sim_trace("opened", store_epoch(life.store), fresh);
    try(fills_find(), "opening the store");
    catalog_make();
    pipeline_make();
    life.opened = true;
    life.checked = atomic_load(&life.pipeline->epoch_done);
    reader_open();
    life.taken = resume_of(0, &known);
    connect_source();
    uint64_t at = resume_of(1, &known);
    log_open(at, known);
    check_visible("after a start");
    log_commit(life.log_at); /* a source that has none yet gets a position: its views are complete */
    sink_flush(lane(1));
    if (life.taken == 0) {
        uint64_t none = 0;
        if (!sink_commit(lane(0), &none, sizeof none, NULL, 0))
            fail_if_failed();
    }
}

static void life_close(void)
{
    ingest_log_close(life.log);
    sim_host++;
    store_snapshot_free(life.snapshot);
    store_reader_close(life.reader);
    sim_host--;
    life.opened = false;
    pipeline_free(life.pipeline);
    store_close(life.store);
    gate_close(life.gate);
    sim_trace("closed", 0, 0);
    _exit(SIM_CLOSED);
}

/* A life that nothing happens to. */
static bool is_calm(void)
{
    return model->lives > LIVES_MAX || model->last;
}

static void disk_fills(void)
{
    struct sim_faults *f = &sim->faults;
    if (is_calm() || sim_random(6))
        return;
    f->disk_full = !f->disk_full;
    sim_trace("disk full", f->disk_full, 0);
}

/* One thing that happens. */
static void act(void)
{
    uint32_t what = sim_random(40);
    if (what < 12)
        deliver();
    else if (what < 18)
        push();
    else if (what < 23)
        log_apply(1 + sim_random(3));
    else if (what < 34)
        steps(sim_random(30));
    else if (what < 35)
        sim_pass(sim_random(3) * CHECKPOINT_US); /* a source that has stalled */
    else if (what < 36)
        settle();
    else if (what < 37)
        check_visible("at any time");
    else if (what < 38)
        disk_fills();
    else if (what < 39)
        ask_durable();
    else if (sim_random(3) == 0)
        sim_random(3) || is_calm() ? lose_connection() : life_close();
}

static bool everything_taken(void)
{
    return life.next > TRANSACTIONS && model->next_row > LOG_ROWS_MAX / 2 &&
           life.log_at == ingest_log_end(life.log);
}

/* All that was sent is visible, and becomes durable without anything more to come. */
static void live_to_the_end(void)
{
    bool known;
    sim->faults.disk_full = false;
    sim_pass(10 * SECOND); /* a pause ends by itself */
    settle();
    check_visible("in the end");
    if (model->shown != TRANSACTIONS || model->shown_log != life.log_at)
        sim_wrong("in the end: at position %llu and %llu of the log", (unsigned long long)model->shown,
                  (unsigned long long)model->shown_log);
    for (int i = 0; i < DONE_PASSES && model->acknowledged < TRANSACTIONS; i++) {
        sim_pass(CHECKPOINT_US * model->checkpoint_each);
        pipeline_step(life.pipeline, 0);
        fail_if_failed();
        ask_durable();
    }
    if (model->acknowledged < TRANSACTIONS) {
        if (!atomic_load(&life.store->sync_failed))
            sim_wrong("in the end: nothing becomes durable");
        give_up(NULL, "nothing becomes durable");
    }
    if (model->last && (resume_of(0, &known) != TRANSACTIONS || !known))
        sim_wrong("after a last power cut: not everything is there");
}

static void live(void)
{
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    alarm(LIFE_SECONDS);
    if (!getenv("SIM_DEBUG") && !getenv("SIM_TRACE") && !freopen("/dev/null", "w", stderr))
        _exit(SIM_WRONG);
    for (int i = 0; i < SIM_FDS_MAX; i++)
        sim_fds[i].file = SIM_NONE;
    sim_at_point = at_point;
    sim_on = true;
    life_open();
    while (!everything_taken())
        act();
    live_to_the_end();
    sim_trace("done", 0, 0);
    _exit(SIM_DONE);
}

/* ---- a seed: lives, and what comes between them ---- */

static uint32_t up_to(uint32_t a, uint32_t b, uint32_t c)
{
    uint32_t how = sim_random(3);
    return 1 + sim_random(how == 0 ? a : how == 1 ? b : c);
}

static void faults_draw(void)
{
    struct sim_faults *f = &sim->faults;
    *f = (struct sim_faults){.sync_of = ""};
    sim->points = sim->calls = sim->names = sim->syncs = sim->allocs = 0;
    sim->injected = 0;
    sim->panic_is_fine = false;
    model->lives++;
    if (is_calm())
        return;
    uint32_t what = sim_random(10);
    f->crash_how = sim_random(2) ? SIM_CRASH : SIM_POWER;
    static const char *const of[] = {"", "checkpoint", ".mdb", ".log"};
    f->sync_of = of[sim_random(4)];
    if (model->early && model->lives <= 3) /* while everything is being made */
        *(sim_random(3) ? &f->crash_at_name : &f->crash_at_call) = 1 + sim_random(sim_random(2) ? 12 : 40);
    else if (what < 3)
        f->crash_at_sync = up_to(3, 6, 12);
    else if (what < 4)
        f->crash_at_name = up_to(6, 12, 40);
    else if (what < 6)
        f->crash_at_call = up_to(20, 80, 200);
    else if (what < 8)
        f->crash_at = up_to(60, 600, 3000);
    else if (what < 9)
        f->alloc_at = up_to(300, 5000, 60000);
    if (planted(PLANT_TORN_MARKER) &&
        sim_random(2)) /* little is written at a time: it takes aiming to tear it */
        *f = (struct sim_faults){
            .sync_of = "checkpoint", .crash_at_sync = 1 + sim_random(4), .crash_how = SIM_POWER};
    if (what > 6 || sim_random(4) == 0) {
        f->errors_left = 1 + sim_random(3);
        f->error_one_in = up_to(5, 50, 300);
    }
}

static void boot_note(void)
{
    char path[160], text[40];
    snprintf(path, sizeof path, "%s/boot", sim->base);
    FILE *f = fopen(path, "w");
    if (!f)
        PANIC("cannot write %s", path);
    snprintf(text, sizeof text, "boot-%llu\n", (unsigned long long)sim->boot);
    fputs(text, f);
    fclose(f);
}

/* The exit code of a life; SIM_WRONG for whatever must not be. */
static enum sim_exit life_run(void)
{
    int status;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        live();
    while (waitpid(pid, &status, 0) < 0)
        ;
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    if (code == SIM_DONE || (code >= SIM_CLOSED && code <= SIM_WRONG))
        return (enum sim_exit)code;
    if (code >= 0) { /* a sanitizer */
        sim_wrong("a life ends with code %d", code);
        return SIM_WRONG;
    }
    if (WTERMSIG(status) == SIGABRT && sim->panic_is_fine) {
        model->panics++;
        return SIM_CRASH;
    }
    sim_wrong("a life ends by signal %d", WTERMSIG(status));
    return SIM_WRONG;
}

static void between_lives(enum sim_exit end)
{
    sim_trace("life ends", end, model->lives);
    model->ends[end]++;
    model->injected += sim->injected;
    if (end == SIM_POWER)
        sim_disk_power_cut();
    else
        sim_disk_evict();
    boot_note();
}

static void seed_begin(uint64_t seed, enum plant plant)
{
    char base[96];
    snprintf(base, sizeof base, "%s/penstock-faults-%d", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp",
             (int)getpid());
    sim_begin(seed, base);
    sim_disk_begin();
    memset(model, 0, sizeof *model);
    model->plant = plant;
    model->next_row = 1;
    model->shards = 1 + sim_random(4);
    model->plain_writes = sim_random(4) == 0;
    model->early = sim_random(4) == 0;
    model->reserves = sim_random(2);
    model->checkpoint_each = sim_random(2) ? 1 : 1 + sim_random(30);
    sim_disk->lies = plant == PLANT_NO_SYNC;
    sim_disk->tears = plant == PLANT_TORN_MARKER;
    if (sim_disk->tears)
        model->shards = 5; /* a marker of less than four lies in one sector */
    boot_note();
    history_make();
    views_make();
}

/* True when nothing was wrong. */
static bool seed_run(uint64_t seed, enum plant plant)
{
    seed_begin(seed, plant);
    for (enum sim_exit end = SIM_ERROR; end != SIM_DONE && !sim->wrong;) {
        faults_draw();
        end = life_run();
        between_lives(end);
        if (end != SIM_DONE && model->lives > LIVES_MAX + 3)
            sim_wrong("it does not come to an end without faults");
    }
    if (!sim->wrong) {
        sim_disk_power_cut();
        boot_note();
        model->last = true;
        faults_draw();
        if (life_run() != SIM_DONE)
            sim_wrong("after a last power cut it does not come to an end");
    }
    plan_free(view_plan);
    remove_tree(sim->base);
    return !sim->wrong;
}

/* ---- many of them ---- */

/* What a worker has seen; read by all. */
struct tally {
    uint64_t seeds, wrong, epochs, injected, rollbacks, duplicates, pushed, acknowledgements, panics;
    uint64_t ends[SIM_WRONG + 1];
    uint64_t found[PLANT_COUNT]; /* the first seed that finds a planted bug */
};
static struct tally *tallies; /* by worker */

static uint64_t env_number(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 10) : otherwise;
}

static void world_make(void)
{
    sim_disk_init();
    model = sim_share(sizeof *model);
    arena_init(&history_arena);
}

/* Processes that share the work; each has a world of its own, and the thread that plans: this one never plans, as a
 * fork would not take its thread along. False when one did not come to its end. */
static bool share_out(void (*work)(uint32_t worker, struct tally *t))
{
    pid_t pids[WORKERS];
    bool good = true;
    memset(tallies, 0, WORKERS * sizeof *tallies);
    fflush(NULL);
    for (uint32_t w = 0; w < WORKERS; w++) {
        pids[w] = fork();
        if (pids[w] == 0) {
            world_make();
            work(w, &tallies[w]);
            fflush(NULL);
            _exit(0);
        }
    }
    for (uint32_t w = 0; w < WORKERS; w++) {
        int status;
        good &= waitpid(pids[w], &status, 0) == pids[w] && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    }
    return good;
}

static uint64_t sum_of(size_t offset)
{
    uint64_t sum = 0;
    for (uint32_t w = 0; w < WORKERS; w++)
        sum += *(uint64_t *)(void *)((char *)&tallies[w] + offset);
    return sum;
}
#define SUM_OF(field) (unsigned long long)sum_of(offsetof(struct tally, field))

static uint64_t seeds_wanted(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    int seeds = 40;
#else
    int seeds = 500;
#endif
    return env_number("FAULT_SEEDS", (uint64_t)test_rounds(seeds));
}

static void tally_add(struct tally *t, bool good)
{
    t->seeds++;
    t->wrong += !good;
    for (int i = 0; i <= SIM_WRONG; i++)
        t->ends[i] += model->ends[i];
    t->epochs += model->epochs;
    t->injected += model->injected;
    t->acknowledgements += model->checkpoints;
    t->rollbacks += model->rollbacks;
    t->duplicates += model->duplicates;
    t->pushed += model->pushed;
    t->panics += model->panics;
}

static void run_seeds(uint32_t worker, struct tally *t)
{
    uint64_t from = env_number("FAULT_START", 1);
    for (uint64_t seed = from + worker; seed < from + seeds_wanted(); seed += WORKERS) {
        bool good = seed_run(seed, PLANT_NONE);
        if (!good)
            printf("# %s\n# again: test_faults %llu\n", sim->what, (unsigned long long)seed);
        tally_add(t, good);
    }
}

static void repeat_seeds(uint32_t worker, struct tally *t)
{
    for (uint64_t seed = 1 + worker; seed <= REPEATED_SEEDS; seed += WORKERS) {
        bool good = seed_run(seed, PLANT_NONE);
        uint64_t trace = sim->trace, events = sim->events;
        good &= seed_run(seed, PLANT_NONE) && sim->trace == trace && sim->events == events && events > 500;
        tally_add(t, good);
    }
}

/* On machines that are asked for fewer rounds (emulation): those that a few seeds find. */
static enum plant plants_end(void)
{
    return test_rounds(100) < 100 ? PLANT_NO_PIN : PLANT_COUNT;
}

static void find_plants(uint32_t worker, struct tally *t)
{
    for (enum plant p = PLANT_NONE + 1 + worker; p < plants_end(); p += WORKERS) {
        uint64_t seed = 1;
        while (seed <= PLANT_SEEDS && seed_run(seed, p))
            seed++;
        if (seed > PLANT_SEEDS)
            continue;
        char *what = xstrdup(sim->what);
        uint64_t trace = sim->trace;
        printf("# %s: seed %llu: %.*s\n", plant_names[p], (unsigned long long)seed, (int)strcspn(what, "\n"),
               what);
        if (!seed_run(seed, p) && trace == sim->trace) /* and again with the seed that the failure told */
            t->found[p] = seed;
        free(what);
    }
}

/* ---- the tests ---- */

static void no_seed_finds_anything_wrong(void)
{
    CHECK(share_out(run_seeds));
    CHECK(SUM_OF(wrong) == 0 && SUM_OF(seeds) == seeds_wanted());
    printf("# %llu seeds: %llu epochs compared; %llu crashes (%llu for want of memory), %llu power cuts, "
           "%llu lives ended by "
           "errors, %llu calls failed; %llu connections lost, %llu transactions sent again, %llu rows "
           "pushed, %llu "
           "positions acknowledged\n",
           SUM_OF(seeds), SUM_OF(epochs), SUM_OF(ends[SIM_CRASH]), SUM_OF(panics), SUM_OF(ends[SIM_POWER]),
           SUM_OF(ends[SIM_ERROR]), SUM_OF(injected), SUM_OF(rollbacks), SUM_OF(duplicates), SUM_OF(pushed),
           SUM_OF(acknowledgements));
}

static void a_seed_repeats_exactly(void)
{
    CHECK(share_out(repeat_seeds));
    CHECK(SUM_OF(wrong) == 0 && SUM_OF(seeds) == REPEATED_SEEDS);
}

static void every_planted_bug_is_found(void)
{
    CHECK(share_out(find_plants));
    for (enum plant p = PLANT_NONE + 1; p < plants_end(); p++) {
        CHECK(SUM_OF(found[p]) != 0);
        if (!SUM_OF(found[p]))
            printf("# not found: %s\n", plant_names[p]);
    }
}

/* One thread holds all write locks here, in the order that the seed says. */
const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
    return "detect_deadlocks=0";
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    log_setup(LOG_ERROR, LOG_FORMAT_TEXT, "test");
    world_make();
    tallies = sim_share(WORKERS * sizeof *tallies);
    if (argc > 1) {
        bool good = seed_run(strtoull(argv[1], NULL, 10), argc > 2 ? (enum plant)atoi(argv[2]) : PLANT_NONE);
        printf("%s%s\ntrace %016llx, %llu events\n", good ? "good" : "wrong: ", sim->what,
               (unsigned long long)sim->trace, (unsigned long long)sim->events);
        return !good;
    }
    RUN(no_seed_finds_anything_wrong);
    if (getenv("FAULT_SEEDS"))
        TEST_END();
    RUN(a_seed_repeats_exactly);
    RUN(every_planted_bug_is_found);
    TEST_END();
}
