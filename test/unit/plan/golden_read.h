/* Reading the comments of golden files; a header because each unit test is one file. */
#include "plan/golden.h"
#include "types/enum_type.h"

#include <ctype.h>
#include <stdlib.h>

static void golden_room(const char *line, uint32_t count, uint32_t most)
{
    if (count >= most)
        PANIC("golden file: more than %u: %s", (unsigned)most, line);
}

static char *golden_word(char **at, const char *ends)
{
    char *s = *at;
    while (*s == ' ')
        s++;
    char *e = s;
    while (*e && *e != '\n' && !strchr(ends, *e))
        e++;
    char stop = *e;
    *at = stop && stop != '\n' ? e + 1 : e;
    *e = 0;
    while (e > s && e[-1] == ' ')
        *--e = 0;
    return s;
}

/* "id bigint not null" */
static struct column golden_column(struct golden *g, char *text)
{
    struct column c = {.type = {T_INT4, -1}};
    c.name = golden_word(&text, " ");
    char *type = arena_strdup(&g->arena, text);
    char *null = strstr(type, " not null");
    c.not_null = null != NULL;
    if (null)
        *null = 0;
    char *mods = strchr(type, '(');
    int a = 0, b = 0;
    int n = mods ? sscanf(mods, "(%d:%d)", &a, &b) : 0;
    if (mods)
        *mods = 0;
    const struct type_info *info = type_by_name(type);
    if (!info)
        PANIC("golden file: no type %s", type);
    c.type.id = info->id;
    if (n)
        c.type.typmod = info->id == T_NUMERIC ? ((a << 16) | b) + 4 : a + 4;
    return c;
}

static uint32_t golden_key(const struct table_def *t, const char *name)
{
    for (uint32_t i = 0; i < t->schema.column_count; i++)
        if (strcmp(t->schema.columns[i].name, name) == 0)
            return i;
    PANIC("golden file: no key column %s", name);
}

static void golden_table(struct golden *g, char *line)
{
    golden_room(line, g->table_count, GOLDEN_TABLES_MAX);
    struct table_def *t = &g->tables[g->table_count];
    t->table_index = g->table_count++;
    t->source = golden_word(&line, ".");
    t->name = golden_word(&line, ":");
    char *columns = golden_word(&line, ";");
    char *key = strstr(line, "key ");
    t->schema.columns = ARENA_ARRAY(&g->arena, struct column, GOLDEN_COLUMNS_MAX);
    t->key = ARENA_ARRAY(&g->arena, uint32_t, GOLDEN_COLUMNS_MAX);
    while (*columns) {
        golden_room(columns, t->schema.column_count, GOLDEN_COLUMNS_MAX);
        t->schema.columns[t->schema.column_count++] = golden_column(g, golden_word(&columns, ","));
    }
    for (key = key ? key + 4 : NULL; key && *key && *key != '\n';) {
        golden_room(key, t->key_count, GOLDEN_COLUMNS_MAX);
        t->key[t->key_count++] = golden_key(t, golden_word(&key, ","));
    }
}

/* "core.size: small, medium, large" */
static void golden_enum(struct golden *g, char *line)
{
    struct enum_label *labels = ARENA_ARRAY(&g->arena, struct enum_label, GOLDEN_COLUMNS_MAX);
    struct enum_desc desc = {.labels = labels};
    const char *name = golden_word(&line, ":");
    for (; *line && *line != '\n'; desc.count++) {
        golden_room(line, desc.count, GOLDEN_COLUMNS_MAX);
        labels[desc.count] = (struct enum_label){golden_word(&line, ","), (float)(desc.count + 1)};
    }
    enum_type_put(name, &desc, ENUM_FROM_SOURCE);
}

static void golden_api(struct golden *g, char *line, int number)
{
    golden_room(line, g->api_count, GOLDEN_APIS_MAX);
    struct api_request *a = &g->apis[g->api_count++];
    *a = (struct api_request){.file = "penstock.yaml", .line = number, .column = 3};
    a->path = golden_word(&line, " ");
    a->key = ARENA_ARRAY(&g->arena, const char *, GOLDEN_COLUMNS_MAX);
    while (*line && *line != '\n') {
        char *word = golden_word(&line, " ");
        if (strcmp(word, "view") == 0)
            a->view = golden_word(&line, " ");
        else if (strcmp(word, "key") == 0)
            while (*line && *line != '\n') {
                golden_room(line, a->key_count, GOLDEN_COLUMNS_MAX);
                a->key[a->key_count++] = golden_word(&line, ",");
            }
    }
}

void golden_init(struct golden *g, const char *text)
{
    memset(g, 0, sizeof(*g));
    arena_init(&g->arena);
    g->text = xstrdup(text);
    int number = 0;
    for (const char *at = text; at && *at; at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL) {
        number++;
        const char *end = strchr(at, '\n');
        char *line = arena_strndup(&g->arena, at, end ? (size_t)(end - at) : strlen(at));
        if (strncmp(line, "-- table ", 9) == 0)
            golden_table(g, line + 9);
        else if (strncmp(line, "-- enum ", 8) == 0)
            golden_enum(g, line + 8);
        else if (strncmp(line, "-- api ", 7) == 0)
            golden_api(g, line + 7, number);
    }
}

void golden_fini(struct golden *g)
{
    arena_fini(&g->arena);
    free(g->text);
}

struct err *golden_plan(struct golden *g, const char *file, struct plan **out)
{
    struct sql_text text = {file, g->text, 1};
    return plan_build(g->tables, g->table_count, &text, 1, g->apis, g->api_count, out);
}

char *golden_run(struct golden *g, const char *file)
{
    struct plan *p = NULL;
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);
    struct err *e = golden_plan(g, file, &p);
    if (e)
        err_print(f, e);
    else
        plan_explain(p, NULL, false, f);
    err_free(e);
    plan_free(p);
    fclose(f);
    return text;
}
