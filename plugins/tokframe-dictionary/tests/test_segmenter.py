"""The search: compiled, plain Python and brute force agree on ids; rules of lines, blocks, ties and streams hold."""

from __future__ import annotations

import gc
import itertools
import pickle
import random
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokframe_dictionary import extensions
from tokframe_dictionary.extensions import SlowSearchWarning
from tokframe_dictionary.segmenter import reference
from tokframe_dictionary.segmenter.segmenter import Segmenter

from tokframe.errors import InvalidTokenError

pytestmark = pytest.mark.slow

BYTES = [bytes([value]) for value in range(256)]
ALPHABET = st.sampled_from(
    [b"a", b"b", b"ab", b"\n", b"\r", b" ", b"\xc3\xa9", b"\xe4\xb8\xad", b"\xf0\x9f\x99\x82", b"\x80", b"\0"]
)
TEXT = st.lists(ALPHABET, max_size=120).map(b"".join)
PIECE = (
    st.lists(ALPHABET, min_size=1, max_size=8)
    .map(b"".join)
    .filter(lambda piece: 2 <= len(piece) <= 16 and b"\n" not in piece.rstrip(b"\n"))
)
VOCABULARY = st.lists(PIECE, max_size=40, unique=True)


def plain(pieces: list[bytes], costs: list[int] | None = None, block: int = 4096) -> Segmenter:
    made = Segmenter(pieces, range(4, 4 + len(pieces)), costs, block)
    made._use(reference)
    return made


def brute_force(unit: bytes, pieces: list[bytes]) -> list[bytes]:
    """All paths of the fewest pieces; the one with the longest piece last, and so on."""
    known = set(pieces)
    paths: list[list[bytes]] = [[]]
    while not any(sum(map(len, path)) == len(unit) for path in paths):
        paths = [
            [*path, unit[at:end]]
            for path in paths
            for at in [sum(map(len, path))]
            for end in range(at + 1, min(len(unit), at + 16) + 1)
            if unit[at:end] in known
        ]
    whole = [path for path in paths if sum(map(len, path)) == len(unit)]
    return max(whole, key=lambda path: [len(piece) for piece in reversed(path)])


@pytest.fixture
def compiled() -> None:
    pytest.importorskip("tokframe_dictionary.segmenter._search", reason="the extension was not compiled")


