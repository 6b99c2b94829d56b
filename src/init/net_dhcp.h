/* dhcpcd: its configuration, written from the plan. It does DHCPv4, router advertisements and DHCPv6 with its parsers shut in as an
 * unprivileged user, and calls our hook. */
#ifndef PENSTOCK_INIT_NET_DHCP_H
#define PENSTOCK_INIT_NET_DHCP_H

#include "init/net_link.h"

/* Appends the file's text. False: no link wants it, dhcpcd need not run. hook: program, called with the lease in its environment. */
bool net_dhcp_conf(const struct settings *s, const struct net_plan *p, const char *hook, struct buf *out);

#endif
