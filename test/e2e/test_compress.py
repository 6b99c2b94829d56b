#!/usr/bin/env python3
"""Answers compressed for clients that ask: which, from which size, under which ETag, and what real clients make of it.

Prints `ok NAME` / `not ok NAME why`. Give names as arguments to run only those."""

import gzip
import json
import os
import subprocess
import sys
import traceback

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lib.rest import Events, Site  # noqa: E402

TESTS = []
LIST = "/api/balances?order=account_id&limit=200"


def test(fn):
    TESTS.append(fn)
    return fn


def same(got, want):
    assert got == want, f"got {got!r}, want {want!r}"


def curl(site, path, *options):
    """Body by curl, with its own idea of what it can decode."""
    p = subprocess.run(["curl", "-sk", "--compressed", "-D", "-", "-o", os.path.join(site.dir, "body"),
                        *options, f"https://127.0.0.1:{site.port}{path}"], capture_output=True, text=True, timeout=30)
    same((p.returncode, p.stderr), (0, ""))
    return p.stdout.lower(), open(os.path.join(site.dir, "body"), "rb").read()



@test
def gzip_answer(s):
    plain = s.get(LIST)
    a = s.get(LIST, Accept_Encoding="gzip")
    same((a.status, a.headers["Content-Encoding"]), (200, "gzip"))
    same(gzip.decompress(a.body), plain.body)
    same(int(a.headers["Content-Length"]), len(a.body))
    assert len(a.body) < len(plain.body) / 3, (len(a.body), len(plain.body))
    for one in (a, plain):
        same(one.headers["Vary"], "Accept, Accept-Encoding, Authorization, Apikey")
    same(plain.headers["Content-Encoding"], None)
    for name in ("Content-Type", "Content-Range", "Penstock-Epoch"):
        same(a.headers[name], plain.headers[name])


@test
def which_coding(s):
    for accept, want in (("zstd", "zstd"), ("gzip, deflate, br, zstd", "zstd"), ("gzip;q=1, zstd;q=0.5", "gzip"), ("br", None),
                         ("identity", None), ("gzip;q=0", None), ("*", "zstd"), ("", None)):
        same((accept, s.get(LIST, Accept_Encoding=accept).headers["Content-Encoding"]), (accept, want))


@test
def real_clients(s):
    """curl decodes both, whatever it prefers."""
    plain = s.get(LIST).body
    for coding in ("gzip", "zstd"):
        head, body = curl(s, LIST, "-H", f"Accept-Encoding: {coding}")
        assert f"content-encoding: {coding}\r" in head.replace("\n", "\r"), head
        same(body, plain)
    head, body = curl(s, "/api/")
    assert "content-encoding: zstd" in head and "vary: accept-encoding" in head, head
    same(json.loads(body)["openapi"], "3.1.0")


@test
def etag_of_compressed(s):
    plain = s.get(LIST)
    tag = plain.headers["ETag"]
    assert tag.startswith('"'), tag
    for coding in ("gzip", "zstd"):
        a = s.get(LIST, Accept_Encoding=coding)
        same(a.headers["ETag"], "W/" + tag)
        b = s.get(LIST, Accept_Encoding=coding, If_None_Match=a.headers["ETag"])
        same((b.status, b.body, b.headers["ETag"], b.headers["Content-Encoding"]), (304, b"", "W/" + tag, None))
    same(s.get(LIST, If_None_Match="W/" + tag).headers["ETag"], tag)


@test
def small_answers_stay(s):
    a = s.get("/api/balances/42", Accept_Encoding="gzip, zstd")
    same((a.headers["Content-Encoding"], a.headers["Vary"]), (None, "Accept, Accept-Encoding, Authorization, Apikey"))
    assert a.headers["ETag"].startswith('"')
    for limit in range(1, 14):  # around limits.compress_bytes
        path = f"/api/balances?select=account_id,owner&order=account_id&limit={limit}"
        size = len(s.get(path).body)
        same((size, s.get(path, Accept_Encoding="gzip").headers["Content-Encoding"]),
             (size, "gzip" if size >= 300 else None))


@test
def large_answers_stay(s):
    path = "/api/balances?limit=2000"
    assert len(s.get(path).body) > 200000
    same(s.get(path, Accept_Encoding="gzip").headers["Content-Encoding"], None)


@test
def head_says_the_same(s):
    a = s.get(LIST, Accept_Encoding="gzip")
    b = s.get(LIST, method="HEAD", Accept_Encoding="gzip")
    same(b.body, b"")
    for name in ("Content-Length", "Content-Encoding", "ETag", "Vary"):
        same(b.headers[name], a.headers[name])


@test
def csv_and_objects(s):
    for accept in ("text/csv", "application/x-ndjson"):
        plain = s.get(LIST, Accept=accept).body
        a = s.get(LIST, Accept=accept, Accept_Encoding="gzip")
        same(gzip.decompress(a.body), plain)


@test
def errors_and_events_stay(s):
    long = "x" * 600
    a = s.get("/api/balances?" + long + "=eq.1", Accept_Encoding="gzip")
    same((a.status, a.headers["Content-Encoding"]), (400, None))
    v = Events(s, "/api/balances?account_id=lt.50")
    same((v.status, v.headers.get("content-encoding")), (200, None))
    v.close()


@test
def other_sites_pages(s):
    """What another site's page has a browser ask is not compressed, unless the page itself shows a token."""
    ask = lambda **h: s.get(LIST, Accept_Encoding="gzip", **h).headers["Content-Encoding"]
    same(ask(Sec_Fetch_Site="same-origin"), "gzip")
    same(ask(Sec_Fetch_Site="cross-site"), None)
    same(ask(Sec_Fetch_Site="same-site"), None)


@test
def many_on_one_connection(s):
    """The loop's contexts are used again and again: nothing of one answer gets into another."""
    import http.client
    from lib.rest import PLAIN
    c = http.client.HTTPSConnection("127.0.0.1", s.port, context=PLAIN, timeout=20)
    want = {}
    for i in range(300):
        path = f"/api/balances?order=account_id&limit={i % 7 * 30 + 10}&offset={i % 5}"
        coding = ("gzip", "zstd", "identity")[i % 3]
        a = s.get(path, conn=c, Accept_Encoding=coding)
        if coding == "zstd":
            same(a.headers["Content-Encoding"], "zstd")
            continue
        body = gzip.decompress(a.body) if coding == "gzip" else a.body
        same(want.setdefault(path, body), body)


def main():
    site = Site(["--rows", "3000", "--shards", "2"], ["--port", "0", "--limit", "compress_bytes=300", "--limit", "compress_max_bytes=100000"])
    bad = 0
    try:
        site.wait_ready()
        for t in TESTS:
            if sys.argv[1:] and t.__name__ not in sys.argv[1:]:
                continue
            try:
                t(site)
                print("ok", t.__name__, flush=True)
            except Exception as e:
                bad += 1
                where = traceback.extract_tb(e.__traceback__)
                line = next((f.lineno for f in reversed(where) if f.filename == __file__), 0)
                print(f"not ok {t.__name__} line {line}: {type(e).__name__} {str(e)[:600]}", flush=True)
    finally:
        site.close()
    return 1 if bad else 0


sys.exit(main())
