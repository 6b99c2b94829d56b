/* `penstock token create|list|revoke`: access tokens of our own, in the data directory. The server takes up a change by itself,
 * running or not. */
#include "cli/cli.h"
#include "cli/instance.h"

#include "base/clock.h"
#include "base/nearest.h"
#include "base/text.h"
#include "config/config.h"
#include "serve/out.h"
#include "store/audit.h"
#include "store/token_file.h"

#include <errno.h>
#include <mbedtls/platform_util.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

/* ---- create ---- */

static struct err *parse_ttl(const char *text, int64_t now_s, int64_t *expires_s)
{
    struct yaml_node n = {
        .kind = YAML_SCALAR, .text = text ? text : "", .plain = true, .file = "the command line"};
    int64_t us;
    *expires_s = INT64_MAX;
    if (!text)
        return NULL;
    struct err *e = yaml_duration_us(&n, "--ttl", &us);
    err_free(e);
    if (e || us < 1000000)
        return err_hint(err_new(ERR_CONFIG, "--ttl: expected a duration of a second or more"),
                        "such as 30d, 12h or 90m");
    *expires_s = now_s + us / 1000000;
    return NULL;
}

static struct err *known_role(const struct config *c, const char *role)
{
    struct nearest near;
    if (!role)
        return err_hint(err_new(ERR_CONFIG, "token create: expected --role ROLE"),
                        "one of those under access.roles in %s", c->file);
    nearest_init(&near, role);
    for (uint32_t i = 0; i < c->access.role_count; i++) {
        if (strcmp(c->access.roles[i].name, role) == 0)
            return NULL;
        nearest_offer(&near, c->access.roles[i].name);
    }
    struct err *e = err_new(ERR_CONFIG, "there is no role '%.*s' in %s", TEXT_QUOTED_CSTR(role, 60), c->file);
    return near.best ? err_hint(e, "did you mean '%s'?", near.best)
                     : err_hint(e, "a role is made by naming it under access.roles");
}

static struct err *add_claim(struct token_file *f, struct token *t, const char *text)
{
    const char *eq = strchr(text, '=');
    if (!eq || eq == text || strlen(eq + 1) > TOKEN_CLAIM_BYTES_MAX ||
        (size_t)(eq - text) > TOKEN_CLAIM_BYTES_MAX)
        return err_new(ERR_CONFIG, "--claim: expected NAME=VALUE, each of at most %d bytes",
                       TOKEN_CLAIM_BYTES_MAX);
    if (!utf8_valid((const uint8_t *)text, strlen(text)))
        return err_new(ERR_CONFIG, "--claim: not UTF-8");
    const char *name = arena_strndup(&f->arena, text, (size_t)(eq - text));
    for (uint32_t i = 0; i < t->claim_count; i++)
        if (strcmp(t->claims[i].name, name) == 0)
            return err_new(ERR_CONFIG, "--claim: %.*s is given twice", TEXT_QUOTED_CSTR(name, 60));
    if (t->claim_count == TOKEN_CLAIMS_MAX)
        return err_new(ERR_LIMIT, "--claim: at most %d are possible", TOKEN_CLAIMS_MAX);
    t->claims[t->claim_count++] = (struct token_claim){name, arena_strdup(&f->arena, eq + 1)};
    return NULL;
}

/* Those that have expired are of no use to anybody, and the file has a limit. */
static void drop_expired(struct token_file *f, int64_t now_s)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < f->token_count; i++)
        if (f->tokens[i].expires_s > now_s)
            f->tokens[kept++] = f->tokens[i];
    f->token_count = kept;
}

static struct err *fill(const struct cli_args *a, struct token_file *f, struct token *t)
{
    const char *name = a->name ? a->name : "";
    if (strlen(name) > TOKEN_NAME_BYTES_MAX || !utf8_valid((const uint8_t *)name, strlen(name)))
        return err_new(ERR_CONFIG, "--name: expected at most %d bytes of UTF-8", TOKEN_NAME_BYTES_MAX);
    *t = (struct token){.id = f->next_id++, .role = a->role, .name = name, .created_s = unix_us() / 1000000};
    t->claims = ARENA_ARRAY(&f->arena, struct token_claim, TOKEN_CLAIMS_MAX);
    for (uint32_t i = 0; i < a->claim_count; i++)
        TRY(add_claim(f, t, a->claims[i]));
    return parse_ttl(a->ttl, t->created_s, &t->expires_s);
}

static void print_date(int64_t unix_s, FILE *to)
{
    char text[32] = "never";
    time_t t = (time_t)unix_s;
    struct tm tm;
    if (unix_s != INT64_MAX && gmtime_r(&t, &tm))
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);
    fputs(text, to);
}

static void audit(const char *dir, const char *event, const struct token *t)
{
    char id[24];
    snprintf(id, sizeof id, "%llu", (unsigned long long)t->id);
    const struct audit_pair pairs[] = {{"token", id}, {"role", t->role}, {"name", t->name}};
    audit_command(dir, event, pairs, ARRAY_COUNT(pairs));
}

