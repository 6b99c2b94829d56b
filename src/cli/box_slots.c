/* `upgrade`, `rollback` and `slot`; see box/upgrade.h and box/trial.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "cli/box_commands.h"

#include "base/file.h"
#include "base/text.h"
#include "box/settings.h"
#include "box/trial.h"
#include "box/upgrade.h"
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#define LOCK BOX_RUN "/upgrade.lock"

static struct err *lock_upgrades(int *fd)
{
    *fd = open(LOCK, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (*fd < 0)
        return err_errno(ERR_IO, "cannot open " LOCK);
    if (flock(*fd, LOCK_EX | LOCK_NB) == 0)
        return NULL;
    struct err *e = errno == EWOULDBLOCK ? err_hint(err_new(ERR_STATE, "another upgrade is running"),
                                                    "`slot` tells what becomes of it")
                                         : err_errno(ERR_IO, "cannot lock " LOCK);
    close(*fd);
    *fd = -1;
    return e;
}

static struct err *needs_running(const struct slots *s)
{
    return s->running != SLOT_NONE
               ? NULL
               : err_hint(err_new(ERR_STATE, "it is not known which slot runs: the loader does not say"),
                          "boot the box by UEFI, from its disk");
}

static int restart_now(bool no_restart)
{
    char *words[] = {"reboot", NULL};
    if (!no_restart)
        return box_power(1, words);
    puts("the next restart starts it");
    return EXIT_DONE;
}

/* ---- upgrade ---- */

static struct err *trusted_keys(struct trust *t)
{
    TRY(trust_load(t, BOX_IMAGE_KEYS));
    TRY(trust_load(t, BOX_TRUST));
    if (t->count)
        return NULL;
    return err_hint(
        err_new(ERR_AUTH, "this box trusts no key: it takes no image"),
        "give it the public key of who signs them: `key add <NAME.pub`, or penstock/keys/ when it is "
        "provisioned");
}

/* Per cent on a terminal, a line for each tenth elsewhere. */
static bool show_progress(void *ctx, uint64_t done, uint64_t all)
{
    int *shown = ctx, now = (int)(done * 100 / all);
    const bool terminal = isatty(STDERR_FILENO);
    if (now == *shown || (!terminal && now / 10 == *shown / 10))
        return true;
    *shown = now;
    fprintf(stderr, terminal ? "\rwriting and reading back: %d %%" : "writing and reading back: %d %%\n",
            now);
    if (terminal && now == 100)
        fputc('\n', stderr);
    return true;
}

static void describe(const struct bundle_manifest *m, struct image_info *out)
{
    memset(out, 0, sizeof *out);
    snprintf(out->version, sizeof out->version, "%s", m->version);
    snprintf(out->build, sizeof out->build, "%s", m->build);
}

static struct err *write_slot(const struct trial_world *w, struct bundle *b)
{
    int shown = -1;
    struct slot_io io;
    struct image_info image;
    const struct upgrade_tick tick = {show_progress, &shown};
    TRY(trial_hold(w));
    TRY(slot_open(&w->slots->part[slot_other(w->slots->running)], true, &io));
    struct err *e = upgrade_write(b, &io, &tick);
    slot_close(&io);
    TRY(e);
    describe(bundle_manifest(b), &image);
    return trial_arm(w, &image);
}

static struct err *upgrade_from(const struct bundle_input *in, const struct trust *trust, bool force)
{
    struct trial_room room;
    struct trial_world w;
    struct image_info running;
    struct upgrade_box box = {.board = box_board(), .running = &running, .force = force};
    struct bundle *b;
    TRY(trial_world_find(&room, &w));
    TRY(needs_running(w.slots));
    TRY(image_info_load(BOX_IMAGE_JSON, &running));
    TRY(store_format_read(BOX_STORE, &box.data_format));
    TRY(bundle_open(in, trust, &b));
    struct err *e = upgrade_check(bundle_manifest(b), &box);
    if (!e) {
        const struct bundle_manifest *m = bundle_manifest(b);
        printf("version %s build %s, signed by %s, goes into slot %s\n", m->version, m->build,
               bundle_signer(b)->comment, slot_name(slot_other(w.slots->running)));
        if (box.data_format && m->store_format > box.data_format)
            printf("the data are converted from format %u to %u once the slot is confirmed; the slot that "
                   "runs now cannot "
                   "open them after that\n",
                   box.data_format, m->store_format);
        fflush(stdout);
        e = write_slot(&w, b);
    }
    bundle_close(b);
    return e;
}

