import numpy as np
import pytest
import torch

from maskzoo.errors import WeightsError
from maskzoo.weights.rename import Layout, Rename, rename, rename_back

TABLE = [Rename("fc.w", "head.weight", Layout.TRANSPOSED), Rename("conv.w", "stem.weight")]
EXPECTED = {"stem.weight": (2, 1, 3, 3), "head.weight": (4, 3)}


def make_source(**changes):
    generator = np.random.default_rng(0)
    source = {
        "fc.w": generator.normal(size=(3, 4)).astype(np.float32),
        "conv.w": generator.normal(size=(2, 1, 3, 3)).astype(np.float32),
    }
    return {name: array for name, array in {**source, **changes}.items() if array is not None}


def fail(source, **options):
    with pytest.raises(WeightsError) as caught:
        rename(source, TABLE, EXPECTED, "some.pdparams", **options)
    return str(caught.value)


def test_tensors_come_under_our_names_in_our_order_and_layout():
    source = make_source()
    tensors = rename(source, TABLE, EXPECTED, "some.pdparams")
    assert list(tensors) == list(EXPECTED)
    assert all(tensor.dtype == torch.float32 and tensor.is_contiguous() for tensor in tensors.values())
    np.testing.assert_array_equal(tensors["head.weight"].numpy(), source["fc.w"].T)
    np.testing.assert_array_equal(tensors["stem.weight"].numpy(), source["conv.w"])


def test_tensors_are_copies_even_of_read_only_unaligned_arrays():
    values = np.arange(12, dtype=np.float32)
    unaligned = np.frombuffer(b"x" + values.tobytes(), np.uint8)[1:].view(np.float32).reshape(3, 4)
    assert not unaligned.flags.writeable
    tensors = rename(make_source(**{"fc.w": unaligned}), TABLE, EXPECTED, "some.pdparams")
    tensors["head.weight"].zero_()  # a read-only or shared tensor would crash or change the source
    assert tensors["head.weight"].data_ptr() % 4 == 0
    np.testing.assert_array_equal(unaligned.reshape(-1), values)


def test_float64_is_rounded_to_float32():
    tensors = rename(make_source(**{"fc.w": np.full((3, 4), 1 / 3)}), TABLE, EXPECTED, "some.pdparams")
    assert tensors["head.weight"].unique().tolist() == [float(np.float32(1 / 3))]


def test_all_faults_are_listed_at_once_with_the_file():
    message = fail(make_source(**{"conv.w": None, "fc.w": np.zeros((4, 3), np.float32), "extra": np.zeros(1)}))
    assert message.startswith("some.pdparams: ")
    assert "1 missing, expected in the file:\n    conv.w" in message
    assert "1 not part of this network:\n    extra" in message
    assert "fc.w: found [4, 3], expected [3, 4]" in message, "shapes are given in the file's own layout"


def test_integers_are_refused_by_name():
    assert "fc.w: int64" in fail(make_source(**{"fc.w": np.zeros((3, 4), np.int64)}))


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_values_that_are_not_finite_are_refused_with_name_and_count(value):
    array = np.zeros((3, 4))
    array[1, 1:3] = value
    assert "fc.w: 2" in fail(make_source(**{"fc.w": array}))


def test_surplus_is_allowed_only_on_request():
    source = make_source(extra=np.zeros(1))
    assert "extra" in fail(source)
    assert list(rename(source, TABLE, EXPECTED, "some.pdparams", allow_surplus=True)) == list(EXPECTED)
    assert "conv.w" in fail(make_source(**{"conv.w": None}), allow_surplus=True)


def test_a_long_list_is_cut_with_its_rest_counted():
    message = fail(make_source(**{f"extra{place:02}": np.zeros(1) for place in range(25)}))
    assert "25 not part of this network" in message
    assert "extra09" in message and "extra10" not in message and "and 15 more" in message


