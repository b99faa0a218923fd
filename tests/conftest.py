"""What every test may rely on: nothing of the user's machine, and no network."""

import http.server
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A script that starts the tests in the background has it ignored, and so would every process that they interrupt.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees or fills the user's own weights."""
    monkeypatch.setenv("MASKZOO_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MASKZOO_OFFLINE", "1")


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Path], str]]:
    """Give the address of a web server of this machine whose files lie in a folder; `fetch` may ask it."""
    for variable in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(variable, "127.0.0.1")
    monkeypatch.delenv("MASKZOO_OFFLINE")
    with ExitStack() as stack:

        def start(folder: Path) -> str:
            server = stack.enter_context(
                http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
            )
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
            thread.start()
            stack.callback(thread.join)
            stack.callback(server.shutdown)
            return f"http://127.0.0.1:{server.server_port}"

        yield start


@pytest.fixture
def hub_server(monkeypatch):
    """A stand-in of the Hugging Face hub, with this machine's own settings for the real one out of the way."""
    from hub_server import serve_hub
    from maskzoo.system.packages import import_extra

    import_extra("huggingface_hub")
    # Its other protocol for large files speaks to other servers, from a library of its own.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("HF_TOKEN", "hf_mine")
    for name in ("MASKZOO_OFFLINE", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    with serve_hub() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.address)
        yield server
