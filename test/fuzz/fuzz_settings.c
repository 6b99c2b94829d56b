/* Any bytes as box.yaml: settings or errors, and never settings that are out of bounds. */
#include "box/settings.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

static void check_interface(const struct settings_interface *i)
{
    ASSERT(settings_interface_name_valid(i->name));
    ASSERT(i->vlan >= 0 && i->vlan <= 4094 && !i->vlan == !i->parent[0]);
    ASSERT(i->mtu == 0 || (i->mtu >= SETTINGS_MTU_MIN && i->mtu <= SETTINGS_MTU_MAX));
    ASSERT(i->address_count <= SETTINGS_ADDRESSES_MAX);
    for (uint32_t k = 0; k < i->address_count; k++) {
        char text[SETTINGS_ADDRESS_BYTES];
        struct settings_address again;
        ASSERT(settings_address_parse(settings_address_text(&i->addresses[k], true, text), true, &again));
        ASSERT(memcmp(&again, &i->addresses[k], sizeof again) == 0);
    }
}

static void check_written(const struct settings *s)
{
    static struct settings again;
    struct buf b = {0};
    settings_write(s, &b);
    struct err *e = settings_parse("again", (const char *)b.p, b.len, &again);
    if (e)
        PANIC("%s", e->message);
    ASSERT(memcmp(s, &again, sizeof again) == 0);
    buf_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct settings s;
    struct err *e = settings_parse("box.yaml", (const char *)data, size, &s);
    ASSERT(s.interface_count <= SETTINGS_INTERFACES_MAX && s.server_count <= SETTINGS_SERVERS_MAX);
    ASSERT(s.resolver_count <= SETTINGS_RESOLVERS_MAX && s.hugepages_share <= 80);
    ASSERT(!s.hostname[0] || settings_hostname_valid(s.hostname));
    for (uint32_t i = 0; i < s.interface_count; i++)
        check_interface(&s.interfaces[i]);
    if (e)
        free(err_text(e));
    else
        check_written(&s);
    err_free(e);
    return 0;
}
