#!/usr/bin/python3
"""`penstock box health`: what it says of a running instance, and of each thing that can be missing. Slots are another test's
(test/unit/box/test_update_power.c, test/image/test_upgrade.py)."""

import json
import os

from lib import procs
from lib.client import wait_for
from lib.penstock import Penstock
from lib.report import Report

CONFIG = """penstock: 1
sources: { demo: { generator: { workload: bank, rate: 100, seed: 7 } } }
sql: [ views.sql ]
apis: { sums: }
access: { anonymous: none }
server: { listen: "127.0.0.1:{port}" }
"""
VIEWS = "CREATE VIEW sums AS SELECT account_id, sum(amount) AS s FROM demo.entries GROUP BY account_id;\n"


class Box:
    """The files that PID 1 would have written, below a directory."""

    def __init__(self, instance):
        self.instance = instance
        self.root = procs.temp_dir("box")
        os.makedirs(self.root + "/run/box")
        os.makedirs(self.root + "/data/config")
        os.symlink(os.path.dirname(instance.config), self.root + "/data/config/current")
        os.symlink(instance.data, self.root + "/data/store")

    def put(self, name, value):
        path = self.root + "/run/box/" + name
        if value is None:
            os.unlink(path)
        else:
            with open(path, "w") as f:
                json.dump(value, f)

    def health(self):
        """(names of checks that are not ok, their details). This computer's own network is left out: it may have none."""
        code, out, err = self.instance.command("box", "--root", self.root, "health", "--json")
        found = json.loads(out)
        bad = [c for c in found["checks"] if not c["ok"]]
        assert found["ok"] == (not bad) == (code == 0), out
        assert [c["name"] for c in found["checks"]] == ["init", "network", "pipeline", "api"], out
        bad = [c for c in bad if c["name"] != "network"]
        return [c["name"] for c in bad], "; ".join(c["detail"] for c in bad)


BOOT = {"rescue": False, "reason": "", "configuration": {"default": False, "refused": False}}

def main():
    with Report("test_box_health", 120) as report:
        instance = Penstock(CONFIG, VIEWS, shards=2, name="health")
        report.on_failure.append(lambda: report.note("log: " + instance.log_tail(1500)))
        box = Box(instance)
        report.equal("nothing-yet", box.health()[0], ["init", "pipeline", "api"])
        instance.start()
        box.put("boot.json", BOOT)
        wait_for(lambda: box.health()[0] == [] or report.note(str(box.health())), 10, "health", 0.5)
        report.equal("well", box.health(), ([], ""))
        box.put("boot.json", dict(BOOT, rescue=True, reason="the data partition is damaged"))
        report.equal("rescue", box.health()[0], ["init"])
        box.put("boot.json", BOOT)
        instance.kill_all()
        bad, why = box.health()
        report.check("down", bad == ["pipeline", "api"] and "does not run" in why and "refused" in why, "%s: %s" % (bad, why))


if __name__ == "__main__":
    main()
