/* See modules.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "init/modules.h"

#include "base/file.h"
#include "base/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define COMPRESSED_FILE 4 /* MODULE_INIT_COMPRESSED_FILE: the kernel unpacks it */
#define WALK_DEPTH_MAX  24
#define ROUNDS_MAX      6

enum state { UNTRIED, UNDER_WAY, LOADED, FAILED };
struct module {
    char name[MODULE_NAME_MAX]; /* with _ for - */
    char *line;                 /* borrowed from the text: "path: dep dep" */
    enum state state;
};
struct modules {
    char *dir, *dep, *alias, *soft; /* owned */
    struct module *modules;         /* owned, sorted by name */
    uint32_t count, loaded, failed;
    modules_load_fn *load;
    void *arg;
    char failure[160];
};

/* ---- names ---- */

static char plain(char c)
{
    return c == '-' ? '_' : c;
}

/* "kernel/drivers/a-b.ko.xz" -> "a_b". False: it is too long. */
static bool name_of(const char *path, size_t len, char out[MODULE_NAME_MAX])
{
    size_t start = len, n = 0;
    while (start > 0 && path[start - 1] != '/')
        start--;
    for (size_t i = start; i < len && path[i] != '.'; i++) {
        if (n == MODULE_NAME_MAX - 1)
            return false;
        out[n++] = plain(path[i]);
    }
    out[n] = 0;
    return n > 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct module *)a)->name, ((const struct module *)b)->name);
}

static struct module *find(struct modules *m, const char *name)
{
    struct module key;
    size_t n = 0;
    for (; name[n]; n++) {
        if (n == MODULE_NAME_MAX - 1)
            return NULL;
        key.name[n] = plain(name[n]);
    }
    key.name[n] = 0;
    return m->count ? bsearch(&key, m->modules, m->count, sizeof key, by_name) : NULL;
}

/* ---- reading ---- */

static char *next_line(char **p)
{
    char *line = *p, *end = strchr(line, '\n');
    if (!*line)
        return NULL;
    *p = end ? end + 1 : line + strlen(line);
    if (end)
        *end = 0;
    return line;
}

static void parse_dep(struct modules *m)
{
    char *p = m->dep;
    m->modules = xcalloc(MODULES_MAX, sizeof *m->modules);
    for (char *line; m->count < MODULES_MAX && (line = next_line(&p));) {
        char *colon = strchr(line, ':');
        struct module *one = &m->modules[m->count];
        if (!colon || !name_of(line, (size_t)(colon - line), one->name))
            continue;
        *colon = 0;
        one->line = line;
        m->count++;
    }
    qsort(m->modules, m->count, sizeof *m->modules, by_name);
}

static char *copy(const char *p, size_t len)
{
    char *text = xmalloc(len + 1);
    memcpy(text, p, len);
    text[len] = 0;
    for (size_t i = 0; i < len; i++)
        if (!text[i])
            text[i] = ' ';
    return text;
}

static int load_by_kernel(void *arg, const char *path)
{
    struct modules *m = arg;
    char *whole = xprintf("%s/%s", m->dir, path);
    int fd = open(whole, O_RDONLY | O_CLOEXEC);
    size_t n = strlen(path);
    bool packed = n > 3 && strcmp(path + n - 3, ".ko") != 0;
    int r = fd < 0 ? -1 : (int)syscall(SYS_finit_module, fd, "", packed ? COMPRESSED_FILE : 0);
    int why = r == 0 ? 0 : errno;
    if (fd >= 0)
        close(fd);
    free(whole);
    return why;
}

struct modules *modules_parse(const char *dep, size_t dep_len, const char *alias, size_t alias_len,
                              const char *soft, size_t soft_len, modules_load_fn *load, void *arg)
{
    struct modules *m = xcalloc(1, sizeof *m);
    m->dir = xstrdup("");
    m->dep = copy(dep, dep_len);
    m->alias = copy(alias, alias_len);
    m->soft = copy(soft, soft_len);
    m->load = load ? load : load_by_kernel;
    m->arg = load ? arg : m;
    parse_dep(m);
    return m;
}

