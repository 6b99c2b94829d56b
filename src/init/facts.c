/* What PID 1 tells the commands: BOX_RUN_BOOT and the state of the services, as JSON. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "init/init.h"

#include "base/buf.h"
#include "base/file.h"
#include "init/facts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void facts_text(struct buf *b, const char *key, const char *value)
{
    buf_printf(b, "\"%s\":\"", key);
    for (const char *p = value; *p; p++)
        if (*p == '"' || *p == '\\')
            buf_printf(b, "\\%c", *p);
        else if ((unsigned char)*p < 0x20 || (unsigned char)*p >= 0x7f)
            buf_put_u8(b, '?');
        else
            buf_put_u8(b, (uint8_t)*p);
    buf_put_u8(b, '"');
}

bool facts_put(const char *path, const struct buf *b)
{
    char *temporary = xprintf("%s~", path);
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
    bool ok = fd >= 0 && (errno = file_write_at(fd, b->p, b->len, 0)) == 0;
    if (fd >= 0)
        close(fd);
    ok = ok && rename(temporary, path) == 0;
    free(temporary);
    return ok;
}

static void put_boot(const struct init *i, struct buf *b)
{
    static const char *const checks[] = {"clean", "repaired", "broken"};
    const struct storage *s = &i->storage;
    buf_printf(b, "{\"rescue\":%s,", s->rescue ? "true" : "false");
    facts_text(b, "reason", s->rescue ? s->reason : "");
    buf_printf(b, ",\"slot\":\"%.1s\",\"data\":{", s->disk.running ? &s->disk.running : "");
    facts_text(b, "device", s->disk.data.device);
    buf_printf(b, ",\"bytes\":%llu,\"formatted\":%s,\"grown\":%s,\"check\":\"%s\"},\"identity\":{",
               (unsigned long long)s->bytes, s->formatted ? "true" : "false", s->grown ? "true" : "false",
               checks[s->check]);
    facts_text(b, "device", s->disk.identity.device);
    buf_printf(b, ",\"saved\":%s},\"watchdog\":", i->mirror.failed ? "false" : "true");
    if (i->watchdog.fd >= 0) {
        buf_put_str(b, "{");
        facts_text(b, "name", i->watchdog.identity);
        buf_printf(b, ",\"timeout_s\":%d}", i->watchdog.timeout_s);
    } else {
        buf_put_str(b, "null");
    }
    buf_printf(b, ",\"modules\":{\"loaded\":%u,\"failed\":%u}", i->modules ? modules_loaded(i->modules) : 0,
               i->modules ? modules_failed(i->modules) : 0);
    buf_printf(b,
               ",\"times_ms\":{\"init\":%lld,\"modules\":%lld,\"disk\":%lld,\"data\":%lld,\"services\":%lld},"
               "\"configuration\":{\"default\":%s,\"refused\":%s},\"services\":[",
               (long long)i->times.started_ms, (long long)i->times.modules_ms, (long long)i->times.disk_ms,
               (long long)i->times.data_ms, (long long)i->times.services_ms,
               i->default_config ? "true" : "false", i->config_refused ? "true" : "false");
}

static void put_service(struct buf *b, const struct service *s, bool first)
{
    buf_printf(b, "%s{\"name\":\"%s\",\"state\":\"%s\",\"pid\":%d,\"starts\":%u,\"failures\":%u,\"last\":",
               first ? "" : ",", s->name, service_state_name(s->state), (int)s->pid, s->starts, s->failures);
    if (s->last_status >= 0)
        buf_printf(b, "\"%s\"}", child_end_text(s->last_status));
    else
        buf_put_str(b, "null}");
}

void init_facts_write(struct init *i)
{
    const struct service *all[] = {&i->network, &i->penstock, &i->ssh};
    struct buf b = {0};
    put_boot(i, &b);
    bool first = true;
    for (size_t k = 0; k < ARRAY_COUNT(all); k++)
        if (all[k]->name) {
            put_service(&b, all[k], first);
            first = false;
        }
    buf_put_str(&b, "]}\n");
    if (!facts_put(BOX_RUN_BOOT, &b))
        log_hub_say(&i->log, "%s could not be written", BOX_RUN_BOOT);
    buf_fini(&b);
}
