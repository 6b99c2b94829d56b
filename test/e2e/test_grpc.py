#!/usr/bin/python3
"""gRPC with real clients: Python's grpcio, generated from the served .proto and through reflection, and @grpc/grpc-js. Every type
against REST and PostgreSQL, streams, flow control, cancellation, deadlines, gzip, watches that resume, errors with details."""

import json
import os
import struct
import subprocess
import sys
import threading
import time

os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"  # the test starts processes
os.environ["GRPC_VERBOSITY"] = "NONE"

from lib import fetched, pg, procs  # noqa: E402
from lib.client import wait_for  # noqa: E402
from lib.penstock import Penstock, postgres_config  # noqa: E402
from lib.report import Report  # noqa: E402

PYTHON = ["grpcio==1.71.2", "grpcio-tools==1.71.2", "grpcio-reflection==1.71.2", "grpcio-health-checking==1.71.2",
          "grpcio-status==1.71.2", "protobuf==5.29.5"]
NODE = ["@grpc/grpc-js@1.13.4", "@grpc/proto-loader@0.7.15"]
LARGE = 4000

DDL = """
CREATE TYPE core.mood AS ENUM ('sad', 'a "b"', 'é');
CREATE TABLE core.kinds (id int PRIMARY KEY, b bool, s smallint, i int, l bigint, f real, d double precision, n numeric, n2 numeric(12,2),
  t text, v varchar(20), c char(5), x bytea, da date, ti time, ts timestamp, tz timestamptz, iv interval, u uuid, j json, jb jsonb,
  ip inet, ne cidr, ma macaddr, tt timetz, r4 int4range, rn numrange, m core.mood, al bigint[], an numeric[], at text[], ab bool[],
  ad double precision[], ax bytea[], az timestamptz[], am core.mood[], "odd name" int, "select" text, "1st" int);
INSERT INTO core.kinds (id) VALUES (1);
INSERT INTO core.kinds VALUES (2, false, -32768, -2147483648, -9223372036854775808, '-Infinity', 'NaN', -123456789012345678901234567890.000000001, -0.01,
  '', '', '', '', '-infinity', '00:00', '-infinity', '-infinity', '-1 mon 2 days -00:00:00.000001', '00000000-0000-0000-0000-000000000000', '{"k" :  [1]}', '{}',
  '::1', '10.0.0.0/8', '00:00:00:00:00:00', '00:00+15:59', 'empty', '(,1.50)', 'sad', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', 0, '', 0);
INSERT INTO core.kinds VALUES (3, true, 32767, 2147483647, 9223372036854775807, 3.4028235e38, 1.7976931348623157e308, 'NaN', 9999999999.99,
  E'q"\\\\\n\\u00e9', 'é', 'ab', '\\x00ff', 'infinity', '24:00', '294276-12-31 23:59:59.999999', '4713-01-01 00:00:00+00 BC', '178000000 years', 'ffffffff-ffff-ffff-ffff-ffffffffffff',
  'null', '[1, 2.50, null]', '10.1.2.3/24', '::/0', 'ff:ff:ff:ff:ff:ff', '23:59:59.999999-15:59', '[1,5)', '[0,]', 'é', '{1,NULL,-9223372036854775808}',
  '{1.50,NaN,NULL}', '{a,NULL,"",é}', '{{t,f},{NULL,t}}', '[0:1]={-0,Infinity}', '{"\\\\x00",NULL}', '{infinity,2026-01-02 03:04:05+00}', '{sad,NULL,é}', -1, 'x', 7);
CREATE TABLE core.big (id bigint PRIMARY KEY, g int, body text NOT NULL);
INSERT INTO core.big SELECT i, i % 7, repeat('x', 1000) || i FROM generate_series(1, %d) i;
CREATE TABLE core.pair (a text, b int, v numeric, PRIMARY KEY (a, b));
INSERT INTO core.pair VALUES ('x/y', 1, 1.5), ('x/y', 2, NULL), ('é', -1, 0);
CREATE TABLE core.note (id bigint PRIMARY KEY, g int, t text);
INSERT INTO core.note VALUES (1, 1, 'one'), (2, 2, 'two');
""".replace("%d", str(LARGE))
VIEWS = {
    "kinds": "SELECT * FROM core.kinds",
    "big": "SELECT id, g, body FROM core.big",
    "pairs": "SELECT a, b, v FROM core.pair",
    "note": "SELECT id, g, t FROM core.note",
    "bag": "SELECT g FROM core.note",
}
APIS = ["kinds", "big", "note", "bag", "pairs/all: { view: pairs }"]


