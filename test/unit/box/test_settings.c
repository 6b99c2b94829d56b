/* box.yaml: what is read, what is refused and where, and the defaults. */
#include "box/settings.h"

#include "../test.h"

#include <arpa/inet.h>
#include <unistd.h>

static struct settings s;

static char *errors_of(const char *text)
{
    struct err *e = settings_parse("box.yaml", text, strlen(text), &s);
    char *out = e ? err_text(e) : xstrdup("");
    err_free(e);
    return out;
}

static void refused(const char *text, const char *want)
{
    char *got = errors_of(text);
    CHECK(strstr(got, want) != NULL);
    if (!strstr(got, want))
        printf("# got: %s\n# want: %s\n", got, want);
    CHECK(s.every_interface && s.interface_count == 0); /* nothing of a wrong file is used */
    free(got);
}

static void taken(const char *text)
{
    char *got = errors_of(text);
    CHECK_STR(got, "");
    free(got);
}

#define ETH(text) "box: 1\nnetwork: { interfaces: {" text "} }\n"

static void test_whole_file(void)
{
    char text[SETTINGS_ADDRESS_BYTES];
    taken("box: 1\n"
          "hostname: edge-17\n"
          "network:\n"
          "  dns: [192.0.2.53]\n"
          "  interfaces:\n"
          "    eth0: { dhcp4: true, dhcp6: true, mtu: 1500 }\n"
          "    eth1: { mac: \"52:54:00:12:34:5f\", addresses: [192.0.2.10/24, 2001:db8::10/64],\n"
          "            gateway4: 192.0.2.1, gateway6: 2001:db8::1 }\n"
          "    eth1.40: { parent: eth1, vlan: 40, dhcp4: true }\n"
          "time: { servers: [pool.ntp.org, 192.0.2.123, 2001:db8::7b] }\n"
          "ssh: { root_shell: true }\n"
          "console: { enabled: false }\n"
          "configuration: { signed: required }\n"
          "upgrade: { trial: 5m }\n"
          "hugepages: { share: 25 }\n"
          "cores: { isolate: false }\n");
    CHECK_STR(s.hostname, "edge-17");
    CHECK(s.resolver_count == 1 && !s.every_interface && s.interface_count == 3);
    CHECK_STR(settings_address_text(&s.resolvers[0], false, text), "192.0.2.53");
    const struct settings_interface *a = &s.interfaces[0], *b = &s.interfaces[1], *v = &s.interfaces[2];
    CHECK(a->dhcp4 && a->dhcp6 && a->mtu == 1500 && !a->has_mac && !a->vlan);
    CHECK(b->has_mac && b->mac[0] == 0x52 && b->mac[5] == 0x5f && !b->dhcp4 && !b->dhcp6 && b->mtu == 0);
    CHECK(b->address_count == 2 && b->gateway4.family == AF_INET && b->gateway6.family == AF_INET6);
    CHECK_STR(settings_address_text(&b->addresses[1], true, text), "2001:db8::10/64");
    CHECK_STR(v->parent, "eth1");
    CHECK(v->vlan == 40 && v->dhcp4 && v->dhcp6);
    CHECK(s.servers_given && s.server_count == 3 && s.root_shell && !s.console && !s.isolate_cores);
    CHECK(s.configuration_signed == SETTINGS_SIGNED_REQUIRED && s.trial_us == 300000000);
    CHECK(s.hugepages_share == 25);
}

/* What is written is read as the same. */
static void written_and_read(const char *text)
{
    static struct settings first;
    struct buf b = {0};
    taken(text);
    first = s;
    settings_write(&first, &b);
    buf_put_u8(&b, 0);
    taken((const char *)b.p);
    CHECK(memcmp(&first, &s, sizeof s) == 0);
    buf_fini(&b);
}

