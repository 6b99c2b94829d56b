/* Power cuts at every step of an update, a confirmation and a way back, with what was not flushed lost or torn: the box always starts, in
 * the old slot or in a whole new one, and comes to the same end. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "test/unit/box/update_world.h"

static uint8_t *old_image, *new_image, *third_image;
static struct buf bundles[2]; /* of the new image, of the third */
static struct trust trusted;
static const struct image_info new_info = {.version = "0.1.0", .build = "new"};

static bool done(struct err *e)
{
    if (e)
        err_print(stdout, e);
    err_free(e);
    return !e;
}

struct memory {
    const uint8_t *p;
    size_t len;
};

static ssize_t memory_read(void *ctx, void *p, size_t len)
{
    struct memory *m = ctx;
    const size_t n = len < m->len ? len : m->len;
    memcpy(p, m->p, n);
    m->p += n;
    m->len -= n;
    return (ssize_t)n;
}

static struct buf make_bundle(const uint8_t *image, const struct bundle_secret *secret)
{
    struct bundle_manifest m = {.kind = BUNDLE_IMAGE,
                                .version = "0.1.0",
                                .build = "new",
                                .board = "qemu-virt",
                                .created = "x",
                                .store_format = 3,
                                .store_format_oldest = 2};
    struct memory in = {image, SLOT_BYTES};
    char name[] = "/tmp/penstock-update-XXXXXX";
    struct buf out = {0};
    struct stat st;
    int fd = mkstemp(name);
    unlink(name);
    CHECK(done(bundle_write(&m, &(struct bundle_input){memory_read, &in}, secret, 1, fd)));
    CHECK(fstat(fd, &st) == 0);
    buf_grow(&out, (size_t)st.st_size);
    out.len = (size_t)st.st_size;
    CHECK(pread(fd, out.p, out.len, 0) == (ssize_t)out.len);
    close(fd);
    bundle_manifest_fini(&m);
    return out;
}

static void prepare(void)
{
    char dir[] = "/tmp/penstock-keys-XXXXXX", path[64];
    struct bundle_secret secret;
    CHECK(mkdtemp(dir) != NULL);
    snprintf(path, sizeof path, "%s/k", dir);
    CHECK(done(key_create(path, "k", &trusted.keys[0])));
    trusted.count = 1;
    snprintf(path, sizeof path, "%s/k.key", dir);
    CHECK(done(key_load_secret(path, secret.key)));
    remove_tree(dir);
    old_image = make_image("old", 1);
    new_image = make_image("new", 2);
    third_image = make_image("third", 3);
    bundles[0] = make_bundle(new_image, &secret);
    bundles[1] = make_bundle(third_image, &secret);
}

/* ---- the box's steps ---- */

/* What `upgrade` does, to the slot that does not run. */
static struct err *upgrade(struct world *w, const struct buf *bundle)
{
    struct memory m = {bundle->p, bundle->len};
    const struct bundle_input in = {memory_read, &m};
    const struct slot_io io = {w, SLOT_BYTES, SECTOR, world_read, world_write, world_flush};
    struct bundle *b;
    w->target = slot_other(w->slots.running);
    TRY(trial_hold(&w->trial));
    TRY(bundle_open(&in, &trusted, &b));
    struct err *e = upgrade_write(b, &io, NULL);
    bundle_close(b);
    return e ? e : trial_arm(&w->trial, &new_info);
}

/* Starts the box, as often as it wants to: the slot that runs then. */
static int start(struct world *w, struct trial *t)
{
    bool again = true;
    for (int i = 0; again; i++) {
        const int slot = start_box(w);
        CHECK(slot != SLOT_NONE && i < 3);
        if (slot == SLOT_NONE || i == 3)
            return SLOT_NONE;
        world_files(w);
        CHECK(done(trial_begin(&w->trial, 600000000, 1700000000, t, &again)));
    }
    return w->slots.running;
}

static const char *state(struct world *w, struct trial_record *r)
{
    CHECK(done(trial_record_load(w->dir, r)));
    return trial_state(r, w->slots.running);
}

