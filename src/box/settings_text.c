/* Names and addresses of box.yaml; see settings.h. */
#include "box/settings.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static bool name_valid(const char *name, size_t most)
{
    size_t len = strlen(name), label = 0;
    bool numeric = true;
    if (len == 0 || len > most)
        return false;
    for (size_t i = 0; i <= len; i++) {
        char c = name[i];
        if (c == '.' || c == 0) {
            if (label == 0 || label > 63 || name[i - 1] == '-' || name[i - label] == '-')
                return false;
            label = 0;
            continue;
        }
        if (!isalnum((unsigned char)c) && c != '-')
            return false;
        numeric &= isdigit((unsigned char)c) != 0;
        label++;
    }
    return !numeric; /* 10.1 is an address to half of the programs there are */
}

bool settings_hostname_valid(const char *name)
{
    return name_valid(name, 64);
}

bool settings_server_valid(const char *name)
{
    struct settings_address a;
    return settings_address_parse(name, false, &a) || name_valid(name, SETTINGS_HOST_BYTES - 1);
}

bool settings_interface_name_valid(const char *name)
{
    size_t len = strlen(name);
    if (len == 0 || len >= SETTINGS_NAME_BYTES || strcmp(name, "lo") == 0 || !isalnum((unsigned char)name[0]))
        return false;
    for (size_t i = 0; i < len; i++)
        if (!isalnum((unsigned char)name[i]) && !strchr("._-", name[i]))
            return false;
    return strcmp(name, "all") != 0 && strcmp(name, "default") != 0; /* directories of /proc/sys/net */
}

bool settings_address_parse(const char *text, bool with_prefix, struct settings_address *out)
{
    char host[INET6_ADDRSTRLEN + 1];
    const char *slash = strchr(text, '/');
    size_t len = slash ? (size_t)(slash - text) : strlen(text);
    *out = (struct settings_address){0};
    if ((slash != NULL) != with_prefix || len >= sizeof host)
        return false;
    memcpy(host, text, len);
    host[len] = 0;
    uint8_t family = strchr(host, ':') ? AF_INET6 : AF_INET;
    long longest = family == AF_INET ? 32 : 128, prefix = longest;
    if (inet_pton(family, host, out->bytes) != 1)
        return false;
    if (slash) {
        char *end;
        if (!isdigit((unsigned char)slash[1]) || (slash[1] == '0' && slash[2]))
            return false;
        prefix = strtol(slash + 1, &end, 10);
        if (*end || prefix > longest)
            return false;
    }
    out->family = family;
    out->prefix = (uint8_t)prefix;
    return true;
}

const char *settings_address_text(const struct settings_address *a, bool with_prefix,
                                  char out[SETTINGS_ADDRESS_BYTES])
{
    char host[INET6_ADDRSTRLEN] = "-";
    if (a->family)
        inet_ntop(a->family, a->bytes, host, sizeof host);
    if (with_prefix && a->family)
        snprintf(out, SETTINGS_ADDRESS_BYTES, "%s/%u", host, a->prefix);
    else
        snprintf(out, SETTINGS_ADDRESS_BYTES, "%s", host);
    return out;
}

bool settings_address_within(const struct settings_address *net, const struct settings_address *a)
{
    if (net->family != a->family)
        return false;
    uint32_t whole = net->prefix / 8, rest = net->prefix % 8;
    if (memcmp(net->bytes, a->bytes, whole) != 0)
        return false;
    return !rest || ((net->bytes[whole] ^ a->bytes[whole]) >> (8 - rest)) == 0;
}
