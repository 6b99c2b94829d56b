"""`ok NAME` / `not ok NAME reason` lines, an exit status, and a bound on the time of the whole program."""

import os
import sys
import threading
import time
import traceback

from . import procs


class Report:
    """One per test program. Use as a context manager: an exception inside is a failure, never a traceback alone."""

    def __init__(self, program, limit_s):
        self.program = program
        self.lock = threading.Lock()
        self.good = 0
        self.bad = 0
        self.started = time.monotonic()
        self.limit_s = limit_s
        self.on_failure = []  # called once with the report when the program ends with failures
        self.watchdog = threading.Timer(limit_s, self._expired)
        self.watchdog.daemon = True

    def __enter__(self):
        procs.setup()
        self.watchdog.start()
        return self

    def __exit__(self, kind, error, trace):
        if error is not None and not isinstance(error, SystemExit):
            self.fail(self.program, "%s: %s" % (kind.__name__, error))
            traceback.print_exception(kind, error, trace, file=sys.stdout)
        self._end()
        return True

    def _end(self):
        self.watchdog.cancel()
        if self.bad:
            for callback in self.on_failure:
                try:
                    callback()
                except Exception as e:  # a broken helper must not hide the failure itself
                    self.note("on_failure: %r" % e)
        procs.end_all()
        self.note("%d ok, %d not ok, %.1f s" % (self.good, self.bad, time.monotonic() - self.started))
        sys.stdout.flush()
        os._exit(1 if self.bad or not self.good else 0)

    def _expired(self):
        self.fail(self.program, "took longer than %d s" % self.limit_s)
        for thread_id, frame in sys._current_frames().items():
            print("# thread %d" % thread_id)
            for line in traceback.format_stack(frame)[-4:]:
                print("#   " + line.strip().replace("\n", " | "))
        self._end()

    def ok(self, name):
        with self.lock:
            self.good += 1
            print("ok %s" % name, flush=True)

    def fail(self, name, reason):
        with self.lock:
            self.bad += 1
            print("not ok %s %s" % (name, one_line(reason)), flush=True)

    def check(self, name, condition, reason=""):
        if condition:
            self.ok(name)
        else:
            self.fail(name, reason or "condition is false")
        return bool(condition)

    def equal(self, name, actual, expected):
        return self.check(name, actual == expected, "got %r, expected %r" % (actual, expected))

    def note(self, text):
        with self.lock:
            print("# " + one_line(text, 2000), flush=True)

    def section(self, name, fn, *args):
        """Runs fn; an exception is this section's failure, and the program goes on."""
        try:
            return fn(*args)
        except Exception as e:
            self.fail(name, "%s: %s" % (type(e).__name__, e))
            for line in traceback.format_exc().splitlines()[-8:]:
                self.note(line)
            return None


def one_line(text, limit=600):
    text = " | ".join(str(text).splitlines())
    return text if len(text) <= limit else text[:limit] + " ..."


def soak():
    return os.environ.get("SOAK", "") not in ("", "0")
