"""Pickles that would run something if anything in them were called: all are refused, and a canary shows that nothing ran."""

import contextlib
import io
import itertools
import pickle
import sys
import zipfile

import pytest

from maskzoo.errors import WeightsError
from maskzoo.weights.foreign import read_tensors
from maskzoo.weights.pdparams import read_pdparams

# What runs code, opens files or imports when it is called, by ways that scanners of pickles are known to pass over.
CALLS = [
    ("os", "system"), ("posix", "system"), ("nt", "system"), ("os", "popen"), ("os", "execv"), ("os", "posix_spawn"),
    ("subprocess", "Popen"), ("subprocess", "check_output"), ("builtins", "eval"), ("builtins", "exec"),
    ("builtins", "compile"), ("builtins", "__import__"), ("builtins", "getattr"), ("builtins", "open"),
    ("__builtin__", "eval"), ("importlib", "import_module"), ("runpy", "run_path"), ("runpy", "_run_code"), ("pty", "spawn"),
    ("timeit", "timeit"), ("cProfile", "run"), ("profile", "run"), ("pdb", "run"), ("bdb", "Bdb.run"), ("trace", "Trace.run"),
    ("doctest", "debug_script"), ("code", "InteractiveInterpreter.runcode"), ("pip", "main"), ("pip._internal", "main"),
    ("ensurepip", "_run_pip"), ("venv", "create"), ("webbrowser", "open"), ("shutil", "copyfile"),
    ("pathlib", "Path.write_text"), ("io", "open"), ("codecs", "open"), ("socket", "create_connection"),
    ("urllib.request", "urlopen"), ("asyncio", "create_subprocess_shell"), ("multiprocessing.util", "spawnv_passfds"),
    ("ctypes", "CDLL"), ("pickle", "loads"), ("_pickle", "loads"), ("marshal", "loads"), ("types", "FunctionType"),
    ("types", "CodeType"), ("operator", "attrgetter"), ("operator", "methodcaller"), ("functools", "partial"),
    ("functools", "reduce"), ("builtins", "map"), ("site", "main"), ("logging.config", "listen"),
    ("idlelib.pyshell", "ModifiedInterpreter.runcommand"), ("lib2to3.pgen2.pgen", "ParserGenerator.make_label"),
    ("numpy.testing._private.utils", "runstring"), ("numpy.f2py.crackfortran", "myeval"), ("numpy", "load"),
    ("numpy", "memmap"), ("numpy.ctypeslib", "load_library"), ("torch", "load"), ("torch.hub", "load"),
    ("torch.utils.collect_env", "run"), ("torch.jit.unsupported_tensor_ops", "execWrapper"), ("torch.serialization", "load"),
    ("torch.storage", "_load_from_bytes"), ("torch._dynamo.guards", "GuardBuilder.get"),
    ("torch.utils.cpp_extension", "load_inline"), ("torch.ops", "load_library"), ("paddle", "load"),
    ("pandas", "read_pickle"), ("joblib", "load"), ("dill", "loads"), ("cloudpickle", "loads"), ("yaml", "unsafe_load"),
    ("sys", "setprofile"), ("atexit", "register"), ("signal", "signal"), ("threading", "Thread"),
]  # fmt: skip
WAYS = ["reduce", "object", "instance", "new object", "built"]
FILES = ["pdparams", "pkl", "pth"]
QUICK = 13  # each of so many is in the short form
ran: list[str] = []  # what was started, loaded or executed while a file is read
DANGEROUS = ("os.system", "os.exec", "os.posix_spawn", "subprocess.Popen", "socket.connect", "pickle.find_class", "compile")
watching = False


def _watch(event, values):
    if watching and event in DANGEROUS:
        ran.append(f"{event} {values!r:.100}")


sys.addaudithook(_watch)


def text(value):
    return b"X" + len(value.encode()).to_bytes(4, "little") + value.encode()


def payload(module, name, way, protocol, mark):
    """Return a pickle that calls module.name with a command line, by one of the opcodes that call."""
    head = bytes([0x80, protocol]) if protocol >= 2 else b""
    named = text(module) + text(name) + b"\x93" if protocol >= 4 else f"c{module}\n{name}\n".encode()
    argument = text(f"touch {mark}")
    made = {
        "reduce": named + b"(" + argument + b"tR",
        "object": b"(" + named + argument + b"o",
        "instance": b"(" + argument + f"i{module}\n{name}\n".encode(),
        "new object": named + b"(" + argument + b"t\x81",
        "built": named + b"(tR}" + text("x") + argument + b"sb",
    }[way]
    return head + b"}" + text("weight") + made + b"s."


def write(path, content):
    if path.suffix != ".pth":
        path.write_bytes(content)
        return
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", content)
        archive.writestr("archive/version", "3\n")


def list_payloads():
    return itertools.product(CALLS, WAYS, range(6))


def try_payloads(folder, chosen):
    global watching
    mark, count = folder / "mark", 0
    for number, ((module, name), way, protocol) in enumerate(chosen):
        path = folder / f"a.{FILES[number % len(FILES)]}"
        write(path, payload(module, name, way, protocol, mark))
        ran.clear()
        watching = True
        try:
            with pytest.raises(WeightsError) as caught:
                (read_pdparams if path.suffix == ".pdparams" else read_tensors)(path)
        finally:
            watching = False
        assert path.name in str(caught.value)
        assert not mark.exists() and ran == [], (module, name, way, protocol, ran)
        count += 1
    return count


def test_pickles_that_call_are_refused_and_nothing_runs(tmp_path):
    assert try_payloads(tmp_path, itertools.islice(list_payloads(), 0, None, QUICK)) > 150


@pytest.mark.reliability
def test_thousands_of_pickles_that_call(tmp_path):
    assert try_payloads(tmp_path, list_payloads()) == len(CALLS) * len(WAYS) * 6


@pytest.mark.parametrize("way", ["reduce", "object", "instance"])
@pytest.mark.parametrize("protocol", range(6))
def test_the_canary_sees_what_pythons_own_reader_runs(tmp_path, way, protocol):
    global watching
    ran.clear()
    watching = True
    with contextlib.suppress(Exception):
        pickle.load(io.BytesIO(payload("os", "system", way, protocol, tmp_path / "mark")))
    watching = False
    assert (tmp_path / "mark").exists() and ran