class Bed:
    def __init__(self, report):
        self.report = report
        self.server = pg.Postgres().start()
        self.c = self.server.connect()
        pg.script(self.c, "CREATE SCHEMA core; SET search_path = public, core; SET timezone = 'UTC'")
        pg.script(self.c, DDL)
        pg.script(self.c, "CREATE PUBLICATION penstock FOR ALL TABLES")
        tables = ["{ table: core.%s, as: %s }" % (t, t) for t in ("kinds", "big", "pair", "note")]
        config = postgres_config(self.server, tables, ["views.sql"], APIS,
                                 extra="limits: { scan_rows: 3000, heartbeat: 2s, wait: 1s }\n").replace("  pairs/all: { view: pairs }:", "  pairs/all: { view: pairs }")
        self.box = Penstock(config, "".join("CREATE VIEW %s AS %s;\n" % v for v in VIEWS.items()), shards=2, name="grpc")
        self.box.start()
        self.http = self.box.client()

    def certificate(self):
        with open(os.path.join(self.box.data, "tls", "cert.pem"), "rb") as f:
            return f.read()

    def channel(self, **options):
        import grpc
        given = [("grpc.ssl_target_name_override", "localhost")] + [(k.replace("__", "."), v) for k, v in options.items()]
        return grpc.secure_channel("127.0.0.1:%d" % self.box.port, grpc.ssl_channel_credentials(self.certificate()), options=given)

    def wait(self):
        """Metadata for a read that includes everything written so far."""
        return [("penstock-wait", "core=" + pg.lsn(self.c))]


def compile_proto(bed):
    """The served file, through protoc, as Python modules."""
    import importlib

    from grpc_tools import protoc
    where = os.path.join(bed.box.dir, "generated")
    os.makedirs(where)
    for name in ("penstock", "views"):
        with open(os.path.join(where, name + ".proto"), "wb") as f:
            f.write(bed.http.get("/api/%s.proto" % name).body)
    status = protoc.main(["protoc", "-I" + where, "--python_out=" + where, "--grpc_python_out=" + where,
                          "--descriptor_set_out=" + os.path.join(where, "all.pb"), "--include_imports",
                          os.path.join(where, "penstock.proto"), os.path.join(where, "views.proto")])
    bed.report.equal("protoc", status, 0)
    sys.path.insert(0, where)
    names = ("penstock_pb2", "penstock_pb2_grpc", "views_pb2", "views_pb2_grpc")
    return [importlib.import_module(n) for n in names] + [os.path.join(where, "all.pb")]


# ---- what a message says, as REST says it ----

def array_value(text, m):
    """An Array message as nested lists."""
    flat = [None if i in set(m.nulls) else text(v) for i, v in enumerate(m.values)]
    lengths = list(m.lengths)
    for n in reversed(lengths[1:]):
        flat = [flat[i:i + n] for i in range(0, len(flat), n)]
    return flat


def scalar(v):
    if isinstance(v, bytes):
        return "\\x" + v.hex()
    if isinstance(v, float):
        return "NaN" if v != v else "Infinity" if v == float("inf") else "-Infinity" if v == float("-inf") else v
    return v


def row_value(row):
    """{column: value}, NULLs as None; values of types that REST prints as numbers or json are texts here."""
    out = {}
    for field in row.DESCRIPTOR.fields:
        if not row.HasField(field.name):
            out[field.json_name] = None
        elif field.message_type:
            out[field.json_name] = array_value(scalar, getattr(row, field.name))
        else:
            out[field.json_name] = scalar(getattr(row, field.name))
    return out


def views_value(v):
    kind = v.WhichOneof("kind")
    if kind is None:
        return None
    if kind != "array_value":
        return scalar(getattr(v, kind))
    flat = [views_value(e) for e in v.array_value.values]
    for n in reversed(list(v.array_value.lengths)[1:]):
        flat = [flat[i:i + n] for i in range(0, len(flat), n)]
    return flat


class Raw(str):
    """A number of JSON with its digits."""


def expected_row(text, types):
    """A row of REST in the form of row_value."""
    def value(v, sql):
        if v is None:
            return None
        base = sql.split("(")[0].replace("[]", "")
        if base in ("json", "jsonb"):
            return v  # compared as parsed
        if isinstance(v, list):
            return [value(e, sql) for e in v]
        if isinstance(v, Raw):
            if base.startswith("numeric"):
                return str(v)
            if base in ("real", "double precision"):
                f = float(v)
                return struct.unpack("f", struct.pack("f", f))[0] if base == "real" else f
            return int(v)
        return v
    row = json.loads(text, parse_int=Raw, parse_float=Raw)
    return {k: value(v, types[k]) for k, v in row.items()}


def plain(v):
    if isinstance(v, Raw):
        return float(v) if "." in v else int(v)
    if isinstance(v, list):
        return [plain(e) for e in v]
    return {k: plain(e) for k, e in v.items()} if isinstance(v, dict) else v


def same_row(report, name, got, want, types):
    wrong = []
    for k, v in want.items():
        g = got.get(k)
        if types[k] in ("json", "jsonb") and g is not None:
            g = json.loads(g)
            v = plain(v)
        if g != v or type(g) is bool and type(v) is not bool:
            wrong.append("%s: got %r, want %r" % (k, g, v))
    report.check(name, not wrong and len(got) == len(want), "; ".join(wrong)[:600] or "other columns")


def types_of(bed, view):
    return dict(pg.rows(bed.c, "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'core.%s'::regclass AND attnum > 0" % view))


