/* What others see of the network: network.json, resolv.conf, the hostname. */
#include "init/net.h"

#include "base/log.h"
#include "init/net_pending.h"

#include <stdlib.h>

#include <sys/socket.h>
#include <unistd.h>

#define HOSTNAME "penstock" /* of a box that nobody gave a name */

/* Text in JSON. What comes here was checked before, but for messages of errors. */
static void put_text(struct buf *b, const char *text)
{
    buf_put_str(b, "\"");
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\')
            buf_printf(b, "\\%c", c);
        else if (c < 0x20 || c == 0x7f)
            buf_printf(b, "\\u%04x", c);
        else
            buf_put_u8(b, c);
    }
    buf_put_str(b, "\"");
}

static bool has_global_address(const struct net *n, int index)
{
    for (uint32_t i = 0; i < n->view.address_count; i++)
        if (n->view.addresses[i].index == index && n->view.addresses[i].global)
            return true;
    return false;
}

bool net_is_ok(const struct net *n, char *detail, size_t size)
{
    bool carrier = false, reached = false;
    for (uint32_t i = 0; i < n->plan.want_count; i++) {
        const struct net_link *l = n->plan.wants[i].link;
        carrier |= l->carrier;
        reached |= l->carrier && has_global_address(n, l->index);
    }
    if (detail)
        snprintf(detail, size, "%s",
                 reached              ? ""
                 : carrier            ? "no address yet"
                 : n->plan.want_count ? "no cable"
                                      : "no network interface");
    return reached;
}

/* ---- network.json ---- */

static void put_interface(const struct net *n, const struct net_want *w, struct buf *b)
{
    const struct net_link *l = w->link;
    char text[SETTINGS_ADDRESS_BYTES];
    bool any = false;
    buf_put_str(b, "{\"name\":");
    put_text(b, w->as ? w->as->name : l->name);
    buf_put_str(b, ",\"link\":");
    put_text(b, l->name);
    buf_printf(b,
               ",\"mac\":\"%02x:%02x:%02x:%02x:%02x:%02x\",\"up\":%s,\"carrier\":%s,\"mtu\":%u,\"vlan\":%u",
               l->mac[0], l->mac[1], l->mac[2], l->mac[3], l->mac[4], l->mac[5], l->up ? "true" : "false",
               l->carrier ? "true" : "false", l->mtu, l->vlan);
    buf_printf(b, ",\"dhcp4\":%s,\"dhcp6\":%s,\"addresses\":[", w->dhcp4 ? "true" : "false",
               w->dhcp6 ? "true" : "false");
    for (uint32_t i = 0; i < n->view.address_count; i++)
        if (n->view.addresses[i].index == l->index) {
            buf_printf(b, "%s\"%s\"", any ? "," : "",
                       settings_address_text(&n->view.addresses[i].a, true, text));
            any = true;
        }
    buf_put_str(b, "]}");
}

static void put_interfaces(const struct net *n, struct buf *b)
{
    buf_put_str(b, ",\"interfaces\":[");
    for (uint32_t i = 0; i < n->plan.want_count; i++) {
        buf_put_str(b, i ? "," : "");
        put_interface(n, &n->plan.wants[i], b);
    }
    buf_put_str(b, "],\"missing\":[");
    for (uint32_t i = 0; i < n->plan.missing_count; i++) {
        buf_put_str(b, i ? "," : "");
        put_text(b, n->plan.missing[i]->name);
    }
    buf_put_str(b, "]");
}

/* What the box can be reached at, and its ways out. */
static void put_addresses(const struct net *n, struct buf *b)
{
    char text[SETTINGS_ADDRESS_BYTES];
    bool any = false;
    buf_put_str(b, ",\"addresses\":[");
    for (uint32_t i = 0; i < n->view.address_count; i++) {
        const struct net_address *a = &n->view.addresses[i];
        const struct net_link *l = net_view_link(&n->view, a->index);
        if (!a->global || !l || l->loopback)
            continue;
        buf_printf(b, "%s\"%s\"", any ? "," : "", settings_address_text(&a->a, false, text));
        any = true;
    }
    buf_put_str(b, "],\"gateways\":[");
    any = false;
    for (uint32_t i = 0; i < n->view.route_count; i++)
        if (n->view.routes[i].to.prefix == 0 && n->view.routes[i].gateway.family) {
            buf_printf(b, "%s\"%s\"", any ? "," : "",
                       settings_address_text(&n->view.routes[i].gateway, false, text));
            any = true;
        }
    buf_put_str(b, "]");
}

