/* fleet.yaml: what is taken from where, every mistake with its place, the limits; which boxes a selection names; what ssh is called with. */
#include "base/buf.h"
#include "fleet/args.h"
#include "fleet/inventory.h"
#include "fleet/ssh.h"
#include "test.h"

static const char good[] =
    "fleet: 1\n"
    "ssh: { user: ops, identity: ~/.ssh/box, options: [ProxyJump=gate, Compression=no] }\n"
    "parallel: 4\n"
    "boxes:\n"
    "  edge-1: { address: 192.0.2.11, groups: [berlin, new], labels: { ring: canary } }\n"
    "  edge-2: { address: 'fd00::2', groups: [berlin], ssh: { port: 2222, user: me } }\n"
    "  edge-3: { address: edge-3.example.net }\n"
    "groups:\n"
    "  berlin: { ssh: { user: berlin, options: [Compression=yes] }, labels: { city: berlin, ring: main } }\n"
    "  new: { ssh: { port: 22022 } }\n";

static struct inventory *load(const char *text)
{
    struct inventory *v;
    struct err *e = inventory_parse("dir/fleet.yaml", text, strlen(text), &v);
    if (e)
        err_print(stdout, e);
    CHECK(!e && v);
    err_free(e);
    return v;
}

static void merging(void)
{
    setenv("HOME", "/home/op", 1);
    struct inventory *v = load(good);
    if (!v)
        return;
    const struct fleet_box *b = v->boxes;
    CHECK(v->box_count == 3 && v->group_count == 2 && v->parallel == 4);
    CHECK_STR(v->state, "dir/fleet-state");
    CHECK_STR(b[0].ssh.user, "berlin");
    CHECK(b[0].ssh.port == 22022 && b[1].ssh.port == 2222 && b[2].ssh.port == 22);
    CHECK_STR(b[1].ssh.user, "me");
    CHECK_STR(b[2].ssh.user, "ops");
    CHECK_STR(b[2].ssh.identity, "/home/op/.ssh/box");
    CHECK_STR(b[2].ssh.known_hosts, "dir/known_hosts");
    CHECK(b[2].ssh.connect_timeout_us == 10000000);
    /* What is nearer to the box stands first, for ssh takes the first. */
    CHECK(b[0].ssh.option_count == 3);
    CHECK_STR(b[0].ssh.options[0], "Compression=yes");
    CHECK(b[0].label_count == 2);
    for (uint32_t i = 0; i < b[0].label_count; i++)
        if (strcmp(b[0].labels[i].key, "ring") == 0)
            CHECK_STR(b[0].labels[i].value, "canary");
    CHECK(inventory_box(v, "edge-2") == &b[1] && !inventory_box(v, "edge-22"));
    inventory_free(v);
}

/* Text with mistakes, and what the errors must hold, in order. */
static const struct {
    const char *text;
    struct {
        int line, column;
        const char *words;
    } errors[4];
} wrong[] = {
    {"boxes: { a: { address: x } }\n", {{1, 1, "fleet: 1"}}},
    {"fleet: 2\nboxes: { a: { address: x } }\n", {{1, 8, "fleet"}}},
    {"fleet: 1\n", {{1, 1, "boxes is missing"}}},
    {"fleet: 1\nboxes: {}\n", {{2, 8, "boxes"}}},
    {"fleet: 1\nparallel: 0\nboxes: { a: { address: x, sh: 1 } }\n", {{2, 11, "parallel"}, {3, 27, "sh"}}},
    {"fleet: 1\nparallel: 257\nboxes: { a: { address: x } }\n", {{2, 11, "256"}}},
    {"fleet: 1\nboxes:\n  -a: { address: x }\n  b/c: { address: x }\n",
     {{3, 3, "not a name"}, {4, 3, "not a name"}}},
    {"fleet: 1\nboxes: { a: { address: -oProxyCommand=id } }\n", {{2, 24, "no host name"}}},
    {"fleet: 1\nboxes: { a: { address: 'x y' } }\n", {{2, 24, "no host name"}}},
    {"fleet: 1\nboxes: { a: { address: 192.0.2.1, groups: [g] } }\n", {{2, 44, "there is no group"}}},
    {"fleet: 1\nboxes: { a: { address: X }, b: { address: x } }\n", {{2, 29, "address and port of a"}}},
    {"fleet: 1\nssh: { user: -x, port: 70000, options: [StrictHostKeyChecking=no] }\nboxes: { a: { address: "
     "x } }\n",
     {{2, 14, "user"}, {2, 24, "port"}, {2, 41, "StrictHostKeyChecking is not for options"}}},
    {"fleet: 1\nssh: { options: ['userknownhostsfile /dev/null', nonsense] }\nboxes: { a: { address: x } }\n",
     {{2, 18, "UserKnownHostsFile"}, {2, 50, "Name=value"}}},
    {"fleet: 1\nssh: { known_hosts: 'a\"b', connect_timeout: 11m }\nboxes: { a: { address: x } }\n",
     {{2, 21, "known_hosts"}, {2, 45, "1s to 10m"}}},
    {"[]\n", {{1, 1, "mapping"}}},
};

