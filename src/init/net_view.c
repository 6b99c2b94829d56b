/* What the kernel has: links, addresses and routes; and which link the settings mean. See net_link.h. */
#include "init/net_link.h"

#include <arpa/inet.h>
#include <linux/if_addr.h>
#include <linux/if_arp.h>
#include <linux/if_link.h>
#include <linux/if.h>

static void read_kind(const struct rtattr *info, struct net_link *l)
{
    const struct rtattr *t[IFLA_INFO_DATA + 1], *vlan[IFLA_VLAN_ID + 1];
    if (!info)
        return;
    netlink_attributes(RTA_DATA(info), RTA_PAYLOAD(info), t, IFLA_INFO_DATA);
    netlink_text(t[IFLA_INFO_KIND], l->kind, sizeof l->kind);
    if (strcmp(l->kind, "vlan") != 0 || !t[IFLA_INFO_DATA])
        return;
    netlink_attributes(RTA_DATA(t[IFLA_INFO_DATA]), RTA_PAYLOAD(t[IFLA_INFO_DATA]), vlan, IFLA_VLAN_ID);
    if (vlan[IFLA_VLAN_ID] && RTA_PAYLOAD(vlan[IFLA_VLAN_ID]) >= sizeof l->vlan)
        memcpy(&l->vlan, RTA_DATA(vlan[IFLA_VLAN_ID]), sizeof l->vlan);
}

static void take_link(void *context, const struct nlmsghdr *h)
{
    struct net_view *v = context;
    const struct ifinfomsg *m = NLMSG_DATA(h);
    const struct rtattr *t[IFLA_PERM_ADDRESS + 1];
    if (h->nlmsg_type != RTM_NEWLINK || h->nlmsg_len < NLMSG_LENGTH(sizeof *m) ||
        v->link_count == NET_LINKS_MAX)
        return;
    netlink_message_attributes(h, sizeof *m, t, IFLA_PERM_ADDRESS);
    struct net_link *l = &v->links[v->link_count++];
    *l = (struct net_link){.index = m->ifi_index,
                           .ethernet = m->ifi_type == ARPHRD_ETHER,
                           .loopback = (m->ifi_flags & IFF_LOOPBACK) != 0,
                           .up = (m->ifi_flags & IFF_UP) != 0,
                           .carrier = (m->ifi_flags & IFF_RUNNING) != 0,
                           .mtu = netlink_u32(t[IFLA_MTU]),
                           .parent = (int)netlink_u32(t[IFLA_LINK])};
    netlink_text(t[IFLA_IFNAME], l->name, sizeof l->name);
    l->ours = netlink_u32(t[IFLA_GROUP]) == NET_GROUP;
    const struct rtattr *mac = t[IFLA_PERM_ADDRESS] ? t[IFLA_PERM_ADDRESS] : t[IFLA_ADDRESS];
    if (mac && RTA_PAYLOAD(mac) == sizeof l->mac)
        memcpy(l->mac, RTA_DATA(mac), sizeof l->mac);
    read_kind(t[IFLA_LINKINFO], l);
}

static bool take_bytes(const struct rtattr *a, uint8_t family, uint8_t prefix, struct settings_address *out)
{
    size_t len = family == AF_INET ? 4 : 16;
    *out = (struct settings_address){.family = family, .prefix = prefix};
    if (!a || RTA_PAYLOAD(a) < len)
        return false;
    memcpy(out->bytes, RTA_DATA(a), len);
    return true;
}

