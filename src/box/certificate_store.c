/* Where the box's certificate lies; see certificate.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "box/certificate.h"

#include "box/box.h"
#include "box/put.h"
#include "store/small_file.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

struct err *certificate_load(const char *root, struct buf *pair, struct certificate_info *info, bool *found)
{
    char *path = xprintf("%s" BOX_DIR "/tls/pair.pem", root), *text;
    size_t len;
    *found = false;
    struct err *e = small_file_read(path, 2 * CERTIFICATE_PEM_MAX, &text, &len);
    free(path);
    if (e || !text)
        return e;
    e = certificate_read(text, len, info);
    *found = !e;
    buf_reset(pair);
    buf_put(pair, text, len);
    explicit_bzero(text, len);
    free(text);
    return e;
}

struct err *certificate_store(const char *root, const struct buf *pair)
{
    struct put as = {0600, (uid_t)-1, (gid_t)-1};
    char *dir = xprintf("%s" BOX_DIR "/tls", root);
    struct err *e = put_dir(dir, (struct put){0700, (uid_t)-1, (gid_t)-1}, NULL);
    if (!e)
        e = put_file(dir, "pair.pem", pair->p, pair->len, as);
    free(dir);
    return e;
}

/* The folder is the pipeline user's: nothing there is followed, and what is made is made anew. cert.pem holds the key as well, so that a
 * server that reads it finds both of one kind. */
struct err *certificate_publish(const char *root)
{
    struct certificate_info info;
    struct buf pair = {0};
    bool found;
    int fd = -1;
    char *dir = xprintf("%s" BOX_STORE "/tls", root);
    struct put owner = {0700, root[0] ? (uid_t)-1 : BOX_PENSTOCK, root[0] ? (gid_t)-1 : BOX_PENSTOCK};
    struct put as = {0600, owner.uid, owner.gid};
    struct err *e = certificate_load(root, &pair, &info, &found);
    if (!e && found)
        e = put_dir(dir, owner, &fd);
    if (!e && found)
        e = put_file_at(fd, "key.pem", pair.p, pair.len, as);
    if (!e && found)
        e = put_file_at(fd, "cert.pem", pair.p, pair.len, as);
    if (fd >= 0)
        close(fd);
    free(dir);
    if (pair.p)
        explicit_bzero(pair.p, pair.len);
    buf_fini(&pair);
    return e;
}

static bool covers(const struct certificate_info *info, const struct certificate_names *names)
{
    for (uint32_t i = 0; i < names->count; i++) {
        bool has = false;
        for (uint32_t k = 0; k < info->names.count; k++)
            has = has || strcasecmp(info->names.name[k], names->name[i]) == 0;
        if (!has)
            return false;
    }
    return true;
}

struct err *certificate_prepare(const char *root, const struct certificate_names *names, int64_t now_s,
                                bool *made)
{
    struct certificate_info info = {0};
    struct buf old = {0}, pair = {0};
    bool found;
    *made = false;
    struct err *e = certificate_load(root, &old, &info, &found);
    if (e && e->code == ERR_CONFIG) { /* it cannot be read: the box must be reached all the same */
        err_free(e);
        e = NULL;
        found = false;
    }
    if (!e && (!found || (info.self_signed && strstr(info.subject, "O=Penstock") &&
                          (!covers(&info, names) || now_s > info.until_s)))) {
        e = certificate_self_signed(names, found ? &old : NULL, &pair);
        if (!e)
            e = certificate_store(root, &pair);
        *made = !e;
    }
    if (!e)
        e = certificate_publish(root);
    if (old.p)
        explicit_bzero(old.p, old.len);
    if (pair.p)
        explicit_bzero(pair.p, pair.len);
    buf_fini(&old);
    buf_fini(&pair);
    return e;
}
