#!/usr/bin/python3
"""What PostgREST's clients ask, answered as PostgreSQL answers the SQL that PostgREST makes of it: the real
@supabase/postgrest-js under node, and random requests with filters, embedded views, order and paging."""

import json
import os
import random
import subprocess
import urllib.parse

from lib import fetched, pg
from lib.client import wait_for
from lib.penstock import Penstock, postgres_config
from lib.report import Report

PACKAGES = ["@supabase/postgrest-js@2.119.1", "tslib@2.8.1"]
SCHEMA = """
CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL, region text, data jsonb, tags text[], span int4range);
CREATE TABLE orders (id int PRIMARY KEY, customer_id int, total numeric(12,2), placed timestamptz, state text);
CREATE TABLE items (order_id int, line int, product text, qty int, PRIMARY KEY (order_id, line));
CREATE TABLE staff (id int PRIMARY KEY, name text, boss int);
CREATE PUBLICATION penstock FOR ALL TABLES;
"""
VIEWS = """
CREATE VIEW customers AS SELECT * FROM core.customers;
CREATE VIEW orders AS SELECT * FROM core.orders;
CREATE INDEX ON orders (customer_id);
CREATE VIEW items AS SELECT * FROM core.items;
CREATE VIEW staff AS SELECT * FROM core.staff;
CREATE INDEX ON staff (boss);
"""
REFERENCES = {"orders": "customer_id: customers", "items": "order_id: orders", "staff": "boss: staff"}
TABLES = ["customers", "orders", "items", "staff"]

