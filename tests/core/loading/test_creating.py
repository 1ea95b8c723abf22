"""create and train: what a tokenizer is made of, and what is refused before any work."""

from __future__ import annotations

import pytest
from toy_bytes.tokenizer import ToyTokenizer

import tokframe
from tokframe.errors import ArtifactError, ArtifactExistsError, ConfigError, UnsupportedError


def test_create_builds_from_a_config():
    made = tokframe.create("toy", {"pieces": ["abc"], "wrap": True})
    assert made.name == "toy" and made.encode("abc") == [2, 260, 3]
    assert tokframe.create("toy").vocab_size == 260


def test_create_says_so_where_a_tokenizer_only_comes_out_of_training(monkeypatch):
    monkeypatch.delattr(ToyTokenizer, "from_config")
    with pytest.raises(UnsupportedError, match="tokframe train toy --corpus FILE --out DIR") as caught:
        tokframe.create("toy")
    assert caught.value.capability == "create"


def test_train_saves_what_comes_out(tmp_path, text):
    trained = tokframe.train("toy", corpus=[text], out=tmp_path / "deep" / "out")
    assert trained.name == "toy"
    assert tokframe.load(tmp_path / "deep" / "out").encode("the th") == trained.encode("the th") == [261, 260]


def test_train_hands_over_what_it_was_given(tmp_path, text, monkeypatch):
    jobs = []
    monkeypatch.setattr(ToyTokenizer, "train", classmethod(lambda cls, job: jobs.append(job) or cls()))
    tokframe.train("toy", corpus=[text], out=tmp_path / "out", config={"a": 1}, resume=True, device="cpu", seed=7)
    (job,) = jobs
    assert (job.name, job.config, job.resume, job.device, job.seed) == ("toy", {"a": 1}, True, "cpu", 7)
    assert job.workdir == tmp_path / "out.training" and job.should_stop() is False
    assert job.registry is tokframe.host().registry
    job.reporter.stage("x", 3)


def no_training(monkeypatch):
    monkeypatch.setattr(ToyTokenizer, "train", classmethod(lambda cls, job: pytest.fail("it was trained")))


def test_train_refuses_a_taken_place_before_any_work(saved, text, tmp_path, monkeypatch):
    no_training(monkeypatch)
    with pytest.raises(ArtifactExistsError, match="already exists"):
        tokframe.train("toy", corpus=[text], out=saved)
    with pytest.raises(ArtifactError, match="was not made by tokframe"):
        tokframe.train("toy", corpus=[text], out=text, overwrite=True)
    assert tokframe.load(saved).wrap is True


def test_train_refuses_a_corpus_that_is_not_there_or_empty_before_any_work(tmp_path, monkeypatch):
    no_training(monkeypatch)
    with pytest.raises(tokframe.CorpusError, match="nowhere"):
        tokframe.train("toy", corpus=[tmp_path / "nowhere.txt"], out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_tokenizer_class_without_training_says_so():
    class Fixed(ToyTokenizer):
        train = classmethod(tokframe.ITokenizer.train.__func__)

    with pytest.raises(UnsupportedError, match="Fixed has no training"):
        Fixed.train(None)


@pytest.mark.parametrize("seed", [-5, 2**63, 10**23, 1.5, "7", True])
def test_a_seed_that_no_generator_takes_is_refused_before_any_work(toy_host, tmp_path, seed):
    with pytest.raises(ConfigError, match="seed: expected a whole number from 0 to 2"):
        tokframe.train("toy", corpus=[tmp_path / "nowhere"], out=tmp_path / "out", seed=seed)
