"""Smaller vocabularies out of a larger one: nested, exact, and as good as those trained for their size."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from tokframe_dictionary.mining.candidates import mine
from tokframe_dictionary.mining.config import MiningConfig, SelectionConfig
from tokframe_dictionary.mining.pruning import Pruning
from tokframe_dictionary.mining.sources import Source
from tokframe_dictionary.segmenter.segmenter import Segmenter
from tokframe_dictionary.vocabulary.table import FIRST_LEARNED, SINGLE_BYTES, Vocabulary

import tokframe
from tokframe.cli.main import main
from tokframe.errors import ArtifactCorruptError, ConfigError, UnsupportedError
from tokframe.loading.inspection import verify


def ids_of(tokenizer: tokframe.ITokenizer) -> list[bytes]:
    return [tokenizer.token_bytes(token) for token in range(FIRST_LEARNED, tokenizer.vocab_size)]


def test_each_size_keeps_some_of_the_ids_of_the_next_in_their_order(covered: Path) -> None:
    whole = tokframe.load(covered)
    larger = ids_of(whole)
    for size in (whole.vocab_size, 2_000, 1_000, 500, 300, 260):
        pruned = whole.prune(size)
        assert pruned.vocab_size == size
        kept = set(ids_of(pruned))
        assert [segment for segment in larger if segment in kept] == ids_of(pruned)
        larger = ids_of(pruned)
    assert ids_of(whole.prune(1_000).prune(500)) == ids_of(whole.prune(500))


def test_a_pruned_tokenizer_is_saved_verified_and_pruned_again_like_any_other(saved: Path, tmp_path: Path) -> None:
    whole = tokframe.load(saved)
    pruned = whole.prune(350)
    again = tokframe.load(pruned.save(tmp_path / "out"))
    report = verify(tmp_path / "out")
    assert report.ok, [check for check in report.checks if not check.ok]
    text = "naïve 漢字 raise ArtifactError(text)\n"
    assert again.encode(text) == pruned.encode(text) and again.decode(again.encode(text)) == text
    assert ids_of(again.prune(300)) == ids_of(whole.prune(300))
    counts = dict(zip(whole.vocabulary.segments, whole.vocabulary.counts[4:].tolist(), strict=True))
    assert [counts[segment] for segment in again.vocabulary.segments] == again.vocabulary.counts[4:].tolist()


def test_the_command_writes_the_smaller_tokenizer(
    saved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["prune", str(saved), "--vocab-size", "300", "--out", str(tmp_path / "out")]
    assert main([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "tokenizer": str(saved),
        "out": str(tmp_path / "out"),
        "vocab_size": 300,
        "before": 400,
    }
    assert tokframe.load(tmp_path / "out").vocab_size == 300
    assert main(command) == 1
    assert "already exists" in capsys.readouterr().err
    assert main([*command, "--overwrite"]) == 0
    assert "300 of 400 ids" in capsys.readouterr().err


@pytest.mark.parametrize("size", [-1, 0, 259, 401, 10**12])
def test_a_size_that_cannot_be_says_which_can(saved: Path, size: int) -> None:
    with pytest.raises(ConfigError, match=r"vocab_size: is .*; use 260 \(special tokens and single bytes\) to 400"):
        tokframe.load(saved).prune(size)


def test_a_vocabulary_without_ranks_is_loaded_but_not_pruned(saved: Path) -> None:
    tensors = load_file(saved / "vocabulary.safetensors")
    del tensors["ranks"]
    old = Vocabulary.from_tensors(tensors)
    assert "ranks" not in old.tensors()
    with pytest.raises(UnsupportedError, match="trained before"):
        old.pruned(300)


def test_a_tokenizer_of_another_kind_is_not_pruned(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prune", "word", "--vocab-size", "300", "--out", str(tmp_path / "out")]) == 1
    assert "word cannot be made smaller. Train it again" in capsys.readouterr().err


@pytest.mark.parametrize("change", [lambda ranks: ranks[:-1], lambda ranks: ranks * 0, lambda ranks: ranks + 1])
def test_ranks_that_are_no_order_are_refused(saved: Path, tmp_path: Path, change) -> None:
    tensors = load_file(saved / "vocabulary.safetensors")
    tensors["ranks"] = change(tensors["ranks"])
    save_file(tensors, tmp_path / "x.safetensors")
    with pytest.raises(ArtifactCorruptError, match="holds ranks that are not the numbers 0 to 139, each once"):
        Vocabulary.from_tensors(load_file(tmp_path / "x.safetensors"))


@pytest.mark.slow
@pytest.mark.parametrize("size", [2_000, 1_000])
def test_a_pruned_vocabulary_is_nearly_as_dense_as_one_selected_for_its_size(size: int) -> None:
    data = b"".join(path.read_bytes() for path in sorted(Path(tokframe.__file__).parent.rglob("*.py")))
    sources, settings = [Source(name="x", data=data)], SelectionConfig()
    segments = mine(sources, MiningConfig()).segments
    pool = Pruning(sources=sources, config=settings).rank(
        Pruning(sources=sources, config=settings).prune(segments, 4_000)
    )
    assert sorted(pool.ranks.tolist()) == list(range(4_000))
    nested = [pool.segments[place] for place in np.argsort(pool.ranks)[:size]]
    direct = Pruning(sources=sources, config=settings).prune(segments, size).segments
    tokens = [Segmenter([*SINGLE_BYTES, *some], range(256 + size)).count(data) for some in (nested, direct)]
    assert tokens[0] < 1.01 * tokens[1]
