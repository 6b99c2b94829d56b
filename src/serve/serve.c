/* The serve process: starts the loops, then watches the gate for them (new epochs, new generations) until told to stop.
 * See serve.h and README.md. */
#define _GNU_SOURCE
#include "serve/serve.h"
#include "base/crash.h"
#include "base/clock.h"
#include "base/descriptors.h"
#include "base/log.h"
#include "base/numa.h"
#include "base/still.h"
#include "serve/confine.h"
#include "serve/cursor.h"
#include "serve/loop.h"
#include "serve/metrics.h"
#include "store/small_file.h"
#include "serve/why_service.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define WATCH_MS         100 /* how often stop and generation are looked at while no epochs come */
#define LOOK_US          INT64_C(1000000)
#define LOOP_STACK_BYTES (512u << 10) /* musl's default of 128 KiB is small for mbedTLS's handshakes */

struct serve {
    const struct serve_options *options;
    struct gate *gate;
    struct tls_server *tls;
    struct back *back;
    struct why_service *why;
    int run_dir;                /* DATA/run, where the pipeline's socket comes and goes; -1 none */
    char ingest_path[64];       /* through it, as DATA's own path may be too long for an address */
    pthread_mutex_t world_lock; /* over `world` between the notifier, which alone writes it, and /metrics */
    uint32_t connections;       /* limits.connections, or what the process may have open */
    int64_t certificate_day;    /* of the clock, when its end was last looked at */
    struct world *world;
    bool has_generation; /* `generation` was looked at, whether it had a catalog or not */
    unsigned generation;
    int64_t access_stamp; /* of DATA/access.json, when the world was opened */
    char *access_path;    /* owned */
    struct auth_source keys;
    struct cursor_key cursors;
    unsigned versions_seen; /* gate->version_changes, of which the loops were told */
    struct api_names names;
    struct stats_set stats;
    struct loop *loops;
    pthread_t *threads;
    struct still *still; /* per loop: the watchdog's */
    int64_t looked_us;   /* steady */
    uint32_t loop_count, opened, started;
};

void serve_limits_default(struct serve_limits *l)
{
    *l = (struct serve_limits){
        .scan_rows = 100000,
        .page_rows = 100000,
        .answer_bytes = 64 << 20,
        .compress_bytes = 1 << 10,
        .compress_max_bytes = 4 << 20,
        .pending_bytes = 256 << 20,
        .connections = 10000,
        .auth_failures = 60,
        .header_bytes = 16 << 10,
        .target_bytes = 8 << 10,
        .body_bytes = 1 << 20,
        .idle_timeout_us = INT64_C(60000000),
        .body_timeout_us = INT64_C(20000000),
        .header_timeout_us = INT64_C(10000000),
        .write_timeout_us = INT64_C(30000000),
        .wait_us = INT64_C(5000000),
        .heartbeat_us = INT64_C(15000000),
        .live_queue_bytes = 1 << 20,
        .subscribers = 10000,
        .live_changes = 100000,
        .live_window = 1000,
        .live_step_us = 2000,
        .live_window_bytes = 256 << 20,
        .h2_streams = 100,
        .h2_resets = 200,
        .h2_control_frames = 1000,
        .h2_pending_bytes = 16 << 20,
        .stuck_us = INT64_C(120000000),
        .why_rows = 1000000,
        .why_time_us = INT64_C(5000000),
        .metrics_operators = METRICS_OPERATORS_MAX,
    };
}

/* ---- loops ---- */

static void pin(const struct serve_options *o, uint32_t index)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(o->cpus[index % o->cpu_count], &set);
    if (sched_setaffinity(0, sizeof set, &set) != 0)
        log_warn("serve", "cannot pin the loop", "loop=%u cpu=%u error=\"%s\"", index,
                 o->cpus[index % o->cpu_count], strerror(errno));
    else
        (void)numa_prefer(numa_here());
}

static void *loop_main(void *arg)
{
    struct loop *l = arg;
    crash_thread("serve %u", l->index);
    if (l->options->cpu_count)
        pin(l->options, l->index);
    loop_run(l);
    crash_thread_end();
    return NULL;
}

