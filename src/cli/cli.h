/* The commands: one explicit table, one function each; main only picks one. */
#ifndef PENSTOCK_CLI_CLI_H
#define PENSTOCK_CLI_CLI_H

#include "base/err.h"
#include "base/events.h"

#include "base/version.h"

enum exit_status {
    EXIT_DONE = 0,
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,
    EXIT_PAUSED = 3, /* of the pipeline process */
    EXIT_AGAIN = 4   /* likewise: it is to be started anew at once */
};

/* What the command line said; each command looks at what it knows and refuses the rest. */
struct cli_args {
    const char *command;
    const char *config;            /* -c F; default penstock.yaml */
    const char *data;              /* --data D; NULL: the configuration's */
    int64_t shards;                /* --shards N; 0: the configuration's */
    const char *control;           /* --control SOCKET */
    bool json, watch, dot;         /* --json --watch --dot */
    bool breaking;                 /* --breaking */
    bool log_json;                 /* --log json */
    bool verbose;                  /* --verbose: debug lines */
    int64_t timeout_s;             /* --timeout S; default LOOK_TIMEOUT_S */
    const char *source;            /* --source SOURCE.TABLE */
    const char *from;              /* --from KIND */
    const char *forget;            /* --forget ID|all */
    int64_t limit;                 /* --limit N; 0: not given */
    const char *cursor;            /* --cursor C */
    const char *role, *ttl, *name; /* --role R --ttl 30d --name N */
    uint32_t claim_count;
    const char **claims; /* --claim NAME=VALUE, as often as wanted */
    uint32_t word_count;
    const char **words;    /* positional */
    uint32_t option_count; /* NAME=VALUE pairs of internal processes (--set NAME=VALUE) */
    const char **options;
};
enum cli_accepts {
    TAKES_CONFIG = 1,
    TAKES_DATA = 2,
    TAKES_SHARDS = 4,
    TAKES_JSON = 8,
    TAKES_WATCH = 16,
    TAKES_DOT = 32,
    TAKES_SET = 64,
    TAKES_BREAKING = 128,
    TAKES_TIMEOUT = 256,
    TAKES_SOURCE = 512,
    TAKES_TOKEN = 1024,
    TAKES_PAGE = 2048,
    TAKES_FROM = 1 << 20,
    TAKES_CONTROL = 1 << 21
};
struct command {
    const char *name;
    const char *synopsis; /* after the name */
    const char *help;     /* one line */
    unsigned accepts;     /* enum cli_accepts */
    uint32_t most_words;
    int (*run)(const struct cli_args *a);
    bool hidden;         /* processes of penstock run */
    const char *details; /* further help text, may be NULL */
};
extern const struct command commands[];
extern const uint32_t command_count;
struct own_command { /* reads its own words: argv from its name on; --help too */
    const char *name, *synopsis, *help;
    int (*run)(int argc, char **argv);
    bool hidden;
    const char *called_as; /* the program under this name is this command; may be NULL */
};
extern const struct own_command own_commands[];
extern const uint32_t own_command_count;

int cmd_init(const struct cli_args *a);
int cmd_check(const struct cli_args *a);
int cmd_apply(const struct cli_args *a);
int cmd_run(const struct cli_args *a);
int cmd_pipeline(const struct cli_args *a);
int cmd_serve(const struct cli_args *a);
int cmd_explain(const struct cli_args *a);
int cmd_status(const struct cli_args *a);
int cmd_errors(const struct cli_args *a);
int cmd_why(const struct cli_args *a);
int cmd_backup(const struct cli_args *a);
int cmd_restore(const struct cli_args *a);
int cmd_verify(const struct cli_args *a);
int cmd_contract(const struct cli_args *a);
int cmd_token(const struct cli_args *a);
int cmd_openapi(const struct cli_args *a);
int cmd_version(const struct cli_args *a);
int cmd_schema(const struct cli_args *a);
int cmd_types(const struct cli_args *a);
int cmd_proto(const struct cli_args *a);
int cmd_bench(const struct cli_args *a);
int cmd_docs(const struct cli_args *a);
int cmd_shell(int argc, char **argv); /* from "shell" or "penstock-shell" on */

/* Prints the errors and gives the exit status that fits them; takes e. */
int cli_report(struct err *e);
/* That of a process of `penstock run`: with --log json, or by_line, as a line of the log with this event. */
int cli_end(struct err *e, enum log_event event, bool by_line);
/* Crash reports of this process go to DATA/crash; with the epochs of the gate, if there is one. Goes on without, with a
 * line in the log, where there can be none. */
struct gate;
void cli_crash_reports(const char *process, const char *data, const struct gate *gate);
int cli_main(int argc, char **argv);

#endif
