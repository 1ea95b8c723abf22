"""The processes that train one model together, started by torchrun and joined by Hugging Face accelerate.

A step's windows are split among them and their gradients added up, so that the batch is the same whatever their
number. The first reads and writes; without torchrun there is only that one, and accelerate is not needed.
"""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous

from tokframe.errors import TokframeError, TrainingError
from tokframe.training import torchrun as processes

__all__ = ["Processes", "joined"]

#: How long the others wait for the first to tokenize. One that died is noticed at once, by its closed connection.
_PATIENCE = timedelta(hours=24)
#: Errors whose tracebacks hold a group that broke off: it is left to the end of the process (see `_leave`).
_BROKEN: list[RuntimeError] = []


class Processes:
    """What one process knows of the others, and how they agree."""

    def __init__(self, device: torch.device, accelerator: Any = None, patient: Any = None) -> None:
        self.device = device
        self.count = 1 if accelerator is None else int(accelerator.num_processes)
        self.number = 0 if accelerator is None else int(accelerator.process_index)
        self._accelerator, self._patient = accelerator, patient  # the latter waits while the first tokenizes

    @property
    def first(self) -> bool:
        """Whether this is the one that writes."""
        return self.number == 0

    def share(self, batch: int) -> tuple[slice, float]:
        """Return which rows of a batch are this process's, and what to multiply their mean loss by.

        Accelerate averages gradients over processes, so that the weighted means come to the mean of the batch. With
        fewer rows than processes some take the first row and count it as nothing.
        """
        start, end = (batch * number // self.count for number in (self.number, self.number + 1))
        return (slice(start, end) if end > start else slice(0, 1)), self.count * (end - start) / batch

    def prepare(self, module: nn.Module) -> nn.Module:
        """Return a module whose gradients are the mean over all processes; weights become those of the first."""
        if self._accelerator is None:
            return module
        with warnings.catch_warnings():
            # accelerate has no other word yet for what torch 2.13 renamed
            warnings.filterwarnings("ignore", message=".*broadcast_buffers.*")
            prepared: nn.Module = self._accelerator.prepare_model(module)
        return prepared

    def mean(self, value: Tensor) -> float:
        """Return the mean of a number over all processes."""
        return float(value if self._accelerator is None else self._accelerator.reduce(value, "mean"))

    def any(self, flag: bool) -> bool:
        """Say whether any process says so."""
        return flag if self._accelerator is None else self.mean(torch.tensor(float(flag), device=self.device)) > 0

    @contextmanager
    def first_goes_first(self) -> Iterator[None]:
        """Let the first process do what follows, then the others, who find what it made."""
        if self._accelerator is None:
            yield
            return
        if not self.first:
            distributed.barrier(group=self._patient)
        yield
        if self.first:
            distributed.barrier(group=self._patient)


@contextmanager
def joined(device: str | None, work: Path) -> Iterator[Processes]:
    """Give the processes that torchrun started together, or this one alone, on a device each.

    `work` is where checkpoints are. Raises: TrainingError where the device cannot be used or another process is lost.
    """
    if processes.count() == 1:
        yield Processes(_device(device))
        return
    try:
        from accelerate import Accelerator, DistributedDataParallelKwargs
    except ImportError as error:
        raise TrainingError(
            "training in several processes needs accelerate, which is not installed: "
            "pip install 'tokframe-lm[distributed]'"
        ) from error
    place = _device(device)
    if place.index is not None:
        raise TrainingError(
            f"--device {place} is one device, and {processes.count()} processes need one each. Say --device "
            f"{place.type}, and each takes its own"
        )
    here = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    if place.type == "cuda" and torch.cuda.device_count() < here:
        raise TrainingError(
            f"{here} processes on this machine need a GPU each, and there are {torch.cuda.device_count()}. Start "
            f"fewer (--nproc-per-node {torch.cuda.device_count()}), or say --device cpu"
        )
    own = not distributed.is_initialized()
    try:
        if own:
            store, number, count = next(rendezvous("env://"))
            # Gloo would wait for the dead if processes that torchrun starts anew found the addresses of those before.
            store = PrefixStore(f"restart-{os.environ.get('TORCHELASTIC_RESTART_COUNT')}", store)
            backend = "nccl" if place.type == "cuda" else "gloo"
            distributed.init_process_group(backend, store=store, rank=number, world_size=count)
        patient = distributed.new_group(backend="gloo", timeout=_PATIENCE)
        # Its buffers are tables that no step changes.
        kept = DistributedDataParallelKwargs(broadcast_buffers=False)
        accelerator = Accelerator(cpu=place.type == "cpu", kwargs_handlers=[kept])
    except (RuntimeError, ValueError) as error:
        raise TrainingError(
            f"WORLD_SIZE says that {processes.count()} processes were started, but they cannot be joined: "
            f"{_sentence(error)}. Start them so: torchrun --standalone --nproc-per-node 2 -m tokframe lm train ..."
        ) from error
    try:
        yield Processes(accelerator.device, accelerator, patient)
    except (TokframeError, torch.OutOfMemoryError):
        raise
    except RuntimeError as error:  # what collectives raise
        _BROKEN.append(error)
        raise TrainingError(
            f"training in {processes.count()} processes broke off: {_sentence(error)}. If another process ended (what "
            f"it said comes before this), the last checkpoint is whole, in {work}: run the same command with --resume "
            "to go on"
        ) from error
    finally:
        if own:
            _leave()


def _leave() -> None:
    """Destroy the groups, once their threads have let go of all tensors.

    Torch joins those threads with the interpreter's lock held, and to free a tensor they need it: neither would end.
    """
    time.sleep(0.2)
    distributed.destroy_process_group()


def _sentence(error: Exception) -> str:
    """Return the first sentence of an error."""
    return next(iter(str(error).splitlines()), repr(error)).split(". ")[0]


def _device(name: str | None) -> torch.device:
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise TrainingError(f"device {name!r} cannot be used here: {error}. Try --device cpu") from error
    return device
