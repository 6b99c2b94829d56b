/* Settings on probation: `network set`, `network confirm`, and the way back, also from any moment in between. */
#include "box/cmd_network.h"
#include "box/settings.h"
#include "init/net_pending.h"

#include "../remove_tree.h"
#include "../test.h"

#include <unistd.h>

static char root[] = "/tmp/test-net-pending-XXXXXX";
static char settings_path[64], before_path[64], deadline_path[64];
static struct network_paths paths;

static void put(const char *path, const char *text)
{
    FILE *f = fopen(path, "we");
    CHECK(f != NULL);
    if (f) {
        fputs(text, f);
        fclose(f);
    }
}

static void start_with(const char *text)
{
    unlink(settings_path);
    unlink(before_path);
    unlink(deadline_path);
    if (text)
        put(settings_path, text);
}

static char *set(const char *text)
{
    char sink[1024] = "";
    FILE *in = fmemopen((void *)(uintptr_t)text, strlen(text), "r"), *out = fmemopen(sink, sizeof sink, "w");
    struct err *e = network_set(&paths, in, false, out);
    char *message = e ? err_text(e) : xstrdup("");
    err_free(e);
    fclose(in);
    fclose(out);
    return message;
}

static void taken(const char *text)
{
    char *message = set(text);
    CHECK_STR(message, "");
    free(message);
}

static int64_t left_ms(void)
{
    int64_t until = net_pending_until_ms(before_path, root);
    return until ? until - net_boottime_ms() : INT64_MAX;
}

static void go_back(void)
{
    struct err *e = net_pending_go_back(settings_path, before_path, root, root);
    CHECK(!e);
    err_free(e);
}

static const char *hostname(void)
{
    static struct settings s;
    struct err *e = settings_load(settings_path, &s);
    CHECK(!e);
    err_free(e);
    return s.hostname;
}

static void test_goes_back(void)
{
    start_with("box: 1\nhostname: old # a comment\n");
    CHECK(left_ms() == INT64_MAX);
    taken("box: 1\nhostname: new\n");
    CHECK_STR(hostname(), "new");
    CHECK(left_ms() > (NETWORK_CONFIRM_S - 10) * 1000 && left_ms() <= NETWORK_CONFIRM_S * 1000);
    taken("box: 1\nhostname: newer\n"); /* a second one goes back to the same */
    go_back();
    CHECK_STR(hostname(), "old");
    CHECK(left_ms() == INT64_MAX && access(deadline_path, F_OK) != 0);
    go_back(); /* nothing to do */
    CHECK_STR(hostname(), "old");
}

static void test_goes_back_to_none(void)
{
    start_with(NULL);
    taken("box: 1\nhostname: new\n");
    CHECK_STR(hostname(), "new");
    go_back();
    CHECK(access(settings_path, F_OK) != 0 && access(before_path, F_OK) != 0);
}

static void test_confirmed(void)
{
    start_with("box: 1\nhostname: old\n");
    taken("box: 1\nhostname: new\n");
    struct err *e = network_confirm(&paths, true, stderr);
    CHECK(!e && left_ms() == INT64_MAX);
    CHECK_STR(hostname(), "new");
    e = network_confirm(&paths, true, stderr);
    CHECK(e && e->code == ERR_STATE);
    err_free(e);
}

/* After a restart of the box /run is empty: what was not confirmed is taken back at once. */
static void test_restart(void)
{
    start_with("box: 1\nhostname: old\n");
    taken("box: 1\nhostname: new\n");
    unlink(deadline_path);
    CHECK(left_ms() < 0);
    put(deadline_path, "-7\n");
    CHECK(left_ms() < 0);
    put(deadline_path, "x\n");
    CHECK(left_ms() < 0);
}

/* Cut off before the new file was written: the former one is still there, and going back to it changes nothing. */
static void test_interrupted(void)
{
    start_with("box: 1\nhostname: old\n");
    put(before_path, "box: 1\nhostname: old\n");
    go_back();
    CHECK_STR(hostname(), "old");
    /* There was none, and the way back was cut off after the new file had gone. */
    start_with(NULL);
    put(before_path, "");
    go_back();
    CHECK(access(settings_path, F_OK) != 0 && access(before_path, F_OK) != 0);
}

