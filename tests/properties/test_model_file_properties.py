"""What holds for any model file: it survives being written, and no text makes the reader fail in another way."""

from hypothesis import given, settings
from hypothesis import strategies as st

from maskzoo.config import ModelConfig
from maskzoo.errors import ConfigError
from maskzoo.model_file import dump_config, dump_data, parse_config
from maskzoo.zoo.rows import names, read_row

fractions = st.floats(0, 1, exclude_min=True)
texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)


@settings(deadline=None, max_examples=50)
@given(
    st.sampled_from(names()),
    st.dictionaries(st.integers(-(2**31), 2**31), texts, min_size=1, max_size=5),
    fractions,
    st.floats(1e-12, 1e6),
    texts,
)
def test_any_values_survive_a_round_trip_to_the_last_bit(row, classes, threshold, rate, licence):
    values = read_row(row).model_dump(mode="json") | {"classes": {key: classes[int(key)] for key in sorted(map(str, classes))}}
    values["limits"]["detections"]["mask_threshold"] = threshold
    values["training"]["learning_rate"] = rate
    values["source"]["licence"] = licence
    config = parse_config(dump_data(values), "first")
    assert config.classes == classes and list(config.classes) == [int(key) for key in sorted(values["classes"])]
    assert parse_config(dump_config(config), "again") == config


@settings(deadline=None, max_examples=100)
@given(st.one_of(st.text(max_size=80), st.text("&*!|>{}[]:-,? \n\t'\"#%@ab1.", max_size=60)))
def test_any_text_is_refused_as_a_model_file_by_name(text):
    try:
        parsed = parse_config(text, "some.yml")
    except ConfigError as error:
        assert str(error).startswith("some.yml: ")
    else:
        raise AssertionError(f"{text!r} was taken for {parsed!r}")


@settings(deadline=None, max_examples=100)
@given(st.one_of(st.text(max_size=40), st.text("abc.=[]{}:&*!1, ", max_size=30), st.just("limits.detections.score=.nan")))
def test_any_override_gives_a_model_or_an_error_of_ours(override):
    try:
        config = read_row(names()[0], [override])
    except ConfigError:
        return
    assert isinstance(config, ModelConfig)
