/* See provision.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "box/provision.h"

#include "box/admin.h"
#include "box/audit.h"
#include "box/box.h"
#include "box/bundle.h"
#include "box/certificate.h"
#include "box/config_store.h"
#include "box/provision_folder.h"
#include "box/put.h"
#include "box/scratch.h"
#include "box/settings.h"
#include "box/ssh_keys.h"
#include "box/tar.h"
#include "store/small_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define STAGED BOX_DATA "/provision.new"
#define READY  BOX_DATA "/provision.ready"
#define CONFIG BOX_DATA "/config"

static const struct put secret = {0600, (uid_t)-1, (gid_t)-1}, hidden = {0700, (uid_t)-1, (gid_t)-1};

/* What came out of the checks; all in memory. */
struct taken {
    const struct folder *folder; /* borrowed */
    const struct folder_file *settings, *ssh_keys;
    uint32_t key_count;
    struct buf pair, config; /* a certificate's; a tar */
};

static void taken_fini(struct taken *t)
{
    if (t->pair.p)
        explicit_bzero(t->pair.p, t->pair.len);
    buf_fini(&t->pair);
    buf_fini(&t->config);
}

/* ---- checking ---- */

static bool is_key(const char *path)
{
    size_t len = strlen(path);
    return strncasecmp(path, "keys/", 5) == 0 && !strchr(path + 5, '/') && len > 9 &&
           strcasecmp(path + len - 4, ".pub") == 0;
}

/* Files with a meaning of their own; all others belong to the configuration. */
static bool is_own(const char *path)
{
    static const char *const names[] = {"box.yaml", "authorized_keys", "certificate.pem", "key.pem",
                                        PROVISION_BUNDLE};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        if (strcasecmp(path, names[i]) == 0)
            return true;
    return strncasecmp(path, "keys/", 5) == 0;
}

static struct err *check_settings(struct taken *t)
{
    struct settings *s;
    t->settings = folder_find(t->folder, "box.yaml");
    if (!t->settings)
        return NULL;
    s = xmalloc(sizeof *s);
    struct err *e = settings_parse("box.yaml", (const char *)t->settings->data, t->settings->len, s);
    free(s);
    return e;
}

static struct err *check_ssh_keys(struct taken *t)
{
    t->ssh_keys = folder_find(t->folder, "authorized_keys");
    if (!t->ssh_keys)
        return NULL;
    struct ssh_keys *keys = xmalloc(sizeof *keys);
    struct err *e =
        ssh_keys_parse("authorized_keys", (const char *)t->ssh_keys->data, t->ssh_keys->len, keys);
    if (!e && !keys->count)
        e = err_new(ERR_CONFIG, "authorized_keys holds no key");
    free(keys);
    return e;
}

static struct err *check_keys(struct taken *t)
{
    struct err *all = NULL;
    for (uint32_t i = 0; i < t->folder->count; i++) {
        const struct folder_file *f = &t->folder->files[i];
        struct key key;
        if (strncasecmp(f->path, "keys/", 5) != 0)
            continue;
        if (!is_key(f->path))
            err_append(&all, err_new(ERR_CONFIG, "%s: keys/ holds public keys, NAME.pub, alone", f->path));
        else if (++t->key_count > TRUST_KEYS_MAX)
            return err_new(ERR_LIMIT, "keys/ holds more than %d keys", TRUST_KEYS_MAX);
        else
            err_append(&all, key_parse(f->path, (const char *)f->data, f->len, &key));
    }
    return all;
}

static struct err *check_certificate(const struct provision *p, struct taken *t)
{
    const struct folder_file *chain = folder_find(t->folder, "certificate.pem"),
                             *key = folder_find(t->folder, "key.pem");
    if (!chain && !key)
        return NULL;
    if (!chain || !key)
        return err_new(ERR_CONFIG, "certificate.pem and key.pem come together");
    struct err *e = certificate_check(chain->data, chain->len, key->data, key->len, p->now_s, &t->pair, NULL);
    return e ? err_wrap(e, "certificate.pem") : NULL;
}

static struct err *check_staged(const struct provision *p, const struct buf *tar)
{
    if (!p->check)
        return NULL;
    char *dir = xprintf("%s" CONFIG, p->root);
    struct scratch staged;
    uid_t uid = p->root[0] ? (uid_t)-1 : BOX_ROOT;
    gid_t gid = p->root[0] ? (gid_t)-1 : BOX_PENSTOCK;
    struct err *e = config_store_unpack(dir, uid, gid, tar, &staged);
    if (!e) {
        e = p->check(p->arg, staged.path);
        scratch_remove(&staged);
    }
    free(dir);
    return e;
}

