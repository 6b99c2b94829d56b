/* A .proto file as data: from one description come its text for people and generators (proto_text.c) and its bytes as a
 * FileDescriptorProto for reflection (proto_desc.c), so the two cannot disagree. Names are borrowed. */
#ifndef PENSTOCK_SERVE_PROTO_MODEL_H
#define PENSTOCK_SERVE_PROTO_MODEL_H

#include "base/buf.h"

enum proto_kind { /* FieldDescriptorProto.Type */
                  PROTO_DOUBLE = 1,
                  PROTO_FLOAT = 2,
                  PROTO_INT64 = 3,
                  PROTO_UINT64 = 4,
                  PROTO_INT32 = 5,
                  PROTO_BOOL = 8,
                  PROTO_STRING = 9,
                  PROTO_MESSAGE = 11,
                  PROTO_BYTES = 12,
                  PROTO_UINT32 = 13,
                  PROTO_ENUM = 14
};
enum proto_label { PROTO_PLAIN, PROTO_OPTIONAL, PROTO_REPEATED };

struct proto_field {
    const char *name;
    uint32_t number;
    enum proto_kind kind;
    enum proto_label label;
    const char
        *type; /* of PROTO_MESSAGE and PROTO_ENUM: relative to the file's package, or ".absolute.Name" */
    const char *comment;   /* may be NULL, may have several lines */
    const char *json_name; /* NULL: the default */
    const char *oneof;     /* the group that it is one of; its fields stand together */
};
struct proto_enum {
    const char *name, *comment;
    uint32_t count;
    const struct proto_enum_value {
        const char *name;
        int32_t number;
        const char *comment;
    } * values;
};
struct proto_message {
    const char *name, *comment;
    uint32_t field_count;
    const struct proto_field *fields;
    const struct proto_enum *inner; /* an enum declared inside; may be NULL */
    uint32_t reserved_count;        /* numbers never to be used again, ascending */
    const uint32_t *reserved;
};
struct proto_method {
    const char *name, *input, *output, *comment; /* types as in proto_field.type */
    bool client_streams, server_streams;
};
struct proto_service {
    const char *name, *comment;
    uint32_t method_count;
    const struct proto_method *methods;
};
struct proto_file {
    const char *name, *package, *comment;
    uint32_t message_count;
    const struct proto_message *messages;
    uint32_t enum_count;
    const struct proto_enum *enums;
    uint32_t service_count;
    const struct proto_service *services;
};
void proto_file_text(const struct proto_file *f, struct buf *out);
void proto_file_descriptor(const struct proto_file *f, struct buf *out);
/* What protoc makes of a field's name in JSON: lowerCamelCase. Returns out. */
const char *proto_json_name(const char *field, char *out, size_t size_bytes);

#endif
