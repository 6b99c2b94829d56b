/* See fleet.h: the table of commands, and how each is begun. */
#include "fleet/fleet.h"
#include "fleet/args.h"
#include "fleet/commands.h"

#include <stdio.h>

#define READS (FLEET_SELECTS | FLEET_JSON)

const struct fleet_command fleet_commands[] = {
    {"status", "[--watch] [--json]", "what each box runs, and how it is", READS | FLEET_WATCH, 0, 0,
     fleet_status},
    {"run", "-- COMMAND...", "a command of the boxes' shell, on each", READS | FLEET_WRITES, 1, 4096,
     fleet_run},
    {"logs", "[-n N]", "the last lines of each log", READS | FLEET_LINES, 0, 0, fleet_logs},
    {"support-bundle", "DIR", "a support bundle of each box, into DIR", READS, 1, 1, fleet_support},
    {"check", "[CONFIG-DIR]", "let each box judge a configuration, or the one that it has",
     READS | FLEET_SIGN, 0, 1, fleet_check},
    {"diff", "CONFIG-DIR", "what a configuration would change on each", READS | FLEET_SIGN, 1, 1, fleet_diff},
    {"push", "CONFIG-DIR [--plan]", "a configuration onto boxes, in waves",
     READS | FLEET_WRITES | FLEET_SIGN | FLEET_PLAN | FLEET_YES | FLEET_WAVES, 1, 1, fleet_push},
    {"upgrade", "BUNDLE", "an image onto boxes, in waves", READS | FLEET_WRITES | FLEET_WAVES, 1, 1,
     fleet_upgrade},
    {"rollback", "", "boxes back to their other slot, in waves", READS | FLEET_WRITES | FLEET_WAVES, 0, 0,
     fleet_rollback},
    {"rollouts", "", "what was rolled out, and how far it is", FLEET_JSON, 0, 0, fleet_rollouts},
    {"resume", "ID|last", "go on with a roll-out", FLEET_JSON, 1, 1, fleet_resume},
    {"pause", "[ID|last]", "begin no further box", 0, 0, 1, fleet_pause},
    {"abort", "[ID|last]", "begin no further box, ever", 0, 0, 1, fleet_abort},
    {"trust", "[--fingerprints FILE]", "take up the boxes' host keys",
     FLEET_SELECTS | FLEET_PRINTS | FLEET_YES, 0, 0, fleet_trust},
};
const uint32_t fleet_command_count = ARRAY_COUNT(fleet_commands);

int fleet_report(struct err *e)
{
    if (!e)
        return FLEET_DONE;
    int status = e->code == ERR_CONFIG || e->code == ERR_UNSUPPORTED ? FLEET_USAGE : FLEET_FAILED;
    for (const struct err *at = e; at; at = at->next) {
        if (at->file)
            fprintf(stderr, "%s:%d:%d: %s\n", at->file, at->line, at->column, at->message);
        else
            fprintf(stderr, "penstock fleet: %s\n", at->message);
        if (at->hint)
            fprintf(stderr, "  hint: %s\n", at->hint);
    }
    err_free(e);
    return status;
}

static int run(const struct fleet_args *a)
{
    struct inventory *v;
    struct err *e = inventory_load(a->inventory, &v);
    if (!e)
        e = journal_prepare(v->state);
    int status = e ? fleet_report(e) : a->command->run(a, v);
    inventory_free(v);
    return status;
}

int fleet_main(int argc, char **argv)
{
    struct fleet_args a;
    struct err *e = fleet_args_parse(argc, argv, &a);
    int status = FLEET_DONE;
    if (e)
        status = fleet_report(e);
    else if (a.help && a.command)
        fleet_command_usage(a.command, stdout);
    else if (a.help)
        fleet_usage(stdout);
    else
        status = run(&a);
    fleet_args_fini(&a);
    return status;
}
