/* A disk that may lose, tear and reorder what was not synced.
 *
 * The files are real (on a memory file system, mapped by LMDB as ever); beside them the model knows, for each page, its
 * content as of the last sync and every other content that was seen since, and for each directory the entries as of its
 * last sync and the changes since. A power cut makes up a disk: of each unsynced page some version, or a mixture sector by sector;
 * of each file some size; of the changes of each directory none, all, or any subset, each whole.
 *
 * Mapped pages change without a call, so contents are found by comparing, whenever sim_disk_observe is called. */
#ifndef PENSTOCK_SIM_DISK_H
#define PENSTOCK_SIM_DISK_H

#include "test/unit/remove_tree.h"
#include "test/unit/sim/sim.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#define SIM_PAGE         4096u
#define SIM_SECTOR       512u
#define SIM_AHEAD_PAGES  32
#define SIM_FILES_MAX    64
#define SIM_FILE_BYTES   ((size_t)8 << 20)
#define SIM_FILE_PAGES   (SIM_FILE_BYTES / SIM_PAGE)
#define SIM_VERSIONS_MAX 6     /* kept of a page; the first and the newest ones */
#define SIM_POOL_PAGES   20000 /* versions over all files */
#define SIM_NAMES_MAX    96
#define SIM_PATH_MAX     64
#define SIM_CHANGES_MAX  256
#define SIM_DIRECTORY    (-1) /* in place of a file's number */
#define SIM_NONE         (-2)

struct sim_page {
    uint8_t count; /* versions; 0: as synced. [0] is what is on the disk for sure */
    bool dropped;  /* its sync failed: nothing writes it any more unless it changes */
    uint16_t version[SIM_VERSIONS_MAX];
};
struct sim_file {
    bool used;
    size_t size, durable_size, highest; /* highest: page that ever had content, + 1 */
    uint8_t *now;                       /* as last seen; zeros behind the end */
    struct sim_page pages[SIM_FILE_PAGES];
};
struct sim_name {
    char path[SIM_PATH_MAX]; /* below the root */
    int file;
};
struct sim_names {
    uint32_t count;
    struct sim_name names[SIM_NAMES_MAX];
};
enum sim_change_kind { SIM_ADD, SIM_REMOVE, SIM_RENAME };
struct sim_change {
    enum sim_change_kind kind;
    char path[SIM_PATH_MAX], to[SIM_PATH_MAX];
    int file;
};
struct sim_disk {
    struct sim_file files[SIM_FILES_MAX];
    struct sim_names current, durable;
    uint32_t change_count;
    struct sim_change changes[SIM_CHANGES_MAX]; /* of directories, not synced; oldest first */
    uint32_t free_count;
    uint16_t free_versions[SIM_POOL_PAGES];
    bool lies;  /* planted: syncs do nothing */
    bool tears; /* every page that is not synced */
};
static struct sim_disk *sim_disk;
static uint8_t (*sim_pool)[SIM_PAGE];
static uint8_t *sim_contents; /* of all files */

static void sim_disk_init(void)
{
    sim = sim_share(sizeof *sim);
    sim_disk = sim_share(sizeof *sim_disk);
    sim_pool = sim_share((size_t)SIM_POOL_PAGES * SIM_PAGE);
    sim_contents = sim_share(SIM_FILES_MAX * SIM_FILE_BYTES);
}

/* ---- pages ---- */

static uint16_t version_new(const uint8_t *content)
{
    if (!sim_disk->free_count)
        PANIC("the simulated disk holds too many versions");
    uint16_t v = sim_disk->free_versions[--sim_disk->free_count];
    memcpy(sim_pool[v], content, SIM_PAGE);
    return v;
}

static void page_settle(struct sim_page *p)
{
    while (p->count)
        sim_disk->free_versions[sim_disk->free_count++] = p->version[--p->count];
    p->dropped = false;
}

static void page_note(struct sim_page *p, const uint8_t *before, const uint8_t *now)
{
    p->dropped = false;
    if (!p->count)
        p->version[p->count++] = version_new(before);
    if (p->count == SIM_VERSIONS_MAX) { /* forget one in the middle */
        sim_disk->free_versions[sim_disk->free_count++] = p->version[1];
        memmove(p->version + 1, p->version + 2, (SIM_VERSIONS_MAX - 2) * sizeof *p->version);
        p->count--;
    }
    p->version[p->count++] = version_new(now);
}

static void page_seen(struct sim_file *f, size_t page, const uint8_t *content)
{
    uint8_t *now = f->now + page * SIM_PAGE;
    if (memcmp(now, content, SIM_PAGE) == 0)
        return;
    page_note(&f->pages[page], now, content);
    memcpy(now, content, SIM_PAGE);
    if (page >= f->highest)
        f->highest = page + 1;
}

