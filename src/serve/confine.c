/* The serve process's sandbox; see confine.h. */
#include "serve/confine.h"
#include "base/sandbox.h"
#include "store/audit.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

struct err *confine_enter(const char *data_dir, const char *console_dir, unsigned *parts)
{
    char *crash_dir = xprintf("%s/crash", data_dir), *readers_dir = xprintf("%s/readers", data_dir),
         *audit_dir = xprintf("%s/" AUDIT_DIR, data_dir);
    const struct sandbox_path paths[] = {
        {data_dir, SANDBOX_READ},    {readers_dir, SANDBOX_WRITE},  {crash_dir, SANDBOX_MAKE},
        {audit_dir, SANDBOX_WRITE},  {console_dir, SANDBOX_SOCKET}, {"/proc/self", SANDBOX_READ},
        {"/dev/null", SANDBOX_READ}, {"/dev/random", SANDBOX_READ}, {"/dev/urandom", SANDBOX_READ},
    };
    const struct sandbox box = {.process = "serve",
                                .calls = SANDBOX_CALLS_SERVE,
                                .file_bytes = CONFINE_FILE_BYTES,
                                .paths = paths,
                                .path_count = ARRAY_COUNT(paths)};
    audit_prepare(data_dir);
    bool there = mkdir(readers_dir, 0700) == 0 || errno == EEXIST; /* the rule is for this very directory */
    struct err *e =
        there ? sandbox_enter(&box, parts) : err_errno(ERR_IO, "cannot make directory %s", readers_dir);
    free(audit_dir);
    free(readers_dir);
    free(crash_dir);
    return e;
}