/* A box whose slot `running` is confirmed, with the old image; images[1] may be written. */
static void settled(struct world *w, int running)
{
    struct trial t;
    world_open(w, old_image);
    w->image[w->image_count++] = new_image;
    if (running == SLOT_B) {
        memcpy(w->durable[SLOT_B], old_image, SLOT_BYTES);
        memcpy(w->durable[SLOT_A], third_image, SLOT_BYTES);
        w->image[w->image_count++] = third_image;
        struct trial_record r = {.confirmed = SLOT_B, .trial = SLOT_NONE};
        CHECK(done(trial_record_save(w->dir, &r)));
        CHECK(done(slot_order(&w->efi, &w->slots, SLOT_B)));
        memcpy(w->seen[SLOT_A], w->durable[SLOT_A], SLOT_BYTES);
        memcpy(w->seen[SLOT_B], w->durable[SLOT_B], SLOT_BYTES);
    }
    CHECK(start(w, &t) == running && !t.on);
    w->effects = 0;
}

/* One whose confirmed slot b has broken, so that the firmware went on to slot a: BootOrder still begins with b. */
static void stranded(struct world *w)
{
    struct trial t;
    settled(w, SLOT_B);
    memset(w->durable[SLOT_B], 0, SLOT_BYTES);
    memset(w->seen[SLOT_B], 0, SLOT_BYTES);
    CHECK(start(w, &t) == SLOT_A && !t.on && slot_order_first(&w->efi, &w->slots) == SLOT_B);
    w->effects = 0;
}

static bool has(const struct world *w, int slot, const uint8_t *image)
{
    return memcmp(w->durable[slot], image, SLOT_BYTES) == 0;
}

/* ---- what holds ---- */

static void a_new_box_is_confirmed(void)
{
    struct world w;
    struct trial_record r;
    settled(&w, SLOT_A);
    CHECK_STR(state(&w, &r), "confirmed");
    CHECK(r.confirmed == SLOT_A && slot_order_first(&w.efi, &w.slots) == SLOT_A);
    const int effects = w.effects;
    struct trial t;
    CHECK(start(&w, &t) == SLOT_A && w.effects == effects); /* nothing is written that is there */
    world_close(&w);
}

static void an_update_is_tried_and_confirmed(void)
{
    struct world w;
    struct trial t;
    struct trial_record r;
    settled(&w, SLOT_A);
    CHECK(done(upgrade(&w, &bundles[0])));
    CHECK(start(&w, &t) == SLOT_B && t.on && has(&w, SLOT_B, new_image));
    CHECK_STR(state(&w, &r), "trial");
    CHECK_STR(r.build, "new");
    CHECK(trial_step(&t, 0, true) == TRIAL_WAIT && trial_step(&t, 1, true) == TRIAL_WAIT);
    CHECK(trial_step(&t, 2, false) == TRIAL_WAIT); /* from the start again */
    CHECK(trial_step(&t, 3, true) == TRIAL_WAIT && trial_step(&t, 4, true) == TRIAL_WAIT);
    CHECK(trial_step(&t, 5, true) == TRIAL_CONFIRM);
    CHECK(done(trial_confirm(&w.trial, 1700000100)));
    CHECK_STR(state(&w, &r), "confirmed");
    CHECK(r.confirmed == SLOT_B && r.last == TRIAL_RESULT_CONFIRMED && r.last_at_s == 1700000100);
    CHECK(slot_order_first(&w.efi, &w.slots) == SLOT_B);
    CHECK(start(&w, &t) == SLOT_B && !t.on);
    struct err *e = trial_confirm(&w.trial, 0);
    CHECK(e && e->code == ERR_STATE);
    err_free(e);
    world_close(&w);
}

static void what_is_not_healthy_in_time_goes_back(void)
{
    struct world w;
    struct trial t;
    struct trial_record r;
    settled(&w, SLOT_A);
    CHECK(done(upgrade(&w, &bundles[0])) && start(&w, &t) == SLOT_B);
    CHECK(trial_step(&t, 599999999, false) == TRIAL_WAIT &&
          trial_step(&t, 600000000, false) == TRIAL_FALL_BACK);
    CHECK(done(trial_fall_back(&w.trial, "not healthy within 600 s: api: refused", 1700000200)));
    CHECK(start(&w, &t) == SLOT_A && !t.on);
    CHECK_STR(state(&w, &r), "fallback");
    CHECK_STR(r.reason, "not healthy within 600 s: api: refused");
    CHECK_STR(r.last_build, "new");
    CHECK(start(&w, &t) == SLOT_A);
    CHECK(done(upgrade(&w, &bundles[0])) && start(&w, &t) == SLOT_B && t.on); /* the next one is possible */
    world_close(&w);
}

