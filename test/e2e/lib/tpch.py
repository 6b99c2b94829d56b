"""The schema of TPC-H, its 22 queries with the parameters of the specification's validation run (a few narrower or wider,
where the small tables would leave the result empty), and a small generator of rows. Prices and dates have the
specification's types and distributions in kind; names, regions and parts have its word lists where queries look for them."""

import datetime

SCHEMA = """
CREATE TABLE core.region (r_regionkey int PRIMARY KEY, r_name char(25) NOT NULL, r_comment varchar(152));
CREATE TABLE core.nation (n_nationkey int PRIMARY KEY, n_name char(25) NOT NULL, n_regionkey int NOT NULL, n_comment varchar(152));
CREATE TABLE core.part (p_partkey int PRIMARY KEY, p_name varchar(55) NOT NULL, p_mfgr char(25) NOT NULL, p_brand char(10) NOT NULL,
  p_type varchar(25) NOT NULL, p_size int NOT NULL, p_container char(10) NOT NULL, p_retailprice numeric(15,2) NOT NULL, p_comment varchar(23) NOT NULL);
CREATE TABLE core.supplier (s_suppkey int PRIMARY KEY, s_name char(25) NOT NULL, s_address varchar(40) NOT NULL, s_nationkey int NOT NULL,
  s_phone char(15) NOT NULL, s_acctbal numeric(15,2) NOT NULL, s_comment varchar(101) NOT NULL);
CREATE TABLE core.partsupp (ps_partkey int NOT NULL, ps_suppkey int NOT NULL, ps_availqty int NOT NULL, ps_supplycost numeric(15,2) NOT NULL,
  ps_comment varchar(199) NOT NULL, PRIMARY KEY (ps_partkey, ps_suppkey));
CREATE TABLE core.customer (c_custkey int PRIMARY KEY, c_name varchar(25) NOT NULL, c_address varchar(40) NOT NULL, c_nationkey int NOT NULL,
  c_phone char(15) NOT NULL, c_acctbal numeric(15,2) NOT NULL, c_mktsegment char(10) NOT NULL, c_comment varchar(117) NOT NULL);
CREATE TABLE core.orders (o_orderkey int PRIMARY KEY, o_custkey int NOT NULL, o_orderstatus char(1) NOT NULL, o_totalprice numeric(15,2) NOT NULL,
  o_orderdate date NOT NULL, o_orderpriority char(15) NOT NULL, o_clerk char(15) NOT NULL, o_shippriority int NOT NULL, o_comment varchar(79) NOT NULL);
CREATE TABLE core.lineitem (l_orderkey int NOT NULL, l_partkey int NOT NULL, l_suppkey int NOT NULL, l_linenumber int NOT NULL,
  l_quantity numeric(15,2) NOT NULL, l_extendedprice numeric(15,2) NOT NULL, l_discount numeric(15,2) NOT NULL, l_tax numeric(15,2) NOT NULL,
  l_returnflag char(1) NOT NULL, l_linestatus char(1) NOT NULL, l_shipdate date NOT NULL, l_commitdate date NOT NULL, l_receiptdate date NOT NULL,
  l_shipinstruct char(25) NOT NULL, l_shipmode char(10) NOT NULL, l_comment varchar(44) NOT NULL, PRIMARY KEY (l_orderkey, l_linenumber));
"""
TABLES = ("region", "nation", "part", "supplier", "partsupp", "customer", "orders", "lineitem")

NATIONS = (("ALGERIA", 0), ("ARGENTINA", 1), ("BRAZIL", 1), ("FRANCE", 3), ("GERMANY", 3), ("INDIA", 2), ("JAPAN", 2))
REGIONS = ("AFRICA", "AMERICA", "ASIA", "EUROPE", "MIDDLE EAST")
PARTS, SUPPLIERS, CUSTOMERS, ORDERS = 40, 14, 30, 300
DAY = datetime.timedelta(days=1)
START = datetime.date(1992, 1, 1)


def _money(r, low, high):
    return "%.2f" % r.uniform(low, high)


