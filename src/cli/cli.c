/* Reading the command line; see cli.h. */
#include "cli/cli.h"
#include "cli/cmd_bundle.h"
#include "cli/look.h"

#include "base/crash.h"
#include "base/log.h"
#include "base/nearest.h"
#include "cli/box_commands.h"
#include "fleet/fleet.h"
#include "store/gate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int run_box(int argc, char **argv)
{
    return box_commands_main(argc - 1, argv + 1);
}

const struct command commands[] = {
    {"init", "[--from postgres URL] [DIR]", "write a penstock.yaml and a views.sql that run as they are",
     TAKES_FROM, 2, cmd_init, false,
     "With --from postgres: a view for each table of the database at URL, with its key, types, comments and "
     "foreign keys. The\n"
     "password of the URL is not written down. What has to be run on the server first goes into "
     "server.sql. Without it: files\n"
     "with made-up data, every section explained.\n\n"},
    {"check", "[-c F]", "validate everything, connect to each source, print the contracts",
     TAKES_CONFIG | TAKES_DATA, 0, cmd_check, false, NULL},
    {"run", "[-c F] [--data D] [--shards N]", "run pipeline and APIs in the foreground",
     TAKES_CONFIG | TAKES_DATA | TAKES_SHARDS | TAKES_CONTROL, 0, cmd_run, false, NULL},
    {"apply", "[-c F] [--data D] [--breaking]",
     "let the running instance take over the changed configuration",
     TAKES_CONFIG | TAKES_DATA | TAKES_BREAKING, 0, cmd_apply, false, NULL},
    {"explain", "[-c F] [--data D] [VIEW] [--dot | --json]",
     "show the dataflow: operators, keys, exchanges; of a running instance the state",
     TAKES_CONFIG | TAKES_DATA | TAKES_DOT | TAKES_JSON, 1, cmd_explain, false, NULL},
    {"status", "[-c F] [--data D] [--json] [--watch]",
     "sources, lag, epochs, shards, views of the running instance",
     TAKES_CONFIG | TAKES_DATA | TAKES_JSON | TAKES_WATCH, 0, cmd_status, false, NULL},
    {"errors", "[-c F] [--data D] [VIEW | --source S.T] [--json]",
     "the rows that views leave out, as an expression fails or the source's row cannot be read, and why",
     TAKES_CONFIG | TAKES_DATA | TAKES_JSON | TAKES_SOURCE, 1, cmd_errors, false,
     "With --source: the rows of a source's table that cannot be read, as they were delivered. Each is left "
     "out "
     "of the views that\n"
     "read the table until the source sends it again readable, or deletes it; --forget ID takes one off the "
     "list, --forget all\n"
     "all of the table's: their views count as complete again, though the rows are not in them.\n\n"},
    {"why", "[-c F] [--data D] [--json] API KEY...",
     "the source rows that a row was made of, and its last changes",
     TAKES_CONFIG | TAKES_DATA | TAKES_JSON | TAKES_PAGE, 64, cmd_why, false,
     "KEY: a word for each column of the key. A row of an api without a key is named by COLUMN=VALUE "
     "words.\n\n"},
    {"backup", "[-c F] [--data D] [--timeout S] DIR",
     "copy the store of a running or stopped instance to a new directory",
     TAKES_CONFIG | TAKES_DATA | TAKES_TIMEOUT, 1, cmd_backup, false,
     "DIR gets all shards at one epoch, the catalog, the sources' tables and positions, and a manifest with "
     "checksums. It\n"
     "does not get the configuration, the SQL files, certificates, or any password.\n\n"},
    {"restore", "[-c F] [--data D] DIR", "put a backup into an empty data directory",
     TAKES_CONFIG | TAKES_DATA, 1, cmd_restore, false,
     "Checksums are verified before and after. The next `penstock run` goes on from the backup's positions; "
     "a source that\n"
     "no longer has the changes since then is read anew.\n\n"},
    {"verify", "[-c F] [--data D] [--timeout S] [--json] [DIR]",
     "check a store, or the backup DIR: pages, rows, indexes, logs, views against their SQL",
     TAKES_CONFIG | TAKES_DATA | TAKES_JSON | TAKES_TIMEOUT, 1, cmd_verify, false,
     "Of a running instance a snapshot is looked at; a stopped one cannot be started meanwhile. Nothing is "
     "changed. Views are\n"
     "computed anew in memory, which takes what the pipeline takes and the views' rows. Exit status 1 when a "
     "fault is found.\n\n"},
    {"contract", "[-c F] [API] [--json]", "what each api promises, and who may see what of it",
     TAKES_CONFIG | TAKES_JSON, 1, cmd_contract, false, NULL},
    {"token", "create --role R | list | revoke ID", "access tokens: made, shown, taken back",
     TAKES_CONFIG | TAKES_DATA | TAKES_JSON | TAKES_TOKEN, 2, cmd_token, false,
     "create prints the token, which is kept as its hash alone: it is not shown again. list and revoke know "
     "it by its "
     "number.\nA running server takes up a change at once; nothing is restarted.\n\n"},
    {"version", "[-c F] [--data D] [list | switch N | retire N] [--json]",
     "the versions of the apis that are kept: which one unpinned paths show, letting go of one",
     TAKES_CONFIG | TAKES_DATA | TAKES_JSON, 2, cmd_version, false,
     "A change of the configuration that would break clients is built as a new version beside the others. "
     "/api/vN/ stays with\n"
     "version N for as long as it is kept; /api/ shows the current one. switch goes forward and back, and no "
     "request fails;\n"
     "retire lets go of a version and gives its room back.\n\n"},
    {"openapi", "[-c F]", "print the OpenAPI 3.1 document of the configured APIs", TAKES_CONFIG, 0,
     cmd_openapi, false, NULL},
    {"schema", "[-c F]", "print the JSON Schema of the configured APIs' rows", TAKES_CONFIG, 0, cmd_schema,
     false, NULL},
    {"types", "[-c F]", "print TypeScript types of the configured APIs' rows", TAKES_CONFIG, 0, cmd_types,
     false, NULL},
    {"proto", "[-c F] [--data D] [views]", "print the gRPC services of the configured APIs as a .proto file",
     TAKES_CONFIG | TAKES_DATA, 1, cmd_proto, false,
     "Columns have the numbers that the data directory knows, or else those that a first start gives. "
     "`views` "
     "is the service\n"
     "that reads every API by its path, the same everywhere.\n\n"},
    {"bench", "NAME", "run a built-in benchmark: engine, store", TAKES_SHARDS, 2, cmd_bench, false, NULL},
    {"docs", "configuration|sql|limits", "print a reference section as Markdown", 0, 1, cmd_docs, true, NULL},
    {"pipeline-process", "", "the pipeline of `penstock run`", TAKES_CONFIG | TAKES_DATA | TAKES_SHARDS, 0,
     cmd_pipeline, true, NULL},
    {"serve-process", "", "the server of `penstock run`", TAKES_DATA | TAKES_SET, 0, cmd_serve, true, NULL},
};
const uint32_t command_count = ARRAY_COUNT(commands);

