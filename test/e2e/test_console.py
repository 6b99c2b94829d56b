#!/usr/bin/python3
"""The web console of a box in a real browser, at desktop and phone width, without any other network: claiming, logging in, every page; and
its HTTP side as clients speak it: cookies, other sites' pages, tries, uploads larger than memory should hold. PID 1 is a stand-in
(lib/fake_box.py); the rest is the program as it runs. A violation of the pages' policy or an error in the browser's console fails the test.
CONSOLE_SHOTS=DIR keeps pictures of the pages."""

import base64
import hashlib
import http.client
import io
import json
import os
import subprocess
import tarfile
import threading
import time

from selenium import webdriver
from selenium.common.exceptions import TimeoutException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from lib import client, procs
from lib.fake_box import FakeBox
from lib.penstock import Penstock
from lib.report import Report

YAML = """penstock: 1
sources:
  demo:
    generator: { workload: bank, rate: 50, seed: 7, accounts: 40 }
sql: [ views.sql ]
apis: { balances: , branches/top: { view: branch_totals } }
access: { anonymous: %s, roles: { teller: { balances: { columns: [id, owner, balance] } } } }
server: { listen: "127.0.0.1:{port}" }
"""
SQL = """-- what the accounts hold
CREATE VIEW balances AS SELECT a.id, a.owner, a.branch, sum(e.amount) AS balance
  FROM demo.accounts a JOIN demo.entries e ON e.account_id = a.id GROUP BY a.id;
CREATE VIEW branch_totals AS SELECT branch, count(*) AS accounts, sum(balance) AS balance FROM balances GROUP BY branch;
COMMENT ON VIEW balances IS '<b>bold</b> & <script>alert(1)</script>';
"""
SECRET = "s3cret-of-the-core"
PASSWORD = "correct horse battery"
MARK = {"X-Penstock-Console": "1"}


class Console:
    """The HTTP side, as our pages use it."""

    def __init__(self, box):
        self.box, self.cookie = box, None

    def ask(self, method, path, value=None, headers=None, raw=None):
        h = dict(MARK if method != "GET" else {}, **(headers or {}))
        if self.cookie:
            h.setdefault("Cookie", self.cookie)
        c = self.box.client()
        try:
            return c.request("/admin/box/" + path, h, method, raw if raw is not None else json.dumps(value) if value is not None else None)
        finally:
            c.close()

    def login(self, password=PASSWORD):
        a = self.ask("POST", "login", {"password": password})
        if a.status == 204:
            self.cookie = a.headers["Set-Cookie"].split(";")[0]
        return a


class Site:
    def __init__(self, name, anonymous="read", binary_args=()):
        self.dir = procs.temp_dir(name)
        self.box = FakeBox(os.path.join(self.dir, "control"), self.dir)
        self.run = Penstock(None, shards=2, name=name, dir=os.path.join(self.box.root, "data/config/current"))
        self.run.data, self.run.log = os.path.join(self.box.root, "data/store"), os.path.join(self.dir, "log")
        self.run.write_config(YAML % anonymous, SQL)
        os.mkdir(os.path.join(self.run.dir, "secrets"))
        with open(os.path.join(self.run.dir, "secrets/core"), "w") as f:
            f.write(SECRET)
        self.box.instance = self.run
        self.run.start_with = ["--control", self.box.control.path]
        self.run.start()

    def console(self):
        return Console(self.run)


def code(report, name, a, status, word):
    report.check(name, a.status == status and a.json().get("code") == word, (a.status, a.body[:200]))


# ---- the HTTP side ----

