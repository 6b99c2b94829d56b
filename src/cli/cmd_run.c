/* `penstock run`: the small supervisor of the pipeline and the serve process.
 *
 * Each runs as this program anew, so that the server's memory never held a source's password, and its environment is
 * empty. A process that ends is started again, later and later while it keeps failing; the other goes on meanwhile. A
 * configuration that is wrong at the first start ends everything with status 2.
 *
 * SIGHUP reads the configuration again: `penstock check` judges it first, in a process of its own. If it is right, the
 * pipeline stops at an epoch and starts with it, while the APIs go on from the stored views; the server starts anew only when
 * its own settings changed. If it is wrong, the running one goes on. What became of it stands in DATA/run/reload. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "box/box.h"
#include "cli/access.h"
#include "cli/cli.h"
#include "cli/user.h"
#include "cli/world.h"

#include "base/crash.h"
#include "base/log.h"
#include "base/sandbox.h"
#include "base/clock.h"
#include "cli/hold.h"
#include "flow/topology.h"
#include "store/audit.h"
#include "store/backup.h"
#include "store/pause.h"
#include "serve/jwks.h"
#include "serve/serve.h"
#include "store/small_file.h"

#include <errno.h>
#include <stdarg.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BACKOFF_FIRST_MS 50
#define BACKOFF_MOST_MS  5000
#define STEADY_MS        10000 /* a process that ran so long starts over with the first delay */
#define STOP_WAIT_MS     10000
#define ARGS_MAX         200
#define LOOK_MS          1000   /* between two looks at the pipeline's heartbeat */
#define CHECK_WAIT_MS    120000 /* a check of a new configuration that takes longer is given up */

struct child {
    const char *name;
    char *argv[ARGS_MAX];
    int argc;
    bool clean_environment;
    bool quiet;         /* its standard output is not wanted */
    bool ends_wanted;   /* it was told to end: no failure, no delay */
    int64_t kill_at_ms; /* if it has not ended by then; 0: never */
    pid_t pid;          /* 0: not running */
    int64_t started_ms, start_at_ms;
    int backoff_ms;
    uint32_t starts;
    int64_t heartbeat_us; /* the pipeline's last look: see is_stuck */
    uint64_t cpu_ticks;
    unsigned still;
};
struct supervisor {
    struct child pipeline, serve;
    struct child check; /* of a configuration to be loaded */
    const struct cli_args *args;
    char *data;       /* owned */
    uint32_t reloads; /* asked for so far */
    struct gate *gate;
    unsigned stuck_looks;  /* of watch_child; 0: never */
    struct config *access; /* owned: the configuration in force, for what it says of access */
    bool keys_looked;
    int64_t keys_stamp; /* of the identity provider's file, when it was last read */
    bool was_running;   /* the pipeline has been up: from then on it is always restarted */
};

static volatile sig_atomic_t stop_requested, reload_requested;

static void on_signal(int sig)
{
    if (sig == SIGHUP)
        reload_requested = 1;
    else
        stop_requested = 1;
}

static int64_t now_ms(void)
{
    return steady_us() / 1000;
}

/* ---- command lines of the children ---- */

