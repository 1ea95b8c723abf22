"""The notebooks in examples/: kept without outputs, and every cell runs on a Jupyter kernel."""

import json
import re
from pathlib import Path

import pytest
from support.fixtures import completed

pytest.importorskip("nbclient", reason="nbclient is not installed")
pytest.importorskip("ipykernel", reason="ipykernel is not installed")
pytestmark = [pytest.mark.slow, pytest.mark.trains]

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))


def code_cells(path):
    return [cell for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]


def shown(cell, kind="text/html"):
    """Return what a cell shows in one form, joined."""
    found = [output.get("data", {}).get(kind, "") for output in cell["outputs"]]
    return "\n".join("".join(text) for text in found)


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """Return a function that runs a notebook in a folder of its own and returns its cells of code."""

    def run(name):
        folder = tmp_path_factory.mktemp("notebook")
        completed(folder, [ROOT / "tests/programs/notebook.py", ROOT / "examples" / name, folder / name])
        return code_cells(folder / name)

    return run


def test_there_are_three_kept_without_outputs():
    assert [path.stem for path in NOTEBOOKS] == ["compare_and_migrate", "quick_start", "train_your_own"]
    for path in NOTEBOOKS:
        for cell in code_cells(path):
            assert cell["outputs"] == [] and cell["execution_count"] is None


def test_quick_start_shows_pieces_and_tables(ran):
    cells = ran("quick_start.ipynb")
    pages = [shown(cell) for cell in cells]
    assert any("tokframe-cut" in page and "京" in page for page in pages)
    assert any("bytes per token" in page and 'class="best"' in page for page in pages)
    assert "dtype=int32" in shown(cells[4], "text/plain")


def test_training_shows_progress_a_curve_and_a_verification(ran):
    cells = ran("train_your_own.ipynb")
    pages = "\n".join(map(shown, cells))
    assert "min_frequency" not in pages and "mining.frequency" in pages
    assert re.search(r"all \d+ checks passed", pages)
    assert any("decoder" in shown(cell, "text/plain") and "loss" in shown(cell, "text/plain") for cell in cells)


def test_a_migration_is_compared_shadowed_and_converted(ran):
    pages = "\n".join(map(shown, ran("compare_and_migrate.ipynb")))
    assert "unknown" in pages and "tried beside" in pages and "copied" in pages
