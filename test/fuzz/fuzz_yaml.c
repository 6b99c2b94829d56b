/* Any bytes as YAML: the tree is read or refused, and the typed reads take whatever they are given. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "config/yaml.h"

#include <stdlib.h>
#include <string.h>

static void read_all(const struct yaml_node *n)
{
    static const char *const known[] = {"penstock", "sources", NULL};
    const char *text;
    int64_t v;
    bool b;
    err_free(yaml_string(n, "x", &text));
    err_free(yaml_int(n, "x", INT64_MIN, INT64_MAX, &v));
    err_free(yaml_bool(n, "x", &b));
    err_free(yaml_duration_us(n, "x", &v));
    err_free(yaml_size_bytes(n, "x", &v));
    if (n->kind == YAML_MAPPING)
        err_free(yaml_known_keys(n, "x", known));
    for (uint32_t i = 0; n->kind != YAML_SCALAR && i < n->count; i++)
        read_all(n->kind == YAML_SEQUENCE ? n->items[i] : n->pairs[i].value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct yaml_node *root = NULL;
    arena_init(&arena);
    bool reads_files = size > 6 && memmem(data, size, "${file:", 7) != NULL; /* not the machine's own files */
    struct err *e = yaml_load(&arena, "fuzz.yaml", (const char *)data, size, !reads_files, &root);
    if (root)
        read_all(root);
    if (e)
        free(err_text(e));
    err_free(e);
    arena_fini(&arena);
    return 0;
}
