"""What a power cut may leave of what was being written: `python -m fuzz.powercut` shows every outcome to its reader.

What a save does is recorded. At any moment of it the power may go, and then, as the least that file systems promise:
bytes of a file that were not flushed are the old ones, none, half of them, zeros, or there; an entry of a folder that
was made, renamed or removed since that folder was flushed is so or is not, each by itself; a rename or an exchange is
one step. (The model of ALICE: Pillai et al., "All File Systems Are Not Created Equal", OSDI 2014.)
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self
from unittest import mock

import numpy as np
from attrs import frozen

from tokframe.storage import atomic as folders

__all__ = ["SCENARIOS", "Recorder", "Scenario", "examine"]

#: Outcomes tried at one moment; where there are more, that many are drawn, those with nothing or all of it first.
MAX_OUTCOMES = 400

Tree = dict[str, bytes | None]  # path below the root -> contents, None for a folder
Change = dict[tuple[int, str], int | None]  # folder and name -> what is called so


@frozen(kw_only=True, eq=False)
class Moment:
    """One moment: what is certain to be on disk, what may be, and how many saves had returned."""

    files: Mapping[int, bytes]
    folders: Mapping[int, Mapping[str, int]]
    pending: tuple[Change, ...]
    written: Mapping[int, bytes]
    done: int


class Recorder:
    """Records, while it is entered, what happens below `root`; `ignored` leaves out what flushing of "files" or
    "folders" makes certain, as if the code under test had forgotten it.
    """

    def __init__(self, root: Path, ignored: str = "") -> None:
        self.root, self.ignored = root, ignored
        self.moments: list[Moment] = []
        self.done = 0
        self._numbers: dict[tuple[int, bool], int] = {}
        self._fresh = itertools.count()
        self._patches = ExitStack()
        self._pending: list[Change] = []
        self._written, self._entries = self._look()
        self._files = dict(self._written)  # certain, and so are the folders
        self._folders = {number: dict(entries) for number, entries in self._entries.items()}

    def __enter__(self) -> Self:
        for name in ("rename", "replace", "mkdir", "unlink", "remove", "rmdir"):
            self._patch(os, name, self._one_step(getattr(os, name)))
        self._patch(folders, "_exchange", self._one_step(folders._exchange))
        self._patch(os, "fsync", self._fsync)
        return self

    def __exit__(self, *_: object) -> None:
        self._patches.close()
        self.notice()

    def _patch(self, owner: Any, name: str, call: Callable[..., Any]) -> None:
        self._patches.enter_context(mock.patch.object(owner, name, call))

    def _one_step(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def step(*arguments: Any, **named: Any) -> Any:
            self.notice()
            result = call(*arguments, **named)
            self.notice(together=True)
            return result

        return step

    def _fsync(self, descriptor: int) -> None:
        self.notice()
        found = os.fstat(descriptor)
        folder = os.path.isdir(f"/proc/self/fd/{descriptor}")
        number = self._numbers.get((found.st_ino, folder))
        if number is None or self.ignored == ("folders" if folder else "files"):
            return
        if not folder:
            self._files[number] = self._written[number]
        else:
            for change in [each for each in self._pending if any(key[0] == number for key in each)]:
                self._pending.remove(change)
                apply(change, self._folders)
        self.notice()

    def notice(self, together: bool = False) -> None:
        """Take note of what has changed, as one step or as many, and of this moment."""
        written, entries = self._look()
        changes: Change = {}
        for folder in self._entries.keys() | entries.keys():
            before, after = self._entries.get(folder, {}), entries.get(folder, {})
            for name in sorted(before.keys() | after.keys()):
                if before.get(name) != after.get(name):
                    changes[folder, name] = after.get(name)
        if together and changes:
            self._pending.append(changes)
        else:
            self._pending += [{key: value} for key, value in changes.items()]
        self._written, self._entries = written, entries
        self.moments.append(
            Moment(
                files=dict(self._files),
                folders={number: dict(found) for number, found in self._folders.items()},
                pending=tuple(self._pending),
                written=written,
                done=self.done,
            )
        )

    def _look(self) -> tuple[dict[int, bytes], dict[int, dict[str, int]]]:
        """Return the contents of each file and the entries of each folder that there are now."""
        numbers: dict[tuple[int, bool], int] = {}
        written: dict[int, bytes] = {}
        entries: dict[int, dict[str, int]] = {}

        def look(path: str, inode: int, folder: bool) -> int:
            key = inode, folder
            number = numbers[key] = self._numbers[key] if key in self._numbers else next(self._fresh)
            if folder:
                with os.scandir(path) as found:
                    inner = [(e.name, e.path, e.inode(), e.is_dir(follow_symlinks=False)) for e in found]
                entries[number] = {name: look(where, below, deep) for name, where, below, deep in inner}
            else:
                written[number] = Path(path).read_bytes()
            return number

        if look(str(self.root), self.root.stat().st_ino, True) != 0:
            raise RuntimeError("the root was replaced")
        self._numbers = numbers
        return written, entries


def apply(change: Change, to: dict[int, dict[str, int]]) -> None:
    """Let a change have happened."""
    for (folder, name), number in change.items():
        entries = to.setdefault(folder, {})
        if number is None:
            entries.pop(name, None)
        else:
            entries[name] = number


def outcomes(moment: Moment, random: np.random.Generator) -> Iterator[Tree]:
    """Yield what may be on disk when the power goes at this moment."""
    choices = list(itertools.islice(itertools.product((False, True), repeat=len(moment.pending)), MAX_OUTCOMES + 1))
    if len(choices) > MAX_OUTCOMES:
        drawn = random.integers(0, 2, (MAX_OUTCOMES, len(moment.pending))).astype(bool)
        drawn[0], drawn[1] = False, True
        choices = [tuple(row) for row in drawn.tolist()]
    for chosen in choices:
        found = {number: dict(entries) for number, entries in moment.folders.items()}
        for change in itertools.compress(moment.pending, chosen):
            apply(change, found)
        tree: dict[str, int] = {}

        def walk(folder: int, path: str, found: Any = found, tree: Any = tree) -> None:
            for name, number in found.get(folder, {}).items():
                tree[f"{path}{name}"] = number
                if number not in moment.written and number not in moment.files:
                    walk(number, f"{path}{name}/")

        walk(0, "")
        paths = [path for path, number in tree.items() if number in moment.written or number in moment.files]
        kinds = [contents(moment, tree[path]) for path in paths]
        several = itertools.islice(itertools.product(*kinds), MAX_OUTCOMES)
        for data in several:
            yield {path: None for path in tree if path not in paths} | dict(zip(paths, data, strict=True))


def contents(moment: Moment, number: int) -> list[bytes]:
    """Return what may be in a file."""
    certain = moment.files.get(number)
    now = moment.written.get(number, certain or b"")
    if now == certain:
        return [now]
    return [certain or b"", now[: len(now) // 2], b"\0" * len(now), now]


def make(tree: Tree, folder: Path) -> None:
    """Put an outcome on disk."""
    for path, data in sorted(tree.items()):
        if data is None:
            (folder / path).mkdir(parents=True, exist_ok=True)
        else:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(data)


@frozen(kw_only=True)
class Scenario:
    """`save(root, value)` writes what `load(root)` returns the value of, None if there is nothing.

    `exchange`: whether folders can be exchanged in one step.
    """

    save: Callable[[Path, int], object]
    load: Callable[[Path], int | None]
    exchange: bool = True


def examine(scenario: Scenario, ignored: str = "", saves: int = 3) -> dict[str, int]:
    """Save some values one after another, and load every outcome of a power cut at every moment.

    Raises: AssertionError for an outcome that is not the value of the last save that returned or of the one at work.
    """
    tried: dict[str, int] = {"moments": 0, "outcomes": 0}
    seen = set()
    random = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as place:
        root = Path(place) / "root"
        root.mkdir()
        recorder = Recorder(root, ignored)
        swap = folders._exchange if scenario.exchange else lambda first, second: False
        with mock.patch.object(folders, "_exchange", swap), recorder:
            for value in range(saves):
                scenario.save(root, value)
                recorder.notice()
                recorder.done += 1
        for moment in recorder.moments:
            tried["moments"] += 1
            for tree in outcomes(moment, random):
                key = moment.done, tuple(sorted((path, data) for path, data in tree.items()))
                if key in seen:
                    continue
                seen.add(key)
                tried["outcomes"] += 1
                with tempfile.TemporaryDirectory() as left:
                    make(tree, Path(left))
                    try:
                        found = scenario.load(Path(left))
                    except Exception as error:
                        found = error  # type: ignore[assignment]
                allowed = {moment.done, moment.done - 1 if moment.done else None}
                if found not in allowed:
                    shown = {path: data if data is None else data[:40] for path, data in tree.items()}
                    raise AssertionError(f"{found!r} instead of one of {allowed} when power goes: {shown}")
    return tried


# -- what is saved ----------------------------------------------------------------------------------------------


def _save_artifact(root: Path, value: int) -> None:
    from tokframe.storage.artifact import write
    from tokframe.storage.state import State

    state = State(config={"value": value}, files={"a.txt": b"%d" % value * 100})
    write(root / "mine", {"tokenizer": {"name": "toy"}, "components": []}, state, overwrite=True)


def _load_artifact(root: Path) -> int | None:
    from tokframe.storage.artifact import read

    place = root / "mine"
    if not place.exists():
        aside = list(root.glob(".mine.old-*"))  # as the error of a load says
        if not aside:
            return None
        (place,) = aside
    found = read(place).state
    if found.files["a.txt"] != b"%d" % found.config["value"] * 100:
        raise AssertionError("torn")
    return int(found.config["value"])


def _save_folder(root: Path, value: int) -> None:
    """Write a folder as exporters do, which flush nothing themselves."""
    target = root / "out"
    found = folders.identity(target)
    with folders.temporary_sibling(target) as folder:
        (folder / "deep").mkdir()
        for path in (folder / "a", folder / "deep" / "b"):
            path.write_bytes(b"%d" % value * 100)
        folders.replace_folder(folder, target, found)


def _load_folder(root: Path) -> int | None:
    if not (root / "out").exists():
        return None
    data = (root / "out" / "a").read_bytes()
    if data != data[:1] * 100 or (root / "out" / "deep" / "b").read_bytes() != data:
        raise AssertionError("torn")
    return int(data[:1])


def _save_file(root: Path, value: int) -> None:
    folders.write_atomically(root / "report", b"%d" % value * 1000)


def _load_file(root: Path) -> int | None:
    try:
        data = (root / "report").read_bytes()
    except FileNotFoundError:
        return None
    if data != data[:1] * 1000:
        raise AssertionError(f"torn: {data[:9]!r} of {len(data)} bytes")
    return int(data[:1])


def _save_checkpoint(root: Path, value: int) -> None:
    import torch
    from tokframe_torch.checkpoint import Checkpoint, write_checkpoint

    tensors = {"w": torch.full((64,), float(value))}
    write_checkpoint(root, Checkpoint(tensors=tensors, record={"step": value // 2, "value": value}))


def _load_checkpoint(root: Path) -> int | None:
    from tokframe_torch.checkpoint import read_checkpoint

    found = read_checkpoint(root)
    if found is None:
        return None
    value = int(found.record["value"])
    if (found.tensors["w"] != value).any():
        raise AssertionError("torn")
    return value


SCENARIOS: Mapping[str, Scenario] = {
    "artifact": Scenario(save=_save_artifact, load=_load_artifact),
    "artifact, two renames": Scenario(save=_save_artifact, load=_load_artifact, exchange=False),
    "folder": Scenario(save=_save_folder, load=_load_folder),
    "file": Scenario(save=_save_file, load=_load_file),
    "checkpoint": Scenario(save=_save_checkpoint, load=_load_checkpoint),
}


def main() -> None:
    """Run every scenario and print one JSON object."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    sys.stdout.write(json.dumps({name: examine(scenario) for name, scenario in SCENARIOS.items()}) + "\n")


if __name__ == "__main__":
    main()
