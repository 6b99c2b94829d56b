/* How dropbear is started, whose keys it reads, and what its host key is called. */
#define _GNU_SOURCE
#include "box/ssh.h"

#include "base/buf.h"
#include "remove_tree.h"
#include "test.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static bool has(const struct ssh_argv *a, const char *option, const char *value)
{
    for (int i = 0; a->argv[i]; i++)
        if (strcmp(a->argv[i], option) == 0)
            return !value || (a->argv[i + 1] && strcmp(a->argv[i + 1], value) == 0);
    return false;
}

static void server_words(void)
{
    struct ssh_argv a;
    ssh_server_argv(&a, NULL, false);
    CHECK_STR(a.argv[0], "/bin/dropbear");
    CHECK(has(&a, "-F", NULL) && has(&a, "-w", NULL) && has(&a, "-s", NULL) && has(&a, "-j", NULL) &&
          has(&a, "-k", NULL));
    CHECK(has(&a, "-D", "/run/ssh") && has(&a, "-r", "/data/box/dropbear_ed25519_host_key"));
    CHECK(has(&a, "-T", "3") && has(&a, "-I", "3600") && has(&a, "-K", "30"));
    /* Nothing that would weaken it: forced commands, blank passwords, all interfaces of forwardings. */
    CHECK(!has(&a, "-B", NULL) && !has(&a, "-a", NULL) && !has(&a, "-e", NULL));
    ssh_server_argv(&a, &(struct ssh_place){.listen = "127.0.0.1:2222"}, true);
    CHECK(!has(&a, "-w", NULL) && has(&a, "-s", NULL) && has(&a, "-p", "127.0.0.1:2222"));
    ssh_host_key_argv(&a, NULL, NULL);
    CHECK(has(&a, "-t", "ed25519") && has(&a, "-f", "/data/box/dropbear_ed25519_host_key"));
}

static void write_file(const char *path, const void *p, size_t len)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, p, len) != (ssize_t)len)
        abort();
    close(fd);
}

static void published_keys(void)
{
    char dir[] = "/tmp/test_ssh.XXXXXX", from[64], run[64], out[100], text[100] = "";
    struct stat st;
    if (!mkdtemp(dir))
        abort();
    snprintf(from, sizeof from, "%s/authorized_keys", dir);
    snprintf(run, sizeof run, "%s/ssh", dir);
    snprintf(out, sizeof out, "%s/authorized_keys", run);
    CHECK(!ssh_publish_keys(from, run)); /* none: nobody */
    CHECK(access(out, F_OK) != 0 && stat(run, &st) == 0 && (st.st_mode & 0777) == 0755);
    write_file(from, "ssh-ed25519 AAAA one\n", 21);
    mode_t old = umask(0077);
    CHECK(!ssh_publish_keys(from, run));
    umask(old);
    /* What its reader, another user, may read and nobody else may write. */
    CHECK(stat(out, &st) == 0 && (st.st_mode & 0777) == 0644 && st.st_uid == geteuid());
    int fd = open(out, O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0 && read(fd, text, sizeof text - 1) == 21);
    close(fd);
    CHECK_STR(text, "ssh-ed25519 AAAA one\n");
    write_file(from, "a\0b", 3);
    struct err *e = ssh_publish_keys(from, run);
    CHECK(e && e->code == ERR_CONFIG && stat(out, &st) == 0 && st.st_size == 21);
    err_free(e);
    char *large = xcalloc(1, SSH_KEYS_BYTES_MAX + 1);
    memset(large, '#', SSH_KEYS_BYTES_MAX + 1);
    write_file(from, large, SSH_KEYS_BYTES_MAX + 1);
    e = ssh_publish_keys(from, run);
    CHECK(e && stat(out, &st) == 0 && st.st_size == 21);
    err_free(e);
    write_file(from, large, SSH_KEYS_BYTES_MAX);
    CHECK(!ssh_publish_keys(from, run));
    CHECK(stat(out, &st) == 0 && st.st_size == SSH_KEYS_BYTES_MAX);
    free(large);
    unlink(from);
    CHECK(!ssh_publish_keys(from, run));
    CHECK(access(out, F_OK) != 0);
    remove_tree(dir);
}

/* A key of dropbearkey's, made for this test, and what ssh-keygen -l says of its public half. */
static void fingerprints(void)
{
    static const uint8_t head[] = "\0\0\0\013ssh-ed25519\0\0\0\100";
    char path[] = "/tmp/test_ssh_key.XXXXXX", text[SSH_FINGERPRINT_BYTES];
    int fd = mkstemp(path);
    uint8_t key[83];
    memcpy(key, head, 19);
    for (int i = 0; i < 64; i++)
        key[19 + i] = (uint8_t)(i < 32 ? 7 : i - 32);
    close(fd);
    write_file(path, key, sizeof key);
    CHECK(!ssh_fingerprint(path, text));
    CHECK_STR(text, "SHA256:ZkAslGjFiUHdGf/WUL8rQvkib4PTvQatUV0OUQSncCA");
    write_file(path, key, sizeof key - 1);
    struct err *e = ssh_fingerprint(path, text);
    CHECK(e && e->code == ERR_CORRUPT && !text[0]);
    err_free(e);
    unlink(path);
    e = ssh_fingerprint(path, text);
    CHECK(e && e->code == ERR_STATE);
    err_free(e);
}

int main(void)
{
    RUN(server_words);
    RUN(published_keys);
    RUN(fingerprints);
    TEST_END();
}
