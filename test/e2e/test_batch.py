#!/usr/bin/python3
"""Several reads from one epoch, and reads that wait for an epoch: a batch never mixes epochs under writes, each read of it is
what it is by itself, what is wrong with one is told there; Penstock-At-Least waits, ends, and knows its timeline."""

import concurrent.futures
import json
import http.client
import socket
import time

from lib import client
from lib.penstock import Penstock
from lib.report import Report, soak

SECONDS = 60 if soak() else 6

CONFIG = """penstock: 1
sources:
  demo:
    generator: { workload: bank, rate: %s, seed: 7, accounts: 40, churn: true }
sql:
  - |
    CREATE VIEW per_account AS SELECT account_id, sum(amount) AS balance, count(*) AS n FROM demo.entries GROUP BY account_id;
    CREATE VIEW total AS SELECT sum(amount) AS total, count(*) AS n FROM demo.entries;
    CREATE VIEW behind AS SELECT n FROM total;
    CREATE VIEW front AS SELECT n + 1 AS n FROM behind;
    COMMENT ON VIEW total IS 'All of it';
apis: { per_account: , total: , front: , sums/by-account: { view: per_account } }
access: { anonymous: read }
limits: { wait: 700ms, answer_bytes: 64KiB }
server: { listen: "127.0.0.1:{port}" }
"""


class Box(Penstock):
    def ask(self, method, path, body=None, **headers):
        c = http.client.HTTPSConnection("127.0.0.1", self.port, context=client.tls_context(), timeout=30)
        if body is not None and not isinstance(body, (str, bytes)):
            body = json.dumps(body)
        c.request(method, path, body=body, headers={k.replace("_", "-"): v for k, v in headers.items()})
        r = c.getresponse()
        data = r.read()
        c.close()
        return r.status, r.headers, json.loads(data) if data and "json" in r.headers.get("Content-Type", "") else data

    def batch(self, body, path="/api/$batch", **headers):
        return self.ask("POST", path, body, **headers)


def one_epoch(report, box):
    """The sum over the accounts in one read is the total in another: in every batch, while entries come and go."""
    stop = time.monotonic() + SECONDS
    seen, wrong = set(), []

    def reader(_):
        n = 0
        while time.monotonic() < stop and not wrong:
            status, headers, v = box.batch(["/api/total", "/api/per_account", {"url": "per_account?select=n"},
                                            {"url": "/api/sums/by-account", "headers": {"Accept": "text/csv"}}])
            if status != 200 or [r["status"] for r in v] != [200] * 4:
                wrong.append((status, v))
                break
            total, accounts = v[0]["body"][0], v[1]["body"]
            csv = v[3]["body"].split("\n")[1:]
            counts = {total["n"], sum(a["n"] for a in accounts), sum(r["n"] for r in v[2]["body"]),
                      sum(int(line.split(",")[2]) for line in csv)}
            sums = {round(float(total["total"] or 0), 2), round(sum(float(a["balance"]) for a in accounts), 2)}
            if len(counts) != 1 or len(sums) != 1:
                wrong.append((headers["Penstock-Epoch"], counts, sums))
            seen.add(int(headers["Penstock-Epoch"]))
            n += 1
        return n

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        n = sum(pool.map(reader, range(4)))
    report.check("one_epoch", not wrong, str(wrong[:2]))
    report.check("one_epoch/epochs", len(seen) > 20 and n > 50, "%d batches saw %d epochs" % (n, len(seen)))


def as_single(report, box):
    """Of an instance at rest: status, headers and body are those of the read by itself."""
    urls = ["/api/total", "/api/per_account?order=account_id&limit=3", "/api/v1/per_account/7", "/api/per_account/999",
            "/api/per_account?account_id=eq.x", "/api/per_acount", "/api/per_account?nope=eq.1", "/api/per_account?limit=0"]
    status, headers, v = box.batch(urls)
    report.equal("as_single/status", (status, len(v)), (200, len(urls)))
    report.check("as_single/headers", int(headers["Penstock-Epoch"]) > 0 and len(headers["Penstock-Timeline"]) == 8, str(headers))
    for url, one in zip(urls, v):
        s, h, body = box.ask("GET", url)
        report.equal("as_single/" + url, (one["status"], one["body"]), (s, body))
        for name in ("content-type", "etag", "content-range"):
            report.equal("as_single/%s/%s" % (url, name), one["headers"].get(name), h.get(name))
    status, _, v = box.batch({"a": "total", "b": {"path": "per_account", "method": "HEAD"},
                              "c": {"url": "per_account?order=account_id", "headers": {"range": "2-3", "PREFER": "count=exact"}}})
    report.equal("named", (status, list(v), v["a"]["status"], v["b"]["body"]), (200, ["a", "b", "c"], 200, None))
    report.equal("named/range", (v["c"]["status"], v["c"]["headers"]["content-range"], len(v["c"]["body"])), (206, "2-3/40", 2))
    etag = box.ask("GET", "/api/total")[1]["ETag"]
    one = box.batch([{"url": "/api/total", "headers": {"If-None-Match": etag}}])[2][0]
    report.equal("not_modified", (one["status"], one["body"]), (304, None))
    report.equal("pinned", box.batch(["total"], "/api/v1/$batch")[2][0]["status"], 200)
    report.equal("pinned/absent", box.batch(["total"], "/api/v77/$batch")[2][0]["body"]["code"], "PENSTOCK_VERSION")
    report.equal("none", box.batch([])[::2], (200, []))
    report.equal("none/named", box.batch({})[::2], (200, {}))


