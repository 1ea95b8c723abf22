"""Fixtures of tests/support, for the tests of the core and of every plugin."""

pytest_plugins = ["support.fixtures"]
