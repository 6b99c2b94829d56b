/* `support-bundle`: what a supporter needs to find out what a box does, as a tar archive on standard output. No secret is in it: keys,
 * passwords' hashes, tokens and certificates' keys are not read at all but to be recognized, and every text goes through scrub.h. What cannot
 * be had is said in notes.txt in its place. Nothing is written to the disk. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "cli/box_commands.h"
#include "cli/box_input.h"

#include "box/program.h"
#include "box/scrub.h"
#include "box/tar.h"
#include "store/small_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/klog.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_BYTES_MAX   (8u << 20) /* of one text; of a log's file its end */
#define LOG_FILES_MAX    8
#define CRASH_FILES_MAX  32
#define COMMAND_WAIT_MS  20000
#define KERNEL_BYTES_MAX (1 << 20)
#define SYSLOG_READ_ALL  3
#define YAML_BYTES       (4u << 20)
#define TOP              "support/"

struct bundle_writer {
    struct scrub secrets;
    struct buf notes;
    struct err *e; /* the first of writing: then nothing more is done */
};

/* ---- writing ---- */

static void put(struct bundle_writer *w, const char *name, const void *p, size_t len)
{
    static const uint8_t zeros[TAR_BLOCK_BYTES];
    uint8_t header[TAR_BLOCK_BYTES];
    char *path = xprintf(TOP "%s", name);
    struct err *e = w->e ? NULL : tar_header(header, path, len, false);
    if (!w->e && !e)
        e = box_write_all(header, sizeof header);
    if (!w->e && !e)
        e = box_write_all(p, len);
    if (!w->e && !e)
        e = box_write_all(zeros, (TAR_BLOCK_BYTES - len % TAR_BLOCK_BYTES) % TAR_BLOCK_BYTES);
    if (!w->e)
        w->e = e;
    free(path);
}

static void note(struct bundle_writer *w, const char *name, const char *why)
{
    buf_printf(&w->notes, "%s: %s\n", name, why);
}

static void put_scrubbed(struct bundle_writer *w, const char *name, const void *p, size_t len)
{
    struct buf clean = {0};
    scrub_text(&w->secrets, p, len, &clean);
    put(w, name, clean.p ? clean.p : (const uint8_t *)"", clean.len);
    buf_fini(&clean);
}

/* The end of a file, from a line's beginning. */
static bool read_tail(const char *path, struct buf *out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    struct stat st;
    bool cut = false;
    if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > (off_t)FILE_BYTES_MAX) {
        lseek(fd, st.st_size - (off_t)FILE_BYTES_MAX, SEEK_SET);
        cut = true;
    }
    ssize_t n = -1;
    while (fd >= 0 && out->len < FILE_BYTES_MAX && (n = read(fd, buf_room(out, 65536), 65536)) > 0)
        out->len += (size_t)n;
    if (fd >= 0)
        close(fd);
    const uint8_t *line = cut && out->len ? memchr(out->p, '\n', out->len) : NULL;
    if (line) {
        size_t skip = (size_t)(line - out->p) + 1;
        memmove(out->p, out->p + skip, out->len - skip);
        out->len -= skip;
    }
    return fd >= 0 && n >= 0;
}

static void put_file(struct bundle_writer *w, const char *name, const char *path)
{
    struct buf text = {0};
    if (read_tail(path, &text))
        put_scrubbed(w, name, text.p, text.len);
    else
        note(w, name, "not there, or not readable");
    buf_fini(&text);
}

static void put_box_file(struct bundle_writer *w, const char *name, const char *path)
{
    char *file = box_file(path);
    put_file(w, name, file);
    free(file);
}

/* ---- what has to be known first ---- */

static void learn_words(struct scrub *s, const char *path)
{
    char *file = box_file(path), *text = NULL;
    size_t len = 0;
    err_free(small_file_read(file, 65536, &text, &len));
    for (size_t at = 0; at < len;) {
        size_t n = 0;
        while (at + n < len && text[at + n] > ' ' && !strchr("\"{}:,", text[at + n]))
            n++;
        if (n >= 8)
            scrub_add(s, text + at, n);
        at += n + 1;
    }
    free(text);
    free(file);
}

/* The configuration's folder, `name` of current and previous: YAML without its secrets, SQL, and of the rest the names. Into `out` as an
 * archive, as its secrets have to be known before anything is written. */
