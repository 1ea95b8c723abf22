"""Exporting: write a tokenizer in another library's format. The formats are left to exporters of plugins."""

from __future__ import annotations

import os
from inspect import signature
from pathlib import Path
from typing import Any

from attrs import asdict, frozen

from tokframe.errors import PluginBrokenError, UnsupportedError
from tokframe.loading import loading
from tokframe.plugins.discovery import host
from tokframe.plugins.protocols import Check
from tokframe.plugins.registry import call_target, load_target
from tokframe.storage.advice import FIRST_PARTY
from tokframe.storage.places import claimed_place, writing_folder
from tokframe.tokenizer.display import Result

__all__ = ["Export", "export"]

_MARK = ".tokframe-export"  # says that a folder is an export, which `overwrite` may replace


@frozen(kw_only=True, repr=False)
class Export(Result):
    """What was written: the `format`, the folder `out`, its `files`, and how they compare with the tokenizer."""

    tokenizer: str
    format: str
    out: Path
    files: tuple[str, ...]
    checks: tuple[Check, ...]

    @property
    def same(self) -> bool:
        """Whether what was written does all that was checked as the tokenizer does."""
        return all(check.ok for check in self.checks)

    @property
    def title(self) -> str:
        """What was written where."""
        return f"{self.tokenizer} as {self.format} at {self.out}: {', '.join(self.files)}"

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON data of `tokframe export --json`."""
        checks = [asdict(check) for check in self.checks]
        head = {"tokenizer": self.tokenizer, "format": self.format, "out": str(self.out), "same": self.same}
        return {**head, "files": list(self.files), "checks": checks}

    def records(self) -> list[dict[str, Any]]:
        """Return one row per check."""
        return [
            {
                "check": each.name,
                "result": "skipped" if each.skipped else "same" if each.ok else "DIFFERENT",
                "detail": each.detail,
            }
            for each in self.checks
        ]


def export(
    name: str | os.PathLike[str],
    *,
    format: str,
    out: str | Path,
    special_tokens: str = "auto",
    overwrite: bool = False,
) -> Export:
    """Write a tokenizer, by name or path, in another library's format, and compare what was written with it.

    `format` names an exporter (`tokframe components --kind exporter`). `special_tokens` is what a special token's text
    in a text becomes: "text", as in tokframe, "found", its id, or "auto": "found", but "text" for an imported one.
    Differences are reported, not raised.

    Raises: as `load`; UnknownNameError for a format; ArtifactError, before any work, if `out` may not be written;
    UnsupportedError for what the format cannot hold, or where it has no choice of special tokens.
    """
    exporter = host().registry.component("exporter", format, FIRST_PARTY)
    place = Path(out)
    with claimed_place(place, _is_export, overwrite=overwrite):
        tokenizer = loading.load(name)
        write = load_target(exporter)
        options = {"special_tokens": special_tokens} if "special_tokens" in signature(write).parameters else {}
        if not options and special_tokens != "auto":
            raise UnsupportedError(
                f"the format {format!r} has no choice of special tokens. Leave out --special-tokens {special_tokens}",
                capability="special_tokens",
            )
        with writing_folder(place, _is_export, overwrite=overwrite) as folder:
            checks = call_target(exporter, write, tokenizer, folder, **options)
            if not isinstance(checks, list) or not all(isinstance(check, Check) for check in checks):
                raise PluginBrokenError(
                    f"exporter {format!r} of {exporter.distribution} returned {checks!r:.60}; expected a list of "
                    "tokframe.Check",
                    distribution=exporter.distribution,
                )
            files = sorted(path.name for path in folder.iterdir())
            (folder / _MARK).touch()
    return Export(tokenizer=str(name), format=format, out=place, files=tuple(files), checks=tuple(checks))


def _is_export(folder: Path) -> bool:
    return (folder / _MARK).is_file()
