"""Encode, decode and stream, over and over; print by how many bytes the memory in use and the peak grew.

Arguments: tokenizer, and "kept" or "dropped" for what becomes of the ids.
"""

import gc
import resource
import sys
import tracemalloc
from pathlib import Path

import tokframe

text = Path(tokframe.__file__).with_name("errors.py").read_text(encoding="utf-8")
lines = [*text.splitlines(), "", "\x00", "🙂 é \u4f60\u597d", "a" * 5000, "<s></s><pad><unk>", text * 10]
tokenizer = tokframe.load(sys.argv[1])
kept = []


def work():
    for line in lines:
        tokenizer.decode(tokenizer.encode(line))
    ids = tokenizer.encode_batch(lines, threads=2)
    if sys.argv[2] == "kept":
        kept.append(ids)
    stream = tokenizer.stream_encoder()
    for line in lines:
        stream.feed(line)
    stream.finish()


def in_use():
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


for _ in range(5):
    work()
peak_before = peak()
for _ in range(30):
    work()
peak_growth = peak() - peak_before
tracemalloc.start()
work()
before = in_use()
for _ in range(8):
    work()
print(in_use() - before, peak_growth)