def refused(report, box):
    s, _, v = box.ask("GET", "/api/behind")
    report.equal("unpublished", (s, v["code"], "`behind:` under apis:" in v["hint"]), (404, "PGRST205", True))
    def is_code(name, answer, status, code):
        report.equal("refused/" + name, (answer[0], answer[2].get("code"), bool(answer[2].get("hint") or answer[2].get("message"))), (status, code, True))
    is_code("json", box.batch("[ oops"), 400, "PENSTOCK_BATCH")
    report.check("refused/json/where", "at byte 2" in box.batch("[ oops")[2]["message"], str(box.batch("[ oops")))
    is_code("empty", box.batch(""), 400, "PENSTOCK_BATCH")
    is_code("number", box.batch("7"), 400, "PENSTOCK_BATCH")
    is_code("deep", box.batch("[" * 100000), 400, "PENSTOCK_BATCH")
    is_code("utf8", box.batch(b'["\xff"]'), 400, "PENSTOCK_BATCH")
    is_code("twice", box.batch('{"a":"total","a":"total"}'), 400, "PENSTOCK_BATCH")
    is_code("method", box.ask("GET", "/api/$batch"), 405, "PENSTOCK_METHOD")
    report.equal("refused/method/allow", box.ask("GET", "/api/$batch")[1]["Allow"], "POST, OPTIONS")
    report.equal("options", box.ask("OPTIONS", "/api/$batch")[1]["Allow"], "POST, OPTIONS")
    report.equal("limit/reads", [r["status"] for r in box.batch(["total"] * 100)[2]], [200] * 100)
    is_code("reads", box.batch(["total"] * 101), 400, "PENSTOCK_BATCH")
    pad = lambda n: '["total"' + " " * (n - 9) + "]"
    report.equal("limit/bytes", box.batch(pad(256 << 10))[0], 200)
    is_code("bytes", box.batch(pad((256 << 10) + 1)), 413, "PENSTOCK_BODY")
    is_code("answer", box.batch(["per_account"] * 50), 400, "PENSTOCK_ANSWER_LIMIT")
    singles = {
        "shape": ([7], 400, "PENSTOCK_BATCH"), "no url": ([{}], 400, "PENSTOCK_BATCH"), "url": ([{"url": 1}], 400, "PENSTOCK_BATCH"),
        "member": ([{"url": "total", "body": 1}], 400, "PENSTOCK_BATCH"), "headers": ([{"url": "total", "headers": []}], 400, "PENSTOCK_BATCH"),
        "header": ([{"url": "total", "headers": {"Authorization": "Bearer x"}}], 400, "PENSTOCK_BATCH"),
        "header value": ([{"url": "total", "headers": {"Accept": 1}}], 400, "PENSTOCK_BATCH"),
        "post": ([{"url": "total", "method": "POST"}], 405, "PENSTOCK_METHOD"), "other path": (["/health"], 400, "PENSTOCK_BATCH"),
        "itself": (["/api/$batch"], 400, "PENSTOCK_BATCH"), "list of apis": (["/api/"], 400, "PENSTOCK_BATCH"),
        "why": (["/api/per_account/1/why"], 400, "PENSTOCK_BATCH"), "escape": (["/api/%zz"], 400, "PENSTOCK_URL"),
        "live": ([{"url": "total", "headers": {"Accept": "text/event-stream"}}], 400, "PENSTOCK_BATCH"),
        "media": ([{"url": "total", "headers": {"Accept": "image/png"}}], 406, "PGRST107"),
        "long": (["/api/" + "x" * 9000], 414, "PENSTOCK_URL"),
    }
    status, _, v = box.batch([one[0] for one, _, _ in singles.values()] + ["total"])
    report.equal("refused/single", (status, v[-1]["status"]), (200, 200))
    for (name, (_, status, code)), one in zip(singles.items(), v):
        report.equal("refused/single/" + name, (one["status"], one["body"]["code"]), (status, code))


