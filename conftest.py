"""Fixtures of tests/support, for the tests of the core and of every plugin, and the signals of a terminal."""

import signal

pytest_plugins = ["support.fixtures"]

# Under nohup or in a shell's background, signals are ignored, here and in every process that a test starts.
signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
