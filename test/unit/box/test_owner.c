/* Whose a box is: the claim code, the password, sessions and their ends, bounds on guessing, SSH keys. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "test/unit/box/owner_keys.h"
#include "test/unit/remove_tree.h"
#include "test/unit/test.h"

#include "box/admin.h"
#include "box/box.h"
#include "box/ssh_keys.h"
#include "box/tries.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define WORDS "correct horse battery"

static char root[] = "/tmp/penstock-owner-XXXXXX";
static struct admin a;

static bool fails(struct err *e, enum err_code code)
{
    bool as_told = e && e->code == code;
    if (e && !as_told)
        err_print(stdout, e);
    err_free(e);
    return as_told;
}

static bool done(struct err *e)
{
    if (e)
        err_print(stdout, e);
    err_free(e);
    return !e;
}

static const char *at(const char *path)
{
    static char full[4][300];
    static int turn;
    turn = (turn + 1) % 4;
    snprintf(full[turn], sizeof full[turn], "%s%s", root, path);
    return full[turn];
}

static void fresh(void)
{
    static const char *const dirs[] = {"", "/data", BOX_DIR, "/run", BOX_RUN};
    remove_tree(root);
    for (size_t i = 0; i < ARRAY_COUNT(dirs); i++)
        CHECK(mkdir(at(dirs[i]), 0700) == 0);
    a = (struct admin){.root = root, .rounds = 1000, .now_ms = 1000};
}

static const char *audit_text(void)
{
    static char text[4096];
    int fd = open(at(BOX_RUN "/audit"), O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
    text[n > 0 ? n : 0] = 0;
    if (fd >= 0)
        close(fd);
    return text;
}

static void a_code_claims_a_box_once(void)
{
    char code[ADMIN_CODE_BYTES], again[ADMIN_CODE_BYTES], typed[40];
    fresh();
    CHECK(!admin_is_claimed(root));
    CHECK(done(admin_code(root, code)) && strlen(code) == 9 && code[4] == '-');
    CHECK(done(admin_code(root, again)));
    CHECK_STR(again, code);
    snprintf(typed, sizeof typed, "  %c%c %s", code[0] | 0x20, code[1], code + 2);
    CHECK(fails(admin_claim(&a, code, "short"), ERR_CONFIG));
    CHECK(fails(admin_claim(&a, code, "twelve chars\x01 and more"), ERR_CONFIG));
    CHECK(fails(admin_claim(&a, code[0] == '0' ? "1111-1111" : "0000-0000", WORDS), ERR_AUTH));
    CHECK(fails(admin_claim(&a, "", WORDS), ERR_AUTH));
    CHECK(!admin_is_claimed(root));
    CHECK(done(admin_claim(&a, code[0] >= 'A' ? typed : code, WORDS)));
    CHECK(admin_is_claimed(root) && admin_has_password(root));
    CHECK(access(at(BOX_CLAIM), F_OK) != 0);
    CHECK(fails(admin_claim(&a, code, WORDS), ERR_STATE));
    CHECK(done(admin_code(root, again)));
    CHECK_STR(again, "");
    CHECK(strstr(audit_text(), "claim refused") && strstr(audit_text(), "was claimed"));
    CHECK(!strstr(audit_text(), code) && !strstr(audit_text(), "horse"));
    struct stat st;
    CHECK(stat(at(BOX_ADMIN), &st) == 0 && (st.st_mode & 0777) == 0600);
}

static void a_code_is_read_as_people_type_it(void)
{
    char code[ADMIN_CODE_BYTES];
    CHECK(admin_code_read("oi l0-zz zz", code));
    CHECK_STR(code, "0110-ZZZZ");
    CHECK(!admin_code_read("0110-ZZZ", code) && !admin_code_read("0110-ZZZZZ", code));
    CHECK(!admin_code_read("0110-ZZZU", code) && !admin_code_read("0110-ZZZ\xc3", code));
}

static void guessing_is_bounded_and_recovers(void)
{
    char token[ADMIN_TOKEN_BYTES], code[ADMIN_CODE_BYTES];
    fresh();
    CHECK(done(admin_code(root, code)));
    for (int i = 0; i < TRIES_MAX; i++)
        CHECK(fails(admin_claim(&a, "0000-000U", WORDS), ERR_AUTH));
    CHECK(fails(admin_claim(&a, code, WORDS), ERR_LIMIT)); /* even the right one */
    a.now_ms += TRIES_WINDOW_MS - 1;
    CHECK(fails(admin_claim(&a, code, WORDS), ERR_LIMIT));
    a.now_ms += 1;
    CHECK(done(admin_claim(&a, code, WORDS)));
    for (int i = 0; i < TRIES_MAX; i++)
        CHECK(fails(admin_login(&a, "some other words", token), ERR_AUTH));
    CHECK(fails(admin_login(&a, WORDS, token), ERR_LIMIT));
    a.now_ms += TRIES_WINDOW_MS;
    for (int i = 0; i < 2 * TRIES_MAX; i++) /* right ones are no tries */
        CHECK(done(admin_login(&a, WORDS, token)));
}

