"""Embed, nearest and classes: what is given for ids, texts and wrong input; spelling is compared by shared n-grams."""

from __future__ import annotations

import numpy as np
import pytest
from attrs import evolve
from tokframe_autoencoder.network.autoencoder import Autoencoder
from tokframe_autoencoder.vectors.ngrams import SpellingIndex
from tokframe_autoencoder.vectors.table import VectorTable

import tokframe
from tokframe.errors import EncodingError, InvalidTokenError, UnsupportedError
from tokframe.plugins.discovery import rebuild
from tokframe.storage.state import ComponentUse, State

WORDS = [b" cat", b" cats", b" dog", b" Cat", b" hound", b" noon"]
#: Of the words, in the plane: cats beside dogs, noon elsewhere.
ANGLES = np.radians([0, 5, 10, 5, 12, 90])


@pytest.fixture(scope="module")
def kennel() -> tokframe.ITokenizer:
    """A tokenizer of six words with vectors in the plane and without a network."""
    from tokframe_autoencoder.codebook import Codebook

    codebook = Codebook.build(WORDS, {word: 10 - n for n, word in enumerate(WORDS)})
    rows = np.zeros((codebook.vocab_size, 2))
    rows[260:] = np.stack([np.cos(ANGLES), np.sin(ANGLES)], 1)
    classes = np.concatenate([np.full(260, 9), [0, 0, 0, 0, 0, 1]])
    tensors = {"codebook": codebook.tensors(), "vectors": VectorTable.of(rows, classes).tensors()}
    parts = {"encoder": "conv", "quantizer": "fsq", "decoder": "deconv"}
    uses = tuple(ComponentUse(section=kind, kind=kind, name=name) for kind, name in parts.items())
    config = {"quantizer": {"levels": [8, 8, 6], "vocab_size": 266}}
    return rebuild("autoencoder-fsq", State(config=config, tensors=tensors, components=uses))


def test_the_nearest_by_use_are_ordered_by_their_cosine_and_ties_by_id(kennel) -> None:
    found = kennel.nearest(" cat", k=4)
    assert [token for token, _ in found] == [261, 263, 262, 264]
    assert [s for _, s in found] == pytest.approx(np.cos(ANGLES[[1, 3, 2, 4]]), abs=2e-3) and found[0][1] == found[1][1]
    assert found == kennel.nearest(260, k=4) == kennel.nearest(b" cat", k=4)
    assert len(kennel.nearest(260, k=99)) == 5, "ids without a vector are no neighbors"
    assert kennel.nearest(0) == kennel.nearest(70) == [], "an id without a vector has none"


def test_spelling_is_the_share_of_n_grams_in_common(kennel) -> None:
    assert [token for token, _ in kennel.nearest(" cat", k=2, by="spelling")] == [263, 261]
    index = SpellingIndex([b"ab", b"", b"AB", b"abab", b"x"])
    alike = index.similarities(b"ab")
    # of "ab" a b | ^a ab b$ | ^ab ab$, twice: 14; of "AB" the seven in small letters are the same
    assert alike[0] == 1 and alike[1] == 0 and alike[2] == pytest.approx(2 * 7 / 28) and alike[4] == 0
    # of "abab" a b a b | ^a ab ba ab b$ | ^ab aba bab ab$, twice: 26, of which 14 are those of "ab"
    assert alike[3] == pytest.approx(2 * 14 / (14 + 26))
    assert not index.similarities(b"zq").any()
    assert SpellingIndex([b"a" * 400, b"a" * 500]).similarities(b"a" * 400)[0] == 1


