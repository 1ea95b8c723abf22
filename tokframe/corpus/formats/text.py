"""Text: UTF-8 files, plain or compressed. A long one is read in pieces that end with a line."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from attrs import frozen

from tokframe.corpus.compression import compressed
from tokframe.corpus.faults import FaultError, NoTextError
from tokframe.corpus.file import CHUNK_BYTES, CorpusFile, Format, after_line, decoded, other_encoding

__all__ = ["Text"]

_MAX_LINE_BYTES = 16 * CHUNK_BYTES  # a longer line is cut at a whole character: memory stays bounded
_PROBE_BYTES = 4096  # looked at when a corpus is opened
_CUT_WINDOW_BYTES = 16_000_000  # searched for a place to cut a text; beyond it any whole character will do


@frozen
class Text(Format):
    """Any file that no other format claims."""

    has_records = False

    def records(self, file: CorpusFile, start: int = 0, end: int | None = None) -> Iterator[str]:
        """Yield pieces of about 1 MB, which end with a line where there are lines; lines that are not UTF-8 are faults.

        A byte order mark at the beginning is no text.
        """
        at = start
        for piece in _pieces(file.chunks(CHUNK_BYTES, start, end)):
            data = piece.removeprefix(codecs.BOM_UTF8) if not at else piece
            skipped = len(piece) - len(data)
            try:
                yield decoded(file, data, at + skipped)
            except FaultError:
                yield "".join(_sound_lines(file, data, start, at + skipped))
            at += len(piece)

    def begins_with_text(self, file: CorpusFile, allow_nul: bool) -> bool:
        """Return whether any of the first lines is UTF-8; a NUL among them means a picture or a program."""
        head = b""
        for chunk in file.chunks(_PROBE_BYTES):
            if len(head) >= _PROBE_BYTES:
                break
            head += chunk
        if name := other_encoding(head):
            raise file.fault(f" is {name}, not UTF-8. Convert it: iconv -f {name} -t UTF-8 FILE > NEW")
        if suffix := compressed(head):
            raise file.fault(f" is compressed. Unpack it, or give a file whose name ends in {suffix}", NoTextError)
        if not allow_nul and b"\0" in head:
            raise file.fault(" is binary", NoTextError)
        final = len(head) < _PROBE_BYTES
        try:
            return bool(decoded(file, head.removeprefix(codecs.BOM_UTF8), final=final))
        except FaultError as error:
            whole_lines = head if final else head[: head.rfind(b"\n") + 1]
            if file.faults.on_error == "stop" or not any(map(str.strip, _sound_lines(file, whole_lines, 0, 0))):
                raise error
            return True

    def cut(self, stream: BinaryIO, at: int, size: int, split: str) -> int:
        """Return where the next line begins (with `split` "blank-line": the next after a blank one), if one is near."""
        limit = min(size, at + _CUT_WINDOW_BYTES)
        found = (_after_blank(stream, at, limit) if split == "blank-line" else 0) or after_line(stream, at, limit)
        if found:
            return found
        if limit == size and limit - at < _CUT_WINDOW_BYTES:
            return size
        stream.seek(at)
        return at + next((i for i, byte in enumerate(stream.read(4)) if byte & 0xC0 != 0x80), 0)


def _sound_lines(file: CorpusFile, data: bytes, start: int, at: int) -> Iterator[str]:
    """Yield the lines that are UTF-8; others are faults, at their place in a reading that begins at `start`."""
    for line in io.BytesIO(data):
        try:
            yield decoded(file, line, at)
        except FaultError as error:
            file.faults.leave_out_part(file.name, "line", start, at, error)
        at += len(line)


def _pieces(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Cut a stream of bytes into pieces of at least `CHUNK_BYTES` that end with a line (the last may not)."""
    pending = bytearray()
    for chunk in chunks:
        pending += chunk
        if len(pending) < CHUNK_BYTES:
            continue
        end = pending.rfind(b"\n") + 1
        if not end and len(pending) >= _MAX_LINE_BYTES:
            end = len(pending) - 1
            while end > len(pending) - 4 and pending[end] & 0xC0 == 0x80:
                end -= 1
        if end:
            yield bytes(pending[:end])
            del pending[:end]
    if pending:
        yield bytes(pending)


def _after_blank(stream: BinaryIO, at: int, limit: int) -> int:
    """Return where the first line after a blank one begins, from `at` on; 0 if none does before `limit`."""
    position = after_line(stream, at, limit)
    if not position:
        return 0
    stream.seek(position)
    while position < limit and (line := stream.readline(limit - position)):
        position += len(line)
        if line.endswith(b"\n") and not line.strip(b" \t\r\n"):
            return position
    return 0
