"""One tokenizer used by many threads, processes and data loaders: the same ids, no lock-up, no growth."""

from __future__ import annotations

import ctypes
import hashlib
import json
import multiprocessing
import os
import pickle
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import tokframe

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
TEXT = Path(tokframe.__file__).with_name("errors.py").read_text(encoding="utf-8")
LINES = [*TEXT.splitlines(), "", "\x00", "🙂 é \u4f60\u597d", "a" * 5000, "<s></s><pad><unk>"]


def test_eight_threads_get_the_ids_of_one(shipped):
    expected = [shipped.encode(line) for line in LINES]
    texts = [shipped.decode(ids) for ids in expected]
    barrier = threading.Barrier(8)

    def work(number):
        barrier.wait()
        for _ in range(3):
            order = np.random.default_rng(number).permutation(len(LINES)).tolist()
            for at in order:
                assert shipped.encode(LINES[at]) == expected[at]
                assert shipped.decode(expected[at]) == texts[at]
            assert shipped.encode_batch(LINES, threads=2) == expected
        stream = shipped.stream_encoder()
        return [i for line in LINES for i in stream.feed(line + "\n")] + stream.finish()

    with ThreadPoolExecutor(8) as pool:
        streams = list(pool.map(work, range(8)))
    assert all(ids == shipped.encode("".join(line + "\n" for line in LINES), False) for ids in streams)


def test_a_network_built_by_many_threads_at_once_is_built_once():
    pytest.importorskip("torch")
    tokenizer = tokframe.load("autoencoder-fsq")
    with ThreadPoolExecutor(8) as pool:
        networks = list(pool.map(lambda _: tokenizer.network(), range(8)))
    assert len(set(map(id, networks))) == 1


def digest(tokenizer):
    ids = tokenizer.encode_batch(LINES * 20, threads=2)
    return hashlib.sha256(repr((ids, tokenizer.decode_batch(ids))).encode()).hexdigest()


FORKED = """
import multiprocessing, sys, threading
from pathlib import Path
import tokframe
text = Path(tokframe.__file__).with_name("errors.py").read_text(encoding="utf-8")
lines = text.splitlines() * 20
tokenizer = tokframe.load(sys.argv[1])
expected = tokenizer.encode_batch(lines, threads=2)

def work():
    ids = tokenizer.encode_batch(lines, threads=2)
    sys.exit(0 if ids == expected and tokenizer.encode(text) == one and tokenizer.decode(one) == back else 1)

sys.setswitchinterval(1e-4)
one = tokenizer.encode(text)
back = tokenizer.decode(one)
fork = multiprocessing.get_context("fork")
stop = threading.Event()
def busy():
    while not stop.is_set():
        tokenizer.decode(tokenizer.encode(text))
others = [threading.Thread(target=busy) for _ in range(2)]  # the children are forked in the midst of their work
for thread in others:
    thread.start()
children = [fork.Process(target=work) for _ in range(6)]
for child in children:
    child.start()
for child in children:
    child.join(300)
    if child.exitcode is None:
        child.kill()
        raise SystemExit("a forked process locked up")
    assert child.exitcode == 0, child.exitcode
stop.set()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("name", ["autoencoder-fsq", "bpe", "word"])
def test_processes_forked_while_threads_encode_get_the_same_ids(in_processes, name):
    """The threads of Hugging Face's pool too: a forked process has none of them, and does without."""
    in_processes(FORKED, name)


def test_a_spawned_process_gets_the_same_ids(shipped, in_processes, tmp_path):
    (tmp_path / "pickled").write_bytes(pickle.dumps(shipped))
    (tmp_path / "lines").write_bytes(pickle.dumps(LINES))
    source = """
    import hashlib, pickle
    from pathlib import Path
    tokenizer, lines = (pickle.loads(Path(name).read_bytes()) for name in ("pickled", "lines"))
    ids = tokenizer.encode_batch(lines * 20, threads=2)
    print(hashlib.sha256(repr((ids, tokenizer.decode_batch(ids))).encode()).hexdigest())
    """
    assert in_processes(source).strip() == digest(shipped)


LOADER = """
import sys, warnings
from pathlib import Path
import tokframe
import torch
from torch.utils.data import DataLoader, Dataset

class Lines(Dataset):
    def __init__(self, tokenizers):
        self.tokenizers = tokenizers
        self.lines = Path(tokframe.__file__).with_name("errors.py").read_text(encoding="utf-8").splitlines()
    def __len__(self):
        return len(self.lines)
    def __getitem__(self, at):
        return [tokenizer.encode(self.lines[at]) for tokenizer in self.tokenizers]

def main():
    data = Lines([tokframe.load(name) for name in ("autoencoder-fsq", "bpe", "word")])
    expected = [data[at] for at in range(len(data))]
    way = sys.argv[1]
    loader = DataLoader(data, batch_size=16, num_workers=2, multiprocessing_context=way, collate_fn=list)
    for _ in range(2 if way == "fork" else 1):
        assert [ids for batch in loader for ids in batch] == expected, way

if __name__ == "__main__":
    main()
"""


