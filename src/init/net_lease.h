/* What DHCP servers and routers told the box beside addresses: name servers, domains, time servers, a hostname.
 *
 * dhcpcd runs `/init` as its hook with everything in the environment; the hook keeps what is well-formed in
 * RUN/lease-LINK-PROTOCOL.json, and the network process reads these files. All of it comes from whoever answers on the wire: only
 * addresses and names that are valid are kept, and few of them. */
#ifndef PENSTOCK_INIT_NET_LEASE_H
#define PENSTOCK_INIT_NET_LEASE_H

#include "base/buf.h"
#include "box/settings.h"

#define NET_LEASE_RESOLVERS_MAX 4 /* of one lease, further ones are left out; likewise the others */
#define NET_LEASE_DOMAINS_MAX   4
#define NET_LEASE_SERVERS_MAX   4
#define NET_LEASES_MAX          64    /* three protocols on each of some links */
#define NET_LEASE_BYTES_MAX     16384 /* of a file */
#define NET_RESOLVER_BYTES      (SETTINGS_ADDRESS_BYTES + SETTINGS_NAME_BYTES + 1) /* fe80::1%eth0 */

struct net_lease {
    char link[SETTINGS_NAME_BYTES], protocol[8]; /* dhcp, dhcp6 or ra */
    uint32_t resolver_count, domain_count, server_count;
    char resolvers[NET_LEASE_RESOLVERS_MAX][NET_RESOLVER_BYTES];
    char domains[NET_LEASE_DOMAINS_MAX][SETTINGS_HOST_BYTES];
    char servers[NET_LEASE_SERVERS_MAX][SETTINGS_HOST_BYTES]; /* of time */
    char hostname[65];                                        /* "": none */
};
enum net_lease_change {
    NET_LEASE_NONE, /* the event says nothing about it */
    NET_LEASE_SET,
    NET_LEASE_ENDED,     /* of this protocol */
    NET_LEASE_LINK_ENDED /* of all on the link */
};
/* dhcpcd's environment (dhcpcd-run-hooks(8)), ended by NULL. link and protocol are set unless NET_LEASE_NONE. */
enum net_lease_change net_lease_read(char *const *env, struct net_lease *out);
/* Does what the environment says to the files of run_dir. */
NODISCARD struct err *net_lease_hook(char *const *env, const char *run_dir);

NODISCARD struct err *net_lease_save(const struct net_lease *l, const char *run_dir);
/* False: not a lease. */
bool net_lease_parse(const char *json, size_t len, struct net_lease *out);
/* All that are in run_dir, in the order of their names. Files that are no leases are left out. */
uint32_t net_leases_load(const char *run_dir, struct net_lease *out, uint32_t most);
void net_leases_remove(const char *run_dir, const char *link); /* link NULL: all */

/* resolv.conf: the settings' name servers, then those of the leases, without doubles, as many as the C library asks. */
void net_resolv_conf(const struct settings *s, const struct net_lease *leases, uint32_t count,
                     struct buf *out);

/* Replaces a file at once; mode 0644. sync: it shall be there after a power cut. */
NODISCARD struct err *net_file_replace(const char *path, const void *text, size_t len, bool sync);

#endif
