#!/usr/bin/python3
"""SSH on the booted box: what an administrator can do, and what nobody can. Configurations by standard input and by scp, refused ones,
logs, a support bundle without secrets, a backup put back; no shell, no root, no other user; the same host key after a restart."""
import io
import json
import os
import subprocess
import sys
import tarfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../e2e"))
sys.path.append(os.path.join(HERE, "lib"))
import machine
from lib import client
from lib.report import Report

BOX = "box: 1\nhostname: edge-22\ntime: { servers: [] }\n"
CONFIG = """penstock: 1
sources:
  bank:
    generator: { workload: bank, rate: 20, seed: 42, accounts: 50, churn: false }
sql: [ sql/views.sql ]
apis:
  accounts:
access: { anonymous: read }
server: { listen: "[::]:8443" }
"""
VIEWS = "CREATE VIEW accounts AS SELECT id, owner FROM bank.accounts;\n"
SECRET = "sesame-4711-opens"


def archive(files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as t:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(text.encode())
            t.addfile(info, io.BytesIO(text.encode()))
    return out.getvalue()


def served(m, path, seconds=120):
    """Waits for an answer of 200."""
    end, last = time.monotonic() + seconds, None
    while time.monotonic() < end and m.running:
        c = client.Client(m.https_port, 20)
        try:
            last = c.request(path).status
            if last == 200:
                return True
        except (OSError, ValueError) as e:
            last = e
        finally:
            c.close()
        time.sleep(0.5)
    raise AssertionError("%s: %s\n%s" % (path, last, m.tail()))


def host_key(m):
    p = subprocess.run(["ssh-keyscan", "-t", "ed25519", "-T", "30", "-p", str(m.ssh_port), "127.0.0.1"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=90)
    return subprocess.run(["ssh-keygen", "-l", "-f", "-"], input=p.stdout, stdout=subprocess.PIPE).stdout.decode().split()[1:2]


def scp(m, *what, seconds=180):
    p = subprocess.run(["scp", "-O", "-F", "none", "-P", str(m.ssh_port), "-i", m.key, "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", "-o",
                        "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"] + list(what[:-1]) +
                       ["admin@127.0.0.1:" + what[-1]], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=seconds)
    return p.returncode, p.stderr.decode(errors="replace")


def statuses(t, m):
    code, out, err = m.ssh(["status", "--json"])
    box = json.loads(out)["box"]
    t.check("status", box["board"] == "qemu-virt" and box["hostname"] == "edge-22" and not box["rescue"] and box["uptime_s"] > 0
            and box["image"]["build"] and box["configuration"] is None, box)
    t.equal("fingerprint", [box["fingerprint"]["ssh"]], host_key(m))
    code, out, err = m.ssh(["help"])
    t.check("help", "support-bundle" in out and "apply" in out, out)
    code, out, err = m.ssh(["status"])
    t.check("status-for-people", "edge-22" in out and "health" in out, out)


def nobody(t, m):
    for name, words in (("sh", ["sh"]), ("busybox", ["/bin/busybox", "sh"]), ("penstock", ["penstock", "box", "reboot"]), ("cat", ["cat", "/data/box/claim"]),
                        ("chained", ["status;", "reboot"]), ("sftp-server", ["/usr/lib/sftp-server"])):
        code, out, err = m.ssh(words, check=False)
        t.check("no-shell/" + name, code == 2 and not out, (code, out, err))
    for user in ("root", "penstock", "dhcp", "nobody"):
        code, out, err = m.ssh(["status"], user=user, check=False)
        t.check("no-login/" + user, code == 255 and "denied" in err, (code, out, err))
    p = subprocess.run(m.ssh_command([])[:1] + ["-s"] + m.ssh_command(["sftp"])[1:], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                       timeout=60)
    t.check("no-sftp", p.returncode != 0 and not p.stdout, (p.stdout, p.stderr))


def configurations(t, m):
    served(m, "/health")
    whole = {"penstock.yaml": CONFIG, "sql/views.sql": VIEWS}
    code, out, err = m.ssh(["check", "--json"], stdin=archive(whole))
    t.check("check", json.loads(out)["ok"] and "api accounts" in json.loads(out)["text"], out)
    code, out, err = m.ssh(["apply"], stdin=archive(whole), seconds=240)
    t.check("apply", "applied" in out, (out, err))
    t.check("served", served(m, "/api/accounts?limit=1"))
    first = json.loads(m.ssh(["status", "--json"])[1])["box"]["configuration"]
    code, out, err = m.ssh(["apply"], stdin=b"penstock: 1\nsources: [\n", check=False)
    t.check("refused", code == 2 and "penstock.yaml:" in err, (code, out, err))
    t.equal("refused-changes-nothing", json.loads(m.ssh(["status", "--json"])[1])["box"]["configuration"], first)
    folder = os.path.join(m.dir, "site")
    os.makedirs(folder + "/sql")
    with open(folder + "/penstock.yaml", "w") as f:
        f.write("# %s\n" % SECRET + CONFIG.replace("apis:\n", "apis:\n  owners:\n"))
    with open(folder + "/sql/views.sql", "w") as f:
        f.write(VIEWS + "CREATE VIEW owners AS SELECT owner, count(*) AS n FROM bank.accounts GROUP BY owner;\n")
    code, err = scp(m, "-r", folder, "config/", seconds=240)
    t.check("scp", code == 0, err[-900:])
    t.check("scp-served", served(m, "/api/owners?limit=1", 60))
    code, err = scp(m, folder + "/penstock.yaml", "/data/box/authorized_keys")
    t.check("scp-elsewhere", code != 0 and "only config/ and image" in err, (code, err))
    now = json.loads(m.ssh(["status", "--json"])[1])
    t.check("status-of-both", now["box"]["configuration"]["previous"] and now["box"]["configuration"]["sha256"] != first["sha256"]
            and now["penstock"]["pids"]["pipeline"] > 0, now)


def looking(t, m):
    code, out, err = m.ssh(["logs", "-n", "400", "--unit", "init"])
    t.check("logs", "Penstock box: qemu-virt" in out and {line.split()[1] for line in out.splitlines()} == {"init"}, out[:2000])
    p = subprocess.run(m.ssh_command(["support-bundle"]), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=200)
    with tarfile.open(fileobj=io.BytesIO(p.stdout)) as tar:
        found = {x.name: tar.extractfile(x).read() for x in tar.getmembers()}
    t.check("support-bundle", p.returncode == 0 and {"support/status.json", "support/log/box.log", "support/kernel/dmesg.txt", "support/run/boot.json",
            "support/configuration/current/penstock.yaml", "support/configuration/current/sql/views.sql", "support/box.yaml"} <= set(found), (sorted(found), p.stderr))
    key = m.public_key.split()[1].encode()
    t.check("without-secrets", not [n for n, c in found.items() if SECRET.encode() in c or key in c or b"PRIVATE KEY" in c])
    t.check("kernel-messages", b"Linux version" in found.get("support/kernel/dmesg.txt", b""), found.get("support/kernel/dmesg.txt", b"")[:300])


def backups(t, m):
    p = subprocess.run(m.ssh_command(["backup"]), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=200)
    t.check("backup", p.returncode == 0 and b"manifest.json" in p.stdout, p.stderr)
    code, out, err = m.ssh(["restore", "--yes"], stdin=p.stdout, seconds=240, check=False)
    t.check("restore", code == 0 and "restored" in out, (code, out, err, m.tail() if code else ""))
    t.check("restored-is-served", served(m, "/api/owners?limit=1", 60))


def restart(t, m):
    key, before = host_key(m), json.loads(m.ssh(["status", "--json"])[1])["box"]
    code, out, err = m.ssh(["reboot"])
    t.check("reboot-answers", "rebooting" in out, (out, err))
    m.wait_console(r"Penstock box: ", 180, count=2)
    m.wait_ssh(180, ("help",))
    after = json.loads(m.ssh(["status", "--json"])[1])["box"]
    t.check("restarted", after["uptime_s"] < before["uptime_s"], (before["uptime_s"], after["uptime_s"]))
    t.check("same-host-key", key and host_key(m) == key, key)
    t.equal("same-configuration", after["configuration"], before["configuration"])
    t.check("served-again", served(m, "/api/owners?limit=1", 60))
    m.ssh(["poweroff"])
    m.wait_exit(90)
    t.ok("poweroff")


def main():
    with Report("test_ssh", 460) as t, machine.Machine(machine.image_path()) as m:
        m.provision_esp({"box.yaml": BOX, "authorized_keys": m.public_key})
        m.boot()
        m.wait_ssh(180, ("help",))
        t.note("%.1f s from power-on to a session" % (time.monotonic() - m.booted_at))
        t.on_failure.append(lambda: t.note("log: " + m.ssh(["logs", "-n", "40"], check=False)[1][-6000:]) if m.running else None)
        for section in (statuses, nobody, configurations, looking, backups, restart):
            t.section(section.__name__, section, t, m)
            if not m.running:
                break


if __name__ == "__main__":
    main()
