/* The table of types: names, PostgreSQL's oids and categories, and the spellings SQL allows for each. */
#include "types/enum_type.h"
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* Array of `t`: named after it, its elements described by the element's own row. */
#define ARRAY(t, name, pg_name, oid, comparable)                                                   \
    {                                                                                              \
        T_ARRAYS + t, name "[]", "_" pg_name, oid, 'A', false, PHYS_STR, comparable, "array", NULL \
    }
#define PSEUDO(t, name, oid)                                            \
    {                                                                   \
        t, name, name, oid, 'P', false, PHYS_STR, false, "string", NULL \
    }

static const struct type_info types[T_ENUMS] = {
    {T_UNKNOWN, "unknown", "unknown", 705, 'X', false, PHYS_STR, false, "string", NULL},
    {T_BOOL, "boolean", "bool", 16, 'B', true, PHYS_I64, true, "boolean", NULL},
    {T_INT2, "smallint", "int2", 21, 'N', false, PHYS_I64, true, "integer", "int32"},
    {T_INT4, "integer", "int4", 23, 'N', false, PHYS_I64, true, "integer", "int32"},
    {T_INT8, "bigint", "int8", 20, 'N', false, PHYS_I64, true, "integer", "int64"},
    {T_FLOAT4, "real", "float4", 700, 'N', false, PHYS_F64, true, "number", "float"},
    {T_FLOAT8, "double precision", "float8", 701, 'N', true, PHYS_F64, true, "number", "double"},
    {T_NUMERIC, "numeric", "numeric", 1700, 'N', false, PHYS_NUM, true, "number", NULL},
    {T_TEXT, "text", "text", 25, 'S', true, PHYS_STR, true, "string", NULL},
    {T_VARCHAR, "character varying", "varchar", 1043, 'S', false, PHYS_STR, true, "string", NULL},
    {T_BPCHAR, "character", "bpchar", 1042, 'S', false, PHYS_STR, true, "string", NULL},
    {T_BYTEA, "bytea", "bytea", 17, 'U', false, PHYS_STR, true, "string", NULL},
    {T_DATE, "date", "date", 1082, 'D', false, PHYS_I64, true, "string", "date"},
    {T_TIME, "time without time zone", "time", 1083, 'D', false, PHYS_I64, true, "string", "time"},
    {T_TIMESTAMP, "timestamp without time zone", "timestamp", 1114, 'D', false, PHYS_I64, true, "string",
     NULL},
    {T_TIMESTAMPTZ, "timestamp with time zone", "timestamptz", 1184, 'D', true, PHYS_I64, true, "string",
     "date-time"},
    {T_INTERVAL, "interval", "interval", 1186, 'T', true, PHYS_INTERVAL, true, "string", NULL},
    {T_UUID, "uuid", "uuid", 2950, 'U', false, PHYS_UUID, true, "string", "uuid"},
    {T_JSON, "json", "json", 114, 'U', false, PHYS_STR, false, NULL, NULL},
    {T_JSONB, "jsonb", "jsonb", 3802, 'U', false, PHYS_STR, true, NULL, NULL},
    {T_JSONPATH, "jsonpath", "jsonpath", 4072, 'U', false, PHYS_STR, false, "string", NULL},
    {T_TIMETZ, "time with time zone", "timetz", 1266, 'D', false, PHYS_INTERVAL, true, "string", "time"},
    {T_INET, "inet", "inet", 869, 'I', true, PHYS_STR, true, "string", NULL},
    {T_CIDR, "cidr", "cidr", 650, 'I', false, PHYS_STR, true, "string", NULL},
    {T_MACADDR, "macaddr", "macaddr", 829, 'U', false, PHYS_I64, true, "string", NULL},
    {T_CITEXT, "citext", "citext", 0, 'S', false, PHYS_STR, true, "string", NULL},
    {T_INT4RANGE, "int4range", "int4range", 3904, 'R', false, PHYS_STR, true, "string", NULL},
    {T_INT8RANGE, "int8range", "int8range", 3926, 'R', false, PHYS_STR, true, "string", NULL},
    {T_NUMRANGE, "numrange", "numrange", 3906, 'R', false, PHYS_STR, true, "string", NULL},
    {T_TSRANGE, "tsrange", "tsrange", 3908, 'R', false, PHYS_STR, true, "string", NULL},
    {T_TSTZRANGE, "tstzrange", "tstzrange", 3910, 'R', false, PHYS_STR, true, "string", NULL},
    {T_DATERANGE, "daterange", "daterange", 3912, 'R', false, PHYS_STR, true, "string", NULL},
    {T_INT4MULTIRANGE, "int4multirange", "int4multirange", 4451, 'R', false, PHYS_STR, true, "string", NULL},
    {T_INT8MULTIRANGE, "int8multirange", "int8multirange", 4536, 'R', false, PHYS_STR, true, "string", NULL},
    {T_NUMMULTIRANGE, "nummultirange", "nummultirange", 4532, 'R', false, PHYS_STR, true, "string", NULL},
    {T_TSMULTIRANGE, "tsmultirange", "tsmultirange", 4533, 'R', false, PHYS_STR, true, "string", NULL},
    {T_TSTZMULTIRANGE, "tstzmultirange", "tstzmultirange", 4534, 'R', false, PHYS_STR, true, "string", NULL},
    {T_DATEMULTIRANGE, "datemultirange", "datemultirange", 4535, 'R', false, PHYS_STR, true, "string", NULL},
    ARRAY(T_UNKNOWN, "unknown", "unknown", 0, false),
    ARRAY(T_BOOL, "boolean", "bool", 1000, true),
    ARRAY(T_INT2, "smallint", "int2", 1005, true),
    ARRAY(T_INT4, "integer", "int4", 1007, true),
    ARRAY(T_INT8, "bigint", "int8", 1016, true),
    ARRAY(T_FLOAT4, "real", "float4", 1021, true),
    ARRAY(T_FLOAT8, "double precision", "float8", 1022, true),
    ARRAY(T_NUMERIC, "numeric", "numeric", 1231, true),
    ARRAY(T_TEXT, "text", "text", 1009, true),
    ARRAY(T_VARCHAR, "character varying", "varchar", 1015, true),
    ARRAY(T_BPCHAR, "character", "bpchar", 1014, true),
    ARRAY(T_BYTEA, "bytea", "bytea", 1001, true),
    ARRAY(T_DATE, "date", "date", 1182, true),
    ARRAY(T_TIME, "time without time zone", "time", 1183, true),
    ARRAY(T_TIMESTAMP, "timestamp without time zone", "timestamp", 1115, true),
    ARRAY(T_TIMESTAMPTZ, "timestamp with time zone", "timestamptz", 1185, true),
    ARRAY(T_INTERVAL, "interval", "interval", 1187, true),
    ARRAY(T_UUID, "uuid", "uuid", 2951, true),
    ARRAY(T_JSON, "json", "json", 199, false),
    ARRAY(T_JSONB, "jsonb", "jsonb", 3807, true),
    ARRAY(T_JSONPATH, "jsonpath", "jsonpath", 4073, false),
    ARRAY(T_TIMETZ, "time with time zone", "timetz", 1270, true),
    ARRAY(T_INET, "inet", "inet", 1041, true),
    ARRAY(T_CIDR, "cidr", "cidr", 651, true),
    ARRAY(T_MACADDR, "macaddr", "macaddr", 1040, true),
    ARRAY(T_CITEXT, "citext", "citext", 0, true),
    ARRAY(T_INT4RANGE, "int4range", "int4range", 3905, true),
    ARRAY(T_INT8RANGE, "int8range", "int8range", 3927, true),
    ARRAY(T_NUMRANGE, "numrange", "numrange", 3907, true),
    ARRAY(T_TSRANGE, "tsrange", "tsrange", 3909, true),
    ARRAY(T_TSTZRANGE, "tstzrange", "tstzrange", 3911, true),
    ARRAY(T_DATERANGE, "daterange", "daterange", 3913, true),
    ARRAY(T_INT4MULTIRANGE, "int4multirange", "int4multirange", 6150, true),
    ARRAY(T_INT8MULTIRANGE, "int8multirange", "int8multirange", 6157, true),
    ARRAY(T_NUMMULTIRANGE, "nummultirange", "nummultirange", 6151, true),
    ARRAY(T_TSMULTIRANGE, "tsmultirange", "tsmultirange", 6152, true),
    ARRAY(T_TSTZMULTIRANGE, "tstzmultirange", "tstzmultirange", 6153, true),
    ARRAY(T_DATEMULTIRANGE, "datemultirange", "datemultirange", 6155, true),
    PSEUDO(T_ANYELEMENT, "anyelement", 2283),
    PSEUDO(T_ANYARRAY, "anyarray", 2277),
    PSEUDO(T_ANYCOMPATIBLE, "anycompatible", 5077),
    PSEUDO(T_ANYCOMPATIBLEARRAY, "anycompatiblearray", 5078),
    PSEUDO(T_ANYENUM, "anyenum", 3500),
    PSEUDO(T_ANYRANGE, "anyrange", 3831),
    PSEUDO(T_ANYMULTIRANGE, "anymultirange", 4537),
    {T_RECORD, "record", "record", 2249, 'P', false, PHYS_STR, true, "string", NULL},
    {T_RECORD_ARRAY, "record[]", "_record", 2287, 'P', false, PHYS_STR, true, "array", NULL},
};

