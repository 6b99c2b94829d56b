/* The provisioning folder: checked whole, taken whole, removed; power cut at every step that changes a disk; hostile folders; certificates
 * and factory reset. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "test/unit/box/owner_keys.h"
#include "test/unit/remove_tree.h"
#include "test/unit/test.h"

#include "box/admin.h"
#include "box/box.h"
#include "box/bundle.h"
#include "box/certificate.h"
#include "box/identity.h"
#include "box/provision.h"
#include "box/reset.h"
#include "box/tar.h"
#include "store/small_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- the power: the calls that change what lasts are counted, and the process ends before number `cut` ---- */

static int cut, steps;

static void step(void)
{
    if (cut && ++steps == cut)
        _exit(9);
}

int rename(const char *from, const char *to)
{
    step();
    return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
    step();
    return (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, 0);
}

int unlink(const char *path)
{
    step();
    return (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
}

int unlinkat(int dir, const char *path, int flags)
{
    step();
    return (int)syscall(SYS_unlinkat, dir, path, flags);
}

int fsync(int fd)
{
    step();
    (void)fd; /* the machine's power stays */
    return 0;
}

int syncfs(int fd)
{
    (void)fd;
    step();
    return 0;
}

/* ---- */

static char root[] = "/tmp/penstock-provision-XXXXXX";
static struct certificate_names names = {2, {"edge-1", "192.0.2.1"}};

static bool done(struct err *e)
{
    if (e)
        err_print(stdout, e);
    err_free(e);
    return !e;
}

static const char *at(const char *path)
{
    static char full[8][300];
    static int turn;
    turn = (turn + 1) % 8;
    snprintf(full[turn], sizeof full[turn], "%s%s", root, path);
    return full[turn];
}

static void put(const char *path, const void *p, size_t len)
{
    int fd = open(at(path), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    CHECK(fd >= 0 && write(fd, p, len) == (ssize_t)len);
    close(fd);
}

static void put_text(const char *path, const char *text)
{
    put(path, text, strlen(text));
}

static bool has(const char *path, const char *want)
{
    char *text;
    size_t len;
    if (!done(small_file_read(at(path), 1 << 20, &text, &len)) || !text)
        return false;
    bool same = strstr(text, want) != NULL;
    free(text);
    return same;
}

static bool is_there(const char *path)
{
    return access(at(path), F_OK) == 0;
}

static void fresh(void)
{
    static const char *const dirs[] = {"",     "/data", BOX_DIR, BOX_STORE,      "/data/config",
                                       "/run", BOX_RUN, "/esp",  "/esp/penstock"};
    remove_tree(root);
    for (size_t i = 0; i < ARRAY_COUNT(dirs); i++)
        CHECK(mkdir(at(dirs[i]), 0700) == 0);
}

#define BOX_TEXT "box: 1\nhostname: edge-1\n"

static struct buf pair;

static void put_folder(void)
{
    put_text("/esp/penstock/box.yaml", BOX_TEXT);
    put_text("/esp/penstock/authorized_keys", ED25519);
    put_text("/esp/penstock/penstock.yaml", "penstock: 1\n");
    CHECK(mkdir(at("/esp/penstock/sql"), 0700) == 0);
    put_text("/esp/penstock/sql/views.sql", "CREATE VIEW v AS SELECT 1;\n");
    put("/esp/penstock/certificate.pem", pair.p, pair.len);
    put("/esp/penstock/key.pem", pair.p, pair.len);
}

static struct err *refuse(void *arg, const char *dir)
{
    char *path = xprintf("%s/sql/views.sql", dir);
    CHECK(access(path, R_OK) == 0); /* it is looked at as it will lie */
    free(path);
    return *(bool *)arg ? err_new(ERR_CONFIG, "the configuration is wrong") : NULL;
}

static bool wrong_config;

static struct err *take(bool remove, struct buf *said)
{
    struct provision p = {.root = root, .remove = remove, .check = refuse, .arg = &wrong_config};
    buf_reset(said);
    struct err *e = provision_take(&p, at("/esp/penstock"), said);
    buf_put_u8(said, 0);
    return e;
}

static bool all_taken(void)
{
    return has(BOX_SETTINGS, "edge-1") && has(BOX_SSH_KEYS, "ssh-ed25519") && has(BOX_YAML, "penstock: 1") &&
           has(BOX_CONFIG "/sql/views.sql", "CREATE") && has(BOX_DIR "/tls/pair.pem", "BEGIN CERT") &&
           !is_there(BOX_CLAIM) && !is_there("/data/provision.ready") && !is_there("/data/provision.new");
}

static bool nothing_taken(void)
{
    return !is_there(BOX_SETTINGS) && !is_there(BOX_SSH_KEYS) && !is_there(BOX_YAML) &&
           !is_there(BOX_DIR "/tls/pair.pem");
}

static bool folder_is_empty(void)
{
    return !is_there("/esp/penstock/box.yaml") && !is_there("/esp/penstock/sql") &&
           !is_there("/esp/penstock/key.pem") && !is_there("/esp/penstock/authorized_keys");
}

static void a_folder_is_taken_whole_and_removed(void)
{
    struct buf said = {0};
    char code[ADMIN_CODE_BYTES];
    struct stat st;
    fresh();
    put_folder();
    CHECK(done(admin_code(root, code)));
    CHECK(done(take(true, &said)));
    CHECK(all_taken() && folder_is_empty() && admin_is_claimed(root));
    CHECK(strstr((char *)said.p, "the box is claimed") != NULL);
    CHECK(has("/esp/penstock/penstock-result.txt",
              "taken: box.yaml authorized_keys certificate configuration"));
    CHECK(stat(at(BOX_DIR "/tls/pair.pem"), &st) == 0 && (st.st_mode & 0777) == 0600);
    /* The same folder once more, as on a stick that stays: nothing to do. Another one: refused. */
    put_text("/esp/penstock/box.yaml", BOX_TEXT);
    CHECK(done(take(false, &said)) && strstr((char *)said.p, "taken before"));
    put_text("/esp/penstock/box.yaml", "box: 1\nhostname: mine\n");
    struct err *e = take(true, &said);
    CHECK(e && e->code == ERR_STATE);
    err_free(e);
    CHECK(has(BOX_SETTINGS, "edge-1") && has("/esp/penstock/penstock-result.txt", "refused"));
    buf_fini(&said);
}

static void half_of_a_wrong_folder_is_never_used(void)
{
    static const struct {
        const char *path, *text;
    } wrong[] = {
        {"box.yaml", "box: 1\nhostnam: x\n"},
        {"authorized_keys", "command=\"sh\" " ED25519},
        {"authorized_keys", "# none\n"},
        {"key.pem", "none"},
        {"certificate.pem", "none"},
        {"keys/a.pub", "penstock-key-1 AAAA\n"},
        {"keys/readme", "text"},
        {"bundle.pconfig", "PNSTKBDL"},
        {"../penstock/sql/\x01", "a name"},
    };
    struct buf said = {0};
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        char path[100];
        fresh();
        put_folder();
        mkdir(at("/esp/penstock/keys"), 0700);
        snprintf(path, sizeof path, "/esp/penstock/%s", wrong[i].path);
        put_text(path, wrong[i].text);
        struct err *e = take(true, &said);
        CHECK(e != NULL && nothing_taken() && is_there("/esp/penstock/key.pem"));
        CHECK(has("/esp/penstock/penstock-result.txt", "refused, nothing of it is used"));
        err_free(e);
    }
    fresh();
    put_folder();
    wrong_config = true;
    struct err *e = take(true, &said);
    CHECK(e != NULL && nothing_taken());
    err_free(e);
    wrong_config = false;
    fresh();
    put_text("/esp/penstock/authorised_keys", ED25519); /* a slip of the pen is told, not passed over */
    e = take(true, &said);
    CHECK(e && strstr(e->message, "authorised_keys") && nothing_taken());
    err_free(e);
    fresh();
    CHECK(done(take(true, &said)) && nothing_taken());
    buf_fini(&said);
}

static void what_is_no_plain_file_is_refused(void)
{
    struct buf said = {0};
    fresh();
    put_folder();
    CHECK(symlink("/etc/passwd", at("/esp/penstock/secret")) == 0);
    struct err *e = take(true, &said);
    CHECK(e != NULL && nothing_taken());
    err_free(e);
    unlink(at("/esp/penstock/secret"));
    CHECK(mkfifo(at("/esp/penstock/fifo"), 0600) == 0);
    e = take(true, &said);
    CHECK(e != NULL && nothing_taken());
    err_free(e);
    unlink(at("/esp/penstock/fifo"));
    int fd = open(at("/esp/penstock/huge"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    CHECK(fd >= 0 && ftruncate(fd, PROVISION_FILE_BYTES_MAX + 1) == 0);
    close(fd);
    e = take(true, &said);
    CHECK(e && e->code == ERR_LIMIT && nothing_taken());
    err_free(e);
    unlink(at("/esp/penstock/huge"));
    for (int i = 0; i < PROVISION_FILES_MAX; i++) {
        char path[60];
        snprintf(path, sizeof path, "/esp/penstock/f%d", i);
        put_text(path, "");
    }
    e = take(true, &said);
    CHECK(e && e->code == ERR_LIMIT && nothing_taken());
    err_free(e);
    buf_fini(&said);
}

/* A child that loses its power before step n; whether it came to its end. */
static bool lives_through(int n, struct err *(*run)(struct buf *))
{
    int status;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        struct buf said = {0};
        steps = 0;
        cut = n;
        struct err *e = run(&said);
        _exit(e ? 1 : 0);
    }
    CHECK(pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 9);
    return WEXITSTATUS(status) == 0;
}

static struct err *take_and_remove(struct buf *said)
{
    return take(true, said);
}

static void a_power_cut_at_any_step_leaves_all_or_nothing(void)
{
    bool whole = false;
    int n = 0, before = 0;
    while (!whole && n < 1000) {
        n++;
        fresh();
        put_folder();
        whole = lives_through(n, take_and_remove);
        if (!whole && !is_there("/data/provision.ready") && !is_there(BOX_DIR "/provisioned")) {
            CHECK(nothing_taken());
            before++;
        }
        /* The next start. */
        struct buf said = {0};
        bool some;
        CHECK(done(provision_finish(root, &some)));
        CHECK(nothing_taken() || all_taken() || is_there(BOX_SSH_KEYS));
        CHECK(done(take(true, &said)));
        if (!all_taken() || !folder_is_empty())
            printf("# cut before step %d\n", n);
        CHECK(all_taken() && folder_is_empty());
        buf_fini(&said);
    }
    printf("# %d steps, %d of them before it counts\n", n - 1, before);
    CHECK(whole && n > 20 && before > 5);
}

static void make_bundle(const char *key_path, const char *to)
{
    struct bundle_manifest m = {.kind = BUNDLE_CONFIG, .version = "1", .created = "2026-11-28T05:00:00Z"};
    struct bundle_secret secret;
    struct buf tar = {0};
    struct key k;
    if (!is_there(key_path))
        CHECK(done(key_create(at(key_path), "test", &k)));
    char *file = xprintf("%s.key", at(key_path));
    CHECK(done(key_load_secret(file, secret.key)));
    free(file);
    CHECK(done(tar_add(&tar, "penstock.yaml", "penstock: 1 # signed\n", 21)));
    CHECK(done(tar_add(&tar, "sql/views.sql", "-- signed\n", 10)));
    tar_end(&tar);
    int fds[2], out = open(at(to), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    CHECK(pipe(fds) == 0 && write(fds[1], tar.p, tar.len) == (ssize_t)tar.len);
    close(fds[1]);
    struct bundle_input in = bundle_input_fd(&fds[0]);
    CHECK(done(bundle_write(&m, &in, &secret, 1, out)));
    close(fds[0]);
    close(out);
    bundle_manifest_fini(&m);
    buf_fini(&tar);
}

static void a_claimed_box_takes_what_its_keys_vouch_for(void)
{
    struct buf said = {0};
    char *text;
    size_t len;
    fresh();
    put_folder();
    CHECK(mkdir(at("/esp/penstock/keys"), 0700) == 0);
    make_bundle("/mine", "/good");
    make_bundle("/other", "/bad");
    CHECK(rename(at("/mine.pub"), at("/esp/penstock/keys/mine.pub")) == 0);
    CHECK(done(take(true, &said)) && is_there(BOX_TRUST "/mine.pub"));
    CHECK(rename(at("/bad"), at("/esp/penstock/bundle.pconfig")) == 0);
    struct err *e = take(true, &said);
    CHECK(e && e->code == ERR_AUTH && !has(BOX_YAML, "signed"));
    err_free(e);
    CHECK(rename(at("/good"), at("/esp/penstock/bundle.pconfig")) == 0);
    put_text("/esp/penstock/authorized_keys", ECDSA); /* not with it */
    CHECK(done(take(true, &said)) && has(BOX_YAML, "signed"));
    CHECK(!has(BOX_SSH_KEYS, "ecdsa") && has(BOX_CONFIG_OLD "/penstock.yaml", "penstock: 1\n"));
    CHECK(done(small_file_read(at(BOX_SETTINGS), 4096, &text, &len)));
    free(text);
    buf_fini(&said);
}

/* ---- certificates ---- */

static void certificates_are_made_and_kept(void)
{
    struct certificate_info i, again;
    struct certificate_names more = names;
    struct buf out = {0};
    bool made, found;
    fresh();
    CHECK(done(certificate_prepare(root, &names, 0, &made)) && made);
    CHECK(done(certificate_load(root, &out, &i, &found)) && found && i.self_signed);
    CHECK(i.names.count == 2 && strcmp(i.names.name[0], "edge-1") == 0 &&
          strcmp(i.names.name[1], "192.0.2.1") == 0);
    CHECK(has(BOX_STORE "/tls/cert.pem", "PRIVATE KEY") && has(BOX_STORE "/tls/cert.pem", "BEGIN CERT"));
    CHECK(done(certificate_prepare(root, &names, 0, &made)) && !made);
    snprintf(more.name[more.count++], CERTIFICATE_NAME_BYTES, "2001:db8::1");
    CHECK(done(certificate_prepare(root, &more, 0, &made)) && made); /* another address */
    CHECK(done(certificate_load(root, &out, &again, &found)) && again.names.count == 3);
    CHECK(strcmp(i.fingerprint, again.fingerprint) != 0);
    CHECK(done(certificate_prepare(root, &more, again.until_s + 1, &made)) && made);
    char warning[128];
    certificate_warning(&again, again.until_s - 86400 * 29, warning);
    CHECK(strstr(warning, "29 days") != NULL);
    certificate_warning(&again, again.until_s - 86400 * 31, warning);
    CHECK_STR(warning, "");
    put_text(BOX_DIR "/tls/pair.pem", "damaged");
    CHECK(done(certificate_prepare(root, &more, 0, &made)) && made);
    buf_fini(&out);
}

static bool refused(const struct buf *chain, const struct buf *key, int64_t now_s, const char *why)
{
    struct buf out = {0};
    struct err *e =
        certificate_check(chain->p, chain->len, key ? key->p : NULL, key ? key->len : 0, now_s, &out, NULL);
    bool as_told = e && strstr(e->message, why);
    if (!as_told)
        printf("# %s, expected: %s\n", e ? e->message : "taken", why);
    err_free(e);
    buf_fini(&out);
    return as_told;
}

static void pairs_that_do_not_belong_together_are_refused(void)
{
    struct buf other = {0}, two = {0}, request = {0}, key = {0}, out = {0}, text = {0};
    CHECK(done(certificate_self_signed(&names, NULL, &other)));
    CHECK(done(certificate_check(pair.p, pair.len, NULL, 0, 0, &out, NULL)));
    CHECK(refused(&pair, &other, 0, "not that of the certificate"));
    buf_put(&two, pair.p, pair.len);
    buf_put(&two, other.p, other.len);
    CHECK(refused(&two, &pair, 0, "not signed by the next"));
    CHECK(refused(&pair, NULL, INT64_C(4000000000), "expired"));
    CHECK(done(
        certificate_check(pair.p, pair.len, NULL, 0, 1000, &out, NULL))); /* a clock of 1970 says nothing */
    buf_put_str(&text, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    CHECK(refused(&text, &pair, 0, "cannot be read"));
    CHECK(done(certificate_request(&names, &request, &key)));
    CHECK(strstr((char *)(buf_put_u8(&request, 0), request.p), "BEGIN CERTIFICATE REQUEST") != NULL);
    CHECK(refused(&pair, &key, 0, "not that of the certificate"));
    buf_fini(&other);
    buf_fini(&two);
    buf_fini(&request);
    buf_fini(&key);
    buf_fini(&out);
    buf_fini(&text);
}

/* ---- factory reset ---- */

static struct err *request_reset(struct buf *said)
{
    (void)said;
    return reset_request(at("/identity"), at(BOX_DIR), true);
}

static uint32_t count_files(uint32_t *flags)
{
    static struct identity id;
    bool damaged;
    int fd = open(at("/identity"), O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0 && done(identity_read(fd, &id, &damaged)) && !damaged);
    close(fd);
    uint32_t count = id.count;
    *flags = id.flags;
    identity_fini(&id);
    return count;
}

static bool device_holds(const char *what)
{
    static uint8_t all[4 << 20];
    int fd = open(at("/identity"), O_RDONLY | O_CLOEXEC);
    ssize_t n = read(fd, all, sizeof all);
    close(fd);
    return n > 0 && memmem(all, (size_t)n, what, strlen(what)) != NULL;
}

static void a_reset_is_asked_for_at_once_or_not_at_all(void)
{
    bool whole = false, saved;
    uint32_t flags;
    for (int n = 1; !whole && n < 100; n++) {
        fresh();
        put_text(BOX_SETTINGS, BOX_TEXT);
        put_text(BOX_SSH_KEYS, ED25519);
        put_text("/identity", "");
        CHECK(truncate(at("/identity"), 4 << 20) == 0);
        CHECK(done(identity_save(at("/identity"), at(BOX_DIR), 0, &saved)) && saved);
        CHECK(count_files(&flags) == 2 && !reset_is_pending(at("/identity")));
        whole = lives_through(n, request_reset);
        uint32_t files = count_files(&flags);
        if (!reset_is_pending(at("/identity"))) {
            CHECK(files == 2 && !whole);
            continue;
        }
        CHECK(files == 1 && flags == IDENTITY_RESET);
        /* PID 1 still mirrors what it has, until it goes down. */
        CHECK(done(identity_save(at("/identity"), at(BOX_DIR), 0, &saved)) && !saved);
        CHECK(reset_is_pending(at("/identity")));
        CHECK(done(reset_done(at("/identity"))) && !reset_is_pending(at("/identity")));
        CHECK(count_files(&flags) == 1 && flags == 0 && !device_holds("ssh-ed25519") &&
              device_holds("edge-1"));
    }
    CHECK(whole);
}

int main(void)
{
    CHECK(mkdtemp(root) != NULL);
    CHECK(done(certificate_self_signed(&names, NULL, &pair)));
    RUN(a_folder_is_taken_whole_and_removed);
    RUN(half_of_a_wrong_folder_is_never_used);
    RUN(what_is_no_plain_file_is_refused);
    RUN(a_power_cut_at_any_step_leaves_all_or_nothing);
    RUN(a_claimed_box_takes_what_its_keys_vouch_for);
    RUN(certificates_are_made_and_kept);
    RUN(pairs_that_do_not_belong_together_are_refused);
    RUN(a_reset_is_asked_for_at_once_or_not_at_all);
    buf_fini(&pair);
    remove_tree(root);
    TEST_END();
}
