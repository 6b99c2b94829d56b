#!/usr/bin/python3
"""/metrics: what a parser of another hand makes of it, the documented table in both directions, numbers that are known, and
every alert rule in a real Prometheus while the failure that it is for is brought about."""

import json
import os
import re
import signal
import socket
import ssl
import subprocess
import threading
import time
import urllib.parse
import urllib.request

from lib import client, pg, procs
from lib.client import wait_for
from lib.penstock import Penstock
from lib.report import Report

RULES = os.path.join(procs.ROOT, "examples", "prometheus", "penstock.rules.yml")
CONFIG = """penstock: 1
sources:
  core:
    postgres: { url: "%s", publication: penstock, slot: penstock, tables: [ { table: public.t }, { table: public.u } ] }
sql: [ views.sql ]
apis: { ratios: , texts: }
access: { anonymous: read }
server: { listen: "127.0.0.1:{port}" }
store: { reserve: 8MiB }
limits: { connections: 12, live_queue_bytes: 4KiB, write_timeout: 60s %s}
"""
VIEWS = """CREATE VIEW ratios AS SELECT id, a / b AS r FROM core.t;
CREATE VIEW texts AS SELECT id, txt FROM core.u;
"""
# A sample: name, labels, value.
SAMPLE = re.compile(r'^(\w+)(?:\{((?:\w+="(?:[^"\\]|\\.)*",?)*)\})? (\S+)$')
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def parse(text):
    """{name: {labels as a sorted tuple: value}}; a line that is neither comment nor sample raises."""
    out = {}
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        m = SAMPLE.match(line)
        if not m:
            raise ValueError("no sample: " + line)
        labels = tuple(sorted((k, v) for k, v in LABEL.findall(m.group(2) or "")))
        series = out.setdefault(m.group(1), {})
        if labels in series:
            raise ValueError("twice: " + line)
        series[labels] = float(m.group(3))
    return out


def scrape(box):
    if not hasattr(box, "scraper"):
        box.scraper = box.client()
    return parse(box.scraper.get("/metrics").body.decode())


def one(metrics, name, **labels):
    """The sum over the series that have these labels."""
    wanted = set((k, str(v)) for k, v in labels.items())
    return sum(v for k, v in metrics.get(name, {}).items() if wanted <= set(k))


# ---- the text ----

def text_is_valid(report, box):
    text = box.client().get("/metrics").body.decode()
    lint = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True)
    report.check("text/promtool", lint.returncode == 0 and not lint.stdout, (lint.stdout + lint.stderr)[:600])
    given = dict(re.findall(r"(?m)^# TYPE (\w+) (\w+)$", text))
    with open(os.path.join(procs.ROOT, "docs", "operations.md")) as f:
        table = dict(re.findall(r"(?m)^\| `(penstock_\w+)` \| (\w+) \|", f.read()))
    report.equal("text/documented", given, table)
    code, printed, _ = box.command("docs", "metrics")
    report.check("text/labels", code == 0 and len(printed) > 1000, printed[:100])
    wanted = {m: set(x.strip() for x in labels.split(",") if x.strip())
              for m, labels in re.findall(r"(?m)^\| `(\w+)` \| \w+ \| ([^|]*) \|", printed)}
    metrics = parse(text)
    for name, series in metrics.items():
        base = re.sub(r"_(bucket|sum|count)$", "", name) if name not in wanted else name
        for labels in series:
            have = set(k for k, _ in labels) - {"le"}
            if have != wanted[base]:
                report.fail("text/labels/" + name, "%s, documented %s" % (sorted(have), sorted(wanted[base])))
                break
    report.ok("text/labels-of-all")
    for name in [n[:-len("_bucket")] for n in metrics if n.endswith("_bucket")]:
        groups = {}
        for labels, v in metrics[name + "_bucket"].items():
            le = float(dict(labels)["le"].replace("+Inf", "inf"))
            groups.setdefault(tuple(x for x in labels if x[0] != "le"), []).append((le, v))
        for labels, buckets in groups.items():
            counts = [v for _, v in sorted(buckets)]
            right = counts == sorted(counts) and counts[-1] == metrics[name + "_count"][labels] and len(counts) == 20
            if not right:
                report.fail("text/histogram/" + name, "%s %s" % (labels, counts))
    report.ok("text/histograms")
    a = box.client().request("/metrics", method="POST")
    report.equal("text/only-read", a.status, 405)
    head = box.client().request("/metrics", method="HEAD")
    report.check("text/head", head.status == 200 and not head.body and head.headers["Content-Type"].startswith("text/plain; version=0.0.4"), head.headers)


