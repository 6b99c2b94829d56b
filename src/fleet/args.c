/* See args.h. */
#include "fleet/args.h"

#include "base/nearest.h"

#include <stdlib.h>
#include <string.h>

enum kind { FLAG, TEXT, NUMBER, DURATION, LABEL };
struct option {
    const char *name;
    enum kind kind;
    unsigned takes; /* 0: of all commands */
    size_t at;      /* in struct fleet_args */
    int64_t min, max;
    const char *value, *help;
};
#define AT(field) offsetof(struct fleet_args, field)
#define SEC       INT64_C(1000000)

static const struct option options[] = {
    {"-i", TEXT, 0, AT(inventory), 0, 0, "FILE", "the inventory (default fleet.yaml)"},
    {"--parallel", NUMBER, 0, AT(parallel), 1, FLEET_PARALLEL_MAX, "N",
     "boxes spoken to at a time (default: the inventory's parallel)"},
    {"--boxes", TEXT, FLEET_SELECTS, AT(selection.boxes), 0, 0, "A,B", "these boxes"},
    {"--group", TEXT, FLEET_SELECTS, AT(selection.groups), 0, 0, "G,H", "boxes of these groups"},
    {"--label", LABEL, FLEET_SELECTS, 0, 0, 0, "KEY=VALUE",
     "boxes with this label; may be repeated: with all of them"},
    {"--all", FLAG, FLEET_SELECTS, AT(selection.all), 0, 0, NULL, "all boxes"},
    {"--json", FLAG, FLEET_JSON, AT(json), 0, 0, NULL, "machine-readable output"},
    {"--watch", FLAG, FLEET_WATCH, AT(watch), 0, 0, NULL, "go on until Ctrl-C"},
    {"--yes", FLAG, FLEET_YES, AT(yes), 0, 0, NULL, "do not ask"},
    {"--plan", FLAG, FLEET_PLAN, AT(plan), 0, 0, NULL, "only say what would be done"},
    {"--sign", TEXT, FLEET_SIGN, AT(sign), 0, 0, "KEY",
     "sign the configuration with this key (penstock keys create)"},
    {"--canary", NUMBER, FLEET_WAVES, AT(canary), 0, FLEET_BOXES_MAX, "N",
     "boxes of the first wave (default 1); 0: no such wave"},
    {"--waves", TEXT, FLEET_WAVES, AT(waves), 0, 0, "25%|N", "size of each further wave (default 25%)"},
    {"--soak", DURATION, FLEET_WAVES, AT(soak_us), 0, 86400 * SEC, "60s",
     "how long a wave must stay healthy before the next (default 60s)"},
    {"--max-unhealthy", NUMBER, FLEET_WAVES, AT(max_unhealthy), 0, FLEET_BOXES_MAX, "N",
     "boxes that may fail before it stops (default 0)"},
    {"--deadline", DURATION, FLEET_WAVES, AT(deadline_us), 10 * SEC, 86400 * SEC, "15m",
     "how long a box may take until it is healthy again (default 15m; a trial that lasts longer is waited "
     "for)"},
    {"--pause-between", FLAG, FLEET_WAVES, AT(pause_between), 0, 0, NULL,
     "pause after each wave; resume goes on"},
    {"-n", NUMBER, FLEET_LINES, AT(lines), 1, 10000, "N", "the last N lines of each (default 20)"},
    {"--fingerprints", TEXT, FLEET_PRINTS, AT(fingerprints), 0, 0, "FILE",
     "lines of BOX SHA256:...: the keys must be these"},
};

static const struct option *find_option(const char *name, const struct fleet_command *c)
{
    for (size_t i = 0; i < ARRAY_COUNT(options); i++)
        if (strcmp(options[i].name, name) == 0 && (!options[i].takes || !c || (c->takes & options[i].takes)))
            return &options[i];
    return NULL;
}

static struct err *take_value(const struct option *o, const char *text, struct fleet_args *a)
{
    struct yaml_node n = {.kind = YAML_SCALAR, .text = text, .plain = true, .file = "command line"};
    void *to = (char *)a + o->at;
    struct err *e = NULL;
    if (o->kind == TEXT) {
        if (!*text)
            return err_new(ERR_CONFIG, "%s: expected %s", o->name, o->value);
        *(const char **)to = text;
    } else if (o->kind == LABEL) {
        if (a->selection.label_count == FLEET_LABELS_MAX)
            return err_new(ERR_CONFIG, "more than %d times --label", FLEET_LABELS_MAX);
        a->selection.labels[a->selection.label_count++] = text;
    } else if (o->kind == NUMBER) {
        e = yaml_int(&n, o->name, o->min, o->max, to);
    } else {
        e = yaml_duration_us(&n, o->name, to);
        if (!e && (*(int64_t *)to < o->min || *(int64_t *)to > o->max))
            e = err_new(ERR_CONFIG, "%s: from %llds to 1d", o->name, (long long)(o->min / SEC));
    }
    return e;
}

/* Whether an option takes a value: needed before the command is known. */
static bool takes_value(const char *name)
{
    const struct option *o = find_option(name, NULL);
    return o && o->kind != FLAG;
}

static const struct fleet_command *find_command(const char *name)
{
    for (uint32_t i = 0; i < fleet_command_count; i++)
        if (strcmp(fleet_commands[i].name, name) == 0)
            return &fleet_commands[i];
    return NULL;
}

