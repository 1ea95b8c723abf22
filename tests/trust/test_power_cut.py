"""Power cut at any moment of a save or of a checkpoint: what was not flushed is lost in every way the model knows."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import numpy as np
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")]


@pytest.fixture(scope="module")
def powercut(fuzz):
    return fuzz("powercut")


@pytest.fixture(autouse=True)
def few(powercut, monkeypatch):
    """All outcomes are tried by `python -m fuzz.powercut`; here those with nothing, with all and some between."""
    monkeypatch.setattr(powercut, "MAX_OUTCOMES", 24)


def scenario(powercut, name):
    if name == "checkpoint" and importlib.util.find_spec("torch") is None:
        pytest.skip("needs torch")
    return powercut.SCENARIOS[name]


NAMES = ["artifact", "artifact, two renames", "folder", "file", "checkpoint"]


@pytest.mark.parametrize("name", NAMES)
def test_after_a_power_cut_the_last_save_that_returned_is_there_or_the_one_at_work(powercut, name):
    tried = powercut.examine(scenario(powercut, name), saves=2)
    assert tried["moments"] >= 10 and tried["outcomes"] >= 15


@pytest.mark.parametrize("ignored", ["files", "folders"])
@pytest.mark.parametrize("name", NAMES)
def test_a_flush_that_is_left_out_is_noticed(powercut, name, ignored):
    """Or else the test above could not fail."""
    with pytest.raises(AssertionError, match="when power goes"):
        powercut.examine(scenario(powercut, name), ignored)


def test_the_recorder_tells_what_is_certain_from_what_may_be(powercut, tmp_path):
    with powercut.Recorder(tmp_path) as recorder:
        with open(tmp_path / "a", "wb") as file:
            file.write(b"abcd")
            file.flush()
            os.fsync(file.fileno())
        (tmp_path / "b").write_bytes(b"wxyz")
        os.rename(tmp_path / "a", tmp_path / "c")
        descriptor = os.open(tmp_path, os.O_RDONLY)
        before = len(recorder.moments)
        os.fsync(descriptor)
        os.close(descriptor)
    random = np.random.default_rng(0)
    possible = list(powercut.outcomes(recorder.moments[before], random))
    assert {} in possible and {"c": b"abcd"} in possible and {"c": b"abcd", "b": b"wx"} in possible
    assert {"a": b"abcd"} in possible and not any("a" in tree and "c" in tree for tree in possible), "one step"
    certain = list(powercut.outcomes(recorder.moments[-1], random))
    assert {"c": b"abcd", "b": b""} in certain and {"c": b"abcd", "b": b"\0\0\0\0"} in certain
    assert all(tree["c"] == b"abcd" and "b" in tree for tree in certain), "names and the flushed bytes are certain"
