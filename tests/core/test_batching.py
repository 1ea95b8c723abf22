"""Many texts at once give what one by one gives, however many threads, cut and padded as asked."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from toy_bytes.tokenizer import ToyTokenizer

from tokframe.errors import EncodingError, InvalidTokenError
from tokframe.shadowing.tokenizer import ShadowTokenizer
from tokframe.tokenizer import batching

toy = ToyTokenizer([b"th", b"the "])
wrapped = ToyTokenizer([b"th", b"the "], wrap=True)
TEXTS = ["the thing", "", "é🙂", "a" * 30, "<s>"]
MANY = [f"text number {i} of the batch " * (i % 5) for i in range(500)]


@pytest.fixture
def always_threads(monkeypatch):
    """Each text is a share of its own, so small batches go to worker threads too."""
    monkeypatch.setattr(batching, "SHARE_LENGTH", 1)


@pytest.mark.usefixtures("always_threads")
@pytest.mark.parametrize("tokenizer", [toy, wrapped], ids=["plain", "wrapped"])
@pytest.mark.parametrize("threads", [None, 1, 2, 7])
def test_a_batch_is_its_texts_in_order(tokenizer, threads):
    ids = tokenizer.encode_batch(MANY, threads=threads)
    assert ids == [tokenizer.encode(text) for text in MANY]
    assert all(type(token) is int for token in ids[1])
    assert tokenizer.decode_batch(ids, threads=threads) == MANY
    assert tokenizer.encode_batch(TEXTS, False) == [tokenizer.encode(text, False) for text in TEXTS]


@pytest.mark.usefixtures("always_threads")
def test_as_many_threads_work_as_were_asked_for():
    meeting = threading.Barrier(3, timeout=60)  # breaks, and the test fails, unless three texts are in work at once

    class Meeting(ToyTokenizer):
        def encode_raw(self, data):
            meeting.wait()
            return super().encode_raw(data)

    assert Meeting().encode_batch(["a", "b", "c"], threads=3) == toy.encode_batch(["a", "b", "c"])
    assert not [thread for thread in threading.enumerate() if thread.name == "tokframe-batch"]


@pytest.mark.parametrize(("length", "items"), [(1, 4096), (100, 4096), (1 << 16, 7), (1 << 16, 4096)])
def test_the_size_of_the_shares_changes_nothing(monkeypatch, length, items):
    monkeypatch.setattr(batching, "SHARE_LENGTH", length)
    monkeypatch.setattr(batching, "MAX_SHARE_ITEMS", items)
    assert wrapped.encode_batch(MANY, threads=3) == [wrapped.encode(text) for text in MANY]


def test_a_tokenizer_may_take_many_texts_at_once_and_the_error_still_names_one():
    taken = []

    class AtOnce(ToyTokenizer):
        def encode_lists(self, texts):
            taken.append(len(texts))
            return super().encode_lists(texts)

    tokenizer = AtOnce([b"th", b"the "], wrap=True)
    assert tokenizer.encode_batch(MANY) == [wrapped.encode(text) for text in MANY] and taken == [len(MANY)]
    with pytest.raises(EncodingError, match="text 2 of the batch: character 0"):
        tokenizer.encode_batch(["a", "b", "\ud800"])


def test_an_empty_batch():
    assert toy.encode_batch([]) == [] and toy.decode_batch([]) == []
    assert toy.encode_batch_padded([]).ids.shape == (0, 0)


def test_decode_batch_takes_any_rows_and_keeps_special_when_asked():
    rows = [np.array([2, 69, 3]), (69,), []]
    assert toy.decode_batch(iter(rows)) == ["A", "A", ""]
    assert toy.decode_batch(rows, skip_special=False) == ["<s>A</s>", "A", ""]
    assert toy.decode_batch(np.array([[69, 70], [71, 72]])) == ["AB", "CD"]


@pytest.mark.parametrize("length", [2, 3, 5, 100])
def test_truncation_counts_the_special_tokens_and_keeps_them(length):
    for text, ids in zip(TEXTS, wrapped.encode_batch(TEXTS, max_length=length), strict=True):
        whole = wrapped.encode(text)
        assert len(ids) == min(len(whole), length)
        assert ids[0] == 2 and ids[-1] == 3 and ids[1:-1] == whole[1:-1][: length - 2]
    assert [len(ids) for ids in toy.encode_batch(TEXTS, max_length=3)] == [min(toy.count(t), 3) for t in TEXTS]
    assert toy.encode_batch(["abc"], max_length=0) == [[]]


@pytest.mark.parametrize("length", [1, 0])
def test_a_length_without_room_for_the_special_tokens_is_an_error(length):
    with pytest.raises(EncodingError, match=f"max_length {length} leaves no room for 2 special tokens"):
        wrapped.encode_batch(TEXTS, max_length=length)


def test_padding_makes_a_rectangle_and_says_what_is_real():
    batch = wrapped.encode_batch_padded(TEXTS)
    rows = wrapped.encode_batch(TEXTS)
    assert batch.ids.dtype == batch.mask.dtype == np.int32
    assert batch.ids.shape == batch.mask.shape == (len(TEXTS), max(map(len, rows)))
    for ids, mask, row in zip(batch.ids, batch.mask, rows, strict=True):
        assert ids[: len(row)].tolist() == row and not ids[len(row) :].any()  # <pad> is 0
        assert mask.tolist() == [1] * len(row) + [0] * (len(ids) - len(row))


def test_padding_to_a_width():
    assert toy.encode_batch_padded(["ab"], pad_to=5).mask.tolist() == [[1, 1, 0, 0, 0]]
    assert toy.encode_batch_padded(["abcdef", ""], max_length=4, pad_to=4).ids.shape == (2, 4)
    with pytest.raises(EncodingError, match="text 1 has 3 ids, more than pad_to=2; set max_length"):
        toy.encode_batch_padded(["a", "abc", "abcd"], pad_to=2)


def test_padded_batches_become_torch_tensors_of_their_own():
    torch = pytest.importorskip("torch")
    batch = toy.encode_batch_padded(["ab", "c"])
    ids, mask = batch.to_torch()
    assert ids.dtype == mask.dtype == torch.int64
    assert ids.tolist() == batch.ids.tolist() and mask.tolist() == batch.mask.tolist()
    ids[0, 0] = 99
    assert batch.ids[0, 0] != 99


@pytest.mark.usefixtures("always_threads")
@pytest.mark.parametrize("threads", [1, 4])
def test_an_error_says_which_text_and_of_several_the_first(threads):
    texts = [*MANY[:300], "ok\ud800", "\ud800", *MANY[300:]]
    with pytest.raises(EncodingError, match="text 300 of the batch: character 2") as caught:
        toy.encode_batch(texts, threads=threads)
    assert caught.value.position == 2
    with pytest.raises(EncodingError, match="text 1 of the batch: expected str, got NoneType"):
        toy.encode_batch(["a", None])
    with pytest.raises(InvalidTokenError, match="id 9999 at position 0"):
        toy.decode_batch([[5], [9999]])


# -- what a batch may be ----------------------------------------------------------------------------------------

SHUFFLED = {3: "three", 1: "one", 2: "the two", 0: ""}


class Labeled:
    """Answers `[]` by label and iterates by position, as a pandas Series does."""

    def __init__(self, values):
        self.values = values

    def __getitem__(self, label):
        return self.values[label]

    def __len__(self):
        return len(self.values)

    def __iter__(self):
        return iter(self.values.values())


class ArrowLike(list):
    """Iterates over scalars of its own, as an Arrow array does, and gives Python's by `to_pylist`."""

    def __iter__(self):
        return map(object, ())

    def to_pylist(self):
        return [self[n] for n in range(len(self))]


