/* Privileges and Landlock; see sandbox.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "base/sandbox.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CAN_CONFINE false
#else
#define CAN_CONFINE true
#endif

/* Of include/uapi/linux/landlock.h, up to the sixth version of its interface; the numbers are those of all architectures. */
#define CALL_CREATE_RULESET 444
#define CALL_ADD_RULE       445
#define CALL_RESTRICT_SELF  446
#define CREATE_VERSION      1u
#define RULE_PATH_BENEATH   1

enum {
    FS_EXECUTE = 1 << 0,
    FS_WRITE_FILE = 1 << 1,
    FS_READ_FILE = 1 << 2,
    FS_READ_DIR = 1 << 3,
    FS_REMOVE_DIR = 1 << 4,
    FS_REMOVE_FILE = 1 << 5,
    FS_MAKE_DIR = 1 << 7,
    FS_MAKE_REG = 1 << 8,
    FS_MAKE_SOCK = 1 << 9,
    FS_REFER = 1 << 13,
    FS_TRUNCATE = 1 << 14,
    FS_READS = FS_READ_FILE | FS_READ_DIR,
    FS_OF_FILES = FS_EXECUTE | FS_WRITE_FILE | FS_READ_FILE | FS_TRUNCATE,
    NET_BIND_TCP = 1 << 0,
    NET_CONNECT_TCP = 1 << 1,
    SCOPE_ABSTRACT_UNIX = 1 << 0,
    SCOPE_SIGNAL = 1 << 1
};
#define ABI_REFER    2 /* before, files cannot be moved between directories at all */
#define ABI_TRUNCATE 3
#define ABI_NETWORK  4
#define ABI_SCOPE    6
#define FS_OF_ABI_1  0x1FFFu

struct ruleset_attr {
    uint64_t fs, net, scoped;
};
struct path_beneath_attr {
    uint64_t access;
    int32_t parent_fd;
} __attribute__((packed));

static const char *const part_names[] = {"privileges", "files", "network", "scope", "calls"};

const char *sandbox_part_name(unsigned index)
{
    return index < ARRAY_COUNT(part_names) ? part_names[index] : NULL;
}

const char *sandbox_missing(unsigned parts, char *buf, size_t size_bytes)
{
    size_t len = 0;
    buf[0] = 0;
    for (unsigned i = 0; i < ARRAY_COUNT(part_names); i++)
        if (!(parts & 1u << i) && len < size_bytes)
            len += (size_t)snprintf(buf + len, size_bytes - len, "%s%s", len ? ", " : "", part_names[i]);
    return buf;
}

/* ---- privileges ---- */

/* The bounding set first: dropping from it is itself a privilege. */
static struct err *drop_capabilities(void)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {0};
    for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
        (void)prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    if (syscall(SYS_capset, &head, none) != 0)
        return err_errno(ERR_IO, "cannot give up capabilities");
    return NULL;
}

/* A log that is a file (2>>penstock.log) outgrows any such bound, and a line past it would be lost, or the end of the process. */
static bool logs_to_file(void)
{
    struct stat st;
    return fstat(STDERR_FILENO, &st) == 0 && S_ISREG(st.st_mode);
}

static struct err *restrict_privileges(const struct sandbox *s)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return err_errno(ERR_IO, "cannot give up privileges of programs");
    if (!s->keep_capabilities) {
        if (geteuid() == 0)
            (void)setgroups(0, NULL); /* refused in some user namespaces, which map no groups */
        TRY(drop_capabilities());
    }
    struct rlimit files = {(rlim_t)s->file_bytes, (rlim_t)s->file_bytes};
    if (s->file_bytes && !logs_to_file() && setrlimit(RLIMIT_FSIZE, &files) != 0)
        return err_errno(ERR_IO, "cannot bound the size of files");
    return NULL;
}

/* ---- Landlock ---- */

/* 0: none, or switched off, or kept from us by a container's own filter. */
static int landlock_abi(void)
{
    long abi = syscall(CALL_CREATE_RULESET, NULL, 0, CREATE_VERSION);
    return abi > 0 ? (int)abi : 0;
}

static uint64_t handled_files(const struct sandbox *s, int abi)
{
    uint64_t all = FS_OF_ABI_1 | (abi >= ABI_REFER ? FS_REFER : 0) | (abi >= ABI_TRUNCATE ? FS_TRUNCATE : 0);
    return s->read_anything ? all & ~(uint64_t)FS_READS : all;
}

