import pytest
from typer.testing import CliRunner

from maskzoo.cli import app
from maskzoo.errors import ArgumentError, ConfigError


def call(*arguments):
    """Run the verb; errors of ours come as they are."""
    result = CliRunner().invoke(app, ["serve", *arguments], catch_exceptions=False)
    assert result.exit_code == 0
    return result


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--port", "0"], "expected one MODEL"),
        (["a.yml", "--model", "b=b.yml"], "expected one MODEL"),
        (["--model", "b.yml"], "expected NAME=MODEL"),
        (["--model", "=b.yml"], "expected NAME=MODEL"),
        (["--model", "b=b.yml", "--model", "b=c.yml"], "two models have one name"),
        (["--model", "b=b.yml", "--weights", "w.safetensors"], "--weights goes with one MODEL"),
        (["a.yml", "--host", "0.0.0.0"], "--token-file FILE, or --open"),
        (["a.yml", "--score", "0.3"], "go with --label-studio"),
        (["a.yml", "--label-studio", "--images", "none"], "is no folder"),
        (["a.yml", "--label-studio", "--label-studio-token-file", "token"], "add --label-studio-url"),
    ],
)
def test_a_wrong_call_is_refused_before_anything_is_loaded(arguments, words):
    with pytest.raises(ArgumentError, match=words):
        call(*arguments)


def test_open_lets_the_call_go_on_to_the_model():
    with pytest.raises(ConfigError, match="none"):
        call("none.yml", "--host", "0.0.0.0", "--open")


def test_the_help_names_every_limit():
    text = call("--help").output
    for option in (
        "max-batch",
        "max-wait-ms",
        "max-queue",
        "max-pixels",
        "max-bytes",
        "token-file",
        "open",
        "workers",
        "label-studio",
        "allowed-host",
    ):
        assert f"--{option}" in text
