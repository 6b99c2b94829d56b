/* `penstock openapi`, `schema`, `types`: the documents that GET /api/, /api/schema.json and /api/types.ts give, without a
 * running instance. */
#include "cli/cli.h"
#include "cli/world.h"

#include "serve/export.h"
#include "serve/openapi_catalog.h"

#include <stdlib.h>
#include <yyjson.h>

/* Readable: what is served is on one line. */
static struct err *print_pretty(const struct buf *b)
{
    yyjson_doc *d = yyjson_read((const char *)b->p, b->len, 0);
    char *text = d ? yyjson_write(d, YYJSON_WRITE_PRETTY_TWO_SPACES, NULL) : NULL;
    yyjson_doc_free(d);
    if (!text)
        return err_new(ERR_INTERNAL, "the document is not JSON");
    bool written = puts(text) >= 0 && fflush(stdout) == 0;
    free(text);
    return written ? NULL : err_errno(ERR_IO, "cannot write");
}

static struct err *print(const struct buf *b)
{
    bool written = fwrite(b->p, 1, b->len, stdout) == b->len && fflush(stdout) == 0;
    return written ? NULL : err_errno(ERR_IO, "cannot write");
}

static struct err *document(struct app *a, enum export kind)
{
    TRY(app_describe(a, NULL));
    TRY(app_plan(a));
    struct buf b = {0}, made = {0};
    openapi_from_catalog(app_catalog(a, 1), &b);
    if (kind != EXPORT_NONE)
        export_write(kind, (struct slice){b.p, b.len}, &made);
    struct err *e = kind == EXPORT_TYPES ? print(&made) : print_pretty(kind == EXPORT_NONE ? &b : &made);
    buf_fini(&b);
    buf_fini(&made);
    return e;
}

static int run(const struct cli_args *a, enum export kind)
{
    struct app *app = NULL;
    struct err *e = app_load(a->config, &app);
    if (!e)
        e = document(app, kind);
    int status = cli_report(e);
    app_free(app);
    return status;
}

int cmd_openapi(const struct cli_args *a)
{
    return run(a, EXPORT_NONE);
}

int cmd_schema(const struct cli_args *a)
{
    return run(a, EXPORT_SCHEMA);
}

int cmd_types(const struct cli_args *a)
{
    return run(a, EXPORT_TYPES);
}
