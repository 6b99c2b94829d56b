/* See cmd_network.h. */
#include "box/cmd_network.h"

#include "base/file.h"
#include "base/text.h"
#include "box/box.h"
#include "box/settings.h"
#include "store/small_file.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <yyjson.h>

#define STATE_BYTES_MAX (256u << 10)

static const struct network_paths box_paths = {BOX_DIR, BOX_SETTINGS, BOX_SETTINGS_BEFORE, BOX_RUN,
                                               BOX_CLOCK};

/* ---- what there is ---- */

static struct err *read_state(const struct network_paths *p, yyjson_doc **out)
{
    char *path = xprintf("%s/network.json", p->run_dir), *text = NULL;
    size_t len = 0;
    struct err *e = small_file_read(path, STATE_BYTES_MAX, &text, &len);
    *out = text ? yyjson_read(text, len, 0) : NULL;
    if (!e && !*out)
        e = err_hint(err_new(ERR_STATE, "the network process has said nothing yet"),
                     "look again in a few seconds");
    free(text);
    free(path);
    return e;
}

static const char *text_of(yyjson_val *o, const char *name)
{
    const char *text = yyjson_get_str(yyjson_obj_get(o, name));
    return text ? text : "";
}

static void print_list(FILE *out, const char *title, yyjson_val *list)
{
    yyjson_val *v;
    size_t i, count;
    if (yyjson_arr_size(list) == 0)
        return;
    fprintf(out, "%-11s", title);
    yyjson_arr_foreach(list, i, count, v)
    {
        fputs(i ? ", " : "", out);
        text_print(out, yyjson_get_str(v) ? yyjson_get_str(v) : "");
    }
    fputc('\n', out);
}

static void print_interface(FILE *out, yyjson_val *o)
{
    const char *name = text_of(o, "name"), *link = text_of(o, "link");
    bool up = yyjson_get_bool(yyjson_obj_get(o, "up")),
         carrier = yyjson_get_bool(yyjson_obj_get(o, "carrier"));
    int64_t vlan = yyjson_get_sint(yyjson_obj_get(o, "vlan"));
    yyjson_val *addresses = yyjson_obj_get(o, "addresses"), *v;
    size_t i, count;
    fprintf(out, "%-11s%s, mac %s, mtu %lld", name,
            !up       ? "down"
            : carrier ? "up"
                      : "no cable",
            text_of(o, "mac"), (long long)yyjson_get_sint(yyjson_obj_get(o, "mtu")));
    if (strcmp(name, link) != 0)
        fprintf(out, ", called %s by the kernel", link);
    if (vlan)
        fprintf(out, ", VLAN %lld", (long long)vlan);
    fprintf(out, "%s%s\n", yyjson_get_bool(yyjson_obj_get(o, "dhcp4")) ? ", DHCPv4" : "",
            yyjson_get_bool(yyjson_obj_get(o, "dhcp6")) ? ", IPv6 by router advertisements" : "");
    yyjson_arr_foreach(addresses, i, count, v)
    {
        fprintf(out, "%-11s%s\n", "", yyjson_get_str(v) ? yyjson_get_str(v) : "");
    }
}

static void print_settings(FILE *out, yyjson_val *s)
{
    yyjson_val *left = yyjson_obj_get(s, "confirm_left_s");
    fprintf(out, "%-11s%s\n", "settings",
            strcmp(text_of(s, "from"), "defaults") == 0 ? "none: defaults" : "box.yaml");
    static const char *const faults[] = {"error", "problems"};
    for (size_t i = 0; i < ARRAY_COUNT(faults); i++)
        if (text_of(s, faults[i])[0]) {
            fprintf(out, "%-11s", faults[i]);
            text_print(out, text_of(s, faults[i]));
            fputc('\n', out);
        }
    if (yyjson_is_num(left))
        fprintf(out, "%-11sthe change is taken back in %lld s: `network confirm` keeps it\n", "unconfirmed",
                (long long)yyjson_get_sint(left));
    if (yyjson_get_bool(yyjson_obj_get(s, "rolled_back")))
        fprintf(out, "%-11sthe last change was not confirmed, and the settings from before came back\n",
                "taken back");
}

