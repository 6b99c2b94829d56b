/* From what there is to what the settings want. See net_link.h. */
#include "init/net_link.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/if.h>
#include <stdlib.h>
#include <unistd.h>

static struct err *result(int err_no, const char *link, const char *what)
{
    errno = err_no;
    return err_no ? err_errno(ERR_IO, "%s: cannot %s", link, what) : NULL;
}

/* ---- links ---- */

static struct err *set_flags(struct netlink *n, const struct net_link *l, bool up)
{
    struct ifinfomsg m = {.ifi_index = l->index, .ifi_flags = up ? IFF_UP : 0, .ifi_change = IFF_UP};
    netlink_begin(n, RTM_NEWLINK, 0, &m, sizeof m);
    return result(netlink_do(n), l->name, up ? "bring it up" : "take it down");
}

static struct err *set_mtu(struct netlink *n, const struct net_link *l, uint32_t mtu)
{
    struct ifinfomsg m = {.ifi_index = l->index};
    netlink_begin(n, RTM_NEWLINK, 0, &m, sizeof m);
    netlink_put_u32(n, IFLA_MTU, mtu);
    return result(netlink_do(n), l->name, "set its MTU");
}

static struct err *add_vlan(struct netlink *n, const struct settings_interface *i,
                            const struct net_link *parent)
{
    struct ifinfomsg m = {0};
    uint16_t id = (uint16_t)i->vlan;
    netlink_begin(n, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &m, sizeof m);
    netlink_put(n, IFLA_IFNAME, i->name, strlen(i->name) + 1);
    netlink_put_u32(n, IFLA_GROUP, NET_GROUP);
    netlink_put_u32(n, IFLA_LINK, (uint32_t)parent->index);
    size_t info = netlink_nest(n, IFLA_LINKINFO);
    netlink_put(n, IFLA_INFO_KIND, "vlan", 4);
    size_t data = netlink_nest(n, IFLA_INFO_DATA);
    netlink_put(n, IFLA_VLAN_ID, &id, sizeof id);
    netlink_nest_end(n, data);
    netlink_nest_end(n, info);
    int err_no = netlink_do(n);
    if (err_no == EOPNOTSUPP)
        return err_new(ERR_UNSUPPORTED, "%s: the kernel has no VLANs (module 8021q)", i->name);
    return result(err_no, i->name, "make the VLAN");
}

static struct err *remove_link(struct netlink *n, const struct net_link *l)
{
    struct ifinfomsg m = {.ifi_index = l->index};
    netlink_begin(n, RTM_DELLINK, 0, &m, sizeof m);
    return result(netlink_do(n), l->name, "remove the VLAN");
}

/* A VLAN that has another number or parent now, or another name, is made anew. */
static bool vlan_wanted(const struct net_plan *p, const struct net_link *l)
{
    for (uint32_t i = 0; i < p->want_count; i++)
        if (p->wants[i].link == l)
            return p->wants[i].as && strcmp(p->wants[i].as->name, l->name) == 0;
    return false;
}

static const struct net_link *parent_of(const struct settings *s, const struct net_plan *p,
                                        const struct settings_interface *vlan)
{
    for (uint32_t i = 0; i < p->want_count; i++) {
        const struct net_want *w = &p->wants[i];
        bool named = false;
        for (uint32_t k = 0; k < s->interface_count; k++)
            named |= w->as == &s->interfaces[k] && strcmp(w->as->name, vlan->parent) == 0;
        if (named || (!w->as && strcmp(w->link->name, vlan->parent) == 0))
            return w->link;
    }
    return NULL;
}

static struct err *apply_vlans(struct netlink *n, const struct settings *s, struct net_view *v,
                               struct net_plan *p)
{
    struct err *errs = NULL;
    bool changed = false;
    for (uint32_t i = 0; i < v->link_count; i++)
        if (v->links[i].ours && strcmp(v->links[i].kind, "vlan") == 0 && !vlan_wanted(p, &v->links[i])) {
            err_append(&errs, remove_link(n, &v->links[i]));
            changed = true;
        }
    if (changed) {
        err_append(&errs, net_view_read(n, v));
        net_plan_make(s, v, p);
    }
    changed = false;
    for (uint32_t i = 0; i < p->missing_count; i++) {
        const struct net_link *parent = p->missing[i]->vlan ? parent_of(s, p, p->missing[i]) : NULL;
        if (!parent)
            continue;
        err_append(&errs, add_vlan(n, p->missing[i], parent));
        changed = true;
    }
    if (changed) {
        err_append(&errs, net_view_read(n, v));
        net_plan_make(s, v, p);
    }
    return errs;
}

/* ---- router advertisements ---- */

