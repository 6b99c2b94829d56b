/* box.yaml: a walk along one table of keys, which is the reference in docs/ as well. See settings.h. */
#include "box/settings.h"

#include "base/nearest.h"
#include "config/yaml.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SEC INT64_C(1000000)

enum key_type {
    KEY_SECTION,
    KEY_FORMAT,
    KEY_BOOL,
    KEY_COUNT,
    KEY_DURATION,
    KEY_HOSTNAME,
    KEY_RESOLVERS,
    KEY_SERVERS,
    KEY_SIGNED,
    KEY_INTERFACES, /* a mapping of names to sections, whose keys stand under "NAME.*" here */
    KEY_PARENT,
    KEY_MAC,
    KEY_ADDRESSES,
    KEY_GATEWAY4,
    KEY_GATEWAY6
};
struct key {
    const char *path;
    enum key_type type;
    const char *standard; /* default as one would write it; NULL: none */
    int64_t min, max;
    size_t offset; /* in struct settings; below network.interfaces.* in struct settings_interface */
    const char *help;
};
#define AT(field)           offsetof(struct settings, field)
#define OF_INTERFACE(field) offsetof(struct settings_interface, field)
#define ONE                 "network.interfaces.*"

static const struct key keys[] = {
    {"box", KEY_FORMAT, NULL, 0, 0, 0, "Format of this file: 1. Required."},
    {"hostname", KEY_HOSTNAME, NULL, 0, 0, AT(hostname),
     "Name of the box: letters, digits, hyphens and dots. Without it what DHCP says, else penstock."},
    {"network", KEY_SECTION, NULL, 0, 0, 0, "How the box is reached."},
    {"network.dns", KEY_RESOLVERS, NULL, 0, 0, 0, "Addresses of name servers, asked before those of DHCP."},
    {"network.interfaces", KEY_INTERFACES, NULL, 0, 0, 0,
     "NAME: { ... }. Without it every Ethernet interface uses DHCP and router advertisements; with it those "
     "named alone "
     "are used."},
    {ONE ".mac", KEY_MAC, NULL, 0, 0, 0,
     "Which interface this is: the one with this address, whatever the kernel calls it."},
    {ONE ".mtu", KEY_COUNT, NULL, SETTINGS_MTU_MIN, SETTINGS_MTU_MAX, OF_INTERFACE(mtu),
     "Largest packet, in bytes."},
    {ONE ".dhcp4", KEY_BOOL, NULL, 0, 0, OF_INTERFACE(dhcp4),
     "IPv4 address, gateway, name servers and time servers by DHCP. Default: true without `addresses`, else "
     "false."},
    {ONE ".dhcp6", KEY_BOOL, NULL, 0, 0, OF_INTERFACE(dhcp6),
     "IPv6 by router advertisements, and by DHCPv6 where they say so. Default likewise."},
    {ONE ".addresses", KEY_ADDRESSES, NULL, 0, 0, 0,
     "Fixed addresses with their prefixes: 192.0.2.10/24, 2001:db8::10/64."},
    {ONE ".gateway4", KEY_GATEWAY4, NULL, 0, 0, OF_INTERFACE(gateway4),
     "Way to everything else, within one of `addresses`."},
    {ONE ".gateway6", KEY_GATEWAY6, NULL, 0, 0, OF_INTERFACE(gateway6), "Likewise, or a link-local address."},
    {ONE ".parent", KEY_PARENT, NULL, 0, 0, OF_INTERFACE(parent), "Of a VLAN: the interface it is on."},
    {ONE ".vlan", KEY_COUNT, NULL, 1, 4094, OF_INTERFACE(vlan), "Of a VLAN: its number."},
    {"time", KEY_SECTION, NULL, 0, 0, 0, "The clock."},
    {"time.servers", KEY_SERVERS, NULL, 0, 0, 0,
     "Names or addresses of NTP servers. Without it those that DHCP names, else 0 to 3.debian.pool.ntp.org; "
     "[]: the clock "
     "is left alone."},
    {"ssh", KEY_SECTION, NULL, 0, 0, 0, "Access over SSH."},
    {"ssh.root_shell", KEY_BOOL, "false", 0, 0, AT(root_shell),
     "Whether root may log in, with the same keys, and gets a root shell. Leave it off."},
    {"console", KEY_SECTION, NULL, 0, 0, 0, "The web console."},
    {"console.enabled", KEY_BOOL, "true", 0, 0, AT(console),
     "Whether the box is managed by the console too."},
    {"configuration", KEY_SECTION, NULL, 0, 0, 0, "What is taken as a configuration of the pipeline."},
    {"configuration.signed", KEY_SIGNED, "auto", 0, 0, AT(configuration_signed),
     "Whether it has to be a signed bundle: required, auto (if keys were provisioned) or optional."},
    {"upgrade", KEY_SECTION, NULL, 0, 0, 0, "Upgrades of the image."},
    {"upgrade.trial", KEY_DURATION, "600s", 10 * SEC, 86400 * SEC, AT(trial_us),
     "How long an upgraded box may take to become healthy; then it goes back."},
    {"hugepages", KEY_SECTION, NULL, 0, 0, 0, "Memory kept back for huge pages."},
    {"hugepages.share", KEY_COUNT, "0", 0, 80, AT(hugepages_share), "Per cent of each node's memory."},
    {"cores", KEY_SECTION, NULL, 0, 0, 0, "The processor's cores."},
    {"cores.isolate", KEY_BOOL, "true", 0, 0, AT(isolate_cores),
     "Whether interrupts and all other programs are kept off the cores of the pipeline's shards."},
};

