"""Nexmark's tables, a small generator of its events, and its queries q0 to q22 as views.

A view here is the answer over the rows there are: there is no watermark, and a window's row changes until the last of its
rows has come. What that makes of each query:

q5       sliding windows (10 s, every 2 s): a row belongs to five of them, so it is taken five times
q6       a frame over each seller's last ten sold auctions
q7, q8   tumbling windows by date_bin
q9, q18  one row of each group: row_number() = 1, with a tie-breaker, since PostgreSQL would choose by chance
q10      writes partitioned files in the benchmark: here the same rows with their partition's names; files are a client's business
q11      sessions: a bid more than 10 s after the bidder's last one starts a new one (lag(), then a running sum)
q12      windows by processing time in the benchmark, which is no property of a row: here by the event's time
q13      joins a bounded side input: here a table
q14      counts a character by a user-defined function: here by length() and replace()
q21      regular expressions"""

import datetime

SCHEMA = """
CREATE TABLE core.person (
  id bigint PRIMARY KEY, name text, email_address text, credit_card text, city text, state text, date_time timestamp, extra text
);
CREATE TABLE core.auction (
  id bigint PRIMARY KEY, item_name text, description text, initial_bid bigint, reserve bigint, date_time timestamp, expires timestamp,
  seller bigint, category bigint, extra text
);
CREATE TABLE core.bid (
  auction bigint, bidder bigint, price bigint, channel text, url text, date_time timestamp, extra text
);
ALTER TABLE core.bid REPLICA IDENTITY FULL;
CREATE TABLE core.side_input (
  key bigint PRIMARY KEY, value text
);
"""
START = datetime.datetime(2026, 1, 1)
CHANNELS = ("Google", "Facebook", "Baidu", "Apple", "apple", "channel-7", "channel-12")


def quote(v):
    return str(v) if isinstance(v, int) else "'%s'" % v


def insert(table, values):
    return "INSERT INTO core.%s VALUES (%s) ON CONFLICT DO NOTHING" % (table, ", ".join(quote(v) for v in values))


def person(r, key, n):
    return insert("person", (key, r.choice(("Peter Jones", "Kate Smith", "Vicky Noris")), "a@b.com", "1234", r.choice(("Boise", "Bend", "Kent")),
                             r.choice(("OR", "ID", "CA", "WA")), at(n), "x" * r.randint(0, 5)))


def auction(r, key, n, people):
    first = r.randint(1, 1000) * 100
    return insert("auction", (key, "item %d" % r.randint(1, 9), "words", first, first + r.randint(0, 100) * 100, at(n),
                              at(n + r.randint(1, 60)), r.randint(max(1, people - 6), people + 1), 10 + r.randint(0, 4), "cc"))


def bid(r, n, auctions, people):
    channel = r.choice(CHANNELS)
    url = "https://www.nexmark.com/%s/%s/item.htm?query=1%s" % (r.choice("abc"), r.choice("xyz"),
                                                               "&channel_id=%d" % r.randint(1, 99) if "-" in channel else "")
    return insert("bid", (r.randint(max(1, auctions - 5), auctions + 1), r.randint(max(1, people - 5), people + 1),
                          r.choice((500, 5000, 20000, 1500000, 2000000, 60000000)) + r.randint(0, 3), channel, url, at(n), r.choice(("", "cab", "cc"))))


