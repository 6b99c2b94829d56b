/* The data partition: grown, made at the first boot, checked, mounted; or done without (rescue).
 *
 * A file system is made only where the table's entry carries GPT_ATTRIBUTE_FRESH, which is taken away when it is complete: a power cut before
 * begins anew, and nothing that ever held data is made anew. One that cannot be repaired or mounted is left as it is; /data is
 * memory then, so that the box is reached.
 *
 * Programs (mke2fs, e2fsck) are children within the loop; their output goes to the log. */
#ifndef PENSTOCK_INIT_STORAGE_H
#define PENSTOCK_INIT_STORAGE_H

#include "box/identity.h"
#include "init/disk.h"
#include "init/log_hub.h"

#define STORAGE_MKFS_MS   (15 * 60 * 1000)
#define STORAGE_FSCK_MS   (60 * 60 * 1000) /* a large disk after a bad cut; the watchdog is petted meanwhile */
#define STORAGE_RESCUE_MB 64               /* size of /data in memory */

enum storage_check { STORAGE_CLEAN, STORAGE_REPAIRED, STORAGE_BROKEN };
struct storage {
    struct loop *loop;           /* borrowed */
    struct log_hub *log;         /* borrowed */
    const char *mke2fs, *e2fsck; /* programs */
    struct disk disk;
    bool rescue, formatted, grown;
    enum storage_check check;
    char reason[200]; /* of the rescue, or what was repaired */
    uint64_t bytes;   /* of the file system's partition */
};

/* What became of a file system check, by e2fsck's exit status (its manual: 1 repaired, 2 repaired and to be rebooted, 4 and more:
 * errors are left). */
enum storage_check storage_check_result(int wait_status);

/* The table: grows the data partition where there is room, mends copies. *fresh, *part. Tells the kernel the new size when
 * `kernel`. ERR_*: it could not be read or written; nothing is lost by that. */
NODISCARD struct err *storage_table(const char *device, const char *part_name, bool kernel, bool *grown,
                                    bool *fresh, struct gpt_part *part);
/* Takes GPT_ATTRIBUTE_FRESH away (or puts it, for a factory reset). */
NODISCARD struct err *storage_mark_fresh(const char *device, const char *part_name, bool fresh);

/* -p, then -y when that was not enough. */
enum storage_check storage_fsck(struct storage *s, const char *device);
bool storage_mkfs(struct storage *s, const char *device);

/* All of it, on the disk found: /data is mounted afterwards, one way or the other. have_disk: false when none was found. */
void storage_mount(struct storage *s, bool have_disk);
/* The folders of /data under `data` with their owners and modes. Returns how many could not be made right. */
uint32_t storage_folders(const char *data);
/* BOX_DIR from the identity partition where that is needed; see identity.h. device: "" without. */
void storage_restore_identity(struct storage *s, const char *device, const char *dir);

#endif
