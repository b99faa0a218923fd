"""Show that what is written for another library loads there and gives the same objects: rule-made weights, one photo.

    python tests/golden/load_elsewhere.py PEERS [NETWORK ...] [--photo FILE] [--short-side 320] [--background 16]

PEERS is where benchmarks/peers.sh put the libraries, each in a virtual environment of its own. The weights come in by the
library's own file, go back by `maskzoo.convert_to`, and are predicted with by the library and by maskzoo.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import maskzoo
from elsewhere_files import ROWS, read_row_of, rule_state, write_library_file
from maskzoo.weights.checkpoint import write_checkpoint
from maskzoo.zoo.load import build_empty, read_weights

LIBRARIES = {"tv": "torchvision", "d2": "detectron2", "mm": "mmdetection"}
PHOTO = Path(__file__).parent.parent.parent / "docs" / "images" / "demo.jpg"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peers", type=Path)
    parser.add_argument("networks", nargs="*", help=f"of {', '.join(ROWS)}; all unless said")
    parser.add_argument("--photo", type=Path, default=PHOTO)
    parser.add_argument("--short-side", type=int, default=320)
    parser.add_argument("--background", type=float, default=16.0, help="what the background's score is raised by")
    options = parser.parse_args()
    passed = [compare(arch, options) for arch in options.networks or ROWS]
    sys.exit(0 if all(passed) else 1)


def compare(arch, options):
    """Print how the library's and our predictions of the photo differ."""
    config = read_row_of(arch, f"input.short_side={options.short_side}", f"input.long_side={options.short_side * 5 // 3}")
    library = LIBRARIES[arch[:2]]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        theirs = write_library_file(folder, arch, rule_state(arch, "way back", options.background))
        mine = folder / "mine.safetensors"
        write_checkpoint(mine, read_weights(theirs, config, build_empty(config)), config, {})
        python = options.peers / library / "bin" / "python"
        found = maskzoo.verify(mine, options.photo, library, python=python)
    print(arch, json.dumps(found.to_dict()), flush=True)
    return not found.faults


if __name__ == "__main__":
    main()
