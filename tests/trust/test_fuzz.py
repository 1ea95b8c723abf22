"""The fuzz targets on random and slightly wrong inputs; guided by coverage too where atheris is installed."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
TARGETS = ("manifest", "config", "codebook", "text")


@pytest.fixture(scope="module")
def targets(fuzz):
    return fuzz("targets")


@pytest.mark.parametrize("target", TARGETS)
def test_sound_inputs_are_no_findings(targets, target):
    for data in targets.seeds(target):
        targets.TARGETS[target](data)


@given(st.binary(max_size=300) | st.text(max_size=100).map(str.encode))
def test_any_bytes_as_text(targets, data):
    targets.TARGETS["text"](data)


@pytest.mark.parametrize("target", ["manifest", "config", "codebook"])
@settings(max_examples=40)
@given(data=st.data())
def test_a_sound_file_with_parts_replaced(targets, target, data):
    sound = targets.seeds(target)[0]
    start = data.draw(st.integers(0, len(sound)))
    end = min(len(sound), start + data.draw(st.integers(0, 30)))
    put = data.draw(
        st.binary(max_size=30) | st.sampled_from([b"null", b"-1", b"1e9", b"{}", b"[]", b'"x"', b"\xff" * 8])
    )
    targets.TARGETS[target](sound[:start] + put + sound[end:])


def test_a_finding_is_told(targets, monkeypatch):
    tokenizer = targets._tokenizer()
    monkeypatch.setattr(type(tokenizer), "decode_bytes", lambda *_, **__: b"other")
    with pytest.raises(AssertionError, match="do not give back"):
        targets.TARGETS["text"](b"abc")


@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="pip install atheris")
@pytest.mark.parametrize("target", TARGETS)
def test_two_seconds_of_guided_fuzzing_find_nothing(target, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "fuzz", target, "--seconds", "2", "--findings", str(tmp_path / "found")],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert list((tmp_path / "found").iterdir()) == []
    assert "Done" in done.stderr


def test_seconds_of_hostile_calls_under_sanitizers_find_nothing(fuzz, capfd):
    """Minutes of it, without vector code and with little memory too: `python -m fuzz.sanitized --seconds 300`."""
    sanitized = fuzz("sanitized")
    if sanitized.compiler() is None:
        pytest.skip("needs gcc with libasan")
    (told,) = sanitized.run(5, 0, ["as built"])
    counts = json.loads(told.removeprefix("as built: "))
    assert len(counts) == 7 and min(counts.values()) >= 1
    assert "ERROR" not in capfd.readouterr().err
