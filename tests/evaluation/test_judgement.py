"""Results whose ids are not the data set's are told from right ones by where they lie."""

import numpy as np
import pytest

from coco_files import disturb, make_data, write
from maskzoo.datasets.coco_reader import pack_annotations
from maskzoo.errors import AnnotationsError
from maskzoo.evaluation.judgement import judge_results
from maskzoo.evaluation.results import check_results, read_results
from shared_data import need_shared


def make_even_data(images=40, objects=3, **options):
    """A data set whose pictures all have the same size, so that no size gives wrong ids away."""
    data = make_data(images=images, objects=objects, crowd=False, **options)
    data["images"] = [image | {"height": 60} for image in data["images"]]
    return data


def permute(rows, data, share=1.0, seed=0):
    random = np.random.default_rng(seed)
    numbers = random.permutation([image["id"] for image in data["images"]])[: int(share * len(data["images"]))]
    other = dict(zip(numbers.tolist(), random.permutation(numbers).tolist(), strict=True))
    return [row | {"image_id": other.get(row["image_id"], row["image_id"])} for row in rows]


def drop(field, rows):
    return [{key: value for key, value in row.items() if key != field} for row in rows]


def judge(data, rows):
    annotations = pack_annotations(data, "val.json")
    return judge_results(annotations, check_results(rows, annotations, "rows.json"))


@pytest.mark.parametrize("field", ["segmentation", "bbox", ""])
def test_right_ids_are_beyond_doubt(field):
    data = make_even_data()
    judgement = judge(data, drop(field, disturb(data)))
    assert (judgement.nonsense, judgement.doubts) == (None, ())
    assert 4 * judgement.meeting > 3 * judgement.judged > 90


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("field", ["segmentation", "bbox"])
def test_permuted_ids_are_refused(field, seed, tmp_path):
    data = make_even_data(images=80, seed=seed)
    rows = permute(drop(field, disturb(data)), data, seed=seed)
    with pytest.raises(AnnotationsError, match=r"rows\.json: image_id: .*fit another image(?s:.)*images\.json"):
        read_results(write(tmp_path / "rows.json", rows), pack_annotations(data, "val.json"))


def test_ids_that_are_permuted_in_part_are_doubtful():
    data = make_even_data(images=120)
    judgement = judge(data, permute(disturb(data), data, share=0.4))
    assert judgement.nonsense is None
    assert any("fit another image" in doubt for doubt in judgement.doubts)


def test_few_images_are_no_proof_but_a_doubt():
    data = make_even_data(images=6)
    rows = drop("segmentation", disturb(data, false=0))
    judgement = judge(data, [row | {"image_id": row["image_id"] % 60 + 10} for row in rows])
    assert judgement.nonsense is None
    assert "the ids may be those of other images, or the model finds little" in judgement.doubts


def test_a_model_that_finds_nothing_is_doubtful_and_not_refused():
    data = make_even_data(images=100)
    random = np.random.default_rng(0)
    boxes = random.uniform((0, 0, 5, 5), (50, 30, 30, 30), (2000, 4)).tolist()
    rows = [
        {"image_id": data["images"][place % 100]["id"], "category_id": 1, "bbox": box, "score": place / 2000}
        for place, box in enumerate(boxes)
    ]
    judgement = judge(data, rows)
    assert judgement.nonsense is None and "model finds little" in judgement.doubts[0]


def test_one_object_in_the_middle_of_every_image_is_no_proof_that_ids_are_right():
    random = np.random.default_rng(1)
    data = make_even_data(images=200, objects=1)
    for row in data["annotations"]:
        width, height = random.uniform(20, 50, 2)
        row["bbox"] = [40 - width / 2, 30 - height / 2, width, height]
        row["category_id"] = 1
    rows = [{"image_id": row["image_id"], "category_id": 1, "score": 0.9, "bbox": row["bbox"]} for row in data["annotations"]]
    assert judge(data, rows).doubts == ()
    judgement = judge(data, permute(rows, data))
    assert judgement.nonsense is None and "the ids may be those of other images" in judgement.doubts[0]


def test_category_ids_that_are_counted_otherwise_are_doubtful():
    data = make_even_data(ids=(0, 1, 2))
    rows = [row | {"category_id": (row["category_id"] + 1) % 3} for row in disturb(data)]
    judgement = judge(data, rows)
    assert judgement.nonsense is None and "category ids may be numbered otherwise" in judgement.doubts[0]


def test_boxes_outside_of_their_images_are_said_and_many_are_refused():
    data = make_even_data()
    rows = drop("segmentation", disturb(data))
    rows[0]["bbox"] = [79, 30, 9, 9]
    judgement = judge(data, rows)
    assert judgement.nonsense is None
    assert judgement.doubts == (f"1 of {len(rows)} boxes lie by more than half outside of their image",)
    larger = [row | {"bbox": [4 * value for value in row["bbox"]]} for row in rows]  # as on the network's canvas
    assert "by more than half outside" in judge(data, larger).nonsense


def test_rows_of_other_sizes_or_unknown_images_are_refused_with_advice(tmp_path):
    data, other = make_data(), make_data(images=5)  # the same numbers, other heights
    with pytest.raises(AnnotationsError, match=r"segmentation\.size: found(?s:.)*results of another data set"):
        read_results(write(tmp_path / "rows.json", disturb(other)), pack_annotations(data, "val.json"))


@pytest.mark.parametrize("content", ["no rows", "no objects"])
def test_nothing_to_judge_is_no_nonsense(content):
    data = make_even_data()
    rows = [] if content == "no rows" else disturb(data)
    if content == "no objects":
        data["annotations"] = []
    judgement = judge(data, rows)
    assert (judgement.judged, judgement.nonsense, judgement.doubts) == (0, None, ())


@pytest.mark.parametrize("name", ["val2017", "train2017"])
def test_on_real_annotations_right_ids_pass_and_permuted_ones_do_not(name):
    from maskzoo.datasets.coco_reader import read_json

    data = read_json(need_shared("data", "coco", "annotations", f"instances_{name}.json"))
    rows = drop("segmentation", disturb(data, seed=len(name), false=500))
    right = judge(data, rows)
    assert (right.nonsense, right.doubts) == (None, ())
    for seed in range(3):
        assert judge(data, permute(rows, data, seed=seed)).nonsense is not None