@pytest.mark.parametrize(
    "table",
    [TABLE[:1], [*TABLE, Rename("b", "bias")], [TABLE[0], Rename("conv.w", "head.weight")], [*TABLE, TABLE[0]],
     [TABLE[0], Rename("fc.w", "stem.weight")]],
)  # fmt: skip
def test_a_table_that_does_not_cover_the_network_is_a_programming_error(table):
    with pytest.raises(ValueError, match="the table"):
        rename(make_source(), table, EXPECTED, "some.pdparams")


def test_inputs_of_a_roi_feature_are_reordered_from_channel_first_to_channel_last():
    channels, outputs = 3, 4
    theirs = np.random.default_rng(0).normal(size=(channels * 49, outputs)).astype(np.float32)
    tensors = rename(
        {"fc6": theirs}, [Rename("fc6", "fc6", Layout.ROI_LINEAR)], {"fc6": (outputs, 49 * channels)}, "some.pdparams"
    )
    feature = torch.randn(channels, 7, 7)
    expected = feature.reshape(-1) @ torch.from_numpy(theirs)
    found = tensors["fc6"] @ feature.permute(1, 2, 0).reshape(-1)
    torch.testing.assert_close(found, expected)


def convert(layout, ours, array):
    return rename({"theirs": array}, [Rename("theirs", "ours", layout)], {"ours": ours}, "some.pth")["ours"].numpy()


def test_rows_of_roi_features_are_reordered_to_cells_then_channels():
    array = np.random.default_rng(0).normal(size=(3, 2 * 49)).astype(np.float32)
    expected = array.reshape(3, 2, 7, 7).transpose(0, 2, 3, 1).reshape(3, -1)
    np.testing.assert_array_equal(convert(Layout.ROI_ROWS, (3, 98), array), expected)
    np.testing.assert_array_equal(convert(Layout.ROI_LINEAR, (3, 98), np.ascontiguousarray(array.T)), expected)


@pytest.mark.parametrize("rest", [(), (5,), (5, 1, 1)])
def test_a_background_that_stands_first_moves_to_the_end_or_goes(rest):
    array = np.random.default_rng(0).normal(size=(12, *rest)).astype(np.float32)
    np.testing.assert_array_equal(convert(Layout.BACKGROUND_FIRST, (12, *rest), array), np.concatenate([array[1:], array[:1]]))
    np.testing.assert_array_equal(convert(Layout.BACKGROUND_BOX, (8, *rest), array), array[4:])
    np.testing.assert_array_equal(convert(Layout.BACKGROUND_MASK, (11, *rest), array), array[1:])


def test_rows_that_all_classes_share_are_given_to_each():
    array = np.arange(8, dtype=np.float32).reshape(4, 2)
    np.testing.assert_array_equal(convert(Layout.SHARED, (12, 2), array), np.tile(array, (3, 1)))


def test_a_file_without_the_background_is_refused_with_the_shape_that_was_expected():
    with pytest.raises(WeightsError, match=r"theirs: found \[8\], expected \[12\]"):
        convert(Layout.BACKGROUND_BOX, (8,), np.zeros(8, np.float32))


@pytest.mark.parametrize("layout", [layout for layout in Layout if layout is not Layout.SHARED])
def test_what_is_written_back_is_read_as_the_same(layout):
    ours = torch.arange(6.0 * 98).reshape(6, 98)
    table = [Rename("theirs", "ours", layout)]
    back = rename_back({"ours": ours}, table)
    assert back["theirs"].flags.c_contiguous and (layout is Layout.SAME) == (back["theirs"].tobytes() == ours.numpy().tobytes())
    assert torch.equal(rename(back, table, {"ours": (6, 98)}, "it")["ours"], ours)


def test_a_background_that_ours_has_none_of_is_written_as_zeros():
    back = rename_back({"ours": torch.ones(8)}, [Rename("theirs", "ours", Layout.BACKGROUND_BOX)])
    assert back["theirs"].tolist() == [0.0] * 4 + [1.0] * 8


def test_a_table_that_lacks_a_tensor_writes_nothing():
    with pytest.raises(ValueError, match="does not cover"):
        rename_back({"ours": torch.ones(8), "more": torch.ones(1)}, [Rename("theirs", "ours")])
