"""Random and hostile calls of the compiled parts, each checked where something is known: run by `fuzz.sanitized`.

Any exception but those a caller may expect is a finding, and so is a result that the plain-Python reference does not
give; reading or writing where nothing is allotted is found by the sanitizers this runs under.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

Random = np.random.Generator
_TURN_S = 0.5  # for which one call is repeated before the next
#: What a call with nonsense may raise.
_EXPECTED = (ValueError, TypeError, OverflowError, IndexError, BufferError, MemoryError)


def load(folder: Path) -> dict[str, ModuleType]:
    """Put the extensions of a folder in the place of the installed ones."""
    found = {}
    for name, package in (("_search", "segmenter"), ("_mine", "mining")):
        full = f"tokframe_dictionary.{package}.{name}"
        spec = importlib.util.spec_from_file_location(full, folder / f"{name}.so")
        if spec is None or spec.loader is None:
            raise SystemExit(f"there is no {name}.so in {folder}")
        module = importlib.util.module_from_spec(spec)
        sys.modules[full] = module
        spec.loader.exec_module(module)
        found[name] = module
    return found


def some_bytes(random: Random, most: int) -> bytes:
    """Any bytes, few symbols, newlines in rows, text of any characters: cut anywhere."""
    size = int(most ** random.random())
    kind = random.integers(0, 5)
    if kind == 0:
        return random.bytes(size)
    if kind == 1:
        return bytes(random.choice(np.frombuffer(random.bytes(3) + b"\n", np.uint8), size))
    if kind == 2:
        return bytes(random.choice(np.frombuffer(b"\n\n\n\ra \xe2\x80", np.uint8), size))
    if kind == 3:
        return some_text(random, size).encode()[:size]
    return bytes([int(random.integers(0, 256))]) * size


def some_text(random: Random, size: int) -> str:
    """Text of any characters, in one of Python's three widths."""
    points = random.integers(0, [128, 256, 0xD800, 0x110000][random.integers(0, 4)], size)
    points[(points >= 0xD800) & (points < 0xE000)] = 0x2028
    return "".join(map(chr, points.tolist()))