def _phone(r, nation):
    return "%d-%03d-%03d-%04d" % (nation + 10, r.randint(100, 999), r.randint(100, 999), r.randint(1000, 9999))


def _comment(r, *words):
    return " ".join(r.choice(words + ("quick", "final", "deposits", "ideas", "sleep", "above", "the")) for _ in range(r.randint(1, 4)))


def region(key, r):
    return (key, REGIONS[key], "")


def nation(key, r):
    return (key, NATIONS[key][0], NATIONS[key][1], "")


def part(key, r):
    name = " ".join(r.sample(("forest", "green", "almond", "ivory", "lemon", "plum"), 3))
    kind = " ".join((r.choice(("MEDIUM", "ECONOMY", "PROMO")), r.choice(("ANODIZED", "POLISHED")), r.choice(("STEEL", "BRASS"))))
    maker = r.randint(1, 2)
    box = "%s %s" % (r.choice(("SM", "LG", "MED")), r.choice(("CASE", "BOX", "BAG", "PKG", "PACK")))
    return (key, name, "Manufacturer#%d" % maker, "Brand#%d%d" % (maker, r.randint(2, 3)), kind, r.choice((1, 5, 9, 15, 15, 23, 36)), box,
            _money(r, 900, 2000), "part")


def supplier(key, r):
    n = r.randrange(len(NATIONS))
    return (key, "Supplier#%09d" % key, "street %d" % r.randint(1, 99), n, _phone(r, n), _money(r, -999, 9999),
            _comment(r, "Customer", "Complaints"))


def partsupp(key, r):
    return key + (r.randint(1, 900), _money(r, 1, 1000), "")


def customer(key, r):
    n = r.randrange(len(NATIONS))
    return (key, "Customer#%09d" % key, "street %d" % r.randint(1, 99), n, _phone(r, n), _money(r, -999, 9999),
            r.choice(("BUILDING", "AUTOMOBILE", "MACHINERY")), _comment(r, "special"))


# Days that queries look at: rows are there more often than elsewhere.
HOT = tuple(datetime.date(*d) for d in ((1993, 7, 10), (1993, 10, 5), (1994, 1, 3), (1994, 5, 1), (1995, 2, 20), (1995, 8, 20), (1996, 1, 10), (1996, 9, 1)))


