/* One SQL value in memory: 16 bytes, whatever its type.
 *
 * One width means one code path through batches, expressions and codecs (no switch on width at gather and
 * scatter); integers waste 8 bytes of a batch that lives in cache anyway. Whether a value is NULL is kept
 * beside it (enum val_state), never in it. Pointers inside (text, bytea, json, big numerics) are borrowed from
 * the arena or batch that the value came with. */
#ifndef PENSTOCK_TYPES_VAL_H
#define PENSTOCK_TYPES_VAL_H

#include "base/base.h"

#define ENUM_TYPES_MAX 64  /* different enum types of all sources */
#define TYPE_NAME_MAX  255 /* bytes: a source's name and two of 63 bytes at most, with points and brackets */

/* PostgreSQL's types as far as they are supported. The order is not stored anywhere. */
enum type_id {
    T_UNKNOWN, /* an untyped literal before resolution; NULL without a type */
    T_BOOL,
    T_INT2,
    T_INT4,
    T_INT8,
    T_FLOAT4,
    T_FLOAT8,
    T_NUMERIC,
    T_TEXT,
    T_VARCHAR,
    T_BPCHAR, /* char(n): stored blank-padded as PostgreSQL does; trailing blanks do not count in comparisons */
    T_BYTEA,
    T_DATE,
    T_TIME,
    T_TIMESTAMP,
    T_TIMESTAMPTZ,
    T_INTERVAL,
    T_UUID,
    T_JSON,
    T_JSONB,
    T_JSONPATH, /* its text as written */
    T_TIMETZ,
    T_INET,
    T_CIDR,
    T_MACADDR,
    T_CITEXT,    /* the extension's: compares by its lower case */
    T_INT4RANGE, /* ranges, then multiranges in the same order, as types/range.h encodes them */
    T_INT8RANGE,
    T_NUMRANGE,
    T_TSRANGE,
    T_TSTZRANGE,
    T_DATERANGE,
    T_INT4MULTIRANGE,
    T_INT8MULTIRANGE,
    T_NUMMULTIRANGE,
    T_TSMULTIRANGE,
    T_TSTZMULTIRANGE,
    T_DATEMULTIRANGE,
    T_SCALAR_COUNT,
    T_ARRAYS = T_SCALAR_COUNT, /* the array of type t is T_ARRAYS + t: see type_array */
    T_COUNT = 2 * T_SCALAR_COUNT,
    /* Only in signatures of functions: PostgreSQL's polymorphic types, replaced when a call is resolved. */
    T_ANYELEMENT = T_COUNT,
    T_ANYARRAY,
    T_ANYCOMPATIBLE,
    T_ANYCOMPATIBLEARRAY,
    T_ANYENUM,
    T_ANYRANGE,
    T_ANYMULTIRANGE,
    T_ANY_END,
    /* Rows as values (data/record.h), which no column of a source or of a published view has, and arrays of them. */
    T_RECORD = T_ANY_END,
    T_RECORD_ARRAY,
    /* Enums that sources define, by their place in the process's list (types/enum_type.h), and arrays of them. */
    T_ENUMS,
    T_ENUM_ARRAYS = T_ENUMS + ENUM_TYPES_MAX,
    T_ID_END = T_ENUM_ARRAYS + ENUM_TYPES_MAX
};
_Static_assert(T_ID_END <= 256, "a type is a byte in signatures");

enum val_state {
    VAL_OK = 0,
    VAL_NULL = 1,
    VAL_ERROR = 2,    /* expression failed for this row (1/0, overflow, bad cast); see struct fn_error */
    VAL_UNCHANGED = 3 /* only in rows from a source: an unchanged TOAST value, to be taken from the old row */
};

struct str {          /* text, varchar, bpchar, bytea, json, jsonb (normalised text, see types/json.h) */
    const uint8_t *p; /* not NUL-terminated; may be NULL when len is 0 */
    uint32_t len;
    uint32_t spare;
};

