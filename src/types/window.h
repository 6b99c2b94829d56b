/* Window functions: names, kinds and frames, shared by the binder, the planner and the operator. */
#ifndef PENSTOCK_TYPES_WINDOW_H
#define PENSTOCK_TYPES_WINDOW_H

#include "types/func.h"

enum window_kind {
    WINDOW_AGGREGATE, /* an aggregate over the frame */
    WINDOW_ROW_NUMBER,
    WINDOW_RANK,
    WINDOW_DENSE_RANK,
    WINDOW_PERCENT_RANK,
    WINDOW_CUME_DIST,
    WINDOW_NTILE,
    WINDOW_LAG,
    WINDOW_LEAD,
    WINDOW_FIRST_VALUE, /* these look at the frame */
    WINDOW_LAST_VALUE,
    WINDOW_NTH_VALUE
};
enum frame_mode { FRAME_RANGE, FRAME_ROWS, FRAME_GROUPS };
enum frame_bound {
    FRAME_UNBOUNDED_PRECEDING,
    FRAME_PRECEDING, /* by an offset */
    FRAME_CURRENT,
    FRAME_FOLLOWING,
    FRAME_UNBOUNDED_FOLLOWING
};
enum frame_exclude { EXCLUDE_NOTHING, EXCLUDE_CURRENT_ROW, EXCLUDE_GROUP, EXCLUDE_TIES };
struct range_offset { /* of FRAME_RANGE */
    union val v;
    const char *text; /* NULL: no offset. Exact: equal texts, equal offsets */
};
struct window_frame {
    enum frame_mode mode;
    enum frame_bound start, end;
    enum frame_exclude exclude;
    int64_t start_offset, end_offset; /* of ROWS and GROUPS */
    struct range_offset start_range, end_range;
};
static inline bool frame_has_range_offset(const struct window_frame *f)
{
    return f->start_range.text || f->end_range.text;
}
/* in_range.c: RANGE with an offset over a column of that type, as PostgreSQL's in_range functions have it. */
/* The offset's type; T_UNKNOWN: there is no such frame over the type. */
enum type_id range_offset_type(enum type_id column);
bool range_offset_is_valid(enum type_id column, const union val *offset); /* neither negative nor NaN */
/* A row before another has no frame that begins, or ends, later: no months, no signs that differ. */
bool range_offset_is_monotone(enum type_id column, const union val *offset);
/* v <= base +/- offset (less), or v >= it; minus if sub. A sum out of the type's range is beyond all finite values (PostgreSQL
 * fails for some of those). ctx: for memory alone. */
bool in_range(struct fn_ctx *ctx, enum type_id column, const union val *v, const union val *base,
              const union val *offset, bool sub, bool less);
#define WINDOW_ARGS_MAX 3 /* lag(value, offset, default) */

#endif