struct walk {
    struct arena arena;
    struct settings *s;
    struct settings_interface *at; /* the interface that is being read */
};

static const struct key *find_key(const char *path)
{
    for (size_t i = 0; i < ARRAY_COUNT(keys); i++)
        if (strcmp(keys[i].path, path) == 0)
            return &keys[i];
    return NULL;
}

static const char *last_name(const struct key *k)
{
    const char *dot = strrchr(k->path, '.');
    return dot ? dot + 1 : k->path;
}

static bool stands_in(const struct key *k, const char *section)
{
    size_t len = (size_t)(last_name(k) - k->path);
    return len == (*section ? strlen(section) + 1 : 0) && strncmp(k->path, section, len ? len - 1 : 0) == 0;
}

static struct err *unknown_key(const struct yaml_node *key, const char *section)
{
    struct nearest near;
    nearest_init(&near, key->text);
    for (size_t i = 0; i < ARRAY_COUNT(keys); i++)
        if (stands_in(&keys[i], section))
            nearest_offer(&near, last_name(&keys[i]));
    struct err *e = yaml_error(key, "unknown key \"%.*s\"", TEXT_QUOTED_CSTR(key->text, 60));
    return near.best ? err_hint(e, "did you mean %s?", near.best) : e;
}

/* ---- values ---- */

static struct err *read_address(const struct yaml_node *n, const char *what, bool with_prefix,
                                struct settings_address *out)
{
    const char *text;
    TRY(yaml_string(n, what, &text));
    if (!settings_address_parse(text, with_prefix, out))
        return yaml_error(n, "%s: expected %s, found \"%.*s\"", what,
                          with_prefix ? "an address with its prefix such as 192.0.2.10/24 or 2001:db8::10/64"
                                      : "an address such as 192.0.2.1 or 2001:db8::1",
                          TEXT_QUOTED_CSTR(text, 60));
    return NULL;
}

/* What no interface can have, or no packet can be sent to. */
static const char *never_a_host(const struct settings_address *a)
{
    static const uint8_t zero[16], loop6[16] = {[15] = 1};
    size_t len = a->family == AF_INET ? 4 : 16;
    if (memcmp(a->bytes, zero, len) == 0)
        return "the address of no host";
    if (a->family == AF_INET ? a->bytes[0] >= 224 : a->bytes[0] == 0xff)
        return "no address of one host";
    if (a->family == AF_INET ? a->bytes[0] == 127 : memcmp(a->bytes, loop6, 16) == 0)
        return "an address inside the box";
    if (a->family == AF_INET && a->bytes[0] == 0)
        return "no address of a host";
    return NULL;
}

/* The first and last address of an IPv4 network stand for itself and for all of its hosts. */
static bool is_network_end(const struct settings_address *a)
{
    if (a->family != AF_INET || a->prefix >= 31)
        return false;
    uint32_t v =
        (uint32_t)a->bytes[0] << 24 | (uint32_t)a->bytes[1] << 16 | (uint32_t)a->bytes[2] << 8 | a->bytes[3];
    uint32_t host = a->prefix ? UINT32_MAX >> a->prefix : UINT32_MAX;
    return (v & host) == 0 || (v & host) == host;
}

