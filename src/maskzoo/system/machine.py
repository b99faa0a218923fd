"""What this machine has for the work: processor, limits of its container, memory, GPUs, backends.

Facts only, each None or empty where the system does not say; `maskzoo.doctor` says what they mean. Linux has most of them,
in /proc and /sys, whose root is an argument so that a test can show another machine. Torch is imported only where needed.
"""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from maskzoo.system.packages import find_install
from maskzoo.system.telemetry import import_silenced

__all__ = [
    "BackendFacts",
    "Gpu",
    "Memory",
    "Processor",
    "find_version",
    "has_nvidia_driver",
    "inspect_backends",
    "inspect_compiler",
    "inspect_gpus",
    "inspect_memory",
    "inspect_processor",
    "is_installed",
    "name_own_version",
    "read_peak_memory",
]

# What decides how fast a convolution is: the kernel's names of instructions, those of ARM last.
INSTRUCTIONS = {
    "avx2": "AVX2",
    "avx512f": "AVX-512",
    "avx512_vnni": "AVX-512 VNNI (int8)",
    "avx_vnni": "AVX-VNNI (int8)",
    "avx512_bf16": "AVX-512 bfloat16",
    "amx_bf16": "AMX bfloat16",
    "amx_int8": "AMX int8",
    "asimd": "NEON",
    "sve": "SVE",
    "bf16": "ARM bfloat16",
    "i8mm": "ARM int8",
}
NO_LIMIT = 1 << 60  # version 1 of control groups writes a number near 2**63 for "no limit"


@dataclass(frozen=True, slots=True)
class Processor:
    """`logical` CPUs that this process may use, `physical` cores of the machine, `quota` in CPUs of the container."""

    model: str
    logical: int
    physical: int | None
    quota: float | None
    instructions: tuple[str, ...]

    @property
    def usable(self) -> int:
        """How many threads can compute at once: a quota stops all threads when it is used up, however many there are."""
        limits = [self.logical, self.physical or self.logical]
        if self.quota is not None:
            limits.append(max(1, int(self.quota)))
        return min(limits)


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes: `total` of the machine, `available` now, `limit` of the container."""

    total: int | None
    available: int | None
    limit: int | None


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU that torch can use: `memory` in bytes, `capability` such as 9.0, whether it computes in `bfloat16`."""

    name: str
    memory: int
    capability: str
    bfloat16: bool


@dataclass(frozen=True, slots=True)
class BackendFacts:
    """A way to run a network: its `version` (None: absent), what it runs on, and what to do if it is `absent`."""

    name: str
    version: str | None
    runs_on: tuple[str, ...] = ()
    remedy: str = ""


def inspect_processor(root: Path = Path("/")) -> Processor:
    """Return what is known of the CPU and of the share that this process may use of it."""
    fields = _read_cpuinfo(root)
    first = fields[0] if fields else {}
    flags = (first.get("flags") or first.get("Features") or "").split()
    cores = {(one.get("physical id"), one.get("core id")) for one in fields if "core id" in one}
    model = first.get("model name") or platform.processor() or platform.machine()
    named = tuple(name for flag, name in INSTRUCTIONS.items() if flag in flags)
    return Processor(model, _count_allowed(), len(cores) or None, _read_cpu_quota(root), named)


def inspect_memory(root: Path = Path("/")) -> Memory:
    """Return the machine's memory and the container's limit of it."""
    rows = {name: rest.split() for name, _, rest in (line.partition(":") for line in _read_lines(root / "proc/meminfo"))}
    total, available = (int(rows[key][0]) * 1024 if rows.get(key) else None for key in ("MemTotal", "MemAvailable"))
    if total is None and hasattr(os, "sysconf"):
        with suppress(ValueError, OSError):  # a system without this name
            total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limits = [int(text) for text in _read_group(root, "memory", "memory.max", "memory.limit_in_bytes") if text.isdecimal()]
    limit = min((one for one in limits if one < NO_LIMIT), default=None)
    return Memory(total, available, limit)


def inspect_gpus() -> list[Gpu]:
    """Return the GPUs that torch can use."""
    import torch

    if not torch.cuda.is_available():
        return []
    found = [torch.cuda.get_device_properties(index) for index in range(torch.cuda.device_count())]
    return [Gpu(one.name, one.total_memory, f"{one.major}.{one.minor}", one.major >= 8) for one in found]


