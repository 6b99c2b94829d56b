/* Workload `bank`: accounts and transfers between them. Every transfer is one transaction of two entries that sum to
 * zero, so any view that shows a total other than 0 has shown half a transaction (Brandon's internal-consistency
 * test). With `churn`, accounts are also updated and old transfers deleted, both entries at once. */
#include "source/generator/generator.h"

enum { BANK_ACCOUNTS, BANK_ENTRIES };
#define ACCOUNTS_PER_UNIT    1000u
#define BRANCHES             50u
#define TRANSFER_CENTS_MAX   100000u
#define TRANSFER_INTERVAL_US 1000 /* of the entries' `at`: fixed, so that it does not depend on the rate */
/* Churn: every 16th transfer also changes an account, every 64th deletes a transfer this far back. The distances
 * make each transfer be deleted at most once. */
#define CHURN_UPDATE_EVERY 16u
#define CHURN_DELETE_EVERY 64u
#define CHURN_DELETE_BACK  4095u

static const struct column account_columns[] = {
    {"id", {T_INT8, -1}, true, "Account number"},
    {"owner", {T_TEXT, -1}, true, "Name of the owner"},
    {"branch", {T_INT4, -1}, true, "Branch that keeps the account"},
    {"opened", {T_TIMESTAMPTZ, -1}, true, "When the account was opened"},
};
static const struct column entry_columns[] = {
    {"id", {T_INT8, -1}, true, "Entry number"},
    {"account_id", {T_INT8, -1}, true, "Account posted to"},
    {"amount", {T_NUMERIC, ((12 << 16) | 2) + 4}, true, "Positive credits, negative debits the account"},
    {"at", {T_TIMESTAMPTZ, -1}, true, "When the entry was posted"},
};
static const struct gen_table bank_tables[] = {
    [BANK_ACCOUNTS] = {"accounts", ARRAY_COUNT(account_columns), account_columns, 0},
    [BANK_ENTRIES] = {"entries", ARRAY_COUNT(entry_columns), entry_columns, 0},
};

static const char *const first_names[] = {"Ada",     "Alan",     "Barbara", "Claude", "Donald", "Edsger",
                                          "Frances", "Grace",    "Hedy",    "Ivan",   "Jean",   "Ken",
                                          "Leslie",  "Margaret", "Niklaus", "Olga"};
static const char *const last_names[] = {"Abbott", "Baker",  "Castro", "Dvorak", "Evans",    "Fischer",
                                         "Garcia", "Hansen", "Ito",    "Jansen", "Kowalski", "Larsen",
                                         "Moreau", "Novak",  "Okafor", "Petrov"};

static uint64_t bank_setup_units(const struct gen_conf *conf)
{
    return (conf->accounts + ACCOUNTS_PER_UNIT - 1) / ACCOUNTS_PER_UNIT;
}

/* An account's row is a function of (seed, id, revision): revision 0 is its opening, later ones come from churn. */
static bool emit_account(const struct gen_conf *conf, const struct gen_out *out, enum row_op op, uint64_t id,
                         uint64_t revision)
{
    if (!out->wanted[BANK_ACCOUNTS])
        return true;
    static const uint8_t states[ARRAY_COUNT(account_columns)];
    struct gen_rng born = gen_rng_at(conf->seed ^ UINT64_C(0xacc0), id);
    const char *first = first_names[gen_below(&born, ARRAY_COUNT(first_names))];
    const char *last = last_names[gen_below(&born, ARRAY_COUNT(last_names))];
    uint64_t branch = gen_below(&born, BRANCHES);
    if (revision) {
        struct gen_rng moved = gen_rng_at(conf->seed ^ UINT64_C(0xacc1), revision);
        last = last_names[gen_below(&moved, ARRAY_COUNT(last_names))];
        branch = gen_below(&moved, BRANCHES);
    }
    char owner[40];
    size_t first_len = strlen(first), last_len = strlen(last);
    memcpy(owner, first, first_len);
    owner[first_len] = ' ';
    memcpy(owner + first_len + 1, last, last_len);
    union val vals[] = {gen_int((int64_t)id), gen_text(owner, first_len + 1 + last_len),
                        gen_int((int64_t)branch + 1),
                        gen_int(GEN_BASE_US - (int64_t)(conf->accounts - id + 1) * 60 * 1000000)};
    return sink_row(out->lane, BANK_ACCOUNTS, op, vals, states);
}

static bool emit_setup(const struct gen_conf *conf, const struct gen_out *out, uint64_t unit)
{
    uint64_t first = unit * ACCOUNTS_PER_UNIT + 1, last = (unit + 1) * ACCOUNTS_PER_UNIT;
    for (uint64_t id = first; id <= last && id <= conf->accounts; id++)
        if (!emit_account(conf, out, ROW_INSERT, id, 0))
            return false;
    return true;
}

static bool emit_entry(const struct gen_out *out, uint64_t id, uint64_t account, int64_t cents, int64_t at)
{
    static const uint8_t states[ARRAY_COUNT(entry_columns)];
    union val vals[] = {gen_int((int64_t)id), gen_int((int64_t)account), gen_cents(cents), gen_int(at)};
    return sink_row(out->lane, BANK_ENTRIES, ROW_INSERT, vals, states);
}

static bool emit_churn(const struct gen_conf *conf, const struct gen_out *out, uint64_t t, uint64_t account)
{
    static const uint8_t states[ARRAY_COUNT(entry_columns)] = {VAL_OK, VAL_NULL, VAL_NULL, VAL_NULL};
    if (t % CHURN_UPDATE_EVERY == 0 && !emit_account(conf, out, ROW_UPDATE, account, t + 1))
        return false;
    if (t % CHURN_DELETE_EVERY != CHURN_DELETE_EVERY / 2 || t < CHURN_DELETE_BACK ||
        !out->wanted[BANK_ENTRIES])
        return true;
    uint64_t old = t - CHURN_DELETE_BACK;
    union val vals[ARRAY_COUNT(entry_columns)] = {gen_int((int64_t)(2 * old + 1))};
    if (!sink_row(out->lane, BANK_ENTRIES, ROW_DELETE, vals, states))
        return false;
    vals[0].i++;
    return sink_row(out->lane, BANK_ENTRIES, ROW_DELETE, vals, states);
}

static bool bank_emit(const struct gen_conf *conf, const struct gen_out *out, uint64_t n)
{
    uint64_t setup = bank_setup_units(conf);
    if (n < setup)
        return emit_setup(conf, out, n);
    uint64_t t = n - setup;
    struct gen_rng r = gen_rng_at(conf->seed, t);
    uint64_t from = gen_below(&r, conf->accounts);
    uint64_t to = (from + 1 + gen_below(&r, conf->accounts - 1)) % conf->accounts; /* never `from` itself */
    int64_t cents = 1 + (int64_t)gen_below(&r, TRANSFER_CENTS_MAX);
    int64_t at = GEN_BASE_US + (int64_t)t * TRANSFER_INTERVAL_US;
    if (out->wanted[BANK_ENTRIES] &&
        (!emit_entry(out, 2 * t + 1, from + 1, -cents, at) || !emit_entry(out, 2 * t + 2, to + 1, cents, at)))
        return false;
    return !conf->churn || emit_churn(conf, out, t, from + 1);
}

const struct gen_workload gen_bank = {
    .name = "bank",
    .help = "accounts, and transfers between them whose entries always sum to 0",
    .setup_units = bank_setup_units,
    .commit_units = 1,
    .table_count = ARRAY_COUNT(bank_tables),
    .tables = bank_tables,
    .emit = bank_emit,
};
