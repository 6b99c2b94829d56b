/* HTTP of pushed rows, through civetweb; see ingest_server.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "source/ingest/ingest_server.h"

#include "base/log.h"
#include "source/ingest/ingest.h"

#include <civetweb.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yyjson.h>

#define STACK_BYTES (4u << 20) /* the values' parsers recurse */

struct ingest_server {
    struct ingest_server_options o;
    struct mg_context *context;
    int dir_fd; /* of DATA/run: the socket is bound through /proc, as DATA's own path may be too long for an address */
};

/* ---- answers ---- */

static void put_json_text(struct buf *b, const char *s)
{
    buf_put_u8(b, '"');
    for (; *s; s++) {
        if (*s == '"' || *s == '\\')
            buf_put_u8(b, '\\');
        if ((unsigned char)*s < 0x20)
            buf_printf(b, "\\u%04x", (unsigned char)*s);
        else
            buf_put_u8(b, (uint8_t)*s);
    }
    buf_put_u8(b, '"');
}

static int send_answer(struct mg_connection *c, int status, const struct buf *headers, const struct buf *body)
{
    mg_printf(c, "HTTP/1.1 %d %s\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: %zu\r\n",
              status, mg_get_response_code_text(c, status), body->len);
    if (headers->len)
        mg_write(c, headers->p, headers->len);
    if (mg_get_header(c, "Origin"))
        mg_printf(c, "Access-Control-Allow-Origin: *\r\nAccess-Control-Expose-Headers: Penstock-Position, "
                     "Retry-After\r\n");
    mg_printf(c, "Connection: close\r\n\r\n");
    mg_write(c, body->p, body->len);
    return status;
}

static int send_refusal(struct mg_connection *c, const struct ingest_refusal *r)
{
    struct buf body = {0}, headers = {0};
    buf_put_str(&body, "{\"code\":");
    put_json_text(&body, r->code);
    buf_put_str(&body, ",\"message\":");
    put_json_text(&body, r->message);
    buf_put_str(&body, ",\"details\":null,\"hint\":");
    if (r->hint[0])
        put_json_text(&body, r->hint);
    else
        buf_put_str(&body, "null");
    buf_put_str(&body, "}");
    if (r->status == 503 || r->status == 507)
        buf_printf(&headers, "Retry-After: %d\r\n", r->status == 503 ? 1 : 30);
    if (r->status == 401)
        buf_put_str(&headers, "WWW-Authenticate: Bearer\r\n");
    if (r->status == 405)
        buf_put_str(&headers, "Allow: POST, DELETE, OPTIONS\r\n");
    int status = send_answer(c, r->status, &headers, &body);
    buf_fini(&body);
    buf_fini(&headers);
    return status;
}

static int send_done(struct mg_connection *c, const char *source, const struct ingest_result *r)
{
    struct buf body = {0}, headers = {0};
    unsigned long long position = r->position;
    buf_printf(&body, "{\"rows\":%u,\"position\":\"%llu\"%s}", r->row_count, position,
               r->repeated ? ",\"repeated\":true" : "");
    buf_printf(&headers, "Penstock-Position: %s=%llu\r\n", source, position);
    int status = send_answer(c, r->repeated ? 200 : 201, &headers, &body);
    buf_fini(&body);
    buf_fini(&headers);
    return status;
}

static bool refuse(struct ingest_refusal *r, int status, const char *code, const char *message,
                   const char *hint)
{
    ingest_refuse(r, status, code, "%s", message);
    snprintf(r->hint, sizeof r->hint, "%s", hint ? hint : "");
    return false;
}

/* ---- requests ---- */

/* Takes as long for every text of the token's length. */
static bool token_matches(const char *token, const char *header)
{
    static const char scheme[] = "Bearer ";
    if (!token || !header || strncasecmp(header, scheme, sizeof scheme - 1) != 0)
        return false;
    const char *given = header + sizeof scheme - 1;
    size_t len = strlen(token);
    unsigned char differs = strlen(given) != len;
    for (size_t i = 0; i < len && !(differs && strlen(given) != len); i++)
        differs |= (unsigned char)(given[i] ^ token[i]);
    return !differs;
}

