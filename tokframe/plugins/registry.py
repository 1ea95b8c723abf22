"""Registry: the specs that plugins declare (strings only), by kind and name. Finding plugins is left to `discovery`.

A component's code is imported only by `load_target`.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import re
import sys
import threading
import warnings
from collections.abc import Container, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from attrs import field, frozen, has

from tokframe.errors import (
    ComponentImportError,
    InvalidSpecError,
    NameConflictError,
    PluginBrokenError,
    UnknownNameError,
)
from tokframe.plugins.containment import contained, reason_of
from tokframe.storage.advice import FIRST_PARTY, install_command

if TYPE_CHECKING:
    from tokframe.storage.state import ComponentUse

__all__ = ["KINDS", "ComponentSpec", "Registry", "TokenizerSpec", "TokframeDeprecationWarning", "warn_if_deprecated"]

#: The kinds of component a plugin may add, beside whole tokenizers.
KINDS = ("encoder", "quantizer", "decoder", "embedding", "head", "exporter", "engine")

_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_TARGET = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")

#: The distribution of this project that a name comes with, for those who have not installed it.
_HOMES = {
    ("decoder", "deconv"): "tokframe-autoencoder",
    ("encoder", "conv"): "tokframe-autoencoder",
    ("engine", "ray"): "tokframe-ray",
    ("exporter", "huggingface"): "tokframe-huggingface",
    ("exporter", "tiktoken"): "tokframe-huggingface",
    ("quantizer", "fsq"): "tokframe-autoencoder",
    ("quantizer", "lfq"): "tokframe-vector-quantize",
    ("quantizer", "rfsq"): "tokframe-vector-quantize",
    ("quantizer", "vq"): "tokframe-autoencoder",
    ("tokenizer", "autoencoder-fsq"): "tokframe-autoencoder",
    ("tokenizer", "autoencoder-vq"): "tokframe-autoencoder",
    ("tokenizer", "bpe"): "tokframe-bpe",
    ("tokenizer", "dictionary"): "tokframe-dictionary",
    ("tokenizer", "word"): "tokframe-word",
}
#: Kinds of component that are used in training, with torch.
_TRAINED = ("decoder", "encoder", "quantizer")


@frozen(kw_only=True)
class ComponentSpec:
    """One encoder, quantizer, decoder, embedding or head, as strings: nothing is imported until it is used.

    `target` and `config` are `"package.module:Attribute"`. The target is called as
    `Target(config, d_latent=..., max_length=...)`; `config` is a frozen attrs class and may be empty. An exporter
    is called as `target(tokenizer, folder)`, writes into the empty folder and returns a list of `Check`; one that
    takes the keyword `special_tokens` is given the choice of `tokframe export --special-tokens`. An engine is called as
    `tokframe.shards.engines.Engine` says, an embedding as `Target(tokenizer, d_model=...)`, and a head as
    `Target(config, tokenizer=..., embedding=...)`.
    The config of an encoder or decoder may set `d_latent`, of an encoder `max_chunk_size` (bytes of a segment), of a
    quantizer `vocab_size`: the autoencoder then takes them from there.
    `extra` names the extra of the distribution that brings the component's dependencies. `deprecated` is empty, or
    says what to use instead, e.g. `"fsq"`.
    """

    kind: str
    name: str
    target: str
    config: str = ""
    summary: str = ""
    extra: str = ""
    deprecated: str = ""
    distribution: str = ""  # filled in by the plugin host
    distribution_version: str = ""


@frozen(kw_only=True)
class TokenizerSpec:
    """One whole tokenizer, as strings.

    `target` names an `ITokenizer` class. `artifact` is `"package:folder"` of the trained tokenizer that the
    distribution ships, or empty. `config` names the attrs class of its training config, or is empty.
    `defaults` names the component of a config section where the config names none,
    e.g. `{"encoder": "conv", "quantizer": "fsq", "decoder": "deconv"}`. `deprecated` is empty, or says what to use
    instead, e.g. `"autoencoder-fsq"`.
    """

    name: str
    target: str
    artifact: str = ""
    config: str = ""
    defaults: Mapping[str, str] = field(factory=dict)
    trainable: bool = True
    summary: str = ""
    extra: str = ""
    deprecated: str = ""
    distribution: str = ""
    distribution_version: str = ""

    @property
    def kind(self) -> str:
        """Always `"tokenizer"`: tokenizers share one registry with components."""
        return "tokenizer"


Spec = ComponentSpec | TokenizerSpec


def spec_problem(spec: object) -> str:
    """Return what is wrong with a spec in one phrase, or an empty string."""
    if not isinstance(spec, Spec):
        return f"expected a ComponentSpec or TokenizerSpec, got {type(spec).__name__}"
    if isinstance(spec, ComponentSpec) and spec.kind not in KINDS:
        return f"unknown kind {spec.kind!r} of {spec.name!r}; kinds are {', '.join(KINDS)}"
    if not isinstance(spec.name, str) or not _NAME.fullmatch(spec.name):
        return f"name {spec.name!r} is not lower-case words joined by hyphens"
    for what, value in (("target", spec.target), ("config", spec.config)):
        if value == "" and what == "config":
            continue
        if not isinstance(value, str) or not _TARGET.fullmatch(value):
            return f"{what} {value!r} of {spec.name!r} is not of the form 'package.module:Attribute'"
    if not isinstance(spec.deprecated, str):
        return f"deprecated {spec.deprecated!r} of {spec.name!r} is not a text naming what to use instead"
    for what in ("summary", "extra", "artifact"):
        if not isinstance(value := getattr(spec, what, ""), str):
            return f"{what} {value!r} of {spec.name!r} is not a text"
    defaults = getattr(spec, "defaults", {})
    if not isinstance(defaults, Mapping) or not all(
        isinstance(text, str) for pair in defaults.items() for text in pair
    ):
        return f"defaults {defaults!r} of {spec.name!r} are not names of components by config section"
    return ""


class Registry:
    """Names to specs. Two claims to one name are kept, and are an error only when the name is used."""

    def __init__(self, unavailable: Iterable[str] = ()) -> None:
        self._specs: list[Spec] = []
        self.unavailable = tuple(unavailable)

    def add(self, *specs: Spec) -> None:
        """Add specs, all or none.

        Raises: InvalidSpecError for a malformed one, or one its own distribution has added before.
        """
        added = list(self._specs)
        for spec in specs:
            problem = spec_problem(spec)
            if not problem and any(claim.distribution == spec.distribution for claim in _claims(added, spec)):
                problem = f"{spec.distribution or 'a plugin'} declares {spec.kind} {spec.name!r} twice"
            if problem:
                raise InvalidSpecError(problem, kind=getattr(spec, "kind", ""), name=str(getattr(spec, "name", "")))
            added.append(spec)
        self._specs = sorted(added, key=lambda s: (s.kind, s.name, s.distribution))

    def specs(self, kind: str | None = None) -> list[Spec]:
        """Return all specs, or those of one kind, ordered by kind, name and distribution."""
        return [spec for spec in self._specs if kind is None or spec.kind == kind]

    def names(self, kind: str) -> list[str]:
        """Return the names of one kind, sorted."""
        return sorted({spec.name for spec in self.specs(kind)})

    def rivals(self, spec: Spec) -> list[str]:
        """Return the other distributions that claim the name of a spec."""
        claims = _claims(self._specs, spec)
        return [claim.distribution for claim in claims if claim.distribution != spec.distribution]

    def get(self, kind: str, name: str, homes: Container[str] = ()) -> Spec:
        """Return the spec of `name`, or of `distribution/name`; of several claims that of a distribution in `homes`.

        Raises: UnknownNameError with suggestions and what was not loaded; NameConflictError naming both claims.
        """
        distribution, _, plain = name.rpartition("/")
        claims = [spec for spec in self.specs(kind) if spec.name == plain]
        if distribution:
            claims = [c for c in claims if normal_name(c.distribution) == normal_name(distribution)]
        if len(claims) > 1:
            claims = [c for c in claims if normal_name(c.distribution) in homes] or claims
        if len(claims) == 1:
            return claims[0]
        if claims:
            who = [f"{c.distribution} ({c.target})" for c in claims]
            choices = " or ".join(f"'{c.distribution}/{plain}'" for c in claims)
            raise NameConflictError(
                f"{kind} {plain!r} is claimed by more than one plugin: {', '.join(who)}. "
                f"Use {choices}, or disable one: TOKFRAME_DISABLE_PLUGINS=<distribution>",
                kind=kind,
                name=plain,
                candidates=[c.distribution for c in claims],
            )
        raise self.unknown(kind, name)

    def reference(self, spec: Spec) -> str:
        """Return the name by which `get` finds this spec: its own, or `distribution/name` where others claim it."""
        return f"{spec.distribution}/{spec.name}" if self.rivals(spec) else spec.name

    def tokenizer(self, name: str, homes: Container[str] = ()) -> TokenizerSpec:
        """Return the spec of a tokenizer. Raises: as `get`."""
        spec = self.get("tokenizer", name, homes)
        assert isinstance(spec, TokenizerSpec)  # the kind decides the class, see `add`
        return spec

    def component(self, kind: str, name: str, homes: Container[str] = ()) -> ComponentSpec:
        """Return the spec of a component. Raises: as `get`."""
        spec = self.get(kind, name, homes)
        assert isinstance(spec, ComponentSpec)
        return spec

    def header(self, name: str, uses: Iterable[ComponentUse], version: int) -> dict[str, Any]:
        """Return the head of the manifest of a tokenizer's artifact: who made it, in which version, of which parts.

        Raises: as `get`, for the tokenizer or a component.
        """
        spec = self.tokenizer(name, FIRST_PARTY)
        parts = [(use, self.component(use.kind, use.name, FIRST_PARTY)) for use in uses]
        return {
            "tokenizer": {"version": version, **_origin(spec)},
            "components": [{"section": use.section, "kind": use.kind, **_origin(part)} for use, part in parts],
        }

    def unknown(self, kind: str, name: str, aliases: Iterable[str] = ()) -> UnknownNameError:
        """Return the error for a name that is not there; `aliases` are names from elsewhere to suggest as well."""
        names, others = self.names(kind), list(aliases)
        plain = name.rpartition("/")[2]
        near = difflib.get_close_matches(plain, [*names, *others], n=3, cutoff=0.5)
        text = f"no {kind} named {name!r}."
        home = _HOMES.get((kind, plain))
        if home and plain not in names:
            install = install_command(home, "train" if kind in _TRAINED else "")
            text += f" It comes with {home}, which is not installed or not loaded. Try: {install}."
        elif near:
            text += f" Did you mean {near[0]!r}?"
        text += f" Available: {', '.join(names)}." if names else f" No {kind} is installed."
        if others:
            text += f" Aliases: {', '.join(others)}."
        if self.unavailable:
            text += " Not loaded: " + "; ".join(self.unavailable) + ". Details: tokframe plugins"
        return UnknownNameError(text, kind=kind, name=name, suggestions=near, unavailable=self.unavailable)


class TokframeDeprecationWarning(FutureWarning):
    """A registered name is deprecated; shown to users by default, unlike DeprecationWarning."""


_warned: set[tuple[str, str, str]] = set()
_warned_lock = threading.RLock()


def warn_if_deprecated(spec: Spec, used_by: str = "") -> None:
    """Warn of a deprecated name, once in a process, at the line of the caller that is not tokframe's own."""
    if not spec.deprecated:
        return
    key = (spec.kind, spec.name, spec.distribution)
    whose = f" of {spec.distribution}" if spec.distribution else ""
    where = f" ({used_by} uses it)" if used_by else ""
    with _warned_lock:
        if key not in _warned:
            warnings.warn(  # where warnings are errors, each use is one
                f"{spec.kind} {spec.name!r}{whose} is deprecated{where}: use {spec.deprecated} instead",
                TokframeDeprecationWarning,
                stacklevel=_outside(),
            )
            _warned.add(key)