static void test_refused(void)
{
    start_with("box: 1\nhostname: old\nssh: { root_shell: false }\nupgrade: { trial: 300s }\n");
    static const char *const wrong[] = {"box: 1\nhostname: a_b\n",
                                        "",
                                        "box: 1\nssh: { root_shell: true }\n",
                                        "box: 1\nconsole: { enabled: false }\n",
                                        "box: 1\nupgrade: { trial: 301s }\n",
                                        "box: 1\nconfiguration: { signed: optional }\n"};
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        char *message = set(wrong[i]);
        CHECK(message[0] && left_ms() == INT64_MAX);
        free(message);
    }
    CHECK_STR(hostname(), "old");
    /* The rest of the file may be there as it is, or not at all; it stays. */
    taken("box: 1\nhostname: new\nupgrade: { trial: 300s }\n");
    taken("box: 1\nhostname: newer\n");
    static struct settings s;
    struct err *e = settings_load(settings_path, &s);
    CHECK(!e && s.trial_us == 300000000);
    CHECK_STR(s.hostname, "newer");
}

static void test_hostname(void)
{
    start_with("box: 1\nupgrade: { trial: 300s }\n");
    struct err *e = hostname_set(&paths, "edge-17");
    CHECK(!e && left_ms() == INT64_MAX);
    CHECK_STR(hostname(), "edge-17");
    e = hostname_set(&paths, "a b");
    CHECK(e && e->code == ERR_CONFIG);
    err_free(e);
}

static void test_show(void)
{
    char out[4096] = "", *path = xprintf("%s/network.json", root);
    unlink(path);
    struct err *e = network_show(&paths, false, stdout);
    CHECK(e && e->code == ERR_STATE);
    err_free(e);
    put(path, "{\"ok\":true,\"detail\":\"\",\"hostname\":\"h\",\"gateways\":[\"192.0.2.1\"],\"interfaces\":[{"
              "\"name\":\"eth0\","
              "\"link\":\"enp1\",\"mac\":\"02:00:00:00:00:01\",\"up\":true,\"carrier\":true,\"mtu\":1500,"
              "\"vlan\":0,"
              "\"dhcp4\":true,\"addresses\":[\"192.0.2.9/"
              "24\"]}],\"settings\":{\"from\":\"box.yaml\",\"error\":\"\","
              "\"problems\":\"\",\"confirm_left_s\":77},\"time\":{\"synced\":true,\"state\":\"synced\","
              "\"detail\":\"\","
              "\"offset_us\":1500,\"servers\":[\"a.example\"]}}");
    FILE *f = fmemopen(out, sizeof out, "w");
    e = network_show(&paths, false, f);
    CHECK(!e);
    e = time_show(&paths, false, f);
    CHECK(!e);
    fclose(f);
    CHECK(strstr(out, "eth0       up, mac 02:00:00:00:00:01, mtu 1500, called enp1 by the kernel, DHCPv4\n"));
    CHECK(strstr(out, "192.0.2.9/24\n") && strstr(out, "taken back in 77 s") && strstr(out, "1.500 ms"));
    free(path);
}

int main(void)
{
    if (!mkdtemp(root))
        return 1;
    snprintf(settings_path, sizeof settings_path, "%s/box.yaml", root);
    snprintf(before_path, sizeof before_path, "%s/box.yaml.before", root);
    snprintf(deadline_path, sizeof deadline_path, "%s/network-deadline", root);
    paths = (struct network_paths){root, settings_path, before_path, root, "/nowhere"};
    RUN(test_goes_back);
    RUN(test_goes_back_to_none);
    RUN(test_confirmed);
    RUN(test_restart);
    RUN(test_interrupted);
    RUN(test_refused);
    RUN(test_hostname);
    RUN(test_show);
    remove_tree(root);
    TEST_END();
}