struct err *network_show(const struct network_paths *p, bool json, FILE *out)
{
    yyjson_doc *doc;
    TRY(read_state(p, &doc));
    yyjson_val *o = yyjson_doc_get_root(doc), *v;
    size_t i, count;
    if (json) {
        char *text = yyjson_write(doc, 0, NULL);
        fprintf(out, "%s\n", text ? text : "{}");
        free(text);
        yyjson_doc_free(doc);
        return NULL;
    }
    fprintf(out, "%-11s%s%s\n", "network", yyjson_get_bool(yyjson_obj_get(o, "ok")) ? "ok" : "not ok: ",
            yyjson_get_bool(yyjson_obj_get(o, "ok")) ? "" : text_of(o, "detail"));
    fprintf(out, "%-11s%s\n", "hostname", text_of(o, "hostname"));
    yyjson_arr_foreach(yyjson_obj_get(o, "interfaces"), i, count, v) print_interface(out, v);
    print_list(out, "not there", yyjson_obj_get(o, "missing"));
    print_list(out, "gateways", yyjson_obj_get(o, "gateways"));
    print_list(out, "resolvers", yyjson_obj_get(o, "resolvers"));
    print_settings(out, yyjson_obj_get(o, "settings"));
    yyjson_doc_free(doc);
    return NULL;
}

/* ---- changes ---- */

static int64_t boottime_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Those that `network set` leaves alone must be as they are, or not said: this is no way to a root shell. */
static struct err *check_the_rest(const struct settings *now, const struct settings *wanted)
{
    struct settings defaults;
    settings_defaults(&defaults);
    const struct {
        const char *key;
        int64_t now, wanted, standard;
    } rest[] = {
        {"ssh.root_shell", now->root_shell, wanted->root_shell, defaults.root_shell},
        {"console.enabled", now->console, wanted->console, defaults.console},
        {"configuration.signed", now->configuration_signed, wanted->configuration_signed,
         defaults.configuration_signed},
        {"upgrade.trial", now->trial_us, wanted->trial_us, defaults.trial_us},
        {"hugepages.share", now->hugepages_share, wanted->hugepages_share, defaults.hugepages_share},
        {"cores.isolate", now->isolate_cores, wanted->isolate_cores, defaults.isolate_cores},
    };
    struct err *errs = NULL;
    for (size_t i = 0; i < ARRAY_COUNT(rest); i++)
        if (rest[i].wanted != rest[i].now && rest[i].wanted != rest[i].standard)
            err_append(&errs,
                       err_hint(err_new(ERR_CONFIG, "%s cannot be changed by this command", rest[i].key),
                                "it sets hostname, network and time; the rest comes with provisioning"));
    return errs;
}

static void take_network(struct settings *to, const struct settings *from)
{
    memcpy(to->hostname, from->hostname, sizeof to->hostname);
    to->resolver_count = from->resolver_count;
    memcpy(to->resolvers, from->resolvers, sizeof to->resolvers);
    to->every_interface = from->every_interface;
    to->interface_count = from->interface_count;
    memcpy(to->interfaces, from->interfaces, sizeof to->interfaces);
    to->servers_given = from->servers_given;
    to->server_count = from->server_count;
    memcpy(to->servers, from->servers, sizeof to->servers);
}

static const char *name_in_dir(const char *path)
{
    return strrchr(path, '/') + 1;
}

static struct err *write_settings(const struct network_paths *p, const struct settings *s)
{
    struct buf b = {0};
    settings_write(s, &b);
    struct err *e = small_file_replace(p->dir, name_in_dir(p->settings), b.p, b.len);
    buf_fini(&b);
    return e;
}

/* A file that is wrong is not used by the box either: what is set comes upon the defaults. */
static void load_present(const struct network_paths *p, struct settings *out)
{
    err_free(settings_load(p->settings, out));
}

/* First the deadline, then the former file, then the new one: whatever is interrupted, the box keeps or gets the former settings. A second
 * change within the time goes back to the same ones. */
