/* The files of `penstock init --from postgres`; see init_from.h. */
#include "cli/init_from.h"

#include <ctype.h>

/* ---- names and texts ---- */

static bool is_plain(const char *s)
{
    if (!islower((uint8_t)*s) && *s != '_')
        return false;
    for (; *s; s++)
        if (!islower((uint8_t)*s) && !isdigit((uint8_t)*s) && *s != '_')
            return false;
    return true;
}

/* As a name in SQL. */
static const char *ident(const struct draft *d, const char *name)
{
    bool quoted = !is_plain(name);
    for (uint32_t i = 0; !quoted && i < d->keyword_count; i++)
        quoted = strcmp(d->keywords[i], name) == 0;
    return quoted ? pg_quote_ident(d->arena, name) : name;
}

/* As a scalar of YAML; ${ would be taken for a variable. */
static void put_yaml(struct buf *b, const char *s)
{
    static const char *const words[] = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"};
    bool plain = is_plain(s);
    for (size_t i = 0; plain && i < ARRAY_COUNT(words); i++)
        plain = strcmp(words[i], s) != 0;
    if (plain) {
        buf_put_str(b, s);
        return;
    }
    buf_put_u8(b, '"');
    for (; *s; s++) {
        if (*s == '"' || *s == '\\')
            buf_put_u8(b, '\\');
        if ((uint8_t)*s < ' ' || *s == 0x7F)
            buf_printf(b, "\\x%02X", (uint8_t)*s);
        else
            buf_put_u8(b, (uint8_t)*s);
        if (s[0] == '$' && s[1] == '{')
            buf_put_u8(b, '$');
    }
    buf_put_u8(b, '"');
}

/* Behind -- or #: on one line, whatever the text holds. */
static void put_remark(struct buf *b, const char *s)
{
    for (; *s; s++)
        buf_put_u8(b, (uint8_t)*s < ' ' || *s == 0x7F ? ' ' : (uint8_t)*s);
}

/* ---- penstock.yaml ---- */

static void put_table(const struct draft *d, const struct draft_table *t, struct buf *b)
{
    bool all = t->taken_count == t->rel->column_count, own = strcmp(t->name, t->conf.name) == 0;
    bool public = strcmp(t->conf.schema, "public") == 0;
    buf_put_str(b, "        - ");
    if (all && own && public && is_plain(t->name)) {
        put_yaml(b, t->name);
        buf_put_u8(b, '\n');
        return;
    }
    buf_put_str(b, "{ table: ");
    put_yaml(b, public && is_plain(t->conf.name)
                    ? t->conf.name
                    : arena_printf(d->arena, "%s.%s", pg_quote_ident(d->arena, t->conf.schema),
                                   pg_quote_ident(d->arena, t->conf.name)));
    if (!own) {
        buf_put_str(b, ", as: ");
        put_yaml(b, t->name);
    }
    for (uint32_t i = 0; !all && i < t->taken_count; i++) {
        buf_put_str(b, i ? ", " : ", columns: [");
        put_yaml(b, t->taken[i]->name);
    }
    buf_put_str(b, all ? " }\n" : "] }\n");
}

void draft_yaml(const struct draft *d, struct buf *b)
{
    buf_put_str(b, "# Made from a database's catalogue by penstock init: yours to change.\n"
                   "#   penstock check    says whether this file is right, and what each API promises\n"
                   "#   penstock run      starts everything\n\n"
                   "penstock: 1\n\nsources:\n  ");
    put_yaml(b, d->conf.source_name);
    buf_put_str(b, ":\n    postgres:\n      url: ");
    buf_printf(b, "\"%s\"\n", d->url); /* escaped: nothing of it means anything to YAML */
    if (d->has_password)
        buf_printf(b, "      password: ${%s}     # or ${file:/run/secrets/...}; never the password itself\n",
                   d->secret);
    else
        buf_printf(b, "      # password: ${%s}\n", d->secret);
    buf_put_str(b, "      publication: penstock\n      slot: penstock\n      tables:\n");
    for (uint32_t i = 0; i < d->table_count; i++)
        if (!d->tables[i].why)
            put_table(d, &d->tables[i], b);
    buf_put_str(b, "\nsql: [ views.sql ]\n\napis:                       # nothing is published unless it is "
                   "named here\n");
    for (uint32_t i = 0; i < d->table_count; i++) {
        if (d->tables[i].why)
            continue;
        buf_put_str(b, "  ");
        put_yaml(b, d->tables[i].name);
        buf_put_str(b, ":\n");
    }
    buf_put_str(b, "\naccess:\n  anonymous: read           # everyone who can connect reads all of it; none: "
                   "the APIs answer 401\n"
                   "\n# This machine alone; \"0.0.0.0:8443\" is every network of it.\n"
                   "server: { listen: \"127.0.0.1:8443\" }\n\nstore: { path: ./data }\n");
}