int box_upgrade(int argc, char **argv)
{
    bool force = false, no_restart = false;
    int lock = -1, in = STDIN_FILENO;
    for (int i = 1; i < argc; i++) {
        force |= strcmp(argv[i], "--force") == 0;
        no_restart |= strcmp(argv[i], "--no-restart") == 0;
        if (strcmp(argv[i], "--force") != 0 && strcmp(argv[i], "--no-restart") != 0) {
            fputs("usage: upgrade [--force] [--no-restart] <IMAGE.pimage\n", stderr);
            return EXIT_USAGE;
        }
    }
    if (!box_board() || isatty(in)) {
        fputs(box_board() ? "penstock: upgrade reads an image's bundle from standard input\n"
                          : "penstock: this machine is no Penstock box\n",
              stderr);
        return box_board() ? EXIT_USAGE : EXIT_FAILED;
    }
    const struct bundle_input input = bundle_input_fd(&in);
    struct trust *trust = xcalloc(1, sizeof *trust);
    struct err *e = trusted_keys(trust);
    if (!e)
        e = lock_upgrades(&lock);
    if (!e)
        e = upgrade_from(&input, trust, force);
    free(trust);
    if (e) {
        if (lock >= 0)
            close(lock);
        return cli_report(e);
    }
    puts("written and verified; it is started on trial, and gone back from unless it becomes healthy");
    return restart_now(no_restart);
}

/* ---- rollback ---- */

static struct err *roll_back(void)
{
    struct trial_room room;
    struct trial_world w;
    struct slot_io io;
    struct slot_content c;
    uint32_t data_format;
    TRY(trial_world_find(&room, &w));
    TRY(needs_running(w.slots));
    const int other = slot_other(w.slots->running);
    TRY(slot_open(&w.slots->part[other], false, &io));
    slot_look(&io, &c);
    slot_close(&io);
    if (!c.valid || !c.named)
        return err_hint(err_new(ERR_STATE, "slot %s holds no image that could be started", slot_name(other)),
                        "`upgrade` writes one");
    if (strcmp(c.image.board, box_board() ? box_board() : "") != 0)
        return err_new(ERR_STATE, "slot %s holds an image for the board %s", slot_name(other), c.image.board);
    TRY(store_format_read(BOX_STORE, &data_format));
    TRY(upgrade_format_check("the image of the other slot", c.image.store_format, c.image.store_format_oldest,
                             data_format));
    TRY(trial_arm(&w, &c.image));
    printf("slot %s, version %s build %s, is started on trial\n", slot_name(other), c.image.version,
           c.image.build);
    return NULL;
}

int box_rollback(int argc, char **argv)
{
    int lock = -1;
    const bool no_restart = argc == 2 && strcmp(argv[1], "--no-restart") == 0;
    if (argc > 2 || (argc == 2 && !no_restart)) {
        fputs("usage: rollback [--no-restart]\n", stderr);
        return EXIT_USAGE;
    }
    struct err *e = lock_upgrades(&lock);
    if (!e)
        e = roll_back();
    if (e) {
        if (lock >= 0)
            close(lock);
        return cli_report(e);
    }
    return restart_now(no_restart);
}

/* ---- slot ---- */

struct status {
    struct slots slots;
    struct slot_content content[SLOT_COUNT];
    struct trial_record record;
    int64_t left_s; /* of the trial */
};

static int64_t trial_left_s(void)
{
    struct settings s;
    char text[64];
    err_free(settings_load(BOX_SETTINGS, &s));
    const double up = file_text("/proc/uptime", text, sizeof text) ? strtod(text, NULL) : 0;
    const int64_t left = s.trial_us / 1000000 - (int64_t)up;
    return left > 0 ? left : 0;
}

static struct err *status_read(struct status *s)
{
    struct trial_room room;
    struct trial_world w;
    TRY(trial_world_find(&room, &w));
    s->slots = room.slots;
    for (int i = 0; i < SLOT_COUNT; i++) {
        struct slot_io io;
        s->content[i] = (struct slot_content){0};
        struct err *e = slot_open(&s->slots.part[i], false, &io);
        if (!e) {
            slot_look(&io, &s->content[i]);
            slot_close(&io);
        }
        err_free(e); /* one that cannot be read is not valid */
    }
    s->left_s = trial_left_s();
    return trial_record_load(w.dir, &s->record);
}

