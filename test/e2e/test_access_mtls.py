#!/usr/bin/python3
"""Client certificates: roles by subject and by alternative names, who is turned away at the door, and that a session which is
taken up again shows nobody else's identity."""

import http.client
import json
import os
import ssl
import subprocess

from lib.client import wait_for
from lib.penstock import Penstock
from lib.report import Report

CONFIG = """penstock: 1
sources:
  g:
    generator: { workload: bank, rate: 1, seed: 1 }
sql: [ views.sql ]
apis:
  acc:
access:
  roles:
    app: { acc: { columns: [id, branch] } }
    ops: { acc: read }
    own: { acc: { rows: "owner = claim('cn')" } }
  certificates:
    "CN=app one": app
    "dns:ops.example": ops
    "uri:spiffe://example/own": own
    "subject:O=Bank, CN=exact": ops
server:
  listen: "127.0.0.1:{port}"
  tls: { client_ca: ca.pem, client_auth: %s }
"""
VIEWS = "CREATE VIEW acc AS SELECT id, branch, owner FROM g.accounts;\n"


def openssl(dir, *args):
    p = subprocess.run(["openssl"] + list(args), cwd=dir, capture_output=True, text=True)
    if p.returncode:
        raise RuntimeError(p.stderr[-500:])


class Authority:
    def __init__(self, dir, name):
        self.dir, self.name = dir, name
        openssl(dir, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", name + ".key", "-out", name + ".pem",
                "-subj", "/CN=" + name, "-days", "30")

    def issue(self, name, subject, san=None, days="10", usage="clientAuth"):
        """Files name.pem and name.key."""
        openssl(self.dir, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", name + ".key", "-out", name + ".csr", "-subj", subject)
        with open(os.path.join(self.dir, name + ".ext"), "w") as f:
            f.write("extendedKeyUsage=%s\n" % usage + ("subjectAltName=%s\n" % san if san else ""))
        openssl(self.dir, "x509", "-req", "-in", name + ".csr", "-CA", self.name + ".pem", "-CAkey", self.name + ".key", "-CAcreateserial", "-out", name + ".pem",
                "-days", days, "-extfile", name + ".ext")
        return name


class Door:
    def __init__(self, mode):
        self.box = Penstock(None, name="mtls")
        d = self.box.dir
        self.ca, self.other = Authority(d, "ca"), Authority(d, "other")
        self.box.write_config(CONFIG % mode, VIEWS)

    def context(self, cert=None, version=None):
        c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        c.check_hostname, c.verify_mode = False, ssl.CERT_NONE
        if version:
            c.maximum_version = version
        if cert:
            c.load_cert_chain(os.path.join(self.box.dir, cert + ".pem"), os.path.join(self.box.dir, cert + ".key"))
        return c

    def ask(self, cert=None, path="/api/acc?limit=3", context=None, **headers):
        """(status, JSON) or the name of what went wrong."""
        c = http.client.HTTPSConnection("127.0.0.1", self.box.port, timeout=10, context=context or self.context(cert))
        try:
            c.request("GET", path, headers=headers)
            r = c.getresponse()
            return r.status, json.loads(r.read() or b"null")
        except (OSError, http.client.HTTPException) as e:
            return type(e).__name__, None
        finally:
            c.close()


def request(report):
    d = Door("request")
    app = d.ca.issue("app", "/CN=app one/O=Bank")
    ops = d.ca.issue("ops", "/CN=whoever", "DNS:x.example,DNS:ops.example")
    exact = d.ca.issue("exact", "/O=Bank/CN=exact")
    nobody = d.ca.issue("nobody", "/CN=app/O=Bank", "DNS:ops.example.evil,email:ops.example")
    forged = d.other.issue("forged", "/CN=app one/O=Bank")
    server = d.ca.issue("server", "/CN=app one", usage="serverAuth")
    d.box.start(ready_s=0)
    wait_for(lambda: d.ask("ops")[0] == 200, 60, "rows")
    status, rows = d.ask(app)
    report.check("role/cn", status == 200 and set(rows[0]) == {"id", "branch"}, "%s %s" % (status, rows))
    status, rows = d.ask(ops)
    report.check("role/dns", status == 200 and set(rows[0]) == {"id", "branch", "owner"}, "%s %s" % (status, rows))
    status, body = d.ask(exact)
    report.check("role/subject", status == 200, "%s %s" % (status, body))
    owner = rows[0]["owner"]
    own = d.ca.issue("own", "/CN=" + owner, "URI:spiffe://example/own")
    status, rows = d.ask(own, "/api/acc")
    report.check("rows/by-claim", status == 200 and rows and {r["owner"] for r in rows} == {owner}, "%s %s" % (status, str(rows)[:200]))
    report.check("nobody", d.ask(nobody)[0] == 401, str(d.ask(nobody)))
    report.check("no-certificate", d.ask()[0] == 401)
    report.check("forged", d.ask(forged)[0] not in (200, 401, 403), str(d.ask(forged)))
    report.check("usage", d.ask(server)[0] not in (200, 401, 403), str(d.ask(server)))
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        report.check("versions/%s" % version.name, d.ask(context=d.context(app, version))[0] == 200)
        c = d.context(app, version)
        seen = [d.ask(context=c) for _ in range(4)]
        report.check("again/%s" % version.name, all(s == 200 and set(r[0]) == {"id", "branch"} for s, r in seen), str(seen)[:300])
    kept = http.client.HTTPSConnection("127.0.0.1", d.box.port, timeout=10, context=d.context(app))

    def ask_kept():
        kept.request("GET", "/api/acc?limit=3")
        r = kept.getresponse()
        return r.status, json.loads(r.read())

    before = ask_kept()
    code, out, err = d.box.command("token", "create", "-c", d.box.config, "--data", d.box.data, "--role", "ops")
    wait_for(lambda: set(d.ask(app, Authorization="Bearer " + out.strip())[1][0]) == {"id", "branch", "owner"}, 20, "a token comes before the certificate")
    after = [ask_kept() for _ in range(3)]  # the files were read anew behind the connection's back
    report.check("kept-connection", before[0] == 200 and all(s == 200 and set(r[0]) == {"id", "branch"} for s, r in after), str((before, after))[:300])
    kept.close()
    report.check("wrong-token-is-refused", d.ask(app, Authorization="Bearer wrong")[0] == 401)
    d.box.stop()


def require(report):
    d = Door("require")
    app = d.ca.issue("app", "/CN=app one/O=Bank")
    forged = d.other.issue("forged", "/CN=app one/O=Bank")
    d.box.start(ready_s=0)
    wait_for(lambda: d.ask(app)[0] == 200, 60, "rows")
    report.check("require/none", not isinstance(d.ask()[0], int), str(d.ask()))
    report.check("require/forged", not isinstance(d.ask(forged)[0], int), str(d.ask(forged)))
    report.check("require/health-too", not isinstance(d.ask(None, "/health")[0], int))
    d.box.stop()


def wrong(report):
    for tls, said in (("{ client_auth: require }", "client_ca"), ("{ client_ca: penstock.yaml, client_auth: request }", "server.tls.client_ca"), ("{ client_ca: nowhere.pem, client_auth: request }", "nowhere.pem"),
                      ("{ client_auth: maybe }", "none, request or require")):
        box = Penstock(CONFIG.replace("{ client_ca: ca.pem, client_auth: %s }", tls), VIEWS, name="mtls-wrong")
        code, out, err = box.command("check", "-c", box.config, "--data", box.data)
        report.check("wrong/" + tls, code == 2 and said in out + err, "exit %d: %s" % (code, (out + err)[-300:]))


with Report("test_access_mtls.py", 120) as report:
    report.section("request", request, report)
    report.section("require", require, report)
    report.section("wrong", wrong, report)
