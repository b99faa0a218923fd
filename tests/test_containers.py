"""What the container files promise: few rights, no compiler, a health check that asks what the server answers."""

import re
import shlex
import tomllib
from pathlib import Path

import yaml
from typer.main import get_command

from maskzoo.cli import app

ROOT = Path(__file__).parent.parent


def read_stages():
    """The instructions of each stage of the Dockerfile."""
    text = re.sub(r"\\\n\s*", " ", (ROOT / "Dockerfile").read_text())
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    stages = []
    for line in lines:
        name, _, rest = line.partition(" ")
        assert name in ("FROM", "ENV", "COPY", "RUN", "WORKDIR", "USER", "VOLUME", "EXPOSE", "HEALTHCHECK", "ENTRYPOINT", "CMD")
        if name == "FROM":
            stages.append([])
        stages[-1].append((name, rest))
    return stages


def test_the_image_runs_without_rights_and_has_no_compiler():
    *_, last = read_stages()
    assert [rest for name, rest in last if name == "USER"] == ["10001"]
    ran = " ".join(rest for name, rest in last if name == "RUN")
    assert (
        "apt" not in ran and "gcc" not in ran and "download.pytorch.org/whl/cpu" in ran and ":latest" not in str(read_stages())
    )
    assert all(":" in rest.split()[0] for stage in read_stages() for name, rest in stage if name == "FROM")


def test_everything_that_is_copied_reaches_the_builder():
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for stage in read_stages():
        for name, rest in stage:
            if name == "COPY" and not rest.startswith("--from"):
                *sources, _ = shlex.split(rest)
                assert set(sources) <= kept and all((ROOT / source).exists() for source in sources)


def test_the_wheel_in_the_image_has_the_text_and_the_licence_that_its_metadata_name():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    first, *_ = read_stages()
    copied = " ".join(rest for name, rest in first if name == "COPY").split()
    assert {project["readme"], *project["license-files"]} <= set(copied)


def test_the_service_has_a_read_only_file_system_and_a_health_check():
    service = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["maskzoo"]
    assert service["read_only"] is True and service["cap_drop"] == ["ALL"] and service["user"] == "10001"
    assert "no-new-privileges:true" in service["security_opt"]
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    check = dict(read_stages()[-1])["HEALTHCHECK"]
    assert service["healthcheck"]["test"][-1] in check and "/ready" in check


def test_the_commands_have_options_that_there_are():
    """A server without a token would not start on 0.0.0.0."""
    service = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["maskzoo"]
    for command in (service["command"], yaml.safe_load(dict(read_stages()[-1])["CMD"])):
        assert command[0] == "serve" and "--token-file" in command
        known = {name for one in get_command(app).commands["serve"].params for name in one.opts}
        assert {word for word in command if word.startswith("--")} <= known