class Calls:
    """The calls, one method each; every one draws its own arguments."""

    def __init__(self, modules: dict[str, ModuleType]) -> None:
        from tokframe_dictionary.segmenter import reference
        from tokframe_dictionary.segmenter.segmenter import Segmenter

        import tokframe

        self.search, self.mine = modules["_search"], modules["_mine"]
        self.reference, self.segmenter = reference, Segmenter
        self.tokenizer = tokframe.load("autoencoder-fsq")
        if sys.modules["tokframe_dictionary.segmenter._search"] is not self.search:
            raise SystemExit("the installed extension is used, not the one under test")
        self.size = self.tokenizer.vocab_size

    # -- valid calls -----------------------------------------------------------------------------------------

    def round_trip(self, random: Random) -> None:
        """Encode in every way and decode; the shipped vocabulary."""
        data = some_bytes(random, 200_000)
        ids = self.tokenizer.encode_bytes(data)
        same = [self.tokenizer.encode_raw(data).tolist(), self.tokenizer.encode_raw(memoryview(data)).tolist()]
        if any(other != ids for other in same) or self.tokenizer._segmenter.count(data) != len(ids):
            raise AssertionError(f"the ways of encoding differ on {data!r:.200}")
        for form in (ids, np.asarray(ids, np.int32), tuple(ids), np.asarray(ids, np.int64)):
            if self.tokenizer.decode_bytes(form, False) != data:
                raise AssertionError(f"{data!r:.200} is not decoded exactly")
        stable = self.tokenizer.stable_prefix(data)
        if self.tokenizer.encode_bytes(data[:stable]) + self.tokenizer.encode_bytes(data[stable:]) != ids:
            raise AssertionError(f"not stable at {stable}: {data!r:.200}")

    def batch(self, random: Random) -> None:
        """Many texts at once, as a list, a tuple or a generator."""
        many = self.tokenizer._segmenter._index.encode_lists
        texts = [some_text(random, int(2000 ** random.random()) - 1) for _ in range(random.integers(0, 30))]
        found = many([texts, tuple(texts), iter(texts)][random.integers(0, 3)])
        if found != [self.tokenizer.encode(text) for text in texts]:
            raise AssertionError(f"a batch differs: {texts!r:.200}")
        if self.tokenizer.decode_batch(found, threads=2) != texts:
            raise AssertionError(f"a batch is not decoded exactly: {texts!r:.200}")
        wrong = [*texts, ["\ud800", 5, None, b"x", ["x"]][random.integers(0, 5)], *texts]
        expect(many, wrong)
        expect(many, [7, None, "text", {"a": 1}, object()][random.integers(0, 5)])

    def small_vocabulary(self, random: Random) -> None:
        """A vocabulary of its own, with costs or without, against the reference."""
        pieces = [bytes([value]) for value in range(256)]
        alphabet = np.frombuffer(b"ab\n\xc3\xa9\x00", np.uint8)
        for _ in range(random.integers(0, 60)):
            piece = bytes(random.choice(alphabet, int(random.integers(2, 17))))
            body = piece.rstrip(b"\n")
            if piece not in pieces and b"\n" not in body:
                pieces.append(piece)
        ids = random.permutation(len(pieces) + int(random.integers(0, 9)))[: len(pieces)].astype(np.int32)
        costs = None if random.random() < 0.5 else random.integers(1, 1 << int(random.integers(1, 17)), len(pieces))
        block = int(random.integers(16, 400))
        data = bytes(random.choice(alphabet, int(3000 ** random.random())))
        fast = self.segmenter(pieces, ids, costs, block)
        slow = self.reference.Index(*fast._packed[:2], ids, costs, block)
        found = fast.encode(data)
        if found.tolist() != slow.encode_list(data) or fast.decode(found) != data:
            raise AssertionError(f"the reference differs: {pieces[256:]}, {ids}, {costs}, {block}, {data!r}")
        if fast.count(data) != len(found) or fast.stable_prefix(data) != slow.stable_prefix(data):
            raise AssertionError("count or stable_prefix differs")
        settled = fast._index.settled_prefix(data)
        if settled != slow.settled_prefix(data) or not fast.stable_prefix(data) <= settled <= len(data):
            raise AssertionError(f"settled_prefix differs: {pieces[256:]}, {ids}, {costs}, {block}, {data!r}")
        use, loss = fast.savings(data)
        if int(use.sum()) != len(found) or int(loss.min()) < 0 or (fast.usage(data) != use).any():
            raise AssertionError("measures differ")

    def mining(self, random: Random) -> None:
        """Frequent substrings, each counted again where the text is short."""
        data = some_bytes(random, 60_000)
        longest, least = int(random.integers(1, 17)), int(random.integers(1, 50))
        words = bool(random.integers(0, 2))
        keys, lengths, counts = self.mine.count_substrings(data, longest, least, words)
        numbers = np.frombuffer(counts, np.uint32)
        if len(keys) != 16 * len(lengths) or len(numbers) != len(lengths):
            raise AssertionError("the miner's tables differ in length")
        for at in random.integers(0, len(lengths), min(3, len(lengths))).tolist():
            piece = bytes(keys[16 * at : 16 * at + lengths[at]])
            if sum(data.startswith(piece, i) for i in range(len(data))) < numbers[at]:
                raise AssertionError(f"{piece!r} does not occur so often")
        for wrong in ((data, 0, 1), (data, 17, 1), (data, 2, 0), (data, -1, 1), ("x", 2, 2), (None, 2, 2)):
            expect(self.mine.count_substrings, *wrong, words)

    def changing(self, random: Random) -> None:
        """Texts, ids and lengths that another thread changes meanwhile: any outcome, but only their memory is read."""
        data = bytearray(some_bytes(random, 400_000) + b"\n")
        ids, table = np.full(50_000, 300, np.int32), self.tokenizer._segmenter._table
        keys, lengths = np.frombuffer(random.bytes(320), np.uint8).copy(), np.full(20, 16, np.uint8)
        view, stop = np.frombuffer(data, np.uint8), threading.Event()

        def change() -> None:
            while not stop.is_set():
                view[random.integers(0, len(view), 64)] = random.integers(0, 256, 64)
                ids[random.integers(0, len(ids), 64)] = random.choice([300, 5, self.size, -1, 1 << 30], 64)
                ids[:] = 300
                lengths[-1] = 17 if lengths[-1] == 16 else 16

        thread = threading.Thread(target=change)
        thread.start()
        try:
            for _ in range(3):
                self.tokenizer._segmenter.encode(data)
                self.tokenizer._segmenter.count(data)
                self.tokenizer._segmenter.usage(data)
                for _ in range(20):
                    expect(self.mine.count_given, data[:2000], keys, lengths, True)
                for _ in range(20):
                    expect(self.search.decode, *table, ids)
                    expect(self.search.decode_known, *table, ids, True)
        finally:
            stop.set()
            thread.join()

    # -- invalid calls --------------------------------------------------------------------------------------

    def hostile_ids(self, random: Random) -> None:
        """Ids of any kind and value, known or not."""
        few = [0, 3, 4, 5, self.size - 1, self.size, -1, 2**31 - 1, 2**31, -(2**31), 2**63, -(2**70), 10**30]
        odd: list[Any] = [True, False, 1.5, None, "7", b"7", [5], np.int64(9), np.int32(-5), object()]
        ids: list[Any] = random.integers(4, self.size, int(random.integers(0, 200))).tolist()
        for _ in range(random.integers(1, 4)):
            pool = few if random.random() < 0.6 else odd
            ids.insert(int(random.integers(0, len(ids) + 1)), pool[random.integers(0, len(pool))])
        forms: list[Any] = [ids, tuple(ids), iter(ids)]
        plain = [number for number in ids if type(number) is int and -(2**31) <= number < 2**31]
        forms += [np.asarray(plain, np.int32), np.asarray(plain, np.int32)[::-1], np.asarray(plain, ">i4")]
        table = self.tokenizer._segmenter._table
        for form in forms:
            expect(self.tokenizer.decode, form)
            expect(self.tokenizer.decode_bytes, form, False)
            expect(self.search.decode, *table, form)
            expect(self.search.decode_known, *table, form, bool(random.integers(0, 2)))

    def hostile_tables(self, random: Random) -> None:
        """Invalid segments, offsets, ids, costs and blocks; an index that is built nevertheless must work."""
        count = int(random.choice([0, 1, 255, 256, 257, 300, 1000]))
        blob = bytes(range(256)) + some_bytes(random, 3000)
        lengths = np.concatenate([np.ones(min(count, 256)), random.integers(1, 5, max(0, count - 256))])
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        for _ in range(random.integers(0, 4)):
            at = int(random.integers(0, len(offsets)))
            values = [0, -1, 1 << 40, -(1 << 62), (1 << 63) - 1, -(1 << 63), len(blob)]
            values.append(min(int(offsets[at]), 1 << 50) + 3)
            offsets[at] = values[random.integers(0, len(values))]
        ids = random.integers(-2, 1 << int(random.integers(2, 31)), count + int(random.integers(-1, 2)) * (count > 5))
        costs = None if random.random() < 0.5 else random.integers(-1, 1 << int(random.integers(1, 20)), count)
        block = int(random.choice([0, -5, 15, 16, 17, 64, 4096, 1 << 20, 1 << 40, (1 << 63) - 1]))
        kinds = [np.int32, np.int64, np.uint8, np.float64]
        tables = [
            blob if random.random() < 0.9 else [None, "text", np.asarray(list(blob))[::2]][random.integers(0, 3)],
            offsets if random.random() < 0.9 else offsets.astype(kinds[random.integers(0, 4)]),
            np.asarray(ids, np.int32 if random.random() < 0.9 else np.int64),
            None if costs is None else np.asarray(costs, np.int32),
            block,
        ]
        index = expect(self.search.Index, *tables)
        if index is not None:
            for _ in range(3):
                data = some_bytes(random, 60_000)
                for call in (index.encode, index.encode_list, index.count, index.stable_prefix, index.settled_prefix):
                    expect(call, data)
                use = np.zeros(count, np.int64)
                expect(index.measure, data, use, np.zeros(count, np.int64))
                expect(index.measure, data, use[: count // 2])
                expect(index.measure, data, use.astype(np.int32))
                read_only = np.zeros(count, np.int64)
                read_only.setflags(write=False)
                expect(index.measure, data, read_only)
        for call, extra in ((self.search.decode, ()), (self.search.decode_known, (True,))):
            for numbers in (np.asarray(ids, np.int32), np.arange(count, dtype=np.int32), list(range(count))):
                expect(call, blob, tables[1], numbers, *extra)


def scarce(calls: Calls, random: Random) -> None:
    """Large inputs with little memory, which must end in MemoryError or succeed."""
    data = some_bytes(random, 100) * int(random.integers(1, 400_000))
    data = data[: 20 << 20]
    for call in (calls.tokenizer.encode_raw, calls.tokenizer.encode_bytes, calls.tokenizer._segmenter.count):
        expect(call, data)
    expect(calls.tokenizer._segmenter._index.encode_lists, [data.decode("latin-1")] * 3)
    ids = np.full(int(random.integers(1, 5_000_000)), 300, np.int32)
    expect(calls.tokenizer.decode_bytes, ids)
    expect(calls.tokenizer.decode_bytes, ids[:3_000_000].tolist())
    expect(calls.mine.count_substrings, data[: 1 << 22], 16, 2, True)


def expect(call: Callable[..., Any], *arguments: Any) -> Any:
    """Return the result, or None where the call refuses."""
    try:
        return call(*arguments)
    except _EXPECTED:
        return None


def main() -> None:
    """Parse the command line and call until the time is up; print how often each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("seconds", type=float)
    parser.add_argument("seed", type=int)
    parser.add_argument("--scarce", action="store_true")
    given = parser.parse_args()
    calls = Calls(load(given.folder))
    names = ["round_trip", "batch", "small_vocabulary", "mining", "changing", "hostile_ids", "hostile_tables"]
    ways: dict[str, Callable[[Random], None]] = {name: getattr(calls, name) for name in names}
    if given.scarce:
        ways = {"scarce": lambda random: scarce(calls, random)}
    done = dict.fromkeys(ways, 0)
    end = time.monotonic() + given.seconds
    while time.monotonic() < end or not all(done.values()):
        for number, (name, way) in enumerate(ways.items()):
            turn = min(time.monotonic() + _TURN_S, end)
            while True:
                way(np.random.default_rng([given.seed, number, done[name]]))
                done[name] += 1
                if time.monotonic() >= turn:
                    break
    sys.stdout.write(json.dumps(done) + "\n")


if __name__ == "__main__":
    main()
