/* What a configuration is to the versions that are kept: the same contract, a compatible change, or a breaking one; and the
 * plan of all of them together. See store/versions.h for the words. */
#ifndef PENSTOCK_CLI_EDITIONS_H
#define PENSTOCK_CLI_EDITIONS_H

#include "cli/contract.h"
#include "cli/world.h"
#include "store/versions.h"

enum edition_step {
    EDITION_FIRST, /* nothing is kept: it is version 1 */
    EDITION_SAME,  /* of the newest version, whose rows all are there: taken over in place */
    EDITION_REVISED, /* likewise, but some rows have to be built: takes the place of the newest version when complete */
    EDITION_NEW /* breaks clients of the newest version: a new version is built beside it */
};
struct kept_edition {
    struct edition *edition; /* complete; borrowed from the versions */
    struct plan *plan;       /* owned; NULL: it cannot be followed with these tables */
    struct err *error;       /* owned: why; NULL otherwise */
};
struct editions {
    struct versions *versions; /* owned; without any edition when nothing is kept */
    enum edition_step step;
    enum contract_change change;
    uint32_t kept_count, lost_count;             /* lost: those with an error */
    struct kept_edition kept[VERSIONS_KEEP_MAX]; /* newest first */
};

/* Judges the configuration of `a`, planned and with a catalog of its own (app_plan, app_catalog), against what dir holds. What
 * differs is written to `to`, a line each. versions.json that is damaged is an error. */
NODISCARD struct err *editions_judge(struct app *a, const char *dir, FILE *to, struct editions *out);
void editions_fini(struct editions *x);
/* ERR_CONFIG when one version more would be too many. */
NODISCARD struct err *editions_allow(const struct app *a, const struct editions *x);
/* Takes the step: x->versions becomes what is to be saved, and a->plan and a->catalog those of all editions together, the one to
 * be built as a late input. Editions that cannot be followed stand at the end of the catalog, as they were stored. */
NODISCARD struct err *editions_take(struct app *a, struct editions *x, uint32_t shard_count);
/* Once the views have their slots: every edition's contract is what the catalog says of it. */
void editions_record(const struct app *a, struct editions *x);
/* Hash of what an edition is made of. */
uint64_t editions_hash(const struct config *c);
/* What taking the step means, in words. */
const char *edition_step_text(const struct editions *x, const struct config *c, char *buf, size_t size);

#endif
