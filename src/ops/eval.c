/* Expression evaluation over batches; see eval.h.
 *
 * `mask` tells for which rows a node is wanted (1) or not (0); NULL means all. Values of unwanted rows are
 * undefined and must not be looked at. */
#include "ops/eval.h"

#include "types/array.h"

#include <stdlib.h>
#include <string.h>

struct eval_node {
    const struct expr *e;
    uint32_t arg_count;
    struct eval_node **args; /* owned */
    union val *v;            /* owned: a value per row; NULL for columns */
    uint8_t *state;
    uint8_t *mask;  /* owned by conditional nodes: rows that reach the next argument */
    uint8_t *types; /* owned: of the call that the node makes, see struct fn_ctx; NULL: none */
};

struct eval {
    struct arena arena; /* computed bytes, reset at each run */
    struct fn_ctx ctx;
    struct eval_node *root;
    enum fn_error last_error;
    char last_text[160];
    const struct expr *last_part;
    bool keep_first; /* of the errors of one run */
    uint32_t room;   /* rows */
};

typedef struct vec (*node_fn)(struct eval *ev, struct eval_node *n, const struct batch *in,
                              const uint8_t *mask);
static struct vec run_node(struct eval *ev, struct eval_node *n, const struct batch *in, const uint8_t *mask);

static inline bool wanted(const uint8_t *mask, uint32_t r)
{
    return !mask || mask[r];
}

static struct vec own(struct eval_node *n)
{
    return (struct vec){n->v, n->state};
}

static void note_error(struct eval *ev, const struct eval_node *n)
{
    if (!ev->keep_first || !ev->last_error) {
        ev->last_error = ev->ctx.error;
        ev->last_part = n->e;
        memcpy(ev->last_text, ev->ctx.error_text, sizeof ev->last_text);
    }
    ev->ctx.error = FN_OK;
}

static struct vec run_column(struct eval *ev, struct eval_node *n, const struct batch *in,
                             const uint8_t *mask)
{
    (void)ev, (void)mask;
    ASSERT(n->e->u.column < in->column_count);
    return in->cols[n->e->u.column];
}

static struct vec run_const(struct eval *ev, struct eval_node *n, const struct batch *in, const uint8_t *mask)
{
    (void)ev, (void)mask, (void)in;
    return own(n); /* broadcast when the evaluator was made */
}

/* The hot path: a strict function with a vector kernel. Merges states, then one kernel call; it passes by the rows
 * that are not wanted, as it does by NULLs. */
static struct vec run_fn_vec(struct eval *ev, struct eval_node *n, const struct batch *in,
                             const struct vec *args, const uint8_t *mask)
{
    uint32_t rows = in->row_count;
    bool binary = n->arg_count == 2;
    for (uint32_t r = 0; r < rows; r++) {
        uint8_t s = args[0].state[r];
        if (binary)
            s = s > args[1].state[r] ? s : args[1].state[r];
        n->state[r] = s; /* VAL_ERROR > VAL_NULL > VAL_OK */
    }
    for (uint32_t r = 0; mask && r < rows; r++)
        n->state[r] = mask[r] ? n->state[r] : VAL_NULL;
    n->e->u.fn->eval_vec(&ev->ctx, rows, args[0].v, binary ? args[1].v : NULL, n->v, n->state);
    if (ev->ctx.error)
        note_error(ev, n);
    return own(n);
}

static uint8_t call_scalar(struct eval *ev, const struct eval_node *n, fn_eval fn, const union val *vals,
                           const bool *null, uint32_t count, union val *out)
{
    bool out_null = false;
    ev->ctx.types = n->types;
    if (UNLIKELY(!fn(&ev->ctx, vals, null, count, out, &out_null))) {
        note_error(ev, n);
        return VAL_ERROR;
    }
    return out_null ? VAL_NULL : VAL_OK;
}

#define EVAL_ARGS_MAX 128 /* variadic calls are cut into pieces by the binder beyond that */

