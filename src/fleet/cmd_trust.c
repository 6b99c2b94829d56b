/* `penstock fleet trust`: takes up the host keys of boxes that are not known yet, into known_hosts. Each key's fingerprint is shown before; with
 * --fingerprints it must be in a file, which came another way (a box shows its own on the serial console). A box that is known by
 * another key is never taken up: that is for the operator to judge. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "fleet/commands.h"
#include "fleet/ssh.h"

#include <errno.h>
#include <fcntl.h>
#include <mbedtls/base64.h>
#include <mbedtls/sha256.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FLEET_KEYS_MAX   8     /* of a box */
#define FLEET_KEYS_BYTES 65536 /* that ssh-keyscan prints of one */

struct key {
    const char *type, *base64; /* the arena's */
    char print[64];            /* SHA256:... */
    bool known;
};
struct keys {
    uint32_t count, fresh;
    struct key all[FLEET_KEYS_MAX];
};
struct trust {
    struct keys *of; /* by task */
    char *prints;    /* the text of --fingerprints, or NULL */
};

/* ---- keys ---- */

/* As ssh shows it: SHA-256 of the key's bytes, base64 without the = at its end. */
static bool fingerprint(const char *base64, char out[64])
{
    unsigned char raw[8192], hash[32], text[64];
    size_t len = 0, n = 0;
    if (mbedtls_base64_decode(raw, sizeof raw, &len, (const unsigned char *)base64, strlen(base64)) != 0 ||
        mbedtls_sha256(raw, len, hash, 0) != 0 ||
        mbedtls_base64_encode(text, sizeof text, &n, hash, sizeof hash) != 0)
        return false;
    while (n && text[n - 1] == '=')
        n--;
    snprintf(out, 64, "SHA256:%.*s", (int)n, (const char *)text);
    return true;
}

static bool is_word(const char *s, const char *more)
{
    size_t n = strlen(s);
    for (; *s; s++)
        if (!(*s >= 'a' && *s <= 'z') && !(*s >= 'A' && *s <= 'Z') && !(*s >= '0' && *s <= '9') &&
            !strchr(more, *s))
            return false;
    return n > 0;
}

/* Lines of HOST TYPE BASE64, in which comments begin with #. */
static void read_keys(struct arena *arena, const struct buf *text, struct keys *out)
{
    char *copy = arena_strndup(arena, text->p ? (const char *)text->p : "", text->len), *rest = copy;
    for (char *line; (line = strsep(&rest, "\r\n"));) {
        char *host = strsep(&line, " "), *type = strsep(&line, " "), *base64 = strsep(&line, " ");
        if (!host || *host == '#' || *host == '@' || !type || !base64 || out->count == FLEET_KEYS_MAX)
            continue;
        struct key *k = &out->all[out->count];
        *k = (struct key){.type = type, .base64 = base64};
        if (is_word(type, "-@.") && is_word(base64, "+/=") && fingerprint(base64, k->print))
            out->count++;
    }
}

/* Of the known ones a key of the same type must be the same. */
static bool compare(struct keys *of, const struct keys *known, const char **other)
{
    of->fresh = 0;
    for (uint32_t i = 0; i < of->count; i++) {
        for (uint32_t k = 0; k < known->count; k++) {
            if (strcmp(known->all[k].type, of->all[i].type) != 0)
                continue;
            of->all[i].known |= strcmp(known->all[k].base64, of->all[i].base64) == 0;
            if (strcmp(known->all[k].base64, of->all[i].base64) != 0)
                *other = of->all[i].type;
        }
        of->fresh += !of->all[i].known;
    }
    return !*other;
}

/* A line of the file that has the box's name (or its address) and this fingerprint. */
static bool vouched(const struct trust *c, const struct fleet_box *b, const char *print)
{
    char *copy = xstrdup(c->prints), *rest = copy;
    bool found = false;
    for (char *line; !found && (line = strsep(&rest, "\r\n"));) {
        char *name = strsep(&line, " \t");
        if (!name || (strcmp(name, b->name) != 0 && strcmp(name, b->address) != 0))
            continue;
        for (char *word; !found && (word = strsep(&line, " \t"));)
            found = strcmp(word, print) == 0;
    }
    free(copy);
    return found;
}

/* ---- asking ---- */

static void looked_up(struct engine *e, struct task *t)
{
    struct fleet_each *f = fleet_each_of(e);
    struct trust *c = f->context;
    struct keys *of = &c->of[fleet_task_index(e, t)], known = {0};
    const char *other = NULL;
    if (t->job.end != JOB_EXITED) {
        char *reason = job_reason(&t->job);
        task_done(e, t, false, "%s", reason);
        free(reason);
        return;
    }
    read_keys(&f->arena, &t->job.out, &known); /* none, with status 1, when the box is not known */
    if (!compare(of, &known, &other)) {
        of->fresh = 0;
        task_done(e, t, false, "its %s key is not the known one; if that is right: ssh-keygen -R '%s' -f %s",
                  other, ssh_known_name(&f->arena, t->box), t->box->ssh.known_hosts);
        return;
    }
    uint32_t kept = 0;
    for (uint32_t i = 0; i < of->count; i++) /* with a list, what is not on it is not taken up */
        if (!of->all[i].known && (!c->prints || vouched(c, t->box, of->all[i].print)))
            of->all[kept++] = of->all[i];
    bool refused = of->fresh && !kept;
    bool was_known = !of->fresh;
    of->count = of->fresh = kept;
    task_done(e, t, !refused, "%s",
              refused     ? "none of its keys is in the file of fingerprints"
              : was_known ? "known"
                          : "new");
}