def every_type(bed, pb, rpc, vpb, vrpc):
    report, channel = bed.report, bed.channel()
    types = types_of(bed, "kinds")
    typed, generic = rpc.KindsStub(channel), vrpc.ViewsStub(channel)
    for key in (1, 2, 3):
        rest = bed.http.get("/api/kinds/%d" % key)
        want = expected_row(rest.body.decode(), types)
        same_row(report, "types/get/%d" % key, row_value(typed.Get(pb.KindsGetRequest(id=key))), want, types)
        answer = generic.Get(vpb.GetRequest(api="kinds", key=[str(key)]))
        got = {c.name: views_value(v) for c, v in zip(answer.columns, answer.row.values)}
        same_row(report, "types/views-get/%d" % key, got, want, types)
        report.check("types/column-types/%d" % key, all(types[c.name] in (c.type, "core." + c.type) or c.type.endswith(types[c.name]) for c in answer.columns),
                     str([(c.name, c.type, types[c.name]) for c in answer.columns])[:500])
    rows = list(typed.Query(pb.QueryRequest(order=["id"])))
    report.equal("types/query", [r.id for r in rows], [1, 2, 3])
    for row, key in zip(rows, (1, 2, 3)):
        same_row(report, "types/query/%d" % key, row_value(row), expected_row(bed.http.get("/api/kinds/%d" % key).body.decode(), types), types)
    # PostgreSQL itself, where the form is the same text
    for column in ("n", "n2", "u", "iv", "da", "ti", "tt", "ip", "ne", "ma", "r4", "rn", "m", "c"):
        form = {"c": "c || repeat(' ', 5 - length(c))", "ip": "to_json(ip) #>> '{}'"}.get(column, column + "::text")  # char loses blanks, inet gains /128
        want = [r[0] for r in pg.rows(bed.c, "SELECT %s FROM core.kinds ORDER BY id" % form)]
        got = [getattr(r, column) if r.HasField(column) else None for r in rows]
        report.equal("types/postgres/" + column, got, want)
    bounds = [list(r.ad.lower_bounds) for r in rows]
    report.equal("types/lower-bounds", bounds, [[], [], [0]])


def reads(bed, pb, rpc, vpb, vrpc):
    import grpc
    report, channel = bed.report, bed.channel()
    pairs, note, bag = rpc.Pairs_AllStub(channel), rpc.NoteStub(channel), rpc.BagStub(channel)
    row = pairs.Get(pb.Pairs_AllGetRequest(a="x/y", b=2))
    report.equal("get/composite", (row.a, row.b, row.HasField("v")), ("x/y", 2, False))
    row, call = pairs.Get.with_call(pb.Pairs_AllGetRequest(a="é", b=-1))
    meta = dict(call.initial_metadata())
    report.check("get/metadata", int(meta["penstock-epoch"]) > 0 and "penstock-lag-ms" in meta, str(meta))
    report.equal("get/zero", (row.HasField("v"), row.v), (True, "0"))

    def query(stub=note, **k):
        return list(stub.Query(pb.QueryRequest(**k)))
    condition = pb.Condition
    report.equal("query/filter", [r.id for r in query(filter="g=eq.2")], [2])
    report.equal("query/or", [r.id for r in query(filter="or=(t.eq.one,t.eq.two)", order=["id.desc"])], [2, 1])
    report.equal("query/conditions", [r.a for r in query(pairs, conditions=[condition(column="a", operator="in", values=["x/y", 'q"\\,)'])], order=["b"])], ["x/y"] * 2)
    report.equal("query/not-is", [r.b for r in query(pairs, conditions=[condition(column="v", operator="not.is", values=["null"])], order=["b"])], [-1, 1])
    report.equal("query/keyword-column", [r.id for r in rpc.KindsStub(channel).Query(pb.QueryRequest(conditions=[condition(column="select", operator="eq", values=["x"])]))], [3])
    report.equal("query/select", [(r.HasField("id"), r.t) for r in query(select=["t"], order=["id"])], [(False, "one"), (False, "two")])
    report.equal("query/limit", [r.id for r in query(order=["id"], limit=1, offset=1)], [2])
    report.equal("query/limit-0", query(limit=0), [])
    report.equal("query/keyless", sorted(r.g for r in query(bag)), [1, 2])
    count = note.Count(pb.CountRequest(filter="g=gt.1"))
    report.equal("count", (count.count, count.epoch > 0), (1, True))
    report.equal("count/all", rpc.BigStub(channel).Count(pb.CountRequest()).count, LARGE)
    pinned = channel.unary_unary("/penstock.api.v1.Note/Get", request_serializer=pb.NoteGetRequest.SerializeToString, response_deserializer=pb.NoteRow.FromString)
    report.equal("pinned", pinned(pb.NoteGetRequest(id=1)).t, "one")

    generic = vrpc.ViewsStub(channel)
    listed = {a.path: (list(a.key), [c.name for c in a.columns]) for a in generic.List(vpb.ListRequest()).apis}
    report.equal("views/list", (sorted(listed), listed["pairs/all"]), (["bag", "big", "kinds", "note", "pairs/all"], (["a", "b"], ["a", "b", "v"])))
    messages = list(generic.Query(vpb.QueryRequest(api="note", select=["x:id::text", "t"], order=["id"])))
    report.equal("views/query", ([c.name for c in messages[0].columns], [[views_value(v) for v in r.values] for m in messages for r in m.rows]),
                 (["x", "t"], [["1", "one"], ["2", "two"]]))
    messages = list(generic.Query(vpb.QueryRequest(api="note", filter="id=eq.99")))
    report.equal("views/query-none", (len(messages), len(messages[0].columns), len(messages[0].rows)), (1, 3, 0))
    messages = list(generic.Query(vpb.QueryRequest(api="big", select=["id"], limit=2500, version=1)))
    report.equal("views/query-large", sum(len(m.rows) for m in messages), 2500)
    report.equal("views/count", generic.Count(vpb.CountRequest(api="pairs/all", conditions=[vpb.Condition(column="a", operator="eq", values=["x/y"])])).count, 2)
    report.equal("views/get", views_value(generic.Get(vpb.GetRequest(api="pairs/all", key=["x/y", "1"], select=["v"])).row.values[0]), "1.5")

    pg.script(bed.c, "INSERT INTO core.note VALUES (3, 3, 'three')")
    report.equal("wait", note.Get(pb.NoteGetRequest(id=3), metadata=bed.wait()).t, "three")
    try:
        note.Get(pb.NoteGetRequest(id=3), metadata=[("penstock-wait", "core=FFFFFFFF/0")], timeout=20)
        report.fail("wait/late", "answered")
    except grpc.RpcError as e:
        report.equal("wait/late", e.code(), grpc.StatusCode.DEADLINE_EXCEEDED)
    row, call = note.Get.with_call(pb.NoteGetRequest(id=3))
    seen = dict(call.initial_metadata())
    report.equal("version", seen.get("penstock-version"), "1")
    at = "%s-%s" % (seen.get("penstock-epoch"), seen.get("penstock-timeline"))
    report.equal("at-least", note.Get(pb.NoteGetRequest(id=3), metadata=[("penstock-at-least", at)]).t, "three")
    try:
        note.Get(pb.NoteGetRequest(id=3), metadata=[("penstock-at-least", "1-0badf00d")], timeout=20)
        report.fail("at-least/other-timeline", "answered")
    except grpc.RpcError as e:
        report.equal("at-least/other-timeline", e.code(), grpc.StatusCode.FAILED_PRECONDITION)
    pg.script(bed.c, "DELETE FROM core.note WHERE id = 3")


