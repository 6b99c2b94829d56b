/* OVER (...) and WINDOW: PostgreSQL's WindowDef to struct ast_window. */
#include "sql/pgq/pgq.h"

static enum frame_bound frame_bound(int options, bool end)
{
    if (options & (end ? FRAMEOPTION_END_UNBOUNDED_PRECEDING : FRAMEOPTION_START_UNBOUNDED_PRECEDING))
        return FRAME_UNBOUNDED_PRECEDING;
    if (options & (end ? FRAMEOPTION_END_OFFSET_PRECEDING : FRAMEOPTION_START_OFFSET_PRECEDING))
        return FRAME_PRECEDING;
    if (options & (end ? FRAMEOPTION_END_CURRENT_ROW : FRAMEOPTION_START_CURRENT_ROW))
        return FRAME_CURRENT;
    if (options & (end ? FRAMEOPTION_END_OFFSET_FOLLOWING : FRAMEOPTION_START_OFFSET_FOLLOWING))
        return FRAME_FOLLOWING;
    return FRAME_UNBOUNDED_FOLLOWING;
}

static void put_frame(struct pgq *c, struct ast_window *out, WindowDef *w)
{
    int o = w->frameOptions;
    struct window_frame *f = &out->frame;
    out->has_frame = (o & FRAMEOPTION_NONDEFAULT) != 0;
    f->mode = o & FRAMEOPTION_ROWS ? FRAME_ROWS : o & FRAMEOPTION_GROUPS ? FRAME_GROUPS : FRAME_RANGE;
    f->start = frame_bound(o, false);
    f->end = frame_bound(o, true);
    f->exclude = o & FRAMEOPTION_EXCLUDE_CURRENT_ROW ? EXCLUDE_CURRENT_ROW
                 : o & FRAMEOPTION_EXCLUDE_GROUP     ? EXCLUDE_GROUP
                 : o & FRAMEOPTION_EXCLUDE_TIES      ? EXCLUDE_TIES
                                                     : EXCLUDE_NOTHING;
    out->start_offset = pgq_expr(c, w->startOffset);
    out->end_offset = pgq_expr(c, w->endOffset);
}

struct ast_window *pgq_window(struct pgq *c, WindowDef *w)
{
    struct ast_window *out = ARENA_NEW(c->arena, struct ast_window);
    out->pos = pgq_pos(c, w->location);
    out->name = pgq_str(c, w->name);
    out->base = pgq_str(c, w->refname);
    out->partition = ARENA_ARRAY(c->arena, struct ast *, list_length(w->partitionClause) + 1);
    ListCell *cell;
    foreach (cell, w->partitionClause)
        out->partition[out->partition_count++] = pgq_expr(c, lfirst(cell));
    out->sorts = pgq_sorts(c, w->orderClause, &out->sort_count);
    put_frame(c, out, w);
    return out;
}