static void put_resolvers(const struct net *n, struct buf *b)
{
    struct buf conf = {0};
    bool any = false;
    net_resolv_conf(&n->settings, n->leases, n->lease_count, &conf);
    buf_put_u8(&conf, 0);
    buf_put_str(b, ",\"resolvers\":[");
    for (char *rest = (char *)conf.p, *line; (line = strsep(&rest, "\n"));)
        if (strncmp(line, "nameserver ", 11) == 0) {
            buf_printf(b, "%s\"%s\"", any ? "," : "", line + 11);
            any = true;
        }
    buf_put_str(b, "]");
    buf_fini(&conf);
}

static void put_settings(const struct net *n, struct buf *b)
{
    buf_printf(b, ",\"settings\":{\"from\":\"%s\",\"error\":", n->from_file ? "box.yaml" : "defaults");
    put_text(b, n->wrong ? n->wrong : "");
    buf_put_str(b, ",\"problems\":");
    put_text(b, n->problems ? n->problems : "");
    int64_t left_ms = n->confirm_by_ms ? n->confirm_by_ms - net_boottime_ms() : 0;
    if (n->confirm_by_ms)
        buf_printf(b, ",\"confirm_left_s\":%lld", (long long)(left_ms > 0 ? left_ms / 1000 : 0));
    else
        buf_put_str(b, ",\"confirm_left_s\":null");
    buf_printf(b, ",\"rolled_back\":%s}", n->rolled_back ? "true" : "false");
}

static void put_time(const struct net *n, struct buf *b)
{
    static const char *const states[] = {"asking", "synced", "no answer", "refused"};
    const struct time_report *r = &n->time_report;
    bool off = n->settings.servers_given && n->settings.server_count == 0;
    buf_printf(b, ",\"time\":{\"synced\":%s,\"state\":\"%s\",\"detail\":",
               r->state == TIME_SYNCED && !off ? "true" : "false", off ? "off" : states[r->state]);
    put_text(b, off ? "" : r->detail);
    buf_printf(
        b,
        ",\"offset_us\":%lld,\"delay_us\":%lld,\"stratum\":%u,\"at\":%lld,\"asked\":%u,\"answered\":%u,"
        "\"agreed\":%u,\"floor\":%lld,\"servers\":[",
        (long long)r->offset_us, (long long)r->delay_us, r->stratum, (long long)r->at_s, r->asked,
        r->answered, r->agreed, (long long)n->floor_s);
    for (uint32_t i = 0; i < n->server_count && !off; i++) {
        buf_put_str(b, i ? "," : "");
        put_text(b, n->servers[i]);
    }
    buf_put_str(b, "]}");
}

void net_state_json(const struct net *n, struct buf *out)
{
    char detail[64], hostname[65] = "";
    bool ok = net_is_ok(n, detail, sizeof detail);
    (void)gethostname(hostname, sizeof hostname - 1);
    if (ok && n->wrong)
        snprintf(detail, sizeof detail, "box.yaml is wrong and not used");
    if (ok && n->problems)
        snprintf(detail, sizeof detail, "some settings could not be made");
    buf_printf(out, "{\"ok\":%s,\"detail\":", ok && !n->wrong && !n->problems ? "true" : "false");
    put_text(out, detail);
    buf_put_str(out, ",\"hostname\":");
    put_text(out, hostname);
    put_addresses(n, out);
    put_resolvers(n, out);
    put_interfaces(n, out);
    put_settings(n, out);
    put_time(n, out);
    buf_put_str(out, "}\n");
}

/* ---- files ---- */

static void write_file(const char *path, const struct buf *b)
{
    struct err *e = net_file_replace(path, b->p, b->len, false);
    if (e)
        log_error("network", "cannot write", "error=\"%s\"", e->message);
    err_free(e);
}

static void set_hostname(const struct net *n)
{
    const char *name = n->settings.hostname;
    char now[65] = "";
    for (uint32_t i = 0; i < n->lease_count && !name[0]; i++)
        name = n->leases[i].hostname;
    name = name[0] ? name : HOSTNAME;
    if (gethostname(now, sizeof now - 1) == 0 && strcmp(now, name) == 0)
        return;
    if (sethostname(name, strlen(name)) != 0)
        log_warn("network", "cannot set the hostname", "hostname=%s", name);
    else
        log_info("network", "hostname", "hostname=%s", name);
}

void net_publish(struct net *n)
{
    n->lease_count = net_leases_load(n->paths.run_dir, n->leases, NET_LEASES_MAX);
    struct buf b = {0};
    net_resolv_conf(&n->settings, n->leases, n->lease_count, &b);
    write_file(n->paths.resolv_conf, &b);
    set_hostname(n);
    net_children_update(n);
    buf_reset(&b);
    net_state_json(n, &b);
    char *path = xprintf("%s/network.json", n->paths.run_dir);
    write_file(path, &b);
    free(path);
    buf_fini(&b);
}
