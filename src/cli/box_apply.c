/* `check` and `apply` on a box: a configuration is staged, checked as the pipeline's user, put in the place of the present one, and
 * handed to the running instance; one that is refused leaves everything as it was.
 *
 * An instance that runs this path takes the new files over by `penstock apply`. One that runs another (the image's default, as there was
 * none, or as the present one cannot start), or none, is ended, and PID 1 starts it with the new one.
 * From the exchange on, the end of the session no longer interrupts it. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "cli/box_commands.h"
#include "cli/box_input.h"
#include "cli/instance.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/text.h"
#include "box/config_store.h"
#include "box/program.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <yyjson.h>

#define CHECK_TIMEOUT_MS (600 * 1000) /* sources may take their time to answer */
#define START_WAIT_S     180          /* for PID 1 to start an instance with it */
#define TEXT_BYTES_MAX   (1 << 20)

struct application {
    bool json, previous, breaking, files, only_check;
    struct buf in, tar;
    struct buf text; /* what the commands said */
    char *dir, *yaml, *store;
    uid_t uid;
    gid_t gid;
};

/* ---- what is said ---- */

static bool is_change(const char *line, size_t len)
{
    static const char *const ends[] = {" (none)", " (compatible)", " (breaking)"};
    for (size_t i = 0; i < ARRAY_COUNT(ends); i++) {
        size_t n = strlen(ends[i]);
        if (len > n + 2 && line[0] == ' ' && line[1] == ' ' && memcmp(line + len - n, ends[i], n) == 0)
            return true;
    }
    return false;
}

static void add_changes(const struct application *a, yyjson_mut_doc *doc, yyjson_mut_val *root)
{
    static const char head[] = "contract change: ";
    yyjson_mut_val *list = yyjson_mut_obj_add_arr(doc, root, "changes");
    const char *p = (const char *)a->text.p, *end = p + a->text.len;
    while (p < end) {
        const char *stop = memchr(p, '\n', (size_t)(end - p));
        size_t len = (size_t)((stop ? stop : end) - p);
        if (len > sizeof head && memcmp(p, head, sizeof head - 1) == 0)
            yyjson_mut_obj_add_strncpy(doc, root, "change", p + sizeof head - 1,
                                       strcspn(p + sizeof head - 1, ":\n"));
        else if (is_change(p, len) && utf8_valid((const uint8_t *)p, len))
            yyjson_mut_arr_add_strncpy(doc, list, p + 2, len - 2);
        p = stop ? stop + 1 : end;
    }
}

static void print_json(struct application *a, bool ok)
{
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    yyjson_mut_doc_set_root(doc, root);
    yyjson_mut_obj_add_bool(doc, root, "ok", ok);
    buf_put_u8(&a->text, 0);
    a->text.len--;
    add_changes(a, doc, root);
    size_t len = text_whole(a->text.p, a->text.len);
    bool text = utf8_valid(a->text.p, len);
    yyjson_mut_obj_add_strn(doc, root, "text", text ? (const char *)a->text.p : "", text ? len : 0);
    char *out = yyjson_mut_write(doc, 0, NULL);
    puts(out ? out : "{\"ok\":false}");
    free(out);
    yyjson_mut_doc_free(doc);
}

static void note(struct application *a, struct err *e)
{
    char *text = e ? err_text(e) : NULL;
    if (text)
        buf_printf(&a->text, "penstock: %s\n", text);
    free(text);
}

/* ---- judging ---- */

/* `penstock check` of the folder, from within, so that errors name files as their owner knows them. */
static struct err *judge(struct application *a, const char *dir, int *status)
{
    const char *argv[] = {"penstock", "check", "-c", "penstock.yaml", "--data", a->store, NULL};
    struct program p = {.argv = argv,
                        .dir = dir,
                        .as = BOX_PENSTOCK,
                        .out = &a->text,
                        .err = &a->text,
                        .most = TEXT_BYTES_MAX,
                        .timeout_ms = CHECK_TIMEOUT_MS};
    TRY(program_run(&p, status));
    if (!a->json && a->text.len)
        fwrite(a->text.p, 1, a->text.len, *status ? stderr : stdout);
    fflush(stdout);
    return NULL;
}

/* The folder that is in force: without one of its own, the box runs the image's. */
static char *present_dir(const struct application *a)
{
    char *yaml = xprintf("%s/current/penstock.yaml", a->dir);
    char *dir = access(yaml, F_OK) == 0 ? xprintf("%s/current", a->dir) : box_file(BOX_DEFAULT_CONFIG);
    free(yaml);
    return dir;
}

