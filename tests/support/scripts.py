"""Text in scripts other than Latin, made up."""

import random

__all__ = ["GREEK", "HAN", "written"]

GREEK, HAN = "αβγδεζηθικλμνξοπρστυφχψωάέή", "".join(map(chr, range(0x4E00, 0x4E00 + 600)))


def written(letters: str, lines: int, seed: int = 0) -> str:
    """Return lines of letters, of which the first are the most frequent."""
    chance = random.Random(seed)
    sizes = [1 / (rank + 3) for rank in range(len(letters))]
    return "\n".join("".join(chance.choices(letters, sizes, k=8)) for _ in range(lines)) + "\n"
