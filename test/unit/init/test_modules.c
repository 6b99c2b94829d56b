/* Which modules a device needs and in which order, from a made-up /lib/modules and /sys. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "test.h"
#include "remove_tree.h"

#include "init/modules.h"
#include "init/uevent.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const char dep[] = "kernel/fs/ext4/ext4.ko: kernel/fs/jbd2/jbd2.ko kernel/fs/mbcache.ko\n"
                          "kernel/fs/jbd2/jbd2.ko:\n"
                          "kernel/fs/mbcache.ko:\n"
                          "kernel/crypto/crc32c_generic.ko:\n"
                          "kernel/drivers/virtio/virtio.ko:\n"
                          "kernel/drivers/virtio/virtio_ring.ko: kernel/drivers/virtio/virtio.ko\n"
                          "kernel/drivers/virtio/virtio_pci.ko: kernel/drivers/virtio/virtio_ring.ko "
                          "kernel/drivers/virtio/virtio.ko\n"
                          "kernel/drivers/block/virtio-blk.ko.xz: kernel/drivers/virtio/virtio_ring.ko "
                          "kernel/drivers/virtio/virtio.ko\n"
                          "kernel/loop/a.ko: kernel/loop/b.ko\n"
                          "kernel/loop/b.ko: kernel/loop/a.ko\n"
                          "kernel/bad.ko:\n"
                          "kernel/needs-bad.ko: kernel/bad.ko\n"
                          "no colon here\n";
static const char alias[] = "# comment\n"
                            "alias pci:v00001AF4d*sv*sd*bc*sc*i* virtio_pci\n"
                            "alias virtio:d00000002v* virtio_blk\n"
                            "alias crypto-crc32c crc32c_generic\n"
                            "alias fs-ext4 ext4\n"
                            "alias acpi*:QEMU*:* virtio_pci\n"
                            "alias nothing\n"
                            "alias pci:v9* missing\n";
static const char soft[] =
    "softdep ext4 pre: crypto-crc32c unknown\nsoftdep jbd2 post: bad\nsoftdep a pre: b\n";

static char order[1024];
static char refuse[64];

static int note(void *arg, const char *path)
{
    (void)arg;
    const char *base = strrchr(path, '/') + 1;
    size_t n = strlen(order);
    snprintf(order + n, sizeof order - n, "%s%.*s", n ? " " : "", (int)strcspn(base, "."), base);
    return strstr(path, "/bad.") ? ENOEXEC : refuse[0] && strstr(path, refuse) ? ENODEV : 0;
}

static struct modules *made(void)
{
    order[0] = refuse[0] = 0;
    return modules_parse(dep, sizeof dep - 1, alias, sizeof alias - 1, soft, sizeof soft - 1, note, NULL);
}

static void dependencies_come_first(void)
{
    struct modules *m = made();
    CHECK(modules_load(m, "virtio_pci"));
    CHECK_STR(order, "virtio virtio_ring virtio_pci");
    CHECK(modules_load(m, "virtio-blk"));
    CHECK_STR(order, "virtio virtio_ring virtio_pci virtio-blk");
    CHECK(modules_load(m, "ext4")); /* its soft dependency by an alias */
    CHECK_STR(order, "virtio virtio_ring virtio_pci virtio-blk crc32c_generic mbcache jbd2 ext4");
    CHECK(modules_load(m, "fs-ext4") && modules_loaded(m) == 8 && modules_failed(m) == 0);
    CHECK(!modules_load(m, "unknown"));
    modules_free(m);
}

static void failures_and_loops_end(void)
{
    struct modules *m = made();
    CHECK(modules_load(m, "a")); /* b needs a, which is under way */
    CHECK_STR(order, "b a");
    CHECK(modules_load(m, "needs_bad") && modules_failed(m) == 1);
    CHECK_STR(order, "b a bad needs-bad");
    CHECK(strncmp(modules_failure(m), "bad: ", 5) == 0);
    CHECK(!modules_load(m, "bad")); /* not tried again */
    CHECK_STR(order, "b a bad needs-bad");
    snprintf(refuse, sizeof refuse, "jbd2");
    CHECK(modules_load(m, "jbd2")); /* a driver whose device is not there is no failure */
    modules_free(m);
}

