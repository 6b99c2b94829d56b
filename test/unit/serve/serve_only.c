/* test/tools/serve_only.c, where the rule for unit tests can build it. */
#include "../../tools/serve_only.c"