static void add(struct child *c, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void add(struct child *c, const char *fmt, ...)
{
    char *text = NULL;
    va_list args;
    va_start(args, fmt);
    if (vasprintf(&text, fmt, args) < 0)
        PANIC("out of memory");
    va_end(args);
    ASSERT(c->argc < ARGS_MAX - 1);
    c->argv[c->argc++] = text;
}

static void args_free(struct child *c)
{
    while (c->argc)
        free(c->argv[--c->argc]);
    memset(c->argv, 0, sizeof c->argv);
}

static void add_set(struct child *c, const char *name, int64_t value)
{
    add(c, "--set");
    add(c, "%s=%lld", name, (long long)value);
}

static void add_text(struct child *c, const char *name, const char *value)
{
    if (!value)
        return;
    add(c, "--set");
    add(c, "%s=%s", name, value);
}

static void pipeline_args(struct child *c, const struct cli_args *a, const char *data)
{
    c->name = "pipeline";
    add(c, "penstock");
    add(c, "pipeline-process");
    add(c, "-c");
    add(c, "%s", a->config);
    add(c, "--data");
    add(c, "%s", data);
    if (a->shards) {
        add(c, "--shards");
        add(c, "%lld", (long long)a->shards);
    }
    if (a->log_json)
        add(c, "--log=json");
    if (a->verbose)
        add(c, "--verbose");
}

static void check_args(struct child *c, const struct cli_args *a, const char *data)
{
    c->name = "check";
    c->quiet = true;
    add(c, "penstock");
    add(c, "check");
    if (a->log_json)
        add(c, "--log=json");
    add(c, "-c");
    add(c, "%s", a->config);
    add(c, "--data");
    add(c, "%s", data);
}

static void add_cpus(struct child *c, const char *name, const uint32_t *cpus, uint32_t count)
{
    struct buf list = {0};
    for (uint32_t i = 0; i < count; i++)
        buf_printf(&list, "%s%u", i ? "," : "", cpus[i]);
    add(c, "--set");
    add(c, "%s=%.*s", name, (int)list.len, list.p);
    buf_fini(&list);
}

static void serve_cores(struct child *c, const struct placement *p)
{
    add_set(c, "loops", p->serve_count);
    if (p->shared)
        return;
    add_cpus(c, "cpus", p->serve, p->serve_count);
    if (p->system_count)
        add_cpus(c, "other_cpus", p->system, p->system_count);
}

static enum serve_ingest ingest_access(const struct config *f)
{
    for (uint32_t i = 0; i < f->source_count; i++)
        if (strcmp(f->sources[i].kind, "ingest") == 0)
            return f->ingest ? SERVE_INGEST_ALL : SERVE_INGEST_TOKEN;
    return SERVE_INGEST_NONE;
}

/* Another one when the file was written anew: a renewed certificate is taken up by a reload. */
static int64_t file_stamp(const char *path)
{
    struct stat st;
    if (!path || stat(path, &st) != 0)
        return 0;
    uint64_t mixed = (uint64_t)st.st_mtim.tv_sec * 1000003 + (uint64_t)st.st_mtim.tv_nsec +
                     (uint64_t)st.st_size * 31 + (uint64_t)st.st_ino * 7;
    return (int64_t)(mixed & UINT64_C(0x3fffffffffffffff));
}

static void serve_args(struct child *c, const struct cli_args *a, const struct config *f, const char *data,
                       const struct placement *p)
{
    c->name = "serve";
    c->clean_environment = true;
    add(c, "penstock");
    add(c, "serve-process");
    add(c, "--data");
    add(c, "%s", data);
    if (a->log_json)
        add(c, "--log=json");
    add_text(c, "host", f->listen_host);
    add_set(c, "port", f->listen_port);
    if (f->grpc_host) {
        add_text(c, "grpc_host", f->grpc_host);
        add_set(c, "grpc_port", f->grpc_port);
        add_set(c, "grpc_optional", f->grpc_optional);
    }
    add_text(c, "control", a->control ? a->control : box_board() ? BOX_CONTROL_CONSOLE : NULL);
    add_text(c, "certificate", f->certificate);
    add_text(c, "key", f->key);
    add_text(c, "client_ca", f->client_ca);
    add_set(c, "client_auth", f->client_auth);
    for (uint32_t i = 0; i < f->cors.count; i++)
        add_text(c, "origin", f->cors.names[i]);
    if (f->certificate || f->client_ca)
        add_set(c, "certificate_stamp",
                file_stamp(f->certificate) ^ file_stamp(f->key) << 1 ^ file_stamp(f->client_ca) << 2);
    add_set(c, "anonymous", f->anonymous == ACCESS_READ);
    add_set(c, "errors", f->errors == ACCESS_READ);
    add_set(c, "ingest", ingest_access(f));
    add_set(c, "scan_rows", f->limits.scan_rows);
    add_set(c, "page_rows", f->limits.page_rows);
    add_set(c, "connections", f->limits.connections);
    add_set(c, "address_connections", f->limits.address_connections);
    add_set(c, "address_requests", f->limits.address_requests);
    add_set(c, "caller_requests", f->limits.caller_requests);
    add_set(c, "caller_subscribers", f->limits.caller_subscribers);
    add_set(c, "auth_failures", f->limits.auth_failures);
    add_set(c, "header_bytes", f->limits.header_bytes);
    add_set(c, "body_bytes", f->limits.body_bytes);
    add_set(c, "idle_timeout_us", f->limits.idle_timeout_us);
    add_set(c, "body_timeout_us", f->limits.body_timeout_us);
    add_set(c, "header_timeout_us", f->limits.header_timeout_us);
    add_set(c, "target_bytes", f->limits.target_bytes);
    add_set(c, "write_timeout_us", f->limits.write_timeout_us);
    add_set(c, "answer_bytes", f->limits.answer_bytes);
    add_set(c, "compress_bytes", f->limits.compress_bytes);
    add_set(c, "compress_max_bytes", f->limits.compress_max_bytes);
    add_set(c, "pending_bytes", f->limits.pending_bytes);
    add_set(c, "wait_us", f->limits.wait_us);
    add_set(c, "heartbeat_us", f->limits.heartbeat_us);
    add_set(c, "live_changes", f->limits.live_changes);
    add_set(c, "live_window", f->limits.live_window);
    add_set(c, "live_step_us", f->limits.live_step_us);
    add_set(c, "live_window_bytes", f->limits.live_window_bytes);
    add_set(c, "live_queue_bytes", f->limits.live_queue_bytes);
    add_set(c, "subscribers", f->limits.subscribers);
    add_set(c, "h2_streams", f->limits.h2_streams);
    add_set(c, "h2_resets", f->limits.h2_resets);
    add_set(c, "h2_control_frames", f->limits.h2_control_frames);
    add_set(c, "h2_pending_bytes", f->limits.h2_pending_bytes);
    add_set(c, "stuck_us", f->limits.stuck_us);
    add_set(c, "why", f->why == ACCESS_READ);
    add_set(c, "why_rows", f->limits.why_rows);
    add_set(c, "why_time_us", f->limits.why_time_us);
    add_set(c, "metrics_operators", f->limits.metrics_operators);
    serve_cores(c, p);
}

/* The server may not read the provider's file, which lies anywhere: it gets a copy, and another one whenever that was replaced. What
 * cannot be used is told once, and the former copy stays. */
static void publish_keys(struct supervisor *s)
{
    char *text = NULL, *had = NULL, *path;
    size_t len, had_len;
    const char *from = s->access->access.jwt.jwks;
    int64_t stamp = from ? small_file_stamp(from) : 0;
    if (!from || (s->keys_looked && stamp == s->keys_stamp))
        return;
    s->keys_looked = true;
    s->keys_stamp = stamp;
    struct err *e = access_jwks_read(s->access, &text, &len);
    path = xprintf("%s/" JWKS_FILE, s->data);
    if (!e)
        e = small_file_read(path, JWKS_BYTES_MAX, &had, &had_len);
    if (!e && (!had || had_len != len || memcmp(had, text, len) != 0)) {
        e = small_file_replace(s->data, JWKS_FILE, text, len);
        if (!e)
            log_event(EVENT_ACCESS_KEYS, LOG_INFO, "access", "the identity provider's keys are taken up",
                      "file=%s", from);
    }
    if (e)
        log_event(EVENT_ACCESS_KEPT, LOG_ERROR, "access",
                  "a file cannot be used: what was read before stays in force", "file=%s error=\"%s\"", from,
                  e->message);
    err_free(e);
    free(path);
    free(had);
    free(text);
}

/* Rules for the server, which takes them up by itself. */
static struct err *publish_access(const struct config *c, const char *data)
{
    bool changed;
    struct access_doc *d = access_doc_of(c);
    struct err *e = access_doc_save(d, data, &changed);
    access_doc_free(d);
    return e ? err_wrap(e, "access") : NULL;
}

/* ---- processes ---- */

/* This process keeps off the shards' cores; its children choose among all that it was given. */
static cpu_set_t given_cpus;

static void everywhere(void)
{
    if (CPU_COUNT(&given_cpus) == 0)
        (void)sched_getaffinity(0, sizeof given_cpus, &given_cpus);
    (void)sched_setaffinity(0, sizeof given_cpus, &given_cpus);
}

static void start(struct child *c)
{
    static char *const empty[] = {NULL};
    c->started_ms = now_ms();
    c->starts++;
    pid_t parent = getpid();
    c->pid = fork();
    if (c->pid < 0) {
        c->pid = 0;
        c->start_at_ms = now_ms() + BACKOFF_MOST_MS;
        log_error("supervisor", "cannot fork", "name=%s error=\"%s\"", c->name, strerror(errno));
        return;
    }
    if (c->pid == 0) {
        if (getppid() != parent)
            _exit(EXIT_FAILED);
        everywhere();
        if (c->quiet && !freopen("/dev/null", "w", stdout))
            _exit(EXIT_FAILED);
        execve("/proc/self/exe", c->argv, c->clean_environment ? empty : environ);
        log_error("supervisor", "cannot start", "name=%s error=\"%s\"", c->name, strerror(errno));
        _exit(EXIT_FAILED);
    }
}

static void ended(struct supervisor *s, struct child *c, int status)
{
    bool killed = WIFSIGNALED(status), wanted = c->ends_wanted;
    int code = killed ? WTERMSIG(status) : WEXITSTATUS(status);
    c->ends_wanted = false;
    c->kill_at_ms = 0;
    if (now_ms() - c->started_ms > STEADY_MS)
        c->backoff_ms = 0;
    c->backoff_ms = c->backoff_ms ? c->backoff_ms * 2 : BACKOFF_FIRST_MS;
    if (c->backoff_ms > BACKOFF_MOST_MS)
        c->backoff_ms = BACKOFF_MOST_MS;
    /* The next one waits for room by itself; but if what it asks says that there is some, and there is none, it ends the same way. */
    bool paused = c == &s->pipeline && !killed && code == EXIT_PAUSED;
    wanted |= c == &s->pipeline && !killed && code == EXIT_AGAIN;
    if (wanted)
        c->backoff_ms = 0;
    c->start_at_ms = now_ms() + c->backoff_ms;
    pid_t pid = c->pid;
    c->pid = 0;
    if (c == &s->pipeline) {
        atomic_store(&s->gate->pipeline_state, paused ? PIPELINE_PAUSED : PIPELINE_DOWN);
        atomic_store(&s->gate->pipeline_pid, 0);
    }
    if (stop_requested || wanted || paused) {
        log_event(EVENT_PROCESS_STOPPED, LOG_INFO, "supervisor", "a process ended as it should",
                  "name=%s pid=%d", c->name, (int)pid);
        return;
    }
    char *dir = xprintf("%s/crash", s->data), *report = killed ? crash_report_of(dir, pid) : NULL;
    const char *how = killed ? "signal" : "status";
    if (report)
        log_event(EVENT_PROCESS_ENDED, LOG_WARN, "supervisor", "a process ended; starting it again",
                  "name=%s pid=%d %s=%d delay_ms=%d report=%s", c->name, (int)pid, how, code, c->backoff_ms,
                  report);
    else
        log_event(EVENT_PROCESS_ENDED, LOG_WARN, "supervisor", "a process ended; starting it again",
                  "name=%s pid=%d %s=%d delay_ms=%d", c->name, (int)pid, how, code, c->backoff_ms);
    free(report);
    free(dir);
}

/* ---- another configuration ---- */

static void tell_reload(const struct supervisor *s, bool accepted)
{
    char *path = xprintf("%s/run/reload", s->data), *made = xprintf("%s/run/reload.new", s->data);
    FILE *f = fopen(made, "we");
    bool ok = f && fprintf(f, "%u %s\n", s->reloads, accepted ? "accepted" : "refused") > 0;
    ok = f && fclose(f) == 0 && ok;
    if (!ok || rename(made, path) != 0)
        log_error("supervisor", "cannot write", "path=%s error=\"%s\"", path, strerror(errno));
    free(path);
    free(made);
}

static void reload_begin(struct supervisor *s)
{
    if (s->check.pid)
        return; /* once that is judged, the signal is looked at again */
    reload_requested = 0;
    s->reloads++;
    log_event(EVENT_CONFIG_CHECKING, LOG_INFO, "supervisor", "checking the configuration", "file=%s",
              s->args->config);
    start(&s->check);
    s->check.kill_at_ms = now_ms() + CHECK_WAIT_MS;
}

static void end_for_restart(struct child *c)
{
    if (!c->pid) {
        c->start_at_ms = 0;
        return;
    }
    c->ends_wanted = true;
    c->kill_at_ms = now_ms() + STOP_WAIT_MS;
    kill(c->pid, SIGTERM);
}

static bool same_args(const struct child *a, const struct child *b)
{
    for (int i = 0; i < a->argc && i < b->argc; i++)
        if (strcmp(a->argv[i], b->argv[i]) != 0)
            return false;
    return a->argc == b->argc;
}

static struct err *place(const struct cli_args *a, const struct config *c, const char *data,
                         struct placement *out);

static bool has_port(const struct child *c, int port)
{
    char text[32];
    snprintf(text, sizeof text, "port=%d", port);
    for (int i = 0; i < c->argc; i++)
        if (strcmp(c->argv[i], text) == 0)
            return true;
    return false;
}

/* A server that could not have its new port would be no server: another process has it, or it is below 1024 and we are not root any
 * more. Of the port it has now nothing is asked. */
static struct err *try_port(const struct child *serve, const struct config *c)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV}, *list;
    char port[16];
    int on = 1;
    snprintf(port, sizeof port, "%d", c->listen_port);
    if (c->listen_port == 0 || has_port(serve, c->listen_port))
        return NULL;
    int rc = getaddrinfo(c->listen_host, port, &hints, &list);
    if (rc)
        return err_new(ERR_CONFIG, "server.listen: %s: %s", c->listen_host, gai_strerror(rc));
    int fd = socket(list->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool ok = fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
              bind(fd, list->ai_addr, list->ai_addrlen) == 0;
    struct err *e = ok ? NULL
                       : err_errno(ERR_CONFIG, "server.listen: cannot listen on %s port %d", c->listen_host,
                                   c->listen_port);
    if (fd >= 0)
        close(fd);
    freeaddrinfo(list);
    return e;
}

