"""Mining and pruning in parts: the same result whatever the parts, their order and who works on them."""

from __future__ import annotations

import os
import random
import signal
import tracemalloc
from collections.abc import Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import Any

import numpy as np
import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from tokframe_dictionary.mining import reference, sources
from tokframe_dictionary.mining.aims import Aim
from tokframe_dictionary.mining.candidates import Candidates, mine, threshold
from tokframe_dictionary.mining.config import MiningConfig, SelectionConfig
from tokframe_dictionary.mining.counts import Counts, count_part, recount_part
from tokframe_dictionary.mining.coverage import Required
from tokframe_dictionary.mining.parts import cut
from tokframe_dictionary.mining.pruning import Pruning, measure_part
from tokframe_dictionary.mining.sources import Source
from tokframe_dictionary.mining.words import Words
from tokframe_dictionary.mining.workers import Workers
from tokframe_dictionary.segmenter.segmenter import Segmenter

from tokframe.errors import TrainingError

pytestmark = pytest.mark.slow

PLAIN = MiningConfig(words=False)
SELECTION = SelectionConfig()
BYTES = [bytes([value]) for value in range(256)]
LINES = st.lists(st.sampled_from(["a", "b", "ab ", "\n", "\n\n", " ", "é", "中", "🙂", "\0"]), max_size=200).map(
    "".join
)
ODD = st.lists(st.sampled_from([b"ab", b"\n", b"\n\n", b"\x80", b"\xff", b"\xe4\xb8\xad", b"a\n\x80"]), max_size=200)


def prose(size: int, seed: int = 0) -> bytes:
    chance = random.Random(seed)
    words = ["".join(chance.choices("etaoinshrdlu", k=chance.randrange(1, 9))) for _ in range(400)]
    text = []
    while sum(map(len, text)) < size:
        text.append(" ".join(chance.choices(words, k=8)) + chance.choice([".\n", ".\n\n", ", "]))
    return "".join(text).encode()


SOURCES = (
    Source(name="a", data=prose(20_000), weight=1.0),
    Source(name="b", data=prose(9_000, 1) + "中文é🙂\n\n".encode() * 30, weight=0.37),
    Source(name="c", data=prose(300, 2), weight=3.1),
)


def same_candidates(one: Candidates, other: Candidates) -> bool:
    return one.segments == other.segments and one.counts.tolist() == other.counts.tolist()


def assert_same_with(crew: Workers, part: int, sources: Sequence[Source] = SOURCES, size: int = 400) -> None:
    """Assert that this crew finds in parts what is found in the whole."""
    whole = mine(sources, PLAIN)
    assert same_candidates(mine(sources, PLAIN, workers=crew, part=part), whole)
    pool = Pruning(sources=sources, config=SELECTION, workers=crew, part=part).prune(whole.segments, size)
    expected = Pruning(sources=sources, config=SELECTION).prune(whole.segments, size)
    assert pool.segments == expected.segments and dict(pool.tokens) == dict(expected.tokens)
    for name in ("value", "counts", "byte_counts"):
        assert getattr(pool, name).tolist() == getattr(expected, name).tolist()


def as_dict(found: Counts) -> dict[bytes, int]:
    return dict(zip(found.segments(), found.counts.tolist(), strict=True))


