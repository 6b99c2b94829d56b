/* Claim, login, keys; see cmd_owner.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "box/cmd_owner.h"

#include "base/text.h"
#include "box/admin.h"
#include "box/audit.h"
#include "box/program.h"
#include "box/put.h"
#include "box/secret.h"
#include "box/ssh_keys.h"
#include "box/trust.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <yyjson.h>

/* 0, or the exit status of what went wrong, which is said. */
static int ended(struct err *e)
{
    int status = !e ? 0 : e->code == ERR_CONFIG ? 2 : 1;
    if (e) {
        fputs("penstock: ", stderr);
        err_print(stderr, e);
    }
    err_free(e);
    return status;
}

static int usage(const char *text)
{
    fprintf(stderr, "penstock: %s\n", text);
    return 2;
}

static bool has_word(int argc, char **argv, const char *word)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], word) == 0)
            return true;
    return false;
}

/* ---- claim and sessions ---- */

static int claim_status(bool json)
{
    bool claimed = admin_is_claimed(box_root), password = admin_has_password(box_root);
    if (json)
        printf("{\"claimed\":%s,\"password\":%s}\n", claimed ? "true" : "false", password ? "true" : "false");
    else
        printf("%s\n", !claimed ? "the box is not claimed: its code is on the serial console and in the log"
                       : password
                           ? "the box is claimed"
                           : "the box is claimed; no password is set: password-reset over SSH sets one");
    return 0;
}

int cmd_claim(int argc, char **argv)
{
    char password[SECRET_LINE_MAX + 1];
    struct admin a = admin_here(box_root);
    if (has_word(argc, argv, "--status"))
        return claim_status(has_word(argc, argv, "--json"));
    if (argc != 2)
        return usage("claim CODE, and the new password on standard input");
    struct err *e = secret_line(STDIN_FILENO, "new password", password);
    if (!e)
        e = admin_claim(&a, argv[1], password);
    explicit_bzero(password, sizeof password);
    if (!e)
        puts("the box is claimed");
    return ended(e);
}

int cmd_login(int argc, char **argv)
{
    char password[SECRET_LINE_MAX + 1], token[ADMIN_TOKEN_BYTES] = "";
    struct admin a = admin_here(box_root);
    (void)argv;
    if (argc != 1)
        return usage("login, and the password on standard input");
    struct err *e = secret_line(STDIN_FILENO, "password", password);
    if (!e)
        e = admin_login(&a, password, token);
    explicit_bzero(password, sizeof password);
    if (!e)
        puts(token);
    explicit_bzero(token, sizeof token);
    return ended(e);
}

int cmd_logout(int argc, char **argv)
{
    char token[SECRET_LINE_MAX + 1];
    struct admin a = admin_here(box_root);
    (void)argv;
    if (argc != 1)
        return usage("logout, and the session's token on standard input");
    struct err *e = secret_line(STDIN_FILENO, "token", token);
    if (!e)
        admin_logout(&a, token);
    explicit_bzero(token, sizeof token);
    return ended(e);
}

int cmd_session(int argc, char **argv)
{
    struct admin a = admin_here(box_root);
    return argc == 2 && admin_session(&a, argv[1]) ? 0 : 1;
}

int cmd_password(int argc, char **argv)
{
    char old[SECRET_LINE_MAX + 1] = "", password[SECRET_LINE_MAX + 1] = "";
    struct admin a = admin_here(box_root);
    bool reset = strcmp(argv[0], "password-reset") == 0;
    if (argc != 1)
        return usage(reset ? "password-reset, and the new password on standard input"
                           : "password, and on standard input the present one and the new one, a line each");
    struct err *e = reset ? NULL : secret_line(STDIN_FILENO, "present password", old);
    if (!e)
        e = secret_line(STDIN_FILENO, "new password", password);
    if (!e)
        e = reset ? admin_password_reset(&a, password) : admin_password(&a, old, password);
    explicit_bzero(old, sizeof old);
    explicit_bzero(password, sizeof password);
    if (!e)
        puts("the password is set; all sessions have ended");
    return ended(e);
}

int cmd_claim_code(int argc, char **argv)
{
    char code[ADMIN_CODE_BYTES];
    (void)argc;
    (void)argv;
    struct err *e = admin_code(box_root, code);
    if (!e && *code)
        puts(code);
    return ended(e);
}

/* ---- lists of keys ---- */

struct listed {
    const char *type, *fingerprint, *comment, *file;
};

struct list {
    bool json;
    yyjson_mut_doc *doc;
    yyjson_mut_val *keys;
};

static void list_begin(struct list *l, bool json)
{
    *l = (struct list){.json = json};
    if (!json)
        return;
    l->doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(l->doc);
    yyjson_mut_doc_set_root(l->doc, root);
    l->keys = yyjson_mut_obj_add_arr(l->doc, root, "keys");
}

static void list_put(struct list *l, struct listed k)
{
    if (!l->json) {
        printf("%s  %s  ", k.fingerprint, k.type);
        text_print(stdout, k.comment);
        printf("%s%s\n", k.file ? "  " : "", k.file ? k.file : "");
        return;
    }
    yyjson_mut_val *o = yyjson_mut_arr_add_obj(l->doc, l->keys);
    yyjson_mut_obj_add_strcpy(l->doc, o, "type", k.type);
    yyjson_mut_obj_add_strcpy(l->doc, o, "fingerprint", k.fingerprint);
    yyjson_mut_obj_add_strcpy(l->doc, o, "comment", k.comment);
    if (k.file)
        yyjson_mut_obj_add_strcpy(l->doc, o, "file", k.file);
}

