/* EFI variables: which boot option comes next, their order, and the options themselves (UEFI specification 2.10, chapters 3.1 and 10.3).
 *
 * The variables are behind an interface of three functions: a box's are the files of efivarfs, a test's are its own. Writes go to the
 * firmware's flash, which is slow and wears: nothing is written that is there already. What is read was written by the firmware or by
 * other systems, so that every length is checked. No threads. */
#ifndef PENSTOCK_BOX_EFIVAR_H
#define PENSTOCK_BOX_EFIVAR_H

#include "base/err.h"

#include <sys/types.h>

#define EFI_VARIABLES          "/sys/firmware/efi/efivars"
#define EFI_GLOBAL             "-8be4df61-93ca-11d2-aa0d-00e098032b8c"
#define EFI_LOADER             "-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f" /* systemd's boot stub */
#define EFI_VARIABLE_BYTES_MAX 4096
#define EFI_ORDER_MAX          128 /* boot options in BootOrder that are looked at */
#define EFI_DESCRIPTION_MAX    63
#define EFI_FILE_MAX           127

/* Names are with their GUID: "BootNext-8be4...". Data are without the 4 bytes of attributes. */
struct efi {
    void *ctx;
    /* Bytes read, at most size; -1 and errno (ENOENT: there is no such variable). */
    ssize_t (*read)(void *ctx, const char *name, void *out, size_t size);
    int (*write)(void *ctx, const char *name, const void *p, size_t len); /* p NULL: removed. 0, or errno */
    int (*list)(void *ctx, void (*fn)(void *arg, const char *name), void *arg); /* 0, or errno */
};
/* efivarfs at dir, borrowed. */
struct efi efi_directory(const char *dir);
bool efi_present(const struct efi *v); /* whether there are variables at all */

/* A boot option of a file on a partition of a GPT disk. */
struct efi_option {
    bool active;
    char description[EFI_DESCRIPTION_MAX + 1]; /* ASCII */
    uint32_t part_number;                      /* from 1 */
    uint64_t part_first, part_sectors;         /* in the disk's logical blocks */
    uint8_t part_guid[16];                     /* as in the table */
    char file[EFI_FILE_MAX + 1];               /* ASCII, with backslashes */
};
#define EFI_OPTION_BYTES_MAX (6 + 2 * (EFI_DESCRIPTION_MAX + 1) + 42 + 4 + 2 * (EFI_FILE_MAX + 1) + 4)
size_t efi_option_encode(const struct efi_option *o, uint8_t out[EFI_OPTION_BYTES_MAX]);
/* False: it is an option of another kind (a network, a whole disk), or damaged. */
bool efi_option_decode(const uint8_t *p, size_t len, struct efi_option *out);

/* Whether the option with this number is active and starts `o`'s file on `o`'s partition. */
bool efi_option_starts(const struct efi *v, int number, const struct efi_option *o);
/* Makes it, or makes it what it should be: its number. */
NODISCARD struct err *efi_option_ensure(const struct efi *v, const struct efi_option *o, uint16_t *number);

uint32_t efi_order_read(const struct efi *v,
                        uint16_t out[EFI_ORDER_MAX]); /* how many; 0: none, or unreadable */
/* Puts these two options first, in this order; the others follow as they were. */
NODISCARD struct err *efi_order_put_first(const struct efi *v, uint16_t first, uint16_t second);
int efi_next_read(const struct efi *v); /* BootNext; -1: none */
NODISCARD struct err *efi_next_write(const struct efi *v, uint16_t number);
NODISCARD struct err *efi_next_remove(const struct efi *v);
/* The GUID of the partition that the running kernel image came from; false: it does not say. */
bool efi_loader_part(const struct efi *v, uint8_t guid[16]);

#endif