def doors(report, site):
    c = site.console()
    a = c.ask("GET", "state")
    report.equal("state", (a.status, a.json()), (200, {"claimed": False, "password": False}))
    report.check("not kept", a.headers["Cache-Control"] == "no-store" and "default-src 'none'" in a.headers["Content-Security-Policy"], str(a.headers))
    code(report, "unclaimed: nothing else", c.ask("GET", "status"), 401, "PENSTOCK_CONSOLE_SESSION")
    code(report, "wrong code", c.ask("POST", "claim", {"code": "ZZZZ-ZZZZ", "password": PASSWORD}), 403, "PENSTOCK_BOX")
    code(report, "no password", c.ask("POST", "claim", {"code": site.box.say("claim-code")}), 400, "PENSTOCK_FIELD")
    code(report, "an option is no code", c.ask("POST", "claim", {"code": "--status", "password": PASSWORD}), 400, "PENSTOCK_FIELD")
    report.equal("claimed", c.ask("POST", "claim", {"code": site.box.say("claim-code"), "password": PASSWORD}).status, 200)
    report.check("no password among words", not any(PASSWORD in w for words in site.box.control.asked for w in words), site.box.control.asked)
    code(report, "wrong password", c.login("not it at all"), 403, "PENSTOCK_BOX")
    a = c.login()
    report.check("login", a.status == 204 and a.body == b"", (a.status, a.body))
    flags = {f.strip() for f in a.headers["Set-Cookie"].split(";")[1:]}
    report.check("cookie", a.headers["Set-Cookie"].startswith("__Host-penstock-session=") and flags == {"Path=/", "Secure", "HttpOnly", "SameSite=Strict"}, a.headers["Set-Cookie"])
    report.equal("session", c.ask("GET", "session").status, 200)
    token = c.cookie.split("=")[1]
    for name, cookie in (("altered", c.cookie[:-1] + ("A" if c.cookie[-1] != "A" else "B")), ("twice", c.cookie + "; " + c.cookie), ("short", c.cookie[:-5]), ("another name", "x" + c.cookie)):
        code(report, "cookie/" + name, c.ask("GET", "session", headers={"Cookie": cookie}), 401, "PENSTOCK_CONSOLE_SESSION")
    report.equal("among others", c.ask("GET", "session", headers={"Cookie": "a=b; %s; c=d" % c.cookie}).status, 200)
    log = site.run.log_text() + open(os.path.join(site.run.data, "audit", "audit.jsonl")).read()
    report.check("no secret in the log", token not in log and PASSWORD not in log and "ZZZZ" not in log, "")
    report.check("in the audit", '"route":"login"' in log.replace(" ", "") and '"outcome":"failed"' in log.replace(" ", ""), log[-1500:])


def foreign(report, site, c):
    own = "https://127.0.0.1:%d" % site.run.port
    before = len(site.box.gone)
    for name, headers in (("no mark", {"X-Penstock-Console": ""}), ("another origin", {"Origin": "https://evil.example"}), ("null origin", {"Origin": "null"}), ("by http", {"Origin": own.replace("https", "http")}),
                          ("another port", {"Origin": own + "1"}), ("cross-site", {"Sec-Fetch-Site": "cross-site"}), ("same site", {"Sec-Fetch-Site": "same-site"}), ("typed address", {"Sec-Fetch-Site": "none"})):
        code(report, "foreign/" + name, c.ask("POST", "reboot", headers=headers), 403, "PENSTOCK_CONSOLE_ORIGIN")
    code(report, "foreign/read", c.ask("GET", "configuration", headers={"Sec-Fetch-Site": "cross-site"}), 403, "PENSTOCK_CONSOLE_ORIGIN")
    report.equal("foreign/nothing ran", len(site.box.gone), before)
    report.equal("own page", c.ask("POST", "reboot", headers={"Origin": own, "Sec-Fetch-Site": "same-origin"}).status, 200)
    a = c.ask("GET", "status", headers={"Origin": "https://evil.example"})
    report.check("no CORS", a.status == 403 and a.headers["Access-Control-Allow-Origin"] is None, str(a.headers))


