#!/usr/bin/python3
"""How a box comes to be somebody's, on this computer: the commands that PID 1 runs for it, below another root, and a server that takes up
the certificate that they make and install without losing a connection."""

import json
import os
import socket
import ssl
import subprocess
import tempfile

from lib import client, procs
from lib.client import wait_for
from lib.penstock import Penstock
from lib.report import Report

PENSTOCK = procs.binary()
WORDS = "correct horse battery\n"
CONFIG = """penstock: 1
sources: { demo: { generator: { workload: bank, rate: 20, seed: 7, accounts: 40 } } }
sql:
  - |
    CREATE VIEW total AS SELECT count(*) AS n FROM demo.entries;
apis: { total: }
access: { anonymous: read }
server: { listen: "127.0.0.1:{port}" }
"""


class Root:
    def __init__(self, path):
        self.path = path
        for name in ("data/box", "data/store", "data/config", "run/box", "esp/penstock"):
            os.makedirs(os.path.join(path, name))

    def run(self, *words, text=""):
        return subprocess.run([PENSTOCK, "box", "--root", self.path] + list(words), input=text, capture_output=True, text=True)

    def file(self, name):
        return os.path.join(self.path, name)

    def has(self, name):
        return os.path.exists(self.file(name))


def openssl(*words, text=None):
    return subprocess.run(["openssl"] + list(words), input=text, capture_output=True, text=True, check=True).stdout


def claim(r, box):
    made = box.run("prepare", "--tell")
    code = made.stdout.split("claim code: ")[1].strip()
    r.check("an unclaimed box tells its code", made.returncode == 0 and open(box.file("data/box/claim")).read().strip() == code)
    r.check("and says that it is nobody's", json.loads(box.run("claim", "--status", "--json").stdout) == {"claimed": False, "password": False})
    wrong = box.run("claim", "0000-000U", text=WORDS)
    r.check("a wrong code is refused", wrong.returncode == 1 and "not right" in wrong.stderr and not box.has("data/box/admin.json"), wrong.stderr)
    r.check("as is a short password", box.run("claim", code, text="short\n").returncode == 2)
    done = box.run("claim", code.lower().replace("-", " "), text=WORDS)
    r.check("the code claims it, however it is typed", done.returncode == 0 and not box.has("data/box/claim"), done.stderr)
    token = box.run("login", text=WORDS).stdout.strip()
    r.check("login prints a token", len(token) == 43 and box.run("session", token).returncode == 0)
    r.check("which is kept as a hash alone", token not in str(os.listdir(box.file("run/box/sessions"))))
    r.check("another token is none", box.run("session", token[:-1] + ("A" if token[-1] != "A" else "B")).returncode == 1)
    box.run("logout", text=token + "\n")
    r.check("logout ends it", box.run("session", token).returncode == 1)
    for _ in range(5):
        box.run("login", text="some other words\n")
    late = box.run("login", text=WORDS)
    r.check("after five wrong passwords the right one waits", late.returncode == 1 and "wait" in late.stderr, late.stderr)
    changed = box.run("password-reset", text="quite another phrase\n")
    r.check("who has SSH sets another password", changed.returncode == 0, changed.stderr)


def provision(r, box):
    key = box.file("id")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "me", "-f", key], check=True)
    public = open(key + ".pub").read()
    files = {"box.yaml": "box: 1\nhostname: edge-9\n", "authorized_keys": public, "penstock.yaml": CONFIG.replace("{port}", "8443")}
    for name, text in files.items():
        with open(box.file("esp/penstock/" + name), "w") as f:
            f.write(text)
    with open(box.file("esp/penstock/penstock.yaml"), "a") as f:
        f.write("sqll: [ a ]\n")
    done = box.run("provision", "--remove", box.file("esp/penstock"))
    r.check("a folder with a wrong configuration is refused whole", done.returncode != 0 and "sqll" in done.stderr and
            not box.has("data/box/authorized_keys"), done.stderr)
    with open(box.file("esp/penstock/penstock.yaml"), "w") as f:
        f.write(files["penstock.yaml"])
    done = box.run("provision", "--remove", box.file("esp/penstock"))
    r.check("mended, it is taken", done.returncode == 0 and "the box is claimed" in done.stderr, done.stdout + done.stderr)
    r.check("and gone", os.listdir(box.file("esp/penstock")) == ["penstock-result.txt"])
    r.check("the configuration is in force", box.has("data/config/current/penstock.yaml"))
    prints = [k["fingerprint"] for k in json.loads(box.run("ssh-key", "list", "--json").stdout)["keys"]]
    r.check("the key is listed as ssh-keygen shows it", prints == [subprocess.run(
        ["ssh-keygen", "-lf", key + ".pub"], capture_output=True, text=True).stdout.split()[1]], prints)
    r.check("the last key stays", box.run("ssh-key", "remove", prints[0]).returncode == 1)
    subprocess.run([PENSTOCK, "keys", "create", box.file("sign")], check=True, capture_output=True)
    added = box.run("key", "add", text=open(box.file("sign.pub")).read())
    listed = json.loads(box.run("key", "list", "--json").stdout)["keys"]
    r.check("a signing key comes", added.returncode == 0 and len(listed) == 1, added.stderr)
    r.check("and goes", box.run("key", "remove", listed[0]["fingerprint"]).returncode == 0 and
            json.loads(box.run("key", "list", "--json").stdout) == {"keys": []})