static struct err *read_host_address(const struct yaml_node *n, const char *what, bool with_prefix,
                                     struct settings_address *out)
{
    TRY(read_address(n, what, with_prefix, out));
    const char *wrong = never_a_host(out);
    if (!wrong && with_prefix && out->prefix == 0)
        wrong = "a network of everything";
    if (!wrong && with_prefix && is_network_end(out))
        wrong = "its network's own address or broadcast address";
    return wrong ? yaml_error(n, "%s: %s is %s", what, n->text, wrong) : NULL;
}

static struct err *check_list(const struct yaml_node *n, const char *what, uint32_t most)
{
    if (n->kind != YAML_SEQUENCE)
        return yaml_error(n, "%s: expected a list: [...]", what);
    return n->count > most ? yaml_error(n->items[most], "%s: more than %u", what, most) : NULL;
}

/* Addresses into list[]; *count is what was read. Each is unlike the others. */
static struct err *read_addresses(const struct yaml_node *n, const char *what, bool with_prefix,
                                  uint32_t most, struct settings_address *list, uint32_t *count)
{
    struct err *errs = NULL;
    TRY(check_list(n, what, most));
    *count = 0;
    for (uint32_t i = 0; i < n->count; i++) {
        struct settings_address a;
        struct err *e = read_host_address(n->items[i], what, with_prefix, &a);
        for (uint32_t j = 0; !e && j < *count; j++)
            if (list[j].family == a.family && memcmp(list[j].bytes, a.bytes, sizeof a.bytes) == 0)
                e = yaml_error(n->items[i], "%s: %s is given twice", what, n->items[i]->text);
        if (!e)
            list[(*count)++] = a;
        err_append(&errs, e);
    }
    return errs;
}

static struct err *read_gateway(const struct key *k, const struct yaml_node *n, void *out)
{
    uint8_t family = k->type == KEY_GATEWAY4 ? AF_INET : AF_INET6;
    struct settings_address a;
    TRY(read_host_address(n, last_name(k), false, &a));
    if (a.family != family)
        return yaml_error(n, "%s: expected an %s address", last_name(k), family == AF_INET ? "IPv4" : "IPv6");
    *(struct settings_address *)out = a;
    return NULL;
}

static struct err *read_servers(struct walk *w, const struct yaml_node *n)
{
    struct err *errs = NULL;
    TRY(check_list(n, "time.servers", SETTINGS_SERVERS_MAX));
    w->s->servers_given = true;
    for (uint32_t i = 0; i < n->count; i++) {
        const char *text = NULL;
        struct err *e = yaml_string(n->items[i], "time.servers", &text);
        if (!e && !settings_server_valid(text))
            e = yaml_error(n->items[i],
                           "time.servers: expected the name or address of a server, found \"%.*s\"",
                           TEXT_QUOTED_CSTR(text, 60));
        if (!e)
            snprintf(w->s->servers[w->s->server_count++], SETTINGS_HOST_BYTES, "%s", text);
        err_append(&errs, e);
    }
    return errs;
}

static struct err *read_hostname(const struct yaml_node *n, char *out)
{
    const char *text;
    TRY(yaml_string(n, "hostname", &text));
    if (!settings_hostname_valid(text))
        return yaml_error(n,
                          "hostname: expected letters, digits and inner hyphens, in labels of at most 63, at "
                          "most 64 in all; "
                          "found \"%.*s\"",
                          TEXT_QUOTED_CSTR(text, 80));
    snprintf(out, sizeof((struct settings *)0)->hostname, "%s", text);
    return NULL;
}

static struct err *read_interface_name(const struct yaml_node *n, const char *what, char *out)
{
    const char *text;
    TRY(yaml_string(n, what, &text));
    if (!settings_interface_name_valid(text))
        return yaml_error(n,
                          "%s: expected the name of an interface such as eth0 (at most %d letters, digits, "
                          "dots, hyphens; not lo), found \"%.*s\"",
                          what, SETTINGS_NAME_BYTES - 1, TEXT_QUOTED_CSTR(text, 40));
    snprintf(out, SETTINGS_NAME_BYTES, "%s", text);
    return NULL;
}

static struct err *read_mac(const struct yaml_node *n, struct settings_interface *i)
{
    const char *text;
    TRY(yaml_string(n, "mac", &text));
    uint8_t any = 0;
    bool good = strlen(text) == 17;
    for (int b = 0; good && b < 6; b++) {
        const char *p = text + 3 * b;
        char pair[3] = {p[0], p[1], 0}, *end;
        good = p[0] && strchr("0123456789abcdefABCDEF", p[0]) && p[2] == (b < 5 ? ':' : 0);
        i->mac[b] = (uint8_t)strtoul(pair, &end, 16);
        good &= end == pair + 2;
        any |= i->mac[b];
    }
    if (!good || !any || (i->mac[0] & 1)) {
        memset(i->mac, 0, sizeof i->mac);
        return yaml_error(n,
                          "mac: expected an interface's address such as \"52:54:00:12:34:56\" (in quotes), "
                          "found \"%.*s\"",
                          TEXT_QUOTED_CSTR(text, 40));
    }
    i->has_mac = true;
    return NULL;
}

