"""YOLO segmentation data becomes COCO, row by row, and what does not fit is named with its file and line."""

import numpy as np
import pytest
from PIL import Image

import maskzoo
from five_objects import HEIGHT, OUTLINES, TRUTH, WIDTH, list_objects, write_pictures
from maskzoo.datasets.coco_reader import pack_annotations
from maskzoo.datasets.importers.builder import ImportOptions
from maskzoo.datasets.importers.formats import choose_format
from maskzoo.datasets.importers.yolo import is_yolo, read_yolo
from maskzoo.errors import SourceError

TRIANGLE = "1 0.1 0.2 0.5 0.2 0.5 0.6"


@pytest.fixture
def source(tmp_path):
    """Two splits of 40 x 20 pictures; the second picture of train has no labels."""
    for split, names in {"train": ["a", "b"], "val": ["c"]}.items():
        for name in names:
            save(tmp_path / "images" / split / f"{name}.png")
        (tmp_path / "labels" / split).mkdir(parents=True)
    (tmp_path / "data.yaml").write_text("path: .\ntrain: images/train\nval: images/val\nnames: {0: cat, 1: dog}\n")
    (tmp_path / "labels/train/a.txt").write_text(f"{TRIANGLE}\n0 0 0 1 0 1.0000001 1 0 1\n")
    (tmp_path / "labels/val/c.txt").write_text(TRIANGLE)
    return tmp_path


def save(path, size=(40, 20), **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((size[1], size[0], 3), np.uint8)).save(path, **options)


def test_polygons_become_pixels_with_box_area_and_class(source):
    drafts = read_yolo(source, ImportOptions())
    assert list(drafts) == ["train", "val"] and drafts["train"].skipped == []
    content = drafts["train"].to_coco(source)
    assert [image["file_name"] for image in content["images"]] == ["images/train/a.png", "images/train/b.png"]
    assert content["categories"] == [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
    dog, cat = content["annotations"]
    assert dog["segmentation"] == [[4, 4, 20, 4, 20, 12]] and dog["category_id"] == 2
    assert dog["bbox"] == [4, 4, 16, 8] and dog["area"] == 64
    assert cat["segmentation"] == [[0, 0, 40, 0, 40, 20, 0, 20]] and cat["area"] == 800
    assert drafts["train"].count_empty() == 1
    assert len(pack_annotations(content, "made").ids) == 2


def test_the_data_file_itself_can_be_the_source_and_classes_can_be_renamed(source):
    drafts = read_yolo(source / "data.yaml", ImportOptions(["kitten", "puppy"]))
    assert drafts["val"].to_coco(source)["categories"][1]["name"] == "puppy"
    assert len(drafts["val"].annotations) == 1


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("0 0.1 0.1 nan 0.5 0.5 0.1", "outside of 0 to 1"),
        ("0 0.1 0.1 1e300 0.5 0.5 0.1", "outside of 0 to 1"),
        ("0 0.1 0.1 1.5 0.5 0.5 0.1", "outside of 0 to 1"),
        ("7 0.1 0.1 0.5 0.5 0.5 0.1", "from 0 to 1"),
        ("nan 0.1 0.1 0.5 0.5 0.5 0.1", "from 0 to 1"),
        ("0.5 0.1 0.1 0.5 0.5 0.5 0.1", "from 0 to 1"),
        ("0 0.1 0.1 0.5 0.5 0.5", "6 numbers"),
        ("0 0.1 0.1 0.5 0.5 0.5 0.1 0.2", "8 numbers"),
        ("hen 0.1 0.1 0.5 0.5 0.5 0.1", "expected numbers"),
        ("0 0.1 0.1 0.5 0.5 0.9 0.9", "no area"),
    ],
)
def test_a_row_that_makes_no_sense_is_skipped_with_file_and_line(source, row, said):
    (source / "labels/train/a.txt").write_text(f"{TRIANGLE}\n\n{row}\n")
    (skipped,) = read_yolo(source, ImportOptions())["train"].skipped
    assert skipped.file == str(source / "labels/train/a.txt") and skipped.row == "line 3"
    assert said in skipped.reason


