/* Text input and output of each type: what type_input and type_output (cast.c) dispatch to.
 *
 * Input gets the bytes as they are (not NUL-terminated, blanks around them included: most types ignore them) and
 * returns false after fn_fail. It applies the typmod of `t` as PostgreSQL's input function does (time(p) rounds,
 * varchar(n) checks). Output's bytes live in ctx->arena or are borrowed from *v. */
#ifndef PENSTOCK_TYPES_TEXT_IO_H
#define PENSTOCK_TYPES_TEXT_IO_H

#include "types/func.h"

/* text_io.c */
bool input_bool(struct fn_ctx *ctx, struct type t, const char *text, size_t len, union val *out);
bool input_int(struct fn_ctx *ctx, struct type t, const char *text, size_t len,
               union val *out); /* int2/4/8 */
bool input_float(struct fn_ctx *ctx, struct type t, const char *text, size_t len,
                 union val *out); /* float4/8 */
bool input_numeric(struct fn_ctx *ctx, struct type t, const char *text, size_t len, union val *out);
bool input_text(struct fn_ctx *ctx, struct type t, const char *text, size_t len, union val *out);
bool input_bytea(struct fn_ctx *ctx, struct type t, const char *text, size_t len, union val *out);
struct str output_bool(struct fn_ctx *ctx, const union val *v);
struct str output_int(struct fn_ctx *ctx, const union val *v);
struct str output_float4(struct fn_ctx *ctx, const union val *v);
struct str output_float8(struct fn_ctx *ctx, const union val *v);
struct str output_bytea(struct fn_ctx *ctx, const union val *v);

/* datetime.c */
bool input_date(struct fn_ctx *ctx, struct type t, const char *text, size_t len, union val *out);
bool input_time(struct fn_ctx *ctx, struct type t, const char *text, size_t len, union val *out);
bool input_timestamp(struct fn_ctx *ctx, struct type t, const char *text, size_t len, union val *out);
bool input_timestamptz(struct fn_ctx *ctx, struct type t, const char *text, size_t len, union val *out);
bool input_interval(struct fn_ctx *ctx, struct type t, const char *text, size_t len, union val *out);
struct str output_date(struct fn_ctx *ctx, const union val *v);
bool input_inet(struct fn_ctx *ctx, struct type t, const char *text, size_t len, union val *out);
bool input_cidr(struct fn_ctx *ctx, struct type t, const char *text, size_t len, union val *out);
bool input_macaddr(struct fn_ctx *ctx, struct type t, const char *text, size_t len, union val *out);
struct str output_inet(struct fn_ctx *ctx, const union val *v);
struct str output_cidr(struct fn_ctx *ctx, const union val *v);
struct str output_macaddr(struct fn_ctx *ctx, const union val *v);
bool input_timetz(struct fn_ctx *ctx, struct type t, const char *text, size_t len, union val *out);
struct str output_timetz(struct fn_ctx *ctx, const union val *v);
struct str output_time(struct fn_ctx *ctx, const union val *v);
struct str output_timestamp(struct fn_ctx *ctx, const union val *v);
struct str output_timestamptz(struct fn_ctx *ctx, const union val *v);
struct str output_interval(struct fn_ctx *ctx, const union val *v);
/* Length coercion of the types above (typmod >= 0): time(p), timestamp(p), timestamptz(p), interval fields. */
bool typmod_datetime(struct fn_ctx *ctx, struct type t, union val *v);

/* func_misc.c */
bool input_uuid(struct fn_ctx *ctx, struct type t, const char *text, size_t len, union val *out);
struct str output_uuid(struct fn_ctx *ctx, const union val *v);

/* json.c */
bool input_json(struct fn_ctx *ctx, struct type t, const char *text, size_t len, union val *out);
bool input_jsonb(struct fn_ctx *ctx, struct type t, const char *text, size_t len, union val *out);
struct str output_json(struct fn_ctx *ctx, const union val *v);
struct str output_jsonb(struct fn_ctx *ctx, const union val *v);

