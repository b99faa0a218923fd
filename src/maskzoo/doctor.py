"""What a machine's facts mean for maskzoo: findings, each with a judgement and what to do about it.

The rules are plain functions of facts, so that a test can judge any machine.
"""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from maskzoo.system.files import home
from maskzoo.system.machine import (
    BackendFacts,
    Gpu,
    Memory,
    Processor,
    find_version,
    has_nvidia_driver,
    inspect_backends,
    inspect_gpus,
    inspect_memory,
    inspect_processor,
    name_own_version,
)
from maskzoo.system.memory import SWITCH, find_allocator
from maskzoo.system.packages import describe_need
from maskzoo.system.waiting import OWN, Waiting, choose_waiting
from maskzoo.zoo.backend_choice import choose_backend

__all__ = [
    "Diagnosis",
    "Finding",
    "diagnose",
    "judge_allocator",
    "judge_backends",
    "judge_cache",
    "judge_choice",
    "judge_gpus",
    "judge_memory",
    "judge_processor",
    "judge_threads",
    "judge_waiting",
]

Judgement = Literal["ok", "hint", "problem"]
THREAD_SETTINGS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
OTHER_SETTINGS = ("KMP_AFFINITY", "OMP_PROC_BIND", "GOMP_CPU_AFFINITY", "CUDA_VISIBLE_DEVICES", "ONEDNN_MAX_CPU_ISA")
EXTRAS = ("tensorboard", "av", "huggingface_hub")
LEAST_MEMORY = 2 << 30  # a photo of 800 x 1333 through ResNet-50-FPN peaks at 1.2 GB, with Python and torch
LEAST_SPACE = 1 << 30  # the largest published weights have 0.5 GB


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's list: `topic`, what was `found`, the `judgement`, and the `advice` unless it is ok."""

    topic: str
    found: str
    judgement: Judgement = "ok"
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """All findings on a machine, in the order of their topics."""

    findings: tuple[Finding, ...]

    def count(self, judgement: Judgement) -> int:
        """Return how many findings have this judgement."""
        return sum(finding.judgement == judgement for finding in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """Return the number of problems and all findings as plain values for JSON."""
        return {"problems": self.count("problem"), "findings": [asdict(finding) for finding in self.findings]}


def diagnose() -> Diagnosis:
    """Look at what this machine has for the work, and judge it.

    Versions, processor, threads, memory, GPUs, backends, allocator, cache. Nothing of it is changed.

    Returns:
        Findings, each ok, a hint (it may be faster) or a problem (the work fails or is much slower) with what to do.
    """
    import torch

    processor, gpus, backends = inspect_processor(), inspect_gpus(), inspect_backends()
    findings = [
        *_list_versions(torch.__version__),
        *judge_processor(processor, str(torch.backends.cpu.get_cpu_capability())),
        *judge_threads(processor, torch.get_num_threads(), os.environ),
        judge_waiting(choose_waiting()),
        *judge_memory(inspect_memory()),
        *judge_gpus(gpus, torch.__version__, has_nvidia_driver(), torch.backends.mps.is_available()),
        *judge_backends(backends),
        *judge_choice(backends, "cuda" if gpus else "cpu"),
        *_list_extras(),
        *judge_allocator(find_allocator(), os.environ),
        *judge_cache(home()),
    ]
    return Diagnosis(tuple(findings))


def judge_processor(processor: Processor, capability: str) -> list[Finding]:
    """Judge the CPU; `capability` is the set of instructions that torch's own kernels use, such as AVX2."""
    quota = "" if processor.quota is None else f", the container's quota is {processor.quota:g}"
    cores = "" if processor.physical is None else f"{processor.physical} cores, "
    findings = [Finding("CPU", f"{processor.model}: {cores}{processor.logical} CPUs for this process{quota}")]
    listed = ", ".join(processor.instructions) or "not reported by the system"
    text = f"{listed}; torch uses {capability}"
    if capability in ("DEFAULT", "NO AVX") and "AVX2" in processor.instructions:
        return [*findings, Finding("instructions", text, "problem", "unset ATEN_CPU_CAPABILITY: torch runs its slowest code")]
    findings.append(Finding("instructions", text))
    if any("bfloat16" in name for name in processor.instructions):
        return [*findings, Finding("bfloat16", "computed by this CPU: faster than float32, and less exact")]
    return [*findings, Finding("bfloat16", "not among this CPU's instructions: float32 is faster here")]


def judge_threads(processor: Processor, threads: int, environment: Mapping[str, str]) -> list[Finding]:
    """Judge how many threads torch uses: beyond the usable CPUs they wait for each other."""
    usable = processor.usable
    given = {name: environment[name] for name in THREAD_SETTINGS if environment.get(name)}
    set_by = ", ".join(f"{name}={value}" for name, value in given.items()) or "torch's own choice"
    found = f"{threads} in torch ({set_by}), {usable} can compute at once"
    advice = f"set OMP_NUM_THREADS={usable}"
    if threads > usable:
        judged = Finding("threads", found, "problem", f"{advice}: more threads than that slow each other")
    elif threads < usable:
        judged = Finding("threads", found, "hint", f"{advice} if nothing else needs the other CPUs")
    else:
        judged = Finding("threads", found)
    others = [f"{name}={environment[name]}" for name in OTHER_SETTINGS if environment.get(name)]
    return [judged, *([Finding("environment", ", ".join(others))] if others else [])]


def judge_waiting(waiting: Waiting) -> Finding:
    """Judge how threads wait for each other: spinning, they are several times slower beside other programs."""
    found = ", ".join(waiting.settings)
    own = " ".join(f"{name}={value}" for name, value in OWN.items())
    if waiting.late:
        advice = f"import maskzoo before torch, or start Python with {own}: it is several times faster beside other programs"
        return Finding("waiting", "torch was imported before maskzoo: its threads spin while they wait", "hint", advice)
    if waiting.own:
        return Finding("waiting", f"{found}: threads sleep soon while they wait, which maskzoo chose")
    if "OMP_WAIT_POLICY=ACTIVE" in found.upper():
        advice = f"unset it, unless nothing else runs here: maskzoo then sets {own}"
        return Finding("waiting", f"{found}, set by you: threads spin while they wait", "hint", advice)
    return Finding("waiting", f"{found}, set by you, and left as it is")


def judge_memory(memory: Memory) -> list[Finding]:
    """Judge the memory that is left for this process."""
    if memory.total is None:
        return [Finding("memory", "not reported by the system")]
    found = f"{_gigabytes(memory.total)}"
    found += "" if memory.available is None else f", {_gigabytes(memory.available)} available"
    found += "" if memory.limit is None else f", the container's limit is {_gigabytes(memory.limit)}"
    room = min(one for one in (memory.total, memory.available, memory.limit) if one is not None)
    if room < LEAST_MEMORY:
        advice = f"one photo through ResNet-50-FPN needs {_gigabytes(LEAST_MEMORY)}: end other programs, raise the limit"
        return [Finding("memory", found, "hint", advice)]
    return [Finding("memory", found)]


def judge_gpus(gpus: Sequence[Gpu], torch_version: str, driver: bool, metal: bool) -> list[Finding]:
    """Judge the GPUs that torch can use, and a driver that it cannot."""
    if gpus:
        return [
            Finding(
                "GPU",
                f"{gpu.name}: {_gigabytes(gpu.memory)}, compute capability {gpu.capability}, "
                f"{'with' if gpu.bfloat16 else 'without'} bfloat16",
            )
            for gpu in gpus
        ]
    if driver:
        cpu_build = torch_version.endswith("+cpu")
        why = "torch is the CPU build" if cpu_build else "torch finds no GPU that it can use"
        advice = (
            "install torch for CUDA (pytorch.org/get-started has the command)"
            if cpu_build
            else "compare nvidia-smi with CUDA_VISIBLE_DEVICES, and its driver with torch.version.cuda"
        )
        return [Finding("GPU", f"NVIDIA's driver is here, but {why}", "problem", advice)]
    if metal:
        return [Finding("GPU", "Apple's, which maskzoo does not use: it computes on the CPU")]
    return [Finding("GPU", "none: it computes on the CPU")]


def judge_backends(backends: Sequence[BackendFacts]) -> list[Finding]:
    """Judge which ways to run a network are here."""
    return [
        Finding(f"backend {one.name}", "absent", "hint", one.remedy)
        if one.version is None
        else Finding(f"backend {one.name}", f"{one.version} ({', '.join(one.runs_on)})")
        for one in backends
    ]


def judge_choice(backends: Sequence[BackendFacts], device: str) -> list[Finding]:
    """Say which backend `auto` takes for each type, and why."""
    installed = {one.name for one in backends if one.version is not None}
    dtypes = ("float32", "bfloat16", "float16") if device == "cuda" else ("float32", "bfloat16", "int8")
    chosen = {dtype: choose_backend(dtype, device) for dtype in dtypes}
    return [Finding(f"auto, {dtype}", f"{name}: {why}") for dtype, (name, why) in chosen.items() if name in installed]


def judge_allocator(allocator: str, environment: Mapping[str, str]) -> list[Finding]:
    """Judge whether freed memory stays with the process, which makes repeated predictions faster."""
    preloaded = environment.get("LD_PRELOAD")
    found = f"{allocator}{f' (LD_PRELOAD={preloaded})' if preloaded else ''}"
    if environment.get(SWITCH) == "0":
        advice = "unset MASKZOO_KEEP_MEMORY: float32 predictions on a CPU gain 13 to 21 % in time"
        return [Finding("allocator", f"{found}; freed memory goes back to the system", "hint", advice)]
    if allocator == "glibc":
        return [Finding("allocator", f"{found}; maskzoo's verbs keep freed memory (MASKZOO_KEEP_MEMORY=0 turns it off)")]
    return [Finding("allocator", f"{found}, which decides by itself what it keeps")]


def judge_cache(folder: Path) -> list[Finding]:
    """Judge the folder of downloaded weights: its size, free space, and whether it can be written."""
    there = next(one for one in (folder, *folder.parents) if one.exists())
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) if folder.is_dir() else 0
    free = shutil.disk_usage(there).free
    found = f"{folder}: {_gigabytes(size)} in use, {_gigabytes(free)} free"
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        advice = f"{there} cannot be written by you: change its rights, or set MASKZOO_HOME to another folder"
        return [Finding("cache", found, "problem", advice)]
    if free < LEAST_SPACE:
        return [Finding("cache", found, "hint", "weights have up to 0.5 GB: make room, or set MASKZOO_HOME elsewhere")]
    return [Finding("cache", found)]


def _list_versions(torch_version: str) -> list[Finding]:
    system = f"{platform.system()} {platform.release()}, {platform.machine()}"
    own = name_own_version()
    return [
        Finding("maskzoo", own),
        Finding("Python", f"{platform.python_version()} on {system}"),
        Finding("torch", torch_version),
    ]


def _list_extras() -> list[Finding]:
    findings = []
    for package in EXTRAS:
        number = find_version(package)
        findings.append(Finding(package, number) if number else Finding(package, "absent", "hint", describe_need(package)))
    return findings


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.1f} GB"