def test_boxes_are_refused_with_their_number_or_taken_for_rectangles(source):
    (source / "labels/train/a.txt").write_text("0 0.5 0.5 0.5 0.5\n1 0.5 0.5 1 1\n")
    with pytest.raises(SourceError, match=r"a\.txt: line 1: a box without an outline, and 1 more .*--boxes masks"):
        maskzoo.convert_dataset(source, source / "coco")
    first, _ = read_yolo(source, ImportOptions(boxes="masks"))["train"].annotations
    assert first["segmentation"] == [[10, 5, 30, 5, 30, 15, 10, 15]] and first["bbox"] == [10, 5, 20, 10]


def test_labels_beside_the_pictures_are_found_and_none_at_all_are_an_error(source):
    for path in sorted(source.glob("labels/*/*.txt")):
        path.rename(source / "images" / path.relative_to(source / "labels"))
    assert len(read_yolo(source, ImportOptions())["train"].annotations) == 2
    for path in source.glob("images/*/*.txt"):
        path.unlink()
    with pytest.raises(SourceError, match=r"labels/train/a\.txt: no such file, and none .* other of 3 pictures"):
        read_yolo(source, ImportOptions())


def test_labels_without_a_picture_and_damaged_pictures_are_named(source):
    (source / "labels/val/gone.txt").write_text(TRIANGLE)
    (source / "images/val/torn.png").write_bytes((source / "images/val/c.png").read_bytes()[:40])
    skipped = read_yolo(source, ImportOptions())["val"].skipped
    assert {row.file.rsplit("/", 1)[-1] for row in skipped} == {"gone.txt", "torn.png"}


def test_a_list_file_names_pictures_and_may_not_lead_out(source):
    (source / "data.yaml").write_text("train: train.txt\nnames: [cat, dog]\n")
    (source / "train.txt").write_text("./images/train/a.png\n\nimages/val/c.png\n")
    assert [path.name for path in read_yolo(source, ImportOptions())["train"].pictures] == ["a.png", "c.png"]
    save(source.parent / "secret.png")
    (source / "train.txt").write_text("images/train/a.png\n../secret.png\n")
    with pytest.raises(SourceError, match=r"train\.txt: line 2: found '\.\./secret\.png'"):
        read_yolo(source, ImportOptions())


def test_an_export_that_writes_a_path_from_elsewhere_is_found_beside_its_data_file(tmp_path):
    save(tmp_path / "train" / "images" / "a.png")
    (tmp_path / "train" / "labels").mkdir()
    (tmp_path / "train/labels/a.txt").write_text(TRIANGLE)
    (tmp_path / "data.yaml").write_text("train: ../train/images\nnames: [cat, dog]\nnc: 2\n")
    assert len(read_yolo(tmp_path, ImportOptions())["train"].annotations) == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("names: !!python/object/apply:os.system ['true']\n", "not valid YAML"),
        ("a: &a [x]\nnames: *a\n", "alias"),
        ("names: [cat\n", "not valid YAML"),
        ("- cat\n", "expected a mapping"),
        ("names: {0: cat, 2: dog}\ntrain: images/train\n", "expected a list of names"),
        ("names: [cat]\n", "names no pictures"),
        ("names: [cat, dog, cat]\ntrain: images/train\n", "'cat' twice"),
        ("names: [cat, true]\ntrain: images/train\n", "expected a list of names"),
        ("names: [cat]\ntrain: images/train\ntrain: images/val\n", "'train' is given twice"),
        ("names: [cat]\ntrain: nowhere\n", "nowhere"),
        ("names: [cat]\ntrain: 7\n", "expected a folder"),
    ],
)
def test_a_data_file_that_is_not_one_is_refused_with_its_name(source, text, said):
    (source / "data.yaml").write_text(text)
    with pytest.raises(SourceError, match=r"data\.yaml") as caught:
        read_yolo(source, ImportOptions())
    assert said in str(caught.value)


def test_folders_alone_need_the_names_of_classes(source):
    (source / "data.yaml").unlink()
    with pytest.raises(SourceError, match="--classes"):
        read_yolo(source, ImportOptions())
    assert list(read_yolo(source, ImportOptions(["cat", "dog"]))) == ["train", "val"]
    (source / "classes.txt").write_text("cat\ndog\n")
    assert read_yolo(source, ImportOptions())["val"].names == ["cat", "dog"]