static struct err *check_configuration(const struct provision *p, struct taken *t)
{
    const struct folder_file *yaml = folder_find(t->folder, "penstock.yaml");
    for (uint32_t i = 0; i < t->folder->count; i++) {
        const struct folder_file *f = &t->folder->files[i];
        if (is_own(f->path))
            continue;
        if (!yaml)
            return err_hint(
                err_new(ERR_CONFIG, "%s is nothing that a box takes", f->path),
                "box.yaml, authorized_keys, keys/*.pub, certificate.pem and key.pem, penstock.yaml "
                "and the files it names; or " PROVISION_BUNDLE);
        TRY(tar_add(&t->config, f == yaml ? "penstock.yaml" : f->path, f->data, f->len));
    }
    if (!yaml)
        return NULL;
    tar_end(&t->config);
    return check_staged(p, &t->config);
}

struct memory {
    const uint8_t *p;
    size_t len;
};

static ssize_t memory_read(void *ctx, void *p, size_t len)
{
    struct memory *m = ctx;
    len = len < m->len ? len : m->len;
    memcpy(p, m->p, len);
    m->p += len;
    m->len -= len;
    return (ssize_t)len;
}

static struct err *open_bundle(const struct folder_file *f, const struct trust *trust, struct buf *out)
{
    struct memory m = {f->data, f->len};
    struct bundle_input in = {memory_read, &m};
    struct bundle *b;
    TRY(bundle_open(&in, trust, &b));
    struct err *e = bundle_manifest(b)->kind == BUNDLE_CONFIG
                        ? bundle_read_all(b, out)
                        : err_new(ERR_CONFIG, "it holds no configuration");
    bundle_close(b);
    return e;
}

static struct err *check_bundle(const struct provision *p, struct taken *t)
{
    const struct folder_file *f = folder_find(t->folder, PROVISION_BUNDLE);
    if (!f)
        return NULL;
    if (t->config.len)
        return err_new(ERR_CONFIG, PROVISION_BUNDLE " and penstock.yaml do not come together");
    struct trust *trust = xcalloc(1, sizeof *trust);
    char *dir = xprintf("%s" BOX_TRUST, p->root);
    struct err *e = trust_load(trust, dir);
    /* On a box that is nobody's yet the folder's own keys vouch for it. */
    for (uint32_t i = 0; !e && t->key_count && i < t->folder->count; i++) {
        const struct folder_file *k = &t->folder->files[i];
        if (is_key(k->path) && trust->count < TRUST_KEYS_MAX)
            e = key_parse(k->path, (const char *)k->data, k->len, &trust->keys[trust->count++]);
    }
    if (!e)
        e = open_bundle(f, trust, &t->config);
    if (!e)
        e = check_staged(p, &t->config);
    free(trust);
    free(dir);
    return e ? err_wrap(e, PROVISION_BUNDLE) : NULL;
}

static struct err *check_all(const struct provision *p, struct taken *t)
{
    struct err *all = check_settings(t);
    err_append(&all, check_ssh_keys(t));
    err_append(&all, check_keys(t));
    err_append(&all, check_certificate(p, t));
    err_append(&all, check_configuration(p, t));
    if (!all)
        all = check_bundle(p, t);
    return all;
}

/* ---- staging ---- */

static struct err *stage_keys(const struct taken *t, const char *staged)
{
    char *dir = xprintf("%s/keys", staged);
    struct err *e = put_dir(dir, hidden, NULL);
    for (uint32_t i = 0; !e && i < t->folder->count; i++) {
        const struct folder_file *f = &t->folder->files[i];
        if (is_key(f->path))
            e = put_file(dir, f->path + 5, f->data, f->len, secret);
    }
    free(dir);
    return e;
}

