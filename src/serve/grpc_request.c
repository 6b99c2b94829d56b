/* See grpc_request.h. */
#include "serve/grpc_request.h"
#include "serve/out.h"
#include "serve/proto.h"
#include "serve/proto_api.h"
#include "store/field_numbers.h"

#include <inttypes.h>
#include <stdlib.h>

/* ---- methods ---- */

static const struct {
    const char *service;
    enum grpc_service id;
    bool alpha;
    const char *verbs; /* comma-separated */
} services[] = {
    {"penstock.v1.Views", SERVICE_VIEWS, false, "List,Get,Query,Count,Watch"},
    {"grpc.health.v1.Health", SERVICE_HEALTH, false, "Check,Watch"},
    {"grpc.reflection.v1.ServerReflection", SERVICE_REFLECTION, false, "ServerReflectionInfo"},
    {"grpc.reflection.v1alpha.ServerReflection", SERVICE_REFLECTION, true, "ServerReflectionInfo"},
};
static const struct {
    const char *name;
    enum grpc_verb verb;
} verbs[] = {{"List", VERB_LIST},
             {"Get", VERB_GET},
             {"Query", VERB_QUERY},
             {"Count", VERB_COUNT},
             {"Watch", VERB_WATCH},
             {"Check", VERB_CHECK},
             {"ServerReflectionInfo", VERB_REFLECT}};

static bool verb_find(struct slice name, const char *allowed, struct grpc_method *out)
{
    struct slice rest = slice_of(allowed);
    while (rest.p)
        if (slice_eq(slice_cut(&rest, ','), name))
            for (size_t i = 0; i < ARRAY_COUNT(verbs); i++)
                if (slice_is(name, verbs[i].name)) {
                    out->verb = verbs[i].verb;
                    return true;
                }
    return false;
}

/* "penstock.api.Balances", "penstock.api.v2.Balances" */
static bool typed(struct slice service, struct grpc_method *out)
{
    static const char package[] = PROTO_PACKAGE ".";
    uint64_t version = 0;
    if (service.len < sizeof package || memcmp(service.p, package, sizeof package - 1) != 0)
        return false;
    struct slice name = {service.p + sizeof package - 1, service.len - (sizeof package - 1)};
    struct slice behind = name;
    struct slice first = slice_cut(&behind, '.');
    if (behind.p) {
        if (first.len < 2 || first.p[0] != 'v' ||
            !slice_u64((struct slice){first.p + 1, first.len - 1}, UINT32_MAX, &version) || version == 0)
            return false;
        name = behind;
    }
    out->service = SERVICE_API;
    out->version = (uint32_t)version;
    out->name = name;
    return name.len > 0;
}

bool grpc_method_parse(struct slice path, struct grpc_method *out)
{
    *out = (struct grpc_method){0};
    if (path.len < 2 || path.p[0] != '/')
        return false;
    struct slice verb = {path.p + 1, path.len - 1};
    struct slice service = slice_cut(&verb, '/');
    if (!verb.p)
        return false;
    for (size_t i = 0; i < ARRAY_COUNT(services); i++)
        if (slice_is(service, services[i].service)) {
            out->service = services[i].id;
            out->alpha = services[i].alpha;
            return verb_find(verb, services[i].verbs, out);
        }
    return typed(service, out) && verb_find(verb, "Get,Query,Count,Watch", out);
}

const char *grpc_api_path(const struct world *w, struct slice name)
{
    for (uint32_t i = 0; i < w->api_count; i++)
        if (slice_is(name, w->apis[i].service))
            return w->apis[i].path;
    return NULL;
}

/* ---- messages ---- */

