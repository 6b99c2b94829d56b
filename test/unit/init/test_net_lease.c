/* What dhcpcd's hook keeps of what the wire says, and what becomes of it. */
#include "init/net_dhcp.h"
#include "init/net_lease.h"

#include "../remove_tree.h"
#include "../test.h"

#include <unistd.h>

static char dir[] = "/tmp/test-net-lease-XXXXXX";
static struct net_lease l;

static enum net_lease_change read_env(const char *const *env)
{
    return net_lease_read((char *const *)env, &l);
}

static void test_dhcp4(void)
{
    const char *env[] = {"reason=BOUND",
                         "interface=eth0",
                         "protocol=dhcp",
                         "new_domain_name_servers=192.0.2.53 192.0.2.54 192.0.2.53 0.0.0.0 224.0.0.1 x",
                         "new_domain_name=example.net.",
                         "new_domain_search=a.example b.example",
                         "new_host_name=edge-9",
                         "new_ntp_servers=192.0.2.7 192.0.2.8",
                         "new_dhcp6_name_servers=2001:db8::1",
                         NULL};
    CHECK(read_env(env) == NET_LEASE_SET);
    CHECK_STR(l.link, "eth0");
    CHECK(l.resolver_count == 2 && l.domain_count == 3 && l.server_count == 2);
    CHECK_STR(l.resolvers[1], "192.0.2.54");
    CHECK_STR(l.domains[0], "example.net");
    CHECK_STR(l.hostname, "edge-9");
}

/* A hostile server's words end up in no file. */
static void test_hostile(void)
{
    char long_value[5000] = "new_domain_name_servers=";
    for (int i = 0; i < 200; i++)
        snprintf(long_value + strlen(long_value), 24, "10.0.%d.1 ", i);
    const char *env[] = {"reason=RENEW",
                         "interface=eth0",
                         "protocol=dhcp",
                         long_value,
                         "new_domain_name=evil\"},{\n.example",
                         "new_domain_search=../../etc $(reboot) \xff\xfe",
                         "new_host_name=a;b",
                         "new_ntp_servers=-x 192.0.2.7/24 fe80::1%eth0",
                         "new_ip_address",
                         NULL};
    CHECK(read_env(env) == NET_LEASE_SET);
    CHECK(l.resolver_count == NET_LEASE_RESOLVERS_MAX && l.domain_count == 0 && l.server_count == 0);
    CHECK_STR(l.hostname, "");
    env[1] = "interface=../x";
    CHECK(read_env(env) == NET_LEASE_NONE);
    env[1] = "interface=eth0";
    env[2] = "protocol=../x";
    CHECK(read_env(env) == NET_LEASE_NONE);
    CHECK(read_env((const char *[]){NULL}) == NET_LEASE_NONE);
}

static void test_ipv6(void)
{
    const char *ra[] = {"reason=ROUTERADVERT",
                        "interface=eth0",
                        "protocol=ra",
                        "nd1_rdnss1_servers=2001:db8::53 fe80::1",
                        "nd12_dnssl3_search=example6.net",
                        "nd1_rdnss_servers_x=2001:db8::54",
                        "ndx_rdnss1_servers=2001:db8::55",
                        NULL};
    CHECK(read_env(ra) == NET_LEASE_SET && l.resolver_count == 2 && l.domain_count == 1);
    CHECK_STR(l.resolvers[1], "fe80::1%eth0");
    ra[3] = "nd1_rdnss1_servers=fe80::1%eth0 fe80::2%eth1 2001:db8::53%eth0";
    CHECK(read_env(ra) == NET_LEASE_SET && l.resolver_count == 1);
    const char *six[] = {"reason=BOUND6",
                         "interface=eth0",
                         "protocol=dhcp6",
                         "new_dhcp6_name_servers=2001:db8::53",
                         "new_dhcp6_ntp_server1_addr=2001:db8::7",
                         "new_dhcp6_sntp_servers=2001:db8::8",
                         NULL};
    CHECK(read_env(six) == NET_LEASE_SET && l.resolver_count == 1 && l.server_count == 2);
}

static void hook(const char *reason, const char *link, const char *protocol)
{
    char *r = xprintf("reason=%s", reason), *i = xprintf("interface=%s", link),
         *p = xprintf("protocol=%s", protocol);
    char *env[] = {r, i, p, "new_domain_name_servers=192.0.2.53", "nd1_rdnss1_servers=fe80::1", NULL};
    struct err *e = net_lease_hook(env, dir);
    CHECK(!e);
    err_free(e);
    free(r);
    free(i);
    free(p);
}

static uint32_t kept(void)
{
    static struct net_lease all[NET_LEASES_MAX];
    return net_leases_load(dir, all, NET_LEASES_MAX);
}