static void test_written(void)
{
    written_and_read("box: 1\n");
    written_and_read("box: 1\ntime: { servers: [] }\nnetwork: { dns: [192.0.2.1, \"2001:db8::1\"] }\n");
    written_and_read(
        "box: 1\nhostname: true\ntime: { servers: [a.example, \"2001:db8::1\"] }\n"
        "network: { interfaces: { \"1e3\": { mac: \"52:54:00:12:34:5F\", mtu: 9000,\n"
        "  addresses: [192.0.2.9/24, \"2001:db8::9/64\"], gateway4: 192.0.2.1, gateway6: \"fe80::1\" },\n"
        "  v: { parent: \"1e3\", vlan: 7, dhcp4: true, dhcp6: false } } }\n"
        "ssh: { root_shell: true }\nconsole: { enabled: false }\nconfiguration: { signed: optional }\n"
        "upgrade: { trial: 10500ms }\nhugepages: { share: 80 }\ncores: { isolate: false }\n");
}

static void test_defaults(void)
{
    taken("box: 1\n");
    CHECK(s.every_interface && !s.servers_given && !s.root_shell && s.console && s.isolate_cores);
    CHECK(s.configuration_signed == SETTINGS_SIGNED_AUTO && s.trial_us == 600000000 && !s.hugepages_share);
    taken("box: 1\nnetwork:\ntime:\n"); /* sections with nothing in them */
    taken("box: 1\nnetwork: { interfaces: {} }\n");
    CHECK(s.every_interface);
    taken("box: 1\ntime: { servers: [] }\n");
    CHECK(s.servers_given && s.server_count == 0);
    taken(
        ETH("eth0: , eth1: { addresses: [192.0.2.1/24] }, eth2: { addresses: [192.0.3.1/24], dhcp6: true }"));
    CHECK(s.interfaces[0].dhcp4 && s.interfaces[0].dhcp6);
    CHECK(!s.interfaces[1].dhcp4 && !s.interfaces[1].dhcp6);
    CHECK(!s.interfaces[2].dhcp4 && s.interfaces[2].dhcp6);
}

static void test_all_errors_at_once(void)
{
    char *got = errors_of("box: 2\n"
                          "hostnam: x\n"
                          "ssh: { root_shell: perhaps }\n"
                          "network:\n"
                          "  interfaces:\n"
                          "    eth0: { mtu: 100, dhpc4: true }\n"
                          "upgrade: { trial: 1s }\n");
    CHECK(strstr(got, "box.yaml:1:6: box: expected 1") != NULL);
    CHECK(strstr(got, "box.yaml:2:1: unknown key \"hostnam\"\n  hint: did you mean hostname?") != NULL);
    CHECK(strstr(got, "box.yaml:3:20: ssh.root_shell") != NULL);
    CHECK(strstr(got, "box.yaml:6:18: mtu") != NULL);
    CHECK(strstr(got, "box.yaml:6:23: unknown key \"dhpc4\"\n  hint: did you mean dhcp4?") != NULL);
    CHECK(strstr(got, "box.yaml:7:19: upgrade.trial: expected 10 to 86400 seconds") != NULL);
    free(got);
    refused("hostname: a\n", "the key box is missing");
    refused("- box\n", "the file: expected a mapping");
    refused("box: 1\nconfiguration: { signed: maybe }\n", "expected required, auto or optional");
    refused("box: 1\nnetwork: { dns: 192.0.2.1 }\n", "network.dns: expected a list");
    refused("box: 1\nnetwork.dns: [192.0.2.1]\n", "unknown key");
    refused("box: 1\nnetwork: { interfaces: [eth0] }\n", "expected NAME: { ... }");
    refused("box: 1\ntime: { servers: [a_b] }\n", "the name or address of a server");
    refused("box: 1\nhugepages: { share: 81 }\n", "hugepages.share");
}

static void test_hostnames(void)
{
    char label[65] = {0}, long_name[66] = {0};
    memset(label, 'a', 63);
    CHECK(settings_hostname_valid("a") && settings_hostname_valid("edge-17.example.net"));
    CHECK(settings_hostname_valid(label) && settings_hostname_valid("3com"));
    label[63] = 'a';
    CHECK(!settings_hostname_valid(label));
    memset(long_name, 'a', 64);
    long_name[32] = '.';
    CHECK(settings_hostname_valid(long_name));
    long_name[64] = 'a';
    CHECK(!settings_hostname_valid(long_name));
    static const char *const wrong[] = {
        "",    "-a",   "a-",       "a..b", ".a", "a.",  "a_b",
        "a b", "a-.b", "10.0.0.1", "17",   "ä",  "a;b", "${file:/etc/shadow}"};
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++)
        CHECK(!settings_hostname_valid(wrong[i]));
    refused("box: 1\nhostname: a_b\n", "box.yaml:2:11: hostname: expected letters");
    refused("box: 1\nhostname: \"${file:/etc/hostname}\"\n", "hostname: expected letters");
}

