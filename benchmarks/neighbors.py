"""Neighbors by use: of the five nearest to a word of a kind, how many are of it: `python -m benchmarks.neighbors`.

A kind is a closed list of English words, as complete as the vocabulary needs it; words without an id are left out. A
neighbor counts in any case and with any marks around it ("But" and ", but" for " but").
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

import tokframe
from tokframe.plugins.protocols import HasVectors

_NEIGHBORS = 5
_LOOKED_AT = 60
_LEAST_WORDS = 4  # a kind of which fewer have an id is left out

KINDS = {
    "weekdays": "Monday Tuesday Wednesday Thursday Friday Saturday Sunday",
    "months": "January February March April May June July August September October November December",
    "numbers": "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety "
    "hundred thousand million dozen",
    "ordinals": "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth twentieth last next",
    "subject pronouns": "I you he she it we they who",
    "object pronouns": "me you him her it us them himself herself itself myself yourself themselves ourselves",
    "possessives": "my your his her its our their whose thy",
    "colors": "red blue green yellow white black brown gray grey purple pink orange scarlet crimson golden "
    "silver violet pale dark bright",
    "prepositions": "in on at by from with into upon under over through between without against toward towards "
    "among amongst within beneath behind above below beside beyond across along around about "
    "before after during near of for to off inside outside round past throughout amid",
    "modal verbs": "can could may might must shall should will would cannot need ought dare",
    "kinship": "father mother brother sister son daughter uncle aunt wife husband cousin nephew niece "
    "grandfather grandmother parents brothers sisters sons daughters child children mamma papa",
    "countries": "England France Germany Italy Spain Russia America India China Greece Scotland Ireland Wales "
    "Egypt Austria Prussia Holland Switzerland Turkey Japan Poland Sweden Norway Denmark Portugal "
    "Europe Africa Asia Australia Canada Mexico Britain Persia Hungary Belgium Brazil",
    "python keywords": "False None True and as assert async await break class continue def del elif else except "
    "finally for from global if import in is lambda nonlocal not or pass raise return try while "
    "with yield",
    "question words": "who what when where why how which whom whose whether whatever wherever whenever whoever",
    "body": "head hand face eye eyes arm arms foot feet hands mouth ear ears hair heart cheek cheeks lip "
    "lips nose neck shoulder shoulders finger fingers knee knees throat breast chest brow brows "
    "forehead chin beard leg legs heel heels bones skin teeth tongue faces heads hearts",
    "forms of be and have": "is was are were been be am being has had have having isn wasn aren weren",
    "manner": "quickly slowly suddenly quietly gently softly carefully rapidly briskly hurriedly eagerly "
    "sharply cautiously swiftly lightly firmly deliberately hastily calmly closely",
    "units of time": "second seconds minute minutes hour hours day days week weeks month months year years night "
    "nights moment moments century centuries",
    "verbs of saying": "said replied answered cried asked exclaimed returned remarked observed added whispered "
    "muttered murmured inquired shouted repeated continued declared demanded began",
    "animals": "horse horses dog dogs cat cats bird birds cattle sheep cow cows bull pig pigs goat lion "
    "lions tiger wolf wolves bear bears fox deer rat rats mouse mice rabbit hare fish ox oxen "
    "beast beasts eagle snake monkey elephant animal animals creature creatures",
    "directions": "north south east west northern southern eastern western left right",
    "conjunctions": "and but or if because though although while when whilst until till since unless whether for "
    "nor than as before after whereas once that yet",
    "titles": "Mr Mrs Miss Dr Sir Lord Lady Captain Colonel General Major Madame Monsieur Prince Princess "
    "King Queen Count Doctor Professor",
    "peoples": "English French German Italian Spanish Russian American Indian Chinese Greek Roman Irish "
    "Scotch Dutch Turkish European British African Latin Jewish Christian",
}


def measure(name: str) -> dict[str, Any]:
    """Return for each kind how many words have an id, and the share of neighbors of that kind: of the nearest segments,
    and of the nearest with other letters than the word's own.
    """
    tokenizer = tokframe.load(name)
    if not isinstance(tokenizer, HasVectors):
        raise SystemExit(f'{name} has no vectors; give an autoencoder-fsq trained with guide "use"')
    letters = [_letters(tokenizer.token_bytes(token)) for token in range(tokenizer.vocab_size)]
    figures = {}
    for kind, listed in KINDS.items():
        words = {_letters(word.encode()) for word in listed.split()}
        found = [tokenizer.encode(f" {word}") for word in listed.split()]
        ids = [token for token, *rest in found if not rest]
        if len(ids) < _LEAST_WORDS:
            continue
        shares = np.array([_shares(tokenizer, token, letters, words) for token in ids])
        segments, others = shares.mean(0).tolist()
        figures[kind] = {"words": len(ids), "segments": segments, "other_words": others}
    return figures


def _shares(tokenizer: HasVectors, token: int, letters: Sequence[bytes], words: set[bytes]) -> tuple[float, float]:
    near = [letters[other] for other, _ in tokenizer.nearest(token, _LOOKED_AT)]
    others = [word for word in dict.fromkeys(near) if word != letters[token]]
    of_kind = [sum(word in words for word in some[:_NEIGHBORS]) / _NEIGHBORS for some in (near, others)]
    return of_kind[0], of_kind[1]


def _letters(segment: bytes) -> bytes:
    return re.sub(rb"[^a-z]", b"", segment.lower())


def main() -> None:
    """Print the table, and its means as the last line."""
    figures = measure(sys.argv[1] if len(sys.argv) > 1 else "autoencoder-fsq")
    rows = [(kind, row["words"], row["segments"], row["other_words"]) for kind, row in figures.items()]
    rows.append(("mean", sum(row[1] for row in rows), *np.mean([row[2:] for row in rows], axis=0)))
    print(f"{'kind':22}{'words':>6}{'of 5 segments':>15}{'of 5 other words':>18}")
    for kind, words, segments, others in rows:
        print(f"{kind:22}{words:6}{segments:15.1%}{others:18.1%}")


if __name__ == "__main__":
    main()
