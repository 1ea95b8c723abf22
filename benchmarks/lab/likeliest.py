"""Fewest tokens against the likeliest path: the same dictionary searched both ways, under small language models.

`python -m benchmarks.lab.likeliest --train FILE... --test FILE...` prints bits per byte under a trigram and, with
`--network STEPS`, under a small recurrent network that sees the same bytes either way.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

import tokframe
from benchmarks.texts import even_lines
from tokframe.corpus.files import Corpus

Ids = npt.NDArray[np.int64]

_UNITS_PER_BIT = 1000  # of cost
_ROUNDS = 3  # of "count the uses, make costs of them, segment again"
_DISCOUNT = 0.75


def main() -> None:
    """Segment, train, measure, print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lab.likeliest", description=__doc__)
    parser.add_argument("--train", nargs="+", required=True)
    parser.add_argument("--test", nargs="+", required=True)
    parser.add_argument("--megabytes", type=float, default=20.0, help="of each training file")
    parser.add_argument("--network", type=int, default=0, metavar="STEPS", help="also train a recurrent network")
    parser.add_argument("--network-megabytes", type=float, default=4.0, help="of training text that it sees, once")
    parser.add_argument("--json", help="where the record goes")
    options = parser.parse_args()
    train = b"".join(_read(name, options.megabytes) for name in options.train)
    tests = {name: _read(name, options.megabytes) for name in options.test}
    record: dict[str, Any] = {"train_bytes": len(train), "test_bytes": {k: len(v) for k, v in tests.items()}}
    ways = dict(_ways(train))
    speed = _speed(ways, b"".join(tests.values())[:3_000_000])
    for path, encode in ways.items():
        ids = encode(train)
        model = Trigram(ids, 32768)
        row: dict[str, Any] = {"mb_s": speed[path], "bytes_per_token": {}, "trigram": {}, "network": {}}
        network = None
        if options.network:
            some = encode(even_lines(train, int(options.network_megabytes * 1e6), 200))
            network = _network(some, options.network)
        for name, text in tests.items():
            found = encode(text)
            row["bytes_per_token"][name] = len(text) / len(found)
            row["trigram"][name] = model.bits(found) / len(text)
            if network:
                row["network"][name] = network(found) / len(text)
        record[path] = row
        sys.stdout.write(f"{path}: {json.dumps(row)}\n")
        sys.stdout.flush()
    if options.json:
        with open(options.json, "w", encoding="utf-8") as out:
            json.dump(record, out, indent=1)


def _speed(ways: dict[str, Callable[[bytes], Ids]], text: bytes) -> dict[str, float]:
    """Return MB/s of each way, median of seven interleaved rounds, one thread."""
    taken: dict[str, list[float]] = {path: [] for path in ways}
    for _ in range(7):
        for path, encode in ways.items():
            start = time.perf_counter()
            encode(text)
            taken[path].append(time.perf_counter() - start)
    return {path: len(text) / 1e6 / float(np.median(times)) for path, times in taken.items()}


def _read(name: str, megabytes: float) -> bytes:
    limit, data = int(megabytes * 1e6), bytearray()
    for document in Corpus.open([name]).documents():
        data += document.encode()
        if len(data) >= limit:
            break
    return bytes(data[:limit])


def _ways(train: bytes) -> Iterator[tuple[str, Callable[[bytes], Ids]]]:
    from tokframe_dictionary.segmenter.segmenter import Segmenter

    tok: Any = tokframe.load("autoencoder-fsq")
    bpe = tokframe.load("bpe")
    yield "bpe", lambda data: bpe.encode_array(data.decode("utf-8", "replace")).astype(np.int64)
    yield "fewest tokens", lambda data: np.asarray(tok.encode_raw(data), np.int64)
    special = len(tok.special_tokens)  # the first ids
    ids = np.arange(special, tok.vocab_size, dtype=np.int32)
    pieces = [tok.token_bytes(int(i)) for i in ids]
    uses = np.bincount(tok.encode_raw(train), minlength=tok.vocab_size)[special:]
    for _ in range(_ROUNDS):
        chance = (uses + 0.1) / (uses + 0.1).sum()
        costs = np.clip(np.round(-np.log2(chance) * _UNITS_PER_BIT), 1, 65536).astype(np.int32)
        likely = Segmenter(pieces, ids, costs)
        uses = likely.usage(train)
    yield "likeliest path", lambda data: np.asarray(likely.encode(data), np.int64)
    # Between the two: a token costs what it is worth in bits plus a price of its own.
    mixed = Segmenter(pieces, ids, np.clip(costs + 10 * _UNITS_PER_BIT, 1, 65536).astype(np.int32))
    yield "likeliest path, 10 bits more a token", lambda data: np.asarray(mixed.encode(data), np.int64)