static void loop_init(struct serve *s, uint32_t i)
{
    struct loop *l = &s->loops[i];
    l->index = i;
    l->options = s->options;
    l->tls = s->tls;
    l->back_path = back_path(s->back);
    l->ingest_path = s->ingest_path;
    l->why = s->why;
    l->gate = s->gate;
    l->keys = &s->keys;
    l->cursors = &s->cursors;
    l->stats = s->stats.loops[i];
    l->all = &s->stats;
    l->conn_total = s->connections;
}

static struct err *loops_open(struct serve *s)
{
    struct err *e = NULL;
    for (; s->opened < s->loop_count && !e; s->opened++) {
        loop_init(s, s->opened);
        e = loop_open(&s->loops[s->opened]);
    }
    return e;
}

static struct err *loops_start(struct serve *s)
{
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, LOOP_STACK_BYTES);
    struct err *e = back_start(s->back);
    for (; s->started < s->loop_count && !e; s->started += !e)
        if (pthread_create(&s->threads[s->started], &attr, loop_main, &s->loops[s->started]) != 0)
            e = err_errno(ERR_IO, "start a thread");
    pthread_attr_destroy(&attr);
    return e;
}

static void loops_stop(struct serve *s)
{
    for (uint32_t i = 0; i < s->started; i++) {
        s->loops[i].stop = 1;
        loop_wake(&s->loops[i]);
    }
    for (uint32_t i = 0; i < s->started; i++)
        pthread_join(s->threads[i], NULL);
    for (uint32_t i = 0; i < s->opened; i++)
        loop_close(&s->loops[i]);
}

static void find_ingest(struct serve *s)
{
    char *dir = xprintf("%s/run", s->options->data_dir);
    (void)mkdir(dir, 0700);
    s->run_dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    snprintf(s->ingest_path, sizeof s->ingest_path, "/proc/self/fd/%d/ingest.sock", s->run_dir);
    free(dir);
}

/* ---- worlds ---- */

static void pause_ms(long ms)
{
    struct timespec ts = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&ts, NULL);
}

/* Once a second, from wherever the notifier may wait for long: its own sign of life, and a look at the loops. */
static void look_around(struct serve *s)
{
    uint32_t most = (uint32_t)((s->options->limits.stuck_us + 999999) / 1000000);
    int64_t now = steady_us();
    if (now - s->looked_us < LOOK_US)
        return;
    s->looked_us = now;
    gate_measure_process(s->gate, GATE_SERVE);
    for (uint32_t i = 0; i < s->started; i++) {
        struct still *t = &s->still[i];
        enum still_verdict v = still_look(t, s->gate->loops[i].rounds, still_cpu_ns(s->threads[i]), most);
        if (v == STILL_MOVES)
            continue;
        log_event(EVENT_LOOP_STUCK, LOG_ERROR, "watchdog",
                  "a serve loop is stuck: the server ends, and is started anew",
                  "loop=%u looks=%u working=%d", i, t->quiet + t->busy, v == STILL_BUSY);
        atomic_fetch_add(&s->gate->stats.stuck_loops, 1);
        *t = (struct still){0};
        pthread_kill(s->threads[i], SIGABRT); /* the report shows where it stands */
    }
}

/* Every loop lets go of the world: only then may the store be opened again (see world.h). */
static void world_recall(struct serve *s)
{
    for (uint32_t i = 0; i < s->started; i++) {
        struct world *unread = atomic_exchange(&s->loops[i].offered, NULL);
        (void)unread; /* owned by s->world */
        s->loops[i].release = 1;
        loop_wake(&s->loops[i]);
    }
    for (uint32_t i = 0; i < s->started; i++)
        while (s->loops[i].holding) {
            look_around(s);
            pause_ms(1);
        }
    why_service_recall(s->why);
    pthread_mutex_lock(&s->world_lock);
    world_close(s->world);
    s->world = NULL;
    pthread_mutex_unlock(&s->world_lock);
}

