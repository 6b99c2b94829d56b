/* See net_dhcp.h, and dhcpcd.conf(5). */
#include "init/net_dhcp.h"

bool net_dhcp_conf(const struct settings *s, const struct net_plan *p, const char *hook, struct buf *out)
{
    bool any = false;
    for (uint32_t i = 0; i < p->want_count; i++)
        any |= p->wants[i].dhcp4 || p->wants[i].dhcp6;
    if (!any)
        return false;
    buf_printf(out,
               "# Written by the network process from box.yaml.\n"
               "script %s\n"
               "duid ll\n"  /* the same after every start, as nothing of it is kept */
               "clientid\n" /* DHCPv4 servers know the box by its MAC */
               "slaac hwaddr\n"
               "noipv4ll\n"
               "noarp\n"     /* probing what the server gave takes 5 s of every start */
               "timeout 0\n" /* ask for ever */
               "option domain_name_servers, domain_name, domain_search, host_name, ntp_servers\n"
               "option classless_static_routes\n"
               "option dhcp6_name_servers, dhcp6_domain_search, dhcp6_sntp_servers, dhcp6_ntp_server\n",
               hook);
    if (s->hostname[0])
        buf_printf(out, "hostname %s\n", s->hostname);
    buf_put_str(out, "allowinterfaces");
    for (uint32_t i = 0; i < p->want_count; i++)
        if (p->wants[i].dhcp4 || p->wants[i].dhcp6)
            buf_printf(out, " %s", p->wants[i].link->name);
    buf_put_str(out, "\n");
    for (uint32_t i = 0; i < p->want_count; i++) {
        const struct net_want *w = &p->wants[i];
        if (w->dhcp4 != w->dhcp6)
            buf_printf(out, "interface %s\n%s\n", w->link->name, w->dhcp4 ? "noipv6" : "noipv4");
    }
    return true;
}
