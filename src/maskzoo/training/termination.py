"""Ending a run on SIGTERM or Ctrl-C with all that it has learnt, however long its current step takes."""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from types import TracebackType

from maskzoo.errors import MaskzooError
from maskzoo.system.files import abandon_parts

__all__ = ["Terminator"]

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Terminator:
    """While entered, SIGTERM and SIGINT call `save` in a thread of its own, then end the process with 128 + signal.

    Python runs a signal's handler between two instructions of the main thread, and a step's backward pass is one
    instruction of many seconds. The thread is told by the C-level handler at once. `save` must lock out whatever changes
    the state. Enter it in the main thread.
    """

    def __init__(self, save: Callable[[], None]) -> None:
        self.save = save

    def __enter__(self) -> Terminator:
        self.reading, self.writing = os.pipe()
        os.set_blocking(self.writing, False)
        self.before = {number: signal.signal(number, _do_nothing) for number in SIGNALS}
        self.wakeup = signal.set_wakeup_fd(self.writing, warn_on_full_buffer=False)
        self.thread = threading.Thread(target=self._watch, name="terminator", daemon=True)
        self.thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        signal.set_wakeup_fd(self.wakeup)
        for number, handler in self.before.items():
            signal.signal(number, handler)
        os.close(self.writing)  # the thread reads the end and returns
        self.thread.join()
        os.close(self.reading)

    def _watch(self) -> None:
        while received := os.read(self.reading, 1):
            if received[0] in SIGNALS:
                code = 128 + received[0]
                try:
                    self.save()
                except MaskzooError as error:
                    print(f"Error: {error}", file=sys.stderr)
                    code = 1
                except Exception:
                    traceback.print_exc()
                    code = 1
                abandon_parts()  # of a report, say
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)  # the main thread may be deep in a step; nothing of it is worth waiting for


def _do_nothing(number: int, frame: object) -> None:
    """Stand for a signal: Python writes its number into the pipe only where a handler is set."""