static void run_fn_row(struct eval *ev, struct eval_node *n, const struct vec *args, uint32_t r)
{
    union val vals[EVAL_ARGS_MAX];
    bool null[EVAL_ARGS_MAX];
    uint8_t worst = VAL_OK;
    for (uint32_t a = 0; a < n->arg_count; a++) {
        uint8_t s = args[a].state[r];
        worst = s > worst ? s : worst;
        null[a] = s == VAL_NULL;
        vals[a] = args[a].v[r];
    }
    const struct fn *fn = n->e->u.fn;
    if (worst == VAL_ERROR || (worst == VAL_NULL && (fn->flags & FN_STRICT)))
        n->state[r] = worst;
    else
        n->state[r] = call_scalar(ev, n, fn->eval, vals, null, n->arg_count, &n->v[r]);
}

static struct vec run_fn(struct eval *ev, struct eval_node *n, const struct batch *in, const uint8_t *mask)
{
    struct vec args[EVAL_ARGS_MAX];
    for (uint32_t a = 0; a < n->arg_count; a++)
        args[a] = run_node(ev, n->args[a], in, mask);
    if (n->e->u.fn->eval_vec && (n->e->u.fn->flags & FN_STRICT))
        return run_fn_vec(ev, n, in, args, mask);
    for (uint32_t r = 0; r < in->row_count; r++)
        if (wanted(mask, r))
            run_fn_row(ev, n, args, r);
    return own(n);
}

static struct vec run_cast(struct eval *ev, struct eval_node *n, const struct batch *in, const uint8_t *mask)
{
    struct vec a = run_node(ev, n->args[0], in, mask);
    const bool null[1] = {false};
    for (uint32_t r = 0; r < in->row_count; r++) {
        if (!wanted(mask, r))
            continue;
        if (a.state[r] != VAL_OK)
            n->state[r] = a.state[r];
        else if (!n->e->u.cast || !n->e->u.cast->eval) {
            n->v[r] = a.v[r];
            n->state[r] = VAL_OK;
        } else
            n->state[r] = call_scalar(ev, n, n->e->u.cast->eval, &a.v[r], null, 1, &n->v[r]);
    }
    return own(n);
}

static struct vec run_typmod(struct eval *ev, struct eval_node *n, const struct batch *in,
                             const uint8_t *mask)
{
    struct vec a = run_node(ev, n->args[0], in, mask);
    for (uint32_t r = 0; r < in->row_count; r++) {
        if (!wanted(mask, r))
            continue;
        n->state[r] = a.state[r];
        n->v[r] = a.v[r];
        if (a.state[r] == VAL_OK && !type_apply_typmod(&ev->ctx, n->e->type, n->e->u.is_explicit, &n->v[r])) {
            note_error(ev, n);
            n->state[r] = VAL_ERROR;
        }
    }
    return own(n);
}

/* AND and OR: `stop` is the value that decides. A row leaves the mask once decided or failed. */
static struct vec run_and_or(struct eval *ev, struct eval_node *n, const struct batch *in,
                             const uint8_t *mask)
{
    int64_t stop = n->e->kind == EX_OR;
    uint32_t rows = in->row_count;
    for (uint32_t r = 0; r < rows; r++) {
        n->mask[r] = wanted(mask, r);
        n->v[r].i = !stop;
        n->state[r] = VAL_OK;
    }
    for (uint32_t a = 0; a < n->arg_count; a++) {
        struct vec x = run_node(ev, n->args[a], in, a == 0 ? mask : n->mask);
        for (uint32_t r = 0; r < rows; r++) {
            if (!n->mask[r])
                continue;
            if (x.state[r] == VAL_OK && x.v[r].i != stop)
                continue;
            if (x.state[r] == VAL_NULL) {
                n->state[r] = VAL_NULL; /* undecided: a later argument may still decide */
                continue;
            }
            n->state[r] = x.state[r];
            n->v[r].i = stop;
            n->mask[r] = 0;
        }
    }
    return own(n);
}

