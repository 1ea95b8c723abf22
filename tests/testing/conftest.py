"""A run of contracts in a pytest of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import xml.etree.ElementTree as ElementTree

import pytest


@pytest.fixture
def failures(tmp_path):
    """Return a function: contracts' source (and a plugins' folder) -> {class: {names of failed tests}}."""

    def run(source, site):
        file = tmp_path / "test_of_contracts.py"
        file.write_text(textwrap.dedent(source), encoding="utf-8")
        report = tmp_path / "report.xml"
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("TOKFRAME_", "PYTEST_"))}
        environment |= {"PYTHONPATH": str(site), "OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}", str(file)],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=environment,
            check=False,
        )
        assert report.is_file(), f"pytest did not run:\n{done.stdout}\n{done.stderr}"
        failed = {}
        for case in ElementTree.parse(report).getroot().iter("testcase"):
            found = failed.setdefault(case.get("classname").rpartition(".")[2], set())
            if case.find("failure") is not None or case.find("error") is not None:
                found.add(case.get("name"))
        return failed

    return run