def test_sizes_are_those_of_the_picture_turned_upright(source):
    exif = Image.Exif()
    exif[0x0112] = 6
    save(source / "images/val/c.jpg", size=(40, 20), exif=exif)
    (source / "images/val/c.png").unlink()
    draft = read_yolo(source, ImportOptions())["val"]
    assert draft.sizes == [(40, 20)]
    assert draft.annotations[0]["bbox"] == [2, 8, 8, 16]


def label(source, rows, name="labels/train/a.txt"):
    (source / name).write_text("\n".join(rows) + "\n")
    return read_yolo(source, ImportOptions())


@pytest.mark.parametrize(
    "rewrite",
    [
        lambda text: text.replace(" ", ","),
        lambda text: text.replace(" ", ", "),
        lambda text: text.replace(" ", ";"),
        lambda text: text.replace(" ", "\t").replace(".", ","),
        lambda text: text.replace("1 0.1", "dog 0.1").replace("0 0 0", "cat 0 0"),
        lambda text: text.replace("\n", "\r\n").encode("utf-16"),
    ],
)
def test_rows_may_be_parted_otherwise_and_name_their_class(source, rewrite):
    before = read_yolo(source, ImportOptions())["train"].annotations
    path = source / "labels/train/a.txt"
    text = rewrite(path.read_text())
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    draft = read_yolo(source, ImportOptions())["train"]
    assert draft.annotations == before and draft.skipped == []


def test_classes_that_are_counted_from_1_are_refused_with_what_to_do(source):
    (source / "labels/train/a.txt").write_text(f"{TRIANGLE}\n2{TRIANGLE[1:]}\n")
    with pytest.raises(SourceError, match=r"classes from 1 to 2, and none has 0; .* --classes unused,cat,dog"):
        read_yolo(source, ImportOptions())
    assert len(read_yolo(source, ImportOptions(["unused", "cat", "dog"]))["train"].annotations) == 2


def test_labels_that_none_can_be_read_of_are_refused(source, tmp_path):
    for path in source.glob("labels/*/*.txt"):
        path.write_text("1 0.1 0.2 0.5 0.2 0.5 0.6 0.9\n")
    with pytest.raises(SourceError, match=r"no object of the source can be used(.|\n)*a score at the end"):
        maskzoo.convert_dataset(source, tmp_path / "coco")


@pytest.fixture
def one(source):
    """The same without its second split, whose rows would be looked at too."""
    (source / "data.yaml").write_text("train: images/train\nnames: [cat, dog]\n")
    return source


@pytest.mark.parametrize("points", [1, 2, 4, 17])
def test_rows_of_key_points_are_refused_by_name_without_kpt_shape_too(one, points):
    rows = [
        "0 0.5 0.5 0.4 0.4 " + " ".join(["0.4 0.6 2", "0 0 0", "0.55 0.5 1"][k % 3] for k in range(points)) for _ in range(3)
    ]
    with pytest.raises(SourceError, match=r"a\.txt: all of 3 rows looked at are a box and key points \(YOLO-pose"):
        label(one, rows)


@pytest.mark.parametrize("count", [3, 4, 17])
def test_rows_of_key_points_without_visibility_are_refused_too(one, count):
    random = np.random.default_rng(count)
    rows = []
    for _ in range(5):
        (width, height), (x, y) = random.uniform(0.05, 0.3, 2), random.uniform(0.3, 0.7, 2)
        points = random.uniform(-0.5, 0.5, (count, 2)) * (width, height) + (x, y)
        rows.append(" ".join(f"{value:.4f}" for value in [x, y, width, height, *points.ravel()]))
    with pytest.raises(SourceError, match="key points"):
        label(one, [f"0 {row}" for row in rows])


@pytest.mark.parametrize("count", [5, 6, 8, 20])
@pytest.mark.parametrize("radius", [0.02, 0.1, 0.3])
def test_outlines_of_as_many_points_each_are_no_key_points(one, count, radius):
    random = np.random.default_rng(count)
    angle = np.arange(count) / count * 2 * np.pi
    rows = []
    for _ in range(20):
        centre = random.uniform(radius, 1 - radius, 2)
        points = centre + radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        rows.append("0 " + " ".join(f"{value:.4f}" for value in points.ravel()))
    assert len(label(one, rows)["train"].annotations) == 20


