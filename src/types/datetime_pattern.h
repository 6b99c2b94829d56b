/* The patterns of to_char, to_date and to_timestamp: keywords with what stands before and after them.
 *
 * Keywords are case-sensitive where case decides the output's (MONTH, Month, month). Names are English (lc_time C). */
#ifndef PENSTOCK_TYPES_DATETIME_PATTERN_H
#define PENSTOCK_TYPES_DATETIME_PATTERN_H

#include "types/datetime_impl.h"

#define MONTHS   12
#define WEEKDAYS 7
extern const char *const month_names[MONTHS], *const roman_months[MONTHS]; /* from January, from I */
extern const char *const day_names[WEEKDAYS];                              /* from Sunday */

enum letters { UPPER, CAPITAL, LOWER };
enum keyword_id {
    K_AD,
    K_AD_DOTS,
    K_AM,
    K_AM_DOTS,
    K_CC,
    K_D,
    K_DAY,
    K_DD,
    K_DDD,
    K_DY,
    K_FF1,
    K_FF2,
    K_FF3,
    K_FF4,
    K_FF5,
    K_FF6,
    K_FX,
    K_HH12,
    K_HH24,
    K_I,
    K_ID,
    K_IDDD,
    K_IW,
    K_IY,
    K_IYY,
    K_IYYY,
    K_J,
    K_MI,
    K_MM,
    K_MON,
    K_MONTH,
    K_MS,
    K_OF,
    K_Q,
    K_RM,
    K_SS,
    K_SSSS,
    K_TZ,
    K_TZH,
    K_TZM,
    K_US,
    K_W,
    K_WW,
    K_Y,
    K_YY,
    K_YYY,
    K_YYYY,
    K_Y_YYY
}; /* A date is given by year, month and day or by ISO week; a pattern to read by must not mix them. */
enum date_convention { DATES_NONE, DATES_GREGORIAN, DATES_ISO };
struct dt_keyword {
    const char *text;
    uint8_t id, letters, convention;
    bool is_digits; /* reading: what stands before it must know where it ends */
};

/* A position in a pattern; the functions move p over what they read. */
struct pattern {
    const char *p, *end;
};
struct dt_affixes {
    bool fill_mode, translated; /* FM, TM before the keyword: no padding */
    char ordinal;               /* 'T' or 't' after it: TH, th */
};
/* The next keyword with its affixes, NULL where there is literal text (the prefixes before it are read and mean
 * nothing then). */
const struct dt_keyword *pattern_keyword(struct pattern *t, struct dt_affixes *a);

#endif