def requests(report, site, c):
    report.equal("status", c.ask("GET", "status").json()["box"]["hostname"], "edge-17")
    a = c.ask("DELETE", "status")
    code(report, "method", a, 405, "PENSTOCK_METHOD")
    report.equal("allow", a.headers["Allow"], "GET")
    code(report, "unknown", c.ask("GET", "passwords"), 404, "PENSTOCK_NOT_FOUND")
    for name, raw, word in (("no JSON", b"{", "PENSTOCK_JSON"), ("an array", b"[1]", "PENSTOCK_JSON"), ("nested", b'{"role":{"a":1}}', "PENSTOCK_FIELD"), ("missing", b"{}", "PENSTOCK_FIELD"), ("NUL", b'{"role":"a\\u0000b"}', "PENSTOCK_FIELD"),
                            ("an option", b'{"role":"--data"}', "PENSTOCK_FIELD"), ("twice", b'{"role":"a","role":"b"}', "PENSTOCK_FIELD")):
        code(report, "body/" + name, c.ask("POST", "tokens", raw=raw), 400, word)
    code(report, "body/too large", c.ask("POST", "tokens", raw=b'{"role":"' + b"x" * (300 << 10) + b'"}'), 413, "PENSTOCK_BODY")
    code(report, "body/of a stranger", Console(site.run).ask("POST", "login", {"password": "x" * 5000}), 413, "PENSTOCK_BODY")
    stranger = Console(site.run)
    stranger.cookie = c.cookie[:-3] + "AAA"
    code(report, "body/of another session", stranger.ask("POST", "check", {"files": {"a": "x" * 200000}}), 401, "PENSTOCK_CONSOLE_SESSION")
    before = len(site.box.control.words("claim"))
    for _ in range(20):
        stranger.ask("GET", "state")
    report.check("visitors start few processes", len(site.box.control.words("claim")) - before <= 3, len(site.box.control.words("claim")) - before)
    for name in ("../x", "/etc/passwd", "a//b", ".hidden", "a/../b", "-c", "", "x" * 100, "a\nb"):
        code(report, "file/" + name[:12].replace("\n", "?"), c.ask("POST", "check", {"files": {name: ""}}), 400, "PENSTOCK_FILE")
    a = c.ask("POST", "check", {"files": dict(site.box.files, **{"views.sql": SQL.replace("sum(e", "summ(e")})})
    last = json.loads(a.body.decode().strip().split("\n")[-1])
    report.check("check/wrong", a.status == 200 and last["status"] == 2 and last["result"]["ok"] is False and "views.sql:2:" in last["result"]["text"], a.body[:500])
    big = "-- " + "x" * (3 << 20) + "\n" + SQL
    last = json.loads(c.ask("POST", "check", {"files": dict(site.box.files, **{"views.sql": big})}).body.decode().strip().split("\n")[-1])
    report.check("check/larger than limits.body_bytes", last["status"] == 0, last)
    last = json.loads(c.ask("POST", "revert").body.decode().strip())
    report.check("revert/none", last["status"] != 0 and last["error"] and not (last["result"] or {}).get("ok"), last)
    before = site.box.files
    a = c.ask("POST", "apply", {"files": dict(before, **{"more.sql": "-- nothing\n"})})
    lines = [json.loads(l) for l in a.body.decode().split("\n") if l]
    report.check("applied", lines[-1]["status"] == 0 and lines[-1]["result"]["ok"] and "more.sql" in site.box.files, (lines, list(site.box.files)))
    a = c.ask("GET", "configuration")
    with tarfile.open(fileobj=io.BytesIO(a.body)) as t:
        report.equal("exported", sorted(m.name for m in t if m.isfile()), sorted(site.box.files))
    last = json.loads(c.ask("POST", "revert").body.decode().strip().split("\n")[-1])
    report.check("reverted", last["status"] == 0 and site.box.files == before, (last, list(site.box.files)))
    report.check("why", "account" in json.dumps(c.ask("GET", "why?api=balances&key0=3").json()), "")
    a = c.ask("GET", "support-bundle")
    report.check("download", a.status == 200 and "attachment" in a.headers["Content-Disposition"] and b"status.json" in a.body, str(a.headers))
    a = c.ask("POST", "factory-reset", {"hostname": "edge-18"})
    report.check("another box's name", a.status == 400 and "edge-18" in a.json()["message"], a.body)
    report.equal("no box's routes elsewhere", c.box.client().request("/admin/box").status, 404)


def memory(run):
    with open("/proc/%d/status" % run.pid("serve")) as f:
        return next(int(l.split()[1]) for l in f if l.startswith("RssAnon")) << 10


