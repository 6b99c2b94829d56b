/* PID 1 of the appliance. */
#include "base/base.h"

#include <stdio.h>
#include <unistd.h>

int main(void)
{
    if (getpid() != 1) {
        fputs("init: this is started by the kernel of a Penstock box\n", stderr);
        return 2;
    }
    for (;;)
        pause();
}
