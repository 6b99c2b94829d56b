#!/usr/bin/python3
"""The documents agree with the program: generated sections are what it prints, examples marked `# check: docs` pass
`penstock check`, the commands, files and metrics that are named exist."""

import glob
import os
import re
import subprocess

from lib import client, procs
from lib.penstock import Penstock
from lib.report import Report

DOCUMENTS = ["README.md", "docs/*.md", "src/*/README.md", "src/source/*/README.md", "examples/*/README.md"]
SECTION = re.compile(r"<!-- begin: penstock docs (\w+) -->\n(.*?)<!-- end -->", re.S)


def documents():
    """(path from the top, text) of each."""
    for pattern in DOCUMENTS:
        for path in sorted(glob.glob(os.path.join(procs.ROOT, pattern))):
            with open(path) as f:
                yield os.path.relpath(path, procs.ROOT), f.read()


def blocks(text, *languages):
    return re.findall(r"(?ms)^```(?:%s)\n(.*?)^```" % "|".join(languages), text)


def generated_sections(report, box):
    seen = set()
    for path, text in documents():
        for name, section in SECTION.findall(text):
            seen.add(name)
            code, out, err = box.command("docs", name)
            report.check("generated/" + name, code == 0 and section.strip("\n") == out.strip("\n"),
                         "%s: run scripts/docs%s" % (path, first_difference(section, out)))
    report.equal("generated/all", sorted(seen), ["configuration", "events", "limits", "metrics", "settings", "sql"])


def first_difference(a, b):
    for x, y in zip(a.strip("\n").splitlines(), b.strip("\n").splitlines()):
        if x != y:
            return ": %r is now %r" % (x, y)
    return ""


def examples(report):
    count = 0
    for path, text in documents():
        for block in blocks(text, "yaml"):
            if not block.startswith("# check: docs\n"):
                continue
            count += 1
            box = Penstock(block, name="docs")
            code, out, err = box.command("check", "-c", box.config, "--data", box.data)
            report.check("example/%s/%d" % (path, count), code == 0, "exit %d: %s" % (code, (out + err)[:400]))
    report.check("example/any", count >= 2, "only %d examples are marked" % count)


def commands(report, box):
    """Each `penstock COMMAND --option` in a shell block is one that the program takes."""
    usage = {}
    for path, text in documents():
        for line in re.findall(r"(?m)^(?:\S*/)?penstock +([a-z].*)$", "\n".join(blocks(text, "sh"))):
            words = re.sub(r" +#.*| *\|.*", "", line).split()
            if words[0] not in usage:
                usage[words[0]] = box.command(words[0], "--help")
            code, out, err = usage[words[0]]
            missing = [w for w in words[1:] if w.startswith("-") and not re.search(r"(?<![\w-])%s\b" % re.escape(w.split("=")[0]), out)]
            report.check("command/%s/%s" % (path, line), code == 0 and not missing, "--help of %s does not know %s" % (words[0], missing))


def files(report):
    """Paths of the repository in backquotes exist, and so do the targets of links."""
    for path, text in documents():
        named = re.findall(r"`((?:src|test|scripts|docs|examples|deps|mk)/[\w./-]+)`", text)
        here = os.path.dirname(os.path.join(procs.ROOT, path))
        links = [os.path.join(here, x) for x in re.findall(r"\]\(((?!https?:|#|mailto:)[^)#]+)", text)]
        missing = [n for n in [os.path.join(procs.ROOT, n) for n in named] + links if not os.path.exists(n)]
        report.check("files/" + path, not missing, "named but absent: %s" % ", ".join(missing))


def metrics(report):
    """Every metric that operations.md watches is one that /metrics gives."""
    with open(os.path.join(procs.ROOT, "docs", "operations.md")) as f:
        text = f.read()
    wanted, table = set(re.findall(r"\bpenstock_\w+", text)), set(re.findall(r"(?m)^\| `(penstock_\w+)` \|", text))
    with open(os.path.join(procs.ROOT, "examples", "bank", "penstock.yaml")) as f:
        text = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:{port}", f.read())
    with open(os.path.join(procs.ROOT, "examples", "bank", "views.sql")) as f:
        box = Penstock(text, f.read(), shards=1, name="docs").start()
    http = box.client()
    client.wait_for(lambda: http.request("/api/total").status == 200, 20, "an answer")
    given = set(re.findall(r"(?m)^# TYPE (\w+)", http.request("/metrics").body.decode()))
    report.check("metrics/exist", wanted <= given, "not in /metrics: %s" % sorted(wanted - given))
    report.check("metrics/documented", given == table, "not in the table: %s" % sorted(given - table))
    code, out, err = box.command("status", "--data", box.data)
    report.check("status/runs", code == 0 and "STATE" in out, (out + err)[:200])
    box.stop()


def targets(report):
    helped = subprocess.run(["make", "-C", procs.ROOT, "help"], capture_output=True, text=True, timeout=60).stdout
    for path, text in documents():
        for target in sorted(set(re.findall(r"`make ([a-z-]+)", text) + re.findall(r"(?m)^make ([a-z-]+)", "\n".join(blocks(text, "sh"))))):
            report.check("make/%s/%s" % (path, target), re.search(r"(?m)^ +%s\b" % target, helped), "make help does not list it")


def main():
    with Report("test_docs", 120) as report:
        box = Penstock(None, name="docs")
        report.section("generated", generated_sections, report, box)
        report.section("examples", examples, report)
        report.section("commands", commands, report, box)
        report.section("files", files, report)
        report.section("targets", targets, report)
        report.section("metrics", metrics, report)


if __name__ == "__main__":
    main()
