"""A process that knows the toy plugin alone, and a toy saved."""

from __future__ import annotations

import pytest
from support.toys import toy


@pytest.fixture(autouse=True)
def _host(toy_host):
    return toy_host


@pytest.fixture
def saved(tmp_path):
    return toy(wrap=True).save(tmp_path / "saved")


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("the text", encoding="utf-8")
    return path
