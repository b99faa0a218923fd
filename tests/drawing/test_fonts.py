"""Names of any script on pictures: in a font that has their letters, or by their ids, and never as empty boxes."""

import unicodedata

import numpy as np
import pytest
from PIL import Image, ImageFont, features

from maskzoo.drawing.fonts import can_write, check_font, explain_unwritten, set_text, write_name
from maskzoo.errors import ConfigError

NOWHERE = "\U000f1234\U000f1235"  # of private use: no font has it
NAMES = ["椭圆 划痕", "مثلث كبير", "สามเหลี่ยม", "🐶", "тест", "한국어", "क्षेत्र", "日本語 abc", "Straße"]


def draw(text, size=24, anchor="l", font=None):
    canvas = Image.new("RGB", (400, 60), "white")
    place = {"l": 5, "m": 200, "r": 395}[anchor], 30
    set_text(text, size, font).draw(canvas, place, (0, 0, 0), anchor)
    return np.asarray(canvas)


def find_ink(picture):
    columns = np.flatnonzero((picture < 200).any(axis=(0, 2)))
    return columns.min(), columns.max()


@pytest.fixture
def font_file(tmp_path):
    """Pillow's own font as a file."""
    (tmp_path / "own.ttf").write_bytes(ImageFont.load_default(20).path.getvalue())
    return tmp_path / "own.ttf"


def test_latin_names_look_as_ever():
    for text in ("dog 0.98", "crowd of dog", "A-z (1)"):
        (piece,) = set_text(text, 24).pieces
        assert piece[:2] == (text, "")
        assert piece[2] == ImageFont.load_default(24).getlength(text)
    assert can_write("dog") and explain_unwritten(["dog", "cat"]) is None


@pytest.mark.parametrize("name", NAMES)
def test_a_name_of_any_script_is_written_or_its_id_stands_there(name):
    written = write_name(name, 3)
    assert written == (name if can_write(name) else "category 3")
    assert (explain_unwritten([name]) is None) == can_write(name)
    line = set_text(f"{written} 0.98", 24)
    assert "".join(text for text, _, _ in line.pieces) == f"{written} 0.98"
    for anchor in ("l", "m", "r"):
        left, right = find_ink(draw(f"{written} 0.98", anchor=anchor))
        start = {"l": 5, "m": 200 - line.width / 2, "r": 395 - line.width}[anchor]
        assert start - 3 <= left and right <= start + line.width + 3 and right - left > 0.8 * line.width
    if can_write(name):  # letters, not the same box for each
        letters = {letter for letter in name if unicodedata.category(letter).startswith(("L", "S"))}
        assert len({draw(letter).tobytes() for letter in (*letters, NOWHERE[0])}) == len(letters) + 1


def test_a_name_that_no_font_has_is_told_and_becomes_its_id():
    names = ["dog", NOWHERE, NOWHERE, f"dog {NOWHERE}"]
    assert write_name(NOWHERE, 12) == write_name(f"dog {NOWHERE}", 12) == "category 12"
    note = explain_unwritten(names)
    assert note.startswith("2 class names cannot be written on pictures") and "MASKZOO_FONT" in note and "--font" in note


@pytest.mark.skipif(not features.check("raqm"), reason="Pillow without raqm orders no letters")
@pytest.mark.skipif(not can_write("مثلث"), reason="no font with Arabic letters here")
def test_arabic_letters_are_joined_and_a_number_stands_apart():
    apart = [set_text(letter, 40).width for letter in "مثلث"]
    assert set_text("مثلث", 40).width < 0.95 * sum(apart)
    pieces = set_text("مثلث كبير 0.98", 24).pieces
    assert pieces[0][0] == "مثلث كبير" and pieces[-1][0] == " 0.98"


def test_the_given_font_goes_before_all_others(font_file, monkeypatch):
    assert set_text("dog", 24, font_file).pieces[0][1] == str(font_file)
    monkeypatch.setenv("MASKZOO_FONT", str(font_file))
    assert set_text("dog", 24).pieces[0][1] == str(font_file) == check_font()
    assert np.array_equal(draw("dog"), draw("dog", font=font_file))


def test_a_font_that_cannot_be_read_is_refused_by_its_option(tmp_path, monkeypatch):
    (tmp_path / "text.ttf").write_text("no font")
    for path in (tmp_path / "text.ttf", tmp_path / "none.ttf", tmp_path):
        with pytest.raises(ConfigError, match=r"cannot be read as a font.*--font"):
            set_text("dog", 24, path)
    monkeypatch.setenv("MASKZOO_FONT", str(tmp_path / "none.ttf"))
    with pytest.raises(ConfigError, match=r"none\.ttf.*MASKZOO_FONT"):
        can_write("dog")


@pytest.mark.parametrize("text", ["", " ", "\u200d", "a\u200db", "\ufe0f", NOWHERE], ids=repr)
def test_blanks_and_letters_of_no_font_do_no_harm(text):
    assert draw(text).shape == (60, 400, 3)
    assert set_text(text, 9).width >= 0