/* ---- names ---- */

static int name_find(const struct sim_names *n, const char *path)
{
    for (uint32_t i = 0; i < n->count; i++)
        if (strcmp(n->names[i].path, path) == 0)
            return (int)i;
    return -1;
}

static int name_file(const char *path)
{
    int i = name_find(&sim_disk->current, path);
    return i < 0 ? SIM_NONE : sim_disk->current.names[i].file;
}

static void name_remove(struct sim_names *n, const char *path)
{
    int i = name_find(n, path);
    if (i >= 0)
        n->names[i] = n->names[--n->count];
}

static void name_put(struct sim_names *n, const char *path, int file)
{
    name_remove(n, path);
    ASSERT(n->count < SIM_NAMES_MAX && strlen(path) < SIM_PATH_MAX);
    strcpy(n->names[n->count].path, path);
    n->names[n->count++].file = file;
}

static void change_apply(struct sim_names *n, const struct sim_change *c)
{
    if (c->kind != SIM_ADD)
        name_remove(n, c->path);
    if (c->kind != SIM_REMOVE)
        name_put(n, c->kind == SIM_ADD ? c->path : c->to, c->file);
}

static bool file_named(const struct sim_names *n, int file)
{
    for (uint32_t i = 0; i < n->count; i++)
        if (n->names[i].file == file)
            return true;
    return false;
}

/* Files that neither a name nor an unsynced change refers to. */
static void files_sweep(void)
{
    for (int i = 0; i < SIM_FILES_MAX; i++) {
        struct sim_file *f = &sim_disk->files[i];
        bool held = file_named(&sim_disk->current, i) || file_named(&sim_disk->durable, i);
        for (uint32_t c = 0; c < sim_disk->change_count; c++)
            held |= sim_disk->changes[c].file == i;
        if (held || !f->used)
            continue;
        for (size_t p = 0; p < f->highest; p++)
            page_settle(&f->pages[p]);
        memset(f->now, 0, f->highest * SIM_PAGE);
        f->used = false;
        f->size = f->durable_size = f->highest = 0;
    }
}

static int file_new(void)
{
    for (int again = 0; again < 2; again++) {
        for (int i = 0; i < SIM_FILES_MAX; i++)
            if (!sim_disk->files[i].used) {
                sim_disk->files[i].used = true;
                return i;
            }
        files_sweep();
    }
    PANIC("the simulated disk holds too many files");
}

static void change_note(enum sim_change_kind kind, const char *path, const char *to, int file)
{
    ASSERT(sim_disk->change_count < SIM_CHANGES_MAX);
    struct sim_change *c = &sim_disk->changes[sim_disk->change_count++];
    *c = (struct sim_change){.kind = kind, .file = file};
    snprintf(c->path, sizeof c->path, "%s", path);
    snprintf(c->to, sizeof c->to, "%s", to ? to : "");
    change_apply(&sim_disk->current, c);
}

/* The directory of a path ends here: "a/b" and "a" for "a/b" in "a"; the root is "". */
static bool in_directory(const char *path, const char *dir)
{
    const char *slash = strrchr(path, '/');
    size_t n = slash ? (size_t)(slash - path) : 0;
    return strlen(dir) == n && strncmp(path, dir, n) == 0;
}

static void directory_synced(const char *dir)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < sim_disk->change_count; i++) {
        struct sim_change *c = &sim_disk->changes[i];
        if (sim_disk->lies || !in_directory(c->path, dir))
            sim_disk->changes[kept++] = *c;
        else
            change_apply(&sim_disk->durable, c);
    }
    sim_disk->change_count = kept;
}

/* ---- files ---- */

static void file_resized(struct sim_file *f, size_t size)
{
    static const uint8_t zeros[SIM_PAGE];
    uint8_t cut[SIM_PAGE];
    ASSERT(size <= SIM_FILE_BYTES);
    for (size_t p = size / SIM_PAGE; p < f->highest; p++) {
        size_t kept = p == size / SIM_PAGE ? size % SIM_PAGE : 0;
        memcpy(cut, f->now + p * SIM_PAGE, kept);
        memcpy(cut + kept, zeros, SIM_PAGE - kept);
        page_seen(f, p, cut);
    }
    f->size = size;
}