const struct own_command own_commands[] = {
    {"fleet", "-i INVENTORY COMMAND ...", "boxes over SSH: status, check, push, upgrade, rollback, run, logs",
     fleet_main, false, NULL},
    {"keys", "create NAME | show FILE...", "keys that sign images and configurations of boxes", keys_main,
     false, NULL},
    {"bundle", "image | config | show | verify ...", "signed images and configurations for boxes",
     bundle_main, false, NULL},
    {"box", "COMMAND ...", "a command of the appliance", run_box, true, NULL},
    {"shell", "[-c COMMAND]", "the commands of a box, as an SSH session gets them", cmd_shell, true,
     "penstock-shell"},
};
const uint32_t own_command_count = ARRAY_COUNT(own_commands);

static void usage(FILE *to)
{
    fputs("usage: penstock COMMAND [OPTIONS]\n\ncommands:\n", to);
    for (uint32_t i = 0; i < command_count; i++)
        if (!commands[i].hidden)
            fprintf(to, "  %-9s %-42s %s\n", commands[i].name, commands[i].synopsis, commands[i].help);
    for (uint32_t i = 0; i < own_command_count; i++)
        if (!own_commands[i].hidden)
            fprintf(to, "  %-9s %-42s %s\n", own_commands[i].name, own_commands[i].synopsis,
                    own_commands[i].help);
    fputs("\n  --help after a command tells about it; --log json makes log lines JSON; --version\n"
          "exit status: 0 done, 1 failed, 2 wrong usage or configuration\n",
          to);
}