static void scanned(struct engine *e, struct task *t)
{
    struct fleet_each *f = fleet_each_of(e);
    struct trust *c = f->context;
    struct keys *of = &c->of[fleet_task_index(e, t)];
    read_keys(&f->arena, &t->job.out, of);
    if (!of->count) {
        char *reason = t->job.err.len ? job_reason(&t->job) : xstrdup("no answer");
        task_done(e, t, false, "%s", reason);
        free(reason);
        return;
    }
    struct job *j = task_job(t);
    j->argv = ssh_known_argv(&f->arena, t->box);
    j->timeout_us = FLEET_ASK_S * INT64_C(1000000);
    j->output_max = FLEET_KEYS_BYTES;
    task_run(e, t, looked_up);
}

static void scan(struct engine *e, struct task *t)
{
    struct fleet_each *f = fleet_each_of(e);
    struct job *j = task_job(t);
    j->argv = ssh_keyscan_argv(&f->arena, t->box);
    j->timeout_us = 2 * t->box->ssh.connect_timeout_us + FLEET_ASK_S * INT64_C(1000000);
    j->output_max = FLEET_KEYS_BYTES;
    task_note(t, "asked for its keys");
    task_run(e, t, scanned);
}

/* ---- taking up ---- */

static uint32_t show(const struct fleet_each *f, const struct trust *c)
{
    static const char *const headers[] = {"BOX", "ADDRESS", "KEY", "FINGERPRINT", ""};
    struct fleet_table t;
    uint32_t fresh = 0;
    fleet_table_init(&t, ARRAY_COUNT(headers), headers);
    for (uint32_t i = 0; i < f->count; i++) {
        const struct task *k = &f->engine.tasks[i];
        for (uint32_t n = 0; n == 0 || n < c->of[i].fresh; n++) {
            fleet_table_row(&t);
            fleet_table_cell(&t, 0, "%s", k->box->name);
            fleet_table_cell(&t, 1, "%s", k->box->address);
            if (n < c->of[i].fresh) {
                fleet_table_cell(&t, 2, "%s", c->of[i].all[n].type);
                fleet_table_cell(&t, 3, "%s", c->of[i].all[n].print);
            }
            fleet_table_cell(&t, 4, "%s", k->note);
        }
        fresh += c->of[i].fresh;
    }
    fleet_table_print(&t, stdout);
    fflush(stdout);
    fleet_table_fini(&t);
    return fresh;
}

static struct err *agreed(const struct fleet_args *a, uint32_t fresh)
{
    char answer[16] = "";
    if (a->fingerprints || a->yes)
        return NULL;
    if (!isatty(0))
        return err_hint(err_new(ERR_CONFIG, "%u keys are new, and nobody is asked here", fresh),
                        "--fingerprints FILE compares them with a list; --yes takes them up as they are");
    printf("Take up these %u keys? They must be those that the boxes show. Type yes: ", fresh);
    fflush(stdout);
    if (fgets(answer, sizeof answer, stdin) && strcmp(answer, "yes\n") == 0)
        return NULL;
    return err_new(ERR_STATE, "no key was taken up");
}

static struct err *append(const char *path, const char *line)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    size_t len = strlen(line);
    if (fd < 0)
        return err_errno(ERR_IO, "cannot write %s", path);
    struct err *e = write(fd, line, len) == (ssize_t)len && fsync(fd) == 0
                        ? NULL
                        : err_errno(ERR_IO, "cannot write %s", path);
    close(fd);
    return e;
}

static struct err *take_up(struct fleet_each *f, const struct trust *c, struct inventory *v)
{
    for (uint32_t i = 0; i < f->count; i++) {
        const struct fleet_box *b = f->boxes[i];
        const char *name = ssh_known_name(&f->arena, b);
        for (uint32_t n = 0; n < c->of[i].fresh; n++) {
            const struct key *k = &c->of[i].all[n];
            TRY(append(b->ssh.known_hosts, arena_printf(&f->arena, "%s %s %s\n", name, k->type, k->base64)));
            journal_write(v->state, b->name, "trust", "ok", k->print);
        }
    }
    return NULL;
}

static struct err *read_prints(const char *path, char **out)
{
    FILE *f = fopen(path, "re");
    if (!f)
        return err_errno(ERR_CONFIG, "cannot read %s", path);
    *out = xcalloc(1, FLEET_PRINTS_BYTES + 1);
    size_t n = fread(*out, 1, FLEET_PRINTS_BYTES + 1, f);
    fclose(f);
    if (n > FLEET_PRINTS_BYTES)
        return err_new(ERR_CONFIG, "%s is longer than %u bytes", path, FLEET_PRINTS_BYTES);
    (*out)[n] = 0;
    return NULL;
}

int fleet_trust(const struct fleet_args *a, struct inventory *v)
{
    struct fleet_each f = {0};
    struct trust c = {0};
    struct err *e = a->fingerprints ? read_prints(a->fingerprints, &c.prints) : NULL;
    if (!e)
        e = fleet_each_init(&f, a, v, scan, &c, a->command->name);
    if (e) {
        free(c.prints);
        return fleet_report(e);
    }
    c.of = xcalloc(f.count, sizeof *c.of);
    fleet_each_run(&f);
    uint32_t fresh = show(&f, &c);
    int status = fleet_each_status(&f);
    if (fresh) {
        e = agreed(a, fresh);
        if (!e)
            e = take_up(&f, &c, v);
        if (!e)
            printf("%u keys taken up\n", fresh);
    }
    if (e)
        status = fleet_report(e);
    free(c.of);
    free(c.prints);
    fleet_each_fini(&f);
    return status;
}