/* On standard output the token alone, so that it can be caught; the rest is said beside it. */
static struct err *create_in(const struct cli_args *a, const char *dir, struct token_file *f)
{
    char text[TOKEN_TEXT_BYTES + 1];
    drop_expired(f, unix_us() / 1000000);
    if (f->token_count >= TOKENS_MAX)
        return err_hint(err_new(ERR_LIMIT, "there are %d tokens, which is the most", TOKENS_MAX),
                        "penstock token revoke ID, for those that are not needed");
    struct token *t = &f->tokens[f->token_count];
    TRY(fill(a, f, t));
    TRY(token_make(text, t->hash));
    f->token_count++;
    struct err *e = token_file_save(f, dir);
    if (!e) {
        audit(dir, "token.created", t);
        puts(text);
        fprintf(stderr, "token %llu of role %s, expires: ", (unsigned long long)t->id, t->role);
        print_date(t->expires_s, stderr);
        fputs("; it is not shown again\n", stderr);
    }
    mbedtls_platform_zeroize(text, sizeof text);
    return e;
}

/* ---- list, revoke ---- */

static void print_json(const struct token *t, struct buf *b)
{
    buf_printf(b, "{\"id\":%llu,\"role\":", (unsigned long long)t->id);
    out_json_cstr(b, t->role);
    OUT_LIT(b, ",\"name\":");
    out_json_cstr(b, t->name);
    OUT_LIT(b, ",\"claims\":{");
    for (uint32_t i = 0; i < t->claim_count; i++) {
        if (i)
            OUT_LIT(b, ",");
        out_json_cstr(b, t->claims[i].name);
        OUT_LIT(b, ":");
        out_json_cstr(b, t->claims[i].value);
    }
    buf_printf(b, "},\"created\":%lld,\"expires\":", (long long)t->created_s);
    if (t->expires_s == INT64_MAX)
        OUT_LIT(b, "null}");
    else
        buf_printf(b, "%lld}", (long long)t->expires_s);
}

static void list_json(const struct token_file *f)
{
    struct buf b = {0};
    OUT_LIT(&b, "[");
    for (uint32_t i = 0; i < f->token_count; i++) {
        if (i)
            OUT_LIT(&b, ",");
        print_json(&f->tokens[i], &b);
    }
    OUT_LIT(&b, "]\n");
    fwrite(b.p, 1, b.len, stdout);
    buf_fini(&b);
}

static void list_text(const struct token_file *f)
{
    int64_t now_s = unix_us() / 1000000;
    if (!f->token_count)
        puts("no tokens");
    for (uint32_t i = 0; i < f->token_count; i++) {
        const struct token *t = &f->tokens[i];
        printf("%llu  role ", (unsigned long long)t->id);
        text_print(stdout, t->role);
        if (*t->name) {
            fputs("  name ", stdout);
            text_print(stdout, t->name);
        }
        for (uint32_t k = 0; k < t->claim_count; k++) {
            fputs("  ", stdout);
            text_print(stdout, t->claims[k].name);
            putchar('=');
            text_print(stdout, t->claims[k].value);
        }
        fputs(t->expires_s <= now_s ? "  expired " : "  expires ", stdout);
        print_date(t->expires_s, stdout);
        putchar('\n');
    }
}

static struct err *revoke_in(const struct cli_args *a, const char *dir, struct token_file *f)
{
    char *end;
    errno = 0;
    unsigned long long id = a->word_count == 2 ? strtoull(a->words[1], &end, 10) : 0;
    if (a->word_count != 2 || errno || *end || !id)
        return err_hint(err_new(ERR_CONFIG, "token revoke: expected the number of a token"),
                        "penstock token list shows them");
    for (uint32_t i = 0; i < f->token_count; i++) {
        if (f->tokens[i].id != id)
            continue;
        struct token gone = f->tokens[i];
        memmove(&f->tokens[i], &f->tokens[i + 1], (f->token_count - i - 1) * sizeof *f->tokens);
        f->token_count--;
        TRY(token_file_save(f, dir));
        audit(dir, "token.revoked", &gone);
        printf("token %llu is revoked\n", id);
        return NULL;
    }
    return err_hint(err_new(ERR_STATE, "there is no token %llu", id), "penstock token list shows them");
}

/* ---- together ---- */

static struct err *with_file(const struct cli_args *a, const char *dir)
{
    const char *what = a->words[0];
    struct token_file *f = NULL;
    bool create = strcmp(what, "create") == 0, revoke = strcmp(what, "revoke") == 0;
    if (mkdir(dir, 0700) != 0 && errno != EEXIST)
        return err_errno(ERR_IO, "cannot make the data directory %s", dir);
    if (create || revoke)
        TRY(token_file_lock(dir));
    struct err *e = token_file_load(dir, &f);
    if (!e && create)
        e = create_in(a, dir, f);
    else if (!e && revoke)
        e = revoke_in(a, dir, f);
    else if (!e && a->json)
        list_json(f);
    else if (!e)
        list_text(f);
    token_file_free(f);
    return e;
}

static struct err *run(const struct cli_args *a)
{
    static const char *const known[] = {"create", "list", "revoke"};
    struct config *c = NULL;
    char *dir = NULL;
    bool ok = false;
    for (size_t i = 0; a->word_count && i < ARRAY_COUNT(known); i++)
        ok |= strcmp(a->words[0], known[i]) == 0;
    if (!ok || (a->word_count == 2 && strcmp(a->words[0], "revoke") != 0))
        return err_hint(err_new(ERR_CONFIG, "expected penstock token create, list or revoke"),
                        "penstock token create --role ROLE --ttl 30d");
    if (strcmp(a->words[0], "create") == 0) {
        struct err *e = config_load(a->config, false, &c);
        if (!e)
            e = known_role(c, a->role);
        config_free(c);
        TRY(e);
    }
    TRY(instance_dir(a, &dir));
    struct err *e = with_file(a, dir);
    free(dir);
    return e;
}

int cmd_token(const struct cli_args *a)
{
    return cli_report(run(a));
}
