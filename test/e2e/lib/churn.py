"""A load that changes everything and adds nothing: rows of a PostgreSQL server and pushed ones are written anew, moved to other
keys, deleted and put back, at a steady number; clients come, look, break off and go. For tests of what stays bounded."""

import json
import os
import random
import socket
import threading
import time

from . import client, pg, procs

ROWS = 2000
TOKEN = "0123456789abcdef-soak"
SCHEMA = """CREATE SCHEMA core;
CREATE TABLE core.item (id int PRIMARY KEY, grp int NOT NULL, v numeric(12,2) NOT NULL, d int NOT NULL, body text);
CREATE TABLE core.entry (id bigint PRIMARY KEY, item int NOT NULL, amount int NOT NULL, at timestamptz NOT NULL);
CREATE SEQUENCE core.next START 1;
ALTER TABLE core.item ALTER body SET STORAGE EXTERNAL;
INSERT INTO core.item SELECT i, i %% 50, i, 1, repeat('x', i %% 500) FROM generate_series(1, %d) i;
CREATE PUBLICATION penstock FOR TABLES IN SCHEMA core;
""" % ROWS
# For pgbench, by weight. An item keeps its number; its key is that, or that plus 100000.
STATEMENTS = [
    (30, "\\set r random(1, {rows})\nUPDATE core.item SET v = v + random()::numeric - 0.5, grp = (:r + v::int) % 50 WHERE id IN (:r, :r + 100000);\n"),
    (6, "\\set r random(1, {rows})\n\\set w random(0, 8)\nUPDATE core.item SET body = repeat(md5(random()::text), :w * :w * 8) WHERE id IN (:r, :r + 100000);\n"),
    (8, "\\set r random(1, {rows})\nUPDATE core.item SET id = CASE WHEN id > 100000 THEN id - 100000 ELSE id + 100000 END WHERE id IN (:r, :r + 100000);\n"),
    (8, "\\set r random(1, {rows})\nBEGIN;\nDELETE FROM core.item WHERE id IN (:r, :r + 100000);\n"
        "INSERT INTO core.item VALUES (:r, :r % 50, :r, 1, NULL) ON CONFLICT (id) DO NOTHING;\nEND;\n"),
    (30, "\\set r random(1, {rows})\n\\set a random(-50, 50)\nWITH n AS (SELECT nextval('core.next') AS id), gone AS (DELETE FROM core.entry USING n "
         "WHERE entry.id <= n.id - {rows}) INSERT INTO core.entry SELECT id, :r, :a, clock_timestamp() FROM n;\n"),
    (2, "\\set r random(1, 60)\nUPDATE core.item SET d = 1 - d WHERE id IN (:r, :r + 100000);\n"),
]
SQL = """CREATE VIEW items AS SELECT id, grp, v, body FROM core.item;
CREATE INDEX ON items (grp, v DESC);
CREATE VIEW groups AS SELECT grp, count(*) AS n, sum(v) AS s, max(v) AS most, count(DISTINCT d) AS ds FROM core.item GROUP BY grp;
CREATE VIEW joined AS SELECT i.id, i.grp, count(e.id) AS n, sum(e.amount) AS s FROM core.item i LEFT JOIN core.entry e ON e.item = i.id % 100000 GROUP BY i.id;
CREATE VIEW pairs AS SELECT e.id, e.amount, i.grp FROM core.entry e JOIN core.item i ON i.id = e.item;
CREATE VIEW top AS SELECT id, item, amount FROM core.entry ORDER BY amount DESC, id LIMIT 20;
CREATE VIEW ranked AS SELECT id, grp, row_number() OVER (PARTITION BY grp ORDER BY v, id) AS place, sum(v) OVER (PARTITION BY grp ORDER BY id) AS upto FROM core.item;
CREATE VIEW recent AS SELECT id, item, amount FROM core.entry WHERE at > now() - interval '3 s';
CREATE VIEW ratios AS SELECT id, v / d AS ratio FROM core.item WHERE id < 200;
CREATE VIEW common AS SELECT item FROM core.entry INTERSECT SELECT id FROM core.item;
CREATE VIEW texts AS SELECT grp, string_agg(left(body, 10), ',' ORDER BY id) AS t FROM core.item GROUP BY grp;
CREATE VIEW clicks AS SELECT id, page, n FROM events.clicks;
CREATE VIEW pages AS SELECT page, count(*) AS hits, sum(n) AS n FROM events.clicks GROUP BY page;
CREATE VIEW lines AS SELECT who, count(*) AS n FROM events.lines GROUP BY who;
CREATE VIEW turning AS SELECT grp, {turn}(v) AS x FROM core.item GROUP BY grp;
"""
NAMES = ["items", "groups", "joined", "pairs", "top", "ranked", "recent", "ratios", "common", "texts", "clicks", "pages", "lines", "turning"]
CONFIG = """penstock: 1
sources:
  core: { postgres: { url: "%s", publication: penstock, slot: penstock, tables: [ { table: core.item }, { table: core.entry } ], check_interval: 1s } }
  events:
    ingest:
      token: %s
      tables:
        clicks: { columns: { id: bigint, page: text, n: int }, key: [id] }
        lines: { columns: { who: text, at: timestamptz }, retention: { column: at, keep: 3s } }
sql: [ views.sql ]
apis: { %s: }
access: { anonymous: read, errors: read }
server: { listen: "127.0.0.1:{port}" }
store: { epoch: 2ms, checkpoint: 10ms, change_log: 3s, change_log_rows: 5000, error_rows: 20 }
"""


