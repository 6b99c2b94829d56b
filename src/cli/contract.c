/* Contracts printed and compared; see contract.h.
 *
 * Breaking is whatever could fail a client that was right before: something gone (api, column, index), another type, a
 * value that may now be NULL, another key (it is the address of a row). New things are compatible. */
#include "cli/contract.h"

#include <stdarg.h>
#include <string.h>

const char *contract_change_name(enum contract_change c)
{
    static const char *const names[] = {"none", "compatible", "breaking"};
    return names[c];
}

/* ---- printing ---- */

static void put_index(const struct catalog_view *v, const struct catalog_index *x, struct buf *b)
{
    for (uint32_t k = 0; k < x->column_count; k++) {
        const struct key_column *c = &x->columns[k];
        buf_printf(b, "%s%s%s", k ? ", " : "", v->schema.columns[c->column].name, c->desc ? " DESC" : "");
        if (c->nulls_first != c->desc) /* not PostgreSQL's default for the direction */
            buf_printf(b, " NULLS %s", c->nulls_first ? "FIRST" : "LAST");
    }
}

static void put_key(const struct catalog_view *v, struct buf *b)
{
    if (!v->key_count)
        buf_put_str(b, "none: a list with multiplicities");
    for (uint32_t k = 0; k < v->key_count; k++)
        buf_printf(b, "%s%s", k ? ", " : "", v->schema.columns[v->key[k]].name);
}

static void print_columns(const struct schema *s, FILE *to)
{
    int name_width = 0, type_width = 0;
    char type[TYPE_NAME_MAX + 1];
    for (uint32_t i = 0; i < s->column_count; i++) {
        int n = (int)strlen(s->columns[i].name);
        int t = (int)strlen(type_format(s->columns[i].type, type, sizeof type));
        name_width = n > name_width ? n : name_width;
        type_width = t > type_width ? t : type_width;
    }
    for (uint32_t i = 0; i < s->column_count; i++) {
        const struct column *c = &s->columns[i];
        const char *null = c->not_null ? "not null" : "";
        type_format(c->type, type, sizeof type);
        if (c->comment)
            fprintf(to, "  %-*s  %-*s  %-8s  %s\n", name_width, c->name, type_width, type, null, c->comment);
        else if (c->not_null)
            fprintf(to, "  %-*s  %-*s  %s\n", name_width, c->name, type_width, type, null);
        else
            fprintf(to, "  %-*s  %s\n", name_width, c->name, type);
    }
}

void contract_print(const struct catalog *c, uint32_t api, FILE *to)
{
    const struct catalog_view *v = &c->views[c->apis[api].view];
    struct buf b = {0};
    fprintf(to, "\napi %s", c->apis[api].path);
    if (strcmp(c->apis[api].path, v->name) != 0)
        fprintf(to, " (view %s)", v->name);
    if (v->comment)
        fprintf(to, ": %s", v->comment);
    put_key(v, &b);
    fprintf(to, "\n  key: %.*s\n", (int)b.len, (const char *)b.p);
    print_columns(&v->schema, to);
    for (uint32_t i = 0; i < v->index_count; i++) {
        buf_reset(&b);
        put_index(v, &v->indexes[i], &b);
        fprintf(to, "  index (%.*s)\n", (int)b.len, (const char *)b.p);
    }
    buf_fini(&b);
}

/* ---- comparing ---- */

struct comparison {
    const char *path;
    FILE *to;
    enum contract_change worst;
};

static void differ(struct comparison *c, enum contract_change change, const char *fmt, ...) PRINTF_LIKE(3, 4);
static void differ(struct comparison *c, enum contract_change change, const char *fmt, ...)
{
    va_list args;
    fprintf(c->to, "  %s: ", c->path);
    va_start(args, fmt);
    vfprintf(c->to, fmt, args);
    va_end(args);
    fprintf(c->to, " (%s)\n", contract_change_name(change));
    c->worst = change > c->worst ? change : c->worst;
}

static const struct column *find_column(const struct schema *s, const char *name, uint32_t *at)
{
    for (uint32_t i = 0; i < s->column_count; i++)
        if (strcmp(s->columns[i].name, name) == 0) {
            *at = i;
            return &s->columns[i];
        }
    return NULL;
}

static bool same_comment(const char *a, const char *b)
{
    return strcmp(a ? a : "", b ? b : "") == 0;
}

static void compare_column(struct comparison *c, const struct column *old, const struct column *now)
{
    char was[TYPE_NAME_MAX + 1], is[TYPE_NAME_MAX + 1];
    type_format(old->type, was, sizeof was);
    type_format(now->type, is, sizeof is);
    if (strcmp(was, is) != 0) /* another length or scale alone is written the same way in JSON */
        differ(c, old->type.id == now->type.id ? CONTRACT_COMPATIBLE : CONTRACT_BREAKING,
               "column %s is now %s, was %s", now->name, is, was);
    if (old->not_null && !now->not_null)
        differ(c, CONTRACT_BREAKING, "column %s may now be NULL", now->name);
    else if (!old->not_null && now->not_null)
        differ(c, CONTRACT_COMPATIBLE, "column %s is never NULL now", now->name);
    if (!same_comment(old->comment, now->comment))
        differ(c, CONTRACT_COMPATIBLE, "column %s has another comment", now->name);
}

