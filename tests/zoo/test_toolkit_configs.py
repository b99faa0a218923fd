"""Configs of other toolkits are read as data, with the files that they stand on."""

import os

import pytest

from maskzoo.errors import ConfigError
from maskzoo.zoo.python_values import Unread, find_unread
from maskzoo.zoo.toolkit_configs import parse_python_config, read_python_config, read_yaml_config

FORBIDDEN = [
    "a: !!python/object/apply:os.system ['touch ran']",
    "a: !!python/name:os.system ''",
    "a: !!python/tuple [1, 2]",
    "a: !!python/object:os.path {}",
]


def write(folder, **files):
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_yml", ".yml").replace("_py", ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_a_yaml_config_stands_over_its_bases(tmp_path):
    write(
        tmp_path,
        base_yml="MODEL: {DEPTH: 50, RPN: {NMS: 0.7, TOPK: 1000}}\nSIZES: [1, 2]\n",
        more_yml="MODEL: {RPN: {TOPK: 6000}}\n",
        cfgs__mine_yml="_BASE_: ['../base.yml', ../more.yml]\nMODEL: {RPN: {NMS: 0.6}}\nSIZES: [3]\n",
    )
    assert read_yaml_config(tmp_path / "cfgs" / "mine.yml") == {
        "MODEL": {"DEPTH": 50, "RPN": {"NMS": 0.6, "TOPK": 6000}},
        "SIZES": [3],
    }


def test_texts_of_yaml_in_pythons_notation_are_values(tmp_path):
    write(tmp_path, a_yml="a: (640, 672)\nb: 1e-4\nc: '[[32], [64]]'\nd: ../x\ne: 1.x\nf: &s [0.5, 1.0]\ng: *s\nh: (os.x, 1)\n")
    found = read_yaml_config(tmp_path / "a.yml")
    assert found == {
        "a": [640, 672], "b": 1e-4, "c": [[32], [64]], "d": "../x", "e": "1.x", "f": [0.5, 1.0], "g": [0.5, 1.0],
        "h": "(os.x, 1)",
    }  # fmt: skip


def test_tags_of_paddledetection_are_names(tmp_path):
    write(tmp_path, a_yml="s:\n- !PiecewiseDecay\n  gamma: 0.1\n- !Nothing\n- !List [1]\n")
    assert read_yaml_config(tmp_path / "a.yml")["s"] == [
        {"name": "PiecewiseDecay", "gamma": 0.1},
        {"name": "Nothing"},
        ["List", 1],
    ]


@pytest.mark.parametrize("text", FORBIDDEN)
def test_yaml_that_wants_objects_is_refused_and_nothing_runs(tmp_path, monkeypatch, text):
    monkeypatch.chdir(tmp_path)
    write(tmp_path, a_yml=f"first: 1\n{text}\n")
    with pytest.raises(ConfigError, match=r"a\.yml, line 2: wants Python objects to be built"):
        read_yaml_config(tmp_path / "a.yml")
    assert not (tmp_path / "ran").exists()


def test_a_base_may_be_written_with_the_slashes_of_windows(tmp_path):
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "b.yaml").write_text("A: 1\n")
    (tmp_path / "a.yaml").write_text("_BASE_: base\\b.yaml\nB: 2\n")
    assert read_yaml_config(tmp_path / "a.yaml") == {"A": 1, "B": 2}


