/* Window functions: names, kinds and frames, shared by the binder, the planner and the operator. */
#ifndef PENSTOCK_TYPES_WINDOW_H
#define PENSTOCK_TYPES_WINDOW_H

#include "base/base.h"

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
    FRAME_PRECEDING, /* by an offset; not of FRAME_RANGE */
    FRAME_CURRENT,
    FRAME_FOLLOWING,
    FRAME_UNBOUNDED_FOLLOWING
};
enum frame_exclude { EXCLUDE_NOTHING, EXCLUDE_CURRENT_ROW, EXCLUDE_GROUP, EXCLUDE_TIES };
struct window_frame {
    enum frame_mode mode;
    enum frame_bound start, end;
    enum frame_exclude exclude;
    int64_t start_offset, end_offset;
};
#define WINDOW_ARGS_MAX 3 /* lag(value, offset, default) */

#endif
