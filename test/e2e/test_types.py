#!/usr/bin/python3
"""Types of a PostgreSQL source beyond the plain ones: enums whose labels change while everything runs, domains. Snapshot,
changes, a restart, filters and orders over REST, live queries: PostgreSQL's own answer is the oracle."""

import csv
import http.client
import io
import json
import threading
import time
import urllib.parse

from lib import canon, pg
from lib.client import Refused, wait_for
from lib.penstock import Penstock, postgres_config
from lib.report import Report

ENUM_DDL = """
CREATE TYPE core.mood AS ENUM ('sad', 'ok', 'Happy', 'a "b" \\ c', 'é');
CREATE TYPE public.size AS ENUM ('small', 'medium', 'large');
CREATE TYPE core.empty AS ENUM ();
CREATE DOMAIN core.feeling AS core.mood CHECK (VALUE <> 'ok');
CREATE DOMAIN core.positive AS numeric(10,2) CHECK (VALUE > 0);
CREATE DOMAIN core.small_positive AS core.positive CHECK (VALUE < 100);
CREATE DOMAIN core.tags AS text[];
CREATE TABLE core.p (id int PRIMARY KEY, m core.mood, s public.size NOT NULL, ms core.mood[], f core.feeling, n core.small_positive, tags core.tags, t text, e core.empty);
CREATE TABLE core.k (m core.mood PRIMARY KEY, v int);
INSERT INTO core.p SELECT i, (enum_range(NULL::core.mood))[i % 6 + 1], (enum_range(NULL::public.size))[i % 3 + 1],
  CASE WHEN i % 5 > 0 THEN (enum_range(NULL::core.mood))[i % 3 + 1 : i % 4 + 1] END, CASE WHEN i % 2 = 0 THEN 'sad'::core.mood ELSE 'é' END, i + 0.5,
  ARRAY['t' || i, NULL], CASE i % 4 WHEN 0 THEN 'sad' WHEN 1 THEN 'Happy' ELSE 'small' END FROM generate_series(1, 40) i;
CREATE TABLE core.other (id int PRIMARY KEY, v text);
INSERT INTO core.other VALUES (1, 'a');
INSERT INTO core.k SELECT m, 1 FROM unnest(enum_range(NULL::core.mood)) m;
"""
ENUM_VIEWS = {
    "plain": "SELECT id, m, s, ms, f, n, tags, e FROM core.p",
    "by_mood": "SELECT m, count(*) AS n, min(s) AS low, max(s) AS high, min(m) AS lm, max(ms) AS hms, array_agg(DISTINCT s) AS all_s, count(DISTINCT m) AS d FROM core.p GROUP BY m",
    "compared": "SELECT id, m > 'ok' AS gt, m <> 'Happy' AS ne, m IN ('sad', 'é') AS inn, m BETWEEN 'sad' AND 'Happy' AS btw, m = ANY (ms) AS any_ms, s >= ALL ('{small,medium}'::size[]) AS al,"
                " m IS DISTINCT FROM f::core.mood AS dist, CASE WHEN m = 'ok' THEN 'sad' ELSE m END AS c, coalesce(m, 'é') AS co, greatest(m, 'ok') AS g, nullif(m, 'ok') AS ni FROM core.p",
    "casts": "SELECT id, m::text AS t, m || '!' AS x, length(m::varchar) AS l, 'x' || s AS y, ms::text AS mst, to_json(m) AS j, to_jsonb(ms) AS js, concat(m, s) AS cc,"
            " (CASE WHEN t = 'small' THEN t END)::size AS back, ('{' || s || '}')::size[] AS arr, m::core.mood AS same FROM core.p",
    "ranges": "SELECT id, enum_first(m) AS lo, enum_last(NULL::core.mood) AS hi, enum_range(m) AS r, enum_range(m, 'é') AS r2, enum_range(NULL, m) AS r3, enum_range('ok'::core.mood, NULL) AS r4 FROM core.p",
    "joined": "SELECT p.id, k.m, k.v FROM core.p p JOIN core.k k ON k.m = p.m WHERE p.s < 'large'",
    "top": "SELECT id, m, s FROM core.p WHERE m IS NOT NULL ORDER BY m DESC, s, id LIMIT 7",
    "firsts": "SELECT DISTINCT ON (s) s, m, id FROM core.p ORDER BY s, m DESC NULLS LAST, id",
    "ranked": "SELECT id, rank() OVER (PARTITION BY s ORDER BY m) AS r, lag(m) OVER (ORDER BY id) AS before, max(m) OVER (PARTITION BY s) AS most FROM core.p",
    "sets": "SELECT m FROM core.p WHERE id < 20 EXCEPT SELECT f FROM core.p UNION SELECT 'ok' UNION SELECT (SELECT max(m) FROM core.k)",
    "arrays": "SELECT id, ms || 'ok'::core.mood AS app, 'ok' = ANY (ms) AS has, ms @> '{sad}' AS cs, array_position(ms, 'ok') AS pos, ms[1] AS first, ARRAY[m, 'sad'] AS made, ms < '{ok}' AS lt FROM core.p",
    "unnested": "SELECT p.id, x.l FROM core.p CROSS JOIN LATERAL unnest(p.ms) AS x (l)",
    "sets_of": "SELECT s, m, count(*) AS n, max(m) AS f FROM core.p GROUP BY GROUPING SETS ((s, m), (s), ())",
    "collected": "SELECT s, mode() WITHIN GROUP (ORDER BY m) AS mo, percentile_disc(0.5) WITHIN GROUP (ORDER BY m) AS pd, json_agg(m ORDER BY id) AS ja, jsonb_object_agg(id, m) AS jo,"
                 " array_agg(m ORDER BY m DESC NULLS LAST, id) AS aa, string_agg(m::text, ',' ORDER BY id) AS st FROM core.p GROUP BY s",
    "scalars": "SELECT id, (SELECT k.m FROM core.k k WHERE k.m = p.m) AS km, m IN (SELECT f::core.mood FROM core.p) AS isf, (s, m) < ('large', 'Happy') AS rowcmp FROM core.p",
    "keyed": "SELECT m, v FROM core.k",
    "other": "SELECT id, v FROM core.other",
}
ENUM_SCRIPTS = [
    "UPDATE core.p SET m = 'Happy' WHERE id % 4 = 0; UPDATE core.p SET m = NULL WHERE id = 3; DELETE FROM core.p WHERE id % 9 = 0",
    "UPDATE core.k SET v = v + 1 WHERE m > 'ok'; DELETE FROM core.k WHERE m = 'é'; INSERT INTO core.p VALUES (100, 'é', 'large', '{é,NULL,sad}')",
    "UPDATE core.p SET s = 'small', ms = ms || 'Happy'::core.mood WHERE id < 12",
]
# After each new labels are in use: behind, between and before the others, several at once, in an array, as a key.
ENUM_LABELS = [
    "ALTER TYPE core.mood ADD VALUE 'zen'; UPDATE core.p SET m = 'zen' WHERE id = 5",
    "ALTER TYPE core.mood ADD VALUE 'fine' BEFORE 'ok'; ALTER TYPE core.mood ADD VALUE 'first' BEFORE 'sad'; ALTER TYPE public.size ADD VALUE 'tiny' BEFORE 'small';"
    "INSERT INTO core.p VALUES (200, 'first', 'tiny', '{zen,fine,first}'), (201, 'fine', 'large', NULL)",
    "ALTER TYPE core.mood ADD VALUE 'between' AFTER 'fine'; INSERT INTO core.k VALUES ('between', 9), ('first', 8); UPDATE core.p SET ms = '{between}' WHERE id = 7",
]
ENUM_FILTERS = [("m=eq.ok", "m = 'ok'"), ("m=gt.ok", "m > 'ok'"), ("m=lte.Happy", "m <= 'Happy'"), ("m=in.(sad,Happy)", "m IN ('sad', 'Happy')"),
                ("m=not.eq.ok&s=lt.large", "m <> 'ok' AND s < 'large'"), ("m=is.null", "m IS NULL"), ("ms=cs.{sad}", "ms @> '{sad}'"), ("ms=ov.{Happy,é}", "ms && '{Happy,é}'"),
                ("m=isdistinct.ok", "m IS DISTINCT FROM 'ok'"), ("or=(m.eq.sad,s.gt.medium)", "m = 'sad' OR s > 'medium'")]


