#!/usr/bin/python3
"""A box's life, whole: an image is built and booted, provisioned by a folder on it, reads a PostgreSQL on this computer's
loopback, answers over TLS and SSH, is upgraded, refuses a broken upgrade by going back, and loses its power amid writes
and amid an upgrade. After each of them its views are compared with what PostgreSQL says of the same tables."""
import decimal
import json
import os
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.realpath(os.path.join(HERE, "../.."))
sys.path.insert(0, os.path.join(ROOT, "test/e2e"))
sys.path.append(os.path.join(HERE, "lib"))
import machine
from lib import client, pg, procs
from lib.report import Report

PENSTOCK = os.environ.get("PENSTOCK") or os.path.join(ROOT, "build", os.uname().machine, "penstock")
ACCOUNTS = 200
BOX = """box: 1
hostname: edge-1
time: { servers: [] }
upgrade: { trial: 90s }
"""
CONFIG = """penstock: 1
sources:
  core:
    postgres:
      url: postgresql://postgres@10.0.2.2:5432/postgres?sslmode=disable
      tables: [ accounts, entries ]
sql: [ views.sql ]
apis: { balances: , total: }
access: { anonymous: read }
"""
VIEWS = """CREATE VIEW balances AS
  SELECT a.id AS account_id, a.owner, sum(e.amount) AS balance, count(*) AS entries
  FROM core.accounts a JOIN core.entries e ON e.account_id = a.id GROUP BY a.id;
CREATE VIEW total AS SELECT sum(balance) AS total, count(*) AS accounts FROM balances;
"""
TABLES = """CREATE TABLE accounts (id bigint PRIMARY KEY, owner text NOT NULL);
CREATE TABLE entries (id bigserial PRIMARY KEY, account_id bigint NOT NULL REFERENCES accounts, amount numeric(12,2) NOT NULL);
INSERT INTO accounts SELECT i, 'owner ' || i FROM generate_series(1, %d) i;
INSERT INTO entries (account_id, amount) SELECT 1 + i %% %d, 0 FROM generate_series(0, 999) i;
CREATE PUBLICATION penstock FOR TABLE accounts, entries;
""" % (ACCOUNTS, ACCOUNTS)


