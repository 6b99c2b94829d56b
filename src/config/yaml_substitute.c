/* ${NAME}, ${NAME:-default} and ${file:PATH} in scalars; $${ stands for ${ itself. What comes in this way is taken
 * for a secret: the node is marked, and no message shows its text. */
#include "config/yaml.h"

#include "base/buf.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

#define SECRET_BYTES_MAX (64 * 1024)

static char *path_beside(struct arena *arena, const char *file, const char *path)
{
    const char *slash = strrchr(file, '/');
    if (path[0] == '/' || !slash)
        return arena_strdup(arena, path);
    return arena_printf(arena, "%.*s/%s", (int)(slash - file), file, path);
}

static struct err *put_file(struct arena *arena, const struct yaml_node *n, const char *path, struct buf *out)
{
    const char *full = path_beside(arena, n->file, path);
    FILE *f = fopen(full, "rbe");
    if (!f)
        return yaml_error(n, "${file:%s}: cannot read it: %s", path, strerror(errno));
    size_t start = out->len;
    size_t got = fread(buf_room(out, SECRET_BYTES_MAX + 1), 1, SECRET_BYTES_MAX + 1, f);
    bool bad = ferror(f) != 0;
    fclose(f);
    if (bad || got > SECRET_BYTES_MAX)
        return yaml_error(n, bad ? "${file:%s}: cannot read it" : "${file:%s}: longer than 64 KiB", path);
    if (memchr(out->p + start, 0, got))
        return yaml_error(n, "${file:%s}: holds a NUL character", path);
    while (got && (out->p[start + got - 1] == '\n' || out->p[start + got - 1] == '\r'))
        got--;
    out->len = start + got;
    return NULL;
}

static bool is_name(const char *s)
{
    if (!isalpha((unsigned char)*s) && *s != '_')
        return false;
    for (; *s; s++)
        if (!isalnum((unsigned char)*s) && *s != '_')
            return false;
    return true;
}

static struct err *put_variable(struct arena *arena, const struct yaml_node *n, char *what, struct buf *out)
{
    if (strncmp(what, "file:", 5) == 0)
        return put_file(arena, n, what + 5, out);
    char *fallback = strstr(what, ":-");
    if (fallback) {
        *fallback = 0;
        fallback += 2;
    }
    if (!is_name(what))
        return yaml_error(n, "expected ${NAME}, ${NAME:-default} or ${file:/path}, found ${%s}", what);
    const char *value = getenv(what);
    if (!value || (!*value && fallback)) /* as in the shell: :- stands in for empty, too */
        value = fallback;
    if (!value)
        return err_hint(yaml_error(n, "the environment variable %s is not set", what),
                        "set it, or write ${%s:-default}", what);
    buf_put_str(out, value);
    return NULL;
}

static struct err *substitute_scalar(struct arena *arena, struct yaml_node *n)
{
    if (!n->text || !strstr(n->text, "${"))
        return NULL;
    struct buf out = {0};
    struct err *errs = NULL;
    for (const char *at = n->text; *at;) {
        const char *close = strncmp(at, "${", 2) == 0 ? strchr(at, '}') : NULL;
        if (strncmp(at, "$${", 3) == 0) {
            buf_put_str(&out, "${");
            at += 3;
        } else if (close) {
            err_append(&errs,
                       put_variable(arena, n, arena_strndup(arena, at + 2, (size_t)(close - at) - 2), &out));
            n->secret = true;
            at = close + 1;
        } else if (strncmp(at, "${", 2) == 0) {
            err_append(&errs, yaml_error(n, "${ without its closing }"));
            break;
        } else {
            buf_put_u8(&out, (uint8_t)*at++);
        }
    }
    n->text = arena_strndup(arena, out.p ? (const char *)out.p : "", out.len);
    buf_fini(&out);
    return errs;
}

struct err *yaml_substitute(struct arena *arena, struct yaml_node *n)
{
    struct err *errs = NULL;
    if (n->kind == YAML_SCALAR)
        return substitute_scalar(arena, n);
    for (uint32_t i = 0; i < n->count; i++)
        err_append(&errs, yaml_substitute(arena, n->kind == YAML_SEQUENCE ? n->items[i] : n->pairs[i].value));
    return errs;
}
