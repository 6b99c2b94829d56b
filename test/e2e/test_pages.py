#!/usr/bin/python3
"""Lists read page by page along their Link headers while rows come, change and go between the pages: whoever stays as he is
comes exactly once, in the order asked for, by whatever index it is served. And cursors that are not ours are refused."""

import random
import re
import urllib.parse

from lib.report import Report
from lib.rest import Site

ROWS = 600
STAY = 400  # accounts up to here are left alone


def next_page(answer):
    link = answer.headers["Link"]
    if link is None:
        return None
    found = re.fullmatch(r'<([^<>"]+)>; rel="next"', link)
    assert found, link
    return found.group(1)


def walk(site, path, between=lambda: None, most=1000):
    """The rows of all pages, and how many pages there were."""
    rows, pages = [], 0
    while path:
        a = site.get(path)
        assert a.status in (200, 206), (path, a.status, a.body[:300])
        rows += a.json()
        pages += 1
        assert pages < most, path
        path = next_page(a)
        if path:
            between()
    return rows, pages


def churn(site, rng):
    def change():
        for _ in range(rng.randrange(6)):
            i = rng.randrange(STAY + 1, ROWS * 2)
            kind = rng.randrange(3)
            if kind == 0:
                site.tell("insert %d %d %d.%02d" % (i, rng.randrange(-1, 20), rng.randrange(100000), rng.randrange(100)))
            elif kind == 1 and i <= ROWS:
                site.tell("insert %d %d %d" % (i, rng.randrange(20), rng.randrange(100000)))
            else:
                site.tell("delete %d" % i)
        site.tell("commit")
    return change


QUERIES = ["", "order=account_id.desc", "order=balance", "order=balance.desc", "order=owner.desc,balance", "order=branch.desc.nullslast",
           "order=branch", "order=branch.desc,balance.asc.nullsfirst", "branch=eq.3", "branch=eq.3&order=balance", "branch=eq.3&order=balance.desc",
           "branch=in.(2,5,7)&order=branch,balance.desc", "branch=gt.15", "branch=is.null&order=owner", "owner=gte.owner 3&order=owner",
           "account_id=lt.350&order=note", "or=(branch.eq.1,balance.gt.50000)&order=branch.desc", "note=not.is.null&order=balance.desc.nullslast",
           "order=last_entry.desc", "order=owner,owner.desc,account_id.desc"]


def pages(report, site):
    rng = random.Random(5)
    change = churn(site, rng)
    for q in QUERIES:
        limit = rng.choice([3, 7, 40, 150])
        start = "/api/balances?select=account_id&%slimit=%d" % (urllib.parse.quote(q, "=&,.()") + "&" if q else "", limit)
        start += rng.choice(["", "&cursor=", "&offset=0"])
        full = site.get("/api/balances?select=account_id&" + urllib.parse.quote(q, "=&,.()"))
        want = [r["account_id"] for r in full.json() if r["account_id"] <= STAY]
        got, count = walk(site, start, change)
        stayed = [r["account_id"] for r in got if r["account_id"] <= STAY]
        if "order" in q:  # ties are broken by what the walk adds, the same all the way
            order_ok = sorted(stayed) == sorted(want) and ranks(site, q, stayed)
        else:
            order_ok = sorted(stayed) == sorted(want)
        report.check("pages of %s by %d" % (q or "all", limit), order_ok and len(set(stayed)) == len(stayed),
                      (count, len(stayed), len(want), sorted(set(want) - set(stayed))[:5]))


def ranks(site, q, ids):
    """The walk's rows lie in the order asked for: their places in a list of the same order that PostgREST's rules give."""
    order = re.search(r"order=([^&]+)", q).group(1)
    columns = [c.split(".") for c in order.split(",")]
    rows = {r["account_id"]: r for r in site.get("/api/balances?account_id=lte.%d" % STAY).json()}

    def key(i):
        out = []
        for c in columns:
            v, desc = rows[i][c[0]], "desc" in c
            first = "nullsfirst" in c or (desc and "nullslast" not in c)
            if isinstance(v, str):
                v = tuple((-b if desc else b) for b in v.encode()) + ((1,) if desc else ())
            elif v is not None and desc:
                v = -v
            out.append((0 if v is None else 1, v) if first else (1 if v is None else 0, v))
        return [(a, 0 if b is None else b) for a, b in out]
    keys = [key(i) for i in ids]
    return all(a <= b for a, b in zip(keys, keys[1:]))


def copies(report, site):
    """Rows without a key: copies that stay are neither left out nor shown twice, though others come before them."""
    site.tell("visit /b 40", "visit /m 30", "visit /z 5", "commit")
    seen = {"n": 0}

    def more():
        seen["n"] += 1
        site.tell("visit /c%d 3" % seen["n"], "visit /a 1", "commit")
    for q in ("", "order=page&", "order=page.desc&", "page=gte./b&"):
        got, _ = walk(site, "/api/visits?%slimit=7" % q, more)
        counts = {p: sum(r["page"] == p for r in got) for p in ("/b", "/m", "/z")}
        report.check("copies %s" % q, counts == {"/b": 40, "/m": 30, "/z": 5}, counts)


def long_keys(report, site):
    """Keys that are stored shortened: the order is that of the values, and pages keep to it."""
    want = site.get("/api/orders/lines?select=order_id,line&order=code").json()
    for start in ("", "&cursor="):
        got, count = walk(site, "/api/orders/lines?select=order_id,line&order=code&limit=50" + start)
        report.equal("values longer than keys %s" % start, (got, count), (want, 6))
    got, _ = walk(site, "/api/orders/lines?select=order_id,line&order=product.desc,price&limit=11")
    number = lambda rows: sorted(r["line"] + 3 * r["order_id"] for r in rows)
    report.equal("values of text", number(got), number(want))