static void command_usage(const struct command *c, FILE *to)
{
    static const struct {
        unsigned flag;
        const char *text;
    } options[] = {
        {TAKES_CONFIG, "  -c F        configuration file (default penstock.yaml)\n"},
        {TAKES_DATA, "  --data D    data directory (default: store.path of the configuration)\n"},
        {TAKES_SHARDS, "  --shards N  number of shards (default: cores.shards of the configuration)\n"},
        {TAKES_JSON, "  --json      machine-readable output\n"},
        {TAKES_WATCH, "  --watch     again every second until interrupted\n"},
        {TAKES_TIMEOUT,
         "  --timeout S  seconds that a running instance's snapshot is held at most (default 3600)\n"},
        {TAKES_DOT, "  --dot       Graphviz output\n"},
        {TAKES_SOURCE, "  --source S.T  the table's rows that cannot be read\n"},
        {TAKES_SOURCE, "  --forget ID|all  they are known to be lost: off the list\n"},
        {TAKES_TOKEN, "  --role R    the token's role, one of access.roles\n"},
        {TAKES_TOKEN, "  --ttl T     how long it lasts, such as 30d or 12h (default: until it is revoked)\n"},
        {TAKES_TOKEN, "  --name N    what it is for, shown by list and in the audit\n"},
        {TAKES_TOKEN, "  --claim NAME=VALUE  a claim for the rules' conditions; may be repeated\n"},
        {TAKES_PAGE, "  --limit N   source rows of the answer (default 100, at most 1000)\n"},
        {TAKES_PAGE, "  --cursor C  go on where the answer with this cursor has ended\n"},
        {TAKES_CONTROL,
         "  --control S PID 1's socket for the console of an appliance (default: on one, its own)\n"},
        {TAKES_FROM, "  --from postgres  of the tables of a database\n"},
        {TAKES_BREAKING, "  --breaking  also when a kept version can no longer be followed\n"},
    };
    fprintf(to, "usage: penstock %s %s\n%s\n", c->name, c->synopsis, c->help);
    if (c->details)
        fprintf(to, "\n%s", c->details);
    for (uint32_t i = 0; i < ARRAY_COUNT(options); i++)
        if (c->accepts & options[i].flag)
            fputs(options[i].text, to);
    fputs("  --log json  log lines as JSON\n", to);
}

