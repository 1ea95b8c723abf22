"""The byte-level alphabet: one printable character for each byte, as GPT-2 and all byte-level tokenizers have it."""

from __future__ import annotations

__all__ = ["CHARACTERS", "byte_of", "spell", "unspell"]


def _characters() -> list[str]:
    """Printable Latin-1 characters stand for themselves, U+0100 and on for the other bytes in order."""
    plain = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(0x100, 0x200))
    return [chr(byte) if byte in plain else chr(next(others)) for byte in range(256)]


#: The character of each byte.
CHARACTERS = _characters()
#: The byte of each character.
byte_of = {character: byte for byte, character in enumerate(CHARACTERS)}


def spell(data: bytes) -> str:
    """Return bytes in the alphabet."""
    return "".join(map(CHARACTERS.__getitem__, data))


def unspell(text: str) -> bytes | None:
    """Return the bytes of a text in the alphabet, or None if it holds another character."""
    try:
        return bytes(map(byte_of.__getitem__, text))
    except KeyError:
        return None
