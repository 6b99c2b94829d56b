/* Entry point: main only picks a command. */
#include <stdio.h>

int main(void)
{
    puts("penstock");
    return 0;
}
