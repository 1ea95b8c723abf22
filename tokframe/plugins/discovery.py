"""Installed plugins: entry points -> status records -> registry.

Every plugin is loaded on its own: whatever one does wrong is written on its record and harms no other.
Discovery runs on first need and is kept only when it succeeded.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import os
import re
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from importlib import metadata
from itertools import islice
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

import pluggy
from attrs import evolve, fields, frozen

from tokframe.errors import PluginBrokenError, PluginIncompatibleError
from tokframe.plugins import hookspecs
from tokframe.plugins.containment import contained, reason_of
from tokframe.plugins.metadata import (
    GROUP,
    Identity,
    PluginWarning,
    identity,
    incompatible,
    installed,
    location,
)
from tokframe.plugins.migrations import Migration
from tokframe.plugins.registry import ComponentSpec, Registry, Spec, TokenizerSpec, load_target, normal_name
from tokframe.storage.advice import FIRST_PARTY, install_command

if TYPE_CHECKING:
    import click

    from tokframe.storage.state import State

__all__ = ["GROUP", "Host", "PluginRecord", "PluginWarning", "host", "list_components", "rebuild", "refresh"]

T = TypeVar("T")

#: Modules that cost seconds to import; a plugin that pulls one in while it is discovered is named.
_HEAVY = ("torch", "transformers", "tensorflow", "jax", "numba")

_MAX_GIVEN = 1000  # by one hook
_ADDS_NOTHING = "adds nothing: is @hookimpl missing?"


@frozen(kw_only=True)
class PluginRecord:
    """One plugin as found. `status` is ok, disabled, incompatible, broken or conflict; `reason` says why."""

    distribution: str
    version: str
    entry_point: str
    status: str
    reason: str = ""
    location: str = ""
    import_ms: float = 0.0
    components: tuple[str, ...] = ()
    heavy: tuple[str, ...] = ()


class Host:
    """The plugins of this process.

    `allow` and `deny` are distribution names; by default they come from `TOKFRAME_PLUGINS` and
    `TOKFRAME_DISABLE_PLUGINS` (comma separated). `strict` (`TOKFRAME_STRICT_PLUGINS=1`) raises for the first
    plugin that is not ok. `entry_points` replaces the installed ones, for frozen programs and tests.
    """

    def __init__(
        self,
        *,
        allow: Iterable[str] | None = None,
        deny: Iterable[str] | None = None,
        strict: bool | None = None,
        entry_points: Sequence[tuple[metadata.EntryPoint, metadata.Distribution]] | None = None,
    ) -> None:
        self._allow = _names(os.environ.get("TOKFRAME_PLUGINS")) if allow is None else _set(allow)
        self._deny = _names(os.environ.get("TOKFRAME_DISABLE_PLUGINS")) or set() if deny is None else _set(deny)
        self._strict = os.environ.get("TOKFRAME_STRICT_PLUGINS") == "1" if strict is None else strict
        self._entry_points = entry_points
        self._lock = threading.RLock()
        self._found: tuple[list[PluginRecord], Registry, pluggy.PluginManager] | None = None

    @property
    def records(self) -> list[PluginRecord]:
        """Every plugin found, whatever its status, ordered by distribution."""
        return list(self._discovered()[0])

    @property
    def registry(self) -> Registry:
        """The names that plugins with status ok or conflict have added."""
        return self._discovered()[1]

    def commands(self) -> list[click.Command]:
        """Return the commands plugins add; one that fails to build is left out with a warning."""
        return [command for _, command in self.commands_with_owners()]

    def commands_with_owners(self) -> list[tuple[str, click.Command]]:
        """Return the commands plugins add, each with its distribution; this project's come first."""
        import click

        return self._gathered("commands", click.Command)

    def migrations(self, distribution: str | None = None) -> list[Migration]:
        """Return the artifact migrations plugins offer, or those of one distribution."""
        found = self._gathered("migrations", Migration)
        return [migration for owner, migration in found if distribution in (None, owner)]

    def _gathered(self, what: str, kind: type[T]) -> list[tuple[str, T]]:
        """Call the hook of that name plugin by plugin, so that a failure has a name and harms no other."""
        found: list[tuple[str, T]] = []
        for impl in getattr(self._discovered()[2].hook, f"tokframe_{what}").get_hookimpls():
            owner = impl.plugin_name.partition(":")[0]
            try:
                given = _listed(impl.function, kind.__name__)
                wrong = [type(value).__name__ for value in given if not isinstance(value, kind)]
                if wrong:
                    raise TypeError(f"expected a list of {kind.__name__}, got a {wrong[0]} in it")
                found += [(owner, value) for value in given]
            except Exception as error:  # a third party's code may raise anything
                text = f"{what} of plugin {impl.plugin_name} left out: {reason_of(error)}"
                warnings.warn(text, PluginWarning, stacklevel=4)
        return sorted(found, key=lambda pair: normal_name(pair[0]) not in FIRST_PARTY)

    def _discovered(self) -> tuple[list[PluginRecord], Registry, pluggy.PluginManager]:
        with self._lock:
            if self._found is None:
                self._found = self._discover()
            return self._found

    def _discover(self) -> tuple[list[PluginRecord], Registry, pluggy.PluginManager]:
        manager = pluggy.PluginManager(hookspecs.PROJECT)
        manager.add_hookspecs(hookspecs)
        registry = Registry()
        pairs = installed() if self._entry_points is None else self._entry_points
        found = [(identity(distribution), point, distribution) for point, distribution in pairs]
        found.sort(key=lambda each: (normal_name(each[0].name), str(each[1].name)))
        records = [self._load(manager, registry, *each) for each in found]
        self._warn_of_unknown_names([record.distribution for record in records])
        registry.unavailable = tuple(f"{r.distribution}: {r.status} ({r.reason})" for r in records if r.status != "ok")
        records = [_with_conflicts(record, registry) for record in records]
        if self._strict:
            for record in records:
                if record.status in ("broken", "incompatible", "conflict"):
                    error = PluginIncompatibleError if record.status == "incompatible" else PluginBrokenError
                    raise error(
                        f"plugin {record.distribution} is {record.status}: {record.reason}",
                        distribution=record.distribution,
                        entry_point=record.entry_point,
                    )
        return records, registry, manager

    def _load(
        self,
        manager: pluggy.PluginManager,
        registry: Registry,
        who: Identity,
        entry_point: metadata.EntryPoint,
        distribution: metadata.Distribution,
    ) -> PluginRecord:
        record = PluginRecord(
            distribution=who.name,
            version=who.version,
            entry_point=f"{entry_point.name} = {entry_point.value}",
            status="ok",
            location=location(distribution),
        )
        name = normal_name(who.name)
        if name in self._deny:
            return evolve(record, status="disabled", reason="in TOKFRAME_DISABLE_PLUGINS")
        if self._allow is not None and name not in self._allow:
            return evolve(record, status="disabled", reason="not in TOKFRAME_PLUGINS")
        if who.problem:
            return evolve(record, status="broken", reason=who.problem)
        try:
            problem = incompatible(distribution)
        except Exception as error:  # metadata may be anything
            return evolve(record, status="broken", reason=f"its metadata cannot be read: {error}")
        if problem:
            return evolve(record, status="incompatible", reason=problem)
        heavy_before = {module for module in _HEAVY if module in sys.modules}
        started = time.perf_counter()
        # Never the entry point's own name: pluggy silently drops a second plugin of that name.
        key = f"{who.name}:{entry_point.name}"
        try:
            hooks = contained(lambda: _hooks_of(_imported(entry_point)))
            # In an object of its own: pluggy refuses one that another distribution has registered.
            plugin = ModuleType(key)
            vars(plugin).update(hooks)
            manager.register(plugin, name=key)
            specs = _specs_of(manager, key, who)
            contained(lambda: registry.add(*specs))  # which asks what specs hold for their text
        except Exception as error:  # a third party's module may raise anything while it is imported
            if manager.has_plugin(key):
                manager.unregister(name=key)
            return evolve(record, status="broken", reason=_failure(error, who))
        heavy = tuple(m for m in _HEAVY if m in sys.modules and m not in heavy_before)
        if heavy:
            warnings.warn(
                f"plugin {who.name} imports {', '.join(heavy)} when it is discovered, which slows every "
                "command; its author should import it where it is used",
                PluginWarning,
                stacklevel=2,
            )
        return evolve(
            record,
            reason="" if hooks else _ADDS_NOTHING,
            import_ms=round((time.perf_counter() - started) * 1000, 3),
            components=tuple(f"{spec.kind} {spec.name}" for spec in specs),
            heavy=heavy,
        )

    def _warn_of_unknown_names(self, found: Sequence[str]) -> None:
        known = {normal_name(name) for name in found}
        for variable, names in (("TOKFRAME_PLUGINS", self._allow), ("TOKFRAME_DISABLE_PLUGINS", self._deny)):
            for name in sorted((names or set()) - known):
                warnings.warn(
                    f"{variable} names {name!r}, which is not an installed plugin", PluginWarning, stacklevel=2
                )


