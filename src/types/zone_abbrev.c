/* Zone abbreviations that PostgreSQL's default set knows, and what they mean.
 *
 * Most have one offset. Those of zones that changed theirs name the zone instead: the meaning is then the one in
 * force at the date (MSK). Sorted by name. */
#include "types/datetime_impl.h"
#include <stdlib.h>
#include <string.h>

struct abbrev {
    char name[11];
    int16_t minutes; /* east of UTC, of standard or daylight time as is_dst says */
    bool is_dst;
    const char *zone; /* NULL: fixed */
};
/* clang-format off */
static const struct abbrev abbrevs[] = {
    {"acdt", 630, true, NULL}, {"acsst", 630, true, NULL}, {"acst", 570, false, NULL},
    {"act", -300, false, NULL}, {"acwst", 525, false, NULL}, {"adt", -180, true, NULL},
    {"aedt", 660, true, NULL}, {"aesst", 660, true, NULL}, {"aest", 600, false, NULL},
    {"aft", 270, false, NULL}, {"akdt", -480, true, NULL}, {"akst", -540, false, NULL},
    {"almst", 420, true, NULL}, {"almt", 360, false, NULL}, {"amst", 0, false, "Asia/Yerevan"},
    {"amt", -240, false, NULL}, {"anast", 0, false, "Asia/Anadyr"}, {"anat", 0, false, "Asia/Anadyr"},
    {"arst", 0, false, "America/Argentina/Buenos_Aires"},
    {"art", 0, false, "America/Argentina/Buenos_Aires"}, {"ast", -240, false, NULL},
    {"awsst", 540, true, NULL}, {"awst", 480, false, NULL}, {"azost", 0, true, NULL},
    {"azot", -60, false, NULL}, {"azst", 0, false, "Asia/Baku"}, {"azt", 0, false, "Asia/Baku"},
    {"bdst", 120, true, NULL}, {"bdt", 360, false, NULL}, {"bnt", 480, false, NULL},
    {"bort", 480, false, NULL}, {"bot", -240, false, NULL}, {"bra", -180, false, NULL},
    {"brst", -120, true, NULL}, {"brt", -180, false, NULL}, {"bst", 60, true, NULL},
    {"btt", 360, false, NULL}, {"cadt", 630, true, NULL}, {"cast", 570, false, NULL},
    {"cct", 480, false, NULL}, {"cdt", -300, true, NULL}, {"cest", 120, true, NULL},
    {"cet", 60, false, NULL}, {"cetdst", 120, true, NULL}, {"chadt", 825, true, NULL},
    {"chast", 765, false, NULL}, {"chut", 600, false, NULL}, {"ckt", 0, false, "Pacific/Rarotonga"},
    {"clst", -180, true, NULL}, {"clt", 0, false, "America/Santiago"}, {"cot", -300, false, NULL},
    {"cst", -360, false, NULL}, {"cxt", 420, false, NULL}, {"davt", 0, false, "Antarctica/Davis"},
    {"ddut", 600, false, NULL}, {"easst", 0, false, "Pacific/Easter"}, {"east", 0, false, "Pacific/Easter"},
    {"eat", 180, false, NULL}, {"edt", -240, true, NULL}, {"eest", 180, true, NULL},
    {"eet", 120, false, NULL}, {"eetdst", 180, true, NULL}, {"egst", 0, true, NULL},
    {"egt", -60, false, NULL}, {"est", -300, false, NULL}, {"fet", 180, false, NULL},
    {"fjst", 780, true, NULL}, {"fjt", 720, false, NULL}, {"fkst", 0, false, "Atlantic/Stanley"},
    {"fkt", 0, false, "Atlantic/Stanley"}, {"fnst", -60, true, NULL}, {"fnt", -120, false, NULL},
    {"galt", -360, false, NULL}, {"gamt", -540, false, NULL}, {"gest", 0, false, "Asia/Tbilisi"},
    {"get", 0, false, "Asia/Tbilisi"}, {"gft", -180, false, NULL}, {"gilt", 720, false, NULL},
    {"gmt", 0, false, NULL}, {"gyt", 0, false, "America/Guyana"}, {"hkt", 480, false, NULL},
    {"hst", -600, false, NULL}, {"ict", 420, false, NULL}, {"idt", 180, true, NULL},
    {"iot", 0, false, "Indian/Chagos"}, {"irkst", 0, false, "Asia/Irkutsk"},
    {"irkt", 0, false, "Asia/Irkutsk"}, {"irt", 210, false, NULL}, {"ist", 120, false, NULL},
    {"jayt", 540, false, NULL}, {"jst", 540, false, NULL}, {"kdt", 600, true, NULL},
    {"kgst", 360, true, NULL}, {"kgt", 0, false, "Asia/Bishkek"}, {"kost", 0, false, "Pacific/Kosrae"},
    {"krast", 0, false, "Asia/Krasnoyarsk"}, {"krat", 0, false, "Asia/Krasnoyarsk"},
    {"kst", 540, false, NULL}, {"lhdt", 0, false, "Australia/Lord_Howe"}, {"lhst", 630, false, NULL},
    {"ligt", 600, false, NULL}, {"lint", 0, false, "Pacific/Kiritimati"}, {"lkt", 0, false, "Asia/Colombo"},
    {"magst", 0, false, "Asia/Magadan"}, {"magt", 0, false, "Asia/Magadan"}, {"mart", -570, false, NULL},
    {"mawt", 0, false, "Antarctica/Mawson"}, {"mdt", -360, true, NULL}, {"mest", 120, true, NULL},
    {"mesz", 120, true, NULL}, {"met", 60, false, NULL}, {"metdst", 120, true, NULL},
    {"mez", 60, false, NULL}, {"mht", 720, false, NULL}, {"mmt", 390, false, NULL},
    {"mpt", 600, false, NULL}, {"msd", 240, true, NULL}, {"msk", 0, false, "Europe/Moscow"},
    {"mst", -420, false, NULL}, {"must", 300, true, NULL}, {"mut", 240, false, NULL},
    {"mvt", 300, false, NULL}, {"myt", 480, false, NULL}, {"ndt", -150, true, NULL},
    {"nft", -210, false, NULL}, {"novst", 0, false, "Asia/Novosibirsk"},
    {"novt", 0, false, "Asia/Novosibirsk"}, {"npt", 345, false, NULL}, {"nst", -210, false, NULL},
    {"nut", 0, false, "Pacific/Niue"}, {"nzdt", 780, true, NULL}, {"nzst", 720, false, NULL},
    {"nzt", 720, false, NULL}, {"omsst", 0, false, "Asia/Omsk"}, {"omst", 0, false, "Asia/Omsk"},
    {"pdt", -420, true, NULL}, {"pet", -300, false, NULL}, {"petst", 0, false, "Asia/Kamchatka"},
    {"pett", 0, false, "Asia/Kamchatka"}, {"pgt", 600, false, NULL}, {"pht", 480, false, NULL},
    {"pkst", 360, true, NULL}, {"pkt", 300, false, NULL}, {"pmdt", -120, true, NULL},
    {"pmst", -180, false, NULL}, {"pont", 660, false, NULL}, {"pst", -480, false, NULL},
    {"pwt", 540, false, NULL}, {"pyst", -180, true, NULL}, {"pyt", 0, false, "America/Asuncion"},
    {"ret", 240, false, NULL}, {"sadt", 630, true, NULL}, {"sast", 120, false, NULL},
    {"sct", 240, false, NULL}, {"sgt", 0, false, "Asia/Singapore"}, {"taht", -600, false, NULL},
    {"tft", 300, false, NULL}, {"tjt", 300, false, NULL}, {"tkt", 0, false, "Pacific/Fakaofo"},
    {"tmt", 0, false, "Asia/Ashgabat"}, {"tot", 780, false, NULL}, {"trut", 600, false, NULL},
    {"tvt", 720, false, NULL}, {"uct", 0, false, NULL}, {"ulast", 540, true, NULL},
    {"ulat", 0, false, "Asia/Ulaanbaatar"}, {"ut", 0, false, NULL}, {"utc", 0, false, NULL},
    {"uyst", -120, true, NULL}, {"uyt", -180, false, NULL}, {"uzst", 360, true, NULL},
    {"uzt", 300, false, NULL}, {"vet", 0, false, "America/Caracas"},
    {"vlast", 0, false, "Asia/Vladivostok"}, {"vlat", 0, false, "Asia/Vladivostok"},
    {"volt", 0, false, "Europe/Volgograd"}, {"vut", 660, false, NULL}, {"wadt", 480, true, NULL},
    {"wakt", 720, false, NULL}, {"wast", 420, false, NULL}, {"wat", 60, false, NULL},
    {"wdt", 540, true, NULL}, {"wet", 0, false, NULL}, {"wetdst", 60, true, NULL},
    {"wft", 720, false, NULL}, {"wgst", -120, true, NULL}, {"wgt", -180, false, NULL},
    {"xjt", 360, false, NULL}, {"yakst", 0, false, "Asia/Yakutsk"}, {"yakt", 0, false, "Asia/Yakutsk"},
    {"yapt", 600, false, NULL}, {"yekst", 360, true, NULL}, {"yekt", 0, false, "Asia/Yekaterinburg"},
    {"z", 0, false, NULL}, {"zulu", 0, false, NULL},
};
/* clang-format on */

static int abbrev_compare(const void *key, const void *row)
{
    return strcmp(key, ((const struct abbrev *)row)->name);
}

bool zone_abbrev_find(const char *lower, size_t len, int *offset, bool *is_dst, const void **zone)
{
    char key[11];
    *zone = NULL;
    /* PostgreSQL compares ten characters; no abbreviation is that long. */
    if (len == 0 || len >= sizeof key)
        return false;
    memcpy(key, lower, len);
    key[len] = '\0';
    const struct abbrev *a = bsearch(key, abbrevs, ARRAY_COUNT(abbrevs), sizeof *abbrevs, abbrev_compare);
    if (!a)
        return false;
    *offset = a->minutes * 60;
    *is_dst = a->is_dst;
    if (a->zone)
        *zone = zone_find(a->zone, strlen(a->zone));
    return !a->zone || *zone;
}