class Bank(threading.Thread):
    """Moves money between accounts until it is told to stop: the sum stays zero in every transaction."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server, self.stopping, self.moved = server, threading.Event(), 0

    def run(self):
        c = self.server.connect(autocommit=False)
        while not self.stopping.is_set():
            a, b, amount = 1 + self.moved % ACCOUNTS, 1 + (self.moved * 7 + 3) % ACCOUNTS, "%d.%02d" % (self.moved % 900 + 1, self.moved % 100)
            pg.script(c, "INSERT INTO entries (account_id, amount) VALUES (%d, -%s), (%d, %s)" % (a, amount, b, amount))
            c.commit()
            self.moved += 1
            time.sleep(0.01)
        c.close()

    def stop(self):
        self.stopping.set()
        self.join(10)


def made(words, **kw):
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT, **kw)
    if done.returncode != 0:
        raise RuntimeError("%s: status %d: %s" % (" ".join(words[:4]), done.returncode, done.stdout[-1500:]))
    return done.stdout


class Images:
    """Builds of one version, signed by a key of this test; each in its own folder."""

    def __init__(self, folder):
        self.folder, self.keys = folder, os.path.join(folder, "keys")
        os.mkdir(self.keys)
        made([PENSTOCK, "keys", "create", os.path.join(self.keys, "test")])
        self.key = os.path.join(self.keys, "test.key")

    def build(self, name, *words):
        out = os.path.join(self.folder, name)
        made([os.path.join(ROOT, "scripts/image"), "qemu-virt", "--build", name, "--keys", self.keys, "--out", out, "--quick"] + list(words))
        return os.path.join(out, "penstock-qemu-virt")

    def bundle(self, image):
        out = "%s-%s.pimage" % (image, os.path.basename(self.key))
        if not os.path.exists(out):
            made([PENSTOCK, "bundle", "image", image + "-slot.fat", image + ".json", "--key", self.key, "-o", out])
        return out


class Trial:
    def __init__(self, report, box, server):
        self.report, self.box, self.server = report, box, server
        self.http = client.Client(box.https_port)

    def get(self, path, seconds=180):
        """An answer of 200, however often it takes: the box may be starting."""
        end, last = time.monotonic() + seconds, "nothing"
        while time.monotonic() < end and self.box.running:
            try:
                answer = self.http.request(path)
                if answer.status == 200:
                    return answer
                last = "%d %s" % (answer.status, answer.body[:200])
            except OSError as e:
                last = str(e)
                self.http.close()
            except Exception as e:  # half an answer of a box that goes down
                last = repr(e)
                self.http.close()
            time.sleep(0.5)
        raise AssertionError("no answer to %s within %d s: %s\nthe console's end:\n%s" % (path, seconds, last, self.box.tail()))

    def status(self):
        return json.loads(self.box.ssh(["status", "--json"])[1])

    def same(self, name, seconds=60):
        """The views show exactly what PostgreSQL says, within a bound of time."""
        c = self.server.connect()
        want = {r[0]: (r[1], r[2], r[3]) for r in pg.rows(c, "SELECT a.id, a.owner, sum(e.amount), count(*) FROM accounts a JOIN entries e "
                                                             "ON e.account_id = a.id GROUP BY a.id")}
        c.close()
        end, have = time.monotonic() + seconds, None
        while time.monotonic() < end:
            rows = json.loads(self.get("/api/balances?limit=%d" % (2 * ACCOUNTS)).body, parse_float=decimal.Decimal)
            have = {r["account_id"]: (r["owner"], r["balance"], r["entries"]) for r in rows}
            if have == want:
                break
            time.sleep(0.5)
        wrong = [k for k in want if have.get(k) != want[k]]
        self.report.check(name, have == want, "%d of %d rows differ, the first: %s, expected %s" % (
            len(wrong), len(want), have.get(wrong[0]) if wrong else None, want[wrong[0]] if wrong else None))

    def healthy(self, name, build, slot, state="confirmed", seconds=240):
        """The box runs this build in this slot, and says that it is well."""
        end, last = time.monotonic() + seconds, None
        while time.monotonic() < end and self.box.running:
            code, out, err = self.box.ssh(["status", "--json"], check=False, seconds=20)
            last = json.loads(out)["box"] if code == 0 else err
            if code == 0 and last["image"]["build"] == build and last["slot"]["state"] == state and last["health"]["ok"]:
                break
            time.sleep(1)
        ok = isinstance(last, dict) and (last["image"]["build"], last["slot"]["running"], last["slot"]["state"], last["health"]["ok"]) == (build, slot, state, True)
        self.report.check(name, ok, "%s\nthe console's end:\n%s" % (json.dumps(last)[:1500], self.box.tail()))
        return ok


def first_boot(t):
    t.box.provision_esp({"box.yaml": BOX, "penstock.yaml": CONFIG, "views.sql": VIEWS, "authorized_keys": t.box.public_key})
    t.box.boot()
    t.get("/health")
    t.report.note("first boot: %.1f s from power-on to the first answer" % (time.monotonic() - t.box.booted_at))
    t.report.check("first/ssh", t.box.wait_ssh() != "", "nothing printed")
    t.healthy("first/healthy", "one", "a")
    t.same("first/rows")
    t.report.check("first/hostname", t.status()["box"]["hostname"] == "edge-1", str(t.status()["box"]["hostname"]))


def change_is_seen(t):
    c = t.server.connect()
    pg.script(c, "INSERT INTO entries (account_id, amount) VALUES (1, -77.25), (2, 77.25)")
    c.close()
    t.same("change/rows")
    answer = t.get("/api/total")
    t.report.equal("change/total", [str(r["total"]) for r in json.loads(answer.body, parse_float=decimal.Decimal)], ["0.00"])


def host_key(t):
    found = subprocess.run(["ssh-keyscan", "-p", str(t.box.ssh_port), "-t", "ed25519", "127.0.0.1"], stdout=subprocess.PIPE,
                           stderr=subprocess.DEVNULL, text=True, timeout=60).stdout.split()
    return found[-1] if found else None


def upgrade(t, bundle, **kw):
    with open(bundle, "rb") as f:
        return t.box.ssh(["upgrade"], stdin=f, seconds=240, **kw)


def good_upgrade(t, images):
    key = host_key(t)
    upgrade(t, images.bundle(images.build("two")))
    t.healthy("upgrade/confirmed", "two", "b")
    t.same("upgrade/rows")
    t.report.equal("upgrade/host-key", host_key(t), key)


def bad_signature(t, images):
    """A bundle with one other byte is refused, and nothing of the other slot is touched."""
    before = t.box.ssh(["slot", "--json"])[1]
    with open(images.bundle(images.folder + "/two/penstock-qemu-virt"), "rb") as f:
        data = bytearray(f.read())
    data[len(data) // 2] ^= 1
    changed = os.path.join(images.folder, "changed.pimage")
    with open(changed, "wb") as f:
        f.write(data)
    code, out, err = upgrade(t, changed, check=False)
    t.report.check("tampered/refused", code == 1, "status %d: %s" % (code, out + err))
    other = images.__class__.__new__(images.__class__)
    other.folder, other.keys = images.folder, os.path.join(images.folder, "strangers")
    os.mkdir(other.keys)
    made([PENSTOCK, "keys", "create", os.path.join(other.keys, "stranger")])
    other.key = os.path.join(other.keys, "stranger.key")
    foreign = other.bundle(images.folder + "/one/penstock-qemu-virt")
    code, out, err = upgrade(t, foreign, check=False)
    t.report.check("stranger/refused", code == 1, "status %d: %s" % (code, out + err))
    t.report.equal("stranger/untouched", json.loads(t.box.ssh(["slot", "--json"])[1])["running"], json.loads(before)["running"])


def broken_upgrade(t, images):
    """The program of this image cannot start: the box never becomes healthy, and goes back by itself."""
    stub = os.path.join(images.folder, "no-program")
    with open(stub, "w") as f:
        f.write("this is no program\n")
    bundle = images.bundle(images.build("broken", "--replace", "/bin/penstock=" + stub))
    upgrade(t, bundle)
    t.box.wait_console("Penstock .*two|two", 400)
    t.healthy("broken/went-back", "two", "b", state="fallback", seconds=400)
    t.same("broken/rows")


def cut_amid_writes(t):
    bank = Bank(t.server)
    bank.start()
    time.sleep(6)
    t.box.power_cut()
    time.sleep(1)
    t.box.boot()
    t.get("/health")
    time.sleep(3)
    bank.stop()
    t.report.check("cut/moved", bank.moved > 100, "only %d transactions" % bank.moved)
    t.same("cut/rows", 120)


def cut_amid_update(t, images):
    """Power goes while the other slot is being written."""
    running = json.loads(t.box.ssh(["slot", "--json"])[1])["running"]
    image = images.folder + "/one/penstock-qemu-virt"
    bundle = images.bundle(image)
    with open(bundle, "rb") as f:
        data = f.read()
    p = subprocess.Popen(t.box.ssh_command(["upgrade"]), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        p.stdin.write(data[: len(data) * 2 // 3])
        p.stdin.flush()
        time.sleep(3)
        t.report.check("update-cut/amid", p.poll() is None, "it had ended: %s" % (p.stderr.read() if p.poll() is not None else b""))
    except BrokenPipeError:
        t.report.check("update-cut/amid", False, "refused: %s" % p.stderr.read())
    t.box.power_cut()
    p.kill()
    p.wait()
    t.box.boot()
    t.get("/health")
    t.box.wait_ssh()
    now = json.loads(t.box.ssh(["slot", "--json"])[1])
    t.report.equal("update-cut/slot", now["running"], running)
    t.same("update-cut/rows", 120)
    upgrade(t, bundle)
    t.healthy("update-cut/upgraded-after", "one", "a" if running == "b" else "b")
    t.same("update-cut/upgraded-rows", 120)


def main():
    with Report("test_appliance", 1500) as report:
        folder = procs.temp_dir("images")
        images = Images(folder)
        image = images.build("one")
        server = pg.Postgres().start()
        c = server.connect()
        pg.script(c, TABLES)
        c.close()
        box = machine.Machine(image + ".img", forwards={5432: server.port})
        t = Trial(report, box, server)
        try:
            first_boot(t)
            change_is_seen(t)
            good_upgrade(t, images)
            bad_signature(t, images)
            broken_upgrade(t, images)
            cut_amid_writes(t)
            cut_amid_update(t, images)
        finally:
            box.close()
            server.stop()


if __name__ == "__main__":
    main()
