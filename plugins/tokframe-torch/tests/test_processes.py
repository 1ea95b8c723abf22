"""Processes: one alone, several joined, and the devices that cannot be used."""

from __future__ import annotations

import json
import os

import pytest

torch = pytest.importorskip("torch")

from tokframe_torch.processes import Processes, process_group  # noqa: E402

from tokframe.errors import TrainingError  # noqa: E402

pytestmark = pytest.mark.trains

needs_gloo = pytest.mark.skipif(
    not (torch.distributed.is_available() and torch.distributed.is_gloo_available() and hasattr(os, "fork")),
    reason="needs gloo and fork",
)


def test_a_process_alone_is_the_main_one_and_has_every_row(tmp_path):
    with process_group("cpu", tmp_path) as processes:
        assert (processes.main, processes.rank, processes.world_size) == (True, 0, 1)
        assert processes.share(5) == slice(0, 5)
        assert processes.broadcast(b"data") == b"data"
        assert processes.any(True) and not processes.any(False)
        value = torch.tensor([2.0])
        processes.all_reduce_sum([value])
        assert value.tolist() == [2.0]
        with processes.main_process_first():
            pass


@needs_gloo
def test_joined_processes_sum_broadcast_and_share(in_processes):
    found = [json.loads(line) for line in in_processes("joined_processes", "exchange").splitlines()]
    for each in found:
        assert each["sums"] == [[[3.0, 3.0], [3.0, 3.0]], 33.0]
        assert each["any"] == [True, False]
        assert each["broadcast"] == ["0001", ""]
    assert [each["rows"] for each in found] == [[0, 2], [2, 4], [4, 7]]


@needs_gloo
def test_a_lost_process_ends_the_others_with_an_error_not_a_hang(in_processes):
    said = in_processes("joined_processes", "lose_the_first")
    assert said.startswith("TrainingError: training in 3 processes failed") and "checkpoint in work" in said


@pytest.mark.parametrize("name", ["gpu", "quantum", "cuda:x", "cpu:-1", "cuda:99", "meta", "", "CPU", " cpu"])
def test_a_device_that_cannot_be_used_is_an_error_in_few_words(name, tmp_path):
    with (
        pytest.raises(TrainingError, match=r"Here there are: cpu.* Try --device c") as caught,
        process_group(name, tmp_path),
    ):
        pytest.fail("entered")
    assert repr(name) in str(caught.value) and len(str(caught.value)) < 200


@pytest.mark.parametrize("name", ["hpu", "privateuseone", 3.5])
def test_a_device_of_another_kind_is_an_error_whatever_torch_raises(name):
    with pytest.raises(TrainingError, match="Here there are: cpu"):
        Processes(name)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is CUDA")
def test_cuda_where_there_is_none_is_an_error(tmp_path, monkeypatch):
    with pytest.raises(TrainingError, match=r"'cuda' cannot be used.*--device cpu"):
        Processes("cuda")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(TrainingError, match="no GPU of its own"), process_group("cuda", tmp_path):
        pytest.fail("entered")
    with pytest.raises(TrainingError, match="is one device"), process_group("cuda:0", tmp_path):
        pytest.fail("entered")


def test_processes_that_cannot_be_joined_are_an_error(tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    for name in ("RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(TrainingError, match="torchrun --standalone"), process_group("cpu", tmp_path):
        pytest.fail("entered")
