/* civetweb, plain HTTP on a unix socket: everything that may block or take long: the console's files, /metrics.
 *
 * Only our own loops can reach it (a socket in DATA/run, mode 0700), so it sees requests that were parsed, bounded and
 * written anew by proxy.c. */
#include "base/log.h"
#include "serve/console.h"
#include "serve/loop.h"
#include "serve/out.h"
#include "serve/why_service.h"
#include "base/hash.h"

#include <assets.h>
#include <civetweb.h>
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct back {
    struct mg_context *context;
    char *dir; /* owned */
    int dir_fd;
    char path[64];
    struct back_metrics metrics;
    struct why_service *why; /* borrowed */
    struct console *console; /* owned */
    bool strict;             /* browsers are told to come over TLS alone */
};

static const char *mime_of(const char *path)
{
    static const struct {
        const char *ending, *mime;
    } rows[] = {
        {".html", "text/html; charset=utf-8"},
        {".js", "text/javascript; charset=utf-8"},
        {".css", "text/css; charset=utf-8"},
        {".svg", "image/svg+xml"},
        {".json", "application/json"},
        {".png", "image/png"},
        {".ico", "image/x-icon"},
        {".woff2", "font/woff2"},
        {".webmanifest", "application/manifest+json"},
    };
    size_t n = strlen(path);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        size_t m = strlen(rows[i].ending);
        if (n > m && strcmp(path + n - m, rows[i].ending) == 0)
            return rows[i].mime;
    }
    return "application/octet-stream";
}

static const struct asset *asset_find(const char *path)
{
    if (strcmp(path, "/") == 0)
        path = "/index.html";
    if (strcmp(path, "/docs") == 0 || strcmp(path, "/docs/") == 0)
        path = "/docs.html";
    for (size_t i = 0; i < assets_count; i++)
        if (strcmp(assets[i].path, path) == 0)
            return &assets[i];
    return NULL;
}

static int answer_json(struct mg_connection *c, int status, const char *allow, const char *code,
                       const char *message)
{
    struct buf b = {0};
    OUT_LIT(&b, "{\"code\":");
    out_json_cstr(&b, code);
    OUT_LIT(&b, ",\"message\":");
    out_json_cstr(&b, message);
    OUT_LIT(&b, ",\"details\":null,\"hint\":null}");
    bool head = strcmp(mg_get_request_info(c)->request_method, "HEAD") == 0;
    mg_printf(c,
              "HTTP/1.1 %d %s\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: %zu\r\n"
              "X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n",
              status, status_text(status), b.len);
    if (allow)
        mg_printf(c, "Allow: %s\r\n", allow);
    mg_printf(c, "Connection: close\r\n\r\n");
    if (!head)
        mg_write(c, b.p, b.len);
    buf_fini(&b);
    return status;
}

/* Nothing from elsewhere, nothing inline: a text of the database that is shown can never become a script. */
#define PAGE_HEADERS                                                                                    \
    "Cache-Control: no-cache\r\nX-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n"    \
    "Content-Security-Policy: default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' " \
    "data:; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n"         \
    "Cross-Origin-Opener-Policy: same-origin\r\nCross-Origin-Resource-Policy: same-origin\r\n"

/* Only with a certificate that others vouch for: behind a self-signed one a browser that keeps to this would never get in. */
#define STRICT_HEADER "Strict-Transport-Security: max-age=31536000\r\n"

static int answer_asset(struct mg_connection *c, const struct back *back, const struct asset *a)
{
    char etag[24];
    const char *have = mg_get_header(c, "If-None-Match");
    bool head = strcmp(mg_get_request_info(c)->request_method, "HEAD") == 0;
    snprintf(etag, sizeof etag, "\"%016llx\"", (unsigned long long)hash_bytes(a->data, a->size_bytes));
    bool same = have && strstr(have, etag);
    int status = same ? 304 : 200;
    mg_printf(c, "HTTP/1.1 %d %s\r\nETag: %s\r\n" PAGE_HEADERS "%s", status, status_text(status), etag,
              back->strict ? STRICT_HEADER : "");
    if (!same)
        mg_printf(c, "Content-Type: %s\r\nContent-Length: %zu\r\n", mime_of(a->path), a->size_bytes);
    mg_printf(c, "Connection: close\r\n\r\n");
    if (!same && !head)
        mg_write(c, a->data, a->size_bytes);
    return status;
}

static int answer_metrics(struct mg_connection *c, const struct back_metrics *m)
{
    struct buf b = {0};
    bool head = strcmp(mg_get_request_info(c)->request_method, "HEAD") == 0;
    m->write(m->ctx, &b);
    mg_printf(c,
              "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
              "Cache-Control: no-store\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n",
              b.len);
    if (!head)
        mg_write(c, b.p, b.len);
    buf_fini(&b);
    return 200;
}

