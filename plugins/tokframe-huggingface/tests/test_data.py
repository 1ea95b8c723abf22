"""The examples of docs/interop.md run: transformers, datasets.map and DataLoader workers take our tokenizers."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

PAGE = Path(__file__).parents[3] / "docs" / "interop.md"
FOUND = re.findall(r"<!-- run: needs (\w+) -->\n```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
EXAMPLES = {needs: "\n".join(source for name, source in FOUND if name == needs) for needs, _ in FOUND}


def test_the_page_has_its_examples():
    assert set(EXAMPLES) == {"transformers", "tiktoken", "datasets", "torch", "accelerate", "trl"}


def run(folder, source):
    (folder / "example.py").write_text(source, encoding="utf-8")
    scripts = str(Path(sys.executable).parent)
    environment = os.environ | {
        "OMP_NUM_THREADS": "1",
        "HF_HOME": str(folder / "cache"),
        "HF_HUB_OFFLINE": "1",
        "PATH": scripts + os.pathsep + os.environ["PATH"],
    }
    done = subprocess.run(
        [sys.executable, "example.py"], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("needs", EXAMPLES)
def test_an_example_of_the_page_runs(needs, tmp_path):
    if importlib.util.find_spec(needs) is None:
        pytest.skip(f"{needs} is not installed")
    run(tmp_path, EXAMPLES[needs])


def test_map_in_several_processes_gives_the_same_ids(tmp_path):
    if importlib.util.find_spec("datasets") is None:
        pytest.skip("datasets is not installed")
    source = EXAMPLES["datasets"].replace("batched=True,", "batched=True, num_proc=2,")
    assert "num_proc" in source
    run(tmp_path, source)
