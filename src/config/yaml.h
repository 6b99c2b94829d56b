/* YAML read into a tree that remembers where everything stands, through libyaml. ${NAME}, ${NAME:-default} and
 * ${file:/path} are put in on reading of scalars; a value that came from one is marked secret and never printed. */
#ifndef PENSTOCK_CONFIG_YAML_H
#define PENSTOCK_CONFIG_YAML_H

#include "base/arena.h"
#include "base/err.h"
#include "base/text.h"

enum yaml_kind { YAML_SCALAR, YAML_SEQUENCE, YAML_MAPPING };
struct yaml_pair;
struct yaml_node {
    enum yaml_kind kind;
    int line, column;         /* 1-based, of the node's start */
    const char *file;         /* borrowed */
    const char *text;         /* scalar: value after substitution */
    bool plain;               /* scalar without quotes: null, numbers and booleans count */
    bool block;               /* scalar written as a block (| or >): its text starts on the next line */
    bool secret;              /* substituted from the environment or a file */
    uint32_t count;           /* items or pairs */
    struct yaml_node **items; /* sequence */
    struct yaml_pair *pairs;  /* mapping, in order */
};
struct yaml_pair {
    struct yaml_node *key, *value;
};
#define YAML_DEPTH_MAX 64
#define YAML_BYTES_MAX (4u << 20)

/* substitute false leaves ${...} as it is (for processes that must not see secrets). Nodes live in arena. */
NODISCARD struct err *yaml_load(struct arena *arena, const char *file, const char *text, size_t len,
                                bool substitute, struct yaml_node **out);
/* Puts ${...} in now, below a node that was loaded without. */
NODISCARD struct err *yaml_substitute(struct arena *arena, struct yaml_node *n);
bool yaml_is_null(const struct yaml_node *n); /* nothing after the colon, ~ or null */
struct yaml_node *yaml_get(const struct yaml_node *mapping, const char *key); /* NULL if absent */
NODISCARD struct err *yaml_error(const struct yaml_node *at, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Typed reads: error names the place and what was expected. `what` is the key's name. */
NODISCARD struct err *yaml_string(const struct yaml_node *n, const char *what, const char **out);
NODISCARD struct err *yaml_int(const struct yaml_node *n, const char *what, int64_t min, int64_t max,
                               int64_t *out);
NODISCARD struct err *yaml_bool(const struct yaml_node *n, const char *what, bool *out);
NODISCARD struct err *yaml_duration_us(const struct yaml_node *n, const char *what,
                                       int64_t *out); /* 5ms 1s 30d */
NODISCARD struct err *yaml_size_bytes(const struct yaml_node *n, const char *what,
                                      int64_t *out); /* 64MiB 1GB */
/* Every key of the mapping must be in `known` (NULL-terminated); else errors that suggest the nearest name. */
NODISCARD struct err *yaml_known_keys(const struct yaml_node *mapping, const char *what,
                                      const char *const *known);

#endif