static struct err *check_given(struct application *a, int *status)
{
    struct scratch scratch;
    TRY(box_input_archive(&a->in, a->files, &a->tar));
    TRY(config_store_unpack(a->dir, a->uid, a->gid, &a->tar, &scratch));
    struct err *e = judge(a, scratch.path, status);
    scratch_remove(&scratch);
    return e;
}

static struct err *check_only(struct application *a, int *status)
{
    if (a->in.len)
        return check_given(a, status);
    char *path = present_dir(a);
    struct err *e = judge(a, path, status);
    free(path);
    return e;
}

/* ---- the running instance ---- */

static bool run_file(const struct application *a, const char *name, char *out, size_t size)
{
    char *path = xprintf("%s/run/%s", a->store, name);
    size_t len = file_text(path, out, size);
    free(path);
    out[strcspn(out, "\n")] = 0;
    return len > 0;
}

static bool runs_this(const struct application *a)
{
    char running[4096] = "", *want = realpath(a->yaml, NULL);
    bool same = want && run_file(a, "config", running, sizeof running) && strcmp(running, want) == 0;
    free(want);
    return same;
}

static unsigned supervisor(const struct application *a)
{
    struct instance i;
    struct err *e = instance_peek(a->store, &i);
    if (e) {
        err_free(e);
        return 0;
    }
    unsigned pid = i.supervisor;
    instance_close(&i);
    return pid;
}

static unsigned long judged(const struct application *a, bool *accepted)
{
    char line[64] = "0 refused";
    run_file(a, "reload", line, sizeof line);
    *accepted = strstr(line, "accepted") != NULL;
    return strtoul(line, NULL, 10);
}

/* By the instance itself. *taken: it goes on with the new one, even where the command has failed (ingest is paused, ...). */
static struct err *take_over(struct application *a, int *status, bool *taken)
{
    bool accepted;
    const char *argv[] = {
        "penstock", "apply", "-c", a->yaml, "--data", a->store, a->breaking ? "--breaking" : NULL, NULL};
    struct buf said = {0}; /* what check prints again is not shown twice */
    struct program p = {.argv = argv,
                        .as = BOX_PENSTOCK,
                        .apart = true,
                        .out = &said,
                        .err = a->json ? &a->text : NULL,
                        .most = TEXT_BYTES_MAX};
    unsigned long before = judged(a, &accepted);
    struct err *e = program_run(&p, status);
    *taken = judged(a, &accepted) > before && accepted;
    *taken |= !e && *status == EXIT_DONE;
    buf_fini(&said);
    return e;
}

static bool pipeline_up(const struct application *a)
{
    struct instance i;
    struct err *e = instance_open(a->store, &i);
    if (e) {
        err_free(e);
        return false;
    }
    uint32_t state = i.gate && i.pipeline ? atomic_load(&i.gate->pipeline_state) : PIPELINE_DOWN;
    instance_close(&i);
    return state == PIPELINE_RUNNING || state == PIPELINE_PAUSED || state == PIPELINE_REBUILDING;
}

static struct err *start_anew(struct application *a, int *status, bool *taken)
{
    unsigned old = supervisor(a), now = old;
    bool ready = false;
    *status = EXIT_FAILED;
    *taken = false;
    if (old && kill((pid_t)old, SIGTERM) != 0 && errno != ESRCH)
        return err_errno(ERR_STATE, "cannot end the instance that runs the former configuration");
    int64_t until = steady_us() + START_WAIT_S * 1000000LL;
    while (!ready && steady_us() < until) {
        poll(NULL, 0, 100);
        now = supervisor(a);
        if (now && now != old && !runs_this(a) && pipeline_up(a))
            return err_hint(err_new(ERR_STATE, "the pipeline does not start with this configuration"),
                            "`logs --unit penstock` says why");
        ready = now && now != old && runs_this(a) && pipeline_up(a);
    }
    if (!ready)
        return err_new(ERR_STATE, "the pipeline has not started with this configuration in %d s",
                       START_WAIT_S);
    *taken = true;
    *status = EXIT_DONE;
    return NULL;
}

static struct err *hand_to_instance(struct application *a, int *status, bool *taken)
{
    return supervisor(a) && runs_this(a) ? take_over(a, status, taken) : start_anew(a, status, taken);
}

/* ---- applying ---- */

static void go_on_alone(void)
{
    static const int signals[] = {SIGTERM, SIGHUP, SIGINT, SIGPIPE};
    for (size_t i = 0; i < ARRAY_COUNT(signals); i++)
        signal(signals[i], SIG_IGN);
}