def test_bases_that_are_missing_circular_or_no_paths_are_refused(tmp_path):
    write(
        tmp_path,
        a_yml="_BASE_: b.yml\n",
        b_yml="_BASE_: a.yml\n",
        c_yml="_BASE_: gone.yml\n",
        d_yml="_BASE_: {a: 1}\n",
        e_yml="[1]\n",
        f_yml="a: [\n",
        g_yml="a: 1\na: 2\n",
        h_py="_base_ = f()\n",
        i_py="_base_ = ['i.py']\n",
    )
    for name, words in {
        "a.yml": "circle", "c.yml": "names gone.yml, which is not there", "d.yml": "expected the path of a file",
        "e.yml": "expected a mapping", "f.yml": "not valid YAML", "g.yml": "given twice", "z.yml": "no such file",
    }.items():  # fmt: skip
        with pytest.raises(ConfigError, match=words):
            read_yaml_config(tmp_path / name)
    with pytest.raises(ConfigError, match=r"h\.py, line 1: f\(\): _base_ must be the path"):
        read_python_config(tmp_path / "h.py")
    with pytest.raises(ConfigError, match="circle"):
        read_python_config(tmp_path / "i.py")


def test_a_python_config_is_its_plain_values(tmp_path):
    text = """
'''A docstring.'''
n = 80
sizes = [(1333, 640), (1333, 800)]
model = dict(type='MaskRCNN', classes=n + 1, lr=-0.02 / 8, scales=list((8,)), **dict(a=1))
pipeline = [dict(type='Resize', scale=sizes[0]), {'type': 'Pad', 'divisor': 2 * 16}] + [None]
flag: bool = True
depth = model.classes
"""
    assert parse_python_config(text, "it") == {
        "n": 80,
        "sizes": [[1333, 640], [1333, 800]],
        "model": {"type": "MaskRCNN", "classes": 81, "lr": -0.0025, "scales": [8], "a": 1},
        "pipeline": [{"type": "Resize", "scale": [1333, 640]}, {"type": "Pad", "divisor": 32}, None],
        "flag": True,
        "depth": 81,
    }


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("__import__('os').system('touch ran')", "line 1"),
        ("import os", "line 1"),
        ("a = open('ran', 'w')", "a"),
        ("a = dict(b=[1, lambda: 2])", "a.b.1"),
        ("for i in range(3):\n    a = i", "line 1"),
        ("a = 2 ** 10", "a"),
        ("a = [1] * 10", "a"),
        ("a = dict([('b', 1)])", "a"),
        ("a = [i for i in (1, 2)]", "a"),
        ("a = f'{1}'", "a"),
        ("a = b.c", "a"),
        ("a = 1 / 0", "a"),
        ("a = {(1, 2): 3}", "a"),
        ("a = [1][5]", "a"),
        ("a = dict(**3)", "a"),
        ("a = -'x'", "a"),
        ("a, b = 1, 2", "line 1"),
        ("a = b'x'", "a"),
    ],
)
def test_whatever_else_stands_in_python_is_named_and_not_run(tmp_path, monkeypatch, text, where):
    monkeypatch.chdir(tmp_path)
    found = find_unread(parse_python_config(text, "my.py"))
    assert [place for place, _ in found] == [where] and str(found[0][1]).startswith("my.py, line 1: ")
    assert not (tmp_path / "ran").exists()


def test_a_python_config_stands_over_its_bases_and_may_delete(tmp_path):
    write(
        tmp_path,
        base__model_py="model = dict(a=dict(x=1, y=2), b=dict(x=1))\n",
        base__data_py="_base_ = './model.py'\ndata = 3\n",
        mine_py="_base_ = ['base/data.py']\nmodel = dict(a=dict(y=5), b=dict(_delete_=True, z=9))\n",
    )
    assert read_python_config(tmp_path / "mine.py") == {"model": {"a": {"x": 1, "y": 5}, "b": {"z": 9}}, "data": 3}


