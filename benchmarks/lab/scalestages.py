"""The stages of the road from text to tokens, each measured in a process of its own: `scale` starts them.

Prints one JSON object: seconds of processor time (user and system) and of wall time by step, and what came out.
"""

from __future__ import annotations

import itertools
import json
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tokframe
from benchmarks.texts import corpus_files, corpus_folder, even_lines
from tokframe.corpus.files import Corpus
from tokframe.errors import TrainingInterrupted

__all__ = ["STAGES", "fresh", "text"]

#: Bytes of one source that are laid out together when kinds of text are mixed.
_STRETCH = 1 << 18
_SPECIAL = 4
_LEARNED = 32_768 - _SPECIAL - 256
_NAME = "autoencoder-fsq"


def fresh(folder: Path) -> Path:
    """Make, once, a file of all distinct training text, mixed so that each beginning of it is a fair sample."""
    path = folder / "fresh.txt"
    if path.is_file():
        return path
    parts: list[tuple[float, str, bytes]] = []
    for name, files in Corpus.open([*corpus_files("", "train"), "stdlib:train"]).sources().items():
        data = b"".join(document.encode() for file in files for document in file.documents())
        cuts = [0]
        while cuts[-1] < len(data):
            cuts.append(data.find(b"\n", cuts[-1] + _STRETCH) + 1 or len(data))
        stretches = [data[a:b] for a, b in itertools.pairwise(cuts)]
        parts += [((number + 0.5) / len(stretches), name, part) for number, part in enumerate(stretches)]
    path.with_suffix(".new").write_bytes(b"".join(part for _, _, part in sorted(parts)))
    return path.with_suffix(".new").rename(path)


def text(folder: Path, size: int) -> Path:
    """Make, once, a file of `size` bytes, less a line: the beginning of the fresh text, repeated to make it last."""
    path = folder / f"text-{size}.txt"
    if path.is_file():
        return path
    with fresh(folder).open("rb") as source, path.with_suffix(".new").open("wb") as file:
        while size - file.tell() >= _STRETCH:
            if not (data := source.read(_STRETCH)):
                source.seek(0)
            file.write(data)
        last = source.read(size - file.tell())
        file.write(last[: last.rfind(b"\n") + 1])
    return path.with_suffix(".new").rename(path)


class Clock:
    """Processor and wall seconds by step; steps of one name add up."""

    def __init__(self) -> None:
        self.steps: dict[str, dict[str, float]] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Measure what is done inside."""
        before = _now()
        try:
            yield
        finally:
            self.add(name, before)

    def add(self, name: str, before: tuple[float, float]) -> None:
        """Add what has passed since `before`."""
        cpu, wall = _now()
        step = self.steps.setdefault(name, {"cpu": 0.0, "wall": 0.0})
        step["cpu"] += cpu - before[0]
        step["wall"] += wall - before[1]


def _now() -> tuple[float, float]:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used), time.monotonic()


class _Marks:
    """A reporter that times the stages it is told of, `pruning 1,000 segments` as `pruning`."""

    def __init__(self, clock: Clock) -> None:
        self.clock, self.name, self.began, self.rounds, self.notes = clock, "", _now(), 0, [""]

    def stage(self, name: str, total: float | None = None, unit: str = "") -> None:
        if self.name:
            self.clock.add(self.name, self.began)
        self.name, self.began = name.split(maxsplit=1)[0].rstrip(":"), _now()
        self.rounds += self.name == "pruning"

    def advance(self, done: float, **figures: float | int | str) -> None: ...

    def note(self, text: str) -> None:
        self.notes.append(text)


def read(folder: Path, size: int, clock: Clock) -> dict[str, Any]:
    """`tokframe train` with its defaults until the text is read: twice, where it is over the budget of 100 MB."""
    return _trained(folder, size, clock, "mining")


def front(folder: Path, size: int, clock: Clock) -> dict[str, Any]:
    """`tokframe train` with its defaults, one worker, until the network's turn: reading, mining, pruning."""
    return _trained(folder, size, clock, "training")


