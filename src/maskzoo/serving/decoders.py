"""Decode pictures in other processes, within time and memory; one that hangs or breaks its process fails alone."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from maskzoo.errors import ImageError
from maskzoo.serving.decoder import ANSWER, QUESTION
from maskzoo.serving.limits import Limits

__all__ = ["Decoders"]

BYTES_PER_PIXEL = 16  # that decoding takes at most: two copies of 16-bit colour, and what the format itself needs
SPARE = 256_000_000  # bytes, whatever the picture's size
ALONE = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


class Decoders:
    """Some decoding processes, each of which has one picture at a time."""

    def __init__(self, number: int, limits: Limits) -> None:
        self._limits, self._number = limits, number
        self._threads = ThreadPoolExecutor(number, "decode")
        self._all = [_Process(limits) for _ in range(number)]
        self._idle: asyncio.Queue[_Process] = asyncio.Queue()

    async def start(self) -> None:
        """Start the processes and wait until each is ready."""
        loop = asyncio.get_running_loop()
        await asyncio.gather(*(loop.run_in_executor(self._threads, process.start) for process in self._all))
        for process in self._all:
            self._idle.put_nowait(process)

    def close(self) -> None:
        """End the processes."""
        for process in self._all:
            process.kill()
        self._threads.shutdown()

    async def decode(self, content: bytes | bytearray) -> NDArray[np.uint8]:
        """Return RGB pixels `[H W 3]`. Raises ImageError if there are none, or not within the limits.

        A picture that nobody waits for any more is finished all the same: its process would take longer to start again.
        """
        process = await self._idle.get()
        answer = asyncio.ensure_future(self._ask(process, content))
        answer.add_done_callback(lambda _: self._idle.put_nowait(process))
        return await asyncio.shield(answer)

    async def _ask(self, process: _Process, content: bytes | bytearray) -> NDArray[np.uint8]:
        answer = asyncio.get_running_loop().run_in_executor(self._threads, process.decode, content)
        done, _ = await asyncio.wait({answer}, timeout=self._limits.decode_seconds + process.delay)
        if not done:
            process.interrupt()
            await asyncio.wait({answer})
            answer.exception()
            raise ImageError(
                f"image of {len(content)} bytes: reading it took more than {self._limits.decode_seconds:g} seconds; "
                "make it smaller, or save it as JPEG or PNG"
            )
        return answer.result()


class _Process:
    """One decoding process; a dead one is started again for the next picture."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def delay(self) -> float:
        """Seconds that a start may take, which the picture is not to blame for."""
        return 0.0 if self._process is not None and self._process.poll() is None else 60.0

    def start(self) -> None:
        memory = self._limits.max_pixels * BYTES_PER_PIXEL + 2 * self._limits.max_bytes + SPARE
        self._process = subprocess.Popen(
            [sys.executable, "-m", "maskzoo.serving.decoder", str(self._limits.max_pixels), str(memory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # libraries complain there about each damaged picture
            env=os.environ | ALONE,
            start_new_session=True,  # Ctrl-C in a terminal goes to every process: this one has to finish its picture
        )
        self._receive()

    def decode(self, content: bytes | bytearray) -> NDArray[np.uint8]:
        try:
            if self.delay:
                self.kill()
                self.start()
            assert self._process is not None and self._process.stdin is not None
            self._process.stdin.write(QUESTION.pack(len(content)))
            self._process.stdin.write(content)
            self._process.stdin.flush()
            good, height, width, payload = self._receive()
        except (OSError, EOFError):
            self.kill()
            raise ImageError(
                f"image of {len(content)} bytes: it ended the process that was reading it; save it anew, as JPEG or PNG"
            ) from None
        if not good:
            raise ImageError(payload.decode())
        return np.frombuffer(payload, np.uint8).reshape(height, width, 3)

    def _receive(self) -> tuple[bool, int, int, bytearray]:
        good, height, width, length = ANSWER.unpack(self._read(ANSWER.size))
        return good, height, width, self._read(length)

    def _read(self, length: int) -> bytearray:
        assert self._process is not None and self._process.stdout is not None
        content = bytearray(length)
        if self._process.stdout.readinto(content) < length:  # type: ignore[attr-defined]  # a BufferedReader fills it
            raise EOFError
        return content

    def interrupt(self) -> None:
        """End the process under the thread that waits for its answer; that thread clears it away."""
        if (process := self._process) is not None:
            process.kill()

    def kill(self) -> None:
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None and not stream.closed:
                with suppress(OSError):  # what was still to be written has no reader
                    stream.close()
        self._process = None
