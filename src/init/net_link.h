/* The box's links, addresses and routes: what there is, what the settings want, and the way from the one to the other.
 *
 * What was set here is marked (addresses and routes by their protocol number, VLANs by their group), so that exactly that is taken
 * away when the settings no longer say it, also by a process that was started anew. What dhcpcd set (known by its flag and protocol
 * numbers) is dhcpcd's as long as the link wants it, and is swept away when it does not: a dhcpcd that was killed leaves it. */
#ifndef PENSTOCK_INIT_NET_LINK_H
#define PENSTOCK_INIT_NET_LINK_H

#include "box/settings.h"
#include "init/netlink.h"

#define NET_LINKS_MAX      128 /* further ones are not looked at */
#define NET_ADDRESSES_MAX  512
#define NET_ROUTES_MAX     256
#define NET_PROTOCOL       80  /* of addresses and routes that are ours: rtnetlink(7) leaves it to users */
#define NET_GROUP          80  /* of VLANs that are ours */
#define NET_GATEWAY_METRIC 100 /* of a fixed gateway: before those of DHCP, whose metrics are above 1000 */

struct net_link {
    int index;
    char name[SETTINGS_NAME_BYTES],
        kind[SETTINGS_NAME_BYTES]; /* kind: "" of a device, else "vlan", "veth", ... */
    bool ethernet, loopback, up, carrier, ours;
    uint8_t mac[6]; /* the permanent one where the kernel tells it */
    uint32_t mtu;
    int parent; /* of a VLAN: index; 0: none */
    uint16_t vlan;
};
struct net_address {
    int index; /* of the link */
    struct settings_address a;
    bool ours, dhcp; /* dhcp: set by dhcpcd */
    bool global;     /* global: can be reached from elsewhere, and is no longer tentative */
};
struct net_route { /* of the main table, with a gateway or dhcpcd's */
    int index;
    struct settings_address to, gateway; /* gateway.family 0: none */
    uint8_t protocol;
    bool ours, dhcp;
    uint32_t metric;
};
struct net_view {
    uint32_t link_count, address_count, route_count;
    struct net_link links[NET_LINKS_MAX];
    struct net_address addresses[NET_ADDRESSES_MAX];
    struct net_route routes[NET_ROUTES_MAX];
};
NODISCARD struct err *net_view_read(struct netlink *n, struct net_view *v);
const struct net_link *net_view_link(const struct net_view *v, int index); /* NULL: there is none */

/* What is wanted of one link that is there. */
struct net_want {
    const struct net_link *link; /* borrowed from the view */
    const struct settings_interface
        *as; /* borrowed from the settings; NULL: named by none (every_interface, or a VLAN's parent) */
    bool dhcp4, dhcp6;
};
struct net_plan {
    uint32_t want_count, missing_count;
    struct net_want wants[NET_LINKS_MAX];
    const struct settings_interface *missing[SETTINGS_INTERFACES_MAX]; /* no such link */
};
/* Which link each interface of the settings is: the one with its MAC, else with its name. */
void net_plan_make(const struct settings *s, const struct net_view *v, struct net_plan *out);
const struct net_want *net_plan_want(const struct net_plan *p,
                                     const char *link); /* NULL: the link is not used */

/* Makes it so: VLANs, MTU, up and down, fixed addresses, gateways; router advertisements are taken by dhcpcd or nobody. Goes on after an
 * error, and returns all of them. v and plan are read anew, and hold afterwards what there is then. sysctl: "/proc/sys". */
NODISCARD struct err *net_apply(struct netlink *n, const struct settings *s, const char *sysctl,
                                struct net_view *v, struct net_plan *plan);

#endif
