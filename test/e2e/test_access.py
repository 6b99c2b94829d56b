#!/usr/bin/python3
"""Who may see what: roles, rules over rows and columns, tokens. Rules hold on every path, and for random rules and queries the
answer is the query over the table that PostgreSQL has filtered by the rule."""

import decimal
import base64
import json
import re
import os
import random
import time

from lib import h2, jwt, pg
from lib.client import wait_for
from lib.penstock import Penstock, postgres_config
from lib.report import Report

COLUMNS = ["id", "branch", "owner", "secret", "amount"]
BRANCHES = 8
VIEWS = """CREATE VIEW acc AS SELECT id, branch, owner, secret, amount FROM core.acc;
CREATE INDEX ON acc (branch);
CREATE INDEX ON acc (owner, id);
CREATE VIEW other AS SELECT id, owner FROM core.acc;
CREATE VIEW grouped AS SELECT owner, branch, count(*) AS n FROM core.acc GROUP BY owner, branch;
"""
FIXED = {
    "teller": "{ acc: { rows: \"branch = claim('branch')::int\", columns: [id, branch, owner] } }",
    "nokey": "{ acc: { rows: \"branch = claim('branch')::int\", columns: [owner, amount] } }",
    "chief": "{ \"*\": read }",
    "narrow": "{ other: { rows: \"owner = claim('owner')\" }, grouped: read }",
    "failing": "{ acc: { rows: \"1 / (id - 3) > 0 AND branch = claim('branch')::int\" } }",
    "empty": "",
    "both": "{ acc: { rows: \"branch = claim('branch')::int\", columns: [id, branch, owner] }, other: read }",
    "nolink": "{ acc: { columns: [branch, owner] }, other: read }",
}


def predicate(rng):
    """A random condition as (with claims, for PostgreSQL with the claims put in as {name})."""
    simple = [("branch = claim('branch')::int", "branch = {branch}::int"), ("owner = claim('owner')", "owner = {owner}"),
              ("amount > claim('least')::numeric", "amount > {least}::numeric"), ("branch IS NULL", "branch IS NULL"),
              ("branch IN (1, 2, claim('branch')::int)", "branch IN (1, 2, {branch}::int)"), ("id % 3 = 1", "id % 3 = 1"),
              ("owner LIKE claim('owner') || '%'", "owner LIKE {owner} || '%'"), ("claim('absent') IS NULL", "NULL::text IS NULL"),
              ("owner <> claim('absent')", "owner <> NULL::text"),
              ("coalesce(claim('absent'), 'b') = owner", "coalesce(NULL::text, 'b') = owner"),
              ("acc.id BETWEEN 10 AND 300", "id BETWEEN 10 AND 300")]
    depth = rng.randrange(3)
    a, b = rng.choice(simple)
    for _ in range(depth):
        c, d = rng.choice(simple)
        how = rng.choice(["%s AND %s", "%s OR %s", "NOT (%s) AND %s", "(%s) IS NOT TRUE OR %s"])
        a, b = how % (a, c), how % (b, d)
        a, b = "(%s)" % a, "(%s)" % b
    return a, b


def literal(v):
    return "NULL::text" if v is None else "'" + v.replace("'", "''") + "'::text"


def config(server, roles, extra=""):
    text = postgres_config(server, ["acc"], ["views.sql"], ["acc", "other", "grouped"])
    text = text.replace("access: { anonymous: read }\n", "").replace("\n  other:\n", "\n  other: { references: { id: acc } }\n")
    text += "limits: { heartbeat: 1s, auth_failures: 0 }\n"
    return text + "access:\n  roles:\n" + "".join("    %s: %s\n" % r for r in roles.items()) + extra


def wait_visible_as(w):
    lsn = pg.lsn(w.c)
    wait_for(lambda: w.get("/api/acc?limit=1", w.chief, Penstock_Wait="core=%s" % lsn).status == 200, 20, lsn)