static const char *when(int64_t at_s, char out[32])
{
    time_t t = (time_t)at_s;
    struct tm tm;
    if (!gmtime_r(&t, &tm) || !strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm))
        out[0] = 0;
    return out;
}

static const char *result_name(enum trial_result r)
{
    return r == TRIAL_RESULT_CONFIRMED ? "confirmed" : "rolled-back";
}

static void put_content(yyjson_mut_doc *d, yyjson_mut_val *to, int slot, const struct slot_content *c)
{
    if (!c->valid && !c->named) {
        yyjson_mut_obj_add_null(d, to, slot_name(slot));
        return;
    }
    yyjson_mut_val *v = yyjson_mut_obj_add_obj(d, to, slot_name(slot));
    yyjson_mut_obj_add_str(d, v, "version", c->image.version);
    yyjson_mut_obj_add_str(d, v, "build", c->image.build);
    yyjson_mut_obj_add_bool(d, v, "valid", c->valid);
}

static void print_json(const struct status *s)
{
    char at[32];
    yyjson_mut_doc *d = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(d);
    const char *state = trial_state(&s->record, s->slots.running);
    yyjson_mut_doc_set_root(d, root);
    if (s->slots.running == SLOT_NONE)
        yyjson_mut_obj_add_null(d, root, "running");
    else
        yyjson_mut_obj_add_str(d, root, "running", slot_name(s->slots.running));
    yyjson_mut_obj_add_str(d, root, "state", state);
    yyjson_mut_val *slots = yyjson_mut_obj_add_obj(d, root, "slots");
    for (int i = 0; i < SLOT_COUNT; i++)
        put_content(d, slots, i, &s->content[i]);
    if (strcmp(state, "trial") == 0)
        yyjson_mut_obj_add_sint(d, yyjson_mut_obj_add_obj(d, root, "trial"), "left_s", s->left_s);
    else
        yyjson_mut_obj_add_null(d, root, "trial");
    if (s->record.last == TRIAL_RESULT_NONE) {
        yyjson_mut_obj_add_null(d, root, "last");
    } else {
        yyjson_mut_val *last = yyjson_mut_obj_add_obj(d, root, "last");
        yyjson_mut_obj_add_str(d, last, "result", result_name(s->record.last));
        yyjson_mut_obj_add_str(d, last, "reason", s->record.reason);
        yyjson_mut_obj_add_str(d, last, "version", s->record.last_version);
        yyjson_mut_obj_add_str(d, last, "build", s->record.last_build);
        yyjson_mut_obj_add_str(d, last, "at", when(s->record.last_at_s, at));
    }
    char *text = yyjson_mut_write(d, YYJSON_WRITE_ALLOW_INVALID_UNICODE, NULL);
    puts(text ? text : "{}");
    free(text);
    yyjson_mut_doc_free(d);
}

static void print_text(const struct status *s)
{
    char at[32];
    const char *state = trial_state(&s->record, s->slots.running);
    for (int i = 0; i < SLOT_COUNT; i++) {
        const struct slot_content *c = &s->content[i];
        printf("slot %s  %-12s %-24s %s\n", slot_name(i), c->named ? c->image.version : "-",
               c->named ? c->image.build : "-",
               i == s->slots.running ? state
               : c->valid            ? ""
                                     : "holds no image");
    }
    if (strcmp(state, "trial") == 0)
        printf("on trial: %lld s left to become healthy\n", (long long)s->left_s);
    if (s->record.last != TRIAL_RESULT_NONE)
        printf("last upgrade: version %s build %s %s at %s%s%s\n", s->record.last_version,
               s->record.last_build, result_name(s->record.last), when(s->record.last_at_s, at),
               *s->record.reason ? ": " : "", s->record.reason);
}

int box_slot(int argc, char **argv)
{
    struct status s;
    const bool json = argc == 2 && strcmp(argv[1], "--json") == 0;
    if (argc > 2 || (argc == 2 && !json)) {
        fputs("usage: slot [--json]\n", stderr);
        return EXIT_USAGE;
    }
    struct err *e = status_read(&s);
    if (e)
        return cli_report(e);
    if (json)
        print_json(&s);
    else
        print_text(&s);
    return EXIT_DONE;
}
