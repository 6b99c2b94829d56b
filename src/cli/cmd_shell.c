/* `penstock shell`, the login shell of SSH sessions as penstock-shell: a command with -c, or a prompt.
 *
 * Commands run by PID 1, each asked for in a child of its own, so that an interrupt ends the command and leaves the prompt. Lines
 * are read byte by byte: what stands behind a line belongs to nobody else, as commands of a script get no standard input. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "cli/shell.h"

#include "base/base.h"
#include "base/nearest.h"
#include "base/text.h"
#include "box/command.h"
#include "box/words.h"
#include "cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct session {
    struct shell shell;
    bool terminal; /* standard input is one */
    bool lines;    /* commands are read from it */
    bool leaving;
    int status; /* of the last command */
};

/* ---- its own words ---- */

static bool is_offered(const struct box_command *c)
{
    return c && (c->flags & BOX_FROM_SHELL);
}

static int help_one(const char *name)
{
    const struct box_command *c = box_command_find(name);
    if (!is_offered(c)) {
        fputs("penstock: there is no such command\n  hint: help lists them\n", stderr);
        return EXIT_USAGE;
    }
    printf("usage: %s %s\n%s\n", c->name, c->synopsis, c->help);
    return EXIT_DONE;
}

static int help_all(void)
{
    puts("commands of this box:\n");
    for (uint32_t i = 0; i < box_command_count; i++) {
        const struct box_command *c = &box_commands[i];
        if (is_offered(c) && !(c->flags & BOX_HIDDEN))
            printf("  %-15s %s\n", c->name, c->help);
    }
    puts("\n  help COMMAND    its options\n"
         "  exit            ends the session\n\n"
         "Words may be quoted by '...' and \"...\". Nothing is expanded.\n"
         "scp -O -r FOLDER box:config/ applies a configuration, scp -O FILE box:image upgrades.");
    return EXIT_DONE;
}

static int unknown(const char *name)
{
    struct nearest n;
    nearest_init(&n, name);
    for (uint32_t i = 0; i < box_command_count; i++)
        if (is_offered(&box_commands[i]) && !(box_commands[i].flags & BOX_HIDDEN))
            nearest_offer(&n, box_commands[i].name);
    fputs("penstock: there is no command '", stderr);
    text_print(stderr, name);
    fputs("'\n", stderr);
    if (n.best)
        fprintf(stderr, "  hint: did you mean '%s'? help lists the commands\n", n.best);
    else
        fputs("  hint: help lists the commands\n", stderr);
    return EXIT_USAGE;
}

/* ---- one command ---- */

static int run_words(struct session *s, const struct words *w, int in)
{
    char *const *word = w->word;
    if (strcmp(word[0], "help") == 0 || strcmp(word[0], "?") == 0 || strcmp(word[0], "--help") == 0)
        return w->count > 1 ? help_one(word[1]) : help_all();
    if (strcmp(word[0], "exit") == 0 || strcmp(word[0], "quit") == 0 || strcmp(word[0], "logout") == 0) {
        s->leaving = true;
        return s->status;
    }
    if (strcmp(word[0], "scp") == 0 && !s->lines)
        return shell_scp(&s->shell, w->count, word);
    if (!is_offered(box_command_find(word[0])))
        return unknown(word[0]);
    if (w->count == 2 && strcmp(word[1], "--help") == 0)
        return help_one(word[0]);
    return shell_ask(&s->shell, w->count, word, (int[3]){in, STDOUT_FILENO, STDERR_FILENO});
}

static void run_line(struct session *s, const char *line, size_t len, int in)
{
    struct words w;
    struct err *e = words_split(line, len, &w);
    if (e) {
        s->status = cli_report(e);
        return;
    }
    if (w.count)
        s->status = run_words(s, &w, in);
    fflush(stdout);
    words_free(&w);
}

/* ---- lines ---- */

enum line_end { LINE_WHOLE, LINE_TOO_LONG, LINE_NO_MORE };

static enum line_end read_line(char line[WORDS_LINE_BYTES_MAX], size_t *len)
{
    bool any = false, too_long = false;
    *len = 0;
    for (;;) {
        char c;
        ssize_t n = read(STDIN_FILENO, &c, 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0 && !any)
            return LINE_NO_MORE;
        if (n <= 0 || c == '\n')
            break;
        any = true;
        too_long |= *len == WORDS_LINE_BYTES_MAX;
        if (!too_long)
            line[(*len)++] = c;
    }
    if (*len && line[*len - 1] == '\r')
        (*len)--;
    return too_long ? LINE_TOO_LONG : LINE_WHOLE;
}

static void prompt(const struct session *s)
{
    char name[65] = "";
    if (!s->terminal)
        return;
    if (gethostname(name, sizeof name - 1) != 0 || !name[0])
        snprintf(name, sizeof name, "penstock");
    text_print(stdout, name);
    fputs("> ", stdout);
    fflush(stdout);
}

/* Returns at the end of the input, or by exit. */
static void run_lines(struct session *s)
{
    char *line = xmalloc(WORDS_LINE_BYTES_MAX);
    size_t len;
    int in = s->terminal ? STDIN_FILENO : open("/dev/null", O_RDONLY | O_CLOEXEC);
    signal(SIGINT, SIG_IGN);
    signal(SIGQUIT, SIG_IGN);
    signal(SIGTSTP, SIG_IGN);
    if (s->terminal)
        puts("Penstock. help lists the commands, exit ends the session.");
    while (!s->leaving) {
        prompt(s);
        enum line_end end = read_line(line, &len);
        if (end == LINE_NO_MORE)
            break;
        if (end == LINE_TOO_LONG) {
            fprintf(stderr, "penstock: the line is longer than %d bytes\n", WORDS_LINE_BYTES_MAX);
            s->status = EXIT_USAGE;
            continue;
        }
        run_line(s, line, len, in);
    }
    if (s->terminal && !s->leaving)
        putchar('\n');
    free(line);
}

static int usage(void)
{
    fputs("usage: penstock shell [--control SOCKET] [-c COMMAND]\n"
          "  the commands of a Penstock box, as an SSH session gets them\n",
          stderr);
    return EXIT_USAGE;
}

int cmd_shell(int argc, char **argv)
{
    struct session s = {.shell = {BOX_CONTROL_SHELL}};
    const char *command = NULL;
    for (int i = 1; i < argc; i += 2) {
        if (i + 1 == argc)
            return usage();
        if (strcmp(argv[i], "-c") == 0)
            command = argv[i + 1];
        else if (strcmp(argv[i], "--control") == 0)
            s.shell.socket = argv[i + 1];
        else
            return usage();
    }
    s.lines = !command;
    s.terminal = s.lines && isatty(STDIN_FILENO);
    if (command)
        run_line(&s, command, strlen(command), STDIN_FILENO);
    else
        run_lines(&s);
    return s.status;
}