static void file_observe(int file)
{
    struct sim_file *f = &sim_disk->files[file];
    char path[256];
    struct stat st;
    uint32_t i = 0;
    while (i < sim_disk->current.count && sim_disk->current.names[i].file != file)
        i++;
    if (i == sim_disk->current.count)
        return; /* it has no name any more: nobody will see it */
    snprintf(path, sizeof path, "%s/%s", sim->root, sim_disk->current.names[i].path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st))
        PANIC("cannot look at %s", path);
    if ((size_t)st.st_size != f->size)
        file_resized(f, (size_t)st.st_size);
    /* Files are filled from the front: what lies far behind all that ever had content is not looked at. */
    static uint8_t some[SIM_AHEAD_PAGES * SIM_PAGE];
    for (size_t at = 0; at < f->size && at / SIM_PAGE < f->highest + SIM_AHEAD_PAGES; at += sizeof some) {
        ssize_t n = pread(fd, some, sizeof some, (off_t)at);
        ASSERT(n > 0);
        memset(some + n, 0, SIM_PAGE - 1 - ((size_t)n - 1) % SIM_PAGE);
        for (size_t k = 0; k < (size_t)n; k += SIM_PAGE)
            page_seen(f, (at + k) / SIM_PAGE, some + k);
    }
    close(fd);
}

static void sim_disk_observe(void)
{
    sim_host++;
    for (int i = 0; i < SIM_FILES_MAX; i++)
        if (sim_disk->files[i].used)
            file_observe(i);
    sim_host--;
}

/* Bytes given to pwrite: no need to compare the file. */
static void file_wrote(int file, size_t at, const uint8_t *p, size_t n)
{
    struct sim_file *f = &sim_disk->files[file];
    uint8_t page[SIM_PAGE];
    ASSERT(at + n <= SIM_FILE_BYTES);
    if (at + n > f->size)
        f->size = at + n;
    while (n) {
        size_t in = at % SIM_PAGE, some = SIM_PAGE - in < n ? SIM_PAGE - in : n;
        memcpy(page, f->now + at - in, SIM_PAGE);
        memcpy(page + in, p, some);
        f->pages[at / SIM_PAGE].dropped = false;
        page_seen(f, at / SIM_PAGE, page);
        at += some;
        p += some;
        n -= some;
    }
}

static void file_synced(int file)
{
    struct sim_file *f = &sim_disk->files[file];
    sim_host++;
    file_observe(file);
    sim_host--;
    if (sim_disk->lies)
        return;
    for (size_t p = 0; p < f->highest; p++)
        if (!f->pages[p].dropped)
            page_settle(&f->pages[p]);
    f->durable_size = f->size;
}

/* A failed sync: some pages were written, the others are taken for clean and never will be. */
static void file_sync_failed(int file)
{
    struct sim_file *f = &sim_disk->files[file];
    sim_host++;
    file_observe(file);
    sim_host--;
    for (size_t p = 0; p < f->highest; p++) {
        struct sim_page *page = &f->pages[p];
        if (!page->count || page->dropped)
            continue;
        if (sim_random(2))
            page_settle(page);
        else
            page->dropped = true;
    }
}

/* ---- between two lives ---- */

static void page_make_up(const struct sim_file *f, size_t p, uint8_t out[SIM_PAGE])
{
    const struct sim_page *page = &f->pages[p];
    if (!page->count) {
        memcpy(out, f->now + p * SIM_PAGE, SIM_PAGE);
        return;
    }
    uint32_t how = page->dropped ? 0 : sim_disk->tears ? 3 : sim_random(4);
    uint32_t pick = how == 0 ? 0 : how == 1 ? sim_random(page->count) : page->count - 1u;
    for (uint32_t k = 0; k < SIM_PAGE; k += SIM_SECTOR)
        memcpy(out + k, sim_pool[page->version[how == 3 ? sim_random(page->count) : pick]] + k, SIM_SECTOR);
}

static size_t size_make_up(const struct sim_file *f)
{
    uint32_t how = sim_random(3);
    size_t low = f->durable_size < f->size ? f->durable_size : f->size;
    size_t high = f->durable_size < f->size ? f->size : f->durable_size;
    return how == 0 || low == high ? f->durable_size
           : how == 1              ? f->size
                                   : low + sim_random((uint32_t)(high - low) + 1);
}