/* "/ingest/SOURCE/TABLE" into its parts. */
static bool split(const char *uri, char source[64], char table[64])
{
    static const char prefix[] = "/ingest/";
    if (strncmp(uri, prefix, sizeof prefix - 1) != 0)
        return false;
    const char *s = uri + sizeof prefix - 1, *slash = strchr(s, '/');
    if (!slash || slash - s > 63 || strchr(slash + 1, '/') || strlen(slash + 1) > 63)
        return false;
    snprintf(source, 64, "%.*s", (int)(slash - s), s);
    snprintf(table, 64, "%s", slash + 1);
    return *source && *table;
}

static struct ingest_conf *source_find(const struct ingest_server *s, const char *name)
{
    for (uint32_t i = 0; i < s->o.source_count; i++) {
        struct ingest_conf *conf = s->o.confs[i];
        if (strcmp(conf->source_name, name) == 0)
            return conf;
    }
    return NULL;
}

static bool form_of(struct mg_connection *c, enum ingest_form *form, struct ingest_refusal *r)
{
    static const struct {
        const char *type;
        enum ingest_form form;
    } rows[] = {{"application/json", FORM_JSON},
                {"application/x-ndjson", FORM_NDJSON},
                {"application/ndjson", FORM_NDJSON},
                {"application/jsonl", FORM_NDJSON}};
    const char *type = mg_get_header(c, "Content-Type"), *coding = mg_get_header(c, "Content-Encoding");
    if (coding && strcasecmp(coding, "identity") != 0)
        return refuse(r, 415, "PENSTOCK_INGEST_TYPE", "compressed rows are not taken",
                      "Send them as they are.");
    *form = FORM_JSON;
    if (!type)
        return true;
    size_t len = strcspn(type, "; \t");
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        if (strlen(rows[i].type) == len && strncasecmp(type, rows[i].type, len) == 0) {
            *form = rows[i].form;
            return true;
        }
    return refuse(r, 415, "PENSTOCK_INGEST_TYPE", "the Content-Type is not one of rows",
                  "application/json: an object or an array of objects; application/x-ndjson: one per line.");
}

#define READ_BYTES (64u << 10)

/* The whole body; one that breaks off is none. */
static bool body_read(struct mg_connection *c, int64_t most, struct buf *out, struct ingest_refusal *r)
{
    long long announced = mg_get_request_info(c)->content_length;
    int n;
    if (announced > most)
        return refuse(r, 413, "PENSTOCK_BODY", "the request body is larger than limits.body_bytes", NULL);
    while ((n = mg_read(c, buf_room(out, READ_BYTES), READ_BYTES)) > 0) {
        out->len += (size_t)n;
        if (out->len > (size_t)most)
            return refuse(r, 413, "PENSTOCK_BODY", "the request body is larger than limits.body_bytes", NULL);
    }
    if (n < 0 || (announced >= 0 && out->len != (size_t)announced))
        return refuse(r, 400, "PENSTOCK_HTTP", "the request body broke off", NULL);
    return true;
}

static bool admit(const struct ingest_server *s, struct mg_connection *c, char table[64],
                  struct ingest_request *q, struct ingest_conf **conf, struct ingest_refusal *r)
{
    char source[64];
    const struct mg_request_info *info = mg_get_request_info(c);
    if (!split(info->local_uri, source, table) || !(*conf = source_find(s, source)))
        return refuse(r, 404, "PENSTOCK_NOT_FOUND", "there is no such ingest source",
                      "Rows are pushed with POST /ingest/SOURCE/TABLE.");
    if (!s->o.anonymous && !token_matches((*conf)->token, mg_get_header(c, "Authorization")))
        return refuse(r, 401, "PENSTOCK_INGEST_ACCESS", "pushing rows to this source is not allowed",
                      "Send its token: Authorization: Bearer TOKEN; or set access: { ingest: write } to let "
                      "everyone push.");
    q->deletes = strcmp(info->request_method, "DELETE") == 0;
    if (!q->deletes && strcmp(info->request_method, "POST") != 0)
        return refuse(r, 405, "PENSTOCK_METHOD", "rows are pushed with POST, and taken back with DELETE",
                      NULL);
    q->table = table;
    q->key = mg_get_header(c, "Idempotency-Key");
    return form_of(c, &q->form, r);
}

