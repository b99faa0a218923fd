import torch

from maskzoo.models.rpn import RpnHead


def test_outputs_are_flattened_by_y_x_anchor_and_shared_by_all_levels():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        head = RpnHead(6, 3).requires_grad_(False)
    levels = [torch.randn(2, 6, 4, 5, generator=torch.Generator().manual_seed(1)), torch.randn(2, 6, 1, 2)]
    scores, deltas = head(levels)
    assert [tuple(level.shape) for level in scores] == [(2, 4 * 5 * 3), (2, 1 * 2 * 3)]
    assert [tuple(level.shape) for level in deltas] == [(2, 60, 4), (2, 6, 4)]
    for level, level_scores, level_deltas in zip(levels, scores, deltas, strict=True):
        hidden = head.conv(level)
        assert (hidden >= 0).all()
        score_map, delta_map = head.score(hidden), head.delta(hidden)
        _, _, height, width = level.shape
        for y in range(height):
            for x in range(width):
                for anchor in range(3):
                    place = (y * width + x) * 3 + anchor
                    assert torch.equal(level_scores[:, place], score_map[:, anchor, y, x])
                    assert torch.equal(level_deltas[:, place], delta_map[:, 4 * anchor : 4 * anchor + 4, y, x])


def test_half_precision_maps_leave_as_float32():
    scores, deltas = RpnHead(4, 3).to(torch.bfloat16)([torch.ones(1, 4, 2, 2, dtype=torch.bfloat16)])
    assert scores[0].dtype == deltas[0].dtype == torch.float32
