#!/usr/bin/env python3
"""REST, live queries and hostile clients against the serve process, on a store made by test/tools/fill_store.c.

Prints `ok NAME` / `not ok NAME why`. Give names as arguments to run only those."""

import collections
import http.client
import json
import os
import re
import signal
import socket
import ssl
import sys
import threading
import time
import urllib.parse

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lib.rest import Events, Site, context, run_tests  # noqa: E402

ROWS = 3000
LIMITS = {"scan_rows": 2900, "page_rows": 2500, "header_timeout_us": 1500000, "idle_timeout_us": 4000000, "wait_us": 700000,
          "heartbeat_us": 1000000, "body_bytes": 65536, "live_queue_bytes": 100000, "connections": 700,
          "write_timeout_us": 3000000}
TESTS = []


def test(fn):
    TESTS.append(fn)
    return fn


def same(got, want):
    assert got == want, f"got {got!r}, want {want!r}"


def code(answer, status, want):
    same((answer.status, answer.json()["code"]), (status, want))


def ids(answer, column="account_id"):
    same(answer.status // 100, 2)
    return [r[column] for r in answer.json()]


def balance(i):
    return f"{i * 7919 % 100000}.{i % 100:02d}"


# ---- by key ----

@test
def key_read(s):
    a = s.get("/api/balances/42")
    same(a.status, 200)
    same(a.body.decode(), '{"account_id":42,"owner":"owner 42","branch":2,"balance":32598.42,'
         '"last_entry":"2026-01-02T03:04:05.000042+00:00","note":null}')
    same(a.headers["Content-Type"], "application/json; charset=utf-8")
    assert int(a.headers["Penstock-Epoch"]) > 0 and int(a.headers["Penstock-Lag-Ms"]) >= 0
    same(a.headers["Cache-Control"], "no-cache")
    same(a.headers["Penstock-Stale"], None)
    same(s.get("/api/v1/balances/42").body, a.body)
    same(s.get("/api/balances/42?select=id:account_id,balance").body.decode(), '{"id":42,"balance":32598.42}')


@test
def key_every_type(s):
    a = s.get("/api/orders/lines/0/1?select=order_id,line,product,price,doc,raw,blob,uid,day,at,every,ratio,paid")
    same(a.body.decode(), '{"order_id":0,"line":1,"product":"a \\"quoted\\", product\\nwith a line","price":7.01,'
         '"doc":{"a": null, "b": [1, 2.50]},"raw":{"kept" :\n  "as given"},"blob":"\\\\xdeadbeef",'
         '"uid":"00000000-0000-4000-8000-000000000001","day":"2026-02-03","at":"2026-02-03T04:05:06.7",'
         '"every":"1 day 02:03:04","ratio":0.1,"paid":true}')
    same(s.get("/api/orders/lines/0/0?select=ratio").body.decode(), '{"ratio":"NaN"}')


@test
def key_errors(s):
    code(s.get("/api/balances/999999"), 404, "PENSTOCK_NOT_FOUND")
    code(s.get("/api/balances/abc"), 400, "22P02")
    code(s.get("/api/balances/1/2"), 404, "PENSTOCK_KEY")
    code(s.get("/api/orders/lines/1"), 404, "PENSTOCK_KEY")
    code(s.get("/api/visits/1"), 404, "PENSTOCK_NO_KEY")
    code(s.get("/api/balances/1/why"), 401, "PENSTOCK_WHY")
    code(s.get("/api/balances/42?branch=eq.3"), 404, "PENSTOCK_NOT_FOUND")
    same(s.get("/api/balances/42?branch=eq.2").status, 200)


@test
def unknown_api(s):
    a = s.get("/api/balance")
    code(a, 404, "PGRST205")
    assert "'balances'" in a.json()["hint"]
    code(s.get("/api/v7/balances"), 404, "PENSTOCK_VERSION")
    code(s.get("/nothing/here"), 404, "PENSTOCK_NOT_FOUND")


@test
def etag(s):
    for path in ("/api/balances/7", "/api/small", "/api/"):
        a = s.get(path)
        tag = a.headers["ETag"]
        assert re.fullmatch(r'"[0-9a-f]{16}"', tag), tag
        for value in (tag, "W/" + tag, '"other", ' + tag, "*"):
            b = s.get(path, If_None_Match=value)
            same((b.status, b.body, b.headers["ETag"]), (304, b"", tag))
        same(s.get(path, If_None_Match='"0000000000000000"').status, 200)


# ---- lists ----

@test
def list_all_operators(s):
    q = lambda f: ids(s.get("/api/small?select=id&order=id&" + f), "id")
    same(q("id=eq.3"), [3])
    same(q("id=neq.3"), [1, 2, 4, 5, 6, 7, 8])
    same(q("id=gt.6"), [7, 8])
    same(q("id=gte.6&id=lt.8"), [6, 7])
    same(q("id=lte.2"), [1, 2])
    same(q("id=not.lte.2&id=not.gt.5"), [3, 4, 5])
    same(q("name=like.*a"), [1, 2, 3])
    same(q("name=like.a*"), [1, 6])
    same(q("name=ilike.*ETA*"), [2])
    same(q("name=not.like.*a"), [5, 6, 7, 8])
    same(q("name=is.null"), [4])
    same(q("name=not.is.null"), [1, 2, 3, 5, 6, 7, 8])
    same(q("name=is.not_null"), [1, 2, 3, 5, 6, 7, 8])
    same(q("name=neq.alpha"), [2, 3, 5, 6, 7, 8])
    same(q("name=isdistinct.alpha"), [2, 3, 4, 5, 6, 7, 8])
    same(q("name=not.isdistinct.alpha"), [1])
    same(q('name=in.(beta,"a,b","x\\"y")'), [2, 6, 7])
    same(q("id=in.()"), [])
    same(q("id=in.(5,1,5,99)"), [1, 5])
    same(q("name=not.in.(alpha,beta)"), [3, 5, 6, 7, 8])
    same(q("name=eq." + urllib.parse.quote("10% off")), [5])
    same(q("name=eq." + urllib.parse.quote("\u00e9t\u00e9")), [8])
    same(q("name=eq.10%25+off"), [5])


@test
def list_more_operators(s):
    q = lambda f: ids(s.get("/api/small?select=id&order=id&" + f), "id")
    same(q("name=match.^[ab]"), [1, 2, 6])
    same(q("name=imatch.^[AB].*A$"), [1, 2])
    same(q("name=not.match.a$"), [5, 6, 7, 8])
    same(q("id=eq(any).{2,4,99}"), [2, 4])
    same(q("id=not.eq(any).{1,2,3}"), [4, 5, 6, 7, 8])
    same(q("id=gt(all).{1,5}"), [6, 7, 8])
    same(q("name=like(any).{a*,*mma}"), [1, 3, 6])
    same(q("or=(name.ilike(all).{A*,*A},id.eq(any).{7,8})"), [1, 7, 8])
    code(s.get("/api/small?name=fts.x"), 400, "PENSTOCK_UNSUPPORTED")
    code(s.get("/api/small?name=match.*("), 400, "2201B")


@test
def preferences(s):
    a = s.get("/api/small?limit=2", Prefer="count=exact, foo=bar")
    same((a.status, a.headers["Preference-Applied"], a.headers["Content-Range"]), (206, "count=exact", "0-1/8"))
    a = s.get("/api/small?limit=2", Prefer="handling=strict, count=planned")
    same((a.headers["Preference-Applied"], a.headers["Content-Range"]), ("count=planned, handling=strict", "0-1/8"))
    code(s.get("/api/small", Prefer="handling=strict, foo=bar"), 400, "PGRST122")
    same(s.get("/api/small").headers["Preference-Applied"], None)
    for mode in ("planned", "estimated"):  # counts what one look past the page shows
        a = s.get("/api/balances?branch=eq.3&limit=5&select=account_id", Prefer="count=" + mode)
        same(a.headers["Content-Range"], s.get("/api/balances?branch=eq.3&limit=5", Prefer="count=exact").headers["Content-Range"])


@test
def nulls_stripped(s):
    a = s.get("/api/small?id=gte.4&id=lte.5", Accept="application/vnd.pgrst.array+json;nulls=stripped")
    same((a.body.decode(), a.headers["Content-Type"]), ('[{"id":4},{"id":5,"name":"10% off"}]', "application/vnd.pgrst.array+json;nulls=stripped; charset=utf-8"))
    for path in ("/api/small?id=eq.4", "/api/small/4"):
        a = s.get(path, Accept="application/vnd.pgrst.object+json;nulls=stripped")
        same((a.body.decode(), a.headers["Content-Type"]), ('{"id":4}', "application/vnd.pgrst.object+json;nulls=stripped; charset=utf-8"))


def lines_of(order, fields=("line",)):
    at = {"line": lambda i: i % 3, "price": lambda i: float("%d.%02d" % (i * 7, i % 100))}
    return [{f: at[f](order * 3 + k) for f in fields} for k in range(3)]


@test
def embed_to_one_and_many(s):
    j = lambda q: s.get("/api/" + q).json()
    same(j("orders/lines?select=line,balances(account_id,branch)&order_id=eq.5&order=line"),
         [{"line": k, "balances": {"account_id": 5, "branch": 5}} for k in range(3)])
    same(j("orders/lines?select=order_id,balances(owner)&order_id=eq.0&line=eq.0"), [{"order_id": 0, "balances": None}])
    same(j("balances?select=account_id,orders/lines(line)&account_id=in.(1,99,100)"),
         [{"account_id": i, "orders/lines": lines_of(i) if i < 100 else []} for i in (1, 99, 100)])
    same(j("balances/7?select=id:account_id,l:orders/lines(price,line)&l.order=line.desc&l.limit=2"),
         {"id": 7, "l": lines_of(7, ("price", "line"))[::-1][:2]})
    same(j("balances?select=account_id,orders/lines(line)&account_id=eq.8&orders/lines.line=gt.0&orders/lines.offset=1"),
         [{"account_id": 8, "orders/lines": [{"line": 2}]}])
    same(j("balances?select=account_id,l:orders/lines(line)&account_id=eq.8&l.or=(line.eq.0,line.eq.2)&l.not.and=(line.eq.2,price.gt.0)"),
         [{"account_id": 8, "l": [{"line": 0}]}])
    # by the column that refers, and by hints where there are two ways
    same(j("balances?select=account_id,branch(name)&account_id=in.(1,4,50)"),
         [{"account_id": 1, "branch": {"name": "alpha"}}, {"account_id": 4, "branch": {"name": None}}, {"account_id": 50, "branch": None}])
    same(j("small?select=id,balances!account(account_id)&id=eq.3"), [{"id": 3, "balances": {"account_id": 3}}])
    same(j("small?select=id,b:balances!branch(account_id)&id=eq.3&b.order=balance.desc&b.limit=2")[0]["b"],
         j("balances?select=account_id&branch=eq.3&order=balance.desc&limit=2"))
    same(j("small?select=id,account(branch)&id=eq.3"), [{"id": 3, "account": {"branch": 3}}])
    # one to one, seen from the other end; nothing is shown of an empty list
    same(j("balances?select=account_id,small!account(name),orders/lines()&account_id=in.(2,9)"),
         [{"account_id": 2, "small": {"name": "beta"}}, {"account_id": 9, "small": None}])


@test
def embed_nested_and_spread(s):
    j = lambda q: s.get("/api/" + q).json()
    same(j("small?select=id,b:balances!account(account_id,l:orders/lines(line,up:balances(account_id)))&id=eq.2&b.l.line=eq.1"),
         [{"id": 2, "b": {"account_id": 2, "l": [{"line": 1, "up": {"account_id": 2}}]}}])
    same(j("orders/lines?select=line,...balances(owner,b:branch)&order_id=in.(0,3)&line=eq.1"),
         [{"line": 1, "owner": None, "b": None}, {"line": 1, "owner": "owner 3", "b": 3}])
    same(j("orders/lines?select=...balances(account_id,...small!account(name)),line&order_id=in.(2,99)&line=eq.0"),
         [{"account_id": 2, "name": "beta", "line": 0}, {"account_id": 99, "name": None, "line": 0}])
    code(s.get("/api/balances?select=...orders/lines(line)"), 400, "PGRST119")
    same(s.get("/api/orders/lines?select=line,balances(account_id,branch)&order_id=in.(0,3)&line=eq.1", Accept="text/csv").body.decode(),
         'line,balances\n1,\n1,"{""account_id"":3,""branch"":3}"')


@test
def embed_inner_and_null(s):
    j = lambda q: s.get("/api/" + q).json()
    same(j("small?select=id,account!inner(branch)&account.branch=gt.5"), [{"id": i, "account": {"branch": i}} for i in (6, 7, 8)])
    same(ids(s.get("/api/balances?select=account_id,small!account!inner()&account_id=lt.100&order=account_id.desc&limit=3"), "account_id"), [8, 7, 6])
    same(ids(s.get("/api/balances?select=account_id,small!account()&small=is.null&account_id=lt.100&limit=2&order=account_id"), "account_id"), [9, 10])
    same(ids(s.get("/api/balances?select=account_id,small!account()&small=not.is.null&account_id=gt.6&account_id=lt.90"), "account_id"), [7, 8])
    same(ids(s.get("/api/balances?select=account_id,small!account()&or=(small.not.is.null,account_id.eq.20)&account_id=lt.30"), "account_id"),
         [1, 2, 3, 4, 5, 6, 7, 8, 20])
    a = s.get("/api/balances?select=account_id,small!account!inner(name)&small.name=like.*a&account_id=lt.100", Prefer="count=exact")
    same((a.json(), a.headers["Content-Range"]), ([{"account_id": i, "small": {"name": n}} for i, n in ((1, "alpha"), (2, "beta"), (3, "gamma"))], "0-2/3"))
    code(s.get("/api/balances/9?select=account_id,small!account!inner()"), 404, "PENSTOCK_NOT_FOUND")
    same(s.get("/api/balances/8?select=account_id,small!account!inner()").status, 200)
    # ordered by a column of another view
    same([r["id"] for r in j("small?select=id,account()&order=account(balance).desc&id=lt.5")],
         [r["account_id"] for r in j("balances?account_id=lt.5&select=account_id&order=balance.desc")])
    same([r["account_id"] for r in j("balances?select=account_id,small!account()&order=small(name).asc.nullsfirst,account_id.desc&account_id=lt.11")],
         [10, 9, 4, 5, 6, 1, 2, 3, 7, 8])


@test
def every_refusal_says_what_to_do(s):
    for path, headers, status, want in (
            ("/api/balances?nothing=eq.1", {}, 400, "42703"),
            ("/api/balances?branch=5", {}, 400, "PGRST100"),
            ("/api/balances?order=branch.up", {}, 400, "PGRST100"),
            ("/api/balances?limit=many", {}, 400, "PGRST100"),
            ("/api/balances?select=branch::nothing", {}, 400, "42704"),
            ("/api/visits?select=balances(owner)", {}, 400, "PGRST200"),
            ("/api/balances?owner=eq.%f", {}, 400, "PENSTOCK_URL"),
            ("/api/balances?select=note" + "->a" * 100, {}, 400, "PENSTOCK_LIMIT"),
            ("/api/balances", {"Accept": "image/png"}, 406, "PGRST107"),
            ("/api/balances", {"Accept": "application/vnd.pgrst.object+json"}, 406, "PGRST116"),
            ("/api/balances", {"Penstock_Wait": "x"}, 400, "PENSTOCK_WAIT"),
            ("/api/balances", {"Prefer": "handling=strict, nothing=1"}, 400, "PGRST122"),
            ("/api/balances/1/2/3", {}, 404, "PENSTOCK_KEY"),
            ("/api/v7/balances", {}, 404, "PENSTOCK_VERSION")):
        a = s.get(path, **headers)
        code(a, status, want)
        assert a.json()["hint"], (path, a.json())


@test
def embed_errors(s):
    a = s.get("/api/small?select=id,balances(account_id)")
    code(a, 300, "PGRST201")
    assert "balances!account" in a.json()["hint"] and "balances!branch" in a.json()["hint"]
    a = s.get("/api/small?select=id,balance!account(account_id)")
    code(a, 400, "PGRST200")
    assert "'balances'" in a.json()["hint"]
    code(s.get("/api/visits?select=balances(owner)"), 400, "PGRST200")
    code(s.get("/api/small?select=id,balances!nosuch(account_id)"), 400, "PGRST200")
    code(s.get("/api/small?select=id,account(nosuch)"), 400, "42703")
    code(s.get("/api/small?select=id,account(branch)&account.nosuch=eq.1"), 400, "42703")
    code(s.get("/api/small?select=id&account.branch=eq.1"), 400, "PGRST108")
    code(s.get("/api/small?select=id&order=account(branch)"), 400, "PGRST108")
    code(s.get("/api/balances?select=orders/lines(line)&order=orders/lines(line)"), 400, "PGRST118")
    code(s.get("/api/balances?select=owner,l:orders/lines(line)&l=eq.3"), 400, "PGRST120")
    # without an index the embedded view is scanned for each row, as far as the limit goes
    same(len(s.get("/api/small?select=id,orders/lines(line)").json()[1]["orders/lines"]), 100)
    a = s.get("/api/small?select=id,orders/lines(line),x:orders/lines(line)")
    code(a, 400, "PENSTOCK_SCAN_LIMIT")
    same(a.json()["hint"], "CREATE INDEX ON order_lines (line);")
    a = s.get("/api/balances?select=small!branch(balances!branch(account_id))")
    code(a, 400, "PENSTOCK_SCAN_LIMIT")
    v = Events(s, "/api/balances?select=account_id,orders/lines(line)")
    same((v.status, json.loads(v.body)["code"]), (400, "PENSTOCK_UNSUPPORTED"))
    v.close()


@test
def list_logic(s):
    q = lambda f: ids(s.get("/api/small?select=id&order=id&" + f), "id")
    same(q("or=(id.eq.1,id.eq.8)"), [1, 8])
    same(q("or=(id.lt.2,and(id.gt.3,id.lt.6))"), [1, 4, 5])
    same(q("and=(id.gt.1,not.or(id.eq.3,id.gt.5))"), [2, 4, 5])
    same(q("not.or=(id.lt.3,id.gt.4)"), [3, 4])
    same(q("not.and=(id.gt.2,id.lt.8)"), [1, 2, 8])
    same(q('or=(name.eq."a,b",name.like.*mma,id.in.(7,8))'), [3, 6, 7, 8])
    same(q("or=(name.is.null,name.not.in.(alpha,beta,gamma))&id=lt.6"), [4, 5])
    same(q("or=(name.eq.zzz,id.eq.4)"), [4])
    same(q("not.or=(name.eq.zzz,id.eq.1)"), [2, 3, 5, 6, 7, 8])


@test
def list_select(s):
    a = s.get("/api/small?id=eq.1&select=*")
    same(a.body.decode(), '[{"id":1,"name":"alpha"}]')
    same(s.get("/api/small?id=eq.1&select=n:name,id::text,x:id::numeric").body.decode(), '[{"n":"alpha","id":"1","x":1}]')
    same(s.get("/api/balances?account_id=eq.42&select=balance::int").body.decode(), '[{"balance":32598}]')
    code(s.get("/api/balances?account_id=eq.42&select=owner::int"), 400, "22P02")
    code(s.get("/api/small?select=name::nosuch"), 400, "42704")
    code(s.get("/api/small?select=nosuch"), 400, "42703")
    code(s.get("/api/small?select=id.count()"), 400, "PGRST123")
    same(s.get("/api/orders/lines/0/1?select=doc-%3Eb,x:doc-%3Eb-%3E%3E1,raw-%3E%3Ekept,y:doc-%3Eb-%3E%3E1::numeric").body.decode(),
         '{"b":[1, 2.50],"x":"2.50","kept":"as given","y":2.50}')
    same(s.get("/api/orders/lines?select=doc-%3Ek&doc-%3Eb-%3E%3E0=eq.1&order=doc-%3E%3Eb.desc,line.desc&limit=1").body.decode(), '[{"k":null}]')


@test
def list_order(s):
    q = lambda f: [r["name"] for r in s.get("/api/small?select=name&" + f).json()]
    up = sorted(["alpha", "beta", "gamma", "10% off", "a,b", 'x"y', "\u00e9t\u00e9"], key=lambda n: n.encode())
    same(q("order=name"), up + [None])
    same(q("order=name.asc.nullsfirst"), [None] + up)
    same(q("order=name.desc"), [None] + up[::-1])
    same(q("order=name.desc.nullslast"), up[::-1] + [None])
    same(ids(s.get("/api/small?order=id.desc&limit=2&offset=1"), "id"), [7, 6])
    same(ids(s.get("/api/small?order=name.desc&limit=3&select=id"), "id"), [4, 8, 7])


def expected(where, key, reverse=False):
    rows = [(i, None if i % 50 == 0 else i % 20) for i in range(1, ROWS + 1)]
    return [i for i, b in sorted((r for r in rows if where(*r)), key=key, reverse=reverse)]


@test
def list_by_index(s):
    value = lambda i: float(balance(i))
    a = s.get("/api/balances?branch=eq.12&select=account_id&order=balance.desc")
    same(ids(a), expected(lambda i, b: b == 12, lambda r: (-value(r[0]), r[0])))
    a = s.get("/api/balances?branch=eq.12&select=account_id&order=balance.asc&limit=7&offset=3")
    same(ids(a), expected(lambda i, b: b == 12, lambda r: (value(r[0]), r[0]))[3:10])
    a = s.get("/api/balances?branch=eq.12&balance=gt.50000&balance=lte.60000&select=account_id&order=account_id")
    same(ids(a), expected(lambda i, b: b == 12 and 50000 < value(i) <= 60000, lambda r: r[0]))
    a = s.get("/api/balances?branch=in.(3,4)&balance=gte.90000&select=account_id&order=account_id")
    same(ids(a), expected(lambda i, b: b in (3, 4) and value(i) >= 90000, lambda r: r[0]))
    a = s.get("/api/balances?branch=is.null&select=account_id&order=account_id.desc")
    same(ids(a), list(range(3000, 0, -50)))
    a = s.get("/api/balances?branch=gte.18&select=account_id,branch&order=branch,balance.desc")
    same(ids(a), expected(lambda i, b: b is not None and b >= 18, lambda r: (r[1], -value(r[0]), r[0])))
    a = s.get("/api/balances?account_id=gt.100&account_id=lt.105&select=account_id")
    same(ids(a), [101, 102, 103, 104])
    a = s.get("/api/balances?account_id=in.(5,3,2999,77777)&select=account_id")
    same(ids(a), [3, 5, 2999])
    same(ids(s.get("/api/balances?owner=eq.owner 7".replace(" ", "%20") + "&select=account_id")), [7, 1007, 2007])


@test
def list_long_keys(s):
    """Index keys longer than LMDB holds, alike in their first 900 bytes: their order still is the values'."""
    a = s.get("/api/orders/lines?select=order_id,line,code&order=code&limit=400")
    rows = a.json()
    codes = [r["code"] for r in rows]
    same(len(rows), 300)
    same(codes, sorted([c for c in codes if c]) + [None] * 50)
    want = rows[10]["code"]
    same(len(s.get("/api/orders/lines?code=eq." + want[:1199]).json()), 1)


@test
def scan_limit(s):
    a = s.get("/api/balances?note=like.*1*")
    code(a, 400, "PENSTOCK_SCAN_LIMIT")
    a = s.get("/api/balances?last_entry=gt.2026-01-01&owner=like.x*")
    same(a.json()["hint"], "CREATE INDEX ON balances (last_entry);")
    a = s.get("/api/balances?note=eq.x&order=balance.desc,account_id&limit=1")
    same(a.json()["hint"], "CREATE INDEX ON balances (note, balance DESC, account_id);")
    a = s.get("/api/balances?order=note.desc.nullslast&limit=1")
    same(a.json()["hint"], "CREATE INDEX ON balances (note DESC NULLS LAST);")
    same(s.get("/api/balances?note=is.null&account_id=lt.100&order=owner&select=account_id").status, 200)


@test
def paging(s):
    seen = []
    for page in range(7):
        a = s.get(f"/api/balances?select=account_id&order=account_id&limit=500&offset={page * 500}")
        seen += ids(a)
    same(seen, list(range(1, ROWS + 1)))
    same(len(ids(s.get("/api/balances?select=account_id"))), LIMITS["page_rows"])
    a = s.get("/api/balances?select=account_id", Range="0-9", Range_Unit="items")
    same((a.status, a.headers["Content-Range"], len(a.json())), (200, "0-9/*", 10))
    a = s.get("/api/balances?select=account_id", Range="2990-", Prefer="count=exact")
    same((a.status, a.headers["Content-Range"]), (206, "2990-2999/3000"))
    a = s.get("/api/balances?branch=eq.12&select=account_id&limit=5", Prefer="return=minimal, count=exact")
    same((a.status, a.headers["Content-Range"]), (206, "0-4/150"))
    a = s.get("/api/small", Prefer="count=exact")
    same((a.status, a.headers["Content-Range"]), (200, "0-7/8"))
    a = s.get("/api/small?id=eq.99", Prefer="count=exact")
    same((a.status, a.headers["Content-Range"], a.body), (200, "*/0", b"[]"))
    code(s.get("/api/small?offset=100", Prefer="count=exact"), 416, "PGRST103")
    code(s.get("/api/small", Range="5-2"), 416, "PGRST103")
    same(s.get("/api/small", Range="bytes=0-10").status, 200)
    code(s.get("/api/small?limit=-1"), 400, "PGRST100")
    same(s.get("/api/small?limit=0").body, b"[]")


@test
def keyless(s):
    a = s.get("/api/visits", Prefer="count=exact")
    same(sorted(r["page"] for r in a.json()), ["/about", "/home", "/home", "/home"])
    same(a.headers["Content-Range"], "0-3/4")
    same(len(s.get("/api/visits?limit=2&offset=1").json()), 2)
    same(len(s.get("/api/visits?page=eq./home&limit=2").json()), 2)


@test
def media_types(s):
    a = s.get("/api/small?id=lt.3", Accept="text/csv")
    same((a.headers["Content-Type"], a.body), ("text/csv; charset=utf-8", b"id,name\n1,alpha\n2,beta"))
    same(s.get("/api/small?id=gt.3&id=lt.8&order=id", Accept="text/csv").body,
         b'id,name\n4,\n5,10% off\n6,"a,b"\n7,"x""y"')
    a = s.get("/api/small?id=lt.3", Accept="application/x-ndjson")
    same(a.body, b'{"id":1,"name":"alpha"}\n{"id":2,"name":"beta"}\n')
    a = s.get("/api/small?id=eq.2", Accept="application/vnd.pgrst.object+json")
    same((a.status, a.body), (200, b'{"id":2,"name":"beta"}'))
    for f, n in (("id=gt.2", 6), ("id=eq.77", 0)):
        a = s.get("/api/small?" + f, Accept="application/vnd.pgrst.object+json")
        code(a, 406, "PGRST116")
        assert f"contains {n} rows" in a.json()["details"]
    same(s.get("/api/small", Accept="image/png, */*;q=0.1").status, 200)
    same(s.get("/api/small?id=eq.1", Accept="application/json;q=0.5, text/csv").headers["Content-Type"],
         "text/csv; charset=utf-8")
    code(s.get("/api/small", Accept="image/png"), 406, "PGRST107")
    same(s.get("/api/small/2", Accept="text/csv").body, b"id,name\n2,beta")


@test
def methods(s):
    a, b = s.get("/api/small"), s.get("/api/small", "HEAD")
    same((b.status, b.body, b.headers["Content-Length"], b.headers["ETag"]),
         (200, b"", str(len(a.body)), a.headers["ETag"]))
    for m in ("POST", "PUT", "PATCH", "DELETE"):
        a = s.get("/api/small", m, body=b"{}" if m != "DELETE" else None)
        code(a, 405, "PENSTOCK_METHOD")
        same(a.headers["Allow"], "GET, HEAD, OPTIONS")
    a = s.get("/api/small", "OPTIONS", Origin="https://example.net", Access_Control_Request_Method="GET")
    same((a.status, a.headers["Allow"], a.headers["Access-Control-Allow-Origin"]), (200, "GET, HEAD, OPTIONS", "*"))
    code(s.get("/index.html", "POST", body=b"x=1"), 405, "PENSTOCK_METHOD")
    code(s.get("/ingest/x/y", "POST", body=b"{}"), 404, "PENSTOCK_NOT_FOUND")


@test
def grammar_errors(s):
    for q in ("id=5", "id=eq", "id=foo.1", "or=(id.eq.1", "or=id.eq.1", "or=()", "or=(id.eq.1))", "id=in.1", "id=in.(1",
              "id=is.maybe", "order=id.up", "order=id.desc.nullsmiddle", "select=id,,name", "limit=x", "offset=1.5"):
        code(s.get("/api/small?" + q), 400, "PGRST100")
    code(s.get("/api/small?nosuch=eq.1"), 400, "42703")
    code(s.get("/api/small?order=nosuch"), 400, "42703")
    code(s.get("/api/small?id=eq.x"), 400, "22P02")
    code(s.get("/api/small?id=eq.99999999999"), 400, "22003")
    code(s.get("/api/small?id=is.true"), 400, "42804")
    code(s.get("/api/small?id=like.1*"), 404, "42883")
    code(s.get("/api/orders/lines?raw=eq.1"), 404, "42883")
    code(s.get("/api/small?name=like.x%5C"), 400, "22025")
    for op in ("fts.x", "plfts.x", "not.wfts(german).x", "phfts.x"):
        a = s.get("/api/small?name=" + op)
        code(a, 400, "PENSTOCK_UNSUPPORTED")
        assert op.replace("not.", "").split(".")[0].split("(")[0] in a.json()["message"] and a.json()["hint"]
    for op in ("cs", "cd", "ov", "sl", "sr", "nxr", "nxl", "adj"):
        code(s.get("/api/small?name=%s.{a}" % op), 404, "42883")
    deep = "and(" * 60 + "id.eq.1" + ")" * 60
    code(s.get("/api/small?or=(" + deep + ")"), 400, "PENSTOCK_LIMIT")


@test
def openapi(s):
    a = s.get("/api/")
    d = a.json()
    same(d["openapi"], "3.1.0")
    assert "/api/balances/{account_id}" in d["paths"] and "/api/orders/lines/{order_id}/{line}" in d["paths"]
    assert "/api/visits" in d["paths"] and not any(p.startswith("/api/visits/") for p in d["paths"])
    schema = d["components"]["schemas"]["balances"]
    same(schema["properties"]["balance"]["description"], "Sum of all posted entries, in the account currency")
    same(schema["x-key"], ["account_id"])
    same(s.get("/api").body, a.body)


@test
def status_pages(s):
    same(s.get("/health").json()["status"], "ok")
    a = s.get("/ready")
    same((a.status, a.json()["ready"]), (503, False))
    assert "view later is building" in a.json()["reasons"]
    s.tell("view 3 1")
    same(s.get("/ready").status, 200)
    s.tell("view 3 0")
    a = s.get("/api/later")
    code(a, 503, "PENSTOCK_BUILDING")
    assert int(a.headers["Retry-After"]) > 0
    m = s.get("/metrics").body.decode()
    for name in ("penstock_epoch ", 'penstock_view_rows{view="balances"} 3', 'penstock_http_requests_total{api="balances",status="2xx"}',
                 'penstock_http_request_seconds_bucket{api="balances",status="2xx",le="+Inf"}', "penstock_tls_handshakes_total ",
                 'penstock_source_lag_bytes{source="core"}', 'penstock_source_retained_bytes{source="core"}', 'penstock_shard_rows_total{shard="0"}'):
        assert name in m, name
    for line in m.splitlines():
        assert line.startswith("#") or re.fullmatch(r"[a-z_]+(\{[^}]*\})? -?[0-9.e+-]+", line), line


@test
def console_page(s):
    a = s.get("/")
    same((a.status, a.headers["Content-Type"]), (200, "text/html; charset=utf-8"))
    assert b"Penstock" in a.body and "Content-Security-Policy" in a.headers
    same(s.get("/index.html", If_None_Match=a.headers["ETag"]).status, 304)
    b = s.get("/", "HEAD")
    same((b.status, b.body, b.headers["Content-Length"]), (200, b"", str(len(a.body))))
    c = http.client.HTTPSConnection("127.0.0.1", s.port, context=context(), timeout=10)
    same([s.get(p, conn=c).status for p in ("/", "/api/small", "/none", "/")], [200, 200, 404, 200])
    c.close()
    body = b"x" * 50000
    same(s.get("/upload", "POST", body=body).status, 404)
    same(s.get("/upload", "POST", body=iter([body[:1000], body[1000:]])).status, 404)


# ---- freshness ----

@test
def changes_are_visible(s):
    e = s.tell("update 42 1.50", "insert 5000 3 7.25", "delete 43", "commit")
    a = s.get("/api/balances/42?select=balance")
    same((a.body.decode(), int(a.headers["Penstock-Epoch"])), ('{"balance":1.50}', e))
    same(s.get("/api/balances/5000?select=balance").body.decode(), '{"balance":7.25}')
    same(s.get("/api/balances/43").status, 404)
    s.tell(f"update 42 {balance(42)}", "delete 5000", f"insert 43 3 {balance(43)}", "commit")


@test
def wait_for_position(s):
    s.tell("position 0/5000")
    same(s.get("/api/balances/1", Penstock_Wait="core=0/5000").status, 200)
    start = time.time()
    a = s.get("/api/balances/1", Penstock_Wait="core=1/0")
    code(a, 504, "PENSTOCK_WAIT_TIMEOUT")
    assert 0.6 < time.time() - start < 2
    code(s.get("/api/balances/1", Penstock_Wait="other=0/1"), 400, "PENSTOCK_WAIT")
    code(s.get("/api/balances/1", Penstock_Wait="core=zzz"), 400, "PENSTOCK_WAIT")
    c = http.client.HTTPSConnection("127.0.0.1", s.port, context=context(), timeout=10)
    c.request("GET", "/api/balances/1?select=balance", headers={"Penstock-Wait": "core=0/6000"})
    time.sleep(0.2)
    s.tell("update 1 4321.00", "position 0/6000", "commit")
    r = c.getresponse()
    same((r.status, r.read().decode()), (200, '{"balance":4321.00}'))
    c.close()


@test
def stale(s):
    s.tell("heartbeat off", "state 0")
    a = s.get("/api/balances/1")
    same(a.status, 200)
    assert a.headers["Penstock-Stale"] is not None
    same(s.get("/ready").status, 503)
    s.tell("heartbeat on", "state 3")
    time.sleep(0.4)
    same(s.get("/api/balances/1").headers["Penstock-Stale"], None)


# ---- live ----

@test
def live_changes(s):
    v = Events(s, "/api/balances?branch=eq.7&select=account_id,balance")
    first = v.epochs(1)
    same((v.status, v.headers["content-type"]), (200, "text/event-stream; charset=utf-8"))
    same([e[0] for e in first], ["insert"] * 150 + ["epoch"])
    e = s.tell("update 7 11.00", "insert 7777 7 1.00", "update 8 5.00", "commit")
    got = v.epochs(2)[151:]
    same(sorted((k, json.dumps(d)) for k, d, _ in got),
         sorted([("update", '{"account_id": 7, "balance": 11.0}'), ("insert", '{"account_id": 7777, "balance": 1.0}'),
                 ("epoch", json.dumps({"epoch": e}))]))
    assert got[-1][0] == "epoch" and got[-1][2].startswith(f"{e}-")
    s.tell("delete 7777", f"update 7 {balance(7)}", f"update 8 {balance(8)}", "commit")
    got = v.epochs(3)[154:]
    same(sorted(k for k, _, _ in got), ["delete", "epoch", "update"])
    v.close()


@test
def live_filter_crossing(s):
    v = Events(s, "/api/balances?account_id=lt.20&balance=gt.1000000&select=account_id,balance")
    same([e[0] for e in v.epochs(1)], ["epoch"])
    s.tell("update 9 2000000", "commit")
    s.tell("update 9 2000001", "commit")
    s.tell(f"update 9 {balance(9)}", "commit")
    got = v.epochs(4)[1:]
    same([(k, d.get("balance")) for k, d, _ in got if k != "epoch"],
         [("insert", 2000000), ("update", 2000001), ("delete", 2000001)])
    v.close()


@test
def live_by_key_and_unselected(s):
    v = Events(s, "/api/balances/15?select=owner")
    same([e[:2] for e in v.epochs(1)][0], ("insert", {"owner": "owner 15"}))
    s.tell("update 15 1", "commit")  # not selected: no event
    s.tell("delete 15", "commit")
    got = v.epochs(2)[2:]
    same([k for k, _, _ in got], ["delete", "epoch"])
    s.tell(f"insert 15 15 {balance(15)}", "commit")
    same([k for k, _, _ in v.epochs(3)[4:]], ["insert", "epoch"])
    v.close()


@test
def live_without_its_key(s):
    """Whose rows cannot be told apart: an update is a delete and an insert. By key, there is no doubt."""
    v, one = Events(s, "/api/balances?account_id=in.(21,22)&select=balance"), Events(s, "/api/balances/21?select=balance")
    v.epochs(1)
    one.epochs(1)
    before = json.loads(json.dumps(float(balance(21))))
    s.tell("update 21 5.00", "commit")
    same([e[:2] for e in v.epochs(2)[3:-1]], [("delete", {"balance": before}), ("insert", {"balance": 5.0})])
    same([e[:2] for e in one.epochs(2)[2:-1]], [("update", {"balance": 5.0})])
    s.tell(f"update 21 {balance(21)}", "commit")
    v.close()
    one.close()


@test
def live_keyless(s):
    v = Events(s, "/api/visits?page=eq./home")
    same([e[0] for e in v.epochs(1)], ["insert"] * 3 + ["epoch"])
    s.tell("visit /home 2", "commit")
    same([e[0] for e in v.epochs(2)[4:]], ["insert", "insert", "epoch"])
    s.tell("visit /home -2", "commit")
    same([e[0] for e in v.epochs(3)[7:]], ["delete", "delete", "epoch"])
    v.close()


@test
def live_resume(s):
    v = Events(s, "/api/balances?branch=eq.8&select=account_id,balance")
    v.epochs(1)
    last = v.last_id
    v.close()
    s.tell("update 8 21.00", "commit")
    s.tell("update 28 22.00", "update 9 3.00", "commit")
    for kw in ({"last": last}, {"path": "&last_event_id=" + last}, {"last": last.split("-")[0]}):
        w = Events(s, "/api/balances?branch=eq.8&select=account_id,balance" + kw.get("path", ""), kw.get("last"))
        got = w.epochs(3)
        same([(k, d.get("account_id")) for k, d, _ in got if k != "epoch"], [("update", 8), ("update", 28)])
        w.close()
    s.tell(*[f"update {i} {balance(i)}" for i in (8, 28, 9)], "commit")
    w = Events(s, "/api/balances?branch=eq.8&select=account_id", last.split("-")[0] + "-deadbeef")
    same([e[0] for e in w.epochs(1)][:2], ["reset", "insert"])
    same(len(w.list), 152)
    w.close()
    for bad in ("99999999", "x", "1-"):
        w = Events(s, "/api/balances?account_id=eq.1&select=account_id", bad)
        same([e[0] for e in w.epochs(1)], ["reset", "insert", "epoch"])
        w.close()


@test
def live_refusals(s):
    for q, why in (("offset=1", "offset"), ("limit=2000", "limits.live_window"), ("limit=900&offset=200", "limits.live_window"),
                   ("limit=1&order=name->>x", "JSON path")):
        v = Events(s, "/api/small?" + q)
        same((q, v.status), (q, 400))
        assert why in json.loads(v.body)["message"] and json.loads(v.body)["hint"], v.body
        v.close()
    v = Events(s, "/api/balances?select=account_id")
    same(v.status, 400)
    v.close()
    v = Events(s, "/api/small?nosuch=eq.1")
    same(v.status, 400)
    v.close()


@test
def live_window(s):
    """The first rows of an order: what leaves is followed by what comes next, what changes its place within is an update."""
    v = Events(s, "/api/balances?select=account_id,balance&account_id=lte.6&order=balance.desc&limit=2&offset=1")
    want = sorted(range(1, 7), key=lambda i: -float(balance(i)))
    same([e[1]["account_id"] for e in v.epochs(1)[:-1]], want[1:3])
    s.tell(f"update {want[1]} -1", "commit")
    same([(e[0], e[1]["account_id"]) for e in v.epochs(2)[3:-1]], [("delete", want[1]), ("insert", want[3])])
    s.tell(f"update {want[2]} {float(balance(want[3])) - 0.01}", "commit")
    same([(e[0], e[1]["account_id"]) for e in v.epochs(3)[6:-1]], [("update", want[2])])
    s.tell(f"update {want[1]} {balance(want[1])}", f"update {want[2]} {balance(want[2])}", "commit")
    v.epochs(4)
    v.close()
    v = Events(s, "/api/visits?select=page&order=page.desc&limit=2")  # copies count
    same([e[1].get("page") for e in v.epochs(1)[:-1]], ["/home", "/home"])
    s.tell("visit /home -2", "commit")
    same([(e[0], e[1]["page"]) for e in v.epochs(2)[3:-1]], [("delete", "/home"), ("insert", "/about")])
    s.tell("visit /home 2", "commit")
    v.epochs(3)
    v.close()


@test
def live_window_is_filled_again(s):
    """More rows leave than are known to follow: the window is read anew, once, and is right."""
    def metric(name):
        return int(re.search(name + r" (\d+)", s.get("/metrics").body.decode()).group(1))
    before = metric("penstock_live_refills_total")
    v = Events(s, "/api/balances?select=account_id,balance&order=account_id&limit=3")
    v.epochs(1)
    assert metric("penstock_live_window_bytes") > 0
    s.tell(*[f"delete {i}" for i in range(1, 101)], "commit")
    same([(e[0], e[1]["account_id"]) for e in v.epochs(2)[4:-1]], [("delete", 1), ("delete", 2), ("delete", 3), ("insert", 101), ("insert", 102), ("insert", 103)])
    same(metric("penstock_live_refills_total"), before + 1)
    s.tell(*[f"insert {i} {i % 20 if i % 50 else -1} {balance(i)}" for i in range(1, 101)], "commit")
    same([e[1]["account_id"] for e in v.epochs(3)[11:-1] if e[0] == "insert"], [1, 2, 3])
    v.close()


@test
def live_many_take_turns(s):
    """One change that hundreds wait for, and readers in between: all get theirs."""
    subs = [Events(s, "/api/balances?account_id=lt.300&select=account_id,balance") for _ in range(300)]
    for v in subs:
        v.epochs(1)
    for i in range(3):
        s.tell(*[f"update {k} {i}.75" for k in range(1, 300)], "commit")
        same(s.get("/api/balances/1?select=balance").json()["balance"], i + 0.75)
    for v in subs:
        same(len(v.epochs(4, 20)), 299 * 4 + 4)
        v.close()
    s.tell(*[f"update {k} {balance(k)}" for k in range(1, 300)], "commit")


@test
def live_heartbeat(s):
    v = Events(s, "/api/small?id=eq.1")
    v.epochs(1)
    e = s.tell("update 2 77.00", "commit")
    time.sleep(2.5)
    assert v.comments >= 2, v.comments
    same(v.last_id.split("-")[0], str(e))
    v.close()


@test
def live_generation_resets(s):
    v = Events(s, "/api/small?id=lt.3")
    v.epochs(1)
    s.tell("generation")
    got = v.epochs(2)
    same([e[0] for e in got], ["insert", "insert", "epoch", "reset", "insert", "insert", "epoch"])
    same(s.get("/api/small/1").status, 200)
    v.close()


@test
def slot_of_another(s):
    """Rows of a slot that was given away since the catalog was read are not shown, however complete they are."""
    v = Events(s, "/api/small?id=lt.3")
    v.epochs(1)
    s.tell("replace 4")
    for path in ("/api/small/1", "/api/small?id=lt.3", "/api/small"):
        a = s.get(path)
        code(a, 503, "PENSTOCK_BUILDING")
        assert a.headers["Retry-After"]
    same(s.get("/api/balances/1").status, 200)
    s.tell("generation")  # with the new catalog it is this view's
    s.wait_ready("/api/small/1")
    same([e[0] for e in v.epochs(2)][-4:], ["reset", "insert", "insert", "epoch"])
    v.close()


@test
def live_many_subscribers(s):
    subs = [Events(s, "/api/balances?branch=eq.3&select=account_id,balance") for _ in range(100)]
    for v in subs:
        v.epochs(1)
    for i in range(5):
        s.tell(f"update 3 {i}.25", "commit")
    for v in subs:
        got = [d["balance"] for k, d, _ in v.epochs(6) if k == "update"]
        same(got, [0.25, 1.25, 2.25, 3.25, 4.25])
        v.close()
    s.tell(f"update 3 {balance(3)}", "commit")


@test
def live_slow_subscriber_is_dropped(s):
    slow = Events(s, "/api/balances?branch=gte.0&account_id=lt.1500", read=False)
    slow.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    quick = Events(s, "/api/balances?account_id=eq.1&select=balance")
    quick.epochs(1)
    before = int(re.search(r"penstock_live_dropped_total (\d+)", s.get("/metrics").body.decode()).group(1))
    dropped = before
    for i in range(200):
        s.tell(*[f"update {k} {i}.5" for k in range(1, 1500, 5)], "commit")
        if i % 10 == 9:
            dropped = int(re.search(r"penstock_live_dropped_total (\d+)", s.get("/metrics").body.decode()).group(1))
            if dropped > before:
                break
    same(dropped, before + 1)
    same(quick.epochs(i + 2)[-2][1]["balance"], i + 0.5)
    s.tell(*[f"update {k} {balance(k)}" for k in range(1, 1500, 5)], "commit")
    quick.close()
    slow.close()


# ---- HTTP abuse ----

def status_of(data):
    m = re.match(rb"HTTP/1\.1 (\d+)", data)
    return int(m.group(1)) if m else None


@test
def http_malformed(s):
    h = b"Host: x\r\n"
    for data, want in ((b"GET / HTTP/1.1\r\n\r\n", 400), (b"GET / HTTP/1.1\r\n" + h + h + b"\r\n", 400),
                       (b"GET /health HTTP/1.1\n" + h + b"\r\n", 400), (b"GET /health HTTP/1.1\r\nHost: x\r\n folded: 1\r\n\r\n", 400),
                       (b"GET /health HTTP/1.1\r\nHost: x\r\nA : b\r\n\r\n", 400),
                       (b"GET /health HTTP/1.1\r\nHost: x\r\nA: b\x00c\r\n\r\n", 400),
                       (b"GET /health HTTP/1.1\r\nHost: x\r\nA: b\x01c\r\n\r\n", 400),
                       (b"GET /he\x01alth HTTP/1.1\r\n" + h + b"\r\n", 400), (b"GET /h\xc3\xa9 HTTP/1.1\r\n" + h + b"\r\n", 400),
                       (b"GET health HTTP/1.1\r\n" + h + b"\r\n", 400), (b"GET /health HTTP/3.0\r\n" + h + b"\r\n", 400),
                       (b"GET  /health HTTP/1.1\r\n" + h + b"\r\n", 400), (b"NONSENSE /health HTTP/1.1\r\n" + h + b"\r\n", 400),
                       (b"POST /x HTTP/1.1\r\n" + h + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
                       (b"POST /x HTTP/1.1\r\n" + h + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", 400),
                       (b"POST /x HTTP/1.1\r\n" + h + b"Content-Length: -3\r\n\r\n", 400),
                       (b"POST /x HTTP/1.1\r\n" + h + b"Content-Length: 99999999999999999999999\r\n\r\n", 400),
                       (b"POST /x HTTP/1.1\r\n" + h + b"Transfer-Encoding: chunked\r\n\r\nZZ\r\n", 400),
                       (b"POST /x HTTP/1.1\r\n" + h + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n", 400),
                       (b"POST /x HTTP/1.1\r\n" + h + b"Transfer-Encoding: gzip\r\n\r\n", 400),
                       (b"POST /x HTTP/1.1\r\n" + h + b"Transfer-Encoding: xchunked\r\n\r\n", 400)):
        got = status_of(s.raw(data, 3))
        assert got is not None and (got == want or (want == 400 and got in (400, 501, 505))), (data, got)
    same(s.get("/health").status, 200)


@test
def http_paths(s):
    h = b"\r\nHost: x\r\nConnection: close\r\n\r\n"
    for path in (b"/../etc/passwd", b"/api/%2e%2e/x", b"/%2e%2e/%2e%2e/etc/passwd", b"/api/small/%zz", b"/api/small/%4",
                 b"/api/small/%00", b"/api/small/%ff%fe", b"/api/small/%c0%ae", b"/api//small", b"/a#b",
                 b"/api/small?name=eq.%c3%28", b"/api/small?name=eq.%", b"/x/./y"):
        same(status_of(s.raw(b"GET " + path + b" HTTP/1.1" + h)), 400)
    same(status_of(s.raw(b"GET https://other.example/api/small/1 HTTP/1.1" + h)), 200)
    same(status_of(s.raw(b"GET /api/small/1 HTTP/1.0\r\n\r\n")), 200)
    same(status_of(s.raw(b"\r\nGET /health HTTP/1.1" + h)), 200)
    same(status_of(s.raw(b"OPTIONS * HTTP/1.1" + h)), 200)


@test
def http_limits(s):
    h = b" HTTP/1.1\r\nHost: x\r\n"
    same(status_of(s.raw(b"GET /health" + h + b"X: " + b"a" * 20000 + b"\r\n\r\n")), 431)
    same(status_of(s.raw(b"GET /health" + h + b"".join(b"X%d: y\r\n" % i for i in range(150)) + b"\r\n")), 431)
    same(status_of(s.raw(b"GET /" + b"a" * 9000 + h + b"\r\n")), 414)
    same(status_of(s.raw(b"GET /" + b"a" * 12000)), 414)
    same(status_of(s.raw(b"POST /x" + h + b"Content-Length: 70000\r\n\r\n" + b"z" * 70000)), 413)
    same(status_of(s.raw(b"POST /x" + h + b"Transfer-Encoding: chunked\r\n\r\n" + b"1000\r\n" + b"z" * 4096 + b"\r\n"
                         + (b"1000\r\n" + b"z" * 4096 + b"\r\n") * 20 + b"0\r\n\r\n")) in (404, 413), True)
    same(status_of(s.raw(b"GET /api/small?" + b"&".join(b"id=gt.0" for _ in range(300)) + h + b"Connection: close\r\n\r\n")), 400)


@test
def http_refused_while_answered(s):
    """Bodies that are refused in the middle while the other end has answered already: both events come in one round."""
    body = b"POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + (b"1000\r\n" + b"z" * 4096 + b"\r\n") * 21 + b"0\r\n\r\n"
    got = []

    def send():
        for _ in range(15):
            got.append(status_of(s.raw(body)))

    threads = [threading.Thread(target=send) for _ in range(12)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    same(len(got), 180)
    assert set(got) <= {404, 413, 502, 503, None}, collections.Counter(got)  # None: reset before the answer was read; 50x: the other end is busy
    same(s.get("/health").status, 200)


@test
def http_pipelining(s):
    one = b"GET /api/small/%d?select=id HTTP/1.1\r\nHost: x\r\n\r\n"
    data = b"".join(one % (i % 8 + 1) for i in range(500)) + b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    for pieces in (1, 37, 700):
        out = s.raw(data, pieces=pieces)
        got = [int(x) for x in re.findall(rb'\{"id":(\d+)\}', out)]
        same(got, [i % 8 + 1 for i in range(500)])
        same(out.count(b"HTTP/1.1 200 OK"), 501)
    mixed = (b"POST /api/small HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nGET /"
             b"POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nGET \r\n0\r\n\r\n"
             b"GET /\x20HTTP/1.1\r\nHost: x\r\n\r\nGET /api/small/2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    same([int(x) for x in re.findall(rb"HTTP/1\.1 (\d+)", s.raw(mixed))], [405, 404, 200, 200])


@test
def http_byte_by_byte(s):
    c = s.connect()
    for b in b"GET /api/small/3?select=id HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n":
        c.sendall(bytes([b]))
    out = b""
    while True:
        more = c.recv(4096)
        if not more:
            break
        out += more
    assert out.endswith(b'{"id":3}'), out
    c.close()


@test
def http_expect_continue(s):
    c = s.connect()
    c.sendall(b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
    same(status_of(c.recv(4096)), 100)
    c.sendall(b"abc")
    same(status_of(c.recv(4096)), 404)
    c.close()
    same(status_of(s.raw(b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: wonders\r\n\r\n")), 417)


@test
def slow_loris(s):
    start = time.time()
    half = [s.connect() for _ in range(20)]
    for c in half:
        c.sendall(b"GET /health HTTP/1.1\r\nX: ")
    silent = [socket.create_connection(("127.0.0.1", s.port)) for _ in range(20)]
    dribbling = s.connect()
    dribbling.sendall(b"GET /health HTTP/1.1\r\n")
    end = None
    while time.time() - start < 4 and end is None:
        same(s.get("/health").status, 200)
        try:
            dribbling.sendall(b"X: y\r\n")
        except OSError:
            end = time.time()
        time.sleep(0.1)
    for c in half:
        c.settimeout(3)
        same(status_of(c.recv(4096)), 408)
        c.close()
    for c in silent:
        c.settimeout(3)
        try:
            same(c.recv(100), b"")
        except ConnectionResetError:
            pass
        c.close()


@test
def idle_timeout(s):
    c = s.connect(timeout=8)
    c.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
    same(status_of(c.recv(4096)), 200)
    start = time.time()
    same(c.recv(100), b"")
    assert 3 < time.time() - start < 7
    c.close()


def open_connections(s):
    """Without the one that asks."""
    line = next(x for x in s.get("/metrics").body.decode().splitlines() if x.startswith("penstock_connections "))
    return int(float(line.split()[1])) - 1


@test
def slow_reader(s):
    """A client that asks for much and reads nothing is closed; others do not notice."""
    before = open_connections(s)
    c = socket.create_connection(("127.0.0.1", s.port))
    c.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    c = context().wrap_socket(c, server_hostname="x")
    request = b"GET /api/balances HTTP/1.1\r\nHost: x\r\n\r\n"
    c.settimeout(1)
    try:
        c.sendall(request * 400)
    except (socket.timeout, TimeoutError):
        pass
    same(open_connections(s), before + 1)
    start = time.time()
    worst = 0
    while time.time() - start < 5:
        t = time.time()
        same(s.get("/api/small/1").status, 200)
        worst = max(worst, time.time() - t)
        time.sleep(0.05)
    assert worst < 2, worst
    end = time.time() + 20
    while open_connections(s) > before and time.time() < end:
        time.sleep(0.2)
    same(open_connections(s), before)
    c.close()


@test
def half_closed_client_gets_its_answer(s):
    c = socket.create_connection(("127.0.0.1", s.port), timeout=5)
    t = context().wrap_socket(c, server_hostname="x")
    t.sendall(b"GET /api/small/1?select=id HTTP/1.1\r\nHost: x\r\n\r\n")
    t.unwrap if False else None
    out = t.recv(4096)
    assert out.endswith(b'{"id":1}')
    t.close()


# ---- TLS ----

@test
def tls_versions(s):
    for lo, hi, ok in ((ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_3, True), (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_2, True),
                       (ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_1, False)):
        ctx = context()
        try:
            ctx.set_ciphers("DEFAULT@SECLEVEL=0")
            ctx.minimum_version, ctx.maximum_version = lo, hi
            c = s.connect(ctx=ctx)
            c.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
            assert ok and status_of(c.recv(4096)) == 200 and c.version() == lo.name.replace("_", "."), (lo, c.version())
            assert "GCM" in c.cipher()[0] or "CHACHA" in c.cipher()[0]
            c.close()
        except ssl.SSLError:
            assert not ok, lo
    ctx = context()
    ctx.maximum_version = ssl.TLSVersion.TLSv1_2
    ctx.set_ciphers("AES128-SHA:AES128-GCM-SHA256@SECLEVEL=0")
    try:
        s.connect(ctx=ctx)
        raise AssertionError("a suite without forward secrecy was taken")
    except ssl.SSLError:
        pass


@test
def tls_alpn(s):
    for offered, taken in ((["h2", "http/1.1"], "h2"), (["http/1.1", "h2"], "h2"), (["http/1.1"], "http/1.1")):
        ctx = context()
        ctx.set_alpn_protocols(offered)
        c = s.connect(ctx=ctx)
        same(c.selected_alpn_protocol(), taken)
        c.close()


@test
def tls_resumption(s):
    resumed = lambda: int(re.search(r"penstock_tls_resumed_total (\d+)", s.get("/metrics").body.decode()).group(1))
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        ctx = context()
        ctx.minimum_version = ctx.maximum_version = version
        before = resumed()
        c = s.connect(ctx=ctx)
        c.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        c.recv(4096)
        session = c.session
        c.close()
        c = ctx.wrap_socket(socket.create_connection(("127.0.0.1", s.port)), server_hostname="localhost", session=session)
        c.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        same(status_of(c.recv(4096)), 200)
        same(c.session_reused, True)
        c.close()
        same(resumed(), before + 1)


@test
def tls_garbage(s):
    for data in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\xff\xff" + b"\x00" * 100, os.urandom(500)):
        c = socket.create_connection(("127.0.0.1", s.port), timeout=5)
        c.sendall(data)
        try:
            while c.recv(4096):
                pass
        except OSError:
            pass
        c.close()
    same(s.get("/health").status, 200)


@test
def certificate_kept(s):
    names = os.path.join(s.data, "tls")
    same(oct(os.stat(os.path.join(names, "key.pem")).st_mode & 0o777), "0o600")
    ctx = ssl.create_default_context(cafile=os.path.join(names, "cert.pem"))
    for host in ("localhost", "127.0.0.1", socket.gethostname()):
        c = ctx.wrap_socket(socket.create_connection(("127.0.0.1", s.port)), server_hostname=host)
        c.close()


@test
def many_connections(_):
    s = Site(["--rows", "100"])
    try:
        s.wait_ready()
        hold_connections(s)
    finally:
        s.close()


def hold_connections(s):
    conns = [s.connect() for _ in range(512)]
    for _ in range(2):
        for c in conns:
            c.sendall(b"GET /api/balances/9?select=account_id HTTP/1.1\r\nHost: x\r\n\r\n")
        for c in conns:
            got = c.recv(4096)
            assert got.endswith(b'{"account_id":9}'), got
    rss = int(re.search(r"VmRSS:\s+(\d+)", open(f"/proc/{s.serve.pid}/status").read()).group(1))
    for c in conns:
        c.close()
    print(f"# 512 connections: VmRSS {rss} kB")


@test
def connection_limit(s):
    conns, refused = [], 0
    for _ in range(LIMITS["connections"] + 30):
        try:
            c = socket.create_connection(("127.0.0.1", s.port), timeout=5)
            conns.append(c)
        except OSError:
            refused += 1
    time.sleep(0.3)
    for c in conns:
        c.setblocking(False)
        try:
            if c.recv(1) == b"":
                refused += 1
        except BlockingIOError:
            pass
        except OSError:
            refused += 1
    assert refused >= 20, refused
    for c in conns:
        c.close()
    time.sleep(0.3)
    same(s.get("/health").status, 200)


# ---- sites of their own ----

@test
def before_any_catalog(_):
    s = Site(["--rows", "10", "--shards", "2"], start_fill=False)
    try:
        same(s.get("/health").status, 200)
        same(s.get("/ready").status, 503)
        a = s.get("/api/balances/1")
        code(a, 503, "PENSTOCK_STARTING")
        assert a.headers["Retry-After"]
        s.start_fill()
        s.wait_ready("/api/balances/1")
        same(s.get("/api/balances/1?select=account_id").body.decode(), '{"account_id":1}')
    finally:
        s.close()


@test
def no_access(_):
    s = Site(["--rows", "10"], ["--no-access"])
    try:
        s_get = s.get("/api/balances/1")
        code(s_get, 401, "PGRST302")
        assert s_get.headers["WWW-Authenticate"] and s_get.json()["hint"]
        same(s.get("/api/").status, 401)
        v = Events(s, "/api/small")
        same(v.status, 401)
        v.close()
        same(s.get("/health").status, 200)
    finally:
        s.close()


@test
def clients_that_vanish(s):
    """The kernel looks after silent connections: its timer for that runs (tr 02 of /proc/net/tcp)."""
    c = s.connect()
    own = "%04X" % c.getsockname()[1]
    end, timers = time.time() + 5, None
    while timers != ["02"] and time.time() < end:  # first the handshake's last bytes are to be acknowledged
        time.sleep(0.02)
        with open("/proc/net/tcp") as f:
            rows = [line.split() for line in f]
        timers = [r[5][:2] for r in rows if r[1].endswith(":%04X" % s.port) and r[2].endswith(":" + own)]
    same(timers, ["02"])
    c.close()


@test
def no_pipeline_to_push_to(_):
    """Who pushes is told, and the connection goes on, also past the time that the pipeline would have had to answer."""
    s = Site(["--rows", "10"], ["--ingest", "--limit", "idle_timeout_us=1000000"])
    try:
        s.wait_ready()
        c = http.client.HTTPSConnection("127.0.0.1", s.port, context=context(), timeout=20)
        code(s.get("/ingest/a/b", "POST", body="[]", conn=c), 503, "PENSTOCK_INGEST_AWAY")
        for _ in range(8):
            same(s.get("/api/balances/1", conn=c).status, 200)
            time.sleep(0.25)
        c.close()
    finally:
        s.close()


@test
def two_loops_and_stop(_):
    s = Site(["--rows", "100", "--shards", "5", "--updates-per-s", "1000"], ["--loops", "2"])
    try:
        s.wait_ready()
        live = [Events(s, "/api/balances?select=account_id,balance&account_id=lt.50") for _ in range(8)]
        epochs = {}
        for _ in range(300):
            a = s.get("/api/balances?select=account_id,balance&order=account_id")
            same(len(a.json()), 100)
            epochs.setdefault(a.headers["Penstock-Epoch"], a.body)
            same(epochs[a.headers["Penstock-Epoch"]], a.body)
        assert len(epochs) > 5
        for v in live:
            v.epochs(20)
            state = {}
            for k, d, _ in list(v.list):
                if k in ("insert", "update"):
                    assert k == "update" or d["account_id"] not in state
                    state[d["account_id"]] = d["balance"]
            same(len(state), 49)
        s.tell("generation")
        time.sleep(0.5)
        same(s.get("/api/balances/1").status, 200)
        s.serve.send_signal(signal.SIGTERM)
        same(s.serve.wait(10), 0)
        for v in live:
            v.thread.join(5)
            assert v.closed
    finally:
        s.close()


@test
def store_replaced_under_serve(_):
    """The pipeline's process ends and another continues: serve goes on, live queries are told."""
    s = Site(["--rows", "50", "--shards", "2"])
    try:
        s.wait_ready()
        v = Events(s, "/api/balances?account_id=lt.5&select=account_id")
        v.epochs(1)
        s.tell("quit") if False else None
        s.fill.stdin.close()
        s.fill.wait(10)
        same(s.get("/api/balances/3?select=account_id").status, 200)
        time.sleep(3.5)
        assert s.get("/api/balances/3").headers["Penstock-Stale"]
        v.close()
    finally:
        s.close()


def main():
    args = ["--port", "0"]
    for k, v in LIMITS.items():
        args += ["--limit", f"{k}={v}"]
    site = Site(["--rows", str(ROWS), "--shards", "3"], args)
    return run_tests(site, [(t.__name__, t) for t in TESTS])


if __name__ == "__main__":
    sys.exit(main())
