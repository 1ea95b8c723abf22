"""The tokenizer "word": known text is exact, unknown text visibly lost; the rest is in its contract."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokframe_word.tokenizer import WordTokenizer

from tokframe.errors import ArtifactCorruptError, UnsupportedError
from tokframe.storage.state import State

TEXTS = st.text(
    st.one_of(st.sampled_from(list("the cat'’\n\r\t 12_.क\u093f漢ก่é")), st.characters(codec="utf-8")), max_size=60
)


def test_known_text_is_decoded_exactly(word, text):
    assert word.decode(word.encode(text)) == text
    assert 1 not in word.encode(text)


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


def test_bytes_that_are_no_text_are_refused_with_advice(word):
    with pytest.raises(UnsupportedError, match=r"byte 0xff at position 4 .*load\('bpe'\)") as error:
        word.encode_bytes(b"the \xff")
    assert error.value.capability == "bytes_input"
    with pytest.raises(UnsupportedError):
        word.stream_encoder().feed(b"the \xff")


@given(TEXTS)
def test_offsets_are_true_spans_though_unk_stands_for_other_text(word, text):
    found, data = word.offsets(text), text.encode()
    assert found.ids.tolist() == word.encode(text)
    assert b"".join(data[a:b] for a, b in found.byte_spans) == data
    assert "".join(text[a:b] for a, b in found.char_spans) == text
    for token, (a, b) in zip(found.ids.tolist(), found.byte_spans, strict=True):
        assert token == 1 or word.token_bytes(token) == data[a:b]


def test_a_stream_waits_for_no_more_than_two_pieces(word):
    encoder = word.stream_encoder()
    assert encoder.feed("the cat sat") == word.encode("the cat")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "missing"),
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
        WordTokenizer.from_state(State(files={"vocab.json": content} if content is not None else {}))
    assert error.value.file == "vocab.json"


def test_a_word_may_hold_a_newline():
    words = ["\n\n", "\r\n", "a"]
    tokenizer = WordTokenizer(words, {})
    again = WordTokenizer.from_state(tokenizer.state())
    assert [again.token_bytes(token).decode() for token in range(4, 7)] == words
