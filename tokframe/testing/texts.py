"""Texts that break tokenizers, and a small one to train on."""

from __future__ import annotations

__all__ = ["HARD_BYTES", "HARD_TEXTS", "TRAINING_TEXT"]

HARD_TEXTS = (
    "",
    " ",
    "a",
    "the quick brown fox jumps over the lazy dog",
    " leading and trailing ",
    "two  spaces,   three",
    "tab\tnew\nline\r\ncarriage\rreturn\x0b\x0c",
    "\n\n\n",
    "nul \x00 in the middle\x00",
    "".join(map(chr, range(1, 32))) + "\x7f\x80\x85\x9f",
    "\ufeffbyte order mark, and \ufeff again",
    "composed é, decomposed e\u0301, alone \u0301",
    "ligature ﬁ, width Ａ, Kelvin \u212a, dotted İ ı, ß ẞ",
    "no-break\u00a0space, ideographic\u3000space, line\u2028separator, zero\u200bwidth\u200djoiner",
    "🙂 👨‍👩‍👧‍👦 👋🏽 🇫🇷 ☎️",
    "漢字かな交じり文。한국어 문장입니다.",
    "שלום עולם العربية \u202eright to left\u202c",
    "हिन्दी में लिखा है। ภาษาไทยไม่มีช่องว่าง",
    "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 \U0001f9ff \U0010ffff \ue000 \uffff",
    "don't can’t CamelCase snake_case kebab-case 3.14159 1,234,567 x+=1;",
    "def f(x):\n        return {'a': [x, 'b\\n']}  # comment\n",
    "https://example.org/a%20b?c=d&e=f#g <b>bold</b> <|endoftext|>",
    "a" * 1000,
    " " * 1000,
    "ab" * 500 + "漢" * 300,
)

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