/* A callback that is there when the server starts: a handler that is set afterwards misses the first requests, which got
 * 404. */
static int on_request(struct mg_connection *c)
{
    struct ingest_server *s = mg_get_request_info(c)->user_data;
    struct ingest_request q = {0};
    struct ingest_result result = {0};
    struct ingest_conf *conf;
    struct ingest_work *work = ingest_work_take();
    char table[64];
    bool ok = admit(s, c, table, &q, &conf, &result.refusal) &&
              body_read(c, s->o.body_bytes, &work->body, &result.refusal);
    if (ok) {
        q.work = work;
        q.body = work->body.p;
        q.body_len = work->body.len;
        ok = ingest_push(conf, &q, &result);
    }
    ingest_work_give(work);
    return ok ? send_done(c, conf->source_name, &result) : send_refusal(c, &result.refusal);
}

static int on_log(const struct mg_connection *c, const char *message)
{
    (void)c;
    log_warn("ingest", "civetweb", "message=\"%s\"", message);
    return 1;
}

/* ---- beginning and ending ---- */

static void default_stack(void)
{
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    if (pthread_attr_setstacksize(&attr, STACK_BYTES) == 0)
        (void)pthread_setattr_default_np(&attr);
    pthread_attr_destroy(&attr);
}

static struct err *open_dir(struct ingest_server *s)
{
    char *dir = xprintf("%s/run", s->o.data_dir);
    struct err *e = NULL;
    if (mkdir(dir, 0700) != 0 && errno != EEXIST)
        e = err_errno(ERR_IO, "make directory %s", dir);
    else if ((s->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
        e = err_errno(ERR_IO, "cannot open directory %s", dir);
    free(dir);
    return e;
}

struct err *ingest_server_start(const struct ingest_server_options *o, struct ingest_server **out)
{
    struct ingest_server *s = xcalloc(1, sizeof *s);
    struct mg_callbacks callbacks = {.log_message = on_log, .begin_request = on_request};
    s->o = *o;
    s->dir_fd = -1;
    struct err *e = open_dir(s);
    if (e) {
        ingest_server_stop(s);
        return e;
    }
    (void)unlinkat(s->dir_fd, "ingest.sock", 0);
    char port[64], threads[16], queue[16];
    snprintf(port, sizeof port, "x/proc/self/fd/%d/ingest.sock", s->dir_fd);
    snprintf(threads, sizeof threads, "%d", INGEST_THREADS);
    snprintf(queue, sizeof queue, "%u", s->o.queue && s->o.queue < INGEST_QUEUE ? s->o.queue : INGEST_QUEUE);
    const char *options[] = {"listening_ports",
                             port,
                             "num_threads",
                             threads,
                             "request_timeout_ms",
                             "30000",
                             "enable_keep_alive",
                             "no",
                             "listen_backlog",
                             "1024",
                             "connection_queue",
                             queue,
                             NULL};
    default_stack();
    s->context = mg_start(&callbacks, s, options);
    if (!s->context) {
        ingest_server_stop(s);
        return err_new(ERR_IO, "cannot start the server of pushed rows on %s/run/ingest.sock", o->data_dir);
    }
    *out = s;
    return NULL;
}

void ingest_server_stop(struct ingest_server *s)
{
    if (!s)
        return;
    if (s->context)
        mg_stop(s->context);
    if (s->dir_fd >= 0) {
        (void)unlinkat(s->dir_fd, "ingest.sock", 0);
        close(s->dir_fd);
    }
    ingest_works_free();
    free(s);
}
