"""Models pushed to a stand-in of the Hugging Face hub, and pulled again."""

import json

import pytest
import yaml

import maskzoo
from hub_models import write_model
from maskzoo.errors import ArgumentError, ConfigError, DownloadError, WeightsError
from maskzoo.model_file import read_config

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")  # huggingface_hub's own


@pytest.fixture
def run_folder(tmp_path):
    """The folder of a run, as far as a push looks into it."""
    folder = tmp_path / "runs/mine"
    folder.mkdir(parents=True)
    write_model(folder / "best.safetensors", data="apples.json", **{"from": "/home/somebody/secret/start.safetensors"})
    write_model(folder / "last.safetensors", 1)
    measured = {"AP": 0.4567, "AP50": 0.7, "AP75": 0.5, "AP_small": None, "AP_medium": 0.4, "AP_large": 0.6}
    numbers = {"images": 12, "objects": 34, "box": measured, "mask": measured | {"AP": 0.4321}, "classes": []}
    (folder / "best-metrics.json").write_text(json.dumps(numbers))
    return folder


def read_newest(hub, name):
    repository = hub.repositories[name]
    return repository.commits[repository.heads["main"]]


def test_a_run_is_pushed_with_its_card_and_comes_back_the_same(hub_server, run_folder, tmp_path):
    made = maskzoo.push(run_folder, "me/apples")
    files = read_newest(hub_server, "me/apples")
    assert (
        made.files == ("model.safetensors", "model.yml", "README.md")
        and made.commit in hub_server.repositories["me/apples"].commits
    )
    assert files["model.safetensors"] == (run_folder / "best.safetensors").read_bytes()
    assert hub_server.repositories["me/apples"].private
    (tmp_path / "model.yml").write_bytes(files["model.yml"])
    pulled = maskzoo.pull(f"me/apples@{made.commit}")
    assert pulled.sha256 == made.sha256 and read_config(tmp_path / "model.yml") == maskzoo.load(pulled.path).config
    _, metadata, card = files["README.md"].decode().split("---\n", 2)
    results = yaml.safe_load(metadata)["model-index"][0]["results"][0]
    assert {row["type"]: row["value"] for row in results["metrics"]}["mask_ap"] == 0.4321
    assert "| mask | 43.2 | 70.0 | 50.0 | 40.0 | 60.0 |" in card and "12 images with 34 objects" in card
    assert "secret" not in card and "start.safetensors" in card and "hf://me/apples" in card


def test_a_card_that_is_there_stays_unless_a_new_one_is_asked_for(hub_server, run_folder):
    maskzoo.push(run_folder, "me/apples")
    hub_server.add("me/apples", {"README.md": b"edited by hand"})
    made = maskzoo.push(run_folder / "last.safetensors", "me/apples")
    assert made.kept_card and read_newest(hub_server, "me/apples")["README.md"] == b"edited by hand"
    assert read_newest(hub_server, "me/apples")["model.safetensors"] == (run_folder / "last.safetensors").read_bytes()
    maskzoo.push(run_folder / "last.safetensors", "me/apples", new_card=True)
    assert b"Nothing was measured" in read_newest(hub_server, "me/apples")["README.md"]


def test_a_new_repository_is_public_only_when_asked_for(hub_server, run_folder):
    maskzoo.push(run_folder, "me/open", public=True)
    assert not hub_server.repositories["me/open"].private


def test_what_cannot_be_pushed_is_refused_before_anything_is_asked(hub_server, run_folder, tmp_path, monkeypatch):
    (tmp_path / "broken.safetensors").write_bytes(b"x")
    for model, repository, error, match in (
        ("mask_rcnn_r50_fpn_1x_coco", "me/apples", ArgumentError, "expected a run's folder or a .safetensors file"),
        ("hf://me/apples", "me/pears", ArgumentError, "is in a repository already"),
        (run_folder, "me/apples@v1", ArgumentError, "what is pushed becomes the newest"),
        (run_folder, "apples", ArgumentError, "not the name of a repository"),
        (tmp_path, "me/apples", ConfigError, "a folder without best.safetensors"),
        (tmp_path / "broken.safetensors", "me/apples", WeightsError, "cannot be read as safetensors"),
    ):
        with pytest.raises(error, match=match):
            maskzoo.push(model, repository)
    monkeypatch.setenv("MASKZOO_OFFLINE", "1")
    with pytest.raises(DownloadError, match="forbids asking the hub; push where it may be asked"):
        maskzoo.push(run_folder, "me/apples")
    assert hub_server.asked == []


def test_a_token_that_is_not_the_hubs_is_told(hub_server, run_folder):
    hub_server.token = "hf_other"
    with pytest.raises(DownloadError, match=r"me/apples: the hub refused.*hf auth login, or HF_TOKEN"):
        maskzoo.push(run_folder, "me/apples")