def _day(n):
    return HOT[n % 8] + DAY * (n // 8 % 60) if n % 3 else START + DAY * (n * 37 % 2400)


def orders(key, r):
    day = _day(key if r.random() < 0.7 else r.randrange(1000))
    return (key, r.randint(1, CUSTOMERS * 2 // 3), r.choice("OFP"), _money(r, 1000, 400000), day,
            r.choice(("1-URGENT", "2-HIGH", "3-MEDIUM", "4-NOT SPECIFIED", "5-LOW")), "Clerk#%09d" % r.randint(1, 9), 0,
            _comment(r, "special", "requests"))


def lineitem(key, r):
    order_day = _day(key[0])
    ship = order_day + DAY * r.randint(1, 121)
    commit = order_day + DAY * r.randint(30, 90)
    receipt = ship + DAY * r.randint(1, 30)
    quantity = r.randint(1, 50)
    part_key = r.randint(1, PARTS)
    supplier_key = r.choice(suppliers_of(part_key)) if r.random() < 0.9 else r.randint(1, SUPPLIERS)
    return (key[0], part_key, supplier_key, key[1], quantity, _money(r, 900, 100000), "0.%02d" % r.randint(0, 10), "0.%02d" % r.randint(0, 8),
            r.choice("RAN"), r.choice("OF"), ship, commit, receipt,
            r.choice(("DELIVER IN PERSON", "COLLECT COD", "NONE", "TAKE BACK RETURN")),
            r.choice(("AIR", "REG AIR", "AIR REG", "MAIL", "SHIP", "TRUCK", "RAIL")), "")


def suppliers_of(part_key):
    return [(part_key * 3 + i * 5) % SUPPLIERS + 1 for i in range(3)]


def keys():
    """Table -> keys of the rows of the snapshot."""
    return {"region": list(range(len(REGIONS))), "nation": list(range(len(NATIONS))), "part": list(range(1, PARTS + 1)),
            "supplier": list(range(1, SUPPLIERS + 1)), "partsupp": sorted({(p, s) for p in range(1, PARTS + 1) for s in suppliers_of(p)}),
            "customer": list(range(1, CUSTOMERS + 1)), "orders": list(range(1, ORDERS + 1)),
            "lineitem": [(o, n) for o in range(1, ORDERS + 1) for n in range(1, 1 + o % 7 + (o % 10 == 0) * 4)]}


def row(table, key, r):
    return globals()[table](key, r)


def literal(value):
    return str(value) if isinstance(value, int) else "'%s'" % str(value).replace("'", "''")


def insert(table, values):
    return "INSERT INTO core.%s VALUES (%s) ON CONFLICT DO NOTHING" % (table, ", ".join(literal(v) for v in values))


QUERIES = {
    "q1": """SELECT l_returnflag, l_linestatus, sum(l_quantity) AS sum_qty, sum(l_extendedprice) AS sum_base_price,
  sum(l_extendedprice * (1 - l_discount)) AS sum_disc_price, sum(l_extendedprice * (1 - l_discount) * (1 + l_tax)) AS sum_charge,
  avg(l_quantity) AS avg_qty, avg(l_extendedprice) AS avg_price, avg(l_discount) AS avg_disc, count(*) AS count_order
FROM core.lineitem WHERE l_shipdate <= date '1998-12-01' - interval '90' day
GROUP BY l_returnflag, l_linestatus ORDER BY l_returnflag, l_linestatus""",
    "q2": """SELECT s_acctbal, s_name, n_name, p_partkey, p_mfgr, s_address, s_phone, s_comment
FROM core.part, core.supplier, core.partsupp, core.nation, core.region
WHERE p_partkey = ps_partkey AND s_suppkey = ps_suppkey AND p_size = 15 AND p_type LIKE '%BRASS' AND s_nationkey = n_nationkey
  AND n_regionkey = r_regionkey AND r_name = 'EUROPE' AND ps_supplycost = (SELECT min(ps_supplycost)
    FROM core.partsupp, core.supplier, core.nation, core.region WHERE p_partkey = ps_partkey AND s_suppkey = ps_suppkey
      AND s_nationkey = n_nationkey AND n_regionkey = r_regionkey AND r_name = 'EUROPE')
ORDER BY s_acctbal DESC, n_name, s_name, p_partkey LIMIT 100""",
    "q3": """SELECT l_orderkey, sum(l_extendedprice * (1 - l_discount)) AS revenue, o_orderdate, o_shippriority
FROM core.customer, core.orders, core.lineitem
WHERE c_mktsegment = 'BUILDING' AND c_custkey = o_custkey AND l_orderkey = o_orderkey AND o_orderdate < date '1995-03-15'
  AND l_shipdate > date '1995-03-15'
GROUP BY l_orderkey, o_orderdate, o_shippriority ORDER BY revenue DESC, o_orderdate, l_orderkey LIMIT 10""",
    "q4": """SELECT o_orderpriority, count(*) AS order_count FROM core.orders
WHERE o_orderdate >= date '1993-07-01' AND o_orderdate < date '1993-07-01' + interval '3' month
  AND EXISTS (SELECT * FROM core.lineitem WHERE l_orderkey = o_orderkey AND l_commitdate < l_receiptdate)
GROUP BY o_orderpriority ORDER BY o_orderpriority""",
    "q5": """SELECT n_name, sum(l_extendedprice * (1 - l_discount)) AS revenue
FROM core.customer, core.orders, core.lineitem, core.supplier, core.nation, core.region
WHERE c_custkey = o_custkey AND l_orderkey = o_orderkey AND l_suppkey = s_suppkey AND c_nationkey = s_nationkey
  AND s_nationkey = n_nationkey AND n_regionkey = r_regionkey AND r_name = 'ASIA'
  AND o_orderdate >= date '1994-01-01' AND o_orderdate < date '1994-01-01' + interval '1' year
GROUP BY n_name ORDER BY revenue DESC""",
    "q6": """SELECT sum(l_extendedprice * l_discount) AS revenue FROM core.lineitem
WHERE l_shipdate >= date '1994-01-01' AND l_shipdate < date '1994-01-01' + interval '1' year
  AND l_discount BETWEEN 0.06 - 0.01 AND 0.06 + 0.01 AND l_quantity < 24""",
    "q7": """SELECT supp_nation, cust_nation, l_year, sum(volume) AS revenue FROM (
  SELECT n1.n_name AS supp_nation, n2.n_name AS cust_nation, extract(year FROM l_shipdate) AS l_year, l_extendedprice * (1 - l_discount) AS volume
  FROM core.supplier, core.lineitem, core.orders, core.customer, core.nation n1, core.nation n2
  WHERE s_suppkey = l_suppkey AND o_orderkey = l_orderkey AND c_custkey = o_custkey AND s_nationkey = n1.n_nationkey
    AND c_nationkey = n2.n_nationkey AND ((n1.n_name = 'FRANCE' AND n2.n_name = 'GERMANY') OR (n1.n_name = 'GERMANY' AND n2.n_name = 'FRANCE'))
    AND l_shipdate BETWEEN date '1995-01-01' AND date '1996-12-31') AS shipping
GROUP BY supp_nation, cust_nation, l_year ORDER BY supp_nation, cust_nation, l_year""",
    "q8": """SELECT o_year, sum(CASE WHEN nation = 'BRAZIL' THEN volume ELSE 0 END) / sum(volume) AS mkt_share FROM (
  SELECT extract(year FROM o_orderdate) AS o_year, l_extendedprice * (1 - l_discount) AS volume, n2.n_name AS nation
  FROM core.part, core.supplier, core.lineitem, core.orders, core.customer, core.nation n1, core.nation n2, core.region
  WHERE p_partkey = l_partkey AND s_suppkey = l_suppkey AND l_orderkey = o_orderkey AND o_custkey = c_custkey
    AND c_nationkey = n1.n_nationkey AND n1.n_regionkey = r_regionkey AND r_name = 'AMERICA' AND s_nationkey = n2.n_nationkey
    AND o_orderdate BETWEEN date '1995-01-01' AND date '1996-12-31' AND p_type = 'ECONOMY ANODIZED STEEL') AS all_nations
GROUP BY o_year ORDER BY o_year""",
    "q9": """SELECT nation, o_year, sum(amount) AS sum_profit FROM (
  SELECT n_name AS nation, extract(year FROM o_orderdate) AS o_year, l_extendedprice * (1 - l_discount) - ps_supplycost * l_quantity AS amount
  FROM core.part, core.supplier, core.lineitem, core.partsupp, core.orders, core.nation
  WHERE s_suppkey = l_suppkey AND ps_suppkey = l_suppkey AND ps_partkey = l_partkey AND p_partkey = l_partkey
    AND o_orderkey = l_orderkey AND s_nationkey = n_nationkey AND p_name LIKE '%green%') AS profit
GROUP BY nation, o_year ORDER BY nation, o_year DESC""",
    "q10": """SELECT c_custkey, c_name, sum(l_extendedprice * (1 - l_discount)) AS revenue, c_acctbal, n_name, c_address, c_phone, c_comment
FROM core.customer, core.orders, core.lineitem, core.nation
WHERE c_custkey = o_custkey AND l_orderkey = o_orderkey AND o_orderdate >= date '1993-10-01'
  AND o_orderdate < date '1993-10-01' + interval '3' month AND l_returnflag = 'R' AND c_nationkey = n_nationkey
GROUP BY c_custkey, c_name, c_acctbal, c_phone, n_name, c_address, c_comment ORDER BY revenue DESC, c_custkey LIMIT 20""",
    "q11": """SELECT ps_partkey, sum(ps_supplycost * ps_availqty) AS value FROM core.partsupp, core.supplier, core.nation
WHERE ps_suppkey = s_suppkey AND s_nationkey = n_nationkey AND n_name = 'GERMANY'
GROUP BY ps_partkey HAVING sum(ps_supplycost * ps_availqty) > (SELECT sum(ps_supplycost * ps_availqty) * 0.05
  FROM core.partsupp, core.supplier, core.nation WHERE ps_suppkey = s_suppkey AND s_nationkey = n_nationkey AND n_name = 'GERMANY')
ORDER BY value DESC""",
    "q12": """SELECT l_shipmode, sum(CASE WHEN o_orderpriority = '1-URGENT' OR o_orderpriority = '2-HIGH' THEN 1 ELSE 0 END) AS high_line_count,
  sum(CASE WHEN o_orderpriority <> '1-URGENT' AND o_orderpriority <> '2-HIGH' THEN 1 ELSE 0 END) AS low_line_count
FROM core.orders, core.lineitem
WHERE o_orderkey = l_orderkey AND l_shipmode IN ('MAIL', 'SHIP') AND l_commitdate < l_receiptdate AND l_shipdate < l_commitdate
  AND l_receiptdate >= date '1994-01-01' AND l_receiptdate < date '1994-01-01' + interval '1' year
GROUP BY l_shipmode ORDER BY l_shipmode""",
    "q13": """SELECT c_count, count(*) AS custdist FROM (
  SELECT c_custkey, count(o_orderkey) FROM core.customer LEFT OUTER JOIN core.orders ON c_custkey = o_custkey
    AND o_comment NOT LIKE '%special%requests%' GROUP BY c_custkey) AS c_orders (c_custkey, c_count)
GROUP BY c_count ORDER BY custdist DESC, c_count DESC""",
    "q14": """SELECT 100.00 * sum(CASE WHEN p_type LIKE 'PROMO%' THEN l_extendedprice * (1 - l_discount) ELSE 0 END)
  / sum(l_extendedprice * (1 - l_discount)) AS promo_revenue
FROM core.lineitem, core.part WHERE l_partkey = p_partkey AND l_shipdate >= date '1995-09-01'
  AND l_shipdate < date '1995-09-01' + interval '1' month""",
    "q15": """SELECT s_suppkey, s_name, s_address, s_phone, total_revenue FROM core.supplier, q15_revenue
WHERE s_suppkey = supplier_no AND total_revenue = (SELECT max(total_revenue) FROM q15_revenue) ORDER BY s_suppkey""",
    "q16": """SELECT p_brand, p_type, p_size, count(DISTINCT ps_suppkey) AS supplier_cnt FROM core.partsupp, core.part
WHERE p_partkey = ps_partkey AND p_brand <> 'Brand#22' AND p_type NOT LIKE 'MEDIUM POLISHED%' AND p_size IN (49, 14, 23, 45, 19, 3, 36, 9)
  AND ps_suppkey NOT IN (SELECT s_suppkey FROM core.supplier WHERE s_comment LIKE '%Customer%Complaints%')
GROUP BY p_brand, p_type, p_size ORDER BY supplier_cnt DESC, p_brand, p_type, p_size""",
    "q17": """SELECT sum(l_extendedprice) / 7.0 AS avg_yearly FROM core.lineitem, core.part
WHERE p_partkey = l_partkey AND p_brand = 'Brand#23' AND p_container LIKE 'MED%'
  AND l_quantity < (SELECT 0.5 * avg(l_quantity) FROM core.lineitem WHERE l_partkey = p_partkey)""",
    "q18": """SELECT c_name, c_custkey, o_orderkey, o_orderdate, o_totalprice, sum(l_quantity) AS quantity
FROM core.customer, core.orders, core.lineitem
WHERE o_orderkey IN (SELECT l_orderkey FROM core.lineitem GROUP BY l_orderkey HAVING sum(l_quantity) > 150)
  AND c_custkey = o_custkey AND o_orderkey = l_orderkey
GROUP BY c_name, c_custkey, o_orderkey, o_orderdate, o_totalprice ORDER BY o_totalprice DESC, o_orderdate, o_orderkey LIMIT 100""",
    "q19": """SELECT sum(l_extendedprice * (1 - l_discount)) AS revenue FROM core.lineitem, core.part
WHERE (p_partkey = l_partkey AND p_brand = 'Brand#12' AND p_container IN ('SM CASE', 'SM BOX', 'SM PACK', 'SM PKG')
    AND l_quantity >= 1 AND l_quantity <= 1 + 30 AND p_size BETWEEN 1 AND 50 AND l_shipmode IN ('AIR', 'AIR REG') AND l_shipinstruct = 'DELIVER IN PERSON')
  OR (p_partkey = l_partkey AND p_brand = 'Brand#23' AND p_container IN ('MED BAG', 'MED BOX', 'MED PKG', 'MED PACK')
    AND l_quantity >= 10 AND l_quantity <= 10 + 30 AND p_size BETWEEN 1 AND 50 AND l_shipmode IN ('AIR', 'AIR REG') AND l_shipinstruct = 'DELIVER IN PERSON')
  OR (p_partkey = l_partkey AND p_brand = 'Brand#22' AND p_container IN ('LG CASE', 'LG BOX', 'LG PACK', 'LG PKG')
    AND l_quantity >= 20 AND l_quantity <= 20 + 30 AND p_size BETWEEN 1 AND 50 AND l_shipmode IN ('AIR', 'AIR REG') AND l_shipinstruct = 'DELIVER IN PERSON')""",
    "q20": """SELECT s_name, s_address FROM core.supplier, core.nation
WHERE s_suppkey IN (SELECT ps_suppkey FROM core.partsupp
    WHERE ps_partkey IN (SELECT p_partkey FROM core.part WHERE p_name LIKE 'forest%')
      AND ps_availqty > (SELECT 0.5 * sum(l_quantity) FROM core.lineitem WHERE l_partkey = ps_partkey AND l_suppkey = ps_suppkey
        AND l_shipdate >= date '1993-01-01' AND l_shipdate < date '1993-01-01' + interval '4' year))
  AND s_nationkey = n_nationkey AND n_name < 'D' ORDER BY s_name""",
    "q21": """SELECT s_name, count(*) AS numwait FROM core.supplier, core.lineitem l1, core.orders, core.nation
WHERE s_suppkey = l1.l_suppkey AND o_orderkey = l1.l_orderkey AND o_orderstatus = 'F' AND l1.l_receiptdate > l1.l_commitdate
  AND EXISTS (SELECT * FROM core.lineitem l2 WHERE l2.l_orderkey = l1.l_orderkey AND l2.l_suppkey <> l1.l_suppkey)
  AND NOT EXISTS (SELECT * FROM core.lineitem l3 WHERE l3.l_orderkey = l1.l_orderkey AND l3.l_suppkey <> l1.l_suppkey
    AND l3.l_receiptdate > l3.l_commitdate)
  AND s_nationkey = n_nationkey AND n_name < 'K'
GROUP BY s_name ORDER BY numwait DESC, s_name LIMIT 100""",
    "q22": """SELECT cntrycode, count(*) AS numcust, sum(c_acctbal) AS totacctbal FROM (
  SELECT substring(c_phone FROM 1 FOR 2) AS cntrycode, c_acctbal FROM core.customer
  WHERE substring(c_phone FROM 1 FOR 2) IN ('13', '15', '16', '17', '18', '12', '10') AND c_acctbal > (SELECT avg(c_acctbal) FROM core.customer
      WHERE c_acctbal > 0.00 AND substring(c_phone FROM 1 FOR 2) IN ('13', '15', '16', '17', '18', '12', '10'))
    AND NOT EXISTS (SELECT * FROM core.orders WHERE o_custkey = c_custkey)) AS custsale
GROUP BY cntrycode ORDER BY cntrycode""",
}
# The view of q15, and what the API adds for every query: order and limit of its answers.
HELPERS = {
    "q15_revenue": """SELECT l_suppkey AS supplier_no, sum(l_extendedprice * (1 - l_discount)) AS total_revenue FROM core.lineitem
WHERE l_shipdate >= date '1996-01-01' AND l_shipdate < date '1996-01-01' + interval '3' month GROUP BY l_suppkey""",
}
