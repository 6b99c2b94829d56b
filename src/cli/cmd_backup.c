/* `penstock backup` and `penstock restore`; what they write stands in store/backup.h.
 *
 * A running instance is copied from a snapshot of all shards, as readers hold them. When the pipeline is started anew
 * meanwhile the snapshot is given up at once, or its recovery would have to wait, and the copy begins again. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "cli/instance.h"
#include "cli/look.h"
#include "flow/pipeline.h"

#include "base/log.h"
#include "base/clock.h"
#include "store/backup.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define POSITION_PREFIX  "position:"
#define EXTRA_BYTES_MAX  (256u << 20)
#define SMALL_FILE_COUNT 3

static const char *const small_files[SMALL_FILE_COUNT] = {"catalog.json", "tables.json", "versions.json"};

/* ---- small files, as of the snapshot ---- */

static struct err *read_small(const char *dir, const char *name, struct backup_extra *out, uint32_t *count)
{
    char *path = xprintf("%s/%s", dir, name);
    FILE *f = fopen(path, "re");
    char *bytes = NULL;
    size_t len = 0;
    struct err *e = NULL;
    if (f && (getdelim(&bytes, &len, EOF, f) < 0 || ferror(f)))
        e = err_errno(ERR_IO, "cannot read %s", path);
    if (f && !e) {
        long end = ftell(f);
        out[(*count)++] = (struct backup_extra){name, bytes, end > 0 ? (size_t)end : 0};
    } else {
        free(bytes);
    }
    if (f)
        fclose(f);
    free(path);
    return e;
}

static void add_positions(struct store_still *s, struct manifest *m)
{
    store_db meta;
    struct slice key, value, from = {(const uint8_t *)POSITION_PREFIX, strlen(POSITION_PREFIX)};
    if (!store_snapshot_db(s->snapshot, 0, "meta", &meta))
        return;
    struct store_cursor *c = store_cursor_open(s->snapshot, 0, meta);
    for (bool more = store_cursor_seek(c, &from, &key, &value); more;
         more = store_cursor_next(c, &key, &value)) {
        if (key.len <= from.len || memcmp(key.p, from.p, from.len) != 0)
            break;
        char text[64], name[128];
        snprintf(name, sizeof name, "%.*s", (int)(key.len - from.len), (const char *)key.p + from.len);
        pipeline_position_text(value, text);
        manifest_add_source(m, name, text);
    }
}

/* ---- backup ---- */

static struct err *copy_snapshot(struct backup *b, struct look *l, struct manifest *m)
{
    struct backup_extra extras[SMALL_FILE_COUNT];
    uint32_t count = 0;
    struct backup_progress progress = {look_progress, l};
    struct err *e = NULL;
    for (size_t i = 0; i < SMALL_FILE_COUNT && !e; i++)
        e = read_small(l->dir, small_files[i], extras, &count);
    if (!e && store_still_lost(&l->still))
        e = look_lost(l);
    if (!e) {
        m->epoch = l->still.epoch;
        m->shard_count = l->still.shard_count;
        m->source_count = 0;
        m->made_us = unix_us();
        add_positions(&l->still, m);
        e = backup_copy(b, &l->still, extras, count, &progress);
    }
    for (uint32_t i = 0; i < count; i++)
        free((void *)extras[i].bytes);
    if (!e && store_still_lost(&l->still))
        e = look_lost(l);
    return e;
}

static struct err *copy_with_retries(struct backup *b, struct look *l, struct manifest *m)
{
    for (int tries = 1;; tries++) {
        struct err *e = look_open(l);
        if (!e)
            e = copy_snapshot(b, l, m);
        look_close(l);
        if (!e || !l->lost || tries == LOOK_TRIES)
            return e;
        err_free(e);
        log_warn("backup", "the pipeline was started anew: copying again", "try=%d", tries + 1);
    }
}

static void print_result(const char *verb, const char *dir, const struct manifest *m)
{
    printf("%s %s: epoch %llu, %u %s, %.1f MiB", verb, dir, (unsigned long long)m->epoch, m->shard_count,
           m->shard_count == 1 ? "shard" : "shards", (double)manifest_bytes(m) / (1 << 20));
    for (uint32_t i = 0; i < m->source_count; i++)
        printf("%s%s at %s", i ? ", " : "; sources: ", m->sources[i].name,
               m->sources[i].position[0] ? m->sources[i].position : "(none)");
    putchar('\n');
}

static struct err *backup(const struct cli_args *a, const char *dir, const char *data)
{
    struct look l = {.dir = data, .component = "backup", .timeout_s = a->timeout_s};
    struct manifest *m = manifest_new();
    struct backup *b = NULL;
    bool cleared;
    m->build = PENSTOCK_VERSION;
    look_start(&l);
    struct err *e = backup_begin(dir, &cleared, &b);
    if (!e && cleared)
        log_warn("backup", "what an interrupted backup left is removed", "dir=\"%s.tmp\"", dir);
    if (!e)
        e = copy_with_retries(b, &l, m);
    l.timeout_s = 0; /* nothing is held any more */
    l.what = "checksums";
    struct backup_progress progress = {look_progress, &l};
    if (!e)
        e = backup_finish(b, m, &progress);
    backup_free(b);
    if (!e)
        print_result("backup", dir, m);
    manifest_free(m);
    return e;
}

static int wrong_words(const struct cli_args *a)
{
    fprintf(stderr, "penstock: %s needs the directory of the backup\n  hint: penstock %s --help\n",
            a->command, a->command);
    return EXIT_USAGE;
}

int cmd_backup(const struct cli_args *a)
{
    char *data = NULL;
    if (a->word_count != 1)
        return wrong_words(a);
    struct err *e = instance_dir(a, &data);
    if (!e)
        e = backup(a, a->words[0], data);
    free(data);
    return cli_report(e);
}

/* ---- restore ---- */

static struct err *restore(const char *dir, const char *data)
{
    struct look l = {.dir = data, .component = "restore", .what = "copying"};
    struct backup_progress progress = {look_progress, &l};
    struct manifest *m = NULL;
    struct instance i;
    TRY(instance_peek(data, &i));
    bool lives = instance_lives(&i);
    instance_close(&i);
    if (lives)
        return err_hint(err_new(ERR_STATE, "an instance is running on %s", data),
                        "stop it, move the directory away, and restore into an empty one");
    TRY(manifest_load(dir, &m));
    look_start(&l);
    struct err *e = backup_restore(dir, data, m, &progress);
    if (!e)
        print_result("restored", data, m);
    manifest_free(m);
    return e;
}

int cmd_restore(const struct cli_args *a)
{
    char *data = NULL;
    if (a->word_count != 1)
        return wrong_words(a);
    struct err *e = instance_dir(a, &data);
    if (!e)
        e = restore(a->words[0], data);
    free(data);
    return cli_report(e);
}
