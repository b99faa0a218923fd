"""Processes that predict: forked ones that would wait for ever, forked ones that do not, and spawned ones."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from maskzoo.weights.checkpoint import write_checkpoint
from networks import small_config, small_network

JOB = """
    import multiprocessing, os, sys
    import torch
    import maskzoo
    from maskzoo.errors import MaskzooError
    from networks import make_photo
    photo = make_photo(200, 300)

    def load():
        return maskzoo.load(sys.argv[1], backend="eager")

    def predict(predictor, threads=2):
        torch.set_num_threads(threads)
        try:
            predictor = load() if predictor is None else predictor
            return predictor.predict(photo, score=0).boxes.tolist()
        except MaskzooError as error:
            return str(error)

    def answer(queue, predictor, threads):
        queue.put(predict(predictor, threads))

    def ask(kind, predictor, threads=2):
        context = multiprocessing.get_context(kind)
        queue = context.SimpleQueue()
        child = context.Process(target=answer, args=(queue, predictor, threads), daemon=True)
        child.start()
        found = queue.get()
        child.join()
        return found

    class Photos(torch.utils.data.Dataset):
        def __len__(self):
            return 1

        def __getitem__(self, place):
            assert torch.get_num_threads() == 1
            return predictor.predict(photo, score=0).boxes.tolist()

    if __name__ == "__main__":
        early = ask("fork", None)
        predictor = load()
        first = predict(predictor)
        assert early == first and len(first) > 3
        print("forked before a network was loaded: loads and predicts")
        for child in (predictor, None):
            text = ask("fork", child)
            assert "do not survive a fork" in text and "'spawn'" in text and str(os.getpid()) in text, text
        print("forked after it: refused, and so is a network that is loaded there")
        assert len(ask("fork", predictor, threads=1)) == len(first)
        print("forked, on one thread: predicts")
        loader = torch.utils.data.DataLoader(Photos(), num_workers=1, collate_fn=list, multiprocessing_context="fork")
        assert [len(boxes) for batch in loader for boxes in batch] == [len(first)]
        print("in a DataLoader's worker: predicts")
        assert ask("spawn", predictor) == first
        print("spawned, with the used predictor: predicts the same")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs processes that fork")
def test_a_child_predicts_or_says_why_it_cannot(tmp_path):
    script = tmp_path / "job.py"
    script.write_text(textwrap.dedent(JOB))
    config, weights = small_config(), tmp_path / "small.safetensors"
    write_checkpoint(weights, small_network(config).state_dict(), config, {})
    places = [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(places), "OMP_NUM_THREADS": "2"}
    command = [sys.executable, script, weights]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert len(done.stdout.splitlines()) == JOB.count("print("), f"{done.stdout}{done.stderr}"