def names_are_escaped(report):
    """A view's name may hold what a label must escape."""
    name = 'we"ird\\name'
    quoted = '"%s"' % name.replace('"', '""')
    box = Penstock("""penstock: 1
sources: { demo: { generator: { workload: bank, rate: 100, accounts: 5 } } }
sql: [ views.sql ]
apis: { odd: { view: '%s' } }
access: { anonymous: read }
server: { listen: "127.0.0.1:{port}" }
limits: { metrics_operators: 2 }
""" % name, "CREATE VIEW %s AS SELECT account_id, count(*) AS n FROM demo.entries GROUP BY account_id;\n" % quoted, name="escape").start()
    wait_for(lambda: one(scrape(box), "penstock_view_rows") == 5, 20, "rows")
    metrics = scrape(box)
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    report.equal("escape/view", list(metrics["penstock_view_rows"]), [(("view", escaped),)])
    kinds = sorted(dict(k)["kind"] for k in metrics["penstock_operator_rows_in_total"])
    report.check("operators/limit", len(kinds) == 3 and "others" in kinds, kinds)
    text = box.client().get("/metrics").body.decode()
    lint = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True)
    report.equal("escape/promtool", (lint.returncode, lint.stdout + lint.stderr), (0, ""))
    box.stop()


def slow_readers(report):
    """More clients than threads ask for a long text and do not read it: the next one gets its own all the same."""
    count = 700
    box = Penstock("""penstock: 1
sources: { demo: { generator: { workload: bank, rate: 10, accounts: 5 } } }
sql: [ views.sql ]
apis: { %s }
access: { anonymous: read }
server: { listen: "127.0.0.1:{port}" }
""" % ", ".join("total%d: " % i for i in range(count)), "".join("CREATE VIEW total%d AS SELECT account_id, count(*) + %d AS n FROM demo.entries GROUP BY account_id;\n" % (i, i) for i in range(count)), name="slow").start()
    size = len(box.client().get("/metrics").body)
    report.check("slow/long", size > 700000, size)
    held = []
    for _ in range(8):
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)  # with loopback's own the kernel would take in megabytes
        s.connect(("127.0.0.1", box.port))
        s = client.tls_context().wrap_socket(s)
        s.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        held.append(s)
    time.sleep(1)
    report.equal("slow/others", box.client(15).request("/metrics").status, 200)
    for s in held:
        s.close()
    box.stop()


# ---- the numbers ----

