/* Who is at the other end of a connection: filled in once, before its first request. */
#ifndef PENSTOCK_SERVE_PEER_H
#define PENSTOCK_SERVE_PEER_H

#include <netinet/in.h>
#include <stdint.h>

struct peer_certificate;
struct peer {
    char address[INET6_ADDRSTRLEN]; /* as text, no port; "" when it is not known */
    uint64_t hash; /* of the address; of IPv6 of its /64: limits are counted by it; 0 not known */
    struct peer_certificate *certificate; /* owned by the connection; NULL: none was shown */
};

#endif