static struct err *stage(const struct provision *p, const struct taken *t)
{
    char *staged = xprintf("%s" STAGED, p->root), *ready = xprintf("%s" READY, p->root),
         *data = xprintf("%s" BOX_DATA, p->root);
    struct buf list = {0};
    struct err *e = scratch_remove_tree(staged);
    if (!e)
        e = put_dir(staged, hidden, NULL);
    if (!e && t->settings)
        e = put_file(staged, "box.yaml", t->settings->data, t->settings->len, secret);
    if (!e && t->ssh_keys)
        e = put_file(staged, "authorized_keys", t->ssh_keys->data, t->ssh_keys->len, secret);
    if (!e && t->key_count)
        e = stage_keys(t, staged);
    if (!e && t->pair.len)
        e = put_file(staged, "pair.pem", t->pair.p, t->pair.len, secret);
    if (!e && t->config.len)
        e = put_file(staged, "config.tar", t->config.p, t->config.len, secret);
    folder_list(t->folder, &list);
    if (!e)
        e = put_file(staged, "provisioned", list.p, list.len, secret);
    if (!e)
        e = put_dir_sync(staged);
    if (!e && rename(staged, ready) != 0)
        e = err_errno(ERR_IO, "cannot rename %s", staged);
    if (!e)
        e = put_dir_sync(data);
    buf_fini(&list);
    free(staged);
    free(ready);
    free(data);
    return e;
}

/* ---- putting in place: each step may be done twice ---- */

static struct err *move_file(const char *from, const char *name, const char *to_dir, const char *as)
{
    char *path = xprintf("%s/%s", from, name), *text;
    size_t len;
    struct err *e = small_file_read(path, PROVISION_BYTES_MAX, &text, &len);
    if (!e && text)
        e = put_file(to_dir, as, text, len, secret);
    if (text)
        explicit_bzero(text, len);
    free(text);
    free(path);
    return e;
}

static struct err *move_keys(const char *ready, const char *box)
{
    char *from = xprintf("%s/keys", ready), *to = xprintf("%s/keys", box);
    DIR *d = opendir(from);
    struct err *e = d ? put_dir(to, hidden, NULL) : errno == ENOENT ? NULL : err_errno(ERR_IO, "%s", from);
    for (struct dirent *one; d && !e && (one = readdir(d));)
        if (one->d_name[0] != '.')
            e = move_file(from, one->d_name, to, one->d_name);
    if (d)
        closedir(d);
    free(from);
    free(to);
    return e;
}

static struct err *move_certificate(const char *root, const char *ready)
{
    char *path = xprintf("%s/pair.pem", ready), *text;
    size_t len;
    struct err *e = small_file_read(path, PROVISION_BYTES_MAX, &text, &len);
    if (!e && text) {
        struct buf pair = {0};
        buf_put(&pair, text, len);
        e = certificate_store(root, &pair);
        explicit_bzero(pair.p, pair.len);
        explicit_bzero(text, len);
        buf_fini(&pair);
    }
    free(text);
    free(path);
    return e;
}

static struct err *place_config(const char *root, const struct buf *tar)
{
    struct config_store s;
    char *dir = xprintf("%s" CONFIG, root);
    struct err *e =
        config_store_open(&s, dir, root[0] ? (uid_t)-1 : BOX_ROOT, root[0] ? (gid_t)-1 : BOX_PENSTOCK);
    if (!e) {
        e = config_store_stage(&s, tar);
        if (!e)
            e = config_store_begin(&s);
        if (!e)
            e = config_store_commit(&s);
        config_store_close(&s);
    }
    free(dir);
    return e;
}

/* Its file goes once the configuration is in force, so that it is not put in place twice. */
static struct err *move_config(const char *root, const char *ready)
{
    char *path = xprintf("%s/config.tar", ready), *text;
    size_t len;
    struct err *e = small_file_read(path, PROVISION_BYTES_MAX, &text, &len);
    if (!e && text) {
        struct buf tar = {.p = (uint8_t *)text, .len = len, .cap = len};
        e = place_config(root, &tar);
        if (!e)
            e = put_away(ready, "config.tar");
    }
    free(text);
    free(path);
    return e;
}

