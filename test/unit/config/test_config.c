/* penstock.yaml: what is read, what is refused and with which words. */
#include "test.h"

#include "config/config.h"

#include <unistd.h>

static char dir[] = "/tmp/penstock-config-XXXXXX";

static const char *write_file(const char *name, const char *text)
{
    static char path[256];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    FILE *f = fopen(path, "wb");
    CHECK(f != NULL);
    if (f) {
        fputs(text, f);
        fclose(f);
    }
    return path;
}

static struct config *load(const char *text)
{
    struct config *c = NULL;
    struct err *e = config_load(write_file("penstock.yaml", text), true, &c);
    char *message = e ? err_text(e) : NULL;
    if (message)
        printf("# unexpected: %s\n", message);
    CHECK(e == NULL);
    free(message);
    err_free(e);
    return c;
}

/* The errors with the folder's name cut out. */
static void check_errors(const char *text, const char *want)
{
    struct config *c = NULL;
    struct err *e = config_load(write_file("penstock.yaml", text), true, &c);
    char *got = e ? err_text(e) : strdup("no error");
    char *out = calloc(1, strlen(got) + 1), *o = out;
    for (const char *s = got; *s;) {
        if (strncmp(s, dir, strlen(dir)) == 0)
            s += strlen(dir) + 1;
        else
            *o++ = *s++;
    }
    CHECK_STR(out, want);
    free(out);
    free(got);
    err_free(e);
    config_free(c);
}

static void defaults(void)
{
    struct config *c = load("penstock: 1\n");
    CHECK_STR(c->listen_host, "0.0.0.0");
    CHECK(c->listen_port == 8443);
    CHECK_STR(c->grpc_host, "0.0.0.0");
    CHECK(c->grpc_port == 9443 && c->grpc_optional);
    CHECK(c->anonymous == ACCESS_NONE);
    CHECK(c->shards.is_auto && c->serve.is_auto);
    CHECK(c->epoch_us == 5000 && c->checkpoint_us == 1000000 && c->checkpoint_bytes == 128 << 20);
    CHECK(c->change_log_us == 600000000 && c->change_log_rows == 100000);
    CHECK(c->limits.scan_rows == 100000 && c->limits.page_rows == 100000 && c->limits.connections == 10000);
    CHECK(c->limits.header_bytes == 16384 && c->limits.body_bytes == 1 << 20);
    CHECK(c->limits.idle_timeout_us == 60000000 && c->limits.header_timeout_us == 10000000 &&
          c->limits.body_timeout_us == 20000000);
    CHECK(c->limits.live_queue_bytes == 1 << 20 && c->limits.subscribers == 10000);
    CHECK(c->limits.target_bytes == 8192 && c->limits.answer_bytes == 64 << 20);
    CHECK(c->limits.pending_bytes == 256 << 20 && c->limits.live_changes == 100000);
    CHECK(c->limits.write_timeout_us == 30000000 && c->limits.wait_us == 5000000);
    CHECK(c->limits.heartbeat_us == 15000000);
    CHECK(c->certificate == NULL && c->key == NULL);
    CHECK(strstr(c->store_path, "/./data") != NULL);
    config_free(c);
}