def _outside() -> int:
    """Return the stack level, for `warn_if_deprecated`, of the first caller outside the core."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == "tokframe":
        level, frame = level + 1, frame.f_back
    return level


def load_target(spec: Spec, what: str = "target") -> Any:
    """Import what a spec names; warns where the name is deprecated.

    Raises: ComponentImportError with the distribution, the cause and the command that installs what is missing.
    """
    warn_if_deprecated(spec)
    target = spec.target if what == "target" else spec.config
    try:
        found = import_target(target)
    except Exception as cause:  # a third party's module may raise anything while it is imported
        install = install_command(spec.distribution, spec.extra)
        missing = isinstance(cause, ImportError)
        advice = f"Try: {install}" if missing else f"This is a bug in {spec.distribution}; please report it there"
        raise ComponentImportError(
            f"{spec.kind} {spec.name!r} from {spec.distribution} failed to import {target!r}: "
            f"{reason_of(cause)}. {advice}",
            kind=spec.kind,
            name=spec.name,
            target=target,
            distribution=spec.distribution,
            install=install if missing else "",
        ) from cause
    return found


def load_config(spec: Spec) -> type[Any]:
    """Import the config class that a spec names. Raises: as `load_target`; InvalidSpecError if it is no attrs class."""
    found = load_target(spec, "config")
    if not (isinstance(found, type) and has(found)):
        raise InvalidSpecError(
            f"config {spec.config!r} of {spec.kind} {spec.name!r} from {spec.distribution} is not an attrs class: "
            "decorate it with @attrs.frozen, not with @dataclass",
            kind=spec.kind,
            name=spec.name,
        )
    return found


def call_target(spec: Spec, target: Any, *arguments: Any, **named: Any) -> Any:
    """Call what `load_target` gave. Raises: PluginBrokenError if it does not take the arguments; whatever it raises."""
    try:
        return target(*arguments, **named)
    except TypeError as error:
        if error.__traceback__ is None or error.__traceback__.tb_next is not None:
            raise  # from its own code, which the traceback names
        given = ", ".join([*(type(value).__name__ for value in arguments), *(f"{name}=..." for name in named)])
        raise PluginBrokenError(
            f"{spec.kind} {spec.name!r} of {spec.distribution} cannot be called as {spec.target}({given}): {error}",
            distribution=spec.distribution,
        ) from error


def import_target(target: str) -> Any:
    """Import `"package.module:Attribute"`. Raises: whatever its module raises, as `contained` does."""
    module, _, attribute = target.partition(":")
    if module in sys.modules:  # `contained` acts on the whole process, so that it is for the first import only
        return getattr(importlib.import_module(module), attribute)
    return getattr(contained(lambda: importlib.import_module(module)), attribute)


def target_problem(spec: Spec) -> str:
    """Return what is wrong with the target or config that a spec names, found without running them, or ""."""
    for what, target in (("target", spec.target), ("config", spec.config)):
        if target and (problem := _missing(target)):
            return f"{what} {target!r} of {spec.kind} {spec.name!r}: {problem}"
    return ""


def _missing(target: str) -> str:
    """Return why `"package.module:Attribute"` is not there, as far as its source tells."""
    module, _, attribute = target.partition(":")
    try:
        found = contained(lambda: importlib.util.find_spec(module))
    except Exception as error:  # the packages it is in are imported
        return reason_of(error)
    if found is None:
        return f"there is no module {module!r}"
    names = _defined_in(found.origin)
    if not names or attribute in names:
        return ""
    near = difflib.get_close_matches(attribute, names, n=1)
    return f"{module} defines no {attribute!r}" + (f"; did you mean {near[0]!r}?" if near else "")


def _defined_in(origin: str | None) -> set[str]:
    """Return the names that a module's source defines; none where it has no source, or they cannot be told from it."""
    import symtable
    import tokenize

    try:
        with tokenize.open(origin or "") as file:
            source = file.read()
        symbols = symtable.symtable(source, str(origin), "exec").get_symbols()
    except (OSError, SyntaxError, ValueError):
        return set()
    names = {symbol.get_name() for symbol in symbols if symbol.is_assigned() or symbol.is_imported()}
    return set() if "__getattr__" in names or "import *" in source else names


def _claims(specs: Iterable[Spec], spec: Spec) -> list[Spec]:
    """Return the specs of one kind and name."""
    return [other for other in specs if (other.kind, other.name) == (spec.kind, spec.name)]


def _origin(spec: Spec) -> dict[str, str]:
    return {
        "name": spec.name,
        "distribution": spec.distribution,
        "distribution_version": spec.distribution_version,
    }


def normal_name(distribution: str) -> str:
    """Return a distribution name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", distribution).lower()