/* ---- views.sql ---- */

static const char *why_left(const struct pg_column *c)
{
    return c->generated ? "it is generated, and generated columns are not replicated: compute it in the view"
           : !c->published ? "the publication's column list leaves it out"
           : !c->readable  ? "it may not be read"
                           : NULL;
}

static bool is_taken(const struct draft_table *t, const struct pg_column *c)
{
    for (uint32_t i = 0; i < t->taken_count; i++)
        if (t->taken[i] == c)
            return true;
    return false;
}

static void put_left_columns(const struct draft_table *t, struct buf *b)
{
    for (uint32_t i = 0; i < t->rel->column_count; i++) {
        const struct pg_column *c = &t->rel->columns[i];
        if (is_taken(t, c))
            continue;
        buf_put_str(b, "-- Left out: column ");
        put_remark(b, c->name);
        buf_put_str(b, ": ");
        if (why_left(c)) {
            put_remark(b, why_left(c));
        } else {
            buf_put_str(b, "type ");
            put_remark(b, c->type_name);
            buf_put_str(b, " is not supported; `unsupported: text` behind the table takes it as text");
        }
        buf_put_u8(b, '\n');
    }
}

static void put_comment(const struct draft *d, const char *what, const char *name, const char *text,
                        struct buf *b)
{
    if (text)
        buf_printf(b, "COMMENT ON %s %s IS %s;\n", what, name, pg_quote_literal(d->arena, text));
}

static void put_columns(const struct draft *d, const struct pg_column *const *columns, uint32_t count,
                        const char *prefix, struct buf *b)
{
    size_t line = b->len;
    for (uint32_t i = 0; i < count; i++) {
        buf_put_str(b, i ? ", " : "");
        if (b->len - line > 100 && !*prefix) {
            buf_put_str(b, "\n         ");
            line = b->len;
        }
        buf_printf(b, "%s%s", prefix, ident(d, columns[i]->name));
    }
}

/* The first columns of the primary key, in its order: those are found without an index. */
static bool leads_key(const struct draft_key *k)
{
    for (uint32_t i = 0; i < k->count; i++)
        if (i >= k->from->rel->key_count || k->from->rel->key[i] != k->from_columns[i]->attnum)
            return false;
    return true;
}

static bool same_columns(const struct draft_key *a, const struct draft_key *b)
{
    bool same = a->from == b->from && a->count == b->count;
    for (uint32_t i = 0; same && i < a->count; i++)
        same = a->from_columns[i] == b->from_columns[i];
    return same;
}

static void put_indexes(const struct draft *d, const struct draft_table *t, struct buf *b)
{
    for (uint32_t i = 0; i < d->key_count; i++) {
        const struct draft_key *k = &d->keys[i];
        bool made = k->from != t || leads_key(k);
        for (uint32_t j = 0; !made && j < i; j++)
            made = same_columns(&d->keys[j], k);
        if (made)
            continue;
        buf_printf(b, "CREATE INDEX ON %s (", ident(d, t->name));
        put_columns(d, k->from_columns, k->count, "", b);
        buf_put_str(b, ");\n");
    }
}

static void put_view(const struct draft *d, const struct draft_table *t, struct buf *b)
{
    const char *view = ident(d, t->name);
    put_left_columns(t, b);
    buf_printf(b, "CREATE VIEW %s AS\n  SELECT ", view);
    put_columns(d, t->taken, t->taken_count, "", b);
    buf_printf(b, "\n  FROM %s.%s;\n", ident(d, d->conf.source_name), view);
    put_indexes(d, t, b);
    put_comment(d, "VIEW", view, t->comment, b);
    for (uint32_t i = 0; i < t->taken_count; i++)
        put_comment(d, "COLUMN", arena_printf(d->arena, "%s.%s", view, ident(d, t->taken[i]->name)),
                    t->taken[i]->comment, b);
    buf_put_u8(b, '\n');
}

static bool has_column(const struct draft_table *t, const char *name)
{
    for (uint32_t i = 0; i < t->taken_count; i++)
        if (strcmp(t->taken[i]->name, name) == 0)
            return true;
    return false;
}

