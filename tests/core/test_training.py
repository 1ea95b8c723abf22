"""What a training is given: the corpus with progress, and an end when the user asks for one."""

from __future__ import annotations

import gzip
from functools import partial

import pytest

from tokframe.corpus.files import Corpus
from tokframe.errors import TrainingInterrupted
from tokframe.plugins.registry import Registry
from tokframe.training.job import TrainJob


@pytest.fixture
def corpus(tmp_path):
    (tmp_path / "one.txt").write_bytes("é".encode() * 10)
    (tmp_path / "two.txt").write_bytes(b"b" * 30)
    return Corpus.open([tmp_path / "one.txt", tmp_path / "two.txt"])


@pytest.fixture
def job(listener, tmp_path):
    """Return a function that makes the job of a corpus."""
    return partial(TrainJob, config={}, workdir=tmp_path / "work", registry=Registry(), reporter=listener)


def test_the_documents_of_the_corpus_are_read_with_their_megabytes_reported(job, corpus, listener):
    seen = []
    for document in job(corpus=corpus).documents("look", lambda: {"seen": len(seen)}):
        seen.append(document)
    assert seen == ["é" * 10, "b" * 30]
    assert listener.stages == [("look", pytest.approx(50e-6), "MB")]
    assert listener.done == pytest.approx([20e-6, 50e-6]) and listener.figures == [{"seen": 1}, {"seen": 2}]


def test_where_a_size_is_not_known_ahead_no_total_is_reported(job, tmp_path, listener):
    (tmp_path / "packed.txt.gz").write_bytes(gzip.compress(b"text"))
    assert list(job(corpus=Corpus.open([tmp_path / "packed.txt.gz"])).documents()) == ["text"]
    assert listener.stages == [("read the corpus", None, "MB")]


def test_a_request_to_stop_ends_the_reading_with_an_error_that_says_what_is_kept(job, corpus):
    seen = []
    with pytest.raises(TrainingInterrupted, match="nothing was saved") as caught:
        for document in job(corpus=corpus, should_stop=lambda: bool(seen)).documents():
            seen.append(document)
    assert len(seen) == 1 and caught.value.checkpoint is None