class World:
    def __init__(self):
        self.rng = random.Random(4711)
        self.server = pg.Postgres().start()
        self.c = self.server.connect()
        pg.script(self.c, "CREATE TABLE acc (id int PRIMARY KEY, branch int, owner text, secret text, amount numeric);"
                          "CREATE PUBLICATION penstock FOR ALL TABLES")
        with self.c.cursor() as cur:
            for i in range(400):
                branch = None if self.rng.random() < 0.1 else self.rng.randrange(BRANCHES)
                owner = None if self.rng.random() < 0.1 else self.rng.choice(["a", "b", "bb", "c", "d'e"])
                cur.execute("INSERT INTO acc VALUES (%s, %s, %s, %s, %s)", (i, branch, owner, "s%d" % i, self.rng.randrange(1000)))
        self.random_roles = {}
        for i in range(12):
            a, b = predicate(self.rng)
            shown = sorted(self.rng.sample(COLUMNS, self.rng.randrange(2, 6)), key=COLUMNS.index)
            self.random_roles["r%d" % i] = (a, b, shown)
        roles = dict(FIXED)
        for name, (a, _, shown) in self.random_roles.items():
            roles[name] = "{ acc: { rows: \"%s\", columns: [%s] } }" % (a, ", ".join(shown))
        self.roles = roles
        self.keys = {k: jwt.Key(k, "key-" + k) for k in ("RS256", "ES256", "EdDSA", "HS256")}
        self.box = Penstock(None, name="access")
        self.jwks = os.path.join(self.box.dir, "jwks.json")
        jwt.write_jwks(self.jwks, [self.keys[k] for k in ("RS256", "ES256", "EdDSA")])
        self.jwt = "  jwt: { jwks: jwks.json, issuer: https://id.test, audience: penstock }\n  admin: chief\n"
        self.box.write_config(config(self.server, roles, self.jwt), VIEWS)
        self.box.start(ready_s=0)
        self.http = self.box.client()
        chief = self.token("chief")
        wait_for(lambda: self.get("/api/acc?select=id&limit=1&order=id.desc", chief).status == 200 and
                 len(self.get("/api/acc?select=id", chief).json()) == 400, 60, "rows")
        self.chief = chief

    def token(self, role, *more, **claims):
        args = ["token", "create", "-c", self.box.config, "--data", self.box.data, "--role", role] + list(more)
        for k, v in claims.items():
            if v is not None:
                args += ["--claim", "%s=%s" % (k, v)]
        code, out, err = self.box.command(*args)
        if code:
            raise RuntimeError(err)
        return out.strip()

    def get(self, path, token=None, how="Authorization", **headers):
        h = {k.replace("_", "-"): v for k, v in headers.items()}
        if token:
            h[how] = ("Bearer " if how == "Authorization" else "") + token
        return self.http.request(path, h)

    def taken(self, token, path="/api/acc?limit=1"):
        """Tokens are taken up without a restart, within a moment."""
        wait_for(lambda: self.get(path, token).status != 401, 20, "the token")
        return token

    def sql_do(self, text):
        pg.script(self.c, text)
        wait_visible_as(self)

    def sql(self, text, *args):
        with self.c.cursor() as cur:
            cur.execute(text, args or None)
            return cur.fetchall()




def grpc(w, path, message=b"", token=None):
    """The status of a call."""
    c, exchange = h2.Connection(w.box.port), h2.Exchange()
    stream = c.open(path, "POST", [("content-type", "application/grpc"), ("te", "trailers")] + ([("authorization", "Bearer " + token)] if token else []), end=False)
    c.send(h2.frame(h2.DATA, h2.END_STREAM, stream, b"\0" + len(message).to_bytes(4, "big") + message))
    c.finish({stream: exchange})
    c.close()
    return int(dict(exchange.blocks[-1])["grpc-status"])


def names(report, w):
    """Which apis there are is not told over gRPC either, to whom the list of apis is not."""
    ok, unknown, denied, unimplemented, nobody = 0, 5, 7, 12, 16
    t = w.taken(w.token("narrow", owner="a"), "/api/other")
    for name, token, acc, other in (("nobody", None, unknown, unknown), ("wrong", "nonsense", unknown, unknown), ("narrow", t, unknown, ok), ("chief", w.chief, ok, ok)):
        got = [grpc(w, "/grpc.health.v1.Health/Check", b"\n" + bytes([len(s)]) + s, token) for s in (b"", b"penstock.api.Acc", b"penstock.api.Other", b"penstock.api.Nope")]
        report.check("health/" + name, got == [ok, acc, other, unknown], str(got))
    for name, token, want in (("nobody", None, [nobody, nobody]), ("wrong", "nonsense", [nobody, nobody]), ("narrow", t, [denied, unimplemented]),
                              ("chief", w.chief, [ok, unimplemented])):
        got = [grpc(w, "/penstock.api.%s/Query" % s, b"", token) for s in ("Acc", "Nope")]
        report.check("method/" + name, got == want, str(got))


