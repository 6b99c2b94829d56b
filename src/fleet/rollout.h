/* A roll-out as a file, STATE/rollouts/ID.json: what is to come onto which boxes, in which waves, and how far each box is. It is replaced as a
 * whole with each step (written beside, synced, renamed), so that whoever reads it finds one step or the next; a process that dies leaves
 * what `resume` needs. One process at a time moves roll-outs on (rollouts_lock); others ask it to pause or abort by ID.request. */
#ifndef PENSTOCK_FLEET_ROLLOUT_H
#define PENSTOCK_FLEET_ROLLOUT_H

#include "base/buf.h"
#include "fleet/inventory.h"
#include "fleet/waves.h"

#define FLEET_ROLLOUT_FORMAT 1
#define FLEET_ROLLOUT_BYTES  (8u << 20) /* of such a file */
#define FLEET_ROLLOUTS_MAX   1000       /* that are listed, the newest */
#define FLEET_ID_BYTES       40

enum rollout_kind { ROLLOUT_UPGRADE, ROLLOUT_PUSH, ROLLOUT_ROLLBACK };
enum rollout_state {
    ROLLOUT_RUNNING,     /* a process is at it, or has died at it */
    ROLLOUT_PAUSED,      /* as it was asked to */
    ROLLOUT_INTERRUPTED, /* by Ctrl-C */
    ROLLOUT_STOPPED,     /* too many boxes failed */
    ROLLOUT_ABORTED,
    ROLLOUT_DONE
};
enum rollout_step {
    STEP_WAITING, /* not begun */
    STEP_SENDING, /* the box may have some of it */
    STEP_SENT,    /* the box has all of it; what became of it is to be seen */
    STEP_DONE,    /* runs the new one, healthy */
    STEP_SKIPPED, /* ran it before */
    STEP_FAILED
};
enum rollout_runs { RUNS_UNKNOWN, RUNS_OLD, RUNS_NEW };

struct rollout_box {
    const char *name;
    uint32_t wave;
    enum rollout_step step;
    enum rollout_runs runs; /* as it last said */
    /* What it ran before and is to run: a build, or the SHA-256 of a configuration; "" unknown. */
    char from[72], to[72];
    int64_t sent_s;   /* Unix time of STEP_SENT */
    bool forgiven;    /* it failed before a resume: no longer counted */
    char detail[200]; /* for people */
};
struct rollout {
    struct arena arena;
    const char *dir; /* STATE/rollouts */
    char id[FLEET_ID_BYTES];
    enum rollout_kind kind;
    enum rollout_state state;
    const char *created, *user, *reason; /* reason: why it is not running */
    const char *what;                    /* "0.1.0 build 2026...", a folder's name: for people */
    const char *payload;                 /* the file that is sent, NULL: none */
    const char *sum;                     /* SHA-256 of that file, hex; resume sends no other */
    const char *target;                  /* what all boxes are to run; "" with ROLLOUT_ROLLBACK */
    struct wave_plan plan;
    uint32_t max_unhealthy, judged; /* waves that were found good */
    int64_t soak_us, deadline_us;
    bool pause_between;
    uint32_t box_count;
    struct rollout_box *boxes;
};

const char *rollout_kind_name(enum rollout_kind k);
const char *rollout_state_name(enum rollout_state s);
const char *rollout_step_name(enum rollout_step s);
const char *rollout_runs_name(enum rollout_runs r);

struct rollout *rollout_new(const char *state); /* empty; owned */
void rollout_free(struct rollout *r);
/* Gives it an ID from the time and kind, which no other has, and writes it. content: what is to be sent, kept beside it as its
 * payload; NULL: its payload, if any, is a file of the operator's. */
NODISCARD struct err *rollout_create(struct rollout *r, const struct buf *content);
void rollout_drop_content(const struct rollout *r); /* the file beside it, if it has one */
NODISCARD struct err *rollout_save(const struct rollout *r);
/* id may be "last". ERR_CORRUPT: damaged; ERR_UNSUPPORTED: of a newer program. */
NODISCARD struct err *rollout_load(const char *state, const char *id, struct rollout **out);
/* The text of such a file, for tests too. */
NODISCARD struct err *rollout_parse(const void *text, size_t len, struct rollout *r);
char *rollout_text(const struct rollout *r, size_t *len); /* free it */
/* IDs, newest first, in the arena. */
NODISCARD struct err *rollout_list(struct arena *arena, const char *state, const char ***ids,
                                   uint32_t *count);

/* *fd stays open as long as the lock is to be held; -1 without an error: another process has it. */
NODISCARD struct err *rollouts_lock(const char *state, int *fd);
/* "pause", "abort": for whoever has the lock; taken: the request, or NULL, once. */
NODISCARD struct err *rollout_request(const char *state, const char *id, const char *what);
const char *rollout_take_request(const struct rollout *r);

#endif
