/* Applying row changes: which columns matter, what the replica identity gives of the old row, and what that makes of
 * the change (insert, update, move, delete). */
#include "source/postgres/pg_apply.h"
#include "source/postgres/pg_bad.h"
#include <inttypes.h>
#include <stdlib.h>

/* A relation of the stream. Rows of relations without a table are passed over. */
struct relation {
    uint32_t relid;
    const struct pg_table *table; /* NULL: no view reads it */
    uint32_t field_count;
    int32_t *columns; /* owned: per field of a row the table's column, -1: not read */
};
/* A row being put together, one entry per column of the table. */
struct row {
    union val *vals;
    uint8_t *states;
    struct pg_bad bad;
};
struct pg_apply {
    struct pg_run *run;
    struct arena arena; /* of one change */
    struct pg_reader reader;
    uint32_t relation_count, relation_room;
    struct relation *relations; /* owned, sorted by relid */
    struct row old_row, new_row;
    bool root_asked; /* the catalogue was asked for the partitioned table that was announced just before */
};

struct pg_apply *pg_apply_new(struct pg_run *run)
{
    struct pg_apply *a = xcalloc(1, sizeof *a);
    a->run = run;
    arena_init(&a->arena);
    a->reader = (struct pg_reader){.run = run, .ctx = {.arena = &a->arena}};
    uint32_t widest = 1;
    for (uint32_t i = 0; i < run->table_count; i++)
        if (run->tables[i].def->schema.column_count > widest)
            widest = run->tables[i].def->schema.column_count;
    a->old_row = (struct row){.vals = xcalloc(widest, sizeof(union val)), .states = xcalloc(widest, 1)};
    a->new_row = (struct row){.vals = xcalloc(widest, sizeof(union val)), .states = xcalloc(widest, 1)};
    return a;
}

void pg_apply_free(struct pg_apply *a)
{
    for (uint32_t i = 0; i < a->relation_count; i++)
        free(a->relations[i].columns);
    free(a->relations);
    free(a->old_row.vals);
    free(a->old_row.states);
    free(a->new_row.vals);
    free(a->new_row.states);
    arena_fini(&a->arena);
    free(a);
}

/* ---- relations ---- */

