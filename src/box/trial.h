/* Trials of slots: a slot that was just written, or gone back to, runs on trial first. BootNext lets the firmware start it once;
 * BootOrder still begins with the slot before, so that whatever ends it (a panic, the watchdog, a power cut, this file's word)
 * brings back that one. Healthy in time, it is confirmed: BootOrder begins with it from then on.
 *
 * What is known lasts in the record (BOX_DIR/upgrade.json, which goes to the identity partition too). Each step below is one write of
 * the record or of a variable; whoever starts after a power cut between two of them finds what to do from what is there:
 *
 *   upgrade:   BootOrder with the running slot first; the slot's content; record: trial of it; BootNext; restart
 *   confirm:   BootOrder with the trial's slot first; record: confirmed
 *   fall back: record: gone back, and why; BootOrder as it is; restart
 *
 * trial_settle and trial_step decide, and touch nothing; trial_begin, trial_confirm and trial_fall_back do it. PID 1 calls them: they
 * work when the program of the new slot cannot even start. No threads. */
#ifndef PENSTOCK_BOX_TRIAL_H
#define PENSTOCK_BOX_TRIAL_H

#include "box/slot.h"

#define TRIAL_RECORD      "upgrade.json"
#define TRIAL_MARK        "trial" /* below BOX_RUN while the running slot is on trial */
#define TRIAL_HEALTHY_MIN 3       /* good checks in a row that confirm a slot */
#define TRIAL_REASON_MAX  255
#define TRIAL_RETURNS_MAX 1 /* restarts that are made to get from another slot into the confirmed one */

enum trial_result { TRIAL_RESULT_NONE, TRIAL_RESULT_CONFIRMED, TRIAL_RESULT_ROLLED_BACK };
struct trial_record {
    int confirmed; /* the slot that is to run; SLOT_NONE: not known yet */
    int trial;     /* the slot that is tried, or is to be; SLOT_NONE: none */
    bool started;  /* it was seen running */
    char version[IMAGE_TEXT_MAX + 1], build[IMAGE_TEXT_MAX + 1]; /* of the trial's image */
    uint32_t returns;
    enum trial_result last; /* of the last trial that ended */
    char reason[TRIAL_REASON_MAX + 1];
    char last_version[IMAGE_TEXT_MAX + 1], last_build[IMAGE_TEXT_MAX + 1];
    int64_t last_at_s; /* Unix */
};

/* *out as of a new box when there is none. A record that cannot be understood is as none, with a line in the log: a box must come up. */
NODISCARD struct err *trial_record_load(const char *dir, struct trial_record *out);
NODISCARD struct err *trial_record_save(const char *dir, const struct trial_record *r);

/* ---- decisions ---- */

struct trial_boot { /* what is found at a start */
    int running, order_first, next;
    bool confirmed_valid; /* the confirmed slot, when it is not the running one, could be started */
};
struct trial_move {
    bool on_trial;   /* the running slot is on trial from now on */
    bool changed;    /* the record is to be saved, before anything else */
    int order_first; /* BootOrder is to begin with this slot; SLOT_NONE: as it is */
    bool drop_next;  /* BootNext is to go */
    bool restart;    /* into the confirmed slot: the firmware had forgotten it */
};
struct trial_move trial_settle(struct trial_record *r, const struct trial_boot *b, int64_t now_s);

enum trial_verdict { TRIAL_WAIT, TRIAL_CONFIRM, TRIAL_FALL_BACK };
struct trial {
    bool on;
    int slot;
    int64_t limit_us;
    uint32_t healthy; /* checks in a row */
};
/* since_us: since the slot was started. The verdict is asked for after each check, and when the time is over. */
enum trial_verdict trial_step(struct trial *t, int64_t since_us, bool healthy);

/* ---- doing it ---- */

struct trial_world {
    const struct efi *efi;
    const struct slots *slots;
    const char *dir; /* of the record: BOX_DIR */
    const char *run; /* of the mark: BOX_RUN */
};
/* Once at each start, when the data partition and the variables are there. *restart: PID 1 is to restart now. On an error the box goes
 * on as it is, on trial if it was. */
NODISCARD struct err *trial_begin(const struct trial_world *w, int64_t limit_us, int64_t now_s,
                                  struct trial *out, bool *restart);
/* The trial's slot stays. */
NODISCARD struct err *trial_confirm(const struct trial_world *w, int64_t now_s);
/* Then PID 1 restarts. */
NODISCARD struct err *trial_fall_back(const struct trial_world *w, const char *reason, int64_t now_s);
/* By `upgrade` and `rollback`: the other slot is started next, on trial. */
NODISCARD struct err *trial_arm(const struct trial_world *w, const struct image_info *image);
/* Before the other slot is written: the firmware starts the running slot whatever happens. */
NODISCARD struct err *trial_hold(const struct trial_world *w);

/* The world of a box: its efivarfs, disks and folders. The pointers in *out go into *room. */
struct trial_room {
    struct efi efi;
    struct slots slots;
};
NODISCARD struct err *trial_world_find(struct trial_room *room, struct trial_world *out);

/* "confirmed", "trial" or "fallback"; running may be SLOT_NONE. */
const char *trial_state(const struct trial_record *r, int running);

#endif
