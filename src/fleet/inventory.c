/* See inventory.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "fleet/inventory.h"

#include "base/nearest.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- names, paths ---- */

static bool is_name(const char *s)
{
    if (strlen(s) > FLEET_NAME_BYTES || !isalnum((unsigned char)*s))
        return false;
    for (; *s; s++)
        if (!isalnum((unsigned char)*s) && !strchr("._-", *s))
            return false;
    return true;
}

static struct err *check_name(const struct yaml_node *key, const char *what)
{
    if (is_name(key->text))
        return NULL;
    return yaml_error(key,
                      "%s: \"%.*s\" is not a name: letters, digits, dots, underscores and dashes, at most %d",
                      what, TEXT_QUOTED_CSTR(key->text, 60), FLEET_NAME_BYTES);
}

/* Relative to the inventory's folder; ~/ is the operator's home. */
static const char *path_of(struct inventory *v, const char *text)
{
    const char *home = getenv("HOME");
    if (strncmp(text, "~/", 2) == 0 && home)
        return arena_printf(&v->arena, "%s/%s", home, text + 2);
    return *text == '/' ? text : arena_printf(&v->arena, "%s/%s", v->dir, text);
}

static struct err *read_path(struct inventory *v, const struct yaml_node *n, const char *what,
                             const char **out)
{
    const char *text;
    TRY(yaml_string(n, what, &text));
    if (!*text)
        return yaml_error(n, "%s: expected a path", what);
    *out = path_of(v, text);
    if (strpbrk(*out, "\"%$\\\r\n")) /* ssh would put something else in */
        return yaml_error(n, "%s: the path may not hold \", %%, $, or a backslash", what);
    return NULL;
}

/* ---- ssh ---- */

/* These decide whether the box is the right one, and whether ssh stops to ask: they are not left to an option. */
static const char *const own_options[] = {"StrictHostKeyChecking",
                                          "UserKnownHostsFile",
                                          "GlobalKnownHostsFile",
                                          "BatchMode",
                                          "HostKeyAlias",
                                          "KnownHostsCommand",
                                          "VerifyHostKeyDNS",
                                          "UpdateHostKeys",
                                          "CheckHostIP",
                                          "ConnectTimeout",
                                          "User",
                                          "Port",
                                          "RemoteCommand",
                                          "RequestTTY",
                                          "PermitLocalCommand",
                                          "ForkAfterAuthentication"};

static struct err *read_option(const struct yaml_node *n, const char *what, struct fleet_ssh *ssh)
{
    const char *text;
    TRY(yaml_string(n, what, &text));
    size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789");
    if (!len || !text[len] || !strchr("= ", text[len]) || strpbrk(text, "\r\n"))
        return yaml_error(n, "%s: expected Name=value as in ssh_config", what);
    for (size_t i = 0; i < ARRAY_COUNT(own_options); i++)
        if (strlen(own_options[i]) == len && strncasecmp(own_options[i], text, len) == 0)
            return yaml_error(n, "%s: %s is not for options: penstock sets it itself", what, own_options[i]);
    if (ssh->option_count == FLEET_OPTIONS_MAX)
        return yaml_error(n, "%s: more than %d options", what, FLEET_OPTIONS_MAX);
    ssh->options[ssh->option_count++] = text;
    return NULL;
}

static struct err *read_user(const struct yaml_node *n, const char *what, const char **out)
{
    TRY(yaml_string(n, what, out));
    if (**out && isalnum((unsigned char)**out) && !strpbrk(*out, " \t\r\n@:/'\"\\"))
        return NULL;
    return yaml_error(n, "%s: not a user's name", what);
}

static struct err *read_options(const struct yaml_node *n, const char *what, struct fleet_ssh *out)
{
    struct err *errs = NULL;
    if (n->kind != YAML_SEQUENCE)
        return yaml_error(n, "%s: expected a list such as [ProxyJump=gate]", what);
    for (uint32_t i = 0; i < n->count; i++)
        err_append(&errs, read_option(n->items[i], what, out));
    return errs;
}