@pytest.mark.usefixtures("compiled")
class TestCompiledEqualsReference:
    @settings(deadline=None, max_examples=300)
    @given(VOCABULARY, TEXT)
    def test_fewest_tokens(self, learned: list[bytes], text: bytes) -> None:
        pieces = BYTES + learned
        fast, slow = Segmenter(pieces, range(4, 4 + len(pieces))), plain(pieces)
        assert fast.compiled and not slow.compiled
        assert fast.encode(text).tolist() == slow.encode(text).tolist() == fast.encode_list(text)
        assert fast.decode(fast.encode(text)) == text
        assert fast.count(text) == slow.count(text) == len(fast.encode(text))

    @settings(deadline=None, max_examples=60)
    @given(VOCABULARY, TEXT, st.integers(450, 700), st.booleans())
    def test_at_the_size_from_which_parts_are_searched_side_by_side(
        self, learned: list[bytes], text: bytes, size: int, small_blocks: bool
    ) -> None:
        pieces, block = BYTES + learned, 300 if small_blocks else 4096
        data = ((text or b"ab") * size)[:size]
        fast, slow = Segmenter(pieces, range(4, 4 + len(pieces)), None, block), plain(pieces, None, block)
        ids = slow.encode_list(data)
        assert fast.encode(data).tolist() == fast.encode_list(data) == ids
        assert fast.count(data) == len(ids)

    @settings(deadline=None, max_examples=60)
    @given(VOCABULARY, st.text(max_size=300))
    def test_strings(self, learned: list[bytes], text: str) -> None:
        pieces = BYTES + learned
        fast, slow = Segmenter(pieces, range(4, 4 + len(pieces))), plain(pieces)
        ids = fast.encode_text(text)
        assert ids == slow.encode_text(text) == fast.encode_list(text.encode())
        for some in (ids, ids[:-1], ids[1:], ids * 50):
            expected = slow.decode_known_text(some)
            assert fast.decode_known_text(some) == fast.decode_known_text(np.asarray(some, np.int32)) == expected
            assert fast.decode_known(some) == slow.decode_known(np.asarray(some, np.int32))
        for unknown in (3, 4 + len(pieces), -1, 1 << 40):
            assert fast.decode_known_text([*ids, unknown]) is slow.decode_known_text([unknown]) is None

    @pytest.mark.parametrize(
        ("wrong", "error"), [("a\ud800", UnicodeEncodeError), (b"a", TypeError), (None, TypeError)]
    )
    def test_what_is_no_text(self, wrong: str, error: type[Exception]) -> None:
        with pytest.raises(error):
            Segmenter(BYTES, range(4, 260)).encode_text(wrong)

    @settings(deadline=None, max_examples=100)
    @given(VOCABULARY, TEXT, st.integers(16, 40), st.data())
    def test_costs_and_small_blocks(self, learned: list[bytes], text: bytes, block: int, data: st.DataObject) -> None:
        pieces = BYTES + learned
        costs = [2] * 256 + [data.draw(st.integers(1, 4)) for _ in learned]
        for given_costs in (None, costs):
            fast = Segmenter(pieces, range(4, 4 + len(pieces)), given_costs, block)
            slow = plain(pieces, given_costs, block)
            assert fast.encode(text).tolist() == slow.encode(text).tolist()
            assert fast.stable_prefix(text) == slow.stable_prefix(text)
            assert fast.settled_ids(text) == slow.settled_ids(text)
            for a, b in zip(fast.savings(text), slow.savings(text), strict=True):
                assert a.tolist() == b.tolist()
            assert fast.usage(text).tolist() == slow.usage(text).tolist()

    def test_long_text_is_walked_in_stretches_with_the_same_result(self) -> None:
        chance = random.Random(1)
        learned = {bytes(chance.choice(b"ab \r") for _ in range(chance.randint(2, 16))) for _ in range(400)}
        learned |= {b"\n\n", b"a\n", b"\r\n", b"\r\n\n"}
        pieces = BYTES + sorted(learned)
        fast, slow = Segmenter(pieces, range(len(pieces))), plain(pieces)
        for newline in (b"", b"\n"):
            text = b"".join(chance.choice([b"a", b"b", b" ", b"\r", b"ab a", newline]) for _ in range(60_000))
            assert (fast.encode(text) + 4).tolist() == slow.encode(text).tolist()

    @pytest.mark.parametrize("line", [1, 20, 200, 2_000])
    @pytest.mark.parametrize("block", [64, 4_096])
    def test_parts_of_a_chunk_of_any_length_are_searched_side_by_side(self, line: int, block: int) -> None:
        chance = random.Random(line)
        learned = {bytes(chance.choice(b"ab ") for _ in range(chance.randint(2, 16))) for _ in range(400)}
        pieces = [*BYTES, *sorted(learned | {b"\n\n", b"a\n", b"b\n\n"})]
        fast, slow = Segmenter(pieces, range(4, 4 + len(pieces)), None, block), plain(pieces, None, block)
        for size in (63, 64, 65, 127, 128, 129, 260, 1_030, 5_000, 16_384, 16_385, 30_000):
            text = bytes(10 if chance.random() < 1 / line else chance.choice(b"ab ") for _ in range(size))
            assert fast.encode(text).tolist() == slow.encode(text).tolist()

    @pytest.mark.parametrize("text", [b"", b"\n", b"a" * 40_000, b"\n" * 9_000, bytes(range(256)) * 40])
    def test_extreme_texts(self, text: bytes) -> None:
        pieces = [*BYTES, b"aa", b"aaa", b"a" * 16, b"\n\n", b"\n" * 7]
        fast, slow = Segmenter(pieces, range(4, 4 + len(pieces))), plain(pieces)
        assert fast.encode(text).tolist() == slow.encode(text).tolist()
        assert fast.decode(fast.encode(text)) == text


@pytest.fixture(params=["compiled", "plain"])
def make(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Segmenter]]:
    if request.param == "compiled":
        request.getfixturevalue("compiled")
    else:
        monkeypatch.setitem(sys.modules, "tokframe_dictionary.segmenter._search", None)
        monkeypatch.setattr(extensions, "_warned", {"segmenter._search"})
    yield Segmenter


