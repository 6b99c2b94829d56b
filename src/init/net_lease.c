/* See net_lease.h. */
#include "init/net_lease.h"

#include "base/file.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include <yyjson.h>

/* ---- what is kept of it ---- */

static bool is_listed(char *list, size_t size, uint32_t count, const char *text)
{
    for (uint32_t i = 0; i < count; i++)
        if (strcmp(list + i * size, text) == 0)
            return true;
    return false;
}

static void keep(char *list, size_t size, uint32_t most, uint32_t *count, const char *text)
{
    if (*count < most && strlen(text) < size && !is_listed(list, size, *count, text))
        memcpy(list + (*count)++ * size, text, strlen(text) + 1);
}

/* An address that can be asked; a link-local one says on which link. */
static void keep_resolver(struct net_lease *l, const char *text)
{
    char host[NET_RESOLVER_BYTES], full[NET_RESOLVER_BYTES];
    struct settings_address a;
    if (strlen(text) >= sizeof host)
        return;
    memcpy(host, text, strlen(text) + 1);
    char *scope = strchr(host, '%');
    if (scope)
        *scope++ = 0;
    if (!settings_address_parse(host, false, &a) || (scope && strcmp(scope, l->link) != 0))
        return;
    static const uint8_t zero[16];
    bool link_local = a.family == AF_INET6 && a.bytes[0] == 0xfe && (a.bytes[1] & 0xc0) == 0x80;
    bool multicast = a.family == AF_INET ? a.bytes[0] >= 224 : a.bytes[0] == 0xff;
    if (multicast || memcmp(a.bytes, zero, 16) == 0 || (scope && !link_local))
        return;
    char plain[SETTINGS_ADDRESS_BYTES];
    settings_address_text(&a, false, plain);
    snprintf(full, sizeof full, "%s%s%s", plain, link_local ? "%" : "", link_local ? l->link : "");
    keep(l->resolvers[0], sizeof l->resolvers[0], NET_LEASE_RESOLVERS_MAX, &l->resolver_count, full);
}

static void keep_domain(struct net_lease *l, const char *text)
{
    char name[SETTINGS_HOST_BYTES];
    size_t len = strlen(text);
    if (len && text[len - 1] == '.')
        len--;
    if (len >= sizeof name)
        return;
    memcpy(name, text, len);
    name[len] = 0;
    struct settings_address a;
    if (settings_server_valid(name) && !settings_address_parse(name, false, &a))
        keep(l->domains[0], sizeof l->domains[0], NET_LEASE_DOMAINS_MAX, &l->domain_count, name);
}

static void keep_server(struct net_lease *l, const char *text)
{
    if (settings_server_valid(text))
        keep(l->servers[0], sizeof l->servers[0], NET_LEASE_SERVERS_MAX, &l->server_count, text);
}

static void keep_hostname(struct net_lease *l, const char *text)
{
    if (settings_hostname_valid(text))
        snprintf(l->hostname, sizeof l->hostname, "%s", text);
}

/* ---- the environment ---- */

static void each_word(struct net_lease *l, const char *text, void (*take)(struct net_lease *, const char *))
{
    char word[SETTINGS_HOST_BYTES + 1];
    while (*text) {
        size_t len = strcspn(text, " ");
        if (len && len < sizeof word) {
            memcpy(word, text, len);
            word[len] = 0;
            take(l, word);
        }
        text += len + (text[len] == ' ');
    }
}

static const char *value_of(char *const *env, const char *name)
{
    size_t len = strlen(name);
    for (; *env; env++)
        if (strncmp(*env, name, len) == 0 && (*env)[len] == '=')
            return *env + len + 1;
    return "";
}

/* nd1_rdnss1_servers and the like: a number for each router and for each option of its. */
static bool is_advertised(const char *variable, const char *what, const char *last)
{
    if (strncmp(variable, "nd", 2) != 0)
        return false;
    variable += 2 + strspn(variable + 2, "0123456789");
    if (*variable != '_' || strncmp(variable + 1, what, strlen(what)) != 0)
        return false;
    variable += 1 + strlen(what);
    variable += strspn(variable, "0123456789");
    return strncmp(variable, last, strlen(last)) == 0 && variable[strlen(last)] == '=';
}

