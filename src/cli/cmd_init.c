/* `penstock init [DIR]`: a penstock.yaml and a views.sql that run as they are, with every section explained. The source is
 * the generator, so that nothing else has to be there. `--from postgres URL`: those of a database's tables (init_from.h).
 * Existing files are never touched. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "cli/cli.h"
#include "cli/init_from.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char config_text[] =
    "# Penstock: live sources in, views kept up to date, REST out.\n"
    "#   penstock check    says whether this file is right, and what each API promises\n"
    "#   penstock run      starts everything\n"
    "#   curl -k 'https://localhost:8443/api/balances?order=balance.desc&limit=5'\n"
    "\n"
    "penstock: 1                 # format of this file\n"
    "\n"
    "sources:\n"
    "  # Made-up bank transfers, 1000 a second: no server needed. Tables: bank.accounts (id, owner, branch, "
    "opened)\n"
    "  # and bank.entries (id, account_id, amount, at).\n"
    "  bank:\n"
    "    generator: { workload: bank, rate: 1000, seed: 42, accounts: 1000 }\n"
    "\n"
    "  # A PostgreSQL database instead (wal_level = logical, a publication, a role with REPLICATION):\n"
    "  # core:\n"
    "  #   postgres:\n"
    "  #     url: postgresql://penstock@db.example.net/core?sslmode=verify-full\n"
    "  #     password: ${CORE_PASSWORD}     # or ${NAME:-default}, ${file:/run/secrets/core}\n"
    "  #     publication: penstock\n"
    "  #     slot: penstock\n"
    "  #     tables: [ accounts, entries ]  # default: every table of the publication\n"
    "  # `penstock init --from postgres URL DIR` writes all of this for the tables of a database.\n"
    "\n"
    "  # Rows that programs push: POST /ingest/events/clicks, one JSON object, an array or NDJSON.\n"
    "  # events:\n"
    "  #   ingest:\n"
    "  #     token: ${EVENTS_TOKEN}         # Authorization: Bearer ...; or access: { ingest: write }\n"
    "  #     tables: { clicks: { columns: { id: bigint, page: text, at: timestamptz }, key: [id] } }\n"
    "\n"
    "sql: [ views.sql ]          # files with CREATE VIEW, CREATE INDEX and COMMENT ON\n"
    "\n"
    "apis:                       # nothing is published unless it is named here\n"
    "  balances:\n"
    "  branches/top: { view: branch_totals }   # another path than the view's name\n"
    "\n"
    "access:\n"
    "  anonymous: read           # none: the APIs answer 401\n"
    "\n"
    "# Who can reach the APIs: \"0.0.0.0:8443\" is every network of this machine. Without tls a self-signed "
    "certificate is\n"
    "# made once and kept; with it: tls: { certificate: cert.pem, key: key.pem }\n"
    "server: { listen: \"127.0.0.1:8443\" }\n"
    "\n"
    "# How often a change becomes visible at most, and durable.\n"
    "store: { path: ./data, epoch: 5ms, checkpoint: 1s }\n";

static const char views_text[] =
    "-- Views in PostgreSQL's SQL. Each is kept up to date as its tables change; those named under `apis:` "
    "in\n"
    "-- penstock.yaml are served. `penstock explain` shows how.\n"
    "\n"
    "-- GET /api/balances/42 answers one row by its key, which follows from GROUP BY a.id.\n"
    "CREATE VIEW balances AS\n"
    "  SELECT a.id AS account_id, a.owner, a.branch, sum(e.amount) AS balance, max(e.at) AS last_entry\n"
    "  FROM bank.accounts a JOIN bank.entries e ON e.account_id = a.id\n"
    "  GROUP BY a.id;\n"
    "\n"
    "-- GET /api/balances?branch=eq.12&order=balance.desc is served by an index.\n"
    "CREATE INDEX ON balances (branch, balance DESC);\n"
    "CREATE INDEX ON balances (balance DESC);\n"
    "\n"
    "-- Comments go into the OpenAPI document (GET /api/).\n"
    "COMMENT ON VIEW balances IS 'What each account holds';\n"
    "COMMENT ON COLUMN balances.balance IS 'Sum of all posted entries, in the account currency';\n"
    "\n"
    "-- A view may read other views.\n"
    "CREATE VIEW branch_totals AS\n"
    "  SELECT branch, count(*) AS accounts, sum(balance) AS balance\n"
    "  FROM balances\n"
    "  GROUP BY branch;\n"
    "COMMENT ON VIEW branch_totals IS 'What the accounts of each branch hold together';\n";

struct file {
    const char *name, *text;
};

static struct err *refuse_existing(const char *dir, const struct file *files, size_t count)
{
    struct err *errors = NULL;
    for (size_t i = 0; i < count; i++) {
        char *path = xprintf("%s/%s", dir, files[i].name);
        if (access(path, F_OK) == 0)
            err_append(&errors,
                       err_hint(err_new(ERR_STATE, "%s is there already", path), "it is never overwritten"));
        free(path);
    }
    return errors;
}

static struct err *write_file(const char *dir, const char *name, const char *text)
{
    char *path = xprintf("%s/%s", dir, name);
    struct err *e = NULL;
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    size_t len = strlen(text);
    if (fd < 0 || write(fd, text, len) != (ssize_t)len)
        e = err_errno(ERR_IO, "cannot write %s", path);
    if (fd >= 0)
        close(fd);
    free(path);
    return e;
}

static struct err *write_files(const char *dir, const struct file *files, size_t count)
{
    if (mkdir(dir, 0755) != 0 && errno != EEXIST)
        return err_errno(ERR_IO, "cannot make %s", dir);
    TRY(refuse_existing(dir, files, count));
    for (size_t i = 0; i < count; i++)
        TRY(write_file(dir, files[i].name, files[i].text));
    return NULL;
}

/* ---- from a database ---- */

