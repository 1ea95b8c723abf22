"""Parts: a whole config resolved to encoder, quantizer and decoder, and the network they make.

A section may name its component, `"component": "name"` or `"distribution/name"`; without it the tokenizer's default is
used. The quantizer's section may also bear the quantizer's name: `"fsq": {...}`, `"vq": {...}`.
"""

from __future__ import annotations

import difflib
from collections.abc import Container, Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from attrs import evolve, fields_dict, frozen
from tokframe_dictionary.mining.config import MiningConfig
from tokframe_dictionary.mining.config import SelectionConfig as DictionarySelectionConfig
from tokframe_dictionary.segmenter.reference import MAX_SEGMENT_BYTES
from tokframe_dictionary.vocabulary.table import FIRST_LEARNED, corrupt

from tokframe import setting
from tokframe.errors import ConfigError, PluginBrokenError, UnknownNameError
from tokframe.plugins.registry import ComponentSpec, Registry, call_target, load_config, load_target
from tokframe.storage.advice import FIRST_PARTY
from tokframe.storage.config import problems_of, unstructure
from tokframe.storage.settings import Problem
from tokframe.storage.state import ComponentUse
from tokframe.storage.strictjson import shortened
from tokframe_autoencoder.training.config import TrainingConfig

if TYPE_CHECKING:
    from tokframe_autoencoder.network.autoencoder import Autoencoder

__all__ = ["OWN_SECTIONS", "Part", "Parts", "SelectionConfig", "SizeConfig", "resolve", "sized"]


@frozen(kw_only=True)
class SelectionConfig(DictionarySelectionConfig):
    """Section `selection`: how the vocabulary is pruned and searched, and how many segments are trained for it."""

    #: segments trained beyond those needed, in case the network does not learn them all
    spare: float = setting(0.06, at_least=0, at_most=4)


@frozen(kw_only=True)
class SizeConfig:
    """The keys outside of sections."""

    #: ids to compile, special tokens and single bytes included; a small corpus may give fewer
    vocab_size: int = setting(32768, above=0, at_most=2**31 - 1)


_KINDS = ("encoder", "quantizer", "decoder")
#: The sections that are no component's, with their classes.
OWN_SECTIONS: Mapping[str, type[Any]] = {
    "training": TrainingConfig,
    "mining": MiningConfig,
    "selection": SelectionConfig,
}
_WEIGHTS = "weights.safetensors"
_DEFAULT_LATENT = 256
_DEFAULT_LENGTH = 16


@frozen(kw_only=True)
class Part:
    """One component as configured: its section, the name that finds it again, spec, config (None if it has none)."""

    section: str
    name: str
    spec: ComponentSpec
    config: Any

    @property
    def title(self) -> str:
        """The part in a message: kind, name and distribution."""
        return f"{self.spec.kind} {self.spec.name!r} of {self.spec.distribution}"

    def built(self, make: Any, **sizes: int) -> Any:
        """Return the part, made by its class.

        Raises: ConfigError if the memory is too small for it; PluginBrokenError for a class that cannot be called so.
        """
        try:
            return call_target(self.spec, make, self.config, **sizes)
        except (MemoryError, RuntimeError) as error:
            if "memory" not in f"{type(error).__name__} {error}".lower():
                raise
            text = f"{self.spec.kind} {self.spec.name!r} of this size does not fit into memory; set smaller numbers"
            raise ConfigError("config", [(f"$.{self.section}", text)]) from error