/* Spellings beside the two names above. */
static const struct {
    const char *name;
    enum type_id id;
} aliases[] = {
    {"int", T_INT4},
    {"float", T_FLOAT8},
    {"decimal", T_NUMERIC},
    {"dec", T_NUMERIC},
    {"char varying", T_VARCHAR},
    {"char", T_BPCHAR},
    {"nchar", T_BPCHAR},
    {"national character", T_BPCHAR},
    {"national char", T_BPCHAR},
    {"national character varying", T_VARCHAR},
    {"national char varying", T_VARCHAR},
};

const struct type_info *type_info(enum type_id id)
{
    ASSERT((unsigned)id < T_ID_END);
    return id < T_ENUMS ? &types[id] : enum_type_info(id);
}

/* Lower case, one blank between words, none at the ends; false when it does not fit. */
static bool fold_name(const char *name, char *out, size_t size)
{
    size_t n = 0;
    for (const char *p = name; *p; p++) {
        bool blank = *p == ' ' || *p == '\t' || *p == '\n';
        if (blank && (n == 0 || out[n - 1] == ' '))
            continue;
        if (n + 1 >= size)
            return false;
        out[n++] = blank ? ' ' : (char)(*p >= 'A' && *p <= 'Z' ? *p + 32 : *p);
    }
    while (n > 0 && out[n - 1] == ' ')
        n--;
    out[n] = '\0';
    return true;
}