def errors(bed, pb, rpc, vpb, vrpc):
    import grpc
    from google.rpc import error_details_pb2
    from grpc_status import rpc_status
    report, channel = bed.report, bed.channel()
    note, big, generic = rpc.NoteStub(channel), rpc.BigStub(channel), vrpc.ViewsStub(channel)
    code = grpc.StatusCode

    def raw(path, request=b"", **k):
        return channel.unary_unary(path)(request, **k)

    def fails(name, call, want, reason=None, hint=None):
        try:
            got = call()
            if not isinstance(got, bytes) and hasattr(got, "__iter__"):
                list(got)
            report.fail("errors/" + name, "no error")
            return
        except grpc.RpcError as e:
            status = rpc_status.from_call(e)
            found = error_details_pb2.ErrorInfo()
            for d in status.details if status else []:
                d.Unpack(found)
            report.check("errors/" + name, e.code() == want and (reason is None or (found.reason, found.domain) == (reason, "penstock")) and
                         (hint is None or hint in found.metadata.get("hint", "")) and (status is None or status.message == e.details()), "%s %s %s" % (e.code(), e.details(), status))
    fails("no-row", lambda: note.Get(pb.NoteGetRequest(id=99)), code.NOT_FOUND, "PENSTOCK_NOT_FOUND")
    fails("no-key", lambda: note.Get(pb.NoteGetRequest()), code.INVALID_ARGUMENT, "PENSTOCK_KEY")
    fails("column", lambda: note.Query(pb.QueryRequest(filter="nope=eq.1")), code.INVALID_ARGUMENT, "42703")
    fails("grammar", lambda: note.Query(pb.QueryRequest(filter="id=nope.1")), code.INVALID_ARGUMENT, "PGRST100")
    fails("value", lambda: note.Query(pb.QueryRequest(filter="id=eq.x")), code.INVALID_ARGUMENT, "22P02")
    fails("typed-cast", lambda: note.Query(pb.QueryRequest(select=["id::text"])), code.INVALID_ARGUMENT, "PENSTOCK_TYPED", "penstock.v1.Views")
    fails("scan", lambda: big.Query(pb.QueryRequest(filter="g=eq.1")), code.INVALID_ARGUMENT, "PENSTOCK_SCAN_LIMIT", "CREATE INDEX ON big (g)")
    fails("api", lambda: generic.Query(vpb.QueryRequest(api="nope")), code.NOT_FOUND, "PGRST205")
    fails("api-with-key", lambda: generic.Query(vpb.QueryRequest(api="note/1")), code.NOT_FOUND, "PGRST205")
    fails("version", lambda: generic.Query(vpb.QueryRequest(api="note", version=9)), code.NOT_FOUND, "PENSTOCK_VERSION")
    fails("watch-column", lambda: note.Watch(pb.WatchRequest(filter="nope=eq.1")), code.INVALID_ARGUMENT, "42703")
    fails("method", lambda: raw("/penstock.api.Note/Nope"), code.UNIMPLEMENTED)
    fails("service", lambda: raw("/penstock.api.Nope/Query"), code.UNIMPLEMENTED)
    fails("no-get", lambda: raw("/penstock.api.Bag/Get"), code.UNIMPLEMENTED)
    fails("package", lambda: raw("/x.Y/Z"), code.UNIMPLEMENTED)
    for i, bytes_ in enumerate((b"\x08", b"\x0a\xff", b"\x0a\x01\xff", b"\x0c", b"\xff" * 20, b"\x0a\x02a\x00")):
        fails("malformed/%d" % i, lambda: raw("/penstock.api.Note/Count", bytes_), code.INVALID_ARGUMENT, "PENSTOCK_MESSAGE")
    fails("health", lambda: raw("/grpc.health.v1.Health/Check", b"\x0a\x04nope"), code.NOT_FOUND)
    stream = channel.stream_unary("/penstock.api.Note/Count")
    fails("two-messages", lambda: stream(iter([b"", b""])), code.INVALID_ARGUMENT)
    fails("no-message", lambda: stream(iter([])), code.INVALID_ARGUMENT)
    report.equal("errors/alive", note.Get(pb.NoteGetRequest(id=1)).t, "one")