def numbers(report, box, db):
    wait_for(lambda: one(scrape(box), "penstock_operator_rows_in_total", kind="view", view="ratios") >= 1, 10, "the first row's numbers")
    before = scrape(box)
    pg.script(db, "INSERT INTO t SELECT i, i, 1 FROM generate_series(1000, 1999) i")
    wait_for(lambda: one(scrape(box), "penstock_view_rows", view="ratios") >= 1000, 20, "the rows")
    for _ in range(7):
        box.client().get("/api/ratios?limit=1")
    box.client().request("/api/ratios?no=such")
    wait_for(lambda: one(scrape(box), "penstock_operator_rows_out_total", kind="table", view="core.t") >= 1000, 10, "operators' numbers")
    wait_for(lambda: one(scrape(box), "penstock_store_used_bytes") > 0 and one(scrape(box), "penstock_process_threads", process="serve") > 0, 10, "sizes")
    m = scrape(box)
    grown = lambda name, **labels: one(m, name, **labels) - one(before, name, **labels)
    report.equal("numbers/rows", grown("penstock_source_rows_total", source="core"), 1000)
    report.equal("numbers/transactions", grown("penstock_source_transactions_total", source="core"), 1)
    report.equal("numbers/shards", grown("penstock_shard_rows_total"), 1000)
    report.equal("numbers/epoch-rows", grown("penstock_epoch_rows_sum"), 1000)
    report.equal("numbers/table", grown("penstock_operator_rows_out_total", kind="table", view="core.t"), 1000)
    report.equal("numbers/view", grown("penstock_operator_rows_in_total", kind="view", view="ratios"), 1000)
    report.check("numbers/operator-time", 0 < grown("penstock_operator_seconds_total", view="ratios") < 5, m["penstock_operator_seconds_total"])
    report.check("numbers/delay", grown("penstock_source_visible_delay_seconds_count") >= 1 and 0 < grown("penstock_source_visible_delay_seconds_sum") < 10, "")
    epochs = grown("penstock_epoch_seconds_count")
    report.check("numbers/epochs", epochs >= 1 and abs(epochs - grown("penstock_epoch")) <= 1, epochs)
    for phase in ("start", "work", "close", "commit"):
        report.check("numbers/phase-" + phase, abs(grown("penstock_epoch_phase_seconds_count", phase=phase) - 2 * epochs) <= 2, phase)
    report.equal("numbers/answers", grown("penstock_http_requests_total", api="ratios", status="2xx"), 7)
    report.equal("numbers/latency", grown("penstock_http_request_seconds_count", api="ratios", status="2xx"), 7)
    report.equal("numbers/wrong", grown("penstock_http_request_seconds_count", api="ratios", status="4xx"), 1)
    for name in ("file_bytes", "used_bytes", "map_bytes"):
        report.check("numbers/store_" + name, one(m, "penstock_store_" + name) > 50000, one(m, "penstock_store_" + name))
    report.check("numbers/free", 0 <= one(m, "penstock_store_free_bytes") < one(m, "penstock_store_used_bytes"), "")
    report.check("numbers/view-bytes", one(m, "penstock_view_bytes", view="ratios") > 10000, "")
    for process, pid in box.pids().items():
        stat = open("/proc/%d/stat" % pid).read().rpartition(")")[2].split()
        threads = one(m, "penstock_process_threads", process=process)
        report.check("numbers/threads-" + process, 1 <= threads and abs(threads - int(stat[17])) <= 2, threads)
        memory, now = one(m, "penstock_process_resident_memory_bytes", process=process), int(stat[21]) * os.sysconf("SC_PAGESIZE")
        report.check("numbers/memory-" + process, now / 2 <= memory <= now * 2, "%d, in /proc %d" % (memory, now))
        wait_for(lambda: abs(one(scrape(box), "penstock_process_open_fds", process=process) - len(os.listdir("/proc/%d/fd" % pid))) <= 3,
                 10, "open files of " + process)
        report.check("numbers/cpu-" + process, one(m, "penstock_process_cpu_seconds_total", process=process) > 0, "")
    status = box.status()
    report.check("status/phases", 0 < status["phases"]["epoch"]["p50_us"] <= status["phases"]["epoch"]["p99_us"] and status["phases"]["sync"]["p99_us"] > 0, status["phases"])
    report.check("status/lag", status["sources"][0]["lag_ms"] == 0 and status["shards"][0]["lane_queue_max"] >= 1, status)
    text = box.command("status", "-c", box.config, "--data", box.data)[1]
    report.check("status/text", "p50/p99 ms epoch " in text and "BEHIND" in text and "QUEUE PEAKS" in text, text)
    report.equal("numbers/lag", one(m, "penstock_source_lag_seconds", source="core"), 0)


def lag_of_what_is_not_visible(report, box, db):
    """The pipeline stands: what is committed at the source meanwhile has an age, and as much is counted when it is seen."""
    pid = box.pid("pipeline")
    before = scrape(box)
    os.kill(pid, signal.SIGSTOP)
    try:
        pg.script(db, "INSERT INTO t VALUES (5000, 1, 1)")
        wait_for(lambda: one(scrape(box), "penstock_source_lag_seconds") > 3.5, 20, "lag")
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_for(lambda: one(scrape(box), "penstock_source_lag_seconds") == 0, 20, "no lag")
    m = scrape(box)
    spent = one(m, "penstock_source_visible_delay_seconds_sum") - one(before, "penstock_source_visible_delay_seconds_sum")
    report.check("lag/delay", spent > 3, spent)


# ---- alerts in a real Prometheus ----

class Prometheus:
    def __init__(self, box):
        self.dir, self.port = procs.temp_dir("prometheus"), procs.free_port()
        config = {"global": {"scrape_interval": "500ms", "evaluation_interval": "500ms"}, "rule_files": [RULES],
                  "scrape_configs": [{"job_name": "penstock", "scheme": "https", "tls_config": {"insecure_skip_verify": True},
                                      "static_configs": [{"targets": ["127.0.0.1:%d" % box.port]}]}]}
        path = os.path.join(self.dir, "prometheus.yml")
        with open(path, "w") as f:
            json.dump(config, f)
        procs.start(["prometheus", "--config.file=" + path, "--storage.tsdb.path=" + os.path.join(self.dir, "data"),
                     "--web.listen-address=127.0.0.1:%d" % self.port, "--log.level=warn"], os.path.join(self.dir, "log"))
        self.seen = set()
        wait_for(lambda: self.value('up{job="penstock"}') == 1, 30, "Prometheus's first scrape")

    def ask(self, path, **arguments):
        url = "http://127.0.0.1:%d/api/v1/%s?%s" % (self.port, path, urllib.parse.urlencode(arguments))
        try:
            with urllib.request.urlopen(url, timeout=10) as f:
                return json.load(f)["data"]
        except OSError:
            return None

    def value(self, query):
        data = self.ask("query", query=query)
        return float(data["result"][0]["value"][1]) if data and data["result"] else None

    def alerts(self):
        """{name: [labels]} of those whose condition holds, however long it has to."""
        out = {}
        for a in (self.ask("alerts") or {"alerts": []})["alerts"]:
            out.setdefault(a["labels"]["alertname"], []).append(a["labels"])
        return out

    def wait(self, report, name, timeout_s=30, **labels):
        def holds():
            return any(set(labels.items()) <= set(a.items()) for a in self.alerts().get(name, []))
        try:
            wait_for(holds, timeout_s, name, 0.2)
            self.seen.add(name)
            report.ok("alert/" + name)
        except TimeoutError:
            report.fail("alert/" + name, "does not hold; others that do: %s" % sorted(self.alerts()))