_host: Host | None = None
_host_lock = threading.Lock()


def host() -> Host:
    """Return the host of this process, made on first use from the environment."""
    global _host
    with _host_lock:
        if _host is None:
            _host = Host()
        return _host


def refresh() -> None:
    """Forget this process's host, so that installed plugins and environment variables are read again."""
    global _host
    with _host_lock:
        _host = None


def list_components(kind: str | None = None) -> list[Spec]:
    """Return what is installed, tokenizers included; of one `kind` where it is given."""
    return host().registry.specs(kind)


def rebuild(name: str, state: State) -> Any:
    """Return the registered tokenizer `name` built from its state, as unpickling does. Raises: as `Registry.get`."""
    registry = host().registry
    spec = registry.tokenizer(name, FIRST_PARTY)
    tokenizer = load_target(spec).from_state(state.interned())
    tokenizer.name = registry.reference(spec)
    return tokenizer


def _imported(entry_point: metadata.EntryPoint) -> Any:
    """Return what an entry point names. Raises: PluginBrokenError for what is no name; whatever its module raises."""
    if not re.fullmatch(r"\w+(\.\w+)*\s*(:\s*\w+(\.\w+)*)?\s*(\[.*\])?", entry_point.value):
        raise PluginBrokenError(
            f"its entry point names {entry_point.value!r}; expected 'package.module' or 'package.module:object'"
        )
    plugin: Any = importlib.import_module(entry_point.module)
    for attribute in filter(None, (entry_point.attr or "").split(".")):
        plugin = getattr(plugin, attribute)
    return plugin