def embedded(report, site):
    got, _ = walk(site, "/api/balances?select=account_id,orders/lines(line)&limit=9&account_id=lt.100")
    report.equal("with embedded rows", [len(r["orders/lines"]) for r in got], [3] * 99)
    # rows are looked at for the count after the page has ended, each with reads of its own
    a = site.get("/api/balances?select=account_id,orders/lines!inner(line)&limit=9&account_id=lt.200", Prefer="count=exact")
    b = site.get(next_page(a))
    report.equal("counted with embedded rows", (a.headers["Content-Range"], [r["account_id"] for r in b.json()]), ("0-8/99", list(range(10, 19))))


def headers(report, site):
    a = site.get("/api/balances?select=account_id&limit=5")
    b = site.get(next_page(a), Prefer="count=exact")
    n = int(site.get("/api/balances", method="HEAD", Prefer="count=exact").headers["Content-Range"].split("/")[1])
    report.equal("the count is of all rows", (b.headers["Content-Range"], b.status), ("*/%d" % n, 206))
    report.equal("HEAD has the link too", site.get("/api/balances?select=account_id&limit=5", method="HEAD").headers["Link"], a.headers["Link"])
    c = site.get("/api/balances?select=account_id", Range="5-9")
    d = site.get(next_page(c))
    report.equal("a range goes on", [r["account_id"] for r in d.json()], list(range(11, 16)))
    e = site.get("/api/balances?select=account_id&limit=5&offset=3&account_id=lt.100")
    report.equal("an offset is behind", [r["account_id"] for r in site.get(next_page(e)).json()], list(range(9, 14)))
    report.equal("no link at the end", site.get("/api/balances?account_id=lt.6&limit=5").headers["Link"], None)
    report.equal("none without a limit reached", site.get("/api/small").headers["Link"], None)
    report.equal("none for one row", site.get("/api/balances/3").headers["Link"], None)
    f = site.get("/api/balances?select=account_id&account_id=lt.9&limit=5&%3Cx%3E=eq.1")
    report.equal("unknown columns", f.status, 400)
    tag = site.get(next_page(a)).headers["ETag"]
    report.equal("a page has an ETag", site.get(next_page(a), If_None_Match=tag).status, 304)


def refused(report, site):
    link = next_page(site.get("/api/balances?select=account_id&limit=5&order=balance"))
    path, cursor = link.rsplit("cursor=", 1)
    for what, text in (("altered", ("A" if cursor[10] != "A" else "B").join((cursor[:10], cursor[11:]))), ("cut", cursor[:-3]),
                       ("made up", "AAAA" * 20), ("no cursor", "%00"), ("nonsense", "!!"), ("long", "A" * 5000)):
        a = site.get(path + "cursor=" + text)
        report.check("a cursor that is %s" % what, a.status == 400, (a.status, a.body[:200]))
    for what, other in (("another order", "/api/balances?order=balance.desc&limit=5&cursor="), ("another column", "/api/balances?order=owner&limit=5&cursor="),
                        ("another api", "/api/small?limit=5&cursor="), ("a path", "/api/orders/lines?order=doc-%3Ea&limit=5&cursor=")):
        a = site.get(other + cursor)
        report.equal("a cursor of %s" % what, (a.status, a.json()["code"]), (400, "PENSTOCK_CURSOR"))
    report.equal("another filter is no matter", site.get("/api/balances?order=balance&limit=5&account_id=lt.50&cursor=" + cursor).status, 200)


def counts(report):
    """Planned and estimated counts look at COUNT_SAMPLE_ROWS past the page, are exact as far as that goes, and near beyond."""
    site = Site(["--rows", "15000", "--shards", "2"], ["--port", "0", "--limit", "scan_rows=100000"])
    try:
        site.wait_ready()
        total = lambda q, how: int(site.get("/api/balances?select=account_id&limit=5&" + q, Prefer="count=" + how).headers["Content-Range"].split("/")[1])
        for q in ("", "note=not.is.null", "account_id=lte.9000&note=not.is.null", "branch=eq.3", "branch=gte.0&branch=lt.19", "note=is.null&order=note"):
            exact = total(q, "exact")
            for how in ("planned", "estimated"):
                n = total(q, how)
                close = n == exact if q in ("", "branch=eq.3") else exact / 2 <= n <= exact * 2
                report.check("count %s of %s" % (how, q), close, (n, exact))
    finally:
        site.close()


def restart(report, site, args):
    link = next_page(site.get("/api/balances?select=account_id&limit=5"))
    site.serve.terminate()
    site.serve.wait(10)
    site.serve = site.start_serve(args)
    site.wait_ready(link)
    report.equal("cursors outlive the process", [r["account_id"] for r in site.get(link).json()], list(range(6, 11)))


def main():
    args = ["--port", "0", "--limit", "scan_rows=5000", "--limit", "page_rows=5000"]
    with Report("test_pages", 150) as report:
        site = Site(["--rows", str(ROWS), "--shards", "3"], args)
        try:
            site.wait_ready()
            headers(report, site)
            refused(report, site)
            pages(report, site)
            copies(report, site)
            long_keys(report, site)
            embedded(report, site)
            restart(report, site, args)
        finally:
            site.close()
        counts(report)


main()
