#!/usr/bin/python3
"""docs/rest.md: its configuration runs, and every request in it is answered as it says."""

import os
import re

from lib import procs
from lib.client import wait_for
from lib.penstock import Penstock
from lib.report import Report


def blocks(text, language):
    return re.findall(r"(?ms)^```%s\n(.*?)^```" % language, text)


def headers_of(lines):
    return dict(line.split(": ", 1) for line in lines)


def matches(want, got):
    return got is not None and re.fullmatch(".*".join(re.escape(part) for part in want.split("...")), got) is not None


def example(report, http, block):
    request, answer, body = (block.strip("\n").split("\n\n") + [""])[:3]
    lines = request.splitlines()
    method, path = lines[0].split(" ", 1)
    wanted = answer.splitlines()
    path = path.replace("{", "%7B").replace("}", "%7D").replace(">", "%3E")
    a = http.request(path, headers_of(lines[1:]), method)
    wrong = ["%s: %s instead of %s" % (k, a.headers[k], v) for k, v in headers_of(wanted[1:]).items() if not matches(v, a.headers[k])]
    report.check(lines[0][:90], str(a.status) == wanted[0] and not wrong and a.body.decode() == body, "%d %s %s" % (a.status, wrong, a.body.decode()))


def main():
    with Report("test_rest_docs", 60) as report:
        with open(os.path.join(procs.ROOT, "docs", "rest.md")) as f:
            text = f.read()
        config = blocks(text, "yaml")[0].replace("127.0.0.1:8443", "127.0.0.1:{port}")
        box = Penstock(config, name="rest-docs").start()
        http = box.client()
        position = None
        for line in blocks(text, "rows")[0].splitlines():
            table, rows = line.split(" ", 1)
            headers = {"Content-Type": "application/json"}
            a = wait_for(lambda: (lambda r: r if r.status == 201 else None)(http.request("/ingest/shop/" + table, headers, "POST", rows.encode())), 30, table)
            position = a.headers["Penstock-Position"]
        wait_for(lambda: http.request("/api/staff", {"Penstock-Wait": position}).status == 200, 30, "the rows")
        examples = blocks(text, "http")
        for block in examples:
            example(report, http, block)
        report.check("there are examples", len(examples) > 15, len(examples))


main()
