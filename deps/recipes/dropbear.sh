# The SSH server of a box, and its key maker. Keys alone (no password code at all), no forwarding of any kind, no SFTP, no
# RSA host keys, no zlib. What a session may run is decided by the login shell.
build() {
    cat >localoptions.h <<'Y'
#define DROPBEAR_SMALL_CODE 0
#define INETD_MODE 0
#define DROPBEAR_X11FWD 0
#define DROPBEAR_SVR_AGENTFWD 0
#define DROPBEAR_SVR_LOCALTCPFWD 0
#define DROPBEAR_SVR_REMOTETCPFWD 0
#define DROPBEAR_SVR_LOCALSTREAMFWD 0
#define DROPBEAR_SVR_PASSWORD_AUTH 0
#define DROPBEAR_SVR_PAM_AUTH 0
#define DROPBEAR_SFTPSERVER 0
#define DROPBEAR_ENABLE_GCM_MODE 1
#define DROPBEAR_DH_GROUP14_SHA256 0
#define DO_MOTD 0
#define DROPBEAR_PIDFILE "/run/dropbear.pid"
#define ED25519_PRIV_FILENAME "/data/box/dropbear_ed25519_host_key"
#define DEFAULT_KEEPALIVE 30
#define DEFAULT_PATH "/bin"
#define DEFAULT_ROOT_PATH "/bin"
#define MAX_AUTH_TRIES 6
#define AUTH_TIMEOUT 60
#define MAX_UNAUTH_PER_IP 5
#define MAX_UNAUTH_CLIENTS 30
Y
    # The configuration's own flags would come before ours; fortification does nothing with musl.
    ./configure --host="$HOST" CC="$CC" AR="$AR" RANLIB="$RANLIB" CFLAGS="$CFLAGS" LDFLAGS="-Wl,--gc-sections" \
        --disable-zlib --disable-harden --disable-pam --disable-syslog --disable-lastlog --disable-utmp --disable-utmpx \
        --disable-wtmp --disable-wtmpx --disable-loginfunc --disable-pututline --disable-pututxline --enable-bundled-libtom
    make -j"$JOBS" PROGRAMS="dropbear dropbearkey"
    install_program dropbear dropbearkey
}
