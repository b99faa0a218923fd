"""Install maskzoo with each extra alone, in a new environment outside the checkout, and use what the extra is for.

python tools/extras.py [EXTRA ...]      none: maskzoo without extras, then all of them; `make extras` does it

torch, with the packages that it brings itself, is installed once and seen by every environment, since every installation has
them. All else is installed anew from the wheel, with the tested versions, and removed again at the end.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "tests"))

ALONE = "alone"  # maskzoo without an extra
SERVED = """
import re, subprocess, sys
import maskzoo
command = [sys.executable, "-m", "maskzoo", "serve", "tiny.safetensors", "--port", "0"]
with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
    try:
        address = next(found[0] for line in server.stderr if (found := re.search(r"http://127.0.0.1:[1-9]\\d*", line)))
        with maskzoo.Client(address) as client:
            found = client.predict("photos/0.jpg")
    finally:
        server.terminate()
        server.communicate()
assert len(found) > 0 and server.returncode == 0, (len(found), server.returncode)
"""
ANNOTATED = """
import sys
sys.path.insert(0, "function")
import auto_annotation
from cvat_sdk.auto_annotation import DetectionFunctionSpec
from PIL import Image
from types import SimpleNamespace
assert isinstance(auto_annotation.spec, DetectionFunctionSpec)
context = SimpleNamespace(conf_threshold=0.1, conv_mask_to_poly=True)
assert auto_annotation.detect(context, Image.open("photos/0.jpg"))
"""
STREAMED = """
import maskzoo
frames = list(maskzoo.load("tiny.safetensors").stream("clip.mp4", track=True))
assert len(frames) == 5 and frames[-1].identities is not None
"""
WINDOWED = """
import maskzoo
from maskzoo.images.windows import DecodedImage, open_windows
with open_windows("scan.tif") as windows:
    assert not isinstance(windows, DecodedImage)