static void compare_columns(struct comparison *c, const struct schema *old, const struct schema *now)
{
    uint32_t at, last = 0;
    bool reordered = false;
    for (uint32_t i = 0; i < old->column_count; i++) {
        const struct column *col = find_column(now, old->columns[i].name, &at);
        if (!col) {
            differ(c, CONTRACT_BREAKING, "column %s removed", old->columns[i].name);
            continue;
        }
        reordered |= at < last;
        last = at;
        compare_column(c, &old->columns[i], col);
    }
    for (uint32_t i = 0; i < now->column_count; i++)
        if (!find_column(old, now->columns[i].name, &at))
            differ(c, CONTRACT_COMPATIBLE, "column %s added", now->columns[i].name);
    if (reordered)
        differ(c, CONTRACT_COMPATIBLE, "columns come in another order");
}

static bool same_text(struct buf *a, struct buf *b)
{
    return a->len == b->len && (!a->len || memcmp(a->p, b->p, a->len) == 0);
}

static void compare_keys(struct comparison *c, const struct catalog_view *old, const struct catalog_view *now)
{
    struct buf was = {0}, is = {0};
    put_key(old, &was);
    put_key(now, &is);
    if (!same_text(&was, &is))
        differ(c, CONTRACT_BREAKING, "key is now %.*s, was %.*s", (int)is.len, (char *)is.p, (int)was.len,
               (char *)was.p);
    buf_fini(&was);
    buf_fini(&is);
}

static bool has_index(const struct catalog_view *v, struct buf *wanted)
{
    struct buf b = {0};
    bool found = false;
    for (uint32_t i = 0; i < v->index_count && !found; i++) {
        buf_reset(&b);
        put_index(v, &v->indexes[i], &b);
        found = same_text(&b, wanted);
    }
    buf_fini(&b);
    return found;
}

/* Indexes of `a` that `b` has not. */
static void compare_indexes(struct comparison *c, const struct catalog_view *a, const struct catalog_view *b,
                            enum contract_change change, const char *what)
{
    struct buf text = {0};
    for (uint32_t i = 0; i < a->index_count; i++) {
        buf_reset(&text);
        put_index(a, &a->indexes[i], &text);
        if (!has_index(b, &text))
            differ(c, change, "index (%.*s) %s", (int)text.len, (char *)text.p, what);
    }
    buf_fini(&text);
}

static void compare_views(struct comparison *c, const struct catalog_view *old,
                          const struct catalog_view *now)
{
    compare_columns(c, &old->schema, &now->schema);
    compare_keys(c, old, now);
    if (!same_comment(old->comment, now->comment))
        differ(c, CONTRACT_COMPATIBLE, "another comment");
    compare_indexes(c, old, now, CONTRACT_BREAKING, "removed: queries that it served may be refused");
    compare_indexes(c, now, old, CONTRACT_COMPATIBLE, "added");
    if (old->fingerprint != now->fingerprint)
        differ(c, CONTRACT_SAME, "its rows are built anew from the mirrors, beside the old ones");
}

static const struct catalog_view *find_api(const struct catalog *c, const char *path)
{
    for (uint32_t i = 0; i < c->api_count; i++)
        if (strcmp(c->apis[i].path, path) == 0)
            return &c->views[c->apis[i].view];
    return NULL;
}

static const struct catalog_api *find_path(const struct catalog *c, const char *path)
{
    for (uint32_t i = 0; i < c->api_count; i++)
        if (strcmp(c->apis[i].path, path) == 0)
            return &c->apis[i];
    return NULL;
}

/* The same reference: by name, between the same apis, over columns of the same names. */
static bool has_reference(const struct catalog *c, const struct catalog_api *api, const struct catalog *from,
                          const struct catalog_api *its_api, const struct catalog_reference *r)
{
    for (uint32_t i = 0; i < api->reference_count; i++) {
        const struct catalog_reference *x = &api->references[i];
        bool same = strcmp(x->name, r->name) == 0 && x->column_count == r->column_count &&
                    strcmp(c->apis[x->api].path, from->apis[r->api].path) == 0;
        for (uint32_t k = 0; same && k < r->column_count; k++)
            same = strcmp(c->views[api->view].schema.columns[x->columns[k]].name,
                          from->views[its_api->view].schema.columns[r->columns[k]].name) == 0;
        if (same)
            return true;
    }
    return false;
}

static void compare_references(struct comparison *c, const struct catalog *old, const struct catalog_api *was,
                               const struct catalog *now, const struct catalog_api *is)
{
    for (uint32_t i = 0; i < was->reference_count; i++)
        if (!has_reference(now, is, old, was, &was->references[i]))
            differ(c, CONTRACT_BREAKING, "reference %s removed or changed: it no longer embeds",
                   was->references[i].name);
    for (uint32_t i = 0; i < is->reference_count; i++)
        if (!has_reference(old, was, now, is, &is->references[i]))
            differ(c, CONTRACT_COMPATIBLE, "new reference %s", is->references[i].name);
}

enum contract_change contract_compare(const struct catalog *old, const struct catalog *now, FILE *to)
{
    struct comparison c = {.to = to};
    for (uint32_t i = 0; i < old->api_count; i++) {
        c.path = old->apis[i].path;
        const struct catalog_view *view = find_api(now, c.path);
        if (view) {
            compare_views(&c, &old->views[old->apis[i].view], view);
            compare_references(&c, old, &old->apis[i], now, find_path(now, c.path));
        } else {
            differ(&c, CONTRACT_BREAKING, "api removed");
        }
    }
    for (uint32_t i = 0; i < now->api_count; i++) {
        c.path = now->apis[i].path;
        if (!find_api(old, c.path))
            differ(&c, CONTRACT_COMPATIBLE, "new api");
    }
    return c.worst;
}