@pytest.mark.parametrize("number", [1, 2, 3, 7])
@pytest.mark.parametrize("workers", [1, 3])
def test_vocabulary_counts_and_order_do_not_depend_on_parts_or_workers(number: int, workers: int) -> None:
    assert_same_with(Workers(count=workers), len(SOURCES[0].data) // number + 1)


@pytest.mark.parametrize("workers", [1, 3])
def test_ranks_and_the_weights_found_from_an_aim_do_not_depend_on_parts_or_workers(workers: int) -> None:
    sources = [evolve(source, characters=len(source.data.decode())) for source in SOURCES]
    aim = Aim.of(MiningConfig(aim={"a": 1, "b": 3}, equality=0.5), ["a", "b", "c"])
    segments = mine(sources, PLAIN).segments

    def ranked(**options: Any) -> tuple[Any, ...]:
        pool = Pruning(
            sources=sources,
            config=SELECTION,
            aim=aim,
            required=Required(
                (
                    b"zz",
                    segments[-1],
                )
            ),
            **options,
        ).prune(segments, 700)
        pool = Pruning(sources=sources, config=SELECTION, aim=aim, required=Required((segments[-1],)), **options).rank(
            pool
        )
        return pool.segments, pool.ranks.tolist(), dict(pool.weights), pool.value.tolist()

    assert ranked(workers=Workers(count=workers), part=3_000) == ranked()


@settings(deadline=None, max_examples=60)
@given(st.lists(LINES, min_size=1, max_size=3), st.integers(1, 80), st.integers(1, 6))
def test_any_text_cut_anywhere_gives_the_same_candidates(texts: list[str], part: int, least: int) -> None:
    sources = [Source(name=str(i), data=text.encode(), weight=0.1 + i) for i, text in enumerate(texts)]
    config = MiningConfig(least=least, words=False)
    assert same_candidates(mine(sources, config, part=part), mine(sources, config))


@settings(deadline=None, max_examples=100)
@given(ODD.map(b"".join), st.integers(1, 60), st.sampled_from(Words))
def test_parts_are_the_text_and_counts_of_parts_add_up(data: bytes, size: int, words: Words) -> None:
    parts = cut(data, size)
    assert b"".join(parts) == data
    whole = count_part(data, words=words)
    assert as_dict(Counts.merge(count_part(part, words=words) for part in parts)) == as_dict(whole)
    again = Counts.merge(recount_part(part, whole, words=words) for part in parts)
    assert as_dict(again) == as_dict(whole)


@settings(deadline=None, max_examples=100)
@given(ODD.map(b"".join), st.integers(1, 60), st.sampled_from([16, 64]))
def test_use_and_loss_of_parts_add_up(data: bytes, size: int, block: int) -> None:
    segmenter = Segmenter([*BYTES, b"ab", b"ab\n", b"aba", b"\n\n", "中".encode()], range(261), block=block)
    whole = measure_part(data, segmenter, False)
    parts = [measure_part(part, segmenter, False) for part in cut(data, size) or [b""]]
    assert sum(parts).tolist() == whole.tolist()


@settings(deadline=None, max_examples=100)
@given(LINES, LINES, st.sampled_from(Words))
def test_the_compiled_recount_equals_the_plain_one(text: str, other: str, words: Words) -> None:
    given = count_part(text.encode(), least=2, words=words)
    raw = np.ascontiguousarray(given.keys[:, :2]).tobytes()
    lengths = given.keys[:, 2].astype(np.uint8).tobytes()
    count_given = pytest.importorskip("tokframe_dictionary.mining._mine").count_given
    data = other.encode()
    assert bytes(count_given(data, raw, lengths, words)) == reference.count_given(data, raw, lengths, words)


def test_the_compiled_recount_refuses_what_does_not_fit() -> None:
    count_given = pytest.importorskip("tokframe_dictionary.mining._mine").count_given
    for raw, lengths in ((b"", b"\2"), (b"\0" * 16, b"\1"), (b"\0" * 16, b"\x11"), (b"\0" * 15, b"\2")):
        with pytest.raises(ValueError, match="length of 2 to 16"):
            count_given(b"abc", raw, lengths, False)


@settings(deadline=None, max_examples=50)
@given(st.lists(LINES, min_size=3, max_size=5), st.randoms(use_true_random=False))
def test_merging_is_associative_and_commutative(texts: list[str], chance: random.Random) -> None:
    parts = [count_part(text.encode()) for text in texts]
    at_once = Counts.merge(parts)
    shuffled = list(parts)
    chance.shuffle(shuffled)
    while len(shuffled) > 1:
        shuffled.append(Counts.merge([shuffled.pop(chance.randrange(len(shuffled))), shuffled.pop()]))
    (step_by_step,) = shuffled
    assert step_by_step.keys.tolist() == at_once.keys.tolist()
    assert step_by_step.counts.tolist() == at_once.counts.tolist()
    assert len(Counts.merge([])) == 0


def test_counts_beyond_32_bits_are_not_lost() -> None:
    one = count_part(b"ab")
    many = Counts(keys=one.keys, counts=one.counts * (2**32 - 1))
    assert as_dict(Counts.merge([many, one, many])) == {b"ab": 2**33 - 1}


@given(st.integers(1, 1000), st.lists(st.integers(1, 500), min_size=1, max_size=9))
def test_what_is_frequent_in_the_whole_reaches_its_share_in_some_part(enough: int, sizes: list[int]) -> None:
    # At most one less than the threshold in every part is less than enough in the whole.
    assert sum(threshold(enough, size, sum(sizes)) - 1 for size in sizes) < enough


def test_other_processes_give_the_same() -> None:
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as executor:
        assert_same_with(Workers(count=2, executor=executor), 8_000)


def die(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
def test_a_lost_worker_is_an_error_that_says_what_to_do() -> None:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as executor:
        crew = Workers(count=2, executor=executor)
        with pytest.raises(TrainingError, match=r"a worker ended .*--resume") as caught:
            list(crew.run(die, [(number, ()) for number in range(5)]))
    assert isinstance(caught.value.__cause__, BrokenProcessPool)


class Deranged(Executor):
    """Runs the last that was submitted first, when a result is asked for."""

    def __init__(self) -> None:
        self.waiting: list[tuple[Future[object], object, tuple[object, ...]]] = []

    def submit(self, function, /, *args, **kwargs):  # type: ignore[no-untyped-def]
        submitted: Future[object] = Future()
        self.waiting.append((submitted, function, args))
        if len(self.waiting) == 3:
            while self.waiting:
                future, work, arguments = self.waiting.pop()
                future.set_result(work(*arguments))
        return submitted


def test_results_may_come_back_in_any_order() -> None:
    # Three parts at a time, of three sources in parts of three.
    sources = [*SOURCES[:2], Source(name="d", data=prose(20_000, 5), weight=2)]
    assert_same_with(Workers(count=2, executor=Deranged()), 10**6, sources, 4000)


@pytest.mark.parametrize("workers", [1, 4])
def test_an_error_in_a_part_ends_the_work_with_that_error(workers: int) -> None:
    def work(number: int) -> int:
        if number == 5:
            raise MemoryError(number)
        return number

    done = []
    with pytest.raises(MemoryError):
        for name, result in Workers(count=workers).run(work, ((number, (number,)) for number in range(1000))):
            assert name == result
            done.append(name)
    assert len(done) < 20, "what had not begun was still done"


@settings(deadline=None, max_examples=60)
@given(st.lists(LINES, min_size=1, max_size=30), st.integers(1, 400), st.sampled_from([1, 16, 1 << 20]))
def test_a_source_read_in_two_passes_is_thinned_as_one_held_in_memory(
    documents: list[str], budget: int, stretch: int
) -> None:
    texts = [document.encode() for document in documents]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sources, "STRETCH_BYTES", stretch)
        gathered = sources.Gathered(budget, lambda: iter(texts))
        for text in texts:
            gathered.add(text)
        streamed = sources.balance({"x": gathered}, MiningConfig(budget=budget))
        whole = b"".join(text if text.endswith(b"\n") else text + b"\n" for text in texts)
        held = whole if len(whole) <= budget else b"".join(sources._thin([whole], len(whole), budget))
    assert streamed[0].data == held
    assert set(streamed[0].data.splitlines()) <= set(whole.splitlines())
    if len(whole) <= budget:
        assert streamed[0].data == whole


def test_what_is_over_the_budget_is_not_held_in_memory() -> None:
    page = b"a line of text\n" * 1_000
    gathered = sources.Gathered(100_000, lambda: (page + b"" for _ in range(1_000)))
    tracemalloc.start()
    try:
        for _ in range(1_000):
            gathered.add(bytes(bytearray(page)))
        (source,) = sources.balance({"x": gathered}, MiningConfig(budget=100_000))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert gathered.size == 15_000_000
    assert 100_000 <= len(source.data) < 120_000
    assert peak < 3_000_000
