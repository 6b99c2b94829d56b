/* See descriptors.h. The soft limit is 1024 by tradition, for programs that use select(); nothing here does. */
#include "base/descriptors.h"

#include <sys/resource.h>

uint64_t descriptors_raise(void)
{
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r) != 0)
        return 1024;
    rlim_t before = r.rlim_cur;
    r.rlim_cur = r.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &r) != 0)
        r.rlim_cur = before;
    return r.rlim_cur;
}
