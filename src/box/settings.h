/* Settings of the box itself, as against penstock.yaml, which is the pipeline's: box.yaml (BOX_SETTINGS). Read by PID 1 and the
 * commands; nothing here writes or changes the machine. One plain value without pointers: copied by assignment.
 *
 * Everything wrong in a file is reported at once, with line and column. A box without the file, and one whose file is wrong, runs on
 * the defaults: DHCP and router advertisements on every Ethernet interface, so that it can be reached and mended. */
#ifndef PENSTOCK_BOX_SETTINGS_H
#define PENSTOCK_BOX_SETTINGS_H

#include "base/buf.h"
#include "base/err.h"

#define SETTINGS_BYTES_MAX      65536u /* of the file */
#define SETTINGS_INTERFACES_MAX 32
#define SETTINGS_ADDRESSES_MAX  16 /* of an interface */
#define SETTINGS_RESOLVERS_MAX  3  /* what the C library asks */
#define SETTINGS_SERVERS_MAX    8  /* of time */
#define SETTINGS_NAME_BYTES     16 /* of an interface, with its 0: the kernel's IFNAMSIZ */
#define SETTINGS_HOST_BYTES     254
#define SETTINGS_MTU_MIN        1280 /* IPv6's */
#define SETTINGS_MTU_MAX        9216

struct settings_address {
    uint8_t family;    /* AF_INET, AF_INET6; 0: none */
    uint8_t prefix;    /* length; of a single address 32 or 128 */
    uint8_t bytes[16]; /* network order; 4 of them with AF_INET */
};
struct settings_interface {
    char name
        [SETTINGS_NAME_BYTES]; /* the kernel's; with has_mac a label for the interface that has this address */
    char parent[SETTINGS_NAME_BYTES]; /* of a VLAN: the name of another interface; else "" */
    int64_t vlan;                     /* 1 to 4094; 0: none */
    bool has_mac;
    uint8_t mac[6];
    int64_t mtu; /* 0: as it is */
    bool dhcp4;
    bool dhcp6; /* router advertisements, and DHCPv6 where they say so */
    uint32_t address_count;
    struct settings_address addresses[SETTINGS_ADDRESSES_MAX];
    struct settings_address gateway4, gateway6;
};
enum settings_signed { SETTINGS_SIGNED_AUTO, SETTINGS_SIGNED_REQUIRED, SETTINGS_SIGNED_OPTIONAL };
struct settings {
    char hostname[65]; /* "": what DHCP says, else "penstock" */
    uint32_t resolver_count;
    struct settings_address resolvers[SETTINGS_RESOLVERS_MAX]; /* asked before those of DHCP */
    bool every_interface; /* no interface is named: DHCP on all of Ethernet */
    uint32_t interface_count;
    struct settings_interface interfaces[SETTINGS_INTERFACES_MAX];
    bool servers_given; /* and server_count 0: time is not asked for */
    uint32_t server_count;
    char servers[SETTINGS_SERVERS_MAX][SETTINGS_HOST_BYTES]; /* names or addresses */
    bool root_shell;
    bool console;
    int64_t configuration_signed; /* enum settings_signed */
    int64_t trial_us;
    int64_t hugepages_share; /* per cent of each node's memory */
    bool isolate_cores;
};

void settings_defaults(struct settings *out);
/* `file` is for the messages. On error *out holds the defaults. Variables (${...}) are not put in: this file is root's, and may
 * come from a stick. */
NODISCARD struct err *settings_parse(const char *file, const char *text, size_t len, struct settings *out);
/* A file that is not there is no error: the defaults. */
NODISCARD struct err *settings_load(const char *file, struct settings *out);

/* box.yaml that says so, without what is a default anyway: settings_parse of it gives s again. Comments of a former file are gone. */
void settings_write(const struct settings *s, struct buf *out);

/* Letters, digits and inner hyphens in labels of at most 63, 64 bytes together, and no number with dots. RFC 1123. */
bool settings_hostname_valid(const char *name);
/* A name as above, but up to 253 bytes, or an IPv4 or IPv6 address. */
bool settings_server_valid(const char *name);
bool settings_interface_name_valid(const char *name);
/* "192.0.2.1", with_prefix: "192.0.2.1/24". False when malformed. */
bool settings_address_parse(const char *text, bool with_prefix, struct settings_address *out);
/* The reverse. At most 49 bytes with the 0; returned. */
#define SETTINGS_ADDRESS_BYTES 50
const char *settings_address_text(const struct settings_address *a, bool with_prefix,
                                  char out[SETTINGS_ADDRESS_BYTES]);
/* Whether `net`, with its prefix, holds a. */
bool settings_address_within(const struct settings_address *net, const struct settings_address *a);

/* The keys as a Markdown table, for docs/appliance.md. */
void settings_doc_write(FILE *to);

#endif
