"""The processes that train one network together, on torch.distributed: gloo on the CPU, nccl between GPUs.

Each takes its share of every batch; gradients are added up in one piece, always in the same order, so that a run
resumed with as many processes goes on bit for bit. The first reads, measures and writes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

import torch
from torch import Tensor, distributed
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous

from tokframe.errors import TokframeError, TrainingError
from tokframe.training import torchrun as processes

__all__ = ["Processes", "joined"]

#: How long the others wait for the first, e.g. to mine. One that died is noticed at once, by its closed connection.
_PATIENCE = timedelta(hours=24)


class Processes:
    """What one process knows of the others, and what they tell each other; alone, unless `joined` gave it."""

    def __init__(
        self, device: torch.device | str | None = None, *, patient: distributed.ProcessGroup | None = None
    ) -> None:
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.count = 1 if patient is None else distributed.get_world_size()
        self.number = 0 if patient is None else distributed.get_rank()
        self._patient = patient  # waits while the first mines or measures

    @property
    def first(self) -> bool:
        """Whether this is the one that reads and writes."""
        return self.number == 0

    def share(self, size: int) -> slice:
        """Return which rows of a batch are this process's."""
        return slice(size * self.number // self.count, size * (self.number + 1) // self.count)

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor, on `device`, by its sum over all processes."""
        if self.count == 1:
            return
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        distributed.all_reduce(flat)
        start = 0
        for tensor in tensors:
            tensor.copy_(flat[start : start + tensor.numel()].view_as(tensor))
            start += tensor.numel()

    def any(self, flag: bool) -> bool:
        """Say whether any process says so."""
        if self.count == 1:
            return flag
        said = torch.tensor(int(flag))
        distributed.all_reduce(said, group=self._patient)
        return bool(said)

    def hand_out(self, data: bytes = b"") -> bytes:
        """Return the first process's `data` in every process."""
        if self.count == 1:
            return data
        size = torch.tensor(len(data))
        distributed.broadcast(size, 0, group=self._patient)
        copy = torch.empty(int(size), dtype=torch.uint8)
        if self.first and data:
            copy = torch.frombuffer(bytearray(data), dtype=torch.uint8)
        distributed.broadcast(copy, 0, group=self._patient)
        return copy.numpy().tobytes()


@contextmanager
def joined(device: str | None = None) -> Iterator[Processes]:
    """Give the processes that torchrun started together, each on a device of its own; or this one alone.

    Raises: TrainingError where there are too few GPUs, or another process is lost.
    """
    count = processes.count()
    if count == 1:
        yield Processes(device)
        return
    place = _own_device(Processes(device).device, count)
    own = not distributed.is_initialized()
    try:
        if own:
            store, number, _ = next(rendezvous("env://"))
            # Gloo would wait for the dead if processes that torchrun starts anew found the addresses of those before.
            store = PrefixStore(f"restart-{os.environ.get('TORCHELASTIC_RESTART_COUNT')}", store)
            backend = "cpu:gloo,cuda:nccl" if place.type == "cuda" else "gloo"
            distributed.init_process_group(backend, store=store, rank=number, world_size=count)
        patient = distributed.new_group(backend="gloo", timeout=_PATIENCE)
    except (RuntimeError, ValueError) as error:
        raise TrainingError(
            f"WORLD_SIZE says that {count} processes were started, but they cannot be joined: {_first(error)}. "
            "Start them so: torchrun --standalone --nproc-per-node 2 -m tokframe train ..."
        ) from error
    try:
        yield Processes(place, patient=patient)
    except (TokframeError, torch.OutOfMemoryError):
        raise
    except RuntimeError as error:  # what collectives raise
        raise TrainingError(
            f"training in {count} processes broke off: {_first(error)}. If another process ended (what it said comes "
            "before this), the last checkpoint is whole: run the same command with --resume to go on"
        ) from error
    finally:
        if own and distributed.is_initialized():
            _leave()


def _leave() -> None:
    """Destroy the groups, once their threads have let go of all tensors.

    Torch joins those threads with the interpreter's lock held, and to free a tensor they need it: neither would end.
    """
    time.sleep(0.2)
    distributed.destroy_process_group()


def _first(error: Exception) -> str:
    """Return the first sentence of an error."""
    return next(iter(str(error).splitlines()), repr(error)).split(". ")[0]


def _own_device(device: torch.device, count: int) -> torch.device:
    """Return the device of this process, by its number on this machine."""
    if device.type != "cuda":
        return device
    if device.index is not None:
        raise TrainingError(
            f"--device {device} is one device, and {count} processes need one each. Say --device cuda, and each takes "
            "its own"
        )
    here, there = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
    if here >= there:
        raise TrainingError(
            f"process {here + 1} on this machine finds no GPU of its own, as there are {there}. Start fewer "
            f"(--nproc-per-node {there}), or say --device cpu"
        )
    torch.cuda.set_device(here)
    return torch.device("cuda", here)