def uploads(report, site, c):
    """64 MiB go through in the server's hands, not into its memory; a slow box slows the sender, and nobody else."""
    data = os.urandom(1 << 20) * 64
    before = memory(site.run)
    site.box.slow, peak, answers = 0.001, [], []
    thread = threading.Thread(target=lambda: answers.append(c.ask("POST", "upgrade", raw=data)))
    thread.start()
    while thread.is_alive():
        peak.append(memory(site.run))
        t = time.monotonic()
        report_ok = site.run.client().request("/health").status == 200
        if not report_ok or time.monotonic() - t > 5:
            report.fail("upload/reads go on", "a read took %.1f s" % (time.monotonic() - t))
        time.sleep(0.05)
    site.box.slow = 0
    lines = [json.loads(l) for l in answers[0].body.decode().split("\n") if l]
    report.check("upload/whole", site.box.uploaded == (len(data), hashlib.sha256(data).hexdigest()), site.box.uploaded)
    report.check("upload/tells", lines[-1]["status"] == 0 and "read back" in [l.get("text") for l in lines], lines)
    report.check("upload/not held", max(peak) - before < 8 << 20, "%d MiB more" % ((max(peak) - before) >> 20))
    site.box.upload_stop = 1 << 20
    a = c.ask("POST", "upgrade", raw=data)
    site.box.upload_stop = None
    last = json.loads(a.body.decode().strip().split("\n")[-1])
    report.check("upload/refused early", last["status"] == 1 and "signature" in last["error"] and site.box.uploaded[0] < 8 << 20, (last, site.box.uploaded))
    with open(os.path.join(site.dir, "upload"), "wb") as f:
        f.write(data)
    before = memory(site.run)
    p = subprocess.Popen(["curl", "-sk", "--http2", "-H", "X-Penstock-Console: 1", "-H", "Cookie: " + c.cookie, "--data-binary", "@" + f.name,
                          "-H", "Content-Type: application/octet-stream", "https://127.0.0.1:%d/admin/box/upgrade" % site.run.port], stdout=subprocess.PIPE)
    peak = [memory(site.run)]
    while p.poll() is None:
        peak.append(memory(site.run))
        time.sleep(0.05)
    report.check("upload/HTTP2", b'"status":0' in p.stdout.read() and site.box.uploaded == (len(data), hashlib.sha256(data).hexdigest()), site.box.uploaded)
    report.check("upload/HTTP2 not held", max(peak) - before < 8 << 20, "%d MiB more" % ((max(peak) - before) >> 20))
    stranger = Console(site.run)
    code(report, "upload/without a session", stranger.ask("POST", "upgrade", raw=data[:64 << 10]), 401, "PENSTOCK_CONSOLE_SESSION")
    stranger.cookie = c.cookie[:-3] + "AAA"
    code(report, "upload/with another's session", stranger.ask("POST", "upgrade", raw=data[:64 << 10]), 401, "PENSTOCK_CONSOLE_SESSION")
    s = http.client.HTTPSConnection("127.0.0.1", site.run.port, context=client.tls_context(), timeout=20)
    s.request("POST", "/admin/box/upgrade", headers=dict(MARK, Cookie=c.cookie, **{"Content-Length": str(300 << 20)}))
    report.equal("upload/too large", s.getresponse().status, 413)
    s.close()
    s = http.client.HTTPSConnection("127.0.0.1", site.run.port, context=client.tls_context(), timeout=20)
    s.putrequest("POST", "/admin/box/upgrade")
    for k, v in dict(MARK, Cookie=c.cookie, **{"Content-Length": str(8 << 20)}).items():
        s.putheader(k, v)
    s.endheaders()
    s.send(data[:4 << 20])
    s.close()
    client.wait_for(lambda: c.ask("GET", "session").status == 200, 10, "an answer after an upload that broke off")
    report.ok("upload/broken off")
    report.equal("body elsewhere", c.ask("POST", "tokens", raw=data[:2 << 20]).status, 413)


