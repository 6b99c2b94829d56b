/* Functions that are refused by name; see refused.h. */
#include "sql/refused.h"

#include <stdbool.h>
#include <string.h>

/* Names in one string, between blanks; a * at the beginning or the end stands for anything. Before a
 * family stand, with a !, its members that are supported. */
static const struct {
    const char *why, *names;
} groups[] = {
    {"its value changes without a change of any table",
     "clock_timestamp currval gen_random_uuid lastval nextval pg_sleep* random setseed setval timeofday "
     "uuid_generate_v4"},
    {"it is about the server or the session, which a view does not have",
     "acldefault aclexplode amvalidate binary_upgrade_* brin_* col_description current_database "
     "current_query "
     "current_schema current_schemas current_setting current_user currtid2 format_type getdatabaseencoding "
     "getpgusername gin_clean_pending_list has_* inet_client_* inet_server_* lo_* loread lowrite makeaclitem "
     "mxid_age "
     "obj_description oidvectortypes !pg_size_bytes !pg_size_pretty pg_* row_security_active "
     "satisfies_hash_partition session_user set_config shobj_description to_reg* txid_* version *_validator"},
    {"there is no text search", "*_to_tsvector *to_tsquery array_to_tsvector get_current_ts_config "
                                "numnode querytree setweight strip to_tsvector ts_* "
                                "tsquery_phrase tsvector_to_array"},
    {"there is no XML", "*_to_xml *_to_xml_and_xmlschema *_to_xmlschema xml xml* xpath xpath_exists"},
    {"there are no geometric types", "area box center circle diagonal diameter height isclosed "
                                     "ishorizontal isopen isparallel isperp isvertical line lseg "
                                     "npoints path pclose point polygon popen radius slope width"},
    {"there is no such type",
     "bit cash_words macaddr8 macaddr8_set7bit money name nameconcatoid oid regclass varbit xid"},
    {"it needs a composite type; json_to_record and its like take a list of columns",
     "json_populate_record json_populate_recordset jsonb_populate_record jsonb_populate_recordset"},
    {"there is one encoding, UTF-8", "convert to_ascii"},
    {"the documentation lists the aggregates that are", "any_value"},
    {"it is a name for use inside PostgreSQL",
     "*_canonical *_subdiff *typmodin dexp dlog1 dlog10 dround dtrunc enum_send int2int4_sum int4inc "
     "int8_sum "
     "numeric_div_trunc numeric_exp numeric_inc numeric_ln numeric_log numeric_sqrt similar_escape textlen"},
};
#define GROUPS (sizeof groups / sizeof *groups)

static bool fits(const char *name, const char *pattern, size_t len)
{
    size_t n = strlen(name);
    if (pattern[0] == '*')
        return n >= len - 1 && memcmp(name + n - (len - 1), pattern + 1, len - 1) == 0;
    if (pattern[len - 1] == '*')
        return n >= len - 1 && memcmp(name, pattern, len - 1) == 0;
    return n == len && memcmp(name, pattern, len) == 0;
}

const char *refused_why(const char *function)
{
    for (size_t g = 0; g < GROUPS; g++)
        for (const char *at = groups[g].names; *at;) {
            size_t len = strcspn(at, " ");
            if (*at == '!' && fits(function, at + 1, len - 1))
                return NULL;
            if (fits(function, at, len))
                return groups[g].why;
            at += len + (at[len] == ' ');
        }
    return NULL;
}

void refused_doc_write(FILE *to)
{
    fputs("\n## Functions that are refused by name\n\nA * stands for any letters.\n\n| functions | why |\n| "
          "--- | --- |\n",
          to);
    for (size_t g = 0; g < GROUPS; g++) {
        fputs("| ", to);
        for (const char *at = groups[g].names; *at;) {
            size_t len = strcspn(at, " ");
            if (*at == '!')
                fprintf(to, "(not `%.*s`)%s", (int)len - 1, at + 1, at[len] ? " " : "");
            else
                fprintf(to, "`%.*s`%s", (int)len, at, at[len] ? " " : "");
            at += len + (at[len] == ' ');
        }
        fprintf(to, " | %s |\n", groups[g].why);
    }
}