static struct err *begin_probation(const struct network_paths *p)
{
    char text[32], *old = NULL;
    size_t len = 0;
    int n =
        snprintf(text, sizeof text, "%lld\n", (long long)boottime_ms() + NETWORK_CONFIRM_S * INT64_C(1000));
    TRY(small_file_replace(p->run_dir, "network-deadline", text, (size_t)n));
    if (access(p->before, F_OK) == 0)
        return NULL;
    struct err *e = small_file_read(p->settings, SETTINGS_BYTES_MAX, &old, &len);
    if (!e)
        e = small_file_replace(p->dir, name_in_dir(p->before), old, len);
    free(old);
    return e;
}

struct err *network_set(const struct network_paths *p, FILE *in, bool json, FILE *out)
{
    static struct settings now, wanted;
    char *text = xmalloc(SETTINGS_BYTES_MAX + 1);
    size_t len = fread(text, 1, SETTINGS_BYTES_MAX + 1, in);
    struct err *e = ferror(in) ? err_errno(ERR_IO, "cannot read the settings") : NULL;
    if (!e)
        e = settings_parse("stdin", text, len, &wanted);
    free(text);
    load_present(p, &now);
    if (!e)
        e = check_the_rest(&now, &wanted);
    if (!e)
        e = begin_probation(p);
    take_network(&now, &wanted);
    if (!e)
        e = write_settings(p, &now);
    if (e)
        return e;
    if (json)
        fprintf(out, "{\"ok\":true,\"confirm_left_s\":%d}\n", NETWORK_CONFIRM_S);
    else
        fprintf(out,
                "The settings are in force. They are taken back in %d s unless you say:\n"
                "  network confirm\n",
                NETWORK_CONFIRM_S);
    return NULL;
}

struct err *network_confirm(const struct network_paths *p, bool json, FILE *out)
{
    bool any = access(p->before, F_OK) == 0;
    if (any && unlink(p->before) != 0)
        return err_errno(ERR_IO, "cannot confirm the settings");
    char *deadline = xprintf("%s/network-deadline", p->run_dir);
    (void)unlink(deadline);
    free(deadline);
    if (!any)
        return err_hint(err_new(ERR_STATE, "there is no change to confirm"),
                        "a change that was not confirmed in time has been taken back: `network` tells");
    fputs(json ? "{\"ok\":true}\n" : "Confirmed.\n", out);
    return NULL;
}

static struct err *signal_process(const struct network_paths *p, int sig)
{
    char text[16], *path = xprintf("%s/network.pid", p->run_dir);
    size_t len = file_text(path, text, sizeof text);
    free(path);
    long pid = len ? strtol(text, NULL, 10) : 0;
    return pid > 1 && kill((pid_t)pid, sig) == 0 ? NULL
                                                 : err_new(ERR_STATE, "the network process does not run");
}

struct err *network_renew(const struct network_paths *p)
{
    return signal_process(p, SIGUSR1);
}

struct err *hostname_set(const struct network_paths *p, const char *name)
{
    static struct settings s;
    if (!settings_hostname_valid(name))
        return err_hint(err_new(ERR_CONFIG, "\"%.*s\" is no hostname", TEXT_QUOTED_CSTR(name, 80)),
                        "letters, digits and inner hyphens, in labels of at most 63, at most 64 in all");
    TRY(settings_load(p->settings, &s));
    snprintf(s.hostname, sizeof s.hostname, "%s", name);
    return write_settings(p, &s);
}

/* ---- time ---- */