static void world_offer(struct serve *s)
{
    why_service_offer(s->why, s->world);
    for (uint32_t i = 0; i < s->started; i++) {
        s->loops[i].release = 0;
        atomic_store(&s->loops[i].offered, s->world);
        loop_wake(&s->loops[i]);
    }
}

static void complain(const char *what, struct err *e)
{
    char *text = err_text(e);
    log_error("serve", what, "error=\"%s\"", text);
    free(text);
    err_free(e);
}

/* Takes up a new catalog or a store that was put back. */
static void world_refresh(struct serve *s)
{
    unsigned generation = s->gate->generation;
    int64_t stamp =
        small_file_stamp(s->access_path); /* before it is read: what is replaced from now on is noticed */
    bool current = s->has_generation && generation == s->generation && stamp == s->access_stamp;
    if (s->gate->recovering || (current && s->world))
        return;
    if (s->world)
        world_recall(s);
    struct world *opened = NULL;
    struct err *e = world_open(s->options->data_dir, s->gate, &s->names, &opened);
    pthread_mutex_lock(&s->world_lock);
    s->world = opened;
    pthread_mutex_unlock(&s->world_lock);
    if (e && !current)
        complain("cannot open the store yet", e);
    else
        err_free(e);
    s->generation = generation;
    s->access_stamp = stamp;
    s->has_generation = true;
    if (!s->world)
        return;
    log_event(EVENT_SERVE_SERVING, LOG_INFO, "serve", "serving", "generation=%u apis=%u views=%u shards=%u",
              generation, s->world->api_count, s->world->view_count, s->world->shard_count);
    world_offer(s);
}

/* Tokens and keys that changed are taken up by every loop, the idle ones too: live queries end with their tokens. */
static void keys_refresh(struct serve *s)
{
    const struct auth_keys *in_use[GATE_LOOPS_MAX];
    if (auth_source_look(&s->keys))
        for (uint32_t i = 0; i < s->started; i++)
            loop_wake(&s->loops[i]);
    if (!s->keys.retired_count)
        return;
    for (uint32_t i = 0; i < s->opened; i++)
        in_use[i] = atomic_load(&s->loops[i].auth.in_use);
    auth_source_sweep(&s->keys, in_use, s->opened);
}

/* ---- metrics ---- */

static void metrics_text(void *ctx, struct buf *out)
{
    struct serve *s = ctx;
    const struct op_stats *ops = NULL;
    int64_t from = steady_us();
    struct err *e = s->options->limits.metrics_operators ? op_stats_open(s->options->data_dir, &ops) : NULL;
    err_free(e); /* then there are no numbers of operators */
    pthread_mutex_lock(&s->world_lock);
    metrics_write(&(struct metrics_from){.gate = s->gate,
                                         .world = s->world,
                                         .stats = &s->stats,
                                         .ops = ops,
                                         .operators_max = (uint32_t)s->options->limits.metrics_operators,
                                         .now_us = unix_us()},
                  out);
    pthread_mutex_unlock(&s->world_lock);
    op_stats_close(ops);
    s->stats.scrape_us = steady_us() - from;
}

/* ---- the certificate ---- */

#define DAY_S 86400

static void put_date(char out[16], int64_t unix_s)
{
    time_t t = (time_t)unix_s;
    struct tm tm;
    if (!gmtime_r(&t, &tm) || !strftime(out, 16, "%Y-%m-%d", &tm))
        out[0] = 0;
}

static void certificate_refresh(struct serve *s)
{
    bool renewed;
    struct err *e = tls_server_look(s->tls, &renewed);
    if (e)
        complain("the certificate that took the place of the former one cannot be used", e);
    if (!renewed)
        return;
    s->certificate_day = 0;
    log_event(EVENT_TLS_RENEWED, LOG_INFO, "serve", "the certificate was replaced: new connections get it",
              "file=%s/tls/cert.pem", s->options->data_dir);
}

