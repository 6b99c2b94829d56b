/* See numa.h, set_mempolicy(2), mbind(2). */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "base/numa.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define WORD_BITS (sizeof(unsigned long) * CHAR_BIT)

/* linux/mempolicy.h and linux/prctl.h, which older systems' headers do not have whole. */
enum { POLICY_DEFAULT = 0, POLICY_PREFERRED = 1 };
enum { SET_VMA = 0x53564d41, SET_VMA_ANON_NAME = 0 };

struct node_set {
    unsigned long bits[NUMA_NODES_MAX / WORD_BITS];
};

static struct node_set set_of(int node)
{
    struct node_set s = {{0}};
    if (node >= 0 && node < NUMA_NODES_MAX)
        s.bits[(size_t)node / WORD_BITS] = 1ul << ((size_t)node % WORD_BITS);
    return s;
}

bool numa_prefer(int node)
{
    struct node_set s = set_of(node);
    int policy = node == NUMA_ANY ? POLICY_DEFAULT : POLICY_PREFERRED;
    int before = errno;
    bool done =
        node < NUMA_NODES_MAX && syscall(SYS_set_mempolicy, policy, policy == POLICY_DEFAULT ? NULL : s.bits,
                                         (unsigned long)NUMA_NODES_MAX + 1) == 0;
    errno = before;
    return done;
}

int numa_here(void)
{
    unsigned cpu, node;
    return syscall(SYS_getcpu, &cpu, &node, NULL) == 0 && node < NUMA_NODES_MAX ? (int)node : NUMA_ANY;
}

void *numa_alloc(size_t size_bytes, int node, const char *name)
{
    void *p = mmap(NULL, size_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        PANIC("out of memory: %zu bytes", size_bytes);
    if (node >= 0 && node < NUMA_NODES_MAX) {
        struct node_set s = set_of(node);
        (void)syscall(SYS_mbind, p, size_bytes, POLICY_PREFERRED, s.bits, (unsigned long)NUMA_NODES_MAX + 1,
                      0u);
    }
    (void)prctl(SET_VMA, SET_VMA_ANON_NAME, p, size_bytes, name);
    /* Touched now, while nobody waits for it; and by whom is all the same, as the mapping says where. */
    memset(p, 0, size_bytes);
    return p;
}

void numa_free(void *p, size_t size_bytes)
{
    if (p)
        munmap(p, size_bytes);
}
