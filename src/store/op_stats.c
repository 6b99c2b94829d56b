/* What operators hold, in shared memory; see op_stats.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "store/op_stats.h"
#include "base/text.h"
#include "store/store_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const char magic[8] = {'P', 'E', 'N', 'S', 'T', 'O', 'P', 'S'};

static size_t size_of(uint32_t shard_count, uint32_t node_count)
{
    return sizeof(struct op_stats) + (size_t)shard_count * node_count * sizeof(struct op_stat) +
           node_count * sizeof(struct op_name);
}

void op_name_set(struct op_stats *s, uint32_t node, const char *kind, const char *of, bool is_view)
{
    struct op_name *n = op_name_of(s, node);
    size_t len = (size_t)text_fit(of, strlen(of), sizeof n->of - 1);
    snprintf(n->kind, sizeof n->kind, "%s", kind);
    memcpy(n->of, of, len);
    n->of[len] = 0;
    n->is_view = is_view;
}

struct err *op_stats_create(const char *dir, uint32_t shard_count, uint32_t node_count, uint64_t plan_hash,
                            struct op_stats **out)
{
    char *path = xprintf("%s/operators", dir), *made = xprintf("%s.new", path);
    size_t size = size_of(shard_count, node_count);
    struct op_stats *s = MAP_FAILED;
    struct err *e = NULL;
    unlink(made);
    int fd = open(made, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    int rc = fd < 0 ? errno : store_allocate(fd, 0, (off_t)size);
    if (rc == 0) {
        s = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        rc = s == MAP_FAILED ? errno : 0;
    }
    if (rc) {
        errno = rc;
        e = err_errno(ERR_IO, "cannot make %s of %zu bytes", made, size);
        unlink(made);
    } else {
        memcpy(s->magic, magic, sizeof magic);
        s->layout = OP_STATS_LAYOUT;
        s->shard_count = shard_count;
        s->node_count = node_count;
        s->pid = (uint32_t)getpid();
        s->plan_hash = plan_hash;
        if (rename(made, path)) {
            e = err_errno(ERR_IO, "cannot rename %s", made);
            munmap(s, size);
        }
    }
    if (fd >= 0)
        close(fd);
    free(made);
    free(path);
    *out = e ? NULL : s;
    return e;
}

static bool is_whole(const struct op_stats *s, size_t size)
{
    return size >= sizeof *s && memcmp(s->magic, magic, sizeof magic) == 0 && s->layout == OP_STATS_LAYOUT &&
           size >= size_of(s->shard_count, s->node_count);
}

struct err *op_stats_open(const char *dir, const struct op_stats **out)
{
    struct stat st;
    char *path = xprintf("%s/operators", dir);
    *out = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct err *e = fd < 0 && access(path, F_OK) == 0 ? err_errno(ERR_IO, "cannot read %s", path) : NULL;
    free(path);
    if (fd < 0)
        return e;
    if (fstat(fd, &st) == 0 && (size_t)st.st_size >= sizeof **out) {
        size_t size = (size_t)st.st_size;
        const struct op_stats *s = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
        if (s != MAP_FAILED && is_whole(s, size))
            *out = s;
        else if (s != MAP_FAILED)
            munmap((void *)s, size);
    }
    close(fd);
    return NULL;
}

void op_stats_close(const struct op_stats *s)
{
    if (s)
        munmap((void *)s, size_of(s->shard_count, s->node_count));
}
