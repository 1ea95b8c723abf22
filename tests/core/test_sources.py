"""Sources: patterns that name them, and text that is read as often as its source weighs."""

from __future__ import annotations

import json

import pytest

from tokframe.corpus.sources import Sampler, pattern_of, unmatched


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("help-de", "help-*"),
        ("novels-de", "*-de"),
        ("help-fr", "help-*"),
        ("tales-*", "tales-*"),
        ("books", "*"),
        ("help-pt-br", "help-*-br"),
    ],
)
def test_of_patterns_that_fit_the_longest_stands_for_a_source(name: str, pattern: str) -> None:
    assert pattern_of(name, ["*", "*-de", "help-*", "help-*-br", "tales-*"]) == pattern


def test_a_name_comes_before_any_pattern_and_may_fit_none() -> None:
    assert pattern_of("a*", ["a*", "a***"]) == "a*"
    assert pattern_of("ab", ["b*", "a"]) is None
    assert pattern_of("a.b", ["a?b", "axb"]) is None


def test_a_pattern_that_stands_for_no_source_is_told_with_the_nearest_names() -> None:
    assert unmatched({"books": 1, "help-*": 2}, ["books", "help-de"]) == []
    assert unmatched({"boks": 1}, ["books", "help-de"]) == [
        ("boks", "names no source; the sources are books and 1 others")
    ]


def test_text_is_repeated_and_thinned_by_lines() -> None:
    lines = [f"{number}\n" for number in range(1000)]
    sampler = Sampler({"a": 2.0, "b": 0.25, "c*": 1.5})
    assert sampler.sampled("x\ny", "a") == "x\nyx\ny"
    assert sampler.sampled("x\ny", "d") == "x\ny"
    thinned = sampler.sampled("".join(lines), "b").splitlines(keepends=True)
    assert set(thinned) < set(lines)
    assert 200 < len(thinned) < 300
    assert sampler.sampled("".join(lines), "b").splitlines(keepends=True) != thinned  # a second document, other lines
    assert Sampler({"b": 0.25}).sampled("".join(lines), "b").splitlines(keepends=True) == thinned
    assert 1450 < sampler.sampled("".join(lines), "c3").count("\n") < 1550


@pytest.mark.parametrize("name", ["word", "bpe"])
def test_a_vocabulary_counts_its_text_by_weight(name: str, tmp_path) -> None:
    import tokframe
    from tokframe.errors import ConfigError

    (tmp_path / "many.txt").write_text("zebra zebra\n" * 60)
    (tmp_path / "few.txt").write_text("quagga quagga\n" * 40)
    text = [tmp_path / "many.txt", tmp_path / "few.txt"]

    def learned(**weights: float) -> bytes:
        size = 5 if name == "word" else 4 + 256 + 4  # one word more than the space and newline, or a word's four merges
        config = {"vocab_size": 7 if name == "word" else size, "weights": weights}
        tokenizer = tokframe.train(name, corpus=text, out=tmp_path / "out", config=config, overwrite=True)
        return b"".join(tokenizer.token_bytes(token) for token in range(4, tokenizer.vocab_size))

    assert b"zeb" in learned()
    assert b"qua" not in learned()
    assert b"qua" in learned(few=3)
    assert b"qua" in learned(**{"m*": 0.1})
    with pytest.raises(ConfigError, match="names no source"):
        learned(fewer=3)
    with pytest.raises(ConfigError, match="must be a number above 0"):
        learned(few=json.loads("-1"))