static struct err *read_ssh(struct inventory *v, const struct yaml_node *n, struct fleet_ssh *out)
{
    static const char *const known[] = {"user",    "identity", "known_hosts", "port", "connect_timeout",
                                        "options", NULL};
    const struct yaml_node *k;
    if (!n || yaml_is_null(n))
        return NULL;
    if (n->kind != YAML_MAPPING)
        return yaml_error(n, "ssh: expected a mapping such as { user: admin }");
    struct err *errs = yaml_known_keys(n, "ssh", known);
    if ((k = yaml_get(n, "user")))
        err_append(&errs, read_user(k, "ssh.user", &out->user));
    if ((k = yaml_get(n, "identity")))
        err_append(&errs, read_path(v, k, "ssh.identity", &out->identity));
    if ((k = yaml_get(n, "known_hosts")))
        err_append(&errs, read_path(v, k, "ssh.known_hosts", &out->known_hosts));
    if ((k = yaml_get(n, "port")))
        err_append(&errs, yaml_int(k, "ssh.port", 1, 65535, &out->port));
    if ((k = yaml_get(n, "options")))
        err_append(&errs, read_options(k, "ssh.options", out));
    if ((k = yaml_get(n, "connect_timeout"))) {
        struct err *e = yaml_duration_us(k, "ssh.connect_timeout", &out->connect_timeout_us);
        if (!e && (out->connect_timeout_us < 1000000 || out->connect_timeout_us > INT64_C(600000000)))
            e = yaml_error(k, "ssh.connect_timeout: expected 1s to 10m");
        err_append(&errs, e);
    }
    return errs;
}

/* What `over` says takes the place of what `to` says. */
static struct err *merge_ssh(const struct yaml_node *at, const struct fleet_ssh *over, struct fleet_ssh *to)
{
    if (over->user)
        to->user = over->user;
    if (over->identity)
        to->identity = over->identity;
    if (over->known_hosts)
        to->known_hosts = over->known_hosts;
    if (over->port)
        to->port = over->port;
    if (over->connect_timeout_us)
        to->connect_timeout_us = over->connect_timeout_us;
    if (to->option_count + over->option_count > FLEET_OPTIONS_MAX)
        return yaml_error(at, "ssh.options: more than %d, those of its groups counted in", FLEET_OPTIONS_MAX);
    /* ssh takes the first value that it reads. */
    memmove(to->options + over->option_count, to->options, to->option_count * sizeof *to->options);
    memcpy(to->options, over->options, over->option_count * sizeof *to->options);
    to->option_count += over->option_count;
    return NULL;
}

/* ---- labels ---- */

static struct err *put_label(const struct yaml_node *at, struct fleet_label l, struct fleet_label *labels,
                             uint32_t *count)
{
    for (uint32_t i = 0; i < *count; i++)
        if (strcmp(labels[i].key, l.key) == 0) {
            labels[i] = l;
            return NULL;
        }
    if (*count == FLEET_LABELS_MAX)
        return yaml_error(at, "labels: more than %d, those of its groups counted in", FLEET_LABELS_MAX);
    labels[(*count)++] = l;
    return NULL;
}

static struct err *read_labels(const struct yaml_node *n, struct fleet_label *labels, uint32_t *count)
{
    struct err *errs = NULL;
    if (!n || yaml_is_null(n))
        return NULL;
    if (n->kind != YAML_MAPPING)
        return yaml_error(n, "labels: expected a mapping such as { ring: canary }");
    for (uint32_t i = 0; i < n->count; i++) {
        struct fleet_label l = {.key = n->pairs[i].key->text};
        struct err *e = check_name(n->pairs[i].key, "labels");
        if (!e)
            e = yaml_string(n->pairs[i].value, "labels", &l.value);
        if (!e)
            e = put_label(n->pairs[i].key, l, labels, count);
        err_append(&errs, e);
    }
    return errs;
}

/* ---- groups and boxes ---- */

static struct err *read_group(struct inventory *v, const struct yaml_pair *p)
{
    static const char *const known[] = {"ssh", "labels", NULL};
    struct fleet_group *g = &v->groups[v->group_count];
    TRY(check_name(p->key, "groups"));
    *g = (struct fleet_group){.name = p->key->text, .at = p->key};
    v->group_count++;
    if (yaml_is_null(p->value))
        return NULL;
    if (p->value->kind != YAML_MAPPING)
        return yaml_error(p->value, "groups.%s: expected a mapping with ssh or labels", g->name);
    struct err *errs = yaml_known_keys(p->value, "groups", known);
    err_append(&errs, read_ssh(v, yaml_get(p->value, "ssh"), &g->ssh));
    err_append(&errs, read_labels(yaml_get(p->value, "labels"), g->labels, &g->label_count));
    return errs;
}

static struct err *read_groups(struct inventory *v, const struct yaml_node *n)
{
    struct err *errs = NULL;
    if (!n || yaml_is_null(n))
        return NULL;
    if (n->kind != YAML_MAPPING)
        return yaml_error(n, "groups: expected a mapping of names to groups");
    if (n->count > FLEET_GROUPS_MAX)
        return yaml_error(n, "groups: more than %d", FLEET_GROUPS_MAX);
    v->groups = ARENA_ARRAY(&v->arena, struct fleet_group, n->count + 1);
    for (uint32_t i = 0; i < n->count; i++)
        err_append(&errs, read_group(v, &n->pairs[i]));
    return errs;
}

