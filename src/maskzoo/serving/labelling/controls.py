"""What a project of Label Studio wants: the controls of its labelling interface, and which label each class gets."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from maskzoo.datasets.classes import ClassMap, fold_name, match_classes
from maskzoo.datasets.exporters.label_studio_regions import OUTLINES
from maskzoo.datasets.importers.xml_files import parse_xml
from maskzoo.errors import ConfigError, SourceError

__all__ = ["Controls", "read_controls"]

NAME = "the labelling interface"
KINDS = {"PolygonLabels": "polygon", "BrushLabels": "brush", "RectangleLabels": "rectangle"}


@dataclass(frozen=True, slots=True)
class Control:
    """A tag such as `BrushLabels`: its `name`, and the labels in it, as they are shown and as results have them."""

    name: str
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Controls:
    """The `image` tag and the field of a task's `data` that it shows; the controls that draw on it, by kind of region.

    `labels` has the name in the interface of each of the model's classes that it has; `note` says what was left out.
    """

    image: str
    field: str
    by_kind: Mapping[str, Control]
    labels: Mapping[str, str]
    note: str | None

    def choose(self, name: str) -> list[str]:
        """Return the kinds of regions that an object of this class may become, none if the interface lacks the class."""
        kinds = [kind for kind, control in self.by_kind.items() if self.labels.get(name) in control.labels]
        return [kind for kind in kinds if kind in OUTLINES] or kinds  # a rectangle says less than an outline


def read_controls(text: str, classes: Mapping[int, str], model: str) -> Controls:
    """Read a labelling interface for the classes of a `model`, by category id.

    Raises SourceError if it is no XML that is safe to read, ConfigError if it has no picture or no control that can hold an
    object, or no class in common with the model.
    """
    try:
        root = parse_xml(io.BytesIO(text.encode()), NAME)
    except UnicodeEncodeError as error:
        raise SourceError(f"{NAME}: has half a character: {error.reason}; save it again in the project's settings") from error
    images = {tag.get("name", ""): tag.get("value", "") for tag in root.iter("Image")}
    found = {kind: tag for kind, tag in _find_controls(root) if tag.get("toName") in images}
    if not found:
        raise ConfigError(
            f"{NAME} has no {' or '.join(KINDS)} for an Image; expected <Image> and one of these, with a <Label> for each class"
        )
    image = next(iter(found.values())).get("toName", "")
    field = images[image]
    if not field.startswith("$") or len(field) < 2:
        raise ConfigError(f"{NAME}: the Image {image!r} has the value {field[:80]!r}; expected a field, such as $image")
    by_kind = {kind: _read_control(tag, classes) for kind, tag in found.items() if tag.get("toName") == image}
    names = list(dict.fromkeys(label for control in by_kind.values() for label in control.labels))
    return Controls(image, field[1:], by_kind, *_match(classes, names, model))


def _find_controls(root: Element) -> Iterator[tuple[str, Element]]:
    """Yield the controls; of several of one kind the last is yielded first, so that the first counts."""
    for tag in reversed(list(root.iter())):
        if tag.tag in KINDS and tag.get("name"):
            yield KINDS[tag.tag], tag


def _read_control(tag: Element, classes: Mapping[int, str]) -> Control:
    """A label may be shown by one name and stored by another, its alias: the one that the model knows is taken."""
    known = {fold_name(name) for name in classes.values()}
    labels = {}
    for label in tag.iter("Label"):
        shown, stored = label.get("value", ""), label.get("alias") or label.get("value", "")
        if stored:
            labels[stored if fold_name(stored) in known else shown or stored] = stored
    return Control(tag.get("name", ""), labels)


def _match(classes: Mapping[int, str], names: list[str], model: str) -> tuple[dict[str, str], str | None]:
    """Return the label of each class, and what differs. Labels have no numbers: those of classes of their names are taken."""
    numbers = {fold_name(name): number for number, name in classes.items()}
    free = max(classes, default=0) + 1
    ids = [numbers.pop(fold_name(name), free + place) for place, name in enumerate(names)]
    match = match_classes(ClassMap.from_classes(classes), ClassMap(tuple(ids), tuple(names)), model, NAME)
    pairs = zip(classes.values(), match.labels.tolist(), strict=True)
    return {name: names[label] for name, label in pairs if label >= 0}, match.note
