/* Workload `nexmark`: the auction-site benchmark (Tucker et al. 2008, in the proportions and field definitions of the
 * public generators of Apache Beam and nexmark-flink): of every 50 events 1 is a person, 3 are auctions, 46 are
 * bids; half of the bids go to a hot auction, 3 of 4 come from a hot bidder, 3 of 4 auctions from a hot seller.
 * Rows are only inserted. `bid` has no key, as in the benchmark. */
#include "source/generator/generator.h"

enum { NEX_PERSON, NEX_AUCTION, NEX_BID };
#define EVENTS_PER_EPOCH   50u
#define PERSONS_PER_EPOCH  1u
#define AUCTIONS_PER_EPOCH 3u
#define FIRST_ID           1000u /* of persons and auctions */
#define FIRST_CATEGORY     10u
#define CATEGORIES         5u
#define ACTIVE_PEOPLE      1000u
#define IN_FLIGHT_AUCTIONS 100u
#define ID_LEAD            10u  /* references may run this far ahead of what exists yet */
#define HOT_EVERY          100u /* one person or auction in so many is hot */
#define HOT_AUCTION_RATIO  2u
#define HOT_BIDDER_RATIO   4u
#define HOT_SELLER_RATIO   4u
#define CHANNELS           10000u
#define EVENT_INTERVAL_US  100
#define PERSON_BYTES       200u /* average row sizes that `extra` pads to */
#define AUCTION_BYTES      500u
#define BID_BYTES          100u

#define TEXT_COLUMN(name, comment)        \
    {                                     \
        name, {T_TEXT, -1}, true, comment \
    }
#define INT8_COLUMN(name, comment)        \
    {                                     \
        name, {T_INT8, -1}, true, comment \
    }
#define TIME_COLUMN(name, comment)             \
    {                                          \
        name, {T_TIMESTAMP, -1}, true, comment \
    }
static const struct column person_columns[] = {
    INT8_COLUMN("id", "Person number"),
    TEXT_COLUMN("name", "Name"),
    TEXT_COLUMN("email_address", "E-mail"),
    TEXT_COLUMN("credit_card", "Made-up card number"),
    TEXT_COLUMN("city", "City"),
    TEXT_COLUMN("state", "US state"),
    TIME_COLUMN("date_time", "When created"),
    TEXT_COLUMN("extra", "Padding"),
};
static const struct column auction_columns[] = {
    INT8_COLUMN("id", "Auction number"),
    TEXT_COLUMN("item_name", "Item"),
    TEXT_COLUMN("description", "Description"),
    INT8_COLUMN("initial_bid", "First price, in cents"),
    INT8_COLUMN("reserve", "Least price at which it sells, in cents"),
    TIME_COLUMN("date_time", "When opened"),
    TIME_COLUMN("expires", "When it closes"),
    INT8_COLUMN("seller", "person.id"),
    INT8_COLUMN("category", "Category number"),
    TEXT_COLUMN("extra", "Padding"),
};
static const struct column bid_columns[] = {
    INT8_COLUMN("auction", "auction.id"),      INT8_COLUMN("bidder", "person.id"),
    INT8_COLUMN("price", "Price, in cents"),   TEXT_COLUMN("channel", "Where the bid came through"),
    TEXT_COLUMN("url", "Address of the item"), TIME_COLUMN("date_time", "When bid"),
    TEXT_COLUMN("extra", "Padding"),
};
static const struct gen_table nexmark_tables[] = {
    [NEX_PERSON] = {"person", ARRAY_COUNT(person_columns), person_columns, 0},
    [NEX_AUCTION] = {"auction", ARRAY_COUNT(auction_columns), auction_columns, 0},
    [NEX_BID] = {"bid", ARRAY_COUNT(bid_columns), bid_columns, -1},
};

static const char *const first_names[] = {"Peter", "Paul",  "Luke",  "John",   "Saul",  "Vicky",
                                          "Kate",  "Julie", "Sarah", "Deiter", "Walter"};
static const char *const last_names[] = {"Shultz", "Abrams", "Spencer", "White", "Bartels",
                                         "Walton", "Smith",  "Jones",   "Noris"};
