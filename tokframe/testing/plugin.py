"""PluginContract: what a distribution must get right so that its plugin is found, light and compatible."""

from __future__ import annotations

import re
from importlib import metadata

import attrs

from tokframe.plugins.discovery import PluginRecord, host
from tokframe.plugins.metadata import GROUP
from tokframe.plugins.registry import ComponentSpec, TokenizerSpec, load_target, normal_name
from tokframe.testing.fresh import run_fresh

__all__ = ["PluginContract"]

#: Modules that take longer to import than a command may take to start.
_HEAVY = ("jax", "numba", "numpy", "pandas", "scipy", "sklearn", "tensorflow", "tokenizers", "torch", "transformers")
_IMPORT = """
import contextlib, importlib, io, json, sys
written = io.StringIO()
with contextlib.redirect_stdout(written), contextlib.redirect_stderr(written):
    for name in sys.argv[1:]:
        importlib.import_module(name)
print(json.dumps([sorted({name.partition(".")[0] for name in sys.modules}), written.getvalue()]))
"""


class PluginContract:
    """Subclass it and set `distribution`: the name under which the plugin is installed."""

    distribution: str = ""

    def test_it_is_found_and_ok(self) -> None:
        """An entry point in the group `tokframe` is found, loads, and adds something."""
        for record in self._records():
            assert record.status in ("ok", "conflict"), f"the plugin is {record.status}: {record.reason}"

    def test_its_names_are_its_own(self) -> None:
        """No other installed plugin claims one of its names."""
        for record in self._records():
            assert record.status != "conflict", record.reason

    def test_it_bounds_the_tokframe_it_works_with(self) -> None:
        """Its requirement on tokframe has an upper bound: a plugin that is too old is then named, not run."""
        from packaging.requirements import Requirement

        required = [Requirement(text) for text in self._found().requires or ()]
        ours = [r for r in required if normal_name(r.name) == "tokframe" and not r.marker]
        assert ours, "it does not require tokframe; add tokframe>=X.Y,<X.Z to its dependencies"
        bounds = [s.operator for r in ours for s in r.specifier]
        assert {"<", "<=", "~=", "=="} & set(bounds), f"its requirement {ours[0]} has no upper bound"

    def test_importing_it_is_light(self) -> None:
        """The entry module imports nothing heavy: that is for the modules its specs name."""
        loaded, _ = run_fresh(_IMPORT, *self._modules())
        heavy = sorted(set(_HEAVY) & set(loaded))
        assert not heavy, f"its entry module imports {', '.join(heavy)}; import it in the module that uses it"

    def test_importing_it_is_silent(self) -> None:
        """The entry module writes nothing: output of `tokframe encode` is read by programs."""
        _, written = run_fresh(_IMPORT, *self._modules())
        assert not written, f"its entry module writes {written!r}"

    def test_everything_it_declares_can_be_imported(self) -> None:
        """Each target and each config class is there, and configs are attrs classes with defaults."""
        specs = self._specs()
        assert specs, "it declares no component and no tokenizer"
        for spec in specs:
            assert callable(load_target(spec)), f"{spec.target} cannot be called"
            if spec.config:
                cls = load_target(spec, "config")
                assert attrs.has(cls), f"{spec.config} is no attrs class"
                cls()

    def test_everything_it_declares_has_a_summary(self) -> None:
        """Each spec has a summary, which `tokframe components` shows."""
        silent = [f"{spec.kind} {spec.name}" for spec in self._specs() if not spec.summary.strip()]
        assert not silent, f"no summary: {', '.join(silent)}"

    def test_the_extras_it_names_exist(self) -> None:
        """`extra` of a spec is one the distribution has, as users are told to install it."""
        provided = {normal_name(extra) for extra in self._found().metadata.get_all("Provides-Extra") or ()}
        for spec in self._specs():
            assert not spec.extra or normal_name(spec.extra) in provided, (
                f"{spec.kind} {spec.name!r} names the extra {spec.extra!r}; the distribution has {sorted(provided)}"
            )

    def test_what_it_ships_loads_in_a_fresh_process(self) -> None:
        """Each tokenizer with an artifact loads by name and round-trips or at least encodes."""
        shipped = [spec for spec in self._specs() if isinstance(spec, TokenizerSpec) and spec.artifact]
        source = """
        import json, sys, tokframe
        for name in sys.argv[1:]:
            assert tokframe.load(name).encode("the shipped tokenizer"), name
        print(json.dumps(True))
        """
        assert not shipped or run_fresh(source, *(f"{spec.distribution}/{spec.name}" for spec in shipped))

    # -- helpers ------------------------------------------------------------------------------------------------

    def _found(self) -> metadata.Distribution:
        try:
            return metadata.distribution(self.distribution)
        except metadata.PackageNotFoundError:
            raise AssertionError(f"{self.distribution!r} is not installed. From its folder: pip install -e .") from None

    def _modules(self) -> list[str]:
        points = [point for point in self._found().entry_points if point.group == GROUP]
        assert points, f'{self.distribution} has no entry point in the group "tokframe"'
        return [re.split(r"[:\s]", point.value)[0] for point in points]

    def _records(self) -> list[PluginRecord]:
        wanted = normal_name(self.distribution)
        records = [record for record in host().records if normal_name(record.distribution) == wanted]
        assert records, f"{self.distribution} is not among the plugins found: tokframe plugins"
        return records

    def _specs(self) -> list[ComponentSpec | TokenizerSpec]:
        wanted = normal_name(self.distribution)
        return [spec for spec in host().registry.specs() if normal_name(spec.distribution) == wanted]
