"""The sweep over sizes of `tokframe analyze`: the vocabularies that `tokframe prune` makes, measured."""

from __future__ import annotations

import pytest
from toy_bytes.tokenizer import ToyTokenizer

from tokframe.corpus.files import Corpus
from tokframe.errors import UnsupportedError
from tokframe.evaluate import analysis, analyze

PIECES = [b"ab", b"abab", b"abababab"]


class Pruning(ToyTokenizer):
    """Keeps the first pieces, 260 ids without any."""

    def prune(self, vocab_size):
        if vocab_size < 261:
            raise UnsupportedError("too few", capability="prune")
        return type(self)(PIECES[: vocab_size - 260])


@pytest.mark.parametrize(("smallest", "sizes"), [(261, [(261, 8), (263, 2)]), (4096, []), (100, [])])
def test_each_size_is_measured_on_the_text(toy_host, tmp_path, monkeypatch, smallest, sizes):
    monkeypatch.setattr(analysis, "_SMALLEST", smallest)
    (tmp_path / "a.txt").write_text("ab" * 8)
    found = analyze(Pruning(PIECES), Corpus.open([tmp_path / "a.txt"]))
    assert list(found.sizes) == sizes
    assert found.to_json()["sizes"] == [
        {"vocab_size": size, "tokens": tokens, "bytes_per_token": 16 / tokens} for size, tokens in sizes
    ]
