"""Servers that are told to stop while they are asked: what they have accepted is answered, and the next one goes on."""

import http.client
import logging
import os
import threading
import time

import pytest

from maskzoo.serving.metrics import LOG
from servers import running, some_photo, started, write_small_model

COUNT = int(os.environ.get("MASKZOO_RESTARTS", "20"))
CLIENTS = 6


class Asking(threading.Thread):
    """A client that asks again and again, and knows which of its requests had which end."""

    def __init__(self, name, ports):
        super().__init__(name=name, daemon=True)
        self.ports, self.answered, self.refused, self.broken, self.stopping = ports, set(), set(), set(), False

    def run(self):
        number, photo, connection, port = 0, some_photo(), None, None
        while not self.stopping:
            if port != self.ports[-1]:  # the server has been started anew
                connection = None
            port, number = self.ports[-1], number + 1
            request_id = f"{self.name}-{number}"
            try:
                connection = connection or http.client.HTTPConnection("127.0.0.1", port, timeout=60)
                connection.request(
                    "POST", "/v1/predict?score=0", photo, {"Content-Type": "image/png", "X-Request-ID": request_id}
                )
                answer = connection.getresponse()
                content = answer.read()
            except ConnectionRefusedError:
                connection = None
                time.sleep(0.02)
                continue
            except (OSError, http.client.HTTPException):
                self.broken.add(request_id)
                connection = None
                continue
            if answer.status == 503:
                self.refused.add(request_id)
            else:
                assert answer.status == 200 and content.endswith(b"}"), content
                self.answered.add(request_id)
            if answer.getheader("Connection") == "close":
                connection = None


def restart(start, count, read_log):
    """Start and stop a server so many times while it is asked; return how many requests were answered, and broke off unread."""
    ports, heard = [0], set()
    clients = [Asking(f"client{number}", ports) for number in range(CLIENTS)]
    for client in clients:
        client.start()
    for _ in range(count):
        with start() as server:
            before, end = sum(len(one.answered) for one in clients), time.monotonic() + 60
            ports.append(server.port)
            while sum(len(one.answered) for one in clients) < before + CLIENTS and time.monotonic() < end:
                time.sleep(0.05)
        log = read_log(server)
        assert not [entry for entry in log if entry.get("level") == "error"], log
        heard |= {entry["id"] for entry in log if "method" in entry}
    for client in clients:
        client.stopping = True
        client.join(60)
    answered, refused, broken = (
        set().union(*(getattr(one, end) for one in clients)) for end in ("answered", "refused", "broken")
    )
    assert len(answered) > count
    assert answered | refused == heard  # none that the server has read is without its answer
    return len(answered), len(broken)


def test_what_a_server_has_accepted_is_answered_before_it_stops(caplog):
    caplog.set_level(logging.INFO, LOG.name)
    restart(running, 2, lambda _: [record.fields for record in caplog.records if record.name == LOG.name])


@pytest.mark.reliability
@pytest.mark.timeout(3600)
def test_many_restarts_lose_nothing(tmp_path):
    model = write_small_model(tmp_path)
    answered, broken = restart(lambda: started(model, "--workers", "1", "--max-batch", "2"), COUNT, read_log)
    print(f"{COUNT} restarts: {answered} answered; {broken} broke off before the server had read them")


def read_log(server):
    assert server.process.returncode == 0 and server.log[-1]["event"] == "stopped"
    return server.log
