"""The processes that share one job: which of them this is, and how they hand each other objects and sums.

`torchrun` starts them and says in the environment who is who. A process that was started alone is rank 0 of 1; it has
no group, and nothing here waits or imports torch for it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from maskzoo.errors import ArgumentError, MaskzooError
from maskzoo.system.devices import choose_device

if TYPE_CHECKING:
    import torch

__all__ = ["Processes", "join_processes"]

Device = str  # "auto", or as PyTorch names it: cpu, cuda, cuda:1, mps, xpu ...
Value = TypeVar("Value")
# A process that dies closes its connections, and those who wait for it end at once. The limit is for one that hangs: it
# is long, because a process may wait while another still evaluates its share or writes a snapshot.
LONGEST_WAIT = timedelta(hours=2)
# How gloo and NCCL report the loss of another process: they raise RuntimeError for everything, memory and wrong types as well.
_LOST = re.compile(r"connect|timed? ?out|broken pipe|unreachable|no route to host|ncclRemoteError", re.IGNORECASE)


class Processes:
    """This process among those of the job: `rank` 0 to `count - 1`, `local_rank` among those of this machine.

    A context manager: leaving it leaves the group. Every method but `leave` must be called by all processes in the same
    order. They raise MaskzooError if another process has ended meanwhile: its own error says why. Errors of this
    process, such as too little memory, stay what they are.
    """

    def __init__(self, rank: int = 0, count: int = 1, local_rank: int = 0, device: Device = "auto") -> None:
        self.rank, self.count, self.local_rank = rank, count, local_rank
        self._wanted = device

    def __repr__(self) -> str:
        return f"Processes(rank {self.rank} of {self.count})"

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.leave()

    @cached_property
    def device(self) -> torch.device:
        """Where this process computes: alone as `choose_device` says, else its own GPU or the CPU.

        Raises MaskzooError if there are too few GPUs, or the device is not there.
        """
        import torch

        if self.count == 1:
            return choose_device(self._wanted)
        if self._wanted not in ("auto", "cpu", "cuda"):
            raise ArgumentError(
                f"device (--device): found {self._wanted} for {self.count} processes; expected auto, cpu or cuda, where each "
                "process takes the GPU of its own number"
            )
        if self._wanted == "cpu" or (self._wanted == "auto" and not torch.cuda.is_available()):
            return torch.device("cpu")
        found = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if self.local_rank >= found:
            raise MaskzooError(
                f"found {found} GPUs that PyTorch can use, expected {self.local_rank + 1} or more, one for each process "
                "of this machine; start fewer (torchrun --nproc-per-node), or use --device cpu"
            )
        return torch.device("cuda", self.local_rank)

    def gather(self, value: Value) -> list[Value] | None:
        """Bring the values of all processes to rank 0, by rank; the others get None."""
        if self.count == 1:
            return [value]
        import torch.distributed as group

        parts: list[Any] | None = [None] * self.count if self.rank == 0 else None
        with self.explained():
            group.gather_object(value, parts, dst=0)
        return parts

    def broadcast(self, value: Value) -> Value:
        """Return rank 0's value in all processes."""
        if self.count == 1:
            return value
        import torch.distributed as group

        values = [value]
        with self.explained():
            group.broadcast_object_list(values, src=0)
        return values[0]

    def all_reduce_mean(self, tensor: torch.Tensor) -> torch.Tensor:
        """Return the mean of the tensors of all processes, the same bits in all of them; the argument stays as it is."""
        if self.count == 1:
            return tensor
        import torch.distributed as group

        total = tensor.clone()
        with self.explained():
            group.all_reduce(total)
        return total / self.count

    def barrier(self) -> None:
        """Wait until all processes are here."""
        if self.count > 1:
            import torch

            self.all_reduce_mean(torch.zeros(1))  # on the CPU: the barrier of a GPU's group waits for the GPU as well

    def leave(self) -> None:
        """Leave the group: those who still wait for this process end with an error. It may be called again."""
        if self.count > 1:
            import torch.distributed as group

            if group.is_initialized():
                group.destroy_process_group()

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Raise MaskzooError for a RuntimeError inside that says that another process is lost."""
        try:
            yield
        except RuntimeError as error:
            if self.count == 1 or not _LOST.search(str(error)):
                raise
            raise MaskzooError(
                f"process {self.rank} of {self.count} lost another process, whose own error says why "
                f"({_shorten(error)}); correct that, and start all of them again"
            ) from error


def join_processes(device: Device = "auto") -> Processes:
    """Join the processes that torchrun started, or be the only one.

    Between CPUs they talk over gloo, objects always; tensors of GPUs go over nccl.

    Args:
        device: Where each computes; "auto" is a GPU where there is one.

    Returns:
        This process among them, a context manager that leaves them at its end.

    Raises:
        MaskzooError: The environment is incomplete, or the others cannot be reached.
    """
    environment = os.environ
    if "WORLD_SIZE" not in environment or environment["WORLD_SIZE"] == "1":
        return Processes(device=device)
    rank, count, local_rank = (_read_number(environment, name) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"))
    processes = Processes(rank, count, local_rank, device)
    import torch
    import torch.distributed as group

    on_gpu = processes.device.type == "cuda"
    if on_gpu:
        torch.cuda.set_device(processes.device)
    try:
        group.init_process_group("cpu:gloo,cuda:nccl" if on_gpu else "gloo", timeout=LONGEST_WAIT)
    except (RuntimeError, ValueError) as error:
        raise MaskzooError(
            f"process {rank} of {count} cannot join the others: {_shorten(error)}; "
            "start them with torchrun --nproc-per-node N -m maskzoo ..."
        ) from error
    return processes


def _shorten(error: Exception) -> str:
    """The first sentence of what gloo says, without the place in its source that it begins with."""
    return str(error).splitlines()[0].rpartition("] ")[2].partition(". ")[0]


def _read_number(environment: Mapping[str, str], name: str) -> int:
    found = environment.get(name, "")
    if not found.isdecimal():
        raise MaskzooError(
            f"WORLD_SIZE is {environment['WORLD_SIZE']!r} in the environment, and {name} is {found!r}; expected a whole "
            "number, as torchrun sets it: start with torchrun --nproc-per-node N -m maskzoo ..., or unset WORLD_SIZE"
        )
    return int(found)