static void mistakes(void)
{
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        struct inventory *v;
        struct err *e = inventory_parse("f.yaml", wrong[i].text, strlen(wrong[i].text), &v);
        const struct err *at = e;
        CHECK(e && !v && e->code == ERR_CONFIG);
        for (size_t k = 0; k < 4 && wrong[i].errors[k].words; k++) {
            const struct err *found = NULL;
            for (at = e; at && !found; at = at->next)
                if (at->line == wrong[i].errors[k].line && at->column == wrong[i].errors[k].column &&
                    strstr(at->message, wrong[i].errors[k].words))
                    found = at;
            if (!found) {
                printf("# wanted %d:%d %s in:\n", wrong[i].errors[k].line, wrong[i].errors[k].column,
                       wrong[i].errors[k].words);
                err_print(stdout, e);
            }
            CHECK(found);
        }
        err_free(e);
    }
}

/* `count` boxes, each with `labels` labels. */
static bool takes(int count, int labels)
{
    struct buf b = {0};
    struct inventory *v;
    buf_put_str(&b, "fleet: 1\nboxes:\n");
    for (int i = 0; i < count; i++) {
        buf_printf(&b, "  b%d: { address: h%d, labels: {", i, i);
        for (int k = 0; k < labels; k++)
            buf_printf(&b, "%s l%d: x", k ? "," : "", k);
        buf_put_str(&b, " } }\n");
    }
    struct err *e = inventory_parse("f.yaml", (const char *)b.p, b.len, &v);
    bool ok = !e;
    err_free(e);
    inventory_free(v);
    buf_fini(&b);
    return ok;
}

static void limits(void)
{
    CHECK(takes(FLEET_BOXES_MAX, 1) && !takes(FLEET_BOXES_MAX + 1, 1));
    CHECK(takes(1, FLEET_LABELS_MAX) && !takes(1, FLEET_LABELS_MAX + 1));
}