/* The kernel takes none: dhcpcd does where they are wanted, and with fixed addresses nobody may give the box another one. */
static void refuse_advertisements(const char *sysctl, const struct net_link *l)
{
    static const char *const names[] = {"accept_ra", "autoconf"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        char *path = xprintf("%s/net/ipv6/conf/%s/%s", sysctl, l->name, names[i]);
        int fd = open(path, O_WRONLY | O_CLOEXEC);
        if (fd >= 0 && write(fd, "0", 1) != 1)
            errno = 0; /* a kernel without IPv6 has none to refuse */
        if (fd >= 0)
            close(fd);
        free(path);
    }
}

static struct err *apply_link(struct netlink *n, const struct net_want *w, const char *sysctl)
{
    struct err *errs = NULL;
    const struct net_link *l = w->link;
    refuse_advertisements(sysctl, l);
    if (w->as && w->as->mtu && w->as->mtu != l->mtu)
        err_append(&errs, set_mtu(n, l, (uint32_t)w->as->mtu));
    if (!l->up)
        err_append(&errs, set_flags(n, l, true));
    return errs;
}

/* With interfaces named, the others are not used: no address of theirs, not even a link-local one, answers. */
static struct err *apply_unused(struct netlink *n, const struct net_view *v, const struct net_plan *p)
{
    struct err *errs = NULL;
    for (uint32_t i = 0; i < v->link_count; i++) {
        const struct net_link *l = &v->links[i];
        if (l->loopback && !l->up)
            err_append(&errs, set_flags(n, l, true));
        if (l->loopback || !l->ethernet || !l->up || net_plan_want(p, l->name))
            continue;
        if (!l->kind[0] || strcmp(l->kind, "veth") == 0)
            err_append(&errs, set_flags(n, l, false));
    }
    return errs;
}

/* ---- addresses ---- */

static int change_address(struct netlink *n, uint16_t type, uint16_t flags, int index,
                          const struct settings_address *a)
{
    size_t len = a->family == AF_INET ? 4 : 16;
    uint8_t protocol = NET_PROTOCOL;
    struct ifaddrmsg m = {.ifa_family = a->family, .ifa_prefixlen = a->prefix, .ifa_index = (unsigned)index};
    netlink_begin(n, type, flags, &m, sizeof m);
    netlink_put(n, IFA_LOCAL, a->bytes, len);
    netlink_put(n, IFA_ADDRESS, a->bytes, len);
    netlink_put(n, IFA_PROTO, &protocol, 1);
    if (a->family == AF_INET && a->prefix < 31) {
        uint32_t host = htonl(UINT32_MAX >> a->prefix), broadcast;
        memcpy(&broadcast, a->bytes, 4);
        broadcast |= host;
        netlink_put(n, IFA_BROADCAST, &broadcast, 4);
    }
    return netlink_do(n);
}

static bool same_address(const struct settings_address *a, const struct settings_address *b)
{
    return a->family == b->family && a->prefix == b->prefix && memcmp(a->bytes, b->bytes, 16) == 0;
}

static bool address_wanted(const struct net_plan *p, const struct net_address *a)
{
    for (uint32_t i = 0; i < p->want_count; i++) {
        const struct net_want *w = &p->wants[i];
        for (uint32_t k = 0; w->link->index == a->index && w->as && k < w->as->address_count; k++)
            if (same_address(&w->as->addresses[k], &a->a))
                return true;
    }
    return false;
}

/* What is there already is not set again: each setting is an event, and events lead here. */
static bool is_set(const struct net_view *v, int index, const struct settings_address *a)
{
    for (uint32_t i = 0; i < v->address_count; i++)
        if (v->addresses[i].ours && v->addresses[i].index == index && same_address(&v->addresses[i].a, a))
            return true;
    return false;
}

static bool is_routed(const struct net_view *v, int index, const struct settings_address *gateway)
{
    for (uint32_t i = 0; i < v->route_count; i++)
        if (v->routes[i].ours && v->routes[i].index == index && v->routes[i].to.prefix == 0 &&
            v->routes[i].metric == NET_GATEWAY_METRIC && same_address(&v->routes[i].gateway, gateway))
            return true;
    return false;
}

static struct err *address_error(int err_no, const char *link, const char *what,
                                 const struct settings_address *a)
{
    char text[SETTINGS_ADDRESS_BYTES];
    errno = err_no;
    return err_errno(ERR_IO, "%s: cannot %s the address %s", link, what,
                     settings_address_text(a, true, text));
}

/* Whether dhcpcd may set something of this family there. */
static bool dhcp_wanted(const struct net_plan *p, int index, uint8_t family)
{
    for (uint32_t i = 0; i < p->want_count; i++)
        if (p->wants[i].link->index == index)
            return family == AF_INET ? p->wants[i].dhcp4 : p->wants[i].dhcp6;
    return false;
}

