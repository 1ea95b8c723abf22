"""Containment: runs a plugin's code so that what it raises, prints or sets for the process stays its own affair.

What to do about an error is left to callers. `os._exit` cannot be contained, nor what a plugin does later in a thread.
"""

from __future__ import annotations

import _locale
import gc
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, TypeVar

__all__ = ["PluginExitError", "contained", "reason_of", "stdout_reserved"]

T = TypeVar("T")

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGPIPE", "SIGCHLD", "SIGALRM")
_SIGNALS = [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]
_OF_SYS = ("stdin", "stdout", "stderr", "excepthook", "unraisablehook", "displayhook")


def _float_errors() -> dict[str, Any]:
    return sys.modules["numpy"].geterr() if "numpy" in sys.modules else _FLOAT_ERRORS


def _set_float_errors(kinds: dict[str, Any]) -> None:
    if "numpy" in sys.modules:
        sys.modules["numpy"].seterr(**kinds)


_FLOAT_ERRORS = {"divide": "warn", "over": "warn", "under": "ignore", "invalid": "warn"}  # numpy's own
#: How to read and to set what would change the work of all others.
_SETTINGS: tuple[tuple[Callable[[], Any], Callable[[Any], object]], ...] = (
    (sys.gettrace, sys.settrace),
    (sys.getprofile, sys.setprofile),
    (sys.getswitchinterval, sys.setswitchinterval),
    (sys.get_int_max_str_digits, sys.set_int_max_str_digits),
    (gc.isenabled, lambda enabled: gc.enable() if enabled else gc.disable()),
    (lambda: [mask := os.umask(0o077), os.umask(mask)][0], os.umask),
    (_float_errors, _set_float_errors),
)

_reserved = False
_replaced: list[Any] = []  # what plugins put in place of what belongs to `sys`


class PluginExitError(Exception):
    """A plugin raised what is no `Exception`: sys.exit, KeyboardInterrupt, a cancelled task, a panic in Rust."""


@contextmanager
def stdout_reserved() -> Iterator[None]:
    """Let `contained` send to stderr what plugins print: for programs whose stdout is data, as the command line's."""
    global _reserved
    before, _reserved = _reserved, True
    try:
        yield
    finally:
        _reserved = before


def contained(call: Callable[[], T]) -> T:
    """Return `call()`, which is a plugin's code, and restore what it changed in the process.

    Restored are warning filters, signal handlers, the alarm, the streams, hooks and path of `sys`, the working
    directory, the locale, the root logger, what `_SETTINGS` lists, and a recursion limit that was lowered. New entries
    of the path come last.
    Raises: an Exception, as which all else arrives too (`PluginExitError`); the KeyboardInterrupt of a signal.
    """
    with warnings.catch_warnings(), _process_kept(), _signals_kept() as received, _streams_apart():
        try:
            return call()
        except Exception:
            raise
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt) and received:
                raise
            raise PluginExitError(reason_of(error)) from error


def reason_of(error: BaseException) -> str:
    """Return the class and text of an exception, also where asking for its text fails."""
    if isinstance(error, PluginExitError):
        return str(error)
    name = type.__dict__["__name__"].__get__(type(error))  # its metaclass may have one of its own
    try:
        return f"{name}: {error}"
    except BaseException:  # so may its text
        return str(name)


@contextmanager
def _process_kept() -> Iterator[None]:
    """Restore what belongs to the process, but for signal handlers."""
    of_sys = {name: getattr(sys, name) for name in _OF_SYS}
    path, entries = sys.path, list(sys.path)
    settings = [read() for read, _ in _SETTINGS]
    limit, place, locale = sys.getrecursionlimit(), _working_directory(), _locale.setlocale(_locale.LC_ALL, None)
    logger = _root_logger()
    handlers, level = (list(logger.handlers), logger.level) if logger else ([], 30)  # 30: logging.WARNING
    try:
        yield
    finally:
        for name, value in of_sys.items():
            if (now := getattr(sys, name)) is not value and _usable(value):
                _replaced.append(now)  # a stream on the same buffer: closing it would close the other
                setattr(sys, name, value)
        # What it adds comes last, so that it hides no module of others.
        path[:] = entries + [entry for entry in sys.path if entry not in entries]
        sys.path = path
        for (read, write), value in zip(_SETTINGS, settings, strict=True):
            if read() != value:
                write(value)
        if sys.getrecursionlimit() < limit:
            sys.setrecursionlimit(limit)
        if place and place != _working_directory():
            os.chdir(place)
        if locale != _locale.setlocale(_locale.LC_ALL, None):
            _locale.setlocale(_locale.LC_ALL, locale)
        if (logger := _root_logger()) and (logger.handlers != handlers or logger.level != level):
            logger.handlers[:] = handlers
            logger.setLevel(level)


def _usable(value: Any) -> bool:
    """Return whether a stream is still open; True for anything else."""
    try:
        return not getattr(value, "closed", False)
    except ValueError:  # its buffer was taken from it
        return False


def _working_directory() -> str:
    try:
        return os.getcwd()
    except OSError:  # it was removed
        return ""


def _root_logger() -> Any:
    return getattr(sys.modules.get("logging"), "root", None)


@contextmanager
def _signals_kept() -> Iterator[list[int]]:
    """Give the list of the signals that arrived, and restore their handlers; in the main thread, which has them."""
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield received
        return
    before = {number: handler for number in _SIGNALS if (handler := signal.getsignal(number)) is not None}
    timer = signal.getitimer(signal.ITIMER_REAL) if hasattr(signal, "getitimer") else None

    def noted(number: int, frame: FrameType | None) -> None:
        received.append(number)
        handler = before[signal.Signals(number)]
        if callable(handler):
            handler(number, frame)

    for number, handler in before.items():
        if callable(handler):
            signal.signal(number, noted)
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if timer == (0.0, 0.0):
            signal.setitimer(signal.ITIMER_REAL, 0)  # an alarm that it set would end the process later


@contextmanager
def _streams_apart() -> Iterator[None]:
    """Give an empty stdin and, where stdout is reserved, stderr as stdout, also to C code; see `_process_kept`."""
    with open(os.devnull) as nothing:
        stdout, sys.stdin = sys.stdout, nothing
        if not _reserved:
            yield
            return
        sys.stdout = sys.stderr = _noise()
        copies: dict[int, int] = {}
        with suppress(Exception):  # a stream or descriptor that is closed, or not one of the system
            stdout.flush()
        for number in range(3):
            with suppress(OSError):
                copies[number] = os.dup(number)
        with suppress(OSError):
            os.dup2(2, 1)
        try:
            yield
        finally:
            with suppress(Exception):
                stdout.flush()  # what was written to sys.__stdout__
            for number, copy in copies.items():
                with suppress(OSError):  # it closed all there are
                    os.dup2(copy, number)
                    os.close(copy)


def _noise() -> Any:
    """Return a stream to stderr that a plugin may wrap, detach or close."""
    try:
        if sys.stderr.fileno() == 2:
            return open(2, "w", encoding=sys.stderr.encoding, errors="backslashreplace", buffering=1, closefd=False)
    except (AttributeError, OSError, ValueError):  # none, or not a descriptor's
        pass
    return sys.stderr
