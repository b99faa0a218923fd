"""Processes that share a job: real ones, started by torchrun and by hand, that talk, fail and die."""

import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
import time

import pytest
import torch

from maskzoo.errors import MaskzooError
from maskzoo.system.processes import Processes, join_processes

TALK = """
    import torch
    from maskzoo.system.processes import join_processes
    with join_processes("cpu") as processes:
        rank = processes.rank
        tensor = torch.tensor([rank / 3, 7.0], dtype=torch.float64)
        mean = processes.all_reduce_mean(tensor)
        said = [processes.gather({"rank": rank}), processes.broadcast(f"from {rank}"), mean.tolist(), tensor.tolist()]
        everyone = processes.gather(said)
        processes.barrier()
        if rank == 0:
            print(repr((processes, processes.local_rank, str(processes.device), everyone)))
    processes.leave()
"""
DIE = """
    import os, signal, sys
    from maskzoo.errors import MaskzooError
    from maskzoo.system.processes import join_processes
    with join_processes("cpu") as processes:
        processes.barrier()
        if processes.rank == 1:
            {how}
        try:
            processes.gather(processes.rank)
        except MaskzooError as error:
            print(error)
            sys.exit(5)
"""
WAYS = {"killed": "os.kill(os.getpid(), signal.SIGKILL)", "failed": "raise ValueError('its own error')"}


def write_script(folder, text):
    path = folder / "job.py"
    path.write_text(textwrap.dedent(text))
    return path


def start(script, rank, port, count=2):
    told = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": count, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    environment = os.environ | {name: str(value) for name, value in told.items()} | {"OMP_NUM_THREADS": "1"}
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, script], env=environment, stdout=pipe, stderr=pipe, text=True)


def find_port():
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        return place.getsockname()[1]


@pytest.fixture
def outside(monkeypatch):
    for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_two_processes_of_torchrun_hand_each_other_values_and_means(tmp_path, outside):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    script = write_script(tmp_path, TALK)
    done = subprocess.run([*command, script], env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    ranks = [{"rank": 0}, {"rank": 1}]
    everyone = [
        [ranks, "from 0", [1 / 6, 7.0], [0.0, 7.0]],
        [None, "from 0", [1 / 6, 7.0], [1 / 3, 7.0]],
    ]
    assert done.stdout.strip() == f"(Processes(rank 0 of 2), 0, 'cpu', {everyone!r})"


@pytest.mark.parametrize("way", WAYS)
def test_a_process_that_dies_ends_the_one_that_waits_for_it(way, tmp_path, outside):
    script, port = write_script(tmp_path, DIE.format(how=WAYS[way])), find_port()
    both = [start(script, rank, port) for rank in (0, 1)]
    other = both[1].communicate(timeout=60)
    began = time.monotonic()
    out, err = both[0].communicate(timeout=60)
    assert time.monotonic() - began < 20
    assert both[1].returncode == (-signal.SIGKILL if way == "killed" else 1)
    assert both[0].returncode == 5, err
    assert "process 0 of 2 lost another process, whose own error says why" in out
    assert way == "killed" or "its own error" in other[1]


def test_an_error_of_this_process_is_not_called_a_lost_process(tmp_path, outside):
    script = write_script(
        tmp_path,
        """
        import torch
        from maskzoo.system.processes import join_processes
        with join_processes("cpu") as processes:
            processes.barrier()
            try:
                processes.all_reduce_mean(torch.ones(4, dtype=torch.uint16))
            except RuntimeError as error:
                print(type(error).__name__, error)
            processes.barrier()
        """,
    )
    port = find_port()
    both = [start(script, rank, port) for rank in (0, 1)]
    for process in both:
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        assert out.startswith("RuntimeError ") and "scalar type" in out


@pytest.mark.parametrize(
    ("says", "lost"),
    [
        ("[pair.cc:537] Read error [127.0.0.1]:20865: Connection reset by peer. This is typically", True),
        ("[unbound_buffer.cc:78] Timed out waiting 2000ms for recv operation to complete", True),
        ("NCCL error: remote process exited or there was a network error\nncclRemoteError: A call failed", True),
        ("Watchdog caught collective operation timeout: WorkNCCL(SeqNum=3)", True),
        ("[enforce fail at pair.cc:446] op.preamble.length <= op.nbytes. 2012 vs 12", False),
        ("CUDA out of memory. Tried to allocate 2.00 GiB", False),
        ("ncclInvalidUsage: Duplicate GPU detected : rank 0 and rank 1", False),
    ],
)
def test_what_the_libraries_say_of_another_process_is_told_from_the_rest(says, lost):
    kind, said = (MaskzooError, "lost another process") if lost else (RuntimeError, re.escape(says))
    with pytest.raises(kind, match=said), Processes(0, 2).explained():
        raise RuntimeError(says)


def test_a_process_alone_has_no_group_and_imports_nothing_for_it(tmp_path, outside):
    script = write_script(
        tmp_path,
        """
        import sys
        from maskzoo.system.processes import join_processes
        with join_processes() as processes:
            processes.barrier()
            print(processes.gather(5), processes.broadcast(6), "torch" in sys.modules)
        """,
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["[5]", "6", "False"]
    outside.setenv("WORLD_SIZE", "1")
    processes = join_processes("cpu")
    assert (processes.rank, processes.count, processes.device) == (0, 1, torch.device("cpu"))
    assert processes.all_reduce_mean(torch.tensor([3.0])).tolist() == [3.0]
    assert not torch.distributed.is_initialized()


@pytest.mark.parametrize(("name", "value"), [("RANK", None), ("LOCAL_RANK", "x"), ("WORLD_SIZE", "many")])
def test_half_an_environment_is_refused_with_what_is_missing(name, value, outside):
    for variable, usual in {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "2", name: value}.items():
        if usual is not None:
            outside.setenv(variable, usual)
    with pytest.raises(MaskzooError, match=f"{name} is {value or ''!r}.*torchrun"):
        join_processes("cpu")


def test_a_master_that_is_not_named_is_an_error_of_ours(outside):
    for name, value in {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "2"}.items():
        outside.setenv(name, value)
    with pytest.raises(MaskzooError, match=r"process 0 of 2 cannot join the others: .*MASTER_ADDR"):
        join_processes("cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_an_error_of_ours(outside):
    with pytest.raises(MaskzooError, match="found cuda, which this machine"):
        print(join_processes("cuda").device)