@pytest.mark.parametrize(("key", "value"), [("kpt_shape", "[17, 3]"), ("flip_idx", "[0, 2, 1]"), ("kpt_names", "{0: [a]}")])
def test_key_points_are_refused_by_the_data_file(source, key, value):
    (source / "data.yaml").write_text(f"train: images/train\nnames: [cat]\n{key}: {value}\n")
    with pytest.raises(SourceError, match=rf"data\.yaml: {key}: the labels are key points"):
        read_yolo(source, ImportOptions())


@pytest.mark.parametrize(
    "row",
    ["0 0 0 1 0 1 1 0 1 0 0.5", "1 0.5 0.5 0.4 0.4 0.9 0.9 1 0.1 0.1 1", "1 0.2 0.2 0.9 0.2 0.9 0.9 0.2 0.9 0 0"],
)
def test_an_outline_that_touches_the_border_is_no_row_of_key_points(one, row):
    assert len(label(one, [TRIANGLE, row])["train"].annotations) == 2
    assert len(label(one, [row])["train"].annotations) == 1


def test_pixels_instead_of_parts_are_refused_by_name(one):
    with pytest.raises(
        SourceError, match=r"all of 2 rows .* the largest 39: they are pixels or percent; .*divide x by the width"
    ):
        label(one, ["1 4 4 20 4 20 12", "0 1 1 39 1 39 19 1 19"])
    (skipped,) = label(one, [TRIANGLE, "1 4 4 20 4 20 12"])["train"].skipped
    assert skipped.row == "line 2" and "20, which looks like pixels" in skipped.reason
    (skipped,) = label(one, ["1 0.1 0.2 1.2 0.2 0.5 0.6"])["train"].skipped  # only outside
    assert "outside of 0 to 1;" in skipped.reason


def test_four_points_in_every_row_are_told_as_perhaps_oriented_boxes(one):
    square = "1 0.1 0.2 0.5 0.2 0.5 0.6 0.1 0.6"
    draft = label(one, [square, square])["train"]
    assert len(draft.annotations) == 2 and "all of 2 rows looked at have four points" in draft.notes[0]
    assert not any("four points" in note for note in label(one, [square, TRIANGLE])["train"].notes)


def test_a_score_at_the_end_of_a_row_is_named(one):
    skipped = label(one, [TRIANGLE, "0 0.1 0.1 0.5 0.5 0.5 0.1 0.93", "0 0.5 0.5 0.2 0.2 0.93"])["train"].skipped
    assert [row.row for row in skipped] == ["line 2", "line 3"]
    assert all("a score at the end?" in row.reason for row in skipped)


def test_classes_that_no_object_has_are_told(source):
    (source / "data.yaml").write_text("train: images/train\nval: images/val\nnames: [shapes, dog, cat]\nnc: 3\n")
    notes = label(source, [TRIANGLE])["train"].notes
    assert notes == ["classes without an object: 'shapes' (0), 'cat' (2)"]


def test_hidden_files_of_other_programs_are_passed_over(source):
    for name in ("images/train/._a.png", "images/train/.ipynb_checkpoints/a-checkpoint.png", "images/train/__MACOSX/a.png"):
        save(source / name)
    for name in ("labels/train/._a.txt", "labels/train/.a.txt.swp", "labels/train/classes.txt", "images/train/Thumbs.db"):
        (source / name).write_text("cat")
    draft = read_yolo(source, ImportOptions())["train"]
    assert [path.name for path in draft.pictures] == ["a.png", "b.png"] and draft.skipped == []


def test_what_cannot_be_looked_at_is_skipped_by_name(source):
    (source / "images/train/gone.png").symlink_to(source / "nowhere.png")
    (skipped,) = read_yolo(source, ImportOptions())["train"].skipped
    assert skipped.file.endswith("gone.png") and "leads nowhere" in skipped.reason


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"labels/a.txt": "0 0.1 0.1 0.5 0.5 0.5 0.1\n"}, True),
        ({"labels/a.txt": ""}, True),
        ({"training/labels/a.txt": "0 0.1"}, True),
        ({"train/a.jpg": "", "train/a.txt": "0 0.1 0.1 0.5 1e-5\n"}, True),
        ({"train/a.jpg": "", "train/a.txt": "1 photo of a cat\n"}, False),  # a caption
        ({"a.txt": "0 0.1 0.1", "a.png": "", "classes.txt": "cat\n"}, True),
        ({"obj.data": "names = obj.names\n"}, True),
        ({"labels/a.txt": "Car 0.00 0 -1.58 587.01\n"}, False),  # KITTI
        ({"labels/a.txt": "imagesource:GoogleEarth\n"}, False),  # DOTA
        ({"a.txt": "0 0.1 0.1"}, False),
        ({"cars.yaml": "train: images\nnames: [cat]\n", "compose.yml": "services: {}\n"}, True),
        ({"compose.yml": "services: {}\n"}, False),
        ({"x.data": "1 2 3\n"}, False),
        ({"labels/._a.txt": "0 0.1"}, False),
        ({"classes.txt": "cat\n"}, False),
    ],
)
def test_yolo_is_recognised_by_its_rows(tmp_path, files, expected):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert is_yolo(tmp_path) is expected


