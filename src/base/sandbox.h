/* What a process gives up once it has what it needs, so that whoever takes it over (a bug in a parser, in TLS) has little
 * to work with. Entered once, before the first thread is started: what the kernel is told here holds for the calling thread
 * and those that it starts.
 *
 * - privileges: none are gained by exec, no capability is left, as root no supplementary groups
 * - files (Landlock): what may be opened, made, removed or executed, beneath which paths
 * - network (Landlock, Linux 6.7): TCP ports are bound and connections made only where stated
 * - scope (Landlock, Linux 6.12): no signals to processes outside, where stated; no abstract unix sockets
 * - calls (seccomp): a list of the system calls that the program uses. Another one is a SIGSYS: a crash report with its
 *   number (crash.h), and the end of the process
 *
 * A part that the running kernel does not have is left out, said in the log and returned, not an error; any other failure is
 * one. Sanitizers use other system calls: their builds are not confined, and say so. Without libraries, as neither musl nor
 * old kernel headers know these calls; see Documentation/userspace-api/landlock.rst and seccomp_filter.rst of Linux. */
#ifndef PENSTOCK_BASE_SANDBOX_H
#define PENSTOCK_BASE_SANDBOX_H

#include "base/err.h"

enum sandbox_part {
    SANDBOX_PRIVILEGES = 1,
    SANDBOX_FILES = 2,
    SANDBOX_NETWORK = 4,
    SANDBOX_SCOPE = 8,
    SANDBOX_CALLS = 16,
    SANDBOX_ALL = 31,
    SANDBOX_ENTERED = 32 /* tells a process without any part from one that never got there */
};

enum sandbox_access {
    SANDBOX_READ = 1,   /* files and directories */
    SANDBOX_WRITE = 2,  /* files that exist */
    SANDBOX_MAKE = 4,   /* make files and directories, write, rename and remove them */
    SANDBOX_SOCKET = 8, /* make and remove unix sockets */
    SANDBOX_EXECUTE = 16
};
struct sandbox_path {
    const char *path; /* borrowed. What is not there is left out */
    unsigned access;  /* enum sandbox_access, of the path and all beneath it */
};

enum sandbox_calls {
    SANDBOX_CALLS_ANY,     /* the supervisor: it starts programs */
    SANDBOX_CALLS_SERVE,   /* no outgoing connections but to unix sockets, no processes */
    SANDBOX_CALLS_PIPELINE /* no processes */
};

struct sandbox {
    const char *process; /* for the log */
    enum sandbox_calls calls;
    bool keep_capabilities; /* for children */
    bool read_anything;     /* reading is not restricted to `paths` */
    bool connects;          /* makes TCP connections */
    bool listens;           /* binds TCP ports, or starts children that do */
    bool signals;           /* sends signals to processes outside */
    int64_t file_bytes; /* most that it may write into one file; 0: any. Not kept where the log is a file */
    const struct sandbox_path *paths;
    size_t path_count;
};

/* *parts: what holds from now on, of enum sandbox_part. */
NODISCARD struct err *sandbox_enter(const struct sandbox *s, unsigned *parts);
/* Names of the parts (separated by ", ") that are not in `parts`, out of those a process should have; "" when nothing is
 * missing. In buf, which is returned. */
const char *sandbox_missing(unsigned parts, char *buf, size_t size_bytes);
/* "privileges", ... by index from 0; NULL past the last. Bit 1 << index of enum sandbox_part. */
const char *sandbox_part_name(unsigned index);

/* Inside: sandbox_calls.c. False: the kernel has no seccomp filters, or whoever started the process keeps it from them. */
NODISCARD struct err *sandbox_calls_restrict(enum sandbox_calls calls, bool *done);

#endif