def doors(report, w):
    def refused(name, a, status, code):
        report.check("refused/" + name, a.status == status and a.json()["code"] == code, "%d %s" % (a.status, a.body[:200]))
        return a
    a = refused("nobody", w.get("/api/acc"), 401, "PGRST302")
    report.check("refused/nobody/challenge", a.headers.get("WWW-Authenticate") == "Bearer", str(a.headers))
    refused("nobody/openapi", w.get("/api/"), 401, "PGRST302")
    a = refused("wrong", w.get("/api/acc", "pst_" + "A" * 43), 401, "PGRST301")
    report.check("refused/wrong/challenge", "error=\"invalid_token\"" in a.headers.get("WWW-Authenticate", ""), str(a.headers))
    refused("wrong/openapi", w.get("/api/", "nonsense"), 401, "PGRST301")
    refused("basic", w.http.request("/api/acc", {"Authorization": "Basic YTpi"}), 401, "PGRST301")
    refused("key", w.get("/api/acc/1", "nonsense"), 401, "PGRST301")
    report.check("open/health", w.get("/health", "nonsense").status == 200)
    t = w.taken(w.token("narrow", owner="a"), "/api/other")
    refused("not-granted", w.get("/api/acc", t), 403, "42501")
    refused("not-granted/key", w.get("/api/acc/1", t), 403, "42501")
    refused("not-granted/live", w.get("/api/acc", t, Accept="text/event-stream"), 403, "42501")
    a = refused("unknown", w.get("/api/ac", t), 404, "PGRST205")
    report.check("refused/unknown/no-hint", "acc" not in a.body.decode().replace("'ac'", ""), a.body.decode())
    refused("empty-role", w.get("/api/acc", w.taken(w.token("empty"))), 403, "42501")
    report.check("apikey", w.get("/api/acc?limit=1", w.chief, how="apikey").status == 200)
    report.check("bearer-any-case", w.http.request("/api/acc?limit=1", {"Authorization": "bEARER  " + w.chief}).status == 200)
    for path in ("/api/penstock.proto",):
        report.check("proto/chief", w.get(path, w.chief).status == 200)
        report.check("proto/teller", w.get(path, t).status == 403)


