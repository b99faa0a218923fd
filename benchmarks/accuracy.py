"""What bfloat16 and int8 cost a trained model: box and mask AP of a data set, and how far its masks move, beside float32.

    python benchmarks/accuracy.py MODEL.safetensors instances_val.json --calibrate PHOTOS [--images DIR] [--limit 100]

Every image is run once by each type: float32 and bfloat16 in PyTorch, int8 in OpenVINO, calibrated on PHOTOS. These should
not be the measured ones; how many are is counted by content and written into the result. AP is in points of 100. Masks are
compared where both types found the object: one label, boxes that overlap by half or more. The result file keeps one entry
for each title. `by_heart.py` trains a model that knows real photos; `make demo` one that knows shapes.
"""

import json
import os
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
from scripts import make_parser

import maskzoo
from maskzoo.bench.processes import describe_machine, write_result
from maskzoo.datasets.classes import ClassMap, match_classes
from maskzoo.datasets.coco_reader import read_annotations
from maskzoo.datasets.image_folders import find_image_folder
from maskzoo.evaluation.collect import choose_images
from maskzoo.evaluation.metrics import compute_metrics
from maskzoo.evaluation.results import Results
from maskzoo.exporting.verify import match_masks
from maskzoo.images.find import find_images
from maskzoo.system.files import hash_file

BACKENDS = {"float32": "eager", "bfloat16": "eager", "int8": "openvino"}


def main():
    parser = make_parser(__doc__, "accuracy.json")
    parser.add_argument("model", type=Path, help="a trained model, a .safetensors file")
    parser.add_argument("annotations", type=Path, help="COCO's .json of the images to measure on")
    parser.add_argument("--images", type=Path, help="their folder, where it is not beside the annotations")
    parser.add_argument("--calibrate", type=Path, required=True, help="a folder of photos for int8")
    parser.add_argument("--title", help="the model and the data, in words; else the files' names")
    parser.add_argument("--limit", type=int, help="the first N images with objects only")
    options = parser.parse_args()
    annotations = read_annotations(options.annotations)
    if options.limit:
        annotations = annotations.select(choose_images(annotations, limit=options.limit))
    folder = options.images or find_image_folder(annotations)
    home = tempfile.TemporaryDirectory()
    os.environ["MASKZOO_HOME"] = home.name  # int8 is exported anew: a file kept from an older state of the code would be taken
    with warnings.catch_warnings(action="ignore"):  # of a processor without bfloat16: exactness is asked for, not speed
        predictors = {dtype: load(options.model, dtype, options.calibrate) for dtype in BACKENDS}
    config = predictors["float32"].config
    match = match_classes(ClassMap.from_classes(config.classes), annotations.classes, config.name, annotations.source)
    results, overlaps, photos = run(predictors, annotations, folder, match.labels)
    result = {
        "machine": describe_machine(),
        "title": options.title or f"{config.name}, {options.model.name}, on {options.annotations.name}",
        "images": len(photos),
        "objects": int((~annotations.crowd).sum()),
        "calibration": describe_calibration(options.calibrate, photos),
        "types": compare({dtype: compute_metrics(annotations, rows) for dtype, rows in results.items()}, overlaps),
    }
    kept = json.loads(options.out.read_text()) if options.out.exists() else []
    kept = [other for other in kept if other["title"] != result["title"]]
    write_result(options.out, [*kept, result])
    print(json.dumps(result, indent=1))


def load(model, dtype, calibrate):
    photos = calibrate if dtype == "int8" else None
    return maskzoo.load(model, device="cpu", backend=BACKENDS[dtype], dtype=dtype, calibrate=photos)


def run(predictors, annotations, folder, labels):
    """Result rows by type, the mask IoU of each object found by a type and by float32, and the photos that were run."""
    results = {dtype: Results() for dtype in predictors}
    overlaps = {dtype: [] for dtype in predictors}
    places = np.flatnonzero(choose_images(annotations)).tolist()
    photos = [folder / annotations.file_name(place) for place in places]
    for number, (place, photo) in enumerate(zip(places, photos, strict=True), 1):
        found = {dtype: predictor.predict(photo, score=0) for dtype, predictor in predictors.items()}
        for dtype, prediction in found.items():
            results[dtype].add_prediction(place, prediction, tuple(annotations.sizes[place].tolist()), labels)
            overlaps[dtype] += [overlap for _, _, overlap in match_masks(found["float32"], prediction)]
        if number % 20 == 0 or number == len(photos):
            print(f"{number}/{len(photos)} images", file=sys.stderr)
    return results, overlaps, photos


def describe_calibration(folder, photos):
    found = find_images([str(folder)])
    measured = {hash_file(path) for path in photos}
    return {"photos": len(found), "of_them_measured": sum(hash_file(path) in measured for path in found)}


def compare(evaluations, overlaps):
    base = evaluations["float32"]
    if base.mask.ap is None or not overlaps["float32"]:
        sys.exit("float32 found nothing that is in the data: choose a trained model, and data with its classes")
    return {
        dtype: {
            "backend": BACKENDS[dtype],
            "box_ap": points(evaluation.box.ap),
            "mask_ap": points(evaluation.mask.ap),
            "box_ap_difference": points(evaluation.box.ap - base.box.ap),
            "mask_ap_difference": points(evaluation.mask.ap - base.mask.ap),
            "mean_mask_iou": round(float(np.mean(overlaps[dtype])), 5) if overlaps[dtype] else 0.0,
            "detections": evaluation.detections,
            "matched": len(overlaps[dtype]),
        }
        for dtype, evaluation in evaluations.items()
    }


def points(share):
    return round(100 * share, 3)


if __name__ == "__main__":
    main()
