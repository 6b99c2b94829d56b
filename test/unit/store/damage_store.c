/* test/tools/damage_store.c, where the rule for unit tests can build it. */
#include "../../tools/damage_store.c"