/* numeric. The magnitude is an integer m; the value is m / 10^dscale. Canonical: NUM_SMALL exactly when m < 2^96. */
enum num_kind { NUM_SMALL = 0, NUM_BIG, NUM_NAN, NUM_PINF, NUM_NINF };
struct num {
    uint64_t lo;     /* NUM_SMALL: low 64 bits of m. NUM_BIG: pointer to m as little-endian uint32 limbs */
    uint32_t hi;     /* NUM_SMALL: bits 64..95 of m. NUM_BIG: number of limbs */
    uint16_t dscale; /* display scale, 0..16383: digits after the point */
    uint8_t kind;    /* enum num_kind */
    uint8_t neg;     /* 1 negative; zero is never negative */
};

struct interval {
    int64_t usecs;
    int32_t days;
    int32_t months;
};

union val {
    int64_t
        i; /* bool 0/1, int2, int4, int8; macaddr: its 48 bits; date: days since 2000-01-01; time: microseconds since
                           midnight; timestamp(tz): microseconds since 2000-01-01 (UTC);
                           infinities of date: INT32_MIN/MAX, of timestamps: INT64_MIN/MAX, as in PostgreSQL */
    double f; /* float4 (already rounded to float), float8 */
    struct str
        s; /* T_TEXT .. T_BYTEA, T_JSON, T_JSONB; inet and cidr, see types/inet.h; arrays, as types/array.h encodes them; ranges, see types/range.h; enums, as
                           types/enum_type.h says; records, as data/record.h */
    struct num n;       /* T_NUMERIC */
    struct interval iv; /* T_INTERVAL; T_TIMETZ, see types/func_timetz.c */
    uint8_t uuid[16];   /* T_UUID */
};
_Static_assert(sizeof(union val) == 16, "a value is 16 bytes");

/* How a type's values are laid out in union val; what codecs and copies switch on. */
enum phys { PHYS_I64, PHYS_F64, PHYS_NUM, PHYS_STR, PHYS_INTERVAL, PHYS_UUID };

struct type {
    enum type_id id;
    int32_t typmod; /* PostgreSQL's atttypmod: varchar(n)/char(n): n + 4; numeric(p,s): ((p<<16)|s) + 4;
                       time/timestamp(p): p; -1 none; of an array: its elements' */
};

/* One row per type: names, PostgreSQL's oid and category, for binding, documents and contracts. */
struct type_info {
    enum type_id id;
    const char *name;    /* as format_type prints it: "bigint", "timestamp with time zone" */
    const char *pg_name; /* pg_type.typname: "int8", "timestamptz" */
    uint32_t oid;        /* 0: of an extension, differs from database to database */
    char category;       /* pg_type.typcategory: N, S, B, D, T, U, X, A, P */
    bool preferred;      /* pg_type.typispreferred */
    enum phys phys;
    bool comparable;                                   /* has = and < (json has not) */
    const char *json_schema_type, *json_schema_format; /* for OpenAPI; format may be NULL */
};
const struct type_info *type_info(enum type_id id);
/* By name as written in SQL or YAML ("bigint", "int8", "timestamptz", "character varying", "integer[]"); NULL if
 * unknown. */
const struct type_info *type_by_name(const char *name);
const struct type_info *type_by_oid(uint32_t oid);
/* "numeric(10,2)", "character varying(20)": what PostgreSQL's format_type(oid, typmod) prints. Returns buf. */
const char *type_format(struct type t, char *buf, size_t size_bytes);

