/* Memory of a node: works, or does no harm, on whatever machine this is. */
#include "base/numa.h"

#include "../test.h"

#include <errno.h>

static void test_alloc(void)
{
    static const int nodes[] = {NUMA_ANY, 0, 5, NUMA_NODES_MAX, 1 << 20};
    for (size_t i = 0; i < ARRAY_COUNT(nodes); i++) {
        uint8_t *p = numa_alloc(100000, nodes[i], "penstock shard 0");
        bool zero = true;
        for (int k = 0; k < 100000; k++)
            zero &= p[k] == 0;
        CHECK(zero);
        memset(p, 1, 100000);
        numa_free(p, 100000);
    }
    numa_free(NULL, 0);
}

static void test_policy(void)
{
    errno = 7;
    bool known = numa_prefer(0);
    CHECK(errno == 7);
    CHECK(numa_prefer(NUMA_ANY) || !known); /* a kernel without these calls knows neither */
    CHECK(!numa_prefer(NUMA_NODES_MAX));
    CHECK(numa_here() >= NUMA_ANY);
}

int main(void)
{
    RUN(test_alloc);
    RUN(test_policy);
    TEST_END();
}