/* Index of the first relation whose relid is not below. */
static uint32_t relation_place(const struct pg_apply *a, uint32_t relid)
{
    uint32_t low = 0, high = a->relation_count;
    while (low < high) {
        uint32_t mid = (low + high) / 2;
        if (a->relations[mid].relid < relid)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static struct relation *relation_find(const struct pg_apply *a, uint32_t relid)
{
    uint32_t i = relation_place(a, relid);
    return i < a->relation_count && a->relations[i].relid == relid ? &a->relations[i] : NULL;
}

static struct relation *relation_add(struct pg_apply *a, uint32_t relid)
{
    uint32_t i = relation_place(a, relid);
    if (a->relation_count == a->relation_room) {
        a->relation_room = a->relation_room ? 2 * a->relation_room : 16;
        a->relations = xrealloc(a->relations, a->relation_room * sizeof *a->relations);
    }
    memmove(&a->relations[i + 1], &a->relations[i], (a->relation_count - i) * sizeof *a->relations);
    a->relation_count++;
    a->relations[i] = (struct relation){.relid = relid};
    return &a->relations[i];
}

static struct err *changed(const struct pg_table *t, const char *what, const char *column)
{
    return err_hint(
        err_new(ERR_STATE, "table %s changed: %s%s%s", t->rel->quoted, column ? "column " : "",
                column ? column : "", what),
        "the views that read it keep their last state; put the table back as it was, or apply the "
        "configuration again (penstock apply, SIGHUP, or a restart) to plan with the table as it is now");
}

static struct err *field_judge(const struct pg_table *t, uint32_t column, const struct pgo_column *field)
{
    const struct pg_column *c = t->columns[column];
    if (field->type_oid != c->type_oid ||
        (field->typmod != c->typmod && pg_typmod_matters(t->def->schema.columns[column].type.id)))
        return changed(t, " has another type", c->name);
    if (t->in_key[column] && !field->in_key)
        return changed(t, " is no longer part of the replica identity", c->name);
    return NULL;
}

/* A column more in the key, and what was one row here may be several. All are marked with a full identity. */
static struct err *key_judge(const struct pg_table *t, const struct pgo_message *m, const int32_t *columns)
{
    for (uint32_t f = 0; f < m->column_count && m->replica_identity != 'f'; f++)
        if (m->columns[f].in_key && (columns[f] < 0 || !t->in_key[columns[f]]))
            return changed(t, " has become part of the replica identity", m->columns[f].name);
    return NULL;
}

/* Fields come in the order of the columns' numbers: otherwise the names had been swapped when this was written. */
static struct err *order_judge(const struct pg_table *t, const struct pgo_message *m, const int32_t *columns)
{
    uint16_t before = 0;
    for (uint32_t f = 0; f < m->column_count; f++) {
        if (columns[f] < 0)
            continue;
        const struct pg_column *c = t->columns[columns[f]];
        if (c->attnum < before)
            return changed(t, " was renamed, or dropped and added again", c->name);
        before = c->attnum;
    }
    return key_judge(t, m, columns);
}

static struct err *fields_map(const struct pg_table *t, const struct pgo_message *m, int32_t *columns)
{
    uint32_t known = t->def->schema.column_count;
    for (uint32_t f = 0; f < m->column_count; f++)
        columns[f] = -1;
    for (uint32_t column = 0; column < known; column++) {
        if (!t->columns[column])
            continue;
        uint32_t f = 0;
        while (f < m->column_count && strcmp(m->columns[f].name, t->columns[column]->name) != 0)
            f++;
        if (f == m->column_count)
            return changed(t, " was dropped or renamed", t->columns[column]->name);
        TRY(field_judge(t, column, &m->columns[f]));
        columns[f] = (int32_t)column;
    }
    return NULL;
}

/* The message names columns, not their numbers: a column dropped and added again under its name looks the same. The
 * server sends the message again after any change of the table, which is when its catalogue is asked; and so it is when the
 * message comes for the first time, unless it was written before the session began. */
static struct err *check(struct pg_run *run, const struct pg_table *t)
{
    PGconn *conn = NULL;
    struct pg_answer answer = {0};
    TRY(pg_connect(run->conf, PG_CONN_SQL, PG_CONNECT_TIMEOUT_MS, &run->stop, &conn));
    struct err *e = pg_check_ask(run, conn, &run->stop, &answer);
    PQfinish(conn);
    if (!e)
        e = pg_check_since(run, &answer, t);
    pg_answer_clear(&answer);
    return e;
}

/* A partition is announced after the table that it is published as. Its own replica identity counts, and it may have been
 * attached just now. */
static struct err *partition_check(struct pg_apply *a, bool again, pg_lsn at)
{
    bool asked = a->root_asked;
    a->root_asked = false;
    for (uint32_t i = 0; i < a->run->table_count && !asked && (again || at >= a->run->checked); i++) {
        const struct pg_table *t = &a->run->tables[i];
        if (t->rel->kind == 'p' && !a->run->stopped[t->index])
            TRY(check(a->run, t));
    }
    return NULL;
}

/* A table that changed is stopped by itself where that can be done; from then on the position does not hold it. */
static struct err *table_stop(struct pg_apply *a, struct relation *r, struct err *e)
{
    if (!e || e->code != ERR_STATE)
        return e;
    TRY(pg_table_stop(a->run, r->table->index, e));
    r->table = NULL;
    pg_tables_record(a->run);
    return NULL;
}

static struct err *relation_judge(struct relation *r, const struct pgo_message *m)
{
    const struct pg_table *t = r->table;
    if (strcmp(m->name, t->rel->name) != 0 || strcmp(m->schema, t->rel->schema) != 0)
        return changed(t, "it was renamed", NULL);
    if (t->def->key_count == 0 && m->replica_identity != 'f')
        return changed(t, "its replica identity is no longer FULL", NULL);
    r->field_count = m->column_count;
    r->columns = xrealloc(r->columns, (m->column_count + 1) * sizeof *r->columns);
    TRY(fields_map(t, m, r->columns));
    return order_judge(t, m, r->columns);
}

struct err *pg_apply_relation(struct pg_apply *a, const struct pgo_message *m, pg_lsn at)
{
    struct relation *r = relation_find(a, m->relid);
    bool again = r != NULL;
    if (!again) {
        r = relation_add(a, m->relid);
        r->table = pg_table_by_relid(a->run, m->relid);
    }
    if (!r->table)
        return partition_check(a, again, at);
    TRY(table_stop(a, r, relation_judge(r, m)));
    if (!r->table || (!again && at < a->run->checked))
        return NULL;
    TRY(check(a->run, r->table));
    a->run->checked = at;
    a->root_asked = r->table->rel->kind == 'p';
    if (a->run->stopped[r->table->index])
        r->table = NULL;
    return NULL;
}

/* ---- rows ---- */

static struct err *row_decode(struct pg_apply *a, const struct relation *r, const struct pgo_tuple *tuple,
                              bool key_only, struct row *out)
{
    const struct pg_table *t = r->table;
    if (tuple->field_count != r->field_count)
        return err_new(ERR_SOURCE, "table %s: a change has %" PRIu32 " columns, announced were %" PRIu32,
                       t->rel->quoted, tuple->field_count, r->field_count);
    memset(out->states, VAL_NULL, t->def->schema.column_count);
    out->bad.column = UINT32_MAX;
    for (uint32_t f = 0; f < tuple->field_count; f++) {
        int32_t column = r->columns[f];
        const struct pgo_field *field = &tuple->fields[f];
        if (column < 0 || (key_only && !t->in_key[column]) || field->kind == PGO_NULL)
            continue;
        if (field->kind == PGO_UNCHANGED) {
            out->states[column] = VAL_UNCHANGED;
            continue;
        }
        TRY(pg_value_read(&a->reader, t, (uint32_t)column, (const char *)field->p, field->len,
                          &out->vals[column], &out->states[column], &out->bad));
    }
    return NULL;
}

static bool field_equal(const struct pgo_field *a, const struct pgo_field *b)
{
    return a->kind == b->kind && a->len == b->len && (a->len == 0 || memcmp(a->p, b->p, a->len) == 0);
}

/* Whether old and new row have the same key. An unchanged (TOASTed) key column of the new row is the old one's. */
static bool same_key(const struct relation *r, const struct pgo_message *m)
{
    for (uint32_t f = 0; f < r->field_count; f++) {
        int32_t column = r->columns[f];
        if (column >= 0 && r->table->in_key[column] && m->new_row.fields[f].kind != PGO_UNCHANGED &&
            !field_equal(&m->old_row.fields[f], &m->new_row.fields[f]))
            return false;
    }
    return true;
}

/* What the old row tells fills what the new one leaves out: all of it with a full identity, else the key. */
static void unchanged_fill(const struct pg_table *t, bool full, const struct row *old, struct row *new)
{
    for (uint32_t c = 0; c < t->def->schema.column_count; c++) {
        if (new->states[c] != VAL_UNCHANGED || old->states[c] == VAL_UNCHANGED || !(full || t->in_key[c]))
            continue;
        new->states[c] = old->states[c];
        new->vals[c] = old->vals[c];
        if (old->states[c] == VAL_ERROR && new->bad.column == UINT32_MAX) {
            new->bad = old->bad;
            new->bad.column = c;
        }
    }
}

static struct err *handed(bool accepted)
{
    return accepted ? NULL : pg_stopping();
}

/* ---- rows that cannot be read ---- */

static bool reads(const struct row *row)
{
    return LIKELY(row->bad.column == UINT32_MAX);
}

/* The tuple's fields by column; one that it leaves out as unchanged is the old row's, if that is given. */
static struct pgo_field *fields_by_column(struct pg_apply *a, const struct relation *r,
                                          const struct pgo_tuple *tuple, const struct pgo_tuple *old)
{
    struct pgo_field *fields =
        ARENA_ARRAY(&a->arena, struct pgo_field, r->table->def->schema.column_count + 1);
    for (uint32_t f = 0; f < r->field_count; f++) {
        if (r->columns[f] < 0)
            continue;
        bool from_old = tuple->fields[f].kind == PGO_UNCHANGED && old;
        fields[r->columns[f]] = from_old ? old->fields[f] : tuple->fields[f];
    }
    return fields;
}

/* "16/B3748#2": where its transaction ends, and which change of it this is. */
static struct err *send_bad(struct pg_apply *a, const struct relation *r, const struct pgo_message *m)
{
    char lsn[PG_LSN_TEXT], position[PG_LSN_TEXT + 24];
    const struct pgo_tuple *old = m->kind == PGO_UPDATE && m->old_kind ? &m->old_row : NULL;
    struct pg_bad_row row = {r->table, a->new_row.vals, a->new_row.states,
                             fields_by_column(a, r, &m->new_row, old), &a->new_row.bad};
    snprintf(position, sizeof position, "%s#%" PRIu64, pg_lsn_format(a->run->partial.lsn, lsn),
             a->run->partial.changes + 1);
    return pg_bad_send(a->run, a->run->lane, &row, m->kind == PGO_UPDATE ? 'u' : 'i', position);
}

/* The new row, whose key is not the mirror's business. */
static struct err *send_new(struct pg_apply *a, const struct relation *r, const struct pgo_message *m,
                            enum row_op op)
{
    if (!reads(&a->new_row))
        return send_bad(a, r, m);
    return handed(sink_row(a->run->lane, r->table->index, op, a->new_row.vals, a->new_row.states));
}

/* The old row goes: from the mirror, or from the list of those that cannot be read. */
static struct err *send_old_gone(struct pg_apply *a, const struct relation *r, const struct pgo_message *m)
{
    const struct pg_table *t = r->table;
    bool listed = t->def->key_count ? !pg_bad_key_reads(t, a->old_row.states) : !reads(&a->old_row);
    if (UNLIKELY(listed))
        return pg_bad_gone(a->run->lane, t, fields_by_column(a, r, &m->old_row, NULL));
    return handed(sink_row(a->run->lane, t->index, ROW_DELETE, a->old_row.vals, a->old_row.states));
}

/* ---- changes ---- */

/* Which row of the mirror is meant is not known, so that some row of it is no longer true, whatever is left out. */
static struct err *check_has_key(const struct pg_table *t, const struct row *row)
{
    for (uint32_t k = 0; k < t->def->key_count; k++)
        if (row->states[t->def->key[k]] == VAL_UNCHANGED)
            return err_hint(err_new(ERR_STATE, "table %s: an update came without column %s of its key",
                                    t->rel->quoted, t->def->schema.columns[t->def->key[k]].name),
                            "apply the configuration again to take a new snapshot of the source");
    return NULL;
}

static struct err *update_without_old(struct pg_apply *a, const struct relation *r,
                                      const struct pgo_message *m)
{
    if (r->table->def->key_count == 0)
        return changed(r->table, "an update came without the old row: its replica identity is no longer FULL",
                       NULL);
    TRY(check_has_key(r->table, &a->new_row));
    return send_new(a, r, m, ROW_UPDATE);
}

static struct err *apply_update(struct pg_apply *a, const struct relation *r, const struct pgo_message *m)
{
    const struct pg_table *t = r->table;
    TRY(row_decode(a, r, &m->new_row, false, &a->new_row));
    if (m->old_kind == 0)
        return update_without_old(a, r, m);
    bool full = m->old_kind == 'O';
    TRY(row_decode(a, r, &m->old_row, !full, &a->old_row));
    unchanged_fill(t, full, &a->old_row, &a->new_row);
    if (t->def->key_count == 0 && !full)
        return changed(t, "its replica identity is no longer FULL", NULL);
    TRY(check_has_key(t, &a->new_row));
    if (t->def->key_count && same_key(r, m))
        return send_new(a, r, m, ROW_UPDATE);
    bool moves = t->def->key_count && reads(&a->new_row) && pg_bad_key_reads(t, a->old_row.states);
    if (LIKELY(moves))
        return handed(sink_move(a->run->lane, t->index, a->old_row.vals, a->old_row.states, a->new_row.vals,
                                a->new_row.states));
    TRY(send_old_gone(a, r, m));
    return send_new(a, r, m, ROW_INSERT);
}

static struct err *apply_delete(struct pg_apply *a, const struct relation *r, const struct pgo_message *m)
{
    const struct pg_table *t = r->table;
    if (t->def->key_count == 0 && m->old_kind != 'O')
        return changed(t, "its replica identity is no longer FULL", NULL);
    TRY(row_decode(a, r, &m->old_row, t->def->key_count > 0, &a->old_row));
    return send_old_gone(a, r, m);
}

static struct err *apply_insert(struct pg_apply *a, const struct relation *r, const struct pgo_message *m)
{
    TRY(row_decode(a, r, &m->new_row, false, &a->new_row));
    return send_new(a, r, m, ROW_INSERT);
}

static struct err *apply_truncate(struct pg_apply *a, const struct pgo_message *m)
{
    for (uint32_t i = 0; i < m->relid_count; i++) {
        const struct pg_table *t = pg_table_by_relid(a->run, pgo_truncate_relid(m, i));
        if (t && t->rel->kind == 'p')
            pg_table_truncated(a->run, t);
        if (t && !sink_truncate(a->run->lane, t->index))
            return pg_stopping();
    }
    return NULL;
}

static struct err *apply_row(struct pg_apply *a, const struct relation *r, const struct pgo_message *m)
{
    switch (m->kind) {
    case PGO_INSERT: return apply_insert(a, r, m);
    case PGO_UPDATE: return apply_update(a, r, m);
    case PGO_DELETE: return apply_delete(a, r, m);
    default: PANIC("not a change: %c", (char)m->kind);
    }
}

struct err *pg_apply_change(struct pg_apply *a, const struct pgo_message *m)
{
    a->root_asked = false;
    if (m->kind == PGO_TRUNCATE)
        return apply_truncate(a, m);
    struct relation *r = relation_find(a, m->relid);
    if (!r)
        return err_new(ERR_SOURCE, "a change came for a table that was not announced");
    if (!r->table)
        return NULL;
    if (a->arena.used_bytes)
        arena_reset(&a->arena);
    return table_stop(a, r, apply_row(a, r, m));
}
