"""Shared parts of the benchmarks: the options of a run, its text and its systems, each built once."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("RAYON_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import pytest
from attrs import frozen

from benchmarks import machine, ours, peers, systems, texts


@frozen(kw_only=True)
class Run:
    """How much is measured: bytes of the mix, rounds, and the factor on other sizes."""

    size: int
    rounds: int
    scale: float


def pytest_addoption(parser):
    parser.addoption("--quick", action="store_true", help="little text and few rounds: to try it, not to quote")


def pytest_benchmark_update_json(config, benchmarks, output_json):
    output_json["tokframe"] = machine.describe(
        output_json["machine_info"]["cpu"].get("brand_raw", ""), quick=config.getoption("--quick")
    )


@pytest.fixture(scope="session")
def run(request):
    if request.config.getoption("--quick"):
        return Run(size=200_000, rounds=3, scale=0.1)
    return Run(size=4_000_000, rounds=9, scale=1.0)


@pytest.fixture(scope="session")
def text(run):
    return texts.mix(run.size)


@pytest.fixture(scope="session")
def built():
    """Return the systems that could be built, and those that could not."""
    return systems.build({**ours.builders(), **peers.builders()})


@pytest.fixture(scope="session")
def flagship(built):
    """Return our tokenizer, or skip where it does not load."""
    import tokframe

    if ours.FLAGSHIP not in built[0]:
        pytest.skip(f"{ours.flagship_name()} does not load")
    return tokframe.load(ours.flagship_name())