def streams(bed, pb, rpc):
    import grpc
    report = bed.report
    big = rpc.BigStub(bed.channel())
    rows = list(big.Query(pb.QueryRequest(order=["id"])))
    report.equal("streams/all", ([r.id for r in rows], rows[-1].body), (list(range(1, LARGE + 1)), "x" * 1000 + str(LARGE)))
    for name, algorithm in (("gzip", grpc.Compression.Gzip), ("none", grpc.Compression.NoCompression)):
        zipped = rpc.BigStub(bed.channel(grpc__default_compression_algorithm=int(algorithm)))
        report.equal("streams/" + name, len(list(zipped.Query(pb.QueryRequest(conditions=[pb.Condition(column="id", operator="in", values=[str(i) for i in range(1, 1500)])])))), 1499)
    # a reader that stops takes its window's worth; others go on, and it gets everything in the end
    slow_channel = bed.channel(grpc__http2__lookahead_bytes=65535, grpc__http2__bdp_probe=0)
    slow = rpc.BigStub(slow_channel).Query(pb.QueryRequest(order=["id"]))
    first = next(slow)
    for i in range(50):
        report.check("streams/beside", big.Get(pb.BigGetRequest(id=i + 1)).id == i + 1) if i == 49 else big.Get(pb.BigGetRequest(id=i + 1))
    pg.script(bed.c, "DELETE FROM core.big WHERE id > %d" % (LARGE - 10))
    wait_for(lambda: big.Count(pb.CountRequest()).count == LARGE - 10, 20, "the deletion")
    rest = [r.id for r in slow]
    report.equal("streams/slow", (first.id, rest), (1, list(range(2, LARGE + 1))))  # of its epoch
    stopped = rpc.BigStub(bed.channel()).Query(pb.QueryRequest(order=["id"]))
    next(stopped)
    stopped.cancel()
    report.equal("streams/cancelled", stopped.code(), grpc.StatusCode.CANCELLED)
    watching = rpc.NoteStub(bed.channel()).Watch(pb.WatchRequest(), timeout=1.0)
    try:
        list(watching)
        report.fail("streams/deadline", "ended well")
    except grpc.RpcError as e:
        report.equal("streams/deadline", e.code(), grpc.StatusCode.DEADLINE_EXCEEDED)
    many = [big.Get.future(pb.BigGetRequest(id=i)) for i in range(1, 501)]
    report.equal("streams/many", [f.result().id for f in many], list(range(1, 501)))


class Watcher:
    """Takes the events of a watch in a thread."""

    def __init__(self, call):
        self.call, self.events, self.error = call, [], None
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        try:
            for e in self.call:
                self.events.append(e)
        except Exception as e:
            self.error = e

    def until(self, condition, what):
        wait_for(lambda: condition(list(self.events)), 20, what)
        return list(self.events)


def rows_of(events, pb, key=lambda r: r.id):
    """The rows that a client holds who follows the events."""
    rows = {}
    for e in events:
        if e.kind == pb.EVENT_RESET:
            rows = {}
        elif e.kind in (pb.EVENT_INSERT, pb.EVENT_UPDATE):
            rows[key(e.row)] = e.row
        elif e.kind == pb.EVENT_DELETE:
            del rows[key(e.row)]
    return rows