def at(n):
    """Half a second per event, in some places a long pause."""
    return str(START + datetime.timedelta(seconds=n / 2 + n // 40 * 15, hours=n // 200 * 5))


def events(r, first, count):
    """One statement per event: of every 20, one person, three auctions, the rest bids."""
    out = []
    for n in range(first, first + count):
        people, auctions = n // 20 + 1, n // 20 * 3 + min(3, n % 20) + 1
        if n % 20 == 0:
            out.append(person(r, people, n))
        elif n % 20 < 4:
            out.append(auction(r, n // 20 * 3 + n % 20, n, people))
        else:
            out.append(bid(r, n, auctions, people))
    return out


def window(column):
    return "date_bin('10 seconds', %s, timestamp '2026-01-01')" % column


DAY = "to_char(date_time, 'YYYY-MM-DD')"
RANKS = ("count(*) AS total_bids, count(*) FILTER (WHERE price < 10000) AS rank1_bids, count(*) FILTER (WHERE price >= 10000 AND price < 1000000)"
         " AS rank2_bids, count(*) FILTER (WHERE price >= 1000000) AS rank3_bids")


def distincts(column):
    return ("count(DISTINCT {0}) AS total_{0}s, count(DISTINCT {0}) FILTER (WHERE price < 10000) AS rank1_{0}s, count(DISTINCT {0}) FILTER"
            " (WHERE price >= 10000 AND price < 1000000) AS rank2_{0}s, count(DISTINCT {0}) FILTER (WHERE price >= 1000000) AS rank3_{0}s".format(column))


SOLD = ("SELECT a.id, a.seller, a.category, a.item_name, b.price, b.bidder, b.date_time, row_number() OVER (PARTITION BY a.id ORDER BY b.price DESC,"
        " b.date_time, b.bidder, b.channel, b.url, b.extra) AS place FROM core.auction a JOIN core.bid b ON a.id = b.auction"
        " WHERE b.date_time BETWEEN a.date_time AND a.expires")
QUERIES = {
    "q0": "SELECT auction, bidder, price, date_time, extra FROM core.bid",
    "q1": "SELECT auction, bidder, 0.908 * price AS price, date_time, extra FROM core.bid",
    "q2": "SELECT auction, price FROM core.bid WHERE auction % 12 = 0",
    "q3": "SELECT p.name, p.city, p.state, a.id FROM core.auction a JOIN core.person p ON a.seller = p.id WHERE a.category = 10"
          " AND (p.state = 'OR' OR p.state = 'ID' OR p.state = 'CA')",
    "q4": "SELECT q.category, avg(q.final) AS price FROM (SELECT max(b.price) AS final, a.category FROM core.auction a, core.bid b WHERE a.id = b.auction"
          " AND b.date_time BETWEEN a.date_time AND a.expires GROUP BY a.id, a.category) q GROUP BY q.category",
    "q5": "WITH hops AS (SELECT auction, date_bin('2 seconds', date_time, timestamp '2026-01-01') - back.n * interval '2 seconds' AS starts FROM core.bid"
          " CROSS JOIN (SELECT 0 AS n UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4) back),"
          " counts AS (SELECT auction, starts, count(*) AS num FROM hops GROUP BY auction, starts)"
          " SELECT c.auction, c.num, c.starts FROM counts c JOIN (SELECT max(num) AS num, starts FROM counts GROUP BY starts) m"
          " ON c.starts = m.starts AND c.num >= m.num",
    "q6": "SELECT seller, id, avg(price) OVER (PARTITION BY seller ORDER BY date_time, id ROWS BETWEEN 9 PRECEDING AND CURRENT ROW) AS average"
          " FROM (%s) q WHERE place = 1" % SOLD,
    "q7": "SELECT b.auction, b.price, b.bidder, b.date_time, b.extra FROM core.bid b JOIN (SELECT max(price) AS price, {0} AS starts FROM core.bid GROUP BY 2) m"
          " ON b.price = m.price AND {1} = m.starts".format(window("date_time"), window("b.date_time")),
    "q8": "SELECT p.id, p.name, p.starts FROM (SELECT id, name, {0} AS starts FROM core.person GROUP BY id, name, 3) p JOIN (SELECT seller, {0} AS starts"
          " FROM core.auction GROUP BY 1, 2) a ON p.id = a.seller AND p.starts = a.starts".format(window("date_time")),
    "q9": "SELECT id, seller, category, item_name, bidder, price, date_time FROM (%s) q WHERE place = 1" % SOLD,
    "q10": "SELECT auction, bidder, price, date_time, extra, %s AS day, to_char(date_time, 'HH24:MI') AS minute FROM core.bid" % DAY,
    "q11": "WITH gaps AS (SELECT bidder, date_time, CASE WHEN date_time - lag(date_time) OVER (PARTITION BY bidder ORDER BY date_time)"
           " <= interval '10 seconds' THEN 0 ELSE 1 END AS first FROM core.bid), numbered AS (SELECT bidder, date_time, sum(first) OVER (PARTITION BY bidder"
           " ORDER BY date_time) AS session FROM gaps) SELECT bidder, session, count(*) AS bid_count, min(date_time) AS starts, max(date_time) AS ends"
           " FROM numbered GROUP BY bidder, session",
    "q12": "SELECT bidder, count(*) AS bid_count, %s AS starts FROM core.bid GROUP BY 1, 3" % window("date_time"),
    "q13": "SELECT b.auction, b.bidder, b.price, b.date_time, s.value FROM core.bid b JOIN core.side_input s ON b.auction % 10 = s.key",
    "q14": "SELECT auction, bidder, 0.908 * price AS price, CASE WHEN extract(hour FROM date_time) >= 8 AND extract(hour FROM date_time) <= 18 THEN 'dayTime'"
           " WHEN extract(hour FROM date_time) <= 6 OR extract(hour FROM date_time) >= 20 THEN 'nightTime' ELSE 'otherTime' END AS kind, date_time, extra,"
           " length(extra) - length(replace(extra, 'c', '')) AS c_counts FROM core.bid WHERE 0.908 * price > 1000000 AND 0.908 * price < 50000000",
    "q15": "SELECT %s AS day, %s, %s, %s FROM core.bid GROUP BY 1" % (DAY, RANKS, distincts("bidder"), distincts("auction")),
    "q16": "SELECT channel, %s AS day, max(to_char(date_time, 'HH24:MI')) AS minute, %s, %s, %s FROM core.bid GROUP BY 1, 2"
           % (DAY, RANKS, distincts("bidder"), distincts("auction")),
    "q17": "SELECT auction, %s AS day, %s, min(price) AS min_price, max(price) AS max_price, avg(price) AS avg_price, sum(price) AS sum_price"
           " FROM core.bid GROUP BY 1, 2" % (DAY, RANKS),
    "q18": "SELECT auction, bidder, price, channel, url, date_time, extra FROM (SELECT *, row_number() OVER (PARTITION BY bidder, auction"
           " ORDER BY date_time DESC, price, channel, url, extra) AS place FROM core.bid) q WHERE place <= 1",
    "q19": "SELECT * FROM (SELECT *, row_number() OVER (PARTITION BY auction ORDER BY price DESC, date_time, bidder, channel, url, extra) AS place"
           " FROM core.bid) q WHERE place <= 10",
    "q20": "SELECT b.auction, b.bidder, b.price, b.channel, b.url, b.date_time AS bid_time, b.extra AS bid_extra, a.item_name, a.description, a.initial_bid,"
           " a.reserve, a.date_time, a.expires, a.seller, a.category, a.extra FROM core.bid b JOIN core.auction a ON b.auction = a.id WHERE a.category = 10",
    "q21": "SELECT auction, bidder, price, channel, CASE WHEN lower(channel) = 'apple' THEN '0' WHEN lower(channel) = 'google' THEN '1'"
           " WHEN lower(channel) = 'facebook' THEN '2' WHEN lower(channel) = 'baidu' THEN '3' ELSE substring(url FROM '[&]channel_id=([^&]*)') END AS channel_id"
           " FROM core.bid WHERE substring(url FROM '[&]channel_id=([^&]*)') IS NOT NULL OR lower(channel) IN ('apple', 'google', 'facebook', 'baidu')",
    "q22": "SELECT auction, bidder, price, channel, split_part(url, '/', 4) AS dir1, split_part(url, '/', 5) AS dir2, split_part(url, '/', 6) AS dir3 FROM core.bid",
}
