"""Random inputs by the million through encode and decode: `python -m fuzz.round_trips --inputs 10000000`.

Five kinds in turn: any bytes, text of any characters, ASCII, pieces of the vocabulary, and runs with few symbols.
Ends with an error at the first input that is not decoded exactly.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time
from collections.abc import Callable, Iterator

import numpy as np

import tokframe
from tokframe.tokenizer.base import ITokenizer

_BLOCK = 50_000  # inputs made at a time
_MAX_INPUT_BYTES = 48


def cut(data: bytes, random: np.random.Generator) -> Iterator[bytes]:
    """Yield `data` in slices of 0 to `_MAX_INPUT_BYTES` bytes."""
    ends = np.cumsum(random.integers(0, _MAX_INPUT_BYTES, _BLOCK)).tolist()
    for start, end in itertools.pairwise([0, *ends]):
        yield data[start:end]


def inputs(kind: int, tokenizer: ITokenizer, random: np.random.Generator) -> Iterator[bytes]:
    """Yield `_BLOCK` byte strings of one kind; those that are cut text may begin or end inside a character."""
    size = _BLOCK * _MAX_INPUT_BYTES
    if kind == 0:
        return cut(random.bytes(size), random)
    if kind == 1:
        points = random.integers(0, 0x110000, size // 4)
        points[(points >= 0xD800) & (points < 0xE000)] = 0x2028
        return cut("".join(map(chr, points.tolist())).encode(), random)
    if kind == 2:
        return cut((random.integers(9, 128, size).astype(np.uint8)).tobytes(), random)
    if kind == 3:
        ids = random.integers(0, tokenizer.vocab_size, size // 4)
        return cut(b"".join(map(tokenizer.token_bytes, ids.tolist())), random)
    symbols = np.frombuffer(random.bytes(4), np.uint8)
    return cut(symbols[random.integers(0, 4, size)].tobytes(), random)


def run(name: str, count: int, seed: int, note: Callable[[str], object]) -> dict[str, object]:
    """Check `count` inputs. Raises: SystemExit naming the first that is not decoded exactly."""
    tokenizer = tokframe.load(name)
    random = np.random.default_rng(seed)
    started, done, tokens, total = time.monotonic(), 0, 0, 0
    kinds = [0] * 5
    while done < count:
        kind = done // _BLOCK % 5
        for data in itertools.islice(inputs(kind, tokenizer, random), count - done):
            ids = tokenizer.encode_bytes(data)
            if tokenizer.decode_bytes(ids, skip_special=False) != data:
                raise SystemExit(f"{name} is not lossless for {data!r} (kind {kind}, seed {seed}): ids {ids}")
            tokens += len(ids)
            total += len(data)
            done += 1
            kinds[kind] += 1
        if done % 1_000_000 == 0:
            note(f"{done:,} of {count:,} inputs, {time.monotonic() - started:.0f} s\n")
    seconds = round(time.monotonic() - started, 1)
    return {"tokenizer": name, "inputs": done, "by_kind": kinds, "bytes": total, "tokens": tokens, "seconds": seconds}


def main() -> None:
    """Parse the command line, run, print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokenizer", default="autoencoder-fsq")
    parser.add_argument("--inputs", type=int, default=10_000_000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    found = run(given.tokenizer, given.inputs, given.seed, sys.stderr.write)
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