class Trigram:
    """Interpolated Kneser-Ney trigram over ids, one discount (Ney, Essen and Kneser, 1994)."""

    def __init__(self, ids: Ids, size: int) -> None:
        """Count `ids` (tokens,), each below `size`."""
        self._size = size
        self._three = _Table(ids[:-2] * size + ids[1:-1], ids[2:], size)
        pairs = self._three.keys  # each distinct trigram once: the continuation counts of its last two ids
        self._two = _Table((pairs // size) % size, pairs % size, size)
        ends = self._two.keys % size
        self._one = np.bincount(ends, minlength=size).astype(float)

    def bits(self, ids: Ids) -> float:
        """Return the bits of `ids` (tokens,); the first two are charged as evenly likely."""
        size, last = self._size, ids[2:]
        seen = np.count_nonzero(self._one)
        chance = np.maximum(self._one[last] - _DISCOUNT, 0) / self._one.sum()
        chance += _DISCOUNT * seen / self._one.sum() / size
        chance = self._two.chance(ids[1:-1], last, chance)
        chance = self._three.chance(ids[:-2] * size + ids[1:-1], last, chance)
        return float(-np.log2(chance).sum() + 2 * np.log2(size))


class _Table:
    """Counts of (context, id)."""

    def __init__(self, context: Ids, last: Ids, size: int) -> None:
        self._size = size
        self.keys, self._uses = np.unique(context * size + last, return_counts=True)
        starts = self.keys // size
        self._contexts, first, self._kinds = np.unique(starts, return_index=True, return_counts=True)
        self._totals = np.add.reduceat(self._uses, first)

    def chance(self, context: Ids, last: Ids, lower: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Interpolate with the chances of the lower order."""
        uses = _counts_of(self.keys, self._uses, context * self._size + last)
        total = _counts_of(self._contexts, self._totals, context)
        kinds = _counts_of(self._contexts, self._kinds, context)
        known = total > 0
        safe = np.where(known, total, 1)
        mixed = np.maximum(uses - _DISCOUNT, 0) / safe + _DISCOUNT * kinds / safe * lower
        found: npt.NDArray[np.float64] = np.where(known, mixed, lower)
        return found


def _counts_of(keys: Ids, values: Ids, wanted: Ids) -> Ids:
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    found: Ids = np.where(keys[at] == wanted, values[at], 0)
    return found


def _network(ids: Ids, steps: int) -> Callable[[Ids], float]:
    """Train a one-layer GRU (192 wide, tied embedding) once over `ids` in `steps` steps; return what gives bits."""
    import torch
    from torch import nn
    from torch.nn import functional

    torch.manual_seed(0)
    batch, width, size = 16, 192, 32768
    embedding = nn.Embedding(size, width)
    nn.init.normal_(embedding.weight, std=0.05)
    cell = nn.GRU(width, width, batch_first=True)
    bias = nn.Parameter(torch.zeros(size))
    parameters = [*embedding.parameters(), *cell.parameters(), bias]
    optimizer = torch.optim.Adam(parameters, lr=3e-3)
    plan = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps, pct_start=0.1)
    rows = torch.from_numpy(ids[: len(ids) // batch * batch]).view(batch, -1)
    span = rows.shape[1] // steps
    state = None
    for step in range(steps):
        part = rows[:, step * span : (step + 1) * span + 1]
        out, state = cell(embedding(part[:, :-1]), state)
        state = state.detach()
        scores = functional.linear(out.flatten(0, 1), embedding.weight, bias)
        loss = functional.cross_entropy(scores, part[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        plan.step()

    def bits(test: Ids) -> float:
        total, state = 0.0, None
        found = torch.from_numpy(test)
        with torch.no_grad():
            for start in range(0, len(found) - 1, 512):
                part = found[start : start + 513]
                out, state = cell(embedding(part[None, :-1]), state)
                scores = functional.linear(out[0], embedding.weight, bias)
                total += float(functional.cross_entropy(scores, part[1:], reduction="sum"))
        return total / float(np.log(2))

    return bits


if __name__ == "__main__":
    main()
