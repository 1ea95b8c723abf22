"""What is exported to tiktoken gives the ids of the original there."""

from __future__ import annotations

import base64
import json

import attrs
import pytest
from tokframe_huggingface import tiktoken_export

import tokframe
from tokframe.cli.main import main
from tokframe.errors import UnsupportedError

tiktoken = pytest.importorskip("tiktoken")
pytestmark = pytest.mark.slow

TEXTS = [
    "",
    "the cat sat",
    "naïve café 漢字 🙂\x00 \u2028",
    "</s> in text",
    " two  spaces\t\n\n\r\nend \n",
    "x" * 3000,
    "1,234.5",
]


def test_the_files_make_an_encoding_with_the_ids_of_bpe(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(tiktoken_export, "samples", lambda: iter(TEXTS))
    out = tmp_path / "out"
    assert main(["export", "bpe", "--format", "tiktoken", "--out", str(out), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["same"] is True and told["files"] == ["encoding.json", "ranks.tiktoken"]
    lines = (out / "ranks.tiktoken").read_bytes().splitlines()
    ranks = {base64.b64decode(token): int(rank) for token, rank in map(bytes.split, lines)}
    encoding = tiktoken.Encoding(mergeable_ranks=ranks, **json.loads((out / "encoding.json").read_text("utf-8")))
    bpe = tokframe.load("bpe")
    assert encoding.n_vocab == bpe.vocab_size
    for text in TEXTS:
        ids = encoding.encode(text, disallowed_special=())
        assert ids == bpe.encode(text) and encoding.decode(ids) == text
    assert encoding.encode("a</s>", allowed_special="all") == bpe.encode("a</s>", allowed_special=["</s>"])


def test_what_tiktoken_cannot_represent_is_refused(tmp_path):
    with pytest.raises(UnsupportedError, match=r"algorithm is 'unigram'.*--format huggingface"):
        tiktoken_export.export(tokframe.load("autoencoder-fsq"), tmp_path)
    bpe = tokframe.load("bpe")
    model = bpe.model()
    bpe.model = lambda: attrs.evolve(model, merges=model.merges[::-1])
    with pytest.raises(UnsupportedError, match="not in the order of its ids"):
        tiktoken_export.export(bpe, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_difference_is_reported(tmp_path, monkeypatch):
    monkeypatch.setattr(tiktoken_export, "samples", lambda: iter(TEXTS))
    bpe = tokframe.load("bpe")
    model = bpe.model()
    bpe.model = lambda: attrs.evolve(model, pattern="(?s).")
    checks = {check.name: check for check in tiktoken_export.export(bpe, tmp_path)}
    assert not checks["ids"].ok and "different for" in checks["ids"].detail and checks["text"].ok