static void what_ends_on_trial_is_told(void)
{
    struct world w;
    struct trial t;
    struct trial_record r;
    settled(&w, SLOT_A);
    CHECK(done(upgrade(&w, &bundles[0])));
    start_box(&w); /* the kernel panics before PID 1 */
    CHECK(start(&w, &t) == SLOT_A && !t.on);
    CHECK_STR(state(&w, &r), "fallback");
    CHECK_STR(r.reason, "slot b did not come up");
    CHECK(done(upgrade(&w, &bundles[0])) && start(&w, &t) == SLOT_B);
    CHECK(start(&w, &t) == SLOT_A); /* a power cut while on trial */
    CHECK_STR(state(&w, &r), "fallback");
    CHECK_STR(r.reason, "slot b ended before it was found healthy");
    world_close(&w);
}

static void a_firmware_without_boot_next_is_noticed(void)
{
    struct world w;
    struct trial t;
    struct trial_record r;
    settled(&w, SLOT_A);
    w.ignores_next = true;
    CHECK(done(upgrade(&w, &bundles[0])));
    CHECK(start(&w, &t) == SLOT_A && !t.on);
    CHECK_STR(state(&w, &r), "fallback");
    CHECK_STR(r.reason, "the firmware did not start slot b: it does not follow BootNext");
    CHECK(efi_next_read(&w.efi) == -1);
    CHECK(start(&w, &t) == SLOT_A);
    world_close(&w);
}

/* The firmware forgets all: the confirmed slot comes back by itself, once; a firmware that then goes on with the other is not fought. */
static void lost_variables_are_made_anew(void)
{
    struct world w;
    struct trial t;
    struct trial_record r;
    settled(&w, SLOT_B);
    memset(w.nvram, 0, sizeof w.nvram);
    CHECK(start(&w, &t) == SLOT_B && !t.on); /* by way of slot A, which restarts */
    CHECK_STR(state(&w, &r), "confirmed");
    CHECK(r.returns == 0 && slot_order_first(&w.efi, &w.slots) == SLOT_B);
    memset(w.nvram, 0, sizeof w.nvram);
    struct trial_record tired = {.confirmed = SLOT_B, .trial = SLOT_NONE, .returns = TRIAL_RETURNS_MAX};
    CHECK(done(trial_record_save(w.dir, &tired)));
    CHECK(start(&w, &t) == SLOT_A && !t.on);
    CHECK_STR(state(&w, &r), "fallback");
    CHECK_STR(r.reason, "slot b is the confirmed one, but the firmware started slot a");
    world_close(&w);
}

/* One story with a cut at effect k; then the box starts and is brought to an end. */
enum story { FROM_A, FROM_B, STRANDED, STORIES };

static int begin(struct world *w, enum story story)
{
    if (story == STRANDED)
        stranded(w);
    else
        settled(w, story == FROM_A ? SLOT_A : SLOT_B);
    return w->slots.running;
}

static void cut_an_upgrade(enum story story, int k, bool after, bool forget, uint32_t random)
{
    struct world w;
    struct trial t;
    struct trial_record r;
    const int running = begin(&w, story), other = slot_other(running);
    w.random = random;
    w.cut_at = k;
    w.cut_after = after;
    err_free(upgrade(&w, &bundles[0])); /* what is lost is read back as lost: an error is no wonder */
    CHECK(w.dead);
    lose_power(&w);
    CHECK(try_slot(&w, other) != STUCK && try_slot(&w, running) == STARTS);
    if (forget)
        memset(w.nvram, 0, sizeof w.nvram);
    const int slot = start(&w, &t);
    CHECK(slot == running || (slot == other && t.on && has(&w, other, new_image)));
    CHECK(t.on == (slot == other));
    CHECK_STR(state(&w, &r), t.on ? "trial" : r.last == TRIAL_RESULT_ROLLED_BACK ? "fallback" : "confirmed");
    if (slot == running) { /* the next attempt is as the first */
        CHECK(done(upgrade(&w, &bundles[0])));
        CHECK(start(&w, &t) == other && t.on);
    }
    CHECK(done(trial_confirm(&w.trial, 5)));
    CHECK(start(&w, &t) == other && !t.on);
    world_close(&w);
}

static int effects_of_upgrade(enum story story)
{
    struct world w;
    begin(&w, story);
    CHECK(done(upgrade(&w, &bundles[0])));
    const int n = w.effects;
    world_close(&w);
    return n;
}

