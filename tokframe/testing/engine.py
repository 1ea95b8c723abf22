"""EngineContract: every item done though workers die, errors passed on unchanged, an end when asked to stop."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tokframe.errors import CorpusError
from tokframe.shards.engines import Engine, engine

__all__ = ["EngineContract"]


class EngineContract:
    """Subclass it and set `name`: the registered name of the engine."""

    name: str = ""
    workers: int = 2

    def engine(self) -> Engine:
        """Return the engine."""
        return engine(self.name)

    def test_every_item_is_done_though_a_worker_is_lost(self) -> None:
        """A worker that dies in the middle of an item loses neither that item nor another."""
        with tempfile.TemporaryDirectory() as folder:
            found = list(self._run(partial(_square_or_die, Path(folder)), range(12)))
        assert sorted(set(found)) == [n * n for n in range(12)], "results are missing or wrong"
        assert len(found) == 12, "a result was given twice"

    def test_the_error_of_the_work_arrives_as_it_is(self) -> None:
        """Class, text and attributes of an exception are those that the function raised."""
        with pytest.raises(CorpusError) as caught:
            list(self._run(_fail_on_three, range(6)))
        assert str(caught.value) == "three is no text"
        assert caught.value.path == Path("three.txt")

    def test_it_ends_when_asked_to_stop(self) -> None:
        """Once `should_stop` is true no item is started: the results end, without an error."""
        assert list(self._run(_square, range(6), lambda: True)) == [], "it starts though it should stop"
        found: list[Any] = []
        for result in self._run(_square, range(100), lambda: bool(found)):
            found.append(result)
        assert 0 < len(found) < 100, "it continues though it should stop"

    def test_no_items_are_no_error(self) -> None:
        """No items, no results."""
        assert list(self._run(_square, range(0))) == []

    def _run(
        self, work: Callable[[int], int], items: range, should_stop: Callable[[], bool] = lambda: False
    ) -> Iterator[int]:
        return self.engine()(work, list(items), workers=self.workers, should_stop=should_stop)


def _square(number: int) -> int:
    return number * number


def _square_or_die(folder: Path, number: int) -> int:
    """Return the square; the first worker that is given 5 is killed at it."""
    if number == 5:
        try:
            (folder / "killed").touch(exist_ok=False)
        except FileExistsError:
            return 25
        os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
    return number * number


def _fail_on_three(number: int) -> int:
    if number == 3:
        raise CorpusError("three is no text", path="three.txt")
    return number