enum role {
    ROLE_NONE,
    ROLE_API,
    ROLE_VERSION,
    ROLE_FILTER,
    ROLE_CONDITION,
    ROLE_SELECT,
    ROLE_ORDER,
    ROLE_LIMIT,
    ROLE_OFFSET,
    ROLE_RESUME,
    ROLE_KEY
};
#define ROLES_MAX 9
/* By field number: what is meant by it in each message (proto_files.c, proto_api.c). */
static const uint8_t views_roles[][ROLES_MAX] = {
    [VERB_LIST] = {0, ROLE_VERSION},
    [VERB_GET] = {0, ROLE_API, ROLE_VERSION, ROLE_KEY, 0, ROLE_SELECT},
    [VERB_QUERY] = {0, ROLE_API, ROLE_VERSION, ROLE_FILTER, ROLE_CONDITION, ROLE_SELECT, ROLE_ORDER,
                    ROLE_LIMIT, ROLE_OFFSET},
    [VERB_COUNT] = {0, ROLE_API, ROLE_VERSION, ROLE_FILTER, ROLE_CONDITION},
    [VERB_WATCH] = {0, ROLE_API, ROLE_VERSION, ROLE_FILTER, ROLE_CONDITION, ROLE_SELECT, ROLE_RESUME},
};
static const uint8_t api_roles[][ROLES_MAX] = {
    [VERB_GET] = {0},
    [VERB_QUERY] = {0, ROLE_FILTER, ROLE_CONDITION, ROLE_SELECT, ROLE_ORDER, ROLE_LIMIT, ROLE_OFFSET},
    [VERB_COUNT] = {0, ROLE_FILTER, ROLE_CONDITION},
    [VERB_WATCH] = {0, ROLE_FILTER, ROLE_CONDITION, ROLE_SELECT, ROLE_RESUME},
};

static bool malformed(struct problem *p)
{
    problem_set(p, 400, "PENSTOCK_MESSAGE", "the request message is malformed");
    return problem_hint(p, "Make the client from the .proto file that this server has now.");
}

static bool put_quoted(struct buf *b, struct slice s)
{
    buf_put_u8(b, '"');
    for (size_t i = 0; i < s.len; i++) {
        if (s.p[i] == '"' || s.p[i] == '\\')
            buf_put_u8(b, '\\');
        buf_put_u8(b, s.p[i]);
    }
    buf_put_u8(b, '"');
    return true;
}

/* "eq", "not.like(any)": letters, points and a quantifier; what is not known is refused by the grammar. */
static bool is_operator(struct slice op)
{
    for (size_t i = 0; i < op.len; i++)
        if (!((op.p[i] >= 'a' && op.p[i] <= 'z') || op.p[i] == '.' || op.p[i] == '(' || op.p[i] == ')'))
            return false;
    return op.len > 0;
}

static bool is_word(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!((s.p[i] | 0x20) >= 'a' && (s.p[i] | 0x20) <= 'z') && s.p[i] != '_')
            return false;
    return s.len > 0;
}

static bool ends_with(struct slice s, const char *end)
{
    size_t n = strlen(end);
    return s.len >= n && memcmp(s.p + s.len - n, end, n) == 0 && (s.len == n || s.p[s.len - n - 1] == '.');
}

/* A name in quotes is never taken for a keyword; one with a JSON path is written as it came. */
static void put_name(struct buf *b, struct slice name)
{
    for (size_t i = 0; i + 1 < name.len; i++)
        if (name.p[i] == '-' && name.p[i + 1] == '>') {
            out_slice(b, name);
            return;
        }
    put_quoted(b, name);
}

static bool put_condition(struct buf *b, const struct grpc_condition *c, struct problem *p)
{
    bool list = ends_with(c->op, "in"), is = ends_with(c->op, "is");
    if (c->column.len == 0 || !is_operator(c->op) || (!list && c->value_count != 1) ||
        (is && !is_word(c->values[0]))) {
        problem_set(p, 400, "PENSTOCK_CONDITION", "condition on \"%.*s\": \"%.*s\" with %u values",
                    TEXT_QUOTED(c->column, 100), TEXT_QUOTED(c->op, 30), c->value_count);
        return problem_hint(
            p, "A condition has a column, an operator such as \"eq\" or \"not.in\", and one value; "
               "\"in\" has any number.");
    }
    buf_put_u8(b, b->len ? ',' : '(');
    put_name(b, c->column);
    buf_put_u8(b, '.');
    out_slice(b, c->op);
    buf_put_str(b, list ? ".(" : ".");
    for (uint32_t i = 0; i < c->value_count; i++) {
        if (i)
            buf_put_u8(b, ',');
        if (is)
            out_slice(b, c->values[i]);
        else
            put_quoted(b, c->values[i]);
    }
    if (list)
        buf_put_u8(b, ')');
    return true;
}