@frozen(kw_only=True)
class Parts:
    """A whole autoencoder config, checked."""

    encoder: Part
    quantizer: Part
    decoder: Part
    training: TrainingConfig
    mining: MiningConfig
    selection: SelectionConfig
    vocab_size: int  #: number of ids to compile
    sized_inside: bool  #: whether the config says so in the quantizer's section, as older ones do

    @property
    def d_latent(self) -> int:
        """Width of the latent between encoder, quantizer and decoder."""
        return int(getattr(self.encoder.config, "d_latent", getattr(self.decoder.config, "d_latent", _DEFAULT_LATENT)))

    @property
    def max_length(self) -> int:
        """Longest segment in bytes."""
        return int(getattr(self.encoder.config, "max_chunk_size", _DEFAULT_LENGTH))

    @property
    def components(self) -> tuple[Part, Part, Part]:
        """Encoder, quantizer and decoder."""
        return self.encoder, self.quantizer, self.decoder

    @property
    def uses(self) -> tuple[ComponentUse, ...]:
        """The components as an artifact records them."""
        return tuple(ComponentUse(section=p.section, kind=p.spec.kind, name=p.name) for p in self.components)

    def classes(self) -> tuple[Any, ...]:
        """Import encoder, quantizer and decoder. Raises: ComponentImportError naming what to install."""
        return tuple(load_target(part.spec) for part in self.components)

    def network(self) -> Autoencoder:
        """Build the untrained network.

        Raises: ComponentImportError naming what to install; ConfigError and PluginBrokenError as `Part.built`.
        """
        classes = self.classes()
        from torch import nn

        from tokframe_autoencoder.network.autoencoder import Autoencoder

        sizes = {"d_latent": self.d_latent, "max_length": self.max_length}
        built = [part.built(make, **sizes) for make, part in zip(classes, self.components, strict=True)]
        head = nn.Linear(self.d_latent, self.training.use_dimensions) if self.training.guide == "use" else None
        return Autoencoder(*built, max_length=self.max_length, use_head=head)

    def trained_network(self, weights: Mapping[str, Any]) -> Autoencoder:
        """Build the network with the weights of an artifact, once those have the shapes that the config asks for.

        Raises: ArtifactCorruptError; ComponentImportError naming what to install.
        """
        self.classes()
        import torch

        found = {name: array.shape for name, array in weights.items()}
        with (
            suppress(NotImplementedError, PluginBrokenError, RuntimeError),
            torch.device("meta"),
        ):  # where nothing takes memory
            _compare({name: tuple(tensor.shape) for name, tensor in self.network().state_dict().items()}, found)
        # A third party's parts need not know that device: theirs are compared when they are loaded.
        try:
            network = self.network()
            network.load_arrays(weights)
        except (MemoryError, RuntimeError, TypeError, ValueError) as error:
            raise corrupt(f"does not fit the network of config.json ({error})", _WEIGHTS) from error
        return network

    def to_json(self) -> dict[str, Any]:
        """Return the config with every default written out; `resolve` reads it back to the same parts.

        `vocab_size` is in one place: outside of the sections, or where the config had it in the quantizer's.
        """
        data: dict[str, Any] = {} if self.sized_inside else {"vocab_size": self.vocab_size}
        for part in self.components:
            data[part.section] = {"component": part.name, **(unstructure(part.config) if part.config else {})}
        if not self.sized_inside:
            data[self.quantizer.section].pop("vocab_size", None)
        return data | {name: unstructure(getattr(self, name)) for name in OWN_SECTIONS}


def resolve(
    config: Mapping[str, Any],
    registry: Registry,
    defaults: Mapping[str, str],
    source: str = "config",
    homes: Container[str] = FIRST_PARTY,
) -> Parts:
    """Check a whole config against the registry; a name that several plugins claim is that of one in `homes`.

    `vocab_size` stands outside of the sections. Older configs have it in the quantizer's or in `selection`.

    Raises: ConfigError with every problem of every section and between sections; NameConflictError;
    ComponentImportError.
    """
    problems: list[Problem] = []
    sections = _sections(config, registry, problems)
    config, size, place = _with_size(config, sections.get("quantizer", ""), problems)
    parts: dict[str, Any] = {}
    for kind in _KINDS:
        section = sections.get(kind, kind)
        given = config.get(section, {})
        fallback = section if kind == "quantizer" and section != "quantizer" else defaults.get(kind, "")
        sized = size if kind == "quantizer" else None
        parts[kind] = _part(kind, section, given, fallback, registry, homes, problems, sized)
        if kind == "quantizer" and section == "quantizer" and parts[kind] and "quantizer" not in config:
            parts[kind] = evolve(parts[kind], section=fallback.rpartition("/")[2])
    for name, cls in OWN_SECTIONS.items():
        value, found = problems_of(cls, config.get(name, {}), f"$.{name}")
        problems += found
        parts[name] = value
    if not problems:
        default = SizeConfig().vocab_size if size is None else size
        parts["vocab_size"] = getattr(parts["quantizer"].config, "vocab_size", default)
        inside = place not in ("$", "$.selection") and size is not None
        parts["sized_inside"] = inside and hasattr(parts["quantizer"].config, "vocab_size")
        problems += _across(Parts(**parts), place)
    if problems:
        raise ConfigError(source, problems)
    return Parts(**parts)


def sized(config: Mapping[str, Any], vocab_size: int) -> dict[str, Any]:
    """Return a config with another number of ids. What is wrong with the config is left to `resolve`."""
    return {**{name: _without_size(section) for name, section in config.items()}, "vocab_size": vocab_size}


def _without_size(section: Any) -> Any:
    return {k: v for k, v in section.items() if k != "vocab_size"} if isinstance(section, Mapping) else section


