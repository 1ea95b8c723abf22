"""An hour of a service's requests without the pauses between them, and the memory it takes: `python -m fuzz.growth`.

As many requests as `--per-second` of them make in an hour, by 8 threads on one tokenizer: a text of log-normal length
(600 bytes in the middle, at most 64 kB) is encoded and decoded again; one in a hundred is a batch of 32, one in a
thousand a stream of 256 kB, one in a hundred one that must be refused. Memory is read after every twelfth of the hour,
when all threads wait: what the process holds, and what of it is in use. It ends with an error if at the end 1 MB more
is in use than after the first sixth. What the process holds may rise for longer: glibc keeps the freed memory of each
thread's arena, of which there are eight a core; with MALLOC_ARENA_MAX=1 in the environment that ends soon.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import re
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

import tokframe
from tokframe.corpus.files import Corpus
from tokframe.errors import EncodingError
from tokframe.tokenizer.base import ITokenizer

__all__ = ["hour"]

_SLICES = 12
_MAX_TEXT_BYTES = 1 << 16
_STREAM_BYTES = 1 << 18
_MAX_GROWTH_MB = 1.0


class _MallInfo(ctypes.Structure):
    """What glibc tells of its heap (mallinfo2)."""

    _names = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"
    _fields_ = [(name, ctypes.c_size_t) for name in _names.split()]


def memory() -> dict[str, float]:
    """Return what this process holds, all of it and what is its own alone (MB), what of the C library's memory is in
    use (MB), and Python's blocks.
    """
    gc.collect()
    status = Path("/proc/self/smaps_rollup").read_text(encoding="ascii")
    kilobytes = {name: int(number) for name, number in re.findall(r"(\w+):\s+(\d+) kB", status)}
    own = kilobytes["Private_Clean"] + kilobytes["Private_Dirty"]
    told = ctypes.CDLL(None).mallinfo2
    told.restype = _MallInfo
    heap = told()
    return {
        "rss_mb": round(kilobytes["Rss"] / 1000, 1),
        "own_mb": round(own / 1000, 1),
        "in_use_mb": round((heap.uordblks + heap.hblkhd) / 1e6, 2),
        "blocks": sys.getallocatedblocks(),
    }


class _Clients:
    """What the threads of a service do."""

    def __init__(self, tokenizer: ITokenizer, text: str) -> None:
        self.tokenizer, self.text = tokenizer, text

    def work(self, requests: int, seed: int) -> int:
        """Make some requests; return the bytes of text. Raises: AssertionError for a wrong answer."""
        random = np.random.default_rng(seed)
        sizes = np.minimum(random.lognormal(np.log(600), 1.2, requests), _MAX_TEXT_BYTES).astype(int).tolist()
        places = random.integers(0, len(self.text) - _STREAM_BYTES, requests).tolist()
        kinds = random.integers(0, 1000, requests).tolist()
        return sum(map(self._request, kinds, places, sizes))

    def _request(self, kind: int, place: int, size: int) -> int:
        tokenizer, text = self.tokenizer, self.text[place : place + size]
        if kind == 0:
            text = self.text[place : place + _STREAM_BYTES]
            stream = tokenizer.stream_encoder()
            ids = [i for at in range(0, _STREAM_BYTES, 4096) for i in stream.feed(text[at : at + 4096])]
            self._compare(ids + stream.finish(), text)
        elif kind <= 10:
            texts = [text[at : at + 100] for at in range(0, 3200, 100)]
            for ids, part in zip(tokenizer.encode_batch(texts, threads=2), texts, strict=True):
                self._compare(ids, part)
        elif kind <= 20:
            for call, wrong in ((tokenizer.encode, text + "\ud800"), (tokenizer.decode, [5, tokenizer.vocab_size])):
                try:
                    call(wrong)  # type: ignore[operator]
                except EncodingError:
                    continue
                raise AssertionError("a wrong input was accepted")
        else:
            self._compare(tokenizer.encode(text), text)
        return len(text)

    def _compare(self, ids: list[int], text: str) -> None:
        back = self.tokenizer.decode(ids)
        if self.tokenizer.capabilities.lossless and back != text:
            raise AssertionError(f"{text!r:.200} is decoded to another text")


def hour(name: str, requests: int, threads: int = 8, note: Callable[[str], object] = len) -> dict[str, object]:
    """Make `requests` requests in twelve slices. Raises: what a thread raised."""
    text = "".join(text for _, text in Corpus.open(["stdlib:train"]).slices(8_000_000, _MAX_TEXT_BYTES))
    clients = _Clients(tokframe.load(name), text)
    curve, started = [memory()], time.monotonic()
    each = max(1, requests // _SLICES // threads)
    size = 0
    for part in range(_SLICES):
        with ThreadPoolExecutor(threads) as workers:
            size += sum(workers.map(clients.work, [each] * threads, range(part * threads, (part + 1) * threads)))
        curve.append(memory())
        note(f"{5 * (part + 1)} minutes of work in {time.monotonic() - started:.0f} s: {curve[-1]}\n")
    return {
        "tokenizer": name,
        "requests": each * threads * _SLICES,
        "bytes": size,
        "threads": threads,
        "seconds": round(time.monotonic() - started, 1),
        "leaked_mb": round(curve[-1]["in_use_mb"] - curve[2]["in_use_mb"], 2),
        "grown_mb": round(curve[-1]["own_mb"] - curve[_SLICES // 2]["own_mb"], 1),
        "curve": curve,
    }


def main() -> None:
    """Parse the command line, run, print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokenizer", default="autoencoder-fsq")
    parser.add_argument("--per-second", type=float, default=500, help="requests a second (500)")
    given = parser.parse_args()
    found = hour(given.tokenizer, round(3600 * given.per_second), note=sys.stderr.write)
    sys.stdout.write(json.dumps(found) + "\n")
    if found["leaked_mb"] > _MAX_GROWTH_MB:  # type: ignore[operator]
        raise SystemExit("memory grew")


if __name__ == "__main__":
    main()
