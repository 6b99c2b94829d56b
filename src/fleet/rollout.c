/* See rollout.h: the files. Their text is in rollout_json.c. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "fleet/rollout.h"
#include "fleet/journal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct rollout *rollout_new(const char *state)
{
    struct rollout *r = xcalloc(1, sizeof *r);
    arena_init(&r->arena);
    r->dir = arena_printf(&r->arena, "%s/rollouts", state);
    r->created = r->user = r->reason = r->what = r->sum = r->target = "";
    return r;
}

void rollout_free(struct rollout *r)
{
    if (!r)
        return;
    arena_fini(&r->arena);
    free(r);
}

/* IDs come from the command line too: none leaves the folder. */
static bool is_id(const char *s)
{
    size_t n = strlen(s);
    return n && n < FLEET_ID_BYTES && s[strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-")] == 0;
}

/* ---- writing ---- */

static struct err *write_whole(int fd, const char *p, size_t len, const char *path)
{
    while (len) {
        ssize_t n = write(fd, p, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return err_errno(ERR_IO, "cannot write %s", path);
        p += n;
        len -= (size_t)n;
    }
    return fsync(fd) == 0 ? NULL : err_errno(ERR_IO, "cannot write %s", path);
}

static void sync_dir(const char *dir)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        (void)fsync(fd); /* best effort: the rename itself is whole in any case */
        close(fd);
    }
}

/* Beside it, synced, and renamed: a reader finds the former text or this one. */
static struct err *replace(const char *dir, const char *name, const char *text, size_t len)
{
    char *path = xprintf("%s/%s", dir, name), *beside = xprintf("%s/.%s.new", dir, name);
    int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    struct err *e = fd < 0 ? err_errno(ERR_IO, "cannot make %s", beside) : write_whole(fd, text, len, beside);
    if (fd >= 0)
        close(fd);
    if (!e && rename(beside, path) != 0)
        e = err_errno(ERR_IO, "cannot replace %s", path);
    if (!e)
        sync_dir(dir);
    free(beside);
    free(path);
    return e;
}

struct err *rollout_save(const struct rollout *r)
{
    char name[FLEET_ID_BYTES + 8];
    size_t len = 0;
    char *text = rollout_text(r, &len);
    snprintf(name, sizeof name, "%s.json", r->id);
    struct err *e = replace(r->dir, name, text, len);
    free(text);
    return e;
}

static struct err *make_dir(const char *dir)
{
    return mkdir(dir, 0700) == 0 || errno == EEXIST ? NULL : err_errno(ERR_IO, "cannot make %s", dir);
}

static struct err *keep_content(struct rollout *r, const struct buf *content)
{
    const char *name = arena_printf(&r->arena, "%s.payload", r->id);
    if (!content)
        return NULL;
    r->payload = arena_printf(&r->arena, "%s/%s", r->dir, name);
    return replace(r->dir, name, (const char *)content->p, content->len);
}

void rollout_drop_content(const struct rollout *r)
{
    char *path = xprintf("%s/%s.payload", r->dir, r->id);
    (void)unlink(path);
    free(path);
}

struct err *rollout_create(struct rollout *r, const struct buf *content)
{
    char stamp[32];
    time_t now = time(NULL);
    struct tm tm;
    TRY(make_dir(r->dir));
    if (!gmtime_r(&now, &tm) || !strftime(stamp, sizeof stamp, "%Y%m%d-%H%M%S", &tm))
        return err_new(ERR_STATE, "the clock of this machine is wrong");
    for (int n = 0; n < 100; n++) {
        if (n)
            text_fill(r->id, sizeof r->id, "%s-%s-%d", stamp, rollout_kind_name(r->kind), n + 1);
        else
            text_fill(r->id, sizeof r->id, "%s-%s", stamp, rollout_kind_name(r->kind));
        char *path = xprintf("%s/%s.json", r->dir, r->id);
        bool taken = access(path, F_OK) == 0;
        free(path);
        if (taken)
            continue;
        TRY(keep_content(r, content));
        return rollout_save(r);
    }
    return err_new(ERR_STATE, "too many roll-outs within this second");
}

/* ---- reading ---- */

static struct err *read_text(const char *path, char **out, size_t *len)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return err_errno(ERR_STATE, "cannot read %s", path);
    char *text = xmalloc(FLEET_ROLLOUT_BYTES + 1);
    size_t have = 0;
    ssize_t n;
    while ((n = read(fd, text + have, FLEET_ROLLOUT_BYTES + 1 - have)) > 0)
        have += (size_t)n;
    close(fd);
    struct err *e = n < 0                        ? err_errno(ERR_IO, "cannot read %s", path)
                    : have > FLEET_ROLLOUT_BYTES ? err_new(ERR_CORRUPT, "%s is too long", path)
                                                 : NULL;
    if (e) {
        free(text);
        return e;
    }
    *out = text;
    *len = have;
    return NULL;
}

