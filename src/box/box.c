/* See box.h. */
#include "box/box.h"
#include "base/base.h"

#include <stdio.h>
#include <string.h>

const char *box_board(void)
{
    static char board[64];
    FILE *f = board[0] ? NULL : fopen("/etc/penstock/board", "re");
    if (f && !fgets(board, sizeof board, f))
        board[0] = 0;
    if (f)
        fclose(f);
    board[strcspn(board, "\n")] = 0;
    return board[0] ? board : NULL;
}