static void sessions_end(void)
{
    char token[ADMIN_TOKEN_BYTES], other[ADMIN_TOKEN_BYTES], wrong[ADMIN_TOKEN_BYTES];
    fresh();
    CHECK(fails(admin_login(&a, WORDS, token), ERR_AUTH)); /* nobody's box */
    CHECK(done(admin_password_reset(&a, WORDS)));
    CHECK(done(admin_login(&a, WORDS, token)) && done(admin_login(&a, WORDS, other)));
    CHECK(strlen(token) == 43 && strcmp(token, other) != 0);
    memcpy(wrong, token, sizeof wrong);
    wrong[0] = wrong[0] == 'A' ? 'B' : 'A';
    CHECK(admin_session(&a, token) && !admin_session(&a, wrong));
    CHECK(!admin_session(&a, "") && !admin_session(&a, "../../../../etc/passwd"));
    a.now_ms += ADMIN_SESSION_IDLE_MS - 1;
    CHECK(admin_session(&a, token)); /* in use again */
    a.now_ms += 1;
    CHECK(!admin_session(&a, other) && admin_session(&a, token));
    admin_logout(&a, token);
    CHECK(!admin_session(&a, token));
    CHECK(done(admin_login(&a, WORDS, token)));
    int64_t begun = a.now_ms;
    while (a.now_ms + ADMIN_SESSION_IDLE_MS / 2 < begun + ADMIN_SESSION_MS) {
        a.now_ms += ADMIN_SESSION_IDLE_MS / 2;
        CHECK(admin_session(&a, token));
    }
    a.now_ms = begun + ADMIN_SESSION_MS;
    CHECK(!admin_session(&a, token));
}

static void sessions_are_bounded(void)
{
    char first[ADMIN_TOKEN_BYTES], token[ADMIN_TOKEN_BYTES];
    fresh();
    CHECK(done(admin_password_reset(&a, WORDS)) && done(admin_login(&a, WORDS, first)));
    for (int i = 0; i < ADMIN_SESSIONS_MAX - 1; i++) {
        a.now_ms++;
        CHECK(done(admin_login(&a, WORDS, token)));
    }
    CHECK(admin_session(&a, first)); /* used last now */
    a.now_ms++;
    CHECK(done(admin_login(&a, WORDS, token)) && admin_session(&a, first) && admin_session(&a, token));
    for (int i = 0; i < ADMIN_SESSIONS_MAX; i++) {
        a.now_ms++;
        CHECK(done(admin_login(&a, WORDS, token)));
    }
    CHECK(!admin_session(&a, first) && admin_session(&a, token));
}

static void passwords_change(void)
{
    char token[ADMIN_TOKEN_BYTES];
    fresh();
    CHECK(fails(admin_password(&a, "", WORDS), ERR_STATE)); /* it is to be claimed first */
    CHECK(done(admin_password_reset(&a, WORDS)) && done(admin_login(&a, WORDS, token)));
    CHECK(fails(admin_password(&a, "not the present one", "quite another phrase"), ERR_AUTH));
    CHECK(fails(admin_password(&a, WORDS, "short"), ERR_CONFIG) && admin_session(&a, token));
    CHECK(done(admin_password(&a, WORDS, "quite another phrase")) && !admin_session(&a, token));
    CHECK(fails(admin_login(&a, WORDS, token), ERR_AUTH));
    CHECK(done(admin_login(&a, "quite another phrase", token)));
    int fd = open(at(BOX_ADMIN), O_WRONLY | O_TRUNC | O_CLOEXEC);
    CHECK(fd >= 0 && write(fd, "{\"kdf\":\"none\"}", 14) == 14);
    close(fd);
    CHECK(fails(admin_login(&a, "quite another phrase", token), ERR_CORRUPT));
    CHECK(done(admin_password_reset(&a, WORDS)) && done(admin_login(&a, WORDS, token)));
}