def passwords(report, site, c):
    new = "another horse battery"
    code(report, "password/wrong", c.ask("POST", "password", {"passwords": "not it\n" + new}), 403, "PENSTOCK_BOX")
    report.equal("password/changed", c.ask("POST", "password", {"passwords": PASSWORD + "\n" + new}).status, 200)
    code(report, "password/sessions ended", c.ask("GET", "session"), 401, "PENSTOCK_CONSOLE_SESSION")
    c.cookie = "__Host-penstock-session=" + site.box.say("login", input=(new + "\n").encode())  # not one more try of this address
    report.equal("session again", c.ask("GET", "session").status, 200)
    report.equal("logout", c.ask("POST", "logout").status, 204)
    code(report, "logged out", c.ask("GET", "session"), 401, "PENSTOCK_CONSOLE_SESSION")


def tries(report, site):
    c = site.console()
    found = [c.login("wrong %d" % i) for i in range(12)]
    late = [a for a in found if a.status == 429]
    report.check("tries", late and late[0].json()["code"] == "PENSTOCK_CONSOLE_TRIES" and int(late[0].headers["Retry-After"]) > 0, [a.status for a in found])


def no_box(report):
    run = Penstock(YAML % "read", views=SQL, name="no-box").start()
    a = run.client().request("/admin/box/state")
    report.check("no box", a.status == 404 and a.json()["code"] == "PENSTOCK_NO_BOX" and a.json()["hint"], a.body)
    b = browser(1200, 900)
    try:
        b.get("https://127.0.0.1:%d/" % run.port)
        WebDriverWait(b, 15).until(lambda _: b.find_elements(By.CSS_SELECTOR, "nav.pages a"))
        report.equal("no box/pages", [e.text for e in b.find_elements(By.CSS_SELECTOR, "nav.pages a")], ["Overview", "Sources", "Views", "API explorer"])
        WebDriverWait(b, 15).until(lambda _: "source rows a second" in b.find_element(By.ID, "main").text)
        quiet(report, b, "no box", ("status of 404",))
    finally:
        b.quit()
    report.equal("no box/stop", run.stop(), 0)


# ---- the pages ----

def browser(width, height):
    o = webdriver.ChromeOptions()
    for a in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--ignore-certificate-errors",
              "--window-size=%d,%d" % (width, height), "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--no-proxy-server"):
        o.add_argument(a)
    if width < 500: # the window itself cannot be so narrow
        o.add_experimental_option("mobileEmulation", {"deviceMetrics": {"width": width, "height": height, "pixelRatio": 2.0}})
    o.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    o.binary_location = os.environ.get("CHROMIUM", "/usr/bin/chromium")
    return webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=o)


def quiet(report, b, name, expected=()):
    bad = [e for e in b.get_log("browser") if e["level"] == "SEVERE" and not any(x in e["message"] for x in expected)]
    report.check(name + "/console", not bad, str(bad)[:600])


class Pages:
    def __init__(self, report, site, b, name):
        self.report, self.site, self.b, self.name = report, site, b, name

    def check(self, what, ok, why=""):
        self.report.check(self.name + "/" + what, ok, why)

    def one(self, css):
        return self.b.find_element(By.CSS_SELECTOR, css)

    def all(self, css):
        return self.b.find_elements(By.CSS_SELECTOR, css)

    def until(self, what, seconds=15):
        try:
            return WebDriverWait(self.b, seconds).until(lambda _: what())
        except TimeoutException:
            raise TimeoutError("it shows: %s; %s" % (self.one("body").text[:600], self.b.get_log("browser")[-3:])) from None

    def click(self, e):
        self.b.execute_script("arguments[0].scrollIntoView({block: 'center'})", e)
        e.click()

    def press(self, text, inside="main"):
        self.click(next(e for e in self.all(inside + " button") if e.text == text))

    def text(self):
        return self.one("#main").text

    def open(self, page):
        self.b.get("https://127.0.0.1:%d/#/%s" % (self.site.run.port, page))

    def shot(self, what):
        fits = self.b.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
        self.check(what + "/fits", fits, "it scrolls sideways: %s" % self.b.execute_script(
            "return [...document.querySelectorAll('main *')].filter(e => e.getBoundingClientRect().right > innerWidth + 1).slice(0, 3).map(e => e.outerHTML.slice(0, 120))"))
        where = os.environ.get("CONSOLE_SHOTS")
        if where:
            self.b.save_screenshot(os.path.join(where, "%s-%s.png" % (self.name, what)))