static struct vec run_not(struct eval *ev, struct eval_node *n, const struct batch *in, const uint8_t *mask)
{
    struct vec a = run_node(ev, n->args[0], in, mask);
    for (uint32_t r = 0; r < in->row_count; r++) {
        if (!wanted(mask, r))
            continue;
        n->state[r] = a.state[r];
        n->v[r].i = !a.v[r].i;
    }
    return own(n);
}

static bool test_holds(enum expr_kind kind, uint8_t state, int64_t v)
{
    bool is_null = state == VAL_NULL;
    switch (kind) {
    case EX_IS_NULL: return is_null;
    case EX_IS_NOT_NULL: return !is_null;
    case EX_IS_TRUE: return !is_null && v;
    case EX_IS_NOT_TRUE: return is_null || !v;
    case EX_IS_FALSE: return !is_null && !v;
    case EX_IS_NOT_FALSE: return is_null || v;
    default: PANIC("not a test: %d", kind);
    }
}

static struct vec run_test(struct eval *ev, struct eval_node *n, const struct batch *in, const uint8_t *mask)
{
    struct vec a = run_node(ev, n->args[0], in, mask);
    for (uint32_t r = 0; r < in->row_count; r++) {
        if (!wanted(mask, r))
            continue;
        if (a.state[r] == VAL_ERROR) {
            n->state[r] = VAL_ERROR;
            continue;
        }
        n->state[r] = VAL_OK;
        n->v[r].i = test_holds(n->e->kind, a.state[r], a.state[r] == VAL_OK ? a.v[r].i : 0);
    }
    return own(n);
}

static struct vec run_distinct(struct eval *ev, struct eval_node *n, const struct batch *in,
                               const uint8_t *mask)
{
    struct vec a = run_node(ev, n->args[0], in, mask), b = run_node(ev, n->args[1], in, mask);
    enum type_id t = n->e->args[0]->type.id;
    bool want_distinct = n->e->kind == EX_DISTINCT;
    for (uint32_t r = 0; r < in->row_count; r++) {
        if (!wanted(mask, r))
            continue;
        if (a.state[r] == VAL_ERROR || b.state[r] == VAL_ERROR) {
            n->state[r] = VAL_ERROR;
            continue;
        }
        bool same = a.state[r] == b.state[r] && (a.state[r] == VAL_NULL || val_cmp(t, &a.v[r], &b.v[r]) == 0);
        n->state[r] = VAL_OK;
        n->v[r].i = same != want_distinct;
    }
    return own(n);
}

/* Takes the arm's value for the rows of `take` and removes them from `left`. */
static void take_rows(struct eval_node *n, struct vec x, const uint8_t *take, uint32_t rows)
{
    for (uint32_t r = 0; r < rows; r++)
        if (take[r]) {
            n->v[r] = x.v[r];
            n->state[r] = x.state[r];
        }
}

static struct vec run_case(struct eval *ev, struct eval_node *n, const struct batch *in, const uint8_t *mask)
{
    uint32_t rows = in->row_count;
    uint8_t *left = n->mask, *hit = n->mask + ev->room;
    for (uint32_t r = 0; r < rows; r++)
        left[r] = wanted(mask, r);
    for (uint32_t a = 0; a + 1 < n->arg_count; a += 2) {
        struct vec when = run_node(ev, n->args[a], in, left);
        bool any = false;
        for (uint32_t r = 0; r < rows; r++) {
            hit[r] = left[r] && when.state[r] == VAL_OK && when.v[r].i;
            any |= hit[r];
            if (left[r] && when.state[r] == VAL_ERROR)
                n->state[r] = VAL_ERROR;
            left[r] = left[r] && !hit[r] && when.state[r] != VAL_ERROR;
        }
        if (any)
            take_rows(n, run_node(ev, n->args[a + 1], in, hit), hit, rows);
    }
    take_rows(n, run_node(ev, n->args[n->arg_count - 1], in, left), left, rows);
    return own(n);
}