static void take_variable(struct net_lease *l, const char *variable)
{
    static const struct {
        const char *protocol, *name;
        void (*take)(struct net_lease *, const char *);
    } known[] = {
        {"dhcp", "new_domain_name_servers=", keep_resolver},
        {"dhcp", "new_domain_name=", keep_domain},
        {"dhcp", "new_domain_search=", keep_domain},
        {"dhcp", "new_host_name=", keep_hostname},
        {"dhcp", "new_ntp_servers=", keep_server},
        {"dhcp6", "new_dhcp6_name_servers=", keep_resolver},
        {"dhcp6", "new_dhcp6_domain_search=", keep_domain},
        {"dhcp6", "new_dhcp6_sntp_servers=", keep_server},
    };
    const char *equals = strchr(variable, '=');
    if (!equals)
        return;
    for (size_t i = 0; i < ARRAY_COUNT(known); i++)
        if (strcmp(known[i].protocol, l->protocol) == 0 &&
            strncmp(variable, known[i].name, strlen(known[i].name)) == 0)
            each_word(l, equals + 1, known[i].take);
    if (strcmp(l->protocol, "dhcp6") == 0 && strncmp(variable, "new_dhcp6_ntp_server", 20) == 0)
        each_word(l, equals + 1, keep_server);
    if (strcmp(l->protocol, "ra") == 0 && is_advertised(variable, "rdnss", "_servers"))
        each_word(l, equals + 1, keep_resolver);
    if (strcmp(l->protocol, "ra") == 0 && is_advertised(variable, "dnssl", "_search"))
        each_word(l, equals + 1, keep_domain);
}

static bool begins_with_any(const char *text, const char *const *list)
{
    for (; *list; list++)
        if (strncmp(text, *list, strlen(*list)) == 0)
            return true;
    return false;
}

static bool protocol_valid(const char *p)
{
    return strcmp(p, "dhcp") == 0 || strcmp(p, "dhcp6") == 0 || strcmp(p, "ra") == 0;
}

enum net_lease_change net_lease_read(char *const *env, struct net_lease *out)
{
    static const char *const set[] = {"BOUND", "RENEW", "REBIND", "REBOOT", "INFORM", "ROUTERADVERT", NULL};
    static const char *const ended[] = {"EXPIRE",  "FAIL",      "STOP",     "NAK",
                                        "RELEASE", "NOCARRIER", "DEPARTED", NULL};
    const char *link = value_of(env, "interface"), *protocol = value_of(env, "protocol");
    const char *reason = value_of(env, "reason");
    memset(out, 0, sizeof *out);
    bool sets = begins_with_any(reason, set), ends = begins_with_any(reason, ended);
    if (!settings_interface_name_valid(link) || (!sets && !ends))
        return NET_LEASE_NONE;
    snprintf(out->link, sizeof out->link, "%s", link);
    if (!protocol_valid(protocol))
        return ends ? NET_LEASE_LINK_ENDED : NET_LEASE_NONE;
    snprintf(out->protocol, sizeof out->protocol, "%s", protocol);
    if (ends)
        return NET_LEASE_ENDED;
    for (; *env; env++)
        take_variable(out, *env);
    return NET_LEASE_SET;
}

/* ---- files ---- */

struct err *net_file_replace(const char *path, const void *text, size_t len, bool sync)
{
    char *beside = xprintf("%s.new", path);
    struct err *e = NULL;
    int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
    int err_no = fd < 0 ? errno : file_write_at(fd, text, len, 0);
    if (!err_no && sync && fsync(fd) != 0)
        err_no = errno;
    if (fd >= 0)
        close(fd);
    if (!err_no && rename(beside, path) != 0)
        err_no = errno;
    if (err_no) {
        (void)unlink(beside);
        errno = err_no;
        e = err_errno(ERR_IO, "cannot write %s", path);
    }
    free(beside);
    return e;
}

static char *lease_path(const char *run_dir, const char *link, const char *protocol)
{
    return xprintf("%s/lease-%s-%s.json", run_dir, link, protocol);
}

/* Names and addresses that were found valid need no escapes. */
static void put_list(struct buf *b, const char *name, const char *list, size_t size, uint32_t count)
{
    buf_printf(b, ",\"%s\":[", name);
    for (uint32_t i = 0; i < count; i++)
        buf_printf(b, "%s\"%s\"", i ? "," : "", list + i * size);
    buf_put_str(b, "]");
}

struct err *net_lease_save(const struct net_lease *l, const char *run_dir)
{
    struct buf b = {0};
    buf_printf(&b, "{\"link\":\"%s\",\"protocol\":\"%s\"", l->link, l->protocol);
    put_list(&b, "resolvers", l->resolvers[0], sizeof l->resolvers[0], l->resolver_count);
    put_list(&b, "domains", l->domains[0], sizeof l->domains[0], l->domain_count);
    put_list(&b, "servers", l->servers[0], sizeof l->servers[0], l->server_count);
    buf_printf(&b, ",\"hostname\":\"%s\"}\n", l->hostname);
    char *path = lease_path(run_dir, l->link, l->protocol);
    struct err *e = net_file_replace(path, b.p, b.len, false);
    free(path);
    buf_fini(&b);
    return e;
}

static void take_list(struct net_lease *l, yyjson_val *o, const char *name,
                      void (*take)(struct net_lease *, const char *))
{
    yyjson_val *list = yyjson_obj_get(o, name), *v;
    size_t i, count;
    yyjson_arr_foreach(list, i, count, v)
    {
        if (yyjson_is_str(v))
            take(l, yyjson_get_str(v));
    }
}