def claim(p):
    p.open("")
    p.until(lambda: p.all("#code"))
    p.check("claim alone", not p.one("nav.pages").is_displayed() and "claim code" in p.text().lower(), p.text())
    code = p.site.box.say("claim-code")
    p.one("#code").send_keys(code.lower().replace("-", ""))
    p.check("code is put in order", p.one("#code").get_attribute("value") == code, (p.one("#code").get_attribute("value"), code))
    p.one("#password").send_keys("short")
    p.check("strength", "12 characters" in p.one("#main").text, p.text())
    p.one("#password").send_keys(Keys.CONTROL + "a" + Keys.NULL, PASSWORD)
    p.one("#again").send_keys("another one")
    p.shot("claim")
    p.press("Claim this box")
    p.check("not the same", "not the same" in p.text(), p.text())
    p.one("#again").send_keys(Keys.CONTROL + "a" + Keys.NULL, PASSWORD)
    p.press("Claim this box")
    p.until(lambda: "Health" in p.text())
    p.check("claimed and in", '"claimed":true' in p.site.box.say("claim", "--status", "--json") and p.one("#session").is_displayed())


def login(p):
    p.open("system")
    p.until(lambda: p.all("#password"))
    p.check("visitor's pages", [e.text for e in p.all("nav.pages a")] == ["Views", "API explorer", "Log in"], [e.text for e in p.all("nav.pages a")])
    p.shot("login")
    p.one("#password").send_keys("not it", Keys.ENTER)
    p.until(lambda: "the password is not right" in p.text())
    p.one("#password").send_keys(Keys.CONTROL + "a" + Keys.NULL, PASSWORD, Keys.ENTER)
    p.until(lambda: p.one("#session").is_displayed())


def overview(p):
    p.open("overview")
    p.until(lambda: "edge-17" in p.text() and "10.0.2.15" in p.text() and "Cores" in p.text())
    p.check("overview", "init" in p.text() and "confirmed" in p.text() and "until 20" in p.text(), p.text())
    p.until(lambda: " %" in p.text())
    p.shot("overview")
    p.open("sources")
    p.until(lambda: "streaming" in p.text() and "branch_totals" in p.text())
    p.shot("sources")


def views(p):
    p.open("views")
    p.until(lambda: len(p.all("#body tr")) >= 40)
    p.check("descriptions are text", "<b>bold</b>" in p.one("#apis").text and not p.all("#apis b, #apis script"), p.one("#apis").text)
    p.until(lambda: "live" in p.one("#facts").text and p.all("#body tr.upd"))
    p.one("#filter").send_keys("id=lt.6", Keys.ENTER)
    p.until(lambda: 0 < len(p.all("#body tr")) < 6)
    p.check("curl", "/api/balances?id=lt.6" in p.one("#curl").text, p.one("#curl").text)
    # a row may be drawn anew between finding and clicking it
    p.b.execute_script("document.querySelector('#body tr td').click()")
    p.until(lambda: "Why balances" in p.text())
    p.check("why", "demo.accounts" in p.one("#why").text and "a.id from demo.accounts.id" in p.one("#why").text, p.one("#why").text[:300])
    p.shot("views")
    p.one("#filter").send_keys("&nope=eq.1", Keys.ENTER)
    p.until(lambda: p.one("#error").is_displayed() and "nope" in p.one("#error").text)


def dataflow(p):
    p.open("dataflow")
    p.until(lambda: len(p.all(".graph svg g")) >= 8)
    alone = p.name == "wide" # later another version is kept, and the graph comes without numbers
    p.until(lambda: "rows/s," in p.one(".graph").text if alone else p.one("#no-numbers").is_displayed())
    boxes = p.b.execute_script("return [...document.querySelectorAll('.graph g')].map(g => { const r = g.getBoundingClientRect(); return [r.x, r.y, r.right, r.bottom] })")
    over = [(a, c) for i, a in enumerate(boxes) for c in boxes[:i] if a[0] < c[2] and c[0] < a[2] and a[1] < c[3] and c[1] < a[3]]
    p.check("nothing lies over another", not over, over)
    p.b.execute_script("document.querySelector('.graph g.aggregate').dispatchEvent(new MouseEvent('click', {bubbles: true}))")
    p.until(lambda: len(p.all("#by-shard tbody tr")) == 2 if alone else "aggregate by" in p.text(), 30)
    p.shot("dataflow")


