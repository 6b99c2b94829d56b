"""A throw-away PostgreSQL server, and the little SQL that every test needs."""

import functools
import os
import pwd
import signal
import subprocess
import time

import psycopg2
import psycopg2.extensions

from . import procs

SETTINGS = """
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = '{dir}'
wal_level = logical
max_wal_senders = 30
max_replication_slots = 30
max_connections = 100
fsync = {fsync}
full_page_writes = {fsync}
shared_buffers = 64MB
max_wal_size = 512MB
timezone = 'UTC'
log_timezone = 'UTC'
logging_collector = off
log_min_messages = warning
datestyle = 'iso, mdy'
intervalstyle = 'postgres'
autovacuum = on
"""


@functools.lru_cache(None)
def bin_dir():
    """Of PostgreSQL 15, the oracle: of another version some results differ in their last digits."""
    made = subprocess.run([os.path.join(procs.ROOT, "scripts", "debian-12"), "postgresql-15"], capture_output=True, text=True)
    if made.returncode != 0:
        raise RuntimeError("no PostgreSQL 15: " + made.stderr[-400:])
    return made.stdout.strip()


@functools.lru_cache(None)
def version_dir(version):
    """Of another version of PostgreSQL, for tests of the source."""
    made = subprocess.run([os.path.join(procs.ROOT, "scripts", "postgres"), str(version)], capture_output=True, text=True)
    if made.returncode != 0:
        raise RuntimeError("no PostgreSQL %s: %s" % (version, made.stderr[-400:]))
    return made.stdout.strip()


def run_as():
    """PostgreSQL refuses to run as root: take its own user, else nobody."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            pwd.getpwnam(name)
            return name
        except KeyError:
            pass
    raise RuntimeError("neither user postgres nor user nobody exists")


class Postgres:
    def __init__(self, fsync=False, settings="", version=None):
        self.dir = procs.temp_dir("pg")
        self.data = os.path.join(self.dir, "data")
        self.log = os.path.join(self.dir, "log")
        self.port = procs.free_port()
        self.bin = version_dir(version) if version else bin_dir()
        self.user = run_as()
        self.process = None
        if self.user:
            os.chown(self.dir, pwd.getpwnam(self.user).pw_uid, pwd.getpwnam(self.user).pw_gid)
        self._run([self.bin + "/initdb", "-D", self.data, "-U", "postgres", "--auth=trust", "--locale=C",
                   "--encoding=UTF8", "--no-sync"])
        with open(self.data + "/postgresql.conf", "a") as f:
            f.write(SETTINGS.format(port=self.port, dir=self.dir, fsync="on" if fsync else "off") + settings)

    def _run(self, argv):
        p = procs.start(argv, self.log, user=self.user)
        if p.wait(120) != 0:
            raise RuntimeError("%s failed: %s" % (argv[0], open(self.log).read()[-800:]))

    def start(self):
        self.process = procs.start([self.bin + "/postgres", "-D", self.data], self.log, user=self.user)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            try:
                self.connect().close()
                return self
            except psycopg2.OperationalError:
                time.sleep(0.05)
        raise RuntimeError("PostgreSQL did not start: " + open(self.log).read()[-800:])

    def stop(self, number=signal.SIGINT):
        """SIGINT: fast shutdown. SIGQUIT: as after a crash."""
        if self.process is None:
            return
        self.process.send_signal(number)
        try:
            self.process.wait(30)
        except Exception:
            self.process.kill()
            self.process.wait(10)
        self.process = None

    def connect(self, autocommit=True, database="postgres", user="postgres"):
        c = psycopg2.connect(host="127.0.0.1", port=self.port, user=user, dbname=database, connect_timeout=5)
        c.autocommit = autocommit
        return c

    def url(self, database="postgres", user="postgres"):
        return "postgresql://%s@127.0.0.1:%d/%s?sslmode=disable" % (user, self.port, database)

    def psql(self, *args):
        return [self.bin + "/psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", str(self.port),
                "-U", "postgres", "-d", "postgres"] + list(args)


def script(connection, text):
    with connection.cursor() as c:
        c.execute(text)


def rows(connection, text, args=None):
    with connection.cursor() as c:
        c.execute(text, args)
        return c.fetchall()


def value(connection, text, args=None):
    return rows(connection, text, args)[0][0]


def lsn(connection):
    """Where the log ends now: everything committed before is at or before it."""
    return value(connection, "SELECT pg_current_wal_lsn()::text")


def lsn_number(text):
    high, low = text.split("/")
    return (int(high, 16) << 32) | int(low, 16)
