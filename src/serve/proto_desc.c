/* A .proto file as a FileDescriptorProto (google/protobuf/descriptor.proto); see proto_model.h. */
#include "serve/out.h"
#include "serve/proto.h"
#include "serve/proto_model.h"

/* Numbers of fields in descriptor.proto. */
enum {
    FILE_NAME = 1,
    FILE_PACKAGE = 2,
    FILE_MESSAGE = 4,
    FILE_ENUM = 5,
    FILE_SERVICE = 6,
    FILE_SYNTAX = 12,
    MESSAGE_NAME = 1,
    MESSAGE_FIELD = 2,
    MESSAGE_ENUM = 4,
    MESSAGE_ONEOF = 8,
    MESSAGE_RESERVED = 9,
    FIELD_NAME = 1,
    FIELD_NUMBER = 3,
    FIELD_LABEL = 4,
    FIELD_TYPE = 5,
    FIELD_TYPE_NAME = 6,
    FIELD_ONEOF = 9,
    FIELD_JSON_NAME = 10,
    FIELD_PROTO3_OPTIONAL = 17,
    ENUM_NAME = 1,
    ENUM_VALUE = 2,
    SERVICE_NAME = 1,
    SERVICE_METHOD = 2,
    METHOD_NAME = 1,
    METHOD_INPUT = 2,
    METHOD_OUTPUT = 3,
    METHOD_CLIENT_STREAMS = 5,
    METHOD_SERVER_STREAMS = 6
};
#define LABEL_OPTIONAL 1
#define LABEL_REPEATED 3

const char *proto_json_name(const char *field, char *out, size_t size_bytes)
{
    size_t n = 0;
    bool up = false;
    for (; *field && n + 1 < size_bytes; field++) {
        if (*field == '_') {
            up = true;
            continue;
        }
        out[n++] = up && *field >= 'a' && *field <= 'z' ? (char)(*field - 32) : *field;
        up = false;
    }
    out[n] = 0;
    return out;
}

static void put_type_name(struct buf *b, uint32_t number, const struct proto_file *f, const char *type)
{
    size_t at = proto_begin(b, number);
    if (type[0] != '.')
        buf_printf(b, ".%s.", f->package);
    buf_put_str(b, type);
    proto_end(b, at);
}

static void put_field(struct buf *b, const struct proto_file *f, const struct proto_field *x, int oneof)
{
    char name[512];
    size_t at = proto_begin(b, MESSAGE_FIELD);
    proto_put_text(b, FIELD_NAME, x->name);
    proto_put_uint(b, FIELD_NUMBER, x->number);
    proto_put_uint(b, FIELD_LABEL, x->label == PROTO_REPEATED ? LABEL_REPEATED : LABEL_OPTIONAL);
    proto_put_uint(b, FIELD_TYPE, x->kind);
    if (x->type)
        put_type_name(b, FIELD_TYPE_NAME, f, x->type);
    if (oneof >= 0)
        proto_put_uint(b, FIELD_ONEOF, (uint64_t)oneof);
    proto_put_text(b, FIELD_JSON_NAME,
                   x->json_name ? x->json_name : proto_json_name(x->name, name, sizeof name));
    if (x->label == PROTO_OPTIONAL)
        proto_put_uint(b, FIELD_PROTO3_OPTIONAL, 1);
    proto_end(b, at);
}

static void put_enum(struct buf *b, uint32_t number, const struct proto_enum *e)
{
    size_t at = proto_begin(b, number);
    proto_put_text(b, ENUM_NAME, e->name);
    for (uint32_t i = 0; i < e->count; i++) {
        size_t value = proto_begin(b, ENUM_VALUE);
        proto_put_text(b, 1, e->values[i].name);
        proto_put_uint(b, 2, (uint64_t)(int64_t)e->values[i].number);
        proto_end(b, value);
    }
    proto_end(b, at);
}

static void put_oneof(struct buf *b, const char *before, const char *name)
{
    size_t at = proto_begin(b, MESSAGE_ONEOF), text = proto_begin(b, 1);
    buf_printf(b, "%s%s", before, name);
    proto_end(b, text);
    proto_end(b, at);
}

/* Real groups first, then one for each optional field, as protoc numbers them. */
static void put_fields(struct buf *b, const struct proto_file *f, const struct proto_message *m)
{
    int real = -1, next = 0;
    const char *name = NULL;
    for (uint32_t i = 0; i < m->field_count; i++) {
        const struct proto_field *x = &m->fields[i];
        next += x->oneof && x->oneof != name;
        name = x->oneof;
    }
    name = NULL;
    for (uint32_t i = 0; i < m->field_count; i++) {
        const struct proto_field *x = &m->fields[i];
        real += x->oneof && x->oneof != name;
        name = x->oneof;
        put_field(b, f, x, x->oneof ? real : x->label == PROTO_OPTIONAL ? next++ : -1);
    }
}

static void put_oneofs(struct buf *b, const struct proto_message *m)
{
    const char *name = NULL;
    for (uint32_t i = 0; i < m->field_count; i++) {
        if (m->fields[i].oneof && m->fields[i].oneof != name)
            put_oneof(b, "", m->fields[i].oneof);
        name = m->fields[i].oneof;
    }
    for (uint32_t i = 0; i < m->field_count; i++)
        if (m->fields[i].label == PROTO_OPTIONAL)
            put_oneof(b, "_", m->fields[i].name);
}

static void put_message(struct buf *b, const struct proto_file *f, const struct proto_message *m)
{
    size_t at = proto_begin(b, FILE_MESSAGE);
    proto_put_text(b, MESSAGE_NAME, m->name);
    put_fields(b, f, m);
    if (m->inner)
        put_enum(b, MESSAGE_ENUM, m->inner);
    put_oneofs(b, m);
    for (uint32_t i = 0; i < m->reserved_count; i++) {
        size_t range = proto_begin(b, MESSAGE_RESERVED);
        proto_put_uint(b, 1, m->reserved[i]);
        proto_put_uint(b, 2, m->reserved[i] + 1); /* exclusive */
        proto_end(b, range);
    }
    proto_end(b, at);
}

static void put_method(struct buf *b, const struct proto_file *f, const struct proto_method *m)
{
    size_t at = proto_begin(b, SERVICE_METHOD);
    proto_put_text(b, METHOD_NAME, m->name);
    put_type_name(b, METHOD_INPUT, f, m->input);
    put_type_name(b, METHOD_OUTPUT, f, m->output);
    if (m->client_streams)
        proto_put_uint(b, METHOD_CLIENT_STREAMS, 1);
    if (m->server_streams)
        proto_put_uint(b, METHOD_SERVER_STREAMS, 1);
    proto_end(b, at);
}

void proto_file_descriptor(const struct proto_file *f, struct buf *b)
{
    proto_put_text(b, FILE_NAME, f->name);
    proto_put_text(b, FILE_PACKAGE, f->package);
    for (uint32_t i = 0; i < f->message_count; i++)
        put_message(b, f, &f->messages[i]);
    for (uint32_t i = 0; i < f->enum_count; i++)
        put_enum(b, FILE_ENUM, &f->enums[i]);
    for (uint32_t i = 0; i < f->service_count; i++) {
        size_t at = proto_begin(b, FILE_SERVICE);
        proto_put_text(b, SERVICE_NAME, f->services[i].name);
        for (uint32_t k = 0; k < f->services[i].method_count; k++)
            put_method(b, f, &f->services[i].methods[k]);
        proto_end(b, at);
    }
    proto_put_text(b, FILE_SYNTAX, "proto3");
}
