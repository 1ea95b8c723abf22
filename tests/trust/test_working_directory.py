"""Code that lies in the working directory is run by no child process, unless its parent would import it as well."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.hosts import put_distribution
from support.stopping import never

from tokframe.evaluate.footprint import footprints
from tokframe.plugins.children import child_environment, safely_spawned
from tokframe.shards import engines

#: Imported at the start of a child, by Python's own modules among others.
NAMES = ("numpy", "json", "pickle", "threading", "signal", "tempfile", "struct", "tokframe", "attrs", "sitecustomize")


@pytest.fixture
def hostile(tmp_path, monkeypatch):
    """The working directory holds modules and a plugin that leave a mark when they are run; returns the mark."""
    mark, folder = tmp_path / "mark", tmp_path / "cloned"
    put_distribution(folder, "acme-evil", "acme_evil", requires="")
    for name in (*NAMES, "acme_evil"):
        (folder / f"{name}.py").write_text(f"open({str(mark)!r}, 'a').write({name!r} + ' ')", encoding="utf-8")
    monkeypatch.chdir(folder)
    return mark


def absolute(value):
    """What workers run: abs, with what they would import and would hand on."""
    return abs(value), os.environ.get("PYTHONSAFEPATH"), [entry or os.getcwd() for entry in sys.path]


def test_a_child_that_measures_runs_nothing_of_it(hostile):
    assert footprints(["word"], rounds=1)["word"].load_ms
    assert not hostile.exists()


@pytest.mark.slow
@pytest.mark.parametrize("given", [None, "", "1"])
def test_workers_run_nothing_of_it_and_import_what_their_parent_can(hostile, monkeypatch, given):
    if given is not None:
        monkeypatch.setenv("PYTHONSAFEPATH", given)
    found = list(engines.local(absolute, [-1, -2], workers=2, should_stop=never))
    assert sorted(value for value, _, _ in found) == [1, 2]
    assert not hostile.exists()
    assert all(safe == given == os.environ.get("PYTHONSAFEPATH") for _, safe, _ in found)
    assert all(set(path) == set(sys.path) for _, _, path in found)


def test_a_parent_with_the_folder_on_its_path_hands_it_on(hostile, monkeypatch):
    Path("acme_helper.py").write_text("print('helped')")
    command = [sys.executable, "-m", "acme_helper"]
    done = subprocess.run(command, env=child_environment(), capture_output=True, text=True, check=False)
    assert "No module named acme_helper" in done.stderr and not hostile.exists()
    monkeypatch.syspath_prepend("")
    for name in (*NAMES, "acme_evil"):
        Path(f"{name}.py").unlink()
    assert subprocess.check_output(command, env=child_environment(), text=True) == "helped\n"


def test_an_empty_entry_of_pythonpath_adds_nothing(monkeypatch, tmp_path):
    monkeypatch.setenv("PYTHONPATH", f"{os.pathsep}{tmp_path}{os.pathsep}")
    given = child_environment()["PYTHONPATH"].split(os.pathsep)
    assert str(tmp_path) in given and "" not in given


def test_the_variable_is_restored_after_a_failure(monkeypatch):
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    with pytest.raises(OSError, match="no more"), safely_spawned():
        assert os.environ["PYTHONSAFEPATH"] == "1"
        raise OSError("no more")
    assert "PYTHONSAFEPATH" not in os.environ


@pytest.mark.skipif(os.name == "nt", reason="has no signal masks")
def test_signals_of_the_terminal_are_for_the_parent_alone():
    def blocked():
        return signal.pthread_sigmask(signal.SIG_BLOCK, [])

    before = blocked()
    with safely_spawned():
        code = "import signal; print(*sorted(map(int, signal.pthread_sigmask(signal.SIG_BLOCK, []))))"
        told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert {signal.SIGINT, signal.SIGHUP} <= set(map(int, told.split()))
    assert blocked() == before