static void everything(void)
{
    write_file("views.sql", "CREATE VIEW v AS SELECT 1;\n");
    setenv("PENSTOCK_TEST_PASSWORD", "hunter2", 1);
    struct config *c =
        load("penstock: 1\n"
             "sources:\n"
             "  core:\n"
             "    postgres:\n"
             "      password: ${PENSTOCK_TEST_PASSWORD}\n"
             "      note: ${PENSTOCK_TEST_NOTHING:-fallback}-$${x}\n"
             "  demo:\n"
             "    generator: { workload: bank }\n"
             "sql:\n"
             "  - views.sql\n"
             "  - |\n"
             "    CREATE VIEW w AS\n"
             "      SELECT 2;\n"
             "apis:\n"
             "  balances:\n"
             "  customers/top: { view: top_customers, key: [a, b], references: { a: balances, pair: { "
             "columns: [b, a], api: "
             "customers/top } } }\n"
             "access: { anonymous: read }\n"
             "server: { listen: \"[::]:9000\", grpc: \"127.0.0.1:9001\", tls: { certificate: cert.pem, key: "
             "/k.pem } }\n"
             "cores: { shards: \"4-6,9\", serve: 3 }\n"
             "store: { path: /var/p, epoch: 10ms, checkpoint: 1m30s, checkpoint_bytes: 1GiB }\n"
             "limits: { page_rows: 7, body_bytes: 64KiB }\n");
    CHECK(c->source_count == 2);
    CHECK_STR(c->sources[0].name, "core");
    CHECK_STR(c->sources[0].kind, "postgres");
    CHECK_STR(yaml_get(c->sources[0].node, "password")->text, "hunter2");
    CHECK(yaml_get(c->sources[0].node, "password")->secret);
    CHECK_STR(yaml_get(c->sources[0].node, "note")->text, "fallback-${x}");
    CHECK(c->sql_count == 2);
    CHECK_STR(c->sql[0].text, "CREATE VIEW v AS SELECT 1;\n");
    CHECK(c->sql[0].first_line == 1 && c->sql[1].first_line == 12);
    CHECK_STR(c->sql[1].text, "CREATE VIEW w AS\n  SELECT 2;\n");
    CHECK(c->api_count == 2);
    CHECK_STR(c->apis[0].view, "balances");
    CHECK_STR(c->apis[1].path, "customers/top");
    CHECK_STR(c->apis[1].view, "top_customers");
    CHECK(c->apis[1].key_count == 2 && c->apis[0].reference_count == 0 && c->apis[1].reference_count == 2);
    const struct config_reference *references = c->apis[1].references;
    CHECK_STR(references[0].name, "a");
    CHECK_STR(references[0].api, "balances");
    CHECK(references[0].column_count == 1 && references[1].column_count == 2);
    CHECK_STR(references[0].columns[0], "a");
    CHECK_STR(references[1].api, "customers/top");
    CHECK_STR(references[1].columns[0], "b");
    CHECK(c->anonymous == ACCESS_READ);
    CHECK_STR(c->listen_host, "::");
    CHECK(c->listen_port == 9000);
    CHECK_STR(c->grpc_host, "127.0.0.1");
    CHECK(c->grpc_port == 9001 && !c->grpc_optional);
    CHECK(c->certificate && c->certificate[0] == '/' && strstr(c->certificate, "/cert.pem"));
    CHECK_STR(c->key, "/k.pem");
    CHECK(!c->shards.is_auto && c->shards.cpu_count == 4 && c->shards.cpus[3] == 9);
    CHECK(c->serve.count == 3 && c->serve.cpu_count == 0);
    CHECK_STR(c->store_path, "/var/p");
    CHECK(c->epoch_us == 10000 && c->checkpoint_us == 90000000 && c->checkpoint_bytes == 1 << 30);
    CHECK(c->limits.page_rows == 7 && c->limits.body_bytes == 65536);
    config_free(c);
}

static void without_secrets(void)
{
    unsetenv("PENSTOCK_TEST_UNSET");
    setenv("PENSTOCK_TEST_PORT", "7", 1);
    const char *path =
        write_file("penstock.yaml",
                   "penstock: 1\nsources: { a: { postgres: { password: \"${PENSTOCK_TEST_UNSET}\" } } }\n"
                   "server: { listen: \"0.0.0.0:${PENSTOCK_TEST_PORT}\" }\n");
    struct config *c = NULL;
    struct err *e = config_load(path, false, &c);
    CHECK(e == NULL);
    err_free(e);
    if (!c)
        return;
    CHECK_STR(yaml_get(c->sources[0].node, "password")->text, "${PENSTOCK_TEST_UNSET}");
    CHECK(c->listen_port == 7);
    config_free(c);
}