/* Names of the boxes selected, or the error. */
static const char *selected(const struct inventory *v, struct fleet_selection s)
{
    static char text[300];
    const struct fleet_box **boxes;
    uint32_t n;
    struct err *e = inventory_select(v, &s, &boxes, &n);
    *text = 0;
    if (e) {
        snprintf(text, sizeof text, "! %s", e->message);
        err_free(e);
        return text;
    }
    for (uint32_t i = 0; i < n; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", i ? " " : "", boxes[i]->name);
    free(boxes);
    return text;
}

static void selecting(void)
{
    struct inventory *v = load(good);
    if (!v)
        return;
    CHECK_STR(selected(v, (struct fleet_selection){0}), "edge-1 edge-2 edge-3");
    CHECK_STR(selected(v, (struct fleet_selection){.boxes = "edge-3,edge-1,edge-3"}), "edge-1 edge-3");
    CHECK_STR(selected(v, (struct fleet_selection){.groups = "berlin"}), "edge-1 edge-2");
    CHECK_STR(selected(v, (struct fleet_selection){.groups = "new,berlin", .boxes = "edge-2,edge-3"}),
              "edge-2");
    CHECK_STR(selected(v, (struct fleet_selection){.labels = {"city=berlin", "ring=main"}, .label_count = 2}),
              "edge-2");
    CHECK(*selected(v, (struct fleet_selection){.labels = {"ring=x"}, .label_count = 1}) == '!');
    CHECK(*selected(v, (struct fleet_selection){.labels = {"ring"}, .label_count = 1}) == '!');
    CHECK(*selected(v, (struct fleet_selection){.boxes = "edge"}) == '!');
    CHECK(*selected(v, (struct fleet_selection){.groups = "edge-1"}) == '!');
    inventory_free(v);
}

static bool has(char **argv, const char *word)
{
    for (; *argv; argv++)
        if (strcmp(*argv, word) == 0)
            return true;
    return false;
}

static void calling(void)
{
    struct inventory *v = load(good);
    if (!v)
        return;
    char **argv = ssh_argv(&v->arena, &v->boxes[1], "status --json");
    uint32_t n = 0;
    while (argv[n])
        n++;
    CHECK_STR(argv[0], "ssh");
    CHECK_STR(argv[n - 3], "--");
    CHECK_STR(argv[n - 2], "fd00::2");
    CHECK_STR(argv[n - 1], "status --json");
    CHECK(has(argv, "BatchMode=yes") && has(argv, "StrictHostKeyChecking=yes") && has(argv, "2222"));
    CHECK(has(argv, "UserKnownHostsFile=\"dir/known_hosts\"") && has(argv, "ConnectTimeout=10"));
    CHECK_STR(ssh_known_name(&v->arena, &v->boxes[1]), "[fd00::2]:2222");
    CHECK_STR(ssh_known_name(&v->arena, &v->boxes[2]), "edge-3.example.net");
    char *words[] = {"echo", "a b", "it's", "", "x;y"};
    CHECK_STR(ssh_command(&v->arena, 5, words), "echo 'a b' 'it'\\''s' '' 'x;y'");
    CHECK_STR(ssh_command(&v->arena, 1, words + 1), "a b");
    inventory_free(v);
}

/* The words after "fleet", with blanks between them; what is wrong, or "" */
static const char *parsed(const char *line, struct fleet_args *a)
{
    static char message[300];
    static char copy[300];
    char *argv[20] = {"fleet"}, *rest = copy;
    int argc = 1;
    snprintf(copy, sizeof copy, "%s", line);
    for (char *word; (word = strsep(&rest, " "));)
        argv[argc++] = word;
    struct err *e = fleet_args_parse(argc, argv, a);
    snprintf(message, sizeof message, "%s", e ? e->message : "");
    err_free(e);
    return message;
}

static void command_lines(void)
{
    struct fleet_args a;
    CHECK_STR(parsed("-i x.yaml --parallel 3 status --json", &a), "");
    CHECK(a.json && a.parallel == 3 && strcmp(a.inventory, "x.yaml") == 0);
    fleet_args_fini(&a);
    CHECK_STR(parsed("run --boxes a -- status --json --boxes", &a), "");
    CHECK(a.word_count == 3 && !a.json && strcmp(a.selection.boxes, "a") == 0);
    fleet_args_fini(&a);
    CHECK(strstr(parsed("run -- status", &a), "say which"));
    fleet_args_fini(&a);
    CHECK(strstr(parsed("run --all --group g -- status", &a), "exclude"));
    fleet_args_fini(&a);
    CHECK(strstr(parsed("status x", &a), "expected"));
    fleet_args_fini(&a);
    CHECK(strstr(parsed("stauts", &a), "unknown command"));
    fleet_args_fini(&a);
    CHECK(strstr(parsed("status --parallel 0", &a), "whole number"));
    fleet_args_fini(&a);
    CHECK(strstr(parsed("status --parallel", &a), "after it"));
    fleet_args_fini(&a);
    CHECK(strstr(parsed("status --yes", &a), "unknown option"));
    fleet_args_fini(&a);
}

int main(void)
{
    RUN(merging);
    RUN(mistakes);
    RUN(limits);
    RUN(selecting);
    RUN(calling);
    RUN(command_lines);
    TEST_END();
}
