#!/usr/bin/python3
"""The API reference at /docs in a real browser, without any other network: it lists what there is, sends filtered requests, shows
a curl line that does the same, goes live, takes a token, and fits a phone. Its policy forbids scripts from elsewhere and inline."""

import json
import shlex
import subprocess

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select, WebDriverWait

from lib.penstock import Penstock
from lib.report import Report

CONFIG = """penstock: 1
sources:
  demo:
    generator: { workload: bank, rate: 50, seed: 7, accounts: 40 }
sql:
  - |
    CREATE VIEW balances AS SELECT a.id, a.owner, a.branch, sum(e.amount) AS balance
      FROM demo.accounts a JOIN demo.entries e ON e.account_id = a.id GROUP BY a.id;
    CREATE VIEW odd AS SELECT id, owner AS "a name; & more", '<img src=x onerror=alert(1)>'::text AS html FROM demo.accounts;
    COMMENT ON VIEW odd IS '<b>bold</b> & <script>alert(1)</script>';
    COMMENT ON COLUMN balances.balance IS 'What the account holds';
apis: { balances: , odd/things: { view: odd } }
access: { anonymous: read }
server: { listen: "127.0.0.1:{port}" }
"""


def browser(width, height):
    o = webdriver.ChromeOptions()
    for a in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--ignore-certificate-errors",
              "--window-size=%d,%d" % (width, height), "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--no-proxy-server"):
        o.add_argument(a)
    o.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    o.binary_location = "/usr/bin/chromium"
    return webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=o)


def main():
    with Report("test_docs_page", 120) as report:
        box = Penstock(CONFIG, shards=2, name="docs-page").start()
        box.wait_answer("/api/balances/3", 20)
        head = box.client().get("/docs").headers
        policy = head["Content-Security-Policy"]
        report.check("policy", "script-src 'self';" in policy and "unsafe" not in policy and "default-src 'self'" in policy, policy)
        report.check("type", head["Content-Type"].startswith("text/html"), str(head))
        for width, height in ((1200, 900), (390, 800)):
            name = "phone" if width < 500 else "wide"
            b = browser(width, height)
            try:
                page(report, box, b, name)
            finally:
                b.quit()
        report.check("stop", box.stop() == 0, "")


def page(report, box, b, name):
    until = lambda what: WebDriverWait(b, 15).until(what)
    one = lambda css: b.find_element(By.CSS_SELECTOR, css)
    check = lambda what, ok, why="": report.check(name + "/" + what, ok, why)
    click = lambda e: b.execute_script("arguments[0].scrollIntoView({block: 'center'})", e) or e.click()
    b.get("https://127.0.0.1:%d/docs" % box.port)
    until(lambda _: b.find_elements(By.CSS_SELECTOR, "#apis button"))
    check("lists", [e.text for e in b.find_elements(By.CSS_SELECTOR, "#apis button")] == ["balances", "odd/things"], one("#apis").text)
    check("describes", "What the account holds" in one("#api table").text and "numeric" in one("#api table").text, one("#api").text)
    # a filter, an order, chosen columns
    row = one(".filters .row")
    Select(row.find_element(By.NAME, "column")).select_by_value("id")
    Select(row.find_element(By.NAME, "operator")).select_by_value("in")
    row.find_element(By.CSS_SELECTOR, "input").send_keys("(3,5,7)")
    one("input[name=select]").send_keys("id,owner")
    one("input[name=order]").send_keys("id.desc")
    Select(one("select[name=count]")).select_by_value("exact")
    click(one("#send"))
    until(lambda _: one("#answer").text.startswith("200"))
    text = one("#answer").text
    rows = json.loads(text[text.index("["):])
    check("sends", [r["id"] for r in rows] == [7, 5, 3] and list(rows[0]) == ["id", "owner"], text)
    check("facts", "Content-Range: 0-2/3" in text and "Penstock-Epoch:" in text, text)
    line = one("#curl").text
    done = subprocess.run(shlex.split(line), capture_output=True, text=True, timeout=20)
    check("curl", done.returncode == 0 and json.loads(done.stdout) == rows, line + done.stderr + done.stdout[:200])
    # one row by its key, refused requests, live
    one("input[name=key]").send_keys("5")
    click(one("#send"))
    until(lambda _: '"id":5' in one("#answer").text)
    check("key", "/api/balances/5?" in one("#curl").text, one("#curl").text)
    one("input[name=key]").clear()
    one("input[name=order]").send_keys(",nope")
    click(one("#send"))
    until(lambda _: one("#answer").text.startswith("400"))
    check("refused", "nope" in one("#answer").text, one("#answer").text)
    one("input[name=order]").clear()
    one("input[name=select]").clear()
    click(one("#live"))
    until(lambda _: one("#answer").text.count("event: update") >= 2)
    check("live", "event: insert" in one("#answer").text and "text/event-stream" in one("#curl").text, one("#answer").text[:300])
    # texts of the database are texts
    one("#find").send_keys("odd")
    check("finds", len(b.find_elements(By.CSS_SELECTOR, "#apis button")) == 1)
    click(one("#apis button"))
    check("text", "<b>bold</b> & <script>" in one("#api").text and not b.find_elements(By.CSS_SELECTOR, "#api img, #api b, #api script"), one("#api").text[:200])
    Select(one(".filters .row [name=column]")).select_by_value("a name; & more")
    one(".filters .row input").send_keys("owner & 'x'; é")
    click(one("#send"))
    until(lambda _: one("#answer").text.startswith("200"))
    done = subprocess.run(shlex.split(one("#curl").text), capture_output=True, text=True, timeout=20)
    check("odd names", done.returncode == 0 and json.loads(done.stdout) == [], one("#curl").text + done.stdout)
    # a token goes into requests and not into the line that is copied
    one("#token").send_keys("s3cret")
    b.execute_script("arguments[0].dispatchEvent(new Event('change'))", one("#token"))
    until(lambda _: one("#error").text)
    check("token", "s3cret" not in one("#curl").text, one("#error").text)
    check("fits", b.execute_script("return document.documentElement.scrollWidth <= window.innerWidth"), "it scrolls sideways")
    bad = [e for e in b.get_log("browser") if e["level"] == "SEVERE" and "status of 4" not in e["message"]]
    check("console", not bad, str(bad)[:500])


if __name__ == "__main__":
    main()