/* Of the same number, as it is after the power cut. */
static void file_make_up(int file, const char *path)
{
    struct sim_file *f = &sim_disk->files[file];
    uint8_t page[SIM_PAGE];
    size_t size = size_make_up(f);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, (off_t)size))
        PANIC("cannot make %s", path);
    static const uint8_t zeros[SIM_PAGE];
    for (size_t p = 0; p < f->highest; p++) {
        size_t at = p * SIM_PAGE, len = at >= size ? 0 : size - at < SIM_PAGE ? size - at : SIM_PAGE;
        page_make_up(f, p, page);
        memset(page + len, 0, SIM_PAGE - len);
        page_settle(&f->pages[p]);
        memcpy(f->now + at, page, SIM_PAGE);
        if (len && memcmp(page, zeros, len) != 0 && pwrite(fd, page, len, (off_t)at) != (ssize_t)len)
            PANIC("cannot write %s", path);
    }
    f->size = f->durable_size = size;
    close(fd);
}

static bool has_directory(const struct sim_names *n, const char *path)
{
    char dir[SIM_PATH_MAX];
    const char *slash = strrchr(path, '/');
    snprintf(dir, sizeof dir, "%.*s", slash ? (int)(slash - path) : 0, path);
    return !*dir || (name_find(n, dir) >= 0 && has_directory(n, dir));
}

/* The entries that are there after the power cut. */
static void names_make_up(void)
{
    struct sim_names *n = &sim_disk->durable;
    uint32_t how = sim_random(3);
    for (uint32_t i = 0; i < sim_disk->change_count; i++)
        if (how == 0 || (how == 1 && sim_random(2)))
            change_apply(n, &sim_disk->changes[i]);
    sim_disk->change_count = 0;
    for (uint32_t i = 0; i < n->count;)
        if (has_directory(n, n->names[i].path))
            i++;
        else
            n->names[i] = n->names[--n->count];
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct sim_name *)a)->path, ((const struct sim_name *)b)->path);
}

static void sim_disk_power_cut(void)
{
    struct sim_names *n = &sim_disk->durable;
    sim_disk_observe();
    names_make_up();
    remove_tree(sim->root);
    if (mkdir(sim->root, 0700))
        PANIC("cannot make %s", sim->root);
    qsort(n->names, n->count, sizeof n->names[0], by_path); /* directories before what is in them */
    for (uint32_t i = 0; i < n->count; i++) {
        char path[256];
        snprintf(path, sizeof path, "%s/%s", sim->root, n->names[i].path);
        if (n->names[i].file >= 0)
            file_make_up(n->names[i].file, path);
        else if (mkdir(path, 0700))
            PANIC("cannot make %s", path);
    }
    sim_disk->current = *n;
    files_sweep();
    sim->boot++;
}

/* After a failed sync the kernel may read from the disk again what it has dropped. What it keeps is dirty again from here on: that the next
 * process writes the very same bytes there could not be told from its writing nothing. */
static void sim_disk_evict(void)
{
    sim_disk_observe();
    for (uint32_t i = 0; i < sim_disk->current.count; i++) {
        const struct sim_name *n = &sim_disk->current.names[i];
        struct sim_file *f = n->file >= 0 ? &sim_disk->files[n->file] : NULL;
        char path[256];
        snprintf(path, sizeof path, "%s/%s", sim->root, n->path);
        for (size_t p = 0; f && p < f->highest; p++) {
            struct sim_page *page = &f->pages[p];
            bool keeps = page->dropped && sim_random(2);
            if (!page->dropped || keeps) {
                page->dropped = false;
                continue;
            }
            int fd = open(path, O_WRONLY | O_CLOEXEC);
            size_t at = p * SIM_PAGE, len = at >= f->size             ? 0
                                            : f->size - at < SIM_PAGE ? f->size - at
                                                                      : SIM_PAGE;
            memcpy(f->now + at, sim_pool[page->version[0]], SIM_PAGE);
            if (fd < 0 || pwrite(fd, f->now + at, len, (off_t)at) != (ssize_t)len)
                PANIC("cannot write %s", path);
            close(fd);
            memset(f->now + at + len, 0, SIM_PAGE - len);
            page_settle(page);
        }
    }
}

static void sim_disk_begin(void)
{
    if (!sim_disk->files[0].now)
        for (int i = 0; i < SIM_FILES_MAX; i++)
            sim_disk->files[i].now = sim_contents + (size_t)i * SIM_FILE_BYTES;
    sim_disk->current.count = sim_disk->durable.count = sim_disk->change_count = 0;
    files_sweep();
    sim_disk->lies = sim_disk->tears = false;
    sim_disk->free_count = 0;
    for (uint32_t i = 0; i < SIM_POOL_PAGES; i++)
        sim_disk->free_versions[sim_disk->free_count++] = (uint16_t)i;
    remove_tree(sim->root);
    if ((mkdir(sim->base, 0700) && errno != EEXIST) || mkdir(sim->root, 0700))
        PANIC("cannot make %s", sim->root);
}

#endif