static void all_errors_at_once(void)
{
    check_errors(
        "penstock: 2\n"
        "sorces: {}\n"
        "store: { epoch: fast, checkpoint: 1s, pth: x }\n"
        "limits: { connections: 0, body_bytes: 9PB }\n",
        "penstock.yaml:1:11: penstock: expected 1, the only format of this file there is\n"
        "penstock.yaml:2:1: unknown key \"sorces\"\n"
        "  hint: did you mean sources?\n"
        "penstock.yaml:3:17: store.epoch: expected a duration such as 5ms, 1s, 10m or 30d, found \"fast\"\n"
        "penstock.yaml:3:39: store: unknown key \"pth\"\n"
        "  hint: did you mean path?\n"
        "penstock.yaml:4:24: limits.connections: expected a whole number from 1 to 1000000, found \"0\"\n"
        "penstock.yaml:4:39: limits.body_bytes: expected a size such as 16KiB, 64MiB or 1GB, found \"9PB\"");
}

static void wrong_values(void)
{
    check_errors("penstock: 1\n"
                 "access: { jwt: {}, roles: {}, ingest: read }\n"
                 "server: { grpc: nowhere }\n",
                 "penstock.yaml:2:39: access.ingest: expected none or write, found \"read\"\n"
                 "penstock.yaml:3:17: server.grpc: expected HOST:PORT such as 0.0.0.0:8443 or [::]:8443\n"
                 "penstock.yaml:2:16: access.jwt: expected jwks, the file with the provider's keys");
}

static void roles(void)
{
    check_errors(
        "penstock: 1\n"
        "apis: { a: { view: v }, b/c: { view: v } }\n"
        "access:\n"
        "  anonymous: read\n"
        "  roles:\n"
        "    r: { a: read, b: read, \"*\": write, b/c: { rows: [1], columns: [x, x] } }\n"
        "    anonymous: { a: read }\n"
        "    \"two words\": { a: read }\n"
        "  jwt: { jwks: k.json, algorithms: [RS256, none] }\n"
        "  certificates: { \"CN=a\": rr, b: r }\n"
        "  admin: [r, s]\n",
        "penstock.yaml:6:33: access.roles.r.*: expected read, or { rows: \"CONDITION\", columns: [names], "
        "why: true }\n"
        "penstock.yaml:6:53: access.roles.r.b/c.rows: expected text, found a list\n"
        "penstock.yaml:6:71: access.roles.r.b/c.columns: \"x\" is named twice\n"
        "penstock.yaml:8:5: access.roles: \"two words\" is not a role's name: up to 128 characters, without "
        "blanks, quotes and backslashes\n"
        "penstock.yaml:10:31: access.certificates: \"b\": expected \"CN=NAME\", \"dns:NAME\", \"uri:URI\", "
        "\"email:ADDRESS\" or \"subject:WHOLE SUBJECT\"\n"
        "penstock.yaml:9:44: access.jwt.algorithms: expected RS256, ES256, EdDSA or HS256\n"
        "penstock.yaml:6:19: access.roles.r: no api \"b\" is published\n"
        "  hint: name one that stands under apis, or \"*\" for all others\n"
        "penstock.yaml:7:5: access.roles.anonymous says what everybody may see, and access.anonymous: read "
        "says everything; leave one away\n"
        "penstock.yaml:11:14: access.admin: there is no role \"s\"\n"
        "  hint: a role is made by naming it under access.roles\n"
        "penstock.yaml:10:19: access.certificates: there is no role \"rr\"\n"
        "  hint: a role is made by naming it under access.roles");
}

