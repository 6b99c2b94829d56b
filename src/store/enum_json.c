/* Enum types as JSON; see enum_json.h. */
#include "store/enum_json.h"

void enum_set_add(struct enum_set *set, const struct schema *schema)
{
    for (uint32_t i = 0; i < schema->column_count; i++) {
        enum type_id t = schema->columns[i].type.id;
        if (type_is_array(t))
            t = type_element(t);
        if (type_is_enum(t))
            set->has[t - T_ENUMS] = true;
    }
}

void enum_json_put(yyjson_mut_doc *doc, yyjson_mut_val *object, const struct enum_set *set)
{
    yyjson_mut_val *types = NULL;
    for (uint32_t i = 0; i < ENUM_TYPES_MAX; i++) {
        if (!set->has[i])
            continue;
        const struct enum_def *def = enum_type_def((enum type_id)(T_ENUMS + i));
        if (!types)
            types = yyjson_mut_obj_add_arr(doc, object, "types");
        yyjson_mut_val *o = yyjson_mut_arr_add_obj(doc, types);
        yyjson_mut_obj_add_str(doc, o, "name", def->name);
        yyjson_mut_obj_add_uint(doc, o, "oid", def->desc.oid);
        yyjson_mut_val *labels = yyjson_mut_obj_add_arr(doc, o, "labels");
        for (uint32_t k = 0; k < def->desc.count; k++) {
            yyjson_mut_val *l = yyjson_mut_arr_add_obj(doc, labels);
            yyjson_mut_obj_add_str(doc, l, "label", def->desc.labels[k].text);
            yyjson_mut_obj_add_real(doc, l, "order", (double)def->desc.labels[k].order);
        }
    }
}

static bool get_type(struct arena *arena, yyjson_val *o, enum enum_origin origin)
{
    const char *name = yyjson_get_str(yyjson_obj_get(o, "name"));
    yyjson_val *oid = yyjson_obj_get(o, "oid"), *list = yyjson_obj_get(o, "labels"), *v;
    if (!name || !strchr(name, '.') || strlen(name) + 2 > TYPE_NAME_MAX || !yyjson_is_uint(oid) ||
        !yyjson_is_arr(list))
        return false;
    struct enum_label *labels = ARENA_ARRAY(arena, struct enum_label, yyjson_arr_size(list) + 1);
    size_t i, n;
    yyjson_arr_foreach(list, i, n, v)
    {
        yyjson_val *order = yyjson_obj_get(v, "order");
        labels[i] =
            (struct enum_label){yyjson_get_str(yyjson_obj_get(v, "label")), (float)yyjson_get_num(order)};
        if (!labels[i].text || !yyjson_is_num(order))
            return false;
    }
    const struct enum_desc desc = {(uint32_t)yyjson_get_uint(oid), (uint32_t)n, labels};
    return enum_type_put(name, &desc, origin) != T_UNKNOWN;
}

bool enum_json_get(yyjson_val *object, enum enum_origin origin)
{
    yyjson_val *types = yyjson_obj_get(object, "types"), *v;
    size_t i, n;
    if (!types)
        return true;
    bool ok = yyjson_is_arr(types);
    struct arena arena;
    arena_init(&arena);
    yyjson_arr_foreach(types, i, n, v)
    {
        ok = ok && get_type(&arena, v, origin);
    }
    arena_fini(&arena);
    return ok;
}
