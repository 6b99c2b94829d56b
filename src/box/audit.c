/* See audit.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "box/audit.h"

#include "base/text.h"
#include "box/box.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#define AUDIT_BYTES 400

void audit(const char *root, const char *fmt, ...)
{
    char text[AUDIT_BYTES], line[2 * AUDIT_BYTES];
    va_list ap;
    va_start(ap, fmt);
    text_vfill(text, sizeof text, fmt, ap);
    va_end(ap);
    if (!root[0] && !box_board())
        return; /* this is no box: its kernel's log is somebody else's */
    FILE *f = fmemopen(line, sizeof line, "w");
    if (!f)
        return;
    fputs(root[0] ? "audit: " : "<5>audit: ", f);
    text_print(f, text);
    fputc('\n', f);
    long len = ftell(f);
    fclose(f);
    char *path = root[0] ? xprintf("%s" BOX_RUN "/audit", root) : xstrdup("/dev/kmsg");
    int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC | (root[0] ? O_CREAT : 0), 0600);
    free(path);
    if (fd < 0)
        return;
    /* In one write, which is one record. A log that does not take it must not keep anybody out. */
    if (len > 0 && write(fd, line, (size_t)len) < 0)
        fputs("penstock: the log does not take an audit line\n", stderr);
    close(fd);
}