static void take_address(void *context, const struct nlmsghdr *h)
{
    struct net_view *v = context;
    const struct ifaddrmsg *m = NLMSG_DATA(h);
    const struct rtattr *t[IFA_PROTO + 1];
    if (h->nlmsg_type != RTM_NEWADDR || h->nlmsg_len < NLMSG_LENGTH(sizeof *m) ||
        v->address_count == NET_ADDRESSES_MAX || (m->ifa_family != AF_INET && m->ifa_family != AF_INET6))
        return;
    netlink_message_attributes(h, sizeof *m, t, IFA_PROTO);
    struct net_address *a = &v->addresses[v->address_count];
    if (!take_bytes(t[IFA_LOCAL] ? t[IFA_LOCAL] : t[IFA_ADDRESS], m->ifa_family, m->ifa_prefixlen, &a->a))
        return;
    uint32_t flags = t[IFA_FLAGS] ? netlink_u32(t[IFA_FLAGS]) : m->ifa_flags;
    a->index = (int)m->ifa_index;
    a->global = m->ifa_scope == RT_SCOPE_UNIVERSE && !(flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED));
    a->ours =
        t[IFA_PROTO] && RTA_PAYLOAD(t[IFA_PROTO]) == 1 && *(uint8_t *)RTA_DATA(t[IFA_PROTO]) == NET_PROTOCOL;
    a->dhcp = !a->ours && m->ifa_scope == RT_SCOPE_UNIVERSE && (flags & IFA_F_NOPREFIXROUTE);
    v->address_count++;
}

static void take_route(void *context, const struct nlmsghdr *h)
{
    struct net_view *v = context;
    const struct rtmsg *m = NLMSG_DATA(h);
    const struct rtattr *t[RTA_TABLE + 1];
    if (h->nlmsg_type != RTM_NEWROUTE || h->nlmsg_len < NLMSG_LENGTH(sizeof *m) ||
        v->route_count == NET_ROUTES_MAX || (m->rtm_family != AF_INET && m->rtm_family != AF_INET6) ||
        m->rtm_type != RTN_UNICAST)
        return;
    netlink_message_attributes(h, sizeof *m, t, RTA_TABLE);
    bool dhcp = m->rtm_protocol == RTPROT_DHCP || m->rtm_protocol == RTPROT_RA;
    if ((!t[RTA_GATEWAY] && !dhcp) || (t[RTA_TABLE] && netlink_u32(t[RTA_TABLE]) != RT_TABLE_MAIN))
        return;
    struct net_route *r = &v->routes[v->route_count];
    uint8_t longest = m->rtm_family == AF_INET ? 32 : 128;
    if (!take_bytes(t[RTA_GATEWAY], m->rtm_family, longest, &r->gateway))
        r->gateway.family = 0;
    if (!take_bytes(t[RTA_DST], m->rtm_family, m->rtm_dst_len, &r->to) && m->rtm_dst_len != 0)
        return;
    r->index = (int)netlink_u32(t[RTA_OIF]);
    r->protocol = m->rtm_protocol;
    r->ours = m->rtm_protocol == NET_PROTOCOL;
    r->dhcp = dhcp;
    r->metric = netlink_u32(t[RTA_PRIORITY]);
    v->route_count++;
}

struct err *net_view_read(struct netlink *n, struct net_view *v)
{
    v->link_count = v->address_count = v->route_count = 0;
    struct ifinfomsg link = {0};
    netlink_begin(n, RTM_GETLINK, 0, &link, sizeof link);
    TRY(netlink_dump(n, take_link, v));
    struct ifaddrmsg address = {0};
    netlink_begin(n, RTM_GETADDR, 0, &address, sizeof address);
    TRY(netlink_dump(n, take_address, v));
    struct rtmsg route = {0};
    netlink_begin(n, RTM_GETROUTE, 0, &route, sizeof route);
    return netlink_dump(n, take_route, v);
}

const struct net_link *net_view_link(const struct net_view *v, int index)
{
    for (uint32_t i = 0; i < v->link_count; i++)
        if (v->links[i].index == index)
            return &v->links[i];
    return NULL;
}

/* ---- the plan ---- */

/* A device, or the container's end of a pair: what is not a VLAN, bridge or tunnel that somebody made. */
static bool is_port(const struct net_link *l)
{
    return l->ethernet && !l->loopback && (!l->kind[0] || strcmp(l->kind, "veth") == 0);
}