/* Once a day of the clock, whenever that changes: the end of a certificate is to be read long before it comes. */
static void certificate_tell(struct serve *s)
{
    int64_t now = unix_us() / 1000000;
    struct tls_validity v = tls_server_validity(s->tls);
    char from[16], until[16];
    if (now / DAY_S == s->certificate_day)
        return;
    s->certificate_day = now / DAY_S;
    put_date(from, v.from_s);
    put_date(until, v.until_s);
    const char *hint = s->options->certificate
                           ? "put the renewed files in place and reload: penstock apply, or SIGHUP"
                           : "a new self-signed one is made for the same key at the next start after that";
    if (now > v.until_s)
        log_event(EVENT_TLS_EXPIRED, LOG_ERROR, "serve", "the certificate has expired",
                  "until=%s hint=\"%s\"", until, hint);
    else if (now < v.from_s)
        log_event(EVENT_TLS_NOT_YET, LOG_WARN, "serve",
                  "the certificate is not valid yet: is the clock right?", "from=%s", from);
    else if (v.until_s - now < TLS_EXPIRY_WARN_DAYS * DAY_S)
        log_event(EVENT_TLS_EXPIRES, LOG_WARN, "serve", "the certificate expires soon",
                  "days=%lld until=%s hint=\"%s\"", (long long)((v.until_s - now) / DAY_S), until, hint);
}

/* ---- life ---- */

static void epochs_tell(struct serve *s)
{
    for (uint32_t i = 0; i < s->started; i++)
        if (s->loops[i].wants_epochs)
            loop_wake(&s->loops[i]);
}

static void versions_tell(struct serve *s)
{
    unsigned changes = s->gate->version_changes;
    if (changes == s->versions_seen)
        return;
    s->versions_seen = changes;
    for (uint32_t i = 0; i < s->started; i++)
        loop_wake(&s->loops[i]);
}

static void watch(struct serve *s)
{
    uint64_t seen = 0;
    while (!*s->options->stop) {
        world_refresh(s);
        keys_refresh(s);
        versions_tell(s);
        certificate_refresh(s);
        certificate_tell(s);
        look_around(s);
        uint64_t epoch = gate_wait(s->gate, seen, WATCH_MS);
        if (epoch != seen)
            epochs_tell(s);
        seen = epoch;
    }
}

/* Connections, with what each loop may hand on, for this many descriptors beside the fixed ones. */
static uint64_t connections_for(uint64_t files, uint64_t proxies)
{
    return files > 2 * proxies ? files - proxies : files / 2;
}

/* The bound on connections is kept by counting them, not by running out of descriptors half-way through a request. A limit that is
 * too small for the configuration is warned of, as a server with fewer connections is better than none. */
static struct err *descriptors_check(struct serve *s)
{
    uint64_t wanted = (uint64_t)s->options->limits.connections, open = descriptors_raise();
    uint64_t proxies = (uint64_t)s->loop_count * LOOP_PROXIES_MAX;
    uint64_t fixed = SERVE_FDS_SPARE + 6 * (uint64_t)s->loop_count + 2 * (uint64_t)s->gate->shard_count;
    uint64_t needed = fixed + wanted + (wanted < proxies ? wanted : proxies);
    uint64_t fit = open > fixed ? connections_for(open - fixed, proxies) : 0;
    s->connections = wanted < UINT32_MAX ? (uint32_t)wanted : UINT32_MAX;
    if (needed <= open)
        return NULL;
    if (fit < SERVE_CONNECTIONS_MIN)
        return err_hint(
            err_new(ERR_LIMIT,
                    "this process may have %llu files open: too few for %d connections, which "
                    "takes %llu",
                    (unsigned long long)open, SERVE_CONNECTIONS_MIN,
                    (unsigned long long)fixed + 2 * SERVE_CONNECTIONS_MIN),
            "raise the limit to %llu for limits.connections: LimitNOFILE in the systemd unit, or ulimit -n",
            (unsigned long long)needed);
    log_warn("serve", "fewer connections than limits.connections, as few files may be open",
             "limits_connections=%llu connections=%llu open_files=%llu "
             "hint=\"raise the limit of open files to %llu: LimitNOFILE in the systemd unit, or ulimit -n\"",
             (unsigned long long)wanted, (unsigned long long)fit, (unsigned long long)open,
             (unsigned long long)needed);
    s->connections = (uint32_t)fit;
    return NULL;
}

