"""The contract of engines finds faulty ones, and the engine "local" keeps it."""

from __future__ import annotations

import os

import pytest

from tokframe.errors import CorpusError
from tokframe.shards import engines
from tokframe.testing import EngineContract

pytestmark = pytest.mark.slow


@pytest.mark.skipif(os.name == "nt", reason="kills by signal")
class TestLocal(EngineContract):
    name = "local"


def sound(work, items, *, workers, should_stop):
    """One that never loses a worker, as all is done here: only good for work that kills nobody."""
    for item in items:
        if should_stop():
            return
        yield work(item)


def loses_the_last(work, items, *, workers, should_stop):
    yield from sound(work, items[:-1], workers=workers, should_stop=should_stop)


def gives_twice(work, items, *, workers, should_stop):
    yield from sound(work, [*items, *items[:1]], workers=workers, should_stop=should_stop)


def wraps_errors(work, items, *, workers, should_stop):
    try:
        yield from sound(work, items, workers=workers, should_stop=should_stop)
    except CorpusError as error:
        raise RuntimeError("a worker failed") from error


def never_stops(work, items, *, workers, should_stop):
    return map(work, items)


def needs_items(work, items, *, workers, should_stop):
    yield work(items[0])
    yield from sound(work, items[1:], workers=workers, should_stop=should_stop)


def dies_with_its_worker(work, items, *, workers, should_stop):
    """`local`, without a second pool when the first is broken."""
    if should_stop():
        return
    for _, result in engines._pooled(work, dict(enumerate(items)), workers, should_stop):
        yield result


LOST, ERROR, STOP, NONE = (
    "test_every_item_is_done_though_a_worker_is_lost",
    "test_the_error_of_the_work_arrives_as_it_is",
    "test_it_ends_when_asked_to_stop",
    "test_no_items_are_no_error",
)


#: What each test of the contract finds.
FAULTS = ((wraps_errors, ERROR), (never_stops, STOP), (needs_items, NONE), (dies_with_its_worker, LOST))


def contract_of(engine):
    contract = EngineContract()
    contract.engine = lambda: engine
    return contract


@pytest.mark.parametrize("test", [ERROR, STOP, NONE])
def test_a_sound_engine_keeps_it(test):
    getattr(contract_of(sound), test)()


@pytest.mark.parametrize(
    ("engine", "test"),
    [
        pytest.param(*fault, marks=pytest.mark.skipif(os.name == "nt" and fault[1] == LOST, reason="kills by signal"))
        for fault in FAULTS
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_faulty_engine_fails(engine, test):
    with pytest.raises((AssertionError, RuntimeError, IndexError)):
        getattr(contract_of(engine), test)()


@pytest.mark.parametrize("engine", [loses_the_last, gives_twice])
def test_missing_and_double_results_are_found(engine, monkeypatch):
    from tokframe.testing import engine as module

    monkeypatch.setattr(module, "_square_or_die", lambda folder, number: number * number)
    with pytest.raises(AssertionError, match=r"missing|twice"):
        getattr(contract_of(engine), LOST)()


def test_every_test_of_the_contract_has_a_fault_that_fails_it():
    assert {name for name in dir(EngineContract) if name.startswith("test_")} == {test for _, test in FAULTS}
