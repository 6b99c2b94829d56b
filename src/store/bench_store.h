/* The store's benchmark, for `penstock bench store`: a table on `out`, about 15 seconds, 1 GB under $TMPDIR (else
 * /var/tmp, which should be on the disk in question). Returns an exit status. */
#ifndef PENSTOCK_STORE_BENCH_STORE_H
#define PENSTOCK_STORE_BENCH_STORE_H

#include <stdio.h>

int store_bench(FILE *out);

#endif