static void learn_configuration(struct bundle_writer *w, const char *name, struct buf *yaml, struct buf *tar)
{
    char *dir = box_file(BOX_CONFIG_STORE), *path = xprintf("%s/%s", dir, name), *text = NULL;
    char *file = xprintf("%s/penstock.yaml", path);
    size_t len = 0;
    struct err *e = access(path, F_OK) == 0 ? tar_folder(tar, path) : NULL;
    if (!e)
        e = small_file_read(file, YAML_BYTES, &text, &len);
    if (!e && text)
        e = scrub_yaml(&w->secrets, text, len, yaml);
    if (e) { /* its secrets are not known: then nothing of it */
        buf_reset(yaml);
        buf_reset(tar);
        note(w, name, "the configuration is left out, as its secrets cannot be told from the rest");
    }
    err_free(e);
    free(text);
    free(file);
    free(path);
    free(dir);
}

static void put_configuration(struct bundle_writer *w, const char *name, const struct buf *yaml,
                              const struct buf *tar)
{
    struct tar_reader r;
    struct tar_entry entry;
    struct buf list = {0};
    bool more = true;
    char path[TAR_PATH_BYTES_MAX + 40];
    tar_open(&r, tar->p, tar->len);
    struct err *e = NULL;
    while (tar->len && !(e = tar_next(&r, &entry, &more)) && more) {
        size_t len = strlen(entry.path);
        bool sql = len > 4 && strcmp(entry.path + len - 4, ".sql") == 0;
        snprintf(path, sizeof path, "configuration/%s/%s", name, entry.path);
        buf_printf(&list, "%10zu %s\n", entry.len, entry.path);
        if (!entry.folder && sql)
            put_scrubbed(w, path, entry.data, entry.len);
    }
    err_free(e);
    snprintf(path, sizeof path, "configuration/%s/penstock.yaml", name);
    if (yaml->len)
        put_scrubbed(w, path, yaml->p, yaml->len);
    snprintf(path, sizeof path, "configuration/%s/files.txt", name);
    if (list.len)
        put_scrubbed(w, path, list.p, list.len);
    buf_fini(&list);
}

/* ---- the parts ---- */

static void put_settings(struct bundle_writer *w)
{
    char *file = box_file(BOX_SETTINGS), *text = NULL;
    struct buf clean = {0};
    size_t len = 0;
    struct err *e = small_file_read(file, YAML_BYTES, &text, &len);
    if (!e && text)
        e = scrub_yaml(&w->secrets, text, len, &clean);
    if (e || !text)
        note(w, "box.yaml", e ? "no YAML" : "there is none: the defaults");
    else
        put_scrubbed(w, "box.yaml", clean.p, clean.len);
    err_free(e);
    buf_fini(&clean);
    free(text);
    free(file);
}

/* What one of our commands prints. */
static void put_command(struct bundle_writer *w, const char *name, const char *const *argv, enum box_user as)
{
    struct buf out = {0};
    struct program p = {.argv = argv,
                        .as = as,
                        .out = &out,
                        .err = &out,
                        .most = FILE_BYTES_MAX,
                        .timeout_ms = COMMAND_WAIT_MS};
    int status;
    struct err *e = program_run(&p, &status);
    if (e)
        note(w, name, e->message);
    put_scrubbed(w, name, out.p, out.len);
    err_free(e);
    buf_fini(&out);
}

static void put_commands(struct bundle_writer *w)
{
    char *store = box_file(BOX_STORE), *yaml = box_file(BOX_YAML);
    const char *root = box_root[0] ? "--root" : NULL;
    static const char *const boxes[] = {"slot", "network", "time", "placement"};
    for (size_t i = 0; i < ARRAY_COUNT(boxes); i++) {
        const char *with[] = {"penstock", "box", root, box_root, boxes[i], "--json", NULL};
        const char *without[] = {"penstock", "box", boxes[i], "--json", NULL};
        char name[64];
        snprintf(name, sizeof name, "%s.json", boxes[i]);
        if (box_command_find(boxes[i]))
            put_command(w, name, root ? with : without, BOX_ROOT);
    }
    put_command(w, "version.txt", (const char *const[]){"penstock", "--version", NULL}, BOX_PENSTOCK);
    put_command(w, "pipeline.txt", (const char *const[]){"penstock", "status", "--data", store, NULL},
                BOX_PENSTOCK);
    put_command(
        w, "versions.json",
        (const char *const[]){"penstock", "version", "list", "--json", "-c", yaml, "--data", store, NULL},
        BOX_PENSTOCK);
    put_command(w, "explain.txt",
                (const char *const[]){"penstock", "explain", "-c", yaml, "--data", store, NULL},
                BOX_PENSTOCK);
    free(store);
    free(yaml);
}

