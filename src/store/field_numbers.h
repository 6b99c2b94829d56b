/* Numbers of an api's columns in Protocol Buffers messages: given once, kept for good.
 *
 * A client's generated code knows a column by its number alone. So a column keeps its number for as long as its values are
 * sent in the same form, whatever other columns come, go or change places; the number of a column that went, or whose
 * values are sent in another form now, is never given to another one. Numbers are by the api's path, over all versions,
 * and stand in the catalog (catalog.h). */
#ifndef PENSTOCK_STORE_FIELD_NUMBERS_H
#define PENSTOCK_STORE_FIELD_NUMBERS_H

#include "base/arena.h"
#include "data/schema.h"

#define FIELD_NUMBER_MAX 536870911 /* Protocol Buffers' own */

/* How values of a type are sent. The order is not stored anywhere. */
enum field_kind {
    FIELD_BOOL,
    FIELD_INT32,
    FIELD_INT64,
    FIELD_FLOAT,
    FIELD_DOUBLE,
    FIELD_STRING,
    FIELD_BYTES,
    FIELD_KINDS
};
struct field_form {
    enum field_kind kind; /* of an array: of its elements */
    bool is_array;
};
struct field_form field_form(enum type_id type);

struct field_number {
    char *column;
    struct field_form form;
    uint32_t number;
};
struct api_fields { /* of one path; columns that went are in it too */
    char *path;
    uint32_t count;
    struct field_number *rows;
};
/* "int64", "string[]": as stored. */
const char *field_form_name(struct field_form form);
bool field_form_parse(const char *name, struct field_form *out);
/* A reader that expects the one understands the other: int32 and int64. */
bool field_form_same(struct field_form a, struct field_form b);

/* 0: the column has none. */
uint32_t field_number_find(const struct api_fields *f, const char *column, enum type_id type);

struct catalog;
/* Fills c->fields: what `was` has (may be NULL), then what c has, then numbers for columns that have none. */
void catalog_number_fields(struct catalog *c, struct arena *arena, const struct catalog *was);
/* NULL: none. */
const struct api_fields *catalog_fields(const struct catalog *c, const char *path);

#endif
