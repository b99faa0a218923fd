"""Files that say they are pictures and mean harm, made by seed of the small ones of `encoded_pictures`."""

import contextlib
import random
import re
import struct
import zlib

from encoded_pictures import ENCODED, MORE_ENCODED

SOUND = [*ENCODED.values(), *MORE_ENCODED.values()]
NUMBERS = [0, 1, 2, 7, 127, 128, 255, 256, 32767, 32768, 65535, 65536, 1 << 24, (1 << 31) - 1, 1 << 31, (1 << 32) - 1]
SIDES = [0, 1, 2, 3, 37, 255, 4000, 8000, 16384, 30000, 65500, 65535, 65536, 1 << 20, (1 << 31) - 1, (1 << 32) - 1]


def _chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _put(content, place, form, *values):
    """Write numbers into a file, each as large as it can be there."""
    largest = (1 << 8 * struct.calcsize(form) // len(values)) - 1
    new = struct.pack(form, *(min(value, largest) for value in values))
    return content[:place] + new + content[place + len(new) :]


def declare(content, width, height):
    """Return a file whose header says another size, and is right in itself otherwise; the same file where none is known."""
    if content.startswith(b"\x89PNG"):
        changed = _put(content, 16, ">II", width, height)
        return _put(changed, 29, ">I", zlib.crc32(changed[12:29]))
    if content.startswith(b"\xff\xd8"):
        start = re.search(rb"\xff[\xc0-\xc2]\0.\x08", content, re.DOTALL)
        return _put(content, start.end(), ">HH", height, width) if start else content
    if content.startswith(b"GIF8"):
        frame = content.find(b"\x2c\0\0\0\0")
        return _put(_put(content, 6, "<HH", width, height), frame + 5, "<HH", width, height)
    if content.startswith(b"BM"):
        return _put(content, 18, "<II", width, height)
    if content[8:16] == b"WEBPVP8X":
        sides = [struct.pack("<I", min(side or 1, 1 << 24) - 1)[:3] for side in (width, height)]
        return content[:24] + b"".join(sides) + content[30:]
    if content[8:15] == b"WEBPVP8":
        if content[15:16] == b"L":
            return _put(content, 21, "<I", (min(width, 16383) - 1) % 16384 | (min(height, 16383) - 1) % 16384 << 14)
        return _put(content, 26, "<HH", min(width, 16383), min(height, 16383))
    if content[:4] in (b"II*\0", b"MM\0*"):
        return _declare_tiff(content, width, height)
    if (place := content.find(b"\xff\x51")) >= 0 and b"\xff\x4f" in content[:place]:
        changed = _put(content, place + 6, ">II", width, height)
        box = changed.find(b"ihdr")
        return changed if box < 0 else _put(changed, box + 4, ">II", height, width)
    if (place := content.find(b"ispe")) >= 0:
        return _put(content, place + 8, ">II", width, height)
    if content[:1] == b"P":
        return re.sub(rb"\d+ \d+|\d+\n\d+", b"%d %d" % (width, height), content, count=1)
    return content


def _declare_tiff(content, width, height):
    order = "<" if content[:2] == b"II" else ">"
    (start,) = struct.unpack_from(order + "I", content, 4)
    (count,) = struct.unpack_from(order + "H", content, start)
    for entry in range(start + 2, start + 2 + 12 * count, 12):
        (tag,) = struct.unpack_from(order + "H", content, entry)
        if tag in (256, 257, 278):
            content = _put(content, entry + 2, order + "H", 4)
            content = _put(content, entry + 8, order + "I", width if tag == 256 else height)
    return content


def _resize(content, draw):
    return declare(content, draw.choice(SIDES), draw.choice(SIDES))


def _cut(content, draw):
    return content[: draw.randrange(len(content))]


def _flip(content, draw):
    changed = bytearray(content)
    near = draw.choice([40, 200, len(changed)])  # the header more often than the rest
    for _ in range(draw.choice([1, 1, 2, 5, 20])):
        changed[draw.randrange(min(near, len(changed)))] ^= 1 << draw.randrange(8)
    return bytes(changed)


def _count(content, draw):
    """Write a number that is at an edge over some bytes."""
    changed, size = bytearray(content), draw.choice([1, 2, 4])
    place = draw.randrange(min(draw.choice([60, 300, len(changed)]), len(changed)))
    number = draw.choice(NUMBERS) & ((1 << 8 * size) - 1)
    changed[place : place + size] = number.to_bytes(size, draw.choice(["little", "big"]))
    return bytes(changed)


def _lose(content, draw):
    start = draw.randrange(len(content))
    return content[:start] + content[start + draw.choice([1, 2, 4, 50]) :]


def _fill(content, draw):
    start = draw.randrange(len(content))
    more = draw.choice([draw.randbytes(draw.randrange(1, 30)), bytes(400), b"\xff" * 400, content[: draw.randrange(1, 200)]])
    return content[:start] + more + content[start:]


def _splice(content, draw):
    other = draw.choice(SOUND)
    return content[: draw.randrange(4, len(content))] + other[draw.randrange(len(other)) :]


def _begin(content, draw):
    return content[: draw.choice([2, 3, 4, 8, 12, 16, 30])] + draw.randbytes(draw.choice([0, 1, 30, 500]))


def _load(content, draw):
    """Add what comes along with a picture, more of it than is sound: EXIF, profiles, texts, comments."""
    size = draw.choice([0, 6, 100, 65000])
    body = draw.choice(
        [bytes(size), b"\xff" * size, draw.randbytes(size), b"II*\0\x08\0\0\0\xff\xff" + b"\x12\x01\x03\0" * (size // 4)]
    )
    if content.startswith(b"\xff\xd8"):
        kind = draw.choice(
            [
                b"\xff\xe1Exif\0\0",
                b"\xff\xe2ICC_PROFILE\0",
                b"\xff\xedPhotoshop 3.0\0",
                b"\xff\xe2MPF\0",
                b"\xff\xfe",
                b"\xff\xe0JFIF\0",
                b"\xff\xeeAdobe",
            ]
        )
        segment = kind[:2] + struct.pack(">H", len(kind[2:] + body) + 2) + kind[2:] + body
        return content[:2] + segment * draw.choice([1, 2, 300 if size < 200 else 3]) + content[2:]
    if content.startswith(b"\x89PNG"):
        packed = zlib.compress(bytes(draw.choice([10, 10**6, 10**7])))
        kind, inside = draw.choice([
            (b"eXIf", body), (b"iCCP", b"a\0\0" + packed), (b"zTXt", b"a\0\0" + packed), (b"tEXt", b"a\0" + body),
            (b"iTXt", b"a\0\1\0\0\0" + packed), (b"PLTE", body[:900]), (b"tRNS", body[:300]), (b"acTL", body[:8]),
            (b"fcTL", body[:26]), (b"gAMA", body[:4]), (b"pHYs", body[:9]), (b"IEND", b""), (b"IDAT", packed),
        ])  # fmt: skip
        return content[:33] + _chunk(kind, inside) * draw.choice([1, 2, 20]) + content[33:]
    if content.startswith(b"RIFF"):
        kind = draw.choice([b"EXIF", b"ICCP", b"XMP ", b"ANIM", b"ANMF", b"ALPH"])
        return content + kind + struct.pack("<I", draw.choice([len(body), *NUMBERS])) + body
    if content.startswith(b"GIF8"):
        block = (
            b"\x21"
            + draw.choice([b"\xfe", b"\xf9", b"\xff", b"\x01"])
            + (b"\xff" + body[:255].ljust(255, b"a")) * draw.choice([1, 90])
            + b"\0"
        )
        place = 13 + (3 << ((content[10] & 7) + 1) if content[10] & 128 else 0)
        return content[:place] + block * draw.choice([1, 20]) + content[place:]
    return _count(_fill(content, draw), draw)


WAYS = [_resize, _cut, _flip, _count, _lose, _fill, _splice, _begin, _load]


def make_hostile(number, seed):
    """Return the file of a case, by the seed and its number alone."""
    draw = random.Random(seed * 1_000_000_007 + number)
    content = draw.choice(SOUND)
    for _ in range(draw.choice([1, 1, 1, 2, 3])):
        with contextlib.suppress(ValueError, LookupError, struct.error):  # what is spoilt already may have no such place
            content = draw.choice(WAYS)(content, draw)
    return content