@pytest.mark.parametrize("way", ["fork", "spawn"])
def test_workers_of_a_data_loader_give_the_same_ids(in_processes, tmp_path, way):
    """Spawned workers get the tokenizer pickled."""
    pytest.importorskip("torch")
    if way not in multiprocessing.get_all_start_methods():
        pytest.skip(f"there is no {way} here")
    (tmp_path / "loader.py").write_text(LOADER, encoding="utf-8")
    source = "import subprocess, sys; sys.exit(subprocess.run([sys.executable, *sys.argv[1:]]).returncode)"
    in_processes(source, tmp_path / "loader.py", way)


TRACED = """
import gc, sys, tracemalloc
from pathlib import Path
import tokframe
text = Path(tokframe.__file__).with_name("errors.py").read_text(encoding="utf-8")
lines = [*text.splitlines(), "", "\\x00", "🙂 é \u4f60\u597d", "a" * 5000, "<s></s><pad><unk>"]
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

for _ in range(2):
    work()
tracemalloc.start()
work()
before = in_use()
for _ in range(8):
    work()
print(in_use() - before)
"""


@pytest.mark.parametrize("name", ["autoencoder-fsq", "bpe", "word"])
def test_memory_does_not_grow_with_work(in_processes, name):
    """In a process of its own: the memory traced is that of all threads, and Ray leaves some behind in this one."""
    assert int(in_processes(TRACED, name, "dropped")) < 20_000, "bytes more after eight rounds"


def test_memory_that_is_kept_is_seen_to_grow(in_processes):
    """So that the test above can fail."""
    assert int(in_processes(TRACED, "autoencoder-fsq", "kept")) > 20_000


def test_a_minute_of_a_service_s_requests_leaves_nothing_in_use(in_processes):
    """An hour of them is `python -m fuzz.growth`, whose figures are in docs/trust.md."""
    if not Path("/proc/self/smaps_rollup").exists() or not hasattr(ctypes.CDLL(None), "mallinfo2"):
        pytest.skip("needs Linux with glibc")
    source = """
    import json
    from fuzz.growth import hour
    print(json.dumps(hour("autoencoder-fsq", 2400)))
    """
    found = json.loads(in_processes(source, PYTHONPATH=str(ROOT)))
    assert found["requests"] == 2400 and len(found["curve"]) == 13
    assert abs(found["leaked_mb"]) < 1, found


GROWTH = """
import resource, sys
import tokframe
tokenizer = tokframe.load(sys.argv[1])
text = "for line in lines: print('🙂', line)  # and so on, 12345\\n" * 2000
def work():
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text or sys.argv[1] == "word"
    stream = tokenizer.stream_encoder()
    for start in range(0, len(text), 4096):
        stream.feed(text[start : start + 4096])
    stream.finish()
for _ in range(5):
    work()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for _ in range(30):
    work()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.skipif(os.name == "nt", reason="needs resource")
@pytest.mark.parametrize("name", ["autoencoder-fsq", "bpe", "word"])
def test_the_process_does_not_grow_with_work(in_processes, name):
    assert int(in_processes(GROWTH, name)) < 8_000, "kilobytes"


STREAM = """
import hashlib, re, sys
from pathlib import Path
import numpy as np
import tokframe
tokenizer = tokframe.load("autoencoder-fsq")
stream, digest, size = tokenizer.stream_encoder(), hashlib.sha256(), 0
while part := sys.stdin.buffer.read(50_001):
    size += len(part)
    digest.update(np.asarray(stream.feed(part), np.int32).tobytes())
digest.update(np.asarray(stream.finish(), np.int32).tobytes())
# Not getrusage: a child's peak there begins with its parent's.
peak = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]
print(size, peak, digest.hexdigest())
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_a_pipe_is_encoded_in_little_memory_to_the_ids_of_the_whole():
    line = b"x" * 300_000  # without a newline: longer than any block
    parts = [(TEXT + f"{number} 🙂\r\n\n").encode() + line[: number * 1000] for number in range(0, 300, 2)]
    with subprocess.Popen([sys.executable, "-c", STREAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        for part in parts:
            child.stdin.write(part)
        child.stdin.close()
        size, peak, found = child.stdout.read().decode().split()
    whole = b"".join(parts)
    assert int(size) == len(whole)
    assert int(peak) < 150_000, "kilobytes"
    assert found == hashlib.sha256(tokframe.load("autoencoder-fsq").encode_raw(whole).tobytes()).hexdigest()


def test_a_stream_decoder_never_gives_half_a_character(shipped):
    text = "é🙂\u4f60 👨‍👩‍👧 " * 20
    stream = shipped.stream_decoder(skip_special=False)
    ids = shipped.encode(text)
    parts = [stream.feed(token) for token in ids] + [stream.finish()]
    assert "".join(parts) == shipped.decode(ids, skip_special=False)
    assert not any("\ufffd" in part for part in parts)