static const struct fleet_group *find_group(const struct inventory *v, const char *name, struct nearest *near)
{
    nearest_init(near, name);
    for (uint32_t i = 0; i < v->group_count; i++) {
        if (strcmp(v->groups[i].name, name) == 0)
            return &v->groups[i];
        nearest_offer(near, v->groups[i].name);
    }
    return NULL;
}

static struct err *join_group(struct inventory *v, const struct yaml_node *n, struct fleet_box *b)
{
    const char *name;
    struct nearest near;
    TRY(yaml_string(n, "groups", &name));
    const struct fleet_group *g = find_group(v, name, &near);
    if (!g) {
        struct err *e = yaml_error(n, "boxes.%s: there is no group \"%.*s\" under groups", b->name,
                                   TEXT_QUOTED_CSTR(name, 60));
        return near.best ? err_hint(e, "did you mean %s?", near.best) : e;
    }
    for (uint32_t i = 0; i < b->group_count; i++)
        if (b->groups[i] == g)
            return yaml_error(n, "boxes.%s: the group %s is named twice", b->name, name);
    b->groups[b->group_count++] = g;
    TRY(merge_ssh(n, &g->ssh, &b->ssh));
    for (uint32_t i = 0; i < g->label_count; i++)
        TRY(put_label(n, g->labels[i], b->labels, &b->label_count));
    return NULL;
}

static struct err *join_groups(struct inventory *v, const struct yaml_node *n, struct fleet_box *b)
{
    struct err *errs = NULL;
    if (!n || yaml_is_null(n))
        return NULL;
    if (n->kind != YAML_SEQUENCE)
        return yaml_error(n, "boxes.%s: expected a list of groups such as [berlin]", b->name);
    b->groups = ARENA_ARRAY(&v->arena, const struct fleet_group *, n->count + 1);
    for (uint32_t i = 0; i < n->count; i++)
        err_append(&errs, join_group(v, n->items[i], b));
    return errs;
}

static struct err *read_address(const struct yaml_node *n, const struct yaml_node *key, struct fleet_box *b)
{
    if (!n)
        return yaml_error(key, "boxes.%s: expected an address, such as { address: 192.0.2.11 }", b->name);
    TRY(yaml_string(n, "address", &b->address));
    const char *s = b->address;
    if (isalnum((unsigned char)*s) || *s == ':')
        while (isalnum((unsigned char)*s) || (*s && strchr(".-:%_", *s)))
            s++;
    if (*s || !*b->address || strlen(b->address) > 255)
        return yaml_error(n, "boxes.%s: \"%.*s\" is no host name and no address (a port stands under ssh)",
                          b->name, TEXT_QUOTED_CSTR(b->address, 60));
    return NULL;
}

static struct err *read_box(struct inventory *v, const struct yaml_pair *p, const struct fleet_ssh *top)
{
    static const char *const known[] = {"address", "groups", "labels", "ssh", NULL};
    struct fleet_box *b = &v->boxes[v->box_count];
    struct fleet_ssh own = {0};
    TRY(check_name(p->key, "boxes"));
    *b = (struct fleet_box){.name = p->key->text, .at = p->key, .ssh = *top};
    if (p->value->kind != YAML_MAPPING)
        return yaml_error(p->value->line ? p->value : p->key,
                          "boxes.%s: expected a mapping such as { address: 192.0.2.11 }", b->name);
    v->box_count++;
    struct err *errs = yaml_known_keys(p->value, "boxes", known);
    err_append(&errs, read_address(yaml_get(p->value, "address"), p->key, b));
    err_append(&errs, join_groups(v, yaml_get(p->value, "groups"), b));
    err_append(&errs, read_labels(yaml_get(p->value, "labels"), b->labels, &b->label_count));
    err_append(&errs, read_ssh(v, yaml_get(p->value, "ssh"), &own));
    err_append(&errs, merge_ssh(p->key, &own, &b->ssh));
    return errs;
}

static int by_place(const void *a, const void *b)
{
    const struct fleet_box *x = *(const struct fleet_box *const *)a, *y = *(const struct fleet_box *const *)b;
    int order = strcasecmp(x->address, y->address);
    if (!order)
        order = (x->ssh.port > y->ssh.port) - (x->ssh.port < y->ssh.port);
    return order ? order : (x > y) - (x < y);
}

