"""COCO files and result files whose every row has something of its own that is wrong or at the edge, made by seed."""

import json
import math
import random

WIDTH, HEIGHT, IMAGES, CLASSES = 80, 60, 3, 4
NUMBERS = [
    math.nan, math.inf, -math.inf, 1e300, -1e300, 1.79769e308, 1e15, 9.99e14, 1e16, 5e-324, -5e-324, 0, -0.0, 0.5, -1, 1,
    2**31 - 1, 2**31, 2**32, 2**53 + 1, 2**63 - 1, 2**63, -(2**63), 2**64, 10**400, 1e-9, 79.99999999, 80, 160, 160.0001, -80,
]  # fmt: skip
TEXTS = [
    "",
    "7",
    "1e5",
    "NaN",
    "\0",
    "\x1b[31m",
    "\ud800",
    "a" * 5000,
    "{}",
    "[1,2,3,4,5,6]",
    "../../etc/passwd",
    "\u202e",
    "{0}",
    "%s",
]
SIZE = [HEIGHT, WIDTH]


def nest(value, depth):
    for _ in range(depth):
        value = [value]
    return value


def draw_value(draw):
    """Return a value that has no business where it stands."""
    return draw.choice(
        [
            lambda: draw.choice(NUMBERS),
            lambda: draw.choice(TEXTS),
            lambda: draw.choice([None, True, False, [], {}, [[]], [None], {"a": 1}, {"size": SIZE}, [{}], [[[]]]]),
            lambda: nest(draw.choice(NUMBERS), draw.choice([1, 2, 3, 7, 50, 400])),
            lambda: [draw.choice(NUMBERS) for _ in range(draw.choice([1, 2, 4, 6, 7, 8, 100]))],
        ]
    )()


def draw_polygon(draw):
    """Return a flat polygon: of no area, over the edges, crossing itself, with many points, with a number that is none."""
    sides = [(-WIDTH, 2 * WIDTH), (-HEIGHT, 2 * HEIGHT)] if draw.random() < 0.5 else [(0, WIDTH), (0, HEIGHT)]
    count = draw.choice([0, 1, 2, 3, 3, 4, 4, 4, 5, 5, 8, 8, 30, 300])
    flat = [draw.uniform(*sides[place % 2]) for place in range(2 * count)]
    kind = draw.randrange(12)
    if kind == 0 and flat:
        flat = flat[:2] * count  # one point
    elif kind == 1 and flat:
        flat = [flat[0] if place % 2 == 0 else value for place, value in enumerate(flat)]  # a line
    elif kind == 2:
        flat = [round(value) for value in flat]
    elif kind == 3 and flat:
        flat[draw.randrange(len(flat))] = draw_value(draw)
    elif kind == 4 and flat:
        flat.pop()
    elif kind == 5 and flat:
        flat[draw.randrange(len(flat))] = draw.choice(NUMBERS)
    return flat


def draw_sound_counts(draw):
    """Return counts that are those of a mask: of one count, of many, with many that are 0."""
    pixels = WIDTH * HEIGHT
    cuts = sorted(draw.choice([0, pixels, draw.randrange(pixels + 1)]) for _ in range(draw.choice([0, 1, 2, 7, 60])))
    return [end - start for start, end in zip([0, *cuts], [*cuts, pixels], strict=True)]


def draw_counts(draw):
    """Return run lengths: compressed texts that are cut, of noise, of absurd counts, and lists that do not fit."""
    kind, counts = draw.randrange(6), draw_sound_counts(draw)
    if kind == 0:
        return "".join(chr(draw.randrange(48, 112)) for _ in range(draw.choice([0, 1, 2, 9, 80, 2000])))
    if kind == 1:
        return "".join(chr(draw.choice([0, 10, 32, 47, 112, 127, 200, 0x20AC, 0xD800])) for _ in range(5))
    if kind == 2:
        counts[draw.randrange(len(counts))] = draw.choice(NUMBERS)
        return counts
    if kind == 3:
        counts[draw.randrange(len(counts))] += draw.choice([-1, 1, 2**32, -(2**32), 2**63, -(2**63)])
        return counts if draw.random() < 0.5 else compress(counts)
    if kind == 4:
        text = compress(counts)
        return text[: draw.randrange(len(text) + 1)] + draw.choice(["", "0", "o", "oooooooooooo", "P"])
    return compress(counts)


def compress(counts):
    """Write counts as COCO's text, whatever they are: for what no library would write."""
    text = ""
    for place, count in enumerate(counts):
        value = count - counts[place - 2] if place > 2 else count
        more = True
        while more:
            low, value = value & 0x1F, value >> 5
            more = value != (-1 if low & 0x10 else 0)
            text += chr(48 + (low | (0x20 if more else 0)))
    return text


def draw_runs(draw):
    if draw.random() < 0.5:
        return {"size": SIZE, "counts": draw_sound_counts(draw)}
    size = draw.choice(
        [SIZE] * 6 + [[WIDTH, HEIGHT], [0, 0], [2**31, 2**31], [-HEIGHT, -WIDTH], [60.0, 80.0], [60], "60 80", None]
    )
    runs = {"size": size, "counts": draw_counts(draw)}
    if draw.random() < 0.1:
        runs[draw.choice(["size", "counts", "more"])] = draw_value(draw)
    return runs


