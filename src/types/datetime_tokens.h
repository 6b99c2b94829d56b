/* Words and fields of date, time and interval literals: what their readers share (datetime_tokens.c). */
#ifndef PENSTOCK_TYPES_DATETIME_TOKENS_H
#define PENSTOCK_TYPES_DATETIME_TOKENS_H

#include "types/datetime_impl.h"

enum word_kind {
    WORD_IGNORED,
    WORD_RESERVED,
    WORD_MONTH,
    WORD_WEEKDAY,
    WORD_MERIDIAN, /* 1 am, 2 pm */
    WORD_ERA,      /* 1 BC */
    WORD_DST_MODIFIER,
    WORD_UNIT,
    WORD_ISO_TIME
};
enum reserved_word {
    RESERVED_EPOCH,
    RESERVED_LATE,
    RESERVED_EARLY,
    RESERVED_MIDNIGHT_UTC,
    RESERVED_NOT_PURE
};
struct word {
    const char *text;
    enum word_kind kind;
    int value;
};
/* A word of date literals in lower case, NULL if it is none. */
const struct word *date_word_find(const char *lower);

#define FIELD_MAX 25
enum field_kind { FIELD_NUMBER, FIELD_STRING, FIELD_DATE, FIELD_TIME, FIELD_ZONE, FIELD_SPECIAL };
struct field_list {
    uint32_t count;
    enum field_kind kind[FIELD_MAX];
    char *text[FIELD_MAX]; /* into bytes; letters in lower case */
    size_t used, room;
    char bytes[256];
};
/* Bytes that the fields of one literal may take, as in PostgreSQL. */
#define FIELD_ROOM_DATE     153
#define FIELD_ROOM_INTERVAL 256

enum dt_result {
    DT_OK,
    DT_BAD_FORMAT,
    DT_FIELD_OVERFLOW,
    DT_INTERVAL_OVERFLOW,
    DT_ZONE_OVERFLOW,
    DT_RANGE,
    DT_BAD_ZONE,
    DT_NOT_PURE /* 'now', 'today', ... */
};
enum dt_result field_list_parse(struct field_list *f, size_t room, const char *text, size_t len);
/* Reports r as PostgreSQL words it; `text` is the literal (of DT_BAD_ZONE the zone's name). Returns false. */
bool dt_fail(struct fn_ctx *ctx, enum dt_result r, const char *type, const char *text, size_t len);

/* "+02", "-0330", "+01:30:15" as seconds east: datetime_io.c. */
enum dt_result offset_parse(const char *text, int *offset);

/* Decimal digits with an optional sign at *p, which moves on; false on overflow. */
bool read_i64(char **p, int64_t *out);
bool read_int(char **p, int *out);
/* p is at a point: what follows must be digits to the end; nothing reads as 0. */
bool read_fraction(const char *p, double *out);

#endif
