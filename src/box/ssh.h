/* The SSH server of a box: how PID 1 starts dropbear, where keys lie, and what the host key is.
 *
 * Only keys log in: AuthorizedKeys are looked up in SSH_RUN for whoever logs in (admin, and root where ssh.root_shell says so), as
 * dropbear reads them as that user and BOX_DIR is root's alone. PID 1 calls ssh_publish_keys before it starts the server and
 * whenever BOX_SSH_KEYS changes; dropbear reads the file at each login. Home directories are in the image and hold nothing.
 *
 * Limits of a session: 30 s without an answer to three keep-alives, an hour without a packet, 3 wrong keys; before the login those that
 * dropbear is compiled with (deps/recipes/dropbear.sh): 30 connections, 5 of one address, and the time for it. No forwarding of any kind. */
#ifndef PENSTOCK_BOX_SSH_H
#define PENSTOCK_BOX_SSH_H

#include "base/err.h"

#define SSH_RUN               "/run/ssh" /* authorized_keys, a copy that its reader may read; root's */
#define SSH_KEYS_BYTES_MAX    65536
#define SSH_TRIES_MAX         3
#define SSH_KEEPALIVE_S       30
#define SSH_IDLE_S            3600
#define SSH_FINGERPRINT_BYTES 52 /* "SHA256:", 43 characters of base64, and the 0 */
#define SSH_ARGS_MAX          24

struct ssh_place {        /* NULL: as on a box */
    const char *program;  /* /bin/dropbear */
    const char *host_key; /* BOX_HOST_KEY */
    const char *keys_dir; /* SSH_RUN */
    const char *listen;   /* 22, or ADDRESS:PORT */
    const char *pid_file; /* /run/dropbear.pid */
};
struct ssh_argv {
    const char *argv[SSH_ARGS_MAX]; /* ends with NULL; borrowed from the place, and fixed text */
    char keepalive[12], idle[12], tries[12];
};
/* The server in the foreground, its log on standard error; PID 1 supervises it. */
void ssh_server_argv(struct ssh_argv *out, const struct ssh_place *place, bool root_shell);
/* Makes the host key (ed25519): run it once, as root, when ssh_fingerprint finds none. */
void ssh_host_key_argv(struct ssh_argv *out, const char *dropbearkey, const char *host_key);

/* Copies `from` (NULL: BOX_SSH_KEYS) to authorized_keys in dir (NULL: SSH_RUN), which is made; without `from` nobody can log in. A
 * reader finds the former keys or the new ones. ERR_CONFIG: it is too large, or no text: the former ones stay. */
NODISCARD struct err *ssh_publish_keys(const char *from, const char *dir);
/* "SHA256:..." of the public half, as ssh shows it. ERR_STATE: there is no key; ERR_CORRUPT: it is none, and a new one has to be
 * made once the file is out of the way. */
NODISCARD struct err *ssh_fingerprint(const char *host_key, char out[SSH_FINGERPRINT_BYTES]);

#endif