@settings(deadline=None, max_examples=150)
@given(VOCABULARY, st.lists(ALPHABET, max_size=6).map(b"".join))
def test_the_reference_finds_what_trying_every_path_finds(learned: list[bytes], text: bytes) -> None:
    pieces = BYTES + learned
    expected = [piece for unit in reference.units(text, 4096) for piece in brute_force(unit, pieces)]
    assert [pieces[i - 4] for i in plain(pieces).encode(text)] == expected


def test_of_equal_paths_the_longest_last_segment_wins(make: type[Segmenter]) -> None:
    pieces = [*BYTES, b"ab", b"bc", b"abc", b"bcd"]
    found = make(pieces, range(260)).encode(b"abcd")
    assert [pieces[i] for i in found] == [b"a", b"bcd"]


def test_costs_decide_before_the_number_of_tokens(make: type[Segmenter]) -> None:
    pieces = [*BYTES, b"ab"]
    assert len(make(pieces, range(257), [1] * 256 + [3]).encode(b"ab")) == 2
    assert len(make(pieces, range(257), [2] * 256 + [3]).encode(b"ab")) == 1


def test_a_long_line_is_cut_at_a_whole_character(make: type[Segmenter]) -> None:
    assert reference.units(b"a" * 15 + "é".encode() + b"bc", 16) == [b"a" * 15, "ébc".encode()]
    assert reference.units(b"\x80" * 40, 16) == [b"\x80" * 16, b"\x80" * 16, b"\x80" * 8]
    pieces = [*BYTES, "é".encode(), b"a" * 16, b"a" * 15]
    found = make(pieces, range(259), block=16).encode(b"a" * 15 + "é".encode())
    assert [pieces[i] for i in found] == [b"a" * 15, "é".encode()]


@settings(deadline=None, max_examples=100)
@given(TEXT, st.lists(st.integers(0, 120), max_size=6), st.integers(16, 64))
def test_feeding_text_in_pieces_gives_the_same_ids(text: bytes, cuts: list[int], block: int) -> None:
    made = Segmenter([*BYTES, b"ab", b"aba", b"b\n", b"\n\n"], range(260), block=block)
    ids: list[int] = []
    held = b""
    edges = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    for start, stop in itertools.pairwise(edges):
        held += text[start:stop]
        ready = made.stable_prefix(held)
        ids += made.encode_list(held[:ready])
        held = held[ready:]
    assert ids + made.encode_list(held) == made.encode_list(text)


SMALL = st.lists(st.sampled_from([b"a", b"b", b"\n", b"\xc3\xa9", b"\xa9"]), max_size=24).map(b"".join)


@settings(deadline=None, max_examples=150)
@given(VOCABULARY, SMALL, st.sampled_from([16, 17, 20, 4096]), st.lists(SMALL, max_size=20), st.data())
def test_settled_ids_begin_the_ids_of_all_that_may_follow(
    learned: list[bytes], text: bytes, block: int, endings: list[bytes], data: st.DataObject
) -> None:
    pieces = BYTES + learned
    costs = data.draw(st.none() | st.lists(st.integers(1, 3), min_size=len(pieces), max_size=len(pieces)))
    made = Segmenter(pieces, range(len(pieces)), costs, block)
    ids, size = made.settled_ids(text)
    assert b"".join(pieces[i] for i in ids) == text[:size]
    short = [bytes(ending) for length in range(4) for ending in itertools.product(b"ab\n", repeat=length)]
    within = [piece[cut:] for piece in learned for cut in range(1, len(piece))]
    for ending in [*short, *within, *endings]:
        assert made.encode_list(text + ending)[: len(ids)] == ids, ending


@settings(deadline=None, max_examples=150)
@given(VOCABULARY, st.lists(ALPHABET, max_size=8).map(b"".join).filter(lambda text: b"\n" not in text))
def test_settled_ids_are_all_that_the_possible_paths_share(learned: list[bytes], text: bytes) -> None:
    pieces = BYTES + learned
    places = [
        at
        for at in range(len(text) + 1)
        if at == len(text) or any(len(p) > len(text) - at and p.startswith(text[at:]) for p in learned)
    ]
    paths = [brute_force(text[:at], pieces) for at in places]
    shared = itertools.takewhile(lambda column: len(set(column)) == 1, zip(*paths, strict=False))
    ids, _ = Segmenter(pieces, range(len(pieces))).settled_ids(text)
    assert [pieces[i] for i in ids] == [column[0] for column in shared]


