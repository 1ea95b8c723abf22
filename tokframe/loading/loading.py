"""load, create, save, train: the one place where registry, config and artifact meet.

How a checked artifact becomes a tokenizer again is in `building`.
"""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokframe.errors import ArtifactNotFoundError, UnknownNameError, UnsupportedError
from tokframe.loading import aliases
from tokframe.loading.building import build
from tokframe.plugins.discovery import host
from tokframe.plugins.registry import Registry, TokenizerSpec, load_target, warn_if_deprecated
from tokframe.storage import artifact
from tokframe.tokenizer.base import ITokenizer
from tokframe.training import torchrun as processes
from tokframe.training.progress import Reporter, SilentReporter, never_stop

if TYPE_CHECKING:
    import os

    from tokframe.corpus.files import Corpus

__all__ = ["build", "create", "load", "registered", "save", "train", "where"]


def load(name: str | os.PathLike[str]) -> ITokenizer:
    """Load a trained tokenizer: the one a registered name ships, or the artifact at a path.

    A path holds a separator (`./mine`) or is a `Path`; anything else is a registered name, `name` or
    `distribution/name`, or an alias of either (`tokframe aliases`). Works offline.

    Raises: UnknownNameError; ArtifactError and its kinds; MissingPluginError if a component's plugin is not here;
    ConfigError for malformed aliases.
    """
    real, alias = _meant(name)
    with aliases.explained(alias):
        path, spec = _place(real)
        if spec is not None:
            warn_if_deprecated(spec)  # before `build`, which could only say that some artifact uses it
        return build(artifact.read(path))


def create(name: str, config: Mapping[str, Any] | None = None) -> ITokenizer:
    """Build an untrained tokenizer of a registered name, or an alias of one, from a config.

    Raises: UnknownNameError; ConfigError; UnsupportedError where the tokenizer only comes out of training.
    """
    registry = host().registry
    spec = registered(name, "create")
    build = getattr(load_target(spec), "from_config", None)
    if build is None:
        raise UnsupportedError(
            f"{name!r} only comes out of training: tokframe train {name} --corpus FILE --out DIR", capability="create"
        )
    tokenizer: ITokenizer = build(dict(config or {}))
    tokenizer.name = registry.reference(spec)
    return tokenizer


def save(tokenizer: ITokenizer, path: str | Path, *, overwrite: bool = False) -> Path:
    """Write a tokenizer as an artifact folder. Raises: ArtifactExistsError; ArtifactError; UnknownNameError."""
    return tokenizer.save(path, overwrite=overwrite)


def train(
    name: str,
    *,
    corpus: Corpus | Sequence[str | Path],
    out: str | Path,
    config: Mapping[str, Any] | None = None,
    resume: bool = False,
    overwrite: bool = False,
    reporter: Reporter | None = None,
    should_stop: Callable[[], bool] | None = None,
    device: str | None = None,
    seed: int | None = None,
) -> ITokenizer:
    """Train a registered tokenizer, or an alias of one, and save it at `out`; until then checkpoints are kept at
    `out` + ".training". Processes that torchrun started together train together, and the first of them writes.

    Raises: ArtifactExistsError or ArtifactError, before any work, if `out` may not be written; ConfigError;
    CorpusError; TrainingError; TrainingInterrupted when `should_stop` became true.
    """
    from tokframe.corpus.files import Corpus
    from tokframe.training.job import TrainJob

    registry = host().registry
    spec = registered(name, "train")
    if not spec.trainable:
        raise UnsupportedError(f"{name!r} has no training", capability="train")
    kind = load_target(spec)
    if processes.count() > 1 and not kind.trains_in_processes:
        raise UnsupportedError(
            f"{name!r} is trained by one process, and {processes.count()} were started together. Run the command "
            "without torchrun",
            capability="train",
        )
    target = Path(out)
    artifact.check_place(target, overwrite=overwrite)
    job = TrainJob(
        corpus=corpus if isinstance(corpus, Corpus) else Corpus.open(corpus),
        config=dict(config or {}),
        workdir=target.with_name(target.name + ".training"),
        registry=registry,
        resume=resume or processes.restarted(),
        reporter=reporter or SilentReporter(),
        should_stop=should_stop or never_stop,
        device=device,
        seed=seed,
        name=spec.name,
    )
    tokenizer: ITokenizer = kind.train(job)
    tokenizer.name = registry.reference(spec)
    if processes.is_first():
        tokenizer.save(target, overwrite=overwrite)
        shutil.rmtree(job.workdir, ignore_errors=True)  # all that counts is in the artifact now
    return tokenizer


def where(name: str | os.PathLike[str]) -> tuple[Path, TokenizerSpec | None]:
    """Return the folder that `load(name)` reads, and the spec if `name` is a registered one or an alias of one.

    Raises: UnknownNameError; ArtifactNotFoundError for a name that ships no trained tokenizer; ConfigError for
    malformed aliases.
    """
    real, alias = _meant(name)
    with aliases.explained(alias):
        return _place(real)


def registered(name: str, capability: str = "") -> TokenizerSpec:
    """Return the spec of a registered name or of an alias of one. Raises: UnknownNameError; UnsupportedError for an
    alias of a path; ConfigError for malformed aliases.
    """
    registry = host().registry
    real, alias = aliases.resolve(name, registry)
    with aliases.explained(alias):
        if alias is not None and aliases.is_path(real, registry):
            raise UnsupportedError(
                f"{name!r} stands for the saved tokenizer {real}, and {capability or 'this'} takes a registered name "
                "(tokframe components --kind tokenizer)",
                capability=capability,
            )
        return _spec(real, registry)


def _meant(name: str | os.PathLike[str]) -> tuple[str | Path, aliases.Alias | None]:
    """Return what a name stands for, a Path where it is one, and the alias that says so."""
    if not isinstance(name, str):
        return Path(name), None
    registry = host().registry
    real, alias = aliases.resolve(name, registry)
    return (Path(real) if aliases.is_path(real, registry) else real), alias


def _spec(name: str, registry: Registry) -> TokenizerSpec:
    try:
        return registry.tokenizer(name)
    except UnknownNameError:
        raise aliases.unknown(name, registry) from None


def _place(name: str | Path) -> tuple[Path, TokenizerSpec | None]:
    """Return the folder of a path or of a registered name. Raises: as `where`."""
    if isinstance(name, Path):
        return name, None
    try:
        spec = _spec(name, host().registry)
    except UnknownNameError as error:
        if Path(name).is_dir():
            raise UnknownNameError(
                f"{error} There is a folder of that name: to load it say './{name}'",
                kind=error.kind,
                name=error.name,
                suggestions=error.suggestions,
                unavailable=error.unavailable,
            ) from None
        raise
    if not spec.artifact:
        raise ArtifactNotFoundError(
            f"{name!r} ships no trained tokenizer. Train one: tokframe train {name} --corpus FILE --out DIR, "
            "then load the folder by its path"
        )
    package, _, folder = spec.artifact.partition(":")
    found = importlib.util.find_spec(package)
    locations = list(found.submodule_search_locations or ()) if found else []
    if not locations:
        raise ArtifactNotFoundError(f"{name!r} ships its tokenizer in package {package!r}, which is not installed")
    return Path(locations[0]) / folder, spec
