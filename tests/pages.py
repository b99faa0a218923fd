"""The blocks of code of the project's pages, and who follows a page: runs its blocks one after the other, as they stand.

A block or a line of it that cannot run has a comment before it that says why:
<!-- not run: WHY --> for all of it, <!-- not run `BEGINNING`, `BEGINNING`: WHY --> for the lines that begin so.
"""

import contextlib
import re
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from maskzoo.cli import main

BLOCK = re.compile(r"((?:^<!-- not run.+?-->\n+)*)^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NOTE = re.compile(r"<!-- not run((?:[, ]+`[^`]+`)*):\s(.+?) -->", re.DOTALL)
# What takes half a minute: tracing a network, and measuring one in several processes.
SLOW = re.compile(r"maskzoo export (?!.*--to cvat)|maskzoo predict best\.onnx|maskzoo\.export\(|maskzoo bench my")
PRINTED = ("text", "json")  # what a program prints, or a drawing
# What makes a run short. All else of a block runs as it is written.
SHORTER = (
    (r"--epochs 24", "--epochs 1"),
    (r"epochs=24", "epochs=1"),
    (r"--hours 0\.5", "--hours 0.0001"),
    (r"(maskzoo demo)$", r"\1 --count 8 --epochs 1"),
    (r"(maskzoo train my-data) --out", r"\1 --epochs 1 --out"),
    (r"(maskzoo train (?:my\.yml|mine\.safetensors) .*)", r"\1 --epochs 1"),
    (r"maskzoo\.demo\(\"demo\"\)", 'maskzoo.demo("demo", count=8, epochs=1)'),
    (r"(maskzoo\.benchmark\(.*?)\)", r"\1, seconds=0.1, rounds=1, backends=['eager'], dtypes=['float32'])"),
    (r"--threads 1,2", "--threads 1"),
    (r"(maskzoo bench .* --random)", r"\1 --size 64x96"),
    (r"(maskzoo bench .*)", r"\1 --seconds 0.1 --rounds 1 --backends eager --dtypes float32"),
)
# Runs a command, or Python, where the rows are others than the package's.
IN_A_PROCESS = """
import sys
from pathlib import Path
from maskzoo.zoo import rows
rows.FOLDER = Path(sys.argv[1])
if sys.argv[2] == "python":
    exec(sys.argv[3])
else:
    from maskzoo.cli import main
    main(sys.argv[2:])
"""


@dataclass(frozen=True)
class Block:
    """A block of a page. `left_out` has why it is not run, by the beginning of the lines; all of them begin with ''."""

    place: str
    language: str
    text: str
    left_out: dict[str, str]

    def list_lines(self) -> list[str]:
        """The lines without comments; one that ends in a backslash is joined with the next."""
        lines = (re.sub(r"(^|\s{2,})#.*", "", line).strip() for line in self.text.replace("\\\n", " ").splitlines())
        return [line for line in lines if line]

    def list_run(self, slow: bool = True) -> list[str]:
        """The lines that are run, those that take long only if `slow`. Python's are as they stand."""
        lines = self.text.splitlines() if self.language == "python" else self.list_lines()
        left = [line for line in lines if not line.startswith(tuple(self.left_out))]
        return left if slow else [line for line in left if not SLOW.match(line)]


def read_blocks(page: Path) -> list[Block]:
    """Return the blocks of a page that are code, in their order."""
    text = page.read_text(encoding="utf-8")
    found = []
    for match in BLOCK.finditer(text):
        place = f"{page.name}:{text[: match.start(2)].count(chr(10)) + 1}"
        notes = {
            beginning: note[2] for note in NOTE.finditer(match[1]) for beginning in re.findall("`([^`]+)`", note[1]) or [""]
        }
        if match[2] not in PRINTED:
            found.append(Block(place, match[2], match[3], notes))
    return found


class Reader:
    """Who follows a page in a folder of their own, with one Python session and one server at a time."""

    def __init__(self, rows: Path, slow: bool) -> None:
        self.rows, self.slow = rows, slow
        self.names: dict[str, object] = {}
        self.server: subprocess.Popen[bytes] | None = None
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port = str(listener.getsockname()[1])

    def follow(self, block: Block) -> None:
        """Run a block. Whatever fails ends the test, with the block's place in the page."""
        lines = block.list_run(self.slow)
        if block.language == "python":
            self.run_python("\n".join(lines), block.place)
            return
        assert block.language == "sh", f"{block.place}: nothing runs {block.language!r}; say why before the block"
        for line in lines:
            self.run_line(line, block.place)

    def run_python(self, text: str, place: str) -> None:
        text = self.shorten(text)
        if "maskzoo.serve(" in text:
            self.start(place, "python", text.replace("maskzoo.serve(predictor", f"maskzoo.serve(predictor, port={self.port}"))
        else:
            exec(compile(text, place, "exec"), self.names)  # noqa: S102 - our own text

    def run_line(self, line: str, place: str) -> None:
        line = self.shorten(line)
        words = shlex.split(line)
        if words[:2] == ["maskzoo", "serve"]:
            self.start(place, *words[1:], "--port", self.port)
        elif words[0] == "maskzoo":
            with pytest.raises(SystemExit) as end:
                main(words[1:])
            assert end.value.code == 0, (place, line)
        else:
            done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)
            assert done.returncode == 0, (place, line, done.stderr)

    def shorten(self, text: str) -> str:
        for written, run in SHORTER:
            text = re.sub(written, run, text)
        return text.replace("8000", self.port)

    def start(self, place: str, *arguments: str) -> None:
        """Start a server in place of the one before, and wait until it answers."""
        self.stop()
        self.server = subprocess.Popen([sys.executable, "-c", IN_A_PROCESS, str(self.rows), *arguments])
        end = time.monotonic() + 120
        while time.monotonic() < end:
            assert self.server.poll() is None, place
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", int(self.port))):
                return
            time.sleep(0.05)
        raise AssertionError(f"{place}: nothing answers on port {self.port}")

    def stop(self) -> None:
        """End the server as Ctrl-C does: after what it has accepted, and without an error."""
        if self.server is not None:
            self.server.terminate()
            assert self.server.wait(60) == 0 or sys.platform == "win32"  # which has no signal to end it kindly
            self.server = None


@contextlib.contextmanager
def reading(rows: Path, slow: bool) -> Iterator[Reader]:
    """A reader who leaves no server behind."""
    reader = Reader(rows, slow)
    try:
        yield reader
    finally:
        reader.stop()
