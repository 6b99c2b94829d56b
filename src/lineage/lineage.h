/* Where a row of a view comes from: the rows of the mirrors that contributed to it, in one snapshot.
 *
 * The plan is evaluated once more, from the mirrors, for the one row alone. What the row's key says about the tables is pushed
 * down the plan as restrictions, so that most tables are read by key; the others are scanned, within bounds. Every intermediate
 * row carries which rows of mirrors it was made of (which-provenance, after Cui, Widom and Wiener: "Tracing the lineage of
 * view data in a warehousing environment", TODS 2000). By operator:
 *
 *   table, filter, map, union      the row that it is
 *   join                           both rows. An outer join's row without a partner: the one, and a note that there is none
 *   semi join (EXISTS, IN)         the left row and every match; anti join (NOT EXISTS, NOT IN): the left row, and a note
 *   aggregate, DISTINCT            every row of the group; of min and max also which of them have that value
 *   window functions               the row itself; the others of its partition as LINEAGE_WINDOW
 *   ORDER BY ... LIMIT             the row's own; that rows before it stand in its order is a note
 *   INTERSECT                      the equal rows of both sides; EXCEPT: of the left side, and a note
 *   WITH RECURSIVE                 the rows of every derivation
 *
 * What an operator computes is computed by the operators themselves (ops/), so that both agree by construction.
 *
 * A bound that is reached is said (`cut`): the sources found so far are right, but others may be missing. One thread at a
 * time; PLAN_STACK_BYTES of stack are wanted for deep plans. */
#ifndef PENSTOCK_LINEAGE_LINEAGE_H
#define PENSTOCK_LINEAGE_LINEAGE_H

#include "base/arena.h"
#include "plan/plan.h"
#include "store/store.h"

enum lineage_role {
    LINEAGE_ROW = 1,   /* the row was made of it */
    LINEAGE_WINDOW = 2 /* it stands in the partition of a window function */
};
enum lineage_cut {
    LINEAGE_WHOLE, /* nothing was cut off */
    LINEAGE_ROWS,
    LINEAGE_BYTES,
    LINEAGE_TIME,
    LINEAGE_CANCELLED /* the snapshot has to be given back: what was found is not to be used */
};
struct lineage_limits {
    uint64_t rows;       /* of mirrors and between operators, looked at */
    uint64_t bytes;      /* kept */
    int64_t deadline_us; /* steady clock */
};
struct lineage_source { /* one row of a mirror */
    const struct table_def *table;
    struct slice key;    /* as it is stored: names the row within the table */
    struct slice row;    /* in the row codec, of table->schema; lies in the snapshot */
    uint64_t copies;     /* keyless tables */
    unsigned roles;      /* enum lineage_role */
    uint32_t note_count; /* such as "max(amount)": it is one of those that have this value */
    const char **notes;
};
struct lineage_ask {
    const struct plan_view *view;
    struct store_snapshot *snapshot; /* open, of all shards */
    uint32_t shard_count;
    int64_t clock_us;      /* of the epoch: what now() is */
    const union val *vals; /* the view's row */
    const uint8_t *states;
    struct lineage_limits limits;
    bool (*cancelled)(void *ctx); /* asked often; may be NULL */
    void *ctx;
};
struct lineage {
    struct arena arena; /* owns everything below */
    enum lineage_cut cut;
    uint64_t examined; /* rows */
    bool found;        /* the row was found again, by its key */
    bool equal;        /* and all its columns have the values given */
    uint32_t source_count;
    struct lineage_source **sources; /* by table, then by key */
    uint32_t note_count;             /* what is not there, and what else is to be known */
    const char **notes;
};

/* Fills *out, which lineage_fini ends. An error is one of the store's data. */
NODISCARD struct err *lineage_find(const struct lineage_ask *ask, struct lineage *out);
void lineage_fini(struct lineage *l);

#endif
