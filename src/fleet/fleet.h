/* `penstock fleet`: many boxes over OpenSSH, from the operator's machine. */
#ifndef PENSTOCK_FLEET_FLEET_H
#define PENSTOCK_FLEET_FLEET_H

/* argv[0] is "fleet". An exit status: 0 done on every box, 1 failed on some, 2 wrong usage or inventory. */
int fleet_main(int argc, char **argv);

#endif
