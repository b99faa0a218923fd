"""Models pulled from a stand-in of the Hugging Face hub: what is taken, what is remembered, what is refused."""

import hashlib
import json

import pytest

import maskzoo
from hub_models import write_model
from maskzoo.errors import ArgumentError, ConfigError, DownloadError, MissingPackageError, WeightsError
from maskzoo.zoo.hub import HubName
from maskzoo.zoo.rows import find_weights, read_row

FILE = "model.safetensors"


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """The bytes of two models."""
    folder = tmp_path_factory.mktemp("models")
    return [write_model(folder / f"{seed}.safetensors", seed).read_bytes() for seed in (0, 1)]


@pytest.fixture
def hub(hub_server, models):
    hub_server.add("me/apples", {FILE: models[0], "README.md": b"hello", "model.bin": b"never taken"})
    return hub_server


def test_a_model_is_pulled_once_and_taken_wherever_a_model_is(hub, models):
    events = []
    found = maskzoo.pull("me/apples", on_progress=events.append)
    assert (
        found.fetched and found.path.read_bytes() == models[0] and found.commit == hub.repositories["me/apples"].heads["main"]
    )
    assert found.sha256 == hashlib.sha256(models[0]).hexdigest()
    assert events[-1].unit == "bytes" and events[-1].done == events[-1].total == len(models[0])
    hub.asked.clear()
    assert len(maskzoo.load("hf://me/apples").config.classes) == 5 and find_weights("hf:/me/apples") == found.path
    assert hub.asked == []  # what is here is not asked for
    assert not maskzoo.pull("me/apples").fetched


def test_the_first_use_pulls(hub, models):
    assert find_weights("hf://me/apples").read_bytes() == models[0]
    assert sorted(path.name for path in HubName("me/apples").folder.iterdir()) == [".lock", FILE, "pulled.json"]
    asked = [path for method, path, _ in hub.asked if method == "GET" and "/resolve/" in path]
    assert len(asked) == 1 and asked[0].endswith(FILE)


def test_main_moves_on_when_it_is_pulled_and_a_commit_or_tag_stays(hub, models):
    first = maskzoo.pull("me/apples").commit
    hub.repositories["me/apples"].heads["v1"] = first
    tagged = maskzoo.pull("me/apples@v1")
    second = hub.add("me/apples", {FILE: models[1]})
    assert find_weights("hf://me/apples").read_bytes() == models[0]
    notes = []
    moved = maskzoo.pull("me/apples", on_progress=lambda event: notes.append(event.note))
    assert moved.commit == second and moved.path.read_bytes() == models[1]
    assert f"me/apples: moved on from commit {first[:12]} to {second[:12]}" in notes
    assert maskzoo.pull(f"me/apples@{first}").path.read_bytes() == models[0]
    assert maskzoo.pull("me/apples@v1").path == tagged.path and tagged.path.read_bytes() == models[0]


def test_a_tag_that_was_moved_is_refused(hub, models):
    hub.add("me/apples", {FILE: models[0]}, head="v1")
    old = maskzoo.pull("me/apples@v1")
    new = hub.add("me/apples", {FILE: models[1]}, head="v1")
    with pytest.raises(WeightsError, match=rf"me/apples@v1: is commit {new} now, and was {old.commit}.*delete .*v1"):
        maskzoo.pull("me/apples@v1")
    assert find_weights("hf://me/apples@v1").read_bytes() == models[0]


def test_another_file_in_the_same_commit_is_refused(hub, models):
    found = maskzoo.pull("me/apples")
    hub.repositories["me/apples"].commits[found.commit][FILE] = models[1]
    with pytest.raises(WeightsError, match=f"commit {found.commit} holds.*a commit never changes, so do not trust it"):
        maskzoo.pull("me/apples")


def test_a_file_that_changed_here_is_refused(hub):
    found = maskzoo.pull("me/apples")
    found.path.write_bytes(found.path.read_bytes()[:-1] + b"x")
    for again in (lambda: maskzoo.pull("me/apples"), lambda: find_weights("hf://me/apples")):
        with pytest.raises(WeightsError, match="the file has changed since it was pulled; delete"):
            again()


