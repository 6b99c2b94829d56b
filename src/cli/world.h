/* From a configuration file to tables, plan and catalog: what check, explain, openapi and the pipeline all need. */
#ifndef PENSTOCK_CLI_WORLD_H
#define PENSTOCK_CLI_WORLD_H

#include "config/config.h"
#include "flow/pipeline.h"
#include "lineage/plan_file.h"
#include "plan/plan.h"
#include "store/versions.h"

#define DESCRIBE_TIMEOUT_MS 10000

struct app_input { /* of the plan: an edition of a version; see store/versions.h */
    uint32_t edition, number;
    bool late;
};
struct app {
    struct arena arena;
    struct config *config;           /* owned */
    struct pipeline_source *sources; /* by source index */
    uint32_t source_count;
    struct table_def *tables; /* of all sources, source by source */
    uint32_t table_count;
    struct plan_parts parts; /* that the plan was made from */
    struct plan *plan;       /* owned */
    struct catalog
        *catalog; /* owned; its first editions are the plan's inputs, its first views those of the plan */
    uint32_t input_count;
    struct app_input inputs[VERSIONS_KEEP_MAX + 1];
};

/* Reads the configuration and each source's section; nothing is connected. */
NODISCARD struct err *app_load(const char *file, struct app **out);
/* For looking at what is stored in `dir`: the configuration without its secrets and the sources' sections, and the tables
 * as last seen; no source is asked. */
NODISCARD struct err *app_load_stored(const char *file, const char *dir, struct app **out);
/* Asks every source for its tables. With cache_dir, tables found there stand in for a source that is away, and
 * what was found is kept there. */
NODISCARD struct err *app_describe(struct app *a, const char *cache_dir);
NODISCARD struct err *app_plan(struct app *a);
/* The catalog of the plan's views, kept in a->catalog. */
struct catalog *app_catalog(struct app *a, uint32_t shard_count);
/* The same of another plan over the app's tables; to be freed. One edition of one version. */
struct catalog *app_catalog_of(const struct app *a, const struct plan *plan, uint32_t shard_count);
void app_free(struct app *a);
/* Equal for plans with the same operators under the same numbers. */
uint64_t app_plan_hash(const struct app *a);

/* tables.json in the data directory. */
NODISCARD struct err *table_cache_save(const char *dir, const struct pipeline_source *sources,
                                       uint32_t count);
/* The tables of one source as last seen; *count 0 when unknown. */
NODISCARD struct err *table_cache_load(const char *dir, struct arena *arena, const char *source,
                                       struct table_def **tables, uint32_t *count);
/* Stable hash of what a mirror's rows depend on. */
uint64_t table_fingerprint(const struct table_def *t);
/* For a table with table_def.only_copy whose stored rows have another shape. */
NODISCARD struct err *table_refuse_shape(const struct table_def *t);

#endif