static void test_addresses(void)
{
    struct settings_address a, b;
    CHECK(settings_address_parse("192.0.2.1", false, &a) && a.prefix == 32);
    CHECK(settings_address_parse("::/0", true, &a) && a.prefix == 0);
    static const char *const wrong[] = {
        "192.0.2.1",    "192.0.2.1/",     "192.0.2.1/33", "192.0.2.1/024", "192.0.2/24",
        "192.0.2.1/2a", "2001:db8::/129", "/24",          "192.0.2.1 /24", "1:2:3:4:5:6:7:8:9/64"};
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++)
        CHECK(!settings_address_parse(wrong[i], true, &a));
    CHECK(!settings_address_parse("192.0.2.1/24", false, &a));
    CHECK(settings_address_parse("10.1.255.1/15", true, &a) && settings_address_parse("10.0.0.1", false, &b));
    CHECK(settings_address_within(&a, &b));
    CHECK(settings_address_parse("10.2.0.1", false, &b) && !settings_address_within(&a, &b));
    CHECK(settings_address_parse("::a02:1", false, &b) && !settings_address_within(&a, &b));

    refused(ETH("eth0: { addresses: [192.0.2.0/24] }"), "its network's own address");
    refused(ETH("eth0: { addresses: [192.0.2.255/24] }"), "broadcast");
    taken(ETH("eth0: { addresses: [192.0.2.0/31, 192.0.2.255/32] }"));
    refused(ETH("eth0: { addresses: [127.0.0.1/8] }"), "an address inside the box");
    refused(ETH("eth0: { addresses: [224.0.0.1/24] }"), "no address of one host");
    refused(ETH("eth0: { addresses: [\"ff02::1/64\"] }"), "no address of one host");
    refused(ETH("eth0: { addresses: [192.0.2.1] }"), "with its prefix");
    refused(ETH("eth0: { addresses: [192.0.2.1/24, 192.0.2.1/25] }"), "given twice");
    refused(ETH("eth0: { addresses: [192.0.2.1/24] }, eth1: { addresses: [192.0.2.1/24] }"),
            "is an address of eth0 already");
    refused("box: 1\nnetwork: { dns: [192.0.2.1, 192.0.2.2, 192.0.2.3, 192.0.2.4] }\n", "more than 3");
}

static void test_gateways(void)
{
    taken(ETH(
        "eth0: { addresses: [192.0.2.9/24, \"2001:db8::9/64\"], gateway4: 192.0.2.1, gateway6: fe80::1 }"));
    refused(ETH("eth0: { addresses: [192.0.2.9/24], gateway4: 192.0.3.1 }"), "within one of `addresses`");
    refused(ETH("eth0: { addresses: [192.0.2.9/24], gateway4: 192.0.2.9 }"), "another address");
    refused(ETH("eth0: { dhcp4: true, gateway4: 192.0.2.1 }"), "within one of `addresses`");
    refused(ETH("eth0: { addresses: [192.0.2.9/24], gateway4: \"fe80::1\" }"), "expected an IPv4 address");
    refused(ETH("eth0: { addresses: [192.0.2.9/24], gateway4: 192.0.2.1 }, "
                "eth1: { addresses: [192.0.3.9/24], gateway4: 192.0.3.1 }"),
            "there can be one");
}