CITEXT_DDL = """
CREATE EXTENSION citext;
CREATE DOMAIN core.mail AS citext CHECK (VALUE LIKE '%@%');
CREATE TABLE core.u (name citext PRIMARY KEY, mail core.mail, id int NOT NULL, tags citext[], note text);
CREATE TABLE core.v (id int PRIMARY KEY, who citext, x text);
INSERT INTO core.u SELECT (ARRAY['Ann','bob','CY','dan ','É'])[i % 5 + 1] || i, 'N' || i % 3 || '@X.org', i, ARRAY['A' || i % 3, 'b', NULL]::citext[], 'bob' || i FROM generate_series(1, 30) i;
INSERT INTO core.v SELECT i, (ARRAY['ANN','Bob','cy','DAN ','É'])[i % 5 + 1] || i % 12, (ARRAY['ann','Bob'])[i % 2 + 1] FROM generate_series(1, 40) i;
"""
CITEXT_VIEWS = {
    "plain": "SELECT name, mail, id, tags, note FROM core.u",
    "by_mail": "SELECT lower(mail) AS mail, count(*) AS n, count(DISTINCT mail) AS d, lower(min(name)) AS lo, lower(max(name)) AS hi FROM core.u GROUP BY mail",
    "tests": "SELECT id, name = 'BOB1' AS eq, name > 'c' AS gt, name LIKE 'b%' AS lk, name ~ '^A' AS re, name = note AS as_text, name IN ('ann5', 'CY2') AS inn, name || '!' AS cat, name::text AS t,"
             " name::varchar(2) AS v, replace(name, 'A', '-') AS rep, strpos(name, 'N') AS pos, upper(name) AS up, length(name) AS len, tags @> '{a1}' AS has, 'B' = ANY (tags) AS any_b,"
             " coalesce(mail, 'x') AS c, CASE WHEN id > 3 THEN name ELSE note END AS k, to_json(name) AS j FROM core.u",
    "joined": "SELECT v.id, u.name, v.who FROM core.v v JOIN core.u u ON u.name = v.who",
    "missing": "SELECT v.id FROM core.v v WHERE NOT EXISTS (SELECT FROM core.u u WHERE u.name = v.who)",
    "top": "SELECT name, id FROM core.u ORDER BY name DESC, id LIMIT 5",
    "ranked": "SELECT id, rank() OVER (ORDER BY who) AS r, count(*) OVER (PARTITION BY who) AS n FROM core.v",
    "sets": "SELECT lower(x) AS l FROM (SELECT name AS x FROM core.u INTERSECT SELECT who FROM core.v) q",
}
CITEXT_SCRIPTS = [
    "UPDATE core.u SET name = upper(name) WHERE id < 10; UPDATE core.v SET who = lower(who) WHERE id % 3 = 0",
    "DELETE FROM core.u WHERE name LIKE 'BOB%'; INSERT INTO core.u VALUES ('Bob6', 'BOB@x.ORG', 101, '{}', NULL); UPDATE core.u SET mail = 'n1@x.ORG' WHERE id = 4",
    "UPDATE core.u SET name = 'zed' || id WHERE id % 4 = 0; DELETE FROM core.v WHERE who = 'cy3'",
]
CITEXT_FILTERS = [("name=eq.bob6", "name = 'bob6'"), ("name=gt.cy", "name > 'cy'"), ("name=like.*B*", "name LIKE '%B%'"), ("name=not.ilike.a*", "NOT name ILIKE 'a%'"), ("name=in.(ANN5,zed8)", "name IN ('ANN5', 'zed8')"),
                  ("mail=eq.n1@x.org&id=lt.20", "mail = 'n1@x.org' AND id < 20"), ("tags=cs.{B}", "tags @> '{B}'")]