/* Cuts one "[]" (or "[3]", which PostgreSQL reads and forgets) off the end; false when there is none. */
static bool cut_brackets(char *name)
{
    size_t n = strlen(name), i = n;
    if (n < 3 || name[n - 1] != ']')
        return false;
    i = n - 1;
    while (i > 0 && name[i - 1] >= '0' && name[i - 1] <= '9')
        i--;
    if (i < 2 || name[i - 1] != '[')
        return false;
    i--;
    while (i > 0 && name[i - 1] == ' ')
        i--;
    name[i] = '\0';
    return true;
}

static const struct type_info *find_name(const char *folded)
{
    const char *bare = strncmp(folded, "pg_catalog.", 11) == 0 ? folded + 11 : folded;
    for (size_t i = 0; i < T_COUNT; i++)
        if (i != T_ARRAYS && (strcmp(bare, types[i].name) == 0 || strcmp(bare, types[i].pg_name) == 0))
            return &types[i];
    for (size_t i = 0; i < ARRAY_COUNT(aliases); i++)
        if (strcmp(bare, aliases[i].name) == 0)
            return &types[aliases[i].id];
    return NULL;
}

static const struct type_info *find_builtin(const char *name)
{
    char folded[80];
    if (!fold_name(name, folded, sizeof folded))
        return NULL;
    bool is_array = false;
    while (cut_brackets(folded))
        is_array = true;
    const struct type_info *t = find_name(folded);
    if (!t || !is_array)
        return t;
    return t->id > T_UNKNOWN && t->id < T_SCALAR_COUNT ? &types[type_array(t->id)] : NULL;
}