static struct vec run_coalesce(struct eval *ev, struct eval_node *n, const struct batch *in,
                               const uint8_t *mask)
{
    uint32_t rows = in->row_count;
    for (uint32_t r = 0; r < rows; r++)
        n->mask[r] = wanted(mask, r);
    for (uint32_t a = 0; a < n->arg_count; a++) {
        struct vec x = run_node(ev, n->args[a], in, n->mask);
        for (uint32_t r = 0; r < rows; r++) {
            if (!n->mask[r])
                continue;
            n->v[r] = x.v[r];
            n->state[r] = x.state[r];
            n->mask[r] = x.state[r] == VAL_NULL;
        }
    }
    return own(n);
}

static struct vec run_nullif(struct eval *ev, struct eval_node *n, const struct batch *in,
                             const uint8_t *mask)
{
    struct vec a = run_node(ev, n->args[0], in, mask), b = run_node(ev, n->args[1], in, mask);
    for (uint32_t r = 0; r < in->row_count; r++) {
        if (!wanted(mask, r))
            continue;
        n->v[r] = a.v[r];
        n->state[r] = a.state[r] == VAL_ERROR || b.state[r] == VAL_ERROR ? VAL_ERROR : a.state[r];
        if (a.state[r] != VAL_OK || b.state[r] != VAL_OK)
            continue;
        union val pair[2] = {a.v[r], b.v[r]}, equal = {.i = 0};
        const bool null[2] = {false, false};
        uint8_t s = call_scalar(ev, n, n->e->u.fn->eval, pair, null, 2, &equal);
        if (s == VAL_ERROR || (s == VAL_OK && equal.i))
            n->state[r] = s == VAL_ERROR ? VAL_ERROR : VAL_NULL;
    }
    return own(n);
}

static struct vec run_extreme(struct eval *ev, struct eval_node *n, const struct batch *in,
                              const uint8_t *mask)
{
    int sign = n->e->kind == EX_GREATEST ? 1 : -1;
    for (uint32_t r = 0; r < in->row_count; r++)
        n->state[r] = VAL_NULL;
    for (uint32_t a = 0; a < n->arg_count; a++) {
        struct vec x = run_node(ev, n->args[a], in, mask);
        for (uint32_t r = 0; r < in->row_count; r++) {
            if (!wanted(mask, r) || x.state[r] == VAL_NULL || n->state[r] == VAL_ERROR)
                continue;
            if (x.state[r] == VAL_ERROR)
                n->state[r] = VAL_ERROR;
            else if (n->state[r] == VAL_NULL || val_cmp(n->e->type.id, &x.v[r], &n->v[r]) * sign > 0) {
                n->v[r] = x.v[r];
                n->state[r] = VAL_OK;
            }
        }
    }
    return own(n);
}

/* x IN (a, b, ...): true at the first equal; else NULL if x or any of the list is NULL; else false. */
static struct vec run_in(struct eval *ev, struct eval_node *n, const struct batch *in, const uint8_t *mask)
{
    uint32_t rows = in->row_count;
    struct vec x = run_node(ev, n->args[0], in, mask);
    for (uint32_t r = 0; r < rows; r++) {
        n->mask[r] = wanted(mask, r) && x.state[r] == VAL_OK;
        n->state[r] = x.state[r];
        n->v[r].i = 0;
    }
    for (uint32_t a = 1; a < n->arg_count; a++) {
        struct vec y = run_node(ev, n->args[a], in, n->mask);
        for (uint32_t r = 0; r < rows; r++) {
            if (!n->mask[r])
                continue;
            union val pair[2] = {x.v[r], y.v[r]}, equal = {.i = 0};
            const bool null[2] = {false, false};
            uint8_t s = y.state[r] == VAL_OK ? call_scalar(ev, n, n->e->u.fn->eval, pair, null, 2, &equal)
                                             : y.state[r];
            if (s == VAL_NULL)
                n->state[r] = VAL_NULL;
            else if (s == VAL_ERROR || equal.i) {
                n->state[r] = s;
                n->v[r].i = 1;
                n->mask[r] = 0;
            }
        }
    }
    return own(n);
}

