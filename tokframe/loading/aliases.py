"""Names of one's own for tokenizers, as `production = "word"`: from the environment and from small TOML files.

Says what a name stands for; loading what it names is left to `loading`.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attrs import evolve, frozen

from tokframe.errors import ConfigError, NameConflictError, TokframeError, UnknownNameError
from tokframe.plugins.registry import Registry, normal_name

__all__ = ["CONFIG", "ENVIRONMENT", "FILE", "Alias", "all_aliases", "explained", "is_path", "resolve", "unknown"]

#: Aliases as `production=word,next=./mine`; they come before those of files.
ENVIRONMENT = "TOKFRAME_ALIASES"
#: The one file to read instead of the two below; empty for none.
CONFIG = "TOKFRAME_CONFIG"
#: The file's name, in the working directory and in the user's configuration folder.
FILE = "tokframe.toml"

_TABLE = "aliases"
_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")

Problem = tuple[str, str]


@frozen(kw_only=True)
class Alias:
    """One alias as it is set.

    `source` is the file, or `TOKFRAME_ALIASES`; `place` is the line in that file, or the variable's entry.
    A relative path in `target` starts at `folder`. `overridden_by` names the source that wins, if another does.
    """

    name: str
    target: str
    source: str
    place: str
    folder: Path
    overridden_by: str = ""


#: Path -> (signature on disk, aliases), so that a file is parsed once and again when it has changed.
_parsed: dict[str, tuple[tuple[int, int, int], tuple[Alias, ...]]] = {}


def all_aliases() -> list[Alias]:
    """Return every alias that is set, what wins first: TOKFRAME_ALIASES, ./tokframe.toml, the user's tokframe.toml.

    `TOKFRAME_CONFIG` names one file to read in place of the two. Raises: ConfigError naming the file and line.
    """
    found: list[Alias] = []
    winners: dict[str, str] = {}
    for source in _sources():
        for alias in source:
            found.append(evolve(alias, overridden_by=winners[alias.name]) if alias.name in winners else alias)
            winners.setdefault(alias.name, alias.source)
    return found


def resolve(name: str, registry: Registry) -> tuple[str, Alias | None]:
    """Return the registered name or path that `name` stands for, and its alias; any other name as it is.

    Raises: ConfigError for a malformed file or an alias of an alias; NameConflictError for an alias that has the
    name of a registered tokenizer.
    """
    if is_path(name, registry):
        return name, None
    mine = _effective()
    alias = mine.get(name)
    if alias is None:
        return name, None
    claims = [spec.distribution for spec in registry.specs("tokenizer") if spec.name == name]
    if claims:
        raise NameConflictError(
            f"{name!r} is the tokenizer of {' and of '.join(claims)}, and an alias of {alias.target!r} in "
            f"{alias.source} ({alias.place}). Give the alias another name, or say '{claims[0]}/{name}'",
            kind="tokenizer",
            name=name,
            candidates=[*claims, alias.source],
        )
    other = mine.get(alias.target)
    if other is not None:
        raise _chain(alias, other, mine)
    if not is_path(alias.target, registry):
        return alias.target, alias
    return os.path.normpath(alias.folder / Path(alias.target).expanduser()), alias


@contextmanager
def explained(alias: Alias | None) -> Iterator[None]:
    """Note on a TokframeError raised inside that an alias led there."""
    try:
        yield
    except TokframeError as error:
        if alias is not None:
            error.add_note(f"{alias.name!r} is an alias of {alias.target!r}, set in {alias.source} ({alias.place})")
        raise


def unknown(name: str, registry: Registry) -> UnknownNameError:
    """Return the error for a name that is neither registered nor an alias; it suggests of both."""
    return registry.unknown("tokenizer", name, aliases=sorted(_effective()))


def is_path(name: str, registry: Registry) -> bool:
    """Tell a path from a name: it holds a separator, and is no `distribution/name` of something registered."""
    separators = [s for s in (os.sep, os.altsep) if s]
    if not any(s in name for s in separators):
        return False
    head, _, tail = name.partition("/")
    if "/" in tail or head in ("", ".", "..", "~"):
        return True
    known = {(normal_name(s.distribution), s.name) for s in registry.specs("tokenizer")}
    return (normal_name(head), tail) not in known


def _effective() -> dict[str, Alias]:
    return {alias.name: alias for alias in all_aliases() if not alias.overridden_by}


def _chain(alias: Alias, other: Alias, mine: dict[str, Alias]) -> ConfigError:
    """Return the error for an alias of an alias, which names what it could be instead unless it goes in a circle."""
    seen, at = [alias.name], other
    while at.name not in seen and at.target in mine:
        seen.append(at.name)
        at = mine[at.target]
    if at.name in seen:
        route = " -> ".join([*seen[seen.index(at.name) :], at.name])
        text = f"alias {alias.name!r} never comes to a tokenizer: {route}. Name a registered tokenizer or a path"
    else:
        text = (
            f"alias {alias.name!r} names {other.name!r}, which is itself an alias (in {other.source}, {other.place}); "
            f"name the tokenizer: {alias.name} = {at.target!r}"
        )
    return ConfigError(alias.source, [(alias.place, text)])


def _sources() -> Iterator[tuple[Alias, ...]]:
    """Yield the aliases of each source, the strongest first."""
    if os.environ.get(ENVIRONMENT):
        yield _from_environment(os.environ[ENVIRONMENT])
    named = os.environ.get(CONFIG)
    if named is not None:
        if named.strip():
            yield _from_file(named, required=True)
        return
    yield _from_file(FILE)
    yield _from_file(_user_file())


def _user_file() -> str:
    home = os.environ.get("APPDATA") if os.name == "nt" else os.environ.get("XDG_CONFIG_HOME")
    return os.path.join(home or os.path.expanduser("~/.config"), "tokframe", FILE)


def _from_environment(text: str) -> tuple[Alias, ...]:
    found: dict[str, Alias] = {}
    problems: list[Problem] = []
    for number, entry in enumerate(text.split(","), 1):
        if not entry.strip():
            continue
        name, equals, target = (part.strip() for part in entry.partition("="))
        place = f"entry {number}"
        problem = "expected NAME=TARGET, got " + repr(entry.strip()) if not equals else _problem(name, target)
        if not problem and name in found:
            problem = f"{name!r} stands twice"
        if problem:
            problems.append((place, problem))
        else:
            found[name] = Alias(name=name, target=target, source=ENVIRONMENT, place=place, folder=Path.cwd())
    if problems:
        raise ConfigError(ENVIRONMENT, problems)
    return tuple(found.values())


def _from_file(shown: str, required: bool = False) -> tuple[Alias, ...]:
    """Return the aliases of a file, none where there is no file and none is required."""
    path = os.path.abspath(os.path.expanduser(shown))
    try:
        stat = os.stat(path)
        signature = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        known = _parsed.get(path)
        if known is None or known[0] != signature:
            known = _parsed[path] = (signature, _parse(Path(path).read_bytes(), shown, Path(path).parent))
    except OSError as error:
        if isinstance(error, (FileNotFoundError, NotADirectoryError)) and not required:
            return ()
        hint = f"; {CONFIG} names it" if required else ""
        raise ConfigError(shown, [("file", f"cannot be read: {error.strerror or error}{hint}")]) from error
    return known[1]


def _parse(raw: bytes, shown: str, folder: Path) -> tuple[Alias, ...]:
    import tomllib  # which a process without a file never needs

    try:
        text = raw.decode("utf-8-sig")
        data = tomllib.loads(text)
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise ConfigError(shown, [(f"line {line}", "not UTF-8 text")]) from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(shown, [_toml_problem(str(error), text)]) from error
    lines = text.splitlines()
    problems = [(_line(lines, key), _key_problem(key, value)) for key, value in data.items() if key != _TABLE]
    table: Any = data.get(_TABLE, {})
    found: list[Alias] = []
    if not isinstance(table, dict):
        problems.append((_line(lines, _TABLE), f'expected a table: [{_TABLE}], then lines such as production = "word"'))
        table = {}
    for name, target in table.items():
        place = _line(lines, name)
        problem = _problem(name, target)
        if problem:
            problems.append((place, problem))
        else:
            found.append(Alias(name=name, target=target, source=shown, place=place, folder=folder))
    if problems:
        raise ConfigError(shown, problems)
    return tuple(found)


def _problem(name: str, target: Any) -> str:
    """Return what is wrong with an alias in one phrase, or an empty string."""
    if not _NAME.fullmatch(name):
        return f"alias {name!r} is not lower-case words joined by hyphens"
    if not isinstance(target, str) or not target.strip():
        return f'alias {name!r} is {target!r}; expected a registered name or a path, as {name} = "word"'
    return ""


def _key_problem(key: str, value: Any) -> str:
    if isinstance(value, str):
        return f"{key!r} stands outside of the table; write [{_TABLE}] on a line above it"
    near = difflib.get_close_matches(key, [_TABLE], n=1, cutoff=0.5)
    return f"unknown key {key!r}; " + (f"did you mean {near[0]!r}?" if near else f"known keys: {_TABLE}")


def _toml_problem(text: str, source: str) -> Problem:
    """Split tomllib's text into place and problem."""
    match = _PLACE.search(text)
    if match is None:
        return "file", f"not valid TOML: {text}"
    line, column = match.groups()
    place = f"line {line}, column {column}" if line else f"line {source.count(chr(10)) + 1}"
    return place, f"not valid TOML: {text[: match.start()]}"


def _line(lines: list[str], key: str) -> str:
    """Return `line N` of a key, which the TOML reader does not tell."""
    pattern = re.compile(rf"""\s*(?:\[+\s*)?(?:{_TABLE}\s*\.\s*)?["']?{re.escape(key)}["']?\s*[=.\]]""")
    return next((f"line {number}" for number, text in enumerate(lines, 1) if pattern.match(text)), "line 1")
