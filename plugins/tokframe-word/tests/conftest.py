"""A small tokenizer "word" and its text."""

from __future__ import annotations

import pytest

import tokframe

TEXT = (
    "The cat sat on the mat, and the dog saw the cat.\n"
    "He said: don't! I can’t.\r\n\tयह आदेश है। ก็ดี 漢字\n\n"
    "x = 1234 + 56\n    return snake_case\n"
)


@pytest.fixture(scope="session")
def text() -> str:
    return TEXT


@pytest.fixture(scope="session")
def word(tmp_path_factory):
    """A tokenizer "word" that knows every piece of TEXT."""
    folder = tmp_path_factory.mktemp("word")
    (folder / "text.txt").write_bytes(TEXT.encode())
    return tokframe.train("word", corpus=[folder / "text.txt"], out=folder / "out")
