/* Which boxes a command is for; see inventory.h. */
#include "fleet/inventory.h"

#include "base/nearest.h"

#include <stdlib.h>
#include <string.h>

/* The next name of a list with commas; NULL at its end. */
static char *next_name(char **list)
{
    char *name;
    do
        name = strsep(list, ",");
    while (name && !*name);
    return name;
}

static struct err *no_such(const char *what, const char *name, const struct nearest *near)
{
    struct err *e = err_new(ERR_CONFIG, "there is no %s '%.*s' in the inventory", what,
                            TEXT_QUOTED_CSTR(name, FLEET_NAME_BYTES));
    return near->best ? err_hint(e, "did you mean '%s'?", near->best) : e;
}

static struct err *mark_box(const struct inventory *v, const char *name, bool *named)
{
    struct nearest near;
    nearest_init(&near, name);
    for (uint32_t i = 0; i < v->box_count; i++) {
        nearest_offer(&near, v->boxes[i].name);
        if (strcmp(v->boxes[i].name, name) == 0) {
            named[i] = true;
            return NULL;
        }
    }
    return no_such("box", name, &near);
}

static struct err *mark_group(const struct inventory *v, const char *name, bool *named)
{
    struct nearest near;
    const struct fleet_group *g = NULL;
    nearest_init(&near, name);
    for (uint32_t i = 0; i < v->group_count; i++) {
        nearest_offer(&near, v->groups[i].name);
        if (strcmp(v->groups[i].name, name) == 0)
            g = &v->groups[i];
    }
    for (uint32_t i = 0; g && i < v->box_count; i++)
        for (uint32_t k = 0; k < v->boxes[i].group_count; k++)
            named[i] |= v->boxes[i].groups[k] == g;
    return g ? NULL : no_such("group", name, &near);
}

/* Leaves those of `in` that one of the names stands for. */
static struct err *keep_named(const struct inventory *v, const char *names,
                              struct err *(*mark)(const struct inventory *, const char *, bool *), bool *in)
{
    char *list = xstrdup(names), *rest = list;
    bool *named = xcalloc(v->box_count, sizeof *named);
    struct err *errs = NULL;
    for (char *name; (name = next_name(&rest));)
        err_append(&errs, mark(v, name, named));
    for (uint32_t i = 0; i < v->box_count; i++)
        in[i] &= named[i];
    free(named);
    free(list);
    return errs;
}

static bool has_label(const struct fleet_box *b, const char *text, const char *eq)
{
    for (uint32_t i = 0; i < b->label_count; i++)
        if (strlen(b->labels[i].key) == (size_t)(eq - text) &&
            strncmp(b->labels[i].key, text, (size_t)(eq - text)) == 0 &&
            strcmp(b->labels[i].value, eq + 1) == 0)
            return true;
    return false;
}

static struct err *keep_labelled(const struct inventory *v, const char *text, bool *in)
{
    const char *eq = strchr(text, '=');
    if (!eq || eq == text)
        return err_new(ERR_CONFIG, "--label: expected KEY=VALUE, found '%.*s'", TEXT_QUOTED_CSTR(text, 60));
    for (uint32_t i = 0; i < v->box_count; i++)
        in[i] &= has_label(&v->boxes[i], text, eq);
    return NULL;
}

static struct err *mark_all(const struct inventory *v, const struct fleet_selection *s, bool *in)
{
    struct err *errs = NULL;
    memset(in, 1, v->box_count * sizeof *in);
    if (s->boxes)
        err_append(&errs, keep_named(v, s->boxes, mark_box, in));
    if (s->groups)
        err_append(&errs, keep_named(v, s->groups, mark_group, in));
    for (uint32_t i = 0; i < s->label_count; i++)
        err_append(&errs, keep_labelled(v, s->labels[i], in));
    return errs;
}

struct err *inventory_select(const struct inventory *v, const struct fleet_selection *s,
                             const struct fleet_box ***out, uint32_t *count)
{
    bool *in = xcalloc(v->box_count, sizeof *in);
    struct err *e = mark_all(v, s, in);
    *out = xcalloc(v->box_count, sizeof **out);
    *count = 0;
    for (uint32_t i = 0; !e && i < v->box_count; i++)
        if (in[i])
            (*out)[(*count)++] = &v->boxes[i];
    free(in);
    if (!e && !*count)
        e = err_new(ERR_CONFIG, "no box of the inventory is selected");
    if (e) {
        free(*out);
        *out = NULL;
    }
    return e;
}