static uint64_t access_bits(unsigned access)
{
    uint64_t bits = 0;
    if (access & SANDBOX_READ)
        bits |= FS_READS;
    if (access & SANDBOX_WRITE)
        bits |= FS_WRITE_FILE;
    if (access & SANDBOX_MAKE)
        bits |= FS_WRITE_FILE | FS_REMOVE_DIR | FS_REMOVE_FILE | FS_MAKE_DIR | FS_MAKE_REG | FS_REFER |
                FS_TRUNCATE;
    if (access & SANDBOX_SOCKET)
        bits |= FS_MAKE_SOCK | FS_REMOVE_FILE;
    if (access & SANDBOX_EXECUTE)
        bits |= FS_EXECUTE;
    return bits;
}

static struct err *allow_path(int ruleset, const struct sandbox_path *p, uint64_t handled)
{
    struct stat st;
    int fd = open(p->path, O_PATH | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? NULL : err_errno(ERR_IO, "cannot open %s", p->path);
    struct path_beneath_attr rule = {access_bits(p->access) & handled, fd};
    if (fstat(fd, &st) == 0 && !S_ISDIR(st.st_mode))
        rule.access &= FS_OF_FILES;
    bool ok = !rule.access || syscall(CALL_ADD_RULE, ruleset, RULE_PATH_BENEATH, &rule, 0) == 0;
    struct err *e = ok ? NULL : err_errno(ERR_IO, "cannot allow %s to the process", p->path);
    close(fd);
    return e;
}

static size_t attr_bytes(int abi)
{
    return abi >= ABI_SCOPE ? 24 : abi >= ABI_NETWORK ? 16 : 8;
}

static struct err *restrict_files(const struct sandbox *s, int abi, unsigned *parts)
{
    if (abi < ABI_REFER)
        return NULL;
    struct ruleset_attr attr = {.fs = handled_files(s, abi)};
    if (abi >= ABI_NETWORK)
        attr.net = (s->listens ? 0 : NET_BIND_TCP) | (s->connects ? 0 : NET_CONNECT_TCP);
    if (abi >= ABI_SCOPE)
        attr.scoped = s->signals ? SCOPE_ABSTRACT_UNIX : SCOPE_ABSTRACT_UNIX | SCOPE_SIGNAL;
    int ruleset = (int)syscall(CALL_CREATE_RULESET, &attr, attr_bytes(abi), 0);
    if (ruleset < 0)
        return err_errno(ERR_IO, "cannot confine the process to its files");
    struct err *e = NULL;
    for (size_t i = 0; i < s->path_count && !e; i++)
        e = allow_path(ruleset, &s->paths[i], attr.fs);
    if (!e && syscall(CALL_RESTRICT_SELF, ruleset, 0) != 0)
        e = err_errno(ERR_IO, "cannot confine the process to its files");
    close(ruleset);
    *parts |=
        SANDBOX_FILES | (abi >= ABI_NETWORK ? SANDBOX_NETWORK : 0) | (abi >= ABI_SCOPE ? SANDBOX_SCOPE : 0);
    return e;
}

/* ---- all of it ---- */

static void tell(const struct sandbox *s, unsigned parts)
{
    char missing[96];
    if (!CAN_CONFINE)
        log_warn("sandbox", "not confined: this program was built with a sanitizer", "process=%s",
                 s->process);
    else if (*sandbox_missing(parts, missing, sizeof missing))
        log_warn("sandbox", "confined only in part: this kernel lacks the rest", "process=%s missing=\"%s\"",
                 s->process, missing);
    else
        log_debug("sandbox", "confined", "process=%s", s->process);
}

struct err *sandbox_enter(const struct sandbox *s, unsigned *parts)
{
    *parts = SANDBOX_ENTERED;
    if (CAN_CONFINE) {
        TRY(restrict_privileges(s));
        *parts |= SANDBOX_PRIVILEGES;
        TRY(restrict_files(s, landlock_abi(), parts));
        bool calls = s->calls == SANDBOX_CALLS_ANY;
        if (!calls)
            TRY(sandbox_calls_restrict(s->calls, &calls));
        *parts |= calls ? SANDBOX_CALLS : 0;
    }
    tell(s, *parts);
    return NULL;
}
