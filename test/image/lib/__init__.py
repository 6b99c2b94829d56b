"""Helpers of the tests of the whole box; those of test/e2e/lib are to be had under the same name (lib.report, lib.pg, ...)."""
import os

__path__.append(os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "e2e/lib"))