@pytest.mark.parametrize(
    "text",
    [
        "a0 = [1, 1]\n" + "".join(f"a{i + 1} = a{i} + a{i}\n" for i in range(60)) + "x = 1",
        "a0 = [1, 1]\n" + "".join(f"a{i + 1} = [a{i}, a{i}]\n" for i in range(60)),
        "a = " + "(" * 5000 + ")" * 5000,
        "a = " + "1 + " * 100_000 + "1",
        "a = \0",
        "a = (",
        "a = 1\n" * 300_000,
        "a = 10\n" + "a = a * a\n" * 60,
        "a = [" + "0, " * 90_000 + "]\n" + "".join(f"a{i} = a + a\n" for i in range(300)),
        "a = '" + "x" * 90_000 + "'\n" + "".join(f"a{i} = a + a\n" for i in range(300)),
        "a = []\n" + "a = [a]\n" * 3000,
    ],
)
def test_hostile_python_ends_soon_in_an_error_or_is_named(text):
    try:
        found = parse_python_config(text, "my.py")
    except ConfigError as error:
        assert str(error).startswith("my.py: ") and len(str(error)) < 500
    else:
        assert find_unread(found)


def test_hostile_yaml_ends_soon_in_an_error(tmp_path):
    bomb = "a0: &a0 [1, 1]\n" + "".join(f"a{i + 1}: &a{i + 1} [*a{i}, *a{i}]\n" for i in range(60))
    for text in (
        bomb,
        "a: " + "[" * 5000,
        "a: &a [*a]\n",
        "a: \udc80".encode("utf-8", "surrogateescape"),
        b"\0\1",
        "x" * (2 << 20),
    ):
        path = tmp_path / "a.yml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        with pytest.raises(ConfigError, match=r"a\.yml: "):
            read_yaml_config(path)


@pytest.mark.parametrize(
    "text",
    ["!!bool xyz", "!!int ''", "!!int abc", "!!float ''", "!!map a", "!!binary abc", "!!set {a}", "!!omap [a: 1]", "=",
     "&a [*a]", "[" * 100_000, "{a: " * 100_000, "[" * 101 + "]" * 101, "[" + "1, " * 210_000 + "]", "{<<: {b: 1}}"],
    ids=lambda text: text[:9],
)  # fmt: skip
def test_values_of_yaml_that_are_not_what_they_say_are_refused(tmp_path, text):
    (tmp_path / "a.yml").write_text(f"a: {text}\n")
    with pytest.raises(ConfigError, match=r"a\.yml: "):
        read_yaml_config(tmp_path / "a.yml")


@pytest.mark.parametrize("text", ["2026-13-01", "2026-01-01", "'{[1]: 2}'", "'1+2j'", "'...'", "'{b\"x\": 1}'"])
def test_what_no_config_has_is_text(tmp_path, text):
    (tmp_path / "a.yml").write_text(f"a: {text}\n")
    assert read_yaml_config(tmp_path / "a.yml") == {"a": text.strip("'")}


@pytest.mark.parametrize("base", ["~nosuchuser/x", "a" * 5000, '"a\\0b"', "/dev/zero", "/dev/stdin", "."])
def test_a_base_that_is_no_file_is_refused(tmp_path, base):
    (tmp_path / "a.yml").write_text(f"_BASE_: {base}\n")
    with pytest.raises(ConfigError, match=r"a\.yml: _BASE_ names"):
        read_yaml_config(tmp_path / "a.yml")


def test_files_that_name_each_other_many_times_are_not_read_for_ever(tmp_path):
    for place in range(8):
        (tmp_path / f"{place}.yml").write_text(f"_BASE_: [{', '.join([f'{place + 1}.yml'] * 20)}]\n")
    (tmp_path / "8.yml").write_text("a: 1\n")
    with pytest.raises(ConfigError, match="on more than 50 files by _BASE_"):
        read_yaml_config(tmp_path / "0.yml")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="makes a pipe")
def test_a_pipe_is_no_config(tmp_path):
    os.mkfifo(tmp_path / "a.yml")
    with pytest.raises(ConfigError, match=r"a\.yml: cannot be read as a config: a pipe"):
        read_yaml_config(tmp_path / "a.yml")


def test_what_is_not_read_has_a_place_and_a_text():
    assert str(Unread("f()", "my.py, line 3")) == "my.py, line 3: f()"
