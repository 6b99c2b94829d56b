/* `penstock openapi`: the document that GET /api/ gives, without a running instance. */
#include "cli/cli.h"
#include "cli/world.h"

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
        return err_new(ERR_INTERNAL, "the OpenAPI document is not JSON");
    bool written = puts(text) >= 0 && fflush(stdout) == 0;
    free(text);
    return written ? NULL : err_errno(ERR_IO, "cannot write");
}

static struct err *openapi(struct app *a)
{
    TRY(app_describe(a, NULL));
    TRY(app_plan(a));
    struct buf b = {0};
    openapi_from_catalog(app_catalog(a, 1), &b);
    struct err *e = print_pretty(&b);
    buf_fini(&b);
    return e;
}

int cmd_openapi(const struct cli_args *a)
{
    struct app *app = NULL;
    struct err *e = app_load(a->config, &app);
    if (!e)
        e = openapi(app);
    int status = cli_report(e);
    app_free(app);
    return status;
}