TIMETZ_DDL = """
CREATE TABLE core.x (t timetz, id int PRIMARY KEY, ts timetz[], p timetz(1));
CREATE TABLE core.at (t timetz PRIMARY KEY, v int);
INSERT INTO core.x SELECT (ARRAY['12:00+02', '10:00+00', '11:00+01', '23:59:59.999999-15:59', '24:00+00', '00:00-05:30', NULL])[i % 7 + 1]::timetz, i,
  ARRAY['10:00+00', NULL, '12:00+0' || i % 4]::timetz[], ('10:00:00.' || i || '+03')::timetz FROM generate_series(1, 40) i;
INSERT INTO core.at VALUES ('12:00+02', 1), ('10:00+00', 2), ('24:00+00', 3);
"""
TIMETZ_VIEWS = {
    "plain": "SELECT id, t, ts, p FROM core.x",
    "by_time": "SELECT t, count(*) AS n, min(p) AS lo, max(p) AS hi FROM core.x GROUP BY t",
    "moved": "SELECT id, t + interval '90 minutes' AS plus, t - interval '1 day 2 hours' AS minus, t::time AS local, t::text AS txt, t > '10:00+00' AS gt, t AT TIME ZONE 'UTC' AS utc, date '2024-02-29' + t AS moment,"
             " extract(timezone FROM t) AS z, extract(epoch FROM t) AS e, p::timetz(0) AS r, t IN ('11:00+01', '24:00+00') AS inn, ts[1] = t AS first, to_json(t) AS j FROM core.x",
    "joined": "SELECT x.id, a.t, a.v FROM core.x x JOIN core.at a ON a.t = x.t",
    "top": "SELECT id, t FROM core.x ORDER BY t DESC NULLS LAST, id LIMIT 9",
    "keyed": "SELECT t, v FROM core.at",
}
TIMETZ_SCRIPTS = ["UPDATE core.x SET t = t + interval '13 hours' WHERE id % 3 = 0; DELETE FROM core.x WHERE t = '10:00+00'", "UPDATE core.at SET t = '00:00-10' WHERE v = 1; INSERT INTO core.x VALUES ('00:00-10', 100, '{}', NULL)"]
TIMETZ_FILTERS = [("t=eq.00:00-10", "t = '00:00-10'"), ("t=gt.10:00Z", "t > '10:00Z'"), ("t=lte.24:00Z", "t <= '24:00Z'"), ("ts=cs.{10:00Z}", "ts @> '{10:00Z}'")]


