/* Boot options as bytes, variables as the files of efivarfs, what is in a slot, records of trials that are damaged. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "test/unit/box/update_world.h"

static bool done(struct err *e)
{
    if (e)
        err_print(stdout, e);
    err_free(e);
    return !e;
}

static const struct efi_option option = {.active = true,
                                         .description = "Penstock slot b",
                                         .part_number = 2,
                                         .part_first = 0x80800,
                                         .part_sectors = 0x80000,
                                         .part_guid = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16},
                                         .file = "\\EFI\\BOOT\\BOOTAA64.EFI"};

/* UEFI specification 2.10, 3.1.3, 10.3.5.1, 10.3.5.4. */
static void an_option_has_the_bytes_of_the_specification(void)
{
    uint8_t b[EFI_OPTION_BYTES_MAX];
    struct efi_option got;
    const size_t len = efi_option_encode(&option, b), list = 6 + 2 * 16;
    CHECK(len == list + 42 + 4 + 2 * 23 + 4);
    CHECK(memcmp(b, "\1\0\0\0", 4) == 0 && b[4] == len - list && b[5] == 0 && b[6] == 'P' && b[7] == 0);
    CHECK(memcmp(b + list, "\4\1\x2a\0\2\0\0\0\0\x08\x08\0\0\0\0\0\0\0\x08\0\0\0\0\0", 24) == 0);
    CHECK(memcmp(b + list + 24, option.part_guid, 16) == 0 && b[list + 40] == 2 && b[list + 41] == 2);
    CHECK(memcmp(b + list + 42, "\4\4\x32\0\\\0E\0", 8) == 0 && memcmp(b + len - 4, "\x7f\xff\4\0", 4) == 0);
    CHECK(efi_option_decode(b, len, &got));
    CHECK(got.active && got.part_number == 2 && got.part_first == 0x80800 && got.part_sectors == 0x80000);
    CHECK_STR(got.file, option.file);
    CHECK_STR(got.description, option.description);
    for (size_t i = 0; i < len; i++)
        CHECK(!efi_option_decode(b, i, &got));
}

static void variables_are_files(void)
{
    char dir[] = "/tmp/penstock-efi-XXXXXX", path[128];
    uint16_t order[EFI_ORDER_MAX], number, again;
    uint8_t raw[16];
    CHECK(mkdtemp(dir) != NULL);
    const struct efi v = efi_directory(dir);
    CHECK(!efi_present(&v) && efi_next_read(&v) == -1 && efi_order_read(&v, order) == 0);
    CHECK(done(efi_option_ensure(&v, &option, &number)) && efi_present(&v));
    CHECK(done(efi_option_ensure(&v, &option, &again)) && again == number);
    CHECK(efi_option_starts(&v, number, &option) && !efi_option_starts(&v, number + 1, &option));
    CHECK(done(efi_order_put_first(&v, 7, 8)) && done(efi_order_put_first(&v, 9, 7)));
    CHECK(efi_order_read(&v, order) == 3 && order[0] == 9 && order[1] == 7 && order[2] == 8);
    CHECK(done(efi_next_write(&v, 0x1234)) && efi_next_read(&v) == 0x1234);
    snprintf(path, sizeof path, "%s/BootNext" EFI_GLOBAL, dir);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    CHECK(read(fd, raw, sizeof raw) == 6 && memcmp(raw, "\7\0\0\0\x34\x12", 6) == 0);
    close(fd);
    CHECK(done(efi_next_remove(&v)) && efi_next_read(&v) == -1 && done(efi_next_remove(&v)));
    remove_tree(dir);
}

static void look(const uint8_t *p, struct slot_content *c)
{
    struct world w;
    struct slot_io io;
    world_open(&w, p);
    world_files(&w);
    CHECK(done(slot_open(&w.slots.part[SLOT_A], false, &io)));
    slot_look(&io, c);
    slot_close(&io);
    world_close(&w);
}

static void a_slot_says_what_is_in_it(void)
{
    struct slot_content c;
    uint8_t *p = make_image("one", 1);
    look(p, &c);
    CHECK(c.valid && c.named);
    CHECK_STR(c.image.build, "one");
    p[32 * SECTOR + 4 * 1000] = 0; /* the kernel image's chain of clusters ends early, or goes astray */
    p[32 * SECTOR + 4 * 1000 + 1] = 0;
    look(p, &c);
    CHECK(!c.valid && c.named);
    p[510] = 0;
    look(p, &c);
    CHECK(!c.valid && !c.named);
    free(p);
}

static void a_damaged_record_is_as_none(void)
{
    char dir[] = "/tmp/penstock-record-XXXXXX", path[128];
    struct trial_record r = {.confirmed = SLOT_B,
                             .trial = SLOT_A,
                             .started = true,
                             .version = "1",
                             .build = "two",
                             .returns = 1,
                             .last = TRIAL_RESULT_ROLLED_BACK,
                             .reason = "why",
                             .last_version = "0",
                             .last_build = "x",
                             .last_at_s = 5},
                        got;
    CHECK(mkdtemp(dir) != NULL);
    CHECK(done(trial_record_load(dir, &got)) && got.confirmed == SLOT_NONE && got.trial == SLOT_NONE);
    CHECK(done(trial_record_save(dir, &r)) && done(trial_record_load(dir, &got)));
    CHECK(got.confirmed == SLOT_B && got.trial == SLOT_A && got.started && got.returns == 1 &&
          got.last == r.last && got.last_at_s == 5);
    CHECK_STR(got.build, "two");
    CHECK_STR(got.reason, "why");
    snprintf(path, sizeof path, "%s/" TRIAL_RECORD, dir);
    CHECK(truncate(path, 20) == 0);
    CHECK(done(trial_record_load(dir, &got)) && got.confirmed == SLOT_NONE && got.trial == SLOT_NONE);
    remove_tree(dir);
}

static bool refused(struct err *e)
{
    const bool is = e && e->code == ERR_STATE;
    err_free(e);
    return is;
}

/* A program that does not read the data is not started on them. */
static void formats_are_kept_apart(void)
{
    CHECK(done(upgrade_format_check("x", 3, 2, 0)) && done(upgrade_format_check("x", 3, 2, 2)) &&
          done(upgrade_format_check("x", 3, 2, 3)));
    CHECK(refused(upgrade_format_check("x", 3, 2, 4)) && refused(upgrade_format_check("x", 3, 2, 1)));
    const struct image_info running = {.version = "1", .build = "b"};
    const struct upgrade_box box = {.board = "qemu-virt", .running = &running, .data_format = 3};
    struct bundle_manifest m = {.kind = BUNDLE_IMAGE,
                                .version = "1",
                                .build = "c",
                                .board = "qemu-virt",
                                .store_format = 3,
                                .store_format_oldest = 2};
    CHECK(done(upgrade_check(&m, &box)));
    m.store_format = 2; /* older than the data */
    CHECK(refused(upgrade_check(&m, &box)));
    m.store_format = 3;
    snprintf(m.build, sizeof m.build, "b");
    CHECK(refused(upgrade_check(&m, &box))); /* the same */
    snprintf(m.board, sizeof m.board, "other");
    struct err *e = upgrade_check(&m, &box);
    CHECK(e && e->code == ERR_CONFIG);
    err_free(e);
}

int main(void)
{
    RUN(an_option_has_the_bytes_of_the_specification);
    RUN(variables_are_files);
    RUN(a_slot_says_what_is_in_it);
    RUN(a_damaged_record_is_as_none);
    RUN(formats_are_kept_apart);
    TEST_END();
}
