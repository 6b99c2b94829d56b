/* test/tools/fill_store.c, where the rule for unit tests can build it. */
#include "../../tools/fill_store.c"
