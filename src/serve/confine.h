/* What the serve process may still do once it listens; see base/sandbox.h. It reads the data directory, writes the store's
 * reader tables (DATA/readers), makes its console's socket and, when it crashes, a report. A configured certificate and
 * its key are in memory, the gate is mapped, the port is bound: none of them is opened again. A box's certificate is read
 * anew from DATA/tls when it was replaced. */
#ifndef PENSTOCK_SERVE_CONFINE_H
#define PENSTOCK_SERVE_CONFINE_H

#include "base/err.h"

#define CONFINE_FILE_BYTES (INT64_C(16) << 20) /* most that it may write into a file: reports are smaller */

/* Before the process's first thread. console_dir: where its socket is made. *parts: enum sandbox_part. */
NODISCARD struct err *confine_enter(const char *data_dir, const char *console_dir, unsigned *parts);

#endif