def test_a_file_that_is_not_what_the_hub_states_is_not_kept(hub):
    hub.repositories["me/apples"].stated[FILE] = "0" * 64
    with pytest.raises(DownloadError, match=r"expected 0{64}, which the hub states; it was deleted"):
        maskzoo.pull("me/apples")
    assert [path.name for path in HubName("me/apples").folder.iterdir()] == [".lock"]


@pytest.mark.parametrize(
    "files", [{"pytorch_model.bin": b"x"}, {"in/model.safetensors": b"x"}, {"../model.safetensors": b"x"},
              {"a.safetensors": b"x", "b.safetensors": b"y"}, {"model.safetensors.py": b"x"}, {}],
)  # fmt: skip
def test_nothing_but_the_one_weights_file_is_taken(hub, files):
    hub.add("me/others", files)
    with pytest.raises(DownloadError, match=r"expected model.safetensors, or one .safetensors file at the top"):
        maskzoo.pull("me/others")
    assert not any("/resolve/" in path for _, path, _ in hub.asked)


def test_one_weights_file_of_another_name_is_taken_and_one_of_another_maker_refused(hub, models):
    hub.add("me/named", {"apples-v2.safetensors": models[0]})
    assert maskzoo.pull("me/named").name == "apples-v2.safetensors"
    header = json.dumps({"__metadata__": {"format": "pt"}}).encode()
    hub.add("me/foreign", {FILE: len(header).to_bytes(8, "little") + header})
    with pytest.raises(WeightsError, match="not one of maskzoo's"):
        maskzoo.pull("me/foreign")
    assert not (HubName("me/foreign").folder / FILE).exists()


@pytest.mark.parametrize(
    "name",
    ["apples", "me/../x", "../me", "me/app..les", "me/apples@../x", "me/apples@", "a/b/c", "/a/b", "me/apples.git", "me/a b",
     "me/apples@v1/../..", "https://huggingface.co/me/apples"],
)  # fmt: skip
def test_names_that_are_none_are_refused_before_anything_is_asked(hub, name):
    with pytest.raises(ArgumentError, match="not the name of a repository; expected user/name or user/name@revision"):
        maskzoo.pull(name)
    assert hub.asked == []


@pytest.mark.parametrize("switch", ["MASKZOO_OFFLINE", "HF_HUB_OFFLINE"])
def test_offline_takes_what_is_here_and_asks_for_nothing(hub, monkeypatch, switch):
    maskzoo.pull("me/apples")
    hub.asked.clear()
    monkeypatch.setenv(switch, "1")
    assert find_weights("hf://me/apples").is_file()
    with pytest.raises(
        DownloadError, match=f"me/pears: .*{switch}.* forbids asking the hub. Pull it elsewhere and copy the folder"
    ):
        find_weights("hf://me/pears")
    assert hub.asked == []


def test_what_the_hub_refuses_is_told_with_what_to_do(hub):
    for name in ("me/pears", "me/apples@v9"):
        with pytest.raises(DownloadError, match=rf"{name}: the hub refused.*check the name and the revision.*HF_TOKEN"):
            maskzoo.pull(name)
    hub.token = "hf_other"
    with pytest.raises(DownloadError, match="a private or gated one needs a token"):
        maskzoo.pull("me/apples")


def test_a_hub_that_is_not_there_is_told(hub, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(DownloadError, match=r"me/apples: the hub refused or could not be asked.*check the connection"):
        maskzoo.pull("me/apples")


def test_without_huggingface_hub_the_error_says_what_to_install(hub, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "huggingface_hub", None)
    with pytest.raises(MissingPackageError, match=r"huggingface_hub is not installed.*: pip install 'maskzoo\[hub\]'"):
        maskzoo.pull("me/apples")


def test_a_repository_is_no_model_file_to_train_from(hub):
    with pytest.raises(ConfigError, match=r"hf://me/apples: a checkpoint; expected.*--from hf://me/apples"):
        read_row("hf://me/apples")


def test_the_hub_is_told_versions_and_nothing_else(hub):
    maskzoo.pull("me/apples")
    told = {part.partition("/")[0] for _, _, agent in hub.asked for part in agent.split("; ")}
    assert told == {"maskzoo", "hf_hub", "python"}
