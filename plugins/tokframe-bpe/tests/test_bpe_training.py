"""Training "bpe": the same text gives the same file; small corpora, stopping and bad configs are told."""

from __future__ import annotations

import threading

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from tokframe_bpe import training

import tokframe
from tokframe.errors import ConfigError, TrainingError, TrainingInterrupted
from tokframe.testing.fresh import run_fresh


@pytest.fixture
def corpus(tmp_path, text):
    path = tmp_path / "text.txt"
    path.write_bytes(text.encode() * 2)
    return [path]


@pytest.mark.slow
def test_the_same_text_gives_the_same_file_in_every_process(tmp_path, corpus, monkeypatch):
    source = "import sys, tokframe; tokframe.train('bpe', corpus=sys.argv[1:2], out=sys.argv[2])"
    files = set()
    for seed in (1, 2):
        monkeypatch.setenv("RAYON_NUM_THREADS", str(seed))
        run_fresh(source, corpus[0], tmp_path / f"out{seed}", hash_seed=seed)
        files.add((tmp_path / f"out{seed}" / "tokenizer.json").read_bytes())
    assert len(files) == 1


def test_merges_are_those_of_a_plain_hugging_face_training(tmp_path, corpus, text):
    tokenizer = tokframe.train("bpe", corpus=corpus, out=tmp_path / "out", config={"vocab_size": 300})
    outside = Tokenizer(models.BPE())
    outside.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        min_frequency=2,
        special_tokens=["<pad>", "<unk>", "<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    outside.train_from_iterator([text * 2], trainer)
    assert tokenizer.vocab_size == outside.get_vocab_size() == 300
    assert tokenizer.encode("The cat saw it's theirs") == outside.encode("The cat saw it's theirs").ids


def test_a_small_corpus_gives_an_honest_size_and_a_note(tmp_path, corpus, listener):
    tokenizer = tokframe.train("bpe", corpus=corpus, out=tmp_path / "out", reporter=listener)
    assert 260 < tokenizer.vocab_size < 32768
    assert any(f"{tokenizer.vocab_size:,} ids and not 32,768" in note for note in listener.notes)


def test_progress_ends_at_its_total(tmp_path, corpus, listener):
    tokframe.train("bpe", corpus=corpus, out=tmp_path / "out", reporter=listener)
    _, total, unit = listener.stages[0]
    assert unit == "MB"
    assert listener.done[-1] == pytest.approx(total)
    assert [stage[0] for stage in listener.stages] == ["read the corpus", "merge pairs"]


def test_another_device_than_the_cpu_is_refused(tmp_path, corpus):
    with pytest.raises(TrainingError, match="bpe is trained on the CPU and cannot use --device cuda:1"):
        tokframe.train("bpe", corpus=corpus, out=tmp_path / "out", device="cuda:1")


LONG = {
    "letters": ("x" * 2500, ["x" * 1000, "x" * 1000, "x" * 500]),
    "in a line": ("the " + "é" * 1001 + "!? end", ["the " + "é" * 1000, "é!? end"]),
    "white space": ("a" + "\u3000 " * 600 + "b", ["a" + "\u3000 " * 500, "\u3000 " * 100 + "b"]),
    "controls": ("!\x1c" * 600, ["!\x1c" * 500, "!\x1c" * 100]),
    "many words": ("/word" * 1000, ["/word" * 1000]),
    "short": ("x" * 1000, ["x" * 1000]),
    "nothing": ("", [""]),
}


@pytest.mark.parametrize("name", LONG)
def test_only_words_that_are_too_long_are_counted_in_parts(name):
    text, parts = LONG[name]
    assert list(training._parts(text)) == parts


def test_a_long_word_costs_what_its_parts_cost(tmp_path, monkeypatch):
    (tmp_path / "text.txt").write_text("x" * 200_000 + " some words, some more words\n" * 3)
    longest = []
    parts = training._parts

    def seen(document):
        for part in parts(document):
            longest.append(len(part))
            yield part

    monkeypatch.setattr(training, "_parts", seen)
    tokenizer = tokframe.train("bpe", corpus=[tmp_path / "text.txt"], out=tmp_path / "out")
    assert max(longest) == 1087 and sum(longest) == 200_087
    assert tokenizer.count("x" * 1000) == 1 and tokenizer.count(" some words") == 2


def test_merging_can_be_stopped(tmp_path, corpus, monkeypatch, listener):
    ready, end = threading.Event(), threading.Event()

    class Endless:
        def train_from_iterator(self, documents, trainer):
            list(documents)
            ready.set()
            end.wait(60)

    monkeypatch.setattr(training, "blank", Endless)
    try:
        with pytest.raises(TrainingInterrupted, match="while merging"):
            tokframe.train("bpe", corpus=corpus, out=tmp_path / "out", reporter=listener, should_stop=ready.is_set)
    finally:
        end.set()
    assert not (tmp_path / "out").exists()


def test_resuming_starts_again_and_says_so(tmp_path, corpus, listener):
    tokframe.train("bpe", corpus=corpus, out=tmp_path / "out", resume=True, reporter=listener)
    assert any("from the beginning" in note for note in listener.notes)


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        ({"vocab_size": 259}, r"\$\.vocab_size: is 259, must be at least 260"),
        ({"vocab_size": 2**31}, r"\$\.vocab_size: .* at most 2147483647"),
        ({"min_frequency": 0}, r"\$\.min_frequency: is 0, must be at least 1"),
        ({"min_frequence": 3}, "did you mean 'min_frequency'"),
    ],
)
def test_a_wrong_config_is_refused_before_work(tmp_path, corpus, config, problem):
    with pytest.raises(ConfigError, match=problem):
        tokframe.train("bpe", corpus=corpus, out=tmp_path / "out", config=config)
