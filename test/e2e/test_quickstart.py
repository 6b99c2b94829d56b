#!/usr/bin/python3
"""What the README tells a newcomer to type works as it stands: examples/bank as `make run` starts it, and the walk
through examples/postgres: change a row with psql, see the API change."""

import glob
import os
import re
import shutil
import subprocess
import time

from lib import client, procs
from lib.penstock import Penstock
from lib.report import Report


def copy_example(name):
    """A copy of examples/NAME in a directory of its own, listening on a free port."""
    source = os.path.join(procs.ROOT, "examples", name)
    if not os.path.exists(source + "/penstock.yaml"):
        raise RuntimeError("no examples/%s/penstock.yaml" % name)
    folder = os.path.join(procs.temp_dir("quickstart"), name)
    shutil.copytree(source, folder)
    box = Penstock(None, dir=folder, shards=0, name=name)
    text = open(box.config).read()
    if re.search(r"(?m)^server:", text):
        text = re.sub(r"(listen: *[\"']?[0-9.*\[\]:]*:)\d+", r"\g<1>%d" % box.port, text)
    else:
        text += '\nserver: { listen: "127.0.0.1:%d" }\n' % box.port
    with open(box.config, "w") as f:
        f.write(text)
    return box, text


def api_names(text):
    """Names under `apis:` in penstock.yaml, as far as they stand one to a line."""
    block = re.search(r"(?m)^apis:[ \t]*(#.*)?\n((?:[ \t]+.*\n|[ \t]*#.*\n|\n)*)", text)
    if not block:
        return []
    lines = [line for line in block.group(2).splitlines() if line.strip() and not line.strip().startswith("#")]
    depth = len(lines[0]) - len(lines[0].lstrip()) if lines else 0
    return [line.strip().split(":")[0].strip("\"'") for line in lines if len(line) - len(line.lstrip()) == depth]


def bank(report):
    box, text = copy_example("bank")
    code, out, err = box.command("check", "-c", box.config, "--data", box.data, cwd=box.dir)
    report.check("bank/check", code == 0, "exit %d: %s" % (code, (out + err)[:500]))
    started = time.monotonic()
    box.start(ready_s=20)
    report.check("bank/ready-within-5-s", time.monotonic() - started < 5, "%.1f s" % (time.monotonic() - started))
    names = api_names(text)
    report.check("bank/has-apis", names, "no apis in its penstock.yaml")
    http = box.client()
    for name in names:
        rows = client.wait_for(lambda: http.list(name, query="limit=5").rows(), 15, "rows of " + name)
        report.check("bank/api/%s" % name, rows, "no rows")
    def seen():
        return [http.list(n, query="limit=2000").body for n in names]
    before = seen()
    client.wait_for(lambda: seen() != before, 10, "a change of any api")
    report.ok("bank/moves")
    report.check("bank/console", http.request("/").status in (200, 301, 302, 303, 307, 308), "GET / is not answered")
    report.check("bank/clean-stop", box.stop() == 0, "exit status not 0")


def shell(command, timeout_s=30):
    return subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=timeout_s, stdin=subprocess.DEVNULL)


