"""Safe cuts: positions where bytes may be split without changing their ids.

GPT-2's split never looks back, so a cut is safe where one of its pieces must end: between ASCII characters of two
kinds. No cut is safe after white space (the last space of a run belongs to the next word) or after an apostrophe
(`'s` is a piece of its own).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

__all__ = ["FOLLOWERS", "chunks", "open_pieces", "stable_bytes"]

#: What may follow a text, one for each way in which GPT-2's split tells followers apart: nothing, letters, digits,
#: others, spaces, other white space, and what ends a contraction.
FOLLOWERS = ("", "a", "1", "!", " ", "\n", " a", "s", "d", "m", "t", "ll", "l", "ve", "e", "re")

#: The last byte of a character outside ASCII that is not white space.
_OTHER = (
    rb"[\x80-\xff](?<!\xc2[\x85\xa0])(?<!\xe1\x9a\x80)(?<!\xe2\x80[\x80-\x8a\xa8\xa9\xaf])(?<!\xe2\x81\x9f)"
    rb"(?<!\xe3\x80\x80)"
)
#: The longest prefix that is safe to cut off; what follows a cut is ASCII, so no character is cut.
_HEAD = re.compile(
    rb".*(?:[A-Za-z](?=[\x00-@\[-`{-\x7f])"  # a letter before anything else
    rb"|[0-9](?=[\x00-/:-\x7f])"  # a digit before anything else
    rb"|[!-&(-/:-@\[-`{-~](?=[A-Za-z0-9 \t\r\n])"  # punctuation, no apostrophe
    rb"|" + _OTHER + rb"(?=[ \t\r\n]))",
    re.DOTALL,
)
CHUNK_BYTES = 4096  # Hugging Face is fastest on texts of a few kB


def stable_bytes(data: bytes) -> int:
    """Return how many leading bytes have the same ids whatever follows."""
    head = _HEAD.match(data)
    return head.end() if head else 0


def open_pieces(pieces: Sequence[str]) -> int:
    """Return how many of GPT-2's pieces, the last ones, may become other pieces by what follows: the last, or two.

    Two where the last is the first letter of what could be a contraction: `'` and `l` become `'ll`.
    """
    return 2 if pieces[-2:] in (["'", "l"], ["'", "r"], ["'", "v"]) else 1


def chunks(data: bytes) -> Iterator[bytes]:
    """Yield consecutive parts of a few kB, longer where there is no safe cut."""
    start, size = 0, CHUNK_BYTES
    while len(data) - start > size:
        head = _HEAD.match(data, start, start + size)
        if head is None:  # a long stretch without a safe cut
            size *= 2
            continue
        yield data[start : head.end()]
        start, size = head.end(), CHUNK_BYTES
    if start < len(data):
        yield data[start:]