static void put_logs(struct bundle_writer *w)
{
    char from[64], name[64];
    for (unsigned n = 0; n < LOG_FILES_MAX && !w->e; n++) {
        snprintf(from, sizeof from, n ? BOX_LOG "/box.log.%u" : BOX_LOG "/box.log", n);
        snprintf(name, sizeof name, n ? "log/box.log.%u" : "log/box.log", n);
        char *file = box_file(from);
        if (access(file, F_OK) == 0)
            put_file(w, name, file);
        free(file);
    }
}

static void put_kernel(struct bundle_writer *w)
{
    static const char *const files[] = {"cmdline", "cpuinfo",    "meminfo", "mounts",
                                        "uptime",  "loadavg",    "vmstat",  "interrupts",
                                        "version", "partitions", "net/dev", "modules"};
    char path[64], name[64];
    for (size_t i = 0; i < ARRAY_COUNT(files) && !w->e; i++) {
        snprintf(path, sizeof path, "/proc/%s", files[i]);
        snprintf(name, sizeof name, "kernel/%s", strchr(files[i], '/') ? "net-dev" : files[i]);
        put_file(w, name, path);
    }
    char *text = xmalloc(KERNEL_BYTES_MAX);
    int n = box_root[0] ? -1 : klogctl(SYSLOG_READ_ALL, text, KERNEL_BYTES_MAX);
    if (n >= 0)
        put_scrubbed(w, "kernel/dmesg.txt", text, (size_t)n);
    else
        note(w, "kernel/dmesg.txt", "not readable");
    free(text);
}

static void put_crashes(struct bundle_writer *w)
{
    char *dir = box_file(BOX_STORE "/crash");
    DIR *d = opendir(dir);
    int count = 0;
    for (struct dirent *entry; d && !w->e && count < CRASH_FILES_MAX && (entry = readdir(d));) {
        if (entry->d_name[0] == '.' || strlen(entry->d_name) > 100)
            continue;
        char *path = xprintf("%s/%s", dir, entry->d_name), *name = xprintf("crash/%s", entry->d_name);
        put_file(w, name, path);
        count++;
        free(path);
        free(name);
    }
    if (d)
        closedir(d);
    free(dir);
}

static void put_all(struct bundle_writer *w)
{
    struct buf yaml[2] = {{0}, {0}}, tar[2] = {{0}, {0}};
    static const char *const names[] = {"current", "previous"};
    learn_words(&w->secrets, BOX_CLAIM);
    learn_words(&w->secrets, BOX_ADMIN);
    for (int i = 0; i < 2; i++)
        learn_configuration(w, names[i], &yaml[i], &tar[i]);
    char *status = box_status_json();
    put_scrubbed(w, "status.json", status ? status : "", status ? strlen(status) : 0);
    free(status);
    put_box_file(w, "image.json", BOX_IMAGE_JSON);
    put_box_file(w, "run/boot.json", BOX_RUN_BOOT);
    put_box_file(w, "run/network.json", BOX_RUN_NETWORK);
    put_box_file(w, "run/health.json", BOX_RUN_HEALTH);
    put_settings(w);
    for (int i = 0; i < 2; i++)
        put_configuration(w, names[i], &yaml[i], &tar[i]);
    put_commands(w);
    put_logs(w);
    put_kernel(w);
    put_crashes(w);
    put_scrubbed(w, "notes.txt", w->notes.p, w->notes.len);
    for (int i = 0; i < 2; i++) {
        buf_fini(&yaml[i]);
        buf_fini(&tar[i]);
    }
}

int box_support_bundle(int argc, char **argv)
{
    static const uint8_t end[2 * TAR_BLOCK_BYTES];
    struct bundle_writer w = {0};
    (void)argv;
    if (argc != 1) {
        fputs("usage: support-bundle >FILE\n", stderr);
        return EXIT_USAGE;
    }
    if (isatty(STDOUT_FILENO))
        return cli_report(err_hint(err_new(ERR_CONFIG, "an archive is nothing for a terminal"),
                                   "ssh admin@BOX support-bundle >bundle.tar"));
    put_all(&w);
    if (!w.e)
        w.e = box_write_all(end, sizeof end);
    scrub_fini(&w.secrets);
    buf_fini(&w.notes);
    return cli_report(w.e);
}
