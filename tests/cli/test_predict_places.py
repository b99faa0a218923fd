"""Where `maskzoo predict` may write: an error says what is wrong with --out, and no call tries names for ever."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from maskzoo.weights.checkpoint import write_checkpoint
from networks import FPN, make_photo, small_config, small_network

pytestmark = pytest.mark.timeout(200)

NOBODY = 65534
LONG = "n" * 251  # with .jpg the longest name there is


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scene")
    config = small_config(FPN, "limits.detections.score=0.0")
    write_checkpoint(folder / "small.safetensors", small_network(config).state_dict(), config, {"source": "random"})
    for place, name in (("photos", "p"), ("photos", LONG), ("photos/more", LONG)):
        (folder / place).mkdir(exist_ok=True)
        Image.fromarray(make_photo(60, 90, 1)).save(folder / place / f"{name}.png")
    (folder / "file").write_bytes(b"mine")
    (folder / "circle").symlink_to("circle")
    (folder / "nowhere").symlink_to("missing")
    return folder


def predict(scene, *arguments):
    command = [sys.executable, "-m", "maskzoo", "predict", "small.safetensors", *arguments]
    done = subprocess.run(
        command, cwd=scene, env=os.environ | {"CUDA_VISIBLE_DEVICES": ""}, capture_output=True, text=True, timeout=100,
        check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    return done


PLACES = ["file", "file/below", "circle", "circle/below", "nowhere", "n" * 256]


@pytest.mark.parametrize("out", PLACES, ids=lambda out: out[:12])
def test_a_place_that_cannot_be_is_an_error_before_the_model_is_read(scene, out):
    done = predict(scene, "photos/p.png", "--out", out)
    assert done.returncode == 1 and out[:50] in done.stderr and "cannot be written" in done.stderr
    assert "Running on" not in done.stderr and (scene / "file").read_bytes() == b"mine"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize("mode", [0o744, 0o755, 0o766], ids=oct)
def test_a_folder_without_rights_is_an_error(scene, mode):
    scene.chmod(0o755)
    (scene / "locked").mkdir(exist_ok=True)
    (scene / "locked").chmod(mode)
    call = "main(['predict', 'small.safetensors', 'photos/p.png', '--out', {!r}])"
    text = "\n".join(
        [
            "import os",
            "from maskzoo.cli import main",
            "try:",  # imports all that is needed, as root
            f"    {call.format('file')}",
            "except SystemExit:",
            "    pass",
            f"os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})",
            call.format("locked"),
        ]
    )
    done = subprocess.run(
        [sys.executable, "-c", text], cwd=scene, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "locked: cannot be written (Permission denied); change the rights" in " ".join(done.stderr.split())
    assert list((scene / "locked").iterdir()) == []


def test_two_images_of_the_longest_name_each_get_a_picture(scene):
    done = predict(scene, f"photos/{LONG}.png", f"photos/more/{LONG}.png", "--out", "long", "--score", "0")
    assert done.returncode == 0, done.stderr
    names = {path.name for path in (scene / "long").iterdir()}
    assert names == {f"{LONG}.jpg", f"{LONG[:-2]}-2.jpg", "predictions.json", "images.json"}


def test_a_pattern_that_finds_earlier_results_leaves_them_out_and_says_so(scene):
    (scene / "album").mkdir()
    Image.fromarray(np.zeros((40, 40, 3), np.uint8)).save(scene / "album" / "black.png")
    first = predict(scene, "album/**/*", "--out", "album/found")
    images = (scene / "album" / "found" / "images.json").read_bytes()
    assert first.returncode == 0 and "Left out" not in first.stderr and len(json.loads(images)["images"]) == 1
    again = predict(scene, "album/**/*", "--out", "album/found")
    assert again.returncode == 0 and "Left out: 1 picture that an earlier call drew in album/found" in again.stderr
    assert (scene / "album" / "found" / "images.json").read_bytes() == images
    assert sorted(path.name for path in (scene / "album" / "found").iterdir()) == [
        "black.jpg", "images.json", "predictions.json",
    ]  # fmt: skip
    alone = predict(scene, "album/found", "--out", "album/found")
    assert alone.returncode == 1 and "drawn here by an earlier call" in alone.stderr