def test_ids_stay_where_no_segment_goes_on(make: type[Segmenter]) -> None:
    pieces = [*BYTES, b"the", b" cat", b" cat sat", b"s and", b"x\n\n"]
    made = make(pieces, range(261))
    assert made.settled_ids(b"the dog") == ([256, *b" dog"], 7)
    assert made.settled_ids(b"the cat") == ([256], 3)  # " cat sat" may follow
    assert made.settled_ids(b"the cats") == ([256, 257], 7)  # "s and" may follow
    assert made.settled_ids(b"the cats a") == ([256, 257], 7)
    assert made.settled_ids(b"the x\n") == ([256, 32], 4)  # a second newline may follow
    assert made.settled_ids(b"the y\n") == ([256, 32, 121, 10], 6)
    assert made.settled_ids(b"") == ([], 0)


def test_a_cut_that_moves_back_changes_no_settled_id(make: type[Segmenter]) -> None:
    text = b"a" * 14 + "é".encode()  # a block of 16 bytes is full; a continuation byte makes the cut fall before "é"
    made = make([*BYTES, b"a\xc3", b"a" * 13 + b"\xc3\xa9"], range(258), block=16)
    ids, _ = made.settled_ids(text)
    for ending in (b"", b"a", b"\xa9", b"\n", b"\xa9\xa9"):
        assert made.encode_list(text + ending)[: len(ids)] == ids


def test_what_is_not_stable_stays_below_a_block(make: type[Segmenter]) -> None:
    made = make(BYTES, range(256), block=64)
    assert 10_000 - made.stable_prefix(b"a" * 10_000) <= 64
    assert made.stable_prefix(b"one\ntwo") == 4
    assert made.stable_prefix(b"one\n") == 0  # more newlines may follow


@pytest.mark.parametrize(
    ("pieces", "block", "text"),
    [
        ([*BYTES, b"ab", b"ab"], 64, "twice"),
        ([*BYTES, b"a" * 17], 64, "16 bytes"),
        ([*BYTES, b"a\nb"], 64, "newline"),
        ([*BYTES[:-1], b"ab"], 64, "256 single bytes"),
        (BYTES, 15, "at least 16"),
    ],
)
def test_what_breaks_the_rules_is_refused(make: type[Segmenter], pieces: list[bytes], block: int, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        make(pieces, range(len(pieces)), block=block)


def test_an_unknown_id_names_itself_and_its_place(make: type[Segmenter]) -> None:
    made = make(BYTES, range(4, 260))
    for bad in (260, -1):
        with pytest.raises(InvalidTokenError) as caught:
            made.decode([101, 102, bad])
        assert (caught.value.token, caught.value.position) == (bad, 2)
    assert made.decode([0, 101, 3]) == b"a"  # ids without a segment say nothing


def test_ids_in_any_order_decode(make: type[Segmenter]) -> None:
    made = make([*BYTES, b"ab"], [*range(256, 0, -1), 0])
    assert made.decode(made.encode(b"abc\xff")) == b"abc\xff"
    with pytest.raises(ValueError, match="distinct"):
        make([*BYTES, b"ab"], [*range(256), 0])


def test_pickling_keeps_ids(make: type[Segmenter]) -> None:
    made = make([*BYTES, b"ab"], range(3, 260), block=32)
    again = pickle.loads(pickle.dumps(made))
    text = b"abab\nab" * 20
    assert again.encode(text).tolist() == made.encode(text).tolist()


def test_packed_segments_are_the_same_as_separate_ones(make: type[Segmenter]) -> None:
    pieces = [*BYTES, b"ab", b"abc"]
    offsets = np.concatenate([[0], np.cumsum([len(piece) for piece in pieces])])
    packed = make.from_packed(np.frombuffer(b"".join(pieces), np.uint8), offsets, range(258))
    assert packed.encode(b"zabcab").tolist() == make(pieces, range(258)).encode(b"zabcab").tolist()


STRINGS = st.text(st.sampled_from("ab \n\ré€🙂\0"), max_size=60)


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(STRINGS, max_size=8), costly=st.booleans())
def test_many_texts_at_once_are_what_they_are_one_by_one(make: type[Segmenter], texts: list[str], costly: bool) -> None:
    pieces = [*BYTES, b"ab", b"ab ", "é".encode(), b"\n\n"]
    made = make(pieces, range(4, 4 + len(pieces)), [2] * 256 + [3] * 4 if costly else None)
    assert made.encode_lists(texts) == [made.encode_list(text.encode()) for text in texts]


