"""A thousand altered bytes in each file of each shipped artifact: `python -m fuzz.corruption --positions 1000`.

Ends with an error at the first that is not refused at load by name of the file.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np

from tokframe.errors import ArtifactCorruptError, ArtifactVersionError
from tokframe.loading.reference import resolve
from tokframe.storage.artifact import read


def damage(path: Path, positions: int, random: np.random.Generator) -> int:
    """Alter one byte at a time and put it back; return how many were refused.

    Raises: SystemExit for one that is not.
    """
    size = path.stat().st_size
    chosen = random.choice(size, min(size, positions), replace=False).tolist()
    with open(path, "r+b", buffering=0) as file:
        for position in chosen:
            file.seek(position)
            was = file.read(1)[0]
            file.seek(position)
            file.write(bytes([was ^ int(random.integers(1, 256))]))
            try:
                read(path.parent)
            except ArtifactCorruptError as error:
                named = error.file == path.name
            except ArtifactVersionError:  # what makes of a manifest that of a newer format
                named = path.name == "manifest.json"
            else:
                named = False
            if not named:
                raise SystemExit(f"byte {position} of {path.name} altered, and not refused by its name")
            file.seek(position)
            file.write(bytes([was]))
    read(path.parent)
    return len(chosen)


def main() -> None:
    """Parse the command line, run, print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=["autoencoder-fsq", "bpe", "word"])
    parser.add_argument("--positions", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    found: dict[str, dict[str, int]] = {}
    for name in given.names:
        with tempfile.TemporaryDirectory() as place:
            folder = Path(shutil.copytree(resolve(name).folder(), Path(place) / "copy"))
            random = np.random.default_rng(given.seed)
            found[name] = {path.name: damage(path, given.positions, random) for path in sorted(folder.iterdir())}
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