static struct err *read_signed(const struct yaml_node *n, void *out)
{
    static const char *const names[] = {"auto", "required", "optional"};
    const char *text;
    TRY(yaml_string(n, "configuration.signed", &text));
    for (int i = 0; i < 3; i++)
        if (strcmp(text, names[i]) == 0) {
            *(int64_t *)out = i;
            return NULL;
        }
    return yaml_error(n, "configuration.signed: expected required, auto or optional, found \"%.*s\"",
                      TEXT_QUOTED_CSTR(text, 40));
}

static struct err *read_duration(const struct key *k, const struct yaml_node *n, void *out)
{
    int64_t v;
    TRY(yaml_duration_us(n, k->path, &v));
    if (v < k->min || v > k->max)
        return yaml_error(n, "%s: expected %lld to %lld seconds, found %s", k->path,
                          (long long)(k->min / SEC), (long long)(k->max / SEC), n->text);
    *(int64_t *)out = v;
    return NULL;
}

static struct err *read_interfaces(struct walk *w, const struct yaml_node *n);

static struct err *read_value(struct walk *w, const struct key *k, const struct yaml_node *n)
{
    void *field = (char *)(w->at ? (void *)w->at : (void *)w->s) + k->offset;
    const char *what = w->at ? last_name(k) : k->path;
    switch (k->type) {
    case KEY_FORMAT:
        return n->kind == YAML_SCALAR && strcmp(n->text, "1") == 0
                   ? NULL
                   : yaml_error(n, "box: expected 1, the only format of this file there is");
    case KEY_BOOL: return yaml_bool(n, what, field);
    case KEY_COUNT: return yaml_int(n, what, k->min, k->max, field);
    case KEY_DURATION: return read_duration(k, n, field);
    case KEY_HOSTNAME: return read_hostname(n, field);
    case KEY_RESOLVERS:
        return read_addresses(n, what, false, SETTINGS_RESOLVERS_MAX, w->s->resolvers, &w->s->resolver_count);
    case KEY_SERVERS: return read_servers(w, n);
    case KEY_SIGNED: return read_signed(n, field);
    case KEY_INTERFACES: return read_interfaces(w, n);
    case KEY_PARENT: return read_interface_name(n, what, field);
    case KEY_MAC: return read_mac(n, w->at);
    case KEY_ADDRESSES:
        return read_addresses(n, what, true, SETTINGS_ADDRESSES_MAX, w->at->addresses, &w->at->address_count);
    case KEY_GATEWAY4:
    case KEY_GATEWAY6: return read_gateway(k, n, field);
    case KEY_SECTION: break;
    }
    PANIC("key %s has no reader", k->path);
}

/* ---- the walk ---- */

static struct err *read_section(struct walk *w, const struct yaml_node *n, const char *section)
{
    struct err *errs = NULL;
    if (yaml_is_null(n) && *section)
        return NULL;
    if (n->kind != YAML_MAPPING)
        return yaml_error(n, "%s: expected a mapping of keys to values", *section ? section : "the file");
    for (uint32_t i = 0; i < n->count; i++) {
        const struct yaml_pair *p = &n->pairs[i];
        const char *path = *section ? arena_printf(&w->arena, "%s.%s", section, p->key->text) : p->key->text;
        const struct key *k = strchr(p->key->text, '.') ? NULL : find_key(path);
        if (!k)
            err_append(&errs, unknown_key(p->key, section));
        else if (k->type == KEY_SECTION)
            err_append(&errs, read_section(w, p->value, k->path));
        else
            err_append(&errs, read_value(w, k, p->value));
    }
    return errs;
}

static struct err *read_interface(struct walk *w, const struct yaml_pair *p)
{
    struct settings_interface *i = &w->s->interfaces[w->s->interface_count];
    struct err *errs = read_interface_name(p->key, "network.interfaces", i->name);
    if (!errs)
        w->s->interface_count++;
    w->at = i;
    err_append(&errs, read_section(w, p->value, ONE));
    w->at = NULL;
    bool mapping = p->value->kind == YAML_MAPPING;
    bool fixed = mapping && yaml_get(p->value, "addresses");
    if (!mapping || !yaml_get(p->value, "dhcp4"))
        i->dhcp4 = !fixed;
    if (!mapping || !yaml_get(p->value, "dhcp6"))
        i->dhcp6 = !fixed;
    return errs;
}