def test_texts_of_very_different_sizes_share_one_call(make: type[Segmenter]) -> None:
    made = make([*BYTES, b"ab", b"aba"], range(258), block=64)
    texts = ["", "ab" * 9_000, "b", "aba" * 500, "é" * 70, ""]
    for _ in range(2):  # the second finds the memory of the first
        assert made.encode_lists(tuple(texts)) == [made.encode_list(text.encode()) for text in texts]


def test_many_texts_at_once_refuse_what_is_no_text(make: type[Segmenter]) -> None:
    made = make(BYTES, range(256))
    with pytest.raises(UnicodeEncodeError):
        made.encode_lists(["ok", "\ud800"])
    with pytest.raises((TypeError, AttributeError)):
        made.encode_lists(["ok", b"bytes"])  # type: ignore[list-item]
    assert made.encode_lists(["ok"]) == [[111, 107]]


@pytest.mark.usefixtures("compiled")
def test_lists_hold_as_many_references_as_they_have_ids_and_give_them_back() -> None:
    made = Segmenter([*BYTES, b"ab"], range(1000, 1257))
    texts = ["abab a", "", "ab\n" * 500, "ba"]
    kept = made.encode_lists(["ab"])[0][0]  # the one integer of this id
    before = sys.getrefcount(kept)
    rows = made.encode_lists(texts)
    assert all(number is kept for row in rows for number in row if number == 1256)
    assert sys.getrefcount(kept) == before + sum(row.count(1256) for row in rows) == before + 502
    with pytest.raises(UnicodeEncodeError):
        made.encode_lists(["ab", "\ud800"])
    del rows
    assert sys.getrefcount(kept) == before
    for _ in range(3):  # what a call has counted is forgotten by the next
        assert made.encode_lists(texts)[0] == [1256, 1256, 1000 + ord(" "), 1000 + ord("a")]
    assert sys.getrefcount(kept) == before


@pytest.mark.usefixtures("compiled")
def test_refused_ids_leave_no_object_behind() -> None:
    from tokframe_dictionary.segmenter import _search

    offsets = np.array([0, 1, 2], np.int64)
    ids = np.zeros(1001, np.int32)
    ids[-1] = 9  # far enough along that its place is not one of the integers Python keeps anyway

    def refuse(times: int) -> None:
        for _ in range(times):
            try:  # not pytest.raises, which makes cycles of its own
                _search.decode(b"ab", offsets, ids)
            except IndexError as error:
                assert error.args == (1000,)
            else:
                pytest.fail("an unknown id was decoded")

    refuse(10)
    gc.collect()
    before = sys.getallocatedblocks()
    refuse(2000)
    assert sys.getallocatedblocks() - before < 1000


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize(
    ("call", "given"),
    [("encode_lists", ["abaabab\n" * (i % 90) for i in range(900)]), ("encode_list", b"abaabab\n" * 5_000)],
)
def test_threads_share_one_segmenter(call: str, given: list[str] | bytes) -> None:
    encode = getattr(Segmenter([*BYTES, b"ab", b"aba"], range(258)), call)
    expected = encode(given)
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(encode, [given] * 4)) == [expected] * 4


def test_without_the_extension_plain_python_takes_over_with_one_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extensions, "_warned", set())
    monkeypatch.setitem(sys.modules, "tokframe_dictionary.segmenter._search", None)
    with pytest.warns(SlowSearchWarning, match="C compiler") as caught:
        made = Segmenter([*BYTES, b"ab"], range(257))
        Segmenter(BYTES, range(256))
    assert len(caught) == 1
    assert not made.compiled
    assert made.encode_list(b"abc") == [256, 99]
