import subprocess
import sys
import textwrap

import pytest
import torch
from torch import nn

from maskzoo.models.layers import ConvLayer
from maskzoo.models.norms import BatchNorm, FrozenNorm, make_norm
from maskzoo.models.packing import PackedConv, pack

WORKER = textwrap.dedent(
    """
    import sys
    import time
    import torch
    import torch.distributed as group
    from maskzoo.models.norms import make_norm

    rank, folder = int(sys.argv[1]), sys.argv[2]
    torch.set_num_threads(1)
    group.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    found = []
    for case in torch.load(f"{folder}/cases.pt"):
        norm = make_norm("sync_bn", case["x"][rank].shape[1]).train()
        norm.load_state_dict(case["state"])
        x = case["x"][rank].clone().requires_grad_()
        out = norm(x)
        (out * case["pull"][rank]).sum().backward()
        norm.eval()
        found.append({"out": out.detach(), "x": x.grad, "weight": norm.weight.grad, "bias": norm.bias.grad,
                      "state": norm.state_dict(), "later": norm(x).detach()})
    group.barrier()
    group.destroy_process_group()
    torch.save(found, f"{folder}/found_{rank}.pt")
    time.sleep(0.3)  # gloo's threads let go of tensors late, and abort a process that ends at once
    """
)


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def fill(norm, seed=5):
    """Give a norm weights and statistics of a network that has learnt."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in norm.state_dict().items():
            positive = name.endswith(("weight", "var", "variance"))
            tensor.uniform_(0.5, 2, generator=generator) if positive else tensor.normal_(0, 1, generator=generator)
    return norm


def twins(channels=6):
    ours = fill(BatchNorm(channels))
    theirs = nn.BatchNorm2d(channels)
    theirs.load_state_dict(ours.state_dict() | {"num_batches_tracked": torch.tensor(0)})
    return ours, theirs


def close(first, second):
    return torch.allclose(first, second, rtol=1e-5, atol=1e-6)


# One process


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", [(2, 6, 5, 4), (1, 6, 3, 3), (3, 6, 1, 1)])
def test_batch_norm_is_torchs_in_outputs_gradients_and_statistics(shape, training):
    results = []
    for norm in twins():
        norm.train(training)
        x = (random(*shape) * 3 + 1).requires_grad_()
        for seed in (1, 2):  # twice: the running statistics go on from what they were
            out = norm(x)
            (out * random(*shape, seed=seed)).sum().backward()
        results.append((out, x.grad, norm.weight.grad, norm.bias.grad, norm.running_mean, norm.running_var))
    for ours, theirs in zip(*results, strict=True):
        assert close(ours, theirs)


def test_training_changes_the_running_statistics_and_evaluation_does_not():
    norm = fill(BatchNorm(6))
    before = norm.running_mean.clone(), norm.running_var.clone()
    norm.eval()(random(2, 6, 3, 3))
    assert torch.equal(norm.running_mean, before[0]) and torch.equal(norm.running_var, before[1])
    norm.train()(random(2, 6, 3, 3))
    assert not torch.equal(norm.running_mean, before[0]) and not torch.equal(norm.running_var, before[1])


@pytest.mark.parametrize("shape", [(0, 6, 5, 4), (1, 6, 1, 1)], ids=["no image", "one value"])
def test_what_has_no_variance_is_normalised_by_the_running_statistics(shape):
    norm = fill(BatchNorm(6)).train()
    before = {name: tensor.clone() for name, tensor in norm.state_dict().items()}
    x = random(*shape).requires_grad_()
    out = norm(x)
    expected = (x - norm.running_mean[:, None, None]) / (norm.running_var[:, None, None] + 1e-5).sqrt()
    expected = expected * norm.weight[:, None, None] + norm.bias[:, None, None]
    assert out.shape == shape and close(out, expected)
    assert all(torch.equal(tensor, before[name]) for name, tensor in norm.state_dict().items())
    out.sum().backward()
    assert x.grad.shape == shape and x.grad.isfinite().all()
    assert torch.equal(norm.bias.grad, torch.full((6,), float(shape[0])))


def test_without_other_processes_synchronised_statistics_are_the_own():
    alone, together = fill(BatchNorm(6)).train(), fill(make_norm("sync_bn", 6)).train()
    x = random(2, 6, 3, 3)
    assert torch.equal(alone(x), together(x))
    assert torch.equal(alone.running_var, together.running_var)


def test_batch_norm_holds_no_counter():
    assert set(BatchNorm(3).state_dict()) == {"weight", "bias", "running_mean", "running_var"}


# Two processes


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    """Cases of two processes' inputs, and what each process found."""
    folder = tmp_path_factory.mktemp("together")
    cases = []
    for seed, counts in enumerate([(1, 1), (3, 1), (2, 0), (1, 2), (0, 0)]):
        side = (1, 1) if seed == 3 else (5, 4)  # a process with one value
        x = [random(count, 6, *side, seed=10 * seed + rank) * 2 + rank for rank, count in enumerate(counts)]
        pull = [random(*part.shape, seed=10 * seed + 5 + rank) for rank, part in enumerate(x)]
        cases.append({"x": x, "pull": pull, "state": fill(BatchNorm(6), seed).state_dict()})
    torch.save(cases, folder / "cases.pt")
    workers = [
        subprocess.Popen([sys.executable, "-c", WORKER, str(rank), str(folder)], stderr=subprocess.PIPE, text=True)
        for rank in range(2)
    ]
    complaints = [worker.communicate(timeout=120)[1] for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], complaints
    return cases, [torch.load(folder / f"found_{rank}.pt") for rank in range(2)]