static int newest_first(const void *a, const void *b)
{
    return strcmp(*(const char *const *)b, *(const char *const *)a);
}

struct err *rollout_list(struct arena *arena, const char *state, const char ***ids, uint32_t *count)
{
    char *path = xprintf("%s/rollouts", state);
    DIR *d = opendir(path);
    free(path);
    uint32_t cap = 16;
    const char **all = xcalloc(cap, sizeof *all);
    *count = 0;
    for (struct dirent *f; d && (f = readdir(d));) {
        size_t len = strlen(f->d_name);
        if (len < 6 || strcmp(f->d_name + len - 5, ".json") != 0 || f->d_name[0] == '.')
            continue;
        char *id = arena_strndup(arena, f->d_name, len - 5);
        if (!is_id(id))
            continue;
        if (*count == cap)
            all = xrealloc(all, (cap *= 2) * sizeof *all);
        all[(*count)++] = id;
    }
    if (d)
        closedir(d);
    qsort(all, *count, sizeof *all, newest_first);
    if (*count > FLEET_ROLLOUTS_MAX)
        *count = FLEET_ROLLOUTS_MAX;
    *ids = arena_memdup(arena, all, (*count + 1) * sizeof *all);
    free(all);
    return NULL;
}

static struct err *find_last(struct rollout *r, const char *state)
{
    const char **ids = NULL;
    uint32_t n = 0;
    TRY(rollout_list(&r->arena, state, &ids, &n));
    if (!n)
        return err_new(ERR_STATE, "there is no roll-out in %s", r->dir);
    text_fill(r->id, sizeof r->id, "%s", ids[0]);
    return NULL;
}

static struct err *load(struct rollout *r, const char *state, const char *id)
{
    char *text = NULL;
    size_t len = 0;
    if (strcmp(id, "last") == 0)
        TRY(find_last(r, state));
    else if (is_id(id))
        text_fill(r->id, sizeof r->id, "%s", id);
    else
        return err_new(ERR_CONFIG, "'%.*s' is no roll-out", TEXT_QUOTED_CSTR(id, FLEET_ID_BYTES));
    char *path = xprintf("%s/%s.json", r->dir, r->id);
    struct err *e = read_text(path, &text, &len);
    if (e) {
        e = err_hint(e, "penstock fleet rollouts lists them");
    } else {
        char want[FLEET_ID_BYTES];
        memcpy(want, r->id, sizeof want);
        e = rollout_parse(text, len, r);
        if (!e && strcmp(want, r->id) != 0)
            e = err_new(ERR_CORRUPT, "it is the file of %s", r->id);
        if (e)
            e = err_wrap(e, "%s", path);
        free(text);
    }
    free(path);
    return e;
}

struct err *rollout_load(const char *state, const char *id, struct rollout **out)
{
    *out = rollout_new(state);
    struct err *e = load(*out, state, id);
    if (e) {
        rollout_free(*out);
        *out = NULL;
    }
    return e;
}

/* ---- other processes ---- */

struct err *rollouts_lock(const char *state, int *fd)
{
    char *dir = xprintf("%s/rollouts", state), *path = xprintf("%s/lock", dir);
    struct err *e = make_dir(dir);
    *fd = e ? -1 : open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (!e && *fd < 0)
        e = err_errno(ERR_IO, "cannot open %s", path);
    if (!e && flock(*fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK)
            e = err_errno(ERR_IO, "cannot lock %s", path);
        close(*fd);
        *fd = -1;
    }
    free(path);
    free(dir);
    return e;
}

struct err *rollout_request(const char *state, const char *id, const char *what)
{
    char name[FLEET_ID_BYTES + 16];
    char *dir = xprintf("%s/rollouts", state);
    snprintf(name, sizeof name, "%s.request", id);
    struct err *e = is_id(id) ? replace(dir, name, what, strlen(what)) : err_new(ERR_CONFIG, "no roll-out");
    free(dir);
    return e;
}

const char *rollout_take_request(const struct rollout *r)
{
    char text[16] = "";
    char *path = xprintf("%s/%s.request", r->dir, r->id);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd >= 0) {
        ssize_t n = read(fd, text, sizeof text - 1);
        text[n > 0 ? n : 0] = 0;
        close(fd);
        (void)unlink(path);
    }
    free(path);
    return strcmp(text, "pause") == 0 ? "pause" : strcmp(text, "abort") == 0 ? "abort" : NULL;
}
