"""The judgements on machines of every kind."""

import pytest

from maskzoo.doctor import (
    diagnose,
    judge_allocator,
    judge_backends,
    judge_cache,
    judge_choice,
    judge_gpus,
    judge_memory,
    judge_processor,
    judge_threads,
    judge_waiting,
)
from maskzoo.system.machine import BackendFacts, Gpu, Memory, Processor
from maskzoo.system.waiting import OWN, Waiting
from maskzoo.zoo.backend_choice import choose_backend

GIGABYTE = 10**9


def processor(logical=16, physical=8, quota=None, instructions=("AVX2",)):
    return Processor("Example 9000", logical, physical, quota, instructions)


def test_more_threads_than_the_quota_are_a_problem_with_the_number_to_set():
    (finding,) = judge_threads(processor(quota=2.0), 16, {"OMP_NUM_THREADS": "16"})
    assert finding.judgement == "problem"
    assert "OMP_NUM_THREADS=16" in finding.found and "OMP_NUM_THREADS=2" in finding.advice


def test_as_many_threads_as_cores_are_right():
    (finding,) = judge_threads(processor(), 8, {})
    assert (finding.judgement, finding.advice) == ("ok", "")


def test_fewer_threads_than_cores_are_a_hint_and_other_settings_are_told():
    first, second = judge_threads(processor(), 1, {"OMP_PROC_BIND": "close"})
    assert first.judgement == "hint" and second.found == "OMP_PROC_BIND=close"


def test_how_threads_wait_is_told_with_who_chose_it_and_what_to_do():
    own = tuple(f"{name}={value}" for name, value in OWN.items())
    chosen = judge_waiting(Waiting(own, own=True, late=False))
    assert chosen.judgement == "ok" and all(one in chosen.found for one in own) and "maskzoo chose" in chosen.found
    late = judge_waiting(Waiting(own, own=True, late=True))
    assert late.judgement == "hint" and "before torch" in late.advice and all(one in late.advice for one in own)
    yours = judge_waiting(Waiting(("GOMP_SPINCOUNT=77",), own=False, late=False))
    assert yours.judgement == "ok" and "GOMP_SPINCOUNT=77, set by you" in yours.found
    spinning = judge_waiting(Waiting(("OMP_WAIT_POLICY=active",), own=False, late=False))
    assert spinning.judgement == "hint" and "unset it" in spinning.advice


def test_a_cpu_with_avx2_that_torch_does_not_use_is_a_problem():
    assert [one.judgement for one in judge_processor(processor(), "DEFAULT")] == ["ok", "problem"]
    assert all(one.judgement == "ok" for one in judge_processor(processor(instructions=("NEON",)), "DEFAULT"))


@pytest.mark.parametrize(("instructions", "word"), [(("AMX bfloat16",), "faster"), (("AVX2",), "not among")])
def test_bfloat16_is_recommended_only_where_the_cpu_computes_in_it(instructions, word):
    assert word in judge_processor(processor(instructions=instructions), "AVX2")[-1].found


def test_a_small_limit_of_memory_is_a_hint():
    assert judge_memory(Memory(16 * GIGABYTE, 8 * GIGABYTE, GIGABYTE))[0].judgement == "hint"
    assert judge_memory(Memory(16 * GIGABYTE, 8 * GIGABYTE, None))[0].judgement == "ok"
    assert judge_memory(Memory(None, None, None))[0].judgement == "ok"


def test_a_driver_that_torch_cannot_use_is_a_problem():
    (finding,) = judge_gpus([], "2.13.0+cpu", driver=True, metal=False)
    assert finding.judgement == "problem" and "CPU build" in finding.found and "install torch" in finding.advice
    (finding,) = judge_gpus([], "2.13.0+cu130", driver=True, metal=False)
    assert finding.judgement == "problem" and "nvidia-smi" in finding.advice


def test_no_gpu_is_no_fault_and_gpus_are_named():
    assert judge_gpus([], "2.13.0", driver=False, metal=False)[0].judgement == "ok"
    (finding,) = judge_gpus([Gpu("Example", 80 * GIGABYTE, "9.0", True)], "2.13.0", driver=True, metal=False)
    assert finding.judgement == "ok" and "80.0 GB" in finding.found and "9.0" in finding.found


def test_an_absent_backend_comes_with_its_command():
    here, absent = judge_backends(
        [BackendFacts("eager", "2.13", ("cpu",)), BackendFacts("openvino", None, (), "pip install x")]
    )
    assert (here.judgement, absent.judgement, absent.advice) == ("ok", "hint", "pip install x")


def test_what_auto_takes_is_told_for_each_type_that_can_run():
    eager, openvino = BackendFacts("eager", "2.13", ("cpu",)), BackendFacts("openvino", "2026", ("CPU",))
    assert [one.topic for one in judge_choice([eager], "cpu")] == ["auto, float32", "auto, bfloat16"]
    assert judge_choice([eager, openvino], "cpu")[-1].found == ": ".join(choose_backend("int8", "cpu"))
    assert [one.found for one in judge_choice([eager], "cuda")] == [": ".join(choose_backend("float16", "cuda"))] * 3


def test_memory_that_is_not_kept_by_choice_is_a_hint():
    assert judge_allocator("glibc", {})[0].judgement == "ok"
    assert judge_allocator("glibc", {"MASKZOO_KEEP_MEMORY": "0"})[0].judgement == "hint"
    (finding,) = judge_allocator("jemalloc", {"LD_PRELOAD": "/lib/libjemalloc.so"})
    assert finding.judgement == "ok" and "/lib/libjemalloc.so" in finding.found


def test_the_cache_is_measured_and_not_made(tmp_path):
    (tmp_path / "cache" / "weights").mkdir(parents=True)
    (tmp_path / "cache" / "weights" / "a").write_bytes(bytes(300_000_000))
    assert "0.3 GB in use" in judge_cache(tmp_path / "cache")[0].found
    (finding,) = judge_cache(tmp_path / "none" / "yet")
    assert "0.0 GB in use" in finding.found and not (tmp_path / "none").exists()


def test_a_file_in_the_place_of_the_cache_is_a_problem(tmp_path):
    (tmp_path / "file").write_text("")
    assert judge_cache(tmp_path / "file" / "cache")[0].judgement == "problem"


def test_this_machine_gets_advice_wherever_something_is_not_ok(tmp_path, monkeypatch):
    monkeypatch.setenv("MASKZOO_HOME", str(tmp_path))
    findings = diagnose().findings
    topics = [finding.topic for finding in findings]
    expected = ("maskzoo", "Python", "torch", "CPU", "threads", "waiting", "memory", "GPU", "backend eager", "allocator")
    for topic in (*expected, "cache"):
        assert topic in topics
    for finding in findings:
        assert finding.found and (finding.judgement == "ok") == (not finding.advice), finding
