#!/usr/bin/python3
"""Certificates over the years: the self-signed one is valid whatever the clock said when it was made, and made anew for its key when it has
expired; the end of any is told in time; a renewed one is taken up by `apply`, a pair that does not fit is refused."""

import calendar
import os
import re
import ssl
import subprocess
import time

from lib import clock as moved
from lib import client
from lib.client import wait_for
from lib.penstock import Penstock
from lib.report import Report

DAY = 86400
CONFIG = """penstock: 1
sources: { demo: { generator: { workload: bank, rate: 20, seed: 7, accounts: 40 } } }
sql:
  - |
    CREATE VIEW total AS SELECT count(*) AS n FROM demo.entries;
apis: { total: }
access: { anonymous: read }
server: { listen: "127.0.0.1:{port}"%s }
"""


def openssl(*args):
    p = subprocess.run(["openssl"] + list(args), stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if p.returncode != 0:
        raise RuntimeError("openssl %s: %s" % (args[0], p.stderr[-300:]))
    return p.stdout


def pair(dir_, name, days):
    key, cert = os.path.join(dir_, name + ".key"), os.path.join(dir_, name + ".pem")
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", str(days), "-subj", "/CN=localhost",
            "-keyout", key, "-out", cert)
    return cert, key


def ends(cert):
    """When it ceases to be valid, Unix time."""
    text = openssl("x509", "-in", cert, "-noout", "-enddate").strip().split("=")[1]
    return calendar.timegm(time.strptime(text, "%b %d %H:%M:%S %Y %Z"))


def key_of(cert):
    return openssl("x509", "-in", cert, "-noout", "-pubkey")


def served(box):
    """The certificate that clients see."""
    return ssl.get_server_certificate(("127.0.0.1", box.port))


def verified(box, cafile):
    """A client that trusts this certificate and checks it takes the connection."""
    c = box.client()
    c.context = client.tls_context(cafile)
    c.context.check_hostname = False
    return c.request("/health").status == 200


def self_signed(report, clock):
    box = Penstock(CONFIG % "", shards=1, name="own")
    cert = os.path.join(box.data, "tls", "cert.pem")
    clock.move(-int(time.time()) + 1000)
    box.start()
    report.check("own/made-in-1970-valid-now", verified(box, cert), "")
    report.equal("own/stop", box.stop(), 0)
    first, key, mark = open(cert).read(), key_of(cert), box.log_mark()
    clock.move(0)
    box.start()
    report.equal("own/kept", (open(cert).read(), "certificate" in box.log_since(mark)), (first, False))
    end = ends(cert)
    report.check("own/years", end > time.time() + 5 * 365 * DAY, end)
    clock.move(int(end - time.time()) - 10 * DAY)
    wait_for(lambda: re.search(r"the certificate expires soon.* days=(9|10) ", box.log_since(mark)), 10, "the warning")
    clock.move(int(end - time.time()) + DAY)
    wait_for(lambda: "the certificate has expired" in box.log_since(mark), 10, "the error")
    report.check("own/once-a-day", box.log_since(mark).count("the certificate expires soon") == 1, box.log_since(mark)[-800:])
    report.equal("own/stop-2", box.stop(), 0)
    mark = box.log_mark()
    box.start()
    report.check("own/renewed", "a new one was made for its key" in box.log_since(mark) and open(cert).read() != first, box.log_since(mark)[-800:])
    report.equal("own/same-key", key_of(cert), key)
    report.check("own/valid-again", ends(cert) > clock.now() + 5 * 365 * DAY and served(box).strip() == open(cert).read().strip(), ends(cert))
    report.equal("own/stop-3", box.stop(), 0)
    clock.move(0)


def configured(report, clock):
    box = Penstock(None, shards=1, name="given")
    cert, key = pair(box.dir, "cert", 20)
    box.write_config(CONFIG % (", tls: { certificate: %s, key: %s }" % (cert, key)))
    box.start()
    report.check("given/soon", re.search(r"the certificate expires soon.* days=(19|20) ", box.log_text()), box.log_tail())
    text = box.client().request("/metrics").body.decode()
    report.check("given/metric", "penstock_tls_certificate_expires_seconds %d\n" % ends(cert) in text, "")
    clock.move(25 * DAY)
    wait_for(lambda: "the certificate has expired" in box.log_text(), 10, "the error")
    report.equal("given/still-serves", box.client().request("/api/total").status, 200)
    clock.move(0)
    old = served(box)

    _, other = pair(box.dir, "other", 400)
    with open(key) as f:
        right = f.read()
    with open(other) as f:
        wrong = f.read()
    with open(key, "w") as f:
        f.write(wrong)
    code, out, err = box.command("apply", "-c", box.config, "--data", box.data)
    report.check("given/unfit", code != 0 and "does not belong" in out + err and served(box) == old, "exit %d: %s" % (code, (out + err)[-400:]))
    with open(key, "w") as f:
        f.write(right)

    pid = box.pid("pipeline")
    pair(box.dir, "cert", 400)
    code, out, err = box.command("apply", "-c", box.config, "--data", box.data)
    report.equal("given/apply", code, 0)
    with open(cert) as f:
        renewed = f.read()
    wait_for(lambda: served(box).strip() == renewed.strip(), 20, "the renewed certificate")
    report.ok("given/renewed")
    mark, serve = box.log_mark(), box.pid("serve")
    code, out, err = box.command("apply", "-c", box.config, "--data", box.data)
    report.equal("given/unchanged", (code, box.pid("serve")), (0, serve))
    report.note("pipeline %d, then %d" % (pid, box.pid("pipeline")))
    report.equal("given/stop", box.stop(), 0)


def main():
    moved.build()
    with Report("test_certificates", 150) as report:
        clock = moved.Clock()
        report.section("self-signed", self_signed, report, clock)
        report.section("configured", configured, report, clock)


if __name__ == "__main__":
    main()