def certificates(r, box, work):
    shown = json.loads(box.run("certificate", "show", "--json").stdout)
    r.check("the first certificate is its own", shown["self_signed"] and "127.0.0.1" in shown["names"] and shown["warning"] == "", shown)
    p = Penstock(CONFIG, shards=1, name="owner").start()
    try:
        tls = os.path.join(p.data, "tls")
        c = p.client()
        r.check("the server answers", c.request("/api/total").status == 200)

        def becomes(fn):
            wait_for(fn, 20, "the certificate")
            return True

        def give():
            """What PID 1's command puts there."""
            for name in ("key.pem", "cert.pem"):
                with open(os.path.join(tls, name + "~"), "w") as f:
                    f.write(open(box.file("data/store/tls/" + name)).read())
                os.rename(os.path.join(tls, name + "~"), os.path.join(tls, name))

        def served():
            return ssl.get_server_certificate(("127.0.0.1", p.port))

        before = served()
        give()
        r.check("a running server takes it up", becomes(lambda: served() != before))
        mid = served()
        request = box.run("certificate", "csr", "--name", "edge-9.example").stdout
        text = openssl("req", "-noout", "-text", "-verify", text=request)
        r.check("a request names the box", "DNS:edge-9.example" in text and "CN" in text, text)
        r.check("until its certificate comes nothing changes", box.run("certificate", "show", "--json").stdout and served() == mid)
        ca = os.path.join(work, "ca")
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj", "/CN=Authority",
                "-keyout", ca + ".key", "-out", ca + ".pem", "-addext", "basicConstraints=critical,CA:TRUE")
        with open(ca + ".csr", "w") as f:
            f.write(request)
        leaf = openssl("x509", "-req", "-in", ca + ".csr", "-CA", ca + ".pem", "-CAkey", ca + ".key", "-days", "20", "-copy_extensions", "copy")
        authority = open(ca + ".pem").read()
        turned = box.run("certificate", "install", text=authority + leaf)
        r.check("a chain in the wrong order is refused", turned.returncode == 2, turned.stderr)
        done = box.run("certificate", "install", text=leaf + authority)
        r.check("the signed one is installed", done.returncode == 0, done.stderr)
        shown = json.loads(box.run("certificate", "show", "--json").stdout)
        r.check("its end is warned of", "19 days" in shown["warning"] or "20 days" in shown["warning"], shown["warning"])
        give()
        r.check("the server presents it", becomes(lambda: served() != mid))
        trusting = ssl.create_default_context(cafile=ca + ".pem")
        trusting.check_hostname = False
        with socket.create_connection(("127.0.0.1", p.port)) as s, trusting.wrap_socket(s) as t:
            r.check("with its chain", t.version() in ("TLSv1.2", "TLSv1.3"))
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            trusting.minimum_version = trusting.maximum_version = version
            with socket.create_connection(("127.0.0.1", p.port)) as s, trusting.wrap_socket(s) as t:
                r.check("by " + t.version(), True)
        r.check("the connection from before is still there", c.request("/api/total").status == 200)
        with open(os.path.join(tls, "cert.pem"), "w") as f:
            f.write("damaged")
        r.check("a damaged one is told", becomes(lambda: "cannot be used" in p.log_text()))
        r.check("and changes nothing", c.request("/api/total").status == 200 and served())
    finally:
        r.check("the server ends well", p.stop() == 0)


def reset(r, box):
    with open(box.file("identity"), "wb") as f:
        f.truncate(4 << 20)
    with open(box.file("run/box/boot.json"), "w") as f:
        json.dump({"identity": {"device": "/identity"}}, f)
    host = os.uname().nodename
    r.check("a reset without the box's name is refused", box.run("factory-reset", "--yes").returncode == 2 and
            box.run("factory-reset", "--yes", "another").returncode == 2)
    done = box.run("factory-reset", "--yes", host)
    r.check("with it, it is asked for", done.returncode == 0 and b"\0" * (4 << 20) != open(box.file("identity"), "rb").read(), done.stderr)


def main():
    with Report("test_box_owner", 120) as r, tempfile.TemporaryDirectory(prefix="penstock-owner-") as work:
        r.section("claim", claim, r, Root(os.path.join(work, "a")))
        box = Root(os.path.join(work, "b"))
        box.run("prepare")
        r.section("provision", provision, r, box)
        r.section("certificates", certificates, r, box, work)
        r.section("reset", reset, r, box)


if __name__ == "__main__":
    main()