/* One row of x op ANY (array): true at the first true; else NULL if x, the array or any element is NULL (an empty
 * array decides without x); else false. ALL likewise with false. */
static uint8_t any_row(struct eval *ev, struct eval_node *n, uint8_t x_state, union val x, struct str array,
                       union val *out)
{
    bool all = n->e->kind == EX_ALL, is_null = false;
    struct array_reader r;
    union val pair[2] = {x}, truth = {.i = 0};
    const bool null[2] = {false, false};
    uint8_t state = VAL_OK;
    array_open(&r, type_element(n->e->args[1]->type.id), array);
    out->i = all;
    if (x_state == VAL_NULL)
        return r.count ? VAL_NULL : VAL_OK;
    while (array_next(&r, ev->ctx.arena, &pair[1], &is_null)) {
        uint8_t s = is_null ? VAL_NULL : call_scalar(ev, n, n->e->u.fn->eval, pair, null, 2, &truth);
        if (s == VAL_NULL) {
            state = VAL_NULL;
        } else if (s == VAL_ERROR || (truth.i != 0) != all) {
            out->i = !all;
            return s;
        }
    }
    return state;
}

static struct vec run_any(struct eval *ev, struct eval_node *n, const struct batch *in, const uint8_t *mask)
{
    struct vec x = run_node(ev, n->args[0], in, mask), array = run_node(ev, n->args[1], in, mask);
    for (uint32_t r = 0; r < in->row_count; r++) {
        if (!wanted(mask, r))
            continue;
        if (x.state[r] == VAL_ERROR || array.state[r] != VAL_OK)
            n->state[r] = x.state[r] == VAL_ERROR ? VAL_ERROR : array.state[r];
        else
            n->state[r] = any_row(ev, n, x.state[r], x.v[r], array.v[r].s, &n->v[r]);
    }
    return own(n);
}

static const node_fn node_fns[] = {
    [EX_COLUMN] = run_column,
    [EX_CONST] = run_const,
    [EX_FN] = run_fn,
    [EX_CAST] = run_cast,
    [EX_TYPMOD] = run_typmod,
    [EX_AND] = run_and_or,
    [EX_OR] = run_and_or,
    [EX_NOT] = run_not,
    [EX_IS_NULL] = run_test,
    [EX_IS_NOT_NULL] = run_test,
    [EX_IS_TRUE] = run_test,
    [EX_IS_NOT_TRUE] = run_test,
    [EX_IS_FALSE] = run_test,
    [EX_IS_NOT_FALSE] = run_test,
    [EX_DISTINCT] = run_distinct,
    [EX_NOT_DISTINCT] = run_distinct,
    [EX_CASE] = run_case,
    [EX_COALESCE] = run_coalesce,
    [EX_NULLIF] = run_nullif,
    [EX_GREATEST] = run_extreme,
    [EX_LEAST] = run_extreme,
    [EX_IN] = run_in,
    [EX_ANY] = run_any,
    [EX_ALL] = run_any,
};

static struct vec run_node(struct eval *ev, struct eval_node *n, const struct batch *in, const uint8_t *mask)
{
    return node_fns[n->e->kind](ev, n, in, mask);
}

/* What the kernel of the node is called with; NULLIF and its like call an operator. */
static uint8_t *node_types(const struct expr *e)
{
    bool any = e->kind == EX_ANY || e->kind == EX_ALL, equality = e->kind == EX_NULLIF || e->kind == EX_IN;
    if (e->kind != EX_FN && e->kind != EX_CAST && !equality && !any)
        return NULL;
    uint8_t *types = xcalloc(e->arg_count + 1, 1);
    types[0] = (uint8_t)(equality || any ? T_BOOL : e->type.id);
    for (uint32_t a = 0; a < e->arg_count; a++)
        types[a + 1] = (uint8_t)e->args[a]->type.id;
    if (any)
        types[2] = (uint8_t)type_element(e->args[1]->type.id);
    return types;
}

