/* jsonpath as PostgreSQL prints it: names quoted, brackets by the operators' priorities. */
#include "types/jsonpath.h"
#include <stdio.h>

const char *jp_operator_name(enum jp_kind kind)
{
    switch (kind) {
    case JP_ADD:
    case JP_PLUS: return "+";
    case JP_SUB:
    case JP_MINUS: return "-";
    case JP_MUL: return "*";
    case JP_DIV: return "/";
    case JP_MOD: return "%";
    case JP_AND: return "&&";
    case JP_OR: return "||";
    case JP_EQ: return "==";
    case JP_NE: return "!=";
    case JP_LT: return "<";
    case JP_GT: return ">";
    case JP_LE: return "<=";
    case JP_GE: return ">=";
    case JP_STARTS_WITH: return "starts with";
    case JP_TYPE: return "type";
    case JP_SIZE: return "size";
    case JP_ABS: return "abs";
    case JP_FLOOR: return "floor";
    case JP_CEILING: return "ceiling";
    case JP_DOUBLE: return "double";
    case JP_DATETIME: return "datetime";
    case JP_KEYVALUE: return "keyvalue";
    default: return "";
    }
}

static int priority(enum jp_kind kind)
{
    switch (kind) {
    case JP_OR: return 0;
    case JP_AND: return 1;
    case JP_EQ:
    case JP_NE:
    case JP_LT:
    case JP_GT:
    case JP_LE:
    case JP_GE:
    case JP_STARTS_WITH: return 2;
    case JP_ADD:
    case JP_SUB: return 3;
    case JP_MUL:
    case JP_DIV:
    case JP_MOD: return 4;
    case JP_PLUS:
    case JP_MINUS: return 5;
    default: return 6;
    }
}

static void put(struct json_out *o, const char *text)
{
    json_put(o, text, strlen(text));
}
static void put_str(struct json_out *o, const struct str *s)
{
    json_put(o, s->p, s->len);
}

static void put_item(struct json_out *o, const struct jp_item *it, bool in_key, bool brackets);

static void put_operand(struct json_out *o, const struct jp_item *operator_, const struct jp_item *it)
{
    put_item(o, it, false, priority(it->kind) <= priority(operator_->kind));
}

static void put_operator(struct json_out *o, const struct jp_item *it)
{
    if (it->right)
        put_operand(o, it, it->left);
    if (it->right && it->kind != JP_LIKE_REGEX)
        put(o, " ");
    put(o, jp_operator_name(it->kind));
    if (it->right)
        put(o, " ");
    put_operand(o, it, it->right ? it->right : it->left);
}

static void put_like_regex(struct json_out *o, const struct jp_item *it)
{
    put_operand(o, it, it->left);
    put(o, " like_regex ");
    json_put_string(o, &it->text);
    if (it->flags.len == 0)
        return;
    put(o, " flag \"");
    put_str(o, &it->flags);
    put(o, "\"");
}

static void put_level(struct json_out *o, uint32_t level)
{
    char text[16];
    snprintf(text, sizeof text, "%u", level);
    put(o, level == UINT32_MAX ? "last" : text);
}
static void put_any(struct json_out *o, const struct jp_item *it)
{
    put(o, "**");
    if (it->first == 0 && it->last == UINT32_MAX)
        return;
    put(o, "{");
    put_level(o, it->first);
    if (it->first != it->last) {
        put(o, " to ");
        put_level(o, it->last);
    }
    put(o, "}");
}

static void put_subscripts(struct json_out *o, const struct jp_item *it)
{
    put(o, "[");
    for (uint32_t i = 0; i < it->subscript_count; i++) {
        put(o, i ? "," : "");
        put_item(o, it->subscripts[i].from, false, false);
        if (it->subscripts[i].to) {
            put(o, " to ");
            put_item(o, it->subscripts[i].to, false, false);
        }
    }
    put(o, "]");
}

static void put_around(struct json_out *o, const char *before, const struct jp_item *arg, const char *after)
{
    put(o, before);
    put_item(o, arg, false, false);
    put(o, after);
}

static void put_operation(struct json_out *o, const struct jp_item *it, bool brackets)
{
    put(o, brackets ? "(" : "");
    if (it->kind == JP_LIKE_REGEX)
        put_like_regex(o, it);
    else
        put_operator(o, it);
    put(o, brackets ? ")" : "");
}

static void put_constant(struct json_out *o, const struct jp_item *it)
{
    bool brackets = it->kind == JP_NUMBER && it->next;
    put(o, brackets ? "(" : "");
    put_str(o, &it->node.source);
    put(o, brackets ? ")" : "");
}

static void put_one(struct json_out *o, const struct jp_item *it, bool in_key, bool brackets)
{
    switch (it->kind) {
    case JP_NULL:
    case JP_BOOL:
    case JP_STRING:
    case JP_NUMBER: put_constant(o, it); break;
    case JP_VARIABLE:
        put(o, "$");
        json_put_string(o, &it->text);
        break;
    case JP_ROOT: put(o, "$"); break;
    case JP_CURRENT: put(o, "@"); break;
    case JP_LAST: put(o, "last"); break;
    case JP_KEY:
        put(o, in_key ? "." : "");
        json_put_string(o, &it->text);
        break;
    case JP_ANY_KEY: put(o, in_key ? ".*" : "*"); break;
    case JP_ANY_ARRAY: put(o, "[*]"); break;
    case JP_SUBSCRIPT: put_subscripts(o, it); break;
    case JP_ANY:
        put(o, in_key ? "." : "");
        put_any(o, it);
        break;
    case JP_FILTER: put_around(o, "?(", it->left, ")"); break;
    case JP_NOT: put_around(o, "!(", it->left, ")"); break;
    case JP_EXISTS: put_around(o, "exists (", it->left, ")"); break;
    case JP_IS_UNKNOWN: put_around(o, "(", it->left, ") is unknown"); break;
    case JP_DATETIME:
        put(o, ".datetime(");
        if (it->has_text)
            json_put_string(o, &it->text);
        put(o, ")");
        break;
    case JP_TYPE:
    case JP_SIZE:
    case JP_ABS:
    case JP_FLOOR:
    case JP_CEILING:
    case JP_DOUBLE:
    case JP_KEYVALUE:
        put(o, ".");
        put(o, jp_operator_name(it->kind));
        put(o, "()");
        break;
    default: put_operation(o, it, brackets); break;
    }
}

static void put_item(struct json_out *o, const struct jp_item *it, bool in_key, bool brackets)
{
    put_one(o, it, in_key, brackets);
    for (it = it->next; it; it = it->next)
        put_one(o, it, true, true);
}

struct str jsonpath_print(struct fn_ctx *ctx, const struct jsonpath *path)
{
    struct json_out o = {.arena = ctx->arena};
    put(&o, path->is_strict ? "strict " : "");
    put_item(&o, path->root, false, true);
    return (struct str){(const uint8_t *)o.p, (uint32_t)o.len, 0};
}