def slow_client(box, db):
    """A live query whose client takes nothing while its rows change."""
    raw = socket.create_connection(("127.0.0.1", box.port))
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    s = context.wrap_socket(raw)
    s.sendall(b"GET /api/texts HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n")
    s.recv(1000)
    for i in range(200):
        pg.script(db, "UPDATE u SET txt = repeat(chr(97 + %d), 100000) WHERE id = 1" % (i % 26))
        time.sleep(0.02)
        if one(scrape(box), "penstock_live_dropped_total") > 0:
            break
    return s


def crowd(box):
    """More connections than are allowed, for a while: some are refused all the time."""
    held = []
    for _ in range(40):
        try:
            held.append(socket.create_connection(("127.0.0.1", box.port), 5))
        except OSError:
            pass
    time.sleep(0.3)
    for s in held:
        s.close()


def bad_handshakes(box, stop):
    while not stop.wait(0.1):
        try:
            with socket.create_connection(("127.0.0.1", box.port), 5) as s:
                s.sendall(b"GET / HTTP/1.1\r\n\r\n")
                s.recv(100)
        except OSError:
            pass


def restart_often(box):
    for _ in range(4):
        pid = box.pid("pipeline")
        procs.kill(pid)
        wait_for(lambda: box.pids().get("pipeline") not in (None, pid), 30, "another pipeline")


def alerts(report, box, server, db, opener):
    prometheus = Prometheus(box)
    # The snapshot cannot begin while a transaction is open at the source: its views are being built.
    box.client().request("/api/ratios")
    prometheus.wait(report, "PenstockViewNotReady", view="ratios")
    prometheus.wait(report, "PenstockSourceAway", source="core")
    for _ in range(5):
        report.check("alert/503", box.client().request("/api/ratios").status == 503, "the view is shown")
        time.sleep(0.3)
    prometheus.wait(report, "PenstockErrors")
    opener.commit()
    box.wait_ready()
    return prometheus


def more_alerts(report, prometheus, box, server, db):
    pg.script(db, "INSERT INTO t VALUES (1, 5, 0)")
    prometheus.wait(report, "PenstockViewIncomplete", view="ratios")
    pg.script(db, "UPDATE t SET b = 1 WHERE id = 1")

    stop = threading.Event()
    thread = threading.Thread(target=bad_handshakes, args=(box, stop))
    thread.start()
    prometheus.wait(report, "PenstockTls")
    stop.set()
    thread.join()

    held = slow_client(box, db)
    prometheus.wait(report, "PenstockSlowClients")
    held.close()
    crowd(box)
    prometheus.wait(report, "PenstockRefused")

    pid = box.pid("pipeline")
    os.kill(pid, signal.SIGSTOP)
    prometheus.wait(report, "PenstockPipelineDown")
    os.kill(pid, signal.SIGCONT)

    pg.script(db, "ALTER TABLE u DROP COLUMN txt, ADD COLUMN txt int; INSERT INTO u VALUES (9)")
    prometheus.wait(report, "PenstockViewStopped", view="texts", state="stopped")

    with open(box.config) as f:
        right = f.read()
    with open(box.config, "w") as f:
        f.write(right + "nonsense: 1\n")
    box.process.send_signal(signal.SIGHUP)
    prometheus.wait(report, "PenstockConfigRefused", result="refused")
    with open(box.config, "w") as f:
        f.write(right)

    filler = os.path.join(box.data, "filler")
    with open(filler, "wb") as f:
        for left, alert in ((20 << 20, "PenstockDiskLow"), (2 << 20, "PenstockPaused")):
            free = os.statvfs(box.data)
            f.write(b"x" * (free.f_bavail * free.f_frsize - left))
            f.flush()
            prometheus.wait(report, alert)
    os.remove(filler)
    wait_for(lambda: one(scrape(box), "penstock_paused") == 0, 20, "room again")

    restart_often(box)
    prometheus.wait(report, "PenstockCrashes", process="pipeline")
    server.stop()
    prometheus.wait(report, "PenstockSourceAway", 40, source="core")
    wait_for(lambda: (prometheus.value("penstock_source_lag_seconds") or 0) > 2, 30, "lag while the source is away")
    box.stop()
    prometheus.wait(report, "PenstockDown")
    return prometheus.seen


