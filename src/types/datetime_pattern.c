/* The keywords of date and time patterns. The first that matches in the order of the table is taken, so longer ones come first. */
#include "types/datetime_pattern.h"
#include <string.h>

/* clang-format off */
static const struct dt_keyword keywords[] = {
    {"A.D.", K_AD_DOTS, UPPER, DATES_NONE, false}, {"A.M.", K_AM_DOTS, UPPER, DATES_NONE, false},
    {"AD", K_AD, UPPER, DATES_NONE, false}, {"AM", K_AM, UPPER, DATES_NONE, false},
    {"B.C.", K_AD_DOTS, UPPER, DATES_NONE, false}, {"BC", K_AD, UPPER, DATES_NONE, false},
    {"CC", K_CC, UPPER, DATES_NONE, true}, {"DAY", K_DAY, UPPER, DATES_NONE, false},
    {"DDD", K_DDD, UPPER, DATES_GREGORIAN, true}, {"DD", K_DD, UPPER, DATES_GREGORIAN, true},
    {"DY", K_DY, UPPER, DATES_NONE, false}, {"Day", K_DAY, CAPITAL, DATES_NONE, false},
    {"Dy", K_DY, CAPITAL, DATES_NONE, false}, {"D", K_D, UPPER, DATES_GREGORIAN, true},
    {"FF1", K_FF1, UPPER, DATES_NONE, true}, {"FF2", K_FF2, UPPER, DATES_NONE, true},
    {"FF3", K_FF3, UPPER, DATES_NONE, true}, {"FF4", K_FF4, UPPER, DATES_NONE, true},
    {"FF5", K_FF5, UPPER, DATES_NONE, true}, {"FF6", K_FF6, UPPER, DATES_NONE, true},
    {"FX", K_FX, UPPER, DATES_NONE, false}, {"HH24", K_HH24, UPPER, DATES_NONE, true},
    {"HH12", K_HH12, UPPER, DATES_NONE, true}, {"HH", K_HH12, UPPER, DATES_NONE, true},
    {"IDDD", K_IDDD, UPPER, DATES_ISO, true}, {"ID", K_ID, UPPER, DATES_ISO, true},
    {"IW", K_IW, UPPER, DATES_ISO, true}, {"IYYY", K_IYYY, UPPER, DATES_ISO, true},
    {"IYY", K_IYY, UPPER, DATES_ISO, true}, {"IY", K_IY, UPPER, DATES_ISO, true}, {"I", K_I, UPPER, DATES_ISO, true},
    {"J", K_J, UPPER, DATES_NONE, true}, {"MI", K_MI, UPPER, DATES_NONE, true},
    {"MM", K_MM, UPPER, DATES_GREGORIAN, true}, {"MONTH", K_MONTH, UPPER, DATES_GREGORIAN, false},
    {"MON", K_MON, UPPER, DATES_GREGORIAN, false}, {"MS", K_MS, UPPER, DATES_NONE, true},
    {"Month", K_MONTH, CAPITAL, DATES_GREGORIAN, false}, {"Mon", K_MON, CAPITAL, DATES_GREGORIAN, false},
    {"OF", K_OF, UPPER, DATES_NONE, false}, {"P.M.", K_AM_DOTS, UPPER, DATES_NONE, false},
    {"PM", K_AM, UPPER, DATES_NONE, false}, {"Q", K_Q, UPPER, DATES_NONE, true},
    {"RM", K_RM, UPPER, DATES_GREGORIAN, false}, {"SSSSS", K_SSSS, UPPER, DATES_NONE, true},
    {"SSSS", K_SSSS, UPPER, DATES_NONE, true}, {"SS", K_SS, UPPER, DATES_NONE, true},
    {"TZH", K_TZH, UPPER, DATES_NONE, false}, {"TZM", K_TZM, UPPER, DATES_NONE, true},
    {"TZ", K_TZ, UPPER, DATES_NONE, false}, {"US", K_US, UPPER, DATES_NONE, true},
    {"WW", K_WW, UPPER, DATES_GREGORIAN, true}, {"W", K_W, UPPER, DATES_GREGORIAN, true},
    {"Y,YYY", K_Y_YYY, UPPER, DATES_GREGORIAN, true}, {"YYYY", K_YYYY, UPPER, DATES_GREGORIAN, true},
    {"YYY", K_YYY, UPPER, DATES_GREGORIAN, true}, {"YY", K_YY, UPPER, DATES_GREGORIAN, true},
    {"Y", K_Y, UPPER, DATES_GREGORIAN, true}, {"a.d.", K_AD_DOTS, LOWER, DATES_NONE, false},
    {"a.m.", K_AM_DOTS, LOWER, DATES_NONE, false}, {"ad", K_AD, LOWER, DATES_NONE, false},
    {"am", K_AM, LOWER, DATES_NONE, false}, {"b.c.", K_AD_DOTS, LOWER, DATES_NONE, false},
    {"bc", K_AD, LOWER, DATES_NONE, false}, {"cc", K_CC, LOWER, DATES_NONE, true},
    {"day", K_DAY, LOWER, DATES_NONE, false}, {"ddd", K_DDD, LOWER, DATES_GREGORIAN, true},
    {"dd", K_DD, LOWER, DATES_GREGORIAN, true}, {"dy", K_DY, LOWER, DATES_NONE, false},
    {"d", K_D, LOWER, DATES_GREGORIAN, true}, {"ff1", K_FF1, LOWER, DATES_NONE, true},
    {"ff2", K_FF2, LOWER, DATES_NONE, true}, {"ff3", K_FF3, LOWER, DATES_NONE, true},
    {"ff4", K_FF4, LOWER, DATES_NONE, true}, {"ff5", K_FF5, LOWER, DATES_NONE, true},
    {"ff6", K_FF6, LOWER, DATES_NONE, true}, {"fx", K_FX, LOWER, DATES_NONE, false},
    {"hh24", K_HH24, LOWER, DATES_NONE, true}, {"hh12", K_HH12, LOWER, DATES_NONE, true},
    {"hh", K_HH12, LOWER, DATES_NONE, true}, {"iddd", K_IDDD, LOWER, DATES_ISO, true},
    {"id", K_ID, LOWER, DATES_ISO, true}, {"iw", K_IW, LOWER, DATES_ISO, true},
    {"iyyy", K_IYYY, LOWER, DATES_ISO, true}, {"iyy", K_IYY, LOWER, DATES_ISO, true},
    {"iy", K_IY, LOWER, DATES_ISO, true}, {"i", K_I, LOWER, DATES_ISO, true}, {"j", K_J, LOWER, DATES_NONE, true},
    {"mi", K_MI, LOWER, DATES_NONE, true}, {"mm", K_MM, LOWER, DATES_GREGORIAN, true},
    {"month", K_MONTH, LOWER, DATES_GREGORIAN, false}, {"mon", K_MON, LOWER, DATES_GREGORIAN, false},
    {"ms", K_MS, LOWER, DATES_NONE, true}, {"of", K_OF, LOWER, DATES_NONE, false},
    {"p.m.", K_AM_DOTS, LOWER, DATES_NONE, false}, {"pm", K_AM, LOWER, DATES_NONE, false},
    {"q", K_Q, LOWER, DATES_NONE, true}, {"rm", K_RM, LOWER, DATES_GREGORIAN, false},
    {"sssss", K_SSSS, LOWER, DATES_NONE, true}, {"ssss", K_SSSS, LOWER, DATES_NONE, true},
    {"ss", K_SS, LOWER, DATES_NONE, true}, {"tzh", K_TZH, LOWER, DATES_NONE, false},
    {"tzm", K_TZM, LOWER, DATES_NONE, true}, {"tz", K_TZ, LOWER, DATES_NONE, false},
    {"us", K_US, LOWER, DATES_NONE, true}, {"ww", K_WW, LOWER, DATES_GREGORIAN, true},
    {"w", K_W, LOWER, DATES_GREGORIAN, true}, {"y,yyy", K_Y_YYY, LOWER, DATES_GREGORIAN, true},
    {"yyyy", K_YYYY, LOWER, DATES_GREGORIAN, true}, {"yyy", K_YYY, LOWER, DATES_GREGORIAN, true},
    {"yy", K_YY, LOWER, DATES_GREGORIAN, true}, {"y", K_Y, LOWER, DATES_GREGORIAN, true},
};
const char *const month_names[MONTHS] = {"January", "February", "March", "April", "May", "June", "July", "August",
    "September", "October", "November", "December"};
