/* Links, addresses and gateways, in a network namespace of the test's own with a pair of Ethernet ends. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "init/net_link.h"

#include "../test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_link.h>
#include <linux/veth.h>
#include <linux/if.h>
#include <sched.h>
#include <unistd.h>

static struct netlink kernel;
static struct settings s;
static struct net_view view;
static struct net_plan plan;

static void make_pair(const char *a, const char *b, const uint8_t *mac)
{
    struct ifinfomsg m = {0};
    netlink_begin(&kernel, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &m, sizeof m);
    netlink_put(&kernel, IFLA_IFNAME, a, strlen(a) + 1);
    netlink_put(&kernel, IFLA_ADDRESS, mac, 6);
    size_t info = netlink_nest(&kernel, IFLA_LINKINFO);
    netlink_put(&kernel, IFLA_INFO_KIND, "veth", 4);
    size_t data = netlink_nest(&kernel, IFLA_INFO_DATA), peer = netlink_nest(&kernel, VETH_INFO_PEER);
    buf_put(&kernel.out, &m, sizeof m);
    netlink_put(&kernel, IFLA_IFNAME, b, strlen(b) + 1);
    netlink_nest_end(&kernel, peer);
    netlink_nest_end(&kernel, data);
    netlink_nest_end(&kernel, info);
    int err_no = netlink_do(&kernel);
    if (err_no)
        printf("# veth: %s\n", strerror(err_no));
    CHECK(err_no == 0);
}

static struct err *apply(const char *text)
{
    struct err *e = settings_parse("box.yaml", text, strlen(text), &s);
    CHECK(!e);
    return e ? e : net_apply(&kernel, &s, "/proc/sys", &view, &plan);
}

static void applied(const char *text)
{
    struct err *e = apply(text);
    CHECK(!e);
    if (e)
        err_print(stdout, e);
    err_free(e);
}

static const struct net_link *link_of(const char *name)
{
    for (uint32_t i = 0; i < view.link_count; i++)
        if (strcmp(view.links[i].name, name) == 0)
            return &view.links[i];
    return NULL;
}

static bool has_address(const char *link, const char *text)
{
    struct settings_address want;
    CHECK(settings_address_parse(text, true, &want));
    for (uint32_t i = 0; i < view.address_count; i++) {
        const struct net_link *l = net_view_link(&view, view.addresses[i].index);
        if (l && strcmp(l->name, link) == 0 && memcmp(&view.addresses[i].a, &want, sizeof want) == 0)
            return true;
    }
    return false;
}

static uint32_t own_addresses(void)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < view.address_count; i++)
        n += view.addresses[i].ours;
    return n;
}

static bool has_gateway(const char *text)
{
    char got[SETTINGS_ADDRESS_BYTES];
    for (uint32_t i = 0; i < view.route_count; i++)
        if (view.routes[i].ours && view.routes[i].to.prefix == 0 &&
            strcmp(settings_address_text(&view.routes[i].gateway, false, got), text) == 0)
            return true;
    return false;
}

static char read_sysctl(const char *link, const char *name)
{
    char path[128], c = '?';
    snprintf(path, sizeof path, "/proc/sys/net/ipv6/conf/%s/%s", link, name);
    FILE *f = fopen(path, "re");
    if (f) {
        c = (char)fgetc(f);
        fclose(f);
    }
    return c;
}

static void test_every_interface(void)
{
    applied("box: 1\n");
    CHECK(link_of("lo") && link_of("lo")->up);
    CHECK(link_of("tA")->up && link_of("tB")->up && link_of("tA")->carrier);
    const struct net_want *w = net_plan_want(&plan, "tA");
    CHECK(w && w->dhcp4 && w->dhcp6 && !w->as);
    CHECK(!net_plan_want(&plan, "lo") && own_addresses() == 0);
    CHECK(read_sysctl("tA", "accept_ra") == '0' && read_sysctl("tA", "autoconf") == '0');
}

static void test_fixed_addresses(void)
{
    applied("box: 1\n"
            "network: { interfaces: { tA: { mtu: 1400, addresses: [192.0.2.10/24, \"2001:db8::10/64\"],\n"
            "  gateway4: 192.0.2.1, gateway6: \"fe80::1\" }, tB: {} } }\n");
    CHECK(has_address("tA", "192.0.2.10/24") && has_address("tA", "2001:db8::10/64"));
    CHECK(link_of("tA")->mtu == 1400 && link_of("tB")->up);
    CHECK(has_gateway("192.0.2.1") && has_gateway("fe80::1"));
    const struct net_want *w = net_plan_want(&plan, "tA");
    CHECK(w && !w->dhcp4 && !w->dhcp6);

    /* What is no longer said is taken away, and only that; also by who has nothing but the kernel's marks to go by. */
    applied("box: 1\n"
            "network: { interfaces: { tA: { addresses: [192.0.2.11/25], gateway4: 192.0.2.2 }, tB: {} } }\n");
    CHECK(has_address("tA", "192.0.2.11/25") && own_addresses() == 1);
    CHECK(has_gateway("192.0.2.2") && !has_gateway("192.0.2.1") && !has_gateway("fe80::1"));
    applied("box: 1\nnetwork: { interfaces: { tA: { addresses: [192.0.2.11/25], gateway4: 192.0.2.2 }, tB: "
            "{} } }\n");
    CHECK(own_addresses() == 1 && has_gateway("192.0.2.2")); /* twice is as good as once */
    applied("box: 1\nnetwork: { interfaces: { tA: {}, tB: {} } }\n");
    CHECK(own_addresses() == 0 && !has_gateway("192.0.2.2"));
}