/* Names of enums keep their case. */
static const struct type_info *find_enum(const char *name)
{
    char bare[TYPE_NAME_MAX + 1];
    bool is_array = false, several;
    if (strlen(name) > TYPE_NAME_MAX)
        return NULL;
    strcpy(bare, name);
    while (cut_brackets(bare))
        is_array = true;
    enum type_id id = enum_type_find(bare, &several);
    if (id == T_UNKNOWN)
        return NULL;
    return type_info(is_array ? type_array(id) : id);
}

const struct type_info *type_by_name(const char *name)
{
    const struct type_info *t = find_builtin(name);
    return t ? t : find_enum(name);
}

const struct type_info *type_by_oid(uint32_t oid)
{
    for (size_t i = 0; i < T_COUNT; i++)
        if (i != T_ARRAYS && oid && types[i].oid == oid)
            return &types[i];
    return NULL;
}

/* "interval" typmods hold a range of fields (high half) and a precision (low half, 0xffff none). */
static void format_interval(int32_t typmod, char *buf, size_t size)
{
    static const struct {
        int mask;
        const char *words;
    } ranges[] = {
        {1 << 2, " year"},
        {1 << 1, " month"},
        {1 << 3, " day"},
        {1 << 10, " hour"},
        {1 << 11, " minute"},
        {1 << 12, " second"},
        {1 << 2 | 1 << 1, " year to month"},
        {1 << 3 | 1 << 10, " day to hour"},
        {1 << 3 | 1 << 10 | 1 << 11, " day to minute"},
        {1 << 3 | 1 << 10 | 1 << 11 | 1 << 12, " day to second"},
        {1 << 10 | 1 << 11, " hour to minute"},
        {1 << 10 | 1 << 11 | 1 << 12, " hour to second"},
        {1 << 11 | 1 << 12, " minute to second"},
    };
    const char *words = "";
    for (size_t i = 0; i < ARRAY_COUNT(ranges); i++)
        if (ranges[i].mask == ((typmod >> 16) & 0x7fff))
            words = ranges[i].words;
    int precision = typmod & 0xffff;
    if (precision == 0xffff)
        snprintf(buf, size, "interval%s", words);
    else
        snprintf(buf, size, "interval%s(%d)", words, precision);
}

const char *type_format(struct type t, char *buf, size_t size_bytes)
{
    if (type_is_array(t.id)) {
        type_format((struct type){type_element(t.id), t.typmod}, buf, size_bytes);
        size_t n = strlen(buf);
        snprintf(buf + n, size_bytes - n, "[]");
        return buf;
    }
    const char *name = type_info(t.id)->name;
    int32_t m = t.typmod;
    if (t.id == T_BPCHAR && m < 0)
        snprintf(buf, size_bytes, "bpchar"); /* "character" alone would be read as character(1) */
    else if (m < 0)
        snprintf(buf, size_bytes, "%s", name);
    else if (t.id == T_NUMERIC)
        snprintf(buf, size_bytes, "numeric(%d,%d)", ((m - 4) >> 16) & 0xffff,
                 (((m - 4) & 0x7ff) ^ 1024) - 1024);
    else if (t.id == T_VARCHAR || t.id == T_BPCHAR)
        snprintf(buf, size_bytes, "%s(%d)", name, m - 4);
    else if (t.id == T_TIME || t.id == T_TIMESTAMP)
        snprintf(buf, size_bytes, "%s(%d) without time zone", t.id == T_TIME ? "time" : "timestamp", m);
    else if (t.id == T_TIMETZ)
        snprintf(buf, size_bytes, "time(%d) with time zone", m);
    else if (t.id == T_TIMESTAMPTZ)
        snprintf(buf, size_bytes, "timestamp(%d) with time zone", m);
    else if (t.id == T_INTERVAL)
        format_interval(m, buf, size_bytes);
    else
        snprintf(buf, size_bytes, "%s", name);
    return buf;
}