def test_texts_that_are_no_id_are_embedded_by_the_network_in_one_call(kennel, monkeypatch) -> None:
    calls = []

    def vectors(network, segments):
        calls.append(list(segments))
        return np.tile(np.float32([0, 1]), (len(segments), 1))

    monkeypatch.setattr(Autoencoder, "vectors", vectors, raising=False)
    monkeypatch.setattr(type(kennel), "network", lambda self: Autoencoder(None, None, None))
    rows = kennel.embed([" dog", "midnight", 265, b" cat", bytearray(b"\xff\xfe")])
    assert rows.dtype == np.float32 and rows.shape == (5, 2) and calls == [[b"midnight", b"\xff\xfe"]]
    assert np.array_equal(rows[[0, 2, 3]], kennel.embed([262, 265, 260])) and rows[1].tolist() == [0, 1]
    assert kennel.nearest("midnight", k=1) == [(265, 1.0)]
    assert calls[1:] == [[b"midnight"]]


@pytest.mark.parametrize(
    "items", [[260, 261], (260, 261), np.array([260, 261]), np.array([260, 261], np.int32), iter([260, 261])]
)
def test_a_sequence_of_any_kind_has_a_row_for_each(kennel, items) -> None:
    assert np.array_equal(kennel.embed(items), kennel.vectors().unit[[260, 261]])


def test_one_item_has_one_row_and_none_has_none(kennel) -> None:
    assert kennel.embed(260).shape == kennel.embed(" cat").shape == kennel.embed(b" cat").shape == (1, 2)
    assert kennel.embed([]).shape == (0, 2)
    assert not kennel.embed([0, 70]).any()


@pytest.mark.parametrize(
    ("items", "text"),
    [
        ("", "position 0 is empty"),
        ([260, b""], "position 1 is empty"),
        ("x" * 17, r"has 17 bytes, is no id, and the network reads at most 16.*embed\(encode\(text\)\)"),
        ("\ud800", "lone surrogate"),
        ({260}, "expected a sequence of ids, str or bytes, got set"),
        ([[260]], "is not an id"),
        ([" cat", 1.5], "1.5 at position 1 is not an id"),
        (True, "True at position 0 is not an id"),
        ([260, 266], "id 266 at position 1 is outside the vocabulary"),
        (None, "None at position 0 is not an id"),
    ],
)  # fmt: skip
def test_what_is_no_item_is_told_with_its_position(kennel, items, text: str) -> None:
    with pytest.raises(EncodingError, match=text):
        kennel.embed(items)


@pytest.mark.parametrize("options", [{"k": 0}, {"k": -1}, {"k": True}, {"k": 2.0}, {"by": "sound"}, {"by": None}])
def test_a_number_or_a_measure_that_cannot_be_is_told(kennel, options: dict) -> None:
    with pytest.raises(EncodingError, match=r"whole number from 1|'use' or 'spelling'"):
        kennel.nearest(260, **options)


def test_nearest_takes_one_item(kennel) -> None:
    with pytest.raises(EncodingError, match="one id, str or bytes, got list"):
        kennel.nearest([260, 261])
    with pytest.raises(InvalidTokenError):
        kennel.nearest(266)


def test_without_vectors_what_needs_them_is_unsupported_and_spelling_is_not(kennel) -> None:
    plain = rebuild("autoencoder-fsq", evolve(kennel.state(), tensors={"codebook": kennel.vocabulary.tensors()}))
    for ask in (plain.classes, lambda: plain.embed(260), lambda: plain.nearest(260), lambda: plain.nearest("")):
        with pytest.raises(UnsupportedError, match="tokframe train") as caught:
            ask()
        assert caught.value.capability == "vectors"
    assert plain.nearest(260, by="spelling") == kennel.nearest(260, by="spelling")


def test_vectors_stay_with_a_saved_and_a_pickled_tokenizer_and_are_not_read_to_encode(kennel, tmp_path) -> None:
    import pickle

    loaded = tokframe.load(kennel.save(tmp_path / "kennel"))
    (tmp_path / "kennel" / "vectors.safetensors").rename(tmp_path / "away")
    assert loaded.decode(loaded.encode("a cat at noon")) == "a cat at noon"
    (tmp_path / "away").rename(tmp_path / "kennel" / "vectors.safetensors")
    again = pickle.loads(pickle.dumps(loaded))
    assert again.nearest(" cat") == loaded.nearest(" cat") == kennel.nearest(" cat")
