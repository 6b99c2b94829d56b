/* `penstock why`: where a row's values come from, from the store of a running instance. What a client gets as JSON, worked out
 * here: the machine's operator needs nobody's leave. */
#include "cli/cli.h"
#include "cli/instance.h"

#include "base/clock.h"
#include "base/text.h"
#include "config/config.h"
#include "serve/out.h"
#include "serve/why.h"

#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

/* ---- the question as a request's target ---- */

static void put_escaped(struct buf *b, const char *text, const char *kept)
{
    for (const char *p = text; *p; p++) {
        unsigned char c = (unsigned char)*p;
        bool plain =
            (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || strchr(kept, c);
        if (plain)
            buf_put_u8(b, c);
        else
            buf_printf(b, "%%%02X", c);
    }
}

static const char *after_equals(const char *word)
{
    const char *at = strchr(word, '=');
    return at ? at + 1 : NULL;
}

static void put_filter(struct buf *b, const char *word)
{
    char *name = xstrdup(word);
    const char *value = after_equals(word);
    name[value ? (size_t)(value - word) - 1 : 0] = 0;
    put_escaped(b, name, "_");
    buf_put_str(b, "=eq.");
    put_escaped(b, value ? value : "", "_-");
    free(name);
}

static void put_target(struct buf *b, const struct cli_args *a, uint32_t key_count)
{
    buf_put_str(b, "/api/");
    put_escaped(b, a->words[0], "_-/");
    for (uint32_t i = 1; key_count && i < a->word_count; i++) {
        buf_put_u8(b, '/');
        put_escaped(b, a->words[i], "_-");
    }
    buf_put_str(b, "/why?limit=");
    out_i64(b, a->limit ? a->limit : WHY_PAGE_DEFAULT);
    for (uint32_t i = 1; !key_count && i < a->word_count; i++) {
        buf_put_u8(b, '&');
        put_filter(b, a->words[i]);
    }
    if (a->cursor) {
        buf_put_str(b, "&cursor=");
        put_escaped(b, a->cursor, "");
    }
}

/* ---- text ---- */

static const char *text_of(yyjson_val *o, const char *name)
{
    const char *text = yyjson_get_str(yyjson_obj_get(o, name));
    return text ? text : "";
}

/* Numbers are kept as they stand, with all their digits. */
static unsigned long long number_of(yyjson_val *o, const char *name)
{
    const char *text = yyjson_get_raw(yyjson_obj_get(o, name));
    return text ? strtoull(text, NULL, 10) : 0;
}

/* As it stands in the JSON, but strings without quotes. */
static void print_value(yyjson_val *v, FILE *to)
{
    char *text = yyjson_is_str(v) ? NULL : yyjson_val_write(v, YYJSON_WRITE_ALLOW_INVALID_UNICODE, NULL);
    text_print(to, yyjson_is_null(v) ? "NULL" : text ? text : yyjson_get_str(v));
    free(text);
}

static void print_fields(yyjson_val *row, const char *between, FILE *to)
{
    size_t i, n;
    yyjson_val *name, *value;
    yyjson_obj_foreach(row, i, n, name, value)
    {
        fputs(i ? between : "", to);
        text_print(to, yyjson_get_str(name));
        fputc('=', to);
        print_value(value, to);
    }
}

static void print_source(yyjson_val *s, FILE *to)
{
    size_t i, n;
    yyjson_val *text, *window = yyjson_arr_get_first(yyjson_obj_get(s, "as"));
    fputs("  ", to);
    text_print(to, text_of(s, "table"));
    fputs("  ", to);
    print_fields(yyjson_obj_get(s, "row"), " ", to);
    if (yyjson_obj_get(s, "copies"))
        fprintf(to, "  (%llu copies)", number_of(s, "copies"));
    if (yyjson_equals_str(window, "window"))
        fputs("  (in the window's partition)", to);
    yyjson_arr_foreach(yyjson_obj_get(s, "attains"), i, n, text)
    {
        fputs(i ? ", " : "  <- ", to);
        text_print(to, yyjson_get_str(text));
    }
    fputc('\n', to);
}

static void print_between(yyjson_val *s, const char *one, const char *first, const char *last, FILE *to)
{
    yyjson_val *v = yyjson_obj_get(s, one), *a = yyjson_obj_get(s, first), *b = yyjson_obj_get(s, last);
    if (v)
        print_value(v, to);
    if (v || !a || !b)
        return;
    print_value(a, to);
    fputs(" to ", to);
    print_value(b, to);
}

/* "  at 12:00:01, core 0/16B3748 (transaction 1234)" */
static void print_origin(yyjson_val *c, FILE *to)
{
    size_t i, n;
    yyjson_val *s;
    if (*text_of(c, "at")) {
        fputs(", ", to);
        text_print(to, text_of(c, "at"));
    }
    yyjson_arr_foreach(yyjson_obj_get(c, "sources"), i, n, s)
    {
        unsigned long long count = number_of(s, "transactions");
        fputs(", ", to);
        text_print(to, text_of(s, "source"));
        fputc(' ', to);
        print_between(s, "position", "first_position", "last_position", to);
        bool numbered = yyjson_obj_get(s, "transaction") || yyjson_obj_get(s, "first_transaction");
        if (count > 1)
            fprintf(to, " (one of %llu transactions", count);
        else if (numbered)
            fputs(" (transaction", to);
        if (numbered) {
            fputc(' ', to);
            print_between(s, "transaction", "first_transaction", "last_transaction", to);
        }
        fputs(count > 1 || numbered ? ")" : "", to);
    }
}

static void print_change(yyjson_val *c, FILE *to)
{
    yyjson_val *old = yyjson_obj_get(c, "old"), *new = yyjson_obj_get(c, "new");
    size_t i, n;
    yyjson_val *name, *value;
    fprintf(to, "  epoch %llu", number_of(c, "epoch"));
    print_origin(c, to);
    fprintf(to, ": %s", text_of(c, "op"));
    yyjson_obj_foreach(yyjson_is_null(new) ? old : new, i, n, name, value)
    {
        yyjson_val *before = yyjson_obj_get(old, yyjson_get_str(name));
        bool update = !yyjson_is_null(new) && before;
        if (update && yyjson_equals(before, value))
            continue;
        fputs("  ", to);
        text_print(to, yyjson_get_str(name));
        fputc('=', to);
        if (update) {
            print_value(before, to);
            fputs(" -> ", to);
        }
        print_value(value, to);
    }
    fputc('\n', to);
}

/* Those that are more than a name: "  balance = sum(e.amount)". */
static void print_columns(yyjson_val *columns, FILE *to)
{
    size_t i, n, k, through_count;
    yyjson_val *c, *t;
    yyjson_arr_foreach(columns, i, n, c)
    {
        fputs("  ", to);
        text_print(to, text_of(c, "name"));
        fputs(" is ", to);
        text_print(to, *text_of(c, "expression") ? text_of(c, "expression") : "?");
        yyjson_arr_foreach(yyjson_obj_get(c, "through"), k, through_count, t)
        {
            fputs(k ? ", " : "; through ", to);
            text_print(to, text_of(t, "view"));
            fputc('.', to);
            text_print(to, text_of(t, "column"));
            fputs(" is ", to);
            text_print(to, *text_of(t, "expression") ? text_of(t, "expression") : "?");
        }
        fputc('\n', to);
    }
}

static void print_text(yyjson_val *root, FILE *to)
{
    size_t i, n;
    yyjson_val *v, *sources = yyjson_obj_get(root, "sources"), *changes = yyjson_obj_get(root, "changes");
    unsigned long long count = number_of(root, "source_count");
    text_print(to, text_of(root, "api"));
    fprintf(to, " at epoch %llu: ", number_of(root, "epoch"));
    print_fields(yyjson_obj_get(root, "row"), " ", to);
    fputc('\n', to);
    print_columns(yyjson_obj_get(root, "columns"), to);
    fprintf(to, "made of %llu source row%s", count, count == 1 ? "" : "s");
    if (!yyjson_get_bool(yyjson_obj_get(root, "complete")))
        fprintf(to, ", and perhaps of others: not complete%s%s",
                *text_of(root, "cut_by") ? ", cut off by " : "", text_of(root, "cut_by"));
    fputs(count ? ":\n" : "\n", to);
    yyjson_arr_foreach(sources, i, n, v)
    {
        print_source(v, to);
    }
    if (*text_of(root, "next"))
        fprintf(to, "  and others: --cursor %s\n", text_of(root, "next"));
    yyjson_arr_foreach(yyjson_obj_get(root, "notes"), i, n, v)
    {
        fputs("note: ", to);
        text_print(to, yyjson_get_str(v));
        fputc('\n', to);
    }
    fprintf(to, "last changes, as far as the change log goes (epochs after %llu):%s\n",
            number_of(root, "changes_since"), yyjson_arr_size(changes) ? "" : " none");
    yyjson_arr_foreach(changes, i, n, v)
    {
        print_change(v, to);
    }
}

/* ---- reading ---- */

static struct err *problem_error(const struct problem *p)
{
    struct err *e = err_new(p->status < 500 ? ERR_CONFIG : ERR_STATE, "%s", p->message);
    return p->hint ? err_hint(e, "%s", p->hint) : e;
}

static struct err *print_answer(const struct buf *body, const struct cli_args *a, FILE *to)
{
    if (a->json) {
        fwrite(body->p, 1, body->len, to);
        fputc('\n', to);
        return NULL;
    }
    yyjson_doc *d = yyjson_read((const char *)body->p, body->len,
                                YYJSON_READ_ALLOW_INVALID_UNICODE | YYJSON_READ_NUMBER_AS_RAW);
    if (!d)
        return err_new(ERR_INTERNAL, "the answer is no JSON");
    print_text(yyjson_doc_get_root(d), to);
    yyjson_doc_free(d);
    return NULL;
}

static uint32_t key_columns(const struct world *w, const char *api)
{
    for (uint32_t i = 0; i < w->api_count; i++)
        if (strcmp(w->apis[i].path, api) == 0)
            return w->apis[i].view->key_count;
    return 1; /* it is refused by its name */
}

static struct err *ask(struct rest *r, const struct stored_plan *plan, const struct cli_args *a, FILE *to)
{
    struct buf target = {0}, body = {0};
    struct answer answer;
    put_target(&target, a, key_columns(r->world, a->words[0]));
    answer_init(&answer, &r->arena, &body);
    r->now_us = unix_us();
    why_answer(r, &(struct why_ask){.target = {target.p, target.len}, .plan = plan}, &answer);
    struct err *e = answer.problem.status ? problem_error(&answer.problem) : print_answer(&body, a, to);
    buf_fini(&target);
    buf_fini(&body);
    return e;
}

/* The bounds of a why are the configuration's. With --data it need not be there: then they are the defaults. */
static struct err *why_limits(const struct cli_args *a, struct serve_limits *limits)
{
    struct config *c = NULL;
    serve_limits_default(limits);
    struct err *e = config_load(a->config, false, &c);
    if (!e) {
        limits->why_rows = c->limits.why_rows;
        limits->why_time_us = c->limits.why_time_us;
    }
    config_free(c);
    if (!a->data)
        return e;
    err_free(e);
    return NULL;
}

static struct err *with_world(struct world *w, struct gate *gate, const char *dir, const struct cli_args *a,
                              FILE *to)
{
    struct serve_limits limits;
    struct rest r;
    struct stored_plan *plan = NULL;
    TRY(why_limits(a, &limits));
    rest_init(&r, &limits, gate, true);
    r.trusted = true;
    struct err *e = rest_use(&r, w);
    if (!e)
        e = plan_file_load(dir, w->catalog->run, &plan);
    if (!e)
        e = ask(&r, plan, a, to);
    rest_fini(&r);
    stored_plan_free(plan);
    return e;
}

static struct err *look(const char *dir, const struct cli_args *a, FILE *to)
{
    struct instance i;
    struct gate *gate = NULL;
    struct world *w = NULL;
    struct api_names names = {0};
    bool fresh_boot;
    TRY(instance_open(dir, &i));
    bool lives = instance_lives(&i) && i.gate && i.catalog;
    instance_close(&i);
    if (!lives)
        return err_hint(err_new(ERR_STATE, "no instance is running on %s", dir), "penstock run starts one");
    TRY(gate_open(dir, &gate, &fresh_boot));
    struct err *e = world_open(dir, gate, &names, &w);
    if (!e && !w)
        e = err_new(ERR_STATE, "the instance on %s is just starting", dir);
    if (!e)
        e = with_world(w, gate, dir, a, to);
    world_close(w);
    for (uint32_t n = 0; n < names.count; n++)
        free(names.names[n]);
    gate_close(gate);
    return e;
}

int cmd_why(const struct cli_args *a)
{
    char *dir = NULL, *text = NULL;
    size_t len = 0;
    if (a->word_count == 0)
        return cli_report(err_hint(err_new(ERR_CONFIG, "which row?"), "penstock why API KEY..."));
    struct err *e = instance_dir(a, &dir);
    FILE *to = open_memstream(&text, &len); /* all is read before anything is said */
    ASSERT(to);
    if (!e)
        e = look(dir, a, to);
    fclose(to);
    if (!e && (fwrite(text, 1, len, stdout) != len || fflush(stdout) != 0))
        e = err_errno(ERR_IO, "cannot write the answer");
    free(text);
    free(dir);
    return cli_report(e);
}