static const char *const states[] = {"AZ", "CA", "ID", "OR", "WA", "WY"};
static const char *const cities[] = {"Phoenix", "Los Angeles", "San Francisco", "Boise", "Portland",
                                     "Bend",    "Redmond",     "Seattle",       "Kent",  "Cheyenne"};
static const char *const hot_channels[] = {"Google", "Facebook", "Baidu", "Apple"};

/* A scratch row's text: everything one event needs fits. */
struct text {
    const char *letters; /* borrowed from gen_conf */
    char *at;
    char bytes[1024];
};
static void text_start(struct text *t, const struct gen_conf *conf)
{
    t->letters = conf->letters;
    t->at = t->bytes;
}
static void text_put(struct text *t, const char *s)
{
    size_t len = strlen(s);
    memcpy(t->at, s, len);
    t->at += len;
}
static void text_put_number(struct text *t, uint64_t v, int digits_least)
{
    char digits[20];
    int n = 0;
    for (; v || n < digits_least; v /= 10)
        digits[n++] = (char)('0' + v % 10);
    while (n > 0)
        *t->at++ = digits[--n];
}
/* A random piece of the pool: one draw and one copy, where letter by letter would be most of the generator's time. */
static void text_put_letters(struct text *t, struct gen_rng *r, size_t len)
{
    memcpy(t->at, t->letters + (gen_next(r) >> 48), len);
    t->at += len;
}
/* Letters that bring a row of `bytes` up to the wanted average, give or take 20 %. */
static void text_put_extra(struct text *t, struct gen_rng *r, size_t bytes, size_t average)
{
    if (bytes >= average)
        return;
    size_t want = average - bytes, delta = want / 5;
    text_put_letters(t, r, want - delta + (delta ? gen_below(r, 2 * delta) : 0));
}
#define PICK(r, names)     names[gen_below((r), ARRAY_COUNT(names))]
#define TEXT_VAL(from, to) gen_text((from), (size_t)((to) - (from)))

/* 100 * 10^(6u) cents for uniform u, rounded: log-uniform prices from 1 to a million. In integers (10^(i/64) with
 * linear interpolation), because libraries' pow() differ in the last bit and rows must not. */
static int64_t draw_price(struct gen_rng *r)
{
    static const uint32_t power[65] = {
        100000000, 103663293, 107460783, 111397386, 115478198, 119708503, 124093776, 128639694, 133352143,
        138237223, 143301257, 148550802, 153992653, 159633854, 165481710, 171543790, 177827941, 184342299,
        191095297, 198095678, 205352503, 212875166, 220673407, 228757320, 237137371, 245824407, 254829675,
        264164832, 273841963, 283873596, 294272718, 305052789, 316227766, 327812115, 339820833, 352269465,
        365174127, 378551525, 392418976, 406794432, 421696503, 437144481, 453158364, 469758882, 486967525,
        504806572, 523299115, 542469094, 562341325, 582941535, 604296390, 626433537, 649381632, 673170382,
        697830585, 723394163, 749894209, 777365030, 805842188, 835362547, 865964323, 897687132, 930572041,
        964661620, 1000000000};
    static const uint64_t decade[6] = {1, 10, 100, 1000, 10000, 100000};
    uint64_t bits = gen_next(r);
    uint64_t d = ((bits >> 32) * 6) >> 32, step = (bits >> 26) & 63, part = bits & 0xffff;
    uint64_t mantissa = power[step] + (((power[step + 1] - power[step]) * part) >> 16);
    return (int64_t)((mantissa * decade[d] + 500000) / 1000000);
}

