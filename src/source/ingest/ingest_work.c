/* What the work on one pushed request needs of memory, kept for the next request; see ingest.h. */
#include "source/ingest/ingest.h"

#include <stdlib.h>
#include <yyjson.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct ingest_work *idle; /* the last one given back first: few are ever touched */

struct ingest_work *ingest_work_take(void)
{
    pthread_mutex_lock(&lock);
    struct ingest_work *w = idle;
    if (w)
        idle = w->next;
    pthread_mutex_unlock(&lock);
    if (w)
        return w;
    w = xcalloc(1, sizeof *w);
    arena_init(&w->arena);
    w->json = yyjson_alc_dyn_new();
    if (!w->json)
        PANIC("out of memory");
    return w;
}

static void work_free(struct ingest_work *w)
{
    buf_fini(&w->body);
    buf_fini(&w->text);
    buf_fini(&w->row);
    buf_fini(&w->rows);
    buf_fini(&w->record);
    arena_fini(&w->arena);
    yyjson_alc_dyn_free(w->json);
    free(w);
}

void ingest_work_give(struct ingest_work *w)
{
    /* A document is some times its text; what one large request took is not kept for small ones. */
    if (w->body.cap + w->rows.cap + w->record.cap + w->arena.held_bytes > INGEST_WORK_KEPT_BYTES) {
        work_free(w);
        return;
    }
    buf_reset(&w->body);
    buf_reset(&w->text);
    buf_reset(&w->row);
    buf_reset(&w->rows);
    buf_reset(&w->record);
    arena_reset(&w->arena);
    pthread_mutex_lock(&lock);
    w->next = idle;
    idle = w;
    pthread_mutex_unlock(&lock);
}

void ingest_works_free(void)
{
    pthread_mutex_lock(&lock);
    while (idle) {
        struct ingest_work *w = idle;
        idle = w->next;
        work_free(w);
    }
    pthread_mutex_unlock(&lock);
}
