/* civetweb, plain HTTP on a unix socket: everything that is not a read and may block. For now the console's files.
 *
 * Only our own loops can reach it (a socket in DATA/run, mode 0700), so it sees requests that were parsed, bounded and
 * written anew by proxy.c. */
#include "base/log.h"
#include "serve/loop.h"
#include "serve/out.h"
#include "base/hash.h"

#include <assets.h>
#include <civetweb.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

struct back {
    struct mg_context *context;
    char *dir, *path;
    bool own_dir; /* a directory of its own, because DATA's path is too long for a socket */
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
    mg_printf(c, "HTTP/1.1 %d %s\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: %zu\r\n",
              status, status_text(status), b.len);
    if (allow)
        mg_printf(c, "Allow: %s\r\n", allow);
    mg_printf(c, "Connection: close\r\n\r\n");
    if (!head)
        mg_write(c, b.p, b.len);
    buf_fini(&b);
    return status;
}

static int answer_asset(struct mg_connection *c, const struct asset *a)
{
    char etag[24];
    const char *have = mg_get_header(c, "If-None-Match");
    bool head = strcmp(mg_get_request_info(c)->request_method, "HEAD") == 0;
    snprintf(etag, sizeof etag, "\"%016llx\"", (unsigned long long)hash_bytes(a->data, a->size_bytes));
    bool same = have && strstr(have, etag);
    int status = same ? 304 : 200;
    mg_printf(
        c,
        "HTTP/1.1 %d %s\r\nETag: %s\r\nCache-Control: no-cache\r\nX-Content-Type-Options: nosniff\r\n"
        "Content-Security-Policy: default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' "
        "'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'\r\nReferrer-Policy: no-referrer\r\n",
        status, status_text(status), etag);
    if (!same)
        mg_printf(c, "Content-Type: %s\r\nContent-Length: %zu\r\n", mime_of(a->path), a->size_bytes);
    mg_printf(c, "Connection: close\r\n\r\n");
    if (!same && !head)
        mg_write(c, a->data, a->size_bytes);
    return status;
}

static int on_request(struct mg_connection *c, void *ctx)
{
    const struct mg_request_info *info = mg_get_request_info(c);
    const struct asset *a = asset_find(info->local_uri);
    bool get = strcmp(info->request_method, "GET") == 0 || strcmp(info->request_method, "HEAD") == 0;
    (void)ctx;
    if (a && get)
        return answer_asset(c, a);
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

/* DATA/run/console-PID.sock, or a directory under /tmp when that is too long for a socket address. */
static struct err *place(struct back *b, const char *data_dir)
{
    if (mkdir(data_dir, 0700) != 0 && errno != EEXIST)
        return err_errno(ERR_IO, "make directory %s", data_dir);
    b->dir = xprintf("%s/run", data_dir);
    b->path = xprintf("%s/console-%d.sock", b->dir, (int)getpid());
    if (strlen(b->path) < sizeof((struct sockaddr_un *)0)->sun_path) {
        if (mkdir(b->dir, 0700) != 0 && errno != EEXIST)
            return err_errno(ERR_IO, "make directory %s", b->dir);
        return NULL;
    }
    free(b->dir);
    free(b->path);
    b->dir = xstrdup("/tmp/penstock-XXXXXX");
    b->own_dir = true;
    b->path = NULL;
    if (!mkdtemp(b->dir))
        return err_errno(ERR_IO, "make a directory in /tmp");
    b->path = xprintf("%s/console.sock", b->dir);
    return NULL;
}

struct err *back_start(const char *data_dir, struct back **out)
{
    struct back *b = xcalloc(1, sizeof *b);
    struct mg_callbacks callbacks = {.log_message = on_log};
    struct err *e = place(b, data_dir);
    if (e) {
        back_stop(b);
        return e;
    }
    unlink(b->path);
    char *port = xprintf("x%s", b->path);
    const char *options[] = {"listening_ports",   port, "num_threads", "4", "request_timeout_ms", "30000",
                             "enable_keep_alive", "no", NULL};
    b->context = mg_start(&callbacks, b, options);
    free(port);
    if (!b->context) {
        e = err_new(ERR_IO, "cannot start the console's server on %s", b->path);
        back_stop(b);
        return e;
    }
    mg_set_request_handler(b->context, "**", on_request, b);
    *out = b;
    return NULL;
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
    if (b->path)
        unlink(b->path);
    if (b->own_dir)
        rmdir(b->dir);
    free(b->path);
    free(b->dir);
    free(b);
}
