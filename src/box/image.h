/* What an image says about itself: /etc/penstock/image.json in its root (BOX_IMAGE_JSON), and the same text in its slot's FAT file
 * system as \IMAGE.JSN, from where the other slot reads it. */
#ifndef PENSTOCK_BOX_IMAGE_H
#define PENSTOCK_BOX_IMAGE_H

#include "base/err.h"

#define IMAGE_JSON_BYTES_MAX 4096
#define IMAGE_TEXT_MAX       63
#define IMAGE_SLOT_FILE      "IMAGE.JSN" /* in the top folder of a slot's file system */

struct image_info {
    /* Printable ASCII without blanks. */
    char version[IMAGE_TEXT_MAX + 1], build[IMAGE_TEXT_MAX + 1], board[IMAGE_TEXT_MAX + 1];
    char created[IMAGE_TEXT_MAX + 1];           /* "2026-11-28T05:00:00Z" */
    uint32_t store_format, store_format_oldest; /* that its program writes, and reads at least */
};

/* ERR_CORRUPT, after `name`: what is missing or wrong. Foreign input is bounded. */
NODISCARD struct err *image_info_parse(const char *name, const void *text, size_t len,
                                       struct image_info *out);
NODISCARD struct err *image_info_load(const char *path, struct image_info *out);

#endif
