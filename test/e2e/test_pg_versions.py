#!/usr/bin/python3
"""The postgres source against every supported version of PostgreSQL: snapshot, every type, replica identities, TOAST, truncates,
restarts of both sides, lost slots, changed tables, publications. The same tests as with version 15 (test_pg_source.py), each
version's own answer being the oracle, and what only some versions have."""

import os
import time

import test_pg_source as common
from lib import pg
from lib.report import Report
from lib.source_dump import Dump, tool

VERSIONS = [12, 13, 14, 15, 16, 17]
COMMON = [common.types, common.toast, common.identities, common.truncate, common.resume, common.idle, common.snapshot_again,
          common.schema_changes]


class Prefixed:
    """A report whose checks carry the version's name."""

    def __init__(self, report, prefix):
        self.report, self.prefix = report, prefix

    def check(self, name, *args):
        return self.report.check(self.prefix + name, *args)

    def equal(self, name, *args):
        return self.report.equal(self.prefix + name, *args)

    def ok(self, name, *args):
        return self.report.ok(self.prefix + name, *args)

    def fail(self, name, *args):
        return self.report.fail(self.prefix + name, *args)


def version_test(report, version):
    began = time.monotonic()
    server = pg.Postgres(settings="max_prepared_transactions = 5\nautovacuum = off\n", version=version).start()
    c = server.connect()
    named = Prefixed(report, "%d/" % version)
    named.equal("version", c.server_version // 10000, version)
    for test in COMMON:
        t = time.monotonic()
        report.section("%d/%s" % (version, test.__name__), test, named, server, c)
        report.note("%d/%s: %.1f s" % (version, test.__name__, time.monotonic() - t))
        Dump.stop_all()
    c = report.section("%d/server_restart" % version, common.server_restart, named, server, c)
    server.stop()
    report.note("PostgreSQL %d: %.1f s" % (version, time.monotonic() - began))


def main():
    with Report("test_pg_versions", 280) as report:
        tool()
        for version in [int(v) for v in os.environ["VERSIONS"].split(",")] if "VERSIONS" in os.environ else VERSIONS:
            report.section("PostgreSQL %d" % version, version_test, report, version)


if __name__ == "__main__":
    main()