def _trained(folder: Path, size: int, clock: Clock, until: str) -> dict[str, Any]:
    marks = _Marks(clock)
    out = folder / f"front-{size}"
    shutil.rmtree(f"{out}.training", ignore_errors=True)
    try:
        tokframe.train(
            _NAME,
            corpus=[text(folder, size)],
            out=out,
            config={"mining": {"workers": 1}},
            reporter=marks,
            should_stop=lambda: marks.name == until,
        )
    except TrainingInterrupted:
        pass
    shutil.rmtree(f"{out}.training", ignore_errors=True)
    clock.steps.pop(until, None)
    return {"rounds": marks.rounds, "notes": marks.notes[1:]}


def mine_text(folder: Path, size: int, clock: Clock) -> dict[str, Any]:
    """Mining of the whole text as one source, without the budget that a training run has."""
    from tokframe_dictionary.mining.candidates import mine
    from tokframe_dictionary.mining.config import MiningConfig
    from tokframe_dictionary.mining.sources import Source

    source = Source(name="text", data=text(folder, size).read_bytes())
    with clock.step("mining"):
        found = mine([source], MiningConfig(words=False))
    return {"candidates": len(found)}


def measure(folder: Path, size: int, clock: Clock) -> dict[str, Any]:
    """One pass of pruning over the text with the shipped vocabulary: plain use, and use with loss."""
    from tokframe_dictionary.mining.parts import cut
    from tokframe_dictionary.mining.pruning import measure_part
    from tokframe_dictionary.segmenter.segmenter import Segmenter

    tokenizer = tokframe.load(_NAME)
    pieces = [tokenizer.token_bytes(number) for number in range(_SPECIAL, tokenizer.vocab_size)]
    segmenter = Segmenter(pieces, range(len(pieces)))
    data = text(folder, size).read_bytes()
    for name, coarse in (("use", True), ("use and loss", False)):
        with clock.step(name):
            for part in cut(data, 8 << 20):
                measure_part(part, segmenter, coarse)
    return {}


def heaps(folder: Path, size: int, clock: Clock) -> dict[str, Any]:
    """How many distinct segments occur at least four times in so much fresh text."""
    from tokframe_dictionary.mining.counts import count_part

    with clock.step("counting"):
        found = count_part(text(folder, size).read_bytes(), least=4)
    return {"segments": len(found), "at_least_16": len(found.at_least(16)), "at_least_64": len(found.at_least(64))}


