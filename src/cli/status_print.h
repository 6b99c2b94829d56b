/* How an instance's state is printed: a table for people, JSON for programs, one line for logs. */
#ifndef PENSTOCK_CLI_STATUS_PRINT_H
#define PENSTOCK_CLI_STATUS_PRINT_H

#include "cli/instance.h"

/* Two of them give the share of time that each shard was busy between. All zero: since the pipeline began. */
struct busy_sample {
    int64_t at_us;
    uint64_t busy_us[GATE_SHARDS_MAX];
    uint64_t source_rows[GATE_SOURCES_MAX];
};
void busy_sample_take(const struct instance *i, struct busy_sample *out);

void status_print_text(const struct instance *i, const struct busy_sample *before, FILE *to);
void status_print_line(const struct instance *i, FILE *to);
void status_print_json(const struct instance *i, bool one_line, FILE *to);

#endif