static const char *text_of(struct buf *b)
{
    buf_put_u8(b, 0);
    return (const char *)b->p;
}

static void next_steps(const char *dir, const struct draft *d, bool sql)
{
    uint32_t taken = 0;
    for (uint32_t i = 0; i < d->table_count; i++)
        taken += !d->tables[i].why;
    printf("wrote %s/penstock.yaml and %s/views.sql: %u of %u tables of %s\n", dir, dir, taken,
           d->table_count + d->left_count, d->conf.database);
    for (uint32_t i = 0; i < d->table_count; i++)
        if (d->tables[i].why)
            printf("  left out: %s\n", d->tables[i].why);
    puts("\nnext:");
    if (strcmp(dir, ".") != 0)
        printf("  cd %s\n", dir);
    if (sql)
        puts("  have server.sql run on the server, by an administrator");
    if (d->has_password)
        printf("  export %s=...       # the password: it is not in the files\n", d->secret);
    puts("  penstock check\n  penstock run");
}

static struct err *write_draft(const struct draft *d, const char *dir)
{
    struct buf yaml = {0}, views = {0}, sql = {0};
    draft_yaml(d, &yaml);
    draft_views(d, &views);
    draft_server_sql(d, &sql);
    bool has_sql = sql.len > 0;
    const struct file files[] = {
        {"penstock.yaml", text_of(&yaml)}, {"views.sql", text_of(&views)}, {"server.sql", text_of(&sql)}};
    struct err *e = write_files(dir, files, has_sql ? 3 : 2);
    if (!e)
        next_steps(dir, d, has_sql);
    buf_fini(&yaml);
    buf_fini(&views);
    buf_fini(&sql);
    return e;
}

static struct err *init_from(const char *url, const char *dir)
{
    static const struct file files[] = {{"penstock.yaml", NULL}, {"views.sql", NULL}, {"server.sql", NULL}};
    struct arena arena;
    struct draft draft;
    TRY(refuse_existing(dir, files, ARRAY_COUNT(files)));
    arena_init(&arena);
    struct err *e = draft_read(&arena, url, &draft);
    if (!e)
        e = write_draft(&draft, dir);
    arena_fini(&arena);
    return e;
}

static struct err *init_made_up(const char *dir)
{
    static const struct file files[] = {{"penstock.yaml", config_text}, {"views.sql", views_text}};
    TRY(write_files(dir, files, ARRAY_COUNT(files)));
    printf("wrote %s/penstock.yaml and %s/views.sql\n\nnext:\n", dir, dir);
    if (strcmp(dir, ".") != 0)
        printf("  cd %s\n", dir);
    puts("  penstock check\n"
         "  penstock run\n"
         "  curl -k 'https://localhost:8443/api/balances?order=balance.desc&limit=5'");
    return NULL;
}

static int wrong(const char *message)
{
    fprintf(stderr,
            "penstock: %s\n"
            "  hint: penstock init --from postgres postgresql://USER:PASSWORD@HOST/DATABASE [DIR]\n",
            message);
    return EXIT_USAGE;
}

int cmd_init(const struct cli_args *a)
{
    if (!a->from && a->word_count > 1)
        return wrong("init takes one directory");
    if (!a->from)
        return cli_report(init_made_up(a->word_count ? a->words[0] : "."));
    if (strcmp(a->from, "postgres") != 0)
        return wrong("--from: expected postgres");
    if (a->word_count == 0)
        return wrong("--from postgres: the database's address is missing");
    return cli_report(init_from(a->words[0], a->word_count > 1 ? a->words[1] : "."));
}
