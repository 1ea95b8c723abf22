"""No plugin is chosen or refused by the environment of whoever runs the tests."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch):
    for name in ("TOKFRAME_PLUGINS", "TOKFRAME_DISABLE_PLUGINS", "TOKFRAME_STRICT_PLUGINS"):
        monkeypatch.delenv(name, raising=False)