# name, the builder in JavaScript, SQL whose rows are the answer's, in order; or an error's code
ONE = "SELECT id, name FROM customers WHERE id = 7"
CASES = [
    ("select", "q('customers').select('id,name').eq('id', 7)", ONE),
    ("rename and cast", "q('customers').select('n:name,id::text').eq('id', 7)", "SELECT name AS n, id::text FROM customers WHERE id = 7"),
    ("neq gt lt", "q('customers').select('id').neq('id', 3).gt('id', 1).lte('id', 9).order('id')",
     "SELECT id FROM customers WHERE id <> 3 AND id > 1 AND id <= 9 ORDER BY id"),
    ("like", "q('customers').select('id').like('name', '%a_e%').order('id')", "SELECT id FROM customers WHERE name LIKE '%a_e%' ORDER BY id"),
    ("ilike", "q('customers').select('id').ilike('name', '%AN%').order('id')", "SELECT id FROM customers WHERE name ILIKE '%AN%' ORDER BY id"),
    ("likeAllOf", "q('customers').select('id').likeAllOf('name', ['%a%', '%n%']).order('id')",
     "SELECT id FROM customers WHERE name LIKE ALL ('{%a%,%n%}') ORDER BY id"),
    ("likeAnyOf", "q('customers').select('id').likeAnyOf('name', ['a%', 'b%']).order('id')",
     "SELECT id FROM customers WHERE name LIKE ANY ('{a%,b%}') ORDER BY id"),
    ("ilikeAnyOf", "q('customers').select('id').ilikeAnyOf('name', ['A%', '%NA']).order('id')",
     "SELECT id FROM customers WHERE name ILIKE ANY ('{A%,%NA}') ORDER BY id"),
    ("match", "q('customers').select('id').filter('name', 'match', '^[a-c].*a$').order('id')",
     "SELECT id FROM customers WHERE name ~ '^[a-c].*a$' ORDER BY id"),
    ("is null", "q('customers').select('id').is('region', null).order('id')", "SELECT id FROM customers WHERE region IS NULL ORDER BY id"),
    ("not", "q('customers').select('id').not('region', 'is', null).not('id', 'in', '(1,2)').order('id')",
     "SELECT id FROM customers WHERE region IS NOT NULL AND id NOT IN (1, 2) ORDER BY id"),
    ("in", "q('customers').select('id').in('name', ['anna', 'a,b', 'q\"x']).order('id')",
     "SELECT id FROM customers WHERE name IN ('anna', 'a,b', 'q\"x') ORDER BY id"),
    ("or", "q('customers').select('id').or('id.eq.2,and(region.eq.north,name.like.a*)').order('id')",
     "SELECT id FROM customers WHERE id = 2 OR (region = 'north' AND name LIKE 'a%') ORDER BY id"),
    ("contains", "q('customers').select('id').contains('tags', ['vip']).order('id')", "SELECT id FROM customers WHERE tags @> '{vip}' ORDER BY id"),
    ("contained", "q('customers').select('id').containedBy('tags', ['vip', 'new', 'old']).order('id')",
     "SELECT id FROM customers WHERE tags <@ '{vip,new,old}' ORDER BY id"),
    ("overlaps", "q('customers').select('id').overlaps('tags', ['new', 'old']).order('id')", "SELECT id FROM customers WHERE tags && '{new,old}' ORDER BY id"),
    ("contains json", "q('customers').select('id').contains('data', {level: 2}).order('id')",
     "SELECT id FROM customers WHERE data @> '{\"level\":2}' ORDER BY id"),
    ("rangeGt", "q('customers').select('id').rangeGt('span', '[2,5)').order('id')", "SELECT id FROM customers WHERE span >> '[2,5)' ORDER BY id"),
    ("rangeLt", "q('customers').select('id').rangeLt('span', '[9,12)').order('id')", "SELECT id FROM customers WHERE span << '[9,12)' ORDER BY id"),
    ("rangeGte", "q('customers').select('id').rangeGte('span', '[5,6)').order('id')", "SELECT id FROM customers WHERE span &> '[5,6)' ORDER BY id"),
    ("rangeLte", "q('customers').select('id').rangeLte('span', '[5,8)').order('id')", "SELECT id FROM customers WHERE span &< '[5,8)' ORDER BY id"),
    ("rangeAdjacent", "q('customers').select('id').rangeAdjacent('span', '[1,4)').order('id')",
     "SELECT id FROM customers WHERE span -|- '[1,4)' ORDER BY id"),
    ("json path", "q('customers').select('id,data->level,data->who->>first,l:data->list->0').eq('data->who->>first', 'x1').order('id')",
     "SELECT id, data->'level' AS level, data->'who'->>'first' AS first, data->'list'->0 AS l FROM customers "
     "WHERE data->'who'->>'first' = 'x1' ORDER BY id"),
    ("json order", "q('customers').select('id').order('data->level', {ascending: false, nullsFirst: false}).order('id')",
     "SELECT id FROM customers ORDER BY data->'level' DESC NULLS LAST, id"),
    ("array path", "q('customers').select('id,t:tags->0').lt('id', 9).order('id')",
     "SELECT id, to_jsonb(tags)->0 AS t FROM customers WHERE id < 9 ORDER BY id"),
    ("order nulls", "q('customers').select('id').order('region', {nullsFirst: true}).order('id', {ascending: false})",
     "SELECT id FROM customers ORDER BY region ASC NULLS FIRST, id DESC"),
    ("range", "q('customers').select('id').order('id').range(5, 9)", "SELECT id FROM customers ORDER BY id LIMIT 5 OFFSET 5"),
    ("timestamps and numbers", "q('orders').select('id,total,placed').order('id').limit(20)", "SELECT id, total, placed FROM orders ORDER BY id LIMIT 20"),
    ("to one", "q('orders').select('id,customers(id,name)').lt('id', 30).order('id')",
     "SELECT o.id, (SELECT to_jsonb(c) FROM (SELECT id, name FROM customers WHERE id = o.customer_id) c) AS customers FROM orders o WHERE o.id < 30 ORDER BY o.id"),
    ("to many", "q('customers').select('id,orders(id,total)').lt('id', 9).order('id').order('total', {referencedTable: 'orders', ascending: false})"
     ".order('id', {referencedTable: 'orders'}).limit(3, {referencedTable: 'orders'})",
     "SELECT c.id, coalesce((SELECT jsonb_agg(x) FROM (SELECT id, total FROM orders WHERE customer_id = c.id ORDER BY total DESC, id LIMIT 3) x), '[]') "
     "AS orders FROM customers c WHERE c.id < 9 ORDER BY c.id"),
    ("inner", "q('customers').select('id,o:orders!inner(id)').eq('o.state', 'open').lt('o.id', 60).order('id').order('id', {referencedTable: 'o'})",
     "SELECT c.id, (SELECT jsonb_agg(x) FROM (SELECT id FROM orders WHERE customer_id = c.id AND state = 'open' AND id < 60 ORDER BY id) x) AS o FROM customers c "
     "WHERE EXISTS (SELECT FROM orders WHERE customer_id = c.id AND state = 'open' AND id < 60) ORDER BY c.id"),
    ("without any", "q('customers').select('id,orders()').is('orders', null).order('id')",
     "SELECT id FROM customers c WHERE NOT EXISTS (SELECT FROM orders WHERE customer_id = c.id) ORDER BY id"),
    ("or within", "q('customers').select('id,orders(id)').lt('id', 6).or('state.eq.paid,total.gt.800', {referencedTable: 'orders'})"
     ".order('id', {referencedTable: 'orders'}).order('id')",
     "SELECT c.id, coalesce((SELECT jsonb_agg(x) FROM (SELECT id FROM orders WHERE customer_id = c.id AND (state = 'paid' OR total > 800) ORDER BY id) x), '[]') "
     "AS orders FROM customers c WHERE c.id < 6 ORDER BY c.id"),
    ("three deep", "q('customers').select('id,orders(id,items(line,product))').lt('id', 4).order('id').order('id', {referencedTable: 'orders'})"
     ".order('line', {referencedTable: 'orders.items'})",
     "SELECT c.id, coalesce((SELECT jsonb_agg(x) FROM (SELECT o.id, coalesce((SELECT jsonb_agg(y) FROM (SELECT line, product FROM items WHERE order_id = o.id "
     "ORDER BY line) y), '[]') AS items FROM orders o WHERE customer_id = c.id ORDER BY id) x), '[]') AS orders FROM customers c WHERE c.id < 4 ORDER BY c.id"),
    ("spread", "q('orders').select('id,...customers(who:name,region)').lt('id', 20).order('id')",
     "SELECT o.id, c.name AS who, c.region FROM orders o LEFT JOIN customers c ON c.id = o.customer_id WHERE o.id < 20 ORDER BY o.id"),
    ("ordered by the other", "q('orders').select('id').select('id,customers()').lt('id', 40).order('customers(name)', {ascending: false}).order('id')",
     "SELECT o.id FROM orders o LEFT JOIN customers c ON c.id = o.customer_id WHERE o.id < 40 ORDER BY c.name DESC, o.id"),
    ("itself, up", "q('staff').select('id,boss(name)').order('id')",
     "SELECT s.id, (SELECT jsonb_build_object('name', b.name) FROM staff b WHERE b.id = s.boss) AS boss FROM staff s ORDER BY s.id"),
    ("itself, down", "q('staff').select('id,under:staff!boss(id)').order('id').order('id', {referencedTable: 'under'})",
     "SELECT s.id, coalesce((SELECT jsonb_agg(x) FROM (SELECT id FROM staff b WHERE b.boss = s.id ORDER BY id) x), '[]') AS under FROM staff s ORDER BY s.id"),
    ("single", "q('customers').select('id,name').eq('id', 7).single()", ONE),
    ("maybeSingle", "q('customers').select('id,name').eq('id', 7).maybeSingle()", ONE),
    ("no single", "q('customers').select('id').single()", "PGRST116"),
    ("no column", "q('customers').select('nope')", "42703"),
    ("no relation", "q('customers').select('id,items(line)')", "PGRST200"),
    ("not embedded", "q('customers').select('id').eq('orders.id', 3)", "PGRST108"),
    ("text search", "q('customers').select('id').textSearch('name', 'x')", "PENSTOCK_UNSUPPORTED"),
    ("aggregate", "q('orders').select('total.sum()')", "PGRST123"),
    ("bad value", "q('customers').select('id').eq('id', 'x')", "22P02"),
    ("no api", "q('nothing').select()", "PGRST205"),
]

