/* How many file descriptors this process may have open. */
#ifndef PENSTOCK_BASE_DESCRIPTORS_H
#define PENSTOCK_BASE_DESCRIPTORS_H

#include <stdint.h>

/* Raises the soft limit (RLIMIT_NOFILE) to the hard one, as far as that goes. Returns what holds now. */
uint64_t descriptors_raise(void);

#endif