# Rules whose failure takes minutes, or a disk that errs: series as they would be, judged by promtool.
SERIES = {
    "PenstockStuck": [('penstock_watchdog_bites_total{what="shard"}', "0x5 1x60")],
    "PenstockSourceSilent": [('penstock_source_contact_age_seconds{source="s"}', "0+60x40")],
    "PenstockSourceLag": [('penstock_source_lag_seconds{source="s"}', "0+30x60")],
    "PenstockSourceRetained": [('penstock_source_retained_bytes{source="s"}', "5e9x60")],
    "PenstockRowsUnreadable": [('penstock_source_quarantined_rows{source="s",table="t"}', "0 1x60")],
    "PenstockCertificate": [("penstock_tls_certificate_expires_seconds", "1e6x60")],
    "PenstockNotDurable": [("penstock_checkpoint_failures_total", "0 1x60")],
    "PenstockMemoryHigh": [('penstock_process_memory_bytes{process="pipeline",instance="i"}', "9e8x60"), ('penstock_memory_limit_bytes{instance="i"}', "1e9x60")],
}


def rules_by_series(report):
    directory = procs.temp_dir("rules")
    for name, series in SERIES.items():
        text = """rule_files: [ "%s" ]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
%s
    promql_expr_test:
      - { expr: 'count(ALERTS{alertname="%s",alertstate="firing"})', eval_time: 14m, exp_samples: [ { labels: '{}', value: 1 } ] }
""" % (RULES, "\n".join("      - { series: '%s', values: '%s' }" % s for s in series), name)
        path = os.path.join(directory, name + ".yml")
        with open(path, "w") as f:
            f.write(text)
        p = subprocess.run(["promtool", "test", "rules", path], capture_output=True, text=True)
        report.check("rule/" + name, p.returncode == 0, (p.stdout + p.stderr)[-500:])


def rules_are_documented(report, seen):
    with open(RULES) as f:
        rules = set(re.findall(r"- alert: (\w+)", f.read()))
    with open(os.path.join(procs.ROOT, "docs", "operations.md")) as f:
        named = set(re.findall(r"`(Penstock[A-Z]\w+)`", f.read()))
    report.equal("rules/documented", sorted(rules), sorted(named))
    report.equal("rules/all-tried", sorted(rules), sorted(seen | set(SERIES)))
    p = subprocess.run(["promtool", "check", "rules", RULES], capture_output=True, text=True)
    report.check("rules/promtool", p.returncode == 0, p.stdout + p.stderr)
    example = os.path.join(os.path.dirname(RULES), "prometheus.yml")
    p = subprocess.run(["promtool", "check", "config", example], capture_output=True, text=True)
    report.check("rules/example", p.returncode == 0, p.stdout + p.stderr)


with Report("test_metrics.py", 300) as report:
    names_are_escaped(report)
    slow_readers(report)
    rules_by_series(report)
    server = pg.Postgres().start()
    db = server.connect()
    pg.script(db, "CREATE TABLE t (id int PRIMARY KEY, a int, b int); CREATE TABLE u (id int PRIMARY KEY, txt text);"
                  "INSERT INTO u VALUES (1, 'x'); CREATE PUBLICATION penstock FOR ALL TABLES")
    opener = server.connect(autocommit=False)
    pg.script(opener, "INSERT INTO t VALUES (0, 1, 1)")
    box = Penstock(CONFIG % (server.url(), ""), VIEWS, shards=2, name="metrics")
    os.makedirs(box.data, mode=0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256m,mode=0700", "tmpfs", box.data], check=True)
    try:
        box.start(0)
        box.wait_answer("/health", 30)
        prometheus = alerts(report, box, server, db, opener)
        numbers(report, box, db)
        text_is_valid(report, box)
        lag_of_what_is_not_visible(report, box, db)
        seen = more_alerts(report, prometheus, box, server, db)
    finally:
        box.kill_all()
        subprocess.run(["umount", "-l", box.data], check=True)
    rules_are_documented(report, seen)
