/* The small files of a data directory and of a backup, as damage or somebody else may have left them: each is read or refused
 * with a reason. The first byte picks the file. */
#include "store/catalog.h"
#include "store/manifest.h"
#include "store/op_stats.h"
#include "store/store_impl.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[] = "/tmp/penstock-fuzz-files-XXXXXX";
static const char *const names[] = {"catalog.json", MANIFEST_FILE, "checkpoint", "operators",
                                    MANIFEST_SUM_FILE};

static void end(void)
{
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        char *path = xprintf("%s/%s", dir, names[i]);
        unlink(path);
        free(path);
    }
    rmdir(dir);
}

static void place(const char *name, const uint8_t *p, size_t len)
{
    static bool made;
    if (!made) {
        ASSERT(mkdtemp(dir) != NULL);
        atexit(end);
    }
    made = true;
    char *path = xprintf("%s/%s", dir, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ASSERT(fd >= 0 && write(fd, p, len) == (ssize_t)len);
    close(fd);
    free(path);
}

static void catalog(void)
{
    struct catalog *c = NULL;
    struct err *e = catalog_load(dir, &c);
    ASSERT(e ? c == NULL : c != NULL);
    for (uint32_t i = 0; c && i < c->api_count; i++)
        ASSERT(c->apis[i].view < c->view_count);
    catalog_free(c);
    err_free(e);
}

static void manifest(void)
{
    struct manifest *m = NULL;
    struct manifest_file f = {0};
    char *path = xprintf("%s/" MANIFEST_FILE, dir); /* its sum is right: the content is what is looked at */
    struct err *e = manifest_hash(path, NULL, &f);
    ASSERT(!e);
    char *line = xprintf("%s  " MANIFEST_FILE "\n", f.sha256);
    place(MANIFEST_SUM_FILE, (const uint8_t *)line, strlen(line));
    free(line);
    free(path);
    e = manifest_load(dir, &m);
    ASSERT((e == NULL) == (m != NULL));
    manifest_free(m);
    err_free(e);
}

static void marker(void)
{
    static struct marker m;
    enum marker_found found;
    struct err *e = marker_load(dir, &m, &found);
    ASSERT(e || found != MARKER_FOUND || m.shard_count <= GATE_SHARDS_MAX);
    err_free(e);
}

static void operators(void)
{
    const struct op_stats *s = NULL;
    struct err *e = op_stats_open(dir, &s);
    if (!e && s)
        op_stats_close(s);
    err_free(e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const readers[])(void) = {catalog, manifest, marker, operators};
    if (size == 0)
        return 0;
    unsigned which = data[0] % ARRAY_COUNT(readers);
    place(names[which], data + 1, size - 1);
    readers[which]();
    return 0;
}
