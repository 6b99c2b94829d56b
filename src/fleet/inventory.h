/* fleet.yaml: the boxes of an operator, how they are reached, and their groups. Checked like penstock.yaml: everything wrong is told at
 * once, with line and column. Immutable once loaded; everything lives in its arena. */
#ifndef PENSTOCK_FLEET_INVENTORY_H
#define PENSTOCK_FLEET_INVENTORY_H

#include "config/yaml.h"

#define FLEET_BOXES_MAX    4096
#define FLEET_GROUPS_MAX   256
#define FLEET_LABELS_MAX   32 /* of a box, its groups' counted in */
#define FLEET_OPTIONS_MAX  32 /* ssh options of a box, likewise */
#define FLEET_PARALLEL_MAX 256
#define FLEET_NAME_BYTES   63

/* How a box is reached. What a box says goes before what its groups say (the later named group first), and that before the top. */
struct fleet_ssh {
    const char *user;        /* default admin */
    const char *identity;    /* path; NULL: what ssh uses by itself */
    const char *known_hosts; /* path; default ./known_hosts */
    int64_t port;            /* default 22 */
    int64_t connect_timeout_us;
    uint32_t option_count;
    const char *options[FLEET_OPTIONS_MAX]; /* "Name=value" or "Name value", as in ssh_config */
};
struct fleet_label {
    const char *key, *value;
};
struct fleet_group {
    const char *name;
    const struct yaml_node *at;
    struct fleet_ssh ssh; /* only what it says itself */
    uint32_t label_count;
    struct fleet_label labels[FLEET_LABELS_MAX];
};
struct fleet_box {
    const char *name, *address;
    const struct yaml_node *at;
    struct fleet_ssh ssh; /* complete */
    uint32_t group_count;
    const struct fleet_group **groups;
    uint32_t label_count;
    struct fleet_label labels[FLEET_LABELS_MAX]; /* its groups' too */
};
struct inventory {
    struct arena arena;
    const char *file, *dir; /* relative paths are relative to dir */
    const char *state;      /* the folder of the log and of roll-outs */
    int64_t parallel;
    uint32_t group_count, box_count;
    struct fleet_group *groups;
    struct fleet_box *boxes;
};

/* *out is NULL on failure. The second one takes the text (for tests): file is its name. */
NODISCARD struct err *inventory_load(const char *file, struct inventory **out);
NODISCARD struct err *inventory_parse(const char *file, const char *text, size_t len, struct inventory **out);
void inventory_free(struct inventory *v);

const struct fleet_box *inventory_box(const struct inventory *v, const char *name); /* NULL: there is none */

/* Which boxes a command is for: those that all of these name. NULL, 0: it says nothing. */
struct fleet_selection {
    const char *boxes, *groups; /* names with commas between them */
    uint32_t label_count;
    const char *labels[FLEET_LABELS_MAX]; /* key=value: a box has all of them */
    bool all;
};
/* Pointers into v, in the inventory's order, malloc'ed. A name that is not in the inventory, and a selection without any box,
 * are errors. */
NODISCARD struct err *inventory_select(const struct inventory *v, const struct fleet_selection *s,
                                       const struct fleet_box ***out, uint32_t *count);

#endif