const char *const day_names[WEEKDAYS] = {"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"};
const char *const roman_months[MONTHS] = {"I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"};
/* clang-format on */

static bool at_text(const struct pattern *t, const char *word)
{
    size_t n = strlen(word);
    return (size_t)(t->end - t->p) >= n && memcmp(t->p, word, n) == 0;
}

static const struct dt_keyword *keyword_at(const struct pattern *t)
{
    for (size_t i = 0; i < ARRAY_COUNT(keywords); i++)
        if (keywords[i].text[0] == *t->p && at_text(t, keywords[i].text))
            return &keywords[i];
    return NULL;
}

const struct dt_keyword *pattern_keyword(struct pattern *t, struct dt_affixes *a)
{
    *a = (struct dt_affixes){.fill_mode = at_text(t, "FM") || at_text(t, "fm"),
                             .translated = at_text(t, "TM") || at_text(t, "tm")};
    if (a->fill_mode || a->translated)
        t->p += 2;
    const struct dt_keyword *k = t->p < t->end ? keyword_at(t) : NULL;
    if (!k)
        return NULL;
    t->p += strlen(k->text);
    a->ordinal = at_text(t, "TH") ? 'T' : at_text(t, "th") ? 't' : '\0';
    if (a->ordinal || at_text(t, "SP"))
        t->p += 2;
    return k;
}
