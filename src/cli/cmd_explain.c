/* `penstock explain`: the dataflow graph of one view or of all, as text or for Graphviz. */
#include "cli/cli.h"
#include "cli/world.h"

#include "base/nearest.h"

#include <string.h>

static struct err *find_view(const struct app *a, const char *view)
{
    struct nearest n;
    nearest_init(&n, view);
    for (uint32_t i = 0; i < a->plan->view_count; i++) {
        if (strcmp(a->plan->views[i]->name, view) == 0)
            return NULL;
        nearest_offer(&n, a->plan->views[i]->name);
    }
    struct err *e = err_new(ERR_CONFIG, "%s: there is no view '%s'", a->config->file, view);
    return n.best ? err_hint(e, "did you mean '%s'?", n.best) : e;
}

static struct err *explain(struct app *a, const char *view, bool dot)
{
    TRY(app_describe(a, NULL));
    TRY(app_plan(a));
    if (view)
        TRY(find_view(a, view));
    plan_explain(a->plan, view, dot, stdout);
    return NULL;
}

int cmd_explain(const struct cli_args *a)
{
    struct app *app = NULL;
    struct err *e = app_load(a->config, &app);
    if (!e)
        e = explain(app, a->word_count ? a->words[0] : NULL, a->dot);
    int status = cli_report(e);
    app_free(app);
    return status;
}