def watches(bed, pb, rpc, vpb, vrpc):
    report = bed.report
    note = rpc.NoteStub(bed.channel())
    w = Watcher(note.Watch(pb.WatchRequest(filter="g=lt.10")))
    events = w.until(lambda ev: any(e.kind == pb.EVENT_EPOCH for e in ev), "the first epoch")
    report.equal("watch/first", ([e.row.id for e in events if e.kind == pb.EVENT_INSERT], events[-1].kind), ([1, 2], pb.EVENT_EPOCH))
    pg.script(bed.c, "BEGIN; INSERT INTO core.note VALUES (5, 5, 'five'); UPDATE core.note SET t = 'ONE' WHERE id = 1; UPDATE core.note SET g = 20 WHERE id = 2; COMMIT")
    events = w.until(lambda ev: 5 in rows_of(ev, pb) and ev[-1].kind in (pb.EVENT_EPOCH, pb.EVENT_HEARTBEAT), "the changes")
    rows = rows_of(events, pb)
    report.equal("watch/changes", {k: r.t for k, r in rows.items()}, {1: "ONE", 5: "five"})
    kinds = sorted(e.kind for e in events[3:] if e.kind not in (pb.EVENT_EPOCH, pb.EVENT_HEARTBEAT))
    report.equal("watch/kinds", kinds, [pb.EVENT_INSERT, pb.EVENT_UPDATE, pb.EVENT_DELETE])
    resume = [e.resume for e in events if e.resume][-1]
    w.call.cancel()
    pg.script(bed.c, "DELETE FROM core.note WHERE id = 5; INSERT INTO core.note VALUES (6, 6, 'six')")
    bed.http.list("note", wait=("core", pg.lsn(bed.c)))
    w = Watcher(note.Watch(pb.WatchRequest(filter="g=lt.10", resume=resume)))
    events = w.until(lambda ev: any(e.kind == pb.EVENT_EPOCH for e in ev) and any(e.row.id == 6 for e in ev), "what was missed")
    report.equal("watch/resumed", sorted((e.kind, e.row.id) for e in events if e.kind in (pb.EVENT_INSERT, pb.EVENT_DELETE)), [(pb.EVENT_INSERT, 6), (pb.EVENT_DELETE, 5)])
    w.until(lambda ev: any(e.kind == pb.EVENT_HEARTBEAT for e in ev), "a heartbeat")
    report.ok("watch/heartbeat")
    w.call.cancel()
    w = Watcher(note.Watch(pb.WatchRequest(resume="1-00000000")))
    events = w.until(lambda ev: any(e.kind == pb.EVENT_EPOCH for e in ev), "a reset")
    report.equal("watch/reset", (events[0].kind, sorted(rows_of(events, pb))), (pb.EVENT_RESET, [1, 2, 6]))
    w.call.cancel()
    w = Watcher(vrpc.ViewsStub(bed.channel()).Watch(vpb.WatchRequest(api="note", select=["id", "t"], filter="id=eq.1")))
    events = w.until(lambda ev: any(e.kind == vpb.EVENT_EPOCH for e in ev), "the generic watch")
    report.equal("watch/views", ([c.name for c in events[0].columns], [views_value(v) for v in events[1].row.values]), (["id", "t"], [1, "ONE"]))
    w.call.cancel()


def reflection(bed, pb, path):
    import grpc
    from google.protobuf import descriptor_pb2
    from google.protobuf.descriptor_pool import DescriptorPool
    from google.protobuf.message_factory import GetMessageClass
    from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
    from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
    report, channel = bed.report, bed.channel()
    database = ProtoReflectionDescriptorDatabase(channel)
    services = sorted(database.get_services())
    apis = ["Big", "Bag", "Kinds", "Note", "Pairs_All"]
    report.equal("reflection/services", services, sorted(["penstock.api." + a for a in apis] + ["penstock.api.v1." + a for a in apis] +
                 ["penstock.v1.Views", "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"]))
    compiled = descriptor_pb2.FileDescriptorSet()
    with open(path, "rb") as f:
        compiled.ParseFromString(f.read())
    for name in ("penstock.proto", "views.proto"):
        want = [f for f in compiled.file if f.name == name][0]
        got = database.FindFileByName({"views.proto": "penstock/v1/views.proto"}.get(name, name))
        for message in want.message_type:
            for field in message.field:
                field.ClearField("options")
        want.name = got.name
        report.check("reflection/" + name, got == want, "protoc makes another descriptor of the text: %s" % _first_difference(got, want))
    pool = DescriptorPool(database)
    method = pool.FindMethodByName("penstock.api.v1.Note.Get")
    request = GetMessageClass(method.input_type)(id=1)
    call = channel.unary_unary("/penstock.api.v1.Note/Get", request_serializer=type(request).SerializeToString,
                               response_deserializer=GetMessageClass(method.output_type).FromString)
    report.equal("reflection/call", call(request).id, 1)
    for version in ("v1", "v1alpha"):
        stub = channel.stream_stream("/grpc.reflection.%s.ServerReflection/ServerReflectionInfo" % version,
                                     request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
                                     response_deserializer=reflection_pb2.ServerReflectionResponse.FromString)
        asks = [reflection_pb2.ServerReflectionRequest(file_containing_symbol=s) for s in ("penstock.api.NoteRow", "penstock.api.NoteRow.id", "penstock.v1.Views.Get", "grpc.health.v1.HealthCheckResponse.ServingStatus", "no.such", "penstock.api")]
        asks += [reflection_pb2.ServerReflectionRequest(file_by_filename="nope.proto"), reflection_pb2.ServerReflectionRequest()]
        got = [a.WhichOneof("message_response") for a in stub(iter(asks))]
        report.equal("reflection/" + version, got, ["file_descriptor_response"] * 4 + ["error_response"] * 4)


def _first_difference(a, b):
    x, y = str(a).split("\n"), str(b).split("\n")
    for i, (p, q) in enumerate(zip(x, y)):
        if p != q:
            return "line %d: %r / %r" % (i, x[max(0, i - 3):i + 2], y[max(0, i - 3):i + 2])
    return "length"