def series(values):
    return pytest.importorskip("pandas").Series(values)


ORDERED = {
    "labels of its own": lambda: Labeled(SHUFFLED),
    "a shuffled series": lambda: series(SHUFFLED),
    "a filtered series": lambda: series({9: "x", **SHUFFLED}).drop(9),
    "a generator": lambda: (text for text in SHUFFLED.values()),
    "an iterator": lambda: iter(SHUFFLED.values()),
    "a tuple": lambda: tuple(SHUFFLED.values()),
    "values of a dict": SHUFFLED.values,
    "an array of objects": lambda: np.array(list(SHUFFLED.values()), object),
    "an array of text": lambda: np.array(list(SHUFFLED.values())),
    "arrow": lambda: ArrowLike(SHUFFLED.values()),
}


@pytest.mark.parametrize("make", ORDERED.values(), ids=ORDERED)
def test_a_batch_is_read_by_position(make):
    expected = [toy.encode(text) for text in SHUFFLED.values()]
    assert toy.encode_batch(make()) == expected
    padded = toy.encode_batch_padded(make())
    assert [ids[mask == 1].tolist() for ids, mask in zip(padded.ids, padded.mask, strict=True)] == expected
    shadow = ShadowTokenizer(toy, toy, None, 1.0, 10, False, None)
    assert shadow.encode_batch(make()) == expected and shadow.report().tried == len(expected)


