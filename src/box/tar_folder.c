/* A folder as a tar archive; see tar.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "box/tar.h"
#include "store/small_file.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct folder_walk {
    struct buf *out;
    const char *top;
    uint32_t entry_count;
};

static int is_shown(const struct dirent *d)
{
    return d->d_name[0] != '.';
}

static struct err *add_file(struct folder_walk *w, const char *path, const char *full)
{
    char *text;
    size_t len;
    TRY(small_file_read(full, TAR_FILE_BYTES_MAX, &text, &len));
    struct err *e = text ? tar_add(w->out, path, text, len) : err_new(ERR_IO, "%s is gone", full);
    free(text);
    if (!e && w->out->len > TAR_BYTES_MAX - 2 * TAR_BLOCK_BYTES)
        e = err_new(ERR_LIMIT, "the files of %s have more than %u bytes", w->top, TAR_BYTES_MAX);
    return e;
}

static struct err *add_folder(struct folder_walk *w, const char *path, int depth);

static struct err *add_entry(struct folder_walk *w, const char *path, int depth)
{
    struct stat st;
    char *full = xprintf("%s/%s", w->top, path);
    struct err *e = NULL;
    uint8_t header[TAR_BLOCK_BYTES];
    if (++w->entry_count > TAR_ENTRIES_MAX)
        e = err_new(ERR_LIMIT, "%s has more than %d files", w->top, TAR_ENTRIES_MAX);
    else if (lstat(full, &st))
        e = err_errno(ERR_IO, "cannot look at %s", full);
    else if (S_ISREG(st.st_mode))
        e = add_file(w, path, full);
    else if (!S_ISDIR(st.st_mode))
        e = err_new(ERR_CONFIG, "%s is neither a file nor a folder", full);
    else if (!(e = tar_header(header, path, 0, true))) {
        buf_put(w->out, header, sizeof header);
        e = add_folder(w, path, depth + 1);
    }
    free(full);
    return e;
}

static struct err *add_folder(struct folder_walk *w, const char *path, int depth)
{
    struct dirent **list = NULL;
    if (depth >= TAR_DEPTH_MAX)
        return err_new(ERR_LIMIT, "%s has more than %d folders in one another", w->top, TAR_DEPTH_MAX);
    char *full = xprintf("%s%s%s", w->top, *path ? "/" : "", path);
    int n = scandir(full, &list, is_shown, alphasort);
    struct err *e = n < 0 ? err_errno(ERR_IO, "cannot list %s", full) : NULL;
    for (int i = 0; i < n; i++) {
        char *name = xprintf("%s%s%s", path, *path ? "/" : "", list[i]->d_name);
        if (!e)
            e = add_entry(w, name, depth);
        free(name);
        free(list[i]);
    }
    free(list);
    free(full);
    return e;
}

struct err *tar_folder(struct buf *out, const char *dir)
{
    struct folder_walk w = {.out = out, .top = dir};
    TRY(add_folder(&w, "", 0));
    tar_end(out);
    return NULL;
}
