"""Keys of a model file that are spelt wrongly: each is refused, and the key that was meant is the suggestion."""

import os
import random

import pytest
import yaml

from maskzoo.errors import ConfigError
from maskzoo.model_file import dump_config
from maskzoo.zoo.rows import read_row

ROW = "mask_rcnn_r50_fpn_1x_coco"
COUNT = int(os.environ.get("MASKZOO_TYPOS", "1000"))
SEED = 26


def list_keys(value, path=()):
    for key, inner in value.items():
        if isinstance(key, str) and path[:1] != ("classes",) and path[-1:] != ("stage_rates",):  # of these all four are listed
            yield (*path, key)
            if isinstance(inner, dict):
                yield from list_keys(inner, (*path, key))


def misspell(word, draw):
    """Return a word with one letter lost, doubled, exchanged with the next, or another one."""
    place = draw.randrange(len(word) - 1)
    kind = draw.randrange(4)
    if kind == 0:
        return word[:place] + word[place + 1 :]
    if kind == 1:
        return word[:place] + word[place] + word[place:]
    if kind == 2:
        return word[:place] + word[place + 1] + word[place] + word[place + 2 :]
    return word[:place] + draw.choice("abcdefghijklmnopqrstuvwxyz") + word[place + 1 :]


def count_right(count):
    draw, right, tried = random.Random(SEED), 0, 0
    keys = [key for key in list_keys(yaml.safe_load(dump_config(read_row(ROW)))) if len(key[-1]) > 3]
    known = {key[-1] for key in keys}
    while tried < count:
        *path, word = draw.choice(keys)
        wrong = misspell(word, draw)
        if wrong in known:
            continue
        tried += 1
        with pytest.raises(ConfigError) as caught:
            read_row(ROW, [f"{'.'.join([*path, wrong])}=1"])
        right += str(caught.value).endswith(f"did you mean {word}?")
    return right


def test_a_key_with_a_typo_is_refused_and_the_right_one_named():
    assert count_right(100) == 100


@pytest.mark.reliability
def test_a_thousand_typos():
    assert count_right(COUNT) == COUNT