def test_rows_of_ids_are_read_by_position():
    rows = {2: [69], 0: (70, 71), 1: np.array([72])}
    for batch in (Labeled(rows), (row for row in rows.values()), ArrowLike(rows.values())):
        assert toy.decode_batch(batch) == ["A", "BC", "D"]


def test_arrays_without_a_dimension_are_no_rows_and_no_texts():
    with pytest.raises(EncodingError, match="expected a sequence of ids, got ndarray"):
        toy.decode_batch([np.array(5)])
    with pytest.raises(EncodingError, match="text 0 of the batch: expected str, got ndarray"):
        toy.encode_batch([np.array("a")])


def test_numbers_that_are_no_ids_are_told_by_position_whatever_holds_them():
    torch = pytest.importorskip("torch")
    masked = np.ma.array([69, 70], mask=[False, True], dtype=np.int32)
    for odd, position in ((masked, 1), (torch.ones(2, requires_grad=True), 0)):
        with pytest.raises(InvalidTokenError, match=f"at position {position} is not an id"):
            toy.decode(odd)
    assert toy.decode(np.ma.array([69, 70])) == "AB"


class Frame(list):
    """Iterates over the names of its columns, as a data frame does."""

    columns = ("text",)


@pytest.mark.parametrize(
    "batch",
    ["a text", b"bytes", bytearray(b"bytes"), memoryview(b"bytes"), None, 5, {1: "a", 0: "b"}, {"a", "b"}, Frame("a")],
    ids=lambda batch: type(batch).__name__,
)
def test_what_has_no_order_is_refused_by_name(batch):
    for call in (toy.encode_batch, toy.encode_batch_padded, toy.decode_batch):
        with pytest.raises(EncodingError, match=f"got {type(batch).__name__}; pass a list, .* there is"):
            call(batch)


def test_an_error_of_the_callers_generator_stays_its_own():
    def broken():
        yield "a"
        raise TypeError("of the caller")

    with pytest.raises(TypeError, match="of the caller"):
        toy.encode_batch(broken())


@pytest.mark.parametrize("value", [-1, 1.5, "2", float("nan"), True, 10**23])
@pytest.mark.parametrize("name", ["max_length", "pad_to", "threads"])
def test_sizes_are_whole_numbers(name, value):
    with pytest.raises(EncodingError, match=f"for {name}, got "):
        toy.encode_batch_padded([], **{name: value})
    assert len(toy.encode_batch_padded(["abc"], **{name: np.int64(5)}).ids) == 1