static bool add_value(struct arena *a, struct grpc_condition *c, struct slice value)
{
    if ((c->value_count & (c->value_count - 1)) == 0) { /* grows at powers of two */
        struct slice *grown = ARENA_ARRAY(a, struct slice, c->value_count ? c->value_count * 2 : 1);
        if (c->value_count)
            memcpy(grown, c->values, c->value_count * sizeof *grown);
        c->values = grown;
    }
    c->values[c->value_count++] = value;
    return true;
}

static bool condition(struct arena *a, struct slice message, struct buf *tree, struct problem *p)
{
    struct proto_reader r = proto_reader_of(message);
    struct proto_field_in f;
    struct grpc_condition c = {0};
    struct slice s;
    while (proto_next(&r, &f)) {
        if (f.number == 1)
            proto_text(&r, &f, &c.column);
        else if (f.number == 2)
            proto_text(&r, &f, &c.op);
        else if (f.number == 3 && proto_text(&r, &f, &s))
            add_value(a, &c, s);
    }
    return r.bad ? malformed(p) : put_condition(tree, &c, p);
}

static void add_item(struct buf *b, struct slice item)
{
    if (b->len)
        buf_put_u8(b, ',');
    out_slice(b, item);
}

struct parts { /* texts that repeated fields make together */
    struct buf tree, select, order;
};

static bool text_field(struct proto_reader *r, const struct proto_field_in *f, enum role role,
                       struct parts *parts, struct grpc_request *out, struct problem *p)
{
    struct slice s;
    if (!proto_text(r, f, &s))
        return false;
    switch (role) {
    case ROLE_API: out->api = s; return true;
    case ROLE_FILTER: out->filter = s; return true;
    case ROLE_RESUME: out->resume = s; return true;
    case ROLE_SELECT: add_item(&parts->select, s); return true;
    case ROLE_ORDER: add_item(&parts->order, s); return true;
    default: break;
    }
    if (out->key_count == GRPC_KEYS_MAX)
        return problem_set(p, 400, "PENSTOCK_LIMIT", "more than %d values of a key", GRPC_KEYS_MAX);
    out->keys[out->key_count++] = s;
    return true;
}

static bool number_field(struct proto_reader *r, const struct proto_field_in *f, enum role role,
                         struct grpc_request *out, struct problem *p)
{
    uint64_t u;
    if (!proto_uint(r, f, &u))
        return false;
    if ((role == ROLE_VERSION && u > UINT32_MAX) || u > INT64_MAX) {
        problem_set(p, 400, "PENSTOCK_MESSAGE", "a number of the request is out of range");
        return problem_hint(p, "limit and offset are not negative.");
    }
    if (role == ROLE_VERSION)
        out->version = (uint32_t)u;
    else if (role == ROLE_OFFSET)
        out->offset = (int64_t)u;
    else {
        out->has_limit = true;
        out->limit = (int64_t)u;
    }
    return true;
}

static bool field(struct arena *a, struct proto_reader *r, const struct proto_field_in *f, enum role role,
                  struct parts *parts, struct grpc_request *out, struct problem *p)
{
    switch (role) {
    case ROLE_NONE: return true;
    case ROLE_VERSION:
    case ROLE_LIMIT:
    case ROLE_OFFSET: return number_field(r, f, role, out, p);
    case ROLE_CONDITION: return f->wire == WIRE_BYTES ? condition(a, f->s, &parts->tree, p) : malformed(p);
    default: return text_field(r, f, role, parts, out, p);
    }
}

