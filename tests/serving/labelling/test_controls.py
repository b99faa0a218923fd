import pytest

from maskzoo.errors import ConfigError, SourceError
from maskzoo.serving.labelling.controls import read_controls

CLASSES = {1: "person", 3: "traffic light", 18: "dog"}


def interface(*controls, image='<Image name="img" value="$photo"/>'):
    """A labelling interface; each control is its tag, name and labels."""
    tags = [
        f'<{tag} name="{name}" toName="img">' + "".join(f"<Label {label}/>" for label in labels) + f"</{tag}>"
        for tag, name, *labels in controls
    ]
    return f"<View><Header value='Draw'/>{image}<View style='x'>{''.join(tags)}</View></View>"


def read(text):
    return read_controls(text, CLASSES, "r50")


def test_labels_are_told_by_name_in_other_capitals_and_signs_too():
    controls = read(interface(("BrushLabels", "b", 'value="Person"', 'value="traffic_light"', 'value="tree"')))
    assert (controls.image, controls.field) == ("img", "photo")
    assert controls.labels == {"person": "Person", "traffic light": "traffic_light"}
    assert controls.choose("person") == ["brush"] and controls.choose("dog") == []
    assert "1 class of r50 left out" in controls.note and "dog" in controls.note and "tree" in controls.note
    assert "numbers its classes" not in controls.note


def test_a_note_is_made_only_where_something_differs():
    labels = [f'value="{name}"' for name in CLASSES.values()]
    assert read(interface(("PolygonLabels", "p", *labels))).note is None


def test_an_alias_is_what_results_have_whichever_of_both_names_the_model_knows():
    controls = read(interface(("BrushLabels", "b", 'value="Mensch" alias="person"', 'value="dog" alias="d1"')))
    assert controls.by_kind["brush"].labels == {"person": "person", "dog": "d1"}
    assert set(controls.labels) == {"person", "dog"}


def test_an_outline_is_drawn_where_the_class_may_have_one_and_a_rectangle_elsewhere():
    dog, person = 'value="dog"', 'value="person"'
    controls = read(interface(("RectangleLabels", "r", dog, person), ("BrushLabels", "b", dog), ("PolygonLabels", "p", dog)))
    assert sorted(controls.choose("dog")) == ["brush", "polygon"]
    assert controls.choose("person") == ["rectangle"]


def test_of_several_controls_of_a_kind_the_first_counts_and_those_of_another_picture_do_not():
    first, second = ("BrushLabels", "one", 'value="dog"'), ("BrushLabels", "two", 'value="person"')
    controls = read(interface(first, second))
    assert controls.by_kind["brush"].name == "one"
    other = '<Audio name="img2" value="$sound"/><Image name="img" value="$photo"/>'
    assert read(interface(first, image=other).replace('toName="img"', 'toName="img"', 1)).field == "photo"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("<View/>", "has no PolygonLabels or BrushLabels or RectangleLabels"),
        ('<View><Image name="a" value="$a"/><Choices name="c" toName="a"/></View>', "has no PolygonLabels"),
        ('<View><Text name="a" value="$a"/><BrushLabels name="c" toName="a"/></View>', "has no PolygonLabels"),
        (interface(("BrushLabels", "b", 'value="dog"'), image='<Image name="img" value="a.png"/>'), r"such as \$image"),
        (interface(("BrushLabels", "b", 'value="tree"')), "no class in common"),
        (interface(("BrushLabels", "b", 'value="DOG"', 'value="Dog "')), "more than one class called 'dog'"),
    ],
)
def test_an_interface_that_can_hold_no_object_is_refused(text, words):
    with pytest.raises(ConfigError, match=words):
        read(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><View>&b;</View>', "document type"),
        ('<!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;">]><View>&c;</View>', "document type"),
        ("<View>&b;</View>", "no XML"),
        ("<View>", "no XML"),
        ("", "no XML"),
        ("<a>" * 60, "nested"),
        ("\ud800", "half a character"),
    ],
)
def test_xml_that_is_not_safe_to_read_is_refused(text, words):
    with pytest.raises(SourceError, match=words):
        read(text)
