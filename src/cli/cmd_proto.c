/* `penstock proto`: the file that GET /api/penstock.proto gives, without a running instance. */
#include "cli/cli.h"
#include "cli/world.h"

#include "serve/proto_api.h"
#include "serve/proto_files.h"

#include <string.h>

static struct err *print(const struct buf *b)
{
    bool written = fwrite(b->p, 1, b->len, stdout) == b->len && fflush(stdout) == 0;
    return written ? NULL : err_errno(ERR_IO, "cannot write");
}

/* Numbers that columns have been given stand in the data directory; without one they are those of a first start. */
static struct err *typed(struct app *a, const char *data, struct buf *b)
{
    struct catalog *was = NULL;
    TRY(app_describe(a, NULL));
    TRY(app_plan(a));
    struct catalog *now = app_catalog(a, 1);
    TRY(catalog_load(data, &was));
    catalog_number_fields(now, &a->arena, was);
    catalog_free(was);
    proto_from_catalog(now, b);
    return NULL;
}

int cmd_proto(const struct cli_args *a)
{
    struct app *app = NULL;
    struct buf b = {0};
    struct err *e = NULL;
    if (a->word_count == 0) {
        e = app_load(a->config, &app);
        if (!e)
            e = typed(app, a->data ? a->data : app->config->store_path, &b);
    } else if (strcmp(a->words[0], "views") == 0) {
        proto_file_text(&proto_views, &b);
    } else {
        e = err_hint(err_new(ERR_CONFIG, "unknown file \"%s\"", a->words[0]),
                     "penstock proto prints the apis' services, penstock proto views the generic one");
    }
    if (!e)
        e = print(&b);
    int status = cli_report(e);
    buf_fini(&b);
    app_free(app);
    return status;
}
