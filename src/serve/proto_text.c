/* A .proto file's text; see proto_model.h. */
#include "serve/out.h"
#include "serve/proto_model.h"

static void put_comment(struct buf *b, const char *indent, const char *comment)
{
    struct slice rest = slice_of(comment ? comment : "");
    while (rest.len) {
        struct slice line = slice_cut(&rest, '\n');
        while (line.len && (line.p[line.len - 1] == '\r' || line.p[line.len - 1] == ' '))
            line.len--;
        buf_put_str(b, indent);
        OUT_LIT(b, "//");
        if (line.len)
            OUT_LIT(b, " ");
        for (size_t i = 0; i < line.len; i++) /* anything else that ends a line would end the comment */
            buf_put_u8(b, line.p[i] < 0x20 ? ' ' : line.p[i]);
        OUT_LIT(b, "\n");
    }
}

static const char *kind_name(enum proto_kind k)
{
    static const char *const names[] = {
        [PROTO_DOUBLE] = "double", [PROTO_FLOAT] = "float", [PROTO_INT64] = "int64",
        [PROTO_UINT64] = "uint64", [PROTO_INT32] = "int32", [PROTO_BOOL] = "bool",
        [PROTO_STRING] = "string", [PROTO_BYTES] = "bytes", [PROTO_UINT32] = "uint32",
    };
    return names[k];
}

/* A field named like the type would hide it. */
static bool hidden(const struct proto_message *m, const char *type)
{
    for (uint32_t i = 0; i < m->field_count; i++)
        if (strcmp(m->fields[i].name, type) == 0)
            return true;
    return false;
}

static void put_field(struct buf *b, const struct proto_file *f, const struct proto_message *m,
                      const struct proto_field *x)
{
    const char *indent = x->oneof ? "    " : "  ";
    char name[512];
    put_comment(b, indent, x->comment);
    buf_put_str(b, indent);
    buf_put_str(b, x->label == PROTO_REPEATED ? "repeated " : x->label == PROTO_OPTIONAL ? "optional " : "");
    if (!x->type)
        buf_put_str(b, kind_name(x->kind));
    else if (x->type[0] != '.' && hidden(m, x->type))
        buf_printf(b, ".%s.%s", f->package, x->type);
    else
        buf_put_str(b, x->type);
    buf_printf(b, " %s = %u", x->name, x->number);
    if (x->json_name && strcmp(x->json_name, proto_json_name(x->name, name, sizeof name)) != 0) {
        OUT_LIT(b, " [json_name = ");
        out_json_cstr(b, x->json_name);
        OUT_LIT(b, "]");
    }
    OUT_LIT(b, ";\n");
}

static void put_enum(struct buf *b, const char *indent, const struct proto_enum *e)
{
    char deeper[16];
    snprintf(deeper, sizeof deeper, "%s  ", indent);
    put_comment(b, indent, e->comment);
    buf_printf(b, "%senum %s {\n", indent, e->name);
    for (uint32_t i = 0; i < e->count; i++) {
        put_comment(b, deeper, e->values[i].comment);
        buf_printf(b, "%s%s = %d;\n", deeper, e->values[i].name, e->values[i].number);
    }
    buf_printf(b, "%s}\n", indent);
}

static void put_reserved(struct buf *b, const struct proto_message *m)
{
    if (m->reserved_count)
        OUT_LIT(b, "  // Columns that are no more, or whose values are sent in another form now.\n");
    for (uint32_t i = 0; i < m->reserved_count; i++)
        buf_printf(b, "  reserved %u;\n", m->reserved[i]);
}

static void put_message(struct buf *b, const struct proto_file *f, const struct proto_message *m)
{
    const char *oneof = NULL;
    OUT_LIT(b, "\n");
    put_comment(b, "", m->comment);
    buf_printf(b, "message %s {\n", m->name);
    if (m->inner)
        put_enum(b, "  ", m->inner);
    put_reserved(b, m);
    for (uint32_t i = 0; i < m->field_count; i++) {
        const struct proto_field *x = &m->fields[i];
        if (oneof && x->oneof != oneof)
            OUT_LIT(b, "  }\n");
        if (x->oneof && x->oneof != oneof)
            buf_printf(b, "  oneof %s {\n", x->oneof);
        oneof = x->oneof;
        put_field(b, f, m, x);
    }
    buf_put_str(b, oneof ? "  }\n}\n" : "}\n");
}

static void put_service(struct buf *b, const struct proto_service *s)
{
    OUT_LIT(b, "\n");
    put_comment(b, "", s->comment);
    buf_printf(b, "service %s {\n", s->name);
    for (uint32_t i = 0; i < s->method_count; i++) {
        const struct proto_method *m = &s->methods[i];
        put_comment(b, "  ", m->comment);
        buf_printf(b, "  rpc %s(%s%s) returns (%s%s);\n", m->name, m->client_streams ? "stream " : "",
                   m->input, m->server_streams ? "stream " : "", m->output);
    }
    OUT_LIT(b, "}\n");
}

void proto_file_text(const struct proto_file *f, struct buf *b)
{
    put_comment(b, "", f->comment);
    buf_printf(b, "syntax = \"proto3\";\n\npackage %s;\n", f->package);
    for (uint32_t i = 0; i < f->service_count; i++)
        put_service(b, &f->services[i]);
    for (uint32_t i = 0; i < f->enum_count; i++) {
        OUT_LIT(b, "\n");
        put_enum(b, "", &f->enums[i]);
    }
    for (uint32_t i = 0; i < f->message_count; i++)
        put_message(b, f, &f->messages[i]);
}
