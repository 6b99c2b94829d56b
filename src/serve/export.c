/* JSON Schema 2020-12 and TypeScript from the OpenAPI document; see export.h. */
#include "serve/export.h"
#include "serve/out.h"

#include <stdlib.h>
#include <yyjson.h>

enum export export_of(struct slice file_name)
{
    return slice_is(file_name, "schema.json") ? EXPORT_SCHEMA
           : slice_is(file_name, "types.ts")  ? EXPORT_TYPES
                                              : EXPORT_NONE;
}

const char *export_media(enum export kind)
{
    return kind == EXPORT_SCHEMA ? "application/schema+json; charset=utf-8" : "text/plain; charset=utf-8";
}

/* The api's: its title, for the name of a component has no slashes. */
static void put_name(yyjson_val *component, yyjson_val *schema, struct buf *out)
{
    yyjson_val *title = yyjson_obj_get(schema, "title"), *name = title ? title : component;
    out_json_string(out, yyjson_get_str(name), yyjson_get_len(name));
}

/* ---- JSON Schema ---- */

static void put_value(yyjson_val *v, struct buf *out)
{
    size_t len;
    char *text = yyjson_val_write(v, 0, &len);
    ASSERT(text);
    buf_put(out, text, len);
    free(text);
}

static void schema_write(yyjson_val *schemas, struct buf *out)
{
    size_t i, max;
    yyjson_val *name, *schema;
    OUT_LIT(out, "{\"$schema\":\"https://json-schema.org/draft/2020-12/"
                 "schema\",\"title\":\"Penstock\",\"description\":"
                 "\"The rows of each api\",\"$defs\":{");
    yyjson_obj_foreach(schemas, i, max, name, schema)
    {
        buf_put_str(out, i ? "," : "");
        put_name(name, schema, out);
        buf_put_u8(out, ':');
        put_value(schema, out);
    }
    OUT_LIT(out, "}}");
}

/* ---- TypeScript ---- */

static const char *text_of(yyjson_val *v, const char *key)
{
    return yyjson_get_str(yyjson_obj_get(v, key));
}

/* The end of a comment inside one would be its end. */
static void put_comment(const char *text, const char *indent, struct buf *out)
{
    if (!text)
        return;
    buf_printf(out, "%s/** ", indent);
    for (; *text; text++) {
        if (text[0] == '*' && text[1] == '/')
            buf_put_str(out, "* ");
        else if ((uint8_t)*text < ' ')
            buf_put_u8(out, ' ');
        else
            buf_put_u8(out, (uint8_t)*text);
    }
    buf_put_str(out, " */\n");
}

static bool may_be_null(yyjson_val *type)
{
    size_t i, max;
    yyjson_val *one;
    yyjson_arr_foreach(type, i, max, one) if (yyjson_equals_str(one, "null")) return true;
    return !type;
}

static void put_labels(yyjson_val *labels, struct buf *out)
{
    size_t i, max, n = 0;
    yyjson_val *label;
    yyjson_arr_foreach(labels, i, max, label)
    {
        if (!yyjson_is_str(label))
            continue;
        buf_put_str(out, n++ ? " | " : "");
        out_json_string(out, yyjson_get_str(label), yyjson_get_len(label));
    }
    buf_put_str(out, n ? "" : "never");
}

/* Without its null. Any depth of arrays is possible in a column, one dimension is the rule. */
static void put_type(yyjson_val *schema, struct buf *out)
{
    yyjson_val *type = yyjson_obj_get(schema, "type"), *items = yyjson_obj_get(schema, "items");
    const char *name = yyjson_get_str(yyjson_is_arr(type) ? yyjson_arr_get_first(type) : type);
    if (yyjson_obj_get(schema, "enum")) {
        put_labels(yyjson_obj_get(schema, "enum"), out);
    } else if (name && strcmp(name, "array") == 0 && items) {
        OUT_LIT(out, "(");
        put_type(items, out);
        buf_put_str(out, may_be_null(yyjson_obj_get(items, "type")) ? " | null)[]" : ")[]");
    } else if (name && (strcmp(name, "number") == 0 || strcmp(name, "integer") == 0)) {
        OUT_LIT(out, "number");
    } else if (name && (strcmp(name, "string") == 0 || strcmp(name, "boolean") == 0)) {
        buf_put_str(out, name);
    } else {
        OUT_LIT(out, "Json");
    }
}