PATH_DDL = """
CREATE TABLE core.x (id int PRIMARY KEY, p jsonpath, j jsonb, ps jsonpath[]);
INSERT INTO core.x SELECT i, (ARRAY['$.a', '$.a[*] ? (@ > 2)', '$.b', '$', NULL])[i % 5 + 1]::jsonpath, jsonb_build_object('a', jsonb_build_array(i, i % 4), 'b', i % 3),
  ARRAY['$.a', NULL]::jsonpath[] FROM generate_series(1, 30) i;
"""
PATH_VIEWS = {
    "plain": "SELECT id, p, ps FROM core.x",
    "found": "SELECT id, j @? p AS f, jsonb_path_query_first(j, p) AS first, jsonb_path_query_array(j, p) AS a FROM core.x",
}
PATH_SCRIPTS = ["UPDATE core.x SET p = '$.a[0]' WHERE id % 3 = 0; INSERT INTO core.x VALUES (100, '$.b', '{\"b\": [1]}', '{}')",
                "DELETE FROM core.x WHERE id % 4 = 1; UPDATE core.x SET j = '{\"a\": [7]}' WHERE id < 9"]


INET_DDL = """
CREATE TABLE core.x (id int PRIMARY KEY, a inet, n cidr, m macaddr, l inet[]);
CREATE TABLE core.net (n cidr PRIMARY KEY, v int);
INSERT INTO core.x SELECT i, (ARRAY['10.1.2.3', '10.1.2.3/8', '10.0.0.0/8', '::1', '2001:db8::5/32', '192.168.1.7/24', NULL])[i % 7 + 1]::inet,
  (ARRAY['10.0.0.0/8', '10.1.0.0/16', '192.168.1.0/24', '2001:db8::/32', '::/0'])[i % 5 + 1]::cidr, ('08:00:2b:01:02:' || lpad(to_hex(i * 6), 2, '0'))::macaddr,
  ARRAY['10.0.0.' || i % 4, NULL, '::1']::inet[] FROM generate_series(1, 40) i;
INSERT INTO core.net VALUES ('10.0.0.0/8', 1), ('10.1.0.0/16', 2), ('2001:db8::/32', 3), ('0.0.0.0/0', 4);
"""
INET_VIEWS = {
    "plain": "SELECT id, a, n, m, l FROM core.x",
    "by_net": "SELECT n, count(*) AS c, min(a) AS lo, max(a) AS hi, max(n) AS hn FROM core.x GROUP BY n",
    "parts": "SELECT id, host(a) AS h, masklen(a) AS l, network(a) AS nw, broadcast(n) AS b, netmask(a) AS nm, hostmask(n) AS hm, family(a) AS f, abbrev(n) AS ab, set_masklen(n, 4) AS sm, a::text AS t, n::text AS nt,"
             " text(a) AS tx, a + 5 AS plus, a - 1 AS minus, ~a AS inv, a & '255.0.0.0' AS conj, trunc(m) AS tm, m | '00:00:00:00:00:ff' AS mo, a::cidr AS c, inet_merge(a, a + 300) AS mg, to_json(n) AS j FROM core.x WHERE family(a) = 4",
    "tests": "SELECT id, a << n AS sub, a <<= '10.0.0.0/8' AS sube, n >> a AS sup, n >>= '10.1.0.0/16' AS supe, a && n AS over, a = '10.1.2.3' AS eq, a > n AS gt, n IN ('10.0.0.0/8', '::/0') AS inn, l[1] = '10.0.0.1' AS first,"
             " inet_same_family(a, n) AS same, m > '08:00:2b:01:02:33' AS mgt, a IS NOT DISTINCT FROM n AS nd FROM core.x",
    "inside": "SELECT x.id, w.v FROM core.x x JOIN core.net w ON x.a <<= w.n",
    "joined": "SELECT x.id, w.v FROM core.x x JOIN core.net w ON x.n = w.n",
    "crossed": "SELECT x.id, w.v FROM core.x x JOIN core.net w ON x.a = w.n",
    "top": "SELECT id, a FROM core.x ORDER BY a DESC NULLS LAST, id LIMIT 9",
    "unnested": "SELECT x.id, y.e FROM core.x CROSS JOIN LATERAL unnest(x.l) AS y (e)",
    "collected": "SELECT masklen(n) AS k, array_agg(a ORDER BY a, id) AS aa, json_agg(m ORDER BY id) AS jm, string_agg(host(a), ',' ORDER BY id) AS st, mode() WITHIN GROUP (ORDER BY n) AS mo FROM core.x GROUP BY masklen(n)",
    "firsts": "SELECT DISTINCT ON (m) m, id FROM core.x ORDER BY m, id",
    "keyed": "SELECT n, v FROM core.net",
}
INET_SCRIPTS = ["UPDATE core.x SET a = a + 1000, n = '10.1.0.0/16' WHERE id % 3 = 0; DELETE FROM core.x WHERE a << '192.168.0.0/16'; UPDATE core.net SET n = '::/0' WHERE v = 4",
                "INSERT INTO core.x VALUES (100, '10.0.0.0/8', '10.0.0.0/8', 'ff:ff:ff:ff:ff:ff', '{}'), (101, NULL, NULL, NULL, NULL); DELETE FROM core.net WHERE v = 1; INSERT INTO core.net VALUES ('10.0.0.0/8', 9)"]