/* Back to what was, for the files and for PID 1, which may have started something else meanwhile. */
static struct err *take_back(struct application *a, struct config_store *s, bool restarted)
{
    struct err *e = config_store_undo(s);
    unsigned pid = restarted ? supervisor(a) : 0;
    if (pid)
        kill((pid_t)pid, SIGTERM);
    return e ? err_wrap(e, "going back to the former configuration") : NULL;
}

static struct err *exchange(struct application *a, struct config_store *s, int *status)
{
    bool taken = false, restarts = !(supervisor(a) && runs_this(a));
    TRY(a->previous ? config_store_begin_previous(s) : config_store_begin(s));
    struct err *e = hand_to_instance(a, status, &taken);
    if (e)
        *status = EXIT_FAILED;
    if (taken)
        err_append(&e, config_store_commit(s));
    else
        err_append(&e, take_back(a, s, restarts));
    return e;
}

static struct err *stage_and_exchange(struct application *a, struct config_store *s, int *status)
{
    char *dir = xprintf("%s/%s", a->dir, a->previous ? "previous" : "next");
    struct err *e = NULL;
    if (a->previous && access(dir, F_OK) != 0)
        e = err_new(ERR_STATE, "there is no previous configuration");
    if (!e && !a->previous)
        e = box_input_archive(&a->in, a->files, &a->tar);
    if (!e && !a->previous)
        e = config_store_stage(s, &a->tar);
    if (!e)
        e = judge(a, dir, status);
    if (!e && *status == EXIT_DONE) {
        go_on_alone();
        e = exchange(a, s, status);
    }
    free(dir);
    return e;
}

/* What is there, after its variables, certificates or the instance have changed. */
static struct err *apply_present(struct application *a, int *status)
{
    char *dir = present_dir(a);
    bool own = access(a->yaml, F_OK) == 0, taken;
    struct err *e = own ? judge(a, dir, status) : err_new(ERR_STATE, "this box has no configuration yet");
    free(dir);
    return e || *status ? e : hand_to_instance(a, status, &taken);
}

static struct err *apply(struct application *a, int *status)
{
    struct config_store s;
    TRY(config_store_open(&s, a->dir, a->uid, a->gid));
    struct err *e = a->previous || a->in.len ? stage_and_exchange(a, &s, status) : apply_present(a, status);
    config_store_close(&s);
    return e;
}

/* ---- the commands ---- */

static int usage(bool only_check)
{
    fputs(only_check ? "usage: check [--files] [--json] [<FILE]\n"
                     : "usage: apply [--files] [--previous] [--breaking] [--json] [<FILE]\n",
          stderr);
    return EXIT_USAGE;
}

static bool read_options(struct application *a, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        bool *flag = strcmp(argv[i], "--json") == 0       ? &a->json
                     : strcmp(argv[i], "--files") == 0    ? &a->files
                     : a->only_check                      ? NULL
                     : strcmp(argv[i], "--previous") == 0 ? &a->previous
                     : strcmp(argv[i], "--breaking") == 0 ? &a->breaking
                                                          : NULL;
        if (!flag)
            return false;
        *flag = true;
    }
    return true;
}

static int run(struct application *a)
{
    int status = EXIT_FAILED;
    bool ours = geteuid() != 0 || box_root[0];
    a->uid = ours ? (uid_t)-1 : BOX_ROOT;
    a->gid = ours ? (gid_t)-1 : BOX_PENSTOCK;
    a->dir = box_file(BOX_CONFIG_STORE);
    a->yaml = box_file(BOX_YAML);
    a->store = box_file(BOX_STORE);
    struct err *e = a->previous ? NULL : box_input_read(&a->in);
    if (!e)
        e = a->only_check ? check_only(a, &status) : apply(a, &status);
    note(a, a->json ? e : NULL);
    if (e && !status)
        status = EXIT_FAILED;
    if (a->json) {
        if (e && e->code == ERR_CONFIG)
            status = EXIT_USAGE;
        err_free(e);
        print_json(a, status == EXIT_DONE);
    } else if (e) {
        status = cli_report(e);
    } else if (!a->only_check && status == EXIT_DONE) {
        puts("applied");
    }
    buf_fini(&a->in);
    buf_fini(&a->tar);
    buf_fini(&a->text);
    free(a->dir);
    free(a->yaml);
    free(a->store);
    return status;
}

int box_check(int argc, char **argv)
{
    struct application a = {.only_check = true};
    return read_options(&a, argc, argv) ? run(&a) : usage(true);
}

int box_apply(int argc, char **argv)
{
    struct application a = {0};
    return read_options(&a, argc, argv) && !(a.previous && a.files) ? run(&a) : usage(false);
}
