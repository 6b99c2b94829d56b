/* The audit: who was refused, and what was changed by whom, one JSON object a line in DATA/audit/audit.jsonl. Lines are
 * only ever appended, each by one write; at AUDIT_FILE_BYTES the file becomes audit.1.jsonl, and the former one of that
 * name goes. Several processes may write at once. What cannot be written is told in the log: nobody is refused for it. */
#ifndef PENSTOCK_STORE_AUDIT_H
#define PENSTOCK_STORE_AUDIT_H

#include "base/base.h"

#define AUDIT_DIR        "audit"
#define AUDIT_FILE_BYTES (4 << 20)
#define AUDIT_LINE_BYTES 2000

struct audit_pair {
    const char *name, *value; /* value NULL: left away */
};
/* event: "access.denied", "token.created", ... Never give it a secret. */
void audit_write(const char *data_dir, const char *event, const struct audit_pair *pairs, uint32_t count);
/* Of a full file: the supervisor looks once a second. Past twice the size nothing is written any more. */
void audit_turn(const char *data_dir);
/* Makes the directory and the file; errors come up when it is written to. */
void audit_prepare(const char *data_dir);
/* The same by whoever runs a command: its user's number stands with it. */
void audit_command(const char *data_dir, const char *event, const struct audit_pair *pairs, uint32_t count);

#endif