@pytest.mark.parametrize("case", range(5), ids=["one each", "three and one", "two and none", "one value and two", "none"])
def test_two_processes_normalise_as_one_with_all_their_images(together, case):
    cases, found = together
    given, (first, second) = cases[case], (found[0][case], found[1][case])
    alone = BatchNorm(6).train()
    alone.load_state_dict(given["state"])
    x = torch.cat(given["x"]).requires_grad_()
    out = alone(x)
    (out * torch.cat(given["pull"])).sum().backward()

    def near(ours, expected):
        return torch.allclose(ours, expected, rtol=1e-4, atol=1e-5)

    assert near(torch.cat([first["out"], second["out"]]), out)
    assert near(torch.cat([first["x"], second["x"]]), x.grad)
    assert near(first["weight"] + second["weight"], alone.weight.grad)
    assert near(first["bias"] + second["bias"], alone.bias.grad)
    for name, tensor in alone.state_dict().items():
        assert near(first["state"][name], tensor)
        assert torch.equal(first["state"][name], second["state"][name])
    assert near(torch.cat([first["later"], second["later"]]), alone.eval()(x))


# Groups, and the packed form


@pytest.mark.parametrize(("channels", "groups"), [(1, 1), (2, 1), (8, 4), (24, 12), (60, 30), (64, 32), (256, 32), (80, 20)])
def test_group_norm_has_32_groups_or_fewer_of_two_channels_at_least(channels, groups):
    norm = make_norm("gn", channels)
    assert isinstance(norm, nn.GroupNorm)
    assert (norm.num_groups, norm.eps) == (groups, 1e-5)


def test_each_name_makes_its_norm():
    assert make_norm("none", 8) is None
    assert isinstance(make_norm("frozen", 8), FrozenNorm)
    assert [make_norm(kind, 8).synchronised for kind in ("bn", "sync_bn")] == [False, True]


@pytest.mark.parametrize("kind", ["frozen", "bn", "sync_bn", "gn"])
@pytest.mark.parametrize("added", [False, True])
def test_a_packed_layer_equals_the_layer_whatever_its_norm(kind, added):
    layer = ConvLayer(8, 24, 3, stride=2, norm=kind, relu=True)
    fill(layer.norm)
    holder = nn.Sequential(layer).eval().requires_grad_(False)
    x = random(2, 8, 9, 7).to(memory_format=torch.channels_last)
    add = random(2, 24, 5, 4, seed=3) if added else None
    expected = layer(x, None if add is None else add.clone())
    pack(holder)
    assert isinstance(holder[0], PackedConv) or kind == "gn"  # which cannot be folded
    assert torch.allclose(holder[0](x, add), expected, rtol=1e-4, atol=1e-4)
    assert expected.any()
