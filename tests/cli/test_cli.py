"""The command as a whole: help, exit codes, errors, pipes. Verbs have their own files."""

import os
import re
import signal
import subprocess
import sys
import time

import pytest
from rich.text import Text

from maskzoo.cli import main
from maskzoo.cli.terminal import open_stderr, open_stdout, print_error, start_table

VERBS = [
    [], ["predict"], ["train"], ["eval"], ["models"], ["models", "show"], ["models", "copy"], ["convert"], ["verify"],
    ["data"], ["data", "check"], ["data", "stats"], ["data", "show"], ["data", "split"], ["data", "convert"], ["data", "pick"],
    ["doctor"], ["demo"], ["export"], ["bench"], ["push"], ["pull"],
]  # fmt: skip


def run(capsys, *arguments):
    """Run the command in this process; return its exit code, standard output and standard error."""
    with pytest.raises(SystemExit) as end:
        main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return end.value.code, captured.out, captured.err


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: " ".join(verb) or "maskzoo")
def test_every_verb_explains_itself_with_an_example(verb, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    code, out, err = run(capsys, *verb, "--help")
    assert (code, err) == (0, "")
    assert " ".join(["maskzoo", *verb]) + " " in out.split("Usage:")[1].split("\n", 2)[2]
    assert max(len(line) for line in out.splitlines()) <= 80


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: " ".join(verb) or "maskzoo")
def test_help_has_its_lines_as_they_were_written(verb, capsys, monkeypatch):
    """Paragraphs after the first keep their lines: one that is too long for 80 columns would leave a ragged end."""
    texts = []
    for columns in ("80", "300"):
        monkeypatch.setenv("COLUMNS", columns)
        _, out, _ = run(capsys, *verb, "--help")
        lines = [line.rstrip() for line in out.split("\N{BOX DRAWINGS LIGHT ARC DOWN AND RIGHT}")[0].strip().splitlines()]
        _, _, *paragraphs = "\n".join(lines).split("\n\n")  # after the usage and the first
        texts.append(paragraphs)
    assert texts[0] == texts[1] and texts[0]
    assert any(re.search(r"^ {3}\S*maskzoo ", paragraph, re.MULTILINE) for paragraph in texts[0]), "examples are indented"


def test_the_version_is_printed_alone(capsys):
    code, out, _ = run(capsys, "--version")
    assert code == 0 and out.startswith("maskzoo ") and out.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["predict", "some_model"],
        ["predict", "some_model", "a.jpg", "--score", "2"],
        ["predict", "some_model", "a.jpg", "--batch", "0"],
        ["predict", "some_model", "a.jpg", "--save", "image,xml"],
        ["models", "show"],
        ["convert", "in.pdparams"],
    ],
    ids=" ".join,
)
def test_a_wrong_call_exits_with_2_and_says_how_to_get_help(arguments, capsys):
    code, out, err = run(capsys, *arguments)
    assert code == 2
    assert "Usage:" in out + err


def test_an_argument_that_a_verb_refuses_leads_to_the_help_of_that_verb(capsys, tmp_path):
    code, _, err = run(capsys, "data", "split", tmp_path / "a.json", tmp_path / "out", "--val", "0", "--test", "0")
    assert code == 2 and err.endswith("Usage: maskzoo data split --help\n")


def test_an_error_is_one_block_on_standard_error_without_a_traceback(capsys):
    code, out, err = run(capsys, "predict", "some_model", "nowhere [/bold.jpg")
    assert (code, out) == (1, "")
    assert err.startswith("Error: nowhere [/bold.jpg: no image") and err.count("\n") == 1


def test_help_imports_nothing_slow():
    code = (
        "import sys; from maskzoo.cli import main\n"
        "try: main(['predict', '--help'])\n"
        "except SystemExit: pass\n"
        "print(*{'torch', 'cv2', 'numpy', 'PIL', 'hotcoco'} & set(sys.modules), file=sys.stderr)"
    )
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert finished.stderr.strip() == ""


def test_python_m_maskzoo_is_the_command():
    finished = subprocess.run([sys.executable, "-m", "maskzoo", "nonsense"], capture_output=True, text=True, timeout=60)
    assert finished.returncode == 2 and "maskzoo" in finished.stderr


def test_a_reader_that_goes_away_leaves_no_message():
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as closed:
        finished = subprocess.run(
            [sys.executable, "-m", "maskzoo", "--help"], stdout=closed, stderr=subprocess.PIPE, timeout=60
        )
    assert finished.stderr == b""


def test_ctrl_c_exits_with_130_and_no_traceback():
    command = [sys.executable, "-m", "maskzoo", "predict", "some_model", "-"]  # waits for standard input
    # A shell's background jobs, and what they start, ignore the signal; a person's command does not.
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)
    ) as process:
        process.stdin.write(bytes(1 << 20))  # more than a pipe holds: once it is written, the command is reading
        process.stdin.flush()
        time.sleep(0.5)  # and now it waits for the rest
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 130
        assert b"Traceback" not in process.stderr.read()


def test_no_color_leaves_no_escape_in_the_output():
    environment = {**os.environ, "NO_COLOR": "1"}
    command = [sys.executable, "-m", "maskzoo", "predict", "m", "nowhere.jpg"]
    finished = subprocess.run(command, capture_output=True, env=environment, timeout=60)
    assert finished.returncode == 1 and b"\x1b" not in finished.stderr


def test_no_control_character_of_a_text_reaches_the_terminal(capsys):
    evil = "a\x1b[31mred\x1b]0;title\x07\x9b1m\u202eb\rc\x00"
    table = start_table("class", evil)
    table.add_row(evil, "1")
    table.add_row(Text(evil), "2")
    for one in (evil, Text(evil), Text.assemble(("bold: ", "bold"), evil), table):
        open_stdout().print(one, soft_wrap=True)
        open_stderr().print(one)
    print_error(ValueError(f"{evil}\nsecond line"))
    out, err = capsys.readouterr()
    assert "a\\x1b[31mred" in out and "a\\x1b[31mred" in err and "\nsecond line" in err
    assert all(c.isprintable() or c == "\n" for c in out + err)


def test_ctrl_c_while_the_command_is_imported_ends_it_without_a_word():
    """Typer, which is imported first, is interrupted here, as by a signal that comes early."""
    begin = """
import runpy, sys
class Interrupt:
    def find_spec(self, name, *more):
        if name == "typer":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupt())
sys.argv = ["maskzoo", "doctor"]
runpy.run_module("maskzoo", run_name="__main__")
"""
    done = subprocess.run([sys.executable, "-c", begin], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_ctrl_c_that_comes_as_an_error_of_c_code_is_ctrl_c(monkeypatch):
    def interrupted(*arguments, **options):
        raise RuntimeError("unflatten got an unexpected error:\nKeyboardInterrupt: <EMPTY MESSAGE>\n\nAt:\n  basic.py(725)")

    monkeypatch.setattr("maskzoo.cli.app", interrupted)
    with pytest.raises(SystemExit) as end:
        main(["export", "my.safetensors"])
    assert end.value.code == 130
