"""Configs: variants, fields behind the colon, and errors that say what is there."""

import pytest

from configs import common, icdar2015, msra_td500, quickstart, totaltext


@pytest.mark.parametrize("module", [quickstart, icdar2015, msra_td500, totaltext])
def test_every_config_gives_the_fields_of_common_and_no_others(module):
    config, fields = module.get_config(), common.get_config()
    assert config.keys() == fields.keys()
    for section in fields:
        if section != "seed":
            assert config[section].keys() == fields[section].keys()


def test_words_are_variants_and_pairs_set_fields():
    config = icdar2015.get_config("cpu,backbone=resnet50,steps=10,crop=(64,96),learning_rate=1,train.batch_size=4")
    assert config.model.width == 16
    assert config.model.backbone == "resnet50"
    assert config.train.steps == 10
    assert config.train.batch_size == 4
    assert config.data.crop == (64, 96)
    assert config.train.learning_rate == 1.0


def test_true_and_false_are_written_in_either_way():
    for text, value in (("dcn=false,scale_fusion=true", False), ("dcn=True,scale_fusion=False", True)):
        model = totaltext.get_config(text).model
        assert (model.dcn, model.scale_fusion) == (value, not value)


@pytest.mark.parametrize(
    ("arg", "words"),
    [
        ("dcn=1", "model.dcn.*bool"),
        ("inner_channels=256.5", "inner_channels.*int"),
        ("tpu", "cpu"),
        ("depth=3", "depth"),
        ("batch_size=4", "predict.batch_size"),
        ("k=x", "k"),
    ],
)
def test_what_is_unknown_or_unclear_is_refused(arg, words):
    with pytest.raises(ValueError, match=words):
        icdar2015.get_config(arg)


def test_a_misspelt_field_is_refused():
    config = quickstart.get_config()
    with pytest.raises(AttributeError, match="learning_rate"):
        config.train.learning_rat = 1.0
