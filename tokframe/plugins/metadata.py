"""Metadata of installed distributions: entry points of plugins, their requirement on tokframe, editable installs."""

from __future__ import annotations

import json
import os
import re
import stat
import warnings
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from attrs import frozen

from tokframe._version import __version__
from tokframe.plugins.registry import normal_name

__all__ = ["GROUP", "Identity", "PluginWarning", "identity", "incompatible", "installed", "location"]

#: The entry-point group of plugins.
GROUP = "tokframe"
_ON_US = re.compile(r"tokframe(?![-_.]*[a-z0-9])", re.IGNORECASE)
_PLAIN = re.compile(r"tokframe\s*\(?\s*((?:(?:>=|<)\s*\d+(?:\.\d+)*\s*,?\s*)*)\)?", re.IGNORECASE)
#: A name of PEP 508.
_NAME = re.compile(r"[A-Z0-9](?:[A-Z0-9._-]*[A-Z0-9])?", re.IGNORECASE)
#: What follows the name in a folder's; older tools left hyphens in names.
_VERSION = re.compile(r"(?:-\d[^-]*)?(?:-py\d[^-]*)?$")
_NUMBERS = re.compile(r"\d+(?:\.\d+)*")
#: Where a distribution's name, version and requirements are; the second and the third, the folder itself, are older.
_FIELDS = ("METADATA", "PKG-INFO", "")


class PluginWarning(UserWarning):
    """A problem of an installed plugin that the user should know of."""


def installed() -> list[tuple[metadata.EntryPoint, metadata.Distribution]]:
    """Return the entry points of the group; of distributions of one name the first sound one on the path counts."""
    seen: set[str] = set()
    found = []
    for distribution in metadata.distributions():
        try:
            name = _folder_name(distribution) or normal_name(_fields(distribution)["Name"] or "")
            if not name or name in seen:
                continue
            # Parsing the entry points of every distribution would take longer than all the rest of a start.
            if f"[{GROUP}]" in _text(distribution, "entry_points.txt"):
                found += [(point, distribution) for point in distribution.entry_points if point.group == GROUP]
                if identity(distribution).problem:
                    continue
            seen.add(name)
        except Exception as error:  # another distribution's damaged metadata must not hide all plugins
            where = getattr(distribution, "_path", "an installed distribution")
            warnings.warn(f"the metadata of {where} cannot be read: {error}", PluginWarning, stacklevel=2)
    return found


def _text(distribution: metadata.Distribution, name: str) -> str:
    """Return a file of metadata, or "". Raises: as `_check_files`; whatever else metadata may make Python raise."""
    _check_files(distribution, name)
    return distribution.read_text(name) or ""


def _fields(distribution: metadata.Distribution) -> metadata.PackageMetadata:
    """Return name, version and the like. Raises: as `_text`."""
    _check_files(distribution, *_FIELDS)
    return distribution.metadata


def _check_files(distribution: metadata.Distribution, *names: str) -> None:
    """Raises: OSError where a file is a pipe or a device, for which `importlib.metadata` would wait."""
    folder: Any = getattr(distribution, "_path", None)
    for name in names if isinstance(folder, Path) else ():  # else it is in an archive
        try:
            mode = os.stat(folder / name).st_mode
        except OSError:  # mostly, there is no such file
            continue
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise OSError(f"{name or folder.name} is not a regular file")


def _folder_name(distribution: metadata.Distribution) -> str:
    """Return the normal name that a distribution's folder has: `acme_x-1.0.dist-info`, `acme_x.egg-info`, an egg."""
    path = getattr(distribution, "_path", None)
    if path is not None and path.name.lower() == "egg-info":  # inside an egg
        path = path.parent
    stem, _, kind = str(getattr(path, "name", "")).rpartition(".")
    if kind.lower() not in ("dist-info", "egg-info", "egg"):  # Python finds them in any case of letters
        return ""
    return normal_name(_VERSION.sub("", stem))


@frozen(kw_only=True)
class Identity:
    """A distribution's name and version as allow and deny lists, registry and artifacts know it.

    `problem` says why its metadata cannot be trusted, or is empty.
    """

    name: str
    version: str = ""
    problem: str = ""


def identity(distribution: metadata.Distribution) -> Identity:
    """Return who a distribution is: its folder's name and what its metadata says have to be one name."""
    name = _folder_name(distribution)
    try:
        fields = _fields(distribution)
        claimed, version = str(fields["Name"] or "").strip(), str(fields["Version"] or "").strip()
    except Exception as error:  # metadata may be anything
        return Identity(name=name, problem=f"its metadata cannot be read: {error}")
    if not claimed:
        problem = "its metadata has no Name: what an interrupted uninstall left behind, perhaps"
    elif not _NAME.fullmatch(claimed):
        problem = f"its metadata calls it {claimed!r}, which is not a name"
    elif name and name != normal_name(claimed):
        problem = f"its metadata says that it is {claimed!r}, and its folder that it is {name!r}"
    else:
        return Identity(name=claimed, version=version)
    return Identity(name=name, version=version, problem=f"{problem}. Remove or reinstall it")


def incompatible(distribution: metadata.Distribution) -> str:
    """Return why the distribution's own requirement on tokframe is not met, or an empty string."""
    requirements = [r for r in distribution.requires or () if _ON_US.match(r) and not _plainly_met(r)]
    if not requirements:
        return ""
    from packaging.requirements import InvalidRequirement, Requirement

    for text in requirements:
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            return f"its requirement {text!r} cannot be read"
        if normal_name(requirement.name) != "tokframe" or (requirement.marker and not requirement.marker.evaluate()):
            continue
        if not requirement.specifier.contains(__version__, prereleases=True):
            return f"needs tokframe{requirement.specifier}, this is {__version__}"
    return ""


def _plainly_met(requirement: str) -> bool:
    """Return whether a requirement of plain bounds is surely met; importing packaging takes longer than discovery."""
    plain = _PLAIN.fullmatch(requirement)
    if not plain or not _NUMBERS.fullmatch(__version__):
        return False
    mine = _numbers(__version__)
    bounds = [part.strip() for part in plain[1].split(",") if part.strip()]
    return all(mine >= _numbers(b[2:]) if b.startswith(">=") else mine < _numbers(b[1:]) for b in bounds)


def _numbers(version: str) -> tuple[int, ...]:
    found = [int(part) for part in version.strip().split(".")]
    while found and not found[-1]:  # 1.0 and 1 are one version
        found.pop()
    return tuple(found)


def location(distribution: metadata.Distribution) -> str:
    """Return the source folder of an editable install, or "" for an ordinary one."""
    try:
        direct = json.loads(_text(distribution, "direct_url.json") or "{}")
        if direct.get("dir_info", {}).get("editable"):
            return unquote(str(direct.get("url", "")).removeprefix("file://"))
    except (ValueError, OSError, AttributeError):  # the file is another tool's
        pass
    return ""
