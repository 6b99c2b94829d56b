/* /health and /ready, and what the gate says; see stats.h. */
#include "serve/out.h"
#include "serve/rest.h"
#include "store/pause.h"

#define HEARTBEAT_LATE_US INT64_C(3000000)

int64_t status_stale_us(const struct gate *g, int64_t now_us)
{
    int64_t beat = g->heartbeat_us;
    if (now_us - beat <= HEARTBEAT_LATE_US && g->pipeline_state != PIPELINE_DOWN)
        return -1;
    return beat > 0 && now_us > beat ? now_us - beat : 0;
}

unsigned status_pipeline_state(const struct gate *g, int64_t now_us)
{
    return status_stale_us(g, now_us) >= 0 ? PIPELINE_DOWN : g->pipeline_state;
}

static int64_t since(int64_t now_us, int64_t at_us)
{
    return at_us > 0 && now_us > at_us ? now_us - at_us : 0;
}

int64_t status_source_lag_us(const struct gate *g, const struct gate_source *s, int64_t now_us)
{
    int64_t oldest = s->stats.oldest_us, caught_up = s->stats.caught_up_us, last = s->last_change_us;
    int64_t stale = status_stale_us(g, now_us), lag = stale > 0 ? stale : 0;
    int64_t seen = lag;
    if (oldest > 0)
        seen = since(now_us, oldest); /* it is at hand */
    else if (s->state != SOURCE_STREAMING)
        seen = since(now_us, s->last_contact_us);
    else if (s->lag_bytes > 0)
        seen = since(now_us, caught_up > last ? caught_up : last); /* the source has it, since then at most */
    return seen > lag ? seen : lag;
}

static void reason(struct buf *b, bool *first, const char *fmt, const char *a, const char *c)
{
    char text[PAUSE_TEXT_BYTES];
    snprintf(text, sizeof text, fmt, a, c);
    if (!*first)
        OUT_LIT(b, ",");
    *first = false;
    out_json_cstr(b, text);
}

static const char *pipeline_now(const struct rest *r)
{
    return pipeline_state_name(status_pipeline_state(r->gate, r->now_us));
}

void status_health(struct rest *r, struct answer *a)
{
    a->content_type = "application/json; charset=utf-8";
    buf_printf(a->body,
               "{\"status\":\"ok\",\"pipeline\":\"%s\",\"epoch\":%llu,\"apis\":%u,\"stale_seconds\":%lld}",
               pipeline_now(r), (unsigned long long)r->gate->epoch, r->world ? r->world->api_count : 0,
               (long long)(rest_stale_s(r) < 0 ? 0 : rest_stale_s(r)));
}

static void source_reasons(struct rest *r, struct buf *b, bool *first)
{
    for (uint32_t i = 0; i < r->gate->source_count && i < GATE_SOURCES_MAX; i++) {
        const struct gate_source *s = &r->gate->sources[i];
        if (s->state == SOURCE_FAILED || s->state == SOURCE_RETRYING)
            reason(b, first, "source %s is %s", s->name, source_state_name(s->state));
    }
}

/* Ready: the pipeline runs and every view is complete. A source that is away is said, but views stay served. */
void status_ready(struct rest *r, struct answer *a)
{
    struct buf *b = a->body;
    bool first = true;
    a->content_type = "application/json; charset=utf-8";
    OUT_LIT(b, "{\"reasons\":[");
    if (!r->world)
        reason(b, &first, "no catalog yet%s%s", "", "");
    char paused[PAUSE_TEXT_BYTES];
    if (*pause_text(r->gate, paused))
        reason(b, &first, "%s%s", paused, "");
    else if (rest_stale_s(r) >= 0 || r->gate->pipeline_state != PIPELINE_RUNNING)
        reason(b, &first, "the pipeline is %s%s", pipeline_now(r), "");
    for (uint32_t i = 0; r->world && i < r->world->view_count; i++) {
        const struct catalog_view *v = r->world->views[i].cv;
        unsigned state = v->slot < GATE_VIEWS_MAX ? r->gate->views[v->slot].state : VIEW_READY;
        bool counts = state == VIEW_STOPPED
                          ? world_shows(world_current(r->world), i) /* an old one may be lost */
                          : state != VIEW_READY && world_serves(r->world, i);
        if (counts)
            reason(b, &first, "view %s is %s", v->name, view_state_name(state));
    }
    bool ready = first;
    OUT_LIT(b, "],\"warnings\":[");
    first = true;
    source_reasons(r, b, &first);
    buf_printf(b, "],\"ready\":%s}", ready ? "true" : "false");
    if (!ready) {
        a->status = 503;
        a->retry_after_s = 1;
    }
}
