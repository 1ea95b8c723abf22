"""The road of docs/migration.md: each command of the page, in its order, in a copy of what a clone has."""

from __future__ import annotations

import json
import os
import re
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

import tokframe

ROOT = Path(__file__).parents[1]

pytestmark = [pytest.mark.slow, pytest.mark.trains]


def test_each_command_of_the_page_runs_in_its_order(tmp_path):
    pytest.importorskip("tokframe_lm")
    blocks = re.findall(r"```bash\n(.*?)```", (ROOT / "docs" / "migration.md").read_text(encoding="utf-8"), re.DOTALL)
    commands = [line for block in blocks for line in block.splitlines()]
    assert len(commands) >= 7 and all(line.startswith(("python ", "tokframe ", "TOKFRAME_")) for line in commands)
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for command in commands:
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=tmp_path,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stderr[-2000:]}"
    words = tokframe.load(tmp_path / "words")
    assert words.vocab_size == 4000 and words.unknown_id == 1
    assert tokframe.load(tmp_path / "list").unknown_id == 1
    found = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    rows = found["tokenizers"]
    assert found["context_gained"] > 1.5 and rows["./words"]["unknown_rate"] > 0.01
    assert rows["autoencoder-fsq"]["unknown_rate"] == 0
    assert "text in a context" in (tmp_path / "report.html").read_text(encoding="utf-8")
    moved = json.loads((tmp_path / "moved" / "tokframe.json").read_text(encoding="utf-8"))
    assert moved["rows_after"] == 32768 and moved["same"] and moved["copied"] > 1000
    mean = {}
    for part in ("embeddings", "all"):
        (state,) = (tmp_path / "new" / "checkpoints" / part).glob("checkpoint-*/trainer_state.json")
        history = json.loads(state.read_text(encoding="utf-8"))["log_history"]
        mean[part] = statistics.mean(entry["loss"] for entry in history if "loss" in entry)
    assert mean["all"] < mean["embeddings"]
