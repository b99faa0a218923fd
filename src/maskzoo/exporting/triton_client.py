"""Finds the objects on a photo with a network that Triton serves. Needs numpy, Pillow, and tritonclient[http].

docker run -p 8000:8000 -v THIS_FOLDER:/models nvcr.io/nvidia/tritonserver:YY.MM-py3 tritonserver --model-repository=/models
python client.py photo.jpg [found.png [localhost:8000]]

example.py beside this script prepares the photo and draws what is found; run by itself, it needs no server.
"""

import sys
from pathlib import Path
from typing import Any

import example  # type: ignore[import-not-found]
import tritonclient.http as triton

OUTPUTS = ("boxes", "scores", "labels", "valid", "masks")
TYPES = {"float32": "FP32", "uint8": "UINT8"}


def main(photo: str, out: str = "found.png", address: str = "localhost:8000") -> None:
    with triton.InferenceServerClient(address) as client:

        def ask(path: Path, inputs: dict[str, Any]) -> list[Any]:
            """The outputs of the network, which the server calls by the name of its folder."""
            given = []
            for name, values in inputs.items():
                given.append(triton.InferInput(name, list(values.shape), TYPES[str(values.dtype)]))
                given[-1].set_data_from_numpy(values)
            found = client.infer(path.parent.parent.name, given)
            return [found.as_numpy(name) for name in OUTPUTS]

        example.main(photo, out, run=ask)


if __name__ == "__main__":
    main(*sys.argv[1:])