static struct err *read_interfaces(struct walk *w, const struct yaml_node *n)
{
    struct err *errs = NULL;
    if (yaml_is_null(n))
        return NULL;
    if (n->kind != YAML_MAPPING)
        return yaml_error(n, "network.interfaces: expected NAME: { ... }");
    if (n->count > SETTINGS_INTERFACES_MAX)
        return yaml_error(n->pairs[SETTINGS_INTERFACES_MAX].key, "network.interfaces: more than %d",
                          SETTINGS_INTERFACES_MAX);
    w->s->every_interface = n->count == 0;
    for (uint32_t i = 0; i < n->count; i++)
        err_append(&errs, read_interface(w, &n->pairs[i]));
    return errs;
}

/* ---- what has to fit together ---- */

static const struct settings_interface *by_name(const struct settings *s, const char *name)
{
    for (uint32_t i = 0; i < s->interface_count; i++)
        if (strcmp(s->interfaces[i].name, name) == 0)
            return &s->interfaces[i];
    return NULL;
}

static struct err *check_vlan(const struct settings *s, const struct settings_interface *i,
                              const struct yaml_node *n)
{
    if (!i->parent[0] != !i->vlan)
        return yaml_error(n, "interface %s: expected both parent and vlan, or neither", i->name);
    if (!i->vlan)
        return NULL;
    const struct settings_interface *parent = by_name(s, i->parent);
    if (strcmp(i->parent, i->name) == 0 || (parent && parent->vlan))
        return yaml_error(n, "interface %s: its parent has to be an interface that is no VLAN", i->name);
    if (i->has_mac)
        return yaml_error(n, "interface %s: a VLAN has its parent's mac, and no other", i->name);
    for (const struct settings_interface *o = s->interfaces; o < i; o++)
        if (o->vlan == i->vlan && strcmp(o->parent, i->parent) == 0)
            return yaml_error(n, "interface %s: VLAN %lld of %s is %s already", i->name, (long long)i->vlan,
                              i->parent, o->name);
    return NULL;
}

static bool own_address(const struct settings_interface *i, const struct settings_address *a)
{
    for (uint32_t k = 0; k < i->address_count; k++)
        if (i->addresses[k].family == a->family && memcmp(i->addresses[k].bytes, a->bytes, 16) == 0)
            return true;
    return false;
}

static struct err *check_gateway(const struct settings_interface *i, const struct settings_address *g,
                                 const struct yaml_node *n)
{
    bool link_local = g->family == AF_INET6 && g->bytes[0] == 0xfe && (g->bytes[1] & 0xc0) == 0x80;
    bool within = g->family == 0 || link_local;
    char text[SETTINGS_ADDRESS_BYTES];
    for (uint32_t k = 0; k < i->address_count; k++)
        within |= settings_address_within(&i->addresses[k], g);
    if (!within || own_address(i, g))
        return yaml_error(n,
                          "interface %s: the gateway %s has to be another address within one of `addresses`",
                          i->name, settings_address_text(g, false, text));
    return NULL;
}

static struct err *check_others(const struct settings *s, const struct settings_interface *i,
                                const struct yaml_node *n)
{
    struct err *errs = NULL;
    char text[SETTINGS_ADDRESS_BYTES];
    for (const struct settings_interface *o = s->interfaces; o < i; o++) {
        if (o->has_mac && i->has_mac && memcmp(o->mac, i->mac, 6) == 0)
            err_append(&errs, yaml_error(n, "interface %s: %s has the same mac", i->name, o->name));
        for (uint32_t k = 0; k < i->address_count; k++)
            if (own_address(o, &i->addresses[k]))
                err_append(&errs, yaml_error(n, "interface %s: %s is an address of %s already", i->name,
                                             settings_address_text(&i->addresses[k], false, text), o->name));
        if ((o->gateway4.family && i->gateway4.family) || (o->gateway6.family && i->gateway6.family))
            err_append(&errs, yaml_error(n, "interface %s: %s has a gateway already, and there can be one",
                                         i->name, o->name));
    }
    return errs;
}

