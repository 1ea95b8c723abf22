"""The tie rule is stated once; whoever relies on it is listed there and refers to it by name."""

from __future__ import annotations

import re
from pathlib import Path

from tokframe_dictionary.segmenter import segmenter

PACKAGE = Path(segmenter.__file__).parents[1]
REPOSITORY = Path(__file__).parents[3]
PHRASE = "tie rule"


def listed() -> set[Path]:
    names = re.findall(r"`([\w/]+\.(?:py|h|md))`", segmenter.__doc__ or "")
    return {(REPOSITORY if name.startswith("docs/") else PACKAGE) / name for name in names}


def test_every_file_that_is_listed_refers_to_the_rule() -> None:
    assert len(listed()) == 6
    for path in listed():
        assert PHRASE in path.read_text(encoding="utf-8"), path


def test_every_module_that_refers_to_the_rule_is_listed() -> None:
    files = [path for suffix in ("py", "h", "c") for path in PACKAGE.rglob(f"*.{suffix}")]
    found = {path for path in files if PHRASE in path.read_text(encoding="utf-8")}
    assert found - {Path(segmenter.__file__)} == {path for path in listed() if path.is_relative_to(PACKAGE)}
