/* See ssh.h. */
#include "fleet/ssh.h"
#include "base/buf.h"

#include <string.h>

struct words {
    struct arena *arena;
    char **at;
    uint32_t count, cap;
};

static void put(struct words *w, const char *text)
{
    ASSERT(w->count + 1 < w->cap);
    w->at[w->count++] = arena_strdup(w->arena, text);
}

static void option(struct words *w, const char *text)
{
    put(w, "-o");
    put(w, text);
}

static struct words words_new(struct arena *arena, uint32_t cap)
{
    return (struct words){.arena = arena, .cap = cap, .at = ARENA_ARRAY(arena, char *, cap)};
}

/* ssh takes the first value that it reads, so ours stand before the inventory's and before those of ~/.ssh/config. */
char **ssh_argv(struct arena *arena, const struct fleet_box *b, const char *command)
{
    struct words w = words_new(arena, 64 + 2 * FLEET_OPTIONS_MAX);
    put(&w, "ssh");
    put(&w, "-T");
    option(&w, "BatchMode=yes");
    option(&w, "StrictHostKeyChecking=yes");
    /* Quoted: a path may hold blanks, and this option takes several. */
    option(&w, arena_printf(arena, "UserKnownHostsFile=\"%s\"", b->ssh.known_hosts));
    option(&w, "GlobalKnownHostsFile=/dev/null");
    option(&w, "VerifyHostKeyDNS=no");
    option(&w, "UpdateHostKeys=no");
    option(&w, "PermitLocalCommand=no");
    option(&w, "ForwardAgent=no");
    option(&w, "ForwardX11=no");
    option(&w, "ClearAllForwardings=yes");
    option(&w, arena_printf(arena, "ConnectTimeout=%lld", (long long)(b->ssh.connect_timeout_us / 1000000)));
    option(&w, arena_printf(arena, "ServerAliveInterval=%d", FLEET_ALIVE_S));
    option(&w, arena_printf(arena, "ServerAliveCountMax=%d", FLEET_ALIVE_COUNT));
    option(&w, "LogLevel=ERROR");
    if (b->ssh.identity) {
        option(&w, "IdentitiesOnly=yes");
        put(&w, "-i");
        put(&w, b->ssh.identity);
    }
    for (uint32_t i = 0; i < b->ssh.option_count; i++)
        option(&w, b->ssh.options[i]);
    put(&w, "-l");
    put(&w, b->ssh.user);
    put(&w, "-p");
    put(&w, arena_printf(arena, "%lld", (long long)b->ssh.port));
    put(&w, "--");
    put(&w, b->address);
    put(&w, command);
    return w.at;
}

static bool is_plain(const char *s)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789%+,-./:=@_^";
    return *s && s[strspn(s, plain)] == 0;
}

static void put_quoted(struct buf *b, const char *s)
{
    buf_put_u8(b, '\'');
    for (; *s; s++)
        if (*s == '\'')
            buf_put_str(b, "'\\''");
        else
            buf_put_u8(b, (uint8_t)*s);
    buf_put_u8(b, '\'');
}

const char *ssh_command(struct arena *arena, int count, char *const *words)
{
    struct buf b = {0};
    if (count == 1)
        return arena_strdup(arena, words[0]);
    for (int i = 0; i < count; i++) {
        if (i)
            buf_put_u8(&b, ' ');
        if (is_plain(words[i]))
            buf_put_str(&b, words[i]);
        else
            put_quoted(&b, words[i]);
    }
    const char *line = arena_strndup(arena, b.p ? (const char *)b.p : "", b.len);
    buf_fini(&b);
    return line;
}

/* ---- host keys ---- */

const char *ssh_known_name(struct arena *arena, const struct fleet_box *b)
{
    return b->ssh.port == 22 ? b->address
                             : arena_printf(arena, "[%s]:%lld", b->address, (long long)b->ssh.port);
}

char **ssh_keyscan_argv(struct arena *arena, const struct fleet_box *b)
{
    struct words w = words_new(arena, 16);
    put(&w, "ssh-keyscan");
    put(&w, "-T");
    put(&w, arena_printf(arena, "%lld", (long long)(b->ssh.connect_timeout_us / 1000000)));
    put(&w, "-t");
    put(&w, "ed25519,ecdsa,rsa");
    put(&w, "-p");
    put(&w, arena_printf(arena, "%lld", (long long)b->ssh.port));
    put(&w, "--");
    put(&w, b->address);
    return w.at;
}

char **ssh_known_argv(struct arena *arena, const struct fleet_box *b)
{
    struct words w = words_new(arena, 8);
    put(&w, "ssh-keygen");
    put(&w, "-F");
    put(&w, ssh_known_name(arena, b));
    put(&w, "-f");
    put(&w, b->ssh.known_hosts);
    return w.at;
}
