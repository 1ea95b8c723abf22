"""A small tokenizer "bpe" and its text."""

from __future__ import annotations

import pytest

import tokframe

TEXT = (
    "The cat sat on the mat, and the dog saw the cat. He said: don't, it's theirs, they'll see!\n"
    "यह आदेश है। ก็ดี 漢字 🙂\u3000\u00a0\r\n\t<pad> <s> for i in range(10):\n        x[i] += 1234 * i\n\n"
)


@pytest.fixture(scope="session")
def text() -> str:
    return TEXT


@pytest.fixture(scope="session")
def bpe(tmp_path_factory):
    """A tokenizer "bpe" with every merge that a small text has."""
    folder = tmp_path_factory.mktemp("bpe")
    (folder / "text.txt").write_bytes(TEXT.encode() * 3)
    return tokframe.train("bpe", corpus=[folder / "text.txt"], out=folder / "out", config={"vocab_size": 700})
