"""Support for tests: fixtures for all of them, and what several test modules share."""