/* Takes the configuration out of the app. */
static void keep_config(struct supervisor *s, struct app *app)
{
    config_free(s->access);
    s->access = app->config;
    app->config = NULL;
    s->keys_looked = false;
    publish_keys(s);
}

/* The server's command line as the new configuration wants it; it restarts only if that is another one. */
static struct err *reload_serve(struct supervisor *s)
{
    struct app *app;
    struct placement placement;
    struct child now = {0};
    TRY(app_load(s->args->config, &app));
    struct err *e = place(s->args, app->config, s->data, &placement);
    if (!e)
        e = try_port(&s->serve, app->config);
    if (!e)
        e = publish_access(app->config, s->data);
    if (!e)
        serve_args(&now, s->args, app->config, s->data, &placement);
    if (!e)
        keep_config(s, app);
    app_free(app);
    if (e)
        return e;
    bool same = same_args(&now, &s->serve);
    struct child *gone = same ? &now : &s->serve;
    args_free(gone);
    if (same)
        return NULL;
    memcpy(s->serve.argv, now.argv, sizeof now.argv);
    s->serve.argc = now.argc;
    end_for_restart(&s->serve);
    return NULL;
}

static void reload_judged(struct supervisor *s, int status)
{
    bool right = WIFEXITED(status) && WEXITSTATUS(status) == EXIT_DONE;
    struct err *e = right ? reload_serve(s) : NULL;
    s->check.pid = 0;
    s->check.kill_at_ms = 0;
    if (e) {
        char *text = err_text(e);
        log_error("supervisor", "cannot load the configuration", "error=\"%s\"", text);
        free(text);
        err_free(e);
        right = false;
    }
    atomic_fetch_add(right ? &s->gate->stats.reloads_accepted : &s->gate->stats.reloads_refused, 1);
    if (right) {
        log_event(EVENT_CONFIG_APPLIED, LOG_INFO, "supervisor",
                  "the configuration is right: the pipeline starts anew with it", "file=%s", s->args->config);
        audit_command(s->data, "config.applied", &(struct audit_pair){"file", s->args->config}, 1);
        pause_end(s->gate); /* perhaps there is room with it; if not, that is found again */
        end_for_restart(&s->pipeline);
    } else {
        log_event(EVENT_CONFIG_REFUSED, LOG_ERROR, "supervisor",
                  "the configuration is refused: the running one goes on", "file=%s", s->args->config);
    }
    tell_reload(s, right);
}