static char *read_text(const char *dir, const char *name, size_t *len)
{
    char *path = xprintf("%s/%s", dir, name), *text = NULL;
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    free(path);
    *len = 0;
    if (fd >= 0 && fstat(fd, &st) == 0 && st.st_size <= MODULES_FILE_MAX) {
        text = xmalloc((size_t)st.st_size + 1);
        ssize_t n = file_read_at(fd, text, (size_t)st.st_size, 0);
        *len = n < 0 ? 0 : (size_t)n;
    }
    if (fd >= 0)
        close(fd);
    return text;
}

struct err *modules_open(const char *dir, modules_load_fn *load, void *arg, struct modules **out)
{
    size_t n[3];
    char *dep = read_text(dir, "modules.dep", &n[0]), *alias = read_text(dir, "modules.alias", &n[1]),
         *soft = read_text(dir, "modules.softdep", &n[2]);
    struct err *e = NULL;
    *out = NULL;
    if (!dep) {
        e = err_errno(ERR_IO, "%s/modules.dep", dir);
    } else {
        *out = modules_parse(dep, n[0], alias ? alias : "", n[1], soft ? soft : "", n[2], load, arg);
        free((*out)->dir);
        (*out)->dir = xstrdup(dir);
    }
    free(dep);
    free(alias);
    free(soft);
    return e;
}

void modules_free(struct modules *m)
{
    if (!m)
        return;
    free(m->dir);
    free(m->dep);
    free(m->alias);
    free(m->soft);
    free(m->modules);
    free(m);
}

/* ---- loading ---- */

static bool load_one(struct modules *m, struct module *one, unsigned depth);
static bool load_named(struct modules *m, const char *name, unsigned depth);
static uint32_t load_matching(struct modules *m, const char *alias, unsigned depth);

/* The words of a list, last first: depmod puts what is needed first at the end. */
static bool load_deps(struct modules *m, const char *list, unsigned depth)
{
    size_t end = strlen(list);
    bool all = true;
    while (end > 0) {
        while (end > 0 && list[end - 1] == ' ')
            end--;
        size_t start = end;
        while (start > 0 && list[start - 1] != ' ')
            start--;
        char name[MODULE_NAME_MAX];
        if (end > start && name_of(list + start, end - start, name)) {
            struct module *dep = find(m, name);
            all = dep && load_one(m, dep, depth + 1) && all;
        }
        end = start;
    }
    return all;
}

/* "softdep NAME pre: a b post: c": a and b. Not being able to load them is no fault: they may be built in. */
static void load_soft(struct modules *m, const struct module *one, unsigned depth)
{
    for (const char *line = m->soft; line && *line;) {
        const char *end = strchrnul(line, '\n');
        char words[1024], *save, *word;
        bool pre = false;
        if ((size_t)(end - line) < sizeof words && strncmp(line, "softdep ", 8) == 0) {
            memcpy(words, line + 8, (size_t)(end - line - 8));
            words[end - line - 8] = 0;
            word = strtok_r(words, " ", &save);
            struct module *whose = word ? find(m, word) : NULL;
            while (whose == one && (word = strtok_r(NULL, " ", &save))) {
                if (strcmp(word, "pre:") == 0 || strcmp(word, "post:") == 0)
                    pre = word[1] == 'r';
                else if (pre)
                    load_named(m, word, depth + 1);
            }
        }
        line = *end ? end + 1 : NULL;
    }
}

static bool load_one(struct modules *m, struct module *one, unsigned depth)
{
    if (one->state == LOADED)
        return true;
    if (one->state != UNTRIED || depth > MODULES_DEPTH_MAX)
        return false;
    one->state = UNDER_WAY;
    load_soft(m, one, depth);
    bool deps = load_deps(m, one->line + strlen(one->line) + 1, depth);
    int why = m->load(m->arg, one->line);
    /* It is there already, or its device is not. */
    if (why == 0 || why == EEXIST || why == ENODEV) {
        one->state = LOADED;
        m->loaded++;
        return true;
    }
    one->state = FAILED;
    m->failed++;
    text_fill(m->failure, sizeof m->failure, "%s: %s%s", one->name, strerror(why),
              deps ? "" : " (something that it depends on was not loaded)");
    return false;
}