@pytest.mark.parametrize(("images", "labels"), [("Images", "Labels"), ("IMAGES", "LABELS")])
def test_folders_in_capitals_are_found(tmp_path, images, labels):
    save(tmp_path / images / "train" / "a.png")
    (tmp_path / labels / "train").mkdir(parents=True)
    (tmp_path / labels / "train" / "a.txt").write_text(TRIANGLE)
    (tmp_path / "data.yaml").write_text(f"train: {images}/train\nnames: [cat, dog]\n")
    assert len(read_yolo(tmp_path, ImportOptions())["train"].annotations) == 1


NAMES = "names: [scratch, dent]\n"
TOOLS = {  # data.yaml or the like; where pictures and labels of a split lie; other files
    "Ultralytics": ({"data.yaml": f"path: .\ntrain: images/train\nval: images/val\n{NAMES}"}, "images/%s", "labels/%s"),
    "Roboflow": ({"data.yaml": f"train: ../train/images\nval: ../val/images\ntest: ../test/images\nnc: 2\n{NAMES}"},
                 "%s/images", "%s/labels"),
    "Roboflow's download": ({"data.yaml": f"train: cars-3/train/images\nval: cars-3/val/images\n{NAMES}"},
                            "%s/images", "%s/labels"),
    "Kaggle": ({"data.yaml": f"path: /kaggle/x\ntrain: /kaggle/x/train/images\nval: /kaggle/x/val/images\n{NAMES}"},
               "%s/images", "%s/labels"),
    "Windows": ({"data.yaml": "train: D:\\x\\images\\train\nval: images\\val\n" + NAMES}, "images/%s", "labels/%s"),
    "labelImg": ({"classes.txt": "scratch\ndent\n"}, "%s", "%s"),
    "CVAT": ({"obj.data": "classes = 2\ntrain = data/train.txt\nvalid = data/val.txt\nnames = data/obj.names\n",
              "obj.names": "scratch\ndent\n", "train.txt": "data/obj_train_data/a1.jpg\ndata/obj_train_data/a2.jpg\n",
              "val.txt": "data/obj_val_data/a3.jpg\n"}, "obj_%s_data", "obj_%s_data"),
    "lists": ({"data.yaml": f"train: train.txt\nval: val.txt\n{NAMES}", "val.txt": "./images/val/a3.jpg\n",
               "train.txt": "./images/train/a1.jpg\n./images/train/a2.jpg\n"}, "images/%s", "labels/%s"),
    "no data file": ({"obj.names": "scratch\ndent\n"}, "%s/images", "%s/labels"),
}  # fmt: skip


@pytest.mark.parametrize("tool", TOOLS)
def test_the_five_objects_are_read_as_every_tool_writes_them(tmp_path, tool):
    files, pictures, labels = TOOLS[tool]
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    for name, objects in OUTLINES.items():
        split = "val" if name == "a3.jpg" else "train"
        write_pictures(tmp_path / (pictures % split), [name])
        rows = [
            f"{['scratch', 'dent'].index(label)} " + " ".join(f"{x / WIDTH:.7f} {y / HEIGHT:.7f}" for x, y in points)
            for label, points in objects
        ]
        file = (tmp_path / (labels % split) / name).with_suffix(".txt")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("\n".join(rows))
    assert choose_format(tmp_path) == "yolo"
    drafts = read_yolo(tmp_path, ImportOptions())
    assert list(drafts) == ["train", "val"] and not any(draft.skipped for draft in drafts.values())
    found = [one for draft in drafts.values() for one in list_objects(draft)]
    assert [(name, label, pytest.approx(box, abs=0.01)) for name, label, box in found] == TRUTH