def at_least(report, box):
    status, h, _ = box.ask("GET", "/api/total")
    epoch, timeline = int(h["Penstock-Epoch"]), h["Penstock-Timeline"]
    ask = lambda value, path="/api/total": box.ask("GET", path, Penstock_At_Least=value)
    report.equal("at_least/there", ask("%d-%s" % (epoch, timeline))[0], 200)
    report.equal("at_least/bare", ask(str(epoch))[0], 200)
    report.equal("at_least/key", ask("%d-%s" % (epoch, timeline), "/api/per_account/7")[0], 200)
    began = time.monotonic()
    s, h, v = ask("%d-%s" % (epoch + 1000000000, timeline))
    report.equal("at_least/never", (s, v["code"], "Penstock-At-Least" in v["hint"], h["Retry-After"]), (504, "PENSTOCK_WAIT_TIMEOUT", True, "1"))
    report.check("at_least/never/bounded", time.monotonic() - began > 0.6, "it did not wait")
    for bad in ("", "x", "-1", "7-", "7-0123", "99999999999999999999999", "7-%s-1" % timeline):
        s, _, v = ask(bad)
        report.equal("at_least/bad/" + bad, (s, v["code"]), (400, "PENSTOCK_AT_LEAST"))
    other = "%08x" % (int(timeline, 16) ^ 1)
    s, _, v = ask("1-" + other)
    report.equal("at_least/timeline", (s, v["code"]), (412, "PENSTOCK_TIMELINE"))
    s, _, v = box.batch(["total"], Penstock_At_Least="1-" + other)
    report.equal("at_least/batch/timeline", (s, v["code"]), (412, "PENSTOCK_TIMELINE"))
    s, _, v = box.batch(["total"], Penstock_At_Least="%d-%s" % (epoch + 1000000000, timeline))
    report.equal("at_least/batch/never", (s, v["code"]), (504, "PENSTOCK_WAIT_TIMEOUT"))
    s, _, v = box.ask("GET", "/api/total", Penstock_Wait="nosuch=1")
    report.equal("wait/unknown", (s, v["code"], "demo" in v["hint"]), (400, "PENSTOCK_WAIT", True))
    return epoch, timeline


def waits_for_coming(report, box):
    """Epochs a little ahead: the answer comes when they do, and is of them."""
    bad = []
    for i in range(20):
        h = box.ask("GET", "/api/total")[1]
        want = int(h["Penstock-Epoch"]) + 1 + i % 5
        for ask in (lambda v: box.ask("GET", "/api/total", Penstock_At_Least=v), lambda v: box.batch(["total"], Penstock_At_Least=v)):
            status, h2, _ = ask("%d-%s" % (want, h["Penstock-Timeline"]))
            if status != 200 or int(h2["Penstock-Epoch"]) < want:
                bad.append((want, status, h2["Penstock-Epoch"]))
    report.check("at_least/comes", not bad, str(bad[:3]))


def live_ids(report, box, timeline):
    """A live query's ids are what Penstock-At-Least takes."""
    s = client.tls_context().wrap_socket(socket.create_connection(("127.0.0.1", box.port), timeout=20))
    s.sendall(b"GET /api/total HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n")
    f = s.makefile("rb")
    id = next(line[4:].strip().decode() for line in f if line.startswith(b"id: "))
    s.close()
    report.equal("at_least/live_id", box.ask("GET", "/api/total", Penstock_At_Least=id)[0], 200)
    report.equal("at_least/live_timeline", id.split("-")[1], timeline)


def after_restart(report, box, epoch, timeline):
    """The pipeline's process is killed and recovers: epochs are counted on, but what had been promised is another timeline's."""
    before = timeline
    box.kill("pipeline")
    end = time.monotonic() + 30
    while time.monotonic() < end:
        now = box.ask("GET", "/api/total")[1].get("Penstock-Timeline")
        if now and now != before:
            break
        time.sleep(0.05)
    report.check("restart/another", now != before, "the timeline stays " + before)
    s, _, v = box.ask("GET", "/api/total", Penstock_At_Least="%d-%s" % (epoch, before))
    report.equal("restart/refused", (s, v["code"] if s != 200 else None), (412, "PENSTOCK_TIMELINE"))


def moving(report):
    box = Box(CONFIG % 2000, shards=3, name="batch").start()
    one_epoch(report, box)
    waits_for_coming(report, box)
    epoch, timeline = at_least(report, box)
    live_ids(report, box, timeline)
    after_restart(report, box, epoch, timeline)
    report.check("moving/clean-stop", box.stop() == 0, "exit status not 0")


def resting(report):
    box = Box(CONFIG % "max, limit: 600", shards=2, name="batch-rest").start()
    last = None
    while last != (last := box.ask("GET", "/api/total")[2]) or not last[0]["n"]:
        time.sleep(0.3)
    as_single(report, box)
    refused(report, box)
    report.check("resting/clean-stop", box.stop() == 0, "exit status not 0")


def main():
    with Report("test_batch", 600 if soak() else 120) as report:
        report.section("moving", moving, report)
        report.section("resting", resting, report)


if __name__ == "__main__":
    main()
