"""Source: text of one kind with the weight of its bytes, so that the largest kind does not take every id.

Which files make up a source is the caller's business (`tokframe.corpus` groups them by name).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from attrs import field, frozen

__all__ = ["Source", "balance"]

#: Bytes of text that are cut as one where a source is over its budget.
_STRETCH = 1 << 20


@frozen(kw_only=True, eq=False)
class Source:
    """Text of one kind; a token saved in it counts `weight` times."""

    name: str
    data: bytes = field(repr=False)
    weight: float = 1.0


def balance(
    texts: Mapping[str, bytes | Iterable[bytes]],
    *,
    weights: Mapping[str, float] | None = None,
    flatness: float = 0.1,
    script: float = 0.5,
    budget: int = 100_000_000,
) -> tuple[Source, ...]:
    """Give each source its weight: `factor * megabytes ** -flatness * (bytes per character) ** script`.

    `flatness` 0 treats all bytes alike, 1 all sources alike. `script` makes up for characters of several bytes,
    which cost ids that English spends on words. `weights` holds factors by name, 1 where a name is absent; a name
    that ends in `*` stands for all that begin so. A source over `budget` bytes is thinned evenly to it. Sources
    without text are left out. Documents that do not end in a newline are given one, so that none runs into the next.
    """
    made = []
    for name, text in texts.items():
        data = (
            text if isinstance(text, bytes) else b"".join(doc if doc.endswith(b"\n") else doc + b"\n" for doc in text)
        )
        if not data:
            continue
        starts = len(data) - data.translate(None, _LEADING_AND_ASCII).__len__()
        weight = _factor(name, weights or {})
        weight *= (len(data) / 1e6) ** -flatness * (len(data) / max(1, starts)) ** script
        made.append(Source(name=name, data=_thin(data, budget), weight=weight * max(1.0, len(data) / budget)))
    return tuple(made)


#: Bytes that begin a UTF-8 character.
_LEADING_AND_ASCII = bytes(value for value in range(256) if value & 0xC0 != 0x80)


def _factor(name: str, weights: Mapping[str, float]) -> float:
    if name in weights:
        return weights[name]
    stems = [key for key in weights if key.endswith("*") and name.startswith(key[:-1])]
    return weights[max(stems, key=len)] if stems else 1.0


def _thin(data: bytes, budget: int) -> bytes:
    """Evenly spaced stretches of whole lines, about `budget` bytes in all."""
    if len(data) <= budget:
        return data
    count = max(1, budget // _STRETCH)
    size = budget // count
    parts = []
    for number in range(count):
        start = len(data) * number // count
        start = data.find(b"\n", start) + 1 if number else 0
        end = data.find(b"\n", start + size)
        parts.append(data[start : len(data) if end < 0 else end + 1])
    return b"".join(parts)
