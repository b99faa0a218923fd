"""What a recipe makes of a data set's images before the network sees them, drawn on one sheet."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from maskzoo.config import ModelConfig, RunSettings
from maskzoo.dataset_checks.before_use import take_crowds
from maskzoo.datasets.annotations import AnnotationSet, select_for_training
from maskzoo.datasets.coco_reader import pack_annotations, read_annotations
from maskzoo.datasets.contact_sheet import Cell, draw_sheet
from maskzoo.datasets.draw import check_sheet, choose_images, find_split, write_sheet
from maskzoo.datasets.image_folders import find_image_folder
from maskzoo.drawing.fonts import explain_unwritten
from maskzoo.errors import SourceError
from maskzoo.model_file import parse_settings
from maskzoo.progress import OnProgress, ProgressEvent, say_nothing
from maskzoo.training.augment import AnnotatedImage
from maskzoo.training.recipes import RECIPES
from maskzoo.training.samples import Sample, SampleMaker, order_images
from maskzoo.zoo.rows import read_row

__all__ = ["DrawnAugmentation", "draw_augmented"]

ROW = "mask_rcnn_r50_fpn_1x_coco"  # which a recipe changes that is no model


@dataclass(frozen=True, slots=True)
class DrawnAugmentation:
    """The sheet that `draw_augmented` wrote to `out`: the ids of its `images`, in order, which may come again.

    It shows `objects`; `lost` ones left their picture or were covered. `replaced` says which images could not be read.
    """

    out: Path
    images: tuple[int, ...]
    objects: int
    lost: int
    replaced: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that `json.dumps` takes."""
        return asdict(self) | {"out": str(self.out), "images": list(self.images), "replaced": list(self.replaced)}


def draw_augmented(
    data: str | Path,
    recipe: str | Path,
    *,
    out: str | Path = "sheet.jpg",
    count: int = 20,
    image: Sequence[int] = (),
    seed: int = 0,
    split: str | None = None,
    images: str | Path | None = None,
    overrides: Sequence[str] = (),
    font: str | Path | None = None,
    on_progress: OnProgress = say_nothing,
) -> DrawnAugmentation:
    """Draw what training by a recipe would see, resized, flipped and augmented, with the objects as they are then.

    They are the first pictures of a run with that seed and batches of one image. Crowds are left out, as they do not train.

    Args:
        data: a COCO instances file (JSON), or a folder in one of the usual layouts.
        recipe: a model file (.yml), a zoo row's name, or a recipe's (photo, aerial, microscopy, industrial, lsj).
        out: the picture to write, .jpg or .png. A sheet that was drawn before is overwritten, nothing else.
        count: how many pictures; with fewer images they come again in further epochs.
        image: the ids of the images to take, in turn, instead of the run's order.
        seed: another number, another order and other draws.
        split: the split of a folder; left out, its first.
        images: the images' folder, or one with a folder for each split; left out, it is searched for near `data`.
        overrides: `KEY=VALUE` texts for the model file, and `run.KEY=VALUE` for the run's settings, as for `train`.
        font: the file of a font that has the letters of the names; left out, one is searched for.
        on_progress: is called for each picture, and told which names cannot be written.

    Returns:
        What is on the sheet, and how many objects the augmentation cost.

    Raises:
        ArgumentError: `out` has another ending, or `count` is below 1.
        ConfigError: the recipe is not valid or unknown, or an id is not in the data set.
        SourceError: there is no annotation file, no such split, no image to train on, or their folder is not found.
        AnnotationsError: the file has faults.
        ImageError: none of the images can be read.
        MaskzooError: `out` is something other than a sheet, or cannot be written.
    """
    out = check_sheet(out, count, font)
    config, settings = _read_recipe(recipe, overrides, seed)
    annotations = read_annotations(find_split(data, split))
    folder = find_image_folder(annotations, None if images is None else Path(images), split)
    if settings.crowds_as_objects:
        annotations = take_crowds(annotations)
    annotations, dropped = select_for_training(annotations, empty_images=settings.empty_images)
    if not len(annotations):
        raise SourceError(f"{annotations.source}: no image has an object to train on ({dropped}); there is nothing to show")
    if note := explain_unwritten(annotations.classes.names, font):
        on_progress(ProgressEvent("Drawing", note=note))
    wanted = choose_images(annotations, None, image, count, seed) if image else None
    maker = SampleMaker(annotations, folder, config, settings)
    samples = []
    for epoch, position, place in itertools.islice(_list_positions(annotations, settings, wanted), count):
        samples.append(maker.make(epoch, position, place))
        on_progress(ProgressEvent("Augmenting images", len(samples), count))
    shown = _make_set(annotations, samples)
    cells = [Cell(sample.image.pixels, place) for place, sample in enumerate(samples)]
    write_sheet(out, draw_sheet(shown, cells, None, font))
    return DrawnAugmentation(
        out,
        tuple(sample.image_id for sample in samples),
        len(shown.ids),
        sum(sample.image.lost for sample in samples),
        tuple(str(one) for sample in samples for one in sample.replaced),
    )


def _read_recipe(recipe: str | Path, overrides: Sequence[str], seed: int) -> tuple[ModelConfig, RunSettings]:
    named = RECIPES.get(str(recipe))
    texts = [*(named or ()), *overrides]
    settings = parse_settings([f"seed={seed}", *(text.removeprefix("run.") for text in texts if text.startswith("run."))])
    return read_row(recipe if named is None else ROW, [text for text in texts if not text.startswith("run.")]), settings


def _list_positions(
    annotations: AnnotationSet, settings: RunSettings, wanted: Sequence[int] | None
) -> Iterator[tuple[int, int, int]]:
    """Yield epoch, position and image of a run without an end; of `wanted` images alone, if some are."""
    for epoch in itertools.count():
        places = order_images(annotations, settings, epoch, 1).tolist() if wanted is None else wanted
        yield from ((epoch, position, place) for position, place in enumerate(places))


def _make_set(annotations: AnnotationSet, samples: Sequence[Sample]) -> AnnotationSet:
    """Return the samples as a data set of their own, numbered from 1, with the names of their images' files."""
    files = {number: annotations.file_name(place) for place, number in enumerate(annotations.image_ids.tolist())}
    ids = annotations.classes.ids
    rows = [
        _describe_object(sample.image, place, number, ids)
        for number, sample in enumerate(samples, 1)
        for place in range(len(sample.image.labels))
    ]
    content = {
        "images": [
            {"id": number, "file_name": files[sample.image_id], "height": sample.image.size[0], "width": sample.image.size[1]}
            for number, sample in enumerate(samples, 1)
        ],
        "annotations": [{"id": number, **row} for number, row in enumerate(rows, 1)],
        "categories": [{"id": number, "name": name} for number, name in zip(ids, annotations.classes.names, strict=True)],
    }
    return pack_annotations(content, annotations.source)


def _describe_object(image: AnnotatedImage, place: int, image_id: int, category_ids: Sequence[int]) -> dict[str, Any]:
    x1, y1, x2, y2 = image.boxes[place].tolist()
    return {
        "image_id": image_id,
        "category_id": category_ids[int(image.labels[place])],
        "bbox": [x1, y1, x2 - x1, y2 - y1],
        "area": (x2 - x1) * (y2 - y1),
        "iscrowd": 0,
        "segmentation": [polygon.tolist() for polygon in image.outlines[place]],
    }
