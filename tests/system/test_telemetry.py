"""The recorder sees whoever tries to reach an address, and libraries that report their use do not once they are silenced.

That no verb does: `tests/reliability/test_silence.py`.
"""

import pytest

from recorder import can_trace, record

CONNECT = "import socket; socket.socket().connect(('127.0.0.1', 9))"
DELIBERATE = {
    "a connection": CONNECT,
    "a name": "import socket; socket.getaddrinfo('maskzoo.invalid', 80)",
    "a datagram": "import socket; socket.socket(type=socket.SOCK_DGRAM).sendto(b'', ('127.0.0.1', 9))",
    "a server": "import socket; socket.socket().bind(('', 0))",
    "urllib": "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9')",
    "requests": "import requests; requests.get('http://127.0.0.1:9')",
    "curl": "import subprocess; subprocess.run(['curl', 'http://127.0.0.1:9'])",
    "a shell": "import os; os.system('/usr/bin/curl http://127.0.0.1:9')",
    "a child": f"import subprocess, sys; subprocess.run([sys.executable, '-c', {CONNECT!r}])",
    "a worker": f"import multiprocessing as m; p = m.get_context('spawn').Process(target=exec, args=[{CONNECT!r}]); "
    "p.start(); p.join()",
}


@pytest.mark.parametrize("program", DELIBERATE.values(), ids=DELIBERATE)
def test_the_recorder_sees_a_deliberate_attempt(program, tmp_path):
    assert record(tmp_path, "-c", program).attempts


def test_the_recorder_sees_what_a_library_does_without_python(tmp_path):
    if not can_trace():
        pytest.skip("strace is absent or may not trace")
    program = r"import ctypes; c = ctypes.CDLL(None); c.connect(c.socket(2, 1, 0), b'\2\0\0\x09\x7f\0\0\1' + bytes(8), 16)"
    assert any("sin_port=htons(9)" in attempt for attempt in record(tmp_path, "-c", program).attempts)


def test_openvino_reports_by_itself_and_no_more_once_maskzoo_is_at_work(tmp_path):
    """A program that imported both before: what was sent then is gone."""
    before = "import openvino, nncf; t = nncf.telemetry.telemetry; t.send_event('a', 'before', 'c')\n"
    after = "from maskzoo.system.telemetry import import_silenced; import_silenced('nncf'); t.send_event('a', 'after', 'c')"
    first, second = record(tmp_path, "-c", before), record(tmp_path, "-c", before + after)
    count = [sum("google-analytics" in one for one in run.attempts) for run in (first, second)]
    assert (first.code, second.code) == (0, 0) and first.left
    assert count[0] == count[1] > 0