static struct err *prepare(struct serve *s)
{
    const struct serve_options *o = s->options;
    bool fresh;
    if (mkdir(o->data_dir, 0700) != 0 && errno != EEXIST)
        return err_errno(ERR_IO, "make directory %s", o->data_dir);
    TRY(gate_open(o->data_dir, &s->gate, &fresh));
    TRY(descriptors_check(s));
    TRY(cursor_key_load(o->data_dir, &s->cursors));
    TRY(tls_server_new(o->data_dir, o->certificate, o->key, o->client_ca,
                       (enum tls_client_auth)o->client_auth, &s->tls));
    s->stats.tls = s->tls;
    s->why = why_service_new(o, s->gate, &s->cursors);
    const struct back_options back = {o->data_dir, o->control_path,
                                      o->certificate && !tls_server_self_signed(s->tls)};
    TRY(back_new(&back, &(struct back_metrics){metrics_text, s}, s->why, &s->back));
    find_ingest(s);
    (void)auth_source_look(&s->keys);
    TRY(loops_open(s));
    if (!o->confined)
        return NULL;
    gate_readers_reap(s->gate); /* other processes cannot be looked at any more once it is confined */
    unsigned parts;
    TRY(confine_enter(o->data_dir, back_dir(s->back), &parts));
    atomic_store(&s->gate->serve_sandbox, parts);
    return NULL;
}

static void serve_init(struct serve *s, const struct serve_options *o)
{
    s->options = o;
    s->run_dir = -1;
    s->access_path = xprintf("%s/" ACCESS_DOC_FILE, o->data_dir);
    auth_source_init(&s->keys, o->data_dir);
    pthread_mutex_init(&s->world_lock, NULL);
    s->loop_count = o->loop_count ? o->loop_count : 1;
    ASSERT(s->loop_count <= GATE_LOOPS_MAX);
    s->loops = aligned_alloc(CACHE_LINE_BYTES, s->loop_count * sizeof *s->loops);
    ASSERT(s->loops);
    memset(s->loops, 0, s->loop_count * sizeof *s->loops);
    s->threads = xcalloc(s->loop_count, sizeof *s->threads);
    s->still = xcalloc(s->loop_count, sizeof *s->still);
    s->stats.loops = xcalloc(s->loop_count, sizeof *s->stats.loops);
    for (uint32_t i = 0; i < s->loop_count; i++) {
        s->stats.loops[i] = aligned_alloc(CACHE_LINE_BYTES, sizeof **s->stats.loops);
        ASSERT(s->stats.loops[i]);
        memset(s->stats.loops[i], 0, sizeof **s->stats.loops);
    }
    s->stats.loop_count = s->loop_count;
    s->stats.names = &s->names;
}

static void serve_fini(struct serve *s)
{
    if (s->why)
        why_service_recall(s->why);
    back_stop(s->back);
    why_service_free(s->why);
    if (s->run_dir >= 0)
        close(s->run_dir);
    world_close(s->world);
    tls_server_free(s->tls);
    if (s->gate)
        gate_close(s->gate);
    for (uint32_t i = 0; i < s->loop_count; i++)
        free(s->stats.loops[i]);
    for (uint32_t i = 0; i < s->names.count; i++)
        free(s->names.names[i]);
    auth_source_fini(&s->keys);
    free(s->access_path);
    free(s->stats.loops);
    free(s->threads);
    free(s->still);
    free(s->loops);
}

struct err *serve_run(const struct serve_options *o)
{
    struct serve *s = xcalloc(1, sizeof *s);
    serve_init(s, o);
    struct err *e = prepare(s);
    if (!e)
        e = loops_start(s);
    if (!e) {
        log_event(EVENT_SERVE_LISTENING, LOG_INFO, "serve", "listening", "host=%s port=%d loops=%u", o->host,
                  o->bound_port ? *o->bound_port : o->port, s->loop_count);
        watch(s);
        log_event(EVENT_SERVE_STOPPING, LOG_INFO, "serve", "stopping", "loops=%u", s->loop_count);
    }
    loops_stop(s);
    serve_fini(s);
    free(s);
    return e;
}
