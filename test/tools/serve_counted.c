/* serve_only with its calls counted, for test/e2e/test_serving.py: what the memory allocator is asked for, and what is written to
 * sockets. The counters lie in the file that SERVE_COUNTS names, as three 64-bit numbers of the machine's byte order. */
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

static struct counts {
    _Atomic uint64_t allocations, writes, bytes;
} before, *counts = &before; /* allocations of the C library come before the constructor */

__attribute__((constructor)) static void map_counts(void)
{
    const char *path = getenv("SERVE_COUNTS");
    int fd = path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;
    if (fd < 0 || ftruncate(fd, sizeof *counts) != 0)
        _exit(2);
    void *p = mmap(NULL, sizeof *counts, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED)
        _exit(2);
    counts = p;
    close(fd);
}

static void count_allocation(void)
{
    atomic_fetch_add_explicit(&counts->allocations, 1, memory_order_relaxed);
}

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
ssize_t __real_send(int fd, const void *p, size_t n, int flags);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
ssize_t __wrap_send(int fd, const void *p, size_t n, int flags);

void *__wrap_malloc(size_t n)
{
    count_allocation();
    return __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
    count_allocation();
    return __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n)
{
    count_allocation();
    return __real_realloc(p, n);
}

ssize_t __wrap_send(int fd, const void *p, size_t n, int flags)
{
    atomic_fetch_add_explicit(&counts->writes, 1, memory_order_seq_cst); /* before the client can see it */
    ssize_t sent = __real_send(fd, p, n, flags);
    if (sent > 0)
        atomic_fetch_add_explicit(&counts->bytes, (uint64_t)sent, memory_order_relaxed);
    return sent;
}

#include "serve_only.c"
