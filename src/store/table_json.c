/* Tables in JSON; see table_json.h. */
#include "store/table_json.h"

static void put_column(yyjson_mut_doc *d, yyjson_mut_val *columns, const struct column *c)
{
    yyjson_mut_val *o = yyjson_mut_arr_add_obj(d, columns);
    yyjson_mut_obj_add_str(d, o, "name", c->name);
    yyjson_mut_obj_add_str(d, o, "type", type_info(c->type.id)->name);
    yyjson_mut_obj_add_int(d, o, "typmod", c->type.typmod);
    yyjson_mut_obj_add_bool(d, o, "not_null", c->not_null);
    if (c->comment)
        yyjson_mut_obj_add_str(d, o, "comment", c->comment);
}

void table_json_put(yyjson_mut_doc *d, yyjson_mut_val *tables, const struct table_def *t)
{
    yyjson_mut_val *o = yyjson_mut_arr_add_obj(d, tables);
    yyjson_mut_obj_add_str(d, o, "name", t->name);
    yyjson_mut_val *columns = yyjson_mut_obj_add_arr(d, o, "columns");
    for (uint32_t c = 0; c < t->schema.column_count; c++)
        put_column(d, columns, &t->schema.columns[c]);
    yyjson_mut_val *key = yyjson_mut_obj_add_arr(d, o, "key");
    for (uint32_t k = 0; k < t->key_count; k++)
        yyjson_mut_arr_add_uint(d, key, t->key[k]);
}

const char *table_json_text(struct table_json *l, yyjson_val *o, const char *field)
{
    yyjson_val *v = yyjson_obj_get(o, field);
    l->bad |= !yyjson_is_str(v);
    return yyjson_is_str(v) ? arena_strndup(l->arena, yyjson_get_str(v), yyjson_get_len(v)) : "";
}

uint32_t table_json_array(struct table_json *l, yyjson_val *o, const char *field, yyjson_val **out)
{
    *out = yyjson_obj_get(o, field);
    l->bad |= !yyjson_is_arr(*out);
    return yyjson_is_arr(*out) ? (uint32_t)yyjson_arr_size(*out) : 0;
}

static void get_column(struct table_json *l, yyjson_val *o, struct column *c)
{
    const struct type_info *type = type_by_name(table_json_text(l, o, "type"));
    yyjson_val *typmod = yyjson_obj_get(o, "typmod"), *not_null = yyjson_obj_get(o, "not_null");
    l->bad |= !type || !yyjson_is_int(typmod) || !yyjson_is_bool(not_null);
    if (l->bad)
        return;
    c->name = table_json_text(l, o, "name");
    c->type = (struct type){type->id, (int32_t)yyjson_get_sint(typmod)};
    c->not_null = yyjson_get_bool(not_null);
    if (yyjson_obj_get(o, "comment"))
        c->comment = table_json_text(l, o, "comment");
}

void table_json_get(struct table_json *l, yyjson_val *o, struct table_def *t)
{
    yyjson_val *columns, *key, *v;
    size_t i, n;
    t->name = table_json_text(l, o, "name");
    t->schema.column_count = table_json_array(l, o, "columns", &columns);
    t->schema.columns = ARENA_ARRAY(l->arena, struct column, t->schema.column_count + 1);
    yyjson_arr_foreach(columns, i, n, v)
    {
        get_column(l, v, &t->schema.columns[i]);
    }
    t->key_count = table_json_array(l, o, "key", &key);
    t->key = ARENA_ARRAY(l->arena, uint32_t, t->key_count + 1);
    yyjson_arr_foreach(key, i, n, v)
    {
        l->bad |= !yyjson_is_uint(v) || yyjson_get_uint(v) >= t->schema.column_count;
        t->key[i] = (uint32_t)yyjson_get_uint(v);
    }
}