/* ---- watching ---- */

/* Exit status to end with, or -1 to go on. */
static int reap(struct supervisor *s)
{
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
        if (pid == s->check.pid) {
            reload_judged(s, status);
            continue;
        }
        struct child *c = pid == s->pipeline.pid ? &s->pipeline : pid == s->serve.pid ? &s->serve : NULL;
        if (!c)
            continue;
        ended(s, c, status);
        bool wrong_config =
            c == &s->pipeline && !s->was_running && WIFEXITED(status) && WEXITSTATUS(status) == EXIT_USAGE;
        if (wrong_config && !stop_requested)
            return EXIT_USAGE;
    }
    return -1;
}

static void stop_children(struct supervisor *s)
{
    struct child *children[] = {&s->serve, &s->pipeline};
    if (s->check.pid)
        kill(s->check.pid, SIGKILL);
    for (int i = 0; i < 2; i++)
        if (children[i]->pid)
            kill(children[i]->pid, SIGTERM);
    for (int64_t until = now_ms() + STOP_WAIT_MS; now_ms() < until && (s->serve.pid || s->pipeline.pid);) {
        (void)reap(s);
        nanosleep(&(struct timespec){0, 5000000}, NULL);
    }
    for (int i = 0; i < 2; i++)
        if (children[i]->pid)
            kill(children[i]->pid, SIGKILL);
}

