"""What belongs to no set: names and shapes of all parameters, and the learning rates of all published rows."""

from pathlib import Path
from typing import Any

from golden.reference import read_config
from golden.sets import ARCHS, MORE, MORE_SCHEDULES
from golden.storage import Content

NAMES = ("lr", *(f"manifest/{row}" for row in ARCHS.values()))
STEPS_PER_EPOCH = 117266 // 8  # train2017's photos with an object, eight a step
WARM_UP = (0, 1, 2, 499, 500, 501, 999, 1000, 1001, 2000)  # iterations around the ends of the two warm-ups


def make(checkout: Path, name: str) -> Content:
    """Return the content of a table: one of NAMES."""
    if name == "lr":
        first = sorted(file.stem for file in (checkout / "configs" / "mask_rcnn").glob("*.yml"))
        rows = [*first, *MORE.values(), *MORE_SCHEDULES]
        return Content(table={row: list_learning_rates(checkout, row) for row in rows})
    return Content(table=list_parameters(checkout, name.split("/")[1]))


def list_parameters(checkout: Path, row: str) -> dict[str, Any]:
    """Return [shape, whether it is trained] of every entry of a row's weights file, in its order and Paddle's layouts."""
    from ppdet.core.workspace import create

    model = create(read_config(checkout, row).architecture)
    trained = {name for name, parameter in model.named_parameters() if not parameter.stop_gradient}
    return {name: [list(value.shape), name in trained] for name, value in model.state_dict().items()}


def list_learning_rates(checkout: Path, row: str) -> dict[str, Any]:
    """Return the rates that 0-based iterations use: around the warm-up's ends and the milestones, and the last."""
    from ppdet.core.workspace import create

    config = read_config(checkout, row)
    schedule = create("LearningRate")(STEPS_PER_EPOCH)
    milestones = config["LearningRate"]["schedulers"][0].milestones
    around = [epoch * STEPS_PER_EPOCH + near for epoch in milestones for near in (-1, 0, 1)]
    rates = {}
    for schedule.last_epoch in (*WARM_UP, *around, config.epoch * STEPS_PER_EPOCH - 1):
        rates[str(schedule.last_epoch)] = schedule.get_lr()
    return {"steps_per_epoch": STEPS_PER_EPOCH, "epochs": config.epoch, "milestones": milestones, "lr": rates}
