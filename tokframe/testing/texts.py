"""Texts: inputs that break tokenizers, and a small text to train on."""

from __future__ import annotations

from tokframe.tokenizer.hard_texts import HARD_TEXTS

__all__ = ["HARD_BYTES", "HARD_TEXTS", "TRAINING_TEXT"]

HARD_BYTES = (
    b"",
    bytes(range(256)),
    bytes(reversed(range(256))),
    b"\xff" * 300,
    "漢".encode()[:2],
    b"\x80\xbf after continuation bytes",
    b"\xed\xa0\x80 an encoded surrogate",
    b"\xc0\xaf overlong",
    b"text, then \xfe\xff not",
    b"\xf4\x90\x80\x80 past the last character",
)

_SENTENCES = (
    "The cat sat on the mat, and the dog saw the cat on the mat.",
    "He said that they would see it again, and then they saw it again.",
    "There is nothing that the old man and the sea had not seen before.",
    "for index in range(10):\n    total = total + values[index]",
    "Où est le café ? Там, где был вчера. 猫はどこですか。",
    "In the beginning the morning was bright; in the evening it was raining.",
)

#: A few kilobytes of text in which some things are frequent.
TRAINING_TEXT = "\n".join(_SENTENCES[(i * k) % len(_SENTENCES)] for k in range(1, 9) for i in range(12)) + "\n"