/* Numbers (from 0) of the newest person and auction that exist when event n happens. */
static uint64_t last_person(uint64_t n)
{
    return n / EVENTS_PER_EPOCH; /* the epoch's first event is its person */
}
static uint64_t last_auction(uint64_t n)
{
    uint64_t epoch = n / EVENTS_PER_EPOCH, offset = n % EVENTS_PER_EPOCH;
    if (offset < PERSONS_PER_EPOCH)
        return epoch ? epoch * AUCTIONS_PER_EPOCH - 1 : 0;
    offset -= PERSONS_PER_EPOCH;
    return epoch * AUCTIONS_PER_EPOCH + (offset < AUCTIONS_PER_EPOCH ? offset : AUCTIONS_PER_EPOCH - 1);
}
/* One of the newest people, or one about to come. */
static uint64_t draw_person(struct gen_rng *r, uint64_t n)
{
    uint64_t people = last_person(n) + 1, active = people < ACTIVE_PEOPLE ? people : ACTIVE_PEOPLE;
    return people - active + gen_below(r, active + ID_LEAD);
}
static uint64_t draw_auction(struct gen_rng *r, uint64_t n)
{
    uint64_t last = last_auction(n), first = last > IN_FLIGHT_AUCTIONS ? last - IN_FLIGHT_AUCTIONS : 0;
    return first + gen_below(r, last - first + 1 + ID_LEAD);
}
static int64_t event_time(uint64_t n)
{
    int64_t us = GEN_BASE_US + (int64_t)n * EVENT_INTERVAL_US;
    return us - us % 1000; /* the benchmark's times have milliseconds */
}

static const uint8_t all_ok[16];

static bool emit_person(const struct gen_conf *conf, const struct gen_out *out, struct gen_rng *r, uint64_t n)
{
    struct text t;
    text_start(&t, conf);
    char *name = t.at;
    text_put(&t, PICK(r, first_names));
    text_put(&t, " ");
    text_put(&t, PICK(r, last_names));
    char *email = t.at;
    text_put_letters(&t, r, 7);
    text_put(&t, "@");
    text_put_letters(&t, r, 5);
    text_put(&t, ".com");
    char *card = t.at;
    for (int group = 0; group < 4; group++) {
        text_put(&t, group ? " " : "");
        text_put_number(&t, gen_below(r, 10000), 4);
    }
    char *city = t.at;
    text_put(&t, PICK(r, cities));
    char *state = t.at;
    text_put(&t, PICK(r, states));
    char *extra = t.at;
    text_put_extra(&t, r, 8 + (size_t)(t.at - t.bytes), PERSON_BYTES);
    union val vals[] = {gen_int((int64_t)(last_person(n) + FIRST_ID)),
                        TEXT_VAL(name, email),
                        TEXT_VAL(email, card),
                        TEXT_VAL(card, city),
                        TEXT_VAL(city, state),
                        TEXT_VAL(state, extra),
                        gen_int(event_time(n)),
                        TEXT_VAL(extra, t.at)};
    return sink_row(out->lane, NEX_PERSON, ROW_INSERT, vals, all_ok);
}

static bool emit_auction(const struct gen_conf *conf, const struct gen_out *out, struct gen_rng *r,
                         uint64_t n)
{
    struct text t;
    text_start(&t, conf);
    char *item = t.at;
    text_put_letters(&t, r, 3 + gen_below(r, 18));
    char *description = t.at;
    text_put_letters(&t, r, 3 + gen_below(r, 98));
    char *extra = t.at;
    text_put_extra(&t, r, 8 * 7 + (size_t)(t.at - t.bytes), AUCTION_BYTES);
    bool hot = gen_below(r, HOT_SELLER_RATIO) > 0;
    uint64_t seller = hot ? last_person(n) / HOT_EVERY * HOT_EVERY : draw_person(r, n);
    int64_t initial = draw_price(r), reserve = initial + draw_price(r);
    /* Long enough that about IN_FLIGHT_AUCTIONS are open at any time. */
    int64_t horizon_ms =
        (int64_t)IN_FLIGHT_AUCTIONS * EVENTS_PER_EPOCH / AUCTIONS_PER_EPOCH * EVENT_INTERVAL_US / 1000;
    int64_t expires = event_time(n) + (1 + (int64_t)gen_below(r, (uint64_t)(2 * horizon_ms))) * 1000;
    union val vals[] = {gen_int((int64_t)(last_auction(n) + FIRST_ID)),
                        TEXT_VAL(item, description),
                        TEXT_VAL(description, extra),
                        gen_int(initial),
                        gen_int(reserve),
                        gen_int(event_time(n)),
                        gen_int(expires),
                        gen_int((int64_t)(seller + FIRST_ID)),
                        gen_int((int64_t)(FIRST_CATEGORY + gen_below(r, CATEGORIES))),
                        TEXT_VAL(extra, t.at)};
    return sink_row(out->lane, NEX_AUCTION, ROW_INSERT, vals, all_ok);
}