def health(bed):
    from grpc_health.v1 import health_pb2, health_pb2_grpc
    report = bed.report
    stub = health_pb2_grpc.HealthStub(bed.channel())
    for name in ("", "penstock.v1.Views", "penstock.api.Note", "penstock.api.v1.Pairs_All", "grpc.health.v1.Health"):
        report.equal("health/%s" % (name or "all"), stub.Check(health_pb2.HealthCheckRequest(service=name)).status, health_pb2.HealthCheckResponse.SERVING)
    w = Watcher(stub.Watch(health_pb2.HealthCheckRequest(service="")))
    unknown = Watcher(stub.Watch(health_pb2.HealthCheckRequest(service="nope")))
    w.until(lambda ev: [e.status for e in ev] == [health_pb2.HealthCheckResponse.SERVING], "health")
    unknown.until(lambda ev: [e.status for e in ev] == [health_pb2.HealthCheckResponse.SERVICE_UNKNOWN], "the unknown")
    report.ok("health/watch")
    w.call.cancel()
    unknown.call.cancel()


ROLES = """access:
  roles:
    teller: { note: { rows: "g = claim('g')::int", columns: [id, g] } }
    chief: { "*": read }
"""


def access(bed, pb, rpc, vpb, vrpc):
    """Rules over rows and columns hold on every method, as over REST."""
    import grpc
    from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
    report, code = bed.report, grpc.StatusCode
    config = postgres_config(bed.server, ["{ table: core.note, as: note }"], ["views.sql"], ["note"], slot="access").replace("access: { anonymous: read }\n", "")
    box = Penstock(config + ROLES, "CREATE VIEW note AS %s;\n" % VIEWS["note"], shards=2, name="grpc-access").start()

    def token(role, *more):
        status, out, err = box.command("token", "create", "-c", box.config, "--data", box.data, "--role", role, *more)
        if status:
            raise RuntimeError(out + err)
        return [("authorization", "Bearer " + out.strip().split("\n")[0])]
    with open(os.path.join(box.data, "tls", "cert.pem"), "rb") as f:
        credentials = grpc.ssl_channel_credentials(f.read())
    channel = grpc.secure_channel("127.0.0.1:%d" % box.port, credentials, options=[("grpc.ssl_target_name_override", "localhost")])
    note, generic = rpc.NoteStub(channel), vrpc.ViewsStub(channel)
    teller, chief = token("teller", "--claim", "g=1"), token("chief")

    def wrong(call):
        try:
            call()
            return None
        except grpc.RpcError as e:
            return e.code()
    for name, metadata in (("nobody", []), ("forged", [("authorization", "Bearer x")])):
        got = [wrong(lambda: note.Get(pb.NoteGetRequest(id=1), metadata=metadata)), wrong(lambda: list(note.Query(pb.QueryRequest(), metadata=metadata))),
               wrong(lambda: note.Count(pb.CountRequest(), metadata=metadata)), wrong(lambda: next(note.Watch(pb.WatchRequest(), metadata=metadata))),
               wrong(lambda: generic.List(vpb.ListRequest(), metadata=metadata))]
        report.equal("access/" + name, got, [code.UNAUTHENTICATED] * 5)
    wait_for(lambda: wrong(lambda: note.Get(pb.NoteGetRequest(id=1), metadata=teller)) is None, 20, "the token")
    report.equal("access/query", [(r.id, r.g, r.HasField("t")) for r in note.Query(pb.QueryRequest(), metadata=teller)], [(1, 1, False)])
    report.equal("access/get", (note.Get(pb.NoteGetRequest(id=1), metadata=teller).HasField("t"), wrong(lambda: note.Get(pb.NoteGetRequest(id=2), metadata=teller))), (False, code.NOT_FOUND))
    report.equal("access/column", [wrong(lambda: list(note.Query(pb.QueryRequest(**q), metadata=teller))) for q in ({"filter": "t=eq.one"}, {"select": ["t"]}, {"order": ["t"]})], [code.INVALID_ARGUMENT] * 3)
    report.equal("access/count", [note.Count(pb.CountRequest(), metadata=m).count for m in (teller, chief)], [1, 3])
    report.equal("access/list", [[c.name for c in a.columns] for a in generic.List(vpb.ListRequest(), metadata=teller).apis], [["id", "g"]])
    report.equal("access/views", [[views_value(v) for v in r.values] for m in generic.Query(vpb.QueryRequest(api="note"), metadata=teller) for r in m.rows], [[1, 1]])
    report.equal("access/views-get", wrong(lambda: generic.Get(vpb.GetRequest(api="note", key=["2"]), metadata=teller)), code.NOT_FOUND)
    w = Watcher(note.Watch(pb.WatchRequest(), metadata=teller))
    w.until(lambda ev: any(e.kind == pb.EVENT_EPOCH for e in ev), "the watch")
    pg.script(bed.c, "INSERT INTO core.note VALUES (71, 2, 'not his'), (72, 1, 'his')")
    events = w.until(lambda ev: any(e.row.id == 72 for e in ev), "his row")
    report.equal("access/watch", [(e.row.id, e.row.HasField("t")) for e in events if e.HasField("row")], [(1, False), (72, False)])
    w.call.cancel()
    services = ProtoReflectionDescriptorDatabase(channel).get_services()
    report.check("access/reflection", services and not any(s.startswith("penstock.api") for s in services), str(services))
    box.stop()


