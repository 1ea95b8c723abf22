"""Training "word": the most frequent pieces, the same whatever the order of the text; stopped and bad input."""

from __future__ import annotations

import itertools

import pytest

import tokframe
from tokframe.errors import ConfigError, TrainingError


def corpus(folder, *texts):
    paths = [folder / f"{number}.txt" for number, _ in enumerate(texts)]
    for path, text in zip(paths, texts, strict=True):
        path.write_bytes(text.encode())
    return paths


def test_the_most_frequent_are_kept_and_equals_are_ordered_by_text(tmp_path):
    paths = corpus(tmp_path, "b,b,b,a,a,c,c,d")
    tokenizer = tokframe.train("word", corpus=paths, out=tmp_path / "out", config={"vocab_size": 8})
    assert [tokenizer.token_bytes(token) for token in range(4, 8)] == [b",", b"b", b"a", b"c"]
    assert tokenizer.decode(tokenizer.encode("a,d")) == "a,<unk>"


def test_the_order_of_the_text_makes_no_difference(tmp_path):
    texts = ["one two", "two three three", "three\nfour"]
    files = set()
    for number, order in enumerate(itertools.permutations(corpus(tmp_path, *texts))):
        tokenizer = tokframe.train("word", corpus=order, out=tmp_path / f"out{number}")
        files.add(tokenizer.state().files["vocab.json"])
    assert len(files) == 1


def test_another_device_than_the_cpu_is_refused_before_the_text_is_read(tmp_path, listener):
    paths = corpus(tmp_path, "a b")
    with pytest.raises(TrainingError, match="word is trained on the CPU and cannot use --device cuda"):
        tokframe.train("word", corpus=paths, out=tmp_path / "out", device="cuda", reporter=listener)
    assert not listener.stages
    tokframe.train("word", corpus=paths, out=tmp_path / "out", device="cpu")


def test_a_small_corpus_gives_an_honest_size_and_a_note(tmp_path, listener):
    tokenizer = tokframe.train("word", corpus=corpus(tmp_path, "a b"), out=tmp_path / "out", reporter=listener)
    assert tokenizer.vocab_size == 4 + 3
    assert any("too small to fill the vocabulary" in note for note in listener.notes)


def test_what_became_unknown_is_noted(tmp_path, listener):
    paths = corpus(tmp_path, "a a b")
    tokframe.train("word", corpus=paths, out=tmp_path / "out", config={"vocab_size": 6}, reporter=listener)
    assert any("20.00% of the corpus's 5 are <unk>" in note for note in listener.notes)


def test_resuming_starts_again_and_says_so(tmp_path, listener):
    tokframe.train("word", corpus=corpus(tmp_path, "a"), out=tmp_path / "out", resume=True, reporter=listener)
    assert any("from the beginning" in note for note in listener.notes)


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        ({"vocab_size": 4}, r"\$\.vocab_size: is 4, must be at least 5"),
        ({"vocab_size": 2**31}, r"\$\.vocab_size: .* at most 2147483647"),
        ({"vocab_size": "many"}, r"\$\.vocab_size: expected int"),
        ({"vocabsize": 9}, "did you mean 'vocab_size'"),
    ],
)
def test_a_wrong_config_is_refused_before_work(tmp_path, config, problem):
    with pytest.raises(ConfigError, match=problem):
        tokframe.train("word", corpus=corpus(tmp_path, "a"), out=tmp_path / "out", config=config)
