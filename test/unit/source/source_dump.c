/* test/tools/source_dump.c, where the rule for unit tests can build it. */
#include "../../tools/source_dump.c"
