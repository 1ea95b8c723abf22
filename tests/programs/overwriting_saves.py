"""Overwrite one artifact by six processes at once while another loads it all the time: one wins each round.

Arguments: an empty folder, "exchange" or "two renames", the number of rounds.
"""

import os
import select
import sys
from pathlib import Path

from support.numbered import HEADER, state, value_of

from tokframe.errors import ArtifactExistsError
from tokframe.storage import atomic
from tokframe.storage.artifact import write

SIZE = 20_000
root, exchange, rounds = Path(sys.argv[1]), sys.argv[2] == "exchange", int(sys.argv[3])
os.fsync = lambda descriptor: None
if not exchange:
    atomic._exchange = lambda first, second: False
replace = atomic.replace_folder
target = write(root / "mine", HEADER, state(0, SIZE))


def read_until_stopped(stop):
    """Load all the while: one whole artifact, whichever."""
    reads = 0
    while not select.select([stop], [], [], 0)[0]:
        value_of(target, SIZE)
        reads += 1
    os._exit(0 if reads else 1)


def save(value, counted, ready):
    def together(*arguments):
        os.write(counted, b"x")
        os.read(ready, 1)  # until all have seen what they mean to replace, and have written theirs
        replace(*arguments)

    atomic.replace_folder = together
    try:
        write(target, HEADER, state(value, SIZE), overwrite=True)
    except ArtifactExistsError:
        os._exit(3)
    os._exit(0)


stop, stopped = os.pipe()
reader = os.fork()
if reader == 0:
    os.close(stopped)
    read_until_stopped(stop)
for number in range(1, rounds + 1):
    ready, go = os.pipe()
    count, counted = os.pipe()
    children = {}
    for saver in range(6):
        child = os.fork()
        if child == 0:
            os.close(go)
            os.close(stopped)
            save(10 * number + saver, counted, ready)
        children[child] = 10 * number + saver
    for _ in children:
        os.read(count, 1)
    os.close(go)
    codes = {value: os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child, value in children.items()}
    assert sorted(codes.values()) == [0, 3, 3, 3, 3, 3], codes
    assert codes[value_of(target, SIZE)] == 0
    for descriptor in (ready, count, counted):
        os.close(descriptor)
os.close(stopped)
code = os.waitstatus_to_exitcode(os.waitpid(reader, 0)[1])
assert not exchange or code == 0, "a load failed while others saved"
assert [path.name for path in root.iterdir()] == ["mine"]