INET_FILTERS = [("a=eq.10.0.0.0/8", "a = '10.0.0.0/8'"), ("a=gt.10.1.2.3", "a > '10.1.2.3'"), ("n=lte.10.1.0.0/16", "n <= '10.1.0.0/16'"), ("m=gte.08:00:2b:01:02:40", "m >= '08:00:2b:01:02:40'"),
                ("l=cs.{10.0.0.1}", "l @> '{10.0.0.1}'"), ("n=in.(10.0.0.0/8,::/0)", "n IN ('10.0.0.0/8', '::/0')")]


RANGE_DDL = """
CREATE TABLE core.x (id int PRIMARY KEY, r int4range, n numrange, p tstzrange, m datemultirange, l int8range[]);
CREATE TABLE core.room (during tsrange PRIMARY KEY, v int);
INSERT INTO core.x SELECT i, (ARRAY['[1,5)', 'empty', '(,)', '[2,3]', '[5,9)', NULL])[i % 6 + 1]::int4range, numrange(i % 4, i % 4 + 1.50, (ARRAY['[]', '()', '[)'])[i % 3 + 1]),
  tstzrange('2020-01-01 00:00Z'::timestamptz + i * interval '6 hours', NULLIF('2020-01-20 00:00Z'::timestamptz, '2020-01-20 00:00Z'::timestamptz + (i % 3) * interval '1 day')),
  ('{[2020-01-0' || i % 4 + 1 || ',2020-01-05),[2020-02-01,2020-02-1' || i % 5 || ']}')::datemultirange, ARRAY[int8range(i, i + 5), NULL, 'empty'] FROM generate_series(1, 40) i;
INSERT INTO core.room VALUES ('[2020-01-01,2020-01-02)', 1), ('[2020-01-02,2020-01-03]', 2), ('(,2019-01-01)', 3), ('empty', 4);
"""
RANGE_VIEWS = {
    "plain": "SELECT id, r, n, p, m, l FROM core.x",
    "by_range": "SELECT r, count(*) AS c, range_agg(r) AS u, range_intersect_agg(n) AS i, range_agg(m) AS a FROM core.x GROUP BY r",
    "parts": "SELECT id, lower(r) AS lo, upper(n) AS hi, lower_inc(n) AS li, upper_inf(p) AS ui, isempty(r) AS e, range_merge(m) AS mg, r * '[2,4)' AS x, m - '{[2020-01-03,2020-02-03)}' AS d, n::text AS t, to_json(m) AS j FROM core.x",
    "tests": "SELECT id, r @> 3 AS c, r && '[4,6)' AS o, r << '[9,)' AS b, n -|- '[3,4]' AS a, m @> date '2020-01-03' AS mc, p @> '2020-01-05 00:00Z'::timestamptz AS pc, l[1] @> '7'::bigint AS f, r IN ('[1,5)', 'empty') AS inn FROM core.x",
    "inside": "SELECT x.id, w.v FROM core.x x JOIN core.room w ON lower(x.p)::timestamp <@ w.during",
    "joined": "SELECT x.id, y.id AS other FROM core.x x JOIN core.x y ON x.n = y.n",
    "top": "SELECT id, r FROM core.x ORDER BY r DESC NULLS LAST, id LIMIT 9",
    "unnested": "SELECT x.id, u.e, upper(u.e) AS hi FROM core.x CROSS JOIN LATERAL unnest(x.m) AS u (e)",
    "collected": "SELECT isempty(r) AS k, array_agg(r ORDER BY r, id) AS aa, mode() WITHIN GROUP (ORDER BY m) AS mo FROM core.x GROUP BY 1",
    "keyed": "SELECT during, v FROM core.room",
}
RANGE_SCRIPTS = ["UPDATE core.x SET r = r + '[4,6)', n = '[1.0,2]' WHERE id % 6 = 4; DELETE FROM core.x WHERE isempty(r); UPDATE core.room SET during = '[2020-01-04,)' WHERE v = 4",
                 "INSERT INTO core.x VALUES (100, '(,1)', '[NaN,]', 'empty', '{}', '{}'), (101, NULL, NULL, NULL, NULL, NULL); DELETE FROM core.room WHERE v = 1; UPDATE core.x SET m = m + '{[2021-01-01,2021-01-01]}' WHERE id < 9"]