static const struct net_link *link_by_mac(const struct net_view *v, const uint8_t *mac)
{
    for (uint32_t i = 0; i < v->link_count; i++)
        if (is_port(&v->links[i]) && memcmp(v->links[i].mac, mac, 6) == 0)
            return &v->links[i];
    return NULL;
}

static const struct net_link *link_by_name(const struct net_view *v, const char *name)
{
    for (uint32_t i = 0; i < v->link_count; i++)
        if (!v->links[i].loopback && strcmp(v->links[i].name, name) == 0)
            return &v->links[i];
    return NULL;
}

static struct net_want *want_of(struct net_plan *p, const struct net_link *l)
{
    for (uint32_t i = 0; i < p->want_count; i++)
        if (p->wants[i].link == l)
            return &p->wants[i];
    return NULL;
}

const struct net_want *net_plan_want(const struct net_plan *p, const char *link)
{
    for (uint32_t i = 0; i < p->want_count; i++)
        if (strcmp(p->wants[i].link->name, link) == 0)
            return &p->wants[i];
    return NULL;
}

static void want(struct net_plan *p, const struct net_link *l, const struct settings_interface *as)
{
    if (p->want_count < NET_LINKS_MAX)
        p->wants[p->want_count++] =
            (struct net_want){.link = l, .as = as, .dhcp4 = !as || as->dhcp4, .dhcp6 = !as || as->dhcp6};
}

/* A VLAN's device: by number and parent, not by name, as the parent may have been found by its MAC. */
static const struct net_link *vlan_link(const struct net_view *v, const struct net_link *parent, int64_t id)
{
    for (uint32_t i = 0; parent && i < v->link_count; i++)
        if (strcmp(v->links[i].kind, "vlan") == 0 && v->links[i].parent == parent->index &&
            v->links[i].vlan == id)
            return &v->links[i];
    return NULL;
}

static void plan_interface(const struct settings_interface *i, const struct net_view *v, struct net_plan *p)
{
    const struct net_link *l = i->has_mac ? link_by_mac(v, i->mac) : link_by_name(v, i->name);
    if (l && !want_of(p, l))
        want(p, l, i);
    else
        p->missing[p->missing_count++] = i;
}

static const struct net_link *parent_link(const struct settings *s, const struct settings_interface *i,
                                          const struct net_view *v)
{
    for (uint32_t k = 0; k < s->interface_count; k++)
        if (strcmp(s->interfaces[k].name, i->parent) == 0 && s->interfaces[k].has_mac)
            return link_by_mac(v, s->interfaces[k].mac);
    return link_by_name(v, i->parent);
}

static void plan_vlan(const struct settings *s, const struct settings_interface *i, const struct net_view *v,
                      struct net_plan *p)
{
    const struct net_link *parent = parent_link(s, i, v), *l = vlan_link(v, parent, i->vlan);
    if (parent && !want_of(p, parent)) {
        want(p, parent, NULL);
        p->wants[p->want_count - 1].dhcp4 = p->wants[p->want_count - 1].dhcp6 = false;
    }
    if (l)
        want(p, l, i);
    else
        p->missing[p->missing_count++] = i;
}

void net_plan_make(const struct settings *s, const struct net_view *v, struct net_plan *out)
{
    out->want_count = out->missing_count = 0;
    for (uint32_t i = 0; s->every_interface && i < v->link_count; i++)
        if (is_port(&v->links[i]))
            want(out, &v->links[i], NULL);
    /* Who is known by its MAC is not also somebody's name; parents stand before their VLANs. */
    for (int pass = 0; pass < 3; pass++)
        for (uint32_t i = 0; i < s->interface_count; i++) {
            const struct settings_interface *one = &s->interfaces[i];
            if (pass == (one->vlan ? 2 : one->has_mac ? 0 : 1)) {
                if (one->vlan)
                    plan_vlan(s, one, v, out);
                else
                    plan_interface(one, v, out);
            }
        }
}
