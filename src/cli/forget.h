/* `penstock errors --forget`: how the command and the running pipeline meet. The command puts a request into DATA/run/forget
 * (written beside it and renamed into place); the pipeline carries it out in an epoch, and puts the answer in its place,
 * which the command takes away. Whoever may write into the data directory may do so: nobody else can. */
#ifndef PENSTOCK_CLI_FORGET_H
#define PENSTOCK_CLI_FORGET_H

#include "base/err.h"
#include "flow/pipeline.h"

#define FORGET_WAIT_S 60 /* for the answer of the pipeline, which may be rebuilding state */

struct forget_watch { /* of the pipeline: a request under way; starts as zero */
    bool asked;
    char token[64];
};
/* The pipeline, now and then: looks whether there is a request, has it carried out, and answers it when that is done. */
void forget_look(struct forget_watch *w, struct pipeline *p, const char *data);
/* The command. id NULL: all rows of the table that are listed now. *rows: how many are forgotten. */
NODISCARD struct err *forget_ask(const char *data, const char *source, const char *table, const char *id,
                                 uint64_t *rows);

#endif