static void list_end(struct list *l)
{
    if (!l->json)
        return;
    char *text = yyjson_mut_write(l->doc, 0, NULL);
    puts(text ? text : "{\"keys\":[]}");
    free(text);
    yyjson_mut_doc_free(l->doc);
}

static int ssh_key_list(bool json)
{
    struct ssh_keys *k = xcalloc(1, sizeof *k);
    struct list l;
    struct err *e = ssh_keys_load(box_root, k);
    if (!e) {
        list_begin(&l, json);
        for (uint32_t i = 0; i < k->count; i++)
            list_put(&l, (struct listed){k->keys[i].type, k->keys[i].fingerprint, k->keys[i].comment, NULL});
        list_end(&l);
    }
    free(k);
    return ended(e);
}

static int ssh_key_add(void)
{
    char *text;
    size_t len;
    uint32_t added = 0;
    struct err *e = secret_text(STDIN_FILENO, SSH_KEYS_FILE_MAX, &text, &len);
    if (!e) {
        e = ssh_keys_add(box_root, text, len, &added);
        free(text);
    }
    if (!e)
        printf("%u key%s added\n", added, added == 1 ? " was" : "s were");
    return ended(e);
}

int cmd_ssh_key(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    bool force = has_word(argc, argv, "--force");
    if (strcmp(what, "list") == 0)
        return ssh_key_list(has_word(argc, argv, "--json"));
    if (strcmp(what, "add") == 0 && argc == 2)
        return ssh_key_add();
    if (strcmp(what, "remove") == 0 && argc == 3 + force && argv[2][0] != '-')
        return ended(ssh_keys_remove(box_root, argv[2], force));
    return usage("ssh-key list [--json] | add <KEYS | remove FINGERPRINT [--force]");
}

/* ---- keys that sign ---- */

static int is_public(const struct dirent *d)
{
    size_t len = strlen(d->d_name);
    return d->d_name[0] != '.' && len > 4 && strcmp(d->d_name + len - 4, ".pub") == 0;
}

/* Each of the box's keys; *found: the file of the one with this fingerprint (owned). */
static struct err *each_key(struct list *l, const char *by, char **found)
{
    char *dir = box_file(BOX_TRUST);
    struct dirent **all = NULL;
    struct err *e = NULL;
    int n = scandir(dir, &all, is_public, alphasort);
    for (int i = 0; i < n; i++) {
        struct key k;
        char fingerprint[KEY_FINGERPRINT_BYTES], *path = xprintf("%s/%s", dir, all[i]->d_name);
        struct err *one = key_load(path, &k);
        free(path);
        if (one) {
            err_append(&e, one);
        } else {
            key_fingerprint(k.public_key, fingerprint);
            if (l)
                list_put(l, (struct listed){"ed25519", fingerprint, k.comment, all[i]->d_name});
            if (found && !*found && by && strcmp(by, fingerprint) == 0)
                *found = xstrdup(all[i]->d_name);
        }
        free(all[i]);
    }
    free(all);
    free(dir);
    return e;
}

static int key_list(bool json)
{
    struct list l;
    list_begin(&l, json);
    struct err *e = each_key(&l, NULL, NULL);
    list_end(&l);
    return ended(e);
}

static struct err *key_put(const char *text, size_t len)
{
    struct key k;
    char fingerprint[KEY_FINGERPRINT_BYTES], *there = NULL, *dir = box_file(BOX_TRUST);
    struct trust *t = xcalloc(1, sizeof *t);
    struct err *e = key_parse("standard input", text, len, &k);
    if (!e)
        e = trust_load(t, dir);
    if (!e && t->count == TRUST_KEYS_MAX)
        e = err_new(ERR_LIMIT, "a box takes %d keys at most", TRUST_KEYS_MAX);
    if (!e) {
        key_fingerprint(k.public_key, fingerprint);
        e = each_key(NULL, fingerprint, &there);
    }
    if (!e && !there) {
        char name[32];
        snprintf(name, sizeof name, "%02x%02x%02x%02x%02x%02x.pub", k.public_key[0], k.public_key[1],
                 k.public_key[2], k.public_key[3], k.public_key[4], k.public_key[5]);
        e = put_dir(dir, (struct put){0700, (uid_t)-1, (gid_t)-1}, NULL);
        if (!e)
            e = put_file(dir, name, text, len, (struct put){0600, (uid_t)-1, (gid_t)-1});
    }
    if (!e)
        printf("%s %s\n", fingerprint, there ? "was there already" : "was added");
    if (!e && !there)
        audit(box_root, "the signing key %s was added", fingerprint);
    free(there);
    free(dir);
    free(t);
    return e;
}

static int key_add(void)
{
    char *text;
    size_t len;
    struct err *e = secret_text(STDIN_FILENO, KEY_FILE_BYTES_MAX, &text, &len);
    if (!e) {
        e = key_put(text, len);
        free(text);
    }
    return ended(e);
}

static int key_remove(const char *by)
{
    char *file = NULL, *dir = box_file(BOX_TRUST);
    struct err *e = each_key(NULL, by, &file);
    if (!e && !file)
        e = err_hint(err_new(ERR_STATE, "no signing key has this fingerprint"), "`key list` shows them");
    if (!e)
        e = put_away(dir, file);
    if (!e)
        audit(box_root, "the signing key %s was removed", by);
    free(file);
    free(dir);
    return ended(e);
}

int cmd_key(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    if (strcmp(what, "list") == 0)
        return key_list(has_word(argc, argv, "--json"));
    if (strcmp(what, "add") == 0 && argc == 2)
        return key_add();
    if (strcmp(what, "remove") == 0 && argc == 3)
        return key_remove(argv[2]);
    return usage("key list [--json] | add <KEY.pub | remove FINGERPRINT");
}