/* What was told to end, or has to be judged, and takes too long. */
static void kill_late(struct supervisor *s)
{
    struct child *children[] = {&s->serve, &s->pipeline, &s->check};
    for (int i = 0; i < 3; i++)
        if (children[i]->pid && children[i]->kill_at_ms && now_ms() >= children[i]->kill_at_ms) {
            log_event(EVENT_PROCESS_LATE, LOG_ERROR, "supervisor", "a process did not end in time", "name=%s",
                      children[i]->name);
            kill(children[i]->pid, SIGKILL);
            children[i]->kill_at_ms = 0;
        }
}

/* ---- a pipeline that stands still ---- */

/* Time of processors that a process has used, in clock ticks; false when it is stopped (by a debugger, by SIGSTOP) or gone.
 * /proc/PID/stat: "pid (name) state ...", user and system time being fields 14 and 15. */
static bool cpu_of(pid_t pid, uint64_t *ticks)
{
    char path[32], text[512] = {0};
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *f = fopen(path, "re");
    size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;
    if (f)
        fclose(f);
    const char *name_end = n ? strrchr(text, ')') : NULL;
    unsigned long long user, system;
    char state;
    if (!name_end || sscanf(name_end + 1, " %c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu %llu", &state,
                            &user, &system) != 3)
        return false;
    *ticks = user + system;
    return state != 'T' && state != 't';
}

