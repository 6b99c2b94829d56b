/* STATE/log.jsonl: who did what to which box, and what came of it. One line per action, appended at once; never a secret: what is
 * sent to a box on standard input is not written down, and commands take secrets in no other way. */
#ifndef PENSTOCK_FLEET_JOURNAL_H
#define PENSTOCK_FLEET_JOURNAL_H

#include "base/err.h"

#define FLEET_LOG_BYTES (16u << 20) /* then it is turned over to log.1.jsonl, and the one before goes */

/* Makes the folder (0700), with its parents' last part alone. */
NODISCARD struct err *journal_prepare(const char *state);
/* result: ok, failed, ...; detail may be NULL. A line that cannot be written is said on standard error, once. */
void journal_write(const char *state, const char *box, const char *command, const char *result,
                   const char *detail);
/* Who is at work here: the login's name, or its number; and who became it by sudo, if somebody did. */
const char *journal_user(void);
/* "2026-11-28T05:00:00Z" */
void journal_time(char out[32]);

#endif