static int answer_why(struct mg_connection *c, struct why_service *why, const char *job)
{
    struct buf b = {0};
    bool head = strcmp(mg_get_request_info(c)->request_method, "HEAD") == 0;
    int status = why_service_run(why, strtoull(job, NULL, 10), head, &b);
    mg_write(c, b.p, b.len);
    buf_fini(&b);
    return status;
}

static int on_request(struct mg_connection *c)
{
    const struct back *back = mg_get_user_data(mg_get_context(c));
    const struct mg_request_info *info = mg_get_request_info(c);
    if (strncmp(info->local_uri, CONSOLE_PREFIX, sizeof CONSOLE_PREFIX - 1) == 0)
        return console_answer(back->console, c);
    const struct asset *a = asset_find(info->local_uri);
    bool get = strcmp(info->request_method, "GET") == 0 || strcmp(info->request_method, "HEAD") == 0;
    const char *job = mg_get_header(c, WHY_JOB_HEADER);
    if (get && job)
        return answer_why(c, back->why, job);
    if (get && strcmp(info->local_uri, "/metrics") == 0)
        return answer_metrics(c, &back->metrics);
    if (a && get)
        return answer_asset(c, back, a);
    if (a)
        return answer_json(c, 405, "GET, HEAD", "PENSTOCK_METHOD", "this is read with GET and HEAD");
    return answer_json(c, 404, NULL, "PENSTOCK_NOT_FOUND", "there is nothing here; apis lie under /api/");
}

static int on_log(const struct mg_connection *c, const char *message)
{
    (void)c;
    log_warn("console", "civetweb", "message=\"%s\"", message);
    return 1;
}

/* DATA/run/serve/console-PID.sock, through the directory's descriptor: DATA's own path may be too long for an address. */
/* Sockets of servers that were killed: each has its process's id in its name. */
static void clear_stale(int dir_fd)
{
    int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    int pid, end;
    if (!d) {
        if (fd >= 0)
            close(fd);
        return;
    }
    for (const struct dirent *f; (f = readdir(d));) {
        end = 0;
        if (sscanf(f->d_name, "console-%d.sock%n", &pid, &end) == 1 && end && !f->d_name[end] && pid > 0 &&
            kill(pid, 0) != 0 && errno == ESRCH)
            (void)unlinkat(dir_fd, f->d_name, 0);
    }
    closedir(d);
}

static struct err *place(struct back *b, const char *data_dir)
{
    char *run = xprintf("%s/run", data_dir);
    b->dir = xprintf("%s/serve", run);
    bool made = (mkdir(run, 0700) == 0 || errno == EEXIST) && (mkdir(b->dir, 0700) == 0 || errno == EEXIST);
    free(run);
    if (!made || (b->dir_fd = open(b->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
        return err_errno(ERR_IO, "make directory %s", b->dir);
    clear_stale(b->dir_fd);
    snprintf(b->path, sizeof b->path, "/proc/self/fd/%d/console-%d.sock", b->dir_fd, (int)getpid());
    return NULL;
}

struct err *back_new(const struct back_options *o, const struct back_metrics *metrics,
                     struct why_service *why, struct back **out)
{
    struct back *b = xcalloc(1, sizeof *b);
    b->dir_fd = -1;
    b->metrics = *metrics;
    b->why = why;
    b->strict = o->strict;
    b->console = console_new(&(struct console_options){o->data_dir, o->control_path});
    struct err *e = place(b, o->data_dir);
    if (e)
        back_stop(b);
    else
        *out = b;
    return e;
}

struct err *back_start(struct back *b)
{
    struct mg_callbacks callbacks = {.log_message = on_log, .begin_request = on_request};
    unlink(b->path);
    char *port = xprintf("x%s", b->path);
    char threads[8];
    snprintf(threads, sizeof threads, "%d", CONSOLE_THREADS);
    const char *options[] = {"listening_ports",   port, "num_threads", threads, "request_timeout_ms", "30000",
                             "enable_keep_alive", "no", NULL};
    b->context = mg_start(&callbacks, b, options);
    free(port);
    if (!b->context)
        return err_new(ERR_IO, "cannot start the console's server in %s", b->dir);
    return NULL;
}

const char *back_dir(const struct back *b)
{
    return b->dir;
}

const char *back_path(const struct back *b)
{
    return b->path;
}

void back_stop(struct back *b)
{
    if (!b)
        return;
    if (b->context)
        mg_stop(b->context);
    if (b->dir_fd >= 0) {
        unlink(b->path);
        close(b->dir_fd);
    }
    console_free(b->console);
    free(b->dir);
    free(b);
}