/* One box under two names would be upgraded twice at a time. */
static struct err *check_places(struct inventory *v)
{
    struct err *errs = NULL;
    const struct fleet_box **all = xcalloc(v->box_count, sizeof *all);
    uint32_t n = 0;
    for (uint32_t i = 0; i < v->box_count; i++)
        if (v->boxes[i].address)
            all[n++] = &v->boxes[i];
    qsort(all, n, sizeof *all, by_place);
    for (uint32_t i = 1; i < n; i++)
        if (strcasecmp(all[i - 1]->address, all[i]->address) == 0 && all[i - 1]->ssh.port == all[i]->ssh.port)
            err_append(&errs, yaml_error(all[i]->at, "boxes.%s: has the address and port of %s", all[i]->name,
                                         all[i - 1]->name));
    free(all);
    return errs;
}

static struct err *read_boxes(struct inventory *v, const struct yaml_node *n, const struct fleet_ssh *top)
{
    struct err *errs = NULL;
    if (n->kind != YAML_MAPPING || !n->count)
        return yaml_error(n, "boxes: expected a mapping of names to boxes");
    if (n->count > FLEET_BOXES_MAX)
        return yaml_error(n, "boxes: more than %d", FLEET_BOXES_MAX);
    v->boxes = ARENA_ARRAY(&v->arena, struct fleet_box, n->count + 1);
    for (uint32_t i = 0; i < n->count; i++)
        err_append(&errs, read_box(v, &n->pairs[i], top));
    err_append(&errs, check_places(v));
    return errs;
}

/* ---- the file ---- */

static struct err *read_format(const struct yaml_node *root)
{
    const struct yaml_node *n = yaml_get(root, "fleet");
    int64_t format;
    return n ? yaml_int(n, "fleet", 1, 1, &format)
             : yaml_error(root, "the key fleet is missing: the file has to say fleet: 1");
}

static struct err *fill(struct inventory *v, const char *text, size_t len)
{
    static const char *const known[] = {"fleet", "ssh", "parallel", "state", "boxes", "groups", NULL};
    struct fleet_ssh top = {.user = "admin", .port = 22, .connect_timeout_us = 10000000};
    struct yaml_node *root;
    const struct yaml_node *n;
    struct err *errs = yaml_load(&v->arena, v->file, text, len, true, &root);
    if (!root)
        return errs;
    if (root->kind != YAML_MAPPING) {
        err_append(&errs, yaml_error(root, "the file: expected a mapping of keys to values"));
        return errs;
    }
    top.known_hosts = path_of(v, "known_hosts");
    v->state = path_of(v, "fleet-state");
    v->parallel = 16;
    err_append(&errs, read_format(root));
    err_append(&errs, yaml_known_keys(root, "the file", known));
    err_append(&errs, read_ssh(v, yaml_get(root, "ssh"), &top));
    if ((n = yaml_get(root, "parallel")))
        err_append(&errs, yaml_int(n, "parallel", 1, FLEET_PARALLEL_MAX, &v->parallel));
    if ((n = yaml_get(root, "state")))
        err_append(&errs, read_path(v, n, "state", &v->state));
    err_append(&errs, read_groups(v, yaml_get(root, "groups")));
    n = yaml_get(root, "boxes");
    err_append(&errs, n ? read_boxes(v, n, &top) : yaml_error(root, "the key boxes is missing"));
    return errs;
}

struct err *inventory_parse(const char *file, const char *text, size_t len, struct inventory **out)
{
    struct inventory *v = xcalloc(1, sizeof *v);
    const char *slash = strrchr(file, '/');
    arena_init(&v->arena);
    v->file = arena_strdup(&v->arena, file);
    v->dir = !slash ? "." : slash == file ? "/" : arena_strndup(&v->arena, file, (size_t)(slash - file));
    struct err *errs = fill(v, text, len);
    if (errs) {
        inventory_free(v);
        v = NULL;
    }
    *out = v;
    return errs;
}

struct err *inventory_load(const char *file, struct inventory **out)
{
    *out = NULL;
    FILE *f = fopen(file, "rbe");
    if (!f)
        return err_hint(err_errno(ERR_CONFIG, "cannot read the inventory %s", file),
                        "penstock fleet -i FILE names another one");
    char *text = xmalloc(YAML_BYTES_MAX + 1);
    errno = 0;
    size_t len = fread(text, 1, YAML_BYTES_MAX + 1, f);
    struct err *e = ferror(f) ? err_errno(ERR_CONFIG, "cannot read the inventory %s", file) : NULL;
    fclose(f);
    if (!e)
        e = inventory_parse(file, text, len, out);
    free(text);
    return e;
}

void inventory_free(struct inventory *v)
{
    if (!v)
        return;
    arena_fini(&v->arena);
    free(v);
}

const struct fleet_box *inventory_box(const struct inventory *v, const char *name)
{
    for (uint32_t i = 0; i < v->box_count; i++)
        if (strcmp(v->boxes[i].name, name) == 0)
            return &v->boxes[i];
    return NULL;
}