/* func_jsonpath.c */
bool input_jsonpath(struct fn_ctx *ctx, struct type t, const char *text, size_t len, union val *out);
struct str output_jsonpath(struct fn_ctx *ctx, const union val *v);

/* range_text.c */
bool input_range(struct fn_ctx *ctx, struct type t, const char *text, size_t len, union val *out);
bool input_multirange(struct fn_ctx *ctx, struct type t, const char *text, size_t len, union val *out);
struct str output_range(struct fn_ctx *ctx, enum type_id t, const union val *v); /* also of multiranges */

/* Casts with their own kernels rather than text input and output; cast.c holds the rows. */
/* datetime.c */
bool cast_date_timestamp(struct fn_ctx *ctx, const union val *args, const bool *null, uint32_t arg_count,
                         union val *out, bool *out_null);
bool cast_date_timestamptz(struct fn_ctx *ctx, const union val *args, const bool *null, uint32_t arg_count,
                           union val *out, bool *out_null);
bool cast_timestamp_date(struct fn_ctx *ctx, const union val *args, const bool *null, uint32_t arg_count,
                         union val *out, bool *out_null);
bool cast_timestamp_time(struct fn_ctx *ctx, const union val *args, const bool *null, uint32_t arg_count,
                         union val *out, bool *out_null);
bool cast_timestamp_timestamptz(struct fn_ctx *ctx, const union val *args, const bool *null,
                                uint32_t arg_count, union val *out, bool *out_null);
bool cast_timestamptz_date(struct fn_ctx *ctx, const union val *args, const bool *null, uint32_t arg_count,
                           union val *out, bool *out_null);
bool cast_timestamptz_time(struct fn_ctx *ctx, const union val *args, const bool *null, uint32_t arg_count,
                           union val *out, bool *out_null);
bool cast_timestamptz_timestamp(struct fn_ctx *ctx, const union val *args, const bool *null,
                                uint32_t arg_count, union val *out, bool *out_null);
bool cast_time_interval(struct fn_ctx *ctx, const union val *args, const bool *null, uint32_t arg_count,
                        union val *out, bool *out_null);
bool cast_interval_time(struct fn_ctx *ctx, const union val *args, const bool *null, uint32_t arg_count,
                        union val *out, bool *out_null);
/* func_timetz.c */
bool cast_time_timetz(struct fn_ctx *ctx, const union val *args, const bool *null, uint32_t arg_count,
                      union val *out, bool *out_null);
bool cast_timetz_time(struct fn_ctx *ctx, const union val *args, const bool *null, uint32_t arg_count,
                      union val *out, bool *out_null);
bool cast_timestamptz_timetz(struct fn_ctx *ctx, const union val *args, const bool *null, uint32_t arg_count,
                             union val *out, bool *out_null);
/* func_inet.c */
bool cast_inet_cidr(struct fn_ctx *ctx, const union val *args, const bool *null, uint32_t arg_count,
                    union val *out, bool *out_null);
/* func_range.c */
bool cast_range_multirange(struct fn_ctx *ctx, const union val *args, const bool *null, uint32_t arg_count,
                           union val *out, bool *out_null);
/* json.c */
bool cast_json_jsonb(struct fn_ctx *ctx, const union val *args, const bool *null, uint32_t arg_count,
                     union val *out, bool *out_null);
bool cast_jsonb_json(struct fn_ctx *ctx, const union val *args, const bool *null, uint32_t arg_count,
                     union val *out, bool *out_null);
/* jsonb to bool and to numeric ("cannot cast jsonb string to type numeric"); the other number types go through
 * numeric. */
bool cast_jsonb_bool(struct fn_ctx *ctx, const union val *args, const bool *null, uint32_t arg_count,
                     union val *out, bool *out_null);
bool cast_jsonb_numeric(struct fn_ctx *ctx, const union val *args, const bool *null, uint32_t arg_count,
                        union val *out, bool *out_null);

#endif