assert len(maskzoo.load("tiny.safetensors").predict("scan.tif", tile=128))
"""
PULLED = "import maskzoo; maskzoo.load('hf://user/tiny').predict('photos/0.jpg')"
TRAIN = "train tiny.yml my-data --epochs 1 --from none --workers 0 --set training.learning_rate=0.0001 --out run --track"
EXPORT = "export tiny.safetensors --verify photos --to"
# Verbs of maskzoo, and programs in Python (those that have lines or calls).
USES = {
    ALONE: ["models", "doctor", "predict tiny.safetensors photos --save image,json,labelme,cvat,geojson --out found"],
    "track": [f"{TRAIN} tensorboard"],
    "wandb": [f"{TRAIN} wandb"],
    "mlflow": [f"{TRAIN} mlflow"],
    "export": [
        f"{EXPORT} onnx --out tiny.onnx",
        f"{EXPORT} openvino --out tiny.xml",
        "predict tiny.onnx photos --out onnx",
        "predict tiny.xml photos --out openvino",
    ],
    "int8": [f"{EXPORT} openvino --dtype int8 --calibrate photos --out tiny.xml"],
    "cvat": ["export tiny.safetensors --to cvat --out function", ANNOTATED],
    "tiff": [WINDOWED],
    "serve": [SERVED],
    "hub": ["push tiny.safetensors user/tiny", "pull user/tiny", PULLED],
    "video": ["predict tiny.safetensors clip.mp4 --track --out drawn.mp4", STREAMED],
    "docs": [f"import subprocess, sys; subprocess.run([sys.executable, '-m', 'mkdocs', 'build', '--quiet', '--strict', "
             f"'--config-file', {str(ROOT / 'mkdocs.yml')!r}, '--site-dir', 'site'], check=True)"],
}  # fmt: skip
ELSEWHERE = {"dev"}  # make test installs it and needs all of it


def main() -> None:
    wanted = sys.argv[1:] or list(USES)
    if unknown := set(wanted) - set(USES):
        sys.exit(f"extras {', '.join(sorted(unknown))}: unknown; expected some of {', '.join(USES)}")
    failed = []
    with tempfile.TemporaryDirectory() as place, running_hub() as hub:
        work = Path(place)
        run([sys.executable, "-m", "build", "--wheel", "--outdir", work, ROOT])
        (wheel,) = work.glob("*.whl")
        base = create(work / "torch")
        index = ["--index-url", address] if (address := os.environ.get("TORCH_INDEX")) else []  # as for make test
        run([base, "-m", "pip", "install", "--quiet", "--constraint", ROOT / "constraints.txt", *index, "torch"])
        for extra in wanted:
            with tempfile.TemporaryDirectory(dir=work) as folder:
                began = time.perf_counter()
                try:
                    count = try_out(extra, wheel, base, Path(folder), hub)
                except subprocess.CalledProcessError as error:
                    failed.append(extra)
                    print(f"{extra:8s} FAILED: {error.cmd}\n{error.stdout[-3000:]}", flush=True)
                else:
                    print(f"{extra:8s} {count:3d} packages, {time.perf_counter() - began:4.0f} s", flush=True)
    sys.exit(f"failed: {', '.join(failed)}" if failed else 0)


def try_out(extra: str, wheel: Path, base: Path, folder: Path, hub: str) -> int:
    """Install and use an extra; return how many packages there are beside torch and its own."""
    python = create(folder / "venv")
    (find_packages(python) / "torch.pth").write_text(f"{find_packages(base)}\n")
    package = str(wheel) if extra == ALONE else f"{wheel}[{extra}]"
    run([python, "-m", "pip", "install", "--quiet", "--constraint", ROOT / "constraints.txt", package])
    run([python, "-m", "pip", "check"])
    work = folder / "work"
    write_materials(work)
    settings = {"MASKZOO_HOME": str(folder / "home"), "HF_ENDPOINT": hub, "HF_TOKEN": "none", "HF_HOME": str(folder / "hf")}
    for use in USES[extra]:
        arguments = ["-c", use] if "import " in use else ["-m", "maskzoo", *use.split()]
        run([python, "-X", "faulthandler", *arguments], cwd=work, env=clean_environment() | settings)
    return len(list(find_packages(python).glob("*.dist-info")))


def create(folder: Path) -> Path:
    """Make an environment; return its Python."""
    venv.create(folder, with_pip=True, symlinks=True)
    return folder / "bin" / "python"


def find_packages(python: Path) -> Path:
    return next(python.parent.parent.glob("lib/python3*/site-packages"))


def clean_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}


def run(command: list[str | Path], cwd: Path | None = None, env: dict[str, str] | None = None) -> None:
    subprocess.run(
        list(map(str, command)), cwd=cwd, env=env or clean_environment(), check=True, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


@contextmanager
def running_hub() -> Iterator[str]:
    from hub_server import serve_hub

    with serve_hub() as hub:
        yield hub.address


def write_materials(folder: Path) -> None:
    """Write what the uses name: a network, photos, a large TIFF, a clip, a data set and a model file."""
    import tifffile
    from PIL import Image

    from maskzoo.weights.checkpoint import write_checkpoint
    from networks import FPN, THIN, make_photo, small_config, sure_network
    from small_runs import write_data, write_model
    from videos import write_clip

    (folder / "photos").mkdir(parents=True)
    for number in range(3):
        Image.fromarray(make_photo(90, 120, seed=number)).save(folder / "photos" / f"{number}.jpg")
    config = small_config(FPN, *THIN)
    write_checkpoint(folder / "tiny.safetensors", sure_network(config).state_dict(), config, {})
    tifffile.imwrite(folder / "scan.tif", make_photo(300, 400), tile=(64, 64), compression="lzw", photometric="rgb")
    write_clip(folder / "clip.mp4", 5)
    write_data(folder / "my-data")
    write_model(folder)


if __name__ == "__main__":
    main()