/* An address that another program set stays. */
static void test_others_addresses(void)
{
    struct ifaddrmsg m = {
        .ifa_family = AF_INET, .ifa_prefixlen = 24, .ifa_index = (unsigned)link_of("tA")->index};
    uint8_t address[4] = {198, 51, 100, 7};
    netlink_begin(&kernel, RTM_NEWADDR, NLM_F_CREATE, &m, sizeof m);
    netlink_put(&kernel, IFA_LOCAL, address, 4);
    CHECK(netlink_do(&kernel) == 0);
    applied("box: 1\nnetwork: { interfaces: { tA: { addresses: [192.0.2.11/24] } } }\n");
    CHECK(has_address("tA", "198.51.100.7/24") && own_addresses() == 1);
    applied("box: 1\n");
    CHECK(has_address("tA", "198.51.100.7/24") && own_addresses() == 0);
}

static void leave_like_dhcpcd(void)
{
    struct ifaddrmsg m = {
        .ifa_family = AF_INET, .ifa_prefixlen = 24, .ifa_index = (unsigned)link_of("tA")->index};
    uint8_t address[4] = {203, 0, 113, 7}, to[4] = {203, 0, 113, 0};
    netlink_begin(&kernel, RTM_NEWADDR, NLM_F_CREATE, &m, sizeof m);
    netlink_put(&kernel, IFA_LOCAL, address, 4);
    netlink_put_u32(&kernel, IFA_FLAGS, IFA_F_NOPREFIXROUTE);
    CHECK(netlink_do(&kernel) == 0);
    struct rtmsg r = {.rtm_family = AF_INET,
                      .rtm_dst_len = 24,
                      .rtm_table = RT_TABLE_MAIN,
                      .rtm_protocol = RTPROT_DHCP,
                      .rtm_scope = RT_SCOPE_LINK,
                      .rtm_type = RTN_UNICAST};
    netlink_begin(&kernel, RTM_NEWROUTE, NLM_F_CREATE, &r, sizeof r);
    netlink_put(&kernel, RTA_DST, to, 4);
    netlink_put_u32(&kernel, RTA_OIF, (uint32_t)link_of("tA")->index);
    netlink_put_u32(&kernel, RTA_PRIORITY, 1002);
    CHECK(netlink_do(&kernel) == 0);
}

static uint32_t dhcp_routes(void)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < view.route_count; i++)
        n += view.routes[i].dhcp;
    return n;
}

/* dhcpcd's things stay while the link uses DHCP, and go when it does not. */
static void test_dhcpcd_leftovers(void)
{
    applied("box: 1\n");
    leave_like_dhcpcd();
    applied("box: 1\n");
    CHECK(has_address("tA", "203.0.113.7/24") && dhcp_routes() == 1);
    applied("box: 1\nnetwork: { interfaces: { tA: { dhcp4: false, dhcp6: true } } }\n");
    CHECK(!has_address("tA", "203.0.113.7/24") && dhcp_routes() == 0);
    applied("box: 1\n");
}

static void test_unnamed_links_are_down(void)
{
    applied("box: 1\nnetwork: { interfaces: { tB: {} } }\n");
    CHECK(!link_of("tA")->up && link_of("tB")->up && !net_plan_want(&plan, "tA"));
    applied("box: 1\n");
    CHECK(link_of("tA")->up);
}