def configuration(p):
    p.open("configuration")
    p.until(lambda: "This is what runs." in p.text())
    p.until(lambda: "v1" in p.text())
    tab = lambda n: next(e for e in p.all(".tabs button") if e.text.startswith(n))
    p.click(tab("secrets/core"))
    p.check("a secret is not shown", "not shown" in p.text() and not p.one("#text").is_displayed() and SECRET not in p.b.page_source, p.text()[:300])
    p.shot("secret")
    p.click(tab("penstock.yaml"))
    yaml = p.one("#text").get_attribute("value")
    p.b.execute_script("arguments[0].value += '\\n# token: x\\npassword: abc\\n'; arguments[0].dispatchEvent(new Event('input'))", p.one("#text"))
    p.check("a secret written out", "written out in line %d." % (len(yaml.split("\n")) + 2) in p.text(), p.text()[:900])
    p.b.execute_script("arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('input'))", p.one("#text"), yaml)
    p.click(tab("views.sql"))
    p.check("highlighted", any(e.text == "CREATE" for e in p.all(".editor .hl-word")), p.one(".editor").text[:200])
    area = p.one("#text")
    put = lambda text: p.b.execute_script("arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('input'))", area, text)
    put(SQL.replace("sum(e", "summ(e"))
    p.until(lambda: "summ" in p.one("#verdict").text)
    p.check("at its line", [e.text for e in p.all(".gutter .wrong")] == ["2"] and "views.sql, line 2" in p.one("#verdict").text, p.one("#verdict").text)
    p.shot("wrong")
    put(SQL + "CREATE INDEX ON balances (balance);\n")
    p.until(lambda: "It can be applied." in p.one("#verdict").text)
    p.check("plan", "What will change" in p.text() and "index (balance) added" in p.text(), p.text()[:500])
    p.check("nothing applied yet", p.site.box.files["views.sql"] == SQL)
    p.shot("plan")
    p.click(p.one("#apply"))
    p.until(lambda: "This is what runs." in p.one("#verdict").text, 40)
    p.check("secret kept", p.site.box.files["secrets/core"] == SECRET, p.site.box.files)
    p.check("applied", "CREATE INDEX ON balances (balance)" in p.site.box.files["views.sql"])
    p.press("Go back to the previous one")
    p.press("Go back", "dialog")
    p.until(lambda: p.site.box.files["views.sql"] == SQL, 40)
    p.until(lambda: "This is what runs." in p.one("#verdict").text, 40)


def access(p):
    p.open("access")
    p.until(lambda: "Who may see what" in p.text() and "teller" in p.text())
    p.one("form input[list]").send_keys("teller")
    p.press("Make a token")
    p.until(lambda: p.all("#made"))
    p.check("token", len(p.one("#made").text) > 20, p.one("#made").text)
    p.until(lambda: any(e.text == "Revoke" for e in p.all("main button")))
    p.shot("access")


def certificates(p):
    p.open("certificates")
    p.until(lambda: "the box has no certificate yet" in p.text())
    p.press("Make a request")
    p.until(lambda: p.all("#csr"))
    p.one("#pem").send_keys("nonsense")
    p.press("Install")
    p.until(lambda: "the certificate cannot be read" in p.one("#toasts").text)
    p.shot("certificates")


