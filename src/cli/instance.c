/* An instance seen from outside; see instance.h.
 *
 * gate_open is not used: it makes the file when it is missing or of another boot, and a look must not write. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "cli/instance.h"
#include "base/file.h"

#include "config/config.h"
#include "store/store.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static bool of_this_boot(const struct gate *g)
{
    char boot[64];
    size_t n = file_text("/proc/sys/kernel/random/boot_id", boot, sizeof boot);
    while (n && boot[n - 1] == '\n')
        boot[--n] = 0;
    return memcmp(g->magic, "PENSTOCK", sizeof g->magic) == 0 && g->layout == GATE_LAYOUT &&
           g->size_bytes == sizeof *g && n && strncmp(g->boot_id, boot, sizeof g->boot_id) == 0;
}

static struct err *map_gate(const char *path, const struct gate **out)
{
    struct stat st;
    *out = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return access(path, F_OK) == 0 ? err_errno(ERR_IO, "cannot read %s", path) : NULL;
    if (fstat(fd, &st) == 0 && st.st_size >= (off_t)sizeof(struct gate)) {
        void *p = mmap(NULL, sizeof(struct gate), PROT_READ, MAP_SHARED, fd, 0);
        *out = p == MAP_FAILED ? NULL : p;
    }
    close(fd);
    if (*out && !of_this_boot(*out)) {
        munmap((void *)*out, sizeof **out);
        *out = NULL;
    }
    return NULL;
}

/* ---- processes ---- */

/* Whether the process's second word is this command: ids are used again. */
static bool runs_command(unsigned pid, const char *command)
{
    char path[32], text[256];
    if (!pid || pid == GATE_READER_CLAIMED)
        return false;
    snprintf(path, sizeof path, "/proc/%u/cmdline", pid);
    size_t n = file_text(path, text, sizeof text);
    size_t first = strlen(text) + 1;
    return n > first && strcmp(text + first, command) == 0;
}

static unsigned find_serve(const struct gate *g)
{
    for (int i = 0; g && i < GATE_READERS_MAX; i++) {
        unsigned pid = atomic_load(&g->readers[i].pid);
        if (runs_command(pid, "serve-process"))
            return pid;
    }
    return 0;
}

static void look(struct instance *i)
{
    char *path = xprintf("%s/run/supervisor.pid", i->dir), text[32];
    file_text(path, text, sizeof text);
    free(path);
    unsigned supervisor = (unsigned)strtoul(text, NULL, 10);
    unsigned pipeline = i->gate ? atomic_load(&i->gate->pipeline_pid) : 0;
    i->supervisor = runs_command(supervisor, "run") ? supervisor : 0;
    i->pipeline = runs_command(pipeline, "pipeline-process") ? pipeline : 0;
    i->serve = find_serve(i->gate);
}

struct err *instance_peek(const char *dir, struct instance *out)
{
    *out = (struct instance){.dir = dir};
    char *path = xprintf("%s/gate", dir);
    struct err *e = map_gate(path, &out->gate);
    free(path);
    if (!e)
        look(out);
    return e;
}

struct err *instance_open(const char *dir, struct instance *out)
{
    struct err *e = instance_peek(dir, out);
    if (!e)
        e = catalog_load(dir, &out->catalog);
    uint32_t shards = 0;
    if (!e && access(dir, F_OK) == 0)
        e = store_inspect(dir, &shards, &out->durable_epoch);
    out->has_store = shards != 0;
    if (e)
        instance_close(out);
    return e;
}

void instance_close(struct instance *i)
{
    if (i->gate)
        munmap((void *)i->gate, sizeof *i->gate);
    catalog_free(i->catalog);
    i->gate = NULL;
    i->catalog = NULL;
}

bool instance_lives(const struct instance *i)
{
    return i->supervisor || i->pipeline || i->serve;
}

double instance_uptime_s(unsigned pid)
{
    char path[32], text[512], up[64];
    snprintf(path, sizeof path, "/proc/%u/stat", pid);
    if (!pid || !file_text(path, text, sizeof text) || !file_text("/proc/uptime", up, sizeof up))
        return 0;
    const char *p = strrchr(text, ')'); /* the name may hold anything; the start time is field 22 */
    for (int field = 2; p && field < 22; field++)
        p = (p = strchr(p, ' ')) ? p + 1 : NULL;
    double started = p ? (double)strtoull(p, NULL, 10) / (double)sysconf(_SC_CLK_TCK) : 0;
    return started > 0 ? strtod(up, NULL) - started : 0;
}

/* ---- boots ---- */

#define BOOT_ID_BYTES 36

static bool read_boot_id(const char *path, char *out)
{
    char text[BOOT_ID_BYTES + 1];
    bool whole = file_text(path, text, sizeof text) == BOOT_ID_BYTES;
    memcpy(out, text, BOOT_ID_BYTES);
    return whole;
}

bool instance_fresh_boot(const char *dir, const struct gate *gate)
{
    char now[BOOT_ID_BYTES], then[BOOT_ID_BYTES], *path = xprintf("%s/boot", dir);
    bool same = read_boot_id("/proc/sys/kernel/random/boot_id", now) && read_boot_id(path, then) &&
                memcmp(now, then, BOOT_ID_BYTES) == 0;
    free(path);
    return !same || (gate && atomic_load(&gate->unrecovered));
}

struct err *instance_record_boot(const char *dir)
{
    char now[BOOT_ID_BYTES], *path = xprintf("%s/boot", dir);
    FILE *f = read_boot_id("/proc/sys/kernel/random/boot_id", now) ? fopen(path, "we") : NULL;
    bool ok = f && fwrite(now, 1, BOOT_ID_BYTES, f) == BOOT_ID_BYTES;
    ok = f && fclose(f) == 0 && ok;
    struct err *e = ok ? NULL : err_errno(ERR_IO, "cannot write %s", path);
    free(path);
    return e;
}

struct err *instance_dir(const struct cli_args *a, char **out)
{
    struct config *c = NULL;
    if (a->data) {
        *out = xstrdup(a->data);
        return NULL;
    }
    struct err *e = config_load(a->config, false, &c);
    if (!e)
        *out = xstrdup(c->store_path);
    config_free(c);
    return e;
}
