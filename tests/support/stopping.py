"""Answers to "should it stop?"."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["never", "stop_after"]


def never() -> bool:
    return False


def stop_after(calls: int) -> Callable[[], bool]:
    """Return a `should_stop` that turns true after so many questions."""
    left = iter(range(calls))
    return lambda: next(left, None) is None
