/* A loaded time zone: what TZif data and POSIX rules are turned into. */
#ifndef PENSTOCK_TYPES_ZONE_IMPL_H
#define PENSTOCK_TYPES_ZONE_IMPL_H

#include "base/base.h"

#define ZONE_ABBREV_MAX 16

enum posix_date_kind {
    RULE_JULIAN, /* Jn: 1..365, 29 February never counts */
    RULE_DAY,    /* n: 0..365 */
    RULE_WEEKDAY /* Mm.w.d: day d of week w (5: the last) of month m */
};
struct posix_date {
    enum posix_date_kind kind;
    int month, week, day;
    int seconds; /* after local midnight; may be negative or beyond a day */
};
struct posix_rule { /* offsets are seconds east of UTC */
    int std_offset, dst_offset;
    bool has_dst;
    struct posix_date start, end;
    char std_name[ZONE_ABBREV_MAX], dst_name[ZONE_ABBREV_MAX];
};
struct zone_type {
    int32_t offset;
    bool is_dst;
    uint8_t abbrev; /* index into abbrevs */
};
struct zone {
    uint32_t transition_count, type_count;
    int64_t *at;             /* owned: Unix seconds, ascending */
    uint8_t *type_of;        /* owned: the type that begins there */
    struct zone_type *types; /* owned */
    char *abbrevs;           /* owned: NUL-terminated names one after the other */
    uint8_t first_type;      /* before the first transition */
    bool has_rule;           /* rule holds after the last transition */
    struct posix_rule rule;
};

/* The zones in the program, written by scripts/embed-zones: sorted by name in upper case; several may share data. */
struct zone_embedded {
    const char *name;
    uint32_t at, size_bytes; /* in zones_data: what zone_from_tzif_block takes */
};
extern const struct zone_embedded zones[];
extern const uint32_t zones_count;
extern const uint8_t zones_data[];
extern const char zones_version[]; /* of the tz database: "2025b" */

/* Each returns a new zone, or NULL when malformed or unknown. Names in upper case. */
struct zone *zone_from_tzif(const uint8_t *p, size_t len);
/* From the second header on: the 64-bit block and the footer. */
struct zone *zone_from_tzif_block(const uint8_t *p, size_t len);
struct zone *zone_from_posix(const char *spec);
void zone_free(struct zone *z);
bool posix_rule_parse(const char *spec, struct posix_rule *out);

#endif
