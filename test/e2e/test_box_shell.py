#!/usr/bin/python3
"""What an administrator has over SSH: a real dropbear and OpenSSH's ssh and scp on loopback, the real shell and commands; PID 1 is a
stand-in (lib/box.py). Configurations by standard input and by scp, refused ones that leave everything as it was, statuses,
hostile command lines and file names."""

import io
import json
import os
import pty
import select
import signal
import socket
import subprocess
import tarfile
import time

from lib import procs
from lib.box import VIEWS, Box
from lib.client import wait_for
from lib.report import Report


def archive(files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as t:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            t.addfile(info, io.BytesIO(text.encode()))
    return out.getvalue()


def command_lines(t, box):
    code, out, err = box.ssh("help")
    t.check("help", code == 0 and "configuration" in out and "apply" in out, (code, out, err))
    code, out, err = box.ssh("help apply")
    t.check("help-of-one", code == 0 and out.startswith("usage: apply"), (code, out, err))
    for name, words in (("sh", ["sh"]), ("bash", ["/bin/bash", "-i"]), ("sh-c", ["sh -c 'id'"]), ("env", ["env"]), ("box", ["box", "status"]),
                        ("sftp-server", ["/usr/lib/sftp-server"]), ("login-shell", ["penstock-shell"]), ("root-option", ["'--root' / status"]),
                        ("session", ["session", "x"])):
        code, out, err = box.ssh(*words)
        t.check("no-such-command/" + name, code == 2 and not out and "there is no command" in err, (code, out, err))
    for name, line in (("semicolon", "status; reboot"), ("and", "status && reboot"), ("pipe", "status | sh"), ("backquote", "status `reboot`"),
                       ("redirect", "status > /etc/passwd"), ("line-end", "status\nreboot"), ("quote", "status 'x")):
        before = len(box.control.seen)
        code, out, err = box.ssh(line)
        t.check("refused/" + name, code == 2 and not out and "^" in err and len(box.control.seen) == before, (code, out, err))
    code, out, err = box.ssh("why '$(reboot)' \"a b\" c\\ d '*' ~ $HOME")
    t.equal("words-as-they-are", box.control.seen[-1], ["why", "$(reboot)", "a b", "c d", "*", "~", "$HOME"])
    code, out, err = box.ssh("x" * 17000)
    t.check("long-line", code == 255 or (code == 2 and "longer than" in err), (code, err))  # dropbear has a bound of its own
    code, out, err = box.shell("why " + "x " * 300)
    t.check("many-words", code != 0 and "too many words" in err, (code, err))
    t.check("nothing-malformed", not [s for s in box.control.seen if s[0] == "malformed"])
    code, out, err = box.ssh(stdin=b"help exit-is-not-one\nfoo\nstatus --json\n")
    lines = out.strip().splitlines()
    t.check("script", code == 0 and lines and "box" in json.loads(lines[-1]) and "there is no command 'foo'" in err, (code, out, err))
    code, out, err = box.ssh(stdin=b"status --json\nexit\nreboot\n")
    t.check("script-exit", code == 0 and ["reboot"] not in box.control.seen, (code, out, err))


def transport(t, box):
    other = box.path("other-key")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", other], check=True)
    kept, box.client_key = box.client_key, other
    code, out, err = box.ssh("status")
    box.client_key = kept
    t.check("unknown-key", code == 255 and "denied" in err, (code, err))
    code, out, err = box.ssh("status", options=["-o", "PubkeyAuthentication=no", "-o", "BatchMode=no", "-o", "NumberOfPasswordPrompts=0"])
    t.check("no-password", code == 255 and "denied (publickey)" in err, (code, err))
    p = subprocess.run(["ssh"] + box.options() + ["-s", box.ssh_argv()[-1], "sftp"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE, timeout=30)
    t.check("no-sftp", p.returncode != 0 and not p.stdout, (p.returncode, p.stdout, p.stderr))
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen(1)
        port, forwarded = s.getsockname()[1], procs.free_port()
        p = subprocess.Popen(box.ssh_argv("-N", options=["-L", "127.0.0.1:%d:127.0.0.1:%d" % (forwarded, port)]), stderr=subprocess.DEVNULL)
        def refused():
            try:
                with socket.create_connection(("127.0.0.1", forwarded), 5) as c:
                    c.settimeout(5)
                    return c.recv(1) == b""
            except ConnectionRefusedError:
                return p.poll() is not None
            except OSError:
                return True
        t.check("no-forwarding", wait_for(refused, 20, "a refused forwarding", 0.1))
        s.settimeout(0.2)
        try:
            s.accept()
            t.fail("nothing-came-through", "a forwarded connection")
        except socket.timeout:
            t.ok("nothing-came-through")
        p.terminate()
        p.wait(10)
    code, out, err = box.ssh("status", "--json", options=["-o", "SendEnv=LD_PRELOAD", "-o", "SetEnv=LD_PRELOAD=/nowhere PATH=/nowhere"])
    t.check("environment-is-ignored", code == 0 and json.loads(out)["box"], (code, out, err))
    status = json.loads(out)["box"]
    known = subprocess.run(["ssh-keygen", "-l", "-f", box.path("known_hosts")], stdout=subprocess.PIPE, text=True).stdout
    t.check("fingerprint-is-that-of-the-server", status["fingerprint"]["ssh"] in known.split(), (status["fingerprint"], known))


def terminal(t, box):
    pid, fd = pty.fork()
    if pid == 0:
        os.execvp("ssh", box.ssh_argv(options=["-tt"]))
    text = b""

    def read(what, seconds=30):
        nonlocal text
        end = time.monotonic() + seconds
        while what not in text and time.monotonic() < end:
            if select.select([fd], [], [], 0.2)[0]:
                try:
                    text += os.read(fd, 65536)
                except OSError:
                    break
        found, text = what in text, text.split(what, 1)[-1]
        return found

    t.check("prompt", read(b"> "), text)
    os.write(fd, b"stauts\n")
    t.check("prompt-hint", read(b"did you mean 'status'") and read(b"> "), text)
    os.write(fd, b"status --watch\n")
    t.check("prompt-command", read(b"health"), text)
    before = len(box.control.seen)
    os.write(fd, b"\x03")
    t.check("interrupt-ends-the-command", read(b"> "), text)
    os.write(fd, b"help\n")
    t.check("and-not-the-prompt", read(b"poweroff") and read(b"> ") and len(box.control.seen) == before, text)
    os.write(fd, b"exit\n")
    t.equal("exit", os.waitpid(pid, 0)[1], 0)
    os.close(fd)


def broken_connection(t, box):
    box.write("data/log/box.log", "2026-11-28T05:00:00.000Z init up\n")
    p = subprocess.Popen(box.ssh_argv("logs", "-f"), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    t.equal("logs-follow", p.stdout.readline(), b"2026-11-28T05:00:00.000Z init up\n")
    box.control.ended = None
    p.send_signal(signal.SIGKILL)
    p.wait(10)
    t.check("a-broken-connection-ends-the-command", wait_for(lambda: box.control.ended, 20, "the end of logs -f")[0] == ["logs", "-f"])


def logs(t, box):
    lines = ["2026-11-28T05:00:%02d.000Z %s line %d" % (i, ("init", "penstock", "dropbear")[i % 3], i) for i in range(30)]
    box.write("data/log/box.log.1", "\n".join(lines[:20]) + "\n")
    box.write("data/log/box.log", "\n".join(lines[20:]) + "\n2026-11-28T05:01:00.000Z init torn")

    def shown(*words):
        code, out, err = box.ssh("logs", *words)
        return out.splitlines() if code == 0 else (code, err)
    t.equal("logs", shown(), lines)
    t.equal("logs-n", shown("-n", "12"), lines[18:])
    t.equal("logs-n-0", shown("-n", "0"), [])
    t.equal("logs-unit", shown("--unit", "penstock"), lines[1::3])
    t.equal("logs-unit-n", shown("--unit", "penstock", "-n", "2"), lines[1::3][-2:])
    t.equal("logs-since", shown("--since", "2026-11-28T05:00:25"), lines[25:])
    t.equal("logs-ago", shown("--since", "1s") if time.time() > 1795842061 else [], [])
    for words in (["-n", "x"], ["-n"], ["--since", "yesterday"], ["/etc/passwd"], ["--unit"]):
        t.equal("logs-wrong/" + " ".join(words), box.ssh("logs", *words)[0], 2)


def configurations(t, box):
    code, out, err = box.ssh("apply", stdin=b"")
    t.check("nothing-to-apply", code == 1 and "no configuration yet" in err, (code, out, err))
    code, out, err = box.ssh("apply", stdin=box.config().encode())
    t.check("file-without-its-views", code == 2 and "views.sql" in err and "check-" not in err and not os.path.exists(box.path("data/config/current")),
            (code, out, err))
    whole = {"penstock.yaml": box.config("sql/views.sql"), "sql/views.sql": VIEWS}
    code, out, err = box.ssh("check", stdin=archive(whole))
    t.check("check", code == 0 and "api accounts" in out, (code, out, err))
    code, out, err = box.ssh("apply", stdin=archive(whole))
    t.check("first-configuration", code == 0 and "applied" in out, (code, out, err))
    box.wait_api("accounts")
    t.ok("first-configuration-is-served")
    first = box.read("data/config/current/sql/views.sql")

    more = VIEWS + "CREATE VIEW owners AS SELECT owner, count(*) AS n FROM bank.accounts GROUP BY owner;\n"
    yaml = box.config("sql/views.sql").replace("apis:\n", "apis:\n  owners:\n")
    code, out, err = box.ssh("check", "--json", stdin=archive({"penstock.yaml": yaml, "sql/views.sql": more}))
    answer = json.loads(out)
    t.check("check-json", code == 0 and answer["ok"] and answer["change"] == "compatible" and len(answer["changes"]) == 1
            and "owners" in answer["changes"][0] and "api owners" in answer["text"], (code, out, err))
    code, out, err = box.ssh("apply", "--json", stdin=archive({"penstock.yaml": yaml, "sql/views.sql": more}))
    answer = json.loads(out)
    t.check("apply-json", code == 0 and answer["ok"] and answer["change"] == "compatible", (code, out, err))
    box.wait_api("owners")
    t.equal("previous-is-kept", box.read("data/config/previous/sql/views.sql"), first)
    second = box.read("data/config/current/sql/views.sql")

    for name, content in (("wrong-sql", archive({"penstock.yaml": yaml, "sql/views.sql": more.replace("owner", "nothing")})),
                          ("wrong-yaml", b"penstock: 1\nsources: [\n"), ("no-yaml", archive({"views.sql": VIEWS})),
                          ("climbing", archive({"penstock.yaml": yaml, "../../box/admin.json": "{}"})),
                          ("absolute", archive({"penstock.yaml": yaml, "/etc/shadow": "x"})),
                          ("binary", os.urandom(5000)), ("gzip", b"\x1f\x8b" + os.urandom(100)), ("torn", archive(whole)[:700])):
        code, out, err = box.ssh("apply", stdin=content)
        t.check("refused/" + name, code in (1, 2) and err and box.read("data/config/current/sql/views.sql") == second
                and box.read("data/config/previous/sql/views.sql") == first, (code, out, err))
    t.check("nothing-is-left", sorted(os.listdir(box.path("data/config"))) == ["current", "lock", "previous"], os.listdir(box.path("data/config")))
    code, out, err = box.ssh("apply", "--json", stdin=b"penstock: 1\nsources: [\n")
    t.check("refused-json", code == 2 and not json.loads(out)["ok"] and "penstock.yaml:" in json.loads(out)["text"], (code, out, err))
    box.wait_api("owners")

    status = json.loads(box.ssh("status", "--json")[1])
    t.check("status", status["box"]["configuration"]["previous"] and len(status["box"]["configuration"]["sha256"]) == 64
            and status["penstock"]["pids"]["pipeline"] > 0 and status["box"]["hostname"], status)
    code, out, err = box.ssh("apply", "--previous")
    t.check("previous", code == 0, (code, out, err))
    t.check("previous-is-current", box.read("data/config/current/sql/views.sql") == first and box.read("data/config/previous/sql/views.sql") == second)
    code, out, err = box.ssh("apply", "--previous")
    t.check("and-back", code == 0 and box.read("data/config/current/sql/views.sql") == second, (code, out, err))
    code, out, err = box.ssh("apply", stdin=b"")
    t.check("what-is-there", code == 0, (code, out, err))
    p = subprocess.run(box.ssh_argv("configuration", "export"), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=30)
    with tarfile.open(fileobj=io.BytesIO(p.stdout)) as tar:
        t.check("export", tar.extractfile("sql/views.sql").read() == second and "penstock.yaml" in tar.getnames()
                and not [n for n in tar.getnames() if n.startswith(".")], tar.getnames())


def signed(t, box):
    secret = box.path("signer")
    subprocess.run([procs.binary(), "keys", "create", secret], check=True, stdout=subprocess.DEVNULL)
    os.makedirs(box.path("data/box/keys"))
    before = box.read("data/config/current/penstock.yaml")
    box.write("data/box/keys/ours.pub", open(secret + ".pub", "rb").read())
    code, out, err = box.ssh("apply", stdin=before)
    t.check("unsigned-is-refused", code == 1 and "signed" in err, (code, out, err))
    code, out, err = box.scp(box.path("data/config/current/penstock.yaml"), "config/")
    t.check("unsigned-scp-is-refused", code != 0 and "signed" in err, (code, out, err))
    bundle = box.path("site.pconfig")
    done = subprocess.run([procs.binary(), "bundle", "config", box.path("data/config/current"), "-o", bundle, "--key", secret + ".key"],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    t.equal("bundle", (done.returncode, "" if done.returncode == 0 else done.stdout), (0, ""))
    code, out, err = box.scp(bundle, "config/")
    t.check("signed-by-scp", code == 0, (code, out, err))
    content = open(bundle, "rb").read()
    code, out, err = box.ssh("apply", stdin=content)
    t.check("signed-by-stdin", code == 0, (code, out, err))
    code, out, err = box.ssh("apply", stdin=content[:-20] + bytes([content[-20] ^ 1]) + content[-19:])
    t.check("altered-is-refused", code == 1, (code, out, err))
    os.unlink(box.path("data/box/keys/ours.pub"))


def copies(t, box):
    folder = box.path("site")
    os.makedirs(folder + "/sql")
    with open(folder + "/penstock.yaml", "w") as f:
        f.write(box.config("sql/views.sql"))
    with open(folder + "/sql/views.sql", "w") as f:
        f.write(VIEWS + "-- by scp\n")
    code, out, err = box.scp("-r", folder, "config/")
    t.check("scp-folder", code == 0 and b"by scp" in box.read("data/config/current/sql/views.sql"), (code, out, err))
    with open(folder + "/more.sql", "w") as f:
        f.write("-- more\n")
    code, out, err = box.scp(folder + "/more.sql", folder + "/penstock.yaml", "config/")
    t.check("scp-files", code == 0 and box.read("data/config/current/more.sql") == b"-- more\n"
            and b"by scp" in box.read("data/config/current/sql/views.sql"), (code, out, err))
    with open(folder + "/penstock.yaml", "w") as f:
        f.write("penstock: 1\nsources: {x: {}}\n")
    kept = box.read("data/config/current/penstock.yaml")
    code, out, err = box.scp(folder + "/penstock.yaml", "config/")
    t.check("scp-refused", code != 0 and "penstock.yaml:2" in err and box.read("data/config/current/penstock.yaml") == kept, (code, out, err))
    for target in ("/etc/", "../x", "config/../../x", "config/a/b", "", "image/x", "config/.meta", "/data/box/authorized_keys", "box.yaml"):
        code, out, err = box.scp(folder + "/more.sql", target)
        t.check("scp-target/" + (target or "home"), code != 0 and "only config/ and image" in err, (code, out, err))
    p = subprocess.run(["scp", "-O"] + box.options("-P") + [box.ssh_argv()[-1] + ":config/penstock.yaml", box.path("stolen")],
                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=30)
    t.check("scp-reads-nothing", p.returncode != 0 and not os.path.exists(box.path("stolen")), p.stderr)
    code, out, err = box.scp("-r", folder, "image")
    t.check("scp-image-is-a-file", code != 0 and "no folder" in err, (code, out, err))
    with open(box.path("x.pimage"), "wb") as f:
        f.write(os.urandom(3 << 20))
    code, out, err = box.scp(box.path("x.pimage"), "image")
    t.check("scp-image", code != 0 and ["upgrade"] in box.control.seen, (code, out, err))
    for name, said in (("climbing", b"C0644 1 ../x\nx\0"), ("no-protocol", b"hello\n"), ("cut", b"C0644 100 a\nx"), ("huge", b"C0644 999999999999 a\n"),
                       ("nul", b"C0644 1 a\0b\nx\0"), ("nothing", b"")):
        code, out, err = box.ssh("scp -t config/", stdin=said)
        t.check("scp-hostile/" + name, code in (1, 2) and err, (code, out, err))


def main():
    with Report("test_box_shell", 110) as t:
        box = Box()
        box.start_ssh()
        t.section("command-lines", command_lines, t, box)
        t.section("transport", transport, t, box)
        t.section("terminal", terminal, t, box)
        t.section("broken-connection", broken_connection, t, box)
        t.section("logs", logs, t, box)
        box.start_pipeline()
        box.wait_api("image")
        t.section("configurations", configurations, t, box)
        t.section("signed", signed, t, box)
        t.section("copies", copies, t, box)
        box.supervisor.stop()


if __name__ == "__main__":
    main()