bool net_lease_parse(const char *json, size_t len, struct net_lease *out)
{
    memset(out, 0, sizeof *out);
    yyjson_doc *doc = len <= NET_LEASE_BYTES_MAX ? yyjson_read(json, len, 0) : NULL;
    yyjson_val *o = yyjson_doc_get_root(doc);
    const char *link = yyjson_get_str(yyjson_obj_get(o, "link"));
    const char *protocol = yyjson_get_str(yyjson_obj_get(o, "protocol"));
    const char *hostname = yyjson_get_str(yyjson_obj_get(o, "hostname"));
    bool good = link && protocol && settings_interface_name_valid(link) && protocol_valid(protocol);
    if (good) {
        snprintf(out->link, sizeof out->link, "%s", link);
        snprintf(out->protocol, sizeof out->protocol, "%s", protocol);
        take_list(out, o, "resolvers", keep_resolver);
        take_list(out, o, "domains", keep_domain);
        take_list(out, o, "servers", keep_server);
        keep_hostname(out, hostname ? hostname : "");
    }
    yyjson_doc_free(doc);
    return good;
}

static int is_lease(const struct dirent *d)
{
    size_t len = strlen(d->d_name);
    return strncmp(d->d_name, "lease-", 6) == 0 && len > 11 && strcmp(d->d_name + len - 5, ".json") == 0;
}

uint32_t net_leases_load(const char *run_dir, struct net_lease *out, uint32_t most)
{
    struct dirent **names;
    int count = scandir(run_dir, &names, is_lease, alphasort);
    uint32_t n = 0;
    char *text = xmalloc(NET_LEASE_BYTES_MAX + 2);
    for (int i = 0; i < count; i++) {
        char *path = xprintf("%s/%s", run_dir, names[i]->d_name);
        size_t len = n < most ? file_text(path, text, NET_LEASE_BYTES_MAX + 2) : 0;
        if (len && net_lease_parse(text, len, &out[n]))
            n++;
        free(path);
        free(names[i]);
    }
    if (count >= 0)
        free(names);
    free(text);
    return n;
}

void net_leases_remove(const char *run_dir, const char *link)
{
    struct dirent **names;
    int count = scandir(run_dir, &names, is_lease, alphasort);
    char *prefix = link ? xprintf("lease-%s-", link) : xstrdup("lease-");
    for (int i = 0; i < count; i++) {
        char *path = xprintf("%s/%s", run_dir, names[i]->d_name);
        /* What follows is one protocol: the link eth0 is not eth0-1. */
        const char *rest = names[i]->d_name + strlen(prefix);
        if (strncmp(names[i]->d_name, prefix, strlen(prefix)) == 0 && (!link || !strchr(rest, '-')))
            (void)unlink(path);
        free(path);
        free(names[i]);
    }
    if (count >= 0)
        free(names);
    free(prefix);
}

struct err *net_lease_hook(char *const *env, const char *run_dir)
{
    struct net_lease l;
    enum net_lease_change change = net_lease_read(env, &l);
    if (change == NET_LEASE_SET)
        return net_lease_save(&l, run_dir);
    if (change == NET_LEASE_LINK_ENDED)
        net_leases_remove(run_dir, l.link);
    if (change == NET_LEASE_ENDED) {
        char *path = lease_path(run_dir, l.link, l.protocol);
        (void)unlink(path);
        free(path);
    }
    return NULL;
}

/* ---- resolv.conf ---- */

void net_resolv_conf(const struct settings *s, const struct net_lease *leases, uint32_t count,
                     struct buf *out)
{
    struct net_lease all = {0};
    char resolvers[SETTINGS_RESOLVERS_MAX][NET_RESOLVER_BYTES] = {{0}};
    uint32_t n = 0;
    for (uint32_t i = 0; i < s->resolver_count; i++) {
        char text[SETTINGS_ADDRESS_BYTES];
        keep(resolvers[0], sizeof resolvers[0], SETTINGS_RESOLVERS_MAX, &n,
             settings_address_text(&s->resolvers[i], false, text));
    }
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t k = 0; k < leases[i].resolver_count; k++)
            keep(resolvers[0], sizeof resolvers[0], SETTINGS_RESOLVERS_MAX, &n, leases[i].resolvers[k]);
        for (uint32_t k = 0; k < leases[i].domain_count; k++)
            keep_domain(&all, leases[i].domains[k]);
    }
    for (uint32_t i = 0; i < n; i++)
        buf_printf(out, "nameserver %s\n", resolvers[i]);
    for (uint32_t k = 0; k < all.domain_count; k++)
        buf_printf(out, "%s%s", k ? " " : "search ", all.domains[k]);
    buf_put_str(out, all.domain_count ? "\n" : "");
    buf_put_str(out, "options timeout:2 attempts:2\n");
}
