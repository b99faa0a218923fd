"""Small models for what pushes and pulls them."""

from maskzoo.weights.checkpoint import write_checkpoint
from networks import FPN, THIN, small_config, small_network


def write_model(path, seed=0, **provenance):
    config = small_config(FPN, *THIN)
    network = small_network(config)
    tensors = {name: tensor + seed for name, tensor in network.state_dict().items()}
    write_checkpoint(path, tensors, config, {"source": "random", **provenance})
    return path
