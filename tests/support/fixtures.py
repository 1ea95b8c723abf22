"""Shared fixtures: plugins made up on the spot, distributions installed for real, fresh processes."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from importlib import metadata
from pathlib import Path

import hypothesis
import pytest

from tokframe.plugins import discovery as plugins
from tokframe.plugins.discovery import Host

TESTS = Path(__file__).parents[1]
DISTRIBUTIONS = TESTS / "distributions"

# No clock decides a test: a busy machine is no bug.
hypothesis.settings.register_profile("tokframe", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("tokframe")


#: Fixtures that start processes or train: what uses one is slow.
SLOW_FIXTURES = {"fresh", "installed", "in_processes", "torchrun"}


def pytest_collection_modifyitems(items):
    """Mark as slow what starts processes or trains, so that `-m "not slow"` is a minute's feedback."""
    for item in items:
        if SLOW_FIXTURES & set(item.fixturenames) or item.get_closest_marker("trains"):
            item.add_marker(pytest.mark.slow)


class MadeUpDistribution(metadata.Distribution):
    """An installed distribution that exists only in memory."""

    def __init__(self, name, *, version="1.0", requires=(), files=None):
        lines = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}"]
        lines += [f"Requires-Dist: {requirement}" for requirement in requires]
        self._files = {"METADATA": "\n".join(lines) + "\n", **(files or {})}

    def read_text(self, filename):
        return self._files.get(filename)

    def locate_file(self, path):
        return Path(path)


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """Return a function that makes a plugin: `plugin("acme", source)` -> (entry point, distribution)."""
    folder = tmp_path / "plugins-made-up"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    made = []

    def make(name, source="", *, entry_point=None, module=None, value=None, **metadata_of):
        module = module or name.replace("-", "_") + f"_{len(made)}_plugin"
        made.append(module)
        (folder / f"{module}.py").write_text("import tokframe\n" + textwrap.dedent(source), encoding="utf-8")
        point = metadata.EntryPoint(name=entry_point or name, value=value or module, group=plugins.GROUP)
        return point, MadeUpDistribution(name, **metadata_of)

    yield make
    for module in made:
        sys.modules.pop(module, None)


@pytest.fixture
def toy_entry_point():
    """Return the toy plugin as an entry point, as if it were installed."""
    point = metadata.EntryPoint(name="toy", value="toy_bytes", group=plugins.GROUP)
    return point, MadeUpDistribution("toy-bytes", version="0.3.0")


@pytest.fixture
def use_host(monkeypatch):
    """Return a function that puts a host of the given entry points in place of this process's own."""

    def use(*entry_points, **options):
        host = Host(entry_points=entry_points, allow=options.pop("allow", None), **options)
        monkeypatch.setattr(plugins, "_host", host)
        return host

    monkeypatch.delenv("TOKFRAME_PLUGINS", raising=False)
    monkeypatch.delenv("TOKFRAME_DISABLE_PLUGINS", raising=False)
    monkeypatch.delenv("TOKFRAME_STRICT_PLUGINS", raising=False)
    return use


@pytest.fixture
def toy_host(use_host, toy_entry_point):
    """This process knows the plugin toy-bytes and no other."""
    return use_host(toy_entry_point)


@pytest.fixture(scope="session")
def installed(tmp_path_factory):
    """Install the throw-away distributions for real and return the folder to put on PYTHONPATH."""
    target = tmp_path_factory.mktemp("site")
    pip_install(target, [DISTRIBUTIONS / name for name in ("toy-bytes", "acme-sign", "acme-broken")])
    return target


@pytest.fixture
def fresh(installed, tmp_path):
    """Return a function that runs a program in a fresh process where those distributions are installed.

    It is the name of one in tests/programs or, if it has a blank or several lines, Python source. Keyword arguments
    are environment variables; `cwd` is an empty folder. Returns the completed process.
    """
    empty = tmp_path / "cwd"
    empty.mkdir()

    def run(program, *arguments, check=True, **environment):
        words = ["-W", "error", *_script(program), *arguments]
        return completed(empty, words, check=check, **{"PYTHONPATH": installed} | environment)

    return run


@pytest.fixture
def given_footprint(monkeypatch):
    """Load time and memory are given, so that no fresh processes are started to measure them."""
    from tokframe.evaluate.footprint import Footprint

    given = Footprint(load_ms=12.5, memory_mb=3.25)
    monkeypatch.setattr("tokframe.evaluate.comparison.footprints", lambda names, *_, **__: dict.fromkeys(names, given))


class Listener:
    """A reporter that remembers what it was told."""

    def __init__(self):
        self.stages, self.notes, self.done, self.figures = [], [], [], []

    def stage(self, name, total=None, unit=""):
        self.stages.append((name, total, unit))

    def advance(self, done, **figures):
        self.done.append(done)
        self.figures.append(figures)

    def note(self, text):
        self.notes.append(text)


@pytest.fixture
def listener():
    """A reporter for training: `stages`, `notes`, `done` and `figures` hold what it was told, in order."""
    return Listener()


@pytest.fixture
def in_processes(tmp_path):
    """Return a function that runs a program of tests/programs in a process of its own, which may fork and kill.

    `run(name, *arguments, **environment)` returns its stdout; what has several lines or a blank is Python source.
    """

    def run(program, *arguments, **environment):
        return completed(tmp_path, [*_script(program), *arguments], **environment).stdout

    return run


@pytest.fixture
def torchrun(tmp_path):
    """Return a function that starts a program of tests/programs in two processes by torchrun."""

    def run(program, *arguments, options=()):
        start = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", *options]
        return completed(tmp_path, [*start, program_path(program), *arguments], check=False)

    return run


def program_path(name):
    return TESTS / "programs" / f"{name}.py"


def _script(program):
    return [str(program_path(program))] if program.isidentifier() else ["-c", textwrap.dedent(program)]


def pip_install(target, sources):
    """Install distributions from their source folders into a folder, without a network."""
    pip = ["-m", "pip", "--isolated", "install", "--quiet", "--disable-pip-version-check"]
    offline = ["--no-index", "--no-deps", "--no-build-isolation", "--no-compile", "--target", target]
    completed(target, [*pip, *offline, *sources])


def completed(folder, words, *, check=True, **environment):
    """Run Python with these words in a folder, in one thread and in no group of processes; return how it ended.

    What would make it part of others or of this run of pytest is taken out of the environment.
    """
    ours = ("TOKFRAME_", "PYTEST_", "TORCHELASTIC_", "MASTER_", "RANK", "WORLD_SIZE", "LOCAL_")
    plain = {key: value for key, value in os.environ.items() if not key.startswith(ours)}
    plain |= {"OMP_NUM_THREADS": "1", "PYTHONIOENCODING": "utf-8", "TOKFRAME_CONFIG": "", "PYTHONPATH": TESTS}
    done = subprocess.run(
        [sys.executable, *map(str, words)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        cwd=folder,
        env={key: str(value) for key, value in (plain | environment).items()},
        timeout=900,  # a hang, not a slow machine
        check=False,
    )
    assert done.returncode == 0 or not check, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done
