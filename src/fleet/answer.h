/* What boxes answer: JSON from elsewhere, taken into bounded structures and believed no further than its shape. Whatever is missing or of
 * another type is empty; what is no JSON at all is an error. Nothing here may be printed but by text_print or fleet_table_*. */
#ifndef PENSTOCK_FLEET_ANSWER_H
#define PENSTOCK_FLEET_ANSWER_H

#include "base/err.h"

#define FLEET_ANSWER_BYTES (12u << 20) /* of a box's JSON; a longer answer is refused */

/* `status --json` */
struct box_status {
    char hostname[64], board[32], version[40], build[72];
    char slot[8], slot_state[24]; /* "a" or "b"; confirmed, trial, fallback */
    char other_build[72];
    int64_t uptime_s;
    bool claimed, rescue, time_synced, healthy;
    char trouble[160];    /* the first checks of health that fail, empty: none */
    char fingerprint[64]; /* of its SSH host key, as it says */
    char config_sha256[65];
    bool config_previous; /* there is one to go back to */
};
NODISCARD struct err *answer_status(const void *p, size_t len, struct box_status *out);

/* `slot --json` */
struct box_slots {
    char running[8], state[24];
    char build[72]; /* of the running slot */
    bool on_trial;
    int64_t trial_left_s;
    char last_result[24], last_reason[160],
        last_at[40]; /* of the last upgrade: confirmed, rolled-back; empty: none */
    char other_build[72];
    bool other_valid;
};
NODISCARD struct err *answer_slots(const void *p, size_t len, struct box_slots *out);

/* `check --json`, `apply --json` */
struct box_verdict {
    bool ok;
    uint32_t change_count;
    char *text; /* owned: what it says for people; may be empty, never NULL */
};
NODISCARD struct err *answer_verdict(const void *p, size_t len, struct box_verdict *out);
void box_verdict_fini(struct box_verdict *v);

#endif