/* The first word that is no option and no option's value. */
static struct err *seek_command(int argc, char **argv, struct fleet_args *a, int *at)
{
    for (*at = 1; *at < argc; ++*at) {
        if (strcmp(argv[*at], "--help") == 0 || strcmp(argv[*at], "-h") == 0)
            a->help = true;
        else if (takes_value(argv[*at]))
            ++*at;
        else if (argv[*at][0] != '-')
            break;
    }
    if (*at >= argc)
        return a->help
                   ? NULL
                   : err_hint(err_new(ERR_CONFIG, "expected a command"), "penstock fleet --help lists them");
    a->command = find_command(argv[*at]);
    if (a->command)
        return NULL;
    struct nearest near;
    nearest_init(&near, argv[*at]);
    for (uint32_t i = 0; i < fleet_command_count; i++)
        nearest_offer(&near, fleet_commands[i].name);
    struct err *e = err_new(ERR_CONFIG, "unknown command '%.*s'", TEXT_QUOTED_CSTR(argv[*at], 60));
    return near.best ? err_hint(e, "did you mean '%s'?", near.best)
                     : err_hint(e, "penstock fleet --help lists the commands");
}

static struct err *unknown_option(const char *name, const struct fleet_command *c)
{
    struct nearest near;
    nearest_init(&near, name);
    for (size_t i = 0; i < ARRAY_COUNT(options); i++)
        if (!options[i].takes || (c->takes & options[i].takes))
            nearest_offer(&near, options[i].name);
    struct err *e = err_new(ERR_CONFIG, "%s: unknown option '%.*s'", c->name, TEXT_QUOTED_CSTR(name, 60));
    return near.best ? err_hint(e, "did you mean '%s'?", near.best)
                     : err_hint(e, "penstock fleet %s --help lists the options", c->name);
}

static struct err *parse_all(int argc, char **argv, int command_at, struct fleet_args *a)
{
    bool options_over = false;
    for (int i = 1; i < argc; i++) {
        const struct option *o;
        if (i == command_at)
            continue;
        if (options_over || argv[i][0] != '-' || !argv[i][1]) {
            a->words[a->word_count++] = argv[i];
        } else if (strcmp(argv[i], "--") == 0) {
            options_over = true;
        } else if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            a->help = true;
        } else if (!(o = find_option(argv[i], a->command))) {
            return unknown_option(argv[i], a->command);
        } else if (o->kind == FLAG) {
            *(bool *)((char *)a + o->at) = true;
        } else if (i + 1 == argc) {
            return err_new(ERR_CONFIG, "%s: expected %s after it", o->name, o->value);
        } else {
            TRY(take_value(o, argv[++i], a));
        }
    }
    return NULL;
}

static bool selects(const struct fleet_selection *s)
{
    return s->all || s->boxes || s->groups || s->label_count;
}

struct err *fleet_args_parse(int argc, char **argv, struct fleet_args *out)
{
    int at;
    *out = (struct fleet_args){.inventory = "fleet.yaml",
                               .lines = 20,
                               .canary = 1,
                               .waves = "25%",
                               .soak_us = 60 * SEC,
                               .deadline_us = 900 * SEC};
    out->words = xcalloc((size_t)argc + 1, sizeof *out->words);
    TRY(seek_command(argc, argv, out, &at));
    if (!out->command)
        return NULL;
    TRY(parse_all(argc, argv, at, out));
    const struct fleet_command *c = out->command;
    if (out->help)
        return NULL;
    if (out->word_count < c->least_words || out->word_count > c->most_words)
        return err_new(ERR_CONFIG, "expected penstock fleet %s %s", c->name, c->synopsis);
    if (out->selection.all && (out->selection.boxes || out->selection.groups || out->selection.label_count))
        return err_new(ERR_CONFIG, "--all and a selection exclude each other");
    if ((c->takes & FLEET_WRITES) && !selects(&out->selection))
        return err_hint(err_new(ERR_CONFIG, "%s changes boxes: say which", c->name),
                        "--boxes, --group, --label, or --all for every box of the inventory");
    return NULL;
}

void fleet_args_fini(struct fleet_args *a)
{
    free(a->words);
}

/* ---- help ---- */

static void put_option(const struct option *o, FILE *to)
{
    char left[40];
    snprintf(left, sizeof left, "%s %s", o->name, o->value ? o->value : "");
    fprintf(to, "  %-22s %s\n", left, o->help);
}

void fleet_usage(FILE *to)
{
    fputs("usage: penstock fleet [-i fleet.yaml] COMMAND [--boxes A,B] [--group G] [--label K=V] [--all] "
          "...\n\ncommands:\n",
          to);
    for (uint32_t i = 0; i < fleet_command_count; i++) {
        char usage[80];
        snprintf(usage, sizeof usage, "%s %s", fleet_commands[i].name, fleet_commands[i].synopsis);
        fprintf(to, "  %-32s %s\n", usage, fleet_commands[i].help);
    }
    fputs("\noptions; which of them a command takes, --help after it tells:\n", to);
    for (size_t i = 0; i < ARRAY_COUNT(options); i++)
        put_option(&options[i], to);
    fputs("\n"
          "exit status: 0 done on every box, 1 failed on some, 2 wrong usage or inventory\n",
          to);
}

void fleet_command_usage(const struct fleet_command *c, FILE *to)
{
    fprintf(to, "usage: penstock fleet %s %s\n  %s\n\n", c->name, c->synopsis, c->help);
    for (size_t i = 0; i < ARRAY_COUNT(options); i++)
        if (!options[i].takes || (c->takes & options[i].takes))
            put_option(&options[i], to);
}