def _hooks_of(plugin: Any) -> dict[str, Any]:
    """Return the hooks of a plugin by name.

    Raises: PluginBrokenError for a misspelled or an unmarked hook, which pluggy would ignore.
    """
    routines = {name: value for name in dir(plugin) if inspect.isroutine(value := getattr(plugin, name, None))}
    hooks = {name: value for name, value in routines.items() if hasattr(value, f"{hookspecs.PROJECT}_impl")}
    known = [name for name in vars(hookspecs) if name.startswith("tokframe_")]
    for name in sorted(hooks.keys() - known):
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"hooks are {', '.join(known)}"
        raise PluginBrokenError(f"there is no hook {name!r}; {hint}")
    for name in known:
        if name in routines and name not in hooks:
            raise PluginBrokenError(f"{_ADDS_NOTHING.rstrip('?')} from {name}?")
    return hooks


def _listed(hook: Callable[[], Any], of: str) -> list[Any]:
    """Return what a hook gives. Raises: TypeError where that is no list; whatever the hook raises."""

    def call() -> list[Any]:
        given = hook()
        if isinstance(given, Iterable) and not isinstance(given, (str, bytes, Mapping)):
            found = list(islice(given, _MAX_GIVEN + 1))  # a generator may have no end
            if len(found) > _MAX_GIVEN:
                raise TypeError(f"{hook.__name__} gives more than {_MAX_GIVEN:,} of {of}; return a list of few")
            return found
        why = "" if isinstance(given, Iterable) else ", which is not iterable"
        raise TypeError(f"{hook.__name__} returned {given!r:.60}{why}; expected a list of {of}: return [{of}(...)]")

    return contained(call)


def _specs_of(manager: pluggy.PluginManager, key: str, who: Identity) -> list[Spec]:
    """Ask one plugin for its specs. Raises: whatever its hooks raise."""
    hooks = (manager.hook.tokframe_components, "ComponentSpec"), (manager.hook.tokframe_tokenizers, "TokenizerSpec")
    calls = [(impl.function, of) for hook, of in hooks for impl in hook.get_hookimpls() if impl.plugin_name == key]
    return [
        contained(partial(_plain, spec, distribution=who.name, distribution_version=who.version))
        if isinstance(spec, Spec)
        else spec  # malformed, which `Registry.add` reports
        for call, of in calls
        for spec in _listed(call, of)
    ]


def _plain(spec: Spec, **origin: str) -> Spec:
    """Return a spec without classes of a plugin's own, whose text, hash or attributes may be anything later."""

    def plain(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {plain(key): plain(inner) for key, inner in value.items()}
        return str.__str__(value) if isinstance(value, str) else value

    kind = ComponentSpec if isinstance(spec, ComponentSpec) else TokenizerSpec
    return kind(**{each.name: plain(getattr(spec, each.name)) for each in fields(kind)} | origin)


def _failure(error: Exception, who: Identity) -> str:
    """Return why a plugin is broken, with what to do about it where that is known."""
    if isinstance(error.__cause__, SystemExit):
        return f"called sys.exit({error.__cause__.code!r}) when imported"
    if isinstance(error, PluginBrokenError):
        return str(error)
    hint = f". Try: {install_command(who.name)}" if isinstance(error, ModuleNotFoundError) else ""
    return reason_of(error) + hint


def _with_conflicts(record: PluginRecord, registry: Registry) -> PluginRecord:
    """Return a record, with status conflict if one of its names is not its own alone.

    Names of this project stay its own: no other plugin makes one of them unusable by claiming it.
    """
    claims = []
    for spec in registry.specs():
        rivals = registry.rivals(spec) if spec.distribution == record.distribution else []
        if owners := [rival for rival in rivals if normal_name(rival) in FIRST_PARTY]:
            claims.append(f"{spec.kind} {spec.name!r} is {owners[0]}'s; use '{spec.distribution}/{spec.name}'")
        elif rivals:
            claims.append(f"{spec.kind} {spec.name!r} is also claimed by {', '.join(rivals)}")
    if record.status != "ok" or not claims or normal_name(record.distribution) in FIRST_PARTY:
        return record
    return evolve(record, status="conflict", reason="; ".join(claims))


def _names(text: str | None) -> set[str] | None:
    return None if text is None else _set(text.split(","))


def _set(names: Iterable[str]) -> set[str]:
    return {normal_name(name.strip()) for name in names if name.strip()}