/* As type_info(id)->phys says, without a call: codecs ask for every value. */
static inline enum phys type_phys(enum type_id id)
{
    static const uint8_t of_type[T_ID_END] = {[T_UNKNOWN] = PHYS_STR,
                                              [T_FLOAT4] = PHYS_F64,
                                              [T_FLOAT8] = PHYS_F64,
                                              [T_NUMERIC] = PHYS_NUM,
                                              [T_TEXT] = PHYS_STR,
                                              [T_VARCHAR] = PHYS_STR,
                                              [T_BPCHAR] = PHYS_STR,
                                              [T_BYTEA] = PHYS_STR,
                                              [T_JSON] = PHYS_STR,
                                              [T_JSONB] = PHYS_STR,
                                              [T_JSONPATH] = PHYS_STR,
                                              [T_CITEXT] = PHYS_STR,
                                              [T_INT4RANGE... T_DATEMULTIRANGE] = PHYS_STR,
                                              [T_INET] = PHYS_STR,
                                              [T_CIDR] = PHYS_STR,
                                              [T_INTERVAL] = PHYS_INTERVAL,
                                              [T_TIMETZ] = PHYS_INTERVAL,
                                              [T_UUID] = PHYS_UUID,
                                              [T_ARRAYS... T_COUNT - 1] = PHYS_STR,
                                              [T_RECORD] = PHYS_STR,
                                              [T_RECORD_ARRAY] = PHYS_STR,
                                              [T_ENUMS... T_ID_END - 1] = PHYS_STR};
    return (enum phys)of_type[id];
}
static inline bool type_is_array(enum type_id id)
{
    return (id >= T_ARRAYS && id < T_COUNT) || id == T_RECORD_ARRAY || id >= T_ENUM_ARRAYS;
}
static inline bool type_is_enum(enum type_id id)
{
    return id >= T_ENUMS && id < T_ENUM_ARRAYS;
}
static inline bool type_is_range(enum type_id id)
{
    return id >= T_INT4RANGE && id <= T_DATERANGE;
}
static inline bool type_is_multirange(enum type_id id)
{
    return id >= T_INT4MULTIRANGE && id <= T_DATEMULTIRANGE;
}
/* The multirange type of a range type, and back. */
static inline enum type_id type_multirange(enum type_id range)
{
    ASSERT(type_is_range(range));
    return (enum type_id)(range - T_INT4RANGE + T_INT4MULTIRANGE);
}
static inline enum type_id type_range(enum type_id multirange)
{
    ASSERT(type_is_multirange(multirange));
    return (enum type_id)(multirange - T_INT4MULTIRANGE + T_INT4RANGE);
}
/* The type of the bounds of a range or multirange. */
static inline enum type_id type_bound(enum type_id id)
{
    static const uint8_t bounds[] = {T_INT4, T_INT8, T_NUMERIC, T_TIMESTAMP, T_TIMESTAMPTZ, T_DATE};
    return (enum type_id)bounds[(type_is_range(id) ? id : type_range(id)) - T_INT4RANGE];
}
/* The array type of a scalar type, and back. */
static inline enum type_id type_array(enum type_id element)
{
    ASSERT(element < T_SCALAR_COUNT || element == T_RECORD || type_is_enum(element));
    if (element == T_RECORD)
        return T_RECORD_ARRAY;
    return (enum type_id)(type_is_enum(element) ? T_ENUM_ARRAYS + (element - T_ENUMS) : T_ARRAYS + element);
}
static inline enum type_id type_element(enum type_id array)
{
    ASSERT(type_is_array(array));
    if (array == T_RECORD_ARRAY)
        return T_RECORD;
    return (enum type_id)(array >= T_ENUM_ARRAYS ? T_ENUMS + (array - T_ENUM_ARRAYS) : array - T_ARRAYS);
}
/* Equal values may look different: 1.0 and 1.00, 0 and -0, 'a' and 'a ' as char, 1 day and 24 hours. */
static inline bool type_has_looks(enum type_id t)
{
    if (type_is_array(t))
        t = type_element(t);
    return t == T_NUMERIC || t == T_FLOAT4 || t == T_FLOAT8 || t == T_BPCHAR || t == T_INTERVAL ||
           t == T_JSONB || t == T_CITEXT || t == T_NUMRANGE || t == T_NUMMULTIRANGE;
}
#define STR_LIT(lit) ((struct str){(const uint8_t *)(lit), sizeof(lit) - 1, 0})

#endif
