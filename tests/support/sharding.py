"""What the tests of token shards share: text of any size, folders as bytes, and how to kill and to stop."""

from __future__ import annotations

import itertools
import os
import random
import signal
import time

from tokframe.corpus.files import Corpus
from tokframe.shards import ShardSettings
from tokframe.shards.documents import documents
from tokframe.shards.planning import plan
from tokframe.training.progress import SilentReporter

SETTINGS = ShardSettings(shard_size=300_000)
COMMAND = "import sys; from tokframe.cli.main import main; sys.exit(main(sys.argv[1:]))"
WORDS = ["the", "cat", "sät", "on", "三", "mats", "🙂", "and", "then", "it", "over", "hill", "water", "again"]


def prose(size, seed=0, line=60):
    """Return about `size` bytes of lines."""
    chooser = random.Random(seed)
    lines, length = [], 0
    while length < size:
        lines.append(" ".join(chooser.choices(WORDS, k=line // 6)))
        length += len(lines[-1].encode()) + 1
    return "\n".join(lines) + "\n"


def content(folder):
    """Return every file of a folder by name."""
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def texts_of(paths, size=200_000, split="file", column="text"):
    corpus = Corpus.open(paths, column=column)
    return [list(documents(unit, split)) for unit in plan(corpus, size, split)]


def flat(lists):
    return list(itertools.chain.from_iterable(lists))


class Killer(SilentReporter):
    """Kills one worker in the middle of its work, once the first part is done; `killed` is its process id, or 0."""

    def __init__(self, work):
        self.work, self.killed = work, 0

    def advance(self, done, **figures):
        until = time.monotonic() + 3
        while not self.killed and time.monotonic() < until:
            for path in (self.work / "units").glob("[!.]*.tmp-*"):  # not those of records, which name no process
                pid = int(path.name.split("-")[-2])
                if pid != os.getpid() and self._kill(pid) and path.exists():
                    self.killed = pid
                    return
            time.sleep(0.001)

    def _kill(self, pid):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return False
        return True
