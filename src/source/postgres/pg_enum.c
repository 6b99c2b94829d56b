/* Enum types of the server: their labels, made known when tables are described, and what happens when they change.
 *
 * Nothing in the stream says that a type got a new label or that one was renamed: a value with an unknown label does, and
 * every new session asks. New labels are learned by starting the pipeline anew, so that what was planned with the labels
 * (casts of text, enum_range) and what is served agree; no row is lost by that, the stream goes on from the stored
 * position. A renamed label changes rows that nobody sends again: a start finds that the mirrors were written with other
 * labels, and takes a new snapshot of the source. Anything else that happened to a type makes another type of it. */
#include "source/postgres/pg_run.h"
#include "base/log.h"
#include <inttypes.h>
#include <stdlib.h>

static const char labels_sql[] =
    "SELECT enumtypid, enumsortorder, enumlabel FROM pg_catalog.pg_enum WHERE enumtypid = ANY ($1::oid[]) "
    "ORDER BY enumtypid, enumsortorder";

static uint32_t row_oid(const PGresult *r, int row)
{
    return (uint32_t)strtoul(PQgetvalue(r, row, 0), NULL, 10);
}

/* Those of `oid`, which stand together. */
static void labels_take(struct arena *arena, const PGresult *r, uint32_t oid, struct enum_desc *out)
{
    int first = 0, rows = PQntuples(r), count = 0;
    while (first < rows && row_oid(r, first) != oid)
        first++;
    while (first + count < rows && row_oid(r, first + count) == oid)
        count++;
    struct enum_label *labels = ARENA_ARRAY(arena, struct enum_label, count + 1);
    for (int i = 0; i < count; i++)
        labels[i] = (struct enum_label){arena_strdup(arena, PQgetvalue(r, first + i, 2)),
                                        strtof(PQgetvalue(r, first + i, 1), NULL)};
    *out = (struct enum_desc){oid, (uint32_t)count, labels};
}

struct err *pg_enums_read(struct arena *arena, const struct pg_conf *conf, PGconn *conn,
                          const struct pg_stop *stop, struct pg_enum *enums, uint32_t count)
{
    if (!count)
        return NULL;
    const char **oids = ARENA_ARRAY(arena, const char *, count);
    for (uint32_t i = 0; i < count; i++)
        oids[i] = arena_printf(arena, "%" PRIu32, enums[i].desc.oid);
    const char *params[] = {pg_text_array(arena, oids, count)};
    PGresult *r = NULL;
    TRY(pg_exec(conf, conn, stop, "cannot read the catalogue", PGRES_TUPLES_OK, labels_sql, 1, params, &r));
    for (uint32_t i = 0; i < count; i++)
        labels_take(arena, r, enums[i].desc.oid, &enums[i].desc);
    PQclear(r);
    return NULL;
}

void pg_enums_register(const struct pg_catalog *cat)
{
    for (uint32_t i = 0; i < cat->enum_count; i++)
        if (cat->enums[i].name)
            (void)enum_type_put(cat->enums[i].name, &cat->enums[i].desc, ENUM_FROM_SOURCE);
}

/* The definition that was planned with; NULL: none. */
static const struct enum_def *planned(const char *name)
{
    const struct type_info *info = name ? type_by_name(name) : NULL;
    return info && type_is_enum(info->id) && strcmp(info->name, name) == 0 ? enum_type_def(info->id) : NULL;
}

static struct err *changed(const struct pg_table *t, const char *column, const char *type)
{
    return err_hint(
        err_new(ERR_STATE, "table %s: column %s: type %s is another type now", t->rel->quoted, column, type),
        "the views that read it keep their last state; restart Penstock to take a new snapshot");
}

static struct err *judge(const struct pg_table *t, const char *column, const char *type,
                         const struct enum_desc *now)
{
    const struct enum_def *def = planned(type);
    enum enum_change change = def ? enum_compare(&def->desc, now) : ENUM_CHANGED;
    if (change == ENUM_SAME)
        return NULL;
    if (change == ENUM_CHANGED && def && def->desc.oid == now->oid)
        return err_new(ERR_RESTART, "labels of type %s were renamed: starting anew with a new snapshot",
                       type);
    if (change == ENUM_CHANGED)
        return changed(t, column, type);
    return err_new(ERR_RESTART, "type %s has new labels: starting anew to know them", type);
}

struct err *pg_enum_check(const struct pg_table *t, const struct pg_column *c)
{
    return c->enum_type ? judge(t, c->name, c->enum_type->name, &c->enum_type->desc) : NULL;
}

struct err *pg_enum_unknown(const struct pg_run *run, const struct pg_table *t, const struct pg_column *c)
{
    PGconn *conn = NULL;
    struct arena arena;
    struct pg_enum now = *c->enum_type;
    arena_init(&arena);
    struct err *judged = pg_connect(run->conf, PG_CONN_SQL, PG_CONNECT_TIMEOUT_MS, &run->stop, &conn);
    if (!judged)
        judged = pg_enums_read(&arena, run->conf, conn, &run->stop, &now, 1);
    if (!judged)
        judged = judge(t, c->name, now.name, &now.desc);
    PQfinish(conn);
    arena_fini(&arena);
    return judged;
}
