/* See console_reply.h. */
#include "serve/console_reply.h"
#include "base/clock.h"
#include "serve/console.h"
#include "serve/console_request.h"
#include "serve/out.h"

#include <stdlib.h>
#include <yyjson.h>

#define ERR_BYTES_MAX  (64u << 10)
#define LINE_BYTES_MAX (8u << 10)

/* ---- pieces ---- */

static void put(struct console_reply *r, const void *p, size_t n)
{
    if (!r->gone && n && mg_write(r->connection, p, n) != (int)n)
        r->gone = true;
}

static void put_head(struct console_reply *r, int status, const char *type, const struct buf *body,
                     const char *more)
{
    struct buf b = {0};
    buf_printf(&b, "HTTP/1.1 %d %s\r\n" CONSOLE_HEADERS, status, status_text(status));
    if (type)
        buf_printf(&b, "Content-Type: %s\r\n", type);
    if (body)
        buf_printf(&b, "Content-Length: %zu\r\n", body->len);
    if (more)
        buf_put_str(&b, more);
    OUT_LIT(&b, "Connection: close\r\n\r\n");
    if (body)
        buf_put(&b, body->p, body->len);
    put(r, b.p, b.len);
    buf_fini(&b);
}

int console_reply_problem(struct console_reply *r)
{
    struct buf body = {0};
    char more[160] = "";
    int n = 0;
    problem_json(r->problem, &body);
    if (r->problem->retry_after_s > 0)
        n = snprintf(more, sizeof more, "Retry-After: %d\r\n", r->problem->retry_after_s);
    if (r->allow)
        snprintf(more + n, sizeof more - (size_t)n, "Allow: %s\r\n", r->allow);
    put_head(r, r->problem->status, "application/json; charset=utf-8", &body, more);
    buf_fini(&body);
    return r->problem->status;
}

static void line_begin(struct console_reply *r)
{
    if (!r->head_sent)
        put_head(r, 200, "application/x-ndjson", NULL, NULL);
    r->head_sent = true;
}

static void tell_line(struct console_reply *r, const uint8_t *p, size_t n)
{
    struct buf b = {0};
    char *text = console_text(r->arena, p, n);
    OUT_LIT(&b, "{\"text\":");
    out_json_cstr(&b, text);
    OUT_LIT(&b, "}\n");
    line_begin(r);
    put(r, b.p, b.len);
    buf_fini(&b);
}

/* It is told at the end, as what it means. */
static bool is_error(const struct buf *line)
{
    return (line->len >= 10 && memcmp(line->p, "penstock: ", 10) == 0) ||
           (line->len >= 8 && memcmp(line->p, "  hint: ", 8) == 0);
}

/* Progress on a terminal is one line that is written over: each state of it is a line here. */
static void tell(struct console_reply *r, const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        bool end = p[i] == '\n' || p[i] == '\r' || r->line.len >= LINE_BYTES_MAX;
        if (end && r->line.len && !is_error(&r->line)) {
            struct arena_mark mark = arena_mark(r->arena);
            tell_line(r, r->line.p, r->line.len);
            arena_rewind(r->arena, mark);
        }
        if (end)
            buf_reset(&r->line);
        if (p[i] != '\n' && p[i] != '\r')
            buf_put_u8(&r->line, p[i]);
    }
}

/* ---- while it runs ---- */

static void keep_err(struct console_reply *r, const uint8_t *p, size_t n)
{
    if (r->err.len + n > ERR_BYTES_MAX) /* what ended it is said last */
        buf_reset(&r->err);
    buf_put(&r->err, p, n < ERR_BYTES_MAX ? n : ERR_BYTES_MAX);
}