static void aliases_match(void)
{
    struct modules *m = made();
    CHECK(modules_match(m, "virtio:d00000002v00001AF4") == 3);
    CHECK_STR(order, "virtio virtio_ring virtio-blk");
    CHECK(modules_match(m, "virtio:d00000002v00001AF4") == 0);
    CHECK(modules_match(m, "virtio:d00000003v00001AF4") == 0);
    CHECK(modules_match(m, "") == 0 && modules_match(m, "pci:v9999") == 0 && modules_match(m, "*") == 0);
    CHECK(modules_match(m, "pci:v00001AF4d00001042sv00001AF4sd00001100bc01sc00i00") == 1);
    modules_free(m);
}

static void put(const char *dir, const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    for (char *p = path + 1; (p = strchr(p, '/')); p++) {
        *p = 0;
        mkdir(path, 0755);
        *p = '/';
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
}

static void devices_get_theirs(void)
{
    char dir[] = "/tmp/penstock-modules-XXXXXX", path[256];
    struct modules *m;
    CHECK(mkdtemp(dir) != NULL);
    put(dir, "lib/modules.dep", dep);
    put(dir, "lib/modules.alias", alias);
    put(dir, "lib/modules.softdep", soft);
    put(dir, "sys/devices/pci0/0000:00:01.0/modalias", "pci:v00001AF4d00001042sv*sd*bc01sc00i00\n");
    put(dir, "sys/devices/pci0/0000:00:01.0/virtio0/modalias", "virtio:d00000002v00001AF4\n");
    put(dir, "sys/devices/empty/modalias", "");
    snprintf(path, sizeof path, "%s/sys/devices/pci0/up", dir);
    CHECK(symlink("..", path) == 0); /* never followed */
    snprintf(path, sizeof path, "%s/lib", dir);
    order[0] = refuse[0] = 0;
    CHECK(modules_open(path, note, NULL, &m) == NULL);
    snprintf(path, sizeof path, "%s/sys/devices", dir);
    CHECK(modules_coldplug(m, path) == 4);
    CHECK(strstr(order, "virtio_pci") && strstr(order, "virtio-blk"));
    modules_free(m);
    snprintf(path, sizeof path, "%s/none", dir);
    struct err *e = modules_open(path, note, NULL, &m);
    CHECK(e && e->code == ERR_IO && !m);
    err_free(e);
    remove_tree(dir);
}

static void kernel_messages(void)
{
    static const char good[] =
        "add@/devices/pci0/usb1\0ACTION=add\0DEVPATH=/devices/pci0/usb1\0SUBSYSTEM=block\0"
        "DEVNAME=sda1\0DEVTYPE=partition\0MODALIAS=usb:v1\0SEQNUM=12";
    struct uevent u;
    CHECK(uevent_parse(good, sizeof good, &u));
    CHECK_STR(u.action, "add");
    CHECK_STR(u.devpath, "/devices/pci0/usb1");
    CHECK_STR(u.subsystem, "block");
    CHECK_STR(u.devname, "sda1");
    CHECK_STR(u.devtype, "partition");
    CHECK_STR(u.modalias, "usb:v1");
    /* Cut anywhere: never read beyond, never a cut word. */
    for (size_t n = 0; n < sizeof good; n++) {
        char *copy = xmalloc(n + 1);
        memcpy(copy, good, n);
        if (uevent_parse(copy, n, &u))
            CHECK(strcmp(u.devpath, "/devices/pci0/usb1") == 0 &&
                  (!u.devname[0] || strcmp(u.devname, "sda1") == 0));
        free(copy);
    }
    CHECK(!uevent_parse("libudev\0x", 10, &u));
}

int main(void)
{
    RUN(dependencies_come_first);
    RUN(failures_and_loops_end);
    RUN(aliases_match);
    RUN(devices_get_theirs);
    RUN(kernel_messages);
    TEST_END();
}
