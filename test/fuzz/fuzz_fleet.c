/* Any bytes as an inventory, as what a box answers or exports, and as a roll-out's file: read or refused, and whatever is taken can be
 * selected, called, shown and written again. The first byte says which it is. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "fleet/answer.h"
#include "fleet/diff.h"
#include "fleet/inventory.h"
#include "fleet/rollout.h"
#include "fleet/ssh.h"
#include "fleet/table.h"

#include <stdlib.h>
#include <string.h>

static void use_inventory(struct inventory *v)
{
    const struct fleet_box **boxes = NULL;
    uint32_t count = 0;
    struct fleet_selection s = {.labels = {"ring=canary"}, .label_count = 1};
    err_free(inventory_select(v, &s, &boxes, &count));
    for (uint32_t i = 0; i < count; i++) {
        char **argv = ssh_argv(&v->arena, boxes[i], "status --json");
        uint32_t n = 0;
        while (argv[n])
            n++;
        /* No address may become an option. */
        ASSERT(strcmp(argv[n - 3], "--") == 0 && argv[n - 2][0] != '-' && boxes[i]->ssh.user[0] != '-');
    }
    free(boxes);
}

static void use_answer(const char *p, size_t len)
{
    static const char *const headers[] = {"A", "B"};
    struct box_status s;
    struct box_slots slots;
    struct box_verdict v;
    struct fleet_table t;
    struct buf b = {0};
    err_free(answer_status(p, len, &s));
    err_free(answer_slots(p, len, &slots));
    err_free(answer_verdict(p, len, &v));
    fleet_table_init(&t, 2, headers);
    fleet_table_row(&t);
    fleet_table_cell(&t, 0, "%s %s", s.hostname, s.trouble);
    fleet_table_cell(&t, 1, "%s %s", slots.last_reason, v.text);
    fleet_table_write(&t, 40, 5, &b);
    for (size_t i = 0; i < b.len; i++)
        ASSERT(b.p[i] == '\n' || (b.p[i] >= 0x20 && b.p[i] != 0x7f));
    buf_fini(&b);
    fleet_table_fini(&t);
    box_verdict_fini(&v);
}

static void use_rollout(const char *p, size_t len)
{
    struct rollout *r = rollout_new("/nonexistent"), *again = rollout_new("/nonexistent");
    struct err *e = rollout_parse(p, len, r);
    if (!e) {
        size_t n;
        char *text = rollout_text(r, &n);
        struct err *e2 = rollout_parse(text, n, again);
        ASSERT(!e2 && again->box_count == r->box_count && waves_count(&again->plan) == waves_count(&r->plan));
        free(text);
    }
    err_free(e);
    rollout_free(again);
    rollout_free(r);
}

static void use_export(const char *p, size_t len)
{
    struct buf out = {0};
    uint32_t changed;
    size_t half = len / 2;
    err_free(diff_archives(p, len, p, len, &out, &changed));
    diff_text("f", p, half, p + half, len - half, &out);
    buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    const char *p = (const char *)data + 1;
    if (data[0] % 4 == 2) {
        use_rollout(p, size - 1);
    } else if (data[0] % 4 == 3) {
        use_export(p, size - 1);
    } else if (data[0] & 1) {
        struct inventory *v = NULL;
        if (memmem(p, size - 1, "${", 2)) /* not the machine's own files */
            return 0;
        struct err *e = inventory_parse("fuzz.yaml", p, size - 1, &v);
        if (e)
            free(err_text(e));
        err_free(e);
        if (v)
            use_inventory(v);
        inventory_free(v);
    } else {
        use_answer(p, size - 1);
    }
    return 0;
}