static bool download(struct console_reply *r, const uint8_t *p, size_t n)
{
    char more[160];
    snprintf(more, sizeof more, "Content-Disposition: attachment; filename=\"%s\"\r\n", r->route->input);
    if (!r->head_sent)
        put_head(r, 200, "application/octet-stream", NULL, more);
    r->head_sent = true;
    r->out_bytes += n;
    r->too_much = r->out_bytes > CONSOLE_DOWNLOAD_BYTES;
    put(r, p, n);
    return !r->too_much && !r->gone;
}

static bool goes_on(const struct console_reply *r)
{
    return !r->gone || (r->route->flags & CONSOLE_FINISH);
}

/* A blank between the lines, so that nobody on the way takes a long silence for the end. */
static bool tick(struct console_reply *r)
{
    if (r->route->out != CONSOLE_OUT_LINES)
        return true;
    line_begin(r);
    put(r, "\n", 1);
    return goes_on(r);
}

bool console_reply_take(void *reply, enum console_stream from, const uint8_t *p, size_t n)
{
    struct console_reply *r = reply;
    bool lines = r->route->out == CONSOLE_OUT_LINES;
    if (!p)
        return tick(r);
    if (from == CONSOLE_STDERR) {
        keep_err(r, p, n);
        if (lines)
            tell(r, p, n);
        return goes_on(r);
    }
    if (r->route->out == CONSOLE_OUT_FILE)
        return download(r, p, n);
    if (lines && (r->route->flags & CONSOLE_TELL_OUT)) {
        tell(r, p, n);
        return goes_on(r);
    }
    r->too_much = r->out.len + n > CONSOLE_OUTPUT_BYTES;
    if (!r->too_much)
        buf_put(&r->out, p, n);
    return !r->too_much && goes_on(r);
}

/* ---- its end ---- */

static bool session_over(const struct console_said *said)
{
    return said->text && strstr(said->text, "session");
}

static void refused(struct console_reply *r, const struct console_said *said)
{
    struct problem *p = r->problem;
    if (session_over(said)) {
        problem_set(p, 401, "PENSTOCK_CONSOLE_SESSION", "%s", said->text);
        problem_hint(p, "Log in again.");
        return;
    }
    problem_set(p, 403, "PENSTOCK_BOX_REFUSED", "%s", said->text ? said->text : "the box refuses this");
    if (said->hint)
        problem_hint(p, "%s", said->hint);
}

/* What went wrong as a problem; status 0 when nothing did. */
static void judge(struct console_reply *r, enum console_end end, int status, const struct console_said *said)
{
    struct problem *p = r->problem;
    if (r->too_much) {
        problem_set(p, 502, "PENSTOCK_BOX", "the command wrote more than is answered");
        return;
    }
    switch (end) {
    case CONSOLE_ENDED:
        if (status == 0)
            return;
        problem_set(p,
                    status == 2                     ? 400
                    : r->route->flags & CONSOLE_TRY ? 403
                                                    : 409,
                    "PENSTOCK_BOX", "%s", said->text ? said->text : "the command failed");
        if (said->hint)
            problem_hint(p, "%s", said->hint);
        return;
    case CONSOLE_REFUSED: refused(r, said); return;
    case CONSOLE_AWAY:
        problem_set(p, 503, "PENSTOCK_BOX_AWAY", "the box's control does not answer");
        p->retry_after_s = 2;
        return;
    case CONSOLE_NONE:
        problem_set(p, 404, "PENSTOCK_NO_BOX", "the console of this box is switched off, or this is no box");
        problem_hint(p, "box.yaml: console: { enabled: true }");
        return;
    case CONSOLE_LATE:
        problem_set(p, 504, "PENSTOCK_BOX_LATE", "the command did not end within %u s", r->route->timeout_s);
        return;
    case CONSOLE_BROKEN:
        problem_set(p, 400, "PENSTOCK_BODY", "the request broke off, or is too large");
        return;
    }
}

static bool is_json(const struct buf *b)
{
    yyjson_doc *d = b->len ? yyjson_read((const char *)b->p, b->len, 0) : NULL;
    yyjson_doc_free(d);
    return d != NULL;
}

