/* test/tools/serve_counted.c, where the rule for unit tests can build it. */
#include "../../tools/serve_counted.c"
