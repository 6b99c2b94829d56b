/* box.yaml from settings; see settings.h. All texts in it are names and addresses that were found valid: quoted, they need no escapes. */
#include "box/settings.h"

#include <sys/socket.h>

static void put_address(struct buf *b, const char *before, const struct settings_address *a, bool with_prefix)
{
    char text[SETTINGS_ADDRESS_BYTES];
    buf_printf(b, "%s\"%s\"", before, settings_address_text(a, with_prefix, text));
}

static void put_interface(struct buf *b, const struct settings_interface *i)
{
    buf_printf(b, "    \"%s\":\n      dhcp4: %s\n      dhcp6: %s\n", i->name, i->dhcp4 ? "true" : "false",
               i->dhcp6 ? "true" : "false");
    if (i->has_mac)
        buf_printf(b, "      mac: \"%02x:%02x:%02x:%02x:%02x:%02x\"\n", i->mac[0], i->mac[1], i->mac[2],
                   i->mac[3], i->mac[4], i->mac[5]);
    if (i->vlan)
        buf_printf(b, "      parent: \"%s\"\n      vlan: %lld\n", i->parent, (long long)i->vlan);
    if (i->mtu)
        buf_printf(b, "      mtu: %lld\n", (long long)i->mtu);
    for (uint32_t k = 0; k < i->address_count; k++)
        put_address(b, k ? ", " : "      addresses: [", &i->addresses[k], true);
    buf_put_str(b, i->address_count ? "]\n" : "");
    if (i->gateway4.family)
        put_address(b, "      gateway4: ", &i->gateway4, false);
    buf_put_str(b, i->gateway4.family ? "\n" : "");
    if (i->gateway6.family)
        put_address(b, "      gateway6: ", &i->gateway6, false);
    buf_put_str(b, i->gateway6.family ? "\n" : "");
}

static void put_network(struct buf *b, const struct settings *s)
{
    if (!s->resolver_count && s->every_interface)
        return;
    buf_put_str(b, "network:\n");
    for (uint32_t i = 0; i < s->resolver_count; i++)
        put_address(b, i ? ", " : "  dns: [", &s->resolvers[i], false);
    buf_put_str(b, s->resolver_count ? "]\n" : "");
    if (!s->every_interface)
        buf_put_str(b, "  interfaces:\n");
    for (uint32_t i = 0; i < s->interface_count; i++)
        put_interface(b, &s->interfaces[i]);
}

void settings_write(const struct settings *s, struct buf *out)
{
    static const char *const signs[] = {"auto", "required", "optional"};
    static const char *const truth[] = {"false", "true"};
    buf_put_str(out, "box: 1\n");
    if (s->hostname[0])
        buf_printf(out, "hostname: \"%s\"\n", s->hostname);
    put_network(out, s);
    if (s->servers_given) {
        buf_put_str(out, "time: { servers: [");
        for (uint32_t i = 0; i < s->server_count; i++)
            buf_printf(out, "%s\"%s\"", i ? ", " : "", s->servers[i]);
        buf_put_str(out, "] }\n");
    }
    buf_printf(out, "ssh: { root_shell: %s }\n", truth[s->root_shell]);
    buf_printf(out, "console: { enabled: %s }\n", truth[s->console]);
    buf_printf(out, "configuration: { signed: %s }\n", signs[s->configuration_signed]);
    buf_printf(out, "upgrade: { trial: %lldus }\n", (long long)s->trial_us);
    buf_printf(out, "hugepages: { share: %lld }\n", (long long)s->hugepages_share);
    buf_printf(out, "cores: { isolate: %s }\n", truth[s->isolate_cores]);
}