/* Both watch their threads themselves; this is for when the thread that does so does not get on either. Looks are counted, not
 * time: a host that was suspended wakes no watchdog. may_work: the thread that beats may be at work on something long; in the server
 * it never is, while the others are as clients want it. */
static void watch_child(struct supervisor *s, struct child *c, bool lives, int64_t beat, bool may_work)
{
    uint64_t ticks = 0;
    bool runs = c->pid && lives && cpu_of(c->pid, &ticks);
    bool same = runs && beat == c->heartbeat_us && (!may_work || ticks == c->cpu_ticks);
    c->still = same ? c->still + 1 : 0;
    c->heartbeat_us = beat;
    c->cpu_ticks = ticks;
    if (!s->stuck_looks || c->still < s->stuck_looks)
        return;
    log_event(EVENT_PROCESS_STUCK, LOG_ERROR, "supervisor",
              "a process is stuck: it is ended, and started anew", "name=%s looks=%u", c->name, c->still);
    atomic_fetch_add(&s->gate->stats.stuck_processes, 1);
    c->still = 0;
    c->kill_at_ms = now_ms() + STOP_WAIT_MS;
    kill(c->pid, SIGABRT);
}

static void watch_children(struct supervisor *s)
{
    const struct gate_process *serve = &s->gate->processes[GATE_SERVE];
    unsigned state = atomic_load(&s->gate->pipeline_state);
    watch_child(s, &s->pipeline, state == PIPELINE_RUNNING || state == PIPELINE_REBUILDING,
                atomic_load(&s->gate->heartbeat_us), true);
    watch_child(s, &s->serve, atomic_load(&serve->pid) == (unsigned)s->serve.pid,
                atomic_load(&serve->seen_us), false);
}