/* A suggestion, behind --: rows of one table with what they refer to. */
static void put_join(const struct draft *d, uint32_t number, struct buf *b)
{
    const struct draft_key *k = &d->keys[number];
    const char *name = arena_printf(d->arena, "%.28s_with_%.20s_%u", k->from->name, k->to->name, number + 1);
    buf_printf(b, "-- CREATE VIEW %s AS\n--   SELECT ", ident(d, name));
    for (uint32_t i = 0; i < k->from->taken_count; i++)
        buf_printf(b, "%sa.%s", i ? ", " : "", ident(d, k->from->taken[i]->name));
    for (uint32_t i = 0; i < k->to->taken_count; i++) {
        const char *label = arena_printf(d->arena, "%s_%s", k->to->name, k->to->taken[i]->name);
        if (strlen(label) < 64 && !has_column(k->from, label))
            buf_printf(b, ", b.%s AS %s", ident(d, k->to->taken[i]->name), ident(d, label));
    }
    buf_printf(b, "\n--   FROM %s.%s a JOIN %s.%s b ON ", ident(d, d->conf.source_name),
               ident(d, k->from->name), ident(d, d->conf.source_name), ident(d, k->to->name));
    for (uint32_t i = 0; i < k->count; i++)
        buf_printf(b, "%sb.%s = a.%s", i ? " AND " : "", ident(d, k->to_columns[i]->name),
                   ident(d, k->from_columns[i]->name));
    buf_put_str(b, ";\n");
}

static void put_left_tables(const struct draft *d, struct buf *b)
{
    for (uint32_t i = 0; i < d->table_count; i++) {
        if (!d->tables[i].why)
            continue;
        buf_put_str(b, "-- Left out: ");
        put_remark(b, d->tables[i].why);
        if (d->tables[i].mend) {
            buf_put_str(b, "\n--   ");
            put_remark(b, d->tables[i].mend);
        }
        buf_put_str(b, "\n\n");
    }
    if (d->left_count)
        buf_printf(b, "-- Left out: %u tables after the first %d\n\n", d->left_count, DRAFT_TABLES_MAX);
}

void draft_views(const struct draft *d, struct buf *b)
{
    buf_put_str(b, "-- One view for each table of the database, made by penstock init: yours to change. "
                   "Publish less than all of it,\n"
                   "-- and join and sum up here what clients would otherwise put together. Each is kept up "
                   "to date as rows change.\n\n");
    for (uint32_t i = 0; i < d->table_count; i++)
        if (!d->tables[i].why)
            put_view(d, &d->tables[i], b);
    if (d->key_count)
        buf_put_str(b, "-- Joins along the foreign keys. Take the -- away, and name the view under `apis:` "
                       "in penstock.yaml.\n");
    for (uint32_t i = 0; i < d->key_count; i++)
        put_join(d, i, b);
    buf_put_str(b, d->key_count ? "\n" : "");
    put_left_tables(d, b);
}

/* ---- what the server lacks ---- */

/* Whether a run can bring the table into the publication by itself, or finds it there. */
static bool comes_in(const struct draft *d, const struct draft_table *t)
{
    const struct pg_publication *p = &d->catalog->publication;
    return t->why || t->rel->in_publication || (t->rel->owned && (p->exists ? p->owned : d->may_create));
}

/* A publication is made whole, or added to. */
static void put_publication(const struct draft *d, struct buf *b)
{
    bool exists = d->catalog->publication.exists, first = true;
    uint32_t missing = 0;
    for (uint32_t i = 0; i < d->table_count; i++)
        missing += !comes_in(d, &d->tables[i]);
    if (!missing)
        return;
    buf_printf(b, "-- The role may not do this by itself.\n%s",
               exists ? "ALTER PUBLICATION penstock ADD TABLE " : "CREATE PUBLICATION penstock FOR TABLE ");
    for (uint32_t i = 0; i < d->table_count; i++) {
        const struct draft_table *t = &d->tables[i];
        if (t->why || (exists && comes_in(d, t)))
            continue;
        buf_printf(b, "%s%s", first ? "" : ",\n    ", t->rel->quoted);
        first = false;
    }
    buf_put_str(b, !exists && d->catalog->server_version >= 130000
                       ? " WITH (publish_via_partition_root = true);\n"
                       : ";\n");
}

void draft_server_sql(const struct draft *d, struct buf *b)
{
    if (!d->catalog->wal_level || strcmp(d->catalog->wal_level, "logical") != 0)
        buf_printf(b,
                   "-- wal_level is %s. After this the server has to be restarted.\nALTER SYSTEM SET "
                   "wal_level = 'logical';\n",
                   d->catalog->wal_level ? d->catalog->wal_level : "unknown");
    if (!d->may_replicate)
        buf_printf(b, "ALTER ROLE %s REPLICATION;\n", pg_quote_ident(d->arena, d->conf.user));
    put_publication(d, b);
}