static const struct command *find_command(const char *name)
{
    for (uint32_t i = 0; i < command_count; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static int wrong(const char *fmt, const char *what)
{
    fprintf(stderr, "penstock: ");
    fprintf(stderr, "%s '%s'\n", fmt, what);
    fputs("  hint: penstock --help lists the commands, penstock COMMAND --help their options\n", stderr);
    return EXIT_USAGE;
}

struct parse {
    int argc;
    char **argv;
    int at;
    const struct command *command;
    struct cli_args *out;
    bool help;
};

/* The option's value: "--name=value" or the next word. */
static const char *value_of(struct parse *p, const char *name)
{
    const char *arg = p->argv[p->at];
    size_t len = strlen(name);
    if (strncmp(arg, name, len) == 0 && arg[len] == '=')
        return arg + len + 1;
    return p->at + 1 < p->argc ? p->argv[++p->at] : NULL;
}

static bool is_option(const struct parse *p, const char *name, unsigned flag)
{
    const char *arg = p->argv[p->at];
    size_t len = strlen(name);
    return (p->command->accepts & flag || !flag) && strncmp(arg, name, len) == 0 &&
           (!arg[len] || arg[len] == '=');
}

static bool parse_shards(struct parse *p)
{
    const char *v = value_of(p, "--shards");
    char *end = NULL;
    p->out->shards = v ? strtoll(v, &end, 10) : 0;
    return v && *v && !*end && p->out->shards >= 1 && p->out->shards <= 256;
}

static bool parse_timeout(struct parse *p)
{
    const char *v = value_of(p, "--timeout");
    char *end = NULL;
    p->out->timeout_s = v ? strtoll(v, &end, 10) : 0;
    return v && *v && !*end && p->out->timeout_s >= 1 && p->out->timeout_s <= 1000000;
}

static bool parse_limit(struct parse *p)
{
    const char *v = value_of(p, "--limit");
    char *end = NULL;
    p->out->limit = v ? strtoll(v, &end, 10) : 0;
    return v && *v && !*end && p->out->limit >= 1 && p->out->limit <= 1000000;
}

static bool parse_set(struct parse *p)
{
    const char *v = value_of(p, "--set");
    if (v)
        p->out->options[p->out->option_count++] = v;
    return v != NULL;
}

static bool parse_option(struct parse *p)
{
    if (is_option(p, "--help", 0) || is_option(p, "-h", 0))
        return p->help = true;
    if (is_option(p, "-c", TAKES_CONFIG) || is_option(p, "--config", TAKES_CONFIG))
        return (p->out->config = value_of(p, p->argv[p->at][1] == '-' ? "--config" : "-c")) != NULL;
    if (is_option(p, "--data", TAKES_DATA))
        return (p->out->data = value_of(p, "--data")) != NULL;
    if (is_option(p, "--shards", TAKES_SHARDS))
        return parse_shards(p);
    if (is_option(p, "--timeout", TAKES_TIMEOUT))
        return parse_timeout(p);
    if (is_option(p, "--source", TAKES_SOURCE))
        return (p->out->source = value_of(p, "--source")) != NULL;
    if (is_option(p, "--control", TAKES_CONTROL))
        return (p->out->control = value_of(p, "--control")) != NULL;
    if (is_option(p, "--from", TAKES_FROM))
        return (p->out->from = value_of(p, "--from")) != NULL;
    if (is_option(p, "--forget", TAKES_SOURCE))
        return (p->out->forget = value_of(p, "--forget")) != NULL;
    if (is_option(p, "--role", TAKES_TOKEN))
        return (p->out->role = value_of(p, "--role")) != NULL;
    if (is_option(p, "--ttl", TAKES_TOKEN))
        return (p->out->ttl = value_of(p, "--ttl")) != NULL;
    if (is_option(p, "--name", TAKES_TOKEN))
        return (p->out->name = value_of(p, "--name")) != NULL;
    if (is_option(p, "--claim", TAKES_TOKEN)) {
        const char *v = value_of(p, "--claim");
        if (v)
            p->out->claims[p->out->claim_count++] = v;
        return v != NULL;
    }
    if (is_option(p, "--limit", TAKES_PAGE))
        return parse_limit(p);
    if (is_option(p, "--cursor", TAKES_PAGE))
        return (p->out->cursor = value_of(p, "--cursor")) != NULL;
    if (is_option(p, "--json", TAKES_JSON))
        return p->out->json = true;
    if (is_option(p, "--watch", TAKES_WATCH))
        return p->out->watch = true;
    if (is_option(p, "--dot", TAKES_DOT))
        return p->out->dot = true;
    if (is_option(p, "--breaking", TAKES_BREAKING))
        return p->out->breaking = true;
    if (is_option(p, "--verbose", 0))
        return p->out->verbose = true;
    if (is_option(p, "--set", TAKES_SET))
        return parse_set(p);
    if (is_option(p, "--log", 0)) {
        const char *v = value_of(p, "--log");
        p->out->log_json = v && strcmp(v, "json") == 0;
        return v && (p->out->log_json || strcmp(v, "text") == 0);
    }
    return false;
}

static int parse_words(struct parse *p)
{
    for (; p->at < p->argc; p->at++) {
        const char *arg = p->argv[p->at];
        if (arg[0] == '-' && arg[1]) {
            if (!parse_option(p))
                return wrong("unknown option, or a bad or missing value, at", arg);
        } else if (p->out->word_count == p->command->most_words) {
            return wrong("unexpected argument", arg);
        } else {
            p->out->words[p->out->word_count++] = arg;
        }
    }
    return EXIT_DONE;
}

static int unknown_command(const char *name)
{
    struct nearest n;
    nearest_init(&n, name);
    for (uint32_t i = 0; i < command_count; i++)
        if (!commands[i].hidden)
            nearest_offer(&n, commands[i].name);
    fprintf(stderr, "penstock: unknown command '%s'\n", name);
    if (n.best)
        fprintf(stderr, "  hint: did you mean '%s'?\n", n.best);
    else
        fputs("  hint: penstock --help lists the commands\n", stderr);
    return EXIT_USAGE;
}

/* By its name, or by the name under which the program was called (a login shell's begins with a dash). */
static const struct own_command *find_own(int argc, char **argv, int *skip)
{
    const char *slash = argc ? strrchr(argv[0], '/') : NULL, *as = argc ? slash ? slash + 1 : argv[0] : "";
    if (as[0] == '-')
        as++;
    for (uint32_t i = 0; i < own_command_count; i++) {
        const struct own_command *c = &own_commands[i];
        *skip = argc > 1 && strcmp(argv[1], c->name) == 0;
        if (*skip || (c->called_as && strcmp(as, c->called_as) == 0))
            return c;
    }
    return NULL;
}

int cli_main(int argc, char **argv)
{
    int skip;
    const struct own_command *own = find_own(argc, argv, &skip);
    if (own)
        return own->run(argc - skip, argv + skip);
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        usage(argc < 2 ? stderr : stdout);
        return argc < 2 ? EXIT_USAGE : EXIT_DONE;
    }
    if (strcmp(argv[1], "--version") == 0) {
        puts(PENSTOCK_VERSION);
        return EXIT_DONE;
    }
    const struct command *c = find_command(argv[1]);
    if (!c)
        return unknown_command(argv[1]);
    struct cli_args args = {.command = c->name, .config = "penstock.yaml", .timeout_s = LOOK_TIMEOUT_S};
    args.words = xcalloc((size_t)argc, sizeof *args.words);
    args.options = xcalloc((size_t)argc, sizeof *args.options);
    args.claims = xcalloc((size_t)argc, sizeof *args.claims);
    struct parse p = {.argc = argc, .argv = argv, .at = 2, .command = c, .out = &args};
    int status = parse_words(&p);
    if (status == EXIT_DONE && p.help)
        command_usage(c, stdout);
    else if (status == EXIT_DONE) {
        log_setup(args.verbose ? LOG_DEBUG : LOG_INFO, args.log_json ? LOG_FORMAT_JSON : LOG_FORMAT_TEXT,
                  c->name);
        status = c->run(&args);
    }
    free(args.words);
    free(args.options);
    free(args.claims);
    return status;
}

void cli_crash_reports(const char *process, const char *data, const struct gate *gate)
{
    char *dir = xprintf("%s/crash", data);
    if (!crash_install(process, dir))
        log_warn("crash", "no reports of crashes will be left", "path=%s error=\"%s\"", dir, strerror(errno));
    free(dir);
    crash_thread("penstock");
    if (!gate)
        return;
    crash_note("epoch", &gate->epoch);
    crash_note("durable epoch", &gate->durable_epoch);
}

int cli_end(struct err *e, enum log_event event, bool by_line)
{
    if (!e)
        return EXIT_DONE;
    int status = e->code == ERR_CONFIG || e->code == ERR_UNSUPPORTED ? EXIT_USAGE : EXIT_FAILED;
    if (!by_line && !log_is_json()) {
        err_print(stderr, e);
    } else {
        char *text = err_text(e);
        if (event == EVENT_NONE)
            log_error("command", "failed", "error=\"%s\"", text);
        else
            log_event(event, LOG_ERROR, "command", "ends with an error", "error=\"%s\"", text);
        free(text);
    }
    err_free(e);
    return status;
}

int cli_report(struct err *e)
{
    return cli_end(e, EVENT_NONE, false);
}
