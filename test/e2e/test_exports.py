#!/usr/bin/python3
"""The contracts as OpenAPI, JSON Schema and TypeScript: valid for others' validators, what is served fits them, and the types hold
in a program that TypeScript's own compiler checks, with postgrest-js."""

import json
import os
import subprocess

from lib import fetched, procs
from lib.penstock import Penstock
from lib.report import Report

PACKAGES = ["typescript@5.6.3", "@supabase/postgrest-js@2.119.1", "tslib@2.8.1", "@seriousme/openapi-schema-validator@2.3.0", "ajv@8.17.1"]

CONFIG = """penstock: 1
sources:
  demo:
    generator: { workload: bank, rate: max, seed: 7, accounts: 20, limit: 400 }
sql:
  - |
    CREATE VIEW accounts AS SELECT id, owner, branch, opened FROM demo.accounts;
    CREATE VIEW kinds AS SELECT id, owner AS "a ""quoted"" */ name", id % 2 = 0 AS even, CASE WHEN id > 3 THEN opened END AS later,
      to_jsonb(owner) AS j, ARRAY[id, NULL] AS list, id::numeric / 3 AS third, id::float8 AS f, 'x'::bytea AS raw,
      CASE WHEN id > 5 THEN '3 days'::interval END AS i FROM demo.accounts;
    COMMENT ON VIEW kinds IS E'Ends a comment */ and\\ngoes on';
    COMMENT ON COLUMN kinds.even IS 'Whether "even" */';
    CREATE VIEW log AS SELECT account_id, count(*) AS n FROM demo.entries GROUP BY account_id;
apis: { accounts: , bank/kinds: { view: kinds }, log: { references: { account_id: accounts } } }
access: { anonymous: read }
server: { listen: "127.0.0.1:{port}" }
"""

GOOD = """
import { PostgrestClient } from "@supabase/postgrest-js";
import type { Database, Row, Json } from "./types";
const db = new PostgrestClient<Database>("https://localhost:8443/api");
export async function read(): Promise<string> {
  const { data, error } = await db.from("accounts").select("id, owner").eq("branch", 3).order("id");
  if (error) throw error;
  const owner: string = data[0].owner;
  const id: number = data[0].id;
  const all = await db.from("bank/kinds").select("*").limit(1).single();
  const row: Row<"bank/kinds"> = all.data!;
  const later: string | null = row.later;
  const list: (number | null)[] | null = row.list;
  const j: Json | null = row.j;
  const even: boolean | null = row.even;
  const embedded = await db.from("log").select("n, accounts(owner)").limit(1).single();
  const name: string = embedded.data!.accounts.owner;
  return name + owner + id + later + list + j + even + row['a "quoted" */ name'];
}
"""
# one line each, and what the compiler has against it
BAD = {
    'db.from("acounts")': "No overload",
    'db.from("accounts").select("id").eq("nope", 1)': "nope",
    'const r: Row<"accounts"> = { id: "1", owner: "x", branch: 1, opened: "x" }': "number",
    'const e = await db.from("log").select("n, accounts(nope)").single(); const x: string = e.data!.accounts.nope': "nope",
    'const r: Row<"log"> = { account_id: 1 }': "n",
}


def node(where, script, *args, **kw):
    return subprocess.run(["node", "--input-type=module", "-e", script, *args], cwd=where, capture_output=True, text=True, timeout=120, **kw)


def compiled(where, source):
    with open(os.path.join(where, "use.ts"), "w") as f:
        f.write(source)
    p = subprocess.run(["node", "node_modules/typescript/bin/tsc", "--noEmit", "--strict", "--target", "es2022", "--module", "nodenext",
                        "--moduleResolution", "nodenext", "--skipLibCheck", "use.ts"], cwd=where, capture_output=True, text=True, timeout=120)
    return p.stdout + p.stderr


def main():
    with Report("test_exports", 240) as report:
        where = procs.temp_dir("exports")
        os.symlink(fetched.npm(*PACKAGES), os.path.join(where, "node_modules"))
        box = Penstock(CONFIG, shards=2, name="exports").start()
        get = lambda path: box.client().get(path)
        printed = {}
        for command, path in (("openapi", "/api/"), ("schema", "/api/schema.json"), ("types", "/api/types.ts")):
            code, out, err = box.command(command, "-c", box.config)
            report.equal(command + "/prints", (code, err), (0, ""))
            served = get(path)
            same = out == served.body.decode() if command == "types" else json.loads(out) == json.loads(served.body)
            report.check(command + "/is what is served", same, out[:300])
            report.check(command + "/pinned", get(path.replace("/api/", "/api/v1/")).body is not None, "")
            tag = served.headers["ETag"]
            report.check(command + "/etag", bool(tag), str(served.headers))
            printed[command] = out
        try:
            get("/api/v7/types.ts")
            report.fail("absent version", "answered")
        except Exception as e:
            report.check("absent version", "404" in str(e), str(e))

        report.equal("openapi/references", json.loads(printed["openapi"])["components"]["schemas"]["log"].get("x-references"),
                     [{"name": "account_id", "columns": ["account_id"], "unique": True, "api": "accounts", "key": ["id"]}])

        p = node(where, """import { Validator } from '@seriousme/openapi-schema-validator';
            import fs from 'fs'; const v = new Validator(); const r = await v.validate(JSON.parse(fs.readFileSync(0)));
            console.log(v.version, r.valid, r.valid ? '' : JSON.stringify(r.errors).slice(0, 600));""", input=printed["openapi"])
        report.equal("openapi/valid", (p.stdout.strip(), p.stderr[-300:]), ("3.1 true", ""))

        rows = {api: get("/api/" + api).json() for api in ("accounts", "bank/kinds", "log")}
        rows["bad"] = [{"account_id": "1", "n": 1}]
        p = node(where, """import Ajv from 'ajv/dist/2020.js'; import fs from 'fs';
            const {schema, rows} = JSON.parse(fs.readFileSync(0)); const ajv = new Ajv.default({strict: false, validateFormats: false});
            ajv.addSchema(schema, 's'); const out = {};
            for (const [api, list] of Object.entries(rows)) {
              const check = ajv.getSchema('s#/$defs/' + (api === 'bad' ? 'log' : api.replace('/', '~1')));
              out[api] = [list.length > 0, list.every(r => check(r)), JSON.stringify(check.errors)]; }
            console.log(JSON.stringify(out));""", input=json.dumps({"schema": json.loads(printed["schema"]), "rows": rows}))
        out = json.loads(p.stdout or "{}")
        for api in ("accounts", "bank/kinds", "log"):
            report.check("schema/rows of " + api, out.get(api, [None] * 3)[:2] == [True, True], str(out.get(api)) + p.stderr[-300:])
        report.check("schema/refuses", out.get("bad", [0, True])[1] is False, str(out.get("bad")))

        with open(os.path.join(where, "types.ts"), "w") as f:
            f.write(printed["types"])
        report.equal("types/good", compiled(where, GOOD), "")
        text = compiled(where, GOOD + "".join("{ %s; }\n" % line for line in BAD))
        for i, (line, said) in enumerate(BAD.items()):
            found = [t for t in text.split("\n") if t.startswith("use.ts(%d," % (GOOD.count("\n") + 1 + i))]
            report.check("types/refuses " + line[:30], any(said in t for t in found), text[:600])
        report.check("stop", box.stop() == 0, "")


if __name__ == "__main__":
    main()