def split(folder: Path, size: int, clock: Clock) -> dict[str, Any]:
    """Mining in 1 to 8 parts: what a second round costs, how large the parts' counts are as messages."""
    from tokframe_dictionary.mining.candidates import threshold
    from tokframe_dictionary.mining.counts import Counts, count_part, recount_part
    from tokframe_dictionary.mining.parts import cut

    data = text(folder, size).read_bytes()
    enough = max(4, int(len(data) * 1.5e-6))
    expected = None
    result = {}
    for number in (1, 2, 4, 8):
        parts = cut(data, len(data) // number + 1)
        with clock.step(f"{number}: first round"):
            found = [count_part(part, least=threshold(enough, len(part), len(data))) for part in parts]
        union = Counts.merge(found)
        with clock.step(f"{number}: second round"):
            counts = [recount_part(part, union) for part in parts] if number > 1 else found
        with clock.step(f"{number}: merging"):
            whole = Counts.merge(counts).at_least(enough)
        expected = expected or whole
        result[number] = {
            "found_in_a_part": max(map(len, found)),
            "found_in_any_part": len(union),
            "message_bytes": found[0].keys.nbytes + found[0].counts.nbytes,
            "second_message_bytes": counts[0].counts.nbytes,
            "frequent": len(whole),
            "same": whole.keys.tolist() == expected.keys.tolist() and whole.counts.tolist() == expected.counts.tolist(),
        }
    return result


def sample(folder: Path, size: int, clock: Clock) -> dict[str, Any]:
    """The vocabulary mined and pruned from an even sample of the fresh text, on held-out text of each kind."""
    from tokframe_dictionary.mining.candidates import mine
    from tokframe_dictionary.mining.config import MiningConfig, SelectionConfig
    from tokframe_dictionary.mining.pruning import Pruning
    from tokframe_dictionary.mining.sources import Gathered, balance
    from tokframe_dictionary.segmenter.segmenter import Segmenter
    from tokframe_dictionary.vocabulary.table import SINGLE_BYTES

    config = MiningConfig(words=False, flatness=0, script=0)
    data = even_lines(fresh(folder).read_bytes(), size, 1000)
    gathered = Gathered(config.budget, lambda: [data])
    gathered.add(data)
    sources = balance({"text": gathered}, config)
    with clock.step("mining"):
        found = mine(sources, config)
    with clock.step("pruning"):
        pool = Pruning(sources=sources, config=SelectionConfig()).prune(found.segments, _LEARNED)
    segments = [*SINGLE_BYTES, *pool.segments]
    segmenter = Segmenter(segments, range(len(segments)))
    kinds = {"code": ["stdlib:heldout"]}
    if corpus_folder():
        kinds |= {kind: corpus_files(kind, "dev") for kind in ("books", "docs", "multilingual", "wikitext2")}
    result: dict[str, Any] = {"bytes": len(sources[0].data), "candidates": len(found), "segments": len(pool)}
    for kind, files in kinds.items():
        data = [document.encode() for document in Corpus.open(files).documents()]
        result[kind] = round(sum(map(len, data)) / sum(map(segmenter.count, data)), 4)
    return result


def encode(folder: Path, size: int, clock: Clock) -> dict[str, Any]:
    """`encode_array` and `decode` of the shipped tokenizer, by documents of about 1 MB."""
    tokenizer = tokframe.load(_NAME)
    tokens = 0
    exact = True
    for document in Corpus.open([text(folder, size)]).documents():
        with clock.step("encode_array"):
            ids = tokenizer.encode_array(document)
        with clock.step("decode"):
            back = tokenizer.decode(ids)
        tokens += len(ids)
        exact &= back == document
    return {"tokens": tokens, "exact": exact}


def tokenize(folder: Path, size: int, clock: Clock) -> dict[str, Any]:
    """`tokframe tokenize` with one worker: text to token shards on the disk."""
    out = folder / f"shards-{size}"
    command = [sys.executable, "-m", "tokframe", "tokenize", _NAME, "--corpus", str(text(folder, size))]
    with clock.step("tokframe tokenize"):
        made = subprocess.run(
            [*command, "--out", str(out), "--workers", "1", "--overwrite", "--json"], check=True, capture_output=True
        )
    disk = sum(file.stat().st_size for file in out.rglob("*") if file.is_file())
    shutil.rmtree(out)
    record = json.loads(made.stdout)
    return {"shards": record["shards"], "tokens": record["tokens"], "disk_bytes": disk}


def verify(folder: Path, size: int, clock: Clock) -> dict[str, Any]:
    """`tokframe verify` of the shipped tokenizer, which does not depend on any text."""
    with clock.step("tokframe verify"):
        subprocess.run([sys.executable, "-m", "tokframe", "verify", _NAME, "--json"], check=True, capture_output=True)
    return {}


#: Stage to its function and whether it makes sense on repeated text.
STAGES: dict[str, tuple[Callable[[Path, int, Clock], dict[str, Any]], bool]] = {
    "read": (read, True),
    "front": (front, True),
    "mine": (mine_text, True),
    "measure": (measure, True),
    "encode": (encode, True),
    "tokenize": (tokenize, True),
    "verify": (verify, True),
    "heaps": (heaps, False),
    "split": (split, False),
    "sample": (sample, False),
}


def main(stage: str, size: str, folder: str) -> None:
    """Run one stage and print what it took."""
    clock = Clock()
    found = STAGES[stage][0](Path(folder), int(size), clock)
    peak = max(_peak(), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
    sys.stdout.write(json.dumps({"steps": clock.steps, "peak_mb": round(peak * 1024 / 1e6), **found}))


def _peak() -> int:
    """Most memory this process has had, in KiB: from /proc, as `ru_maxrss` begins with that of who started it."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))


if __name__ == "__main__":
    main(*sys.argv[1:])