static struct eval_node *node_new(const struct expr *e, uint32_t room)
{
    struct eval_node *n = xcalloc(1, sizeof *n);
    n->e = e;
    n->arg_count = e->arg_count;
    ASSERT(e->kind != EX_FN || e->arg_count <= EVAL_ARGS_MAX);
    n->args = xcalloc(e->arg_count, sizeof *n->args);
    for (uint32_t a = 0; a < e->arg_count; a++)
        n->args[a] = node_new(e->args[a], room);
    if (e->kind == EX_COLUMN)
        return n;
    n->types = node_types(e);
    n->v = xcalloc(room, sizeof *n->v);
    n->state = xcalloc(room, 1);
    if (e->kind == EX_AND || e->kind == EX_OR || e->kind == EX_CASE || e->kind == EX_COALESCE ||
        e->kind == EX_IN)
        n->mask = xcalloc(room, 2);
    if (e->kind == EX_CONST)
        for (uint32_t r = 0; r < room; r++) {
            n->v[r] = e->u.konst.v;
            n->state[r] = e->u.konst.is_null ? VAL_NULL : VAL_OK;
        }
    return n;
}

static void node_free(struct eval_node *n)
{
    for (uint32_t a = 0; a < n->arg_count; a++)
        node_free(n->args[a]);
    free(n->args);
    free(n->v);
    free(n->state);
    free(n->mask);
    free(n->types);
    free(n);
}

struct eval *eval_new_sized(const struct expr *e, uint32_t room)
{
    struct eval *ev = xcalloc(1, sizeof *ev);
    arena_init(&ev->arena);
    ev->ctx.arena = &ev->arena;
    ev->room = room;
    ev->root = node_new(e, room);
    return ev;
}

struct eval *eval_new(const struct expr *e)
{
    return eval_new_sized(e, BATCH_ROWS);
}

void eval_free(struct eval *ev)
{
    if (!ev)
        return;
    node_free(ev->root);
    arena_fini(&ev->arena);
    free(ev);
}

struct vec eval_run(struct eval *ev, const struct batch *in)
{
    ASSERT(in->row_count <= ev->room);
    arena_reset(&ev->arena);
    return run_node(ev, ev->root, in, NULL);
}

const char *eval_error_text(const struct eval *ev)
{
    return ev->last_text;
}

enum fn_error eval_error_code(const struct eval *ev)
{
    return ev->last_error;
}

/* The place of `part`, or of the innermost expression around it that has one. */
static bool find_place(const struct expr *e, const struct expr *part, struct expr_place *place)
{
    bool found = e == part;
    for (uint32_t i = 0; i < e->arg_count && !found; i++)
        found = find_place(e->args[i], part, place);
    if (found && !place->line && e->line)
        *place = (struct expr_place){e->file, e->line, e->position};
    return found;
}

void eval_explain(struct eval *ev, const struct batch *in, uint32_t row, struct eval_failure *out)
{
    struct vec *cols = xcalloc(in->column_count + 1, sizeof *cols);
    for (uint32_t c = 0; c < in->column_count; c++)
        cols[c] = (struct vec){in->cols[c].v + row, in->cols[c].state + row};
    struct batch one = {.row_count = 1, .column_count = in->column_count, .cols = cols};
    ev->last_error = FN_OK;
    ev->last_part = ev->root->e;
    ev->last_text[0] = 0;
    ev->keep_first = true;
    (void)eval_run(ev, &one);
    ev->keep_first = false;
    free(cols);
    *out = (struct eval_failure){.code = ev->last_error, .part = ev->last_part};
    memcpy(out->text, ev->last_text, sizeof out->text);
    (void)find_place(ev->root->e, ev->last_part, &out->place);
}
