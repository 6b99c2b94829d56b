/* grpc.reflection v1 and v1alpha: clients learn the services and their messages from the running server. Both versions have
 * the same messages. */
#include "serve/grpc_service.h"
#include "serve/grant.h"
#include "serve/out.h"
#include "serve/proto.h"
#include "serve/proto_api.h"
#include "serve/proto_files.h"

/* Fields of ServerReflectionRequest and ServerReflectionResponse. */
enum { ASK_FILE = 3, ASK_SYMBOL = 4, ASK_EXTENSION = 5, ASK_EXTENSIONS = 6, ASK_LIST = 7 };
enum { ANSWER_HOST = 1, ANSWER_REQUEST = 2, ANSWER_FILE = 4, ANSWER_SERVICES = 6, ANSWER_ERROR = 7 };

#define FILES_MAX (5 + GATE_VERSIONS_MAX)
struct files {
    const struct proto_file *list[FILES_MAX];
    uint32_t count;
};

/* The apis' files are for those who may read anything; who may not see every column of every api has the generic service,
 * which shows him what he may see. */
static void files_of(struct rest *r, struct files *out)
{
    struct problem p;
    problem_init(&p, &r->arena);
    *out = (struct files){{&proto_views, &proto_health, &proto_reflection, &proto_reflection_alpha}, 4};
    if (!r->world || !rest_may_enter(r, &p) || !grant_everything(r, &p))
        return;
    out->list[out->count++] = proto_api_file(&r->arena, r->world, 0, NULL);
    const struct world_set *set = r->world->set;
    for (uint32_t i = 0; i < set->count && out->count < FILES_MAX; i++) /* every version that is served */
        if (world_numbered(r->world, set->worlds[i].number) == &set->worlds[i])
            out->list[out->count++] = proto_api_file(&r->arena, &set->worlds[i], set->worlds[i].number, NULL);
}

static bool is_member(struct slice name, const char *parent, const char *child)
{
    size_t n = strlen(parent);
    return name.len > n + 1 && memcmp(name.p, parent, n) == 0 && name.p[n] == '.' &&
           slice_is((struct slice){name.p + n + 1, name.len - n - 1}, child);
}

static bool enum_has(const struct proto_enum *e, struct slice name)
{
    bool found = slice_is(name, e->name);
    for (uint32_t i = 0; i < e->count && !found; i++)
        found = slice_is(name, e->values[i].name) || is_member(name, e->name, e->values[i].name);
    return found;
}

static bool message_has(const struct proto_message *m, struct slice name)
{
    if (slice_is(name, m->name))
        return true;
    for (uint32_t i = 0; i < m->field_count; i++)
        if (is_member(name, m->name, m->fields[i].name))
            return true;
    return m->inner && is_member(name, m->name, m->inner->name);
}

static bool service_has(const struct proto_service *s, struct slice name)
{
    if (slice_is(name, s->name))
        return true;
    for (uint32_t i = 0; i < s->method_count; i++)
        if (is_member(name, s->name, s->methods[i].name))
            return true;
    return false;
}

static bool file_has(const struct proto_file *f, struct slice symbol)
{
    size_t n = strlen(f->package);
    bool found = false;
    if (symbol.len <= n + 1 || memcmp(symbol.p, f->package, n) != 0 || symbol.p[n] != '.')
        return false;
    struct slice name = {symbol.p + n + 1, symbol.len - n - 1};
    for (uint32_t i = 0; i < f->message_count && !found; i++)
        found = message_has(&f->messages[i], name);
    for (uint32_t i = 0; i < f->enum_count && !found; i++)
        found = enum_has(&f->enums[i], name);
    for (uint32_t i = 0; i < f->service_count && !found; i++)
        found = service_has(&f->services[i], name);
    return found;
}

static void put_error(enum grpc_status status, const char *what, struct slice name, struct buf *b)
{
    size_t at = proto_begin(b, ANSWER_ERROR);
    proto_put_uint(b, 1, status);
    size_t text = proto_begin(b, 2);
    buf_printf(b, "%s: %.*s", what, TEXT_QUOTED(name, 200));
    proto_end(b, text);
    proto_end(b, at);
}

static void put_file(const struct proto_file *f, struct buf *b)
{
    size_t at = proto_begin(b, ANSWER_FILE), bytes = proto_begin(b, 1);
    proto_file_descriptor(f, b);
    proto_end(b, bytes);
    proto_end(b, at);
}

static void file_by_name(const struct files *files, struct slice name, struct buf *b)
{
    for (uint32_t i = 0; i < files->count; i++)
        if (slice_is(name, files->list[i]->name)) {
            put_file(files->list[i], b);
            return;
        }
    put_error(GRPC_NOT_FOUND, "no such file", name, b);
}

static void file_by_symbol(const struct files *files, struct slice symbol, struct buf *b)
{
    for (uint32_t i = 0; i < files->count; i++)
        if (file_has(files->list[i], symbol)) {
            put_file(files->list[i], b);
            return;
        }
    put_error(GRPC_NOT_FOUND, "no such symbol", symbol, b);
}

static void list_services(const struct files *files, struct buf *b)
{
    size_t at = proto_begin(b, ANSWER_SERVICES);
    for (uint32_t i = 0; i < files->count; i++)
        for (uint32_t k = 0; k < files->list[i]->service_count; k++) {
            size_t service = proto_begin(b, 1), name = proto_begin(b, 1);
            buf_printf(b, "%s.%s", files->list[i]->package, files->list[i]->services[k].name);
            proto_end(b, name);
            proto_end(b, service);
        }
    proto_end(b, at);
}

void grpc_reflect(struct rest *r, const struct grpc_method *m, struct slice message, struct answer *a)
{
    struct proto_reader in = proto_reader_of(message);
    struct proto_field_in f;
    struct files files;
    struct slice host = {0}, text = {0};
    uint32_t ask = 0;
    (void)m;
    while (proto_next(&in, &f)) {
        if (f.number == 1)
            proto_text(&in, &f, &host);
        else if (f.number == ASK_EXTENSION)
            ask = f.number;
        else if (f.number >= ASK_FILE && f.number <= ASK_LIST && proto_text(&in, &f, &text))
            ask = f.number;
    }
    if (in.bad) {
        problem_set(&a->problem, 400, "PENSTOCK_MESSAGE", "the request message is malformed");
        return;
    }
    files_of(r, &files);
    size_t at = grpc_begin(a->body);
    proto_put_bytes(a->body, ANSWER_HOST, host.p, host.len);
    proto_put_bytes(a->body, ANSWER_REQUEST, message.p, message.len);
    switch (ask) {
    case ASK_FILE: file_by_name(&files, text, a->body); break;
    case ASK_SYMBOL: file_by_symbol(&files, text, a->body); break;
    case ASK_LIST: list_services(&files, a->body); break;
    case ASK_EXTENSION:
    case ASK_EXTENSIONS: put_error(GRPC_NOT_FOUND, "there are no extensions", text, a->body); break;
    default: put_error(GRPC_INVALID_ARGUMENT, "the request asks for nothing", text, a->body); break;
    }
    grpc_end(a->body, at);
}