static struct err *check_together(const struct settings *s, const struct yaml_node *root)
{
    struct err *errs = NULL;
    const struct yaml_node *map = NULL;
    if (root->kind != YAML_MAPPING)
        return NULL;
    if (!yaml_get(root, "box"))
        err_append(&errs, yaml_error(root, "the key box is missing: the file has to say box: 1"));
    const struct yaml_node *network = yaml_get(root, "network");
    if (network && network->kind == YAML_MAPPING)
        map = yaml_get(network, "interfaces");
    for (uint32_t k = 0; k < s->interface_count; k++) {
        const struct settings_interface *i = &s->interfaces[k];
        const struct yaml_node *n = yaml_get(map, i->name);
        n = n ? n : map;
        err_append(&errs, check_vlan(s, i, n));
        err_append(&errs, check_gateway(i, &i->gateway4, n));
        err_append(&errs, check_gateway(i, &i->gateway6, n));
        err_append(&errs, check_others(s, i, n));
    }
    return errs;
}

/* ---- loading ---- */

void settings_defaults(struct settings *out)
{
    memset(out, 0, sizeof *out);
    out->every_interface = true;
    struct walk w = {.s = out};
    for (size_t i = 0; i < ARRAY_COUNT(keys); i++) {
        if (!keys[i].standard)
            continue;
        struct yaml_node n = {
            .kind = YAML_SCALAR, .text = keys[i].standard, .plain = true, .file = "defaults"};
        struct err *e = read_value(&w, &keys[i], &n);
        if (e)
            PANIC("default of %s: %s", keys[i].path, e->message);
    }
}

struct err *settings_parse(const char *file, const char *text, size_t len, struct settings *out)
{
    settings_defaults(out);
    if (len > SETTINGS_BYTES_MAX)
        return err_at(ERR_CONFIG, file, 0, 0, "longer than %u bytes", SETTINGS_BYTES_MAX);
    struct walk w = {.s = out};
    struct yaml_node *root = NULL;
    arena_init(&w.arena);
    struct err *errs = yaml_load(&w.arena, file, text, len, false, &root);
    if (!errs) {
        err_append(&errs, read_section(&w, root, ""));
        err_append(&errs, check_together(out, root));
    }
    arena_fini(&w.arena);
    if (errs)
        settings_defaults(out);
    return errs;
}

struct err *settings_load(const char *file, struct settings *out)
{
    settings_defaults(out);
    FILE *f = fopen(file, "rbe");
    if (!f)
        return errno == ENOENT ? NULL : err_errno(ERR_CONFIG, "cannot read %s", file);
    char *text = xmalloc(SETTINGS_BYTES_MAX + 1);
    size_t len = fread(text, 1, SETTINGS_BYTES_MAX + 1, f);
    struct err *e = ferror(f) ? err_errno(ERR_CONFIG, "cannot read %s", file) : NULL;
    fclose(f);
    if (!e)
        e = settings_parse(file, text, len, out);
    free(text);
    return e;
}

/* ---- docs ---- */

static const char *type_text(enum key_type t)
{
    static const char *const texts[] = {
        [KEY_SECTION] = "section",
        [KEY_FORMAT] = "1",
        [KEY_BOOL] = "true, false",
        [KEY_COUNT] = "count",
        [KEY_DURATION] = "duration",
        [KEY_HOSTNAME] = "name",
        [KEY_RESOLVERS] = "list of addresses",
        [KEY_SERVERS] = "list of names or addresses",
        [KEY_SIGNED] = "auto, required, optional",
        [KEY_INTERFACES] = "mapping",
        [KEY_PARENT] = "name",
        [KEY_MAC] = "address",
        [KEY_ADDRESSES] = "list of addresses",
        [KEY_GATEWAY4] = "address",
        [KEY_GATEWAY6] = "address",
    };
    return texts[t];
}

void settings_doc_write(FILE *to)
{
    fputs("| key | value | default | range | meaning |\n| --- | --- | --- | --- | --- |\n", to);
    for (size_t i = 0; i < ARRAY_COUNT(keys); i++) {
        const struct key *k = &keys[i];
        fprintf(to, "| `%s` | %s | %s | ", k->path, type_text(k->type), k->standard ? k->standard : "");
        if (k->type == KEY_COUNT)
            fprintf(to, "%lld to %lld", (long long)k->min, (long long)k->max);
        if (k->type == KEY_DURATION)
            fprintf(to, "%llds to %llds", (long long)(k->min / SEC), (long long)(k->max / SEC));
        fprintf(to, " | %s |\n", k->help);
    }
}
