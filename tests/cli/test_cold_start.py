"""What a plain `maskzoo predict` does not import: each of these packages costs time that no photo needs."""

import json
import os
import subprocess
import sys

from PIL import Image

from maskzoo.weights.checkpoint import write_checkpoint
from networks import FPN, make_photo, small_config, small_network

WITHOUT_NEED = (
    "av", "edgefirst", "fastapi", "httpx", "IPython", "matplotlib", "nncf", "onnx", "onnxruntime", "onnxscript", "openvino",
    "pandas", "prometheus_client", "requests", "scipy", "starlette", "tensorboard", "torchvision", "urllib3", "uvicorn",
)  # fmt: skip
INNER = (
    "maskzoo.bench.runner", "maskzoo.evaluation", "maskzoo.reports", "maskzoo.serving", "maskzoo.training",
    "maskzoo.zoo.counterparts", "maskzoo.zoo.transfer", "torch._dynamo", "torch._inductor", "torch.onnx",
)  # fmt: skip


def test_a_plain_prediction_imports_nothing_that_it_does_not_need(tmp_path):
    config = small_config(FPN)
    write_checkpoint(tmp_path / "small.safetensors", small_network(config).state_dict(), config, {"source": "random"})
    Image.fromarray(make_photo(60, 90)).save(tmp_path / "one.jpg")
    program = (
        "import atexit, json, sys\n"
        "atexit.register(lambda: print(json.dumps(sorted(sys.modules)), file=sys.stderr))\n"
        "from maskzoo.cli import main\n"
        "main(['predict', 'small.safetensors', 'one.jpg', '--out', 'found'])\n"
    )
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and (tmp_path / "found" / "one.jpg").is_file(), done.stderr
    modules = set(json.loads(done.stderr.splitlines()[-1]))
    assert "torch" in modules and "maskzoo.inference.predictor" in modules
    alone = subprocess.run([sys.executable, "-c", "import sys, torch; print(*sys.modules)"], capture_output=True, text=True)
    assert modules & {*WITHOUT_NEED, *INNER} - set(alone.stdout.split()) == set()
