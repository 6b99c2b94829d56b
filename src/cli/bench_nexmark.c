/* Nexmark's queries for `penstock bench engine`.
 *
 * A view is the answer over the rows there are: there is no watermark, a window changes until its last row has come. Left
 * out: q10 (files), q11 (sessions, by lag and a running sum: test/e2e/lib/nexmark.py has it), q13 (a side input). The benchmark's own
 * texts: nexmark-flink. Goals: twice the figures per core that Feldera publishes. */
#include "cli/bench.h"

#define WINNING                                                                                           \
    "SELECT a.id, a.item_name, a.seller, a.category, b.price, b.bidder, b.date_time, row_number() OVER (" \
    "PARTITION BY a.id ORDER BY b.price DESC, b.date_time) AS place FROM nexmark.auction a JOIN "         \
    "nexmark.bid b"                                                                                       \
    " ON a.id = b.auction AND b.date_time BETWEEN a.date_time AND a.expires"
#define DAY "to_char(date_time, 'YYYY-MM-DD')"
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
    {"q5", "hot items, sliding window of 10 s every 2 s",
     "CREATE VIEW q5_num AS SELECT auction, window_start, count(*) AS num"
     " FROM hop(nexmark.bid, date_time, interval '2 seconds', interval '10 seconds') GROUP BY 1, 2;"
     "CREATE VIEW q5_max AS SELECT window_start, max(num) AS num FROM q5_num GROUP BY 1;"
     "CREATE VIEW q5 AS SELECT n.window_start, n.auction, n.num FROM q5_num n"
     " JOIN q5_max m ON n.window_start = m.window_start AND n.num >= m.num;",
     0},
    {"q6", "average price of each seller's last ten auctions",
     "CREATE VIEW q6 AS SELECT seller, id, avg(price) OVER (PARTITION BY seller ORDER BY date_time, id"
     " ROWS BETWEEN 9 PRECEDING AND CURRENT ROW) AS average FROM (" WINNING ") w WHERE place <= 1;",
     0},
    {"q7", "highest bid, tumbling window",
     "CREATE VIEW q7_bid AS SELECT auction, bidder, price, date_time, window_start"
     " FROM tumble(nexmark.bid, date_time, interval '10 seconds');"
     "CREATE VIEW q7_max AS SELECT window_start, max(price) AS price FROM q7_bid GROUP BY 1;"
     "CREATE VIEW q7 AS SELECT b.auction, b.price, b.bidder, b.date_time FROM q7_bid b"
     " JOIN q7_max m ON b.window_start = m.window_start AND b.price = m.price;",
     0},
    {"q8", "new users who sell, tumbling window",
     "CREATE VIEW q8 AS SELECT p.id, p.name, p.window_start"
     " FROM tumble(nexmark.person, date_time, interval '10 seconds') p"
     " JOIN (SELECT DISTINCT seller, window_start FROM tumble(nexmark.auction, date_time, interval '10 "
     "seconds')) s"
     " ON p.id = s.seller AND p.window_start = s.window_start;",
     0},
    {"q9", "winning bids",
     "CREATE VIEW q9 AS SELECT id, item_name, seller, category, bidder, price, date_time FROM (" WINNING
     ") w WHERE place <= 1;",
     114e3},
    {"q12", "bids of each bidder, tumbling window",
     "CREATE VIEW q12 AS SELECT bidder, window_start, count(*) AS bids"
     " FROM tumble(nexmark.bid, date_time, interval '10 seconds') GROUP BY 1, 2;",
     0},
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
    {"q18", "last bid of each bidder and auction",
     "CREATE VIEW q18 AS SELECT auction, bidder, price, channel, url, date_time, extra FROM (SELECT *, "
     "row_number() OVER"
     " (PARTITION BY bidder, auction ORDER BY date_time DESC) AS place FROM nexmark.bid) b WHERE place <= 1;",
     170e3},
    {"q19", "ten highest bids of each auction",
     "CREATE VIEW q19 AS SELECT * FROM (SELECT *, row_number() OVER (PARTITION BY auction ORDER BY price "
     "DESC) AS place"
     " FROM nexmark.bid) b WHERE place <= 10;",
     0},
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