static struct err *parse(const char *text, struct ssh_keys *k)
{
    return ssh_keys_parse("authorized_keys", text, strlen(text), k);
}

static void ssh_keys_are_read_as_openssh_shows_them(void)
{
    static struct ssh_keys k;
    CHECK(done(parse("# mine\r\n\n" ED25519 "restrict,no-pty " ECDSA RSA2048 ED25519, &k)));
    CHECK(k.count == 3 && k.keys[0].line == 3 && k.keys[2].bits == 2048);
    CHECK_STR(k.keys[0].fingerprint, ED25519_PRINT);
    CHECK_STR(k.keys[0].comment, "a@b");
    CHECK_STR(k.keys[1].fingerprint, ECDSA_PRINT);
    CHECK_STR(k.keys[1].type, "ecdsa-sha2-nistp256");
}

static void what_gives_more_than_a_login_is_refused(void)
{
    static const char *const wrong[] = {
        "command=\"sh\" " ED25519,
        "permitopen=\"*:*\" " ED25519,
        "environment=\"A=B\" " ED25519,
        "restrict,pty " ED25519,
        "cert-authority " ED25519,
        "from=\"10.0.0.1\" " ED25519,
        "restrict, " ED25519,
        RSA1024,
        "ssh-dss AAAA\n",
        "ssh-ed25519\n",
        "ssh-ed25519 !!!\n",
        "ssh-ed25519 AAAA\n",
        "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIO3LWsuFnXO82RdDcOixrKf1Xiiz/msoUJvsrxD7p+95\n",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIO3LWsuFnXO82RdDcOixrKf1Xiiz/msoUJvsrxD7p+\n",
        "\x1b" ED25519,
        "nonsense\n",
    };
    static struct ssh_keys k;
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        struct err *e = parse(wrong[i], &k);
        if (!e)
            printf("# taken: %s", wrong[i]);
        CHECK(e && e->line == 1 && k.count == 0);
        CHECK(fails(e, ERR_CONFIG));
    }
    struct err *e = parse(ED25519 "bad\n" ECDSA "worse\n", &k);
    CHECK(e && e->line == 2 && e->next && e->next->line == 4 && k.count == 0);
    err_free(e);
    char *large = xcalloc(1, SSH_KEYS_FILE_MAX + 2);
    memset(large, '\n', SSH_KEYS_FILE_MAX + 1);
    CHECK(done(ssh_keys_parse("f", large, SSH_KEYS_FILE_MAX, &k)));
    CHECK(fails(ssh_keys_parse("f", large, SSH_KEYS_FILE_MAX + 1, &k), ERR_LIMIT));
    free(large);
}

static void ssh_keys_come_and_go(void)
{
    static struct ssh_keys k;
    uint32_t added;
    fresh();
    CHECK(done(ssh_keys_load(root, &k)) && k.count == 0);
    CHECK(done(ssh_keys_add(root, ED25519, strlen(ED25519), &added)) && added == 1 && admin_is_claimed(root));
    CHECK(done(ssh_keys_add(root, ED25519 ECDSA, strlen(ED25519 ECDSA), &added)) && added == 1);
    CHECK(fails(ssh_keys_add(root, "", 0, &added), ERR_CONFIG));
    CHECK(fails(ssh_keys_add(root, "junk\n", 5, &added), ERR_CONFIG));
    CHECK(fails(ssh_keys_remove(root, "SHA256:none", false), ERR_STATE));
    CHECK(done(ssh_keys_remove(root, ED25519_PRINT, false)));
    CHECK(fails(ssh_keys_remove(root, ECDSA_PRINT, false), ERR_STATE)); /* the last one */
    CHECK(done(ssh_keys_load(root, &k)) && k.count == 1);
    CHECK(done(ssh_keys_remove(root, ECDSA_PRINT, true)));
    CHECK(done(ssh_keys_load(root, &k)) && k.count == 0 && admin_is_claimed(root));
}

int main(void)
{
    CHECK(mkdtemp(root) != NULL);
    RUN(a_code_claims_a_box_once);
    RUN(a_code_is_read_as_people_type_it);
    RUN(guessing_is_bounded_and_recovers);
    RUN(sessions_end);
    RUN(sessions_are_bounded);
    RUN(passwords_change);
    RUN(ssh_keys_are_read_as_openssh_shows_them);
    RUN(what_gives_more_than_a_login_is_refused);
    RUN(ssh_keys_come_and_go);
    remove_tree(root);
    TEST_END();
}
