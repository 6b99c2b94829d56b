/* Where all lines come together: what services write on their standard output and error (a pipe each), the kernel's messages, and what
 * PID 1 has to say. Lines are bounded in length and, source by source, in rate; what is too much is counted, and the count is
 * logged. They go to the writer, a child with the log_ring, through a pipe that is never waited for: while the disk hangs, lines are
 * lost and counted, and the services go on.
 *
 * Before the log's folder is there, lines wait in memory (LOG_EARLY_BYTES). Init's own lines, and those that say so, also go to the
 * console. */
#ifndef PENSTOCK_INIT_LOG_HUB_H
#define PENSTOCK_INIT_LOG_HUB_H

#include "base/buf.h"
#include "init/loop.h"

#define LOG_SOURCES_MAX 24
#define LOG_LINE_BYTES  4096 /* a longer line is cut in lines */
#define LOG_EARLY_BYTES (512 << 10)
#define LOG_RATE_LINES  500       /* per second and source ... */
#define LOG_BURST_LINES 5000      /* ... once this many are used up */
#define LOG_SYNC_MS     3000      /* at most between a line and its being on the disk, where that keeps up */
#define LOG_WRITER_PIPE (1 << 20) /* bytes between PID 1 and the writer */

struct log_source {
    char name[24]; /* empty: free */
    int read_fd, write_fd;
    struct log_hub *hub;
    char line[LOG_LINE_BYTES];
    size_t len;
    double credit; /* lines that it may write now */
    int64_t credit_ms;
    uint64_t left_out;
};
struct log_hub {
    struct loop *loop;
    int64_t (*now_ms)(void); /* of the rates; a test sets its own */
    int console;             /* -1: none */
    int kmsg;                /* -1: none */
    int writer_fd;           /* the writer's pipe, -1: not started */
    int writer_keep;         /* its reading end: kept, so that a writer that is started anew loses nothing */
    pid_t writer;
    char dir[200];
    uint64_t file_bytes;
    struct buf early;
    uint64_t lost; /* lines for which there was no room */
    uint64_t lines;
    struct log_source sources[LOG_SOURCES_MAX];
    struct log_source own, kernel; /* for their rates */
};

void log_hub_init(struct log_hub *h, struct loop *l, int console);
/* Reads the kernel's messages from now on (a descriptor of /dev/kmsg, owned). */
void log_hub_kernel(struct log_hub *h, int kmsg);
/* The end of a pipe that a service's output goes to; the same one for the same name. -1: no room. Owned by the hub. */
int log_hub_source(struct log_hub *h, const char *name);
/* From now on into files in dir. */
void log_hub_files(struct log_hub *h, const char *dir, uint64_t file_bytes);
/* Takes what is in the pipes, and ends the writer once it has all: at shutdown, before file systems go. Not from a callback. */
void log_hub_end(struct log_hub *h);

void log_hub_line(struct log_hub *h, const char *name, const char *text);
/* PID 1's own: log and console. */
void log_hub_say(struct log_hub *h, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* The text of a record of /dev/kmsg ("6,339,5140900,-;NET: ..."), cut at its first newline, into out. False: it is none. */
bool log_kernel_text(const char *record, size_t len, char *out, size_t size);

#endif