static void test_files(void)
{
    hook("PREINIT", "eth0", "link");
    CHECK(kept() == 0);
    hook("BOUND", "eth0", "dhcp");
    hook("ROUTERADVERT", "eth0", "ra");
    hook("BOUND", "eth0-1", "dhcp");
    CHECK(kept() == 3);
    static struct net_lease all[2];
    CHECK(net_leases_load(dir, all, 2) == 2); /* no more than there is room for */
    hook("EXPIRE", "eth0", "dhcp");
    CHECK(kept() == 2);
    hook("REBIND", "eth0", "dhcp");
    CHECK(kept() == 3);
    hook("NOCARRIER", "eth0", "link");
    CHECK(kept() == 1); /* eth0-1 is another */
    net_leases_remove(dir, NULL);
    CHECK(kept() == 0);
}

static void test_read_again(void)
{
    const char *env[] = {"reason=BOUND",    "interface=eth0",
                         "protocol=dhcp",   "new_domain_name_servers=192.0.2.53",
                         "new_host_name=h", NULL};
    struct net_lease again[1];
    CHECK(read_env(env) == NET_LEASE_SET);
    struct err *e = net_lease_save(&l, dir);
    CHECK(!e);
    CHECK(net_leases_load(dir, again, 1) == 1 && memcmp(&again[0], &l, sizeof l) == 0);
    net_leases_remove(dir, NULL);
    CHECK(!net_lease_parse("[]", 2, &l) && !net_lease_parse("{", 1, &l) && !net_lease_parse("{}", 2, &l));
    static const char partly[] =
        "{\"link\":\"e\",\"protocol\":\"ra\",\"resolvers\":[1,\"x\",\"192.0.2.1\"],\"domains\":{}}";
    CHECK(net_lease_parse(partly, strlen(partly), &l) && l.resolver_count == 1);
}

static void test_resolv_conf(void)
{
    static struct settings s;
    struct net_lease two[2] = {{.link = "a",
                                .resolver_count = 2,
                                .resolvers = {"192.0.2.1", "192.0.2.2"},
                                .domain_count = 1,
                                .domains = {"example.net"}},
                               {.link = "b",
                                .resolver_count = 2,
                                .resolvers = {"192.0.2.2", "fe80::1%b"},
                                .domain_count = 2,
                                .domains = {"example.net", "b.example"}}};
    struct buf b = {0};
    settings_defaults(&s);
    net_resolv_conf(&s, two, 2, &b);
    buf_put_u8(&b, 0);
    CHECK_STR((char *)b.p, "nameserver 192.0.2.1\nnameserver 192.0.2.2\nnameserver fe80::1%b\n"
                           "search example.net b.example\noptions timeout:2 attempts:2\n");
    CHECK(settings_address_parse("192.0.2.9", false, &s.resolvers[0]));
    CHECK(settings_address_parse("192.0.2.2", false, &s.resolvers[1]));
    s.resolver_count = 2;
    buf_reset(&b);
    net_resolv_conf(&s, two, 1, &b);
    buf_put_u8(&b, 0);
    CHECK_STR((char *)b.p, "nameserver 192.0.2.9\nnameserver 192.0.2.2\nnameserver 192.0.2.1\n"
                           "search example.net\noptions timeout:2 attempts:2\n");
    buf_fini(&b);
}

static void test_dhcpcd_conf(void)
{
    static struct settings s;
    static const struct net_link a = {.name = "eth0"}, b = {.name = "eth1"}, c = {.name = "eth2"};
    struct net_plan p = {
        .want_count = 3,
        .wants = {{&a, NULL, true, true}, {&b, NULL, false, true}, {&c, NULL, false, false}}};
    struct buf out = {0};
    settings_defaults(&s);
    snprintf(s.hostname, sizeof s.hostname, "edge");
    CHECK(net_dhcp_conf(&s, &p, "/init", &out));
    buf_put_u8(&out, 0);
    const char *text = (const char *)out.p;
    CHECK(strstr(text, "\nscript /init\n") && strstr(text, "\nhostname edge\n"));
    CHECK(strstr(text, "\nallowinterfaces eth0 eth1\ninterface eth1\nnoipv4\n"));
    CHECK(!strstr(text, "eth2"));
    p.want_count = 0;
    CHECK(!net_dhcp_conf(&s, &p, "/init", &out));
    buf_fini(&out);
}

int main(void)
{
    if (!mkdtemp(dir))
        return 1;
    RUN(test_dhcp4);
    RUN(test_hostile);
    RUN(test_ipv6);
    RUN(test_files);
    RUN(test_read_again);
    RUN(test_resolv_conf);
    RUN(test_dhcpcd_conf);
    remove_tree(dir);
    TEST_END();
}
