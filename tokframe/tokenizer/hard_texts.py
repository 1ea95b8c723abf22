"""Hard texts: what has broken tokenizers. They show whether one is lossless, and whether a copy of it is the same."""

from __future__ import annotations

__all__ = ["HARD_TEXTS"]

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
    "<pad> <unk> <s> </s> <s></s><pad><unk>[CLS]▁ĠĊ##a",
    "".join(chr(code) for code in range(1, 0x2FA1D, 97) if not 0xD800 <= code < 0xE000),
    "a" * 5000,
    " " * 1000,
    "ab" * 500 + "漢" * 300,
)