RANGE_FILTERS = [("r=eq.[1,5)", "r = '[1,5)'"), ("r=gt.[1,5)", "r > '[1,5)'"), ("n=lte.[1.00,2.5]", "n <= '[1.00,2.5]'"), ("r=cs.[2,3)", "r @> '[2,3)'"), ("r=cd.[1,6]", "r <@ '[1,6]'"),
                 ("r=ov.[4,)", "r && '[4,)'"), ("m=cs.{[2020-01-03,2020-01-04)}", "m @> '{[2020-01-03,2020-01-04)}'"), ("m=ov.{(,2020-01-02)}", "m && '{(,2020-01-02)}'"), ("r=in.(\"[1,5)\",empty)", "r IN ('[1,5)', 'empty')")]


class Follower:
    """A live query's rows by id, as its events say; it comes back when the connection ends."""

    def __init__(self, box, path):
        self.box, self.path, self.rows, self.stopping = box, path, {}, False
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while not self.stopping:
            try:
                self.rows = {}
                for event, data, _ in self.box.events(self.path, timeout_s=5):
                    if event == "reset":
                        self.rows = {}
                    elif event == "delete":
                        self.rows.pop(json.loads(data)["id"], None)
                    elif event in ("insert", "update"):
                        self.rows[json.loads(data)["id"]] = canon.loads(data)
            except (OSError, Refused, http.client.HTTPException):
                time.sleep(0.1)

    def expect(self, report, label, rows):
        try:
            wait_for(lambda: canon.difference(canon.bag(list(self.rows.values())), rows) is None, 20, "", 0.1)
        except TimeoutError:
            pass
        report.equal(label, canon.bag(list(self.rows.values())), rows)