static struct slice kept(struct arena *a, struct buf *b)
{
    struct slice s = {b->len ? arena_memdup(a, b->p, b->len) : NULL, b->len};
    buf_fini(b);
    return s;
}

bool grpc_request_parse(struct arena *a, const struct grpc_method *m, struct slice message,
                        struct grpc_request *out, struct problem *p)
{
    const uint8_t *roles = m->service == SERVICE_VIEWS ? views_roles[m->verb] : api_roles[m->verb];
    struct proto_reader r = proto_reader_of(message);
    struct proto_field_in f;
    struct parts parts = {0};
    bool ok = true;
    *out = (struct grpc_request){.version = m->version};
    while (ok && proto_next(&r, &f))
        ok = field(a, &r, &f, f.number < ROLES_MAX ? (enum role)roles[f.number] : ROLE_NONE, &parts, out, p);
    if (parts.tree.len)
        buf_put_u8(&parts.tree, ')');
    out->and_tree = kept(a, &parts.tree);
    out->select = kept(a, &parts.select);
    out->order = kept(a, &parts.order);
    if (r.bad)
        return malformed(p);
    return ok;
}

/* ---- keys of typed messages ---- */

static struct slice text_of_bytes(struct arena *a, struct slice s)
{
    char *hex = arena_alloc(a, s.len * 2 + 3);
    memcpy(hex, "\\x", 2);
    for (size_t i = 0; i < s.len; i++)
        snprintf(hex + 2 + 2 * i, 3, "%02x", s.p[i]);
    return (struct slice){(uint8_t *)hex, s.len * 2 + 2};
}

/* A float as the text that gives it back. */
static struct slice text_of_float(struct arena *a, double v, int digits)
{
    if (v != v)
        return slice_of("NaN");
    if (v - v != 0)
        return slice_of(v > 0 ? "Infinity" : "-Infinity");
    return slice_of(arena_printf(a, "%.*g", digits, v));
}

static bool key_value(struct arena *a, struct proto_reader *r, const struct proto_field_in *f,
                      struct field_form form, struct slice *out)
{
    static const enum proto_wire wires[FIELD_KINDS] = {[FIELD_STRING] = WIRE_BYTES,
                                                       [FIELD_BYTES] = WIRE_BYTES,
                                                       [FIELD_FLOAT] = WIRE_FIXED32,
                                                       [FIELD_DOUBLE] = WIRE_FIXED64};
    float single;
    double both;
    uint32_t half = (uint32_t)f->u;
    if (form.is_array || f->wire != wires[form.kind]) {
        r->bad = true;
        return false;
    }
    switch (form.kind) {
    case FIELD_BOOL: *out = slice_of(f->u ? "true" : "false"); return true;
    case FIELD_INT32:
    case FIELD_INT64: *out = slice_of(arena_printf(a, "%" PRId64, (int64_t)f->u)); return true;
    case FIELD_FLOAT:
        memcpy(&single, &half, sizeof single);
        *out = text_of_float(a, (double)single, 9);
        return true;
    case FIELD_DOUBLE:
        memcpy(&both, &f->u, sizeof both);
        *out = text_of_float(a, both, 17);
        return true;
    case FIELD_BYTES: *out = text_of_bytes(a, f->s); return true;
    default: return proto_text(r, f, out);
    }
}

