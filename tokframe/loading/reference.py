"""Reference: what a user's NAME refers to, a saved tokenizer's folder or a registered tokenizer, resolved once."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from attrs import frozen

from tokframe.errors import (
    ArtifactNotFoundError,
    ConfigError,
    NameConflictError,
    TokframeError,
    UnknownNameError,
    UnsupportedError,
)
from tokframe.loading.aliases import Alias, effective
from tokframe.plugins.discovery import host
from tokframe.plugins.registry import Registry, TokenizerSpec, normal_name
from tokframe.storage.advice import FIRST_PARTY
from tokframe.storage.paths import expanded

__all__ = ["Reference", "explained", "resolve"]


@frozen
class Reference:
    """A folder or a registered tokenizer, and the alias that led to it, if one did."""

    name: str
    target: Path | TokenizerSpec
    alias: Alias | None = None

    @property
    def spec(self) -> TokenizerSpec | None:
        """The registered tokenizer; None for a folder."""
        return None if isinstance(self.target, Path) else self.target

    def folder(self) -> Path:
        """Return the folder to load from. Raises: ArtifactNotFoundError for a name that ships no trained tokenizer."""
        if isinstance(self.target, Path):
            return self.target
        with explained(self.alias):
            name = self.alias.target if self.alias else self.name
            if not self.target.artifact:
                raise ArtifactNotFoundError(
                    f"{name!r} ships no trained tokenizer. Train one: tokframe train {name} --corpus FILE --out DIR, "
                    "then load the folder by its path"
                )
            package, _, folder = self.target.artifact.partition(":")
            found = importlib.util.find_spec(package)
            if not found or not found.submodule_search_locations:
                raise ArtifactNotFoundError(
                    f"{name!r} ships its tokenizer in package {package!r}, which is not installed"
                )
            return Path(found.submodule_search_locations[0]) / folder

    def registered(self, capability: str) -> TokenizerSpec:
        """Return the registered tokenizer, which `capability` needs. Raises: UnsupportedError for a folder."""
        if isinstance(self.target, Path):
            with explained(self.alias):
                raise UnsupportedError(
                    f"{self.name!r} refers to the saved tokenizer {self.target}, and {capability} needs a registered "
                    "name (tokframe components --kind tokenizer)",
                    capability=capability,
                )
        return self.target


def resolve(name: str | os.PathLike[str]) -> Reference:
    """Return what a registered name, an alias of one or of a path, or a path refers to.

    Raises: UnknownNameError; ConfigError for a malformed file or an alias of an alias; NameConflictError for an alias
    that has the name of a registered tokenizer, and for a name that two plugins claim, neither of this project.
    """
    registry = host().registry
    if not isinstance(name, str) or _is_path(name, registry):
        return Reference(str(name), expanded(name))
    aliases = effective()
    alias = aliases.get(name)
    if alias is not None:
        _check_alias(alias, aliases, registry)
        if _is_path(alias.target, registry):
            target = os.path.normpath(alias.folder / expanded(alias.target))
            return Reference(name, Path(target), alias)
    real = alias.target if alias else name
    with explained(alias):
        try:
            return Reference(name, registry.tokenizer(real, FIRST_PARTY), alias)
        except UnknownNameError:
            error = registry.unknown("tokenizer", real, aliases=sorted(aliases))
            if os.path.isdir(real):
                import shlex

                error.add_note(f"There is a folder of that name; to load it, use {shlex.quote(f'./{real}')}")
            raise error from None


@contextmanager
def explained(alias: Alias | None) -> Iterator[None]:
    """Add to a TokframeError a note of the alias that led there, if one did."""
    try:
        yield
    except TokframeError as error:
        if alias is not None:
            error.add_note(f"{alias.name!r} is an alias of {alias.target!r}, set in {alias.source} ({alias.place})")
        raise


def _is_path(name: str, registry: Registry) -> bool:
    """Return whether it holds a separator and is not the `distribution/name` of a registered tokenizer."""
    if os.sep not in name and (os.altsep or os.sep) not in name:
        return False
    head, _, tail = name.partition("/")
    if "/" in tail or head in ("", ".", "..", "~"):
        return True
    return (normal_name(head), tail) not in {
        (normal_name(spec.distribution), spec.name) for spec in registry.specs("tokenizer")
    }


def _check_alias(alias: Alias, aliases: dict[str, Alias], registry: Registry) -> None:
    """Raises: NameConflictError for the name of a registered tokenizer; ConfigError for an alias of an alias."""
    claims = [spec.distribution for spec in registry.specs("tokenizer") if spec.name == alias.name]
    if claims:
        raise NameConflictError(
            f"{alias.name!r} is the tokenizer of {' and of '.join(claims)}, and an alias of {alias.target!r} in "
            f"{alias.source} ({alias.place}). Rename the alias, or use '{claims[0]}/{alias.name}'",
            kind="tokenizer",
            name=alias.name,
            candidates=[*claims, alias.source],
        )
    other = aliases.get(alias.target)
    if other is not None:
        text = (
            f"alias {alias.name!r} refers to {other.name!r}, which is itself an alias of {other.target!r} (in "
            f"{other.source}, {other.place}); an alias must refer to a registered name or a path"
        )
        raise ConfigError(alias.source, [(alias.place, text)])