def inspect_backends() -> list[BackendFacts]:
    """Return every backend of `maskzoo.load`, the absent ones with the command that installs them."""
    import torch

    devices = ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",)
    return [
        BackendFacts("eager", torch.__version__, devices),
        _inspect_compile(torch.__version__, devices),
        _inspect_runtime("openvino", ("openvino",), lambda package: package.Core().available_devices),
        _inspect_runtime("onnxruntime", ("onnxruntime", "onnxruntime-gpu"), lambda package: package.get_available_providers()),
    ]


def inspect_compiler(device: str) -> str:
    """Return what torch.compile lacks to make programs for a device ("cpu" or "cuda") with the remedy; empty: nothing."""
    if device == "cuda" and not is_installed("triton"):
        return "torch.compile needs Triton for a GPU, which is absent: pip install triton"
    usual = {"win32": "cl", "darwin": "clang++"}.get(sys.platform, "g++")  # torch's choice
    wanted = os.environ.get("CXX") or usual
    if shutil.which(wanted) is not None:
        return ""
    return f"torch.compile needs a C++ compiler, and {wanted} is not found: install it (apt install g++), or set CXX to yours"


def is_installed(package: str) -> bool:
    """Say whether a package is there, without importing it."""
    return find_spec(package) is not None


def has_nvidia_driver(root: Path = Path("/")) -> bool:
    """Say whether the system has NVIDIA's driver, whatever torch can do with it."""
    return (root / "proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi") is not None


def name_own_version() -> str:
    """Return maskzoo's installed version, or words for a source tree that runs without being installed."""
    return find_version("maskzoo") or "(not installed, run from its source)"


def find_version(package: str) -> str | None:
    """Return the installed version of a package, without importing it."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def read_peak_memory() -> int | None:
    """Return the most memory that this process ever had, in bytes; None where the system does not report it (Windows).

    On Linux from /proc: what getrusage says of a child may be its parent's.
    """
    for line in _read_lines(Path("/proc/self/status")):
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _inspect_compile(number: str, devices: tuple[str, ...]) -> BackendFacts:
    lacking = {device: inspect_compiler(device) for device in devices}
    able = tuple(device for device, remedy in lacking.items() if not remedy)
    return BackendFacts("compile", number, able) if able else BackendFacts("compile", None, remedy=lacking["cpu"])


def _inspect_runtime(name: str, distributions: tuple[str, ...], list_places: Callable[[Any], Iterable[str]]) -> BackendFacts:
    number = next(filter(None, map(find_version, distributions)), None)
    install = find_install(name)
    if number is None:
        return BackendFacts(name, None, remedy=install)
    try:
        places = tuple(list_places(import_silenced(name)))
    except Exception as error:  # its user must read whatever a broken installation raises
        return BackendFacts(name, None, remedy=f"version {number} does not start ({error}): {install} --force-reinstall")
    return BackendFacts(name, number, places)


def _read_cpuinfo(root: Path) -> list[Mapping[str, str]]:
    """The fields of each CPU."""
    processors: list[dict[str, str]] = []
    for line in _read_lines(root / "proc/cpuinfo"):
        name, separator, value = line.partition(":")
        if name.strip() == "processor":
            processors.append({})
        if separator and processors:
            processors[-1][name.strip()] = value.strip()
    return list(processors)


def _count_allowed() -> int:
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _read_cpu_quota(root: Path) -> float | None:
    """The smallest quota of the control groups that this process is in, in CPUs."""
    found = []
    for text in _read_group(root, "cpu", "cpu.max", "cpu.cfs_quota_us"):
        quota, _, period = text.partition(" ")
        if quota.isdecimal() and int(quota) > 0:
            old = _read_group(root, "cpu", "-", "cpu.cfs_period_us")  # version 1 has it in a file of its own
            found.append(int(quota) / int(period or next(old, "100000")))
    return min(found, default=None)


def _read_group(root: Path, controller: str, name: str, old_name: str) -> Iterator[str]:
    """Texts of a limit's file in all groups from this process's own up to the top, of version 2 (`name`) and 1."""
    mount = root / "sys/fs/cgroup"
    for line in _read_lines(root / "proc/self/cgroup"):
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        top, file = (mount / controller, old_name) if controllers else (mount, name)
        place = Path(path.lstrip("/"))
        for folder in (place, *place.parents) if place.parts else (place,):
            yield from _read_lines(top / folder / file)[:1]


def _read_lines(path: Path) -> list[str]:
    """The lines of a file of the system, none where it has no such file."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