static bool load_named(struct modules *m, const char *name, unsigned depth)
{
    if (depth > MODULES_DEPTH_MAX)
        return false;
    struct module *one = find(m, name);
    return one ? load_one(m, one, depth) : load_matching(m, name, depth) > 0;
}

/* "alias PATTERN NAME": the two parts of a line. */
static bool alias_line(const char *line, const char *end, char pattern[512], char name[MODULE_NAME_MAX])
{
    if (end - line < 6 || strncmp(line, "alias ", 6) != 0)
        return false;
    const char *p = line + 6, *blank = memchr(p, ' ', (size_t)(end - p));
    if (!blank || blank - p > 511 || end - blank - 1 < 1 || end - blank - 1 > MODULE_NAME_MAX - 1)
        return false;
    memcpy(pattern, p, (size_t)(blank - p));
    pattern[blank - p] = 0;
    memcpy(name, blank + 1, (size_t)(end - blank - 1));
    name[end - blank - 1] = 0;
    return true;
}

static uint32_t load_matching(struct modules *m, const char *alias, unsigned depth)
{
    uint32_t before = m->loaded, known = 0;
    size_t bus = strcspn(alias, ":");
    for (const char *line = m->alias; line && *line;) {
        const char *end = strchrnul(line, '\n');
        char pattern[512], name[MODULE_NAME_MAX];
        /* Most are of another bus: fnmatch is the slow part. */
        bool near = (size_t)(end - line) > 6 + bus && (strncmp(line + 6, alias, bus) == 0 || line[6] == '*');
        if (near && alias_line(line, end, pattern, name) && fnmatch(pattern, alias, 0) == 0) {
            struct module *one = find(m, name);
            known += one && load_one(m, one, depth + 1);
        }
        line = *end ? end + 1 : NULL;
    }
    return m->loaded - before + (depth ? known : 0);
}

bool modules_load(struct modules *m, const char *name)
{
    return load_named(m, name, 1);
}

uint32_t modules_match(struct modules *m, const char *modalias)
{
    return *modalias ? load_matching(m, modalias, 0) : 0;
}

/* ---- devices ---- */

/* A modalias may hold [ and ?; fnmatch reads those in the pattern alone, which is the image's. */
static uint32_t match_file(struct modules *m, int dirfd)
{
    char text[1024];
    int fd = openat(dirfd, "modalias", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
    if (fd >= 0)
        close(fd);
    text[n > 0 ? n : 0] = 0;
    text[strcspn(text, "\n")] = 0;
    return modules_match(m, text);
}

static uint32_t walk(struct modules *m, int dirfd, unsigned depth) /* takes dirfd */
{
    DIR *d = fdopendir(dirfd);
    uint32_t n = 0;
    if (!d) {
        close(dirfd);
        return 0;
    }
    for (struct dirent *e; (e = readdir(d));) {
        if (e->d_name[0] == '.')
            continue;
        if (strcmp(e->d_name, "modalias") == 0) {
            n += match_file(m, dirfd);
        } else if (e->d_type == DT_DIR && depth < WALK_DEPTH_MAX) {
            int fd = openat(dirfd, e->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
            n += fd < 0 ? 0 : walk(m, fd, depth + 1);
        }
    }
    closedir(d);
    return n;
}

uint32_t modules_coldplug(struct modules *m, const char *devices)
{
    uint32_t all = 0, n = 1;
    for (int round = 0; n && round < ROUNDS_MAX; round++) {
        int fd = open(devices, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        n = fd < 0 ? 0 : walk(m, fd, 0);
        all += n;
    }
    return all;
}

uint32_t modules_loaded(const struct modules *m)
{
    return m->loaded;
}

uint32_t modules_failed(const struct modules *m)
{
    return m->failed;
}

const char *modules_failure(const struct modules *m)
{
    return m->failure;
}
