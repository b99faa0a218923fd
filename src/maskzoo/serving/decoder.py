"""A process that decodes pictures of strangers, within bounds: `python -m maskzoo.serving.decoder MAX_PIXELS MEMORY`.

It reads pictures from standard input, each after its length, and writes pixels, or why there are none, to standard output.
What a damaged picture does to a decoder, it does to this process alone: `maskzoo.serving.decoders` starts another.
"""

from __future__ import annotations

import os
import struct
import sys
from pathlib import Path
from typing import Any

from maskzoo.errors import ImageError
from maskzoo.images.read import read_image

__all__ = ["ANSWER", "QUESTION", "main"]

QUESTION = struct.Struct("<Q")  # bytes of the picture that follows
ANSWER = struct.Struct("<?IIQ")  # whether it was read, height, width, bytes that follow: pixels, or a text


def main() -> None:
    """Answer until standard input ends."""
    max_pixels, memory = (int(text) for text in sys.argv[1:])
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not get between the answers
    _limit_memory(memory)
    answers.write(ANSWER.pack(True, 0, 0, 0))  # ready
    answers.flush()
    while head := sys.stdin.buffer.read(QUESTION.size):
        content: Any = sys.stdin.buffer.read(*QUESTION.unpack(head))
        try:
            pixels = read_image(content, max_pixels=max_pixels)
        except (ImageError, MemoryError) as error:
            lacked = isinstance(error, MemoryError) or isinstance(error.__cause__, MemoryError)
            text = f"image of {len(content)} bytes: reading it takes too much memory; make it smaller" if lacked else str(error)
            content = text.encode()
            answers.write(ANSWER.pack(False, 0, 0, len(content)))
        else:
            content = pixels.reshape(-1).data
            answers.write(ANSWER.pack(True, *pixels.shape[:2], pixels.nbytes))
        answers.write(content)
        answers.flush()
        content = pixels = None  # type: ignore[assignment]  # not while the next one is read


def _limit_memory(memory: int) -> None:
    """Let this process take `memory` bytes more than it has now, where the system can bound that."""
    try:
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except (ImportError, OSError):
        return
    most = pages * resource.getpagesize() + memory
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    main()
