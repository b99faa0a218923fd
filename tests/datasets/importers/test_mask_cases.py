"""Five objects in three photos, written as each tool of masks and XML writes them, are read as the same five objects."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from maskzoo.datasets.importers.builder import ImportOptions
from maskzoo.datasets.importers.formats import FORMATS, choose_format

POLYGONS = {
    "a1": [("scratch", [(20, 20), (70, 25), (60, 80), (25, 70)]), ("dent", [(90, 30), (140, 30), (140, 90), (90, 90)])],
    "a2": [("dent", [(30, 40), (80, 40), (80, 100), (30, 100)]), ("scratch", [(100, 20), (150, 60), (105, 70)])],
    "a3": [("scratch", [(50, 30), (110, 35), (100, 95), (45, 90)])],
}
CLASSES = ["scratch", "dent"]
COLOURS = {"scratch": (250, 50, 83), "dent": (51, 221, 255)}


def draw(polygon):
    image = Image.new("L", (160, 120))
    ImageDraw.Draw(image).polygon(polygon, fill=1)
    return np.asarray(image)


MASKS = {photo: [(name, draw(polygon)) for name, polygon in rows] for photo, rows in POLYGONS.items()}


def save(path, array, palette=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npy":
        np.save(path, array)
        return
    image = Image.fromarray(array)
    if palette is not None:
        image.putpalette(palette)
    image.save(path)


def paint(photo, values, dtype=np.uint8):
    """Return a picture in which each object has its value."""
    picture = np.zeros((120, 160, *np.shape(values[0])), dtype)
    for (_, mask), value in zip(MASKS[photo], values, strict=True):
        picture[mask > 0] = value
    return picture


def write_photos(folder, suffix=".jpg"):
    for photo in MASKS:
        save(folder / f"{photo}{suffix}", np.zeros((120, 160, 3), np.uint8))


def write_voc(folder, suffix=".JPG", objects="SegmentationObject", classes="SegmentationClass", ending=".png"):
    write_photos(folder / "JPEGImages", suffix)
    for photo, rows in MASKS.items():
        palette = [value for place in range(256) for value in (place, 255 - place, 0)] if ending == ".png" else None
        save(folder / objects / f"{photo}{ending}", paint(photo, range(1, len(rows) + 1)), palette)
        save(folder / classes / f"{photo}{ending}", paint(photo, [1 + CLASSES.index(name) for name, _ in rows]), palette)
    (folder / "class_names.txt").write_text("_background_\nscratch\ndent\n")


def write_old_labelme(folder):
    write_voc(folder, objects="SegmentationObjectPNG", classes="SegmentationClassPNG")
    write_voc(folder, ending=".npy")


def write_cvat_masks(folder):
    write_photos(folder / "JPEGImages", ".png")
    (folder / "ImageSets/Segmentation").mkdir(parents=True)
    (folder / "ImageSets/Segmentation/default.txt").write_text("a1\na2\na3\n")
    rows = "".join(f"{name}:{red},{green},{blue}::\n" for name, (red, green, blue) in COLOURS.items())
    (folder / "labelmap.txt").write_text(f"# label:color_rgb:parts:actions\nbackground:0,0,0::\n{rows}")
    for photo, objects in MASKS.items():
        save(folder / f"SegmentationClass/{photo}.png", paint(photo, [COLOURS[name] for name, _ in objects]))
        save(folder / f"SegmentationObject/{photo}.png", paint(photo, [(128, 0, 0), (0, 128, 0)][: len(objects)]))


def write_numbers(folder, ending, dtype=np.uint8):
    write_photos(folder / "images", ".tif")
    for photo, rows in MASKS.items():
        save(folder / f"masks/{photo}{ending}", paint(photo, range(1, len(rows) + 1), dtype))


def write_colours(folder):
    write_photos(folder / "images")
    for photo, rows in MASKS.items():
        save(folder / f"masks/{photo}.png", paint(photo, [(9, 8, 7), (200, 0, 0)][: len(rows)]))


def write_each(folder):
    for photo, rows in MASKS.items():
        write_photos(folder / "photos")
        save(folder / f"{photo}/images/{photo}.png", np.zeros((120, 160, 3), np.uint8))
        for place, (_, mask) in enumerate(rows):
            save(folder / f"{photo}/masks/m{place}.png", mask * np.uint8(255))


def write_cvat_xml(folder, *, brush):
    write_photos(folder / "images")
    images = []
    for number, (photo, rows) in enumerate(POLYGONS.items()):
        shapes = ""
        for (name, polygon), (_, mask) in zip(rows, MASKS[photo], strict=True):
            points = ";".join(f"{x:.2f},{y:.2f}" for x, y in polygon)
            y, x = np.nonzero(mask)
            part = mask[y.min() : y.max() + 1, x.min() : x.max() + 1]
            ends = np.flatnonzero(np.diff(part.ravel(), prepend=0, append=2))
            runs = ", ".join(map(str, np.diff(ends, prepend=0)))
            size = f'left="{x.min()}" top="{y.min()}" width="{part.shape[1]}" height="{part.shape[0]}"'
            shapes += f'<mask label="{name}" rle="{runs}" {size}/>' if brush else f'<polygon label="{name}" points="{points}"/>'
        images.append(f'<image id="{number}" name="{photo}.jpg" width="160" height="120">{shapes}</image>')
    (folder / "annotations.xml").write_text(f"<annotations><version>1.1</version><meta/>{''.join(images)}</annotations>")


def write_voc_xml(folder):
    write_photos(folder / "JPEGImages")
    (folder / "Annotations").mkdir()
    for photo, rows in POLYGONS.items():
        objects = ""
        for name, polygon in rows:
            (x1, y1), (x2, y2) = np.min(polygon, axis=0), np.max(polygon, axis=0)
            box = f"<xmin>{x1}</xmin><ymin>{y1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax>"
            objects += f"<object><name>{name}</name><bndbox>{box}</bndbox></object>"
        text = f"<annotation><filename>{photo}.jpg</filename>{objects}</annotation>"
        (folder / f"Annotations/{photo}.xml").write_text(text)


WRITERS = {  # the format, and what writes it
    "voc": ("voc", write_voc),
    "voc with tif": ("voc", lambda folder: write_voc(folder, ".tiff", ending=".tif")),
    "labelme's old form": ("voc", write_old_labelme),
    "CVAT's masks": ("voc", write_cvat_masks),
    "numbers in tif": ("masks", lambda folder: write_numbers(folder, ".tif")),
    "numbers of 16 bits": ("masks", lambda folder: write_numbers(folder, "_mask.png", np.uint16)),
    "colours": ("masks", write_colours),
    "a mask for each object": ("masks", write_each),
    "CVAT's polygons": ("cvat", lambda folder: write_cvat_xml(folder, brush=False)),
    "CVAT's brush": ("cvat", lambda folder: write_cvat_xml(folder, brush=True)),
    "boxes": ("voc_xml", write_voc_xml),
}


@pytest.mark.parametrize("kind", WRITERS)
def test_the_same_five_objects_are_read_from_every_form(tmp_path, kind):
    name, write = WRITERS[kind]
    write(tmp_path)
    assert choose_format(tmp_path) == name
    (draft,) = FORMATS[name].read(tmp_path, ImportOptions(boxes="masks" if kind == "boxes" else None)).values()
    assert draft.skipped == [] and draft.refused == [] and [path.stem for path in draft.pictures] == list(MASKS)
    found = []
    for row in draft.annotations:
        label = draft.names[row["category_id"] - 1]
        found.append((draft.pictures[row["image_id"] - 1].stem, "object" if name == "masks" else label, *row["bbox"]))
    drawn = kind in ("CVAT's polygons", "boxes")  # corners between pixels; masks have the pixels on both of their sides
    expected = []
    for photo, rows in POLYGONS.items():
        for label, polygon in rows:
            (x1, y1), (x2, y2) = np.min(polygon, axis=0), np.max(polygon, axis=0) + (not drawn)
            expected.append((photo, "object" if name == "masks" else label, x1, y1, x2 - x1, y2 - y1))
    assert sorted(found) == sorted(expected)
    if not drawn:
        areas = sorted(int(mask.sum()) for rows in MASKS.values() for _, mask in rows)
        assert sorted(row["area"] for row in draft.annotations) == areas