static int end_lines(struct console_reply *r, int status, const struct console_said *said)
{
    struct buf b = {0};
    tell(r, (const uint8_t *)"\n", 1);
    line_begin(r);
    buf_printf(&b, "{\"status\":%d,\"result\":", r->problem->status && status == 0 ? 1 : status);
    if (is_json(&r->out))
        for (size_t i = 0; i < r->out.len; i++) /* on one line: no line feed is part of a value in JSON */
            buf_put_u8(&b, r->out.p[i] == '\n' || r->out.p[i] == '\r' ? ' ' : r->out.p[i]);
    else
        OUT_LIT(&b, "null");
    OUT_LIT(&b, ",\"error\":");
    const char *text = r->problem->status ? r->problem->message : NULL;
    if (text)
        out_json_cstr(&b, text);
    else
        OUT_LIT(&b, "null");
    OUT_LIT(&b, ",\"hint\":");
    if (said->hint)
        out_json_cstr(&b, said->hint);
    else
        OUT_LIT(&b, "null");
    OUT_LIT(&b, "}\n");
    put(r, b.p, b.len);
    buf_fini(&b);
    return 200;
}

static const char *cookie(struct console_reply *r, const char *token)
{
    return arena_printf(r->arena,
                        "Set-Cookie: " CONSOLE_COOKIE "=%s; Path=/; Secure; HttpOnly; SameSite=Strict%s\r\n",
                        token, *token ? "" : "; Max-Age=0");
}

static int logged_in(struct console_reply *r)
{
    size_t len = r->out.len;
    while (len && (r->out.p[len - 1] == '\n' || r->out.p[len - 1] == '\r'))
        len--;
    if (!console_token_ok((const char *)r->out.p, len)) {
        problem_set(r->problem, 502, "PENSTOCK_BOX", "the box gave no session");
        return console_reply_problem(r);
    }
    put_head(r, 204, NULL, NULL, cookie(r, arena_strndup(r->arena, (const char *)r->out.p, len)));
    memset(r->out.p, 0, r->out.len);
    return 204;
}

static int end_text(struct console_reply *r)
{
    struct buf b = {0};
    OUT_LIT(&b, "{\"text\":");
    out_json_cstr(&b, console_text(r->arena, r->out.p ? r->out.p : (const uint8_t *)"", r->out.len));
    OUT_LIT(&b, "}\n");
    put_head(r, 200, "application/json; charset=utf-8", &b, NULL);
    buf_fini(&b);
    return 200;
}

static int end_json(struct console_reply *r)
{
    if (!is_json(&r->out)) {
        problem_set(r->problem, 502, "PENSTOCK_BOX", "the command's output is no JSON");
        return console_reply_problem(r);
    }
    put_head(r, 200, "application/json; charset=utf-8", &r->out, NULL);
    return 200;
}

int console_reply_end(struct console_reply *r, enum console_end end, int status)
{
    struct console_said said = console_said(r->arena, r->err.p, r->err.len);
    judge(r, end, status, &said);
    if (r->route->flags & CONSOLE_LOGOUT) {
        put_head(r, 204, NULL, NULL, cookie(r, ""));
        return 204;
    }
    if (r->route->out == CONSOLE_OUT_LINES && (r->head_sent || end == CONSOLE_ENDED))
        return end_lines(r, status, &said);
    if (r->head_sent) /* a download: that it is not whole shows in it alone */
        return 200;
    if (r->problem->status)
        return console_reply_problem(r);
    if (r->route->flags & CONSOLE_LOGIN)
        return logged_in(r);
    return r->route->out == CONSOLE_OUT_JSON ? end_json(r) : end_text(r);
}

void console_reply_fini(struct console_reply *r)
{
    buf_fini(&r->out);
    buf_fini(&r->err);
    buf_fini(&r->line);
}