class Bed:
    """A server with what the script makes, and an instance with the views over it; PostgreSQL has them under the same names."""

    def __init__(self, report, name, ddl, views, more_sql="", tables=None, shards=3):
        self.report, self.name, self.views = report, name, views
        self.server = pg.Postgres().start()
        self.c = self.server.connect()
        pg.script(self.c, "CREATE SCHEMA core; SET search_path = public, core")
        pg.script(self.c, ddl)
        for view, query in views.items():
            pg.script(self.c, "CREATE VIEW public.%s AS %s" % (view, query))
        pg.script(self.c, "CREATE PUBLICATION penstock FOR ALL TABLES")
        found = [r[0] for r in pg.rows(self.c, "SELECT relname FROM pg_class WHERE relnamespace = 'core'::regnamespace AND relkind = 'r' ORDER BY 1")]
        self.tables = tables or ["{ table: core.%s, as: %s }" % (t, t) for t in found]
        self.sql = "".join("CREATE VIEW %s AS %s;\n" % v for v in views.items()) + more_sql
        self.box = Penstock(postgres_config(self.server, self.tables, ["views.sql"], list(views)), self.sql, shards=shards, name=name)

    def start(self):
        code, out, err = self.box.command("check", "-c", self.box.config, "--data", self.box.data)
        if self.report.check(self.name + "/check", code == 0, "exit %d: %s" % (code, (out + err)[:3000])):
            self.box.start()
            self.http = self.box.client()
            return True
        self.server.stop()
        return False

    def oracle(self, query):
        return canon.bag(canon.loads(r[0]) for r in pg.rows(self.c, "SELECT row_to_json(q)::text FROM (%s) q" % query))

    def compare(self, step):
        """All views, once the instance has seen everything; it may be starting anew meanwhile."""
        for view in self.views:
            self.compare_view(step, view)

    def compare_view(self, step, view):
        def problem():
            try:
                return canon.difference(self.http.list(view, wait=("core", pg.lsn(self.c))).rows(), canon.view_rows(self.c, view))
            except Refused as e:
                return str(e)
        try:
            wait_for(lambda: problem() is None, 20, "", 0.2)
        except TimeoutError:
            pass
        last = problem()
        self.report.check("%s/%s/%s" % (self.name, step, view), last is None, last and last[:600])

    def filters(self, view, filters):
        for query, predicate in filters:
            got = self.http.list(view, query=urllib.parse.quote(query, safe="=&.(),")).rows()
            self.report.equal("%s/filter/%s" % (self.name, query), got, self.oracle("SELECT * FROM %s WHERE %s" % (view, predicate)))

    def run(self, script):
        for one in script.split("; ") if "\n" not in script else [script]:
            pg.script(self.c, one)

    def stop(self):
        self.box.stop()
        self.server.stop()


def enums(report):
    bed = Bed(report, "enums", ENUM_DDL, ENUM_VIEWS, "CREATE INDEX ON plain (m DESC, s);\n")
    if not bed.start():
        return
    bed.compare("snapshot")
    for i, script in enumerate(ENUM_SCRIPTS):
        bed.run(script)
        bed.compare("step%d" % (i + 1))
    bed.filters("plain", ENUM_FILTERS)
    api = bed.http
    got = [r["id"] for r in api.get("/api/plain?select=id&order=m.desc.nullslast,s.asc,id").json()]
    report.equal("enums/order", got, [r[0] for r in pg.rows(bed.c, "SELECT id FROM core.p ORDER BY m DESC NULLS LAST, s, id")])
    report.equal("enums/key", api.get("/api/keyed/Happy").json(), {"m": "Happy", "v": 2})
    report.equal("enums/cast", api.get("/api/plain?select=x:m::text&id=eq.1").json(), [{"x": pg.rows(bed.c, "SELECT m::text FROM core.p WHERE id = 1")[0][0]}])
    out = io.StringIO()
    bed.c.cursor().copy_expert("COPY (SELECT id, m, s, ms, m::text AS t FROM core.p ORDER BY m DESC NULLS LAST, id) TO STDOUT (FORMAT csv, HEADER)", out)
    got = api.get("/api/plain?select=id,m,s,ms,t:m::text&order=m.desc.nullslast,id", {"Accept": "text/csv"}).body.decode()
    report.equal("enums/csv", list(csv.reader(io.StringIO(got))), list(csv.reader(io.StringIO(out.getvalue()))))
    items = api.get("/api/").json()["components"]["schemas"]["plain"]["properties"]["ms"]["items"]
    report.equal("enums/openapi-array", (items["type"], items["enum"]), (["string", "null"], ["sad", "ok", "Happy", 'a "b" \\ c', "é", None]))
    report.equal("enums/unknown-label", api.request("/api/plain?m=eq.never").json()["code"], "22P02")
    schema = api.get("/api/").json()["components"]["schemas"]["plain"]["properties"]
    report.equal("enums/openapi", (schema["s"]["type"], schema["s"].get("enum"), schema["ms"]["type"], schema["m"]["x-sql-type"]),
                 ("string", ["small", "medium", "large"], ["array", "null"], "core.core.mood"))
    follower = Follower(bed.box, "/api/plain?m=gt.ok&select=id,m,s")
    for i, script in enumerate(ENUM_LABELS):
        bed.run(script.replace(";", "; ").replace(";  ", "; "))
        bed.compare("label%d" % (i + 1))
        follower.expect(report, "enums/live%d" % (i + 1), bed.oracle("SELECT id, m, s FROM plain WHERE m > 'ok'"))
    follower.stopping = True
    report.equal("enums/new-label-filter", api.list("plain", query="m=eq.fine").rows(), bed.oracle("SELECT * FROM plain WHERE m = 'fine'"))
    report.check("enums/no-new-snapshot", bed.box.log_text().count("taking a snapshot") == 1, bed.box.log_tail())
    bed.box.kill_all()
    bed.box.verify(report, bed.name)
    bed.box.start()
    bed.http = bed.box.client()
    bed.compare("after-restart")
    # A renamed label changes rows that nobody sends again: when it shows, the pipeline starts anew with a new snapshot.
    bed.run("ALTER TYPE core.mood RENAME VALUE 'zen' TO 'calm'; INSERT INTO core.p VALUES (300, 'calm', 'large'); INSERT INTO core.other VALUES (2, 'b')")
    bed.compare("renamed-label")
    report.check("enums/renamed-label/reason", "labels of type core.core.mood were renamed: starting anew" in bed.box.log_text(), bed.box.log_tail())
    report.equal("enums/renamed-label/snapshots", bed.box.log_text().count("taking a snapshot"), 2)
    bed.run("INSERT INTO core.p VALUES (301, 'calm', 'small'); DELETE FROM core.p WHERE id = 300")
    bed.compare("after-renamed-label")
    # The same when the label was renamed while the instance was away.
    bed.box.stop()
    bed.run("ALTER TYPE core.mood RENAME VALUE 'Happy' TO 'glad'")
    views = {v: q.replace("'Happy'", "'glad'") for v, q in ENUM_VIEWS.items()}
    bed.box.write_config(postgres_config(bed.server, bed.tables, ["views.sql"], list(views)), "".join("CREATE VIEW %s AS %s;\n" % v for v in views.items()))
    bed.box.start()
    bed.http = bed.box.client()
    bed.compare("renamed")
    bed.stop()


