#!/usr/bin/python3
"""What the README tells a newcomer to type works as it stands: examples/bank as `make run` starts it, and the walk
through examples/postgres: change a row with psql, see the API change."""

import glob
import os
import re
import shutil
import subprocess
import time

from lib import client, pg, procs
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


def walk_through(report):
    """Set up the example's database, start it against it, change a row with psql and see it in the API."""
    server = pg.Postgres().start()
    box, text = copy_example("postgres")
    scripts = [f for f in sorted(glob.glob(box.dir + "/*.sql")) if os.path.basename(f) not in re.findall(r"[\w.]+\.sql", text)]
    report.check("postgres/has-schema", scripts, "no SQL file that sets up the database: %s" % os.listdir(box.dir))
    for f in scripts:
        done = subprocess.run(server.psql("-f", f), capture_output=True, text=True, timeout=60)
        report.check("postgres/psql/" + os.path.basename(f), done.returncode == 0, done.stderr)
    changed = re.sub(r"(url: *).*", r"\g<1>" + server.url(), text)
    with open(box.config, "w") as f:
        f.write(changed)
    os.environ.setdefault("PGPASSWORD", "unused")
    for name in re.findall(r"\$\{(\w+)\}", text):
        os.environ.setdefault(name, "unused")
    code, out, err = box.command("check", "-c", box.config, "--data", box.data, cwd=box.dir)
    report.check("postgres/check", code == 0, "exit %d: %s" % (code, (out + err)[:500]))
    box.start(ready_s=30)
    http = box.client()
    names = api_names(text)
    report.check("postgres/has-apis", names, "no apis in its penstock.yaml")
    for name in names:
        rows = client.wait_for(lambda: http.list(name, query="limit=5").rows(), 15, "rows of " + name)
        report.check("postgres/api/%s" % name, rows, "no rows")
    c = server.connect()
    readme = os.path.join(box.dir, "README.md")
    told = re.findall(r"(?im)^[ \t$]*psql .*?-c *[\"']((?:update|insert|delete).*?)[\"'] *$", open(readme).read()) if os.path.exists(readme) else []
    statement = told[0] if told else first_update(c)
    before = {n: http.list(n).body for n in names}
    done = subprocess.run(server.psql("-c", statement), capture_output=True, text=True, timeout=30)
    report.check("postgres/psql-change", done.returncode == 0, "%s: %s" % (statement, done.stderr))
    started = time.monotonic()
    client.wait_for(lambda: any(http.list(n).body != before[n] for n in names), 5, "the API follows: " + statement)
    report.ok("postgres/api-follows")
    report.note("seen %.0f ms after psql ended" % ((time.monotonic() - started) * 1000))
    report.check("postgres/clean-stop", box.stop() == 0, "exit status not 0")
    server.stop()


def first_update(c):
    """An update of some numeric column of a published table, when the README names none."""
    found = pg.rows(c, "SELECT format('UPDATE %I.%I SET %I = %I + 1', t.schemaname, t.tablename, c.column_name, c.column_name) "
                       "FROM pg_publication_tables t JOIN information_schema.columns c ON c.table_schema = t.schemaname AND c.table_name = t.tablename "
                       "WHERE c.data_type = 'numeric' ORDER BY 1")
    if not found:
        raise RuntimeError("no numeric column in a published table to change")
    return found[0][0]


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