static void test_by_mac(void)
{
    applied("box: 1\n"
            "network: { interfaces: { tB: { mac: \"02:00:00:00:00:0a\", addresses: [192.0.2.20/24] },\n"
            "  other: { mac: \"02:00:00:00:00:0b\" }, tA: { addresses: [192.0.2.21/24] } } }\n");
    CHECK(has_address("tA", "192.0.2.20/24")); /* its label is the other's name */
    CHECK(plan.missing_count == 2); /* nothing has the second, and what is called tA is the first */
    CHECK(own_addresses() == 1);
    applied("box: 1\n");
}

/* With VLANs in the kernel they work; without, the settings' error says so, and the rest is applied. */
static void test_vlans(void)
{
    static const char text[] = "box: 1\n"
                               "network: { interfaces: { tA: { addresses: [192.0.2.1/24] },\n"
                               "  v40: { parent: tA, vlan: 40, addresses: [198.51.100.1/24] } } }\n";
    struct err *e = apply(text);
    CHECK(has_address("tA", "192.0.2.1/24"));
    if (e) {
        CHECK(e->code == ERR_UNSUPPORTED && strstr(e->message, "8021q"));
        CHECK(plan.missing_count == 1 && !link_of("v40"));
        printf("# this kernel has no VLANs\n");
        err_free(e);
        return;
    }
    const struct net_link *v = link_of("v40");
    CHECK(v && v->vlan == 40 && v->parent == link_of("tA")->index && v->up && v->ours);
    CHECK(has_address("v40", "198.51.100.1/24"));
    applied(
        "box: 1\nnetwork: { interfaces: { v41: { parent: tA, vlan: 41 } } }\n"); /* tA is only its parent */
    CHECK(!link_of("v40") && link_of("v41") && link_of("v41")->vlan == 41);
    const struct net_want *w = net_plan_want(&plan, "tA");
    CHECK(w && !w->dhcp4 && link_of("tA")->up && own_addresses() == 0);
    applied("box: 1\nnetwork: { interfaces: { v41: { parent: tA, vlan: 42 } } }\n");
    CHECK(link_of("v41") && link_of("v41")->vlan == 42);
    applied("box: 1\nnetwork: { interfaces: { w: { parent: tA, vlan: 42 } } }\n");
    CHECK(!link_of("v41") && link_of("w") && link_of("w")->vlan == 42);
    applied("box: 1\n");
    CHECK(!link_of("w"));
}

static void test_missing_link(void)
{
    applied("box: 1\nnetwork: { interfaces: { eth7: { addresses: [192.0.2.1/24] }, tA: {} } }\n");
    CHECK(plan.missing_count == 1);
    CHECK_STR(plan.missing[0]->name, "eth7");
    applied("box: 1\n");
}

/* Errors of one link do not keep the others from being set. */
static void test_goes_on_after_errors(void)
{
    struct err *e = apply("box: 1\n"
                          "network: { interfaces: { tA: { addresses: [\"2001:db8::1/64\"], gateway6: "
                          "\"2001:db8::9\", mtu: 9216 },\n"
                          "  tB: { addresses: [192.0.2.9/24] } } }\n");
    err_free(e);
    CHECK(has_address("tB", "192.0.2.9/24") && has_address("tA", "2001:db8::1/64"));
    e = apply("box: 1\n");
    err_free(e);
}

static void test_attributes(void)
{
    const struct rtattr *t[4];
    uint8_t bytes[16] = {5, 0, 2,   0, 'x', 0,
                         0, 0, 200, 0, 1,   0}; /* the second is longer than what there is */
    netlink_attributes(bytes, 12, t, 3);
    CHECK(t[2] && !t[1] && !t[0]);
    char text[3];
    netlink_text(t[2], text, sizeof text);
    CHECK_STR(text, "x");
    CHECK(netlink_u32(t[2]) == 0);
    netlink_attributes(bytes, 3, t, 3);
    CHECK(!t[2]);
}

int main(void)
{
    static const uint8_t mac[6] = {2, 0, 0, 0, 0, 10};
    if (unshare(CLONE_NEWNET) != 0) {
        printf("not ok network_namespace %s\n", strerror(errno));
        return 1;
    }
    struct err *e = netlink_open(&kernel, 0);
    if (e) {
        err_print(stdout, e);
        printf("not ok netlink\n");
        return 1;
    }
    make_pair("tA", "tB", mac);
    RUN(test_every_interface);
    RUN(test_fixed_addresses);
    RUN(test_others_addresses);
    RUN(test_dhcpcd_leftovers);
    RUN(test_unnamed_links_are_down);
    RUN(test_by_mac);
    RUN(test_vlans);
    RUN(test_missing_link);
    RUN(test_goes_on_after_errors);
    RUN(test_attributes);
    netlink_close(&kernel);
    TEST_END();
}
