"""The page of a vocabulary: classes with examples, a map in which nothing breaks out, places that stay the same."""

from __future__ import annotations

import base64
import hashlib
import json
import re

import numpy as np
import pytest
from support.toys import named
from toy_bytes.tokenizer import ToyTokenizer

from tokframe.corpus.files import Corpus
from tokframe.errors import UnsupportedError
from tokframe.evaluate.analysis import analyze
from tokframe.evaluate.report.layout import placed
from tokframe.evaluate.report.vocabulary import vocabulary_page

NASTY = b"</script><script>alert(1)</script>"


class KnowingToy(ToyTokenizer):
    """Its learned ids alternate between two classes that stand at a right angle."""

    def classes(self):
        found = np.full(self.vocab_size, -1, np.int64)
        found[260:] = np.arange(self.vocab_size - 260) % 2 * 5
        return found

    def embed(self, items):
        rows = np.zeros((self.vocab_size, 4), np.float32)
        for token in range(260, self.vocab_size):
            angle = token / 999
            rows[token, token % 2 * 2 :][:2] = np.cos(angle), np.sin(angle)
        return rows[np.asarray(items)]

    def nearest(self, item, k=5, by="use"):
        return [(261, 0.5)]


class Ignorant(KnowingToy):
    def classes(self):
        raise UnsupportedError("no vectors here", capability="vectors")


@pytest.fixture
def text(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"the cat the dog " * 9 + NASTY)
    return Corpus.open([tmp_path / "a.txt"])


def analyzed(kind, text):
    toy = named(kind([b"the ", b"cat ", b"dog ", NASTY]))
    return toy, analyze(toy, text)


def test_classes_are_listed_with_the_ids_that_the_text_uses_most(text):
    _, analysis = analyzed(KnowingToy, text)
    first, second = analysis.to_json()["classes"]
    assert (first["class"], first["ids"], first["used"]) == (0, 2, 2) and second["class"] == 5
    assert [(each["id"], each["text"], each["count"]) for each in first["examples"]] == [
        (260, "the ", 18), (262, "dog ", 9)
    ]  # fmt: skip
    assert first["tokens"] == pytest.approx(27 / analysis.tokens)
    assert analyzed(Ignorant, text)[1].to_json()["classes"] == []


def test_the_map_holds_every_id_with_a_class_and_no_text_breaks_out(text):
    toy, analysis = analyzed(KnowingToy, text)
    page = vocabulary_page(analysis, toy).decode()
    assert page == vocabulary_page(analysis, toy).decode()
    assert NASTY.decode() not in page and page.count("<script") == page.count("</script>") == 2
    data = json.loads(re.search(r'id="map-data">(.*?)</script>', page)[1])
    assert data["ids"] == [260, 261, 262, 263] and data["texts"][3] == NASTY.decode()
    assert data["numbers"] == [0, 5, 0, 5] and all(len(data[axis]) == 4 for axis in "xy")


def test_only_the_script_of_the_page_may_run(text):
    page = vocabulary_page(*reversed(analyzed(KnowingToy, text))).decode()
    script = re.search(r"<script>(.*?)</script>", page, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = page.split('Content-Security-Policy" content="')[1].split('"')[0]
    assert (
        policy.replace("&#39;", "'") == f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    )


def test_without_vectors_the_page_says_that_there_is_no_map(text):
    page = vocabulary_page(*reversed(analyzed(Ignorant, text))).decode()
    assert "no vectors" in page and "<script" not in page


def test_places_lie_on_discs_of_their_class_that_do_not_meet():
    generator = np.random.default_rng(5)
    classes = np.repeat([3, 4, 9], [50, 30, 1])
    vectors = np.eye(8)[classes % 5] + generator.normal(0, 0.1, (81, 8))
    places = placed(vectors, classes)
    assert np.array_equal(places, placed(vectors, classes)) and np.abs(places).max() == pytest.approx(1)
    groups = [places[classes == number] for number in (3, 4, 9)]
    within = max(np.linalg.norm(group - group.mean(0), axis=1).max() for group in groups)
    across = min(
        np.linalg.norm(a[:, None] - b, axis=-1).min() for a, b in ((groups[0], groups[1]), (groups[1], groups[2]))
    )
    assert across > 0.01 and within < 1
    assert placed(np.ones((5, 3)), np.zeros(5, np.int64)).shape == (5, 2)
    assert placed(np.zeros((0, 3)), np.zeros(0, np.int64)).shape == (0, 2)
