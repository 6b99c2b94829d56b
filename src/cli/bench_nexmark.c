/* Nexmark's queries in the SQL that is supported, for `penstock bench engine`.
 *
 * Windows are tumbling and found by arithmetic on the time (date_bin), not by session or hop functions; what needs
 * row_number() is said with max() and a join. Left out: q6, q10 to q13, q19 (windows over rows, sessions, side inputs). The
 * benchmark's own texts: nexmark-flink. Goals: twice the figures per core that Feldera publishes. */
#include "cli/bench.h"

#define WINDOW(column) "date_bin('10 seconds', " column ", timestamp '2026-01-01')"
#define DAY            "to_char(date_time, 'YYYY-MM-DD')"
#define RANKS                                                               \
    "count(*) AS total, count(*) FILTER (WHERE price < 10000) AS rank1, "   \
    "count(*) FILTER (WHERE price >= 10000 AND price < 1000000) AS rank2, " \
    "count(*) FILTER (WHERE price >= 1000000) AS rank3"
#define DISTINCTS(column, name)                                                                   \
    "count(DISTINCT " column ") AS " name ", "                                                    \
    "count(DISTINCT " column ") FILTER (WHERE price < 10000) AS " name "1, "                      \
    "count(DISTINCT " column ") FILTER (WHERE price >= 10000 AND price < 1000000) AS " name "2, " \
    "count(DISTINCT " column ") FILTER (WHERE price >= 1000000) AS " name "3"

