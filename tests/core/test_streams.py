"""Text and ids fed in parts: the same as the whole, never half a character, bounded memory."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from toy_bytes.tokenizer import ToyTokenizer

from tokframe.errors import EncodingError, InvalidTokenError
from tokframe.tokenizer.streams import StreamDecoder

toy = ToyTokenizer([b"th", b"the ", b"\xa9x", "🙂".encode(), b"aaaa"])
wrapped = ToyTokenizer(wrap=True)
fragments = st.lists(
    st.characters(exclude_categories=["Cs"]) | st.sampled_from(["the ", "th", "éx", "🙂", "aaa", "\r\n"]), max_size=20
).map("".join)


def cut(data, places):
    """Cut text, bytes or ids at the given places (any integers)."""
    ends = sorted(p % (len(data) + 1) for p in places)
    return [data[start:end] for start, end in zip([0, *ends], [*ends, len(data)], strict=True)]


@given(st.binary(max_size=60), st.lists(st.integers(0, 1000), max_size=8))
def test_bytes_cut_anywhere_give_the_ids_of_the_whole(data, places):
    stream = toy.stream_encoder()
    ids = [token for part in cut(data, places) for token in stream.feed(part)] + stream.finish()
    assert ids == toy.encode_bytes(data)


@given(fragments, fragments)
def test_text_and_bytes_may_be_mixed(first, second):
    stream = toy.stream_encoder()
    assert stream.feed(first) + stream.feed(second.encode()) + stream.finish() == toy.encode(first + second)


@given(st.lists(st.integers(0, toy.vocab_size - 1)), st.lists(st.integers(0, 1000), max_size=8), st.booleans())
def test_ids_in_parts_give_the_text_of_the_whole(ids, places, skip):
    stream = toy.stream_decoder(skip)
    text = "".join(stream.feed(part) for part in cut(ids, places)) + stream.finish()
    assert text == toy.decode(ids, skip)


@given(fragments)
def test_a_decoder_never_gives_half_a_character(text):
    stream = toy.stream_decoder()
    seen = ""
    for token in toy.encode(text):
        seen += stream.feed(token)
        assert text.startswith(seen)
    assert seen + stream.finish() == text


class Joined(ToyTokenizer):
    """Leaves out the space a text begins with, and joins `a` and `b` to `x`: neighbors decide what an id reads as."""

    def decode_raw(self, ids):
        return super().decode_raw(ids).removeprefix(b" ").replace(b"ab", b"x")


joined = Joined()
A, B, SPACE = 4 + ord("a"), 4 + ord("b"), 4 + ord(" ")


@given(
    st.lists(st.sampled_from([A, B, SPACE, 4 + 0xC3, 4 + 0xA9, 2]), max_size=12),
    st.lists(st.integers(0, 99), max_size=8),
)
def test_ids_that_depend_on_their_neighbors_are_decoded_behind_them(ids, places):
    """Where the tokenizer says which ids are final, and where it says nothing is before the end."""
    for settled in (
        lambda fed: next((n for n in range(len(fed), 0, -1) if fed[n - 1] not in (A, 2)), 0),
        lambda fed: 0,
    ):
        for skip in (True, False):
            stream = StreamDecoder(joined, skip, settled)
            for _ in range(2):
                text = "".join(stream.feed(part) for part in cut(ids, places)) + stream.finish()
                assert text == joined.decode(ids, skip)


def test_a_wrong_id_changes_nothing_in_what_is_pending():
    stream = StreamDecoder(joined, True, lambda fed: 0)
    assert stream.feed([SPACE, A]) == ""
    with pytest.raises(InvalidTokenError, match="position 1"):
        stream.feed([B, 10_000])
    assert stream.feed(B) == "" and stream.finish() == "x"


def test_ids_come_as_soon_as_they_are_stable_and_memory_stays_bounded():
    stream = toy.stream_encoder()
    total = 0
    for _ in range(200):
        total += len(stream.feed("x" * 50))
        assert len(stream._pending) <= 4
    assert total >= 200 * 50 - 4
    assert len(stream.finish()) == 200 * 50 - total


def test_a_stream_can_be_used_again_after_its_end():
    encoder, decoder = toy.stream_encoder(), toy.stream_decoder()
    assert encoder.finish() == [] and decoder.finish() == ""
    for _ in range(2):
        stable = encoder.feed("the th")
        assert stable == [261]
        assert encoder.finish() == [260]
        assert decoder.feed([4 + 0xC3]) == ""
        assert decoder.finish() == "�"


def test_special_tokens_are_neither_added_nor_read():
    stream = wrapped.stream_encoder()
    ids = stream.feed("<s>") + stream.finish()
    assert ids == wrapped.encode("<s>", add_special=False) and 2 not in ids
    assert wrapped.stream_decoder().feed([2, 4 + 65, 3]) == "A"
    assert wrapped.stream_decoder(skip_special=False).feed([2, 4 + 65]) == "<s>A"


def test_one_id_may_be_fed_alone_also_numpys():
    stream = toy.stream_decoder()
    assert stream.feed(4 + 65) + stream.feed(np.int64(4 + 66)) + stream.feed(np.array([4 + 67])) == "ABC"


def test_errors_name_the_place_in_the_part_and_lose_nothing():
    stream = toy.stream_encoder()
    ids = stream.feed("the t")
    with pytest.raises(EncodingError, match="character 2 of this part is a lone surrogate") as caught:
        stream.feed("ab\ud800")
    assert caught.value.position == 2
    assert ids + stream.feed("he ") + stream.finish() == toy.encode("the the ")
    decoder = toy.stream_decoder()
    with pytest.raises(InvalidTokenError, match="id -1 at position 1"):
        decoder.feed([5, -1])


def test_a_tokenizer_that_only_knows_at_the_end_still_streams():
    class Patient(ToyTokenizer):
        def stable_prefix(self, data):
            return 0

    stream = Patient([b"th"]).stream_encoder()
    assert stream.feed("th") == [] and stream.feed("th") == []
    assert stream.finish() == [260, 260]