static int supervise(struct supervisor *s)
{
    int status = EXIT_DONE;
    int64_t looked_ms = now_ms();
    while (!stop_requested) {
        if (now_ms() - looked_ms >= LOOK_MS) {
            looked_ms = now_ms();
            watch_children(s);
            publish_keys(s);
            audit_turn(s->data);
            gate_measure_process(s->gate, GATE_SUPERVISOR);
        }
        if (reload_requested)
            reload_begin(s);
        kill_late(s);
        struct child *children[] = {&s->serve, &s->pipeline};
        for (int i = 0; i < 2; i++)
            if (!children[i]->pid && now_ms() >= children[i]->start_at_ms) {
                atomic_fetch_add(i ? &s->gate->pipeline_starts : &s->gate->serve_starts, 1);
                start(children[i]);
                if (children[i]->pid)
                    log_event(EVENT_PROCESS_STARTED, LOG_INFO, "supervisor", "a process was started",
                              "name=%s pid=%d starts=%u", children[i]->name, (int)children[i]->pid,
                              children[i]->starts);
            }
        nanosleep(&(struct timespec){0, 10000000}, NULL);
        s->was_running |= atomic_load(&s->gate->pipeline_state) == PIPELINE_RUNNING;
        int end = reap(s);
        if (end >= 0) {
            status = end;
            break;
        }
    }
    log_event(EVENT_INSTANCE_STOPPING, LOG_INFO, "supervisor", "stopping", "reason=\"%s\"",
              stop_requested ? "told to" : "the configuration is wrong");
    stop_requested = 1;
    stop_children(s);
    return status;
}

/* ---- start ---- */

/* One supervisor per data directory: DATA/run/supervisor.pid is locked for as long as it lives. */
static struct err *claim_directory(const char *data)
{
    char *dir = xprintf("%s/run", data), *path = xprintf("%s/run/supervisor.pid", data);
    mkdir(dir, 0700);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    char text[16] = {0};
    struct err *e = NULL;
    if (fd < 0) {
        e = err_errno(ERR_IO, "cannot write %s", path);
    } else if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        ssize_t n = read(fd, text, sizeof text - 1);
        e = err_hint(err_new(ERR_STATE, "another penstock runs on %s (process %ld)", data,
                             n > 0 ? strtol(text, NULL, 10) : 0L),
                     "stop it first, or use another --data directory");
        close(fd);
    } else {
        /* Over the former one, of the same length: on a full disk there would be no room for a file that was emptied. */
        size_t len = (size_t)snprintf(text, sizeof text, "%-10d\n", (int)getpid());
        if (pwrite(fd, text, len, 0) != (ssize_t)len)
            e = err_errno(ERR_IO, "cannot write %s", path);
    }
    free(dir);
    free(path);
    return e;
}

/* DATA/run/config: which file `penstock apply` may have read again. Written only when it is another one than before, as the
 * disk may be full. */
static struct err *record_config(const char *data, const char *config)
{
    char *path = xprintf("%s/run/config", data), *full = realpath(config, NULL), before[PATH_MAX + 2] = "";
    FILE *f = full ? fopen(path, "re") : NULL;
    if (f && fgets(before, sizeof before, f))
        before[strcspn(before, "\n")] = 0;
    if (f)
        fclose(f);
    bool ok = full && strcmp(before, full) == 0;
    f = full && !ok ? fopen(path, "we") : NULL;
    if (f) {
        ok = fprintf(f, "%s\n", full) > 0;
        ok = fclose(f) == 0 && ok;
    }
    struct err *e = ok ? NULL : err_errno(ERR_IO, "cannot write %s", path);
    free(path);
    free(full);
    return e;
}

/* The first line printed: where everything is. */
static void greet(const struct app *a)
{
    const struct config *c = a->config;
    const char *host = strcmp(c->listen_host, "0.0.0.0") == 0 || strcmp(c->listen_host, "::") == 0
                           ? "localhost"
                           : c->listen_host;
    printf("penstock: console https://%s:%d/  APIs https://%s:%d/api/", host, c->listen_port, host,
           c->listen_port);
    if (c->api_count)
        printf("  try: curl -k 'https://%s:%d/api/%s?limit=5'", host, c->listen_port, c->apis[0].path);
    putchar('\n');
    fflush(stdout);
}

