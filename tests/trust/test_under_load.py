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
from support.fixtures import program_path

import tokframe

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
TEXT = Path(tokframe.__file__).with_name("errors.py").read_text(encoding="utf-8")
LINES = [*TEXT.splitlines(), "", "\x00", "🙂 é \u4f60\u597d", "a" * 5000, "<s></s><pad><unk>"]


def test_a_pickle_of_a_pickle_is_the_same_bytes_so_that_caches_by_hash_are_found_again(shipped):
    data = pickle.dumps(shipped)
    assert pickle.dumps(pickle.loads(data)) == data


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


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("name", ["autoencoder-fsq", "bpe", "word"])
def test_processes_forked_while_threads_encode_get_the_same_ids(in_processes, name):
    """The threads of Hugging Face's pool too: a forked process has none of them, and does without."""
    in_processes("forked_encoders", name)


@pytest.mark.parametrize("way", ["fork", "spawn"])
def test_workers_of_a_data_loader_give_the_same_ids(in_processes, way):
    """Spawned workers get the tokenizer pickled."""
    pytest.importorskip("torch")
    if way not in multiprocessing.get_all_start_methods():
        pytest.skip(f"there is no {way} here")
    in_processes("data_loader", way)


@pytest.mark.skipif(os.name == "nt", reason="needs resource")
@pytest.mark.parametrize("name", ["autoencoder-fsq", "bpe", "word"])
def test_memory_does_not_grow_with_work(in_processes, name):
    """In a process of its own: the memory traced is that of all threads, and Ray leaves some behind in this one."""
    traced, peak = map(int, in_processes("memory_growth", name, "dropped").split())
    assert traced < 20_000 and peak < 8_000_000


@pytest.mark.skipif(os.name == "nt", reason="needs resource")
def test_memory_that_is_kept_is_seen_to_grow(in_processes):
    """So that the test above can fail."""
    assert int(in_processes("memory_growth", "autoencoder-fsq", "kept").split()[0]) > 20_000


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


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_a_pipe_is_encoded_in_little_memory_to_the_ids_of_the_whole():
    line = b"x" * 300_000  # without a newline: longer than any block
    parts = [(TEXT + f"{number} 🙂\r\n\n").encode() + line[: number * 1000] for number in range(0, 300, 2)]
    with subprocess.Popen(
        [sys.executable, program_path("stream_pipe")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        for part in parts:
            child.stdin.write(part)
        child.stdin.close()
        size, peak, found = child.stdout.read().decode().split()
    whole = b"".join(parts)
    assert int(size) == len(whole)
    assert int(peak) < 150_000, "kilobytes"
    assert found == hashlib.sha256(tokframe.load("autoencoder-fsq").encode_raw(whole).tobytes()).hexdigest()
