/* The pipeline's tables against the server's: matched by name, compared by type and key. */
#include "source/postgres/pg_run.h"
#include <stdlib.h>

static NODISCARD struct err *changed(struct err *e)
{
    return err_hint(
        e,
        "the views that read it keep their last state; put the table back as it was, or apply "
        "the configuration again (penstock apply, SIGHUP, or a restart) to plan with the table as it is now");
}

/* A changed type modifier means rewritten values (numeric(10,2) to numeric(10,4)), except for text, whose values stay
 * as they are when only the limit moves. */
bool pg_typmod_matters(enum type_id id)
{
    enum type_id scalar = type_is_array(id) ? type_element(id) : id;
    return scalar != T_TEXT && scalar != T_VARCHAR;
}

static struct err *column_map(struct pg_run *run, const struct pg_conf_table *t, struct pg_table *table,
                              uint32_t i)
{
    const struct column *want = &table->def->schema.columns[i];
    if (!table->in_key[i] && !sink_column_wanted(run->sink, table->index, i))
        return NULL;
    const struct pg_column *c = pg_column_find(table->rel, want->name);
    if (!c)
        return changed(
            err_new(ERR_STATE, "table %s: column %s was dropped or renamed", table->rel->quoted, want->name));
    struct type type;
    if (!pg_column_type(c, t->unsupported, &type) || type.id != want->type.id ||
        (type.typmod != want->type.typmod && pg_typmod_matters(type.id))) {
        char was[TYPE_NAME_MAX + 1];
        return changed(err_new(ERR_STATE, "table %s: column %s was %s and is now %s", table->rel->quoted,
                               want->name, type_format(want->type, was, sizeof was), c->type_name));
    }
    table->columns[i] = c;
    return pg_enum_check(table, c);
}

static bool same_key(const struct table_def *def, const struct pg_relation *rel)
{
    /* A bag of rows stays one when it gets a key. */
    if (def->key_count == 0)
        return rel->replica_identity == 'f';
    if (rel->key_count != def->key_count)
        return false;
    for (uint32_t k = 0; k < rel->key_count; k++) {
        const struct pg_column *c = pg_column_find(rel, def->schema.columns[def->key[k]].name);
        if (!c || c->attnum != rel->key[k])
            return false;
    }
    return true;
}

static struct err *table_map(struct pg_run *run, uint32_t at, uint32_t index, struct pg_table *table)
{
    const struct table_def *def = &run->defs[index];
    const struct pg_conf_table *t = &run->catalog->tables[at];
    const struct pg_relation *rel = run->catalog->relations[at];
    if (!rel || (rel->kind != 'r' && rel->kind != 'p'))
        return changed(err_new(ERR_STATE, "table \"%s\".\"%s\" is no longer there", t->schema, t->name));
    uint32_t columns = def->schema.column_count;
    *table = (struct pg_table){.def = def,
                               .rel = rel,
                               .index = index,
                               .quarantine_limit = t->quarantine_limit,
                               .stop_on_error = t->on_error == PG_ON_ERROR_STOP,
                               .columns = ARENA_ARRAY(&run->arena, const struct pg_column *, columns),
                               .in_key = ARENA_ARRAY(&run->arena, bool, columns)};
    for (uint32_t k = 0; k < def->key_count; k++)
        table->in_key[def->key[k]] = true;
    for (uint32_t i = 0; i < columns; i++)
        TRY(column_map(run, t, table, i));
    if (rel->replica_identity == 'n' || !same_key(def, rel))
        return changed(
            err_new(ERR_STATE, "table %s: its primary key or replica identity changed", rel->quoted));
    return NULL;
}

static struct err *table_find(struct pg_run *run, uint32_t index)
{
    uint32_t at = 0;
    while (at < run->catalog->table_count && strcmp(run->catalog->tables[at].as, run->defs[index].name) != 0)
        at++;
    if (at == run->catalog->table_count)
        return changed(err_new(ERR_STATE, "table %s is no longer in publication %s", run->defs[index].name,
                               run->conf->publication));
    TRY(table_map(run, at, index, &run->tables[run->table_count]));
    run->table_count++;
    return NULL;
}

struct err *pg_tables_map(struct pg_run *run)
{
    run->tables = ARENA_ARRAY(&run->arena, struct pg_table, run->def_count + 1);
    run->table_count = 0;
    for (uint32_t i = 0; i < run->def_count; i++) {
        if (!run->wanted[i] || run->stopped[i])
            continue;
        struct err *e = table_find(run, i);
        if (e)
            TRY(pg_table_stop(run, i, e));
    }
    return NULL;
}

struct err *pg_table_stop(struct pg_run *run, uint32_t index, struct err *e)
{
    uint32_t left = 0;
    for (uint32_t i = 0; i < run->def_count; i++)
        left += run->wanted[i] && !run->stopped[i] && i != index;
    if (e->code != ERR_STATE || !left)
        return e;
    char *text = err_text(e);
    bool done = sink_table_stop(run->sink, index, text);
    free(text);
    if (!done)
        return e;
    err_free(e);
    run->stopped[index] = true;
    return NULL;
}

const struct pg_table *pg_table_by_relid(const struct pg_run *run, uint32_t relid)
{
    for (uint32_t i = 0; i < run->table_count; i++)
        if (run->tables[i].rel->relid == relid && !run->stopped[run->tables[i].index])
            return &run->tables[i];
    return NULL;
}

void pg_table_seen(struct pg_table *t, const struct pg_table *before)
{
    t->seen = before->seen;
    t->parts = before->parts;
    t->part_count = before->part_count;
    t->parts_at = before->parts_at;
}

void pg_table_truncated(struct pg_run *run, const struct pg_table *t)
{
    run->tables[t - run->tables].truncated_at = run->partial.lsn;
}

/* *out is malloc'ed: this happens at every look, and a session may go on for years. */
static uint32_t identities(const struct pg_run *run, struct pg_position_table **out)
{
    struct pg_position_table *list = xcalloc(run->table_count + 1, sizeof *list);
    uint32_t count = 0;
    for (uint32_t i = 0; i < run->table_count; i++) {
        const struct pg_table *t = &run->tables[i];
        if (run->stopped[t->index])
            continue;
        struct pg_position_table *id = &list[count++];
        *id = t->seen;
        id->relid = t->rel->relid;
        id->attnum_max = t->rel->attnum_max;
        if (t->rel->kind == 'p')
            id->published = (id->published ^ pg_parts_hash(t)) | 1;
        for (uint32_t c = 0; c < t->def->schema.column_count; c++)
            if (t->columns[c] && t->columns[c]->attnum > id->attnum_used)
                id->attnum_used = t->columns[c]->attnum;
    }
    *out = list;
    return count;
}

void pg_tables_record(struct pg_run *run)
{
    struct pg_position_table *list;
    uint32_t count = identities(run, &list);
    pg_position_set_tables(&run->position, list, count);
    free(list);
}

const char *pg_tables_gap(struct pg_run *run)
{
    struct pg_position_table *list;
    uint32_t count = identities(run, &list);
    const char *gap = pg_position_gap(&run->position, list, count);
    free(list);
    return gap;
}