def citext(report):
    bed = Bed(report, "citext", CITEXT_DDL, CITEXT_VIEWS, "CREATE INDEX ON plain (mail, id);\n")
    if not bed.start():
        return
    bed.compare("snapshot")
    for i, script in enumerate(CITEXT_SCRIPTS):
        bed.run(script)
        bed.compare("step%d" % (i + 1))
    bed.filters("plain", CITEXT_FILTERS)
    report.equal("citext/key", bed.http.get("/api/plain/bOB6").json()["name"], "Bob6")
    report.equal("citext/order", [r["id"] for r in bed.http.get("/api/plain?select=id&order=mail.desc,id").json()],
                 [r[0] for r in pg.rows(bed.c, "SELECT id FROM core.u ORDER BY mail DESC, id")])
    bed.box.kill_all()
    bed.box.verify(report, bed.name)
    bed.box.start()
    bed.http = bed.box.client()
    bed.compare("after-restart")
    bed.stop()


def columns_of(report, name, ddl, views, scripts, filters, index):
    """Snapshot, changes, filters, order by the column and a restart, of one kind of column after the other."""
    bed = Bed(report, name, ddl, views, "CREATE INDEX ON plain (%s DESC, id);\n" % index)
    if not bed.start():
        return
    bed.compare("snapshot")
    for i, script in enumerate(scripts):
        bed.run(script)
        bed.compare("step%d" % (i + 1))
    bed.filters("plain", filters)
    report.equal(name + "/order", [r["id"] for r in bed.http.get("/api/plain?select=id&order=%s.desc.nullslast,id" % index).json()],
                 [r[0] for r in pg.rows(bed.c, "SELECT id FROM plain ORDER BY %s DESC NULLS LAST, id" % index)])
    bed.box.kill_all()
    bed.box.verify(report, bed.name)
    bed.box.start()
    bed.http = bed.box.client()
    bed.compare("after-restart")
    bed.stop()


def main():
    with Report("test_types", 200) as report:
        report.section("enums", enums, report)
        report.section("citext", citext, report)
        report.section("timetz", columns_of, report, "timetz", TIMETZ_DDL, TIMETZ_VIEWS, TIMETZ_SCRIPTS, TIMETZ_FILTERS, "t")
        report.section("jsonpath", columns_of, report, "jsonpath", PATH_DDL, PATH_VIEWS, PATH_SCRIPTS, [], "id")
        report.section("inet", columns_of, report, "inet", INET_DDL, INET_VIEWS, INET_SCRIPTS, INET_FILTERS, "a")
        report.section("ranges", columns_of, report, "ranges", RANGE_DDL, RANGE_VIEWS, RANGE_SCRIPTS, RANGE_FILTERS, "r")


if __name__ == "__main__":
    main()