struct err *provision_finish(const char *root, bool *done)
{
    char *ready = xprintf("%s" READY, root), *staged = xprintf("%s" STAGED, root),
         *box = xprintf("%s" BOX_DIR, root), code[ADMIN_CODE_BYTES];
    struct stat st;
    struct err *e = NULL;
    *done = stat(ready, &st) == 0 && S_ISDIR(st.st_mode);
    /* What was being written, or taken away, when the power went. */
    e = scratch_remove_tree(staged);
    if (!e && *done) {
        e = move_config(root, ready);
        if (!e)
            e = move_file(ready, "box.yaml", box, "box.yaml");
        if (!e)
            e = move_keys(ready, box);
        if (!e)
            e = move_certificate(root, ready);
        if (!e)
            e = move_file(ready, "authorized_keys", box, "authorized_keys");
        if (!e)
            e = move_file(ready, "provisioned", box, "provisioned");
        if (!e)
            e = admin_code(root, code); /* of a claimed box it goes */
        /* By one rename: what is removed in part must not be looked at again. */
        if (!e && rename(ready, staged) != 0)
            e = err_errno(ERR_IO, "cannot rename %s", ready);
        if (!e)
            audit(root, "the provisioning folder was taken; the box is %s",
                  admin_is_claimed(root) ? "claimed" : "not claimed yet");
        if (!e)
            e = scratch_remove_tree(staged);
    }
    free(ready);
    free(staged);
    free(box);
    return e;
}

/* ---- all of it ---- */

static bool is_known(const char *root, const struct folder *f)
{
    char *path = xprintf("%s" BOX_DIR "/provisioned", root), *list;
    size_t len;
    err_free(small_file_read(path, PROVISION_BYTES_MAX, &list, &len));
    bool known = list && folder_is_listed(f, list);
    free(list);
    free(path);
    return known;
}

static void describe(const struct taken *t, bool claimed, struct buf *said)
{
    buf_put_str(said, "taken:");
    if (t->settings)
        buf_put_str(said, " box.yaml");
    if (t->ssh_keys)
        buf_put_str(said, " authorized_keys");
    if (t->key_count)
        buf_printf(said, " %u signing key%s", t->key_count, t->key_count == 1 ? "" : "s");
    if (t->pair.len)
        buf_put_str(said, " certificate");
    if (t->config.len)
        buf_put_str(said, " configuration");
    buf_printf(said, "\n%s\n",
               claimed ? "the box is claimed"
                       : "the box is not claimed yet: its code is on the serial console");
}

static struct err *judge(const struct provision *p, const struct folder *f, struct buf *said)
{
    struct taken t = {.folder = f};
    bool claimed = admin_is_claimed(p->root), done;
    struct err *e = NULL;
    if (claimed && !folder_find(f, PROVISION_BUNDLE))
        e = err_hint(
            err_new(ERR_STATE, "the box is claimed: it takes a signed configuration alone from a folder"),
            "penstock bundle config DIR --key NAME.key -o penstock/" PROVISION_BUNDLE "; or apply over SSH");
    if (!e)
        e = claimed ? check_bundle(p, &t) : check_all(p, &t);
    if (!e)
        e = stage(p, &t);
    if (!e)
        e = provision_finish(p->root, &done);
    if (!e)
        describe(&t, admin_is_claimed(p->root), said);
    taken_fini(&t);
    return e;
}

/* The result lies beside what it is about. One that says the same already is left alone: flash wears. */
static void put_result(const char *folder, const struct buf *said, const struct err *e)
{
    struct buf text = {0};
    size_t len;
    char *why = e ? err_text(e) : NULL, *before, *path = xprintf("%s/" PROVISION_RESULT_FILE, folder);
    if (why)
        buf_printf(&text, "refused, nothing of it is used:\n%s\n", why);
    else
        buf_put(&text, said->p, said->len);
    err_free(small_file_read(path, 65536, &before, &len));
    int fd = before && len == text.len && memcmp(before, text.p, len) == 0
                 ? -1
                 : open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd >= 0) {
        if (write(fd, text.p, text.len) == (ssize_t)text.len)
            fsync(fd);
        close(fd);
    }
    free(before);
    free(path);
    free(why);
    buf_fini(&text);
}

struct err *provision_take(const struct provision *p, const char *folder, struct buf *said)
{
    struct folder *f = xcalloc(1, sizeof *f);
    bool done, known = false;
    struct err *e = provision_finish(p->root, &done);
    if (e) {
        free(f);
        return e;
    }
    e = folder_read(folder, f);
    if (!e && f->count) {
        known = is_known(p->root, f);
        if (known)
            buf_put_str(said, "this folder was taken before\n");
        else
            e = judge(p, f, said);
        if (!e && p->remove && (known || is_known(p->root, f))) {
            e = folder_remove(folder, f);
            if (!e)
                buf_put_str(said, "its files were overwritten and removed\n");
        }
    }
    if (e || f->count)
        put_result(folder, said, e);
    if (e)
        audit(p->root, "the provisioning folder was refused: %s", e->message);
    folder_fini(f);
    free(f);
    return e;
}