static void put_member(const char *name, yyjson_val *v, struct buf *out)
{
    buf_printf(out, " %s: ", name);
    put_value(v, out);
    OUT_LIT(out, ";");
}

/* As postgrest-js wants them, to know the rows of what is embedded. */
static void put_relationships(yyjson_val *references, struct buf *out)
{
    size_t i, max;
    yyjson_val *r;
    OUT_LIT(out, "        Relationships: [");
    yyjson_arr_foreach(references, i, max, r)
    {
        buf_put_str(out, i ? ",\n          {" : "\n          {");
        put_member("foreignKeyName", yyjson_obj_get(r, "name"), out);
        put_member("columns", yyjson_obj_get(r, "columns"), out);
        put_member("isOneToOne", yyjson_obj_get(r, "unique"), out);
        put_member("referencedRelation", yyjson_obj_get(r, "api"), out);
        put_member("referencedColumns", yyjson_obj_get(r, "key"), out);
        OUT_LIT(out, " }");
    }
    buf_put_str(out, yyjson_arr_size(references) ? "\n        ];\n" : "];\n");
}

static void put_row(yyjson_val *schema, struct buf *out)
{
    size_t i, max;
    yyjson_val *name, *column;
    OUT_LIT(out, "        Row: {\n");
    yyjson_obj_foreach(yyjson_obj_get(schema, "properties"), i, max, name, column)
    {
        put_comment(text_of(column, "description"), "          ", out);
        OUT_LIT(out, "          ");
        out_json_string(out, yyjson_get_str(name), yyjson_get_len(name));
        OUT_LIT(out, ": ");
        put_type(column, out);
        buf_put_str(out, may_be_null(yyjson_obj_get(column, "type")) ? " | null;\n" : ";\n");
    }
    OUT_LIT(out, "        };\n");
    put_relationships(yyjson_obj_get(schema, "x-references"), out);
}

static const char types_head[] =
    "/** The rows of each API: new PostgrestClient<Database>(...) of @supabase/postgrest-js, or "
    "Row<\"NAME\">.\n"
    " * bigint and numeric come as JSON numbers with every digit, of which JavaScript keeps 15 to 17: "
    "`column::text` in\n"
    " * select brings all of them, as a string. */\n"
    "export type Json = string | number | boolean | null | { [key: string]: Json | undefined } | Json[];\n\n"
    "export type Database = {\n  public: {\n    Tables: { [_ in never]: never };\n    Views: {\n";
static const char types_tail[] =
    "    };\n    Functions: { [_ in never]: never };\n    Enums: { [_ in never]: never };\n"
    "    CompositeTypes: { [_ in never]: never };\n  };\n};\n\n"
    "export type Row<Api extends keyof Database[\"public\"][\"Views\"]> = "
    "Database[\"public\"][\"Views\"][Api][\"Row\"];\n";

static void types_write(yyjson_val *schemas, struct buf *out)
{
    size_t i, max;
    yyjson_val *name, *schema;
    OUT_LIT(out, types_head);
    yyjson_obj_foreach(schemas, i, max, name, schema)
    {
        if (!yyjson_obj_get(schema, "x-key")) /* of errors, not of rows */
            continue;
        put_comment(text_of(schema, "description"), "      ", out);
        OUT_LIT(out, "      ");
        put_name(name, schema, out);
        OUT_LIT(out, ": {\n");
        put_row(schema, out);
        OUT_LIT(out, "      };\n");
    }
    OUT_LIT(out, types_tail);
}

void export_write(enum export kind, struct slice openapi, struct buf *out)
{
    yyjson_doc *doc = yyjson_read((const char *)openapi.p, openapi.len, 0);
    yyjson_val *schemas = yyjson_obj_get(yyjson_obj_get(yyjson_doc_get_root(doc), "components"), "schemas");
    ASSERT(schemas);
    if (kind == EXPORT_SCHEMA)
        schema_write(schemas, out);
    else
        types_write(schemas, out);
    yyjson_doc_free(doc);
}
