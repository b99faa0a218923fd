"""What is read of a machine, from a folder that looks like another machine's /proc and /sys."""

import pytest

from maskzoo.system.machine import (
    find_version,
    has_nvidia_driver,
    inspect_backends,
    inspect_compiler,
    inspect_memory,
    inspect_processor,
    read_peak_memory,
)

CPU = """processor\t: {index}
model name\t: Example 9000
physical id\t: 0
core id\t\t: {core}
flags\t\t: fpu avx2 avx512f avx512_vnni amx_bf16
"""


def write(root, path, text):
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def test_two_threads_of_a_core_count_as_one_core(tmp_path):
    write(tmp_path, "proc/cpuinfo", "\n".join(CPU.format(index=i, core=i // 2) for i in range(8)))
    processor = inspect_processor(tmp_path)
    assert (processor.model, processor.physical, processor.quota) == ("Example 9000", 4, None)
    assert processor.instructions == ("AVX2", "AVX-512", "AVX-512 VNNI (int8)", "AMX bfloat16")


def test_the_smallest_quota_of_all_groups_holds(tmp_path):
    write(tmp_path, "proc/self/cgroup", "0::/outer/inner\n")
    write(tmp_path, "sys/fs/cgroup/outer/inner/cpu.max", "max 100000\n")
    write(tmp_path, "sys/fs/cgroup/outer/cpu.max", "150000 100000\n")
    write(tmp_path, "sys/fs/cgroup/cpu.max", "400000 100000\n")
    processor = inspect_processor(tmp_path)
    assert processor.quota == 1.5
    assert processor.usable == 1


def test_quotas_of_the_older_control_groups_are_read(tmp_path):
    write(tmp_path, "proc/self/cgroup", "5:cpu,cpuacct:/\n4:memory:/job\n")
    write(tmp_path, "sys/fs/cgroup/cpu/cpu.cfs_quota_us", "100000\n")
    write(tmp_path, "sys/fs/cgroup/cpu/cpu.cfs_period_us", "50000\n")
    write(tmp_path, "sys/fs/cgroup/memory/job/memory.limit_in_bytes", "3000000000\n")
    write(tmp_path, "sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n")
    assert inspect_processor(tmp_path).quota == 2
    assert inspect_memory(tmp_path).limit == 3_000_000_000


@pytest.mark.parametrize("text", ["-1", "max 100000"])
def test_no_quota_is_none(tmp_path, text):
    write(tmp_path, "proc/self/cgroup", "5:cpu:/\n0::/\n")
    write(tmp_path, "sys/fs/cgroup/cpu/cpu.cfs_quota_us", text)
    write(tmp_path, "sys/fs/cgroup/cpu.max", text)
    assert inspect_processor(tmp_path).quota is None


def test_memory_is_read_in_bytes(tmp_path):
    write(tmp_path, "proc/meminfo", "MemTotal:       16000000 kB\nMemAvailable:    4000000 kB\n")
    memory = inspect_memory(tmp_path)
    assert (memory.total, memory.available, memory.limit) == (16_384_000_000, 4_096_000_000, None)


def test_a_system_without_proc_is_described_all_the_same(tmp_path):
    processor, memory = inspect_processor(tmp_path), inspect_memory(tmp_path)
    assert processor.model and processor.logical >= 1
    assert (processor.physical, processor.quota, processor.instructions) == (None, None, ())
    assert memory.available is None and memory.limit is None
    assert not (tmp_path / "proc").exists()


def test_a_driver_is_seen_without_torch(tmp_path):
    write(tmp_path, "proc/driver/nvidia/version", "NVRM version: 1\n")
    assert has_nvidia_driver(tmp_path)


def test_every_backend_is_listed_and_an_absent_one_has_a_remedy():
    backends = {backend.name: backend for backend in inspect_backends()}
    assert list(backends) == ["eager", "compile", "openvino", "onnxruntime"]
    assert backends["eager"].version is not None
    for backend in backends.values():
        assert (backend.version is None) == bool(backend.remedy)


def test_a_package_that_is_not_installed_has_no_version():
    assert find_version("torch") is not None
    assert find_version("maskzoo-no-such-package") is None


def test_peak_memory_does_not_fall_when_memory_is_freed():
    before = read_peak_memory()
    if before is None:
        pytest.skip("this system does not say")
    block = bytearray(200 << 20)
    block[::4096] = bytes(len(block) // 4096)
    del block
    after = read_peak_memory()
    assert after >= before > 10 << 20


def test_a_compiler_that_is_not_there_is_named_with_the_way_out(monkeypatch, tmp_path):
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert "no-such-compiler is not found" in inspect_compiler("cpu") and "set CXX" in inspect_compiler("cpu")
    absent = {backend.name: backend for backend in inspect_backends()}["compile"]
    assert absent.version is None and "no-such-compiler" in absent.remedy
    (tmp_path / "mine").write_text("")
    (tmp_path / "mine").chmod(0o755)
    monkeypatch.setenv("CXX", str(tmp_path / "mine"))
    assert inspect_compiler("cpu") == ""
