"""Load: gigabytes through one tokenizer. `python -m fuzz.load stream|batch|one` prints one JSON object.

`stream` reads a pipe that another process fills and compares the ids, by SHA-256, with those of the same text encoded
in one call (by a third process). The text is Python's standard library over and over, each round begun by its number.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

import tokframe
from tokframe.corpus.files import Corpus

_PART_BYTES = 1 << 16


def text(size: int) -> Iterator[bytes]:
    """Yield `size` bytes of real text in uneven parts, with no more of it in memory than the standard library."""
    left, number = size, 0
    files = Corpus.open(["stdlib:train"]).files
    while left:
        for file in files:
            for document in file.documents():
                data = (f"# {number}\n" + document).encode()[:left]
                number += 1
                left -= len(data)
                yield data
                if not left:
                    return


def peak() -> int:
    """Return the most memory this process has held, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 // 1_000_000


def stream(name: str, source: BinaryIO) -> dict[str, object]:
    """Encode what comes out of a pipe, holding a part at a time."""
    tokenizer = tokframe.load(name)
    before, started = peak(), time.monotonic()
    encoder, digest, size, tokens = tokenizer.stream_encoder(), hashlib.sha256(), 0, 0
    while part := source.read(_PART_BYTES):
        size += len(part)
        ids = encoder.feed(part)
        tokens += len(ids)
        digest.update(np.asarray(ids, np.int32).tobytes())
    ids = encoder.finish()
    tokens += len(ids)
    digest.update(np.asarray(ids, np.int32).tobytes())
    return {
        "bytes": size,
        "tokens": tokens,
        "sha256": digest.hexdigest(),
        "seconds": round(time.monotonic() - started, 1),
        "loaded_mb": before,
        "peak_mb": peak(),
    }


def whole(name: str, size: int) -> dict[str, object]:
    """Encode the same text in one call."""
    tokenizer = tokframe.load(name)
    data = b"".join(text(size))
    started = time.monotonic()
    ids = tokenizer.encode_raw(data)
    seconds = time.monotonic() - started
    return {
        "bytes": len(data),
        "tokens": len(ids),
        "sha256": hashlib.sha256(ids).hexdigest(),
        "seconds": round(seconds, 1),
        "peak_mb": peak(),
    }


def compared(name: str, size: int) -> dict[str, object]:
    """Run the writer, the stream and the whole each in a process of its own, and compare."""
    me = [sys.executable, "-m", "fuzz.load", "--tokenizer", name, "--bytes", str(size)]
    with subprocess.Popen([*me, "write"], stdout=subprocess.PIPE) as writer:
        parts = json.loads(subprocess.check_output([*me, "read"], stdin=writer.stdout))
    one = json.loads(subprocess.check_output([*me, "whole"]))
    same = all(parts[key] == one[key] for key in ("bytes", "tokens", "sha256"))
    return {"same": same, "stream": parts, "whole": one}


def batch(name: str, count: int) -> dict[str, object]:
    """Encode `count` lines in one `encode_batch`, and compare a sample with `encode`."""
    tokenizer = tokframe.load(name)
    endless = (line for part in text(1 << 40) for line in part.decode().splitlines() if line)
    lines = list(itertools.islice(endless, count))
    before, started = peak(), time.monotonic()
    ids = tokenizer.encode_batch(lines)
    seconds = time.monotonic() - started
    return {
        "texts": len(ids),
        "bytes": sum(len(line.encode()) for line in lines),
        "tokens": sum(map(len, ids)),
        "same": all(ids[i] == tokenizer.encode(lines[i]) for i in range(0, count, 997)),
        "seconds": round(seconds, 1),
        "loaded_mb": before,
        "peak_mb": peak(),
    }


def one(name: str, size: int) -> dict[str, object]:
    """Encode one text of `size` bytes and decode it again."""
    tokenizer = tokframe.load(name)
    data = b"".join(text(size)).decode("utf-8", errors="ignore")
    started = time.monotonic()
    ids = tokenizer.encode_array(data)
    encoded = time.monotonic()
    back = tokenizer.decode(ids)
    decoded = time.monotonic()
    return {
        "bytes": size,
        "tokens": len(ids),
        "same": back == data,
        "encode_seconds": round(encoded - started, 1),
        "decode_seconds": round(decoded - encoded, 1),
        "peak_mb": peak(),
    }


def main() -> None:
    """Parse the command line and run one of the checks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["stream", "batch", "one", "write", "read", "whole"])
    parser.add_argument("--tokenizer", default="autoencoder-fsq")
    parser.add_argument("--bytes", type=int, default=None, help="2e9 for stream, 5e8 for one")
    parser.add_argument("--texts", type=int, default=1_000_000, help="how many for batch")
    given = parser.parse_args()
    size = given.bytes or (500_000_000 if given.what == "one" else 2_000_000_000)
    if given.what == "write":
        for part in text(size):
            sys.stdout.buffer.write(part)
        return
    found = {
        "stream": lambda: compared(given.tokenizer, size),
        "batch": lambda: batch(given.tokenizer, given.texts),
        "one": lambda: one(given.tokenizer, size),
        "read": lambda: stream(given.tokenizer, os.fdopen(0, "rb", buffering=_PART_BYTES)),
        "whole": lambda: whole(given.tokenizer, size),
    }[given.what]()
    sys.stdout.write(json.dumps(found) + "\n")
    if found.get("same") is False:
        raise SystemExit("the ids differ")


if __name__ == "__main__":
    main()