def views(turn):
    """The SQL, with one view that is another at every other turn."""
    return SQL.replace("{turn}", "min" if turn % 2 else "avg")


def config(server):
    return CONFIG % (server.url(), TOKEN, ": , ".join(NAMES))


class Writers:
    """pgbench on the server, until stopped."""

    def __init__(self, server, clients=2, rate=None):
        argv = [server.bin + "/pgbench", "-n", "-h", "127.0.0.1", "-p", str(server.port), "-U", "postgres", "-c", str(clients), "-T", "100000"]
        if rate:
            argv += ["-R", str(rate)]
        self.dir = procs.temp_dir("churn")
        for i, (weight, text) in enumerate(STATEMENTS):
            path = os.path.join(self.dir, "%d.sql" % i)
            with open(path, "w") as f:
                f.write(text.replace("{rows}", str(ROWS)))
            argv += ["-f", "%s@%d" % (path, weight)]
        self.log = os.path.join(self.dir, "log")
        self.process = procs.start(argv + ["postgres"], self.log)

    def stop(self):
        self.process.terminate()
        self.process.wait(20)


class Crowd:
    """Threads of clients, each doing one thing again and again; what they did is counted, what surprised them kept."""

    def __init__(self, box, seed=1):
        self.box, self.seed = box, seed
        self.counts, self.problems = {}, []
        self.lock = threading.Lock()
        self.stopping = threading.Event()
        self.threads = []

    def start(self, what, pause_s=0.0):
        rng = random.Random("%d %s %d" % (self.seed, what, len(self.threads)))
        t = threading.Thread(target=self._run, args=(what, rng, pause_s), daemon=True)
        self.threads.append(t)
        t.start()
        return self

    def _run(self, what, rng, pause_s):
        act = getattr(self, what)
        while not self.stopping.is_set():
            try:
                act(rng)
                with self.lock:
                    self.counts[what] = self.counts.get(what, 0) + 1
            except Exception as e:  # expected while a process is replaced; the test bounds how many
                with self.lock:
                    self.problems = self.problems[-50:] + ["%s: %s: %s" % (what, type(e).__name__, str(e)[:200])]
                    self.counts["failed " + what] = self.counts.get("failed " + what, 0) + 1
                self.stopping.wait(0.1)
            if pause_s:
                self.stopping.wait(pause_s)

    def stop(self):
        self.stopping.set()
        for t in self.threads:
            t.join(60)

    # ---- what clients do ----
    def read(self, rng):
        """A few reads over one connection, as a program with keep-alive does."""
        c = self.box.client(20)
        paths = ["/api/items?grp=eq.%d&order=v.desc&limit=5" % rng.randrange(50), "/api/joined/%d" % rng.randrange(1, ROWS),
                 "/api/groups", "/api/texts?grp=eq.%d" % rng.randrange(50), "/api/ratios?limit=3", "/metrics", "/", "/api/nothing",
                 "/api/items?body=like.*a*&limit=2", "/admin/views/ratios/errors", "/api/"]
        for _ in range(rng.randrange(1, 5)):
            c.request(rng.choice(paths))
        c.close()

    def drop(self, rng):
        """A connection that ends where it should not."""
        s = socket.create_connection(("127.0.0.1", self.box.port), 10)
        how = rng.randrange(5)
        if how == 1:
            s.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01")
        elif how >= 2:
            s = TLS.wrap_socket(s)
            if how == 3:
                s.sendall(b"GET /api/items HTTP/1.1\r\nHo")
            elif how == 4:
                s.sendall(b"POST /ingest/events/clicks HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + TOKEN.encode() +
                          b"\r\nContent-Length: 1000\r\n\r\n[{")
        s.close()

    def live(self, rng):
        """A live query that is followed for a moment; half of them are resumed once."""
        path, id_ = "/api/" + rng.choice(["groups", "top", "recent", "ranked?grp=eq.3", "items?grp=lt.5", "lines", "pages"]), None
        for _ in range(rng.randrange(1, 3)):
            e = self.box.events(path, 20, id_)
            end = time.monotonic() + rng.random()
            e.socket.settimeout(1)
            try:
                for _, _, got in e:
                    id_ = got or id_
                    if time.monotonic() > end or self.stopping.is_set():
                        break
            except TimeoutError:
                pass  # nothing changes there at the moment
            e.close()

    def push(self, rng):
        """Rows pushed and taken back over one connection: a keyed table of steady size, and one that retention keeps small."""
        c = self.box.client(20)
        head = {"Authorization": "Bearer " + TOKEN, "Content-Type": "application/json"}
        for _ in range(20):
            start = rng.randrange(ROWS)
            rows = [{"id": (start + i) % ROWS, "page": "/%d%s" % (rng.randrange(20), "x" * 800), "n": i} for i in range(20)]
            must(c.request("/ingest/events/clicks", dict(head, **{"Idempotency-Key": "%x" % rng.getrandbits(64)}), "POST", json.dumps(rows)))
            must(c.request("/ingest/events/clicks", head, "DELETE", json.dumps([{"id": r["id"]} for r in rows[:5]])))
            at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            must(c.request("/ingest/events/lines", head, "POST", json.dumps([{"who": "w%d" % rng.randrange(9), "at": at}] * 5)))
            c.request("/ingest/events/clicks", head, "POST", '[{"id": "no number"}]')
        c.close()


def must(answer):
    if answer.status not in (200, 201):
        raise client.Refused(answer.status, answer.body, answer.headers)


TLS = client.tls_context()


def create(server):
    c = server.connect()
    pg.script(c, SCHEMA)
    return c
