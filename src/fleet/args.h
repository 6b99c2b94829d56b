/* The command line of `penstock fleet`: which command, for which boxes, how. */
#ifndef PENSTOCK_FLEET_ARGS_H
#define PENSTOCK_FLEET_ARGS_H

#include "fleet/inventory.h"

enum fleet_takes { /* options of a command, beside those that all have */
                   FLEET_JSON = 1,
                   FLEET_WATCH = 2,
                   FLEET_YES = 4,
                   FLEET_PLAN = 8,
                   FLEET_SIGN = 16,
                   FLEET_WAVES = 32, /* --canary, --waves, --soak, --max-unhealthy, --pause-between */
                   FLEET_LINES = 64,
                   FLEET_PRINTS = 128, /* --fingerprints */
                   FLEET_SELECTS = 256,
                   FLEET_WRITES = 512 /* it changes boxes: a selection or --all is needed */
};
struct fleet_args {
    const char *inventory; /* default fleet.yaml */
    const struct fleet_command *command;
    struct fleet_selection selection;
    int word_count; /* after the command's name; those after -- are taken as they are */
    char **words;   /* owned: the array */
    bool json, watch, yes, plan, pause_between, help;
    const char *sign, *fingerprints;
    int64_t parallel;      /* 0: the inventory's */
    int64_t lines;         /* of logs */
    int64_t canary;        /* boxes of the first wave; default 1 */
    const char *waves;     /* "25%" or "10" */
    int64_t soak_us;       /* default 60 s */
    int64_t max_unhealthy; /* default 0 */
    int64_t deadline_us;   /* of a box; default 15 min */
};
struct fleet_command {
    const char *name, *synopsis, *help;
    unsigned takes;
    int least_words, most_words;
    /* An exit status (fleet.h). v is NULL where the command needs no inventory. */
    int (*run)(const struct fleet_args *a, struct inventory *v);
};
extern const struct fleet_command fleet_commands[];
extern const uint32_t fleet_command_count;

/* Wrong usage: what is wrong with it. */
NODISCARD struct err *fleet_args_parse(int argc, char **argv, struct fleet_args *out);
void fleet_args_fini(struct fleet_args *a);
void fleet_usage(FILE *to);
void fleet_command_usage(const struct fleet_command *c, FILE *to);

#endif