bool grpc_key_parse(struct arena *a, const struct world_api *api, struct slice message,
                    struct grpc_request *out, struct problem *p)
{
    const struct world_view *v = api->view;
    struct proto_reader r = proto_reader_of(message);
    struct proto_field_in f;
    out->key_count = v->key_count;
    if (v->key_count > GRPC_KEYS_MAX)
        return problem_set(p, 400, "PENSTOCK_LIMIT", "the key has more than %d columns", GRPC_KEYS_MAX);
    while (proto_next(&r, &f))
        for (uint32_t i = 0; i < v->key_count; i++) {
            uint32_t column = v->row_key[i].column;
            if (api->field_numbers[column] == f.number &&
                !key_value(a, &r, &f, field_form(v->schema->columns[column].type.id), &out->keys[i]))
                return malformed(p);
        }
    if (r.bad)
        return malformed(p);
    for (uint32_t i = 0; i < v->key_count; i++)
        if (!out->keys[i].p)
            return problem_set(p, 400, "PENSTOCK_KEY", "the request does not set the key's column \"%s\"",
                               v->schema->columns[v->row_key[i].column].name);
    return true;
}

/* ---- as REST would have it ---- */

static bool segment(struct url *u, struct slice s, struct problem *p)
{
    if (u->segment_count == URL_SEGMENTS_MAX)
        return problem_set(p, 400, "PENSTOCK_URL", "too many path segments");
    u->segments[u->segment_count++] = s;
    return true;
}

static bool param(struct url *u, const char *name, struct slice value, struct problem *p)
{
    if (value.len == 0)
        return true;
    if (u->param_count == URL_PARAMS_MAX)
        return problem_set(p, 400, "PENSTOCK_URL", "too many query parameters");
    u->params[u->param_count++] = (struct url_param){slice_of(name), value};
    return true;
}

static bool path(struct arena *a, const struct grpc_request *q, struct url *u, struct problem *p)
{
    struct slice rest = q->api;
    segment(u, slice_of("api"), p);
    if (q->version)
        segment(u, slice_of(arena_printf(a, "v%u", q->version)), p);
    if (rest.len == 0)
        return problem_set(p, 400, "PENSTOCK_MESSAGE", "the request does not name an api");
    while (rest.p)
        if (!segment(u, slice_cut(&rest, '/'), p))
            return false;
    for (uint32_t i = 0; i < q->key_count; i++)
        if (!segment(u, q->keys[i], p))
            return false;
    return true;
}

bool grpc_request_url(struct arena *a, const struct grpc_request *q, struct url *out, struct problem *p)
{
    out->segment_count = out->param_count = 0;
    out->trailing_slash = false;
    if (!path(a, q, out, p))
        return false;
    const char *wrong = url_parse_query(a, q->filter, out);
    if (wrong)
        return problem_set(p, 400, "PENSTOCK_URL", "filter: %s", wrong);
    struct slice limit = {0}, offset = {0};
    if (q->has_limit)
        limit = slice_of(arena_printf(a, "%" PRId64, q->limit));
    if (q->offset)
        offset = slice_of(arena_printf(a, "%" PRId64, q->offset));
    return param(out, "and", q->and_tree, p) && param(out, "select", q->select, p) &&
           param(out, "order", q->order, p) && param(out, "limit", limit, p) &&
           param(out, "offset", offset, p);
}

static void put_escaped(struct buf *b, struct slice s)
{
    static const char plain[] = "-_.~*(),:'!";
    for (size_t i = 0; i < s.len; i++) {
        uint8_t c = s.p[i], low = c | 0x20;
        if ((low >= 'a' && low <= 'z') || (c >= '0' && c <= '9') || (c && strchr(plain, c)))
            buf_put_u8(b, c);
        else
            buf_printf(b, "%%%02X", c);
    }
}

struct slice grpc_request_target(struct arena *a, const struct url *u)
{
    struct buf b = {0};
    for (uint32_t i = 0; i < u->segment_count; i++) {
        buf_put_u8(&b, '/');
        put_escaped(&b, u->segments[i]);
    }
    for (uint32_t i = 0; i < u->param_count; i++) {
        buf_put_u8(&b, i ? '&' : '?');
        put_escaped(&b, u->params[i].name);
        buf_put_u8(&b, '=');
        put_escaped(&b, u->params[i].value);
    }
    return kept(a, &b);
}
