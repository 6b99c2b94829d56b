#!/usr/bin/python3
"""Arrays over REST: filters cs, cd, ov and comparisons against the same predicates in PostgreSQL, arrays as keys in the
path and in indexes, casts to text, CSV, and the OpenAPI document."""

import urllib.parse

from lib import canon, pg
from lib.penstock import Penstock, postgres_config
from lib.report import Report

ROWS = ["{}", "{1}", "{1,2}", "{2,1}", "{1,NULL,3}", "{{1,2},{3,4}}", "[0:1]={1,2}", "{NULL}", "{3}", "{1,2,3}"]
WORDS = ["{}", '{a,"b c"}', '{"",NULL}', '{"x,y","{z}"}', '{a}', '{"q\\"\\\\"}', "{b}", "{NULL}", "{é}", "{a,b}"]
# filter, predicate
FILTERS = [
    ("ints=cs.{1}", "ints @> '{1}'"), ("ints=cs.{1,NULL}", "ints @> '{1,NULL}'"), ("ints=cd.{1,2,3}", "ints <@ '{1,2,3}'"),
    ("ints=ov.{3,7}", "ints && '{3,7}'"), ("ints=not.ov.{3,7}", "NOT ints && '{3,7}'"), ("ints=eq.{1,2}", "ints = '{1,2}'"),
    ("ints=gt.{1,2}", "ints > '{1,2}'"), ("ints=lte.{1,2}", "ints <= '{1,2}'"), ("ints=eq.[0:1]={1,2}", "ints = '[0:1]={1,2}'"),
    ("ints=in.(\"{1}\",\"{1,2}\")", "ints IN ('{1}', '{1,2}')"), ("ints=is.null", "ints IS NULL"),
    ("words=cs.{\"b c\"}", "words @> '{\"b c\"}'"), ("words=ov.{\"x,y\",a}", "words && '{\"x,y\",a}'"),
    ("or=(ints.cs.{1,2},words.ov.{b,é})", "ints @> '{1,2}' OR words && '{b,é}'"), ("ints=gte.{1}&ints=lt.{2}", "ints >= '{1}' AND ints < '{2}'"),
]


def quoted(text):
    return urllib.parse.quote(text, safe="=&.(),")


def main():
    with Report("test_arrays", 60) as report:
        server = pg.Postgres().start()
        c = server.connect()
        pg.script(c, "CREATE SCHEMA core; CREATE TABLE core.a (id int PRIMARY KEY, ints int[], words text[]); CREATE PUBLICATION penstock FOR ALL TABLES")
        with c.cursor() as cur:
            for i, (ints, words) in enumerate(zip(ROWS, WORDS)):
                cur.execute("INSERT INTO core.a VALUES (%s, %s::int[], %s::text[])", (i, ints, words))
            cur.execute("INSERT INTO core.a VALUES (100, NULL, NULL)")
        c.commit()
        view = "SELECT id, ints, words, ARRAY[id, NULL] AS made FROM core.a"
        by = "SELECT ints, count(*) AS n, array_agg(id ORDER BY id) AS ids FROM core.a GROUP BY ints"
        sql = "CREATE VIEW plain AS %s;\nCREATE INDEX ON plain (ints);\nCREATE VIEW by_ints AS %s;\n" % (view, by)
        box = Penstock(postgres_config(server, ["{ table: core.a, as: a }"], ["views.sql"], ["plain", "by_ints"]), sql, shards=2,
                       name="arrays").start()
        http = box.client()
        pg.script(c, "UPDATE core.a SET ints = ints || 9 WHERE id = 1; UPDATE core.a SET ints = '{1}' WHERE id = 1")
        wait = ("core", pg.lsn(c))

        def oracle(query):
            return canon.bag(canon.loads(r[0]) for r in pg.rows(c, "SELECT row_to_json(q)::text FROM (%s) q" % query))

        report.equal("all", http.list("plain", wait=wait).rows(), oracle(view))
        report.equal("grouped", http.list("by_ints", wait=wait).rows(), oracle(by))
        for query, predicate in FILTERS:
            report.equal("filter/" + query, http.list("plain", query=quoted(query)).rows(), oracle("SELECT * FROM (%s) p WHERE %s" % (view, predicate)))
        for key in ("{1}", "[0:1]={1,2}", "{{1,2},{3,4}}", "{1,NULL,3}"):
            report.equal("key/" + key, canon.bag([http.get("/api/by_ints/" + urllib.parse.quote(key)).value()]),
                         oracle("SELECT * FROM (%s) p WHERE ints = '%s'" % (by, key)))
        got = [r["id"] for r in http.get("/api/plain?select=id&order=ints.desc.nullslast,id").json()]
        report.equal("order", got, [r[0] for r in pg.rows(c, "SELECT id FROM core.a ORDER BY ints DESC NULLS LAST, id")])
        report.equal("cast", http.get("/api/plain?select=w:words::text&id=eq.5").json(), [{"w": WORDS[5]}])
        report.equal("csv", http.get("/api/plain?select=ints,words&id=eq.3", {"Accept": "text/csv"}).body.decode().split("\n")[1].strip(),
                     '"{2,1}","{""x,y"",""{z}""}"')
        report.equal("malformed", http.request("/api/plain?ints=cs.7").json()["code"], "22P02")
        schema = http.get("/api/").json()["components"]["schemas"]["plain"]["properties"]
        report.equal("openapi", (schema["ints"]["type"], schema["ints"]["items"]["type"], schema["made"]["type"], schema["words"]["x-sql-type"]),
                     (["array", "null"], ["integer", "null"], "array", "text[]"))
        box.stop()
        box.verify(report, "end")
        server.stop()


if __name__ == "__main__":
    main()
