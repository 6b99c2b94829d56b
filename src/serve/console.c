/* See console.h: one request, from its head to its answer. */
#include "serve/console.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "serve/console_ask.h"
#include "serve/console_reply.h"
#include "serve/console_request.h"
#include "serve/out.h"
#include "serve/rate.h"
#include "store/audit.h"

#include <pthread.h>
#include <stdlib.h>

struct console {
    struct console_options options;
    pthread_mutex_t lock; /* over the rates and the state */
    struct rate tries, tries_all;
    atomic_int running, strangers;
    struct buf state; /* what the open route last answered, so that visitors start no process each */
    int64_t state_us;
};

struct console *console_new(const struct console_options *o)
{
    struct console *c = xcalloc(1, sizeof *c);
    c->options = *o;
    pthread_mutex_init(&c->lock, NULL);
    rate_init(&c->tries, CONSOLE_TRIES, 60);
    rate_init(&c->tries_all, CONSOLE_TRIES_ALL, 60);
    return c;
}

void console_free(struct console *c)
{
    if (!c)
        return;
    rate_fini(&c->tries);
    rate_fini(&c->tries_all);
    buf_fini(&c->state);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

static bool target_is(const char *target, size_t len, const char *name)
{
    size_t prefix = sizeof CONSOLE_PREFIX - 1, n = strlen(name);
    return len >= prefix + n && memcmp(target + prefix, name, n) == 0 &&
           (len == prefix + n || target[prefix + n] == '?');
}

uint64_t console_body_most(const char *method, size_t method_len, const char *target, size_t target_len)
{
    if (method_len != 4 || memcmp(method, "POST", 4) != 0 || target_len < sizeof CONSOLE_PREFIX - 1 ||
        memcmp(target, CONSOLE_PREFIX, sizeof CONSOLE_PREFIX - 1) != 0)
        return 0;
    if (target_is(target, target_len, "upgrade"))
        return CONSOLE_UPLOAD_BYTES;
    bool files = target_is(target, target_len, "check") || target_is(target, target_len, "apply");
    return files ? CONSOLE_FILES_BYTES : 0;
}

/* ---- one request ---- */

struct call {
    struct console *console;
    struct console_reply reply;
    struct arena arena;
    struct problem problem;
    const struct console_route *route;
    struct console_fields fields;
    uint32_t word_count;
    char *words[CONSOLE_WORDS_MAX];
    char token[CONSOLE_TOKEN_BYTES + 1];
    const char *address;
    struct buf body, input;
    bool tried; /* counted among the tries */
};

/* Never with its words or its input, which may be secrets. */
static void audit(const struct call *k, const char *outcome)
{
    const struct audit_pair pairs[] = {{"route", k->route->path},
                                       {"method", k->route->method},
                                       {"outcome", outcome},
                                       {"address", k->address}};
    if (strcmp(k->route->method, "GET") == 0)
        return;
    audit_write(k->console->options.data_dir, event_name(EVENT_CONSOLE_ASKED), pairs, ARRAY_COUNT(pairs));
    log_event(EVENT_CONSOLE_ASKED, LOG_INFO, "console", "the console was asked to change something",
              "route=%s method=%s outcome=%s address=%s", k->route->path, k->route->method, outcome,
              k->address);
}

static bool find_route(struct call *k, const struct mg_request_info *info)
{
    const char *allow = NULL;
    if (!k->console->options.socket_path)
        return problem_set(&k->problem, 404, "PENSTOCK_NO_BOX", "this instance runs on no box of its own") ||
               problem_hint(&k->problem, "These pages are an appliance's; here the configuration is applied "
                                         "with `penstock apply`.");
    k->route =
        console_route_find(&k->arena, info->request_method, info->local_uri + sizeof CONSOLE_PREFIX - 1,
                           &k->fields, &allow, &k->problem);
    k->reply.allow = allow;
    return k->route && console_query(&k->arena, info->query_string, &k->fields, &k->problem);
}

static bool check_marks(struct call *k, struct mg_connection *c, const struct mg_request_info *info)
{
    struct console_marks m = {info->request_method, mg_get_header(c, "Host"), mg_get_header(c, "Origin"),
                              mg_get_header(c, "Sec-Fetch-Site"), mg_get_header(c, "X-Penstock-Console")};
    return console_own_page(&m, &k->problem);
}

/* Passwords and codes are tried so often in a minute, from one address and from all; PID 1 counts codes by itself as well. */
static bool count_try(struct call *k)
{
    struct console *o = k->console;
    if (!(k->route->flags & CONSOLE_TRY))
        return true;
    pthread_mutex_lock(&o->lock);
    int64_t now = unix_us();
    int wait = rate_take(&o->tries, hash_bytes(k->address, strlen(k->address)), now);
    if (!wait)
        wait = rate_take(&o->tries_all, 1, now);
    pthread_mutex_unlock(&o->lock);
    if (!wait)
        return true;
    k->problem.retry_after_s = wait;
    return problem_set(&k->problem, 429, "PENSTOCK_CONSOLE_TRIES",
                       "too many passwords or codes were tried: again in %d s", wait);
}

static bool check_session(struct call *k, struct mg_connection *c)
{
    console_session(mg_get_header(c, "Cookie"), k->token);
    return k->token[0] || (k->route->flags & CONSOLE_OPEN) ||
           problem_set(&k->problem, 401, "PENSTOCK_CONSOLE_SESSION", "log in first") ||
           problem_hint(&k->problem,
                        "POST " CONSOLE_PREFIX "login with {\"password\": ...} gives a session's cookie.");
}

static bool read_body(struct call *k, struct mg_connection *c, size_t most)
{
    for (;;) {
        int n = mg_read(c, buf_room(&k->body, 16 << 10), 16 << 10);
        if (n == 0)
            return true;
        if (n < 0)
            return problem_set(&k->problem, 400, "PENSTOCK_BODY", "the request's body broke off");
        k->body.len += (size_t)n;
        if (k->body.len > most)
            return problem_set(&k->problem, 413, "PENSTOCK_BODY",
                               "the request's body is larger than %zu bytes", most);
    }
}

static bool take_input(struct call *k)
{
    const char *name = k->route->input;
    const struct console_field *f = name ? console_field_find(&k->fields, name, strlen(name)) : NULL;
    if (!name)
        return true;
    if (!f || !f->len)
        return problem_set(&k->problem, 400, "PENSTOCK_FIELD", "'%s' is missing", name);
    buf_put(&k->input, f->value, f->len);
    if (k->input.p[k->input.len - 1] != '\n')
        buf_put_u8(&k->input, '\n');
    return true;
}

static bool take_body(struct call *k, struct mg_connection *c)
{
    switch (k->route->in) {
    case CONSOLE_IN_JSON:
        /* A stranger's is in the loop's hands whole before it comes here (PROXY_HOLD_BYTES), and takes no time. */
        return read_body(k, c, k->route->flags & CONSOLE_TRY ? CONSOLE_TRY_BYTES : CONSOLE_JSON_BYTES) &&
               console_json(&k->arena, k->body.p, k->body.len, &k->fields, &k->problem) && take_input(k);
    case CONSOLE_IN_FILES:
        return read_body(k, c, CONSOLE_FILES_BYTES) &&
               console_files(k->body.p, k->body.len, &k->input, &k->problem);
    default:
        if (k->route->flags & CONSOLE_LOGOUT) /* which session: over standard input, as all secrets go */
            buf_printf(&k->input, "%s\n", k->token);
        return true;
    }
}

/* ---- the command ---- */

static long more_body(void *ctx, void *p, size_t room)
{
    struct console_reply *r = ctx;
    int n = mg_read(r->connection, p, room);
    r->in_bytes += n > 0 ? (uint64_t)n : 0;
    return r->in_bytes > CONSOLE_UPLOAD_BYTES ? -1 : (long)n;
}

/* What is left of an upload that the command did not want: a client that still sends does not look for an answer. Of a session's
 * alone: a stranger is not listened to. */
static void read_on(struct call *k)
{
    uint8_t *step = xcalloc(1, 64 << 10);
    while (more_body(&k->reply, step, 64 << 10) > 0)
        ;
    free(step);
}

static bool enter(struct call *k)
{
    struct console *o = k->console;
    bool stranger = k->route->flags & CONSOLE_OPEN;
    int strangers = stranger ? atomic_fetch_add(&o->strangers, 1) : 0;
    if (strangers < CONSOLE_STRANGERS_MAX && atomic_fetch_add(&o->running, 1) < CONSOLE_COMMANDS_MAX)
        return true;
    atomic_fetch_sub(strangers < CONSOLE_STRANGERS_MAX ? &o->running : &o->strangers, 1);
    if (stranger && strangers < CONSOLE_STRANGERS_MAX)
        atomic_fetch_sub(&o->strangers, 1);
    k->problem.retry_after_s = 2;
    return problem_set(&k->problem, 503, "PENSTOCK_OVERLOADED",
                       "the console runs as many commands as it may");
}

static void leave(struct call *k)
{
    atomic_fetch_sub(&k->console->running, 1);
    if (k->route->flags & CONSOLE_OPEN)
        atomic_fetch_sub(&k->console->strangers, 1);
}

static bool listen_not(void *ctx, enum console_stream from, const uint8_t *p, size_t n)
{
    (void)ctx, (void)from, (void)p, (void)n;
    return true;
}

/* Before much is read of whoever shows a cookie: PID 1 looks at the session before it runs even the smallest command. */
static bool session_holds(struct call *k)
{
    static char least[] = "time", json[] = "--json";
    char *words[] = {least, json};
    int status;
    const struct console_ask a = {.socket_path = k->console->options.socket_path,
                                  .token = k->token,
                                  .word_count = 2,
                                  .words = words,
                                  .take = listen_not,
                                  .timeout_s = 20};
    if (k->route->in != CONSOLE_IN_FILES && k->route->in != CONSOLE_IN_STREAM)
        return true;
    if (!enter(k))
        return false;
    enum console_end end = console_ask(&a, &status);
    leave(k);
    return end != CONSOLE_REFUSED || problem_set(&k->problem, 401, "PENSTOCK_CONSOLE_SESSION",
                                                 "the session is not, or no longer, good");
}

static enum console_end run(struct call *k, int *status)
{
    const struct console_route *r = k->route;
    const struct console_ask a = {.socket_path = k->console->options.socket_path,
                                  .token = k->token,
                                  .word_count = k->word_count,
                                  .words = k->words,
                                  .input = {k->input.p, k->input.len},
                                  .more = r->in == CONSOLE_IN_STREAM ? more_body : NULL,
                                  .take = console_reply_take,
                                  .ctx = &k->reply,
                                  .timeout_s = r->timeout_s};
    if (!enter(k))
        return CONSOLE_BROKEN;
    enum console_end end = console_ask(&a, status);
    leave(k);
    if (a.more && end == CONSOLE_ENDED)
        read_on(k);
    return end;
}

static const char *outcome_of(enum console_end end, int status)
{
    static const char *const names[] = {"done", "refused", "away", "none", "late", "broken"};
    return end == CONSOLE_ENDED && status ? "failed" : names[end];
}

static bool is_state(const struct call *k)
{
    return (k->route->flags & (CONSOLE_OPEN | CONSOLE_TRY)) == CONSOLE_OPEN;
}

static bool state_known(struct call *k)
{
    struct console *o = k->console;
    pthread_mutex_lock(&o->lock);
    bool known = o->state.len && steady_us() - o->state_us < CONSOLE_STATE_S * INT64_C(1000000);
    if (known)
        buf_put(&k->reply.out, o->state.p, o->state.len);
    pthread_mutex_unlock(&o->lock);
    return known;
}

static void state_keep(struct call *k, const struct buf *b)
{
    struct console *o = k->console;
    pthread_mutex_lock(&o->lock);
    buf_reset(&o->state);
    if (b)
        buf_put(&o->state, b->p, b->len);
    o->state_us = steady_us();
    pthread_mutex_unlock(&o->lock);
}

static int answer(struct call *k, struct mg_connection *c)
{
    const struct mg_request_info *info = mg_get_request_info(c);
    bool ok = find_route(k, info) && check_marks(k, c, info) && check_session(k, c) && count_try(k) &&
              session_holds(k) && take_body(k, c) &&
              console_words(&k->arena, k->route, &k->fields, &k->word_count, k->words, &k->problem);
    if (!ok) {
        if (k->route)
            audit(k, k->problem.code);
        return console_reply_problem(&k->reply);
    }
    int status = -1;
    k->reply.route = k->route;
    if (is_state(k) && state_known(k))
        return console_reply_end(&k->reply, CONSOLE_ENDED, 0);
    enum console_end end = run(k, &status);
    if (is_state(k) && end == CONSOLE_ENDED && status == 0)
        state_keep(k, &k->reply.out);
    else if (k->route->flags & CONSOLE_OPEN)
        state_keep(k, NULL); /* the box may be claimed now */
    audit(k, outcome_of(end, status));
    return k->problem.status ? console_reply_problem(&k->reply) : console_reply_end(&k->reply, end, status);
}

int console_answer(struct console *console, struct mg_connection *c)
{
    struct call k = {.console = console};
    const char *from = mg_get_header(c, "X-Forwarded-For");
    arena_init(&k.arena);
    problem_init(&k.problem, &k.arena);
    k.address = from ? from : "-";
    k.reply = (struct console_reply){.connection = c, .arena = &k.arena, .problem = &k.problem};
    int status = answer(&k, c);
    console_reply_fini(&k.reply);
    if (k.input.len)
        memset(k.input.p, 0, k.input.len); /* a password, perhaps */
    if (k.body.len)
        memset(k.body.p, 0, k.body.len);
    buf_fini(&k.input);
    buf_fini(&k.body);
    arena_fini(&k.arena);
    return status;
}
