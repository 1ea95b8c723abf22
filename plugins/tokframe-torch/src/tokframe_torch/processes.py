"""Processes: the processes that torchrun started together, on torch.distributed (gloo between CPUs, nccl between GPUs).

Each trains on its share of every batch; gradients are summed in one piece, always in the same order, so that a run
resumed with as many processes is the same bit for bit. The main process, of rank 0, reads, measures and writes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import torch
from torch import Tensor, distributed
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous

from tokframe.errors import TokframeError, TrainingError
from tokframe.training import torchrun

__all__ = ["Processes", "process_group"]

#: How long the others wait for the main process, e.g. to mine. One that died is noticed at once, by its closed
#: connection.
_WAIT_TIMEOUT = timedelta(hours=24)


class Processes:
    """This process and those it trains with: only itself, unless `process_group` made it.

    `device`, `rank` from 0, and `world_size`. Raises: TrainingError where the device cannot be used.
    """

    def __init__(
        self, device: torch.device | str | None = None, *, waiting: distributed.ProcessGroup | None = None
    ) -> None:
        self.device = _usable(_default() if device is None else device)
        self.world_size = 1 if waiting is None else distributed.get_world_size()
        self.rank = 0 if waiting is None else distributed.get_rank()
        self._waiting = waiting  # on the CPU, and patient while the main process mines, tokenizes or measures

    @property
    def main(self) -> bool:
        """Whether this is the process that reads, measures and writes."""
        return self.rank == 0

    def share(self, size: int) -> slice:
        """Return the rows of a batch that are this process's."""
        return slice(size * self.rank // self.world_size, size * (self.rank + 1) // self.world_size)

    def all_reduce_sum(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor, on `device`, by its sum over all processes."""
        if self.world_size == 1:
            return
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        distributed.all_reduce(flat)
        start = 0
        for tensor in tensors:
            tensor.copy_(flat[start : start + tensor.numel()].view_as(tensor))
            start += tensor.numel()

    def any(self, flag: bool) -> bool:
        """Return whether `flag` is true in any process."""
        if self.world_size == 1:
            return flag
        flags = torch.tensor(int(flag))
        distributed.all_reduce(flags, group=self._waiting)
        return bool(flags)

    def broadcast(self, data: bytes = b"") -> bytes:
        """Return the main process's `data` in every process."""
        if self.world_size == 1:
            return data
        size = torch.tensor(len(data))
        distributed.broadcast(size, 0, group=self._waiting)
        copy = torch.empty(int(size), dtype=torch.uint8)
        if self.main and data:
            copy = torch.frombuffer(bytearray(data), dtype=torch.uint8)
        distributed.broadcast(copy, 0, group=self._waiting)
        return copy.numpy().tobytes()

    @contextmanager
    def main_process_first(self) -> Iterator[None]:
        """Run the body in the main process, then in the others, which find the files that it made."""
        if not self.main:
            distributed.barrier(group=self._waiting)
        yield
        if self.main and self.world_size > 1:
            distributed.barrier(group=self._waiting)


@contextmanager
def process_group(device: str | None, workdir: Path) -> Iterator[Processes]:
    """Join the processes that torchrun started, each on a device of its own; without torchrun there is only this one.

    `workdir` is the folder of the checkpoints, for errors. Raises: TrainingError where a device cannot be used, there
    are too few GPUs, or another process is lost.
    """
    count = torchrun.count()
    if count == 1:
        yield Processes(device)
        return
    place = _own_device(_default() if device is None else device, count)
    own = not distributed.is_initialized()
    try:
        if own:
            store, rank, _ = next(rendezvous("env://"))
            # With the addresses of the processes before a restart, gloo would wait for the dead.
            store = PrefixStore(f"restart-{os.environ.get('TORCHELASTIC_RESTART_COUNT')}", store)
            backend = "cpu:gloo,cuda:nccl" if place.type == "cuda" else "gloo"
            distributed.init_process_group(backend, store=store, rank=rank, world_size=count)
        waiting = distributed.new_group(backend="gloo", timeout=_WAIT_TIMEOUT)
    except (RuntimeError, ValueError) as error:
        raise TrainingError(
            f"WORLD_SIZE is {count}, but these processes cannot be joined: {_sentence(error)}. Start them with: "
            "torchrun --standalone --nproc-per-node 2 --no-python tokframe ..."
        ) from error
    try:
        yield Processes(place, waiting=waiting)
    except (TokframeError, torch.OutOfMemoryError):
        raise
    except RuntimeError as error:  # what collectives raise
        raise TrainingError(
            f"training in {count} processes failed: {_sentence(error)}. If another process ended (its message is "
            f"above), the last checkpoint in {workdir} is complete: use --resume (resume=True) to continue"
        ) from error
    finally:
        if own and distributed.is_initialized():
            # Torch joins the groups' threads with the interpreter's lock held, which they need to free a tensor, so
            # that neither would end: by now they have released all.
            time.sleep(0.2)
            distributed.destroy_process_group()


def _sentence(error: Exception) -> str:
    """Return the first sentence of an error."""
    return next(iter(str(error).splitlines()), repr(error)).split(". ")[0]


def _default() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def _usable(name: torch.device | str) -> torch.device:
    """Return a device that computes, made from its name. Raises: TrainingError."""
    try:
        device = torch.device(name)
    except (RuntimeError, TypeError) as error:
        raise TrainingError(
            f"{str(name)!r} is not the name of a device; names are cpu, cuda, cuda:1, mps. {_available()}"
        ) from error
    try:
        torch.ones(1, device=device).item()  # of a device without memory, as meta, nothing comes back
    except Exception as error:  # AssertionError: torch was built without CUDA; ImportError: without a kind of device
        raise TrainingError(f"device {str(name)!r} cannot be used: {_sentence(error)}. {_available()}") from error
    return device


def _available() -> str:
    """Return what can be used here, as the end of an error."""
    found = [f"cuda:{number}" for number in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    found += ["mps"] if torch.backends.mps.is_available() else []
    return f"Here there are: {', '.join(['cpu', *found])}. Try --device {'cuda' if found[:1] == ['cuda:0'] else 'cpu'}"


def _own_device(name: str, count: int) -> torch.device:
    """Return the device of this process, by its rank on this machine. Raises: TrainingError."""
    kind, _, index = name.partition(":")
    if index:
        raise TrainingError(
            f"--device {name} is one device, and {count} processes need one each. Use --device {kind}, and each "
            "process uses its own"
        )
    if kind != "cuda":
        return _usable(kind)
    here, there = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
    if here >= there:
        raise TrainingError(
            f"process {here + 1} on this machine has no GPU of its own: there are {there}. Start fewer processes "
            f"(--nproc-per-node {there}), or use --device cpu"
        )
    torch.cuda.set_device(here)
    return _usable(f"cuda:{here}")
