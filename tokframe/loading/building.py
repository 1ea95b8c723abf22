"""build: a tokenizer from a checked artifact. Resolves the names in its manifest, migrates an older state."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from attrs import evolve

from tokframe.errors import (
    ArtifactVersionError,
    InvalidSpecError,
    MissingPluginError,
    UnknownNameError,
)
from tokframe.plugins.discovery import host
from tokframe.plugins.registry import Registry, TokenizerSpec, import_target, load_target, warn_if_deprecated
from tokframe.storage import artifact
from tokframe.storage.advice import install_advice, install_command
from tokframe.storage.state import ComponentUse, State
from tokframe.tokenizer.base import ITokenizer

__all__ = ["build", "tokenizer_class"]


def build(found: artifact.Artifact) -> ITokenizer:
    """Resolve the names in a checked artifact's manifest and build its tokenizer. Raises: as `loading.load`."""
    registry = host().registry
    head = found.tokenizer
    spec = _resolve(found, registry, "tokenizer", head)
    uses = []
    for part in found.components:
        resolved = _resolve(found, registry, part["kind"], part)
        warn_if_deprecated(resolved, used_by=str(found.path))
        uses.append(ComponentUse(section=part["section"], kind=part["kind"], name=registry.reference(resolved)))
    assert isinstance(spec, TokenizerSpec)  # asked for by kind
    warn_if_deprecated(spec, used_by=str(found.path))
    target = tokenizer_class(spec)
    state = evolve(found.state, components=tuple(uses))
    version = head.get("version", 1)
    current = target.state_version
    if version != current:
        state = _migrate(found, state, spec, version, current)
    tokenizer: ITokenizer = target.from_state(state)
    tokenizer.name = registry.reference(spec)
    return tokenizer


def tokenizer_class(spec: TokenizerSpec) -> type[ITokenizer]:
    """Import the class of a tokenizer. Raises: ComponentImportError; InvalidSpecError where it is no ITokenizer."""
    found = load_target(spec)
    if not (isinstance(found, type) and issubclass(found, ITokenizer)):
        raise InvalidSpecError(
            f"target {spec.target!r} of tokenizer {spec.name!r} from {spec.distribution} is not a class derived from "
            "tokframe.ITokenizer",
            kind=spec.kind,
            name=spec.name,
        )
    return found


def _resolve(found: artifact.Artifact, registry: Registry, kind: str, entry: Mapping[str, Any]) -> Any:
    """Return the spec of an artifact's entry: that of the recorded distribution, else the only one of that name."""
    name, distribution = entry["name"], entry.get("distribution", "")
    for candidate in [f"{distribution}/{name}", name] if distribution else [name]:
        with suppress(UnknownNameError):
            return registry.get(kind, candidate)
    who = f"{distribution or 'an unnamed plugin'} {entry.get('distribution_version', '')}".rstrip()
    raise MissingPluginError(
        f"{found.path} says that it needs {kind} {name!r} of {who}, which is not installed or not loaded. "
        f"{install_advice(distribution)}. Status of plugins: tokframe plugins",
        path=found.path,
        needs=[distribution],
    )


def _migrate(found: artifact.Artifact, state: State, spec: TokenizerSpec, version: Any, current: int) -> State:
    """Migrate an older state to the current version, step by step."""
    if isinstance(version, bool) or not isinstance(version, int) or version > current:
        raise ArtifactVersionError(
            f"{found.path} holds {spec.name!r} of version {version!r}, and the installed {spec.distribution} reads up "
            f"to {current}. Upgrade: {install_command(spec.distribution, options=['--upgrade'])}",
            path=found.path,
            found=version if isinstance(version, int) else 0,
            supported=current,
        )
    steps = {m.from_version: m for m in host().migrations(spec.distribution) if m.tokenizer == spec.name}
    while version < current:
        step = steps.get(version)
        if step is None:
            raise ArtifactVersionError(
                f"{found.path} holds {spec.name!r} of version {version}; no installed plugin migrates it to {current}",
                path=found.path,
                found=version,
                supported=current,
            )
        state = import_target(step.target)(state)
        version += 1
    return state
