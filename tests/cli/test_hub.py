"""`maskzoo push` and `maskzoo pull` as they are typed."""

import json

import pytest
from PIL import Image

from hub_models import write_model
from maskzoo.cli import main
from networks import make_photo

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")  # huggingface_hub's own


def test_a_model_goes_there_and_comes_back_to_predict(hub_server, tmp_path, monkeypatch, capsys):
    def run(*arguments):
        with pytest.raises(SystemExit) as end:
            main(list(arguments))
        captured = capsys.readouterr()
        assert end.value.code == 0, captured.err
        return captured.out

    monkeypatch.chdir(tmp_path)
    write_model(tmp_path / "small.safetensors")
    Image.fromarray(make_photo(60, 90)).save("photo.png")
    out = run("push", "small.safetensors", "me/apples", "--message", "First")
    assert "Pushed model.safetensors, model.yml, README.md" in out and "Others get it by: maskzoo pull me/apples@" in out
    assert "The card that was there stays; --new-card writes it anew" in run("push", "small.safetensors", "me/apples")
    told = json.loads(run("pull", "me/apples", "--json"))
    assert told["fetched"] and told["path"].endswith("model.safetensors")
    assert "Here already: " in run("pull", "me/apples") and told["sha256"] in run("pull", "me/apples")
    found = json.loads(run("predict", "hf://me/apples", "photo.png", "--save", "none", "--json", "--score", "0"))
    assert len(found["images"]) == 1
