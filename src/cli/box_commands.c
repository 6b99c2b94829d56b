/* See box_commands.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "cli/box_commands.h"

#include "box/program.h"
#include "store/small_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define JSON_BYTES_MAX (8u << 20)
#define ASK_TIMEOUT_MS 15000

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
} commands_here[] = {
    {"check", box_check},
    {"apply", box_apply},
    {"status", box_status},
    {"logs", box_logs},
    {"configuration", box_configuration},
    {"support-bundle", box_support_bundle},
    {"backup", box_backup},
    {"restore", box_restore},
    {"upgrade", box_upgrade},
    {"rollback", box_rollback},
    {"slot", box_slot},
    {"health", box_health},
    {"reboot", box_power},
    {"poweroff", box_power},
    {"screen", box_screen},
    {"cores", box_cores},
};

int box_commands_main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[0], "--root") == 0) {
        box_root = argv[1];
        argc -= 2;
        argv += 2;
    }
    for (size_t i = 0; argc > 0 && i < ARRAY_COUNT(commands_here); i++)
        if (strcmp(commands_here[i].name, argv[0]) == 0)
            return commands_here[i].run(argc, argv);
    const struct box_command *c = argc > 0 ? box_command_find(argv[0]) : NULL;
    if (c && !c->run && !c->penstock) { /* box_main would come back here */
        fprintf(stderr, "penstock box: %s cannot be run\n", argv[0]);
        return EXIT_FAILED;
    }
    return box_main(argc, argv);
}

yyjson_doc *box_json(const char *path)
{
    char *file = box_file(path), *text = NULL;
    size_t len = 0;
    err_free(small_file_read(file, JSON_BYTES_MAX, &text, &len));
    yyjson_doc *doc = text ? yyjson_read(text, len, 0) : NULL;
    free(text);
    free(file);
    return doc;
}

yyjson_doc *box_ask_json(const char *name)
{
    const char *rooted[] = {"penstock", "box", "--root", box_root, name, "--json", NULL};
    const char *plain[] = {"penstock", "box", name, "--json", NULL};
    struct buf out = {0}, dropped = {0};
    struct program p = {.argv = box_root[0] ? rooted : plain,
                        .out = &out,
                        .err = &dropped,
                        .most = JSON_BYTES_MAX,
                        .timeout_ms = ASK_TIMEOUT_MS};
    int status;
    struct err *e = program_run(&p, &status);
    yyjson_doc *doc = !e && !status && out.len ? yyjson_read((const char *)out.p, out.len, 0) : NULL;
    err_free(e);
    buf_fini(&out);
    buf_fini(&dropped);
    return doc;
}

bool box_write(const void *p, size_t len)
{
    for (size_t at = 0; at < len;) {
        ssize_t n = write(STDOUT_FILENO, (const char *)p + at, len - at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        at += (size_t)n;
    }
    return true;
}

struct err *box_write_all(const void *p, size_t len)
{
    return box_write(p, len) ? NULL : err_errno(ERR_IO, "cannot write to standard output");
}
