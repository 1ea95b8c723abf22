"""A function that writes the files of a corpus."""

from __future__ import annotations

import pytest
from support.corpora import TEXT


@pytest.fixture
def write(tmp_path):
    def make(name, data=TEXT):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        return path

    return make
