/* Memory near the core that works on it, on machines with several memory nodes. Everything here is a wish: without NUMA, under an
 * emulator or a filter that has no such calls, memory comes from where the kernel takes it. Raw calls, as libnuma is not linked. Any
 * thread; policies are the calling thread's own, and those of threads that it starts. */
#ifndef PENSTOCK_BASE_NUMA_H
#define PENSTOCK_BASE_NUMA_H

#include "base/base.h"

#define NUMA_NODES_MAX 1024
#define NUMA_ANY       (-1)

/* New pages of this thread come from the node while it has free ones, then from others. NUMA_ANY: from the node of the core that touches
 * them first. False: the kernel refuses. */
bool numa_prefer(int node);
/* The node of the core that the thread runs on; NUMA_ANY: unknown. */
int numa_here(void);

/* Zeroed pages of the node, in a mapping of their own that is named where the kernel can (/proc/PID/maps: [anon:NAME]), so that
 * `penstock box placement` can tell whose they are. Never NULL. */
void *numa_alloc(size_t size_bytes, int node, const char *name) __attribute__((returns_nonnull));
void numa_free(void *p, size_t size_bytes); /* p may be NULL */

#endif
