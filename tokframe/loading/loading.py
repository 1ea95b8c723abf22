"""load, create, save, train: the functions that join registry, config and artifact.

What a name refers to is resolved in `reference`; a tokenizer is built from a checked artifact in `building`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from tokframe.errors import ConfigError, UnsupportedError
from tokframe.loading.aliases import effective
from tokframe.loading.building import build, tokenizer_class
from tokframe.loading.reference import Reference, explained, resolve
from tokframe.plugins.discovery import host
from tokframe.plugins.registry import warn_if_deprecated
from tokframe.storage import artifact
from tokframe.storage.paths import named
from tokframe.storage.strictjson import read_json, shortened
from tokframe.tokenizer.base import ITokenizer
from tokframe.training import torchrun as processes
from tokframe.training.progress import AUTO, SILENT, Reporter, shows_progress

if TYPE_CHECKING:
    from tokframe.corpus.files import Corpus

__all__ = ["create", "extend", "load", "prune", "reload_aliases", "save", "train"]

#: Alias to tokenizer since the last `reload_aliases`; replaced as a whole, never changed.
_switched: Mapping[str, ITokenizer] = MappingProxyType({})
MAX_SEED = 2**63  # every random generator takes what is below


def load(name: str | os.PathLike[str]) -> ITokenizer:
    """Load a trained tokenizer: the one a registered name ships, or the artifact at a path.

    A path holds a separator (`./mine`) or is a `Path`; anything else is a registered name, `name` or
    `distribution/name`, or an alias of either (`tokframe aliases`). Works offline.

    Raises: UnknownNameError; ArtifactError and its kinds; MissingPluginError if a component's plugin is not here;
    ConfigError for malformed aliases.
    """
    if isinstance(name, str) and (switched := _switched.get(name)) is not None:
        return switched
    return _loaded(resolve(name))


def _loaded(reference: Reference) -> ITokenizer:
    path = reference.folder()
    if reference.spec is not None:
        warn_if_deprecated(reference.spec)  # before `build`, which could only name the artifact that uses it
    with explained(reference.alias):
        return build(artifact.read(path))


def reload_aliases() -> Mapping[str, ITokenizer]:
    """Read the aliases anew, load the tokenizers that they refer to, and switch to all of them at once.

    From then on `load(ALIAS)` returns the tokenizer loaded here, at no cost, until the next call: a service calls this
    at its start and whenever its aliases have changed, and `load` for each request. A request keeps what it was given;
    one that uses several aliases takes them from the returned mapping, which is never half of a switch. Tokenizers
    that an alias still refers to in the same way are loaded anew too, so that a replaced folder is seen.

    Raises: as `load`; nothing is switched then.
    """
    global _switched
    found = {name: _loaded(resolve(name)) for name in sorted(effective())}
    _switched = MappingProxyType(found)
    return _switched


def create(name: str, config: Mapping[str, Any] | None = None) -> ITokenizer:
    """Build an untrained tokenizer of a registered name, or an alias of one, from a config.

    Raises: UnknownNameError; ConfigError; UnsupportedError where the tokenizer only comes out of training.
    """
    from tokframe.plugins.protocols import Creatable  # which loading does without

    spec = resolve(name).registered("create")
    target = tokenizer_class(spec)
    if not isinstance(target, Creatable):
        raise UnsupportedError(
            f"{name!r} only comes out of training: tokframe train {name} --corpus FILE --out DIR", capability="create"
        )
    tokenizer: ITokenizer = target.from_config(_object(config, "tokframe.create"))
    tokenizer.name = host().registry.reference(spec)
    return tokenizer


def save(tokenizer: ITokenizer, path: str | Path, *, overwrite: bool = False) -> Path:
    """Write a tokenizer as an artifact folder. Raises: ArtifactExistsError; ArtifactError; UnknownNameError."""
    return tokenizer.save(path, overwrite=overwrite)


@shows_progress
def train(
    name: str,
    *,
    corpus: Corpus | str | Path | Sequence[str | Path],
    out: str | Path,
    config: Mapping[str, Any] | str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    reporter: Reporter | None = AUTO,
    should_stop: Callable[[], bool] | None = None,
    device: str | None = None,
    seed: int | None = None,
    vocab_size: int | None = None,
    vocabulary: str | os.PathLike[str] | None = None,
) -> ITokenizer:
    """Train a registered tokenizer, or an alias of one, and save it at `out`; until then checkpoints are kept at
    `out` + ".training". `config` is JSON data or a file of it. A `vocab_size` takes the place of that in the config;
    `vocabulary`, a name or a path, is a tokenizer whose ids are kept (UnsupportedError where NAME always learns its
    own). Processes that torchrun started together train together, and the first of them writes.

    Raises: ArtifactExistsError or ArtifactError, before any work, if `out` may not be written; ConfigError;
    CorpusError; TrainingError; TrainingInterrupted when `should_stop` became true; without one, KeyboardInterrupt for
    Ctrl-C, after a checkpoint.
    """
    from tokframe.training.interruption import interruptible
    from tokframe.training.job import TrainJob
    from tokframe.training.run_folder import run_folder, without_output

    registry = host().registry
    spec = resolve(name).registered("train")
    if not spec.trainable:
        raise UnsupportedError(f"{name!r} has no training", capability="train")
    if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < MAX_SEED):
        raise ConfigError("tokframe.train", [("seed", f"expected a whole number from 0 to 2^63 - 1, got {seed!r:.60}")])
    kind = tokenizer_class(spec)
    if processes.count() > 1 and not kind.trains_in_processes:
        raise UnsupportedError(
            f"{name!r} is trained by one process, and {processes.count()} were started together. Run the command "
            "without torchrun",
            capability="train",
        )
    settings = _object(read_json(config, given=True) if isinstance(config, (str, Path)) else config, "tokframe.train")
    base = None if vocabulary is None else _base(name, kind, vocabulary, vocab_size)
    if vocab_size is not None:
        settings = kind.sized_config(settings, vocab_size, registry, spec.defaults)
    out = named(out)  # training takes long, and the process may stand elsewhere at its end
    resume, reporter = resume or processes.restarted(), reporter or SILENT
    place = run_folder(out, artifact.FORMAT, resume=resume, overwrite=overwrite, reporter=reporter)
    with interruptible(should_stop) as stop, place as workdir:
        job = TrainJob(
            corpus=without_output(corpus, out, reporter),
            config=settings,
            workdir=workdir,
            registry=registry,
            resume=resume,
            reporter=reporter,
            should_stop=stop,
            device=device,
            seed=seed,
            name=registry.reference(spec),
            vocabulary=base,
        )
        tokenizer: ITokenizer = kind.train(job)
        tokenizer.name = registry.reference(spec)
        if processes.is_first():
            tokenizer.save(out, overwrite=overwrite)
    return tokenizer


@shows_progress
def extend(
    name: str | os.PathLike[str],
    *,
    corpus: Corpus | str | Path | Sequence[str | Path],
    out: str | Path,
    vocab_size: int,
    overwrite: bool = False,
    reporter: Reporter | None = AUTO,
    should_stop: Callable[[], bool] | None = None,
) -> ITokenizer:
    """Give a tokenizer, by name or path, more ids for a corpus, up to `vocab_size`, and save it at `out`.

    The ids it has stay as they are; new ones follow them. Keeps no checkpoint. Raises: as `load`;
    ArtifactExistsError or ArtifactError, before any work, if `out` may not be written; ConfigError for a size that is
    no larger; CorpusError; TrainingError if no segment saves anything; UnsupportedError for a tokenizer of a kind that
    cannot; TrainingInterrupted when `should_stop` became true.
    """
    from tokframe.plugins.protocols import Extendable
    from tokframe.training.interruption import interruptible
    from tokframe.training.job import TrainJob
    from tokframe.training.run_folder import without_output

    out, reporter = named(out), reporter or SILENT
    with interruptible(should_stop) as stop, artifact.FORMAT.claiming(out, overwrite=overwrite):
        tokenizer = load(name)
        if not isinstance(tokenizer, Extendable):
            raise UnsupportedError(
                f"{name} cannot be given more ids. Train it again, on its text and yours together: "
                f"tokframe train {tokenizer.name} --vocab-size {shortened(vocab_size)} --corpus PATH... --out DIR",
                capability="extend",
            )
        job = TrainJob(
            corpus=without_output(corpus, out, reporter),
            config={},
            workdir=Path(out),
            registry=host().registry,
            reporter=reporter,
            should_stop=stop,
            name=tokenizer.name,
        )
        made: ITokenizer = tokenizer.extend(job, vocab_size)
        made.save(out, overwrite=overwrite)
    return made


def _base(name: str, kind: type[ITokenizer], vocabulary: str | os.PathLike[str], vocab_size: int | None) -> ITokenizer:
    """Return the tokenizer whose ids are kept. Raises: UnsupportedError; ConfigError; as `load`."""
    if not kind.trains_over_vocabulary:
        raise UnsupportedError(
            f"{name!r} learns a vocabulary of its own. For codes and vectors of the ids of {os.fspath(vocabulary)!r}: "
            "tokframe train autoencoder-fsq --vocabulary NAME --corpus FILE --out DIR",
            capability="vocabulary",
        )
    if vocab_size is not None:
        text = "is given beside a vocabulary, whose ids are kept as they are; leave one of the two out"
        raise ConfigError("tokframe.train", [("vocab_size", text)])
    return load(vocabulary)


def prune(name: str | os.PathLike[str], *, vocab_size: int, out: str | Path, overwrite: bool = False) -> ITokenizer:
    """Make a tokenizer, by name or path, smaller, and save it at `out`: the ids that matter most, numbered anew.

    Codes and network of a learned tokenizer stay as they are. Raises: as `load`; ArtifactExistsError or ArtifactError,
    before any work, if `out` may not be written; EncodingError for a size that is none; UnsupportedError for a
    tokenizer that does not know the order of its ids.
    """
    from tokframe.plugins.protocols import Prunable

    with artifact.FORMAT.claiming(out, overwrite=overwrite):
        tokenizer = load(name)
        if not isinstance(tokenizer, Prunable):
            raise UnsupportedError(
                f"{name} cannot be made smaller. Train it again: tokframe train {tokenizer.name} --vocab-size "
                f"{shortened(vocab_size)} --corpus PATH... --out DIR",
                capability="prune",
            )
        made: ITokenizer = tokenizer.prune(vocab_size)
        made.save(out, overwrite=overwrite)
    return made


def _object(config: Mapping[str, Any] | None, source: str) -> dict[str, Any]:
    """Return a config as the object that JSON has. Raises: ConfigError."""
    if config is None:
        return {}
    if not isinstance(config, Mapping) or not all(isinstance(key, str) for key in config):
        raise ConfigError(source, [("config", f"expected an object with names as keys, got {shortened(config)}")])
    return dict(config)