static void bad_references(void)
{
    check_errors(
        "penstock: 1\n"
        "sources: { Core: { postgres: {} }, two: { a: 1, b: 2 } }\n"
        "sql: [ missing.sql ]\n"
        "apis:\n"
        "  /x:\n"
        "  v1/a:\n"
        "  a/b:\n"
        "  c: { veiw: d }\n",
        "penstock.yaml:2:12: sources: \"Core\" is not a name: small letters, digits and underscores, as in "
        "SQL\n"
        "penstock.yaml:2:41: sources.two: expected exactly one kind of source, such as postgres: {...}\n"
        "penstock.yaml:3:8: sql: cannot read missing.sql: No such file or directory\n"
        "penstock.yaml:5:3: apis: \"/x\" is not a path: expected names of letters, digits, _ and - with / "
        "between "
        "them, the first not v1, v2, ...\n"
        "penstock.yaml:6:3: apis: \"v1/a\" is not a path: expected names of letters, digits, _ and - with / "
        "between "
        "them, the first not v1, v2, ...\n"
        "penstock.yaml:7:3: apis.a/b: expected { view: NAME }, for a path with / is not a view's name\n"
        "penstock.yaml:8:8: apis.c: unknown key \"veiw\"\n"
        "  hint: did you mean view?");
}

static void yaml_itself(void)
{
    check_errors("a: [1, 2\n", "penstock.yaml:2:1: did not find expected ',' or ']'");
    check_errors("", "penstock.yaml:1:1: the file is empty");
    check_errors("a: &x 1\nb: *x\n",
                 "penstock.yaml:2:4: anchors and aliases (&name, *name) are not supported");
    check_errors("penstock: 1\npenstock: 1\n",
                 "penstock.yaml:2:1: \"penstock\" is given twice, first on line 1");
    check_errors("penstock: 1\n---\npenstock: 1\n", "penstock.yaml:2:1: one file holds one document");
    check_errors("- 1\n", "penstock.yaml:1:1: the file: expected a mapping of keys to values");
}

static void variables(void)
{
    check_errors("penstock: 1\nstore: { path: \"${PENSTOCK_TEST_UNSET}\" }\n",
                 "penstock.yaml:2:16: the environment variable PENSTOCK_TEST_UNSET is not set\n"
                 "  hint: set it, or write ${PENSTOCK_TEST_UNSET:-default}\n"
                 "penstock.yaml:2:16: store.path: expected a path, found nothing");
    setenv("PENSTOCK_TEST_PASSWORD", "hunter2", 1);
    check_errors("penstock: 1\nstore: { epoch: \"${PENSTOCK_TEST_PASSWORD}\" }\n",
                 "penstock.yaml:2:17: store.epoch: expected a duration such as 5ms, 1s, 10m or 30d (the "
                 "value comes from a "
                 "variable and is not shown)");
    write_file("secret", "from a file\n");
    struct config *c = load("penstock: 1\nstore: { path: \"/${file:secret}\" }\n");
    CHECK_STR(c->store_path, "/from a file");
    config_free(c);
}

static void core_lists(void)
{
    const char *bad[] = {"4-", "7-4", "1,1", "0", "x", "4000-5000", "-1", "1,,2"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char text[128];
        snprintf(text, sizeof(text), "penstock: 1\ncores: { shards: \"%s\" }\n", bad[i]);
        check_errors(text, "penstock.yaml:2:18: cores.shards: expected auto, a count from 1 to 1024, or a "
                           "list of cores such "
                           "as 4-31,36-63");
    }
}

static void depth_limit(void)
{
    char text[512] = "";
    for (int i = 0; i < YAML_DEPTH_MAX + 1; i++)
        strcat(text, "[");
    check_errors(text, "penstock.yaml:1:65: nested more than 64 levels deep");
}

static void documentation(void)
{
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);
    config_doc_write(f);
    fclose(f);
    CHECK(strstr(text, "| `store.epoch` | duration | 5ms | 100us to 10s |") != NULL);
    free(text);
}

int main(void)
{
    if (!mkdtemp(dir))
        return 1;
    RUN(defaults);
    RUN(everything);
    RUN(without_secrets);
    RUN(all_errors_at_once);
    RUN(wrong_values);
    RUN(roles);
    RUN(bad_references);
    RUN(yaml_itself);
    RUN(variables);
    RUN(core_lists);
    RUN(depth_limit);
    RUN(documentation);
    TEST_END();
}