static void print_time(yyjson_val *t, FILE *out)
{
    time_t now = time(NULL);
    struct tm utc;
    char text[32] = "";
    if (gmtime_r(&now, &utc))
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
    bool synced = yyjson_get_bool(yyjson_obj_get(t, "synced"));
    fprintf(out, "%-11s%s\n%-11s%s", "now", text, "clock", synced ? "synchronized" : "not synchronized: ");
    if (!synced)
        fputs(text_of(t, "detail")[0] ? text_of(t, "detail") : text_of(t, "state"), out);
    fputc('\n', out);
    print_list(out, "servers", yyjson_obj_get(t, "servers"));
    if (!synced)
        return;
    fprintf(out, "%-11s%lld of %lld asked agree; stratum %lld\n", "answers",
            (long long)yyjson_get_sint(yyjson_obj_get(t, "agreed")),
            (long long)yyjson_get_sint(yyjson_obj_get(t, "asked")),
            (long long)yyjson_get_sint(yyjson_obj_get(t, "stratum")));
    fprintf(out, "%-11s%.3f ms, %.3f ms there and back\n", "offset",
            (double)yyjson_get_sint(yyjson_obj_get(t, "offset_us")) / 1000,
            (double)yyjson_get_sint(yyjson_obj_get(t, "delay_us")) / 1000);
}

struct err *time_show(const struct network_paths *p, bool json, FILE *out)
{
    yyjson_doc *doc;
    TRY(read_state(p, &doc));
    yyjson_val *t = yyjson_obj_get(yyjson_doc_get_root(doc), "time");
    if (json) {
        char *text = yyjson_val_write(t, 0, NULL);
        fprintf(out, "%s\n", text ? text : "{}");
        free(text);
    } else {
        print_time(t, out);
    }
    yyjson_doc_free(doc);
    return NULL;
}

struct err *time_reset(const struct network_paths *p)
{
    if (unlink(p->clock) != 0 && errno != ENOENT)
        return err_errno(ERR_IO, "cannot forget the time");
    return signal_process(p, SIGHUP); /* it looks at the floor again */
}

/* ---- the commands ---- */

static int finish(struct err *e)
{
    if (!e)
        return 0;
    for (const struct err *one = e; one; one = one->next) {
        fputs("penstock: ", stderr);
        if (one->line)
            fprintf(stderr, "%s:%d:%d: ", one->file ? one->file : "", one->line, one->column);
        text_print(stderr, one->message);
        fputc('\n', stderr);
        if (one->hint)
            fprintf(stderr, "  hint: %s\n", one->hint);
    }
    int status = e->code == ERR_CONFIG || e->code == ERR_UNSUPPORTED ? 2 : 1;
    err_free(e);
    return status;
}

/* Takes --json out of the words. False: there are more than `most` others, or an unknown option. */
static bool read_words(int argc, char **argv, const char **words, int most, int *count, bool *json)
{
    *count = 0;
    *json = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0)
            *json = true;
        else if (argv[i][0] == '-' || *count == most)
            return false;
        else
            words[(*count)++] = argv[i];
    }
    return true;
}

static int usage(const char *text)
{
    fprintf(stderr, "penstock: usage: %s\n", text);
    return 2;
}

int cmd_network(int argc, char **argv)
{
    const char *word = "show";
    int count;
    bool json;
    if (!read_words(argc, argv, &word, 1, &count, &json))
        return usage("network [show | set | confirm | renew] [--json]");
    if (strcmp(word, "show") == 0)
        return finish(network_show(&box_paths, json, stdout));
    if (strcmp(word, "set") == 0)
        return finish(network_set(&box_paths, stdin, json, stdout));
    if (strcmp(word, "confirm") == 0)
        return finish(network_confirm(&box_paths, json, stdout));
    if (strcmp(word, "renew") == 0)
        return finish(network_renew(&box_paths));
    return usage("network [show | set | confirm | renew] [--json]");
}

int cmd_hostname(int argc, char **argv)
{
    const char *word = NULL;
    char now[65] = "";
    int count;
    bool json;
    if (!read_words(argc, argv, &word, 1, &count, &json))
        return usage("hostname [NAME]");
    if (count)
        return finish(hostname_set(&box_paths, word));
    (void)gethostname(now, sizeof now - 1);
    printf(json ? "{\"hostname\":\"%s\"}\n" : "%s\n", now);
    return 0;
}

int cmd_time(int argc, char **argv)
{
    const char *word = NULL;
    int count;
    bool json;
    if (!read_words(argc, argv, &word, 1, &count, &json) || (count && strcmp(word, "reset") != 0))
        return usage("time [reset] [--json]");
    return finish(count ? time_reset(&box_paths) : time_show(&box_paths, json, stdout));
}