static void an_upgrade_is_cut_anywhere(void)
{
    for (enum story story = 0; story < STORIES; story++) {
        const int n = effects_of_upgrade(story), draws = test_rounds(2);
        CHECK(n > 10);
        for (int k = 0; k < n; k++)
            for (int i = 0; i < 2 * draws; i++)
                cut_an_upgrade(story, k, i % 2, (k + i) % 5 == 0, (uint32_t)(k * 1000 + i));
    }
}

static void cut_an_end(bool confirm, int k, bool after)
{
    struct world w;
    struct trial t;
    struct trial_record r;
    settled(&w, SLOT_A);
    CHECK(done(upgrade(&w, &bundles[0])) && start(&w, &t) == SLOT_B);
    w.effects = 0;
    w.cut_at = k;
    w.cut_after = after;
    CHECK(done(confirm ? trial_confirm(&w.trial, 5) : trial_fall_back(&w.trial, "sick", 5)));
    const bool cut = w.dead;
    const int slot = start(&w, &t);
    CHECK(slot != SLOT_NONE && !t.on);
    const char *s = state(&w, &r);
    CHECK_STR(s, slot == SLOT_B ? "confirmed" : "fallback");
    CHECK(r.confirmed == slot && slot_order_first(&w.efi, &w.slots) == slot);
    if (!confirm || !cut)
        CHECK(slot == (confirm ? SLOT_B : SLOT_A));
    CHECK(start(&w, &t) == slot && !t.on); /* for good */
    world_close(&w);
}

static void an_end_is_cut_anywhere(void)
{
    for (int k = 0; k < 4; k++)
        for (int i = 0; i < 4; i++)
            cut_an_end(i & 1, k, i & 2);
}

/* A disk that loses a write, or gives back something else: found before the boot sector is there. */
static int lose_at;
static bool losing_write(void *ctx, uint64_t at, const void *p, size_t len)
{
    return lose_at-- == 0 ? true : world_write(ctx, at, p, len);
}

static void a_disk_that_lies_is_found_out(void)
{
    for (int k = 2; k < 5; k++) { /* behind the two that zero: the rest, the first MiB, the boot sector */
        struct world w;
        struct memory m = {bundles[0].p, bundles[0].len};
        const struct bundle_input in = {memory_read, &m};
        const struct slot_io io = {&w, SLOT_BYTES, SECTOR, world_read, losing_write, world_flush};
        struct bundle *b;
        settled(&w, SLOT_A);
        lose_at = k;
        CHECK(done(bundle_open(&in, &trusted, &b)));
        struct err *e = upgrade_write(b, &io, NULL);
        CHECK(e && e->code == ERR_CORRUPT);
        CHECK(try_slot(&w, SLOT_B) == NOT_A_SLOT);
        err_free(e);
        bundle_close(b);
        world_close(&w);
    }
}

/* A bundle that turns out bad in the middle leaves no slot, and the box as it was. */
static void a_bad_chunk_ends_it(void)
{
    struct world w;
    struct trial t;
    settled(&w, SLOT_A);
    struct buf bad = {0};
    buf_put(&bad, bundles[0].p, bundles[0].len);
    bad.p[bad.len - 100] ^= 1;
    struct err *e = upgrade(&w, &bad);
    CHECK(e && e->code == ERR_CORRUPT);
    err_free(e);
    CHECK(try_slot(&w, SLOT_B) == NOT_A_SLOT);
    CHECK(start(&w, &t) == SLOT_A && !t.on);
    buf_fini(&bad);
    world_close(&w);
}

int main(void)
{
    prepare();
    RUN(a_new_box_is_confirmed);
    RUN(an_update_is_tried_and_confirmed);
    RUN(what_is_not_healthy_in_time_goes_back);
    RUN(what_ends_on_trial_is_told);
    RUN(a_firmware_without_boot_next_is_noticed);
    RUN(lost_variables_are_made_anew);
    RUN(an_upgrade_is_cut_anywhere);
    RUN(an_end_is_cut_anywhere);
    RUN(a_disk_that_lies_is_found_out);
    RUN(a_bad_chunk_ends_it);
    free(old_image);
    free(new_image);
    free(third_image);
    buf_fini(&bundles[0]);
    buf_fini(&bundles[1]);
    TEST_END();
}