NODE_SCRIPT = """
const grpc = require('@grpc/grpc-js'), loader = require('@grpc/proto-loader'), fs = require('fs');
const [, , proto, cert, port] = process.argv;
const pkg = grpc.loadPackageDefinition(loader.loadSync(proto, {keepCase: true, longs: String, enums: String, oneofs: true}));
const client = new pkg.penstock.api.Note('127.0.0.1:' + port, grpc.credentials.createSsl(fs.readFileSync(cert)), {'grpc.ssl_target_name_override': 'localhost'});
const big = new pkg.penstock.api.Big('127.0.0.1:' + port, grpc.credentials.createSsl(fs.readFileSync(cert)), {'grpc.ssl_target_name_override': 'localhost', 'grpc.default_compression_algorithm': 2});
const out = {};
client.Get({id: 1}, (e, row) => {
  out.get = e ? String(e) : [row.id, row.t];
  client.Get({id: 99}, e => {
    out.error = [e.code, e.details];
    const ids = [];
    const q = big.Query({order: ['id'], limit: 1000});
    q.on('data', r => ids.push(r.id));
    q.on('error', e => { out.query = String(e); console.log(JSON.stringify(out)); process.exit(1); });
    q.on('end', () => {
      out.query = [ids.length, ids[999]];
      const w = client.Watch({filter: 'id=eq.1'}), kinds = [];
      w.on('error', () => {});
      w.on('data', e => { kinds.push(e.kind); if (e.kind === 'EVENT_EPOCH') { out.watch = kinds; w.cancel(); console.log(JSON.stringify(out)); process.exit(0); } });
    });
  });
});
"""


def node(bed):
    script = os.path.join(bed.box.dir, "client.js")
    with open(script, "w") as f:
        f.write(NODE_SCRIPT)
    proto = os.path.join(bed.box.dir, "generated", "penstock.proto")
    p = subprocess.run(["node", script, proto, os.path.join(bed.box.data, "tls", "cert.pem"), str(bed.box.port)], capture_output=True, text=True, timeout=60,
                       env=dict(os.environ, NODE_PATH=fetched.npm(*NODE)))
    got = json.loads(p.stdout) if p.stdout else p.stderr[-500:]
    bed.report.equal("node", got, {"get": ["1", "ONE"], "error": [5, "no row has this key"], "query": [1000, "1000"], "watch": ["EVENT_INSERT", "EVENT_EPOCH"]})


def document(report):
    """The example of docs/grpc.md, as it stands there, against what `penstock init` writes."""
    import re
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs", "grpc.md")) as f:
        example = re.search(r"```python\n(.*?)```", f.read(), re.S).group(1)
    box = Penstock(None, shards=1, name="grpc-doc")
    status, out, err = box.command("init", box.dir)
    with open(box.config) as f:
        text = f.read()
    with open(box.config, "w") as f:
        f.write(re.sub(r"listen: *\"[^\"]*\"", 'listen: "127.0.0.1:%d"' % box.port, text))
    box.start()
    box.wait_answer("/api/balances/1", 30)  # the generator has just begun
    wait_for(lambda: len(box.client().get("/api/balances?branch=eq.2&limit=3").json()) == 3, 30, "rows")
    with open(os.path.join(box.dir, "penstock.proto"), "wb") as f:
        f.write(box.client().get("/api/penstock.proto").body)
    env = dict(os.environ, PYTHONPATH=os.pathsep.join([box.dir] + sys.path))
    subprocess.run([sys.executable, "-m", "grpc_tools.protoc", "-I.", "--python_out=.", "--grpc_python_out=.", "penstock.proto"], cwd=box.dir, env=env, check=True)
    program = "import grpc, penstock_pb2, penstock_pb2_grpc\n" + example.replace("localhost:8443", "localhost:%d" % box.port)
    p = subprocess.run([sys.executable, "-c", program], cwd=box.dir, env=env, capture_output=True, text=True, timeout=60)
    report.check("document", p.returncode == 0 and len(p.stdout.strip().split("\n")) == 3, (p.stdout + p.stderr)[-600:])
    box.stop()


def main():
    with Report("test_grpc", 150) as report:
        sys.path.insert(0, fetched.python(*PYTHON))
        bed = Bed(report)
        pb, rpc, vpb, vrpc, path = compile_proto(bed)
        printed = bed.box.command("proto", "-c", bed.box.config, "--data", bed.box.data)
        report.equal("penstock-proto", printed[1].encode(), bed.http.get("/api/penstock.proto").body)
        report.section("types", every_type, bed, pb, rpc, vpb, vrpc)
        report.section("reads", reads, bed, pb, rpc, vpb, vrpc)
        report.section("errors", errors, bed, pb, rpc, vpb, vrpc)
        report.section("reflection", reflection, bed, pb, path)
        report.section("health", health, bed)
        report.section("streams", streams, bed, pb, rpc)
        report.section("watches", watches, bed, pb, rpc, vpb, vrpc)
        report.section("node", node, bed)
        report.section("access", access, bed, pb, rpc, vpb, vrpc)
        report.section("document", document, report)
        bed.box.stop()
        bed.server.stop()


if __name__ == "__main__":
    main()