def draw_outline(draw):
    kind = draw.randrange(10)
    if kind < 4:
        return [draw_polygon(draw) for _ in range(draw.choice([1, 1, 1, 2, 5]))]
    if kind < 8:
        return draw_runs(draw)
    if kind == 8:
        return nest(draw_polygon(draw), draw.randrange(8))
    return draw_value(draw)


def draw_box(draw):
    box = [draw.uniform(-20, 80), draw.uniform(-20, 60), draw.uniform(-5, 60), draw.uniform(-5, 60)]
    if draw.random() < 0.6:
        box[draw.randrange(4)] = draw.choice(NUMBERS)
    return box


def _rectangle(draw):
    x, y, width, height = draw.uniform(0, 50), draw.uniform(0, 30), draw.uniform(2, 30), draw.uniform(2, 30)
    return [x, y, width, height], [x, y, x + width, y, x + width, y + height, x, y + height]


def _spoil(row, draw, ways):
    for _ in range(draw.choice([0, 0, 0, 1, 1, 2])):
        field = draw.choice([*row])
        kind = draw.random()
        if kind < 0.05:
            del row[field]
        elif kind < 0.1:
            return draw_value(draw)
        else:
            row[field] = ways.get(field, draw_value)(draw) if draw.random() < 0.7 else draw_value(draw)
        if not row:
            break
    return row


def make_annotation(draw, number):
    box, polygon = _rectangle(draw)
    row = {
        "id": number,
        "image_id": draw.randrange(IMAGES),
        "category_id": draw.randrange(CLASSES),
        "bbox": box,
        "area": box[2] * box[3],
    }
    row |= {"segmentation": [polygon], "iscrowd": draw.choice([0, 0, 0, 1])} | ({"ignore": 0} if draw.random() < 0.1 else {})
    ways = {"segmentation": draw_outline, "bbox": draw_box, "id": lambda draw: draw.randrange(number + 1)}
    if draw.random() < 0.5:
        row["segmentation"] = draw_outline(draw)
    return _spoil(row, draw, ways)


def make_result(draw, number):
    box, _ = _rectangle(draw)
    row = {"image_id": draw.randrange(IMAGES), "category_id": draw.randrange(CLASSES), "bbox": box, "score": draw.random()}
    row["segmentation"] = (
        {"size": SIZE, "counts": compress([100, 20, HEIGHT * WIDTH - 120])} if number == 0 else draw_runs(draw)
    )
    return (
        row if number == 0 else _spoil(row, draw, {"segmentation": draw_runs, "bbox": draw_box})
    )  # the first says what all have


def make_image(draw, number):
    row = {"id": number, "file_name": f"{number}.png", "height": HEIGHT, "width": WIDTH}
    return _spoil(row, draw, {"id": lambda draw: draw.randrange(number + 1)})


def make_category(draw, number):
    return _spoil({"id": number, "name": f"class {number}"}, draw, {"id": lambda draw: draw.randrange(number + 1)})


MAKERS = {"annotations": make_annotation, "images": make_image, "categories": make_category}


def make_tables(number, seed, count):
    """Return the name of a table, and a COCO file in which that one has `count` hostile rows, the others sound ones."""
    draw = random.Random(seed * 1_000_000_007 + number)
    table = draw.choices([*MAKERS], [8, 1, 1])[0]
    data = {
        "images": [{"id": place, "file_name": f"{place}.png", "height": HEIGHT, "width": WIDTH} for place in range(IMAGES)],
        "annotations": [],
        "categories": [{"id": place, "name": f"class {place}"} for place in range(CLASSES)],
    }
    data[table] = [MAKERS[table](draw, place) for place in range(count)]
    return table, data


def make_results(number, seed, count):
    draw = random.Random(seed * 1_000_000_009 + number)
    return [make_result(draw, place) for place in range(count)]


def make_text(number, seed):
    """Return the bytes of a small file, mostly damaged as a text: cut, flipped, a key twice, nested, in other letters."""
    draw = random.Random(seed * 1_000_000_021 + number)
    text = json.dumps(
        make_tables(number, seed, draw.choice([1, 3]))[1] if draw.random() < 0.7 else make_results(number, seed, 3)
    )
    content = bytearray(text.encode("utf-8", "surrogatepass"))
    place = draw.randrange(len(content))
    kind = draw.randrange(12)
    if kind == 0:
        del content[place:]
    elif kind == 1:
        content[place] ^= 1 << draw.randrange(8)
    elif kind == 2:
        del content[place : place + draw.randrange(1, 40)]
    elif kind == 3:
        content[place:place] = draw.choice(
            [b"[" * 100_000, b'{"a":' * 5000, b"1" * 5000, b"\0", b"\xff", b'"id": 1, ', b"/* */", b"NaN,", b"'"]
        )
    elif kind == 4:
        return text.encode(draw.choice(["utf-16", "utf-32", "utf-8-sig", "utf-16-be"]), "surrogatepass")
    elif kind == 5:
        content += draw.choice([b"]", b"}", b"\0" * 100, b"\n\n", bytes(content)])
    elif kind == 6:
        other = draw.choice([b'"annotations"', b'"images"', b'"categories"', b'"id"', b'"bbox"'])
        return bytes(content).replace(draw.choice([b'"area"', b'"segmentation"', b'"images"', b'"id"']), other)
    elif kind == 7:
        return json.dumps(draw_value(draw)).encode()
    elif kind == 8:
        start = draw.randrange(len(content))
        content[place : place + 30] = content[start : start + 60]
    return bytes(content)