def walk_through(report):
    """README.md of examples/postgres, command by command, with other ports: its server, its program, its third terminal."""
    box, text = copy_example("postgres")
    port = procs.free_port()
    text = text.replace(":54329/", ":%d/" % port)
    with open(box.config, "w") as f:
        f.write(text)
    log = box.dir + "/postgres.log"
    server = procs.start([box.dir + "/start-postgres"], log, env=dict(os.environ, PGPORT=str(port)))
    client.wait_for(lambda: "is ready" in open(log).read() or server.poll() is not None, 60, "start-postgres")
    report.check("postgres/start-postgres", server.poll() is None, open(log).read()[-500:])
    code, out, err = box.command("check", "-c", box.config, "--data", box.data, cwd=box.dir)
    report.check("postgres/check", code == 0, "exit %d: %s" % (code, (out + err)[:500]))
    box.start(ready_s=30)
    http = box.client()
    for name in api_names(text):
        rows = client.wait_for(lambda: http.list(name, query="limit=5").rows(), 15, "rows of " + name)
        report.check("postgres/api/%s" % name, rows, "no rows")
    third = "\n".join(re.findall(r"(?s)```sh\n(.*?)```", open(box.dir + "/README.md").read())[2:])
    commands = [c for c in third.replace("54329", str(port)).replace("8443", str(box.port)).splitlines() if c.strip()]
    report.check("postgres/readme-has-commands", len(commands) >= 4 and any("UPDATE" in c for c in commands), commands)
    seen, before = [], ""
    for command in commands:
        if "pg_drop_replication_slot" in command:
            report.check("postgres/clean-stop", box.stop() == 0, "exit status not 0")
        if "text/event-stream" in command:
            command = command.replace("curl ", "curl --max-time 1 ")
        done = shell(before + command)
        # The change takes a moment to become visible; a person who is too quick asks again.
        for _ in range(50):
            if not (command.startswith("curl") and len(seen) == 1 and done.stdout == seen[0]):
                break
            time.sleep(0.2)
            done = shell(before + command)
        good = done.returncode == 0 or (done.returncode == 28 and "event: epoch" in done.stdout)
        report.check("postgres/command/%s" % command.split("'")[0].split('"')[0].strip().replace(" ", "-")[:60], good and "PENSTOCK_" not in done.stdout,
                     "%s: exit %d: %s" % (command, done.returncode, (done.stdout + done.stderr)[:300]))
        if re.match(r"\w+=\$", command):
            before = command + "\n"  # a variable that the next command uses
        elif command.startswith("curl"):
            seen.append(done.stdout)
    report.check("postgres/api-follows", len(seen) >= 2 and seen[0] and seen[0] != seen[1], "before %r, after %r" % (seen[:1], seen[1:2]))
    box.stop()
    server.terminate()
    report.equal("postgres/server-ends", server.wait(20), 0)


def told_commands(report):
    """Commands and files that the documents name exist."""
    documents = [f for f in [os.path.join(procs.ROOT, "README.md")] + glob.glob(procs.ROOT + "/examples/*/README.md") if os.path.exists(f)]
    report.check("documents/readme", os.path.exists(os.path.join(procs.ROOT, "README.md")), "no README.md")
    box = Penstock(None, name="documents")
    usage = box.command("--help")[1]
    makefile = subprocess.run(["make", "-C", procs.ROOT, "help"], capture_output=True, text=True, timeout=60).stdout
    for document in documents:
        text = open(document).read()
        blocks = "\n".join(re.findall(r"(?s)```(?:sh|bash|console|shell)\n(.*?)```", text))
        for command in sorted(set(re.findall(r"(?m)^[ \t$]*(?:sudo +)?(?:\S*/)?penstock +([a-z]+)", blocks))):
            report.check("documents/penstock-%s" % command, re.search(r"\b%s\b" % command, usage), "%s names it, --help does not" % os.path.relpath(document, procs.ROOT))
        for target in sorted(set(re.findall(r"(?m)^[ \t$]*make +([a-z][a-z-]*)", blocks))):
            report.check("documents/make-%s" % target, re.search(r"\b%s\b" % target, makefile), "%s names it, make help does not" % os.path.relpath(document, procs.ROOT))
        for link in sorted(set(re.findall(r"\]\(((?!https?:|#|mailto:)[^)#]+)", text))):
            path = os.path.normpath(os.path.join(os.path.dirname(document), link))
            report.check("documents/link/%s" % link, os.path.exists(path), "%s links to nothing" % os.path.relpath(document, procs.ROOT))


def main():
    with Report("test_quickstart", 120) as report:
        report.section("bank", bank, report)
        report.section("postgres", walk_through, report)
        report.section("documents", told_commands, report)


if __name__ == "__main__":
    main()