def system(p):
    p.open("system")
    p.until(lambda: "eth0" in p.text() and "rolled-back" in p.text() and "line 42" in p.one("#logs").text)
    p.check("logs are text", "<b>not a tag</b>" in p.one("#logs").text, "")
    p.shot("system")
    image = os.path.join(p.site.dir, "image.pimage")
    with open(image, "wb") as f:
        f.write(os.urandom(5 << 20))
    p.one("#image").send_keys(image)
    p.press("Upgrade")
    p.press("Upgrade", "dialog")
    p.until(lambda: "starts anew with slot b" in p.one("#upgrade-told").text)
    p.check("upload", p.site.box.uploaded[0] == 5 << 20, p.site.box.uploaded)
    p.click(p.one("details summary"))
    area = p.one("textarea[aria-label='Network settings']")
    p.check("draft", "eth0: { dhcp4: true" in area.get_attribute("value"), area.get_attribute("value"))
    area.send_keys("wrong: 1")
    p.press("Try it")
    p.press("Try it", "dialog")
    p.until(lambda: 'unknown key "wrong"' in p.one("#toasts").text)
    p.b.execute_script("arguments[0].value = 'box: 1\\nhostname: edge-17\\n'", area)
    p.press("Try it")
    p.press("Try it", "dialog")
    p.until(lambda: "former settings come back in" in p.text())
    p.press("Keep these settings")
    p.until(lambda: ["network", "confirm"] in p.site.box.control.words("network"))
    blob = b"".join(len(x).to_bytes(4, "big") + x for x in (b"ssh-ed25519", os.urandom(32)))
    p.one("textarea[placeholder^=ssh]").send_keys("ssh-ed25519 " + base64.b64encode(blob).decode() + " ana")
    p.press("Add")
    p.until(lambda: "ana" in p.text())
    p.press("Remove")
    p.press("Remove", "dialog")
    p.until(lambda: not json.loads(p.site.box.say("ssh-key", "list", "--json"))["keys"])
    before = len(p.site.box.gone)
    p.click(p.one("#factory-reset"))
    yes = p.one("dialog button.danger")
    p.one("dialog input").send_keys("edge-1")
    p.check("reset needs the name", not yes.is_enabled())
    p.one("dialog input").send_keys("7")
    p.check("reset", yes.is_enabled())
    p.one("dialog input").send_keys(Keys.ESCAPE)
    p.until(lambda: not p.all("dialog"))
    p.check("escape is no", len(p.site.box.gone) == before)


def keyboard(p):
    """Tab goes through what there is, and what has it is seen to."""
    p.open("overview")
    p.b.refresh()
    p.until(lambda: "Health" in p.text())
    seen = []
    for _ in range(12):
        p.b.switch_to.active_element.send_keys(Keys.TAB)
        seen.append(p.b.switch_to.active_element.text)
    p.check("keyboard", "To the content" in seen and "Configuration" in seen, seen)
    unnamed = p.b.execute_script("return [...document.querySelectorAll('button, a, input, select, textarea')].filter(e => !(e.textContent.trim() || e.ariaLabel || e.labels?.length || e.title)).map(e => e.outerHTML.slice(0, 100))")
    p.check("names", not unnamed, unnamed)


def pages(report, site, width, height, name, first):
    b = browser(width, height)
    p = Pages(report, site, b, name)
    try:
        (claim if first else login)(p)
        for part in (overview, views, dataflow, configuration, access, certificates, system, keyboard):
            report.section("%s/%s" % (name, part.__name__), part, p)
        p.click(p.one("#session"))
        p.until(lambda: p.all("#password"))
        p.check("logged out", ["logout"] in site.box.control.words("logout") and not os.listdir(os.path.join(site.box.root, "run/box/sessions")))
        quiet(report, b, name, ("status of 4",))
        if os.environ.get("CONSOLE_SHOTS") and not report.bad:
            p.shot("out")
    finally:
        b.quit()


def main():
    with Report("test_console", 240) as report:
        site = Site("console")
        head = site.run.client().request("/").headers
        policy = head["Content-Security-Policy"]
        report.check("policy", "unsafe" not in policy and "script-src 'self'" in policy and "frame-ancestors 'none'" in policy and head["X-Content-Type-Options"] == "nosniff", policy)
        report.equal("no HSTS with a self-signed certificate", head["Strict-Transport-Security"], None)
        pages(report, site, 1280, 900, "wide", True)
        pages(report, site, 390, 800, "phone", False)
        report.equal("stop", site.run.stop(), 0)
        other = Site("console-http", anonymous="none")
        report.section("doors", doors, report, other)
        c = other.console()
        c.login()
        for part in (foreign, requests, uploads, passwords):
            report.section(part.__name__, part, report, other, c)
        report.section("tries", tries, report, other)
        report.equal("stop/http", other.run.stop(), 0)
        no_box(report)


if __name__ == "__main__":
    main()
