"""Save to one place by four processes at once, twenty times: exactly one wins. Argument: an empty folder."""

import os
import sys
from pathlib import Path

from support.numbered import HEADER, state, value_of

from tokframe.errors import ArtifactExistsError
from tokframe.storage.artifact import write

SIZE = 50_000
root = Path(sys.argv[1])
os.fsync = lambda descriptor: None
for number in range(20):
    target = root / f"r{number}"
    ready, go = os.pipe()
    children = []
    for value in range(4):
        child = os.fork()
        if child == 0:
            os.close(go)
            os.read(ready, 1)  # ends when the parent closes its end: all start at once
            try:
                write(target, HEADER, state(value, SIZE))
            except ArtifactExistsError:
                os._exit(3)
            os._exit(0)
        children.append(child)
    os.close(ready)
    os.close(go)
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    assert sorted(codes) == [0, 3, 3, 3], codes
    assert value_of(target, SIZE) == codes.index(0)
assert sorted(path.name for path in root.iterdir()) == sorted(f"r{number}" for number in range(20))