static void test_links(void)
{
    refused(ETH("lo: {}"), "not lo");
    refused(ETH("\"../x\": {}"), "expected the name of an interface");
    refused(ETH("abcdefghijklmnop: {}"), "at most 15");
    taken(ETH("abcdefghijklmno: {}"));
    refused(ETH("all: {}"), "expected the name of an interface");
    refused(ETH("eth0: { mac: \"52:54:00:12:34\" }"), "expected an interface's address");
    refused(ETH("eth0: { mac: \"53:54:00:12:34:56\" }"), "expected an interface's address"); /* a group's */
    refused(ETH("eth0: { mac: \"00:00:00:00:00:00\" }"), "expected an interface's address");
    refused(ETH("eth0: { mac: \"52-54-00-12-34-56\" }"), "expected an interface's address");
    refused(ETH("eth0: { mac: \"52:54:00:12:34:56:\" }"), "expected an interface's address");
    refused(ETH("a: { mac: \"52:54:00:12:34:56\" }, b: { mac: \"52:54:00:12:34:56\" }"), "the same mac");
    refused(ETH("eth0: { mtu: 1279 }"), "mtu");
    taken(ETH("eth0: { mtu: 1280 }"));
    taken(ETH("eth0: { mtu: 9216 }"));
    refused(ETH("eth0: { mtu: 9217 }"), "mtu");
    taken(ETH("v: { parent: eth0, vlan: 4094 }")); /* the parent needs no entry */
    CHECK(s.interfaces[0].vlan == 4094);
    refused(ETH("v: { parent: eth0, vlan: 4095 }"), "vlan");
    refused(ETH("v: { parent: eth0, vlan: 0 }"), "vlan");
    refused(ETH("v: { parent: eth0 }"), "both parent and vlan");
    refused(ETH("v: { parent: v, vlan: 1 }"), "no VLAN");
    refused(ETH("v: { parent: eth0, vlan: 1 }, w: { parent: v, vlan: 2 }"), "no VLAN");
    refused(ETH("v: { parent: eth0, vlan: 1 }, w: { parent: eth0, vlan: 1 }"), "is v already");
    refused(ETH("v: { parent: eth0, vlan: 1, mac: \"52:54:00:12:34:56\" }"), "its parent's mac");
}

static void test_limits(void)
{
    struct err *e;
    char *text = xmalloc(SETTINGS_BYTES_MAX + 2);
    memset(text, '#', SETTINGS_BYTES_MAX + 1);
    memcpy(text, "box: 1\n", 7);
    text[SETTINGS_BYTES_MAX + 1] = 0;
    e = settings_parse("box.yaml", text, SETTINGS_BYTES_MAX, &s);
    CHECK(!e);
    err_free(e);
    e = settings_parse("box.yaml", text, SETTINGS_BYTES_MAX + 1, &s);
    CHECK(e && strstr(e->message, "longer than 65536"));
    err_free(e);
    free(text);
    for (int count = SETTINGS_INTERFACES_MAX; count <= SETTINGS_INTERFACES_MAX + 1; count++) {
        char many[4096] = "box: 1\nnetwork:\n  interfaces:\n";
        for (int i = 0; i < count; i++)
            snprintf(many + strlen(many), 32, "    eth%d: {}\n", i);
        e = settings_parse("box.yaml", many, strlen(many), &s);
        CHECK(!e == (count == SETTINGS_INTERFACES_MAX));
        err_free(e);
    }
    for (int count = SETTINGS_SERVERS_MAX; count <= SETTINGS_SERVERS_MAX + 1; count++) {
        char many[1024] = "box: 1\ntime: { servers: [";
        for (int i = 0; i < count; i++)
            snprintf(many + strlen(many), 32, "%sn%d.example", i ? ", " : "", i);
        strcat(many, "] }\n");
        e = settings_parse("box.yaml", many, strlen(many), &s);
        CHECK(!e == (count == SETTINGS_SERVERS_MAX));
        err_free(e);
    }
}

static void test_files(void)
{
    char path[] = "/tmp/test-settings-XXXXXX";
    int fd = mkstemp(path);
    CHECK(fd >= 0 && write(fd, "box: 1\nhostname: z\n", 19) == 19);
    close(fd);
    struct err *e = settings_load(path, &s);
    CHECK(!e);
    CHECK_STR(s.hostname, "z");
    unlink(path);
    e = settings_load(path, &s); /* none: the defaults */
    CHECK(!e && s.every_interface && !s.hostname[0]);
    err_free(e);
    e = settings_load("/tmp", &s);
    CHECK(e != NULL);
    err_free(e);
}

int main(void)
{
    RUN(test_whole_file);
    RUN(test_written);
    RUN(test_defaults);
    RUN(test_all_errors_at_once);
    RUN(test_hostnames);
    RUN(test_addresses);
    RUN(test_gateways);
    RUN(test_links);
    RUN(test_limits);
    RUN(test_files);
    TEST_END();
}