def _with_size(
    config: Mapping[str, Any], quantizer: str, problems: list[Problem]
) -> tuple[Mapping[str, Any], int | None, str]:
    """Return a config without `vocab_size` in `selection` and outside of sections, that size, and where it was given.

    The size is that of the quantizer's section or, without one there, of `selection`, in configs that have none
    outside; None where there is none at all.
    """
    found = {
        place: section["vocab_size"]
        for place, section in (
            ("$", config),
            (f"$.{quantizer or 'quantizer'}", config.get(quantizer)),
            ("$.selection", config.get("selection")),
        )
        if isinstance(section, Mapping) and "vocab_size" in section
    }
    place, size = next(iter(found.items()), (f"$.{quantizer or 'quantizer'}", None))
    if place == "$" and any(other != size for other in found.values()):
        problems.append(("$.vocab_size", f"is {shortened(size)}, and a section says otherwise; keep this one alone"))
    if size is not None:
        problems += problems_of(SizeConfig, {"vocab_size": size}, place)[1]
    rest = {name: section for name, section in config.items() if name != "vocab_size"}
    if "selection" in rest:
        rest["selection"] = _without_size(rest["selection"])
    if quantizer in rest:
        rest[quantizer] = _without_size(rest[quantizer])
    return rest, size, place


def _sections(config: Mapping[str, Any], registry: Registry, problems: list[Problem]) -> dict[str, str]:
    """Return which section of the config holds which kind; report sections that hold none."""
    sections: dict[str, str] = {}
    quantizers = registry.names("quantizer")
    known = ["encoder", "decoder", "quantizer", *OWN_SECTIONS, *quantizers]
    for name in config:
        if name in OWN_SECTIONS or name == "vocab_size":
            continue
        kind = name if name in _KINDS else "quantizer" if name in quantizers else ""
        if not kind:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"sections are {', '.join(known)}"
            problems.append((f"$.{name}", f"unknown section; {hint}"))
        elif kind in sections:
            problems.append((f"$.{name}", f"a second {kind} section beside {sections[kind]!r}; keep one"))
        else:
            sections[kind] = name
    return sections


def _part(
    kind: str,
    section: str,
    given: Any,
    fallback: str,
    registry: Registry,
    homes: Container[str],
    problems: list[Problem],
    size: int | None = None,
) -> Part | None:
    where = f"$.{section}"
    if not isinstance(given, Mapping):
        problems.append((where, f"expected an object, got {type(given).__name__}"))
        return None
    name = given.get("component", fallback)
    if not isinstance(name, str):
        problems.append((f"{where}.component", f"expected a name, got {shortened(name)}"))
        return None
    try:
        spec = registry.component(kind, name, homes)
    except UnknownNameError as error:
        problems.append((f"{where}.component", str(error)))
        return None
    rest = {key: value for key, value in given.items() if key != "component"}
    value: Any = None
    if spec.config:
        config = load_config(spec)
        if size is not None and "vocab_size" in fields_dict(config):
            rest["vocab_size"] = size
        value, found = problems_of(config, rest, where)
        problems += [problem for problem in found if problem not in problems]
    elif rest:
        problems.append((where, f"{kind} {spec.name!r} takes no settings, got {', '.join(sorted(rest))}"))
    return Part(section=section, name=registry.reference(spec), spec=spec, config=value)


def _compare(wanted: Mapping[str, tuple[int, ...]], found: Mapping[str, tuple[int, ...]]) -> None:
    """Raises: ArtifactCorruptError for weights of other names or shapes."""
    for name in sorted({*wanted, *found}):
        if wanted.get(name) != found.get(name):
            what = f"holds {found.get(name, 'nothing')} for {name}, and config.json asks for"
            raise corrupt(f"{what} {wanted.get(name, 'nothing')}", _WEIGHTS)


def _across(parts: Parts, place: str) -> Iterator[Problem]:
    """Yield what does not fit between sections."""
    d_decoder = getattr(parts.decoder.config, "d_latent", parts.d_latent)
    if d_decoder != parts.d_latent:
        yield f"$.{parts.decoder.section}.d_latent", f"is {d_decoder}, but the encoder's d_latent is {parts.d_latent}"
    if not 2 <= parts.max_length <= MAX_SEGMENT_BYTES:
        where = f"$.{parts.encoder.section}.max_chunk_size"
        yield where, f"is {parts.max_length}; a segment has 2 to {MAX_SEGMENT_BYTES} bytes"
    if parts.vocab_size <= FIRST_LEARNED:
        yield (
            f"{place}.vocab_size",
            f"is {parts.vocab_size}; 4 special tokens and 256 single bytes alone need 260; use more",
        )
