"""The tokenizer "word": what it knows is exact, what it does not know is visibly lost and never misplaced."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokframe_word.tokenizer import WordTokenizer

import tokframe
from tokframe.errors import ArtifactCorruptError, EncodingError, InvalidTokenError, UnsupportedError
from tokframe.storage.state import State

TEXTS = st.text(
    st.one_of(st.sampled_from(list("the cat'’\n\r\t 12_.क\u093f漢ก่é")), st.characters(codec="utf-8")),
    max_size=60,
)


def test_known_text_comes_back_exactly(word, text):
    assert word.decode(word.encode(text)) == text
    assert 1 not in word.encode(text)


def test_the_special_tokens_are_the_first_four_ids(word):
    assert dict(word.special_tokens) == {"<pad>": 0, "<unk>": 1, "<s>": 2, "</s>": 3}


def test_an_unknown_word_is_one_unk(word):
    ids = word.encode("the zyzzogeton sat")
    assert ids.count(word.special_tokens["<unk>"]) == 1
    assert len(ids) == 5


def test_a_lost_word_is_never_left_out_silently(word):
    ids = word.encode("the zyzzogeton sat")
    assert word.decode(ids) == word.decode(ids, skip_special=False) == "the <unk> sat"
    assert word.decode_batch([ids]) == ["the <unk> sat"]
    decoder = word.stream_decoder()
    assert "".join(decoder.feed(token) for token in ids) + decoder.finish() == "the <unk> sat"


def test_the_other_special_tokens_are_left_out_on_request(word):
    assert word.decode([0, 2, *word.encode("cat"), 3]) == "cat"
    assert word.decode([2, *word.encode("cat"), 3], skip_special=False) == "<s>cat</s>"


def test_it_says_that_it_is_lossy_and_takes_only_text(word):
    assert not word.capabilities.lossless
    assert not word.capabilities.bytes_input


def test_bytes_that_are_no_text_are_refused_with_advice(word):
    with pytest.raises(UnsupportedError, match=r"byte 0xff at position 4 .*load\('bpe'\)") as error:
        word.encode_bytes(b"the \xff")
    assert error.value.capability == "bytes_input"
    with pytest.raises(UnsupportedError):
        word.stream_encoder().feed(b"the \xff")


def test_bytes_that_are_text_encode_as_the_text(word):
    assert word.encode_bytes("the cat है".encode()) == word.encode("the cat है")


def test_special_token_text_is_ordinary_text_unless_allowed(word):
    assert not {0, 2, 3} & set(word.encode("<pad> <s></s>"))
    assert word.encode("<s>cat", allowed_special=["<s>"]) == [2, *word.encode("cat")]


@given(TEXTS)
def test_offsets_are_true_spans_though_unk_stands_for_other_text(word, text):
    found, data = word.offsets(text), text.encode()
    assert found.ids.tolist() == word.encode(text)
    assert b"".join(data[a:b] for a, b in found.byte_spans) == data
    assert "".join(text[a:b] for a, b in found.char_spans) == text
    for token, (a, b) in zip(found.ids.tolist(), found.byte_spans, strict=True):
        assert token == 1 or word.token_bytes(token) == data[a:b]


@settings(max_examples=200)
@given(TEXTS, st.data())
def test_a_stream_has_the_ids_of_the_whole(word, text, data):
    raw = text.encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=4)))
    encoder, ids = word.stream_encoder(), []
    for start, end in zip([0, *cuts], [*cuts, len(raw)], strict=True):
        ids += encoder.feed(raw[start:end])
    assert ids + encoder.finish() == word.encode(text)


def test_a_stream_waits_for_no_more_than_two_pieces(word):
    encoder = word.stream_encoder()
    assert encoder.feed("the cat sat") == word.encode("the cat")


def test_ids_outside_the_vocabulary_are_named(word):
    for bad in (-1, word.vocab_size):
        with pytest.raises(InvalidTokenError, match=str(bad)):
            word.decode([4, bad])
        with pytest.raises(InvalidTokenError, match=str(bad)):
            word.token_bytes(bad)


def test_a_lone_surrogate_is_an_error_that_names_its_position(word):
    with pytest.raises(EncodingError, match="character 3"):
        word.encode("cat\ud800")
    with pytest.raises(EncodingError, match="character 3"):
        word.offsets("cat\ud800")


def test_every_id_has_bytes_and_ids_are_int32(word):
    assert all(word.token_bytes(token) for token in range(word.vocab_size))
    assert word.encode_array("the cat").dtype == np.int32
    assert word.encode("") == []
    assert word.encode_array("").dtype == np.int32


def test_it_is_the_same_after_pickling_saving_and_loading(word, text, tmp_path):
    word.save(tmp_path / "saved")
    for again in (pickle.loads(pickle.dumps(word)), tokframe.load(tmp_path / "saved")):
        assert again.encode(text + " zyzzogeton") == word.encode(text + " zyzzogeton")
        assert again.state().files == word.state().files
        assert dict(again.state().config) == {"vocab_size": 32768}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"\xff", "not UTF-8 JSON"),
        (b"[", "not UTF-8 JSON"),
        (b'{"a": 1}', "not a list of texts"),
        (b'["<pad>", "<unk>", "<s>", "</s>", 7]', "not a list of texts"),
        (b'["<unk>", "<pad>", "<s>", "</s>", "a"]', "does not begin with <pad>"),
        (b'["<pad>", "<unk>", "<s>", "</s>", "a", "a"]', "holds a text twice"),
        (b'["<pad>", "<unk>", "<s>", "</s>", "\\ud800"]', "lone surrogate"),
    ],
)
def test_a_vocabulary_that_makes_no_sense_is_refused(content, problem):
    with pytest.raises(ArtifactCorruptError, match=problem) as error:
        WordTokenizer.from_state(State(files={"vocab.json": content}))
    assert error.value.file == "vocab.json"


def test_a_missing_vocabulary_is_named():
    with pytest.raises(ArtifactCorruptError, match="missing"):
        WordTokenizer.from_state(State())


def test_a_word_may_hold_a_newline(tmp_path):
    words = ["\n\n", "\r\n", "a"]
    tokenizer = WordTokenizer(words, {})
    again = WordTokenizer.from_state(tokenizer.state())
    assert [again.token_bytes(token).decode() for token in range(4, 7)] == words