def lives(report, w):
    short = w.token("chief", "--ttl", "3s")
    w.taken(short)
    wait_for(lambda: w.get("/api/acc?limit=1", short).status == 401, 20, "expiry")
    a = w.get("/api/acc", short)
    report.check("expired", a.json()["code"] == "PGRST301" and "expired" in a.json()["message"], a.body)
    gone = w.taken(w.token("teller", "--name", "till 3", branch="1"))
    code, out, err = w.box.command("token", "list", "--json", "-c", w.box.config, "--data", w.box.data)
    listed = json.loads(out)
    mine = [t for t in listed if t["name"] == "till 3"]
    report.check("list", len(mine) == 1 and mine[0]["claims"] == {"branch": "1"} and mine[0]["expires"] is None, out)
    report.check("list/no-secret", gone not in out and gone[4:] not in out)
    live = w.box.events("/api/acc?branch=eq.1&select=id", headers={"Authorization": "Bearer " + gone})
    code, out, err = w.box.command("token", "revoke", str(mine[0]["id"]), "-c", w.box.config, "--data", w.box.data)
    report.check("revoke", code == 0, err)
    events = [e for e, _, _ in live]  # ends with the connection
    report.check("revoke/ends-live", "epoch" in events and events.count("insert") == len(w.sql("SELECT 1 FROM acc WHERE branch = 1")), str(events[:3]))
    wait_for(lambda: w.get("/api/acc?limit=1", gone).status == 401, 20, "revocation")
    code, out, err = w.box.command("token", "revoke", str(mine[0]["id"]), "-c", w.box.config, "--data", w.box.data)
    report.check("revoke/again", code == 1 and "no token" in err, err)
    path = os.path.join(w.box.data, "tokens")
    report.check("tokens/mode", os.stat(path).st_mode & 0o777 == 0o600)
    text = open(path).read()
    report.check("tokens/hashed", w.chief not in text and w.chief[4:] not in text)
    saved = text
    mark = w.box.log_mark()
    with open(path + ".x", "w") as f:
        f.write(text[:len(text) // 2])
    os.rename(path + ".x", path)
    wait_for(lambda: "access.kept" in w.box.log_since(mark), 20, "the log says so")
    report.check("tokens/broken-keeps", w.get("/api/acc?limit=1", w.chief).status == 200)
    with open(path + ".x", "w") as f:
        f.write(saved)
    os.chmod(path + ".x", 0o600)
    os.rename(path + ".x", path)


# ---- rows and columns, path by path ----

def paths(report, w):
    t = w.taken(w.token("teller", branch="3"))
    mine = {r[0] for r in w.sql("SELECT id FROM acc WHERE branch = 3")}
    other = w.sql("SELECT id FROM acc WHERE branch IS DISTINCT FROM 3 ORDER BY id LIMIT 1")[0][0]
    a = w.get("/api/acc", t)
    report.check("list", {r["id"] for r in a.json()} == mine and set(a.json()[0]) == {"id", "branch", "owner"}, a.body[:200])
    for name, extra in (("or", "?or=(branch.eq.3,branch.eq.4)"), ("not", "?branch=not.eq.99"), ("order", "?order=id.desc"),
                        ("limit", "?limit=1000"), ("star", "?select=*")):
        report.check("list/" + name, {r["id"] for r in w.get("/api/acc" + extra, t).json()} <= mine, name)
    a = w.get("/api/acc?branch=eq.4", t, Prefer="count=exact")
    report.check("list/other-branch", a.json() == [] and a.headers["Content-Range"] == "*/0", str(a.headers))
    a = w.get("/api/acc?select=id", t, Prefer="count=exact")
    report.check("count", a.headers["Content-Range"].endswith("/%d" % len(mine)), a.headers["Content-Range"])
    for count in ("planned", "estimated"):
        a = w.get("/api/acc?select=id&limit=1", t, Prefer="count=" + count)
        report.check("count/" + count, int(a.headers["Content-Range"].split("/")[1]) <= 400, a.headers["Content-Range"])
    one = sorted(mine)[0]
    report.check("key", w.get("/api/acc/%d" % one, t).json()["branch"] == 3)
    hidden, absent = w.get("/api/acc/%d" % other, t), w.get("/api/acc/99999", t)
    report.check("key/hidden", hidden.status == 404 and hidden.body == absent.body, hidden.body)
    report.check("key/column", "secret" not in w.get("/api/acc/%d" % one, t).json())
    for name, q in (("select", "?select=secret"), ("filter", "?secret=eq.s1"), ("order", "?order=secret"), ("logic", "?or=(secret.eq.s1,id.eq.1)"),
                    ("cast", "?select=secret::text"), ("live", "?secret=eq.s1")):
        h = {"Accept": "text/event-stream"} if name == "live" else {}
        a, b = w.get("/api/acc" + q, t, **h), w.get("/api/acc" + q.replace("secret", "nosuch"), t, **h)
        report.check("column/" + name, a.status == 400 and a.body == b.body.replace(b"nosuch", b"secret"), a.body)
    csv = w.get("/api/acc?limit=1", t, Accept="text/csv").body.decode()
    report.check("csv", csv.startswith("id,branch,owner\n"), csv)
    n = w.taken(w.token("nokey", branch="3"))
    a = w.get("/api/acc", n)
    report.check("nokey/list", len(a.json()) == len(mine) and set(a.json()[0]) == {"owner", "amount"}, a.body[:200])
    a = w.get("/api/acc/%d" % one, n)
    report.check("nokey/key", a.status == 404 and b"id" not in a.body.replace(b"api", b"").replace(b"hidden", b""), a.body)
    doc = w.get("/api/", n).json()
    report.check("openapi/paths", list(doc["paths"]) == ["/api/acc", "/api/$batch"], str(list(doc["paths"])))
    report.check("openapi/columns", set(doc["components"]["schemas"]["acc"]["properties"]) == {"owner", "amount"})
    report.check("openapi/chief", len(w.get("/api/", w.chief).json()["paths"]) > 3)
    for role, shown in (("chief", True), ("both", True), ("narrow", False), ("nolink", False)):
        who = w.taken(w.token(role, branch="3", owner="a"), "/api/other?limit=1")
        found = w.get("/api/", who).json()["components"]["schemas"]["other"].get("x-references")
        report.equal("openapi/references-" + role, [r["api"] for r in found or []], ["acc"] if shown else [])
    f = w.taken(w.token("failing", branch="3"))
    rows = w.sql("SELECT id FROM acc WHERE id > 3 AND 1 / (id - 3) > 0 AND branch = 3")
    report.check("rule-fails", sorted(r["id"] for r in w.get("/api/acc?select=id", f).json()) == sorted(r[0] for r in rows))
    x = w.taken(w.token("teller", branch="not a number"))
    report.check("claim-not-a-number", w.get("/api/acc", x).json() == [])
    x = w.taken(w.token("teller"))
    report.check("claim-absent", w.get("/api/acc", x).json() == [])
    a = w.get("/api/acc?limit=1", t)
    report.check("etag-of-own-rows", a.headers["ETag"] != w.get("/api/acc?limit=1", w.chief).headers["ETag"])
    report.check("vary", "Authorization" in a.headers["Vary"], a.headers["Vary"])


# ---- tokens of an identity provider ----

def web_tokens(report, w):
    now = int(time.time())
    mine = {r[0] for r in w.sql("SELECT id FROM acc WHERE branch = 3")}

    def taken(name, token):
        a = w.get("/api/acc?select=id", token)
        report.check("jwt/" + name, a.status == 200 and {r["id"] for r in a.json()} == mine, "%d %s" % (a.status, a.body[:200]))

    def refused(name, token, why, path="/api/acc?select=id"):
        a = w.get(path, token)
        ok = a.status == 401 and a.json()["code"] == "PGRST301" and why in a.json()["message"]
        report.check("jwt/" + name, ok and why in a.headers["WWW-Authenticate"], "%d %s" % (a.status, a.body[:200]))
    rs, es, ed, hs = (w.keys[k] for k in ("RS256", "ES256", "EdDSA", "HS256"))
    wait_for(lambda: w.get("/api/acc?select=id", rs.token(role="teller", branch=3)).status == 200, 20, "keys")
    for key in (rs, es, ed):
        taken(key.kind, key.token(role="teller", branch="3"))
        taken(key.kind + "/no-kid", key.token(header={"kid": None}, role="teller", branch="3"))
        good = key.token(role="teller", branch="3")
        head, body, signature = good.split(".")
        other = jwt.b64(json.dumps(dict(json.loads(jwt.base64.urlsafe_b64decode(body + "==")), branch="4")).encode())
        refused(key.kind + "/tampered", ".".join((head, other, signature)), "signature")
        refused(key.kind + "/no-signature", head + "." + body + ".", "signature")
        flipped = signature[:10] + ("A" if signature[10] != "A" else "B") + signature[11:]
        refused(key.kind + "/flipped", ".".join((head, body, flipped)), "signature")
        refused(key.kind + "/zeros", ".".join((head, body, jwt.b64(bytes(len(jwt.base64.urlsafe_b64decode(signature + "==")))))), "signature")
        for cached in range(3):
            taken("%s/again-%d" % (key.kind, cached), good)
        refused(key.kind + "/tampered-after-cached", good[:-3] + ("AAA" if good[-3:] != "AAA" else "BBB"), "")
    taken("number-claim", rs.token(role="teller", branch=3))
    taken("aud-list", rs.token(role="teller", branch="3", aud=["x", "penstock"]))
    taken("leeway-exp", rs.token(role="teller", branch="3", exp=now - 10))
    taken("leeway-nbf", rs.token(role="teller", branch="3", nbf=now + 10))
    refused("expired", rs.token(role="teller", branch="3", exp=now - 3600), "expired")
    refused("no-exp", rs.token({"exp": None}, role="teller"), "exp")
    refused("exp-text", rs.token(role="teller", exp="tomorrow"), "exp")
    refused("not-yet", rs.token(role="teller", nbf=now + 3600), "not yet valid")
    refused("future", rs.token(role="teller", iat=now + 3600), "future")
    refused("audience", rs.token(role="teller", aud="other"), "audience")
    refused("audience-list", rs.token(role="teller", aud=["other"]), "audience")
    refused("no-audience", rs.token({"aud": None}, role="teller"), "audience")
    refused("issuer", rs.token(role="teller", iss="https://id.tes"), "issuer")
    refused("no-issuer", rs.token({"iss": None}, role="teller"), "issuer")
    refused("crit", rs.token(header={"crit": ["exp"]}, role="teller"), "critical")
    refused("other-kid", rs.token(header={"kid": "key-ES256"}, role="teller"), "no key")
    refused("hs256-not-allowed", hs.token(role="teller"), "algorithm")
    for name in ("none", "None", "NONE", "RS384", "", None, 5):
        refused("alg-%s" % name, rs.token(header={"alg": name}, role="teller"), "algorithm")
        head = jwt.b64(json.dumps({"alg": name, "kid": rs.kid}).encode())
        refused("alg-%s/unsigned" % name, head + "." + good.split(".")[1] + ".", "algorithm")
    # The public key taken for a secret: what HS256 with it would sign must not pass, nor under another key's name.
    confused = jwt.Key("HS256", rs.kid)
    for name, secret in (("pem", rs.public_pem()), ("der", rs.public_der()), ("n", jwt.base64.urlsafe_b64decode(rs.jwk()["n"] + "=="))):
        confused.secret = secret
        refused("confusion/" + name, confused.token(role="teller", branch="3"), "algorithm")
        refused("confusion/alg/" + name, confused.token(header={"alg": "RS256"}, role="teller", branch="3"), "signature")
    stranger = jwt.Key("RS256", rs.kid)
    refused("stranger", stranger.token(role="teller", branch="3"), "signature")
    for name, token in (("dots", "a.b.c"), ("empty-parts", ".."), ("four", good + ".x"), ("padded", good + "="), ("blank", good.replace(".", " .", 1)),
                        ("long", rs.token(role="teller", x="y" * 9000)), ("many", rs.token({"c%d" % i: "1" for i in range(150)}, role="teller"))):
        a = w.get("/api/acc", token)
        report.check("jwt/odd/" + name, a.status == 401, "%d %s" % (a.status, a.body[:100]))
    for name, claims in (("no-role", {}), ("role-null", {"role": None}), ("role-number", {"role": 5}), ("unknown-role", {"role": "king"}),
                         ("role-list", {"role": ["teller"]}), ("role-object", {"role": {"a": "teller"}})):
        a = w.get("/api/acc", rs.token(claims))
        report.check("jwt/role/" + name, a.status == 403 and a.json()["code"] == "42501", "%d %s" % (a.status, a.body[:100]))


def keys_change(report, w):
    """Keys come and go without a restart; a file that is broken changes nothing."""
    rs, fresh = w.keys["RS256"], jwt.Key("RS256", "key-new")
    old, new = rs.token(role="teller", branch="3"), fresh.token(role="teller", branch="3")
    report.check("rotate/before", w.get("/api/acc?limit=1", old).status == 200 and w.get("/api/acc?limit=1", new).status == 401)
    live = w.box.events("/api/acc?select=id", headers={"Authorization": "Bearer " + old})
    jwt.write_jwks(w.jwks, [rs, fresh])
    wait_for(lambda: w.get("/api/acc?limit=1", new).status == 200, 20, "the new key")
    report.check("rotate/both", w.get("/api/acc?limit=1", old).status == 200)
    mark = w.box.log_mark()
    with open(w.jwks + ".x", "w") as f:
        f.write('{"keys": [ {"kty": "RSA", "n": "AQAB", "e": "AQAB"} ]}')
    os.rename(w.jwks + ".x", w.jwks)
    wait_for(lambda: "access.kept" in w.box.log_since(mark), 20, "the log says so")
    report.check("rotate/broken-keeps", w.get("/api/acc?limit=1", old).status == 200 and w.get("/api/acc?limit=1", new).status == 200)
    jwt.write_jwks(w.jwks, [fresh])
    wait_for(lambda: w.get("/api/acc?limit=1", old).status == 401, 20, "the old key gone")
    report.check("rotate/after", w.get("/api/acc?limit=1", new).status == 200)
    events = [e for e, _, _ in live]  # ends, as its key is gone
    report.check("rotate/ends-live", "epoch" in events)
    short = w.box.events("/api/acc?select=id", headers={"Authorization": "Bearer " + fresh.token(role="teller", branch="3", exp=int(time.time()) - 28)})
    report.check("expiry/ends-live", "epoch" in [e for e, _, _ in short])


# ---- live ----

def live_rows(report, w):
    t = w.taken(w.token("teller", branch="5"))
    u = w.taken(w.token("teller", branch="6"))
    same = w.taken(w.token("teller", "--name", "another", branch="5"))
    path = "/api/acc?id=gte.1000&select=id,owner"
    lives = {k: iter(w.box.events(path, headers={"Authorization": "Bearer " + v})) for k, v in (("t", t), ("u", u), ("same", same))}
    steps = ["INSERT INTO acc VALUES (1000, 5, 'x', 'hidden', 1), (1001, 6, 'y', 'hidden', 2), (1002, NULL, 'z', 'hidden', 3)",
             "UPDATE acc SET owner = 'xx' WHERE id = 1000", "UPDATE acc SET branch = 6 WHERE id = 1000",
             "UPDATE acc SET secret = 'other' WHERE id >= 1000", "UPDATE acc SET branch = 5 WHERE id = 1002", "DELETE FROM acc WHERE id >= 1000"]
    for step in steps:
        w.sql_do(step)
    want = {"t": [("insert", 1000, "x"), ("update", 1000, "xx"), ("delete", 1000, "xx"), ("insert", 1002, "z"), ("delete", 1002, "z")],
            "u": [("insert", 1001, "y"), ("insert", 1000, "xx"), ("delete", 1000, "xx"), ("delete", 1001, "y")]}
    want["same"] = want["t"]
    for k, it in lives.items():
        got = []
        while len(got) < len(want[k]):
            event, data, _ = next(it, (None, None, None))
            if event is None:
                got.append(("ended",))
                break
            if event in ("insert", "update", "delete"):
                d = json.loads(data)
                got.append((event, d["id"], d["owner"]))
        # two rows that go in one transaction go in any order
        report.check("live/" + k, got[:-2] == want[k][:-2] and sorted(got[-2:]) == sorted(want[k][-2:]), "%s instead of %s" % (got, want[k]))


def embedded(report, w):
    """A view in the rows of another shows what its own rule lets through, and one that is not granted is not there."""
    t = w.taken(w.token("both", branch="3"))
    mine = {r[0]: r[1] for r in w.sql("SELECT id, owner FROM acc WHERE branch = 3")}
    get = lambda q, who=t, **h: w.get("/api/" + q, who, **h)
    a = get("other?select=id,acc(id,owner)&order=id")
    got = a.json() if report.equal("embedded/status", (a.status, a.body[:200] * (a.status != 200)), (200, b"")) else []
    report.equal("embedded/rows", {r["id"]: r["acc"]["owner"] for r in got if r["acc"]}, mine)
    report.equal("embedded/all", len(got), 400)
    a = get("other?select=id,acc!inner()", Prefer="count=exact")
    report.equal("embedded/inner", (sorted(r["id"] for r in a.json()), a.headers["Content-Range"].split("/")[1]), (sorted(mine), str(len(mine))))
    report.equal("embedded/none", len(get("other?select=id,acc()&acc=is.null").json()), 400 - len(mine))
    report.equal("embedded/back", sorted(r["id"] for r in get("acc?select=id,other!inner()").json()), sorted(mine))
    report.equal("embedded/star", sorted(get("other?select=acc(*)&id=eq.%d" % min(mine)).json()[0]["acc"]), ["branch", "id", "owner"])
    report.equal("embedded/spread", sorted(get("other?select=...acc(*)&id=eq.%d" % min(mine)).json()[0]), ["branch", "id", "owner"])
    for q in ("other?select=acc(secret)", "other?select=acc(id)&acc.secret=eq.s3", "other?select=id,acc()&order=acc(secret)",
              "other?select=acc(id)&acc.or=(secret.eq.s3,id.eq.1)", "other?select=acc(id)&acc.order=secret", "other?select=...acc(secret)"):
        a = get(q)
        report.equal("embedded/" + q, (a.status, a.json()["code"]), (400, "42703"))
    for who, q in (("teller", "acc?select=id,other(id)"), ("narrow", "other?select=id,acc(id)"), ("nolink", "other?select=id,acc(branch)")):
        a = get(q, w.taken(w.token(who, branch="3", owner="a")))
        report.equal("embedded/hidden " + who, (a.status, a.json()["code"], "secret" in a.body.decode()), (400, "PGRST200", False))
    link = get("acc?select=owner&order=owner&limit=2").headers["Link"]
    # Sealed bytes hold any short text by chance: the longest secrets are looked for, in the text and in the bytes.
    sealed = re.search(r"cursor=([\w-]+)", link or "")
    raw = base64.urlsafe_b64decode(sealed.group(1) + "==") if sealed else b""
    told = [i for i in mine if i >= 100 and (("s%d" % i) in link or b"s%d" % i in raw)] if sealed else []
    report.check("embedded/pages", raw and not told, (link, told))


def rules_change(report, w):
    """Another configuration: the rules are others at once, and live queries see by the new ones."""
    t = w.taken(w.token("teller", branch="2"))
    live = w.box.events("/api/acc?select=id", headers={"Authorization": "Bearer " + t})
    roles = dict(w.roles, teller="{ acc: { rows: \"branch = claim('branch')::int AND id > 200\" } }")
    w.box.write_config(config(w.server, roles, w.jwt))
    code, out, err = w.box.command("apply", "-c", w.box.config, "--data", w.box.data, timeout_s=60)
    report.check("apply", code == 0, out[-300:] + err)
    want = {r[0] for r in w.sql("SELECT id FROM acc WHERE branch = 2 AND id > 200")}
    wait_for(lambda: {r["id"] for r in w.get("/api/acc?select=id", t).json()} == want, 20, "the new rules")
    seen, reset = set(), False
    for event, data, _ in live:
        if event == "reset":
            seen, reset = set(), True
        elif event == "insert":
            seen.add(json.loads(data)["id"])
        elif event == "epoch" and reset and seen == want:
            break
    report.check("live-after-change", reset and seen == want, str(len(seen)))
    live.close()
    w.box.write_config(config(w.server, {}, w.jwt.replace("  admin: chief\n", "")).replace("  roles:\n", ""))
    w.box.command("apply", "-c", w.box.config, "--data", w.box.data, timeout_s=60)
    wait_for(lambda: w.get("/api/acc?limit=1", t).status == 403, 20, "no rules")  # and none who may see everything
    report.check("no-rules/openapi", [p for p in w.get("/api/", t).json()["paths"] if "$batch" not in p] == [], str(w.get("/api/", t).body[:300]))


def told(report, w):
    """`penstock contract` says who may see what, and who reads the lists of error rows."""
    code, out, err = w.box.command("contract", "--json", "-c", w.box.config)
    apis = {a["api"]: a for a in json.loads(out)}
    readers = {r["role"]: r for r in apis["acc"]["readers"]}
    report.check("contract/json", code == 0 and set(apis) == {"acc", "other", "grouped"} and readers["nokey"]["columns"] == ["owner", "amount"]
                 and "claim('branch')" in readers["nokey"]["rows"] and readers["chief"]["rows"] is None and "empty" not in readers
                 and set(readers) >= set(w.random_roles), out[:500] + err)
    code, out, err = w.box.command("contract", "acc", "-c", w.box.config)
    report.check("contract/text", code == 0 and "nokey: owner, amount where branch = claim('branch')::int" in out and "other" not in out, out + err)
    code, out, err = w.box.command("contract", "accs", "-c", w.box.config)
    report.check("contract/unknown", code == 2 and "did you mean 'acc'" in err, err)
    t = w.taken(w.token("teller", branch="3"))
    for path in ("/admin/views/acc/errors", "/admin/sources/core/acc/errors"):
        report.check("admin/chief" + path, w.get(path, w.chief).status == 200, w.get(path, w.chief).body)
        report.check("admin/teller" + path, w.get(path, t).status == 403)
        report.check("admin/nobody" + path, w.get(path).status == 401)


def wrong_rules(report):
    rows = [("column", "{ acc: { rows: \"nope = 1\" } }", "column \"nope\" does not exist"),
            ("type", "{ acc: { rows: \"branch\" } }", "boolean"), ("syntax", "{ acc: { rows: \"branch = \" } }", "syntax error"),
            ("subquery", "{ acc: { rows: \"branch = (SELECT 1)\" } }", "not"), ("aggregate", "{ acc: { rows: \"count(*) > 1\" } }", "aggregate"),
            ("two", "{ acc: { rows: \"true) ORDER BY (1\" } }", "condition"), ("claim", "{ acc: { rows: \"claim(branch) = 'x'\" } }", "claim"),
            ("now", "{ acc: { rows: \"now() > '2020-01-01'\" } }", "now()"), ("column-name", "{ acc: { columns: [id, ownr] } }", "did you mean owner"),
            ("api", "{ acccc: read }", "no api"), ("word", "{ acc: write }", "expected read"), ("key", "{ acc: { row: x } }", "did you mean rows")]
    for name, text, expected in rows:
        box = Penstock("penstock: 1\nsources:\n  g:\n    generator: { workload: bank, rate: 1, seed: 1 }\nsql: [ views.sql ]\napis:\n  acc:\naccess:\n"
                       "  roles:\n    r: %s\n" % text, "CREATE VIEW acc AS SELECT id, branch, owner FROM g.accounts;\n", name="access-wrong")
        code, out, err = box.command("check", "-c", box.config, "--data", box.data)
        said = out + err
        report.check("wrong/" + name, code == 2 and expected in said and "penstock.yaml:10:" in said, "exit %d: %s" % (code, said[:300]))


# ---- random rules ----

def bag(rows):
    return sorted(json.dumps([[k, float(v) if isinstance(v, (int, decimal.Decimal)) else v] for k, v in sorted(r.items())]) for r in rows)


def ask(rng, shown):
    """A random read of these columns as (URL part, SQL)."""
    where, url = [], []
    some = rng.choice(shown)
    if rng.random() < 0.5:
        if some in ("owner", "secret"):
            v = rng.choice(["a", "b", "s7"])
            url.append("%s=gte.%s" % (some, v))
            where.append("%s COLLATE \"C\" >= '%s'" % (some, v))
        else:
            v = rng.randrange(0, 8 if some == "branch" else 400)
            url.append("%s=lte.%d" % (some, v))
            where.append("%s <= %d" % (some, v))
    if rng.random() < 0.3:
        url.append("%s=is.null" % some)
        where.append("%s IS NULL" % some)
    picked = sorted(rng.sample(shown, rng.randrange(1, len(shown) + 1)), key=COLUMNS.index)
    url.append("select=" + ",".join(picked))
    order = rng.choice(shown)
    if rng.random() < 0.5:
        url.append("order=%s.desc" % order)
    return "&".join(url), picked, " AND ".join(where) or "true"


def property_holds(report, w):
    bad, asked = [], 0
    for name, (_, for_sql, shown) in sorted(w.random_roles.items()):
        for _ in range(2):
            claims = {"branch": str(w.rng.randrange(BRANCHES)), "owner": w.rng.choice(["a", "b", "d'e"]), "least": "500"}
            token = w.taken(w.token(name, **claims))
            rule = for_sql.format(**{k: literal(v) for k, v in claims.items()})
            for _ in range(12):
                url, picked, where = ask(w.rng, shown)
                a = w.get("/api/acc?" + url, token, Prefer="count=exact")
                rows = w.sql("SELECT %s FROM (SELECT * FROM acc WHERE %s) f WHERE %s" % (", ".join(picked), rule, where))
                want = bag(dict(zip(picked, r)) for r in rows)
                got = bag(a.json()) if a.status in (200, 206) else a.body
                asked += 1
                count = a.headers.get("Content-Range", "").split("/")[-1]
                if got != want or count != str(len(rows)):
                    bad.append((name, rule, url, count, len(rows), str(got)[:200]))
    report.check("random-rules", not bad, "%d of %d differ: %s" % (len(bad), asked, bad[:3]))
    report.check("random-rules/some", asked > 200)


with Report("test_access.py", 240) as report:
    world = World()
    report.section("doors", doors, report, world)
    report.section("names", names, report, world)
    report.section("lives", lives, report, world)
    report.section("paths", paths, report, world)
    report.section("jwt", web_tokens, report, world)
    report.section("keys", keys_change, report, world)
    report.section("live", live_rows, report, world)
    report.section("told", told, report, world)
    report.section("property", property_holds, report, world)
    report.section("embedded", embedded, report, world)
    report.section("change", rules_change, report, world)
    report.section("wrong", wrong_rules, report)
    report.check("never-ended", "event=process.ended" not in world.box.log_text(), world.box.log_tail())
    world.box.stop()
    world.server.stop()