static struct err *apply_addresses(struct netlink *n, const struct net_view *v, const struct net_plan *p)
{
    struct err *errs = NULL;
    for (uint32_t i = 0; i < v->address_count; i++) {
        const struct net_address *a = &v->addresses[i];
        const struct net_link *l = net_view_link(v, a->index);
        bool over = a->ours ? !address_wanted(p, a) : a->dhcp && !dhcp_wanted(p, a->index, a->a.family);
        if (!over || !l)
            continue;
        int err_no = change_address(n, RTM_DELADDR, 0, a->index, &a->a);
        if (err_no && err_no != EADDRNOTAVAIL)
            err_append(&errs, address_error(err_no, l->name, "remove", &a->a));
    }
    for (uint32_t i = 0; i < p->want_count; i++) {
        const struct net_want *w = &p->wants[i];
        for (uint32_t k = 0; w->as && k < w->as->address_count; k++) {
            if (is_set(v, w->link->index, &w->as->addresses[k]))
                continue;
            int err_no = change_address(n, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, w->link->index,
                                        &w->as->addresses[k]);
            if (err_no)
                err_append(&errs, address_error(err_no, w->link->name, "set", &w->as->addresses[k]));
        }
    }
    return errs;
}

/* ---- routes ---- */

static int change_route(struct netlink *n, uint16_t type, uint16_t flags, const struct net_route *r)
{
    size_t len = r->to.family == AF_INET ? 4 : 16;
    struct rtmsg m = {.rtm_family = r->to.family,
                      .rtm_dst_len = r->to.prefix,
                      .rtm_table = RT_TABLE_MAIN,
                      .rtm_protocol = r->protocol,
                      .rtm_scope = type == RTM_DELROUTE ? RT_SCOPE_NOWHERE : RT_SCOPE_UNIVERSE,
                      .rtm_type = RTN_UNICAST};
    netlink_begin(n, type, flags, &m, sizeof m);
    if (r->to.prefix)
        netlink_put(n, RTA_DST, r->to.bytes, len);
    if (r->gateway.family)
        netlink_put(n, RTA_GATEWAY, r->gateway.bytes, len);
    netlink_put_u32(n, RTA_OIF, (uint32_t)r->index);
    netlink_put_u32(n, RTA_PRIORITY, r->metric);
    return netlink_do(n);
}

static struct err *add_gateway(struct netlink *n, const struct net_link *l,
                               const struct settings_address *gateway)
{
    struct net_route r = {.index = l->index,
                          .to = {.family = gateway->family},
                          .gateway = *gateway,
                          .protocol = NET_PROTOCOL,
                          .metric = NET_GATEWAY_METRIC};
    return result(change_route(n, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, &r), l->name,
                  gateway->family == AF_INET ? "set the IPv4 gateway" : "set the IPv6 gateway");
}

static bool route_wanted(const struct net_plan *p, const struct net_route *r)
{
    for (uint32_t i = 0; i < p->want_count && r->to.prefix == 0; i++) {
        const struct net_want *w = &p->wants[i];
        if (w->link->index == r->index && w->as && r->metric == NET_GATEWAY_METRIC &&
            (same_address(&w->as->gateway4, &r->gateway) || same_address(&w->as->gateway6, &r->gateway)))
            return true;
    }
    return false;
}

static struct err *apply_routes(struct netlink *n, const struct net_view *v, const struct net_plan *p)
{
    struct err *errs = NULL;
    for (uint32_t i = 0; i < v->route_count; i++) {
        const struct net_route *r = &v->routes[i];
        if (r->ours ? route_wanted(p, r) : !r->dhcp || dhcp_wanted(p, r->index, r->to.family))
            continue;
        int err_no = change_route(n, RTM_DELROUTE, 0, r);
        if (err_no && err_no != ESRCH) /* some go with their addresses */
            err_append(&errs, result(err_no, "network", "remove a route"));
    }
    for (uint32_t i = 0; i < p->want_count; i++) {
        const struct net_want *w = &p->wants[i];
        const struct settings_address *gateways[] = {w->as ? &w->as->gateway4 : NULL,
                                                     w->as ? &w->as->gateway6 : NULL};
        for (int k = 0; k < 2; k++)
            if (gateways[k] && gateways[k]->family && !is_routed(v, w->link->index, gateways[k]))
                err_append(&errs, add_gateway(n, w->link, gateways[k]));
    }
    return errs;
}

struct err *net_apply(struct netlink *n, const struct settings *s, const char *sysctl, struct net_view *v,
                      struct net_plan *plan)
{
    struct err *errs = NULL;
    TRY(net_view_read(n, v));
    net_plan_make(s, v, plan);
    err_append(&errs, apply_vlans(n, s, v, plan));
    for (uint32_t i = 0; i < plan->want_count; i++)
        err_append(&errs, apply_link(n, &plan->wants[i], sysctl));
    err_append(&errs, apply_unused(n, v, plan));
    err_append(&errs, apply_addresses(n, v, plan));
    err_append(&errs, apply_routes(n, v, plan));
    err_append(&errs, net_view_read(n, v));
    net_plan_make(s, v, plan);
    return errs;
}
