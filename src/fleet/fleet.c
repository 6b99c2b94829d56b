/* See fleet.h. */
#include "fleet/fleet.h"

#include <stdio.h>

int fleet_main(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    fputs("penstock fleet: not built yet\n", stderr);
    return 2;
}