static struct err *place(const struct cli_args *a, const struct config *c, const char *data,
                         struct placement *out)
{
    static struct topology t;
    struct catalog *old = NULL;
    everywhere();
    TRY(topology_read("/sys", true, &t));
    struct err *e = catalog_load(data, &old);
    err_free(e); /* the pipeline reports it */
    struct core_request shards = {c->shards.is_auto, c->shards.count, c->shards.cpu_count, c->shards.cpus};
    struct core_request serve = {c->serve.is_auto, c->serve.count, c->serve.cpu_count, c->serve.cpus};
    if (a->shards || (c->shards.is_auto && old))
        shards = (struct core_request){.count = a->shards ? (uint32_t)a->shards : old->shard_count};
    catalog_free(old);
    TRY(topology_place(&t, &shards, &serve, out));
    (void)topology_stay_on(out->system, out->system_count);
    return NULL;
}

static struct err *prepare(struct supervisor *s, const struct cli_args *a)
{
    struct app *app;
    struct placement placement;
    bool new_gate;
    TRY(app_load(a->config, &app));
    const char *data = a->data ? a->data : app->config->store_path;
    struct err *e = user_become(app->config->user, data, app->config->listen_port);
    if (!e && mkdir(data, 0700) != 0 && errno != EEXIST)
        e = err_errno(ERR_IO, "cannot make the data directory %s", data);
    if (!e && backup_restore_pending(data))
        e = err_hint(err_new(ERR_STATE, "a restore into %s was not finished", data),
                     "do it again, or move the directory away");
    if (!e)
        e = place(a, app->config, data, &placement);
    if (!e)
        e = claim_directory(data);
    if (!e)
        hold_ballast(data); /* not that of an instance that runs */
    if (!e)
        e = record_config(data, a->config);
    if (!e)
        e = publish_access(app->config, data);
    if (!e)
        e = gate_open(data, &s->gate, &new_gate);
    if (!e) {
        s->args = a;
        s->data = xstrdup(data);
        check_args(&s->check, a, data);
        atomic_store(&s->gate->pipeline_state, PIPELINE_DOWN); /* whatever a former run left there */
        hold_retry(s->gate);
        pipeline_args(&s->pipeline, a, data);
        serve_args(&s->serve, a, app->config, data, &placement);
        s->stuck_looks = 2 * (unsigned)((app->config->limits.stuck_us + 999999) / 1000000);
        greet(app);
        keep_config(s, app);
    }
    app_free(app);
    return e;
}

static void fini(struct supervisor *s)
{
    args_free(&s->pipeline);
    args_free(&s->serve);
    args_free(&s->check);
    gate_close(s->gate);
    config_free(s->access);
    free(s->data);
}

/* It starts nothing but itself, and neither it nor its children write anywhere else. Capabilities stay: the server may need
 * them for its port and its key. */
static struct err *confine(const struct supervisor *s)
{
    const struct sandbox_path paths[] = {{s->data, SANDBOX_MAKE | SANDBOX_SOCKET},
                                         {"/dev/null", SANDBOX_WRITE},
                                         {"/proc/self/exe", SANDBOX_EXECUTE}};
    const struct sandbox box = {.process = "supervisor",
                                .calls = SANDBOX_CALLS_ANY,
                                .keep_capabilities = true,
                                .read_anything = true,
                                .connects = true,
                                .listens = true,
                                .signals = true,
                                .paths = paths,
                                .path_count = ARRAY_COUNT(paths)};
    unsigned parts;
    return sandbox_enter(&box, &parts);
}

int cmd_run(const struct cli_args *a)
{
    struct supervisor s = {0};
    crash_no_dumps();
    struct err *e = prepare(&s, a);
    if (!e)
        cli_crash_reports("supervisor", s.data, s.gate);
    if (!e)
        e = confine(&s);
    if (e) {
        fini(&s);
        return cli_report(e);
    }
    struct sigaction sa = {.sa_handler = on_signal};
    sigaction(SIGTERM, &sa, NULL);
    sigaction(SIGINT, &sa, NULL);
    sigaction(SIGHUP, &sa, NULL);
    log_event(EVENT_INSTANCE_STARTED, LOG_INFO, "supervisor", "started",
              "version=%s config=\"%s\" data=\"%s\"", PENSTOCK_VERSION_NUMBER, a->config, s.data);
    if (geteuid() == 0)
        log_warn("supervisor", "runs as root: name a user of its own in server.user", "uid=%d", 0);
    int status = supervise(&s);
    fini(&s);
    return status;
}
