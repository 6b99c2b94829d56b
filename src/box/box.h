/* The appliance: where things lie on a box, and what its parts call each other.
 *
 * Root is an initramfs, mounted read-only once PID 1 has set it up. What lasts is on two partitions: the data partition (ext4, mounted
 * on /data) and the identity partition (raw, two checksummed copies), which keeps what the box needs to be reached when the data
 * partition is lost. Users: root (PID 1, privileged commands), penstock (pipeline, server), admin (SSH sessions). */
#ifndef PENSTOCK_BOX_BOX_H
#define PENSTOCK_BOX_BOX_H

/* GPT names of the partitions. */
#define BOX_PART_A        "penstock-a"
#define BOX_PART_B        "penstock-b"
#define BOX_PART_IDENTITY "penstock-identity"
#define BOX_PART_DATA     "penstock-data"

/* The loader's path of the kernel image in each slot's FAT file system. */
#define BOX_UKI_PATH "/EFI/BOOT/BOOTAA64.EFI"

/* In the image, read-only. */
#define BOX_IMAGE_JSON     "/etc/penstock/image.json" /* version, build, board, store formats; see image.h */
#define BOX_IMAGE_KEYS     "/etc/penstock/keys"    /* *.pub: who may sign images, baked in by the builder */
#define BOX_DEFAULT_CONFIG "/etc/penstock/default" /* configuration of a box that was given none */

/* On the data partition. */
#define BOX_DATA     "/data"
#define BOX_DIR      "/data/box" /* root alone; copied to the identity partition whenever it changes */
#define BOX_SETTINGS BOX_DIR "/box.yaml"
#define BOX_SETTINGS_BEFORE \
    BOX_DIR "/box.yaml.before" /* to go back to, while a change is not confirmed; see init/net_pending.h */
#define BOX_SSH_KEYS BOX_DIR "/authorized_keys"
#define BOX_HOST_KEY BOX_DIR "/dropbear_ed25519_host_key"
#define BOX_TRUST    BOX_DIR "/keys"       /* *.pub: provisioned keys that sign images and configurations */
#define BOX_ADMIN    BOX_DIR "/admin.json" /* the console's password, hashed; absent: unclaimed */
#define BOX_CLAIM    BOX_DIR "/claim"      /* the code that claims it, until then */
#define BOX_CLOCK    BOX_DIR "/clock"      /* the latest time known, Unix seconds */
#define BOX_CONFIG \
    "/data/config/current" /* a directory with penstock.yaml; another one takes its place at once */
#define BOX_CONFIG_OLD "/data/config/previous"
#define BOX_YAML       BOX_CONFIG "/penstock.yaml"
#define BOX_STORE      "/data/store" /* --data of penstock run; the user penstock's */
#define BOX_LOG        "/data/log"   /* bounded files, see init/log_ring.h */

/* State of this boot; JSON files, readable by all. */
#define BOX_RUN             "/run/box"
#define BOX_RUN_BOOT        BOX_RUN "/boot.json" /* by init: rescue, data partition, modules, watchdog, times */
#define BOX_RUN_NETWORK     BOX_RUN "/network.json" /* by init: interfaces, addresses, resolvers, clock */
#define BOX_RUN_HEALTH      BOX_RUN "/health.json"  /* by init: the last checks of health */
#define BOX_RUN_TRIAL       BOX_RUN "/trial"   /* there while the running slot is on trial; see trial.h */
#define BOX_CONTROL_SHELL   BOX_RUN "/control" /* socket, root:admin 0660; see control.h */
#define BOX_CONTROL_CONSOLE BOX_RUN "/console" /* socket, root:penstock 0660 */

enum box_user {
    BOX_ROOT = 0,
    BOX_PENSTOCK = 100,
    BOX_ADMIN_USER = 101,
    BOX_DHCP = 102,
    BOX_TIME = 103
}; /* uid and gid */

/* The board's name of this image, NULL when this is no box: whether PID 1 is ours. */
const char *box_board(void);

#endif
