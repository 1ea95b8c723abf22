"""Pipes: copies of stdin and of named pipes, since a corpus is read more than once. What they are is left to `files`.

A copy has no name and is gone with the process, whatever ends it.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import select
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import IO, Any

from tokframe.errors import CorpusError
from tokframe.storage.paths import shown

__all__ = ["kept_pipe", "kept_stdin"]

WRITER_TIMEOUT_S = 10.0  # for a process that writes to a pipe to appear; its text may take any time
_NOTICE_S = 2.0  # of silence
_BLOCK_BYTES = 1 << 20
_MAX_TIME_NS = (1 << 31) * 10**9  # that every file system can keep


def kept_stdin() -> Path:
    """Return a file that holds all of stdin. Raises: CorpusError."""
    try:
        stream: Any = sys.stdin.buffer
    except AttributeError:  # there is none, or that of a notebook
        raise CorpusError("there is no stdin to read a corpus from; write the text to a file") from None
    if stream.isatty():
        warnings.warn("reading the corpus from the terminal; Ctrl-D ends it", stacklevel=2)
    return _kept(iter(lambda: stream.read1(_BLOCK_BYTES), b""), "stdin")


def kept_pipe(path: Path) -> Path:
    """Return a file that holds what comes through a pipe. Raises: CorpusError, also where no process writes to it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as error:
        raise CorpusError(f"{shown(path)} cannot be read: {error.strerror}", path=path) from error
    try:
        return _kept(_blocks(descriptor, path), shown(path))
    finally:
        os.close(descriptor)


def _blocks(descriptor: int, path: Path) -> Iterator[bytes]:
    """Yield what is written to a pipe until its writers are gone."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    begun, noticed = time.monotonic(), False
    while True:
        ready = poll.poll(500)
        silent_s = time.monotonic() - begun
        if silent_s > _NOTICE_S and not ready and not noticed:
            warnings.warn(f"waiting for a process to write to {shown(path)}", stacklevel=2)
            noticed = True
        try:
            block = os.read(descriptor, _BLOCK_BYTES)
        except BlockingIOError:  # a writer that has nothing yet
            continue
        if block:
            begun = time.monotonic()
            yield block
        elif ready:
            return
        elif silent_s > WRITER_TIMEOUT_S:
            raise CorpusError(
                f"no process writes to the pipe {shown(path)}; waited {WRITER_TIMEOUT_S:.0f} s. Start the one that "
                "does first, or give a file",
                path=path,
            )


def _kept(blocks: Iterator[bytes], name: str) -> Path:
    """Copy a stream to a file without a name; without /proc, to one with a name that is removed at exit."""
    digest = hashlib.sha256()
    descriptors = Path(f"/proc/{os.getpid()}/fd")
    try:
        # by the number of this process, so that worker processes can open it too
        nameless = descriptors.is_dir()
        make: Any = tempfile.TemporaryFile if nameless else partial(tempfile.NamedTemporaryFile, delete=False)
        copy: IO[bytes] = make(prefix="tokframe-")
        atexit.register(copy.close)  # which also keeps it open till then: a copy that is closed is gone
        if not nameless:
            atexit.register(Path(copy.name).unlink, missing_ok=True)
        for block in blocks:
            digest.update(block)
            copy.write(block)
        copy.flush()
        # The time of the same text is the same: by size and time a resumed run knows the text that it began with.
        time_ns = int(digest.hexdigest(), 16) % _MAX_TIME_NS
        os.utime(copy.fileno() if nameless else copy.name, ns=(time_ns, time_ns))
    except OSError as error:
        raise CorpusError(
            f"cannot keep a copy of {name} in {tempfile.gettempdir()}: {error.strerror or error}. Free some space "
            "there, or name another folder in TMPDIR",
        ) from error
    return descriptors / str(copy.fileno()) if nameless else Path(copy.name)