PROGRAM = """
const { PostgrestClient } = require('@supabase/postgrest-js')
const client = new PostgrestClient('https://127.0.0.1:%d/api')
const q = (t) => client.from(t)
async function main() {
  const out = {}
  const ask = async (name, builder) => { const r = await builder; out[name] = { status: r.status, error: r.error, count: r.count, data: r.data } }
%s
  await ask('count exact', q('customers').select('id', { count: 'exact' }).range(0, 4).order('id'))
  await ask('count planned', q('customers').select('id', { count: 'planned', head: true }).gt('id', 10))
  await ask('head', q('customers').select('*', { count: 'exact', head: true }))
  await ask('csv', q('customers').select('id,name').eq('id', 7).csv())
  await ask('stripped', q('customers').select('id,region').is('region', null).order('id').limit(1).stripNulls())
  console.log(JSON.stringify(out))
}
main().catch((e) => { console.error(e); process.exit(1) })
"""


class World:
    def __init__(self):
        self.rng = random.Random(99)
        self.server = pg.Postgres().start()
        self.c = self.server.connect()
        pg.script(self.c, SCHEMA)
        self.fill()
        config = postgres_config(self.server, TABLES, ["views.sql"], TABLES)
        for api, reference in REFERENCES.items():
            config = config.replace("\n  %s:\n" % api, "\n  %s: { references: { %s } }\n" % (api, reference))
        self.box = Penstock(config, VIEWS, name="postgrest").start()
        self.http = self.box.client()
        lsn = pg.lsn(self.c)
        wait_for(lambda: self.http.request("/api/staff?limit=1", {"Penstock-Wait": "core=%s" % lsn}).status == 200, 30, lsn)

    def fill(self):
        rng = self.rng
        names = ["anna", "bob", "carla", "a,b", 'q"x', "\u00e9ve", "Dan", "jane", "nina", "a.b(c)"]
        with self.c.cursor() as cur:
            for i in range(1, 61):
                data = json.dumps({"level": rng.randrange(4), "who": {"first": "x%d" % rng.randrange(5), "last": None}, "list": [rng.randrange(9), "s"]})
                tags = rng.sample(["vip", "new", "old", "big"], rng.randrange(4))
                low = rng.randrange(1, 10)
                cur.execute("INSERT INTO customers VALUES (%s, %s, %s, %s, %s, %s)",
                            (i, rng.choice(names), rng.choice(["north", "south", None]), None if i % 7 == 0 else data,
                             None if i % 11 == 0 else "{%s}" % ",".join(tags), None if i % 13 == 0 else "[%d,%d)" % (low, low + rng.randrange(1, 5))))
            for i in range(1, 301):
                cur.execute("INSERT INTO orders VALUES (%s, %s, %s, %s, %s)",
                            (i, rng.choice([None, 999] + list(range(1, 50)) * 2), "%d.%02d" % (rng.randrange(1000), rng.randrange(100)),
                             "2026-0%d-1%d 0%d:00:00.%d+00" % (rng.randrange(1, 9), rng.randrange(9), rng.randrange(9), rng.randrange(1000)),
                             rng.choice(["open", "paid", "void", None])))
                for line in range(rng.randrange(4)):
                    cur.execute("INSERT INTO items VALUES (%s, %s, %s, %s)", (i, line, rng.choice(["nut", "bolt", None]), rng.randrange(9)))
            for i in range(1, 16):
                cur.execute("INSERT INTO staff VALUES (%s, %s, %s)", (i, "s%d" % i, i // 2 or None))

    def sql(self, text):
        with self.c.cursor() as cur:
            cur.execute("SELECT coalesce(json_agg(x), '[]')::text FROM (%s) x" % text.replace("%", "%%"), ())
            return json.loads(cur.fetchone()[0])

    def get(self, path, **headers):
        return self.http.request(path, headers)


def client(report, w):
    lines = ["  await ask(%s, %s)" % (json.dumps(name), builder) for name, builder, _ in CASES]
    program = PROGRAM % (w.box.port, "\n".join(lines))
    env = dict(os.environ, NODE_PATH=fetched.npm(*PACKAGES), NODE_TLS_REJECT_UNAUTHORIZED="0", NODE_NO_WARNINGS="1")
    done = subprocess.run(["node", "-e", program], env=env, capture_output=True, text=True, timeout=60)
    if not report.check("node runs it", done.returncode == 0, done.stderr[-800:]):
        return
    got = json.loads(done.stdout)
    for name, _, want in CASES:
        a = got[name]
        if want.startswith("SELECT"):
            rows = w.sql(want)
            data = [a["data"]] if isinstance(a["data"], dict) else a["data"]
            report.check(name, a["error"] is None and data == rows, "%s instead of %s" % (a, rows))
        else:
            report.equal(name, (a["error"] or {}).get("code"), want)
    report.equal("count exact", (got["count exact"]["count"], len(got["count exact"]["data"]), got["count exact"]["status"]), (60, 5, 206))
    report.equal("count planned", got["count planned"]["count"], 50)
    report.equal("head", (got["head"]["count"], got["head"]["status"]), (60, 200))
    report.equal("csv", got["csv"]["data"].splitlines()[0], "id,name")
    report.equal("nulls stripped", list(got["stripped"]["data"][0]), ["id"])


# ---- random requests ----

def condition(rng):
    """Of orders, as (parameter in a tree, SQL)."""
    n = rng.randrange(1, 300)
    simple = [("id.gt.%d" % n, "id > %d" % n), ("id.lte.%d" % n, "id <= %d" % n), ("customer_id.eq.%d" % (n % 50), "customer_id = %d" % (n % 50)),
              ("customer_id.in.(1,2,%d)" % (n % 50), "customer_id IN (1, 2, %d)" % (n % 50)), ("customer_id.is.null", "customer_id IS NULL"),
              ("state.eq.open", "state = 'open'"), ("state.not.eq.open", "NOT state = 'open'"), ("state.isdistinct.paid", "state IS DISTINCT FROM 'paid'"),
              ("state.in.(open,void)", "state IN ('open', 'void')"), ("total.gte.%d.5" % n, "total >= %d.5" % n),
              ("state.like.*o*", "state LIKE '%o%'"), ("state.imatch.^P", "state ~* '^P'"), ("id.eq(any).{%d,7,9}" % n, "id = ANY ('{%d,7,9}')" % n),
              ("total.gt(all).{10,%d}" % n, "total > ALL ('{10,%d}')" % n), ("state.like(any).{o*,*d}", "state LIKE ANY ('{o%,%d}')"),
              ("placed.lt.2026-05-01T00:00:00Z", "placed < '2026-05-01T00:00:00Z'")]
    url, sql = rng.choice(simple)
    if rng.random() < 0.5:
        kind = rng.choice(["and", "or"])
        more, more_sql = condition(rng)
        url, sql = "%s(%s,%s)" % (kind, url, more), "(%s %s %s)" % (sql, kind.upper(), more_sql)
        if rng.random() < 0.3:
            url, sql = "not." + url, "NOT " + sql
    return url, sql


def order(rng, columns):
    c = rng.choice(columns)
    how, sql = rng.choice([("", ""), (".desc", " DESC"), (".asc.nullsfirst", " ASC NULLS FIRST"), (".desc.nullslast", " DESC NULLS LAST")])
    return c + how, c + sql


def random_requests(report, w):
    rng = random.Random(int(os.environ.get("SEED", "17")))
    for i in range(int(os.environ.get("REQUESTS", "120"))):
        url, sql = condition(rng)
        o, o_sql = order(rng, ["id", "total", "state", "customer_id", "placed"])
        limit, offset = rng.choice([3, 10, 1000]), rng.choice([0, 0, 4])
        inner = rng.random() < 0.4
        who, who_sql = rng.choice([("", "true"), ("customers.region=eq.north&", "region = 'north'"), ("customers.name=like.*a*&", "name LIKE '%a%'")])
        items, items_sql = rng.choice([("", "true"), ("items.qty=gt.3&", "qty > 3"), ("items.or=(product.is.null,qty.eq.1)&", "(product IS NULL OR qty = 1)")])
        cut, cut_sql = rng.choice([("", ""), ("items.limit=1&", "LIMIT 1"), ("items.offset=1&", "OFFSET 1")])
        path = "/api/orders?select=id,total,customers%s(name,region),items(line,qty)&and=(%s)&%s%s%sitems.order=line.desc&order=%s,id&limit=%d&offset=%d" % (
            "!inner" if inner else "", url, who, items, cut, o, limit, offset)
        path = urllib.parse.quote(path, "/?=&,.()!:")
        want = w.sql("SELECT o.id, o.total, (SELECT to_jsonb(c) FROM (SELECT name, region FROM customers WHERE id = o.customer_id AND %s) c) AS customers, "
                     "coalesce((SELECT jsonb_agg(x) FROM (SELECT line, qty FROM items WHERE order_id = o.id AND %s ORDER BY line DESC %s) x), '[]') AS items "
                     "FROM orders o WHERE %s AND %s ORDER BY %s, id LIMIT %d OFFSET %d" % (
                         who_sql, items_sql, cut_sql, sql, "EXISTS (SELECT FROM customers WHERE id = o.customer_id AND %s)" % who_sql if inner else "true",
                         o_sql, limit, offset))
        a = w.get(path, Prefer="count=exact")
        total = w.sql("SELECT count(*) AS n FROM orders o WHERE %s AND %s" % (
            sql, "EXISTS (SELECT FROM customers WHERE id = o.customer_id AND %s)" % who_sql if inner else "true"))[0]["n"]
        if total < offset:
            report.equal("random %d" % i, a.status, 416)
            continue
        report.check("random %d" % i, a.status in (200, 206) and a.json() == want and a.headers["Content-Range"].endswith("/%d" % total),
                     "%s: %s %s instead of %s" % (path, a.status, a.body[:300], want[:3]))


def main():
    with Report("test_postgrest", 150) as report:
        w = World()
        report.section("client", client, report, w)
        report.section("random", random_requests, report, w)


main()