/* Three made-up folders, the same for all bids of one channel. */
static void text_put_url(struct text *t, uint64_t channel)
{
    struct gen_rng r = gen_rng_at(UINT64_C(0x0c4a), channel);
    text_put(t, "https://www.nexmark.com/");
    for (int i = 0; i < 3; i++) {
        text_put_letters(t, &r, 3 + gen_below(&r, 3));
        text_put(t, "/");
    }
    text_put(t, "item.htm?query=1");
    if (channel >= ARRAY_COUNT(hot_channels) && gen_below(&r, 10) > 0) {
        text_put(t, "&channel_id=");
        text_put_number(t, gen_mix(channel) >> 33, 1);
    }
}

static bool emit_bid(const struct gen_conf *conf, const struct gen_out *out, struct gen_rng *r, uint64_t n)
{
    bool hot_auction = gen_below(r, HOT_AUCTION_RATIO) > 0, hot_bidder = gen_below(r, HOT_BIDDER_RATIO) > 0;
    uint64_t auction = hot_auction ? last_auction(n) / HOT_EVERY * HOT_EVERY : draw_auction(r, n);
    uint64_t bidder = hot_bidder ? last_person(n) / HOT_EVERY * HOT_EVERY + 1 : draw_person(r, n);
    int64_t price = draw_price(r);
    struct text t;
    text_start(&t, conf);
    char *channel = t.at;
    uint64_t channel_number = gen_next(r) >> 63 ? gen_below(r, ARRAY_COUNT(hot_channels))
                                                : ARRAY_COUNT(hot_channels) + gen_below(r, CHANNELS);
    if (channel_number < ARRAY_COUNT(hot_channels)) {
        text_put(&t, hot_channels[channel_number]);
    } else {
        text_put(&t, "channel-");
        text_put_number(&t, channel_number - ARRAY_COUNT(hot_channels), 1);
    }
    char *url = t.at;
    text_put_url(&t, channel_number);
    char *extra = t.at;
    text_put_extra(&t, r, 8 * 4, BID_BYTES);
    union val vals[] = {gen_int((int64_t)(auction + FIRST_ID)),
                        gen_int((int64_t)(bidder + FIRST_ID)),
                        gen_int(price),
                        TEXT_VAL(channel, url),
                        TEXT_VAL(url, extra),
                        gen_int(event_time(n)),
                        TEXT_VAL(extra, t.at)};
    return sink_row(out->lane, NEX_BID, ROW_INSERT, vals, all_ok);
}

static uint64_t nexmark_setup_units(const struct gen_conf *conf)
{
    (void)conf;
    return 0;
}

static bool nexmark_emit(const struct gen_conf *conf, const struct gen_out *out, uint64_t n)
{
    uint64_t offset = n % EVENTS_PER_EPOCH;
    uint32_t table = offset < PERSONS_PER_EPOCH                        ? NEX_PERSON
                     : offset < PERSONS_PER_EPOCH + AUCTIONS_PER_EPOCH ? NEX_AUCTION
                                                                       : NEX_BID;
    if (!out->wanted[table])
        return true;
    struct gen_rng r = gen_rng_at(conf->seed, n);
    switch (table) {
    case NEX_PERSON: return emit_person(conf, out, &r, n);
    case NEX_AUCTION: return emit_auction(conf, out, &r, n);
    default: return emit_bid(conf, out, &r, n);
    }
}

const struct gen_workload gen_nexmark = {
    .name = "nexmark",
    .help = "the Nexmark benchmark's persons, auctions and bids, in its proportions 1 : 3 : 46",
    .setup_units = nexmark_setup_units,
    .commit_units = 100,
    .table_count = ARRAY_COUNT(nexmark_tables),
    .tables = nexmark_tables,
    .emit = nexmark_emit,
};
