"""A saved toy tokenizer, text to tokenize, and what one worker makes of it."""

from __future__ import annotations

import pytest
from support import toys
from support.sharding import SETTINGS, content, prose

from tokframe.shards import tokenize


@pytest.fixture
def toy(toy_host, tmp_path):
    """A saved toy tokenizer: a path, loadable here."""
    return str(toys.toy([b"the ", b"and ", b"then "], wrap=True).save(tmp_path / "toy-saved"))


@pytest.fixture
def write(tmp_path):
    def make(name, data):
        path = tmp_path / "text" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        return path

    return make


@pytest.fixture(scope="session")
def text(tmp_path_factory):
    """A text that is done at once, and one that takes a while: what happens after the first happens in the second."""
    paths = [tmp_path_factory.mktemp("corpus") / name for name in ("short.txt", "long.txt")]
    for path, size in zip(paths, (1_000, 2_400_000), strict=True):
        path.write_text(prose(size), encoding="utf-8")
    return paths


@pytest.fixture(scope="session")
def alone(text, tmp_path_factory):
    """What one worker, never disturbed, makes of the text."""
    out = tmp_path_factory.mktemp("alone") / "out"
    tokenize("bpe", corpus=text, out=out, workers=1, settings=SETTINGS)
    return content(out)
