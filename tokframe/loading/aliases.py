"""Aliases: your own names for tokenizers, from TOKFRAME_ALIASES and from tokframe.toml files.

What an alias refers to is resolved in `reference`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from attrs import evolve, frozen

from tokframe.errors import ConfigError
from tokframe.storage.paths import expanded
from tokframe.storage.regular import read_given, read_regular
from tokframe.storage.strictjson import shortened

__all__ = ["CONFIG", "ENVIRONMENT", "FILE", "Alias", "all_aliases", "effective"]

#: Aliases as `production=word,next=./mine`; they come before those of files.
ENVIRONMENT = "TOKFRAME_ALIASES"
#: The one file to read instead of the two below; empty for none.
CONFIG = "TOKFRAME_CONFIG"
#: The file's name, in the working directory and in the user's configuration folder.
FILE = "tokframe.toml"
MAX_FILE_BYTES = 1 << 20

_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")


@frozen(kw_only=True)
class Alias:
    """One alias as it is set.

    `source` is the file, or `TOKFRAME_ALIASES`; `place` is the key in that file, or the variable's entry.
    A relative path in `target` starts at `folder`. `overridden_by` names the source that wins, if another does.
    """

    name: str
    target: str
    source: str
    place: str
    folder: Path
    overridden_by: str = ""


def all_aliases() -> list[Alias]:
    """Return every alias that is set, by precedence: TOKFRAME_ALIASES, ./tokframe.toml, the user's tokframe.toml.

    `TOKFRAME_CONFIG` names one file to read in place of the two. Raises: ConfigError naming the file and key.
    """
    found: list[Alias] = []
    winners: dict[str, str] = {}
    for source in _sources():
        for alias in source:
            found.append(evolve(alias, overridden_by=winners.get(alias.name, "")))
            winners.setdefault(alias.name, alias.source)
    return found


def effective() -> dict[str, Alias]:
    """Return the alias that is used for each name. Raises: as `all_aliases`."""
    return {alias.name: alias for alias in all_aliases() if not alias.overridden_by}


def _sources() -> Iterator[list[Alias]]:
    """Yield the aliases of each source, by precedence."""
    if os.environ.get(ENVIRONMENT):
        yield _from_environment(os.environ[ENVIRONMENT])
    named = os.environ.get(CONFIG)
    if named is None:
        yield _from_file(FILE)
        home = os.environ.get("APPDATA") if os.name == "nt" else os.environ.get("XDG_CONFIG_HOME")
        yield _from_file(os.path.join(home or os.path.expanduser("~/.config"), "tokframe", FILE))
    elif named.strip():
        yield _from_file(named, required=True)


def _from_environment(text: str) -> list[Alias]:
    entries = []
    for number, entry in enumerate(text.split(","), 1):
        if entry.strip():
            name, _, target = (part.strip() for part in entry.partition("="))
            entries.append((f"entry {number}", name, target))
    return _checked(ENVIRONMENT, entries, Path.cwd())


@cache
def _given_once(path: Path) -> bytes:
    """Return what a pipe or device contains, which can be read only once. Raises: OSError."""
    return read_given(path, MAX_FILE_BYTES)


def _from_file(shown: str, required: bool = False) -> list[Alias]:
    """Return the aliases of a file; none where there is no file and none is required."""
    path = expanded(shown).absolute()
    try:
        raw = _given_once(path) if required and not path.is_file() else read_regular(path, MAX_FILE_BYTES)
    except OSError as error:
        if isinstance(error, (FileNotFoundError, NotADirectoryError)) and not required:
            return []
        hint = f"; {CONFIG} names it" if required else ""
        raise ConfigError(shown, [("file", f"cannot be read: {error.strerror or error}{hint}")]) from error
    import tomllib  # not needed by a process without a file

    try:
        data = tomllib.loads(raw.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:  # not TOML, or not UTF-8; or nested too deep for the parser
        raise ConfigError(shown, [("file", f"not valid TOML: {error}")]) from error
    table = data.pop("aliases", {})
    problems = [(key, f'unknown key; aliases are lines under [aliases], as {key} = "word"') for key in data]
    if not isinstance(table, dict):
        problems.append(("aliases", 'expected a table: [aliases], then lines such as production = "word"'))
        table = {}
    return _checked(shown, ((f"aliases.{name}", name, target) for name, target in table.items()), path.parent, problems)


def _checked(
    source: str, entries: Iterable[tuple[str, str, Any]], folder: Path, problems: Iterable[tuple[str, str]] = ()
) -> list[Alias]:
    """Return the aliases of (place, name, target) entries. Raises: ConfigError with all problems."""
    found: dict[str, Alias] = {}
    problems = list(problems)
    for place, name, target in entries:
        if not _NAME.fullmatch(name):
            problems.append((place, f"alias {shortened(name)} is not lower-case words joined by hyphens"))
        elif not isinstance(target, str) or not target.strip() or "\0" in target:
            expected = f"expected {name}=NAME" if source == ENVIRONMENT else f'expected {name} = "NAME"'
            problems.append((place, f"alias {name!r} is {shortened(target)}; {expected}, a registered name or a path"))
        elif name in found:
            problems.append((place, f"alias {name!r} is set twice"))
        else:
            found[name] = Alias(name=name, target=target, source=source, place=place, folder=folder)
    if problems:
        raise ConfigError(source, problems)
    return list(found.values())
