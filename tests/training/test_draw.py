"""draw_augmented: the sheet shows what a run of that seed would see, and says what it cost."""

import json

import numpy as np
import pytest
from PIL import Image

import maskzoo
from maskzoo.config import RunSettings
from maskzoo.datasets.annotations import select_for_training
from maskzoo.datasets.coco_reader import read_annotations
from maskzoo.errors import ArgumentError, ConfigError, SourceError
from maskzoo.training.draw import draw_augmented
from maskzoo.training.samples import SampleMaker, order_images
from maskzoo.zoo.rows import row_text
from training_data import RECIPE, make_config, write_set


@pytest.fixture
def data(tmp_path):
    write_set(tmp_path, images=5)
    return tmp_path / "train.json"


def test_the_sheet_has_the_first_pictures_of_a_run(data, tmp_path):
    events = []
    drawn = draw_augmented(
        data, "aerial", out=tmp_path / "sheets" / "a.png", count=8, seed=3, overrides=RECIPE, on_progress=events.append
    )
    annotations, _ = select_for_training(read_annotations(data))
    settings = RunSettings(seed=3)
    maker = SampleMaker(annotations, tmp_path, make_config("training.augmentation=aerial"), settings)
    places = [(epoch, *one) for epoch in (0, 1) for one in enumerate(order_images(annotations, settings, epoch, 1).tolist())]
    samples = [maker.make(*place) for place in places[:8]]
    assert drawn.images == tuple(sample.image_id for sample in samples)
    assert drawn.objects == sum(len(sample.image.labels) for sample in samples)
    assert drawn.lost == sum(sample.image.lost for sample in samples)
    assert [event.done for event in events] == list(range(1, 9))
    with Image.open(drawn.out) as sheet:
        assert sheet.size[0] == 1920
    assert json.loads(json.dumps(drawn.to_dict()))["images"] == list(drawn.images)


def test_images_that_are_named_come_in_turn_each_time_otherwise(data, tmp_path):
    drawn = maskzoo.draw_augmented(data, "photo", out=tmp_path / "a.png", count=5, image=[30, 10], overrides=RECIPE)
    assert drawn.images == (30, 10, 30, 10, 30)


def test_a_model_file_and_settings_of_the_run_say_what_is_drawn(data, tmp_path):
    (tmp_path / "my.yml").write_text(row_text("mask_rcnn_r50_fpn_1x_coco"))
    changes = [*RECIPE, "training.flip=0.0", "training.short_sides=[40]"]
    plain = draw_augmented(data, tmp_path / "my.yml", out=tmp_path / "a.png", count=3, overrides=changes)
    assert plain.lost == 0
    tiny = draw_augmented(
        data, tmp_path / "my.yml", out=tmp_path / "b.png", count=3, overrides=[*changes, "run.jitter=[0.02,0.03]"]
    )
    assert tiny.lost > 0 and tiny.objects < plain.objects


def test_an_image_that_cannot_be_read_is_replaced_and_named(data, tmp_path):
    annotations = read_annotations(data)
    (tmp_path / annotations.file_name(0)).write_bytes(b"no picture")
    drawn = draw_augmented(data, "microscopy", out=tmp_path / "a.png", count=5, overrides=RECIPE)
    assert drawn.replaced and all(f"image {annotations.image_ids[0]} was replaced" in text for text in drawn.replaced)
    assert int(annotations.image_ids[0]) not in drawn.images


def test_calls_that_cannot_be_meant_are_refused(data, tmp_path):
    with pytest.raises(ArgumentError, match=r"a\.gif: expected a name that ends in"):
        draw_augmented(data, "photo", out=tmp_path / "a.gif")
    with pytest.raises(ConfigError, match="no such model"):
        draw_augmented(data, "photos", out=tmp_path / "a.png")
    with pytest.raises(ConfigError, match="no image has the id 3"):
        draw_augmented(data, "photo", out=tmp_path / "a.png", image=[3])
    content = json.loads(data.read_text())
    data.write_text(json.dumps(content | {"annotations": []}))
    with pytest.raises(SourceError, match="no image has an object to train on"):
        draw_augmented(data, "photo", out=tmp_path / "a.png")
    assert not (tmp_path / "a.png").exists()


def test_crowds_are_left_out_or_move_along_as_objects_if_asked(data, tmp_path):
    content = json.loads(data.read_text())
    rows = [row for row in content["annotations"] if not isinstance(row["segmentation"], list)]
    for row in rows:
        row["iscrowd"] = 1
    data.write_text(json.dumps(content))
    without = draw_augmented(data, "lsj", out=tmp_path / "a.png", count=5, overrides=[*RECIPE, "run.jitter=[0.9,1.0]"])
    crowds = draw_augmented(
        data, "lsj", out=tmp_path / "a.png", count=5,
        overrides=[*RECIPE, "run.jitter=[0.9,1.0]", "run.crowds_as_objects=true"],
    )  # fmt: skip
    assert np.subtract(crowds.objects, without.objects) >= len(rows) - 1 > 0