const struct bench_query bench_queries[] = {
    {"q0", "pass through",
     "CREATE VIEW q0 AS SELECT auction, bidder, price, date_time, extra FROM nexmark.bid;", 840e3},
    {"q1", "currency conversion",
     "CREATE VIEW q1 AS SELECT auction, bidder, 0.908 * price AS price, date_time, extra FROM nexmark.bid;",
     840e3},
    {"q2", "filter", "CREATE VIEW q2 AS SELECT auction, price FROM nexmark.bid WHERE auction % 123 = 0;",
     840e3},
    {"q3", "join and filter",
     "CREATE VIEW q3 AS SELECT p.name, p.city, p.state, a.id FROM nexmark.auction a"
     " JOIN nexmark.person p ON a.seller = p.id"
     " WHERE a.category = 10 AND (p.state = 'OR' OR p.state = 'ID' OR p.state = 'CA');",
     840e3},
    {"q4", "average of closing prices by category",
     "CREATE VIEW q4_final AS SELECT a.id, a.category, max(b.price) AS final FROM nexmark.auction a"
     " JOIN nexmark.bid b ON a.id = b.auction WHERE b.date_time BETWEEN a.date_time AND a.expires"
     " GROUP BY a.id, a.category;"
     "CREATE VIEW q4 AS SELECT category, avg(final) AS final FROM q4_final GROUP BY category;",
     520e3},
    {"q5", "hot items, tumbling window",
     "CREATE VIEW q5_num AS SELECT auction, " WINDOW(
         "date_time") " AS w, count(*) AS num FROM nexmark.bid GROUP BY 1, 2;"
                      "CREATE VIEW q5_max AS SELECT w, max(num) AS num FROM q5_num GROUP BY w;"
                      "CREATE VIEW q5 AS SELECT n.w, n.auction, n.num FROM q5_num n JOIN q5_max m ON n.w = "
                      "m.w AND n.num = m.num;",
     0},
    {"q7", "highest bid, tumbling window",
     "CREATE VIEW q7_bid AS SELECT auction, bidder, price, date_time, " WINDOW(
         "date_time") " AS w FROM nexmark.bid;"
                      "CREATE VIEW q7_max AS SELECT w, max(price) AS price FROM q7_bid GROUP BY w;"
                      "CREATE VIEW q7 AS SELECT b.auction, b.price, b.bidder, b.date_time FROM q7_bid b"
                      " JOIN q7_max m ON b.w = m.w AND b.price = m.price;",
     0},
    {"q8", "new users who sell, tumbling window",
     "CREATE VIEW q8_seller AS SELECT seller, " WINDOW(
         "date_time") " AS w FROM nexmark.auction GROUP BY 1, 2;"
                      "CREATE VIEW q8_person AS SELECT id, name, " WINDOW(
                          "date_time") " AS w FROM nexmark.person;"
                                       "CREATE VIEW q8 AS SELECT p.id, p.name, p.w FROM q8_person p JOIN "
                                       "q8_seller s ON p.id = s.seller AND p.w = s.w;",
     0},
    {"q9", "winning bids, by max() and a join",
     "CREATE VIEW q9_max AS SELECT a.id, max(b.price) AS price FROM nexmark.auction a"
     " JOIN nexmark.bid b ON a.id = b.auction WHERE b.date_time BETWEEN a.date_time AND a.expires GROUP BY "
     "a.id;"
     "CREATE VIEW q9 AS SELECT a.id, a.item_name, a.seller, a.category, b.bidder, b.price, b.date_time"
     " FROM q9_max m JOIN nexmark.auction a ON a.id = m.id"
     " JOIN nexmark.bid b ON b.auction = m.id AND b.price = m.price"
     " WHERE b.date_time BETWEEN a.date_time AND a.expires;",
     114e3},
    {"q14", "calculation with CASE",
     "CREATE VIEW q14 AS SELECT auction, bidder, 0.908 * price AS price,"
     " CASE WHEN extract(hour FROM date_time) BETWEEN 8 AND 18 THEN 'day'"
     " WHEN extract(hour FROM date_time) <= 6 OR extract(hour FROM date_time) >= 20 THEN 'night' ELSE "
     "'other' END AS kind,"
     " date_time, extra, length(extra) - length(replace(extra, 'c', '')) AS c_counts"
     " FROM nexmark.bid WHERE 0.908 * price > 1000000 AND 0.908 * price < 50000000;",
     0},
    {"q15", "counts per day, distinct and filtered",
     "CREATE VIEW q15 AS SELECT " DAY " AS day, " RANKS ", " DISTINCTS("bidder", "bidders") ", " DISTINCTS(
         "auction", "auctions") " FROM nexmark.bid GROUP BY 1;",
     0},
    {"q16", "the same per channel and day",
     "CREATE VIEW q16 AS SELECT channel, " DAY " AS day, max(to_char(date_time, 'HH24:MI')) AS minute, " RANKS
     ", " DISTINCTS("bidder", "bidders") ", " DISTINCTS("auction",
                                                        "auctions") " FROM nexmark.bid GROUP BY 1, 2;",
     102e3},
    {"q17", "statistics per auction and day",
     "CREATE VIEW q17 AS SELECT auction, " DAY " AS day, " RANKS
     ", min(price) AS min_price, max(price) AS max_price,"
     " avg(price) AS avg_price, sum(price) AS sum_price FROM nexmark.bid GROUP BY 1, 2;",
     0},
    {"q18", "last bid of each bidder, by max() and a join",
     "CREATE VIEW q18_last AS SELECT bidder, auction, max(date_time) AS date_time FROM nexmark.bid GROUP BY "
     "1, 2;"
     "CREATE VIEW q18 AS SELECT b.auction, b.bidder, b.price, b.channel, b.url, b.date_time, b.extra FROM "
     "nexmark.bid b"
     " JOIN q18_last l ON b.bidder = l.bidder AND b.auction = l.auction AND b.date_time = l.date_time;",
     170e3},
    {"q20", "bids with their auction",
     "CREATE VIEW q20 AS SELECT b.auction, b.bidder, b.price, b.channel, b.url, b.date_time AS bid_time, "
     "a.item_name,"
     " a.description, a.initial_bid, a.reserve, a.date_time, a.expires, a.seller, a.category"
     " FROM nexmark.bid b JOIN nexmark.auction a ON b.auction = a.id WHERE a.category = 10;",
     168e3},
    {"q21", "channel ids",
     "CREATE VIEW q21 AS SELECT auction, bidder, price, channel, CASE lower(channel) WHEN 'apple' THEN '0'"
     " WHEN 'google' THEN '1' WHEN 'facebook' THEN '2' WHEN 'baidu' THEN '3'"
     " ELSE split_part(split_part(url, 'channel_id=', 2), '&', 1) END AS channel_id FROM nexmark.bid;",
     0},
    {"q22", "parts of the URL",
     "CREATE VIEW q22 AS SELECT auction, bidder, price, channel, split_part(url, '/', 4) AS dir1,"
     " split_part(url, '/', 5) AS dir2, split_part(url, '/', 6) AS dir3 FROM nexmark.bid;",
     0},
};
const uint32_t bench_query_count = ARRAY_COUNT(bench_queries);
